from __future__ import annotations

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.one_way import check_one_way
from sockkit.core.text import TextOptions
from sockkit.errors import UsageError

PLAIN = ConversationOptions(TextOptions())
RECEIVING, SENDING = PLAIN._replace(recv_only=True), PLAIN._replace(send_only=True)
USELESS = {"half_close": None, "linger": 0.0, "label": False}


def test_what_is_not_given_excludes_nothing() -> None:
    nothing = {"half_close": None, "label": False}
    for options in (PLAIN, RECEIVING, SENDING):
        check_one_way(options, nothing, nothing)
    check_one_way(PLAIN, USELESS, USELESS)
    check_one_way(RECEIVING, {}, USELESS)
    check_one_way(SENDING, USELESS, {})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (RECEIVING, "--recv-only cannot be used with --linger"),
        (SENDING, "--send-only cannot be used with --linger"),
        (RECEIVING._replace(send_only=True), "--recv-only cannot be used with --send-only"),
    ],
)
def test_what_means_nothing_is_an_error(options: ConversationOptions, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}: remove one of them$"):
        check_one_way(options, USELESS, USELESS)
