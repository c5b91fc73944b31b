/*
 * The HTTP client on the loop: curl's multi socket interface. Each of curl's sockets has a uv_poll, curl's one timer is
 * a uv_timer, and whatever has ended goes through one list that is emptied from the loop, so that no callback is ever
 * called from inside a call of its owner's.
 */
#include "belfry/net/http_client.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client_internal.h"

/* More connections to one host only make libcurl slower (it walks the host's list for each request). */
#define CLIENT_HOST_CONNECTIONS 16L
#define CLIENT_TOTAL_CONNECTIONS 64L

struct http_client {
    uv_loop_t *loop;
    char *user_agent;
    CURLM *multi;                    /* made with the first request: an idle daemon never pays for curl */
    uv_timer_t timer;                /* curl's */
    uv_timer_t deferred;             /* empties `ended` */
    struct transfer_list running;
    struct transfer_list ended;      /* status is settled, the callback is not called yet */
    size_t handles;                  /* uv handles that are not closed */
    const char *(*refuses)(void *data, const struct sockaddr *address);   /* NULL: all may be connected to */
    void *refuses_data;
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
};

struct client_socket {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_begin(void)
{
    struct sigaction old;

    /* OpenSSL writes with write(2): a peer that went away must be an error, not a signal. A handler of the program's own
     * is left alone. */
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void on_handle_closed(struct http_client *client)
{
    void (*closed)(void *) = client->closed;
    void *data = client->closed_data;

    if (--client->handles > 0)
        return;
    free(client->user_agent);
    free(client);
    if (closed)
        closed(data);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct client_socket *s = handle->data;
    struct http_client *client = s->client;

    free(s);
    on_handle_closed(client);
}

static void end_transfer(struct transfer *t, int status)
{
    struct http_client *client = t->client;

    if (t->in_multi)
        curl_multi_remove_handle(client->multi, t->easy);
    t->in_multi = false;
    t->status = status;
    TAILQ_REMOVE(&client->running, t, link);
    TAILQ_INSERT_TAIL(&client->ended, t, link);
}

static void tell_ended(struct http_client *client)
{
    struct transfer *t;

    while ((t = TAILQ_FIRST(&client->ended)) != NULL) {
        struct http_request *request = t->request;
        int status = t->status;

        TAILQ_REMOVE(&client->ended, t, link);
        request->transfer = NULL;
        transfer_free(t);
        request->cb(request, status);
    }
}

static void finish_closing(struct http_client *client)
{
    /* curl takes its idle connections down in here and closes their polls through on_socket. */
    if (client->multi)
        curl_multi_cleanup(client->multi);
    client->multi = NULL;
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
    uv_close((uv_handle_t *)&client->deferred, on_timer_closed);
}

static void on_deferred(uv_timer_t *timer)
{
    struct http_client *client = timer->data;

    tell_ended(client);
    if (client->closing && !uv_is_closing((uv_handle_t *)&client->timer))
        finish_closing(client);
}

static void read_messages(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        struct transfer *t = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        end_transfer(t, transfer_judge(t, code));
    }
    tell_ended(client);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct client_socket *s = poll->data;
    struct http_client *client = s->client;
    int flags = 0;
    int running;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(client->multi, s->fd, flags, &running);   /* s may be gone after this */
    read_messages(client);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
    struct http_client *client = data;
    struct client_socket *s = socket_data;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (!s)
            return 0;
        curl_multi_assign(client->multi, fd, NULL);
        uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        return 0;
    }
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return -1;
        s->client = client;
        s->fd = fd;
        if (uv_poll_init_socket(client->loop, &s->poll, fd) < 0) {
            free(s);
            return -1;
        }
        s->poll.data = s;
        client->handles++;
        curl_multi_assign(client->multi, fd, s);
    }
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    return uv_poll_start(&s->poll, events, on_poll) < 0 ? -1 : 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    int running;

    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    read_messages(client);
}

static int on_timeout_wanted(CURLM *multi, long timeout_ms, void *data)
{
    struct http_client *client = data;

    (void)multi;
    if (timeout_ms < 0)
        return uv_timer_stop(&client->timer);
    /* The loop's clock may lie behind by the length of this turn: a wait must not end early. */
    uv_update_time(client->loop);
    return uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static int make_multi(struct http_client *client, struct error *err)
{
    if (client->multi)
        return BF_OK;
    pthread_once(&curl_once, curl_begin);
    if (curl_ready != CURLE_OK)
        return error_set(err, BF_ENET, "could not start libcurl: %s", curl_easy_strerror(curl_ready));
    client->multi = curl_multi_init();
    if (!client->multi)
        return error_set(err, BF_ENOMEM, "out of memory for the HTTP client");
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CLIENT_HOST_CONNECTIONS);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CLIENT_TOTAL_CONNECTIONS);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CLIENT_HOST_CONNECTIONS);
    return BF_OK;
}

int http_client_new(uv_loop_t *loop, const char *user_agent, struct http_client **client, struct error *err)
{
    struct http_client *c = calloc(1, sizeof *c);

    if (!c)
        return error_set(err, BF_ENOMEM, "out of memory for the HTTP client");
    c->user_agent = strdup(user_agent);
    if (!c->user_agent) {
        free(c);
        return error_set(err, BF_ENOMEM, "out of memory for the HTTP client");
    }
    c->loop = loop;
    TAILQ_INIT(&c->running);
    TAILQ_INIT(&c->ended);
    uv_timer_init(loop, &c->timer);
    uv_timer_init(loop, &c->deferred);
    c->timer.data = c;
    c->deferred.data = c;
    c->handles = 2;
    *client = c;
    return BF_OK;
}

void http_client_guard(struct http_client *client, const char *(*refuses)(void *data, const struct sockaddr *address), void *data)
{
    client->refuses = refuses;
    client->refuses_data = data;
}

const char *client_refuses(const struct http_client *client, const struct sockaddr *address)
{
    return client->refuses ? client->refuses(client->refuses_data, address) : NULL;
}

void http_client_close(struct http_client *client, void (*closed)(void *data), void *data)
{
    struct transfer *t;

    client->closing = true;
    client->closed = closed;
    client->closed_data = data;
    while ((t = TAILQ_FIRST(&client->running)) != NULL) {
        error_set(&t->request->error, BF_ECANCELED, "the HTTP client was closed before the answer came");
        end_transfer(t, BF_ECANCELED);
    }
    uv_timer_start(&client->deferred, on_deferred, 0, 0);
}

static int begin(struct http_client *client, struct transfer *t)
{
    struct http_request *request = t->request;
    CURLMcode code;
    int rc;

    if (client->closing)
        return error_set(&request->error, BF_ECANCELED, "the HTTP client is closed");
    rc = make_multi(client, &request->error);
    if (rc < 0)
        return rc;
    rc = transfer_prepare(t, client->user_agent);
    if (rc < 0)
        return rc;
    code = curl_multi_add_handle(client->multi, t->easy);
    if (code != CURLM_OK)
        return error_set(&request->error, BF_ENET, "could not begin the request: %s", curl_multi_strerror(code));
    t->in_multi = true;
    return BF_OK;
}

void http_client_send(struct http_client *client, struct http_request *request)
{
    struct transfer *t = calloc(1, sizeof *t);
    int rc;

    request->http_status = 0;
    request->sent = false;
    request->received = 0;
    request->content_type[0] = '\0';
    request->location[0] = '\0';
    request->retry_after_ms = -1;
    request->server_date_ms = 0;
    memset(&request->error, 0, sizeof request->error);
    buf_reset(&request->answer);
    /* There is no way to report this one later without memory, and no request without it. */
    if (!t)
        abort();
    t->request = request;
    t->client = client;
    t->upload_fd = -1;
    request->transfer = t;
    TAILQ_INSERT_TAIL(&client->running, t, link);
    rc = begin(client, t);
    if (rc == BF_OK)
        return;
    end_transfer(t, rc);
    uv_timer_start(&client->deferred, on_deferred, 0, 0);
}

void http_client_cancel(struct http_client *client, struct http_request *request)
{
    struct transfer *t = request->transfer;
    long sent = 0;

    if (!t)
        return;
    if (t->easy && curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent > 0)
        request->sent = true;
    error_set(&request->error, BF_ECANCELED, "the request was taken back");
    if (t->status == BF_OK && t->in_multi)
        end_transfer(t, BF_ECANCELED);
    else
        t->status = BF_ECANCELED;
    uv_timer_start(&client->deferred, on_deferred, 0, 0);
}

void http_request_close(struct http_request *request)
{
    buf_close(&request->answer);
}

/* --- without a loop of the caller's ------------------------------------------------------------------------------- */

struct now {
    http_done_cb cb;
    void *data;
    struct http_client *client;
    int status;
};

static void on_now_done(struct http_request *request, int status)
{
    struct now *now = request->data;

    now->status = status;
    http_client_close(now->client, NULL, NULL);
}

int http_client_send_now(struct http_request *request, const char *user_agent)
{
    struct now now = {.cb = request->cb, .data = request->data};
    uv_loop_t loop;
    int rc;

    rc = uv_loop_init(&loop);
    if (rc < 0)
        return error_set(&request->error, BF_EIO, "could not make an event loop: %s", uv_strerror(rc));
    rc = http_client_new(&loop, user_agent, &now.client, &request->error);
    if (rc < 0) {
        uv_loop_close(&loop);
        return rc;
    }
    request->cb = on_now_done;
    request->data = &now;
    http_client_send(now.client, request);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    request->cb = now.cb;
    request->data = now.data;
    return now.status;
}
