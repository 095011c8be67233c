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
uint64_t lapse_view_seed(const lapse_view *view); /* of hash tables: unknown to who writes event files */
void lapse_view_retain(lapse_view *view); /* given back with lapse_view_close() */
/* LAPSE_INVALID for NULL, LAPSE_FORKED after fork. */
lapse_status lapse_view_check(const lapse_view *view, lapse_error *error);

/* ---- cursor.c: customers in id order, each with its visible events in canonical order ------------------- */

/* Events at or before the view's instant, retracted ones taken out. Arrays of numbers and names exist for all
 * fields asked for; texts are read with lapse_history_text(). All live until the next step of the cursor. */
struct lapse_history {
    struct lapse_text customer;
    int64_t count;                                /* at least 1 */
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

#define LAPSE_RETRACTED (UINT32_C(1) << 31) /* among the fields asked for: retracted events are shown too */
struct lapse_cursor;
/* Customers with from <= id < to; NULL is open. `fields` is a set of LAPSE_FIELD_BIT; time is always there. The
 * cursor keeps what it needs of the view alive. One thread at a time; any number of cursors at once. */
lapse_status lapse_cursor_open(lapse_view *view, uint32_t fields, const struct lapse_text *from,
                               const struct lapse_text *to, struct lapse_cursor **out, lapse_error *error);
lapse_status lapse_cursor_next(struct lapse_cursor *cursor, const struct lapse_history **out, lapse_error *error);
int64_t lapse_cursor_events(const struct lapse_cursor *cursor); /* gone through so far, for progress */
void lapse_cursor_close(struct lapse_cursor *cursor);

/* ---- fold.c: the loop that every answer about all customers goes through ---------------------------------- */

enum { LAPSE_FOLD_PARTS = 64 };
struct lapse_fold {
    uint32_t fields;
    int32_t threads;
    /* Called for each customer: parts in any order and on any thread, one thread a part; within a part in id
     * order; every id of a part is below every id of the next. Not LAPSE_OK ends the fold with that status. */
    lapse_status (*customer)(void *user, int32_t part, const struct lapse_history *history, lapse_error *error);
    void *user;
    lapse_progress_fn on_progress;  /* on the caller's thread */
    void *progress_user;
};
int64_t lapse_view_rows(const lapse_view *view); /* events in all its runs, those it does not see too */
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
/* After lapse_orders_net() of the same history, all in the window: the last instant before which some order was valid, each
 * instant seen after all its events. INT64_MAX: one is; INT64_MIN: none ever was. */
int64_t lapse_orders_valid_until(struct lapse_orders *orders, const struct lapse_history *history, bool zero_is_valid);
void lapse_orders_free(struct lapse_orders *orders);

/* ---- rights.c: may a customer be scored? --------------------------------------------------------------------- */

#define LAPSE_RIGHTS_FIELDS (LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) | \
                             LAPSE_FIELD_BIT(LAPSE_F_PURPOSE) | LAPSE_FIELD_BIT(LAPSE_F_TOPIC) | \
                             LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_REASON))
/* The rights (LAPSE_RIGHTS_) at the instant of a history whose last event is at or before it. `token` is consent.token. */
lapse_status lapse_rights_at(const struct lapse_history *history, const struct lapse_zone *zone,
                             struct lapse_setting_value token, const lapse_allocator *mem, int32_t *out,
                             lapse_error *error);

#endif
