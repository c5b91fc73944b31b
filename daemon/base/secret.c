/* Secrets: taken from where they lie, wiped when they go. */
#include "belfry/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"

#define SECRET_MAX 4096

int secret_set(struct secret *s, const char *bytes, size_t len)
{
    char *copy = malloc(len + 1);

    if (copy == NULL)
        return BF_ENOMEM;
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    secret_close(s);
    s->bytes = copy;
    s->len = len;
    return 0;
}

void secret_close(struct secret *s)
{
    if (s->bytes != NULL)
        explicit_bzero(s->bytes, s->len);
    free(s->bytes);
    s->bytes = NULL;
    s->len = 0;
}

/* The beginning of a regular file that nobody but its owner writes: *got bytes, at most `max` + 1. */
static int read_safely(const char *path, char *bytes, size_t max, size_t *got, int *readable_by_others, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), status = 0;
    struct stat st;
    ssize_t n = 0;

    *got = 0;
    if (fd < 0)
        return error_errno(err, errno, "cannot read the secret in %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = error_set(err, BF_EINVAL, "cannot read the secret in %s: it is not a regular file", path);
    else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        status = error_set(err, BF_EACCES, "the secret in %s can be written by others than its owner; chmod go-w it", path);
    while (status == 0 && *got <= max && (n = read(fd, bytes + *got, max + 1 - *got)) > 0)
        *got += (size_t)n;
    if (n < 0)
        status = error_errno(err, errno, "cannot read the secret in %s", path);
    (void)close(fd);
    if (status == 0)
        *readable_by_others = (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
    return status;
}

int secret_from_file(struct secret *s, const char *path, int *readable_by_others, struct error *err)
{
    char bytes[SECRET_MAX + 1];
    size_t len, got;
    int status = read_safely(path, bytes, SECRET_MAX, &got, readable_by_others, err);

    if (status == 0) {
        for (len = 0; len < got && bytes[len] != '\n'; len++)
            ;
        while (len > 0 && (bytes[len - 1] == '\r' || bytes[len - 1] == ' '))
            len--;
        if (len == 0)
            status = error_set(err, BF_EINVAL, "the first line of %s is empty: there is no secret in it", path);
        else if (len > SECRET_MAX)
            status = error_set(err, BF_ETOOBIG, "the first line of %s is longer than %d bytes", path, SECRET_MAX);
        else if (secret_set(s, bytes, len) != 0)
            status = error_set(err, BF_ENOMEM, "out of memory");
    }
    explicit_bzero(bytes, sizeof bytes);
    return status;
}

int secret_from_whole_file(struct secret *s, const char *path, size_t max, int *readable_by_others, struct error *err)
{
    char *bytes = malloc(max + 1);
    size_t got = 0;
    int status = bytes != NULL ? read_safely(path, bytes, max, &got, readable_by_others, err) : error_set(err, BF_ENOMEM, "out of memory");

    if (status == 0 && got > max)
        status = error_set(err, BF_ETOOBIG, "%s is longer than %zu bytes", path, max);
    if (status == 0 && secret_set(s, bytes, got) != 0)
        status = error_set(err, BF_ENOMEM, "out of memory");
    if (bytes != NULL)
        explicit_bzero(bytes, got);
    free(bytes);
    return status;
}

int secret_from_env(struct secret *s, const char *name, struct error *err)
{
    const char *value = getenv(name);

    if (value == NULL || value[0] == '\0')
        return error_set(err, BF_ENOENT, "the environment variable %s is not set", name);
    return secret_set(s, value, strlen(value)) == 0 ? 0 : error_set(err, BF_ENOMEM, "out of memory");
}

char *secret_credential_path(const char *name, struct error *err)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char *path;

    if (dir == NULL) {
        error_set(err, BF_ENOENT, "there is no credential %s: $CREDENTIALS_DIRECTORY is not set (LoadCredential= in"
                  " the unit sets it)", name);
        return NULL;
    }
    if (strchr(name, '/') != NULL || strcmp(name, "..") == 0) {
        error_set(err, BF_EINVAL, "%s is no name of a credential", name);
        return NULL;
    }
    path = file_join(dir, name);
    if (path == NULL)
        error_set(err, BF_ENOMEM, "out of memory");
    return path;
}

int secret_from_credential(struct secret *s, const char *name, struct error *err)
{
    char *path = secret_credential_path(name, err);
    int ignored, status = path != NULL ? secret_from_file(s, path, &ignored, err) : err->code;

    free(path);
    return status;
}
