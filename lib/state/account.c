/* The account (rulings S21), and the rights, which lib/view decides for all rooms: the region only finds out
 * whether there is anything to decide. */
#include "state/state.h"

static const uint8_t kinds[] = { LAPSE_KIND_CUSTOMER_REGISTERED, LAPSE_KIND_ACCOUNT_CLOSED,
                                 LAPSE_KIND_CUSTOMER_ERASED, 0 };

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_account *s = state;
    (void)rules;
    if (e->kind == LAPSE_KIND_CUSTOMER_ERASED)
        s->erased = true;
    else
        s->closed = e->kind == LAPSE_KIND_ACCOUNT_CLOSED;
    lapse_spell_note(&s->now, s->erased ? LAPSE_ACCOUNT_ERASED : s->closed ? LAPSE_ACCOUNT_CLOSED : 0, e);
    return true;
}

const struct lapse_region lapse_region_account = {
    .name = "account",
    .at = offsetof(struct lapse_person, account),
    .size = sizeof(struct lapse_account),
    .kinds = kinds,
    .fold = fold,
};

/* ---- rights ------------------------------------------------------------------------------------------ */

static const uint8_t rights_kinds[] = { LAPSE_KIND_CONSENT_OBJECTED, LAPSE_KIND_CUSTOMER_ERASED, 0 };

static bool fold_rights(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_rights *s = state;
    (void)rules;
    (void)e;
    s->used = true;
    return true;
}

static lapse_status settle_rights(void *state, const struct lapse_rules *rules,
                                  const struct lapse_history *history, lapse_error *error)
{
    struct lapse_rights *s = state;
    s->state = LAPSE_RIGHTS_NONE;
    return s->used ? lapse_rights_at(history, rules->zone, rules->token, rules->mem, &s->state, error)
                   : LAPSE_OK;
}

const struct lapse_region lapse_region_rights = {
    .name = "rights",
    .at = offsetof(struct lapse_person, rights),
    .size = sizeof(struct lapse_rights),
    .fields = LAPSE_RIGHTS_FIELDS,
    .kinds = rights_kinds,
    .fold = fold_rights,
    .settle = settle_rights,
};
