/* The answer `cohorts`: customers by the period of their first valid order, and the periods in which they had one
 * (rulings H13, H14). A cohort gets a row of counters when its first member turns up: for each later period how many
 * members had an order in it, and how many had their last one in it; sums of the latter from the end on are the
 * unbounded counts. */
#include "churn/churn.h"

enum { CELLS_MOST = 1 << 23 };

struct cohort {
    int64_t size;
    int64_t *active; /* one a period up to the last and one for what comes after; then as many of last orders */
};

struct set {
    struct lapse_orders orders;
    struct cohort *cohorts; /* by period, from the first on */
    int64_t cells;
};

struct counting {
    const lapse_allocator *mem;
    struct lapse_periods periods;
    bool zero_is_valid;
    int64_t first, last; /* periods: of the earliest event; the last that begins before the instant */
    int64_t as_of;
};

/* A day more than any time: the instant after the last day. */
static bool too_late(int64_t as_of)
{
    return as_of > LAPSE_TIME_MAX + LAPSE_DAY;
}

static lapse_status find_cohort(const struct counting *c, struct set *s, int64_t period, struct cohort **out,
                                lapse_error *error)
{
    struct cohort *cohort = *out = &s->cohorts[period - c->first];
    int64_t cells = c->last - period + 1;
    if (cohort->active)
        return LAPSE_OK;
    s->cells += cells;
    if (s->cells > CELLS_MOST)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the cohorts have more than %d rows: choose longer periods",
                          CELLS_MOST);
    cohort->active = lapse_mem_zero(c->mem, 2 * (size_t)(cells + 1), sizeof *cohort->active);
    return cohort->active ? LAPSE_OK : lapse_fail_memory(error);
}

static lapse_status add_customer(void *user, void *set, const struct lapse_history *history, lapse_error *error)
{
    const struct counting *c = user;
    struct set *s = set;
    struct cohort *cohort;
    if (too_late(c->as_of))
        return lapse_fail(error, LAPSE_BAD_INPUT, "the view's instant is after the year 2999");
    lapse_status status = lapse_orders_net(&s->orders, history, INT64_MIN, c->zero_is_valid, error);
    if (status != LAPSE_OK || s->orders.count == 0)
        return status;
    int64_t begin = lapse_periods_find(&c->periods, s->orders.items[0].time), top = begin;
    if (begin > c->last)
        return LAPSE_OK; /* the first order is at the instant, where a period begins: no row is of it */
    status = find_cohort(c, s, begin, &cohort, error);
    if (status != LAPSE_OK)
        return status;
    /* Where clocks go back over midnight a period may come twice: those seen lately are remembered. */
    uint64_t seen = 0;
    for (size_t i = 0; i < s->orders.count; i++) {
        int64_t period = lapse_periods_find(&c->periods, s->orders.items[i].time);
        if (period > top) {
            seen = period - top < 64 ? seen << (period - top) : 0;
            top = period;
        }
        uint64_t bit = UINT64_C(1) << (top - period);
        if (!(seen & bit) && period >= begin && period <= c->last)
            cohort->active[period - begin]++;
        seen |= bit;
    }
    cohort->size++;
    top = top > c->last ? c->last + 1 : top;
    cohort->active[c->last - begin + 2 + top - begin]++;
    return LAPSE_OK;
}

static bool open_set(void *user, void *set)
{
    const struct counting *c = user;
    struct set *s = set;
    s->orders.mem = c->mem;
    s->cohorts =
        lapse_mem_zero(c->mem, c->last < c->first ? 1 : (size_t)(c->last - c->first) + 1, sizeof *s->cohorts);
    return s->cohorts != NULL;
}

/* ---- the rows ---- */

enum { COHORT, PERIOD, SIZE, ACTIVE, RETAINED, UNBOUNDED, COLUMNS };

static const struct lapse_column_spec specs[COLUMNS] = {
    [COHORT] = { "cohort", LAPSE_TYPE_STRING, 0 },
    [PERIOD] = { "period", LAPSE_TYPE_INT64, 0 },
    [SIZE] = { "size", LAPSE_TYPE_INT64, 0 },
    [ACTIVE] = { "active", LAPSE_TYPE_INT64, 0 },
    [RETAINED] = { "retained", LAPSE_TYPE_DOUBLE, 0 },
    [UNBOUNDED] = { "retained_unbounded", LAPSE_TYPE_DOUBLE, 0 },
};

struct rows {
    lapse_allocator mem;
    struct cohort *cohorts; /* the second half of their counters are now unbounded counts */
    int64_t first, last, count;
    int32_t every;
    int64_t cohort, period; /* next row */
};

static void free_cohorts(const lapse_allocator *mem, struct cohort *cohorts, int64_t count)
{
    for (int64_t i = 0; cohorts && i < count; i++)
        lapse_mem_free(mem, cohorts[i].active);
    lapse_mem_free(mem, cohorts);
}

static void put_row(const struct rows *rows, struct lapse_builder *b, const struct cohort *cohort)
{
    int64_t periods = rows->last - (rows->first + rows->cohort) + 1;
    int64_t active = cohort->active[rows->period], unbounded = cohort->active[periods + 1 + rows->period];
    char label[LAPSE_LABEL_ROOM];
    lapse_builder_text(b, COHORT, label, lapse_period_label(rows->first + rows->cohort, rows->every, label));
    lapse_builder_int(b, PERIOD, rows->period);
    lapse_builder_int(b, SIZE, cohort->size);
    lapse_builder_int(b, ACTIVE, active);
    lapse_builder_double(b, RETAINED, lapse_int128_ratio(active, cohort->size));
    lapse_builder_double(b, UNBOUNDED, lapse_int128_ratio(unbounded, cohort->size));
}

/* Goes on to a cohort that has a row left; false: there is none. */
static bool find_row(struct rows *rows)
{
    while (rows->cohort < rows->count &&
           (!rows->cohorts[rows->cohort].size || rows->period > rows->last - rows->first - rows->cohort)) {
        rows->cohort++;
        rows->period = 0;
    }
    return rows->cohort < rows->count;
}

static lapse_status next_rows(void *self, lapse_table **out, lapse_error *error)
{
    struct rows *rows = self;
    if (!find_row(rows))
        return LAPSE_DONE;
    struct lapse_builder *b = lapse_builder_new(&rows->mem, specs, COLUMNS, 0);
    if (!b)
        return lapse_fail_memory(error);
    for (int n = 0; n < LAPSE_TABLE_ROWS && find_row(rows); n++) {
        put_row(rows, b, &rows->cohorts[rows->cohort]);
        rows->period++;
    }
    return lapse_builder_finish(b, out, error);
}

static void close_rows(void *self)
{
    struct rows *rows = self;
    lapse_allocator mem = rows->mem;
    free_cohorts(&mem, rows->cohorts, rows->count);
    lapse_mem_free(&mem, rows);
}

/* Adds up the sets in the first one of each cohort, which moves here, and sums last orders up from the end. */
static lapse_status join(const struct counting *c, struct lapse_sets *sets, struct rows *rows,
                         lapse_error *error)
{
    int64_t rows_all = 0;
    rows->cohorts = lapse_mem_zero(c->mem, (size_t)rows->count + 1, sizeof *rows->cohorts);
    if (!rows->cohorts)
        return lapse_fail_memory(error);
    for (int64_t i = 0; i < rows->count; i++) {
        struct cohort *all = &rows->cohorts[i];
        int64_t periods = rows->count - i;
        for (size_t s = 0; s < sets->count; s++) {
            struct cohort *one = &((struct set *)sets->set[s])->cohorts[i];
            all->size += one->size;
            for (int64_t k = 0; all->active && one->active && k < 2 * (periods + 1); k++)
                all->active[k] += one->active[k];
            if (!all->active) {
                all->active = one->active;
                one->active = NULL;
            }
        }
        for (int64_t k = periods; all->active && k-- > 0;)
            all->active[periods + 1 + k] += all->active[periods + 2 + k];
        rows_all += all->active ? periods : 0;
    }
    if (rows_all > CELLS_MOST)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the cohorts have more than %d rows: choose longer periods",
                          CELLS_MOST);
    return LAPSE_OK;
}

/* Periods from that of the earliest event to the last one that begins before the instant. */
static bool find_periods(lapse_view *view, struct counting *c, int32_t every)
{
    const struct lapse_zone *zone = lapse_view_zone(view);
    int64_t begin = lapse_view_first_time(view);
    c->first = 0;
    c->last = -1;
    if (begin > c->as_of || too_late(c->as_of))
        return true;
    if (!lapse_periods_new(c->mem, zone, begin, c->as_of, every, &c->periods))
        return false;
    c->first = c->last = c->periods.period[0];
    for (size_t i = 0; i < c->periods.count; i++) { /* a period may come twice */
        c->first = c->periods.period[i] < c->first ? c->periods.period[i] : c->first;
        c->last = c->periods.period[i] > c->last ? c->periods.period[i] : c->last;
    }
    while (c->last >= c->first && lapse_zone_day_start(zone, lapse_period_day(c->last, every)) >= c->as_of)
        c->last--;
    return true;
}

lapse_status lapse_view_cohorts(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                                lapse_error *error)
{
    lapse_churn_options o;
    lapse_status status = lapse_churn_begin(view, options, &o, out, error);
    if (status != LAPSE_OK)
        return status;
    o.every = o.every == LAPSE_EVERY_NONE ? LAPSE_EVERY_MONTH : o.every;
    struct counting c = { .mem = lapse_view_memory(view), .as_of = lapse_view_as_of(view) };
    c.zero_is_valid = lapse_policy_value(o.policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0;
    struct lapse_tally tally = { view, &o, LAPSE_ORDER_FIELDS, sizeof(struct set), open_set, add_customer, &c };
    struct lapse_sets sets = { .count = 0 };
    struct rows *rows = lapse_mem_zero(c.mem, 1, sizeof *rows);
    if (!rows || !find_periods(view, &c, o.every))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = lapse_tally_run(&tally, &sets, error);
    if (status == LAPSE_OK) {
        *rows = (struct rows){
            .mem = *c.mem, .first = c.first, .last = c.last, .count = c.last - c.first + 1, .every = o.every
        };
        status = join(&c, &sets, rows, error);
    }
    for (size_t i = 0; i < sets.count; i++) {
        struct set *s = sets.set[i];
        lapse_orders_free(&s->orders);
        free_cohorts(c.mem, s->cohorts, c.last - c.first + 1);
        lapse_mem_free(c.mem, s);
    }
    lapse_periods_free(c.mem, &c.periods);
    struct lapse_source source = { .self = rows, .next = next_rows, .close = close_rows };
    if (status == LAPSE_OK)
        return lapse_result_new(&rows->mem, specs, COLUMNS, source, out, error);
    if (rows && rows->mem.size)
        close_rows(rows);
    else
        lapse_mem_free(c.mem, rows);
    return status;
}
