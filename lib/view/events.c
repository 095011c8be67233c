/* Events as answers: the history of one customer, and all events for export. Both show what is stored, retracted
 * events too. */
#include "view/private.h"

struct listing {
    const lapse_allocator *mem;
    struct lapse_cursor *cursor;
    const struct lapse_history *history; /* under way */
    int64_t at;                          /* its next row */
    int64_t left;                        /* rows that may still come */
    int fields[LAPSE_FIELDS], count;
    struct lapse_column_spec columns[LAPSE_FIELDS + 1];
};

static struct lapse_column_spec column_of(int f, int digits)
{
    struct lapse_column_spec spec = { lapse_fields[f].name, LAPSE_TYPE_STRING, 0 };
    switch (f) {
    case LAPSE_F_TIME:
        spec.type = LAPSE_TYPE_TIME;
        break;
    case LAPSE_F_AMOUNT:
    case LAPSE_F_PRICE:
        spec.type = LAPSE_TYPE_MONEY;
        spec.digits = digits;
        break;
    case LAPSE_F_VALUE:
        spec.type = LAPSE_TYPE_DOUBLE;
        break;
    case LAPSE_F_QUANTITY:
        spec.type = LAPSE_TYPE_DECIMAL;
        spec.digits = 6;
        break;
    default:
        break;
    }
    return spec;
}

static void put_endpoint(struct lapse_builder *b, int column, struct lapse_text hash)
{
    static const char hex[] = "0123456789abcdef";
    char text[5 + 2 * 255] = "hash:";
    for (uint32_t i = 0; i < hash.size; i++) {
        text[5 + 2 * i] = hex[(uint8_t)hash.data[i] >> 4];
        text[6 + 2 * i] = hex[hash.data[i] & 15];
    }
    lapse_builder_text(b, column, text, 5 + 2 * (size_t)hash.size);
}

static void put_number(struct lapse_builder *b, int column, int f, int64_t v)
{
    double value;
    memcpy(&value, &v, sizeof value);
    if (v == LAPSE_MISSING)
        lapse_builder_missing(b, column);
    else if (f == LAPSE_F_VALUE)
        lapse_builder_double(b, column, value);
    else
        lapse_builder_int(b, column, v);
}

static void put_field(struct lapse_builder *b, int column, const struct lapse_history *h, int f, int64_t row)
{
    const char *name;
    struct lapse_text text;
    switch (lapse_fields[f].class) {
    case LAPSE_CLASS_NUMBER:
        put_number(b, column, f, h->number[f][row]);
        break;
    case LAPSE_CLASS_NAME:
        name = h->name[f][row] ? lapse_fields[f].name_of(h->name[f][row]) : NULL;
        if (name)
            lapse_builder_text(b, column, name, strlen(name));
        else
            lapse_builder_missing(b, column);
        break;
    case LAPSE_CLASS_TEXT:
        text = lapse_history_text(h, (enum lapse_field)f, row);
        if (text.size == 0)
            lapse_builder_missing(b, column);
        else if (f == LAPSE_F_ENDPOINT)
            put_endpoint(b, column, text);
        else
            lapse_builder_text(b, column, text.data, text.size);
        break;
    }
}

static lapse_status next(void *self, lapse_table **out, lapse_error *error)
{
    struct listing *l = self;
    struct lapse_builder *b = lapse_builder_new(l->mem, l->columns, l->count + 1,
                                                l->left < LAPSE_TABLE_ROWS ? l->left : LAPSE_TABLE_ROWS);
    lapse_status status = b ? LAPSE_OK : lapse_fail_memory(error);
    int64_t rows = 0;
    *out = NULL;
    while (status == LAPSE_OK && rows < LAPSE_TABLE_ROWS) {
        if (!l->history || l->at == l->history->count) {
            l->at = 0;
            status = lapse_cursor_next(l->cursor, &l->history, error);
            continue;
        }
        lapse_builder_text(b, 0, l->history->customer.data, l->history->customer.size);
        for (int c = 0; c < l->count; c++)
            put_field(b, c + 1, l->history, l->fields[c], l->at);
        l->at++;
        rows++;
    }
    if ((status != LAPSE_OK && status != LAPSE_DONE) || rows == 0) {
        lapse_builder_free(b);
        return status;
    }
    l->left -= rows;
    return lapse_builder_finish(b, out, error);
}

static void close_listing(void *self)
{
    struct listing *l = self;
    lapse_allocator mem = *l->mem; /* the cursor may be the last that holds the store */
    lapse_cursor_close(l->cursor);
    lapse_mem_free(&mem, l);
}

/* The columns in `fields`, of customers from `from` to below `to`. */
static lapse_status list(lapse_view *view, uint32_t fields, const struct lapse_text *from, const struct lapse_text *to,
                         struct listing **out, lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(view);
    struct listing *l = *out = lapse_mem_zero(mem, 1, sizeof *l);
    if (!l)
        return lapse_fail_memory(error);
    l->mem = mem;
    l->columns[0] = (struct lapse_column_spec){ "customer", LAPSE_TYPE_STRING, 0 };
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        if (!(fields & LAPSE_FIELD_BIT(f)))
            continue;
        l->fields[l->count++] = f;
        l->columns[l->count] = column_of(f, lapse_view_digits(view));
    }
    lapse_status status = lapse_cursor_open(view, LAPSE_ALL_FIELDS | LAPSE_RETRACTED, from, to, &l->cursor, error);
    if (status != LAPSE_OK) {
        lapse_mem_free(mem, l);
        *out = NULL;
    }
    return status;
}

static lapse_status give(struct listing *l, lapse_result **out, lapse_error *error)
{
    struct lapse_source source = { .self = l, .next = next, .close = close_listing };
    return lapse_result_new(l->mem, l->columns, l->count + 1, source, out, error);
}

lapse_status lapse_view_history(lapse_view *view, const char *customer, lapse_result **out, lapse_error *error)
{
    lapse_status status = lapse_view_check(view, error);
    size_t n = customer ? strlen(customer) : 0;
    if (status == LAPSE_OK && (!out || n == 0 || n > 255))
        status = lapse_fail(error, LAPSE_INVALID, "a customer id has 1 to 255 bytes");
    if (status != LAPSE_OK)
        return status;
    *out = NULL;
    /* No id lies between one and the same with a NUL behind it. */
    char above[257];
    memcpy(above, customer, n);
    above[n] = 0;
    struct lapse_text from = { customer, (uint32_t)n }, to = { above, (uint32_t)n + 1 };
    struct listing *l;
    status = list(view, LAPSE_ALL_FIELDS, &from, &to, &l, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_cursor_next(l->cursor, &l->history, error);
    if (status == LAPSE_OK) {
        l->left = l->history->count;
        return give(l, out, error);
    }
    close_listing(l);
    return status == LAPSE_DONE ? lapse_fail(error, LAPSE_NOT_FOUND, "there is no event of customer \"%s\"", customer)
                                : status;
}

/* Which fields are not empty everywhere. A source without name is written too where an event without id has it:
 * left out, an import would put its own in its place. */
static lapse_status used_fields(lapse_view *view, uint32_t *used, lapse_error *error)
{
    uint32_t all = 0;
    int64_t last = INT64_MIN;
    bool nameless = false, lost_rows = false;
    for (size_t i = 0; i < view->run_count; i++) {
        all |= view->runs[i]->fields;
        last = view->runs[i]->last_time > last ? view->runs[i]->last_time : last;
        nameless |= view->runs[i]->nameless_source;
        lost_rows |= view->runs[i]->lost_rows;
    }
    all = (all & LAPSE_ALL_FIELDS) | (nameless ? LAPSE_FIELD_BIT(LAPSE_F_SOURCE) : 0);
    *used = all;
    if (last <= view->as_of && !lost_rows)
        return LAPSE_OK;
    /* Some events lie after the instant, or have gone since directories noted their columns: look at those that are there. */
    struct lapse_cursor *cursor;
    const struct lapse_history *h;
    *used = 0;
    lapse_status status = lapse_cursor_open(view, LAPSE_ALL_FIELDS | LAPSE_RETRACTED, NULL, NULL, &cursor, error);
    while (status == LAPSE_OK && *used != all && (status = lapse_cursor_next(cursor, &h, error)) == LAPSE_OK)
        for (int64_t i = 0; i < h->count; i++) {
            for (int f = 0; f < LAPSE_FIELDS; f++)
                if ((h->number[f] && h->number[f][i] != LAPSE_MISSING) || (h->name[f] && h->name[f][i]) ||
                    lapse_history_text(h, (enum lapse_field)f, i).size)
                    *used |= LAPSE_FIELD_BIT(f);
            if (lapse_history_text(h, LAPSE_F_EVENT_ID, i).size == 0)
                *used |= LAPSE_FIELD_BIT(LAPSE_F_SOURCE);
        }
    lapse_cursor_close(cursor);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

lapse_status lapse_view_events(lapse_view *view, lapse_result **out, lapse_error *error)
{
    struct listing *l;
    uint32_t fields;
    lapse_status status = lapse_view_check(view, error);
    if (status == LAPSE_OK && !out)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (status != LAPSE_OK)
        return status;
    *out = NULL;
    status = used_fields(view, &fields, error);
    if (status == LAPSE_OK)
        status = list(view, fields | LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND), NULL, NULL, &l,
                      error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < view->run_count; i++)
        l->left += view->runs[i]->rows;
    return give(l, out, error);
}
