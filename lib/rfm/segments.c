/* The answer `segments`: the customers of `rfm` added up by segment (rulings R18). `monetary` and the means are
 * of the columns of `rfm`, whatever options make of them; `orders` are orders, also where days are counted. */
#include "rfm/rfm.h"

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
static lapse_status put_segment(struct lapse_builder *b, struct lapse_text name, const struct total *t,
                                const struct total *all, lapse_error *error)
{
    int64_t orders, monetary;
    if (!lapse_int128_fits(t->orders, &orders) || !lapse_int128_fits(t->monetary, &monetary))
        return lapse_fail(error, LAPSE_OVERFLOW, "the total of segment `%.*s` leaves 64 bits", (int)name.size,
                          name.data);
    lapse_builder_text(b, 0, name.data, name.size);
    lapse_builder_int(b, 1, t->customers);
    lapse_builder_int(b, 2, orders);
    lapse_builder_int(b, 3, monetary);
    put_ratio(b, 4, t->customers, all->customers);
    put_ratio(b, 5, t->monetary, all->monetary);
    put_ratio(b, 6, t->recency, t->customers);
    put_ratio(b, 7, t->frequency, t->customers);
    if (t->customers)
        lapse_builder_int(b, 8, (int64_t)lapse_int128_divide_even(t->monetary, t->customers));
    else
        lapse_builder_missing(b, 8);
    return LAPSE_OK;
}

static lapse_status put_all(struct lapse_builder *b, const struct lapse_rfm *rfm, struct total *totals,
                            lapse_error *error)
{
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
        status = put_segment(b, table->names[s], &totals[s], &all, error);
    if (status == LAPSE_OK && totals[table->count].customers)
        status = put_segment(b, none, &totals[table->count], &all, error);
    return status;
}

static lapse_status make_table(const struct lapse_rfm *rfm, lapse_table **out, lapse_error *error)
{
    const struct lapse_column_spec specs[] = {
        { "segment", LAPSE_TYPE_STRING, 0 },
        { "customers", LAPSE_TYPE_INT64, 0 },
        { "orders", LAPSE_TYPE_INT64, 0 },
        { "monetary", LAPSE_TYPE_MONEY, rfm->digits },
        { "customer_share", LAPSE_TYPE_DOUBLE, 0 },
        { "monetary_share", LAPSE_TYPE_DOUBLE, 0 },
        { "mean_recency_days", LAPSE_TYPE_DOUBLE, 0 },
        { "mean_frequency", LAPSE_TYPE_DOUBLE, 0 },
        { "mean_monetary", LAPSE_TYPE_MONEY, rfm->digits },
    };
    size_t rows = (size_t)rfm->segments.count + 1;
    struct total *totals = lapse_mem_zero(&rfm->mem, rows, sizeof *totals);
    struct lapse_builder *b = lapse_builder_new(&rfm->mem, specs, sizeof specs / sizeof *specs, (int64_t)rows);
    lapse_status status = totals && b ? put_all(b, rfm, totals, error) : lapse_fail_memory(error);

    lapse_mem_free(&rfm->mem, totals);
    if (status == LAPSE_OK)
        return lapse_builder_finish(b, out, error);
    lapse_builder_free(b);
    return status;
}

lapse_status lapse_view_segments(lapse_view *view, const lapse_rfm_options *options, lapse_result **out,
                                 lapse_error *error)
{
    struct lapse_rfm *rfm;
    lapse_table *table;
    lapse_result *result = NULL;
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = lapse_rfm_new(view, options, false, true, &rfm, error);
    if (status != LAPSE_OK)
        return status;

    status = make_table(rfm, &table, error);
    if (status == LAPSE_OK)
        status = lapse_result_of_table(&rfm->mem, table, &result, error);
    if (status == LAPSE_OK && lapse_rfm_notes(rfm, result) != LAPSE_OK) {
        lapse_result_free(result);
        result = NULL;
        status = lapse_fail_memory(error);
    }
    lapse_rfm_free(rfm);
    *out = result;
    return status;
}
