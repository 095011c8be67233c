/* What was told to the host, and what is still to be confirmed, as rows of runs; shared by files of
 * lib/store, those that merge, check and erase such runs among them, and lib/state.
 *
 * Families, beside events (family.c): customers that commits have TOUCHED since the last call; of each customer what was
 * TOLD last; the DEADLINES at which time alone changes it, which are derived from that; the CHANGES of a call under way;
 * the OUTBOX of records; and one row for the last of the CALLS. All change in one transaction, or not at all. */
#ifndef LAPSE_LIB_STORE_TELLING_H
#define LAPSE_LIB_STORE_TELLING_H

#include "store/store.h"

/* Which columns hold what, where it is not what they hold of events. */
enum {
    LAPSE_T_REGION = LAPSE_F_QUANTITY, /* 0 in TOLD: the head of a version, which has WAKE and DEADLINE */
    LAPSE_T_STATE = LAPSE_F_AMOUNT,    /* TOLD */
    LAPSE_T_WAKE = LAPSE_F_AMOUNT,     /* the entry in DEADLINES that is valid, at or before the deadline */
    LAPSE_T_DEADLINE = LAPSE_F_PRICE,
    LAPSE_T_FROM = LAPSE_F_AMOUNT,     /* CHANGES, OUTBOX */
    LAPSE_T_TO = LAPSE_F_PRICE,
    LAPSE_T_CAUSE = LAPSE_F_VALUE,     /* twice the kind of an event, or one of these, + 1 when corrected */
    LAPSE_T_REST = LAPSE_F_SOURCE      /* what of the customer's id did not fit into a numbered key */
};
enum { LAPSE_CAUSE_TIMER = 0, LAPSE_CAUSE_POLICY = 255 };

/* ---- telling.c: keys and rows ------------------------------------------------------------------------------- */

/* The time of a row of TOLD: the version, which is the number of the call, and the row's place in it. */
enum { LAPSE_VERSION_SHIFT = 24 };

/* A numbered key: a number in eight bytes that sort like it, then the customer's id as far as it fits. */
enum { LAPSE_NUMBER_SIZE = 8 };
struct lapse_numbered {
    char bytes[LAPSE_TEXT_MAX];
    struct lapse_text key, rest;
};
void lapse_numbered_set(struct lapse_numbered *out, int64_t number, struct lapse_text customer);
int64_t lapse_number_of(struct lapse_text key);
/* The customer of row i, put together in `out`, which has LAPSE_TEXT_MAX bytes. */
struct lapse_text lapse_numbered_customer(struct lapse_text key, const struct lapse_columns *c, size_t i, char *out);

/* The key of a region of a customer, as all of these rows hold it; unused parts are 0 and empty. */
struct lapse_told_key {
    int32_t region;
    uint8_t channel, purpose;
    struct lapse_text topic, endpoint, ref;
};
/* One row to be put somewhere, as columns. Zero it, set values, use `columns`. */
struct lapse_cells {
    struct lapse_columns columns;
    int64_t number[LAPSE_COLUMNS];
    uint8_t name[LAPSE_COLUMNS], length[LAPSE_COLUMNS];
    uint32_t begin;
};
void lapse_cells_number(struct lapse_cells *cells, int field, int64_t value);
void lapse_cells_text(struct lapse_cells *cells, int field, struct lapse_text text);
void lapse_cells_key(struct lapse_cells *cells, const struct lapse_told_key *key);
void lapse_told_key_read(const struct lapse_columns *c, size_t i, struct lapse_told_key *out);

/* ---- sorter.c: rows in any order become a run of a family, in bounded memory ---------------------------------- */

struct lapse_sorter {
    struct lapse_store *store;
    int family;
    size_t most_rows, most_runs;  /* collected, beside each other: set by _init */
    struct lapse_rows rows;
    struct lapse_run **runs;      /* sorted, not published */
    size_t count, capacity;
};
void lapse_sorter_init(struct lapse_sorter *sorter, struct lapse_store *store, int family);
void lapse_sorter_free(struct lapse_sorter *sorter);
lapse_status lapse_sorter_put(struct lapse_sorter *sorter, struct lapse_text key, struct lapse_cells *cells,
                              lapse_error *error);
/* All rows as one run, the caller's; NULL: there are none. */
lapse_status lapse_sorter_finish(struct lapse_sorter *sorter, struct lapse_run **out, lapse_error *error);

/* ---- touched.c ------------------------------------------------------------------------------------------------- */

/* The customers whose states the events of a commit may change, as a run of TOUCHED; NULL: nothing was ever told, and a
 * first call looks at everybody. Those who share an address with them are found when advance looks at them. */
lapse_status lapse_touched_of(struct lapse_store *store, const struct lapse_manifest *manifest,
                              struct lapse_run *const *events, size_t count, struct lapse_run **out, lapse_error *error);

/* Whoever names one of these addresses (keys of the index, ascending), but those `without`, likewise. */
lapse_status lapse_touched_sharers(struct lapse_store *store, const struct lapse_manifest *m, const struct lapse_text *addresses,
                                   size_t address_count, const struct lapse_text *without, size_t count,
                                   struct lapse_run **out, lapse_error *error);
lapse_status lapse_touched_put(struct lapse_sorter *sorter, struct lapse_text customer, lapse_error *error); /* a row of it */

/* ---- telling.c: a call, which is one transaction ------------------------------------------------------------------ */

/* The last call of advance. */
struct lapse_call {
    int64_t number, as_of;
    int64_t seq, confirmed;       /* of the next record, and the last that the host has confirmed */
    bool waits;                   /* DEADLINES has entries; if there are no runs of it they were thrown away */
    uint8_t policy[32];           /* digest of what is not default */
    char regions[LAPSE_TEXT_MAX + 1]; /* names of those that it knew, a blank between */
};
struct lapse_telling {
    struct lapse_store *store;
    struct lapse_manifest *manifest;
    struct lapse_run **runs;      /* scratch: room for all of the manifest, and two more */
    bool before;                  /* there was a call */
    struct lapse_call call;
};
/* The last call of a manifest; *before is false when there was none. LAPSE_DAMAGED. */
lapse_status lapse_call_read(struct lapse_store *store, const struct lapse_manifest *manifest, struct lapse_call *out,
                             bool *before, lapse_error *error);
/* Takes the writer's lock and begins a transaction. After a failure nothing is held. */
lapse_status lapse_telling_begin(struct lapse_telling *telling, struct lapse_store *store, lapse_error *error);
/* Publishes telling->call with `added` and without `removed`, and ends the telling in any case. */
lapse_status lapse_telling_end(struct lapse_telling *telling, struct lapse_run *const *added, size_t added_count,
                               struct lapse_run *const *removed, size_t removed_count, lapse_error *error);
void lapse_telling_abort(struct lapse_telling *telling); /* nothing has changed */

#endif
