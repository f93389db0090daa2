"""What excludes a program, when it gets the socket itself, and who is warned."""

from __future__ import annotations

import os
from typing import Any

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.programs import find_program, join_options, warn_of_strangers
from sockkit.core.ending import HalfClose, Until
from sockkit.core.text import Errors, TextOptions
from sockkit.errors import UsageError
from sockkit.events import Event, Notice
from sockkit.net.access import AccessOptions
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.tls.options import ServerTls
from tests.net import kit

loop = kit.loop

PLAIN = ConversationOptions(TextOptions())
CHANGED: list[dict[str, Any]] = [
    {"text": TextOptions(encoding="gbk")},
    {"text": TextOptions(send_encoding="gbk")},
    {"text": TextOptions(crlf=True)},
    {"until": Until.BOTH},
    {"linger": 1.0},
    {"idle": 1.0},
    {"greet": "x"},
    {"half_close": HalfClose.NOW},
]


@pytest.fixture
def context(loop: Loop) -> Context:
    nothing: Any = None
    environment = {"PATH": os.environ["PATH"]}
    return kit.context(loop, Stdio(nothing, nothing, "utf-8"), environment=environment)


def test_a_program_gets_the_socket_where_nothing_has_to_look(context: Context) -> None:
    assert join_options(context, PLAIN, fragile=False, buffer_size=None) is None
    quiet = PLAIN._replace(text=TextOptions(errors=Errors.REPLACE))  # nothing is converted
    assert join_options(context, quiet, fragile=False, buffer_size=9) is None


def test_it_gets_pipes_where_a_half_close_may_cost_the_answer(context: Context) -> None:
    make = join_options(context, PLAIN, fragile=True, buffer_size=None)
    assert make
    assert make().ending.half_close is HalfClose.AUTO


@pytest.mark.parametrize("changed", CHANGED, ids=lambda changed: next(iter(changed)))
def test_it_gets_pipes_where_something_has(changed: dict[str, Any], context: Context) -> None:
    conversation = PLAIN._replace(**changed)
    assert join_options(context, conversation, fragile=False, buffer_size=None)


def test_its_connection_ends_as_the_options_say(context: Context) -> None:
    conversation = PLAIN._replace(until=Until.PEER, linger=1.0, idle=2.0)
    make = join_options(context, conversation, fragile=True, buffer_size=9)
    assert make
    options = make()
    assert options.ending == (Until.PEER, 1.0, 2.0, HalfClose.AUTO, True)
    assert options.buffer_size == 9
    assert make().ending.half_close is HalfClose.AUTO
    plain = join_options(context, PLAIN._replace(idle=1.0), fragile=False, buffer_size=None)
    assert plain
    assert plain().ending == (Until.BOTH, None, 1.0, HalfClose.NOW, True)


def test_each_connection_has_transforms_of_its_own(context: Context) -> None:
    conversation = PLAIN._replace(text=TextOptions(encoding="gbk"), greet="你")
    make = join_options(context, conversation, fragile=False, buffer_size=None)
    assert make
    first, second = make(), make()
    assert first.opening == second.opening == "你".encode("gbk")
    assert first.outbound
    assert first.outbound is not second.outbound
    assert first.inbound is not second.inbound


def test_what_would_have_nothing_to_do_is_a_usage_error(context: Context) -> None:
    assert find_program(context, ["cat"], reply=None, label=False).name == "cat"
    with pytest.raises(UsageError, match="--reply cannot be used with --exec or --shell: remove"):
        find_program(context, ["cat"], reply="")
    with pytest.raises(
        UsageError, match="--label cannot be used with --exec or --shell: remove it"
    ):
        find_program(context, ["cat"], label=True)
    with pytest.raises(UsageError, match="--slow-timeout cannot be used with"):
        find_program(context, ["cat"], slow_timeout=1.0)
    with pytest.raises(UsageError, match="could not find or run the program 'no-such-program'"):
        find_program(context, ["no-such-program"])


class Bound:
    def __init__(self, address: str, port: int | None) -> None:
        self.address, self.port = address, port


ALLOWED = AccessOptions(allow=("10.0.0.1",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "port", "access", "tls", "warns"),
    [
        ("127.0.0.1:1", 1, None, None, False),
        ("[::1]:1", 1, None, None, False),
        ("unix:/a", None, None, None, False),
        ("0.0.0.0:1", 1, None, None, True),
        ("[::]:1", 1, AccessOptions(deny=ALLOWED.allow), ServerTls(), True),
        ("0.0.0.0:1", 1, ALLOWED, None, False),
        ("0.0.0.0:1", 1, AccessOptions(allow_file=("f",)), None, False),
        ("0.0.0.0:1", 1, None, ServerTls(client_ca="f"), False),
    ],
)
def test_a_port_for_anybody_is_warned_of(
    address: str,
    port: int | None,
    access: AccessOptions | None,
    tls: ServerTls | None,
    warns: bool,
    loop: Loop,
) -> None:
    events: list[Event] = []
    listener: Any = Bound(address, port)
    warn_of_strangers(kit.context(loop, emit=events.append), listener, access, tls)
    assert len(kit.of_kind(events, Notice)) == warns


def test_what_was_meant_for_a_shell_is_told(context: Context) -> None:
    told: list[Event] = []
    find_program(context._replace(emit=told.append), ["cat", "|", "cat"])
    (notice,) = told
    assert notice == Notice("--exec uses no shell, so '|' is an argument of cat: try --shell")
