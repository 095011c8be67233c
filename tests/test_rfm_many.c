/* Scores and segments of many customers: whatever the parts and threads, against a naive computation; their memory, and
 * its failures; and the data sets whose numbers are known (peers: rsquaredacademy/rfm 0.3.0, CDNOW). */
#include "rfms.h"

#ifndef LAPSE_DATA_DIR
#define LAPSE_DATA_DIR "../shared/data"
#endif

static uint64_t seed;

static int draw(int below)
{
    return (int)dice(&seed, (uint32_t)below);
}

/* ---- many customers -------------------------------------------------------------------------------------- */

/* A store of `customers` with a few orders each, of 2020 to 2023. */
static lapse_store *random_store(int customers)
{
    char *csv = malloc((size_t)customers * 6 * 60 + 100), *p = csv;
    p += sprintf(p, "customer,time,kind,amount,ref\n");
    for (int c = 0; c < customers; c++)
        for (int i = 0, n = 1 + draw(5); i < n; i++)
            p += sprintf(p, "c%d,%d-%02d-%02dT%02d:00:00Z,%s,%d.%02d,%s\n", c, 2020 + draw(4), 1 + draw(12),
                         1 + draw(28), draw(24), draw(8) ? "order.placed" : "order.refunded", draw(50),
                         draw(100), draw(3) ? "" : "r1");
    lapse_store *store = store_of(csv);
    free(csv);
    return store;
}

static int64_t number_at(const lapse_table *table, const char *name, int64_t row)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(table, lapse_table_find(table, name), &c), LAPSE_OK);
    return ((const int64_t *)c.data)[row];
}

/* Whatever the parts and threads: the same bytes; ids ascend; scores are those of the columns as they stand. */
static void test_many(void **state)
{
    (void)state;
    seed = 11;
    lapse_store *store = random_store(5000);
    lapse_view *view = view_at(store, "2024-01-01");
    for (int i = 0; i < 6; i++) {
        lapse_rfm_options o = defaults();
        o.flags = (uint32_t)(i & 1 ? LAPSE_RFM_FREQUENCY_DAYS : 0) | (i & 2 ? LAPSE_RFM_MONETARY_MEAN : 0) |
                  (i & 4 ? LAPSE_RFM_NESTED | LAPSE_RFM_WEIGHTED : 0);
        for (int a = 0; a < 2; a++) {
            answer_fn *answer = a ? lapse_view_segments : lapse_view_rfm;
            o.threads = 1;
            char *one = ask_view(view, answer, &o);
            o.threads = 4;
            char *four = ask_view(view, answer, &o);
            assert_string_equal(one, four);
            free(one);
            free(four);
        }
    }

    lapse_result *result;
    lapse_table *table;
    assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
    lapse_view_close(view); /* the result lives on */
    lapse_store_close(store);
    assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
    lapse_result_free(result);
    int n = (int)lapse_table_rows(table);
    assert_true(n > 4000);
    static const char *const axes[][2] = { { "recency_days", "r" }, { "frequency", "f" }, { "monetary", "m" } };
    int64_t *sorted = malloc((size_t)n * sizeof *sorted);
    for (int a = 0; a < 3; a++) {
        for (int i = 0; i < n; i++)
            sorted[i] = number_at(table, axes[a][0], i);
        qsort(sorted, (size_t)n, sizeof *sorted, ascending);
        for (int i = 0; i < n; i++) {
            int bin = naive_bin(sorted, n, 5, number_at(table, axes[a][0], i));
            assert_int_equal(number_at(table, axes[a][1], i), a ? bin : 6 - bin);
        }
    }
    lapse_column id = { .size = sizeof id };
    assert_int_equal(lapse_table_column(table, 0, &id), LAPSE_OK);
    for (int i = 1; i < n; i++) {
        const char *text = id.data;
        assert_true(lapse_text_compare(text + id.offsets[i - 1], (size_t)(id.offsets[i] - id.offsets[i - 1]),
                                       text + id.offsets[i], (size_t)(id.offsets[i + 1] - id.offsets[i])) < 0);
    }
    free(sorted);
    lapse_table_release(table);
}

/* Bytes held, each block with its size before it. */
static int64_t held, most_held;

static void *count_alloc(void *user, size_t bytes)
{
    int64_t *p = malloc(bytes + 16);
    (void)user;
    if (!p)
        return NULL;
    *p = (int64_t)bytes;
    held += *p;
    most_held = held > most_held ? held : most_held;
    return p + 2;
}

static void count_release(void *user, void *block)
{
    (void)user;
    int64_t *p = (int64_t *)block - 2;
    held -= *p;
    free(p);
}

static void *count_resize(void *user, void *block, size_t bytes)
{
    void *p = count_alloc(user, bytes);
    if (p) {
        size_t before = (size_t)((int64_t *)block)[-2];
        memcpy(p, block, before < bytes ? before : bytes);
        count_release(user, block);
    }
    return p;
}

static int32_t stop(void *user, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    return ++*(int *)user > 0;
}

/* Parts of at most 65,536 rows, on demand; their memory; several threads; a host that has seen enough. */
static void test_parts(void **state)
{
    (void)state;
    enum { N = 140000 };
    char *csv = malloc(N * 30 + 100), *p = csv;
    p += sprintf(p, "customer,time,amount\n");
    for (int i = 0; i < N; i++)
        p += sprintf(p, "%06d,2024-01-%02d,%d\n", i, 1 + i % 28, i);
    const lapse_allocator counting = { sizeof counting, 0, NULL, count_alloc, count_resize, count_release };
    lapse_store_options so;
    assert_int_equal(lapse_store_options_init(&so, sizeof so), LAPSE_OK);
    so.allocator = &counting;
    lapse_store *store = store_with_options(csv, &so);
    lapse_view *view = view_at(store, "2024-02-01");
    lapse_result *result;
    lapse_table *table;
    const int64_t sizes[] = { 65536, 65536, N - 1 - 2 * 65536 }; /* 0 is free, and no purchase */
    int64_t before = held;
    most_held = held;
    assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
    assert_true(held - before <= N * (64 + 6));
    int64_t at = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(table), sizes[i]);
        assert_int_equal(number_at(table, "monetary", 0), at * 100);
        at += sizes[i];
        lapse_table_release(table);
    }
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_DONE);
    assert_null(table);
    lapse_result_free(result);

    lapse_rfm_options o = defaults();
    o.threads = 1;
    char *one = ask_view(view, lapse_view_rfm, &o);
    o.threads = 4;
    lapse_view_close(view);
    lapse_store_close(store);
    store = store_of(csv);
    view = view_at(store, "2024-02-01");
    char *four = ask_view(view, lapse_view_rfm, &o);
    assert_string_equal(one, four);
    free(one);
    free(four);

    int calls = 0;
    o = defaults();
    o.on_progress = stop;
    o.progress_user = &calls;
    for (int a = 0; a < 2; a++) {
        assert_int_equal((a ? lapse_view_segments : lapse_view_rfm)(view, &o, &result, NULL), LAPSE_CANCELLED);
        assert_null(result);
        assert_int_equal(calls, a + 1);
    }
    lapse_view_close(view);
    lapse_store_close(store);
    free(csv);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    const lapse_allocator scarce = heap_hooks(&heap);
    lapse_store_options so;
    assert_int_equal(lapse_store_options_init(&so, sizeof so), LAPSE_OK);
    so.allocator = &scarce;
    lapse_store *store = store_with_options("customer,time,kind,amount,ref\na,2024-01-01,,1,\na,2024-01-02,,1,x\n"
                                  "a,2024-01-02,order.refunded,1,x\nb,2024-01-03,,1,\nc,2024-01-03,,,\n",
                                  &so);
    lapse_view *view = view_at(store, "2024-02-01");
    for (int flags = 0; flags < 16; flags += 5)
        for (int a = 0; a < 2; a++) {
            lapse_rfm_options o =
                with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\na,1,4,,,,\na,1,1,,,,\n");
            o.flags = (uint32_t)flags;
            lapse_status status = LAPSE_NO_MEMORY;
            int64_t before = heap.live, n = 0;
            for (; status != LAPSE_OK; n++) {
                lapse_result *result;
                lapse_table *table = NULL;
                heap_fail(&heap, n + 1, true);
                status = (a ? lapse_view_segments : lapse_view_rfm)(view, &o, &result, NULL);
                if (status == LAPSE_OK) {
                    status = lapse_result_next(result, &table, NULL);
                    lapse_table_release(table);
                    lapse_result_free(result);
                } else {
                    assert_null(result);
                }
                if (status != LAPSE_OK)
                    assert_int_equal(status, LAPSE_NO_MEMORY);
            }
            assert_true(n > 10);
            heap_stop_failing(&heap);
            assert_true(heap.live <= before + 8); /* but for what the view may keep once */
        }
    lapse_view_close(view);
    lapse_store_close(store);
    assert_int_equal(heap.live, 0);
}

/* ---- known data sets ------------------------------------------------------------------------------------- */

static lapse_store *store_from(const char *name)
{
    char path[4096];
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    const char *folder = getenv("LAPSE_DATA");
    snprintf(path, sizeof path, "%s/%s", folder && *folder ? folder : LAPSE_DATA_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("skipped: no %s (LAPSE_DATA names the folder)\n", path);
        return NULL;
    }
    fclose(file);
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    if (lapse_store_import_file(store, path, NULL, NULL, &error) != LAPSE_OK)
        fail_msg("%s: %s", path, error.message);
    return store;
}

struct facts {
    const char *file;
    int64_t customers, orders, monetary;
    int score[3][5]; /* customers by score 1 to 5 of r, f, m */
};

/* Scores by tests/reference.py, which uses exact fractions; what a file's source says of it is marked. */
static const struct facts known[] = {
    /* rfm 0.3.0: 995 customers, 4,906 orders, revenue 464,158, and its frequency scores (peers, 3); its R and M
     * differ by the day and the unit that it adds to cuts */
    { "rfm_orders.csv",
      995,
      4906,
      46415800,
      { { 197, 201, 198, 199, 200 }, { 268, 187, 176, 244, 120 }, { 199, 201, 197, 203, 195 } } },
    /* CDNOW: 6,919 rows, 8 of them of 0, 244,091.94 (peers, 5). 8 of 2,357 customers have nothing else */
    { "cdnow_sample.csv",
      2349,
      6911,
      24409194,
      { { 455, 475, 478, 470, 471 }, { 1197, 0, 406, 358, 388 }, { 473, 467, 469, 470, 470 } } },
    { "cdnow_master.csv",
      23502,
      69579,
      250031563,
      { { 4509, 4888, 4696, 4708, 4701 }, { 11843, 0, 4079, 3655, 3925 }, { 4749, 4656, 4697, 4699, 4701 } } },
};

static void test_known_data(void **state)
{
    (void)state;
    int found = 0;
    for (int i = 0; i < COUNT(known); i++) {
        const struct facts *k = &known[i];
        lapse_store *store = store_from(k->file);
        lapse_view *view;
        lapse_result *result;
        lapse_table *table;
        int64_t as_of, orders = 0, monetary = 0;
        int score[3][5] = { { 0 } };
        if (!store)
            continue;
        found++;
        assert_int_equal(lapse_store_default_instant(store, &as_of, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
        assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(table), k->customers);
        for (int64_t row = 0; row < k->customers; row++) {
            orders += number_at(table, "frequency", row);
            monetary += number_at(table, "monetary", row);
            score[0][number_at(table, "r", row) - 1]++;
            score[1][number_at(table, "f", row) - 1]++;
            score[2][number_at(table, "m", row) - 1]++;
        }
        assert_int_equal(orders, k->orders);
        assert_int_equal(monetary, k->monetary);
        assert_memory_equal(score, k->score, sizeof score);
        lapse_table_release(table);
        lapse_result_free(result);
        if (i == 0) { /* the customers that the package's vignette shows */
            char *rows = ask_view(view, lapse_view_rfm, NULL);
            assert_memory_equal(rows, "Abbey O'Reilly,2006-06-09T00:00:00Z,205,6,472.00,3,4,3,343,", 59);
            assert_non_null(strstr(rows, "\nAdd Senger,2006-08-13T00:00:00Z,140,3,340.00,4,1,2,412,"));
            assert_non_null(strstr(rows, "\nAden Murphy,2006-09-24T00:00:00Z,98,7,596.00,5,4,4,544,"));
            assert_non_null(strstr(rows, "\nAiyanna Bruen,2006-04-29T00:00:00Z,246,4,157.00,3,2,1,321,"));
            free(rows);
        }
        lapse_view_close(view);
        lapse_store_close(store);
    }
    if (found == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_known_data),
    };
    return cmocka_run_group_tests_name("rfm_many", tests, NULL, NULL);
}
