/* A run without some of its rows: those that fell out of a commit, or those of somebody who is forgotten. Blocks that keep
 * all their rows stay as they are, others are written anew. */
#include "store/identity.h"

static lapse_status read_block(const struct lapse_run *run, const struct lapse_run_block *b, struct lapse_block *block,
                               lapse_error *error)
{
    lapse_status status = lapse_file_get_block(run->file, b->id, &block->bytes, error);
    status = lapse_run_check_bytes(run, b, status, &block->bytes, error);
    if (status != LAPSE_OK)
        return status;
    bool sound = lapse_block_decode(block, LAPSE_ALL_FIELDS) && block->rows == b->rows;
    if (block->bytes.failed)
        return lapse_fail_memory(error);
    return sound ? LAPSE_OK : lapse_fail(error, LAPSE_DAMAGED, "block %lld of run %lld is damaged", (long long)b->id,
                                         (long long)run->id);
}

static bool bit_at(const uint8_t *bits, int64_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

static lapse_status put_kept(struct lapse_run_writer *w, const struct lapse_block *block, const uint8_t *bits,
                             int64_t first, lapse_error *error)
{
    const struct lapse_keys *keys = &block->keys;
    lapse_status status = LAPSE_OK;
    for (uint32_t k = 0; k < keys->count; k++)
        for (uint32_t i = keys->start[k], j; i < keys->start[k + 1] && status == LAPSE_OK; i = j + 1) {
            for (j = i; j < keys->start[k + 1] && !bit_at(bits, first + j); j++)
                ;
            if (j > i)
                status = lapse_run_writer_put(w, lapse_keys_text(keys, k), &block->columns, LAPSE_ALL_FIELDS, i, j - i,
                                              error);
        }
    return status;
}

lapse_status lapse_run_without(struct lapse_store *store, struct lapse_run *run, const uint8_t *bits, int64_t first,
                               struct lapse_run **out, lapse_error *error)
{
    struct lapse_run_writer w = { 0 };
    struct lapse_block block = { .mem = run->mem };
    lapse_buffer_init(&block.bytes, run->mem);
    lapse_status status = lapse_run_writer_open(&w, store, LAPSE_RUN_EVENTS, error);
    for (size_t i = 0; i < run->block_count && status == LAPSE_OK; i++) {
        const struct lapse_run_block *b = &run->blocks[i];
        bool some = false;
        for (int64_t r = first; r < first + b->rows && !some; r++)
            some = bit_at(bits, r);
        if (!some) {
            status = lapse_run_writer_keep(&w, b, error);
        } else {
            status = read_block(run, b, &block, error);
            if (status == LAPSE_OK)
                status = put_kept(&w, &block, bits, first, error);
            if (status == LAPSE_OK)
                status = lapse_file_drop_blocks(run->file, &b->id, 1, error);
        }
        first += b->rows;
    }
    for (size_t i = 0; i < run->source_count && status == LAPSE_OK; i++)
        if (!lapse_run_add_source(w.run, run->sources[i]))
            status = lapse_fail_memory(error);
    if (status == LAPSE_OK) {
        w.run->fields |= run->fields;
        w.run->many_sources |= run->many_sources;
        w.run->lost_rows = true;
        status = lapse_run_writer_finish(&w, out, error);
    }
    if (status == LAPSE_OK) { /* what it admits too many are few */
        (*out)->filter = run->filter;
        run->filter = NULL;
    }
    lapse_run_writer_abort(&w);
    lapse_block_free(&block);
    return status;
}

static bool owned(const struct lapse_key_set *set, struct lapse_text owner)
{
    size_t i = lapse_texts_find(set->owners, 0, set->owner_count, owner);
    return i < set->owner_count && lapse_text_equal(set->owners[i], owner);
}

/* Of the ascending keys those from *k on that lie in a block or behind it. */
static bool concerns(const struct lapse_key_set *set, const struct lapse_run_block *b, size_t *k)
{
    if (!set->keys)
        return true;
    size_t low = *k = lapse_texts_find(set->keys, *k, set->count, b->first_key);
    return low < set->count && lapse_text_order(set->keys[low], b->last_key) <= 0;
}

/* The sources of rows that fall out, as far as a directory lists those. */
static bool note_lost(struct lapse_run *lost, const struct lapse_columns *c, uint32_t first, uint32_t n)
{
    bool ok = true;
    for (uint32_t i = first; i < first + n && ok; i++)
        if (!lapse_columns_text(c, LAPSE_F_EVENT_ID, i).size)
            ok = lapse_run_add_source(lost, lapse_columns_text(c, LAPSE_F_SOURCE, i));
    return ok;
}

/* The rows of a block whose keys are not in the set, from set->keys[k] on, go to `w`. Without `w` the others are counted
 * and their sources noted. */
static lapse_status put_others(struct lapse_run_writer *w, const struct lapse_block *block, const struct lapse_key_set *set,
                               size_t k, struct lapse_run *lost, int64_t *gone, lapse_error *error)
{
    const struct lapse_keys *keys = &block->keys;
    lapse_status status = LAPSE_OK;
    char id[LAPSE_TEXT_MAX];
    for (uint32_t i = 0; i < keys->count && status == LAPSE_OK; i++) {
        struct lapse_text key = lapse_keys_text(keys, i);
        uint32_t first = keys->start[i], n = keys->start[i + 1] - first;
        int order = 1;
        while (k < set->count &&
               (order = lapse_text_order(set->keys[k], key)) < 0)
            k++;
        bool named = !set->keys || (k < set->count && order == 0);
        for (uint32_t end = first + n, part; first < end && status == LAPSE_OK; first += part) {
            part = set->owners && named ? 1 : end - first;
            bool goes = named && (!set->owners || owned(set, set->owner(key, &block->columns, first, id)));
            if (goes && !w) {
                *gone += part;
                status = note_lost(lost, &block->columns, first, part) ? LAPSE_OK : lapse_fail_memory(error);
            } else if (!goes && w) {
                status = lapse_run_writer_put(w, key, &block->columns, LAPSE_ALL_FIELDS, first, part, error);
            }
        }
    }
    return status;
}

/* What a run's directory says beside its blocks. A source is not listed any more when rows fell out that had it and none
 * was seen that stays: its name may be one that only they had; others may have it nevertheless, so the list has a gap. Of
 * the filter what is stored is shared. */
static bool take_over(struct lapse_run *run, const struct lapse_run *from, const struct lapse_run *lost)
{
    bool ok = true;
    run->many_sources |= from->many_sources;
    for (size_t i = 0; i < from->source_count && ok; i++) {
        if (lapse_run_has_source(run, from->sources[i]) && !run->many_sources)
            continue;
        if (lapse_run_has_source(lost, from->sources[i]))
            run->many_sources = true;
        else
            ok = lapse_run_add_source(run, from->sources[i]);
    }
    run->fields |= from->fields;
    run->nameless_source |= from->nameless_source;
    run->lost_rows = true;
    lapse_filter_free(run->filter); /* of the blocks written anew alone */
    run->filter = NULL;
    const struct lapse_filter *f = from->filter;
    if (!ok || !f || f->count == 0 || f->parts[0].id == 0)
        return ok;
    run->filter = lapse_filter_new(run->mem, f->bloom);
    if (!run->filter || !lapse_mem_reserve(run->mem, &run->filter->parts, &run->filter->capacity, f->count, sizeof *f->parts))
        return false;
    run->filter->since = f->since;
    for (; run->filter->count < f->count; run->filter->count++) {
        struct lapse_filter_part *part = &run->filter->parts[run->filter->count];
        *part = f->parts[run->filter->count];
        part->data = NULL;
    }
    return true;
}

lapse_status lapse_run_without_keys(struct lapse_store *store, struct lapse_run *run, const struct lapse_key_set *set,
                                    lapse_status (*go_on)(void *user, int64_t rows, lapse_error *error), void *user,
                                    struct lapse_run **out, int64_t *gone, lapse_error *error)
{
    struct lapse_run_writer w = { 0 };
    struct lapse_block block = { .mem = run->mem };
    struct lapse_run *lost = lapse_run_new(store, run->family);
    lapse_status status = lost ? LAPSE_OK : lapse_fail_memory(error);
    bool open = false;
    size_t k = 0;
    *out = NULL;
    lapse_buffer_init(&block.bytes, run->mem);
    for (size_t i = 0; i < run->block_count && status == LAPSE_OK; i++) {
        const struct lapse_run_block *b = &run->blocks[i];
        int64_t here = 0;
        if (concerns(set, b, &k)) {
            status = read_block(run, b, &block, error);
            if (status == LAPSE_OK)
                status = put_others(NULL, &block, set, k, lost, &here, error);
        }
        if (status == LAPSE_OK && here && !open) { /* the blocks before keep all rows */
            status = lapse_run_writer_open(&w, store, run->family, error);
            open = status == LAPSE_OK;
            for (size_t before = 0; before < i && status == LAPSE_OK; before++)
                status = lapse_run_writer_keep(&w, &run->blocks[before], error);
        }
        if (status == LAPSE_OK && here) {
            *gone += here;
            status = put_others(&w, &block, set, k, lost, &here, error);
            if (status == LAPSE_OK && go_on)
                status = go_on(user, b->rows, error);
        } else if (status == LAPSE_OK && open) {
            status = lapse_run_writer_keep(&w, b, error);
        }
    }
    if (status == LAPSE_OK && open)
        status = lapse_run_writer_finish(&w, out, error);
    if (status == LAPSE_OK && *out && !take_over(*out, run, lost)) {
        lapse_run_release(*out);
        *out = NULL;
        status = lapse_fail_memory(error);
    }
    lapse_run_release(lost);
    lapse_run_writer_abort(&w);
    lapse_block_free(&block);
    return status;
}
