/*
 * What the files of the HTTP client share: a transfer under way, and the words for what went wrong with it.
 */
#ifndef BELFRY_NET_CLIENT_INTERNAL_H
#define BELFRY_NET_CLIENT_INTERNAL_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "belfry/net/http_client.h"

#define CLIENT_ANSWER_MAX (8 * 1024 * 1024)
#define CLIENT_ANSWER_HEAD_MAX (256 * 1024)
#define CLIENT_CONNECT_TIMEOUT_MS 10000
#define CLIENT_TIMEOUT_MS 30000
#define CLIENT_STALL_S 30
#define CLIENT_RETRY_AFTER_MAX_MS (24 * 3600 * INT64_C(1000))

struct transfer {
    struct http_request *request;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    curl_mime *mime;
    int upload_fd;
    int64_t upload_left;
    int64_t upload_size;
    int64_t head_bytes;            /* of the answer */
    bool head_whole;               /* its empty line has come */
    int status;                    /* a verdict of our own (BF_ETOOBIG, BF_EIO …) that made curl give up, or 0 */
    bool in_multi;
    const char *refused;           /* why an address of its host was not connected to; NULL: none was refused */
    char content_range[64];
    bool sink_ready;
    char retry_after[64];
    char words[CURL_ERROR_SIZE];   /* curl's own */
    TAILQ_ENTRY(transfer) link;
};

TAILQ_HEAD(transfer_list, transfer);

/* Makes the easy handle of a transfer from its request. 0 or BF_E… with request->error filled. */
int transfer_prepare(struct transfer *t, const char *user_agent);
/* Why there must be no connection to that address; NULL: there may. */
const char *client_refuses(const struct http_client *client, const struct sockaddr *address);
/* Reads what came of it out of the easy handle and gives the request's status, with request->error filled. */
int transfer_judge(struct transfer *t, CURLcode code);
void transfer_free(struct transfer *t);

/* "https://host:8443/path": a URL without its user, query and fragment, any of which may hold a secret. */
void client_url_shown(const char *url, char *out, size_t size);
/* "host:8443" of a URL, with the scheme's port when it names none. */
void client_url_host(const char *url, char *out, size_t size);
/* A Retry-After value, seconds or a date (against the server's own clock where it told it), as a wait in ms bounded to
 * [0, one day]; -1 when it makes no sense. */
int64_t client_retry_after_ms(const char *value, int64_t server_ms);
/* Fills request->error for a curl code that is not CURLE_OK; returns the BF_E…. */
int client_explain(struct transfer *t, CURLcode code);

#endif
