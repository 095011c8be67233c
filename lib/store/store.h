/* Private header of lib/store: runs of column blocks in SQLite, and what reads, writes and merges them.
 *
 * A run is a sorted sequence of rows, immutable once published: by key (bytewise), then in canonical order. Rows
 * lie in blocks of at most LAPSE_BLOCK_ROWS; the run's directory knows of each block its first and last key, its
 * times and its checksum. Runs of events have the customer id as key; runs of fingerprints have that of an
 * identity. The manifest is the list of published runs; a view keeps the manifest of its moment. */
#ifndef LAPSE_LIB_STORE_H
#define LAPSE_LIB_STORE_H

#include <stdatomic.h>

#include <lapse/store.h>
#include <lapse/upkeep.h>

#include "base/base.h"
#include "event/event.h"

enum {
    LAPSE_BLOCK_ROWS = 8192,
    LAPSE_FORMAT = 1            /* of the files that this library makes, and the latest that it reads */
};

struct lapse_store;

/* ---- family.c: what is kept as runs ---------------------------------------------------------------------- */

enum {
    LAPSE_RUN_EVENTS = 1,
    LAPSE_RUN_FINGERPRINTS = 2,
    LAPSE_RUN_STAGED = 3, /* events of a call under way; published as EVENTS */
    LAPSE_RUN_TOUCHED = 4, /* this and what follows: telling.h */
    LAPSE_RUN_TOLD = 5,
    LAPSE_RUN_DEADLINES = 6,
    LAPSE_RUN_CHANGES = 7,
    LAPSE_RUN_OUTBOX = 8,
    LAPSE_RUN_CALLS = 9,
    LAPSE_RUN_TOMBSTONES = 10, /* who was forgotten, and when; truth (tombs.c) */
    LAPSE_RUN_ADDRESSES = 11,  /* who names an address; derived from events (addresses.c) */
    LAPSE_RUN_LEDGER = 12,     /* what addresses of the forgotten said; truth (erase.c) */
    LAPSE_FAMILIES
};
/* What a key is, and so how the rows of one customer are found: by her id itself; behind a number of eight bytes
 * (lapse_numbered_customer() puts her id together); or not at all, for rows are of no customer. */
enum lapse_keys_kind { LAPSE_KEYS_OTHER, LAPSE_KEYS_CUSTOMERS, LAPSE_KEYS_NUMBERED };
struct lapse_family {
    const char *keys;         /* what they are, for messages */
    enum lapse_keys_kind kind;
    uint8_t key_size;         /* all have this size; 0: any */
    bool published;           /* runs of it are in manifests */
    bool latest;              /* of a key only the rows of the latest version count (telling.h); merges drop the others */
    uint32_t rows;            /* of a block at most; 0: LAPSE_BLOCK_ROWS. Fewer where few rows are asked for */
    enum lapse_filter_kind { LAPSE_FILTER_NONE, LAPSE_FILTER_OF_KEYS, LAPSE_FILTER_OF_LATEST } filter; /* recent.c, filter.c */
    /* What goes with a customer who is forgotten: nothing; rows whose keys are customers, or numbers and customers, or
     * fingerprints of their events, or addresses that name them; all of it, because it is derived and made anew when it
     * is asked for. See erase.c. */
    enum { LAPSE_FORGET_NOTHING, LAPSE_FORGET_CUSTOMERS, LAPSE_FORGET_NUMBERED, LAPSE_FORGET_PRINTS,
           LAPSE_FORGET_ADDRESSES, LAPSE_FORGET_ALL } forget;
    uint32_t needed, allowed; /* columns that each block has, and may have */
};
extern const struct lapse_family lapse_families[LAPSE_FAMILIES]; /* by LAPSE_RUN_; [0] is none */
static inline bool lapse_family_published(int family)
{
    return family > 0 && family < LAPSE_FAMILIES && lapse_families[family].published;
}

/* ---- block.c, pack.c: the encoding ----------------------------------------------------------------------- */

struct lapse_keys {                /* of a block: key k has rows start[k] .. start[k + 1] */
    uint32_t count;
    const char *data;
    const uint32_t *begin, *start;
    const uint8_t *length;
};
static inline struct lapse_text lapse_keys_text(const struct lapse_keys *keys, uint32_t k)
{
    return (struct lapse_text){ keys->data + keys->begin[k], keys->length[k] };
}
/* `scratch` has LAPSE_ENCODE_SCRATCH numbers: too much for the stack of a host's thread. */
enum { LAPSE_ENCODE_SCRATCH = 2 * LAPSE_BLOCK_ROWS };
bool lapse_texts_alike(const struct lapse_rows *rows, int f); /* do all texts of a column lie in one place? */
bool lapse_block_encode(struct lapse_buffer *out, const struct lapse_keys *keys, const struct lapse_rows *rows,
                        int64_t *scratch);
struct lapse_section {
    uint32_t at, size; /* in the bytes of the block */
    uint8_t encoding;
};
/* A block; zero it, set mem, then fill `bytes`, open and read any number of blocks one after another, free. */
struct lapse_block {
    const lapse_allocator *mem;
    struct lapse_buffer bytes;     /* as stored; texts point into it */
    uint32_t rows, fields;
    struct lapse_keys keys;        /* only the count until lapse_block_keys() */
    struct lapse_columns columns;
    struct lapse_section sections[LAPSE_COLUMNS + 1]; /* of the columns in `fields`; the last is of the keys */
    struct lapse_buffer arrays[LAPSE_COLUMNS + 1];    /* decoded values, likewise */
};
/* All of these: false when block->bytes break the format, or there is no memory (block->bytes.failed). Any bytes are
 * safe to read. */
bool lapse_block_open(struct lapse_block *block); /* which columns it has; comes first */
bool lapse_block_keys(struct lapse_block *block); /* all keys, about 8 ns each */
/* The columns in `fields`: rows first .. first + n in their places, the others undefined. About 1 ns a value. */
bool lapse_block_rows(struct lapse_block *block, uint32_t fields, uint32_t first, uint32_t n);
bool lapse_block_decode(struct lapse_block *block, uint32_t fields); /* all of that */
/* Without the keys having been read: the number of the first key that is not below `key`, or the count of keys, and whether it
 * is that key; about 1 ns for each key before it. And key k with its rows, written where `key` points. */
struct lapse_entry {
    struct lapse_text key;
    uint32_t first, rows;
};
bool lapse_block_find(const struct lapse_block *block, struct lapse_text key, uint32_t *k, bool *equal);
bool lapse_block_key(const struct lapse_block *block, uint32_t k, char key[LAPSE_TEXT_MAX], struct lapse_entry *out);
void lapse_block_free(struct lapse_block *block);

/* Integers as (value - least) / step in as many bits as the largest needs; LAPSE_MISSING by a bitmap. */
void lapse_pack(struct lapse_buffer *out, const int64_t *v, size_t n);
void lapse_range(const int64_t *v, size_t n, int64_t *least, int64_t *most); /* of none: INT64_MAX and INT64_MIN */
void lapse_pack_names(struct lapse_buffer *out, const uint8_t *v, size_t n, int64_t *scratch);
/* Reads values first .. first + count of n at *at into their places in v; *at moves on past all n. False when they would
 * pass `end`. Up to 8 bytes beyond `end` are read. */
bool lapse_unpack(const uint8_t **at, const uint8_t *end, size_t n, size_t first, size_t count, int64_t *v);
bool lapse_unpack_names(const uint8_t **at, const uint8_t *end, size_t n, size_t first, size_t count, uint8_t *v);
bool lapse_unpack_u32(const uint8_t **at, const uint8_t *end, size_t n, size_t first, size_t count, uint32_t *v);
/* Value k of n, and the sum of those before it. */
bool lapse_unpack_before(const uint8_t *at, const uint8_t *end, size_t n, size_t k, uint32_t *before, uint32_t *value);
enum { LAPSE_PACK_SLACK = 8 };

/* ---- file.c: SQLite, one connection, one statement at a time ----------------------------------------------- */

struct lapse_file;
lapse_status lapse_file_open(const lapse_allocator *mem, const char *path, const lapse_store_options *options,
                             bool *made, struct lapse_file **out, lapse_error *error);
void lapse_file_close(struct lapse_file *file);
lapse_status lapse_file_begin(struct lapse_file *file, lapse_error *error); /* waits for other writers */
lapse_status lapse_file_commit(struct lapse_file *file, lapse_error *error);
void lapse_file_rollback(struct lapse_file *file);
bool lapse_file_in_transaction(struct lapse_file *file); /* SQLite ends one by itself when the disk is full */
lapse_status lapse_file_put_block(struct lapse_file *file, const void *data, size_t n, int64_t *id,
                                  lapse_error *error);
/* The same, but LAPSE_DONE when that would have to wait for another thread. */
lapse_status lapse_file_offer_block(struct lapse_file *file, const void *data, size_t n, int64_t *id,
                                    lapse_error *error);
/* LAPSE_STALE: it is gone. */
lapse_status lapse_file_get_block(struct lapse_file *file, int64_t id, struct lapse_buffer *out, lapse_error *error);
/* The same of the first of n, and with it, while the file is locked, of *got in all: those that follow until one is not to
 * be had. */
lapse_status lapse_file_get_blocks(struct lapse_file *file, const int64_t *ids, size_t n, struct lapse_buffer *const *out,
                                   size_t *got, lapse_error *error);
lapse_status lapse_file_drop_blocks(struct lapse_file *file, const int64_t *ids, size_t n, lapse_error *error);
/* The ids of all blocks but those with the ascending ids given; *others is the caller's to free in any case. */
lapse_status lapse_file_other_blocks(struct lapse_file *file, const int64_t *ids, size_t n, int64_t **others,
                                     size_t *count, lapse_error *error);
lapse_status lapse_file_put_run(struct lapse_file *file, int family, const void *data, size_t n, int64_t *id,
                                lapse_error *error);
/* The same under a given id, for copies. */
lapse_status lapse_file_put_block_as(struct lapse_file *file, int64_t id, const void *data, size_t n, lapse_error *error);
lapse_status lapse_file_put_run_as(struct lapse_file *file, int64_t id, int family, const void *data, size_t n,
                                   lapse_error *error);
lapse_status lapse_file_drop_run(struct lapse_file *file, int64_t id, lapse_error *error);
bool lapse_file_has_run(struct lapse_file *file, int64_t id); /* published, and not merged away since */
/* Calls `known` for every published run, by id, and `each` for those of which it says no. *digest is what was set
 * last. */
typedef bool (*lapse_file_known_fn)(void *user, int64_t id);
typedef lapse_status (*lapse_file_run_fn)(void *user, int64_t id, int family, const void *data, size_t n,
                                          lapse_error *error);
lapse_status lapse_file_runs(struct lapse_file *file, lapse_file_known_fn known, lapse_file_run_fn each, void *user,
                             uint64_t *digest, lapse_error *error);
lapse_status lapse_file_set_digest(struct lapse_file *file, uint64_t digest, lapse_error *error);
lapse_status lapse_file_set(struct lapse_file *file, const char *name, const void *data, size_t n,
                            lapse_error *error);
lapse_status lapse_file_get(struct lapse_file *file, const char *name, struct lapse_buffer *out, lapse_error *error);
/* Calls `each` for every named value; sound: its checksum is right. */
lapse_status lapse_file_values(struct lapse_file *file,
                               lapse_status (*each)(void *user, const char *name, const void *data, size_t n, bool sound,
                                                    lapse_error *error),
                               void *user, lapse_error *error);
/* Changes whenever another connection has committed. */
lapse_status lapse_file_version(struct lapse_file *file, int64_t *out, lapse_error *error);
int64_t lapse_file_bytes(struct lapse_file *file); /* -1: in memory */
/* Moves all of the write-ahead log into the file and makes it empty. LAPSE_ERASE_PENDING: it failed, or readers were in
 * the way for as long as the file's timeout. */
lapse_status lapse_file_empty_log(struct lapse_file *file, lapse_error *error);
/* That, and clears what deleted rows have left inside pages. LAPSE_ERASE_PENDING likewise. */
lapse_status lapse_file_scrub(struct lapse_file *file, lapse_error *error);
bool lapse_file_read_only(const struct lapse_file *file);
int64_t lapse_file_format(const struct lapse_file *file); /* that a library must know to read it */

/* LAPSE_FORKED in another process than the one that opened it. */
lapse_status lapse_file_check_process(const struct lapse_file *file, lapse_error *error);

/* ---- cache.c: blocks that somebody looked for again ------------------------------------------------------------ */

struct lapse_cache;
struct lapse_cached;               /* one of them, to be released; lives on when the cache has let it go */
struct lapse_cache *lapse_cache_new(const lapse_allocator *mem); /* keeps nothing until it gets a limit; NULL: no memory */
void lapse_cache_free(struct lapse_cache *cache); /* once all are released; NULL is fine */
/* From any thread. */
void lapse_cache_limit(struct lapse_cache *cache, size_t bytes); /* 0: and gives all memory back */
void lapse_cache_clear(struct lapse_cache *cache);
/* Of a NULL cache NULL. */
struct lapse_cached *lapse_cache_find(struct lapse_cache *cache, int64_t id, uint64_t checksum);
/* Takes over the bytes, whose checksum is right, and leaves the buffer empty; unless another thread did so before. NULL: they
 * stay with the caller, for this is the first time that the block is looked for, or there is no room. */
struct lapse_cached *lapse_cache_keep(struct lapse_cache *cache, int64_t id, uint64_t checksum, struct lapse_buffer *bytes);
const struct lapse_buffer *lapse_cached_bytes(const struct lapse_cached *cached); /* not to be changed */
void lapse_cache_release(struct lapse_cache *cache, struct lapse_cached *cached);

/* ---- run.c: writing and reading one run ------------------------------------------------------------------------ */

struct lapse_run_block {
    int64_t id;
    uint64_t checksum;
    uint32_t rows, keys;
    int64_t first_time, last_time;
    struct lapse_text first_key, last_key;
};
struct lapse_run {
    const lapse_allocator *mem;     /* of the store, which outlives its runs */
    struct lapse_file *file;
    struct lapse_cache *cache;      /* of its store, likewise */
    int64_t id;                     /* 0 until published */
    int family;
    uint64_t checksum;              /* of its directory, once that is saved or loaded */
    uint32_t fields;                /* columns that hold values anywhere in it */
    int64_t rows, first_time, last_time;
    struct lapse_run_block *blocks;
    size_t block_count, block_capacity;
    /* Sources of its rows without event_id, so that an import of a new source need not look for its rows. */
    struct lapse_text *sources;
    size_t source_count, source_capacity;
    bool many_sources;              /* more than are listed */
    bool nameless_source;           /* some row without event_id has the empty source */
    bool lost_rows;                 /* some fell out since: `fields` and that may say more than there is */
    struct lapse_filter *filter;    /* of a published run, once it is stored or was needed; the writer's */
    struct lapse_prints *prints;    /* of a staged run: fingerprints of its rows with ids */
    int64_t *lines;                 /* of a staged run, where they are kept: the line of each row */
    size_t line_capacity;
    atomic_int owners;
};
struct lapse_run *lapse_run_new(struct lapse_store *store, int family);
void lapse_run_retain(struct lapse_run *run);
void lapse_run_release(struct lapse_run *run); /* NULL is fine; frees memory only, blocks stay in the file */
bool lapse_run_has_source(const struct lapse_run *run, struct lapse_text source); /* false: certainly not */
lapse_status lapse_run_save(struct lapse_run *run, lapse_error *error);  /* into the file: publishes it */
/* Into another file, under the ids that it and its blocks have, without its filter. */
lapse_status lapse_run_copy(const struct lapse_run *run, struct lapse_file *to, uint64_t *checksum, lapse_error *error);
lapse_status lapse_run_load(struct lapse_run *run, const void *data, size_t n, lapse_error *error);
/* What a read of a block's bytes that gave `status` comes to. LAPSE_DAMAGED: they are not what was written, or the block is
 * gone before its run, and so was not rewritten but lost. */
lapse_status lapse_run_check_bytes(const struct lapse_run *run, const struct lapse_run_block *block, lapse_status status,
                                   const struct lapse_buffer *bytes, lapse_error *error);
lapse_status lapse_run_drop_blocks(struct lapse_run *run, lapse_error *error);
/* Moves the blocks of `more`, whose keys are all greater, and its lines behind those of `run`. False: no memory. */
bool lapse_run_join(struct lapse_run *run, struct lapse_run *more);
size_t lapse_run_ids(const struct lapse_run *run, int64_t *out); /* of all its blobs; out may be NULL */
/* Those of many runs, ascending; *out of them, to be freed. NULL: no memory. */
int64_t *lapse_runs_ids(const lapse_allocator *mem, struct lapse_run *const *runs, size_t count, size_t *out);
bool lapse_run_add_block(struct lapse_run *run, const struct lapse_run_block *block);
/* Its keys ascend, and from those of the last block on; one may go on in it. */
bool lapse_run_follows(const struct lapse_run *run, const struct lapse_run_block *block);
void lapse_run_lose_block(struct lapse_run *run, size_t i); /* of the run in memory alone */
bool lapse_run_add_source(struct lapse_run *run, struct lapse_text source);

/* The latest rows of a run, for its filter: as it grows, earlier ones fall out. */
struct lapse_recent {
    const lapse_allocator *mem;
    uint64_t seed;
    int64_t since;
    size_t least, most;           /* rows to keep */
    int64_t seen;
    size_t count, capacity;
    int64_t *time;
    uint64_t *hash;
    bool failed;
};
/* Takes rows in order of keys, cuts them into blocks and stores these. Of staged rows the column LAPSE_F_LINE is not
 * stored: it says which line each fingerprint is of. */
struct lapse_run_writer {
    struct lapse_store *store;
    struct lapse_run *run;
    size_t most;                     /* rows of a block */
    struct lapse_rows rows;
    struct lapse_buffer key_bytes;
    struct lapse_buffer encoded;     /* the last blocks of the run, which wait to be stored, one behind the other */
    size_t waiting[4], waiting_count; /* their sizes */
    uint32_t *key_begin, *key_start; /* of the block under construction; room for LAPSE_BLOCK_ROWS + 1 */
    uint8_t *key_length;
    uint32_t key_count;
    size_t pending;                  /* rows announced, not yet handed over */
    int64_t *scratch;
    int64_t first_row;               /* of a part of a run: its place in the whole */
    bool keep_lines;                 /* of staged rows, in run->lines */
    struct lapse_recent recent;      /* for the filter of a run of events */
    struct lapse_filter *filter;     /* of a run of fingerprints, and the last keys of it */
    uint64_t *prints;
    size_t print_count;
};
lapse_status lapse_run_writer_open(struct lapse_run_writer *w, struct lapse_store *store, int family,
                                   lapse_error *error);
/* About how many rows will come: of many events a filter is made on the way, of many fingerprints the store's Bloom filter
 * has the keys. */
void lapse_run_writer_expect(struct lapse_run_writer *w, int64_t rows);
/* Rows first .. first + n of `from`, all of one key and in canonical order; may be called again with the same key
 * for rows that follow. */
lapse_status lapse_run_writer_put(struct lapse_run_writer *w, struct lapse_text key, const struct lapse_columns *from,
                                  uint32_t fields, size_t first, size_t n, lapse_error *error);
/* The same in bulk: announce keys with their numbers of rows; *fit of these go into the block under construction.
 * When they are fewer than n, hand over all rows announced so far, then announce the rest. */
lapse_status lapse_run_writer_key(struct lapse_run_writer *w, struct lapse_text key, size_t n, size_t *fit,
                                  lapse_error *error);
/* The rows announced: order[0 ...] of `from`, or those from `first` on when order is NULL. */
lapse_status lapse_run_writer_rows(struct lapse_run_writer *w, const struct lapse_columns *from, uint32_t fields,
                                   const uint32_t *order, size_t first, lapse_error *error);
/* The same from many places: stretches and constants (lapse_rows_gather_stretches()). */
lapse_status lapse_run_writer_stretches(struct lapse_run_writer *w, const struct lapse_stretch *stretches, size_t count,
                                        uint32_t fields, const struct lapse_columns *constants, lapse_error *error);
/* Ends the writer; *out is the run, of 0 rows perhaps. The writer is freed in any case. */
lapse_status lapse_run_writer_finish(struct lapse_run_writer *w, struct lapse_run **out, lapse_error *error);
/* The same of a part of a run: *recent gets the latest rows, for a filter of the whole. */
lapse_status lapse_run_writer_finish_part(struct lapse_run_writer *w, struct lapse_recent *recent, struct lapse_run **out,
                                          lapse_error *error);
/* A block of another run goes on behind what was written, as it is. */
lapse_status lapse_run_writer_keep(struct lapse_run_writer *w, const struct lapse_run_block *block, lapse_error *error);
void lapse_run_writer_abort(struct lapse_run_writer *w); /* NULL run is fine */

/* ---- without.c: a run without some of its rows ------------------------------------------------------------------------- */

/* The run without the rows whose bits are set, of which row 0 has bit `first`. Blocks that keep all rows are taken over,
 * others are deleted. */
lapse_status lapse_run_without(struct lapse_store *store, struct lapse_run *run, const uint8_t *bits, int64_t first,
                               struct lapse_run **out, lapse_error *error);
/* The run without the rows of these ascending keys; NULL when it has none of them. Blocks that keep all rows are shared
 * with `run`, no block is deleted, and a stored filter stays, which then admits a few keys that are no more. Called with
 * the rows of each block written anew; *gone counts the rows that fell out. */
struct lapse_key_set {
    const struct lapse_text *keys;   /* NULL: all */
    size_t count;
    const struct lapse_text *owners; /* ascending; not NULL: of these keys only rows of one of these customers, as ... */
    size_t owner_count;
    /* ... this tells them of row i of a key; `out` has LAPSE_TEXT_MAX bytes */
    struct lapse_text (*owner)(struct lapse_text key, const struct lapse_columns *c, size_t i, char *out);
};
lapse_status lapse_run_without_keys(struct lapse_store *store, struct lapse_run *run, const struct lapse_key_set *set,
                                    lapse_status (*go_on)(void *user, int64_t rows, lapse_error *error), void *user,
                                    struct lapse_run **out, int64_t *gone, lapse_error *error);

/* ---- reader.c: one run, key by key, forward --------------------------------------------------------------------- */

enum { LAPSE_READ_AHEAD = 3 };
struct lapse_reader {
    struct lapse_run *run;         /* retained */
    size_t block_no;               /* block_count: at the end */
    uint32_t key_no;
    struct lapse_entry entry;      /* its key; without rows until the block is loaded */
    bool loaded;
    bool has_keys;                 /* all keys of the block are decoded */
    int looked_up;                 /* keys before that */
    uint32_t rows_from, rows_to;   /* decoded */
    int64_t number;                /* of the first row of block `numbered`, for LAPSE_F_LINE */
    size_t numbered;
    struct lapse_block block;      /* its bytes are lent where they are kept: then `own` is the reader's buffer */
    struct lapse_cached *kept;
    struct lapse_buffer own;
    struct lapse_buffer ahead[LAPSE_READ_AHEAD]; /* a pass: bytes of the blocks from `ahead_from` on, not checked yet */
    size_t ahead_from, ahead_count;
    char key[LAPSE_TEXT_MAX];
};
static inline bool lapse_reader_at_end(const struct lapse_reader *r)
{
    return r->block_no == r->run->block_count;
}
void lapse_reader_open(struct lapse_reader *r, struct lapse_run *run); /* at the first key, which is not loaded yet */
void lapse_reader_close(struct lapse_reader *r);
/* After a failure of any of these only close. LAPSE_STALE, LAPSE_DAMAGED. Those but load and seek: only when loaded. */
lapse_status lapse_reader_load(struct lapse_reader *r, lapse_error *error);
lapse_status lapse_reader_next(struct lapse_reader *r, lapse_error *error);
/* To the first key that is not below `key`; with `only` to the end, if it is not that key itself. */
lapse_status lapse_reader_seek(struct lapse_reader *r, struct lapse_text key, bool only, lapse_error *error);
lapse_status lapse_reader_keys(struct lapse_reader *r, lapse_error *error); /* all of the block, decoded */
/* Of the entry, into block.columns; which may be lengthened over the keys that follow in the block. */
lapse_status lapse_reader_rows(struct lapse_reader *r, uint32_t fields, lapse_error *error);
bool lapse_reader_goes_on(const struct lapse_reader *r); /* the key has rows in the next block too */
/* The first key from `from` on that is not below `key`; the count when there is none. */
uint32_t lapse_keys_find(const struct lapse_keys *keys, uint32_t from, struct lapse_text key);

/* ---- merge.c: any number of runs as one, key by key ----------------------------------------------------------- */

struct lapse_merge;
/* All rows of one key in canonical order; lives until the next step. */
struct lapse_group {
    struct lapse_text key;
    int64_t count;
    const struct lapse_columns *columns; /* rows from `first` on */
    size_t first;
    size_t fresh; /* of the first group in these columns: rows of it and of those to come; 0: as the group before */
};
/* Many keys at once: key k has the rows `start[k]` .. `start[k + 1]`, where row i is `order[i]` of the columns, or
 * `first` + i when order is NULL. */
struct lapse_chunk {
    size_t keys;
    const struct lapse_text *text;
    const uint32_t *start;
    const struct lapse_columns *columns;
    const uint32_t *order;
    size_t first;
};
/* With LAPSE_F_LINE among the fields, this column is the place of each row among all rows of the runs, run after run.
 * Keys with from <= key < to; NULL is open. The runs are kept alive by the merge. */
lapse_status lapse_merge_open(struct lapse_store *store, struct lapse_run *const *runs, size_t count, uint32_t fields,
                              const struct lapse_text *from, const struct lapse_text *to,
                              struct lapse_merge **out, lapse_error *error);
lapse_status lapse_merge_next(struct lapse_merge *merge, const struct lapse_group **out, lapse_error *error);
/* The keys that come next, in bulk. Either this or _next() and _seek(). */
lapse_status lapse_merge_chunk(struct lapse_merge *merge, const struct lapse_chunk **out, lapse_error *error);
/* The group of `key`, *out NULL where there is none. Keys ascend from call to call, and may be the same again. This alone, or
 * those above. */
lapse_status lapse_merge_find(struct lapse_merge *merge, struct lapse_text key, const struct lapse_group **out,
                              lapse_error *error);
/* Goes on to the first key that is not below `key`; never back. After a failure of any of these only close. */
lapse_status lapse_merge_seek(struct lapse_merge *merge, struct lapse_text key, lapse_error *error);
void lapse_merge_close(struct lapse_merge *merge);

/* ---- stage.c: rows in any order, sorted into staged runs ------------------------------------------------------- */

struct lapse_stage;
/* `constants` (their memory outlives the stage) are the same for all rows. The stage is full when it holds `limit` bytes;
 * `expected` rows are a hint. Finished runs are kept by the stage until it is freed. */
lapse_status lapse_stage_new(struct lapse_store *store, const struct lapse_columns *constants, size_t limit,
                             uint64_t expected, struct lapse_stage **out, lapse_error *error);
void lapse_stage_keep_lines(struct lapse_stage *stage); /* each run tells the line of each of its rows */
/* Scratch of one thread that puts rows. */
struct lapse_stage_hand {
    const lapse_allocator *mem;
    size_t first_part;             /* where to begin: a different one for each thread */
    uint64_t *hash;
    uint32_t *order;
    size_t hash_room, order_room;
    struct lapse_buffer waiting;   /* what it takes from a part to look up */
};
void lapse_stage_hand_init(struct lapse_stage_hand *hand, const lapse_allocator *mem);
void lapse_stage_hand_free(struct lapse_stage_hand *hand);
/* Rows with their customers, from any number of threads at once. After a failure the stage is only good to be freed. */
lapse_status lapse_stage_put(struct lapse_stage *stage, struct lapse_stage_hand *hand, const struct lapse_columns *rows,
                             size_t n, lapse_error *error);
bool lapse_stage_full(const struct lapse_stage *stage);
/* What it holds becomes one run. */
lapse_status lapse_stage_flush(struct lapse_stage *stage, struct lapse_crew *crew, lapse_error *error);
size_t lapse_stage_runs(struct lapse_stage *stage, struct lapse_run ***runs);  /* the caller retains what it keeps */
void lapse_stage_free(struct lapse_stage *stage);

/* ---- manifest.c: what is published -------------------------------------------------------------------------------- */

struct lapse_manifest {
    const lapse_allocator *mem;
    atomic_int owners;
    int64_t version;               /* of the file when it was read */
    int64_t erased;                /* customers ever forgotten: it only grows, and older views end when it does */
    size_t count;
    struct lapse_run *runs[];      /* of all families, by id */
};
void lapse_manifest_settle(struct lapse_manifest *m); /* once its runs are set */
struct lapse_manifest *lapse_manifest_new(const lapse_allocator *mem, size_t count); /* runs NULL */
void lapse_manifest_release(struct lapse_manifest *m);
uint64_t lapse_digest_add(uint64_t digest, int64_t id, uint64_t checksum); /* of a list of runs, by id */
uint64_t lapse_manifest_digest(const struct lapse_manifest *m); /* of ids and checksums; 0: no runs */
size_t lapse_manifest_family(const struct lapse_manifest *m, int family, struct lapse_run **out); /* room for count */

/* ---- cut.c: the keys of runs in parts ---------------------------------------------------------------------------- */

/* Parts of about equally many rows, that begin where blocks of the runs do: *count of them, at most `parts` and 1 at least, fewer
 * for lack of blocks. (*keys)[1 ...] is where each but the first begins; the caller frees them, the texts are the runs'. */
lapse_status lapse_runs_cut(const lapse_allocator *mem, struct lapse_run *const *runs, size_t run_count, int64_t parts,
                            struct lapse_text **keys, int64_t *count, lapse_error *error);

/* ---- merge_runs.c: runs become one ------------------------------------------------------------------------------ */

/* Whole keys, in order after those before; of families with versions only the latest of each. */
lapse_status lapse_run_writer_chunk(struct lapse_run_writer *w, const struct lapse_chunk *chunk, lapse_error *error);

/* One run of all rows of n >= 1 runs of one family. `go_on`, which may be NULL, is told now and then how many rows more
 * are done. In a transaction. */
lapse_status lapse_runs_merge(struct lapse_store *store, struct lapse_run *const *runs, size_t n, struct lapse_crew *crew,
                              lapse_status (*go_on)(void *user, int64_t rows, lapse_error *error), void *user,
                              struct lapse_run **out, lapse_error *error);

/* ---- merging.c: which runs are merged, and when --------------------------------------------------------------- */

/* The runs of a family that a commit which adds `added` should fold into one; out has room for all. 0: none. */
size_t lapse_tail_choose(const struct lapse_store *store, const struct lapse_manifest *m, int family,
                         struct lapse_run *const *added, size_t added_count, struct lapse_run **out);
/* A share of merging after a commit of `rows`, outside of a transaction. What was committed stays committed when it
 * fails. These three with the writer lock held. */
void lapse_merging_share(struct lapse_store *store, int64_t rows, struct lapse_crew *crew);
/* Gives up all merges under way, and in a transaction deletes what they have written. */
void lapse_merging_abandon(struct lapse_store *store);
/* The same without touching the file. What they have written is swept when the store is opened again. */
void lapse_merging_forget(struct lapse_store *store);

/* ---- store.c -------------------------------------------------------------------------------------------------------- */

struct lapse_merging;              /* a merge under way (merging.h) */
struct lapse_tombs;
enum { LAPSE_MERGINGS = 4 };       /* at once */
struct lapse_merging_limits {
    int64_t small;                 /* a run of fewer rows is part of the tail */
    size_t tail_runs;              /* and rows: with more the tail is folded into one run */
    int64_t tail_rows;
    size_t runs;                   /* larger ones, of a family; with more some are merged */
    size_t runs_behind;            /* with more a merge is done as a whole */
    int64_t share, least_share;    /* rows merged after a commit: for each of its rows, and at least */
    int64_t range;                 /* rows that are worth a thread */
};
extern const struct lapse_merging_limits lapse_merging_defaults;

struct lapse_store {
    lapse_allocator mem;
    struct lapse_file *file;
    struct lapse_lock *writer;     /* held by the one call that writes */
    struct lapse_lock *guard;      /* of `manifest` */
    struct lapse_manifest *manifest;
    struct lapse_run **dropped;    /* merged away, blocks still in the file because a view reads them */
    size_t dropped_count, dropped_capacity;
    struct lapse_merging_limits limits; /* the defaults, but in tests */
    struct lapse_merging *merging[LAPSE_MERGINGS];
    size_t merging_count;
    bool damaged;                  /* a block that was to be merged: this handle merges no more */
    struct lapse_tombs *tombs;     /* who was forgotten, once somebody wanted to know (tombs.c); under `guard` */
    atomic_llong erased;           /* of `manifest`: whoever reads an older one is to stop */
    struct lapse_bloom *bloom;     /* of fingerprints, once many were written; with `writer` held */
    struct lapse_cache *cache;
    int64_t memory_limit;
    int64_t process;
    struct lapse_zone zone;
    char zone_name[65];
    char currency[4];
    int digits;
    uint8_t key[LAPSE_KEY_SIZE];   /* of endpoint hashes, fingerprints and tombstones */
    bool unsound;                  /* opened for lapse_store_verify() and _salvage(), which is all that it is good for */
    atomic_int owners;
};
struct lapse_store *lapse_store_new(const lapse_allocator *mem, lapse_error *error); /* without a file; NULL: no memory */
void lapse_store_retain(struct lapse_store *store);
/* Whether blocks that are looked for are kept, in half of the memory limit: not while an import needs it. */
void lapse_store_keep_blocks(struct lapse_store *store, bool on);
/* The manifest of now knows of so many forgotten customers: what is kept may be of one of them. */
void lapse_store_erased(struct lapse_store *store, int64_t count);
/* LAPSE_INVALID for NULL, LAPSE_FORKED in another process than the one that opened it. */
lapse_status lapse_store_check_handle(const struct lapse_store *store, lapse_error *error);
/* The same, and LAPSE_DAMAGED for an unsound store. */
lapse_status lapse_store_check(const struct lapse_store *store, lapse_error *error);
/* Zone, digits, currency and key, out of store->file. */
lapse_status lapse_store_read_values(struct lapse_store *store, lapse_error *error);
lapse_status lapse_store_read_digits(struct lapse_store *store, struct lapse_buffer *scratch, lapse_error *error);
/* salvage.c: a store of what is sound in a damaged one, read-only and as of one moment; `notes`, each ending in NUL, name
 * what is lost. LAPSE_DAMAGED: nothing can be read. */
lapse_status lapse_store_sound(struct lapse_store *store, const lapse_upkeep_options *options, struct lapse_store **out,
                               struct lapse_buffer *notes, lapse_error *error);
/* What rows that come in now are checked against. */
void lapse_store_check_of(const struct lapse_store *store, int64_t received_at, const lapse_policy *policy,
                          struct lapse_check *check);
/* Hands counts to the caller's struct, which may be NULL or older. */
lapse_status lapse_counts_give(lapse_counts *theirs, const lapse_counts *ours, lapse_error *error);
/* The published runs of this moment; the caller's to release. */
lapse_status lapse_store_manifest(struct lapse_store *store, struct lapse_manifest **out, lapse_error *error);
/* The same for a question of the host, whose store is checked, and its place for an answer. */
lapse_status lapse_store_question(struct lapse_store *store, const void *answer, struct lapse_manifest **out,
                                  lapse_error *error);

/* ---- identity.c, publish.c --------------------------------------------------------------------------------------------- */

/* A commit under way: staged runs, and what became of their rows. */
struct lapse_commit {
    struct lapse_store *store;
    uint32_t flags;                /* LAPSE_IMPORT_ */
    struct lapse_run **staged;
    size_t staged_count;
    lapse_counts *counts;
    int threads;                   /* for filling it and the share of merging; 0: none beside the caller's */
    struct lapse_crew *crew;       /* while it is under way: these */
    /* Told of each row that is not kept, in any order; line -1: not known. May be NULL. Non-zero cancels. */
    int (*dropped)(void *user, int64_t line, int outcome);
    /* Asked now and then while rows are judged, and before they are published; non-zero cancels. May be NULL. */
    int (*stop)(void *user);
    /* Called when all rows are judged and nothing is published yet; may be NULL. */
    lapse_status (*resolved)(void *user, lapse_error *error);
    void *user;
};
/* LAPSE_CANCELLED when the host says stop. */
lapse_status lapse_commit_go_on(const struct lapse_commit *commit, lapse_error *error);
/* Decides which staged rows are new and counts them. events[i] is the run of those of staged run i that stay, perhaps
 * that run itself; *fingerprints is the run of their identities, or NULL. All are the caller's, in any case. */
lapse_status lapse_identity_resolve(struct lapse_commit *commit, const struct lapse_manifest *manifest,
                                    struct lapse_run **events, struct lapse_run **fingerprints, lapse_error *error);
/* Writer lock and transaction around `fill`, which makes staged runs in *commit; then identity, publication,
 * commit (or not, for a dry run), and a share of merging. */
lapse_status lapse_store_commit(struct lapse_store *store, struct lapse_commit *commit,
                                lapse_status (*fill)(void *user, struct lapse_commit *commit, lapse_error *error),
                                void *user, lapse_error *error);
/* In a transaction, which is ended: saves the directories of `added`, takes `removed` off the list, drops blocks that
 * nobody needs any more, and commits; then everybody sees it. `m` is the manifest of this transaction. */
lapse_status lapse_store_publish(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_run **added,
                                 size_t added_count, struct lapse_run **removed, size_t removed_count,
                                 lapse_error *error);
/* What a transaction adds to the manifest and takes from it. */
struct lapse_change {
    struct lapse_run **added, **removed, **tail; /* room for all runs there are, and more */
    size_t added_count, removed_count;
    struct lapse_run *folded[LAPSE_FAMILIES];
    bool erases;                   /* every block goes that no published run has then, whatever views read */
};
/* Room for `more` runs beside those of the manifest; `added` and `removed` are borrowed. */
lapse_status lapse_change_begin(struct lapse_store *store, const struct lapse_manifest *m, size_t more,
                                struct lapse_change *change, lapse_error *error);
/* Folds the tail of a family, what the change adds with it, if it has become too long. */
lapse_status lapse_change_fold(struct lapse_store *store, const struct lapse_manifest *m, int family,
                               struct lapse_change *change, lapse_error *error);
lapse_status lapse_change_publish(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_change *change,
                                  lapse_error *error);
void lapse_change_end(struct lapse_store *store, struct lapse_change *change);
/* The same with the tails folded that this makes too long. In a transaction, which is ended when that went well. */
lapse_status lapse_store_replace(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_run *const *added,
                                 size_t added_count, struct lapse_run *const *removed, size_t removed_count,
                                 lapse_error *error);
/* Deletes blocks that no published run has: what a crash left. */
lapse_status lapse_store_sweep(struct lapse_store *store, lapse_error *error);

/* ---- tombs.c: who was forgotten, and when ------------------------------------------------------------------------------- */

enum { LAPSE_TOMB_SIZE = 32 };
/* The key of a tombstone: HMAC-SHA-256 of the id under the store's key. */
void lapse_tomb_key(const struct lapse_store *store, struct lapse_text customer, uint8_t out[LAPSE_TOMB_SIZE]);
/* A shorter keyed hash that is kept beside it, so that nearly all who were never forgotten are told at once. */
int64_t lapse_tomb_hint(const struct lapse_store *store, struct lapse_text customer);
/* Those of a manifest, to be asked any number of times and released; NULL where there are none, which is fine below. */
struct lapse_tombs;
lapse_status lapse_tombs_take(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_tombs **out,
                              lapse_error *error);
void lapse_tombs_release(struct lapse_tombs *tombs);
/* The instant at which the customer was last forgotten, INT64_MIN: never. Rows dated at or before it are not stored. */
lapse_status lapse_tombs_find(const struct lapse_tombs *tombs, struct lapse_store *store, const struct lapse_manifest *m,
                              struct lapse_text customer, int64_t *out, lapse_error *error);

/* ---- addresses.c: who names an address -------------------------------------------------------------------------------- */

enum { LAPSE_ADDRESS_KEY = 8 };    /* bytes of a hash; that two hashes share them only costs a look */
/* Does row i of events name its address so that others who hold it may be concerned? One row of the index each. */
static inline bool lapse_address_named(const struct lapse_columns *c, size_t i)
{
    return lapse_kinds[lapse_columns_name(c, LAPSE_F_KIND, i)].flags & LAPSE_KIND_ADDRESS &&
           lapse_columns_text(c, LAPSE_F_ENDPOINT, i).size == LAPSE_ENDPOINT_SIZE;
}
/* Runs of the index of these runs of events, of as many rows as fit a share of the memory limit each; runs[0 .. *made) are
 * the caller's, in any case, as the array is. In a transaction. */
lapse_status lapse_addresses_make(struct lapse_store *store, struct lapse_run *const *events, size_t count,
                                  struct lapse_run ***runs, size_t *made, lapse_error *error);
/* Calls `each` for whoever names one of these addresses: keys of the index, ascending. Again for each event that does. */
lapse_status lapse_sharers_find(struct lapse_store *store, const struct lapse_manifest *m, const struct lapse_text *keys,
                                size_t count, lapse_status (*each)(void *user, struct lapse_text customer, lapse_error *error),
                                void *user, lapse_error *error);
/* Keys of `size` bytes that lie end to end, ascending, each once; *count of them, to be freed. NULL: no memory. */
struct lapse_text *lapse_keys_sort(const struct lapse_buffer *bytes, uint32_t size, size_t *count);

/* ---- erase.c: customers forgotten ------------------------------------------------------------------------------------ */

/* What is kept of an event of somebody who is forgotten: it acts on whoever holds the address later. */
struct lapse_ledger_row {
    uint8_t address[LAPSE_ENDPOINT_SIZE];
    uint8_t channel, kind, purpose; /* channel 0: any on which it is held */
    int64_t time;
};
struct lapse_erasure {
    const struct lapse_text *customers; /* ascending, each once */
    size_t count;
    int64_t at;                    /* the instant of the tombstones */
    lapse_status (*go_on)(void *user, int64_t rows, lapse_error *error);
    /* In the transaction: what the ledger is to keep of them, each once, ascending bytewise. The rows live until the end. */
    lapse_status (*keep)(void *user, const struct lapse_ledger_row **rows, size_t *count, lapse_error *error);
    void *user;
    int64_t events;                /* that went; set */
};
/* One transaction, after which nothing of them is in the file but tombstones, and views opened before are stale.
 * LAPSE_NOT_FOUND: one of them has no events, and nothing changed. LAPSE_ERASE_PENDING: done, but the write-ahead log
 * could not be emptied. Of no customers only the log is emptied. */
lapse_status lapse_store_erase(struct lapse_store *store, struct lapse_erasure *erasure, lapse_error *error);

#endif
