/*
 * The keyring: API keys of local workspaces. A key is found by a keyed hash of its value; the value itself is kept sealed by
 * the vault, so that the operator can view it, or not at all (`viewable_keys = no`). All keys are in memory; a change is
 * durable before it is acknowledged, and how often a key was used is written down once in a while.
 *
 * A value is "belfry_", 32 random letters and digits, and 6 that are a checksum of those before: a mistyped key, or one that a
 * scanner for leaked secrets comes upon, is told by itself.
 */
#ifndef BELFRY_SERVE_KEYRING_H
#define BELFRY_SERVE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "belfry/base/secret.h"
#include "belfry/base/vault.h"
#include "belfry/config/permission.h"
#include "belfry/store/journal.h"

#define KEY_VALUE_LEN 45

struct keyring;

struct api_key {
    char id[ID_SIZE];
    const char *name;
    const char *workspace;       /* its id */
    uint32_t permissions;
    int64_t created_ms;
    int64_t expires_ms;          /* 0: never */
    int64_t last_used_ms;        /* 0: never */
    uint64_t uses;
    bool viewable;
};

/* Blocking: at start, after the journal is open. `vault` and `journal` are lent for the keyring's life. */
int keyring_new(uv_loop_t *loop, struct journal *journal, const struct vault *vault, struct keyring **ring, struct error *err);
/* Writes down what was counted, then closed(data). */
void keyring_close(struct keyring *ring, void (*closed)(void *data), void *data);

/* The key of that value, its use counted; NULL when there is none, or it has expired. Lent until the next change. */
const struct api_key *keyring_check(struct keyring *ring, const char *value, int64_t now_ms);
/* Whether there is such a key: nothing is counted. */
bool keyring_knows(const struct keyring *ring, const char *value, int64_t now_ms);
const struct api_key *keyring_find(const struct keyring *ring, const char *id);
/* The oldest first. */
void keyring_each(const struct keyring *ring, void (*each)(void *data, const struct api_key *key), void *data);
/* The value of a key: 0, BF_ENOENT when only its hash is kept, BF_EACCES when the master key is another. */
int keyring_view(const struct keyring *ring, const char *id, struct secret *value);

/* The values of that workspace's keys are to be kept no longer: they are forgotten at once, and gone from the journal as soon as it can
 * write. */
void keyring_hide(struct keyring *ring, const char *workspace);

enum key_change_kind { KEY_ADD, KEY_EDIT, KEY_REMOVE };

/* Zeroed, filled, the caller's until cb. Strings are copied. */
struct key_change {
    enum key_change_kind kind;
    char id[ID_SIZE];            /* EDIT, REMOVE; ADD fills it */
    const char *name;            /* EDIT: NULL leaves it */
    const char *workspace;       /* ADD: its id */
    bool set_permissions;        /* EDIT: else they stay */
    uint32_t permissions;
    bool set_expires;
    int64_t expires_ms;
    bool viewable;               /* ADD */
    int64_t now_ms;
    struct secret value;         /* ADD: the new key; the caller's */
    /* 0, BF_ENOENT (EDIT, REMOVE), or why it could not be written down: then nothing has changed. */
    void (*cb)(struct key_change *change, int status);
    void *data;
    void *pending;               /* the keyring's */
};
void keyring_change(struct keyring *ring, struct key_change *change);

/* --- values; pure ------------------------------------------------------------------------------------------------- */

void key_value_make(char value[KEY_VALUE_LEN + 1]);
/* True when it looks like a key, its checksum included: no proof that there is such a key. */
bool key_value_is_sound(const char *value);

#endif
