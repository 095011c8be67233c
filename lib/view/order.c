/* The valid orders of one customer (rulings 3). Net looks at the set of events, not at their order (M8), so the
 * lines are gathered first and refunds and cancellations find them afterwards: through a hash table of refs, or one
 * by one where the history is short.
 * An order takes its place in `items` with its earliest line: events ascend in time, so the items do too and
 * nothing is sorted. Time and memory are linear in the history; without refs no table is touched. */
#include "view/view.h"

#define OUTSIDE UINT32_MAX /* place of an order that is not in the window */
enum { FEW = 16 };         /* events up to which refs are compared one by one: most histories are short */

struct lapse_order_group {
    const char *ref;
    uint64_t tail; /* of the ref, where most refs differ */
    uint32_t item; /* place in items, or OUTSIDE */
    uint32_t row;  /* of the first line */
    uint8_t ref_size;
    uint8_t known;     /* a line has an amount */
    uint8_t cancelled; /* or refunded as a whole */
    uint8_t placed, valid; /* for lapse_orders_valid_until() */
    lapse_int128 gross, refunded;
};

static bool put_item(struct lapse_orders *o, int64_t time, int64_t net)
{
    if (o->count == o->capacity &&
        !lapse_mem_reserve(o->mem, &o->items, &o->capacity, o->count + 1, sizeof *o->items))
        return false;
    o->items[o->count++] = (struct lapse_order){ time, net };
    return true;
}

/* At least twice as many slots as the history has events. */
static size_t table_size(int64_t events)
{
    size_t slots = 8;
    while (slots / 2 < (size_t)events)
        slots *= 2;
    return slots;
}

/* An empty table for the refs of a history. */
static bool clear_table(struct lapse_orders *o, int64_t events, size_t *mask)
{
    size_t slots = table_size(events);
    if (!o->slots && !lapse_random(&o->seed, sizeof o->seed))
        o->seed = 0; /* slower against a hostile file, never another answer */
    if (!lapse_mem_reserve(o->mem, &o->slots, &o->slot_capacity, slots, sizeof *o->slots))
        return false;
    memset(o->slots, 0, slots * sizeof *o->slots);
    *mask = slots - 1;
    return true;
}

/* The last bytes of a text in one number, up to eight; texts of one size below nine differ iff these do. */
static uint64_t tail_of(struct lapse_text t)
{
    uint64_t tail = 0;
    uint32_t half[2];
    if (t.size >= 8) {
        memcpy(&tail, t.data + t.size - 8, 8);
    } else if (t.size >= 4) {
        memcpy(&half[0], t.data, 4);
        memcpy(&half[1], t.data + t.size - 4, 4);
        tail = (uint64_t)half[0] << 32 | half[1];
    } else {
        for (uint32_t i = 0; i < t.size; i++)
            tail = tail << 8 | (uint8_t)t.data[i];
    }
    return tail;
}

static bool is_group_of(const struct lapse_order_group *g, struct lapse_text ref, uint64_t tail)
{
    return g->tail == tail && g->ref_size == ref.size && (ref.size <= 8 || memcmp(g->ref, ref.data, ref.size) == 0);
}

static uint64_t seen_bit(uint64_t tail)
{
    return UINT64_C(1) << (tail * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

/* The order `ref`, or NULL. With a table (mask is not 0) *slot is where its number, from 1, is or belongs. */
static struct lapse_order_group *find_group(const struct lapse_orders *o, size_t mask, struct lapse_text ref,
                                            uint64_t tail, uint32_t **slot)
{
    if (!mask) {
        for (size_t i = 0; o->seen & seen_bit(tail) && i < o->group_count; i++)
            if (is_group_of(&o->groups[i], ref, tail))
                return &o->groups[i];
        return NULL;
    }
    size_t at = (size_t)lapse_hash(ref.data, ref.size, o->seed) & mask;
    while (o->slots[at] && !is_group_of(&o->groups[o->slots[at] - 1], ref, tail))
        at = (at + 1) & mask;
    *slot = &o->slots[at];
    return o->slots[at] ? &o->groups[o->slots[at] - 1] : NULL;
}

/* One line of the order `ref`; its first line in time opens the order. */
static bool put_line(struct lapse_orders *o, size_t mask, struct lapse_text ref, int64_t row, int64_t time,
                     int64_t amount, int64_t after)
{
    uint64_t tail = tail_of(ref);
    uint32_t *slot = NULL;
    struct lapse_order_group *g = find_group(o, mask, ref, tail, &slot);
    if (!g) {
        if (o->group_count == o->group_capacity &&
            !lapse_mem_reserve(o->mem, &o->groups, &o->group_capacity, o->group_count + 1, sizeof *o->groups))
            return false;
        g = &o->groups[o->group_count++];
        *g = (struct lapse_order_group){
            .ref = ref.data, .ref_size = (uint8_t)ref.size, .tail = tail, .item = OUTSIDE, .row = (uint32_t)row
        };
        if (time > after) {
            g->item = (uint32_t)o->count;
            if (!put_item(o, time, 0))
                return false;
        }
        o->seen |= seen_bit(tail);
        if (slot)
            *slot = (uint32_t)o->group_count;
    }
    if (amount != LAPSE_MISSING) {
        g->gross += amount;
        g->known = 1;
    }
    return true;
}

/* Refunds and cancellations. One of an order that is not known has no effect (M6, M7), but for the amount of a
 * refund, which counts when its own time is in the window (R2). */
static void take_back(struct lapse_orders *o, size_t mask, const struct lapse_history *h, int64_t after)
{
    for (int64_t i = 0; i < h->count; i++) {
        uint8_t kind = h->name[LAPSE_F_KIND][i];
        if (kind != LAPSE_KIND_ORDER_CANCELLED && kind != LAPSE_KIND_ORDER_REFUNDED)
            continue;
        struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
        int64_t amount = h->number[LAPSE_F_AMOUNT][i];
        uint32_t *slot;
        struct lapse_order_group *g =
            ref.size && o->group_count ? find_group(o, mask, ref, tail_of(ref), &slot) : NULL;
        if (kind == LAPSE_KIND_ORDER_CANCELLED || amount == LAPSE_MISSING) {
            if (g)
                g->cancelled = 1;
        } else if (g) {
            g->refunded += amount;
        } else if (h->number[LAPSE_F_TIME][i] > after) {
            o->unknown_refunds += amount;
        }
    }
}

/* Nets the orders that have a ref and takes those that are not valid out of the items. */
static lapse_status settle(struct lapse_orders *o, const struct lapse_history *h, bool zero_is_valid,
                           lapse_error *error)
{
    bool holes = false;
    for (size_t i = 0; i < o->group_count; i++) {
        const struct lapse_order_group *g = &o->groups[i];
        int64_t gross, net;
        bool gross_fits = lapse_int128_fits(g->gross, &gross);
        if (!gross_fits || !lapse_int128_fits(g->gross - g->refunded, &net))
            return lapse_fail(error, LAPSE_OVERFLOW, "customer `%.*s`: the %s of order `%.*s` leaves 64 bits",
                              (int)h->customer.size, h->customer.data, gross_fits ? "net amount" : "amount",
                              (int)g->ref_size, g->ref);
        if (g->item == OUTSIDE)
            continue;
        struct lapse_order *item = &o->items[g->item];
        item->net = net;
        if (g->cancelled || !lapse_order_valid(g->known, gross, net, zero_is_valid)) {
            item->time = LAPSE_MISSING;
            holes = true;
        }
    }
    if (holes) {
        size_t kept = 0;
        for (size_t i = 0; i < o->count; i++)
            if (o->items[i].time != LAPSE_MISSING)
                o->items[kept++] = o->items[i];
        o->count = kept;
    }
    return LAPSE_OK;
}

static bool is_taken_back(const struct lapse_history *h)
{
    return lapse_history_has(h, LAPSE_KIND_ORDER_CANCELLED) || lapse_history_has(h, LAPSE_KIND_ORDER_REFUNDED);
}

lapse_status lapse_orders_net(struct lapse_orders *o, const struct lapse_history *h, int64_t after,
                              bool zero_is_valid, lapse_error *error)
{
    const uint8_t *kinds = h->name[LAPSE_F_KIND];
    const int64_t *times = h->number[LAPSE_F_TIME], *amounts = h->number[LAPSE_F_AMOUNT];
    size_t mask = 0;

    o->count = o->group_count = 0;
    o->seen = 0;
    o->unknown_refunds = 0;
    if (h->count > UINT32_MAX / 4) /* places and slots are 32 bits wide */
        return lapse_fail_memory(error);
    for (int64_t i = 0; i < h->count; i++) {
        if (kinds[i] != LAPSE_KIND_ORDER_PLACED)
            continue;
        struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
        bool ok = true;
        if (ref.size == 0) { /* an order of its own (M14), which nothing can take back */
            bool known = amounts[i] != LAPSE_MISSING;
            int64_t net = known ? amounts[i] : 0;
            if (times[i] > after && lapse_order_valid(known, net, net, zero_is_valid))
                ok = put_item(o, times[i], net);
        } else {
            ok = (h->count <= FEW || mask || clear_table(o, h->count, &mask)) &&
                 put_line(o, mask, ref, i, times[i], amounts[i], after);
        }
        if (!ok)
            return lapse_fail_memory(error);
    }
    if (is_taken_back(h))
        take_back(o, mask, h, after);
    return settle(o, h, zero_is_valid, error);
}

/* Orders none of which has a ref or is taken back: each line is an order (M14) whose net is its amount, and valid as
 * lapse_order_valid() says of such a one. */
static void sum_lines(const struct lapse_history *h, int64_t after, bool zero_is_valid, struct lapse_order_sum *out)
{
    const uint8_t *kinds = h->name[LAPSE_F_KIND];
    const int64_t *times = h->number[LAPSE_F_TIME], *amounts = h->number[LAPSE_F_AMOUNT];
    const int64_t n = h->count, least = zero_is_valid ? 0 : 1;
    int64_t count = 0, last = 0, i = 0;
    uint64_t low = 0, high = 0; /* of the net, to which nothing negative is added */
    while (i < n && times[i] <= after)
        i++;
    for (; i < n; i++) {
        int64_t amount = amounts[i];
        if (kinds[i] != LAPSE_KIND_ORDER_PLACED)
            continue;
        if (amount < least) { /* as a missing one is */
            if (amount != LAPSE_MISSING)
                continue;
            amount = 0;
        }
        count++;
        low += (uint64_t)amount;
        high += low < (uint64_t)amount;
        last = i;
    }
    *out = (struct lapse_order_sum){ count, count ? times[last] : 0, (lapse_int128)high << 64 | low };
}

lapse_status lapse_orders_sum(struct lapse_orders *o, const struct lapse_history *h, int64_t after, bool zero_is_valid,
                              bool with_items, struct lapse_order_sum *out, lapse_error *error)
{
    *out = (struct lapse_order_sum){ 0 };
    if (!with_items && !h->text[LAPSE_F_REF].begin && !is_taken_back(h)) {
        sum_lines(h, after, zero_is_valid, out);
        return LAPSE_OK;
    }
    lapse_status status = lapse_orders_net(o, h, after, zero_is_valid, error);
    if (status != LAPSE_OK)
        return status;
    out->count = (int64_t)o->count;
    out->net = -o->unknown_refunds;
    for (size_t i = 0; i < o->count; i++)
        out->net += o->items[i].net;
    out->last = o->count ? o->items[o->count - 1].time : 0;
    return LAPSE_OK;
}

static struct lapse_order_group *group_at(const struct lapse_orders *o, size_t mask, const struct lapse_history *h, int64_t i)
{
    struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
    uint8_t kind = h->name[LAPSE_F_KIND][i];
    bool order = kind == LAPSE_KIND_ORDER_PLACED || kind == LAPSE_KIND_ORDER_CANCELLED || kind == LAPSE_KIND_ORDER_REFUNDED;
    uint32_t *slot;
    return order && ref.size ? find_group(o, mask, ref, tail_of(ref), &slot) : NULL;
}

bool lapse_orders_begins(const struct lapse_orders *o, const struct lapse_history *h, int64_t row, bool zero_is_valid)
{
    struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, row);
    int64_t amount = h->number[LAPSE_F_AMOUNT][row];
    if (ref.size == 0)
        return lapse_order_valid(amount != LAPSE_MISSING, amount == LAPSE_MISSING ? 0 : amount,
                                 amount == LAPSE_MISSING ? 0 : amount, zero_is_valid);
    const struct lapse_order_group *g = group_at(o, h->count <= FEW ? 0 : table_size(h->count) - 1, h, row);
    return g && g->row == row && !g->cancelled &&
           lapse_order_valid(g->known, g->gross, g->gross - g->refunded, zero_is_valid);
}

/* One event of an order, in time: unlike lines and refunds of the whole history, what is later is not known yet. */
static void replay(struct lapse_order_group *g, uint8_t kind, int64_t amount)
{
    if (kind != LAPSE_KIND_ORDER_PLACED && (kind == LAPSE_KIND_ORDER_CANCELLED || amount == LAPSE_MISSING)) {
        g->cancelled = 1;
    } else if (kind == LAPSE_KIND_ORDER_REFUNDED) {
        g->refunded += amount;
    } else {
        g->placed = 1;
        g->known |= amount != LAPSE_MISSING;
        g->gross += amount != LAPSE_MISSING ? amount : 0;
    }
}

static bool stands(const struct lapse_order_group *g, bool zero_is_valid)
{
    lapse_int128 net = g->gross - g->refunded;
    return g->placed && !g->cancelled && lapse_order_valid(g->known, g->gross != 0, net > 0 ? 1 : net < 0 ? -1 : 0, zero_is_valid);
}

int64_t lapse_orders_valid_until(struct lapse_orders *o, const struct lapse_history *h, bool zero_is_valid)
{
    if (o->count)
        return INT64_MAX;
    if (o->group_count == 0) /* an order without ref is never taken back */
        return INT64_MIN;
    size_t mask = h->count <= FEW ? 0 : table_size(h->count) - 1;
    for (size_t i = 0; i < o->group_count; i++) {
        struct lapse_order_group *g = &o->groups[i];
        g->known = g->cancelled = g->placed = g->valid = 0;
        g->gross = g->refunded = 0;
    }
    const int64_t *time = h->number[LAPSE_F_TIME];
    int64_t until = INT64_MIN;
    size_t valid = 0;
    for (int64_t i = 0, end; i < h->count; i = end) {
        size_t before = valid;
        struct lapse_order_group *g;
        for (end = i; end < h->count && time[end] == time[i]; end++)
            if ((g = group_at(o, mask, h, end)))
                replay(g, h->name[LAPSE_F_KIND][end], h->number[LAPSE_F_AMOUNT][end]);
        for (int64_t k = i; k < end; k++) {
            if (!(g = group_at(o, mask, h, k)))
                continue;
            valid -= g->valid;
            g->valid = stands(g, zero_is_valid);
            valid += g->valid;
        }
        if (before && !valid)
            until = time[i];
    }
    return until;
}

void lapse_orders_free(struct lapse_orders *o)
{
    if (o->mem) {
        lapse_mem_free(o->mem, o->items);
        lapse_mem_free(o->mem, o->groups);
        lapse_mem_free(o->mem, o->slots);
    }
    *o = (struct lapse_orders){ .mem = o->mem };
}
