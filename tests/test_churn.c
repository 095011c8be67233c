/* Churn, cohorts, survival and gaps: periods against the calendar, and answers on small stores that semantics 6 or a reader
 * with a pencil works out. The formulas: test_churn_formulas.c. Random histories: test_churn.py. */
#include "help.h"

#include "churn/churn.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static lapse_allocator memory;

/* ---- periods ------------------------------------------------------------------------------------------------------ */

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        int year, month, day;
        const char *label[5]; /* day, week, month, quarter, year */
    } cases[] = {
        { 2024, 3, 1, { "2024-03-01", "2024-W09", "2024-03", "2024-Q1", "2024" } },
        { 2021, 1, 3, { "2021-01-03", "2020-W53", "2021-01", "2021-Q1", "2021" } }, /* ISO 8601 */
        { 2024, 12, 30, { "2024-12-30", "2025-W01", "2024-12", "2024-Q4", "2024" } },
        { 1969, 12, 31, { "1969-12-31", "1970-W01", "1969-12", "1969-Q4", "1969" } },
        { 1900, 1, 1, { "1900-01-01", "1900-W01", "1900-01", "1900-Q1", "1900" } },
        { 2999, 12, 31, { "2999-12-31", "3000-W01", "2999-12", "2999-Q4", "2999" } },
    };
    for (int i = 0; i < COUNT(cases); i++)
        for (int32_t every = LAPSE_EVERY_DAY; every <= LAPSE_EVERY_YEAR; every++) {
            int64_t day = lapse_days_from_civil(cases[i].year, cases[i].month, cases[i].day);
            char text[LAPSE_LABEL_ROOM];
            text[lapse_period_label(lapse_period_of_day(day, every), every, text)] = 0;
            assert_string_equal(text, cases[i].label[every - 1]);
        }
    /* every day is in the period that begins at or before it and ends after it */
    for (int64_t day = -26000; day < 20000; day += 3)
        for (int32_t every = LAPSE_EVERY_DAY; every <= LAPSE_EVERY_YEAR; every++) {
            int64_t period = lapse_period_of_day(day, every);
            assert_true(lapse_period_day(period, every) <= day && day < lapse_period_day(period + 1, every));
        }
}

/* A zone whose clock goes an hour back over midnight, and once a day on: as the calendar asked day by day. */
static void test_periods_of_instants(void **state)
{
    (void)state;
    const int64_t hour = 3600 * LAPSE_SECOND;
    const int64_t starts[] = { 0, 9 * LAPSE_DAY + 2 * hour, 31 * LAPSE_DAY + 3 * hour,
                               50 * LAPSE_DAY + 10 * hour };
    const int32_t offsets[] = { -2 * 3600, -3 * 3600, -10 * 3600, 14 * 3600 };
    const struct lapse_zone zone = { 4, starts, offsets };
    for (int32_t every = LAPSE_EVERY_DAY; every <= LAPSE_EVERY_YEAR; every++) {
        struct lapse_periods p;
        int64_t first = -3 * LAPSE_DAY + 12345, last = 100 * LAPSE_DAY;
        assert_true(lapse_periods_new(&memory, &zone, first, last, every, &p));
        for (int64_t time = first; time <= last; time += hour / 4) {
            assert_int_equal(lapse_periods_find(&p, time),
                             lapse_period_of_day(lapse_zone_day(&zone, time), every));
            for (int k = 0; k < 4; k++)
                if (llabs(time - starts[k]) < hour)
                    for (int64_t t = starts[k] - 1; t <= starts[k]; t++)
                        assert_int_equal(lapse_periods_find(&p, t),
                                         lapse_period_of_day(lapse_zone_day(&zone, t), every));
        }
        lapse_periods_free(&memory, &p);
    }
    struct lapse_periods one;
    assert_true(lapse_periods_new(&memory, &lapse_zone_utc, 5, 5, LAPSE_EVERY_MONTH, &one));
    assert_int_equal(lapse_periods_find(&one, 5), 1970 * 12);
    lapse_periods_free(&memory, &one);
}

static void test_tiles(void **state)
{
    (void)state;
    int64_t *ends;
    size_t count;
    int64_t from = lapse_days_from_civil(2024, 1, 31) * LAPSE_DAY,
            to = lapse_days_from_civil(2024, 4, 15) * LAPSE_DAY;
    /* from the 31st, each counted from there */
    assert_int_equal(
        lapse_tiles_new(&memory, &lapse_zone_utc, from, to, LAPSE_EVERY_MONTH, &ends, &count, NULL), LAPSE_OK);
    assert_int_equal(count, 3);
    assert_true(ends[0] == from && ends[1] == lapse_days_from_civil(2024, 2, 29) * LAPSE_DAY &&
                ends[2] == lapse_days_from_civil(2024, 3, 31) * LAPSE_DAY && ends[3] == to);
    lapse_mem_free(&memory, ends);
    /* a span of nothing is one period; one that ends with a period has no empty one after it */
    assert_int_equal(
        lapse_tiles_new(&memory, &lapse_zone_utc, from, from, LAPSE_EVERY_DAY, &ends, &count, NULL), LAPSE_OK);
    assert_true(count == 1 && ends[0] == from && ends[1] == from);
    lapse_mem_free(&memory, ends);
    assert_int_equal(lapse_tiles_new(&memory, &lapse_zone_utc, from, from + 14 * LAPSE_DAY, LAPSE_EVERY_WEEK,
                                     &ends, &count, NULL),
                     LAPSE_OK);
    assert_true(count == 2 && ends[1] == from + 7 * LAPSE_DAY);
    lapse_mem_free(&memory, ends);
    /* days are dates, not 86,400 s */
    const int64_t starts[] = { INT64_MIN, from + 10 * LAPSE_DAY };
    const int32_t offsets[] = { 0, 3600 };
    const struct lapse_zone zone = { 2, starts, offsets };
    assert_int_equal(lapse_tiles_new(&memory, &zone, from, to, LAPSE_EVERY_DAY, &ends, &count, NULL), LAPSE_OK);
    assert_true(ends[9] == from + 9 * LAPSE_DAY && ends[11] == from + 11 * LAPSE_DAY - 3600 * LAPSE_SECOND);
    lapse_mem_free(&memory, ends);
    /* a clock put on by 26 hours skips dates; ends stay where they are meanwhile, and never go back */
    const int32_t far[] = { -12 * 3600, 14 * 3600 };
    const struct lapse_zone skipping = { 2, starts, far };
    assert_int_equal(lapse_tiles_new(&memory, &skipping, from + 21 * 3600 * LAPSE_SECOND, to, LAPSE_EVERY_DAY,
                                     &ends, &count, NULL),
                     LAPSE_OK);
    bool stood = false;
    for (size_t i = 0; i < count; i++) {
        assert_true(ends[i] <= ends[i + 1]);
        stood |= ends[i] == ends[i + 1];
    }
    assert_true(stood);
    lapse_mem_free(&memory, ends);
    assert_int_equal(lapse_tiles_new(&memory, &lapse_zone_utc, INT64_MIN + 1, INT64_MAX, LAPSE_EVERY_DAY, &ends,
                                     &count, NULL),
                     LAPSE_BAD_INPUT);
}

/* ---- through the public interface ----------------------------------------------------------------------------------- */

typedef lapse_status answer_fn(lapse_view *, const lapse_churn_options *, lapse_result **, lapse_error *);

static lapse_churn_options options_from(const char *from)
{
    lapse_churn_options o;
    assert_int_equal(lapse_churn_options_init(&o, sizeof o), LAPSE_OK);
    if (from)
        assert_int_equal(lapse_time_parse(from, 0, NULL, NULL, &o.from, NULL), LAPSE_OK);
    return o;
}

static char *ask(lapse_view *view, answer_fn *answer, const lapse_churn_options *o)
{
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    if (answer(view, o, &result, &error) != LAPSE_OK)
        fail_msg("answer: %s", error.message);
    return csv_of(result);
}

static void expect(lapse_view *view, answer_fn *answer, const lapse_churn_options *o, const char *rows)
{
    char *got = ask(view, answer, o);
    assert_string_equal(got, rows);
    free(got);
}

#define HEAD "customer,time,ref,kind,amount\n"
#define WORKED                                                                                                 \
    HEAD "A,2024-12-10,a1,,5\nA,2025-02-01,a2,,5\nB,2024-09-01,b,,5\nC,2024-08-20,c1,,5\nC,2025-03-20,c2,,5\n" \
         "D,2024-05-01,d,,5\nE,2024-03-01,e1,,5\nE,2025-01-15,e2,,5\nF,2025-01-20,f,,5\nG,2024-07-05,g,,5\n"   \
         "H,2024-10-03,h,,5\nI,2024-06-01,i1,,5\nI,2024-11-11,i2,,5\nJ,2024-12-31,j,,5\n"
#define REFUND "I,2024-11-20,i2,order.refunded,5\n"

static lapse_policy *half_year(void)
{
    return policy_of("purchase.inactive=180d purchase.lost=180d");
}

static const char worked_rows[] =
    "measure,numerator,denominator,value\nchurn,2,5,0.4\nretention,3,5,0.6\nflow_churn,3,5,0.6\n"
    "reactivation_rate,1,4,0.25\nnet_loss,0,5,0\naverage_base_churn,2,5,0.4\nat_start,5,,5\n"
    "at_end,5,,5\nlost_end_state,2,,2\nlost_flow,3,,3\nreactivated,2,,2\nnew,1,,1\n";

/* semantics 6.2, on any number of threads; and without the refund */
static void test_worked_set(void **state)
{
    (void)state;
    lapse_policy *policy = half_year();
    lapse_view *view = view_of(WORKED REFUND, "2025-04-01");
    lapse_churn_options o = options_from("2025-01-01");
    o.policy = policy;
    for (o.threads = 1; o.threads < 4; o.threads++)
        expect(view, lapse_view_churn, &o, worked_rows);
    lapse_view_close(view);
    view = view_of(WORKED, "2025-04-01");
    char *got = ask(view, lapse_view_churn, &o);
    assert_non_null(strstr(got, "\nchurn,2,6,0.3333333333333333\n"));
    free(got);
    lapse_view_close(view);
    view = view_of(WORKED REFUND, "2025-01-18");
    got = ask(view, lapse_view_churn, &o);
    assert_non_null(strstr(got, "\naverage_base_churn,0,5.5,0\n")); /* H6 */
    free(got);
    lapse_view_close(view);
    lapse_policy_free(policy);
}

/* A refund of the last order makes a customer lost when it comes, and only then (H2); of the only one, no customer. */
static void test_refund_at_its_own_instant(void **state)
{
    (void)state;
    lapse_policy *policy = half_year();
    lapse_view *view = view_of(HEAD "x,2024-01-10,a,,5\nx,2024-09-01,b,,5\nx,2024-10-01,b,order.refunded,\n"
                                    "y,2024-08-01,a,,5\ny,2024-10-02,a,order.cancelled,\n",
                               "2025-01-01");
    lapse_churn_options o = options_from("2024-09-15");
    o.policy = policy;
    o.every = LAPSE_EVERY_MONTH;
    char *got = ask(view, lapse_view_churn, &o);
    assert_non_null(strstr(got, "2024-09-15T00:00:00Z,2024-10-15T00:00:00Z,churn,2,2,1\n"));
    assert_non_null(strstr(got, "2024-10-15T00:00:00Z,2024-11-15T00:00:00Z,churn,0,0,\n"));
    assert_non_null(strstr(got, "2024-09-15T00:00:00Z,2024-10-15T00:00:00Z,reactivation_rate,0,0,\n"));
    assert_non_null(
        strstr(got, "2024-10-15T00:00:00Z,2024-11-15T00:00:00Z,reactivation_rate,0,1,0\n")); /* y is nobody */
    free(got);
    lapse_view_close(view);
    lapse_policy_free(policy);
}

static void test_cohorts(void **state)
{
    (void)state;
    lapse_view *view =
        view_of("customer,time\np,2024-01-05\np,2024-02-06\np,2024-03-07\nq,2024-01-05\nq,2024-03-07\n"
                "r,2024-01-05\ns,2024-01-05\ns,2024-02-06\nt,2024-04-01\nq,2024-04-01\n",
                "2024-04-01");
    lapse_churn_options o = options_from(NULL);
    expect(view, lapse_view_cohorts, &o, /* 6.6; what is at the instant counts for unbounded only (H14) */
           "cohort,period,size,active,retained,retained_unbounded\n2024-01,0,4,4,1,1\n2024-01,1,4,2,0.5,0.75\n"
           "2024-01,2,4,2,0.5,0.5\n");
    o.every = LAPSE_EVERY_YEAR;
    expect(view, lapse_view_cohorts, &o,
           "cohort,period,size,active,retained,retained_unbounded\n2024,0,5,5,1,1\n");
    lapse_view_close(view);
}

/* The clock goes from 00:30 on the 1st of February back to 23:30: January comes twice, and is one month. */
static void test_cohorts_where_a_month_comes_twice(void **state)
{
    (void)state;
    const int64_t back = lapse_days_from_civil(2024, 2, 1) * LAPSE_DAY + 1800 * LAPSE_SECOND;
    const int64_t starts[] = { 0, back };
    const int32_t offsets[] = { 0, -3600 };
    lapse_store_options options;
    lapse_store *store;
    lapse_view *view;
    assert_int_equal(lapse_store_options_init(&options, sizeof options), LAPSE_OK);
    options.zone_count = 2;
    options.zone_starts = starts;
    options.zone_offsets = offsets;
    assert_int_equal(lapse_store_open(NULL, &options, &store, NULL), LAPSE_OK);
    static const char csv[] =
        "customer,time\nx,2024-01-05T00:00:00Z\nx,2024-02-01T00:10:00Z\nx,2024-02-01T00:40:00Z\n"
        "x,2024-02-01T02:00:00Z\ny,2024-02-01T00:20:00Z\ny,2024-02-01T00:50:00Z\n";
    add_events(store, csv, strlen(csv));
    assert_int_equal(lapse_view_open(store, lapse_days_from_civil(2024, 3, 1) * LAPSE_DAY, &view, NULL),
                     LAPSE_OK);
    lapse_churn_options o = options_from(NULL);
    expect(view, lapse_view_cohorts, &o,
           "cohort,period,size,active,retained,retained_unbounded\n2024-01,0,1,1,1,1\n2024-01,1,1,1,1,1\n"
           "2024-02,0,1,1,1,1\n");
    o.every = LAPSE_EVERY_DAY;
    char *got = ask(view, lapse_view_cohorts, &o);
    assert_non_null(strstr(got, "\n2024-01-05,26,1,1,1,1\n2024-01-05,27,1,1,1,1\n2024-01-05,28,1,0,0,0\n"));
    free(got);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void test_gaps(void **state)
{
    (void)state;
    char csv[400] = "customer,time\n";
    const int gaps[] = { 0, 10, 12, 15, 18, 20, 25, 30, 45, 60, 120 };
    for (int i = 0, day = 1; i < COUNT(gaps); i++)
        sprintf(csv + strlen(csv), "x,@%d\n", (day += gaps[i]) * 86400);
    lapse_view *view = view_of(csv, "2024-01-01");
    const int32_t quantiles[] = { 400000, 500000, 800000 };
    lapse_churn_options o = options_from(NULL);
    o.quantiles = quantiles;
    o.quantile_count = 3;
    expect(
        view, lapse_view_gaps, &o, /* 6.7 */
        "method,quantile,gaps,days\nnearest_rank,0.4,10,18\nnearest_rank,0.5,10,20\nnearest_rank,0.8,10,45\n");
    o.flags = LAPSE_GAPS_LINEAR;
    expect(view, lapse_view_gaps, &o,
           "method,quantile,gaps,days\nlinear,0.4,10,19.2\nlinear,0.5,10,22.5\nlinear,0.8,10,48\n");
    lapse_view_close(view);
    view = view_of("customer,time\nx,2024-01-01T01:00\nx,2024-01-01T23:00\nx,2024-01-03\n", "2025-01-01");
    o.quantile_count = 1;
    o.flags = 0;
    expect(view, lapse_view_gaps, &o, "method,quantile,gaps,days\nnearest_rank,0.4,2,0\n");
    o.flags = LAPSE_GAPS_DAYS;
    expect(view, lapse_view_gaps, &o, "method,quantile,gaps,days\nnearest_rank,0.4,1,2\n");
    lapse_view_close(view);
}

/* An order at the deadline itself comes first (S8); one later by a microsecond is too late. */
static void test_survival_at_the_deadline(void **state)
{
    (void)state;
    lapse_policy *policy = half_year();
    lapse_churn_options o = options_from(NULL);
    o.policy = policy;
    lapse_view *view =
        view_of("customer,time\nx,@86400\nx,@15638400\ny,@86400\ny,@15638400.000001\nz,@86400\n", "@20000000");
    char *got = ask(view, lapse_view_survival, &o);
    /* x is there 180 days after the order of day 181, so to day 231 from the first; y and z are lost on day 180 */
    assert_non_null(strstr(got, "\n180,3,2,0,0.3333333333333333,"));
    assert_non_null(strstr(got, "\n230,1,0,1,0.3333333333333333,"));
    free(got);
    o.flags = LAPSE_SURVIVAL_SUMMARY;
    got = ask(view, lapse_view_survival, &o);
    assert_non_null(strstr(got, "\n3,2,1,180,230,196.66666666666666,"));
    free(got);
    lapse_view_close(view);
    lapse_policy_free(policy);
}

/* Enough rows for many parts: any number of threads gives the same bytes. */
static void test_threads(void **state)
{
    (void)state;
    static answer_fn *const answers[] = { lapse_view_churn, lapse_view_cohorts, lapse_view_survival, lapse_view_gaps };
    enum { ROWS = 60000, WIDTH = 64 };
    char *csv = malloc(ROWS * WIDTH + 100), *at = csv;
    uint64_t draw = 3;
    at += sprintf(at, "customer,time,ref,kind\n");
    for (int i = 0; i < ROWS; i++) {
        draw = draw * UINT64_C(6364136223846793005) + 1;
        at += sprintf(at, "c%d,@%lld,r%d,%s\n", (int)(draw >> 33) % 9000,
                      1600000000 + (long long)(draw >> 20 & 0xffffff) * 4, (int)(draw >> 50 & 3),
                      draw >> 45 & 7 ? "order.placed" : "order.refunded");
    }
    lapse_view *view = view_of(csv, "2022-11-01");
    lapse_churn_options o = options_from("2020-10-01");
    o.every = LAPSE_EVERY_MONTH;
    for (int a = 0; a < COUNT(answers); a++) {
        o.threads = 1;
        char *one = ask(view, answers[a], &o);
        assert_true(strlen(one) > 200);
        for (o.threads = 2; o.threads < 9; o.threads += 3)
            expect(view, answers[a], &o, one);
        free(one);
    }
    lapse_view_close(view);
    free(csv);
}

static void test_options(void **state)
{
    (void)state;
    lapse_churn_options o;
    unsigned char room[sizeof o + 16];
    assert_int_equal(lapse_churn_options_init(&o, sizeof o), LAPSE_OK);
    assert_true(o.size == sizeof o && o.threads == 1 && o.from == INT64_MIN && o.horizon == -1 && !o.policy &&
                !o.flags);
    assert_int_equal(lapse_churn_options_init(NULL, sizeof o), LAPSE_INVALID);
    assert_int_equal(lapse_churn_options_init(&o, 8), LAPSE_INVALID);
    /* a newer caller, whose extra bytes are zero or are not */
    lapse_view *view = view_of(WORKED, "2025-04-01");
    lapse_result *result = NULL;
    memset(room, 0, sizeof room);
    lapse_churn_options_init(&o, sizeof o);
    memcpy(room, &o, sizeof o);
    ((lapse_churn_options *)(void *)room)->size = sizeof room;
    assert_int_equal(lapse_view_gaps(view, (lapse_churn_options *)(void *)room, &result, NULL), LAPSE_OK);
    lapse_table *table = NULL;
    assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
    assert_int_equal(lapse_table_rows(table), 10);
    lapse_table_release(table);
    lapse_result_free(result);
    room[sizeof room - 1] = 1;
    assert_int_equal(lapse_view_gaps(view, (lapse_churn_options *)(void *)room, &result, NULL), LAPSE_INVALID);
    assert_null(result);
    lapse_view_close(view);
}

static void test_bad_options(void **state)
{
    (void)state;
    static answer_fn *const answers[] = { lapse_view_churn, lapse_view_cohorts, lapse_view_survival,
                                          lapse_view_gaps };
    const int32_t none[] = { 0 }, above[] = { 1000001 };
    lapse_view *view = view_of(WORKED, "2025-04-01");
    lapse_churn_options good = options_from("2025-01-01"), bad[14];
    for (int i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].size = 4;
    bad[1].flags = 1u << 31;
    bad[2].threads = 0;
    bad[3].threads = 65;
    bad[4].basis = 2;
    bad[5].basis = -1;
    bad[6].lost = 2;
    bad[7].every = 6;
    bad[8].every = -1;
    bad[9].horizon = -2;
    bad[10].quantile_count = 1;
    bad[11].quantiles = none;
    bad[11].quantile_count = 1;
    bad[12].quantiles = above;
    bad[12].quantile_count = 1;
    bad[13].reserved = 1;
    for (int a = 0; a < COUNT(answers); a++) {
        lapse_result *result = (lapse_result *)(void *)&good;
        for (int i = 0; i < COUNT(bad); i++) {
            assert_int_equal(answers[a](view, &bad[i], &result, NULL), LAPSE_INVALID);
            assert_null(result);
        }
        assert_int_equal(answers[a](NULL, &good, &result, NULL), LAPSE_INVALID);
        assert_int_equal(answers[a](view, &good, NULL, NULL), LAPSE_INVALID);
        assert_int_equal(answers[a](view, NULL, &result, NULL),
                         a ? LAPSE_OK : LAPSE_INVALID); /* churn needs `from` */
        lapse_result_free(result);
    }
    lapse_error error = { .size = sizeof error };
    lapse_result *result;
    good.from = lapse_view_as_of(view) + 1;
    assert_int_equal(lapse_view_churn(view, &good, &result, &error), LAPSE_BAD_INPUT);
    lapse_view_close(view);
    /* an instant that counts no days is told, where there is something to count */
    lapse_store *store;
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    lapse_store_close(store);
    for (int a = 1; a < COUNT(answers); a++) {
        assert_int_equal(answers[a](view, NULL, &result, NULL), LAPSE_OK);
        lapse_result_free(result);
    }
    lapse_view_close(view);
    store = store_of(WORKED);
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    lapse_store_close(store);
    assert_int_equal(lapse_view_cohorts(view, NULL, &result, &error), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_view_survival(view, NULL, &result, &error), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_view_gaps(view, NULL, &result, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_periods_of_instants),
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_worked_set),
        cmocka_unit_test(test_refund_at_its_own_instant),
        cmocka_unit_test(test_cohorts),
        cmocka_unit_test(test_cohorts_where_a_month_comes_twice),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_survival_at_the_deadline),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("churn", tests, NULL, NULL);
}
