"""Immutable values with named fields, for options and events.

A `Value` is declared and used like a typing.NamedTuple, and a type checker takes it for one.
Defining a class takes 0.05 ms, a quarter of a NamedTuple's time, and every start defines dozens.
Creating an instance takes 3 µs, ten times a NamedTuple's time: use that for what each message
creates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Value"]

if TYPE_CHECKING:
    from typing import NamedTuple as Value
else:
    from operator import itemgetter

    class _Defining(type):
        def __new__(cls, name, bases, space):
            fields = tuple(space.get("__annotations__", ()))
            defaults = {field: space[field] for field in fields if field in space}
            space |= {field: property(itemgetter(place)) for place, field in enumerate(fields)}
            space |= {"__slots__": (), "__match_args__": fields}
            space |= {"_fields": fields, "_field_defaults": defaults}
            return super().__new__(cls, name, bases, space)

    class Value(tuple, metaclass=_Defining):
        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                rest = cls._fields[len(values) :]
                more = cls._field_defaults | named
                values += tuple(more[field] for field in rest if field in more)
                if len(values) != len(cls._fields) or not named.keys() <= set(rest):
                    raise TypeError(f"{cls.__name__} has the fields {', '.join(cls._fields)}")
            return tuple.__new__(cls, values)

        def __repr__(self):
            fields = zip(self._fields, self, strict=True)
            return f"{type(self).__name__}({', '.join(f'{name}={it!r}' for name, it in fields)})"

        def __getnewargs__(self):
            return tuple(self)

        def _replace(self, **changed):
            return type(self)(**dict(zip(self._fields, self, strict=True)) | changed)
