/* lib/store: the tail, folds and merges. Whatever the sizes of commits, whatever is folded or merged meanwhile, the
 * store holds what an array holds; it survives kill -9, a second writer and damage in the middle. */
#define _POSIX_C_SOURCE 200809L

#include "event_array.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Runs of events: those of the tail and the others. */
static void count_runs(lapse_store *store, size_t *tail, size_t *larger)
{
    struct lapse_manifest *m;
    *tail = *larger = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == LAPSE_RUN_EVENTS)
            ++*(m->runs[i]->rows < store->limits.small ? tail : larger);
    lapse_manifest_release(m);
}

/* No block is in the file that no run has. */
static void check_swept(lapse_store *store)
{
    struct lapse_manifest *m;
    int64_t *others, blocks = 0, *none = NULL;
    size_t n = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++)
        blocks += (int64_t)m->runs[i]->block_count;
    lapse_manifest_release(m);
    assert_int_equal(lapse_file_other_blocks(store->file, none, 0, &others, &n, NULL), LAPSE_OK);
    lapse_mem_free(&store->mem, others);
    assert_int_equal(n, blocks);
}

/* ---- what commits of all sizes leave --------------------------------------------------------------------- */

static void random_commits(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        lapse_store *store = opened(round % 2 ? path : NULL, 0);
        lapse_view *old = NULL;
        int32_t old_count = 0;
        size_t most_merging = 0, tail, larger;
        count = 0;
        be_small(store);
        store->limits.runs_behind = round < 2 ? 30 : 4;
        for (int i = 0; i < 500; i++) {
            append_drawn(store, 1 + (int32_t)(draw(4) ? draw(5) : draw(300)), 10);
            most_merging = store->merging_count > most_merging ? store->merging_count : most_merging;
            count_runs(store, &tail, &larger);
            assert_true(tail <= 8);
            assert_true(larger <= 40);
            if (i % 100 == 50) {
                check_store(store, count, 20);
                if (old) /* its runs have been merged away, it has not changed */
                    check_view(old, old_count, 5);
                lapse_view_close(old);
                assert_int_equal(lapse_view_open(store, INT64_MAX, &old, NULL), LAPSE_OK);
                old_count = count;
            }
        }
        assert_true(most_merging > 0);
        check_store(store, count, 200);
        lapse_view_close(old);
        lapse_store_close(store);
        if (round % 2 == 0)
            continue;
        store = opened(path, 0); /* sweeps what merges under way have left */
        check_store(store, count, 20);
        check_swept(store);
        lapse_store_close(store);
        unlink(path);
    }
}

/* The limits as they are: hundreds of runs of one event in the tail, then folded. */
static void single_events(void **state)
{
    size_t tail, larger, most = 0;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    count = 0;
    for (int i = 0; i < 600; i++) {
        append_drawn(store, 1, 3);
        count_runs(store, &tail, &larger);
        most = tail > most ? tail : most;
        assert_int_equal(larger, 0);
        if (i == 200 || i == 256 || i == 599)
            check_store(store, count, 50);
    }
    assert_int_equal(most, 256);
    lapse_store_close(store);
}

/* Merges over several commits, of runs of several blocks, with a customer whose events fill blocks in every run. */
static void giant_customers(void **state)
{
    size_t tail, larger;
    bool under_way = false;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    store->limits.runs = 10;
    count = 0;
    for (int i = 0; i < 14; i++) {
        append_drawn(store, 25000, 2);
        under_way |= store->merging_count > 0;
        if (i % 5 == 4)
            check_store(store, count, 3);
    }
    assert_true(under_way);
    for (int i = 0; i < 3; i++)
        append_drawn(store, 1, 2);
    count_runs(store, &tail, &larger);
    assert_true(larger <= 10);
    check_store(store, count, 10);
    lapse_store_close(store);
}

/* Every run has every key, and events of one instant. */
static void equal_keys_everywhere(void **state)
{
    enum { RUNS = 40, KEYS = 30 };
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    for (int r = 0; r < RUNS; r++) {
        for (int k = 0; k < KEYS; k++) {
            customer_of[k] = 3 * k + 1;
            time_of[k] = INT64_C(1700000000000000) + (r % 2 ? r : -r) / 4 * 1000000;
            amount_of[k] = r * 100;
        }
        assert_int_equal(append(store, 0, KEYS), LAPSE_OK);
    }
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    for (int k = 0; k < KEYS; k++) {
        char name[NAME];
        name_of(3 * k + 1, name);
        assert_int_equal(lapse_view_history(view, name, &result, NULL), LAPSE_OK);
        assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(table), RUNS);
        const int64_t *time = data_of(table, "time", NULL), *amount = data_of(table, "amount", NULL);
        int64_t sum = 0;
        for (int r = 0; r < RUNS; r++) {
            assert_true(r == 0 || time[r - 1] <= time[r]);
            sum += amount[r];
        }
        assert_int_equal(sum, RUNS * (RUNS - 1) / 2 * 100);
        lapse_table_release(table);
        lapse_result_free(result);
    }
    lapse_view_close(view);
    lapse_store_close(store);
}

/* ---- in the middle of it --------------------------------------------------------------------------------- */

/* A child appends and says after each commit how many events are in; then it is killed. */
static void killed_while_merging(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        int ends[2], code;
        int32_t step = round % 3 == 0 ? 1 : round % 3 == 1 ? 40 : 700, known = 0, told;
        count = 0;
        draw_events(60000, 10);
        assert_int_equal(pipe(ends), 0);
        lapse_store_close(opened(path, 0));
        pid_t child = fork();
        if (child == 0) {
            lapse_store *store = opened(path, 0);
            be_small(store);
            for (int32_t at = 0; at + step <= count; at += step) {
                told = at + step;
                if (append(store, at, step) != LAPSE_OK || write(ends[1], &told, sizeof told) != sizeof told)
                    _exit(1);
            }
            _exit(0);
        }
        close(ends[1]);
        struct timespec nap = { 0, 20000000 + (long)draw(100000000) };
        nanosleep(&nap, NULL);
        kill(child, SIGKILL);
        waitpid(child, &code, 0);
        while (read(ends[0], &told, sizeof told) == sizeof told)
            known = told;
        close(ends[0]);
        lapse_store *store = opened(path, 0);
        check_swept(store);
        struct lapse_manifest *m;
        int64_t rows = 0;
        assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
        for (size_t i = 0; i < m->count; i++)
            rows += m->runs[i]->rows;
        lapse_manifest_release(m);
        assert_true(rows == known || rows == known + step); /* what was acknowledged, and perhaps one commit more */
        check_store(store, (int32_t)rows, 5);
        lapse_store_close(store);
        unlink(path);
    }
}

/* Another writer opens the store, which sweeps the blocks of merges under way, and commits: these merges end. */
static void two_writers(void **state)
{
    bool under_way = false;
    (void)state;
    lapse_store *one = opened(path, 0), *two;
    count = 0;
    be_small(one);
    for (int i = 0; i < 60; i++) {
        append_drawn(one, 100, 10);
        append_drawn(one, 3, 10);
        if (one->merging_count == 0)
            continue;
        under_way = true;
        two = opened(path, 0);
        if (i % 2)
            append_drawn(two, 5, 10);
        append_drawn(one, 70, 10);
        check_store(one, count, 3);
        check_store(two, count, 3);
        lapse_store_close(two);
    }
    assert_true(under_way);
    check_store(one, count, 20);
    lapse_store_close(one);
    one = opened(path, LAPSE_STORE_READ_ONLY);
    check_store(one, count, 20);
    lapse_store_close(one);
    unlink(path);
}

/* Who rewrites runs gives up merges of them, with their blocks. */
static void abandoned_merges(void **state)
{
    (void)state;
    lapse_store *store = opened(path, 0);
    count = 0;
    be_small(store);
    while (store->merging_count == 0)
        append_drawn(store, 90, 10);
    assert_int_equal(lapse_file_begin(store->file, NULL), LAPSE_OK);
    lapse_merging_abandon(store);
    assert_int_equal(lapse_file_commit(store->file, NULL), LAPSE_OK);
    assert_int_equal(store->merging_count, 0);
    check_store(store, count, 5);
    append_drawn(store, 10, 10);
    check_store(store, count, 5);
    lapse_store_close(store);
    unlink(path);
}

/* A damaged block does not keep new events from being stored; who reads it is told. */
static void damage_in_what_is_merged(void **state)
{
    (void)state;
    for (int larger = 0; larger < 2; larger++) {
        lapse_view *view;
        lapse_result *result = NULL;
        lapse_table *table;
        struct lapse_manifest *m;
        count = 0;
        lapse_store *store = opened(path, 0);
        be_small(store);
        append_drawn(store, larger ? 100 : 5, 10);
        assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
        m->runs[0]->blocks[0].checksum ^= 1; /* as if the block were another */
        lapse_manifest_release(m);
        for (int i = 0; i < 40; i++)
            append_drawn(store, larger ? 100 : 5, 10);
        assert_true(store->damaged);
        assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
        lapse_status status = lapse_view_events(view, &result, NULL);
        while (status == LAPSE_OK && (status = lapse_result_next(result, &table, NULL)) == LAPSE_OK)
            lapse_table_release(table);
        assert_int_equal(status, LAPSE_DAMAGED);
        lapse_result_free(result);
        lapse_view_close(view);
        lapse_store_close(store);
        store = opened(path, 0); /* the file itself is sound, and everything is in it */
        check_store(store, count, 20);
        check_swept(store);
        lapse_store_close(store);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commits),
        cmocka_unit_test(single_events),
        cmocka_unit_test(giant_customers),
        cmocka_unit_test(equal_keys_everywhere),
        cmocka_unit_test(killed_while_merging),
        cmocka_unit_test(two_writers),
        cmocka_unit_test(abandoned_merges),
        cmocka_unit_test(damage_in_what_is_merged),
    };
    return cmocka_run_group_tests_name("store_runs", tests, make_folder, remove_folder);
}
