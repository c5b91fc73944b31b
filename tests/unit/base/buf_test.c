/* Buffers and errors: what is added is there, what does not fit is cut where it may be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/text.h"

static void an_unused_buffer_reads_as_empty(void **state)
{
    struct buf b = { 0 };
    char *taken;

    (void)state;
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(b.len, 0);
    taken = buf_take(&b);
    assert_non_null(taken);
    assert_string_equal(taken, "");
    free(taken);
    buf_close(&b);
    buf_close(&b);
}

static void what_is_added_stands_in_order_with_a_nul_behind(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b);
    buf_adds(&b, "ring");
    buf_addc(&b, ' ');
    buf_add(&b, "the bell!", 8);
    buf_add(&b, NULL, 0);
    buf_addf(&b, ", %d %s", 3, "times");
    assert_string_equal(b.data, "ring the bell, 3 times");
    assert_int_equal(b.len, strlen("ring the bell, 3 times"));
    assert_true(b.cap > b.len);
    buf_add(&b, "\0x", 2);
    assert_int_equal(b.len, strlen("ring the bell, 3 times") + 2);
    assert_int_equal(b.data[b.len], '\0');
    assert_int_equal(b.data[b.len - 1], 'x');
    buf_close(&b);
    assert_null(b.data);
}

/* Each byte at each length: the borders of the growth are among them. */
static void it_grows_a_byte_at_a_time_and_loses_none(void **state)
{
    struct buf b = { 0 };

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        buf_addc(&b, (char)('a' + i % 26));
        assert_int_equal(b.len, i + 1);
        assert_int_equal(b.data[b.len], '\0');
    }
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(b.data[i], (char)('a' + i % 26));
    buf_close(&b);
}

static void a_format_may_be_longer_than_what_there_is(void **state)
{
    struct buf b = { 0 };

    (void)state;
    for (int width = 0; width < 200; width++) {
        buf_reset(&b);
        buf_addf(&b, "%*d|", width, 7);
        assert_int_equal(b.len, width == 0 ? 2 : width + 1);
        assert_int_equal(b.data[b.len - 1], '|');
    }
    buf_close(&b);
}

static void reset_keeps_the_memory_and_take_hands_it_over(void **state)
{
    struct buf b = { 0 };
    const char *before;
    char *taken;

    (void)state;
    buf_adds(&b, "one");
    before = b.data;
    buf_reset(&b);
    assert_string_equal(buf_str(&b), "");
    buf_adds(&b, "two");
    assert_ptr_equal(b.data, before);
    taken = buf_take(&b);
    assert_string_equal(taken, "two");
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    buf_adds(&b, "three");
    assert_string_equal(buf_str(&b), "three");
    assert_string_equal(taken, "two");
    free(taken);
    buf_close(&b);
}

/* No machine has half of its address space: the failure is remembered until the buffer is emptied. */
static void a_failure_is_remembered(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_adds(&b, "here");
    assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), BF_ENOMEM);
    assert_true(buf_failed(&b));
    buf_adds(&b, " and gone");
    assert_string_equal(buf_str(&b), "here");
    assert_int_equal(buf_reserve(&b, 1), BF_ENOMEM);
    assert_null(buf_take(&b));
    assert_false(buf_failed(&b));
    buf_adds(&b, "again");
    assert_string_equal(buf_str(&b), "again");
    (void)buf_reserve(&b, SIZE_MAX);
    assert_true(buf_failed(&b));
    buf_reset(&b);
    assert_false(buf_failed(&b));
    buf_adds(&b, "anew");
    assert_string_equal(buf_str(&b), "anew");
    buf_close(&b);
}

static void errors_say_what_they_are_told(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(error_set(&err, BF_ENOENT, "there is no %s", "bell"), BF_ENOENT);
    assert_int_equal(err.code, BF_ENOENT);
    assert_string_equal(err.text, "there is no bell");
    assert_int_equal(error_prefix(&err, "cannot ring %d", 3), BF_ENOENT);
    assert_string_equal(err.text, "cannot ring 3: there is no bell");
    assert_int_equal(error_errno(&err, ENOSPC, "cannot write %s", "x"), BF_ENOSPC);
    assert_int_equal(err.code, BF_ENOSPC);
    assert_int_equal(strncmp(err.text, "cannot write x: ", 16), 0);
    assert_non_null(strstr(err.text, strerror(ENOSPC)));
    assert_int_equal(error_set(NULL, BF_EIO, "%s", "nobody listens"), BF_EIO);
    assert_int_equal(error_errno(NULL, EACCES, "%s", "nobody listens"), BF_EACCES);
}

static void a_long_error_is_cut_between_characters(void **state)
{
    (void)state;
    for (unsigned ahead = 0; ahead < 5; ahead++) {
        struct buf text = { 0 };
        struct error err;

        for (unsigned i = 0; i < ahead; i++)
            buf_addc(&text, '.');
        while (text.len < 2 * ERROR_TEXT_SIZE)
            buf_adds(&text, "\xF0\x9F\x94\x94");
        assert_int_equal(error_set(&err, BF_EINVAL, "%s", buf_str(&text)), BF_EINVAL);
        assert_true(strlen(err.text) < ERROR_TEXT_SIZE);
        assert_true(strlen(err.text) > ERROR_TEXT_SIZE - 8);
        assert_true(text_is_utf8(err.text, strlen(err.text)));
        assert_int_equal(error_prefix(&err, "%s", "a word before it"), BF_EINVAL);
        assert_true(text_is_utf8(err.text, strlen(err.text)));
        assert_int_equal(strncmp(err.text, "a word before it: ", 18), 0);
        buf_close(&text);
    }
}

static void errno_values_have_their_codes(void **state)
{
    static const struct {
        int errnum, code;
    } cases[] = {
        { ENOENT, BF_ENOENT }, { EEXIST, BF_EEXIST }, { ENOMEM, BF_ENOMEM }, { ENOSPC, BF_ENOSPC }, { EDQUOT, BF_ENOSPC },
        { EACCES, BF_EACCES }, { EPERM, BF_EACCES }, { ETIMEDOUT, BF_ETIMEDOUT }, { EIO, BF_EIO },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(error_code_of_errno(cases[i].errnum), cases[i].code);
    for (int errnum = 1; errnum < 200; errnum++)
        assert_true(error_code_of_errno(errnum) < 0);
    for (int code = BF_OK; code >= BF_ESHUTDOWN; code--) {
        assert_true(strlen(error_name(code)) > 0);
        for (int other = BF_OK; other > code; other--)
            assert_string_not_equal(error_name(code), error_name(other));
    }
    assert_non_null(error_name(1));
    assert_non_null(error_name(-1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_buffer_reads_as_empty),
        cmocka_unit_test(what_is_added_stands_in_order_with_a_nul_behind),
        cmocka_unit_test(it_grows_a_byte_at_a_time_and_loses_none),
        cmocka_unit_test(a_format_may_be_longer_than_what_there_is),
        cmocka_unit_test(reset_keeps_the_memory_and_take_hands_it_over),
        cmocka_unit_test(a_failure_is_remembered),
        cmocka_unit_test(errors_say_what_they_are_told),
        cmocka_unit_test(a_long_error_is_cut_between_characters),
        cmocka_unit_test(errno_values_have_their_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
