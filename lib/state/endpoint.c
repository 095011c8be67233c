/* Endpoints: can an address or a device be reached? (semantics 4.6, rulings S30 to S38, C13, C14)
 *
 * Hard bounce, manual block, removal and the run of soft bounces are facts that do not touch each other, and
 * no fact is consent: a bounce never withdraws. Most are kept as the order of the last event that set them and
 * of the last that took them back, so that what concerns a whole channel is one number and never a loop. A
 * spam report is kept here and lifted by consent, in whole.c. An event that names no endpoint concerns those
 * held on its channel, or, where none is, one record without address. */
#include "state/state.h"

static const uint8_t kinds[] = {
    LAPSE_KIND_ENDPOINT_ADDED,         LAPSE_KIND_ENDPOINT_CHANGED,    LAPSE_KIND_ENDPOINT_VERIFIED,
    LAPSE_KIND_ENDPOINT_REMOVED,       LAPSE_KIND_APP_INSTALLED,       LAPSE_KIND_APP_UNINSTALLED,
    LAPSE_KIND_PUSH_TOKEN_INVALIDATED, LAPSE_KIND_SESSION_STARTED,     LAPSE_KIND_MESSAGE_SENT,
    LAPSE_KIND_MESSAGE_DELIVERED,      LAPSE_KIND_MESSAGE_OPENED,      LAPSE_KIND_MESSAGE_CLICKED,
    LAPSE_KIND_MESSAGE_CONVERTED,      LAPSE_KIND_MESSAGE_BOUNCED,     LAPSE_KIND_MESSAGE_SPAM_REPORTED,
    LAPSE_KIND_SUPPRESSION_ADDED,      LAPSE_KIND_SUPPRESSION_REMOVED, 0
};

/* Channels that need no endpoint. */
#define OPEN_CHANNELS (1u << LAPSE_CHANNEL_ONSITE | 1u << LAPSE_CHANNEL_SOCIAL | 1u << LAPSE_CHANNEL_ADS)

/* ---- one endpoint ------------------------------------------------------------------------------------ */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void soft_bounce(struct lapse_endpoint *item, int64_t lifted, const struct lapse_rules *rules,
                        const struct lapse_event *e)
{
    if (item->soft_count == 0 || item->soft_order < lifted) {
        item->soft_count = 0;
        item->soft_order = e->order;
        item->soft_first = e->time;
    }
    item->soft_count++;
    if (item->soft_count >= rules->bounce_soft &&
        e->time > lapse_rules_add(rules, item->soft_first, rules->bounce_span))
        item->hard = e->order;
}

unsigned lapse_endpoint_facts(const struct lapse_endpoints *e, const struct lapse_endpoint *item)
{
    const struct lapse_reach *r = &e->reach[item->channel];
    int64_t lifted = later(item->lifted, r->lifted);
    return (later(item->removed, r->removed) > item->held ? LAPSE_FACT_REMOVED : 0u) |
           (item->hard > lifted ? LAPSE_FACT_HARD : 0u) | (r->blocked > lifted ? LAPSE_FACT_BLOCKED : 0u) |
           (item->soft_count && item->soft_order > lifted ? LAPSE_FACT_SOFT : 0u);
}

/* ---- the endpoints of a channel ---------------------------------------------------------------------- */

static struct lapse_reach *reach_of(struct lapse_endpoints *s, int32_t channel)
{
    struct lapse_reach *r = &s->reach[channel];
    if (!(s->touched >> channel & 1)) {
        s->touched |= 1u << channel;
        r->messages = false;
        r->removed = r->blocked = r->lifted = r->spam = -1;
        r->held_count = 0;
        r->facts = 0;
        r->known = r->nameless = false;
        memset(r->lists, 0, sizeof r->lists);
        memset(&r->blocked_since, 0, sizeof r->blocked_since);
        memset(&r->removed_since, 0, sizeof r->removed_since);
        memset(&r->shown, 0, sizeof r->shown);
    }
    return r;
}

/* ---- since when facts hold ---------------------------------------------------------------------------- */

static void enlist(struct lapse_endpoints *s, struct lapse_endpoint *item, int list)
{
    struct lapse_reach *r = &s->reach[item->channel];
    if (item->listed >> list & 1)
        return;
    item->listed |= (uint8_t)(1u << list);
    item->next[list] = r->lists[list];
    r->lists[list] = (uint32_t)(item - s->items) + 1;
}

/* After an event that may have changed the facts of an endpoint. */
static void note(struct lapse_endpoints *s, struct lapse_endpoint *item, const struct lapse_event *e)
{
    unsigned facts = lapse_endpoint_facts(s, item);
    lapse_spell_note(&item->since[LAPSE_SINCE_REMOVED], (facts & LAPSE_FACT_REMOVED) != 0, e);
    lapse_spell_note(&item->since[LAPSE_SINCE_HARD], (facts & LAPSE_FACT_HARD) != 0, e);
    lapse_spell_note(&item->since[LAPSE_SINCE_SOFT], (facts & LAPSE_FACT_SOFT) != 0, e);
    if (item->listed >> LAPSE_LIST_LIFTED & 1)
        lapse_spell_note(&item->since[LAPSE_SINCE_BLOCKED], (facts & LAPSE_FACT_BLOCKED) != 0, e);
    lapse_spell_note(&item->shown, item->known, e);
    if (!(facts & LAPSE_FACT_REMOVED))
        enlist(s, item, LAPSE_LIST_HELD);
    if (facts & (LAPSE_FACT_HARD | LAPSE_FACT_SOFT))
        enlist(s, item, LAPSE_LIST_BOUNCED);
}

/* After an event about a whole channel: the endpoints of a list, which is built anew. */
static void note_list(struct lapse_endpoints *s, struct lapse_reach *r, int list, const struct lapse_event *e)
{
    uint32_t at = r->lists[list];
    for (r->lists[list] = 0; at;) {
        struct lapse_endpoint *item = &s->items[at - 1];
        at = item->next[list];
        item->listed &= (uint8_t)~(list == LAPSE_LIST_LIFTED ? 0u : 1u << list);
        if (list == LAPSE_LIST_LIFTED) { /* once lifted alone, always by itself */
            item->next[list] = r->lists[list];
            r->lists[list] = (uint32_t)(item - s->items) + 1;
        }
        note(s, item, e);
    }
}

static void note_block(struct lapse_endpoints *s, struct lapse_reach *r, const struct lapse_event *e)
{
    lapse_spell_note(&r->blocked_since, r->blocked > r->lifted, e);
    note_list(s, r, LAPSE_LIST_LIFTED, e);
}

static void note_shown(struct lapse_reach *r, const struct lapse_event *e)
{
    lapse_spell_note(&r->shown, r->nameless || (r->messages && !r->known), e);
}

/* ---- the endpoints of a channel, their events ---------------------------------------------------------- */

/* NULL: no memory. */
static struct lapse_endpoint *put(struct lapse_endpoints *s, int32_t channel, struct lapse_text hash)
{
    bool fresh;
    uint32_t number = lapse_names_put(&s->names, (uint32_t)channel, hash, &fresh);
    if (number == LAPSE_NO_NAME ||
        (fresh && number >= s->capacity &&
         !lapse_mem_reserve(s->names.mem, &s->items, &s->capacity, (size_t)number + 1, sizeof *s->items)))
        return NULL;
    if (fresh)
        s->items[number] = (struct lapse_endpoint){ .channel = (uint8_t)channel,
                                                    .hash = hash,
                                                    .held = -1,
                                                    .removed = -1,
                                                    .hard = -1,
                                                    .lifted = -1,
                                                    .added = -1,
                                                    .soft_order = -1 };
    return &s->items[number];
}

static void drop_held(struct lapse_reach *r, uint32_t number)
{
    uint32_t i = 0;
    while (i < r->held_count && r->held[i] != number)
        i++;
    if (i == r->held_count)
        return;
    r->held_count--;
    memmove(r->held + i, r->held + i + 1, (r->held_count - i) * sizeof *r->held);
}

static bool hold(struct lapse_endpoints *s, int32_t channel, const struct lapse_event *e, bool known)
{
    struct lapse_reach *r = reach_of(s, channel);
    struct lapse_endpoint *item = put(s, channel, lapse_event_text(e, LAPSE_F_ENDPOINT));
    if (!item)
        return false;
    uint32_t number = (uint32_t)(item - s->items);
    if (item->held < 0 && item->hash.size == 0) /* what was so of it until now */
        item->since[LAPSE_SINCE_REMOVED] = r->removed_since;
    item->held = e->order;
    item->known |= known;
    item->reached |= !known;
    if (item->added < 0 || e->kind != LAPSE_KIND_ENDPOINT_VERIFIED)
        item->added = e->order;
    drop_held(r, number);
    if (r->held_count == LAPSE_HELD_MAX)
        drop_held(r, r->held[0]);
    r->held[r->held_count++] = number;
    r->known |= known;
    r->nameless |= known && item->hash.size == 0;
    note(s, item, e);
    note_shown(r, e);
    return true;
}

/* All endpoints of a channel are gone. */
static void drop_all(struct lapse_endpoints *s, int32_t channel, const struct lapse_event *e)
{
    struct lapse_reach *r = reach_of(s, channel);
    r->removed = e->order;
    r->held_count = 0;
    lapse_spell_note(&r->removed_since, 1, e);
    note_list(s, r, LAPSE_LIST_HELD, e);
}

static bool drop(struct lapse_endpoints *s, int32_t channel, const struct lapse_event *e)
{
    struct lapse_text hash = lapse_event_text(e, LAPSE_F_ENDPOINT);
    if (hash.size == 0) {
        drop_all(s, channel, e);
        return true;
    }
    struct lapse_endpoint *item = put(s, channel, hash);
    if (!item)
        return false;
    item->removed = e->order;
    drop_held(reach_of(s, channel), (uint32_t)(item - s->items));
    note(s, item, e);
    return true;
}

static void tell(struct lapse_endpoints *s, struct lapse_endpoint *item, const struct lapse_rules *rules,
                 const struct lapse_event *e)
{
    int64_t lifted = later(item->lifted, s->reach[item->channel].lifted);
    switch (e->kind) {
    case LAPSE_KIND_MESSAGE_DELIVERED:
        item->soft_count = 0;
        break;
    case LAPSE_KIND_ENDPOINT_VERIFIED:
        if (item->hard > lifted) {
            item->hard = -1;
            item->soft_count = 0;
        }
        break;
    case LAPSE_KIND_SUPPRESSION_REMOVED:
        if (!(item->listed >> LAPSE_LIST_LIFTED & 1))
            item->since[LAPSE_SINCE_BLOCKED] = s->reach[item->channel].blocked_since;
        enlist(s, item, LAPSE_LIST_LIFTED);
        item->lifted = e->order;
        break;
    default:
        switch (lapse_bounce(lapse_event_text(e, LAPSE_F_REASON))) {
        case LAPSE_BOUNCE_SOFT:
            soft_bounce(item, lifted, rules, e);
            break;
        case LAPSE_BOUNCE_HARD:
            item->hard = e->order;
            break;
        case LAPSE_BOUNCE_NONE:
            break;
        }
    }
    note(s, item, e);
}

/* An event about how an endpoint fares: the one named, or all held; where none is held, the record without
 * address too. */
static bool tell_named(struct lapse_endpoints *s, int32_t channel, const struct lapse_rules *rules,
                       const struct lapse_event *e)
{
    struct lapse_reach *r = reach_of(s, channel);
    struct lapse_text hash = lapse_event_text(e, LAPSE_F_ENDPOINT);
    struct lapse_endpoint *item;
    if (hash.size) {
        if (!(item = put(s, channel, hash)))
            return false;
        tell(s, item, rules, e);
    } else {
        for (uint32_t i = 0; i < r->held_count; i++)
            tell(s, &s->items[r->held[i]], rules, e);
    }
    if (r->held_count == 0) {
        if (!(item = put(s, channel, (struct lapse_text){ "", 0 })))
            return false;
        /* An app that is gone is not what bounced. */
        bool gone = item->known && (lapse_endpoint_facts(s, item) & LAPSE_FACT_REMOVED);
        if (!gone || e->kind != LAPSE_KIND_MESSAGE_BOUNCED)
            tell(s, item, rules, e);
    }
    return true;
}

/* ---- the region -------------------------------------------------------------------------------------- */

static bool fold_app(struct lapse_endpoints *s, const struct lapse_event *e, int32_t channel)
{
    switch (e->kind) {
    case LAPSE_KIND_APP_INSTALLED:
        return hold(s, LAPSE_CHANNEL_PUSH, e, true) && hold(s, LAPSE_CHANNEL_IN_APP, e, true);
    case LAPSE_KIND_APP_UNINSTALLED:
        drop_all(s, LAPSE_CHANNEL_PUSH, e);
        drop_all(s, LAPSE_CHANNEL_IN_APP, e);
        return true;
    case LAPSE_KIND_PUSH_TOKEN_INVALIDATED:
        return drop(s, channel ? channel : LAPSE_CHANNEL_PUSH, e);
    default: /* a session: who is in the app can be reached there */
        return lapse_event_name(e, LAPSE_F_PLATFORM) != LAPSE_PLATFORM_APP ||
               hold(s, LAPSE_CHANNEL_IN_APP, e, false);
    }
}

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_endpoints *s = state;
    uint8_t channel = lapse_event_name(e, LAPSE_F_CHANNEL);
    if (channel >= LAPSE_CHANNELS)
        return true;
    if (!(lapse_kinds[e->kind].flags & LAPSE_KIND_NEEDS_CHANNEL))
        return fold_app(s, e, channel);
    if (channel == 0)
        return true;
    struct lapse_reach *r = reach_of(s, channel);
    bool ok = true;
    switch (e->kind) {
    case LAPSE_KIND_ENDPOINT_CHANGED:
        drop_all(s, channel, e);
        return hold(s, channel, e, true);
    case LAPSE_KIND_ENDPOINT_ADDED:
        return hold(s, channel, e, true);
    case LAPSE_KIND_ENDPOINT_VERIFIED:
        ok = hold(s, channel, e, true);
        return ok && tell_named(s, channel, rules, e);
    case LAPSE_KIND_ENDPOINT_REMOVED:
        return drop(s, channel, e);
    case LAPSE_KIND_SUPPRESSION_ADDED:
        r->blocked = e->order;
        note_block(s, r, e);
        return true;
    case LAPSE_KIND_SUPPRESSION_REMOVED:
        if (lapse_event_text(e, LAPSE_F_ENDPOINT).size)
            return tell_named(s, channel, rules, e);
        r->lifted = e->order;
        note_block(s, r, e);
        note_list(s, r, LAPSE_LIST_BOUNCED, e);
        return true;
    case LAPSE_KIND_MESSAGE_SPAM_REPORTED:
        r->messages = true;
        r->spam = e->order;
        note_shown(r, e);
        return true;
    default:
        r->messages = true;
        note_shown(r, e);
        return (e->kind != LAPSE_KIND_MESSAGE_BOUNCED && e->kind != LAPSE_KIND_MESSAGE_DELIVERED) ||
               tell_named(s, channel, rules, e);
    }
}

const struct lapse_endpoint *lapse_endpoint_nameless(const struct lapse_endpoints *s, int32_t channel)
{
    uint32_t number = lapse_names_find(&s->names, (uint32_t)channel, (struct lapse_text){ "", 0 });
    return number == LAPSE_NO_NAME ? NULL : &s->items[number];
}

/* Which endpoint decides for its channel (C14): one that nothing speaks against, else the one added last. */
static lapse_status settle(void *state, const struct lapse_rules *rules, const struct lapse_history *history,
                           lapse_error *error)
{
    enum { AGAINST = LAPSE_FACT_REMOVED | LAPSE_FACT_HARD | LAPSE_FACT_BLOCKED };
    struct lapse_endpoints *s = state;
    int64_t added[LAPSE_CHANNELS];
    (void)rules;
    (void)history;
    (void)error;
    for (int32_t channel = 0; channel < LAPSE_CHANNELS; channel++) {
        added[channel] = -1;
        s->reach[channel].facts = LAPSE_FACT_UNHEARD;
    }
    for (size_t i = 0; i < s->names.count; i++) {
        const struct lapse_endpoint *item = &s->items[i];
        struct lapse_reach *r = &s->reach[item->channel];
        if (!item->known && !item->reached)
            continue;
        unsigned facts = lapse_endpoint_facts(s, item) & AGAINST;
        int64_t weight = facts ? item->added : INT64_MAX;
        if (weight > added[item->channel]) {
            added[item->channel] = weight;
            r->facts = (uint8_t)facts;
        }
    }
    for (int32_t channel = 1; channel < LAPSE_CHANNELS; channel++) {
        struct lapse_reach *r = &s->reach[channel];
        if (r->facts == LAPSE_FACT_UNHEARD && (s->touched >> channel & 1)) {
            static const struct lapse_endpoint nobody = { .held = -1, .removed = -1, .hard = -1, .lifted = -1 };
            const struct lapse_endpoint *item = lapse_endpoint_nameless(s, channel);
            struct lapse_endpoint none = nobody;
            none.channel = (uint8_t)channel;
            r->facts = (uint8_t)((lapse_endpoint_facts(s, item ? item : &none) & AGAINST) | LAPSE_FACT_UNHEARD);
        }
        if (OPEN_CHANNELS >> channel & 1)
            r->facts &= (uint8_t) ~(LAPSE_FACT_UNHEARD | LAPSE_FACT_REMOVED);
    }
    return LAPSE_OK;
}

static void begin(void *state, const struct lapse_rules *rules)
{
    struct lapse_endpoints *s = state;
    s->names.mem = rules->mem;
    s->names.seed = rules->seed;
}

static void clear(void *state)
{
    struct lapse_endpoints *s = state;
    lapse_names_clear(&s->names);
    s->touched = 0;
}

static void end(void *state)
{
    struct lapse_endpoints *s = state;
    if (!s->names.mem)
        return;
    lapse_mem_free(s->names.mem, s->items);
    lapse_names_free(&s->names);
}

const struct lapse_region lapse_region_endpoint = {
    .name = "endpoint",
    .at = offsetof(struct lapse_person, endpoints),
    .size = sizeof(struct lapse_endpoints),
    .fields = LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) | LAPSE_FIELD_BIT(LAPSE_F_PLATFORM) |
              LAPSE_FIELD_BIT(LAPSE_F_REASON) | LAPSE_FIELD_BIT(LAPSE_F_ENDPOINT),
    .kinds = kinds,
    .begin = begin,
    .clear = clear,
    .fold = fold,
    .settle = settle,
    .end = end,
};
