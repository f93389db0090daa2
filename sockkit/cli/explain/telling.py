"""Writes steps in one language, each sentence once, and a bounded number of each kind.

Peers can cause any number of steps. Only as many are told as a person can read; the rest is
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sockkit.cli.explain.narrator import Narrator
from sockkit.cli.explain.role import Role
from sockkit.cli.render import Counts, Passes, Renderer
from sockkit.core.printable import escape
from sockkit.errors import SockkitError
from sockkit.events import CommandsOffered, Event
from sockkit.net.context import Context
from sockkit.net.views import Views

TOLD_PER_SECOND = 2.0  # of one kind; ten may come at once. Nobody reads faster.
MAX_TOLD = 500  # of one kind in a run: by then nothing is new, and the log stops growing
INDENT = "    "

Sentences = dict[str, str]


def language(chosen: str | None, environment: Mapping[str, str]) -> str:
    """`en` or `zh`: the `chosen` one, otherwise that of the locale, locale(7)."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "")
    return chosen or ("zh" if locale.lower().startswith("zh") else "en")


def sentences(name: str) -> Sentences:
    """The table of the language `name`."""
    if name == "zh":
        from sockkit.cli.explain.zh import SENTENCES as CHINESE

        return CHINESE
    from sockkit.cli.explain.en import SENTENCES as ENGLISH

    return ENGLISH


class Telling:
    """Writes steps by `say`, if `passes` allows one more of their kind.

    A sentence is told once. After that, the sentence whose key ends in `.again` is told in its
    place, if the table has one.
    """

    def __init__(
        self,
        table: Sentences,
        say: Callable[[str], None],
        passes: Passes,
        paint: Callable[[str], str] = lambda code: code,
    ) -> None:
        self._table, self._say, self._passes, self._paint = table, say, passes, paint
        self._said: set[str] = set()
        self._waiting = ""  # the last call told, if it has not returned yet
        self._told: Counter[str] = Counter()

    def begin(self) -> None:
        self._say(self._table["begin"])

    def tell(self, kind: str, code: str, *keys: str, **holes: str | int) -> bool:
        """Tell a step; see role.Tell."""
        if self._told[kind] >= MAX_TOLD or not self._passes(self._kind(kind), TOLD_PER_SECOND):
            self._told[kind] += self._told[kind] >= MAX_TOLD
            return False
        self._told[kind] += 1
        if code and code != self._waiting:
            self._say(self._paint(escape(f">>> {code}")))
        self._waiting = code if kind == "wait" else ""
        filled = {name: self._hole(value) for name, value in holes.items()}
        for key in keys:
            for line in self._sentence(key).format(**filled).splitlines():
                self._say(INDENT + escape(line))
        return True

    def finish(self) -> None:
        """At the end of the run, tell how many steps there were beyond the bound."""
        for kind, count in self._told.items():
            if count > MAX_TOLD:
                self._say(self._table["more"].format(count=count - MAX_TOLD, kind=self._kind(kind)))

    def _kind(self, kind: str) -> str:
        return self._table[f"kind.{kind}"]

    def _sentence(self, key: str) -> str:
        if key in self._said:
            return self._table.get(f"{key}.again", "")
        self._said.add(key)
        return self._table[key]

    def _hole(self, value: str | int) -> str:
        if isinstance(value, str):
            return value
        return self._table["byte" if value == 1 else "bytes"].format(count=value)


@contextmanager
def explained(
    command: str,
    context: Context,
    values: dict[str, Any],
    say: Callable[[str], None],
    renderer: Renderer,
    passes: Passes,
) -> Iterator[Context]:
    """The context of a run of `command` that is explained. `say` writes the lines.

    Errors and notices are shown by `renderer` as always, if `passes` allows it. So are the lines
    that a person at a terminal needs, if they are not explained here.
    """
    plain = renderer._replace(typist=False).emitter(say, passes)
    table = sentences(language(values["lang"], context.environment))
    counts = Counts(context.loop, say, table["more"])
    paint = partial(renderer.palette.paint, color="cyan")
    telling = Telling(table, say, counts.passes, paint)
    views = context.views
    if not views:
        context.loop.when_hung_up(-1, None)  # prepares now, while a descriptor is free
        views = Views(context.loop, context.emit)
    narrator = Narrator(telling.tell, _role(command, values, views))
    views.add(narrator)

    def emit(event: Event) -> None:
        (context.emit if isinstance(event, CommandsOffered) else plain)(event)
        narrator.tell(event)

    telling.begin()
    try:
        yield context._replace(emit=emit, views=views)
    except SockkitError as error:
        narrator.failed(error)
        raise
    finally:
        counts.finish()
        telling.finish()


def _role(command: str, values: dict[str, Any], views: Views) -> Role:
    serves = "port" in values and values.get("serve", True)
    return Role(serves=bool(serves), relays=command == "relay", framed=views.frames)
