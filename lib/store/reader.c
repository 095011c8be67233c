/* One run, key by key, forward.
 *
 * The directory tells the first key of each block, so a block is read when a key in it is asked for and not before.
 * The first keys met in a block are looked up where they lie, since whoever asks for one customer needs one; from
 * the third on all keys and rows of the block are decoded, so that a pass pays for each value once; and a pass reads
 * four blocks at a time. Cost of one customer: reading a block and its checksum (of events 10 to 20 KB) unless the cache
 * has it, 1 ns a key before it, 1 ns a value of its own. */
#include "store/store.h"

enum { LOOKED_UP = 2 }; /* keys of a block, before all are decoded */
/* Why a block is read: a key of it is looked for; the one before it has ended; so did one of which every key was read. */
enum reason { SOUGHT, STEPPED, PASSED };

static lapse_status damaged(struct lapse_reader *r, lapse_error *error)
{
    if (r->block.bytes.failed)
        return lapse_fail_memory(error);
    return lapse_fail(error, LAPSE_DAMAGED, "block %lld of run %lld is damaged",
                      (long long)r->run->blocks[r->block_no].id, (long long)r->run->id);
}

static void give_back(struct lapse_reader *r)
{
    if (!r->kept)
        return;
    lapse_cache_release(r->run->cache, r->kept);
    r->kept = NULL;
    r->block.bytes = r->own;
}

/* Into r->block.bytes. A pass reads some blocks at once, since locking the file costs as much as reading one. */
static lapse_status fetch(struct lapse_reader *r, enum reason why, lapse_error *error)
{
    const struct lapse_run *run = r->run;
    size_t most = why == PASSED ? LAPSE_READ_AHEAD + 1 : 1, left = run->block_count - r->block_no;
    size_t n = left < most ? left : most, got;
    if (r->block_no - r->ahead_from < r->ahead_count) { /* below it the difference is huge */
        struct lapse_buffer *ahead = &r->ahead[r->block_no - r->ahead_from], before = r->block.bytes;
        r->block.bytes = *ahead;
        *ahead = before;
        return LAPSE_OK;
    }
    int64_t ids[LAPSE_READ_AHEAD + 1];
    struct lapse_buffer *out[LAPSE_READ_AHEAD + 1] = { &r->block.bytes };
    for (size_t i = 0; i < n; i++) {
        ids[i] = run->blocks[r->block_no + i].id;
        if (i > 0)
            out[i] = &r->ahead[i - 1];
    }
    lapse_status status = lapse_file_get_blocks(run->file, ids, n, out, &got, error);
    r->ahead_from = r->block_no + 1;
    r->ahead_count = got ? got - 1 : 0;
    return status;
}

/* The bytes of the block, as they were written. */
static lapse_status read_bytes(struct lapse_reader *r, enum reason why, lapse_error *error)
{
    const struct lapse_run_block *b = &r->run->blocks[r->block_no];
    struct lapse_run *run = r->run;
    /* An answer under way may go on in a child, where nothing else has looked whose handle it is. */
    lapse_status status = lapse_file_check_process(run->file, error);
    if (status != LAPSE_OK)
        return status;
    give_back(r);
    r->kept = lapse_cache_find(run->cache, b->id, b->checksum);
    if (!r->kept) {
        status = lapse_run_check_bytes(run, b, fetch(r, why, error), &r->block.bytes, error);
        if (status == LAPSE_OK && why == SOUGHT)
            r->kept = lapse_cache_keep(run->cache, b->id, b->checksum, &r->block.bytes);
    }
    if (r->kept) {
        r->own = r->block.bytes;
        r->block.bytes = *lapse_cached_bytes(r->kept);
    }
    return status;
}

/* Reads the block. What the directory says of a block is true of it, and an event has a time and a kind: seeking and
 * reading rely on that, and a checksum does not show it when both were made by hand. */
static lapse_status load(struct lapse_reader *r, enum reason why, lapse_error *error)
{
    const struct lapse_run_block *b = &r->run->blocks[r->block_no];
    const uint32_t needed = lapse_families[r->run->family].needed;
    lapse_status status = read_bytes(r, why, error);
    if (status != LAPSE_OK)
        return status;
    r->loaded = true;
    r->has_keys = false;
    r->looked_up = 0;
    r->rows_from = r->rows_to = 0;
    bool sound = lapse_block_open(&r->block) && r->block.rows == b->rows && r->block.keys.count == b->keys &&
                 (r->block.fields & needed) == needed;
    return sound ? LAPSE_OK : damaged(r, error);
}

lapse_status lapse_reader_keys(struct lapse_reader *r, lapse_error *error)
{
    const struct lapse_run_block *b = &r->run->blocks[r->block_no];
    const struct lapse_keys *keys = &r->block.keys;
    if (r->has_keys)
        return LAPSE_OK;
    if (!lapse_block_keys(&r->block) || !lapse_text_equal(lapse_keys_text(keys, 0), b->first_key) ||
        !lapse_text_equal(lapse_keys_text(keys, keys->count - 1), b->last_key))
        return damaged(r, error);
    r->has_keys = true;
    return LAPSE_OK;
}

/* The entry of key_no, which is in the loaded block. */
static lapse_status set(struct lapse_reader *r, uint32_t key_no, lapse_error *error)
{
    const struct lapse_run_block *b = &r->run->blocks[r->block_no];
    const struct lapse_keys *keys = &r->block.keys;
    r->key_no = key_no;
    if (!r->has_keys && r->looked_up++ >= LOOKED_UP) {
        lapse_status status = lapse_reader_keys(r, error);
        if (status != LAPSE_OK)
            return status;
    }
    if (r->has_keys) {
        r->entry = (struct lapse_entry){ lapse_keys_text(keys, key_no), keys->start[key_no],
                                         keys->start[key_no + 1] - keys->start[key_no] };
        return LAPSE_OK;
    }
    bool sound = lapse_block_key(&r->block, key_no, r->key, &r->entry) && r->entry.rows > 0;
    sound = sound && (key_no > 0 || lapse_text_equal(r->entry.key, b->first_key)) &&
            (key_no + 1 < keys->count || lapse_text_equal(r->entry.key, b->last_key));
    return sound ? LAPSE_OK : damaged(r, error);
}

/* To the beginning of a block, by what the directory says. */
static void enter(struct lapse_reader *r, size_t block_no)
{
    r->block_no = block_no;
    r->loaded = false;
    r->key_no = 0;
    if (!lapse_reader_at_end(r))
        r->entry = (struct lapse_entry){ r->run->blocks[block_no].first_key, 0, 0 };
}

void lapse_reader_open(struct lapse_reader *r, struct lapse_run *run)
{
    memset(r, 0, sizeof *r);
    r->run = run;
    r->block.mem = run->mem;
    lapse_buffer_init(&r->block.bytes, run->mem);
    for (size_t i = 0; i < LAPSE_READ_AHEAD; i++)
        lapse_buffer_init(&r->ahead[i], run->mem);
    lapse_run_retain(run);
    enter(r, 0);
}

void lapse_reader_close(struct lapse_reader *r)
{
    give_back(r);
    for (size_t i = 0; i < LAPSE_READ_AHEAD; i++)
        lapse_buffer_free(&r->ahead[i]);
    lapse_block_free(&r->block);
    lapse_run_release(r->run);
}

lapse_status lapse_reader_load(struct lapse_reader *r, lapse_error *error)
{
    if (r->loaded)
        return LAPSE_OK;
    bool pass = r->has_keys; /* of the block before */
    lapse_status status = load(r, pass ? PASSED : STEPPED, error);
    if (status == LAPSE_OK && pass)
        status = lapse_reader_keys(r, error);
    return status == LAPSE_OK ? set(r, 0, error) : status;
}

lapse_status lapse_reader_next(struct lapse_reader *r, lapse_error *error)
{
    lapse_status status = lapse_reader_load(r, error);
    if (status == LAPSE_OK && r->key_no + 1 < r->block.keys.count)
        return set(r, r->key_no + 1, error);
    if (status == LAPSE_OK)
        enter(r, r->block_no + 1);
    return status;
}

/* The first block at or after `from` whose last key is not below `key`. */
static size_t find_block(const struct lapse_run *run, size_t from, struct lapse_text key)
{
    size_t low = from, high = run->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lapse_text_order(run->blocks[middle].last_key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* By steps that double, for most often it is near. */
uint32_t lapse_keys_find(const struct lapse_keys *keys, uint32_t from, struct lapse_text key)
{
    uint32_t low = from, high = from, step = 1;
    for (; high < keys->count && lapse_text_order(lapse_keys_text(keys, high), key) < 0; step *= 2) {
        low = high + 1;
        high = keys->count - high > step ? high + step : keys->count;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (lapse_text_order(lapse_keys_text(keys, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

lapse_status lapse_reader_seek(struct lapse_reader *r, struct lapse_text key, bool only, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    bool equal = true;
    uint32_t k;
    if (lapse_reader_at_end(r) || lapse_text_order(r->entry.key, key) >= 0)
        return LAPSE_OK;
    size_t block = find_block(r->run, r->block_no, key);
    if (block != r->block_no) {
        r->has_keys = false;
        enter(r, block);
        if (lapse_reader_at_end(r) || lapse_text_order(r->entry.key, key) >= 0)
            return LAPSE_OK;
    }
    if (!r->loaded)
        status = load(r, SOUGHT, error);
    if (status == LAPSE_OK && r->looked_up >= LOOKED_UP)
        status = lapse_reader_keys(r, error);
    if (status != LAPSE_OK)
        return status;
    if (r->has_keys)
        k = lapse_keys_find(&r->block.keys, r->key_no, key);
    else if (!lapse_block_find(&r->block, key, &k, &equal))
        return damaged(r, error);
    if (only && !equal) {
        enter(r, r->run->block_count);
        return LAPSE_OK;
    }
    /* There is one: the last key of the block is not below. */
    return k < r->block.keys.count ? set(r, k, error) : damaged(r, error);
}

/* The places of rows of the block in the run, beside its columns. */
static bool number_rows(struct lapse_reader *r, uint32_t from, uint32_t n)
{
    struct lapse_buffer *b = &r->block.arrays[LAPSE_F_LINE];
    if (!b->mem)
        lapse_buffer_init(b, r->block.mem);
    b->size = 0;
    if (!lapse_buffer_room(b, r->block.rows * sizeof(int64_t))) {
        r->block.bytes.failed = true;
        return false;
    }
    for (; r->numbered < r->block_no; r->numbered++)
        r->number += r->run->blocks[r->numbered].rows;
    int64_t *numbers = (int64_t *)(void *)b->data;
    for (uint32_t i = from; i < from + n; i++)
        numbers[i] = r->number + i;
    r->block.columns.number[LAPSE_F_LINE] = numbers;
    r->block.columns.fields |= LAPSE_FIELD_BIT(LAPSE_F_LINE);
    return true;
}

lapse_status lapse_reader_rows(struct lapse_reader *r, uint32_t fields, lapse_error *error)
{
    uint32_t from = r->entry.first, n = r->entry.rows;
    if (from >= r->rows_from && from + n <= r->rows_to)
        return LAPSE_OK;
    if (r->has_keys || r->rows_to > 0) { /* a pass, or another question to this block */
        from = 0;
        n = r->block.rows;
    }
    if (!lapse_block_rows(&r->block, fields & LAPSE_ALL_FIELDS, from, n) ||
        (fields & LAPSE_FIELD_BIT(LAPSE_F_LINE) && !number_rows(r, from, n)))
        return damaged(r, error);
    r->rows_from = from;
    r->rows_to = from + n;
    return LAPSE_OK;
}

bool lapse_reader_goes_on(const struct lapse_reader *r)
{
    return r->key_no + 1 == r->run->blocks[r->block_no].keys && r->block_no + 1 < r->run->block_count &&
           lapse_text_equal(r->run->blocks[r->block_no + 1].first_key, r->entry.key);
}
