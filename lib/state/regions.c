/* The table of regions, and the one fold of a customer's history into those that are asked for. An event that
 * none of them reads costs one look at a table. */
#include "state/state.h"

static const struct lapse_region *const table[LAPSE_REGIONS] = {
    [LAPSE_REGION_STAGE] = &lapse_region_stage,       [LAPSE_REGION_ENGAGEMENT] = &lapse_region_engagement,
    [LAPSE_REGION_PURCHASE] = &lapse_region_purchase, [LAPSE_REGION_CONSENT] = &lapse_region_consent,
    [LAPSE_REGION_ENDPOINT] = &lapse_region_endpoint, [LAPSE_REGION_ACCOUNT] = &lapse_region_account,
    [LAPSE_REGION_RIGHTS] = &lapse_region_rights,
};

const struct lapse_region *lapse_region_at(enum lapse_region_number number)
{
    return table[number];
}

bool lapse_region_reads(const struct lapse_region *region, int kind)
{
    bool listed = lapse_kinds[kind].flags & region->flags;
    for (const uint8_t *k = region->kinds; k && *k && !listed; k++)
        listed = *k == kind;
    return listed;
}

void lapse_spell_note(struct lapse_spell *c, int32_t state, const struct lapse_event *e)
{
    if (state == c->state)
        return;
    if (c->instant != e->time) {
        c->was = c->state;
        c->was_kind = c->kind;
        c->was_since = c->since;
        c->was_order = c->order;
        c->instant = e->time;
    }
    c->state = state;
    c->kind = state == c->was ? c->was_kind : e->kind;
    c->since = state == c->was ? c->was_since : e->time;
    c->order = state == c->was ? c->was_order : e->order;
}

static void *state_of(struct lapse_person *p, int r)
{
    return (char *)p + table[r]->at;
}

uint32_t lapse_person_fields(uint32_t regions)
{
    uint32_t fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND);
    for (int r = 0; r < LAPSE_REGIONS; r++)
        fields |= regions >> r & 1 ? table[r]->fields : 0;
    return fields | (regions & LAPSE_CROSSED_REGIONS ? LAPSE_ADDRESS_FIELDS : 0);
}

void lapse_person_begin(struct lapse_person *p, const struct lapse_rules *rules, uint32_t regions)
{
    memset(p, 0, sizeof *p);
    p->rules = rules;
    p->regions = regions;
    for (int r = 0; r < LAPSE_REGIONS; r++) {
        if (!(regions >> r & 1))
            continue;
        if (table[r]->begin)
            table[r]->begin(state_of(p, r), rules);
        for (const uint8_t *k = table[r]->kinds; k && *k; k++)
            p->wants[*k] |= UINT32_C(1) << r;
        for (int kind = 1; table[r]->flags && kind < LAPSE_KINDS; kind++)
            if (lapse_kinds[kind].flags & table[r]->flags)
                p->wants[kind] |= UINT32_C(1) << r;
    }
}

static bool fold_event(struct lapse_person *p, uint32_t wants, const struct lapse_event *event)
{
    bool ok = true;
    for (int r = 0; wants && ok; r++, wants >>= 1)
        ok = !(wants & 1) || table[r]->fold(state_of(p, r), p->rules, event);
    return ok;
}

/* A history together with what crossed into it, which only some regions see. */
static bool fold_both(struct lapse_person *p, const struct lapse_history *h, const struct lapse_history *other)
{
    bool ok = true;
    for (int64_t i = 0, j = 0; (i < h->count || j < other->count) && ok;) {
        bool own = j == other->count ||
                   (i < h->count && lapse_crossed_compare(p->crossing, &p->crossed, h, i, j) <= 0);
        const struct lapse_history *from = own ? h : other;
        int64_t row = own ? i : j;
        uint8_t kind = from->name[LAPSE_F_KIND][row];
        const struct lapse_event event = { from, row, i + j, from->number[LAPSE_F_TIME][row], kind };
        ok = fold_event(p, p->wants[kind] & (own ? UINT32_MAX : LAPSE_CROSSED_REGIONS), &event);
        i += own;
        j += !own;
    }
    return ok;
}

lapse_status lapse_person_fold(struct lapse_person *p, const struct lapse_history *h, lapse_error *error)
{
    const struct lapse_rules *rules = p->rules;
    const struct lapse_history *other = NULL;
    p->history = h;
    if (p->crossing && h) {
        lapse_status status = lapse_crossing_for(p->crossing, &p->crossed, h, &other, error);
        if (status != LAPSE_OK)
            return status;
    }
    for (int r = 0; r < LAPSE_REGIONS; r++) {
        if (!(p->regions >> r & 1))
            continue;
        if (table[r]->clear)
            table[r]->clear(state_of(p, r));
        else
            memset(state_of(p, r), 0, table[r]->size);
    }
    const uint8_t *kinds = h ? h->name[LAPSE_F_KIND] : NULL;
    if (other && !fold_both(p, h, other))
        return lapse_fail_memory(error);
    for (int64_t i = 0; h && !other && i < h->count; i++) {
        uint32_t wants = p->wants[kinds[i]];
        if (!wants)
            continue;
        const struct lapse_event event = { h, i, i, h->number[LAPSE_F_TIME][i], kinds[i] };
        if (!fold_event(p, wants, &event))
            return lapse_fail_memory(error);
    }
    for (int r = 0; r < LAPSE_REGIONS; r++) {
        lapse_status status = LAPSE_OK;
        if ((p->regions >> r & 1) && table[r]->settle)
            status = table[r]->settle(state_of(p, r), rules, h, error);
        if (status != LAPSE_OK)
            return status;
    }
    return LAPSE_OK;
}

int64_t lapse_person_deadline(const struct lapse_person *p)
{
    int64_t next = LAPSE_NEVER;
    for (int r = 0; r < LAPSE_REGIONS; r++) {
        if (!(p->regions >> r & 1) || !table[r]->deadline)
            continue;
        int64_t at = table[r]->deadline((const char *)p + table[r]->at, p->rules);
        next = at < next ? at : next;
    }
    return next;
}

void lapse_person_end(struct lapse_person *p)
{
    for (int r = 0; r < LAPSE_REGIONS; r++)
        if ((p->regions >> r & 1) && table[r]->end)
            table[r]->end(state_of(p, r));
    lapse_crossed_free(&p->crossed);
}
