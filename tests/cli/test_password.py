from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sockkit.cli.password import VARIABLE, room_password
from sockkit.core.chat.admission import MAX_PASSWORD_BYTES
from sockkit.core.programs import ROOM_PASSWORD, program_environment
from sockkit.errors import UsageError


def values(**more: Any) -> dict[str, Any]:
    return {"password": None, "password_file": None, "udp": False, **more}


def test_options_come_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"kept\n")
    assert room_password(values()) is None
    for more, password in (
        ({}, "told"),
        ({"password": "x"}, "x"),
        ({"password_file": str(file)}, "kept"),
    ):
        monkeypatch.setenv(VARIABLE, "told")
        assert room_password(values(**more)) == password


@pytest.mark.parametrize(
    ("held", "password"),
    [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b" x \n", " x "), (b"x\n\n", "x\n")],
)
def test_one_line_end_is_left_out(held: bytes, password: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(held)
    assert room_password(values(password_file=str(tmp_path / "file"))) == password


def test_a_room_over_udp_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "told")
    with pytest.raises(UsageError, match="cannot be used with --udp"):
        room_password(values(udp=True))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not read"):
        room_password(values(password_file=str(tmp_path)))


def test_one_that_is_too_long_is_not_cut_to_fit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (MAX_PASSWORD_BYTES + 1))
    assert (
        len(room_password(values(password_file=str(tmp_path / "file"))) or "") > MAX_PASSWORD_BYTES
    )


def test_no_program_gets_the_variable() -> None:
    assert VARIABLE == ROOM_PASSWORD
    assert set(program_environment({VARIABLE: "x", "A": "b"})) == {"A"}
