/* lapse_store_erase(): customers taken out of everything that the store holds.
 *
 * What is theirs is told by the table of families: rows under their ids, fingerprints of their events, what is derived from
 * events as a whole. Of each run the blocks that hold any of it are written anew, all others are shared with the run that
 * takes its place. Then every block that no published run has is deleted, whoever still reads it: blocks of runs merged
 * away and of merges under way in any process, and what a crash left. What was deleted, now or before, and lies in free
 * space of the file or in the write-ahead log is cleared in the end (file_scrub.c).
 *
 * One transaction. Cost: a look into each run for each customer; decoding and encoding of the blocks that hold them, twice
 * decoded; the directories of the runs concerned, and one pass over the ids of all blocks. Memory: a decoded block a run,
 * 12 bytes for each of their events with an id. */
#include "store/identity.h"
#include "store/telling.h"

struct erase {
    struct lapse_store *store;
    struct lapse_erasure *erasure;
    struct lapse_manifest *m;
    struct lapse_change change;
    struct lapse_run **runs;       /* scratch: of one family, or those made here, which are `made` */
    size_t made;
    struct lapse_buffer prints;    /* LAPSE_PRINT_SIZE bytes each */
    struct lapse_text *print_keys; /* ascending */
    size_t print_count;
    struct lapse_buffer addresses; /* LAPSE_ADDRESS_KEY bytes each */
    struct lapse_text *address_keys;
    size_t address_count;
};

/* ---- what is theirs -------------------------------------------------------------------------------------------- */

static bool take_keys(struct erase *e, const struct lapse_columns *c, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        uint8_t print[LAPSE_PRINT_SIZE];
        struct lapse_text id = lapse_columns_text(c, LAPSE_F_EVENT_ID, i);
        if (lapse_address_named(c, i))
            lapse_buffer_put(&e->addresses, lapse_columns_text(c, LAPSE_F_ENDPOINT, i).data, LAPSE_ADDRESS_KEY);
        if (!id.size)
            continue;
        lapse_print_bytes(e->store->key, lapse_columns_text(c, LAPSE_F_SOURCE, i), id, print);
        lapse_buffer_put(&e->prints, print, sizeof print);
    }
    return !e->prints.failed && !e->addresses.failed;
}

static lapse_status find_one(struct erase *e, struct lapse_merge *merge, const struct lapse_text *customer,
                             const struct lapse_group **g, lapse_error *error)
{
    lapse_status status = lapse_merge_find(merge, *customer, g, error);
    if (status != LAPSE_OK || *g)
        return status;
    struct lapse_tombs *tombs;
    int64_t at = INT64_MIN;
    status = lapse_tombs_take(e->store, e->m, &tombs, error);
    if (status == LAPSE_OK)
        status = lapse_tombs_find(tombs, e->store, e->m, *customer, &at, error);
    lapse_tombs_release(tombs);
    if (status != LAPSE_OK)
        return status;
    return lapse_fail(error, LAPSE_NOT_FOUND,
                      at == INT64_MIN ? "there is no event of customer \"%.*s\"; nothing changed"
                                      : "customer \"%.*s\" is forgotten already, without an event since; nothing changed",
                      (int)customer->size, customer->data);
}

/* Every one of them has events, or nothing is done. */
static lapse_status find_all(struct erase *e, lapse_error *error)
{
    const struct lapse_erasure *w = e->erasure;
    const struct lapse_group *g;
    struct lapse_merge *merge;
    lapse_status status = lapse_merge_open(e->store, e->runs, lapse_manifest_family(e->m, LAPSE_RUN_EVENTS, e->runs),
                                           LAPSE_FIELD_BIT(LAPSE_F_SOURCE) | LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID) |
                                               LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_ENDPOINT),
                                           &w->customers[0], NULL, &merge, error);
    for (size_t i = 0; i < w->count && status == LAPSE_OK; i++) {
        status = find_one(e, merge, &w->customers[i], &g, error);
        if (status == LAPSE_OK && !take_keys(e, g->columns, g->first, (size_t)g->count))
            status = lapse_fail_memory(error);
        if (status == LAPSE_OK && w->go_on)
            status = w->go_on(w->user, g->count, error);
    }
    lapse_merge_close(merge);
    if (status != LAPSE_OK)
        return status;
    e->print_keys = lapse_keys_sort(&e->prints, LAPSE_PRINT_SIZE, &e->print_count);
    e->address_keys = lapse_keys_sort(&e->addresses, LAPSE_ADDRESS_KEY, &e->address_count);
    return e->print_keys && e->address_keys ? LAPSE_OK : lapse_fail_memory(error);
}

/* ---- runs without it --------------------------------------------------------------------------------------------- */

/* Whom an entry of the index is of. */
static struct lapse_text named_customer(struct lapse_text key, const struct lapse_columns *c, size_t i, char *out)
{
    (void)key;
    (void)out;
    return lapse_columns_text(c, LAPSE_F_REF, i);
}

static lapse_status take_out(struct erase *e, struct lapse_run *run, lapse_error *error)
{
    const struct lapse_erasure *w = e->erasure;
    const struct lapse_key_set sets[] = {
        [LAPSE_FORGET_CUSTOMERS] = { .keys = w->customers, .count = w->count },
        [LAPSE_FORGET_NUMBERED] = { .owners = w->customers, .owner_count = w->count, .owner = lapse_numbered_customer },
        [LAPSE_FORGET_PRINTS] = { .keys = e->print_keys, .count = e->print_count },
        [LAPSE_FORGET_ADDRESSES] = { e->address_keys, e->address_count, w->customers, w->count, named_customer },
    };
    const int what = (int)lapse_families[run->family].forget;
    struct lapse_change *c = &e->change;
    struct lapse_run *without = NULL;
    int64_t gone = 0;
    if (what == LAPSE_FORGET_NOTHING)
        return LAPSE_OK;
    if (what == LAPSE_FORGET_ALL) {
        c->removed[c->removed_count++] = run;
        return LAPSE_OK;
    }
    lapse_status status = lapse_run_without_keys(e->store, run, &sets[what], e->erasure->go_on, e->erasure->user, &without,
                                                 &gone, error);
    if (status != LAPSE_OK || !without)
        return status;
    e->runs[e->made++] = without;
    c->removed[c->removed_count++] = run;
    if (without->rows)
        c->added[c->added_count++] = without;
    e->erasure->events += run->family == LAPSE_RUN_EVENTS ? gone : 0;
    return LAPSE_OK;
}

/* ---- tombstones ---------------------------------------------------------------------------------------------------- */

static int order_tombs(const void *user, uint32_t a, uint32_t b)
{
    const uint8_t *keys = user;
    return memcmp(keys + (size_t)a * LAPSE_TOMB_SIZE, keys + (size_t)b * LAPSE_TOMB_SIZE, LAPSE_TOMB_SIZE);
}

static lapse_status write_tombs(struct erase *e, const uint8_t *keys, const uint32_t *order, lapse_error *error)
{
    struct lapse_run_writer writer;
    struct lapse_run *run = NULL;
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_VALUE) };
    lapse_status status = lapse_run_writer_open(&writer, e->store, LAPSE_RUN_TOMBSTONES, error);
    for (size_t i = 0; i < e->erasure->count && status == LAPSE_OK; i++) {
        int64_t hint = lapse_tomb_hint(e->store, e->erasure->customers[order[i]]);
        c.number[LAPSE_F_TIME] = &e->erasure->at;
        c.number[LAPSE_F_VALUE] = &hint;
        struct lapse_text key = { (const char *)keys + (size_t)order[i] * LAPSE_TOMB_SIZE, LAPSE_TOMB_SIZE };
        status = lapse_run_writer_put(&writer, key, &c, UINT32_MAX, 0, 1, error);
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&writer, &run, error);
    lapse_run_writer_abort(&writer);
    if (status == LAPSE_OK)
        e->change.added[e->change.added_count++] = e->runs[e->made++] = run;
    return status;
}

static lapse_status bury(struct erase *e, lapse_error *error)
{
    const lapse_allocator *mem = &e->store->mem;
    size_t n = e->erasure->count;
    uint8_t *keys = lapse_mem_alloc(mem, n * LAPSE_TOMB_SIZE);
    uint32_t *order = lapse_mem_alloc(mem, 2 * n * sizeof *order);
    lapse_status status = keys && order && n < UINT32_MAX ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        lapse_tomb_key(e->store, e->erasure->customers[i], keys + i * LAPSE_TOMB_SIZE);
        order[i] = (uint32_t)i;
    }
    if (status == LAPSE_OK) {
        lapse_sort_indices(order, n, order + n, order_tombs, keys);
        status = write_tombs(e, keys, order, error);
    }
    lapse_mem_free(mem, keys);
    lapse_mem_free(mem, order);
    return status == LAPSE_OK ? lapse_change_fold(e->store, e->m, LAPSE_RUN_TOMBSTONES, &e->change, error) : status;
}

/* What is left of their addresses. The rows are in order already, and each is one. */
static lapse_status write_ledger(struct erase *e, lapse_error *error)
{
    struct lapse_run_writer writer;
    struct lapse_run *run = NULL;
    const struct lapse_ledger_row *rows;
    size_t count = 0;
    lapse_status status = e->erasure->keep ? e->erasure->keep(e->erasure->user, &rows, &count, error) : LAPSE_OK;
    if (status != LAPSE_OK || count == 0)
        return status;
    status = lapse_run_writer_open(&writer, e->store, LAPSE_RUN_LEDGER, error);
    for (size_t i = 0; i < count && status == LAPSE_OK; i++) {
        struct lapse_columns c = { .fields = lapse_families[LAPSE_RUN_LEDGER].allowed };
        c.number[LAPSE_F_TIME] = &rows[i].time;
        c.name[LAPSE_F_KIND] = &rows[i].kind;
        c.name[LAPSE_F_CHANNEL] = &rows[i].channel;
        c.name[LAPSE_F_PURPOSE] = &rows[i].purpose;
        struct lapse_text key = { (const char *)rows[i].address, LAPSE_ENDPOINT_SIZE };
        status = lapse_run_writer_put(&writer, key, &c, UINT32_MAX, 0, 1, error);
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&writer, &run, error);
    lapse_run_writer_abort(&writer);
    if (status != LAPSE_OK)
        return status;
    e->change.added[e->change.added_count++] = e->runs[e->made++] = run;
    return lapse_change_fold(e->store, e->m, LAPSE_RUN_LEDGER, &e->change, error);
}

/* What their addresses said now acts by the ledger, perhaps on customers on whom it did not act before: advance is to look
 * at them. */
static lapse_status touch_sharers(struct erase *e, lapse_error *error)
{
    struct lapse_run *run;
    lapse_status status = lapse_touched_sharers(e->store, e->m, e->address_keys, e->address_count, e->erasure->customers,
                                                e->erasure->count, &run, error);
    if (run)
        e->change.added[e->change.added_count++] = e->runs[e->made++] = run;
    return status == LAPSE_OK && run ? lapse_change_fold(e->store, e->m, LAPSE_RUN_TOUCHED, &e->change, error) : status;
}

/* ---- the transaction ------------------------------------------------------------------------------------------------- */

static lapse_status erase(struct erase *e, lapse_error *error)
{
    struct lapse_store *store = e->store;
    lapse_status status = lapse_store_manifest(store, &e->m, error);
    if (status == LAPSE_OK && !(e->runs = lapse_mem_zero(&store->mem, e->m->count + LAPSE_FAMILIES, sizeof *e->runs)))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = lapse_change_begin(store, e->m, e->m->count, &e->change, error);
    if (status == LAPSE_OK)
        status = find_all(e, error);
    for (size_t i = 0; status == LAPSE_OK && i < e->m->count; i++)
        status = take_out(e, e->m->runs[i], error);
    if (status == LAPSE_OK)
        status = bury(e, error);
    if (status == LAPSE_OK)
        status = write_ledger(e, error);
    if (status == LAPSE_OK)
        status = touch_sharers(e, error);
    if (status == LAPSE_OK && e->erasure->go_on)
        status = e->erasure->go_on(e->erasure->user, 0, error);
    if (status != LAPSE_OK) {
        lapse_file_rollback(store->file);
        return status;
    }
    lapse_merging_forget(store); /* their blocks go with all others that no run has */
    e->change.erases = true;
    return lapse_change_publish(store, e->m, &e->change, error);
}

lapse_status lapse_store_erase(struct lapse_store *store, struct lapse_erasure *erasure, lapse_error *error)
{
    struct erase e = { .store = store, .erasure = erasure };
    erasure->events = 0;
    lapse_buffer_init(&e.prints, &store->mem);
    lapse_buffer_init(&e.addresses, &store->mem);
    lapse_lock_take(store->writer);
    lapse_status status = LAPSE_OK;
    if (erasure->count)
        status = lapse_file_begin(store->file, error);
    if (status == LAPSE_OK && erasure->count)
        status = erase(&e, error);
    if (status != LAPSE_OK)
        erasure->events = 0;
    if (status == LAPSE_OK) {
        lapse_error why = { .size = sizeof why };
        status = lapse_file_scrub(store->file, &why);
        if (status != LAPSE_OK) /* whatever it was, they are forgotten */
            status = lapse_fail(error, LAPSE_ERASE_PENDING, "%s", why.message);
    }
    lapse_lock_give(store->writer);
    for (size_t i = 0; i < e.made; i++)
        lapse_run_release(e.runs[i]);
    lapse_change_end(store, &e.change);
    lapse_mem_free(&store->mem, e.runs);
    lapse_mem_free(&store->mem, e.print_keys);
    lapse_mem_free(&store->mem, e.address_keys);
    lapse_buffer_free(&e.prints);
    lapse_buffer_free(&e.addresses);
    lapse_manifest_release(e.m);
    return status;
}
