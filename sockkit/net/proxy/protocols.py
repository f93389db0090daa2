"""The protocols of proxies: SOCKS5, SOCKS4 and HTTP's CONNECT.

python-socks writes the messages, and parses the answers of SOCKS proxies. This module does what
python-socks does not: a user without a password, a user that is not ASCII, and HTTP answers, where
python-socks accepts `FOO 200` as a success.

A conversation is a generator that knows no socket. It yields the bytes to send, and how many bytes
of the answer to read, or HEAD; it is resumed with those bytes. It returns when the proxy has
connected us to the target, and raises ProxyError. It never reads bytes of the target.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from ipaddress import ip_address

from python_socks._helpers import is_ip_address
from python_socks._protocols import http, socks4, socks5
from python_socks._protocols.errors import ReplyError

from sockkit.core.address import HostPort, show
from sockkit.core.proxy import Proxy, wire
from sockkit.errors import ProxyError, ResolveError

HEAD = 0  # means: read up to the empty line that ends the head of an HTTP answer
MAX_NAME_BYTES = 255  # SOCKS5 has one byte for the length, RFC 1928
MAX_REASON_CHARACTERS = 100  # of the reason phrase of an HTTP proxy, to show
_LOGIN = (b"407", b"401")  # tinyproxy answers 401 to a wrong password
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: ([^\r\n]*))?\r?\n")
_SOCKS5_WORDS: dict[int, str] = {
    socks5.ReplyCode.CONNECTION_NOT_ALLOWED: "its rules do not allow it",
    socks5.ReplyCode.NETWORK_UNREACHABLE: "network unreachable",
    socks5.ReplyCode.HOST_UNREACHABLE: "host unreachable",
    socks5.ReplyCode.CONNECTION_REFUSED: "connection refused",
    socks5.ReplyCode.TTL_EXPIRED: "TTL expired",
    socks5.ReplyCode.COMMAND_NOT_SUPPORTED: "it does not support CONNECT",
    socks5.ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED: "it does not support this type of address",
}
_SOCKS4_WORDS: dict[int, str] = {
    socks4.ReplyCode.CONNECTION_FAILED: "it cannot reach identd on this machine",
    socks4.ReplyCode.AUTHENTICATION_FAILED: "identd on this machine reports another user",
}
_FIRST_BYTES = {"SOCKS5": b"\5", "SOCKS4": b"\0", "HTTP": b"HTTP/"}
# A SOCKS5 reply: version, reply code, a reserved byte, address type, address, port. These are the
# sizes of the last two.
_ADDRESS_SIZES: dict[int, int] = {
    socks5.AddressType.IPV4: 4 + 2,
    socks5.AddressType.IPV6: 16 + 2,
}

Conversation = Generator[tuple[bytes, int], bytes, None]


class TargetRefused(ProxyError):  # noqa: N818 - the name of what happened
    """The proxy works, but did not connect to the target. Another address of it may work."""


def conversation(proxy: Proxy, target: HostPort) -> Conversation:
    """The conversation that asks `proxy` to connect us to `target`. Raises ResolveError."""
    talk = {"SOCKS5": _socks5, "SOCKS4": _socks4, "HTTP": _http}[proxy.protocol]
    return talk(proxy, target._replace(host=_wire_name(target.host)))


def _wire_name(host: str) -> str:
    """`host` as it is sent. Raises ResolveError for a name that could inject another message."""
    try:
        name = host.encode("idna").decode()
        if not name.isprintable() or " " in name or len(name) > MAX_NAME_BYTES:
            raise ValueError("it cannot be sent")
        if is_ip_address(name):
            ip_address(name)  # stricter than python-socks
    except ValueError as error:  # UnicodeError is a subclass
        raise ResolveError(f"could not resolve {host}: not a valid host name") from error
    return name


def _refused(proxy: Proxy, target: HostPort, why: str) -> TargetRefused:
    told = f"the proxy {proxy.address} refused the connection to {target}: {why}"
    return TargetRefused(told, "check the target's address, or the proxy's log")


def _wants_user(proxy: Proxy) -> ProxyError:
    told = f"the proxy {proxy.address} requires a user and a password"
    hint = f"add the user, as in {proxy.scheme}://USER@{show(*proxy.address)}"
    return ProxyError(told, hint, transient=False)


def _refuses_user(proxy: Proxy) -> ProxyError:
    told = f"the proxy {proxy.address} rejected the user or the password"
    hint = "check the user in --proxy, and SOCKKIT_PROXY_PASSWORD"
    return ProxyError(told, hint, transient=False)


def _not_one(proxy: Proxy, answer: bytes) -> ProxyError:
    """The error if the proxy speaks another protocol."""
    protocol = proxy.protocol
    article, other = ("an", "socks5h") if protocol == "HTTP" else ("a", "http")
    hint = f"try another scheme, such as {other}://"
    if answer.startswith(_FIRST_BYTES[protocol]):  # the right protocol, but an invalid answer
        hint = "check its address"
    elif protocol == "HTTP" and answer.startswith((b"\0", b"\5")):
        hint = "it answers like a SOCKS proxy: try socks5h://"
    elif answer.startswith(b"H"):
        hint = "it answers like an HTTP server: try http://"
    return ProxyError(f"{proxy.address} is not {article} {protocol} proxy", hint)


class _Login(socks5.AuthRequest):
    """Replaces the class of python-socks, which accepts only ASCII."""

    def dumps(self) -> bytes:
        user, password = wire(self.username), wire(self.password)
        return bytes([self.VER, len(user)]) + user + bytes([len(password)]) + password


def _socks5(proxy: Proxy, target: HostPort) -> Conversation:
    """RFC 1928, and RFC 1929 for the user."""
    connection = socks5.Connection()
    methods = socks5.AuthMethodsRequest(None, None)
    if proxy.user is not None:
        methods.methods.append(socks5.AuthMethod.USERNAME_PASSWORD)
    answer = yield connection.send(methods), socks5.AuthMethodReply.SIZE
    if answer == bytes([socks5.SOCKS_VER, socks5.AuthMethod.NO_ACCEPTABLE]):
        raise _wants_user(proxy) if proxy.user is None else _refuses_user(proxy)
    _read(proxy, connection.receive, answer)
    if answer[1] == socks5.AuthMethod.USERNAME_PASSWORD:
        login = _Login(proxy.user or "", proxy.password or "")
        answer = yield connection.send(login), socks5.AuthReply.SIZE
        if answer[0] == login.VER and answer[1] != socks5.AUTH_GRANTED:
            raise _refuses_user(proxy)
        _read(proxy, connection.receive, answer)
    answer = yield connection.send(socks5.ConnectRequest(target.host, target.port)), 2
    if answer[0] == socks5.SOCKS_VER and answer[1] != socks5.ReplyCode.SUCCEEDED:
        raise _refused(proxy, target, _SOCKS5_WORDS.get(answer[1], "no reason given"))
    answer = yield from _to_the_end(answer)
    _read(proxy, connection.receive, answer)


def _to_the_end(answer: bytes) -> Generator[tuple[bytes, int], bytes, bytes]:
    """Read the rest of the reply that begins with `answer`: an address and a port."""
    answer += yield b"", 2
    size = _ADDRESS_SIZES.get(answer[3], 0)
    if answer[3] == socks5.AddressType.DOMAIN:
        answer += yield b"", 1
        size = answer[-1] + 2
    if size:
        answer += yield b"", size
    return answer


def _socks4(proxy: Proxy, target: HostPort) -> Conversation:
    """SOCKS4, and SOCKS4A for a name."""
    connection = socks4.Connection()
    request = connection.send(socks4.ConnectRequest(target.host, target.port, None))
    # The user follows the port and the address. python-socks accepts only ASCII.
    request = request[:8] + wire(proxy.user or "") + request[8:]
    answer = yield request, 2
    if answer[0] != socks4.RSV:
        raise _not_one(proxy, answer)
    if answer[1] != socks4.ReplyCode.REQUEST_GRANTED:
        raise _refused(proxy, target, _SOCKS4_WORDS.get(answer[1], "no reason given"))
    _read(proxy, connection.receive, answer + (yield b"", socks4.ConnectReply.SIZE - 2))


def _read(proxy: Proxy, receive: Callable[[bytes], object], answer: bytes) -> None:
    """Have python-socks parse `answer`. Raises ProxyError if it is invalid."""
    try:
        receive(answer)
    except (ReplyError, ValueError) as error:
        raise _not_one(proxy, answer) from error


def _http(proxy: Proxy, target: HostPort) -> Conversation:
    """CONNECT, RFC 9110, section 9.3.6. We send the user before the proxy asks for it."""
    user = password = None
    if proxy.user is not None:  # python-socks encodes them as Latin-1
        user, password = (
            wire(text).decode("latin-1") for text in (proxy.user, proxy.password or "")
        )
    request = http.ConnectRequest(target.host, target.port, user, password)
    answer = yield http.Connection().send(request), len(b"HTTP/")
    if answer == b"HTTP/":
        answer += yield b"", HEAD
    status = _STATUS_LINE.match(answer)
    if not status:
        raise _not_one(proxy, answer)
    if status[1] in _LOGIN:
        raise _wants_user(proxy) if proxy.user is None else _refuses_user(proxy)
    if not status[1].startswith(b"2"):
        reason = (status[2] or b"").decode("utf-8", "replace")[:MAX_REASON_CHARACTERS]
        raise _refused(proxy, target, f"{status[1].decode()} {reason}".strip())
