"""Writes sockkit.pyz: sockkit and the packages it needs, in one file for Python 3.11 or newer.

The packages are those installed for this Python. The archive contains their source, and for each
Python on this machine one file of compiled modules, as Python does not keep the modules that it
compiles from an archive. Packages with machine code are left out, and sockkit reports it where one
is needed. The same files and Pythons make the same bytes.
"""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scripts.each_python import pythons

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "sockkit.pyz"
PACKAGES = ("sockkit", "click", "colorama", "prompt_toolkit", "wcwidth", "python-socks")
COMPILED = ("regex",)  # machine code; not in the archive
# Parts of the packages that we never import: Python reads the list of all files at each start.
NOT_USED = ("colorama/tests/", "prompt_toolkit/contrib/", "python_socks/async_/")

INTERPRETER = b"#!/usr/bin/env python3\n"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first date that a zip archive can have
MODE = 0o100644

# Begins the program. Python 2 and all later versions must be able to parse it.
BEGINNING = """\
import sys

if sys.version_info < (3, 11):
    sys.exit(
        "sockkit needs Python 3.11 or newer, and this is %d.%d: try python3.11 %s"
        % (sys.version_info[0], sys.version_info[1], sys.argv[0])
    )

import _signal
import marshal
import zlib
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # as soon as can be

class Compiled(object):
    '''Imports the modules that were compiled for this Python.

    `index` has the place of each in `data`, and whether it is a package. As files of the archive
    they would make the list longer that Python reads at each start.
    '''

    def __init__(self, archive, data):
        size = int.from_bytes(data[:4], "little")
        self.archive, self.index = archive, marshal.loads(data[4 : 4 + size])
        self.data = memoryview(data)[4 + size :]

    def find_spec(self, name, path=None, target=None):
        if name not in self.index:
            return None
        place = "%s/%s" % (self.archive, name.replace(".", "/"))
        package = self.index[name][2]
        spec = ModuleSpec(name, self, origin=place, is_package=package)
        if package:
            spec.submodule_search_locations.append(place)
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        begin, end, _ = self.index[module.__name__]
        exec(marshal.loads(zlib.decompress(self.data[begin:end])), module.__dict__)


try:
    sys.meta_path.insert(
        0, Compiled(__loader__.archive, __loader__.get_data("compiled-" + MAGIC_NUMBER.hex()))
    )
except OSError:
    pass  # there is the source

"""

# Each Python runs this. stdin is lines of a source's path and its name in the archive.
COMPILE = """
import importlib.util, marshal, sys, zlib
index, parts, size = {}, [], 0
for line in sys.stdin.read().splitlines():
    path, name = line.split("\\t")
    with open(path, "rb") as file:
        code = compile(file.read(), name, "exec", dont_inherit=True, optimize=0)
    part = zlib.compress(marshal.dumps(code), 9)
    module = name[:-3].replace("/", ".")
    index[module.removesuffix(".__init__")] = (size, size + len(part), module.endswith("__init__"))
    parts.append(part)
    size += len(part)
listed = marshal.dumps(index)
sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER + len(listed).to_bytes(4, "little") + listed)
sys.stdout.buffer.write(b"".join(parts))
"""


class Entry(NamedTuple):
    name: str
    data: bytes


def sources() -> dict[str, Path]:
    """The files of the packages that go into the archive, by their names there.

    Besides the modules these are the packages' metadata, which some of them read, and licences.
    """
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in distribution(package).files or ():
            if wanted(path):
                found[path.as_posix()] = Path(str(path.locate()))
    return dict(sorted(found.items()))


def wanted(path: PurePosixPath) -> bool:
    if path.is_absolute() or ".." in path.parts:
        return False  # programs and shared files
    if path.parts[0].endswith(".dist-info"):
        return path.name == "METADATA" or "licenses" in path.parts
    return path.suffix == ".py" and not path.as_posix().startswith(NOT_USED)


def compiled(python: Path, modules: dict[str, Path]) -> Entry:
    """The modules compiled by `python`, in one file named by its magic number."""
    told = "".join(f"{path}\t{name}\n" for name, path in modules.items())
    done = subprocess.run(
        [python, "-I", "-S", "-c", COMPILE], input=told.encode(), stdout=subprocess.PIPE, check=True
    )
    return Entry(f"compiled-{done.stdout[:4].hex()}", done.stdout[4:])


def entries(interpreters: list[Path]) -> Iterator[Entry]:
    found = sources()
    main = found["sockkit/__main__.py"].read_text(encoding="utf-8")
    yield Entry("__main__.py", (BEGINNING + main).encode())
    for name, path in found.items():
        yield Entry(name, path.read_bytes())
    modules = {name: path for name, path in found.items() if name.endswith(".py")}
    for python in interpreters:
        yield compiled(python, modules)


def write(path: Path, interpreters: list[Path]) -> None:
    with path.open("wb") as file:
        file.write(INTERPRETER)
        with zipfile.ZipFile(file, "w") as archive:
            for entry in entries(interpreters):
                info = zipfile.ZipInfo(entry.name, LONG_AGO)
                info.external_attr = MODE << 16
                if not entry.name.startswith("compiled-"):  # its modules are compressed already
                    info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, entry.data)
    path.chmod(0o755)


def main() -> None:
    write(PATH, list(pythons().values()))


if __name__ == "__main__":
    main()
