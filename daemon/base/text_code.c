/* Text: hex, base64, escapes of URLs, and comparison in constant time. */
#include <openssl/crypto.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/text.h"

void text_hex(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++) {
        *out++ = digits[at[i] >> 4];
        *out++ = digits[at[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_unhex(const char *hex, size_t hex_len, void *out, size_t *len)
{
    unsigned char *to = out;

    if (hex_len % 2 != 0 || hex_len / 2 > *len)
        return BF_EINVAL;
    for (size_t i = 0; i < hex_len; i += 2) {
        int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);

        if (high < 0 || low < 0)
            return BF_EINVAL;
        *to++ = (unsigned char)(high << 4 | low);
    }
    *len = hex_len / 2;
    return 0;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64(const void *bytes, size_t len, struct buf *b)
{
    const unsigned char *at = bytes;

    for (; len > 0; at += 3, len -= len < 3 ? len : 3) {
        unsigned word = (unsigned)at[0] << 16 | (len > 1 ? (unsigned)at[1] << 8 : 0) | (len > 2 ? at[2] : 0);
        char four[4] = { alphabet[word >> 18], alphabet[word >> 12 & 63], len > 1 ? alphabet[word >> 6 & 63] : '=',
            len > 2 ? alphabet[word & 63] : '=' };

        buf_add(b, four, sizeof four);
    }
}

static int base64_digit(char c)
{
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);

    return at != NULL ? (int)(at - alphabet) : -1;
}

int text_unbase64(const char *text, size_t text_len, void *out, size_t *len)
{
    size_t pad = text_len >= 1 && text[text_len - 1] == '=' ? 1u + (text_len >= 2 && text[text_len - 2] == '=') : 0;
    size_t whole = text_len - pad, written = 0;
    unsigned char *to = out;
    unsigned word = 0;

    if (text_len % 4 != 0 || text_len / 4 * 3 - pad > *len)
        return BF_EINVAL;
    for (size_t i = 0; i < whole; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            return BF_EINVAL;
        word = word << 6 | (unsigned)digit;
        if (i % 4 == 0)
            continue;
        to[written++] = (unsigned char)(word >> (6 - 2 * (i % 4)));
    }
    /* Bits that stand for nothing must be zero, or one value would have several spellings. */
    if ((pad == 1 && (word & 3) != 0) || (pad == 2 && (word & 15) != 0))
        return BF_EINVAL;
    *len = written;
    return 0;
}

int text_unescape(const char *text, size_t len, struct buf *b)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        size_t room = 1;

        if (c == '%' && (len - i < 3 || text_unhex(text + i + 1, 2, &c, &room) != 0 || c == '\0'))
            return BF_EINVAL;
        buf_addc(b, c);
        if (text[i] == '%')
            i += 2;
    }
    return 0;
}

bool text_equal_constant_time(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
