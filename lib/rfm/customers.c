/* The one pass of this room: a fold of the view to three values a customer, then cuts and scores. Parts of
 * the fold grow arrays of their own, which are joined in the order of ids. Cost: three numbers, the days since,
 * three scores and the id of each customer; the scratch of a part is that of its largest customer. */
#include "rfm/rfm.h"

enum column { LAST_ORDER, FREQUENCY, MONETARY, ORDERS, COLUMNS };

struct part {
    struct lapse_orders orders;
    struct lapse_buffer ids;
    int64_t *column[COLUMNS];
    size_t capacity[COLUMNS];
    size_t count;
    int64_t left_out, without_order; /* customers */
};

struct collect {
    const lapse_allocator *mem;
    const struct lapse_zone *zone;
    int64_t after; /* of the window */
    uint32_t flags;
    struct lapse_setting_value token;
    bool zero_is_valid, with_ids;
    int columns;
    struct part *parts;
};

/* Distinct calendar days of orders that ascend in time. Where clocks go back over midnight days may not ascend,
 * but each lies within a day of its UTC day; so the days seen around the UTC day are enough to remember. */
static int64_t count_days(const struct lapse_zone *zone, const struct lapse_order *items, size_t n)
{
    int64_t days = 0, base = 0;
    uint64_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t utc = lapse_zone_day(&lapse_zone_utc, items[i].time);
        int64_t day = lapse_zone_day(zone, items[i].time);
        uint64_t bit = UINT64_C(1) << (day - utc + 2);
        seen = i && utc >= base && utc - base < 64 ? seen >> (utc - base) : 0;
        base = utc;
        days += !(seen & bit);
        seen |= bit;
    }
    return days;
}

static lapse_status add_customer(void *user, int32_t index, const struct lapse_history *history,
                                 lapse_error *error)
{
    struct collect *c = user;
    struct part *part = &c->parts[index];
    struct lapse_orders *orders = &part->orders;

    int32_t rights;
    lapse_status status = lapse_rights_at(history, c->zone, c->token, c->mem, &rights, error);
    if (status != LAPSE_OK || rights != LAPSE_RIGHTS_NONE) {
        part->left_out++; /* no score of somebody who objected (rulings X1) */
        return status;
    }
    status = lapse_orders_net(orders, history, c->after, c->zero_is_valid, error);
    if (status != LAPSE_OK || orders->count == 0) {
        part->without_order++;
        return status;
    }

    lapse_int128 sum = -orders->unknown_refunds;
    for (size_t i = 0; i < orders->count; i++)
        sum += orders->items[i].net;
    if (c->flags & LAPSE_RFM_MONETARY_MEAN)
        sum = lapse_int128_divide_even(sum, (lapse_int128)orders->count);

    int64_t value[COLUMNS] = { orders->items[orders->count - 1].time, (int64_t)orders->count, 0,
                               (int64_t)orders->count };
    if (!lapse_int128_fits(sum, &value[MONETARY]))
        return lapse_fail(error, LAPSE_OVERFLOW, "customer `%.*s`: monetary leaves 64 bits",
                          (int)history->customer.size, history->customer.data);
    if (c->flags & LAPSE_RFM_FREQUENCY_DAYS)
        value[FREQUENCY] = count_days(c->zone, orders->items, orders->count);

    for (int i = 0; i < c->columns; i++) {
        if (!lapse_mem_reserve(c->mem, &part->column[i], &part->capacity[i], part->count + 1, sizeof(int64_t)))
            return lapse_fail_memory(error);
        part->column[i][part->count] = value[i];
    }
    part->count++;
    if (c->with_ids) {
        lapse_buffer_byte(&part->ids, (uint8_t)history->customer.size);
        lapse_buffer_put(&part->ids, history->customer.data, history->customer.size);
    }
    return part->ids.failed ? lapse_fail_memory(error) : LAPSE_OK;
}

/* One column of all parts as one array; those of the parts are given up on the way. */
static int64_t *join(struct collect *c, int column, int64_t count)
{
    int64_t *all = lapse_mem_alloc(c->mem, (size_t)count * sizeof *all);
    size_t at = 0;
    for (int p = 0; all && p < LAPSE_FOLD_PARTS; p++) {
        struct part *part = &c->parts[p];
        if (!part->count)
            continue;
        memcpy(all + at, part->column[column], part->count * sizeof *all);
        at += part->count;
        lapse_mem_free(c->mem, part->column[column]);
        part->column[column] = NULL;
    }
    return all;
}

/* Gives back what growing took too much. */
static void trim(struct lapse_buffer *b)
{
    char *data = b->size ? lapse_mem_resize(b->mem, b->data, b->size) : NULL;
    if (data) {
        b->data = data;
        b->capacity = b->size;
    }
}

static lapse_status join_all(struct lapse_rfm *rfm, struct collect *c, lapse_error *error)
{
    int64_t **columns[COLUMNS] = { &rfm->last_order, &rfm->frequency, &rfm->monetary, &rfm->orders };
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        rfm->count += (int64_t)c->parts[p].count;
        rfm->left_out += c->parts[p].left_out;
        rfm->without_order += c->parts[p].without_order;
        lapse_orders_free(&c->parts[p].orders);
        rfm->ids[p] = c->parts[p].ids;
        lapse_buffer_init(&c->parts[p].ids, c->mem);
        trim(&rfm->ids[p]);
    }
    for (int i = 0; i < c->columns; i++)
        if (!(*columns[i] = join(c, i, rfm->count)))
            return lapse_fail_memory(error);
    return LAPSE_OK;
}

static lapse_status collect(struct lapse_rfm *rfm, lapse_view *view, bool with_ids, bool with_orders,
                            lapse_error *error)
{
    const lapse_rfm_options *o = &rfm->options;
    struct collect c = { .mem = &rfm->mem,
                         .zone = lapse_view_zone(view),
                         .after = INT64_MIN,
                         .flags = o->flags,
                         .with_ids = with_ids };
    c.columns = with_orders && (o->flags & LAPSE_RFM_FREQUENCY_DAYS) ? COLUMNS : ORDERS;
    c.token = lapse_policy_value(o->policy, LAPSE_SET_CONSENT_TOKEN);
    c.zero_is_valid = lapse_policy_value(o->policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0;
    if (o->window_unit != LAPSE_UNIT_NONE)
        c.after = lapse_zone_add(c.zone, lapse_view_as_of(view), -o->window, o->window_unit);
    c.parts = lapse_mem_zero(c.mem, LAPSE_FOLD_PARTS, sizeof *c.parts);
    if (!c.parts)
        return lapse_fail_memory(error);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        c.parts[p].orders.mem = c.mem;
        lapse_buffer_init(&c.parts[p].ids, c.mem);
    }

    struct lapse_fold fold = { .fields = LAPSE_ORDER_FIELDS | LAPSE_RIGHTS_FIELDS,
                               .threads = o->threads,
                               .customer = add_customer,
                               .user = &c,
                               .on_progress = o->on_progress,
                               .progress_user = o->progress_user };
    lapse_status status = lapse_view_fold(view, &fold, error);
    if (status == LAPSE_OK)
        status = join_all(rfm, &c, error);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        struct part *part = &c.parts[p];
        lapse_orders_free(&part->orders);
        lapse_buffer_free(&part->ids);
        for (int i = 0; i < COLUMNS; i++)
            lapse_mem_free(c.mem, part->column[i]);
    }
    lapse_mem_free(c.mem, c.parts);
    return status;
}

/* Days from the last order to the instant. Never below 0 (R21), not even where the clock went back to yesterday
 * between the two. */
static bool find_recency(struct lapse_rfm *rfm, const lapse_view *view)
{
    const struct lapse_zone *zone = lapse_view_zone(view);
    int64_t today = lapse_zone_day(zone, lapse_view_as_of(view));
    rfm->recency = lapse_mem_alloc(&rfm->mem, (size_t)rfm->count * sizeof *rfm->recency);
    for (int64_t i = 0; rfm->recency && i < rfm->count; i++) {
        int64_t days = today - lapse_zone_day(zone, rfm->last_order[i]);
        rfm->recency[i] = days > 0 ? days : 0;
    }
    return rfm->recency != NULL;
}

/* Scores of the three axes. When nested, an axis is cut within each combination of the scores before it. */
static bool score(struct lapse_rfm *rfm)
{
    const lapse_rfm_options *o = &rfm->options;
    bool nested = o->flags & LAPSE_RFM_NESTED, ok = true;
    uint8_t *group = NULL;
    struct lapse_axis axes[3] = { { .values = rfm->recency, .bins = o->bins_r, .low_is_best = true },
                                  { .values = rfm->frequency, .bins = o->bins_f },
                                  { .values = rfm->monetary, .bins = o->bins_m } };

    if (nested)
        group = lapse_mem_zero(&rfm->mem, (size_t)rfm->count, 1);
    if (nested && !group)
        return false;
    for (int a = 0, groups = 1; ok && a < 3; a++) {
        axes[a].count = rfm->count;
        axes[a].group = a ? group : NULL;
        axes[a].groups = groups;
        rfm->scores[a] = lapse_mem_alloc(&rfm->mem, (size_t)rfm->count);
        ok = rfm->scores[a] && lapse_axis_score(&rfm->mem, &axes[a], rfm->scores[a]);
        if (!ok || !nested || a == 2)
            continue;
        for (int64_t i = 0; i < rfm->count; i++)
            group[i] = (uint8_t)(group[i] * axes[a].bins + rfm->scores[a][i] - 1);
        groups *= axes[a].bins;
    }
    lapse_mem_free(&rfm->mem, group);
    return ok;
}

lapse_status lapse_rfm_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                           struct lapse_rfm **out, lapse_error *error)
{
    lapse_rfm_options ours;
    lapse_status status = lapse_view_check(view, error);
    if (status == LAPSE_OK)
        status = lapse_rfm_options_read(&ours, options, error);
    if (status != LAPSE_OK)
        return status;
    const lapse_allocator *mem = lapse_view_memory(view);
    struct lapse_rfm *rfm = lapse_mem_zero(mem, 1, sizeof *rfm);
    if (!rfm)
        return lapse_fail_memory(error);
    rfm->mem = *mem;
    rfm->options = ours;
    rfm->digits = lapse_view_digits(view);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++)
        lapse_buffer_init(&rfm->ids[p], &rfm->mem);

    status = lapse_segment_table_read(&rfm->segments, &rfm->mem, &ours, error);
    if (status == LAPSE_OK)
        status = collect(rfm, view, with_ids, with_orders, error);
    if (status == LAPSE_OK && !(find_recency(rfm, view) && score(rfm)))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK)
        *out = rfm;
    else
        lapse_rfm_free(rfm);
    return status;
}

static lapse_status note_count(lapse_result *result, int64_t n, const char *one, const char *many)
{
    char text[128];
    size_t size = lapse_int_format(n, text);
    const char *rest = n == 1 ? one : many;
    memcpy(text + size, rest, strlen(rest));
    return n ? lapse_result_add_note(result, text, size + strlen(rest)) : LAPSE_OK;
}

lapse_status lapse_rfm_notes(const struct lapse_rfm *rfm, lapse_result *result)
{
    lapse_status status = note_count(result, rfm->left_out, " customer is left out: objected or erased",
                                     " customers are left out: they objected or were erased");
    if (status == LAPSE_OK)
        status = note_count(result, rfm->without_order, " customer has no valid order",
                            " customers have no valid order");
    return status == LAPSE_OK ? lapse_segment_table_notes(&rfm->segments, result) : status;
}

void lapse_rfm_free(struct lapse_rfm *rfm)
{
    lapse_allocator mem = rfm->mem;
    int64_t *columns[] = { rfm->last_order, rfm->frequency, rfm->monetary, rfm->orders, rfm->recency };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        lapse_mem_free(&mem, columns[i]);
    for (int a = 0; a < 3; a++)
        lapse_mem_free(&mem, rfm->scores[a]);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++)
        lapse_buffer_free(&rfm->ids[p]);
    lapse_segment_table_free(&rfm->segments);
    lapse_mem_free(&mem, rfm);
}
