/* What identity is decided by; shared by files of lib/store only: those that decide it, and those that write, merge, check and erase runs. */
#ifndef LAPSE_LIB_STORE_IDENTITY_H
#define LAPSE_LIB_STORE_IDENTITY_H

#include "store/store.h"

/* ---- bloom.c: which of many keys any run may have --------------------------------------------------------------------- */

/* Of a store that writes runs of fingerprints; made and asked by writers only, with the store's writer lock held. */
struct lapse_bloom {
    size_t words;
    uint64_t *word;
};
struct lapse_bloom *lapse_bloom_new(const lapse_allocator *mem, size_t bytes); /* 8 at least. NULL: no memory */
void lapse_bloom_free(const lapse_allocator *mem, struct lapse_bloom *bloom);  /* NULL is fine */
/* Keys are spread evenly; those that ascend are faster. */
void lapse_bloom_add(struct lapse_bloom *bloom, const uint64_t *keys, size_t n);
/* Those of n keys that may be there, and their indices; both arrays have room for n + 1. Returns how many. */
size_t lapse_bloom_admit(const struct lapse_bloom *bloom, const uint64_t *keys, size_t n, uint64_t *admitted,
                         uint32_t *which);

/* ---- filter.c: which of many keys a run may have ------------------------------------------------------------------ */

enum {
    LAPSE_FILTER_KEYS = 65535,    /* of a part, at most */
    LAPSE_FILTER_BITS = 13,       /* of a key's remainder: 15.5 bits a key in all, one false answer in 2^13 */
    LAPSE_FILTER_MORE_BITS = 24   /* where keys are few: one in 2^24 */
};
struct lapse_filter_part {
    int64_t id;                   /* of its blob; 0: in memory only */
    uint64_t checksum;
    uint32_t keys, size;          /* size of data in bytes */
    uint64_t first, last;
    uint8_t *data;                /* NULL: not loaded yet */
    uint8_t bits, shift;          /* these follow from the others, once there are data */
    uint64_t factor;
};
/* Of a run of fingerprints: of all of them. Of a run of events: of the contents of its rows without id whose time is
 * `since` or later. Made and asked by writers only, with the store's writer lock held. */
struct lapse_filter {
    const lapse_allocator *mem;
    int64_t since;                /* INT64_MIN: of all rows */
    struct lapse_bloom *bloom;    /* has all its keys; NULL: none has */
    size_t count, capacity;
    struct lapse_filter_part *parts; /* their keys ascend */
};
struct lapse_filter *lapse_filter_new(const lapse_allocator *mem, struct lapse_bloom *bloom); /* bloom: may be NULL */
void lapse_filter_free(struct lapse_filter *filter); /* NULL is fine */
/* A part of up to LAPSE_FILTER_KEYS ascending keys, none below those before. */
bool lapse_filter_add(struct lapse_filter *filter, const uint64_t *keys, size_t n, unsigned bits);
/* Ascending keys one by one: the first eight bytes of each as a number. *keys is room that is made here and freed by the
 * caller, with *n keys that wait; in the end they are added. */
bool lapse_filter_take(struct lapse_filter *filter, uint64_t **keys, size_t *n, struct lapse_text key);
bool lapse_filter_end(struct lapse_filter *filter, const uint64_t *keys, size_t n);
/* Any number of keys, which are sorted here. */
bool lapse_filter_add_all(struct lapse_filter *filter, struct lapse_sort_key *keys, size_t n);
bool lapse_filter_open(struct lapse_filter_part *part); /* for data that were loaded. False: they break the format */
/* Those of n ascending keys that may be there, as their indices; *count of them. All parts are loaded. */
size_t lapse_filter_admit(const struct lapse_filter *filter, const uint64_t *keys, size_t n, uint32_t *admitted);

/* ---- recent.c: filters of runs of events, and the making of any ------------------------------------------------------ */

void lapse_recent_init(struct lapse_recent *recent, const struct lapse_store *store);
void lapse_recent_free(struct lapse_recent *recent);
/* Rows first .. first + n of a customer; those with ids are passed over. */
void lapse_recent_take(struct lapse_recent *recent, struct lapse_text customer, const struct lapse_columns *c,
                       size_t first, size_t n);
size_t lapse_recent_keep(const struct lapse_recent *recent, int64_t seen); /* rows, of so many */
/* Moves what `from` has to `to`. */
void lapse_recent_absorb(struct lapse_recent *to, struct lapse_recent *from);
struct lapse_filter *lapse_recent_filter(struct lapse_recent *recent); /* NULL: no memory */
uint64_t lapse_content_seed(const struct lapse_store *store);
/* Of all that makes a row without id what it is; equal for equal rows. Decides nothing, only where to look. */
uint64_t lapse_content_key(uint64_t seed, struct lapse_text customer, const struct lapse_columns *c, size_t i);
/* The filter of a published run, ready to be asked: its parts are loaded, or it is made by a pass over the run. */
lapse_status lapse_filter_of(struct lapse_store *store, struct lapse_run *run, const struct lapse_filter **out,
                             lapse_error *error);

/* ---- prints.c: the fingerprints of rows with ids ------------------------------------------------------------------------ */

enum { LAPSE_PRINT_SIZE = 12 };   /* bytes: 96 keyed bits, one accident in 10^12 at 500 M ids */
struct lapse_print {
    uint64_t high;                /* the first eight bytes of the fingerprint as a number that sorts like them */
    uint32_t low;                 /* the other four */
    uint32_t row;                 /* in its staged run */
    uint32_t content;             /* hash of all but source and id (rulings F12) */
    uint32_t unused;              /* 0: prints are written as they are */
    int64_t line;
};
/* Those of one staged run, in any order. What exceeds the limit lies in blobs, dealt out by first bytes. */
struct lapse_prints {
    const lapse_allocator *mem;
    struct lapse_file *file;
    uint8_t key[32];
    size_t limit;                 /* prints in memory */
    struct lapse_print *v;
    size_t count, capacity;
    int64_t total;
    struct lapse_prints_spill {
        int64_t id[256];
        uint32_t count[256];
    } *spills;
    size_t spill_count, spill_capacity;
    struct lapse_buffer scratch;
};
struct lapse_prints *lapse_prints_new(const struct lapse_store *store);
void lapse_prints_free(struct lapse_prints *prints); /* NULL is fine */
/* Takes the fingerprints of n rows of `c` that have an event_id; LAPSE_F_LINE is their line. Customer k of `keys` has
 * rows start[k] .. start[k + 1]; row 0 is row `row` of the run. */
lapse_status lapse_prints_take(struct lapse_prints *prints, const struct lapse_keys *keys,
                               const struct lapse_columns *c, int64_t row, lapse_error *error);
lapse_status lapse_prints_spill(struct lapse_prints *prints, lapse_error *error); /* all that is in memory */
/* Appends those with first byte `slice` that were spilled, and deletes the blobs. */
lapse_status lapse_prints_slice(struct lapse_prints *prints, int slice, struct lapse_print **out, size_t *count,
                                size_t *capacity, lapse_error *error);
/* What is kept of an event with an id: its fingerprint, and the hash of its content. False: no memory. */
bool lapse_identity_of(const uint8_t key[32], struct lapse_text customer, const struct lapse_columns *c, size_t i,
                       struct lapse_buffer *scratch, uint8_t print[LAPSE_PRINT_SIZE], uint32_t *content);
/* Moves the prints of `from` to `to`, whose limit then holds for both. */
lapse_status lapse_prints_absorb(struct lapse_prints *to, struct lapse_prints *from, lapse_error *error);
/* The fingerprint itself; replaced in tests, so that all have few values. */
void lapse_print_bytes(const uint8_t key[16], struct lapse_text source, struct lapse_text id,
                       uint8_t out[LAPSE_PRINT_SIZE]);

/* ---- content.c, identity.c: verdicts ------------------------------------------------------------------------------------- */

/* Rows of the staged runs have ordinals: those of a run begin at base[run]. */
struct lapse_verdicts {
    struct lapse_commit *commit;
    int64_t rows, *base;
    uint8_t *dropped;             /* a bit for each ordinal; NULL until there is one */
};
static inline bool lapse_verdict(const struct lapse_verdicts *v, int64_t ordinal)
{
    return v->dropped && (v->dropped[ordinal / 8] >> ordinal % 8 & 1);
}
/* Counts a row that is not kept, and tells the host. */
lapse_status lapse_verdict_drop(struct lapse_verdicts *v, int64_t ordinal, int64_t line, int outcome,
                                lapse_error *error);
int64_t lapse_verdict_line(const struct lapse_verdicts *v, int64_t ordinal); /* -1: not known */
/* tombs.c: rows of customers who were forgotten, as far as they are not dated later. */
lapse_status lapse_judge_erased(struct lapse_verdicts *v, const struct lapse_manifest *m, lapse_error *error);
/* Rows without id that the store has already. */
lapse_status lapse_judge_contents(struct lapse_verdicts *v, const struct lapse_manifest *manifest, lapse_error *error);

#endif
