/* belfry reload. */
#include <stdio.h>

#include "cli.h"

int command_reload(struct cli *cli)
{
    struct cli_question q = { .method = "POST", .path = "/belfry/v1/reload", .timeout_ms = 120000 };
    int code = cli_ask(cli, &q);
    const char *warnings = json_str(q.answer, "warnings");
    struct buf shown = { 0 };

    cli_text(&shown, warnings);
    if (code == CLI_DONE && cli->json)
        (void)cli_print_json(cli, q.answer);
    else if (code == CLI_DONE)
        (void)printf("%s%sthe configuration was read again\n", buf_str(&shown), shown.len > 0 ? "\n" : "");
    buf_close(&shown);
    json_decref(q.answer);
    return code;
}
