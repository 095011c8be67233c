/* Options of the two answers of this room: defaults and ranges. */
#include "rfm/rfm.h"

static const lapse_rfm_options defaults = {
    .size = sizeof(lapse_rfm_options),
    .threads = 1,
    .cuts = LAPSE_CUTS_QUANTILE,
    .bins_r = 5,
    .bins_f = 5,
    .bins_m = 5,
    .window_unit = LAPSE_UNIT_NONE,
    .weight_r = 100,
    .weight_f = 10,
    .weight_m = 1,
    .from = INT64_MIN,
};

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_rfm_options, progress_user) + sizeof(void *))

static const uint32_t all_flags =
    LAPSE_RFM_FREQUENCY_DAYS | LAPSE_RFM_MONETARY_MEAN | LAPSE_RFM_NESTED | LAPSE_RFM_WEIGHTED;

lapse_status lapse_rfm_options_init(lapse_rfm_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, OLDEST);
}

static lapse_status check_ranges(const lapse_rfm_options *o, lapse_error *error)
{
    const struct lapse_option_range ranges[] = {
        { "threads", o->threads, 1, LAPSE_THREADS_MOST },
        { "cuts", o->cuts, LAPSE_CUTS_QUANTILE, LAPSE_CUTS_FIXED },
        { "bins_r", o->bins_r, LAPSE_BINS_MIN, LAPSE_BINS_MAX },
        { "bins_f", o->bins_f, LAPSE_BINS_MIN, LAPSE_BINS_MAX },
        { "bins_m", o->bins_m, LAPSE_BINS_MIN, LAPSE_BINS_MAX },
        { "window", o->window, o->window_unit == LAPSE_UNIT_NONE ? 0 : 1,
          o->window_unit == LAPSE_UNIT_NONE ? 0 : INT64_MAX },
        { "weight_r", o->weight_r, 0, INT64_MAX },
        { "weight_f", o->weight_f, 0, INT64_MAX },
        { "weight_m", o->weight_m, 0, INT64_MAX },
        { "every", o->every, LAPSE_EVERY_NONE, LAPSE_EVERY_YEAR },
        { "reserved", o->reserved, 0, 0 },
        { "segments_size", o->segments_size, 0, o->segments ? INT64_MAX : 0 },
    };
    return lapse_options_check("lapse_rfm_options", ranges, sizeof ranges / sizeof *ranges, error);
}

/* What excludes each other (R11, R12); fixed cuts bring their bins with them. */
static lapse_status check_cuts(lapse_rfm_options *o, int digits, lapse_error *error)
{
    bool fixed = o->cuts == LAPSE_CUTS_FIXED, nested = o->flags & LAPSE_RFM_NESTED;
    const char *rule = NULL, *fault = fixed && o->fixed ? lapse_cuts_fault(o->fixed) : NULL;
    if (fault)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_options: fixed: %s", fault);
    if (fixed != (o->fixed != NULL))
        rule = "fixed is for LAPSE_CUTS_FIXED, which needs it";
    else if (fixed && o->fixed->digits != digits)
        rule = "fixed: digits are not those of the amounts here";
    else if (fixed && nested)
        rule = "fixed cuts are not nested";
    else if (o->made && (nested || o->cuts == LAPSE_CUTS_NTILE))
        rule = "made: NTILE and nested cuts have no thresholds to keep";
    else if (o->made && o->every != LAPSE_EVERY_NONE)
        rule = "made: several instants have several cuts";
    else if (o->made && o->made->size < sizeof *o->made)
        rule = "made: its size is not set";
    if (rule)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_options: %s", rule);
    if (fixed) {
        o->bins_r = o->fixed->bins[0];
        o->bins_f = o->fixed->bins[1];
        o->bins_m = o->fixed->bins[2];
    }
    return LAPSE_OK;
}

lapse_status lapse_rfm_options_read(lapse_rfm_options *ours, const lapse_rfm_options *theirs,
                                    int digits, lapse_error *error)
{
    *ours = defaults;
    if (!theirs)
        return LAPSE_OK;
    lapse_status status = lapse_options_read(ours, sizeof *ours, theirs, OLDEST, "lapse_rfm_options", error);
    if (status != LAPSE_OK)
        return status;
    if (ours->flags & ~all_flags)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_options: unknown flags");
    if (ours->window_unit != LAPSE_UNIT_NONE && ours->window_unit != LAPSE_UNIT_DAY &&
        ours->window_unit != LAPSE_UNIT_MONTH && ours->window_unit != LAPSE_UNIT_YEAR)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_options: window_unit is not day, month or year");
    status = check_ranges(ours, error);
    if (status == LAPSE_OK)
        status = check_cuts(ours, digits, error);
    if (status != LAPSE_OK)
        return status;
    int64_t best;
    if (!lapse_int128_fits((lapse_int128)ours->bins_r * ours->weight_r +
                               (lapse_int128)ours->bins_f * ours->weight_f +
                               (lapse_int128)ours->bins_m * ours->weight_m,
                           &best))
        return lapse_fail(error, LAPSE_INVALID,
                          "lapse_rfm_options: the weighted sum of the best scores leaves 64 bits");
    return LAPSE_OK;
}
