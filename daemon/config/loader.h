/*
 * The loader's inside: from text to a checked configuration.
 *
 *   load.c     files and sections       value.c   values of the usual types
 *   custom.c   values with a grammar of their own (daemon, processes), custom_trigger.c (triggers)
 *   check.c    what keys say together   steps.c   steps of processes
 *   config.c   the finished thing
 */
#ifndef BELFRY_CONFIG_LOADER_H
#define BELFRY_CONFIG_LOADER_H

#include <uthash.h>

#include "belfry/config/config.h"
#include "belfry/config/schema.h"

struct setting {
    const struct key_row *row;
    char *key;                  /* as written: a secret's has its ending */
    char *value;                /* expanded */
    unsigned line;
};

struct section {
    const struct section_row *row;
    char *title;                /* "schedule nightly": the map's key */
    const char *name;           /* within title; "" when it has none */
    unsigned file, line;
    struct setting *settings;
    size_t count;
    void *target;               /* the typed struct */
    struct section *next;       /* in the order read */
    UT_hash_handle hh;
};

struct problem {
    unsigned file, line;
    size_t order;
    char *text;
};

struct loader {
    struct config *config;
    config_check_program check;
    void *check_data;
    char **files;
    size_t file_count;
    unsigned file;              /* that is being read */
    struct section *sections;   /* by title */
    struct section *first, **last;
    struct section *current;    /* NULL: its lines are passed over */
    struct problem *problems;
    size_t problem_count;
    struct buf *warnings;
};

/* One problem, at a setting (NULL: at the section's own line). */
void complain(struct loader *l, const struct section *s, const struct setting *at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void complain_at(struct loader *l, unsigned file, unsigned line, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* ", did you mean \"x\"?" or "" */
const char *hint(const char *word, const char *const words[], char out[160]);
/* The same among the names of a kind's sections. */
const char *hint_section(const struct loader *l, const char *kind, const char *name, char out[160]);

struct section *section_find(const struct loader *l, const char *kind, const char *name);
const struct setting *setting_of(const struct section *s, const char *key);
/* The folder of the file that a section stands in, joined with a relative path; on the heap. */
char *resolve_path(const struct loader *l, const struct section *s, const char *path);

/* --- value.c --- */
/* ${VAR} and $$; on the heap, or NULL with a problem reported. */
char *expand(struct loader *l, const struct section *s, unsigned line, const char *key, const char *value);
/* Sets the field of the row to the value. */
void set_value(struct loader *l, struct section *s, const struct setting *setting);
void set_default(struct loader *l, struct section *s, const struct key_row *row);
int words_split(struct words *words, const char *text);
int words_add(struct words *words, const char *text, size_t len);
void words_close(struct words *words);
/* An address of the loopback, or localhost itself: 127.0.0.1.example.org is a name like any other. */
bool is_loopback(const char *host);

/* --- custom.c, custom_trigger.c --- */
/* True when it knew the key. */
bool set_custom(struct loader *l, struct section *s, const struct setting *setting);
bool set_custom_trigger(struct loader *l, struct section *s, const struct setting *setting);
void set_secret(struct loader *l, struct section *s, const struct setting *setting);

/* --- check.c --- */
void check_section(struct loader *l, struct section *s);
void check_all(struct loader *l);

/* --- steps.c --- */
/* Makes the steps of a process whose section has been read. */
void steps_of_process(const struct loader *l, struct process_config *process);
/* A run that is to use the work item API has to find it somewhere. */
void check_steps_reach_us(struct loader *l);

/* --- config.c --- */
void config_free(struct config *config);

#endif
