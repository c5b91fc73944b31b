/* Values of the usual types. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "loader.h"

/* --- expansion ---------------------------------------------------------------------------------------------------- */

static bool variable_name(const char *name, size_t len)
{
    if (len == 0 || isdigit((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    }
    return true;
}

char *expand(struct loader *l, const struct section *s, unsigned line, const char *key, const char *value)
{
    struct setting at = { .key = (char *)(uintptr_t)key, .line = line };
    struct buf out = { 0 };

    for (const char *c = value; *c != '\0'; c++) {
        const char *end, *set;
        char *name;

        if (c[0] != '$' || (c[1] != '$' && c[1] != '{')) {
            buf_addc(&out, *c);
            continue;
        }
        if (*++c == '$') {
            buf_addc(&out, '$');
            continue;
        }
        end = strchr(c, '}');
        if (end == NULL || !variable_name(c + 1, (size_t)(end - c - 1))) {
            complain(l, s, &at, "${ is not followed by the name of an environment variable and } (a dollar sign is $$)");
            buf_close(&out);
            return NULL;
        }
        name = strndup(c + 1, (size_t)(end - c - 1));
        set = name != NULL ? getenv(name) : NULL;
        if (set == NULL)
            complain(l, s, &at, "the environment variable %s is not set", name != NULL ? name : "?");
        free(name);
        if (set == NULL) {
            buf_close(&out);
            return NULL;
        }
        buf_adds(&out, set);
        c = end;
    }
    return buf_take(&out);
}

/* --- words -------------------------------------------------------------------------------------------------------- */

int words_add(struct words *words, const char *text, size_t len)
{
    char **items = reallocarray(words->items, words->count + 2, sizeof *items);

    if (items == NULL)
        return BF_ENOMEM;
    words->items = items;
    items[words->count] = strndup(text, len);
    if (items[words->count] == NULL)
        return BF_ENOMEM;
    items[++words->count] = NULL;
    return 0;
}

int words_split(struct words *words, const char *text)
{
    while (*(text += strspn(text, " \t\r\n")) != '\0') {
        size_t len = strcspn(text, " \t\r\n");

        if (words_add(words, text, len) != 0)
            return BF_ENOMEM;
        text += len;
    }
    return 0;
}

void words_close(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct words) { 0 };
}

/* --- hosts -------------------------------------------------------------------------------------------------------- */

bool is_loopback(const char *host)
{
    struct in_addr address;

    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

/* --- types -------------------------------------------------------------------------------------------------------- */

static void put_string(char **field, char *value)
{
    free(*field);
    *field = value;
}

/* The place of a word in "a b c" ('-' holds a place that no word has), or -1. */
static int64_t choice(const char *choices, const char *word)
{
    size_t len = strlen(word);

    for (int64_t i = 0; *choices != '\0'; i++) {
        size_t n = strcspn(choices, " ");

        if (n == len && strncmp(choices, word, len) == 0 && strcmp(word, "-") != 0)
            return i;
        choices += n + (choices[n] == ' ');
    }
    return -1;
}

static void bad_choice(struct loader *l, const struct section *s, const struct setting *at)
{
    struct words known = { 0 };
    struct buf list = { 0 };
    char near[160];

    if (words_split(&known, at->row->detail) == 0) {
        for (size_t i = 0; i < known.count; i++) {
            if (strcmp(known.items[i], "-") != 0)
                buf_addf(&list, "%s%s", list.len > 0 ? ", " : "", known.items[i]);
        }
        complain(l, s, at, "\"%s\" is not one of %s%s", at->value, buf_str(&list),
                 hint(at->value, (const char *const *)known.items, near));
    }
    buf_close(&list);
    words_close(&known);
}

static void out_of_bounds(struct loader *l, const struct section *s, const struct setting *at)
{
    const struct key_row *row = at->row;
    char low[32], high[32];

    if (row->type == KEY_DURATION) {
        text_from_duration(row->low, low);
        text_from_duration(row->high, high);
        if (row->high != 0)
            complain(l, s, at, "\"%s\" lies outside %s to %s", at->value, low, high);
        else
            complain(l, s, at, "\"%s\" is shorter than %s", at->value, low);
        return;
    }
    complain(l, s, at, "\"%s\" lies outside %lld to %lld", at->value, (long long)row->low, (long long)row->high);
}

static void set_number(struct loader *l, struct section *s, const struct setting *at, int64_t *field)
{
    const struct key_row *row = at->row;
    int64_t n = 0;
    int status;

    if (row->type == KEY_DURATION)
        status = text_duration_ms(at->value, &n);
    else if (row->type == KEY_SIZE)
        status = text_size(at->value, &n);
    else
        status = text_int(at->value, INT64_MIN + 1, INT64_MAX, &n);
    if (status != 0)
        complain(l, s, at, "\"%s\" is no %s", at->value, row->type == KEY_DURATION ?
                 "duration: write 500ms, 90s, 5m, 2h, 1d or several together" : row->type == KEY_SIZE ?
                 "size: write 4096, 64k, 10M, 1G" : "whole number");
    else if ((row->low != 0 && n < row->low && !(n == 0 && row->otherwise != NULL && strcmp(row->otherwise, "0") == 0)) ||
             (row->high != 0 && n > row->high) || n < 0)
        out_of_bounds(l, s, at);
    else
        *field = n;
}

const char *hint_section(const struct loader *l, const char *kind, const char *name, char out[160])
{
    const char **names;
    size_t count = 0;

    for (const struct section *x = l->first; x != NULL; x = x->next)
        count++;
    names = calloc(count + 1, sizeof *names);
    if (names == NULL)
        abort();
    count = 0;
    for (const struct section *x = l->first; x != NULL; x = x->next) {
        if (strcmp(x->row->kind, kind) == 0)
            names[count++] = x->name;
    }
    (void)hint(name, names, out);
    free(names);
    return out;
}

static void set_reference(struct loader *l, struct section *s, const struct setting *at, const void **field)
{
    const char *kind = at->row->detail;
    struct section *to = section_find(l, kind, at->value);
    char near[160];

    if (to != NULL)
        *field = to->target;
    else
        complain(l, s, at, "there is no [%s %s]%s", kind, at->value, hint_section(l, kind, at->value, near));
}

static void set_program(struct loader *l, struct section *s, const struct setting *at, char **field)
{
    struct error why;

    if (l->check != NULL && l->check(l->check_data, at->value, &why) != 0)
        complain(l, s, at, "%s", why.text);
    else
        put_string(field, strdup(at->value));
}

void set_value(struct loader *l, struct section *s, const struct setting *at)
{
    void *field = (char *)s->target + at->row->offset;
    bool yes;

    switch (at->row->type) {
    case KEY_STRING:
        if (at->value[0] == '\0')
            complain(l, s, at, "the value is empty");
        else
            put_string(field, strdup(at->value));
        return;
    case KEY_PATH:
        if (at->value[0] == '\0')
            complain(l, s, at, "the path is empty");
        else
            put_string(field, resolve_path(l, s, at->value));
        return;
    case KEY_BOOL:
        if (text_bool(at->value, &yes) != 0)
            complain(l, s, at, "\"%s\" is neither yes nor no", at->value);
        else
            *(bool *)field = yes;
        return;
    case KEY_CHOICE:
        if (choice(at->row->detail, at->value) < 0)
            bad_choice(l, s, at);
        else
            *(int64_t *)field = choice(at->row->detail, at->value);
        return;
    case KEY_INT: case KEY_DURATION: case KEY_SIZE:
        set_number(l, s, at, field);
        return;
    case KEY_WORDS: case KEY_LIST_OF_PATHS:
        words_close(field);
        if (words_split(field, at->value) != 0)
            complain(l, s, at, "out of memory");
        return;
    case KEY_REF:
        set_reference(l, s, at, field);
        return;
    case KEY_PROGRAM:
        set_program(l, s, at, field);
        return;
    case KEY_SECRET:
        set_secret(l, s, at);
        return;
    case KEY_CUSTOM:
        if (!set_custom(l, s, at) && !set_custom_trigger(l, s, at))
            complain(l, s, at, "this key is not read");
        return;
    }
}

void set_default(struct loader *l, struct section *s, const struct key_row *row)
{
    struct setting at = { .row = row, .key = (char *)(uintptr_t)row->name, .value = (char *)(uintptr_t)row->otherwise,
        .line = s->line };

    if (row->otherwise != NULL)
        set_value(l, s, &at);
}
