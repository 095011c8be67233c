/* What was told, as runs: folds and merges, versions, deadlines thrown away, regions and customers that are new or gone. */
#define _POSIX_C_SOURCE 200809L

#include "changes.h"

#include "state/present.h"

static size_t count_runs(lapse_store *store, int family, int64_t *rows)
{
    struct lapse_manifest *m;
    size_t n = 0;
    *rows = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == family) {
            *rows += m->runs[i]->rows;
            n++;
        }
    lapse_manifest_release(m);
    return n;
}

/* Two stores, of which one folds and merges all the time, tell the same. */
static void folds_and_merges_change_nothing(void **state)
{
    enum { ROUNDS = 120 };
    lapse_store *plain = store_of(NULL), *busy = store_of(NULL);
    struct host host = { .seen = 0 };
    int64_t rows;
    (void)state;
    busy->limits = (struct lapse_merging_limits){ .small = 8, .tail_runs = 2, .tail_rows = 12, .runs = 2, .runs_behind = 4,
                                                  .share = 1, .least_share = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        struct text t = { 0 };
        char as_of[32];
        for (int i = 0; i < 3; i++)
            putf(&t, "c%d,2024-%02d-%02d,%s,,email,%s,,,,w,%d-%d\n", (round * 7 + i * 5) % 23, round / 28 + 1, round % 28 + 1,
                 i == 0 ? "session.started" : i == 1 ? "consent.granted" : "consent.withdrawn", i ? "marketing" : "", round, i);
        add(plain, t.data);
        add(busy, t.data);
        free(t.data);
        snprintf(as_of, sizeof as_of, "2024-%02d-%02dT12:00:00Z", round / 28 + 1, round % 28 + 1);
        char *one = advance_to(plain, as_of), *two = advance_to(busy, as_of);
        assert_string_equal(one, two);
        hear(&host, one);
        if (round % 3 == 0 && host.seen) {
            acknowledge(plain, host.seen);
            acknowledge(busy, host.seen);
        }
        free(one);
        free(two);
    }
    assert_in_range(count_runs(busy, LAPSE_RUN_TOLD, &rows), 1, 12);
    assert_int_equal(lapse_store_compact(busy, NULL, NULL), LAPSE_OK);
    assert_int_equal(count_runs(busy, LAPSE_RUN_TOLD, &rows), 1);
    assert_in_range(rows, 23, 23 * 4); /* the latest of each customer: a head, and stage, engagement, consent */
    assert_int_equal(count_runs(busy, LAPSE_RUN_CALLS, &rows), 1);
    assert_int_equal(count_runs(busy, LAPSE_RUN_TOUCHED, &rows), 0);
    acknowledge(busy, host.seen);
    assert_int_equal(count_runs(busy, LAPSE_RUN_OUTBOX, &rows), 0); /* what is confirmed is gone */
    lapse_result *result;
    assert_int_equal(lapse_store_verify(busy, NULL, &result, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_store_close(plain);
    lapse_store_close(busy);
}

static void throw_away(lapse_store *store, int family)
{
    struct lapse_telling t;
    assert_int_equal(lapse_telling_begin(&t, store, NULL), LAPSE_OK);
    size_t n = lapse_manifest_family(t.manifest, family, t.runs);
    assert_int_equal(lapse_telling_end(&t, NULL, 0, t.runs, n, NULL), LAPSE_OK);
}

static void deadlines_are_made_anew(void **state)
{
    static const char *const later[] = { "2024-02-02", "2024-03-31", "2024-05-01", "2024-07-02", "2025-02-01" };
    lapse_store *one = store_of(small_shop), *two = store_of(small_shop);
    int64_t rows, a, b;
    (void)state;
    free(advance_to(one, "2024-02-01"));
    free(advance_to(two, "2024-02-01"));
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        lapse_status status = lapse_store_next_deadline(one, &a, NULL);
        throw_away(two, LAPSE_RUN_DEADLINES);
        assert_int_equal(count_runs(two, LAPSE_RUN_DEADLINES, &rows), 0);
        assert_int_equal(lapse_store_next_deadline(two, &b, NULL), status);
        assert_int_equal(a, b);
        char *x = advance_to(one, later[i]), *y = advance_to(two, later[i]);
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
    assert_int_equal(lapse_store_next_deadline(one, &a, NULL), LAPSE_NOT_FOUND); /* all are lost */
    lapse_store_close(one);
    lapse_store_close(two);
}

/* An entry stays where it is while the customer is active again and again. */
static void who_is_active_has_one_entry(void **state)
{
    lapse_store *store = store_of("customer,time\nann,2024-01-01\n");
    int64_t rows, deadline;
    (void)state;
    free(advance_to(store, "2024-01-01"));
    for (int day = 2; day < 28; day++) {
        char row[64], as_of[32];
        snprintf(as_of, sizeof as_of, "2024-01-%02d", day);
        snprintf(row, sizeof row, "ann,%s,session.started,,,,,,,w,%d\n", as_of, day);
        add(store, row);
        free(advance_to(store, as_of));
        assert_int_equal(lapse_store_next_deadline(store, &deadline, NULL), LAPSE_OK);
        assert_int_equal(deadline, instant("2024-03-31")); /* of the order; of the sessions it is later */
    }
    count_runs(store, LAPSE_RUN_DEADLINES, &rows);
    assert_int_equal(rows, 1);
    add(store, "ann,2024-01-27,order.placed,5,,,,,,w,o\n");
    free(advance_to(store, "2024-01-28"));
    assert_int_equal(lapse_store_next_deadline(store, &deadline, NULL), LAPSE_OK);
    assert_int_equal(deadline, instant("2024-04-26"));
    lapse_store_close(store);
}

/* The told states of a region that an older library did not know are taken as told. */
static void a_new_region_is_not_told(void **state)
{
    lapse_store *store = store_of(small_shop);
    struct lapse_telling t;
    (void)state;
    free(advance_to(store, "2024-02-01"));
    acknowledge(store, 6);
    throw_away(store, LAPSE_RUN_TOLD); /* as if nothing was known of any ... */
    assert_int_equal(lapse_telling_begin(&t, store, NULL), LAPSE_OK);
    strcpy(t.call.regions, "stage purchase account"); /* ... and that library had only these */
    assert_int_equal(lapse_telling_end(&t, NULL, 0, NULL, 0, NULL), LAPSE_OK);
    assert_told(store, "2024-02-01",
                "7,ann,stage,,reach,retention,2024-01-01T00:00:00Z,order.placed,1\n"
                "8,ann,purchase,,new,active,2024-01-01T00:00:00Z,order.placed,1\n"
                "9,bob,stage,,reach,acquisition,2024-01-03T00:00:00Z,session.started,1\n");
    acknowledge(store, 9);
    assert_told(store, "2024-04-02",
                "10,ann,engagement,,active,at_risk,2024-03-31T00:00:00Z,timer,0\n"
                "11,ann,purchase,,active,at_risk,2024-03-31T00:00:00Z,timer,0\n"
                "12,bob,engagement,,active,at_risk,2024-04-02T00:00:00Z,timer,0\n");
    lapse_store_close(store);
}

/* A customer of whom there are told states and no events any more: nobody is told of her. */
static void who_has_no_events_is_not_told_of(void **state)
{
    lapse_store *store = store_of(small_shop);
    struct lapse_telling t;
    int64_t rows;
    (void)state;
    free(advance_to(store, "2024-02-01"));
    acknowledge(store, 6);
    add(store, "ann,2024-02-02,session.started,,,,,,,w,4\nbob,2024-02-02,session.started,,,,,,,w,5\n");
    assert_int_equal(lapse_telling_begin(&t, store, NULL), LAPSE_OK);
    size_t n = lapse_manifest_family(t.manifest, LAPSE_RUN_EVENTS, t.runs);
    assert_int_equal(lapse_telling_end(&t, NULL, 0, t.runs, n, NULL), LAPSE_OK);
    assert_told(store, "2024-06-01", "");
    count_runs(store, LAPSE_RUN_EVENTS, &rows);
    assert_int_equal(rows, 0);
    lapse_store_close(store);
}

/* Whoever is forgotten takes along what was told of her, records that wait too; the others' records keep their seq. */
static void the_forgotten_are_told_no_more(void **state)
{
    static const int64_t offsets[] = { 0, 3 };
    lapse_forget_options o;
    lapse_result *before = NULL;
    lapse_table *table = NULL;
    int64_t rows;
    (void)state;
    lapse_store *store = store_of(small_shop);
    char *all = advance_to(store, "2024-02-01");
    char *bobs = strstr(all, ",bob,"); /* his come last: his session is the latest change */
    assert_non_null(bobs);
    while (bobs > all && bobs[-1] != '\n')
        bobs--;
    assert_null(strstr(bobs, ",ann,"));
    assert_int_equal(lapse_store_advance(store, instant("2024-02-01"), NULL, &before, NULL), LAPSE_OK);
    add(store, "ann,2024-02-02,session.started,,,,,,,w,4\n"); /* touched, and not looked at yet */
    lapse_forget_options_init(&o, sizeof o);
    o.at = instant("2024-02-03");
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_next(before, &table, NULL), LAPSE_STALE);
    lapse_result_free(before);
    assert_told(store, "2024-02-03", bobs);
    count_runs(store, LAPSE_RUN_TOLD, &rows);
    assert_in_range(rows, 1, 4); /* bob's */
    assert_int_equal(lapse_store_verify(store, NULL, &before, NULL), LAPSE_OK);
    lapse_result_free(before);
    acknowledge(store, 6);
    assert_told(store, "2024-04-02", "7,bob,engagement,,active,at_risk,2024-04-02T00:00:00Z,timer,0\n");
    free(all);
    lapse_store_close(store);
}

/* A withdrawal acts on whoever holds the address then (C24), without an event of theirs; and once who said it is forgotten,
 * on those too who came to hold it later. */
static void what_crosses_is_told(void **state)
{
    static const int64_t offsets[] = { 0, 3 };
    lapse_forget_options o;
    (void)state;
    lapse_store *store = store_of(HEADER
        "ann,2024-01-01,endpoint.added,,email,,a@example.org,,,w,1\n"
        "bob,2024-01-01,endpoint.added,,email,,a@example.org,,,w,2\n"
        "bob,2024-01-02,consent.granted,,email,marketing,,,,w,3\n"
        "cat,2024-03-01,endpoint.added,,email,,a@example.org,,,w,4\n"
        "cat,2024-01-02,consent.granted,,email,marketing,,,,w,5\n");
    free(advance_to(store, "2024-04-01"));
    acknowledge(store, 2);
    add(store, "ann,2024-02-01,consent.withdrawn,,email,marketing,,,,w,6\n"); /* of her address, which is not named */
    assert_told(store, "2024-04-01",
                "3,ann,consent,email/marketing/,none,withdrawn,2024-02-01T00:00:00Z,consent.withdrawn,1\n"
                "4,bob,consent,email/marketing/,granted,withdrawn,2024-02-01T00:00:00Z,consent.withdrawn,1\n");
    acknowledge(store, 4);
    lapse_forget_options_init(&o, sizeof o);
    o.at = instant("2024-04-01");
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_OK);
    assert_told(store, "2024-04-01",
                "5,cat,consent,email/marketing/,granted,withdrawn,2024-02-01T00:00:00Z,consent.withdrawn,1\n");
    acknowledge(store, 5);
    /* a withdrawal that lies in the future comes to the others when it is due */
    add(store, "dan,2024-01-01,endpoint.added,,email,,b@example.org,,,w,7\n"
               "eve,2024-01-01,endpoint.added,,email,,b@example.org,,,w,8\n"
               "eve,2024-01-02,consent.granted,,email,marketing,,,,w,9\n"
               "dan,2024-05-01,consent.withdrawn,,email,marketing,b@example.org,,,w,10\n");
    free(advance_to(store, "2024-04-02"));
    acknowledge(store, 6);
    assert_told(store, "2024-05-01",
                "7,dan,consent,email/marketing/,none,withdrawn,2024-05-01T00:00:00Z,consent.withdrawn,0\n"
                "8,eve,consent,email/marketing/,granted,withdrawn,2024-05-01T00:00:00Z,consent.withdrawn,0\n");
    lapse_store_close(store);
}

/* Rows in any order become one sorted run, however few are held at once, and nothing else is left in the file. */
static void the_sorter_sorts(void **state)
{
    enum { ROWS = 1000 };
    lapse_store *store = store_of(NULL);
    struct lapse_telling t;
    struct lapse_sorter s;
    struct lapse_run *run;
    struct lapse_merge *merge;
    const struct lapse_group *g;
    int64_t *others, before = INT64_MIN, rows = 0;
    size_t n;
    (void)state;
    assert_int_equal(lapse_telling_begin(&t, store, NULL), LAPSE_OK);
    lapse_sorter_init(&s, store, LAPSE_RUN_DEADLINES);
    s.most_rows = 7;
    s.most_runs = 4;
    for (int64_t i = 0; i < ROWS; i++) {
        struct lapse_cells cells = { .begin = 0 };
        struct lapse_numbered key;
        int64_t time = i * 7919 % ROWS - ROWS / 2; /* each once, negative ones first */
        lapse_numbered_set(&key, time, (struct lapse_text){ "ann", 3 });
        lapse_cells_number(&cells, LAPSE_F_TIME, time);
        assert_int_equal(lapse_sorter_put(&s, key.key, &cells, NULL), LAPSE_OK);
    }
    assert_int_equal(lapse_sorter_finish(&s, &run, NULL), LAPSE_OK);
    lapse_sorter_free(&s);
    assert_int_equal(lapse_merge_open(store, &run, 1, LAPSE_ALL_FIELDS, NULL, NULL, &merge, NULL), LAPSE_OK);
    for (; lapse_merge_next(merge, &g, NULL) == LAPSE_OK; rows += g->count) {
        assert_true(lapse_number_of(g->key) > before);
        before = lapse_number_of(g->key);
        assert_int_equal(lapse_columns_number(g->columns, LAPSE_F_TIME, g->first), before);
    }
    lapse_merge_close(merge);
    assert_int_equal(rows, ROWS);
    assert_int_equal(run->block_count, 1);
    assert_int_equal(lapse_file_other_blocks(store->file, &run->blocks[0].id, 1, &others, &n, NULL), LAPSE_OK);
    assert_int_equal(n, 0);
    free(others);
    lapse_run_release(run);
    lapse_telling_abort(&t);
    lapse_store_close(store);
}

/* ---- rows that are not this library's ------------------------------------------------------------------------------ */

/* Of a family, by hand: `number` is that of a numbered key, `cells` are its columns by field. */
struct hand {
    int family;
    const char *customer;
    int64_t number, time, quantity, amount, price, value;
    const char *note;   /* of verify */
    const char *reader; /* what advance says; NULL: it does not read the row */
};

static void put_by_hand(lapse_store *store, const struct hand *h, size_t n)
{
    struct lapse_run_writer w;
    struct lapse_run *run = NULL;
    struct lapse_manifest *m = NULL;
    assert_int_equal(lapse_run_writer_open(&w, store, h->family, NULL), LAPSE_OK);
    for (size_t i = 0; i < n; i++) {
        const struct lapse_family *family = &lapse_families[h->family];
        struct lapse_cells cells = { .begin = 0 };
        struct lapse_numbered numbered;
        struct lapse_text key = { h[i].customer, (uint32_t)strlen(h[i].customer) };
        const int64_t numbers[LAPSE_COLUMNS] = { [LAPSE_F_TIME] = h[i].time, [LAPSE_F_QUANTITY] = h[i].quantity,
                                                 [LAPSE_F_AMOUNT] = h[i].amount, [LAPSE_F_PRICE] = h[i].price,
                                                 [LAPSE_F_VALUE] = h[i].value };
        static const int fields[] = { LAPSE_F_TIME, LAPSE_F_QUANTITY, LAPSE_F_AMOUNT, LAPSE_F_PRICE, LAPSE_F_VALUE };
        for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
            if (family->allowed & LAPSE_FIELD_BIT(fields[f]))
                lapse_cells_number(&cells, fields[f], numbers[fields[f]]);
        if (h->family == LAPSE_RUN_CALLS)
            lapse_cells_text(&cells, LAPSE_F_ENDPOINT, (struct lapse_text){ "too short for a digest", 22 });
        if (family->kind == LAPSE_KEYS_NUMBERED) {
            lapse_numbered_set(&numbered, h[i].number, key);
            key = numbered.key;
        }
        assert_int_equal(lapse_run_writer_put(&w, key, &cells.columns, UINT32_MAX, 0, 1, NULL), LAPSE_OK);
    }
    assert_int_equal(lapse_file_begin(store->file, NULL), LAPSE_OK);
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    assert_int_equal(lapse_run_writer_finish(&w, &run, NULL), LAPSE_OK);
    assert_int_equal(lapse_store_publish(store, m, &run, 1, NULL, 0, NULL), LAPSE_OK);
    lapse_run_writer_abort(&w);
    lapse_manifest_release(m);
    lapse_run_release(run);
}

#define VERSION(call, row) ((int64_t)(call) << LAPSE_VERSION_SHIFT | (row))

/* Verify names them, and whoever reads them tells that they are damaged instead of making something up. */
static void rows_of_others_are_refused(void **state)
{
    enum { TOLD = LAPSE_RUN_TOLD, DUE = LAPSE_RUN_DEADLINES, OUTBOX = LAPSE_RUN_OUTBOX, CALLS = LAPSE_RUN_CALLS };
    static const char version[] = "a row is not of the version of the rows before it", later[] = "are of a later call";
    static const char told[] = "what was told of customer \"ann\" is damaged", record[] = "record 6 of the outbox is damaged";
    static const char last[] = "what the store says of the last advance is damaged";
    static const struct {
        struct hand rows[2];
        size_t count;
    } cases[] = {
        { { { LAPSE_RUN_TOUCHED, "\xff", 0, 1, 0, 0, 0, 0, "a key is no customer", NULL } }, 1 },
        { { { TOLD, "ann", 0, VERSION(2, 0), 1, 0, 0, 0, version, told } }, 1 },
        { { { TOLD, "ann", 0, VERSION(2, 1), 0, 0, 0, 0, version, NULL } }, 1 },
        { { { TOLD, "ann", 0, VERSION(2, 1), -1, 0, 0, 0, version, told } }, 1 },
        { { { TOLD, "ann", 0, -1, 1, 0, 0, 0, version, NULL } }, 1 },
        { { { TOLD, "ann", 0, VERSION(2, 0), 0, 0, 0, 0, version, NULL },
            { TOLD, "ann", 0, VERSION(2, 2), 1, 1, 0, 0, version, NULL } }, 2 },
        { { { TOLD, "ann", 0, VERSION(9, 0), 0, 0, 0, 0, later, NULL } }, 1 },
        { { { TOLD, "ann", 0, VERSION(1, 50), LAPSE_TOLD_REGIONS, 1, 0, 0, NULL, told } }, 1 },
        { { { TOLD, "ann", 0, VERSION(1, 50), LAPSE_TOLD_STAGE, 99, 0, 0, NULL, told } }, 1 },
        { { { TOLD, "ann", 0, VERSION(1, 50), LAPSE_TOLD_STAGE, -1, 0, 0, NULL, told } }, 1 },
        { { { DUE, "", 5, 5, 0, 0, 0, 0, "too short for a number and a customer", NULL } }, 1 },
        { { { DUE, "\xff", 5, 5, 0, 0, 0, 0, "a key has no customer", NULL } }, 1 },
        { { { DUE, "ann", 5, 6, 0, 0, 0, 0, "a deadline is at another time", NULL } }, 1 },
        { { { OUTBOX, "ann", 0, 5, 1, 1, 2, 2, "a record has no number, or shares it", NULL } }, 1 },
        { { { OUTBOX, "zoe", 5, 5, 1, 1, 2, 2, "record 5 is there twice", NULL } }, 1 },
        { { { OUTBOX, "ann", 7, 5, 1, 1, 2, 2, later, NULL } }, 1 },
        { { { CALLS, "advance", 0, 5, 7, 3, 1, 0, last, last } }, 1 },
    };
    /* What verify cannot know: what regions, states and causes there are. */
    static const struct hand records[] = {
        { OUTBOX, "bob", 6, 5, 0, 1, 2, 2, NULL, record },     { OUTBOX, "bob", 6, 5, -1, 1, 2, 2, NULL, record },
        { OUTBOX, "bob", 6, 5, 99, 1, 2, 2, NULL, record },    { OUTBOX, "bob", 6, 5, 1, 0, 2, 2, NULL, record },
        { OUTBOX, "bob", 6, 5, 1, 99, 2, 2, NULL, record },    { OUTBOX, "bob", 6, 5, 1, 1, -2, 2, NULL, record },
        { OUTBOX, "bob", 6, 5, 1, 1, INT64_MAX, 2, NULL, record }, { OUTBOX, "bob", 6, 5, 1, 1, 2, -2, NULL, record },
        { OUTBOX, "bob", 6, 5, 1, 1, 2, 2 * LAPSE_KINDS, NULL, record },
    };
    const size_t n = sizeof cases / sizeof cases[0];
    (void)state;
    for (size_t i = 0; i < n + sizeof records / sizeof records[0]; i++) {
        const struct hand *rows = i < n ? cases[i].rows : &records[i - n];
        lapse_error error = { .size = sizeof error };
        lapse_result *report = NULL;
        struct text out = { 0 };
        lapse_store *store = store_of(small_shop);
        free(advance_to(store, "2024-02-01"));
        if (i >= n) /* the latest record becomes another */
            throw_away(store, LAPSE_RUN_OUTBOX);
        put_by_hand(store, rows, i < n ? cases[i].count : 1);
        assert_int_equal(lapse_store_verify(store, NULL, &report, &error), rows->note ? LAPSE_DAMAGED : LAPSE_OK);
        if (rows->note && !strstr(error.message, rows->note))
            fail_msg("case %zu: \"%s\" is not \"%s\"", i, error.message, rows->note);
        lapse_result_free(report);
        if (rows->reader) {
            add(store, "ann,2024-02-02,session.started,,,,,,,w,9\n");
            assert_int_equal(try_advance(store, (struct call){ .as_of = "2024-02-03" }, &out, &error), LAPSE_DAMAGED);
            if (!strstr(error.message, rows->reader))
                fail_msg("case %zu: \"%s\" is not \"%s\"", i, error.message, rows->reader);
            free(out.data);
        }
        lapse_store_close(store);
    }
    lapse_store *store = store_of(small_shop); /* told, and nobody has */
    lapse_error error = { .size = sizeof error };
    lapse_result *report = NULL;
    put_by_hand(store, &(struct hand){ TOLD, "ann", 0, VERSION(1, 0), 0, 0, 0, 0, NULL, NULL }, 1);
    assert_int_equal(lapse_store_verify(store, NULL, &report, &error), LAPSE_DAMAGED);
    assert_non_null(strstr(error.message, "no call that made them"));
    lapse_result_free(report);
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_and_merges_change_nothing),
        cmocka_unit_test(the_sorter_sorts),
        cmocka_unit_test(deadlines_are_made_anew),
        cmocka_unit_test(who_is_active_has_one_entry),
        cmocka_unit_test(a_new_region_is_not_told),
        cmocka_unit_test(who_has_no_events_is_not_told_of),
        cmocka_unit_test(the_forgotten_are_told_no_more),
        cmocka_unit_test(what_crosses_is_told),
        cmocka_unit_test(rows_of_others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
