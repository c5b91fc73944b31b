/*
 * load: a webhook's senders. Keeps CONNECTIONS open and sends COUNT requests, each with a body of its own of about a
 * kilobyte, signed before the clock starts. Prints one line of JSON: requests a second and latencies.
 *
 *     load PORT PATH SECRET CONNECTIONS COUNT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "belfry/base/text.h"

#define BODY_SIZE 1024
#define REQUEST_MAX 1600
#define ANSWER_MAX 4096

struct client {
    int fd;
    size_t sent, len;
    const char *request;
    char answer[ANSWER_MAX];
    size_t got;
    int64_t begun_ns;
};

static const char *path, *secret;
static int port;
static char (*requests)[REQUEST_MAX];
static size_t *lengths;
static int64_t *latencies;
static size_t count, next_request, answered, refused;

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Nothing is signed while the clock runs. */
static void prepare(size_t n)
{
    char body[BODY_SIZE + 1], hex[65];
    unsigned char mac[32];
    unsigned len = sizeof mac;
    int head;

    memset(body, 'x', BODY_SIZE);
    head = snprintf(body, sizeof body, "{\"n\":%zu,\"time\":%lld,\"pad\":\"", n, (long long)time(NULL));
    body[head] = 'x';
    memcpy(body + BODY_SIZE - 2, "\"}", 3);
    (void)HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, BODY_SIZE, mac, &len);
    text_hex(mac, len, hex);
    head = snprintf(requests[n], REQUEST_MAX,
                    "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nX-Signature: %s\r\n"
                    "Content-Length: %d\r\n\r\n", path, port, hex, BODY_SIZE);
    memcpy(requests[n] + head, body, BODY_SIZE);
    lengths[n] = (size_t)head + BODY_SIZE;
}

static void connect_client(struct client *c, int epoll)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
}

static void send_next(struct client *c)
{
    if (next_request == count)
        return;
    c->request = requests[next_request];
    c->len = lengths[next_request++];
    c->got = 0;
    c->begun_ns = now_ns();
    for (c->sent = 0; c->sent < c->len;) {
        ssize_t n = write(c->fd, c->request + c->sent, c->len - c->sent);

        if (n < 0)
            die("write");
        c->sent += (size_t)n;
    }
}

/* True when the answer is whole. */
static int is_whole(struct client *c)
{
    const char *end, *length;

    c->answer[c->got] = '\0';
    end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    length = strcasestr(c->answer, "content-length:");
    return length == NULL || c->got >= (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10);
}

static void take_answer(struct client *c)
{
    ssize_t n = read(c->fd, c->answer + c->got, ANSWER_MAX - 1 - c->got);

    if (n <= 0) {
        fprintf(stderr, "the connection was closed\n");
        exit(1);
    }
    c->got += (size_t)n;
    if (!is_whole(c))
        return;
    if (strncmp(c->answer, "HTTP/1.1 2", 10) != 0)
        refused++;
    latencies[answered++] = now_ns() - c->begun_ns;
    send_next(c);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    struct client *clients;
    size_t connections;
    int64_t begun_ns, taken_ns;
    int epoll = epoll_create1(0);

    if (argc != 6) {
        fprintf(stderr, "usage: load PORT PATH SECRET CONNECTIONS COUNT\n");
        return 2;
    }
    port = (int)strtol(argv[1], NULL, 10);
    path = argv[2];
    secret = argv[3];
    connections = strtoul(argv[4], NULL, 10);
    count = strtoul(argv[5], NULL, 10);
    requests = calloc(count, sizeof *requests);
    lengths = calloc(count, sizeof *lengths);
    latencies = calloc(count, sizeof *latencies);
    clients = calloc(connections, sizeof *clients);
    if (requests == NULL || lengths == NULL || latencies == NULL || clients == NULL || epoll < 0)
        die("calloc");
    for (size_t n = 0; n < count; n++)
        prepare(n);
    for (size_t i = 0; i < connections; i++)
        connect_client(&clients[i], epoll);
    begun_ns = now_ns();
    for (size_t i = 0; i < connections; i++)
        send_next(&clients[i]);
    while (answered < count) {
        int n = epoll_wait(epoll, events, 256, 10000);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("epoll_wait");
        for (int i = 0; i < n; i++)
            take_answer(events[i].data.ptr);
    }
    taken_ns = now_ns() - begun_ns;
    qsort(latencies, count, sizeof *latencies, compare);
    printf("{\"requests\": %zu, \"refused\": %zu, \"rate\": %.0f, \"p50_us\": %lld, \"p99_us\": %lld}\n", count, refused,
           (double)count * 1e9 / (double)taken_ns, (long long)latencies[count / 2] / 1000, (long long)latencies[count * 99 / 100] / 1000);
    return 0;
}
