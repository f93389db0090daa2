"""Measures TLS: bytes through one encrypted connection, and handshakes a second.

All programs use one certificate, which is made for the run. Without openssl these rows are left
out. Without a C compiler and the headers of libssl the handshakes are left out, as their load
generator is in C.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.process import HERE, find, free_port, output_of
from benchmarks.served import SECONDS, SOURCES, figures, serving
from benchmarks.table import Goal, Row, in_turn, seconds, size_name
from benchmarks.transfer import Tool, Transfer, compare, data

AES = ["speed", "-evp", "aes-256-gcm", "-bytes", "16384", "-seconds", "1"]
LEAST_RATE = 100  # handshakes a second for each core


def tls_rows(folder: Path, size: int, runs: int) -> list[Row]:
    if not find("openssl"):
        return []
    certificate = _certificate(folder)
    rows = [_transfer_row(folder, certificate, size, runs)]
    if _compiled(folder):
        rows += [_handshake_row(folder, certificate, runs, at_once) for at_once in (1, 16)]
    return rows


def _certificate(folder: Path) -> Path:
    """A key on the curve P-256 and a self-signed certificate for this machine, in one file."""
    path = folder / "certificate.pem"
    options = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
    names = f"subjectAltName=DNS:localhost,IP:{HERE}"
    command = ["openssl", "req", "-x509", *options.split(), "-addext", names]
    subprocess.run([*command, "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


def _transfer_row(folder: Path, certificate: Path, size: int, runs: int) -> Row:
    """Send a file to /dev/null as in the row `file`, encrypted. `openssl speed` is the limit."""
    tools = [
        Tool(
            "sockkit",
            # Like the other senders, do not wait for an answer.
            f"sockkit tcp-client --tls --tls-ca {certificate} --half-close now {HERE} {{port}}",
            f"sockkit tcp-server --once --tls --tls-cert {certificate} -p {{port}} "
            "--port-file {ready}",
        ),
        Tool(
            "ncat",
            f"ncat --ssl --send-only {HERE} {{port}}",
            f"ncat --ssl --ssl-cert {certificate} --ssl-key {certificate} "
            f"-l --recv-only {HERE} {{port}}",
            loses=True,
        ),
    ]
    for name in ("socat", "socat -b 1048576"):
        listen = f"OPENSSL-LISTEN:{{port}},bind={HERE},cert={certificate},verify=0"
        connect = f"OPENSSL:{HERE}:{{port}},cafile={certificate}"
        tools.append(
            Tool(
                name,
                name.replace("socat", "socat -u") + f" STDIN {connect}",
                name.replace("socat", "socat -u") + f" {listen} STDOUT",
            )
        )
    what = f"file to socket to /dev/null with TLS, {size_name(size)} ({_limit(size)})"
    goals = [Goal("ncat", 1.5), Goal("socat"), Goal("socat -b 1048576")]
    return compare(Row("tls", what, seconds, goals), Transfer(data(folder, size)), tools, runs)


def _limit(size: int) -> str:
    """The time that encryption alone would take."""
    told = output_of([str(find("openssl")), *AES])
    found = re.search(r"^AES-256-GCM\s+([\d.]+)k", told, re.MULTILINE)
    if not found:
        return "`openssl speed` failed"
    rate = float(found[1]) * 1000
    return f"AES-256-GCM alone: {size / rate:.2f} s, {rate / 1e9:.1f} GB/s by `openssl speed`"


def _compiled(folder: Path) -> bool:
    """Compile the load generator into `folder`. Returns False if that is not possible."""
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    source, program = SOURCES / "handshakes.c", folder / "handshakes"
    command = [compiler, "-O2", "-o", str(program), str(source), "-lssl", "-lcrypto"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _handshake_row(folder: Path, certificate: Path, runs: int, at_once: int) -> Row:
    """New connections with full TLS 1.3 handshakes, and one byte echoed on each."""

    def contestant(name: str) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            port = free_port()
            with serving(_servers(certificate, port)[name], port):
                duration = SECONDS / 4 if warm_up else SECONDS
                load = [folder / "handshakes", port, at_once, duration]
                return 1 / figures([str(word) for word in load])[0]

        return run

    how = "one after the other" if at_once == 1 else f"{at_once} side by side"
    what = f"TLS 1.3 handshakes, each with one byte echoed, {how}"
    slowest = 1 / LEAST_RATE / len(os.sched_getaffinity(0))
    row = Row("tls", what, _rate, [Goal("socat"), Goal("ncat")], slowest=slowest)
    names = [name for name in _servers(certificate, 0) if find(name)]
    return in_turn(row, {name: contestant(name) for name in names}, runs)


def _servers(certificate: Path, port: int) -> dict[str, list[str]]:
    socat = f"OPENSSL-LISTEN:{port},bind={HERE},reuseaddr,fork,backlog=128"
    ncat = f"ncat --ssl --ssl-cert {certificate} --ssl-key {certificate} -l -k -e /bin/cat"
    sockkit = f"sockkit echo -q -p {port} --backlog 1024 --tls --tls-cert {certificate}"
    return {
        "sockkit": sockkit.split(),
        "socat": ["socat", f"{socat},cert={certificate},verify=0", "EXEC:/bin/cat"],
        "ncat": [*ncat.split(), HERE, str(port)],
    }


def _rate(value: float) -> str:
    return f"{1 / value:,.0f}/s"
