/* lapse_store_advance(): who may have changed is looked at, and what is not as it was told becomes a record.
 *
 * Who: customers that commits have touched, those whose deadline has passed, and who shares an address with these; everybody when nothing was told yet or
 * the policy is another one. Their states are worked out from their events as every other answer does it, so that what was
 * forgotten to be looked at could only come late, never wrong. Differences are sorted by the instant from which they hold,
 * numbered, and published with the new told states, deadlines and the call itself in one transaction.
 *
 * Each customer of TOLD has one valid entry in DEADLINES, at her deadline or before it: who is active again and again does
 * not get a new one each time, but is looked at when the old one comes. Cost: of each customer looked at that of reading
 * her events and what was told of her, and of a fold. */
#include "state/advance.h"

static struct lapse_text text_of(const char *text)
{
    return (struct lapse_text){ text, (uint32_t)strlen(text) };
}

/* The runs of a family in the scratch of the telling. */
static size_t runs_of(struct lapse_advance *a, int family)
{
    return lapse_manifest_family(a->telling.manifest, family, a->telling.runs);
}

/* ---- who is to be looked at ---------------------------------------------------------------------------------------- */

/* Both are gone through side by side, step by step. */
static lapse_status look_at_all(struct lapse_advance *a, lapse_error *error)
{
    const struct lapse_history *h;
    const struct lapse_group *g = NULL;
    lapse_status status, told = LAPSE_OK;
    while ((status = lapse_cursor_next(a->cursor, &h, error)) == LAPSE_OK) {
        while (told == LAPSE_OK && (!g || lapse_text_order(g->key, h->customer) < 0))
            told = lapse_merge_next(a->told, &g, error);
        if (told != LAPSE_OK && told != LAPSE_DONE)
            return told;
        status = lapse_advance_look_at(a, h->customer, h, g && lapse_text_equal(g->key, h->customer) ? g : NULL, error);
        if (status != LAPSE_OK)
            break;
    }
    return status == LAPSE_DONE ? LAPSE_OK : status;
}


/* Customers with an entry after the last call, up to this one. */
static lapse_status find_due(struct lapse_advance *a, lapse_error *error)
{
    struct lapse_numbered from, to;
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    char id[LAPSE_TEXT_MAX];
    size_t n = runs_of(a, LAPSE_RUN_DEADLINES);
    if (n == 0 || a->last_as_of >= a->as_of)
        return LAPSE_OK;
    lapse_numbered_set(&from, a->last_as_of + 1, text_of(""));
    lapse_numbered_set(&to, a->as_of + 1, text_of(""));
    lapse_status status = lapse_merge_open(a->store, a->telling.runs, n, LAPSE_ALL_FIELDS, &from.key, &to.key, &merge, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK)
        for (size_t i = g->first; i < g->first + (size_t)g->count && status == LAPSE_OK; i++)
            status = lapse_touched_put(&a->due, lapse_numbered_customer(g->key, g->columns, i, id), error);
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* The entries were thrown away: they are made anew from what was told. */
static lapse_status restore_deadlines(struct lapse_advance *a, lapse_error *error)
{
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    struct lapse_told was;
    size_t n = runs_of(a, LAPSE_RUN_TOLD);
    lapse_status status = lapse_merge_open(a->store, a->telling.runs, n, LAPSE_ALL_FIELDS, NULL, NULL, &merge, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        status = lapse_told_read(g, &was, error);
        if (status == LAPSE_OK && was.wake != LAPSE_MISSING)
            status = was.wake <= a->as_of ? lapse_touched_put(&a->due, g->key, error)
                                          : lapse_advance_put_deadline(a, g->key, was.wake, error);
    }
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static lapse_status put_sharer(void *user, struct lapse_text customer, lapse_error *error)
{
    return lapse_touched_put(user, customer, error);
}

/* Customers who share an address with those in the `n` runs of the scratch: what these say by it may change them too (rulings
 * C24). The addresses are those of all their events that the instant sees, retracted ones too. */
static lapse_status find_sharers(struct lapse_advance *a, size_t n, struct lapse_sorter *out, lapse_error *error)
{
    struct lapse_buffer keys;
    struct lapse_merge *merge = NULL;
    struct lapse_cursor *cursor = NULL;
    const struct lapse_group *g;
    const struct lapse_history *h;
    struct lapse_columns c;
    size_t count = 0;
    lapse_buffer_init(&keys, &a->store->mem);
    lapse_status status = lapse_merge_open(a->store, a->telling.runs, n, LAPSE_FIELD_BIT(LAPSE_F_TIME), NULL, NULL, &merge, error);
    if (status == LAPSE_OK)
        status = lapse_cursor_open(a->view, LAPSE_ADDRESS_FIELDS | LAPSE_RETRACTED, NULL, NULL, &cursor, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        status = lapse_cursor_find(cursor, g->key, &h, error);
        if (!h)
            continue;
        lapse_history_columns(h, LAPSE_ADDRESS_FIELDS, &c);
        for (int64_t i = 0; i < h->count; i++)
            if (lapse_address_named(&c, (size_t)i))
                lapse_buffer_put(&keys, lapse_columns_text(&c, LAPSE_F_ENDPOINT, (size_t)i).data, LAPSE_ADDRESS_KEY);
    }
    lapse_cursor_close(cursor);
    lapse_merge_close(merge);
    if (status == LAPSE_DONE)
        status = keys.failed ? lapse_fail_memory(error) : LAPSE_OK;
    struct lapse_text *sorted = status == LAPSE_OK ? lapse_keys_sort(&keys, LAPSE_ADDRESS_KEY, &count) : NULL;
    if (status == LAPSE_OK)
        status = sorted ? lapse_sharers_find(a->store, a->telling.manifest, sorted, count, put_sharer, out, error)
                        : lapse_fail_memory(error);
    lapse_mem_free(&a->store->mem, sorted);
    lapse_buffer_free(&keys);
    return status;
}

static lapse_status look_at_named(struct lapse_advance *a, struct lapse_text customer, lapse_error *error)
{
    const struct lapse_history *history;
    const struct lapse_group *told = NULL;
    lapse_status status = lapse_cursor_find(a->cursor, customer, &history, error);
    if (status == LAPSE_OK)
        status = lapse_merge_find(a->told, customer, &told, error);
    return status == LAPSE_OK && (history || told) ? lapse_advance_look_at(a, customer, history, told, error) : status;
}

/* A run made here, after the `n` of the scratch, which has room for two more than the manifest has. */
static size_t add_scratch(struct lapse_advance *a, size_t n, struct lapse_run *run)
{
    if (run)
        a->telling.runs[n++] = a->scratch[a->scratch_count++] = run;
    return n;
}

static lapse_status look_at_some(struct lapse_advance *a, lapse_error *error)
{
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    struct lapse_run *due = NULL, *sharers = NULL;
    bool lost = a->telling.call.waits && runs_of(a, LAPSE_RUN_DEADLINES) == 0;
    lapse_status status = lost ? restore_deadlines(a, error) : find_due(a, error);
    if (status == LAPSE_OK)
        status = lapse_sorter_finish(&a->due, &due, error);
    size_t n = status == LAPSE_OK ? add_scratch(a, runs_of(a, LAPSE_RUN_TOUCHED), due) : 0;
    if (n && a->shares) {
        status = find_sharers(a, n, &a->sharers, error);
        if (status == LAPSE_OK)
            status = lapse_sorter_finish(&a->sharers, &sharers, error);
        n = add_scratch(a, n, sharers);
    }
    if (status == LAPSE_OK && n)
        status = lapse_merge_open(a->store, a->telling.runs, n, LAPSE_FIELD_BIT(LAPSE_F_TIME), NULL, NULL, &merge, error);
    while (status == LAPSE_OK && n && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK)
        status = look_at_named(a, g->key, error);
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* ---- records ----------------------------------------------------------------------------------------------------------- */

static int order_rest(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_columns *c = user;
    int order = lapse_text_order(lapse_columns_text(c, LAPSE_T_REST, a), lapse_columns_text(c, LAPSE_T_REST, b));
    int64_t x = lapse_columns_number(c, LAPSE_F_TIME, a), y = lapse_columns_number(c, LAPSE_F_TIME, b);
    return order ? order : (x > y) - (x < y);
}

/* The changes of one key get numbers: the place of the instant in the key is taken by that, and its by the instant. They are
 * of one customer, or of several whose ids are alike as far as they fit. */
static lapse_status number_group(struct lapse_advance *a, struct lapse_run_writer *w, const struct lapse_group *g, lapse_error *error)
{
    const lapse_allocator *mem = &a->store->mem;
    const int64_t time = lapse_number_of(g->key);
    struct lapse_columns c = *g->columns;
    struct lapse_numbered key;
    size_t n = (size_t)g->count;
    char bytes[LAPSE_TEXT_MAX];
    uint32_t *order = lapse_mem_alloc(mem, 2 * n * sizeof *order);
    lapse_status status = order ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; order && i < n; i++)
        order[i] = (uint32_t)(g->first + i);
    if (order && g->key.size == LAPSE_TEXT_MAX)
        lapse_sort_indices(order, n, order + n, order_rest, g->columns);
    c.number[LAPSE_F_TIME] = &time;
    c.constant |= LAPSE_FIELD_BIT(LAPSE_F_TIME);
    memcpy(bytes, g->key.data, g->key.size);
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        lapse_numbered_set(&key, a->telling.call.seq++, text_of(""));
        memcpy(bytes, key.bytes, LAPSE_NUMBER_SIZE);
        status = lapse_run_writer_put(w, (struct lapse_text){ bytes, g->key.size }, &c, LAPSE_ALL_FIELDS, order[i], 1, error);
    }
    lapse_mem_free(mem, order);
    return status;
}

static lapse_status number_changes(struct lapse_advance *a, struct lapse_run *changes, lapse_error *error)
{
    struct lapse_run_writer w;
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    lapse_status status = lapse_run_writer_open(&w, a->store, LAPSE_RUN_OUTBOX, error);
    if (status != LAPSE_OK)
        return status;
    lapse_run_writer_expect(&w, changes->rows);
    status = lapse_merge_open(a->store, &changes, 1, LAPSE_ALL_FIELDS, NULL, NULL, &merge, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK)
        status = number_group(a, &w, g, error);
    lapse_merge_close(merge);
    if (status == LAPSE_DONE)
        return lapse_run_writer_finish(&w, &a->added[a->added_count++], error);
    lapse_run_writer_abort(&w);
    return status;
}

/* ---- the call ------------------------------------------------------------------------------------------------------------ */

static void digest_policy(const lapse_policy *policy, const lapse_allocator *mem, uint8_t out[32], bool *ok)
{
    struct lapse_buffer text;
    const char *value;
    lapse_buffer_init(&text, mem);
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        lapse_policy_get(policy, lapse_settings[i].name, &value);
        if (strcmp(value, lapse_settings[i].text) == 0)
            continue; /* what a later release adds changes nothing as long as it is not set */
        lapse_buffer_text(&text, lapse_settings[i].name);
        lapse_buffer_byte(&text, '=');
        lapse_buffer_text(&text, value);
        lapse_buffer_byte(&text, '\n');
    }
    *ok = !text.failed;
    if (*ok)
        lapse_sha256(text.size ? text.data : "", text.size, out);
    lapse_buffer_free(&text);
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
            return true;
    return false;
}

/* Which regions are new to the store, and all their names. */
static void name_regions(struct lapse_advance *a)
{
    char names[LAPSE_TEXT_MAX + 1] = "";
    for (int r = 1; r < LAPSE_TOLD_REGIONS; r++) {
        const char *name = lapse_told_regions[r].name;
        if (!name)
            continue;
        if (a->telling.before && !has_word(a->telling.call.regions, name))
            a->fresh |= UINT32_C(1) << r;
        if (*names)
            strcat(names, " ");
        strcat(names, name);
    }
    strcpy(a->telling.call.regions, names);
}

/* What kind of call it is; *idle: there is nothing to do. */
static lapse_status begin_call(struct lapse_advance *a, bool *idle, lapse_error *error)
{
    struct lapse_call *call = &a->telling.call;
    uint8_t policy[32];
    bool ok, told = runs_of(a, LAPSE_RUN_TOLD) > 0;
    char last[32];
    digest_policy(a->options.policy, &a->store->mem, policy, &ok);
    if (!ok)
        return lapse_fail_memory(error);
    a->last_as_of = a->telling.before ? call->as_of : INT64_MIN;
    if (a->as_of < a->last_as_of) {
        last[lapse_instant_format(a->last_as_of, last)] = 0;
        return lapse_fail(error, LAPSE_BAD_INPUT, "as_of is before %s, that of the last advance: what was told cannot be "
                          "taken back", last);
    }
    a->adopts = a->telling.before && memcmp(policy, call->policy, sizeof policy) != 0;
    if (a->adopts && !(a->options.flags & LAPSE_ADVANCE_ADOPT_POLICY))
        return lapse_fail(error, LAPSE_BAD_INPUT, "the policy is not the one of the last advance: give that, or adopt this one "
                          "(--adopt-policy), and what it changes is told");
    name_regions(a);
    a->full = !told || a->adopts || a->fresh;
    a->rewrites = a->full && (!told || runs_of(a, LAPSE_RUN_DEADLINES) == 0);
    *idle = a->telling.before && !a->full && a->as_of == a->last_as_of && runs_of(a, LAPSE_RUN_TOUCHED) == 0;
    memcpy(call->policy, policy, sizeof policy);
    call->as_of = a->as_of;
    call->number++;
    return LAPSE_OK;
}

static lapse_status open_all(struct lapse_advance *a, lapse_error *error)
{
    lapse_status status = lapse_view_open(a->store, a->as_of, &a->view, error);
    if (status != LAPSE_OK)
        return status;
    lapse_rules_read(&a->rules, a->view, a->options.policy);
    lapse_person_begin(&a->person, &a->rules, lapse_present_regions);
    a->shares = runs_of(a, LAPSE_RUN_ADDRESSES) > 0;
    uint32_t fields = a->shares ? LAPSE_ALL_FIELDS : lapse_person_fields(lapse_present_regions) | LAPSE_ORDER_FIELDS;
    status = lapse_cursor_open(a->view, fields | LAPSE_UNSEEN, NULL, NULL, &a->cursor, error);
    if (status == LAPSE_OK && a->full)
        status = lapse_crossing_of_all(a->view, &a->crossing, error);
    a->person.crossing = a->crossing;
    size_t n = runs_of(a, LAPSE_RUN_TOLD);
    if (status == LAPSE_OK)
        status = lapse_merge_open(a->store, a->telling.runs, n, LAPSE_ALL_FIELDS, NULL, NULL, &a->told, error);
    return status == LAPSE_OK ? lapse_run_writer_open(&a->writer, a->store, LAPSE_RUN_TOLD, error) : status;
}

static lapse_status finish_runs(struct lapse_advance *a, lapse_error *error)
{
    struct lapse_run *changes = NULL, *deadlines = NULL;
    lapse_status status = lapse_run_writer_finish(&a->writer, &a->added[a->added_count], error);
    a->added_count += status == LAPSE_OK;
    if (status == LAPSE_OK && a->added[a->added_count - 1]->rows == 0)
        lapse_run_release(a->added[--a->added_count]);
    if (status == LAPSE_OK)
        status = lapse_sorter_finish(&a->deadlines, &deadlines, error);
    if (deadlines)
        a->added[a->added_count++] = deadlines;
    if (status == LAPSE_OK)
        status = lapse_sorter_finish(&a->changes, &changes, error);
    if (changes)
        a->scratch[a->scratch_count++] = changes;
    a->telling.call.waits = deadlines != NULL;
    return status == LAPSE_OK && changes ? number_changes(a, changes, error) : status;
}

static lapse_status publish(struct lapse_advance *a, bool *ended, lapse_error *error)
{
    const struct lapse_manifest *m = a->telling.manifest;
    struct lapse_run **gone = a->telling.runs;
    size_t n = 0;
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < m->count; i++) {
        struct lapse_run *run = m->runs[i];
        bool entries = run->family == LAPSE_RUN_DEADLINES;
        if (run->family == LAPSE_RUN_TOUCHED || (entries && (a->rewrites || run->last_time <= a->as_of)))
            gone[n++] = run;
        else
            a->telling.call.waits |= entries;
    }
    for (size_t i = 0; i < a->scratch_count && status == LAPSE_OK; i++)
        status = lapse_run_drop_blocks(a->scratch[i], error);
    if (status != LAPSE_OK)
        return status;
    lapse_view_close(a->view);
    a->view = NULL;
    *ended = true;
    return lapse_telling_end(&a->telling, a->added, a->added_count, gone, n, error);
}

static void let_go(struct lapse_advance *a)
{
    lapse_cursor_close(a->cursor);
    a->cursor = NULL;
    lapse_crossing_free(a->crossing);
    a->crossing = NULL;
    lapse_merge_close(a->told);
    a->told = NULL;
}

static lapse_status advance(struct lapse_advance *a, lapse_error *error)
{
    bool idle = false, ended = false;
    lapse_status status = lapse_telling_begin(&a->telling, a->store, error);
    if (status != LAPSE_OK)
        return status;
    status = begin_call(a, &idle, error);
    if (status == LAPSE_OK && !idle) {
        status = open_all(a, error);
        if (status == LAPSE_OK)
            status = a->full ? look_at_all(a, error) : look_at_some(a, error);
        let_go(a);
        if (status == LAPSE_OK)
            status = finish_runs(a, error);
        if (status == LAPSE_OK)
            status = publish(a, &ended, error);
    }
    if (!ended)
        lapse_telling_abort(&a->telling);
    return status;
}

static const lapse_advance_options defaults = { .size = sizeof defaults, .mode = LAPSE_ADVANCE_NET };

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_advance_options, progress_user) + sizeof(void *))

lapse_status lapse_advance_options_init(lapse_advance_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, OLDEST);
}

static lapse_status check_options(const lapse_advance_options *o, int64_t as_of, lapse_error *error)
{
    if (o->flags & ~(uint32_t)(LAPSE_ADVANCE_BASELINE | LAPSE_ADVANCE_ADOPT_POLICY))
        return lapse_fail(error, LAPSE_INVALID, "lapse_advance_options has flags that this library does not know");
    if (o->reserved || o->limit < 0)
        return lapse_fail(error, LAPSE_INVALID, "lapse_advance_options: limit is 0 or more, reserved is 0");
    if (o->mode == LAPSE_ADVANCE_PATH)
        return lapse_fail(error, LAPSE_UNSUPPORTED, "mode path is not there yet: net is");
    if (o->mode != LAPSE_ADVANCE_NET)
        return lapse_fail(error, LAPSE_INVALID, "lapse_advance_options: mode is none of LAPSE_ADVANCE_");
    if (as_of < LAPSE_TIME_MIN || as_of > LAPSE_TIME_MAX)
        return lapse_fail(error, LAPSE_BAD_INPUT, "as_of is from 1900-01-01 to 2999-12-31");
    return LAPSE_OK;
}

lapse_status lapse_store_advance(lapse_store *store, int64_t as_of, const lapse_advance_options *options,
                                 lapse_result **out, lapse_error *error)
{
    struct lapse_advance a = { .store = store, .options = defaults, .as_of = as_of };
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK && !out)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (out)
        *out = NULL;
    if (status == LAPSE_OK && options)
        status = lapse_options_read(&a.options, sizeof a.options, options, OLDEST, "lapse_advance_options", error);
    if (status == LAPSE_OK)
        status = check_options(&a.options, as_of, error);
    if (status != LAPSE_OK)
        return status;
    lapse_presents_init(&a.presents, &store->mem);
    lapse_rows_init(&a.version, &store->mem);
    lapse_sorter_init(&a.changes, store, LAPSE_RUN_CHANGES);
    lapse_sorter_init(&a.deadlines, store, LAPSE_RUN_DEADLINES);
    lapse_sorter_init(&a.due, store, LAPSE_RUN_TOUCHED);
    lapse_sorter_init(&a.sharers, store, LAPSE_RUN_TOUCHED);
    status = advance(&a, error);
    lapse_view_close(a.view);
    lapse_run_writer_abort(&a.writer);
    for (size_t i = 0; i < a.added_count; i++)
        lapse_run_release(a.added[i]);
    for (size_t i = 0; i < a.scratch_count; i++)
        lapse_run_release(a.scratch[i]);
    lapse_person_end(&a.person);
    lapse_presents_free(&a.presents);
    lapse_rows_free(&a.version);
    lapse_sorter_free(&a.changes);
    lapse_sorter_free(&a.deadlines);
    lapse_sorter_free(&a.due);
    lapse_sorter_free(&a.sharers);
    if (status != LAPSE_OK)
        return status;
    return lapse_outbox_read(store, a.options.flags & LAPSE_ADVANCE_BASELINE ? 0 : a.options.limit ? a.options.limit : INT64_MAX,
                             out, error);
}
