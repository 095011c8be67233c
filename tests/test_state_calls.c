/* What the headers promise about the calls that answer about states: arguments, one customer, cancelling, overflows,
 * names, answers of many parts and any number of threads. */
#include "state_cases.h"

static void nobody(void **state)
{
    lapse_store *store = store_of(NULL);
    (void)state;
    for (int i = STATES; i <= PERMIT; i++) {
        char *got = ask(store, (enum which)i, (struct ask){ AT("2024-01-01") });
        assert_int_equal(count_lines(got, "\n"), 1);
        free(got);
        got = ask(store, (enum which)i, (struct ask){ AT("2024-01-01"), .customer = "x" });
        assert_int_equal(count_lines(got, "\n"), i == PERMIT ? 11 : 1); /* K15 */
        free(got);
    }
    lapse_store_close(store);
}

static void one_customer(void **state)
{
    lapse_store *store = store_of_lines("a,2024-01-01,order.placed\naa,2024-01-01,consent.granted,channel=email\n"
                                        "ab,2024-01-01,visitor.seen\nab,2024-03-01,visitor.seen\n");
    (void)state;
    char *got = ask(store, PERMIT, (struct ask){ AT("2024-02-01"), .customer = "aa", .channel = 1 });
    assert_string_equal(strchr(got, '\n') + 1, "aa,email,marketing,allow,,,\n");
    free(got);
    got = ask(store, STATES, (struct ask){ AT("2024-02-01"), .customer = "ab" });
    assert_non_null(strstr(got, "\nab,acquisition,acquisition,active,2024-01-01T00:00:00Z,2024-03-31T00:00:00Z,new,,"
                                "2024-01-01T00:00:00Z,"));
    assert_int_equal(count_lines(got, "\n"), 2);
    free(got);
    got = ask(store, STATES, (struct ask){ AT("2023-02-01"), .customer = "ab" }); /* not yet */
    assert_int_equal(count_lines(got, "\n"), 1);
    free(got);
    lapse_store_close(store);
}

static int32_t cancel(void *user, int64_t done, int64_t total)
{
    assert_true(done <= total);
    return ++*(int *)user;
}

static void refusals(void **state)
{
    lapse_store *store = store_of_lines("a,2024-01-01,order.placed\n");
    lapse_view *view;
    lapse_result *result = (lapse_result *)&store;
    lapse_state_options o;
    lapse_permit_options p;
    lapse_decision d = { .size = sizeof d };
    lapse_table *table;
    char longer[300];
    int calls = 0;
    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[256] = 0;
    assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_states(NULL, NULL, &result, NULL), LAPSE_INVALID);
    assert_null(result);
    assert_int_equal(lapse_view_states(view, NULL, NULL, NULL), LAPSE_INVALID);
    lapse_state_options_init(&o, sizeof o);
    o.threads = 65;
    assert_int_equal(lapse_view_channels(view, &o, &result, NULL), LAPSE_INVALID);
    o.threads = 0;
    assert_int_equal(lapse_view_consent(view, &o, &result, NULL), LAPSE_INVALID);
    o.threads = 1;
    o.flags = 1;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    o.flags = 0;
    o.reserved = 1;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    o.reserved = 0;
    o.customer = "";
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    o.customer = longer;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    assert_null(result);
    o.customer = NULL;
    o.on_progress = cancel;
    o.progress_user = &calls;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_OK);
    assert_int_equal(calls, 0); /* tables are worked out as they are pulled */
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_CANCELLED);
    assert_int_equal(calls, 1);
    lapse_result_free(result);
    lapse_permit_options_init(&p, sizeof p);
    assert_int_equal(lapse_view_permit(view, NULL, &result, NULL), LAPSE_INVALID); /* no purpose */
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.purpose = LAPSE_PURPOSE_SURVEY + 1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.purpose = LAPSE_PURPOSE_SURVEY;
    p.channel = LAPSE_CHANNEL_ADS + 1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.channel = -1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.channel = 0;
    p.topic = longer;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.topic = NULL;
    p.threads = 65;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.threads = 0;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.threads = 1;
    p.reserved = 1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.reserved = 0;
    assert_int_equal(lapse_view_permit(view, &p, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit(NULL, &p, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit(view, &(lapse_permit_options){ .size = 8 }, &result, NULL), LAPSE_INVALID);
    p.flags = 2;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(NULL, NULL, "a", 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, NULL, 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "", 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 0, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 0, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 1, longer, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 1, NULL, NULL, NULL), LAPSE_INVALID);
    d.size = 8;
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void overflows(void **state)
{
    lapse_store *store = store_of_lines("a,2024-01-01,order.placed,ref=1,amount=92233720368547758.07\n"
                                        "a,2024-01-02,order.placed,ref=1,amount=92233720368547758.07\n");
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    lapse_error error = { .size = sizeof error };
    (void)state;
    assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_states(view, NULL, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_next(result, &table, &error), LAPSE_OVERFLOW);
    assert_non_null(strstr(error.message, "customer `a`"));
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void names_of_states(void **state)
{
    static const struct {
        const char *(*name)(int32_t);
        int32_t last;
        const char *text;
    } all[] = { { lapse_stage_name, LAPSE_STAGE_LOYALTY, "loyalty" },
                { lapse_clock_name, LAPSE_CLOCK_LOST, "lost" },
                { lapse_consent_name, LAPSE_CONSENT_EXPIRED, "expired" },
                { lapse_strength_name, LAPSE_STRENGTH_DOUBLE, "double" },
                { lapse_deliverability_name, LAPSE_DELIVERABILITY_MANUAL_BLOCK, "manual_block" },
                { lapse_account_name, LAPSE_ACCOUNT_ERASED, "erased" },
                { lapse_decision_name, LAPSE_DECISION_DEFER, "defer" },
                { lapse_reason_name, LAPSE_REASON_TOPIC_OFF, "topic_off" },
                { lapse_rights_name, LAPSE_RIGHTS_ERASED, "erased" } };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_string_equal(all[i].name(all[i].last), all[i].text);
        assert_null(all[i].name(0));
        assert_null(all[i].name(-1));
        assert_null(all[i].name(all[i].last + 1));
        for (int32_t v = 1; v <= all[i].last; v++)
            assert_non_null(all[i].name(v));
    }
}

/* One customer with more cells than a table has rows. */
static void many_cells(void **state)
{
    enum { TOPICS = 70000 };
    struct text t = { 0 };
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    int64_t rows = 0;
    (void)state;
    putf(&t, "customer,time,kind,channel,topic,value\n");
    for (int i = 0; i < TOPICS; i++)
        putf(&t, "a,2024-01-01,preference.set,email,t%05d,1\n", i);
    lapse_store *store = store_of(t.data);
    assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_consent(view, NULL, &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        assert_true(lapse_table_rows(table) <= 65536);
        rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    assert_int_equal(rows, TOPICS);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
    free(t.data);
}

/* More rows than are worked out at once, in more than one slice: the same tables by any number of threads. */
static void many_rows(void **state)
{
    enum { MANY = 30000, EVENTS = 10 };
    struct text t = { 0 };
    char *first = NULL;
    (void)state;
    putf(&t, "customer,time,kind,channel\n");
    for (int c = 0; c < MANY; c++)
        for (int e = 0; e < EVENTS; e++)
            putf(&t, "c%05d,2024-01-%02d,%s,email\n", c, e + 1, c % 3 ? "consent.granted" : "message.sent");
    lapse_store *store = store_of(t.data);
    free(t.data);
    for (int threads = 1; threads <= 4; threads++) {
        lapse_view *view;
        lapse_result *result;
        lapse_table *table;
        lapse_permit_options p;
        int64_t rows = 0, parts = 0;
        char *got = ask(store, PERMIT, (struct ask){ AT("2024-02-01"), .threads = threads });
        assert_int_equal(count_lines(got, "\n"), 10 * MANY + 1);
        if (first)
            assert_true(strcmp(first, got) == 0);
        if (first)
            free(got);
        else
            first = got;
        /* given up after any number of tables, nothing is lost */
        lapse_permit_options_init(&p, sizeof p);
        p.purpose = LAPSE_PURPOSE_MARKETING;
        p.threads = threads;
        assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_OK);
        lapse_view_close(view);
        while (parts < threads && lapse_result_next(result, &table, NULL) == LAPSE_OK) {
            rows += lapse_table_rows(table);
            lapse_table_release(table);
            parts++;
        }
        assert_true(parts == threads && rows <= parts * 65536);
        lapse_result_free(result);
    }
    for (char *at = strchr(first, '\n') + 1, last[8] = ""; *at; at = strchr(at, '\n') + 1) {
        assert_true(strncmp(last, at, 6) <= 0);
        memcpy(last, at, 6);
    }
    free(first);
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody),
        cmocka_unit_test(one_customer),
        cmocka_unit_test(refusals),
        cmocka_unit_test(overflows),
        cmocka_unit_test(names_of_states),
        cmocka_unit_test(many_cells),
        cmocka_unit_test(many_rows),
    };
    return cmocka_run_group_tests_name("state_calls", tests, NULL, NULL);
}
