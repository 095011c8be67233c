/* Shared by import.c, import_arrow.c, intake.c and conflicts.c only: an import under way. */
#ifndef LAPSE_LIB_STORE_IMPORT_H
#define LAPSE_LIB_STORE_IMPORT_H

#include "store/input.h"

enum {
    LAPSE_CHUNK = 1 << 18 /* bytes: it and the columns of its rows are to stay in the cache */
};

struct import_frame; /* an array of a stream (import_arrow.c) */

/* A piece of the input: whole records of a file, or rows of an array. */
struct import_chunk {
    struct lapse_buffer text;
    struct import_frame *frame;
    int64_t first, rows; /* of the array */
    int64_t line;        /* of the first record; of an array the number of the row, from 0 */
    enum { CHUNK_FREE, CHUNK_READ, CHUNK_TAKEN } state;
};

struct import_worker {
    struct import *import;
    struct lapse_csv_work csv;
    struct lapse_arrow_work arrow;
    struct lapse_stage_hand hand;
    struct lapse_buffer faults; /* bad rows of this round, in the order of lines */
    const char *next_fault;
    int64_t rows, rejected;
    bool stopped;               /* by the last of `faults` */
    lapse_status status;
    lapse_error error;
};

/* How an input of a kind is read. */
struct import_reading {
    /* On the caller's thread: what comes first; sets im->plan and calls lapse_import_open_stage(). */
    lapse_status (*begin)(struct import *im, lapse_error *error);
    /* On the caller's thread: the next piece. LAPSE_DONE: there is none. */
    lapse_status (*next)(struct import *im, struct import_chunk *chunk, lapse_error *error);
    /* On any thread, several at once: the rows of a piece, good and bad. */
    void (*parse)(struct import_worker *w, const struct import_chunk *chunk);
};
extern const struct import_reading lapse_import_reading_csv;

struct import {
    struct lapse_store *store;
    lapse_import_options options;
    const char *path;           /* NULL: a stream */
    const char *source;
    struct lapse_input input;
    struct lapse_check check;
    const struct import_reading *reading;
    const struct lapse_csv *plan; /* `csv`, or that of the stream */
    struct lapse_csv *csv;
    struct import_frames *frames; /* of a stream of arrays, NULL otherwise */
    struct lapse_stage *stage;
    struct lapse_counts *counts;
    int32_t threads;
    struct lapse_crew *crew;    /* of the commit: these */
    struct import_worker *workers;
    struct lapse_lock *lock;    /* of the chunks' states and what is said of this round */
    struct import_chunk *chunks;
    int32_t chunk_count;
    int64_t round_left;         /* chunks to read in this round */
    bool read;                  /* no chunk will come in this round */
    bool stopping;              /* nor need any be taken */
    lapse_status more;          /* LAPSE_OK: the input goes on; else `input_error` */
    lapse_error input_error;
    int64_t *conflicts;         /* lines */
    size_t conflict_count, conflict_capacity, next_conflict;
    lapse_status stopped;       /* why telling conflicts ended early */
};

/* ---- import.c ---- */

/* Checks store, options and *counts, which becomes 0. First of all. */
lapse_status lapse_import_prepare(struct import *im, const lapse_import_options *options, lapse_counts *counts,
                                  lapse_error *error);
/* The commit. */
lapse_status lapse_import_run(struct import *im, lapse_counts *counts, lapse_error *error);

/* ---- intake.c ---- */

bool lapse_import_workers_open(struct import *im);
void lapse_import_workers_close(struct import *im);
/* For about so many rows. */
lapse_status lapse_import_open_stage(struct import *im, double expected, lapse_error *error);
/* The callbacks of a reader. */
int lapse_import_take_rows(void *worker, const struct lapse_columns *rows, size_t n);
int lapse_import_take_fault(void *worker, const struct lapse_csv_fault *fault);
/* Reads the whole input into staged runs. Calls back between rounds. */
lapse_status lapse_import_read(struct import *im, lapse_error *error);
int lapse_import_told_to_stop(void *import); /* asks the host */

/* ---- conflicts.c ---- */

/* The two callbacks of a commit. */
int lapse_import_note_conflict(void *import, int64_t line, int outcome);
lapse_status lapse_import_tell_conflicts(void *import, lapse_error *error);
lapse_status lapse_import_say_stopped(const struct import *im, lapse_error *error);

#endif
