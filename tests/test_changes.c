/* Advance, from inside: the rulings one by one, all small delivery schedules, what is refused. Its runs: test_changes_runs.c;
 * against a second implementation: test_changes.py; killed and damaged: test_changes_files.c. */
#define _POSIX_C_SOURCE 200809L

#include "changes.h"

/* ---- the rulings --------------------------------------------------------------------------------------------------- */

static void told_once_until_confirmed(void **state)
{
    lapse_store *store = store_of(small_shop);
    (void)state;
    assert_told(store, "2024-02-01", told_first);
    assert_told(store, "2024-02-01", told_first); /* V6 */
    acknowledge(store, 5);
    assert_told(store, "2024-02-01", strstr(told_first, "6,bob"));
    acknowledge(store, 5); /* changes nothing */
    acknowledge(store, 0);
    assert_told(store, "2024-03-31",
                "6,bob,engagement,,new,active,2024-01-03T00:00:00Z,session.started,0\n"
                "7,ann,engagement,,active,at_risk,2024-03-31T00:00:00Z,timer,0\n"
                "8,ann,purchase,,active,at_risk,2024-03-31T00:00:00Z,timer,0\n");
    acknowledge(store, 8);
    assert_told(store, "2024-03-31", "");
    assert_told(store, "2024-04-01", "");
    lapse_store_close(store);
}

static void net_tells_the_difference_only(void **state)
{
    lapse_store *store = store_of(small_shop);
    (void)state;
    free(advance_to(store, "2024-02-01"));
    acknowledge(store, 6);
    add(store, "ann,2024-06-01,order.placed,5,,,,,o2,w,4\n"); /* at risk for two months, and back */
    assert_told(store, "2024-06-02", "7,bob,engagement,,active,at_risk,2024-04-02T00:00:00Z,timer,0\n");
    lapse_store_close(store);
}

static void the_past_is_corrected(void **state)
{
    lapse_store *store = store_of(small_shop);
    (void)state;
    free(advance_to(store, "2024-02-01"));
    acknowledge(store, 6);
    add(store, "ann,2024-01-15,order.refunded,,,,,,o1,w,4\n"       /* late */
               "bob,2024-01-02,customer.registered,,,,,,,w,5\n"     /* late, and before all others */
               "bob,2024-02-02,event.retracted,,,,,,3,w,6\n");
    assert_told(store, "2024-02-10",
                "7,bob,stage,,acquisition,conversion,2024-01-02T00:00:00Z,customer.registered,1\n"
                "8,bob,engagement,,active,new,2024-01-02T00:00:00Z,customer.registered,1\n" /* was never left */
                "9,ann,stage,,retention,acquisition,2024-01-15T00:00:00Z,order.refunded,1\n"
                "10,ann,purchase,,active,new,2024-01-15T00:00:00Z,order.refunded,1\n");
    lapse_store_close(store);
}

static void future_events_come_when_they_are_due(void **state)
{
    lapse_store *store = store_of(small_shop);
    int64_t deadline;
    (void)state;
    assert_told(store, "2023-12-31", "");
    assert_int_equal(lapse_store_next_deadline(store, &deadline, NULL), LAPSE_OK);
    assert_int_equal(deadline, instant("2024-01-01"));
    assert_told(store, "2024-01-02", "1,ann,stage,,reach,retention,2024-01-01T00:00:00Z,order.placed,0\n"
                                     "2,ann,engagement,,new,active,2024-01-01T00:00:00Z,order.placed,0\n"
                                     "3,ann,purchase,,new,active,2024-01-01T00:00:00Z,order.placed,0\n"
                                     "4,ann,consent,email/marketing/,none,granted,2024-01-02T00:00:00Z,consent.granted,0\n");
    assert_int_equal(lapse_store_next_deadline(store, &deadline, NULL), LAPSE_OK);
    assert_int_equal(deadline, instant("2024-01-03"));
    assert_told(store, "2024-02-01", told_first);
    lapse_store_close(store);
}

/* The record without address: removed before it was ever held, and installed after that. */
static void an_app_comes_back(void **state)
{
    lapse_store *store = store_of(HEADER "ann,2024-01-01,message.spam_reported,,push,,,,,w,1\n"
                                       "ann,2024-01-02,app.uninstalled,,,,,,,w,2\n");
    (void)state;
    char *rows = advance_to(store, "2024-01-10");
    assert_non_null(strstr(rows, ",ann,endpoint,push/,ok,no_endpoint,2024-01-02T00:00:00Z,app.uninstalled,0\n"));
    free(rows);
    acknowledge(store, 2);
    add(store, "ann,2024-02-01,app.installed,,,,,,,w,3\n");
    rows = advance_to(store, "2024-02-10");
    assert_non_null(strstr(rows, ",ann,endpoint,push/,no_endpoint,spam_reported,2024-02-01T00:00:00Z,app.installed,0\n"));
    free(rows);
    lapse_store_close(store);
}

/* An objection goes on through those before it, unless it was lifted between them: by a grant for profiling, which is no
 * lift at the instant of the next objection. Confirmations lift as grants do. */
static void since_when_somebody_objects(void **state)
{
    static const struct {
        const char *said, *since;
    } cases[] = {
        { "ann,2024-01-05,consent.objected,,,,,,,w,5\nann,2024-01-09,consent.objected,,,,,,,w,6\n", "2024-01-05" },
        { "ann,2024-01-05,consent.objected,,,,,,,w,5\nann,2024-01-07,consent.granted,,email,profiling,,,,w,6\n"
          "ann,2024-01-09,consent.objected,,,,,,,w,7\n", "2024-01-09" },
        { "ann,2024-01-05,consent.objected,,,,,,,w,5\nann,2024-01-09,consent.granted,,email,profiling,,,,w,6\n"
          "ann,2024-01-09,consent.objected,,,,,,,w,7\n", "2024-01-05" },
        { "ann,2024-01-05,consent.objected,,,,,,,w,5\nann,2024-01-06,consent.requested,,email,profiling,,,t,w,6\n"
          "ann,2024-01-07,consent.confirmed,,email,profiling,,,t,w,7\nann,2024-01-09,consent.objected,,,,,,,w,8\n"
          "ann,2024-01-11,consent.objected,,,,,,,w,9\n", "2024-01-09" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = store_of(small_shop);
        char expected[100];
        add(store, cases[i].said);
        char *got = advance_to(store, "2024-02-01"), *row = strstr(got, "ann,rights,");
        snprintf(expected, sizeof expected, "ann,rights,,none,objected,%sT00:00:00Z,consent.objected,0\n", cases[i].since);
        if (!row || strncmp(row, expected, strlen(expected)) != 0)
            fail_msg("case %zu: %.90s is not %s", i, row ? row : got, expected);
        free(got);
        lapse_store_close(store);
    }
}

static void a_baseline_tells_nothing(void **state)
{
    lapse_store *store = store_of(small_shop);
    (void)state;
    char *none = advance_with(store, (struct call){ .as_of = "2024-02-01", .flags = LAPSE_ADVANCE_BASELINE });
    assert_string_equal(none, "");
    free(none);
    assert_told(store, "2024-02-01", "");
    add(store, "ann,2024-01-20,account.closed,,,,,,,w,4\n"); /* before it */
    char *rows = advance_to(store, "2024-02-01");
    assert_non_null(strstr(rows, "1,ann,account,,open,closed,2024-01-20T00:00:00Z,account.closed,1\n"));
    assert_non_null(strstr(rows, ",ann,consent,email/marketing/,granted,withdrawn,2024-01-20T00:00:00Z,account.closed,1\n"));
    free(rows);
    lapse_store_close(store);
}

static void as_of_never_goes_back(void **state)
{
    lapse_store *store = store_of(small_shop);
    struct text out = { 0 };
    lapse_error error;
    (void)state;
    free(advance_to(store, "2024-02-01"));
    assert_int_equal(try_advance(store, (struct call){ .as_of = "2024-01-31" }, &out, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "2024-02-01T00:00:00Z"));
    assert_told(store, "2024-02-01", told_first);
    lapse_store_close(store);
}

static void another_policy_is_adopted_or_refused(void **state)
{
    lapse_store *store = store_of(small_shop);
    struct text out = { 0 };
    lapse_error error;
    const char *strict = "engagement.risk=10d engagement.inactive=20d";
    (void)state;
    free(advance_to(store, "2024-02-01"));
    acknowledge(store, 6);
    assert_int_equal(try_advance(store, (struct call){ .as_of = "2024-02-02", .policy = strict }, &out, &error),
                     LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "--adopt-policy"));
    char *rows = advance_with(store, (struct call){ "2024-02-02", strict, LAPSE_ADVANCE_ADOPT_POLICY, 0 });
    assert_string_equal(rows, "7,ann,engagement,,active,inactive,2024-01-21T00:00:00Z,policy,1\n"
                              "8,bob,engagement,,active,inactive,2024-01-23T00:00:00Z,policy,1\n");
    free(rows);
    acknowledge(store, 8);
    /* Now it is the one; a default that is written out is no other policy. */
    assert_int_equal(try_advance(store, (struct call){ .as_of = "2024-02-02" }, &out, &error), LAPSE_BAD_INPUT);
    rows = advance_with(store, (struct call){ .as_of = "2024-02-02",
                                              .policy = "engagement.risk=10d engagement.inactive=20d purchase.risk=90d" });
    assert_string_equal(rows, "");
    free(rows);
    rows = advance_with(store, (struct call){ "2024-02-02", NULL, LAPSE_ADVANCE_ADOPT_POLICY, 0 });
    assert_string_equal(rows, "9,ann,engagement,,inactive,active,2024-01-01T00:00:00Z,policy,1\n"
                              "10,bob,engagement,,inactive,active,2024-01-03T00:00:00Z,policy,1\n");
    free(rows);
    lapse_store_close(store);
}

static void a_limit_goes_on_with_the_same_instant(void **state)
{
    lapse_store *store = store_of(small_shop);
    const char *at = told_first;
    (void)state;
    for (int64_t seq = 2; seq <= 6; seq += 2) {
        int64_t confirmed = -1;
        char *rows = advance_with(store, (struct call){ .as_of = "2024-02-01", .limit = 2 });
        assert_int_equal(strncmp(rows, at, strlen(rows)), 0);
        assert_int_equal(strtoll(strchr(rows, '\n') + 1, NULL, 10), seq);
        at += strlen(rows);
        free(rows);
        assert_int_equal(lapse_store_acknowledged(store, &confirmed, NULL), LAPSE_OK);
        assert_int_equal(confirmed, seq - 2);
        acknowledge(store, seq);
        acknowledge(store, seq - 1); /* takes nothing back */
        assert_int_equal(lapse_store_acknowledged(store, &confirmed, NULL), LAPSE_OK);
        assert_int_equal(confirmed, seq);
    }
    assert_int_equal(*at, 0);
    lapse_store_close(store);
}

static void what_is_refused(void **state)
{
    lapse_store *store = store_of(small_shop);
    lapse_advance_options o;
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    int64_t time = 1;
    (void)state;
    assert_int_equal(lapse_store_next_deadline(store, &time, NULL), LAPSE_NOT_FOUND);
    assert_int_equal(time, 0);
    assert_int_equal(lapse_store_next_deadline(store, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_acknowledged(store, &time, NULL), LAPSE_OK); /* nothing was told */
    assert_int_equal(time, 0);
    assert_int_equal(lapse_store_acknowledged(store, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_acknowledged(NULL, &time, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_acknowledge(store, 1, &error), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_store_acknowledge(store, -1, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_acknowledge(NULL, 1, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_advance(NULL, 1, NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_advance(store, 1, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_advance(store, INT64_MAX, NULL, &result, NULL), LAPSE_BAD_INPUT);
    assert_null(result);
    assert_int_equal(lapse_advance_options_init(NULL, sizeof o), LAPSE_INVALID);
    static const struct {
        uint32_t flags;
        int64_t limit;
        int32_t mode, reserved;
        lapse_status status;
    } bad[] = { { 4, 0, 1, 0, LAPSE_INVALID }, { 0, -1, 1, 0, LAPSE_INVALID }, { 0, 0, 1, 1, LAPSE_INVALID },
                { 0, 0, 0, 0, LAPSE_INVALID }, { 0, 0, LAPSE_ADVANCE_PATH, 0, LAPSE_UNSUPPORTED } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(lapse_advance_options_init(&o, sizeof o), LAPSE_OK);
        o.flags = bad[i].flags;
        o.limit = bad[i].limit;
        o.mode = bad[i].mode;
        o.reserved = bad[i].reserved;
        assert_int_equal(lapse_store_advance(store, instant("2024-02-01"), &o, &result, NULL), bad[i].status);
    }
    assert_told(store, "2024-02-01", told_first); /* nothing of that has left anything */
    lapse_store_close(store);
}

static int32_t stop(void *user, int64_t done, int64_t total)
{
    (void)total;
    *(int64_t *)user = done;
    return 1;
}

static void cancelled_nothing_has_changed(void **state)
{
    enum { MANY = 5000 };
    lapse_store *store = store_of(NULL);
    struct text t = { 0 };
    int64_t done = 0;
    lapse_advance_options o;
    lapse_result *result;
    (void)state;
    putf(&t, "customer,time\n");
    for (int i = 0; i < MANY; i++)
        putf(&t, "c%d,2024-01-01\n", i);
    add_events(store, t.data, t.size);
    free(t.data);
    assert_int_equal(lapse_advance_options_init(&o, sizeof o), LAPSE_OK);
    o.on_progress = stop;
    o.progress_user = &done;
    assert_int_equal(lapse_store_advance(store, instant("2024-02-01"), &o, &result, NULL), LAPSE_CANCELLED);
    assert_in_range(done, 1, MANY);
    char *rows = advance_to(store, "2024-01-02"); /* before that: there was no call */
    assert_non_null(strstr(rows, "15000,c999,purchase,"));
    free(rows);
    lapse_store_close(store);
}

/* Ids as long as they may be, alike up to where they do not fit into a key any more. */
static void the_longest_ids(void **state)
{
    lapse_store *store = store_of(NULL);
    struct text t = { 0 };
    char id[256];
    (void)state;
    putf(&t, "customer,time\n");
    for (int i = 0; i < 8; i++) {
        memset(id, 'x', sizeof id - 1);
        id[255 - i] = 0;
        putf(&t, "%s,2024-01-01\n", id);
        id[254 - i] = 'y';
        putf(&t, "%s,2024-01-01\n", id);
    }
    add_events(store, t.data, t.size);
    free(t.data);
    char *first = advance_to(store, "2024-02-01"), *more;
    const char *last = strrchr(first, 'x');
    assert_non_null(last);
    assert_non_null(strstr(first, "48,"));
    acknowledge(store, 48);
    more = advance_to(store, "2024-06-01");
    struct host host = { .seen = 0 };
    hear(&host, first);
    hear(&host, more);
    assert_int_equal(host.count, 48);
    assert_int_equal(host.seen, 48 + 32);
    free(first);
    free(more);
    lapse_store_close(store);
}

/* ---- all small schedules ---------------------------------------------------------------------------------------------- */

/* Each event comes before the first call, before the second or before the third, in two orders; the calls are at instants
 * that some of the events are after. */
static const char *const pool[] = {
    "ann,2024-01-10,order.placed,10,,,,,o1,w,1\n",
    "ann,2024-02-10,order.refunded,,,,,,o1,w,2\n",
    "ann,2024-03-10,event.retracted,,,,,,2,w,3\n",
    "ann,2024-01-10,consent.withdrawn,,email,marketing,,,,w,4\n",
    "ann,2024-03-05,consent.granted,,email,marketing,,,,w,5\n",
    "ann,2024-02-20,message.bounced,,email,,,hard,,w,6\n",
    "ann,2024-05-20,session.started,,,,,,,w,7\n",
};
enum { POOL = sizeof pool / sizeof pool[0] };
static const char *const instants[][3] = { { "2024-02-15", "2024-03-07", "2024-06-01" },
                                           { "2024-01-10", "2024-06-01", "2024-06-01" },
                                           { "2024-06-01", "2024-09-01", "2025-06-01" } };

static void deliver(lapse_store *store, int schedule, int round, bool singly)
{
    struct text t = { 0 };
    for (int i = 0; i < POOL; i++) {
        int at = singly ? POOL - 1 - i : i, which = schedule;
        for (int k = 0; k < at; k++)
            which /= 3;
        if (which % 3 != round)
            continue;
        if (singly)
            add(store, pool[at]);
        else
            putf(&t, "%s", pool[at]);
    }
    if (t.size)
        add(store, t.data);
    free(t.data);
}

static void every_small_schedule(void **state)
{
    int schedules = 1;
    (void)state;
    for (int i = 0; i < POOL; i++)
        schedules *= 3;
    for (size_t when = 0; when < sizeof instants / sizeof instants[0]; when++) {
        lapse_store *all = store_of(NULL);
        struct host pure = { .seen = 0 };
        for (int i = 0; i < POOL; i++)
            add(all, pool[i]);
        char *rows = advance_to(all, instants[when][2]);
        hear(&pure, rows);
        free(rows);
        lapse_store_close(all);
        /* a fourth of them for each set of instants, or with LAPSE_TEST_LONG all; 4 and 3 have no divisor in common */
        const int step = getenv("LAPSE_TEST_LONG") ? 1 : 4;
        for (int s = (int)when % step; s < schedules; s += step) {
            lapse_store *one = store_of(NULL), *two = store_of(NULL);
            struct host host = { .seen = 0 };
            for (int round = 0; round < 3; round++) {
                deliver(one, s, round, false);
                deliver(two, s, round, true);
                char *told = advance_to(one, instants[when][round]), *other = advance_to(two, instants[when][round]);
                assert_string_equal(told, other); /* V4 */
                hear(&host, told);
                if ((s + round) % 2 && host.seen) {
                    acknowledge(one, host.seen);
                    acknowledge(two, host.seen);
                }
                free(told);
                free(other);
            }
            assert_same_states(&host, &pure);
            lapse_store_close(one);
            lapse_store_close(two);
        }
    }
}

/* ---- what an answer is made of ------------------------------------------------------------------------------------------- */

/* A store made from an export begins with nothing told. */
static void an_export_holds_events_only(void **state)
{
    lapse_store *store = store_of(small_shop), *copy;
    lapse_view *view;
    lapse_result *result;
    struct text out = { 0 };
    (void)state;
    free(advance_to(store, "2024-02-01"));
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, put_bytes, &out, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
    copy = store_of(out.data);
    assert_told(copy, "2024-02-01", told_first);
    free(out.data);
    lapse_store_close(store);
    lapse_store_close(copy);
}

/* The result outlives its store's handle, and tells what was unconfirmed when it was made. */
static void a_result_keeps_what_it_reads(void **state)
{
    lapse_store *store = store_of(small_shop);
    lapse_result *result;
    struct text out = { 0 };
    (void)state;
    assert_int_equal(lapse_store_advance(store, instant("2024-02-01"), NULL, &result, NULL), LAPSE_OK);
    acknowledge(store, 6);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    lapse_store_close(store);
    assert_int_equal(lapse_result_write_csv(result, put_bytes, &out, NULL), LAPSE_OK);
    assert_string_equal(strchr(out.data, '\n') + 1, told_first);
    lapse_result_free(result);
    free(out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_once_until_confirmed),
        cmocka_unit_test(net_tells_the_difference_only),
        cmocka_unit_test(the_past_is_corrected),
        cmocka_unit_test(future_events_come_when_they_are_due),
        cmocka_unit_test(an_app_comes_back),
        cmocka_unit_test(since_when_somebody_objects),
        cmocka_unit_test(a_baseline_tells_nothing),
        cmocka_unit_test(as_of_never_goes_back),
        cmocka_unit_test(another_policy_is_adopted_or_refused),
        cmocka_unit_test(a_limit_goes_on_with_the_same_instant),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(cancelled_nothing_has_changed),
        cmocka_unit_test(the_longest_ids),
        cmocka_unit_test(every_small_schedule),
        cmocka_unit_test(an_export_holds_events_only),
        cmocka_unit_test(a_result_keeps_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
