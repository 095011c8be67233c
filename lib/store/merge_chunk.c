/* The next keys of a merge, many at once.
 *
 * A chunk is what all readers have below a bound: the first key of a reader's next block, or the key so many places
 * ahead. So what it needs is decoded and lies together: a stretch of a block of each reader. Of one reader alone it is
 * handed out where it is decoded, and a longer stretch of one reader below the keys of all others is a chunk for that.
 * Otherwise stretches are copied column by column, their keys merged pairwise by eight bytes, and a list of rows brings
 * the columns into order. Where nothing is below the bound, the least key goes on in a next block: it is a chunk of its
 * own. */
#include "store/merge.h"

enum { STRETCH = 8 }; /* keys, from which on it pays to hand out a part of a block by itself */

/* ---- sorting what is sorted in parts ---------------------------------------------------------------------------- */

/* Merges two sorted parts, a .. a_end before equal keys of b .. b_end, from both ends at once: neither waits for the
 * other, and no branch depends on the keys. */
static void merge_two(const struct lapse_sort_key *a, const struct lapse_sort_key *a_end,
                      const struct lapse_sort_key *b, const struct lapse_sort_key *b_end, struct lapse_sort_key *out)
{
    struct lapse_sort_key *out_end = out + (a_end - a) + (b_end - b);
    while (a < a_end && b < b_end)
        for (ptrdiff_t n = a_end - a < b_end - b ? a_end - a : b_end - b; n > 0; n--) {
            const size_t right = b->key < a->key, left = b_end[-1].key < a_end[-1].key;
            const struct lapse_sort_key *least[] = { a, b }, *most[] = { b_end - 1, a_end - 1 };
            *out++ = *least[right];
            *--out_end = *most[left];
            a += 1 - right;
            b += right;
            a_end -= left;
            b_end -= 1 - left;
        }
    memcpy(out, a, (size_t)(a_end - a) * sizeof *out);
    memcpy(out + (a_end - a), b, (size_t)(b_end - b) * sizeof *out);
}

/* Merges from[bounds[p]] .. from[bounds[p + 1]] pairwise; the result lies in one of the two and is returned. */
static struct lapse_sort_key *merge_parts(struct lapse_sort_key *from, struct lapse_sort_key *to, size_t *bounds,
                                          size_t parts)
{
    while (parts > 1) {
        size_t kept = 0;
        for (size_t p = 0; p < parts; p += 2) {
            const struct lapse_sort_key *middle = from + bounds[p + 1];
            const struct lapse_sort_key *end = p + 2 <= parts ? from + bounds[p + 2] : middle;
            merge_two(from + bounds[p], middle, middle, end, to + bounds[p]);
            bounds[++kept] = (size_t)(end - from);
        }
        struct lapse_sort_key *swap = from;
        from = to;
        to = swap;
        parts = kept;
    }
    return from;
}

/* The same for n keys, with room for as many more; equal ones are settled by `order`. NULL: no memory. */
static struct lapse_sort_key *merge_settled(struct lapse_merge *m, struct lapse_sort_key *keys, size_t n,
                                            size_t *bounds, size_t parts, lapse_order_fn order)
{
    struct lapse_sort_key *sorted = merge_parts(keys, keys + n, bounds, parts);
    for (size_t i = 0, j; i < n; i = j) {
        bool settled = true;
        for (j = i + 1; j < n && sorted[j].key == sorted[i].key; j++)
            settled = settled && order(m, sorted[j - 1].index, sorted[j].index) <= 0;
        if (settled)
            continue;
        if (!lapse_mem_reserve(m->mem, &m->ties, &m->tie_room, 2 * (j - i), sizeof *m->ties))
            return NULL;
        for (size_t t = i; t < j; t++)
            m->ties[t - i] = sorted[t].index;
        lapse_sort_indices(m->ties, j - i, m->ties + (j - i), order, m);
        for (size_t t = i; t < j; t++)
            sorted[t].index = m->ties[t - i];
    }
    return sorted;
}

/* ---- what is copied, brought into order ---------------------------------------------------------------------------- */

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_merge *m = user;
    const int64_t *time = m->columns.number[LAPSE_F_TIME];
    if (time && time[a] != time[b])
        return time[a] < time[b] ? -1 : 1;
    return lapse_columns_compare(&m->columns, a, &m->columns, b, m->digits);
}

static int order_entries(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_merge *m = user;
    return lapse_text_order(m->entries[a], m->entries[b]);
}

/* Rows of one key, order[bounds[p]] .. order[bounds[p + 1]] from one reader each, which are not in order one after the
 * other. */
static bool merge_rows(struct lapse_merge *m, size_t parts)
{
    size_t begin = m->bounds[0], n = m->bounds[parts] - begin;
    if (!lapse_mem_reserve(m->mem, &m->by_time, &m->by_time_room, 2 * n, sizeof *m->by_time))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t row = m->order[begin + i];
        int64_t time = lapse_columns_number(&m->columns, LAPSE_F_TIME, row);
        m->by_time[i] = (struct lapse_sort_key){ (uint64_t)time ^ UINT64_C(1) << 63, row };
    }
    for (size_t p = 0; p <= parts; p++)
        m->bounds[p] -= begin;
    const struct lapse_sort_key *sorted = merge_settled(m, m->by_time, n, m->bounds, parts, order_rows);
    for (size_t i = 0; sorted && i < n; i++)
        m->order[begin + i] = sorted[i].index;
    return sorted != NULL;
}

static bool make_room(struct lapse_merge *m)
{
    size_t n = m->entry_count;
    return lapse_mem_reserve(m->mem, &m->by_key, &m->by_key_room, 2 * n, sizeof *m->by_key) &&
           lapse_mem_reserve(m->mem, &m->keys, &m->key_room, n, sizeof *m->keys) &&
           lapse_mem_reserve(m->mem, &m->starts, &m->start_room, n + 1, sizeof *m->starts) &&
           lapse_mem_reserve(m->mem, &m->order, &m->order_room, m->listed, sizeof *m->order);
}

/* Of short keys the last of the eight bytes is free, and their size there settles all: then *settled. */
static struct lapse_sort_key *sort_entries(struct lapse_merge *m, bool *settled)
{
    struct lapse_text least = m->entries[0], most = least;
    uint32_t longest = 0;
    for (size_t p = 0; p < m->parts; p++) {
        struct lapse_text first = m->entries[m->bounds[p]], last = m->entries[m->bounds[p + 1] - 1];
        least = lapse_text_order(first, least) < 0 ? first : least;
        most = lapse_text_order(last, most) > 0 ? last : most;
    }
    for (size_t e = 0; e < m->entry_count; e++)
        longest = m->entries[e].size > longest ? m->entries[e].size : longest;
    size_t skip = merge_shared(least, most);
    *settled = longest < skip + 8;
    for (size_t e = 0; e < m->entry_count; e++) {
        struct lapse_text t = m->entries[e];
        m->by_key[e] = (struct lapse_sort_key){ lapse_text_eight(t, skip) | (*settled ? t.size : 0), (uint32_t)e };
    }
    return *settled ? merge_parts(m->by_key, m->by_key + m->entry_count, m->bounds, m->parts)
                    : merge_settled(m, m->by_key, m->entry_count, m->bounds, m->parts, order_entries);
}

/* The chunk of what lies in `rows`. */
static bool arrange(struct lapse_merge *m)
{
    bool settled;
    const struct lapse_sort_key *sorted = make_room(m) ? sort_entries(m, &settled) : NULL;
    const uint32_t *begins = m->begins;
    uint32_t *order = m->order, keys = 0, rows = 0;
    bool straight = true;
    if (!sorted)
        return false;
    for (size_t i = 0, j = 0, n = m->entry_count; i < n; i = j) {
        size_t parts = 0;
        bool in_order = true;
        m->keys[keys] = m->entries[sorted[i].index];
        m->starts[keys++] = rows;
        m->bounds[0] = rows;
        do {
            uint32_t row = begins[sorted[j].index], end = begins[sorted[j].index + 1];
            straight = straight && row == rows;
            in_order = in_order && (j == i || order_rows(m, order[rows - 1], row) <= 0);
            while (row < end)
                order[rows++] = row++;
            m->bounds[++parts] = rows;
            j++;
        } while (j < n && sorted[j].key == sorted[i].key &&
                 (settled || order_entries(m, sorted[i].index, sorted[j].index) == 0));
        if (!in_order && !merge_rows(m, parts))
            return false;
        straight = straight && in_order;
    }
    m->starts[keys] = rows;
    m->chunk = (struct lapse_chunk){ keys, m->keys, m->starts, &m->columns, straight ? NULL : order, 0 };
    return true;
}

static bool make_chunk(struct lapse_merge *m)
{
    m->begins[m->entry_count] = (uint32_t)m->listed;
    if (m->stretch_count == 1) { /* it lies there as it should */
        m->chunk = (struct lapse_chunk){ m->entry_count,           m->entries, m->begins,
                                         m->stretches[0].from, NULL,       m->stretches[0].first };
        return true;
    }
    if (!lapse_rows_gather_stretches(&m->rows, m->stretches, m->stretch_count, UINT32_MAX, NULL) ||
        m->listed > UINT32_MAX)
        return false;
    lapse_rows_columns(&m->rows, &m->columns);
    return arrange(m);
}

/* ---- what a chunk is made of ------------------------------------------------------------------------------------ */

/* The live places of the least key and of the next one, which may be equal; *next: m->live when there is none. */
static size_t find_least(const struct lapse_merge *m, size_t *next)
{
    size_t least = 0;
    *next = m->live;
    for (size_t i = 1; i < m->live; i++) {
        if (merge_order(&m->places[i].key, &m->places[least].key) < 0) {
            *next = least;
            least = i;
        } else if (*next == m->live || merge_order(&m->places[i].key, &m->places[*next].key) < 0) {
            *next = i;
        }
    }
    return least;
}

static bool list_entries(struct lapse_merge *m, size_t n)
{
    return lapse_mem_reserve(m->mem, &m->entries, &m->entry_room, m->entry_count + n, sizeof *m->entries) &&
           lapse_mem_reserve(m->mem, &m->begins, &m->begin_room, m->entry_count + n + 1, sizeof *m->begins);
}

static void end_part(struct lapse_merge *m, struct merge_place *place)
{
    place->taken = true;
    m->bounds[0] = 0;
    m->bounds[++m->parts] = m->entry_count;
}

/* The keys of a reader from its own up to that of number `end`. */
static lapse_status take(struct lapse_merge *m, struct merge_place *place, uint32_t end, lapse_error *error)
{
    struct lapse_reader *r = &m->readers[place->reader];
    const struct lapse_keys *keys = &r->block.keys;
    size_t base = m->listed - r->entry.first, e = m->entry_count; /* may wrap; what is added brings it back */
    if (!list_entries(m, end - r->key_no))
        return lapse_fail_memory(error);
    m->entries[e] = r->entry.key;
    m->begins[e++] = (uint32_t)m->listed;
    for (uint32_t k = r->key_no + 1; k < end; k++, e++) {
        m->entries[e] = lapse_keys_text(keys, k);
        m->begins[e] = (uint32_t)(base + keys->start[k]);
    }
    if (end > r->key_no + 1)
        r->entry.rows = keys->start[end] - r->entry.first;
    r->key_no = end - 1;
    m->entry_count = e;
    m->listed += r->entry.rows;
    m->stretches[m->stretch_count++] = (struct lapse_stretch){ &r->block.columns, r->entry.first, r->entry.rows };
    end_part(m, place);
    return lapse_reader_rows(r, m->fields, error);
}

/* All rows of a reader's key, from block to block. */
static lapse_status collect(struct lapse_merge *m, struct merge_place *place, lapse_error *error)
{
    struct lapse_reader *r = &m->readers[place->reader];
    if (!list_entries(m, 1))
        return lapse_fail_memory(error);
    for (bool goes_on = true; goes_on;) {
        lapse_status status = lapse_reader_rows(r, m->fields, error);
        if (status == LAPSE_OK && !lapse_rows_gather(&m->rows, &r->block.columns, UINT32_MAX, NULL, r->entry.first,
                                                     r->entry.rows))
            status = lapse_fail_memory(error);
        goes_on = lapse_reader_goes_on(r);
        if (status == LAPSE_OK && goes_on)
            status = lapse_reader_next(r, error);
        if (status == LAPSE_OK && goes_on)
            status = lapse_reader_load(r, error);
        if (status != LAPSE_OK)
            return status;
    }
    m->entries[m->entry_count] = r->entry.key;
    m->begins[m->entry_count++] = (uint32_t)m->listed;
    m->listed = m->rows.count;
    place->key.text = r->entry.key;
    end_part(m, place);
    return LAPSE_OK;
}

/* The least key, of all readers that have it. */
static lapse_status take_one(struct lapse_merge *m, lapse_error *error)
{
    size_t next, first = find_least(m, &next);
    bool goes_on = false;
    lapse_status status = LAPSE_OK;
    for (size_t i = first; i < m->live && status == LAPSE_OK; i++) {
        struct merge_place *p = &m->places[i];
        p->taken = merge_order(&p->key, &m->places[first].key) == 0;
        if (p->taken) {
            status = lapse_reader_load(&m->readers[p->reader], error);
            goes_on = goes_on || (status == LAPSE_OK && lapse_reader_goes_on(&m->readers[p->reader]));
        }
    }
    for (size_t i = first; i < m->live && status == LAPSE_OK; i++) {
        struct merge_place *p = &m->places[i];
        if (p->taken)
            status = goes_on ? collect(m, p, error) : take(m, p, m->readers[p->reader].key_no + 1, error);
    }
    return status;
}

static void lower(const struct lapse_merge *m, struct merge_key *bound, struct lapse_text text)
{
    struct merge_key key = merge_key(m, text);
    if (merge_order(&key, bound) < 0)
        *bound = key;
}

/* Decodes the keys of the block that a reader is in, and ends the chunk before its next block. */
static lapse_status enter(struct lapse_merge *m, const struct merge_place *place, struct merge_key *bound,
                          lapse_error *error)
{
    struct lapse_reader *r = &m->readers[place->reader];
    lapse_status status = lapse_reader_load(r, error);
    if (status == LAPSE_OK)
        status = lapse_reader_keys(r, error);
    if (status == LAPSE_OK && r->block_no + 1 < r->run->block_count)
        lower(m, bound, r->run->blocks[r->block_no + 1].first_key);
    return status;
}

/* The number of the first key of a reader that is not below the bound. */
static uint32_t keys_below(const struct lapse_reader *r, const struct merge_key *bound)
{
    return bound->text.data ? lapse_keys_find(&r->block.keys, r->key_no, bound->text) : r->block.keys.count;
}

/* Keys of all readers, as many as wanted of one at most; nothing when the least key goes on in a next block. */
static lapse_status take_many(struct lapse_merge *m, lapse_error *error)
{
    size_t next, first = find_least(m, &next);
    const struct lapse_reader *r = &m->readers[m->places[first].reader];
    struct merge_key bound = m->to, alone;
    lapse_status status = enter(m, &m->places[first], &bound, error);
    if (status != LAPSE_OK)
        return status;
    alone = bound;
    if (next < m->live && merge_order(&m->places[next].key, &alone) < 0)
        alone = m->places[next].key;
    if (m->live == 1 || keys_below(r, &alone) - r->key_no >= STRETCH) {
        bound = alone;
        m->wanted = STRETCH;
    } else {
        for (size_t i = 0; i <= m->live && status == LAPSE_OK; i++) { /* the first one first */
            size_t at = i == 0 ? first : i - 1;
            if ((i > 0 && at == first) || merge_order(&m->places[at].key, &bound) >= 0)
                continue;
            status = enter(m, &m->places[at], &bound, error);
            r = &m->readers[m->places[at].reader];
            if (status == LAPSE_OK && m->wanted < r->block.keys.count - r->key_no)
                lower(m, &bound, lapse_keys_text(&r->block.keys, r->key_no + (uint32_t)m->wanted));
        }
        size_t most = LAPSE_BLOCK_ROWS / m->live; /* so that the chunk stays in the cache */
        m->wanted = m->wanted * 8 < most ? m->wanted * 8 : most > STRETCH ? most : STRETCH;
    }
    for (size_t i = 0; i < m->live && status == LAPSE_OK; i++)
        if (merge_order(&m->places[i].key, &bound) < 0)
            status = take(m, &m->places[i], keys_below(&m->readers[m->places[i].reader], &bound), error);
    return status;
}

lapse_status lapse_merge_fill(struct lapse_merge *m, lapse_error *error)
{
    lapse_status status = lapse_merge_move(m, NULL, error);
    m->chunk = (struct lapse_chunk){ 0 };
    m->chunk_at = 0;
    m->entry_count = m->parts = m->stretch_count = m->listed = 0;
    lapse_rows_clear(&m->rows);
    if (status == LAPSE_OK && m->live == 0)
        return LAPSE_DONE;
    if (status == LAPSE_OK && m->wanted > 1)
        status = take_many(m, error);
    if (status == LAPSE_OK && m->parts == 0) {
        status = take_one(m, error);
        m->wanted = m->wanted < STRETCH ? STRETCH : m->wanted;
    }
    if (status == LAPSE_OK && !make_chunk(m))
        status = lapse_fail_memory(error);
    if (status != LAPSE_OK)
        m->chunk.keys = 0;
    return status;
}
