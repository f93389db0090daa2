/* Loads a server and prints one line of figures.

     load tcp PORT CONNECTIONS SIZE SECONDS    messages/s, median and 99th percentile in us
     load udp PORT SIZE WINDOW SECONDS         round trips/s
     load chat PORT MEMBERS LINES SIZE STOPPED seconds until every reader has every line, but
                                               for STOPPED that never read; then, for single
                                               lines, median and 99th percentile in us until
                                               the last reader has one

   One thread, epoll(7). Whatever comes back is counted to the byte. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, SAMPLES = 1 << 22 };

static struct epoll_event events[EVENTS];

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

static int connected(int type, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int sock = socket(AF_INET, type, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    fcntl(sock, F_SETFL, O_NONBLOCK);
    return sock;
}

static void watch(int epoll, int sock, unsigned which, int add)
{
    struct epoll_event event = {.events = which, .data.fd = sock};
    if (epoll_ctl(epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, sock, &event))
        fail("epoll_ctl");
}

static int by_size(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

struct talk {
    int sent, got; /* bytes of the present message */
    double began;
};

/* Send what is left of a message; wait for room only while there is something left. */
static void push(int epoll, int sock, struct talk *talk, const char *data, int size)
{
    int before = talk->sent;
    while (talk->sent < size) {
        int n = send(sock, data + talk->sent, size - talk->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            fail("send");
        if (n < 0)
            break;
        talk->sent += n;
    }
    if (talk->sent < size || before)
        watch(epoll, sock, EPOLLIN | (talk->sent < size ? EPOLLOUT : 0), 0);
}

static void tcp(int port, int count, int size, double seconds)
{
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    int epoll = epoll_create1(0);
    char *data = malloc(size), *back = malloc(size);
    float *took = malloc(SAMPLES * sizeof *took);
    struct talk *talks = calloc(count + 4096, sizeof *talks);
    int *socks = malloc(count * sizeof *socks);
    memset(data, 'x', size);
    for (int i = 0; i < count; i++) {
        socks[i] = connected(SOCK_STREAM, port);
        watch(epoll, socks[i], EPOLLIN, 1);
    }
    double began = now(), t = began;
    long messages = 0;
    for (int i = 0; i < count; i++) {
        talks[socks[i]].began = t;
        push(epoll, socks[i], &talks[socks[i]], data, size);
    }
    while ((t = now()) - began < seconds) {
        int ready = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < ready; i++) {
            int sock = events[i].data.fd;
            struct talk *talk = &talks[sock];
            if (events[i].events & EPOLLOUT)
                push(epoll, sock, talk, data, size);
            if (!(events[i].events & EPOLLIN))
                continue;
            int n = recv(sock, back, size - talk->got, 0);
            if (n <= 0) {
                if (n < 0 && errno == EAGAIN)
                    continue;
                fail("recv");
            }
            if (back[0] != 'x' || back[n - 1] != 'x') {
                fputs("other bytes came back\n", stderr);
                exit(1);
            }
            if ((talk->got += n) == size) {
                double end = now();
                if (messages < SAMPLES)
                    took[messages] = (end - talk->began) * 1e6;
                messages++;
                *talk = (struct talk){.began = end};
                push(epoll, sock, talk, data, size);
            }
        }
    }
    long samples = messages < SAMPLES ? messages : SAMPLES;
    if (samples == 0) {
        fputs("nothing came back\n", stderr);
        exit(1);
    }
    qsort(took, samples, sizeof *took, by_size);
    printf("%.0f %.0f %.0f\n", messages / (t - began), took[samples / 2], took[samples * 99 / 100]);
}

static void udp(int port, int size, int window, double seconds)
{
    int sock = connected(SOCK_DGRAM, port);
    int epoll = epoll_create1(0);
    char *data = calloc(1, size), back[65536];
    long trips = 0;
    watch(epoll, sock, EPOLLIN, 1);
    for (int i = 0; i < window; i++)
        send(sock, data, size, 0);
    double began = now(), t;
    while ((t = now()) - began < seconds) {
        if (epoll_wait(epoll, events, EVENTS, 200) == 0)
            for (int i = 0; i < window; i++) /* all were lost */
                send(sock, data, size, 0);
        while (recv(sock, back, sizeof back, 0) == size) {
            trips++;
            send(sock, data, size, 0);
        }
    }
    printf("%.0f\n", trips / (t - began));
}

/* Lines that have the speaker's mark are counted; the greetings of a room are not. */
static void spread(int epoll, int speaker, int readers, const char *line, int size);

static void chat(int port, int members, int lines, int size, int stopped)
{
    int epoll = epoll_create1(0), *left = calloc(members + 4096, sizeof *left);
    char *text = malloc((long)lines * size), buffer[1 << 18];
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    for (int i = 0; i < lines; i++) {
        memset(text + (long)i * size, '.', size);
        text[(long)i * size] = '#';
        text[(long)(i + 1) * size - 1] = '\n';
    }
    int speaker = connected(SOCK_STREAM, port);
    for (int i = 1; i < members; i++) {
        int sock = connected(SOCK_STREAM, port);
        left[sock] = lines;
        if (i > stopped)
            watch(epoll, sock, EPOLLIN, 1);
    }
    double quiet = now(); /* let the room greet everybody first */
    while (now() - quiet < 1) {
        int ready = epoll_wait(epoll, events, EVENTS, 300);
        for (int i = 0; i < ready; i++)
            if (recv(events[i].data.fd, buffer, sizeof buffer, 0) <= 0)
                fail("greeting");
        while (recv(speaker, buffer, sizeof buffer, 0) > 0)
            ;
        if (ready)
            quiet = now() - 0.5;
    }
    watch(epoll, speaker, EPOLLIN | EPOLLOUT, 1);
    double began = now();
    long sent = 0, size_all = (long)lines * size;
    for (int readers = members - 1 - stopped; readers;) {
        int ready = epoll_wait(epoll, events, EVENTS, 10000);
        if (ready == 0) {
            fprintf(stderr, "%d readers wait for lines\n", readers);
            exit(1);
        }
        for (int i = 0; i < ready; i++) {
            int sock = events[i].data.fd;
            if (sock == speaker && sent < size_all && events[i].events & EPOLLOUT) {
                int n = send(sock, text + sent, size_all - sent, MSG_NOSIGNAL);
                if (n > 0 && (sent += n) == size_all)
                    watch(epoll, speaker, EPOLLIN, 0);
            }
            if (!(events[i].events & (EPOLLIN | EPOLLHUP)))
                continue;
            int n = recv(sock, buffer, sizeof buffer, 0);
            if (n <= 0 && errno != EAGAIN) {
                fputs("a member was dropped\n", stderr);
                exit(1);
            }
            for (char *at = buffer; sock != speaker && n > 0 && (at = memchr(at, '#', buffer + n - at)); at++)
                if (--left[sock] == 0)
                    readers--;
        }
    }
    printf("%.4f ", now() - began);
    spread(epoll, speaker, members - 1 - stopped, text, size);
}

/* One line at a time, each when the one before has reached everybody. */
static void spread(int epoll, int speaker, int readers, const char *line, int size)
{
    enum { ROUNDS = 200 };
    static float took[ROUNDS];
    char buffer[1 << 16];
    for (int round = 0; round < ROUNDS; round++) {
        double began = now();
        if (send(speaker, line, size, 0) != size)
            fail("send");
        for (int left = readers; left;) {
            int ready = epoll_wait(epoll, events, EVENTS, 10000);
            if (ready == 0) {
                fprintf(stderr, "%d readers wait for a line\n", left);
                exit(1);
            }
            for (int i = 0; i < ready; i++) {
                int n = recv(events[i].data.fd, buffer, sizeof buffer, 0);
                for (char *at = buffer; n > 0 && (at = memchr(at, '#', buffer + n - at)); at++)
                    left -= events[i].data.fd != speaker;
            }
        }
        took[round] = (now() - began) * 1e6;
    }
    qsort(took, ROUNDS, sizeof *took, by_size);
    printf("%.0f %.0f\n", took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
}

int main(int count, char **given)
{
    if (count == 6 && !strcmp(given[1], "tcp"))
        tcp(atoi(given[2]), atoi(given[3]), atoi(given[4]), atof(given[5]));
    else if (count == 6 && !strcmp(given[1], "udp"))
        udp(atoi(given[2]), atoi(given[3]), atoi(given[4]), atof(given[5]));
    else if (count == 7 && !strcmp(given[1], "chat"))
        chat(atoi(given[2]), atoi(given[3]), atoi(given[4]), atoi(given[5]), atoi(given[6]));
    else
        return 2;
    return 0;
}
