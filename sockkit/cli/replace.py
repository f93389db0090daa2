"""Replaces this process with another program."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from sockkit.core.programs import program_environment
from sockkit.errors import CommandError, reason

# The signals that Python ignores, and SIGCHLD, which Stopping sets.
_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


def replace(words: Sequence[str], background: Any) -> NoReturn:
    """Run the program `words` in place of this one, execvp(3). Raises CommandError.

    It inherits the standard streams as we got them, our environment without passwords, and no other
    descriptor. Signals have their default actions, except those that our parent ignores;
    `background` is how SIGTTOU was handled when we began. No signal is blocked.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    before = [signal.signal(number, signal.SIG_DFL) for number in _DEFAULT]
    signal.signal(signal.SIGTTOU, background)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvpe(words[0], [*words], program_environment(os.environ))
    except OSError as error:
        for number, handler in zip(_DEFAULT, before, strict=True):
            signal.signal(number, handler)
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise CommandError(f"could not run {words[0]}: {reason(error)}", missing) from error
