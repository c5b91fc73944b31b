/* The work items of a command, as the file adapter has them: a list beside their files. The command wrote it: it may be anything. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "local_internal.h"

static void add_note(json_t *notes, const char *list, const char *why)
{
    struct buf text = { 0 };

    buf_addf(&text, "%s/workitems.json cannot be read: %s", list, why);
    if (notes != NULL)
        (void)json_array_append_new(notes, json_string(buf_str(&text)));
    buf_close(&text);
}

/* The file adapter's list in one of the two folders, opened without a link on the way. A descriptor, or -1. */
static int open_list(const char *in, const char *list, json_t *notes)
{
    int folder = open(in, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1, errnum;
    char relative[64];
    struct stat st;

    (void)snprintf(relative, sizeof relative, "%s/workitems.json", list);
    if (folder >= 0)
        fd = file_open_below(folder, relative);
    errnum = errno;
    if (folder >= 0)
        (void)close(folder);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    if (fd >= 0)
        (void)close(fd);
    if (fd >= 0 || errnum != ENOENT)
        add_note(notes, list, fd >= 0 ? "it is not a regular file" : strerror(errnum));
    return -1;
}

json_t *local_read_list(const char *folder, const char *list, json_t *notes)
{
    int fd = open_list(folder, list, notes), status;
    struct buf text = { 0 };
    struct error why = { 0 };
    json_t *items = NULL;
    char path[64];

    if (fd < 0)
        return NULL;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    status = file_read(path, 64 << 20, &text, NULL);
    if (status == 0)
        items = json_parse_within(text.data, text.len, JSON_DEPTH_WRAPPED, &why);
    if (!json_is_array(items)) {
        add_note(notes, list, status != 0 ? error_name(status) : why.code != 0 ? why.text : "it is no list");
        json_decref(items);
        items = NULL;
    }
    buf_close(&text);
    (void)close(fd);
    return items;
}
