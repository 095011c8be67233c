/* Any number of runs as one: keys in ascending order, each with all its rows in canonical order.
 *
 * Each run has a cursor on its current key. A step takes the least key; when it lies whole in one block of one run,
 * the group is a slice of the decoded block and nothing is copied; otherwise its rows are collected and merged.
 * Cost: one comparison of keys a run and step (runs are a dozen at most), and the decoding of each block once. */
#include "store/store.h"

struct cursor {
    struct lapse_run *run;
    size_t block_no;             /* of the decoded block; block_count: at the end */
    struct lapse_block block;
    uint32_t key_no;
    struct lapse_text key;
    int64_t *numbers;            /* of the block's rows, if the merge numbers them */
    int64_t number;              /* of the first row of block `numbered` */
    size_t numbered;
};

struct lapse_merge {
    const lapse_allocator *mem;
    uint32_t fields;
    int digits;
    size_t count;
    struct cursor *cursors;
    bool bounded;
    struct lapse_text to;
    char to_bytes[256], key_bytes[256];
    struct cursor *slice;        /* whose block the group handed out last lies in */
    struct lapse_rows rows;      /* of a group that had to be collected */
    struct lapse_columns columns;
    uint32_t *order, *scratch;
    size_t order_capacity, scratch_capacity;
    struct lapse_group group;
};

static int compare(struct lapse_text a, struct lapse_text b)
{
    return lapse_text_compare(a.data, a.size, b.data, b.size);
}

static bool at_end(const struct cursor *c)
{
    return c->block_no == c->run->block_count;
}

/* What the directory says of a block is true of it, and an event has a time and a kind: seeking and reading rely on
 * that, and a checksum does not show it when both were made by hand. */
static bool agrees(const struct lapse_run *run, const struct lapse_run_block *b, const struct lapse_block *block)
{
    const struct lapse_keys *keys = &block->keys;
    const uint32_t needed = run->family == LAPSE_RUN_FINGERPRINTS
                                ? LAPSE_FIELD_BIT(LAPSE_F_VALUE)
                                : LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND);
    return block->rows == b->rows && keys->count == b->keys && (block->fields & needed) == needed &&
           compare(lapse_keys_text(keys, 0), b->first_key) == 0 &&
           compare(lapse_keys_text(keys, keys->count - 1), b->last_key) == 0;
}

static lapse_status load(struct lapse_merge *m, struct cursor *c, lapse_error *error)
{
    if (at_end(c))
        return LAPSE_OK;
    const struct lapse_run_block *b = &c->run->blocks[c->block_no];
    lapse_status status = lapse_file_get_block(c->run->file, b->id, &c->block.bytes, error);
    /* Blocks go with their run or after it: one that is gone before was not rewritten but lost. */
    if (status == LAPSE_STALE && lapse_file_has_run(c->run->file, c->run->id))
        return lapse_fail(error, LAPSE_DAMAGED, "block %lld of run %lld is missing", (long long)b->id,
                          (long long)c->run->id);
    if (status != LAPSE_OK)
        return status;
    bool sound = lapse_hash(c->block.bytes.data, c->block.bytes.size, (uint64_t)b->id) == b->checksum;
    sound = sound && lapse_block_decode(&c->block, m->fields) && agrees(c->run, b, &c->block);
    if (c->block.bytes.failed)
        return lapse_fail_memory(error);
    if (!sound)
        return lapse_fail(error, LAPSE_DAMAGED, "block %lld of run %lld is damaged", (long long)b->id,
                          (long long)c->run->id);
    c->key_no = 0;
    c->key = lapse_keys_text(&c->block.keys, 0);
    if (c->numbers) {
        for (; c->numbered < c->block_no; c->numbered++)
            c->number += c->run->blocks[c->numbered].rows;
        for (uint32_t i = 0; i < c->block.rows; i++)
            c->numbers[i] = c->number + i;
        c->block.columns.number[LAPSE_F_LINE] = c->numbers;
        c->block.columns.fields |= LAPSE_FIELD_BIT(LAPSE_F_LINE);
    }
    return LAPSE_OK;
}

/* On to the next key entry; a key that goes on in the next block is met there again. */
static lapse_status step(struct lapse_merge *m, struct cursor *c, lapse_error *error)
{
    if (++c->key_no < c->block.keys.count) {
        c->key = lapse_keys_text(&c->block.keys, c->key_no);
        return LAPSE_OK;
    }
    c->block_no++;
    return load(m, c, error);
}

/* The first block at or after `from` whose last key is not below `key`. */
static size_t find_block(const struct lapse_run *run, size_t from, struct lapse_text key)
{
    size_t low = from, high = run->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(run->blocks[middle].last_key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static lapse_status seek(struct lapse_merge *m, struct cursor *c, struct lapse_text key, bool loaded,
                         lapse_error *error)
{
    size_t block = find_block(c->run, c->block_no, key);
    if (!loaded || block != c->block_no) {
        c->block_no = block;
        lapse_status status = load(m, c, error);
        if (status != LAPSE_OK || at_end(c))
            return status;
    }
    uint32_t low = c->key_no, high = c->block.keys.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(lapse_keys_text(&c->block.keys, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    c->key_no = low; /* there is one: the block's last key is not below */
    c->key = lapse_keys_text(&c->block.keys, low);
    return LAPSE_OK;
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
    lapse_rows_init(&m->rows, mem);
    m->cursors = lapse_mem_zero(mem, count ? count : 1, sizeof *m->cursors);
    if (!m->cursors) {
        lapse_merge_close(m);
        return lapse_fail_memory(error);
    }
    if (to) {
        m->bounded = true;
        memcpy(m->to_bytes, to->data, to->size);
        m->to = (struct lapse_text){ m->to_bytes, to->size };
    }
    lapse_status status = LAPSE_OK;
    int64_t rows = 0;
    for (; m->count < count; m->count++) {
        struct cursor *c = &m->cursors[m->count];
        c->number = rows;
        rows += runs[m->count]->rows;
        if (fields & LAPSE_FIELD_BIT(LAPSE_F_LINE) &&
            !(c->numbers = lapse_mem_alloc(mem, LAPSE_BLOCK_ROWS * sizeof *c->numbers)))
            status = lapse_fail_memory(error);
        c->run = runs[m->count];
        c->block.mem = mem;
        lapse_buffer_init(&c->block.bytes, mem);
        lapse_run_retain(c->run);
    }
    for (size_t i = 0; i < count && status == LAPSE_OK; i++)
        status = from ? seek(m, &m->cursors[i], *from, false, error) : load(m, &m->cursors[i], error);
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
    for (size_t i = 0; i < m->count; i++) {
        lapse_block_free(&m->cursors[i].block);
        lapse_mem_free(m->mem, m->cursors[i].numbers);
        lapse_run_release(m->cursors[i].run);
    }
    lapse_mem_free(m->mem, m->cursors);
    lapse_rows_free(&m->rows);
    lapse_mem_free(m->mem, m->order);
    lapse_mem_free(m->mem, m->scratch);
    lapse_mem_free(m->mem, m);
}

/* While the group handed out last is a slice of a block, its cursor has not moved on. */
static lapse_status leave_slice(struct lapse_merge *m, lapse_error *error)
{
    struct cursor *c = m->slice;
    m->slice = NULL;
    return c ? step(m, c, error) : LAPSE_OK;
}

lapse_status lapse_merge_seek(struct lapse_merge *m, struct lapse_text key, lapse_error *error)
{
    lapse_status status = leave_slice(m, error);
    for (size_t i = 0; i < m->count && status == LAPSE_OK; i++)
        if (!at_end(&m->cursors[i]) && compare(m->cursors[i].key, key) < 0)
            status = seek(m, &m->cursors[i], key, true, error);
    return status;
}

static bool in_order(const struct lapse_merge *m, const struct lapse_columns *c, size_t i, size_t j)
{
    return lapse_columns_compare(c, i, c, j, m->digits) <= 0;
}

/* Merges the sorted stretches order[from[i]] .. order[from[i + 1]] pairwise; `bounds` has `parts` + 1 entries. */
static bool merge_order(struct lapse_merge *m, const struct lapse_columns *c, size_t *bounds, size_t parts)
{
    size_t n = bounds[parts];
    if (!lapse_mem_reserve(m->mem, &m->scratch, &m->scratch_capacity, n, sizeof *m->scratch))
        return false;
    while (parts > 1) {
        size_t kept = 0;
        for (size_t p = 0; p < parts; p += 2) {
            size_t i = bounds[p], middle = p + 1 < parts ? bounds[p + 1] : bounds[parts];
            size_t j = middle, end = p + 1 < parts ? bounds[p + 2] : middle, k = i;
            while (i < middle || j < end) {
                bool left = j == end || (i < middle && in_order(m, c, m->order[i], m->order[j]));
                m->scratch[k++] = left ? m->order[i++] : m->order[j++];
            }
            bounds[++kept] = end;
        }
        memcpy(m->order, m->scratch, n * sizeof *m->order);
        parts = kept;
    }
    return true;
}

static bool sorted(const struct lapse_merge *m, const struct lapse_columns *c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (!in_order(m, c, i - 1, i))
            return false;
    return true;
}

/* Collects all rows of the least key from every run that has it. */
static lapse_status collect(struct lapse_merge *m, lapse_error *error)
{
    struct lapse_group *g = &m->group;
    size_t bounds_room[65], *bounds = bounds_room, parts = 0;
    if (m->count >= 64 && !(bounds = lapse_mem_zero(m->mem, m->count + 1, sizeof *bounds)))
        return lapse_fail_memory(error);
    lapse_rows_clear(&m->rows);
    bounds[0] = 0;
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < m->count && status == LAPSE_OK; i++) {
        struct cursor *c = &m->cursors[i];
        bool has = false;
        while (status == LAPSE_OK && !at_end(c) && compare(c->key, g->key) == 0) {
            uint32_t first = c->block.keys.start[c->key_no], n = c->block.keys.start[c->key_no + 1] - first;
            has = true;
            if (!lapse_rows_gather(&m->rows, &c->block.columns, m->fields, NULL, first, n))
                status = lapse_fail_memory(error);
            else
                status = step(m, c, error);
        }
        if (has)
            bounds[++parts] = m->rows.count;
    }
    if (status == LAPSE_OK) {
        lapse_rows_columns(&m->rows, &m->columns);
        g->columns = &m->columns;
        g->first = 0;
        g->count = (int64_t)m->rows.count;
        size_t n = m->rows.count;
        if (parts > 1 && !sorted(m, g->columns, n)) {
            bool ok = lapse_mem_reserve(m->mem, &m->order, &m->order_capacity, n, sizeof *m->order);
            for (size_t i = 0; ok && i < n; i++)
                m->order[i] = (uint32_t)i;
            ok = ok && merge_order(m, g->columns, bounds, parts) && lapse_rows_reorder(&m->rows, m->order);
            lapse_rows_columns(&m->rows, &m->columns);
            if (!ok)
                status = lapse_fail_memory(error);
        }
    }
    if (bounds != bounds_room)
        lapse_mem_free(m->mem, bounds);
    return status;
}

lapse_status lapse_merge_next(struct lapse_merge *m, const struct lapse_group **out, lapse_error *error)
{
    struct cursor *least = NULL;
    bool alone = true;
    *out = NULL;
    lapse_status status = leave_slice(m, error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < m->count; i++) {
        struct cursor *c = &m->cursors[i];
        if (at_end(c))
            continue;
        int order = least ? compare(c->key, least->key) : -1;
        if (order < 0) {
            least = c;
            alone = true;
        } else if (order == 0) {
            alone = false;
        }
    }
    if (!least || (m->bounded && compare(least->key, m->to) >= 0))
        return LAPSE_DONE;
    struct lapse_group *g = &m->group;
    const struct lapse_keys *keys = &least->block.keys;
    bool goes_on = least->key_no + 1 == keys->count && least->block_no + 1 < least->run->block_count &&
                   compare(least->run->blocks[least->block_no + 1].first_key, least->key) == 0;
    memcpy(m->key_bytes, least->key.data, least->key.size);
    g->key = (struct lapse_text){ m->key_bytes, least->key.size };
    if (alone && !goes_on) {
        g->columns = &least->block.columns;
        g->first = keys->start[least->key_no];
        g->count = keys->start[least->key_no + 1] - keys->start[least->key_no];
        m->slice = least;
    } else {
        status = collect(m, error);
        if (status != LAPSE_OK)
            return status;
    }
    *out = g;
    return LAPSE_OK;
}
