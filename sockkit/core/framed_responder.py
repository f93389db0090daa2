"""Answers to the frames of a stream, where `--frame` says what a message is.

The delimiter of a frame is not part of the message, and also ends the answer. In other frames all
bytes are the message, including the marker and the length. Only ordinary frames can match a rule:
stray bytes, pieces of a frame that is too long, and a cut frame are echoed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sockkit.core.frames import Delimited, Frame, FrameRule
from sockkit.core.responder import MAX_MESSAGE_BYTES, Responder

MAX_FED_BYTES = 8 * 1024  # at once: each byte may be a frame, and other peers wait meanwhile


class FramedResponder(Responder):
    """Answers each frame as `responder` answers a message. `clock` is in seconds.

    A frame of more than MAX_MESSAGE_BYTES is echoed, as the time for a message is bounded.
    """

    def __init__(self, rule: FrameRule, responder: Responder, clock: Callable[[], float]) -> None:
        self._framer, self._responder, self._clock = rule.framer(), responder, clock
        self._end = b""  # a frame's delimiter; the responder itself keeps a line's end
        if isinstance(rule, Delimited) and not rule.open_end:
            self._end = rule.delimiter

    @property
    def due(self) -> float | None:
        return self._framer.due

    def feed(self, data: bytes) -> Iterator[bytes]:
        now = self._clock()
        for at in range(0, len(data), MAX_FED_BYTES):
            yield from self._answers(self._framer.feed(data[at : at + MAX_FED_BYTES], now))

    def expire(self) -> Iterator[bytes]:
        yield from self._answers(self._framer.expire(self._clock()))

    def flush(self) -> Iterator[bytes]:
        yield from self._answers(self._framer.flush())

    def answer(self, message: bytes) -> bytes:
        return self._responder.answer(message)

    def _answers(self, frames: Iterable[Frame]) -> Iterator[bytes]:
        for data, mark in frames:
            if mark or len(data) > MAX_MESSAGE_BYTES:
                yield data
            else:
                yield self.answer(data.removesuffix(self._end)) + self._end
