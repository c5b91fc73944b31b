/* Forms: what they say, and what can be nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "belfry/base/form.h"
#include "belfry/base/json.h"

static void pairs_become_an_object_of_strings(void **state)
{
    static const struct {
        const char *form, *json;
    } good[] = { { "a=1&b=two+words", "{\"a\":\"1\",\"b\":\"two words\"}" }, { "", "{}" }, { "a", "{\"a\":\"\"}" },
        { "a=&&b=%3D%26", "{\"a\":\"\",\"b\":\"=&\"}" },
        { "a=1&a=2&a=3", "{\"a\":[\"1\",\"2\",\"3\"]}" }, { "%C3%A4=b=c", "{\"\u00e4\":\"b=c\"}" } };
    static const char *const bad[] = { "a=%", "a=%2", "a=%zz", "a=%00", "a=%ff", "%ff=1" };
    struct error err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        json_t *is = form_parse(good[i].form, strlen(good[i].form), &err), *wanted = json_stored(good[i].json);

        if (is == NULL || !json_equal(is, wanted))
            fail_msg("%s is not %s", good[i].form, good[i].json);
        json_decref(is);
        json_decref(wanted);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (form_parse(bad[i], strlen(bad[i]), &err) != NULL)
            fail_msg("%s is taken", bad[i]);
    }
}

/* Of bytes that nobody has said anything of: JSON that is broken is no form. */
static void what_can_only_be_a_form(void **state)
{
    static const char *const plain[] = { "a=1", "a=1&b=two+words", "a=", "&a=1&", "a=b=c", "a%20b=%C3%A4", "12=x" };
    static const char *const other[] = { "", "&", "a", "a=1&b", "=1", "a=1&=2", "{\"a\":1", "{\"url\":\"x?a=1\"", "[a=1]", "\"a=1",
        "a=1\n", "a b=1", "a=\xc3\xa4", "<a b='1'>", "null", "12" };

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (!form_is_plain(plain[i], strlen(plain[i])))
            fail_msg("%s is not taken for a form", plain[i]);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        if (form_is_plain(other[i], strlen(other[i])))
            fail_msg("%s is taken for a form", other[i]);
    }
    assert_false(form_is_plain("a=\0", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(pairs_become_an_object_of_strings), cmocka_unit_test(what_can_only_be_a_form) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
