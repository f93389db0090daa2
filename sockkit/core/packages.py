"""The error for an optional Python package that cannot be imported."""

from __future__ import annotations

import sys

from sockkit.errors import SockkitError, too_many_files


def missing(package: str, error: ImportError, purpose: str, otherwise: str = "") -> SockkitError:
    """The error for `purpose`, which needs `package`. `otherwise` is what to do without it."""
    if told := too_many_files(error):
        return told
    return SockkitError(
        f"{purpose} needs the Python package {package}, which is not installed",
        f"{otherwise}run {sys.executable} -m pip install {package}",
    )
