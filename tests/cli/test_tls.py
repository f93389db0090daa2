from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from sockkit.cli.main import status
from sockkit.cli.tls import client_tls, server_tls
from sockkit.errors import UsageError
from sockkit.net.tls.options import ClientTls, Identity, ServerTls, Version
from tests.cli import Tty
from tests.net import tls
from tests.support import Program, Terminal, run

Patch = pytest.MonkeyPatch
CLIENTS = ["tcp-client h 80", "chat join --name me h 80"]
SERVERS = ["tcp-server -p 0", "echo -p 0", "chat serve -p 0"]
PASSPHRASE = b" a b "


def started(command: str, *options: str, patch: Patch) -> Any:
    """The TLS of the configuration that `sockkit COMMAND OPTIONS` folds to."""
    calls: list[Any] = []
    patch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    name, *more = command.split(" ")
    words = [name, more.pop(0)] if name == "chat" else [name]
    assert status([*words, *options, *more]) == 0
    ((_, _, config, _),) = calls
    return config.tls


class Files:
    """Files of a certificate and its key in `path`."""

    def __init__(self, path: Path) -> None:
        self._path, leaf = path, tls.leaf()
        self.cert = tls.written(leaf.cert_chain_pems[0], path / "cert.pem")
        self.key = tls.written(leaf.private_key_pem, path / "key.pem")
        self.both = tls.written(leaf.private_key_and_cert_chain_pem, path / "both.pem")

    def encrypted(self, kind: str) -> str:
        key = serialization.load_pem_private_key(Path(self.key).read_bytes(), None)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            getattr(serialization.PrivateFormat, kind),
            serialization.BestAvailableEncryption(PASSPHRASE),
        )
        return self.file("encrypted.pem", pem)

    def file(self, name: str, data: bytes) -> str:
        (self._path / name).write_bytes(data)
        return str(self._path / name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("command", CLIENTS + SERVERS)
def test_nothing_is_encrypted_unless_it_is_asked_for(command: str, monkeypatch: Patch) -> None:
    assert started(command, patch=monkeypatch) is None
    expected = ClientTls() if command in CLIENTS else ServerTls()
    assert started(command, "--tls", patch=monkeypatch) == expected


@pytest.mark.parametrize("command", CLIENTS)
def test_the_options_of_a_client(command: str, files: Files, monkeypatch: Patch) -> None:
    for options, folded in (
        (f"--tls-ca {files.cert}", {"ca": files.cert}),
        ("--tls-name other.example", {"name": "other.example"}),
        ("--tls-alpn h2,http/1.1", {"alpn": ("h2", "http/1.1")}),
        ("--tls-min 1.0", {"minimum": Version.V1_0}),
        (f"--tls-fingerprint {'ab' * 32}", {"fingerprint": b"\xab" * 32}),
        (
            "--tls-fingerprint 'sha256 Fingerprint=" + ":".join(["AB"] * 32) + "'",
            {"fingerprint": b"\xab" * 32},
        ),
        ("--tls-insecure", {"insecure": True}),
        (f"--tls-cert {files.both}", {"identity": Identity(files.both)}),
        (
            f"--tls-cert {files.cert} --tls-key {files.key}",
            {"identity": Identity(files.cert, files.key)},
        ),
    ):
        made = started(command, "--tls", *shlex.split(options), patch=monkeypatch)
        assert made == ClientTls()._replace(**folded)
        assert made.minimum in Version.__members__.values()


@pytest.mark.parametrize("command", SERVERS)
def test_the_options_of_a_server(command: str, files: Files, monkeypatch: Patch) -> None:
    for options, folded in (
        (f"--tls-client-ca {files.cert}", {"client_ca": files.cert}),
        ("--tls-alpn h2", {"alpn": ("h2",)}),
        ("--tls-min 1.3", {"minimum": Version.V1_3}),
        (f"--tls-cert {files.both}", {"identity": Identity(files.both)}),
    ):
        made = started(command, "--tls", *options.split(), patch=monkeypatch)
        assert made == ServerTls()._replace(**folded)


def values(**more: Any) -> dict[str, Any]:
    """Those of a client or a server."""
    names = ["ca", "name", "key", "cert", "key_password_file", "client_ca", "fingerprint"]
    none = {f"tls_{name}": None for name in names}
    return {"encrypted": True, "tls_min": None, "tls_alpn": (), "tls_insecure": False, **none,
            **more}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ca", "x"),
        ("name", "x"),
        ("cert", "x"),
        ("key", "x"),
        ("key_password_file", "x"),
        ("client_ca", "x"),
        ("fingerprint", bytes(32)),
        ("insecure", True),
        ("alpn", ("h2",)),
        ("min", "1.3"),
    ],
)
@pytest.mark.parametrize("make", [client_tls, server_tls])
def test_an_option_without_tls_is_no_use(make: Any, name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"--tls-{name.replace('_', '-')} needs --tls: add it"):
        make(values(encrypted=False, **{f"tls_{name}": value}))


@pytest.mark.parametrize(
    ("first", "second"),
    [("ca", "fingerprint"), ("ca", "insecure"), ("fingerprint", "insecure")],
)
def test_what_is_checked_is_said_once(first: str, second: str) -> None:
    given = {f"tls_{name}": bytes(32) for name in (first, second)}
    with pytest.raises(UsageError, match=f"--tls-{first} cannot be used with --tls-{second}"):
        client_tls(values(**given))


@pytest.mark.parametrize("command", ["echo -p 0 --udp", "chat serve -p 0 --udp"])
def test_datagrams_are_not_encrypted(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status([*command.split(), "--tls"]) == 2
    assert "--tls cannot be used with --udp" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["key", "key_password_file"])
@pytest.mark.parametrize("make", [client_tls, server_tls])
def test_a_key_is_that_of_a_certificate(make: Any, option: str, files: Files) -> None:
    words = f"--tls-{option.replace('_', '-')} needs --tls-cert: add it"
    with pytest.raises(UsageError, match=words):
        make(values(**{f"tls_{option}": files.key}))


# Encrypted keys.


@pytest.mark.parametrize("kind", ["PKCS8", "TraditionalOpenSSL"])
@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
def test_a_passphrase_is_the_first_line_of_a_file(line_end: bytes, kind: str, files: Files) -> None:
    path, key = files.file("passphrase", PASSPHRASE + line_end), files.encrypted(kind)
    made = server_tls(values(tls_cert=files.cert, tls_key=key, tls_key_password_file=path))
    assert made == ServerTls(Identity(files.cert, key, PASSPHRASE))


def test_a_key_that_is_not_encrypted_has_no_passphrase(files: Files) -> None:
    path = files.file("passphrase", PASSPHRASE)
    made = server_tls(values(tls_cert=files.both, tls_key_password_file=path))
    assert made == ServerTls(Identity(files.both))


@pytest.mark.parametrize("which", ["tls_cert", "tls_key", "tls_key_password_file"])
def test_a_file_that_cannot_be_read(which: str, files: Files, tmp_path: Path) -> None:
    given = {"tls_cert": files.encrypted("PKCS8"), which: str(tmp_path)}
    with pytest.raises(UsageError, match=f"could not read {tmp_path}: is a directory"):
        server_tls(values(**given))


def identity(files: Files) -> Identity | None:
    key = files.encrypted("PKCS8")
    made = client_tls(values(tls_cert=files.cert, tls_key=key))
    assert made
    return made.identity


def test_a_person_is_asked_for_it(files: Files, monkeypatch: Patch) -> None:
    tty = Tty(monkeypatch)
    made = identity(files)
    assert made
    assert made.passphrase == b"h\xff"
    assert tty.asked == [f"Passphrase for {made.key}: "]


@pytest.mark.parametrize("nobody", [{"there": False}, {"ours": False}, {"answer": None}])
def test_nobody_answers(nobody: dict[str, Any], files: Files, monkeypatch: Patch) -> None:
    Tty(monkeypatch, **nobody)
    with pytest.raises(UsageError, match="is encrypted: add --tls-key-password-file"):
        identity(files)


SERVER = ["tcp-server", "-p", "0", "--tls", "--no-edit", "--tls-cert"]


@pytest.mark.process
def test_a_service_is_never_asked(files: Files) -> None:
    command = [*SERVER, files.cert, "--tls-key", files.encrypted("PKCS8")]
    ended = run(*command, start_new_session=True)
    assert ended[:2] == (2, b"")
    assert "encrypted.pem is encrypted: add --tls-key-password-file" in ended[2]


@pytest.mark.process
@pytest.mark.parametrize("answer", ["right", "wrong", "Ctrl-C", "Ctrl-D", "SIGTERM"])
def test_the_question_at_a_terminal(answer: str, files: Files) -> None:
    """And what is typed is not shown; the terminal is as it was, which leaving it checks."""
    typed = {
        "right": PASSPHRASE + b"\n",
        "wrong": b"no\n",
        "Ctrl-C": b"\x03",
        "Ctrl-D": b"\x04",
    }.get(answer, b"")
    command = [*SERVER, files.cert, "--tls-key", files.encrypted("PKCS8")]
    with Terminal() as terminal:
        with Program(
            *command, stdin=terminal.child, stdout=subprocess.PIPE, start_new_session=True,
            preexec_fn=terminal.control,
        ) as program:  # fmt: skip
            terminal.shows(b"Passphrase for ")
            terminal.type(typed)
            if answer == "right":
                program.said("listening on ")
            if answer in ("right", "SIGTERM"):
                program.process.send_signal(signal.SIGTERM)
            assert program.status() == {"wrong": 2, "Ctrl-D": 2, "Ctrl-C": 130}.get(answer, 143)
            assert ("the passphrase of" in program.stderr) == (answer == "wrong")
            assert ("is encrypted" in program.stderr) == (answer == "Ctrl-D")
            terminal.shows(b"\n")  # the line of the question is ended
        assert PASSPHRASE.strip() not in terminal.seen
