from __future__ import annotations

import re
import unicodedata

from sockkit.core.lookalikes import INVISIBLE, STACKERS, prototypes


def test_prototypes() -> None:
    table = prototypes()
    assert "ꓢꓐ01I".translate(table) == "SBOll"
    assert "m".translate(table) == "rn"
    assert not [chr(one) for one in table if unicodedata.normalize("NFD", chr(one)) != chr(one)]
    once = {source: target for source, target in table.items() if ord(target[0]) != source}
    assert len(once) > 2000


def test_what_nobody_sees() -> None:
    unseen = re.compile(f"[{INVISIBLE}]")
    for character in "\xad\u034f\u115f\u2800\ufe0f\ufffc\U0001d159\U000e0001":
        assert unseen.match(character)
    for character in "ab小🎉\u0301\u3042" + STACKERS:
        assert not unseen.match(character)
