/* Any number of runs as one: keys in ascending order, each with all its rows in canonical order.
 *
 * A heap holds the runs by their current key. Keys are taken in chunks: a stretch that lies in one block of one run is
 * handed out where it is decoded; otherwise each run gives a stretch of its block, these are copied column by column,
 * and a list of rows brings them into order. A chunk ends where a block ends, and begins with one key after a seek,
 * growing from chunk to chunk, so that a question about one customer reads nothing ahead. Only a key that goes on in
 * the next block is collected row by row.
 *
 * Cost: a few comparisons of eight bytes of a key for each key of each run, twice the logarithm of the runs; two
 * copies of a value; each block is decoded once. Memory: a decoded block for each run that has been read, and a chunk:
 * 8,192 rows, or those of one customer. */
#include "store/store.h"

enum { STRETCH = 8 }; /* keys, from which on it pays to hand out a part of a block by itself */

struct place {
    uint64_t prefix;             /* of its key: eight bytes behind what all keys share, as a number */
    uint32_t reader;
};
struct row_at {
    uint32_t reader, row;        /* reader == count: of `columns` */
};
struct share {                   /* of a reader in the chunk under construction: rows first .. first + n of its block */
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
    struct share *shares;
    struct place *heap;
    uint32_t heap_count;
    uint32_t *taken, taken_count; /* readers whose key is in the chunk and that have not moved on yet; not in the heap */
    uint32_t *sharing, sharing_count; /* readers with rows in the chunk under construction */
    size_t *bounds;              /* of the stretches of one key */
    size_t wanted;               /* rows in the next chunk */
    struct lapse_chunk chunk;
    size_t chunk_at;             /* its next key */
    struct lapse_text *keys;     /* of the chunk */
    uint32_t *starts;
    size_t key_room, start_room;
    struct lapse_rows rows;      /* of a chunk that had to be copied */
    struct lapse_columns columns;
    struct row_at *list, *scratch;
    size_t listed, list_room, scratch_room;
    uint32_t *order;
    size_t order_room;
    struct lapse_group group;
};

static int compare(struct lapse_text a, struct lapse_text b)
{
    return lapse_text_compare(a.data, a.size, b.data, b.size);
}

/* ---- the heap --------------------------------------------------------------------------------------------- */

static uint64_t prefix_of(const struct lapse_merge *m, struct lapse_text key)
{
    uint8_t b[8] = { 0 };
    uint64_t v = 0;
    size_t n = key.size > m->skip ? key.size - m->skip : 0;
    if (n >= 8)
        memcpy(b, key.data + m->skip, 8);
    else
        for (size_t i = 0; i < n; i++)
            b[i] = (uint8_t)key.data[m->skip + i];
    for (int i = 0; i < 8; i++)
        v = v << 8 | b[i];
    return v;
}

static int compare_places(const struct lapse_merge *m, const struct place *a, const struct place *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return compare(m->readers[a->reader].entry.key, m->readers[b->reader].entry.key);
}

/* Equal keys in the order of their runs. */
static bool before(const struct lapse_merge *m, const struct place *a, const struct place *b)
{
    int order = compare_places(m, a, b);
    return order ? order < 0 : a->reader < b->reader;
}

static void sift_down(struct lapse_merge *m, uint32_t i)
{
    struct place x = m->heap[i];
    for (uint32_t child; (child = 2 * i + 1) < m->heap_count; i = child) {
        if (child + 1 < m->heap_count && before(m, &m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(m, &m->heap[child], &x))
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = x;
}

static void push(struct lapse_merge *m, uint32_t reader)
{
    struct place x = { prefix_of(m, m->readers[reader].entry.key), reader };
    uint32_t i = m->heap_count;
    if (lapse_reader_at_end(&m->readers[reader]))
        return;
    for (m->heap_count++; i > 0 && before(m, &x, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = x;
}

static void pop(struct lapse_merge *m)
{
    m->heap[0] = m->heap[--m->heap_count];
    if (m->heap_count)
        sift_down(m, 0);
}

/* The reader of the least key has moved on. */
static void replace(struct lapse_merge *m)
{
    struct lapse_reader *r = &m->readers[m->heap[0].reader];
    if (lapse_reader_at_end(r)) {
        pop(m);
        return;
    }
    m->heap[0].prefix = prefix_of(m, r->entry.key);
    sift_down(m, 0);
}

/* Has no other reader the least key? */
static bool is_alone(const struct lapse_merge *m)
{
    return (m->heap_count < 2 || compare_places(m, &m->heap[0], &m->heap[1]) != 0) &&
           (m->heap_count < 3 || compare_places(m, &m->heap[0], &m->heap[2]) != 0);
}

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
        if (!least.data || compare(first, least) < 0)
            least = first;
        if (!most.data || compare(last, most) > 0)
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
    return run->block_count > 0 && !(to && compare(run->blocks[0].first_key, *to) >= 0) &&
           !(from && compare(run->blocks[run->block_count - 1].last_key, *from) < 0);
}

lapse_status lapse_merge_open(struct lapse_store *store, struct lapse_run *const *runs, size_t count, uint32_t fields,
                              const struct lapse_text *from, const struct lapse_text *to, struct lapse_merge **out,
                              lapse_error *error)
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
    for (size_t i = 0; i < count && status == LAPSE_OK; i++) {
        struct lapse_reader *r = &m->readers[m->count];
        if (!reaches(runs[i], from, to))
            continue;
        lapse_reader_open(r, runs[i]);
        m->count++;
        if (from)
            status = lapse_reader_seek(r, *from, error);
        if (status == LAPSE_OK && !lapse_reader_at_end(r) && !(m->bounded && compare(r->entry.key, m->to) >= 0))
            push(m, m->count - 1);
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
    void *arrays[] = { m->readers, m->shares, m->heap,    m->taken, m->bounds,
                       m->keys,    m->starts, m->list, m->scratch, m->order };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(m->mem, arrays[i]);
    lapse_rows_free(&m->rows);
    lapse_mem_free(m->mem, m);
}

/* ---- rows of one key ------------------------------------------------------------------------------------------ */

static const struct lapse_columns *columns_of(const struct lapse_merge *m, uint32_t reader)
{
    return reader == m->count ? &m->columns : &m->readers[reader].block.columns;
}

static bool in_order(const struct lapse_merge *m, struct row_at a, struct row_at b)
{
    return lapse_columns_compare(columns_of(m, a.reader), a.row, columns_of(m, b.reader), b.row, m->digits) <= 0;
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
        m->list[m->listed++] = (struct row_at){ reader, first + i };
    return true;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static bool put_key(struct lapse_merge *m, struct lapse_text key, size_t end)
{
    size_t n = m->chunk.keys;
    if ((n + 2 > m->key_room && !lapse_mem_reserve(m->mem, &m->keys, &m->key_room, n + 2, sizeof *m->keys)) ||
        (n + 2 > m->start_room && !lapse_mem_reserve(m->mem, &m->starts, &m->start_room, n + 2, sizeof *m->starts)) ||
        end > UINT32_MAX)
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
    struct place least = m->heap[0];
    lapse_status status = LAPSE_OK;
    *first = m->taken_count;
    do {
        uint32_t i = m->heap[0].reader;
        m->taken[m->taken_count++] = i;
        pop(m);
        status = lapse_reader_load(&m->readers[i], error);
    } while (status == LAPSE_OK && m->heap_count && compare_places(m, &m->heap[0], &least) == 0);
    return status;
}

static bool beyond(const struct lapse_merge *m)
{
    return m->heap_count == 0 || (m->bounded && compare(m->readers[m->heap[0].reader].entry.key, m->to) >= 0);
}

/* The rows listed become the chunk: each reader's share is copied, and brought into order. */
static lapse_status finish_chunk(struct lapse_merge *m, lapse_error *error)
{
    bool straight = true;
    struct share *shares = m->shares;
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
        struct share *s = &shares[m->sharing[i]];
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
        } while (status == LAPSE_OK && !lapse_reader_at_end(r) && compare(r->entry.key, key) == 0);
        m->bounds[++parts] = m->rows.count;
        push(m, m->taken[t]);
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
            if (!bounded || compare(key, bound) < 0)
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
            compare(run->blocks[r->block_no].last_key, run->blocks[r->block_no + 1].first_key) == 0)
            end--;
    }
    return end > r->key_no ? end - r->key_no : 0;
}

/* The first `n` keys of the first reader, where they lie. */
static lapse_status take_stretch(struct lapse_merge *m, uint32_t n, lapse_error *error)
{
    uint32_t i = m->heap[0].reader;
    struct lapse_reader *r = &m->readers[i];
    size_t rows = 0;
    lapse_status status = lapse_reader_rows(r, m->fields, error);
    if (status != LAPSE_OK)
        return status;
    m->chunk.columns = &r->block.columns;
    m->chunk.first = r->entry.first;
    m->chunk.order = NULL;
    pop(m);
    m->taken[m->taken_count++] = i;
    for (uint32_t k = 0; k < n; k++) {
        struct lapse_text key = r->has_keys ? lapse_keys_text(&r->block.keys, r->key_no + k) : r->entry.key;
        rows = r->has_keys ? r->block.keys.start[r->key_no + k + 1] - r->entry.first : r->entry.rows;
        if (!put_key(m, key, rows))
            return lapse_fail_memory(error);
    }
    r->key_no += n - 1;
    return LAPSE_OK;
}

/* Lists the rows of one key of one reader, which are decoded. */
static bool list_share(struct lapse_merge *m, uint32_t i)
{
    const struct lapse_reader *r = &m->readers[i];
    struct share *s = &m->shares[i];
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
    bool ok = (parts == 1 || merge_list(m, parts)) && put_key(m, m->readers[m->taken[first]].entry.key, m->listed);
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
        replace(m);
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
        if (status != LAPSE_OK || beyond(m) || m->listed >= m->wanted || (m->chunk.keys && stretch(m) >= STRETCH))
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
                push(m, m->taken[--m->taken_count]);
            break;
        }
        if (status == LAPSE_OK)
            status = list_key(m, first, error);
        while (status == LAPSE_OK && !ends && m->taken_count > first) {
            uint32_t i = m->taken[--m->taken_count];
            status = lapse_reader_next(&m->readers[i], error);
            if (status == LAPSE_OK)
                push(m, i);
        }
    }
    return status == LAPSE_OK ? finish_chunk(m, error) : status;
}

/* Moves on, and makes the next chunk. */
static lapse_status next_chunk(struct lapse_merge *m, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    m->chunk.keys = m->chunk_at = 0;
    while (m->taken_count && status == LAPSE_OK) {
        uint32_t i = m->taken[--m->taken_count];
        status = lapse_reader_next(&m->readers[i], error);
        if (status == LAPSE_OK)
            push(m, i);
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

/* ---- what is handed out ------------------------------------------------------------------------------------------- */

lapse_status lapse_merge_chunk(struct lapse_merge *m, const struct lapse_chunk **out, lapse_error *error)
{
    m->wanted = LAPSE_BLOCK_ROWS;
    lapse_status status = next_chunk(m, error);
    m->chunk_at = m->chunk.keys;
    *out = status == LAPSE_OK ? &m->chunk : NULL;
    return status;
}

lapse_status lapse_merge_next(struct lapse_merge *m, const struct lapse_group **out, lapse_error *error)
{
    *out = NULL;
    if (m->chunk_at == m->chunk.keys) {
        lapse_status status = next_chunk(m, error);
        if (status != LAPSE_OK)
            return status;
        if (m->chunk.order) {
            if (!lapse_rows_reorder(&m->rows, m->chunk.order)) {
                m->chunk.keys = 0;
                return lapse_fail_memory(error);
            }
            lapse_rows_columns(&m->rows, &m->columns);
        }
    }
    size_t k = m->chunk_at++;
    m->group = (struct lapse_group){ m->keys[k], m->starts[k + 1] - m->starts[k], m->chunk.columns,
                                     m->chunk.first + m->starts[k] };
    *out = &m->group;
    return LAPSE_OK;
}

lapse_status lapse_merge_seek(struct lapse_merge *m, struct lapse_text key, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    if (m->chunk_at < m->chunk.keys && compare(m->keys[m->chunk.keys - 1], key) >= 0) {
        size_t low = m->chunk_at, high = m->chunk.keys - 1;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (compare(m->keys[middle], key) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        m->chunk_at = low;
        return LAPSE_OK;
    }
    m->wanted = 1;
    if (m->chunk.keys && compare(m->keys[m->chunk.keys - 1], key) >= 0)
        return LAPSE_OK; /* never back */
    m->chunk.keys = m->chunk_at = 0;
    while (m->taken_count && status == LAPSE_OK) {
        uint32_t i = m->taken[--m->taken_count];
        status = lapse_reader_seek(&m->readers[i], key, error);
        if (status == LAPSE_OK)
            push(m, i);
    }
    while (m->heap_count && status == LAPSE_OK && compare(m->readers[m->heap[0].reader].entry.key, key) < 0) {
        status = lapse_reader_seek(&m->readers[m->heap[0].reader], key, error);
        if (status == LAPSE_OK)
            replace(m);
    }
    return status;
}
