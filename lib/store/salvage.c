/* What is sound in a damaged store, as a store of its own.
 *
 * A block counts as sound when all that verify looks at is right: its checksum, its encoding, what the directory says of it,
 * and every row. Blocks with a fault are taken out of their runs, in memory. Of a directory that is damaged every 16 bytes
 * that are the id of a block and its checksum still prove that block. What is left is a manifest that anything can read like
 * another. Cost: each block is read and checked once, and once more by whoever reads it. */
#include "store/identity.h"
#include "store/verify.h"

/* Amounts are whole numbers of minor units: without the digits nobody can say how much they are. */
static lapse_status find_digits(struct lapse_verify *v, const struct lapse_store *store, lapse_error *error)
{
    lapse_error why = { .size = sizeof why };
    if (lapse_store_read_digits(&v->store, &v->scratch, &why) == LAPSE_OK)
        return LAPSE_OK;
    if (why.status != LAPSE_DAMAGED)
        return lapse_fail_again(error, &why);
    if (store->digits < 0 || !store->unsound)
        return lapse_fail(error, LAPSE_DAMAGED, "the digits of amounts are lost: give them to open the store");
    v->store.digits = store->digits;
    return LAPSE_OK;
}

/* What a directory would say of the decoded block. */
static struct lapse_run_block describe(const struct lapse_block *block, int64_t id, uint64_t checksum)
{
    struct lapse_run_block b = { .id = id, .checksum = checksum, .rows = block->rows, .keys = block->keys.count,
                                 .first_time = INT64_MAX, .last_time = INT64_MIN,
                                 .first_key = lapse_keys_text(&block->keys, 0),
                                 .last_key = lapse_keys_text(&block->keys, block->keys.count - 1) };
    for (uint32_t i = 0; i < block->rows; i++) {
        int64_t time = lapse_columns_number(&block->columns, LAPSE_F_TIME, i);
        b.first_time = time < b.first_time ? time : b.first_time;
        b.last_time = time > b.last_time ? time : b.last_time;
    }
    return b;
}

/* Adds the blocks that the n bytes of a damaged directory prove. */
static lapse_status find_blocks(struct lapse_verify *v, struct lapse_run *run, const char *data, size_t n, lapse_error *error)
{
    enum { PROOF = 16 };
    struct lapse_block *block = &v->block[0];
    int64_t used, given;
    lapse_error why = { .size = sizeof why };
    lapse_status status = lapse_file_ids(v->store.file, false, &used, &given, &why);
    for (size_t at = 0; status == LAPSE_OK && at + PROOF <= n; at++) {
        const int64_t id = (int64_t)lapse_load8(data + at);
        const uint64_t checksum = lapse_load8(data + at + 8);
        if (id < 1 || id > used)
            continue;
        status = lapse_file_get_block(v->store.file, id, &block->bytes, &why);
        if (status == LAPSE_STALE || status == LAPSE_DAMAGED) {
            status = LAPSE_OK;
            continue;
        }
        if (status != LAPSE_OK || lapse_hash(block->bytes.data, block->bytes.size, (uint64_t)id) != checksum)
            continue;
        if (lapse_block_decode(block, LAPSE_ALL_FIELDS) && block->fields & LAPSE_FIELD_BIT(LAPSE_F_TIME)) {
            struct lapse_run_block b = describe(block, id, checksum);
            if (lapse_run_follows(run, &b) && !lapse_run_add_block(run, &b))
                return lapse_fail_memory(error);
            run->fields |= block->fields;
        }
        if (block->bytes.failed)
            return lapse_fail_memory(error);
        at += PROOF - 1;
    }
    return status == LAPSE_OK || status == LAPSE_DAMAGED ? LAPSE_OK : lapse_fail_again(error, &why);
}

/* A run for each damaged directory, of the blocks that it proves. */
static lapse_status find_runs(struct lapse_verify *v, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t at = 0; at < v->directories.size && status == LAPSE_OK;) {
        int64_t head[2];
        memcpy(head, v->directories.data + at, sizeof head);
        at += sizeof head;
        struct lapse_run *run = lapse_run_new(&v->store, LAPSE_RUN_EVENTS);
        if (!run || !lapse_mem_reserve(&v->store.mem, &v->runs, &v->run_capacity, v->run_count + 1,
                                       sizeof(struct lapse_run *))) {
            lapse_run_release(run);
            return lapse_fail_memory(error);
        }
        run->id = head[0];
        run->many_sources = run->nameless_source = run->lost_rows = true; /* which is always safe to say */
        v->runs[v->run_count++] = run;
        status = find_blocks(v, run, v->directories.data + at, (size_t)head[1], error);
        if (status == LAPSE_OK)
            status = lapse_verify_note(v, error, "run %lld: of its blocks, %zu are found without its directory",
                                       (long long)run->id, run->block_count);
        at += (size_t)head[1];
    }
    return status;
}

/* The first of ascending ids that is not below `id`, which is among them. */
static size_t place_of(const int64_t *ids, size_t n, int64_t id)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Only damage lists a block twice. It is left in the first run that has it, so that its events are there once. */
static lapse_status keep_once(struct lapse_verify *v, lapse_error *error)
{
    size_t n;
    int64_t *ids = lapse_runs_ids(&v->store.mem, v->runs, v->run_count, &n);
    bool *kept = ids ? lapse_mem_zero(&v->store.mem, n, sizeof *kept) : NULL;
    lapse_status status = kept ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t r = 0; r < v->run_count && status == LAPSE_OK; r++) {
        struct lapse_run *run = v->runs[r];
        for (size_t b = 0; run->family == LAPSE_RUN_EVENTS && b < run->block_count && status == LAPSE_OK;) {
            const int64_t id = run->blocks[b].id;
            bool *once = &kept[place_of(ids, n, id)];
            if (*once) {
                lapse_run_lose_block(run, b);
                status = lapse_verify_note(v, error, "block %lld is listed twice", (long long)id);
            } else {
                *once = true;
                b++;
            }
        }
    }
    lapse_mem_free(&v->store.mem, kept);
    lapse_mem_free(&v->store.mem, ids);
    return status;
}

/* The runs of events with the blocks that are sound. */
static lapse_status find_sound(struct lapse_verify *v, const struct lapse_store *store, lapse_error *error)
{
    v->salvage = true;
    lapse_status status = lapse_verify_values(v, error);
    if (status == LAPSE_OK)
        status = find_digits(v, store, error);
    if (status == LAPSE_OK)
        status = lapse_verify_list(v, error);
    if (status == LAPSE_OK)
        status = find_runs(v, error);
    for (size_t i = 0; i < v->run_count && status == LAPSE_OK; i++)
        if (v->runs[i]->family == LAPSE_RUN_EVENTS)
            status = lapse_verify_run(v, v->runs[i], error);
    return status == LAPSE_OK ? keep_once(v, error) : status;
}

/* Moves file, values and runs of events out of v. */
static lapse_status take_over(struct lapse_verify *v, struct lapse_store *sound, lapse_error *error)
{
    int64_t version;
    sound->digits = v->store.digits;
    lapse_status status = lapse_file_version(v->store.file, &version, error);
    if (status == LAPSE_OK && !(sound->manifest = lapse_manifest_new(&sound->mem, v->run_count)))
        status = lapse_fail_memory(error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_manifest *m = sound->manifest;
    m->version = version;
    m->count = 0;
    for (size_t i = 0; i < v->run_count; i++) {
        struct lapse_run *run = v->runs[i];
        if (run->family != LAPSE_RUN_EVENTS)
            continue;
        lapse_filter_free(run->filter);
        run->filter = NULL;
        run->mem = &sound->mem;
        run->cache = sound->cache;
        lapse_run_retain(run);
        m->runs[m->count++] = run;
    }
    sound->file = v->store.file;
    v->store.file = NULL;
    return LAPSE_OK;
}

lapse_status lapse_store_sound(struct lapse_store *store, const lapse_upkeep_options *options, struct lapse_store **out,
                               struct lapse_buffer *notes, lapse_error *error)
{
    struct lapse_verify *v;
    struct lapse_upkeep upkeep;
    *out = NULL;
    lapse_status status = lapse_upkeep_begin(&upkeep, options, 0, error);
    if (status == LAPSE_OK && !lapse_file_name(store->file)) { /* nothing damages memory */
        lapse_store_retain(store);
        *out = store;
    }
    if (status != LAPSE_OK || *out)
        return status;
    status = lapse_verify_begin(store, options, &v, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_store *sound = lapse_store_new(&store->mem, error);
    status = sound ? find_sound(v, store, error) : LAPSE_NO_MEMORY;
    if (status == LAPSE_OK)
        status = take_over(v, sound, error);
    if (status == LAPSE_OK) {
        lapse_buffer_put(notes, v->notes.data, v->notes.size);
        status = notes->failed ? lapse_fail_memory(error) : LAPSE_OK;
    }
    lapse_verify_end(v);
    if (status == LAPSE_OK)
        *out = sound;
    else
        lapse_store_close(sound);
    return status;
}
