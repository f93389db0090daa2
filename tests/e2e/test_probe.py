"""probe as a whole program: real listeners, refusals, silence, TLS, and the program it becomes."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.support import (
    HERE,
    SOCKKIT,
    WAIT,
    Program,
    Terminal,
    few,
    gone,
    need,
    peer,
    read_all,
    reset,
    run,
)

PIPE = subprocess.PIPE


@contextlib.contextmanager
def listening(count: int = 1) -> Iterator[list[int]]:
    """Ports that accept."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((HERE, 0))) for _ in range(count)]
        yield [server.getsockname()[1] for server in servers]


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port that is bound, where nobody listens."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port whose backlog is full: who connects is not answered."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server((HERE, 0), backlog=0))
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def probe(*arguments: str, **more: object) -> tuple[int, list[str], list[str]]:
    """The status, and the lines of stdout and stderr."""
    status, out, err = run("probe", *arguments, **more)  # type: ignore[arg-type]
    return status, out.decode().splitlines(), err.splitlines()


def test_what_there_is_to_find(tmp_path: Path) -> None:
    with listening() as (live,), refusing() as dead, silent() as hole:
        status, lines, err = probe(
            "-w", "1", f"{HERE}:{hole},{live}", f"localhost:{dead}", "nosuch.invalid:1",
            f"unix:{tmp_path}/none",
        )  # fmt: skip
    assert status == 7
    assert lines[0] == f"{HERE}:{hole} no answer"
    assert lines[1].startswith(f"{HERE}:{live} open ")
    assert lines[1].endswith("ms")
    assert float(lines[1].split()[2].removesuffix("ms")) < 1000 * WAIT
    assert lines[2] == f"localhost:{dead} refused"
    assert lines[3].startswith("nosuch.invalid:1 not resolved: ")
    assert lines[4] == f"unix:{tmp_path}/none no such file or directory"
    (line,) = err
    assert line.startswith("sockkit: 1 of 5 targets is open (")


def test_what_to_try_is_said_of_one_target(tmp_path: Path) -> None:
    status, _, (told,) = probe(f"unix:{tmp_path}/none")
    assert status == 7
    assert told.endswith("no such file or directory: start the server first, or check the address")

    def hear(sock: socket.socket) -> None:
        sock.recv(1)
        reset(sock)

    with peer(hear) as port:
        words = [f"{HERE}:{port}", "--send", "x", "--match", "y", "-w", str(WAIT)]
        status, _, (told,) = probe(*words)
    assert status == 56
    assert told.endswith("connection reset by peer: the peer's log may say why")


def test_the_status_of_one_target_is_that_of_a_client(tmp_path: Path) -> None:
    with listening() as (live,), refusing() as dead, silent() as hole:
        assert probe(HERE, str(live))[0] == 0
        for words, expected, state in [
            ([f"{HERE}:{dead}"], 7, "refused"),
            ([HERE, str(hole), "-w", "0.2"], 28, "no answer"),
            (["nosuch.invalid:1"], 6, "not resolved"),
        ]:
            status, (line,), (error,) = probe(*words)
            assert status == expected
            assert line.split(" ", 1)[1].startswith(state)
            assert error.startswith("sockkit: could not ")
            assert probe("-q", *words) == (expected, [], [error])


def test_a_unix_socket_and_ipv6(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as local, socket.socket(socket.AF_INET6) as six:
        local.bind(str(tmp_path / "socket"))
        six.bind(("::1", 0))
        for listener in (local, six):
            listener.listen()
        port = six.getsockname()[1]
        status, lines, _ = probe(f"unix:{tmp_path}/socket", f"[::1]:{port}")
        assert (status, [line.split()[1] for line in lines]) == (0, ["open", "open"])
        assert probe("-4", f"[::1]:{port}")[0] == 6


def test_an_attempt_is_shown_as_a_clients_is() -> None:
    with listening() as (live,), refusing() as dead:
        _, _, err = probe("-v", f"{HERE}:{live},{dead}")
    assert f"* connecting to {HERE}:{live}" in err
    assert any(line.startswith(f"* connected to {HERE}:{live} from ") for line in err)
    assert f"* could not connect to {HERE}:{dead}: connection refused" in err


# Many at once.


def test_two_thousand_ports() -> None:
    with listening(3) as ports, refusing() as dead:
        others = [f"127.0.{net}.{host}:{dead}" for net in range(8) for host in range(1, 251)]
        words = [*others[:1000], *(f"{HERE}:{port}" for port in ports), *others[1000:]]
        status, lines, err = probe(*words)
    assert status == 7
    assert [line.split()[0] for line in lines] == words
    assert [line.split()[1] for line in lines].count("open") == 3
    assert err == ["sockkit: 3 of 2,003 targets are open (2,000 refused)"]


@pytest.mark.parametrize("limit", [few, None], ids=["64", "very few"])
def test_few_descriptors_make_no_port_closed(limit: Callable[[], None] | None) -> None:
    """Where there are too few for one attempt, that is an error of ours."""
    with listening(100) as ports:
        command = (SOCKKIT,) if limit else ("sh", "-c", 'ulimit -n 12; exec "$0" "$@"', SOCKKIT)
        words = ",".join(map(str, ports))
        status, lines, err = probe(f"{HERE}:{words}", preexec_fn=limit, command=command)
    if status == 1:
        assert "too many open files" in err[0]
        return
    assert (status, err) == (0, [])
    assert [line.split()[1] for line in lines] == ["open"] * 100


NOBODY = "127.99.0.1"  # a loopback address on which no other test listens


def test_a_signal_amid_sixty_thousand_attempts() -> None:
    with Program("probe", "-w", "9", f"{NOBODY}:1-60000") as program:
        assert program.process.stdout
        program.process.stdout.readline()
        began = time.monotonic()
        program.process.send_signal(signal.SIGINT)
        program.output()
        gone(program, 130, "interrupted")
        assert time.monotonic() - began < WAIT / 2


def test_whoever_reads_has_left() -> None:
    with Program("probe", f"{NOBODY}:1-60000") as program:
        assert program.process.stdout
        program.process.stdout.close()
        program.process.stdout = None
        gone(program, 141)


def test_an_output_that_is_full() -> None:
    with (
        listening() as (live,),
        open("/dev/full", "wb") as full,
        Program("probe", f"{HERE}:{live}", stdout=full) as program,
    ):
        gone(program, 23, "no space left on device")


# Waiting.


def test_it_waits_until_the_last_one_listens() -> None:
    with contextlib.ExitStack() as stack:
        (live,) = stack.enter_context(listening())
        later = stack.enter_context(socket.socket())
        later.bind((HERE, 0))
        port = later.getsockname()[1]
        program = stack.enter_context(
            Program("probe", "-v", "--wait", "60", f"{HERE}:{live},{port}")
        )
        program.said(f"could not connect to {HERE}:{port}")
        later.listen()
        lines = program.output().decode().splitlines()
        assert [line.split()[1] for line in lines] == ["open", "open"]
        gone(program, 0)


def test_the_wait_runs_out() -> None:
    with listening() as (live,), refusing() as dead:
        assert probe("--wait", "300ms", f"{HERE}:{dead}") == (
            28, [f"{HERE}:{dead} refused"],
            ["sockkit: not open after 0.3 s: could not connect to "
             f"{HERE} port {dead}: connection refused: allow more time with --wait"],
        )  # fmt: skip
        status, lines, (error,) = probe("--wait", "300ms", f"{HERE}:{live},{dead}")
        assert (status, len(lines)) == (28, 2)
        assert error == "sockkit: 1 of 2 targets is open after 0.3 s (1 refused)"
        status, (line,), err = probe("--any", "--wait", "300ms", f"{HERE}:{dead},{live}")
        assert (status, err) == (0, [])
        assert line.startswith(f"{HERE}:{live} open")


def test_one_of_them_is_enough() -> None:
    with silent() as hole, listening() as (live,):
        status, (line,), err = probe("--any", "-w", "60", f"{HERE}:{hole},{live}")
    assert (status, err) == (0, [])
    assert line.startswith(f"{HERE}:{live} open")


# The program that it becomes.


def test_a_program_replaces_it() -> None:
    with listening() as (live,):
        code = "import os, sys; print(os.getpid(), *sys.argv[1:]); sys.exit(5)"
        words = [sys.executable, "-c", code, "a b", "--", "-v"]
        with Program("probe", f"{HERE}:{live}", "--", *words) as program:
            out = program.output().decode()
            assert program.status() == 5
            assert out == f"{program.process.pid} a b -- -v\n"
        assert program.stderr.startswith(f"* {HERE}:{live} open ")
        assert probe("-q", f"{HERE}:{live}", "--", "echo", "hi") == (0, ["hi"], [])


def test_it_runs_nothing_before_all_are_open(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with listening() as (live,), refusing() as dead:
        for words in (["-w", "5"], ["--wait", "200ms"]):
            status, lines, err = probe(*words, f"{HERE}:{live},{dead}", "--", "touch", str(mark))
            assert status == (28 if "--wait" in words else 7)
            assert lines == []
            assert err[1] == f"* {HERE}:{dead} refused"
        assert not mark.exists()
        probe("--any", f"{HERE}:{live},{dead}", "--", "touch", str(mark))
        assert mark.exists()


def test_what_the_program_inherits() -> None:
    """The environment without passwords, the signals as they were, and no descriptor of ours."""
    code = """
import os
print(sorted(set(os.listdir("/proc/self/fd"))))
print(os.environ.get("SOCKKIT_PASSWORD"), os.environ.get("SOCKKIT_PROXY_PASSWORD"))
print(os.environ["KEPT"])
for line in open("/proc/self/status"):
    if line.startswith(("SigBlk", "SigIgn")):
        print(int(line.split()[1], 16))
"""

    def parent() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])

    secrets = {"SOCKKIT_PASSWORD": "a", "SOCKKIT_PROXY_PASSWORD": "b", "KEPT": "yes"}
    with listening() as (live,):
        # Python ignores SIGPIPE and SIGXFSZ itself, so a shell asks for what it was given.
        words = ["sh", "-c", 'grep -E "^Sig(Blk|Ign)" /proc/self/status; "$0" -c "$1"']
        status, lines, _ = probe(
            f"localhost:{live}", "--", *words, sys.executable, code,
            env=secrets, preexec_fn=parent,
        )  # fmt: skip
    assert status == 0
    blocked, ignored = (int(line.split()[1], 16) for line in lines[:2])
    assert blocked == 0
    ordinary = (1 << 31) - 1  # signal 32 and those after it are the C library's
    assert ignored & ordinary == 1 << (signal.SIGHUP - 1)
    assert lines[2] == str(["0", "1", "2", "3"])  # the last one is that of listdir itself
    assert lines[3:5] == ["None None", "yes"]


def test_its_streams_are_as_they_were_given() -> None:
    """With the bytes that wait in stdin, and nothing non-blocking."""
    code = (
        "import os, sys; print([os.get_blocking(fd) for fd in (0, 1, 2)], sys.stdin.read(), end='')"
    )
    with listening() as (live,):
        words = ["-q", f"{HERE}:{live}", "--", sys.executable, "-c", code]
        assert run("probe", *words, data=b"waiting") == (0, b"[True, True, True] waiting", "")


def test_a_stream_that_was_closed_is_so() -> None:
    code = "import os; os.write(2, str(sorted(os.listdir('/proc/self/fd'))).encode())"
    with listening() as (live,):
        shell = ("sh", "-c", 'exec "$0" "$@" <&- >&-', SOCKKIT)
        words = ["-q", f"{HERE}:{live}", "--", sys.executable, "-c", code]
        _, _, err = run("probe", *words, command=shell)
    assert err == "['0', '2']"  # 0 is listdir's own


def test_signals_reach_the_program() -> None:
    with listening() as (live,):
        code = "import time; print('ready', flush=True); time.sleep(60)"
        with Program("probe", f"{HERE}:{live}", "--", sys.executable, "-c", code) as program:
            assert program.process.stdout
            assert program.process.stdout.readline() == b"ready\n"
            program.process.terminate()
            assert program.status() == 143


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with listening() as (live,):
        for name, expected in [("nosuch-program", 127), (str(tmp_path / "file"), 126)]:
            status, lines, err = probe("-q", f"{HERE}:{live}", "--", name)
            assert (status, lines) == (expected, [])
            assert len(err) == 1
            assert err[0].startswith(f"sockkit: could not run {name}: ")


# Questions.


def banner(sock: socket.socket) -> None:
    sock.sendall(b"220 mail.example ")
    sock.sendall(b"ready\r\n")
    read_all(sock)


def test_a_banner_that_matches() -> None:
    with peer(banner) as port:
        assert probe("--match", r"^220 \S+ ready", f"{HERE}:{port}")[0] == 0
        status, (line,), err = probe("-w", "1", "--match", "^SSH-", f"{HERE}:{port}")
    assert status == 1
    assert line == rf'{HERE}:{port} no match: "220 mail.example ready\x0d\x0a"'
    assert len(err) == 1


def test_a_health_check() -> None:
    def serve(sock: socket.socket) -> None:
        assert sock.recv(1000) == b"GET / HTTP/1.0\r\n\r\n"
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):  # no half-close
            sock.recv(1)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        sock.settimeout(WAIT)
        with contextlib.suppress(ConnectionResetError):
            read_all(sock)

    words = ["--send", "GET / HTTP/1.0\r\n\r\n", "--match", "^HTTP/1.. 200"]
    with peer(serve) as port:
        assert probe("-q", *words, f"{HERE}:{port}") == (0, [], [])


def test_a_peer_that_sends_without_end() -> None:
    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"x" * 65536)

    with peer(serve) as port:
        status, (line,), _ = probe("--match", "no", f"{HERE}:{port}")
    assert (status, line) == (1, f'{HERE}:{port} no match: "{60 * "x"}…"')


def test_udp() -> None:
    with Program("echo", "--udp", "-p", "0", "--reply", "PING=PONG") as server:
        target = f"{HERE}:{server.port}"
        assert probe("--udp", target)[0] == 0
        assert probe("--udp", "--send", "PING", "--match", "^PONG$", target)[0] == 0
        assert probe("--udp", "-w", "1", "--send", "x", "--match", "^PONG$", target)[0] == 1
    with socket.socket(type=socket.SOCK_DGRAM) as mute:
        mute.bind((HERE, 0))
        target = f"{HERE}:{mute.getsockname()[1]}"
        status, lines, (error,) = probe("--udp", "-w", "0.2", target)
        assert (status, lines) == (28, [f"{target} no answer"])
        assert "UDP cannot tell" in error
    status, lines, _ = probe("--udp", target)
    assert (status, lines) == (7, [f"{target} refused"])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca"))
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "cert"))
    return {name: str(folder / name) for name in ("ca", "cert")}


def test_tls(certificates: dict[str, str]) -> None:
    options = ["--tls", "--tls-ca", certificates["ca"]]
    with (
        Program("echo", "--tls", "--tls-cert", certificates["cert"], "-p", "0") as server,
        listening() as (mute,),
    ):
        port = server.port
        assert probe(*options, f"localhost:{port}")[0] == 0
        assert probe(*options, "--send", "hi\n", "--match", "hi", f"localhost:{port}")[0] == 0
        status, (line,), (error,) = probe(*options, f"{HERE}:{port}")  # the name of each is checked
        assert (status, line) == (60, f"{HERE}:{port} not trusted: it is not for {HERE}")
        assert "--tls-name" in error
        assert probe(*options, f"{HERE}:{port}", f"localhost:{port}")[0] == 7
        status, (line,), _ = probe("-w", "0.3", *options, f"localhost:{mute}")
        assert status == 28
        assert "TLS failed: no handshake within 0." in line
        _, lines, _ = probe("-w", "5", "--tls", "--tls-insecure", f"{HERE}:{port}")
        assert lines[0].split()[1] == "open"
    with peer(lambda sock: sock.sendall(b"220 plain\r\n")) as port:
        status, (line,), _ = probe(*options, f"localhost:{port}")
        assert (status, line) == (35, f"localhost:{port} TLS failed: it does not speak TLS")


# At a terminal.


def test_a_table_at_a_terminal() -> None:
    with Terminal() as terminal, listening() as (live,), refusing() as dead:
        child = terminal.child
        with Program(
            "probe", f"{HERE}:{live},{dead}", stdin=child, stdout=child, env={"NO_COLOR": "1"}
        ) as program:
            terminal.shows(f"{HERE}:{live}  open".encode())
            terminal.shows(b" ms\r\n")
            terminal.shows(f"{HERE}:{dead}  refused\r\n".encode())
            gone(program, 7, "1 of 2 targets")
            assert "connected" not in program.stderr


def test_beside_netcat() -> None:
    """Both find the same ports."""
    nc = need("nc")
    with listening(3) as ports:
        low, high = min(ports) - 20, max(ports) + 20
        command = [nc, "-z", "-v", HERE, f"{low}-{min(high, low + 3000)}"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=WAIT).stderr
        theirs = {int(line.split()[3]) for line in told.splitlines() if "succeeded" in line}
        _, lines, _ = probe(f"{HERE}:{low}-{min(high, low + 3000)}")
        ours = {int(line.split()[0].split(":")[1]) for line in lines if line.split()[1] == "open"}
    assert theirs & {*ports} == ours & {*ports} != set()
