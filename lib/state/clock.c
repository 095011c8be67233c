/* A clock: how long ago was the last touch? One piece of code with two bases, activities (here) and valid orders
 * (purchase.c). A limit is counted from the last touch in one step (rulings T7) and reached at its instant; a touch at that
 * very instant comes first (S8). Messages sent, opens, unsubscriptions and imports are no activity. */
#include "state/state.h"

static int64_t deadline(const struct lapse_clock *c, const struct lapse_rules *rules, const struct lapse_limits *limits,
                        int i)
{
    return lapse_rules_add(rules, c->last, limits->limit[i]);
}

void lapse_clock_touch(struct lapse_clock *c, const struct lapse_rules *rules, const struct lapse_limits *limits,
                       int64_t time)
{
    bool passed = !c->started;
    if (!passed && time - c->last > limits->safe)
        for (int i = 0; i < 3 && !passed; i++)
            passed = deadline(c, rules, limits, i) < time;
    if (passed)
        c->run = time;
    c->started = true;
    c->last = time;
}

/* The latest state whose limit has passed (S11). */
int32_t lapse_clock_at(const struct lapse_clock *c, const struct lapse_rules *rules, const struct lapse_limits *limits,
                       int64_t *since)
{
    static const int32_t states[] = { LAPSE_CLOCK_AT_RISK, LAPSE_CLOCK_INACTIVE, LAPSE_CLOCK_LOST };
    if (!c->started)
        return LAPSE_CLOCK_NEW;
    if (rules->as_of - c->last >= limits->safe) {
        for (int i = 2; i >= 0; i--) {
            int64_t at = deadline(c, rules, limits, i);
            if (at <= rules->as_of) {
                *since = at;
                return states[i];
            }
        }
    }
    *since = c->run;
    return LAPSE_CLOCK_ACTIVE;
}

/* The next limit that changes the state: one after a later state's has passed changes nothing. */
int64_t lapse_clock_deadline(const struct lapse_clock *c, const struct lapse_rules *rules,
                             const struct lapse_limits *limits)
{
    int64_t next = LAPSE_NEVER;
    for (int i = 2; c->started && i >= 0; i--) {
        int64_t at = deadline(c, rules, limits, i);
        if (at <= rules->as_of)
            break;
        if (at < next)
            next = at;
    }
    return next;
}

/* ---- engagement: the clock of activity ---------------------------------------------------------------------- */

static const uint8_t kinds[] = { LAPSE_KIND_MESSAGE_OPENED, 0 };

static bool is_activity(const struct lapse_rules *rules, const struct lapse_event *e)
{
    if (e->kind == LAPSE_KIND_MESSAGE_OPENED)
        return rules->opens;
    if (e->kind == LAPSE_KIND_MESSAGE_CLICKED && lapse_event_says(e, LAPSE_F_REASON, "bot"))
        return false;
    return lapse_kinds[e->kind].flags & LAPSE_KIND_ACTIVITY;
}

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_engagement *s = state;
    bool active = is_activity(rules, e);
    if (active)
        lapse_clock_touch(&s->clock, rules, &rules->engagement, e->time);
    if (active || (lapse_kinds[e->kind].flags & LAPSE_KIND_CONTACT)) {
        s->contacted = true;
        s->last_contact = e->time;
    }
    return true;
}

static int64_t next(const void *state, const struct lapse_rules *rules)
{
    const struct lapse_engagement *s = state;
    return lapse_clock_deadline(&s->clock, rules, &rules->engagement);
}

const struct lapse_region lapse_region_engagement = {
    .name = "engagement",
    .at = offsetof(struct lapse_person, engagement),
    .size = sizeof(struct lapse_engagement),
    .fields = LAPSE_FIELD_BIT(LAPSE_F_REASON),
    .flags = LAPSE_KIND_ACTIVITY | LAPSE_KIND_CONTACT,
    .kinds = kinds,
    .fold = fold,
    .deadline = next,
};
