/* URLs that can be asked, and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "belfry/net/http_client.h"

static void a_url_is_good_or_not(void **state)
{
    static const struct {
        const char *url;
        bool good;
    } cases[] = {
        { "https://example.org", true }, { "http://example.org/", true }, { "http://127.0.0.1:8080/a?b=c#d", true }, { "http://[::1]:80/", true },
        { "https://h:1/%C3%A4", true }, { "http://h:65535/", true }, { "https://h/a@b", true }, { "https://h?a@b", true },
        { "", false }, { "h", false }, { "ftp://h/", false }, { "file:///etc/passwd", false }, { "http:/h/", false }, { "http:///h/", false },
        { "https://", false }, { "https:///", false }, { "http://:80/", false }, { "http://h:99999999/", false }, { "http://h:65536/", false },
        { "http://h:0/", false }, { "http://h:x/", false }, { "http://h:-1/", false }, { "http://[::1/", false }, { "http://[::g]/", false },
        { "https://me@h/", false }, { "https://me:word@h/", false }, { "https://@h/", false }, { "https://h/ ", false }, { "https://h/\n", false },
        { "https://h/\x7f", false }, { "https://h/\xC3\xA4", false }, { "https://h\x01/", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (http_url_is_good(cases[i].url) != cases[i].good)
            fail_msg("\"%s\" is %sgood", cases[i].url, cases[i].good ? "" : "not ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_good_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
