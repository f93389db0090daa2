"""What the installed package brings along: manual pages, completions, the licence."""

from __future__ import annotations

import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARE = Path(sysconfig.get_path("data")) / "share"
FILES = {
    "completions/sockkit.bash": "bash-completion/completions/sockkit",
    "completions/_sockkit": "zsh/site-functions/_sockkit",
    "completions/sockkit.fish": "fish/vendor_completions.d/sockkit.fish",
    **{f"man/{path.name}": f"man/man1/{path.name}" for path in (ROOT / "man").iterdir()},
}


@pytest.mark.parametrize("source", FILES)
def test_it_is_where_shells_and_man_look(source: str) -> None:
    there = SHARE / FILES[source]
    assert there.read_bytes() == (ROOT / source).read_bytes()


def test_nothing_else_is_put_in_share() -> None:
    listed = distribution("sockkit").files or []
    found = {str(path.locate()) for path in listed if "share" in path.parts}
    assert {Path(path).resolve() for path in found} == {
        (SHARE / path).resolve() for path in FILES.values()
    }


def test_the_licence_is_in_the_package() -> None:
    listed = distribution("sockkit").files or []
    licences = [path for path in listed if "licenses" in path.parts]
    assert [path.read_text() for path in licences] == [(ROOT / "LICENSE").read_text()]
