/* The envelope of secrets on their way to and from robots. */
#include "belfry/base/transit.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "belfry/base/file.h"
#include "belfry/base/id.h"
#include "belfry/base/text.h"

#define KEY_SIZE 32
#define TAG_SIZE 16
#define IV_SIZE 12
#define IV_MAX 64
#define RSA_BITS 3072
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384
#define PEM_MAX 16384

struct transit_pair {
    EVP_PKEY *key;
};

/* --- RSA ---------------------------------------------------------------------------------------------------------- */

/* Encrypts (or decrypts) under RSAES-OAEP with SHA-256; false when libcrypto refuses. */
static bool oaep(EVP_PKEY *key, bool encrypt, const unsigned char *in, size_t in_len, unsigned char *out, size_t *out_len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool good = ctx != NULL && (encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
                (encrypt ? EVP_PKEY_encrypt(ctx, out, out_len, in, in_len) : EVP_PKEY_decrypt(ctx, out, out_len, in, in_len)) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static EVP_PKEY *public_key_of(const char *text)
{
    size_t len = strlen(text), der_len = len;
    unsigned char *der = malloc(len + 1);
    const unsigned char *at = der;
    EVP_PKEY *key = NULL;

    if (der != NULL && text_unbase64(text, len, der, &der_len) == 0)
        key = d2i_PUBKEY(NULL, &at, (long)der_len);
    if (key != NULL && (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < RSA_BITS_MIN ||
                        EVP_PKEY_get_bits(key) > RSA_BITS_MAX)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    free(der);
    return key;
}

/* --- AES-GCM ------------------------------------------------------------------------------------------------------ */

static EVP_CIPHER_CTX *gcm(const unsigned char *key, size_t key_len, const void *nonce, size_t nonce_len, bool encrypt)
{
    const EVP_CIPHER *cipher = key_len == 16 ? EVP_aes_128_gcm() : key_len == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx == NULL || EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, (int)nonce_len, NULL) != 1 ||
        EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, encrypt) != 1)
        abort();   /* out of memory, or a libcrypto without AES: nothing safe can be done */
    return ctx;
}

static unsigned char *encrypt(const unsigned char *key, const char *nonce, const struct secret *text, unsigned char tag[TAG_SIZE])
{
    EVP_CIPHER_CTX *ctx = gcm(key, KEY_SIZE, nonce, strlen(nonce), true);
    unsigned char *out = malloc(text->len + 1);
    int n;

    if (out == NULL || EVP_EncryptUpdate(ctx, out, &n, (const unsigned char *)text->bytes, (int)text->len) != 1 ||
        EVP_EncryptFinal_ex(ctx, out + n, &n) != 1 || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) != 1)
        abort();
    EVP_CIPHER_CTX_free(ctx);
    return out;
}

/* --- to a robot --------------------------------------------------------------------------------------------------- */

static void put_base64(json_t *into, const char *name, const void *bytes, size_t len)
{
    struct buf text = { 0 };

    text_base64(bytes, len, &text);
    (void)json_put(into, name, buf_str(&text));
    buf_close(&text);
}

int transit_seal(const char *public_key, const struct secret *text, json_t *into, struct error *err)
{
    EVP_PKEY *receiver = public_key_of(public_key);
    unsigned char key[KEY_SIZE], iv[IV_SIZE], tag[TAG_SIZE], *sealed, wrapped[RSA_BITS_MAX / 8];
    char nonce[2 * IV_SIZE + 1];
    size_t wrapped_len = sizeof wrapped;
    json_t *encryption = json_object();
    bool good;

    if (receiver == NULL || encryption == NULL) {
        EVP_PKEY_free(receiver);
        json_decref(encryption);
        return error_set(err, BF_EINVAL, "publicKey is no RSA key of %d bits or more: base64 of its DER SubjectPublicKeyInfo is wanted",
                         RSA_BITS_MIN);
    }
    id_random(key, sizeof key);
    id_random(iv, sizeof iv);
    text_hex(iv, sizeof iv, nonce);
    sealed = encrypt(key, nonce, text, tag);
    good = oaep(receiver, true, key, sizeof key, wrapped, &wrapped_len);
    explicit_bzero(key, sizeof key);
    EVP_PKEY_free(receiver);
    if (good) {
        (void)json_put(encryption, "encryptionScheme", TRANSIT_SCHEME);
        put_base64(encryption, "encryptedAES", wrapped, wrapped_len);
        put_base64(encryption, "authTag", tag, sizeof tag);
        put_base64(encryption, "iv", iv, sizeof iv);
        put_base64(into, "value", sealed, text->len);
        (void)json_object_set(into, "encryption", encryption);
    }
    json_decref(encryption);
    free(sealed);
    return good ? 0 : error_set(err, BF_EINVAL, "publicKey takes no key of %d bytes", KEY_SIZE);
}

/* --- from a robot ------------------------------------------------------------------------------------------------- */

/* Bytes of a base64 member, on the heap; NULL when there is none. */
static unsigned char *bytes_of(const json_t *object, const char *name, size_t *len)
{
    const char *text = json_str(object, name);
    unsigned char *bytes = text != NULL ? malloc(strlen(text) + 1) : NULL;

    *len = text != NULL ? strlen(text) : 0;
    if (bytes != NULL && text_unbase64(text, strlen(text), bytes, len) == 0)
        return bytes;
    free(bytes);
    return NULL;
}

struct envelope {
    unsigned char *value, *wrapped, *tag, *iv;
    size_t value_len, wrapped_len, tag_len, iv_len;
};

static bool envelope_read(struct envelope *e, const json_t *from)
{
    const json_t *encryption = json_object_get(from, "encryption");
    const char *scheme = json_str(encryption, "encryptionScheme");

    e->value = bytes_of(from, "value", &e->value_len);
    e->wrapped = bytes_of(encryption, "encryptedAES", &e->wrapped_len);
    e->tag = bytes_of(encryption, "authTag", &e->tag_len);
    e->iv = bytes_of(encryption, "iv", &e->iv_len);
    return scheme != NULL && strcmp(scheme, TRANSIT_SCHEME) == 0 && e->value != NULL && e->wrapped != NULL && e->tag != NULL &&
           e->iv != NULL && e->tag_len == TAG_SIZE && e->iv_len > 0 && e->iv_len <= IV_MAX;
}

static void envelope_close(struct envelope *e)
{
    free(e->value);
    free(e->wrapped);
    free(e->tag);
    free(e->iv);
}

static bool decrypt(const struct envelope *e, const unsigned char *key, size_t key_len, struct secret *text)
{
    EVP_CIPHER_CTX *ctx = gcm(key, key_len, e->iv, e->iv_len, false);
    unsigned char *out = malloc(e->value_len + 1);
    int n = 0, rest = 0;
    bool good;

    if (out == NULL)
        abort();
    good = EVP_DecryptUpdate(ctx, out, &n, e->value, (int)e->value_len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, e->tag) == 1 && EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (good && secret_set(text, (const char *)out, e->value_len) != 0)
        abort();
    explicit_bzero(out, e->value_len);
    free(out);
    return good;
}

int transit_open(const struct transit_pair *pair, const json_t *envelope, struct secret *text, struct error *err)
{
    struct envelope e = { 0 };
    unsigned char key[RSA_BITS_MAX / 8];
    size_t key_len = sizeof key;
    bool good = envelope_read(&e, envelope);
    int status = 0;

    if (!good)
        status = error_set(err, BF_EINVAL, "value and encryption {encryptionScheme %s, encryptedAES, authTag, iv} are needed, in base64",
                           TRANSIT_SCHEME);
    else if (!oaep(pair->key, false, e.wrapped, e.wrapped_len, key, &key_len) || (key_len != 16 && key_len != 24 && key_len != KEY_SIZE) ||
             !decrypt(&e, key, key_len, text))
        status = error_set(err, BF_EINVAL, "the value was not encrypted for this vault's public key: ask for secrets/publicKey anew");
    explicit_bzero(key, sizeof key);
    envelope_close(&e);
    return status;
}

/* --- the pair ----------------------------------------------------------------------------------------------------- */

static int make_pair(const char *path, struct error *err)
{
    EVP_PKEY *key = EVP_RSA_gen(RSA_BITS);
    BIO *memory = BIO_new(BIO_s_mem());
    char *pem;
    long len;
    int status;

    if (key == NULL || memory == NULL || PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) != 1) {
        status = error_set(err, BF_ENOMEM, "cannot make an RSA key");
    } else {
        len = BIO_get_mem_data(memory, &pem);
        status = file_write_atomic(path, pem, (size_t)len, 0600, err);
        explicit_bzero(pem, (size_t)len);
    }
    BIO_free(memory);
    EVP_PKEY_free(key);
    return status;
}

int transit_pair_open(const char *path, struct transit_pair **pair, struct error *err)
{
    struct transit_pair *p = calloc(1, sizeof *p);
    struct secret pem = { 0 };
    struct stat st;
    BIO *memory;
    int status = p != NULL ? 0 : error_set(err, BF_ENOMEM, "out of memory"), others = 0;

    *pair = NULL;
    if (status == 0 && lstat(path, &st) != 0 && errno == ENOENT)
        status = make_pair(path, err);
    if (status == 0)
        status = secret_from_whole_file(&pem, path, PEM_MAX, &others, err);
    if (status == 0 && others)
        status = error_set(err, BF_EACCES, "%s can be read by others than its owner; chmod 600 it", path);
    if (status == 0) {
        memory = BIO_new_mem_buf(pem.bytes, (int)pem.len);
        p->key = memory != NULL ? PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL) : NULL;
        BIO_free(memory);
        if (p->key == NULL || EVP_PKEY_get_base_id(p->key) != EVP_PKEY_RSA)
            status = error_set(err, BF_EINVAL, "there is no RSA key in %s: remove it, and another is made", path);
    }
    secret_close(&pem);
    if (status == 0)
        *pair = p;
    else
        transit_pair_close(p);
    return status;
}

void transit_pair_close(struct transit_pair *pair)
{
    if (pair != NULL)
        EVP_PKEY_free(pair->key);
    free(pair);
}

void transit_pair_public(const struct transit_pair *pair, struct buf *to)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(pair->key, &der);

    if (len < 0)
        abort();
    text_base64(der, (size_t)len, to);
    OPENSSL_free(der);
}
