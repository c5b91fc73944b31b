/* The table of keys, row by row: every bound is kept, every choice is taken, every default is one that could be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/text.h"
#include "belfry/config/schema.h"
#include "config_fixture.h"

static const char *title(const struct section_row *section)
{
    static char text[64];

    (void)snprintf(text, sizeof text, "%s%s", section->kind, section->named ? " x" : "");
    return text;
}

/* True when the key with this value is complained of; what else is wrong with so bare a section does not matter. */
static bool complained(const struct section_row *section, const char *key, const char *value)
{
    struct buf text = { 0 }, words = { 0 };
    struct config *config;
    bool found;

    buf_addf(&text, "[%s]\n%s = %s\n", title(section), key, value);
    write_text("belfry.conf", buf_str(&text));
    config = load();
    buf_addf(&words, "[%s] %s: ", title(section), key);
    found = config == NULL && strstr(buf_str(&report), buf_str(&words)) != NULL;
    config_release(config);
    buf_close(&text);
    buf_close(&words);
    return found;
}

static void check(const struct section_row *section, const struct key_row *key, const char *value, bool taken)
{
    if (complained(section, key->name, value) == taken)
        fail_msg("[%s] %s = %s is %s:\n%s", section->kind, key->name, value, taken ? "refused" : "taken", buf_str(&report));
}

#define EACH_KEY(section, key) \
    for (const struct section_row *section = config_sections; section->kind != NULL; section++) \
        for (const struct key_row *key = section->keys; key->name != NULL; key++)

static void every_row_is_whole(void **state)
{
    (void)state;
    EACH_KEY(section, key) {
        assert_true(strlen(key->about) > 5);
        assert_true(key->about[strlen(key->about) - 1] == '.');
        assert_true(key->offset < section->size);
        assert_true(key->low <= key->high || key->high == 0);
        assert_true((key->type != KEY_CHOICE && key->type != KEY_REF) || key->detail != NULL);
        for (const struct key_row *other = section->keys; other != key; other++)
            assert_string_not_equal(other->name, key->name);
    }
}

static void number_of(const struct key_row *key, int64_t n, struct buf *b)
{
    buf_reset(b);
    buf_addf(b, "%" PRId64 "%s", n, key->type == KEY_DURATION ? "ms" : "");
}

static void bounds_are_kept(void **state)
{
    struct buf b = { 0 };
    unsigned checked = 0;

    (void)state;
    EACH_KEY(section, key) {
        if (key->type != KEY_INT && key->type != KEY_DURATION && key->type != KEY_SIZE)
            continue;
        /* A dialect or kind that refuses the key altogether is another matter: those sections have no type here. */
        number_of(key, key->low, &b);
        check(section, key, buf_str(&b), true);
        number_of(key, key->low - 1, &b);
        if (key->low != 1 || key->otherwise == NULL || strcmp(key->otherwise, "0") != 0)
            check(section, key, buf_str(&b), false);
        if (key->high != 0) {
            number_of(key, key->high, &b);
            check(section, key, buf_str(&b), true);
            number_of(key, key->high + 1, &b);
            check(section, key, buf_str(&b), false);
        }
        check(section, key, "x", false);
        check(section, key, "", false);
        check(section, key, "99999999999999999999", false);
        check(section, key, key->type == KEY_DURATION ? "5" : "5s", false);
        checked++;
    }
    assert_true(checked > 20);
    buf_close(&b);
}

static void choices_and_booleans_take_their_words_only(void **state)
{
    (void)state;
    EACH_KEY(section, key) {
        if (key->type == KEY_BOOL) {
            check(section, key, "yes", true);
            check(section, key, "no", true);
            check(section, key, "true", false);
            check(section, key, "", false);
        }
        if (key->type != KEY_CHOICE)
            continue;
        for (const char *word = key->detail; *word != '\0'; word += strspn(word, " ")) {
            size_t len = strcspn(word, " ");
            char *one = strndup(word, len);

            /* Of the API's dialects this version speaks one. */
            if (strcmp(key->name, "api") != 0)
                check(section, key, one, strcmp(one, "-") != 0);
            free(one);
            word += len;
        }
        check(section, key, "-", false);
        check(section, key, key->detail, false);
        check(section, key, "nonsense", false);
        check(section, key, "", false);
    }
}

/* The defaults are written as a person would write them: nobody who writes them down changes anything. */
static void defaults_could_be_written(void **state)
{
    (void)state;
    EACH_KEY(section, key) {
        if (key->otherwise != NULL && key->otherwise[0] != '\0')
            check(section, key, key->otherwise, true);
    }
}

static void programs_and_references_want_something(void **state)
{
    (void)state;
    EACH_KEY(section, key) {
        if (key->type == KEY_REF || key->type == KEY_STRING || key->type == KEY_PATH)
            check(section, key, "", false);
        if (key->type == KEY_REF)
            check(section, key, "nobody", false);
    }
}

/* A key that is nearly right is told the right one. */
static void every_key_is_found_by_its_misspelling(void **state)
{
    (void)state;
    EACH_KEY(section, key) {
        struct buf near = { 0 }, words = { 0 };

        if (key->type == KEY_SECRET || strlen(key->name) < 5)
            continue;
        buf_add(&near, key->name, strlen(key->name) - 1);
        buf_addf(&words, "\"%s\"", key->name);
        assert_true(complained(section, buf_str(&near), "1"));
        if (strstr(buf_str(&report), buf_str(&words)) == NULL)
            fail_msg("%s", buf_str(&report));
        buf_close(&near);
        buf_close(&words);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_setup, config_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_is_whole),
        TEST(bounds_are_kept),
        TEST(choices_and_booleans_take_their_words_only),
        TEST(defaults_could_be_written),
        TEST(programs_and_references_want_something),
        TEST(every_key_is_found_by_its_misspelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
