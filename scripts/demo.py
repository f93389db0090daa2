"""Shows the main task of sockkit on real input: `python scripts/demo.py PATH-OF-SOCKKIT`.

It sends a tar of the Python installation, at least 100 MB, from tcp-client to tcp-server --once,
and compares the SHA-256 of both files. Then it sends a line in GBK to a server that answers in GBK.
Exits with 1 if anything is wrong.
"""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

MIN_FILE_BYTES = 100_000_000


def make_file(path: Path) -> None:
    """Make a tar of Python's library, repeated until it has MIN_FILE_BYTES."""
    library = sysconfig.get_path("stdlib")
    with tarfile.open(path, "w") as tar:
        copy = 0
        while path.stat().st_size < MIN_FILE_BYTES:
            copy += 1
            tar.add(library, f"python-{copy}", filter=without_packages)


def without_packages(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "-packages" in member.name else member


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def show(command: list[str], rest: str = "", before: str = "") -> None:
    print(f"$ {before}sockkit {shlex.join(command)}{rest}", flush=True)


def serve(sockkit: str, command: list[str], out: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server. Returns it, and its port once it listens."""
    with out.open("wb") as file:
        server = subprocess.Popen(
            [sockkit, *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert server.stderr
    line = server.stderr.readline()
    print(f"  {line}", end="")
    if "listening on" not in line:
        raise SystemExit("the server did not start")
    return server, line.split("listening on ")[1].split()[0].rpartition(":")[2]


def finish(server: subprocess.Popen[str], client_status: int) -> None:
    assert server.stderr
    for line in server.stderr:
        print(f"  server {line}", end="")
    status = server.wait(60)
    print(f"  exit statuses: client {client_status}, server {status}")
    if status or client_status:
        raise SystemExit("a side failed")


def move_a_file(sockkit: str, folder: Path) -> None:
    sent, received = folder / "python.tar", folder / "received.tar"
    print("A tar of the Python installation, from one process to another:\n")
    make_file(sent)
    print(f"  {sent.stat().st_size:,} bytes in python.tar")
    command = ["tcp-server", "-p", "0", "--once", "-v"]
    show(command, " > received.tar &")
    server, port = serve(sockkit, command, received)
    command = ["tcp-client", "-v", "127.0.0.1", port]
    show(command, " < python.tar")
    with sent.open("rb") as file:
        client = subprocess.run(
            [sockkit, *command], stdin=file, capture_output=True, text=True, timeout=120
        )
    print("".join(f"  client {line}\n" for line in client.stderr.splitlines()), end="")
    finish(server, client.returncode)
    sums = sha256(sent), sha256(received)
    print(f"  {sums[0]}  python.tar\n  {sums[1]}  received.tar")
    if sums[0] != sums[1]:
        raise SystemExit("the two files differ")
    print("  equal\n")


def talk_gbk(sockkit: str, folder: Path) -> None:
    print("A line in GBK, to a server that answers in GBK:\n")
    command = ["tcp-server", "-p", "0", "--once", "-E", "gbk", "--reply", "谢谢！"]
    show(command, " &")
    server, port = serve(sockkit, command, folder / "said.txt")
    command = ["tcp-client", "-E", "gbk", "127.0.0.1", port]
    show(command, before="echo 你好 | ")
    client = subprocess.run([sockkit, *command], input="你好\n".encode(), capture_output=True)
    answer = client.stdout.decode()
    print(f"  the client shows: {answer}")
    finish(server, client.returncode)
    said = (folder / "said.txt").read_text(encoding="utf-8")
    print(f"  the server shows: {said}", end="")
    if (said, answer) != ("你好\n", "谢谢！"):
        raise SystemExit("the text did not arrive as it was")


def main() -> None:
    sockkit = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        move_a_file(sockkit, Path(folder))
        talk_gbk(sockkit, Path(folder))
    print("\nAll as it should be.")


if __name__ == "__main__":
    main()
