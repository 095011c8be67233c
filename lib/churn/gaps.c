/* The answer `gaps`: days between consecutive valid orders of a customer, and their quantiles over all customers. Gaps
 * are whole days, so they are counted by day, and quantiles are found in integers. */
#include "churn/churn.h"

enum { MILLION = 1000000 };

struct set {
    struct lapse_orders orders;
    struct lapse_days gaps;
};

struct counting {
    const lapse_allocator *mem;
    const struct lapse_zone *zone;
    bool zero_is_valid, by_days;
};

static lapse_status add_customer(void *user, void *set, const struct lapse_history *history, lapse_error *error)
{
    const struct counting *c = user;
    struct set *s = set;
    lapse_status status = lapse_orders_net(&s->orders, history, INT64_MIN, c->zero_is_valid, error);
    int64_t day = status == LAPSE_OK && s->orders.count ? lapse_zone_day(c->zone, s->orders.items[0].time) : 0,
            next;
    for (size_t i = 1; status == LAPSE_OK && i < s->orders.count; i++, day = next) {
        next = lapse_zone_day(c->zone, s->orders.items[i].time);
        int64_t gap = next > day ? next - day : 0; /* clocks may go back to yesterday */
        if (!(gap == 0 && c->by_days) && !lapse_days_count(c->mem, &s->gaps, gap, 1))
            status = lapse_fail_memory(error);
    }
    return status;
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
    lapse_mem_free(mem, s->gaps.count);
}

/* The gap of that ascending rank, from 0. */
static int64_t at_rank(const struct lapse_days *gaps, int64_t rank)
{
    size_t day = 0;
    while (day + 1 < gaps->days && rank >= gaps->count[day])
        rank -= gaps->count[day++];
    return (int64_t)day;
}

/* ceil(p n) by nearest rank; else between the values around (n - 1) p. The double is the exact value rounded once. */
static double quantile(const struct lapse_days *gaps, int64_t n, int32_t millionths, bool linear)
{
    if (!linear)
        return (double)at_rank(gaps, (int64_t)(((lapse_int128)n * millionths + MILLION - 1) / MILLION) - 1);
    lapse_int128 place = (lapse_int128)(n - 1) * millionths;
    int64_t rank = (int64_t)(place / MILLION), low = at_rank(gaps, rank);
    lapse_int128 part = place % MILLION;
    if (part == 0)
        return (double)low;
    return lapse_int128_ratio((lapse_int128)low * MILLION + part * (at_rank(gaps, rank + 1) - low), MILLION);
}

static struct lapse_builder *put_rows(const lapse_allocator *mem, const struct lapse_days *gaps,
                                      const lapse_churn_options *o)
{
    static const struct lapse_column_spec specs[] = {
        { "method", LAPSE_TYPE_STRING, 0 },
        { "quantile", LAPSE_TYPE_DOUBLE, 0 },
        { "gaps", LAPSE_TYPE_INT64, 0 },
        { "days", LAPSE_TYPE_DOUBLE, 0 },
    };
    bool linear = o->flags & LAPSE_GAPS_LINEAR;
    const char *method = linear ? "linear" : "nearest_rank";
    struct lapse_builder *b = lapse_builder_new(mem, specs, sizeof specs / sizeof *specs, 0);
    int64_t n = 0;
    for (size_t i = 0; i < gaps->days; i++)
        n += gaps->count[i];
    for (int32_t i = 0; n > 0 && i < o->quantile_count; i++) {
        lapse_builder_text(b, 0, method, strlen(method));
        lapse_builder_double(b, 1, lapse_int128_ratio(o->quantiles[i], MILLION));
        lapse_builder_int(b, 2, n);
        lapse_builder_double(b, 3, quantile(gaps, n, o->quantiles[i], linear));
    }
    return b;
}

lapse_status lapse_view_gaps(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                             lapse_error *error)
{
    lapse_churn_options o;
    lapse_status status = lapse_churn_begin(view, options, &o, out, error);
    if (status != LAPSE_OK)
        return status;
    struct counting c = { .mem = lapse_view_memory(view),
                          .zone = lapse_view_zone(view),
                          .zero_is_valid = lapse_policy_value(o.policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0,
                          .by_days = o.flags & LAPSE_GAPS_DAYS };
    struct lapse_tally tally = { view, &o, LAPSE_ORDER_FIELDS, sizeof(struct set), open_set, add_customer, &c };
    struct lapse_sets sets;
    struct lapse_days all = { .count = NULL };
    status = lapse_tally_run(&tally, &sets, error);
    for (size_t i = 0; i < sets.count && status == LAPSE_OK; i++)
        if (!lapse_days_add(c.mem, &all, &((const struct set *)sets.set[i])->gaps))
            status = lapse_fail_memory(error);
    lapse_sets_free(&sets, close_set);
    if (status == LAPSE_OK)
        status = lapse_churn_result(c.mem, put_rows(c.mem, &all, &o), out, error);
    lapse_mem_free(c.mem, all.count);
    return status;
}
