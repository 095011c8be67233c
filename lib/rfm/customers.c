/* The one pass of this room: a fold of the view to three values a customer, then cuts and scores. Parts of
 * the fold grow arrays of their own, which are joined in the order of ids. Cost: three numbers, the days since,
 * three scores and the id of each customer; the scratch of a part is that of its largest customer. */
#include "rfm/rfm.h"

#include <stdatomic.h>

/* What a part keeps of a customer; the last is 1 byte wide. */
enum column { LAST_ORDER, FREQUENCY, MONETARY, ORDERS, ID_SIZE, COLUMNS };

/* Numbers, then sizes of ids, both with room for `capacity` customers; then the ids. */
struct part {
    struct lapse_orders orders;
    struct lapse_buffer ids;
    void *column[COLUMNS];
    size_t count, capacity;
    int64_t left_out, without_order; /* customers */
};

struct collect {
    struct lapse_rfm *rfm;
    const lapse_allocator *mem;
    const struct lapse_zone *zone;
    int64_t after; /* of the window */
    int64_t today;
    uint32_t flags;
    const lapse_policy *policy;
    bool zero_is_valid;
    bool keeps[COLUMNS];
    struct part *parts;
    size_t first[LAPSE_FOLD_PARTS], first_byte[LAPSE_FOLD_PARTS]; /* of a part, and its ids, among all */
};

static size_t width_of(int column)
{
    return column == ID_SIZE ? 1 : sizeof(int64_t);
}

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

/* Room for more customers in all columns that are kept. */
static bool grow(const struct collect *c, struct part *part)
{
    size_t wanted = part->capacity ? part->capacity + part->capacity / 2 : 1024;
    for (int i = 0; i < COLUMNS; i++) {
        void *column = part->column[i];
        if (!c->keeps[i])
            continue;
        if (wanted > PTRDIFF_MAX / sizeof(int64_t) || !(column = lapse_mem_resize(c->mem, column, wanted * width_of(i))))
            return false;
        part->column[i] = column;
    }
    part->capacity = wanted;
    return true;
}

static bool put_customer(const struct collect *c, struct part *part, const int64_t value[ID_SIZE], struct lapse_text id)
{
    if (part->count == part->capacity && !grow(c, part))
        return false;
    for (int i = 0; i < ID_SIZE; i++)
        if (c->keeps[i])
            ((int64_t *)part->column[i])[part->count] = value[i];
    if (c->keeps[ID_SIZE]) {
        ((uint8_t *)part->column[ID_SIZE])[part->count] = (uint8_t)id.size;
        lapse_buffer_put(&part->ids, id.data, id.size);
    }
    part->count++;
    return !part->ids.failed;
}

static lapse_status add_customer(void *user, int32_t index, const struct lapse_history *history, lapse_error *error)
{
    struct collect *c = user;
    struct part *part = &c->parts[index];
    bool in_days = c->flags & LAPSE_RFM_FREQUENCY_DAYS;
    struct lapse_order_sum sum;

    int32_t rights;
    lapse_status status = lapse_rights_at(history, c->zone, c->policy, c->mem, &rights, error);
    if (status != LAPSE_OK || rights != LAPSE_RIGHTS_NONE) {
        part->left_out++; /* no score of somebody who objected (rulings X1) */
        return status;
    }
    status = lapse_orders_sum(&part->orders, history, c->after, c->zero_is_valid, in_days, &sum, error);
    if (status != LAPSE_OK || sum.count == 0) {
        part->without_order++;
        return status;
    }
    if (c->flags & LAPSE_RFM_MONETARY_MEAN)
        sum.net = lapse_int128_divide_even(sum.net, (lapse_int128)sum.count);
    int64_t value[ID_SIZE] = { [LAST_ORDER] = sum.last, [FREQUENCY] = sum.count, [ORDERS] = sum.count };
    if (!lapse_int128_fits(sum.net, &value[MONETARY]))
        return lapse_fail(error, LAPSE_OVERFLOW, "customer `%.*s`: monetary leaves 64 bits",
                          (int)history->customer.size, history->customer.data);
    if (in_days)
        value[FREQUENCY] = count_days(c->zone, part->orders.items, part->orders.count);
    return put_customer(c, part, value, history->customer) ? LAPSE_OK : lapse_fail_memory(error);
}

/* ---- parts to one --------------------------------------------------------------------------------------- */

static void free_part(const lapse_allocator *mem, struct part *part)
{
    lapse_orders_free(&part->orders);
    lapse_buffer_free(&part->ids);
    for (int i = 0; i < COLUMNS; i++) {
        lapse_mem_free(mem, part->column[i]);
        part->column[i] = NULL;
    }
}

/* The arrays of all customers are those of the first part, made as large as all are; mostly it is the only one. */
static bool take_first(struct lapse_rfm *rfm, struct collect *c, size_t bytes)
{
    struct part *first = &c->parts[0];
    size_t n = (size_t)rfm->count;
    rfm->recency = lapse_mem_alloc(c->mem, n * sizeof *rfm->recency);
    bool ok = rfm->recency;
    for (int i = 0; ok && i < COLUMNS; i++) {
        void *column = c->keeps[i] ? lapse_mem_resize(c->mem, first->column[i], n * width_of(i)) : NULL;
        ok = column || !c->keeps[i];
        first->column[i] = column ? column : first->column[i];
    }
    char *ids = ok && c->keeps[ID_SIZE] ? lapse_mem_resize(c->mem, first->ids.data, bytes) : NULL;
    if (!ok || (c->keeps[ID_SIZE] && !ids))
        return false;
    rfm->last_order = first->column[LAST_ORDER];
    rfm->frequency = first->column[FREQUENCY];
    rfm->monetary = first->column[MONETARY];
    rfm->orders = first->column[ORDERS];
    rfm->id_size = first->column[ID_SIZE];
    rfm->ids = ids;
    memset(first->column, 0, sizeof first->column);
    lapse_buffer_init(&first->ids, c->mem);
    return true;
}

/* Puts a part in its place among all, gives its own arrays back, and finds the days since each last order: never
 * below 0 (R21), not even where the clock went back to yesterday between the two. */
static int place_part(void *user, int64_t index)
{
    struct collect *c = user;
    struct lapse_rfm *rfm = c->rfm;
    struct part *part = &c->parts[index];
    void *all[COLUMNS] = { rfm->last_order, rfm->frequency, rfm->monetary, rfm->orders, rfm->id_size };
    size_t first = c->first[index];
    for (int i = 0; i < COLUMNS; i++)
        if (part->column[i])
            memcpy((char *)all[i] + first * width_of(i), part->column[i], part->count * width_of(i));
    if (part->ids.size)
        memcpy(rfm->ids + c->first_byte[index], part->ids.data, part->ids.size);
    free_part(c->mem, part);
    for (size_t i = first; i < first + part->count; i++) {
        int64_t days = c->today - lapse_zone_day(c->zone, rfm->last_order[i]);
        rfm->recency[i] = days > 0 ? days : 0;
    }
    return 0;
}

static bool mark_ids(struct lapse_rfm *rfm)
{
    int64_t place = 0;
    rfm->id_mark = lapse_mem_alloc(&rfm->mem, ((size_t)rfm->count / LAPSE_ID_MARK + 1) * sizeof *rfm->id_mark);
    for (int64_t i = 0; rfm->id_mark && i < rfm->count; i++) {
        if (i % LAPSE_ID_MARK == 0)
            rfm->id_mark[i / LAPSE_ID_MARK] = place;
        place += rfm->id_size[i];
    }
    return rfm->id_mark;
}

static bool join(struct lapse_rfm *rfm, struct collect *c)
{
    size_t count = 0, bytes = 0;
    int64_t parts = 1; /* up to the last that has customers */
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        struct part *part = &c->parts[p];
        c->first[p] = count;
        c->first_byte[p] = bytes;
        count += part->count;
        bytes += part->ids.size;
        parts = part->count ? p + 1 : parts;
        rfm->left_out += part->left_out;
        rfm->without_order += part->without_order;
    }
    rfm->count = (int64_t)count;
    if (!take_first(rfm, c, bytes))
        return false;
    lapse_parallel(rfm->options.threads, parts, place_part, c);
    return !c->keeps[ID_SIZE] || mark_ids(rfm);
}

static lapse_status collect(struct lapse_rfm *rfm, lapse_view *view, bool with_ids, bool with_orders,
                            lapse_error *error)
{
    const lapse_rfm_options *o = &rfm->options;
    struct collect c = { .rfm = rfm,
                         .mem = &rfm->mem,
                         .zone = lapse_view_zone(view),
                         .after = INT64_MIN,
                         .flags = o->flags,
                         .keeps = { [LAST_ORDER] = true, [FREQUENCY] = true, [MONETARY] = true } };
    c.keeps[ORDERS] = with_orders && (o->flags & LAPSE_RFM_FREQUENCY_DAYS);
    c.keeps[ID_SIZE] = with_ids;
    c.today = lapse_zone_day(c.zone, lapse_view_as_of(view));
    c.policy = o->policy;
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
    if (status == LAPSE_OK && !join(rfm, &c))
        status = lapse_fail_memory(error);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++)
        free_part(c.mem, &c.parts[p]);
    lapse_mem_free(c.mem, c.parts);
    return status;
}

struct scoring {
    struct lapse_rfm *rfm;
    struct lapse_axis axes[3];
    atomic_bool failed;
};

static int score_axis(void *user, int64_t axis)
{
    struct scoring *s = user;
    if (!lapse_axis_score(&s->rfm->mem, &s->axes[axis], s->rfm->scores[axis]))
        atomic_store(&s->failed, true);
    return atomic_load(&s->failed);
}

/* When nested, an axis is cut within each combination of the scores before it. */
static void score_nested(struct lapse_rfm *rfm, struct scoring *s)
{
    uint8_t *group = lapse_mem_zero(&rfm->mem, (size_t)rfm->count, 1);
    int32_t groups = 1;
    if (!group)
        atomic_store(&s->failed, true);
    for (int a = 0; a < 3; a++) {
        s->axes[a].group = a ? group : NULL;
        s->axes[a].groups = groups;
        if (atomic_load(&s->failed) || score_axis(s, a) || a == 2)
            break;
        for (int64_t i = 0; i < rfm->count; i++)
            group[i] = (uint8_t)(group[i] * s->axes[a].bins + rfm->scores[a][i] - 1);
        groups *= s->axes[a].bins;
    }
    lapse_mem_free(&rfm->mem, group);
}

/* Scores of the three axes. */
static bool score(struct lapse_rfm *rfm)
{
    const lapse_rfm_options *o = &rfm->options;
    struct scoring s = { .rfm = rfm,
                         .axes = { { .values = rfm->recency, .bins = o->bins_r, .low_is_best = true },
                                   { .values = rfm->frequency, .bins = o->bins_f },
                                   { .values = rfm->monetary, .bins = o->bins_m } } };
    atomic_init(&s.failed, false);
    for (int a = 0; a < 3; a++) {
        s.axes[a].count = rfm->count;
        s.axes[a].groups = 1;
        rfm->scores[a] = lapse_mem_alloc(&rfm->mem, (size_t)rfm->count);
        if (!rfm->scores[a])
            return false;
    }
    if (o->flags & LAPSE_RFM_NESTED)
        score_nested(rfm, &s);
    else
        lapse_parallel(o->threads, 3, score_axis, &s);
    return !atomic_load(&s.failed);
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

    status = lapse_segment_table_read(&rfm->segments, &rfm->mem, &ours, error);
    if (status == LAPSE_OK)
        status = collect(rfm, view, with_ids, with_orders, error);
    if (status == LAPSE_OK && !score(rfm))
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
    lapse_mem_free(&mem, rfm->ids);
    lapse_mem_free(&mem, rfm->id_size);
    lapse_mem_free(&mem, rfm->id_mark);
    lapse_segment_table_free(&rfm->segments);
    lapse_mem_free(&mem, rfm);
}
