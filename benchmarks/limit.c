/* The limits to measure by, in bare C, on 127.0.0.1:
 * limit tcp|udp PORT   an epoll(7) echo server
 * limit send PORT      stdin, a file, to the socket by sendfile(2), until the peer closes
 * limit receive PORT   one connection to stdout by splice(2)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 1 << 18, MOVE = 1 << 30, PIPE = 1 << 20 };

static char buffer[BUFFER];

static void udp(int sock)
{
    struct sockaddr_in from;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t n = recvfrom(sock, buffer, BUFFER, 0, (struct sockaddr *)&from, &length);
        if (n >= 0)
            sendto(sock, buffer, n, 0, (struct sockaddr *)&from, length);
    }
}

static void tcp(int listener)
{
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    listen(listener, 4096);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int sock = events[i].data.fd;
            if (sock == listener) {
                event.data.fd = accept(listener, NULL, NULL);
                epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            ssize_t n = recv(sock, buffer, BUFFER, 0);
            for (ssize_t given = 0, m; given < n; given += m)
                if ((m = send(sock, buffer + given, n - given, MSG_NOSIGNAL)) < 0)
                    n = 0;
            if (n <= 0)
                close(sock);
        }
    }
}

static int send_file(int sock, struct sockaddr_in *to)
{
    ssize_t n;
    if (connect(sock, (struct sockaddr *)to, sizeof *to))
        return 1;
    while ((n = sendfile(sock, 0, NULL, MOVE)) > 0)
        ;
    shutdown(sock, SHUT_WR);
    return n < 0 || recv(sock, buffer, BUFFER, 0);
}

static int receive(int listener)
{
    int sock, ends[2];
    ssize_t n, m = 0;
    listen(listener, 1);
    if ((sock = accept(listener, NULL, NULL)) < 0 || pipe(ends))
        return 1;
    fcntl(ends[1], F_SETPIPE_SZ, PIPE);
    while (m >= 0 && (n = splice(sock, NULL, ends[1], NULL, PIPE, SPLICE_F_MOVE)) > 0)
        for (; n && (m = splice(ends[0], NULL, 1, NULL, n, SPLICE_F_MOVE)) > 0; n -= m)
            ;
    return n || m < 0;
}

int main(int count, char **given)
{
    if (count != 3)
        return 2;
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    int stream = strcmp(given[1], "udp"), one = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(given[2]))};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int sock = socket(AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (!strcmp(given[1], "send"))
        return send_file(sock, &here);
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(sock, (struct sockaddr *)&here, sizeof here))
        return 1;
    if (!strcmp(given[1], "receive"))
        return receive(sock);
    stream ? tcp(sock) : udp(sock);
}
