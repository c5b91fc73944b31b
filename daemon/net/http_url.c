/* URLs from outside, as libcurl reads them: what is good here can be asked later. */
#include <curl/curl.h>
#include <string.h>

#include "belfry/net/http_client.h"

static bool is_plain(const char *url)
{
    for (; *url != '\0'; url++) {
        if ((unsigned char)*url <= ' ' || (unsigned char)*url >= 0x7f)
            return false;
    }
    return true;
}

/* Behind the scheme: libcurl takes any number of slashes there. */
static const char *host_in(const char *url)
{
    return strncmp(url, "https://", 8) == 0 ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
}

bool http_url_is_good(const char *url)
{
    const char *host = host_in(url);
    size_t len = host != NULL ? strcspn(host, "/?#") : 0;
    char *port = NULL;
    CURLU *parts;
    bool good;

    if (len == 0 || memchr(host, '@', len) != NULL || !is_plain(url))
        return false;
    parts = curl_url();
    good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
           curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK && strcmp(port, "0") != 0;
    curl_free(port);
    curl_url_cleanup(parts);
    return good;
}
