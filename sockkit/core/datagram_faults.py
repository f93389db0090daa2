"""Faults of datagrams: which are dropped, duplicated, corrupted or reordered.

A `DatagramFaults` belongs to one direction of one peer. With the same seed it makes the same
choices for the same datagrams in every run.
"""

from __future__ import annotations

from random import Random

from sockkit.core.faults import Fault, FaultOptions

MAX_HELD = 64  # datagrams held back for a later one; any more are passed on at once


def generator(seed: int | None, number: int, direction: str) -> Random:
    """The random choices for one direction of peer `number`."""
    return Random(f"{seed} {number} {direction}")


class DatagramFaults:
    """Drops, corrupts, duplicates and reorders datagrams.

    A reordered datagram is `held` until the next one that is not reordered has passed. Call `flush`
    when none comes for a while, so that it is not lost.
    """

    def __init__(self, options: FaultOptions, random: Random) -> None:
        self._options, self._random = options, random
        self._held: list[bytes] = []  # released last first, so each comes after its successor

    @property
    def held(self) -> bool:
        return bool(self._held)

    def feed(self, datagram: bytes) -> tuple[list[bytes], list[Fault]]:
        """Take a datagram. Returns what to pass on now, and the faults that were injected."""
        options, faults = self._options, []
        if self._picks(options.drop):
            return [], [Fault.DROPPED]
        if datagram and self._picks(options.corrupt):
            datagram = self._corrupt(datagram)
            faults.append(Fault.CORRUPTED)
        if self._picks(options.reorder) and len(self._held) < MAX_HELD:
            self._held.append(datagram)
            return [], faults
        passed = [datagram]
        if self._picks(options.duplicate):
            passed.append(datagram)
            faults.append(Fault.DUPLICATED)
        faults += [Fault.REORDERED] * len(self._held)
        return passed + self._release(), faults

    def flush(self) -> tuple[list[bytes], list[Fault]]:
        """Release all held datagrams when no other comes. The last one then counts as in order."""
        faults = [Fault.REORDERED] * (len(self._held) - 1)
        return self._release(), faults

    def _release(self) -> list[bytes]:
        held, self._held = self._held[::-1], []
        return held

    def _picks(self, share: float) -> bool:
        return bool(share) and self._random.random() < share

    def _corrupt(self, datagram: bytes) -> bytes:
        """Change one bit."""
        bit = self._random.randrange(8 * len(datagram))
        changed = bytearray(datagram)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)
