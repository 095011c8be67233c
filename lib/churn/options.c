/* Options of the answers of this room: defaults and ranges. */
#include "churn/churn.h"

static const int32_t usual_quantiles[] = { 100000, 250000, 400000, 500000, 600000,
                                           750000, 800000, 900000, 950000, 990000 };

static const lapse_churn_options defaults = {
    .size = sizeof(lapse_churn_options),
    .threads = 1,
    .basis = LAPSE_CHURN_PURCHASE,
    .lost = LAPSE_CHURN_LOST,
    .every = LAPSE_EVERY_NONE,
    .from = INT64_MIN,
    .horizon = -1,
};

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_churn_options, progress_user) + sizeof(void *))

enum { QUANTILES_MOST = 1000, MILLION = 1000000 };
static const uint32_t all_flags =
    LAPSE_SURVIVAL_HAZARD | LAPSE_SURVIVAL_SUMMARY | LAPSE_GAPS_DAYS | LAPSE_GAPS_LINEAR;

lapse_status lapse_churn_options_init(lapse_churn_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, OLDEST);
}

static lapse_status check_ranges(const lapse_churn_options *o, lapse_error *error)
{
    const struct lapse_option_range ranges[] = {
        { "threads", o->threads, 1, LAPSE_THREADS_MOST },
        { "basis", o->basis, LAPSE_CHURN_PURCHASE, LAPSE_CHURN_ACTIVITY },
        { "lost", o->lost, LAPSE_CHURN_LOST, LAPSE_CHURN_INACTIVE },
        { "every", o->every, LAPSE_EVERY_NONE, LAPSE_EVERY_YEAR },
        { "horizon", o->horizon, -1, MILLION },
        { "quantile_count", o->quantile_count, o->quantiles ? 1 : 0, o->quantiles ? QUANTILES_MOST : 0 },
        { "reserved", o->reserved, 0, 0 },
    };
    lapse_status status = lapse_options_check("lapse_churn_options", ranges, sizeof ranges / sizeof *ranges, error);
    if (status != LAPSE_OK)
        return status;
    for (int32_t i = 0; i < o->quantile_count; i++)
        if (o->quantiles[i] < 1 || o->quantiles[i] > MILLION)
            return lapse_fail(error, LAPSE_INVALID,
                              "lapse_churn_options: quantile %ld is %ld, not from 1 to %d millionths", (long)i,
                              (long)o->quantiles[i], MILLION);
    return LAPSE_OK;
}

/* *ours becomes what the caller wants, every number in range. */
static lapse_status read_options(lapse_churn_options *ours, const lapse_churn_options *theirs, lapse_error *error)
{
    *ours = defaults;
    if (theirs) {
        lapse_status status =
            lapse_options_read(ours, sizeof *ours, theirs, OLDEST, "lapse_churn_options", error);
        if (status != LAPSE_OK)
            return status;
        if (ours->flags & ~all_flags)
            return lapse_fail(error, LAPSE_INVALID, "lapse_churn_options: unknown flags");
        status = check_ranges(ours, error);
        if (status != LAPSE_OK)
            return status;
    }
    if (!ours->quantiles) {
        ours->quantiles = usual_quantiles;
        ours->quantile_count = sizeof usual_quantiles / sizeof *usual_quantiles;
    }
    return LAPSE_OK;
}

lapse_status lapse_churn_begin(const lapse_view *view, const lapse_churn_options *options, lapse_churn_options *ours,
                               lapse_result **out, lapse_error *error)
{
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = lapse_view_check(view, error);
    return status == LAPSE_OK ? read_options(ours, options, error) : status;
}
