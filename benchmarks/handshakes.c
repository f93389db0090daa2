/* handshakes PORT AT_ONCE SECONDS
 * New TLS 1.3 connections to 127.0.0.1, one after the other in each of AT_ONCE processes; prints
 * how many a second. Each is a full handshake and one byte that comes back. The certificate is not
 * checked: that is work for the client alone.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1024, PATIENCE = 10 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void one(SSL_CTX *context, const struct sockaddr_in *to)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    int sock = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    char back = 0;
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (sock < 0 || connect(sock, (const struct sockaddr *)to, sizeof *to))
        fail("connect");
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, sock);
    if (SSL_connect(tls) != 1 || SSL_session_reused(tls))
        fail("handshake");
    if (SSL_write(tls, "x", 1) != 1)
        fail("write");
    /* A server without TCP_NODELAY keeps the byte until its tickets are acknowledged: at once. */
    setsockopt(sock, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    if (SSL_read(tls, &back, 1) != 1 || back != 'x')
        fail("echo");
    SSL_shutdown(tls);
    SSL_free(tls);
    close(sock);
}

int main(int count, char **given)
{
    int at_once = count == 4 ? atoi(given[2]) : 0, status;
    if (at_once < 1 || at_once > MOST)
        return 2;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(given[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    double seconds = atof(given[3]), began = now();
    long *done = mmap(NULL, MOST * sizeof *done, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0), all = 0;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < at_once; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child)
            continue;
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        while (now() - began < seconds) {
            one(context, &to);
            done[i]++;
        }
        return 0;
    }
    while (wait(&status) > 0)
        if (status)
            return 1;
    for (int i = 0; i < at_once; i++)
        all += done[i];
    printf("%.1f\n", all / (now() - began));
    return !all;
}
