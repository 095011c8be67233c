/* The valid orders of one customer (rulings 3). Net looks at the set of events, not at their order (M8), so the
 * lines are gathered first and refunds and cancellations find them afterwards through a hash table of refs.
 * An order takes its place in `items` with its earliest line: events ascend in time, so the items do too and
 * nothing is sorted. Time and memory are linear in the history; without refs no table is touched. */
#include "view/view.h"

#define OUTSIDE UINT32_MAX /* place of an order that is not in the window */

struct lapse_order_group {
    const char *ref;
    uint32_t item; /* place in items, or OUTSIDE */
    uint8_t ref_size;
    uint8_t known;     /* a line has an amount */
    uint8_t cancelled; /* or refunded as a whole */
    uint8_t placed, valid; /* for lapse_orders_valid_until() */
    lapse_int128 gross, refunded;
};

/* M11, M12, M13. An order none of whose lines has an amount stands until its net is negative. */
static bool is_valid(bool known, int64_t gross, int64_t net, bool zero_is_valid)
{
    if (!known)
        return net >= 0;
    return net > 0 || (zero_is_valid && gross == 0 && net == 0);
}

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

/* The slot that holds the number (from 1) of the group of `ref`, or a 0 where it belongs. */
static uint32_t *find_slot(const struct lapse_orders *o, size_t mask, struct lapse_text ref)
{
    size_t at = (size_t)lapse_hash(ref.data, ref.size, o->seed) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t number = o->slots[at];
        if (number == 0)
            return &o->slots[at];
        const struct lapse_order_group *g = &o->groups[number - 1];
        if (g->ref_size == ref.size && memcmp(g->ref, ref.data, ref.size) == 0)
            return &o->slots[at];
    }
}

/* One line of the order `ref`; its first line in time opens the order. */
static bool put_line(struct lapse_orders *o, size_t mask, struct lapse_text ref, int64_t time, int64_t amount,
                     int64_t after)
{
    uint32_t *slot = find_slot(o, mask, ref);
    if (*slot == 0) {
        if (o->group_count == o->group_capacity &&
            !lapse_mem_reserve(o->mem, &o->groups, &o->group_capacity, o->group_count + 1, sizeof *o->groups))
            return false;
        struct lapse_order_group *g = &o->groups[o->group_count];
        *g = (struct lapse_order_group){ .ref = ref.data, .ref_size = (uint8_t)ref.size, .item = OUTSIDE };
        if (time > after) {
            g->item = (uint32_t)o->count;
            if (!put_item(o, time, 0))
                return false;
        }
        *slot = (uint32_t)++o->group_count;
    }
    struct lapse_order_group *g = &o->groups[*slot - 1];
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
        uint32_t number = ref.size && o->group_count ? *find_slot(o, mask, ref) : 0;
        struct lapse_order_group *g = number ? &o->groups[number - 1] : NULL;
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
        if (g->cancelled || !is_valid(g->known, gross, net, zero_is_valid)) {
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

lapse_status lapse_orders_net(struct lapse_orders *o, const struct lapse_history *h, int64_t after,
                              bool zero_is_valid, lapse_error *error)
{
    const uint8_t *kinds = h->name[LAPSE_F_KIND];
    const int64_t *times = h->number[LAPSE_F_TIME], *amounts = h->number[LAPSE_F_AMOUNT];
    size_t mask = 0;
    bool taken_back = false;

    o->count = o->group_count = 0;
    o->unknown_refunds = 0;
    if (h->count > UINT32_MAX / 4) /* places and slots are 32 bits wide */
        return lapse_fail_memory(error);
    for (int64_t i = 0; i < h->count; i++) {
        if (kinds[i] != LAPSE_KIND_ORDER_PLACED) {
            taken_back |= kinds[i] == LAPSE_KIND_ORDER_CANCELLED || kinds[i] == LAPSE_KIND_ORDER_REFUNDED;
            continue;
        }
        struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
        bool ok = true;
        if (ref.size == 0) { /* an order of its own (M14), which nothing can take back */
            bool known = amounts[i] != LAPSE_MISSING;
            int64_t net = known ? amounts[i] : 0;
            if (times[i] > after && is_valid(known, net, net, zero_is_valid))
                ok = put_item(o, times[i], net);
        } else {
            ok = (mask || clear_table(o, h->count, &mask)) &&
                 put_line(o, mask, ref, times[i], amounts[i], after);
        }
        if (!ok)
            return lapse_fail_memory(error);
    }
    if (taken_back)
        take_back(o, mask, h, after);
    return settle(o, h, zero_is_valid, error);
}

static struct lapse_order_group *group_at(const struct lapse_orders *o, size_t mask, const struct lapse_history *h, int64_t i)
{
    struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
    uint8_t kind = h->name[LAPSE_F_KIND][i];
    bool order = kind == LAPSE_KIND_ORDER_PLACED || kind == LAPSE_KIND_ORDER_CANCELLED || kind == LAPSE_KIND_ORDER_REFUNDED;
    uint32_t number = order && ref.size ? *find_slot(o, mask, ref) : 0;
    return number ? &o->groups[number - 1] : NULL;
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
    return g->placed && !g->cancelled && is_valid(g->known, g->gross != 0, net > 0 ? 1 : net < 0 ? -1 : 0, zero_is_valid);
}

int64_t lapse_orders_valid_until(struct lapse_orders *o, const struct lapse_history *h, bool zero_is_valid)
{
    if (o->count)
        return INT64_MAX;
    if (o->group_count == 0) /* an order without ref is never taken back */
        return INT64_MIN;
    size_t mask = table_size(h->count) - 1;
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
