/*
 * The command line `belfry`: one command is one row of a table and one function, which gets its words and options parsed
 * and gives back the exit code.
 */
#ifndef BELFRY_CLI_H
#define BELFRY_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/buf.h"
#include "belfry/base/id.h"
#include "belfry/base/json.h"

/* SPEC §12; the large ones are sysexits.h's. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NO_DAEMON = 69, CLI_NOT_ALLOWED = 77, CLI_BAD_CONFIG = 78 };

#define CLI_WORDS_MAX 64
#define CLI_GIVEN_MAX 64

struct cli_option {
    const char *name;         /* without "--" */
    char letter;              /* '\0': none */
    const char *value;        /* what follows it, for the help; NULL: it stands alone */
    const char *about;
};

struct cli_given {
    const struct cli_option *option;
    const char *value;
};

struct cli {
    const char *config;       /* -c, or NULL */
    char *socket;
    bool json;
    bool terminal;            /* stdout is one */
    bool color;
    int columns;              /* its width */
    const char *words[CLI_WORDS_MAX];
    size_t word_count;
    struct cli_given given[CLI_GIVEN_MAX];
    size_t given_count;
};

struct cli_command {
    const char *name;
    const char *words;        /* "PROCESS", "[SCHEDULE]" */
    size_t least, most;       /* how many words */
    const char *about;        /* one line */
    const char *more;         /* the rest of its help, or NULL */
    const struct cli_option *options;   /* NULL name at the end; or NULL */
    int (*run)(struct cli *cli);
};

extern const struct cli_command cli_commands[];   /* NULL name at the end */

/* --- main.c --- */
/* An option's value ("" for one that stands alone), or NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* A number given as option, within bounds: false when it was refused (and said so). */
bool cli_option_int(const struct cli *cli, const char *name, int64_t low, int64_t high, int64_t otherwise, int64_t *value);
/* Says "belfry: …" on stderr and gives `code` back. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- ask.c --- */
struct cli_question {
    const char *method;
    const char *path;
    json_t *body;             /* lent; NULL: none */
    const char *header;       /* one more, or NULL */
    int64_t timeout_ms;       /* 0: 30 s */
    bool quiet;               /* say nothing of a fault: the caller does */
    /* the answer */
    json_t *answer;           /* the caller's */
    long status;
};
/* 0, or an exit code after it was said why (unless quiet). */
int cli_ask(struct cli *cli, struct cli_question *question);
/* GET, for short. */
int cli_get(struct cli *cli, const char *path, json_t **answer);
/* The newest runs, page after page until there are `count`, into the array. query: "&state=…" or "". */
int cli_get_runs(struct cli *cli, const char *query, int64_t count, json_t *runs);
/* The bytes of a path, into *into (fd < 0) or to a descriptor. */
int cli_fetch(struct cli *cli, const char *path, struct buf *into, int fd);
/* Appends a name as a segment of a path, or a value of a query. */
void cli_percent(struct buf *path, const char *text);
/* Whether a word is an id's beginning or end, and long enough for one. */
bool cli_is_part_of(const char *word, const char *id);
/* The id of a run that is named by all, the beginning or the end of it. 0 or an exit code. */
int cli_run_id(struct cli *cli, const char *word, char id[ID_SIZE]);

/* --- show.c: how things look --- */
/* Prints JSON, for programs: one line on a pipe, indented on a terminal. Gives CLI_DONE. */
int cli_print_json(const struct cli *cli, const json_t *value);
/* What may go to a terminal of a text from outside; NULL is "". */
void cli_text(struct buf *out, const char *text);
/* "14:03:07" today, else "2026-01-05 14:03"; "-" for NULL. `rfc3339` as the daemon has it. */
void cli_time(char out[32], const char *rfc3339, int64_t now_ms);
/* "1.2 s", "3 min 20 s", "2 h 5 min", "4 d 3 h". */
void cli_duration(char out[32], int64_t ms);
const char *cli_color_of_state(const struct cli *cli, const char *state);
/* A record of a run, for people. */
void cli_print_record(const struct cli *cli, const json_t *record);
/* A line "label   text". */
void cli_label(const struct cli *cli, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- table.c --- */
#define CLI_COLUMNS_MAX 8

struct cli_table {
    size_t columns;
    const char *const *titles;
    char **cells;             /* rows * columns */
    const char **colors;      /* of each cell, "" for none */
    unsigned whole;           /* bits of the columns that are never cut */
    unsigned yielding;        /* and of those that are cut before all others */
    size_t rows, cap;
};

void cli_table_init(struct cli_table *table, const char *const *titles, size_t columns);
/* Appends a row; each cell's text is made fit for a terminal. colors may be NULL. */
void cli_table_add(struct cli_table *table, const char *const *cells, const char *const *colors);
/* Prints and frees it; the widest column that may gives way when the terminal is too narrow. */
void cli_table_print(const struct cli *cli, struct cli_table *table);
/* How many columns of a terminal a text takes. */
size_t cli_width(const char *text);

/* --- commands --- */
int command_check(struct cli *cli);
int command_status(struct cli *cli);
int command_triggers(struct cli *cli);
int command_next(struct cli *cli);
int command_run(struct cli *cli);
int command_runs(struct cli *cli);
int command_show(struct cli *cli);
int command_logs(struct cli *cli);
int command_artifacts(struct cli *cli);
int command_cancel(struct cli *cli);
int command_retry(struct cli *cli);
int command_pause(struct cli *cli);
int command_resume(struct cli *cli);
int command_keys(struct cli *cli);
/* The names of permissions, for its help. */
void keys_print_permissions(void);
int command_reload(struct cli *cli);

extern const struct cli_option next_options[];
extern const struct cli_option run_options[];
extern const struct cli_option runs_options[];
extern const struct cli_option logs_options[];
extern const struct cli_option artifacts_options[];
extern const struct cli_option cancel_options[];
extern const struct cli_option keys_options[];

#endif
