/* What a key looks like: 7 letters to know it by, 32 of chance (190 bits), 6 to check it by. */
#include <openssl/sha.h>
#include <string.h>

#include "belfry/base/id.h"
#include "belfry/serve/keyring.h"

#define PREFIX "belfry_"
#define PREFIX_LEN (sizeof PREFIX - 1)
#define CHANCE_LEN 32
#define CHECK_LEN (KEY_VALUE_LEN - PREFIX_LEN - CHANCE_LEN)
#define BASE 62

static const char digits[BASE + 1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void checksum(const char *value, char out[CHECK_LEN])
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    uint64_t n = 0;

    (void)SHA256((const unsigned char *)value, PREFIX_LEN + CHANCE_LEN, hash);
    for (size_t i = 0; i < 8; i++)
        n = n << 8 | hash[i];
    for (size_t i = 0; i < CHECK_LEN; i++, n /= BASE)
        out[i] = digits[n % BASE];
}

void key_value_make(char value[KEY_VALUE_LEN + 1])
{
    size_t n = PREFIX_LEN;

    memcpy(value, PREFIX, PREFIX_LEN);
    while (n < PREFIX_LEN + CHANCE_LEN) {
        unsigned char byte;

        id_random(&byte, 1);
        if (byte < 256 / BASE * BASE)   /* each digit is as likely as the others */
            value[n++] = digits[byte % BASE];
    }
    checksum(value, value + n);
    value[KEY_VALUE_LEN] = '\0';
}

bool key_value_is_sound(const char *value)
{
    char check[CHECK_LEN];

    if (strnlen(value, KEY_VALUE_LEN + 1) != KEY_VALUE_LEN || strncmp(value, PREFIX, PREFIX_LEN) != 0)
        return false;
    checksum(value, check);
    return memcmp(value + PREFIX_LEN + CHANCE_LEN, check, CHECK_LEN) == 0;
}
