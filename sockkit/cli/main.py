"""The boundary between the shell and sockkit.

Every failure becomes one line on stderr and an exit status. click's own `main` is not used, as it
turns every EPIPE into a silent status 1 and prints errors on several lines.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import NoReturn

import click

from sockkit.cli.commands import NAME, group
from sockkit.cli.render import complain
from sockkit.cli.stopping import die
from sockkit.errors import (
    IDLE,
    REFUSED,
    BindError,
    ConnectError,
    ExitStatus,
    OutputError,
    OutputGone,
    ProgramFailed,
    ResolveError,
    SockkitError,
    Stopped,
    UsageError,
    reason,
    too_many_files,
)

COMPLETE = "_SOCKKIT_COMPLETE"
_HINTS = {
    errno.EACCES: "check its permissions",
    errno.EISDIR: "give the name of a file",
    errno.EFBIG: "raise the limit (ulimit -f), or write to another file",
    errno.EMSGSIZE: "send less at a time",
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EROFS: "write to another folder",
    errno.ECONNRESET: "the peer's log may say why",
    errno.EPIPE: "the peer's log may say why",
    errno.ENETUNREACH: "check the address and the network",
    errno.EHOSTUNREACH: "check the address and the network",
}
_SIGNALS = (
    ExitStatus.HUNG_UP, ExitStatus.INTERRUPTED, ExitStatus.QUIT, ExitStatus.TERMINATED,
)  # fmt: skip


def main() -> NoReturn:
    """Run the command that the process's arguments name, and exit."""
    _open_missing_streams()
    code = status(sys.argv[1:])
    if code:
        _release_port_file(sys.argv[1:])
    if code in _SIGNALS and isinstance(code, ExitStatus):  # not the status of a program of --exec
        die(code - 128)
    if sys.stderr:
        sys.stderr.flush()
    # Everything is closed and written: finalizing the interpreter would only take time.
    os._exit(code)


def status(arguments: list[str]) -> int:
    """Run `sockkit ARGUMENTS`, and return its exit status. Failures are shown on stderr."""
    try:
        return _advised(arguments)
    except (OutputGone, ProgramFailed) as error:
        return error.status
    except SockkitError as error:
        if not (isinstance(error, Stopped) and error.quiet):
            error.hint = error.hint or _hint(error)
            complain(str(error))
        return error.status
    except MemoryError:
        os.write(2, b"sockkit: not enough memory\n")  # this needs no memory
        return ExitStatus.FAILED
    except Exception as error:
        if told := too_many_files(error):
            complain(str(told))
            return told.status
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place else ""
        complain(f"this is a bug in sockkit, please report it: {error!r}{where}")
        return ExitStatus.FAILED


def _hint(error: SockkitError) -> str:
    """What to try after an error that has ended the run, where the error itself does not say it."""
    code = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
    if error.kind == REFUSED or (code == errno.ENOENT and isinstance(error, ConnectError)):
        return "start the server first, or check the address"
    if error.kind == IDLE:
        return "allow more time with --idle-timeout"
    if isinstance(error, ResolveError):
        return "check the name, or give an IP address"
    if code == errno.ENOENT:
        made = isinstance(error, OutputError | BindError)
        return "create its folder first" if made else "check the name"
    return _HINTS.get(code or 0, "")


def _advised(arguments: list[str]) -> int:
    """Run `sockkit ARGUMENTS`. If the line is wrong, say what to write."""
    try:
        return _invoke(arguments)
    except (UsageError, click.UsageError) as error:
        from sockkit.cli.advice import usage_line  # which loads every command

        if isinstance(error, UsageError):
            error.hint = error.hint or _hint(error)
        complain(usage_line(error, arguments))
        return ExitStatus.USAGE


def _invoke(arguments: list[str]) -> int:
    try:
        if instruction := os.environ.get(COMPLETE):
            return _complete(instruction)
        with group.make_context(NAME, [*arguments]) as context:
            group.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitStatus.USAGE
    except click.Abort as error:  # Ctrl-D at a question; Ctrl-C ends us before click sees it
        raise UsageError("no address was given", "write HOST PORT after the command") from error
    except OSError as error:  # standard output cannot be written, with help or the version
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        if too_many_files(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.EPIPE:
            raise OutputGone("") from error
        hint = "add > /dev/null" if error.errno == errno.EBADF else ""
        raise OutputError(f"could not write stdout: {reason(error)}", hint) from error
    return ExitStatus.DONE


def _complete(instruction: str) -> int:
    """Print the completions that a shell's completion script asks for."""
    from click.shell_completion import shell_complete

    try:
        return shell_complete(group, {}, NAME, COMPLETE, instruction)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{COMPLETE} is for a shell's completion script: {error}") from error


def _release_port_file(arguments: list[str]) -> None:
    """Release a script that waits at a FIFO for the port of a server that failed.

    The command line may be invalid, so this searches it for the option.
    """
    for word, after in zip(arguments, [*arguments[1:], ""], strict=False):
        option, equals, value = word.partition("=")
        if option == "--port-file":
            from sockkit.net.port_file import release

            release(value if equals else after)


def _open_missing_streams() -> None:
    """Open a descriptor for each closed standard stream, so that no socket gets its number.

    A closed input is then at its end, and a closed output cannot be written. Characters of help
    texts that the user's encoding lacks are replaced.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for the whole run
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
