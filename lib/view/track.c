/* The last purchase or activity of a customer, as a view at each instant would see it.
 *
 * Mostly a row moves the clock from its own instant on, and nothing else is to be known. Where lines share an order,
 * or events are retracted, rows are played back in time: a row comes in at its time and goes out at that of the
 * retraction that names it, the order it belongs to is looked at again, and the latest valid order is the top of a
 * heap whose outdated marks are dropped when they surface. Cost: linear, or O(n log n) with the second case. */
#include "view/private.h"

#define NEVER INT64_MAX
#define ALONE UINT32_MAX /* a group of a row that has no part in anything */

enum { PENDING, PRESENT, GONE };

struct lapse_track_row {
    int64_t gone; /* when it is retracted */
    uint32_t group;
    uint8_t state;
};
/* An order, or one act. Its rows are order[first .. end), in canonical order. */
struct lapse_track_group {
    lapse_int128 gross, refunded;
    int64_t time; /* of its earliest line, while it is valid; else LAPSE_MISSING */
    uint32_t first, end;
    uint32_t known, cancelled; /* rows: lines with an amount; cancellations, and refunds of the whole */
};
struct lapse_track_mark {
    int64_t time;
    uint32_t group;
};

struct reading {
    struct lapse_track *t;
    const struct lapse_history *h;
    const struct lapse_activity *activity;
    bool zero_is_valid;
};

static bool is_line(const struct reading *r, int64_t i)
{
    return r->activity ? lapse_activity_is(r->activity, r->h, i)
                       : r->h->name[LAPSE_F_KIND][i] == LAPSE_KIND_ORDER_PLACED;
}

static bool takes_back(const struct reading *r, int64_t i)
{
    uint8_t kind = r->h->name[LAPSE_F_KIND][i];
    return !r->activity && (kind == LAPSE_KIND_ORDER_CANCELLED || kind == LAPSE_KIND_ORDER_REFUNDED);
}

static bool put_step(struct lapse_track *t, int64_t since, int64_t last)
{
    int64_t before = t->count ? t->steps[t->count - 1].last : LAPSE_MISSING;
    if (before == last)
        return true;
    if (t->count == t->capacity &&
        !lapse_mem_reserve(t->mem, &t->steps, &t->capacity, t->count + 1, sizeof *t->steps))
        return false;
    t->steps[t->count++] = (struct lapse_step){ since, last };
    return true;
}

/* ---- rows that stand by themselves ---- */

static bool stand_alone(const struct reading *r)
{
    const struct lapse_text_column *ref = &r->h->text[LAPSE_F_REF];
    const uint8_t *kind = r->h->name[LAPSE_F_KIND];
    if (memchr(kind, LAPSE_KIND_EVENT_RETRACTED, (size_t)r->h->count))
        return false;
    if (r->activity || !ref->begin || !ref->data)
        return true;
    for (int64_t i = 0; i < r->h->count; i++)
        if (kind[i] == LAPSE_KIND_ORDER_PLACED && lapse_history_text(r->h, LAPSE_F_REF, i).size)
            return false;
    return true;
}

static bool read_alone(const struct reading *r)
{
    const int64_t *time = r->h->number[LAPSE_F_TIME], *amounts = r->h->number[LAPSE_F_AMOUNT];
    struct lapse_track *t = r->t;
    int64_t n = r->h->count, last = LAPSE_MISSING;
    if (!lapse_mem_reserve(t->mem, &t->steps, &t->capacity, (size_t)n, sizeof *t->steps))
        return false;
    for (int64_t i = 0; i < n; i++) {
        bool known = !r->activity && amounts[i] != LAPSE_MISSING;
        int64_t net = known ? amounts[i] : 0;
        if (time[i] == last || !is_line(r, i) || !lapse_order_valid(known, net, net, r->zero_is_valid))
            continue;
        last = time[i];
        t->steps[t->count++] = (struct lapse_step){ last, last };
    }
    return true;
}

/* ---- when rows are retracted ---- */

static int order_names(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_history *h = user;
    const uint32_t row[2] = { a, b };
    struct lapse_text source[2], id[2];
    for (int i = 0; i < 2; i++) {
        bool retraction = h->name[LAPSE_F_KIND][row[i]] == LAPSE_KIND_EVENT_RETRACTED;
        source[i] = lapse_history_text(h, LAPSE_F_SOURCE, row[i]);
        id[i] = lapse_history_text(h, retraction ? LAPSE_F_REF : LAPSE_F_EVENT_ID, row[i]);
    }
    int order = lapse_text_order(source[0], source[1]);
    return order ? order : lapse_text_order(id[0], id[1]);
}

/* Retractions by what they name, the earliest of a name first; then each row looks for its own. */
static void find_retractions(const struct reading *r)
{
    const struct lapse_history *h = r->h;
    const uint8_t *kind = h->name[LAPSE_F_KIND];
    uint32_t *names = r->t->order, *scratch = names + h->count;
    size_t count = 0;
    for (int64_t i = 0; i < h->count; i++) {
        r->t->rows[i] = (struct lapse_track_row){ .gone = NEVER, .group = ALONE, .state = PENDING };
        if (kind[i] == LAPSE_KIND_EVENT_RETRACTED)
            names[count++] = (uint32_t)i;
    }
    lapse_sort_indices(names, count, scratch, order_names, h);
    for (int64_t i = 0; i < h->count && count; i++) {
        size_t low = 0, high = count;
        if (kind[i] == LAPSE_KIND_EVENT_RETRACTED || !lapse_history_text(h, LAPSE_F_EVENT_ID, i).size)
            continue;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (order_names(h, names[middle], (uint32_t)i) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < count && order_names(h, names[low], (uint32_t)i) == 0)
            r->t->rows[i].gone = h->number[LAPSE_F_TIME][names[low]];
        if (r->t->rows[i].gone <= h->number[LAPSE_F_TIME][i])
            r->t->rows[i].state = GONE;
    }
}

/* ---- which rows are of one order ---- */

static int order_refs(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_history *h = user;
    struct lapse_text x = lapse_history_text(h, LAPSE_F_REF, a), y = lapse_history_text(h, LAPSE_F_REF, b);
    return lapse_text_order(x, y);
}

/* Rows of one ref are one order; an activity, or a line without ref, is one of its own (M14); a refund or
 * cancellation without ref is of none. `order` then has the rows by group. */
static bool find_groups(const struct reading *r)
{
    struct lapse_track *t = r->t;
    uint32_t *order = t->order, count = 0, groups = 0;
    for (int64_t i = 0; i < r->h->count; i++)
        if (is_line(r, i) || (takes_back(r, i) && lapse_history_text(r->h, LAPSE_F_REF, i).size))
            order[count++] = (uint32_t)i;
    if (!r->activity)
        lapse_sort_indices(order, count, order + r->h->count, order_refs, r->h);
    if (!lapse_mem_reserve(t->mem, &t->groups, &t->group_capacity, (size_t)count + 1, sizeof *t->groups))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool same = i > 0 && !r->activity && lapse_history_text(r->h, LAPSE_F_REF, order[i]).size &&
                    order_refs(r->h, order[i - 1], order[i]) == 0;
        if (!same)
            t->groups[groups++] = (struct lapse_track_group){ .time = LAPSE_MISSING, .first = i };
        t->groups[groups - 1].end = i + 1;
        t->rows[order[i]].group = groups - 1;
    }
    return true;
}

/* ---- the heap of valid orders ---- */

static bool put_mark(struct lapse_track *t, int64_t time, uint32_t group)
{
    if (t->mark_count == t->mark_capacity &&
        !lapse_mem_reserve(t->mem, &t->marks, &t->mark_capacity, t->mark_count + 1, sizeof *t->marks))
        return false;
    size_t at = t->mark_count++;
    for (; at > 0 && t->marks[(at - 1) / 2].time < time; at = (at - 1) / 2)
        t->marks[at] = t->marks[(at - 1) / 2];
    t->marks[at] = (struct lapse_track_mark){ time, group };
    return true;
}

static void drop_top(struct lapse_track *t)
{
    struct lapse_track_mark last = t->marks[--t->mark_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < t->mark_count) {
        child += child + 1 < t->mark_count && t->marks[child + 1].time > t->marks[child].time;
        if (t->marks[child].time <= last.time)
            break;
        t->marks[at] = t->marks[child];
        at = child;
    }
    t->marks[at] = last;
}

/* The time of the latest order that is valid now; an order has moved on from marks that do not have its time. */
static int64_t latest(struct lapse_track *t)
{
    while (t->mark_count && t->groups[t->marks[0].group].time != t->marks[0].time)
        drop_top(t);
    return t->mark_count ? t->marks[0].time : LAPSE_MISSING;
}

/* ---- playing back ---- */

/* What a row adds to its order, or takes away with it. */
static void count_row(const struct reading *r, int64_t i, int sign)
{
    struct lapse_track_group *g = &r->t->groups[r->t->rows[i].group];
    if (r->activity)
        return;
    int64_t amount = r->h->number[LAPSE_F_AMOUNT][i];
    bool line = is_line(r, i), known = amount != LAPSE_MISSING;
    if (!line && (!known || r->h->name[LAPSE_F_KIND][i] == LAPSE_KIND_ORDER_CANCELLED))
        g->cancelled += (uint32_t)sign;
    else if (!line)
        g->refunded += (lapse_int128)sign * amount;
    else if (known) {
        g->known += (uint32_t)sign;
        g->gross += (lapse_int128)sign * amount;
    }
}

/* Looks at an order again after one of its rows came or went. Lines come in the order of their rows, so what has gone
 * from the front is never looked at again. */
static bool judge(const struct reading *r, uint32_t group)
{
    struct lapse_track *t = r->t;
    struct lapse_track_group *g = &t->groups[group];
    while (g->first < g->end && (t->rows[t->order[g->first]].state == GONE || !is_line(r, t->order[g->first])))
        g->first++;
    bool valid = g->first < g->end && t->rows[t->order[g->first]].state == PRESENT && !g->cancelled &&
                 lapse_order_valid(g->known > 0, g->gross, g->gross - g->refunded, r->zero_is_valid);
    int64_t before = g->time;
    g->time = valid ? r->h->number[LAPSE_F_TIME][t->order[g->first]] : LAPSE_MISSING;
    return !valid || g->time == before || put_mark(t, g->time, group);
}

static bool turn_row(const struct reading *r, int64_t i, uint8_t state)
{
    struct lapse_track_row *row = &r->t->rows[i];
    if (row->group == ALONE || row->state == GONE)
        return true;
    row->state = state;
    count_row(r, i, state == PRESENT ? 1 : -1);
    return judge(r, row->group);
}

static int order_leaving(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_track_row *rows = user;
    return (rows[a].gone > rows[b].gone) - (rows[a].gone < rows[b].gone);
}

static bool play(const struct reading *r)
{
    struct lapse_track *t = r->t;
    const int64_t *time = r->h->number[LAPSE_F_TIME];
    int64_t n = r->h->count, in = 0;
    uint32_t *leaving = t->order + n;
    size_t leave_count = 0, out = 0;
    for (int64_t i = 0; i < n; i++)
        if (t->rows[i].gone != NEVER && t->rows[i].state != GONE)
            leaving[leave_count++] = (uint32_t)i;
    lapse_sort_indices(leaving, leave_count, leaving + n, order_leaving, t->rows);
    t->mark_count = 0;
    /* A row goes at the time of another, so instants are those of rows; and after it has come. */
    while (in < n) {
        int64_t now = time[in];
        bool good = true;
        for (; good && in < n && time[in] == now; in++)
            good = turn_row(r, in, PRESENT);
        for (; good && out < leave_count && t->rows[leaving[out]].gone <= now; out++)
            good = turn_row(r, leaving[out], GONE);
        if (!good || !put_step(t, now, latest(t)))
            return false;
    }
    return true;
}

uint32_t lapse_track_fields(const lapse_view *view, enum lapse_basis basis)
{
    uint32_t stored = 0, fields = basis == LAPSE_BASIS_PURCHASE ? LAPSE_ORDER_FIELDS : LAPSE_ACTIVITY_FIELDS;
    for (size_t i = 0; i < view->run_count; i++)
        stored |= view->runs[i]->fields;
    if (stored & LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID)) /* without ids nothing can be retracted */
        fields |= LAPSE_RETRACTED | LAPSE_FIELD_BIT(LAPSE_F_SOURCE) | LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID) |
                  LAPSE_FIELD_BIT(LAPSE_F_REF);
    return fields;
}

lapse_status lapse_track_read(struct lapse_track *t, const struct lapse_history *h,
                              const struct lapse_activity *activity, bool zero_is_valid, lapse_error *error)
{
    struct reading r = { t, h, activity, zero_is_valid };
    size_t n = (size_t)h->count;
    t->count = 0;
    if (stand_alone(&r))
        return read_alone(&r) ? LAPSE_OK : lapse_fail_memory(error);
    bool good = n <= UINT32_MAX / 4 && /* rows are 32 bits wide */
                lapse_mem_reserve(t->mem, &t->rows, &t->row_capacity, n, sizeof *t->rows) &&
                lapse_mem_reserve(t->mem, &t->order, &t->order_capacity, 3 * n, sizeof *t->order);
    if (good) {
        find_retractions(&r);
        good = find_groups(&r) && play(&r);
    }
    return good ? LAPSE_OK : lapse_fail_memory(error);
}

void lapse_track_free(struct lapse_track *t)
{
    if (t->mem) {
        lapse_mem_free(t->mem, t->steps);
        lapse_mem_free(t->mem, t->rows);
        lapse_mem_free(t->mem, t->groups);
        lapse_mem_free(t->mem, t->marks);
        lapse_mem_free(t->mem, t->order);
    }
    *t = (struct lapse_track){ .mem = t->mem };
}
