/* Customers as several instants see them, from one fold.
 *
 * The fold goes through each customer once and keeps what changed from one instant to the next: the new values,
 * beside those of other customers at the same instant. Then instant after instant is worked out: its changes are put
 * into the state of all customers, those who have a row now are copied together, and scored as those of a single
 * instant are. So memory is one state, the rows of one instant, and 32 bytes a change until it is put in (half as
 * much again for growing); a step costs the changes and the customers. */
#include "rfm/rfm.h"

enum { NONE = -1, APART = 128, SHORT = 16 /* bytes of an id that are copied whatever its size */ };
#define NOBODY UINT32_MAX

struct change {
    int64_t last, monetary;
    uint32_t frequency, orders, customer;
};
struct changes {
    struct change *items;
    size_t count, capacity;
};
/* What one part of the fold found, in the order of ids. */
struct part {
    struct lapse_orders orders;
    struct changes *changes;           /* of each instant, by customer */
    int64_t *left_out, *without_order; /* of each instant, how many more than at the one before */
    uint8_t *id_size;
    size_t customers, id_capacity;
    struct lapse_buffer ids;
    struct change before; /* of the customer under work; its customer is NOBODY while it has had no row */
    int found;            /* at its instant before; NONE: it had no events */
    struct lapse_rfm_now *now;
    char apart[APART]; /* from what other threads are at */
};
struct lapse_rfm_instants {
    struct lapse_rfm *rfm;
    lapse_view *view;
    lapse_cuts fixed;
    struct lapse_rfm_reader reader;
    int64_t *instants, *after;
    int32_t count, next; /* next: the one to be worked out */
    bool with_ids;
    int64_t left_out, without_order; /* at the last instant */
    struct part parts[LAPSE_FOLD_PARTS]; /* those with customers, once the fold has ended */
};

/* ---- the fold ---- */

static bool begin_part(struct lapse_rfm_instants *s, struct part *p)
{
    size_t n = (size_t)s->count;
    p->changes = lapse_mem_zero(&s->rfm->mem, n, sizeof *p->changes);
    p->left_out = lapse_mem_zero(&s->rfm->mem, n, sizeof *p->left_out);
    p->without_order = lapse_mem_zero(&s->rfm->mem, n, sizeof *p->without_order);
    return p->changes && p->left_out && p->without_order;
}

static void count_found(struct part *p, int32_t instant, int now)
{
    int64_t *counts[] = { [LAPSE_RFM_LEFT_OUT] = p->left_out, [LAPSE_RFM_WITHOUT_ORDER] = p->without_order };
    if (p->found == now)
        return;
    if (p->found > LAPSE_RFM_FOUND)
        counts[p->found][instant]--;
    if (now > LAPSE_RFM_FOUND)
        counts[now][instant]++;
    p->found = now;
}

static bool put_customer(struct lapse_rfm_instants *s, struct part *p, struct lapse_text id)
{
    if (p->customers == NOBODY)
        return false;
    p->before.customer = (uint32_t)p->customers;
    if (!s->with_ids) {
        p->customers++;
        return true;
    }
    if (!lapse_mem_reserve(&s->rfm->mem, &p->id_size, &p->id_capacity, p->customers + 1, 1))
        return false;
    p->id_size[p->customers++] = (uint8_t)id.size;
    lapse_buffer_put(&p->ids, id.data, id.size);
    return !p->ids.failed;
}

static bool put_change(struct lapse_rfm_instants *s, struct changes *to, const struct change *change)
{
    if (!lapse_mem_reserve(&s->rfm->mem, &to->items, &to->capacity, to->count + 1, sizeof *to->items))
        return false;
    to->items[to->count++] = *change;
    return true;
}

static lapse_status see_customer(void *user, int32_t index, const struct lapse_history *history, lapse_error *error)
{
    struct lapse_rfm_instants *s = user;
    struct part *p = &s->parts[index];
    int64_t value[LAPSE_RFM_VALUES];
    enum lapse_rfm_found found;

    if (!p->without_order && !begin_part(s, p))
        return lapse_fail_memory(error);
    if (history->count > UINT32_MAX) /* counts of orders are 32 bits wide */
        return lapse_fail_memory(error);
    if (history->first) {
        p->before = (struct change){ .customer = NOBODY };
        p->found = NONE;
    }
    lapse_status status =
        lapse_rfm_read(&s->reader, &p->orders, history, s->after[history->instant], value, &found, error);
    if (status != LAPSE_OK)
        return status;
    count_found(p, history->instant, (int)found);
    struct change now = { .customer = p->before.customer };
    if (found == LAPSE_RFM_FOUND) {
        now.last = value[LAPSE_RFM_LAST_ORDER];
        now.monetary = value[LAPSE_RFM_MONETARY];
        now.frequency = (uint32_t)value[LAPSE_RFM_FREQUENCY];
        now.orders = (uint32_t)value[LAPSE_RFM_ORDERS];
    }
    if (now.frequency == p->before.frequency && now.orders == p->before.orders && now.last == p->before.last &&
        now.monetary == p->before.monetary)
        return LAPSE_OK;
    if (now.customer == NOBODY && !put_customer(s, p, history->customer))
        return lapse_fail_memory(error);
    now.customer = p->before.customer;
    p->before = now;
    return put_change(s, &p->changes[history->instant], &now) ? LAPSE_OK : lapse_fail_memory(error);
}

/* What is needed once all changes are known: states, and room for the rows of any instant. */
static bool make_room(struct lapse_rfm_instants *s, struct part *p)
{
    const lapse_allocator *mem = &s->rfm->mem;
    struct lapse_rfm_part *rows = &s->rfm->part[s->rfm->part_count++];
    size_t n = p->customers;
    bool ok = (p->now = lapse_mem_zero(mem, n, sizeof *p->now));
    for (int v = 0; v < LAPSE_RFM_VALUES; v++)
        ok = (rows->value[v] = lapse_mem_alloc(mem, n * sizeof(int64_t))) && ok;
    lapse_buffer_init(&rows->ids, mem);
    if (s->with_ids) {
        ok = (rows->id_size = lapse_mem_alloc(mem, n)) && ok;
        ok = (rows->id_mark = lapse_mem_alloc(mem, (n / LAPSE_ID_MARK + 1) * sizeof(int64_t))) && ok;
        ok = lapse_buffer_room(&rows->ids, p->ids.size + SHORT) && lapse_buffer_room(&p->ids, SHORT) && ok;
    }
    for (int a = 0; a < 3; a++)
        ok = (rows->scores[a] = lapse_mem_alloc(mem, n)) && ok;
    return ok;
}

static void free_part(const lapse_allocator *mem, struct part *p, int32_t instants)
{
    lapse_orders_free(&p->orders);
    for (int32_t i = 0; p->changes && i < instants; i++)
        lapse_mem_free(mem, p->changes[i].items);
    lapse_mem_free(mem, p->changes);
    lapse_mem_free(mem, p->left_out);
    lapse_mem_free(mem, p->without_order);
    lapse_mem_free(mem, p->id_size);
    lapse_mem_free(mem, p->now);
    lapse_buffer_free(&p->ids);
}

static lapse_status fold(struct lapse_rfm_instants *s, lapse_error *error)
{
    const lapse_rfm_options *o = &s->rfm->options;
    const struct lapse_fold fold = { .fields = LAPSE_ORDER_FIELDS | LAPSE_RIGHTS_FIELDS,
                                     .threads = o->threads,
                                     .instants = s->instants,
                                     .instant_count = s->count,
                                     .always = o->window_unit != LAPSE_UNIT_NONE, /* orders leave it as time goes by */
                                     .customer = see_customer,
                                     .user = s,
                                     .on_progress = o->on_progress,
                                     .progress_user = o->progress_user };
    lapse_status status = s->count ? lapse_view_fold(s->view, &fold, error) : LAPSE_OK;
    for (int p = 0; p < LAPSE_FOLD_PARTS && status == LAPSE_OK; p++) {
        struct part *part = &s->parts[p];
        for (int32_t i = 0; part->changes && i < s->count; i++) {
            s->left_out += part->left_out[i];
            s->without_order += part->without_order[i];
        }
        if (part->customers && !make_room(s, part))
            status = lapse_fail_memory(error);
    }
    return status;
}

lapse_status lapse_rfm_instants_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids,
                                    int64_t *instants, int32_t count, struct lapse_rfm_instants **out,
                                    lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(view);
    struct lapse_rfm_instants *s = lapse_mem_zero(mem, 1, sizeof *s);
    struct lapse_rfm *rfm;
    lapse_status status = s ? lapse_rfm_begin(view, options, &rfm, error) : lapse_fail_memory(error);
    if (status != LAPSE_OK) {
        lapse_mem_free(mem, s);
        lapse_mem_free(mem, instants);
        return status;
    }
    lapse_view_retain(view);
    s->rfm = rfm;
    s->view = view;
    s->instants = instants;
    s->count = count;
    s->with_ids = with_ids;
    if (rfm->options.fixed) { /* it outlives the call */
        memcpy(&s->fixed, rfm->options.fixed, sizeof s->fixed);
        rfm->options.fixed = &s->fixed;
    }
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++) {
        s->parts[p].orders.mem = &rfm->mem;
        lapse_buffer_init(&s->parts[p].ids, &rfm->mem);
    }
    lapse_rfm_reader_init(&s->reader, rfm, view);
    s->after = lapse_mem_alloc(mem, (size_t)count * sizeof *s->after);
    if (!s->after)
        status = lapse_fail_memory(error);
    for (int32_t i = 0; status == LAPSE_OK && i < count; i++)
        s->after[i] = lapse_rfm_window(&s->reader, instants[i]);
    if (status == LAPSE_OK)
        status = fold(s, error);
    if (status == LAPSE_OK)
        *out = s;
    else
        lapse_rfm_instants_free(s);
    return status;
}

void lapse_rfm_instants_free(struct lapse_rfm_instants *s)
{
    lapse_view *view = s->view;
    const lapse_allocator *mem = lapse_view_memory(view);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++)
        free_part(mem, &s->parts[p], s->count);
    lapse_rfm_free(s->rfm);
    lapse_mem_free(mem, s->instants);
    lapse_mem_free(mem, s->after);
    lapse_mem_free(mem, s);
    lapse_view_close(view);
}

/* ---- instant after instant ---- */

const struct lapse_rfm *lapse_rfm_instant(const struct lapse_rfm_instants *s)
{
    return s->rfm;
}

int32_t lapse_rfm_instants_parts(const struct lapse_rfm_instants *s)
{
    return s->rfm->part_count;
}

/* Part p of the rows is the p-th part of the fold that has customers. */
static struct part *part_of(const struct lapse_rfm_instants *s, int32_t p)
{
    const struct part *part = s->parts;
    for (;; part++)
        if (part->customers && p-- == 0)
            return (struct part *)(uintptr_t)part;
}

const struct lapse_rfm_now *lapse_rfm_instants_part(const struct lapse_rfm_instants *s, int32_t p, int64_t *count)
{
    const struct part *part = part_of(s, p);
    *count = (int64_t)part->customers;
    return part->now;
}

/* They are not needed any more then. */
static void apply_changes(const struct lapse_rfm_instants *s, struct part *p, int32_t instant)
{
    struct changes *changes = &p->changes[instant];
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *c = &changes->items[i];
        p->now[c->customer] = (struct lapse_rfm_now){ .last = c->last,
                                                      .day = c->frequency ? lapse_zone_day(s->reader.zone, c->last) : 0,
                                                      .monetary = c->monetary,
                                                      .frequency = c->frequency,
                                                      .orders = c->orders };
    }
    lapse_mem_free(&s->rfm->mem, changes->items);
    *changes = (struct changes){ .items = NULL };
}

/* Puts the customers that have a row now together. */
static void copy_rows(const struct lapse_rfm_instants *s, const struct part *p, int64_t today,
                      struct lapse_rfm_part *rows)
{
    const char *from = p->ids.data;
    char *to = rows->ids.data;
    int64_t n = 0;
    for (size_t i = 0; i < p->customers; i++) {
        const struct lapse_rfm_now *now = &p->now[i];
        size_t size = s->with_ids ? p->id_size[i] : 0;
        if (now->frequency) {
            rows->value[LAPSE_RFM_LAST_ORDER][n] = now->last;
            rows->value[LAPSE_RFM_RECENCY][n] = lapse_rfm_days_since(today, now->day);
            rows->value[LAPSE_RFM_FREQUENCY][n] = now->frequency;
            rows->value[LAPSE_RFM_MONETARY][n] = now->monetary;
            rows->value[LAPSE_RFM_ORDERS][n] = now->orders;
            if (s->with_ids) {
                if (n % LAPSE_ID_MARK == 0)
                    rows->id_mark[n / LAPSE_ID_MARK] = to - rows->ids.data;
                rows->id_size[n] = (uint8_t)size;
                if (size <= SHORT)
                    memcpy(to, from, SHORT); /* both have room for it */
                else
                    memcpy(to, from, size);
                to += size;
            }
            n++;
        }
        if (s->with_ids)
            from += size;
    }
    rows->ids.size = s->with_ids ? (size_t)(to - rows->ids.data) : 0;
    rows->count = n;
}

static int work_part(void *user, int64_t task)
{
    struct lapse_rfm_instants *s = user;
    struct part *p = part_of(s, (int32_t)task);
    apply_changes(s, p, s->next);
    copy_rows(s, p, lapse_zone_day(s->reader.zone, s->instants[s->next]), &s->rfm->part[task]);
    return 0;
}

lapse_status lapse_rfm_instants_next(struct lapse_rfm_instants *s, lapse_error *error)
{
    struct lapse_rfm *rfm = s->rfm;
    if (s->next == s->count)
        return LAPSE_DONE;
    rfm->as_of = s->instants[s->next];
    lapse_parallel(rfm->options.threads, rfm->part_count, work_part, s);
    for (int p = 0; p < LAPSE_FOLD_PARTS; p++)
        if (s->parts[p].changes) {
            rfm->left_out += s->parts[p].left_out[s->next];
            rfm->without_order += s->parts[p].without_order[s->next];
        }
    rfm->count = 0;
    for (int32_t p = 0; p < rfm->part_count; p++) {
        rfm->part[p].first = rfm->count;
        rfm->count += rfm->part[p].count;
    }
    s->next++;
    return lapse_rfm_score_parts(rfm) ? LAPSE_OK : lapse_fail_memory(error);
}

lapse_status lapse_rfm_instants_notes(const struct lapse_rfm_instants *s, lapse_result *result)
{
    struct lapse_rfm last = { .left_out = s->left_out, .without_order = s->without_order };
    last.as_of = s->count ? s->instants[s->count - 1] : 0;
    return lapse_rfm_notes(&last, true, result);
}
