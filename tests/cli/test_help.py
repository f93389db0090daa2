"""The help: what -h and --help show of each command, and `sockkit help`."""

from __future__ import annotations

import re

import click
import pytest
from click import Option

from sockkit.cli.commands import BundledCommand, group
from sockkit.cli.help import command as help_command
from sockkit.cli.help import first_sentence
from sockkit.cli.main import status
from sockkit.core.width import width
from tests.test_docs import OPTIONS, commands, unknown

COMMANDS = {name: one for name, one in commands().items() if isinstance(one, BundledCommand)}
PAGES = ["", "chat", "help", *COMMANDS]
each_page = pytest.mark.parametrize("name", PAGES)
each_command = pytest.mark.parametrize("name", COMMANDS)
Capture = pytest.CaptureFixture[str]

# The sections that are a command's own, which come first; then those of ORDER.
OWN = {
    "tcp-client": ["Address"],
    "tcp-server": ["Listening", "Serving"],
    "udp-client": ["Datagrams", "Address"],
    "udp-server": ["Listening", "Datagrams"],
    "echo": ["Listening", "Answers"],
    "probe": ["Probe", "Address"],
    "relay": ["Listening", "Relay", "Faults"],
    "replay": ["Replay", "With --serve"],
    "show": ["Format", "Selection"],
    "chat serve": ["Listening", "Room"],
    "chat join": ["Member", "Address"],
}
ORDER = ["Direction", "Text", "Input", "View", "Time", "Programs", "TLS", "TLS to the target"]
ORDER += ["Proxy", "Access", "Terminal", "Output", "Socket"]
TUNING = {"buffer_size", "send_buffer", "receive_buffer", "reuse_port", "reuse_address", "ttl"}
TUNING |= {"tos", "no_delay", "keepalive", "backlog"}
# A help may name an option of another command where it says whose it is.
OF_OTHERS = {("show", "--record"), ("tcp-server", "-l")}  # nc -l


@pytest.fixture(autouse=True)
def of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(capsys: Capture, *words: str) -> str:
    assert status([*words]) == 0
    return capsys.readouterr().out


@each_page
def test_brief_help_fits_one_screen(name: str, capsys: Capture) -> None:
    lines = shown(capsys, *name.split(), "-h").splitlines()
    assert len(lines) <= 45
    assert max(map(width, lines)) <= 80


@each_page
def test_full_help_fits_80_columns(name: str, capsys: Capture) -> None:
    lines = shown(capsys, *name.split(), "--help").splitlines()
    assert max(map(width, lines)) <= 80


@each_command
def test_brief_help_shows_what_people_need_most(name: str, capsys: Capture) -> None:
    text = shown(capsys, *name.split(), "-h")
    usage, about, options, examples, rest = text.strip().split("\n\n")
    assert usage.startswith(f"Usage: sockkit {name} ")
    assert len(about.splitlines()) <= 3
    assert " ".join(about.split()) in " ".join((COMMANDS[name].help or "").split())
    most = [option for option in COMMANDS[name].params if option.name in COMMANDS[name].most]
    assert 10 <= len(COMMANDS[name].most) <= 13
    assert len(most) == len(COMMANDS[name].most)
    for option in most:
        assert isinstance(option, Option)
        assert re.search(rf"^  (-\w, )?{option.opts[-1]}\b", options, re.MULTILINE)
        assert first_sentence(option.help or "") in " ".join(options.split())
    assert examples.startswith("Examples:\n")
    assert 3 <= len(examples.splitlines()) - 1 <= 4
    assert rest == f"All options: sockkit {name} --help"


@pytest.mark.parametrize("name", ["tcp-client", "tcp-server", "udp-client", "udp-server"])
def test_a_learner_finds_the_explanation_on_one_screen(name: str) -> None:
    assert "explain" in COMMANDS[name].most


@each_command
def test_the_sections_are_in_order(name: str, capsys: Capture) -> None:
    text = shown(capsys, *name.split(), "--help")
    titles = re.findall(r"^(\w[\w -]*):$", text, re.MULTILINE)
    assert titles == OWN[name] + [title for title in ORDER if title in titles]


@each_command
def test_tuning_comes_last(name: str) -> None:
    for bundle in COMMANDS[name]._bundles:
        names = {str(option.name) for option in bundle.options}
        assert names <= TUNING if bundle.title == "Socket" else not names & TUNING


@each_command
def test_the_first_sentence_is_one_short_line(name: str) -> None:
    for option in COMMANDS[name].params:
        if isinstance(option, Option):
            assert len(first_sentence(option.help or "")) <= 70, option.opts


def foreign(name: str, text: str) -> list[str]:
    """The options that `text` mentions and the command does not have."""
    words = re.findall(r"(?<![\w'-])-(?:-[a-z][\w-]*|\w+)", text)
    lacking = unknown(words, OPTIONS[name])
    return [word for word in lacking if (name, word) not in OF_OTHERS]


@each_command
def test_the_help_mentions_no_option_that_the_command_lacks(name: str) -> None:
    command = COMMANDS[name]
    assert foreign(name, command.help or "") == []
    for option in command.params:
        if isinstance(option, Option):
            assert foreign(name, option.help or "") == [], option.opts


def test_a_foreign_option_is_found() -> None:
    assert foreign("udp-server", "Answer once with --once, or -w.") == ["--once"]
    assert foreign("tcp-client", "As --label; -C, -vv and -n do.") == ["--label", "-n"]
    assert foreign("tcp-client", "As with --tls. A range is a-z.") == []


def test_options_of_others_are_still_named(capsys: Capture) -> None:
    for name, word in OF_OTHERS:
        assert word in shown(capsys, name, "--help")
        assert word not in OPTIONS[name]


@each_command
def test_no_help_has_a_range_in_signs(name: str, capsys: Capture) -> None:
    assert "<=" not in shown(capsys, *name.split(), "--help")
    assert ">=" not in shown(capsys, *name.split(), "--help")


def test_the_first_sentence_ends_at_its_full_stop() -> None:
    assert first_sentence("Listen on this port. Default: 9.") == "Listen on this port."
    assert first_sentence("Use IPv4 only.") == "Use IPv4 only."
    assert first_sentence("Wait 1.5s. Or more (e) (SO_X).") == "Wait 1.5s."


@pytest.mark.parametrize("name", ["", "chat", *COMMANDS])
def test_help_shows_the_help_of_a_command(name: str, capsys: Capture) -> None:
    asked = shown(capsys, "help", *name.split())
    assert asked == shown(capsys, *name.split(), "--help")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nosuch"], "there is no command 'nosuch': choose from tcp-client, tcp-server, "),
        (["chat", "nosuch"], "there is no command 'nosuch': choose from serve, join"),
        (["echo", "more"], "sockkit echo has no command 'more'"),
    ],
)
def test_help_of_what_is_no_command_is_one_line(
    words: list[str], told: str, capsys: Capture
) -> None:
    assert status(["help", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"sockkit: {told}")
    assert lines[0].endswith(" (see sockkit --help)")


@pytest.mark.parametrize(
    ("before", "begun", "completed"),
    [
        ((), "udp", ["udp-client", "udp-server"]),
        (("chat",), "", ["serve", "join"]),
        (("echo",), "", []),
        (("nosuch",), "", []),
    ],
)
def test_help_is_completed(before: tuple[str, ...], begun: str, completed: list[str]) -> None:
    context = click.Context(help_command, click.Context(group))
    context.params["words"] = before
    items = help_command.params[0].shell_complete(context, begun)
    assert [item.value for item in items] == completed


def test_the_version(capsys: Capture) -> None:
    assert shown(capsys, "-V") == shown(capsys, "--version")
