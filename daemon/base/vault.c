/* The master key, and what is sealed and derived with it. */
#include "belfry/base/vault.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "belfry/base/file.h"
#include "belfry/base/id.h"
#include "belfry/base/text.h"

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define CREDENTIAL "belfry-master-key"

struct vault {
    unsigned char master[KEY_SIZE];
    unsigned char sealing[KEY_SIZE];
};

/* --- the key ------------------------------------------------------------------------------------------------------ */

static int make_key(const char *path, struct error *err)
{
    unsigned char bytes[KEY_SIZE];
    char hex[2 * KEY_SIZE + 2];
    int status;

    id_random(bytes, sizeof bytes);
    text_hex(bytes, sizeof bytes, hex);
    hex[2 * KEY_SIZE] = '\n';
    status = file_write_atomic(path, hex, 2 * KEY_SIZE + 1, 0600, err);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(hex, sizeof hex);
    return status;
}

static int read_file(const char *path, struct secret *text, struct error *err)
{
    int others = 0, status;
    struct stat st;

    if (lstat(path, &st) != 0 && errno == ENOENT && (status = make_key(path, err)) != 0)
        return error_prefix(err, "cannot make the master key");
    status = secret_from_file(text, path, &others, err);
    if (status == 0 && others)
        status = error_set(err, BF_EACCES, "the master key %s can be read by others than its owner; chmod 600 it", path);
    return status;
}

static bool has_credential(void)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char *path = dir != NULL ? file_join(dir, CREDENTIAL) : NULL;
    struct stat st;
    bool there = path != NULL && stat(path, &st) == 0;

    free(path);
    return there;
}

int vault_open(const char *state_dir, struct vault **vault, struct error *err)
{
    struct vault *v = calloc(1, sizeof *v);
    char *path = file_join(state_dir, "master.key");
    struct secret text = { 0 };
    size_t len = KEY_SIZE;
    int status;

    *vault = NULL;
    if (v == NULL || path == NULL)
        status = error_set(err, BF_ENOMEM, "out of memory");
    else
        status = has_credential() ? secret_from_credential(&text, CREDENTIAL, err) : read_file(path, &text, err);
    if (status == 0 && (text.len != 2 * KEY_SIZE || text_unhex(text.bytes, text.len, v->master, &len) != 0))
        status = error_set(err, BF_EINVAL, "the master key (%s) is not %d hex digits", has_credential() ? "credential " CREDENTIAL :
                           path, 2 * KEY_SIZE);
    secret_close(&text);
    free(path);
    if (status != 0) {
        vault_close(v);
        return status;
    }
    vault_derive(v, "seal", "", 0, v->sealing);
    *vault = v;
    return 0;
}

void vault_close(struct vault *vault)
{
    if (vault != NULL)
        explicit_bzero(vault, sizeof *vault);
    free(vault);
}

/* --- deriving ----------------------------------------------------------------------------------------------------- */

void hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char out[VAULT_MAC_SIZE])
{
    unsigned int size = VAULT_MAC_SIZE;

    if (HMAC(EVP_sha256(), key, (int)key_len, bytes, len, out, &size) == NULL || size != VAULT_MAC_SIZE)
        abort();
}

void vault_derive(const struct vault *vault, const char *purpose, const void *bytes, size_t len, unsigned char out[VAULT_MAC_SIZE])
{
    unsigned char key[VAULT_MAC_SIZE];

    hmac_sha256(vault->master, KEY_SIZE, purpose, strlen(purpose), key);
    hmac_sha256(key, sizeof key, bytes, len, out);
    explicit_bzero(key, sizeof key);
}

/* --- sealing ------------------------------------------------------------------------------------------------------ */

static EVP_CIPHER_CTX *cipher(const struct vault *vault, const unsigned char *nonce, const char *name, int encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;

    if (ctx == NULL || EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, vault->sealing, nonce, encrypt) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)name, (int)strlen(name)) != 1)
        abort();   /* out of memory, or a libcrypto without AES: nothing safe can be done */
    return ctx;
}

int vault_seal(const struct vault *vault, const char *name, const void *bytes, size_t len, struct buf *sealed)
{
    unsigned char nonce[NONCE_SIZE], tag[TAG_SIZE], *text = malloc(len + 1);
    EVP_CIPHER_CTX *ctx;
    int n;

    if (text == NULL)
        return BF_ENOMEM;
    id_random(nonce, sizeof nonce);
    ctx = cipher(vault, nonce, name, 1);
    if (EVP_EncryptUpdate(ctx, text, &n, bytes, (int)len) != 1 || EVP_EncryptFinal_ex(ctx, text + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) != 1)
        abort();
    EVP_CIPHER_CTX_free(ctx);
    buf_add(sealed, nonce, sizeof nonce);
    buf_add(sealed, text, len);
    buf_add(sealed, tag, sizeof tag);
    free(text);
    return 0;
}

int vault_unseal(const struct vault *vault, const char *name, const void *sealed, size_t len, struct secret *secret)
{
    const unsigned char *in = sealed;
    size_t text_len = len - NONCE_SIZE - TAG_SIZE;
    unsigned char tag[TAG_SIZE], *text;
    EVP_CIPHER_CTX *ctx;
    int n, status;
    bool good;

    if (len < NONCE_SIZE + TAG_SIZE)
        return BF_EACCES;
    text = malloc(text_len + 1);
    if (text == NULL)
        return BF_ENOMEM;
    memcpy(tag, in + len - TAG_SIZE, sizeof tag);
    ctx = cipher(vault, in, name, 0);
    good = EVP_DecryptUpdate(ctx, text, &n, in + NONCE_SIZE, (int)text_len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 && EVP_DecryptFinal_ex(ctx, text + n, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    status = good ? secret_set(secret, (const char *)text, text_len) : BF_EACCES;
    explicit_bzero(text, text_len);
    free(text);
    return status;
}
