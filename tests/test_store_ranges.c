/* lib/store, merge_runs.c: runs that are merged by ranges of keys, on threads, hold what they hold when one thread merges
 * them. */
#define _POSIX_C_SOURCE 200809L

#include "event_array.h"

#include <lapse/upkeep.h>

#include "store/identity.h"
#include "store/merging.h"

static void compact(lapse_store *store, int32_t threads)
{
    lapse_upkeep_options o;
    lapse_upkeep_options_init(&o, sizeof o);
    o.threads = threads;
    assert_int_equal(lapse_store_compact(store, &o, NULL), LAPSE_OK);
}

/* ---- any commits, any threads --------------------------------------------------------------------------------- */

static void random_commits(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        lapse_store *store = opened(round % 2 ? path : NULL, 0);
        count = 0;
        be_small(store);
        store->limits.runs_behind = round < 2 ? 30 : 4;
        store->limits.range = round < 2 ? 40 : 1;
        for (int i = 0; i < 300; i++) {
            append_threads = 1 + (int32_t)draw(5); /* a merge goes on with others than it began with */
            append_drawn(store, 1 + (int32_t)(draw(4) ? draw(5) : draw(300)), 10);
            if (i % 100 == 50) {
                check_store(store, count, 20);
                check_sound(store);
            }
        }
        compact(store, 1 + (int32_t)draw(5));
        check_store(store, count, 100);
        check_sound(store);
        lapse_store_close(store);
        if (round % 2)
            unlink(path);
    }
    append_threads = 1;
}

/* Batches that are sorted and written on threads too. */
static void large_batches(void **state)
{
    char *before = NULL;
    (void)state;
    count = 0;
    draw_events(3 * 70000, 10);
    for (int threads = 1; threads <= 3; threads++) {
        lapse_store *store = opened(NULL, 0);
        append_threads = threads;
        for (int i = 0; i < 3; i++)
            assert_int_equal(append(store, i * 70000, 70000), LAPSE_OK);
        check_store(store, count, 20);
        check_sound(store);
        char *after = export_of(store);
        if (before)
            assert_string_equal(after, before);
        free(before);
        before = after;
        lapse_store_close(store);
    }
    free(before);
    append_threads = 1;
}

/* ---- the ranges themselves ------------------------------------------------------------------------------------- */

static size_t events_of(lapse_store *store, struct lapse_manifest **m, struct lapse_run **runs)
{
    assert_int_equal(lapse_store_manifest(store, m, NULL), LAPSE_OK);
    return lapse_manifest_family(*m, LAPSE_RUN_EVENTS, runs);
}

/* Of many customers the ranges are of about as many rows; one that ends before the others leaves its share to them. */
static void ranges_are_alike(void **state)
{
    enum { RUNS = 12, ROWS = 20000, THREADS = 4 };
    struct lapse_run *runs[RUNS], *merged;
    struct lapse_manifest *m;
    struct lapse_merging *g;
    int64_t rows, all = 0, rounds = 0;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    struct lapse_crew *crew;
    assert_true(lapse_crew_new(&store->mem, THREADS, &crew));
    count = 0;
    for (int i = 0; i < RUNS; i++)
        append_drawn(store, ROWS, 1 << 30);
    assert_int_equal(events_of(store, &m, runs), RUNS);
    assert_int_equal(lapse_file_begin(store->file, NULL), LAPSE_OK);

    store->limits.range = RUNS * ROWS / 2; /* worth two threads */
    assert_int_equal(lapse_merging_begin(store, runs, RUNS, crew, &g, NULL), LAPSE_OK);
    assert_int_equal(g->range_count, 2);
    lapse_merging_end(g);

    store->limits.range = 1;
    assert_int_equal(lapse_merging_begin(store, runs, RUNS, crew, &g, NULL), LAPSE_OK);
    assert_int_equal(g->range_count, THREADS);
    lapse_status status;
    do {
        status = lapse_merging_go_on(g, crew, ROWS, &rows, NULL);
        all += rows;
        rounds++;
    } while (status == LAPSE_OK);
    assert_int_equal(status, LAPSE_DONE);
    assert_int_equal(all, RUNS * ROWS);
    assert_true(rounds <= RUNS + 2);
    assert_int_equal(lapse_merging_finish(g, &merged, NULL), LAPSE_OK);
    assert_int_equal(merged->rows, RUNS * ROWS);

    /* Blocks that are not full end a range. */
    int64_t range = 0;
    size_t ranges = 0;
    const uint32_t full = lapse_families[LAPSE_RUN_EVENTS].rows;
    for (size_t b = 0; b < merged->block_count; b++) {
        range += merged->blocks[b].rows;
        if (merged->blocks[b].rows == full && b + 1 < merged->block_count)
            continue;
        assert_in_range(range, RUNS * ROWS / THREADS * 3 / 4, RUNS * ROWS / THREADS * 5 / 4);
        range = 0;
        ranges++;
    }
    assert_int_equal(ranges, THREADS);
    lapse_run_release(merged);
    lapse_merging_end(g);
    lapse_crew_free(crew);
    lapse_file_rollback(store->file);
    lapse_manifest_release(m);
    lapse_store_close(store);
}

/* All rows are of one customer: there is nowhere to cut. */
static void one_customer(void **state)
{
    struct lapse_run *runs[8];
    struct lapse_manifest *m;
    struct lapse_merging *g;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    struct lapse_crew *crew;
    assert_true(lapse_crew_new(&store->mem, 4, &crew));
    count = 0;
    for (int i = 0; i < 8; i++)
        append_drawn(store, 9000, 1);
    store->limits.range = 1;
    assert_int_equal(events_of(store, &m, runs), 8);
    assert_int_equal(lapse_merging_begin(store, runs, 8, crew, &g, NULL), LAPSE_OK);
    assert_int_equal(g->range_count, 1);
    lapse_merging_end(g);
    lapse_crew_free(crew);
    lapse_manifest_release(m);
    compact(store, 4);
    check_store(store, count, 1);
    lapse_store_close(store);
}

/* ---- what is known stays known ------------------------------------------------------------------------------------ */

/* The filter of a merged run has its latest rows, and says from when on; older rows are found where they lie. */
static void filters(void **state)
{
    enum { RUNS = 10, ROWS = 12000 };
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        lapse_store *store = opened(NULL, 0);
        struct lapse_run *runs[RUNS];
        struct lapse_manifest *m;
        store->limits.range = 1;
        count = 0;
        for (int i = 0; i < RUNS; i++)
            append_drawn(store, ROWS, 1 << 30);
        compact(store, threads);
        assert_int_equal(events_of(store, &m, runs), 1);
        const struct lapse_filter *f = runs[0]->filter;
        assert_non_null(f);
        int64_t newer = 0, held = 0;
        for (int32_t i = 0; i < count; i++)
            newer += time_of[i] >= f->since;
        for (size_t p = 0; p < f->count; p++)
            held += f->parts[p].keys;
        assert_int_equal(held, newer);
        assert_in_range(held, 1 << 14, 1 << 15);
        lapse_manifest_release(m);

        /* Rows of the whole time, stored a second time under the same source. */
        static char text[100 * NAME];
        int64_t offsets[101] = { 0 }, times[100], amounts[100];
        lapse_counts counts = { .size = sizeof counts };
        for (int i = 0; i < 100; i++) {
            int32_t event = i * (count / 100);
            char name[NAME];
            name_of(customer_of[event], name);
            memcpy(text + offsets[i], name, strlen(name));
            offsets[i + 1] = offsets[i] + (int64_t)strlen(name);
            times[i] = time_of[event];
            amounts[i] = amount_of[event];
        }
        lapse_batch b = { .size = sizeof b, .rows = 100, .customer = text, .customer_offsets = offsets, .time = times,
                          .amount = amounts };
        assert_int_equal(lapse_store_append(store, &b, NULL, &counts, NULL), LAPSE_OK);
        assert_int_equal(counts.duplicate, 100);
        lapse_store_close(store);
    }
}

/* ---- what is refused ------------------------------------------------------------------------------------------------- */

static void numbers_of_threads(void **state)
{
    static const int32_t bad[] = { -1, 65, INT32_MIN, INT32_MAX };
    const int64_t offsets[] = { 0, 1 }, time = INT64_C(1700000000000000), amount = 1;
    lapse_batch b = { .size = sizeof b, .rows = 1, .customer = "a", .customer_offsets = offsets, .time = &time,
                      .amount = &amount };
    (void)state;
    lapse_store *store = opened(NULL, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lapse_append_options append;
        lapse_upkeep_options upkeep;
        lapse_error error = { .size = sizeof error };
        lapse_append_options_init(&append, sizeof append);
        lapse_upkeep_options_init(&upkeep, sizeof upkeep);
        append.threads = upkeep.threads = bad[i];
        char expected[80];
        snprintf(expected, sizeof expected, "lapse_append_options: threads is %d, not from 0 to 64", (int)bad[i]);
        assert_int_equal(lapse_store_append(store, &b, &append, NULL, &error), LAPSE_INVALID);
        assert_string_equal(error.message, expected);
        assert_int_equal(lapse_store_compact(store, &upkeep, &error), LAPSE_INVALID);
        assert_string_equal(strstr(error.message, ": "), strstr(expected, ": "));
    }
    lapse_append_options append;
    lapse_upkeep_options upkeep;
    lapse_append_options_init(&append, sizeof append);
    lapse_upkeep_options_init(&upkeep, sizeof upkeep);
    append.reserved = upkeep.reserved = 1;
    assert_int_equal(lapse_store_append(store, &b, &append, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_compact(store, &upkeep, NULL), LAPSE_INVALID);
    /* Zeros: nothing is later than 1970. */
    const lapse_append_options zeros = { .size = sizeof zeros };
    assert_int_equal(lapse_store_append(store, &b, &zeros, NULL, NULL), LAPSE_BAD_INPUT);
    /* Hosts that were made before there were threads. */
    const lapse_upkeep_options plain = { .size = sizeof plain };
    lapse_append_options old;
    assert_int_equal(lapse_store_compact(store, &plain, NULL), LAPSE_OK);
    assert_int_equal(lapse_append_options_init(&old, offsetof(lapse_append_options, threads)), LAPSE_OK);
    old.threads = -1;
    lapse_error error = { .size = sizeof error };
    if (lapse_store_append(store, &b, &old, NULL, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commits),
        cmocka_unit_test(large_batches),
        cmocka_unit_test(ranges_are_alike),
        cmocka_unit_test(one_customer),
        cmocka_unit_test(filters),
        cmocka_unit_test(numbers_of_threads),
    };
    return cmocka_run_group_tests_name("store_ranges", tests, make_folder, remove_folder);
}
