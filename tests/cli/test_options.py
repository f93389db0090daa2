from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click import Option

import sockkit
from sockkit.cli.chat import COMMANDS as CHAT
from sockkit.cli.commands import COMMANDS, BundledCommand
from sockkit.cli.main import status
from sockkit.cli.options import program
from sockkit.cli.params import File
from sockkit.errors import UsageError
from sockkit.net.access import AccessOptions
from tests.reads import Source

MODULES = {name: module for name, (module, _) in COMMANDS.items() if name != "chat"}
MODULES |= {f"chat {name}": module for name, (module, _) in CHAT.items()}
each_command = pytest.mark.parametrize("name", MODULES)


def command(name: str) -> BundledCommand:
    found: BundledCommand = import_module(MODULES[name]).command
    return found


def context(name: str) -> click.Context:
    found = command(name)
    return click.Context(found, info_name=name, **found.context_settings)


def sections(name: str) -> dict[str, str]:
    """The help's text under each title."""
    parts = re.split(r"^(\w[\w -]*):\n", command(name).get_help(context(name)), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@each_command
def test_help_shows_every_option_under_its_section(name: str) -> None:
    found = command(name)
    shown = sections(name)
    assert list(shown) == [bundle.title for bundle in found._bundles]
    for bundle in found._bundles:
        text = shown[bundle.title]
        for option in bundle.options:
            for word in (*option.opts, *option.secondary_opts):
                assert re.search(rf"^  (.*[ /,])?{word}[ ,\n]", text, re.MULTILINE), word
    assert re.search(r"^  -h  .*\n  --help  ", shown["Output"], re.MULTILINE)


@each_command
def test_no_option_is_without_help(name: str) -> None:
    given = [parameter for parameter in command(name).params if isinstance(parameter, Option)]
    assert given
    for option in given:
        assert option.help, option.opts
        assert option.help[0].isupper(), option.opts
        assert option.help.endswith((".", ")")), option.opts


# A value for each type of option, other than its default. A flag is given by itself.
OF_TYPE = {
    **dict.fromkeys(["size", "duration", "integer range", "float range", "port"], "7"),
    **dict.fromkeys(["addr", "addr[:port]"], "127.0.0.2"),
    **dict.fromkeys(["rule", "name=color"], "a=red"),
    "access rule": "a.example",
    "name": "gbk",
    "names": "h2",
    "sha256": "ab" * 32,
    "integer": "7",
    "percent": "7%",
    "url": "socks5h://127.0.0.1",
    "regex": "a+",
    "time": "1h",
    "speed": "2",
    "mode": "600",
    "group": "239.1.2.3",
    "spec": "line",
    "text": "hi",
}
SERVERS = [
    name for name in MODULES if name.endswith(("server", "serve")) or name in ("echo", "relay")
]
# What `start` itself does, for every command.
OF_START = {
    *(
        "append",
        "color",
        "explain",
        "frame",
        "hex",
        "json",
        "lang",
        "no_edit",
        "output",
        "progress",
        "quiet",
    ),
    *("record", "timestamps", "verbose"),
}


def ways(option: Option, file: str) -> Iterator[list[str]]:
    """Command lines, one of which at least does not say the default."""
    if isinstance(option.type, click.Choice):
        values = list(option.type.choices)
    else:
        values = [file if isinstance(option.type, File) else OF_TYPE.get(option.type.name, "")]
    flag = option.is_flag or option.count
    for word in (*option.opts[-1:], *option.secondary_opts):
        yield from [[word]] if flag else ([word, value] for value in values)


def started(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The configuration and the values that the command starts with."""
    calls: list[Any] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status([*name.split(), *_where(name, words), *words]) == 0, words
    return calls[0][2:]  # type: ignore[no-any-return]


def _where(name: str, words: list[str]) -> list[str]:
    """The words that the command needs beside its options."""
    files = ["x.rec"] if name in ("show", "replay") else []
    if name == "show":
        return files
    serves = "--serve" in words if name == "replay" else name in SERVERS
    programs = {"--exec", "--shell"} & {*words}  # in place of a relay's target
    there = ["127.0.0.1", "9"] if not serves or (name == "relay" and not programs) else []
    port = ["-p", "0"] if serves and not {"-p", "--port"} & {*words} else []
    return [*files, *port, *there]


# What only views show, or need.
OF_VIEWS = {"replay": {"encoding", "send_encoding", "timestamps"}, "echo": {"timestamps"}}
# The options of replay that are about its server.
SERVING = {"port", "bind", "once", "port_file", "unix_mode", "backlog", "tls_client_ca"}

# What options of relay need.
OF_RELAY = {
    **dict.fromkeys(["drop", "duplicate", "reorder", "corrupt"], "--udp"),
    **dict.fromkeys(["seed", "disturbed"], "--delay=1s"),
    "errors": "--encoding=gbk",
    "timestamps": "--hex",
}


@each_command
def test_each_option_changes_what_is_run(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What becomes of that is told where the configuration's fields are tested."""
    file, key = str(tmp_path / "file"), str(tmp_path / "key")
    Path(file).write_text("words\n")
    Path(key).write_text("ENCRYPTED\n")
    for option in command(name).params:
        if not isinstance(option, Option):
            continue
        before = []  # what it needs
        if (option.name or "").startswith("tls_"):
            before = ["--tls", *(["--tls-cert", file] if option.name == "tls_key" else [])]
        if (option.name or "").startswith("to_tls_"):
            before = ["--to-tls"]
        if name == "relay" and option.name in OF_RELAY:
            before.append(OF_RELAY[option.name])
        if name == "replay" and option.name in SERVING:
            before.append("--serve")
        if name in ("echo", "replay") and option.name in OF_VIEWS[name]:
            before.append("--hex")
        config, values = started(name, before, monkeypatch)
        if option.name == "tls_key_password_file":
            before += ["--tls-cert", key]
        given = [started(name, [*before, *way], monkeypatch) for way in ways(option, file)]
        of_start = OF_START | (OF_VIEWS["replay"] if name == "replay" else set())
        if option.name in of_start and option.name not in config._fields:
            assert any(other[option.name] != values[option.name] for _, other in given), option.opts
        else:
            assert any(other != config for other, _ in given), option.opts


def test_each_field_of_what_is_run_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(Path(sockkit.__file__).parent)
    configs = {type(started(name, [], monkeypatch)[0]).__name__ for name in MODULES}
    handed_on = {name for name in source.classes if name.endswith("Options")}
    assert source.options(*configs, *handed_on) - source.reads == set()


@each_command
def test_no_word_has_two_meanings(name: str) -> None:
    words = [word for option in command(name).params for word in option.opts]
    assert len(words) == len(set(words))


# echo's --reply is a rule in place of a text; what it delays and drops are answers.
OF_THEIR_OWN = {("echo", "--reply")}


def test_shared_options_are_the_same_everywhere() -> None:
    """One word, one meaning: only the sentence of the help may differ by command."""
    seen: dict[str, tuple[object, ...]] = {}
    for name in MODULES:
        for option in command(name).params:
            if not isinstance(option, Option):
                continue
            kind = (option.name, option.type.name, option.metavar, option.multiple, option.is_flag)
            for word in option.opts:
                if (name, word) not in OF_THEIR_OWN:
                    assert seen.setdefault(word, kind) == kind, (name, word)


@pytest.mark.parametrize("name", SERVERS)
def test_every_server_has_rules(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = f"{tmp_path}/file"
    words = ["--allow", "10.0.0.0/8", "--allow", "a.example", "--deny", "::1"]
    config, _ = started(name, [*words, "--allow-file", file, "--deny-file", file], monkeypatch)
    assert config.access == AccessOptions(
        ((4, 24, 10, 0), "a.example"), ((6, 0, 1, 0),), (file,), (file,)
    )
    assert started(name, [], monkeypatch)[0].access is None


def test_how_many_may_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(SERVERS) - {"chat serve", "udp-server"}:
        config, _ = started(name, ["--max-connections", "3"], monkeypatch)
        assert config.listen.max_connections == 3


def test_a_program_is_split_here_or_by_a_shell() -> None:
    values: dict[str, Any] = {"execute": None, "shell": None, "no_edit": False}
    assert program(values) == ()
    assert values["no_edit"] is False
    assert program(values | {"execute": "echo 'a b'"}) == ("echo", "a b")
    values["shell"] = "echo 'a b' | wc"
    assert program(values) == ("/bin/sh", "-c", "echo 'a b' | wc")
    assert values["no_edit"] is True  # nobody reads what is typed
    with pytest.raises(UsageError, match="--exec cannot be used with --shell"):
        program(values | {"execute": ""})
