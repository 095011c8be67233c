/* What the policy says to the regions, read once for an answer, so that a fold looks nothing up. */
#include "state/state.h"

/* How long n units can last: a month has 28 to 31 days, and offsets of a zone differ by 28 hours at most. */
static void bounds(struct lapse_setting_value span, int64_t *least, int64_t *most)
{
    bool calendar;
    int64_t length = lapse_setting_length(span.n, span.unit, &calendar);
    *least = calendar ? length * 28 * LAPSE_DAY - 2 * LAPSE_DAY : length * LAPSE_SECOND;
    *most = calendar ? length * 31 * LAPSE_DAY + 2 * LAPSE_DAY : length * LAPSE_SECOND;
}

static struct lapse_limits limits_of(const lapse_policy *policy, enum lapse_setting risk,
                                     enum lapse_setting inactive, enum lapse_setting lost)
{
    struct lapse_limits limits = { .limit = { lapse_policy_value(policy, risk),
                                              lapse_policy_value(policy, inactive),
                                              lapse_policy_value(policy, lost) } };
    for (int i = 0; i < 3; i++)
        bounds(limits.limit[i], &limits.least[i], &limits.most[i]);
    return limits;
}

void lapse_rules_read(struct lapse_rules *rules, const lapse_view *view, const lapse_policy *policy)
{
    struct lapse_setting_value rating = lapse_policy_value(policy, LAPSE_SET_LOYALTY_RATING);
    int64_t as_of = lapse_view_as_of(view);
    if (as_of > INT64_MAX / 2) /* differences of times must fit; no event and no deadline is out there */
        as_of = INT64_MAX / 2;
    if (as_of < INT64_MIN / 2)
        as_of = INT64_MIN / 2;
    *rules = (struct lapse_rules){
        .zone = lapse_view_zone(view),
        .mem = lapse_view_memory(view),
        .seed = lapse_view_seed(view),
        .as_of = as_of,
        .engagement = limits_of(policy, LAPSE_SET_ENGAGEMENT_RISK, LAPSE_SET_ENGAGEMENT_INACTIVE,
                                LAPSE_SET_ENGAGEMENT_LOST),
        .purchase =
            limits_of(policy, LAPSE_SET_PURCHASE_RISK, LAPSE_SET_PURCHASE_INACTIVE, LAPSE_SET_PURCHASE_LOST),
        .token = lapse_policy_value(policy, LAPSE_SET_CONSENT_TOKEN),
        .bounce_span = lapse_policy_value(policy, LAPSE_SET_BOUNCE_SPAN),
        .bounce_soft = lapse_policy_value(policy, LAPSE_SET_BOUNCE_SOFT).n,
        .implied_purchase = lapse_policy_value(policy, LAPSE_SET_IMPLIED_PURCHASE),
        .implied_inquiry = lapse_policy_value(policy, LAPSE_SET_IMPLIED_INQUIRY),
        .implied_channels = lapse_policy_value(policy, LAPSE_SET_IMPLIED_CHANNELS).n,
        .rated = rating.text != NULL,
        .rating = rating.number,
        .opens = lapse_policy_value(policy, LAPSE_SET_ACTIVITY_OPENS).n != 0,
        .zero_is_valid = lapse_policy_value(policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0,
        .needs_evidence = lapse_policy_value(policy, LAPSE_SET_CONSENT_IMPORT_NEEDS_EVIDENCE).n != 0,
        .inapp_implied = lapse_policy_value(policy, LAPSE_SET_CONSENT_INAPP_IMPLIED).n != 0,
        .assume_endpoint = lapse_policy_value(policy, LAPSE_SET_PERMIT_ASSUME_ENDPOINT).n != 0,
    };
}
