from __future__ import annotations

import contextlib
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from click import Option

from sockkit.cli import commands as module
from sockkit.cli.commands import COMMANDS, NAME, Bundle, BundledCommand, Page, fold, group
from sockkit.cli.main import status


@pytest.fixture
def context() -> click.Context:
    return click.Context(group, info_name=NAME, **group.context_settings)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_is_right(name: str, context: click.Context) -> None:
    place, summary = COMMANDS[name]
    command = group.get_command(context, name)
    assert command is import_module(place).command
    assert command.name == name
    assert summary[0].isupper()
    assert summary.endswith(".")


def test_help_shows_each_command_in_a_line(context: click.Context) -> None:
    assert group.list_commands(context) == [*COMMANDS, "help"]
    lines = [line.split(maxsplit=1) for line in group.get_help(context).splitlines()]
    for name, (_, summary) in COMMANDS.items():
        assert [name, summary] in lines


def test_help_loads_no_command(context: click.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(module, "import_module", load)
    assert "Commands:" in group.get_help(context)
    assert group.shell_complete(context, "tcp-")
    with pytest.raises(click.UsageError):
        group.resolve_command(context, ["nope"])
    with pytest.raises(AssertionError, match="tcp_client"):
        group.get_command(context, "tcp-client")


@pytest.mark.parametrize(
    ("begun", "completions"),
    [
        ("", [*COMMANDS, "help"]),
        ("tcp-c", ["tcp-client"]),
        ("x", []),
        ("--v", ["--version"]),
    ],
)
def test_completion(begun: str, completions: list[str], context: click.Context) -> None:
    items = group.shell_complete(context, begun)
    assert [item.value for item in items] == completions
    for item in items:
        assert item.help == COMMANDS.get(item.value, ("", item.help))[1]
        assert item.help


def test_no_such_command(context: click.Context) -> None:
    assert group.get_command(context, "nope") is None
    with pytest.raises(click.UsageError) as raised:
        group.resolve_command(context, ["tcp-srver"])
    assert "'tcp-srver'" in raised.value.format_message()
    context.resilient_parsing = True  # a completion has no errors
    assert group.resolve_command(context, ["tcp-srver"])[1] is None


class Sizes(NamedTuple):
    width: int
    height: int = 3


def test_fold_takes_the_options_named_as_fields() -> None:
    assert fold(Sizes, {"width": 1, "depth": 9}) == Sizes(1, 3)
    assert fold(Sizes, {"width": 1}, height=2) == Sizes(1, 2)


def test_fold_needs_what_has_no_default() -> None:
    with pytest.raises(TypeError, match="width"):
        fold(Sizes, {})


def test_a_bundled_command_calls_back_with_every_option() -> None:
    got: dict[str, Any] = {}
    bundle = Bundle("Odds", (Option(["--odd"], help="Odd."), Option(["--even"], help="Even.")))
    page = Page("Does.", "  sockkit made")
    made = BundledCommand("made", bundles=[bundle], callback=got.update, page=page)
    made.main(["--odd", "1"], standalone_mode=False)
    assert got == {"odd": "1", "even": None}


def test_a_bundle_has_other_help_for_another_command() -> None:
    odd, even = Option(["--odd"], help="Odd.", metavar="N"), Option(["--even"], help="Even.")
    bundle = Bundle("Odds", (odd, even))
    said = bundle.saying(odd="Odder.")
    assert [option.help for option in said.options] == ["Odder.", "Even."]
    assert [option.help for option in bundle.options] == ["Odd.", "Even."]
    assert (said.title, said.options[0].opts, said.options[0].metavar) == ("Odds", ["--odd"], "N")
    assert said.options[1] is even
    with pytest.raises(KeyError, match="strange"):
        bundle.saying(strange="It is not there.")


def test_a_bundle_is_chosen_from() -> None:
    odd, even = Option(["--odd"]), Option(["--even"])
    bundle = Bundle("Odds", (odd, even))
    assert bundle.only("even", "other") == Bundle("Odds", (even,))
    assert bundle.without("even", "other") == Bundle("Odds", (odd,))


ANY = ["tcp-server", "-p", "0"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--record", "--once"],
            "--record needs a value before --once: add it, or write --record=",
        ),
        (
            ["-o", "-x"],
            "-o needs a value before -x: add it, or write --output=-x if that is the value",
        ),
        (["--record", "a", "--record=b"], "--record is given twice: remove one of them"),
        (["--port", "1"], "--port is given twice: remove one of them"),
        (["-p1"], "-p is given twice: remove one of them"),
        (["--record", "--bind=x"], "--record needs a value before --bind=x: add it"),
        (["--record", "-i5"], "--record needs a value before -i5: add it"),
        (["--record", "-h"], "--record needs a value before -h: add it"),
        (["-vo", "--once"], "-o needs a value before --once: add it"),
        (["-vp1"], "-p is given twice: remove one of them"),
    ],
)
def test_a_value_in_the_wrong_place(
    words: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sockkit.cli.start.start", lambda *_: None)
    assert status([*ANY, *words]) == 2
    assert capsys.readouterr().err.startswith(f"sockkit: {told}")


@pytest.mark.parametrize(
    "words",
    [
        ["--record=--once"],
        ["--reply", "", "--record", "a"],
        ["--reply", "--record a", "--record", "b"],
        ["--linger", "1", "--linger", "2"],
        ["--allow", "::1", "--allow", "::2"],
        ["--", "on"],
    ],
)
def test_a_value_in_the_right_place(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sockkit.cli.start.start", lambda *_: None)
    assert status([*ANY, *words]) == 0


def test_a_long_option_with_one_dash_is_no_short_ones(tmp_path: Path) -> None:
    """-once would be -o nce, and that file empty."""
    (tmp_path / "nce").write_text("precious")
    with contextlib.chdir(tmp_path):
        assert status(["tcp-server", "-p", "8080", "-once"]) == 2
    assert (tmp_path / "nce").read_text() == "precious"
    assert status(["echo", "--", "-once"]) == 2
