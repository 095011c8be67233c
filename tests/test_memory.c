/* Failing allocations of opening, of importing files and streams, and of the stage that takes an import's rows. SQLite's
 * own memory: test_memory_sqlite.c. */
#define _POSIX_C_SOURCE 200809L

#include "failing.h"

#include "store/store.h"

/* ---- opening --------------------------------------------------------------------------------------------------- */

static void try_opening(const char *path, uint32_t flags, bool for_good)
{
    for (long n = 1;; n++) {
        lapse_store *store = (lapse_store *)&heap;
        lapse_error error = { .size = sizeof error };
        heap_fail(&heap, n, for_good);
        lapse_status status = open_store(path, flags, &store, &error);
        bool fired = heap_stop_failing(&heap);
        if (!fired) {
            assert_int_equal(status, LAPSE_OK);
            close_store(store);
            return;
        }
        assert_int_equal(status, LAPSE_NO_MEMORY);
        assert_int_equal(error.status, LAPSE_NO_MEMORY);
        assert_null(store);
        assert_int_equal(heap.live, 0);
    }
}

static void opening(void **state)
{
    struct file first = { .text = first_file, .threads = 1 };
    struct file second = { .text = "customer,time\nzoe,2024-01-01\n", .threads = 1 };
    lapse_store *store;
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        try_opening(NULL, 0, for_good);
        try_opening("b.lapse", 0, for_good); /* beside where we stand */
        unlink("b.lapse");
        try_opening(store_path, 0, for_good); /* each try finds what the last one left */
        assert_int_equal(open_store(store_path, LAPSE_STORE_MUST_EXIST, &store, NULL), LAPSE_OK);
        assert_int_equal(import_file(store, &first, NULL), LAPSE_OK);
        assert_int_equal(import_file(store, &second, NULL), LAPSE_OK);
        char *before = export_of(store);
        close_store(store);
        try_opening(store_path, LAPSE_STORE_MUST_EXIST, for_good);
        try_opening(store_path, LAPSE_STORE_READ_ONLY, for_good);
        assert_int_equal(open_store(store_path, LAPSE_STORE_READ_ONLY, &store, NULL), LAPSE_OK);
        char *after = export_of(store);
        assert_string_equal(after, before);
        close_store(store);
        free(before);
        free(after);
        unlink(store_path);
    }
    free(first.told.data);
    free(second.told.data);
}

static char big[4 << 20];

/* ---- imports ------------------------------------------------------------------------------------------------------ */

static struct file imports[] = {
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS, .threads = 1 },
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS, .threads = 3 },
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS, .threads = 1, .stream = true },
    { .text = third_file, .map = "amount=n*each,source=who",
      .flags = LAPSE_IMPORT_IGNORE_UNKNOWN | LAPSE_IMPORT_NEGATIVE_REFUND, .threads = 1 },
    { .text = third_file, .map = "amount=n*each,source=who",
      .flags = LAPSE_IMPORT_NEGATIVE_REFUND | LAPSE_IMPORT_KEEP_ALL, .threads = 2, .stream = true },
    { .text = "customer,time,reason,event_id,source\nann,2024-01-01,\"a \"\"conflict\"\"\",1,shop\n", .threads = 1 },
    { .text = first_file, .threads = 1 },                               /* once more: identity by id and content */
    { .text = "customer,time\nnew,2024-01-01\n", .source = "elsewhere", .threads = 1 }, /* nothing to be looked up */
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_DRY_RUN, .threads = 1 },
};

static void importing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++) {
        struct file *f = &imports[i], first = { .text = first_file, .threads = 1 };
        char *expected = NULL, *told = NULL;
        for (int way = 0; way < 3; way++) { /* without failures, once, for good */
            lapse_store *store = memory_store();
            assert_int_equal(import_file(store, &first, NULL), LAPSE_OK);
            if (way == 0)
                assert_int_equal(import_file(store, f, NULL), LAPSE_OK);
            else
                fail_each(store, import_file, f, way == 2, true);
            char *all = export_of(store);
            if (way == 0) {
                expected = all;
                told = strdup(f->told.data ? f->told.data : "");
            } else {
                assert_string_equal(all, expected);
                assert_string_equal(f->told.data ? f->told.data : "", told);
                free(all);
            }
            close_store(store);
        }
        bool conflict = strstr(f->text, "conflict") != NULL;
        assert_int_equal(f->rejects, f->text == second_file ? 3 + 2 : conflict); /* bad rows and conflicts */
        free(expected);
        free(told);
        free(f->told.data);
        free(first.told.data);
    }
}

/* More than a chunk of input: a record that one chunk ends in is carried over. */
static void importing_chunks(void **state)
{
    enum { ROWS = 100, EACH = 30000 };
    size_t n = (size_t)sprintf(big, "customer,time,more\n");
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        n += (size_t)sprintf(big + n, "c%02d,2024-01-01,", i);
        memset(big + n, 'x', EACH);
        n += EACH;
        big[n++] = '\n';
    }
    struct file f = { .text = big, .size = n, .stream = true, .threads = 1, .flags = LAPSE_IMPORT_IGNORE_UNKNOWN };
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        fail_each(store, import_file, &f, for_good, true);
        char *all = export_of(store);
        assert_non_null(strstr(all, "\nc00,"));
        assert_non_null(strstr(all, "\nc99,"));
        free(all);
        close_store(store);
    }
}

/* More than one block a run. */
static void importing_blocks(void **state)
{
    enum { ROWS = 9000 };
    char *text = big;
    size_t n = (size_t)sprintf(text, "customer,time,amount,ref,event_id\n");
    (void)state;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(text + n, "c%05d,2024-01-%02d,%d,r%d,%d\n", i * 7919 % 5000, 1 + i % 28, i % 100, i % 300, i);
    struct file f = { .text = text, .size = n, .stream = true, .threads = 1 }, other = { .text = first_file, .threads = 1 };
    lapse_store *store = memory_store();
    assert_int_equal(import_file(store, &other, NULL), LAPSE_OK);
    char *before = export_of(store);
    long step = 1;
    for (long k = 1;; k += step) { /* too many to try each */
        heap_fail(&heap, k, k % 2);
        lapse_status status = import_file(store, &f, NULL);
        bool fired = heap_stop_failing(&heap);
        if (status == LAPSE_OK)
            break;
        assert_true(fired);
        assert_int_equal(status, LAPSE_NO_MEMORY);
        char *after = export_of(store);
        assert_string_equal(after, before);
        free(after);
        step = k < 20 ? 1 : 7;
    }
    char *after = export_of(store);
    size_t lines = 0;
    for (const char *p = after; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, 1 + 8 + ROWS);
    free(after);
    free(before);
    free(f.told.data);
    free(other.told.data);
    close_store(store);
}

/* A stage of many parts: a sample of the allocations of putting rows into it, and of sorting and writing them. */
static void staging(void **state)
{
    enum { EACH = 4096, BATCHES = 12 };
    static const long moments[] = { 1, 2, 3, 5, 10, 50, 100, 200, 500, 700, 1000, 1300, 1500, 2000 };
    static uint32_t begin[EACH], ref_begin[EACH];
    static uint8_t length[EACH], ref_length[EACH], kind[EACH];
    static int64_t time[EACH];
    static char ids[EACH * 8], refs[EACH * 8];
    lapse_store *store = memory_store();
    (void)state;
    for (size_t i = 0; i < 2 * sizeof moments / sizeof moments[0]; i++) {
        const struct lapse_columns none = { 0 };
        struct lapse_columns rows = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) |
                                                LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER) };
        struct lapse_stage *stage;
        struct lapse_stage_hand hand;
        lapse_status status = LAPSE_OK;
        rows.number[LAPSE_F_TIME] = time;
        rows.name[LAPSE_F_KIND] = kind;
        rows.text[LAPSE_F_CUSTOMER] = (struct lapse_text_column){ ids, begin, length, NULL };
        rows.text[LAPSE_F_REF] = (struct lapse_text_column){ refs, ref_begin, ref_length, NULL };
        lapse_stage_hand_init(&hand, &store->mem);
        assert_int_equal(lapse_stage_new(store, &none, 1 << 28, 1 << 16, &stage, NULL), LAPSE_OK);
        for (int b = 0; b < BATCHES && status == LAPSE_OK; b++) {
            for (uint32_t r = 0; r < EACH; r++) {
                int n = b * EACH + (int)r;
                begin[r] = ref_begin[r] = r * 8;
                length[r] = (uint8_t)sprintf(ids + r * 8, "c%05d", n * 7919 % 30011);
                ref_length[r] = (uint8_t)sprintf(refs + r * 8, "r%d", n);
                time[r] = 1 + n;
                kind[r] = (uint8_t)(1 + n % 20);
            }
            if (b == (i % 2 ? 0 : BATCHES - 1))
                heap_fail(&heap, moments[i / 2], i % 4 < 2);
            status = lapse_stage_put(stage, &hand, &rows, EACH, NULL);
        }
        if (status == LAPSE_OK)
            status = lapse_stage_flush(stage, NULL, NULL);
        bool fired = heap_stop_failing(&heap);
        assert_int_equal(status, fired ? LAPSE_NO_MEMORY : LAPSE_OK);
        lapse_stage_free(stage);
        lapse_stage_hand_free(&hand);
    }
    close_store(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test(importing),
        cmocka_unit_test(importing_chunks),
        cmocka_unit_test(importing_blocks),
        cmocka_unit_test(staging),
    };
    return cmocka_run_group_tests_name("memory", tests, make_folder, remove_folder);
}
