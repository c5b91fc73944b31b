/*
 * The schemes of `verify`. A scheme reads the headers into what was signed and which signatures were given; the rest is
 * the same for all: every secret is tried, every comparison takes the same time, and the age of a message is judged only
 * once its signature is known to be good.
 */
#include "belfry/triggers/signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/text.h"

#define MAC_SIZE 32
/* A sender that is changing its keys gives two; Stripe and Standard Webhooks name no limit. */
#define GIVEN_MAX 16
#define PARTS_MAX 5
#define REPLAY_SIZE 200
/* A secret of Standard Webhooks has 24 to 64 bytes. */
#define STANDARD_KEY_MAX 258   /* a multiple of three: whole groups of base64 */

struct part {
    const void *bytes;
    size_t len;
};

struct call {
    const struct verify_config *verify;
    const struct secret *secrets;
    size_t secret_count;
    const char *(*header)(void *data, const char *name);
    void *data;
    struct part body;
    int64_t now_ms;
    int64_t tolerance_ms;
    char *replay;
    /* what the headers said */
    unsigned char given[GIVEN_MAX][MAC_SIZE];
    size_t given_count;
    struct part parts[PARTS_MAX];
    size_t part_count;
};

/* --- HMAC-SHA-256 ------------------------------------------------------------------------------------------------- */

/* Fetching the algorithm costs more than a signature of a kilobyte: it is done once, and copied. */
static EVP_MAC_CTX *template;
static pthread_once_t template_once = PTHREAD_ONCE_INIT;

static void template_make(void)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!mac)
        return;
    template = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    if (template && EVP_MAC_CTX_set_params(template, params) != 1) {
        EVP_MAC_CTX_free(template);
        template = NULL;
    }
}

static bool hmac(const void *key, size_t key_len, const struct part *parts, size_t count, unsigned char out[MAC_SIZE])
{
    size_t len = 0;
    pthread_once(&template_once, template_make);
    EVP_MAC_CTX *ctx = template ? EVP_MAC_CTX_dup(template) : NULL;
    if (!ctx)
        return false;
    bool good = EVP_MAC_init(ctx, key, key_len, NULL) == 1;
    for (size_t i = 0; good && i < count; i++)
        good = parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].bytes, parts[i].len) == 1;
    good = good && EVP_MAC_final(ctx, out, &len, MAC_SIZE) == 1 && len == MAC_SIZE;
    EVP_MAC_CTX_free(ctx);
    return good;
}

/* "whsec_" and base64, with or without its padding, or the base64 alone. The key's length, 0 when it is none. */
static size_t standard_key(const struct secret *secret, unsigned char key[STANDARD_KEY_MAX])
{
    static const char prefix[] = "whsec_";
    char text[STANDARD_KEY_MAX / 3 * 4];
    const char *at = secret->bytes;
    size_t len = secret->len;

    if (len >= sizeof prefix - 1 && memcmp(at, prefix, sizeof prefix - 1) == 0) {
        at += sizeof prefix - 1;
        len -= sizeof prefix - 1;
    }
    if (len == 0 || len > sizeof text)
        return 0;
    memcpy(text, at, len);
    int pad = 0;
    for (const char *end = at + len; end > at && end[-1] == '='; end--)
        pad++;
    for (; len % 4 != 0; pad++)
        text[len++] = '=';
    /* OpenSSL's decoder, as text_unbase64 is stricter than the ones that senders made their keys with. */
    const int got = EVP_DecodeBlock(key, (const unsigned char *)text, (int)len);
    OPENSSL_cleanse(text, sizeof text);
    return got > pad ? (size_t)(got - pad) : 0;
}

static bool mac_of(const struct call *c, const struct secret *secret, unsigned char out[MAC_SIZE])
{
    unsigned char key[STANDARD_KEY_MAX];
    if (!secret->bytes || secret->len == 0)
        return false;
    if (c->verify->scheme != VERIFY_STANDARD)
        return hmac(secret->bytes, secret->len, c->parts, c->part_count, out);
    const size_t len = standard_key(secret, key);
    const bool good = len > 0 && hmac(key, len, c->parts, c->part_count, out);
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

/* Tries every secret on every signature. What makes the message one of a kind is its content as the first usable secret
 * signs it: a sender that signs with two keys, or writes its hex in capitals, gives no second face to one message. */
static bool any_matches(const struct call *c)
{
    unsigned char mac[MAC_SIZE];
    bool match = false;
    bool first = true;
    for (size_t i = 0; i < c->secret_count; i++) {
        if (!mac_of(c, &c->secrets[i], mac))
            continue;
        if (first)
            text_hex(mac, sizeof mac, c->replay);
        first = false;
        for (size_t k = 0; k < c->given_count; k++)
            match |= text_equal_constant_time(mac, c->given[k], sizeof mac);
    }
    OPENSSL_cleanse(mac, sizeof mac);
    if (!match)
        c->replay[0] = '\0';
    return match;
}

/* --- reading headers ---------------------------------------------------------------------------------------------- */

static void sign_bytes(struct call *c, const void *bytes, size_t len)
{
    c->parts[c->part_count++] = (struct part){.bytes = bytes, .len = len};
}

static bool give_hex(struct call *c, const char *text, size_t len)
{
    size_t size = MAC_SIZE;
    if (c->given_count == GIVEN_MAX || text_unhex(text, len, c->given[c->given_count], &size) != 0 || size != MAC_SIZE)
        return false;
    c->given_count++;
    return true;
}

static bool give_base64(struct call *c, const char *text, size_t len)
{
    size_t size = MAC_SIZE;
    if (c->given_count == GIVEN_MAX || text_unbase64(text, len, c->given[c->given_count], &size) != 0 ||
        size != MAC_SIZE)
        return false;
    c->given_count++;
    return true;
}

/* Seconds since the epoch, digits only, in milliseconds. */
static bool read_seconds(const char *text, size_t len, int64_t *ms)
{
    int64_t seconds = 0;
    if (len == 0 || len > 12)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        seconds = seconds * 10 + (text[i] - '0');
    }
    *ms = seconds * 1000;
    return true;
}

static enum signature_verdict judge(const struct call *c)
{
    return any_matches(c) ? SIGNATURE_GOOD : SIGNATURE_WRONG;
}

static enum signature_verdict judge_with_time(const struct call *c, int64_t signed_ms)
{
    if (!any_matches(c))
        return SIGNATURE_WRONG;
    const int64_t apart_ms = c->now_ms > signed_ms ? c->now_ms - signed_ms : signed_ms - c->now_ms;
    if (apart_ms <= c->tolerance_ms)
        return SIGNATURE_GOOD;
    c->replay[0] = '\0';
    return SIGNATURE_STALE;
}

/* Equal texts, in a time that says nothing of either, not even the secret's length. */
static bool same_text(const void *given, size_t given_len, const struct secret *secret)
{
    unsigned char a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];
    if (!secret->bytes || secret->len == 0)
        return false;
    if (EVP_Digest(given, given_len, a, NULL, EVP_sha256(), NULL) != 1 ||
        EVP_Digest(secret->bytes, secret->len, b, NULL, EVP_sha256(), NULL) != 1)
        return false;
    return text_equal_constant_time(a, b, MAC_SIZE);
}

static enum signature_verdict judge_text(const struct call *c, const void *given, size_t len)
{
    bool match = false;
    for (size_t i = 0; i < c->secret_count; i++)
        match |= same_text(given, len, &c->secrets[i]);
    return match ? SIGNATURE_GOOD : SIGNATURE_WRONG;
}

/* --- the schemes -------------------------------------------------------------------------------------------------- */

static enum signature_verdict check_none(struct call *c)
{
    (void)c;
    return SIGNATURE_GOOD;
}

/* What follows "WORD " in Authorization (RFC 9110 §11.4: the word in any case). */
static const char *authorization(const struct call *c, const char *word, enum signature_verdict *verdict)
{
    const char *value = c->header(c->data, "Authorization");
    const size_t len = strlen(word);
    if (!value) {
        *verdict = SIGNATURE_MISSING;
        return NULL;
    }
    if (strncasecmp(value, word, len) != 0 || value[len] != ' ') {
        *verdict = SIGNATURE_MALFORMED;
        return NULL;
    }
    value += len;
    while (*value == ' ')
        value++;
    return value;
}

static enum signature_verdict check_bearer(struct call *c)
{
    enum signature_verdict verdict;
    const char *token = authorization(c, "Bearer", &verdict);
    return token ? judge_text(c, token, strlen(token)) : verdict;
}

static enum signature_verdict check_basic(struct call *c)
{
    enum signature_verdict verdict;
    char pair[1024];
    size_t len = sizeof pair;
    const char *token = authorization(c, "Basic", &verdict);
    if (!token)
        return verdict;
    if (text_unbase64(token, strlen(token), pair, &len) != 0)
        return SIGNATURE_MALFORMED;
    verdict = judge_text(c, pair, len);
    OPENSSL_cleanse(pair, sizeof pair);
    return verdict;
}

/* PREFIX and one signature of the body. */
static enum signature_verdict check_body(struct call *c, const char *header, const char *prefix, bool base64)
{
    const char *value = c->header(c->data, header);
    const size_t prefix_len = strlen(prefix);
    if (!value)
        return SIGNATURE_MISSING;
    if (strncmp(value, prefix, prefix_len) != 0)
        return SIGNATURE_MALFORMED;
    value += prefix_len;
    if (!(base64 ? give_base64 : give_hex)(c, value, strlen(value)))
        return SIGNATURE_MALFORMED;
    sign_bytes(c, c->body.bytes, c->body.len);
    return judge(c);
}

/* X-GitHub-Delivery is not signed: whoever captured a message could send it again under another one. */
static enum signature_verdict check_github(struct call *c)
{
    return check_body(c, "X-Hub-Signature-256", "sha256=", false);
}

static enum signature_verdict check_hmac(struct call *c)
{
    return check_body(c, c->verify->header, c->verify->prefix ? c->verify->prefix : "", c->verify->base64);
}

/* A token is no signature: the id, when there is one, only spares a re-delivery its second run. */
static enum signature_verdict check_gitlab(struct call *c)
{
    const char *token = c->header(c->data, "X-Gitlab-Token");
    if (!token)
        return SIGNATURE_MISSING;
    const enum signature_verdict verdict = judge_text(c, token, strlen(token));
    const char *id = c->header(c->data, "Idempotency-Key");
    if (!id)
        id = c->header(c->data, "X-Gitlab-Event-UUID");
    if (verdict == SIGNATURE_GOOD && id && strlen(id) < REPLAY_SIZE)
        memcpy(c->replay, id, strlen(id) + 1);
    return verdict;
}

/* https://api.slack.com/authentication/verifying-requests-from-slack */
static enum signature_verdict check_slack(struct call *c)
{
    const char *value = c->header(c->data, "X-Slack-Signature");
    const char *time = c->header(c->data, "X-Slack-Request-Timestamp");
    int64_t signed_ms;
    if (!value || !time)
        return SIGNATURE_MISSING;
    if (strncmp(value, "v0=", 3) != 0 || !give_hex(c, value + 3, strlen(value + 3)) ||
        !read_seconds(time, strlen(time), &signed_ms))
        return SIGNATURE_MALFORMED;
    sign_bytes(c, "v0:", 3);
    sign_bytes(c, time, strlen(time));
    sign_bytes(c, ":", 1);
    sign_bytes(c, c->body.bytes, c->body.len);
    return judge_with_time(c, signed_ms);
}

/* The next element of a list: its length, and *rest behind the separator (NULL after the last). */
static size_t next_element(const char *text, char separator, const char **rest)
{
    const char *end = strchr(text, separator);
    *rest = end ? end + 1 : NULL;
    return end ? (size_t)(end - text) : strlen(text);
}

/* https://docs.stripe.com/webhooks#verify-manually: "t=SECONDS,v1=HEX,v1=HEX,v0=…" */
static enum signature_verdict check_stripe(struct call *c)
{
    const char *at = c->header(c->data, "Stripe-Signature");
    struct part time = {0};
    int64_t signed_ms = 0;
    bool any = false;
    if (!at)
        return SIGNATURE_MISSING;
    while (at) {
        const char *rest;
        const size_t len = next_element(at, ',', &rest);
        if (len > 2 && memcmp(at, "t=", 2) == 0) {
            if (time.bytes || !read_seconds(at + 2, len - 2, &signed_ms))
                return SIGNATURE_MALFORMED;
            time = (struct part){.bytes = at + 2, .len = len - 2};
        } else if (len > 3 && memcmp(at, "v1=", 3) == 0) {
            any = true;
            give_hex(c, at + 3, len - 3);
        }
        at = rest;
    }
    if (!time.bytes || !any)
        return SIGNATURE_MALFORMED;
    sign_bytes(c, time.bytes, time.len);
    sign_bytes(c, ".", 1);
    sign_bytes(c, c->body.bytes, c->body.len);
    return judge_with_time(c, signed_ms);
}

/* The delivery's id, shortened to its hash when it is longer than there is room. */
static void replay_id(char *replay, const char *id, size_t len)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (len < REPLAY_SIZE) {
        memcpy(replay, id, len + 1);
        return;
    }
    if (EVP_Digest(id, len, hash, NULL, EVP_sha256(), NULL) == 1)
        text_hex(hash, MAC_SIZE, replay);
}

/* https://github.com/standard-webhooks/standard-webhooks: "v1,BASE64 v1,BASE64 v1a,…"; the asymmetric v1a is passed
 * over. A delivery that is sent again has a new time and signature, and the same id. */
static enum signature_verdict check_standard(struct call *c)
{
    const char *id = c->header(c->data, "webhook-id");
    const char *time = c->header(c->data, "webhook-timestamp");
    const char *at = c->header(c->data, "webhook-signature");
    int64_t signed_ms;
    bool any = false;
    if (!id || !time || !at)
        return SIGNATURE_MISSING;
    /* "." parts what is signed: an id that has one could be read in two ways. */
    if (id[0] == '\0' || strchr(id, '.') || !read_seconds(time, strlen(time), &signed_ms))
        return SIGNATURE_MALFORMED;
    while (at) {
        const char *rest;
        const size_t len = next_element(at, ' ', &rest);
        if (len > 3 && memcmp(at, "v1,", 3) == 0) {
            any = true;
            give_base64(c, at + 3, len - 3);
        }
        at = rest;
    }
    if (!any)
        return SIGNATURE_MALFORMED;
    sign_bytes(c, id, strlen(id));
    sign_bytes(c, ".", 1);
    sign_bytes(c, time, strlen(time));
    sign_bytes(c, ".", 1);
    sign_bytes(c, c->body.bytes, c->body.len);
    const enum signature_verdict verdict = judge_with_time(c, signed_ms);
    if (verdict == SIGNATURE_GOOD)
        replay_id(c->replay, id, strlen(id));
    return verdict;
}

static enum signature_verdict (*const schemes[])(struct call *c) = {
    [VERIFY_NONE] = check_none,     [VERIFY_BEARER] = check_bearer, [VERIFY_BASIC] = check_basic,
    [VERIFY_GITHUB] = check_github, [VERIFY_GITLAB] = check_gitlab, [VERIFY_SLACK] = check_slack,
    [VERIFY_STRIPE] = check_stripe, [VERIFY_STANDARD] = check_standard, [VERIFY_HMAC] = check_hmac,
};

enum signature_verdict signature_check(const struct verify_config *verify, const struct secret *secrets, size_t count,
                                       const char *(*header)(void *data, const char *name), void *data, const char *body,
                                       size_t body_len, int64_t now_ms, int64_t tolerance_ms, char replay[200])
{
    struct call c;
    replay[0] = '\0';
    if (verify->scheme < 0 || (size_t)verify->scheme >= sizeof schemes / sizeof schemes[0])
        return SIGNATURE_MALFORMED;
    c.verify = verify;
    c.secrets = secrets;
    c.secret_count = count;
    c.header = header;
    c.data = data;
    c.body = (struct part){.bytes = body, .len = body_len};
    c.now_ms = now_ms;
    c.tolerance_ms = tolerance_ms;
    c.replay = replay;
    c.given_count = 0;
    c.part_count = 0;
    return schemes[verify->scheme](&c);
}

const char *signature_verdict_text(enum signature_verdict verdict)
{
    static const char *const texts[] = {
        [SIGNATURE_GOOD] = "good",
        [SIGNATURE_MISSING] = "it is not signed",
        [SIGNATURE_MALFORMED] = "its signature cannot be read",
        [SIGNATURE_WRONG] = "its signature is wrong",
        [SIGNATURE_STALE] = "its signature is too old, or from the future",
    };
    return texts[verdict];
}
