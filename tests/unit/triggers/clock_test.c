/* The clock: what fires at an instant, and what the room makes of it with a timer of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/time.h"
#include "daemon/triggers/clock_internal.h"
#include "fakes.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static int64_t at(const char *text)
{
    int64_t ms;

    assert_int_equal(time_parse(text, &ms), 0);
    return ms;
}

/* --- what fires --------------------------------------------------------------------------------------------------- */

struct outcome {
    int64_t fired_ms[64];
    bool missed[64];
    size_t count;
    unsigned dropped;
    struct catchup_verdict last;
};

static struct outcome look(const struct catchup_rule *rule, struct catchup_place place, int64_t now_ms)
{
    struct outcome o = { 0 };

    for (;;) {
        catchup_look(rule, &place, now_ms, &o.last);
        o.dropped += o.last.dropped;
        assert_true(o.last.cursor_ms >= place.cursor_ms);
        if (o.last.fire_ms == 0)
            return o;
        assert_true(o.last.fire_ms > place.cursor_ms);
        assert_true(o.last.fire_ms <= now_ms);
        assert_in_range(o.count, 0, 63);
        o.missed[o.count] = o.last.missed;
        o.fired_ms[o.count++] = o.last.fire_ms;
        place.cursor_ms = o.last.cursor_ms;
    }
}

static struct catchup_rule every(struct timing *timing, int64_t every_ms, enum catchup catchup)
{
    *timing = (struct timing) { .every_ms = every_ms };
    return (struct catchup_rule) { .name = "s", .timing = timing, .catchup = catchup, .window_ms = DAY };
}

static void published_vectors(void **state)
{
    struct error err;
    json_t *file = NULL, *vector;
    size_t index;
    char path[4096];

    (void)state;
    (void)err;
    assert_true(snprintf(path, sizeof path, "%s/vectors/missed.json", TESTS_DIR) < (int)sizeof path);
    file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    assert_int_equal(json_array_size(json_object_get(file, "vectors")), 4);
    json_array_foreach (json_object_get(file, "vectors"), index, vector) {
        int64_t now_ms = at(json_str(vector, "now"));
        const char *last = json_str(vector, "last_run");
        bool all = strcmp(json_str(vector, "policy"), "run_all") == 0;
        struct timing timing;
        struct catchup_rule rule = every(&timing, HOUR, all ? CATCHUP_ALL : CATCHUP_NONE);
        struct outcome o;
        size_t missed = 0;

        assert_string_equal(json_str(vector, "expr"), "0 0 * * * *");
        if (json_int(vector, "grace_s", 0) > 0)
            rule.window_ms = json_int(vector, "grace_s", 0) * 1000;
        o = look(&rule, (struct catchup_place) { .cursor_ms = last != NULL ? at(last) : now_ms }, now_ms);
        for (size_t i = 0; i < o.count; i++)
            missed += o.missed[i];
        assert_int_equal(missed, json_int(vector, "missed_runs", -1));
        if (last != NULL)   /* and the one that is due at this instant */
            assert_int_equal(o.fired_ms[o.count - 1], now_ms);
    }
    json_decref(file);
}

static void on_time(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, MINUTE, CATCHUP_LAST);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = 10 * MINUTE }, 11 * MINUTE - 1);

    (void)state;
    assert_int_equal(o.count, 0);
    assert_int_equal(o.last.next_ms, 11 * MINUTE);
    assert_int_equal(o.last.wake_ms, 11 * MINUTE);
    o = look(&rule, (struct catchup_place) { .cursor_ms = 10 * MINUTE }, 11 * MINUTE);
    assert_int_equal(o.count, 1);
    assert_false(o.missed[0]);
    assert_int_equal(o.last.next_ms, 12 * MINUTE);
}

static void late_is_not_missed(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, 1000, CATCHUP_NONE);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = HOUR }, HOUR + 4200);

    (void)state;
    assert_int_equal(o.count, 4);
    assert_int_equal(o.dropped, 0);
    /* ... but after a start with catchup = none it is */
    o = look(&rule, (struct catchup_place) { .cursor_ms = HOUR, .fresh = true }, HOUR + 4200);
    assert_int_equal(o.count, 0);
    assert_int_equal(o.dropped, 4);
}

static void last_fires_once(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, HOUR, CATCHUP_LAST);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = 100 * HOUR }, 105 * HOUR + 30 * MINUTE);

    (void)state;
    assert_int_equal(o.count, 1);
    assert_true(o.missed[0]);
    assert_int_equal(o.fired_ms[0], 105 * HOUR);
    assert_int_equal(o.dropped, 4);
    assert_int_equal(o.last.next_ms, 106 * HOUR);
    /* awake at the very instant of the next: one for all */
    o = look(&rule, (struct catchup_place) { .cursor_ms = 100 * HOUR }, 105 * HOUR);
    assert_int_equal(o.count, 1);
    assert_int_equal(o.fired_ms[0], 105 * HOUR);
    assert_false(o.missed[0]);
}

static void the_window_closes(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, 3 * DAY, CATCHUP_LAST);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = 0 }, 3 * DAY + DAY);

    (void)state;
    assert_int_equal(o.count, 1);
    o = look(&rule, (struct catchup_place) { .cursor_ms = 0 }, 3 * DAY + DAY + 1);
    assert_int_equal(o.count, 0);
    assert_int_equal(o.dropped, 1);
    assert_int_equal(o.last.next_ms, 6 * DAY);
}

static void all_fires_each_within_the_window(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, HOUR, CATCHUP_ALL);
    struct outcome o;

    (void)state;
    rule.window_ms = 3 * HOUR;
    o = look(&rule, (struct catchup_place) { .cursor_ms = 100 * HOUR }, 110 * HOUR + 20 * MINUTE);
    assert_int_equal(o.count, 3);
    assert_int_equal(o.fired_ms[0], 108 * HOUR);
    assert_int_equal(o.fired_ms[2], 110 * HOUR);
    assert_int_equal(o.dropped, 7);
}

static void a_year_away(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, 1000, CATCHUP_LAST);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = DAY }, 366 * DAY + 500);

    (void)state;
    assert_int_equal(o.count, 1);
    assert_int_equal(o.fired_ms[0], 366 * DAY);
    assert_int_equal(o.dropped, CATCHUP_COUNT_MAX);
}

static void set_back(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, MINUTE, CATCHUP_ALL);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = 100 * HOUR }, 99 * HOUR);

    (void)state;
    assert_int_equal(o.count, 0);
    assert_int_equal(o.last.cursor_ms, 100 * HOUR);
    assert_int_equal(o.last.next_ms, 100 * HOUR + MINUTE);
}

static void seen_is_not_missed(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, MINUTE, CATCHUP_NONE);
    struct outcome o = look(&rule, (struct catchup_place) { .cursor_ms = HOUR, .seen_ms = HOUR + 3 * MINUTE },
                            HOUR + 5 * MINUTE + 30000);

    (void)state;
    assert_int_equal(o.count, 3);
    assert_int_equal(o.dropped, 2);
}

static void jitter_moves_the_firing_not_its_name(void **state)
{
    struct timing timing;
    struct catchup_rule rule = every(&timing, HOUR, CATCHUP_LAST);
    struct outcome o;
    int64_t wake_ms;

    (void)state;
    rule.jitter_ms = 30 * MINUTE;
    wake_ms = catchup_wake(&rule, 101 * HOUR);
    assert_true(wake_ms > 101 * HOUR && wake_ms < 101 * HOUR + 30 * MINUTE);
    o = look(&rule, (struct catchup_place) { .cursor_ms = 100 * HOUR }, wake_ms - 1);
    assert_int_equal(o.count, 0);
    assert_int_equal(o.last.wake_ms, wake_ms);
    o = look(&rule, (struct catchup_place) { .cursor_ms = 100 * HOUR }, wake_ms);
    assert_int_equal(o.count, 1);
    assert_int_equal(o.fired_ms[0], 101 * HOUR);
    assert_false(o.missed[0]);
    /* asleep, awake while the newest still waits for its jitter: the one before is the newest missed */
    o = look(&rule, (struct catchup_place) { .cursor_ms = 90 * HOUR }, wake_ms - 1);
    assert_int_equal(o.count, 1);
    assert_int_equal(o.fired_ms[0], 100 * HOUR);
    assert_int_equal(o.last.next_ms, 101 * HOUR);
}

/* --- the room ----------------------------------------------------------------------------------------------------- */

struct house {
    uv_loop_t loop;
    struct journal journal;
    struct fake_bell fake;
    struct bell bell;
    struct clock_room *clock;
    struct process_config process;
    struct schedule_config schedules[1000];
    char names[1000][16];
    struct config config, other;
    int64_t now_ms;
    int64_t armed_ms;
    int fd;
    bool was_set;
    bool closed;
};

static int64_t fake_wall(void *data)
{
    return ((struct house *)data)->now_ms;
}

static int fake_open(void *data)
{
    struct house *h = data;

    h->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    h->armed_ms = INT64_MAX;
    return h->fd;
}

static void expire(struct house *h)
{
    uint64_t one = 1;

    if (h->armed_ms <= h->now_ms || h->was_set)
        assert_int_equal(write(h->fd, &one, sizeof one), sizeof one);
}

static int fake_arm(void *data, int fd, int64_t wall_ms)
{
    struct house *h = data;

    assert_int_equal(fd, h->fd);
    h->armed_ms = wall_ms;
    expire(h);
    return 0;
}

static int fake_read(void *data, int fd)
{
    struct house *h = data;
    uint64_t times;
    bool was_set = h->was_set;

    if (read(fd, &times, sizeof times) < 0)
        return -errno;
    h->was_set = false;
    return was_set ? -ECANCELED : 0;
}

static void set_time(struct house *h, int64_t now_ms, bool was_set)
{
    h->now_ms = now_ms;
    h->was_set = was_set;
    expire(h);
    run_idle(&h->loop);
}

/* As a real clock: from one thing due to the next. */
static void pass_time(struct house *h, int64_t until_ms)
{
    while (h->armed_ms <= until_ms) {
        int64_t now_ms = h->armed_ms > h->now_ms ? h->armed_ms : h->now_ms;

        set_time(h, now_ms, false);
    }
    set_time(h, until_ms, false);
}

static void open_clock(struct house *h)
{
    const struct clock_hands hands = { .data = h, .wall_ms = fake_wall, .open = fake_open, .arm = fake_arm,
                                       .read = fake_read };
    struct error err;

    h->closed = false;
    assert_int_equal(clock_new_with(&h->loop, &h->journal, &h->bell, &hands, &h->clock, &err), 0);
    assert_int_equal(clock_configure(h->clock, &h->config, &err), 0);
    clock_start(h->clock);
    run_idle(&h->loop);
}

static void is_closed(void *data)
{
    ((struct house *)data)->closed = true;
}

static bool saw_closed(void *data)
{
    return ((struct house *)data)->closed;
}

static void close_clock(struct house *h)
{
    clock_close(h->clock, is_closed, h);
    run_until(&h->loop, saw_closed, h);
}

static struct house *house_new(size_t count, int64_t every_ms, enum catchup catchup)
{
    struct house *h = calloc(1, sizeof *h);

    assert_non_null(h);
    uv_loop_init(&h->loop);
    fakes_open(&h->loop, &h->journal, &h->fake, &h->bell);
    h->process.name = (char *)(uintptr_t)"p";
    for (size_t i = 0; i < count; i++) {
        assert_true(snprintf(h->names[i], sizeof h->names[i], "s%zu", i) > 0);
        h->schedules[i] = (struct schedule_config) { .name = h->names[i], .process = &h->process,
                                                     .timing = { .every_ms = every_ms }, .catchup = catchup,
                                                     .catchup_window_ms = DAY };
    }
    h->config = h->other = (struct config) { .schedules = h->schedules, .schedule_count = count, .refs = 1 };
    h->now_ms = at("2026-03-02T10:00:30Z");
    return h;
}

static void house_free(struct house *h)
{
    fakes_close(&h->loop, &h->journal, &h->fake);
    assert_int_equal(uv_loop_close(&h->loop), 0);
    assert_int_equal(h->config.refs, 1);
    assert_int_equal(h->other.refs, 1);
    free(h);
}

static void first_start_misses_nothing(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_ALL);
    const struct fake_row *row;

    (void)state;
    open_clock(h);
    assert_int_equal(h->fake.count, 0);
    row = fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0");
    assert_non_null(row);
    assert_int_equal(row->value, h->now_ms);
    assert_int_equal(h->armed_ms, at("2026-03-02T10:01:00Z"));
    pass_time(h, at("2026-03-02T10:03:59Z"));
    assert_int_equal(fake_fired(&h->fake), 3);
    assert_string_equal(json_str(h->fake.rings[1].event, "due"), "2026-03-02T10:02:00.000Z");
    row = fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0");
    assert_int_equal(row->value, at("2026-03-02T10:03:00Z"));
    close_clock(h);
    house_free(h);
}

static void restart_catches_up(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_ALL);
    struct fake_row *cursor;

    (void)state;
    open_clock(h);
    close_clock(h);
    h->now_ms += 10 * MINUTE;
    open_clock(h);
    assert_int_equal(fake_fired(&h->fake), 10);
    for (size_t i = 1; i < h->fake.count; i++)
        assert_int_equal(h->fake.rings[i].due_ms, h->fake.rings[i - 1].due_ms + MINUTE);
    close_clock(h);
    /* a cursor that is older than what has fired: the claims say so, and it comes right again */
    cursor = (struct fake_row *)(uintptr_t)fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0");
    assert_non_null(cursor);
    cursor->value -= 3 * MINUTE;
    open_clock(h);
    assert_int_equal(h->fake.count, 13);
    assert_int_equal(fake_fired(&h->fake), 10);
    assert_int_equal(fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0")->value, h->fake.rings[9].due_ms);
    close_clock(h);
    house_free(h);
}

static void steps_of_the_clock(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_LAST);

    (void)state;
    open_clock(h);
    pass_time(h, h->now_ms + 5 * MINUTE);
    assert_int_equal(fake_fired(&h->fake), 5);
    set_time(h, h->now_ms - HOUR, true);
    pass_time(h, h->now_ms + 30 * MINUTE);
    assert_int_equal(fake_fired(&h->fake), 5);
    pass_time(h, h->now_ms + 31 * MINUTE);   /* one minute further than ever */
    assert_int_equal(fake_fired(&h->fake), 6);
    set_time(h, h->now_ms + 2 * HOUR, true);
    assert_int_equal(fake_fired(&h->fake), 7);
    close_clock(h);
    house_free(h);
}

static bool has_fired(void *data)
{
    return fake_fired(&((struct house *)data)->fake) >= 3;
}

static void a_full_disk_loses_nothing(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_NONE);
    const struct fake_row *row;

    (void)state;
    open_clock(h);
    h->fake.fail_with = BF_ENOSPC;
    h->fake.fail_times = 1;
    pass_time(h, h->now_ms + 3 * MINUTE);   /* two more come due while the first waits for its second try */
    assert_int_equal(fake_fired(&h->fake), 0);
    run_until(&h->loop, has_fired, h);
    run_idle(&h->loop);
    assert_int_equal(fake_fired(&h->fake), 3);
    row = fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0");
    assert_int_equal(row->value, at("2026-03-02T10:03:00Z"));
    close_clock(h);
    house_free(h);
}

static void a_bad_event_is_a_skipped_run(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_LAST);

    (void)state;
    h->schedules[0].input = (char *)(uintptr_t)"error";
    open_clock(h);
    h->fake.fail_with = BF_EINVAL;
    h->fake.fail_times = 1;
    pass_time(h, h->now_ms + MINUTE);
    assert_int_equal(h->fake.count, 2);
    assert_string_equal(h->fake.rings[0].program, "error");
    assert_null(h->fake.rings[1].program);
    assert_string_equal(h->fake.rings[1].skip_reason, "the bell was told to fail");
    assert_non_null(fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0"));
    pass_time(h, h->now_ms + MINUTE);
    assert_int_equal(fake_fired(&h->fake), 1);
    close_clock(h);
    house_free(h);
}

static void paused_times_pass_by(void **state)
{
    struct house *h = house_new(2, MINUTE, CATCHUP_ALL);
    const struct fake_row *row;

    (void)state;
    open_clock(h);
    assert_int_equal(clock_pause(h->clock, "nobody", true), BF_ENOENT);
    assert_int_equal(clock_pause(h->clock, "s1", true), 0);
    pass_time(h, h->now_ms + 5 * MINUTE);
    assert_int_equal(fake_fired(&h->fake), 5);
    assert_int_equal(clock_pause(h->clock, "s1", false), 0);
    run_idle(&h->loop);
    assert_int_equal(fake_fired(&h->fake), 5);
    row = fake_find(&h->journal, RECORD_CURSOR, "schedule", "s1");
    assert_int_equal(row->value, h->now_ms);
    pass_time(h, h->now_ms + MINUTE);
    assert_int_equal(fake_fired(&h->fake), 7);
    close_clock(h);
    house_free(h);
}

static void a_reload_keeps_its_place(void **state)
{
    struct house *h = house_new(2, MINUTE, CATCHUP_ALL);
    struct schedule_config changed[2];
    struct error err;

    (void)state;
    open_clock(h);
    h->fake.silent = true;
    pass_time(h, h->now_ms + 5 * MINUTE);    /* the first firing of each is under way, four more wait */
    changed[0] = h->schedules[0];
    changed[1] = (struct schedule_config) { .name = h->names[1], .process = &h->process, .timing = { .every_ms = 1000 },
                                            .catchup = CATCHUP_ALL, .catchup_window_ms = DAY };
    h->other.schedules = changed;
    assert_int_equal(clock_configure(h->clock, &h->other, &err), 0);
    h->fake.silent = false;
    run_idle(&h->loop);
    /* s0: all five. s1: the one under way; what its new timing had before the reload is nobody's */
    assert_int_equal(fake_fired(&h->fake), 6);
    assert_int_equal(h->config.refs, 1);
    pass_time(h, h->now_ms + 2000);
    assert_int_equal(fake_fired(&h->fake), 8);
    h->other.schedule_count = 1;
    assert_int_equal(clock_configure(h->clock, &h->other, &err), 0);
    run_idle(&h->loop);
    assert_null(fake_find(&h->journal, RECORD_CURSOR, "schedule", "s1"));
    assert_non_null(fake_find(&h->journal, RECORD_CURSOR, "schedule", "s0"));
    close_clock(h);
    house_free(h);
}

static void changed_while_stopped(void **state)
{
    struct house *h = house_new(1, HOUR, CATCHUP_ALL);

    (void)state;
    open_clock(h);
    close_clock(h);
    h->now_ms += 10 * MINUTE;
    h->schedules[0].timing.every_ms = MINUTE;
    open_clock(h);
    assert_int_equal(h->fake.count, 0);
    pass_time(h, h->now_ms + MINUTE);
    assert_int_equal(fake_fired(&h->fake), 1);
    close_clock(h);
    house_free(h);
}

static void a_thousand_at_once(void **state)
{
    struct house *h = house_new(1000, HOUR, CATCHUP_LAST);

    (void)state;
    open_clock(h);
    h->fake.silent = true;
    set_time(h, at("2026-03-02T11:00:00Z"), false);
    assert_int_equal(h->fake.waiting_count, 1000);
    h->fake.silent = false;
    run_idle(&h->loop);
    assert_int_equal(fake_fired(&h->fake), 1000);
    close_clock(h);
    house_free(h);
}

static void closed_with_a_firing_under_way(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_LAST);

    (void)state;
    open_clock(h);
    h->fake.silent = true;
    pass_time(h, h->now_ms + MINUTE);
    clock_close(h->clock, is_closed, h);
    run_idle(&h->loop);
    assert_false(h->closed);
    h->fake.silent = false;
    run_until(&h->loop, saw_closed, h);
    assert_int_equal(fake_fired(&h->fake), 1);
    house_free(h);
}

static bool fired_for_real(void *data)
{
    return fake_fired(data) >= 2;
}

static void a_real_timer(void **state)
{
    struct house *h = house_new(1, 100, CATCHUP_LAST);
    struct error err;

    (void)state;
    assert_int_equal(clock_new(&h->loop, &h->journal, &h->bell, &h->clock, &err), 0);
    assert_int_equal(clock_configure(h->clock, &h->config, &err), 0);
    clock_start(h->clock);
    run_until(&h->loop, fired_for_real, &h->fake);
    assert_true(h->fake.rings[0].due_ms % 100 == 0);
    close_clock(h);
    house_free(h);
}

static void seen(void *data, const struct clock_view *view)
{
    *(struct clock_view *)data = *view;
}

static void what_can_be_seen(void **state)
{
    struct house *h = house_new(1, MINUTE, CATCHUP_LAST);
    struct clock_view view;

    (void)state;
    assert_in_range(sizeof(struct clock_schedule), 1, 120);
    open_clock(h);
    clock_each(h->clock, seen, &view);
    assert_int_equal(view.last_due_ms, 0);
    assert_int_equal(view.next_due_ms, at("2026-03-02T10:01:00Z"));
    pass_time(h, h->now_ms + MINUTE);
    clock_each(h->clock, seen, &view);
    assert_int_equal(view.last_due_ms, at("2026-03-02T10:01:00Z"));
    assert_string_equal(view.last_word, "queued");
    close_clock(h);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors), cmocka_unit_test(on_time), cmocka_unit_test(late_is_not_missed),
        cmocka_unit_test(last_fires_once), cmocka_unit_test(the_window_closes),
        cmocka_unit_test(all_fires_each_within_the_window), cmocka_unit_test(a_year_away), cmocka_unit_test(set_back),
        cmocka_unit_test(seen_is_not_missed), cmocka_unit_test(jitter_moves_the_firing_not_its_name),
        cmocka_unit_test(first_start_misses_nothing), cmocka_unit_test(restart_catches_up),
        cmocka_unit_test(steps_of_the_clock), cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(a_bad_event_is_a_skipped_run), cmocka_unit_test(paused_times_pass_by),
        cmocka_unit_test(a_reload_keeps_its_place), cmocka_unit_test(changed_while_stopped),
        cmocka_unit_test(a_thousand_at_once), cmocka_unit_test(closed_with_a_firing_under_way),
        cmocka_unit_test(a_real_timer), cmocka_unit_test(what_can_be_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
