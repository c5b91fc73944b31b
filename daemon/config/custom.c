/* Values with a grammar of their own: the daemon, processes, secrets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "belfry/base/json.h"
#include "belfry/base/text.h"
#include "belfry/core/run.h"
#include "loader.h"

/* --- [http] and [syslog] ------------------------------------------------------------------------------------------ */

static bool port_at(const char *text, long low)
{
    int64_t port;

    return text_int(text, low, 65535, &port) == 0;
}

static void listen_on(struct loader *l, struct section *s, const struct setting *at)
{
    struct words *listen = s->target != NULL ? &((struct http_config *)s->target)->listen : NULL;

    words_close(listen);
    if (words_split(listen, at->value) != 0)
        abort();
    if (listen->count == 1 && strcmp(listen->items[0], "none") == 0) {
        words_close(listen);
        return;
    }
    for (size_t i = 0; i < listen->count; i++) {
        char *address = listen->items[i], *colon = strrchr(address, ':');
        char *host;

        if (colon == NULL || colon == address || !port_at(colon + 1, 0) ||
            (memchr(address, ':', (size_t)(colon - address)) != NULL && address[0] != '[')) {
            complain(l, s, at, "\"%s\" is no address to listen on: write 127.0.0.1:8750, [::1]:8750 or none", address);
            continue;
        }
        host = strndup(address, (size_t)(colon - address));
        if (host != NULL && !is_loopback(host))
            complain(l, s, at, "%s is not a loopback address: this version serves no TLS, so listen on 127.0.0.1 and put a"
                     " reverse proxy in front", host);
        free(host);
    }
    if (listen->count == 0)
        complain(l, s, at, "an address has to follow, or none");
}

static bool good_target(const char *target)
{
    const char *colon;

    if (strcmp(target, "local") == 0 || strcmp(target, "journal") == 0)
        return true;
    if (strncmp(target, "local:/", 7) == 0)
        return strlen(target) - 6 < 108;
    if (strncmp(target, "udp://", 6) != 0 && strncmp(target, "tcp://", 6) != 0)
        return false;
    colon = strrchr(target + 6, ':');
    return colon != NULL && colon > target + 6 && port_at(colon + 1, 1);
}

static void syslog_targets_of(struct loader *l, struct section *s, const struct setting *at)
{
    struct words *targets = &((struct syslog_config *)s->target)->targets;

    words_close(targets);
    if (words_split(targets, at->value) != 0)
        abort();
    if (targets->count == 1 && strcmp(targets->items[0], "none") == 0) {
        words_close(targets);
        return;
    }
    for (size_t i = 0; i < targets->count; i++) {
        if (!good_target(targets->items[i]))
            complain(l, s, at, "\"%s\" is no target: write local, local:/PATH, udp://HOST:514, tcp://HOST:601, journal or none",
                     targets->items[i]);
    }
}

/* --- [process …] -------------------------------------------------------------------------------------------------- */

/* Words as a shell splits them: quotes, backslashes, nothing expanded. 0, or what is wrong. */
static const char *split_command(const char *text, struct words *words)
{
    struct buf word = { 0 };
    const char *wrong = NULL;
    bool in_word = false;
    char quote = '\0';

    for (const char *c = text; *c != '\0' && wrong == NULL; c++) {
        if (quote == '\'' ? *c == '\'' : quote == '"' && *c == '"') {
            quote = '\0';
        } else if (quote == '\0' && (*c == '\'' || *c == '"')) {
            quote = *c;
            in_word = true;
        } else if (*c == '\\' && quote != '\'' && c[1] != '\0' && (quote == '\0' || strchr("\\\"", c[1]) != NULL)) {
            buf_addc(&word, *++c);
            in_word = true;
        } else if (quote == '\0' && strchr(" \t\r\n", *c) != NULL) {
            if (in_word && words_add(words, buf_str(&word), word.len) != 0)
                wrong = "out of memory";
            buf_reset(&word);
            in_word = false;
        } else {
            buf_addc(&word, *c);
            in_word = true;
        }
    }
    if (quote != '\0')
        wrong = "a quote is not closed";
    else if (in_word && words_add(words, buf_str(&word), word.len) != 0)
        wrong = "out of memory";
    buf_close(&word);
    return wrong;
}

static void command(struct loader *l, struct section *s, const struct setting *at)
{
    struct process_config *p = s->target;
    const char *wrong = split_command(at->value, &p->command);

    p->command_text = strdup(at->value);
    if (wrong != NULL)
        complain(l, s, at, "%s", wrong);
    else if (p->command.count == 0 || p->command.items[0][0] == '\0')
        complain(l, s, at, "a command has to follow");
}

/* Names of sections of a kind, each once. */
static void section_names(struct loader *l, struct section *s, const struct setting *at, const char *kind, struct words *names)
{
    char near[160];

    if (words_split(names, at->value) != 0)
        abort();
    for (size_t i = 0; i < names->count; i++) {
        if (section_find(l, kind, names->items[i]) == NULL)
            complain(l, s, at, "there is no [%s %s]%s", kind, names->items[i], hint_section(l, kind, names->items[i], near));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names->items[i], names->items[k]) == 0)
                complain(l, s, at, "%s comes twice", names->items[i]);
        }
    }
}

static void steps(struct loader *l, struct section *s, const struct setting *at)
{
    struct words *names = &((struct process_config *)s->target)->step_names;

    section_names(l, s, at, "step", names);
    if (names->count == 0)
        complain(l, s, at, "names of [step …] sections have to follow");
}

static void secrets(struct loader *l, struct section *s, const struct setting *at)
{
    section_names(l, s, at, "secret", &((struct process_config *)s->target)->secrets);
}

static void items(struct loader *l, struct section *s, const struct setting *at)
{
    bool *each = &((struct process_config *)s->target)->each;

    *each = strcmp(at->value, "each") == 0;
    if (!*each && strcmp(at->value, "all") != 0)
        complain(l, s, at, "\"%s\" is neither all nor each", at->value);
}

static void env(struct loader *l, struct section *s, const struct setting *at)
{
    struct words *words = &((struct process_config *)s->target)->env;
    const char *wrong = split_command(at->value, words);

    if (wrong != NULL)
        complain(l, s, at, "%s", wrong);
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i];
        size_t name = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

        if (name == 0 || word[name] != '=' || (word[0] >= '0' && word[0] <= '9'))
            complain(l, s, at, "\"%s\" is not NAME=VALUE", word);
    }
}

static void retry_on(struct loader *l, struct section *s, const struct setting *at)
{
    struct words words = { 0 };
    unsigned *bits = &((struct process_config *)s->target)->retry_on;

    *bits = 0;
    if (words_split(&words, at->value) != 0)
        abort();
    for (size_t i = 0; i < words.count; i++) {
        enum run_state state = run_state_from_name(words.items[i]);

        if (state == RUN_FAILED || state == RUN_TIMED_OUT || state == RUN_LOST)
            *bits |= 1u << state;
        else
            complain(l, s, at, "\"%s\" is not one of failed, timed_out, lost", words.items[i]);
    }
    words_close(&words);
}

static void results(struct loader *l, struct section *s, const struct setting *at)
{
    static const char *const names[] = { "artifacts", "work_items", "log", NULL };
    unsigned *bits = &((struct process_config *)s->target)->results;
    struct words words = { 0 };
    char near[160];

    *bits = strcmp(at->value, "yes") == 0 ? RESULTS_ALL : 0;
    if (*bits != 0)
        return;
    if (words_split(&words, at->value) != 0)
        abort();
    for (size_t i = 0; i < words.count; i++) {
        unsigned k = 0;

        while (names[k] != NULL && strcmp(names[k], words.items[i]) != 0)
            k++;
        if (names[k] != NULL)
            *bits |= 1u << k;
        else
            complain(l, s, at, "\"%s\" is neither yes nor one of artifacts, work_items, log%s", words.items[i],
                     hint(words.items[i], names, near));
    }
    words_close(&words);
}

/* --- [calendar …] ------------------------------------------------------------------------------------------------- */

static void calendar_days(struct loader *l, struct section *s, const struct setting *at)
{
    struct calendar_config *c = s->target;
    struct words words = { 0 };
    struct error why;

    if (words_split(&words, at->value) != 0)
        abort();
    for (size_t i = 0; i < words.count; i++) {
        if (days_add(&c->days, words.items[i], &why) != 0)
            complain(l, s, at, "%s", why.text);
    }
    words_close(&words);
}

static void calendar_file(struct loader *l, struct section *s, const struct setting *at)
{
    struct calendar_config *c = s->target;
    char *path = resolve_path(l, s, at->value);
    struct buf text = { 0 };
    struct error why;

    if (file_read(path, 16 << 20, &text, &why) != 0 || days_add_file(&c->days, buf_str(&text), text.len, &why) != 0)
        complain(l, s, at, "%s", why.text);
    buf_close(&text);
    free(path);
}

static void calendar_timezone(struct loader *l, struct section *s, const struct setting *at)
{
    complain(l, s, at, "calendars with a zone of their own are not supported by this version: the schedule's zone counts");
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

static void warn_readable(struct loader *l, const struct section *s, const struct setting *at, const char *path)
{
    buf_addf(l->warnings, "%s:%u: [%s] %s: the secret in %s can be read by others than its owner; chmod go-r it\n",
             l->files[s->file], at->line, s->title, at->key, path);
}

static void take_secret(struct loader *l, struct section *s, const struct setting *at, const char *where, struct secret *into)
{
    int readable = 0, status;
    struct error why;
    char *path = NULL;

    if (strstr(at->key, "_file") != NULL) {
        path = resolve_path(l, s, where);
        status = secret_from_file(into, path, &readable, &why);
        if (readable)
            warn_readable(l, s, at, path);
        free(path);
    } else if (strstr(at->key, "_env") != NULL) {
        status = secret_from_env(into, where, &why);
    } else {
        status = secret_from_credential(into, where, &why);
    }
    if (status != 0)
        complain(l, s, at, "%s", why.text);
}

/* The parser's own words would show what it stumbled over. */
static void check_vault_text(struct loader *l, struct section *s, const struct setting *at, const struct secret *text)
{
    struct error unsaid;
    json_t *value = json_parse(text->bytes, text->len, &unsaid);

    if (!json_is_object(value))
        complain(l, s, at, "the secret is not one JSON object: {\"user\": …, \"password\": …}");
    json_decref(value);
}

/* [secret …]: the whole of a file. */
static void vault_secret(struct loader *l, struct section *s, const struct setting *at)
{
    struct secret_config *c = s->target;
    struct secret text = { 0 };
    int readable = 0, status;
    struct error why;

    if (c->file != NULL || c->value.bytes != NULL) {
        complain(l, s, at, "one of value_file, value_env and value_credential has to be there, and not several");
        return;
    }
    if (strcmp(at->key, "value_env") == 0) {
        status = secret_from_env(&c->value, at->value, &why);
    } else if (strcmp(at->key, "value_file") == 0) {
        c->file = resolve_path(l, s, at->value);
        status = 0;
    } else {
        c->file = secret_credential_path(at->value, &why);
        status = c->file != NULL ? 0 : why.code;
    }
    if (status == 0 && c->file != NULL)
        status = secret_from_whole_file(&text, c->file, SECRET_TEXT_MAX, &readable, &why);
    if (status == 0)
        check_vault_text(l, s, at, c->file != NULL ? &text : &c->value);
    else
        complain(l, s, at, "%s", why.text);
    if (readable && strcmp(at->key, "value_file") == 0)
        warn_readable(l, s, at, c->file);
    secret_close(&text);
}

void set_secret(struct loader *l, struct section *s, const struct setting *at)
{
    struct words words = { 0 };

    if (strcmp(s->row->kind, "secret") == 0) {
        vault_secret(l, s, at);
        return;
    }
    if (strcmp(s->row->kind, "workspace") == 0) {
        take_secret(l, s, at, at->value, &((struct workspace_config *)s->target)->api_key);
        return;
    }
    if (words_split(&words, at->value) != 0)
        abort();
    for (size_t i = 0; i < words.count; i++) {
        struct webhook_config *w = s->target;
        struct secret *grown = reallocarray(w->secrets, w->secret_count + 1, sizeof *grown);

        if (grown == NULL)
            abort();
        w->secrets = grown;
        grown[w->secret_count] = (struct secret) { 0 };
        take_secret(l, s, at, words.items[i], &grown[w->secret_count++]);
    }
    words_close(&words);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

struct custom_row {
    const char *kind;
    const char *key;
    void (*set)(struct loader *l, struct section *s, const struct setting *at);
};

static const struct custom_row customs[] = {
    { "http", "listen", listen_on },
    { "syslog", "target", syslog_targets_of },
    { "process", "command", command },
    { "process", "steps", steps },
    { "process", "env", env },
    { "process", "secrets", secrets },
    { "step", "secrets", secrets },
    { "step", "command", command },
    { "step", "env", env },
    { "step", "items", items },
    { "process", "retry_on", retry_on },
    { "process", "results", results },
    { "calendar", "days", calendar_days },
    { "calendar", "file", calendar_file },
    { "calendar", "timezone", calendar_timezone },
};

bool set_custom(struct loader *l, struct section *s, const struct setting *setting)
{
    for (size_t i = 0; i < sizeof customs / sizeof *customs; i++) {
        if (strcmp(customs[i].kind, s->row->kind) != 0 || strcmp(customs[i].key, setting->row->name) != 0)
            continue;
        customs[i].set(l, s, setting);
        return true;
    }
    return false;
}
