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

/** How values become scores. @since 0.9 */
enum {
    /** Thresholds q1 ... q(N-1) of an axis are type-7 quantiles at i/N (Hyndman and Fan, The American
     *  Statistician 50 (1996) 361: linear interpolation at h = (n-1)p); bin = 1 + number of thresholds
     *  strictly below the value, decided in integers; the score of recency is N + 1 - bin. */
    LAPSE_CUTS_QUANTILE = 0
};

/** Flags of lapse_rfm_options. @since 0.9 */
enum {
    LAPSE_RFM_FREQUENCY_DAYS = 1, /**< count distinct days with a valid order, not orders */
    LAPSE_RFM_MONETARY_MEAN = 2,  /**< mean per order, rounded half to even to minor units, not the sum */
    LAPSE_RFM_NESTED = 4,         /**< cut F within each R score and M within each R and F */
    LAPSE_RFM_WEIGHTED = 8        /**< add the column `weighted`: r*weight_r + f*weight_f + m*weight_m */
};

/** Options of lapse_view_rfm() and lapse_view_segments(); fill with lapse_rfm_options_init(). Pointers stay
 *  the caller's and are used during the call only. @since 0.9 */
typedef struct lapse_rfm_options {
    uint32_t size;
    uint32_t flags;             /**< LAPSE_RFM_... */
    const lapse_policy *policy; /**< NULL: defaults */
    int32_t threads;            /**< 1 (default): none beside the caller's; never changes a value; at most 64. Also for
                                 the result, while it is written as CSV */
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
} lapse_rfm_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_rfm_options_init(lapse_rfm_options *options, uint32_t size);

/** One row a customer with at least one valid order (an order counts when its net amount after cancellations
 *  and refunds is above 0, or when it has no amount), ordered by id (bytewise):
 *  customer, last_order (time), recency_days (calendar days in the store's zone), frequency, monetary
 *  (money), r, f, m (int64), score (string of the digits), segment (string) [, weighted].
 *  Customers who objected to profiling or were erased at the instant have no row and no part in the cuts.
 *  Notes tell how many these are, how many have no valid order, segments that can never match, and cells that no
 *  segment covers.
 *  LAPSE_BAD_INPUT: a segment table that cannot be read, or none for bins other than 5.
 *  LAPSE_OVERFLOW: an amount leaves int64_t, naming the customer. `options` may be NULL.
 *  Memory: at most 64 bytes and the id for each customer. Threads: as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_rfm(lapse_view *view, const lapse_rfm_options *options,
                                      lapse_result **out, lapse_error *error);

/** One row a segment, in the order of the table, `(none)` last if any: segment (string), customers, orders (int64),
 *  monetary (money: the sum of that column of lapse_view_rfm()), customer_share, monetary_share,
 *  mean_recency_days, mean_frequency (doubles, the exact quotient correctly rounded), mean_monetary (money, half to
 *  even). Undefined means and shares are missing. Rows of a table that have one name are one segment, in the place of
 *  the first. Everything else as lapse_view_rfm(). @since 0.9 */
LAPSE_API lapse_status lapse_view_segments(lapse_view *view, const lapse_rfm_options *options,
                                           lapse_result **out, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
