from __future__ import annotations

from pathlib import Path

from tests.reads import Source

SOURCE = """
class Config(NamedTuple):
    host: str
    port: int
    size: int
class Other(NamedTuple):
    size: int
def run(config: Config, other: Other) -> int:
    config.port += other.size
    return config.host
"""


def test_a_field_is_read_where_one_of_its_own_class_is(tmp_path: Path) -> None:
    """`port` is only written, and a `size` is read, but that of another class."""
    (tmp_path / "source.py").write_text(SOURCE)
    source = Source(tmp_path)
    unread = source.options("Config", "Other") - source.reads
    assert unread == {("Config", "port"), ("Config", "size")}
