"""Draws the pictures in docs/ by running programs on pseudo-terminals.

Run `make picture` after a change to what the terminal shows.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from html import escape
from pathlib import Path

import pyte

COLUMNS, ROWS = 62, 16
CELL, LINE, MARGIN, GAP = 8.4, 18, 12, 16
MAX_WAIT_SECONDS = 20.0  # for a text to appear
COLORS = {
    "default": "#d4d4d4",
    "green": "#6ac46a",
    "brown": "#d7ba5a",  # pyte's name for yellow
    "red": "#f07070",
    "blue": "#7aa6f0",
    "magenta": "#c88ae0",
    "cyan": "#5fc4c4",
}
DOCS = Path(__file__).resolve().parent.parent / "docs"


class Window:
    """A program on a terminal of its own."""

    def __init__(self, title: str, *command: str, columns: int = COLUMNS) -> None:
        self.title, self.columns = title, columns
        self.screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.execvp(command[0], command)
        size = struct.pack("HHHH", ROWS, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def shows(self, text: str) -> str:
        """Wait until a line contains `text`, and return the line."""
        end = time.monotonic() + MAX_WAIT_SECONDS
        while time.monotonic() < end:
            for line in self.screen.display:
                if text in line or text.replace(" ", "") in line.replace(" ", ""):
                    return line
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._stream.feed(os.read(self._terminal, 65536))
        raise SystemExit(f"{self.title} does not show {text!r}: {self.screen.display}")

    def address(self) -> tuple[str, str]:
        """The address that a server listens on, read from its screen."""
        line = self.shows("listening")
        return ("127.0.0.1", line.split("127.0.0.1:")[1].split()[0])

    def type(self, text: str, *, enter: bool = True) -> None:
        os.write(self._terminal, text.encode())
        self.shows(text)
        if enter:
            os.write(self._terminal, b"\r")

    def close(self) -> None:
        os.write(self._terminal, b"\x03\x03")  # the first clears a line that is being typed
        os.waitpid(self._process, 0)
        os.close(self._terminal)

    @property
    def width(self) -> float:
        return self.columns * CELL + 2 * MARGIN

    def svg(self, left: float) -> str:
        while select.select([self._terminal], [], [], 0.3)[0]:
            self._stream.feed(os.read(self._terminal, 65536))
        width, height = self.width, (ROWS + 1) * LINE + 2 * MARGIN
        out = [
            f'<rect x="{left}" y="0" width="{width}" height="{height}" rx="6" fill="#1e1e1e"/>',
            f'<text x="{left + MARGIN}" y="{LINE}" fill="#909090">{escape(self.title)}</text>',
        ]
        for y in range(ROWS):
            for x in range(self.columns):
                cell = self.screen.buffer[y][x]
                if cell.data.strip():
                    place = f'x="{left + MARGIN + x * CELL:.1f}" y="{(y + 2) * LINE + 6}"'
                    color = COLORS.get(cell.fg, COLORS["default"])
                    out.append(f'<text {place} fill="{color}">{escape(cell.data)}</text>')
        cursor = self.screen.cursor
        out.append(
            f'<rect x="{left + MARGIN + cursor.x * CELL:.1f}" y="{(cursor.y + 1) * LINE + 10}" '
            f'width="{CELL}" height="{LINE - 2}" fill="#d4d4d4" opacity="0.6"/>'
        )
        return "\n".join(out)


def server_and_client(sockkit: str) -> None:
    server = Window("$ sockkit tcp-server -p 0", sockkit, "tcp-server", "-p", "0")
    address = server.address()
    client = Window(f"$ sockkit tcp-client {' '.join(address)}", sockkit, "tcp-client", *address)
    client.shows("connected")
    other = Window("", sockkit, "tcp-client", *address)
    other.shows("connected")
    server.shows("[2]")
    client.type("你好, is anybody there? 👋")
    server.shows("👋")
    server.type("yes! 欢迎")
    client.shows("yes!")
    other.type("me too")
    server.shows("me too")
    server.type("/list")
    server.shows("received 7 bytes")
    server.type("@2 a word for you alone")
    other.shows("alone")
    client.type("half a line, still being typed", enter=False)
    server.type("/to 1")
    server.shows("[1]>")
    server.type("printed above what you type")
    client.shows("printed above")
    client.shows("half a line")
    draw("terminal", server, client)
    for window in (other, client, server):
        window.close()


def chat_room(sockkit: str) -> None:
    room = Window("$ sockkit chat serve -p 0", sockkit, "chat", "serve", "-p", "0")
    address = room.address()
    join = (sockkit, "chat", "join", *address, "--name")
    title = f"$ sockkit chat join {' '.join(address)} --name"
    alex, snow = Window(f"{title} alex", *join, "alex"), Window(f"{title} 小雪", *join, "小雪")
    for window in (alex, snow):
        window.shows("you are")
    room.shows("小雪 joined")
    alex.type("hello everybody 👋")
    snow.shows("hello")
    snow.type("你好 alex, 今天好吗?")
    alex.shows("你好")
    room.type("welcome, both of you")
    alex.shows("welcome")
    snow.shows("welcome")
    alex.type("/msg 小雪 for you alone")
    snow.shows("for you alone")
    alex.type("/me waves")
    snow.shows("waves")
    snow.type("a line that is not finished", enter=False)
    alex.type("still here")
    snow.shows("still here")
    draw("chat", room, snow)
    for window in (alex, snow, room):
        window.close()


def dump(sockkit: str) -> None:
    device = Window("", sockkit, "tcp-server", "-p", "0", "-E", "gbk")
    address = device.address()
    options = ("-E", "gbk", "-x", "--timestamps")
    title = f"$ sockkit tcp-client {' '.join((*options, *address))}"
    client = Window(title, sockkit, "tcp-client", *options, *address, columns=80)
    client.shows("Ctrl-] for commands")
    client.type("读取 温度", enter=True)
    device.shows("温度")
    device.type("温度 21.5℃, 湿度 40%, 一切正常")
    client.shows("34 30 25")
    client.type("谢谢", enter=False)
    draw("hex", client)
    for window in (client, device):
        window.close()


def draw(name: str, *windows: Window) -> None:
    places, total = [], 0.0
    for window in windows:
        places.append(total)
        total += window.width + GAP
    total, height = total - GAP, (ROWS + 1) * LINE + 2 * MARGIN
    drawn = [window.svg(place) for window, place in zip(windows, places, strict=True)]
    (DOCS / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {height}" '
        'font-family="monospace" font-size="14" xml:space="preserve">\n'
        + "\n".join([*drawn, "</svg>\n"]),
        encoding="utf-8",
    )


def main(sockkit: str) -> None:
    with tempfile.TemporaryDirectory() as state:
        os.environ.update(XDG_STATE_HOME=state, TERM="xterm-256color", PYTHONUTF8="1")
        server_and_client(sockkit)
        chat_room(sockkit)
        dump(sockkit)


if __name__ == "__main__":
    main(sys.argv[1])
