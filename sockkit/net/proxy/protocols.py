"""What is said to a proxy, and what its answers mean: SOCKS5, SOCKS4 and HTTP's CONNECT.

python-socks writes the messages, and reads the answers of SOCKS proxies. Where it does not do what
is needed, this module does: a user without a password, a user that is not ASCII, and HTTP answers,
of which it takes `FOO 200` for a success.

A conversation is a generator that knows no socket. It yields what to send and how many bytes of the
answer to read, or HEAD, and is resumed with those bytes. It ends when the connection to the target
stands, and raises ProxyError. Nothing is read that the target has sent.
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

HEAD = 0  # read to the empty line at the end of a head of HTTP
MAX_NAME_BYTES = 255  # SOCKS5 has one byte for the length, RFC 1928
MAX_REASON_CHARACTERS = 100  # of what an HTTP proxy says of its status
_LOGIN = (b"407", b"401")  # the second is tinyproxy's for a wrong password
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: ([^\r\n]*))?\r?\n")
_SOCKS5_WORDS: dict[int, str] = {
    socks5.ReplyCode.CONNECTION_NOT_ALLOWED: "its rules do not allow it",
    socks5.ReplyCode.NETWORK_UNREACHABLE: "network unreachable",
    socks5.ReplyCode.HOST_UNREACHABLE: "host unreachable",
    socks5.ReplyCode.CONNECTION_REFUSED: "connection refused",
    socks5.ReplyCode.TTL_EXPIRED: "TTL expired",
    socks5.ReplyCode.COMMAND_NOT_SUPPORTED: "it does not make connections",
    socks5.ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED: "it does not know this kind of address",
}
_SOCKS4_WORDS: dict[int, str] = {
    socks4.ReplyCode.CONNECTION_FAILED: "it asks this machine who the user is (identd)",
    socks4.ReplyCode.AUTHENTICATION_FAILED: "this machine says that the user is another (identd)",
}
_FIRST_BYTES = {"SOCKS5": b"\5", "SOCKS4": b"\0", "HTTP": b"HTTP/"}
# After the version, the reply and a reserved byte come the kind of an address, it, and a port.
_ADDRESS_SIZES: dict[int, int] = {
    socks5.AddressType.IPV4: 4 + 2,
    socks5.AddressType.IPV6: 16 + 2,
}

Conversation = Generator[tuple[bytes, int], bytes, None]


class TargetRefused(ProxyError):  # noqa: N818 - the name of what happened
    """The proxy works, and did not reach the target; it may reach another address of it."""


def conversation(proxy: Proxy, target: HostPort) -> Conversation:
    """The one in which `proxy` connects us to `target`. Raises ResolveError."""
    talk = {"SOCKS5": _socks5, "SOCKS4": _socks4, "HTTP": _http}[proxy.protocol]
    return talk(proxy, target._replace(host=_wire_name(target.host)))


def _wire_name(host: str) -> str:
    """`host` as it is sent. Raises ResolveError for one that would be part of another message."""
    try:
        name = host.encode("idna").decode()
        if not name.isprintable() or " " in name or len(name) > MAX_NAME_BYTES:
            raise ValueError("it cannot be sent")
        if is_ip_address(name):
            ip_address(name)  # which takes fewer for an address than python-socks does
    except ValueError as error:  # and UnicodeError, which is one
        raise ResolveError(f"could not resolve {host}: not a valid host name") from error
    return name


def _refused(proxy: Proxy, target: HostPort, why: str) -> TargetRefused:
    return TargetRefused(f"the proxy {proxy.address} refused the connection to {target}: {why}")


def _wants_user(proxy: Proxy) -> ProxyError:
    told = f"the proxy {proxy.address} wants a user and a password"
    hint = f"give them as in {proxy.scheme}://USER@{show(*proxy.address)}"
    return ProxyError(told, hint, transient=False)


def _refuses_user(proxy: Proxy) -> ProxyError:
    told = f"the proxy {proxy.address} refused the user and the password"
    return ProxyError(told, transient=False)


def _not_one(proxy: Proxy, answer: bytes) -> ProxyError:
    """The error for a peer that speaks another protocol."""
    protocol = proxy.protocol
    article, other = ("an", "socks5h") if protocol == "HTTP" else ("a", "http")
    hint = f"try another scheme, such as {other}://"
    if answer.startswith(_FIRST_BYTES[protocol]):  # it is the right one, spoken badly
        hint = ""
    elif protocol == "HTTP" and answer.startswith((b"\0", b"\5")):
        hint = "it answers like a SOCKS proxy: try socks5h://"
    elif answer.startswith(b"H"):
        hint = "it answers like an HTTP server: try http://"
    return ProxyError(f"{proxy.address} is not {article} {protocol} proxy", hint)


class _Login(socks5.AuthRequest):
    """python-socks's own takes ASCII alone."""

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
        raise _refused(proxy, target, _SOCKS5_WORDS.get(answer[1], "it does not say why"))
    answer = yield from _to_the_end(answer)
    _read(proxy, connection.receive, answer)


def _to_the_end(answer: bytes) -> Generator[tuple[bytes, int], bytes, bytes]:
    """Reads the rest of the reply of which `answer` is the beginning: an address and a port."""
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
    # The user comes behind the port and the address. python-socks takes ASCII alone.
    request = request[:8] + wire(proxy.user or "") + request[8:]
    answer = yield request, 2
    if answer[0] != socks4.RSV:
        raise _not_one(proxy, answer)
    if answer[1] != socks4.ReplyCode.REQUEST_GRANTED:
        raise _refused(proxy, target, _SOCKS4_WORDS.get(answer[1], "it does not say why"))
    _read(proxy, connection.receive, answer + (yield b"", socks4.ConnectReply.SIZE - 2))


def _read(proxy: Proxy, receive: Callable[[bytes], object], answer: bytes) -> None:
    """Have python-socks read `answer`, which raises ValueError for some."""
    try:
        receive(answer)
    except (ReplyError, ValueError) as error:
        raise _not_one(proxy, answer) from error


def _http(proxy: Proxy, target: HostPort) -> Conversation:
    """CONNECT, RFC 9110, section 9.3.6. The user is sent without being asked for."""
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
