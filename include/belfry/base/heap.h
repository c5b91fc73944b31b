/*
 * A min-heap of things that are due: each thing embeds a struct heap_node with its time. The next one is found at once;
 * a change costs a walk of the height. No clock, no allocation per operation but the array's growth.
 */
#ifndef BELFRY_BASE_HEAP_H
#define BELFRY_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_NOT_IN SIZE_MAX

struct heap_node {
    int64_t due_ms;
    size_t index;   /* HEAP_NOT_IN while in no heap: set it so at birth with heap_node_init */
};

/* The thing that a node is embedded in. */
#define HEAP_ENTRY(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t cap;
};

void heap_init(struct heap *h);
void heap_close(struct heap *h);   /* frees the array; the nodes are their owners' */
void heap_node_init(struct heap_node *n);
/* Puts n in at due_ms, or moves it there. 0 or BF_ENOMEM (only a node that was not in can fail). */
int heap_set(struct heap *h, struct heap_node *n, int64_t due_ms);
void heap_remove(struct heap *h, struct heap_node *n);   /* no harm when it is not in */
struct heap_node *heap_first(const struct heap *h);      /* the one due first; NULL when empty */

#endif
