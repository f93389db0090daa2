"""The rules of a chat room, without I/O: members, names, lines in, lines out.

Members are told apart by a key of the caller's. What they send comes in pieces of any size;
what is to be delivered comes out as `Out`, in order. Time is an argument, in seconds of any
one clock. Every line that members see begins with `[name] `, for what somebody says, or with
`* `, for what the room says: no text of a member's can begin a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from sockkit.core.chat import lines as chat_lines
from sockkit.core.chat.crowd import Move
from sockkit.core.chat.history import Block, Recent
from sockkit.core.chat.names import RESERVED, Names
from sockkit.core.chat.password import Gate, whole_address
from sockkit.core.printable import escape
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError
from sockkit.values import Value

LONGEST = 4096  # bytes of a line
TURN = 128 * 1024  # characters that lines of one turn may become before all else has its turn
SHARE_OF_TURN = TURN // 16  # that each member has of it, however much the others say
LINE_COST, COMMAND_COST = 48, 2048  # characters as many of which take the time of a line
NEXT_TURN = 0.001  # seconds until then
WHO = 16 * 1024  # bytes of the line that says who is here
ATTEMPTS = 3  # at the password
NEWCOMERS = 64  # of one address who have not said the password yet
GUESSERS = 3  # the same, while that address waits after a wrong one
PASSWORD_WAIT = 60.0  # seconds

HELP = (
    "/nick NAME  be called NAME",
    "/who  who is here",
    "/msg NAME TEXT  tell NAME alone",
    "/me TEXT  say what you do",
    "//TEXT  say a line that begins with /",
    "/quit  leave; so does {quit_word} alone",
)


class RoomOptions(Value):
    """`flood` is lines a second, 0 for no limit; a member that sends more is read as slowly.

    `history` is how many lines a newcomer is shown, of RECENT characters together; `most` how
    many members there may be.
    """

    flood: float = 10.0
    history: int = 0
    most: int | None = None
    password: str | None = None
    motd: str = ""
    quit_word: str = "q"


class Out(NamedTuple):
    """A line to deliver: to one member, or to all who are admitted but `author`.

    `said` is worth keeping; `move` is who the line says came or left.
    """

    line: str
    to: Hashable | None = None
    author: Hashable | None = None
    said: bool = False
    move: Move | None = None


class Admitted(Value):
    """From here on a member hears what is for all; first `greeting`, then what was said before."""

    member: Hashable
    greeting: tuple[str, ...]
    past: tuple[Block, ...]


class Gone(Value):
    """Close the connection of `member` once its lines are delivered."""

    member: Hashable


Outcome = Out | Admitted | Gone


def roll(names: Sequence[str], most: int) -> str:
    """The line that says who is here, of `most` bytes in UTF-8; who does not fit is counted."""
    shown, left = 0, most - len("* 1,000,000 here:  and 1,000,000 more")
    for name in names:
        left -= len(f", {name}".encode())
        if left < 0:
            break
        shown += 1
    more = f" and {len(names) - shown} more" if shown < len(names) else ""
    return f"* {len(names)} here: {', '.join(names[:shown])}{more}"


class _Member:
    """`name` is empty until it is admitted; others know of it once it is introduced."""

    def __init__(self, bucket: TokenBucket, address: str) -> None:
        self.name = self.wanted = ""
        self.address = address  # whom a wrong password makes wait
        self.introduced = False
        self.wrong = 0
        self.held = bytearray()
        self.skipping = False
        self.bucket = bucket
        self.charged = False  # for more than its lines


class Room:
    """`encoding` is what members speak who do not say otherwise."""

    def __init__(self, options: RoomOptions, encoding: str = "utf-8") -> None:
        self._options, self._encoding = options, encoding
        self._members: dict[Hashable, _Member] = {}
        self._names = Names()
        self._guests = 0
        self._recent = Recent(options.history)
        self._gate = Gate(options.password, encoding) if options.password else None
        self._turn_at, self._turn_said = 0.0, 0
        self._outside: Counter[str] = Counter()  # by address, who is not admitted

    def remember(self, lines: Iterable[str]) -> None:
        """Show `lines` to newcomers, as if they had been said."""
        for line in lines:
            self._recent.add(chat_lines.repeated(line))

    # Who is here.

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values()) if member.name]

    def find(self, name: str) -> Hashable | None:
        """The member of that name, whatever its case and width."""
        return self._names.find(name)

    def join(self, member: Hashable, now: float, peer: str = "") -> list[Outcome]:
        """A newcomer from the address `peer`. It has a name at once; `introduce` tells others."""
        address = whole_address(peer) if self._gate else ""
        self._members[member] = _Member(TokenBucket(self._options.flood, now), address)
        self._outside[address] += 1
        if self._full():
            return [Out(chat_lines.FULL, to=member), Gone(member)]
        if not self._gate:
            return self._admit(member)
        if self._outside[address] > (GUESSERS if self._gate.wait(address, now) else NEWCOMERS):
            return [Out(chat_lines.CROWDED, to=member), Gone(member)]
        return [Out(chat_lines.LOCKED, to=member)]

    def _full(self) -> bool:
        most = self._options.most
        return most is not None and len(self._members) - self._outside.total() >= most

    def introduce(self, member: Hashable) -> list[Outcome]:
        """Tell the others of a newcomer, unless they know; its first line does so too."""
        state = self._members.get(member)
        if not state or not state.name or state.introduced:
            return []
        state.introduced = True
        return [Out(chat_lines.joined(state.name), author=member, move=Move(member, True))]

    def leave(self, member: Hashable, why: str = "") -> list[Outcome]:
        """It is gone; `why` if it did not want to."""
        gone = self._members.pop(member, None)
        if not gone:
            return []
        if not gone.name:
            self._no_more_outside(gone.address)
            return []
        self._names.remove(gone.name)
        if not gone.introduced:
            return []
        return [Out(chat_lines.departed(gone.name, why), move=Move(member, False))]

    def _no_more_outside(self, address: str) -> None:
        self._outside[address] -= 1
        if not self._outside[address]:
            del self._outside[address]

    def _admit(self, member: Hashable) -> list[Outcome]:
        state = self._members[member]
        self._no_more_outside(state.address)
        objection = self._objection(member, state.wanted) if state.wanted else ""
        name = state.wanted if state.wanted and not objection else self._guest()
        state.name = name
        self._names.add(name, member)
        lines = [f"* {objection}"] if objection else []
        lines += [chat_lines.welcome(name)]
        motd = self._options.motd.splitlines()
        lines += [chat_lines.said_by_server(escape(line)) for line in motd]
        return [Admitted(member, tuple(lines), self._recent.blocks())]

    def _guest(self) -> str:
        self._guests += 1
        while self._names.taken(name := f"guest-{self._guests}"):
            self._guests += 1
        return name

    def _objection(self, member: Hashable, name: str) -> str:
        """Why `member` cannot have `name`."""
        try:
            self._names.check(name, member)
        except UsageError as error:
            return str(error)
        return ""

    # What they send.

    def feed(self, member: Hashable, data: bytes, now: float) -> list[Outcome]:
        """Take what came from `member`; nothing is the end of what it sends."""
        state = self._members[member]
        if not data and state.held and not state.skipping:
            data = b"\n"  # what it ended amid is a line
        state.held += data
        return self.go_on(member, now)

    def charge(self, member: Hashable, size: int) -> None:
        """Count `size` bytes against what `member` may say: it sent what is no text."""
        if state := self._members.get(member):
            state.bucket.charge(size)
            state.charged = True

    def owes(self, member: Hashable, now: float) -> float:
        """Seconds for which a member that was charged is not to be read."""
        state = self._members.get(member)
        return state.bucket.wait(now, 0) if state and state.charged else 0.0

    def waits(self, member: Hashable, now: float) -> float:
        """Seconds until `go_on` is due for lines that came too fast; 0 if there are none."""
        state = self._members.get(member)
        if not state or b"\n" not in state.held:
            return 0.0
        return max(self._pause(state, now), NEXT_TURN)

    def _pause(self, state: _Member, now: float) -> float:
        """Seconds until its next line may be looked at: it sends too fast, or guesses."""
        guessed = self._gate.wait(state.address, now) if self._gate and not state.name else 0.0
        return max(guessed, state.bucket.wait(now))

    def go_on(self, member: Hashable, now: float) -> list[Outcome]:
        """Go on with the lines of `member` that its turn has come for."""
        out: list[Outcome] = []
        state = self._members.get(member)
        if not state:
            return out
        data, place, said = bytes(state.held), 0, 0
        if now != self._turn_at:
            self._turn_at, self._turn_said = now, 0
        most = max(TURN - self._turn_said, SHARE_OF_TURN)
        while said < most:
            end = data.find(b"\n", place)
            if state.skipping:
                place = end + 1 if end >= 0 else len(data)
                if end < 0:
                    break
                state.skipping = False
            elif end > place + LONGEST or (end < 0 and len(data) > place + LONGEST):
                state.skipping = True
                told = f"* that line is longer than {LONGEST} bytes, and was not sent"
                out.append(Out(told, to=member))
            elif end < 0 or self._pause(state, now):
                break
            else:
                known = state.name
                events = self._said(member, state, data[place:end].removesuffix(b"\r"), now)
                out += events
                size = sum([len(event.line) for event in events if isinstance(event, Out)])
                state.bucket.spend(size if known else 0)  # a greeting is not its own
                said += size + (COMMAND_COST if data[place] == ord("/") else LINE_COST)
                place = end + 1
                if events and isinstance(events[-1], Gone):
                    place = len(data)
        del state.held[:place]
        self._turn_said += said
        return out

    def expire(self, member: Hashable) -> list[Outcome]:
        """Let go whoever has not said the password in time."""
        state = self._members.get(member)
        if not state or state.name:
            return []
        return [Out("* no password came: good-bye", to=member), Gone(member)]

    def _said(self, member: Hashable, state: _Member, line: bytes, now: float) -> list[Outcome]:
        if not state.name:
            return self._password(member, state, line, now)
        text = line.decode(self._encoding, "backslashreplace")
        text = escape(text.replace("\t", " ")).rstrip()
        if not text:
            return []
        if text == self._options.quit_word:
            return [Out(chat_lines.GOOD_BYE, to=member), Gone(member)]
        if text.startswith("/") and not text.startswith("//"):
            word, _, rest = text.partition(" ")
            return self._command(member, state, word, rest.strip())
        return self._speak(member, state, text.removeprefix("/"))

    def _speak(self, member: Hashable, state: _Member, text: str) -> list[Outcome]:
        speech = self._speech(member, state.name, text)
        return [speech] if state.introduced else [*self.introduce(member), speech]

    def _speech(self, member: Hashable, name: str, text: str) -> Out:
        line = chat_lines.said(name, text)
        self._recent.add(line)
        return Out(line, author=member, said=True)

    def _password(self, member: Hashable, state: _Member, line: bytes, now: float) -> list[Outcome]:
        if self._gate and self._gate.opens(line, state.address):
            if self._full():
                return [Out(chat_lines.FULL, to=member), Gone(member)]
            return [*self._admit(member), *self.introduce(member)]
        if line.startswith(b"/nick "):
            name = line.decode(self._encoding, "backslashreplace").removeprefix("/nick ")
            state.wanted = escape(name.strip())
            return []
        if self._gate:
            self._gate.shut(state.address, now)
        state.wrong += 1
        if state.wrong < ATTEMPTS:
            return [Out(chat_lines.WRONG, to=member)]
        return [Out(chat_lines.WRONG_TOO_OFTEN, to=member), Gone(member)]

    def _command(self, member: Hashable, state: _Member, word: str, rest: str) -> list[Outcome]:
        match word:
            case "/msg" | "/me" | "/nick" if not rest:
                wants = {"/msg": "NAME TEXT", "/me": "TEXT", "/nick": "NAME"}[word]
                return [Out(f"* write {word} {wants}", to=member)]
            case "/nick":
                return self._rename(member, state, rest)
            case "/who":
                return [Out(roll(self.names(), WHO), to=member)]
            case "/msg":
                return self._whisper(member, state, *rest.partition(" ")[::2])
            case "/me":
                return self._speak(member, state, f"*{rest}*")
            case "/help":
                lines = (line.format(quit_word=self._options.quit_word) for line in HELP)
                return [Out(f"* {line}", to=member) for line in lines]
            case "/password":
                return [Out("* no password is needed", to=member)]
            case "/quit":
                return [Out(chat_lines.GOOD_BYE, to=member), Gone(member)]
            case _:
                return [
                    Out(f"* there is no {word} like that: /help tells what there is", to=member)
                ]

    def _rename(self, member: Hashable, state: _Member, name: str) -> list[Outcome]:
        if objection := self._objection(member, name):
            return [Out(f"* {objection}", to=member)]
        before, state.name = state.name, name
        self._names.remove(before)
        self._names.add(name, member)
        if before == name:
            return []
        you = Out(chat_lines.you_are(name), to=member)
        if not state.introduced:
            return [you, *self.introduce(member)]
        return [you, Out(chat_lines.renamed(before, name), author=member)]

    def _whisper(self, member: Hashable, state: _Member, name: str, text: str) -> list[Outcome]:
        to = self.find(name)
        if to is None:
            return [Out(f"* nobody here is {name}: /who tells who is", to=member)]
        if not text:
            return [Out("* write /msg NAME TEXT", to=member)]
        other = self._members[to].name
        return [
            *self.introduce(member),
            Out(chat_lines.said_to_you(state.name, text), to=to),
            Out(chat_lines.said_by_you(other, text), to=member),
        ]

    # What the operator of the room does.

    def announce(self, text: str) -> list[Outcome]:
        """Say `text` as the server."""
        return [self._speech(None, RESERVED, escape(text))]

    def kick(self, name: str) -> list[Outcome]:
        """Let the member of that name go. Raises UsageError."""
        member = self.find(name)
        if member is None:
            raise UsageError(f"nobody here is {name}")
        return [Out(chat_lines.SENT_AWAY, to=member), Gone(member)]
