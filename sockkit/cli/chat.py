"""`sockkit chat`: its two commands."""

from __future__ import annotations

from sockkit.cli.commands import LazyGroup

_HELP = """A chat room that anyone can join with nc, and a convenient client for it."""

_EPILOG = """\b
Try it in three terminals:
  sockkit chat serve -p 9000
  sockkit chat join 127.0.0.1 9000 --name 小雪
  nc 127.0.0.1 9000
"""

COMMANDS = {
    "serve": ("sockkit.cli.chat_serve", "Open a chat room."),
    "join": ("sockkit.cli.chat_join", "Join a chat room."),
}

command = LazyGroup("chat", COMMANDS, _HELP, _EPILOG)
