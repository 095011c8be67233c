/* The list of published runs. A manifest never changes; a commit makes a new one. */
#include "store/store.h"

struct lapse_manifest *lapse_manifest_new(const lapse_allocator *mem, size_t count)
{
    struct lapse_manifest *m = lapse_mem_zero(mem, 1, sizeof *m + count * sizeof m->runs[0]);
    if (!m)
        return NULL;
    m->mem = mem;
    m->count = count;
    atomic_init(&m->owners, 1);
    return m;
}

void lapse_manifest_release(struct lapse_manifest *m)
{
    if (!m || atomic_fetch_sub(&m->owners, 1) != 1)
        return;
    for (size_t i = 0; i < m->count; i++)
        lapse_run_release(m->runs[i]);
    lapse_mem_free(m->mem, m);
}

void lapse_manifest_settle(struct lapse_manifest *m)
{
    m->erased = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == LAPSE_RUN_TOMBSTONES)
            m->erased += m->runs[i]->rows;
}

size_t lapse_manifest_family(const struct lapse_manifest *m, int family, struct lapse_run **out)
{
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == family)
            out[n++] = m->runs[i];
    return n;
}

uint64_t lapse_digest_add(uint64_t digest, int64_t id, uint64_t checksum)
{
    uint8_t entry[16];
    for (int b = 0; b < 8; b++) {
        entry[b] = (uint8_t)((uint64_t)id >> 8 * b);
        entry[8 + b] = (uint8_t)(checksum >> 8 * b);
    }
    return lapse_hash(entry, sizeof entry, digest);
}

uint64_t lapse_manifest_digest(const struct lapse_manifest *m)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < m->count; i++)
        digest = lapse_digest_add(digest, m->runs[i]->id, m->runs[i]->checksum);
    return digest;
}

struct loading {
    struct lapse_store *store;
    const struct lapse_manifest *old;
    struct lapse_run **runs;
    size_t count, capacity;
    size_t at;     /* in `old` */
    bool failed;   /* no memory */
};

static bool put_run(struct loading *l, struct lapse_run *run)
{
    l->failed |= !lapse_mem_reserve(&l->store->mem, &l->runs, &l->capacity, l->count + 1, sizeof(struct lapse_run *));
    if (!l->failed)
        l->runs[l->count++] = run;
    return !l->failed;
}

/* Both lists ascend. */
static bool is_known(void *user, int64_t id)
{
    struct loading *l = user;
    while (l->old && l->at < l->old->count && l->old->runs[l->at]->id < id)
        l->at++;
    if (!l->old || l->at == l->old->count || l->old->runs[l->at]->id != id)
        return false;
    if (put_run(l, l->old->runs[l->at]))
        lapse_run_retain(l->old->runs[l->at]);
    return true;
}

static lapse_status load_run(void *user, int64_t id, int family, const void *data, size_t n, lapse_error *error)
{
    struct loading *l = user;
    struct lapse_run *run = l->failed ? NULL : lapse_run_new(l->store, family);
    if (!run)
        return lapse_fail_memory(error);
    run->id = id;
    if (!put_run(l, run)) {
        lapse_run_release(run);
        return lapse_fail_memory(error);
    }
    return lapse_run_load(run, data, n, error);
}

/* With the guard held. */
static lapse_status reload(struct lapse_store *store, int64_t version, lapse_error *error)
{
    struct loading l = { .store = store, .old = store->manifest };
    struct lapse_manifest *m = NULL;
    uint64_t digest = 0;
    lapse_status status = lapse_file_runs(store->file, is_known, load_run, &l, &digest, error);
    if (status == LAPSE_OK && l.failed)
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK && !(m = lapse_manifest_new(&store->mem, l.count)))
        status = lapse_fail_memory(error);
    for (size_t i = 0; i < l.count; i++) {
        if (m)
            m->runs[i] = l.runs[i];
        else
            lapse_run_release(l.runs[i]);
    }
    lapse_mem_free(&store->mem, l.runs);
    if (status == LAPSE_OK && lapse_manifest_digest(m) != digest)
        status = lapse_fail(error, LAPSE_DAMAGED, "the store's list of runs is damaged");
    if (status != LAPSE_OK) {
        lapse_manifest_release(m);
        return status;
    }
    m->version = version;
    lapse_manifest_settle(m);
    lapse_manifest_release(store->manifest);
    store->manifest = m;
    lapse_store_erased(store, m->erased);
    return LAPSE_OK;
}

lapse_status lapse_store_manifest(struct lapse_store *store, struct lapse_manifest **out, lapse_error *error)
{
    int64_t version = 0;
    lapse_lock_take(store->guard);
    lapse_status status = lapse_file_version(store->file, &version, error);
    if (status == LAPSE_OK && (!store->manifest || store->manifest->version != version))
        status = reload(store, version, error);
    *out = status == LAPSE_OK ? store->manifest : NULL;
    if (*out)
        atomic_fetch_add(&(*out)->owners, 1);
    lapse_lock_give(store->guard);
    return status;
}
