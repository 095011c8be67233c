/* lib/view: cursors and folds against the events that were put in; instants, retractions, threads, readers beside a
 * writer. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <lapse.h>

#include "view/view.h"

static uint64_t seed = 11;
static uint64_t draw(uint64_t below)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

enum { CUSTOMERS = 500, ROWS = 40000 };
static struct {
    int customer;
    int64_t time, amount;
} events[ROWS];

/* Random orders in commits of random size, so that there are runs of all sizes. */
static lapse_store *random_store(void)
{
    static char ids[ROWS * 5 + 1];
    static int64_t offsets[ROWS + 1], times[ROWS], amounts[ROWS];
    lapse_store *store;
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    lapse_append_options options;
    lapse_append_options_init(&options, sizeof options);
    options.flags = LAPSE_IMPORT_KEEP_ALL;
    for (int first = 0; first < ROWS;) {
        int n = 1 + (int)draw(3000);
        n = n > ROWS - first ? ROWS - first : n;
        size_t used = 0;
        for (int i = 0; i < n; i++) {
            events[first + i].customer = (int)draw(CUSTOMERS);
            times[i] = events[first + i].time = (1 + (int64_t)draw(1000)) * LAPSE_DAY;
            amounts[i] = events[first + i].amount = (int64_t)draw(10000);
            offsets[i] = (int64_t)used;
            used += (size_t)sprintf(ids + used, "c%d", events[first + i].customer);
        }
        offsets[n] = (int64_t)used;
        lapse_batch batch = { .size = sizeof batch, .rows = n, .customer = ids, .customer_offsets = offsets,
                              .time = times, .amount = amounts };
        assert_int_equal(lapse_store_append(store, &batch, &options, NULL, NULL), LAPSE_OK);
        first += n;
    }
    return store;
}

struct sums {
    int64_t customers[LAPSE_FOLD_PARTS], events[LAPSE_FOLD_PARTS], amount[LAPSE_FOLD_PARTS];
    char last[LAPSE_FOLD_PARTS][8], first[LAPSE_FOLD_PARTS][8];
    int64_t stop_after;
    atomic_llong seen;
};

static lapse_status add_up(void *user, int32_t part, const struct lapse_history *h, lapse_error *error)
{
    struct sums *s = user;
    char id[8] = { 0 };
    memcpy(id, h->customer.data, h->customer.size);
    assert_true(strcmp(s->last[part], id) < 0); /* ascending, each once */
    strcpy(s->last[part], id);
    if (!s->first[part][0])
        strcpy(s->first[part], id);
    s->customers[part]++;
    s->events[part] += h->count;
    for (int64_t i = 0; i < h->count; i++) {
        s->amount[part] += h->number[LAPSE_F_AMOUNT][i];
        assert_true(i == 0 || h->number[LAPSE_F_TIME][i - 1] <= h->number[LAPSE_F_TIME][i]);
        assert_int_equal(h->number[LAPSE_F_PRICE][i], LAPSE_MISSING); /* no run has such a column */
        assert_int_equal(h->name[LAPSE_F_CHANNEL][i], 0);
    }
    if (s->stop_after && atomic_fetch_add(&s->seen, 1) >= s->stop_after)
        return lapse_fail(error, LAPSE_OVERFLOW, "stopped at %s", id);
    return LAPSE_OK;
}

static struct lapse_fold fold_of(struct sums *s, int threads)
{
    memset(s, 0, sizeof *s);
    return (struct lapse_fold){ .fields = LAPSE_FIELD_BIT(LAPSE_F_AMOUNT) | LAPSE_FIELD_BIT(LAPSE_F_PRICE) |
                                          LAPSE_FIELD_BIT(LAPSE_F_CHANNEL),
                                .threads = threads, .customer = add_up, .user = s };
}

static void a_fold_meets_every_event_once(void **state)
{
    (void)state;
    lapse_store *store = random_store();
    static struct sums s;
    const int64_t instants[] = { INT64_MAX, 1000 * LAPSE_DAY, 1000 * LAPSE_DAY - 1, 500 * LAPSE_DAY, LAPSE_DAY, 0,
                                 INT64_MIN };
    for (size_t t = 0; t < sizeof instants / sizeof *instants; t++)
        for (int threads = 1; threads <= 8; threads *= 2) {
            lapse_view *view;
            int64_t count = 0, amount = 0, got[3] = { 0 };
            bool seen[CUSTOMERS] = { false };
            for (int i = 0; i < ROWS; i++) {
                bool visible = events[i].time <= instants[t];
                count += visible;
                amount += visible ? events[i].amount : 0;
                seen[events[i].customer] |= visible;
            }
            for (int c = 0; c < CUSTOMERS; c++)
                got[0] -= seen[c];
            assert_int_equal(lapse_view_open(store, instants[t], &view, NULL), LAPSE_OK);
            struct lapse_fold fold = fold_of(&s, threads);
            assert_int_equal(lapse_view_fold(view, &fold, NULL), LAPSE_OK);
            const char *before = "";
            int parts = 0;
            for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
                got[0] += s.customers[p];
                got[1] += s.events[p];
                got[2] += s.amount[p];
                if (!s.first[p][0])
                    continue;
                assert_true(strcmp(before, s.first[p]) < 0);
                before = s.last[p];
                parts++;
            }
            assert_int_equal(got[0], 0);
            assert_int_equal(got[1], count);
            assert_int_equal(got[2], amount);
            assert_true(parts <= 1 || threads > 1);
            assert_true(threads == 1 || count < ROWS / 2 || parts > 1);
            lapse_view_close(view);
        }
    lapse_store_close(store);
}

static void a_fold_stops_at_the_first_failure(void **state)
{
    (void)state;
    lapse_store *store = random_store();
    static struct sums s;
    lapse_view *view;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    for (int threads = 1; threads <= 4; threads *= 4) {
        lapse_error error = { .size = sizeof error };
        struct lapse_fold fold = fold_of(&s, threads);
        s.stop_after = 100;
        assert_int_equal(lapse_view_fold(view, &fold, &error), LAPSE_OVERFLOW);
        assert_int_equal(strncmp(error.message, "stopped at c", 12), 0);
        assert_in_range(atomic_load(&s.seen), 101, 101 + 8 * threads);
    }
    lapse_view_close(view);
    lapse_store_close(store);
}

static lapse_store *import(const char *text)
{
    char path[] = "/tmp/lapse-test-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    fputs(text, f);
    fclose(f);
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    lapse_status status = lapse_store_import_file(store, path, NULL, NULL, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    remove(path);
    return store;
}

/* Refs of the events of `customer` that a cursor shows, joined by blanks. */
static const char *seen_at(lapse_store *store, const char *as_of, uint32_t fields)
{
    static char out[400];
    lapse_view *view;
    struct lapse_cursor *cursor;
    const struct lapse_history *h;
    int64_t instant;
    assert_int_equal(lapse_store_time(store, as_of, &instant, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, instant, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_cursor_open(view, fields | LAPSE_FIELD_BIT(LAPSE_F_REF), NULL, NULL, &cursor, NULL),
                     LAPSE_OK);
    lapse_view_close(view); /* the cursor holds what it needs */
    out[0] = 0;
    while (lapse_cursor_next(cursor, &h, NULL) == LAPSE_OK)
        for (int64_t i = 0; i < h->count; i++) {
            struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
            strncat(out, ref.data, ref.size);
            strcat(out, " ");
        }
    lapse_cursor_close(cursor);
    return out;
}

/* Design, identity of an event: a retraction names source and id, of the same customer, and acts from its time on,
 * whichever came first. */
static void retractions(void **state)
{
    (void)state;
    lapse_store *store = import("customer,time,kind,ref,source,event_id\n"
                                "a,2024-01-05,event.retracted,e2,shop,r1\n"
                                "a,2024-01-01,order.placed,o1,shop,e1\n"
                                "a,2024-01-02,order.placed,o2,shop,e2\n"
                                "a,2024-01-03,order.placed,o3,web,e2\n"
                                "b,2024-01-02,order.placed,o4,shop,e4\n"
                                "b,2024-01-06,event.retracted,e1,shop,r2\n"
                                "c,2024-01-07,order.placed,o5,shop,e5\n"
                                "c,2024-01-01,event.retracted,e5,shop,r3\n"
                                "c,2024-01-08,event.retracted,r3,shop,r4\n");
    assert_string_equal(seen_at(store, "2024-01-04", 0), "o1 o2 o3 o4 e5 ");
    assert_string_equal(seen_at(store, "2024-01-05", 0), "o1 o3 e2 o4 e5 ");
    assert_string_equal(seen_at(store, "2024-01-09", 0), "o1 o3 e2 o4 e1 e5 r3 "); /* a retraction stays */
    assert_string_equal(seen_at(store, "2024-01-09", LAPSE_RETRACTED), "o1 o2 o3 e2 o4 e1 e5 o5 r3 ");
    lapse_store_close(store);
}

/* Many retractions of many events cost n log n: a quadratic way would take minutes here. */
static void many_retractions(void **state)
{
    (void)state;
    enum { N = 60000 };
    char *text = malloc(N * 100 + 100), *at = text;
    at += sprintf(at, "customer,time,kind,ref,event_id\n");
    for (int i = 0; i < N; i++)
        at += sprintf(at, "a,2024-01-01,order.placed,o,e%d\na,2024-01-02,event.retracted,e%d,r%d\n", i, i, i);
    sprintf(at, "a,2024-01-01,order.placed,kept,k\n");
    lapse_store *store = import(text);
    lapse_view *view;
    struct lapse_cursor *cursor;
    const struct lapse_history *h;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_cursor_open(view, LAPSE_FIELD_BIT(LAPSE_F_REF), NULL, NULL, &cursor, NULL), LAPSE_OK);
    assert_int_equal(lapse_cursor_next(cursor, &h, NULL), LAPSE_OK);
    assert_int_equal(h->count, N + 1);
    assert_int_equal(lapse_history_text(h, LAPSE_F_REF, 0).size, 4);
    lapse_cursor_close(cursor);
    lapse_view_close(view);
    lapse_store_close(store);
    free(text);
}

/* Rulings 9: rank, then source, id and printed forms decide inside one instant. */
static void canonical_order(void **state)
{
    (void)state;
    lapse_store *store = import("customer,time,kind,ref,amount,event_id,channel,source\n"
                                "a,2024-01-01,consent.withdrawn,8,,,email,\n"
                                "a,2024-01-01,order.refunded,6,1.00,,,\n"
                                "a,2024-01-01,order.placed,5,9.00,z,,s\n"
                                "a,2024-01-01,order.placed,4,9.00,a,,s\n"
                                "a,2024-01-01,order.placed,3,9.00,,,s\n"
                                "a,2024-01-01,order.placed,2,9.00,,,\n"
                                "a,2024-01-01,order.placed,1,10.00,,,\n"
                                "a,2024-01-01,consent.granted,7,,,email,\n"
                                "a,2023-12-31,case.closed,0,,,,\n");
    assert_string_equal(seen_at(store, "2024-01-01", 0), "0 1 2 3 4 5 6 7 8 ");
    lapse_store_close(store);
}

/* Rulings X1, X11 to X13, S22: an objection stands until a later grant of profiling, or a confirmation whose token was
 * asked for after it, is not void and not older than 60 days. */
static void rights(void **state)
{
    (void)state;
    static const struct {
        const char *rows; /* after an objection on 2024-01-01 */
        int32_t expected;
    } cases[] = {
        { "", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.granted,,email,profiling,,", LAPSE_RIGHTS_NONE },
        { "a,2024-01-02,consent.granted,,email,marketing,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.granted,,email,,,", LAPSE_RIGHTS_OBJECTED }, /* F2: marketing */
        { "a,2024-01-02,consent.granted,,email,profiling,news,", LAPSE_RIGHTS_OBJECTED },
        { "a,2023-12-31,consent.granted,,email,profiling,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-01,consent.granted,,email,profiling,,", LAPSE_RIGHTS_OBJECTED }, /* the objection ranks later */
        { "a,2024-01-02,consent.confirmed,t,email,profiling,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-03-02,consent.confirmed,t,email,profiling,,",
          LAPSE_RIGHTS_NONE }, /* 60 days, inclusive */
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-03-02T00:00:01,consent.confirmed,t,email,profiling,,",
          LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-02,consent.confirmed,t,email,profiling,,",
          LAPSE_RIGHTS_NONE }, /* C25 */
        { "a,2024-01-02,consent.requested,t,sms,profiling,,\na,2024-01-03,consent.confirmed,t,email,profiling,,",
          LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-03,consent.confirmed,u,email,profiling,,",
          LAPSE_RIGHTS_OBJECTED },
        { "a,2023-12-30,consent.requested,t,email,profiling,,\na,2024-01-03,consent.confirmed,t,email,profiling,,",
          LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-03,consent.withdrawn,,,,,\n"
          "a,2024-01-04,consent.confirmed,t,email,profiling,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-03,consent.withdrawn,,sms,,,\n"
          "a,2024-01-04,consent.confirmed,t,email,profiling,,", LAPSE_RIGHTS_NONE },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-03,consent.withdrawn,,,,,unverified\n"
          "a,2024-01-04,consent.confirmed,t,email,profiling,,", LAPSE_RIGHTS_NONE },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-03,consent.declined,,email,profiling,,\n"
          "a,2024-01-04,consent.confirmed,t,email,profiling,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.requested,t,email,profiling,,\na,2024-01-03,account.closed,,,,,\n"
          "a,2024-01-04,consent.confirmed,t,email,profiling,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.granted,,email,profiling,,\na,2024-01-03,consent.objected,,,,,", LAPSE_RIGHTS_OBJECTED },
        { "a,2024-01-02,consent.granted,,email,profiling,,\na,2024-01-03,customer.erased,,,,,", LAPSE_RIGHTS_ERASED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        int32_t got = -1;
        struct lapse_cursor *cursor;
        const struct lapse_history *h;
        lapse_view *view;
        snprintf(text, sizeof text, "customer,time,kind,ref,channel,purpose,topic,reason\na,2024-01-01,consent.objected,,,,,\n%s\n",
                 cases[i].rows);
        lapse_store *store = import(text);
        assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_cursor_open(view, LAPSE_RIGHTS_FIELDS, NULL, NULL, &cursor, NULL), LAPSE_OK);
        assert_int_equal(lapse_cursor_next(cursor, &h, NULL), LAPSE_OK);
        assert_int_equal(lapse_rights_at(h, &lapse_zone_utc, lapse_policy_value(NULL, LAPSE_SET_CONSENT_TOKEN), lapse_view_memory(view), &got, NULL), LAPSE_OK);
        if (got != cases[i].expected)
            print_error("%s\n", cases[i].rows);
        assert_int_equal(got, cases[i].expected);
        lapse_cursor_close(cursor);
        lapse_view_close(view);
        lapse_store_close(store);
    }
}

static void history_of_nobody(void **state)
{
    (void)state;
    lapse_store *store = import("customer,time\nab,2024-01-01\n");
    lapse_view *view;
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_history(view, "a", &result, &error), LAPSE_NOT_FOUND);
    assert_non_null(strstr(error.message, "\"a\""));
    assert_null(result);
    assert_int_equal(lapse_view_history(view, "", &result, &error), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "ab", &result, &error), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
    assert_int_equal(lapse_view_open(store, INT64_MIN, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_history(view, "ab", &result, &error), LAPSE_NOT_FOUND);
    lapse_view_close(view);
    lapse_store_close(store);
}

struct reading {
    lapse_store *store;
    atomic_int *stop;
    int64_t views;
    bool bad;
};

/* Commits have 100 rows each: a view sees a whole number of them, and the number never falls. */
static void *read_on(void *user)
{
    struct reading *r = user;
    int64_t before = 0;
    while (!atomic_load(r->stop) && !r->bad) {
        lapse_view *view;
        struct lapse_cursor *cursor;
        const struct lapse_history *h;
        int64_t rows = 0;
        lapse_status status = lapse_view_open(r->store, INT64_MAX, &view, NULL);
        if (status == LAPSE_OK)
            status = lapse_cursor_open(view, 0, NULL, NULL, &cursor, NULL);
        while (status == LAPSE_OK && (status = lapse_cursor_next(cursor, &h, NULL)) == LAPSE_OK)
            rows += h->count;
        r->bad = status != LAPSE_DONE || rows % 100 != 0 || rows < before;
        before = rows;
        r->views++;
        lapse_cursor_close(cursor);
        lapse_view_close(view);
    }
    return NULL;
}

static void readers_beside_a_writer(void **state)
{
    (void)state;
    enum { READERS = 4 };
    lapse_store *store;
    atomic_int stop;
    pthread_t threads[READERS];
    struct reading reading[READERS];
    atomic_init(&stop, 0);
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    for (int i = 0; i < READERS; i++) {
        reading[i] = (struct reading){ store, &stop, 0, false };
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading[i]), 0);
    }
    for (int c = 0; c < 150; c++) {
        char ids[401];
        int64_t offsets[101], times[100];
        for (int i = 0; i < 100; i++) {
            sprintf(ids + 4 * i, "%04d", (c * 31 + i * 7) % 2000);
            offsets[i] = 4 * i;
            times[i] = (1 + c) * LAPSE_DAY;
        }
        offsets[100] = 400;
        lapse_batch batch = { .size = sizeof batch, .rows = 100, .customer = ids, .customer_offsets = offsets,
                              .time = times };
        assert_int_equal(lapse_store_append(store, &batch, NULL, NULL, NULL), LAPSE_OK);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(reading[i].bad);
        assert_true(reading[i].views > 0);
    }
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fold_meets_every_event_once),
        cmocka_unit_test(a_fold_stops_at_the_first_failure),
        cmocka_unit_test(retractions),
        cmocka_unit_test(many_retractions),
        cmocka_unit_test(canonical_order),
        cmocka_unit_test(rights),
        cmocka_unit_test(history_of_nobody),
        cmocka_unit_test(readers_beside_a_writer),
    };
    return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
