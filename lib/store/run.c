/* One run: its directory, and the writer that cuts rows into blocks.
 *
 * Directory, little-endian: fields, flags, block count, source count (4 bytes each); then the sources and the blocks,
 * texts as one byte of length and the bytes; then the checksum of all before it (8). It is read whole when a store is
 * opened, 60 to 100 bytes for 8,192 rows. Each block's checksum is seeded with its id, so that a block in the place
 * of another is found too. */
#include "store/store.h"

enum { SOURCES = 64, MANY_SOURCES = 1, NAMELESS_SOURCE = 2 };

/* ---- the run ------------------------------------------------------------------------------------------- */

struct lapse_run *lapse_run_new(struct lapse_store *store, int family)
{
    const lapse_allocator *mem = &store->mem;
    struct lapse_run *run = lapse_mem_zero(mem, 1, sizeof *run);
    if (!run)
        return NULL;
    run->mem = mem;
    run->file = store->file;
    run->family = family;
    run->first_time = INT64_MAX;
    run->last_time = INT64_MIN;
    atomic_init(&run->owners, 1);
    return run;
}

void lapse_run_retain(struct lapse_run *run)
{
    atomic_fetch_add(&run->owners, 1);
}

static void free_texts(struct lapse_run *run)
{
    for (size_t i = 0; i < run->block_count; i++)
        lapse_mem_free(run->mem, (void *)(uintptr_t)run->blocks[i].first_key.data);
    for (size_t i = 0; i < run->source_count; i++)
        lapse_mem_free(run->mem, (void *)(uintptr_t)run->sources[i].data);
}

void lapse_run_release(struct lapse_run *run)
{
    if (!run || atomic_fetch_sub(&run->owners, 1) != 1)
        return;
    free_texts(run);
    lapse_mem_free(run->mem, run->blocks);
    lapse_mem_free(run->mem, run->sources);
    lapse_mem_free(run->mem, run);
}

/* The first and the last key of a block in one piece of memory, which belongs to first_key. */
static bool copy_keys(struct lapse_run *run, struct lapse_run_block *b, struct lapse_text first, struct lapse_text last)
{
    char *p = lapse_mem_alloc(run->mem, first.size + last.size + 1);
    if (!p)
        return false;
    memcpy(p, first.data, first.size);
    memcpy(p + first.size, last.data, last.size);
    b->first_key = (struct lapse_text){ p, first.size };
    b->last_key = (struct lapse_text){ p + first.size, last.size };
    return true;
}

static bool add_block(struct lapse_run *run, const struct lapse_run_block *block)
{
    if (!lapse_mem_reserve(run->mem, &run->blocks, &run->block_capacity, run->block_count + 1, sizeof *run->blocks))
        return false;
    struct lapse_run_block *b = &run->blocks[run->block_count];
    *b = *block;
    if (!copy_keys(run, b, block->first_key, block->last_key))
        return false;
    run->block_count++;
    run->rows += b->rows;
    run->first_time = b->first_time < run->first_time ? b->first_time : run->first_time;
    run->last_time = b->last_time > run->last_time ? b->last_time : run->last_time;
    return true;
}

static bool text_equal(struct lapse_text a, struct lapse_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool add_source(struct lapse_run *run, struct lapse_text source)
{
    run->nameless_source |= source.size == 0;
    for (size_t i = run->source_count; i-- > 0;)
        if (text_equal(run->sources[i], source))
            return true;
    if (run->source_count == SOURCES) {
        run->many_sources = true;
        return true;
    }
    if (!lapse_mem_reserve(run->mem, &run->sources, &run->source_capacity, run->source_count + 1,
                           sizeof *run->sources))
        return false;
    char *copy = lapse_mem_text(run->mem, source.data, source.size);
    if (!copy)
        return false;
    run->sources[run->source_count++] = (struct lapse_text){ copy, source.size };
    return true;
}

bool lapse_run_has_source(const struct lapse_run *run, struct lapse_text source)
{
    for (size_t i = 0; i < run->source_count; i++)
        if (text_equal(run->sources[i], source))
            return true;
    return run->many_sources;
}

bool lapse_run_join(struct lapse_run *run, struct lapse_run *more)
{
    for (size_t i = 0; i < more->source_count; i++)
        if (!add_source(run, more->sources[i]))
            return false;
    if (!lapse_mem_reserve(run->mem, &run->blocks, &run->block_capacity, run->block_count + more->block_count,
                           sizeof *run->blocks))
        return false;
    if (more->block_count)
        memcpy(run->blocks + run->block_count, more->blocks, more->block_count * sizeof *run->blocks);
    run->block_count += more->block_count;
    more->block_count = 0; /* with the memory of their keys */
    run->fields |= more->fields;
    run->many_sources |= more->many_sources;
    run->nameless_source |= more->nameless_source;
    run->rows += more->rows;
    run->first_time = more->first_time < run->first_time ? more->first_time : run->first_time;
    run->last_time = more->last_time > run->last_time ? more->last_time : run->last_time;
    return true;
}

lapse_status lapse_run_drop_blocks(struct lapse_run *run, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < run->block_count && status == LAPSE_OK; i++)
        status = lapse_file_drop_blocks(run->file, &run->blocks[i].id, 1, error);
    return status;
}

/* ---- the directory as bytes -------------------------------------------------------------------------------- */

static void put_int(struct lapse_buffer *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        lapse_buffer_byte(out, (uint8_t)(v >> 8 * i));
}

static void put_text(struct lapse_buffer *out, struct lapse_text t)
{
    lapse_buffer_byte(out, (uint8_t)t.size);
    lapse_buffer_put(out, t.data, t.size);
}

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t get_int(struct reader *r, int bytes)
{
    uint64_t v = 0;
    if (r->end - r->at < bytes) {
        r->failed = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)*r->at++ << 8 * i;
    return v;
}

static struct lapse_text get_text(struct reader *r)
{
    uint32_t size = (uint32_t)get_int(r, 1);
    if (r->failed || r->end - r->at < size) {
        r->failed = true;
        return (struct lapse_text){ "", 0 };
    }
    r->at += size;
    return (struct lapse_text){ (const char *)r->at - size, size };
}

/* The checksum at its end is `*checksum` too. */
static void encode(const struct lapse_run *run, struct lapse_buffer *out, uint64_t *checksum)
{
    lapse_buffer_init(out, run->mem);
    put_int(out, run->fields, 4);
    put_int(out, (run->many_sources ? MANY_SOURCES : 0u) | (run->nameless_source ? NAMELESS_SOURCE : 0u), 4);
    put_int(out, run->block_count, 4);
    put_int(out, run->source_count, 4);
    for (size_t i = 0; i < run->source_count; i++)
        put_text(out, run->sources[i]);
    for (size_t i = 0; i < run->block_count; i++) {
        const struct lapse_run_block *b = &run->blocks[i];
        put_int(out, (uint64_t)b->id, 8);
        put_int(out, b->checksum, 8);
        put_int(out, b->rows, 4);
        put_int(out, b->keys, 4);
        put_int(out, (uint64_t)b->first_time, 8);
        put_int(out, (uint64_t)b->last_time, 8);
        put_text(out, b->first_key);
        put_text(out, b->last_key);
    }
    if (!out->failed)
        put_int(out, *checksum = lapse_hash(out->data, out->size, (uint64_t)run->family), 8);
}

lapse_status lapse_run_save(struct lapse_run *run, lapse_error *error)
{
    struct lapse_buffer out;
    encode(run, &out, &run->checksum);
    lapse_status status = out.failed ? lapse_fail_memory(error)
                                     : lapse_file_put_run(run->file, run->family, out.data, out.size, &run->id, error);
    lapse_buffer_free(&out);
    return status;
}

lapse_status lapse_run_copy(const struct lapse_run *run, struct lapse_file *to, lapse_error *error)
{
    struct lapse_buffer out;
    uint64_t checksum;
    encode(run, &out, &checksum);
    lapse_status status = out.failed ? lapse_fail_memory(error)
                                     : lapse_file_put_run_as(to, run->id, run->family, out.data, out.size, error);
    lapse_buffer_free(&out);
    return status;
}

/* Keys ascend; one may go on in the next block. */
static bool follows(const struct lapse_run *run, const struct lapse_run_block *b)
{
    const struct lapse_run_block *before = run->block_count ? &run->blocks[run->block_count - 1] : NULL;
    return lapse_text_compare(b->first_key.data, b->first_key.size, b->last_key.data, b->last_key.size) <= 0 &&
           (!before || lapse_text_compare(before->last_key.data, before->last_key.size, b->first_key.data,
                                          b->first_key.size) <= 0);
}

lapse_status lapse_run_load(struct lapse_run *run, const void *data, size_t n, lapse_error *error)
{
    struct reader r = { data, data, n < 8 };
    if (!r.failed) {
        r.end += n - 8;
        struct reader sum = { r.end, r.end + 8, false };
        run->checksum = lapse_hash(data, n - 8, (uint64_t)run->family);
        r.failed = get_int(&sum, 8) != run->checksum;
    }
    bool memory = true;
    run->fields = (uint32_t)get_int(&r, 4);
    uint64_t flags = get_int(&r, 4), blocks = get_int(&r, 4), sources = get_int(&r, 4);
    run->many_sources = flags & MANY_SOURCES;
    run->nameless_source = flags & NAMELESS_SOURCE;
    for (uint64_t i = 0; i < sources && !r.failed && memory; i++) {
        struct lapse_text source = get_text(&r);
        bool nameless = run->nameless_source;
        memory = r.failed || add_source(run, source);
        run->nameless_source = nameless;
    }
    for (uint64_t i = 0; i < blocks && !r.failed && memory; i++) {
        struct lapse_run_block b = { 0 };
        b.id = (int64_t)get_int(&r, 8);
        b.checksum = get_int(&r, 8);
        b.rows = (uint32_t)get_int(&r, 4);
        b.keys = (uint32_t)get_int(&r, 4);
        b.first_time = (int64_t)get_int(&r, 8);
        b.last_time = (int64_t)get_int(&r, 8);
        b.first_key = get_text(&r);
        b.last_key = get_text(&r);
        r.failed = r.failed || !follows(run, &b);
        memory = r.failed || add_block(run, &b);
    }
    if (!memory)
        return lapse_fail_memory(error);
    if (r.failed || r.at != r.end)
        return lapse_fail(error, LAPSE_DAMAGED, "the directory of run %lld is damaged", (long long)run->id);
    return LAPSE_OK;
}

/* ---- the writer ------------------------------------------------------------------------------------------------ */

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
    for (size_t i = 0; i < w->rows.count; i++) {
        struct lapse_text source = lapse_columns_text(&c, LAPSE_F_SOURCE, i);
        if (lapse_columns_text(&c, LAPSE_F_EVENT_ID, i).size || (last.data && text_equal(last, source)))
            continue;
        if (!add_source(w->run, source))
            return false;
        last = source;
    }
    return true;
}

/* Encodes and stores what has been collected. */
static lapse_status cut(struct lapse_run_writer *w, lapse_error *error)
{
    struct lapse_run *run = w->run;
    if (w->rows.count == 0)
        return LAPSE_OK;
    w->key_start[w->key_count] = (uint32_t)w->rows.count;
    struct lapse_keys keys = { w->key_count, w->key_bytes.data, w->key_begin, w->key_start, w->key_length };
    struct lapse_run_block b = { .rows = (uint32_t)w->rows.count, .keys = w->key_count,
                                 .first_time = INT64_MAX, .last_time = INT64_MIN };
    const int64_t *time = w->rows.fields & LAPSE_FIELD_BIT(LAPSE_F_TIME) ? w->rows.number[LAPSE_F_TIME] : NULL;
    for (size_t i = 0; time && i < w->rows.count; i++) {
        b.first_time = time[i] < b.first_time ? time[i] : b.first_time;
        b.last_time = time[i] > b.last_time ? time[i] : b.last_time;
    }
    b.first_key = lapse_keys_text(&keys, 0);
    b.last_key = lapse_keys_text(&keys, keys.count - 1);
    lapse_rows_trim(&w->rows);
    w->encoded.size = 0;
    if (!lapse_block_encode(&w->encoded, &keys, &w->rows, w->scratch))
        return lapse_fail_memory(error);
    lapse_status status = lapse_file_put_block(run->file, w->encoded.data, w->encoded.size, &b.id, error);
    if (status != LAPSE_OK)
        return status;
    b.checksum = lapse_hash(w->encoded.data, w->encoded.size, (uint64_t)b.id);
    run->fields |= w->rows.fields;
    if ((run->family != LAPSE_RUN_FINGERPRINTS && !note_sources(w)) || !add_block(run, &b))
        return lapse_fail_memory(error);
    lapse_rows_clear(&w->rows);
    w->key_bytes.size = 0;
    w->key_count = 0;
    return LAPSE_OK;
}

static bool begin_key(struct lapse_run_writer *w, struct lapse_text key)
{
    struct lapse_text last = { "", 0 };
    if (w->key_count)
        last = (struct lapse_text){ w->key_bytes.data + w->key_begin[w->key_count - 1],
                                    w->key_length[w->key_count - 1] };
    if (w->key_count && text_equal(last, key))
        return true;
    w->key_begin[w->key_count] = (uint32_t)w->key_bytes.size;
    w->key_start[w->key_count] = (uint32_t)(w->rows.count + w->pending);
    w->key_length[w->key_count++] = (uint8_t)key.size;
    lapse_buffer_put(&w->key_bytes, key.data, key.size);
    return !w->key_bytes.failed;
}

lapse_status lapse_run_writer_key(struct lapse_run_writer *w, struct lapse_text key, size_t n, size_t *fit,
                                  lapse_error *error)
{
    *fit = 0;
    if (w->rows.count == LAPSE_BLOCK_ROWS) {
        lapse_status status = cut(w, error);
        if (status != LAPSE_OK)
            return status;
    }
    size_t room = LAPSE_BLOCK_ROWS - w->rows.count - w->pending;
    if (room == 0)
        return LAPSE_OK;
    *fit = n < room ? n : room;
    if (!begin_key(w, key))
        return lapse_fail_memory(error);
    w->pending += *fit;
    return LAPSE_OK;
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
            status = lapse_run_writer_stretches(w, &(struct lapse_stretch){ from, first, fit }, 1, fields, NULL, error);
    }
    return status;
}

lapse_status lapse_run_writer_finish(struct lapse_run_writer *w, struct lapse_run **out, lapse_error *error)
{
    *out = NULL;
    lapse_status status = cut(w, error);
    if (status == LAPSE_OK) {
        *out = w->run;
        w->run = NULL;
    }
    lapse_run_writer_abort(w);
    return status;
}
