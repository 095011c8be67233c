/* Shared by verify.c and verify_run.c only. */
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
    struct lapse_upkeep upkeep;
    struct lapse_buffer notes;         /* each ends in NUL */
    int64_t damages;
    struct lapse_run **runs;           /* whose directories could be read */
    size_t run_count, run_capacity;
    bool lost_runs, lost_values;       /* some directory, or zone, digits and key, cannot be known */
    int64_t blocks, events;
    struct lapse_block block[2];       /* the one under way, and the one before */
    struct lapse_buffer scratch;
    struct lapse_identities identities[256][2]; /* of events, of fingerprints */
    struct lapse_identities addresses[2];       /* named by events, in the index */
};
/* Notes what is damaged. LAPSE_NO_MEMORY, or LAPSE_OK. */
lapse_status lapse_verify_note(struct lapse_verify *v, lapse_error *error, const char *format, ...)
#if defined(__GNUC__) || defined(__clang__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* Every block of a run, and what its directory says of all of them. */
lapse_status lapse_verify_run(struct lapse_verify *v, struct lapse_run *run, lapse_error *error);

#endif
