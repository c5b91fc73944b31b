/* A small raw server on threads of its own, which misbehaves as the path of a request says. */
#ifndef TESTS_UNIT_NET_RAW_SERVER_H
#define TESTS_UNIT_NET_RAW_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#define THREADS_MAX 64

struct raw_server {
    int fd;
    int port;
    pthread_t accepter;
    pthread_t threads[THREADS_MAX];
    int thread_count;
    atomic_int executed;      /* POSTs that were read whole */
    atomic_int connections;
    pthread_mutex_t lock;
    char last[70000];         /* the last request, head and body */
};

void raw_server_start(struct raw_server *raw);
/* The client must be closed by then: its connections are waited for. */
void raw_server_stop(struct raw_server *raw);

#endif
