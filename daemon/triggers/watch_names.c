/* Which names count. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/text.h"
#include "watch_internal.h"

static bool matches(const struct words *globs, const char *name)
{
    for (size_t i = 0; i < globs->count; i++) {
        if (text_glob(globs->items[i], name))
            return true;
    }
    return false;
}

/* Hidden files, and what editors, browsers and transfers write before the real one. 4913 is vim's probe. */
static bool is_temporary(const char *name)
{
    static const char *const globs[] = { ".*", "*~", "#*#", "*.swp", "*.swx", "*.tmp", "*.part", "*.partial", "*.crdownload",
                                         "*.filepart", "4913" };

    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        if (text_glob(globs[i], name))
            return true;
    }
    return false;
}

/* As in a shell, only a dot means a dot at the beginning: "*.csv" does not name the ".data.csv" of a transfer under way. */
static bool is_included(const struct watch_config *c, const char *name)
{
    for (size_t i = 0; i < c->include.count; i++) {
        const char *glob = c->include.items[i];

        if ((name[0] != '.' || glob[0] == '.') && text_glob(glob, name))
            return true;
    }
    return false;
}

bool watch_name_counts(const struct watch_config *c, const char *name)
{
    char subject[NAME_MAX + 1];

    if (watch_name_is_marker(c, name, subject) || matches(&c->exclude, name))
        return false;
    if (c->include.count > 0)
        return is_included(c, name);
    return !is_temporary(name);
}

bool watch_name_is_marker(const struct watch_config *c, const char *name, char subject[NAME_MAX + 1])
{
    const char *hole = c->marker != NULL ? strstr(c->marker, "%f") : NULL;
    size_t len = strlen(name), before, after;

    subject[0] = '\0';
    if (c->marker == NULL)
        return false;
    if (hole == NULL)
        return strcmp(c->marker, name) == 0;
    before = (size_t)(hole - c->marker);
    after = strlen(hole + 2);
    if (len <= before + after || len > NAME_MAX || memcmp(name, c->marker, before) != 0 ||
        memcmp(name + len - after, hole + 2, after) != 0)
        return false;
    memcpy(subject, name + before, len - before - after);
    subject[len - before - after] = '\0';
    return true;
}

bool watch_marker_there(const struct watch *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *marker = w->config->marker;
    const char *hole = strstr(marker, "%f");
    char beside[PATH_MAX], full[PATH_MAX];
    struct stat st;
    int len;

    if (hole == NULL)
        len = snprintf(beside, sizeof beside, "%.*s%s", (int)(name - path), path, marker);
    else
        len = snprintf(beside, sizeof beside, "%.*s%.*s%s%s", (int)(name - path), path, (int)(hole - marker), marker, name,
                       hole + 2);
    if (len < 0 || (size_t)len >= sizeof beside || !watch_full_path(w, beside, full))
        return false;
    return lstat(full, &st) == 0 && S_ISREG(st.st_mode);
}

static bool same_folder(const char *a, const char *b)
{
    size_t a_len = a != NULL ? strlen(a) : 0, b_len = strlen(b);

    while (a_len > 1 && a[a_len - 1] == '/')
        a_len--;
    while (b_len > 1 && b[b_len - 1] == '/')
        b_len--;
    return a_len > 0 && a_len == b_len && memcmp(a, b, a_len) == 0;
}

bool watch_is_target(const struct watch *w, const char *full_path)
{
    return same_folder(w->config->success.dir, full_path) || same_folder(w->config->failure.dir, full_path);
}
