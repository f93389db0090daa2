"""completions/ in real shells, with the installed program on the PATH."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sockkit.cli.commands import COMMANDS
from tests.support import SOCKKIT, WAIT, Terminal, need

FOLDER = Path(__file__).resolve().parent.parent.parent / "completions"
PATH = f"{Path(SOCKKIT).parent}:{os.environ['PATH']}"
CLEAR = b"\x15"  # Ctrl-U empties the line

asked = pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("sockkit tcp-", ["tcp-client", "tcp-server"]),
        ("sockkit chat jo", ["join"]),
        ("sockkit help chat ", ["join", "serve"]),
        ("sockkit chat serve --max", ["--max-connections"]),
        ("sockkit tcp-server --until ", ["both", "either", "peer", "stdin"]),
    ],
)


def output(*command: str, home: Path) -> list[str]:
    """The lines `command` prints, with no configuration of the user's."""
    env = {"PATH": PATH, "HOME": str(home), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=WAIT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@asked
def test_bash(line: str, answers: list[str], tmp_path: Path) -> None:
    code = """
        source "$1"
        read -ra function <<< "$(complete -p sockkit)"
        IFS=' ' COMP_WORDS=($2)
        [[ $2 == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        "${function[-2]}" sockkit
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    script = str(FOLDER / "sockkit.bash")
    command = [need("bash"), "--norc", "--noprofile", "-c", code, "-", script, line]
    assert sorted(output(*command, home=tmp_path)) == answers


@asked
def test_fish(line: str, answers: list[str], tmp_path: Path) -> None:
    code = "source $argv[1]; complete -C $argv[2]"
    command = [need("fish"), "--no-config", "-c", code, str(FOLDER / "sockkit.fish"), line]
    shown = output(*command, home=tmp_path)  # each with its description after a tab
    assert sorted(answer.split("\t")[0] for answer in shown) == answers


def test_fish_describes_whole(tmp_path: Path) -> None:
    code = "source $argv[1]; complete -C 'sockkit '"
    command = [need("fish"), "--no-config", "-c", code, str(FOLDER / "sockkit.fish")]
    summaries = {name: summary for name, (_, summary) in COMMANDS.items()}
    summaries["help"] = "Show help for a command."
    assert dict(line.split("\t") for line in output(*command, home=tmp_path)) == summaries


@asked
def test_zsh(line: str, answers: list[str], tmp_path: Path) -> None:
    """With completions/ in fpath, then compinit: at each TAB of a session."""
    setup = f"fpath=({FOLDER} $fpath); autoload -U compinit; compinit -D -u; PROMPT='ready> '"
    (tmp_path / ".zshrc").write_text(setup)
    env = {"PATH": PATH, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    with Terminal() as terminal:
        zsh = subprocess.Popen(
            [need("zsh"), "-d", "-i"],
            stdin=terminal.child,
            stdout=terminal.child,
            stderr=terminal.child,
            env=env,
            start_new_session=True,
            preexec_fn=terminal.control,
        )
        try:
            terminal.shows(b"ready> ")
            for _ in range(3):
                terminal.seen = b""
                terminal.type(line.encode() + b"\t")
                for answer in answers:
                    terminal.shows(answer.encode())
                terminal.type(CLEAR)
            terminal.type(b"exit\n")
            assert zsh.wait(WAIT) == 0
        finally:
            zsh.kill()
            zsh.wait()
