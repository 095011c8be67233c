/* How far a customer has come: visits, registration and advocacy, none of which is ever undone. Orders, which
 * are, belong to purchase.c; whole.c puts both together. Silence and unsubscription are not read here. */
#include "state/state.h"

static const uint8_t kinds[] = { LAPSE_KIND_CUSTOMER_REGISTERED, LAPSE_KIND_REFERRAL_CONVERTED,
                                 LAPSE_KIND_REVIEW_POSTED, 0 };

static bool advocates(const struct lapse_rules *rules, const struct lapse_event *e)
{
    if (e->kind == LAPSE_KIND_REFERRAL_CONVERTED)
        return true;
    if (e->kind != LAPSE_KIND_REVIEW_POSTED || !rules->rated)
        return false;
    int64_t value = e->history->number[LAPSE_F_VALUE][e->row];
    return value != LAPSE_MISSING && lapse_value_of_bits(value) >= rules->rating;
}

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_progress *s = state;
    s->visited |= (lapse_kinds[e->kind].flags & LAPSE_KIND_VISIT) != 0;
    s->registered |= e->kind == LAPSE_KIND_CUSTOMER_REGISTERED;
    if (!s->advocates && advocates(rules, e)) {
        s->advocates = true;
        s->advocate_since = e->time;
    }
    lapse_spell_note(&s->steps[LAPSE_STEP_VISITED], s->visited, e);
    lapse_spell_note(&s->steps[LAPSE_STEP_REGISTERED], s->registered, e);
    lapse_spell_note(&s->steps[LAPSE_STEP_ADVOCATES], s->advocates, e);
    return true;
}

int32_t lapse_stage_of(bool visited, bool registered, bool buys, bool recommends)
{
    if (buys)
        return recommends ? LAPSE_STAGE_LOYALTY : LAPSE_STAGE_RETENTION;
    if (registered)
        return LAPSE_STAGE_CONVERSION;
    return visited ? LAPSE_STAGE_ACQUISITION : LAPSE_STAGE_REACH;
}

const struct lapse_region lapse_region_stage = {
    .name = "stage",
    .at = offsetof(struct lapse_person, stage),
    .size = sizeof(struct lapse_progress),
    .fields = LAPSE_FIELD_BIT(LAPSE_F_VALUE),
    .flags = LAPSE_KIND_VISIT,
    .kinds = kinds,
    .fold = fold,
};
