/* INI at its edges: every length about a limit, every byte in a value, every cut of a text, and noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"
#include "belfry/config/ini.h"

struct seen {
    unsigned entries, sections, problems;
    unsigned first_problem_line, last_line;
    char section[256], key[64];
    struct buf value;      /* of the last key */
    int stop_at;           /* that entry returns this … */
    int stop_with;
};

static int on_entry(void *data, const struct ini_entry *e)
{
    struct seen *s = data;

    assert_true(e->line >= 1 && e->line >= s->last_line);
    s->last_line = e->line;
    s->entries++;
    s->sections += e->key == NULL;
    (void)snprintf(s->section, sizeof s->section, "%s", e->section);
    if (e->key != NULL) {
        (void)snprintf(s->key, sizeof s->key, "%s", e->key);
        buf_reset(&s->value);
        buf_adds(&s->value, e->value);
        assert_true(s->value.len <= INI_VALUE_MAX);
        assert_true(text_is_utf8(e->value, s->value.len));
    }
    return s->stop_at > 0 && s->entries == (unsigned)s->stop_at ? s->stop_with : 0;
}

static void on_problem(void *data, unsigned line, const char *what)
{
    struct seen *s = data;

    assert_true(line >= 1);
    assert_true(strlen(what) > 0);
    if (s->problems++ == 0)
        s->first_problem_line = line;
}

/* The text ends where a page ends, as far as the address sanitizer goes: a byte too far is seen. */
static int read_exactly(const char *text, size_t len, struct seen *s)
{
    char *exact = malloc(len + (len == 0));
    int status;

    assert_non_null(exact);
    memcpy(exact, text, len);
    buf_close(&s->value);
    memset(s, 0, sizeof *s);
    status = ini_read(exact, len, on_entry, on_problem, s);
    free(exact);
    return status;
}

static void a_value_may_have_64_kibibytes_and_no_more(void **state)
{
    static const size_t lens[] = { 1, 39, 40, 41, 79, 80, 81, 199, 200, 201, 65535, 65536, 65537, 200000 };
    struct seen s = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct buf text = { 0 };

        buf_adds(&text, "[s]\nlong = ");
        for (size_t k = 0; k < lens[i]; k++)
            buf_addc(&text, (char)('a' + k % 26));
        buf_adds(&text, "\nnext = 1\n");
        assert_int_equal(read_exactly(text.data, text.len, &s), 0);
        assert_int_equal(s.problems, lens[i] > INI_VALUE_MAX);
        assert_int_equal(s.entries, lens[i] > INI_VALUE_MAX ? 2 : 3);
        assert_string_equal(s.key, "next");
        if (s.problems > 0)
            assert_int_equal(s.first_problem_line, 2);
        buf_close(&text);
    }
    buf_close(&s.value);
}

/* Over many lines too: the limit is the value's, not the line's. */
static void continued_lines_count_together(void **state)
{
    struct seen s = { 0 };

    (void)state;
    for (unsigned more = 0; more <= 2; more++) {
        struct buf text = { 0 };

        buf_adds(&text, "k =");
        for (unsigned i = 0; i < 1024; i++) {
            buf_adds(&text, "\n ");
            for (unsigned k = 0; k < 63; k++)
                buf_addc(&text, 'x');
        }
        for (unsigned k = 0; k < more; k++)
            buf_addc(&text, 'x');
        buf_adds(&text, "\n \n\n");
        assert_int_equal(read_exactly(text.data, text.len, &s), 0);
        assert_int_equal(s.problems, INI_VALUE_MAX - 1 + more > INI_VALUE_MAX);
        if (s.problems == 0)
            assert_int_equal(s.value.len, INI_VALUE_MAX - 1 + more);
        buf_close(&text);
    }
    buf_close(&s.value);
}

/* All that a value may hold comes through as it is, wherever a piece of it ends. */
static void every_character_comes_through(void **state)
{
    static const char *const odd[] = { ";", "#", "%", "=", "[", "]", "\"", "'", "\\", ":", "$", "\t", "ü", "世", "🔔", "\x01",
        "\x7F", " ; ", " # ", "%0A", "k=b", "\r" };
    struct seen s = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        for (unsigned ahead = 1; ahead < 90; ahead++) {
            struct buf text = { 0 }, value = { 0 };

            for (unsigned k = 0; k < ahead; k++)
                buf_addc(&value, 'v');
            for (unsigned k = 0; k < 3; k++)
                buf_adds(&value, odd[i]);
            buf_addc(&value, 'e');
            buf_addf(&text, "key = %s\n", buf_str(&value));
            assert_int_equal(read_exactly(text.data, text.len, &s), 0);
            assert_int_equal(s.problems, 0);
            assert_int_equal(s.entries, 1);
            assert_string_equal(buf_str(&s.value), buf_str(&value));
            buf_close(&text);
            buf_close(&value);
        }
    }
    buf_close(&s.value);
}

static void names_have_their_limits(void **state)
{
    struct seen s = { 0 };

    (void)state;
    for (size_t len = 38; len <= 60; len++) {
        struct buf text = { 0 };

        buf_adds(&text, "[s]\n");
        for (size_t k = 0; k < len; k++)
            buf_addc(&text, 'k');
        buf_adds(&text, "=v\n");
        assert_int_equal(read_exactly(text.data, text.len, &s), 0);
        assert_int_equal(s.problems, len > 40);
        if (len <= 40)
            assert_int_equal(strlen(s.key), len);
        buf_close(&text);
    }
    for (size_t len = 198; len <= 210; len++) {
        struct buf text = { 0 };

        buf_adds(&text, "[before]\na=1\n[");
        for (size_t k = 0; k < len; k++)
            buf_addc(&text, 's');
        buf_adds(&text, "]\nb=2\n");
        assert_int_equal(read_exactly(text.data, text.len, &s), 0);
        assert_int_equal(s.problems, len > 200);
        assert_string_not_equal(s.section, "before");
        if (len <= 200)
            assert_int_equal(strlen(s.section), len);
        buf_close(&text);
    }
    buf_close(&s.value);
}

static void what_entry_returns_ends_the_reading(void **state)
{
    static const char text[] = "[a]\nb = 1\nc = 2\n[d]\ne = 3\n";

    (void)state;
    for (int at = 1; at <= 5; at++) {
        struct seen s = { .stop_at = at, .stop_with = BF_ETOOBIG };

        assert_int_equal(ini_read(text, sizeof text - 1, on_entry, on_problem, &s), BF_ETOOBIG);
        assert_int_equal(s.entries, at);
        buf_close(&s.value);
    }
}

static void line_ends_are_those_of_either_world(void **state)
{
    static const char unix_text[] = "[s one]\na = 1\nb =\n  2\n\n  3\n# c\nd = 4";
    struct buf dos = { 0 };
    struct seen s = { 0 };

    (void)state;
    for (const char *c = unix_text; *c != '\0'; c++) {
        if (*c == '\n')
            buf_addc(&dos, '\r');
        buf_addc(&dos, *c);
    }
    assert_int_equal(read_exactly(unix_text, sizeof unix_text - 1, &s), 0);
    assert_int_equal(s.entries, 4);
    assert_int_equal(s.last_line, 8);
    assert_int_equal(read_exactly(dos.data, dos.len, &s), 0);
    assert_int_equal(s.entries, 4);
    assert_int_equal(s.problems, 0);
    assert_int_equal(s.last_line, 8);
    assert_string_equal(buf_str(&s.value), "4");
    /* Cut before "d": the value of "b", the same in both. */
    assert_int_equal(read_exactly(unix_text, (size_t)(strstr(unix_text, "# c") - unix_text), &s), 0);
    assert_string_equal(buf_str(&s.value), "2\n\n3");
    assert_int_equal(read_exactly(dos.data, (size_t)(strstr(dos.data, "# c") - dos.data), &s), 0);
    assert_string_equal(buf_str(&s.value), "2\n\n3");
    buf_close(&dos);
    buf_close(&s.value);
}

/* Cut anywhere, it is read to its end, and what stood whole before the cut is told as it was. */
static void a_text_may_end_anywhere(void **state)
{
    static const char text[] = "\xEF\xBB\xBF# c\n[process ü]\r\ncommand = a ; b\n  c = d\n\n  e\nx=\n[]\n[y\n= 1\nz\n";
    struct seen s = { 0 };

    (void)state;
    for (size_t len = 0; len < sizeof text; len++) {
        assert_int_equal(read_exactly(text, len, &s), 0);
        assert_true(s.sections <= 3);
    }
    buf_close(&s.value);
}

/* Noise made of what matters to a reader: it ends, and what it gives is within its bounds (on_entry checks). */
static void noise_is_read_to_its_end(void **state)
{
    static const char *const parts[] = { "[", "]", "=", "\n", "\n ", " ", "\t", "#", ";", "\r", "a", "key", "\xC3\xBC", "\xFF", "[s]\n",
        "k = v", "\n\n", "%41", "\xEF\xBB\xBF" };
    struct seen s = { 0 };
    uint32_t seed = 99;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct buf text = { 0 };

        for (int i = 0; i < round % 60; i++) {
            seed = seed * 1664525 + 1013904223;
            if (seed >> 28 == 0)
                buf_addc(&text, '\0');
            buf_adds(&text, parts[(seed >> 8) % (sizeof parts / sizeof *parts)]);
        }
        assert_int_equal(read_exactly(buf_str(&text), text.len, &s), 0);
        buf_close(&text);
    }
    buf_close(&s.value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_may_have_64_kibibytes_and_no_more),
        cmocka_unit_test(continued_lines_count_together),
        cmocka_unit_test(every_character_comes_through),
        cmocka_unit_test(names_have_their_limits),
        cmocka_unit_test(what_entry_returns_ends_the_reading),
        cmocka_unit_test(line_ends_are_those_of_either_world),
        cmocka_unit_test(a_text_may_end_anywhere),
        cmocka_unit_test(noise_is_read_to_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
