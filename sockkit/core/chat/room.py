"""The rules of a chat room, without I/O: members, names, lines in, lines out.

Members are told apart by a key of the caller's. What they send comes in pieces of any size;
what is to be delivered comes out as `Out`, in order. Time is an argument, in seconds of any
one clock. Every line that members see begins with `[name] `, for what somebody says, or with
`* `, for what the room says: no text of a member's can begin a line.

Lines that are simply said, as nearly all are, are looked at all at once and become one `Out`.
What comes of them is the same as if they were looked at one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from sockkit.core.chat import answers
from sockkit.core.chat import lines as chat_lines
from sockkit.core.chat.crowd import Move
from sockkit.core.chat.door import MAX_ATTEMPTS, Door
from sockkit.core.chat.history import Recent
from sockkit.core.chat.members import Member, Members
from sockkit.core.chat.outcome import Admitted, Gone, Out, Outcome
from sockkit.core.chat.speech import plain, shown
from sockkit.core.chat.turn import COMMAND_CHARACTERS, LINE_CHARACTERS, TURN_PAUSE, Turn, fitting
from sockkit.core.printable import escape
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError
from sockkit.values import Value


class RoomOptions(Value):
    """`flood` is lines a second, 0 for no limit; a member that sends more is read as slowly.

    `history` is how many lines a newcomer is shown, within the bounds of `Recent`.
    """

    flood: float = 10.0
    history: int = 0
    max_members: int | None = None
    password: str | None = None
    motd: str = ""
    quit_word: str = "q"


class Room:
    """`encoding` is what members speak who do not say otherwise."""

    def __init__(self, options: RoomOptions, encoding: str = "utf-8") -> None:
        self._options, self._encoding = options, encoding
        self._members = Members()
        self._recent = Recent(options.history)
        self._door = Door(options.password, encoding)
        self._turn = Turn()

    def remember(self, lines: Iterable[str]) -> None:
        """Show `lines` to newcomers, as if they had been said."""
        self._recent.extend(map(chat_lines.repeated, lines))

    # Who is here.

    def names(self) -> list[str]:
        """Safe from any thread."""
        return self._members.names()

    def find(self, name: str) -> Hashable | None:
        """The member of that name, whatever its case and width."""
        return self._members.find(name)

    def join(self, key: Hashable, now: float, peer: str = "") -> list[Outcome]:
        """A newcomer from the address `peer`. It has a name at once; `introduce` tells others."""
        address = self._door.address(peer)
        member = Member(key, TokenBucket(self._options.flood, now), address)
        self._members.add(member)
        told = self._door.come(address, now)
        if self._full():
            return [Out(chat_lines.FULL, to=key), Gone(key)]
        if told == chat_lines.CROWDED:
            return [Out(told, to=key), Gone(key)]
        return [Out(told, to=key)] if told else self._admit(member)

    def _full(self) -> bool:
        most = self._options.max_members
        return most is not None and len(self._members) - self._door.waiting >= most

    def _admit(self, member: Member) -> list[Outcome]:
        self._door.go(member.address)
        wanted = member.wanted
        objection = self._members.objection(member, wanted) if wanted else ""
        self._members.call(member, self._members.guest() if objection or not wanted else wanted)
        lines = [f"* {objection}"] if objection else []
        lines += [chat_lines.welcome(member.name)]
        motd = self._options.motd.splitlines()
        lines += [chat_lines.said_by_server(escape(line)) for line in motd]
        return [Admitted(member.key, tuple(lines), self._recent.blocks())]

    def introduce(self, key: Hashable) -> list[Outcome]:
        """Tell the others of a newcomer, unless they know; its first line does so too."""
        member = self._members.get(key)
        if not member or not member.name or member.introduced:
            return []
        member.introduced = True
        return [Out(chat_lines.joined(member.name), author=key, move=Move(key, True))]

    def expire(self, key: Hashable) -> list[Outcome]:
        """Let go whoever has not said the password in time."""
        member = self._members.get(key)
        if not member or member.name:
            return []
        return [Out(answers.NO_PASSWORD_CAME, to=key), Gone(key)]

    def leave(self, key: Hashable, why: str = "") -> list[Outcome]:
        """It is gone; `why` if it did not want to."""
        departed = self._members.remove(key)
        if departed and not departed.name:
            self._door.go(departed.address)
        if not departed or not departed.introduced:
            return []
        return [Out(chat_lines.departed(departed.name, why), move=Move(key, False))]

    # What they send.

    def feed(self, key: Hashable, data: bytes, now: float) -> list[Outcome]:
        """Take what came from a member; nothing is the end of what it sends."""
        self._members[key].inbox.feed(data)
        return self.go_on(key, now)

    def charge(self, key: Hashable, size: int) -> None:
        """Count `size` bytes against what a member may say: it sent what is no text."""
        if member := self._members.get(key):
            member.bucket.charge(size)
            member.charged = True

    def owes(self, key: Hashable, now: float) -> float:
        """Seconds for which a member that was charged is not to be read."""
        member = self._members.get(key)
        return member.bucket.wait(now, 0) if member and member.charged else 0.0

    def waits(self, key: Hashable, now: float) -> float:
        """Seconds until `go_on` is due for lines that came too fast; 0 if there are none."""
        member = self._members.get(key)
        if not member or not member.inbox.has_line():
            return 0.0
        return max(self._pause(member, now), TURN_PAUSE)

    def _pause(self, member: Member, now: float) -> float:
        """Seconds until its next line may be looked at: it sends too fast, or guesses."""
        guessed = 0.0 if member.name else self._door.wait(member.address, now)
        return max(guessed, member.bucket.wait(now))

    def go_on(self, key: Hashable, now: float) -> list[Outcome]:
        """Go on with the lines of a member that its turn has come for."""
        member = self._members.get(key)
        if not member:
            return []
        capacity = self._turn.capacity(now)
        out, spent = self._plain_lines(member, capacity, now)
        while spent < capacity and not (out and isinstance(out[-1], Gone)):
            if member.inbox.drop_long():
                out.append(Out(answers.TOO_LONG, to=key))
            elif not member.inbox.has_line() or self._pause(member, now):
                break
            else:
                events, cost = self._next_line(member, now)
                out += events
                spent += cost
        self._turn.spend(spent)
        return out

    def _plain_lines(self, member: Member, capacity: int, now: float) -> tuple[list[Outcome], int]:
        """What comes of lines that are simply said, of all at once; and their cost."""
        head = chat_lines.said(member.name, "")
        lines = member.inbox.peek(capacity // (len(head) + LINE_CHARACTERS) + 1)
        if len(lines) < 2 or not member.introduced:
            return [], 0
        texts = plain(lines, self._encoding, self._options.quit_word)
        sizes = [len(head) + len(text) for text in texts]
        count = member.bucket.spend_lines(sizes[: fitting(sizes, capacity)], now)
        if not count:
            return [], 0
        member.inbox.drop(lines[:count])
        said = Out(head + f"\n{head}".join(texts[:count]), author=member.key, said=True)
        if self._options.history:
            self._recent.extend(said.lines)
        cost = sum(sizes[:count]) + count * LINE_CHARACTERS
        return [said], cost

    def _next_line(self, member: Member, now: float) -> tuple[list[Outcome], int]:
        """What comes of one line, and its cost."""
        line, admitted = member.inbox.take(), bool(member.name)
        events = self._line(member, line) if admitted else self._password(member, line, now)
        if events and isinstance(events[-1], Gone):
            member.inbox.clear()
        size = sum([len(event.text) for event in events if isinstance(event, Out)])
        member.bucket.spend(size if admitted else 0)  # a greeting is not its own
        return events, size + (COMMAND_CHARACTERS if line.startswith(b"/") else LINE_CHARACTERS)

    def _line(self, member: Member, line: bytes) -> list[Outcome]:
        text = shown(line, self._encoding)
        if not text:
            return []
        if text == self._options.quit_word:
            return [Out(chat_lines.GOOD_BYE, to=member.key), Gone(member.key)]
        if text.startswith("/") and not text.startswith("//"):
            word, _, rest = text.partition(" ")
            return self._command(member, word, rest.strip())
        return self._speak(member, text.removeprefix("/"))

    def _speak(self, member: Member, text: str) -> list[Outcome]:
        joined = self.introduce(member.key)
        return [*joined, self._speech(member.key, chat_lines.said(member.name, text))]

    def _speech(self, author: Hashable | None, line: str) -> Out:
        self._recent.add(line)
        return Out(line, author=author, said=True)

    def _password(self, member: Member, line: bytes, now: float) -> list[Outcome]:
        key = member.key
        if self._door.opens(line, member.address):
            if self._full():
                return [Out(chat_lines.FULL, to=key), Gone(key)]
            return [*self._admit(member), *self.introduce(key)]
        if line.startswith(b"/nick "):
            name = line.decode(self._encoding, "backslashreplace").removeprefix("/nick ")
            member.wanted = escape(name.strip())
            return []
        self._door.refuse(member.address, now)
        member.attempts += 1
        if member.attempts < MAX_ATTEMPTS:
            return [Out(chat_lines.WRONG, to=key)]
        return [Out(chat_lines.WRONG_TOO_OFTEN, to=key), Gone(key)]

    def _command(self, member: Member, word: str, rest: str) -> list[Outcome]:
        key = member.key
        match word:
            case "/msg" | "/me" | "/nick" if not rest:
                return [Out(answers.usage(word), to=key)]
            case "/nick":
                return self._rename(member, rest)
            case "/who":
                return [Out(answers.who(self.names()), to=key)]
            case "/msg":
                return self._whisper(member, *rest.partition(" ")[::2])
            case "/me":
                return self._speak(member, f"*{rest}*")
            case "/help":
                lines = answers.help_lines(self._options.quit_word)
                return [Out(line, to=key) for line in lines]
            case "/password":
                return [Out(answers.NO_PASSWORD_NEEDED, to=key)]
            case "/quit":
                return [Out(chat_lines.GOOD_BYE, to=key), Gone(key)]
            case _:
                return [Out(answers.unknown(word), to=key)]

    def _rename(self, member: Member, name: str) -> list[Outcome]:
        if objection := self._members.objection(member, name):
            return [Out(f"* {objection}", to=member.key)]
        before = member.name
        self._members.call(member, name)
        if before == name:
            return []
        you = Out(chat_lines.you_are(name), to=member.key)
        if not member.introduced:
            return [you, *self.introduce(member.key)]
        return [you, Out(chat_lines.renamed(before, name), author=member.key)]

    def _whisper(self, member: Member, name: str, text: str) -> list[Outcome]:
        to = self.find(name)
        if to is None:
            return [Out(answers.nobody(name), to=member.key)]
        if not text:
            return [Out(answers.usage("/msg"), to=member.key)]
        return [
            *self.introduce(member.key),
            Out(chat_lines.said_to_you(member.name, text), to=to),
            Out(chat_lines.said_by_you(self._members[to].name, text), to=member.key),
        ]

    # What the operator of the room does.

    def announce(self, text: str) -> list[Outcome]:
        """Say `text` as the server."""
        return [self._speech(None, chat_lines.said_by_server(escape(text)))]

    def kick(self, name: str) -> list[Outcome]:
        """Let the member of that name go. Raises UsageError."""
        key = self.find(name)
        if key is None:
            raise UsageError(f"nobody here is {name}")
        return [Out(chat_lines.SENT_AWAY, to=key), Gone(key)]
