"""The command line and the environment of a program that we start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sockkit.core.address import Address
from sockkit.errors import UsageError

# The variables that hold our passwords. We remove them from the environment of every program.
ROOM_PASSWORD, PROXY_PASSWORD = "SOCKKIT_PASSWORD", "SOCKKIT_PROXY_PASSWORD"
SECRETS = (ROOM_PASSWORD, PROXY_PASSWORD)

SHELL = ("/bin/sh", "-c")


def split_command(text: str) -> tuple[str, ...]:
    """The words of a command line, split as a shell would. Raises UsageError.

    Quotes and backslashes protect characters; nothing is expanded.
    """
    import shlex

    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"--exec {text!r} cannot be split into words: {str(error).lower()}",
            "quote it as for a shell",
        ) from error
    if not (words and words[0]):
        raise UsageError(f"--exec {text!r} names no program", "add one, as in --exec cat")
    return words


# Words that only a shell understands. A semicolon may also end a word.
SHELL_WORDS = {"|", "||", "&", "&&", ";", "<", ">", ">>", "2>&1"}


def word_for_a_shell(words: Sequence[str]) -> str:
    """The first of `words` that looks meant for a shell; empty if none does."""
    if tuple(words[:2]) == SHELL:
        return ""
    ends = (word for word in words if word in SHELL_WORDS or (word[-1:] == ";" and " " not in word))
    return next(ends, "")


def shell_command(text: str) -> tuple[str, ...]:
    """The words of a command that runs `text` in a shell. Raises UsageError."""
    if not text.strip():
        raise UsageError(f"--shell {text!r} names no program", "add one, as in --shell 'date -u'")
    return (*SHELL, text)


def exit_status(code: int) -> int:
    """The status that a shell shows for `code`: -n, for signal n, is 128 + n."""
    return 128 - code if code < 0 else code


def signal_name(number: int) -> str:
    """`SIGKILL` for 9, and `signal 99` for one without a name."""
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def connection_facts(
    remote: Address | None, local: Address | None, protocol: str = "tcp"
) -> dict[str, str]:
    """The facts of a connection for its program: both addresses; None if one has no name."""
    return {"PROTO": protocol, **_address("REMOTE", remote), **_address("LOCAL", local)}


def _address(side: str, address: Address | None) -> dict[str, str]:
    """A unix address is its path, and has no port.

    No variable can hold a NUL, which an abstract name may have: it is `@`, as in /proc/net/unix.
    """
    location = address.location.replace("\0", "@") if address else ""
    port = {f"{side}_PORT": str(address.port)} if address and address.port is not None else {}
    return {f"{side}_HOST": location, **port}


# The facts that `program_environment` may set. Those set by an outer sockkit are removed.
FACTS = ("PROTO", "REMOTE_HOST", "REMOTE_PORT", "LOCAL_HOST", "LOCAL_PORT", "TLS_SUBJECT")


def program_environment(inherited: Mapping[str, str], **facts: str) -> dict[str, str]:
    """The environment of a program: `inherited` without our passwords, and `facts`.

    Each fact is a variable whose name begins with `SOCKKIT_`, as REMOTE_HOST becomes
    SOCKKIT_REMOTE_HOST.
    """
    kept = {name: value for name, value in inherited.items() if name not in SECRETS}
    if facts:
        for name in FACTS:
            kept.pop(f"SOCKKIT_{name}", None)
    return kept | {f"SOCKKIT_{name}": value for name, value in facts.items()}
