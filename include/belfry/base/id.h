/*
 * Identifiers and randomness. A run's id is a UUIDv7 (RFC 9562 §5.7): its first 48 bits are the time of its firing, so
 * ids sort as they were made, within one millisecond too.
 */
#ifndef BELFRY_BASE_ID_H
#define BELFRY_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SIZE 37 /* 36 characters and the NUL */

/* Fills bytes from the kernel (getrandom). Aborts when the kernel refuses: nothing safe can be done without. */
void id_random(void *bytes, size_t len);

/* A UUIDv7 for wall-clock time `now_ms`. Ids made by one process rise even within a millisecond (RFC 9562 §6.2 method
 * 1, a 12-bit counter). Loop thread only. */
void id_new(int64_t now_ms, char out[ID_SIZE]);
/* The same from given randomness, for worlds that must repeat: rand holds 10 bytes. */
void id_make(int64_t now_ms, const uint8_t rand[10], char out[ID_SIZE]);
/* A stable id from a kind and a name (UUIDv8 of a SHA-256), the same on every machine and after every restart. */
void id_from_name(const char *kind, const char *name, char out[ID_SIZE]);
/* True for 36 characters 8-4-4-4-12 of hex digits. */
bool id_is_uuid(const char *text);

/* This boot of the machine, from /proc/sys/kernel/random/boot_id; "" when that cannot be read. */
const char *id_boot(void);

#endif
