/* Failing allocations of answers: each question that a view, a store or a policy is asked, written as CSV, collected, and
 * pulled part by part. */
#define _POSIX_C_SOURCE 200809L

#include "failing.h"

#include "store/store.h"

static lapse_status ask_history(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_history(view, "dan", out, error);
}

static lapse_status ask_info(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)view;
    return lapse_store_info(store, out, error);
}

static lapse_status ask_rfm(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.flags = LAPSE_RFM_WEIGHTED;
    return lapse_view_rfm(view, &o, out, error);
}

static lapse_status ask_nested(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.flags = LAPSE_RFM_NESTED | LAPSE_RFM_FREQUENCY_DAYS | LAPSE_RFM_MONETARY_MEAN;
    o.threads = 3;
    o.window = 2;
    o.window_unit = LAPSE_UNIT_YEAR;
    return lapse_view_rfm(view, &o, out, error);
}

static const char segments[] = "segment,r_min,r_max,f_min,f_max,m_min,m_max\nbest,4,,4,,,\n\"the \"\"rest\"\"\",1,3,,,,\n"
                               "never,1,1,1,1,1,1\n";

static lapse_status ask_segments(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.segments = segments;
    o.segments_size = (int64_t)strlen(segments);
    return lapse_view_segments(view, &o, out, error);
}

static lapse_status ask_rfm_segments(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.segments = segments;
    o.segments_size = (int64_t)strlen(segments);
    o.threads = 2;
    return lapse_view_rfm(view, &o, out, error);
}

/* Several instants, NTILE, fixed cuts: what is worked out as rows are pulled fails then. */
static lapse_status ask_months(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.cuts = LAPSE_CUTS_NTILE;
    o.flags = LAPSE_RFM_NESTED | LAPSE_RFM_FREQUENCY_DAYS;
    o.from = INT64_C(1672531200000000);
    o.every = LAPSE_EVERY_QUARTER;
    o.threads = 2;
    return lapse_view_rfm(view, &o, out, error);
}

static lapse_status ask_segment_months(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    lapse_cuts cuts = { .size = sizeof cuts };
    (void)store;
    assert_int_equal(lapse_cuts_parse("30,60,90,200/1,2,3,4/10", 2, &cuts, NULL), LAPSE_OK);
    lapse_rfm_options_init(&o, sizeof o);
    o.cuts = LAPSE_CUTS_FIXED;
    o.fixed = &cuts;
    o.from = INT64_C(1672531200000000);
    o.every = LAPSE_EVERY_YEAR;
    return lapse_view_segments(view, &o, out, error);
}

static lapse_status ask_transitions(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.from = INT64_C(1672531200000000);
    o.threads = 2;
    return lapse_view_transitions(view, &o, out, error);
}

static lapse_status ask_churn(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.from = INT64_C(1672531200000000);
    o.every = LAPSE_EVERY_QUARTER;
    o.threads = 2;
    return lapse_view_churn(view, &o, out, error);
}

static lapse_status ask_cohorts(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.every = LAPSE_EVERY_WEEK;
    o.threads = 2;
    return lapse_view_cohorts(view, &o, out, error);
}

static lapse_status ask_survival(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.basis = LAPSE_CHURN_ACTIVITY;
    o.lost = LAPSE_CHURN_INACTIVE;
    o.flags = LAPSE_SURVIVAL_HAZARD;
    return lapse_view_survival(view, &o, out, error);
}

static lapse_status ask_summary(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.flags = LAPSE_SURVIVAL_SUMMARY;
    return lapse_view_survival(view, &o, out, error);
}

static lapse_status ask_gaps(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_gaps(view, NULL, out, error);
}

static lapse_status ask_fit(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    static const double time[] = { 3, 5, 5, 8 }, entry[] = { 0, 1, 0, 4 };
    lapse_durations d = { .size = sizeof d, .count = 4, .time = time, .entry = entry };
    (void)store;
    (void)view;
    return lapse_survival_fit(&d, &hooks, out, error);
}

/* What the next four ask of is fifth_file below, which has everything that the regions grow arrays for. */
static lapse_status ask_states(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_state_options o;
    (void)store;
    lapse_state_options_init(&o, sizeof o);
    o.threads = 2;
    return lapse_view_states(view, &o, out, error);
}

static lapse_status ask_channels(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_channels(view, NULL, out, error);
}

static lapse_status ask_consent(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_state_options o;
    (void)store;
    lapse_state_options_init(&o, sizeof o);
    o.customer = "kim";
    return lapse_view_consent(view, &o, out, error);
}

static lapse_status ask_permit(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_permit_options o;
    (void)store;
    lapse_permit_options_init(&o, sizeof o);
    o.purpose = LAPSE_PURPOSE_MARKETING;
    o.topic = "news";
    return lapse_view_permit(view, &o, out, error);
}

static lapse_status ask_permit_one(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_decision d = { .size = sizeof d };
    lapse_status status = lapse_view_permit_one(view, NULL, "kim", LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_MARKETING, NULL, &d,
                                                error);
    return status == LAPSE_OK ? ask_permit(store, view, out, error) : status;
}

static lapse_status ask_policy(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_policy *policy = NULL;
    const char text[] = "cap.week = 5\nquiet.from = off\n";
    (void)store;
    (void)view;
    lapse_status status = lapse_policy_new(&hooks, &policy);
    if (status == LAPSE_OK)
        status = lapse_policy_parse(policy, text, (int64_t)strlen(text), error);
    if (status == LAPSE_OK)
        status = lapse_policy_set(policy, "cap.day", "2", error);
    if (status == LAPSE_OK)
        status = lapse_policy_list(policy, out, error);
    else if (error)
        error->status = status; /* lapse_policy_new() has no error to tell */
    lapse_policy_free(policy);
    return status;
}

static const char fifth_file[] =
    "customer,time,kind,channel,topic,value,ref,endpoint,reason\n"
    "kim,2024-03-01,endpoint.added,email,,,,k@example.org,\nkim,2024-03-01,endpoint.added,email,,,,l@example.org,\n"
    "kim,2024-03-02,message.bounced,email,,,,,soft\nkim,2024-03-02,message.sent,sms,,,,,\n"
    "kim,2024-03-02,preference.set,,news,0,,,\nkim,2024-03-02,preference.set,,other,1,,,\n"
    "kim,2024-03-02,consent.withdrawn,,,,,,\nkim,2024-03-03,consent.requested,email,,,u,,\n"
    "kim,2024-03-03,consent.requested,email,,,v,,\nkim,2024-03-03,order.placed,,,,p1,,\n"
    "kim,2024-03-04,order.cancelled,,,,p1,,\n";

static void asking(void **state)
{
    static const struct {
        lapse_status (*ask)(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error);
        int64_t as_of;
    } questions[] = {
        { ask_events, INT64_MAX },
        { ask_events, INT64_C(1709251200000000) }, /* 2024-03-01: some events are later */
        { ask_history, INT64_MAX },
        { ask_info, INT64_MAX },
        { ask_rfm, INT64_C(1717200000000000) },
        { ask_nested, INT64_C(1717200000000000) },
        { ask_segments, INT64_C(1717200000000000) },
        { ask_rfm_segments, INT64_C(1717200000000000) },
        { ask_months, INT64_C(1717200000000000) },
        { ask_segment_months, INT64_C(1717200000000000) },
        { ask_transitions, INT64_C(1717200000000000) },
        { ask_churn, INT64_C(1717200000000000) },
        { ask_cohorts, INT64_C(1717200000000000) },
        { ask_survival, INT64_C(1717200000000000) },
        { ask_summary, INT64_C(1717200000000000) },
        { ask_gaps, INT64_C(1717200000000000) },
        { ask_fit, 0 },
        { ask_states, INT64_C(1717200000000000) },
        { ask_channels, INT64_C(1717200000000000) },
        { ask_consent, INT64_C(1717200000000000) },
        { ask_permit, INT64_C(1717200000000000) },
        { ask_permit_one, INT64_C(1717200000000000) },
        { ask_policy, 0 },
    };
    (void)state;
    lapse_store *store = memory_store();
    struct file files[] = {
        { .text = first_file, .threads = 1 },
        { .text = second_file, .threads = 1, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS },
        { .text = third_file, .threads = 1, .flags = LAPSE_IMPORT_NEGATIVE_REFUND, .map = "amount=n*each,source=who" },
        { .text = "customer,time,amount,ref\nann,2024-01-20,8,o7\nbob,2023-01-01,6,\nkim,2024-02-02,2,\n", .threads = 1 },
        { .text = "customer,time,kind,channel,purpose,ref\nkim,2024-02-03,consent.objected,,profiling,\n"
                  "kim,2024-02-04,consent.requested,email,profiling,t\nlou,2024-02-03,consent.objected,,profiling,\n"
                  "lou,2024-02-03,order.placed,,,\nkim,2024-02-05,consent.confirmed,email,profiling,t\n", .threads = 1 },
        { .text = "customer,time,kind,amount,ref,source,event_id\nmia,2024-01-03,,5,m,s,m1\nmia,2024-01-20,,5,n,s,m2\n"
                  "mia,2024-02-01,order.refunded,,n,,\nmia,2024-02-03,event.retracted,,m1,s,\n", .threads = 1 },
        { .text = fifth_file, .threads = 1 },
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(import_file(store, &files[i], NULL), LAPSE_OK);
        free(files[i].told.data);
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        for (int how = WRITE; how <= PULL; how++) {
            struct question q = { .as_of = questions[i].as_of, .ask = questions[i].ask, .how = how };
            assert_int_equal(answer(store, &q, NULL), LAPSE_OK);
            char *expected = q.answer.data;
            assert_true(q.answer.size > 20);
            q.expected = expected;
            q.answer = (struct text){ 0 };
            for (int for_good = 0; for_good < 2; for_good++) {
                lapse_cache_limit(store->cache, 0); /* what it keeps is no leak */
                long live = heap.live;
                lapse_store_keep_blocks(store, true);
                fail_each(store, answer, &q, for_good, false);
                lapse_cache_limit(store->cache, 0);
                assert_int_equal(heap.live, live);
            }
            free(expected);
            free(q.answer.data);
        }
    close_store(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asking),
    };
    return cmocka_run_group_tests_name("memory_answers", tests, make_folder, remove_folder);
}
