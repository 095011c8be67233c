/* Private header of lib/state: regions of a customer's state, each a fold of its own events; the gate over
 * them; and the answers made of both.
 *
 * All regions have one form: a struct of state, a list of the kinds they read, a fold of one event, what is
 * settled after the last event, and the next deadline. A region sees its own struct and the event, never
 * another region; what must be put together (the stage from visits and orders, implied consent, a decision) is
 * put together in whole.c and gate.c. Events come in canonical order, cut at the instant, without retracted
 * ones. A new region is one file, one row of the table in regions.c and one member of struct lapse_person. */
#ifndef LAPSE_LIB_STATE_H
#define LAPSE_LIB_STATE_H

#include <lapse/state.h>

#include "base/base.h"
#include "event/event.h"
#include "policy/policy.h"
#include "table/table.h"
#include "view/view.h"

#define LAPSE_NEVER INT64_MAX /* a deadline that does not come */

enum { LAPSE_CHANNELS = LAPSE_CHANNEL_ADS + 1, LAPSE_PURPOSES = LAPSE_PURPOSE_SURVEY + 1 };

/* ---- rules.c: what the policy says, read once -------------------------------------------------------- */

struct lapse_rules {
    const struct lapse_zone *zone;       /* of the view, which outlives the rules, as the next does */
    const lapse_allocator *mem;
    uint64_t seed;                       /* of hash tables */
    int64_t as_of;
    struct lapse_clock engagement, purchase;
    struct lapse_activity activity;
    struct lapse_setting_value token, bounce_span, implied_purchase, implied_inquiry;
    int64_t bounce_soft, implied_channels;
    double rating;
    bool rated, zero_is_valid, needs_evidence, inapp_implied, assume_endpoint;
};
void lapse_rules_read(struct lapse_rules *rules, const lapse_view *view, const lapse_policy *policy);
static inline int64_t lapse_rules_add(const struct lapse_rules *rules, int64_t time, struct lapse_setting_value span)
{
    return lapse_zone_add(rules->zone, time, span.n, span.unit);
}

/* ---- names.c: numbers of texts, of one customer at a time -------------------------------------------- */

/* A hash table that numbers pairs of a small key and a text from 0 in the order they come. Texts are borrowed.
 */
struct lapse_names {
    const lapse_allocator *mem;
    struct lapse_name {
        uint64_t hash;
        uint32_t key, slot;
        struct lapse_text text;
    } *items;
    size_t count, capacity;
    uint32_t *slots;          /* number + 1, or 0 */
    size_t slot_count, slot_capacity;
    uint64_t seed;            /* set by the user, as mem is */
};
#define LAPSE_NO_NAME UINT32_MAX
/* The number of the pair, LAPSE_NO_NAME when there is none. */
uint32_t lapse_names_find(const struct lapse_names *names, uint32_t key, struct lapse_text text);
/* The same, given one if it has none; *fresh says so. LAPSE_NO_NAME: no memory. */
uint32_t lapse_names_put(struct lapse_names *names, uint32_t key, struct lapse_text text, bool *fresh);
void lapse_names_clear(struct lapse_names *names); /* costs what was put */
void lapse_names_free(struct lapse_names *names);

/* ---- the form of a region ---------------------------------------------------------------------------- */

struct lapse_event {
    const struct lapse_history *history;
    int64_t row;   /* in it */
    int64_t order; /* of all events of the customer, from 0: a later event has the larger number */
    int64_t time;
    uint8_t kind;
};
static inline struct lapse_text lapse_event_text(const struct lapse_event *e, enum lapse_field f)
{
    return lapse_history_text(e->history, f, e->row);
}
static inline uint8_t lapse_event_name(const struct lapse_event *e, enum lapse_field f)
{
    return e->history->name[f][e->row];
}
static inline bool lapse_event_says(const struct lapse_event *e, enum lapse_field f, const char *text)
{
    struct lapse_text t = lapse_event_text(e, f);
    return t.size == strlen(text) && memcmp(t.data, text, t.size) == 0;
}

/* A spell: a value of a region over time: since when it has been what it is, and by which event. Each instant is seen after all
 * its events, so a value that is left and taken up again inside one instant was not interrupted. All zero: it was 0
 * from the beginning. */
struct lapse_spell {
    int32_t state, was;       /* now, and as the instant of the last change found it */
    uint8_t kind, was_kind;   /* of the event that began it; 0: it was so from the beginning */
    int64_t since, was_since;
    int64_t order, was_order; /* of that event */
    int64_t instant;
};
void lapse_spell_note(struct lapse_spell *spell, int32_t state, const struct lapse_event *event);

enum lapse_region_number {
    LAPSE_REGION_STAGE,
    LAPSE_REGION_ENGAGEMENT,
    LAPSE_REGION_PURCHASE,
    LAPSE_REGION_CONSENT,
    LAPSE_REGION_ENDPOINT,
    LAPSE_REGION_ACCOUNT,
    LAPSE_REGION_RIGHTS,
    LAPSE_REGIONS
};
struct lapse_region {
    const char *name;
    size_t at, size;          /* its struct in lapse_person; all zero is the state of a customer without events */
    uint32_t fields;          /* columns that it reads beside time and kind */
    uint16_t flags;           /* it reads the kinds that have one of these LAPSE_KIND_ flags ... */
    const uint8_t *kinds;     /* ... and these; ends with 0; may be NULL */
    /* What follows may be NULL but `fold`. False: no memory. */
    void (*begin)(void *state, const struct lapse_rules *rules); /* once, when the struct is zeroed */
    void (*clear)(void *state);                                  /* before each customer; NULL: is set to zero */
    bool (*fold)(void *state, const struct lapse_rules *rules, const struct lapse_event *event);
    /* After the last event: what only the whole history tells. `history` NULL: there is no event. */
    lapse_status (*settle)(void *state, const struct lapse_rules *rules, const struct lapse_history *history,
                           lapse_error *error);
    int64_t (*deadline)(const void *state, const struct lapse_rules *rules); /* after rules->as_of, or LAPSE_NEVER */
    void (*end)(void *state);
};
const struct lapse_region *lapse_region_at(enum lapse_region_number number);
bool lapse_region_reads(const struct lapse_region *region, int kind);

/* ---- stage.c: visits, registration, advocacy --------------------------------------------------------- */

enum { LAPSE_STEP_VISITED, LAPSE_STEP_REGISTERED, LAPSE_STEP_ADVOCATES, LAPSE_STAGE_STEPS };
struct lapse_progress {
    bool visited, registered, advocates;
    int64_t advocate_since;
    struct lapse_spell steps[LAPSE_STAGE_STEPS]; /* when each of these came to be */
};
extern const struct lapse_region lapse_region_stage;
int32_t lapse_stage_of(bool visited, bool registered, bool buys, bool advocates);

/* ---- clock.c: one clock with two bases --------------------------------------------------------------- */

struct lapse_touches {
    bool started;
    int64_t last, run; /* run: the first touch since which no limit has passed */
};
/* A touch no earlier than those before. */
void lapse_touch(struct lapse_touches *touches, const struct lapse_clock *clock, int64_t time);
/* State of the clock at as_of; *since is left alone when it is new. */
int32_t lapse_touches_state(const struct lapse_touches *touches, const struct lapse_clock *clock, int64_t as_of,
                            int64_t *since);
int64_t lapse_touches_deadline(const struct lapse_touches *touches, const struct lapse_clock *clock, int64_t as_of);

struct lapse_engagement {
    struct lapse_touches touches;
    uint8_t run_kind;         /* of the event that began the run */
    bool contacted;
    int64_t last_contact;
};
extern const struct lapse_region lapse_region_engagement;

/* ---- purchase.c: valid orders ------------------------------------------------------------------------ */

struct lapse_purchases {
    bool placed;              /* there is a line of an order */
    bool valid;               /* there is a valid order */
    int64_t valid_until;      /* the last instant before which some order was valid: INT64_MIN never, INT64_MAX is */
    struct lapse_touches touches;
    struct lapse_orders orders;
};
extern const struct lapse_region lapse_region_purchase;

/* ---- consent.c --------------------------------------------------------------------------------------- */

enum lapse_consent_effect {
    LAPSE_EFFECT_IMPORTED, LAPSE_EFFECT_REQUESTED, LAPSE_EFFECT_GRANTED, LAPSE_EFFECT_CONFIRMED, LAPSE_EFFECT_DECLINED,
    LAPSE_EFFECT_WITHDRAWN, LAPSE_EFFECTS
};
/* The base that an effect leads to, by the base before; where tokens are asked for, with an open one. */
extern const uint8_t lapse_consent_next[LAPSE_EFFECTS][LAPSE_CONSENT_WITHDRAWN + 1];

struct lapse_cause { /* when a state began, and what the event then said */
    int64_t since;
    uint8_t kind;             /* of that event; 0: time alone began it */
    struct lapse_text reason, source;
};
struct lapse_cell {
    uint8_t channel, purpose, base, strength;
    bool pending;             /* an open token, base not granted; settled */
    struct lapse_text topic;
    struct lapse_cause cause, asked; /* of the base; of the pending token */
    /* The base before the last change and when it ended: a base that is left and taken up again inside one
     * instant has not been interrupted. */
    uint8_t left;
    int64_t left_at;
    struct lapse_cause left_cause;
    int64_t granted, voided;  /* order of the last grant or confirmation that counted; of what voids tokens; -1: none */
    struct lapse_spell spam; /* reported, and not granted since */
};
struct lapse_token {
    uint32_t cell;
    bool used;
    int64_t order;
    struct lapse_cause cause;
};
struct lapse_consents {
    struct lapse_names cell_names, token_names;
    struct lapse_cell *cells;
    struct lapse_token *tokens;
    size_t cell_capacity, token_capacity;
    int64_t objection;        /* order of the last, -1 */
    bool inquired;
    struct lapse_cause inquiry;
};
extern const struct lapse_region lapse_region_consent;
/* NULL: nothing ever concerned the cell. `topic` of no bytes: the cell without topic. */
const struct lapse_cell *lapse_consents_cell(const struct lapse_consents *c, int32_t channel, int32_t purpose,
                                             struct lapse_text topic);

/* ---- endpoint.c -------------------------------------------------------------------------------------- */

enum { /* facts that hold of an endpoint */
    LAPSE_FACT_REMOVED = 1, LAPSE_FACT_HARD = 2, LAPSE_FACT_BLOCKED = 4, LAPSE_FACT_SOFT = 8,
    LAPSE_FACT_UNHEARD = 16   /* of a channel: no endpoint was ever heard of */
};
enum { LAPSE_SINCE_REMOVED, LAPSE_SINCE_HARD, LAPSE_SINCE_SOFT, LAPSE_SINCE_BLOCKED, LAPSE_ENDPOINT_FACTS };
enum {
    LAPSE_LIST_HELD,          /* not removed */
    LAPSE_LIST_BOUNCED,       /* with a bounce to lift */
    LAPSE_LIST_LIFTED,        /* lifted by themselves once, so that the block of the channel is not theirs */
    LAPSE_ENDPOINT_LISTS
};
struct lapse_endpoint {
    uint8_t channel;
    bool known;               /* rulings S31 */
    bool reached;             /* in_app: by a session */
    struct lapse_text hash;   /* 32 bytes, or none */
    /* Orders of events, -1 where there was none: what came later holds. */
    int64_t held, removed, hard, lifted, added;
    int64_t soft_order, soft_count, soft_first; /* the run of soft bounces: its first event, how many, its time */
    /* When facts began or ended. What concerns a whole channel is noted of the endpoints whose facts it changes, which
     * lie in lists: each of these steps takes an endpoint off, or is one event of the endpoint itself. */
    struct lapse_spell since[LAPSE_ENDPOINT_FACTS], shown;
    uint32_t next[LAPSE_ENDPOINT_LISTS]; /* number + 1 of the next of a list, 0: none */
    uint8_t listed;           /* set of 1 << list */
};
enum { LAPSE_HELD_MAX = 64 }; /* an event that names no endpoint concerns so many of those added last */
struct lapse_reach {          /* of one channel */
    bool messages;            /* there were messages */
    int64_t removed, blocked, lifted, spam; /* orders of what concerned the whole channel, -1 */
    uint32_t held_count;
    uint32_t held[LAPSE_HELD_MAX];
    uint8_t facts;            /* of the endpoint that decides (rulings C14); settled */
    uint32_t lists[LAPSE_ENDPOINT_LISTS]; /* number + 1 of the first */
    /* Removed: of an endpoint never held. Shown: the record without address, for it is known, or there are messages and
     * no endpoint is. */
    struct lapse_spell blocked_since, removed_since, shown;
    bool known, nameless;     /* some endpoint is; the one without address */
};
struct lapse_endpoints {
    struct lapse_names names;
    struct lapse_endpoint *items;
    size_t capacity;
    struct lapse_reach reach[LAPSE_CHANNELS];
    uint32_t touched;         /* channels whose reach is not that of a customer without events */
};
extern const struct lapse_region lapse_region_endpoint;
unsigned lapse_endpoint_facts(const struct lapse_endpoints *e, const struct lapse_endpoint *item);
/* The record of events that name no endpoint where none is held; NULL: there is none. */
const struct lapse_endpoint *lapse_endpoint_nameless(const struct lapse_endpoints *e, int32_t channel);

/* ---- account.c: account, and rights, which lib/view decides ------------------------------------------ */

struct lapse_account {
    bool closed, erased;
    struct lapse_spell now; /* LAPSE_ACCOUNT_, but 0 for one that was open from the beginning */
};
extern const struct lapse_region lapse_region_account;
struct lapse_rights {
    bool used;
    int32_t state;            /* LAPSE_RIGHTS_; settled */
};
extern const struct lapse_region lapse_region_rights;

/* ---- regions.c: a customer's history folded into the regions asked for ------------------------------- */

/* Scratch of one thread, for one customer after the other. */
struct lapse_person {
    const struct lapse_rules *rules;
    const struct lapse_history *history; /* NULL: nothing is known of the customer */
    bool forgotten;                      /* and no event since */
    const struct lapse_crossing *crossing; /* what others said by a shared address; NULL: nothing. Set after _begin() */
    struct lapse_crossed crossed;
    uint32_t regions;                    /* set of 1 << LAPSE_REGION_ */
    uint32_t wants[256];                 /* by kind: the regions that read it */
    struct lapse_progress stage;
    struct lapse_engagement engagement;
    struct lapse_purchases purchases;
    struct lapse_consents consents;
    struct lapse_endpoints endpoints;
    struct lapse_account account;
    struct lapse_rights rights;
};
uint32_t lapse_person_fields(uint32_t regions); /* the columns that these regions read */
/* Regions that read what crosses from other customers who hold an address. */
enum { LAPSE_CROSSED_REGIONS = 1 << LAPSE_REGION_CONSENT | 1 << LAPSE_REGION_ENDPOINT };
void lapse_person_begin(struct lapse_person *p, const struct lapse_rules *rules, uint32_t regions);
lapse_status lapse_person_fold(struct lapse_person *p, const struct lapse_history *history, lapse_error *error);
void lapse_person_end(struct lapse_person *p);

/* ---- whole.c: what is put together from several regions ---------------------------------------------- */

int32_t lapse_person_stage(const struct lapse_person *p, int32_t *highest);
int32_t lapse_person_account(const struct lapse_person *p);
int64_t lapse_person_deadline(const struct lapse_person *p); /* LAPSE_NEVER: none */
/* The state of a cell as it is printed and asked; `cell` may be NULL (rulings C2). *cause is set but for none.
 */
int32_t lapse_person_consent(const struct lapse_person *p, int32_t channel, int32_t purpose, struct lapse_text topic,
                             const struct lapse_cell *cell, struct lapse_cause *cause);
int64_t lapse_person_implied_end(const struct lapse_person *p); /* of implied consent in some cell; LAPSE_NEVER */
bool lapse_person_spam(const struct lapse_person *p, int32_t channel); /* reported, and not granted since */

/* ---- gate.c ------------------------------------------------------------------------------------------ */

struct lapse_question {
    int32_t channel, purpose;
    struct lapse_text topic; /* no bytes: not asked */
};
/* The regions that a question of this purpose needs. */
uint32_t lapse_gate_regions(const struct lapse_rules *rules, int32_t purpose);
void lapse_gate_ask(const struct lapse_person *p, const struct lapse_question *question, lapse_decision *out);
/* The reasons of a set, the first or the next after `reason`, in the order of the gate; LAPSE_REASON_NONE: no
 * more. */
int32_t lapse_gate_reason(uint64_t reasons, int32_t reason);
bool lapse_gate_sends(int32_t purpose); /* is it about sending to an endpoint? */

/* ---- stream.c: customers in slices, slices into tables, tables in order ------------------------------ */

/* What one answer is. */
struct lapse_sheet;
struct lapse_answer {
    const struct lapse_column_spec *columns;
    int32_t count;
    uint32_t regions;
    uint32_t fields;                /* columns that it needs beside those of the regions */
    bool of_nobody;                 /* a customer without events, if asked for by name, has rows too */
    int32_t channel, purpose;       /* of a permit */
    /* The rows of one customer. */
    void (*put)(struct lapse_sheet *sheet, const struct lapse_answer *answer, struct lapse_text customer);
    char topic[256];
};
/* Rows of one slice of the customers, as one thread makes them. */
struct lapse_sheet {
    struct lapse_person person;
    struct lapse_stream *stream;
    struct lapse_builder *builder;  /* NULL: no row since the last table */
    int64_t rows;                   /* in it */
    lapse_table **tables;           /* full ones */
    size_t count, capacity;
    uint32_t *order;                /* scratch: to sort the rows of one customer */
    size_t order_capacity;
    int64_t slice, events;          /* which, and how many events of it have been gone through */
    struct lapse_cursor *cursor;    /* in the middle of the slice; NULL: it has not been begun, or has ended */
    bool ended;
    lapse_status status;
    lapse_error error;
};
/* The builder to put the next row into; after a failure, which sticks, one that takes nothing (NULL). */
struct lapse_builder *lapse_sheet_row(struct lapse_sheet *sheet);
void lapse_sheet_fail(struct lapse_sheet *sheet); /* no memory */
struct lapse_stream;
/* `rules` are of this view; all but `view` is copied. `customer` NULL: all. */
lapse_status lapse_stream_new(lapse_view *view, const struct lapse_rules *rules, const struct lapse_answer *answer,
                              const lapse_state_options *options, lapse_result **out, lapse_error *error);
/* An id as its bytes, and the least text above it; LAPSE_INVALID unless it has 1 to 255 bytes. */
struct lapse_one {
    char bytes[257];
    struct lapse_text from, to;
};
lapse_status lapse_one_read(struct lapse_one *one, const char *customer, lapse_error *error);

#endif
