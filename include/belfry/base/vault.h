/*
 * The vault: one master key, kept out of the database, and what is made of it. Secrets that have to be shown again are
 * sealed (AES-256-GCM, RFC 5116); secrets that only have to be recognised or made anew are derived (HMAC-SHA-256 under a key
 * for each purpose, RFC 2104), so that none of them has to be stored.
 *
 * The master key is the systemd credential "belfry-master-key" when there is one, else state_dir/master.key (mode 0600, made
 * at the first start): 64 hex digits.
 */
#ifndef BELFRY_BASE_VAULT_H
#define BELFRY_BASE_VAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/secret.h"

#define VAULT_MAC_SIZE 32

struct vault;

/* Blocking: at start. BF_EACCES when others may read the file. */
int vault_open(const char *state_dir, struct vault **vault, struct error *err);
void vault_close(struct vault *vault);

/* The same 32 bytes for the same purpose and bytes, and no others'. Any thread. */
void vault_derive(const struct vault *vault, const char *purpose, const void *bytes, size_t len, unsigned char out[VAULT_MAC_SIZE]);

/* Appends nonce, ciphertext and tag. `name` is bound in: it has to be given again to open, and nothing that was sealed under
 * another name opens. 0 or BF_ENOMEM. */
int vault_seal(const struct vault *vault, const char *name, const void *bytes, size_t len, struct buf *sealed);
/* The reverse: 0, or BF_EACCES when it was not sealed so, by this key. */
int vault_unseal(const struct vault *vault, const char *name, const void *sealed, size_t len, struct secret *secret);

/* HMAC-SHA-256 of bytes. Aborts when libcrypto refuses: nothing safe can be done without. Any thread. */
void hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char out[VAULT_MAC_SIZE]);

#endif
