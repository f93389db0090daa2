"""Translates the lines of single tools, such as telnet and curl, into options and words of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sockkit.core.habits.draft import Draft, is_whole, quoted
from sockkit.core.habits.foreign import is_url
from sockkit.core.habits.line import read
from sockkit.core.habits.table import OPENSSL
from sockkit.errors import UsageError

WAITERS = ("wait-for-it", "wait-for")
OTHERS = ("curl", "wget", "openssl")
_SHOWS_MORE = {"-v", "-s", "-S", "-sS", "-i", "-N"}  # options of curl that we can leave out
_WAITER_OPTIONS = dict.fromkeys(("-t", "--timeout", "-h", "--host", "-p", "--port"), True)


def not_supported(tool: str, option: str) -> str:
    return f"{tool}'s {option} is not supported here: use {tool}"


def take_tool(
    draft: Draft, tool: str, words: Sequence[str], options: Mapping[str, bool]
) -> Sequence[str]:
    """The rest of the line to read, after `tool`. It changes the draft, or refuses the line.

    `options` are those of tcp-client. Raises UsageError.
    """
    if tool == "openssl":
        return _openssl(draft, words, options)
    if tool in OTHERS:
        return _curl(draft, words)
    draft.because(f"instead of {tool}, write", 2)
    if {"-h", "--help"} & {*words[1:2]}:
        draft.refusal = "to see the help, write sockkit --help"
    if "--version" in words or [*words[1:]] == ["-V"]:
        draft.refusal = "to see the version, write sockkit --version"
    return _telnet(draft, words[1:]) if tool == "telnet" else words[1:]


def _telnet(draft: Draft, words: Sequence[str]) -> Sequence[str]:
    """`telnet HOST [PORT]`."""
    if option := next((word for word in words if word.startswith("-")), ""):
        draft.refusal = not_supported("telnet", option)
    draft.add("--crlf")  # as telnet ends a line
    return [*words, "23"] if len(words) == 1 and not is_whole(words[0]) else words


def _curl(draft: Draft, words: Sequence[str]) -> Sequence[str]:
    """`curl URL`, with options that only show more."""
    options = (word for word in words[1:] if word.startswith("-"))
    if unknown := next((option for option in options if option not in _SHOWS_MORE), ""):
        draft.refusal = not_supported(words[0], unknown)
    places = [word for word in words[1:] if not word.startswith("-")]
    urls = [place if is_url(place) else f"http://{place}" for place in places]
    one_page = len(urls) == 1 and "@" not in urls[0] and not urls[0].endswith("://")
    if not (one_page or draft.refusal):
        raise UsageError("not one page, or one for a user")
    return urls


def _openssl(draft: Draft, words: Sequence[str], options: Mapping[str, bool]) -> Sequence[str]:
    """`openssl s_client -connect HOST:PORT`, and our own options among its own."""
    if words[1:2] != ["s_client"]:
        draft.refusal = f"only openssl's s_client is replaced: use {' '.join(map(quoted, words))}"
    draft.because("instead of openssl s_client, write")
    ours = ["--tls"]
    rest = iter(words[2:])
    for word in rest:
        if not word.startswith("-"):
            ours.append(word)
        elif word.startswith("--") and word in options:
            ours += [word, *([_next(rest)] if options[word] else [])]
        elif (use := OPENSSL.get(f"-{word.lstrip('-')}")) is None:
            draft.refusal = draft.refusal or not_supported("openssl s_client", word)
        else:
            ours += [_next(rest) if part == "{}" else part for part in use.split()]
    return ours


def _next(rest: Iterator[str]) -> str:
    """The value of an option. Raises UsageError if it is missing."""
    if not (value := next(rest, "")):
        raise UsageError("a value is missing")
    return value


def take_waiter(draft: Draft, words: Sequence[str]) -> None:
    """`wait-for-it HOST:PORT -t SECONDS -- COMMAND`, also with -h HOST -p PORT."""
    draft.because(f"instead of {words[0]}, write", 2)
    draft.command = "probe"
    end = words.index("--") if "--" in words else len(words)
    line = read(words[1:end], _WAITER_OPTIONS.get)
    values = {flag.name.lstrip("-")[0]: flag.value or "" for flag in line.flags}
    lacks = any(values.get(name) == "" for name in "thp")
    if lacks or not ("h" in values or any(line.words)):
        raise UsageError("a value is missing")
    limit = values.get("t", "15")  # its default
    draft.add("--wait", "24h" if limit == "0" else limit)
    draft.words = [*line.words, *(values[name] for name in "hp" if name in values)]
    draft.after = "".join(f" {quoted(word)}" for word in words[end:])
