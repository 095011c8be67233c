/* Advance looks at one customer: what was told of her, and what is, both in the order of keys. Each difference is a change;
 * when there is one, or another deadline, a new version of what was told takes the place of the old one. Cost: that of the
 * fold, and of the rows of a version. */
#include "state/advance.h"

enum { TOLD_EVERY = 4096 };

static lapse_status damaged(struct lapse_text customer, lapse_error *error)
{
    return lapse_fail(error, LAPSE_DAMAGED, "what was told of customer \"%.*s\" is damaged", (int)customer.size, customer.data);
}

lapse_status lapse_told_read(const struct lapse_group *g, struct lapse_told *out, lapse_error *error)
{
    *out = (struct lapse_told){ .wake = LAPSE_MISSING, .deadline = LAPSE_MISSING };
    if (!g)
        return LAPSE_OK;
    const struct lapse_columns *c = out->columns = g->columns;
    size_t end = g->first + (size_t)g->count;
    int64_t version = lapse_columns_number(c, LAPSE_F_TIME, end - 1) >> LAPSE_VERSION_SHIFT;
    out->first = g->first;
    while (lapse_columns_number(c, LAPSE_F_TIME, out->first) >> LAPSE_VERSION_SHIFT != version)
        out->first++;
    if (lapse_columns_number(c, LAPSE_T_REGION, out->first) != 0)
        return damaged(g->key, error);
    out->wake = lapse_columns_number(c, LAPSE_T_WAKE, out->first);
    out->deadline = lapse_columns_number(c, LAPSE_T_DEADLINE, out->first);
    out->first++;
    out->count = end - out->first;
    return LAPSE_OK;
}

static bool keep(struct lapse_advance *a, struct lapse_cells *cells)
{
    int64_t time = a->telling.call.number << LAPSE_VERSION_SHIFT | (int64_t)a->version.count;
    lapse_cells_number(cells, LAPSE_F_TIME, time);
    return lapse_rows_gather(&a->version, &cells->columns, cells->columns.fields, NULL, 0, 1);
}

static bool keep_state(struct lapse_advance *a, const struct lapse_told_key *key, int32_t state)
{
    struct lapse_cells cells = { .begin = 0 };
    lapse_cells_key(&cells, key);
    lapse_cells_number(&cells, LAPSE_T_STATE, state);
    return keep(a, &cells);
}

static bool keep_head(struct lapse_advance *a, int64_t wake, int64_t deadline)
{
    struct lapse_cells cells = { .begin = 0 };
    lapse_rows_clear(&a->version);
    lapse_cells_number(&cells, LAPSE_T_REGION, 0);
    lapse_cells_number(&cells, LAPSE_T_WAKE, wake);
    lapse_cells_number(&cells, LAPSE_T_DEADLINE, deadline);
    return keep(a, &cells);
}

/* A record, unless the host is to be told nothing. Those of one customer come in the order of regions and keys. */
static lapse_status tell(struct lapse_advance *a, struct lapse_text customer, const struct lapse_present *now, int32_t from,
                         lapse_error *error)
{
    struct lapse_cells cells = { .begin = 0 };
    struct lapse_numbered key;
    bool corrected = a->telling.before && now->since <= a->last_as_of;
    int64_t cause = a->adopts ? LAPSE_CAUSE_POLICY : now->kind;
    if (a->options.flags & LAPSE_ADVANCE_BASELINE || a->fresh >> now->key.region & 1)
        return LAPSE_OK;
    lapse_numbered_set(&key, now->since, customer);
    lapse_cells_number(&cells, LAPSE_F_TIME, a->changed++);
    lapse_cells_key(&cells, &now->key);
    lapse_cells_number(&cells, LAPSE_T_FROM, from);
    lapse_cells_number(&cells, LAPSE_T_TO, now->state);
    lapse_cells_number(&cells, LAPSE_T_CAUSE, 2 * cause + corrected);
    if (key.rest.size)
        lapse_cells_text(&cells, LAPSE_T_REST, key.rest);
    return lapse_sorter_put(&a->changes, key.key, &cells, error);
}

/* Goes through what was told and what is, both in the order of keys, together. The version gets what is not as at the
 * beginning; *changed: something was not as told. */
static lapse_status compare_states(struct lapse_advance *a, struct lapse_text customer, const struct lapse_told *was, bool *changed,
                                   lapse_error *error)
{
    const struct lapse_presents *p = &a->presents;
    size_t i = 0, j = 0;
    lapse_status status = LAPSE_OK;
    while ((i < was->count || j < p->count) && status == LAPSE_OK) {
        struct lapse_told_key told = { .region = 0 };
        if (i < was->count)
            lapse_told_key_read(was->columns, was->first + i, &told);
        const struct lapse_present *item = j < p->count ? &p->items[p->order[j]] : NULL;
        int order = i == was->count ? 1 : !item ? -1 : lapse_told_key_compare(&told, &item->key);
        /* What nothing is known of any more is as at the beginning, and was so from the first event on. */
        struct lapse_present now = { told, 0, p->first_time, p->first_kind };
        if (order >= 0)
            now = *item;
        if (now.key.region <= 0 || now.key.region >= LAPSE_TOLD_REGIONS || !lapse_told_regions[now.key.region].name)
            return damaged(customer, error);
        const struct lapse_told_region *region = &lapse_told_regions[now.key.region];
        if (order < 0)
            now.state = region->initial;
        int64_t from = order <= 0 ? lapse_columns_number(was->columns, LAPSE_T_STATE, was->first + i) : region->initial;
        if (from < 0 || from > INT32_MAX || !region->name_of((int32_t)from))
            return damaged(customer, error);
        if (now.state != from) {
            *changed = true;
            status = tell(a, customer, &now, (int32_t)from, error);
        }
        if (status == LAPSE_OK && now.state != region->initial && !keep_state(a, &now.key, now.state))
            status = lapse_fail_memory(error);
        i += order <= 0;
        j += order >= 0;
    }
    return status;
}

lapse_status lapse_advance_put_deadline(struct lapse_advance *a, struct lapse_text customer, int64_t time, lapse_error *error)
{
    struct lapse_cells cells = { .begin = 0 };
    struct lapse_numbered key;
    lapse_numbered_set(&key, time, customer);
    lapse_cells_number(&cells, LAPSE_F_TIME, time);
    if (key.rest.size)
        lapse_cells_text(&cells, LAPSE_T_REST, key.rest);
    return lapse_sorter_put(&a->deadlines, key.key, &cells, error);
}

/* `history` NULL: there are no events of hers (any more), and nobody is told of her. An event that lies after the instant
 * is a deadline too. */
static lapse_status look_at(struct lapse_advance *a, struct lapse_text customer, const struct lapse_history *history,
                            const struct lapse_group *group, lapse_error *error)
{
    struct lapse_told was;
    int64_t deadline = LAPSE_NEVER, wake;
    bool changed = false;
    lapse_status status = lapse_told_read(group, &was, error);
    a->presents.count = 0;
    if (history) {
        deadline = history->next;
        history = history->count ? history : NULL;
    }
    if (status == LAPSE_OK && history)
        status = lapse_person_fold(&a->person, history, error);
    if (status == LAPSE_OK && history)
        status = lapse_presents_read(&a->presents, &a->person, error);
    if (status != LAPSE_OK)
        return status;
    if (history && lapse_present_deadline(&a->person) < deadline)
        deadline = lapse_present_deadline(&a->person);
    deadline = deadline == LAPSE_NEVER ? LAPSE_MISSING : deadline;
    wake = was.wake;
    bool entry = deadline != LAPSE_MISSING &&
                 (a->rewrites || wake == LAPSE_MISSING || wake <= a->as_of || deadline < wake);
    if (entry || deadline == LAPSE_MISSING)
        wake = deadline;
    if (!keep_head(a, wake, deadline))
        return lapse_fail_memory(error);
    if (history)
        status = compare_states(a, customer, &was, &changed, error);
    else
        changed = was.count > 0;
    if (status == LAPSE_OK && entry)
        status = lapse_advance_put_deadline(a, customer, deadline, error);
    if (status == LAPSE_OK && (changed || wake != was.wake || deadline != was.deadline)) {
        struct lapse_columns c;
        lapse_rows_columns(&a->version, &c);
        status = lapse_run_writer_put(&a->writer, customer, &c, c.fields, 0, a->version.count, error);
    }
    if (status == LAPSE_OK && a->options.on_progress && ++a->looked_at % TOLD_EVERY == 0 &&
        a->options.on_progress(a->options.progress_user, a->looked_at, -1))
        return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    return status;
}

lapse_status lapse_advance_look_at(struct lapse_advance *a, struct lapse_text customer, const struct lapse_history *history,
                                   const struct lapse_group *group, lapse_error *error)
{
    struct lapse_crossing *crossing = NULL;
    lapse_status status = LAPSE_OK;
    if (a->shares && !a->full && history && history->count)
        status = lapse_crossing_of_one(a->view, history, &crossing, error);
    if (crossing)
        a->person.crossing = crossing;
    if (status == LAPSE_OK)
        status = look_at(a, customer, history, group, error);
    if (crossing)
        a->person.crossing = NULL;
    lapse_crossing_free(crossing);
    return status;
}
