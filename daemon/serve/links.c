/* Links to a file of a run's results that need no key: they hold a signature, and are good for an hour. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "serve_internal.h"

#define LINK_LIVES_S 3600

static void sign(const struct serve_room *room, const char *run_id, const char *path, int64_t expires_s, char hex[2 * VAULT_MAC_SIZE + 1])
{
    unsigned char mac[VAULT_MAC_SIZE];
    struct buf text = { 0 };

    buf_addf(&text, "%s/%s\n%lld", run_id, path, (long long)expires_s);
    vault_derive(room->host.vault, "link", buf_str(&text), text.len, mac);
    text_hex(mac, sizeof mac, hex);
    buf_close(&text);
}

void serve_link_to(const struct serve_room *room, const char *run_id, const char *path, struct buf *url)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    int64_t expires_s = time_wall_ms() / 1000 + LINK_LIVES_S;
    char hex[2 * VAULT_MAC_SIZE + 1];

    sign(room, run_id, path, expires_s, hex);
    buf_addf(url, "/files/%s/", run_id);
    for (; *path != '\0'; path++) {
        if (strchr(plain, *path) != NULL)
            buf_addc(url, *path);
        else
            buf_addf(url, "%%%02X", (unsigned char)*path);
    }
    buf_addf(url, "?expires=%lld&signature=%s", (long long)expires_s, hex);
}

void serve_link(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const char *signature = http_query(x, "signature"), *expires = http_query(x, "expires");
    char hex[2 * VAULT_MAC_SIZE + 1];
    int64_t expires_s = 0;

    if (signature != NULL && expires != NULL && strlen(signature) == sizeof hex - 1 && text_int(expires, 0, INT64_MAX, &expires_s) == 0) {
        sign(room, args->at[0], args->at[1], expires_s, hex);
        if (text_equal_constant_time(signature, hex, sizeof hex - 1) && time_wall_ms() / 1000 < expires_s) {
            serve_file(room, x, args);
            return;
        }
    }
    http_respond_error(x, 403, "FORBIDDEN", "this link is not good, or no longer: ask for it again");
}
