/* What the policy says to the regions, read once for an answer, so that a fold looks nothing up. */
#include "state/state.h"

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
        .token = lapse_policy_value(policy, LAPSE_SET_CONSENT_TOKEN),
        .bounce_span = lapse_policy_value(policy, LAPSE_SET_BOUNCE_SPAN),
        .bounce_soft = lapse_policy_value(policy, LAPSE_SET_BOUNCE_SOFT).n,
        .implied_purchase = lapse_policy_value(policy, LAPSE_SET_IMPLIED_PURCHASE),
        .implied_inquiry = lapse_policy_value(policy, LAPSE_SET_IMPLIED_INQUIRY),
        .implied_channels = lapse_policy_value(policy, LAPSE_SET_IMPLIED_CHANNELS).n,
        .rated = rating.text != NULL,
        .rating = rating.number,
        .zero_is_valid = lapse_policy_value(policy, LAPSE_SET_ORDER_ZERO_IS_VALID).n != 0,
        .needs_evidence = lapse_policy_value(policy, LAPSE_SET_CONSENT_IMPORT_NEEDS_EVIDENCE).n != 0,
        .inapp_implied = lapse_policy_value(policy, LAPSE_SET_CONSENT_INAPP_IMPLIED).n != 0,
        .assume_endpoint = lapse_policy_value(policy, LAPSE_SET_PERMIT_ASSUME_ENDPOINT).n != 0,
    };
    lapse_clock_init(&rules->engagement, rules->zone, policy, LAPSE_BASIS_ACTIVITY);
    lapse_clock_init(&rules->purchase, rules->zone, policy, LAPSE_BASIS_PURCHASE);
    lapse_activity_init(&rules->activity, policy);
}
