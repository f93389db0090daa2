"""A server of many: the server runs in a thread, the test is its clients and its user."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core import ending
from sockkit.core.address import HostPort
from sockkit.core.ending import EndOptions, Until
from sockkit.core.text import Errors, TextOptions
from sockkit.errors import OutputError, OutputGone, SendError, SockkitError, Stopped, TextError
from sockkit.events import Closed, Connected, Event, Failure, Notice
from sockkit.net import closing
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.outbox import Outbox
from sockkit.net.tcp import merged_output
from sockkit.net.tcp import server as module
from sockkit.net.tcp.client import ClientOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tcp.server import CLIENTS_STAY, Server, ServerOptions
from tests.net import kit
from tests.net.kit import HERE, Far, Feeding, Gathering, Made, noise
from tests.support import eventually, read_all, read_exactly

loop, stack = kit.loop, kit.stack


class Serving:
    """A server with pipes for stdin and output, served until `stop`."""

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        clients: ClientOptions,
        output: Made | None,
        more: dict[str, Any],
        on_typed: Callable[[bytes], None] | None,
    ) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self.input = kit.source("pipe", stack, Path())
        self.output = output or kit.sink("pipe", stack, Path())
        options, sockets = ListenOptions(HostPort(HERE, 0)), SocketOptions(reuse_address=True)
        self.listener = kit.listening(loop, options, sockets, self._told)
        stdio = Stdio(self.input.end, self.output.end, "utf-8")
        if more.pop("labelled", False):
            more["label"] = lambda peer: f"[{peer.number} {peer.address}] ".encode()
        context = kit.context(loop, stdio, self._told)
        self.server = Server(context, self.listener, ServerOptions(clients, **more))
        self._error: BaseException | None = None
        self._on_typed = on_typed
        self._thread = threading.Thread(target=self._run, args=(self.server,), daemon=True)
        self._thread.start()

    def _run(self, server: Server) -> None:
        try:
            server.run(self._on_typed)
        except BaseException as error:
            self._error = error

    def _told(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def told(self, kind: type, count: int = 1) -> list[Any]:
        """Wait for so many events of a kind."""
        with self._changed:
            enough = lambda: len(kit.of_kind(self.events, kind)) >= count  # noqa: E731
            assert self._changed.wait_for(enough, kit.WAIT), self.events
        return kit.of_kind(self.events, kind)

    def client(self) -> socket.socket:
        """A client that the server knows of."""
        known = len(kit.of_kind(self.events, Connected))
        sock = socket.create_connection((HERE, self.listener.port), kit.WAIT)
        self._stack.enter_context(sock)
        self.told(Connected, known + 1)
        self.settle()
        return sock

    def ask(self, question: Callable[[], bool]) -> bool:
        """What `question` answers in the loop's thread, where nothing is half done."""
        answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.loop.call_soon(lambda: answers.put(question()))
        return answers.get(timeout=kit.WAIT)

    def settle(self) -> None:
        """Wait until the loop has made a whole turn, and so done what was ready."""
        for _ in range(2):
            self.ask(lambda: True)

    def clog(self, client: socket.socket) -> None:
        """Have the client send more than stdout, a pipe, holds."""
        client.sendall(noise(200_000))
        eventually(lambda: self.ask(lambda: self.server._output.waits))

    def fill(self, outbox: Outbox) -> int:
        """Type until `outbox` holds something; how many bytes that took."""
        taken = 0
        # The server may be slower than it takes to fill stdin's pipe.
        while not self.ask(lambda: outbox.size):
            taken += kit.fill(self.input.far.descriptor)
        return taken

    def type(self, data: bytes) -> None:
        self.input.far.give(data)

    def shown(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.output.far.descriptor, size - len(data))
        return data

    def error(self) -> BaseException | None:
        """Wait for the end."""
        self._thread.join(kit.WAIT + 1)
        assert not self._thread.is_alive(), "the server did not end"
        return self._error

    def stop(self) -> BaseException | None:
        def end() -> None:
            raise Stopped(15)

        self.loop.call_soon(end)
        return self.error()


Serve = Callable[..., Serving]


@pytest.fixture
def serve(loop: Loop, stack: contextlib.ExitStack) -> Iterator[Serve]:
    begun: list[Serving] = []

    def serve(
        ending: EndOptions = EndOptions(),  # noqa: B008
        slow: float = 30.0,
        text: TextOptions = TextOptions(),  # noqa: B008
        output: Made | None = None,
        on_typed: Callable[[bytes], None] | None = None,
        **more: Any,
    ) -> Serving:
        clients = ClientOptions(
            ending,
            outbound=lambda: text.outbound("utf-8", "stdin"),
            inbound=lambda: text.inbound("utf-8"),
            slow_timeout=slow,
        )
        begun.append(Serving(loop, stack, clients, output, more, on_typed))
        return begun[-1]

    yield serve
    for each in begun:
        error = each.stop()
        assert not isinstance(error, AssertionError), error  # too late: that closes all, too


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_every_client_gets_standard_input(serve: Serve) -> None:
    server = serve()
    clients = [server.client() for _ in range(3)]
    data = noise(500_000)
    feeding = Feeding(server.input.far, data)
    got: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda n=n: got.update({n: read_exactly(clients[n], len(data))}))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(kit.WAIT)
    feeding.join()
    assert got == dict.fromkeys(range(3), data)


def test_what_was_moved_counts_all_clients_also_those_that_have_left(serve: Serve) -> None:
    serving = serve()
    one, two = serving.client(), serving.client()
    serving.type(b"hello")
    one.sendall(b"1234567")
    two.sendall(b"89")
    assert read_exactly(one, 5) == read_exactly(two, 5) == b"hello"
    serving.shown(9)
    assert serving.ask(lambda: serving.server.moved() == (10, 9))
    reset(one)  # else the server waits for one that may still read
    serving.told(Closed)
    serving.settle()
    assert serving.ask(lambda: serving.server.moved() == (10, 9))
    two.sendall(b"!")
    serving.shown(1)
    assert serving.ask(lambda: serving.server.moved() == (10, 10))


def test_standard_input_is_not_read_before_there_is_a_client(serve: Serve) -> None:
    server = serve()
    server.type(b"for the first")
    server.settle()
    client = server.client()
    assert read_exactly(client, 13) == b"for the first"
    reset(client)
    server.told(Closed)
    server.type(b"for the next")
    server.settle()
    assert read_exactly(server.client(), 12) == b"for the next"


def test_the_end_of_input_ends_nothing(serve: Serve) -> None:
    server = serve()
    early = server.client()
    server.type(b"all there is")
    server.input.far.close()
    assert read_exactly(early, 12) == b"all there is"
    late = server.client()
    for number, sock in enumerate((early, late)):
        sock.sendall(b"%d\n" % number)
        assert server.shown(2) == b"%d\n" % number
    early.shutdown(socket.SHUT_WR)  # now both sides of this one have ended
    assert read_all(early) == b""
    assert [event.problem for event in server.told(Closed)] == [""]
    late.sendall(b"still\n")
    assert server.shown(6) == b"still\n"
    assert server.told(Notice) == [Notice(CLIENTS_STAY)]


def test_the_end_of_an_empty_input_is_not_told(serve: Serve) -> None:
    server = serve()
    server.input.far.close()
    early = server.client()
    early.shutdown(socket.SHUT_WR)
    assert read_all(early) == b""
    server.told(Closed)
    assert not kit.of_kind(server.events, Notice)


@pytest.mark.parametrize("linger", [None, 0.05])
def test_who_comes_after_the_end_of_input_is_told_of_it(
    linger: float | None, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it need not wait for more when it ends its side, nor be waited for beyond `linger`."""
    monkeypatch.setattr(ending, "PEER_ENDED_LINGER", 1000.0)
    server = serve(EndOptions(linger=linger))
    server.input.far.close()
    server.client().shutdown(socket.SHUT_WR)
    late = server.client()
    if linger is None:
        late.shutdown(socket.SHUT_WR)
    assert read_all(late) == b""
    assert [event.problem for event in server.told(Closed, 2)] == ["", ""]
    server.settle()  # it has not ended, which would have closed all


def test_a_client_that_has_ended_its_side_still_gets_input(serve: Serve) -> None:
    server = serve()
    client = server.client()
    client.sendall(b"question\n")
    client.shutdown(socket.SHUT_WR)
    assert server.shown(9) == b"question\n"
    server.type(b"answer")
    assert read_exactly(client, 6) == b"answer"


def test_until_peer_closes_at_the_clients_end(serve: Serve) -> None:
    server = serve(EndOptions(Until.PEER))
    client = server.client()
    client.shutdown(socket.SHUT_WR)
    assert read_all(client) == b""


def test_an_idle_client_is_closed(serve: Serve) -> None:
    server = serve(EndOptions(idle=0.05))
    assert read_all(server.client()) == b""
    assert "nothing was sent or received" in server.told(Closed)[0].problem


@pytest.mark.parametrize("labelled", [False, True])
def test_two_clients_never_share_a_line(labelled: bool, serve: Serve) -> None:
    server = serve(labelled=labelled)
    clients = [server.client(), server.client()]
    lines = [[b"%d-%d-%s" % (n, i, b"x" * (i % 50)) for i in range(300)] for n in range(2)]

    def say(number: int) -> None:
        data = b"".join(line + b"\n" for line in lines[number])
        for start in range(0, len(data), 7):  # cut anywhere
            clients[number].sendall(data[start : start + 7])

    threads = [threading.Thread(target=say, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    labels = [b"[%d %s:%d] " % (n + 1, HERE.encode(), clients[n].getsockname()[1]) for n in (0, 1)]
    size = sum(len(line) + 1 for each in lines for line in each)
    size += sum(map(len, labels)) * 300 if labelled else 0
    shown = server.shown(size).splitlines()
    for thread in threads:
        thread.join(kit.WAIT)
    for number in range(2):
        own = [labels[number] + line if labelled else line for line in lines[number]]
        mine = re.compile(rb"(?:\[[^]]*\] )?%d-" % number)
        assert [line for line in shown if mine.match(line)] == own


def test_a_line_without_its_end_waits_for_a_while_and_no_longer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged_output, "MAX_LINE_PAUSE_SECONDS", 0.05)
    server = serve(labelled=True)
    first, second = server.client(), server.client()
    names = [b"[%d %s:%d] " % (n + 1, HERE.encode(), sock.getsockname()[1])
             for n, sock in enumerate((first, second))]  # fmt: skip
    first.sendall(b"prompt> ")
    assert server.shown(len(names[0]) + 8) == names[0] + b"prompt> "
    second.sendall(b"other\n")
    assert server.shown(len(names[1]) + 7) == b"\n" + names[1] + b"other\n"


def test_patience_with_a_line_is_counted_from_its_last_byte(
    loop: Loop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(loop, monkeypatch)
    server = serve()
    client = server.client()
    for piece in (b"one ", b"byte ", b"at a time"):
        client.sendall(piece)
        server.settle()
        clock.passes(merged_output.MAX_LINE_PAUSE_SECONDS * 0.7)
        server.settle()
        assert not select.select([server.output.far.descriptor], [], [], 0)[0]
    clock.passes(merged_output.MAX_LINE_PAUSE_SECONDS * 0.7)
    server.settle()
    assert server.shown(18) == b"one byte at a time"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_line_is_shown_although_its_client_leaves_in_it(end: str, serve: Serve) -> None:
    server = serve(EndOptions(Until.PEER))
    client = server.client()
    client.sendall(b"unfinished")
    server.settle()
    client.close() if end == "close" else reset(client)
    assert server.shown(10) == b"unfinished"


def test_a_reset_of_one_leaves_the_others(serve: Serve) -> None:
    server = serve()
    first, second = server.client(), server.client()
    reset(first)
    closed = server.told(Closed)[0]
    assert (closed.peer.number, "connection reset" in closed.problem) == (1, True)
    second.sendall(b"here\n")
    assert server.shown(5) == b"here\n"
    server.type(b"good")
    assert read_exactly(second, 4) == b"good"


def test_a_slow_client_holds_input_back_and_is_then_dropped_and_named(serve: Serve) -> None:
    server = serve(slow=0.3)
    slow, quick = server.client(), server.client()
    data = noise(20_000_000)
    feeding = Feeding(server.input.far, data)
    assert read_exactly(quick, len(data)) == data
    feeding.join()
    closed = server.told(Closed)[0]
    assert closed.peer.number == 1
    assert "too slow for 0.3 s (--slow-timeout)" in closed.problem
    assert "bytes not sent" in closed.problem
    assert len(kit.of_kind(server.events, Closed)) == 1
    with pytest.raises(ConnectionResetError):
        read_all(slow)


def test_what_waits_for_a_slow_client_is_bounded(serve: Serve) -> None:
    server = serve()
    server.client()
    (client,) = server.server._clients.values()
    taken = server.fill(client.connection.outbox)
    assert client.connection.outbox.size <= module.MAX_RECEIVE_BYTES
    error = server.stop()
    assert isinstance(error, Stopped)
    unsent = re.fullmatch(r"([\d,]+) bytes of the input not sent", error.so_far)
    assert unsent  # which counts what waits in the system, too
    assert module.MAX_RECEIVE_BYTES < int(unsent[1].replace(",", "")) <= taken


def test_clients_are_held_back_by_an_output_that_takes_nothing(serve: Serve) -> None:
    server = serve()
    talker, listener = server.client(), server.client()
    size = kit.fill(talker.fileno())
    server.type(b"others are served")
    assert read_exactly(listener, 17) == b"others are served"
    assert server.shown(size) == (b"x\n" * size)[:size]


def test_what_is_typed_goes_to_the_console_until_the_server_quits(serve: Serve) -> None:
    typed: list[bytes] = []
    server = serve(on_typed=typed.append)
    server.type(b"/list\n")
    eventually(lambda: typed == [b"/list\n"])
    client = server.client()
    server.clog(client)  # the server goes on until that is written
    server.loop.call_soon(server.server.quit)
    server.told(Closed)
    server.type(b"too late\n")
    server.settle()
    shown = Gathering(server.output.far)
    assert server.error() is None
    server.output.release()
    assert shown.result()
    assert typed == [b"/list\n"]


def test_an_input_that_cannot_be_read_ends_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    client = server.client()
    error = SockkitError("could not read stdin")
    kit.fail_nth(monkeypatch, Input, "read_into", 1, error)
    server.type(b"x")
    assert server.error() is error
    assert read_all(client) == b""


def test_quitting_waits_for_what_is_not_yet_written(serve: Serve) -> None:
    server = serve()
    client = server.client()
    server.clog(client)
    server.loop.call_soon(server.server.quit)
    (closed,) = server.told(Closed)
    server.settle()  # else it is over
    shown = Gathering(server.output.far)
    assert server.error() is None
    server.output.release()
    assert shown.result() == noise(200_000)[: closed.received]


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("held", [b"", b"a line begun"])
def test_when_our_output_is_gone_all_are_closed(held: bytes, labelled: bool, serve: Serve) -> None:
    server = serve(labelled=labelled)
    clients = [server.client() for _ in range(3)]
    for client in clients:
        client.sendall(held)
    server.settle()
    server.output.far.close()
    assert isinstance(server.error(), OutputGone)
    for client in clients:
        assert read_all(client) == b""


def test_an_output_that_cannot_be_written_ends_the_server(
    serve: Serve, stack: contextlib.ExitStack
) -> None:
    full = kit.stdio_end(Output, os.open("/dev/full", os.O_WRONLY), Far(-1), stack)
    server = serve(output=full)
    client = server.client()
    client.sendall(b"lost\n")
    error = server.error()
    assert isinstance(error, OutputError)
    assert "no space left on device" in str(error)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_what_is_lost_by_a_full_output_is_told(serve: Serve, stack: contextlib.ExitStack) -> None:
    """What has arrived counts, and no label; the line that is not finished, too."""
    full = kit.stdio_end(Output, os.open("/dev/full", os.O_WRONLY), Far(-1), stack)
    server = serve(output=full, labelled=True)
    first, second = server.client(), server.client()
    first.sendall(b"unfinished")
    server.settle()
    second.sendall(b"line\nand")
    error = server.error()
    assert isinstance(error, OutputError)
    assert error.so_far == "18 bytes received but not written"


def test_what_was_lost_for_two_reasons_is_told_and_the_worse_counts(serve: Serve) -> None:
    server = serve(text=TextOptions(encoding="gbk"), slow=0.3)
    server.client()
    server.type("早👋".encode())
    server.told(Failure)
    kit.Feeding(server.input.far, "早".encode() * 5_000_000)  # which it does not take
    server.told(Closed)
    server.loop.call_soon(server.server.quit)
    error = server.error()
    assert isinstance(error, SendError)
    assert str(error).startswith(
        "part of the input did not reach 1 of the clients, part of the input could not be encoded"
    )


@pytest.mark.parametrize("how", ["resets", "closes"])
def test_what_a_client_that_leaves_has_missed_is_told_and_makes_the_end_a_failure(
    how: str, serve: Serve
) -> None:
    """What waits for it, and what its system has not acknowledged; to close is to reset, here."""
    server = serve()
    client = server.client()
    (known,) = server.server._clients.values()
    outbox = known.connection.outbox
    taken = server.fill(outbox)
    reset(client) if how == "resets" else client.close()
    (closed,) = server.told(Closed)
    lost = re.search(r"([\d,]+) bytes not sent", closed.problem)
    assert lost
    missed = int(lost[1].replace(",", ""))
    assert 0 < outbox.dropped < missed
    assert closed.sent + missed == outbox.bytes_written + outbox.dropped <= taken
    server.loop.call_soon(server.server.quit)
    error = server.error()
    assert isinstance(error, SendError)
    assert str(error) == "part of the input did not reach 1 of the clients"
    assert error.status == 55


def test_a_newcomer_finds_room_among_those_who_are_let_go(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_CLOSING_CONNECTIONS", 1)
    monkeypatch.setattr(closing, "QUIET_SECONDS", 1000.0)
    monkeypatch.setattr(closing, "MAX_CHATTER_SECONDS", 1000.0)
    server = serve()
    first = server.client()
    server.loop.call_soon(lambda: server.server.kick(1))
    assert read_all(first) == b""
    server.client()
    assert server.told(Closed)[0].peer.number == 1


def test_who_leaves_makes_room_for_a_newcomer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no descriptor for one, or where there were as many as there may be."""
    server = serve()
    released = threading.Event()
    monkeypatch.setattr(server.listener, "released", released.set)
    reset(server.client())
    assert released.wait(kit.WAIT)


def test_what_could_not_be_decoded_is_told_at_the_end(serve: Serve) -> None:
    server = serve(text=TextOptions(encoding="gbk", errors=Errors.STRICT))
    for _ in range(2):
        server.client().sendall(b"\xff\n")
    server.told(Closed, 2)
    server.loop.call_soon(server.server.quit)
    error = server.error()
    assert isinstance(error, TextError)
    assert str(error) == "what 2 of the clients sent could not be decoded"


def test_a_stop_closes_the_listener_before_the_clients(serve: Serve) -> None:
    server = serve()
    client = server.client()
    assert isinstance(server.stop(), Stopped)
    assert read_all(client) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, server.listener.port))
    last = [event for event in server.events if isinstance(event, Closed) or event[0] == "close"]
    assert str(last[0][1]).startswith("the listener")


def test_greeting_and_reply(serve: Serve) -> None:
    server = serve(greet=b"welcome\n", reply=b"noted\n")
    first, second = server.client(), server.client()
    assert read_exactly(first, 8) == read_exactly(second, 8) == b"welcome\n"
    first.sendall(b"this\n")
    assert read_exactly(first, 6) == b"noted\n"
    second.shutdown(socket.SHUT_WR)
    server.type(b"all")
    assert read_exactly(first, 3) == read_exactly(second, 3) == b"all"


def test_input_that_has_no_place_on_the_wire_is_told_and_the_rest_goes_on(serve: Serve) -> None:
    server = serve(text=TextOptions(encoding="gbk"))
    clients = [server.client(), server.client()]
    server.type("早👋".encode())
    assert "U+1F44B" in server.told(Failure)[0].text
    server.type("好".encode())
    for client in clients:
        assert read_exactly(client, 4) == "早好".encode("gbk")
    assert len(kit.of_kind(server.events, Failure)) == 1  # once, not for each client
