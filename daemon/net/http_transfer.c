/*
 * One transfer of the HTTP client: from a request to curl's options, and the bytes that come and go.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/time.h"
#include "client_internal.h"

static bool is_success(struct transfer *t)
{
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Before the first byte: does the answer go on where the file ends, or begin anew? */
static bool prepare_sink(struct transfer *t)
{
    struct http_request *request = t->request;
    long long first = -1;
    long status = 0;

    if (t->sink_ready || request->resume_from <= 0)
        return true;
    t->sink_ready = true;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 206) {
        if (sscanf(t->content_range, "bytes %lld-", &first) != 1 || first != request->resume_from) {
            t->status = error_set(&request->error, BF_EPROTO, "the answer is not the part of the file that was asked for");
            return false;
        }
        request->resumed = true;
        return true;
    }
    if (ftruncate(request->sink_fd, 0) == 0 && lseek(request->sink_fd, 0, SEEK_SET) == 0)
        return true;
    error_errno(&request->error, errno, "could not empty the file for an answer");
    t->status = request->error.code = BF_EIO;
    return false;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *t = data;
    struct http_request *request = t->request;
    int64_t max = request->max_answer > 0 ? request->max_answer : CLIENT_ANSWER_MAX;
    size_t len = size * count;

    if ((int64_t)len > max - request->received) {
        t->status = error_set(&request->error, BF_ETOOBIG, "the answer is larger than the limit of %lld bytes",
                              (long long)max);
        return 0;
    }
    if (request->sink_fd > 0 && is_success(t)) {
        if (!prepare_sink(t))
            return 0;
        if (!write_all(request->sink_fd, bytes, len)) {
            error_errno(&request->error, errno, "could not write the answer's body to its file");
            t->status = BF_EIO;
            request->error.code = BF_EIO;
            return 0;
        }
    } else {
        buf_add(&request->answer, bytes, len);
        if (buf_failed(&request->answer)) {
            t->status = error_set(&request->error, BF_ENOMEM, "out of memory for an answer of %lld bytes",
                                  (long long)request->received);
            return 0;
        }
    }
    request->received += (int64_t)len;
    return len;
}

/* The value of the header line when it has that name; NULL otherwise. Trimmed, *len long. */
static const char *value_of(const char *line, size_t line_len, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    const char *end = line + line_len;

    if (line_len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
        return NULL;
    line += name_len + 1;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
        end--;
    *len = (size_t)(end - line);
    return line;
}

/* A value that does not fit is left out whole: half a location is no location. */
static void keep(const char *line, size_t line_len, const char *name, char *out, size_t size)
{
    size_t len;
    const char *value = value_of(line, line_len, name, &len);

    if (!value || len >= size)
        return;
    memcpy(out, value, len);
    out[len] = '\0';
}

static void forget_head(struct transfer *t)
{
    t->request->content_type[0] = '\0';
    t->request->location[0] = '\0';
    t->request->server_date_ms = 0;
    t->retry_after[0] = '\0';
    t->content_range[0] = '\0';
    t->head_whole = false;
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
    struct transfer *t = data;
    struct http_request *request = t->request;
    size_t len = size * count;
    char date[64] = "";

    t->head_bytes += (int64_t)len;
    if (t->head_bytes > CLIENT_ANSWER_HEAD_MAX) {
        t->status = error_set(&request->error, BF_ETOOBIG, "the head of the answer is larger than %d bytes",
                              CLIENT_ANSWER_HEAD_MAX);
        return 0;
    }
    /* An interim answer (1xx) has a head of its own. */
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        forget_head(t);
    else if (line[0] == '\r' || line[0] == '\n')
        t->head_whole = true;
    keep(line, len, "Content-Type", request->content_type, sizeof request->content_type);
    keep(line, len, "Location", request->location, sizeof request->location);
    keep(line, len, "Content-Range", t->content_range, sizeof t->content_range);
    keep(line, len, "Retry-After", t->retry_after, sizeof t->retry_after);
    keep(line, len, "Date", date, sizeof date);
    if (date[0]) {
        time_t s = curl_getdate(date, NULL);

        request->server_date_ms = s > 0 ? (int64_t)s * 1000 : 0;
    }
    return len;
}

static size_t on_upload(char *out, size_t size, size_t count, void *data)
{
    struct transfer *t = data;
    size_t room = size * count;
    ssize_t n;

    if ((int64_t)room > t->upload_left)
        room = (size_t)t->upload_left;
    if (room == 0)
        return 0;
    do
        n = read(t->upload_fd, out, room);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        if (n < 0)
            error_errno(&t->request->error, errno, "could not read %s to send it", t->request->upload_path);
        else
            error_set(&t->request->error, BF_EIO, "%s became shorter while it was sent", t->request->upload_path);
        t->request->error.code = BF_EIO;
        t->status = BF_EIO;
        return CURL_READFUNC_ABORT;
    }
    t->upload_left -= n;
    return (size_t)n;
}

static int on_upload_seek(void *data, curl_off_t offset, int origin)
{
    struct transfer *t = data;

    if (origin != SEEK_SET || offset < 0 || offset > t->upload_size || lseek(t->upload_fd, offset, SEEK_SET) < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    t->upload_left = t->upload_size - offset;
    return CURL_SEEKFUNC_OK;
}

static int open_upload(struct transfer *t)
{
    struct http_request *request = t->request;
    struct stat st;

    t->upload_fd = open(request->upload_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (t->upload_fd < 0 || fstat(t->upload_fd, &st) < 0) {
        error_errno(&request->error, errno, "could not open %s to send it", request->upload_path);
        return request->error.code = BF_EIO;
    }
    if (!S_ISREG(st.st_mode))
        return error_set(&request->error, BF_EIO, "could not send %s: it is not a regular file", request->upload_path);
    t->upload_size = t->upload_left = st.st_size;
    return BF_OK;
}

static int set_form(struct transfer *t)
{
    struct http_request *request = t->request;
    curl_mimepart *part;
    CURLcode code = CURLE_OK;

    t->mime = curl_mime_init(t->easy);
    if (!t->mime)
        return error_set(&request->error, BF_ENOMEM, "out of memory for a form");
    for (size_t i = 0; i < request->form_count && code == CURLE_OK; i++) {
        part = curl_mime_addpart(t->mime);
        code = part ? curl_mime_name(part, request->form[i].name) : CURLE_OUT_OF_MEMORY;
        if (code == CURLE_OK)
            code = curl_mime_data(part, request->form[i].value, CURL_ZERO_TERMINATED);
    }
    part = code == CURLE_OK ? curl_mime_addpart(t->mime) : NULL;
    if (!part || curl_mime_name(part, "file") != CURLE_OK
        || curl_mime_filename(part, request->upload_name ? request->upload_name : "file") != CURLE_OK
        || curl_mime_data_cb(part, t->upload_size, on_upload, on_upload_seek, NULL, t) != CURLE_OK)
        return error_set(&request->error, BF_ENOMEM, "out of memory for a form");
    curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, t->mime);
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, request->method);
    return BF_OK;
}

static void set_raw_upload(struct transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_upload_seek);
    curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->upload_size);
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, t->request->method);
}

static int set_body(struct transfer *t)
{
    struct http_request *request = t->request;
    bool always = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0
                  || strcmp(request->method, "PATCH") == 0;
    int rc;

    if (request->upload_path) {
        rc = open_upload(t);
        if (rc < 0)
            return rc;
        if (request->form)
            return set_form(t);
        set_raw_upload(t);
        return BF_OK;
    }
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        return BF_OK;
    }
    if (request->body || always) {
        /* The size first: without it curl would measure the body by its NUL. */
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->body_len : 0));
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, request->method);
    return BF_OK;
}

static bool add_header(struct transfer *t, const char *line)
{
    struct curl_slist *list = curl_slist_append(t->headers, line);

    if (!list)
        return false;
    t->headers = list;
    return true;
}

static int set_headers(struct transfer *t)
{
    struct http_request *request = t->request;
    bool has_type = false;
    bool ok = true;

    for (size_t i = 0; request->headers && request->headers[i] && ok; i++) {
        const char *line = request->headers[i];

        if (strpbrk(line, "\r\n"))
            return error_set(&request->error, BF_EINVAL, "a header of the request holds a line break");
        if (strncasecmp(line, "Content-Type:", 13) == 0)
            has_type = true;
        ok = add_header(t, line);
    }
    /* Expect makes libcurl wait for a second, and send the request anew after a 417. */
    ok = ok && add_header(t, "Expect:");
    /* Else libcurl calls every body a form. */
    if (!has_type && !request->form)
        ok = ok && add_header(t, "Content-Type:");
    if (!ok)
        return error_set(&request->error, BF_ENOMEM, "out of memory for a request's headers");
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return BF_OK;
}

static void set_limits(struct transfer *t)
{
    const struct http_request *request = t->request;
    int64_t connect_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CLIENT_CONNECT_TIMEOUT_MS;
    int64_t whole_ms = request->timeout_ms == 0 ? CLIENT_TIMEOUT_MS : request->timeout_ms;

    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    if (whole_ms > 0) {
        curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)whole_ms);
        return;
    }
    curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)CLIENT_STALL_S);
}

/* A host with more addresses than one may still be reached by another. */
static curl_socket_t on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = data;
    const char *why = client_refuses(t->client, &address->addr);

    (void)purpose;
    if (why)
        t->refused = why;
    return why ? CURL_SOCKET_BAD : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Where the request may go and how: nothing here is left to the environment or to libcurl's habits. */
static int set_route(struct transfer *t)
{
    const struct http_request *request = t->request;
    CURLcode code = CURLE_OK;

    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, request->https_only ? "https" : "http,https");
    curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(t->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(t->easy, CURLOPT_PROXY, request->proxy ? request->proxy : "");
    curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->ca_file)
        code = curl_easy_setopt(t->easy, CURLOPT_CAINFO, request->ca_file);
    if (code == CURLE_OK && request->unix_socket)
        code = curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    if (code == CURLE_OK)
        code = curl_easy_setopt(t->easy, CURLOPT_URL, request->url);
    if (code != CURLE_OK)
        return error_set(&t->request->error, BF_ENOMEM, "could not prepare the request: %s", curl_easy_strerror(code));
    if (!request->once) {
        curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        return BF_OK;
    }
    /* On a kept connection, and on a refused HTTP/2 stream, libcurl sends again by itself. */
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    return BF_OK;
}

int transfer_prepare(struct transfer *t, const char *user_agent)
{
    int rc;

    t->easy = curl_easy_init();
    if (!t->easy)
        return error_set(&t->request->error, BF_ENOMEM, "out of memory for a request");
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->words);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, user_agent);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Else giving up on a name that does not resolve would join the resolver's thread, and stop the loop with it. */
    curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    if (t->request->resume_from > 0 && t->request->sink_fd > 0) {
        char range[40];

        (void)snprintf(range, sizeof range, "%lld-", (long long)t->request->resume_from);
        curl_easy_setopt(t->easy, CURLOPT_RANGE, range);
    }
    set_limits(t);
    rc = set_route(t);
    if (rc == BF_OK)
        rc = set_body(t);
    if (rc == BF_OK)
        rc = set_headers(t);
    return rc;
}

int64_t client_retry_after_ms(const char *value, int64_t server_ms)
{
    int64_t s = 0;
    const char *p = value;
    time_t date;

    while (*p >= '0' && *p <= '9' && s <= CLIENT_RETRY_AFTER_MAX_MS)
        s = s * 10 + (*p++ - '0');
    while (p > value && *p >= '0' && *p <= '9')
        p++;
    if (p > value && *p == '\0')
        return s * 1000 < CLIENT_RETRY_AFTER_MAX_MS ? s * 1000 : CLIENT_RETRY_AFTER_MAX_MS;
    /* Only what begins with a day's name is a date of HTTP's; curl_getdate would make sense of much more. */
    if (!((*value >= 'A' && *value <= 'Z') || (*value >= 'a' && *value <= 'z')))
        return -1;
    date = curl_getdate(value, NULL);
    if (date == -1)
        return -1;
    s = (int64_t)date * 1000 - (server_ms > 0 ? server_ms : time_wall_ms());
    if (s < 0)
        return 0;
    return s < CLIENT_RETRY_AFTER_MAX_MS ? s : CLIENT_RETRY_AFTER_MAX_MS;
}

int transfer_judge(struct transfer *t, CURLcode code)
{
    struct http_request *request = t->request;
    curl_off_t uploaded = 0;
    long request_size = 0;
    long http_status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_size);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http_status);
    request->sent = request_size > 0 || uploaded > 0;
    if (t->retry_after[0])
        request->retry_after_ms = client_retry_after_ms(t->retry_after, request->server_date_ms);
    if (t->status != BF_OK)
        return t->status;
    if (code != CURLE_OK)
        return client_explain(t, code);
    /* To libcurl a head that the server cut off is an answer with no body. */
    if (!t->head_whole || http_status < 200)
        return client_explain(t, CURLE_WEIRD_SERVER_REPLY);
    request->http_status = http_status;
    return BF_OK;
}

void transfer_free(struct transfer *t)
{
    if (t->easy)
        curl_easy_cleanup(t->easy);
    curl_mime_free(t->mime);
    curl_slist_free_all(t->headers);
    if (t->upload_fd >= 0)
        close(t->upload_fd);
    free(t);
}
