/* Words and options, the table of commands, help. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "belfry/base/text.h"
#include "belfry/config/config.h"
#include "cli.h"

const struct cli_command cli_commands[] = {
    { "check", "", 0, 0, "check the configuration, and say what is wrong with it", NULL, NULL, command_check },
    { "status", "", 0, 0, "how the daemon is, and what troubles it", NULL, NULL, command_status },
    { "triggers", "", 0, 0, "schedules, watches and webhooks, and when they ring next", NULL, NULL, command_triggers },
    { "next", "[SCHEDULE]", 0, 1, "when schedules are due",
      "Without SCHEDULE, all of them. With --cron the daemon is not asked.", next_options, command_next },
    { "run", "PROCESS", 1, 1, "start a run",
      "The exit code with --wait is 0 when the run completed, else 1.", run_options, command_run },
    { "runs", "", 0, 0, "list runs, the newest first", NULL, runs_options, command_runs },
    { "show", "RUN", 1, 1, "a run's record",
      "RUN is a run's id, or as much of its beginning or end as no other recent run has.", NULL, command_show },
    { "logs", "RUN", 1, 1, "a run's console", NULL, logs_options, command_logs },
    { "artifacts", "RUN", 1, 1, "the files that a run left behind", NULL, artifacts_options, command_artifacts },
    { "cancel", "RUN", 1, 1, "ask for a run's end", NULL, cancel_options, command_cancel },
    { "retry", "RUN", 1, 1, "try again what failed in a run",
      "The run is taken up as a further attempt: of a process with steps, the work items that failed; of a command, the whole.", NULL,
      command_retry },
    { "pause", "TRIGGER", 1, 1, "let a trigger ring no more",
      "TRIGGER is a name, or KIND/NAME (schedule/nightly) where a name is not enough.", NULL, command_pause },
    { "resume", "TRIGGER", 1, 1, "let a paused trigger ring again", NULL, NULL, command_resume },
    { "keys", "VERB [ID]", 1, 2, "API keys of local workspaces: list, add, show, edit, remove",
      "keys list [-w W]\nkeys add -w W -n NAME -p P,P… [--expires TIME]     prints the key\nkeys show ID\n"
      "keys edit ID [-n NAME] [-p P,P…] [--expires TIME]\nkeys remove ID\n"
      "ID is a key's id, as much of its beginning or end as no other has, or its name.", keys_options, command_keys },
    { "reload", "", 0, 0, "let the daemon read its configuration again, all or nothing", NULL, NULL, command_reload },
    { .name = NULL },
};

/* --- saying what is wrong ----------------------------------------------------------------------------------------- */

int cli_fail(int code, const char *format, ...)
{
    struct buf line = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&line, format, ap);
    va_end(ap);
    (void)fflush(stdout);
    (void)fprintf(stderr, "belfry: %s\n", buf_str(&line));
    buf_close(&line);
    return code;
}

static int fail_with_nearest(const char *what, const char *word, const char *const *known)
{
    const char *nearest = text_nearest(word, known);

    if (nearest != NULL)
        return cli_fail(CLI_USAGE, "there is no %s \"%s\"; do you mean %s?", what, word, nearest);
    return cli_fail(CLI_USAGE, "there is no %s \"%s\"; see belfry help", what, word);
}

/* --- help --------------------------------------------------------------------------------------------------------- */

/* Counted in columns, not in bytes. */
static void print_row(const char *left, size_t width, const char *about)
{
    size_t wide = cli_width(left);

    (void)printf("  %s%*s %s\n", left, wide < width ? (int)(width - wide) : 0, "", about);
}

static void print_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++) {
        char left[48];
        int n = o->letter != '\0' ? snprintf(left, sizeof left, "-%c, --%s", o->letter, o->name)
                                  : snprintf(left, sizeof left, "    --%s", o->name);

        if (o->value != NULL)
            (void)snprintf(left + n, sizeof left - (size_t)n, " %s", o->value);
        print_row(left, 24, o->about);
    }
}

static int print_help(const struct cli_command *command)
{
    if (command != NULL) {
        (void)printf("usage: belfry %s%s%s%s\n\n%s\n", command->name, command->options != NULL ? " [OPTION …]" : "",
                     command->words[0] != '\0' ? " " : "", command->words, command->about);
        if (command->more != NULL)
            (void)printf("%s\n", command->more);
        if (command->options != NULL)
            (void)printf("\n");
        print_options(command->options);
        if (command->run == command_keys)
            keys_print_permissions();
        return CLI_DONE;
    }
    (void)printf("usage: belfry [-c FILE | -s SOCKET] [--json] COMMAND\n\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        char left[48];

        (void)snprintf(left, sizeof left, "%s %s", c->name, c->words);
        print_row(left, 20, c->about);
    }
    print_row("help [COMMAND]", 20, "this, or more of a command\n");
    (void)printf("  -c FILE     the configuration that names the daemon's socket (default: %s)\n", config_default_path());
    (void)printf("  -s SOCKET   the daemon's socket itself (also: $BELFRY_SOCKET)\n");
    (void)printf("  --json      for programs: what the daemon says, as JSON\n");
    (void)printf("  --version   print the version and exit\n\nSee belfry(1).\n");
    return CLI_DONE;
}

static const struct cli_command *find_command(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

static int no_such_command(const char *name)
{
    const char *names[sizeof cli_commands / sizeof *cli_commands];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        names[i] = cli_commands[i].name;
    return fail_with_nearest("command", name, names);
}

/* --- words and options -------------------------------------------------------------------------------------------- */

const char *cli_option(const struct cli *cli, const char *name)
{
    for (size_t i = cli->given_count; i > 0; i--) {
        if (strcmp(cli->given[i - 1].option->name, name) == 0)
            return cli->given[i - 1].value;
    }
    return NULL;
}

bool cli_option_int(const struct cli *cli, const char *name, int64_t low, int64_t high, int64_t otherwise, int64_t *value)
{
    const char *text = cli_option(cli, name);

    *value = otherwise;
    if (text == NULL || text_int(text, low, high, value) == 0)
        return true;
    (void)cli_fail(CLI_USAGE, "--%s: \"%s\" is no number from %lld to %lld", name, text, (long long)low, (long long)high);
    return false;
}

static const struct cli_option global_options[] = {
    { "config", 'c', "FILE", "" }, { "socket", 's', "SOCKET", "" }, { "json", '\0', NULL, "" }, { "help", 'h', NULL, "" },
    { "version", 'V', NULL, "" }, { .name = NULL },
};

static const struct cli_option *option_in(const struct cli_option *options, const char *word, size_t len)
{
    for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++) {
        bool is_long = word[0] == '-' && word[1] == '-' && strlen(o->name) == len - 2 && strncmp(word + 2, o->name, len - 2) == 0;
        bool is_short = word[1] == o->letter && o->letter != '\0' && len >= 2;

        if (is_long || (is_short && word[1] != '-'))
            return o;
    }
    return NULL;
}

static int no_such_option(const struct cli_command *command, const char *word)
{
    const char *names[32];
    size_t n = 0;

    for (const struct cli_option *o = global_options; o->name != NULL; o++)
        names[n++] = o->name;
    for (const struct cli_option *o = command != NULL ? command->options : NULL; o != NULL && o->name != NULL; o++)
        names[n++] = o->name;
    names[n] = NULL;
    return fail_with_nearest("option", word[1] == '-' ? word + 2 : word, names);
}

/* One option at argv[*at]: "--name VALUE", "--name=VALUE", "-n VALUE", "-nVALUE". */
static int take_option(struct cli *cli, const struct cli_command *command, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct cli_option *o = command != NULL ? option_in(command->options, word, len) : NULL;
    const char *value = equals != NULL ? equals + 1 : word[1] != '-' && word[2] != '\0' ? word + 2 : NULL;

    if (o == NULL)
        o = option_in(global_options, word, len);
    if (o == NULL)
        return no_such_option(command, word);
    if (o->value == NULL && value != NULL)
        return cli_fail(CLI_USAGE, "--%s takes no value", o->name);
    if (o->value != NULL && value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (o->value != NULL && value == NULL)
        return cli_fail(CLI_USAGE, "--%s: %s has to follow", o->name, o->value);
    if (cli->given_count == CLI_GIVEN_MAX)
        return cli_fail(CLI_USAGE, "more options than belfry takes");
    cli->given[cli->given_count++] = (struct cli_given) { o, value != NULL ? value : "" };
    return CLI_DONE;
}

static int parse(struct cli *cli, int argc, char **argv, const struct cli_command **command)
{
    bool only_words = false;

    for (int i = 1; i < argc; i++) {
        int code;

        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            code = take_option(cli, *command, argc, argv, &i);
            if (code != CLI_DONE)
                return code;
        } else if (*command == NULL && strcmp(argv[i], "help") == 0 && cli->word_count == 0) {
            cli->given[cli->given_count++] = (struct cli_given) { &global_options[3], "" };
        } else if (*command == NULL) {
            *command = find_command(argv[i]);
            if (*command == NULL)
                return no_such_command(argv[i]);
        } else if (cli->word_count == CLI_WORDS_MAX || cli->word_count == (*command)->most) {
            return cli_fail(CLI_USAGE, "\"%s\" is one word too many; see belfry help %s", argv[i], (*command)->name);
        } else {
            cli->words[cli->word_count++] = argv[i];
        }
    }
    return CLI_DONE;
}

/* --- the way in --------------------------------------------------------------------------------------------------- */

static void look_at_terminal(struct cli *cli)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM"), *columns = getenv("COLUMNS");
    struct winsize size = { 0 };
    int64_t given;

    cli->terminal = isatty(STDOUT_FILENO) == 1;
    cli->color = cli->terminal && (no_color == NULL || no_color[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
    cli->columns = cli->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 0;
    if (columns != NULL && text_int(columns, 20, 10000, &given) == 0)
        cli->columns = (int)given;
}

int main(int argc, char **argv)
{
    static struct cli cli;
    const struct cli_command *command = NULL;
    const char *socket;
    int code;

    (void)setlocale(LC_CTYPE, "");
    look_at_terminal(&cli);
    code = parse(&cli, argc, argv, &command);
    if (code != CLI_DONE)
        return code;
    if (cli_option(&cli, "version") != NULL) {
        (void)printf("belfry %s\n", BELFRY_VERSION);
        return CLI_DONE;
    }
    if (cli_option(&cli, "help") != NULL)
        return print_help(command);
    if (command == NULL) {
        (void)print_help(NULL);
        return CLI_USAGE;
    }
    if (cli.word_count < command->least)
        return cli_fail(CLI_USAGE, "%s: %s has to follow; see belfry help %s", command->name, command->words, command->name);
    cli.json = cli_option(&cli, "json") != NULL;
    cli.config = cli_option(&cli, "config");
    socket = cli_option(&cli, "socket");
    if (socket != NULL && cli.config != NULL)
        return cli_fail(CLI_USAGE, "-c and -s do not go together: -c FILE names the socket too");
    if (socket == NULL && cli.config == NULL)
        socket = getenv("BELFRY_SOCKET");
    cli.socket = socket != NULL ? strdup(socket) : NULL;
    code = command->run(&cli);
    free(cli.socket);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        return cli_fail(CLI_FAILED, "the output could not be written");
    return code;
}
