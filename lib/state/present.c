/* What is to be told of a customer: each region and key, its state, and since when and by what it is so.
 *
 * Regions are a table in the order in which changes of one instant are told (rulings V2, V5). A state is since the last
 * instant at which it came to be, each instant seen after all its events, as the events that are seen now tell it; one
 * that was never left is since the customer's first event (S7). Keys that are as at the beginning are there too where
 * something ever concerned them, so that a way back has its instant. Cost: that of the fold, and a sort of the keys. */
#include <stdio.h>

#include "state/present.h"

const struct lapse_told_region lapse_told_regions[LAPSE_TOLD_REGIONS] = {
    [LAPSE_TOLD_STAGE] = { "stage", LAPSE_STAGE_REACH, lapse_stage_name },
    [LAPSE_TOLD_ENGAGEMENT] = { "engagement", LAPSE_CLOCK_NEW, lapse_clock_name },
    [LAPSE_TOLD_PURCHASE] = { "purchase", LAPSE_CLOCK_NEW, lapse_clock_name },
    [LAPSE_TOLD_ACCOUNT] = { "account", LAPSE_ACCOUNT_OPEN, lapse_account_name },
    [LAPSE_TOLD_RIGHTS] = { "rights", LAPSE_RIGHTS_NONE, lapse_rights_name },
    [LAPSE_TOLD_CONSENT] = { "consent", LAPSE_CONSENT_NONE, lapse_consent_name },
    [LAPSE_TOLD_ENDPOINT] = { "endpoint", LAPSE_DELIVERABILITY_OK, lapse_deliverability_name },
};

#define REGION(name) (UINT32_C(1) << LAPSE_REGION_##name)
const uint32_t lapse_present_regions = REGION(STAGE) | REGION(ENGAGEMENT) | REGION(PURCHASE) | REGION(ACCOUNT) |
                                       REGION(RIGHTS) | REGION(CONSENT) | REGION(ENDPOINT);

/* ---- keys -------------------------------------------------------------------------------------------------- */

static int compare_names(const char *a, const char *b)
{
    return a == b ? 0 : strcmp(a ? a : "", b ? b : "");
}

/* As the keys are written, byte by byte: no channel or purpose begins another, and what follows is less than a letter. */
int lapse_told_key_compare(const struct lapse_told_key *a, const struct lapse_told_key *b)
{
    int order = (int)a->region - (int)b->region;
    if (order == 0 && a->channel != b->channel)
        order = compare_names(lapse_channel_name(a->channel), lapse_channel_name(b->channel));
    if (order == 0 && a->purpose != b->purpose)
        order = compare_names(lapse_purpose_name(a->purpose), lapse_purpose_name(b->purpose));
    order = order ? order : lapse_text_order(a->topic, b->topic);
    order = order ? order : lapse_text_order(a->endpoint, b->endpoint);
    return order ? order : lapse_text_order(a->ref, b->ref);
}

/* `out` has LAPSE_TOLD_KEY_ROOM bytes. */
size_t lapse_told_key_format(const struct lapse_told_key *key, char *out)
{
    enum { SHOWN = 8 };
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    if (key->channel)
        n = (size_t)snprintf(out, LAPSE_TOLD_KEY_ROOM, "%s/", lapse_channel_name(key->channel));
    if (key->purpose)
        n += (size_t)snprintf(out + n, LAPSE_TOLD_KEY_ROOM - n, "%s/", lapse_purpose_name(key->purpose));
    lapse_text_copy(out + n, key->topic);
    n += key->topic.size;
    lapse_text_copy(out + n, key->ref);
    n += key->ref.size;
    for (uint32_t i = 0; i < key->endpoint.size && i < SHOWN; i++) {
        out[n++] = hex[(uint8_t)key->endpoint.data[i] >> 4];
        out[n++] = hex[key->endpoint.data[i] & 15];
    }
    return n;
}

/* ---- putting them --------------------------------------------------------------------------------------------- */

static bool put(struct lapse_presents *p, const struct lapse_told_key *key, int32_t state, int64_t since, uint8_t kind)
{
    if (p->count == p->capacity && !lapse_mem_reserve(p->mem, &p->items, &p->capacity, p->count + 1, sizeof *p->items))
        return false;
    p->items[p->count++] = (struct lapse_present){ *key, state, since, kind };
    return true;
}

/* Kind 0 with `always`: it was so from the beginning. */
static bool put_or_first(struct lapse_presents *p, const struct lapse_told_key *key, int32_t state, bool always,
                         int64_t since, uint8_t kind)
{
    return always ? put(p, key, state, p->first_time, p->first_kind) : put(p, key, state, since, kind);
}

static bool put_crossing(struct lapse_presents *p, const struct lapse_told_key *key, int32_t state,
                         const struct lapse_spell *c)
{
    return put_or_first(p, key, state, c->kind == 0, c->since, c->kind);
}

/* ---- orders: valid ones as every instant sees them -------------------------------------------------------------- */

/* The event by which the step of the track came: a line, where the last order is a later one; else what took one back. */
static void step_event(const struct lapse_presents *p, const struct lapse_history *h, size_t step, struct lapse_event *e)
{
    const struct lapse_step *steps = p->track.steps;
    const uint8_t *kinds = h->name[LAPSE_F_KIND];
    const int64_t *times = h->number[LAPSE_F_TIME];
    bool gained = step == 0 || steps[step].last > steps[step - 1].last;
    int64_t low = 0, high = h->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (times[middle] < steps[step].since)
            low = middle + 1;
        else
            high = middle;
    }
    *e = (struct lapse_event){ h, low, low, steps[step].since, LAPSE_KIND_ORDER_PLACED };
    for (int64_t i = low; i < h->count && times[i] == e->time; i++) {
        bool line = kinds[i] == LAPSE_KIND_ORDER_PLACED;
        if (!line && kinds[i] != LAPSE_KIND_ORDER_CANCELLED && kinds[i] != LAPSE_KIND_ORDER_REFUNDED)
            continue;
        if (gained && !line)
            break;
        *e = (struct lapse_event){ h, i, i, e->time, kinds[i] };
    }
}

static int32_t clock_of(const struct lapse_clock *clock, int64_t last, int64_t time)
{
    return last == LAPSE_MISSING ? LAPSE_CLOCK_NEW : lapse_clock_state(clock, last, time);
}

/* Back through the steps to the one in which, or at which, the clock came to its state. */
static bool put_purchase(struct lapse_presents *p, const struct lapse_person *person)
{
    const struct lapse_told_key key = { .region = LAPSE_TOLD_PURCHASE };
    const struct lapse_clock *clock = &person->rules->purchase;
    const struct lapse_step *steps = p->track.steps;
    size_t i = p->track.count;
    int32_t state = i ? clock_of(clock, steps[i - 1].last, person->rules->as_of) : LAPSE_CLOCK_NEW;
    while (i-- > 0) {
        bool timed = state > LAPSE_CLOCK_ACTIVE;
        int64_t from = timed ? lapse_clock_deadline(clock, state, steps[i].last) : steps[i].since;
        if (from > steps[i].since)
            return put(p, &key, state, from, 0);
        int32_t before = i ? clock_of(clock, steps[i - 1].last, steps[i].since - 1) : LAPSE_CLOCK_NEW;
        if (before != state) {
            struct lapse_event e;
            step_event(p, person->history, i, &e);
            /* A deadline in that very instant comes first (as S20 has it of carts). */
            bool passed = i && clock_of(clock, steps[i - 1].last, e.time) == state;
            return put(p, &key, state, e.time, passed ? 0 : e.kind);
        }
    }
    return put_or_first(p, &key, state, true, 0, 0);
}

/* ---- the stage: three things that come to be, and orders that may go again --------------------------------------- */

static bool put_stage(struct lapse_presents *p, const struct lapse_person *person)
{
    const struct lapse_told_key key = { .region = LAPSE_TOLD_STAGE };
    const struct lapse_progress *s = &person->stage;
    const struct lapse_step *steps = p->track.steps;
    bool has[LAPSE_STAGE_STEPS] = { false }, buys = false;
    struct lapse_spell now = { 0 };
    for (size_t i = 0;;) { /* whichever comes next */
        int next = -1;
        struct lapse_event e, other = { 0 };
        for (int k = 0; k < LAPSE_STAGE_STEPS; k++)
            if (s->steps[k].state && !has[k] && (next < 0 || s->steps[k].order < s->steps[next].order))
                next = k;
        while (i < p->track.count && (steps[i].last != LAPSE_MISSING) == buys)
            i++;
        if (i < p->track.count)
            step_event(p, person->history, i, &other);
        if (next >= 0)
            e = (struct lapse_event){ person->history, s->steps[next].order, s->steps[next].order, s->steps[next].since,
                                      s->steps[next].kind };
        if (next < 0 && i == p->track.count)
            break;
        if (next < 0 || (i < p->track.count && other.order < e.order)) {
            buys = !buys;
            e = other;
        } else {
            has[next] = true;
        }
        int32_t stage = lapse_stage_of(has[LAPSE_STEP_VISITED], has[LAPSE_STEP_REGISTERED], buys, has[LAPSE_STEP_ADVOCATES]);
        lapse_spell_note(&now, stage == LAPSE_STAGE_REACH ? 0 : stage, &e);
    }
    return put_crossing(p, &key, now.state ? now.state : LAPSE_STAGE_REACH, &now);
}

/* ---- what the regions keep ------------------------------------------------------------------------------------------ */

static bool put_engagement(struct lapse_presents *p, const struct lapse_person *person)
{
    const struct lapse_told_key key = { .region = LAPSE_TOLD_ENGAGEMENT };
    const struct lapse_engagement *s = &person->engagement;
    int64_t since = 0;
    int32_t state = lapse_touches_state(&s->touches, &person->rules->engagement, person->rules->as_of, &since);
    return put_or_first(p, &key, state, state == LAPSE_CLOCK_NEW, since, state == LAPSE_CLOCK_ACTIVE ? s->run_kind : 0);
}

static bool put_account(struct lapse_presents *p, const struct lapse_person *person)
{
    const struct lapse_told_key key = { .region = LAPSE_TOLD_ACCOUNT };
    return put_crossing(p, &key, lapse_person_account(person), &person->account.now);
}

static lapse_status put_rights(struct lapse_presents *p, const struct lapse_person *person, lapse_error *error)
{
    const struct lapse_told_key key = { .region = LAPSE_TOLD_RIGHTS };
    const struct lapse_rules *rules = person->rules;
    const struct lapse_history *h = person->history;
    int64_t row = -1;
    lapse_status status = LAPSE_OK;
    if (person->rights.used)
        status = lapse_rights_since(h, rules->zone, rules->token, rules->mem, &row, error);
    if (status != LAPSE_OK)
        return status;
    bool put = put_or_first(p, &key, person->rights.state, row < 0, row < 0 ? 0 : h->number[LAPSE_F_TIME][row],
                            row < 0 ? 0 : h->name[LAPSE_F_KIND][row]);
    return put ? LAPSE_OK : lapse_fail_memory(error);
}

static bool put_cell(struct lapse_presents *p, const struct lapse_person *person, int32_t channel, int32_t purpose,
                     struct lapse_text topic, const struct lapse_cell *cell)
{
    const struct lapse_told_key key = { .region = LAPSE_TOLD_CONSENT, .channel = (uint8_t)channel,
                                        .purpose = (uint8_t)purpose, .topic = topic };
    struct lapse_cause cause = { 0 };
    int32_t state = lapse_person_consent(person, channel, purpose, topic, cell, &cause);
    bool none = state == LAPSE_CONSENT_NONE;
    return put_or_first(p, &key, state, none, cause.since, cause.kind);
}

static bool put_consents(struct lapse_presents *p, const struct lapse_person *person)
{
    const struct lapse_text no_topic = { "", 0 };
    const struct lapse_consents *c = &person->consents;
    for (size_t i = 0; i < c->cell_names.count; i++)
        if (!put_cell(p, person, c->cells[i].channel, c->cells[i].purpose, c->cells[i].topic, &c->cells[i]))
            return false;
    bool implied = person->rules->implied_purchase.unit != LAPSE_UNIT_NONE ||
                   person->rules->implied_inquiry.unit != LAPSE_UNIT_NONE;
    for (int32_t channel = 1; channel < LAPSE_CHANNELS && implied; channel++)
        if (!lapse_consents_cell(c, channel, LAPSE_PURPOSE_MARKETING, no_topic) &&
            !put_cell(p, person, channel, LAPSE_PURPOSE_MARKETING, no_topic, NULL))
            return false;
    return true;
}

/* A fact as an instant found it. */
static struct lapse_spell as_found(const struct lapse_spell *c, int64_t instant)
{
    if (c->instant == instant)
        return (struct lapse_spell){ .state = c->was, .kind = c->was_kind, .since = c->was_since, .order = c->was_order };
    return c->instant < instant ? *c : (struct lapse_spell){ .state = !c->state };
}

/* The first fact that holds, and when it became that: the last instant at which it began, or one before it ended. */
static bool put_endpoint(struct lapse_presents *p, const struct lapse_person *person, const struct lapse_endpoint *item)
{
    const struct lapse_endpoints *s = &person->endpoints;
    const struct lapse_reach *r = &s->reach[item->channel];
    const struct lapse_told_key key = { .region = LAPSE_TOLD_ENDPOINT, .channel = item->channel, .endpoint = item->hash };
    const struct lapse_cell *cell = lapse_consents_cell(&person->consents, item->channel, LAPSE_PURPOSE_MARKETING,
                                                        (struct lapse_text){ "", 0 });
    static const struct lapse_spell never = { 0 };
    const struct {
        const struct lapse_spell *since;
        int32_t state;
    } facts[] = {
        { item->listed >> LAPSE_LIST_LIFTED & 1 ? &item->since[LAPSE_SINCE_BLOCKED] : &r->blocked_since,
          LAPSE_DELIVERABILITY_MANUAL_BLOCK },
        { &item->since[LAPSE_SINCE_HARD], LAPSE_DELIVERABILITY_HARD_BOUNCED },
        { item->held < 0 ? &r->removed_since : &item->since[LAPSE_SINCE_REMOVED], LAPSE_DELIVERABILITY_NO_ENDPOINT },
        { cell ? &cell->spam : &never, LAPSE_DELIVERABILITY_SPAM_REPORTED },
        { &item->since[LAPSE_SINCE_SOFT], LAPSE_DELIVERABILITY_SOFT_BOUNCING },
    };
    const struct lapse_spell *shown = item->hash.size ? &item->shown : &r->shown;
    struct lapse_spell last = never;
    int32_t state = LAPSE_DELIVERABILITY_OK;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0] && state == LAPSE_DELIVERABILITY_OK; i++) {
        struct lapse_spell fact = *facts[i].since;
        if (!shown->state && fact.kind) /* of what is not shown any more: as the end of that found it */
            fact = as_found(&fact, shown->instant);
        if (fact.kind && (!last.kind || fact.order > last.order))
            last = fact;
        state = fact.state ? facts[i].state : LAPSE_DELIVERABILITY_OK;
    }
    if (!shown->state) /* it may have been all right before that */
        return put_crossing(p, &key, LAPSE_DELIVERABILITY_OK, state == LAPSE_DELIVERABILITY_OK ? &last : shown);
    /* What was before it was seen is nothing to tell, nor is what ended in the instant in which it was seen. */
    bool unseen = last.order < shown->order || (state == LAPSE_DELIVERABILITY_OK && last.since == shown->since);
    if (unseen)
        last = state == LAPSE_DELIVERABILITY_OK ? never : *shown;
    return put_crossing(p, &key, state, &last);
}

static bool put_endpoints(struct lapse_presents *p, const struct lapse_person *person)
{
    const struct lapse_endpoints *s = &person->endpoints;
    for (size_t i = 0; i < s->names.count; i++)
        if ((s->items[i].known || s->items[i].hash.size == 0) && !put_endpoint(p, person, &s->items[i]))
            return false;
    for (int32_t channel = 1; channel < LAPSE_CHANNELS; channel++) {
        struct lapse_endpoint nobody = { .channel = (uint8_t)channel, .hash = { "", 0 }, .held = -1 };
        bool some = (s->touched >> channel & 1) && s->reach[channel].shown.kind;
        if (some && !lapse_endpoint_nameless(s, channel) && !put_endpoint(p, person, &nobody))
            return false;
    }
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

static int order_items(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_present *items = user;
    return lapse_told_key_compare(&items[a].key, &items[b].key);
}

static bool sort_items(struct lapse_presents *p)
{
    if (!lapse_mem_reserve(p->mem, &p->order, &p->order_capacity, 2 * p->count, sizeof *p->order))
        return false;
    for (size_t i = 0; i < p->count; i++)
        p->order[i] = (uint32_t)i;
    lapse_sort_indices(p->order, p->count, p->order + p->count, order_items, p->items);
    return true;
}

lapse_status lapse_presents_read(struct lapse_presents *p, const struct lapse_person *person, lapse_error *error)
{
    const struct lapse_history *h = person->history;
    lapse_status status = LAPSE_OK;
    p->count = 0;
    p->first_time = h->number[LAPSE_F_TIME][0];
    p->first_kind = h->name[LAPSE_F_KIND][0];
    p->track.count = 0;
    if (person->purchases.placed)
        status = lapse_track_read(&p->track, h, NULL, person->rules->zero_is_valid, error);
    if (status != LAPSE_OK)
        return status;
    bool good = put_stage(p, person) && put_engagement(p, person) && put_purchase(p, person) && put_account(p, person);
    status = good ? put_rights(p, person, error) : lapse_fail_memory(error);
    if (status == LAPSE_OK && !(put_consents(p, person) && put_endpoints(p, person) && sort_items(p)))
        status = lapse_fail_memory(error);
    return status;
}

int64_t lapse_present_deadline(const struct lapse_person *person)
{
    int64_t next = lapse_person_deadline(person), implied = lapse_person_implied_end(person);
    return implied < next ? implied : next;
}

void lapse_presents_init(struct lapse_presents *p, const lapse_allocator *mem)
{
    *p = (struct lapse_presents){ .mem = mem, .track = { .mem = mem } };
}

void lapse_presents_free(struct lapse_presents *p)
{
    lapse_mem_free(p->mem, p->items);
    lapse_mem_free(p->mem, p->order);
    lapse_track_free(&p->track);
}
