/* How long ago was the last touch? One piece of code with two bases, activities (here) and valid orders (purchase.c);
 * what time makes of it is in view/clock.c. A touch at the very instant of a limit comes first (S8). Messages sent,
 * opens, unsubscriptions and imports are no activity. */
#include "state/state.h"

void lapse_touch(struct lapse_touches *t, const struct lapse_clock *clock, int64_t time)
{
    if (!t->started || lapse_clock_passed(clock, LAPSE_CLOCK_AT_RISK, t->last, time - 1)) /* strictly between (S7) */
        t->run = time;
    t->started = true;
    t->last = time;
}

int32_t lapse_touches_state(const struct lapse_touches *t, const struct lapse_clock *clock, int64_t as_of, int64_t *since)
{
    int32_t state = t->started ? lapse_clock_state(clock, t->last, as_of) : LAPSE_CLOCK_NEW;
    if (t->started)
        *since = state == LAPSE_CLOCK_ACTIVE ? t->run : lapse_clock_deadline(clock, state, t->last);
    return state;
}

/* That of the next state: it begins no later than those after it. */
int64_t lapse_touches_deadline(const struct lapse_touches *t, const struct lapse_clock *clock, int64_t as_of)
{
    int32_t state = t->started ? lapse_clock_state(clock, t->last, as_of) : LAPSE_CLOCK_LOST;
    return state == LAPSE_CLOCK_LOST ? LAPSE_NEVER : lapse_clock_deadline(clock, state + 1, t->last);
}

/* ---- engagement: the clock of activity --------------------------------------------------------------- */

static const uint8_t kinds[] = { LAPSE_KIND_MESSAGE_OPENED, 0 };

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_engagement *s = state;
    bool active = lapse_activity_is(&rules->activity, e->history, e->row);
    if (active) {
        struct lapse_touches before = s->touches;
        lapse_touch(&s->touches, &rules->engagement, e->time);
        if (!before.started || before.run != s->touches.run)
            s->run_kind = e->kind;
    }
    if (active || (lapse_kinds[e->kind].flags & LAPSE_KIND_CONTACT)) {
        s->contacted = true;
        s->last_contact = e->time;
    }
    return true;
}

static int64_t next(const void *state, const struct lapse_rules *rules)
{
    const struct lapse_engagement *s = state;
    return lapse_touches_deadline(&s->touches, &rules->engagement, rules->as_of);
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
