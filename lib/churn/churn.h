/* Private header of lib/churn: who stays, who is lost, who comes back, and when. */
#ifndef LAPSE_LIB_CHURN_H
#define LAPSE_LIB_CHURN_H

#include <lapse/churn.h>

#include "base/base.h"
#include "table/table.h"
#include "view/view.h"

/* ---- options.c ------------------------------------------------------------------------------------------- */

/* What each answer begins with: `*out` becomes NULL, the view is checked, and *ours is what the caller wants (NULL:
 * defaults), every number in range. */
lapse_status lapse_churn_begin(const lapse_view *view, const lapse_churn_options *options, lapse_churn_options *ours,
                               lapse_result **out, lapse_error *error);

/* ---- period.c: instants and calendar periods (H11, H13, H14) ------------------------------------------------ */

/* Index of the first of bounds[from .. n), ascending, that is not below `time`; n when there is none. */
static inline size_t lapse_bound_find(const int64_t *bounds, size_t from, size_t n, int64_t time)
{
    while (from < n) {
        size_t middle = from + (n - from) / 2;
        if (bounds[middle] < time)
            from = middle + 1;
        else
            n = middle;
    }
    return from;
}

enum { LAPSE_TILES_MOST = 1000000 };
/* The ends of the tiles of [from, to]: *out has *count + 1 instants that do not descend, from `from` to `to`. */
lapse_status lapse_tiles_new(const lapse_allocator *mem, const struct lapse_zone *zone, int64_t from, int64_t to,
                             int32_t every, int64_t **out, size_t *count, lapse_error *error);

/* The period of any instant of [first, last], exact also where clocks are put back over midnight: stretches of
 * instants of one period, stretch i from start[i] on. Slots of equal length say with which stretch each begins. */
struct lapse_periods {
    int64_t *start, *period;
    size_t count, start_capacity, period_capacity;
    uint32_t *slots;
    int shift; /* a slot is 1 << shift microseconds */
};
bool lapse_periods_new(const lapse_allocator *mem, const struct lapse_zone *zone, int64_t first, int64_t last,
                       int32_t every, struct lapse_periods *out);
void lapse_periods_free(const lapse_allocator *mem, struct lapse_periods *periods);
static inline int64_t lapse_periods_find(const struct lapse_periods *p, int64_t time)
{
    uint64_t slot = ((uint64_t)time - (uint64_t)p->start[0]) >> p->shift;
    return p->period[lapse_bound_find(p->start, p->slots[slot] + 1, p->slots[slot + 1] + 1, time + 1) - 1];
}

/* ---- tally.c: a fold into counters of which each thread has a set of its own -------------------------------- */

struct lapse_tally {
    lapse_view *view;
    const lapse_churn_options *options;
    uint32_t fields;
    size_t size; /* of a set, which begins as zeroes */
    /* False: no memory. NULL: zeroes will do. */
    bool (*open)(void *user, void *set);
    lapse_status (*customer)(void *user, void *set, const struct lapse_history *history, lapse_error *error);
    void *user;
};
struct lapse_sets {
    const lapse_allocator *mem;
    size_t count;
    void *set[LAPSE_FOLD_PARTS]; /* the caller's, to be freed by lapse_sets_free() */
};
/* Which customers a set has counted depends on chance: only sums over all sets mean something. On failure there may
 * be sets too. */
lapse_status lapse_tally_run(const struct lapse_tally *tally, struct lapse_sets *sets, lapse_error *error);
void lapse_sets_free(struct lapse_sets *sets, void (*close)(const lapse_allocator *mem, void *set));

/* Counters by calendar days, growing as days are counted. Zero it. */
struct lapse_days {
    int64_t *count;
    size_t days, capacity; /* days: 1 and the greatest day counted */
};
bool lapse_days_count(const lapse_allocator *mem, struct lapse_days *days, int64_t day, int64_t n);
bool lapse_days_add(const lapse_allocator *mem, struct lapse_days *to, const struct lapse_days *from);
/* Days from the day of one instant to that of a later one, never below 0. */
static inline int64_t lapse_days_between(const struct lapse_zone *zone, int64_t from, int64_t to)
{
    int64_t days = lapse_zone_day(zone, to) - lapse_zone_day(zone, from);
    return days > 0 ? days : 0;
}

/* A result of what the builder holds, which is freed in any case; NULL is one that has failed. */
lapse_status lapse_churn_result(const lapse_allocator *mem, struct lapse_builder *b, lapse_result **out,
                                lapse_error *error);
/* The state that counts as lost. */
static inline int32_t lapse_churn_limit(const lapse_churn_options *o)
{
    return o->lost == LAPSE_CHURN_INACTIVE ? LAPSE_CLOCK_INACTIVE : LAPSE_CLOCK_LOST;
}

/* ---- curve.c: survival and hazard, one time after the other, ascending --------------------------------------- */

#define LAPSE_Z95 1.959963984540054 /* of the normal distribution, two-sided 95 % */
struct lapse_curve {
    double survival, greenwood, hazard, hazard_variance;
    double base, base_count, left; /* of the stretch of times since the last censoring or entry */
};
void lapse_curve_begin(struct lapse_curve *curve);
void lapse_curve_step(struct lapse_curve *curve, double at_risk, double lost);
/* 95 % intervals. False: there is none, survival is 0. */
bool lapse_curve_interval(const struct lapse_curve *curve, double *lower, double *upper);
void lapse_curve_hazard_interval(const struct lapse_curve *curve, double *lower, double *upper);

#endif
