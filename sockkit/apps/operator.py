"""The person at a server's terminal, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.core.operator import Floor


def operate(floor: Floor, context: Context) -> Callable[[bytes], None] | None:
    """What takes the lines that are typed at a terminal, None where nobody types."""
    stdio = context.stdio
    if not stdio.input.terminal:
        return None
    from sockkit.core.operator import Operator

    operator = Operator(
        floor, stdio.encoding, context.emit, on_prompt=lambda: stdio.assist(operator)
    )
    stdio.assist(operator)
    return operator.feed
