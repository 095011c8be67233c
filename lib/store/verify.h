/* Shared by verify.c, verify_run.c and salvage.c only. */
#ifndef LAPSE_LIB_STORE_VERIFY_H
#define LAPSE_LIB_STORE_VERIFY_H

#include "store/upkeep.h"

/* The identities of events with an id whose fingerprints begin with one byte, as a sum that does not depend on their
 * order: one counted from events, one from the fingerprint family. */
struct lapse_identities {
    uint64_t count, sum;
};

struct lapse_verify {
    struct lapse_store store;          /* a stand-in: its file is what is read, its values are those of the file */
    struct lapse_store *borrowed;      /* the store in memory whose file that is, and whose writers wait; or NULL */
    struct lapse_upkeep upkeep;
    struct lapse_buffer notes;         /* each ends in NUL */
    int64_t damages;
    struct lapse_run **runs;           /* whose directories could be read */
    size_t run_count, run_capacity;
    bool salvage;
    struct lapse_buffer directories;   /* with v->salvage those that are damaged: id, bytes, the directory */
    bool lost_runs, lost_values;       /* some directory, or zone, digits and key, cannot be known */
    int64_t blocks, events;
    struct lapse_block block[2];       /* the one under way, and the one before */
    struct lapse_buffer scratch;
    struct lapse_identities identities[256][2]; /* of events, of fingerprints */
    int64_t last_version, last_seq;    /* the greatest of TOLD, of OUTBOX */
    bool told;                         /* there is a row of TOLD, DEADLINES or OUTBOX */
    struct lapse_identities addresses[2];       /* named by events, in the index */
};
/* Notes what is damaged. LAPSE_NO_MEMORY, or LAPSE_OK. */
lapse_status lapse_verify_note(struct lapse_verify *v, lapse_error *error, const char *format, ...)
#if defined(__GNUC__) || defined(__clang__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* One moment of the store; *v is to be ended, NULL too. */
lapse_status lapse_verify_begin(struct lapse_store *store, const lapse_upkeep_options *options, struct lapse_verify **v,
                                lapse_error *error);
void lapse_verify_end(struct lapse_verify *v);
lapse_status lapse_verify_values(struct lapse_verify *v, lapse_error *error); /* that the store was made with */
lapse_status lapse_verify_list(struct lapse_verify *v, lapse_error *error);   /* v->runs, and that none is lost */
/* What is wrong with a block of a family of telling.h, which belongs to it by its shape; NULL: nothing. And what does not
 * fit together across runs of these families: noted. */
const char *lapse_verify_telling(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block);
lapse_status lapse_verify_tellings(struct lapse_verify *v, lapse_error *error);
/* Every block of a run, and what its directory says of all of them. With v->salvage the run loses the blocks that have a
 * fault, and nothing but blocks is looked at. */
lapse_status lapse_verify_run(struct lapse_verify *v, struct lapse_run *run, lapse_error *error);

#endif
