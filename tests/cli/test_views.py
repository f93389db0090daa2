"""The options of views."""

from __future__ import annotations

from typing import Any

import pytest

from sockkit.cli.views import DATAGRAM_VIEW, STREAM_VIEW, VIEW, viewed
from sockkit.net.context import Context
from tests.net import kit

loop = kit.loop


def values(**given: Any) -> dict[str, Any]:
    none = dict.fromkeys(("frame", "record", "encoding", "send_encoding", "errors"))
    return {
        **none,
        **dict.fromkeys(("hex", "json", "append", "timestamps", "crlf"), False),
        **given,
    }


def seen(context: Context, *, switchable: bool = False, **given: Any) -> bool:
    with viewed("tcp-client", context, values(**given), switchable=switchable) as run:
        return run.views is not None


def test_nothing_looks_where_nothing_was_asked_for(loop: kit.Loop) -> None:
    context = kit.context(loop)
    assert not seen(context)
    assert not seen(context, timestamps=True)  # of lines, which others begin
    with viewed("probe", context, {}, switchable=False) as run:
        assert run is context


def test_each_option_has_something_look(loop: kit.Loop, tmp_path: Any) -> None:
    from sockkit.core.frame_spec import parse_frame

    context = kit.context(loop)
    assert seen(context, record=str(tmp_path / "a.rec"))
    assert seen(context, frame=parse_frame("line"))


@pytest.mark.parametrize(
    ("bundle", "frames", "progress"),
    [(VIEW, True, False), (STREAM_VIEW, True, True), (DATAGRAM_VIEW, False, True)],
)
def test_what_has_no_frames_and_no_progress_has_no_such_option(
    bundle: Any, frames: bool, progress: bool
) -> None:
    names = {option.name for option in bundle.options}
    assert {"hex", "json", "timestamps", "record", "append"} <= names
    assert ("frame" in names, "progress" in names) == (frames, progress)
