"""Writes completions/ from the program's options; with --check only compares the files."""

from __future__ import annotations

import sys
from pathlib import Path

from click.shell_completion import get_completion_class

from sockkit.cli.commands import NAME, group
from sockkit.cli.main import COMPLETE

FOLDER = Path(__file__).resolve().parent.parent / "completions"
FILES = {
    "bash": "sockkit.bash",
    "zsh": "_sockkit",
    "fish": "sockkit.fish",
    "powershell": "sockkit.ps1",
}

MENDED = {  # what click's scripts get wrong
    # At the second TAB of a session, _sockkit is loaded already. It would only register itself
    # again, and complete nothing.
    "zsh": {"== loadautofunc ]]": "== (loadautofunc|shfunc) ]]"},
    # A description would be cut at its first comma.
    "fish": {'string split "," $completion': 'string split -m 1 "," $completion'},
}


def script(shell: str) -> str:
    """The script that `shell` loads to complete `sockkit` command lines."""
    kind = get_completion_class(shell)
    if kind is None:
        raise SystemExit(f"click makes no completion for {shell}")
    text = kind(group, {}, NAME, COMPLETE)
    # Not `source()`: for bash it would run this machine's bash to check its version.
    source = (text.source_template % text.source_vars()).strip() + "\n"
    for old, new in MENDED.get(shell, {}).items():
        if source.count(old) != 1:
            raise SystemExit(f"click's script for {shell} does not have {old!r} once")
        source = source.replace(old, new)
    return source


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []
    for shell, name in FILES.items():
        path = FOLDER / name
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != script(shell):
                stale.append(name)
        else:
            path.write_text(script(shell), encoding="utf-8")
    for name in stale:
        print(f"completions/{name} is out of date: run make completions")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
