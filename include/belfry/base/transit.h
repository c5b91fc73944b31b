/*
 * The envelope in which a secret travels between a Control Room's vault and a robot, "robocloud-vault-transit-v2": its text under
 * an AES key of its own (GCM, NIST SP 800-38D), and that key under the receiver's RSA key (RSAES-OAEP with SHA-256, RFC 8017).
 * What lies open on the way, in a proxy's log or a debugger's trace, is of no use to anybody.
 *
 * The two directions differ in their nonce: to a robot it is the hexadecimal text of the iv, from a robot its bytes. Source: what
 * the vendor's libraries for robots (robocorp-vault, rpaframework) read and write.
 *
 * An envelope is members of a JSON object: "value", and "encryption": {"encryptionScheme", "encryptedAES", "authTag", "iv"}, in
 * base64. All of this takes milliseconds, making a key pair up to a second: keep it off the loop. Any thread.
 */
#ifndef BELFRY_BASE_TRANSIT_H
#define BELFRY_BASE_TRANSIT_H

#include <stddef.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/json.h"
#include "belfry/base/secret.h"

#define TRANSIT_SCHEME "robocloud-vault-transit-v2"

/* Puts the text's envelope for the holder of that public key (base64 of a DER SubjectPublicKeyInfo: RSA of 2,048 bits or more) into
 * `into`. 0, BF_EINVAL when it is no such key, BF_ENOMEM. */
int transit_seal(const char *public_key, const struct secret *text, json_t *into, struct error *err);

/* The pair whose public half robots write with. */
struct transit_pair;
/* Read from a PEM file, mode 0600; made, and on disk, when there is none. 0 or BF_E…. */
int transit_pair_open(const char *path, struct transit_pair **pair, struct error *err);
void transit_pair_close(struct transit_pair *pair);
/* Appends its public half as transit_seal takes it. */
void transit_pair_public(const struct transit_pair *pair, struct buf *to);
/* The text of an envelope that was made for the pair. 0, or BF_EINVAL: it is none, or for another. */
int transit_open(const struct transit_pair *pair, const json_t *envelope, struct secret *text, struct error *err);

#endif
