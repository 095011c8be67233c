/* Valid orders, and the clock that they drive. Whether an order is valid is told by all events about it
 * (rulings M8), so it is lib/view that nets them, after the last event; the clock is then the one of clock.c.
 */
#include "state/state.h"

static const uint8_t kinds[] = { LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_ORDER_CANCELLED, LAPSE_KIND_ORDER_REFUNDED,
                                 0 };

static void begin(void *state, const struct lapse_rules *rules)
{
    struct lapse_purchases *s = state;
    s->orders.mem = rules->mem;
}

static void clear(void *state)
{
    struct lapse_purchases *s = state;
    s->placed = s->valid = false;
    s->touches = (struct lapse_touches){ 0 };
}

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_purchases *s = state;
    (void)rules;
    s->placed |= e->kind == LAPSE_KIND_ORDER_PLACED;
    return true;
}

static lapse_status settle(void *state, const struct lapse_rules *rules, const struct lapse_history *history,
                           lapse_error *error)
{
    struct lapse_purchases *s = state;
    s->valid_until = INT64_MIN;
    if (!s->placed)
        return LAPSE_OK;
    lapse_status status = lapse_orders_net(&s->orders, history, INT64_MIN, rules->zero_is_valid, error);
    if (status != LAPSE_OK)
        return status;
    s->valid = s->orders.count > 0;
    s->valid_until = lapse_orders_valid_until(&s->orders, history, rules->zero_is_valid);
    for (size_t i = 0; i < s->orders.count; i++)
        lapse_touch(&s->touches, &rules->purchase, s->orders.items[i].time);
    return LAPSE_OK;
}

static int64_t next(const void *state, const struct lapse_rules *rules)
{
    const struct lapse_purchases *s = state;
    return lapse_touches_deadline(&s->touches, &rules->purchase, rules->as_of);
}

static void end(void *state)
{
    struct lapse_purchases *s = state;
    lapse_orders_free(&s->orders);
}

const struct lapse_region lapse_region_purchase = {
    .name = "purchase",
    .at = offsetof(struct lapse_person, purchases),
    .size = sizeof(struct lapse_purchases),
    .fields = LAPSE_ORDER_FIELDS,
    .kinds = kinds,
    .begin = begin,
    .clear = clear,
    .fold = fold,
    .settle = settle,
    .deadline = next,
    .end = end,
};
