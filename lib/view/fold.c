/* The loop over all customers, on one thread or several.
 *
 * The keys are cut into parts (store/cut.c), so that threads take parts as they come and every part lies between its
 * neighbours. Which thread takes which part changes nothing. */
#include "view/private.h"

enum { PARTS_A_THREAD = 8, TOLD_EVERY = 1 << 16 };

struct folding {
    lapse_view *view;
    const struct lapse_fold *fold;
    int64_t parts;
    struct lapse_text *from; /* where a part begins; the first and the last are open */
    lapse_status status[LAPSE_FOLD_PARTS];
    lapse_error error[LAPSE_FOLD_PARTS];
    const void *caller;
    int64_t total;
    atomic_llong done;
    atomic_bool stop;
};

int64_t lapse_view_rows(const lapse_view *view)
{
    int64_t rows = 0;
    for (size_t i = 0; i < view->run_count; i++)
        rows += view->runs[i]->rows;
    return rows;
}

int64_t lapse_view_customers(const lapse_view *view)
{
    int64_t most = 0;
    for (size_t i = 0; i < view->run_count; i++) {
        int64_t keys = 0;
        for (size_t b = 0; b < view->runs[i]->block_count; b++)
            keys += view->runs[i]->blocks[b].keys;
        most = keys > most ? keys : most;
    }
    return most;
}

int32_t lapse_fold_parts(int32_t threads)
{
    return threads <= 1 ? 1 : threads < LAPSE_FOLD_PARTS / PARTS_A_THREAD ? threads * PARTS_A_THREAD : LAPSE_FOLD_PARTS;
}

lapse_status lapse_view_cut(lapse_view *view, int64_t parts, struct lapse_text **keys, int64_t *count, lapse_error *error)
{
    return lapse_runs_cut(lapse_view_memory(view), view->runs, view->run_count, parts, keys, count, error);
}

static bool tell(struct folding *f, int64_t events)
{
    int64_t done = atomic_fetch_add(&f->done, events) + events;
    if (f->fold->on_progress && lapse_thread_mark() == f->caller &&
        f->fold->on_progress(f->fold->progress_user, done, f->total))
        atomic_store(&f->stop, true);
    return !atomic_load(&f->stop);
}

static int fold_part(void *user, int64_t part)
{
    struct folding *f = user;
    lapse_error *error = &f->error[part];
    struct lapse_cursor *cursor;
    const struct lapse_history *h;
    int64_t told = 0;
    error->size = sizeof *error;
    lapse_status status = lapse_cursor_open(f->view, f->fold->fields, part > 0 ? &f->from[part] : NULL,
                                            part + 1 < f->parts ? &f->from[part + 1] : NULL, &cursor, error);
    if (status == LAPSE_OK && f->fold->instants)
        lapse_cursor_instants(cursor, f->fold->instants, f->fold->instant_count, f->fold->always);
    while (status == LAPSE_OK && (status = lapse_cursor_next(cursor, &h, error)) == LAPSE_OK) {
        status = f->fold->customer(f->fold->user, (int32_t)part, h, error);
        int64_t events = lapse_cursor_events(cursor);
        if (events - told < TOLD_EVERY)
            continue;
        if (status == LAPSE_OK && !tell(f, events - told))
            status = lapse_fail(error, LAPSE_CANCELLED, "cancelled");
        told = events;
    }
    lapse_cursor_close(cursor);
    if (f->fold->part_ended)
        f->fold->part_ended(f->fold->user, (int32_t)part);
    f->status[part] = status == LAPSE_DONE ? LAPSE_OK : status;
    return f->status[part] != LAPSE_OK;
}

lapse_status lapse_view_fold(lapse_view *view, const struct lapse_fold *fold, lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(view);
    struct folding *f = lapse_mem_zero(mem, 1, sizeof *f);
    if (!f)
        return lapse_fail_memory(error);
    f->view = view;
    f->fold = fold;
    f->caller = lapse_thread_mark();
    atomic_init(&f->done, 0);
    atomic_init(&f->stop, false);
    f->total = lapse_view_rows(view);
    lapse_status status = lapse_view_cut(view, lapse_fold_parts(fold->threads), &f->from, &f->parts, error);
    if (status == LAPSE_OK) {
        lapse_parallel(fold->threads, f->parts, fold_part, f);
        for (int64_t p = 0; p < f->parts && status == LAPSE_OK; p++) {
            status = f->status[p];
            if (status != LAPSE_OK)
                lapse_fail_again(error, &f->error[p]);
        }
    }
    lapse_mem_free(mem, f->from);
    lapse_mem_free(mem, f);
    return status;
}
