"""Describes the machine on which a table was made, as no figure means anything without it."""

from __future__ import annotations

import os
import platform
import re
import ssl
from pathlib import Path

from benchmarks.process import find, output_of

# The option that makes a program print its version, and where it is in the output.
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
    """The version that a program prints, or a text that it is missing."""
    option, pattern = VERSIONS[program]
    path = find(program)
    if path is None:
        return "not installed"
    found = re.search(pattern, output_of([path, option]))
    return found[1] if found else "version unknown"


def processor() -> str:
    found = re.search(r"^model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def stolen() -> float:
    """Seconds of processor time that the host gave to other machines, since the start: proc(5)."""
    ticks = int(Path("/proc/stat").read_text().split()[8])
    return ticks / os.sysconf("SC_CLK_TCK")


def describe() -> list[str]:
    """Lines of Markdown. They include the load of the last minute, which shows a busy machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cores = len(os.sched_getaffinity(0))
    return [
        f"- processor: {processor()}, {cores} cores, {memory:.0f} GiB of memory",
        f"- kernel: {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}",
        f"- Python: {platform.python_implementation()} {platform.python_version()}, "
        f"{ssl.OPENSSL_VERSION}",
        *(f"- {program}: {version(program)}" for program in VERSIONS),
    ]
