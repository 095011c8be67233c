/* One run: its directory.
 *
 * Directory, little-endian: fields, flags, block count, source count (4 bytes each); then the sources and the blocks,
 * texts as one byte of length and the bytes; then, if flag 4 is set, the filter: its time (8), the number of its parts
 * (4) and the parts; then the checksum of all before it (8). It is read whole when a store is opened, 60 to 100 bytes
 * a block. Each block's checksum is seeded with its id, so that a block in the place of another is found too;
 * so are those of the filter's parts, which are blobs like blocks. */
#include "store/identity.h"

enum { SOURCES = 64, MANY_SOURCES = 1, NAMELESS_SOURCE = 2, HAS_FILTER = 4, LOST_ROWS = 8 };
enum { FILTERED_ROWS = LAPSE_FILTER_KEYS }; /* of fewer, a filter is made when it is needed */

/* ---- the run ------------------------------------------------------------------------------------------- */

struct lapse_run *lapse_run_new(struct lapse_store *store, int family)
{
    const lapse_allocator *mem = &store->mem;
    struct lapse_run *run = lapse_mem_zero(mem, 1, sizeof *run);
    if (!run)
        return NULL;
    run->mem = mem;
    run->file = store->file;
    run->cache = store->cache;
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
    lapse_filter_free(run->filter);
    lapse_prints_free(run->prints);
    lapse_mem_free(run->mem, run->lines);
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

bool lapse_run_add_block(struct lapse_run *run, const struct lapse_run_block *block)
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

void lapse_run_lose_block(struct lapse_run *run, size_t i)
{
    run->rows -= run->blocks[i].rows;
    lapse_mem_free(run->mem, (void *)(uintptr_t)run->blocks[i].first_key.data);
    run->block_count--;
    memmove(&run->blocks[i], &run->blocks[i + 1], (run->block_count - i) * sizeof *run->blocks);
}

bool lapse_run_add_source(struct lapse_run *run, struct lapse_text source)
{
    run->nameless_source |= source.size == 0;
    for (size_t i = run->source_count; i-- > 0;)
        if (lapse_text_equal(run->sources[i], source))
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
        if (lapse_text_equal(run->sources[i], source))
            return true;
    return run->many_sources;
}

bool lapse_run_join(struct lapse_run *run, struct lapse_run *more)
{
    for (size_t i = 0; i < more->source_count; i++)
        if (!lapse_run_add_source(run, more->sources[i]))
            return false;
    if (!lapse_mem_reserve(run->mem, &run->blocks, &run->block_capacity, run->block_count + more->block_count,
                           sizeof *run->blocks))
        return false;
    if (more->lines && !lapse_mem_reserve(run->mem, &run->lines, &run->line_capacity, (size_t)(run->rows + more->rows),
                                          sizeof *run->lines))
        return false;
    if (more->lines)
        memcpy(run->lines + run->rows, more->lines, (size_t)more->rows * sizeof *run->lines);
    if (more->block_count)
        memcpy(run->blocks + run->block_count, more->blocks, more->block_count * sizeof *run->blocks);
    run->block_count += more->block_count;
    more->block_count = 0; /* with the memory of their keys */
    run->fields |= more->fields;
    run->many_sources |= more->many_sources;
    run->nameless_source |= more->nameless_source;
    run->lost_rows |= more->lost_rows;
    run->rows += more->rows;
    run->first_time = more->first_time < run->first_time ? more->first_time : run->first_time;
    run->last_time = more->last_time > run->last_time ? more->last_time : run->last_time;
    return true;
}

size_t lapse_run_ids(const struct lapse_run *run, int64_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < run->block_count; i++, n++)
        if (out)
            out[n] = run->blocks[i].id;
    for (size_t i = 0; run->filter && i < run->filter->count; i++) {
        if (out && run->filter->parts[i].id)
            out[n] = run->filter->parts[i].id;
        n += run->filter->parts[i].id != 0;
    }
    return n;
}

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const int64_t *id = user;
    return (id[a] > id[b]) - (id[a] < id[b]);
}

int64_t *lapse_runs_ids(const lapse_allocator *mem, struct lapse_run *const *runs, size_t count, size_t *out)
{
    size_t n = 0, k = 0;
    for (size_t i = 0; i < count; i++)
        n += lapse_run_ids(runs[i], NULL);
    int64_t *ids = lapse_mem_alloc(mem, (n + 1) * sizeof *ids), *ascending = lapse_mem_alloc(mem, (n + 1) * sizeof *ids);
    uint32_t *order = lapse_mem_alloc(mem, (2 * n + 1) * sizeof *order);
    bool ok = ids && ascending && order;
    for (size_t i = 0; ok && i < count; i++)
        k += lapse_run_ids(runs[i], ids + k);
    for (size_t i = 0; ok && i < n; i++)
        order[i] = (uint32_t)i;
    if (ok)
        lapse_sort_indices(order, n, order + n, order_ids, ids);
    for (size_t i = 0; ok && i < n; i++)
        ascending[i] = ids[order[i]];
    lapse_mem_free(mem, order);
    lapse_mem_free(mem, ids);
    *out = n;
    if (ok)
        return ascending;
    lapse_mem_free(mem, ascending);
    return NULL;
}

lapse_status lapse_run_check_bytes(const struct lapse_run *run, const struct lapse_run_block *block, lapse_status status,
                                   const struct lapse_buffer *bytes, lapse_error *error)
{
    const char *fault = NULL;
    if (status == LAPSE_STALE && lapse_file_has_run(run->file, run->id))
        fault = "missing";
    else if (status == LAPSE_OK && lapse_hash(bytes->data, bytes->size, (uint64_t)block->id) != block->checksum)
        fault = "damaged";
    return fault ? lapse_fail(error, LAPSE_DAMAGED, "block %lld of run %lld is %s", (long long)block->id, (long long)run->id,
                              fault)
                 : status;
}

lapse_status lapse_run_drop_blocks(struct lapse_run *run, lapse_error *error)
{
    size_t n = lapse_run_ids(run, NULL);
    int64_t *ids = lapse_mem_alloc(run->mem, (n + 1) * sizeof *ids);
    if (!ids)
        return lapse_fail_memory(error);
    lapse_run_ids(run, ids);
    lapse_status status = lapse_file_drop_blocks(run->file, ids, n, error);
    lapse_mem_free(run->mem, ids);
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

static lapse_status save_filter(struct lapse_run *run, struct lapse_buffer *out, lapse_error *error)
{
    const struct lapse_filter *f = run->filter;
    lapse_status status = LAPSE_OK;
    put_int(out, (uint64_t)f->since, 8);
    put_int(out, f->count, 4);
    for (size_t i = 0; i < f->count && status == LAPSE_OK; i++) {
        struct lapse_filter_part *part = &f->parts[i];
        if (!part->id) { /* the others are those of the run that this one takes the place of */
            status = lapse_file_put_block(run->file, part->data, part->size, &part->id, error);
            part->checksum = lapse_hash(part->data, part->size, (uint64_t)part->id);
        }
        put_int(out, (uint64_t)part->id, 8);
        put_int(out, part->checksum, 8);
        put_int(out, part->keys, 4);
        put_int(out, part->size, 4);
        put_int(out, part->first, 8);
        put_int(out, part->last, 8);
    }
    return status;
}

static bool load_filter(struct lapse_run *run, struct reader *r)
{
    struct lapse_filter *f = run->filter = lapse_filter_new(run->mem, NULL);
    if (!f)
        return false;
    f->since = (int64_t)get_int(r, 8);
    for (uint64_t n = get_int(r, 4); n > 0 && !r->failed; n--) {
        struct lapse_filter_part part = { .id = (int64_t)get_int(r, 8), .checksum = get_int(r, 8) };
        part.keys = (uint32_t)get_int(r, 4);
        part.size = (uint32_t)get_int(r, 4);
        part.first = get_int(r, 8);
        part.last = get_int(r, 8);
        r->failed = r->failed || part.last < part.first || (f->count && part.first < f->parts[f->count - 1].last);
        if (!r->failed && !lapse_mem_reserve(run->mem, &f->parts, &f->capacity, f->count + 1, sizeof *f->parts))
            return false;
        if (!r->failed)
            f->parts[f->count++] = part;
    }
    return true;
}

/* All but the filter and the checksum. */
static void encode(const struct lapse_run *run, bool filtered, struct lapse_buffer *out)
{
    put_int(out, run->fields, 4);
    put_int(out, (run->many_sources ? MANY_SOURCES : 0u) | (run->nameless_source ? NAMELESS_SOURCE : 0u) |
            (filtered ? HAS_FILTER : 0u) | (run->lost_rows ? LOST_ROWS : 0u), 4);
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
}

static uint64_t put_checksum(const struct lapse_run *run, struct lapse_buffer *out)
{
    uint64_t checksum = out->failed ? 0 : lapse_hash(out->data, out->size, (uint64_t)run->family);
    put_int(out, checksum, 8);
    return checksum;
}

lapse_status lapse_run_save(struct lapse_run *run, lapse_error *error)
{
    struct lapse_buffer out;
    bool filtered = run->filter && run->rows >= FILTERED_ROWS;
    lapse_buffer_init(&out, run->mem);
    encode(run, filtered, &out);
    lapse_status status = filtered ? save_filter(run, &out, error) : LAPSE_OK;
    run->checksum = put_checksum(run, &out);
    if (status == LAPSE_OK)
        status = out.failed ? lapse_fail_memory(error)
                            : lapse_file_put_run(run->file, run->family, out.data, out.size, &run->id, error);
    lapse_buffer_free(&out);
    return status;
}

lapse_status lapse_run_copy(const struct lapse_run *run, struct lapse_file *to, uint64_t *checksum, lapse_error *error)
{
    struct lapse_buffer out;
    lapse_buffer_init(&out, run->mem);
    encode(run, false, &out);
    *checksum = put_checksum(run, &out);
    lapse_status status = out.failed ? lapse_fail_memory(error)
                                     : lapse_file_put_run_as(to, run->id, run->family, out.data, out.size, error);
    lapse_buffer_free(&out);
    return status;
}

bool lapse_run_follows(const struct lapse_run *run, const struct lapse_run_block *b)
{
    const struct lapse_run_block *before = run->block_count ? &run->blocks[run->block_count - 1] : NULL;
    return lapse_text_order(b->first_key, b->last_key) <= 0 &&
           (!before || lapse_text_order(before->last_key, b->first_key) <= 0);
}

lapse_status lapse_run_load(struct lapse_run *run, const void *data, size_t n, lapse_error *error)
{
    struct reader r = { data, data, n < 8 };
    if (!lapse_family_published(run->family))
        return lapse_fail(error, LAPSE_DAMAGED, "run %lld is of a family that there is not", (long long)run->id);
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
    run->lost_rows = flags & LOST_ROWS;
    for (uint64_t i = 0; i < sources && !r.failed && memory; i++) {
        struct lapse_text source = get_text(&r);
        bool nameless = run->nameless_source;
        memory = r.failed || lapse_run_add_source(run, source);
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
        r.failed = r.failed || !lapse_run_follows(run, &b);
        memory = r.failed || lapse_run_add_block(run, &b);
    }
    if (memory && !r.failed && flags & HAS_FILTER)
        memory = load_filter(run, &r);
    if (!memory)
        return lapse_fail_memory(error);
    if (r.failed || r.at != r.end)
        return lapse_fail(error, LAPSE_DAMAGED, "the directory of run %lld is damaged", (long long)run->id);
    return LAPSE_OK;
}
