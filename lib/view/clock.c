/* What time alone makes of a customer (semantics 4.4): active from the last purchase or activity on, then at risk,
 * inactive, lost. Each state begins at its deadline, inclusive; deadlines are counted in one step from the last
 * event (T7). Where limits of different units pass each other, the latest state whose limit has passed counts (S11):
 * a state begins at the earliest of its own deadline and those after it, so the deadlines of a clock never descend.
 * Cost: a calendar is asked only when an instant lies within days of the deadline. */
#include "view/view.h"

static const enum lapse_setting settings[][LAPSE_CLOCK_STATES] = {
    [LAPSE_BASIS_PURCHASE] = { [LAPSE_CLOCK_AT_RISK] = LAPSE_SET_PURCHASE_RISK,
                               [LAPSE_CLOCK_INACTIVE] = LAPSE_SET_PURCHASE_INACTIVE,
                               [LAPSE_CLOCK_LOST] = LAPSE_SET_PURCHASE_LOST },
    [LAPSE_BASIS_ACTIVITY] = { [LAPSE_CLOCK_AT_RISK] = LAPSE_SET_ENGAGEMENT_RISK,
                               [LAPSE_CLOCK_INACTIVE] = LAPSE_SET_ENGAGEMENT_INACTIVE,
                               [LAPSE_CLOCK_LOST] = LAPSE_SET_ENGAGEMENT_LOST },
};

/* A span is never shorter and never longer than this, wherever it begins: of months, 30 or 31 days each, but for
 * February and for what the clocks of a zone may be put on or back. */
static void bound(struct lapse_setting_value span, uint64_t *least, uint64_t *most)
{
    bool calendar;
    uint64_t length = (uint64_t)lapse_setting_length(span.n, span.unit, &calendar),
             slack = 5 * (uint64_t)LAPSE_DAY;
    *least = calendar ? length * 30 * (uint64_t)LAPSE_DAY - slack : length * (uint64_t)LAPSE_SECOND;
    *most = calendar ? length * 31 * (uint64_t)LAPSE_DAY + slack : *least;
}

void lapse_clock_init(struct lapse_clock *clock, const struct lapse_zone *zone, const lapse_policy *policy,
                      enum lapse_basis basis)
{
    *clock = (struct lapse_clock){ .zone = zone };
    for (int s = LAPSE_CLOCK_LOST; s >= LAPSE_CLOCK_AT_RISK; s--) {
        clock->limit[s] = lapse_policy_value(policy, settings[basis][s]);
        bound(clock->limit[s], &clock->least[s], &clock->most[s]);
        for (int later = s + 1; later < LAPSE_CLOCK_STATES; later++) {
            clock->least[s] = clock->least[later] < clock->least[s] ? clock->least[later] : clock->least[s];
            clock->most[s] = clock->most[later] < clock->most[s] ? clock->most[later] : clock->most[s];
        }
    }
}

int64_t lapse_clock_deadline(const struct lapse_clock *clock, int32_t state, int64_t last)
{
    int64_t earliest = INT64_MAX;
    if (state <= LAPSE_CLOCK_ACTIVE)
        return last;
    for (int s = state; s < LAPSE_CLOCK_STATES; s++) {
        if ((uint64_t)earliest - (uint64_t)last <= clock->least[s])
            break; /* no later state has a shorter limit */
        int64_t deadline = lapse_zone_add(clock->zone, last, clock->limit[s].n, clock->limit[s].unit);
        earliest = deadline < earliest ? deadline : earliest;
    }
    return earliest;
}

/* The rest of lapse_clock_passed(): the least span has passed. */
bool lapse_clock_near(const struct lapse_clock *clock, int32_t state, int64_t last, int64_t time)
{
    return (uint64_t)time - (uint64_t)last >= clock->most[state] ||
           time >= lapse_clock_deadline(clock, state, last);
}

int32_t lapse_clock_state(const struct lapse_clock *clock, int64_t last, int64_t as_of)
{
    int32_t state = LAPSE_CLOCK_LOST;
    if (last == LAPSE_MISSING || as_of < last)
        return LAPSE_CLOCK_NEW;
    while (state > LAPSE_CLOCK_ACTIVE && !lapse_clock_passed(clock, state, last, as_of))
        state--;
    return state;
}

const char *lapse_clock_name(int32_t state)
{
    static const char *const names[] = { NULL, "new", "active", "at_risk", "inactive", "lost" };
    return state > 0 && state < LAPSE_CLOCK_STATES ? names[state] : NULL;
}

void lapse_activity_init(struct lapse_activity *activity, const lapse_policy *policy)
{
    for (int kind = 0; kind < 256; kind++)
        activity->moves[kind] = kind < LAPSE_KINDS && (lapse_kinds[kind].flags & LAPSE_KIND_ACTIVITY) != 0;
    if (lapse_policy_value(policy, LAPSE_SET_ACTIVITY_OPENS).n)
        activity->moves[LAPSE_KIND_MESSAGE_OPENED] = true;
}

bool lapse_activity_is(const struct lapse_activity *activity, const struct lapse_history *h, int64_t i)
{
    uint8_t kind = h->name[LAPSE_F_KIND][i];
    if (!activity->moves[kind] || kind != LAPSE_KIND_MESSAGE_CLICKED)
        return activity->moves[kind];
    struct lapse_text reason = lapse_history_text(h, LAPSE_F_REASON, i);
    return lapse_text_compare(reason.data, reason.size, "bot", 3) != 0; /* F4 */
}
