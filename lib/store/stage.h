/* Shared by stage.c, stage_leaf.c and stage_sort.c only: rows in leaves by the id of their customer.
 *
 * Millions of customers do not fit the cache. So rows are dealt out by ranges of ids as they come, which only writes
 * at the ends of arrays; a leaf that grows too large is split into LEAF_SPLIT by a sample of its ids. A leaf is small
 * enough to be sorted in the cache, and leaves come in the order of ids, so nothing is visited at random in all of
 * memory. Splits are rare, since a piece of a leaf must grow by two orders of magnitude before it is split itself. */
#ifndef LAPSE_LIB_STORE_STAGE_H
#define LAPSE_LIB_STORE_STAGE_H

#include "store/store.h"

enum { LEAF_ROWS = 1 << 16, LEAF_SPLIT = 256 };

struct stage_leaf {
    uint32_t rows, capacity;
    uint32_t split_at;          /* rows at which to split */
    struct lapse_buffer ids;    /* a byte of length and the id, row by row */
    int64_t *number[LAPSE_COLUMNS];
    uint8_t *name[LAPSE_COLUMNS];
    uint32_t *begin[LAPSE_COLUMNS];
    uint8_t *length[LAPSE_COLUMNS];
    struct lapse_buffer bytes[LAPSE_COLUMNS];
};

/* Where a leaf begins: its ids are at or above `text`. */
struct stage_bound {
    uint8_t size;
    char text[255];
};

/* A column of the stage. Until a second value comes it costs nothing but a comparison. */
struct stage_column {
    bool varies;                /* otherwise every row has the first value */
    int64_t first_number;
    uint8_t first_name, first_length;
    char first_text[256];
};

struct lapse_stage {
    struct lapse_store *store;
    const lapse_allocator *mem;
    size_t limit, used;         /* bytes of the leaves' arrays */
    int fields[LAPSE_COLUMNS];  /* those that can vary, then those that only a first row is asked for */
    int varying_count, field_count;
    struct stage_column columns[LAPSE_COLUMNS];
    size_t rows;
    bool keep_lines;            /* in the runs, for rows without id */
    struct stage_leaf **leaves; /* in the order of their bounds; the first has none */
    struct stage_bound *bounds;
    uint64_t *keys;             /* of bounds: eight bytes behind what is common to all but the first */
    size_t common;              /* bytes */
    size_t leaf_count, leaf_room;
    struct lapse_run **runs;
    size_t run_count, run_capacity;
};

static inline struct lapse_text stage_id(const struct stage_leaf *leaf, uint32_t at)
{
    const char *p = leaf->ids.data + at;
    return (struct lapse_text){ p + 1, (uint8_t)p[0] };
}
/* Eight bytes of an id from `skip` on as a number that sorts like them. */
static inline uint64_t stage_key(struct lapse_text id, size_t skip)
{
    uint8_t b[8] = { 0 };
    size_t n = id.size > skip ? id.size - skip : 0;
    memcpy(b, id.data + (n ? skip : 0), n < 8 ? n : 8);
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | b[i];
    return v;
}

/* ---- stage_leaf.c ---- */

/* The leaf of an id; there is one once lapse_stage_leaves_open() was called. */
struct stage_leaf *lapse_stage_leaf(const struct lapse_stage *stage, struct lapse_text id);
bool lapse_stage_leaves_open(struct lapse_stage *stage);
void lapse_stage_leaves_free(struct lapse_stage *stage);
/* Room for one more row in a leaf. */
bool lapse_stage_room(struct lapse_stage *stage, struct stage_leaf *leaf);
bool lapse_stage_column_room(struct lapse_stage *stage, struct stage_leaf *leaf, int f, uint32_t before,
                             uint32_t capacity);
bool lapse_stage_put_bytes(struct lapse_stage *stage, struct lapse_buffer *buffer, const char *text, size_t n);
bool lapse_stage_put_id(struct lapse_stage *stage, struct stage_leaf *leaf, struct lapse_text id);
/* Splits the leaf that `id` is in, or lets it grow when it holds one id only. */
bool lapse_stage_split(struct lapse_stage *stage, struct lapse_text id);

/* ---- stage_sort.c ---- */

/* The rows of a leaf as columns. */
void lapse_stage_borrow(const struct lapse_stage *stage, const struct stage_leaf *leaf, struct lapse_columns *out);
/* Sorts and writes all rows as a run. */
lapse_status lapse_stage_write(struct lapse_stage *stage, struct lapse_run **out, lapse_error *error);

#endif
