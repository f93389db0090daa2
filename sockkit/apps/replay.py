"""replay: plays the client's side of a recording to a server, or the server's side to clients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import invite, secure_dialling, secure_listening
from sockkit.core.address import Address
from sockkit.core.player import Player, PlayOptions
from sockkit.core.printable import escape
from sockkit.core.units import show_count
from sockkit.errors import Differs, SockkitError, UsageError
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.replay.answers import Answers
from sockkit.net.replay.playing import Playing, PlayingOptions
from sockkit.net.replay.recording import Index, Numbers, Read, Recording, steps
from sockkit.net.waiting import OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.replay.server import Programme
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions
    from sockkit.net.tls.options import ClientTls, ServerTls

IDLE_SECONDS = 5.0  # of silence for which a client waits for an answer


class Replay(Value):
    """Without `listen` the client's side is played to `address`, with it the server's side."""

    path: str
    play: PlayOptions
    sockets: SocketOptions
    address: Address | None = None
    connect: ConnectOptions | None = None
    listen: ListenOptions | None = None
    idle: float | None = None
    once: bool = False
    port_file: str | None = None
    client_tls: ClientTls | None = None
    server_tls: ServerTls | None = None


def run(config: Replay, context: Context) -> None:
    """Return when all is played. Raises SockkitError, also if an answer differs."""
    name = escape(config.path)
    recording = Recording(config.path, name)
    try:
        serve = config.listen is not None
        switch = context.views.switch if context.views and not serve else None
        if switch or config.play.peers:
            several = _has_several(config.play.peers, context, recording, name)
            if switch:
                switch.labels(several)
        (_serve if serve else _play)(config, context, recording, name)
    finally:
        recording.close()


def _play(config: Replay, context: Context, recording: Recording, name: str) -> None:
    from sockkit.net.replay.client import Dialler

    assert config.address
    assert config.connect
    connect = secure_dialling(context, config.connect, config.address, config.client_tls)
    dialler = Dialler(context, config.address, connect, config.sockets)
    player, answers = Player(config.play), Answers(context)
    idle = IDLE_SECONDS if config.idle is None else config.idle
    options = PlayingOptions(None if config.play.verify else answers, idle)

    def start(on_done: OnDone[None]) -> Pending:
        context.stdio.output.when_gone(on_done)
        made = Playing(context, steps(recording, player), player, dialler.open, options, on_done)
        answers.on_room = made.wake
        return made

    try:
        wait_for(context.loop, start)
        answers.drain()
    except Differs as error:
        answers.show(error)
        answers.drain()
        raise
    finally:
        dialler.close()
        answers.stop()
    _check_met(player.met, name)
    _tell(recording, context, name)


def _serve(config: Replay, context: Context, recording: Recording, name: str) -> None:
    from sockkit.net.replay.server import Programme

    index = Index(config.play.peers)
    wait_for(context.loop, partial(_Reading, context, recording, index.add))
    _check_met(len(index), name)
    _tell(recording, context, name)
    if index.left_out:
        left_out = show_count(index.left_out, "recorded connection")
        context.emit(Notice(f"{left_out} skipped: streams mixed with datagrams, or too many"))
    shows = not config.play.verify
    programme = Programme(recording, index, config.play, config.idle, config.once, shows)
    (_serve_datagrams if index.datagrams else _serve_streams)(config, context, programme)


def _serve_streams(config: Replay, context: Context, programme: Programme) -> None:
    from sockkit.net.port_file import port_file
    from sockkit.net.replay.server import ReplayServer
    from sockkit.net.tcp.listen import announce, listen, raise_limit
    from sockkit.net.timeouts import first_client

    assert config.listen
    raise_limit()
    options = secure_listening(context, config.listen, None, config.server_tls)
    listener = wait_for(context.loop, partial(listen, context, options, config.sockets))
    try:
        with (
            port_file(context.loop, config.port_file, listener),
            first_client(context.loop, options.timeout, listener),
        ):
            announce(listener, context)
            invite(context, options, listener, "tcp-client")
            ReplayServer(context, listener, programme).run()
    finally:
        listener.close()


def _serve_datagrams(config: Replay, context: Context, programme: Programme) -> None:
    from sockkit.net.port_file import port_file
    from sockkit.net.replay.client import check_datagrams
    from sockkit.net.replay.udp_server import DatagramReplayServer
    from sockkit.net.tcp.listen import announce
    from sockkit.net.timeouts import first_client
    from sockkit.net.udp.open import UdpOptions, bind_datagrams

    assert config.listen
    check_datagrams(context, encrypted=config.server_tls is not None)
    sockets = config.sockets.for_datagrams()
    binding = partial(bind_datagrams, context, config.listen, sockets, UdpOptions())
    sock = wait_for(context.loop, binding)
    try:
        with (
            port_file(context.loop, config.port_file, sock),
            first_client(context.loop, config.listen.timeout, sock),
        ):
            announce(sock, context)
            DatagramReplayServer(context, sock, programme).run()
    finally:
        sock.close()


class _Reading(Pending):
    """Reads a recording to its end, chunk by chunk, and calls `add` with each record."""

    def __init__(
        self,
        context: Context,
        recording: Recording,
        add: Callable[[Read], None],
        on_done: OnDone[None],
    ) -> None:
        self._loop, self._add, self._on_done = context.loop, add, on_done
        self._records = recording.read()
        self._loop.call_soon(self._read)

    def cancel(self) -> None:
        self._on_done = lambda _: None
        self._records = iter(())

    def _read(self) -> None:
        try:
            for read in self._records:
                if not read:
                    self._loop.call_soon(self._read)
                    return
                self._add(read)
        except SockkitError as error:
            self._on_done(error)
        else:
            self._on_done(None)


def _has_several(peers: frozenset[int], context: Context, recording: Recording, name: str) -> bool:
    """Whether several peers are played. Raises UsageError if the recording lacks one of `peers`."""
    numbers = Numbers(peers)
    try:
        wait_for(context.loop, partial(_Reading, context, recording, numbers.add))
    except SockkitError:  # the records before the damage are played
        if numbers.lacking:
            raise
    if numbers and numbers.lacking:
        lacking = ", ".join(map(str, sorted(numbers.lacking)))
        are = "peers are" if len(numbers) > 1 else "only peer is"
        raise UsageError(f"{name} has no peer {lacking}", f"its {are} {numbers}")
    return len(peers or numbers) > 1


def _check_met(met: int, name: str) -> None:
    """Raise an error if there was nothing to play."""
    if not met:
        raise SockkitError(f"{name} has no connection to replay", "record one with --record")


def _tell(recording: Recording, context: Context, name: str) -> None:
    if recording.missing:
        context.emit(Notice(f"{name}: {recording.missing}"))
