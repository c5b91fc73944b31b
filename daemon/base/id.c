/* Identifiers and randomness. */
#include "belfry/base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void id_random(void *bytes, size_t len)
{
    unsigned char *at = bytes;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        at += got;
        len -= (size_t)got;
    }
}

static void write_uuid(const uint8_t u[16], char out[ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *to = out;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = digits[u[i] >> 4];
        *to++ = digits[u[i] & 15];
    }
    *to = '\0';
}

void id_make(int64_t now_ms, const uint8_t rand[10], char out[ID_SIZE])
{
    uint64_t ms = (uint64_t)now_ms;
    uint8_t u[16];

    for (int i = 0; i < 6; i++)
        u[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(u + 6, rand, 10);
    u[6] = (uint8_t)((u[6] & 0x0F) | 0x70);
    u[8] = (uint8_t)((u[8] & 0x3F) | 0x80);
    write_uuid(u, out);
}

/* A pool saves a system call an id. */
static void pooled(uint8_t *bytes, size_t len)
{
    static uint8_t pool[1024];
    static size_t left;

    if (left < len) {
        id_random(pool, sizeof pool);
        left = sizeof pool;
    }
    memcpy(bytes, pool + sizeof pool - left, len);
    explicit_bzero(pool + sizeof pool - left, len);
    left -= len;
}

void id_new(int64_t now_ms, char out[ID_SIZE])
{
    static int64_t last_ms;
    static unsigned counter;
    uint8_t rand[10];

    pooled(rand, sizeof rand);
    if (now_ms > last_ms) {
        last_ms = now_ms;
        counter = (unsigned)(rand[0] & 0x03) << 8 | rand[1];
    } else if (++counter > 0xFFF) {
        /* More than the counter holds in one millisecond, or a clock that was set back: ids run ahead of the clock. */
        last_ms++;
        counter = 0;
    }
    rand[0] = (uint8_t)(counter >> 8);
    rand[1] = (uint8_t)counter;
    id_make(last_ms, rand, out);
}

void id_from_name(const char *kind, const char *name, char out[ID_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t u[16];

    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 || EVP_DigestUpdate(ctx, "belfry", 7) != 1 ||
        EVP_DigestUpdate(ctx, kind, strlen(kind) + 1) != 1 || EVP_DigestUpdate(ctx, name, strlen(name)) != 1 ||
        EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    memcpy(u, hash, sizeof u);
    u[6] = (uint8_t)((u[6] & 0x0F) | 0x80);
    u[8] = (uint8_t)((u[8] & 0x3F) | 0x80);
    write_uuid(u, out);
}

bool id_is_uuid(const char *text)
{
    for (int i = 0; i < 36; i++) {
        char c = text[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-')
                return false;
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return text[36] == '\0';
}

const char *id_boot(void)
{
    static char boot[ID_SIZE];
    ssize_t got;
    int fd;

    if (boot[0] != '\0')
        return boot;
    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return boot;
    got = read(fd, boot, sizeof boot - 1);
    (void)close(fd);
    boot[got == ID_SIZE - 1 ? ID_SIZE - 1 : 0] = '\0';
    return boot;
}
