/*
 * What went wrong with a request, in words. A URL is only ever shown without its user, query and fragment.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_internal.h"

#define SHOWN_MAX 256

struct url_parts {
    const char *scheme;
    size_t scheme_len;
    const char *host;      /* with the port */
    size_t host_len;
    const char *path;
    size_t path_len;
};

static struct url_parts split_url(const char *url)
{
    struct url_parts u = {.scheme = url};
    const char *after = strstr(url, "://");
    const char *at;

    if (after)
        u.scheme_len = (size_t)(after - url);
    u.host = after ? after + 3 : url;
    u.host_len = strcspn(u.host, "/?#");
    u.path = u.host + u.host_len;
    u.path_len = strcspn(u.path, "?#");
    at = memrchr(u.host, '@', u.host_len);
    if (at) {
        u.host_len -= (size_t)(at + 1 - u.host);
        u.host = at + 1;
    }
    return u;
}

static int shown(size_t len)
{
    return len < SHOWN_MAX ? (int)len : SHOWN_MAX;
}

void client_url_shown(const char *url, char *out, size_t size)
{
    struct url_parts u = split_url(url);

    snprintf(out, size, "%.*s://%.*s%.*s", shown(u.scheme_len), u.scheme, shown(u.host_len), u.host, shown(u.path_len),
             u.path);
}

void client_url_host(const char *url, char *out, size_t size)
{
    struct url_parts u = split_url(url);
    const char *colon = memrchr(u.host, ':', u.host_len);
    const char *bracket = memrchr(u.host, ']', u.host_len);
    const char *port = u.scheme_len == 5 ? ":443" : ":80";

    if (colon && (!bracket || colon > bracket))
        port = "";
    snprintf(out, size, "%.*s%s", shown(u.host_len), u.host, port);
}

static int explain_connect(struct transfer *t, const char *host)
{
    struct http_request *request = t->request;
    long os_errno = 0;
    const char *why;

    if (t->refused)
        return error_set(&request->error, BF_ENET, "%s is not connected to: %s", host, t->refused);
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    why = os_errno ? uv_strerror(uv_translate_sys_error((int)os_errno)) : t->words;
    if (request->unix_socket)
        return error_set(&request->error, BF_ENET, "could not reach the socket %s (%s)", request->unix_socket, why);
    return error_set(&request->error, BF_ENET, "could not reach %s (%s)%s", host, why,
                     request->proxy ? ", by the configured proxy" : "");
}

static int explain_timeout(struct transfer *t, const char *host, const char *url)
{
    struct http_request *request = t->request;
    curl_off_t connected_us = 0;
    long size = 0;
    double limit_s;

    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &size);
    if (connected_us == 0 && size == 0) {
        limit_s = (double)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CLIENT_CONNECT_TIMEOUT_MS);
        if (request->timeout_ms > 0 && (double)request->timeout_ms < limit_s)
            limit_s = (double)request->timeout_ms;
        return error_set(&request->error, BF_ETIMEDOUT, "could not reach %s (no connection within %g s)", host,
                         limit_s / 1000);
    }
    if (request->timeout_ms < 0)
        return error_set(&request->error, BF_ETIMEDOUT, "%s %s: nothing came or went for %d s", request->method, url,
                         CLIENT_STALL_S);
    limit_s = (double)(request->timeout_ms > 0 ? request->timeout_ms : CLIENT_TIMEOUT_MS);
    return error_set(&request->error, BF_ETIMEDOUT, "%s %s: no whole answer within %g s", request->method, url,
                     limit_s / 1000);
}

int client_explain(struct transfer *t, CURLcode code)
{
    struct http_request *request = t->request;
    const char *words = t->words[0] ? t->words : curl_easy_strerror(code);
    char url[4 * SHOWN_MAX];
    char host[2 * SHOWN_MAX];

    client_url_shown(request->url, url, sizeof url);
    client_url_host(request->url, host, sizeof host);
    switch ((int)code) {
    case CURLE_OUT_OF_MEMORY:
        return error_set(&request->error, BF_ENOMEM, "%s %s: out of memory", request->method, url);
    case CURLE_URL_MALFORMAT:
        return error_set(&request->error, BF_ENET, "%s is no URL that can be asked", url);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(&request->error, BF_ENET, "%s: only %s may be asked", url,
                         request->https_only ? "https" : "http and https");
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(&request->error, BF_ENET,
                         "could not reach %s (its name was not found: check the name, and the machine's DNS)", host);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return error_set(&request->error, BF_ENET, "could not reach %s (the name of the configured proxy was not found)",
                         host);
    case CURLE_COULDNT_CONNECT:
        return explain_connect(t, host);
    case CURLE_OPERATION_TIMEDOUT:
        return explain_timeout(t, host, url);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(&request->error, BF_ENET,
                         "the certificate of %s is not trusted (%s): give its authority's certificate as ca_file", host,
                         words);
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(&request->error, BF_ENET, "could not read the certificates in %s (%s)",
                         request->ca_file ? request->ca_file : "the system's store", words);
    case CURLE_SSL_CONNECT_ERROR:
        return error_set(&request->error, BF_ENET, "no secure connection to %s (%s)", host, words);
    case CURLE_GOT_NOTHING:
        return error_set(&request->error, BF_ENET, "%s %s: the server closed the connection without an answer",
                         request->method, url);
    case CURLE_WEIRD_SERVER_REPLY:
        return error_set(&request->error, BF_ENET, "%s %s: the head of the answer was cut off, or is no HTTP",
                         request->method, url);
    case CURLE_PARTIAL_FILE:
        return error_set(&request->error, BF_ENET, "%s %s: the answer was cut off after %lld bytes", request->method, url,
                         (long long)request->received);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return error_set(&request->error, BF_ENET, "%s %s: the connection broke (%s)", request->method, url, words);
    default:
        return error_set(&request->error, BF_ENET, "%s %s: %s", request->method, url, words);
    }
}
