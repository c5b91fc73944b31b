/* Files become sections, sections become the configuration, and every problem is told in one go. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/config/ini.h"
#include "loader.h"

#define FILE_MAX (64 << 20)
#define SECTIONS_MAX 200000

/* --- problems ----------------------------------------------------------------------------------------------------- */

static void add_problem(struct loader *l, unsigned file, unsigned line, const char *text)
{
    struct problem *grown = reallocarray(l->problems, l->problem_count + 1, sizeof *grown);
    struct buf shown = { 0 };

    if (grown == NULL)
        abort();
    l->problems = grown;
    /* What stands in a file may hold anything: it is shown, not obeyed, by the terminal. */
    text_printable(text, strlen(text), &shown);
    grown[l->problem_count] = (struct problem) { .file = file, .line = line, .order = l->problem_count, .text = buf_take(&shown) };
    l->problem_count++;
}

void complain_at(struct loader *l, unsigned file, unsigned line, const char *format, ...)
{
    struct buf text = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    add_problem(l, file, line, buf_str(&text));
    buf_close(&text);
}

void complain(struct loader *l, const struct section *s, const struct setting *at, const char *format, ...)
{
    struct buf text = { 0 };
    va_list ap;

    buf_addf(&text, "[%s] ", s->title);
    if (at != NULL)
        buf_addf(&text, "%s: ", at->key);
    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    add_problem(l, s->file, at != NULL ? at->line : s->line, buf_str(&text));
    buf_close(&text);
}

const char *hint(const char *word, const char *const words[], char out[160])
{
    const char *near = text_nearest(word, words);

    out[0] = '\0';
    if (near != NULL)
        (void)snprintf(out, 160, " (did you mean \"%s\"?)", near);
    return out;
}

static int by_place(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void tell_problems(struct loader *l, struct buf *report)
{
    if (l->problem_count > 0)
        qsort(l->problems, l->problem_count, sizeof *l->problems, by_place);
    for (size_t i = 0; i < l->problem_count; i++)
        buf_addf(report, "%s:%u: %s\n", l->files[l->problems[i].file], l->problems[i].line, l->problems[i].text);
}

/* --- sections ----------------------------------------------------------------------------------------------------- */

struct section *section_find(const struct loader *l, const char *kind, const char *name)
{
    struct buf title = { 0 };
    struct section *found;

    buf_addf(&title, "%s%s%s", kind, name[0] != '\0' ? " " : "", name);
    HASH_FIND_STR(l->sections, buf_str(&title), found);
    buf_close(&title);
    return found;
}

const struct setting *setting_of(const struct section *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->settings[i].row->name, key) == 0)
            return &s->settings[i];
    }
    return NULL;
}

char *resolve_path(const struct loader *l, const struct section *s, const char *path)
{
    const char *file = l->files[s->file], *slash = strrchr(file, '/');
    char *dir = slash != NULL ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : strdup(".");
    char *full = dir != NULL ? file_join(dir, path) : NULL;

    free(dir);
    if (full == NULL)
        abort();
    return full;
}

static const struct section_row *row_of_kind(const char *kind)
{
    for (const struct section_row *row = config_sections; row->kind != NULL; row++) {
        if (strcmp(row->kind, kind) == 0)
            return row;
    }
    return NULL;
}

static void unknown_kind(struct loader *l, unsigned line, const char *title, const char *kind)
{
    const char *kinds[16];
    size_t n = 0;
    char near[160];

    if (strcmp(title, "?") == 0)
        return;   /* it was no section at all, and has been told */
    if (strcmp(kind, "notify") == 0) {
        complain_at(l, l->file, line, "[%s]: sections of this kind are not supported by this version", title);
        return;
    }
    for (const struct section_row *row = config_sections; row->kind != NULL; row++)
        kinds[n++] = row->kind;
    kinds[n] = NULL;
    complain_at(l, l->file, line, "[%s]: there is no such kind of section%s", title, hint(kind, kinds, near));
}

static bool good_name(const char *name)
{
    if (name[0] == '\0' || strlen(name) > 64)
        return false;
    for (const char *c = name; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              (strchr("._-", *c) != NULL && c != name)))
            return false;
    }
    return true;
}

static void begin_section(struct loader *l, unsigned line, const char *title)
{
    size_t kind_len = strcspn(title, " \t");
    const char *name = title + kind_len + strspn(title + kind_len, " \t");
    char *kind = strndup(title, kind_len);
    const struct section_row *row = kind != NULL ? row_of_kind(kind) : NULL;
    struct section *s = NULL;
    struct buf normal = { 0 };

    l->current = NULL;
    if (row == NULL) {
        unknown_kind(l, line, title, kind != NULL ? kind : "");
    } else if (row->named && !good_name(name)) {
        complain_at(l, l->file, line, "[%s]: a name of letters, digits, '.', '_' and '-' has to follow, at most 64 bytes", title);
    } else if (!row->named && name[0] != '\0') {
        complain_at(l, l->file, line, "[%s]: this section has no name: write [%s]", title, kind);
    } else if ((s = section_find(l, kind, name)) != NULL) {
        complain_at(l, l->file, line, "[%s]: the section stands already in %s:%u", s->title, l->files[s->file], s->line);
    } else {
        s = calloc(1, sizeof *s);
        buf_addf(&normal, "%s%s%s", kind, name[0] != '\0' ? " " : "", name);
        if (s == NULL || (s->title = buf_take(&normal)) == NULL)
            abort();
        s->row = row;
        s->name = name[0] != '\0' ? s->title + kind_len + 1 : s->title + kind_len;
        s->file = l->file;
        s->line = line;
        HASH_ADD_KEYPTR(hh, l->sections, s->title, strlen(s->title), s);
        *l->last = s;
        l->last = &s->next;
        l->current = s;
    }
    free(kind);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static const char *const endings[] = { "_file", "_env", "_credential" };   /* of a secret's key */
#define ENDINGS (sizeof endings / sizeof *endings)

static bool is_secret_key(const struct key_row *row, const char *key)
{
    size_t len = strlen(row->name);

    for (size_t i = 0; i < ENDINGS && strncmp(key, row->name, len) == 0; i++) {
        if (strcmp(key + len, endings[i]) == 0)
            return true;
    }
    return false;
}

static const struct key_row *row_of_key(const struct section_row *section, const char *key)
{
    for (const struct key_row *row = section->keys; row->name != NULL; row++) {
        if (row->type == KEY_SECRET ? is_secret_key(row, key) : strcmp(row->name, key) == 0)
            return row;
    }
    return NULL;
}

static void unknown_key(struct loader *l, const struct section *s, const struct setting *at)
{
    char near[160], forms[4 * ENDINGS][64];
    size_t n = 0, formed = 0;
    const char *names[64];

    for (const struct key_row *row = s->row->keys; row->name != NULL && n + ENDINGS < 63; row++) {
        if (row->type == KEY_SECRET && strcmp(row->name, at->key) == 0) {
            complain(l, s, at, "a secret is never written here: use %s_file, %s_env or %s_credential", at->key, at->key, at->key);
            return;
        }
        for (size_t i = 0; row->type == KEY_SECRET && i < ENDINGS && formed < sizeof forms / sizeof *forms; i++) {
            (void)snprintf(forms[formed], sizeof forms[formed], "%s%s", row->name, endings[i]);
            names[n++] = forms[formed++];
        }
        names[n++] = row->name;
    }
    names[n] = NULL;
    complain(l, s, at, "there is no such key%s", hint(at->key, names, near));
}

static void add_setting(struct loader *l, struct section *s, unsigned line, const char *key, const char *value)
{
    struct setting at = { .row = row_of_key(s->row, key), .key = (char *)(uintptr_t)key, .line = line };
    struct setting *grown;

    if (at.row == NULL) {
        unknown_key(l, s, &at);
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->settings[i].key, key) == 0) {
            complain(l, s, &at, "the key stands already in line %u", s->settings[i].line);
            return;
        }
    }
    at.value = expand(l, s, line, key, value);
    if (at.value == NULL)
        return;
    grown = reallocarray(s->settings, s->count + 1, sizeof *grown);
    if (grown == NULL || (at.key = strdup(key)) == NULL)
        abort();
    s->settings = grown;
    s->settings[s->count++] = at;
}

static int on_entry(void *data, const struct ini_entry *e)
{
    struct loader *l = data;

    if (e->key == NULL)
        begin_section(l, e->line, e->section);
    else if (l->current != NULL)
        add_setting(l, l->current, e->line, e->key, e->value);
    else if (e->section[0] == '\0')
        complain_at(l, l->file, e->line, "%s: a key has to stand in a section", e->key);
    return HASH_COUNT(l->sections) > SECTIONS_MAX ? BF_ETOOBIG : 0;
}

static void on_problem(void *data, unsigned line, const char *what)
{
    struct loader *l = data;

    complain_at(l, l->file, line, "%s", what);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void add_file(struct loader *l, char *path)
{
    char **grown = reallocarray(l->files, l->file_count + 1, sizeof *grown);

    if (grown == NULL || path == NULL)
        abort();
    l->files = grown;
    l->files[l->file_count++] = path;
}

static int is_conf(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int find_files(struct loader *l, const char *path, struct error *err)
{
    char *main_file = realpath(path, NULL), *dir;
    struct dirent **names = NULL;
    int count, status = 0;

    if (main_file == NULL)
        return error_errno(err, errno, "cannot read the configuration %s", path);
    add_file(l, main_file);
    l->config->path = strdup(main_file);
    dir = strndup(main_file, (size_t)(strrchr(main_file, '/') - main_file));
    if (dir != NULL) {
        char *more = file_join(dir, "conf.d");

        free(dir);
        dir = more;
    }
    count = dir != NULL ? scandir(dir, &names, is_conf, by_bytes) : 0;
    if (count < 0 && errno != ENOENT)
        status = error_errno(err, errno, "cannot list %s", dir);
    for (int i = 0; i < count; i++) {
        add_file(l, file_join(dir, names[i]->d_name));
        free(names[i]);
    }
    free(names);
    free(dir);
    return status;
}

static int read_file(struct loader *l, unsigned index, struct error *err)
{
    struct buf text = { 0 };
    int status;

    l->file = index;
    l->current = NULL;
    status = file_read(l->files[index], FILE_MAX, &text, err);
    if (status == 0) {
        status = ini_read(buf_str(&text), text.len, on_entry, on_problem, l);
        if (status != 0)
            error_set(err, status, "cannot read %s: %s", l->files[index], status == BF_ETOOBIG ?
                      "there are more than 200000 sections" : error_name(status));
    }
    buf_close(&text);
    return status;
}

/* --- the typed structs -------------------------------------------------------------------------------------------- */

static size_t count_kind(const struct loader *l, const char *kind)
{
    size_t n = 0;

    for (const struct section *s = l->first; s != NULL; s = s->next)
        n += strcmp(s->row->kind, kind) == 0;
    return n;
}

struct kind_list {
    const char *kind;
    void ***list;
    size_t *count;
};

static void give_place(struct loader *l, struct section *s, const struct kind_list *lists, size_t list_count)
{
    struct config *c = l->config;

    if (strcmp(s->row->kind, "daemon") == 0) {
        s->target = &c->daemon;
    } else if (strcmp(s->row->kind, "http") == 0) {
        s->target = &c->http;
    } else if (strcmp(s->row->kind, "syslog") == 0) {
        s->target = &c->syslog;
    } else if (strcmp(s->row->kind, "schedule") == 0) {
        s->target = &c->schedules[c->schedule_count++];
    } else {
        for (size_t i = 0; i < list_count; i++) {
            if (strcmp(lists[i].kind, s->row->kind) != 0)
                continue;
            s->target = calloc(1, s->row->size);
            if (s->target == NULL)
                abort();
            (*lists[i].list)[(*lists[i].count)++] = s->target;
        }
    }
    /* The name is the first member of every named section's struct. */
    if (s->row->named && (*(char **)s->target = strdup(s->name)) == NULL)
        abort();
}

static void give_places(struct loader *l)
{
    struct config *c = l->config;
    const struct kind_list lists[] = {
        { "workspace", (void ***)&c->workspaces, &c->workspace_count },
        { "process", (void ***)&c->processes, &c->process_count },
        { "step", (void ***)&c->steps, &c->step_count },
        { "secret", (void ***)&c->secrets, &c->secret_count },
        { "calendar", (void ***)&c->calendars, &c->calendar_count },
        { "watch", (void ***)&c->watches, &c->watch_count },
        { "webhook", (void ***)&c->webhooks, &c->webhook_count },
    };
    size_t n = sizeof lists / sizeof *lists;

    for (size_t i = 0; i < n; i++) {
        *lists[i].list = calloc(count_kind(l, lists[i].kind) + 1, sizeof(void *));
        if (*lists[i].list == NULL)
            abort();
    }
    c->schedules = calloc(count_kind(l, "schedule") + 1, sizeof *c->schedules);
    if (c->schedules == NULL)
        abort();
    for (struct section *s = l->first; s != NULL; s = s->next)
        give_place(l, s, lists, n);
}

static void fill_section(struct loader *l, struct section *s)
{
    for (const struct key_row *row = s->row->keys; row->name != NULL; row++) {
        if (row->type != KEY_SECRET && setting_of(s, row->name) == NULL)
            set_default(l, s, row);
    }
    for (size_t i = 0; i < s->count; i++)
        set_value(l, s, &s->settings[i]);
    check_section(l, s);
}

/* [daemon], [http] and [syslog] are there though no file names them. */
static void add_missing(struct loader *l)
{
    static const char *const always[] = { "daemon", "http", "syslog" };

    for (size_t i = 0; i < 3; i++) {
        if (section_find(l, always[i], "") == NULL) {
            l->file = 0;
            begin_section(l, 1, always[i]);
        }
    }
}

static void fill_all(struct loader *l)
{
    add_missing(l);
    give_places(l);
    /* What is referred to comes before what refers: calendars and workspaces, processes, triggers. */
    for (const struct section_row *row = config_sections; row->kind != NULL; row++) {
        for (struct section *s = l->first; s != NULL; s = s->next) {
            if (s->row == row)
                fill_section(l, s);
        }
    }
    check_all(l);
}

static void loader_close(struct loader *l)
{
    struct section *s, *next;

    HASH_CLEAR(hh, l->sections);
    for (s = l->first; s != NULL; s = next) {
        next = s->next;
        for (size_t i = 0; i < s->count; i++) {
            free(s->settings[i].key);
            free(s->settings[i].value);
        }
        free(s->settings);
        free(s->title);
        free(s);
    }
    for (size_t i = 0; i < l->problem_count; i++)
        free(l->problems[i].text);
    free(l->problems);
    for (size_t i = 0; i < l->file_count; i++)
        free(l->files[i]);
    free(l->files);
}

int config_load(const char *path, config_check_program check, void *check_data, struct config **config,
                struct buf *report)
{
    struct loader l = { .check = check, .check_data = check_data, .warnings = report };
    struct error err = { 0 };
    int status;

    *config = NULL;
    l.last = &l.first;
    l.config = calloc(1, sizeof *l.config);
    if (l.config == NULL)
        return BF_ENOMEM;
    l.config->refs = 1;
    status = find_files(&l, path, &err);
    for (unsigned i = 0; i < l.file_count && status == 0; i++)
        status = read_file(&l, i, &err);
    if (status != 0) {
        buf_addf(report, "%s\n", err.text);
    } else {
        fill_all(&l);
        if (l.problem_count > 0) {
            buf_reset(report);
            tell_problems(&l, report);
            status = BF_EINVAL;
        }
    }
    for (size_t i = 0; status == 0 && i < l.config->process_count; i++) {
        struct process_config *p = l.config->processes[i];

        p->config = l.config;
        for (size_t k = 0; k < p->step_names.count; k++)
            p->steps[k]->config = l.config;
    }
    if (status == 0)
        *config = l.config;
    else
        config_free(l.config);
    loader_close(&l);
    return status;
}

/* --- the command line's short way --------------------------------------------------------------------------------- */

struct socket_search {
    const char *file;
    char *found;
};

static int on_socket_entry(void *data, const struct ini_entry *e)
{
    struct socket_search *search = data;

    if (e->key != NULL && strcmp(e->section, "daemon") == 0 && strcmp(e->key, "socket") == 0) {
        free(search->found);
        search->found = strdup(e->value);
    }
    return 0;
}

static void ignore_problem(void *data, unsigned line, const char *what)
{
    (void)data;
    (void)line;
    (void)what;
}

int config_socket(const char *path, char **socket, struct error *err)
{
    struct loader l = { .last = &l.first, .config = calloc(1, sizeof *l.config) };
    struct socket_search search = { 0 };
    struct section where = { .title = (char *)(uintptr_t)"daemon" };
    struct buf text = { 0 };
    int status = l.config != NULL ? find_files(&l, path, err) : BF_ENOMEM;

    /* A conf.d that this user may not list says nothing about the socket, most likely. */
    if (l.file_count > 0)
        status = 0;
    for (unsigned i = 0; i < l.file_count && status == 0; i++) {
        char *before = search.found;

        buf_reset(&text);
        search.found = NULL;
        if (file_read(l.files[i], FILE_MAX, &text, NULL) == 0)
            status = ini_read(buf_str(&text), text.len, on_socket_entry, ignore_problem, &search);
        if (search.found == NULL) {
            search.found = before;
        } else {
            free(before);
            where.file = i;
        }
    }
    *socket = NULL;
    if (status == 0 && search.found != NULL) {
        char *expanded = expand(&l, &where, 0, "socket", search.found);

        if (expanded == NULL)
            status = error_set(err, BF_EINVAL, "%s", l.problems[0].text);
        else
            *socket = resolve_path(&l, &where, expanded);
        free(expanded);
    } else if (status == 0) {
        *socket = strdup("/run/belfry/belfry.sock");
    }
    free(search.found);
    buf_close(&text);
    config_free(l.config);
    loader_close(&l);
    return status;
}
