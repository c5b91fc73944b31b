/*
 * What is written down: the records that the journal makes durable. A commit is a list of them that becomes durable
 * together or not at all.
 */
#ifndef BELFRY_CORE_RECORD_H
#define BELFRY_CORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/core/asset.h"
#include "belfry/core/hook.h"
#include "belfry/core/item.h"
#include "belfry/core/key.h"
#include "belfry/core/run.h"

enum record_kind {
    RECORD_RUN_ADD,      /* run, event, input: a new row */
    RECORD_RUN_SET,      /* run: its row becomes this; event and input stay; refused with BF_ENOENT when it has none any more */
    RECORD_RUN_DROP,     /* key: the id of a run that has ended: it goes, with its items, their files, its step runs; its claims stay. Refused
                          * with BF_EEXIST as long as a line or a message of it waits, with BF_ENOENT when none has ended that is called so */
    RECORD_CLAIM,        /* scope, key → run; the whole commit is refused with BF_EEXIST while another claim lives */
    RECORD_CURSOR,       /* kind, name → value: how far a trigger has come (a schedule's last due time) */
    RECORD_CURSOR_DROP,  /* forgets it */
    RECORD_FILE,         /* watch, path, identity → state and run: a version of a file that was seen */
    RECORD_FILE_DROP,    /* forgets watch, path (NULL: all of the watch) */
    RECORD_LINE_ADD,     /* target, run: a result line that has to go to a syslog target */
    RECORD_LINE_SENT,    /* it went, or (given up) never will */
    RECORD_ITEM_ADD,     /* item: a new one */
    RECORD_ITEM_PAYLOAD, /* item: its payload becomes this, as long as it is in that run (or in none) still */
    RECORD_ITEM_MOVE,    /* item: its step, state, step run, exception become these; its payload stays */
    RECORD_ITEM_DROP,    /* item: it goes, with its files */
    RECORD_STEP_RUN,     /* step_run: it becomes this, new or not */
    RECORD_STEP_RUN_DROP,
    RECORD_ITEM_FILE,    /* item_file: it becomes this, new or not; another of the item's that has its name goes */
    RECORD_ITEM_FILE_CAME, /* item_file, item: the awaited bytes have come; refused with BF_EEXIST when they had before, or when the item
                          * has moved since: it is no more in that run, nor in that state (value 1: nor that step run's, which lives) */
    RECORD_ITEM_FILE_DROP, /* key: its id */
    RECORD_ITEM_TAKE,    /* key: its id, run_id: the run that takes it, value: when; the commit is refused with BF_EEXIST when
                          * another run has it */
    RECORD_HOOK_ADD,     /* hook: a webhook */
    RECORD_HOOK_DROP,    /* key: its id */
    RECORD_CALLBACK_ADD, /* callback: a run's */
    RECORD_DELIVERY_ADD, /* delivery: a message that waits */
    RECORD_DELIVERY_SET, /* delivery: its tries, and when it is sent next */
    RECORD_DELIVERY_DROP, /* delivery: it went, or (given up) never will */
    RECORD_ASSET_ADD,    /* asset: a new one; refused with BF_EEXIST when its workspace has one of that name */
    RECORD_ASSET_FILE,   /* upload: it has come, its bytes are the asset's from now on */
    RECORD_ASSET_CAME,   /* upload: the same of one that was awaited; refused with BF_EEXIST when it is no more */
    RECORD_ASSET_DROP,   /* key: its id; its uploads go, too */
    RECORD_ASSET_UPLOAD, /* upload: it becomes this, new or not */
    RECORD_KEY_ADD,      /* api_key: a new one */
    RECORD_KEY_SET,      /* api_key: its name, permissions and end become these, if it is still there; what is not said (NULL,
                          * KEY_EXPIRES_STAYS) stays as it is then */
    RECORD_KEY_USED,     /* api_key: when it was last used, and how often */
    RECORD_KEY_HIDE,     /* key: its id; its sealed value goes, its hash stays */
    RECORD_KEY_DROP,     /* key: its id */
    RECORD_PAUSE,        /* kind, name → value 1 paused, 0 not: a person's word, over the configuration's */
};

enum file_state {
    FILE_IGNORED,        /* there at the first start, and `existing = ignore` */
    FILE_FIRED,          /* its run was admitted */
    FILE_DONE,           /* its run has ended and success or failure was acted out */
};

struct record {
    enum record_kind kind;
    const struct run_record *run;  /* RUN_ADD, RUN_SET: lent until the commit's callback */
    const struct item_record *item;     /* ITEM_…: lent likewise */
    const struct step_record *step_run; /* STEP_RUN…: lent likewise */
    const struct item_file *item_file;  /* ITEM_FILE…: lent likewise */
    const struct hook_record *hook;     /* likewise, and the next ones */
    const struct callback_record *callback;
    const struct delivery_record *delivery;
    const struct asset_record *asset;
    const struct asset_upload *upload;
    const struct key_record *api_key;   /* KEY_…: lent likewise */
    const char *event;             /* RUN_ADD: JSON text */
    const char *input;             /* RUN_ADD: JSON array of payloads; NULL: the event's default payload */
    const char *scope;             /* CLAIM; the trigger's kind for CURSOR and PAUSE; the target for LINE_… ; the watch for FILE_… */
    const char *key;               /* CLAIM's key; the name for CURSOR and PAUSE; the path for FILE_… */
    const char *identity;          /* FILE: what tells one version of a file from another */
    const char *run_id;            /* CLAIM, FILE, LINE_… */
    int64_t value;                 /* CURSOR, PAUSE; CLAIM: until when it lives (wall ms); FILE: enum file_state */
    int64_t now_ms;                /* CLAIM: the time at which older claims are judged */
};

struct commit;
/* Called once, on the loop thread, never before the call that took the commit has returned. status: 0 (durable),
 * BF_EEXIST (a claim lives, an item is taken: `existing` is its run; an asset is there: its id; nothing is awaited any more), BF_ENOENT
 * (the run's row is gone), or, for a commit that is not `must`, why it could not be written. */
typedef void (*commit_cb)(struct commit *commit, int status);

/* Owned by whoever made it, until the callback. Everything it points to stays put until then. */
struct commit {
    struct record *records;
    size_t count;
    bool must;                 /* the store keeps trying, in order, until it is durable: it never fails for want of disk, but for want of
                                * the run's row */
    commit_cb cb;
    void *data;
    char existing[ID_SIZE];
    struct commit *next;       /* the store's */
    int status;                /* the store's */
};

#endif
