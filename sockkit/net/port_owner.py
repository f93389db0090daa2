"""Finds the process that holds a port, in /proc, proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator

_STATES = {"tcp": "0A", "udp": "07"}  # bound sockets in /proc/net: TCP_LISTEN, TCP_CLOSE


def port_owner(port: int, protocol: str = "tcp") -> str | None:
    """The process that holds `port`, as in `python3 (process 1234)`; None if it is not found."""
    sockets = {f"socket:[{inode}]" for inode in _bound(port, protocol)}
    if not sockets:
        return None
    for process in filter(str.isdecimal, _entries("/proc")):
        for descriptor in _entries(f"/proc/{process}/fd"):
            try:
                if os.readlink(f"/proc/{process}/fd/{descriptor}") in sockets:
                    with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                        return f"{file.read().strip()} (process {process})"
            except OSError:
                pass  # the descriptor was closed, or the process has ended
    return None


def _bound(port: int, protocol: str) -> Iterator[str]:
    """The inodes of the sockets that are bound to `port`."""
    for table in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        try:
            with open(table, encoding="ascii") as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _STATES[protocol] and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []  # not Linux, or a process of another user
