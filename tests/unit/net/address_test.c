/* Which addresses are one, and which are link-local. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "belfry/net/address.h"

static struct sockaddr_storage of(const char *text, unsigned port)
{
    struct sockaddr_storage all = {0};
    struct sockaddr_in *v4 = (void *)&all;
    struct sockaddr_in6 *v6 = (void *)&all;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return all;
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return all;
}

static bool same(const char *a, unsigned a_port, const char *b, unsigned b_port)
{
    struct sockaddr_storage one = of(a, a_port), other = of(b, b_port);

    return address_is_same((const void *)&one, (const void *)&other);
}

static void an_address_in_another_form_is_the_same(void **state)
{
    static const struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_storage ip = of("127.0.0.1", 80);

    (void)state;
    assert_true(same("127.0.0.1", 80, "127.0.0.1", 80));
    assert_true(same("127.0.0.1", 80, "::ffff:127.0.0.1", 80));
    assert_true(same("127.0.0.1", 80, "0.0.0.0", 80));
    assert_true(same("::ffff:0.0.0.0", 80, "127.0.0.1", 80));
    assert_true(same("::", 80, "::1", 80));
    assert_false(same("127.0.0.1", 80, "127.0.0.1", 81));
    assert_false(same("127.0.0.1", 80, "127.0.0.2", 80));
    assert_false(same("127.0.0.1", 80, "::1", 80));
    assert_false(address_is_same((const void *)&ip, (const void *)&local));
    assert_false(address_is_same((const void *)&local, (const void *)&local));
}

static void link_local_is_told_from_the_rest(void **state)
{
    static const struct {
        const char *text;
        bool link_local;
    } cases[] = {
        {"169.254.169.254", true}, {"169.254.0.0", true}, {"::ffff:169.254.1.1", true}, {"fe80::1", true}, {"febf:ffff::", true},
        {"169.253.255.255", false}, {"169.255.0.0", false}, {"127.0.0.1", false}, {"10.0.0.1", false}, {"192.168.1.1", false},
        {"::1", false}, {"fec0::1", false}, {"fe7f::1", false}, {"fd00::1", false}, {"2001:db8::fe80", false}, {"0.0.0.0", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage address = of(cases[i].text, 80);

        if (address_is_link_local((const void *)&address) != cases[i].link_local)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_in_another_form_is_the_same),
        cmocka_unit_test(link_local_is_told_from_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
