/* Which staged rows are new.
 *
 * With an event_id the pair (source, event_id) is the identity, in one name space of the whole store: its keyed
 * fingerprint is asked of the Bloom filter of the store, then of the filter of each published run of fingerprints, and
 * looked up in those runs whose filter admits it. Of equal fingerprints in one call the first line stays. Without an id
 * the content decides (content.c).
 *
 * A staged run of which every row is new is published as it is; of others the blocks with rows that fall out are written
 * anew. Memory: a 256th of the fingerprints of a call, or a sixteenth of the limit; a bit a row once one falls out. */
#include "store/identity.h"

lapse_status lapse_commit_go_on(const struct lapse_commit *commit, lapse_error *error)
{
    return commit->stop && commit->stop(commit->user) ? lapse_fail(error, LAPSE_CANCELLED, "cancelled") : LAPSE_OK;
}

lapse_status lapse_verdict_drop(struct lapse_verdicts *v, int64_t ordinal, int64_t line, int outcome,
                                lapse_error *error)
{
    struct lapse_commit *commit = v->commit;
    if (!v->dropped && !(v->dropped = lapse_mem_zero(&commit->store->mem, (size_t)v->rows / 8 + 1, 1)))
        return lapse_fail_memory(error);
    v->dropped[ordinal / 8] |= (uint8_t)(1u << ordinal % 8);
    commit->counts->accepted--;
    int64_t *counts[] = { [LAPSE_ROW_DUPLICATE] = &commit->counts->duplicate,
                          [LAPSE_ROW_CONFLICT] = &commit->counts->conflict,
                          [LAPSE_ROW_ERASED] = &commit->counts->erased };
    ++*counts[outcome];
    return commit->dropped && commit->dropped(commit->user, line, outcome)
               ? lapse_fail(error, LAPSE_CANCELLED, "cancelled") : LAPSE_OK;
}

/* ---- fingerprints, a slice at a time --------------------------------------------------------------------------------- */

/* The different fingerprints of a slice, ascending; of each the place of its first print in `order`. */
struct slice {
    const lapse_allocator *mem;
    struct lapse_print *prints;
    size_t count, capacity;      /* of prints */
    size_t room;                 /* of the arrays below */
    struct lapse_sort_key *keys; /* two for each print */
    uint32_t *order, *scratch;   /* prints by fingerprint, then line */
    uint64_t *high, *asked;      /* of each; of those that the store's Bloom filter admits */
    uint32_t *first, *admitted, *which; /* which: of each that is asked its place in `high` */
    int64_t *content;            /* of the event that has it: a hash */
    uint8_t *known;              /* it is published */
    size_t different;
};

static void free_arrays(struct slice *s)
{
    void *arrays[] = { s->keys, s->order, s->scratch, s->high, s->asked, s->first, s->admitted, s->which, s->content, s->known };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(s->mem, arrays[i]);
    s->keys = NULL;
    s->order = s->scratch = s->first = s->admitted = s->which = NULL;
    s->high = s->asked = NULL;
    s->content = NULL;
    s->known = NULL;
    s->room = 0;
}

static bool make_arrays(struct slice *s)
{
    size_t n = s->count + 1;
    if (n <= s->room)
        return true;
    n += n / 8;
    free_arrays(s);
    s->keys = lapse_mem_alloc(s->mem, 2 * n * sizeof *s->keys);
    s->order = lapse_mem_alloc(s->mem, n * sizeof *s->order);
    s->scratch = lapse_mem_alloc(s->mem, n * sizeof *s->scratch);
    s->high = lapse_mem_alloc(s->mem, n * sizeof *s->high);
    s->asked = lapse_mem_alloc(s->mem, n * sizeof *s->asked);
    s->first = lapse_mem_alloc(s->mem, n * sizeof *s->first);
    s->admitted = lapse_mem_alloc(s->mem, n * sizeof *s->admitted);
    s->which = lapse_mem_alloc(s->mem, n * sizeof *s->which);
    s->content = lapse_mem_alloc(s->mem, n * sizeof *s->content);
    s->known = lapse_mem_alloc(s->mem, n);
    if (!s->keys || !s->order || !s->scratch || !s->high || !s->asked || !s->first || !s->admitted || !s->which ||
        !s->content || !s->known)
        return false;
    s->room = n;
    return true;
}

static int order_prints(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_print *p = user;
    if (p[a].low != p[b].low)
        return p[a].low < p[b].low ? -1 : 1;
    return (p[a].line > p[b].line) - (p[a].line < p[b].line);
}

static bool same(const struct lapse_print *a, const struct lapse_print *b)
{
    return a->high == b->high && a->low == b->low;
}

static bool sort_slice(struct slice *s)
{
    size_t n = s->count;
    if (!make_arrays(s))
        return false;
    for (size_t i = 0; i < n; i++)
        s->keys[i] = (struct lapse_sort_key){ s->prints[i].high, (uint32_t)i };
    lapse_sort_settled(s->keys, s->order, n, s->scratch, order_prints, s->prints);
    s->different = 0;
    for (size_t i = 0; i < n; i++) {
        const struct lapse_print *p = &s->prints[s->order[i]];
        if (i > 0 && same(p, &s->prints[s->order[i - 1]]))
            continue;
        s->first[s->different] = (uint32_t)i;
        s->high[s->different] = p->high;
        s->content[s->different] = p->content;
        s->known[s->different++] = 0;
    }
    return true;
}

static void key_of(const struct lapse_print *p, uint8_t out[LAPSE_PRINT_SIZE])
{
    for (int k = 0; k < LAPSE_PRINT_SIZE; k++)
        out[k] = (uint8_t)(k < 8 ? p->high >> (56 - 8 * k) : (uint64_t)p->low >> (88 - 8 * k));
}

/* Looks up in one run the `count` fingerprints that its filter admitted. */
static lapse_status look_up(struct slice *s, struct lapse_store *store, struct lapse_run *run, size_t count,
                            lapse_error *error)
{
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < count && status == LAPSE_OK; i++) {
        uint32_t d = s->admitted[i];
        uint8_t bytes[LAPSE_PRINT_SIZE];
        key_of(&s->prints[s->order[s->first[d]]], bytes);
        struct lapse_text key = { (const char *)bytes, LAPSE_PRINT_SIZE };
        if (!merge)
            status = lapse_merge_open(store, &run, 1, LAPSE_FIELD_BIT(LAPSE_F_VALUE), &key, NULL, &merge, error);
        if (status == LAPSE_OK)
            status = lapse_merge_find(merge, key, &g, error);
        if (status == LAPSE_OK && g) {
            s->known[d] = 1;
            s->content[d] = lapse_columns_number(g->columns, LAPSE_F_VALUE, g->first);
        }
    }
    lapse_merge_close(merge);
    return status;
}

static lapse_status find_known(struct slice *s, struct lapse_store *store, const struct lapse_manifest *manifest,
                               lapse_error *error)
{
    const struct lapse_bloom *bloom = store->bloom;
    const size_t asked = bloom ? lapse_bloom_admit(bloom, s->high, s->different, s->asked, s->which) : 0;
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < manifest->count && status == LAPSE_OK; i++) {
        struct lapse_run *run = manifest->runs[i];
        const struct lapse_filter *filter;
        const bool behind = run->filter && run->filter->bloom;
        if (run->family != LAPSE_RUN_FINGERPRINTS || (behind && !asked))
            continue;
        status = lapse_filter_of(store, run, &filter, error);
        if (status != LAPSE_OK)
            break;
        size_t n = lapse_filter_admit(filter, behind ? s->asked : s->high, behind ? asked : s->different, s->admitted);
        for (size_t k = 0; k < n && behind; k++)
            s->admitted[k] = s->which[s->admitted[k]];
        status = n ? look_up(s, store, run, n, error) : LAPSE_OK;
    }
    return status;
}

/* Writes the new fingerprints. */
static lapse_status write_new(struct slice *s, struct lapse_run_writer *writer, lapse_error *error)
{
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_VALUE) };
    lapse_status status = LAPSE_OK;
    size_t n = 0, given = 0; /* new ones, their contents moved together at the front; those handed over */
    c.number[LAPSE_F_VALUE] = s->content;
    for (size_t d = 0; d < s->different && status == LAPSE_OK; d++) {
        uint8_t bytes[LAPSE_PRINT_SIZE];
        struct lapse_text key = { (const char *)bytes, LAPSE_PRINT_SIZE };
        if (s->known[d])
            continue;
        key_of(&s->prints[s->order[s->first[d]]], bytes);
        for (size_t fit = 0; fit == 0 && status == LAPSE_OK;) {
            status = lapse_run_writer_key(writer, key, 1, &fit, error);
            if (status == LAPSE_OK && fit == 0) {
                status = lapse_run_writer_rows(writer, &c, UINT32_MAX, NULL, given, error);
                given = n;
            }
        }
        s->content[n++] = s->content[d];
    }
    return status == LAPSE_OK ? lapse_run_writer_rows(writer, &c, UINT32_MAX, NULL, given, error) : status;
}

/* Every print but the first of a new fingerprint falls out. Its `row` is an ordinal. */
static lapse_status tell(struct slice *s, struct lapse_verdicts *v, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t d = 0; d < s->different && status == LAPSE_OK; d++) {
        size_t end = d + 1 < s->different ? s->first[d + 1] : s->count;
        for (size_t i = s->first[d] + !s->known[d]; i < end && status == LAPSE_OK; i++) {
            const struct lapse_print *p = &s->prints[s->order[i]];
            int outcome = p->content == s->content[d] ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_CONFLICT;
            status = lapse_verdict_drop(v, p->row, p->line, outcome, error);
        }
    }
    return status;
}

static lapse_status judge_slice(struct slice *s, struct lapse_verdicts *v, const struct lapse_manifest *manifest,
                                struct lapse_run_writer *writer, lapse_error *error)
{
    lapse_status status = lapse_commit_go_on(v->commit, error);
    if (status == LAPSE_OK && !sort_slice(s))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = find_known(s, v->commit->store, manifest, error);
    if (status == LAPSE_OK)
        status = tell(s, v, error);
    return status == LAPSE_OK ? write_new(s, writer, error) : status;
}

/* The prints of all staged runs: those in memory, or one slice of what was put aside (slice >= 0). */
static lapse_status gather(struct slice *s, const struct lapse_verdicts *v, int slice, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    s->count = 0;
    for (size_t i = 0; i < v->commit->staged_count && status == LAPSE_OK; i++) {
        struct lapse_prints *p = v->commit->staged[i]->prints;
        size_t before = s->count;
        if (!p)
            continue;
        if (slice >= 0) {
            status = lapse_prints_slice(p, slice, &s->prints, &s->count, &s->capacity, error);
        } else if (lapse_mem_reserve(s->mem, &s->prints, &s->capacity, s->count + p->count, sizeof *s->prints)) {
            memcpy(s->prints + s->count, p->v, p->count * sizeof *p->v);
            s->count += p->count;
        } else {
            status = lapse_fail_memory(error);
        }
        size_t kept = before;
        for (size_t k = before; k < s->count; k++) {
            s->prints[k].row += (uint32_t)v->base[i];
            if (!lapse_verdict(v, s->prints[k].row)) /* rows of the forgotten take no identity */
                s->prints[kept++] = s->prints[k];
        }
        s->count = kept;
    }
    return status;
}

/* Can all prints be judged at once? Otherwise all are put aside. */
static lapse_status arrange(const struct lapse_commit *commit, bool *at_once, int64_t *total, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    bool spilled = false;
    *total = 0;
    for (size_t i = 0; i < commit->staged_count; i++) {
        const struct lapse_prints *p = commit->staged[i]->prints;
        *total += p ? p->total : 0;
        spilled |= p && (p->spill_count || *total > (int64_t)p->limit);
    }
    *at_once = !spilled;
    for (size_t i = 0; i < commit->staged_count && status == LAPSE_OK && spilled; i++)
        if (commit->staged[i]->prints && commit->staged[i]->prints->count)
            status = lapse_prints_spill(commit->staged[i]->prints, error);
    return status;
}

/* Judges all staged rows with an id; *out is the run of their new fingerprints, or NULL. */
static lapse_status judge_ids(struct lapse_verdicts *v, const struct lapse_manifest *manifest, struct lapse_run **out,
                              lapse_error *error)
{
    struct lapse_store *store = v->commit->store;
    struct slice s = { .mem = &store->mem };
    struct lapse_run_writer writer = { 0 };
    bool at_once;
    int64_t total;
    lapse_status status = arrange(v->commit, &at_once, &total, error);
    if (status != LAPSE_OK || total == 0)
        return status;
    status = lapse_run_writer_open(&writer, store, LAPSE_RUN_FINGERPRINTS, error);
    if (status == LAPSE_OK)
        lapse_run_writer_expect(&writer, total);
    for (int slice = at_once ? -1 : 0; slice < (at_once ? 0 : 256) && status == LAPSE_OK; slice++) {
        status = gather(&s, v, slice, error);
        if (status == LAPSE_OK && s.count)
            status = judge_slice(&s, v, manifest, &writer, error);
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&writer, out, error);
    lapse_run_writer_abort(&writer);
    free_arrays(&s);
    lapse_mem_free(&store->mem, s.prints);
    return status;
}

/* ---- all of a commit ------------------------------------------------------------------------------------------------------ */

static bool any_dropped(const struct lapse_verdicts *v, int64_t first, int64_t n)
{
    for (int64_t i = first; i < first + n && v->dropped; i++)
        if (lapse_verdict(v, i))
            return true;
    return false;
}

/* The rows of a staged run that stay: the run itself, or a new one. */
static lapse_status keep_rows(struct lapse_verdicts *v, size_t i, struct lapse_run **out, lapse_error *error)
{
    struct lapse_run *staged = v->commit->staged[i];
    if (!any_dropped(v, v->base[i], staged->rows)) {
        lapse_run_retain(staged);
        *out = staged;
        return LAPSE_OK;
    }
    return lapse_run_without(v->commit->store, staged, v->dropped, v->base[i], out, error);
}

lapse_status lapse_identity_resolve(struct lapse_commit *commit, const struct lapse_manifest *manifest,
                                    struct lapse_run **events, struct lapse_run **fingerprints, lapse_error *error)
{
    struct lapse_store *store = commit->store;
    struct lapse_verdicts v = { .commit = commit };
    lapse_status status = LAPSE_OK;
    v.base = lapse_mem_alloc(&store->mem, (commit->staged_count + 1) * sizeof *v.base);
    if (!v.base)
        return lapse_fail_memory(error);
    for (size_t i = 0; i < commit->staged_count; i++) {
        v.base[i] = v.rows;
        v.rows += commit->staged[i]->rows;
    }
    commit->counts->accepted += v.rows;
    if (v.rows > UINT32_MAX)
        status = lapse_fail(error, LAPSE_INVALID, "a call takes at most %lld rows", (long long)UINT32_MAX);
    if (status == LAPSE_OK)
        status = lapse_judge_erased(&v, manifest, error);
    if (status == LAPSE_OK)
        status = judge_ids(&v, manifest, fingerprints, error);
    if (status == LAPSE_OK && !(commit->flags & LAPSE_IMPORT_KEEP_ALL))
        status = lapse_judge_contents(&v, manifest, error);
    for (size_t i = 0; i < commit->staged_count && status == LAPSE_OK; i++)
        status = keep_rows(&v, i, &events[i], error);
    lapse_mem_free(&store->mem, v.base);
    lapse_mem_free(&store->mem, v.dropped);
    return status;
}
