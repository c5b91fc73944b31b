/*
 * Configurations in a folder of their own.
 */
#ifndef BELFRY_TESTS_CONFIG_FIXTURE_H
#define BELFRY_TESTS_CONFIG_FIXTURE_H

#include <sys/types.h>

#include "belfry/base/buf.h"
#include "belfry/config/config.h"

#define WORKSPACE "[workspace here]\ntype = local\n"
#define PROCESS WORKSPACE "[process p]\nworkspace = here\ncommand = true\n"

extern char config_folder[64];
extern struct buf report;

/* For cmocka: a fresh folder, and its end. */
int config_setup(void **state);
int config_teardown(void **state);
/* The path of a file in the folder: of one of four that are kept. */
const char *in_folder(const char *name);
void write_file(const char *name, const char *bytes, size_t len, mode_t mode);
void write_text(const char *name, const char *text);
/* Loads belfry.conf: the configuration, or NULL with the problems in `report`. */
struct config *load(void);
/* Writes belfry.conf and loads it; fails with the report when it is refused. */
struct config *good(const char *text);

#endif
