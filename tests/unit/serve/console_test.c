/* A console's bytes, line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api.h"

#define MOST 8

static void lines_are_cut_between_characters(void **state)
{
    static const struct {
        const char *bytes;
        bool last;
        size_t taken, line;
    } cases[] = {
        { "one\ntwo\n", false, 4, 3 }, { "\n", false, 1, 0 }, { "\n\n", false, 1, 0 }, { "", false, 0, 0 }, { "", true, 0, 0 },
        { "one", false, 0, 0 }, { "one", true, 3, 3 },                                   /* it may go on, or not */
        { "12345678", false, 0, 0 }, { "12345678", true, 8, 8 },                         /* its end may follow */
        { "12345678\n", false, 9, 8 }, { "123456789", false, 8, 8 }, { "123456789\n", true, 8, 8 },
        { "1234567\xC3\xA4", false, 7, 7 }, { "1234567\xC3\xA4", true, 7, 7 }, { "123456\xC3\xA4\n", false, 9, 8 },
        { "123456\xE2\x82\xAC", false, 6, 6 }, { "12345\xE2\x82\xAC" "9", false, 8, 8 }, { "12345\xF0\x9F\x94\x94", false, 5, 5 },
        { "\x80\x80\x80\x80\x80\x80\x80\x80\x80", false, 8, 8 }, { "1234\x80\x80\x80\x80\x80", false, 8, 8 },   /* no characters at all */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t line = 0, taken = shape_console_line(cases[i].bytes, strlen(cases[i].bytes), MOST, cases[i].last, &line);

        if (taken != cases[i].taken || (taken > 0 && line != cases[i].line))
            fail_msg("case %zu: %zu bytes with a line of %zu", i, taken, line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
