/* Health, metrics, and what a person asks of the daemon as a whole. */
#include <string.h>

#include "belfry/base/time.h"
#include "serve_internal.h"

void serve_health(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    (void)room;
    (void)args;
    http_respond(x, 200, "text/plain; charset=utf-8", "ok\n", 3, NULL, 0);
}

void serve_ready(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const char *why = NULL;

    (void)args;
    if (room->host.ready(room->host.data, &why))
        serve_json(x, 200, json_pack("{s:b}", "ready", 1));
    else
        serve_json(x, 503, json_pack("{s:b, s:s}", "ready", 0, "why", why));
}

void serve_metrics(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct buf text = { 0 };

    room->host.metrics(room->host.data, args->workspace, &text);
    http_respond(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text), text.len, NULL, 0);
    buf_close(&text);
}

void serve_callback(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    size_t len;
    const char *body = http_body(x, &len);

    if (room->host.callback(room->host.data, args->at[0], http_header(x, "x-rc-signature"), body, len))
        serve_json(x, 200, json_pack("{s:b}", "accepted", 1));
    else
        http_respond_error(x, 401, "bad_signature", "x-rc-signature does not fit the body");
}

void serve_status(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    (void)args;
    serve_json(x, 200, room->host.status(room->host.data));
}

void serve_triggers(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    serve_json(x, 200, room->host.triggers(room->host.data, args->workspace));
}

void serve_next(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    int64_t n, from_ms;
    struct error err;
    json_t *list;

    if (!serve_query_int(x, "n", 1, 1000, 5, &n) || !serve_query_time(x, "from", &from_ms))
        return;
    list = room->host.next(room->host.data, args->workspace, http_query(x, "schedule"), from_ms != 0 ? from_ms : time_wall_ms(), (size_t)n,
                           &err);
    if (list != NULL)
        serve_json(x, 200, list);
    else
        http_respond_error(x, 404, "not_found", "%s", err.text);
}

static void answer_pause(struct http_exchange *x, int status, bool paused)
{
    if (status == 0)
        serve_json(x, 200, json_pack("{s:b}", "paused", paused));
    else
        http_respond_error(x, 503, "stopping", "belfryd is stopping");
}

static void pause_written(void *data, int status)
{
    answer_pause(data, status, true);
}

static void resume_written(void *data, int status)
{
    answer_pause(data, status, false);
}

static void set_pause(struct serve_room *room, struct http_exchange *x, const struct route_args *args, bool paused)
{
    int status = room->host.pause(room->host.data, args->workspace, args->at[0], args->at[1], paused);

    if (status == 0)
        serve_when_written(room, paused ? pause_written : resume_written, x);
    else if (status == BF_ENOENT)
        http_respond_error(x, 404, "not_found", "there is no %s %s", args->at[0], args->at[1]);
    else
        http_respond_error(x, 503, "unavailable", "it could not be done: %s", error_name(status));
}

void serve_pause(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    set_pause(room, x, args, true);
}

void serve_resume(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    set_pause(room, x, args, false);
}

void serve_reload(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct buf report = { 0 };
    int status = room->host.reload(room->host.data, &report);

    (void)args;
    while (report.len > 0 && report.data[report.len - 1] == '\n')
        report.data[--report.len] = '\0';
    if (status == 0)
        serve_json(x, 200, json_pack("{s:b, s:s}", "reloaded", 1, "warnings", buf_str(&report)));
    else
        serve_json(x, 422, json_pack("{s:{s:s, s:s}}", "error", "code", "bad_configuration", "message", buf_str(&report)));
    buf_close(&report);
}
