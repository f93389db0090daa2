"""The sentences of `--explain` in Chinese, with the terms of Chinese textbooks.

Each line fits a terminal of 80 columns, where a character fills two.
"""

SENTENCES = {
    "begin": "* 每一步：>>> 后面是等价的 Python 代码，下面说明内核做了什么",
    "more": "* 另有 {count:,} 步不再细讲：{kind}",
    "byte": "1 字节",
    "bytes": "{count:,} 字节",
    # Sockets and their addresses.
    "socket.ip.stream": (
        "向内核申请一个 {version} 套接字。SOCK_STREAM 是字节流，也就是 TCP。\n"
        "此时它还没有地址，也没有连接。"
    ),
    "socket.ip.datagram": (
        "向内核申请一个 {version} 套接字。SOCK_DGRAM 是数据报，也就是 UDP。\n"
        "每个数据报各走各的：没有连接，丢了也不会重发。"
    ),
    "socket.unix.stream": (
        "AF_UNIX 用于同一台机器上的两个程序，\n"
        "用文件路径（或以 \\0 开头的抽象名字）代替主机和端口。\n"
        "数据由内核直接拷贝，不经过网络，也就没有 TCP 报文段。"
    ),
    "socket.unix.datagram": (
        "AF_UNIX 用于同一台机器上的程序，\n用文件路径（或以 \\0 开头的抽象名字）代替主机和端口。\n"
        "数据报由内核整个转交，不会丢失。"
    ),
    "option.SO_REUSEADDR": (
        "端口上还有处于 TIME_WAIT 的旧连接时，也允许 bind。\n"
        "不设置的话，重启服务器时可能报错 Address already in use。"
    ),
    "option.SO_REUSEADDR.datagram": (
        "允许本机的多个程序绑定同一个端口，\n例如接收同一个组播组的数据报。"
    ),
    "option.SO_REUSEPORT": "允许多个套接字共用一个端口，由内核为每个对端挑选其中一个。",
    "option.TCP_NODELAY": (
        "小块数据立即发送。默认情况下，内核可能先攒着，\n等前面的数据得到确认再发（Nagle 算法）。"
    ),
    "option.SO_KEEPALIVE": "对端长时间没有动静时（默认两小时），由内核探测它是否还在。",
    "option.SO_BROADCAST": "允许发送广播数据报；默认情况下内核会拒绝。",
    "option.SO_SNDBUF": "发送缓冲区的大小：尚未得到确认的数据都留在里面。",
    "option.SO_RCVBUF": "接收缓冲区的大小：程序还没有读走的数据都留在里面。",
    "option.IP_TTL": "数据包最多经过多少个路由器，超过就被丢弃。",
    "option.other": "设置 {option}，详见手册 socket(7)、ip(7) 和 tcp(7)。",
    "bind.loopback": (
        "给套接字绑定地址。回环地址（127.0.0.1、::1）只属于本机，\n"
        "别的机器连不上。要让别人也能连，请绑定 0.0.0.0（IPv6 用 ::）。"
    ),
    "bind.every": (
        "给套接字绑定地址。0.0.0.0（IPv6 是 ::）表示本机的所有地址，\n所以别的机器也能连上来。"
    ),
    "bind.address": (
        "给套接字绑定本机的某一个地址。\n连接本机其他地址（例如 127.0.0.1）的客户端到不了这里。"
    ),
    "bind.group": (
        "给套接字绑定组播地址。只有加入这个组（--join）之后，\n才能收到发给它的数据报。"
    ),
    "bind.unix": "给套接字绑定地址：这个路径上会出现一个套接字文件，对方凭它找到我们。",
    "bind.abstract": (
        "给套接字绑定地址。这是抽象名字（以 \\0 开头），不会产生文件，\n对方凭这个名字找到我们。"
    ),
    "bind.source.unix": "没有自己的地址，对方就无法回复；connect 不会自动分配，所以要 bind。",
    "bind.source": "指定自己这一端的地址。客户端很少这样做，通常由内核来选。",
    "bind.any_port": "端口写 0，就是让内核挑一个空闲端口。",
    "bind.datagrams": "从现在起，发到这里的数据报由内核排队保存。UDP 没有 listen 和 accept。",
    "port.chosen": "内核选的端口是 {port}。",
    "join": "加入组播组 {address}，此后才能收到发给该组的数据报。",
    # Listening and connecting.
    "listen": (
        "开始监听。从现在起，三次握手由内核自动完成；\n"
        "握手完成的连接最多约有 {backlog} 个（也不超过 net.core.somaxconn）\n"
        "可以在队列（backlog）里等待 accept。"
    ),
    "listen.unix": (
        "开始监听，从现在起客户端可以连接；\n"
        "最多约有 {backlog} 个连接可以在队列（backlog）里等待 accept。"
    ),
    "wait.stream": "accept 在这里阻塞，直到有客户端连上来……",
    "wait.datagram": "recvfrom 在这里阻塞，直到有数据报到达。谁都可以发过来……",
    "accept.stream": (
        "{addr}\n"
        "三次握手已完成：客户端发 SYN，我们回 SYN-ACK，客户端再回 ACK。\n"
        "{name} 是专门为这个客户端新建的套接字；s 仍然只用于监听。"
    ),
    "accept.stream.again": "{addr}",
    "accept.unix": (
        "{addr}\n这里不需要握手。{name} 是专门为这个客户端新建的套接字；\ns 仍然只用于监听。"
    ),
    "accept.unix.again": "{addr}",
    "accept.refused": "{address} 不在允许范围内，立即调用 conn.close()。",
    "peer.user": "内核告诉我们对方是谁：进程 {process}，用户 {user}。",
    "getaddrinfo": (
        "查询这个名字对应的地址：先查 /etc/hosts，再问 DNS 服务器。\n"
        "一个名字可以有多个地址，会依次尝试。"
    ),
    "connect.stream": "请内核向 {address} 发送 SYN，并等待对方回应。",
    "connect.stream.unix": "内核查找在这个地址上监听的套接字。",
    "connect.datagram.unix": "这一步什么也不发送：内核只是记下地址，供 send() 使用。",
    "connect.datagram": (
        "这一步什么也不发送：UDP 没有握手。内核只是记下对方的地址，\n"
        "这样 send() 不用再写地址，其他地址发来的数据报会被丢弃。"
    ),
    "connected.stream": (
        "收到 SYN-ACK，内核已经回了 ACK：三次握手完成，\n和 {address} 的连接建立好了。"
    ),
    "connected.stream.again": "SYN、SYN-ACK、ACK：已连接 {address}。",
    "connected.unix": "立刻就连上了：这里没有握手。",
    "connected.port": "我们没有调用 bind，所以由内核选了一个临时端口：{port}。",
    "connected.port.again": "这一次的临时端口是 {port}。",
    "connect.refused": (
        "收到的不是 SYN-ACK 而是 RST：{address} 上没有程序在监听。\n"
        "在 Python 里，connect 会抛出 ConnectionRefusedError。"
    ),
    "connect.refused.again": "又是 RST：{address} 拒绝连接。",
    "connect.refused.unix": (
        "连不上 {address}：那里没有程序在监听。\n"
        "在 Python 里，connect 会抛出 ConnectionRefusedError。"
    ),
    "connect.refused.unix.again": "{address} 又拒绝连接。",
    "connect.failed": (
        "连不上 {address}（{reason}）。\n在 Python 里，connect 会抛出 OSError 或它的子类。"
    ),
    "connect.failed.again": "连不上 {address}（{reason}）。",
    "connect.icmp": (
        "{address} 那边的内核回了 ICMP 端口不可达报文：\n"
        "没有套接字绑定这个端口。因为套接字调用过 connect，\n内核在下一次调用时告诉我们，"
        "在 Python 里就是 ConnectionRefusedError。"
    ),
    "target.port": "我们没有调用 bind，所以由内核选了一个临时端口：{port}。",
    "target.port.again": "这一次的临时端口是 {port}。",
    "tunnelled": "代理已经连上目标，从现在起它只负责转发数据。",
    # TLS.
    "tls.client": (
        "在这个连接上进行 TLS 握手：{version}，{cipher}。\n"
        "服务器用证书证明了自己的身份，双方协商出密钥。\n"
        "其中 context 是 ssl.SSLContext，host 是证书里的主机名。\n"
        "sendall 和 recv 用法不变，网络上传输的全是密文。"
    ),
    "tls.client.again": "TLS 握手：{version}，{cipher}。",
    "tls.unchecked": (
        "在这个连接上进行 TLS 握手：{version}，{cipher}。\n"
        "双方协商出密钥，但没有权威机构证明服务器的身份。\n"
        "sendall 和 recv 用法不变，网络上传输的全是密文。"
    ),
    "tls.unchecked.again": "TLS 握手：{version}，{cipher}。",
    "tls.server": (
        "在这个连接上进行 TLS 握手：{version}，{cipher}。\n"
        "我们出示了证书，双方协商出密钥。\n"
        "其中 context 是 ssl.SSLContext，已加载证书和私钥。\n"
        "sendall 和 recv 用法不变，网络上传输的全是密文。"
    ),
    "tls.server.again": "TLS 握手：{version}，{cipher}。",
    # What passes.
    "data": "data = {data}（{size}）",
    "data.again": "data = {data}（{size}）",
    "size": "{size}。",
    "size.again": "{size}。",
    "sendall": (
        "数据先放进内核的发送缓冲区，由 TCP 分段发送，收不到 ACK 就重发；\n"
        "对方程序什么时候读走，我们并不知道。"
    ),
    "sendall.unix": "内核已经把数据拷贝到对方的接收缓冲区。",
    "recv": (
        "recv 一直阻塞到有数据为止，最多返回 n 个字节。\n"
        "TCP 只保证字节的顺序，不保留每次发送的边界。"
    ),
    "recv.unix": (
        "recv 一直阻塞到有数据为止，最多返回 n 个字节。\n"
        "字节流只保证字节的顺序，不保留每次发送的边界。"
    ),
    "frame": "这是完整的一帧。TCP 并不知道什么是帧，可能要调用好几次 recv 才收齐。",
    "relayed": ("一边发来什么，就转发给另一边。中继手里有两个独立的连接，\n两边互相并不知道对方。"),
    "relayed.datagram": (
        "一边发来什么，就转发给另一边。每个对端各用一个套接字与目标通信，\n这样才知道回复该给谁。"
    ),
    "sendto": "这是一个数据报。是否送达没有人通知，丢了也不会重发。",
    "sendto.unix": "这是一个数据报，内核已把它放进对方的队列。",
    "recvfrom": (
        "一次接收正好是一个完整的数据报，超过 n 字节的部分会被截掉。\n"
        "不需要先建立连接，发送方也不会知道它已到达。"
    ),
    "recvfrom.unix": "一次接收正好是一个完整的数据报，超过 n 字节的部分会被截掉。",
    "recvfrom.addr": "addr = {addr}：这是发送方的地址，回复就发到这里。",
    "recvfrom.addr.again": "addr = {addr}",
    # The end.
    "input.held": "我们的输入已结束，但还没有调用 shutdown，所以对方并不知道。",
    "shutdown.first": (
        "半关闭：内核发送 FIN，对方内核回 ACK，这是四次挥手的前两次。\n我们不再发送，但还可以接收。"
    ),
    "shutdown.first.again": "发送 FIN，对方回 ACK：四次挥手的前两次。",
    "shutdown.last": (
        "内核发送我们的 FIN，对方内核回 ACK。\n"
        "加上对方先发的 FIN 和我们回的 ACK，四次挥手就完成了。"
    ),
    "shutdown.last.again": "发送我们的 FIN，对方回 ACK：四次挥手的后两次。",
    "shutdown.unix": "半关闭：对方读完我们发的数据后，recv 返回 b''；我们还可以接收。",
    "end": "只有 b'' 表示对方已结束发送，收到它就应退出循环。",
    "end.first": (
        "data = b''\n"
        "收到对方的 FIN，我们的内核已回 ACK：对方不会再发送数据了。\n"
        "如果对方只是半关闭，我们发的数据它还能收到。"
    ),
    "end.first.again": "data = b''：收到对方的 FIN。",
    "end.last": (
        "data = b''\n"
        "对方的 FIN 也到了，我们的内核已回 ACK。\n"
        "加上我们先发的 FIN 和对方回的 ACK，四次挥手就完成了。"
    ),
    "end.late": "data = b''\n这是对方的 FIN，它在我们发 FIN 之前就到了。",
    "end.late.again": "data = b''：对方的 FIN，比我们的先到。",
    "end.last.again": "data = b''：对方的 FIN 也到了。",
    "end.tls": (
        "data = b''\n"
        "收到对方的 close_notify：在 TLS 里，它表示对方不会再发送数据。\n"
        "对方关闭套接字时才会发送 FIN。"
    ),
    "end.tls.again": "data = b''：收到对方的 close_notify。",
    "end.unix": "data = b''\n对方已经结束发送，不会再有数据。",
    "end.unix.again": "data = b''：对方已经结束发送。",
    "close.done": "把套接字还给内核；连接在这之前就已经结束了。",
    "close.first": "close 也会结束我们的发送：内核发送 FIN；对方的 FIN 随后才到。",
    "close.last": (
        "close 也会结束我们的发送：内核发送我们的 FIN，对方内核回 ACK。\n"
        "加上对方先发的 FIN 和我们回的 ACK，四次挥手就完成了。"
    ),
    "close.last.again": "内核发送我们的 FIN，对方内核回 ACK。",
    "close.unix": "把套接字还给内核，我们这一端就结束了。",
    "close.reset": "内核发送的是 RST 而不是 FIN：对方会收到错误，而不是正常结束。",
    "close.unread": (
        "对方发来的数据还没有读完，所以内核发送的是 RST 而不是 FIN：\n"
        "对方会收到错误，也不会有 TIME_WAIT。"
    ),
    "reset.received": (
        "收到 {address} 的 RST：连接立即失效，途中的数据也丢了。\n"
        "在 Python 里，recv 或 sendall 会抛出 ConnectionResetError。"
    ),
    "reset.received.again": "收到 {address} 的 RST。",
    "time_wait.ours": (
        "我们先关闭，所以内核让这一端停留在 TIME_WAIT 约一分钟，\n以便处理迟到的报文段。"
    ),
    "time_wait.port": "这期间重启服务器，只有设了 SO_REUSEADDR 才能 bind 这个端口。",
    "time_wait.theirs": "对方先关闭，所以 TIME_WAIT 在对方那一端；我们这端立即释放。",
    "total": "总共发送 {sent}，接收 {received}。",
    "total.again": "总共发送 {sent}，接收 {received}。",
    "close.listener": "从现在起不能再有新连接；已经 accept 的连接不受影响。",
    "close.datagrams": "什么也不发送：没有连接，也就不用挥手。",
    "datagrams.sent": "总共发送 {count} 个数据报（{size}）。",
    "datagrams.received": "总共收到 {count} 个数据报（{size}）。途中丢了多少，谁也不知道。",
    "datagrams.received.unix": "总共收到 {count} 个数据报（{size}）。",
    # Programs of --exec and --shell.
    "program": "{name} 已启动，进程号 {process}；连接就是它的标准输入和标准输出。",
    "program.again": "{name} 已启动，进程号 {process}。",
    "program.ended": "{name} 已结束，退出码 {status}。",
    "program.ended.again": "{name} 已结束，退出码 {status}。",
    # Why the run failed.
    "failed.in_use": "bind 失败：这个地址已被别的套接字占用。",
    "failed.time_wait": (
        "可能有别的程序在监听；\n如果没设 SO_REUSEADDR，也可能是旧连接还在 TIME_WAIT。"
    ),
    "failed.not_ours": "bind 失败：本机没有网络接口使用这个地址。",
    "failed.privileged": "bind 失败：1024 以下的端口只有 root 才能使用。",
    "failed.no_folder": "bind 失败：这个路径所在的文件夹不存在。",
    "failed.unknown": "没有查到地址。在 Python 里，getaddrinfo 会抛出 socket.gaierror。",
    "failed.no_answer": (
        "SYN 没有得到回应，内核隔 1、2、4……秒重发。\n可能被防火墙丢弃，或者那里没有机器。"
    ),
    # The kinds of steps, for "more".
    "kind.socket": "socket()",
    "kind.setsockopt": "setsockopt()",
    "kind.bind": "bind()",
    "kind.getsockname": "getsockname()",
    "kind.join": "加入组播组",
    "kind.listen": "listen()",
    "kind.wait": "等待",
    "kind.accept": "accept()",
    "kind.refuse": "accept() 之后立即拒绝",
    "kind.user": "对端进程",
    "kind.getaddrinfo": "getaddrinfo()",
    "kind.connect": "connect()",
    "kind.connected": "连接建立",
    "kind.refused": "connect() 失败",
    "kind.target": "目标地址",
    "kind.proxy": "代理接通",
    "kind.tls": "TLS 握手",
    "kind.sendall": "sendall()",
    "kind.recv": "recv()",
    "kind.frame": "帧",
    "kind.sendto": "sendto()",
    "kind.recvfrom": "recvfrom()",
    "kind.input": "输入结束",
    "kind.shutdown": "shutdown()",
    "kind.end": "recv() 返回 b''",
    "kind.reset": "RST",
    "kind.close": "close()",
    "kind.datagrams": "数据报合计",
    "kind.program": "程序",
    "kind.failed": "失败",
}
