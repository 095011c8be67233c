/* Periods of instants: the tiles of a span (rulings H11), and which period of the calendar an instant is in (H13).
 * Every end of a tile is counted from the beginning of the span in one step, so a span that begins on the 31st has
 * tiles that end on the 28th and on the 31st. */
#include "churn/churn.h"

/* `from` and k units. Days and weeks move the date and keep the time of day, as months do (T7). */
static int64_t tile_end(const struct lapse_zone *zone, int64_t from, int32_t every, int64_t k)
{
    if (lapse_period_units[every].months)
        return lapse_zone_add(zone, from, k * lapse_period_units[every].months, LAPSE_UNIT_MONTH);
    lapse_int128 local = (lapse_int128)from + (lapse_int128)lapse_zone_offset(zone, from) * LAPSE_SECOND +
                         (lapse_int128)k * lapse_period_units[every].days * LAPSE_DAY;
    int64_t wall, end = INT64_MAX;
    if (lapse_int128_fits(local, &wall))
        lapse_zone_from_local(zone, wall, &end);
    return end;
}

lapse_status lapse_tiles_new(const lapse_allocator *mem, const struct lapse_zone *zone, int64_t from,
                             int64_t to, int32_t every, int64_t **out, size_t *count, lapse_error *error)
{
    int64_t *ends = NULL, end = from;
    size_t n = 1, capacity = 0;
    bool good = lapse_mem_reserve(mem, &ends, &capacity, 2, sizeof *ends);
    if (good)
        ends[0] = from;
    while (good && every != LAPSE_EVERY_NONE) {
        int64_t next = tile_end(zone, from, every, (int64_t)n);
        end = next > end ? next : end; /* where days are skipped or come twice, ends do not go back */
        if (end >= to)
            break;
        if (n == LAPSE_TILES_MOST) {
            lapse_mem_free(mem, ends);
            return lapse_fail(error, LAPSE_BAD_INPUT, "the span has more than %d periods: choose longer ones",
                              LAPSE_TILES_MOST);
        }
        if (n + 2 > capacity)
            good = lapse_mem_reserve(mem, &ends, &capacity, n + 2, sizeof *ends);
        if (good)
            ends[n++] = end;
    }
    if (!good) {
        lapse_mem_free(mem, ends);
        return lapse_fail_memory(error);
    }
    ends[n] = to;
    *out = ends;
    *count = n;
    return LAPSE_OK;
}

/* ---- the calendar ---- */

static bool put_stretch(const lapse_allocator *mem, struct lapse_periods *p, int64_t start, int64_t period)
{
    if (!lapse_mem_reserve(mem, &p->start, &p->start_capacity, p->count + 1, sizeof *p->start) ||
        !lapse_mem_reserve(mem, &p->period, &p->period_capacity, p->count + 1, sizeof *p->period))
        return false;
    p->start[p->count] = start;
    p->period[p->count++] = period;
    return true;
}

/* When the zone's clock is next put on or back after `at`; INT64_MAX: never. Entry 0 holds before it begins, too. */
static int64_t next_transition(const struct lapse_zone *zone, int64_t at)
{
    size_t n = (size_t)zone->count, i = lapse_bound_find(zone->starts, 1, n, at < INT64_MAX ? at + 1 : at);
    return n > 1 && i < n ? zone->starts[i] : INT64_MAX;
}

/* Between two transitions the wall clock runs on, so a period is a stretch there; after each it begins anew. */
static bool put_stretches(const lapse_allocator *mem, const struct lapse_zone *zone, int64_t first,
                          int64_t last, int32_t every, struct lapse_periods *out)
{
    for (int64_t at = first; at <= last;) {
        int64_t period = lapse_period_of_day(lapse_zone_day(zone, at), every), end,
                turn = next_transition(zone, at);
        lapse_int128 ends = (lapse_int128)lapse_period_day(period + 1, every) * LAPSE_DAY -
                            (lapse_int128)lapse_zone_offset(zone, at) * LAPSE_SECOND;
        if (!put_stretch(mem, out, at, period))
            return false;
        if (!lapse_int128_fits(ends, &end))
            break;
        at = end < turn ? end : turn;
    }
    return true;
}

/* A few slots a stretch: then most of them lie within one. */
static bool put_slots(const lapse_allocator *mem, int64_t first, int64_t last, struct lapse_periods *out)
{
    uint64_t span = (uint64_t)last - (uint64_t)first, stretch = 0;
    while (span >> out->shift >= 8 * (uint64_t)out->count)
        out->shift++;
    uint64_t slots = (span >> out->shift) + 1;
    out->slots = lapse_mem_alloc(mem, (size_t)(slots + 1) * sizeof *out->slots);
    for (uint64_t i = 0; out->slots && i <= slots; i++) {
        while (stretch + 1 < out->count &&
               (uint64_t)out->start[stretch + 1] - (uint64_t)first <= (i < slots ? i << out->shift : span))
            stretch++;
        out->slots[i] = (uint32_t)stretch;
    }
    return out->slots != NULL;
}

bool lapse_periods_new(const lapse_allocator *mem, const struct lapse_zone *zone, int64_t first, int64_t last,
                       int32_t every, struct lapse_periods *out)
{
    *out = (struct lapse_periods){ .count = 0 };
    if (put_stretches(mem, zone, first, last, every, out) && put_slots(mem, first, last, out))
        return true;
    lapse_periods_free(mem, out);
    return false;
}

void lapse_periods_free(const lapse_allocator *mem, struct lapse_periods *p)
{
    lapse_mem_free(mem, p->start);
    lapse_mem_free(mem, p->period);
    lapse_mem_free(mem, p->slots);
    *p = (struct lapse_periods){ .count = 0 };
}
