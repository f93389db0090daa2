"""The rules of a chat room, without I/O: members, names, lines in, lines out.

The caller chooses the keys of members. What a member sends may come in pieces of any size. The
methods return actions, which the caller carries out in order. Time is an argument, in seconds of
any one clock. Every line that members see begins with `[name] ` (somebody says it) or with `* `
(the room says it): a member's text is never the beginning of a line.

A newcomer without a password to give is admitted at its first line, or when the caller introduces
it. If that line is `/nick NAME`, it comes by that name, and nobody ever hears of a guest. The
caller holds back for it what is said meanwhile.

Nearly all lines are plain text to be said. Those that have come together are handled together, and
become one `Deliver`; the members see the same as if they were handled one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from sockkit.core.chat import protocol
from sockkit.core.chat.actions import OPERATOR, Action, Admit, Deliver, Disconnect
from sockkit.core.chat.admission import MAX_PASSWORD_ATTEMPTS, Admission
from sockkit.core.chat.commands import MEMBER, plain_command
from sockkit.core.chat.commands import OPERATOR as OPERATOR_ROWS
from sockkit.core.chat.history import RecentLines
from sockkit.core.chat.members import Member, Members
from sockkit.core.chat.names import RESERVED, fold_name
from sockkit.core.chat.presence import Presence
from sockkit.core.chat.received import (
    COMMAND_COST_CHARACTERS,
    LINE_COST_CHARACTERS,
    TURN_PAUSE_SECONDS,
    TurnBudget,
    count_within,
    plain_texts,
    visible_text,
)
from sockkit.core.printable import escape
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError
from sockkit.values import Value


class RoomOptions(Value):
    """`flood` is the rate limit of a member in lines a second, 0 for none. The server reads a
    member that sends faster at that rate.

    `history` is how many lines a newcomer is shown, within the bounds of `RecentLines`.
    """

    flood: float = 10.0
    history: int = 0
    max_members: int | None = None
    password: str | None = None
    motd: str = ""
    quit_word: str = "q"


class Room:
    """`encoding` is that of the lines that members send."""

    operator_rows = OPERATOR_ROWS

    def __init__(self, options: RoomOptions, encoding: str = "utf-8") -> None:
        self._options, self._encoding = options, encoding
        self._members = Members()
        self._recent = RecentLines(options.history)
        self._admission = Admission(options.password, encoding)
        self._turn = TurnBudget()

    def remember(self, lines: Iterable[str]) -> None:
        """Show newcomers `lines`, which were said in an earlier run."""
        self._recent.extend(map(protocol.replayed, lines))

    # Members.

    def names(self) -> list[str]:
        """Safe from any thread."""
        return self._members.names()

    def find(self, name: str) -> Hashable | None:
        """The key of the member with that name; the case and width of letters do not matter."""
        return self._members.find(name)

    def name(self, key: Hashable) -> str:
        """The name of a member; empty if it has none yet, or is not known. Safe from any thread."""
        return self._members.name(key)

    def join(self, key: Hashable, now: float, peer: str = "") -> list[Action]:
        """Add a newcomer from the address `peer`. It has a name once it is admitted."""
        address = self._admission.address(peer)
        member = Member(key, TokenBucket(self._options.flood, now), address)
        self._members.add(member)
        reply = self._admission.add(address, now)
        if self._full():
            return [Deliver(protocol.ROOM_FULL, to=key), Disconnect(key)]
        if reply == protocol.TOO_MANY_WAITING:
            return [Deliver(reply, to=key), Disconnect(key)]
        if reply:
            return [Deliver(reply, to=key)]
        self._seat(member)
        member.guest_name = self._members.new_guest_name()
        return []

    def _seat(self, member: Member) -> None:
        """Count a newcomer as a member from now on: it need not give the password any more."""
        member.waiting = False
        member.history_end = self._recent.added
        self._admission.remove(member.address)

    def _full(self) -> bool:
        max_members = self._options.max_members
        admitted = len(self._members) - self._admission.waiting
        return max_members is not None and admitted >= max_members

    def holds(self, key: Hashable) -> bool:
        """Whether that is a newcomer that will be admitted by its first line, or by `admit`."""
        member = self._members.get(key)
        return bool(member and not member.waiting and not member.name)

    def admit(self, key: Hashable) -> list[Action]:
        """Admit a newcomer that need not give the password, unless it is admitted."""
        return self._admit(self._members[key]) if self.holds(key) else []

    def _admit(self, member: Member) -> list[Action]:
        wanted = member.wanted_name
        refusal = self._members.why_refused(member, wanted) if wanted else ""
        if refusal or not wanted:
            self._members.rename_guest(member)
        else:
            self._members.rename(member, wanted)
        lines = [protocol.refused(refusal)] if refusal else []
        lines += [protocol.welcome(member.name)]
        motd = self._options.motd.splitlines()
        lines += [protocol.said_by_server(escape(line)) for line in motd]
        history = self._recent.blocks(member.history_end)
        if history:
            lines += [protocol.before_you_joined(sum(len(block.lines) for block in history))]
        return [Admit(member.key, member.name, tuple(lines), history)]

    def introduce(self, key: Hashable) -> list[Action]:
        """Admit a newcomer that need not give the password, and tell the others of it. Does nothing
        if they know. Its first line does so too.
        """
        member = self._members.get(key)
        if not member or member.waiting or member.introduced:
            return []
        admitted = self.admit(key)
        member.introduced = True
        joined = protocol.joined(member.name)
        return [*admitted, Deliver(joined, author=key, presence=Presence(key, True))]

    def _arrive(self, member: Member) -> list[Action]:
        """Admit a newcomer by its first line, which stays unless it is the name it wants."""
        (line,) = member.received.peek(1) or (b"",)
        word, _, name = visible_text(line, self._encoding).partition(" ")
        member.wanted_name = name.strip() if word == "/nick" else ""
        admitted = self._admit(member)
        if not member.wanted_name:
            return admitted
        member.received.drop([line])
        member.bucket.spend(0)
        named = member.name == member.wanted_name
        return [*admitted, *(self.introduce(member.key) if named else ())]

    def expire(self, key: Hashable) -> list[Action]:
        """Disconnect a newcomer that has not given the password in time."""
        member = self._members.get(key)
        if not member or not member.waiting:
            return []
        return [Deliver(protocol.NO_PASSWORD_CAME, to=key), Disconnect(key)]

    def leave(self, key: Hashable, why: str = "") -> list[Action]:
        """Remove a member whose connection has ended; `why` if the member did not choose to."""
        departed = self._members.remove(key)
        if departed and departed.waiting:
            self._admission.remove(departed.address)
        if not departed or not departed.introduced:
            return []
        line = protocol.departed(departed.name, why)
        return [Deliver(line, presence=Presence(key, False))]

    # What members send.

    def feed(self, key: Hashable, data: bytes, now: float) -> list[Action]:
        """Handle `data` from a member. Empty `data` is the end of what the member sends."""
        member = self._members[key]
        member.received.feed(data)
        ended = not (data or member.received.has_line())
        return [*(self.admit(key) if ended else ()), *self.resume(key, now)]

    def charge(self, key: Hashable, size: int) -> None:
        """Count `size` bytes that were no text against a member's rate limit."""
        if member := self._members.get(key):
            member.bucket.charge(size)
            member.charged = True

    def charge_delay(self, key: Hashable, now: float) -> float:
        """Seconds for which not to read a member, because of what it was charged."""
        member = self._members.get(key)
        return member.bucket.wait(now, 0) if member and member.charged else 0.0

    def resume_delay(self, key: Hashable, now: float) -> float:
        """Seconds until `resume` is due for lines that wait; 0 if none do."""
        member = self._members.get(key)
        if not member or not member.received.has_line():
            return 0.0
        return max(self._line_delay(member, now), TURN_PAUSE_SECONDS)

    def _line_delay(self, member: Member, now: float) -> float:
        """Seconds until the rate limit, or a wrong password, allows the next line."""
        retry = 0.0 if not member.waiting else self._admission.retry_delay(member.address, now)
        return max(retry, member.bucket.wait(now))

    def resume(self, key: Hashable, now: float) -> list[Action]:
        """Handle lines of a member that wait, as many as it may say in this turn."""
        member = self._members.get(key)
        if not member:
            return []
        arrived = self._arrive(member) if member.arriving else []
        budget = self._turn.remaining(now)
        actions, spent = self._plain_lines(member, budget, now)
        while spent < budget and not (actions and isinstance(actions[-1], Disconnect)):
            if member.received.drop_long():
                actions.append(Deliver(protocol.LINE_TOO_LONG, to=key))
            elif not member.received.has_line() or self._line_delay(member, now):
                break
            else:
                more, cost = self._next_line(member, now)
                actions += more
                spent += cost
        self._turn.spend(spent)
        return [*arrived, *actions]

    def _plain_lines(self, member: Member, budget: int, now: float) -> tuple[list[Action], int]:
        """Handle the next lines together if all of them are plain text. Returns their cost too."""
        head = protocol.said(member.name, "")
        lines = member.received.peek(budget // (len(head) + LINE_COST_CHARACTERS) + 1)
        if len(lines) < 2 or not member.introduced:
            return [], 0
        texts = plain_texts(lines, self._encoding, self._options.quit_word)
        sizes = [len(head) + len(text) for text in texts]
        count = member.bucket.spend_lines(sizes[: count_within(budget, sizes)], now)
        if not count:
            return [], 0
        member.received.drop(lines[:count])
        said = Deliver(head + f"\n{head}".join(texts[:count]), author=member.key, said=True)
        if self._options.history:
            self._recent.extend(said.lines)
        cost = sum(sizes[:count]) + count * LINE_COST_CHARACTERS
        return [said], cost

    def _next_line(self, member: Member, now: float) -> tuple[list[Action], int]:
        """Handle one line. Returns its cost too."""
        line, admitted = member.received.pop(), not member.waiting
        text = visible_text(line, self._encoding)
        command = plain_command(text)
        if admitted:
            actions = self._line(member, text, command)
        else:
            actions = self._password(member, line, now)
        if actions and isinstance(actions[-1], Disconnect):
            member.received.clear()
        size = sum([len(action.text) for action in actions if isinstance(action, Deliver)])
        member.bucket.spend(size if admitted else 0)  # a greeting is not what the member says
        costs = COMMAND_COST_CHARACTERS if command.startswith("/") else LINE_COST_CHARACTERS
        return actions, size + costs

    def _line(self, member: Member, text: str, command: str) -> list[Action]:
        """Handle a line: its `text`, and the same as `plain_command` writes it."""
        if not text:
            return []
        if text == self._options.quit_word:
            return [Deliver(protocol.GOODBYE, to=member.key), Disconnect(member.key)]
        if command.startswith("/") and not command.startswith("//"):
            word, _, rest = command.partition(" ")
            return self._command(member, word, rest.strip())
        return self._speak(member, command.removeprefix("/"))

    def _speak(self, member: Member, text: str) -> list[Action]:
        joined = self.introduce(member.key)
        return [*joined, self._say(member.key, protocol.said(member.name, text))]

    def _say(self, author: Hashable | None, line: str) -> Deliver:
        self._recent.add(line)
        return Deliver(line, author=author, said=True)

    def _password(self, member: Member, line: bytes, now: float) -> list[Action]:
        key, line = member.key, line.removesuffix(b"\r")
        if self._admission.accepts(line, member.address):
            if self._full():
                return [Deliver(protocol.ROOM_FULL, to=key), Disconnect(key)]
            self._seat(member)
            return self.introduce(key)
        if line.startswith(b"/nick "):
            name = line.decode(self._encoding, "backslashreplace").removeprefix("/nick ")
            member.wanted_name = escape(name.strip())
            return []
        self._admission.record_failure(member.address, now)
        member.failed_passwords += 1
        if member.failed_passwords < MAX_PASSWORD_ATTEMPTS:
            return [Deliver(protocol.WRONG_PASSWORD, to=key)]
        return [Deliver(protocol.LAST_WRONG_PASSWORD, to=key), Disconnect(key)]

    def _command(self, member: Member, word: str, rest: str) -> list[Action]:
        key = member.key
        match word:
            case "/msg" | "/me" | "/nick" if not rest:
                return [Deliver(protocol.usage(word), to=key)]
            case "/nick":
                return self._rename(member, rest)
            case "/who":
                return [Deliver(protocol.who(self.names()), to=key)]
            case "/msg":
                return self._whisper(member, *rest.partition(" ")[::2])
            case "/me":
                return self._speak(member, f"*{rest}*")
            case "/help":
                lines = protocol.help_notices(MEMBER, self._options.quit_word)
                return [Deliver(line, to=key) for line in lines]
            case "/password":
                return [Deliver(protocol.NO_PASSWORD_NEEDED, to=key)]
            case "/quit":
                return [Deliver(protocol.GOODBYE, to=key), Disconnect(key)]
            case _:
                return [Deliver(protocol.unknown(word), to=key)]

    def _rename(self, member: Member, name: str) -> list[Action]:
        if refusal := self._members.why_refused(member, name):
            return [Deliver(protocol.not_renamed(refusal), to=member.key)]
        before = member.name
        self._members.rename(member, name)
        if before == name:
            return []
        you = Deliver(protocol.you_are_now(name), to=member.key)
        if not member.introduced:
            return [you, *self.introduce(member.key)]
        return [you, Deliver(protocol.renamed(before, name), author=member.key)]

    def _whisper(self, member: Member, name: str, text: str) -> list[Action]:
        to = OPERATOR if fold_name(name) == RESERVED else self.find(name)
        if to is None:
            return [Deliver(protocol.nobody(name), to=member.key)]
        if not text:
            return [Deliver(protocol.usage("/msg"), to=member.key)]
        return [
            *self.introduce(member.key),
            Deliver(protocol.said_to_you(member.name, text), to=to),
            Deliver(protocol.said_by_you(self.name(to) or RESERVED, text), to=member.key),
        ]

    # What the operator does.

    def announce(self, text: str) -> list[Action]:
        """Say `text` as the server."""
        return [self._say(None, protocol.said_by_server(escape(text)))]

    def kick(self, name: str) -> list[Action]:
        """Disconnect the member with that name. Raises UsageError if there is none."""
        key = self._called(name)
        return [Deliver(protocol.KICKED, to=key), Disconnect(key)]

    def whisper(self, name: str, text: str) -> list[Action]:
        """Say `text` as the server, to the member with that name alone. Raises UsageError if there
        is none.
        """
        key, text = self._called(name), escape(text)
        return [
            Deliver(protocol.said_to_you(RESERVED, text), to=key),
            Deliver(protocol.said_by_you(self.name(key), text), to=OPERATOR),
        ]

    def _called(self, name: str) -> Hashable:
        key = self.find(name)
        if key is None:
            raise UsageError(protocol.nobody_called(name), "/who lists who is here")
        return key
