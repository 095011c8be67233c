/* Rows in any order, collected in memory until they are written as a sorted run; how is said in stage.h.
 * Per row about 15 ns to put, 15 to sort, 15 to write. */
#include "store/stage.h"

/* Fewer rows than this need not be dealt out: one part of them fits the cache. */
enum { ONE_PART_ROWS = 1 << 15 };

lapse_status lapse_stage_new(struct lapse_store *store, const struct lapse_columns *constants, size_t limit,
                             uint64_t expected, struct lapse_stage **out, lapse_error *error)
{
    struct lapse_stage *s = *out = lapse_mem_zero(&store->mem, 1, sizeof *s);
    if (!s)
        return lapse_fail_memory(error);
    s->store = store;
    s->mem = &store->mem;
    s->constants = *constants;
    s->limit = limit;
    s->part_count = expected < ONE_PART_ROWS ? 1 : STAGE_PARTS;
    atomic_init(&s->used, 0);
    /* Drawn so that nobody can prepare ids that meet in one slot. */
    if (!lapse_random(&s->seed, sizeof s->seed))
        s->seed = (uint64_t)(uintptr_t)s;
    for (size_t p = 0; p < s->part_count; p++)
        lapse_stage_part_init(&s->parts[p], s->mem, s->part_count > 1);
    const size_t rows = (size_t)(expected / s->part_count);
    for (size_t p = 0; p < s->part_count; p++)
        if (!(s->parts[p].lock = lapse_lock_new(s->mem)) || /* in a few rows most customers are new */
            !lapse_stage_part_reserve(&s->parts[p], rows, s->part_count == 1 ? rows : 0)) {
            lapse_stage_free(s);
            *out = NULL;
            return lapse_fail_memory(error);
        }
    return LAPSE_OK;
}

void lapse_stage_keep_lines(struct lapse_stage *s)
{
    s->keep_lines = true;
}

void lapse_stage_hand_init(struct lapse_stage_hand *hand, const lapse_allocator *mem)
{
    *hand = (struct lapse_stage_hand){ .mem = mem };
    lapse_buffer_init(&hand->waiting, mem);
}

void lapse_stage_hand_free(struct lapse_stage_hand *hand)
{
    lapse_mem_free(hand->mem, hand->hash);
    lapse_mem_free(hand->mem, hand->order);
    lapse_buffer_free(&hand->waiting);
    lapse_stage_hand_init(hand, hand->mem);
}

/* Customers are looked up outside of the lock: that takes a hundred times as long as to put rows, and who came to a
 * part meanwhile would wait. */
static bool put_part(struct lapse_stage *s, struct lapse_stage_hand *hand, struct stage_part *part,
                     const struct lapse_columns *rows, const uint32_t *order, size_t n, size_t bytes)
{
    size_t taken, more;
    lapse_lock_take(part->lock);
    const size_t before = lapse_stage_part_bytes(part);
    bool ok = lapse_stage_part_put(part, rows, order, n, hand->hash, bytes);
    taken = ok ? lapse_stage_part_take(part, &hand->waiting) : 0;
    atomic_fetch_add(&s->used, lapse_stage_part_bytes(part) - before);
    lapse_lock_give(part->lock);
    if (taken == 0)
        return ok;
    ok = lapse_stage_part_find(part, &hand->waiting, taken, &more);
    atomic_fetch_add(&s->used, more);
    hand->waiting.size = 0;
    return ok;
}

lapse_status lapse_stage_put(struct lapse_stage *s, struct lapse_stage_hand *hand, const struct lapse_columns *rows,
                             size_t n, lapse_error *error)
{
    uint32_t begin[STAGE_PARTS + 1] = { 0 }, at[STAGE_PARTS];
    size_t bytes[STAGE_PARTS] = { 0 }; /* of ids */
    const uint64_t mask = s->part_count - 1;
    if (!lapse_mem_reserve(s->mem, &hand->hash, &hand->hash_room, n, sizeof *hand->hash) ||
        !lapse_mem_reserve(s->mem, &hand->order, &hand->order_room, n, sizeof *hand->order))
        return lapse_fail_memory(error);
    const bool plain = lapse_columns_plain(rows, LAPSE_F_CUSTOMER);
    for (size_t i = 0; i < n; i++) {
        struct lapse_text id = lapse_columns_text_of(rows, LAPSE_F_CUSTOMER, i, plain);
        hand->hash[i] = lapse_hash(id.data, id.size, s->seed);
        begin[(hand->hash[i] & mask) + 1]++;
        bytes[hand->hash[i] & mask] += id.size;
    }
    for (size_t p = 0; p < s->part_count; p++) {
        at[p] = begin[p];
        begin[p + 1] += begin[p];
    }
    for (size_t i = 0; i < n; i++)
        hand->order[at[hand->hash[i] & mask]++] = (uint32_t)i;
    bool ok = true;
    for (size_t k = 0; k < s->part_count && ok; k++) {
        size_t p = (k + hand->first_part) & mask; /* threads that begin at different parts seldom meet */
        if (begin[p] != begin[p + 1])
            ok = put_part(s, hand, &s->parts[p], rows, hand->order + begin[p], begin[p + 1] - begin[p], bytes[p]);
    }
    return ok ? LAPSE_OK : lapse_fail_memory(error);
}

bool lapse_stage_full(const struct lapse_stage *s)
{
    return atomic_load(&s->used) >= s->limit;
}

lapse_status lapse_stage_flush(struct lapse_stage *s, struct lapse_crew *crew, lapse_error *error)
{
    if (atomic_load(&s->used) == 0)
        return LAPSE_OK;
    if (!lapse_mem_reserve(s->mem, &s->runs, &s->run_capacity, s->run_count + 1, sizeof(struct lapse_run *)))
        return lapse_fail_memory(error);
    lapse_status status = lapse_stage_write(s, crew, &s->runs[s->run_count], error);
    if (status == LAPSE_OK) {
        s->run_count++;
        atomic_store(&s->used, 0);
    }
    return status;
}

size_t lapse_stage_runs(struct lapse_stage *s, struct lapse_run ***runs)
{
    *runs = s->runs;
    return s->run_count;
}

void lapse_stage_free(struct lapse_stage *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->run_count; i++)
        lapse_run_release(s->runs[i]);
    for (size_t p = 0; p < s->part_count; p++) {
        lapse_stage_part_free(&s->parts[p]);
        lapse_lock_free(s->mem, s->parts[p].lock);
    }
    lapse_mem_free(s->mem, s->runs);
    lapse_mem_free(s->mem, s);
}
