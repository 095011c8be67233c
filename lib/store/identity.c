/* Which staged rows are new.
 *
 * With an event_id the pair (source, event_id) is the identity, in one name space of the whole store: its keyed
 * fingerprint is looked up in the fingerprint runs. Without an id the content is the identity within its source, and
 * the store holds of each content the largest number that one call had: rows are matched one to one against the
 * customer's published rows, in the canonical order in which both lie. Rows that stay are written anew, without their
 * lines. When no row can be known (a new source, no ids), the staged runs are published as they are.
 *
 * Memory: fingerprints are taken in slices of their first byte, so that one slice fits a quarter of the limit; two
 * bits a line for what became of each. */
#include "store/store.h"

enum { PRINT = LAPSE_PRINT }; /* 96 keyed bits, one accident in 10^12 at 500 M ids */

struct print {
    uint8_t key[PRINT];
    uint64_t content;
    int64_t line;
};

struct verdicts { /* by line, from commit->first_line */
    const lapse_allocator *mem;
    uint8_t *duplicate, *conflict;
};

enum { ASKED_EVERY = 4096 }; /* customers, between two questions whether to go on */

lapse_status lapse_commit_go_on(const struct lapse_commit *commit, lapse_error *error)
{
    return commit->stop && commit->stop(commit->user) ? lapse_fail(error, LAPSE_CANCELLED, "cancelled") : LAPSE_OK;
}

static bool bit_at(const uint8_t *bits, int64_t i)
{
    return bits && (bits[i / 8] >> i % 8 & 1);
}

/* ---- fingerprints ------------------------------------------------------------------------------------------ */

static void fingerprint(const struct lapse_store *store, struct lapse_text source, struct lapse_text id,
                        uint8_t out[PRINT])
{
    uint8_t text[2 + 255 + 255], whole[16];
    text[0] = (uint8_t)source.size;
    memcpy(text + 1, source.data, source.size);
    memcpy(text + 1 + source.size, id.data, id.size);
    lapse_siphash(store->key, text, 1 + source.size + id.size, whole);
    memcpy(out, whole, PRINT);
}

/* Everything of a row but its source and event_id (rulings F12). */
static bool content_hash(const struct lapse_store *store, struct lapse_text customer, const struct lapse_columns *c,
                         size_t i, struct lapse_buffer *scratch, uint64_t *out)
{
    uint8_t hash[16];
    scratch->size = 0;
    lapse_buffer_byte(scratch, (uint8_t)customer.size);
    lapse_buffer_put(scratch, customer.data, customer.size);
    for (int f = 0; f < LAPSE_F_SOURCE; f++) {
        int64_t number = lapse_columns_number(c, f, i);
        uint8_t name = lapse_columns_name(c, f, i);
        struct lapse_text text = lapse_columns_text(c, f, i);
        if (number == LAPSE_MISSING && !name && !text.size)
            continue;
        lapse_buffer_byte(scratch, (uint8_t)f);
        lapse_buffer_byte(scratch, (uint8_t)(c->name[f] ? name : text.size));
        for (int b = 0; b < 8 && c->number[f]; b++)
            lapse_buffer_byte(scratch, (uint8_t)((uint64_t)number >> 8 * b));
        lapse_buffer_put(scratch, text.data, text.size);
    }
    lapse_siphash(store->key + 16, scratch->data, scratch->size, hash);
    *out = 0;
    for (int b = 0; b < 8; b++)
        *out |= (uint64_t)hash[b] << 8 * b;
    return !scratch->failed;
}

bool lapse_identity_of(const struct lapse_store *store, struct lapse_text customer, const struct lapse_columns *c,
                       size_t i, struct lapse_buffer *scratch, uint8_t key[LAPSE_PRINT], uint64_t *content)
{
    fingerprint(store, lapse_columns_text(c, LAPSE_F_SOURCE, i), lapse_columns_text(c, LAPSE_F_EVENT_ID, i), key);
    return content_hash(store, customer, c, i, scratch, content);
}

struct slice {
    struct print *prints;
    size_t count, capacity;
    struct lapse_buffer scratch;
};

/* The fingerprints of all staged rows whose first byte lies in [low, high). */
static lapse_status collect_slice(struct lapse_commit *commit, int low, int high, struct slice *slice,
                                  lapse_error *error)
{
    struct lapse_store *store = commit->store;
    struct lapse_merge *merge;
    const struct lapse_group *g;
    lapse_status status = lapse_merge_open(store, commit->staged, commit->staged_count, UINT32_MAX, NULL, NULL,
                                           &merge, error);
    slice->count = 0;
    for (int64_t n = 0; status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK; n++) {
        if (n % ASKED_EVERY == 0)
            status = lapse_commit_go_on(commit, error);
        for (size_t i = g->first; i < g->first + (size_t)g->count && status == LAPSE_OK; i++) {
            struct lapse_text id = lapse_columns_text(g->columns, LAPSE_F_EVENT_ID, i);
            struct print p = { .line = lapse_columns_number(g->columns, LAPSE_F_LINE, i) };
            if (!id.size)
                continue;
            fingerprint(store, lapse_columns_text(g->columns, LAPSE_F_SOURCE, i), id, p.key);
            if (p.key[0] < low || p.key[0] >= high)
                continue;
            if (!content_hash(store, g->key, g->columns, i, &slice->scratch, &p.content) ||
                !lapse_mem_reserve(&store->mem, &slice->prints, &slice->capacity, slice->count + 1,
                                   sizeof *slice->prints))
                status = lapse_fail_memory(error);
            else
                slice->prints[slice->count++] = p;
        }
    }
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static int order_prints(const void *user, uint32_t a, uint32_t b)
{
    const struct print *p = user;
    int order = memcmp(p[a].key, p[b].key, PRINT);
    return order ? order : (p[a].line > p[b].line) - (p[a].line < p[b].line);
}

/* Published fingerprints, walked along ascending keys. */
struct known {
    struct lapse_merge *merge;
    const struct lapse_group *group;
    bool ended;
};

static lapse_status look_up(struct known *k, const uint8_t key[PRINT], const struct lapse_group **found,
                            lapse_error *error)
{
    struct lapse_text text = { (const char *)key, PRINT };
    lapse_status status = LAPSE_OK;
    *found = NULL;
    if (k->ended)
        return LAPSE_OK;
    if (!k->group || lapse_text_compare(k->group->key.data, k->group->key.size, text.data, text.size) < 0) {
        status = lapse_merge_seek(k->merge, text, error);
        if (status == LAPSE_OK)
            status = lapse_merge_next(k->merge, &k->group, error);
        k->ended = status == LAPSE_DONE;
    }
    if (status == LAPSE_OK && memcmp(k->group->key.data, key, PRINT) == 0)
        *found = k->group;
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* Of equal fingerprints the first line stays, unless the identity is published already. */
static lapse_status judge_slice(struct lapse_commit *commit, struct slice *slice, struct known *known,
                                struct lapse_run_writer *writer, struct verdicts *verdicts, lapse_error *error)
{
    size_t n = slice->count;
    const lapse_allocator *mem = &commit->store->mem;
    uint32_t *order = lapse_mem_alloc(mem, 2 * n * sizeof *order);
    lapse_status status = order ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; order && i < n; i++)
        order[i] = (uint32_t)i;
    if (order)
        lapse_sort_indices(order, n, order + n, order_prints, slice->prints);
    const struct print *kept = NULL;
    uint64_t content = 0;
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        const struct print *p = &slice->prints[order[i]];
        if (!kept || memcmp(kept->key, p->key, PRINT) != 0) {
            const struct lapse_group *g;
            kept = p;
            content = p->content;
            status = look_up(known, p->key, &g, error);
            if (status == LAPSE_OK && !g) {
                int64_t bits = (int64_t)content;
                struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_VALUE) };
                c.number[LAPSE_F_VALUE] = &bits;
                status = lapse_run_writer_put(writer, (struct lapse_text){ (const char *)p->key, PRINT }, &c,
                                              UINT32_MAX, 0, 1, error);
                continue;
            }
            if (status == LAPSE_OK)
                content = (uint64_t)lapse_columns_number(g->columns, LAPSE_F_VALUE, g->first);
        }
        int64_t bit = p->line - commit->first_line;
        uint8_t *bits = p->content == content ? verdicts->duplicate : verdicts->conflict;
        bits[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    lapse_mem_free(mem, order);
    return status;
}

/* Judges all staged rows with an id; *out is the run of their new fingerprints. */
static lapse_status judge_ids(struct lapse_commit *commit, const struct lapse_manifest *manifest,
                              struct verdicts *verdicts, struct lapse_run **out, lapse_error *error)
{
    struct lapse_store *store = commit->store;
    struct slice slice = { 0 };
    struct known known = { 0 };
    struct lapse_run_writer writer = { 0 };
    int64_t rows = 0, limit = store->memory_limit / 4;
    for (size_t i = 0; i < commit->staged_count; i++)
        rows += commit->staged[i]->rows;
    int64_t slices = rows * (int64_t)(sizeof(struct print) + 8) / limit + 1;
    slices = slices > 256 ? 256 : slices;
    lapse_buffer_init(&slice.scratch, &store->mem);
    struct lapse_run **runs = lapse_mem_zero(&store->mem, manifest->count + 1, sizeof *runs);
    lapse_status status = runs ? LAPSE_OK : lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = lapse_merge_open(store, runs, lapse_manifest_family(manifest, LAPSE_RUN_FINGERPRINTS, runs),
                                  LAPSE_FIELD_BIT(LAPSE_F_VALUE), NULL, NULL, &known.merge, error);
    if (status == LAPSE_OK)
        status = lapse_run_writer_open(&writer, store, LAPSE_RUN_FINGERPRINTS, error);
    for (int64_t s = 0; s < slices && status == LAPSE_OK; s++) {
        status = collect_slice(commit, (int)(s * 256 / slices), (int)((s + 1) * 256 / slices), &slice, error);
        if (status == LAPSE_OK && slice.count)
            status = judge_slice(commit, &slice, &known, &writer, verdicts, error);
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&writer, out, error);
    lapse_run_writer_abort(&writer);
    lapse_merge_close(known.merge);
    lapse_mem_free(&store->mem, runs);
    lapse_mem_free(&store->mem, slice.prints);
    lapse_buffer_free(&slice.scratch);
    return status;
}

/* ---- contents -------------------------------------------------------------------------------------------------- */

/* Could a staged row without id have been imported before? */
static bool known_source(const struct lapse_commit *commit, const struct lapse_manifest *manifest)
{
    for (size_t i = 0; i < commit->staged_count; i++) {
        const struct lapse_run *staged = commit->staged[i];
        for (size_t m = 0; m < manifest->count; m++) {
            if (manifest->runs[m]->family != LAPSE_RUN_EVENTS)
                continue;
            if (staged->many_sources)
                return true;
            for (size_t s = 0; s < staged->source_count; s++)
                if (lapse_run_has_source(manifest->runs[m], staged->sources[s]))
                    return true;
        }
    }
    return false;
}

static int outcome_of_content(const struct lapse_group *staged, size_t i, const struct lapse_group *published,
                              size_t *j, int digits)
{
    size_t end = published ? published->first + (size_t)published->count : 0;
    while (published && *j < end) {
        int order = lapse_columns_compare(staged->columns, i, published->columns, *j, digits);
        if (order < 0)
            break;
        ++*j;
        if (order == 0)
            return LAPSE_ROW_DUPLICATE;
    }
    return LAPSE_ROW_ACCEPTED;
}

/* Writes the rows of one customer that stay. */
static lapse_status filter_group(struct lapse_commit *commit, const struct lapse_group *g,
                                 const struct lapse_group *published, const struct verdicts *verdicts,
                                 struct lapse_run_writer *writer, lapse_error *error)
{
    size_t end = g->first + (size_t)g->count, from = g->first, j = published ? published->first : 0;
    lapse_status status = LAPSE_OK;
    for (size_t i = g->first; i < end && status == LAPSE_OK; i++) {
        int64_t line = lapse_columns_number(g->columns, LAPSE_F_LINE, i);
        int outcome;
        if (!lapse_columns_text(g->columns, LAPSE_F_EVENT_ID, i).size)
            outcome = outcome_of_content(g, i, published, &j, commit->store->digits);
        else
            outcome = bit_at(verdicts->duplicate, line - commit->first_line)  ? LAPSE_ROW_DUPLICATE
                      : bit_at(verdicts->conflict, line - commit->first_line) ? LAPSE_ROW_CONFLICT
                                                                              : LAPSE_ROW_ACCEPTED;
        if (outcome == LAPSE_ROW_ACCEPTED) {
            commit->counts->accepted++;
            continue;
        }
        *(outcome == LAPSE_ROW_DUPLICATE ? &commit->counts->duplicate : &commit->counts->conflict) += 1;
        if (commit->dropped && commit->dropped(commit->user, line, outcome))
            return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
        if (i > from)
            status = lapse_run_writer_put(writer, g->key, g->columns, LAPSE_ALL_FIELDS, from, i - from, error);
        from = i + 1;
    }
    if (status == LAPSE_OK && end > from)
        status = lapse_run_writer_put(writer, g->key, g->columns, LAPSE_ALL_FIELDS, from, end - from, error);
    return status;
}

static lapse_status filter(struct lapse_commit *commit, const struct lapse_manifest *manifest, bool contents,
                           const struct verdicts *verdicts, struct lapse_run **out, lapse_error *error)
{
    struct lapse_store *store = commit->store;
    struct lapse_merge *staged = NULL, *published = NULL;
    struct lapse_run_writer writer = { 0 };
    const struct lapse_group *g, *p = NULL;
    bool ended = !contents;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, manifest->count + 1, sizeof *runs);
    lapse_status status = runs ? LAPSE_OK : lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = lapse_merge_open(store, commit->staged, commit->staged_count, UINT32_MAX, NULL, NULL, &staged,
                                  error);
    if (status == LAPSE_OK && contents)
        status = lapse_merge_open(store, runs, lapse_manifest_family(manifest, LAPSE_RUN_EVENTS, runs),
                                  LAPSE_ALL_FIELDS, NULL, NULL, &published, error);
    if (status == LAPSE_OK)
        status = lapse_run_writer_open(&writer, store, LAPSE_RUN_EVENTS, error);
    for (int64_t n = 0; status == LAPSE_OK && (status = lapse_merge_next(staged, &g, error)) == LAPSE_OK; n++) {
        if (n % ASKED_EVERY == 0)
            status = lapse_commit_go_on(commit, error);
        while (!ended && status == LAPSE_OK &&
               (!p || lapse_text_compare(p->key.data, p->key.size, g->key.data, g->key.size) < 0)) {
            status = lapse_merge_seek(published, g->key, error);
            if (status == LAPSE_OK)
                status = lapse_merge_next(published, &p, error);
            ended = status == LAPSE_DONE;
            p = ended ? NULL : p;
            status = ended ? LAPSE_OK : status;
        }
        bool same = p && lapse_text_compare(p->key.data, p->key.size, g->key.data, g->key.size) == 0;
        if (status == LAPSE_OK)
            status = filter_group(commit, g, same ? p : NULL, verdicts, &writer, error);
    }
    status = status == LAPSE_DONE ? lapse_run_writer_finish(&writer, out, error) : status;
    lapse_run_writer_abort(&writer);
    lapse_merge_close(staged);
    lapse_merge_close(published);
    lapse_mem_free(&store->mem, runs);
    return status;
}

lapse_status lapse_identity_resolve(struct lapse_commit *commit, const struct lapse_manifest *manifest,
                                    struct lapse_run **events, struct lapse_run **fingerprints, lapse_error *error)
{
    struct lapse_store *store = commit->store;
    bool contents = !(commit->flags & LAPSE_IMPORT_KEEP_ALL) && known_source(commit, manifest), lines = false;
    *events = *fingerprints = NULL;
    for (size_t i = 0; i < commit->staged_count; i++)
        lines |= commit->staged[i]->fields >> LAPSE_F_LINE & 1;
    if (!commit->has_ids && !contents && !lines) {
        for (size_t i = 0; i < commit->staged_count; i++)
            commit->counts->accepted += commit->staged[i]->rows;
        return LAPSE_OK;
    }
    struct verdicts verdicts = { &store->mem, NULL, NULL };
    lapse_status status = LAPSE_OK;
    if (commit->has_ids && commit->staged_count) {
        size_t bytes = (size_t)(commit->last_line - commit->first_line) / 8 + 1;
        verdicts.duplicate = lapse_mem_zero(&store->mem, bytes, 1);
        verdicts.conflict = lapse_mem_zero(&store->mem, bytes, 1);
        status = verdicts.duplicate && verdicts.conflict ? judge_ids(commit, manifest, &verdicts, fingerprints, error)
                                                         : lapse_fail_memory(error);
    }
    if (status == LAPSE_OK)
        status = filter(commit, manifest, contents, &verdicts, events, error);
    lapse_mem_free(&store->mem, verdicts.duplicate);
    lapse_mem_free(&store->mem, verdicts.conflict);
    if (status != LAPSE_OK) {
        lapse_run_release(*fingerprints);
        *fingerprints = NULL;
    }
    return status;
}
