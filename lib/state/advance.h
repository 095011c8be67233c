/* Shared by advance.c and look.c only: a call of lapse_store_advance(). */
#ifndef LAPSE_LIB_STATE_ADVANCE_H
#define LAPSE_LIB_STATE_ADVANCE_H

#include "state/outbox.h"

struct lapse_advance {
    struct lapse_store *store;
    lapse_advance_options options;
    struct lapse_telling telling;
    lapse_view *view;
    struct lapse_rules rules;
    struct lapse_person person;
    struct lapse_presents presents;
    int64_t as_of, last_as_of;     /* last: INT64_MIN when there was no call */
    bool full, adopts, rewrites;   /* all customers; another policy; all entries of deadlines are made anew */
    uint32_t fresh;                /* regions that the last call did not know */
    struct lapse_cursor *cursor;
    struct lapse_merge *told;
    struct lapse_rows version;     /* of the customer under way */
    struct lapse_run_writer writer; /* of TOLD */
    bool shares;                   /* there are addresses */
    struct lapse_crossing *crossing; /* what crosses, when all are looked at */
    struct lapse_sorter changes, deadlines, due, sharers;
    struct lapse_run *added[3], *scratch[3];
    size_t added_count, scratch_count;
    int64_t looked_at, changed;    /* customers, and changes found so far */
};

/* look.c: one customer. `history` NULL: there are no events of hers (any more); `group` is of TOLD, NULL: nothing was told. */
lapse_status lapse_advance_look_at(struct lapse_advance *a, struct lapse_text customer, const struct lapse_history *history,
                                   const struct lapse_group *group, lapse_error *error);
lapse_status lapse_advance_put_deadline(struct lapse_advance *a, struct lapse_text customer, int64_t time, lapse_error *error);

#endif
