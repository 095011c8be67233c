/* Shared by import.c, intake.c and conflicts.c only: an import under way. */
#ifndef LAPSE_LIB_STORE_IMPORT_H
#define LAPSE_LIB_STORE_IMPORT_H

#include "store/input.h"

enum { LAPSE_CHUNK = 1 << 20, LAPSE_IMPORT_THREADS = 64 };

/* A piece of the input, of whole records. */
struct import_chunk {
    struct lapse_buffer text;
    int64_t line;
    enum { CHUNK_FREE, CHUNK_READ, CHUNK_TAKEN } state;
};

struct import_worker {
    struct import *import;
    struct lapse_csv_work csv;
    struct lapse_stage_hand hand;
    struct lapse_buffer faults; /* bad rows of this round, in the order of lines */
    const char *next_fault;
    int64_t rows, rejected;
    bool stopped;               /* by the last of `faults` */
    lapse_status status;
    lapse_error error;
};

struct import {
    struct lapse_store *store;
    lapse_import_options options;
    const char *path;           /* NULL: a stream */
    const char *source;
    struct lapse_input input;
    struct lapse_check check;
    struct lapse_csv *csv;
    struct lapse_stage *stage;
    struct lapse_counts *counts;
    int32_t threads;
    struct import_worker *workers;
    struct lapse_lock *lock;    /* of the chunks' states and what is said of this round */
    struct import_chunk *chunks;
    int32_t chunk_count;
    int64_t round_end;          /* bytes of input at which this round ends */
    bool read;                  /* no chunk will come in this round */
    bool stopping;              /* nor need any be taken */
    lapse_status more;          /* LAPSE_OK: the input goes on; else `input_error` */
    lapse_error input_error;
    int64_t *conflicts;         /* lines */
    size_t conflict_count, conflict_capacity, next_conflict;
    lapse_status stopped;       /* why telling conflicts ended early */
};

/* ---- intake.c ---- */

bool lapse_import_workers_open(struct import *im);
void lapse_import_workers_close(struct import *im);
/* Reads the whole input into staged runs. Calls back between rounds. */
lapse_status lapse_import_read(struct import *im, lapse_error *error);
int lapse_import_told_to_stop(void *import); /* asks the host */

/* ---- conflicts.c ---- */

/* The two callbacks of a commit. */
int lapse_import_note_conflict(void *import, int64_t line, int outcome);
lapse_status lapse_import_tell_conflicts(void *import, lapse_error *error);
lapse_status lapse_import_say_stopped(const struct import *im, lapse_error *error);

#endif
