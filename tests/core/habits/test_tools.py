from __future__ import annotations

import pytest

from sockkit.core.habits.draft import Draft
from sockkit.core.habits.tools import not_supported, take_tool, take_waiter
from sockkit.errors import UsageError

OPTIONS = {"--tls": False, "--tls-name": True, "-w": True}


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("nc -l 80", "-l 80"),
        ("telnet h", "h 23"),
        ("telnet h 25", "h 25"),
        ("telnet h:25", "h:25"),
        ("curl -v http://h/x", "http://h/x"),
        ("wget h:80", "http://h:80"),
        ("openssl s_client -connect h:1 -quiet --tls-name n", "--tls h:1 --tls-name n"),
    ],
)
def test_the_rest_of_a_line(line: str, rest: str) -> None:
    draft, words = Draft(), line.split()
    assert [*take_tool(draft, words[0], words, OPTIONS)] == rest.split()
    assert (draft.refusal, draft.has("--crlf")) == ("", words[0] == "telnet")


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("telnet -8 h", not_supported("telnet", "-8")),
        ("curl -k https://h", not_supported("curl", "-k")),
        ("openssl s_client -proxy h:1", not_supported("openssl s_client", "-proxy")),
        ("openssl x509 -in a", "only openssl's s_client is replaced: use openssl x509 -in a"),
        ("ncat --version", "to see the version, write sockkit --version"),
        ("nc -V", "to see the version, write sockkit --version"),
    ],
)
def test_what_is_refused(line: str, refusal: str) -> None:
    draft, words = Draft(), line.split()
    take_tool(draft, words[0], words, OPTIONS)
    assert draft.refusal == refusal


@pytest.mark.parametrize(
    "line",
    [
        "curl http://u:p@h/",
        "curl http://a http://b",
        "curl http://",
        "openssl s_client -connect h:1 -servername",
    ],
)
def test_what_would_be_dropped(line: str) -> None:
    words = line.split()
    with pytest.raises(UsageError):
        take_tool(Draft(), words[0], words, OPTIONS)


@pytest.mark.parametrize("line", ["h:80 -t", "", "-- ls"])
def test_a_script_that_lacks_a_value(line: str) -> None:
    with pytest.raises(UsageError):
        take_waiter(Draft(), ["wait-for-it", *line.split()])


@pytest.mark.parametrize(
    ("line", "wait", "words"),
    [
        ("h:80", "15", "h:80"),
        ("-s h:80 -t 0", "24h", "h:80"),
        ("--host=h --port=80 --strict --timeout=3", "3", "h 80"),
    ],
)
def test_a_script_that_waits(line: str, wait: str, words: str) -> None:
    draft = Draft()
    take_waiter(draft, ["wait-for-it", *line.split(), "--", "a b"])
    assert (draft.command, draft.options) == ("probe", [("--wait", wait)])
    assert (draft.words, draft.after) == (words.split(), " -- 'a b'")
