/* Any number of runs as one: keys in ascending order, each with all its rows in canonical order.
 *
 * Keys are taken in chunks (merge_chunk.c). The first chunk, and the first after a seek, is one key, and they grow from
 * one to the next, so that a question about one customer reads nothing ahead.
 *
 * Cost: a comparison of eight bytes for each key of each run and doubling of the runs; two copies of a value; each
 * block is decoded once; a few comparisons of each run for each chunk. Memory: a decoded block for each run that has
 * been read, and a chunk: at most as many rows as these, or those of one customer. */
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
    return merge_shared(least, most);
}

/* Can a run have keys in the range? Of hundreds of small runs most cannot have those of one customer. */
static bool reaches(const struct lapse_run *run, const struct lapse_text *from, const struct lapse_text *to)
{
    return run->block_count > 0 && !(to && lapse_text_order(run->blocks[0].first_key, *to) >= 0) &&
           !(from && lapse_text_order(run->blocks[run->block_count - 1].last_key, *from) < 0);
}

/* Of a text that need not begin with what all keys share: then it is below or above all of them. */
static struct merge_key any_key(const struct lapse_merge *m, struct lapse_text text)
{
    struct merge_key key = merge_key(m, text);
    size_t n = text.size < m->skip ? text.size : m->skip;
    int c = m->count && n ? memcmp(text.data, m->readers[0].run->blocks[0].first_key.data, n) : 0;
    if (c)
        key.eight = c < 0 ? 0 : UINT64_MAX;
    return key;
}

/* Is there no key above this one and below `to`? So it is where one customer is asked for. */
static bool is_last(const struct lapse_merge *m, struct lapse_text key)
{
    struct lapse_text to = m->to.text;
    return to.data && to.size == key.size + 1 && to.data[key.size] == 0 && memcmp(to.data, key.data, key.size) == 0;
}

lapse_status lapse_merge_move(struct lapse_merge *m, const struct merge_key *key, lapse_error *error)
{
    const bool only = key && is_last(m, key->text); /* of runs that do not have it nothing is wanted */
    size_t kept = 0;
    for (size_t i = 0; i < m->live; i++) {
        struct merge_place p = m->places[i];
        struct lapse_reader *r = &m->readers[p.reader];
        if (key ? merge_order(&p.key, key) < 0 : p.taken) {
            if (!key && is_last(m, r->entry.key))
                continue;
            lapse_status status = key ? lapse_reader_seek(r, key->text, only, error) : lapse_reader_next(r, error);
            if (status != LAPSE_OK)
                return status;
            p.key = merge_key(m, r->entry.key);
            p.taken = false;
            if (lapse_reader_at_end(r) || merge_order(&p.key, &m->to) >= 0)
                continue;
        }
        m->places[kept++] = p;
    }
    m->live = kept;
    return LAPSE_OK;
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
    int64_t rows = 0; /* of the runs before */
    size_t reached = 0;
    for (size_t i = 0; i < count; i++)
        reached += reaches(runs[i], from, to);
    m->readers = lapse_mem_zero(mem, reached + 1, sizeof *m->readers);
    m->places = lapse_mem_zero(mem, reached + 1, sizeof *m->places);
    m->bounds = lapse_mem_zero(mem, reached + 1, sizeof *m->bounds);
    m->stretches = lapse_mem_zero(mem, reached + 1, sizeof *m->stretches);
    if (!m->readers || !m->places || !m->bounds || !m->stretches) {
        lapse_merge_close(m);
        return lapse_fail_memory(error);
    }
    m->skip = shared_bytes(runs, count);
    for (size_t i = 0; i < count; rows += runs[i++]->rows) {
        struct lapse_reader *r = &m->readers[m->count];
        if (!reaches(runs[i], from, to))
            continue;
        lapse_reader_open(r, runs[i]);
        r->number = rows;
        m->places[m->live++] = (struct merge_place){ merge_key(m, r->entry.key), m->count++, false };
    }
    m->to.eight = UINT64_MAX;
    if (to) {
        memcpy(m->to_bytes, to->data, to->size);
        m->to = any_key(m, (struct lapse_text){ m->to_bytes, to->size });
    }
    lapse_status status = LAPSE_OK;
    if (from) {
        struct merge_key least = any_key(m, *from);
        status = lapse_merge_move(m, &least, error);
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
    void *arrays[] = { m->readers, m->places, m->bounds, m->stretches, m->entries, m->begins,
                       m->keys,    m->starts, m->order,  m->ties,      m->by_key,  m->by_time };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(m->mem, arrays[i]);
    lapse_rows_free(&m->rows);
    lapse_buffer_free(&m->column);
    lapse_mem_free(m->mem, m);
}

/* ---- what is handed out ------------------------------------------------------------------------------------------- */

lapse_status lapse_merge_chunk(struct lapse_merge *m, const struct lapse_chunk **out, lapse_error *error)
{
    m->wanted = m->wanted == 1 ? 2 : m->wanted; /* nobody asks for one */
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
    const struct lapse_chunk *c = &m->chunk;
    m->group = (struct lapse_group){ c->text[k], c->start[k + 1] - c->start[k], c->columns, c->first + c->start[k],
                                     k ? 0 : c->start[c->keys] };
    *out = &m->group;
    return LAPSE_OK;
}

lapse_status lapse_merge_seek(struct lapse_merge *m, struct lapse_text key, lapse_error *error)
{
    const struct lapse_text *text = m->chunk.text;
    if (m->chunk.keys && lapse_text_order(text[m->chunk.keys - 1], key) >= 0) {
        m->chunk_at = lapse_texts_find(text, m->chunk_at, m->chunk.keys, key); /* never back */
        m->wanted = m->chunk_at < m->chunk.keys ? m->wanted : 1;
        return LAPSE_OK;
    }
    struct merge_key to = any_key(m, key);
    m->wanted = 1;
    m->chunk.keys = m->chunk_at = 0;
    return lapse_merge_move(m, &to, error);
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
