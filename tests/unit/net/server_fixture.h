/* A server with a handler that shows what it can do, and raw clients, all on one thread. */
#ifndef TESTS_UNIT_NET_SERVER_FIXTURE_H
#define TESTS_UNIT_NET_SERVER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "belfry/base/buf.h"
#include "belfry/net/http_server.h"

#define LATER_MAX 8

struct world {
    uv_loop_t loop;
    struct http_server *server;
    int port;
    char dir[64];
    char socket_path[100];
    struct http_exchange *later[LATER_MAX];   /* asked for by /later, not answered */
    int later_count;
    int gone_count;
    int handled;
    bool closed;
};

/* max_connections 0: 32; times in ms, 0: long. */
void world_open(struct world *w, struct http_server_options options);
void world_close(struct world *w);
/* One turn of the loop, which waits for something to happen on it or on fd (-1: none). */
void world_turn(struct world *w, int fd);

int client_connect(struct world *w);
int client_connect_unix(struct world *w);
void client_send(struct world *w, int fd, const void *bytes, size_t len);
void client_says(struct world *w, int fd, const char *text);
/* Reads until `needle` has come `times` times in all that was read (in `got`), or the end. */
void client_reads(struct world *w, int fd, struct buf *got, const char *needle, int times);
/* Reads to the end of the connection. */
void client_reads_all(struct world *w, int fd, struct buf *got);
int count_of(const struct buf *got, const char *needle);
void assert_says(const struct buf *got, const char *needle);

/* cmocka's set-up and tear-down: a world with the usual limits. */
int open_world(void **state);
int close_world(void **state);

#define HOST "Host: a\r\n"
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

#endif
