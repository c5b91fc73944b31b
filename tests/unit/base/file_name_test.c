/* Names from outside: whatever they hold, what comes of them is one plain name of one folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"

static void check_safe(const char *name)
{
    assert_true(strlen(name) >= 1);
    assert_true(strlen(name) <= FILE_NAME_MAX);
    assert_null(strchr(name, '/'));
    assert_string_not_equal(name, ".");
    assert_string_not_equal(name, "..");
    assert_int_not_equal(name[0], '.');
    assert_int_not_equal(name[0], '-');
    assert_true(text_is_utf8(name, strlen(name)));
    for (const char *c = name; *c != '\0'; c++) {
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
        assert_false((unsigned char)c[0] == 0xC2 && ((unsigned char)c[1] & 0xE0) == 0x80);
    }
}

static void remote_names_become_plain_ones(void **state)
{
    static const struct {
        const char *name, *safe;
    } cases[] = {
        { "report.csv", "report.csv" }, { "", "unnamed" }, { ".", "%2E" }, { "..", "%2E." }, { "...", "%2E.." },
        { "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd" }, { "/etc/passwd", "%2Fetc%2Fpasswd" }, { ".hidden", "%2Ehidden" },
        { "-rf", "%2Drf" }, { "a-b", "a-b" }, { "a\nb", "a%0Ab" }, { "100%", "100%25" }, { "a\\b", "a%5Cb" },
        { "Grüße 🔔.txt", "Grüße 🔔.txt" }, { "bad\xFF.txt", "bad%FF.txt" }, { "gr\xFC\xDF" "e", "gr%FC%DFe" }, { "\x7F", "%7F" },
        { "a b.txt", "a b.txt" }, { "x\x1B[31m", "x%1B[31m" }, { "a\xC2\x85" "b", "a%C2%85b" }, { "a\xC2\xA0" "b", "a\xC2\xA0" "b" },
    };
    char out[FILE_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_safe_name(cases[i].name, strlen(cases[i].name), out);
        assert_string_equal(out, cases[i].safe);
        check_safe(out);
    }
    file_safe_name("a\0b", 3, out);
    assert_string_equal(out, "a%00b");
}

/* A long name keeps its extension, and is never cut within a character or an escape. */
static void long_names_are_cut_before_their_extension(void **state)
{
    static const char *const fills[] = { "a", "ü", "世", "🔔", "\n", "\xFF", "%", "a\xFF" };
    static const char *const ends[] = { "", ".csv", ".tar", ".a-rather-long-extension", ".an-extension-that-is-longer-than-any-is" };

    (void)state;
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
            for (unsigned ahead = 0; ahead < 4; ahead++) {
                struct buf name = { 0 };
                char out[FILE_NAME_MAX + 1];
                const char *percent;

                buf_add(&name, "xyz", ahead);
                while (name.len < 300)
                    buf_adds(&name, fills[f]);
                buf_adds(&name, ends[e]);
                file_safe_name(name.data, name.len, out);
                check_safe(out);
                assert_true(strlen(out) > FILE_NAME_MAX - 8);
                if (e < 4)
                    assert_string_equal(out + strlen(out) - strlen(ends[e]), ends[e]);
                for (percent = out; (percent = strchr(percent, '%')) != NULL; percent++)
                    assert_int_equal(strspn(percent + 1, "0123456789ABCDEF") >= 2, 1);
                buf_close(&name);
            }
        }
    }
}

/* A cheap, repeatable noise: each byte value at each place. */
static void noise_becomes_safe(void **state)
{
    uint32_t seed = 12345;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char name[400], out[FILE_NAME_MAX + 1], again[FILE_NAME_MAX + 1];
        size_t len = (size_t)round % sizeof name;

        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            name[i] = round % 3 == 0 ? (char)(seed >> 24) : "./-%a\xC2\x85\xC3\xBC\n"[(seed >> 24) % 10];
        }
        file_safe_name(name, len, out);
        check_safe(out);
        file_safe_name(name, len, again);
        assert_string_equal(out, again);
        for (unsigned k = 2; k < 4000000000u; k = k * 9 + 1) {
            file_numbered_name(out, k, again);
            check_safe(again);
            assert_string_not_equal(again, out);
            if (k > UINT32_MAX / 10)
                break;
        }
    }
}

static void taken_names_get_a_number(void **state)
{
    static const struct {
        const char *name;
        unsigned k;
        const char *numbered;
    } cases[] = {
        { "report.csv", 2, "report-2.csv" }, { "report", 3, "report-3" }, { "a.tar.gz", 2, "a.tar-2.gz" },
        { "report.", 2, "report-2." }, { "report-2.csv", 2, "report-2-2.csv" }, { "r.csv", 4294967295u, "r-4294967295.csv" },
    };
    char out[FILE_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_numbered_name(cases[i].name, cases[i].k, out);
        assert_string_equal(out, cases[i].numbered);
    }
}

/* Two numbers make two names, however long the name and wherever its last dot stands. */
static void numbered_names_differ(void **state)
{
    (void)state;
    for (size_t len = 1; len <= FILE_NAME_MAX; len++) {
        for (size_t dot = 0; dot <= len; dot += 1 + len / 9) {
            char name[FILE_NAME_MAX + 1], two[FILE_NAME_MAX + 1], other[FILE_NAME_MAX + 1];

            memset(name, 'n', len);
            name[len] = '\0';
            if (dot > 0 && dot < len)
                name[dot] = '.';
            file_numbered_name(name, 2, two);
            check_safe(two);
            assert_string_not_equal(two, name);
            file_numbered_name(name, 3, other);
            assert_string_not_equal(two, other);
            file_numbered_name(name, 4000000002u, other);
            assert_string_not_equal(two, other);
            assert_non_null(strstr(other, "-4000000002"));
        }
    }
}

static void a_numbered_name_keeps_whole_characters(void **state)
{
    static const char *const fills[] = { "ü", "世", "🔔", "%FF" };

    (void)state;
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        for (unsigned ahead = 0; ahead < 8; ahead++) {
            struct buf name = { 0 };
            char out[FILE_NAME_MAX + 1];
            const char *percent;

            buf_add(&name, "a.bcdefgh", ahead + 1);
            while (name.len + strlen(fills[f]) <= FILE_NAME_MAX)
                buf_adds(&name, fills[f]);
            file_numbered_name(name.data, 7, out);
            check_safe(out);
            assert_non_null(strstr(out, "-7"));
            for (percent = out; (percent = strchr(percent, '%')) != NULL; percent++)
                assert_int_equal(strncmp(percent, "%FF", 3), 0);
            buf_close(&name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote_names_become_plain_ones),
        cmocka_unit_test(long_names_are_cut_before_their_extension),
        cmocka_unit_test(noise_becomes_safe),
        cmocka_unit_test(taken_names_get_a_number),
        cmocka_unit_test(numbered_names_differ),
        cmocka_unit_test(a_numbered_name_keeps_whole_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
