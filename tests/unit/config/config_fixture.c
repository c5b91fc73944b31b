/* Configurations in a folder of their own. */
#include "config_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "belfry/base/file.h"

char config_folder[64];
struct buf report;

int config_setup(void **state)
{
    (void)state;
    (void)snprintf(config_folder, sizeof config_folder, "/tmp/belfry-config.XXXXXX");
    return mkdtemp(config_folder) != NULL ? 0 : -1;
}

int config_teardown(void **state)
{
    (void)state;
    buf_close(&report);
    return file_remove_tree(config_folder, NULL);
}

const char *in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", config_folder, name);
    return path;
}

void write_file(const char *name, const char *bytes, size_t len, mode_t mode)
{
    int fd;

    (void)unlink(in_folder(name));   /* it may be one that its owner may not write */
    fd = open(in_folder(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text), 0600);
}

struct config *load(void)
{
    struct config *config = NULL;
    int status;

    buf_reset(&report);
    status = config_load(in_folder("belfry.conf"), NULL, NULL, &config, &report);
    assert_int_equal(status == 0, config != NULL);
    assert_true(status == 0 || report.len > 0);
    return config;
}

struct config *good(const char *text)
{
    struct config *config;

    write_text("belfry.conf", text);
    config = load();
    if (config == NULL)
        fail_msg("refused:\n%s", buf_str(&report));
    return config;
}
