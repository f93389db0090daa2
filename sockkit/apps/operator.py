"""The person at a server's terminal, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.events import Emit
from sockkit.net.ends.stdio import Stdio

if TYPE_CHECKING:
    from sockkit.core.operator import Floor


def operate(floor: Floor, stdio: Stdio, emit: Emit) -> Callable[[bytes], None] | None:
    """What takes the lines that are typed at a terminal, None where nobody types."""
    if not stdio.input.terminal:
        return None
    from sockkit.core.operator import Operator

    operator = Operator(floor, stdio.encoding, emit, on_prompt=lambda: stdio.assist(operator))
    stdio.assist(operator)
    return operator.feed
