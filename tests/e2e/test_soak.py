"""Ten minutes of clients that talk, half-close, reset and stall: memory stays where it was."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time

import pytest

from tests.support import Program, connect, read_exactly, reset

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
CLIENTS = 200


@pytest.mark.torture
@pytest.mark.timeout(SECONDS + 120)
def test_memory_stays() -> None:
    chance = random.Random(1)
    began = time.monotonic()
    first = None
    with (
        Program("tcp-server", "-p", "0", "--backlog", "256", "--reply", "ok", stdout=-3) as program,
        contextlib.ExitStack() as stack,
    ):
        port = program.port
        clients: list[socket.socket] = [connect(port) for _ in range(CLIENTS)]
        stack.callback(lambda: [client.close() for client in clients])
        while time.monotonic() - began < SECONDS:
            place = chance.randrange(CLIENTS)
            client = clients[place]
            what = chance.choice(["talk", "half-close", "reset", "stall"])
            if what == "talk":
                client.sendall(b"hello\n")
                assert read_exactly(client, 2) == b"ok"
                continue
            if what == "stall":
                continue
            if what == "half-close":
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
                client.close()
            else:
                reset(client)
            clients[place] = connect(port)
            if first is None and time.monotonic() - began > SECONDS / 10:
                first = program.resident()
        assert first is not None
        assert program.resident() - first < 5 * 2**20
        program.process.terminate()
        assert program.status() == 143
