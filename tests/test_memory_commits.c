/* Failing allocations of commits: appended batches, the runs that they fold and merge, and what tells known events from new. */
#define _POSIX_C_SOURCE 200809L

#include "failing.h"

#include "store/identity.h"

/* ---- appends -------------------------------------------------------------------------------------------------------- */

struct rows {
    const char *ids; /* NULL: none */
    uint32_t flags;
    const char *customers;
    int32_t threads, outcomes[4];
};

static lapse_status append_rows(lapse_store *store, void *user, lapse_error *error)
{
    struct rows *r = user;
    static const int64_t times[] = { 86400000000, 2 * INT64_C(86400000000), 86400000000, 86400000000 };
    static const int64_t amounts[] = { 100, 200, 100, -5 }, offsets[] = { 0, 1, 2, 3, 4 };
    static const int32_t kinds[] = { LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_ORDER_PLACED,
                                     LAPSE_KIND_ORDER_PLACED };
    lapse_append_options o;
    lapse_append_options_init(&o, sizeof o);
    lapse_batch b = { .size = sizeof b, .rows = 4, .customer = r->customers, .customer_offsets = offsets,
                      .time = times, .kind = kinds, .amount = amounts, .ref = "wxyz", .ref_offsets = offsets };
    if (r->ids) {
        b.event_id = r->ids;
        b.event_id_offsets = offsets;
    }
    o.flags = LAPSE_IMPORT_SKIP_BAD_ROWS | r->flags;
    o.threads = r->threads;
    o.outcomes = r->outcomes;
    lapse_counts counts = { .size = sizeof counts };
    lapse_status status = lapse_store_append(store, &b, &o, &counts, error);
    if (status == LAPSE_OK) {
        assert_int_equal(counts.read, 4);
        assert_int_equal(counts.rejected, 1);
        assert_int_equal(r->outcomes[3], LAPSE_ROW_REJECTED);
    }
    return status;
}

static void appending(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        struct rows plain = { .customers = "abcd", .threads = 1 }, ids = { .customers = "abcd", .ids = "1234", .threads = 2 };
        struct rows again = { .customers = "aaxd", .ids = "1134", .threads = 1 };
        struct rows kept = { .customers = "abcd", .flags = LAPSE_IMPORT_KEEP_ALL, .threads = 1 };
        fail_each(store, append_rows, &plain, for_good, true);
        assert_int_equal(plain.outcomes[1], LAPSE_ROW_ACCEPTED);
        fail_each(store, append_rows, &plain, for_good, true);
        assert_int_equal(plain.outcomes[1], LAPSE_ROW_DUPLICATE);
        fail_each(store, append_rows, &ids, for_good, true);
        assert_int_equal(ids.outcomes[0], LAPSE_ROW_ACCEPTED);
        fail_each(store, append_rows, &again, for_good, true);
        assert_int_equal(again.outcomes[0], LAPSE_ROW_DUPLICATE);
        assert_int_equal(again.outcomes[1], LAPSE_ROW_CONFLICT);
        assert_int_equal(again.outcomes[2], LAPSE_ROW_CONFLICT);
        fail_each(store, append_rows, &kept, for_good, true);
        assert_int_equal(kept.outcomes[1], LAPSE_ROW_ACCEPTED);
        close_store(store);
    }
}

/* Limits with which the ninth commit folds the tail, or merges runs. */
static const struct lapse_merging_limits ways_to_merge[] = {
    { .small = 100, .tail_runs = 8, .tail_rows = 1000, .runs = 8, .runs_behind = 20, .share = 1, .least_share = 1000 },
    { .small = 1, .tail_runs = 8, .tail_rows = 1000, .runs = 8, .runs_behind = 20, .share = 1, .least_share = 1000 },
    { .small = 1, .tail_runs = 8, .tail_rows = 1000, .runs = 6, .runs_behind = 20, .share = 1, .least_share = 1 },
};

/* When folding or merging fails the commit stands all the same, and the next one goes on. A view keeps the merged runs' blocks, so that dropping them later is met too. */
static void merging(void **state)
{
    (void)state;
    for (int way = 0; way < 6; way++)
        for (long n = 1;; n++) {
            bool for_good = way % 2;
            lapse_store *store = memory_store();
            lapse_view *view;
            struct rows rows = { .ids = "1234", .threads = 1 + way / 2 }; /* ranges of keys: one, two, three */
            char customers[5] = "aqrs", ids[5] = "0123", *before = NULL, *after;
            store->limits = ways_to_merge[way / 2];
            rows.customers = customers;
            rows.ids = ids;
            for (int i = 0; i < 8; i++) {
                customers[0] = (char)('a' + i);
                for (int k = 0; k < 4; k++)
                    ids[k]++;
                ids[0] = (char)('A' + i);
                assert_int_equal(append_rows(store, &rows, NULL), LAPSE_OK);
            }
            assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
            before = export_of(store);
            customers[0] = 'z';
            memcpy(ids, "ZYXW", 4);
            heap_fail(&heap, n, for_good);
            lapse_status status = append_rows(store, &rows, NULL);
            bool fired = heap_stop_failing(&heap);
            after = export_of(store);
            assert_int_equal(status, status == LAPSE_OK ? LAPSE_OK : LAPSE_NO_MEMORY);
            if (status == LAPSE_OK)
                assert_non_null(strstr(after, "\nz,"));
            else
                assert_string_equal(after, before);
            free(after);
            /* Whatever happened, the store goes on, and merges now. */
            assert_int_equal(append_rows(store, &rows, NULL), LAPSE_OK);
            assert_int_equal(rows.outcomes[0], status == LAPSE_OK ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_ACCEPTED);
            memcpy(ids, "VUTS", 4);
            assert_int_equal(append_rows(store, &rows, NULL), LAPSE_OK);
            free(before);
            lapse_view_close(view);
            close_store(store);
            if (!fired)
                break;
        }
}

/* ---- identity --------------------------------------------------------------------------------------------------------- */

enum { KNOWN = 9000 }; /* events, in two blocks */

/* Events of three customers at one time each day; every other one has an id. `again` of them are known. */
static lapse_status append_known(lapse_store *store, int64_t first, int64_t n, int64_t again, lapse_error *error)
{
    static char customers[KNOWN], ids[KNOWN * 8];
    static int64_t customer_at[KNOWN + 1], id_at[KNOWN + 1], times[KNOWN], amounts[KNOWN];
    static int32_t outcomes[KNOWN];
    for (int64_t i = 0; i < n; i++) {
        int64_t event = first + i;
        customers[i] = (char)('a' + event % 3);
        customer_at[i + 1] = i + 1;
        id_at[i + 1] = id_at[i] + (event % 2 ? 0 : sprintf(ids + id_at[i], "%d", (int)event));
        times[i] = (1 + event / 10 % 800) * INT64_C(86400000000);
        amounts[i] = event;
    }
    lapse_append_options o;
    lapse_append_options_init(&o, sizeof o);
    lapse_batch b = { .size = sizeof b, .rows = n, .customer = customers, .customer_offsets = customer_at, .time = times,
                      .amount = amounts, .event_id = ids, .event_id_offsets = id_at };
    o.source = "shop";
    o.outcomes = outcomes;
    lapse_counts counts = { .size = sizeof counts };
    lapse_status status = lapse_store_append(store, &b, &o, &counts, error);
    if (status == LAPSE_OK) {
        assert_int_equal(counts.accepted, n - again);
        assert_int_equal(counts.duplicate, again);
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(outcomes[i], i < again ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_ACCEPTED);
    }
    return status;
}

struct overlap {
    int64_t first, again;
};

static lapse_status append_overlap(lapse_store *store, void *user, lapse_error *error)
{
    const struct overlap *o = user;
    struct lapse_manifest *m;
    lapse_status status = lapse_store_manifest(store, &m, error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < m->count; i++) { /* so that all filters are made anew */
        lapse_filter_free(m->runs[i]->filter);
        m->runs[i]->filter = NULL;
    }
    lapse_manifest_release(m);
    return append_known(store, o->first, 40, o->again, error);
}

static void knowing(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        struct overlap some = { KNOWN - 20, 20 }, none = { KNOWN + 20, 0 }, all = { 4000, 40 };
        assert_int_equal(append_known(store, 0, KNOWN, 0, NULL), LAPSE_OK);
        fail_each(store, append_overlap, &some, for_good, true);
        fail_each(store, append_overlap, &none, for_good, true);
        fail_each(store, append_overlap, &all, for_good, true);
        close_store(store);
    }
}

/* Fingerprints that are put aside and read back. */
static lapse_status put_aside(lapse_store *store, void *user, lapse_error *error)
{
    static const uint32_t begin[] = { 0, 1, 2, 3 }, start[] = { 0, 4 };
    static const uint8_t length[] = { 1, 1, 1, 1 };
    static const int64_t lines[] = { 1, 2, 3, 4 };
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID) | LAPSE_FIELD_BIT(LAPSE_F_LINE) };
    struct lapse_keys keys = { 1, "a", begin, start, length };
    struct lapse_print *v = NULL;
    size_t count = 0, capacity = 0;
    (void)user;
    c.number[LAPSE_F_LINE] = lines;
    c.text[LAPSE_F_EVENT_ID] = (struct lapse_text_column){ "1234", begin, length, NULL };
    struct lapse_prints *p = lapse_prints_new(store);
    if (!p)
        return lapse_fail_memory(error);
    p->limit = 6;
    lapse_status status = LAPSE_OK;
    for (int64_t row = 0; row < 12 && status == LAPSE_OK; row += 4)
        status = lapse_prints_take(p, &keys, &c, row, error);
    if (status == LAPSE_OK) {
        assert_int_equal(p->spill_count, 1);
        assert_int_equal(p->count, 4);
        status = lapse_prints_spill(p, error);
    }
    for (int slice = 0; slice < 256 && status == LAPSE_OK; slice++)
        status = lapse_prints_slice(p, slice, &v, &count, &capacity, error);
    if (status == LAPSE_OK) {
        int64_t rows = 0;
        assert_int_equal(count, 12);
        for (size_t i = 0; i < count; i++) {
            rows |= INT64_C(1) << v[i].row;
            assert_int_equal(v[i].line, v[i].row % 4 + 1);
            assert_true(i < 1 || v[i].high >> 56 >= v[i - 1].high >> 56);
        }
        assert_int_equal(rows, 4095);
    }
    lapse_mem_free(&store->mem, v);
    lapse_prints_free(p);
    return status;
}

static void putting_aside(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        fail_each(store, put_aside, NULL, for_good, false);
        close_store(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending),
        cmocka_unit_test(knowing),
        cmocka_unit_test(putting_aside),
        cmocka_unit_test(merging),
    };
    return cmocka_run_group_tests_name("memory_commits", tests, make_folder, remove_folder);
}
