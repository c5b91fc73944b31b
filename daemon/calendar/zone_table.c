/* TZif (RFC 9636), versions 1 to 4. Every count is checked against the bytes that are there before anything is read. */
#include "zone_table.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 44
#define TYPE_SIZE 6
#define TYPES_MAX 256
/* RFC 9636 §3.2: -25 h < offset < 26 h. */
#define OFFSET_MIN_S (-25 * 3600 + 1)
#define OFFSET_MAX_S (26 * 3600 - 1)
/* Before the big bang "-2^59" stands in some files; anything that far out is only "always". */
#define TIME_FAR_S (INT64_C(1) << 59)

struct header {
    char version;
    uint32_t isutcnt;
    uint32_t isstdcnt;
    uint32_t leapcnt;
    uint32_t timecnt;
    uint32_t typecnt;
    uint32_t charcnt;
};

struct block {
    const unsigned char *times;
    const unsigned char *indices;
    const unsigned char *types;
    size_t time_size;   /* 4 or 8 bytes */
    uint32_t timecnt;
    uint32_t typecnt;
};

static uint64_t big_endian(const unsigned char *p, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | p[i];
    return value;
}

static int64_t signed_at(const unsigned char *p, size_t size)
{
    uint64_t value = big_endian(p, size);

    return size == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

static int header_read(const unsigned char *p, size_t len, struct header *h, struct error *err)
{
    if (len < HEADER_SIZE || memcmp(p, "TZif", 4) != 0)
        return error_set(err, BF_EINVAL, "this is no time zone file (TZif)");
    h->version = (char)p[4];
    h->isutcnt = (uint32_t)big_endian(p + 20, 4);
    h->isstdcnt = (uint32_t)big_endian(p + 24, 4);
    h->leapcnt = (uint32_t)big_endian(p + 28, 4);
    h->timecnt = (uint32_t)big_endian(p + 32, 4);
    h->typecnt = (uint32_t)big_endian(p + 36, 4);
    h->charcnt = (uint32_t)big_endian(p + 40, 4);
    if (h->version != 0 && (h->version < '2' || h->version > '9'))
        return error_set(err, BF_EINVAL, "the time zone file has no known version (byte %u)", (unsigned)p[4]);
    return 0;
}

/* In 64 bits: six 32-bit counts times at most 12 cannot overflow. */
static uint64_t block_size(const struct header *h, size_t time_size)
{
    return (uint64_t)h->timecnt * (time_size + 1) + (uint64_t)h->typecnt * TYPE_SIZE + h->charcnt +
           (uint64_t)h->leapcnt * (time_size + 4) + h->isstdcnt + h->isutcnt;
}

static int counts_check(const struct header *h, struct error *err)
{
    if (h->typecnt == 0 || h->typecnt > TYPES_MAX || h->charcnt == 0)
        return error_set(err, BF_EINVAL, "the time zone file has %u local time types and %u bytes of names; there must be some",
                         h->typecnt, h->charcnt);
    if ((h->isutcnt != 0 && h->isutcnt != h->typecnt) || (h->isstdcnt != 0 && h->isstdcnt != h->typecnt))
        return error_set(err, BF_EINVAL, "the time zone file's counts contradict each other");
    /* A "right/" zone counts seconds that CLOCK_REALTIME does not. */
    if (h->leapcnt != 0)
        return error_set(err, BF_EINVAL, "the time zone file counts leap seconds, which the system's clock does not: "
                                         "name the zone without \"right/\"");
    return 0;
}

static int types_check(const struct block *b, uint32_t charcnt, struct error *err)
{
    for (uint32_t i = 0; i < b->typecnt; i++) {
        const unsigned char *type = b->types + (size_t)i * TYPE_SIZE;
        int64_t offset_s = signed_at(type, 4);

        if (offset_s < OFFSET_MIN_S || offset_s > OFFSET_MAX_S || type[4] > 1 || type[5] >= charcnt)
            return error_set(err, BF_EINVAL, "the time zone file's local time type %u makes no sense", i);
    }
    for (uint32_t i = 0; i < b->timecnt; i++) {
        if (b->indices[i] >= b->typecnt)
            return error_set(err, BF_EINVAL, "the time zone file's change %u names type %u of %u", i, b->indices[i], b->typecnt);
        if (i > 0 && signed_at(b->times + (size_t)i * b->time_size, b->time_size) <=
                         signed_at(b->times + (size_t)(i - 1) * b->time_size, b->time_size))
            return error_set(err, BF_EINVAL, "the time zone file's changes are not in order (change %u)", i);
    }
    return 0;
}

static int block_read(const unsigned char *p, size_t len, const struct header *h, size_t time_size, struct block *b,
                      struct error *err)
{
    int rc = counts_check(h, err);

    if (rc != 0)
        return rc;
    if (block_size(h, time_size) > len)
        return error_set(err, BF_EINVAL, "the time zone file ends too early");
    b->time_size = time_size;
    b->timecnt = h->timecnt;
    b->typecnt = h->typecnt;
    b->times = p;
    b->indices = p + (size_t)h->timecnt * time_size;
    b->types = b->indices + h->timecnt;
    return types_check(b, h->charcnt, err);
}

static int32_t type_offset(const struct block *b, uint32_t type)
{
    return (int32_t)signed_at(b->types + (size_t)type * TYPE_SIZE, 4);
}

/* The footer: a newline, a rule or nothing, a newline. */
static int footer_read(const unsigned char *p, size_t len, struct zone *zone, struct error *err)
{
    const unsigned char *end;

    if (len < 2 || p[0] != '\n' || (end = memchr(p + 1, '\n', len - 1)) == NULL)
        return error_set(err, BF_EINVAL, "the time zone file's last line is cut off");
    if (end == p + 1)
        return 0;
    if (rule_parse((const char *)p + 1, (size_t)(end - p - 1), &zone->rule) != 0)
        return error_set(err, BF_EINVAL, "the time zone file's last line is no POSIX time zone rule");
    zone->has_rule = true;
    return 0;
}

static int64_t within_reach(int64_t at_s)
{
    return at_s < -TIME_FAR_S ? -TIME_FAR_S : at_s > TIME_FAR_S ? TIME_FAR_S : at_s;
}

/* Keeps what changes the offset: new names and new reasons alone are no change to a clock. Where there is a rule, it has
 * the word from the last change of the table on. */
static int changes_keep(const struct block *b, struct zone *zone)
{
    int32_t offset_s = type_offset(b, 0);

    zone->first_offset_s = offset_s;
    zone->rule_from_s = INT64_MIN;
    if (b->timecnt == 0) {
        if (zone->has_rule)
            zone->first_offset_s = zone->rule.standard_s;
        return 0;
    }
    zone->changes = calloc(b->timecnt, sizeof *zone->changes);
    if (zone->changes == NULL)
        return BF_ENOMEM;
    for (uint32_t i = 0; i < b->timecnt; i++) {
        int64_t at_s = within_reach(signed_at(b->times + (size_t)i * b->time_size, b->time_size));
        int32_t next_s = type_offset(b, b->indices[i]);

        if (zone->has_rule && i + 1 == b->timecnt) {
            zone->rule_from_s = at_s;
            next_s = rule_offset_at(&zone->rule, at_s);
        }
        /* Two times beyond reach fall together: the later one counts. */
        if (zone->count > 0 && zone->changes[zone->count - 1].at_s == at_s) {
            zone->count--;
            offset_s = zone->count > 0 ? zone->changes[zone->count - 1].offset_s : zone->first_offset_s;
        }
        if (next_s != offset_s)
            zone->changes[zone->count++] = (struct zone_change){ at_s, next_s };
        offset_s = next_s;
    }
    return 0;
}

int zone_table_read(struct zone *zone, const void *bytes, size_t len, struct error *err)
{
    const unsigned char *p = bytes;
    const unsigned char *end = p + len;
    size_t time_size = 4;
    struct header h;
    struct block b = { 0 };
    uint64_t size;
    int rc = header_read(p, len, &h, err);

    if (rc != 0)
        return rc;
    p += HEADER_SIZE;
    if (h.version != 0) {   /* the first block is for readers of 32 bits; the same again follows in 64 */
        size = block_size(&h, 4);
        if (size > (size_t)(end - p))
            return error_set(err, BF_EINVAL, "the time zone file ends too early");
        p += size;
        rc = header_read(p, (size_t)(end - p), &h, err);
        if (rc != 0)
            return rc;
        p += HEADER_SIZE;
        time_size = 8;
    }
    rc = block_read(p, (size_t)(end - p), &h, time_size, &b, err);
    if (rc != 0)
        return rc;
    if (time_size == 8) {
        p += block_size(&h, time_size);
        rc = footer_read(p, (size_t)(end - p), zone, err);
        if (rc != 0)
            return rc;
    }
    if (changes_keep(&b, zone) != 0)
        return error_set(err, BF_ENOMEM, "no memory for %u changes of a time zone", b.timecnt);
    return 0;
}
