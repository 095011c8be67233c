/* Any number of runs as one: keys in ascending order, each with all its rows in canonical order.
 *
 * A heap holds the runs by their current key (merge_heap.c); keys are taken from it in chunks (merge_chunk.c). The first
 * chunk, and the first after a seek, is one key, and they grow from one to the next, so that a question about one
 * customer reads nothing ahead.
 *
 * Cost: a few comparisons of eight bytes of a key for each key of each run, twice the logarithm of the runs; two
 * copies of a value; each block is decoded once. Memory: a decoded block for each run that has been read, and a chunk:
 * 8,192 rows, or those of one customer. */
#include "store/merge.h"

/* ---- opening and closing ----------------------------------------------------------------------------------- */

/* All keys lie between the least first key and the greatest last one, and so share what these two share. */
static size_t shared_bytes(struct lapse_run *const *runs, size_t count)
{
    struct lapse_text least = { NULL, 0 }, most = { NULL, 0 };
    for (size_t i = 0; i < count; i++) {
        if (runs[i]->block_count == 0)
            continue;
        struct lapse_text first = runs[i]->blocks[0].first_key;
        struct lapse_text last = runs[i]->blocks[runs[i]->block_count - 1].last_key;
        if (!least.data || lapse_text_order(first, least) < 0)
            least = first;
        if (!most.data || lapse_text_order(last, most) > 0)
            most = last;
    }
    size_t n = 0;
    while (n < least.size && n < most.size && least.data[n] == most.data[n])
        n++;
    return n;
}

/* Can a run have keys in the range? Of hundreds of small runs most cannot have those of one customer. */
static bool reaches(const struct lapse_run *run, const struct lapse_text *from, const struct lapse_text *to)
{
    return run->block_count > 0 && !(to && lapse_text_order(run->blocks[0].first_key, *to) >= 0) &&
           !(from && lapse_text_order(run->blocks[run->block_count - 1].last_key, *from) < 0);
}

lapse_status lapse_merge_open(struct lapse_store *store, struct lapse_run *const *runs, size_t count,
                              uint32_t fields, const struct lapse_text *from, const struct lapse_text *to,
                              struct lapse_merge **out, lapse_error *error)
{
    const lapse_allocator *mem = &store->mem;
    *out = NULL;
    struct lapse_merge *m = lapse_mem_zero(mem, 1, sizeof *m);
    if (!m)
        return lapse_fail_memory(error);
    m->mem = mem;
    m->fields = fields;
    m->digits = store->digits;
    m->wanted = 1;
    lapse_rows_init(&m->rows, mem);
    lapse_buffer_init(&m->column, mem);
    size_t reached = 0;
    for (size_t i = 0; i < count; i++)
        reached += reaches(runs[i], from, to);
    m->readers = lapse_mem_zero(mem, reached + 1, sizeof *m->readers);
    m->shares = lapse_mem_zero(mem, reached + 1, sizeof *m->shares);
    m->heap = lapse_mem_zero(mem, reached + 1, sizeof *m->heap);
    m->taken = lapse_mem_zero(mem, 2 * (reached + 1), sizeof *m->taken);
    m->bounds = lapse_mem_zero(mem, reached + 1, sizeof *m->bounds);
    if (!m->readers || !m->shares || !m->heap || !m->taken || !m->bounds) {
        lapse_merge_close(m);
        return lapse_fail_memory(error);
    }
    m->sharing = m->taken + reached + 1;
    m->skip = shared_bytes(runs, count);
    if (to) {
        m->bounded = true;
        memcpy(m->to_bytes, to->data, to->size);
        m->to = (struct lapse_text){ m->to_bytes, to->size };
    }
    lapse_status status = LAPSE_OK;
    int64_t rows = 0; /* of the runs before */
    for (size_t i = 0; i < count && status == LAPSE_OK; rows += runs[i++]->rows) {
        struct lapse_reader *r = &m->readers[m->count];
        if (!reaches(runs[i], from, to))
            continue;
        lapse_reader_open(r, runs[i]);
        r->number = rows;
        m->count++;
        if (from)
            status = lapse_reader_seek(r, *from, error);
        if (status == LAPSE_OK && !lapse_reader_at_end(r) && !(m->bounded && lapse_text_order(r->entry.key, m->to) >= 0))
            lapse_merge_push(m, m->count - 1);
    }
    if (status != LAPSE_OK) {
        lapse_merge_close(m);
        return status;
    }
    *out = m;
    return LAPSE_OK;
}

void lapse_merge_close(struct lapse_merge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        lapse_reader_close(&m->readers[i]);
    void *arrays[] = { m->readers, m->shares, m->heap, m->taken,   m->bounds,
                       m->keys,    m->starts, m->list, m->scratch, m->order };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(m->mem, arrays[i]);
    lapse_rows_free(&m->rows);
    lapse_buffer_free(&m->column);
    lapse_mem_free(m->mem, m);
}

/* ---- what is handed out ------------------------------------------------------------------------------------------- */

lapse_status lapse_merge_chunk(struct lapse_merge *m, const struct lapse_chunk **out, lapse_error *error)
{
    m->wanted = LAPSE_BLOCK_ROWS;
    lapse_status status = lapse_merge_fill(m, error);
    m->chunk_at = m->chunk.keys;
    *out = status == LAPSE_OK ? &m->chunk : NULL;
    return status;
}

lapse_status lapse_merge_next(struct lapse_merge *m, const struct lapse_group **out, lapse_error *error)
{
    *out = NULL;
    if (m->chunk_at == m->chunk.keys) {
        lapse_status status = lapse_merge_fill(m, error);
        if (status != LAPSE_OK)
            return status;
        if (m->chunk.order) {
            if (!lapse_rows_reorder(&m->rows, m->chunk.order, &m->column)) {
                m->chunk.keys = 0;
                return lapse_fail_memory(error);
            }
            lapse_rows_columns(&m->rows, &m->columns);
        }
    }
    size_t k = m->chunk_at++;
    m->group = (struct lapse_group){ m->keys[k], m->starts[k + 1] - m->starts[k], m->chunk.columns,
                                     m->chunk.first + m->starts[k], k ? 0 : m->starts[m->chunk.keys] };
    *out = &m->group;
    return LAPSE_OK;
}

lapse_status lapse_merge_seek(struct lapse_merge *m, struct lapse_text key, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    if (m->chunk_at < m->chunk.keys && lapse_text_order(m->keys[m->chunk.keys - 1], key) >= 0) {
        size_t low = m->chunk_at, high = m->chunk.keys - 1;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (lapse_text_order(m->keys[middle], key) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        m->chunk_at = low;
        return LAPSE_OK;
    }
    m->wanted = 1;
    if (m->chunk.keys && lapse_text_order(m->keys[m->chunk.keys - 1], key) >= 0)
        return LAPSE_OK; /* never back */
    m->chunk.keys = m->chunk_at = 0;
    while (m->taken_count && status == LAPSE_OK) {
        uint32_t i = m->taken[--m->taken_count];
        status = lapse_reader_seek(&m->readers[i], key, error);
        if (status == LAPSE_OK)
            lapse_merge_push(m, i);
    }
    while (m->heap_count && status == LAPSE_OK && lapse_text_order(m->readers[m->heap[0].reader].entry.key, key) < 0) {
        status = lapse_reader_seek(&m->readers[m->heap[0].reader], key, error);
        if (status == LAPSE_OK)
            lapse_merge_replace(m);
    }
    return status;
}

lapse_status lapse_merge_find(struct lapse_merge *m, struct lapse_text key, const struct lapse_group **out,
                              lapse_error *error)
{
    *out = NULL;
    if (!m->ended && (!m->found || lapse_text_order(m->group.key, key) < 0)) {
        const struct lapse_group *g;
        m->found = false;
        lapse_status status = lapse_merge_seek(m, key, error);
        if (status == LAPSE_OK)
            status = lapse_merge_next(m, &g, error);
        m->ended = status == LAPSE_DONE;
        if (status != LAPSE_OK && status != LAPSE_DONE)
            return status;
        m->found = status == LAPSE_OK;
    }
    if (m->found && lapse_text_equal(m->group.key, key))
        *out = &m->group;
    return LAPSE_OK;
}
