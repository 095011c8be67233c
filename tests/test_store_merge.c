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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeks_and_bounds),
        cmocka_unit_test(keys_are_found_where_they_lie),
    };
    return cmocka_run_group_tests_name("store_merge", tests, make_folder, remove_folder);
}
