/* Shared by stage.c, stage_part.c and stage_sort.c only: rows in parts by a hash of their customer.
 *
 * Millions of customers do not fit the cache, so nothing may be visited at random in all of memory. Rows come in
 * batches and are dealt out to parts, which only ever write at the ends of their columns. A part knows its customers by
 * a hash table, in which it looks up thousands of rows at once, so that the table comes into the cache once for all of
 * them. In the end each part is sorted by itself; then ranges of
 * ids, chosen from the customers of one part (a random sample, since a hash dealt them), are put together from all
 * parts and written. Both steps are tasks for any number of threads, and the result is the same for any number. */
#ifndef LAPSE_LIB_STORE_STAGE_H
#define LAPSE_LIB_STORE_STAGE_H

#include "store/identity.h"

enum {
    STAGE_PARTS = 64,
    STAGE_ID = 5 /* bytes before an id */
};

struct stage_part {
    const lapse_allocator *mem;
    struct lapse_lock *lock;    /* while rows are put: of these five */
    struct lapse_rows rows;     /* all columns but the customer */
    size_t taken;               /* of so many rows the customers were looked up, or are */
    struct lapse_buffer pending; /* of the other rows: high half of the hash (4 bytes), size of the id (1), the id */
    bool finding;               /* a thread looks customers up: all that follows is its own */
    struct stage_found {
        uint32_t *customer;     /* of so many rows: the number of their customer in this part */
        size_t rows;
    } *found;                   /* of the rows that were taken, in their order */
    size_t found_count, found_room;
    uint64_t *slots;            /* high half of the hash << 32 | place in `ids` + 1; 0: free */
    size_t slot_count;          /* a power of two, at least twice the customers */
    struct lapse_buffer ids;    /* of each customer its number (4 bytes), the size of its id (1) and the id */
    uint32_t *id_at;            /* of customers: their place in `ids` */
    size_t id_room;
    uint32_t customers;
    uint32_t *start;            /* once sorted, by id: customer k has rows start[k] .. start[k + 1] */
};

struct lapse_stage {
    struct lapse_store *store;
    const lapse_allocator *mem;
    struct lapse_columns constants;
    bool keep_lines;
    uint64_t seed;              /* of hashes; decides no answer */
    size_t limit;
    atomic_size_t used;         /* bytes of the parts that hold something */
    size_t part_count;          /* a power of two */
    struct stage_part parts[STAGE_PARTS];
    struct lapse_run **runs;
    size_t run_count, run_capacity;
};

static inline struct lapse_text stage_id(const struct stage_part *part, uint32_t customer)
{
    const char *at = part->ids.data + part->id_at[customer];
    return (struct lapse_text){ at + STAGE_ID, (uint8_t)at[STAGE_ID - 1] };
}

/* ---- stage_part.c ---- */

void lapse_stage_part_init(struct stage_part *part, const lapse_allocator *mem, bool compact); /* compact: as of rows */
void lapse_stage_part_free(struct stage_part *part);
void lapse_stage_part_clear(struct stage_part *part); /* empty again */
bool lapse_stage_part_reserve(struct stage_part *part, size_t rows, size_t customers); /* as many are expected */
/* With part->lock held: rows order[0 .. n) of `from`, whose customers have the hashes hash[order[i]] and ids of so many
 * bytes in all. False: no memory. */
bool lapse_stage_part_put(struct stage_part *part, const struct lapse_columns *from, const uint32_t *order, size_t n,
                          const uint64_t *hash, size_t bytes);
/* With part->lock held: what is pending changes places with *spare, which is empty, if it is worth being looked up and
 * no thread does so. Of how many rows it is; then the caller looks it up. */
size_t lapse_stage_part_take(struct stage_part *part, struct lapse_buffer *spare);
/* Looks up the customers of the n rows that were taken, without the lock, which is taken to say that it is done. *more:
 * bytes that it took for them. False: no memory. */
bool lapse_stage_part_find(struct stage_part *part, const struct lapse_buffer *taken, size_t n, size_t *more);
size_t lapse_stage_part_bytes(const struct stage_part *part); /* of rows and of what is pending; with part->lock held */
/* Scratch of a thread that sorts one part after the other: memory that was touched before is cheaper. */
struct stage_scratch {
    struct lapse_buffer keys, order, rank, column;
};
void lapse_stage_scratch_init(struct stage_scratch *scratch, const lapse_allocator *mem);
void lapse_stage_scratch_free(struct stage_scratch *scratch);
/* Customers are numbered anew, by id; rows are put in their order, each one's canonically. False: no memory. */
bool lapse_stage_part_sort(struct stage_part *part, const struct lapse_columns *constants, int digits,
                           struct stage_scratch *scratch);

/* ---- stage_sort.c ---- */

/* Sorts and writes all rows as one run, and empties the parts. */
lapse_status lapse_stage_write(struct lapse_stage *stage, struct lapse_crew *crew, struct lapse_run **out, lapse_error *error);

#endif
