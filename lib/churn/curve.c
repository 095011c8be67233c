/* Kaplan-Meier and Nelson-Aalen: the steps of both estimates, and both on plain arrays with weights and late entry.
 *
 * Between censorings and entries the product of Kaplan and Meier telescopes to a quotient of counts; it is taken so,
 * and 3 of 6 left is 0.5 however many steps led there. Sums run in the order of time, so that the same numbers come
 * out everywhere. */
#include <math.h>

#include "churn/churn.h"

void lapse_curve_begin(struct lapse_curve *c)
{
    *c = (struct lapse_curve){ .survival = 1, .base = 1, .left = -1 };
}

void lapse_curve_step(struct lapse_curve *c, double at_risk, double lost)
{
    if (!(lost > 0))
        return;
    if (at_risk != c->left) {
        c->base = c->survival;
        c->base_count = at_risk;
    }
    c->left = at_risk - lost;
    c->survival = c->base * (c->left / c->base_count);
    c->greenwood += c->left > 0 ? lost / (at_risk * c->left) : (double)INFINITY;
    c->hazard += lost / at_risk;
    c->hazard_variance += lost / (at_risk * at_risk);
}

bool lapse_curve_interval(const struct lapse_curve *c, double *lower, double *upper)
{
    double v = log(c->survival);
    *lower = *upper = 1;
    if (c->survival <= 0)
        return false;
    if (v < 0) {
        double width = LAPSE_Z95 * sqrt(c->greenwood) / -v;
        *lower = exp(v * exp(width));
        *upper = exp(v * exp(-width));
    }
    return true;
}

void lapse_curve_hazard_interval(const struct lapse_curve *c, double *lower, double *upper)
{
    double width = c->hazard > 0 ? LAPSE_Z95 * sqrt(c->hazard_variance) / c->hazard : 0;
    *lower = c->hazard * exp(-width);
    *upper = c->hazard * exp(width);
}

/* ---- on arrays ---- */

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_durations, weight) + sizeof(double *))

enum { TIME, AT_RISK, LOST, CENSORED, SURVIVAL, GREENWOOD, LOWER, UPPER, HAZARD, HAZARD_VARIANCE, COLUMNS };

static const struct lapse_column_spec specs[COLUMNS] = {
    [TIME] = { "time", LAPSE_TYPE_DOUBLE, 0 },
    [AT_RISK] = { "at_risk", LAPSE_TYPE_DOUBLE, 0 },
    [LOST] = { "lost", LAPSE_TYPE_DOUBLE, 0 },
    [CENSORED] = { "censored", LAPSE_TYPE_DOUBLE, 0 },
    [SURVIVAL] = { "survival", LAPSE_TYPE_DOUBLE, 0 },
    [GREENWOOD] = { "greenwood", LAPSE_TYPE_DOUBLE, 0 },
    [LOWER] = { "lower", LAPSE_TYPE_DOUBLE, 0 },
    [UPPER] = { "upper", LAPSE_TYPE_DOUBLE, 0 },
    [HAZARD] = { "hazard", LAPSE_TYPE_DOUBLE, 0 },
    [HAZARD_VARIANCE] = { "hazard_variance", LAPSE_TYPE_DOUBLE, 0 },
};

static bool finite_from(double v, double least)
{
    return v >= least && !isinf(v); /* a NaN fails */
}

static lapse_status check(const lapse_durations *d, lapse_error *error)
{
    double weights = 0;
    if (d->flags || d->count < 0 || d->count > INT32_MAX || (d->count && !d->time))
        return lapse_fail(error, LAPSE_INVALID,
                          "lapse_durations: unknown flags, no times, or a count not from 0 to %d", INT32_MAX);
    for (int64_t i = 0; i < d->count; i++) {
        const char *rule = NULL;
        if (!finite_from(d->time[i], 0))
            rule = "the time is not a finite number of 0 or more";
        else if (d->lost && d->lost[i] > 1)
            rule = "lost is neither 0 nor 1";
        else if (d->entry && !finite_from(d->entry[i], 0))
            rule = "the entry is not a finite number of 0 or more";
        else if (d->entry && d->entry[i] > 0 && d->entry[i] >= d->time[i])
            rule = "the entry is not below the time";
        else if (d->weight && !(finite_from(d->weight[i], 0) && d->weight[i] > 0))
            rule = "the weight is not a finite number above 0";
        if (rule) {
            struct lapse_place place = { .row = i };
            return lapse_fail_at(error, LAPSE_INVALID, &place, NULL, 0, rule);
        }
        weights += d->weight ? d->weight[i] : 1;
    }
    if (isinf(weights))
        return lapse_fail(error, LAPSE_INVALID, "lapse_durations: the sum of the weights is not finite");
    return LAPSE_OK;
}

/* Subjects in the order of a value of 0 or more, and for each the weight of itself and all after it. */
struct ranks {
    struct lapse_sort_key *keys, *sorted; /* keys: two arrays of count */
    double *rest;                         /* count + 1 */
};

static uint64_t bits_of(double v)
{
    uint64_t bits;
    v += 0.0;                       /* -0 is 0 */
    memcpy(&bits, &v, sizeof bits); /* in the order of the values: none is negative */
    return bits;
}

static bool rank(const lapse_allocator *mem, const lapse_durations *d, const double *value, struct ranks *r)
{
    size_t n = (size_t)d->count;
    r->keys = lapse_mem_alloc(mem, 2 * n * sizeof *r->keys + 1);
    r->rest = lapse_mem_alloc(mem, (n + 1) * sizeof *r->rest);
    if (!r->keys || !r->rest)
        return false;
    for (size_t i = 0; i < n; i++)
        r->keys[i] = (struct lapse_sort_key){ bits_of(value[i]), (uint32_t)i };
    r->sorted = lapse_sort_keys(r->keys, r->keys + n, n);
    r->rest[n] = 0;
    for (size_t i = n; i-- > 0;)
        r->rest[i] = r->rest[i + 1] + (d->weight ? d->weight[r->sorted[i].index] : 1);
    return true;
}

static void put_row(struct lapse_builder *b, const struct lapse_curve *c, const double counts[SURVIVAL])
{
    double lower, upper;
    bool interval = lapse_curve_interval(c, &lower, &upper);
    for (int32_t i = TIME; i <= CENSORED; i++)
        lapse_builder_double(b, i, counts[i]);
    lapse_builder_double(b, SURVIVAL, c->survival);
    lapse_builder_double(b, GREENWOOD, interval ? c->greenwood : (double)NAN);
    lapse_builder_double(b, LOWER, interval ? lower : (double)NAN);
    lapse_builder_double(b, UPPER, interval ? upper : (double)NAN);
    lapse_builder_double(b, HAZARD, c->hazard);
    lapse_builder_double(b, HAZARD_VARIANCE, c->hazard_variance);
}

/* Who is at risk at a time: those whose time is not below it, without those whose entry is not below it. */
static void put_rows(struct lapse_builder *b, const lapse_durations *d, const struct ranks *times,
                     const struct ranks *entries)
{
    size_t n = (size_t)d->count, late = 0;
    struct lapse_curve curve;
    lapse_curve_begin(&curve);
    for (size_t i = 0, next; i < n; i = next) {
        double time = d->time[times->sorted[i].index], counts[SURVIVAL] = { time + 0.0, times->rest[i], 0, 0 };
        size_t lost = 0, at_risk = n - i;
        for (next = i; next < n && times->sorted[next].key == times->sorted[i].key; next++) {
            uint32_t subject = times->sorted[next].index;
            bool is_lost = !d->lost || d->lost[subject];
            counts[is_lost ? LOST : CENSORED] += d->weight ? d->weight[subject] : 1;
            lost += is_lost;
        }
        if (d->entry) {
            while (late < n &&
                   (d->entry[entries->sorted[late].index] < time || d->entry[entries->sorted[late].index] <= 0))
                late++;
            counts[AT_RISK] -= entries->rest[late];
            at_risk -= n - late;
        }
        /* Sums of weights are rounded; who is left is not a matter of rounding. */
        if (at_risk == lost || counts[AT_RISK] < counts[LOST])
            counts[AT_RISK] = counts[LOST];
        lapse_curve_step(&curve, counts[AT_RISK], counts[LOST]);
        put_row(b, &curve, counts);
    }
}

lapse_status lapse_survival_fit(const lapse_durations *durations, const lapse_allocator *allocator,
                                lapse_result **out, lapse_error *error)
{
    lapse_durations d = { .size = sizeof d };
    lapse_allocator mem;
    struct ranks times = { 0 }, entries = { 0 };
    struct lapse_builder *b = NULL;
    if (!out || !durations)
        return lapse_fail(error, LAPSE_INVALID, "out or durations is NULL");
    *out = NULL;
    lapse_status status = lapse_mem_init(&mem, allocator, error);
    if (status == LAPSE_OK)
        status = lapse_options_read(&d, sizeof d, durations, OLDEST, "lapse_durations", error);
    if (status == LAPSE_OK)
        status = check(&d, error);
    if (status != LAPSE_OK)
        return status;
    if (rank(&mem, &d, d.time, &times) && (!d.entry || rank(&mem, &d, d.entry, &entries)) &&
        (b = lapse_builder_new(&mem, specs, COLUMNS, 0)))
        put_rows(b, &d, &times, &entries);
    lapse_mem_free(&mem, times.keys);
    lapse_mem_free(&mem, times.rest);
    lapse_mem_free(&mem, entries.keys);
    lapse_mem_free(&mem, entries.rest);
    return lapse_churn_result(&mem, b, out, error);
}

/* ---- what a curve says ---- */

static lapse_status check_curve(int64_t count, const double *time, const double *survival, lapse_error *error)
{
    if (count < 0 || (count && (!time || !survival)))
        return lapse_fail(error, LAPSE_INVALID,
                          "a survival curve without times or values, or of a negative count");
    for (int64_t i = 0; i < count; i++)
        if (!finite_from(time[i], i ? time[i - 1] : 0) ||
            !(survival[i] >= 0 && survival[i] <= (i ? survival[i - 1] : 1)))
            return lapse_fail(
                error, LAPSE_INVALID,
                "row %lld of a survival curve: times must ascend from 0 on, survival descend from 1 to 0",
                (long long)i);
    return LAPSE_OK;
}

lapse_status lapse_survival_quantile(int64_t count, const double *time, const double *survival, double p,
                                     double *out, int32_t *defined, lapse_error *error)
{
    if (!out || !defined || !(p >= 0 && p < 1))
        return lapse_fail(error, LAPSE_INVALID, "out or defined is NULL, or p is not from 0 to below 1");
    lapse_status status = check_curve(count, time, survival, error);
    if (status != LAPSE_OK)
        return status;
    *defined = 0;
    *out = (double)NAN;
    for (int64_t i = 0; i < count && !*defined; i++)
        if (survival[i] <= p) {
            *out = time[i];
            *defined = 1;
        }
    return LAPSE_OK;
}

static lapse_status check_counts(int64_t count, const double *at_risk, const double *lost, lapse_error *error)
{
    if (count && (!at_risk || !lost))
        return lapse_fail(error, LAPSE_INVALID, "a variance needs at_risk and lost");
    for (int64_t i = 0; i < count; i++)
        if (!finite_from(lost[i], 0) || !finite_from(at_risk[i], lost[i]))
            return lapse_fail(error, LAPSE_INVALID,
                              "row %lld of a survival curve: lost is not from 0 to at_risk", (long long)i);
    return LAPSE_OK;
}

lapse_status lapse_survival_mean(int64_t count, const double *time, const double *survival,
                                 const double *at_risk, const double *lost, double horizon, double *mean,
                                 double *variance, lapse_error *error)
{
    if (!mean || !finite_from(horizon, 0))
        return lapse_fail(error, LAPSE_INVALID,
                          "mean is NULL, or the horizon is not a finite number of 0 or more");
    lapse_status status = check_curve(count, time, survival, error);
    if (status == LAPSE_OK && variance)
        status = check_counts(count, at_risk, lost, error);
    if (status != LAPSE_OK)
        return status;
    double area = 0, end = horizon, sum = 0; /* area from `end` to the horizon */
    for (int64_t i = count; i-- > 0;) {
        if (time[i] >= horizon)
            continue;
        area += survival[i] * (end - time[i]);
        end = time[i];
        if (variance && lost[i] > 0 && lost[i] < at_risk[i])
            sum += area * area * (lost[i] / (at_risk[i] * (at_risk[i] - lost[i])));
    }
    *mean = area + end;
    if (variance)
        *variance = sum;
    return LAPSE_OK;
}
