/* Asking the daemon, over its socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/config/config.h"
#include "belfry/net/http_client.h"
#include "cli.h"

#define USER_AGENT "belfry/" BELFRY_VERSION
#define PAGE 500
#define RECENT_RUNS 500
#define LEAST_OF_AN_ID 4

void cli_percent(struct buf *path, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buf_addc(path, *text);
        else
            buf_addf(path, "%%%02X", (unsigned char)*text);
    }
}

/* --- the socket --------------------------------------------------------------------------------------------------- */

static int find_socket(struct cli *cli)
{
    struct error err;
    struct stat st;

    if (cli->socket == NULL) {
        int status = config_socket(cli->config != NULL ? cli->config : config_default_path(), &cli->socket, &err);

        if (status != 0)
            return cli_fail(status == BF_EACCES ? CLI_NOT_ALLOWED : CLI_BAD_CONFIG, "%s", err.text);
    }
    if (stat(cli->socket, &st) != 0) {
        if (errno == EACCES)
            return cli_fail(CLI_NOT_ALLOWED, "you may not reach the socket %s; ask for membership in its group", cli->socket);
        return cli_fail(CLI_NO_DAEMON, "no belfryd listens on %s: %s. Is it running? (systemctl status belfryd)", cli->socket,
                        strerror(errno));
    }
    if (access(cli->socket, W_OK) != 0)
        return cli_fail(CLI_NOT_ALLOWED, "you may not use the socket %s (mode %o); ask for membership in its group", cli->socket,
                        (unsigned)(st.st_mode & 0777));
    return CLI_DONE;
}

static int say_unreached(const struct cli *cli, const struct http_request *r)
{
    return cli_fail(CLI_NO_DAEMON, "no belfryd answers on %s: %s", cli->socket, r->error.text);
}

static int exit_code_of(long http_status, const char *code)
{
    if (http_status == 401 || http_status == 403)
        return CLI_NOT_ALLOWED;
    if (strcmp(code, "bad_query") == 0)
        return CLI_USAGE;
    return strcmp(code, "bad_configuration") == 0 ? CLI_BAD_CONFIG : CLI_FAILED;
}

/* The daemon's refusal, in its own words. */
static int say_refused(const struct http_request *r, bool quiet)
{
    json_t *body = json_stored(buf_str(&r->answer));
    const json_t *error = json_object_get(body, "error");
    const char *code = json_str(error, "code"), *message = json_str(error, "message");
    int exit_code = exit_code_of(r->http_status, code != NULL ? code : "");
    struct buf shown = { 0 };

    if (!quiet) {
        cli_text(&shown, message);
        (void)cli_fail(exit_code, "%s", message != NULL ? buf_str(&shown) : "the daemon's answer makes no sense");
    }
    buf_close(&shown);
    json_decref(body);
    return exit_code;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

int cli_ask(struct cli *cli, struct cli_question *q)
{
    const char *headers[] = { "Content-Type: application/json", q->header, NULL };
    struct http_request r = { 0 };
    struct buf url = { 0 };
    char *body = q->body != NULL ? json_text(q->body) : NULL;
    struct error err;
    int code = find_socket(cli);

    q->answer = NULL;
    if (code != CLI_DONE) {
        free(body);
        return code;
    }
    buf_addf(&url, "http://belfry%s", q->path);
    r.method = q->method;
    r.url = buf_str(&url);
    r.headers = headers;
    r.body = body != NULL ? body : strcmp(q->method, "POST") == 0 ? "" : NULL;
    r.body_len = body != NULL ? strlen(body) : 0;
    r.unix_socket = cli->socket;
    r.timeout_ms = q->timeout_ms;
    r.max_answer = INT64_C(1) << 30;
    if (http_client_send_now(&r, USER_AGENT) != 0) {
        code = q->quiet ? CLI_NO_DAEMON : say_unreached(cli, &r);
    } else if (r.http_status >= 300) {
        code = say_refused(&r, q->quiet);
    } else {
        q->answer = json_parse_within(buf_str(&r.answer), r.answer.len, 2 * JSON_DEPTH, &err);
        if (q->answer == NULL)
            code = cli_fail(CLI_FAILED, "the daemon's answer makes no sense: %s", err.text);
    }
    q->status = r.http_status;
    http_request_close(&r);
    buf_close(&url);
    free(body);
    return code;
}

int cli_get(struct cli *cli, const char *path, json_t **answer)
{
    struct cli_question q = { .method = "GET", .path = path };
    int code = cli_ask(cli, &q);

    *answer = q.answer;
    return code;
}

int cli_get_runs(struct cli *cli, const char *query, int64_t count, json_t *runs)
{
    struct buf path = { 0 };
    int code = CLI_DONE;
    bool more = true;

    while (code == CLI_DONE && more && (int64_t)json_array_size(runs) < count) {
        int64_t left = count - (int64_t)json_array_size(runs);
        const char *last = json_str(json_array_get(runs, json_array_size(runs) - 1), "id");
        json_t *answer;

        buf_reset(&path);
        buf_addf(&path, "/belfry/v1/runs?n=%lld%s", (long long)(left < PAGE ? left : PAGE), query);
        if (json_array_size(runs) > 0)
            buf_addf(&path, "&before=%s", last);
        code = cli_get(cli, buf_str(&path), &answer);
        if (code == CLI_DONE && json_array_extend(runs, json_object_get(answer, "data")) != 0)
            code = cli_fail(CLI_FAILED, "the daemon's answer makes no sense");
        more = json_flag(answer, "has_more", false);
        json_decref(answer);
    }
    buf_close(&path);
    return code;
}

int cli_fetch(struct cli *cli, const char *path, struct buf *into, int fd)
{
    struct http_request r = { 0 };
    struct buf url = { 0 };
    int code = find_socket(cli);

    if (code != CLI_DONE)
        return code;
    buf_addf(&url, "http://belfry%s", path);
    r.method = "GET";
    r.url = buf_str(&url);
    r.unix_socket = cli->socket;
    r.timeout_ms = -1;
    r.max_answer = INT64_MAX;
    r.sink_fd = fd > 0 ? fd : 0;
    if (http_client_send_now(&r, USER_AGENT) != 0)
        code = say_unreached(cli, &r);
    else if (r.http_status >= 300)
        code = say_refused(&r, false);
    else if (into != NULL)
        buf_add(into, buf_str(&r.answer), r.answer.len);
    http_request_close(&r);
    buf_close(&url);
    return code;
}

/* --- a run by part of its id -------------------------------------------------------------------------------------- */

static bool may_be_part(const char *word)
{
    return strlen(word) >= LEAST_OF_AN_ID && strspn(word, "0123456789abcdef-") == strlen(word);
}

bool cli_is_part_of(const char *word, const char *id)
{
    size_t len = strlen(word), id_len = strlen(id);

    return may_be_part(word) && len <= id_len && (strncmp(id, word, len) == 0 || strcmp(id + id_len - len, word) == 0);
}

static int choose(const char *word, const json_t *runs, char id[ID_SIZE])
{
    struct buf candidates = { 0 };
    size_t found = 0, i;
    const json_t *run;
    int code = CLI_DONE;

    json_array_foreach(runs, i, run) {
        const char *one = json_str(run, "id");

        if (one == NULL || !id_is_uuid(one) || !cli_is_part_of(word, one))
            continue;
        if (found++ < 10)
            buf_addf(&candidates, "\n  %s  %s  %s", one, json_str(run, "process"), json_str(run, "state"));
        memcpy(id, one, ID_SIZE);
    }
    if (found == 0)
        code = cli_fail(CLI_FAILED, "none of the last %d runs has an id that begins or ends with \"%s\"", RECENT_RUNS, word);
    else if (found > 1)
        code = cli_fail(CLI_FAILED, "%zu runs have an id that begins or ends with \"%s\":%s", found, word, buf_str(&candidates));
    buf_close(&candidates);
    return code;
}

int cli_run_id(struct cli *cli, const char *word, char id[ID_SIZE])
{
    json_t *runs;
    int code;

    if (id_is_uuid(word)) {
        memcpy(id, word, ID_SIZE);
        return CLI_DONE;
    }
    if (!may_be_part(word))
        return cli_fail(CLI_USAGE, "\"%s\" is no run: at least %d characters of its id are needed, from the beginning or the end",
                        word, LEAST_OF_AN_ID);
    runs = json_array();
    code = cli_get_runs(cli, "", RECENT_RUNS, runs);
    if (code == CLI_DONE)
        code = choose(word, runs, id);
    json_decref(runs);
    return code;
}
