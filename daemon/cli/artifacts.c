/* belfry artifacts: what a run left behind, listed or fetched. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "cli.h"

#define NUMBERS_MAX 10000

const struct cli_option artifacts_options[] = {
    { "get", '\0', "DIR", "fetch them into that folder; nothing there is overwritten" },
    { .name = NULL },
};

static void print_list(const struct cli *cli, const json_t *artifacts)
{
    static const char *const titles[] = { "STEP", "NAME", "SIZE", "SHA-256" };
    struct cli_table table;
    const json_t *one;
    size_t i;

    if (json_array_size(artifacts) == 0) {
        (void)puts("no artifacts");
        return;
    }
    cli_table_init(&table, titles, 4);
    json_array_foreach(artifacts, i, one) {
        char size[32];

        (void)snprintf(size, sizeof size, "%lld", (long long)json_int(one, "size", 0));
        cli_table_add(&table, (const char *const[]) { json_str(one, "step"), json_str(one, "name"), size, json_str(one, "sha256") },
                      NULL);
    }
    cli_table_print(cli, &table);
}

/* A new file in the folder: by its name, or the next free number of it. */
static int create(int dir, const char *name, char taken[FILE_NAME_MAX + 1])
{
    char safe[FILE_NAME_MAX + 1];
    int fd;

    file_safe_name(name, strlen(name), safe);
    (void)snprintf(taken, FILE_NAME_MAX + 1, "%s", safe);
    for (unsigned k = 2; k < NUMBERS_MAX; k++) {
        fd = openat(dir, taken, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
        file_numbered_name(safe, k, taken);
    }
    return -1;
}

static int fetch_one(struct cli *cli, int dir, const char *id, const json_t *artifact)
{
    const char *path = json_str(artifact, "path"), *name = json_str(artifact, "name");
    char taken[FILE_NAME_MAX + 1];
    struct buf url = { 0 };
    int fd, code;

    if (path == NULL || name == NULL)
        return cli_fail(CLI_FAILED, "the daemon's answer makes no sense");
    fd = create(dir, name, taken);
    if (fd < 0)
        return cli_fail(CLI_FAILED, "cannot make %s in %s: %s", name, cli_option(cli, "get"), strerror(errno));
    buf_addf(&url, "/belfry/v1/runs/%s/files/", id);
    for (const char *part = path;;) {
        size_t len = strcspn(part, "/");
        char *segment = strndup(part, len);

        cli_percent(&url, segment != NULL ? segment : "");
        free(segment);
        if (part[len] == '\0')
            break;
        buf_addc(&url, '/');
        part += len + 1;
    }
    code = cli_fetch(cli, buf_str(&url), NULL, fd);
    if (close(fd) != 0 && code == CLI_DONE)
        code = cli_fail(CLI_FAILED, "cannot write %s/%s: %s", cli_option(cli, "get"), taken, strerror(errno));
    if (code != CLI_DONE)
        (void)unlinkat(dir, taken, 0);
    else if (!cli->json)
        (void)printf("%s/%s\n", cli_option(cli, "get"), taken);
    buf_close(&url);
    return code;
}

static int fetch_all(struct cli *cli, const char *id, const json_t *artifacts)
{
    const char *folder = cli_option(cli, "get");
    const json_t *one;
    struct error err;
    int dir, code = CLI_DONE;
    size_t i;

    if (file_make_dirs(folder, 0777, &err) != 0)
        return cli_fail(CLI_FAILED, "%s", err.text);
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return cli_fail(CLI_FAILED, "cannot open %s: %s", folder, strerror(errno));
    json_array_foreach(artifacts, i, one) {
        code = fetch_one(cli, dir, id, one);
        if (code != CLI_DONE)
            break;
    }
    (void)close(dir);
    return code;
}

int command_artifacts(struct cli *cli)
{
    const json_t *artifacts;
    struct buf path = { 0 };
    char id[ID_SIZE];
    json_t *record;
    int code = cli_run_id(cli, cli->words[0], id);

    if (code != CLI_DONE)
        return code;
    buf_addf(&path, "/belfry/v1/runs/%s", id);
    code = cli_get(cli, buf_str(&path), &record);
    buf_close(&path);
    if (code != CLI_DONE)
        return code;
    artifacts = json_object_get(record, "artifacts");
    if (cli_option(cli, "get") != NULL)
        code = fetch_all(cli, id, artifacts);
    if (cli->json) {
        json_t *none = json_array();

        (void)cli_print_json(cli, artifacts != NULL ? artifacts : none);
        json_decref(none);
    } else if (cli_option(cli, "get") == NULL) {
        print_list(cli, artifacts);
    }
    json_decref(record);
    return code;
}
