/* Files that are ready: in order, in batches, each version once. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "belfry/core/event.h"
#include "belfry/core/pace.h"
#include "watch_internal.h"

/* Firings under way at once: enough for one commit to carry many, few enough for memory. */
#define RINGING_MAX 512
#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS 60000
#define CLAIM_LIFE_MS (3653 * 24 * 60 * 60 * INT64_C(1000))
#define CLAIM_KEY_MAX 400

struct fired_file {
    char *path;
    char *full;
    char identity[128];
    char sha256[65];
    struct sighting seen;
};

struct watch_firing {
    struct firing firing;
    struct watch *watch;
    struct config *config;          /* held */
    char claim_scope[80];           /* "watch/NAME" */
    struct buf claim_key;
    char *skip_reason;
    struct record *with;
    size_t count;
    struct fired_file files[];
};

/* --- the row of ready files --------------------------------------------------------------------------------------- */

void watch_ready(struct watch_look *look)
{
    struct watch *w = look->timed.watch;

    if (w->ready_head == w->ready_count)
        w->ready_head = w->ready_count = 0;
    if (w->ready_count == w->ready_cap) {
        size_t cap = w->ready_cap == 0 ? 64 : w->ready_cap * 2;
        struct watch_look **more = realloc(w->ready, cap * sizeof *more);

        if (more == NULL) {
            watch_look_again(look, time_mono_ms() + RETRY_BASE_MS);
            return;
        }
        w->ready = more;
        w->ready_cap = cap;
    }
    look->ready = true;
    w->ready[w->ready_count++] = look;
    w->ready_sorted = false;
}

void watch_unready(struct watch_look *look)
{
    struct watch *w = look->timed.watch;

    for (size_t i = w->ready_head; look->ready && i < w->ready_count; i++) {
        if (w->ready[i] != look)
            continue;
        memmove(&w->ready[i], &w->ready[i + 1], (--w->ready_count - i) * sizeof *w->ready);
        look->ready = false;
    }
}

static int compare_int(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_ready(const void *a, const void *b)
{
    const struct watch_look *x = *(const struct watch_look *const *)a;
    const struct watch_look *y = *(const struct watch_look *const *)b;
    int order = 0;

    if (x->timed.watch->config->order == WATCH_BY_MTIME)
        order = compare_int(x->settling.seen.mtime_ns, y->settling.seen.mtime_ns);
    else if (x->timed.watch->config->order == WATCH_BY_SIZE)
        order = compare_int(x->settling.seen.size, y->settling.seen.size);
    return order != 0 ? order : strcmp(x->file->path, y->file->path);
}

/* The next one that is still what it was when it became ready. */
static struct watch_look *next_ready(struct watch *w)
{
    while (w->ready_head < w->ready_count) {
        struct watch_look *look = w->ready[w->ready_head++];
        struct sighting now;

        look->ready = false;
        if (!watch_stat(w, look->file->path, &now))
            watch_look_end(look);
        else if (watch_stat_hash(&now) != watch_stat_hash(&look->settling.seen))
            watch_look_again(look, time_mono_ms());
        else
            return look;
    }
    return NULL;
}

static void put_back(struct watch *w, struct watch_look *look)
{
    w->ready[--w->ready_head] = look;
    look->ready = true;
}

/* --- a firing ----------------------------------------------------------------------------------------------------- */

static void firing_free(struct watch_firing *f)
{
    struct watch *w = f->watch;
    struct watch_room *room = w->room;

    for (size_t i = 0; i < f->count; i++) {
        free(f->files[i].path);
        free(f->files[i].full);
    }
    json_decref(f->firing.event);
    config_release(f->config);
    buf_close(&f->claim_key);
    free(f->skip_reason);
    free(f->with);
    free(f);
    w->ringing--;
    watch_unref(w);
    watch_let_go(room);
}

static int put_printable(json_t *object, const char *member, const char *text, size_t len)
{
    struct buf b = { 0 };
    int rc;

    if (text_is_utf8(text, len))
        buf_add(&b, text, len);
    else
        text_printable(text, len, &b);
    rc = buf_failed(&b) ? BF_ENOMEM : json_put(object, member, buf_str(&b));
    buf_close(&b);
    return rc;
}

static json_t *file_json(const struct fired_file *file)
{
    const char *name = strrchr(file->full, '/') + 1;
    size_t dir_len = (size_t)(name - file->full) - 1;
    json_t *json = json_object();

    if (json == NULL || put_printable(json, "path", file->full, strlen(file->full)) != 0 ||
        put_printable(json, "name", name, strlen(name)) != 0 ||
        put_printable(json, "dir", dir_len == 0 ? "/" : file->full, dir_len == 0 ? 1 : dir_len) != 0 ||
        json_put_int(json, "size", file->seen.size) != 0 ||
        json_put_time(json, "mtime", file->seen.mtime_ns / 1000000) != 0 ||
        (file->sha256[0] != '\0' && json_put(json, "sha256", file->sha256) != 0)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static int fill_event(struct watch_firing *f)
{
    const struct watch_config *c = f->watch->config;
    json_t *event = event_new(f->firing.id, TRIGGER_WATCH, c->name, time_wall_ms(), 0, NULL);
    json_t *files = c->batch == 1 ? NULL : json_array();
    int rc = event == NULL || (c->batch != 1 && files == NULL) ? BF_ENOMEM : 0;

    f->firing.event = event;
    for (size_t i = 0; rc == 0 && i < f->count; i++) {
        json_t *file = file_json(&f->files[i]);

        if (file == NULL)
            rc = BF_ENOMEM;
        else if (files != NULL)
            rc = json_array_append_new(files, file) == 0 ? 0 : BF_ENOMEM;
        else
            rc = json_object_set_new(event, "file", file) == 0 ? 0 : BF_ENOMEM;
    }
    if (rc == 0 && files != NULL && json_object_set(event, "files", files) != 0)
        rc = BF_ENOMEM;
    if (rc == 0 && !c->attach && json_object_set_new(event, "attach", json_false()) != 0)
        rc = BF_ENOMEM;
    json_decref(files);
    return rc;
}

/* Path and identity of each file; its digest when that is long, or no text. */
static int fill_claim(struct watch_firing *f)
{
    struct buf *key = &f->claim_key;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned size = 0;

    for (size_t i = 0; i < f->count; i++)
        buf_addf(key, "%s%s\n%s", i > 0 ? "\n" : "", f->files[i].full, f->files[i].identity);
    if (!buf_failed(key) && (key->len > CLAIM_KEY_MAX || !text_is_utf8(key->data, key->len))) {
        if (EVP_Digest(key->data, key->len, digest, &size, EVP_sha256(), NULL) != 1)
            return BF_ENOMEM;
        text_hex(digest, size, hex);
        buf_reset(key);
        buf_adds(key, hex);
    }
    return buf_failed(key) ? BF_ENOMEM : 0;
}

static int take_file(struct watch_firing *f, struct watch_look *look)
{
    struct fired_file *file = &f->files[f->count];
    char full[PATH_MAX];

    file->seen = look->settling.seen;
    memcpy(file->sha256, look->sha256, sizeof file->sha256);
    settle_identity(&file->seen, f->watch->config->identity == WATCH_BY_SHA256 ? file->sha256 : NULL, file->identity);
    file->path = strdup(look->file->path);
    file->full = watch_full_path(f->watch, look->file->path, full) ? strdup(full) : NULL;
    if (file->path == NULL || file->full == NULL) {
        free(file->path);
        free(file->full);
        return BF_ENOMEM;
    }
    look->busy = true;
    f->count++;
    return 0;
}

static int refuse_name(struct watch_firing *f)
{
    struct buf reason = { 0 };

    buf_adds(&reason, "its name is not UTF-8: ");
    text_printable(f->files[0].full, strlen(f->files[0].full), &reason);
    f->skip_reason = buf_take(&reason);
    f->firing.skip_reason = f->skip_reason;
    f->firing.program = NULL;
    return f->skip_reason == NULL ? BF_ENOMEM : 0;
}

static void fired(struct firing *firing, int status);

static int fill(struct watch_firing *f)
{
    const struct watch_config *c = f->watch->config;
    int rc;

    f->firing.kind = TRIGGER_WATCH;
    f->firing.trigger_name = c->name;
    f->firing.process = c->process;
    f->firing.overlap = (enum overlap)c->overlap;
    f->firing.program = c->input != NULL ? c->input : c->process->input;
    f->firing.cb = fired;
    f->firing.data = f;
    id_new(time_wall_ms(), f->firing.id);
    f->with = calloc(f->count, sizeof *f->with);
    rc = f->with == NULL ? BF_ENOMEM : fill_claim(f);
    for (size_t i = 0; rc == 0 && i < f->count; i++)
        f->with[i] = (struct record) { .kind = RECORD_FILE, .scope = c->name, .key = f->files[i].full,
                                       .identity = f->files[i].identity, .run_id = f->firing.id, .value = FILE_FIRED };
    f->firing.with = f->with;
    f->firing.with_count = f->count;
    f->firing.claim_scope = f->firing.claim_key = NULL;
    if (rc == 0) {
        (void)snprintf(f->claim_scope, sizeof f->claim_scope, "watch/%s", c->name);
        f->firing.claim_scope = f->claim_scope;
        f->firing.claim_key = f->claim_key.data;
        f->firing.claim_until_ms = time_wall_ms() + CLAIM_LIFE_MS;
        rc = fill_event(f);
    }
    if (rc == 0 && !text_is_utf8(f->files[0].full, strlen(f->files[0].full)))
        rc = refuse_name(f);
    return rc;
}

/* --- what came of it ---------------------------------------------------------------------------------------------- */

/* It could not be written down: the files stay ready, and ring again after a pause that grows. */
static void hold(struct watch *w, const struct firing *firing, int status)
{
    int64_t mono_ms = time_mono_ms();
    uint64_t dice;

    if (mono_ms < w->hold_until_ms)
        return;
    id_random(&dice, sizeof dice);
    w->hold_until_ms = mono_ms + pace_backoff(RETRY_BASE_MS, RETRY_CAP_MS, ++w->tries, dice);
    watch_timed_at(&w->retry, w->hold_until_ms);
    log_error("watch %s: a firing could not be written down and will be tried again: %s", w->config->name,
              firing->error.code != 0 ? firing->error.text : error_name(status));
}

static void settle_file(struct watch *w, const struct fired_file *fired_file, uint8_t state)
{
    struct watch_file *file = watch_file_find(w, fired_file->path);
    struct watch_look *look = file != NULL ? file->look : NULL;

    if (look == NULL)
        return;
    look->busy = false;
    if (state != FILE_NEW && watch_file_record(file, state, fired_file->identity, watch_stat_hash(&fired_file->seen)) != 0)
        log_error("watch %s: out of memory; the journal still knows that %s has fired", w->config->name, fired_file->full);
    if (look->again) {
        look->again = false;
        watch_look_again(look, time_mono_ms());
    } else if (state == FILE_NEW) {
        watch_ready(look);
    } else {
        watch_look_end(look);
    }
}

/* Over already: nothing will be done to the files. */
static void note_done(struct watch *w, const struct watch_firing *f)
{
    for (size_t i = 0; i < f->count; i++)
        watch_note_file(w, f->files[i].path, f->files[i].identity, f->firing.run_id, FILE_DONE);
    watch_write(w->room);
}

static void rung(struct watch *w, struct watch_firing *f, int status)
{
    bool lasting = status == 0 && !f->firing.passed_over && !run_state_is_end(f->firing.state);
    int rc = 0;

    w->tries = 0;
    if (status == 0 && !f->firing.passed_over)
        w->fired += f->count;
    for (size_t i = 0; i < f->count; i++) {
        settle_file(w, &f->files[i], lasting ? FILE_FIRED : FILE_DONE);
        if (lasting && watch_run_add(w, f->firing.run_id, f->files[i].path, f->files[i].identity, RUN_QUEUED) != 0)
            rc = BF_ENOMEM;
    }
    if (!lasting)
        note_done(w, f);
    if (rc != 0)
        log_error("watch %s: out of memory: files of run %s are kept", w->config->name, f->firing.run_id);
}

static bool ring_as_skipped(struct watch_firing *f)
{
    if (f->firing.skip_reason != NULL)
        return false;
    f->skip_reason = strdup(f->firing.error.code != 0 ? f->firing.error.text : "its input program failed");
    if (f->skip_reason == NULL)
        return false;
    f->firing.skip_reason = f->skip_reason;
    f->firing.program = NULL;
    f->firing.error = (struct error) { 0 };
    f->watch->room->bell.ring(f->watch->room->bell.data, &f->firing);
    return true;
}

static const char *word_for(const struct firing *firing, int status)
{
    if (status == BF_EEXIST)
        return "fired before";
    if (status != 0)
        return error_name(status);
    return firing->passed_over ? "passed over" : run_state_name(firing->state);
}

static void fired(struct firing *firing, int status)
{
    struct watch_firing *f = firing->data;
    struct watch *w = f->watch;
    struct watch_room *room = w->room;

    if (status == BF_EINVAL && !room->closing) {
        log_warning("watch %s: the firing for %s is skipped: %s", firing->trigger_name, f->files[0].full,
                    firing->error.text);
        if (ring_as_skipped(f))
            return;
    }
    if (!watch_is_idle(w)) {
        w->last_word = word_for(firing, status);
        if (status == 0 || status == BF_EEXIST || status == BF_EINVAL) {
            rung(w, f, status);
        } else {
            if (status != BF_ESHUTDOWN)
                hold(w, firing, status);
            for (size_t i = 0; i < f->count; i++)
                settle_file(w, &f->files[i], FILE_NEW);
        }
    }
    w->refs++;   /* the firing may be the last that holds the watch, and the room */
    room->open++;
    firing_free(f);
    if (status != BF_ESHUTDOWN)
        watch_ring_all(w);
    watch_unref(w);
    watch_let_go(room);
}

static struct watch_firing *gather(struct watch *w, size_t most, int *rc)
{
    struct watch_firing *f = calloc(1, sizeof *f + most * sizeof f->files[0]);
    struct watch_look *look;

    *rc = f == NULL ? BF_ENOMEM : 0;
    if (f == NULL)
        return NULL;
    f->watch = w;
    f->config = config_hold(w->config_held);
    w->refs++;
    w->ringing++;
    w->room->open++;
    while (*rc == 0 && f->count < most && (look = next_ready(w)) != NULL) {
        bool plain = text_is_utf8(look->file->path, strlen(look->file->path));

        if (!plain && f->count > 0) {   /* it has a skipped run to itself */
            put_back(w, look);
            break;
        }
        *rc = take_file(f, look);
        if (*rc != 0)
            put_back(w, look);
        if (!plain)
            break;
    }
    return f;
}

void watch_ring_all(struct watch *w)
{
    while (!watch_is_idle(w) && !w->paused && w->ringing < RINGING_MAX && w->ready_head < w->ready_count &&
           time_mono_ms() >= w->hold_until_ms) {
        size_t left = w->ready_count - w->ready_head;
        size_t most = w->config->batch > 0 && (size_t)w->config->batch < left ? (size_t)w->config->batch : left;
        struct watch_firing *f;
        int rc;

        if (!w->ready_sorted)
            qsort(w->ready + w->ready_head, left, sizeof *w->ready, compare_ready);
        w->ready_sorted = true;
        f = gather(w, most, &rc);
        if (f != NULL && f->count > 0 && rc == 0)
            rc = fill(f);
        if (f != NULL && f->count > 0 && rc == 0) {
            w->room->bell.ring(w->room->bell.data, &f->firing);
            continue;
        }
        if (rc != 0)
            hold(w, &(struct firing) { 0 }, rc);
        for (size_t i = 0; f != NULL && i < f->count; i++)
            settle_file(w, &f->files[i], FILE_NEW);
        if (f != NULL)
            firing_free(f);
    }
}
