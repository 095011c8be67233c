/* Shared by merge.c, merge_heap.c and merge_chunk.c only: a merge, its readers and the heap of them. */
#ifndef LAPSE_LIB_STORE_MERGE_H
#define LAPSE_LIB_STORE_MERGE_H

#include "store/store.h"

struct merge_place {
    uint64_t prefix;             /* of its key: eight bytes behind what all keys share, as a number */
    uint32_t reader;
};
struct merge_row {
    uint32_t reader, row;        /* reader == count: of `columns` */
};
struct merge_share {                   /* of a reader in the chunk under construction: rows first .. first + n of its block */
    uint32_t first, n;
    size_t base;
};

struct lapse_merge {
    const lapse_allocator *mem;
    uint32_t fields;
    int digits;
    bool bounded;
    struct lapse_text to;
    char to_bytes[256], key_bytes[256];
    size_t skip;                 /* bytes that all keys share */
    uint32_t count;
    struct lapse_reader *readers;
    struct merge_share *shares;
    struct merge_place *heap;
    uint32_t heap_count;
    uint32_t *taken, taken_count; /* readers whose key is in the chunk and that have not moved on yet; not in the heap */
    uint32_t *sharing, sharing_count; /* readers with rows in the chunk under construction */
    size_t *bounds;              /* of the stretches of one key */
    size_t wanted;               /* rows in the next chunk */
    struct lapse_chunk chunk;
    size_t chunk_at;             /* its next key */
    bool found, ended;           /* lapse_merge_find(): `group` is the last that it came to; there is none any more */
    struct lapse_text *keys;     /* of the chunk */
    uint32_t *starts;
    size_t key_room, start_room;
    struct lapse_rows rows;      /* of a chunk that had to be copied */
    struct lapse_buffer column;  /* scratch of putting rows in order */
    struct lapse_columns columns;
    struct merge_row *list, *scratch;
    size_t listed, list_room, scratch_room;
    uint32_t *order;
    size_t order_room;
    struct lapse_group group;
};

/* Of the keys of two readers. */
static inline int merge_compare(const struct lapse_merge *m, const struct merge_place *a, const struct merge_place *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    struct lapse_text x = m->readers[a->reader].entry.key, y = m->readers[b->reader].entry.key;
    return lapse_text_order(x, y);
}

/* ---- merge_heap.c: readers by key, equal keys in the order of their runs ---- */

void lapse_merge_push(struct lapse_merge *m, uint32_t reader); /* unless it is at its end */
void lapse_merge_pop(struct lapse_merge *m);
void lapse_merge_replace(struct lapse_merge *m);               /* the reader of the least key has moved on */

/* ---- merge_chunk.c ---- */

/* Moves on, and makes the next chunk of m->wanted rows or more, or as many as can be had. */
lapse_status lapse_merge_fill(struct lapse_merge *m, lapse_error *error);

#endif
