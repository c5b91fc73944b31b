/* belfry logs: a run's console, as far as it is, or until its end. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

const struct cli_option logs_options[] = {
    { "follow", 'f', NULL, "go on until the run has ended" },
    { .name = NULL },
};

/* To a terminal no byte goes that it would obey; to a file or a pipe they go as they are. */
static void print_bytes(const struct cli *cli, const char *bytes, size_t len)
{
    unsigned char before = 0;

    if (!cli->terminal) {
        (void)fwrite(bytes, 1, len, stdout);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool control = (c < ' ' && c != '\n' && c != '\t') || c == 0x7f || (before == 0xc2 && c >= 0x80 && c < 0xa0);

        if (c != '\r')
            (void)putchar(control ? '?' : c);
        before = c;
    }
}

/* What there is from *offset on. */
static int print_more(struct cli *cli, const char *id, int64_t *offset)
{
    int64_t begin;
    int code;

    do {
        struct buf path = { 0 }, piece = { 0 };

        begin = *offset;
        buf_addf(&path, "/belfry/v1/runs/%s/log?offset=%lld", id, (long long)begin);
        code = cli_fetch(cli, buf_str(&path), &piece, -1);
        print_bytes(cli, buf_str(&piece), piece.len);
        *offset += (int64_t)piece.len;
        buf_close(&path);
        buf_close(&piece);
    } while (code == CLI_DONE && *offset > begin);
    (void)fflush(stdout);
    return code;
}

static int has_ended(struct cli *cli, const char *id, bool *ended)
{
    struct buf path = { 0 };
    json_t *record;
    int code;

    buf_addf(&path, "/belfry/v1/runs/%s?wait_ms=500", id);
    code = cli_get(cli, buf_str(&path), &record);
    *ended = json_str(record, "ended") != NULL && json_str(record, "results") != NULL;
    *ended |= json_str(record, "state") != NULL && strcmp(json_str(record, "state"), "skipped") == 0;
    json_decref(record);
    buf_close(&path);
    return code;
}

int command_logs(struct cli *cli)
{
    int64_t offset = 0;
    bool ended = cli_option(cli, "follow") == NULL;
    char id[ID_SIZE];
    int code = cli_run_id(cli, cli->words[0], id);

    if (code == CLI_DONE)
        code = print_more(cli, id, &offset);
    while (code == CLI_DONE && !ended) {
        code = has_ended(cli, id, &ended);
        if (code == CLI_DONE)
            code = print_more(cli, id, &offset);
    }
    return code;
}
