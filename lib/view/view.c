/* A view: a manifest and an instant. */
#include "view/view.h"
#include "view/private.h"

lapse_status lapse_view_open(lapse_store *store, int64_t as_of, lapse_view **out, lapse_error *error)
{
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK && !out)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (status != LAPSE_OK)
        return status;
    *out = NULL;
    struct lapse_view *view = lapse_mem_zero(&store->mem, 1, sizeof *view);
    if (!view)
        return lapse_fail_memory(error);
    status = lapse_store_manifest(store, &view->manifest, error);
    if (status == LAPSE_OK && !(view->runs = lapse_mem_zero(&store->mem, view->manifest->count + 1,
                                                            sizeof(struct lapse_run *))))
        status = lapse_fail_memory(error);
    if (status != LAPSE_OK) {
        lapse_manifest_release(view->manifest);
        lapse_mem_free(&store->mem, view);
        return status;
    }
    view->run_count = lapse_manifest_family(view->manifest, LAPSE_RUN_EVENTS, view->runs);
    view->store = store;
    view->as_of = as_of;
    atomic_init(&view->owners, 1);
    lapse_store_retain(store);
    *out = view;
    return LAPSE_OK;
}

void lapse_view_retain(lapse_view *view)
{
    atomic_fetch_add(&view->owners, 1);
}

void lapse_view_close(lapse_view *view)
{
    if (!view || atomic_fetch_sub(&view->owners, 1) != 1)
        return;
    struct lapse_store *store = view->store;
    lapse_manifest_release(view->manifest);
    lapse_mem_free(&store->mem, view->runs);
    lapse_mem_free(&store->mem, view);
    lapse_store_close(store);
}

lapse_status lapse_view_check(const lapse_view *view, lapse_error *error)
{
    lapse_status status = view ? lapse_store_check(view->store, error) : lapse_fail(error, LAPSE_INVALID, "the view is NULL");
    if (status != LAPSE_OK)
        return status;
    struct lapse_manifest *m; /* of now: another process may have forgotten somebody */
    status = lapse_store_manifest(view->store, &m, error);
    if (status == LAPSE_OK && m->erased != view->manifest->erased)
        status = lapse_view_stale(error);
    lapse_manifest_release(m);
    return status;
}

lapse_status lapse_view_stale(lapse_error *error)
{
    return lapse_fail(error, LAPSE_STALE, "somebody was forgotten since the view was opened: open it again");
}

lapse_status lapse_view_forgotten(lapse_view *view, struct lapse_text customer, bool *out, lapse_error *error)
{
    struct lapse_tombs *tombs;
    int64_t at = INT64_MIN;
    lapse_status status = lapse_tombs_take(view->store, view->manifest, &tombs, error);
    if (status == LAPSE_OK)
        status = lapse_tombs_find(tombs, view->store, view->manifest, customer, &at, error);
    lapse_tombs_release(tombs);
    *out = at != INT64_MIN;
    return status;
}

lapse_status lapse_view_check_span(const lapse_view *view, int64_t from, lapse_error *error)
{
    if (from <= view->as_of)
        return LAPSE_OK;
    return lapse_fail(error, LAPSE_BAD_INPUT, "the span ends before it begins: from is later than the instant of the view");
}

int64_t lapse_view_as_of(const lapse_view *view)
{
    return view ? view->as_of : 0;
}

const lapse_allocator *lapse_view_memory(const lapse_view *view)
{
    return &view->store->mem;
}

const struct lapse_zone *lapse_view_zone(const lapse_view *view)
{
    return &view->store->zone;
}

int lapse_view_digits(const lapse_view *view)
{
    return view->store->digits;
}

int64_t lapse_view_first_time(const lapse_view *view)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < view->run_count; i++)
        if (view->runs[i]->rows && view->runs[i]->first_time < first)
            first = view->runs[i]->first_time;
    return first;
}

uint64_t lapse_view_seed(const lapse_view *view)
{
    return lapse_hash(view->store->key, sizeof view->store->key, 0);
}
