from __future__ import annotations

import re
from importlib import import_module
from typing import Any, NamedTuple

import click
import pytest
from click import Option

from sockkit.cli.chat import COMMANDS as CHAT
from sockkit.cli.group import COMMANDS
from sockkit.cli.main import status
from sockkit.cli.options import Bundle, BundledCommand, fold

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
    parts = re.split(r"^(\w+):\n", command(name).get_help(context(name)), flags=re.MULTILINE)
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
    assert "-h, --help" in shown["Output"]


@each_command
def test_no_option_is_without_help(name: str) -> None:
    given = [parameter for parameter in command(name).params if isinstance(parameter, Option)]
    assert given
    for option in given:
        assert option.help, option.opts
        assert option.help[0].isupper(), option.opts
        assert option.help.endswith((".", ")")), option.opts


# Not fields by their own names: parts of addresses, `colors` and `rules`, and how things are said.
OTHERWISE = {
    *("address", "bind", "port", "color", "rules_re", "password_file"),
    *("no_edit", "quiet", "verbose"),
}


def fields(config: Any) -> set[str]:
    """The names of all fields of a tuple and of those within it."""
    if not hasattr(config, "_fields"):
        return set()
    own = set(config._fields)
    return own.union(*(fields(getattr(config, name)) for name in own))


@each_command
def test_no_option_is_without_effect(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[Any] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call, **_: configs.append(call[2]))
    server = any(parameter.name == "port" for parameter in command(name).params)
    assert status([*name.split(), *(["-p", "0"] if server else ["127.0.0.1", "9"])]) == 0
    named = {str(parameter.name) for parameter in command(name).params}
    assert named <= fields(configs[0]) | OTHERWISE


@each_command
def test_no_word_has_two_meanings(name: str) -> None:
    words = [word for option in command(name).params for word in option.opts]
    assert len(words) == len(set(words))


def test_shared_options_are_the_same_everywhere() -> None:
    """One word, one meaning: what two bundles name alike is told alike."""
    told: dict[str, str | None] = {}
    for name in MODULES:
        for bundle in command(name)._bundles:
            for option in bundle.options:
                for word in option.opts:
                    if (name, word) != ("echo", "--reply"):  # there it is a rule
                        assert told.setdefault(word, option.help) == option.help, word


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
    made = BundledCommand("made", bundles=[bundle], callback=got.update, text="Does.", epilog="")
    made.main(["--odd", "1"], standalone_mode=False)
    assert got == {"odd": "1", "even": None}
