/* One instant or many: which they are, and the customers of one after another, for answers that need not know. */
#include "rfm/rfm.h"

enum { INSTANTS_MOST = 1000000 };

/* The first instants of periods of the calendar in (from, to], which ascend also where days are skipped or come
 * twice. */
static lapse_status find_instants(lapse_view *view, const lapse_rfm_options *o, int64_t **out, int32_t *count,
                                  lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(view);
    const struct lapse_zone *zone = lapse_view_zone(view);
    int64_t to = lapse_view_as_of(view), *instants = NULL, last = o->from;
    size_t n = 0, capacity = 0;
    if (o->from == INT64_MIN)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_options: every needs from");
    lapse_status status = lapse_view_check_span(view, o->from, error);
    if (status != LAPSE_OK)
        return status;
    bool good = lapse_mem_reserve(mem, &instants, &capacity, 1, sizeof *instants);
    for (int64_t period = lapse_period_of_day(lapse_zone_day(zone, last), o->every); good; period++) {
        int64_t instant = lapse_zone_day_start(zone, lapse_period_day(period, o->every));
        if (instant > to)
            break;
        if (instant <= last)
            continue;
        if (n == INSTANTS_MOST) {
            lapse_mem_free(mem, instants);
            return lapse_fail(error, LAPSE_BAD_INPUT, "the span has more than %d periods: choose longer ones",
                              (int)INSTANTS_MOST);
        }
        good = lapse_mem_reserve(mem, &instants, &capacity, n + 1, sizeof *instants);
        if (good)
            instants[n++] = last = instant;
    }
    if (!good) {
        lapse_mem_free(mem, instants);
        return lapse_fail_memory(error);
    }
    *out = instants;
    *count = (int32_t)n;
    return LAPSE_OK;
}

lapse_status lapse_rfm_answer_open(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                                   struct lapse_rfm_answer *out, lapse_error *error)
{
    lapse_rfm_options o;
    *out = (struct lapse_rfm_answer){ .rfm = NULL };
    lapse_status status = lapse_view_check(view, error);
    if (status == LAPSE_OK)
        status = lapse_rfm_options_read(&o, options, lapse_view_digits(view), error);
    if (status != LAPSE_OK)
        return status;
    if (o.every == LAPSE_EVERY_NONE) {
        status = lapse_rfm_new(view, options, with_ids, with_orders, &out->one, error);
        out->rfm = out->one;
        return status;
    }
    int64_t *instants = NULL;
    int32_t count = 0;
    status = find_instants(view, &o, &instants, &count, error);
    if (status == LAPSE_OK)
        status = lapse_rfm_instants_new(view, options, with_ids, instants, count, &out->several, error);
    if (status == LAPSE_OK)
        out->rfm = lapse_rfm_instant(out->several);
    return status;
}

lapse_status lapse_rfm_answer_notes(const struct lapse_rfm_answer *a, lapse_result *result)
{
    lapse_status status =
        a->one ? lapse_rfm_notes(a->one, false, result) : lapse_rfm_instants_notes(a->several, result);
    return status == LAPSE_OK ? lapse_segment_table_notes(&a->rfm->segments, result) : status;
}

void lapse_rfm_answer_close(struct lapse_rfm_answer *a)
{
    if (a->one)
        lapse_rfm_free(a->one);
    if (a->several)
        lapse_rfm_instants_free(a->several);
}
