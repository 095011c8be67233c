/* Churn, cohorts, survival, gaps between orders; and the formulas behind them on plain numbers. */
#ifndef LAPSE_CHURN_H
#define LAPSE_CHURN_H

#include <lapse/base.h>
#include <lapse/policy.h>
#include <lapse/table.h>
#include <lapse/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What keeps a customer here: the clock whose limits count. @since 0.9 */
enum {
    LAPSE_CHURN_PURCHASE = 0, /**< valid orders, settings purchase.* */
    LAPSE_CHURN_ACTIVITY = 1  /**< any activity, settings engagement.*; a refunded order stays activity */
};

/** When a customer counts as lost. @since 0.9 */
enum {
    LAPSE_CHURN_LOST = 0,    /**< from the deadline of `lost` on */
    LAPSE_CHURN_INACTIVE = 1 /**< already from that of `inactive` on */
};

/** Flags of lapse_churn_options. @since 0.9 */
enum {
    LAPSE_SURVIVAL_HAZARD = 1,  /**< survival: add hazard, hazard_lower, hazard_upper */
    LAPSE_SURVIVAL_SUMMARY = 2, /**< survival: one row instead, subjects to restricted_mean_error */
    LAPSE_GAPS_DAYS = 4,        /**< gaps: orders of one day are one */
    LAPSE_GAPS_LINEAR = 8       /**< gaps: quantiles are interpolated (type 7), not of the nearest rank (type 1) */
};

/** Options of the four answers below; fill with lapse_churn_options_init(). An answer leaves alone what is not its own.
 *  Pointers stay the caller's and are used during the call only. @since 0.9 */
typedef struct lapse_churn_options {
    uint32_t size;
    uint32_t flags;             /**< LAPSE_SURVIVAL_..., LAPSE_GAPS_... */
    const lapse_policy *policy; /**< NULL: defaults */
    int32_t threads;            /**< 1 (default): none beside the caller's; never changes a value; at most 64 */
    int32_t basis;              /**< churn, survival: LAPSE_CHURN_PURCHASE (default), _ACTIVITY */
    int32_t lost;               /**< churn, survival: LAPSE_CHURN_LOST (default), _INACTIVE */
    int32_t every;              /**< churn: periods, LAPSE_EVERY_NONE (default) for one; cohorts: LAPSE_EVERY_MONTH */
    int64_t from;               /**< churn: where the span begins, microseconds; INT64_MIN (default): not said */
    int64_t horizon;            /**< survival, summary: days to which the mean is taken; -1 (default): the longest */
    const int32_t *quantiles;   /**< gaps: in millionths, 1 to 1,000,000; NULL (default): 10, 25, 40, 50, 60, 75, 80,
                                     90, 95, 99 % */
    int32_t quantile_count;     /**< 1 to 1000; 0 when quantiles is NULL */
    int32_t reserved;           /**< 0 */
    lapse_progress_fn on_progress; /**< events read; NULL: nobody is told */
    void *progress_user;
} lapse_churn_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_churn_options_init(lapse_churn_options *options, uint32_t size);

/** Churn from `from` to the view's instant. A customer is here while the clock of `basis` has not come to `lost`; all
 *  states are read inclusively, S at `from`, End at the instant, and flows are changes in (from, instant], each at its
 *  own instant: a loss at its deadline, a refund that undoes the last valid order when it comes. Columns measure
 *  (string), numerator (int64), denominator (decimal), value (double, the exact quotient correctly rounded; missing
 *  when the denominator is 0); rows, |.| being the number of customers:
 *    churn              |in S, not in End| / |S|
 *    retention          |in S and in End| / |S|
 *    flow_churn         lost_flow / |S|, may exceed 1
 *    reactivation_rate  |lost at `from`, with a reactivation in the span| / |lost at `from`|
 *    net_loss           (|S| - |End|) / |S|, may be negative
 *    average_base_churn |in S, not in End| / ((|S| + |End|) / 2)
 *  and the counts at_start, at_end, lost_end_state, lost_flow, reactivated, new, without denominator.
 *  at_end = at_start - lost_flow + reactivated + new, always: lost_flow counts changes from here to lost or to no valid
 *  order, reactivated from lost to here, new from nothing to here.
 *  With `every`, first columns from, to (time), and these rows for each period [from + k units, from + (k+1) units],
 *  the last one cut at the instant; day and week move the date. At most 1,000,000 periods; all in one pass.
 *  LAPSE_BAD_INPUT: `from` is later than the instant, or periods are too many. Customers who objected count.
 *  Memory: 56 bytes a period and thread, and the largest history. `from` must be set: else LAPSE_INVALID. Threads:
 *  as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_churn(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                                        lapse_error *error);

/** Customers by the period `every` of their first valid order, and in which later periods they had one, by the valid
 *  orders known at the view's instant: cohort (string: `2024-03-01`, `2024-W09`, `2024-03`, `2024-Q1`, `2024`), period
 *  (int64, from 0), size, active (int64: members with an order in that period), retained (double: active / size),
 *  retained_unbounded (double: members with one in that period or later / size). A row for each cohort with members and
 *  each period whose first instant is before the view's; ordered by both. LAPSE_BAD_INPUT: more than 8,388,608 rows.
 *  Memory: 16 bytes a row and thread. Threads: as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_cohorts(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                                          lapse_error *error);

/** Kaplan-Meier estimate of how long customers stay. A subject enters with the first valid order (or activity), is lost
 *  when its clock first comes to `lost`, dated at the deadline, by the orders known at the view's instant; later
 *  returns do not matter. Who is not lost is censored at the instant. Times are calendar days in the store's zone.
 *  One row for each time at which somebody is lost or censored: time, at_risk, lost, censored (int64), survival,
 *  lower, upper (double): the 95 % interval on the log(-log) scale, 1 while survival is 1, missing when it is 0.
 *  LAPSE_SURVIVAL_HAZARD adds hazard, hazard_lower, hazard_upper: the Nelson-Aalen estimate and its 95 % interval on
 *  the log scale, 0 while it is 0.
 *  LAPSE_SURVIVAL_SUMMARY gives one row instead: subjects, lost, censored (int64), median (int64: the first time at
 *  which survival is at most 1/2; missing when it never is), horizon
 *  (int64), restricted_mean, restricted_mean_error (double: days spent here up to the horizon on average, and the
 *  standard error); no row without subjects. Sources: see lapse_survival_fit(). Threads: as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_survival(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                                           lapse_error *error);

/** Gaps between consecutive valid orders of a customer, in calendar days, over all customers: method (string:
 *  `nearest_rank` or `linear`), quantile (double), gaps (int64: how many there are), days (double). One row for each
 *  quantile, as asked for; none when there are no gaps. Nearest rank: the ceil(p n)-th of n in ascending order (type 1
 *  of Hyndman and Fan 1996); linear: between the values around (n - 1) p (type 7). Both exact. Threads: as the view.
 *  @since 0.9 */
LAPSE_API lapse_status lapse_view_gaps(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                                       lapse_error *error);

/* ---- formulas on numbers; any thread ---- */

/** A ratio of counts, which may be undefined. Set `size` before the call. @since 0.9 */
typedef struct lapse_rate {
    uint32_t size;
    int32_t defined;     /**< 0 when the denominator is 0 */
    int64_t numerator;
    int64_t denominator;
    double value;        /**< the exact quotient correctly rounded; NaN when it is undefined, never 0 */
} lapse_rate;
/** LAPSE_INVALID: a negative denominator, or a size below that of version 0.9. @since 0.9 */
LAPSE_API lapse_status lapse_rate_of(int64_t numerator, int64_t denominator, lapse_rate *out, lapse_error *error);
/** The rate that `rate` per `length` is per `other`, when the chance to stay is the same at any time:
 *  1 - (1 - rate)^(other / length). 0.05 a month is 0.4596... over 12. `rate` from 0 to 1, lengths above 0, all
 *  finite: else LAPSE_INVALID. @since 0.9 */
LAPSE_API lapse_status lapse_rate_convert(double rate, double length, double other, double *out, lapse_error *error);
/** The constant hazard -ln(1 - rate) / length of it; infinite for a rate of 1. @since 0.9 */
LAPSE_API lapse_status lapse_rate_hazard(double rate, double length, double *out, lapse_error *error);
/** Mean life length / rate: time to the end of the period in which a customer is lost. LAPSE_INVALID also for a
 *  rate of 0, at which nobody ever is. @since 0.9 */
LAPSE_API lapse_status lapse_rate_life(double rate, double length, double *out, lapse_error *error);
/** Score interval of a rate of counts (Wilson, J. Am. Stat. Assoc. 22 (1927) 209), `z` standard deviations wide:
 *  1.959963984540054 for 95 %. 0 <= numerator <= denominator, denominator above 0, z above 0 and at most 1000: else
 *  LAPSE_INVALID. @since 0.9 */
LAPSE_API lapse_status lapse_rate_interval(int64_t numerator, int64_t denominator, double z, double *lower,
                                           double *upper, lapse_error *error);

/** Durations of subjects, for lapse_survival_fit(). Arrays are of `count` and the caller's. @since 0.9 */
typedef struct lapse_durations {
    uint32_t size;
    uint32_t flags;       /**< 0 */
    int64_t count;
    const double *time;   /**< when observation ended; 0 or more */
    const uint8_t *lost;  /**< 1 lost at that time, 0 still there (censored); NULL: all lost */
    const double *entry;  /**< late entry (left truncation): when observation began, below `time`, or 0; NULL: all 0 */
    const double *weight; /**< above 0; NULL: all 1 */
} lapse_durations;

/** Kaplan-Meier and Nelson-Aalen estimates (Kaplan and Meier, J. Am. Stat. Assoc. 53 (1958) 457; Aalen, Ann. Stat. 6
 *  (1978) 701). One row for each distinct time, ascending; at each, losses come before censorings, and a subject is at
 *  risk from after its entry, one of entry 0 from the beginning, to its time, inclusive (Klein and Moeschberger,
 *  Survival Analysis, 2003, 4.6). All columns double, counts weighted: time, at_risk, lost, censored, survival,
 *  greenwood (sum of d / (n (n - d)): the variance of log survival, Greenwood 1926; missing when survival is 0), lower,
 *  upper (95 %, log(-log): Kalbfleisch and Prentice 1980), hazard (sum of d / n), hazard_variance (sum of d / n^2:
 *  Aalen).
 *  An entry beyond 0 may empty the risk set early: survival is then 0 from there on.
 *  `allocator` may be NULL. LAPSE_INVALID names the row, from 0, of a value that is not a number, infinite, negative or out of
 *  order. Cost: n log n. @since 0.9 */
LAPSE_API lapse_status lapse_survival_fit(const lapse_durations *durations, const lapse_allocator *allocator,
                                          lapse_result **out, lapse_error *error);
/** The first of `count` ascending times at which `survival` (descending) is at most `p`; *defined is 0 when it never
 *  is, and *out NaN. p from 0 to below 1; 0.5: the median. @since 0.9 */
LAPSE_API lapse_status lapse_survival_quantile(int64_t count, const double *time, const double *survival, double p,
                                               double *out, int32_t *defined, lapse_error *error);
/** Area under the survival curve from 0 to `horizon`: the restricted mean (Irwin, J. Hyg. 47 (1949) 188), and its
 *  variance by Greenwood's formula from `at_risk` and `lost` (Klein and Moeschberger 4.5; terms with nobody left are
 *  0). `variance` may be NULL, then so may the two. The curve is held at its last value up to the horizon.
 *  @since 0.9 */
LAPSE_API lapse_status lapse_survival_mean(int64_t count, const double *time, const double *survival,
                                           const double *at_risk, const double *lost, double horizon, double *mean,
                                           double *variance, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
