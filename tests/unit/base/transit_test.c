/* The envelope of secrets, with a robot's half of it done here with libcrypto alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/base/transit.h"

#define TEXT "{\"password\":\"swordfish\"}"

static char folder[64], path[96];
static EVP_PKEY *robot;

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-transit.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/transit.pem", folder);
    return (robot = EVP_RSA_gen(2048)) != NULL ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    EVP_PKEY_free(robot);
    return file_remove_tree(folder, NULL);
}

static char *public_of(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    struct buf text = { 0 };

    text_base64(der, (size_t)len, &text);
    OPENSSL_free(der);
    return buf_take(&text);
}

static size_t member(const json_t *object, const char *name, unsigned char *out, size_t size)
{
    const char *text = json_str(object, name);

    assert_non_null(text);
    assert_int_equal(text_unbase64(text, strlen(text), out, &size), 0);
    return size;
}

static void put_member(json_t *object, const char *name, const void *bytes, size_t len)
{
    struct buf text = { 0 };

    text_base64(bytes, len, &text);
    assert_int_equal(json_put(object, name, buf_str(&text)), 0);
    buf_close(&text);
}

static void oaep(EVP_PKEY *key, int encrypt, const unsigned char *in, size_t len, unsigned char *out, size_t *out_len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

    assert_int_equal(encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
    assert_int_equal(encrypt ? EVP_PKEY_encrypt(ctx, out, out_len, in, len) : EVP_PKEY_decrypt(ctx, out, out_len, in, len), 1);
    EVP_PKEY_CTX_free(ctx);
}

static void to_a_robot(void **state)
{
    unsigned char wrapped[512], key[512], tag[16], iv[64], sealed[256], text[256];
    struct secret secret = { .bytes = (char *)(uintptr_t)TEXT, .len = strlen(TEXT) };
    char *public_key = public_of(robot), nonce[129];
    json_t *envelope = json_object(), *encryption;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    size_t len, key_len = sizeof key;
    struct error err;
    int n;

    (void)state;
    assert_int_equal(transit_seal(public_key, &secret, envelope, &err), 0);
    encryption = json_object_get(envelope, "encryption");
    assert_string_equal(json_str(encryption, "encryptionScheme"), "robocloud-vault-transit-v2");
    len = member(encryption, "encryptedAES", wrapped, sizeof wrapped);
    oaep(robot, 0, wrapped, len, key, &key_len);
    assert_int_equal(key_len, 32);
    text_hex(iv, member(encryption, "iv", iv, sizeof iv), nonce);
    assert_int_equal(strlen(nonce), 24);
    assert_int_equal(member(encryption, "authTag", tag, sizeof tag), 16);
    len = member(envelope, "value", sealed, sizeof sealed);
    /* The nonce of this direction is the hexadecimal text itself. */
    assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, 24, NULL), 1);
    assert_int_equal(EVP_DecryptInit_ex(ctx, NULL, NULL, key, (unsigned char *)nonce), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, text, &n, sealed, (int)len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, tag), 1);
    assert_int_equal(EVP_DecryptFinal_ex(ctx, text + n, &n), 1);
    assert_int_equal(len, strlen(TEXT));
    assert_memory_equal(text, TEXT, len);
    EVP_CIPHER_CTX_free(ctx);
    json_decref(envelope);
    free(public_key);
}

static void only_rsa_keys_of_some_size_will_do(void **state)
{
    struct secret secret = { .bytes = (char *)(uintptr_t)TEXT, .len = strlen(TEXT) };
    EVP_PKEY *small = EVP_RSA_gen(1024), *curve = EVP_EC_gen("P-256");
    char *keys[] = { public_of(small), public_of(curve), strdup(""), strdup("AAAA"), strdup("no base64 at all"), public_of(robot) };
    json_t *envelope = json_object();
    struct error err;

    (void)state;
    keys[5][40] = keys[5][40] == 'A' ? 'B' : 'A';
    keys[5][strlen(keys[5]) / 2] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_equal(transit_seal(keys[i], &secret, envelope, &err), BF_EINVAL);
        free(keys[i]);
    }
    assert_int_equal(json_object_size(envelope), 0);
    json_decref(envelope);
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
}

static struct transit_pair *open_pair(void)
{
    struct transit_pair *pair;
    struct error err;

    if (transit_pair_open(path, &pair, &err) != 0)
        fail_msg("%s", err.text);
    return pair;
}

/* What a robot makes for the pair: the nonce of this direction is the iv's 16 bytes. */
static json_t *sealed_by_a_robot(const struct transit_pair *pair)
{
    unsigned char key[32], iv[16], tag[16], wrapped[512], sealed[256], der[1024];
    const unsigned char *at = der;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    json_t *encryption = json_object(), *envelope = json_object();
    size_t wrapped_len = sizeof wrapped, der_len = sizeof der;
    struct buf text = { 0 };
    EVP_PKEY *public_key;
    int n, rest;

    transit_pair_public(pair, &text);
    assert_int_equal(text_unbase64(buf_str(&text), text.len, der, &der_len), 0);
    public_key = d2i_PUBKEY(NULL, &at, (long)der_len);
    assert_non_null(public_key);
    memset(key, 'k', sizeof key);
    memset(iv, 'i', sizeof iv);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, 16, NULL), 1);
    assert_int_equal(EVP_EncryptInit_ex(ctx, NULL, NULL, key, iv), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, sealed, &n, (const unsigned char *)TEXT, (int)strlen(TEXT)), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, sealed + n, &rest), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(ctx);
    oaep(public_key, 1, key, sizeof key, wrapped, &wrapped_len);
    EVP_PKEY_free(public_key);
    put_member(envelope, "value", sealed, (size_t)n);
    put_member(encryption, "encryptedAES", wrapped, wrapped_len);
    put_member(encryption, "authTag", tag, sizeof tag);
    put_member(encryption, "iv", iv, sizeof iv);
    (void)json_put(encryption, "encryptionScheme", TRANSIT_SCHEME);
    (void)json_object_set_new(envelope, "encryption", encryption);
    buf_close(&text);
    return envelope;
}

static void from_a_robot(void **state)
{
    static const char *const members[] = { "encryptionScheme", "encryptedAES", "authTag", "iv" };
    struct transit_pair *pair = open_pair();
    json_t *envelope = sealed_by_a_robot(pair), *encryption = json_object_get(envelope, "encryption"), *kept;
    struct secret secret = { 0 };
    struct error err;

    (void)state;
    assert_int_equal(transit_open(pair, envelope, &secret, &err), 0);
    assert_string_equal(secret.bytes, TEXT);
    secret_close(&secret);
    for (size_t i = 0; i < 4; i++) {
        kept = json_incref(json_object_get(encryption, members[i]));
        (void)json_object_del(encryption, members[i]);
        assert_int_equal(transit_open(pair, envelope, &secret, &err), BF_EINVAL);
        (void)json_put(encryption, members[i], "AAAAAAAAAAAAAAAAAAAAAA==");
        assert_int_equal(transit_open(pair, envelope, &secret, &err), BF_EINVAL);
        (void)json_put(encryption, members[i], "no base64");
        assert_int_equal(transit_open(pair, envelope, &secret, &err), BF_EINVAL);
        (void)json_object_set_new(encryption, members[i], kept);
    }
    assert_int_equal(transit_open(pair, NULL, &secret, &err), BF_EINVAL);
    assert_int_equal(transit_open(pair, encryption, &secret, &err), BF_EINVAL);
    assert_null(secret.bytes);
    json_decref(envelope);
    transit_pair_close(pair);
}

static void the_pair_is_made_once_and_private(void **state)
{
    struct transit_pair *pair = open_pair(), *again = open_pair();
    struct buf one = { 0 }, two = { 0 };
    struct error err;
    struct stat st;

    (void)state;
    transit_pair_public(pair, &one);
    transit_pair_public(again, &two);
    assert_string_equal(buf_str(&one), buf_str(&two));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    transit_pair_close(pair);
    transit_pair_close(again);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(transit_pair_open(path, &pair, &err), BF_EACCES);
    assert_int_equal(file_write_atomic(path, "nonsense", 8, 0600, &err), 0);
    assert_int_equal(transit_pair_open(path, &pair, &err), BF_EINVAL);
    assert_null(pair);
    buf_close(&one);
    buf_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(to_a_robot, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(only_rsa_keys_of_some_size_will_do, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(from_a_robot, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(the_pair_is_made_once_and_private, make_folder, drop_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
