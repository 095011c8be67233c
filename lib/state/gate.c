/* The one gate (semantics 4.8): may this customer be contacted, by this channel, for this purpose? A pure
 * function of regions; nothing is stored, and there is no other way to the answer. The first reason in the
 * gate's order is the reason; all that hold are told. What is about sending passes the facts of endpoints;
 * transactional and service messages pass nothing else. */
#include "state/state.h"

#define BIT(reason) (UINT64_C(1) << LAPSE_REASON_##reason)

/* The order of the gate. Numbers are never changed; a reason that a later release puts between gets the next
 * number. */
static const int32_t gate_order[] = {
    LAPSE_REASON_ERASED,          LAPSE_REASON_NO_ENDPOINT,     LAPSE_REASON_HARD_BOUNCED,
    LAPSE_REASON_MANUAL_BLOCK,    LAPSE_REASON_ACCOUNT_CLOSED,  LAPSE_REASON_OBJECTED,
    LAPSE_REASON_SPAM_REPORTED,   LAPSE_REASON_CONSENT_NONE,    LAPSE_REASON_CONSENT_DECLINED,
    LAPSE_REASON_CONSENT_PENDING, LAPSE_REASON_CONSENT_EXPIRED, LAPSE_REASON_CONSENT_WITHDRAWN,
    LAPSE_REASON_TOPIC_OFF,
};

int32_t lapse_gate_reason(uint64_t reasons, int32_t after)
{
    size_t i = 0, count = sizeof gate_order / sizeof gate_order[0];
    while (after != LAPSE_REASON_NONE && i < count && gate_order[i++] != after)
        ;
    while (i < count && !(reasons >> gate_order[i] & 1))
        i++;
    return i < count ? gate_order[i] : LAPSE_REASON_NONE;
}

/* About messages, so that an endpoint is needed; the other purposes are about the use of data (C23). */
bool lapse_gate_sends(int32_t purpose)
{
    return purpose == LAPSE_PURPOSE_TRANSACTIONAL || purpose == LAPSE_PURPOSE_SERVICE ||
           purpose == LAPSE_PURPOSE_MARKETING || purpose == LAPSE_PURPOSE_SURVEY;
}

static bool is_service(int32_t purpose)
{
    return purpose == LAPSE_PURPOSE_TRANSACTIONAL || purpose == LAPSE_PURPOSE_SERVICE;
}

uint32_t lapse_gate_regions(const struct lapse_rules *rules, int32_t purpose)
{
    uint32_t regions = UINT32_C(1) << LAPSE_REGION_RIGHTS;
    if (lapse_gate_sends(purpose))
        regions |= UINT32_C(1) << LAPSE_REGION_ENDPOINT;
    if (!is_service(purpose))
        regions |= UINT32_C(1) << LAPSE_REGION_ACCOUNT | UINT32_C(1) << LAPSE_REGION_CONSENT;
    if (!is_service(purpose) && rules->implied_purchase.unit != LAPSE_UNIT_NONE)
        regions |= UINT32_C(1) << LAPSE_REGION_PURCHASE;
    return regions;
}

static uint64_t ask_endpoint(const struct lapse_person *p, int32_t channel)
{
    unsigned facts = p->endpoints.reach[channel].facts;
    bool none = (facts & LAPSE_FACT_REMOVED) || ((facts & LAPSE_FACT_UNHEARD) && !p->rules->assume_endpoint);
    return (none ? BIT(NO_ENDPOINT) : 0) | (facts & LAPSE_FACT_HARD ? BIT(HARD_BOUNCED) : 0) |
           (facts & LAPSE_FACT_BLOCKED ? BIT(MANUAL_BLOCK) : 0);
}

static uint64_t ask_cell(const struct lapse_person *p, int32_t channel, int32_t purpose,
                         const struct lapse_cell *cell)
{
    struct lapse_cause unused;
    int32_t state = lapse_person_consent(p, channel, purpose, (struct lapse_text){ "", 0 }, cell, &unused);
    bool shown = channel == LAPSE_CHANNEL_IN_APP || channel == LAPSE_CHANNEL_ONSITE;
    /* Shown to somebody who came: nobody has to be asked first, unless they said no. */
    if (shown && purpose == LAPSE_PURPOSE_MARKETING && p->rules->inapp_implied &&
        (!cell || cell->base == LAPSE_CONSENT_NONE))
        return 0;
    switch (state) {
    case LAPSE_CONSENT_GRANTED:
    case LAPSE_CONSENT_IMPLIED:
        return 0;
    case LAPSE_CONSENT_DECLINED:
        return BIT(CONSENT_DECLINED);
    case LAPSE_CONSENT_WITHDRAWN:
        return BIT(CONSENT_WITHDRAWN);
    case LAPSE_CONSENT_EXPIRED:
        return cell && cell->pending ? BIT(CONSENT_PENDING) : BIT(CONSENT_EXPIRED);
    default:
        return cell && cell->pending ? BIT(CONSENT_PENDING) : BIT(CONSENT_NONE);
    }
}

/* A cell that only ever says no: declined or withdrawn. */
static uint64_t ask_refusal(const struct lapse_person *p, int32_t channel, int32_t purpose,
                            struct lapse_text topic, uint64_t declined, uint64_t withdrawn)
{
    const struct lapse_cell *cell = lapse_consents_cell(&p->consents, channel, purpose, topic);
    if (!cell)
        return 0;
    return cell->base == LAPSE_CONSENT_DECLINED    ? declined
           : cell->base == LAPSE_CONSENT_WITHDRAWN ? withdrawn
                                                   : 0;
}

static uint64_t ask_consent(const struct lapse_person *p, const struct lapse_question *q)
{
    const struct lapse_text none = { "", 0 };
    bool survey = q->purpose == LAPSE_PURPOSE_SURVEY; /* is marketing, and may be refused by itself (C11) */
    int32_t purpose = survey ? LAPSE_PURPOSE_MARKETING : q->purpose;
    const struct lapse_cell *cell = lapse_consents_cell(&p->consents, q->channel, purpose, none);
    uint64_t reasons = ask_cell(p, q->channel, purpose, cell);
    if (p->consents.objection > (cell ? cell->granted : -1)) /* C17 */
        reasons |= BIT(OBJECTED);
    if (survey)
        reasons |= ask_refusal(p, q->channel, q->purpose, none, BIT(CONSENT_DECLINED), BIT(CONSENT_WITHDRAWN));
    if (q->topic.size)
        reasons |= ask_refusal(p, q->channel, purpose, q->topic, BIT(TOPIC_OFF), BIT(TOPIC_OFF));
    if (q->topic.size && survey)
        reasons |= ask_refusal(p, q->channel, q->purpose, q->topic, BIT(TOPIC_OFF), BIT(TOPIC_OFF));
    return reasons;
}

void lapse_gate_ask(const struct lapse_person *p, const struct lapse_question *q, lapse_decision *out)
{
    uint64_t reasons = p->rights.state == LAPSE_RIGHTS_ERASED || p->forgotten ? BIT(ERASED) : 0;
    if (lapse_gate_sends(q->purpose))
        reasons |= ask_endpoint(p, q->channel);
    if (!is_service(q->purpose)) {
        if (lapse_person_account(p) == LAPSE_ACCOUNT_CLOSED)
            reasons |= BIT(ACCOUNT_CLOSED);
        if (lapse_gate_sends(q->purpose) && lapse_person_spam(p, q->channel))
            reasons |= BIT(SPAM_REPORTED);
        reasons |= ask_consent(p, q);
    }
    out->reasons = reasons;
    out->reason = lapse_gate_reason(reasons, LAPSE_REASON_NONE);
    out->decision = reasons ? LAPSE_DECISION_DENY : LAPSE_DECISION_ALLOW;
    out->until = LAPSE_MISSING;
}
