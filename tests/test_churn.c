/* Churn, cohorts, survival, gaps: the formulas on numbers against published and hand-made values, the answers on small
 * stores through the public interface, and the steps of a customer's clock. Random histories: test_churn.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lapse/store.h>

#include "churn/churn.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
#define Z        1.959963984540054

static lapse_allocator memory;

static void near(double got, double expected, double within)
{
    if (!(fabs(got - expected) <= within))
        fail_msg("%.17g, expected %.17g", got, expected);
}

/* ---- rates ------------------------------------------------------------------------------------------------- */

static void test_rate(void **state)
{
    (void)state;
    lapse_rate r = { .size = sizeof r };
    assert_int_equal(lapse_rate_of(2, 5, &r, NULL), LAPSE_OK);
    assert_true(r.defined == 1 && r.numerator == 2 && r.denominator == 5 && r.value == 0.4);
    assert_int_equal(lapse_rate_of(0, 0, &r, NULL), LAPSE_OK); /* undefined, never 0 */
    assert_true(r.defined == 0 && r.numerator == 0 && r.denominator == 0 && isnan(r.value));
    assert_int_equal(lapse_rate_of(-2, 5, &r, NULL), LAPSE_OK); /* net loss may be negative */
    assert_true(r.defined == 1 && r.value == -0.4);
    assert_int_equal(lapse_rate_of(INT64_MAX, INT64_MAX, &r, NULL), LAPSE_OK);
    assert_true(r.value == 1);
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_rate_of(1, -5, &r, &error), LAPSE_INVALID);
    assert_non_null(strstr(error.message, "-5"));
    assert_int_equal(lapse_rate_of(1, 5, NULL, NULL), LAPSE_INVALID);
    r.size = 8;
    assert_int_equal(lapse_rate_of(1, 5, &r, NULL), LAPSE_INVALID);
}

/* semantics 6.4 */
static void test_rate_over_other_periods(void **state)
{
    (void)state;
    double out;
    assert_int_equal(lapse_rate_convert(0.05, 1, 12, &out, NULL), LAPSE_OK);
    near(out, 0.4596399123, 5e-11);
    assert_int_equal(lapse_rate_convert(0.4, 3, 1, &out, NULL), LAPSE_OK);
    near(out, 0.1565673347, 5e-11);
    assert_int_equal(lapse_rate_hazard(0.05, 1, &out, NULL), LAPSE_OK);
    near(out, 0.0512932944, 5e-11);
    assert_int_equal(lapse_rate_life(0.05, 1, &out, NULL), LAPSE_OK);
    assert_true(out == 20);
    /* the ends, and where digits would get lost */
    assert_int_equal(lapse_rate_convert(0, 1, 12, &out, NULL), LAPSE_OK);
    assert_true(out == 0 && !signbit(out));
    assert_int_equal(lapse_rate_convert(1, 12, 1, &out, NULL), LAPSE_OK);
    assert_true(out == 1);
    assert_int_equal(lapse_rate_convert(1e-15, 1, 12, &out, NULL), LAPSE_OK);
    near(out, 1.2e-14, 1e-26);
    assert_int_equal(lapse_rate_convert(0, 1e-300, 1e300, &out, NULL), LAPSE_OK);
    assert_true(out == 0);
    assert_int_equal(lapse_rate_hazard(0, 1, &out, NULL), LAPSE_OK);
    assert_true(out == 0 && !signbit(out));
    assert_int_equal(lapse_rate_hazard(1, 1, &out, NULL), LAPSE_OK);
    assert_true(isinf(out));
    /* there and back */
    for (int i = 1; i < 100; i++) {
        double back;
        assert_int_equal(lapse_rate_convert(i / 100.0, 7, 31, &out, NULL), LAPSE_OK);
        assert_int_equal(lapse_rate_convert(out, 31, 7, &back, NULL), LAPSE_OK);
        near(back, i / 100.0, 1e-8);
    }
}

static void test_bad_rates(void **state)
{
    (void)state;
    const double bad[] = { -0.1, 1.1, (double)NAN, (double)INFINITY, -(double)INFINITY };
    const double lengths[] = { 0, -1, (double)NAN, (double)INFINITY };
    double out, upper;
    for (int i = 0; i < COUNT(bad); i++) {
        assert_int_equal(lapse_rate_convert(bad[i], 1, 12, &out, NULL), LAPSE_INVALID);
        assert_int_equal(lapse_rate_hazard(bad[i], 1, &out, NULL), LAPSE_INVALID);
        assert_int_equal(lapse_rate_life(bad[i], 1, &out, NULL), LAPSE_INVALID);
    }
    for (int i = 0; i < COUNT(lengths); i++) {
        assert_int_equal(lapse_rate_convert(0.5, lengths[i], 1, &out, NULL), LAPSE_INVALID);
        assert_int_equal(lapse_rate_convert(0.5, 1, lengths[i], &out, NULL), LAPSE_INVALID);
        assert_int_equal(lapse_rate_hazard(0.5, lengths[i], &out, NULL), LAPSE_INVALID);
        assert_int_equal(lapse_rate_interval(1, 2, i ? lengths[i] : 0, &out, &upper, NULL), LAPSE_INVALID);
    }
    assert_int_equal(lapse_rate_convert(0.5, 1, 1, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rate_life(0, 1, &out, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rate_interval(0, 0, Z, &out, &upper, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rate_interval(-1, 2, Z, &out, &upper, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rate_interval(3, 2, Z, &out, &upper, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rate_interval(1, 2, Z, NULL, &upper, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rate_interval(1, 2, Z, &out, NULL, NULL), LAPSE_INVALID);
}

/* Both limits solve (x - p)^2 = z^2 x (1 - x) / n: the definition of the interval, not its closed form. */
static void test_wilson(void **state)
{
    (void)state;
    double lower, upper;
    for (int n = 1; n < 60; n += 4)
        for (int k = 0; k <= n; k++) {
            double p = (double)k / n;
            assert_int_equal(lapse_rate_interval(k, n, Z, &lower, &upper, NULL), LAPSE_OK);
            near((lower - p) * (lower - p), Z * Z * lower * (1 - lower) / n, 1e-15);
            near((upper - p) * (upper - p), Z * Z * upper * (1 - upper) / n, 1e-15);
            assert_true(lower <= p && p <= upper);
            assert_true((k > 0 || lower == 0) && (k < n || upper == 1) && (k == 0 || k == n || lower < upper));
        }
    assert_int_equal(lapse_rate_interval(2, 5, Z, &lower, &upper, NULL), LAPSE_OK);
    near(lower, 0.117621, 1e-6); /* Wilson's formula by hand: (0.4 + 0.384146 -+ 0.576137) / 1.768293 */
    near(upper, 0.769276, 1e-6);
    assert_int_equal(lapse_rate_interval(1, INT64_MAX, Z, &lower, &upper, NULL), LAPSE_OK);
    assert_true(lower > 0 && upper < 1e-17);
}

/* ---- survival on arrays ---------------------------------------------------------------------------------------- */

struct curve {
    lapse_table *table;
    int64_t rows;
    const double *time, *at_risk, *lost, *censored, *survival, *greenwood, *lower, *upper, *hazard,
        *hazard_variance;
};

static const double *values_of(const lapse_table *table, const char *name)
{
    lapse_column column = { .size = sizeof column };
    assert_int_equal(lapse_table_column(table, lapse_table_find(table, name), &column), LAPSE_OK);
    assert_int_equal(column.type, LAPSE_TYPE_DOUBLE);
    return column.data;
}

static struct curve fit(int64_t n, const double *time, const uint8_t *lost, const double *entry,
                        const double *weight)
{
    lapse_durations d = {
        .size = sizeof d, .count = n, .time = time, .lost = lost, .entry = entry, .weight = weight
    };
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    struct curve c;
    if (lapse_survival_fit(&d, NULL, &result, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(lapse_result_collect(result, &c.table, NULL), LAPSE_OK);
    lapse_result_free(result);
    c.rows = lapse_table_rows(c.table);
    c.time = values_of(c.table, "time");
    c.at_risk = values_of(c.table, "at_risk");
    c.lost = values_of(c.table, "lost");
    c.censored = values_of(c.table, "censored");
    c.survival = values_of(c.table, "survival");
    c.greenwood = values_of(c.table, "greenwood");
    c.lower = values_of(c.table, "lower");
    c.upper = values_of(c.table, "upper");
    c.hazard = values_of(c.table, "hazard");
    c.hazard_variance = values_of(c.table, "hazard_variance");
    return c;
}

static double at(const struct curve *c, const double *values, double time, double before)
{
    for (int64_t i = 0; i < c->rows && c->time[i] <= time; i++)
        before = values[i];
    return before;
}

/* semantics 6.5 */
static void test_worked_survival(void **state)
{
    (void)state;
    const double time[] = { 5, 2, 4, 3, 4 };
    const uint8_t lost[] = { 0, 1, 1, 0, 1 };
    struct curve c = fit(5, time, lost, NULL, NULL);
    double mean, variance, median;
    int32_t defined;
    assert_int_equal(c.rows, 4);
    assert_true(c.survival[0] == 0.8 && c.survival[1] == 0.8);
    near(c.survival[2], 4.0 / 15, 1e-16);
    assert_true(c.hazard[0] == 0.2);
    near(c.hazard[2], 13.0 / 15, 1e-15);
    near(c.greenwood[2], 1.0 / 20 + 2.0 / 3, 1e-15);
    near(c.hazard_variance[2], 1.0 / 25 + 2.0 / 9, 1e-15);
    assert_true(c.at_risk[2] == 3 && c.lost[2] == 2 && c.censored[2] == 0 && c.censored[1] == 1);
    assert_int_equal(
        lapse_survival_mean(c.rows, c.time, c.survival, c.at_risk, c.lost, 5, &mean, &variance, NULL),
        LAPSE_OK);
    near(mean, 58.0 / 15, 1e-15);
    /* areas beyond the losses: from 2 on 28/15, from 4 on 4/15 */
    near(variance, 28.0 / 15 * 28 / 15 / 20 + 4.0 / 15 * 4 / 15 * 2 / 3, 1e-14);
    assert_int_equal(lapse_survival_quantile(c.rows, c.time, c.survival, 0.5, &median, &defined, NULL),
                     LAPSE_OK);
    assert_true(defined && median == 4);
    assert_int_equal(lapse_survival_quantile(c.rows, c.time, c.survival, 0.1, &median, &defined, NULL),
                     LAPSE_OK);
    assert_true(!defined && isnan(median));
    lapse_table_release(c.table);
    /* dropping the censored gives S(4) = 0: the mistake that the set warns of */
    const double without[] = { 2, 4, 4 };
    c = fit(3, without, NULL, NULL, NULL);
    assert_true(c.survival[1] == 0);
    lapse_table_release(c.table);
}

/* peers 2e: lifelines' g3 set, R's values */
static void test_g3(void **state)
{
    (void)state;
    const double rit[] = { 53, 28, 69, 58, 54, 25, 51, 61, 57, 57, 50 }, control[] = { 34, 32, 9, 19, 50, 48 };
    const uint8_t rit_lost[] = { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0 }, control_lost[] = { 1, 1, 1, 1, 0, 0 };
    const struct {
        double time, survival, lower, upper;
    } rows[] = { { 9, .833333, .2731, .975 },
                 { 19, .666667, .1946, .904 },
                 { 32, .5, .1109, .804 },
                 { 34, .333333, .0461, .676 } };
    struct curve c = fit(11, rit, rit_lost, NULL, NULL);
    near(at(&c, c.survival, 25, 1), .909091, 5e-7);
    near(at(&c, c.survival, 53, 1), .779221, 5e-7);
    assert_true(at(&c, c.survival, 24.9, 1) == 1);
    lapse_table_release(c.table);
    c = fit(6, control, control_lost, NULL, NULL);
    for (int i = 0; i < COUNT(rows); i++) {
        near(at(&c, c.survival, rows[i].time, 1), rows[i].survival, 5e-7);
        near(at(&c, c.lower, rows[i].time, 1), rows[i].lower, 5e-5);
        near(at(&c, c.upper, rows[i].time, 1), rows[i].upper, 5e-4);
    }
    assert_true(at(&c, c.survival, 32, 1) == 0.5);
    lapse_table_release(c.table);
}

/* peers 2e: weights, late entry */
static void test_weights_and_entry(void **state)
{
    (void)state;
    const double time[] = { .6, .4, .8, .9 }, weight[] = { 1.5, 2, .8, .9 };
    const uint8_t lost[] = { 0, 1, 1, 0 };
    struct curve c = fit(4, time, lost, NULL, weight);
    const double expected[] = { .6153846153846154, .6153846153846154, .32579185520362, .32579185520362 };
    assert_int_equal(c.rows, 4);
    for (int i = 0; i < 4; i++)
        near(c.survival[i], expected[i], 1e-14);
    lapse_table_release(c.table);

    const double late[] = { 2, 10, 5, 4, 3 }, entry[2][5] = { { 1, 2, 4, 0, 0 }, { 1.9, 0, 0, 0, 0 } };
    const double survival[2][5] = { { .667, .444, .222, .111, 0 }, { .8, .6, .4, .2, 0 } };
    for (int set = 0; set < 2; set++) {
        c = fit(5, late, NULL, entry[set], NULL);
        assert_int_equal(c.rows, 5);
        for (int i = 0; i < 5; i++)
            near(c.survival[i], survival[set][i], 5e-4);
        lapse_table_release(c.table);
    }
}

/* Whole weights are as many subjects; entries of 0 are none; the order of subjects does not matter. */
static void test_weights_are_subjects(void **state)
{
    (void)state;
    double time[8], many[40], weight[8], entry[8] = { 0 }, turned[40];
    uint8_t lost[8], lost_many[40], lost_turned[40];
    uint64_t seed = 7;
    for (int round = 0; round < 300; round++) {
        int n = 0;
        for (int i = 0; i < 8; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1;
            time[i] = (double)(seed >> 33 & 7);
            lost[i] = seed >> 40 & 1;
            weight[i] = 1 + (double)(seed >> 45 & 3);
            for (int k = 0; k < (int)weight[i]; k++, n++) {
                many[n] = time[i];
                lost_many[n] = lost[i];
            }
        }
        for (int i = 0; i < n; i++) {
            turned[i] = many[n - 1 - i];
            lost_turned[i] = lost_many[n - 1 - i];
        }
        struct curve a = fit(8, time, lost, entry, weight), b = fit(n, many, lost_many, NULL, NULL),
                     c = fit(n, turned, lost_turned, NULL, NULL);
        assert_true(a.rows == b.rows && a.rows == c.rows);
        size_t bytes = (size_t)a.rows * sizeof(double);
        assert_memory_equal(a.survival, b.survival, bytes);
        assert_memory_equal(a.hazard, b.hazard, bytes);
        assert_memory_equal(a.at_risk, b.at_risk, bytes);
        assert_memory_equal(b.survival, c.survival, bytes);
        assert_memory_equal(b.hazard_variance, c.hazard_variance, bytes);
        lapse_table_release(a.table);
        lapse_table_release(b.table);
        lapse_table_release(c.table);
    }
}

/* Weights whose sums are rounded: the last one lost leaves nobody, and survival is 0, not nearly 0. */
static void test_nobody_left(void **state)
{
    (void)state;
    double time[30], weight[30], entry[30];
    for (int i = 0; i < 30; i++) {
        time[i] = 30 - i;
        weight[i] = i % 3 ? 0.1 : 1e9 / 3;
        entry[i] = i % 2 ? 0.5 : 0;
    }
    struct curve c = fit(30, time, NULL, entry, weight);
    assert_true(c.survival[29] == 0 && c.survival[28] > 0);
    lapse_table_release(c.table);
    /* the risk set empties before others enter: 0 from there on */
    const double early[] = { 1, 5 }, late[] = { 0, 2 };
    c = fit(2, early, NULL, late, NULL);
    assert_true(c.survival[0] == 0 && c.survival[1] == 0 && c.at_risk[1] == 1 && c.hazard[1] == 2);
    lapse_table_release(c.table);
}

static void test_bad_durations(void **state)
{
    (void)state;
    const double bad[] = { -1, (double)NAN, (double)INFINITY, -(double)INFINITY };
    const double good[] = { 1, 2, 3 };
    double time[] = { 1, 2, 3 }, huge[] = { 1e308, 1e308, 1e308 };
    uint8_t lost[] = { 0, 1, 2 };
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    lapse_durations d = { .size = sizeof d, .count = 3, .time = time };
    for (int i = 0; i < COUNT(bad); i++) {
        time[1] = bad[i];
        lapse_durations as_entry = { .size = sizeof d, .count = 3, .time = good, .entry = time };
        lapse_durations as_weight = { .size = sizeof d, .count = 3, .time = good, .weight = time };
        assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
        assert_int_equal(error.row, 1);
        assert_string_equal(error.message, "row 1: the time is not a finite number of 0 or more");
        assert_null(result);
        time[0] = 0.5;
        assert_int_equal(lapse_survival_fit(&as_entry, NULL, &result, &error), LAPSE_INVALID);
        assert_int_equal(lapse_survival_fit(&as_weight, NULL, &result, &error), LAPSE_INVALID);
        assert_int_equal(error.row, 1);
    }
    time[1] = 2;
    d.lost = lost;
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    assert_int_equal(error.row, 2);
    d.lost = NULL;
    d.entry = good; /* not below the times */
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    d.entry = NULL;
    d.weight = huge;
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    d.weight = NULL;
    d.count = -1;
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    d.count = 3;
    d.flags = 1;
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    d.flags = 0;
    d.time = NULL;
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    d.size = 8;
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    assert_int_equal(lapse_survival_fit(NULL, NULL, &result, &error), LAPSE_INVALID);
    assert_int_equal(lapse_survival_fit(&d, NULL, NULL, &error), LAPSE_INVALID);
    lapse_durations none = { .size = sizeof none };
    assert_int_equal(lapse_survival_fit(&none, NULL, &result, &error), LAPSE_OK);
    lapse_table *table;
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_DONE);
    lapse_result_free(result);
}

static void test_bad_curves(void **state)
{
    (void)state;
    const double time[] = { 1, 2, 3 }, survival[] = { 1, .5, .25 }, at_risk[] = { 4, 4, 2 },
                 lost[] = { 0, 2, 1 };
    const double bad[][3] = { { 1, 3, 2 }, { -1, 2, 3 }, { 1, (double)NAN, 3 }, { 1, 2, (double)INFINITY } };
    const double bad_lost[][3] = {
        { 5, 0, 0 }, { 0, -1, 0 }, { 0, (double)NAN, 0 }, { 0, 0, (double)INFINITY }
    };
    const double no_survival[][3] = { { .5, 1, 0 }, { 1.1, 1, 1 }, { 1, 1, -.1 }, { 1, (double)NAN, 0 } };
    double out, variance;
    int32_t defined;
    for (int i = 0; i < COUNT(bad); i++) {
        assert_int_equal(lapse_survival_quantile(3, bad[i], survival, .5, &out, &defined, NULL), LAPSE_INVALID);
        assert_int_equal(lapse_survival_quantile(3, time, no_survival[i], .5, &out, &defined, NULL),
                         LAPSE_INVALID);
        assert_int_equal(lapse_survival_mean(3, bad[i], survival, NULL, NULL, 3, &out, NULL, NULL),
                         LAPSE_INVALID);
        assert_int_equal(lapse_survival_mean(3, time, survival, at_risk, bad_lost[i], 3, &out, &variance, NULL),
                         LAPSE_INVALID);
    }
    const double not_p[] = { -.1, 1, (double)NAN };
    for (int i = 0; i < COUNT(not_p); i++)
        assert_int_equal(lapse_survival_quantile(3, time, survival, not_p[i], &out, &defined, NULL),
                         LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(3, time, survival, at_risk, NULL, 3, &out, &variance, NULL),
                     LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(3, time, survival, NULL, NULL, (double)INFINITY, &out, NULL, NULL),
                     LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(3, time, survival, NULL, NULL, -1, &out, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(3, NULL, survival, NULL, NULL, 1, &out, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(-1, time, survival, NULL, NULL, 1, &out, NULL, NULL), LAPSE_INVALID);
    /* without a curve everybody stays; beyond its end it is held */
    assert_int_equal(lapse_survival_mean(0, NULL, NULL, NULL, NULL, 7, &out, NULL, NULL), LAPSE_OK);
    assert_true(out == 7);
    assert_int_equal(lapse_survival_mean(3, time, survival, at_risk, lost, 7, &out, &variance, NULL), LAPSE_OK);
    assert_true(out == 2 + .5 + 4 * .25);
    assert_int_equal(lapse_survival_mean(3, time, survival, at_risk, lost, 2.5, &out, &variance, NULL),
                     LAPSE_OK);
    assert_true(out == 2 + .25);
    near(variance, .25 * .25 * 2 / (4 * 2), 1e-16);
}

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

struct text {
    const char *data;
    size_t size, at;
};

static int64_t read_text(void *user, char *buffer, int64_t capacity)
{
    struct text *t = user;
    size_t n = t->size - t->at < (size_t)capacity ? t->size - t->at : (size_t)capacity;
    memcpy(buffer, t->data + t->at, n);
    t->at += n;
    return (int64_t)n;
}

static int32_t put_text(void *user, const char *bytes, int64_t size)
{
    lapse_buffer_put(user, bytes, (size_t)size);
    return 0;
}

typedef lapse_status answer_fn(lapse_view *, const lapse_churn_options *, lapse_result **, lapse_error *);

static lapse_view *view_of(const char *csv, const char *as_of)
{
    lapse_store *store;
    lapse_view *view;
    int64_t time;
    lapse_error error = { .size = sizeof error };
    struct text text = { csv, strlen(csv), 0 };
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    if (lapse_store_import_stream(store, read_text, &text, NULL, NULL, &error) != LAPSE_OK)
        fail_msg("import: %s", error.message);
    assert_int_equal(lapse_store_time(store, as_of, &time, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, time, &view, NULL), LAPSE_OK);
    lapse_store_close(store);
    return view;
}

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
    struct lapse_buffer out;
    lapse_buffer_init(&out, &memory);
    if (answer(view, o, &result, &error) != LAPSE_OK)
        fail_msg("answer: %s", error.message);
    assert_int_equal(lapse_result_write_csv(result, put_text, &out, NULL), LAPSE_OK);
    lapse_buffer_byte(&out, 0);
    lapse_result_free(result);
    char *copy = malloc(out.size);
    memcpy(copy, out.data, out.size);
    lapse_buffer_free(&out);
    return copy;
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
    lapse_policy *policy;
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    assert_int_equal(lapse_policy_set(policy, "purchase.inactive", "180d", NULL), LAPSE_OK);
    assert_int_equal(lapse_policy_set(policy, "purchase.lost", "180d", NULL), LAPSE_OK);
    return policy;
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
    struct text text = {
        "customer,time\nx,2024-01-05T00:00:00Z\nx,2024-02-01T00:10:00Z\nx,2024-02-01T00:40:00Z\n"
        "x,2024-02-01T02:00:00Z\ny,2024-02-01T00:20:00Z\ny,2024-02-01T00:50:00Z\n",
        0, 0
    };
    text.size = strlen(text.data);
    assert_int_equal(lapse_store_import_stream(store, read_text, &text, NULL, NULL, NULL), LAPSE_OK);
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
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    struct text text = { WORKED, strlen(WORKED), 0 };
    assert_int_equal(lapse_store_import_stream(store, read_text, &text, NULL, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    lapse_store_close(store);
    assert_int_equal(lapse_view_cohorts(view, NULL, &result, &error), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_view_survival(view, NULL, &result, &error), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_view_gaps(view, NULL, &result, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
}

static lapse_policy *limits(const char *basis, const char *risk, const char *inactive, const char *lost)
{
    lapse_policy *policy;
    char text[200];
    snprintf(text, sizeof text, "%s.risk = %s\n%s.inactive = %s\n%s.lost = %s\n", basis, risk, basis, inactive,
             basis, lost);
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    assert_int_equal(lapse_policy_parse(policy, text, (int64_t)strlen(text), NULL), LAPSE_OK);
    return policy;
}

/* The quick ways say what the deadlines say, at every microsecond around them; S11 where limits pass each other. */
static void test_clock(void **state)
{
    (void)state;
    static const char *const spans[][3] = { { "90d", "6m", "12m" }, { "1m", "31d", "1y" },
                                            { "5d", "2m", "59d" },  { "1s", "1m", "2m" },
                                            { "1m", "1m", "1m" },   { "31d", "1m", "32d" } };
    const int64_t day = LAPSE_DAY, hour = 3600 * LAPSE_SECOND;
    const int64_t starts[] = { INT64_MIN, 19800 * day + hour, 19900 * day };
    const int32_t offsets[] = { 14 * 3600, -12 * 3600, 13 * 3600 };
    const struct lapse_zone zone = { 3, starts, offsets };
    for (int i = 0; i < COUNT(spans); i++)
        for (int basis = 0; basis < 2; basis++) {
            lapse_policy *policy =
                limits(basis ? "engagement" : "purchase", spans[i][0], spans[i][1], spans[i][2]);
            struct lapse_clock clock;
            lapse_clock_init(&clock, &zone, policy, basis ? LAPSE_BASIS_ACTIVITY : LAPSE_BASIS_PURCHASE);
            for (int64_t last = 19700 * day; last < 20100 * day; last += 7 * hour + 11) {
                int64_t before = last;
                assert_int_equal(lapse_clock_state(&clock, last, last - 1), LAPSE_CLOCK_NEW);
                for (int32_t s = LAPSE_CLOCK_AT_RISK; s <= LAPSE_CLOCK_LOST; s++) {
                    int64_t deadline = lapse_clock_deadline(&clock, s, last),
                            own = lapse_zone_add(&zone, last, clock.limit[s].n, clock.limit[s].unit);
                    assert_true(deadline >= before && deadline <= own && deadline > last);
                    assert_true(s < LAPSE_CLOCK_LOST || deadline == own);
                    assert_true(lapse_clock_passed(&clock, s, last, deadline));
                    assert_false(lapse_clock_passed(&clock, s, last, deadline - 1));
                    assert_true(lapse_clock_state(&clock, last, deadline) >= s);
                    assert_true(lapse_clock_state(&clock, last, deadline - 1) < s);
                    before = deadline;
                }
            }
            assert_int_equal(lapse_clock_state(&clock, LAPSE_MISSING, 0), LAPSE_CLOCK_NEW);
            assert_false(lapse_clock_passed(&clock, LAPSE_CLOCK_LOST, LAPSE_MISSING, INT64_MAX));
            assert_true(lapse_clock_passed(&clock, LAPSE_CLOCK_LOST, LAPSE_TIME_MIN, INT64_MAX));
            lapse_policy_free(policy);
        }
}

static const char *steps_of(const char *csv, const struct lapse_activity *activity)
{
    static char out[1000];
    lapse_view *view = view_of(csv, "2999-01-01");
    struct lapse_cursor *cursor;
    const struct lapse_history *history;
    struct lapse_track track = { .mem = &memory };
    *out = 0;
    uint32_t fields = lapse_track_fields(view, activity ? LAPSE_BASIS_ACTIVITY : LAPSE_BASIS_PURCHASE);
    assert_int_equal(lapse_cursor_open(view, fields, NULL, NULL, &cursor, NULL), LAPSE_OK);
    while (lapse_cursor_next(cursor, &history, NULL) == LAPSE_OK) {
        assert_int_equal(lapse_track_read(&track, history, activity, false, NULL), LAPSE_OK);
        for (size_t i = 0; i < track.count; i++) {
            sprintf(out + strlen(out), " %lld", (long long)(track.steps[i].since / LAPSE_SECOND));
            if (track.steps[i].last == LAPSE_MISSING)
                strcat(out, "-");
            else if (track.steps[i].last != track.steps[i].since)
                sprintf(out + strlen(out), ":%lld", (long long)(track.steps[i].last / LAPSE_SECOND));
        }
    }
    lapse_cursor_close(cursor);
    lapse_track_free(&track);
    lapse_view_close(view);
    return out;
}

/* `9:4` is: from 9 on the last one is that of 4; `9-`: none. */
static void test_track(void **state)
{
    (void)state;
#define EVENTS "customer,time,kind,ref,amount,source,event_id\n"
    static const char *const cases[][2] = {
        { "x,@1,,,5,,\nx,@1,,,5,,\nx,@3,,,0,,\nx,@4,,,,,\n", " 1 4" }, /* ties; free goods; no amount */
        { "x,@1,,a,5,,\nx,@3,,a,5,,\nx,@5,,b,5,,\n", " 1 5" },         /* lines of one order (M9) */
        { "x,@1,,a,0,,\nx,@3,,a,5,,\n", " 3:1" },                      /* valid from its second line on */
        { "x,@1,,a,5,,\nx,@4,,b,5,,\nx,@9,order.refunded,b,,,\n", " 1 4 9:1" },
        { "x,@1,,a,5,,\nx,@9,order.cancelled,a,,,\n", " 1 9-" },
        { "x,@1,order.refunded,a,3,,\nx,@4,,a,5,,\nx,@6,order.refunded,a,2,,\n",
          " 4 6-" }, /* dated before it (M8) */
        { "x,@1,order.cancelled,a,,,\nx,@4,,a,5,,\n", "" },
        { "x,@4,,a,5,,\nx,@4,order.refunded,a,5,,\n", "" }, /* seen after all of the instant */
        { "x,@1,,a,5,,\nx,@2,order.refunded,a,5,,\nx,@3,,a,5,,\nx,@4,order.refunded,a,5,,\nx,@5,,a,1,,\n",
          " 1 2- 3:1 4- 5:1" },
        { "x,@1,,a,5,s,1\nx,@9,event.retracted,1,,s,\n", " 1 9-" },
        { "x,@1,,a,5,s,1\nx,@3,,a,5,s,2\nx,@9,event.retracted,1,,s,\n", " 1 9:3" }, /* its earliest line goes */
        { "x,@1,,a,5,s,1\nx,@1,event.retracted,1,,s,\n", "" },
        { "x,@1,event.retracted,1,,s,\nx,@3,,a,5,s,1\nx,@4,,,5,s,2\n", " 4" }, /* never seen */
        { "x,@1,,a,5,s,1\nx,@9,event.retracted,1,,t,\n", " 1" },               /* of another source */
        { "x,@1,,a,5,s,1\nx,@3,order.refunded,a,5,s,2\nx,@9,event.retracted,2,,s,\n",
          " 1 3- 9:1" }, /* a refund goes */
        { "x,@1,,a,5,s,1\nx,@7,event.retracted,1,,s,\nx,@9,event.retracted,1,,s,\n", " 1 7-" },
    };
    char csv[400];
    for (int i = 0; i < COUNT(cases); i++) {
        snprintf(csv, sizeof csv, "%s%s", EVENTS, cases[i][0]);
        assert_string_equal(steps_of(csv, NULL), cases[i][1]);
    }
    /* activity: a refunded order stays one (X7); no clicks of bots, opens by the policy */
    struct lapse_activity activity;
    const char *acts =
        "customer,time,kind,channel,reason,source,event_id,ref\nx,@1,order.placed,,,,,a\n"
        "x,@2,order.refunded,,,,,a\nx,@3,message.clicked,email,bot,,,\nx,@4,message.clicked,email,,s,1,\n"
        "x,@5,message.opened,email,,,,\nx,@6,info.requested,,,,,\nx,@8,event.retracted,,,s,,1\n";
    lapse_activity_init(&activity, NULL);
    assert_string_equal(steps_of(acts, &activity), " 1 4 8:1");
    lapse_policy *policy;
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    assert_int_equal(lapse_policy_set(policy, "activity.opens", "1", NULL), LAPSE_OK);
    lapse_activity_init(&activity, policy);
    assert_string_equal(steps_of(acts, &activity), " 1 4 5");
    lapse_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_over_other_periods),
        cmocka_unit_test(test_bad_rates),
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_worked_survival),
        cmocka_unit_test(test_g3),
        cmocka_unit_test(test_weights_and_entry),
        cmocka_unit_test(test_weights_are_subjects),
        cmocka_unit_test(test_nobody_left),
        cmocka_unit_test(test_bad_durations),
        cmocka_unit_test(test_bad_curves),
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
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_track),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("churn", tests, NULL, NULL);
}
