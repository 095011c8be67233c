/* Rates, their intervals, and survival on arrays: against published values, values worked out by hand (semantics 6.4 and 6.5),
 * and definitions put in another way. lifelines_check.py compares the same functions with another library. */
#include <math.h>

#include "help.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
#define Z        1.959963984540054

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
    d.weight = (const double[]){ 1, 0, 1 };
    assert_int_equal(lapse_survival_fit(&d, NULL, &result, &error), LAPSE_INVALID);
    assert_int_equal(error.row, 1);
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
    assert_int_equal(lapse_survival_mean(3, time, NULL, NULL, NULL, 1, &out, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(3, time, survival, NULL, lost, 1, &out, &variance, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_survival_mean(3, time, survival, NULL, NULL, 1, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_survival_quantile(3, time, survival, .5, NULL, &defined, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_survival_quantile(3, time, survival, .5, &out, NULL, NULL), LAPSE_INVALID);
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
    };
    return cmocka_run_group_tests_name("churn: formulas", tests, NULL, NULL);
}
