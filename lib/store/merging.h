/* A merge of runs under way; shared by merging.c, which says what is merged and when, and merge_runs.c, which does it. */
#ifndef LAPSE_LIB_STORE_MERGING_H
#define LAPSE_LIB_STORE_MERGING_H

#include "store/store.h"

struct lapse_merging_range;
struct lapse_merging {
    struct lapse_store *store;
    struct lapse_run **runs;    /* retained */
    size_t count;
    int64_t rows, version;      /* version: of the manifest when it began */
    struct lapse_merging_range *ranges; /* of keys, one behind the other */
    size_t range_count;
};

/* Of n >= 1 runs of one family, for the threads of `crew`. */
lapse_status lapse_merging_begin(struct lapse_store *store, struct lapse_run *const *runs, size_t n, struct lapse_crew *crew,
                                 struct lapse_merging **out, lapse_error *error);
/* Merges `rows` rows or a few more; *merged says how many. In a transaction. LAPSE_DONE: there are no more. */
lapse_status lapse_merging_go_on(struct lapse_merging *g, struct lapse_crew *crew, int64_t rows, int64_t *merged, lapse_error *error);
/* The run, when there are no more. In a transaction. */
lapse_status lapse_merging_finish(struct lapse_merging *g, struct lapse_run **out, lapse_error *error);
/* Deletes what it has put into the file and nobody has taken, as far as possible. In a transaction. */
void lapse_merging_drop(struct lapse_merging *g);
void lapse_merging_end(struct lapse_merging *g); /* frees it; NULL is fine */

#endif
