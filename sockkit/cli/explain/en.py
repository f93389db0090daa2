"""The sentences of `--explain` in English. Each line fits a terminal of 80 columns."""

SENTENCES = {
    "begin": "* each step: the call in Python after >>>, then what the kernel does",
    "more": "* {count:,} more: {kind}",
    "byte": "1 byte",
    "bytes": "{count:,} bytes",
    # Sockets and their addresses.
    "socket.ip.stream": (
        "The kernel makes a socket for {version}. SOCK_STREAM is a stream of bytes: TCP.\n"
        "It has no address and no connection yet."
    ),
    "socket.ip.datagram": (
        "The kernel makes a socket for {version}. SOCK_DGRAM is for datagrams: UDP.\n"
        "A datagram travels alone. There is no connection, and nothing is sent again."
    ),
    "socket.unix.stream": (
        "AF_UNIX connects two programs on one machine. A path, or a name that begins\n"
        "with \\0, takes the place of host and port. The kernel copies the bytes:\n"
        "no network, no segments."
    ),
    "socket.unix.datagram": (
        "AF_UNIX connects programs on one machine. A path, or a name that begins with\n"
        "\\0, takes the place of host and port. The kernel hands over whole datagrams\n"
        "and loses none."
    ),
    "option.SO_REUSEADDR": (
        "Lets bind take a port while an old connection on it is in TIME_WAIT.\n"
        'Without it a restarted server may get "Address already in use".'
    ),
    "option.SO_REUSEADDR.datagram": (
        "Lets several programs on this machine bind the same port, for example to\n"
        "receive the datagrams of one multicast group."
    ),
    "option.SO_REUSEPORT": "Lets several sockets share a port; the kernel picks one for each peer.",
    "option.TCP_NODELAY": (
        "Sends small pieces at once. By default the kernel may hold one back until\n"
        "the last is acknowledged (Nagle's algorithm)."
    ),
    "option.SO_KEEPALIVE": (
        "Has the kernel ask a peer that has long been silent, by default for two\n"
        "hours, whether it is still there."
    ),
    "option.SO_BROADCAST": "Allows sending to broadcast addresses; without it, such a send fails.",
    "option.SO_SNDBUF": "Sets the size of the send buffer: it holds what is not acknowledged yet.",
    "option.SO_RCVBUF": "Sets the size of the receive buffer: it holds what we have not read yet.",
    "option.IP_TTL": "Sets how many routers a packet may pass before it is dropped.",
    "option.other": "Sets {option}; see the manual pages socket(7), ip(7) and tcp(7).",
    "bind.loopback": (
        "The socket gets its address. A loopback address (127.0.0.1, ::1) is this\n"
        "machine only. To let other machines connect, bind to 0.0.0.0 (IPv6: ::)."
    ),
    "bind.every": (
        "The socket gets its address. 0.0.0.0 (in IPv6 ::) stands for every address\n"
        "of this machine, so other machines can connect."
    ),
    "bind.address": (
        "The socket gets one of this machine's addresses. Clients of another address\n"
        "of this machine, for example 127.0.0.1, do not reach it."
    ),
    "bind.group": (
        "The socket gets a multicast address. What is sent to that group arrives only\n"
        "once the socket has joined it (--join)."
    ),
    "bind.unix": "The socket gets its address: a socket file at this path.",
    "bind.abstract": (
        "The socket gets its address: an abstract name, which begins with \\0.\nThere is no file."
    ),
    "bind.source.unix": (
        "Without an address of our own, the peer could not answer. connect does not\n"
        "choose one, so we bind."
    ),
    "bind.source": "Chooses our own address. A client seldom does: the kernel can choose.",
    "bind.any_port": "Port 0 lets the kernel choose a free port.",
    "bind.datagrams": "The kernel now queues datagrams for us. UDP has no listen and no accept.",
    "port.chosen": "The kernel has chosen port {port}.",
    "join": "Joins a multicast group. Datagrams to {address} now arrive here.",
    # Listening and connecting.
    "listen": (
        "From now on the kernel completes handshakes by itself. About {backlog} finished\n"
        "connections, and no more than net.core.somaxconn, can wait in the backlog\n"
        "until the program accepts them."
    ),
    "listen.unix": (
        "From now on clients can connect. About {backlog} connections can wait in the\n"
        "backlog until the program accepts them."
    ),
    "wait.stream": "accept waits until a client connects …",
    "wait.datagram": "recvfrom waits until a datagram comes. Anybody may send one …",
    "accept.stream": (
        "{addr}\n"
        "The handshake was three segments: the client's SYN, our SYN-ACK, its ACK.\n"
        "{name} is a new socket for this client alone; s is only for listening."
    ),
    "accept.stream.again": "{addr}",
    "accept.unix": (
        "{addr}\n"
        "There was no handshake. {name} is a new socket for this client alone;\n"
        "s is only for listening."
    ),
    "accept.unix.again": "{addr}",
    "accept.refused": "{address} may not connect: conn.close() follows at once.",
    "peer.user": "The kernel says who it is: process {process} of user {user}.",
    "getaddrinfo": (
        "Looks up the addresses of that name: in /etc/hosts, then at a DNS server.\n"
        "A name can have several; they are tried in turn."
    ),
    "connect.stream": "The kernel sends SYN to {address}; connect waits for the answer.",
    "connect.stream.unix": "The kernel looks for a listening socket at that address.",
    "connect.datagram.unix": "Sends nothing: the kernel only notes the address for send().",
    "connect.datagram": (
        "Sends nothing: UDP has no handshake. The kernel only notes the address, so\n"
        "that send() needs none and datagrams from others are dropped."
    ),
    "connected.stream": (
        "SYN-ACK has come back, and the kernel has answered ACK. These three\n"
        "segments are the handshake: we are connected to {address}."
    ),
    "connected.stream.again": "SYN, SYN-ACK, ACK: connected to {address}.",
    "connected.unix": "Connected at once: there is no handshake.",
    "connected.port": "We did not call bind: the kernel chose an ephemeral port, {port}.",
    "connected.port.again": "Our port is {port} this time.",
    "connect.refused": (
        "RST came back, not SYN-ACK: nobody is listening on {address}.\n"
        "In Python, connect raises ConnectionRefusedError."
    ),
    "connect.refused.again": "RST again: {address} refuses connections.",
    "connect.refused.unix": (
        "Nobody is listening on {address}.\nIn Python, connect raises ConnectionRefusedError."
    ),
    "connect.refused.unix.again": "{address} refuses again.",
    "connect.failed": (
        "No connection to {address}: {reason}.\nIn Python, connect raises an OSError."
    ),
    "connect.failed.again": "No connection to {address}: {reason}.",
    "connect.icmp": (
        "The kernel at {address} has answered with ICMP,\n"
        "port unreachable: no socket is bound there. Our socket is connected, so our\n"
        "kernel reports it at the next call: in Python, ConnectionRefusedError."
    ),
    "target.port": "We did not call bind: the kernel chose an ephemeral port, {port}.",
    "target.port.again": "Our port is {port} this time.",
    "tunnelled": "The proxy has connected to the target: from now on it passes all bytes on.",
    # TLS.
    "tls.client": (
        "The TLS handshake, over the connection: {version}, {cipher}.\n"
        "The server's certificate proved who it is, and both sides agreed on keys.\n"
        "context is an ssl.SSLContext, and host is the name in the certificate.\n"
        "sendall and recv work as before; on the wire everything is encrypted."
    ),
    "tls.client.again": "The TLS handshake: {version}, {cipher}.",
    "tls.unchecked": (
        "The TLS handshake, over the connection: {version}, {cipher}.\n"
        "Both sides agreed on keys. No authority has vouched for who the server is.\n"
        "sendall and recv work as before; on the wire everything is encrypted."
    ),
    "tls.unchecked.again": "The TLS handshake: {version}, {cipher}.",
    "tls.server": (
        "The TLS handshake, over the connection: {version}, {cipher}.\n"
        "We showed our certificate, and both sides agreed on keys.\n"
        "context is an ssl.SSLContext, which has the certificate and its key.\n"
        "sendall and recv work as before; on the wire everything is encrypted."
    ),
    "tls.server.again": "The TLS handshake: {version}, {cipher}.",
    # What passes.
    "data": "data = {data} ({size})",
    "data.again": "data = {data} ({size})",
    "size": "{size}.",
    "size.again": "{size}.",
    "sendall": (
        "They are in the kernel's send buffer now. TCP sends them in segments, and\n"
        "again if no ACK comes. Nothing tells us when the peer reads them."
    ),
    "sendall.unix": "The kernel has copied them into the peer's receive buffer.",
    "recv": (
        "recv waits until something arrives, and returns at most n bytes. TCP keeps\n"
        "the order of the bytes, not where one send ended and the next began."
    ),
    "recv.unix": (
        "recv waits until something arrives, and returns at most n bytes. A stream\n"
        "keeps the order of the bytes, not where one send ended and the next began."
    ),
    "frame": "One frame. TCP knows nothing of frames: one may take several calls of recv.",
    "relayed": (
        "What one side sends, the other gets. The relay has two connections, and\n"
        "neither side knows of the other."
    ),
    "relayed.datagram": (
        "What one side sends, the other gets. For each peer there is a socket to the\n"
        "target, so the relay knows which peer an answer is for."
    ),
    "sendto": "One datagram. Nothing tells us whether it arrives, and it is not sent again.",
    "sendto.unix": "One datagram. The kernel has put it into the peer's queue.",
    "recvfrom": (
        "Each call returns one datagram. One longer than n bytes is cut off at n.\n"
        "No connection was needed, and nothing tells the sender that it arrived."
    ),
    "recvfrom.unix": "Each call returns one datagram. One longer than n bytes is cut off at n.",
    "recvfrom.addr": "addr = {addr}: where to send an answer.",
    "recvfrom.addr.again": "addr = {addr}",
    # The end.
    "input.held": "Our input has ended. The peer does not know yet: there was no shutdown.",
    "shutdown.first": (
        "Half-close: the kernel sends FIN, and the peer's kernel answers ACK. These\n"
        "are the first two of four closing segments. We can still receive."
    ),
    "shutdown.first.again": "FIN, and its ACK: the first two of four segments.",
    "shutdown.last": (
        "The kernel sends our FIN, and the peer's kernel answers ACK. The peer's FIN\n"
        "and its ACK came before: these four segments close the connection."
    ),
    "shutdown.last.again": "Our FIN, and its ACK: the last two of four segments.",
    "shutdown.unix": "Half-close: the peer reads to the end of what we sent. We can still receive.",
    "end": "Only b'' says that the peer has ended: a loop around recv must test for it.",
    "end.first": (
        "data = b''\n"
        "The peer's FIN has come, and our kernel has answered ACK: the peer sends\n"
        "nothing more. What we send still arrives, if it has only half-closed."
    ),
    "end.first.again": "data = b'': the peer's FIN has come.",
    "end.last": (
        "data = b''\n"
        "The peer's FIN has come, too, and our kernel has answered ACK: with ours,\n"
        "these are the four segments that close a connection."
    ),
    "end.late": "data = b''\nThe peer's FIN, which came before we sent ours.",
    "end.late.again": "data = b'': the peer's FIN, which came before ours.",
    "end.last.again": "data = b'': the peer's FIN has come, too.",
    "end.tls": (
        "data = b''\n"
        "The peer's close_notify has come: in TLS this says that the peer sends\n"
        "nothing more. Its FIN comes when it closes the socket."
    ),
    "end.tls.again": "data = b'': the peer's close_notify has come.",
    "end.unix": "data = b''\nThe peer has ended its side: it sends nothing more.",
    "end.unix.again": "data = b'': the peer has ended its side.",
    "close.done": "Gives the socket back to the kernel. The connection had already ended.",
    "close.first": "close also ends our side: the kernel sends FIN. The peer's FIN follows.",
    "close.last": (
        "close also ends our side: the kernel sends our FIN, and the peer's kernel\n"
        "answers ACK. With the peer's FIN and its ACK, that makes all four segments."
    ),
    "close.last.again": "The kernel sends our FIN, and the peer's kernel answers ACK.",
    "close.unix": "Gives the socket back to the kernel, and ends our side.",
    "close.reset": "The kernel sends RST, not FIN: the peer gets an error, not a normal end.",
    "close.unread": (
        "Some of what the peer sent was still unread, so the kernel sends RST, not\n"
        "FIN: the peer gets an error, and there is no TIME_WAIT."
    ),
    "reset.received": (
        "RST came from {address}. The connection is gone at once,\n"
        "with all data in transit. In Python, recv or sendall raises\n"
        "ConnectionResetError."
    ),
    "reset.received.again": "RST came from {address}.",
    "time_wait.ours": (
        "We closed first, so the kernel keeps this side in TIME_WAIT for a minute,\n"
        "in case segments arrive late."
    ),
    "time_wait.port": "Meanwhile a restarted server can bind the port only with SO_REUSEADDR.",
    "time_wait.theirs": "The peer closed first, so TIME_WAIT is on its side; ours is gone at once.",
    "total": "In all: sent {sent}, received {received}.",
    "total.again": "In all: sent {sent}, received {received}.",
    "close.listener": "Nobody can connect any more. Accepted connections are not affected.",
    "close.datagrams": "Nothing is sent: there is no connection to close.",
    "datagrams.sent": "Datagrams sent: {count} ({size}).",
    "datagrams.received": "Datagrams received: {count} ({size}). Lost ones are not counted.",
    "datagrams.received.unix": "Datagrams received: {count} ({size}).",
    # Programs of --exec and --shell.
    "program": "{name} runs as process {process}: its stdin and stdout are the connection.",
    "program.again": "{name} runs as process {process}.",
    "program.ended": "{name} has exited with {status}.",
    "program.ended.again": "{name} has exited with {status}.",
    # Why the run failed.
    "failed.in_use": "bind fails: another socket has that address.",
    "failed.time_wait": (
        "A program may be listening there, or, without SO_REUSEADDR, an old\n"
        "connection may still be in TIME_WAIT."
    ),
    "failed.not_ours": "bind fails: no network interface of this machine has that address.",
    "failed.privileged": "bind fails: only root may use a port below 1024.",
    "failed.no_folder": "bind fails: the folder of that path does not exist.",
    "failed.unknown": "No address was found. In Python, getaddrinfo raises socket.gaierror.",
    "failed.no_answer": (
        "No answer to SYN. The kernel sends it again after 1, 2, 4 … seconds.\n"
        "A firewall drops it, or there is no machine at that address."
    ),
    # The kinds of steps, for "more".
    "kind.socket": "socket()",
    "kind.setsockopt": "setsockopt()",
    "kind.bind": "bind()",
    "kind.getsockname": "getsockname()",
    "kind.join": "groups joined",
    "kind.listen": "listen()",
    "kind.wait": "waits",
    "kind.accept": "accept()",
    "kind.refuse": "accept(), refused at once",
    "kind.user": "peers identified by their process",
    "kind.getaddrinfo": "getaddrinfo()",
    "kind.connect": "connect()",
    "kind.connected": "connected",
    "kind.refused": "failed connect()",
    "kind.target": "targets",
    "kind.proxy": "connected through a proxy",
    "kind.tls": "TLS handshakes",
    "kind.sendall": "sendall()",
    "kind.recv": "recv()",
    "kind.frame": "frames",
    "kind.sendto": "sendto()",
    "kind.recvfrom": "recvfrom()",
    "kind.input": "ends of our input",
    "kind.shutdown": "shutdown()",
    "kind.end": "recv() that returned b''",
    "kind.reset": "resets",
    "kind.close": "close()",
    "kind.datagrams": "totals of datagrams",
    "kind.program": "programs",
    "kind.failed": "failures",
}
