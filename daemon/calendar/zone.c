/* Zones by name: where they are read from, and the one copy of each that all share. */
#include "belfry/calendar/zone.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "zone_table.h"

#define ZONE_DIR "/usr/share/zoneinfo"
#define LOCALTIME "/etc/localtime"
/* The largest file of the tz database is under 4 kB; "fat" ones stay under 20. */
#define FILE_SIZE_MAX (256 * 1024)
#define NAME_LEN_MAX 128
/* For the nearest known name: folders in folders, and how many names are looked at. */
#define DEPTH_MAX 3
#define NAMES_MAX 4096

static LIST_HEAD(, zone) zones = LIST_HEAD_INITIALIZER(zones);

static const char *zone_dir(void)
{
    const char *dir = getenv("TZDIR");

    return dir != NULL && dir[0] != '\0' ? dir : ZONE_DIR;
}

static bool name_is_safe(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > NAME_LEN_MAX || name[0] == '/' || name[len - 1] == '/' || strstr(name, "..") != NULL ||
        strstr(name, "//") != NULL)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+/-") == len;
}

static void zone_free(struct zone *zone)
{
    free(zone->name);
    free(zone->key);
    free(zone->changes);
    free(zone);
}

int zone_from_bytes(const char *name, const void *bytes, size_t len, struct zone **zone, struct error *err)
{
    struct zone *z = calloc(1, sizeof *z);
    int rc;

    *zone = NULL;
    if (z == NULL || (z->name = strdup(name)) == NULL) {
        free(z);
        return error_set(err, BF_ENOMEM, "no memory for time zone \"%s\"", name);
    }
    z->refs = 1;
    rc = zone_table_read(z, bytes, len, err);
    if (rc != 0) {
        zone_free(z);
        return rc;
    }
    *zone = z;
    return 0;
}

/* UTC needs no file: it works in a container that has no tz database too. */
static int zone_make_utc(struct zone **zone, struct error *err)
{
    static const unsigned char utc[] = "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
                                       "\0\0\0\0\0\0UTC";

    return zone_from_bytes("UTC", utc, sizeof utc, zone, err);
}

struct names {
    char *list[NAMES_MAX + 1];   /* NULL at the end */
    size_t count;
};

/* Names of zones begin with a capital in each of their parts; "posix", "right" and the tables do not. */
static void names_collect(struct names *names, const char *dir, const char *below, int depth)
{
    char *path = file_join(dir, below);
    DIR *folder = path != NULL ? opendir(path) : NULL;
    struct dirent *entry;

    free(path);
    if (folder == NULL)
        return;
    while (names->count < NAMES_MAX && (entry = readdir(folder)) != NULL) {
        char name[NAME_LEN_MAX + 1];
        int len;

        if (entry->d_name[0] < 'A' || entry->d_name[0] > 'Z')
            continue;
        len = snprintf(name, sizeof name, "%s%s%s", below, below[0] != '\0' ? "/" : "", entry->d_name);
        if (len < 0 || (size_t)len >= sizeof name)
            continue;
        if (entry->d_type == DT_DIR && depth < DEPTH_MAX)
            names_collect(names, dir, name, depth + 1);
        else if (entry->d_type != DT_DIR && (names->list[names->count] = strdup(name)) != NULL)
            names->count++;
    }
    closedir(folder);
}

/* "europe/berlin" and "Berlin" mean Europe/Berlin; else the word that differs least. */
static const char *names_nearest(const struct names *names, const char *wanted)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *slash = strrchr(names->list[i], '/');

        if (strcasecmp(names->list[i], wanted) == 0 || (slash != NULL && strcasecmp(slash + 1, wanted) == 0))
            return names->list[i];
    }
    return text_nearest(wanted, (const char *const *)names->list);
}

static int unknown_zone(const char *name, struct error *err)
{
    struct names *names = calloc(1, sizeof *names);
    const char *nearest = NULL;

    if (names != NULL) {
        names_collect(names, zone_dir(), "", 1);
        nearest = names_nearest(names, name);
    }
    if (nearest != NULL)
        error_set(err, BF_ENOENT, "there is no time zone \"%s\" in %s; did you mean \"%s\"?", name, zone_dir(), nearest);
    else
        error_set(err, BF_ENOENT, "there is no time zone \"%s\" in %s (is the package tzdata installed?)", name, zone_dir());
    for (size_t i = 0; names != NULL && i < names->count; i++)
        free(names->list[i]);
    free(names);
    return BF_ENOENT;
}

/* The name that /etc/localtime points to, for people; "localtime" where it is a file of its own. */
static void local_name(char out[NAME_LEN_MAX + 1])
{
    char target[PATH_MAX];
    ssize_t len = readlink(LOCALTIME, target, sizeof target - 1);
    const char *name;

    snprintf(out, NAME_LEN_MAX + 1, "localtime");
    if (len <= 0)
        return;
    target[len] = '\0';
    name = strstr(target, "/zoneinfo/");
    if (name != NULL && name_is_safe(name + strlen("/zoneinfo/")))
        snprintf(out, NAME_LEN_MAX + 1, "%s", name + strlen("/zoneinfo/"));
}

static int zone_load(const char *name, const char *path, struct zone **zone, struct error *err)
{
    struct buf bytes;
    int rc;

    buf_init(&bytes);
    rc = file_read(path, FILE_SIZE_MAX, &bytes, err);
    if (rc == 0)
        rc = zone_from_bytes(name, buf_str(&bytes), bytes.len, zone, err);
    buf_close(&bytes);
    if (rc != 0)
        error_prefix(err, "time zone \"%s\" (%s)", name, path);
    return rc;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct zone *cache_find(const char *key, const struct stat *file)
{
    struct zone *zone;

    LIST_FOREACH(zone, &zones, entry) {
        if (strcmp(zone->key, key) == 0 && same_file(&zone->file, file))
            return zone;
    }
    return NULL;
}

static int cache_add(struct zone *zone, const char *key, const struct stat *file, struct error *err)
{
    zone->key = strdup(key);
    if (zone->key == NULL)
        return error_set(err, BF_ENOMEM, "no memory for time zone \"%s\"", zone->name);
    zone->file = *file;
    zone->cached = true;
    LIST_INSERT_HEAD(&zones, zone, entry);
    return 0;
}

static int zone_make(const char *key, const char *path, const struct stat *file, bool there, struct zone **zone,
                     struct error *err)
{
    char name[NAME_LEN_MAX + 1];

    if (!there)
        return zone_make_utc(zone, err);
    if (key[0] == '\0')
        local_name(name);
    else
        snprintf(name, sizeof name, "%s", key);
    if (!S_ISREG(file->st_mode))
        return error_set(err, BF_EINVAL, "time zone \"%s\": %s is no file%s", name, path,
                         S_ISDIR(file->st_mode) ? " but a folder of zones" : "");
    return zone_load(name, path, zone, err);
}

static int zone_find(const char *key, const char *path, struct zone **zone, struct error *err)
{
    struct stat file;
    bool there = stat(path, &file) == 0;
    int why = errno;
    int rc;

    if (!there) {
        memset(&file, 0, sizeof file);
        if (why != ENOENT && why != ENOTDIR)
            return error_errno(err, why, "time zone \"%s\": reading %s", key[0] != '\0' ? key : "of this machine", path);
        if (key[0] != '\0' && strcmp(key, "UTC") != 0)
            return unknown_zone(key, err);
    }
    *zone = cache_find(key, &file);
    if (*zone != NULL) {
        (*zone)->refs++;
        return 0;
    }
    rc = zone_make(key, path, &file, there, zone, err);
    if (rc != 0)
        return rc;
    rc = cache_add(*zone, key, &file, err);
    if (rc != 0) {
        zone_free(*zone);
        *zone = NULL;
    }
    return rc;
}

int zone_get(const char *name, struct zone **zone, struct error *err)
{
    char *path;
    int rc;

    *zone = NULL;
    if (name == NULL || name[0] == '\0')
        return zone_find("", LOCALTIME, zone, err);
    if (!name_is_safe(name)) {
        struct buf shown;

        buf_init(&shown);
        text_printable(name, strlen(name), &shown);
        rc = error_set(err, BF_EINVAL, "\"%.200s\" is no name of a time zone: write it as in \"Europe/Berlin\"", buf_str(&shown));
        buf_close(&shown);
        return rc;
    }
    path = file_join(zone_dir(), name);
    if (path == NULL)
        return error_set(err, BF_ENOMEM, "no memory for time zone \"%s\"", name);
    rc = zone_find(name, path, zone, err);
    free(path);
    return rc;
}

void zone_put(struct zone *zone)
{
    if (zone == NULL || --zone->refs > 0)
        return;
    if (zone->cached)
        LIST_REMOVE(zone, entry);
    zone_free(zone);
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}
