/* Recency, frequency, monetary value: scores and segments. */
#ifndef LAPSE_RFM_H
#define LAPSE_RFM_H

#include <lapse/base.h>
#include <lapse/policy.h>
#include <lapse/table.h>
#include <lapse/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How values become scores. All are exact: integers decide, no double takes part. @since 0.9 */
enum {
    /** Thresholds q1 ... q(N-1) of an axis are type-7 quantiles at i/N (Hyndman and Fan, The American
     *  Statistician 50 (1996) 361: linear interpolation at h = (n-1)p); bin = 1 + number of thresholds
     *  strictly below the value; the score of recency is N + 1 - bin. */
    LAPSE_CUTS_QUANTILE = 0,
    /** NTILE(N) of SQL:2003 over (value, id bytewise), recency from most days to fewest: bins of equal size, the
     *  first ones greater by one; ties are split by id. Of fewer customers than bins the best gets less than N. */
    LAPSE_CUTS_NTILE = 1,
    /** As the R package rfm 0.3.0: the quantiles of LAPSE_CUTS_QUANTILE plus one day, order, or major unit of money;
     *  bin = 1 + number of them at or below the value. */
    LAPSE_CUTS_RFM_R = 2,
    /** The thresholds of lapse_rfm_options.fixed: bin = 1 + number of thresholds strictly below the value. */
    LAPSE_CUTS_FIXED = 3
};

/** Thresholds of the three axes, frozen: they score whoever comes later as they did those they were made of. A plain
 *  struct, which may be copied. A value gets into bin i + 2 or a higher one iff it is greater than above[9 * axis + i];
 *  the score of recency is bins + 1 - bin, those of the others the bin. Quantiles are kept as their floors, which
 *  decide the same of every possible value. Set `size` before a call fills it. @since 0.9 */
typedef struct lapse_cuts {
    uint32_t size;
    int32_t digits;      /**< of money: 0 to 6 */
    int32_t bins[3];     /**< of r, f, m: 2 to 10; 0: there was nobody to make cuts of */
    int32_t reserved;    /**< 0 */
    int64_t above[27];   /**< nine of each axis: days, orders, minor units; bins - 1 of them count and ascend, equal ones
                              allowed, the others are 0 */
} lapse_cuts;

/** Reads thresholds of three axes, days / orders / major units, as `30,90,180,365/2,3,5,8/10,50,100,500`: one to
 *  nine of each, ascending, equal ones and decimals allowed (what is finer than the unit decides as its floor does).
 *  LAPSE_BAD_INPUT names the axis (`column`: recency, frequency, monetary), the threshold (`row`, from 0), text and rule;
 *  neither axis nor threshold where there are not three axes. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_cuts_parse(const char *text, int32_t digits, lapse_cuts *out, lapse_error *error);
/** Reads what lapse_cuts_write() wrote: CSV `axis,bin,above` with axis r, f or m, every bin from 1 up once, `above`
 *  ascending, equal ones allowed, money in major units. Of an amount of more digits than `digits` the floor is taken.
 *  At most 4096 bytes. LAPSE_BAD_INPUT names line, column, text and rule. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_cuts_read(const char *csv, int64_t size, int32_t digits, lapse_cuts *out,
                                       lapse_error *error);
/** Writes cuts as CSV: a row for each threshold, a value is above bin `bin` iff it is greater than `above`.
 *  LAPSE_INVALID: no cuts. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_cuts_write(const lapse_cuts *cuts, lapse_write_fn write, void *user, lapse_error *error);
/** The scores r, f, m of one customer, in constant time: for the moment an order comes in. LAPSE_INVALID: no cuts.
 *  Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_cuts_score(const lapse_cuts *cuts, int64_t recency_days, int64_t frequency,
                                        int64_t monetary, int32_t scores[3]);

/** Flags of lapse_rfm_options. @since 0.9 */
enum {
    LAPSE_RFM_FREQUENCY_DAYS = 1, /**< count distinct days with a valid order, not orders */
    LAPSE_RFM_MONETARY_MEAN = 2,  /**< mean per order, rounded half to even to minor units, not the sum */
    LAPSE_RFM_NESTED = 4,         /**< cut F within each R score and M within each R and F; not with LAPSE_CUTS_FIXED */
    LAPSE_RFM_WEIGHTED = 8        /**< add the column `weighted`: r*weight_r + f*weight_f + m*weight_m */
};

/** Options of the answers below; fill with lapse_rfm_options_init(). Pointers stay
 *  the caller's and are used during the call only. @since 0.9 */
typedef struct lapse_rfm_options {
    uint32_t size;
    uint32_t flags;             /**< LAPSE_RFM_... */
    const lapse_policy *policy; /**< NULL: defaults */
    int32_t threads;            /**< 1 (default): none beside the caller's; never changes a value; at most 64. Also for
                                 the result: as many of its parts, at most 16, are made at once, or pieces of CSV */
    int32_t cuts;               /**< LAPSE_CUTS_... */
    int32_t bins_r;             /**< 2 to 10, default 5, as the next two */
    int32_t bins_f;
    int32_t bins_m;
    int32_t window_unit;        /**< LAPSE_UNIT_DAY, _MONTH, _YEAR, or _NONE (default): all orders */
    int64_t window;             /**< only orders later than `as_of` less so many units; 1 or more */
    int64_t weight_r;           /**< 0 or more; default 100, 10, 1 */
    int64_t weight_f;
    int64_t weight_m;
    const char *segments;       /**< CSV `segment,r_min,r_max,f_min,f_max,m_min,m_max`: bounds inclusive, an
                                     empty bound is open, the first row that matches wins, no match is
                                     `(none)`. NULL: the default table, for 5 bins on R and F:
                                     r 1-2 f 1-2 hibernating, f 3-4 at risk, f 5 can't lose; r 3 f 1-2 about to
                                     sleep, f 3 need attention; r 3-4 f 4-5 loyal customers; r 4 f 1 promising; r 5
                                     f 1 new customers; r 4-5 f 2-3 potential loyalists; r 5 f 4-5 champions */
    int64_t segments_size;      /**< bytes of `segments` */
    lapse_progress_fn on_progress; /**< events read; NULL: nobody is told */
    void *progress_user;
    const lapse_cuts *fixed;    /**< of LAPSE_CUTS_FIXED, whose bins then count, not bins_r, bins_f, bins_m; else NULL */
    lapse_cuts *made;           /**< where the cuts of this answer go before the call returns; NULL: nowhere. Not with
                                     LAPSE_CUTS_NTILE, which has no thresholds, nor nested, which has many, nor where
                                     there are several instants */
    int64_t from;               /**< of every and of transitions: where the span begins, microseconds; INT64_MIN
                                     (default): not said. It ends at the instant of the view */
    int32_t every;              /**< LAPSE_EVERY_NONE (default): the instant of the view. Else rfm and segments answer
                                     as of the first instant of each month (day, week, ...) of the calendar that is
                                     after `from` and not after the instant of the view */
    int32_t reserved;           /**< 0 */
} lapse_rfm_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_rfm_options_init(lapse_rfm_options *options, uint32_t size);

/** Values of `count` customers in plain arrays, for lapse_rfm_score(). The arrays are the caller's. @since 0.9 */
typedef struct lapse_rfm_values {
    uint32_t size;
    int32_t digits;           /**< of monetary, 0 to 6: what a major unit is */
    int64_t count;
    const int64_t *recency;   /**< days since the last order: few are best. Any number is taken as it is, also one below 0 (an
                                   order after the instant asked about), which is better than 0 */
    const int64_t *frequency; /**< orders: many are best */
    const int64_t *monetary;  /**< minor units: much is best */
} lapse_rfm_values;

/** Scores customers of a program's own, without a store: as lapse_view_rfm() of the same values, by the cuts, bins,
 *  LAPSE_RFM_NESTED, threads, fixed and made of `options` (NULL: defaults); the rest is left alone. LAPSE_CUTS_NTILE
 *  splits ties in the order of the arrays, which stands for that of ids. r, f and m are arrays of `count` of the
 *  caller, 1 to 10. `allocator` may be NULL. Cost: linear, nothing is sorted; memory 32 bytes a customer at most.
 *  Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_rfm_score(const lapse_rfm_values *values, const lapse_rfm_options *options,
                                       const lapse_allocator *allocator, uint8_t *r, uint8_t *f, uint8_t *m,
                                       lapse_error *error);

/** One row a customer with at least one valid order (an order counts when its net amount after cancellations and
 *  refunds is above 0, or when it has no amount), ordered by id (bytewise): customer, last_order (time),
 *  recency_days (calendar days in the store's zone), frequency, monetary (money), r, f, m (int64), score (string of
 *  the digits), segment (string) [, weighted]. Customers who objected to profiling or were erased at the instant
 *  have no row and no part in the cuts. Notes tell how many these are, how many have no valid order, segments that
 *  can never match, and cells that no segment covers. With `every`, rows of one instant after those of another, each
 *  with cuts of its own, and `as_of` (time) as the first column; each instant is answered as a view at it would be,
 *  from one pass over the events, and worked out as its rows are pulled. Notes are then those of the last instant.
 *  LAPSE_BAD_INPUT: a segment table that cannot be read, or none for bins other than 5; a span that ends before it
 *  begins, or has more than 1,000,000 instants. LAPSE_OVERFLOW: an amount leaves int64_t, naming the customer.
 *  `options` may be NULL. Memory: at most 64 bytes and the id for each customer; with `every` 100 and
 *  the id twice, and at most 48 bytes for each instant and customer of which something changed since the instant before.
 *  Threads: as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_rfm(lapse_view *view, const lapse_rfm_options *options,
                                      lapse_result **out, lapse_error *error);

/** One row a segment, in the order of the table, `(none)` last if any: segment (string), customers, orders (int64),
 *  monetary (money: the sum of that column of lapse_view_rfm()), customer_share, monetary_share,
 *  mean_recency_days, mean_frequency (doubles, the exact quotient correctly rounded), mean_monetary (money, half to
 *  even). Undefined means and shares are missing. Rows of a table that have one name are one segment, in the place of
 *  the first. Everything else as lapse_view_rfm(), `every` too. @since 0.9 */
LAPSE_API lapse_status lapse_view_segments(lapse_view *view, const lapse_rfm_options *options,
                                           lapse_result **out, lapse_error *error);

/** Segments at `from` by segments at the instant of the view: from, to (strings), customers (int64). Pairs that
 *  occur, in the order of the table by `from`, then by `to`, `(none)` and then `(absent)` last. Cuts are made at
 *  each instant of the customers it has (LAPSE_CUTS_FIXED: the same at both); a customer without a row at one of
 *  them is `(absent)` there, one without a row at both is not counted. Notes tell of each instant. LAPSE_INVALID:
 *  `from` is not said. LAPSE_BAD_INPUT: `from` is after the view. Everything else as lapse_view_rfm(). @since 0.9 */
LAPSE_API lapse_status lapse_view_transitions(lapse_view *view, const lapse_rfm_options *options,
                                              lapse_result **out, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
