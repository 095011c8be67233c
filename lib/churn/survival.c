/* The answer `survival` (rulings H15 to H22): how long each customer stayed, by the orders known at the instant, and
 * the estimates of curve.c over all of them. Times are whole days, so counters a day hold everything. */
#include <math.h>

#include "churn/churn.h"

struct set {
    struct lapse_orders orders;
    struct lapse_days lost, censored; /* customers by their days */
};

struct counting {
    const lapse_allocator *mem;
    struct lapse_clock clock;
    struct lapse_activity acts;
    const struct lapse_activity *activity; /* NULL: by purchase */
    int32_t limit;
    bool zero_is_valid;
    int64_t as_of;
};

/* A customer as events come: each ends the wait that the one before began. */
struct wait {
    int64_t entry, last, lost; /* LAPSE_MISSING: not yet */
};

/* Deadlines are inclusive, but an event at the deadline itself comes first (S8): `until` is the instant before. */
static void wait_until(const struct counting *c, struct wait *w, int64_t until)
{
    if (w->lost == LAPSE_MISSING && lapse_clock_passed(&c->clock, c->limit, w->last, until))
        w->lost = lapse_clock_deadline(&c->clock, c->limit, w->last);
}

static void event_at(const struct counting *c, struct wait *w, int64_t time)
{
    wait_until(c, w, time - 1);
    w->entry = w->entry == LAPSE_MISSING ? time : w->entry;
    w->last = time;
}

static lapse_status add_customer(void *user, void *set, const struct lapse_history *h, lapse_error *error)
{
    const struct counting *c = user;
    struct set *s = set;
    struct wait w = { LAPSE_MISSING, LAPSE_MISSING, LAPSE_MISSING };
    if (c->activity) {
        for (int64_t i = 0; i < h->count; i++)
            if (lapse_activity_is(c->activity, h, i))
                event_at(c, &w, h->number[LAPSE_F_TIME][i]);
    } else {
        lapse_status status = lapse_orders_net(&s->orders, h, INT64_MIN, c->zero_is_valid, error);
        if (status != LAPSE_OK)
            return status;
        for (size_t i = 0; i < s->orders.count; i++)
            event_at(c, &w, s->orders.items[i].time);
    }
    if (w.entry == LAPSE_MISSING)
        return LAPSE_OK;
    if (c->as_of > LAPSE_TIME_MAX + LAPSE_DAY)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the view's instant is after the year 2999");
    wait_until(c, &w, c->as_of);
    bool lost = w.lost != LAPSE_MISSING;
    int64_t days = lapse_days_between(c->clock.zone, w.entry, lost ? w.lost : c->as_of);
    return lapse_days_count(c->mem, lost ? &s->lost : &s->censored, days, 1) ? LAPSE_OK
                                                                             : lapse_fail_memory(error);
}

static bool open_set(void *user, void *set)
{
    ((struct set *)set)->orders.mem = ((const struct counting *)user)->mem;
    return true;
}

static void close_set(const lapse_allocator *mem, void *set)
{
    struct set *s = set;
    lapse_orders_free(&s->orders);
    lapse_mem_free(mem, s->lost.count);
    lapse_mem_free(mem, s->censored.count);
}

/* ---- the rows ---- */

enum {
    TIME,
    AT_RISK,
    LOST,
    CENSORED,
    SURVIVAL,
    LOWER,
    UPPER,
    PLAIN,
    HAZARD = PLAIN,
    HAZARD_LOWER,
    HAZARD_UPPER,
    COLUMNS
};

static const struct lapse_column_spec specs[COLUMNS] = {
    [TIME] = { "time", LAPSE_TYPE_INT64, 0 },
    [AT_RISK] = { "at_risk", LAPSE_TYPE_INT64, 0 },
    [LOST] = { "lost", LAPSE_TYPE_INT64, 0 },
    [CENSORED] = { "censored", LAPSE_TYPE_INT64, 0 },
    [SURVIVAL] = { "survival", LAPSE_TYPE_DOUBLE, 0 },
    [LOWER] = { "lower", LAPSE_TYPE_DOUBLE, 0 },
    [UPPER] = { "upper", LAPSE_TYPE_DOUBLE, 0 },
    [HAZARD] = { "hazard", LAPSE_TYPE_DOUBLE, 0 },
    [HAZARD_LOWER] = { "hazard_lower", LAPSE_TYPE_DOUBLE, 0 },
    [HAZARD_UPPER] = { "hazard_upper", LAPSE_TYPE_DOUBLE, 0 },
};

static int64_t of_day(const struct lapse_days *days, size_t day)
{
    return day < days->days ? days->count[day] : 0;
}

static int64_t total(const struct lapse_days *days)
{
    int64_t sum = 0;
    for (size_t i = 0; i < days->days; i++)
        sum += days->count[i];
    return sum;
}

static size_t end_of(const struct set *all)
{
    return all->lost.days > all->censored.days ? all->lost.days : all->censored.days;
}

static struct lapse_builder *put_curve(const lapse_allocator *mem, const struct set *all, bool with_hazard)
{
    struct lapse_builder *b = lapse_builder_new(mem, specs, with_hazard ? COLUMNS : PLAIN, 0);
    int64_t at_risk = total(&all->lost) + total(&all->censored);
    struct lapse_curve curve;
    lapse_curve_begin(&curve);
    for (size_t day = 0; day < end_of(all); day++) {
        int64_t lost = of_day(&all->lost, day), censored = of_day(&all->censored, day);
        double lower, upper;
        if (lost + censored == 0)
            continue;
        lapse_curve_step(&curve, (double)at_risk, (double)lost);
        bool interval = lapse_curve_interval(&curve, &lower, &upper);
        lapse_builder_int(b, TIME, (int64_t)day);
        lapse_builder_int(b, AT_RISK, at_risk);
        lapse_builder_int(b, LOST, lost);
        lapse_builder_int(b, CENSORED, censored);
        lapse_builder_double(b, SURVIVAL, curve.survival);
        lapse_builder_double(b, LOWER, interval ? lower : (double)NAN);
        lapse_builder_double(b, UPPER, interval ? upper : (double)NAN);
        if (with_hazard) {
            lapse_curve_hazard_interval(&curve, &lower, &upper);
            lapse_builder_double(b, HAZARD, curve.hazard);
            lapse_builder_double(b, HAZARD_LOWER, lower);
            lapse_builder_double(b, HAZARD_UPPER, upper);
        }
        at_risk -= lost + censored;
    }
    return b;
}

static lapse_status put_summary(const lapse_allocator *mem, const struct set *all, int64_t horizon,
                                struct lapse_builder **out, lapse_error *error)
{
    enum { SUBJECTS, ALL_LOST, ALL_CENSORED, MEDIAN, HORIZON, MEAN, ERROR, SUMMARY };
    static const struct lapse_column_spec columns[SUMMARY] = {
        { "subjects", LAPSE_TYPE_INT64, 0 },
        { "lost", LAPSE_TYPE_INT64, 0 },
        { "censored", LAPSE_TYPE_INT64, 0 },
        { "median", LAPSE_TYPE_INT64, 0 },
        { "horizon", LAPSE_TYPE_INT64, 0 },
        { "restricted_mean", LAPSE_TYPE_DOUBLE, 0 },
        { "restricted_mean_error", LAPSE_TYPE_DOUBLE, 0 },
    };
    int64_t lost = total(&all->lost), censored = total(&all->censored), count = 0, left = lost + censored;
    double *v = lapse_mem_alloc(mem, (4 * end_of(all) + 1) * sizeof *v), mean, variance, median;
    int32_t has_median;
    struct lapse_curve curve;
    *out = NULL;
    if (!v)
        return lapse_fail_memory(error);
    double *time = v, *survival = time + end_of(all), *at_risk = survival + end_of(all),
           *losses = at_risk + end_of(all);
    lapse_curve_begin(&curve);
    for (size_t day = 0; day < end_of(all); day++) {
        if (of_day(&all->lost, day)) {
            lapse_curve_step(&curve, (double)left, (double)of_day(&all->lost, day));
            time[count] = (double)day;
            survival[count] = curve.survival;
            at_risk[count] = (double)left;
            losses[count++] = (double)of_day(&all->lost, day);
        }
        left -= of_day(&all->lost, day) + of_day(&all->censored, day);
    }
    if (horizon < 0)
        horizon = end_of(all) ? (int64_t)end_of(all) - 1 : 0;
    lapse_status status =
        lapse_survival_mean(count, time, survival, at_risk, losses, (double)horizon, &mean, &variance, error);
    if (status == LAPSE_OK)
        status = lapse_survival_quantile(count, time, survival, 0.5, &median, &has_median, error);
    lapse_mem_free(mem, v);
    if (status != LAPSE_OK)
        return status;
    struct lapse_builder *b = *out = lapse_builder_new(mem, columns, SUMMARY, 0);
    if (lost + censored == 0)
        return LAPSE_OK;
    lapse_builder_int(b, SUBJECTS, lost + censored);
    lapse_builder_int(b, ALL_LOST, lost);
    lapse_builder_int(b, ALL_CENSORED, censored);
    if (has_median)
        lapse_builder_int(b, MEDIAN, (int64_t)median);
    else
        lapse_builder_missing(b, MEDIAN);
    lapse_builder_int(b, HORIZON, horizon);
    lapse_builder_double(b, MEAN, mean);
    lapse_builder_double(b, ERROR, sqrt(variance));
    return LAPSE_OK;
}

lapse_status lapse_view_survival(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                                 lapse_error *error)
{
    lapse_churn_options o;
    lapse_status status = lapse_churn_begin(view, options, &o, out, error);
    if (status != LAPSE_OK)
        return status;
    bool acts = o.basis == LAPSE_CHURN_ACTIVITY;
    struct counting c = { .mem = lapse_view_memory(view),
                          .limit = lapse_churn_limit(&o),
                          .as_of = lapse_view_as_of(view) };
    c.activity = acts ? &c.acts : NULL;
    c.zero_is_valid = lapse_policy_value(o.policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0;
    lapse_clock_init(&c.clock, lapse_view_zone(view), o.policy,
                     acts ? LAPSE_BASIS_ACTIVITY : LAPSE_BASIS_PURCHASE);
    lapse_activity_init(&c.acts, o.policy);
    struct lapse_tally tally = {
        view,         &o, acts ? LAPSE_ACTIVITY_FIELDS : LAPSE_ORDER_FIELDS, sizeof(struct set), open_set,
        add_customer, &c
    };
    struct lapse_sets sets;
    struct lapse_builder *b = NULL;
    struct set all = { .lost = { .count = NULL } };
    status = lapse_tally_run(&tally, &sets, error);
    for (size_t i = 0; i < sets.count && status == LAPSE_OK; i++) {
        const struct set *one = sets.set[i];
        if (!lapse_days_add(c.mem, &all.lost, &one->lost) ||
            !lapse_days_add(c.mem, &all.censored, &one->censored))
            status = lapse_fail_memory(error);
    }
    lapse_sets_free(&sets, close_set);
    if (status == LAPSE_OK && o.flags & LAPSE_SURVIVAL_SUMMARY)
        status = put_summary(c.mem, &all, o.horizon, &b, error);
    else if (status == LAPSE_OK)
        b = put_curve(c.mem, &all, o.flags & LAPSE_SURVIVAL_HAZARD);
    close_set(c.mem, &all);
    return status == LAPSE_OK ? lapse_churn_result(c.mem, b, out, error) : status;
}
