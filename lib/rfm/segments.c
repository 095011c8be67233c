/* The answer `segments`: the customers of `rfm` added up by segment (rulings R18). `monetary` and the means are
 * of the columns of `rfm`, whatever options make of them; `orders` are orders, also where days are counted. */
#include "rfm/rfm.h"

enum { AS_OF, SEGMENT, CUSTOMERS, ORDERS, MONETARY, CUSTOMER_SHARE, MONETARY_SHARE, RECENCY, FREQUENCY, MEAN, COLUMNS };

/* Of several instants, a table each, as they are pulled. */
struct rows {
    struct lapse_rfm_answer answer;
    int32_t first; /* column: AS_OF or SEGMENT */
    struct lapse_column_spec specs[COLUMNS];
};

struct total {
    int64_t customers;
    lapse_int128 orders, monetary, recency, frequency;
};

static void add_customer(struct total *t, const struct lapse_rfm_part *p, int64_t i)
{
    const int64_t *orders = p->value[LAPSE_RFM_ORDERS];
    t->customers++;
    t->orders += orders ? orders[i] : p->value[LAPSE_RFM_FREQUENCY][i];
    t->monetary += p->value[LAPSE_RFM_MONETARY][i];
    t->recency += p->value[LAPSE_RFM_RECENCY][i];
    t->frequency += p->value[LAPSE_RFM_FREQUENCY][i];
}

static void add_total(struct total *to, const struct total *t)
{
    to->customers += t->customers;
    to->orders += t->orders;
    to->monetary += t->monetary;
    to->recency += t->recency;
    to->frequency += t->frequency;
}

static void put_ratio(struct lapse_builder *b, int32_t column, lapse_int128 part, lapse_int128 whole)
{
    if (whole > 0)
        lapse_builder_double(b, column, lapse_int128_ratio(part, whole));
    else
        lapse_builder_missing(b, column);
}

/* A row of sums, which must fit (M4). */
static lapse_status put_segment(struct lapse_builder *b, const struct rows *rows, struct lapse_text name,
                                const struct total *t, const struct total *all, lapse_error *error)
{
    int64_t orders, monetary;
    const int32_t base = rows->first;
    if (!lapse_int128_fits(t->orders, &orders) || !lapse_int128_fits(t->monetary, &monetary))
        return lapse_fail(error, LAPSE_OVERFLOW, "the total of segment `%.*s` leaves 64 bits", (int)name.size,
                          name.data);
    if (base == AS_OF)
        lapse_builder_int(b, AS_OF, rows->answer.rfm->as_of);
    lapse_builder_text(b, SEGMENT - base, name.data, name.size);
    lapse_builder_int(b, CUSTOMERS - base, t->customers);
    lapse_builder_int(b, ORDERS - base, orders);
    lapse_builder_int(b, MONETARY - base, monetary);
    put_ratio(b, CUSTOMER_SHARE - base, t->customers, all->customers);
    put_ratio(b, MONETARY_SHARE - base, t->monetary, all->monetary);
    put_ratio(b, RECENCY - base, t->recency, t->customers);
    put_ratio(b, FREQUENCY - base, t->frequency, t->customers);
    if (t->customers)
        lapse_builder_int(b, MEAN - base, (int64_t)lapse_int128_divide_even(t->monetary, t->customers));
    else
        lapse_builder_missing(b, MEAN - base);
    return LAPSE_OK;
}

static lapse_status put_all(struct lapse_builder *b, const struct rows *rows, struct total *totals, lapse_error *error)
{
    const struct lapse_rfm *rfm = rows->answer.rfm;
    const struct lapse_segment_table *table = &rfm->segments;
    struct lapse_text none = { LAPSE_SEGMENT_NONE, sizeof LAPSE_SEGMENT_NONE - 1 };
    struct total all = { 0 };
    lapse_status status = LAPSE_OK;
    int64_t sum;

    for (const struct lapse_rfm_part *p = rfm->part; p < rfm->part + rfm->part_count; p++)
        for (int64_t i = 0; i < p->count; i++) {
            int32_t s = lapse_segment_of(table, p->scores[0][i], p->scores[1][i], p->scores[2][i]);
            add_customer(&totals[s >= 0 ? s : table->count], p, i);
        }
    for (int32_t s = 0; s <= table->count; s++)
        add_total(&all, &totals[s]);
    if (!lapse_int128_fits(all.monetary, &sum) || !lapse_int128_fits(all.orders, &sum))
        return lapse_fail(error, LAPSE_OVERFLOW, "the total of all customers leaves 64 bits");
    for (int32_t s = 0; s < table->count && status == LAPSE_OK; s++)
        status = put_segment(b, rows, table->names[s], &totals[s], &all, error);
    if (status == LAPSE_OK && totals[table->count].customers)
        status = put_segment(b, rows, none, &totals[table->count], &all, error);
    return status;
}

static lapse_status make_table(const struct rows *rows, lapse_table **out, lapse_error *error)
{
    const struct lapse_rfm *rfm = rows->answer.rfm;
    size_t count = (size_t)rfm->segments.count + 1;
    struct total *totals = lapse_mem_zero(&rfm->mem, count, sizeof *totals);
    struct lapse_builder *b =
        lapse_builder_new(&rfm->mem, rows->specs + rows->first, COLUMNS - rows->first, (int64_t)count);
    lapse_status status = totals && b ? put_all(b, rows, totals, error) : lapse_fail_memory(error);

    lapse_mem_free(&rfm->mem, totals);
    if (status == LAPSE_OK)
        return lapse_builder_finish(b, out, error);
    lapse_builder_free(b);
    return status;
}

/* A table may have no row where the segment table has none and nobody is there. */
static lapse_status next_table(void *self, lapse_table **out, lapse_error *error)
{
    struct rows *rows = self;
    for (;;) {
        lapse_status status = lapse_rfm_instants_next(rows->answer.several, error);
        if (status == LAPSE_OK)
            status = make_table(rows, out, error);
        if (status != LAPSE_OK || lapse_table_rows(*out))
            return status;
        lapse_table_release(*out);
    }
}

static void close_rows(void *self)
{
    struct rows *rows = self;
    lapse_allocator mem = rows->answer.rfm->mem;
    lapse_rfm_answer_close(&rows->answer);
    lapse_mem_free(&mem, rows);
}

/* The table of one instant is made at once, so that what it was made of can go. */
static lapse_status make_result(struct rows *rows, lapse_result **out, lapse_error *error)
{
    const int digits = rows->answer.rfm->digits;
    const struct lapse_column_spec specs[COLUMNS] = {
        [AS_OF] = { "as_of", LAPSE_TYPE_TIME, 0 },
        [SEGMENT] = { "segment", LAPSE_TYPE_STRING, 0 },
        [CUSTOMERS] = { "customers", LAPSE_TYPE_INT64, 0 },
        [ORDERS] = { "orders", LAPSE_TYPE_INT64, 0 },
        [MONETARY] = { "monetary", LAPSE_TYPE_MONEY, digits },
        [CUSTOMER_SHARE] = { "customer_share", LAPSE_TYPE_DOUBLE, 0 },
        [MONETARY_SHARE] = { "monetary_share", LAPSE_TYPE_DOUBLE, 0 },
        [RECENCY] = { "mean_recency_days", LAPSE_TYPE_DOUBLE, 0 },
        [FREQUENCY] = { "mean_frequency", LAPSE_TYPE_DOUBLE, 0 },
        [MEAN] = { "mean_monetary", LAPSE_TYPE_MONEY, digits },
    };
    lapse_allocator mem = rows->answer.rfm->mem;
    lapse_table *table;
    memcpy(rows->specs, specs, sizeof specs);
    rows->first = rows->answer.several ? AS_OF : SEGMENT;
    if (rows->answer.several) {
        struct lapse_source source = { .self = rows, .next = next_table, .close = close_rows };
        return lapse_result_new(&mem, rows->specs, COLUMNS, source, out, error);
    }
    lapse_status status = make_table(rows, &table, error);
    if (status == LAPSE_OK)
        status = lapse_result_of_table(&mem, table, out, error);
    if (status == LAPSE_OK && lapse_rfm_answer_notes(&rows->answer, *out) != LAPSE_OK) {
        lapse_result_free(*out);
        status = lapse_fail_memory(error);
    }
    close_rows(rows);
    return status;
}

lapse_status lapse_view_segments(lapse_view *view, const lapse_rfm_options *options, lapse_result **out,
                                 lapse_error *error)
{
    struct lapse_rfm_answer answer;
    lapse_result *result;
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = lapse_rfm_answer_open(view, options, false, true, &answer, error);
    if (status != LAPSE_OK)
        return status;
    struct rows *rows = lapse_mem_zero(&answer.rfm->mem, 1, sizeof *rows);
    if (!rows) {
        lapse_rfm_answer_close(&answer);
        return lapse_fail_memory(error);
    }
    rows->answer = answer;
    status = make_result(rows, &result, error);
    if (status != LAPSE_OK)
        return status;
    if (answer.several && lapse_rfm_answer_notes(&answer, result) != LAPSE_OK) {
        lapse_result_free(result);
        return lapse_fail_memory(error);
    }
    *out = result;
    return LAPSE_OK;
}
