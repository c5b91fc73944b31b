/* The vault: its key's file, what is derived, what is sealed; RFC 4231's case 2 for the MAC itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/base/vault.h"

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-vault.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/master.key", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static struct vault *open_vault(void)
{
    struct vault *v;
    struct error err;

    if (vault_open(folder, &v, &err) != 0)
        fail_msg("%s", err.text);
    return v;
}

static void test_mac(void **state)
{
    static const char want[] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    unsigned char mac[VAULT_MAC_SIZE];
    char hex[65];

    (void)state;
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    text_hex(mac, sizeof mac, hex);
    assert_string_equal(hex, want);
}

static void test_the_key_is_made_once_and_private(void **state)
{
    unsigned char a[VAULT_MAC_SIZE], b[VAULT_MAC_SIZE];
    struct vault *v = open_vault();
    struct stat st;

    (void)state;
    vault_derive(v, "callback", "run", 3, a);
    vault_close(v);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    v = open_vault();
    vault_derive(v, "callback", "run", 3, b);
    assert_memory_equal(a, b, sizeof a);
    vault_derive(v, "other", "run", 3, b);
    assert_memory_not_equal(a, b, sizeof a);
    vault_derive(v, "callback", "rum", 3, b);
    assert_memory_not_equal(a, b, sizeof a);
    vault_close(v);
}

static void refused(const char *words)
{
    struct vault *v;
    struct error err;

    assert_int_not_equal(vault_open(folder, &v, &err), 0);
    assert_null(v);
    assert_non_null(strstr(err.text, words));
    assert_non_null(strstr(err.text, "master"));
}

static void test_a_bad_key_file_is_refused(void **state)
{
    (void)state;
    vault_close(open_vault());
    assert_int_equal(chmod(path, 0640), 0);
    refused("can be read by others");
    assert_int_equal(file_write_atomic(path, "0123\n", 5, 0600, NULL), 0);
    refused("64 hex digits");
    assert_int_equal(file_write_atomic(path, "\n", 1, 0600, NULL), 0);
    refused("no secret in it");
}

static void test_a_credential_comes_first(void **state)
{
    char name[128];
    struct vault *v;

    (void)state;
    (void)snprintf(name, sizeof name, "%s/belfry-master-key", folder);
    assert_int_equal(file_write_atomic(name, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65, 0400, NULL), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    v = open_vault();
    vault_close(v);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_sealing(void **state)
{
    struct vault *v = open_vault();
    struct buf sealed = { 0 }, again = { 0 };
    struct secret secret = { 0 };

    (void)state;
    assert_int_equal(vault_seal(v, "key-1", "the secret", 10, &sealed), 0);
    assert_int_equal(vault_seal(v, "key-1", "the secret", 10, &again), 0);
    assert_memory_not_equal(sealed.data, again.data, sealed.len);
    assert_null(memmem(sealed.data, sealed.len, "secret", 6));
    assert_int_equal(vault_unseal(v, "key-1", sealed.data, sealed.len, &secret), 0);
    assert_string_equal(secret.bytes, "the secret");
    secret_close(&secret);
    assert_int_equal(vault_unseal(v, "key-2", sealed.data, sealed.len, &secret), BF_EACCES);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(vault_unseal(v, "key-1", sealed.data, sealed.len, &secret), BF_EACCES);
        sealed.data[i] ^= 1;
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(vault_unseal(v, "key-1", sealed.data, len, &secret), BF_EACCES);
    assert_null(secret.bytes);
    buf_close(&sealed);
    buf_close(&again);
    assert_int_equal(vault_seal(v, "", "", 0, &sealed), 0);
    assert_int_equal(vault_unseal(v, "", sealed.data, sealed.len, &secret), 0);
    assert_int_equal(secret.len, 0);
    secret_close(&secret);
    buf_close(&sealed);
    vault_close(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mac, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_the_key_is_made_once_and_private, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_a_bad_key_file_is_refused, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_a_credential_comes_first, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_sealing, make_folder, drop_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
