/* Who was forgotten, and when: a family of runs whose keys are HMACs of customers' ids, which nobody can turn back into
 * ids without the store's key, and with it only by trying them.
 *
 * Beside each lies a hint, a shorter keyed hash. The hints are held in memory, 8 bytes a tombstone, once somebody wants
 * to know: nearly all customers are told from those who were forgotten by a search among them, about 100 ns, and only
 * the others cost an HMAC and a look into the runs. Nothing is paid where nobody was ever forgotten. */
#include "store/identity.h"

struct lapse_tombs {
    const lapse_allocator *mem;
    atomic_int owners;
    int64_t erased;            /* of the manifest that they are of */
    size_t count;
    uint64_t hints[];          /* ascending */
};

void lapse_tomb_key(const struct lapse_store *store, struct lapse_text customer, uint8_t out[LAPSE_TOMB_SIZE])
{
    static const char what[] = "customer"; /* and a NUL: no address is hashed to the same */
    char text[sizeof what + LAPSE_TEXT_MAX];
    memcpy(text, what, sizeof what);
    memcpy(text + sizeof what, customer.data, customer.size);
    lapse_hmac_sha256(store->key, sizeof store->key, text, sizeof what + customer.size, out);
}

int64_t lapse_tomb_hint(const struct lapse_store *store, struct lapse_text customer)
{
    uint8_t hash[16];
    char text[1 + LAPSE_TEXT_MAX] = { 't' };
    memcpy(text + 1, customer.data, customer.size);
    lapse_siphash(store->key, text, 1 + customer.size, hash);
    /* Halved it is never LAPSE_MISSING. */
    return (int64_t)(lapse_text_eight((struct lapse_text){ (const char *)hash, sizeof hash }, 0) >> 1);
}

void lapse_tombs_release(struct lapse_tombs *tombs)
{
    if (tombs && atomic_fetch_sub(&tombs->owners, 1) == 1)
        lapse_mem_free(tombs->mem, tombs);
}

static lapse_status open_runs(struct lapse_store *store, const struct lapse_manifest *m, const struct lapse_text *from,
                              struct lapse_merge **out, lapse_error *error)
{
    struct lapse_run **runs = lapse_mem_zero(&store->mem, m->count + 1, sizeof *runs);
    *out = NULL;
    lapse_status status = runs ? lapse_merge_open(store, runs, lapse_manifest_family(m, LAPSE_RUN_TOMBSTONES, runs),
                                                  LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_VALUE), from,
                                                  NULL, out, error)
                               : lapse_fail_memory(error);
    lapse_mem_free(&store->mem, runs);
    return status;
}

static lapse_status load(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_tombs **out,
                         lapse_error *error)
{
    size_t n = (size_t)m->erased, count = 0;
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    struct lapse_tombs *tombs = lapse_mem_zero(&store->mem, 1, sizeof *tombs + n * sizeof tombs->hints[0]);
    struct lapse_sort_key *keys = lapse_mem_alloc(&store->mem, (2 * n + 1) * sizeof *keys);
    lapse_status status = tombs && keys ? open_runs(store, m, NULL, &merge, error) : lapse_fail_memory(error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK && count < n)
        keys[count++].key = (uint64_t)lapse_columns_number(g->columns, LAPSE_F_VALUE, g->first);
    lapse_merge_close(merge);
    if (status == LAPSE_DONE || status == LAPSE_OK) {
        const struct lapse_sort_key *sorted = lapse_sort_keys(keys, keys + n, count);
        for (size_t i = 0; i < count; i++)
            tombs->hints[i] = sorted[i].key;
        tombs->mem = &store->mem;
        tombs->count = count;
        tombs->erased = m->erased;
        atomic_init(&tombs->owners, 1);
        *out = tombs;
        tombs = NULL;
        status = LAPSE_OK;
    }
    lapse_mem_free(&store->mem, tombs);
    lapse_mem_free(&store->mem, keys);
    return status;
}

lapse_status lapse_tombs_take(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_tombs **out,
                              lapse_error *error)
{
    *out = NULL;
    if (m->erased == 0)
        return LAPSE_OK;
    lapse_lock_take(store->guard);
    if (store->tombs && store->tombs->erased == m->erased) {
        *out = store->tombs;
        atomic_fetch_add(&(*out)->owners, 1);
    }
    lapse_lock_give(store->guard);
    if (*out)
        return LAPSE_OK;
    lapse_status status = load(store, m, out, error);
    if (status != LAPSE_OK)
        return status;
    lapse_lock_take(store->guard);
    lapse_tombs_release(store->tombs);
    store->tombs = *out;
    atomic_fetch_add(&(*out)->owners, 1);
    lapse_lock_give(store->guard);
    return LAPSE_OK;
}

lapse_status lapse_tombs_find(const struct lapse_tombs *tombs, struct lapse_store *store, const struct lapse_manifest *m,
                              struct lapse_text customer, int64_t *out, lapse_error *error)
{
    uint64_t hint = tombs ? (uint64_t)lapse_tomb_hint(store, customer) : 0;
    uint8_t bytes[LAPSE_TOMB_SIZE];
    struct lapse_merge *merge;
    const struct lapse_group *g;
    size_t low = 0, high = tombs ? tombs->count : 0;
    *out = INT64_MIN;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tombs->hints[middle] < hint)
            low = middle + 1;
        else
            high = middle;
    }
    if (!tombs || low == tombs->count || tombs->hints[low] != hint)
        return LAPSE_OK;
    lapse_tomb_key(store, customer, bytes);
    struct lapse_text key = { (const char *)bytes, sizeof bytes };
    lapse_status status = open_runs(store, m, &key, &merge, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_merge_next(merge, &g, error);
    if (status == LAPSE_OK && lapse_text_equal(g->key, key))
        *out = lapse_columns_number(g->columns, LAPSE_F_TIME, g->first + (size_t)g->count - 1); /* the last */
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

lapse_status lapse_judge_erased(struct lapse_verdicts *v, const struct lapse_manifest *m, lapse_error *error)
{
    struct lapse_commit *commit = v->commit;
    struct lapse_tombs *tombs;
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    int64_t at;
    lapse_status status = lapse_tombs_take(commit->store, m, &tombs, error);
    if (status != LAPSE_OK || !tombs)
        return status;
    status = lapse_merge_open(commit->store, commit->staged, commit->staged_count,
                              LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_LINE), NULL, NULL, &merge, error);
    for (int64_t n = 1; status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK; n++) {
        if (n % 4096 == 0)
            status = lapse_commit_go_on(commit, error);
        if (status == LAPSE_OK)
            status = lapse_tombs_find(tombs, commit->store, m, g->key, &at, error);
        for (size_t i = g->first; i < g->first + (size_t)g->count && status == LAPSE_OK; i++) {
            int64_t ordinal = lapse_columns_number(g->columns, LAPSE_F_LINE, i);
            if (lapse_columns_number(g->columns, LAPSE_F_TIME, i) <= at)
                status = lapse_verdict_drop(v, ordinal, lapse_verdict_line(v, ordinal), LAPSE_ROW_ERASED, error);
        }
    }
    lapse_merge_close(merge);
    lapse_tombs_release(tombs);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}
