/* The next keys of a merge, many at once.
 *
 * Keys are taken in chunks: a stretch that lies in one block of one run is handed out where it is decoded; otherwise each
 * run gives a stretch of its block, these are copied column by column, and a list of rows brings them into order. A chunk
 * ends where a block ends. Only a key that goes on in the next block is collected row by row. */
#include "store/merge.h"

enum { STRETCH = 8 }; /* keys, from which on it pays to hand out a part of a block by itself */

/* Has no other reader the least key? */
static bool is_alone(const struct lapse_merge *m)
{
    return (m->heap_count < 2 || merge_compare(m, &m->heap[0], &m->heap[1]) != 0) &&
           (m->heap_count < 3 || merge_compare(m, &m->heap[0], &m->heap[2]) != 0);
}

/* ---- rows of one key ------------------------------------------------------------------------------------------ */

static const struct lapse_columns *columns_of(const struct lapse_merge *m, uint32_t reader)
{
    return reader == m->count ? &m->columns : &m->readers[reader].block.columns;
}

static bool in_order(const struct lapse_merge *m, struct merge_row a, struct merge_row b)
{
    return lapse_columns_compare(columns_of(m, a.reader), a.row, columns_of(m, b.reader), b.row, m->digits) <=
           0;
}

/* Merges the sorted stretches list[bounds[i]] .. list[bounds[i + 1]] pairwise; most often they are in order already,
 * for a run holds what came later than that of the run before. */
static bool merge_list(struct lapse_merge *m, size_t parts)
{
    size_t *bounds = m->bounds, begin = bounds[0], n = bounds[parts] - begin;
    if (!lapse_mem_reserve(m->mem, &m->scratch, &m->scratch_room, n, sizeof *m->scratch))
        return false;
    while (parts > 1) {
        size_t kept = 0;
        for (size_t p = 0; p + 1 < parts; p += 2) {
            size_t first = bounds[p], middle = bounds[p + 1], end = bounds[p + 2], i = first, j = middle, k = 0;
            bounds[++kept] = end;
            if (in_order(m, m->list[middle - 1], m->list[middle]))
                continue;
            while (i < middle || j < end) {
                bool left = j == end || (i < middle && in_order(m, m->list[i], m->list[j]));
                m->scratch[k++] = left ? m->list[i++] : m->list[j++];
            }
            memcpy(m->list + first, m->scratch, k * sizeof *m->list);
        }
        if (parts % 2)
            bounds[++kept] = bounds[parts];
        parts = kept;
    }
    return true;
}

static bool list_rows(struct lapse_merge *m, uint32_t reader, uint32_t first, uint32_t n)
{
    if (m->listed + n > m->list_room &&
        !lapse_mem_reserve(m->mem, &m->list, &m->list_room, m->listed + n, sizeof *m->list))
        return false;
    for (uint32_t i = 0; i < n; i++)
        m->list[m->listed++] = (struct merge_row){ reader, first + i };
    return true;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static bool room_for_keys(struct lapse_merge *m, size_t n)
{
    return (n <= m->key_room || lapse_mem_reserve(m->mem, &m->keys, &m->key_room, n, sizeof *m->keys)) &&
           (n < m->start_room || lapse_mem_reserve(m->mem, &m->starts, &m->start_room, n + 1, sizeof *m->starts));
}

static bool put_key(struct lapse_merge *m, struct lapse_text key, size_t end)
{
    size_t n = m->chunk.keys;
    if (!room_for_keys(m, n + 1) || end > UINT32_MAX)
        return false;
    m->keys[n] = key;
    m->starts[0] = 0;
    m->starts[n + 1] = (uint32_t)end;
    m->chunk.keys++;
    return true;
}

/* Takes the readers with the least key out of the heap; they are the last of m->taken from *first on. */
static lapse_status take_least(struct lapse_merge *m, uint32_t *first, lapse_error *error)
{
    struct merge_place least = m->heap[0];
    lapse_status status = LAPSE_OK;
    *first = m->taken_count;
    do {
        uint32_t i = m->heap[0].reader;
        m->taken[m->taken_count++] = i;
        lapse_merge_pop(m);
        status = lapse_reader_load(&m->readers[i], error);
    } while (status == LAPSE_OK && m->heap_count && merge_compare(m, &m->heap[0], &least) == 0);
    return status;
}

static bool beyond(const struct lapse_merge *m)
{
    return m->heap_count == 0 || (m->bounded && lapse_text_order(m->readers[m->heap[0].reader].entry.key, m->to) >= 0);
}

/* The rows listed become the chunk: each reader's share is copied, and brought into order. */
static lapse_status finish_chunk(struct lapse_merge *m, lapse_error *error)
{
    bool straight = true;
    struct merge_share *shares = m->shares;
    m->chunk.first = 0;
    m->chunk.order = NULL;
    m->chunk.columns = &m->columns;
    if (m->sharing_count == 1) { /* it lies there as it should */
        m->chunk.columns = columns_of(m, m->sharing[0]);
        m->chunk.first = shares[m->sharing[0]].first;
        shares[m->sharing[0]].n = 0;
        return LAPSE_OK;
    }
    lapse_rows_clear(&m->rows);
    for (uint32_t i = 0; i < m->sharing_count; i++) {
        struct merge_share *s = &shares[m->sharing[i]];
        s->base = m->rows.count - s->first; /* may wrap; what is added brings it back */
        if (!lapse_rows_gather(&m->rows, columns_of(m, m->sharing[i]), UINT32_MAX, NULL, s->first, s->n))
            return lapse_fail_memory(error);
        s->n = 0;
    }
    if (!lapse_mem_reserve(m->mem, &m->order, &m->order_room, m->listed, sizeof *m->order))
        return lapse_fail_memory(error);
    for (size_t i = 0; i < m->listed; i++) {
        m->order[i] = (uint32_t)(shares[m->list[i].reader].base + m->list[i].row);
        straight &= m->order[i] == i;
    }
    lapse_rows_columns(&m->rows, &m->columns);
    m->chunk.order = straight ? NULL : m->order;
    return LAPSE_OK;
}

/* A key that goes on in the next block of a reader of m->taken[first ...] is a chunk of its own. */
static lapse_status collect(struct lapse_merge *m, uint32_t first, lapse_error *error)
{
    struct lapse_text key = m->readers[m->taken[first]].entry.key;
    size_t parts = 0;
    lapse_status status = LAPSE_OK;
    memcpy(m->key_bytes, key.data, key.size);
    key.data = m->key_bytes;
    lapse_rows_clear(&m->rows);
    m->bounds[0] = 0;
    for (uint32_t t = first; t < m->taken_count && status == LAPSE_OK; t++) {
        struct lapse_reader *r = &m->readers[m->taken[t]];
        do {
            status = lapse_reader_load(r, error);
            if (status == LAPSE_OK)
                status = lapse_reader_rows(r, m->fields, error);
            if (status == LAPSE_OK && !lapse_rows_gather(&m->rows, &r->block.columns, UINT32_MAX, NULL,
                                                         r->entry.first, r->entry.rows))
                status = lapse_fail_memory(error);
            if (status == LAPSE_OK)
                status = lapse_reader_next(r, error);
        } while (status == LAPSE_OK && !lapse_reader_at_end(r) && lapse_text_equal(r->entry.key, key));
        m->bounds[++parts] = m->rows.count;
        lapse_merge_push(m, m->taken[t]);
    }
    m->taken_count = first;
    if (status != LAPSE_OK)
        return status;
    lapse_rows_columns(&m->rows, &m->columns);
    m->chunk.columns = &m->columns;
    m->chunk.first = 0;
    m->chunk.order = NULL;
    bool ok = m->rows.count <= UINT32_MAX && list_rows(m, m->count, 0, (uint32_t)m->rows.count) &&
              merge_list(m, parts) && put_key(m, key, m->listed) &&
              lapse_mem_reserve(m->mem, &m->order, &m->order_room, m->listed, sizeof *m->order);
    for (size_t i = 0; ok && i < m->listed; i++) {
        m->order[i] = m->list[i].row;
        if (m->order[i] != i)
            m->chunk.order = m->order;
    }
    return ok ? LAPSE_OK : lapse_fail_memory(error);
}

/* How many keys from that of the first reader on lie in its block and below those of all others. */
static uint32_t stretch(const struct lapse_merge *m)
{
    struct lapse_reader *r = &m->readers[m->heap[0].reader];
    uint32_t end = r->key_no + 1;
    if (!r->loaded)
        return 0;
    if (r->has_keys) {
        struct lapse_text bound = m->to;
        bool bounded = m->bounded;
        for (uint32_t i = 1; i < 3 && i < m->heap_count; i++) {
            struct lapse_text key = m->readers[m->heap[i].reader].entry.key;
            if (!bounded || lapse_text_order(key, bound) < 0)
                bound = key;
            bounded = true;
        }
        end = bounded ? lapse_keys_find(&r->block.keys, r->key_no, bound) : r->block.keys.count;
    } else if (!is_alone(m)) {
        end = r->key_no;
    }
    if (end == r->block.keys.count) { /* the last may go on */
        const struct lapse_run *run = r->run;
        if (r->block_no + 1 < run->block_count &&
            lapse_text_equal(run->blocks[r->block_no].last_key, run->blocks[r->block_no + 1].first_key))
            end--;
    }
    return end > r->key_no ? end - r->key_no : 0;
}

/* The first `n` keys of the first reader, where they lie. */
static lapse_status take_stretch(struct lapse_merge *m, uint32_t n, lapse_error *error)
{
    uint32_t i = m->heap[0].reader;
    struct lapse_reader *r = &m->readers[i];
    lapse_status status = lapse_reader_rows(r, m->fields, error);
    if (status != LAPSE_OK)
        return status;
    m->chunk.columns = &r->block.columns;
    m->chunk.first = r->entry.first;
    m->chunk.order = NULL;
    lapse_merge_pop(m);
    m->taken[m->taken_count++] = i;
    if (!r->has_keys) /* it is one */
        return put_key(m, r->entry.key, r->entry.rows) ? LAPSE_OK : lapse_fail_memory(error);
    if (!room_for_keys(m, n))
        return lapse_fail_memory(error);
    m->starts[0] = 0;
    for (uint32_t k = 0; k < n; k++, r->key_no++) {
        m->keys[k] = lapse_keys_text(&r->block.keys, r->key_no);
        m->starts[k + 1] = r->block.keys.start[r->key_no + 1] - r->entry.first;
    }
    r->key_no--;
    m->chunk.keys = n;
    return LAPSE_OK;
}

/* Lists the rows of one key of one reader, which are decoded. */
static bool list_share(struct lapse_merge *m, uint32_t i)
{
    const struct lapse_reader *r = &m->readers[i];
    struct merge_share *s = &m->shares[i];
    if (s->n == 0) {
        s->first = r->entry.first;
        m->sharing[m->sharing_count++] = i;
    }
    s->n += r->entry.rows;
    return list_rows(m, i, r->entry.first, r->entry.rows);
}

/* Lists the rows of one key of the readers m->taken[first ...]. */
static lapse_status list_key(struct lapse_merge *m, uint32_t first, lapse_error *error)
{
    size_t parts = 0;
    m->bounds[0] = m->listed;
    for (uint32_t t = first; t < m->taken_count; t++) {
        lapse_status status = lapse_reader_rows(&m->readers[m->taken[t]], m->fields, error);
        if (status != LAPSE_OK)
            return status;
        if (!list_share(m, m->taken[t]))
            return lapse_fail_memory(error);
        m->bounds[++parts] = m->listed;
    }
    bool ok =
        (parts == 1 || merge_list(m, parts)) && put_key(m, m->readers[m->taken[first]].entry.key, m->listed);
    return ok ? LAPSE_OK : lapse_fail_memory(error);
}

/* The keys that one reader alone has and that are inside of its block, which are most; STRETCH of one reader at most,
 * for longer stretches are handed out as they lie. */
static lapse_status list_alone(struct lapse_merge *m, lapse_error *error)
{
    uint32_t last = UINT32_MAX, times = 0;
    while (m->listed < m->wanted && times < STRETCH && !beyond(m)) {
        uint32_t i = m->heap[0].reader;
        struct lapse_reader *r = &m->readers[i];
        if (!r->loaded || !r->has_keys || r->key_no + 1 == r->block.keys.count || !is_alone(m))
            break;
        lapse_status status = lapse_reader_rows(r, m->fields, error);
        if (status != LAPSE_OK)
            return status;
        if (!list_share(m, i) || !put_key(m, r->entry.key, m->listed))
            return lapse_fail_memory(error);
        status = lapse_reader_next(r, error);
        if (status != LAPSE_OK)
            return status;
        lapse_merge_replace(m);
        times = i == last ? times + 1 : 0;
        last = i;
    }
    return LAPSE_OK;
}

/* Keys one after the other, until rows are as many as wanted, or a block ends, or one reader alone has the least keys
 * for so long that the rest of its stretch should be handed out as it lies. */
static lapse_status gather_chunk(struct lapse_merge *m, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (bool ends = false; !ends && status == LAPSE_OK;) {
        uint32_t first;
        status = list_alone(m, error);
        if (status != LAPSE_OK || beyond(m) || m->listed >= m->wanted ||
            (m->chunk.keys && stretch(m) >= STRETCH))
            break;
        status = take_least(m, &first, error);
        bool goes_on = false;
        for (uint32_t t = first; t < m->taken_count && status == LAPSE_OK; t++) {
            const struct lapse_reader *r = &m->readers[m->taken[t]];
            goes_on |= lapse_reader_goes_on(r);
            ends |= !r->has_keys || r->key_no + 1 == r->block.keys.count;
        }
        if (status == LAPSE_OK && goes_on && m->chunk.keys == 0)
            return collect(m, first, error);
        if (status == LAPSE_OK && goes_on) { /* it comes next */
            while (m->taken_count > first)
                lapse_merge_push(m, m->taken[--m->taken_count]);
            break;
        }
        if (status == LAPSE_OK)
            status = list_key(m, first, error);
        while (status == LAPSE_OK && !ends && m->taken_count > first) {
            uint32_t i = m->taken[--m->taken_count];
            status = lapse_reader_next(&m->readers[i], error);
            if (status == LAPSE_OK)
                lapse_merge_push(m, i);
        }
    }
    return status == LAPSE_OK ? finish_chunk(m, error) : status;
}

lapse_status lapse_merge_fill(struct lapse_merge *m, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    m->chunk.keys = m->chunk_at = 0;
    while (m->taken_count && status == LAPSE_OK) {
        uint32_t i = m->taken[--m->taken_count];
        status = lapse_reader_next(&m->readers[i], error);
        if (status == LAPSE_OK)
            lapse_merge_push(m, i);
    }
    for (uint32_t i = 0; i < m->sharing_count; i++)
        m->shares[m->sharing[i]].n = 0;
    m->sharing_count = 0;
    m->listed = 0;
    if (status == LAPSE_OK && beyond(m))
        return LAPSE_DONE;
    if (status == LAPSE_OK)
        status = lapse_reader_load(&m->readers[m->heap[0].reader], error);
    if (status != LAPSE_OK)
        return status;
    uint32_t n = stretch(m);
    n = n < m->wanted ? n : (uint32_t)m->wanted;
    status = n >= STRETCH || (n > 0 && (m->wanted == 1 || m->heap_count == 1)) ? take_stretch(m, n, error)
                                                                               : gather_chunk(m, error);
    m->wanted = m->wanted * 8 < LAPSE_BLOCK_ROWS ? m->wanted * 8 : LAPSE_BLOCK_ROWS;
    m->chunk.text = m->keys;
    m->chunk.start = m->starts;
    if (status != LAPSE_OK)
        m->chunk.keys = 0;
    return status;
}
