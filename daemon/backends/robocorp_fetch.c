/* One file brought home: to a temporary name, its size checked, synced, renamed, hashed. The key does not travel with it. A
 * download that was cut off goes on where it was when the server can; as long as it gets on, it is not given up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/core/pace.h"
#include "robocorp_internal.h"

#define TRIES 3
#define AGAIN_BASE_MS 500
#define AGAIN_CAP_MS 5000

static void finish(struct fetch *f)
{
    struct robocorp *b = f->b;

    if (f->fd > 0)
        (void)close(f->fd);
    if (f->outcome != FETCHED)
        (void)unlink(f->part);
    http_request_close(&f->transfer.request);
    access_release(f->access);
    free(f->url);
    free(f->path);
    free(f->part);
    f->cb(f);
    robocorp_done(b);
}

static void timer_closed(uv_handle_t *handle)
{
    finish(handle->data);
}

static void end(struct fetch *f, enum fetched outcome)
{
    f->outcome = f->b->closing ? FETCH_CANCELED : outcome;
    uv_close((uv_handle_t *)&f->wait, timer_closed);
}

/* --- what came ---------------------------------------------------------------------------------------------------- */

static void settle(uv_work_t *work)
{
    struct fetch *f = work->data;
    const struct file_bounds bounds = { .max = INT64_MAX, .stop = &f->b->closing };
    int status = 0;

    if (fsync(f->fd) != 0)
        status = error_errno(&f->error, errno, "cannot sync %s", f->part);
    if (status == 0)
        status = file_sha256_within(f->part, &bounds, f->sha256, &f->got, &f->error);
    if (status == 0 && rename(f->part, f->path) != 0)
        status = error_errno(&f->error, errno, "cannot rename %s", f->part);
    f->outcome = status == 0 ? FETCHED : FETCH_AGAIN;
}

static void settled(uv_work_t *work, int status)
{
    struct fetch *f = work->data;

    (void)status;
    end(f, f->outcome);
}

static void send_it(struct fetch *f);

static void on_wait(uv_timer_t *timer)
{
    send_it(timer->data);
}

static void try_again(struct fetch *f, enum fetched otherwise)
{
    uint64_t dice;

    if (f->tries >= TRIES || f->b->closing) {
        end(f, otherwise);
        return;
    }
    id_random(&dice, sizeof dice);
    (void)uv_timer_start(&f->wait, on_wait, (uint64_t)pace_backoff(AGAIN_BASE_MS, AGAIN_CAP_MS, f->tries, dice), 0);
}

static void from_the_beginning(struct fetch *f)
{
    if (ftruncate(f->fd, 0) != 0 || lseek(f->fd, 0, SEEK_SET) != 0) {
        (void)close(f->fd);
        f->fd = -1;   /* it is opened anew, and empty */
    }
}

static void came(struct http_request *r, int status)
{
    struct fetch *f = r->data;
    int64_t have;

    transfer_over(f->b, &f->transfer);
    have = status == 0 && !r->resumed ? r->received : lseek(f->fd, 0, SEEK_CUR);
    if (status != 0) {
        f->error = r->error;
        if (r->http_status == 0 && r->received > 0)
            f->tries = 1;   /* it got on */
        if (status == BF_EIO)   /* our own disk: no use in trying at once */
            end(f, FETCH_AGAIN);
        else
            try_again(f, FETCH_AGAIN);
    } else if (r->http_status == 408 || r->http_status == 429 || r->http_status >= 500) {
        error_set(&f->error, BF_ENET, "a download was answered %ld", r->http_status);
        try_again(f, FETCH_AGAIN);
    } else if (r->http_status == 416) {   /* there is no rest: from the beginning */
        from_the_beginning(f);
        error_set(&f->error, BF_ENET, "a download could not be taken up again");
        try_again(f, FETCH_AGAIN);
    } else if (r->http_status < 200 || r->http_status >= 300) {
        error_set(&f->error, BF_ENET, "a download was answered %ld", r->http_status);
        end(f, FETCH_EXPIRED);
    } else if (f->size >= 0 && have != f->size) {
        error_set(&f->error, BF_EPROTO, "%lld bytes came where %lld were announced", (long long)have, (long long)f->size);
        from_the_beginning(f);
        try_again(f, FETCH_NEVER);
    } else {
        f->work.data = f;
        if (uv_queue_work(f->b->loop, &f->work, settle, settled) != 0)
            abort();
    }
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static void send_it(struct fetch *f)
{
    http_request_close(&f->transfer.request);
    if (f->fd < 0)
        f->fd = open(f->part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (f->fd < 0) {
        error_errno(&f->error, errno, "cannot write %s", f->part);
        end(f, FETCH_AGAIN);
        return;
    }
    f->tries++;
    f->transfer.request = (struct http_request) { .method = "GET", .url = f->url, .sink_fd = f->fd,
        .resume_from = lseek(f->fd, 0, SEEK_CUR), .max_answer = INT64_MAX,
        .timeout_ms = -1, .ca_file = f->access->ca_file, .proxy = f->access->proxy, .cb = came, .data = f };
    transfer_send(f->b, &f->transfer);
}

static void refused(uv_timer_t *timer)
{
    end(timer->data, FETCH_NEVER);
}

static void begun(uv_timer_t *timer)
{
    struct fetch *f = timer->data;

    if (f->b->closing)
        end(f, FETCH_CANCELED);
    else
        send_it(f);
}

void fetch_begin(struct robocorp *b, struct fetch *f, const char *url, const char *path, int64_t size,
                 void (*cb)(struct fetch *fetch), void *data)
{
    struct buf part = { 0 };

    *f = (struct fetch) { .b = b, .access = access_hold(b->access), .url = strdup(url), .path = strdup(path), .size = size,
        .fd = -1, .cb = cb, .data = data };
    buf_addf(&part, "%s.part", path);
    f->part = buf_take(&part);
    if (f->url == NULL || f->path == NULL || f->part == NULL)
        abort();
    robocorp_begin(b);
    (void)uv_timer_init(b->loop, &f->wait);
    f->wait.data = f;
    if (robocorp_may_transfer(f->access, url)) {
        (void)uv_timer_start(&f->wait, begun, 0, 0);
        return;
    }
    error_set(&f->error, BF_EPROTO, "its link is neither https nor the Control Room's own: it is not followed");
    (void)uv_timer_start(&f->wait, refused, 0, 0);
}
