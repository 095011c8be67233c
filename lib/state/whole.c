/* What is put together from several regions: the stage, implied consent, the spam report that a later grant
 * lifts. Each of these is stated here once, and nothing is kept. And the names of all states. */
#include "state/state.h"

int32_t lapse_person_stage(const struct lapse_person *p, int32_t *highest)
{
    const struct lapse_progress *s = &p->stage;
    int64_t until = p->purchases.valid_until;
    int32_t now = lapse_stage_of(s->visited, s->registered, p->purchases.valid, s->advocates);
    /* Only orders are ever taken back, so the highest is that of the last instant at which one was valid (S5). */
    int32_t then = lapse_stage_of(s->visited, s->registered, until != INT64_MIN,
                                  s->advocates && s->advocate_since < until);
    *highest = then > now ? then : now;
    return now;
}

int32_t lapse_person_account(const struct lapse_person *p)
{
    if (p->account.erased)
        return LAPSE_ACCOUNT_ERASED;
    return p->account.closed ? LAPSE_ACCOUNT_CLOSED : LAPSE_ACCOUNT_OPEN;
}

/* What began the last valid order, at `time`: its first line (M9). Of several orders of one instant the last. */
static struct lapse_cause last_order(const struct lapse_person *p, int64_t time)
{
    const struct lapse_history *h = p->history;
    const int64_t *times = h->number[LAPSE_F_TIME];
    struct lapse_cause cause = { .since = time, .kind = LAPSE_KIND_ORDER_PLACED };
    int64_t i = h->count;
    while (i > 0 && times[i - 1] > time)
        i--;
    while (i > 0 && !(h->name[LAPSE_F_KIND][i - 1] == LAPSE_KIND_ORDER_PLACED &&
                      lapse_orders_begins(&p->purchases.orders, h, i - 1, p->rules->zero_is_valid)))
        i--;
    if (i > 0) {
        cause.reason = lapse_history_text(h, LAPSE_F_REASON, i - 1);
        cause.source = lapse_history_text(h, LAPSE_F_SOURCE, i - 1);
    }
    return cause;
}

/* Of a purchase and an inquiry the one whose window ends last; none: the state none. */
static int32_t implied(const struct lapse_person *p, struct lapse_cause *cause, int64_t *until)
{
    const struct lapse_rules *rules = p->rules;
    const struct lapse_purchases *bought = &p->purchases;
    int64_t end = INT64_MIN;
    bool found = false, order = false;
    *until = LAPSE_NEVER;
    if (rules->implied_purchase.unit != LAPSE_UNIT_NONE && bought->valid) {
        cause->since = bought->orders.items[bought->orders.count - 1].time;
        end = lapse_rules_add(rules, cause->since, rules->implied_purchase);
        found = order = true;
    }
    if (rules->implied_inquiry.unit != LAPSE_UNIT_NONE && p->consents.inquired) {
        int64_t other = lapse_rules_add(rules, p->consents.inquiry.since, rules->implied_inquiry);
        if (other > end) {
            *cause = p->consents.inquiry;
            end = other;
            order = false;
        }
        found = true;
    }
    if (!found)
        return LAPSE_CONSENT_NONE;
    if (end <= rules->as_of) {
        *cause = (struct lapse_cause){ .since = end };
        return LAPSE_CONSENT_EXPIRED;
    }
    if (order)
        *cause = last_order(p, cause->since);
    *until = end;
    return LAPSE_CONSENT_IMPLIED;
}

int32_t lapse_person_consent(const struct lapse_person *p, int32_t channel, int32_t purpose,
                             struct lapse_text topic, const struct lapse_cell *cell, struct lapse_cause *cause)
{
    int64_t unused;
    if (cell && cell->base != LAPSE_CONSENT_NONE) {
        *cause = cell->cause;
        return cell->base;
    }
    if (purpose == LAPSE_PURPOSE_MARKETING && topic.size == 0 && (p->rules->implied_channels >> channel & 1))
        return implied(p, cause, &unused);
    return LAPSE_CONSENT_NONE;
}

int64_t lapse_person_implied_end(const struct lapse_person *p)
{
    struct lapse_cause cause;
    int64_t until;
    if (implied(p, &cause, &until) != LAPSE_CONSENT_IMPLIED)
        return LAPSE_NEVER;
    for (int32_t channel = 1; channel < LAPSE_CHANNELS; channel++) {
        const struct lapse_cell *cell =
            lapse_consents_cell(&p->consents, channel, LAPSE_PURPOSE_MARKETING, (struct lapse_text){ "", 0 });
        if ((p->rules->implied_channels >> channel & 1) && (!cell || cell->base == LAPSE_CONSENT_NONE))
            return until;
    }
    return LAPSE_NEVER;
}

bool lapse_person_spam(const struct lapse_person *p, int32_t channel)
{
    if (!(p->endpoints.touched >> channel & 1))
        return false;
    const struct lapse_cell *cell =
        lapse_consents_cell(&p->consents, channel, LAPSE_PURPOSE_MARKETING, (struct lapse_text){ "", 0 });
    int64_t spam = p->endpoints.reach[channel].spam;
    return spam >= 0 && spam > (cell ? cell->granted : -1);
}

/* ---- names ------------------------------------------------------------------------------------------- */

#define NAMES(function, ...)                                                                                   \
    const char *function(int32_t value)                                                                        \
    {                                                                                                          \
        static const char *const names[] = { NULL, __VA_ARGS__ };                                              \
        return value > 0 && value < (int32_t)(sizeof names / sizeof names[0]) ? names[value] : NULL;           \
    }

NAMES(lapse_stage_name, "reach", "acquisition", "conversion", "retention", "loyalty")
NAMES(lapse_consent_name, "none", "declined", "granted", "withdrawn", "implied", "expired")
NAMES(lapse_strength_name, "unknown", "single", "double")
NAMES(lapse_deliverability_name, "ok", "soft_bouncing", "spam_reported", "no_endpoint", "hard_bounced",
      "manual_block")
NAMES(lapse_account_name, "open", "closed", "erased")
NAMES(lapse_decision_name, "allow", "deny", "defer")
NAMES(lapse_reason_name, "erased", "no_endpoint", "hard_bounced", "manual_block", "account_closed", "objected",
      "spam_reported", "consent_none", "consent_declined", "consent_pending", "consent_expired",
      "consent_withdrawn", "topic_off")
