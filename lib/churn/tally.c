/* A fold into counters. Each thread has a set of counters of its own, handed from part to part; what is asked
 * afterwards are sums of integers over the sets, so it does not matter who counted whom. Memory: a set a thread. */
#include "churn/churn.h"

struct running {
    const struct lapse_tally *tally;
    struct lapse_sets *sets;
    struct lapse_lock *lock;
    void *of_part[LAPSE_FOLD_PARTS]; /* while the part runs */
    void *idle[LAPSE_FOLD_PARTS];
    size_t idle_count;
};

/* The set of a part that begins: one that is idle, or a new one. */
static void *take_set(struct running *r)
{
    const struct lapse_tally *tally = r->tally;
    void *set = NULL;
    lapse_lock_take(r->lock);
    if (r->idle_count) {
        set = r->idle[--r->idle_count];
    } else if ((set = lapse_mem_zero(r->sets->mem, 1, tally->size))) {
        r->sets->set[r->sets->count++] = set; /* to be closed also if it cannot be opened */
        if (tally->open && !tally->open(tally->user, set))
            set = NULL;
    }
    lapse_lock_give(r->lock);
    return set;
}

static lapse_status add_customer(void *user, int32_t part, const struct lapse_history *history,
                                 lapse_error *error)
{
    struct running *r = user;
    if (!r->of_part[part] && !(r->of_part[part] = take_set(r)))
        return lapse_fail_memory(error);
    return r->tally->customer(r->tally->user, r->of_part[part], history, error);
}

static void end_part(void *user, int32_t part)
{
    struct running *r = user;
    if (!r->of_part[part])
        return;
    lapse_lock_take(r->lock);
    r->idle[r->idle_count++] = r->of_part[part];
    lapse_lock_give(r->lock);
    r->of_part[part] = NULL;
}

lapse_status lapse_tally_run(const struct lapse_tally *tally, struct lapse_sets *sets, lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(tally->view);
    struct running r = { .tally = tally, .sets = sets };
    struct lapse_fold fold = { .fields = tally->fields,
                               .threads = tally->options->threads,
                               .customer = add_customer,
                               .part_ended = end_part,
                               .user = &r,
                               .on_progress = tally->options->on_progress,
                               .progress_user = tally->options->progress_user };
    *sets = (struct lapse_sets){ .mem = mem };
    r.lock = lapse_lock_new(mem);
    if (!r.lock)
        return lapse_fail_memory(error);
    lapse_status status = lapse_view_fold(tally->view, &fold, error);
    lapse_lock_free(mem, r.lock);
    return status;
}

void lapse_sets_free(struct lapse_sets *sets, void (*close)(const lapse_allocator *mem, void *set))
{
    for (size_t i = 0; i < sets->count; i++) {
        close(sets->mem, sets->set[i]);
        lapse_mem_free(sets->mem, sets->set[i]);
    }
    sets->count = 0;
}

bool lapse_days_count(const lapse_allocator *mem, struct lapse_days *d, int64_t day, int64_t n)
{
    size_t need = (size_t)day + 1;
    if (need > d->days) {
        if (need > d->capacity && !lapse_mem_reserve(mem, &d->count, &d->capacity, need, sizeof *d->count))
            return false;
        memset(d->count + d->days, 0, (need - d->days) * sizeof *d->count);
        d->days = need;
    }
    d->count[day] += n;
    return true;
}

bool lapse_days_add(const lapse_allocator *mem, struct lapse_days *to, const struct lapse_days *from)
{
    bool good = true;
    for (size_t i = from->days; good && i-- > 0;) /* from the end: room is made once */
        good = from->count[i] == 0 || lapse_days_count(mem, to, (int64_t)i, from->count[i]);
    return good;
}

lapse_status lapse_churn_result(const lapse_allocator *mem, struct lapse_builder *b, lapse_result **out,
                                lapse_error *error)
{
    lapse_table *table;
    lapse_status status = lapse_builder_finish(b, &table, error);
    return status == LAPSE_OK ? lapse_result_of_table(mem, table, out, error) : status;
}
