/* belfry check: the same as belfryd -t. */
#include <stdio.h>
#include <string.h>

#include "belfry/config/config.h"
#include "belfry/triggers/eval.h"
#include "cli.h"

static json_t *lines_of(const char *text)
{
    json_t *list = json_array();

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        if (len > 0)
            (void)json_array_append_new(list, json_stringn(text, len));
        text += len + (text[len] == '\n');
    }
    return list;
}

static int print_result(const struct cli *cli, const struct config *config, const char *report)
{
    if (cli->json)
        (void)cli_print_json(cli, json_pack("{s:b, s:o}", "good", config != NULL, config != NULL ? "warnings" : "problems",
                                            lines_of(report)));
    else
        (void)fputs(report, config != NULL ? stdout : stderr);
    if (config == NULL)
        return CLI_BAD_CONFIG;
    if (!cli->json)
        (void)printf("%s: good: workspaces %zu, processes %zu, schedules %zu, watches %zu, webhooks %zu\n", config->path,
                     config->workspace_count, config->process_count, config->schedule_count, config->watch_count,
                     config->webhook_count);
    return CLI_DONE;
}

int command_check(struct cli *cli)
{
    struct eval_checker *checker;
    struct config *config = NULL;
    struct buf report = { 0 };
    struct error err;
    int code;

    if (cli->socket != NULL && cli->config == NULL && cli_option(cli, "socket") != NULL)
        return cli_fail(CLI_USAGE, "check reads a file: name it with -c");
    if (eval_checker_new(&checker, &err) != 0)
        return cli_fail(CLI_FAILED, "%s", err.text);
    (void)config_load(cli->config != NULL ? cli->config : config_default_path(), eval_check, checker, &config, &report);
    eval_checker_free(checker);
    code = print_result(cli, config, buf_str(&report));
    buf_close(&report);
    config_release(config);
    return code;
}
