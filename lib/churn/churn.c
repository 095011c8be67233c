/* The answer `churn`: who was here at the ends of any number of periods, and who came and went between.
 *
 * One pass. The steps of a customer's clock and its deadlines give the instants at which the customer changes between
 * nothing, here and lost; each change finds its period by binary search. Who is here at the ends of periods is counted
 * by differences, so a change costs the same however many ends the customer stays through. All counts are integers, and
 * the books balance because at_end, losses, returns and newcomers are counted at the same changes. */
#include "churn/churn.h"

enum state { NOTHING, HERE, LOST };

/* Of the period that ends at bounds[i], for i from 1 on; entry 0 is of what was before, and of the beginning. */
struct counter {
    int64_t here, lost; /* customers at bounds[i]; while counting, how many more than at bounds[i - 1] */
    int64_t lost_end;   /* here at the beginning, not at the end */
    int64_t lost_flow, reactivated, fresh;
    int64_t returned; /* lost at the beginning, and reactivated in it */
};

struct set {
    struct lapse_track track;
    struct counter *counters; /* one a bound, and one more */
};

struct counting {
    const lapse_allocator *mem;
    struct lapse_clock clock;
    struct lapse_activity acts;
    const struct lapse_activity *activity; /* NULL: by purchase */
    int32_t limit;                         /* the state that counts as lost */
    bool zero_is_valid;
    int64_t to;
    int64_t *bounds;
    size_t tiles; /* one less than bounds */
};

/* One customer on the way through time. */
struct walk {
    const struct counting *c;
    struct counter *counters;
    size_t next;          /* the first bound that has not been passed */
    enum state state, at; /* now; and at the bound before `next` */
    bool returned;        /* counted as such since that bound */
};

/* Passes the bounds before number `next` in the present state. */
static void pass(struct walk *w, size_t next)
{
    if (next == w->next)
        return;
    struct counter *first = &w->counters[w->next], *end = &w->counters[next];
    first->lost_end += w->at == HERE && w->state != HERE;
    first->here += w->state == HERE;
    end->here -= w->state == HERE;
    first->lost += w->state == LOST;
    end->lost -= w->state == LOST;
    w->at = w->state;
    w->returned = false;
    w->next = next;
}

static void change(struct walk *w, int64_t time, enum state state)
{
    pass(w, lapse_bound_find(w->c->bounds, w->next, w->c->tiles + 1, time));
    struct counter *counter = &w->counters[w->next];
    bool back = w->state == LOST && state == HERE;
    counter->lost_flow += w->state == HERE;
    counter->reactivated += back;
    counter->fresh += w->state == NOTHING && state == HERE;
    if (back && w->at == LOST && !w->returned) {
        counter->returned++;
        w->returned = true;
    }
    w->state = state;
}

static inline void turn(struct walk *w, int64_t time, enum state state)
{
    if (state != w->state)
        change(w, time, state);
}

static lapse_status add_customer(void *user, void *set, const struct lapse_history *history, lapse_error *error)
{
    const struct counting *c = user;
    struct lapse_track *track = &((struct set *)set)->track;
    struct walk w = { .c = c, .counters = ((struct set *)set)->counters, .state = NOTHING, .at = NOTHING };
    lapse_status status = lapse_track_read(track, history, c->activity, c->zero_is_valid, error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < track->count; i++) {
        const struct lapse_step *step = &track->steps[i];
        int64_t until = i + 1 < track->count ? step[1].since - 1 : c->to; /* inclusive */
        if (step->last == LAPSE_MISSING) {
            turn(&w, step->since, NOTHING);
        } else if (step->last < step->since &&
                   lapse_clock_passed(&c->clock, c->limit, step->last, step->since)) {
            turn(&w, step->since, LOST); /* what is left was long ago */
        } else {
            turn(&w, step->since, HERE);
            if (lapse_clock_passed(&c->clock, c->limit, step->last, until))
                turn(&w, lapse_clock_deadline(&c->clock, c->limit, step->last), LOST);
        }
    }
    pass(&w, c->tiles + 1);
    return LAPSE_OK;
}

static bool open_set(void *user, void *set)
{
    const struct counting *c = user;
    struct set *s = set;
    s->track.mem = c->mem;
    s->counters = lapse_mem_zero(c->mem, c->tiles + 2, sizeof *s->counters);
    return s->counters != NULL;
}

static void close_set(const lapse_allocator *mem, void *set)
{
    struct set *s = set;
    lapse_track_free(&s->track);
    lapse_mem_free(mem, s->counters);
}

/* All sets in one array; differences become counts. NULL: no memory. */
static struct counter *join(const struct counting *c, const struct lapse_sets *sets)
{
    struct counter *all = lapse_mem_zero(c->mem, c->tiles + 2, sizeof *all);
    for (size_t s = 0; all && s < sets->count; s++) {
        const struct counter *one = ((const struct set *)sets->set[s])->counters;
        for (size_t i = 0; i <= c->tiles; i++) {
            all[i].here += one[i].here;
            all[i].lost += one[i].lost;
            all[i].lost_end += one[i].lost_end;
            all[i].lost_flow += one[i].lost_flow;
            all[i].reactivated += one[i].reactivated;
            all[i].fresh += one[i].fresh;
            all[i].returned += one[i].returned;
        }
    }
    for (size_t i = 1; all && i <= c->tiles; i++) {
        all[i].here += all[i - 1].here;
        all[i].lost += all[i - 1].lost;
    }
    return all;
}

/* ---- the rows ---- */

/* Where periods are, `from` and `to` stand before these. */
enum { MEASURE, NUMERATOR, DENOMINATOR, VALUE, PLAIN, COLUMNS = PLAIN + 2 };

struct rows {
    lapse_allocator mem;
    int64_t *bounds;
    struct counter *counters;
    size_t tiles, next;
    bool tiled;
    struct lapse_column_spec specs[COLUMNS];
};

enum { MEASURES = 12, TILES_A_PART = LAPSE_TABLE_ROWS / MEASURES };

/* A denominator in tenths, since a mean of two counts may end in .5; -1: a count, which has none. */
static void put_measure(struct lapse_builder *b, int32_t first, const char *name, int64_t numerator,
                        int64_t tenths)
{
    lapse_builder_text(b, first + MEASURE, name, strlen(name));
    lapse_builder_int(b, first + NUMERATOR, numerator);
    if (tenths < 0)
        lapse_builder_missing(b, first + DENOMINATOR);
    else
        lapse_builder_int(b, first + DENOMINATOR, tenths);
    if (tenths == 0)
        lapse_builder_missing(b, first + VALUE);
    else
        lapse_builder_double(b, first + VALUE,
                             tenths < 0 ? (double)numerator
                                        : lapse_int128_ratio((lapse_int128)numerator * 10, tenths));
}

static void put_tile(const struct rows *rows, struct lapse_builder *b, size_t i)
{
    const struct counter *end = &rows->counters[i + 1];
    int64_t start = rows->counters[i].here, lost = rows->counters[i].lost;
    const struct {
        const char *name;
        int64_t numerator, tenths;
    } measures[MEASURES] = {
        { "churn", end->lost_end, 10 * start },
        { "retention", start - end->lost_end, 10 * start },
        { "flow_churn", end->lost_flow, 10 * start },
        { "reactivation_rate", end->returned, 10 * lost },
        { "net_loss", start - end->here, 10 * start },
        { "average_base_churn", end->lost_end, 5 * (start + end->here) },
        { "at_start", start, -1 },
        { "at_end", end->here, -1 },
        { "lost_end_state", end->lost_end, -1 },
        { "lost_flow", end->lost_flow, -1 },
        { "reactivated", end->reactivated, -1 },
        { "new", end->fresh, -1 },
    };
    for (int m = 0; m < MEASURES; m++) {
        if (rows->tiled) {
            lapse_builder_int(b, 0, rows->bounds[i]);
            lapse_builder_int(b, 1, rows->bounds[i + 1]);
        }
        put_measure(b, rows->tiled ? 2 : 0, measures[m].name, measures[m].numerator, measures[m].tenths);
    }
}

static lapse_status next_rows(void *self, lapse_table **out, lapse_error *error)
{
    struct rows *rows = self;
    size_t n = rows->tiles - rows->next;
    if (n == 0)
        return LAPSE_DONE;
    n = n < TILES_A_PART ? n : TILES_A_PART;
    struct lapse_builder *b =
        lapse_builder_new(&rows->mem, rows->specs, rows->tiled ? COLUMNS : PLAIN, (int64_t)n * MEASURES);
    if (!b)
        return lapse_fail_memory(error);
    for (size_t i = 0; i < n; i++)
        put_tile(rows, b, rows->next++);
    return lapse_builder_finish(b, out, error);
}

static void close_rows(void *self)
{
    struct rows *rows = self;
    lapse_allocator mem = rows->mem;
    lapse_mem_free(&mem, rows->bounds);
    lapse_mem_free(&mem, rows->counters);
    lapse_mem_free(&mem, rows);
}

/* Takes over the bounds and the counters of `c`. */
static lapse_status make_result(struct counting *c, struct counter *counters, bool tiled, lapse_result **out,
                                lapse_error *error)
{
    static const struct lapse_column_spec specs[COLUMNS] = {
        { "from", LAPSE_TYPE_TIME, 0 },           { "to", LAPSE_TYPE_TIME, 0 },
        { "measure", LAPSE_TYPE_STRING, 0 },      { "numerator", LAPSE_TYPE_INT64, 0 },
        { "denominator", LAPSE_TYPE_DECIMAL, 1 }, { "value", LAPSE_TYPE_DOUBLE, 0 },
    };
    struct rows *rows = lapse_mem_zero(c->mem, 1, sizeof *rows);
    if (!rows) {
        lapse_mem_free(c->mem, counters);
        return lapse_fail_memory(error);
    }
    *rows = (struct rows){
        .mem = *c->mem, .bounds = c->bounds, .counters = counters, .tiles = c->tiles, .tiled = tiled
    };
    c->bounds = NULL;
    memcpy(rows->specs, specs + (tiled ? 0 : 2), (tiled ? COLUMNS : PLAIN) * sizeof *specs);
    struct lapse_source source = { .self = rows, .next = next_rows, .close = close_rows };
    return lapse_result_new(&rows->mem, rows->specs, tiled ? COLUMNS : PLAIN, source, out, error);
}

static lapse_status count(lapse_view *view, const lapse_churn_options *o, struct counting *c,
                          struct counter **out, lapse_error *error)
{
    enum lapse_basis basis = o->basis == LAPSE_CHURN_ACTIVITY ? LAPSE_BASIS_ACTIVITY : LAPSE_BASIS_PURCHASE;
    struct lapse_tally tally = { view,         o, lapse_track_fields(view, basis), sizeof(struct set), open_set,
                                 add_customer, c };
    struct lapse_sets sets;
    lapse_clock_init(&c->clock, lapse_view_zone(view), o->policy, basis);
    lapse_activity_init(&c->acts, o->policy);
    c->activity = basis == LAPSE_BASIS_ACTIVITY ? &c->acts : NULL;
    c->limit = lapse_churn_limit(o);
    c->zero_is_valid = lapse_policy_value(o->policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0;
    lapse_status status = lapse_tally_run(&tally, &sets, error);
    if (status == LAPSE_OK && !(*out = join(c, &sets)))
        status = lapse_fail_memory(error);
    lapse_sets_free(&sets, close_set);
    return status;
}

lapse_status lapse_view_churn(lapse_view *view, const lapse_churn_options *options, lapse_result **out,
                              lapse_error *error)
{
    lapse_churn_options o;
    struct counter *counters;
    lapse_status status = lapse_churn_begin(view, options, &o, out, error);
    if (status == LAPSE_OK && o.from == INT64_MIN)
        status = lapse_fail(error, LAPSE_INVALID, "lapse_churn_options: from is not set");
    if (status == LAPSE_OK)
        status = lapse_view_check_span(view, o.from, error);
    if (status != LAPSE_OK)
        return status;
    struct counting c = { .mem = lapse_view_memory(view), .to = lapse_view_as_of(view) };
    status = lapse_tiles_new(c.mem, lapse_view_zone(view), o.from, c.to, o.every, &c.bounds, &c.tiles, error);
    if (status == LAPSE_OK)
        status = count(view, &o, &c, &counters, error);
    if (status == LAPSE_OK)
        status = make_result(&c, counters, o.every != LAPSE_EVERY_NONE, out, error);
    lapse_mem_free(c.mem, c.bounds);
    return status;
}
