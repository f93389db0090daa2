"""Writes sockkit/core/lookalikes.py from two files of Unicode in FOLDER.

    scripts/make_lookalikes.py FOLDER

The files are confusables.txt, from https://www.unicode.org/Public/security/, and
DerivedCoreProperties.txt, from https://www.unicode.org/Public/. Debian's source package `icu`
contains both, in source/data/unidata/. Pairs that normalising (NFD, then NFKC) makes equal are left
out.
"""

from __future__ import annotations

import re
import sys
import textwrap
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / "sockkit/core/lookalikes.py"

# Invisible, although they are not default-ignorable: a braille pattern, the object replacement
# character, a Khitan filler, two Egyptian blanks, a musical notehead.
BLANK = (0x2800, 0xFFFC, 0x16FE4, 0x13441, 0x13442, 0x1D159)
# Invisible between letters of their script: their Indic_Syllabic_Category is Invisible_Stacker or
# Number_Joiner, IndicSyllabicCategory-15.0.0.txt.
STACKERS = (
    *(0x1039, 0x17D2, 0x1A60, 0x1BAB, 0xAAF6, 0x10A3F, 0x1107F, 0x11133, 0x1193E, 0x11A47),
    *(0x11A99, 0x11D45, 0x11D97, 0x11F42),
)
# Styled Latin letters that confusables.txt lacks.
STYLED = re.compile(
    r"(?:LATIN LETTER SMALL CAPITAL|NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER"
    r"|REGIONAL INDICATOR SYMBOL LETTER) ([A-Z])"
)

HEAD = '''"""Characters that look alike, UTS 39, and invisible characters.

Written by scripts/make_lookalikes.py from confusables.txt, {confusables}, and
DerivedCoreProperties.txt, {properties}, of the Unicode Consortium.
"""

# UNICODE LICENSE V3 (SPDX-License-Identifier: Unicode-3.0)
#
# COPYRIGHT AND PERMISSION NOTICE
#
# Copyright © 1991-2024 Unicode, Inc.
#
{notice}

from __future__ import annotations

from functools import cache

# Default_Ignorable_Code_Point, and other characters drawn as nothing; for a set of `re`.
INVISIBLE = (
{invisible}
)
# Drawn as nothing between letters of their script, which need them.
STACKERS = {stackers}


@cache
def prototypes() -> dict[int, str]:
    """The prototype of each character that looks like another, for `str.translate` of NFD."""
    table = {{}}
    for row in _TABLE.split(";"):
        target, _, sources = row.partition(":")
        prototype = "".join([chr(int(one, 16)) for one in target.split(".")])
        for source in sources.split(","):
            table[int(source, 16)] = prototype
    return table


_TABLE = (
{table}
)
'''
NOTICE = """\
NOTICE TO USER: Carefully read the following legal agreement. BY DOWNLOADING, INSTALLING, COPYING \
OR OTHERWISE USING DATA FILES, AND/OR SOFTWARE, YOU UNEQUIVOCALLY ACCEPT, AND AGREE TO BE BOUND \
BY, ALL OF THE TERMS AND CONDITIONS OF THIS AGREEMENT. IF YOU DO NOT AGREE, DO NOT DOWNLOAD, \
INSTALL, COPY, DISTRIBUTE OR USE THE DATA FILES OR SOFTWARE.

Permission is hereby granted, free of charge, to any person obtaining a copy of data files and any \
associated documentation (the "Data Files") or software and any associated documentation (the \
"Software") to deal in the Data Files or Software without restriction, including without \
limitation the rights to use, copy, modify, merge, publish, distribute, and/or sell copies of the \
Data Files or Software, and to permit persons to whom the Data Files or Software are furnished to \
do so, provided that either (a) this copyright and permission notice appear with all copies of the \
Data Files or Software, or (b) this copyright and permission notice appear in associated \
Documentation.

THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR \
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR \
PURPOSE AND NONINFRINGEMENT OF THIRD PARTY RIGHTS.

IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS INCLUDED IN THIS NOTICE BE LIABLE FOR ANY CLAIM, \
OR ANY SPECIAL INDIRECT OR CONSEQUENTIAL DAMAGES, OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF \
USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, \
ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THE DATA FILES OR SOFTWARE.

Except as contained in this notice, the name of a copyright holder shall not be used in \
advertising or otherwise to promote the sale, use or other dealings in these Data Files or \
Software without prior written authorization of the copyright holder."""


def rows(path: Path) -> Iterator[list[str]]:
    """The fields of each line of one of the files."""
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if data := line.partition("#")[0].strip():
            yield [field.strip() for field in data.split(";")]


def version(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        found = re.search(r"(?:Version: |-)(\d+\.\d+\.\d+)", file.read(1000))
    if not found:
        raise SystemExit(f"{path} does not tell its version")
    return found[1]


def confusables(path: Path) -> dict[str, str]:
    """The prototype of each character that looks like another."""
    found = {
        chr(int(source, 16)): "".join(chr(int(one, 16)) for one in target.split())
        for source, target, _ in rows(path)
    }
    for source in map(chr, range(sys.maxunicode)):
        styled = STYLED.fullmatch(unicodedata.name(source, ""))
        if styled and unicodedata.normalize("NFKC", source) == source:
            found.setdefault(source, styled[1].lower())
    return found


def needed(found: dict[str, str]) -> dict[str, str]:
    """The pairs that normalising does not make equal."""

    def skeleton(text: str) -> str:
        normal = unicodedata.normalize("NFD", text)
        return unicodedata.normalize("NFD", "".join([found.get(one, one) for one in normal]))

    return {
        source: target
        for source, target in found.items()
        if unicodedata.normalize("NFD", source) == source
        and (
            (compatible := unicodedata.normalize("NFKC", source)) == source
            or skeleton(compatible) != skeleton(source)
        )
    }


def written(found: dict[str, str]) -> str:
    """`target:source,source;…`, each character a hexadecimal number."""
    by_target = defaultdict(list)
    for source, target in sorted(found.items()):
        by_target[".".join(f"{ord(one):x}" for one in target)].append(f"{ord(source):x}")
    return ";".join(f"{target}:{','.join(sources)}" for target, sources in by_target.items())


def invisible(path: Path) -> list[str]:
    """The ranges of invisible characters, for a set of `re`."""
    numbers = set(BLANK)
    for reach, name, *_ in rows(path):
        if name == "Default_Ignorable_Code_Point":
            first, _, last = reach.partition("..")
            numbers.update(range(int(first, 16), int(last or first, 16) + 1))
    starts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    return [
        escaped([start, end]).replace("\\U", "-\\U").removeprefix("-")
        if end > start
        else escaped([start])
        for start, end in zip(starts, ends, strict=True)
    ]


def escaped(numbers: Iterable[int]) -> str:
    return "".join(f"\\U{number:08x}" for number in numbers)


def quoted(text: str, size: int) -> str:
    """`text` as adjacent literals, indented."""
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    return "\n".join(f'    "{piece}"' for piece in pieces)


def main() -> None:
    folder = Path(sys.argv[1])
    files = folder / "confusables.txt", folder / "DerivedCoreProperties.txt"
    wrap = textwrap.TextWrapper(98, initial_indent="# ", subsequent_indent="# ").fill
    text = HEAD.format(
        confusables=version(files[0]),
        properties=version(files[1]),
        notice="\n#\n".join(map(wrap, NOTICE.split("\n\n"))),
        invisible="\n".join(f'    "{reach}"' for reach in invisible(files[1])),
        stackers=f"(\n{quoted(escaped(STACKERS), 80)}\n)",
        table=quoted(written(needed(confusables(files[0]))), 93),
    )
    PLACE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
