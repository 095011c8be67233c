/* Scores: cuts against exact fractions, and both answers through the public interface on stores small enough to work
 * out by hand. Segment tables: test_segments.c; many customers and known data: test_rfm_many.c. */
#include "rfms.h"

static lapse_allocator memory;
static uint64_t seed;

static int draw(int below)
{
    return (int)dice(&seed, (uint32_t)below);
}

/* ---- cuts ------------------------------------------------------------------------------------------------ */

static void test_quantiles_exact(void **state)
{
    (void)state;
    int64_t values[60], sorted[60];
    uint8_t scores[60], group[60];
    seed = 1;
    for (int round = 0; round < 4000; round++) {
        int n = 1 + draw(COUNT(values)), bins = 2 + draw(9), kind = draw(4),
            groups = round % 3 ? 1 : 1 + draw(7);
        bool low_is_best = draw(2);
        for (int i = 0; i < n; i++) {
            values[i] = kind == 0 ? draw(4) : kind == 1 ? draw(100000) - 50000 : 7;
            if (kind == 2) /* the whole range of 64 bits */
                values[i] = (int64_t)(((uint64_t)draw(1 << 30) << 34) ^ (uint64_t)draw(1 << 30) << 8);
            group[i] = (uint8_t)draw(groups);
        }
        /* One to three parts, some of which may be empty. */
        int parts = 1 + draw(3), ends[3] = { parts > 1 ? draw(n + 1) : n, n, n };
        struct lapse_axis_part part[3];
        for (int p = 0, begin = 0; p < 3; begin = ends[p++])
            part[p] = (struct lapse_axis_part){ values + begin, ends[p] - begin, groups > 1 ? group + begin : NULL,
                                                scores + begin };
        struct lapse_axis axis = {
            .parts = part, .part_count = parts, .groups = groups, .bins = bins, .low_is_best = low_is_best
        };
        struct lapse_axis_cuts cuts[7];
        assert_true(lapse_axis_cut(&memory, &axis, cuts));
        for (int p = 0; p < parts; p++)
            lapse_axis_score(&axis, cuts, p);
        for (int g = 0; g < groups; g++) {
            int size = 0;
            for (int i = 0; i < n; i++)
                if (groups == 1 || group[i] == g)
                    sorted[size++] = values[i];
            qsort(sorted, (size_t)size, sizeof *sorted, ascending);
            for (int i = 0; i < n; i++)
                if (groups == 1 || group[i] == g) {
                    int bin = naive_bin(sorted, size, bins, values[i]);
                    assert_int_equal(scores[i], low_is_best ? bins + 1 - bin : bin);
                }
        }
    }
}

static bool quantile(const int64_t *values, int64_t n, int bins, struct lapse_axis_cuts *out)
{
    struct lapse_axis_part part = { .values = values, .n = n };
    struct lapse_axis axis = {
        .parts = &part, .part_count = 1, .groups = 1, .bins = bins, .low_is_best = out->low_is_best
    };
    return lapse_axis_cut(&memory, &axis, out);
}

static void test_cuts_by_hand(void **state)
{
    (void)state;
    /* quintiles of 1..10: h = 9i/5, q = 2.8 4.6 6.4 8.2; two values a bin */
    const int64_t ten[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
    const int64_t floors[] = { 2, 4, 6, 8 };
    struct lapse_axis_cuts cuts = { .low_is_best = false };
    assert_true(quantile(ten, 10, 5, &cuts));
    for (int i = 0; i < 4; i++)
        assert_int_equal(cuts.above[i], floors[i]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(lapse_axis_score_one(&cuts, ten[i]), 1 + i / 2);
    cuts.low_is_best = true;
    for (int i = 0; i < 10; i++)
        assert_int_equal(lapse_axis_score_one(&cuts, ten[i]), 5 - i / 2);

    /* a constant is in the lowest bin of F and M, and so the freshest of R: nothing is above */
    const int64_t same[] = { 4, 4, 4 };
    assert_true(quantile(same, 3, 5, &cuts));
    assert_int_equal(lapse_axis_score_one(&cuts, 4), 5);
    cuts.low_is_best = false;
    assert_int_equal(lapse_axis_score_one(&cuts, 4), 1);

    /* the example on which R's package gives 4/2/2/2/0: 0, 0.5 ... 4.5 in tenths fill the bins evenly */
    const int64_t tenths[] = { 0, 5, 10, 15, 20, 25, 30, 35, 40, 45 };
    assert_true(quantile(tenths, 10, 5, &cuts));
    for (int i = 0; i < 10; i++)
        assert_int_equal(lapse_axis_score_one(&cuts, tenths[i]), 1 + i / 2);

    /* negative values: floors go down. Median of -3, 0 is -1.5: -1 is above, -2 is not */
    const int64_t below[] = { 0, -3 };
    assert_true(quantile(below, 2, 2, &cuts));
    assert_int_equal(lapse_axis_score_one(&cuts, -1), 2);
    assert_int_equal(lapse_axis_score_one(&cuts, -2), 1);

    struct lapse_axis none = { .groups = 1, .bins = 5 };
    assert_true(lapse_axis_cut(&memory, &none, &cuts));
}

/* ---- through the public interface ------------------------------------------------------------------------ */

static void expect(const char *csv, const char *as_of, answer_fn *answer, const lapse_rfm_options *o,
                   const char *rows)
{
    lapse_store *store = store_of(csv);
    lapse_view *view = view_at(store, as_of);
    char *got = ask_view(view, answer, o);
    assert_string_equal(got, rows);
    free(got);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void test_columns(void **state)
{
    (void)state;
    static const char *const names[] = { "customer", "last_order", "recency_days", "frequency", "monetary", "r",
                                         "f",        "m",          "score",        "segment",   "weighted" };
    static const char *const sums[] = { "segment",           "customers",      "orders",
                                        "monetary",          "customer_share", "monetary_share",
                                        "mean_recency_days", "mean_frequency", "mean_monetary" };
    lapse_store *store = store_of("customer,time,amount\n");
    lapse_view *view;
    lapse_rfm_options o = defaults();
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    for (int i = 0; i < 3; i++) {
        lapse_result *result;
        lapse_column column = { .size = sizeof column };
        lapse_table *table;
        o.flags = i == 1 ? LAPSE_RFM_WEIGHTED : 0;
        assert_int_equal((i < 2 ? lapse_view_rfm : lapse_view_segments)(view, &o, &result, NULL), LAPSE_OK);
        int count = i == 0 ? 10 : i == 1 ? 11 : 9;
        assert_int_equal(lapse_result_columns(result), count);
        for (int c = 0; c < count; c++) {
            assert_int_equal(lapse_result_column(result, c, &column), LAPSE_OK);
            assert_string_equal(column.name, i < 2 ? names[c] : sums[c]);
            assert_int_equal(column.digits, column.type == LAPSE_TYPE_MONEY ? 2 : 0);
        }
        assert_int_equal(lapse_result_notes(result), 0);
        /* K12: no customers, no rows; R18: but every segment */
        assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(table), i < 2 ? 0 : 10);
        lapse_table_release(table);
        lapse_result_free(result);
    }
    char *rows = ask_view(view, lapse_view_segments, NULL);
    assert_memory_equal(rows, "hibernating,0,0,0.00,,,,,\nat risk,0,0,0.00,,,,,\n", 48);
    free(rows);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void test_values(void **state)
{
    (void)state;
    /* Ann: two orders and a refund of an unknown one, 10 + 5.01 - 2; two days. Ben: cancelled, no row. Cyd: no
     * amounts, valid. Dan: one order of two lines over midnight, in part refunded. Eve: as_of's own instant.
     * Fay: after as_of. Gil: free goods. "with, comma": ids are quoted in CSV. */
    static const char csv[] = "customer,time,kind,amount,ref\n"
                              "Ann,2024-01-01T10:00:00Z,,10,\n"
                              "Ann,2024-01-05T23:59:59.5Z,,5.01,\n"
                              "Ann,2024-01-06,order.refunded,2,C536379\n"
                              "Ben,2024-01-02,,10,b1\n"
                              "Ben,2024-01-03,order.cancelled,,b1\n"
                              "Cyd,2024-01-02,,,\n"
                              "Dan,2024-01-02T23:59:00Z,,10,d1\n"
                              "Dan,2024-01-03T00:01:00Z,,20,d1\n"
                              "Dan,2024-01-04,order.refunded,5,d1\n"
                              "Eve,2024-01-10,,1,\n"
                              "Fay,2024-01-10T00:00:00.000001Z,,1,\n"
                              "Gil,2024-01-02,,0,\n"
                              "\"with, comma\",2024-01-10,,7,\n";
    /* recency 0 0 5 8 8: thresholds 0 3 6.2 8; monetary 0 1 7 13.01 25: 0.80 4.60 9.40 15.41 */
    expect(csv, "2024-01-10", lapse_view_rfm, NULL,
           "Ann,2024-01-05T23:59:59.5Z,5,2,13.01,3,5,4,354,loyal customers\n"
           "Cyd,2024-01-02T00:00:00Z,8,1,0.00,2,1,1,211,hibernating\n"
           "Dan,2024-01-02T23:59:00Z,8,1,25.00,2,1,5,215,hibernating\n"
           "Eve,2024-01-10T00:00:00Z,0,1,1.00,5,1,2,512,new customers\n"
           "\"with, comma\",2024-01-10T00:00:00Z,0,1,7.00,5,1,3,513,new customers\n");
    /* M12: the setting; X7 and R21: two days later */
    lapse_policy *policy;
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    assert_int_equal(lapse_policy_set(policy, "order.zero_is_valid", "1", NULL), LAPSE_OK);
    lapse_rfm_options o = defaults();
    o.policy = policy;
    expect("customer,time,amount\nGil,2024-01-02T23:00:00Z,0\n", "2024-01-04T01:00:00Z", lapse_view_rfm, &o,
           "Gil,2024-01-02T23:00:00Z,2,1,0.00,5,1,1,511,new customers\n");
    lapse_policy_free(policy);
    /* only refunds: no valid order, no row; M13: refunds of unknown orders can make monetary negative */
    expect("customer,time,kind,amount,ref\nA,2024-01-02,order.refunded,5,\n"
           "B,2024-01-02,,5,\nB,2024-01-02,order.refunded,7.50,\n",
           "2024-01-02", lapse_view_rfm, NULL, "B,2024-01-02T00:00:00Z,0,1,-2.50,5,1,1,511,new customers\n");
}

static void test_options(void **state)
{
    (void)state;
    static const char csv[] = "customer,time,kind,amount,ref\n"
                              "A,2024-01-31T12:00:00Z,,1.00,\nA,2024-02-29T12:00:00Z,,1.01,\n"
                              "A,2024-02-29T13:00:00Z,,1.00,x\nA,2024-03-31T12:00:00Z,,1.02,\n"
                              "A,2024-02-29T12:00:00Z,order.refunded,0.50,unknown\n"
                              "A,2024-02-29T12:00:00.000001Z,order.refunded,0.25,unknown\n"
                              "A,2024-03-01,order.refunded,0.75,x\n";
    lapse_rfm_options o = defaults();
    expect(csv, "2024-03-31T12:00:00Z", lapse_view_rfm, &o,
           "A,2024-03-31T12:00:00Z,0,4,2.53,5,1,1,511,new customers\n");
    /* frequency days: 29 February once; mean is per order all the same (R3): 2.53 / 4 = 0.6325 -> 0.63 */
    o.flags = LAPSE_RFM_FREQUENCY_DAYS | LAPSE_RFM_MONETARY_MEAN;
    expect(csv, "2024-03-31T12:00:00Z", lapse_view_rfm, &o,
           "A,2024-03-31T12:00:00Z,0,3,0.63,5,1,1,511,new customers\n");
    expect(
        csv, "2024-03-31T12:00:00Z", lapse_view_segments, &o,
        "hibernating,0,0,0.00,0,0,,,\nat risk,0,0,0.00,0,0,,,\ncan't lose,0,0,0.00,0,0,,,\n"
        "about to sleep,0,0,0.00,0,0,,,\nneed attention,0,0,0.00,0,0,,,\nloyal customers,0,0,0.00,0,0,,,\n"
        "promising,0,0,0.00,0,0,,,\nnew customers,1,4,0.63,1,1,0,3,0.63\npotential loyalists,0,0,0.00,0,0,,,\n"
        "champions,0,0,0.00,0,0,,,\n");
    /* R1, R2, T7: a month before 31 March 12:00 is 29 February 12:00, which is outside; the order x is inside
     * and keeps its refund; of the two refunds of unknown orders the later counts: 0.25 + 1.02 - 0.25 */
    o.flags = 0;
    o.window = 1;
    o.window_unit = LAPSE_UNIT_MONTH;
    expect(csv, "2024-03-31T12:00:00Z", lapse_view_rfm, &o,
           "A,2024-03-31T12:00:00Z,0,2,1.02,5,1,1,511,new customers\n");
    /* 31 days before is the same instant less two days: 29 February has all its orders */
    o.window = 32;
    o.window_unit = LAPSE_UNIT_DAY;
    expect(csv, "2024-03-31T12:00:00Z", lapse_view_rfm, &o,
           "A,2024-03-31T12:00:00Z,0,3,1.53,5,1,1,511,new customers\n");
    o.window = INT64_MAX;
    o.window_unit = LAPSE_UNIT_YEAR;
    expect(csv, "2024-03-31T12:00:00Z", lapse_view_rfm, &o,
           "A,2024-03-31T12:00:00Z,0,4,2.53,5,1,1,511,new customers\n");
    /* half to even: 0.005 -> 0.00, 0.015 -> 0.02, -0.005 -> 0.00, -0.015 -> -0.02 */
    o = defaults();
    o.flags = LAPSE_RFM_MONETARY_MEAN;
    expect("customer,time,kind,amount\na,2024-01-01,,\na,2024-01-01,,0.01\nb,2024-01-01,,0.01\nb,2024-01-01,,0."
           "02\n"
           "c,2024-01-01,,\nc,2024-01-01,,\nc,2024-01-01,order.refunded,0.01\nd,2024-01-01,,\nd,2024-01-01,,\n"
           "d,2024-01-01,order.refunded,0.03\n",
           "2024-01-01", lapse_view_rfm, &o,
           "a,2024-01-01T00:00:00Z,0,2,0.00,5,1,2,512,new "
           "customers\nb,2024-01-01T00:00:00Z,0,2,0.02,5,1,5,515,new customers\n"
           "c,2024-01-01T00:00:00Z,0,2,0.00,5,1,2,512,new "
           "customers\nd,2024-01-01T00:00:00Z,0,2,-0.02,5,1,1,511,new customers\n");
    /* R13, R14: weighted is last; dashes when any axis has 10 bins */
    o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\nx,10,,,,,\n");
    o.flags = LAPSE_RFM_WEIGHTED;
    o.bins_r = 10;
    o.weight_r = 7;
    o.weight_f = 0;
    o.weight_m = 1000;
    expect("customer,time,amount\na,2024-01-02,1\nb,2024-01-01,2\n", "2024-01-02", lapse_view_rfm, &o,
           "a,2024-01-02T00:00:00Z,0,1,1.00,10,1,1,10-1-1,x,1070\nb,2024-01-01T00:00:00Z,1,1,2.00,1,1,5,1-1-5,("
           "none),5007\n");
}

/* One or two fields of the options, and what becomes of it. */
#define AT(field) offsetof(lapse_rfm_options, field), sizeof(((lapse_rfm_options *)0)->field)
struct change {
    lapse_status status;
    struct {
        size_t at, size;
        int64_t value;
    } set[2];
};
static const struct change changes[] = {
    { LAPSE_INVALID, { { AT(size), 8 } } },
    { LAPSE_INVALID, { { AT(flags), 16 } } },
    { LAPSE_INVALID, { { AT(threads), 0 } } },
    { LAPSE_INVALID, { { AT(threads), 65 } } },
    { LAPSE_OK, { { AT(threads), 64 } } },
    { LAPSE_OK, { { AT(cuts), LAPSE_CUTS_RFM_R } } },
    { LAPSE_INVALID, { { AT(cuts), LAPSE_CUTS_FIXED } } },
    { LAPSE_INVALID, { { AT(cuts), LAPSE_CUTS_FIXED + 1 } } },
    { LAPSE_INVALID, { { AT(bins_r), 1 } } },
    { LAPSE_INVALID, { { AT(bins_f), 11 } } },
    { LAPSE_INVALID, { { AT(bins_m), -5 } } },
    { LAPSE_BAD_INPUT, { { AT(bins_r), 4 } } },
    { LAPSE_BAD_INPUT, { { AT(bins_f), 10 } } },
    { LAPSE_OK, { { AT(bins_m), 10 } } },
    { LAPSE_INVALID, { { AT(window_unit), LAPSE_UNIT_HOUR }, { AT(window), 1 } } },
    { LAPSE_INVALID, { { AT(window_unit), LAPSE_UNIT_DAY } } },
    { LAPSE_INVALID, { { AT(window_unit), LAPSE_UNIT_DAY }, { AT(window), -1 } } },
    { LAPSE_INVALID, { { AT(window), 1 } } },
    { LAPSE_INVALID, { { AT(weight_r), -1 } } },
    { LAPSE_INVALID, { { AT(weight_f), INT64_MAX / 5 }, { AT(weight_m), INT64_MAX / 5 } } },
    { LAPSE_OK, { { AT(weight_r), INT64_MAX / 5 - 100 } } },
    { LAPSE_INVALID, { { AT(segments_size), 1 } } },
    { LAPSE_INVALID, { { AT(segments_size), -1 } } },
};

static void test_bad_options(void **state)
{
    (void)state;
    lapse_store *store = store_of("customer,time\na,2024-01-01\n");
    lapse_view *view = view_at(store, "2024-01-01");
    lapse_result *result;
    for (int i = 0; i < COUNT(changes); i++) {
        lapse_rfm_options o = defaults();
        lapse_status status = changes[i].status;
        for (int k = 0; k < 2; k++) {
            int32_t narrow = (int32_t)changes[i].set[k].value;
            const void *value = changes[i].set[k].size == 4 ? (const void *)&narrow : &changes[i].set[k].value;
            memcpy((char *)&o + changes[i].set[k].at, value, changes[i].set[k].size);
        }
        result = (lapse_result *)&result; /* anything but NULL */
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_view_rfm(view, &o, &result, &error), status);
        if (status != LAPSE_OK) {
            assert_null(result);
            assert_int_equal(error.status, status);
            assert_true(error.message[0] != 0);
        }
        lapse_result_free(result);
        assert_int_equal(lapse_view_segments(view, &o, &result, NULL), status);
        lapse_result_free(result);
    }
    assert_int_equal(lapse_view_rfm(NULL, NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_rfm(view, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_segments(NULL, NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_segments(view, NULL, NULL, NULL), LAPSE_INVALID);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void test_zone(void **state)
{
    (void)state;
    /* A clock that goes back from 00:30 on 2 January to 23:30 on 1 January: the orders' days are 1, 2, 1, 2.
     * The last order stands on the 2nd, and an instant after it on the 1st: 0 days, not -1 (R21). */
    const int64_t starts[] = { INT64_MIN, INT64_C(1704155400) * 1000000 }; /* 2024-01-02T00:30Z */
    const int32_t offsets[] = { 0, -3600 };
    lapse_store_options so;
    assert_int_equal(lapse_store_options_init(&so, sizeof so), LAPSE_OK);
    so.zone_count = 2;
    so.zone_starts = starts;
    so.zone_offsets = offsets;
    lapse_store *store = store_with_options("customer,time\nA,2024-01-01T23:45:00Z\nA,2024-01-02T00:15:00Z\n"
                                  "A,2024-01-02T00:45:00Z\nA,2024-01-02T01:15:00Z\nB,2024-01-02T00:20:00Z\n",
                                  &so);
    lapse_rfm_options o = defaults();
    o.flags = LAPSE_RFM_FREQUENCY_DAYS;
    lapse_view *view = view_at(store, "2024-01-02T00:40:00Z");
    char *rows = ask_view(view, lapse_view_rfm, &o);
    assert_string_equal(rows, "A,2024-01-02T00:15:00Z,0,2,0.00,5,5,1,551,champions\n"
                              "B,2024-01-02T00:20:00Z,0,1,0.00,5,1,1,511,new customers\n");
    free(rows);
    lapse_view_close(view);
    view = view_at(store, "2024-01-03T00:30:00Z"); /* 2 January 23:30 */
    rows = ask_view(view, lapse_view_rfm, &o);
    assert_string_equal(rows, "A,2024-01-02T01:15:00Z,0,2,0.00,5,5,1,551,champions\n"
                              "B,2024-01-02T00:20:00Z,0,1,0.00,5,1,1,511,new customers\n");
    free(rows);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void test_nested(void **state)
{
    (void)state;
    /* Two of R = 2 (fresh) with 1 and 2 orders, two of R = 1 with 3 and 4: as a whole F splits between 2 and 3,
     * nested within each R. M within each (R, F) is alone and so 1. */
    lapse_rfm_options o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n");
    o.bins_r = o.bins_f = o.bins_m = 2;
    static const char csv[] = "customer,time,amount\na,2024-02-01,100\nb,2024-02-01,1\nb,2024-02-01,2\n"
                              "c,2024-01-01,1\nc,2024-01-01,2\nc,2024-01-01,3\n"
                              "d,2024-01-01,1\nd,2024-01-01,2\nd,2024-01-01,3\nd,2024-01-01,4\n";
    expect(csv, "2024-02-01", lapse_view_rfm, &o,
           "a,2024-02-01T00:00:00Z,0,1,100.00,2,1,2,212,all\nb,2024-02-01T00:00:00Z,0,2,3.00,2,1,1,211,all\n"
           "c,2024-01-01T00:00:00Z,31,3,6.00,1,2,1,121,all\nd,2024-01-01T00:00:00Z,31,4,10.00,1,2,2,122,all\n");
    o.flags = LAPSE_RFM_NESTED;
    expect(csv, "2024-02-01", lapse_view_rfm, &o,
           "a,2024-02-01T00:00:00Z,0,1,100.00,2,1,1,211,all\nb,2024-02-01T00:00:00Z,0,2,3.00,2,2,1,221,all\n"
           "c,2024-01-01T00:00:00Z,31,3,6.00,1,1,1,111,all\nd,2024-01-01T00:00:00Z,31,4,10.00,1,2,1,121,all\n");
}

static void test_segments(void **state)
{
    (void)state;
    /* (none) is last and there since c has none; a name twice is one row; means and shares exact; 10.01/2 is
     * 5.005, half to even 5.00 */
    lapse_rfm_options o =
        with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\nfresh,2,,,,,\nnobody,3,,,,,\nold,1,,2,,,\n"
                   "fresh,1,,1,1,1,1\n");
    o.bins_r = o.bins_f = o.bins_m = 2;
    static const char csv[] = "customer,time,kind,amount\na,2024-01-03,,10\nb,2024-01-01,,0.01\n"
                              "c,2024-01-01,,30\nd,2024-01-02,,1\nd,2024-01-01,,1\n";
    /* recency 0 2 2 1, median 1.5: a, d are fresh; b: R 1, F 1, M 1; c: R 1, F 1, M 2 is in no segment */
    expect(csv, "2024-01-03", lapse_view_segments, &o,
           "fresh,3,4,12.01,0.75,0.2858843132587479,1,1.3333333333333333,4.00\nnobody,0,0,0.00,0,0,,,\n"
           "old,0,0,0.00,0,0,,,\n(none),1,1,30.00,0.25,0.714115686741252,2,1,30.00\n");
    /* R18: shares of a total of 0 or less are missing */
    static const char minus[] = "customer,time,kind,amount\na,2024-01-03,,1\na,2024-01-03,order.refunded,2\n"
                                "b,2024-01-03,,0.50\n";
    o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n");
    expect(minus, "2024-01-03", lapse_view_segments, &o, "all,2,2,-0.50,1,,0,1,-0.25\n");
    /* notes reach the result */
    lapse_store *store = store_of(csv);
    lapse_view *view = view_at(store, "2024-01-03");
    lapse_result *result;
    o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\na,1,4,,,,\nb,2,3,,,,\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal((i ? lapse_view_rfm : lapse_view_segments)(view, &o, &result, NULL), LAPSE_OK);
        assert_int_equal(lapse_result_notes(result), 2);
        assert_string_equal(lapse_result_note(result, 0),
                            "segment `b` on line 3 can never match: the rows before it take all of its cells");
        assert_string_equal(lapse_result_note(result, 1), "no segment covers 25 of 125 cells (r,f,m): "
                                                          "5,1,*; 5,2,*; 5,3,*; 5,4,*; 5,5,*");
        lapse_result_free(result);
    }
    lapse_view_close(view);
    lapse_store_close(store);
}

static void test_overflow(void **state)
{
    (void)state;
    static const struct {
        const char *rows;
        lapse_status rfm, segments;
        const char *names;
    } cases[] = {
        { "ok,1,92233720368547758.07,\nok,2,,\n", LAPSE_OK, LAPSE_OK, NULL },
        /* monetary of a customer; gross of an order */
        { "ok,1,5,\nRich,1,92233720368547758.07,\nRich,2,0.01,\n", LAPSE_OVERFLOW, LAPSE_OVERFLOW, "`Rich`" },
        { "ok,1,5,\nBulk,1,92233720368547758.07,b\nBulk,2,0.01,b\n", LAPSE_OVERFLOW, LAPSE_OVERFLOW, "`Bulk`" },
        /* a total only */
        { "a,1,92233720368547758.07,\nb,1,92233720368547758.07,\n", LAPSE_OK, LAPSE_OVERFLOW, NULL },
    };
    for (int i = 0; i < COUNT(cases); i++) {
        char csv[400] = "customer,time,amount,ref\n";
        for (const char *p = cases[i].rows; *p; p = strchr(p, '\n') + 1) {
            const char *day = strchr(p, ',') + 1;
            size_t n = strlen(csv);
            sprintf(csv + n, "%.*s2024-01-0%.*s", (int)(day - p), p, (int)(strchr(day, '\n') + 1 - day), day);
        }
        lapse_store *store = store_of(csv);
        lapse_view *view = view_at(store, "2024-02-01");
        lapse_result *result;
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_view_rfm(view, NULL, &result, &error), cases[i].rfm);
        if (cases[i].names)
            assert_non_null(strstr(error.message, cases[i].names));
        lapse_result_free(result);
        assert_int_equal(lapse_view_segments(view, NULL, &result, NULL), cases[i].segments);
        lapse_result_free(result);
        if (cases[i].names && i == 1) { /* the mean fits, and sums on the way do not count (M4) */
            lapse_rfm_options o = defaults();
            o.flags = LAPSE_RFM_MONETARY_MEAN;
            assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_OK);
            lapse_result_free(result);
        }
        lapse_view_close(view);
        lapse_store_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_exact),
        cmocka_unit_test(test_cuts_by_hand),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_overflow),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("rfm", tests, NULL, NULL);
}
