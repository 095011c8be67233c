/* Shared by merge.c and merge_chunk.c only: a merge and its readers. */
#ifndef LAPSE_LIB_STORE_MERGE_H
#define LAPSE_LIB_STORE_MERGE_H

#include "store/store.h"

struct merge_key {
    uint64_t eight;              /* bytes behind what all keys of the merge share, as a number */
    struct lapse_text text;      /* without data: above all keys */
};
struct merge_place {
    struct merge_key key;        /* the reader's; its text lives until the reader moves */
    uint32_t reader;
    bool taken;                  /* its keys up to that at which it stands are in the chunk; it moves on later */
};

struct lapse_merge {
    const lapse_allocator *mem;
    uint32_t fields;
    int digits;
    struct merge_key to;
    char to_bytes[256];
    size_t skip;                 /* bytes that all keys share */
    uint32_t count;
    struct lapse_reader *readers;
    struct merge_place *places;  /* of readers that have keys below `to`, in the order of their runs */
    size_t live;
    size_t wanted;               /* keys of a reader in the next chunk; 1: one key alone */
    struct lapse_chunk chunk;
    size_t chunk_at;             /* its next key */
    bool found, ended;           /* lapse_merge_find(): `group` is the last that it came to; there is none any more */
    /* What the chunk is made of: keys of one reader after those of the other, entry e with the rows begins[e] ..
     * begins[e + 1] of `rows`; those of part p are from bounds[p] on. */
    struct lapse_text *entries;
    uint32_t *begins;
    size_t entry_count, entry_room, begin_room, *bounds, parts;
    struct lapse_stretch *stretches; /* rows of each part; none: they are in `rows` already */
    size_t stretch_count, listed;    /* listed: rows in all */
    struct lapse_rows rows;
    struct lapse_columns columns;
    /* Its keys and rows in order, and scratch of sorting. */
    struct lapse_text *keys;
    uint32_t *starts, *order, *ties;
    struct lapse_sort_key *by_key, *by_time;
    size_t key_room, start_room, order_room, tie_room, by_key_room, by_time_room;
    struct lapse_buffer column;      /* scratch of putting rows in order */
    struct lapse_group group;
};

static inline struct merge_key merge_key(const struct lapse_merge *m, struct lapse_text text)
{
    return (struct merge_key){ lapse_text_eight(text, m->skip), text };
}
static inline int merge_order(const struct merge_key *a, const struct merge_key *b)
{
    if (a->eight != b->eight)
        return a->eight < b->eight ? -1 : 1;
    return b->text.data ? lapse_text_order(a->text, b->text) : -1;
}
/* Bytes that two texts begin with. */
static inline size_t merge_shared(struct lapse_text a, struct lapse_text b)
{
    size_t n = 0;
    while (n < a.size && n < b.size && a.data[n] == b.data[n])
        n++;
    return n;
}

/* Readers whose keys are in the chunk move on; with `key` these and all others that are below go on to it. */
lapse_status lapse_merge_move(struct lapse_merge *m, const struct merge_key *key, lapse_error *error);
/* The same, and makes the next chunk: of one key when m->wanted is 1. */
lapse_status lapse_merge_fill(struct lapse_merge *m, lapse_error *error);

#endif
