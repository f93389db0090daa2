"""Tests of sockkit.values: a Value is what a NamedTuple is."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from sockkit.values import Value


class Place(Value):
    """Where."""

    host: str
    port: int = 80

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


HOME = Place("home", 7)


def test_fields_have_places_names_and_defaults() -> None:
    assert HOME == ("home", 7)
    assert [HOME.host, HOME.port, str(HOME)] == ["home", 7, "home:7"]
    assert Place("home") == Place(host="home") == Place(port=80, host="home") == ("home", 80)
    host, port = HOME
    assert (host, port) == ("home", 7)
    match HOME:
        case Place(host, 7):
            assert host == "home"
        case _:
            pytest.fail("matched by place")


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), ((), {"port": 1}), (("a", 1, 2), {}), (("a",), {"host": "b"}), (("a",), {"to": 1})],
)
def test_what_fits_no_field_is_refused(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Place has the fields host, port"):
        Place(*given, **named)


@pytest.mark.parametrize("name", ["host", "other"])
def test_a_value_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(HOME, name, "away")


def test_a_changed_copy() -> None:
    assert HOME._replace(port=8) == Place("home", 8)
    with pytest.raises(TypeError):
        HOME._replace(other=1)  # type: ignore[call-arg]


def test_it_is_shown_with_its_fields() -> None:
    assert repr(HOME) == "Place(host='home', port=7)"


def test_it_goes_from_one_process_to_another() -> None:
    for same in (pickle.loads(pickle.dumps(HOME)), copy.copy(HOME)):
        assert same == HOME
        assert type(same) is Place
