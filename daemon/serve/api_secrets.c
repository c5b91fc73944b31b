/*
 * The vault as runs ask it from inside, with the token of their step run: what the configuration has given to the step, and nothing
 * else. A secret lies in its [secret …]'s file, is read when it is asked for, and travels in an envelope (base/transit.h). Source: the
 * requests of the vendor's libraries for robots (robocorp-vault, rpaframework).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "api.h"
#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "belfry/base/transit.h"
#include "belfry/core/flows.h"

/* One at a time: two must not both make the pair. */
static uv_once_t pair_once = UV_ONCE_INIT;
static uv_mutex_t pair_lock;

static void init_lock(void)
{
    if (uv_mutex_init(&pair_lock) != 0)
        abort();
}

/* A request on the thread pool. */
struct secret_ask {
    struct api_call call;
    struct config *config;               /* held */
    const struct secret_config *secret;  /* NULL: of the public key */
    char *pair_path;
    char *public_key;                    /* of who reads */
    json_t *body;                        /* of who writes */
    json_t *answer;
    uv_work_t work;
    unsigned refusal;                    /* 0: it went well */
    struct error error;
};

static void ask_free(struct secret_ask *ask)
{
    struct serve_room *room = ask->call.room;

    config_release(ask->config);
    free(ask->pair_path);
    free(ask->public_key);
    json_decref(ask->body);
    json_decref(ask->answer);
    free(ask);
    serve_let_go(room);
}

static void answer(uv_work_t *work, int status)
{
    struct secret_ask *ask = work->data;

    (void)status;
    if (ask->refusal != 0)
        api_refuse(ask->call.x, ask->refusal, "%s", ask->error.text);
    else if (json_is_string(ask->answer))
        http_respond(ask->call.x, 200, "text/plain", json_string_value(ask->answer), json_string_length(ask->answer), NULL, 0);
    else
        serve_json(ask->call.x, 200, json_incref(ask->answer));
    ask_free(ask);
}

static struct secret_ask *ask_new(const struct api_call *call, const struct secret_config *secret)
{
    struct config *config = call->room->host.config(call->room->host.data);
    struct secret_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL)
        abort();
    ask->call = *call;
    ask->config = config_hold(config);
    ask->secret = secret;
    ask->pair_path = file_join(config->daemon.state_dir, "transit.pem");
    if (ask->pair_path == NULL)
        abort();
    uv_once(&pair_once, init_lock);
    call->room->open++;
    return ask;
}

static void begin(struct secret_ask *ask, uv_work_cb work)
{
    ask->work.data = ask;
    if (uv_queue_work(ask->call.room->loop, &ask->work, work, answer) != 0)
        abort();
}

/* What failed here is the operator's to mend: the run learns that it failed, the log why. */
static void broke(struct secret_ask *ask, int status)
{
    log_error("the secret %s asked for by the run %s: %s", ask->secret != NULL ? ask->secret->name : "publicKey", ask->call.run_id,
            ask->error.text);
    ask->refusal = status == BF_ENOMEM ? 503 : 500;
    error_set(&ask->error, status, "the vault cannot do that: belfryd's log says why");
}

/* --- who may -------------------------------------------------------------------------------------------------------- */

/* The step run's step as it is configured now, or NULL. */
static const struct process_config *step_of(const struct api_call *call)
{
    const struct config *config = call->room->host.config(call->room->host.data);
    const struct run_record *run = engine_run(call->room->host.engine, call->run_id);
    const struct flow *flow = flows_find(call->room->host.flows, call->run_id);
    const struct step_record *step_run = flow != NULL ? flow_step_run(flow, call->step_run) : NULL;

    return run != NULL && step_run != NULL ? config_step_named(config_process(config, run->process), step_run->name) : NULL;
}

/* A secret that has been given to the step; it was refused when not. What was not given is not told from what is not there. */
static const struct secret_config *find(const struct api_call *call)
{
    const struct process_config *step = step_of(call);
    const char *name = call->args.at[0];

    if (step != NULL && config_may_read_secret(step, name))
        return config_secret(call->room->host.config(call->room->host.data), name);
    api_refuse(call->x, 404, "no secret of the name %s has been given to this step: [process …] secrets = … does that", name);
    return NULL;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static int text_of(const struct secret_config *c, struct secret *text, struct error *err)
{
    struct error unsaid;
    json_t *value;
    int ignored, status;

    if (c->file == NULL)
        return secret_set(text, c->value.bytes, c->value.len);
    status = secret_from_whole_file(text, c->file, SECRET_TEXT_MAX, &ignored, err);
    if (status != 0)
        return status;
    value = json_parse(text->bytes, text->len, &unsaid);   /* whose words may show what is in it */
    if (!json_is_object(value))
        status = error_set(err, BF_EINVAL, "what lies in %s is not one JSON object", c->file);
    json_decref(value);
    return status;
}

static void read_secret(uv_work_t *work)
{
    struct secret_ask *ask = work->data;
    struct secret text = { 0 };
    int status = text_of(ask->secret, &text, &ask->error);

    if (status != 0) {
        broke(ask, status);
    } else {
        ask->answer = json_pack("{s:s, s:s}", "name", ask->secret->name, "description",
                                ask->secret->description != NULL ? ask->secret->description : "");
        if (ask->answer == NULL)
            abort();
        if (transit_seal(ask->public_key, &text, ask->answer, &ask->error) != 0)
            ask->refusal = 400;
    }
    secret_close(&text);
}

/* Base64 in a query that was not escaped has its '+' read as spaces. */
static char *key_of(const char *text)
{
    char *key = strdup(text);

    if (key == NULL)
        abort();
    for (char *c = key; *c != '\0'; c++) {
        if (*c == ' ')
            *c = '+';
    }
    return key;
}

static void secret_get(const struct api_call *call)
{
    const char *scheme = http_query(call->x, "encryptionScheme"), *key = http_query(call->x, "publicKey");
    const struct secret_config *secret = find(call);
    struct secret_ask *ask;

    if (secret == NULL)
        return;
    if (key == NULL || scheme == NULL || strcmp(scheme, TRANSIT_SCHEME) != 0) {
        api_refuse(call->x, 400, "encryptionScheme=" TRANSIT_SCHEME " is needed, and publicKey");
        return;
    }
    log_info("the secret %s goes to the step run %s of the run %s", secret->name, call->step_run, call->run_id);
    ask = ask_new(call, secret);
    ask->public_key = key_of(key);
    begin(ask, read_secret);
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static int open_pair(struct secret_ask *ask, struct transit_pair **pair)
{
    int status;

    uv_mutex_lock(&pair_lock);
    status = transit_pair_open(ask->pair_path, pair, &ask->error);
    uv_mutex_unlock(&pair_lock);
    if (status != 0)
        broke(ask, status);
    return status;
}

static void tell_public_key(uv_work_t *work)
{
    struct secret_ask *ask = work->data;
    struct transit_pair *pair;
    struct buf text = { 0 };

    if (open_pair(ask, &pair) != 0)
        return;
    transit_pair_public(pair, &text);
    ask->answer = json_string(buf_str(&text));
    if (ask->answer == NULL)
        abort();
    buf_close(&text);
    transit_pair_close(pair);
}

static void public_key_get(const struct api_call *call)
{
    begin(ask_new(call, NULL), tell_public_key);
}

/* The file's own place, also when a link led to it: the link stays. */
static int put_file(const char *path, const struct secret *text, struct error *err)
{
    char *place = realpath(path, NULL);
    int status = place != NULL ? file_write_atomic(place, text->bytes, text->len, 0600, err) :
        error_errno(err, errno, "cannot write the secret to %s", path);

    free(place);
    return status;
}

static void write_secret(uv_work_t *work)
{
    struct secret_ask *ask = work->data;
    struct secret text = { 0 };
    struct transit_pair *pair;
    struct error unsaid;
    json_t *value = NULL;
    int status;

    if (open_pair(ask, &pair) != 0)
        return;
    if (transit_open(pair, ask->body, &text, &ask->error) != 0) {
        ask->refusal = 400;
    } else if (text.len > SECRET_TEXT_MAX || (value = json_parse(text.bytes, text.len, &unsaid)) == NULL || !json_is_object(value)) {
        error_set(&ask->error, BF_EINVAL, "a secret is one JSON object of at most %d bytes", SECRET_TEXT_MAX);
        ask->refusal = 400;
    } else if ((status = put_file(ask->secret->file, &text, &ask->error)) != 0) {
        broke(ask, status);
    } else {
        ask->answer = json_pack("{s:s}", "name", ask->secret->name);
    }
    json_decref(value);
    secret_close(&text);
    transit_pair_close(pair);
}

static void secret_put(const struct api_call *call)
{
    const struct secret_config *secret = find(call);
    struct secret_ask *ask;
    json_t *body;

    if (secret == NULL)
        return;
    if (!secret->writable) {
        api_refuse(call->x, 403, "the secret %s may be read alone: [secret %s] writable = yes lets runs change it", secret->name, secret->name);
        return;
    }
    if (!api_body(call->x, &body))
        return;
    log_notice("the secret %s is changed by the step run %s of the run %s", secret->name, call->step_run, call->run_id);
    ask = ask_new(call, secret);
    ask->body = body;
    begin(ask, write_secret);
}

const struct operation secrets_v1_operations[] = {
    { "GET", "/secrets/publicKey", "getSecretPublicKey", RUN_TOKEN, public_key_get, NULL, false },
    { "GET", "/secrets/{}", "getSecret", RUN_TOKEN, secret_get, "encryptionScheme publicKey", false },
    { "PUT", "/secrets/{}", "setSecret", RUN_TOKEN, secret_put, NULL, false },
};
const size_t secrets_v1_count = sizeof secrets_v1_operations / sizeof *secrets_v1_operations;
