/* lib/store, merge.c by itself: seeks, bounds and chunks over the runs of a store, and keys that are found where
 * they lie. */
#define _POSIX_C_SOURCE 200809L

#include "event_array.h"

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

/* ---- chunks ---------------------------------------------------------------------------------------------------- */

/* Rows beside the store, in the order of the definition: by id, then time, then amount as it is printed, which of so
 * many digits is that of the numbers. */
enum { ROWS = 120000, IDS = 4000, ID = 80 };
struct row {
    int32_t id;
    int64_t time, amount;
};
static struct row rows[ROWS];
static int32_t row_count;
static char ids[IDS][ID];

/* Short ones, long ones in groups that differ in the last byte or begin with another, one byte again and again, and
 * bytes above 127. */
static void draw_ids(int shape)
{
    for (int i = 0; i < IDS; i++) {
        int kind = shape < 5 ? shape : (int)draw(5);
        memset(ids[i], 0, ID);
        if (kind == 3)
            memset(ids[i], 'a', draw(ID - 1) + 1);
        else if (kind == 1)
            snprintf(ids[i], ID, "customer-of-the-north-%05d%.*s%d", i / 4, i / 4 % 8, "-abcdef", i % 4);
        else if (kind == 2)
            snprintf(ids[i], ID, "customer-of-the-north-%05d%.*s", i / 3, i % 3, "xy");
        else if (kind == 4) /* in many chunks eight bytes differ at most, and the sizes have bits of the last */
            snprintf(ids[i], ID, "\xc3\xa9%05d-abc%d", i / 3, i % 3 * 4);
        else
            snprintf(ids[i], ID, "c%05d", i);
    }
}

static void append_rows(lapse_store *store, int32_t n, int32_t low, int32_t width)
{
    static char text[9000 * ID];
    static int64_t offsets[ROWS + 1], times[ROWS], amounts[ROWS];
    lapse_append_options o;
    size_t used = 0;
    for (int32_t i = 0; i < n; i++, row_count++) {
        struct row r = { low + (int32_t)draw((uint64_t)width),
                         INT64_C(1700000000000000) + (int64_t)draw(40) * 1000000, 1000 + (int64_t)draw(9000) };
        if (n > 5000 && i % 2)
            r.id = low; /* more than a block of one customer */
        rows[row_count] = r;
        offsets[i] = (int64_t)used;
        used += strlen(strcpy(text + used, ids[r.id]));
        assert_true(used < sizeof text - ID);
        times[i] = r.time;
        amounts[i] = r.amount;
    }
    offsets[n] = (int64_t)used;
    lapse_batch b = { .size = sizeof b, .rows = n, .customer = text, .customer_offsets = offsets, .time = times,
                      .amount = amounts };
    lapse_append_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_KEEP_ALL;
    lapse_error error = { .size = sizeof error };
    if (lapse_store_append(store, &b, &o, NULL, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = strcmp(ids[x->id], ids[y->id]);
    if (c == 0)
        c = (x->time > y->time) - (x->time < y->time);
    return c ? c : (x->amount > y->amount) - (x->amount < y->amount);
}

/* Rows order[0 .. n), or those from `first` on, are rows[at ...], all of one customer; where the next one begins. */
static int32_t check_key(struct lapse_text key, const struct lapse_columns *c, const uint32_t *order, size_t first,
                         size_t n, int32_t at)
{
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++, at++) {
        size_t row = order ? order[i] : first + i;
        assert_true(at < row_count);
        assert_int_equal(key.size, strlen(ids[rows[at].id]));
        assert_memory_equal(key.data, ids[rows[at].id], key.size);
        assert_int_equal(lapse_columns_number(c, LAPSE_F_TIME, row), rows[at].time);
        assert_int_equal(lapse_columns_number(c, LAPSE_F_AMOUNT, row), rows[at].amount);
    }
    assert_true(at == row_count || strcmp(ids[rows[at].id], ids[rows[at - 1].id]) > 0);
    return at;
}

static void check_chunks(lapse_store *store, struct lapse_run *const *runs, size_t n)
{
    const struct lapse_chunk *c;
    struct lapse_merge *merge;
    lapse_status status;
    int32_t at = 0;
    assert_int_equal(lapse_merge_open(store, runs, n, LAPSE_ALL_FIELDS, NULL, NULL, &merge, NULL), LAPSE_OK);
    while ((status = lapse_merge_chunk(merge, &c, NULL)) == LAPSE_OK)
        for (size_t k = 0; k < c->keys; k++)
            at = check_key(c->text[k], c->columns, c->order ? c->order + c->start[k] : NULL, c->first + c->start[k],
                           c->start[k + 1] - c->start[k], at);
    assert_int_equal(status, LAPSE_DONE);
    assert_int_equal(at, row_count);
    lapse_merge_close(merge);
}

/* Each key by itself, and now and then one that is not there. */
static void check_finds(lapse_store *store, struct lapse_run *const *runs, size_t n)
{
    const struct lapse_group *g;
    struct lapse_merge *merge;
    assert_int_equal(lapse_merge_open(store, runs, n, LAPSE_ALL_FIELDS, NULL, NULL, &merge, NULL), LAPSE_OK);
    for (int32_t at = 0, end; at < row_count; at = end) {
        char other[ID + 1];
        struct lapse_text id = { ids[rows[at].id], (uint32_t)strlen(ids[rows[at].id]) };
        for (end = at; end < row_count && strcmp(ids[rows[end].id], id.data) == 0; end++)
            ;
        if (draw(3) == 0)
            continue;
        assert_int_equal(lapse_merge_find(merge, id, &g, NULL), LAPSE_OK);
        assert_non_null(g);
        assert_int_equal(check_key(g->key, g->columns, NULL, g->first, (size_t)g->count, at), end);
        if (draw(3))
            continue;
        snprintf(other, sizeof other, "%s\x01", id.data);
        assert_int_equal(lapse_merge_find(merge, (struct lapse_text){ other, id.size + 1 }, &g, NULL), LAPSE_OK);
        assert_null(g);
    }
    lapse_merge_close(merge);
}

static lapse_status first_status(lapse_store *store, struct lapse_run *const *runs, size_t n, const char *from,
                                 const char *to, const char *seek)
{
    const struct lapse_group *g;
    struct lapse_merge *merge;
    struct lapse_text a = { from, from ? (uint32_t)strlen(from) : 0 }, b = { to, to ? (uint32_t)strlen(to) : 0 };
    assert_int_equal(lapse_merge_open(store, runs, n, LAPSE_ALL_FIELDS, from ? &a : NULL, to ? &b : NULL, &merge, NULL),
                     LAPSE_OK);
    if (seek)
        assert_int_equal(lapse_merge_seek(merge, (struct lapse_text){ seek, (uint32_t)strlen(seek) }, NULL), LAPSE_OK);
    lapse_status status = lapse_merge_next(merge, &g, NULL);
    if (status == LAPSE_OK)
        check_key(g->key, g->columns, NULL, g->first, (size_t)g->count, 0);
    lapse_merge_close(merge);
    return status;
}

/* Below and above all keys, whatever bytes stand where keys differ. */
static void check_strangers(lapse_store *store, struct lapse_run *const *runs, size_t n)
{
    static const char *const below[] = { "!", "!0000000000000000000000000000", "!zzzzzzzzzzzzzzzzzzzzzzzzzzzz" };
    static const char *const above[] = { "\xf4", "\xf4!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
                                         "\xf4zzzzzzzzzzzzzzzzzzzzzzzzzzzz" };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(first_status(store, runs, n, below[i], above[i], NULL), LAPSE_OK);
        assert_int_equal(first_status(store, runs, n, NULL, above[i], below[i]), LAPSE_OK);
        assert_int_equal(first_status(store, runs, n, NULL, below[i], NULL), LAPSE_DONE);
        assert_int_equal(first_status(store, runs, n, above[i], NULL, NULL), LAPSE_DONE);
        assert_int_equal(first_status(store, runs, n, NULL, NULL, above[i]), LAPSE_DONE);
    }
}

/* Runs of all sizes, of all ids or of a narrow range of them, of whatever ids there are. */
static void chunks_and_finds(void **state)
{
    (void)state;
    for (int shape = 0; shape < 7; shape++) {
        struct lapse_run *runs[64];
        struct lapse_manifest *m;
        lapse_store *store = opened(NULL, 0);
        store->limits.tail_runs = store->limits.runs = store->limits.runs_behind = 1000;
        store->limits.tail_rows = INT64_MAX;
        draw_ids(shape);
        row_count = 0;
        for (int i = 0; i < 2 + shape % 3 * 9; i++) {
            int32_t width = draw(2) ? IDS : 1 + (int32_t)draw(200);
            append_rows(store, 1 + (int32_t)draw(i % 9 == 0 ? 9000 : i % 3 ? 2500 : 20),
                        (int32_t)draw((uint64_t)(IDS - width + 1)), width);
        }
        qsort(rows, (size_t)row_count, sizeof *rows, compare_rows);
        assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
        size_t n = lapse_manifest_family(m, LAPSE_RUN_EVENTS, runs);
        assert_int_equal(n, 2 + shape % 3 * 9);
        check_chunks(store, runs, n);
        check_finds(store, runs, n);
        check_strangers(store, runs, n);
        lapse_manifest_release(m);
        lapse_store_close(store);
    }
}

/* Keys of bytes that are no text, as other families have them: zero bytes at their end count. */
static void keys_of_any_bytes(void **state)
{
    static const char *const bytes = "a\0\0\0a\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    static const uint32_t sizes[2][4] = { { 1, 3, 5, 14 }, { 2, 3, 6, 13 } };
    static const struct {
        uint32_t size;
        int64_t rows;
    } expected[] = { { 1, 1 }, { 2, 1 }, { 3, 2 }, { 5, 1 }, { 6, 1 }, { 13, 1 }, { 14, 1 } };
    const int64_t value = 1;
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_VALUE), .number = { [LAPSE_F_VALUE] = &value } };
    struct lapse_run *runs[2];
    struct lapse_merge *merge;
    const struct lapse_chunk *chunk;
    size_t found = 0;
    (void)state;
    lapse_store *store = opened(NULL, 0);
    assert_int_equal(lapse_file_begin(store->file, NULL), LAPSE_OK);
    for (int r = 0; r < 2; r++) {
        struct lapse_run_writer w;
        assert_int_equal(lapse_run_writer_open(&w, store, LAPSE_RUN_FINGERPRINTS, NULL), LAPSE_OK);
        for (int k = 0; k < 4; k++) {
            struct lapse_text key = { bytes, sizes[r][k] };
            assert_int_equal(lapse_run_writer_put(&w, key, &c, UINT32_MAX, 0, 1, NULL), LAPSE_OK);
        }
        assert_int_equal(lapse_run_writer_finish(&w, &runs[r], NULL), LAPSE_OK);
    }
    assert_int_equal(lapse_merge_open(store, runs, 2, LAPSE_ALL_FIELDS, NULL, NULL, &merge, NULL), LAPSE_OK);
    while (lapse_merge_chunk(merge, &chunk, NULL) == LAPSE_OK)
        for (size_t k = 0; k < chunk->keys; k++, found++) {
            assert_true(found < sizeof expected / sizeof *expected);
            assert_int_equal(chunk->text[k].size, expected[found].size);
            assert_int_equal(chunk->start[k + 1] - chunk->start[k], expected[found].rows);
        }
    assert_int_equal(found, sizeof expected / sizeof *expected);
    lapse_merge_close(merge);
    for (int r = 0; r < 2; r++)
        lapse_run_release(runs[r]);
    lapse_file_rollback(store->file);
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
        bool equal;
        assert_true(lapse_block_key(&b, k, text, &entry));
        assert_int_equal(entry.key.size, key.size);
        assert_memory_equal(entry.key.data, key.data, key.size);
        assert_int_equal(entry.first, b.keys.start[k]);
        assert_int_equal(entry.rows, b.keys.start[k + 1] - b.keys.start[k]);
        assert_true(lapse_block_find(&b, key, &found, &equal));
        assert_int_equal(found, k);
        assert_true(equal);
        snprintf(other, sizeof other, "%.*s!", (int)key.size, key.data); /* between this one and the next */
        assert_true(lapse_block_find(&b, (struct lapse_text){ other, key.size + 1 }, &found, &equal));
        assert_int_equal(found, k + 1);
        assert_false(equal);
        struct lapse_text less = { key.data, key.size - 1 }; /* perhaps a key, perhaps the beginning of some */
        assert_true(lapse_block_find(&b, less, &found, &equal));
        assert_int_equal(found, lapse_keys_find(&b.keys, 0, less));
        assert_int_equal(equal, found < b.keys.count && lapse_text_equal(lapse_keys_text(&b.keys, found), less));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeks_and_bounds),
        cmocka_unit_test(chunks_and_finds),
        cmocka_unit_test(keys_of_any_bytes),
        cmocka_unit_test(keys_are_found_where_they_lie),
    };
    return cmocka_run_group_tests_name("store_merge", tests, make_folder, remove_folder);
}
