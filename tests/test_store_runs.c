/* lib/store: the tail, folds and merges. Whatever the sizes of commits, whatever is folded or merged meanwhile, the store
 * holds what an array holds; it survives kill -9, a second writer and damage in the middle. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <lapse.h>

#include "store/store.h"

static uint64_t seed = 1;
static uint64_t draw(uint64_t below)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- events as an array: number `i` of them has a time of its own, so that their order is plain --------------- */

enum { MOST = 400000, CUSTOMERS = 3000, NAME = 24 };

static int32_t customer_of[MOST];
static int64_t time_of[MOST], amount_of[MOST];
static int32_t count;

/* Ids of several lengths, one a prefix of another; customer 0 is a giant. */
static void name_of(int32_t customer, char out[NAME])
{
    static const char *const tails[] = { "xyz", "", "x" };
    snprintf(out, NAME, "c%04d%s", customer / 3, tails[customer % 3]);
}

static void draw_events(int32_t n, int one_in_giant)
{
    assert_true(count + n <= MOST);
    for (int32_t i = 0; i < n; i++, count++) {
        customer_of[count] = draw((uint64_t)one_in_giant) == 0 ? 0 : (int32_t)draw(CUSTOMERS);
        /* nearly in order of time, as events come */
        time_of[count] = INT64_C(1700000000000000) + ((int64_t)count - (count % 7 ? 0 : (int64_t)draw(50))) * 1000000 + count;
        amount_of[count] = (int64_t)draw(100000);
    }
}

static lapse_status append(lapse_store *store, int32_t first, int32_t n)
{
    static char text[MOST * NAME];
    static int64_t offsets[MOST + 1];
    lapse_append_options o;
    lapse_error error = { .size = sizeof error };
    size_t used = 0;
    for (int32_t i = 0; i < n; i++) {
        char name[NAME];
        name_of(customer_of[first + i], name);
        offsets[i] = (int64_t)used;
        memcpy(text + used, name, strlen(name));
        used += strlen(name);
    }
    offsets[n] = (int64_t)used;
    lapse_batch b = { .size = sizeof b, .rows = n, .customer = text, .customer_offsets = offsets,
                      .time = time_of + first, .amount = amount_of + first };
    lapse_append_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_KEEP_ALL;
    lapse_status status = lapse_store_append(store, &b, &o, NULL, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    return status;
}

static void append_drawn(lapse_store *store, int32_t n, int one_in_giant)
{
    draw_events(n, one_in_giant);
    assert_int_equal(append(store, count - n, n), LAPSE_OK);
}

static lapse_store *opened(const char *at, uint32_t flags)
{
    lapse_store *store;
    lapse_store_options o;
    lapse_error error = { .size = sizeof error };
    lapse_store_options_init(&o, sizeof o);
    o.flags = flags;
    o.sync = LAPSE_SYNC_OFF;
    lapse_status status = lapse_store_open(at, &o, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

static int compare_events(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    char x[NAME], y[NAME];
    if (customer_of[i] == customer_of[j])
        return (time_of[i] > time_of[j]) - (time_of[i] < time_of[j]);
    name_of(customer_of[i], x);
    name_of(customer_of[j], y);
    return strcmp(x, y);
}

static int32_t sorted[MOST];

static void sort_events(int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        sorted[i] = i;
    qsort(sorted, (size_t)n, sizeof *sorted, compare_events);
}

static const void *data_of(lapse_table *table, const char *name, const int64_t **offsets)
{
    lapse_column column = { .size = sizeof column };
    assert_int_equal(lapse_table_column(table, lapse_table_find(table, name), &column), LAPSE_OK);
    if (offsets)
        *offsets = column.offsets;
    return column.data;
}

/* The rows of a result are sorted[from], sorted[from + 1], ... */
static int32_t check_rows(lapse_result *result, int32_t from)
{
    lapse_table *table;
    lapse_status status;
    while ((status = lapse_result_next(result, &table, NULL)) == LAPSE_OK) {
        const int64_t *offsets, *times = data_of(table, "time", NULL), *amounts = data_of(table, "amount", NULL);
        const char *names = data_of(table, "customer", &offsets);
        for (int64_t r = 0; r < lapse_table_rows(table); r++, from++) {
            char expected[NAME];
            name_of(customer_of[sorted[from]], expected);
            assert_int_equal(offsets[r + 1] - offsets[r], strlen(expected));
            assert_memory_equal(names + offsets[r], expected, strlen(expected));
            assert_int_equal(times[r], time_of[sorted[from]]);
            assert_int_equal(amounts[r], amount_of[sorted[from]]);
        }
        lapse_table_release(table);
    }
    assert_int_equal(status, LAPSE_DONE);
    lapse_result_free(result);
    return from;
}

static void check_view(lapse_view *view, int32_t n, int histories)
{
    lapse_result *result;
    sort_events(n);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(check_rows(result, 0), n);
    for (int i = 0; i < histories; i++) {
        char name[NAME];
        int32_t customer = i == 0 ? 0 : (int32_t)draw(CUSTOMERS), from = 0;
        while (from < n && customer_of[sorted[from]] != customer)
            from++;
        name_of(customer, name);
        lapse_status status = lapse_view_history(view, name, &result, NULL);
        assert_int_equal(status, from < n ? LAPSE_OK : LAPSE_NOT_FOUND);
        if (from == n)
            continue;
        int32_t end = check_rows(result, from);
        assert_true(end == n || customer_of[sorted[end]] != customer);
    }
}

static void check_store(lapse_store *store, int32_t n, int histories)
{
    lapse_view *view;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    check_view(view, n, histories);
    lapse_view_close(view);
}

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

/* ---- what commits of all sizes leave ------------------------------------------------------------------------------- */

/* Limits so small that folds, merges, several of them at once and a share at a time, all happen often. */
static void be_small(lapse_store *store)
{
    store->limits = (struct lapse_merging_limits){ .small = 60, .tail_runs = 7, .tail_rows = 200, .runs = 3,
                                                   .runs_behind = 30, .share = 1, .least_share = 1 };
}

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

/* ---- merge.c by itself: seeks, bounds and chunks over the runs of a store --------------------------------------------- */

static void seeks_and_bounds(void **state)
{
    static int32_t first_of[CUSTOMERS], rows_of[CUSTOMERS];
    static char names[CUSTOMERS][NAME];
    int32_t keys = 0;
    struct lapse_manifest *m;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    count = 0;
    for (int i = 0; i < 30; i++)
        append_drawn(store, i % 3 == 0 ? 12000 : (int32_t)draw(500) + 1, 20);
    sort_events(count);
    for (int32_t i = 0; i < count; i++) {
        if (i == 0 || customer_of[sorted[i]] != customer_of[sorted[i - 1]]) {
            name_of(customer_of[sorted[i]], names[keys]);
            rows_of[keys] = 0;
            first_of[keys] = i;
            keys++;
        }
        rows_of[keys - 1]++;
    }
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (int round = 0; round < 60; round++) {
        struct lapse_merge *merge;
        const struct lapse_group *g;
        int32_t at = round % 2 ? (int32_t)draw((uint64_t)keys) : 0;
        int32_t to = round % 4 > 1 ? at + (int32_t)draw((uint64_t)(keys - at)) : keys;
        struct lapse_text from = { names[at], (uint32_t)strlen(names[at]) }, end = { "", 0 };
        if (to < keys)
            end = (struct lapse_text){ names[to], (uint32_t)strlen(names[to]) };
        assert_int_equal(lapse_merge_open(store, m->runs, m->count, LAPSE_ALL_FIELDS, round % 2 ? &from : NULL,
                                          to < keys ? &end : NULL, &merge, NULL), LAPSE_OK);
        while (at < to) {
            if (draw(3) == 0) { /* to a key ahead, behind, or between two */
                char text[2 * NAME];
                int32_t ahead = at + (int32_t)draw(draw(2) ? 4 : 400) - 2, k = 0;
                ahead = ahead < 0 ? 0 : ahead >= keys ? keys - 1 : ahead;
                snprintf(text, sizeof text, "%.*s%s", NAME, names[ahead], draw(2) ? "" : "!");
                assert_int_equal(lapse_merge_seek(merge, (struct lapse_text){ text, (uint32_t)strlen(text) }, NULL),
                                 LAPSE_OK);
                while (k < keys && strcmp(names[k], text) < 0)
                    k++;
                at = k > at ? k : at;
                if (at >= to)
                    break;
            }
            assert_int_equal(lapse_merge_next(merge, &g, NULL), LAPSE_OK);
            assert_int_equal(g->key.size, strlen(names[at]));
            assert_memory_equal(g->key.data, names[at], g->key.size);
            assert_int_equal(g->count, rows_of[at]);
            for (int32_t r = 0; r < rows_of[at]; r++)
                assert_int_equal(lapse_columns_number(g->columns, LAPSE_F_TIME, g->first + (size_t)r),
                                 time_of[sorted[first_of[at] + r]]);
            at++;
        }
        assert_int_equal(lapse_merge_next(merge, &g, NULL), LAPSE_DONE);
        assert_int_equal(lapse_merge_next(merge, &g, NULL), LAPSE_DONE);
        lapse_merge_close(merge);
    }
    lapse_manifest_release(m);
    lapse_store_close(store);
}

/* A key looked up where it lies is the key that decoding gives. */
static void keys_are_found_where_they_lie(void **state)
{
    (void)state;
    lapse_store *store = opened(NULL, 0);
    struct lapse_manifest *m;
    struct lapse_block b = { .mem = &store->mem };
    lapse_buffer_init(&b.bytes, &store->mem);
    count = 0;
    append_drawn(store, 8192, 1000);
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    assert_int_equal(lapse_file_get_block(store->file, m->runs[0]->blocks[0].id, &b.bytes, NULL), LAPSE_OK);
    assert_true(lapse_block_decode(&b, LAPSE_ALL_FIELDS));
    for (uint32_t k = 0; k < b.keys.count; k++) {
        struct lapse_entry entry;
        struct lapse_text key = lapse_keys_text(&b.keys, k);
        char text[LAPSE_TEXT_MAX], other[20];
        uint32_t found;
        assert_true(lapse_block_key(&b, k, text, &entry));
        assert_int_equal(entry.key.size, key.size);
        assert_memory_equal(entry.key.data, key.data, key.size);
        assert_int_equal(entry.first, b.keys.start[k]);
        assert_int_equal(entry.rows, b.keys.start[k + 1] - b.keys.start[k]);
        assert_true(lapse_block_find(&b, key, &found));
        assert_int_equal(found, k);
        snprintf(other, sizeof other, "%.*s!", (int)key.size, key.data); /* between this one and the next */
        assert_true(lapse_block_find(&b, (struct lapse_text){ other, key.size + 1 }, &found));
        assert_int_equal(found, k + 1);
        assert_int_equal(lapse_keys_find(&b.keys, 0, (struct lapse_text){ other, key.size + 1 }), k + 1);
    }
    struct lapse_columns all = b.columns;
    int64_t *times = calloc(b.rows, sizeof *times);
    memcpy(times, all.number[LAPSE_F_TIME], b.rows * sizeof *times);
    for (int i = 0; i < 200; i++) { /* a part of the rows */
        uint32_t first = (uint32_t)draw(b.rows), n = (uint32_t)draw(b.rows - first) + 1;
        memset((void *)(uintptr_t)b.columns.number[LAPSE_F_TIME], 0xee, b.rows * sizeof *times);
        assert_true(lapse_block_rows(&b, LAPSE_FIELD_BIT(LAPSE_F_TIME), first, n));
        assert_memory_equal(b.columns.number[LAPSE_F_TIME] + first, times + first, n * sizeof *times);
    }
    free(times);
    lapse_block_free(&b);
    lapse_manifest_release(m);
    lapse_store_close(store);
}

/* ---- in the middle of it --------------------------------------------------------------------------------------------- */

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
        cmocka_unit_test(seeks_and_bounds),
        cmocka_unit_test(keys_are_found_where_they_lie),
        cmocka_unit_test(killed_while_merging),
        cmocka_unit_test(two_writers),
        cmocka_unit_test(abandoned_merges),
        cmocka_unit_test(damage_in_what_is_merged),
    };
    return cmocka_run_group_tests_name("store_runs", tests, make_folder, remove_folder);
}
