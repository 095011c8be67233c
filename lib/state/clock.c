/* A clock: how long ago was the last touch? One piece of code with two bases, activities (here) and valid
 * orders (purchase.c). A limit is counted from the last touch in one step (rulings T7) and reached at its
 * instant; a touch at that very instant comes first (S8). Messages sent, opens, unsubscriptions and imports
 * are no activity. */
#include "state/state.h"

static int64_t deadline(const struct lapse_clock *c, const struct lapse_rules *rules,
                        const struct lapse_limits *limits, int i)
{
    return lapse_rules_add(rules, c->last, limits->limit[i]);
}

/* Is limit i reached `gap` after the last touch? Calendars are asked only where it is close. */
static bool reached(const struct lapse_clock *c, const struct lapse_rules *rules,
                    const struct lapse_limits *limits, int i, int64_t gap)
{
    return gap >= limits->least[i] &&
           (gap >= limits->most[i] || deadline(c, rules, limits, i) <= c->last + gap);
}

void lapse_clock_touch(struct lapse_clock *c, const struct lapse_rules *rules,
                       const struct lapse_limits *limits, int64_t time)
{
    bool passed = !c->started;
    for (int i = 0; i < 3 && !passed; i++)
        passed = reached(c, rules, limits, i, time - c->last - 1); /* strictly between the two (S7) */
    if (passed)
        c->run = time;
    c->started = true;
    c->last = time;
}

/* The latest limit that is reached, -1: none (S11). */
static int latest(const struct lapse_clock *c, const struct lapse_rules *rules,
                  const struct lapse_limits *limits)
{
    int i = 2;
    while (i >= 0 && !reached(c, rules, limits, i, rules->as_of - c->last))
        i--;
    return i;
}

int32_t lapse_clock_at(const struct lapse_clock *c, const struct lapse_rules *rules,
                       const struct lapse_limits *limits, int64_t *since)
{
    static const int32_t states[] = { LAPSE_CLOCK_AT_RISK, LAPSE_CLOCK_INACTIVE, LAPSE_CLOCK_LOST };
    if (!c->started)
        return LAPSE_CLOCK_NEW;
    int i = latest(c, rules, limits);
    *since = i < 0 ? c->run : deadline(c, rules, limits, i);
    return i < 0 ? LAPSE_CLOCK_ACTIVE : states[i];
}

/* The first of the limits that still change the state: those of later states than the one reached. */
int64_t lapse_clock_deadline(const struct lapse_clock *c, const struct lapse_rules *rules,
                             const struct lapse_limits *limits)
{
    int64_t next = LAPSE_NEVER;
    for (int i = c->started ? latest(c, rules, limits) + 1 : 3; i < 3; i++) {
        int64_t at = next - c->last > limits->least[i] ? deadline(c, rules, limits, i) : LAPSE_NEVER;
        next = at < next ? at : next;
    }
    return next;
}

/* ---- engagement: the clock of activity --------------------------------------------------------------- */

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
