/* Customers in id order, each with the events that the view's instant sees, or with those of each of several instants.
 *
 * The merge of the runs gives a customer's rows in canonical order, so what is visible is a stretch from the first.
 * Only a customer with a retraction needs more: what it names is taken out. Nothing is copied otherwise. */
#include "view/private.h"

enum { CLASSES = LAPSE_CLASS_TEXT + 1 };

struct lapse_cursor {
    lapse_view *view;
    struct lapse_merge *merge;
    uint8_t fields[CLASSES][LAPSE_FIELDS]; /* asked for, by class; first the held[class] that there are */
    int count[CLASSES], held[CLASSES];
    bool fresh;                    /* the columns are other ones than those of the history before */
    bool one_kind;                 /* all events in the columns are of one: `kinds` */
    uint64_t kinds[2];
    bool raw;                      /* retracted events stay */
    const int64_t *instants;       /* at which each customer is seen, ascending */
    int32_t instant_count, next;   /* next: instant of the customer under work; instant_count: none */
    bool always;                   /* also where nothing changed since the instant before */
    bool first;                    /* nothing of the group has been shown */
    const struct lapse_group *group;
    size_t seen;                   /* rows of the group that the instant before saw */
    bool unseen;                   /* customers without events are shown too */
    bool found, ended;             /* lapse_cursor_find(): `history` is the last that it came to; there is none any more */
    int64_t events;
    struct lapse_history history;
    struct lapse_rows rows;        /* of a customer with a retraction */
    void *missing;                 /* a column without values, for those that no run has */
    size_t missing_count;
};

/* What a retraction is told by. */
static const uint32_t identity = LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_SOURCE) |
                                 LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID);

lapse_status lapse_cursor_open(lapse_view *view, uint32_t fields, const struct lapse_text *from,
                               const struct lapse_text *to, struct lapse_cursor **out, lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(view);
    struct lapse_cursor *c = *out = lapse_mem_zero(mem, 1, sizeof *c);
    if (!c)
        return lapse_fail_memory(error);
    c->raw = fields & LAPSE_RETRACTED;
    c->unseen = fields & LAPSE_UNSEEN;
    fields = (fields & LAPSE_ALL_FIELDS) | LAPSE_FIELD_BIT(LAPSE_F_TIME);
    for (int f = 0; f < LAPSE_FIELDS; f++)
        if (fields & LAPSE_FIELD_BIT(f))
            c->fields[lapse_fields[f].class][c->count[lapse_fields[f].class]++] = (uint8_t)f;
    lapse_rows_init(&c->rows, mem);
    /* Events with ids are rare where there are no ids at all: then nothing can be retracted. */
    uint32_t stored = 0;
    for (size_t i = 0; i < view->run_count; i++)
        stored |= view->runs[i]->fields;
    uint32_t read = fields | (stored & LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID) ? identity : 0);
    lapse_status status = lapse_merge_open(view->store, view->runs, view->run_count, read, from, to, &c->merge, error);
    if (status != LAPSE_OK) {
        lapse_mem_free(mem, c);
        *out = NULL;
        return status;
    }
    c->view = view;
    lapse_view_retain(view);
    lapse_cursor_instants(c, &view->as_of, 1, false);
    return LAPSE_OK;
}

void lapse_cursor_instants(struct lapse_cursor *c, const int64_t *instants, int32_t count, bool always)
{
    c->instants = instants;
    c->instant_count = c->next = count;
    c->always = always;
}

void lapse_cursor_close(struct lapse_cursor *c)
{
    if (!c)
        return;
    lapse_view *view = c->view;
    const lapse_allocator *mem = lapse_view_memory(view);
    lapse_merge_close(c->merge);
    lapse_rows_free(&c->rows);
    lapse_mem_free(mem, c->missing);
    lapse_mem_free(mem, c);
    lapse_view_close(view);
}

void lapse_history_columns(const struct lapse_history *h, uint32_t fields, struct lapse_columns *out)
{
    *out = (struct lapse_columns){ .fields = fields };
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        if (!(fields & LAPSE_FIELD_BIT(f)))
            continue;
        out->number[f] = h->number[f];
        out->name[f] = h->name[f];
        out->text[f] = h->text[f];
    }
}

int64_t lapse_cursor_events(const struct lapse_cursor *c)
{
    return c->events;
}

/* Most histories are of one kind, or of a few in no order that could be guessed: so one look at all of them, eight at
 * a time, and no branch for each. */
void lapse_history_note_kinds(struct lapse_history *h, const uint8_t *kind, size_t n)
{
    uint64_t low = 0, high = 0, other = 0, word;
    const uint64_t same = n ? UINT64_C(0x0101010101010101) * kind[0] : 0;
    for (size_t i = 0; n >= 8 && i < n; i += 8) {
        memcpy(&word, kind + (i + 8 < n ? i : n - 8), 8);
        other |= word ^ same;
    }
    for (size_t i = 0; n < 8 && i < n; i++)
        other |= (uint64_t)(kind[i] ^ kind[0]);
    for (size_t i = 0; i < (other ? n : n > 0); i++) {
        uint64_t bit = UINT64_C(1) << (kind[i] & 63), is_high = 0 - (uint64_t)(kind[i] >> 6 & 1);
        low |= bit & ~is_high;
        high |= bit & is_high;
    }
    h->kinds[0] = low;
    h->kinds[1] = high;
}

/* How many rows are at or before the instant; the first `low` are. */
static size_t visible(const struct lapse_group *g, size_t low, int64_t as_of)
{
    const int64_t *time = g->columns->number[LAPSE_F_TIME] + g->first;
    size_t high = (size_t)g->count;
    if (high && time[high - 1] <= as_of)
        return high;
    if (low < high && time[low] > as_of)
        return low;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (time[middle] <= as_of)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Retractions by the source and id that they name; other rows by their own. */
static int order_names(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_columns *c = user;
    const uint32_t row[2] = { a, b };
    struct lapse_text source[2], id[2];
    for (int i = 0; i < 2; i++) {
        bool retraction = lapse_columns_name(c, LAPSE_F_KIND, row[i]) == LAPSE_KIND_EVENT_RETRACTED;
        source[i] = lapse_columns_text(c, LAPSE_F_SOURCE, row[i]);
        id[i] = lapse_columns_text(c, retraction ? LAPSE_F_REF : LAPSE_F_EVENT_ID, row[i]);
    }
    int order = lapse_text_order(source[0], source[1]);
    return order ? order : lapse_text_order(id[0], id[1]);
}

/* Rows without those that a visible event.retracted names, in c->rows. A retraction itself cannot be retracted. */
static bool take_out(struct lapse_cursor *c, const struct lapse_columns *from, size_t first, size_t n)
{
    const lapse_allocator *mem = lapse_view_memory(c->view);
    size_t count = 0;
    uint32_t *names = lapse_mem_alloc(mem, 2 * n * sizeof *names);
    if (!names)
        return false;
    for (size_t i = first; i < first + n; i++)
        if (lapse_columns_name(from, LAPSE_F_KIND, i) == LAPSE_KIND_EVENT_RETRACTED)
            names[count++] = (uint32_t)i;
    lapse_sort_indices(names, count, names + n, order_names, from);
    lapse_rows_clear(&c->rows);
    bool ok = true;
    for (size_t i = first; i < first + n && ok; i++) {
        bool can_be = lapse_columns_text(from, LAPSE_F_EVENT_ID, i).size &&
                      lapse_columns_name(from, LAPSE_F_KIND, i) != LAPSE_KIND_EVENT_RETRACTED;
        size_t low = 0, high = can_be ? count : 0;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (order_names(from, names[middle], (uint32_t)i) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (!can_be || low == count || order_names(from, names[low], (uint32_t)i) != 0)
            ok = lapse_rows_gather(&c->rows, from, UINT32_MAX, NULL, i, 1);
    }
    lapse_mem_free(mem, names);
    return ok;
}

/* Numbers of LAPSE_MISSING, or names of 0, for a column that no run has. */
static bool stand_in(struct lapse_cursor *c, size_t n)
{
    if (c->missing && n <= c->missing_count)
        return true;
    const lapse_allocator *mem = lapse_view_memory(c->view);
    size_t count = n + n / 2;
    int64_t *p = lapse_mem_alloc(mem, count * 9);
    if (!p)
        return false;
    for (size_t i = 0; i < count; i++)
        p[i] = LAPSE_MISSING;
    memset(p + count, 0, count);
    lapse_mem_free(mem, c->missing);
    c->missing = p;
    c->missing_count = count;
    return true;
}

/* Which of the fields are there; what stands in for the others, for n rows or fewer. */
static bool take_columns(struct lapse_cursor *c, const struct lapse_columns *from, size_t n)
{
    struct lapse_history *h = &c->history;
    if (!stand_in(c, n))
        return false;
    for (int class = 0; class < CLASSES; class++) {
        uint8_t *fields = c->fields[class];
        c->held[class] = 0;
        for (int i = 0; i < c->count[class]; i++) {
            uint8_t f = fields[i];
            if (class == LAPSE_CLASS_NUMBER)
                h->number[f] = c->missing;
            else if (class == LAPSE_CLASS_NAME)
                h->name[f] = (uint8_t *)((int64_t *)c->missing + c->missing_count);
            else
                h->text[f] = (struct lapse_text_column){ 0 };
            if (from->number[f] || from->name[f] || from->text[f].begin) {
                fields[i] = fields[c->held[class]];
                fields[c->held[class]++] = f;
            }
        }
    }
    return true;
}

static bool fill(struct lapse_cursor *c, const struct lapse_columns *from, size_t first, size_t n)
{
    struct lapse_history *h = &c->history;
    if ((c->fresh || n > c->missing_count) && !take_columns(c, from, n))
        return false;
    h->count = (int64_t)n;
    for (int i = 0; i < c->held[LAPSE_CLASS_NUMBER]; i++) {
        int f = c->fields[LAPSE_CLASS_NUMBER][i];
        h->number[f] = from->number[f] + first;
    }
    for (int i = 0; i < c->held[LAPSE_CLASS_NAME]; i++) {
        int f = c->fields[LAPSE_CLASS_NAME][i];
        h->name[f] = from->name[f] + first;
    }
    for (int i = 0; i < c->held[LAPSE_CLASS_TEXT]; i++) {
        int f = c->fields[LAPSE_CLASS_TEXT][i];
        struct lapse_text_column t = from->text[f];
        if (t.code) {
            t.code += first;
        } else {
            t.begin += first;
            t.length += first;
        }
        h->text[f] = t;
    }
    return true;
}

/* Most often all rows of many customers are of one kind, and it need not be looked for in each. */
static void meet_columns(struct lapse_cursor *c, const struct lapse_group *g)
{
    const uint8_t *kind = g->columns->name[LAPSE_F_KIND] ? g->columns->name[LAPSE_F_KIND] + g->first : NULL;
    c->fresh = true;
    c->one_kind = kind && memcmp(kind, kind + 1, g->fresh - 1) == 0;
    if (c->one_kind) {
        lapse_history_note_kinds(&c->history, kind, 1);
        memcpy(c->kinds, c->history.kinds, sizeof c->kinds);
    }
}

/* The next instant at which somebody is to be seen, and how many rows it sees. */
static lapse_status next_instant(struct lapse_cursor *c, size_t *n, lapse_error *error)
{
    for (;;) {
        if (c->next == c->instant_count) {
            lapse_status status = lapse_merge_next(c->merge, &c->group, error);
            if (status != LAPSE_OK)
                return status;
            c->events += c->group->count;
            if (c->group->fresh)
                meet_columns(c, c->group);
            c->next = 0;
            c->seen = 0;
            c->first = true;
        }
        size_t before = c->seen;
        c->seen = visible(c->group, before, c->instants[c->next++]);
        if (c->seen > before || (c->seen ? c->always : c->unseen)) {
            *n = c->seen;
            return LAPSE_OK;
        }
        if (before == (size_t)c->group->count)
            c->next = c->instant_count; /* no later one sees more */
    }
}

lapse_status lapse_cursor_next(struct lapse_cursor *c, const struct lapse_history **out, lapse_error *error)
{
    struct lapse_history *h = &c->history;
    size_t n = 0;
    *out = NULL;
    do {
        lapse_status status = next_instant(c, &n, error);
        if (status == LAPSE_OK && atomic_load_explicit(&c->view->store->erased, memory_order_relaxed) !=
                                      c->view->manifest->erased)
            status = lapse_view_stale(error);
        if (status != LAPSE_OK)
            return status;
        const struct lapse_group *g = c->group;
        const struct lapse_columns *from = g->columns;
        struct lapse_columns kept;
        size_t first = g->first;
        const uint8_t *kind = from->name[LAPSE_F_KIND];
        bool differs = false;
        h->next = n < (size_t)g->count ? from->number[LAPSE_F_TIME][first + n] : INT64_MAX;
        if (c->one_kind && n > 0)
            memcpy(h->kinds, c->kinds, sizeof h->kinds);
        else
            lapse_history_note_kinds(h, kind ? kind + first : NULL, kind ? n : 0);
        if (!c->raw && lapse_history_has(h, LAPSE_KIND_EVENT_RETRACTED)) {
            if (!take_out(c, from, first, n))
                return lapse_fail_memory(error);
            lapse_rows_columns(&c->rows, &kept);
            from = &kept;
            first = 0;
            n = c->rows.count;
            lapse_history_note_kinds(h, kept.name[LAPSE_F_KIND], n);
            c->fresh = differs = true;
        }
        h->customer = g->key;
        h->instant = c->next - 1;
        h->first = c->first;
        c->first = false;
        if (!fill(c, from, first, n))
            return lapse_fail_memory(error);
        c->fresh = differs;
    } while (n == 0 && !c->unseen);
    *out = h;
    return LAPSE_OK;
}

lapse_status lapse_cursor_find(struct lapse_cursor *c, struct lapse_text customer, const struct lapse_history **out,
                               lapse_error *error)
{
    *out = NULL;
    if (!c->ended && (!c->found || lapse_text_order(c->history.customer, customer) < 0)) {
        const struct lapse_history *h;
        c->found = false;
        lapse_status status = lapse_merge_seek(c->merge, customer, error);
        if (status == LAPSE_OK)
            status = lapse_cursor_next(c, &h, error);
        c->ended = status == LAPSE_DONE;
        if (status != LAPSE_OK && status != LAPSE_DONE)
            return status;
        c->found = status == LAPSE_OK;
    }
    if (c->found && lapse_text_equal(c->history.customer, customer))
        *out = &c->history;
    return LAPSE_OK;
}
