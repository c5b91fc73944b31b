/* Messages go, each on its own, until they are taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/pace.h"
#include "deliver_internal.h"

#define AT_ONCE 64                     /* messages under way, of all workspaces; a workspace has a few (READ_DELIVERIES) */
#define LOOK_AT_MOST 1000
#define REST_FACTOR 4                  /* of the time that a look took */
#define BACKOFF_BASE_MS 5000
#define BACKOFF_CAP_MS (60 * 60 * 1000)
#define GIVEN_UP_AFTER_MS (2 * 24 * 60 * 60 * INT64_C(1000))
#define TURN_WITHIN_MS (7 * 24 * 60 * 60 * INT64_C(1000))
#define LONGEST_SLEEP_MS (60 * 60 * 1000)

static void forget_settled(struct deliver_room *room)
{
    struct sending **at = &room->sendings, *s;

    while ((s = *at) != NULL) {
        if (!s->settled) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        delivery_record_close(&s->r);
        free(s);
    }
}

/* A read that is under way may have begun before: it still has the message as it was, so that is known until the read has come. */
static void settled(struct commit *commit, int status)
{
    struct sending *s = commit->data;
    struct deliver_room *room = s->room;

    (void)status;   /* not written: it is sent again after the next start */
    s->settled = true;
    if (!room->reading_due)
        forget_settled(room);
    room->under_way--;
    if (!room->closing)
        deliver_send_due(room);
    deliver_let_go(room);
}

static void settle(struct sending *s, bool over)
{
    s->record = (struct record) { .kind = over ? RECORD_DELIVERY_DROP : RECORD_DELIVERY_SET, .delivery = &s->r };
    s->commit = (struct commit) { .records = &s->record, .count = 1, .must = true, .cb = settled, .data = s };
    journal_commit(s->room->journal, &s->commit);
}

/* One that was never tried has longer, for a daemon that was away; but a receiver that takes its time with each of too many does not
 * let them grow without end. */
static bool is_too_old(const struct delivery_record *d)
{
    return time_wall_ms() - d->created_ms > (d->tries > 0 ? GIVEN_UP_AFTER_MS : TURN_WITHIN_MS);
}

static void try_again(struct sending *s, const char *why)
{
    struct deliver_room *room = s->room;
    uint64_t dice;

    id_random(&dice, sizeof dice);
    s->r.tries++;
    s->r.next_ms = time_wall_ms() + pace_backoff(BACKOFF_BASE_MS, BACKOFF_CAP_MS, s->r.tries, dice);
    (void)snprintf(room->why, sizeof room->why, "%.255s", why);
    if (is_too_old(&s->r)) {
        log_warning("the message %s of run %s was given up after two days: %s", s->r.id, s->r.run_id, why);
        settle(s, true);
        return;
    }
    if (s->r.tries == 3)
        log_warning("a message of run %s is not taken by its receiver, it is sent again for two days: %s", s->r.run_id, why);
    settle(s, false);
}

static void sent(struct http_request *request, int status)
{
    struct sending *s = request->data;
    struct deliver_room *room = s->room;
    long http = request->http_status;
    char why[256];

    explicit_bzero(s->signature, sizeof s->signature);
    if (status == BF_ECANCELED && room->closing) {
        (void)snprintf(why, sizeof why, "stopping");
        settle(s, false);   /* as it was: the next daemon sends it */
    } else if (status == 0 && ((http >= 200 && http < 300) || http == 410)) {
        settle(s, true);
    } else {
        (void)snprintf(why, sizeof why, "%.200s", status == 0 ? "" : request->error.text);
        if (status == 0)
            (void)snprintf(why, sizeof why, "the receiver answered %ld", http);
        try_again(s, why);
    }
    http_request_close(request);
}

static bool sign(struct sending *s)
{
    struct deliver_room *room = s->room;
    unsigned char mac[VAULT_MAC_SIZE];
    struct secret secret = { 0 };
    char own[65], hex[65];

    if (s->r.hook_id[0] != '\0') {
        deliver_hook_secret(room, s->r.hook_id, own);
        hmac_sha256(own, strlen(own), s->r.body, strlen(s->r.body), mac);
        explicit_bzero(own, sizeof own);
    } else {
        if (s->r.sealed == NULL || vault_unseal(room->vault, s->r.run_id, s->r.sealed, s->r.sealed_len, &secret) != 0)
            return false;
        hmac_sha256(secret.bytes, secret.len, s->r.body, strlen(s->r.body), mac);
        secret_close(&secret);
    }
    text_hex(mac, sizeof mac, hex);
    (void)snprintf(s->signature, sizeof s->signature, "x-rc-signature: %s", hex);
    return true;
}

static void begin_sending(struct deliver_room *room, const struct delivery_record *record)
{
    struct sending *s = calloc(1, sizeof *s);

    if (s == NULL || delivery_record_copy(&s->r, record) != 0)
        abort();
    s->room = room;
    s->next = room->sendings;
    room->sendings = s;
    room->under_way++;
    room->open++;
    if (s->r.hook_id[0] != '\0' && deliver_hook(room, s->r.hook_id) == NULL) {   /* it was deleted */
        settle(s, true);
        return;
    }
    if (is_too_old(&s->r)) {
        log_warning("the message %s of run %s was given up: %s", s->r.id, s->r.run_id,
                    s->r.tries > 0 ? "it was not taken within two days" : "its turn did not come within a week");
        settle(s, true);
        return;
    }
    if (!sign(s)) {
        log_error("the message %s of run %s cannot be signed: the master key is not the one of its secret", s->r.id, s->r.run_id);
        settle(s, true);
        return;
    }
    s->headers[0] = "Content-Type: application/json";
    s->headers[1] = s->signature;
    s->request = (struct http_request) { .method = "POST", .url = s->r.url, .headers = s->headers, .body = s->r.body,
        .body_len = strlen(s->r.body), .max_answer = 65536, .cb = sent, .data = s };
    http_client_send(room->client, &s->request);
}

static bool is_known(const struct deliver_room *room, const char *id)
{
    const struct sending *s = room->sendings;

    while (s != NULL && strcmp(s->r.id, id) != 0)
        s = s->next;
    return s != NULL;
}

static void on_timer(uv_timer_t *timer)
{
    deliver_send_due(timer->data);
}

/* The first that is not due yet says when to look again. */
static void due_came(struct journal_read *read, int status)
{
    struct deliver_room *room = read->data;
    int64_t now_ms = time_wall_ms(), wait_ms = LONGEST_SLEEP_MS;
    bool waits = status != 0;

    room->reading_due = false;
    room->rest_until_ms = (int64_t)uv_now(room->loop) + REST_FACTOR * ((int64_t)uv_now(room->loop) - room->asked_ms);
    room->troubled = 0;
    for (size_t i = 0; status == 0 && i < read->count; i++)
        room->troubled += read->rows[i].delivery.tries > 0;
    for (size_t i = 0; !room->closing && status == 0 && i < read->count; i++) {
        const struct delivery_record *d = &read->rows[i].delivery;

        if (is_known(room, d->id))
            continue;
        if (d->next_ms > now_ms) {
            wait_ms = d->next_ms - now_ms < wait_ms ? d->next_ms - now_ms : wait_ms;
            waits = true;
            break;
        }
        if (room->under_way >= AT_ONCE)
            break;
        begin_sending(room, d);
    }
    forget_settled(room);
    if (status != 0)
        wait_ms = BACKOFF_BASE_MS;
    if (!room->closing && waits)
        (void)uv_timer_start(&room->timer, on_timer, (uint64_t)wait_ms, 0);
    if (!room->closing && room->more_due)
        deliver_send_due(room);
    deliver_let_go(room);
}

void deliver_send_due(struct deliver_room *room)
{
    if (room->reading_due) {
        room->more_due = true;
        return;
    }
    /* Many thousands that wait take time to look through, and others read of the journal, too. */
    if (room->rest_until_ms > (int64_t)uv_now(room->loop)) {
        (void)uv_timer_start(&room->timer, on_timer, (uint64_t)(room->rest_until_ms - (int64_t)uv_now(room->loop)), 0);
        return;
    }
    room->more_due = false;
    room->reading_due = true;
    room->asked_ms = (int64_t)uv_now(room->loop);
    room->due = (struct journal_read) { .kind = READ_DELIVERIES, .state = -1, .since_ms = time_wall_ms(), .limit = LOOK_AT_MOST,
        .cb = due_came, .data = room };
    room->open++;
    journal_read(room->journal, &room->due);
}
