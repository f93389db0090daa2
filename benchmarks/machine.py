"""The machine a table was made on: without it no number means anything."""

from __future__ import annotations

import os
import platform
import re
import ssl
from pathlib import Path

from benchmarks.process import find, output_of

# How each program is asked for its version, and where in the answer it stands.
VERSIONS = {
    "sockkit": ("--version", r"(\d[\d.]+\S*)"),
    "nc": ("-h", r"(OpenBSD netcat.*\))"),
    "ncat": ("--version", r"(\d[\d.]+\d)"),
    "socat": ("-V", r"version (\d[\d.]+)"),
    "openssl": ("version", r"OpenSSL (\S+)"),
    "iconv": ("--version", r"\((.*)\)"),
    "xxd": ("--version", r"xxd (\S+)"),
    "hexdump": ("-V", r"util-linux (\d[\d.]+)"),
    "pwncat": ("--version", r"(\d[\d.]+\S*)"),
}


def version(program: str) -> str:
    """The version a program tells, or that it is missing."""
    option, pattern = VERSIONS[program]
    path = find(program)
    if path is None:
        return "not installed"
    found = re.search(pattern, output_of([path, option]))
    return found[1] if found else "version unknown"


def processor() -> str:
    found = re.search(r"^model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def describe() -> list[str]:
    """Lines of Markdown. The load is that of the minute before: a busy machine shows."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cores = len(os.sched_getaffinity(0))
    return [
        f"- processor: {processor()}, {cores} cores, {memory:.0f} GiB of memory",
        f"- kernel: {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}",
        f"- Python: {platform.python_implementation()} {platform.python_version()}, "
        f"{ssl.OPENSSL_VERSION}",
        *(f"- {program}: {version(program)}" for program in VERSIONS),
    ]
