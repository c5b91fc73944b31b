/*
 * The gate: RFC 9112's framing, read strictly, byte by byte in order: what is wrong first is what is refused, however
 * the bytes were cut into reads. A head is looked at anew with each read until it is whole; it is short.
 */
#include "belfry/net/http_gate.h"

#include <string.h>
#include <strings.h>

#define METHOD_MAX 32
#define LINE_MAX_REQUEST (METHOD_MAX + 1 + GATE_TARGET_MAX + 1 + 8)
#define CHUNK_LINE_MAX 256
/* Empty lines that may come before a request line (RFC 9112, 2.2). */
#define EMPTY_LINES_MAX 1

enum chunk_step { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_LINE_END, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF, CHUNK_LAST_CR,
                  CHUNK_LAST_LF };

/* What the lines of one head have told so far. */
struct head {
    size_t headers;
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    unsigned expects;
    bool http_10;
    bool expect_continue;
    int64_t length;
};

static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Always false: "this is not sound". */
static bool refuse(struct gate *gate, unsigned status, const char *why)
{
    gate->phase = GATE_REFUSED;
    gate->status = status;
    gate->why = why;
    return false;
}

/* --- the request line --------------------------------------------------------------------------------------------- */

/* The decoded character at *p, which then points behind it; -1 for a bad escape. A slash that came escaped is 256: it
 * divides nothing. */
static int next_char(const char **p, const char *end)
{
    int high, low;

    if (**p != '%')
        return (unsigned char)*(*p)++;
    if (end - *p < 3)
        return -1;
    high = hex_digit((unsigned char)(*p)[1]);
    low = hex_digit((unsigned char)(*p)[2]);
    if (high < 0 || low < 0)
        return -1;
    *p += 3;
    return high * 16 + low == '/' ? 256 : high * 16 + low;
}

static bool check_path(struct gate *gate, const char *path, const char *end)
{
    size_t len = 0;      /* of this segment, decoded */
    bool dots = true;    /* it has nothing but dots */

    while (path <= end) {
        int c = path < end ? next_char(&path, end) : (path++, '/');

        if (c < 0)
            return refuse(gate, 400, "the path holds a % that is no escape");
        if (c < 0x20 || c == 0x7f)
            return refuse(gate, 400, "the path holds an escaped control character");
        if (c == '/') {
            if (dots && (len == 1 || len == 2))
                return refuse(gate, 400, "the path holds a . or .. segment");
            len = 0;
            dots = true;
            continue;
        }
        len++;
        dots = dots && c == '.';
    }
    return true;
}

static bool check_query(struct gate *gate, const char *query, const char *end)
{
    while (query < end) {
        int c = next_char(&query, end);

        if (c < 0)
            return refuse(gate, 400, "the query holds a % that is no escape");
        if (c == 0)
            return refuse(gate, 400, "the query holds an escaped NUL");
    }
    return true;
}

static bool check_target(struct gate *gate, const char *target, size_t len, bool options)
{
    const char *end = target + len;
    const char *query;

    if (len == 0)
        return refuse(gate, 400, "the request line has no target");
    if (len > GATE_TARGET_MAX)
        return refuse(gate, 414, "the request target is too long");
    if (len == 1 && *target == '*')
        return options || refuse(gate, 400, "the target * is for OPTIONS only");
    if (*target != '/')
        return refuse(gate, 400, "the request target must begin with /");
    for (const char *p = target; p < end; p++)
        if (*p <= ' ' || *p > '~' || *p == '#')   /* bytes of 0x80 and above too, signed or not */
            return refuse(gate, 400, "the request target holds a character that must be escaped");
    query = memchr(target, '?', len);
    return check_path(gate, target, query ? query : end) && (!query || check_query(gate, query + 1, end));
}

static bool check_version(struct gate *gate, struct head *head, const char *version, size_t len)
{
    if (len == 8 && memcmp(version, "HTTP/1.1", 8) == 0)
        return true;
    if (len == 8 && memcmp(version, "HTTP/1.0", 8) == 0)
        return head->http_10 = true;
    if (len == 8 && memcmp(version, "HTTP/", 5) == 0 && version[5] >= '0' && version[5] <= '9' && version[6] == '.'
        && version[7] >= '0' && version[7] <= '9')
        return refuse(gate, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    return refuse(gate, 400, "the request line does not end in an HTTP version");
}

static bool take_request_line(struct gate *gate, struct head *head, const char *line, size_t len)
{
    const char *end = line + len;
    const char *target = memchr(line, ' ', len);
    const char *version;

    if (!target || target == line)
        return refuse(gate, 400, "the request line is not METHOD TARGET VERSION");
    if (target - line > METHOD_MAX)
        return refuse(gate, 400, "the method is too long");
    for (const char *p = line; p < target; p++)
        if (!is_token_char((unsigned char)*p))
            return refuse(gate, 400, "the method holds a character that no method has");
    version = memchr(target + 1, ' ', (size_t)(end - target - 1));
    if (!version)
        return refuse(gate, 400, "the request line is not METHOD TARGET VERSION");
    return check_version(gate, head, version + 1, (size_t)(end - version - 1))
           && check_target(gate, target + 1, (size_t)(version - target - 1),
                           target - line == 7 && memcmp(line, "OPTIONS", 7) == 0);
}

/* --- header lines ------------------------------------------------------------------------------------------------- */

static bool take_length(struct gate *gate, struct head *head, const char *value, size_t len)
{
    if (++head->lengths > 1)
        return refuse(gate, 400, "there is more than one Content-Length");
    if (len == 0)
        return refuse(gate, 400, "Content-Length is no number");
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return refuse(gate, 400, "Content-Length is no number");
        if (head->length > (INT64_MAX - 9) / 10)
            return refuse(gate, 400, "Content-Length is too large a number");
        head->length = head->length * 10 + (value[i] - '0');
    }
    return true;
}

static bool take_coding(struct gate *gate, struct head *head, const char *value, size_t len)
{
    if (++head->codings > 1)
        return refuse(gate, 400, "there is more than one Transfer-Encoding");
    if (len != 7 || strncasecmp(value, "chunked", 7) != 0)
        return refuse(gate, 501, "the only transfer coding taken here is chunked");
    return true;
}

static bool take_host(struct gate *gate, struct head *head, const char *value, size_t len)
{
    if (++head->hosts > 1)
        return refuse(gate, 400, "there is more than one Host");
    if (len == 0)
        return refuse(gate, 400, "Host is empty");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];

        if (!is_token_char(c) && (c >= 0x80 || !strchr("()[]:;,=", c)))
            return refuse(gate, 400, "Host holds a character that no host has");
    }
    return true;
}

static bool take_expect(struct gate *gate, struct head *head, const char *value, size_t len)
{
    if (++head->expects > 1 || len != 12 || strncasecmp(value, "100-continue", 12) != 0)
        return refuse(gate, 417, "the only expectation met here is 100-continue");
    return head->expect_continue = true;
}

/* The headers that say where a request ends, or whom it is for. */
static const struct {
    const char *name;
    size_t len;
    bool (*take)(struct gate *gate, struct head *head, const char *value, size_t len);
} framing_headers[] = {
    {"Content-Length", 14, take_length},
    {"Transfer-Encoding", 17, take_coding},
    {"Host", 4, take_host},
    {"Expect", 6, take_expect},
};

static bool take_header_line(struct gate *gate, struct head *head, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    const char *end = line + len;
    const char *value;
    size_t name_len;

    if (*line == ' ' || *line == '\t')
        return refuse(gate, 400, "a header line is folded, or begins with white space");
    if (!colon || colon == line)
        return refuse(gate, 400, "a header line has no name");
    for (const char *p = line; p < colon; p++)
        if (!is_token_char((unsigned char)*p))
            return refuse(gate, 400, "a header's name holds a character that no name has");
    if (++head->headers > GATE_HEADERS_MAX)
        return refuse(gate, 431, "there are too many headers");
    name_len = (size_t)(colon - line);
    value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (size_t i = 0; i < sizeof framing_headers / sizeof framing_headers[0]; i++)
        if (framing_headers[i].len == name_len && strncasecmp(line, framing_headers[i].name, name_len) == 0)
            return framing_headers[i].take(gate, head, value, (size_t)(end - value));
    return true;
}

static bool take_whole_head(struct gate *gate, const struct head *head)
{
    if (head->hosts == 0 && !head->http_10)
        return refuse(gate, 400, "there is no Host");
    if (head->lengths > 0 && head->codings > 0)
        return refuse(gate, 400, "there is a Content-Length beside a Transfer-Encoding");
    if (head->codings > 0 && head->http_10)
        return refuse(gate, 400, "HTTP/1.0 has no Transfer-Encoding");
    if (head->length > gate->body_max)
        return refuse(gate, 413, "the body is larger than the limit");
    gate->requests++;
    gate->expect_continue = head->expect_continue;
    gate->body_seen = 0;
    gate->body_left = head->length;
    gate->body_limit = gate->body_max;
    if (head->codings > 0) {
        gate->phase = GATE_CHUNKS;
        gate->chunk_step = CHUNK_SIZE;
        gate->chunk_size = 0;
        gate->chunk_line = 0;
    } else if (head->length > 0) {
        gate->phase = GATE_BODY;
    }
    return true;
}

/* The length of the line at `line`, whole with its CRLF within len bytes; 0 when it is not whole yet, or refused. */
static size_t whole_line(struct gate *gate, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\r') {
            if (i + 1 == len)
                return 0;
            if (line[i + 1] == '\n')
                return i + 2;
            refuse(gate, 400, "there is a carriage return with no line feed behind it");
            return 0;
        }
        if (!is_control((unsigned char)line[i]))
            continue;
        refuse(gate, 400, line[i] == '\n' ? "there is a line feed with no carriage return before it"
                                          : "there is a control character in the head");
        return 0;
    }
    return 0;
}

static size_t pass_head(struct gate *gate, const char *bytes, size_t len)
{
    struct head head = {0};
    size_t seen = len < GATE_HEAD_MAX ? len : GATE_HEAD_MAX;
    size_t at = 0;
    unsigned empty_lines = 0;
    bool request_line = true;

    for (;;) {
        size_t room = seen - at;
        bool cut = request_line && room > LINE_MAX_REQUEST + 2;
        size_t line = whole_line(gate, bytes + at, cut ? LINE_MAX_REQUEST + 2 : room);

        if (gate->phase == GATE_REFUSED)
            return 0;
        if (line == 0) {
            if (cut)
                refuse(gate, 414, "the request line is too long");
            else if (len >= GATE_HEAD_MAX)
                refuse(gate, 431, "the head of the request is too large");
            return 0;
        }
        if (line > 2 && request_line) {
            if (!take_request_line(gate, &head, bytes + at, line - 2))
                return 0;
            request_line = false;
        } else if (line > 2) {
            if (!take_header_line(gate, &head, bytes + at, line - 2))
                return 0;
        } else if (!request_line) {
            return take_whole_head(gate, &head) ? at + line : 0;
        } else if (++empty_lines > EMPTY_LINES_MAX) {
            refuse(gate, 400, "there are empty lines before the request line");
            return 0;
        }
        at += line;
    }
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

static size_t pass_body(struct gate *gate, size_t len)
{
    size_t n = (int64_t)len < gate->body_left ? len : (size_t)gate->body_left;

    gate->body_left -= (int64_t)n;
    gate->body_seen += (int64_t)n;
    if (gate->body_left == 0)
        gate->phase = GATE_HEAD;
    return n;
}

static bool end_chunk_line(struct gate *gate)
{
    gate->body_left = (int64_t)gate->chunk_size;
    gate->chunk_step = gate->chunk_size > 0 ? CHUNK_DATA : CHUNK_LAST_CR;
    gate->chunk_size = 0;
    gate->chunk_line = 0;
    return true;
}

static bool take_size_digit(struct gate *gate, int digit)
{
    gate->chunk_size = gate->chunk_size * 16 + (uint64_t)digit;
    /* Checked at each digit, so it never comes near to overflowing. */
    if (gate->body_seen > gate->body_limit || gate->chunk_size > (uint64_t)(gate->body_limit - gate->body_seen))
        return refuse(gate, 413, "the body is larger than the limit");
    return true;
}

/* One byte of a chunk's first line: SIZE [ BWS ";" extension ] CRLF. */
static bool take_chunk_line(struct gate *gate, unsigned char c)
{
    int digit = hex_digit(c);

    if (++gate->chunk_line > CHUNK_LINE_MAX)
        return refuse(gate, 400, "the first line of a chunk is too long");
    if (gate->chunk_step == CHUNK_LINE_END)
        return c == '\n' ? end_chunk_line(gate)
                         : refuse(gate, 400, "there is a carriage return with no line feed behind it");
    if (gate->chunk_step == CHUNK_SIZE && digit >= 0) {
        if (gate->chunk_line > 16)
            return refuse(gate, 400, "a chunk's size is too long");
        return take_size_digit(gate, digit);
    }
    if (gate->chunk_step == CHUNK_SIZE && gate->chunk_line == 1)
        return refuse(gate, 400, "a chunk's size is no number");
    if (c == '\r') {
        gate->chunk_step = CHUNK_LINE_END;
        return true;
    }
    if (gate->chunk_step == CHUNK_SIZE && c == ';') {
        gate->chunk_step = CHUNK_EXTENSION;
        return true;
    }
    if (gate->chunk_step != CHUNK_EXTENSION || is_control(c) || c >= 0x80)
        return refuse(gate, 400, "the first line of a chunk is malformed");
    return true;
}

static bool take_chunk_byte(struct gate *gate, unsigned char c)
{
    switch ((enum chunk_step)gate->chunk_step) {
    case CHUNK_DATA_CR:
        gate->chunk_step = CHUNK_DATA_LF;
        return c == '\r' || refuse(gate, 400, "a chunk is longer than its size");
    case CHUNK_DATA_LF:
        gate->chunk_step = CHUNK_SIZE;
        return c == '\n' || refuse(gate, 400, "a chunk is longer than its size");
    case CHUNK_LAST_CR:
        gate->chunk_step = CHUNK_LAST_LF;
        return c == '\r' || refuse(gate, 400, "trailers are not taken here");
    case CHUNK_LAST_LF:
        gate->phase = GATE_HEAD;
        return c == '\n' || refuse(gate, 400, "there is a carriage return with no line feed behind it");
    default:
        return take_chunk_line(gate, c);
    }
}

static size_t pass_chunks(struct gate *gate, const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len && gate->phase == GATE_CHUNKS) {
        if (gate->chunk_step == CHUNK_DATA) {
            size_t n = (int64_t)(len - at) < gate->body_left ? len - at : (size_t)gate->body_left;

            gate->body_left -= (int64_t)n;
            gate->body_seen += (int64_t)n;
            at += n;
            if (gate->body_left == 0)
                gate->chunk_step = CHUNK_DATA_CR;
        } else if (take_chunk_byte(gate, (unsigned char)bytes[at])) {
            at++;
        }
    }
    return at;
}

void gate_init(struct gate *gate, int64_t body_max)
{
    memset(gate, 0, sizeof *gate);
    gate->body_max = body_max;
    gate->body_limit = body_max;
}

void gate_limit_body(struct gate *gate, int64_t bytes)
{
    if (bytes < gate->body_limit)
        gate->body_limit = bytes;
}

size_t gate_pass(struct gate *gate, const char *bytes, size_t len)
{
    if (len == 0)
        return 0;
    switch (gate->phase) {
    case GATE_HEAD:
        return pass_head(gate, bytes, len);
    case GATE_BODY:
        return pass_body(gate, len);
    case GATE_CHUNKS:
        return pass_chunks(gate, bytes, len);
    case GATE_REFUSED:
        return 0;
    }
    return 0;
}
