/* Values with a grammar of their own: schedules, watches, webhooks. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "loader.h"

/* --- [schedule …] ------------------------------------------------------------------------------------------------- */

static void cron(struct loader *l, struct section *s, const struct setting *at)
{
    struct schedule_config *c = s->target;
    struct error why;

    if (cron_parse(at->value, c->name, &c->timing.cron, &why) != 0)
        complain(l, s, at, "%s", why.text);
    else
        c->cron_text = strdup(at->value);
}

static void timezone_of(struct loader *l, struct section *s, const struct setting *at)
{
    struct schedule_config *c = s->target;
    struct error why;

    if (zone_get(at->value, &c->timing.zone, &why) != 0)
        complain(l, s, at, "%s", why.text);
}

static void instant(struct loader *l, struct section *s, const struct setting *at)
{
    int64_t *field = (int64_t *)(void *)((char *)s->target + at->row->offset);

    if (time_parse(at->value, field) != 0)
        complain(l, s, at, "\"%s\" is no time: write 2026-12-24T18:00:00Z or with an offset, +01:00", at->value);
}

static unsigned word_in(const char *const words[], const char *word)
{
    unsigned k = 0;

    while (words[k] != NULL && strcmp(words[k], word) != 0)
        k++;
    return words[k] != NULL ? k + 1 : 0;
}

static void dst_gap(struct loader *l, struct section *s, const struct setting *at)
{
    static const char *const words[] = { "after", "skip", "shift", NULL };
    struct timing *t = &((struct schedule_config *)s->target)->timing;

    t->gap = (enum dst_gap)word_in(words, at->value);
    if (t->gap == DST_GAP_DEFAULT)
        complain(l, s, at, "\"%s\" is not one of after, skip, shift", at->value);
}

static void dst_repeat(struct loader *l, struct section *s, const struct setting *at)
{
    static const char *const words[] = { "first", "last", "both", NULL };
    struct timing *t = &((struct schedule_config *)s->target)->timing;

    t->repeat = (enum dst_repeat)word_in(words, at->value);
    if (t->repeat == DST_REPEAT_DEFAULT)
        complain(l, s, at, "\"%s\" is not one of first, last, both", at->value);
}

static void calendars(struct loader *l, struct section *s, const struct setting *at)
{
    struct schedule_config *c = s->target;
    bool skip = strcmp(at->row->name, "skip") == 0;
    struct words words = { 0 };
    const struct days **list;
    char near[160];
    size_t n = 0;

    if (words_split(&words, at->value) != 0 || (list = calloc(words.count + 1, sizeof(struct days *))) == NULL)
        abort();
    if (words.count > UINT16_MAX)
        complain(l, s, at, "more calendars than %d", UINT16_MAX);
    for (size_t i = 0; i < words.count && i < UINT16_MAX; i++) {
        struct section *to = section_find(l, "calendar", words.items[i]);

        if (to == NULL)
            complain(l, s, at, "there is no [calendar %s]%s", words.items[i],
                     hint_section(l, "calendar", words.items[i], near));
        else
            list[n++] = &((struct calendar_config *)to->target)->days;
    }
    *(skip ? &c->timing.skip : &c->timing.only) = list;
    *(skip ? &c->timing.skip_count : &c->timing.only_count) = (uint16_t)n;
    words_close(&words);
}

/* --- [watch …] ---------------------------------------------------------------------------------------------------- */

static void existing(struct loader *l, struct section *s, const struct setting *at)
{
    struct watch_config *w = s->target;

    w->existing = strcmp(at->value, "run") == 0;
    if (!w->existing && strcmp(at->value, "ignore") != 0)
        complain(l, s, at, "\"%s\" is neither run nor ignore", at->value);
}

static void batch(struct loader *l, struct section *s, const struct setting *at)
{
    ((struct watch_config *)s->target)->batch = 1;
    if (strcmp(at->value, "1") != 0)
        complain(l, s, at, "batches are not supported by this version: a watch fires once for each file");
}

static void after(struct loader *l, struct section *s, const struct setting *at)
{
    struct after_config *a = (struct after_config *)(void *)((char *)s->target + at->row->offset);
    const char *dir = at->value + strcspn(at->value, " \t");

    if (strcmp(at->value, "keep") == 0) {
        a->kind = AFTER_KEEP;
    } else if (strcmp(at->value, "delete") == 0) {
        a->kind = AFTER_DELETE;
    } else if (strncmp(at->value, "move", 4) == 0 && dir == at->value + 4 && dir[strspn(dir, " \t")] != '\0') {
        a->kind = AFTER_MOVE;
        a->dir = resolve_path(l, s, dir + strspn(dir, " \t"));
    } else {
        complain(l, s, at, "\"%s\" is not one of keep, delete, move DIR", at->value);
    }
}

/* --- [webhook …] -------------------------------------------------------------------------------------------------- */

static void methods(struct loader *l, struct section *s, const struct setting *at)
{
    static const char *const known[] = { "POST", "PUT", "GET", "DELETE", "PATCH", NULL };
    struct words *words = &((struct webhook_config *)s->target)->methods;
    char near[160];

    words_close(words);
    if (words_split(words, at->value) != 0)
        abort();
    for (size_t i = 0; i < words->count; i++) {
        unsigned k = 0;

        while (known[k] != NULL && strcmp(known[k], words->items[i]) != 0)
            k++;
        if (known[k] == NULL)
            complain(l, s, at, "\"%s\" is not one of POST, PUT, GET, DELETE, PATCH%s", words->items[i],
                     hint(words->items[i], known, near));
    }
    if (words->count == 0)
        complain(l, s, at, "a method has to follow");
}

static const char *const schemes[] = { [VERIFY_NONE] = "none", [VERIFY_BEARER] = "bearer", [VERIFY_BASIC] = "basic",
    [VERIFY_GITHUB] = "github", [VERIFY_GITLAB] = "gitlab", [VERIFY_SLACK] = "slack", [VERIFY_STRIPE] = "stripe",
    [VERIFY_STANDARD] = "standard", [VERIFY_HMAC] = "hmac", NULL };

/* hmac HEADER [PREFIX] [hex|base64] */
static bool hmac_words(struct verify_config *v, const struct words *words)
{
    size_t n = words->count;

    if (n > 2 && (strcmp(words->items[n - 1], "hex") == 0 || strcmp(words->items[n - 1], "base64") == 0))
        v->base64 = strcmp(words->items[--n], "base64") == 0;
    if (n < 2 || n > 3)
        return false;
    v->header = strdup(words->items[1]);
    v->prefix = strdup(n == 3 ? words->items[2] : "");
    return v->header != NULL && v->prefix != NULL;
}

static void verify(struct loader *l, struct section *s, const struct setting *at)
{
    struct verify_config *v = &((struct webhook_config *)s->target)->verify;
    struct words words = { 0 };
    char near[160];
    unsigned k = 0;

    if (words_split(&words, at->value) != 0)
        abort();
    while (schemes[k] != NULL && (words.count == 0 || strcmp(schemes[k], words.items[0]) != 0))
        k++;
    v->scheme = k;
    if (schemes[k] == NULL)
        complain(l, s, at, "\"%s\" is no scheme: write none, bearer, basic, github, gitlab, slack, stripe, standard or hmac HEADER"
                 " [PREFIX] [hex|base64]%s", at->value, words.count > 0 ? hint(words.items[0], schemes, near) : "");
    else if (k == VERIFY_HMAC && !hmac_words(v, &words))
        complain(l, s, at, "write hmac HEADER [PREFIX] [hex|base64]");
    else if (k != VERIFY_HMAC && words.count != 1)
        complain(l, s, at, "nothing may follow %s", schemes[k]);
    if (schemes[k] == NULL)
        v->scheme = VERIFY_NONE;
    words_close(&words);
}

static bool network(const char *text, struct network *net)
{
    const char *slash = strchr(text, '/');
    char address[64];
    int64_t bits = -1;
    bool v4;

    if (slash != NULL && text_int(slash + 1, 0, 128, &bits) != 0)
        return false;
    (void)snprintf(address, sizeof address, "%.*s", slash != NULL ? (int)(slash - text) : (int)strlen(text), text);
    v4 = inet_pton(AF_INET, address, net->address + 12) == 1;
    if (v4) {
        memset(net->address, 0, 10);
        net->address[10] = net->address[11] = 0xFF;
        if (bits > 32)
            return false;
        net->bits = (uint8_t)(bits < 0 ? 128 : 96 + bits);
        return true;
    }
    net->bits = (uint8_t)(bits < 0 ? 128 : bits);
    return inet_pton(AF_INET6, address, net->address) == 1;
}

static void allow_from(struct loader *l, struct section *s, const struct setting *at)
{
    struct webhook_config *w = s->target;
    struct words words = { 0 };

    if (words_split(&words, at->value) != 0 || (w->allow_from = calloc(words.count + 1, sizeof *w->allow_from)) == NULL)
        abort();
    for (size_t i = 0; i < words.count; i++) {
        if (network(words.items[i], &w->allow_from[w->allow_count]))
            w->allow_count++;
        else
            complain(l, s, at, "\"%s\" is no network: write 192.0.2.0/24 or 2001:db8::/32", words.items[i]);
    }
    if (words.count == 0)
        complain(l, s, at, "a network has to follow");
    words_close(&words);
}

static void respond(struct loader *l, struct section *s, const struct setting *at)
{
    struct webhook_config *w = s->target;

    w->respond_result = strcmp(at->value, "result") == 0;
    if (!w->respond_result && strcmp(at->value, "accepted") != 0)
        complain(l, s, at, "\"%s\" is neither accepted nor result", at->value);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

struct custom_row {
    const char *kind;
    const char *key;
    void (*set)(struct loader *l, struct section *s, const struct setting *at);
};

static const struct custom_row customs[] = {
    { "schedule", "cron", cron },
    { "schedule", "timezone", timezone_of },
    { "schedule", "start", instant },
    { "schedule", "end", instant },
    { "schedule", "dst_gap", dst_gap },
    { "schedule", "dst_repeat", dst_repeat },
    { "schedule", "skip", calendars },
    { "schedule", "only", calendars },
    { "watch", "existing", existing },
    { "watch", "batch", batch },
    { "watch", "success", after },
    { "watch", "failure", after },
    { "webhook", "methods", methods },
    { "webhook", "verify", verify },
    { "webhook", "allow_from", allow_from },
    { "webhook", "respond", respond },
};

bool set_custom_trigger(struct loader *l, struct section *s, const struct setting *setting)
{
    for (size_t i = 0; i < sizeof customs / sizeof *customs; i++) {
        if (strcmp(customs[i].kind, s->row->kind) != 0 || strcmp(customs[i].key, setting->row->name) != 0)
            continue;
        customs[i].set(l, s, setting);
        return true;
    }
    return false;
}
