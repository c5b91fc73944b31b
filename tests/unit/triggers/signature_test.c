/* Who sent it: published vectors of every scheme, and what a sender that means harm would try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "belfry/base/json.h"
#include "belfry/base/text.h"
#include "belfry/triggers/signature.h"

#define SECRETS_MAX 4
#define NO_TOLERANCE INT64_MAX

struct headers {
    const char *name[8];
    const char *value[8];
    size_t count;
};

static const char *header(void *data, const char *name)
{
    const struct headers *h = data;

    for (size_t i = 0; i < h->count; i++) {
        if (strcasecmp(h->name[i], name) == 0)
            return h->value[i];
    }
    return NULL;
}

static void add(struct headers *h, const char *name, const char *value)
{
    assert_in_range(h->count, 0, 7);
    h->name[h->count] = name;
    h->value[h->count++] = value;
}

static struct secret secret(const char *text)
{
    return (struct secret) { .bytes = (char *)(uintptr_t)text, .len = strlen(text) };
}

/* --- published vectors -------------------------------------------------------------------------------------------- */

struct scheme {
    const char *name;
    struct verify_config verify;
};

static char hub_header[] = "X-Hub-Signature", shop_header[] = "X-Shopify-Hmac-SHA256", any_header[] = "X-Mac";
static char with_prefix[] = "sha256=", no_prefix[] = "";

static const struct scheme schemes[] = {
    { "github", { .scheme = VERIFY_GITHUB } },
    { "gitlab-token", { .scheme = VERIFY_GITLAB } },
    { "slack", { .scheme = VERIFY_SLACK } },
    { "stripe", { .scheme = VERIFY_STRIPE } },
    { "standard-webhooks", { .scheme = VERIFY_STANDARD } },
    { "bitbucket", { .scheme = VERIFY_HMAC, .header = hub_header, .prefix = with_prefix } },
    { "base64-sha256", { .scheme = VERIFY_HMAC, .header = shop_header, .prefix = no_prefix, .base64 = true } },
    { "adnanh-webhook", { .scheme = VERIFY_HMAC, .header = any_header, .prefix = no_prefix } },
    { "raw-hmac", { .scheme = VERIFY_HMAC, .header = any_header, .prefix = no_prefix } },
};

struct message {
    struct verify_config verify;
    struct secret secrets[SECRETS_MAX];
    size_t secret_count;
    struct headers headers;
    char key[512], body_bytes[512];   /* of raw vectors */
    const char *body;
    size_t body_len;
    int64_t now_ms, tolerance_ms;
};

static void take_raw(struct message *m, const json_t *vector)
{
    const char *key = json_str(vector, "key_hex"), *text = json_str(vector, "msg_hex");
    size_t key_len = sizeof m->key;

    m->body_len = sizeof m->body_bytes;
    assert_int_equal(text_unhex(key, strlen(key), m->key, &key_len), 0);
    assert_int_equal(text_unhex(text, strlen(text), m->body_bytes, &m->body_len), 0);
    m->secrets[m->secret_count++] = (struct secret) { .bytes = m->key, .len = key_len };
    m->body = m->body_bytes;
    add(&m->headers, any_header, json_str(vector, "mac"));
}

static void take_text(struct message *m, const json_t *vector)
{
    const json_t *value = json_object_get(vector, "secret");
    const char *signature = json_str(vector, "signature");
    const char *name;
    json_t *item;
    size_t index;

    if (value != NULL)
        m->secrets[m->secret_count++] = secret(json_string_value(value));
    json_array_foreach (json_object_get(vector, "secrets"), index, item) {
        assert_in_range(m->secret_count, 0, SECRETS_MAX - 1);
        m->secrets[m->secret_count++] = secret(json_string_value(item));
    }
    json_object_foreach (json_object_get(vector, "headers"), name, item)
        add(&m->headers, name, json_string_value(item));
    if (signature != NULL) {
        m->verify.prefix = strncmp(signature, with_prefix, strlen(with_prefix)) == 0 ? with_prefix : no_prefix;
        add(&m->headers, any_header, signature);
    }
    m->body = json_string_value(json_object_get(vector, "body"));
    m->body_len = json_string_length(json_object_get(vector, "body"));
    assert_non_null(m->body);
}

static enum signature_verdict check_vector(const json_t *vector, char replay[200])
{
    const char *name = json_str(vector, "scheme");
    struct message m = { .now_ms = json_int(vector, "now", 0) * 1000, .tolerance_ms = NO_TOLERANCE };
    const struct scheme *s = NULL;

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        s = strcmp(schemes[i].name, name) == 0 ? &schemes[i] : s;
    assert_non_null(s);
    m.verify = s->verify;
    if (json_is_integer(json_object_get(vector, "tolerance_s")))
        m.tolerance_ms = json_int(vector, "tolerance_s", 0) * 1000;
    if (strcmp(name, "raw-hmac") == 0)
        take_raw(&m, vector);
    else
        take_text(&m, vector);
    return signature_check(&m.verify, m.secrets, m.secret_count, header, &m.headers, m.body, m.body_len, m.now_ms,
                           m.tolerance_ms, replay);
}

static void published_vectors(void **state)
{
    char path[4096], replay[200];
    size_t index, good = 0, bad = 0;
    json_t *file, *vector;

    (void)state;
    assert_true(snprintf(path, sizeof path, "%s/vectors/hmac.json", TESTS_DIR) < (int)sizeof path);
    file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    json_array_foreach (json_object_get(file, "vectors"), index, vector) {
        bool valid = json_is_true(json_object_get(vector, "valid"));
        enum signature_verdict verdict = check_vector(vector, replay);
        bool signs = strcmp(json_str(vector, "scheme"), "gitlab-token") != 0;

        if ((verdict == SIGNATURE_GOOD) != valid)
            fail_msg("%s: %s", json_str(vector, "id"), signature_verdict_text(verdict));
        assert_int_equal(replay[0] != '\0', valid && signs);
        good += valid;
        bad += !valid;
    }
    assert_int_equal(good + bad, json_int(file, "count", -1));
    assert_true(good > 50);
    assert_true(bad > 80);
    json_decref(file);
}

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

#define BODY "{\"test\": 2432232314}"
#define STANDARD_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define STANDARD_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define STANDARD_MS (INT64_C(1614265330) * 1000)
#define MINUTES5 (5 * 60000)

static enum signature_verdict check(int scheme, const char *const *secrets, const struct headers *h, const char *body,
                                    int64_t now_ms, char replay[200])
{
    const struct verify_config verify = { .scheme = scheme };
    struct secret all[SECRETS_MAX];
    size_t count = 0;

    for (; secrets[count] != NULL; count++)
        all[count] = secret(secrets[count]);
    memset(replay, 'x', 200);
    return signature_check(&verify, all, count, header, (void *)(uintptr_t)h, body, strlen(body), now_ms, MINUTES5, replay);
}

static void bearer(void **state)
{
    const struct { const char *value; enum signature_verdict verdict; } rows[] = {
        { NULL, SIGNATURE_MISSING },          { "Bearer open sesame", SIGNATURE_GOOD },
        { "bearer  open sesame", SIGNATURE_GOOD }, { "Bearer open sesam", SIGNATURE_WRONG },
        { "Bearer open sesame ", SIGNATURE_WRONG }, { "Bearer ", SIGNATURE_WRONG },
        { "Bearer", SIGNATURE_MALFORMED },    { "Basic open sesame", SIGNATURE_MALFORMED },
        { "Bearer second", SIGNATURE_GOOD },  { "", SIGNATURE_MALFORMED },
    };
    const char *const secrets[] = { "open sesame", "second", NULL };
    char replay[200];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct headers h = { 0 };

        if (rows[i].value != NULL)
            add(&h, "authorization", rows[i].value);
        assert_int_equal(check(VERIFY_BEARER, secrets, &h, BODY, 0, replay), rows[i].verdict);
        assert_string_equal(replay, "");   /* nothing is signed: it may come twice */
    }
}

static void basic(void **state)
{
    const struct { const char *value; enum signature_verdict verdict; } rows[] = {
        { NULL, SIGNATURE_MISSING },
        { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", SIGNATURE_GOOD },   /* RFC 7617 §2: Aladdin:open sesame */
        { "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", SIGNATURE_GOOD },
        { "Basic QWxhZGRpbjpvcGVuIHNlc2FtZA==", SIGNATURE_WRONG },
        { "Basic Aladdin:open sesame", SIGNATURE_MALFORMED },
        { "Basic", SIGNATURE_MALFORMED },
        { "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", SIGNATURE_MALFORMED },
    };
    const char *const secrets[] = { "Aladdin:open sesame", NULL };
    char replay[200];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct headers h = { 0 };

        if (rows[i].value != NULL)
            add(&h, "Authorization", rows[i].value);
        assert_int_equal(check(VERIFY_BASIC, secrets, &h, BODY, 0, replay), rows[i].verdict);
    }
}

static void an_endless_credential(void **state)
{
    const char *const secrets[] = { "a:b", NULL };
    struct headers h = { 0 };
    char value[4096], replay[200];

    (void)state;
    memset(value, 'A', sizeof value);
    memcpy(value, "Basic ", 6);
    value[6 + 4000] = '\0';
    add(&h, "Authorization", value);
    assert_int_equal(check(VERIFY_BASIC, secrets, &h, BODY, 0, replay), SIGNATURE_MALFORMED);
}

static void no_secret_lets_nobody_in(void **state)
{
    const char *const none[] = { NULL }, *const empty[] = { "", NULL };
    const char *const *const lists[] = { none, empty };
    const int all[] = { VERIFY_BEARER, VERIFY_GITLAB, VERIFY_GITHUB, VERIFY_STANDARD };
    struct headers h = { 0 };
    char replay[200];

    (void)state;
    add(&h, "Authorization", "Bearer ");
    add(&h, "X-Gitlab-Token", "");
    /* HMAC-SHA-256 of nothing with an empty key */
    add(&h, "X-Hub-Signature-256", "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    add(&h, "webhook-id", "m");
    add(&h, "webhook-timestamp", "1");
    add(&h, "webhook-signature", STANDARD_SIGNATURE);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            assert_int_equal(check(all[k], lists[i], &h, "", 1000, replay), SIGNATURE_WRONG);
            assert_string_equal(replay, "");
        }
    }
}

static enum signature_verdict check_standard(const char *id, const char *time, const char *signatures, const char *body,
                                             int64_t now_ms, char replay[200])
{
    const char *const secrets[] = { STANDARD_SECRET, NULL };
    struct headers h = { 0 };

    add(&h, "Webhook-Id", id);
    add(&h, "Webhook-Timestamp", time);
    add(&h, "Webhook-Signature", signatures);
    return check(VERIFY_STANDARD, secrets, &h, body, now_ms, replay);
}

static void standard_webhooks(void **state)
{
    static const char id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek", time[] = "1614265330";
    char replay[200];

    (void)state;
    assert_int_equal(check_standard(id, time, STANDARD_SIGNATURE, BODY, STANDARD_MS, replay), SIGNATURE_GOOD);
    assert_string_equal(replay, id);
    assert_int_equal(check_standard(id, time, STANDARD_SIGNATURE, BODY, STANDARD_MS + MINUTES5, replay), SIGNATURE_GOOD);
    assert_int_equal(check_standard(id, time, STANDARD_SIGNATURE, BODY, STANDARD_MS + MINUTES5 + 1, replay),
                     SIGNATURE_STALE);
    assert_string_equal(replay, "");
    assert_int_equal(check_standard(id, time, STANDARD_SIGNATURE, BODY, STANDARD_MS - MINUTES5 - 1, replay),
                     SIGNATURE_STALE);
    /* A wrong one says nothing of its age. */
    assert_int_equal(check_standard(id, "1", STANDARD_SIGNATURE, BODY, STANDARD_MS, replay), SIGNATURE_WRONG);
    assert_int_equal(check_standard(id, time, STANDARD_SIGNATURE, BODY " ", STANDARD_MS, replay), SIGNATURE_WRONG);
    assert_int_equal(check_standard("msg_other", time, STANDARD_SIGNATURE, BODY, STANDARD_MS, replay), SIGNATURE_WRONG);
    assert_int_equal(check_standard(id, time, "v1a,g0hM9SsE", BODY, STANDARD_MS, replay), SIGNATURE_MALFORMED);
    assert_int_equal(check_standard(id, "-1614265330", STANDARD_SIGNATURE, BODY, STANDARD_MS, replay),
                     SIGNATURE_MALFORMED);
    assert_int_equal(check_standard(id, "9999999999999999999", STANDARD_SIGNATURE, BODY, STANDARD_MS, replay),
                     SIGNATURE_MALFORMED);
}

/* "ID.TIME.BODY" must not be readable in two ways. */
static void a_dot_moves_nothing(void **state)
{
    char replay[200];

    (void)state;
    assert_int_equal(check_standard("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330", "1614265330", STANDARD_SIGNATURE, BODY,
                                    STANDARD_MS, replay), SIGNATURE_MALFORMED);
    assert_int_equal(check_standard("", "1614265330", STANDARD_SIGNATURE, BODY, STANDARD_MS, replay), SIGNATURE_MALFORMED);
}

/* More signatures than there is room for are refused or passed over, never written somewhere else. */
static void many_signatures(void **state)
{
    static const char wrong[] = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= ";
    static char list[200 * sizeof wrong + sizeof STANDARD_SIGNATURE];
    char replay[200];
    size_t at = 0;

    (void)state;
    for (int i = 0; i < 200; i++, at += sizeof wrong - 1)
        memcpy(list + at, wrong, sizeof wrong);
    assert_int_equal(check_standard("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", list, BODY, STANDARD_MS, replay),
                     SIGNATURE_WRONG);
    memcpy(list + at, STANDARD_SIGNATURE, sizeof STANDARD_SIGNATURE);
    assert_int_equal(check_standard("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
                                    list + at - 10 * (sizeof wrong - 1), BODY, STANDARD_MS, replay), SIGNATURE_GOOD);
}

/* --- what makes a message one of a kind --------------------------------------------------------------------------- */

static void capitals_are_the_same_message(void **state)
{
    const char *const secrets[] = { "It's a Secret to Everybody", NULL };
    struct headers lower = { 0 }, upper = { 0 };
    char a[200], b[200];

    (void)state;
    add(&lower, "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    add(&upper, "X-Hub-Signature-256", "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17");
    add(&upper, "X-GitHub-Delivery", "another");   /* not signed */
    assert_int_equal(check(VERIFY_GITHUB, secrets, &lower, "Hello, World!", 0, a), SIGNATURE_GOOD);
    assert_int_equal(check(VERIFY_GITHUB, secrets, &upper, "Hello, World!", 0, b), SIGNATURE_GOOD);
    assert_string_equal(a, b);
    assert_string_equal(a, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}

/* While keys are changed, a message that matches the second secret is known by the first all the same. */
static void one_face_while_keys_change(void **state)
{
    const char *const both[] = { "new", "It's a Secret to Everybody", NULL }, *const only_new[] = { "new", NULL };
    struct headers old_key = { 0 }, new_key = { 0 };
    char a[200], b[200], signature[80] = "sha256=";

    (void)state;
    add(&old_key, "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    assert_int_equal(check(VERIFY_GITHUB, both, &old_key, "Hello, World!", 0, a), SIGNATURE_GOOD);
    assert_string_not_equal(a, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    memcpy(signature + 7, a, 65);   /* it is the signature by the first secret */
    add(&new_key, "X-Hub-Signature-256", signature);
    assert_int_equal(check(VERIFY_GITHUB, only_new, &new_key, "Hello, World!", 0, b), SIGNATURE_GOOD);
    assert_string_equal(a, b);
}

static void gitlab_deliveries(void **state)
{
    const char *const secrets[] = { "s3cr3t", NULL };
    struct headers h = { 0 };
    char replay[200], endless[400];

    (void)state;
    add(&h, "X-Gitlab-Token", "s3cr3t");
    assert_int_equal(check(VERIFY_GITLAB, secrets, &h, "{}", 0, replay), SIGNATURE_GOOD);
    assert_string_equal(replay, "");
    add(&h, "X-Gitlab-Event-UUID", "uuid-1");
    assert_int_equal(check(VERIFY_GITLAB, secrets, &h, "{}", 0, replay), SIGNATURE_GOOD);
    assert_string_equal(replay, "uuid-1");
    add(&h, "Idempotency-Key", "key-1");
    assert_int_equal(check(VERIFY_GITLAB, secrets, &h, "{}", 0, replay), SIGNATURE_GOOD);
    assert_string_equal(replay, "key-1");
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    h.value[2] = endless;
    assert_int_equal(check(VERIFY_GITLAB, secrets, &h, "{}", 0, replay), SIGNATURE_GOOD);
    assert_true(strlen(replay) < 200);
    h.value[0] = "wrong";
    assert_int_equal(check(VERIFY_GITLAB, secrets, &h, "{}", 0, replay), SIGNATURE_WRONG);
    assert_string_equal(replay, "");
}

static void stripe_headers(void **state)
{
    const struct { const char *value; enum signature_verdict verdict; } rows[] = {
        { NULL, SIGNATURE_MISSING },
        { "", SIGNATURE_MALFORMED },
        { ",,,", SIGNATURE_MALFORMED },
        { "t=1,t=2,v1=00", SIGNATURE_MALFORMED },
        { "t=,v1=00", SIGNATURE_MALFORMED },
        { "t=1e3,v1=00", SIGNATURE_MALFORMED },
        { "v1=00,t=1", SIGNATURE_WRONG },
        { "t=1,v1=zz", SIGNATURE_WRONG },
    };
    const char *const secrets[] = { "whsec_test_secret", NULL };
    char replay[200];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct headers h = { 0 };

        if (rows[i].value != NULL)
            add(&h, "Stripe-Signature", rows[i].value);
        assert_int_equal(check(VERIFY_STRIPE, secrets, &h, BODY, 1000, replay), rows[i].verdict);
    }
}

static void none_and_unknown(void **state)
{
    const char *const secrets[] = { NULL };
    const struct headers h = { 0 };
    char replay[200];

    (void)state;
    assert_int_equal(check(VERIFY_NONE, secrets, &h, BODY, 0, replay), SIGNATURE_GOOD);
    assert_string_equal(replay, "");
    assert_int_equal(check(VERIFY_HMAC + 1, secrets, &h, BODY, 0, replay), SIGNATURE_MALFORMED);
    assert_int_equal(check(-1, secrets, &h, BODY, 0, replay), SIGNATURE_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(bearer),
        cmocka_unit_test(basic),
        cmocka_unit_test(an_endless_credential),
        cmocka_unit_test(no_secret_lets_nobody_in),
        cmocka_unit_test(standard_webhooks),
        cmocka_unit_test(a_dot_moves_nothing),
        cmocka_unit_test(many_signatures),
        cmocka_unit_test(capitals_are_the_same_message),
        cmocka_unit_test(one_face_while_keys_change),
        cmocka_unit_test(gitlab_deliveries),
        cmocka_unit_test(stripe_headers),
        cmocka_unit_test(none_and_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
