"""Plants faults in sockkit, one at a time, and shows which of them the tests catch.

    python scripts/plant_faults.py [--only WORD] [--jobs N] [--json FILE] [--compare OLD.json]
                                   [--tests WHERE]

The faults are data, tests/faults/*.toml: a text that occurs once in a source file, and its
replacement. The tests of the module run against each fault, and if they pass, the end-to-end tests
that touch the module. A failing test counts if it fails again, and passes without the fault. The
exit status is 1 if a fault is not caught and not marked as `equivalent`, or if an earlier run
caught it (`--compare`) and this one does not. A run takes about an hour.

Neither mutmut nor cosmic-ray fits. Both make small changes to operators and constants, but the
usual faults here are others (a timer that is not cancelled, a missing pause). And both have one
stage of tests: mutmut switches faults within its own process, which an installed program never
sees, and cosmic-ray runs one command, so every fault would cost a whole suite.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
import tomllib
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests" / "faults"
MAX_PYTEST_SECONDS = 600.0  # of one run, against hanging
MAX_TRIES = 5  # failing tests that are examined for one fault, until one counts
_NOT_COPIED = (".git", ".venv", "__pycache__", ".hypothesis", ".*_cache")

# The end-to-end files that touch a module: those of each line whose pattern is in its path.
_TOUCH = {
    "chat|password|token_bucket|telnet": ("test_chat", "test_chat_torture"),
    "echo|responder|workers|scheduler": ("test_echo", "test_echo_torture"),
    "udp|datagrams|answers|peers": ("test_udp",),
    "tcp/server|tcp/client|tcp_server|lines|listen|closing|outbox|coalesce|event_throttle": (
        "test_server", "test_closing", "test_floods",
    ),
    "merging|frames|framed": ("test_frames",),
    "core/faults|stream_faults|disturbed_end|relay": ("test_relay_faults",),
    "views|screen|tap|records|json_lines|recorder|dump|width|flows|headings|difference|text_view": (
        "test_views", "test_show",
    ),
    "habits|advice": ("test_habits",),
    "replay|player|comparison": ("test_replay",),
    "recording|selection|since|show|packets|capture|pcapng|followed": ("test_show",),
    "timeouts|one_way|output_file": ("test_direction",),
    "prompt|binary|file_feed|line_detector|typed_input": ("test_terminal_commands",),
    "access|listen": ("test_access",),
    "address|dial|endpoint|internet|unix|openers|waiting|port_owner": ("test_statuses",),
    "params|units|options|files?.py|main": ("test_statuses",),
    "connection|reader|merged_output": ("test_server", "test_closing", "test_floods"),
    "connection|closing|delivery": ("test_endings", "test_statuses"),
    "waiting": ("test_endings", "test_signals"),
    "session|join|ending|tcp_client|conversation|ends/|text|transforms": (
        "test_endings", "test_statuses",
    ),
    "session|ending|hints|conversation": ("test_half_close",),
    "pump|net/bulk|lanes|kernel|net/pools|net/selector|session|ends/": (
        "test_urgent", "test_torture",
    ),
    "loop|stopping|start|main|workers": ("test_signals",),
    "render|status_lines|printable|gbk|shown": ("test_server", "test_floods", "test_terminal"),
    "term/|edited|ask|operator|console|hexadecimal|chat/view": (
        "test_terminal", "test_terminal_client", "test_terminal_server",
    ),
    "foreground|keyboard|edited": ("test_jobs",),
    "cli/commands|cli/chat.py|cli/options|cli/help": ("test_completions", "test_imports"),
    "cli/(help|options|tcp|udp|echo|probe|relay|replay|show|chat)": ("test_examples",),
    "tls|prepare|secret": ("test_tls",),
    "proxy": ("test_proxy",),
    "relay": ("test_relay", "test_relay_interop"),
    "relay/(pair|server|program)": ("test_relay_torture",),
    "relay/udp|relay/datagram|relay_udp|datagram_faults": ("test_relay_udp",),
    r"relay/program|apps/relay\.py": ("test_relay_programs",),
    "probe|probing|targets|lookups|replies|replace|patterns": ("test_probe",),
    "unix|udp/|listen|openers": ("test_unix",),
    "progress|status_lines|apps/(tcp|udp)": ("test_progress",),
    "explain|cli/start|socket_end": ("test_explain", "test_imports"),
    "program|served|join|hang_ups|socket_end": ("test_programs",),
    "udp/program|program_pair|programs": ("test_udp_programs",),
}  # fmt: skip


class Fault(NamedTuple):
    """`tests` are those of its module, and `e2e` the end-to-end files; empty means the defaults."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    e2e: tuple[str, ...] = ()
    equivalent: str = ""  # why no test could catch it

    @property
    def package(self) -> str:
        return Path(self.file).parts[1]

    def planted(self, text: str) -> str:
        """The `text` of its file, with the fault. Raises ValueError if the fault does not fit."""
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its old text is {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)

    def stages(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        place = Path(self.file).relative_to("sockkit")
        module = (f"tests/{place.parent / f'test_{place.name}'}",)
        touch = (names for words, names in _TOUCH.items() if re.search(words, self.file))
        files = dict.fromkeys(f"tests/e2e/{name}.py" for names in touch for name in names)
        return self.tests or module, self.e2e or tuple(files)


class Verdict(NamedTuple):
    """The result for one fault. `by` is the test that caught it, empty if none did."""

    file: str
    by: str
    seconds: float


def load(folder: Path) -> list[Fault]:
    """The faults of all files in `folder`."""
    faults = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]:
            lists = {key: tuple(entry[key]) for key in ("tests", "e2e") if key in entry}
            faults.append(Fault(**{**entry, **lists}))
    return faults


class Site:
    """A copy of the tree at `place`, with an interpreter in which only this copy is installed."""

    def __init__(self, place: Path, tests: str | None) -> None:
        self.tree, self._cache = place / "tree", place / "cache"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        if tests:
            _use_tests(self.tree, tests)
        venv.create(place / "venv", symlinks=True)
        self.python = place / "venv" / "bin" / "python"
        packages = next((place / "venv" / "lib").glob("python*/site-packages"))
        # The copy comes first, then the packages of this interpreter. An editable install there has
        # no effect, as .pth files in that directory are not read.
        installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        packages.joinpath("copy.pth").write_text("\n".join([str(self.tree), *installed]))
        program = self.python.with_name("sockkit")
        main = "import sys\nfrom sockkit.__main__ import main\nsys.exit(main())\n"
        program.write_text(f"#!{self.python}\n{main}")
        program.chmod(0o755)

    @contextlib.contextmanager
    def having(self, fault: Fault) -> Iterator[None]:
        """Plant the fault in the copy, within the block."""
        path = self.tree / fault.file
        text = path.read_text(encoding="utf-8")
        try:
            self._write(path, fault.planted(text))
            yield
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Python compares a compiled file's source by size and second, which two faults may share.
        Path(cache_from_source(str(path))).unlink(missing_ok=True)

    def failing(
        self, tests: Sequence[str], without: Sequence[str] = (), first: bool = True
    ) -> list[str]:
        """The tests that fail; with `first` only one; all of them if they do not end in time."""
        shutil.rmtree(self._cache, ignore_errors=True)
        command = [str(self.python), "-m", "pytest", "-q", "-o", f"cache_dir={self._cache}", *tests]
        command += [*(["-x"] if first else []), *(f"--deselect={test}" for test in without)]
        process = subprocess.Popen(
            command,
            cwd=self.tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = process.wait(MAX_PYTEST_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status in (0, 4, 5):  # 4 and 5: there is no such test
            return []
        with contextlib.suppress(OSError):
            found = json.loads((self._cache / "v/cache/lastfailed").read_text())
            return [*found] or [*tests]
        return [*tests]

    def present(self, tests: Sequence[str]) -> list[str]:
        """The `tests` that this tree has. If it lacks a test, that test's file takes its place."""
        found: dict[str, None] = {}
        for test in tests:
            file, _, name = test.partition("::")
            path = self.tree / file
            if path.exists():
                has = f"def {name.partition('[')[0]}(" in path.read_text(encoding="utf-8")
                found[test if name and has else file] = None
        return list(found)


def _use_tests(tree: Path, tests: str) -> None:
    """Replace the tree's tests with those of another checkout or a commit."""
    shutil.rmtree(tree / "tests")
    if Path(tests).is_dir():
        ignored = shutil.ignore_patterns(*_NOT_COPIED)
        shutil.copytree(Path(tests) / "tests", tree / "tests", ignore=ignored)
        shutil.copy(Path(tests) / "pyproject.toml", tree)  # it has pytest's settings
        return
    command = ["git", "-C", str(ROOT), "archive", tests, "tests", "pyproject.toml"]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tree, filter="data")


class Trial:
    """Runs faults, and prints each verdict at once. Safe from several threads."""

    def __init__(self, path: str | None) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._path = path
        self._broken: set[str] = set()  # tests that fail without any fault
        self._sound: set[str] = set()  # tests, and files of tests, that pass without a fault
        self._lock = threading.Lock()

    def caught(self, fault: Fault) -> bool:
        return fault.name in self.verdicts and bool(self.verdicts[fault.name].by)

    def check(self, site: Site, tests: Sequence[str]) -> list[str]:
        """The `tests` that fail without a fault. They will not be run again."""
        unknown = [test for test in tests if not {test, test.partition("::")[0]} & self._sound]
        broken = site.failing(unknown, first=False) if unknown else []
        with self._lock:
            for test in broken:
                print(f"LEFT OUT: {test} fails without a fault", flush=True)
            self._broken.update(broken)
            self._sound.update(tests)
        return broken

    def judge(self, site: Site, fault: Fault, stage: int) -> None:
        """Plant `fault`, and run the tests of its module in stage 0, or end-to-end tests in stage
        1.
        """
        began = time.monotonic()
        by = self._catch(site, fault, site.present(fault.stages()[stage]))
        seconds = round(time.monotonic() - began, 1)
        with self._lock:
            self.verdicts[fault.name] = Verdict(fault.file, by, seconds)
            verdict = f"caught by {by}" if by else ("passes its module's tests", "SURVIVED")[stage]
            print(f"{fault.package:5} {seconds:6.1f} s  {fault.name}: {verdict}", flush=True)
            if self._path:
                data = {name: verdict._asdict() for name, verdict in self.verdicts.items()}
                Path(self._path).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    def _catch(self, site: Site, fault: Fault, tests: Sequence[str]) -> str:
        """The test that catches the fault: it fails twice, and passes without the fault. Empty for
        none.
        """
        excluded: list[str] = []
        for _ in range(MAX_TRIES if tests else 0):
            with site.having(fault):
                failed = site.failing(tests, sorted({*self._broken, *excluded}))
                if not failed:
                    return ""
                steady = site.failing(failed)
            if not self.check(site, failed) and steady:
                return failed[0]
            excluded += failed
        return ""


def prove(site: Site) -> None:
    """Check that the tests run the copy: they catch a fault in every command. Raises SystemExit."""
    test = ["tests/e2e/test_http.py"]
    fault = Fault(
        "every command ends at once",
        "sockkit/cli/main.py",
        "    _open_missing_streams()\n",
        "    sys.exit(9)\n",
    )
    if failed := site.failing(test):
        raise SystemExit(f"without a fault {failed[0]} fails: see to that first")
    with site.having(fault):
        if not site.failing(test):
            raise SystemExit(f"{test[0]} does not run the program of the copy")


def run(faults: list[Fault], jobs: int, tests: str | None, path: str | None) -> Trial:
    """Plant each of `faults`, in `jobs` copies of the tree side by side."""
    trial = Trial(path)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        sites = [Site(Path(folder) / str(number), tests) for number in range(jobs)]
        prove(sites[0])
        modules = sorted({test for fault in faults for test in fault.stages()[0]})
        trial.check(sites[0], sites[0].present(modules))
        free = list(sites)

        def judge(fault: Fault, stage: int) -> None:
            site = free.pop()
            try:
                trial.judge(site, fault, stage)
            finally:
                free.append(site)

        with ThreadPoolExecutor(jobs) as pool:
            for stage in (0, 1):  # the quick one first, for all
                remaining = [fault for fault in faults if not trial.caught(fault)]
                list(pool.map(judge, remaining, [stage] * len(remaining)))
    return trial


def report(faults: list[Fault], verdicts: dict[str, Verdict]) -> bool:
    """Print a count for each package. Returns whether all faults were caught."""
    packages = Counter(fault.package for fault in faults)
    caught = Counter(fault.package for fault in faults if verdicts[fault.name].by)
    e2e = sum(verdict.by.startswith("tests/e2e/") for verdict in verdicts.values())
    for package in packages:
        print(f"{package}: {caught[package]} of {packages[package]} caught")
    total = caught.total()
    print(f"in all: {total} of {len(faults)} caught, {e2e} of them by end-to-end tests")
    for fault in faults:
        if not verdicts[fault.name].by:
            print(f"SURVIVED: {fault.name} ({fault.file})")
    return total == len(faults)


def lost(before: dict[str, Any], now: dict[str, Verdict], word: str) -> list[str]:
    """The faults with `word` in their name or file that were caught `before` and are not `now`."""
    return [
        name
        for name, verdict in before.items()
        if verdict["by"] and word in f"{name} {verdict['file']}"
        if name not in now or not now[name].by
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog="It takes about an hour. The exit status is 1 if a fault is not caught.",
    )
    parser.add_argument(
        "--only", default="", metavar="WORD", help="only faults with WORD in their name or file"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="copies of the tree to test side by side (default: 2)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument(
        "--compare",
        metavar="OLD.json",
        help="fail also if a fault is not caught that was in OLD.json",
    )
    parser.add_argument(
        "--tests", metavar="WHERE", help="use the tests of another checkout or commit"
    )
    arguments = parser.parse_args()
    # The programs that tests start must not inherit signals that are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: None)
    picked = [fault for fault in load(FAULTS) if arguments.only in f"{fault.name} {fault.file}"]
    for fault in picked:
        if fault.equivalent:
            print(f"not run: {fault.name}: {fault.equivalent}")
    faults = [fault for fault in picked if not fault.equivalent]
    before = json.loads(Path(arguments.compare).read_text()) if arguments.compare else {}
    trial = run(faults, arguments.jobs, arguments.tests, arguments.json)
    all_caught = report(faults, trial.verdicts)
    lost_faults = lost(before, trial.verdicts, arguments.only)
    for name in lost_faults:
        print(f"CAUGHT BEFORE, NOT NOW: {name}")
    return 0 if all_caught and not lost_faults else 1


if __name__ == "__main__":
    sys.exit(main())
