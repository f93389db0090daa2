"""The documents say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from sockkit.cli.group import COMMANDS
from sockkit.errors import ExitStatus

ROOT = Path(__file__).resolve().parent.parent


def test_the_reference_lists_every_exit_status_once() -> None:
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    listed = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert listed == sorted(ExitStatus)


def test_each_option_the_documents_use_exists() -> None:
    import click

    from sockkit.cli.group import group

    with click.Context(group) as context:
        known = {"--help", "--version"}
        for name in COMMANDS:
            command = group.get_command(context, name)
            assert command
            for parameter in command.params:
                known.update(parameter.opts, parameter.secondary_opts)
    for document in ["README.md", *(f"docs/{name}.md" for name in ("reference", "learn"))]:
        text = (ROOT / document).read_text(encoding="utf-8")
        for line in re.findall(r"sockkit (?:tcp|udp)-[^`\n|]*", text):
            used = set(re.findall(r"(?<=\s)--?[a-zA-Z4-6][a-z-]*", line))
            assert used <= known, f"{document}: {line}"
