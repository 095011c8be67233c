/* Private header of lib/view: each customer's events in time order, and the one loop over customers. */
#ifndef LAPSE_LIB_VIEW_H
#define LAPSE_LIB_VIEW_H

#include <lapse/view.h>

#include "base/base.h"
#include "event/event.h"
#include "policy/policy.h"
#include "store/store.h"
#include "table/table.h"

/* ---- view.c ------------------------------------------------------------------------------------------- */

const lapse_allocator *lapse_view_memory(const lapse_view *view);
const struct lapse_zone *lapse_view_zone(const lapse_view *view);
int lapse_view_digits(const lapse_view *view);
int64_t lapse_view_first_time(const lapse_view *view); /* no event is earlier; INT64_MAX: there is none */
uint64_t lapse_view_seed(const lapse_view *view); /* of hash tables: unknown to who writes event files */
void lapse_view_retain(lapse_view *view); /* given back with lapse_view_close() */
/* LAPSE_INVALID for NULL, LAPSE_FORKED after fork, LAPSE_STALE when somebody was forgotten since. */
lapse_status lapse_view_check(const lapse_view *view, lapse_error *error);
lapse_status lapse_view_stale(lapse_error *error); /* says so */
/* A span ends at the view's instant: LAPSE_BAD_INPUT when `from` is later. */
lapse_status lapse_view_check_span(const lapse_view *view, int64_t from, lapse_error *error);
/* Is there a tombstone of the customer, who may have events again? */
lapse_status lapse_view_forgotten(lapse_view *view, struct lapse_text customer, bool *out, lapse_error *error);

/* ---- cursor.c: customers in id order, each with its visible events in canonical order ------------------- */

/* Events at or before the view's instant, retracted ones taken out. Arrays of numbers and names exist for all
 * fields asked for; texts are read with lapse_history_text(). All live until the next step of the cursor. */
struct lapse_history {
    struct lapse_text customer;
    int64_t count;                                /* at least 1, but with LAPSE_UNSEEN */
    int64_t next;                                 /* time of the first event after the instant; INT64_MAX: there is none */
    int32_t instant;                              /* which of the cursor's instants sees these events */
    bool first;                                   /* the first one of this customer */
    uint64_t kinds[2];                            /* bit k: an event of kind k is among them; if kinds are asked for */
    const int64_t *number[LAPSE_FIELDS];          /* CLASS_NUMBER */
    const uint8_t *name[LAPSE_FIELDS];            /* CLASS_NAME */
    struct lapse_text_column text[LAPSE_FIELDS];  /* CLASS_TEXT */
};
static inline struct lapse_text lapse_history_text(const struct lapse_history *h, enum lapse_field f, int64_t i)
{
    const struct lapse_text_column *t = &h->text[f];
    if (!t->begin || !t->data)
        return (struct lapse_text){ "", 0 };
    size_t slot = t->code ? t->code[i] : (size_t)i;
    return (struct lapse_text){ t->data + t->begin[slot], t->length[slot] };
}

_Static_assert(LAPSE_KINDS <= 128, "a set of kinds has 128 bits");
static inline bool lapse_history_has(const struct lapse_history *h, int kind)
{
    return h->kinds[kind >> 6] >> (kind & 63) & 1;
}
/* The fields in `fields` of a history, as columns. */
void lapse_history_columns(const struct lapse_history *h, uint32_t fields, struct lapse_columns *out);
void lapse_history_note_kinds(struct lapse_history *h, const uint8_t *kind, size_t n); /* of all events */

#define LAPSE_RETRACTED (UINT32_C(1) << 31) /* among the fields asked for: retracted events are shown too */
#define LAPSE_UNSEEN (UINT32_C(1) << 30) /* likewise: customers come too of whom the instant sees nothing yet */
struct lapse_cursor;
/* Customers with from <= id < to; NULL is open. `fields` is a set of LAPSE_FIELD_BIT; time is always there. The
 * cursor keeps what it needs of the view alive. One thread at a time; any number of cursors at once. */
lapse_status lapse_cursor_open(lapse_view *view, uint32_t fields, const struct lapse_text *from,
                               const struct lapse_text *to, struct lapse_cursor **out, lapse_error *error);
/* Instead of the view's own instant: each customer as a view at each of these sees it, which ascend and are at or before
 * the view's. An instant that sees no more events than the one before is left out, unless `always`, which takes all that
 * see an event. Borrowed. Before the first step. */
void lapse_cursor_instants(struct lapse_cursor *cursor, const int64_t *instants, int32_t count, bool always);
lapse_status lapse_cursor_next(struct lapse_cursor *cursor, const struct lapse_history **out, lapse_error *error);
/* The history of one customer, *out NULL where there is none. Customers ascend from call to call. This alone, or the above. */
lapse_status lapse_cursor_find(struct lapse_cursor *cursor, struct lapse_text customer, const struct lapse_history **out,
                               lapse_error *error);
int64_t lapse_cursor_events(const struct lapse_cursor *cursor); /* gone through so far, for progress */
void lapse_cursor_close(struct lapse_cursor *cursor);

/* ---- fold.c: the loop that every answer about all customers goes through ---------------------------------- */

enum { LAPSE_FOLD_PARTS = 64 };
struct lapse_fold {
    uint32_t fields;
    int32_t threads;
    const int64_t *instants; /* as of lapse_cursor_instants(); NULL: the view's */
    int32_t instant_count;
    bool always;
    /* Called for each customer (and instant): parts in any order and on any thread, one thread a part; within a part in id
     * order; every id of a part is below every id of the next. Not LAPSE_OK ends the fold with that status. */
    lapse_status (*customer)(void *user, int32_t part, const struct lapse_history *history, lapse_error *error);
    void (*part_ended)(void *user, int32_t part); /* NULL: nobody wants to know. Also of a part that failed */
    void *user;
    lapse_progress_fn on_progress;  /* on the caller's thread */
    void *progress_user;
};
int64_t lapse_view_rows(const lapse_view *view); /* events in all its runs, those it does not see too */
/* Customers of the run that has most of them: at least so many are in the view's runs, and most often few more. */
int64_t lapse_view_customers(const lapse_view *view);
int32_t lapse_fold_parts(int32_t threads); /* or fewer, of a store with few blocks */
/* Ascending keys that cut the customers into `parts` or fewer slices of about equally many events: slice i begins with
 * keys[i], the first and the last are open; keys[0] is no key. *keys has *count entries, at least 1, and is the caller's to
 * free; what they point to lives as long as the view. */
lapse_status lapse_view_cut(lapse_view *view, int64_t parts, struct lapse_text **keys, int64_t *count, lapse_error *error);
/* Of several failing parts the error of the first is given. */
lapse_status lapse_view_fold(lapse_view *view, const struct lapse_fold *fold, lapse_error *error);

/* ---- order.c: the valid orders of one customer (rulings 3) -------------------------------------------------- */

struct lapse_order {
    int64_t time;  /* of its earliest line */
    int64_t net;   /* minor units; 0 when no line has an amount */
};
/* Scratch of one thread; zero it, set mem, free with lapse_orders_free(). */
struct lapse_orders {
    const lapse_allocator *mem;
    struct lapse_order *items;      /* valid orders in the window, ascending by time */
    size_t count, capacity;
    lapse_int128 unknown_refunds;   /* sum of the refunds in the window whose order is unknown */
    struct lapse_order_group *groups; /* orders that have a ref, valid or not */
    uint64_t seen;                  /* a bit of 64 for the end of each ref: one that is not set is new */
    size_t group_count, group_capacity;
    uint32_t *slots;                /* of a hash table of refs, for one customer at a time */
    size_t slot_capacity;
    uint64_t seed;                  /* of that table; drawn with its first slots */
};
#define LAPSE_ORDER_FIELDS (LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) | \
                            LAPSE_FIELD_BIT(LAPSE_F_AMOUNT) | LAPSE_FIELD_BIT(LAPSE_F_REF))
/* Nets a history. Only orders later than `after` are in the window (INT64_MIN: all). LAPSE_OVERFLOW names the
 * customer when the gross or the net of an order leaves int64_t. */
lapse_status lapse_orders_net(struct lapse_orders *orders, const struct lapse_history *history, int64_t after,
                              bool zero_is_valid, lapse_error *error);
/* What most answers ask of them. `net` is less the unknown refunds, so that an answer need not look for these. */
struct lapse_order_sum {
    int64_t count, last; /* last: time of the last order, when there is one */
    lapse_int128 net;
};
/* Nets a history and adds up. Without `with_items` the items need not be set: where no order has a ref and none is
 * taken back, every line is an order and the lines are added up as they come. */
lapse_status lapse_orders_sum(struct lapse_orders *orders, const struct lapse_history *history, int64_t after,
                              bool zero_is_valid, bool with_items, struct lapse_order_sum *out, lapse_error *error);
/* After lapse_orders_net() of the same history: does a valid order begin with this line, an order.placed? */
bool lapse_orders_begins(const struct lapse_orders *orders, const struct lapse_history *history, int64_t row,
                         bool zero_is_valid);
/* After lapse_orders_net() of the same history, all in the window: the last instant before which some order was valid, each
 * instant seen after all its events. INT64_MAX: one is; INT64_MIN: none ever was. */
int64_t lapse_orders_valid_until(struct lapse_orders *orders, const struct lapse_history *history, bool zero_is_valid);
void lapse_orders_free(struct lapse_orders *orders);
/* M11, M12, M13. An order none of whose lines has an amount (`known`) stands until its net is negative. */
static inline bool lapse_order_valid(bool known, lapse_int128 gross, lapse_int128 net, bool zero_is_valid)
{
    return known ? net > 0 || (zero_is_valid && gross == 0 && net == 0) : net >= 0;
}

/* ---- clock.c: what time alone makes of a customer since the last purchase or activity ----------------------- */

enum lapse_basis { LAPSE_BASIS_PURCHASE, LAPSE_BASIS_ACTIVITY }; /* settings purchase.* and engagement.* */
enum { LAPSE_CLOCK_STATES = LAPSE_CLOCK_LOST + 1 };
/* Made once, then only read, from any thread. Zone and policy are borrowed. */
struct lapse_clock {
    const struct lapse_zone *zone;
    struct lapse_setting_value limit[LAPSE_CLOCK_STATES];             /* of the three states that time brings */
    uint64_t least[LAPSE_CLOCK_STATES], most[LAPSE_CLOCK_STATES];     /* microseconds to a deadline, at any start */
};
void lapse_clock_init(struct lapse_clock *clock, const struct lapse_zone *zone, const lapse_policy *policy,
                      enum lapse_basis basis);
/* The first instant at which the clock, last moved at `last`, has come to `state` or a later one. `last` itself for
 * ACTIVE. Never descends from a state to the next. */
int64_t lapse_clock_deadline(const struct lapse_clock *clock, int32_t state, int64_t last);
bool lapse_clock_near(const struct lapse_clock *clock, int32_t state, int64_t last, int64_t time);
/* Is the clock at `state` (AT_RISK, INACTIVE or LOST) or a later one at `time`? The quick form of
 * time >= lapse_clock_deadline(). False when `last` is LAPSE_MISSING. */
static inline bool lapse_clock_passed(const struct lapse_clock *clock, int32_t state, int64_t last, int64_t time)
{
    return last != LAPSE_MISSING && time >= last && (uint64_t)time - (uint64_t)last >= clock->least[state] &&
           lapse_clock_near(clock, state, last, time);
}
/* The state at `as_of`, `last` being the last event at or before it; NEW when that is LAPSE_MISSING. */
int32_t lapse_clock_state(const struct lapse_clock *clock, int64_t last, int64_t as_of);

/* Which events are activity: kinds by rulings 9, opens when activity.opens says so, no clicks of bots (F4). */
struct lapse_activity {
    bool moves[256]; /* by kind */
};
#define LAPSE_ACTIVITY_FIELDS (LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) | \
                               LAPSE_FIELD_BIT(LAPSE_F_REASON))
void lapse_activity_init(struct lapse_activity *activity, const lapse_policy *policy);
bool lapse_activity_is(const struct lapse_activity *activity, const struct lapse_history *history, int64_t i);

/* ---- track.c: the last purchase or activity of one customer, as every instant sees it ----------------------- */

/* From `since` on (until the next step) the last one is at `last`; LAPSE_MISSING: there is none any more. */
struct lapse_step {
    int64_t since, last;
};
/* Scratch of one thread; zero it, set mem, free with lapse_track_free(). */
struct lapse_track {
    const lapse_allocator *mem;
    struct lapse_step *steps; /* `since` ascends strictly; before the first there is nothing; neighbours differ */
    size_t count, capacity;
    struct lapse_track_row *rows;     /* the rest is for customers whose rows bear on each other */
    struct lapse_track_group *groups;
    struct lapse_track_mark *marks;
    uint32_t *order;
    size_t row_capacity, group_capacity, mark_capacity, order_capacity;
    size_t mark_count;
};
/* What a cursor must read for lapse_track_read(): also retracted events, where there can be any. */
uint32_t lapse_track_fields(const lapse_view *view, enum lapse_basis basis);
/* The steps of a history, as a view at each instant would see it: lines, refunds, cancellations and retractions count
 * from their own instant on, whatever they are dated against (M8). `activity` NULL: valid orders, by the time of
 * their earliest line. */
lapse_status lapse_track_read(struct lapse_track *track, const struct lapse_history *history,
                              const struct lapse_activity *activity, bool zero_is_valid, lapse_error *error);
void lapse_track_free(struct lapse_track *track);

/* ---- address.c: which addresses a customer holds, and what they carry ------------------------------------------- */

enum { LAPSE_HELD_ADDRESSES = 64 }; /* of one channel at once; of more, those added last */
/* The address was held on the channel from row `from` on, which added it, until row `to`, which took it away. */
struct lapse_hold {
    struct lapse_text address;
    int64_t from, to;              /* to: INT64_MAX while it is held */
    uint8_t channel;
};
/* The event of row `row` speaks for whoever holds the address on the channel; 0: on any. */
struct lapse_carried {
    struct lapse_text address;
    int64_t row;
    uint8_t channel;
};
/* Scratch of one thread; zero it, set mem, free with lapse_addresses_free(). */
struct lapse_addresses {
    const lapse_allocator *mem;
    struct lapse_hold *holds;
    struct lapse_carried *carried;
    size_t hold_count, hold_capacity, carried_count, carried_capacity;
    uint32_t open[LAPSE_CHANNEL_ADS + 1][LAPSE_HELD_ADDRESSES];
    uint32_t open_count[LAPSE_CHANNEL_ADS + 1];
};
#define LAPSE_ADDRESS_FIELDS (LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) | \
                              LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) | LAPSE_FIELD_BIT(LAPSE_F_TOPIC) | \
                              LAPSE_FIELD_BIT(LAPSE_F_REASON) | LAPSE_FIELD_BIT(LAPSE_F_ENDPOINT))
/* Whom a history's addresses concern: `forgotten` asks what a ledger keeps. Texts are borrowed. False: no memory. */
enum lapse_carrier { LAPSE_CARRIES_NOTHING, LAPSE_CARRIES_TO_HOLDERS, LAPSE_CARRIES_TO_LEDGER };
bool lapse_addresses_read(struct lapse_addresses *a, const struct lapse_history *h, enum lapse_carrier carrier);
void lapse_addresses_free(struct lapse_addresses *a);

/* ---- crossing.c: what other customers who hold an address said by it --------------------------------------------- */

/* Made once, then only read, from any thread. Borrows the view. */
struct lapse_crossing;
/* Of all addresses that several customers name, or that a ledger knows; or of those of one history. NULL: nothing crosses,
 * which is most often so. Cost: of all, a pass over the index, and over the histories of those who share; of one, a
 * look-up for each address. */
lapse_status lapse_crossing_of_all(lapse_view *view, struct lapse_crossing **out, lapse_error *error);
lapse_status lapse_crossing_of_one(lapse_view *view, const struct lapse_history *h, struct lapse_crossing **out,
                                   lapse_error *error);
void lapse_crossing_free(struct lapse_crossing *crossing);
/* Scratch of one thread, as above. */
struct lapse_crossed {
    const lapse_allocator *mem;
    struct lapse_addresses addresses;
    struct lapse_crossed_row *items;
    uint32_t *order;
    size_t capacity, order_capacity;
    struct lapse_rows rows;
    struct lapse_buffer missing;
    struct lapse_history history;
    struct lapse_columns columns;
};
/* The events of others that a customer's history is to be read with, in canonical order; *out is NULL when there are none.
 * The history has all fields. */
lapse_status lapse_crossing_for(const struct lapse_crossing *crossing, struct lapse_crossed *scratch,
                                const struct lapse_history *h, const struct lapse_history **out, lapse_error *error);
/* Canonical order of row i of a history and row j of what crossed into it. */
int lapse_crossed_compare(const struct lapse_crossing *crossing, const struct lapse_crossed *scratch,
                          const struct lapse_history *h, int64_t i, int64_t j);
void lapse_crossed_free(struct lapse_crossed *scratch);

/* ---- rights.c: may a customer be scored? --------------------------------------------------------------------- */

#define LAPSE_RIGHTS_FIELDS (LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) | \
                             LAPSE_FIELD_BIT(LAPSE_F_PURPOSE) | LAPSE_FIELD_BIT(LAPSE_F_TOPIC) | \
                             LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_REASON))
/* The rights (LAPSE_RIGHTS_) at the instant of a history whose last event is at or before it. `token` is consent.token. */
lapse_status lapse_rights_at(const struct lapse_history *history, const struct lapse_zone *zone,
                             struct lapse_setting_value token, const lapse_allocator *mem, int32_t *out,
                             lapse_error *error);
/* The row of the event that began them; -1: they were none from the beginning. */
lapse_status lapse_rights_since(const struct lapse_history *history, const struct lapse_zone *zone,
                                struct lapse_setting_value token, const lapse_allocator *mem, int64_t *row,
                                lapse_error *error);

#endif
