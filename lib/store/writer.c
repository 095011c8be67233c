/* The writer of a run: takes rows in order, cuts them into blocks, stores these, and notes on the way what identity will
 * ask. */
#include "store/identity.h"

lapse_status lapse_run_writer_open(struct lapse_run_writer *w, struct lapse_store *store, int family,
                                   lapse_error *error)
{
    const lapse_allocator *mem = &store->mem;
    memset(w, 0, sizeof *w);
    lapse_rows_init(&w->rows, mem);
    lapse_buffer_init(&w->key_bytes, mem);
    lapse_buffer_init(&w->encoded, mem);
    w->key_begin = lapse_mem_alloc(mem, (LAPSE_BLOCK_ROWS + 1) * sizeof *w->key_begin);
    w->key_start = lapse_mem_alloc(mem, (LAPSE_BLOCK_ROWS + 1) * sizeof *w->key_start);
    w->key_length = lapse_mem_alloc(mem, LAPSE_BLOCK_ROWS);
    w->scratch = lapse_mem_alloc(mem, LAPSE_ENCODE_SCRATCH * sizeof *w->scratch);
    w->store = store;
    w->most = lapse_families[family].rows ? lapse_families[family].rows : LAPSE_BLOCK_ROWS;
    w->run = lapse_run_new(store, family);
    if (w->key_begin && w->key_start && w->key_length && w->scratch && w->run)
        return LAPSE_OK;
    lapse_run_writer_abort(w);
    return lapse_fail_memory(error);
}

void lapse_run_writer_abort(struct lapse_run_writer *w)
{
    const lapse_allocator *mem = w->rows.mem;
    if (!mem)
        return;
    lapse_run_release(w->run);
    lapse_filter_free(w->filter);
    lapse_mem_free(mem, w->prints);
    lapse_recent_free(&w->recent);
    lapse_rows_free(&w->rows);
    lapse_buffer_free(&w->key_bytes);
    lapse_buffer_free(&w->encoded);
    lapse_mem_free(mem, w->key_begin);
    lapse_mem_free(mem, w->key_start);
    lapse_mem_free(mem, w->key_length);
    lapse_mem_free(mem, w->scratch);
    memset(w, 0, sizeof *w);
}

static bool note_sources(struct lapse_run_writer *w)
{
    struct lapse_columns c;
    struct lapse_text last = { NULL, 0 };
    lapse_rows_columns(&w->rows, &c);
    const bool alike = lapse_texts_alike(&w->rows, LAPSE_F_SOURCE) && lapse_texts_alike(&w->rows, LAPSE_F_EVENT_ID);
    for (size_t i = 0; i < (alike ? 1 : w->rows.count); i++) {
        struct lapse_text source = lapse_columns_text(&c, LAPSE_F_SOURCE, i);
        if (lapse_columns_text(&c, LAPSE_F_EVENT_ID, i).size || (last.data && lapse_text_equal(last, source)))
            continue;
        if (!lapse_run_add_source(w->run, source))
            return false;
        last = source;
    }
    return true;
}

/* What identity will want to know of the rows of a block: of fingerprints the keys; of events the latest contents, when
 * the run is announced as large enough to keep them; of staged events lines and fingerprints. Lines end here. */
static lapse_status note_identity(struct lapse_run_writer *w, const struct lapse_keys *keys, lapse_error *error)
{
    struct lapse_run *run = w->run;
    struct lapse_columns c;
    bool ok = true;
    if (lapse_families[run->family].filter == LAPSE_FILTER_OF_KEYS) {
        ok = w->filter || (w->filter = lapse_filter_new(run->mem, w->store->bloom));
        for (uint32_t k = 0; k < keys->count && ok; k++)
            ok = lapse_filter_take(w->filter, &w->prints, &w->print_count, lapse_keys_text(keys, k));
        return ok ? LAPSE_OK : lapse_fail_memory(error);
    }
    lapse_rows_columns(&w->rows, &c);
    for (uint32_t k = 0; k < keys->count && w->recent.mem; k++)
        lapse_recent_take(&w->recent, lapse_keys_text(keys, k), &c, keys->start[k], keys->start[k + 1] - keys->start[k]);
    if (!(w->rows.fields & LAPSE_FIELD_BIT(LAPSE_F_LINE)))
        return LAPSE_OK;
    if (w->keep_lines) {
        ok = lapse_mem_reserve(run->mem, &run->lines, &run->line_capacity, (size_t)run->rows + w->rows.count,
                               sizeof *run->lines);
        for (size_t i = 0; ok && i < w->rows.count; i++)
            run->lines[(size_t)run->rows + i] = w->rows.number[LAPSE_F_LINE][i];
    }
    if (ok && c.fields & LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID)) {
        ok = run->prints || (run->prints = lapse_prints_new(w->store));
        lapse_status status = ok ? lapse_prints_take(run->prints, keys, &c, w->first_row + run->rows, error) : LAPSE_OK;
        if (status != LAPSE_OK)
            return status;
    }
    w->rows.fields &= ~LAPSE_FIELD_BIT(LAPSE_F_LINE);
    return ok ? LAPSE_OK : lapse_fail_memory(error);
}

static bool finish_filter(struct lapse_run_writer *w)
{
    struct lapse_run *run = w->run;
    if (w->filter && lapse_filter_end(w->filter, w->prints, w->print_count)) {
        run->filter = w->filter;
        w->filter = NULL;
    } else if (!w->filter && w->recent.mem && run->rows) {
        run->filter = lapse_recent_filter(&w->recent);
        return run->filter != NULL;
    }
    return !w->filter;
}

void lapse_run_writer_expect(struct lapse_run_writer *w, int64_t rows)
{
    struct lapse_store *store = w->store;
    const enum lapse_filter_kind filter = lapse_families[w->run->family].filter;
    if (rows < LAPSE_FILTER_KEYS)
        return;
    if (filter == LAPSE_FILTER_OF_LATEST)
        lapse_recent_init(&w->recent, store);
    else if (filter == LAPSE_FILTER_OF_KEYS && !store->bloom) /* no memory for it: then each filter is asked */
        store->bloom = lapse_bloom_new(&store->mem, (size_t)store->memory_limit / 4);
}

/* Stores the blocks that wait, once the file is free. While another thread is there they wait on, up to a few, unless all
 * must go: so threads that write parts of a run seldom wait for each other. */
static lapse_status store_blocks(struct lapse_run_writer *w, bool all, lapse_error *error)
{
    struct lapse_run *run = w->run;
    const size_t first = run->block_count - w->waiting_count;
    const char *data = w->encoded.data;
    all |= w->waiting_count == sizeof w->waiting / sizeof *w->waiting;
    for (size_t i = 0; i < w->waiting_count; i++) {
        struct lapse_run_block *b = &run->blocks[first + i];
        const size_t size = w->waiting[i];
        lapse_status status = all || i > 0 ? lapse_file_put_block(run->file, data, size, &b->id, error)
                                           : lapse_file_offer_block(run->file, data, size, &b->id, error);
        if (status != LAPSE_OK)
            return status == LAPSE_DONE ? LAPSE_OK : status;
        b->checksum = lapse_hash(data, size, (uint64_t)b->id);
        data += size;
    }
    w->encoded.size = w->waiting_count = 0;
    return LAPSE_OK;
}

/* Encodes what has been collected, and offers it to the file. */
static lapse_status cut(struct lapse_run_writer *w, lapse_error *error)
{
    struct lapse_run *run = w->run;
    if (w->rows.count == 0)
        return LAPSE_OK;
    w->key_start[w->key_count] = (uint32_t)w->rows.count;
    struct lapse_keys keys = { w->key_count, w->key_bytes.data, w->key_begin, w->key_start, w->key_length };
    struct lapse_run_block b = { .rows = (uint32_t)w->rows.count, .keys = w->key_count,
                                 .first_time = INT64_MAX, .last_time = INT64_MIN };
    if (w->rows.fields & LAPSE_FIELD_BIT(LAPSE_F_TIME))
        lapse_range(w->rows.number[LAPSE_F_TIME], w->rows.count, &b.first_time, &b.last_time);
    b.first_key = lapse_keys_text(&keys, 0);
    b.last_key = lapse_keys_text(&keys, keys.count - 1);
    lapse_status status = note_identity(w, &keys, error);
    if (status != LAPSE_OK)
        return status;
    lapse_rows_trim(&w->rows);
    const size_t before = w->encoded.size;
    if (!lapse_block_encode(&w->encoded, &keys, &w->rows, w->scratch))
        return lapse_fail_memory(error);
    run->fields |= w->rows.fields;
    if ((lapse_families[run->family].filter == LAPSE_FILTER_OF_LATEST && !note_sources(w)) || !lapse_run_add_block(run, &b))
        return lapse_fail_memory(error);
    w->waiting[w->waiting_count++] = w->encoded.size - before;
    lapse_rows_clear(&w->rows);
    w->key_bytes.size = 0;
    w->key_count = 0;
    return store_blocks(w, false, error);
}

/* All that was handed over is stored. */
static lapse_status cut_off(struct lapse_run_writer *w, lapse_error *error)
{
    lapse_status status = cut(w, error);
    return status == LAPSE_OK ? store_blocks(w, true, error) : status;
}

static bool begin_key(struct lapse_run_writer *w, struct lapse_text key)
{
    struct lapse_buffer *b = &w->key_bytes;
    const size_t last = w->key_count - 1; /* if there is one */
    if (w->key_count &&
        lapse_text_equal((struct lapse_text){ b->data + w->key_begin[last], w->key_length[last] }, key))
        return true;
    if (!lapse_buffer_room(b, key.size))
        return false;
    w->key_begin[w->key_count] = (uint32_t)b->size;
    w->key_start[w->key_count] = (uint32_t)(w->rows.count + w->pending);
    w->key_length[w->key_count++] = (uint8_t)key.size;
    lapse_text_copy(b->data + b->size, key);
    b->size += key.size;
    return true;
}

lapse_status lapse_run_writer_key(struct lapse_run_writer *w, struct lapse_text key, size_t n, size_t *fit,
                                  lapse_error *error)
{
    *fit = 0;
    if (w->rows.count == w->most) {
        lapse_status status = cut(w, error);
        if (status != LAPSE_OK)
            return status;
    }
    size_t room = w->most - w->rows.count - w->pending;
    if (room == 0)
        return LAPSE_OK;
    *fit = n < room ? n : room;
    if (!begin_key(w, key))
        return lapse_fail_memory(error);
    w->pending += *fit;
    return LAPSE_OK;
}

lapse_status lapse_run_writer_rows(struct lapse_run_writer *w, const struct lapse_columns *from, uint32_t fields,
                                   const uint32_t *order, size_t first, lapse_error *error)
{
    bool ok = w->pending == 0 || lapse_rows_gather(&w->rows, from, fields, order, first, w->pending);
    w->pending = 0;
    return ok ? LAPSE_OK : lapse_fail_memory(error);
}

lapse_status lapse_run_writer_stretches(struct lapse_run_writer *w, const struct lapse_stretch *stretches, size_t count,
                                        uint32_t fields, const struct lapse_columns *constants, lapse_error *error)
{
    w->pending = 0;
    return lapse_rows_gather_stretches(&w->rows, stretches, count, fields, constants) ? LAPSE_OK
                                                                                       : lapse_fail_memory(error);
}

lapse_status lapse_run_writer_put(struct lapse_run_writer *w, struct lapse_text key, const struct lapse_columns *from,
                                  uint32_t fields, size_t first, size_t n, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t fit; n > 0 && status == LAPSE_OK; first += fit, n -= fit) {
        status = lapse_run_writer_key(w, key, n, &fit, error);
        if (status == LAPSE_OK)
            status = lapse_run_writer_rows(w, from, fields, NULL, first, error);
    }
    return status;
}

lapse_status lapse_run_writer_keep(struct lapse_run_writer *w, const struct lapse_run_block *b, lapse_error *error)
{
    lapse_status status = cut_off(w, error);
    return status == LAPSE_OK && !lapse_run_add_block(w->run, b) ? lapse_fail_memory(error) : status;
}

static lapse_status finish(struct lapse_run_writer *w, struct lapse_recent *recent, struct lapse_run **out,
                           lapse_error *error)
{
    *out = NULL;
    lapse_status status = cut_off(w, error);
    if (recent) {
        *recent = w->recent;
        w->recent = (struct lapse_recent){ 0 };
    }
    if (status == LAPSE_OK && !finish_filter(w))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK) {
        *out = w->run;
        w->run = NULL;
    }
    lapse_run_writer_abort(w);
    return status;
}

lapse_status lapse_run_writer_finish(struct lapse_run_writer *w, struct lapse_run **out, lapse_error *error)
{
    return finish(w, NULL, out, error);
}

lapse_status lapse_run_writer_finish_part(struct lapse_run_writer *w, struct lapse_recent *recent, struct lapse_run **out,
                                          lapse_error *error)
{
    return finish(w, recent, out, error);
}
