from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.apps.workers import check_workers, open_sockets, serve
from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import BindError, UsageError
from sockkit.events import Emit
from sockkit.net.context import Context
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.support import HERE

loop = kit.loop
ANY = ListenOptions(HostPort(HERE, 0))


class Opened:
    """Sockets on a port; `is_open` until they are closed."""

    def __init__(self, port: int | None, *, shared: bool, silent: bool) -> None:
        self.port, self.shared, self.silent = port, shared, silent
        self.is_open = True

    def adopt(self, context: Context, number: int, of: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.is_open = False


class Opener:
    """Opens sockets, port 0 as 5000; `fail_at` is the number of the one that fails."""

    def __init__(self, context: Context, fail_at: int = 0) -> None:
        self.opened: list[Opened] = []
        self._context, self._fail_at = context, fail_at

    def open(self, context: Context, listen: ListenOptions, sockets: SocketOptions) -> Opened:
        if len(self.opened) + 1 == self._fail_at:
            raise BindError("the port is taken")
        silent = context.emit is not self._context.emit
        port = listen.address.port or 5000
        self.opened.append(Opened(port, shared=sockets.reuse_port, silent=silent))
        return self.opened[-1]


@pytest.fixture
def context(loop: Loop) -> Context:
    return kit.context(loop)


def test_one_has_the_port_alone(context: Context) -> None:
    opener = Opener(context)
    opened = open_sockets(1, context, ANY, SocketOptions(), opener.open)
    assert opened == opener.opened
    assert [each.shared for each in opened] == [False]


def test_several_share_a_port_that_was_free(context: Context) -> None:
    opener = Opener(context)
    opened = open_sockets(3, context, ANY, SocketOptions(), opener.open)
    first = opener.opened[0]
    assert (first.shared, first.is_open, first.silent) == (False, False, True)
    assert opened == opener.opened[1:]
    assert [each.silent for each in opened] == [False, True, True]
    assert all(each.shared and each.is_open and each.port == 5000 for each in opened)


def test_a_port_that_may_be_shared_is_not_tried_first(context: Context) -> None:
    opener = Opener(context)
    sockets = SocketOptions(reuse_port=True)
    assert open_sockets(2, context, ANY, sockets, opener.open) == opener.opened


def test_one_that_cannot_be_opened_closes_the_others(context: Context) -> None:
    opener = Opener(context, fail_at=4)
    with pytest.raises(BindError):
        open_sockets(3, context, ANY, SocketOptions(), opener.open)
    assert [each.is_open for each in opener.opened] == [False, False, False]


def test_one_is_served_here(context: Context) -> None:
    served: list[object] = []
    opened = Opened(80, shared=False, silent=False)
    serve(context, [opened], lambda own, sockets: served.extend((own, sockets)))
    assert served == [context, opened]


def test_each_works_with_its_own_sockets_and_number(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def workers(_: Loop, count: int, work: Callable[..., None], emit: Emit) -> Any:
        return SimpleNamespace(run=lambda: [work(n, other, emit) for n in range(1, count + 1)])

    monkeypatch.setattr("sockkit.net.workers.Workers", workers)
    adopted: list[tuple[Context, int, int]] = []
    opened: list[Any] = [SimpleNamespace(adopt=lambda *how: adopted.append(how)) for _ in range(3)]
    served: list[tuple[Context, object]] = []
    with Loop() as other:
        serve(kit.context(loop), opened, lambda *what: served.append(what))
    assert [how[1:] for how in adopted] == [(1, 3), (2, 3), (3, 3)]
    assert served == list(zip((how[0] for how in adopted), opened, strict=True))
    assert all(context.loop is other for context, _ in served)


def test_what_several_cannot_have() -> None:
    check_workers(1, ListenOptions(UnixPath("/x")), {"--once": True})
    check_workers(2, ANY, {"--once": False})
    with pytest.raises(UsageError, match="cannot be used with --once: remove one of them"):
        check_workers(2, ANY, {"--once": True})
    with pytest.raises(UsageError, match="cannot be used with a unix address: remove it"):
        check_workers(2, ListenOptions(UnixPath("/x")), {})
