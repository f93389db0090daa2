"""The room as a command; more is in tests/e2e/test_chat.py."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket

import pytest

from sockkit.apps.chat_serve import ChatServe
from sockkit.apps.chat_serve import run as run_room
from sockkit.core.address import HostPort
from sockkit.core.chat.room import RoomOptions
from sockkit.errors import Stopped
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.refusal import refusal
from tests.support import HERE, Program, few_descriptors


@pytest.mark.process
@pytest.mark.parametrize("udp", [False, True])
def test_its_lines_have_the_time_and_names_the_colours_that_it_is_given(udp: bool) -> None:
    kind = ["--udp"] if udp else []
    options = ["--timestamps", "--color", "alex=red", *kind]
    with (
        Program("chat", "serve", "-p", "0", *options, env={"FORCE_COLOR": "1"}) as room,
        socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock,
    ):
        sock.connect((HERE, room.port))
        sock.send(b"alex:hi" if udp else b"/nick alex\nhi\n")
        assert room.process.stdout
        lines = [room.process.stdout.readline().decode() for _ in range(2)]
    name = "\x1b[31malex:\x1b[39m" if udp else "\x1b[31m[alex] \x1b[39m"
    for line, words in zip(lines, ("* alex joined", f"{name}hi"), strict=True):
        assert re.fullmatch(rf"\d\d:\d\d:\d\d {re.escape(words)}\n", line)


def test_it_may_have_as_many_descriptors_as_the_system_allows() -> None:
    config = ChatServe(ListenOptions(HostPort(HERE, 0)), SocketOptions(), RoomOptions())

    def stop() -> None:
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
        raise Stopped(signal.SIGTERM)

    with few_descriptors() as most, Loop() as loop, open(os.devnull, "r+b") as null:
        stdio = Stdio(Input(loop, null.fileno()), Output(loop, null.fileno()), "utf-8")
        loop.call_soon(stop)
        with pytest.raises(Stopped):
            run_room(config, kit.context(loop, stdio))


@pytest.mark.process
@pytest.mark.parametrize(
    "option",
    ["--password x", "--history 5", "--motd x", "--history-file x", "--client-encoding gbk"],
)
def test_what_a_room_over_udp_does_not_have(option: str) -> None:
    status, _, stderr = refusal("chat", "serve", "-p", "0", "--udp", *option.split())
    assert status == 2
    assert f"{option.split()[0]} cannot be used with --udp: remove one of them" in stderr
