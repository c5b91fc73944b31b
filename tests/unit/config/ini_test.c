/* INI as Belfry reads it: what the system's reader would cut or eat comes through whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/config/ini.h"

static struct buf seen;

static int entry(void *data, const struct ini_entry *e)
{
    (void)data;
    if (e->key == NULL)
        buf_addf(&seen, "[%s]@%u\n", e->section, e->line);
    else
        buf_addf(&seen, "%s|%s|%s@%u\n", e->section, e->key, e->value, e->line);
    return 0;
}

static void problem(void *data, unsigned line, const char *what)
{
    (void)data;
    (void)what;
    buf_addf(&seen, "!%u\n", line);
}

static void reads(const char *text, size_t len, const char *expected)
{
    buf_reset(&seen);
    assert_int_equal(ini_read(text, len, entry, problem, NULL), 0);
    assert_string_equal(buf_str(&seen), expected);
}

#define READS(text, expected) reads(text, sizeof(text) - 1, expected)

static void plain(void **state)
{
    (void)state;
    READS("# c\n; c\n\n[a b]\nk = v\nx=1\r\n# comment\ny =\n", "[a b]@4\na b|k|v@5\na b|x|1@6\na b|y|@8\n");
    READS("\xef\xbb\xbf[s]\nk = v", "[s]@1\ns|k|v@2\n");
    READS("", "");
    READS("k = before any section\n", "|k|before any section@1\n");
}

static void values_are_whole(void **state)
{
    (void)state;
    READS("[s]\ncommand = sh -c 'a; b # c ; d'\n", "[s]@1\ns|command|sh -c 'a; b # c ; d'@2\n");
    READS("[s]\nk = a = b : c\n", "[s]@1\ns|k|a = b : c@2\n");
    READS("[s]\nk = [x]\n", "[s]@1\ns|k|[x]@2\n");
}

static void continuations(void **state)
{
    (void)state;
    READS("[s]\nk = one\n  two ; x\n\tthree\nl = 4\n", "[s]@1\ns|k|one\ntwo ; x\nthree@2\ns|l|4@5\n");
    READS("[s]\nk =\n  only = below\n", "[s]@1\ns|k|only = below@2\n");
    /* A comment is a line that begins with # or ;. What is indented goes on with the value: a script may hold comments. */
    READS("[s]\nk = a\n  # b\n# c\n", "[s]@1\ns|k|a\n# b@2\n");
    READS("[s]\nk = a\n\n  [not a section]\n", "[s]@1\ns|k|a\n\n[not a section]@2\n");
}

static void long_values(void **state)
{
    char *text = malloc(INI_VALUE_MAX + 100);
    size_t sizes[] = { 190, 199, 200, 201, 500, 4096, 65000 };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf expected = { 0 };
        size_t head;

        memcpy(text, "[s]\nk = ", 8);
        head = 8;
        for (size_t n = 0; n < sizes[i]; n++)
            text[head + n] = (char)(n % 7 == 6 ? ' ' : n % 11 == 10 ? ';' : 'a' + n % 26);
        text[head + sizes[i]] = 'Z';
        buf_adds(&expected, "[s]@1\ns|k|");
        buf_add(&expected, text + head, sizes[i] + 1);
        buf_adds(&expected, "@2\n");
        reads(text, head + sizes[i] + 1, buf_str(&expected));
        buf_close(&expected);
    }
    memset(text, 'x', INI_VALUE_MAX + 100);
    memcpy(text, "[s]\nk = ", 8);
    reads(text, INI_VALUE_MAX + 100, "[s]@1\n!2\n");
    free(text);
}

static void what_is_no_ini(void **state)
{
    (void)state;
    READS("[s]\njust words\nk = v\n", "[s]@1\n!2\ns|k|v@3\n");
    READS("[s\nk = v\n", "!1\n[?]@1\n?|k|v@2\n");
    READS("[s]\nk = \xff\nl = 1\n", "[s]@1\n!2\ns|l|1@3\n");
    READS("[s]\nk = a\0b\nl = 1\n", "[s]@1\n!2\ns|l|1@3\n");
    READS("[s]\n= v\n", "[s]@1\n!2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain), cmocka_unit_test(values_are_whole), cmocka_unit_test(continuations),
        cmocka_unit_test(long_values), cmocka_unit_test(what_is_no_ini),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    buf_close(&seen);
    return failed;
}
