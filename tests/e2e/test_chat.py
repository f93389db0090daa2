"""A chat room, its plain clients and its own, run for real."""

from __future__ import annotations

import contextlib
import http.server
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.core.chat import protocol
from tests.screen import Screen
from tests.support import (
    END,
    HERE,
    WAIT,
    Program,
    connect,
    errors,
    eventually,
    gone,
    need,
    patched,
    reset,
    run,
)

SERVE = ("chat", "serve", "-p", "0")


class Member:
    """A plain client, which reads lines."""

    def __init__(self, port: int, encoding: str = "utf-8") -> None:
        self.sock = connect(port)
        self.sock.settimeout(WAIT)
        self._encoding = encoding
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.sock.close()

    def say(self, *lines: str) -> None:
        self.sock.sendall("".join(f"{line}\n" for line in lines).encode(self._encoding))

    def line(self) -> str:
        return self._file.readline().decode(self._encoding).removesuffix("\n")

    def hears(self, text: str) -> str:
        """Read to the line that has `text`."""
        while text not in (line := self.line()):
            assert line, f"it ended without {text!r}"
        return line


@contextlib.contextmanager
def room(*options: str, **more: object) -> Iterator[Program]:
    with Program(*SERVE, *options, **more) as program:  # type: ignore[arg-type]
        yield program


def join(port: int, *options: str, **more: object) -> Program:
    return Program("chat", "join", HERE, str(port), *options, **more)  # type: ignore[arg-type]


def test_anyone_is_in_it() -> None:
    with room() as server, Member(server.port) as one, Member(server.port) as two:
        assert one.line().startswith("* you are guest-1;")
        one.hears("* guest-2 joined")
        one.say("/nick alex", "你好👋")
        assert two.hears("[alex]") == "[alex] 你好👋"
        two.say("q")
        assert two.hears("goodbye")
        assert two.line() == ""
        assert one.hears("left") == "* guest-2 left"


@pytest.mark.parametrize("other", ["nc", "ncat"])
def test_other_programs_are_in_it(other: str) -> None:
    need(other)
    with room() as server, Member(server.port) as one:
        arguments = [other, HERE, str(server.port)]
        with subprocess.Popen(arguments, stdin=-1, stdout=-1) as program:
            assert program.stdin
            assert program.stdout
            program.stdin.write(b"hello\n")
            program.stdin.flush()
            assert one.hears("hello") == "[guest-2] hello"
            one.say("hi")
            while b"[guest-1] hi" not in program.stdout.readline():
                pass
            program.stdin.write(b"q\n")
            program.stdin.flush()
            assert one.hears("left") == "* guest-2 left"
            program.kill()


def test_what_is_piped_is_said_and_delivered() -> None:
    with room() as server, Member(server.port) as one:
        for text in ("hi", "你好"):
            status, out, _ = run(
                "chat", "join", HERE, str(server.port), "--name", "小雪", data=text.encode()
            )
            assert status == 0
            assert "* you are 小雪" in out.decode()
            assert one.hears(text) == f"[小雪] {text}"


def test_a_member_at_a_terminal(tmp_path: Path) -> None:
    with room() as server, Member(server.port) as one:
        arguments = ["chat", "join", HERE, str(server.port), "--name", "小雪", "--timestamps"]
        with Screen(tmp_path, *arguments) as screen:
            screen.shows("* you are 小雪")
            one.say("/nick alexandra", "小雪, are you there?")
            screen.shows("[alexandra] 小雪, are you there?")
            screen.type("yes, alex\t")
            screen.shows("> yes, alexandra")
            screen.type("!\r")
            assert one.hears("yes") == "[小雪] yes, alexandra!"
            screen.type("/qu\t")
            screen.shows("> /quit")
            screen.type("\r")
            assert screen.status() == 0


HOSTILE = {
    "a name": ("[a\x1b[2J] hi", r"[a\x1b[2J] hi"),
    "a title": ("[a] \x1b]0;t\x07.", r"[a] \x1b]0;t\x07."),
    "the clipboard": ("[a] \x1b]52;c;aGk=\x07", r"[a] \x1b]52;c;aGk=\x07"),
    "a notice": ("* \x9b2Jb\x85 joined", r"* \x9b2Jb\x85 joined"),
    "bidi": ("[a] \u202eb\u2028c", r"[a] \u202eb\u2028c"),
    "NUL, DEL, BS": ("[a] \0\x7f\b.", r"[a] \x00\x7f\x08."),
    "CR": ("[a] x\r* bob left", r"[a] x\x0d* bob left"),
}


def test_no_room_drives_a_members_terminal(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = str(listener.getsockname()[1])
        with Screen(tmp_path, "chat", "join", HERE, port) as screen, listener.accept()[0] as sock:
            sock.sendall(f"{protocol.welcome('guest-1')}\n".encode())
            for said, shown in HOSTILE.values():
                sock.sendall(f"{said}\n".encode())
                screen.shows(shown)
            sock.sendall("[b] 你好👋\n".encode())
            screen.shows("[b] 你好👋")


@pytest.mark.parametrize(
    ("command", "end", "status"),
    [
        ("serve", "key", 130),
        ("serve", "term", 143),
        ("join", "key", 130),
        ("serve --udp", "key", 130),
        ("join --udp", "term", 143),
    ],
)
def test_a_terminal_is_left_as_it_was(tmp_path: Path, command: str, end: str, status: int) -> None:
    with contextlib.ExitStack() as stack:
        word, *options = command.split()
        if word == "serve":
            arguments = [*SERVE, *options]
        else:
            server = stack.enter_context(room(*options))
            arguments = _as(server, "alex", *options)
        screen = stack.enter_context(Screen(tmp_path, *arguments))
        screen.prompts(">")
        screen.type("half")
        screen.prompts("> half")
        if end == "key":
            screen.type("\x03\x03")  # the first clears the line
        else:
            screen.process.send_signal(signal.SIGTERM)
        assert screen.status() == status


def test_the_operator_at_a_terminal(tmp_path: Path) -> None:
    with Screen(tmp_path, *SERVE) as screen:
        screen.shows("listening on")
        port = int(screen.text.split("127.0.0.1:")[1].split()[0])
        with Member(port) as one, Member(port) as two:
            screen.shows("* guest-2 joined")
            one.say("\x1b[2Jhi")
            screen.shows("[guest-1] \\x1b[2Jhi")
            screen.type("hello all\r")
            assert two.hears("server") == "[server] hello all"
            screen.type("/who\r")
            screen.shows("2 here: guest-1, guest-2")
            screen.type("/kick guest-2\r")
            assert two.hears("disconnected you")
            assert two.line() == ""
            screen.shows("* guest-2 left")
            screen.type("bye\r/quit\r")
            assert one.hears("bye") == "[server] bye"
            assert one.line() == ""
            assert screen.status() == 0


def test_an_operator_that_is_a_pipe() -> None:
    with room(stdin=-1) as server, Member(server.port) as one:
        one.say("/nick alex", "/who")
        one.hears("1 here: alex")
        server.type(b"hello\n/who\n/nope\nbye\n/quit\n")
        assert one.hears("hello") == "[server] hello"
        assert one.hears("bye") == "[server] bye"
        assert server.output().decode().splitlines()[:3] == [
            "* alex joined",
            "[server] hello",
            "[server] bye",
        ]
        assert server.status() == 0
        server.said("1 here: alex")
        server.said("unknown command /nope")


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_a_full_output_says_how_much_is_lost(udp: bool) -> None:
    with open("/dev/full", "wb") as full, room(*["--udp"] * udp, stdout=full) as server:
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.connect((HERE, server.port))
            sock.sendall(b"ann:hello" if udp else b"hello\n")
            gone(server, 23, "no space left on device (", " bytes of the chat not written")


def test_a_password() -> None:
    with room("--password", "sesame") as server, Member(server.port) as one:
        assert one.line() == "* this room needs a password: type it"
        one.say("sesame")
        one.hears("* you are guest-1")
        with Member(server.port) as stranger:
            assert stranger.line() == "* this room needs a password: type it"
            one.say("for members only")
            for password, status in (("sesame", 0), ("wrong", 1)):
                arguments = ["chat", "join", HERE, str(server.port), "--password", password]
                ended, _, stderr = run(*arguments, data=b"hi")
                assert ended == status
                assert ("the room refused us" in stderr) == bool(status)
            stranger.say("q")
            assert stranger.line() == "* wrong password"
        one.hears("[guest-2] hi")
        one.say("/who")
        assert one.hears("here:") == "* 1 here: guest-1"


def test_nobody_is_called_what_looks_like_another() -> None:
    with room("--flood", "0") as server, Member(server.port) as one, Member(server.port) as two:
        two.hears("* you are guest-2")
        one.say("/nick bob")
        two.hears("* guest-1 is now bob")
        refused = ["b0b", "ꓐob", "bob\U0001d159", "ꓢerver", "\U0001d159", "e" + "\u0301" * 100]
        for name in refused:
            two.say(f"/nick {name}")
            assert "name" in two.hears("* ")
        two.say("/nick 小雪alex", "/msg BOB hi", "/msg b0b hi")
        two.hears("you are now 小雪alex")
        assert one.hears("hi") == "[小雪alex to you] hi"
        two.hears("nobody here is called b0b")
        two.say("/msg " + "a\u0301\u0323" * 700 + " x")
        assert two.hears("nobody here is called a")


def test_guesses_come_more_and_more_slowly_from_one_address() -> None:
    with room("--password", "sesame") as server, contextlib.ExitStack() as stack:
        guessers = [stack.enter_context(Member(server.port)) for _ in range(20)]
        for guesser in guessers:
            guesser.say("a", "b", "c")
        guessers[0].hears("wrong password")
        source = ("127.0.0.2", 0)
        with socket.create_connection((HERE, server.port), WAIT, source) as other:
            other.sendall(b"sesame\n")
            heard = b""
            while b"you are guest-1" not in heard:
                heard += other.recv(4096) or pytest.fail(f"it ended: {heard!r}")
        answered = 0
        for guesser in guessers:
            guesser.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                answered += b"wrong password" in guesser.sock.recv(4096)
        assert answered < 5


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"--password": ""}, "the password is empty"),
        ({"--password": "x" * 5000}, "longer than 4000 bytes"),
        ({"--password-file": "a\n\n"}, "contains a line end"),
        ({"--password-file": "x", "--password": "y"}, "cannot be used with"),
        ({"SOCKKIT_PASSWORD": ""}, "SOCKKIT_PASSWORD is empty"),
    ],
)
def test_a_password_that_cannot_be(given: dict[str, str | None], told: str, tmp_path: Path) -> None:
    arguments, env = [], {}
    for option, value in given.items():
        if option == "--password-file":
            (tmp_path / "file").write_text(value or "")
            value = str(tmp_path / "file")
        if option == "SOCKKIT_PASSWORD":
            env[option] = value or ""
        else:
            arguments += [option] if value is None else [option, value]
    for command in (SERVE[1:], ("join", HERE, "9")):
        if command[0] == "join" and "" not in given.values():
            continue  # one of each kind is enough
        status, _, stderr = run("chat", *command, *arguments, env=env)
        assert (status, stderr.count("\n")) == (2, 1)
        assert told in stderr


def test_a_password_from_a_file_or_the_environment(tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_bytes("sésame ouvre-toi \r\n".encode())
    with room("--password-file", str(kept)) as server:
        for env, options, status in (
            ({"SOCKKIT_PASSWORD": "sésame ouvre-toi "}, (), 0),
            ({"SOCKKIT_PASSWORD": "wrong"}, ("--password-file", str(kept)), 0),
            ({"SOCKKIT_PASSWORD": "sésame ouvre-toi "}, ("--password", "wrong"), 1),
        ):
            arguments = ["chat", "join", HERE, str(server.port), *options, "-vv"]
            ended, _, stderr = run(*arguments, data=b"hi", env=env)
            assert ended == status, stderr
            assert "ouvre-toi" not in stderr


def test_a_room_for_one() -> None:
    with room("--max-connections", "1") as server, Member(server.port) as one:
        one.line()
        with Member(server.port) as two:
            assert two.line() == "* the room is full"
            assert two.line() == ""
        one.say("q")
        one.hears("goodbye")

        def let_in() -> bool:
            with Member(server.port) as next_one:
                return next_one.line().startswith("* you are")

        eventually(let_in)


ACTED_ON = [
    "* you are bob",  # first: it would undo what the others do
    "* bob left",
    *sorted({*protocol.ROOM_CLOSES, *protocol.NOT_ADMITTED}),
]


def test_no_message_of_the_day_is_acted_on() -> None:
    """Nor what was said before, by the operator or by a member."""
    words = [*ACTED_ON, "the room is full", "goodbye"]
    motd = [line for said in words for line in (said, f"{said} of friends")]
    with room("--motd", "\n".join(motd), "--history", "99", "--flood", "0", stdin=-1) as server:
        with Member(server.port) as one:
            told = [one.line() for _ in range(1 + len(motd))]
            assert told[1:] == [f"[server] {line}" for line in motd]
            for said in words:
                server.type(f"{said}\n".encode())
                one.hears(f"[server] {said}")
            one.say("/nick goodbye")
            one.hears("* you are now goodbye")
            for said in words:
                one.say(said, f"/me {said}", said)
                server.type(f"{said}\n".encode())
                one.hears(f"[server] {said}")
        arguments = ["chat", "join", HERE, str(server.port), "--name", "bobby"]
        status, out, stderr = run(*arguments, data=b"hi")
        assert (status, stderr) == (0, "")
        for said in words:
            assert f"[goodbye] {said}\n" in out.decode()
            assert out.decode().count(f"[server] {said}\n") == 3
        with join(server.port, stdin=-1) as member:
            assert member.process.stdout
            while b"[bobby] hi" not in member.process.stdout.readline():
                pass  # the last line that it is told
            server.process.kill()
            assert member.status() == 56


def test_history_outlives_the_server(tmp_path: Path) -> None:
    options = ["--history", "2", "--history-file", str(tmp_path / "room.db"), "--flood", "0"]
    for number in range(3):
        with room(*options) as server, Member(server.port) as one:
            one.line()
            if number:
                assert one.line() == "* said before you joined (2 lines):"
                assert [one.line(), one.line()] == [f"[guest-1] {number - 1} two", "[guest-1] 你好"]
            one.say(f"{number} one", f"{number} two", "你好")
            one.say("/who")
            one.hears("here:")
            server.process.send_signal(signal.SIGTERM)
            assert server.status() == 143


def test_a_kill_loses_no_more_than_the_last_second(tmp_path: Path) -> None:
    options = ["--history", "100", "--history-file", str(tmp_path / "room.db")]
    with room(*options) as server, Member(server.port) as one:
        one.line()
        one.say("kept")
        one.say("/who")
        one.hears("here:")
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(1.5)
        server.process.kill()
        server.process.wait()
    with room(*options) as server, Member(server.port) as one:
        one.hears("[guest-1] kept")


# As tests/apps/test_chat_history.py: sooner than the second and the half that it waits.
SOON = """
from sockkit.apps import chat_history
chat_history.WRITE_DELAY_SECONDS = chat_history.MAX_LOCKED_SECONDS = 0.1
chat_history.LOCK_WAIT_SECONDS = 0.1
"""


def test_a_history_that_is_locked_ends_no_room(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    with (
        room("--history-file", str(path), command=patched(SOON)) as server,
        Member(server.port) as one,
    ):
        one.say("before")
        eventually(lambda: kept_lines(path) == ["[guest-1] before"])
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        with Member(server.port) as two:
            one.say("meanwhile")
            two.hears("meanwhile")
            server.said("the room continues without it")
            one.say("and on")
            two.hears("and on")
        lock.execute("COMMIT")
        server.said("writing the history")
        assert kept_lines(path) == [
            f"[guest-1] {text}" for text in ("before", "meanwhile", "and on")
        ]
        lock.execute("BEGIN EXCLUSIVE")
        one.say("lost", "too")
        one.say("/who")
        one.hears("1 here")
        server.process.terminate()
        assert server.status(END) == 143
        assert "could not write 2 lines of the history" in errors(server)[-1]
        lock.close()


def test_a_history_on_a_full_disk_ends_no_room(tmp_path: Path) -> None:
    path, size = tmp_path / "room.db", 64 * 1024
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "preexec_fn": limit}
    arguments = ["--history-file", str(path), "--flood", "0"]
    with (
        room(*arguments, command=patched(SOON), **streams) as server,
        Member(server.port) as one,
    ):
        one.say(*["x" * 1000] * 200)
        server.said("the room continues without it")
        one.say("/who")
        one.hears("1 here")
        assert server.process.stdin
        server.process.stdin.write(b"/quit\n")
        server.process.stdin.flush()
        assert server.status() == 23
        assert "lines of the history" in errors(server)[-1]
        assert len(errors(server)) == 2


def kept_lines(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as file:
        return [line for (line,) in file.execute("SELECT line FROM lines ORDER BY id")]


def test_a_history_without_a_name() -> None:
    status, _, stderr = run(*SERVE, "--history-file", "")
    assert (status, stderr.count("\n")) == (2, 1)


def test_a_history_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("this is no database, and never was one" * 100)
    status, _, stderr = run(*SERVE, "--history-file", str(tmp_path / "x"))
    assert status == 23
    assert "could not write the history" in stderr


def test_rooms_of_other_encodings() -> None:
    with room("-E", "gbk") as server, Member(server.port, "gbk") as one:
        one.line()
        arguments = ["chat", "join", HERE, str(server.port), "-E", "gbk", "--name", "小雪"]
        assert run(*arguments, data="你好".encode())[0] == 0
        assert one.hears("你好") == "[小雪] 你好"


def test_plain_clients_of_another_encoding() -> None:
    with (
        room("--client-encoding", "gbk", "--motd", "欢迎") as server,
        Member(server.port, "gbk") as one,
    ):
        one.say("你好")
        one.hears("[server] 欢迎")
        with join(server.port, "--name", "小雪", stdin=-1) as other:
            one.hears("小雪")
            one.say("再见")
            other.type("嗯\n".encode())
            assert one.hears("嗯") == "[小雪] 嗯"
            other.end_input()
            out = other.output().decode()
            assert "[server] 欢迎\n" in out
            assert "[guest-1] 再见\n" in out
            assert other.status() == 0


AGAIN = "from sockkit.apps import chat_join; chat_join.RECONNECT_PAUSES_SECONDS = (0.5, 0.1)"


def test_it_connects_again_when_asked() -> None:
    with room() as server:
        port = server.port
        arguments = ["--name", "小雪", "--reconnect"]
        member = join(port, *arguments, stdin=-1, command=patched(AGAIN))
        with member:
            with Member(port) as one:
                one.hears("小雪")
            server.process.send_signal(signal.SIGTERM)
            server.status()
            member.said("reconnecting in 0.5 s")
            with Program("chat", "serve", "-p", str(port)) as again, Member(again.port) as one:
                one.hears("小雪")
                member.type(b"back\n")
                assert one.hears("back") == "[小雪] back"
                member.end_input()
                assert member.status() == 0


def test_it_waits_for_a_place_when_asked(tmp_path: Path) -> None:
    """What was typed meanwhile is not lost."""
    with room("--max-connections", "1") as server, Member(server.port) as one:
        one.line()
        arguments = ["chat", "join", HERE, str(server.port), "--reconnect"]
        with Screen(tmp_path, *arguments, command=patched(AGAIN)) as screen:
            screen.shows("the room is full: reconnecting in")
            screen.type("hello\r")
            screen.shows("kept until you are in the room (1 line)")
            one.say("q")
            one.hears("goodbye")
            screen.shows("sent 1 kept line")
            screen.type("/quit\r")
            assert screen.status() == 0


def test_a_script_does_not_speak_by_another_name() -> None:
    with room() as server, Member(server.port) as one:
        one.say("/nick bob")
        one.hears("bob")
        status, out, told = run(
            "chat", "join", HERE, str(server.port), "--name", "bob", data=b"secret\n"
        )
        assert status == 1
        assert 'refused us: the name "bob" is taken: give another with --name' in told
        assert out.decode().splitlines()[0] == '* the name "bob" is taken'
        one.say("/who")
        assert one.hears("here:") == "* 1 here: bob"


@pytest.mark.parametrize("more", [(), ("--reconnect",)])
def test_a_script_is_told_of_a_line_that_was_too_long(more: tuple[str, ...]) -> None:
    with room() as server:
        data = b"x" * 5000 + b"\nafter\n"
        status, _, told = run("chat", "join", *more, HERE, str(server.port), data=data)
        assert (status, told) == (
            55,
            "sockkit: some lines had no effect in the room: the notices above say why\n",
        )


@pytest.mark.parametrize("line", ["/etc/passwd is a file", "/msg nobody hi", "/nick"])
def test_a_script_is_told_of_a_command_without_effect(line: str) -> None:
    with room() as server:
        status, _, told = run(
            "chat", "join", HERE, str(server.port), data=f"{line}\nafter\n".encode()
        )
        assert (status, told) == (
            55,
            "sockkit: some lines had no effect in the room: the notices above say why\n",
        )


def test_no_part_of_a_line_that_the_room_lacks_is_said() -> None:
    with room("-E", "gbk") as server, Member(server.port, encoding="gbk") as one:
        data = "one\npay 100😀00\ntwo\n".encode()
        words = ["chat", "join", HERE, str(server.port), "-E", "gbk", "--name", "bob"]
        status, _, told = run(*words, data=data)
        assert status == 65
        assert "'😀' (U+1F600) at line 2, character 8 of stdin is not in gbk" in told
        assert one.hears("[bob]") == "[bob] one"
        assert one.line() == "* bob left"
        status, _, told = run(*words[:-1], "bob😀", data=data)
        assert (status, told) == (2, "sockkit: --name: '😀' is not in gbk: choose another\n")


def test_who_is_kicked_is_told() -> None:
    with room(stdin=-1) as server, join(server.port, "--name", "bob", stdin=-1) as member:
        assert member.process.stdout
        while b"you are bob" not in member.process.stdout.readline():
            pass
        server.type(b"/kick bob\n")
        assert member.status() == 1
        told = "the operator of the room has disconnected us: ask why before you join again"
        assert member.stderr == f"sockkit: {told}\n"


def test_what_was_lost_with_a_connection_is_not_forgotten() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
        with join(port, "--reconnect", stdin=-1, command=patched(AGAIN)) as member:
            sock, _ = listener.accept()
            sock.sendall(b"* you are guest-1; hi\n")
            member.type(b"never heard\n")
            while b"never heard" not in sock.recv(1000):
                pass
            sock.sendall(b"[bob] hal")
            reset(sock)
            member.said("reconnecting in 0.5 s")
            with listener.accept()[0] as sock:
                sock.sendall(b"* you are guest-1; hi\n")
                member.end_input()
                assert b"/sockkit\n" in sock.makefile("rb").read()
            assert member.status() == 55
            assert "some lines may not have arrived" in member.stderr
            assert member.output().decode().endswith("* you are guest-1; hi\n")


def test_a_room_that_closes_is_an_error_without() -> None:
    with room() as server, join(server.port, "--name", "bob", stdin=-1) as member:
        assert member.process.stdout
        while b"you are bob" not in member.process.stdout.readline():
            pass  # then the room has read all that was sent to it
        server.process.send_signal(signal.SIGTERM)
        assert member.status() == 56
        assert "the room has closed" in member.stderr


def test_a_telnet_client_is_in_it() -> None:
    with room() as server, Member(server.port) as one, Member(server.port) as two:
        one.line()
        two.sock.sendall(b"\xff\xfb\x1f\xff\xfd\x03" + "你好".encode()[:2])
        two.sock.sendall("你好".encode()[2:] + b"\r\0/quit\r\n")
        assert one.hears("[guest-2]") == "[guest-2] 你好"
        assert one.hears("left") == "* guest-2 left"


def test_typed_passwords_are_for_nobody_to_see(tmp_path: Path) -> None:
    with room("--password", "sesame") as server:
        arguments = ["chat", "join", HERE, str(server.port), "--name", "小雪"]
        with Screen(tmp_path, *arguments) as screen:
            screen.shows("this room needs a password")
            screen.type("wrong\r")
            screen.shows("> *****")
            screen.shows("wrong password")
            screen.type("sesame\r")
            screen.shows("you are 小雪")
            screen.type("hello\r")
            screen.shows("> hello")
            screen.type("q\r")
            assert screen.status() == 0
            assert b"sesame" not in screen.seen
        (kept,) = tmp_path.glob("**/chat-join-history")
        assert "hello" in kept.read_text()
        assert "sesame" not in kept.read_text()


def test_two_with_names_as_in_the_tutorials(tmp_path: Path) -> None:
    """One to one and one to many: message and answer in turn, and q from either side ends."""
    with room() as server, Screen(tmp_path / "a", *_as(server, "alex")) as alex:
        alex.shows("you are alex")
        with Screen(tmp_path / "b", *_as(server, "小雪")) as snow:
            alex.shows("* 小雪 joined")
            alex.type("在吗？\r")
            snow.shows("[alex] 在吗？")
            snow.type("在👋\r")
            alex.shows("[小雪] 在👋")
            snow.type("q\r")
            assert snow.status() == 0
        alex.shows("* 小雪 left")
        assert "guest" not in alex.text
        alex.type("\x03")
        assert alex.status() == 130


def _as(server: Program, name: str, *options: str) -> list[str]:
    return ["chat", "join", HERE, str(server.port), "--name", name, *options]


def test_q_leaves_a_room_by_udp_too(tmp_path: Path) -> None:
    with room("--udp", "--quit-word", "bye", stdin=-1) as server:
        with Screen(tmp_path / "a", *_as(server, "alex", "--udp", "--timestamps")) as alex:
            assert server.process.stdout
            assert server.process.stdout.readline() == b"* alex joined\n"
            with Screen(tmp_path / "b", *_as(server, "小雪", "--udp")) as snow:
                alex.shows("* 小雪 joined")
                alex.type("/who\r")
                snow.type("hi\r/msg alex secret\r")
                assert re.fullmatch(r"\d\d:\d\d:\d\d 小雪:hi", alex.shows("小雪:hi").strip())
                snow.shows("* unknown command /msg: /help lists the commands")
                snow.type("/help\r")
                snow.shows("* /help    show this list")
                alex.shows("2 here: ")
                alex.type("q\r")
                assert alex.status() == 0
                snow.shows("* alex left")
                snow.type("/quit\r")
                assert snow.status() == 0
                assert "secret" not in alex.text
        server.type(b"/who\n")
        server.said("nobody is here")
        server.type(b"bye\n")
        assert server.status() == 0


DROPPED = "some lines had no effect in the room"


def test_by_udp() -> None:
    with room("--udp", stdin=-1) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(WAIT)
        to = (HERE, server.port)
        one.sendto(b"alex:", to)
        arguments = ["--udp", "--name", "小雪"]
        with join(server.port, *arguments, stdin=-1) as other:
            assert one.recv(1000).decode() == "* 小雪 joined"
            one.sendto("alex:你好".encode(), to)
            assert other.process.stdout
            assert other.process.stdout.readline().decode() == "alex:你好\n"
            other.type("嗯\n".encode())
            assert one.recv(1000).decode() == "小雪:嗯"
            server.type(b"hello\n")
            assert one.recv(1000).decode() == "server:hello"
            other.end_input()
            assert one.recv(1000).decode() == "* 小雪 left"
            assert other.status() == 0
        with join(server.port, *arguments, stdin=-1) as other:
            assert one.recv(1000).decode() == "* 小雪 joined"
            other.process.send_signal(signal.SIGINT)
            assert one.recv(1000).decode() == "* 小雪 left"
            assert other.status() == 130
        server.type(b"/quit\n")
        assert one.recv(1000).decode() == "* goodbye"
        assert server.status() == 0


@pytest.mark.parametrize("kicked", [False, True])
def test_a_person_whom_a_room_by_udp_does_not_want(kicked: bool, tmp_path: Path) -> None:
    with (
        room("--udp", stdin=-1) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
    ):
        one.sendto(b"ann:/who", (HERE, server.port))
        one.recv(1000)
        name = "bo" if kicked else "ann"
        with Screen(tmp_path / "a", *_as(server, name, "--udp")) as screen:
            if kicked:
                assert one.recv(1000) == b"* bo joined"
                server.type(b"/kick bo\n")
                screen.shows("the operator of the room has disconnected us")
                screen.shows("ask why before you join again")
            else:
                screen.shows('the room refused us: the name "ann" is taken')
                screen.shows("give another with --name")
            assert screen.status() == 1
        server.type(b"/who\n")
        server.said("1 here: ann")


@pytest.mark.parametrize(
    ("options", "said", "status", "words"),
    [
        ((), b"hi\n", 1, 'the room refused us: the name "alex" is taken: give another with --name'),
        (
            ("--max-connections", "1"),
            b"hi\n",
            1,
            "the room refused us: the room is full: try again later",
        ),
        (("--flood", "1"), b"hi\n" * 20, 55, f"{DROPPED}: the notices above say why"),
        ((), b"x" * 5000, 55, f"{DROPPED}: the notices above say why"),
    ],
)
def test_a_room_by_udp_that_refuses(
    options: tuple[str, ...], said: bytes, status: int, words: str
) -> None:
    """What is piped and not said to the others does not end with 0."""
    with (
        room("--udp", *options) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
    ):
        one.sendto(b"alex:/who", (HERE, server.port))
        one.recv(1000)
        name = "alex" if status == 1 and not options else "bob"
        if options == ("--flood", "1"):
            one.sendto(b"/quit", (HERE, server.port))
        arguments = ("chat", "join", HERE, str(server.port), "--udp", "--name", name)
        ended, _, told = run(*arguments, data=said)
        assert ended == status
        (line,) = (line for line in told.splitlines() if line.startswith("sockkit: "))
        assert re.sub(r" \(sent .*?\)", "", line) == f"sockkit: {words}"


def test_a_reset_is_nobodys_trouble() -> None:
    """At once, and amid a line."""
    with room() as server, Member(server.port) as one:
        one.line()
        before = server.descriptors()
        for said in [b""] * 20 + [b"hal"] * 20:
            sock = connect(server.port)
            if said:
                sock.sendall(said)
            reset(sock)
        one.say("/who")
        one.hears("here:")
        eventually(lambda: server.descriptors() == before)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_who_comes_by_name_is_never_a_guest(tls: bool, tmp_path: Path) -> None:
    serve, member = (["--tls"], ["--tls", "--tls-insecure"]) if tls else ([], [])
    with room(*serve, "-v") as server, join(server.port, *member, stdin=-1) as one:
        first = one.process.stdout
        assert first
        greeted = re.match(r"\* you are (guest-\d+); ", first.readline().decode())
        assert greeted
        for name in ("alex", "小雪"):
            status, out, _ = run(
                "chat", "join", HERE, str(server.port), *member, "--name", name, data=b"hi\n"
            )
            assert status == 0
            assert out.decode().startswith(f"* you are {name}; ")
            told = [first.readline().decode() for _ in range(3)]
            assert told == [f"* {name} joined\n", f"[{name}] hi\n", f"* {name} left\n"]
        for name in (greeted[1], "alex", "小雪"):
            server.said(f" is {name}")


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer((HERE, 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextlib.contextmanager
def sockkit_server(*arguments: str) -> Iterator[int]:
    with Program(*arguments, "-p", "0") as server:
        yield server.port


OTHERS = {
    "web": (web_server, "is not a sockkit chat room (it says "),
    "echo": (lambda: sockkit_server("echo"), 'is not a sockkit chat room (it says "/sockkit")'),
    "tls": (lambda: sockkit_server("chat", "serve", "--tls"), "expects TLS: add --tls"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_servers_hear_nothing_that_is_typed(name: str) -> None:
    server, words = OTHERS[name]
    with server() as port:
        arguments = ["chat", "join", HERE, str(port), "--name", "bob", "--password", "sesame"]
        status, out, stderr = run(*arguments, data=b"secret plans\n")
    (line,) = stderr.splitlines()
    assert (status, out) == (1, b"")
    assert line.startswith(f"sockkit: {HERE}:{port} {words}")
    if name != "tls":
        assert line.endswith(f": use sockkit tcp-client {HERE} {port}")


def test_the_room_of_ncat_is_not_ours() -> None:
    need("ncat")
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(["ncat", "-l", "--chat", HERE, str(port)]) as ncat:
        try:
            eventually(lambda: connects(port))
            status, _, stderr = run("chat", "join", HERE, str(port), data=b"hi\n")
        finally:
            ncat.kill()
    assert status == 1
    assert 'is not a sockkit chat room (it says "<announce> ' in stderr


def connects(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), connect(port):
        return True
    return False


def test_a_name_for_a_room_by_udp_is_asked_for(tmp_path: Path) -> None:
    with room("--udp") as server:
        arguments = ["chat", "join", "--udp", HERE, str(server.port)]
        with Screen(tmp_path, *arguments) as screen:
            screen.shows("Your name:")
            screen.type("a b\r")
            screen.shows("a name cannot contain spaces")
            screen.type("小雪\r")
            assert server.process.stdout
            assert server.process.stdout.readline().decode() == "* 小雪 joined\n"
            screen.shows("sending to")
            screen.type("q\r")
            assert screen.status() == 0
        status, _, stderr = run(*arguments, data=b"hi\n", env={"LOGNAME": "alex", "USER": "alex"})
        assert (status, stderr) == (
            2,
            "sockkit: a room over UDP needs your name: give --name NAME\n",
        )
