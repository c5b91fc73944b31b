/* Zones: fixed facts of the tz database, local times read back, rules, the cache, and hostile files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/time.h"
#include "belfry/calendar/zone.h"

static int64_t at(const char *text)
{
    int64_t ms = 0;

    if (time_parse(text, &ms) != 0)
        fail_msg("%s is no time", text);
    return ms / 1000;
}

static struct zone *get(const char *name)
{
    struct zone *zone;
    struct error err;

    if (zone_get(name, &zone, &err) != 0)
        fail_msg("%s", err.text);
    return zone;
}

static void offsets_known_to_all(void **state)
{
    static const struct {
        const char *zone;
        const char *instant;
        int offset_s;
    } facts[] = {
        { "UTC", "2026-01-01T00:00:00Z", 0 },
        { "Europe/Berlin", "2026-03-29T00:59:59Z", 3600 },
        { "Europe/Berlin", "2026-03-29T01:00:00Z", 7200 },
        { "Europe/Berlin", "2099-07-01T00:00:00Z", 7200 },
        { "Europe/Berlin", "2600-07-01T00:00:00Z", 7200 },
        { "Europe/Dublin", "2026-07-01T00:00:00Z", 3600 },   /* winter is its summer time, of minus one hour */
        { "Europe/Dublin", "2050-01-01T00:00:00Z", 0 },
        { "America/New_York", "2007-03-11T07:00:00Z", -4 * 3600 },
        { "America/New_York", "2006-03-12T07:00:00Z", -5 * 3600 },
        { "America/St_Johns", "2040-01-01T00:00:00Z", -12600 },
        { "Australia/Lord_Howe", "2026-01-01T00:00:00Z", 11 * 3600 },
        { "Australia/Lord_Howe", "2080-07-01T00:00:00Z", 37800 },
        { "Asia/Kathmandu", "2026-01-01T00:00:00Z", 20700 },
        { "Pacific/Apia", "2011-12-30T09:59:59Z", -10 * 3600 },
        { "Pacific/Apia", "2011-12-30T10:00:00Z", 14 * 3600 },
        { "Etc/GMT-3", "2026-01-01T00:00:00Z", 3 * 3600 },
        { "Africa/Monrovia", "1971-12-31T00:00:00Z", -2670 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct zone *zone = get(facts[i].zone);

        if (zone_offset_at(zone, at(facts[i].instant)) != facts[i].offset_s)
            fail_msg("%s at %s: %d", facts[i].zone, facts[i].instant, zone_offset_at(zone, at(facts[i].instant)));
        zone_put(zone);
    }
}

static void changes_come_in_order(void **state)
{
    struct zone *zone = get("Europe/Berlin");
    int64_t change_s;
    int before_s;
    int after_s;
    int count = 0;

    (void)state;
    assert_true(zone_next_change(zone, at("2026-03-29T00:59:59Z"), &change_s, &before_s, &after_s));
    assert_int_equal(change_s, at("2026-03-29T01:00:00Z"));
    assert_int_equal(before_s, 3600);
    assert_int_equal(after_s, 7200);
    assert_true(zone_next_change(zone, change_s, &change_s, &before_s, &after_s));
    assert_int_equal(change_s, at("2026-10-25T01:00:00Z"));
    for (int64_t t = at("2026-01-01T00:00:00Z"); zone_next_change(zone, t, &change_s, &before_s, &after_s); t = change_s) {
        assert_true(change_s > t);
        assert_true(before_s != after_s);
        assert_int_equal(zone_offset_at(zone, change_s - 1), before_s);
        assert_int_equal(zone_offset_at(zone, change_s), after_s);
        count++;
    }
    assert_int_equal(count, 2 * (2500 - 2026));
    zone_put(zone);
    zone = get("Asia/Tokyo");
    assert_false(zone_next_change(zone, at("1980-01-01T00:00:00Z"), &change_s, &before_s, &after_s));
    zone_put(zone);
}

static void local_times_read_back(void **state)
{
    struct zone *zone = get("Europe/Berlin");
    struct zone_instants i;

    (void)state;
    zone_from_local(zone, at("2026-06-01T12:00:00Z"), &i);
    assert_int_equal(i.kind, ZONE_UNIQUE);
    assert_int_equal(i.first_s, at("2026-06-01T10:00:00Z"));
    assert_int_equal(i.second_s, i.first_s);
    zone_from_local(zone, at("2026-03-29T02:30:00Z"), &i);
    assert_int_equal(i.kind, ZONE_GAP);
    assert_int_equal(i.first_s, at("2026-03-29T01:00:00Z"));
    assert_int_equal(i.second_s, at("2026-03-29T01:30:00Z"));
    zone_from_local(zone, at("2026-10-25T02:30:00Z"), &i);
    assert_int_equal(i.kind, ZONE_REPEATED);
    assert_int_equal(i.first_s, at("2026-10-25T00:30:00Z"));
    assert_int_equal(i.second_s, at("2026-10-25T01:30:00Z"));
    zone_from_local(zone, at("2026-10-25T03:00:00Z"), &i);
    assert_int_equal(i.kind, ZONE_UNIQUE);
    zone_from_local(zone, INT64_MAX, &i);
    zone_from_local(zone, INT64_MIN, &i);
    zone_put(zone);
    zone = get("Pacific/Apia");   /* a whole day that never was */
    zone_from_local(zone, at("2011-12-30T12:00:00Z"), &i);
    assert_int_equal(i.kind, ZONE_GAP);
    assert_int_equal(i.first_s, at("2011-12-30T10:00:00Z"));
    zone_put(zone);
}

static void names_are_checked(void **state)
{
    static const char *const bad[] = { "/etc/passwd", "../zoneinfo/UTC", "Europe/../UTC", "Europe/", "Europe//Berlin", "a b",
                                       "Europe/Berlin\n", "\xff" };
    struct zone *zone;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (zone_get(bad[i], &zone, &err) != BF_EINVAL)
            fail_msg("%s", bad[i]);
        assert_null(zone);
    }
    assert_int_equal(zone_get("Europe", &zone, &err), BF_EINVAL);
    assert_non_null(strstr(err.text, "folder"));
    assert_int_equal(zone_get("Europe/Berln", &zone, &err), BF_ENOENT);
    assert_non_null(strstr(err.text, "\"Europe/Berlin\""));
    assert_int_equal(zone_get("berlin", &zone, &err), BF_ENOENT);
    assert_non_null(strstr(err.text, "\"Europe/Berlin\""));
    assert_int_equal(zone_get("zone.tab", &zone, &err), BF_EINVAL);
    assert_non_null(strstr(err.text, "TZif"));
}

static void zones_are_shared(void **state)
{
    struct zone *one = get("Europe/Berlin");
    struct zone *two = get("Europe/Berlin");
    struct zone *local = get(NULL);
    struct zone *same = get("");

    (void)state;
    assert_ptr_equal(one, two);
    assert_string_equal(zone_name(one), "Europe/Berlin");
    zone_put(one);
    assert_int_equal(zone_offset_at(two, 0), 3600);
    zone_put(two);
    assert_ptr_equal(local, same);
    assert_true(strlen(zone_name(local)) > 0);
    zone_put(local);
    zone_put(same);
    zone_put(NULL);
}

/* A TZif file of version 2 with nothing in its table but one type, and a rule. */
static size_t file_with_rule(unsigned char out[256], int offset_s, const char *rule)
{
    static const unsigned char header[44] = { 'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4 };
    size_t len = 0;

    for (int block = 0; block < 2; block++) {
        memcpy(out + len, header, sizeof header);
        len += sizeof header;
        for (int i = 0; i < 4; i++)
            out[len++] = (unsigned char)((uint32_t)offset_s >> (24 - 8 * i));
        memcpy(out + len, "\0\0XXX", 6);
        len += 6;
    }
    len += (size_t)snprintf((char *)out + len, 256 - len, "\n%s\n", rule);
    return len;
}

static void rules_of_the_footer(void **state)
{
    static const struct {
        const char *rule;
        const char *instant;
        int offset_s;
    } facts[] = {
        { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "2026-03-29T00:59:59Z", -3 * 3600 },   /* Nuuk: the day before, by the clock */
        { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "2026-03-29T01:00:00Z", -2 * 3600 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01T00:00:00Z", 0 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T00:00:00Z", 3600 },
        { "XXX3EDT4,0/0,J365/23", "2026-01-01T04:00:00Z", -4 * 3600 },   /* summer time all year (RFC 9636 §3.3.1) */
        { "XXX3EDT4,0/0,J365/23", "2026-12-31T23:59:59Z", -4 * 3600 },
        { "AAA0BBB,J60/0,J61/0", "2028-03-01T00:00:00Z", 3600 },   /* J60 is 1 March in leap years too */
        { "AAA0BBB,59/0,60/0", "2028-02-29T00:00:00Z", 3600 },
        { "AAA0BBB,59/0,60/0", "2027-03-01T00:00:00Z", 3600 },
        { "EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00:00Z", 10800 },   /* the Saturday after the 4th Thursday, 02:00 */
        { "<+0545>-5:45", "2026-01-01T00:00:00Z", 20700 },
        { "AAA-1:00:30", "2026-01-01T00:00:00Z", 3630 },
    };
    static const char *const bad[] = { "A1", "AAA", "AAA25", "AAA1BBB", "AAA1BBB,M13.1.1,M1.1.1", "AAA1BBB,M1.1.1", "<AAA1",
                                       "AAA1BBB,M1.1.1/168,M2.1.1", "AAA1BBB,M1.1.1,M2.1.1x", "AAA1BBB,J0,J1", "AAA1:60" };
    unsigned char file[256];
    struct zone *zone;
    struct error err;
    int64_t change_s;
    int before_s;
    int after_s;

    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (zone_from_bytes("test", file, file_with_rule(file, 0, facts[i].rule), &zone, &err) != 0)
            fail_msg("%s: %s", facts[i].rule, err.text);
        if (zone_offset_at(zone, at(facts[i].instant)) != facts[i].offset_s)
            fail_msg("%s at %s: %d", facts[i].rule, facts[i].instant, zone_offset_at(zone, at(facts[i].instant)));
        zone_put(zone);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (zone_from_bytes("test", file, file_with_rule(file, 0, bad[i]), &zone, &err) != BF_EINVAL)
            fail_msg("%s was taken", bad[i]);
    }
    assert_int_equal(zone_from_bytes("test", file, file_with_rule(file, 0, "XXX3EDT4,0/0,J365/23"), &zone, &err), 0);
    assert_false(zone_next_change(zone, 0, &change_s, &before_s, &after_s));
    zone_put(zone);
    assert_int_equal(zone_from_bytes("test", file, file_with_rule(file, 3600, ""), &zone, &err), 0);
    assert_int_equal(zone_offset_at(zone, 0), 3600);
    zone_put(zone);
    /* The offset lasts for ever in the first rule's years; the second's rests in all but leap years. */
    assert_int_equal(zone_from_bytes("test", file, file_with_rule(file, 0, "AAA0BBB,J60/0,59/1"), &zone, &err), 0);
    assert_true(zone_next_change(zone, at("2097-06-01T00:00:00Z"), &change_s, &before_s, &after_s));
    assert_true(change_s < at("2105-01-01T00:00:00Z"));
    zone_put(zone);
}

/* Every file cut short anywhere, and with any one byte turned over, is read or refused, never a fault. */
static void hostile_files(void **state)
{
    unsigned char bytes[8192];
    unsigned char *copy;
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "re");
    size_t len;
    struct zone *zone;
    struct error err;

    (void)state;
    if (file == NULL)
        skip();
    len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_int_equal(zone_from_bytes("whole", bytes, len, &zone, &err), 0);
    zone_put(zone);
    for (size_t cut = 0; cut < len; cut++) {
        copy = malloc(cut + (cut == 0));   /* of its exact size, so that a sanitizer sees the first byte past it */
        memcpy(copy, bytes, cut);
        assert_int_equal(zone_from_bytes("cut", copy, cut, &zone, &err), BF_EINVAL);
        assert_null(zone);
        free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0xff;
        if (zone_from_bytes("turned", bytes, len, &zone, &err) == 0) {
            int64_t change_s;
            int before_s;
            int after_s;
            struct zone_instants instants;

            (void)zone_next_change(zone, 0, &change_s, &before_s, &after_s);
            zone_from_local(zone, 1000000, &instants);
            zone_put(zone);
        } else {
            assert_null(zone);
            assert_true(strlen(err.text) > 0);
        }
        bytes[i] ^= 0xff;
    }
}

/* Changes before the beginning of time fall together; what is left is none. */
static void changes_beyond_reach(void **state)
{
    static const unsigned char header[44] = { 'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4 };
    static const unsigned char first[10] = { 0, 0, 0, 0, 0, 0, 'X' };
    static const unsigned char second[] = { 0xc0, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0, 0, 0, 0, 0, 0, 0, 1, 0,   /* times, types */
                                            0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 0x10, 0, 0, 'X', 'X', 'X', 0, '\n', '\n' };
    unsigned char file[2 * sizeof header + sizeof first + sizeof second];
    unsigned char *at_second = file + sizeof header + sizeof first;
    struct zone *zone;
    struct error err;
    int64_t change_s;
    int before_s;
    int after_s;

    (void)state;
    memcpy(file, header, sizeof header);
    memcpy(file + sizeof header, first, sizeof first);
    memcpy(at_second, header, sizeof header);
    at_second[35] = 2;
    at_second[39] = 2;
    memcpy(at_second + sizeof header, second, sizeof second);
    if (zone_from_bytes("far", file, sizeof file, &zone, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(zone_offset_at(zone, 0), 0);
    assert_false(zone_next_change(zone, INT64_MIN, &change_s, &before_s, &after_s));
    zone_put(zone);
}

static void a_folder_of_ones_own(void **state)
{
    char dir[] = "/tmp/belfry-zones-XXXXXX";
    char path[64];
    unsigned char bytes[256];
    size_t len;
    FILE *file;
    struct zone *before;
    struct zone *after;
    struct zone *utc;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("TZDIR", dir, 1), 0);
    utc = get("UTC");   /* known without a file */
    assert_int_equal(zone_offset_at(utc, 0), 0);
    zone_put(utc);
    snprintf(path, sizeof path, "%s/Town", dir);
    len = file_with_rule(bytes, 0, "AAA-1");
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    before = get("Town");
    len = file_with_rule(bytes, 0, "AAA-2:30");   /* an update of the database: those who ask now get the new rules */
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    after = get("Town");
    assert_int_equal(zone_offset_at(before, 0), 3600);
    assert_int_equal(zone_offset_at(after, 0), 9000);
    zone_put(before);
    zone_put(after);
    assert_int_equal(unsetenv("TZDIR"), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_known_to_all),   cmocka_unit_test(changes_come_in_order),
        cmocka_unit_test(local_times_read_back),  cmocka_unit_test(names_are_checked),
        cmocka_unit_test(zones_are_shared),       cmocka_unit_test(rules_of_the_footer),
        cmocka_unit_test(hostile_files),          cmocka_unit_test(changes_beyond_reach),
        cmocka_unit_test(a_folder_of_ones_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
