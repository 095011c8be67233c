/* The one pass of this room: a fold of the view to three values a customer. Each part of the fold grows arrays of
 * its own, which stay as they are. Cost: three numbers, the days since, and the id of each customer, and in scores.c
 * three scores; the scratch of a part is that of its largest customer. */
#include <stdio.h>

#include "rfm/rfm.h"

enum { APART = 128, FIRST_ROOM = 1 << 20 };

/* A part under construction, apart from those that other threads are at. */
struct part {
    struct lapse_rfm_part made;
    struct lapse_orders orders;
    size_t capacity;
    int64_t left_out, without_order; /* customers */
    char apart[APART];
};

struct collect {
    struct lapse_rfm_reader reader;
    int64_t after, today;
    bool with_ids;
    int kept;          /* values, the first ones */
    size_t first_room; /* customers of a part for whom there is room without growing */
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

bool lapse_rfm_resize(const lapse_allocator *mem, void *array, size_t n, size_t each)
{
    void *p;
    memcpy(&p, array, sizeof p); /* `array` is the address of a pointer to any type */
    p = n <= PTRDIFF_MAX / each ? lapse_mem_resize(mem, p, n * each) : NULL;
    if (p)
        memcpy(array, &p, sizeof p);
    return p;
}

/* Gives all arrays that are kept room for n customers. */
static bool set_room(const struct collect *c, struct part *part, size_t n)
{
    bool ok = true;
    for (int i = 0; ok && i < c->kept; i++)
        ok = lapse_rfm_resize(c->reader.mem, &part->made.value[i], n, sizeof(int64_t));
    ok = ok && (!c->with_ids || lapse_rfm_resize(c->reader.mem, &part->made.id_size, n, 1));
    part->capacity = ok ? n : part->capacity;
    return ok;
}

static bool put_customer(const struct collect *c, struct part *part, const int64_t value[], struct lapse_text id)
{
    struct lapse_rfm_part *p = &part->made;
    size_t i = (size_t)p->count;
    if (i == part->capacity && !set_room(c, part, i ? i + i / 2 : c->first_room))
        return false;
    for (int v = 0; v < c->kept; v++)
        p->value[v][i] = value[v];
    if (c->with_ids) {
        size_t marks = i / LAPSE_ID_MARK + 1;
        if (i % LAPSE_ID_MARK == 0 && !lapse_rfm_resize(c->reader.mem, &p->id_mark, marks, sizeof *p->id_mark))
            return false;
        if (i % LAPSE_ID_MARK == 0)
            p->id_mark[i / LAPSE_ID_MARK] = (int64_t)p->ids.size;
        p->id_size[i] = (uint8_t)id.size;
        lapse_buffer_put(&p->ids, id.data, id.size);
    }
    p->count++;
    return !p->ids.failed;
}

void lapse_rfm_reader_init(struct lapse_rfm_reader *reader, const struct lapse_rfm *rfm, lapse_view *view)
{
    const lapse_policy *policy = rfm->options.policy;
    *reader = (struct lapse_rfm_reader){
        .mem = &rfm->mem,
        .zone = lapse_view_zone(view),
        .options = &rfm->options,
        .token = lapse_policy_value(policy, LAPSE_SET_CONSENT_TOKEN),
        .zero_is_valid = lapse_policy_value(policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0,
    };
}

int64_t lapse_rfm_window(const struct lapse_rfm_reader *r, int64_t as_of)
{
    return r->options->window_unit == LAPSE_UNIT_NONE
               ? INT64_MIN
               : lapse_zone_add(r->zone, as_of, -r->options->window, r->options->window_unit);
}

lapse_status lapse_rfm_read(const struct lapse_rfm_reader *r, struct lapse_orders *orders,
                            const struct lapse_history *history, int64_t after, int64_t value[LAPSE_RFM_VALUES],
                            enum lapse_rfm_found *found, lapse_error *error)
{
    bool in_days = r->options->flags & LAPSE_RFM_FREQUENCY_DAYS;
    struct lapse_order_sum sum;
    int32_t rights;

    *found = LAPSE_RFM_LEFT_OUT; /* no score of somebody who objected (rulings X1) */
    lapse_status status = lapse_rights_at(history, r->zone, r->token, r->mem, &rights, error);
    if (status != LAPSE_OK || rights != LAPSE_RIGHTS_NONE)
        return status;
    *found = LAPSE_RFM_WITHOUT_ORDER;
    status = lapse_orders_sum(orders, history, after, r->zero_is_valid, in_days, &sum, error);
    if (status != LAPSE_OK || sum.count == 0)
        return status;
    *found = LAPSE_RFM_FOUND;
    if (r->options->flags & LAPSE_RFM_MONETARY_MEAN)
        sum.net = lapse_int128_divide_even(sum.net, (lapse_int128)sum.count);
    value[LAPSE_RFM_LAST_ORDER] = sum.last;
    value[LAPSE_RFM_RECENCY] = lapse_zone_day(r->zone, sum.last);
    value[LAPSE_RFM_ORDERS] = sum.count;
    value[LAPSE_RFM_FREQUENCY] = in_days ? count_days(r->zone, orders->items, orders->count) : sum.count;
    if (!lapse_int128_fits(sum.net, &value[LAPSE_RFM_MONETARY]))
        return lapse_fail(error, LAPSE_OVERFLOW, "customer `%.*s`: monetary leaves 64 bits",
                          (int)history->customer.size, history->customer.data);
    return LAPSE_OK;
}

static lapse_status add_customer(void *user, int32_t index, const struct lapse_history *history, lapse_error *error)
{
    struct collect *c = user;
    struct part *part = &c->parts[index];
    int64_t value[LAPSE_RFM_VALUES];
    enum lapse_rfm_found found;
    lapse_status status = lapse_rfm_read(&c->reader, &part->orders, history, c->after, value, &found, error);
    if (status != LAPSE_OK)
        return status;
    part->left_out += found == LAPSE_RFM_LEFT_OUT;
    part->without_order += found == LAPSE_RFM_WITHOUT_ORDER;
    if (found != LAPSE_RFM_FOUND)
        return LAPSE_OK;
    value[LAPSE_RFM_RECENCY] = lapse_rfm_days_since(c->today, value[LAPSE_RFM_RECENCY]);
    return put_customer(c, part, value, history->customer) ? LAPSE_OK : lapse_fail_memory(error);
}

void lapse_rfm_part_free(const lapse_allocator *mem, struct lapse_rfm_part *p)
{
    for (int v = 0; v < LAPSE_RFM_VALUES; v++)
        lapse_mem_free(mem, p->value[v]);
    for (int axis = 0; axis < 3; axis++)
        lapse_mem_free(mem, p->scores[axis]);
    lapse_mem_free(mem, p->id_size);
    lapse_mem_free(mem, p->id_mark);
    lapse_buffer_free(&p->ids);
}

/* Takes over the parts that have customers, and gives back what growing took too much. */
static void take_parts(struct lapse_rfm *rfm, struct collect *c)
{
    for (int i = 0; i < LAPSE_FOLD_PARTS; i++) {
        struct part *part = &c->parts[i];
        rfm->left_out += part->left_out;
        rfm->without_order += part->without_order;
        if (part->made.count == 0)
            continue;
        set_room(c, part, (size_t)part->made.count); /* as it was, should that fail */
        if (c->with_ids && lapse_rfm_resize(c->reader.mem, &part->made.ids.data, part->made.ids.size, 1))
            part->made.ids.capacity = part->made.ids.size;
        struct lapse_rfm_part *p = &rfm->part[rfm->part_count++];
        *p = part->made;
        p->first = rfm->count;
        p->ids.mem = &rfm->mem;
        rfm->count += p->count;
        part->made = (struct lapse_rfm_part){ .ids = { .mem = c->reader.mem } };
    }
}

static lapse_status collect(struct lapse_rfm *rfm, lapse_view *view, bool with_ids, bool with_orders,
                            lapse_error *error)
{
    const lapse_rfm_options *o = &rfm->options;
    const lapse_allocator *mem = &rfm->mem;
    bool keeps_orders = with_orders && (o->flags & LAPSE_RFM_FREQUENCY_DAYS);
    struct collect c = { .with_ids = with_ids, .kept = keeps_orders ? LAPSE_RFM_VALUES : LAPSE_RFM_ORDERS };
    c.first_room = (size_t)(lapse_view_customers(view) / lapse_fold_parts(o->threads));
    c.first_room += c.first_room / 16 + 16; /* parts have about equally many events, and some a few customers more */
    c.first_room = c.first_room < FIRST_ROOM ? c.first_room : FIRST_ROOM; /* a damaged directory may say anything */
    lapse_rfm_reader_init(&c.reader, rfm, view);
    c.today = lapse_zone_day(c.reader.zone, rfm->as_of);
    c.after = lapse_rfm_window(&c.reader, rfm->as_of);
    c.parts = lapse_mem_zero(mem, LAPSE_FOLD_PARTS, sizeof *c.parts);
    if (!c.parts)
        return lapse_fail_memory(error);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        c.parts[p].orders.mem = mem;
        lapse_buffer_init(&c.parts[p].made.ids, mem);
    }

    struct lapse_fold fold = { .fields = LAPSE_ORDER_FIELDS | LAPSE_RIGHTS_FIELDS,
                               .threads = o->threads,
                               .customer = add_customer,
                               .user = &c,
                               .on_progress = o->on_progress,
                               .progress_user = o->progress_user };
    lapse_status status = lapse_view_fold(view, &fold, error);
    if (status == LAPSE_OK)
        take_parts(rfm, &c);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        lapse_orders_free(&c.parts[p].orders);
        lapse_rfm_part_free(mem, &c.parts[p].made);
    }
    lapse_mem_free(mem, c.parts);
    return status;
}

bool lapse_rfm_score_parts(struct lapse_rfm *rfm)
{
    static const enum lapse_rfm_value values[3] = { LAPSE_RFM_RECENCY, LAPSE_RFM_FREQUENCY, LAPSE_RFM_MONETARY };
    struct lapse_score_part parts[LAPSE_FOLD_PARTS];
    bool ok = true;
    for (int32_t i = 0; i < rfm->part_count; i++) {
        struct lapse_rfm_part *p = &rfm->part[i];
        parts[i].count = p->count;
        for (int a = 0; a < 3; a++) {
            ok = (p->scores[a] || (p->scores[a] = lapse_mem_alloc(&rfm->mem, (size_t)p->count))) && ok;
            parts[i].value[a] = p->value[values[a]];
            parts[i].scores[a] = p->scores[a];
        }
    }
    return ok && lapse_scores_make(&rfm->mem, &rfm->options, rfm->digits, parts, rfm->part_count);
}

lapse_status lapse_rfm_begin(lapse_view *view, const lapse_rfm_options *options, struct lapse_rfm **out,
                             lapse_error *error)
{
    lapse_rfm_options ours;
    lapse_status status = lapse_view_check(view, error);
    if (status == LAPSE_OK)
        status = lapse_rfm_options_read(&ours, options, lapse_view_digits(view), error);
    if (status != LAPSE_OK)
        return status;
    const lapse_allocator *mem = lapse_view_memory(view);
    struct lapse_rfm *rfm = lapse_mem_zero(mem, 1, sizeof *rfm);
    if (!rfm)
        return lapse_fail_memory(error);
    rfm->mem = *mem;
    rfm->options = ours;
    rfm->digits = lapse_view_digits(view);
    rfm->as_of = lapse_view_as_of(view);
    status = lapse_segment_table_read(&rfm->segments, &rfm->mem, &ours, error);
    if (status == LAPSE_OK)
        *out = rfm;
    else
        lapse_rfm_free(rfm);
    return status;
}

lapse_status lapse_rfm_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                           struct lapse_rfm **out, lapse_error *error)
{
    lapse_status status = lapse_rfm_begin(view, options, out, error);
    if (status != LAPSE_OK)
        return status;
    status = collect(*out, view, with_ids, with_orders, error);
    if (status == LAPSE_OK && !lapse_rfm_score_parts(*out))
        status = lapse_fail_memory(error);
    if (status != LAPSE_OK)
        lapse_rfm_free(*out);
    return status;
}

static lapse_status note_count(lapse_result *result, const char *at, int64_t n, const char *one, const char *many)
{
    char text[200], number[32];
    size_t digits = lapse_int_format(n, number);
    int size = snprintf(text, sizeof text, "%s%.*s%s", at, (int)digits, number, n == 1 ? one : many);
    return n ? lapse_result_add_note(result, text, (size_t)size) : LAPSE_OK;
}

lapse_status lapse_rfm_notes(const struct lapse_rfm *rfm, bool at_instant, lapse_result *result)
{
    char at[64] = "", time[32];
    if (at_instant)
        snprintf(at, sizeof at, "at %.*s: ", (int)lapse_instant_format(rfm->as_of, time), time);
    lapse_status status = note_count(result, at, rfm->left_out, " customer is left out: objected or erased",
                                     " customers are left out: they objected or were erased");
    if (status == LAPSE_OK)
        status = note_count(result, at, rfm->without_order, " customer has no valid order",
                            " customers have no valid order");
    return status;
}

void lapse_rfm_free(struct lapse_rfm *rfm)
{
    lapse_allocator mem = rfm->mem;
    for (int32_t p = 0; p < rfm->part_count; p++)
        lapse_rfm_part_free(&mem, &rfm->part[p]);
    lapse_segment_table_free(&rfm->segments);
    lapse_mem_free(&mem, rfm);
}
