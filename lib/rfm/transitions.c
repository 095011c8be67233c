/* The answer `transitions`: segments at one instant by segments at another (rulings R19). Every customer who has a row
 * at one of them is counted once, in the cell of the two segments; without a row the segment is `(absent)`. */
#include "rfm/rfm.h"

struct counting {
    struct lapse_rfm_instants *instants;
    const lapse_allocator *mem;
    const struct lapse_segment_table *table;
    int16_t *from[LAPSE_FOLD_PARTS]; /* of each customer: the segment at the first instant */
    int64_t *cells;                  /* side x side: the segments of the table, (none), (absent) */
    int32_t side;
};

static lapse_status make_counting(struct counting *c, lapse_error *error)
{
    bool ok = true;
    for (int32_t p = 0; p < lapse_rfm_instants_parts(c->instants); p++) {
        int64_t count;
        lapse_rfm_instants_part(c->instants, p, &count);
        ok = (c->from[p] = lapse_mem_alloc(c->mem, (size_t)count * sizeof *c->from[p])) && ok;
    }
    c->side = c->table->count + 2;
    ok = (c->cells = lapse_mem_zero(c->mem, (size_t)c->side * (size_t)c->side, sizeof *c->cells)) && ok;
    return ok ? LAPSE_OK : lapse_fail_memory(error);
}

static void free_counting(struct counting *c)
{
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++)
        lapse_mem_free(c->mem, c->from[p]);
    lapse_mem_free(c->mem, c->cells);
}

/* The segments of the instant under work: kept at the first, counted at the second. */
static void visit(struct counting *c, bool second)
{
    const struct lapse_rfm *rfm = lapse_rfm_instant(c->instants);
    const int32_t none = c->table->count, absent = none + 1;
    for (int32_t p = 0; p < rfm->part_count; p++) {
        const struct lapse_rfm_part *rows = &rfm->part[p];
        int64_t count, row = 0;
        const struct lapse_rfm_now *now = lapse_rfm_instants_part(c->instants, p, &count);
        for (int64_t i = 0; i < count; i++) {
            int32_t segment = absent;
            if (now[i].frequency) {
                segment = lapse_segment_of(c->table, rows->scores[0][row], rows->scores[1][row], rows->scores[2][row]);
                segment = segment < 0 ? none : segment;
                row++;
            }
            if (second)
                c->cells[c->from[p][i] * c->side + segment]++;
            else
                c->from[p][i] = (int16_t)segment;
        }
    }
    if (second)
        c->cells[absent * c->side + absent] = 0; /* had a row between the two at most */
}

static struct lapse_text name_of(const struct lapse_segment_table *table, int32_t segment)
{
    if (segment < table->count)
        return table->names[segment];
    return segment == table->count ? (struct lapse_text){ LAPSE_SEGMENT_NONE, sizeof LAPSE_SEGMENT_NONE - 1 }
                                   : (struct lapse_text){ LAPSE_SEGMENT_ABSENT, sizeof LAPSE_SEGMENT_ABSENT - 1 };
}

static lapse_status make_result(const struct counting *c, lapse_result **out, lapse_error *error)
{
    static const struct lapse_column_spec specs[] = {
        { "from", LAPSE_TYPE_STRING, 0 }, { "to", LAPSE_TYPE_STRING, 0 }, { "customers", LAPSE_TYPE_INT64, 0 }
    };
    struct lapse_builder *b = lapse_builder_new(c->mem, specs, 3, 0);
    lapse_table *table;
    for (int32_t cell = 0; cell < c->side * c->side; cell++) {
        if (!c->cells[cell])
            continue;
        struct lapse_text from = name_of(c->table, cell / c->side), to = name_of(c->table, cell % c->side);
        lapse_builder_text(b, 0, from.data, from.size);
        lapse_builder_text(b, 1, to.data, to.size);
        lapse_builder_int(b, 2, c->cells[cell]);
    }
    lapse_status status = lapse_builder_finish(b, &table, error);
    return status == LAPSE_OK ? lapse_result_of_table(c->mem, table, out, error) : status;
}

/* Both instants: segments, then notes of who has none. */
static lapse_status count_all(struct counting *c, lapse_result **out, lapse_error *error)
{
    struct lapse_rfm seen[2] = { { .count = 0 }, { .count = 0 } };
    lapse_status status = make_counting(c, error);
    for (int second = 0; second < 2 && status == LAPSE_OK; second++) {
        status = lapse_rfm_instants_next(c->instants, error);
        if (status == LAPSE_OK)
            visit(c, second);
        const struct lapse_rfm *now = lapse_rfm_instant(c->instants);
        seen[second].as_of = now->as_of;
        seen[second].left_out = now->left_out;
        seen[second].without_order = now->without_order;
    }
    if (status == LAPSE_OK)
        status = make_result(c, out, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_rfm_notes(&seen[0], true, *out);
    if (status == LAPSE_OK && seen[0].as_of != seen[1].as_of)
        status = lapse_rfm_notes(&seen[1], true, *out);
    if (status == LAPSE_OK)
        status = lapse_segment_table_notes(c->table, *out);
    if (status == LAPSE_OK)
        return LAPSE_OK;
    lapse_result_free(*out);
    *out = NULL;
    return lapse_fail_memory(error);
}

/* The two instants of the span. */
static lapse_status open_instants(lapse_view *view, const lapse_rfm_options *options, struct lapse_rfm_instants **out,
                                  lapse_error *error)
{
    lapse_rfm_options o;
    lapse_status status = lapse_view_check(view, error);
    if (status == LAPSE_OK)
        status = lapse_rfm_options_read(&o, options, lapse_view_digits(view), error);
    if (status != LAPSE_OK)
        return status;
    if (o.from == INT64_MIN || o.made)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_options: transitions need from, and make no cuts to keep");
    status = lapse_view_check_span(view, o.from, error);
    if (status != LAPSE_OK)
        return status;
    int64_t *instants = lapse_mem_alloc(lapse_view_memory(view), 2 * sizeof *instants);
    if (!instants)
        return lapse_fail_memory(error);
    instants[0] = o.from;
    instants[1] = lapse_view_as_of(view);
    return lapse_rfm_instants_new(view, options, false, instants, 2, out, error);
}

lapse_status lapse_view_transitions(lapse_view *view, const lapse_rfm_options *options, lapse_result **out,
                                    lapse_error *error)
{
    struct counting c = { .side = 0 };
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = open_instants(view, options, &c.instants, error);
    if (status != LAPSE_OK)
        return status;
    c.mem = &lapse_rfm_instant(c.instants)->mem;
    c.table = &lapse_rfm_instant(c.instants)->segments;
    status = count_all(&c, out, error);
    free_counting(&c);
    lapse_rfm_instants_free(c.instants);
    return status;
}
