/* Keys in memory, and on their way to the journal. */
#include "belfry/serve/keyring.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "belfry/base/log.h"

#define FLUSH_MS 60000

struct entry {
    struct api_key key;          /* its texts lie in `rec` */
    struct key_record rec;
    bool used;                   /* since it was last written down */
    UT_hash_handle hh;           /* by digest */
    UT_hash_handle hh_id;
};

struct keyring {
    struct journal *journal;
    const struct vault *vault;
    struct entry *by_digest, *by_id;
    uv_timer_t flush;
    bool timer_set;
    size_t open;                 /* commits under way, the timer */
    void (*closed)(void *data);
    void *closed_data;
};

static void close_entry(struct entry *e)
{
    key_record_close(&e->rec);
    free(e);
}

static void show(struct entry *e)
{
    struct error ignored;

    memcpy(e->key.id, e->rec.id, sizeof e->key.id);
    e->key.name = e->rec.name;
    e->key.workspace = e->rec.workspace;
    /* A name that a newer version wrote: what is not known is not allowed. */
    if (permissions_parse(e->rec.permissions, &e->key.permissions, &ignored) != 0)
        e->key.permissions = 0;
    e->key.created_ms = e->rec.created_ms;
    e->key.expires_ms = e->rec.expires_ms;
    e->key.last_used_ms = e->rec.last_used_ms;
    e->key.uses = e->rec.uses;
    e->key.viewable = e->rec.sealed_len > 0;
}

static void put(struct keyring *ring, struct entry *e)
{
    show(e);
    HASH_ADD(hh, ring->by_digest, rec.digest, sizeof e->rec.digest, e);
    HASH_ADD(hh_id, ring->by_id, rec.id, strlen(e->rec.id), e);
}

static void take_out(struct keyring *ring, struct entry *e)
{
    HASH_DELETE(hh, ring->by_digest, e);
    HASH_DELETE(hh_id, ring->by_id, e);
}

static struct entry *entry_of(const struct keyring *ring, const char *id)
{
    struct entry *e;

    HASH_FIND(hh_id, ring->by_id, id, strlen(id), e);
    return e;
}

static void digest_of(const struct keyring *ring, const char *value, unsigned char digest[VAULT_MAC_SIZE])
{
    vault_derive(ring->vault, "key", value, strlen(value), digest);
}

/* --- birth and end ------------------------------------------------------------------------------------------------ */

static int load(void *data, const struct key_record *rec)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL || key_record_copy(&e->rec, rec) != 0) {
        free(e);
        return BF_ENOMEM;
    }
    put(data, e);
    return 0;
}

static void free_all(struct keyring *ring)
{
    struct entry *e, *next;

    HASH_ITER(hh, ring->by_digest, e, next) {
        take_out(ring, e);
        close_entry(e);
    }
    free(ring);
}

int keyring_new(uv_loop_t *loop, struct journal *journal, const struct vault *vault, struct keyring **ring, struct error *err)
{
    struct keyring *r = calloc(1, sizeof *r);
    int status;

    *ring = NULL;
    if (r == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    r->journal = journal;
    r->vault = vault;
    status = journal_each_key(journal, load, r, err);
    if (status != 0) {
        free_all(r);
        return error_prefix(err, "cannot read the API keys");
    }
    (void)uv_timer_init(loop, &r->flush);
    uv_unref((uv_handle_t *)&r->flush);
    r->flush.data = r;
    r->open = 1;
    *ring = r;
    return 0;
}

static void let_go(struct keyring *ring)
{
    void (*closed)(void *data) = ring->closed;
    void *data = ring->closed_data;

    if (--ring->open > 0)
        return;
    free_all(ring);
    closed(data);
}

/* --- use ---------------------------------------------------------------------------------------------------------- */

struct usage {
    struct keyring *ring;
    struct commit commit;
    size_t count;
    struct record records[];
};

static void usage_written(struct commit *commit, int status)
{
    struct usage *u = commit->data;

    /* A count that could not be written goes with the next one. */
    for (size_t i = 0; i < u->count; i++) {
        struct entry *e = status != 0 ? entry_of(u->ring, u->records[i].api_key->id) : NULL;

        if (e != NULL)
            e->used = true;
        key_record_close((struct key_record *)(uintptr_t)u->records[i].api_key);
        free((void *)(uintptr_t)u->records[i].api_key);
    }
    let_go(u->ring);
    free(u);
}

static void flush(struct keyring *ring)
{
    struct usage *u = calloc(1, sizeof *u + HASH_CNT(hh, ring->by_digest) * sizeof *u->records);
    struct entry *e, *next;

    ring->timer_set = false;
    if (u == NULL)
        abort();
    HASH_ITER(hh, ring->by_digest, e, next) {
        struct key_record *rec;

        if (!e->used)
            continue;
        e->used = false;
        rec = calloc(1, sizeof *rec);
        if (rec == NULL || key_record_copy(rec, &e->rec) != 0)
            abort();
        u->records[u->count++] = (struct record) { .kind = RECORD_KEY_USED, .api_key = rec };
    }
    if (u->count == 0) {
        free(u);
        return;
    }
    u->ring = ring;
    u->commit = (struct commit) { .records = u->records, .count = u->count, .cb = usage_written, .data = u };
    ring->open++;
    journal_commit(ring->journal, &u->commit);
}

static void on_flush(uv_timer_t *timer)
{
    flush(timer->data);
}

static void timer_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void keyring_close(struct keyring *ring, void (*closed)(void *data), void *data)
{
    ring->closed = closed;
    ring->closed_data = data;
    flush(ring);
    uv_close((uv_handle_t *)&ring->flush, timer_closed);
}

static struct entry *entry_with(const struct keyring *ring, const char *value, int64_t now_ms)
{
    unsigned char digest[VAULT_MAC_SIZE];
    struct entry *e = NULL;

    if (!key_value_is_sound(value))
        return NULL;
    digest_of(ring, value, digest);
    HASH_FIND(hh, ring->by_digest, digest, sizeof digest, e);
    return e == NULL || (e->rec.expires_ms != 0 && e->rec.expires_ms <= now_ms) ? NULL : e;
}

bool keyring_knows(const struct keyring *ring, const char *value, int64_t now_ms)
{
    return entry_with(ring, value, now_ms) != NULL;
}

const struct api_key *keyring_check(struct keyring *ring, const char *value, int64_t now_ms)
{
    struct entry *e = entry_with(ring, value, now_ms);

    if (e == NULL)
        return NULL;
    e->key.uses = ++e->rec.uses;
    e->key.last_used_ms = e->rec.last_used_ms = now_ms;
    e->used = true;
    if (!ring->timer_set) {
        ring->timer_set = true;
        (void)uv_timer_start(&ring->flush, on_flush, FLUSH_MS, 0);
    }
    return &e->key;
}

const struct api_key *keyring_find(const struct keyring *ring, const char *id)
{
    const struct entry *e = entry_of(ring, id);

    return e != NULL ? &e->key : NULL;
}

void keyring_each(const struct keyring *ring, void (*each)(void *data, const struct api_key *key), void *data)
{
    struct entry *e, *next;

    HASH_ITER(hh_id, ring->by_id, e, next)
        each(data, &e->key);
}

int keyring_view(const struct keyring *ring, const char *id, struct secret *value)
{
    const struct entry *e = entry_of(ring, id);

    if (e == NULL || e->rec.sealed_len == 0)
        return BF_ENOENT;
    return vault_unseal(ring->vault, e->rec.id, e->rec.sealed, e->rec.sealed_len, value);
}

/* --- values that are kept no longer ------------------------------------------------------------------------------- */

struct hiding {
    struct keyring *ring;
    struct commit commit;
    char (*ids)[ID_SIZE];
    struct record records[];
};

static void hidden(struct commit *commit, int status)
{
    struct hiding *h = commit->data;

    (void)status;   /* not written: the next start does it */
    let_go(h->ring);
    free(h->ids);
    free(h);
}

static void forget_value(struct entry *e)
{
    explicit_bzero(e->rec.sealed, e->rec.sealed_len);
    free(e->rec.sealed);
    e->rec.sealed = NULL;
    e->rec.sealed_len = 0;
    show(e);
}

void keyring_hide(struct keyring *ring, const char *workspace)
{
    size_t most = HASH_CNT(hh_id, ring->by_id);
    struct hiding *h = calloc(1, sizeof *h + most * sizeof *h->records);
    struct entry *e, *next;

    if (h == NULL || (h->ids = calloc(most + 1, sizeof *h->ids)) == NULL)
        abort();
    h->ring = ring;
    h->commit = (struct commit) { .records = h->records, .must = true, .cb = hidden, .data = h };
    HASH_ITER(hh_id, ring->by_id, e, next) {
        if (e->rec.sealed_len == 0 || strcmp(e->rec.workspace, workspace) != 0)
            continue;
        forget_value(e);
        memcpy(h->ids[h->commit.count], e->rec.id, ID_SIZE);
        h->records[h->commit.count] = (struct record) { .kind = RECORD_KEY_HIDE, .key = h->ids[h->commit.count] };
        h->commit.count++;
    }
    if (h->commit.count == 0) {
        free(h->ids);
        free(h);
        return;
    }
    ring->open++;
    journal_commit(ring->journal, &h->commit);
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

struct pending {
    struct keyring *ring;
    struct key_change *change;
    struct entry *entry;         /* ADD */
    struct key_record edit;      /* EDIT: what it sets */
    struct record record;
    struct commit commit;
};

static void take_text(char **field, char **text)
{
    if (*text == NULL)
        return;
    free(*field);
    *field = *text;
    *text = NULL;
}

/* An edit is laid on the key as it is by now, as the journal laid it on its row: others may have come before it. */
static void lay_on(struct entry *e, struct key_record *edit)
{
    take_text(&e->rec.name, &edit->name);
    take_text(&e->rec.permissions, &edit->permissions);
    if (edit->expires_ms != KEY_EXPIRES_STAYS)
        e->rec.expires_ms = edit->expires_ms;
    show(e);
}

static void change_written(struct commit *commit, int status)
{
    struct pending *p = commit->data;
    struct key_change *change = p->change;
    struct keyring *ring = p->ring;
    struct entry *e = p->entry != NULL ? p->entry : entry_of(ring, change->id);

    if (status == 0 && e == NULL)   /* removed meanwhile: an edit brings it back nowhere */
        status = BF_ENOENT;
    if (status == 0 && change->kind == KEY_ADD) {
        put(ring, e);
    } else if (status == 0 && change->kind == KEY_EDIT) {
        lay_on(e, &p->edit);
    } else if (status == 0) {
        take_out(ring, e);
        close_entry(e);
    } else if (p->entry != NULL) {
        close_entry(p->entry);
    }
    key_record_close(&p->edit);
    free(p);
    change->cb(change, status);
    let_go(ring);
}

static void set_text(char **field, const char *text)
{
    *field = strdup(text);
    if (*field == NULL)
        abort();
}

static void make_value(struct keyring *ring, struct key_record *rec, struct key_change *change)
{
    char value[KEY_VALUE_LEN + 1];
    struct buf sealed = { 0 };

    key_value_make(value);
    digest_of(ring, value, rec->digest);
    if (change->viewable) {
        if (vault_seal(ring->vault, rec->id, value, KEY_VALUE_LEN, &sealed) != 0)
            abort();
        rec->sealed_len = sealed.len;
        rec->sealed = (unsigned char *)buf_take(&sealed);
    }
    if (secret_set(&change->value, value, KEY_VALUE_LEN) != 0 || (change->viewable && rec->sealed == NULL))
        abort();
    explicit_bzero(value, sizeof value);
}

static void set_permissions(struct key_record *rec, uint32_t permissions)
{
    struct buf text = { 0 };

    permissions_text(permissions, &text);
    set_text(&rec->permissions, buf_str(&text));
    buf_close(&text);
}

static struct entry *new_entry(struct keyring *ring, struct key_change *change)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL)
        abort();
    id_new(change->now_ms, change->id);
    e->rec = (struct key_record) { .created_ms = change->now_ms, .expires_ms = change->expires_ms };
    memcpy(e->rec.id, change->id, sizeof e->rec.id);
    set_text(&e->rec.name, change->name);
    set_text(&e->rec.workspace, change->workspace);
    set_permissions(&e->rec, change->permissions);
    make_value(ring, &e->rec, change);
    return e;
}

static void read_edit(const struct key_change *change, struct key_record *edit)
{
    *edit = (struct key_record) { .expires_ms = change->set_expires ? change->expires_ms : KEY_EXPIRES_STAYS };
    memcpy(edit->id, change->id, sizeof edit->id);
    if (change->name != NULL)
        set_text(&edit->name, change->name);
    if (change->set_permissions)
        set_permissions(edit, change->permissions);
}

void keyring_change(struct keyring *ring, struct key_change *change)
{
    struct pending *p;

    if (change->kind != KEY_ADD && entry_of(ring, change->id) == NULL) {
        change->cb(change, BF_ENOENT);
        return;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    p->ring = ring;
    p->change = change;
    if (change->kind == KEY_ADD) {
        p->entry = new_entry(ring, change);
        p->record = (struct record) { .kind = RECORD_KEY_ADD, .api_key = &p->entry->rec };
    } else if (change->kind == KEY_EDIT) {
        read_edit(change, &p->edit);
        p->record = (struct record) { .kind = RECORD_KEY_SET, .api_key = &p->edit };
    } else {
        p->record = (struct record) { .kind = RECORD_KEY_DROP, .key = change->id };
    }
    p->commit = (struct commit) { .records = &p->record, .count = 1, .cb = change_written, .data = p };
    ring->open++;
    journal_commit(ring->journal, &p->commit);
}
