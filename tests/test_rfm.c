/* Scores and segments: cuts against exact fractions, segment tables row by row, and both answers through the
 * public interface, on stores small enough to work out by hand, on random ones against a naive computation, and
 * on the data sets whose numbers are known (peers: rsquaredacademy/rfm 0.3.0, CDNOW). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lapse/store.h>

#include "rfm/rfm.h"

#ifndef LAPSE_DATA_DIR
#define LAPSE_DATA_DIR "../shared/data"
#endif
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static lapse_allocator memory;
static uint64_t seed;

static int draw(int below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((seed >> 33) % (uint64_t)below);
}

/* ---- cuts ------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* R5 as written: with k = floor((n-1)i/N), v is above iff N(v - x_k) > ((n-1)i mod N)(x_k+1 - x_k). */
static int naive_bin(const int64_t *sorted, int n, int bins, int64_t v)
{
    int bin = 1;
    for (int i = 1; i < bins; i++) {
        int k = (n - 1) * i / bins, rest = (n - 1) * i % bins;
        lapse_int128 xk = sorted[k], next = sorted[k + 1 < n ? k + 1 : k];
        bin += bins * (v - xk) > rest * (next - xk);
    }
    return bin;
}

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

/* ---- segment tables -------------------------------------------------------------------------------------- */

static lapse_rfm_options defaults(void)
{
    lapse_rfm_options o;
    assert_int_equal(lapse_rfm_options_init(&o, sizeof o), LAPSE_OK);
    return o;
}

static lapse_rfm_options with_table(const char *text)
{
    lapse_rfm_options o = defaults();
    o.segments = text;
    o.segments_size = (int64_t)strlen(text);
    return o;
}

static const char *name_at(const struct lapse_segment_table *t, int r, int f, int m)
{
    static char name[256];
    int32_t i = lapse_segment_of(t, r, f, m);
    if (i < 0)
        return LAPSE_SEGMENT_NONE;
    memcpy(name, t->names[i].data, t->names[i].size);
    name[t->names[i].size] = 0;
    return name;
}

static void test_default_table(void **state)
{
    (void)state;
    /* the table of the contract, f ascending to the right */
    static const char *const grid[5][5] = {
        { "hibernating", "hibernating", "at risk", "at risk", "can't lose" },
        { "hibernating", "hibernating", "at risk", "at risk", "can't lose" },
        { "about to sleep", "about to sleep", "need attention", "loyal customers", "loyal customers" },
        { "promising", "potential loyalists", "potential loyalists", "loyal customers", "loyal customers" },
        { "new customers", "potential loyalists", "potential loyalists", "champions", "champions" }
    };
    struct lapse_segment_table t;
    for (int bins_m = 2; bins_m <= 10; bins_m++) {
        lapse_rfm_options o = defaults();
        o.bins_m = bins_m;
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
        assert_int_equal(t.count, 10);
        assert_int_equal(t.notes.size, 0);
        for (int r = 1; r <= 5; r++)
            for (int f = 1; f <= 5; f++)
                for (int m = 1; m <= bins_m; m++)
                    assert_string_equal(name_at(&t, r, f, m), grid[r - 1][f - 1]);
        lapse_segment_table_free(&t);
    }
    /* R15: other bins on R or F need a table of their own */
    for (int axis = 0; axis < 2; axis++) {
        lapse_rfm_options o = defaults();
        lapse_error error = { .size = sizeof error };
        *(axis ? &o.bins_f : &o.bins_r) = 4;
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, "--segments"));
        lapse_segment_table_free(&t);
    }
}

static void test_custom_table(void **state)
{
    (void)state;
    /* BOM, CRLF, columns in another order, quotes, empty lines, a line break in a name, no LF at the end; the
     * first row that matches wins, empty bounds are open, a name twice is one segment (R17) */
    lapse_rfm_options o = with_table("\xEF\xBB\xBF"
                                     "r_min,r_max,segment,f_min,f_max,m_min,m_max\r\n"
                                     "5,5,\"the \"\"best\"\"\",5,,5,\r\n\r\n"
                                     "4,99,\"two\nlines\",-7,3,,\n"
                                     ",2,\"low\",,,,\n"
                                     "4,,\"the \"\"best\"\"\",,,,");
    struct lapse_segment_table t;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_int_equal(t.count, 3);
    assert_string_equal(name_at(&t, 5, 5, 5), "the \"best\"");
    assert_string_equal(name_at(&t, 5, 5, 4), "the \"best\"");
    assert_string_equal(name_at(&t, 5, 3, 5), "two\nlines");
    assert_string_equal(name_at(&t, 4, 4, 1), "the \"best\"");
    assert_string_equal(name_at(&t, 1, 5, 5), "low");
    assert_string_equal(name_at(&t, 3, 1, 1), "(none)");
    /* cells without a segment are told, those of all m at once */
    assert_string_equal(t.notes.data,
                        "no segment covers 25 of 125 cells (r,f,m): 3,1,*; 3,2,*; 3,3,*; 3,4,*; 3,5,*");
    assert_int_equal(t.notes.size, strlen(t.notes.data) + 1);
    lapse_segment_table_free(&t);
}

static void test_table_notes(void **state)
{
    (void)state;
    struct lapse_segment_table t;
    lapse_rfm_options o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\n"
                                     "a,1,3,,,,\n"
                                     "inside a,2,3,1,1,,\n"
                                     "upside down,4,3,,,,\n"
                                     "beyond,6,,,,,\n"
                                     "before,,0,,,,\n"
                                     "b,2,,,,2,\n"
                                     "between,3,4,,,2,3\n");
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    static const char *const notes[] = {
        "segment `inside a` on line 3 can never match: the rows before it take all of its cells",
        "segment `upside down` on line 4 can never match: its bounds hold no score",
        "segment `beyond` on line 5 can never match: its bounds hold no score",
        "segment `before` on line 6 can never match: its bounds hold no score",
        "segment `between` on line 8 can never match: the rows before it take all of its cells",
        ("no segment covers 10 of 125 cells (r,f,m): 4,1,1; 4,2,1; 4,3,1; 4,4,1; 4,5,1; "
         "5,1,1; 5,2,1; 5,3,1; 5,4,1; 5,5,1"),
    };
    size_t at = 0;
    for (int i = 0; i < COUNT(notes); i++) {
        assert_true(at < t.notes.size);
        assert_string_equal(t.notes.data + at, notes[i]);
        at += strlen(notes[i]) + 1;
    }
    assert_int_equal(at, t.notes.size);
    assert_int_equal(t.count, 7); /* also those that match nothing are listed */
    lapse_segment_table_free(&t);

    /* at most 20 are told, the rest counted */
    o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\nx,1,1,,,,\n");
    o.bins_r = o.bins_f = o.bins_m = 10;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_memory_equal(t.notes.data, "no segment covers 900 of 1000 cells (r,f,m): 2,1,*; ", 52);
    assert_non_null(strstr(t.notes.data, "; 3,10,* and 700 more"));
    lapse_segment_table_free(&t);
    char *many = calloc(1, 60000);
    strcpy(many, "segment,r_min,r_max,f_min,f_max,m_min,m_max\n");
    for (int i = 0; i < 1000; i++)
        sprintf(many + strlen(many), "s%d,,,,,,\n", i);
    o = with_table(many);
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_int_equal(t.count, 1000);
    const char more[] = "979 more rows of the segment table can never match"; /* 1000 less the first and 20 */
    assert_string_equal(t.notes.data + t.notes.size - sizeof more, more);
    lapse_segment_table_free(&t);
    strcat(many, "one too many,,,,,,\n");
    o = with_table(many);
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.line, 1002);
    free(many);
}

static void test_bad_tables(void **state)
{
    (void)state;
#define HEAD "segment,r_min,r_max,f_min,f_max,m_min,m_max\n"
    static const struct {
        const char *text;
        int line;
        const char *column, *found;
    } cases[] = {
        { "", 0, "", "" },
        { "\xEF\xBB\xBF\n\n", 0, "", "" },
        { "segment,r_min,r_max,f_min,f_max,m_min\n", 1, "", "segment,r_min,r_max,f_min,f_max,m_min" },
        { "segment,r_min,r_max,f_min,f_max,m_min,m_max,x\n", 1, "",
          "segment,r_min,r_max,f_min,f_max,m_min,m_max,x" },
        { "\nsegment,r_min,r_max,f_min,f_max,m_min,M_max\n", 2, "", "M_max" },
        { "segment,r_min,r_max,f_min,f_max,m_min,r_min\n", 1, "", "r_min" },
        { HEAD "a,1,2,3,4,5\n", 2, "", "a,1,2,3,4,5" },
        { HEAD "a,1,2,3,4,5,5,6\n", 2, "", "a,1,2,3,4,5,5,6" },
        { HEAD "a,,,,,,\nb,1,x,,,,\n", 3, "r_max", "x" },
        { HEAD "a,,,,,,\r\n\r\nb,,,,1.5,,\n", 4, "f_max", "1.5" },
        { HEAD "\"a\nb\",,,,,,\nc, 1,,,,,\n", 4, "r_min", " 1" },
        { HEAD "a,+1,,,,,\n", 2, "r_min", "+1" },
        { HEAD "a,99999999999999999999,,,,,\n", 2, "r_min", "99999999999999999999" },
        { HEAD ",,,,,,\n", 2, "segment", "" },
        { HEAD "(none),,,,,,\n", 2, "segment", "(none)" },
        { HEAD "(absent),,,,,,\n", 2, "segment", "(absent)" },
        { HEAD "\xC0\xAF,,,,,,\n", 2, "segment", NULL },
        { HEAD "a\"b,,,,,,\n", 2, "segment", "a\"b" },
        { HEAD "\"a\"b,,,,,,\n", 2, "segment", "\"a\"b" },
        { HEAD "\"a,,,,,,\n", 2, "segment", NULL },
        { HEAD "a,,,\r,,,\n", 2, "f_min", "\r" },
    };
    for (int i = 0; i < COUNT(cases); i++) {
        lapse_rfm_options o = with_table(cases[i].text);
        lapse_error error = { .size = sizeof error };
        struct lapse_segment_table t;
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, &error), LAPSE_BAD_INPUT);
        assert_int_equal(error.line, cases[i].line);
        assert_string_equal(error.column, cases[i].column);
        if (cases[i].found)
            assert_string_equal(error.text, cases[i].found);
        assert_true(error.message[0] != 0);
        lapse_segment_table_free(&t); /* harmless */
    }
    /* a NUL in a name; a name of 256 bytes; more than a mebibyte */
    lapse_rfm_options o = defaults();
    struct lapse_segment_table t;
    static const char nul[] = HEAD "a\0b,,,,,,\n";
    o.segments = nul;
    o.segments_size = sizeof nul - 1;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_BAD_INPUT);
    char *text = calloc(1, (1 << 20) + 2);
    for (int length = 255; length <= 256; length++) {
        sprintf(text, HEAD "%0*d,,,,,,", length, 0);
        o = with_table(text);
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL),
                         length > 255 ? LAPSE_BAD_INPUT : LAPSE_OK);
        lapse_segment_table_free(&t);
    }
    memset(text, '\n', (1 << 20) + 1);
    memcpy(text, HEAD, strlen(HEAD));
    o = with_table(text);
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_BAD_INPUT);
    o.segments_size--;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_int_equal(t.count, 0);
    lapse_segment_table_free(&t);
    free(text);
}

/* ---- through the public interface ------------------------------------------------------------------------ */

struct text {
    const char *data;
    size_t size, at;
};

static int64_t read_text(void *user, char *buffer, int64_t capacity)
{
    struct text *t = user;
    size_t n = t->size - t->at < (size_t)capacity ? t->size - t->at : (size_t)capacity;
    memcpy(buffer, t->data + t->at, n);
    t->at += n;
    return (int64_t)n;
}

static lapse_store *store_of(const char *csv, const lapse_store_options *options)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    struct text text = { csv, strlen(csv), 0 };
    assert_int_equal(lapse_store_open(NULL, options, &store, &error), LAPSE_OK);
    if (lapse_store_import_stream(store, read_text, &text, NULL, NULL, &error) != LAPSE_OK)
        fail_msg("import: %s", error.message);
    return store;
}

static lapse_view *view_of(lapse_store *store, const char *as_of)
{
    lapse_view *view;
    int64_t time;
    assert_int_equal(lapse_store_time(store, as_of, &time, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, time, &view, NULL), LAPSE_OK);
    return view;
}

static int32_t put_text(void *user, const char *bytes, int64_t size)
{
    lapse_buffer_put(user, bytes, (size_t)size);
    return 0;
}

typedef lapse_status answer_fn(lapse_view *, const lapse_rfm_options *, lapse_result **, lapse_error *);

/* An answer as CSV without its header row; to be freed. */
static char *ask_view(lapse_view *view, answer_fn *answer, const lapse_rfm_options *o)
{
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    struct lapse_buffer out;
    lapse_buffer_init(&out, &memory);
    if (answer(view, o, &result, &error) != LAPSE_OK)
        fail_msg("answer: %s", error.message);
    assert_int_equal(lapse_result_write_csv(result, put_text, &out, NULL), LAPSE_OK);
    lapse_buffer_byte(&out, 0);
    lapse_result_free(result);
    char *rows = strchr(out.data, '\n') + 1, *copy = malloc(strlen(rows) + 1);
    strcpy(copy, rows);
    lapse_buffer_free(&out);
    return copy;
}

static void expect(const char *csv, const char *as_of, answer_fn *answer, const lapse_rfm_options *o,
                   const char *rows)
{
    lapse_store *store = store_of(csv, NULL);
    lapse_view *view = view_of(store, as_of);
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
    lapse_store *store = store_of("customer,time,amount\n", NULL);
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
    lapse_store *store = store_of("customer,time\na,2024-01-01\n", NULL);
    lapse_view *view = view_of(store, "2024-01-01");
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
    lapse_store *store = store_of("customer,time\nA,2024-01-01T23:45:00Z\nA,2024-01-02T00:15:00Z\n"
                                  "A,2024-01-02T00:45:00Z\nA,2024-01-02T01:15:00Z\nB,2024-01-02T00:20:00Z\n",
                                  &so);
    lapse_rfm_options o = defaults();
    o.flags = LAPSE_RFM_FREQUENCY_DAYS;
    lapse_view *view = view_of(store, "2024-01-02T00:40:00Z");
    char *rows = ask_view(view, lapse_view_rfm, &o);
    assert_string_equal(rows, "A,2024-01-02T00:15:00Z,0,2,0.00,5,5,1,551,champions\n"
                              "B,2024-01-02T00:20:00Z,0,1,0.00,5,1,1,511,new customers\n");
    free(rows);
    lapse_view_close(view);
    view = view_of(store, "2024-01-03T00:30:00Z"); /* 2 January 23:30 */
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
    lapse_store *store = store_of(csv, NULL);
    lapse_view *view = view_of(store, "2024-01-03");
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
        lapse_store *store = store_of(csv, NULL);
        lapse_view *view = view_of(store, "2024-02-01");
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

/* ---- many customers -------------------------------------------------------------------------------------- */

/* A store of `customers` with a few orders each, of 2020 to 2023. */
static lapse_store *random_store(int customers)
{
    char *csv = malloc((size_t)customers * 6 * 60 + 100), *p = csv;
    p += sprintf(p, "customer,time,kind,amount,ref\n");
    for (int c = 0; c < customers; c++)
        for (int i = 0, n = 1 + draw(5); i < n; i++)
            p += sprintf(p, "c%d,%d-%02d-%02dT%02d:00:00Z,%s,%d.%02d,%s\n", c, 2020 + draw(4), 1 + draw(12),
                         1 + draw(28), draw(24), draw(8) ? "order.placed" : "order.refunded", draw(50),
                         draw(100), draw(3) ? "" : "r1");
    lapse_store *store = store_of(csv, NULL);
    free(csv);
    return store;
}

static int64_t number_at(const lapse_table *table, const char *name, int64_t row)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(table, lapse_table_find(table, name), &c), LAPSE_OK);
    return ((const int64_t *)c.data)[row];
}

/* Whatever the parts and threads: the same bytes; ids ascend; scores are those of the columns as they stand. */
static void test_many(void **state)
{
    (void)state;
    seed = 11;
    lapse_store *store = random_store(5000);
    lapse_view *view = view_of(store, "2024-01-01");
    for (int i = 0; i < 6; i++) {
        lapse_rfm_options o = defaults();
        o.flags = (uint32_t)(i & 1 ? LAPSE_RFM_FREQUENCY_DAYS : 0) | (i & 2 ? LAPSE_RFM_MONETARY_MEAN : 0) |
                  (i & 4 ? LAPSE_RFM_NESTED | LAPSE_RFM_WEIGHTED : 0);
        for (int a = 0; a < 2; a++) {
            answer_fn *answer = a ? lapse_view_segments : lapse_view_rfm;
            o.threads = 1;
            char *one = ask_view(view, answer, &o);
            o.threads = 4;
            char *four = ask_view(view, answer, &o);
            assert_string_equal(one, four);
            free(one);
            free(four);
        }
    }

    lapse_result *result;
    lapse_table *table;
    assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
    lapse_view_close(view); /* the result lives on */
    lapse_store_close(store);
    assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
    lapse_result_free(result);
    int n = (int)lapse_table_rows(table);
    assert_true(n > 4000);
    static const char *const axes[][2] = { { "recency_days", "r" }, { "frequency", "f" }, { "monetary", "m" } };
    int64_t *sorted = malloc((size_t)n * sizeof *sorted);
    for (int a = 0; a < 3; a++) {
        for (int i = 0; i < n; i++)
            sorted[i] = number_at(table, axes[a][0], i);
        qsort(sorted, (size_t)n, sizeof *sorted, ascending);
        for (int i = 0; i < n; i++) {
            int bin = naive_bin(sorted, n, 5, number_at(table, axes[a][0], i));
            assert_int_equal(number_at(table, axes[a][1], i), a ? bin : 6 - bin);
        }
    }
    lapse_column id = { .size = sizeof id };
    assert_int_equal(lapse_table_column(table, 0, &id), LAPSE_OK);
    for (int i = 1; i < n; i++) {
        const char *text = id.data;
        assert_true(lapse_text_compare(text + id.offsets[i - 1], (size_t)(id.offsets[i] - id.offsets[i - 1]),
                                       text + id.offsets[i], (size_t)(id.offsets[i + 1] - id.offsets[i])) < 0);
    }
    free(sorted);
    lapse_table_release(table);
}

/* Bytes held, each block with its size before it. */
static int64_t held, most_held;

static void *count_alloc(void *user, size_t bytes)
{
    int64_t *p = malloc(bytes + 16);
    (void)user;
    if (!p)
        return NULL;
    *p = (int64_t)bytes;
    held += *p;
    most_held = held > most_held ? held : most_held;
    return p + 2;
}

static void count_release(void *user, void *block)
{
    (void)user;
    int64_t *p = (int64_t *)block - 2;
    held -= *p;
    free(p);
}

static void *count_resize(void *user, void *block, size_t bytes)
{
    void *p = count_alloc(user, bytes);
    if (p) {
        size_t before = (size_t)((int64_t *)block)[-2];
        memcpy(p, block, before < bytes ? before : bytes);
        count_release(user, block);
    }
    return p;
}

static int32_t stop(void *user, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    return ++*(int *)user > 0;
}

/* Parts of at most 65,536 rows, on demand; their memory; several threads; a host that has seen enough. */
static void test_parts(void **state)
{
    (void)state;
    enum { N = 140000 };
    char *csv = malloc(N * 30 + 100), *p = csv;
    p += sprintf(p, "customer,time,amount\n");
    for (int i = 0; i < N; i++)
        p += sprintf(p, "%06d,2024-01-%02d,%d\n", i, 1 + i % 28, i);
    const lapse_allocator counting = { sizeof counting, 0, NULL, count_alloc, count_resize, count_release };
    lapse_store_options so;
    assert_int_equal(lapse_store_options_init(&so, sizeof so), LAPSE_OK);
    so.allocator = &counting;
    lapse_store *store = store_of(csv, &so);
    lapse_view *view = view_of(store, "2024-02-01");
    lapse_result *result;
    lapse_table *table;
    const int64_t sizes[] = { 65536, 65536, N - 1 - 2 * 65536 }; /* 0 is free, and no purchase */
    int64_t before = held;
    most_held = held;
    assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
    assert_true(held - before <= N * (64 + 6));
    int64_t at = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(table), sizes[i]);
        assert_int_equal(number_at(table, "monetary", 0), at * 100);
        at += sizes[i];
        lapse_table_release(table);
    }
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_DONE);
    assert_null(table);
    lapse_result_free(result);

    lapse_rfm_options o = defaults();
    o.threads = 1;
    char *one = ask_view(view, lapse_view_rfm, &o);
    o.threads = 4;
    lapse_view_close(view);
    lapse_store_close(store);
    store = store_of(csv, NULL);
    view = view_of(store, "2024-02-01");
    char *four = ask_view(view, lapse_view_rfm, &o);
    assert_string_equal(one, four);
    free(one);
    free(four);

    int calls = 0;
    o = defaults();
    o.on_progress = stop;
    o.progress_user = &calls;
    for (int a = 0; a < 2; a++) {
        assert_int_equal((a ? lapse_view_segments : lapse_view_rfm)(view, &o, &result, NULL), LAPSE_CANCELLED);
        assert_null(result);
        assert_int_equal(calls, a + 1);
    }
    lapse_view_close(view);
    lapse_store_close(store);
    free(csv);
}

/* ---- every allocation fails once ------------------------------------------------------------------------- */

static int allowed, living;

static void *scarce_alloc(void *user, size_t bytes)
{
    (void)user;
    if (allowed-- <= 0)
        return NULL;
    living++;
    return malloc(bytes);
}

static void *scarce_resize(void *user, void *p, size_t bytes)
{
    (void)user;
    return allowed-- > 0 ? realloc(p, bytes) : NULL;
}

static void scarce_release(void *user, void *p)
{
    (void)user;
    living--;
    free(p);
}

static void test_no_memory(void **state)
{
    (void)state;
    const lapse_allocator scarce = { sizeof scarce, 0, NULL, scarce_alloc, scarce_resize, scarce_release };
    lapse_store_options so;
    assert_int_equal(lapse_store_options_init(&so, sizeof so), LAPSE_OK);
    so.allocator = &scarce;
    allowed = 1 << 30;
    lapse_store *store = store_of("customer,time,kind,amount,ref\na,2024-01-01,,1,\na,2024-01-02,,1,x\n"
                                  "a,2024-01-02,order.refunded,1,x\nb,2024-01-03,,1,\nc,2024-01-03,,,\n",
                                  &so);
    lapse_view *view = view_of(store, "2024-02-01");
    for (int flags = 0; flags < 16; flags += 5)
        for (int a = 0; a < 2; a++) {
            lapse_rfm_options o =
                with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\na,1,4,,,,\na,1,1,,,,\n");
            o.flags = (uint32_t)flags;
            lapse_status status = LAPSE_NO_MEMORY;
            int before = living, n = 0;
            for (; status != LAPSE_OK; n++) {
                lapse_result *result;
                lapse_table *table = NULL;
                allowed = n;
                status = (a ? lapse_view_segments : lapse_view_rfm)(view, &o, &result, NULL);
                if (status == LAPSE_OK) {
                    status = lapse_result_next(result, &table, NULL);
                    lapse_table_release(table);
                    lapse_result_free(result);
                } else {
                    assert_null(result);
                }
                if (status != LAPSE_OK)
                    assert_int_equal(status, LAPSE_NO_MEMORY);
            }
            assert_true(n > 10);
            allowed = 1 << 30;
            assert_true(living <= before + 8); /* but for what the view may keep once */
        }
    lapse_view_close(view);
    lapse_store_close(store);
    assert_int_equal(living, 0);
}

/* ---- known data sets ------------------------------------------------------------------------------------- */

static lapse_store *store_from(const char *name)
{
    char path[4096];
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    const char *folder = getenv("LAPSE_DATA");
    snprintf(path, sizeof path, "%s/%s", folder && *folder ? folder : LAPSE_DATA_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("skipped: no %s (LAPSE_DATA names the folder)\n", path);
        return NULL;
    }
    fclose(file);
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    if (lapse_store_import_file(store, path, NULL, NULL, &error) != LAPSE_OK)
        fail_msg("%s: %s", path, error.message);
    return store;
}

struct facts {
    const char *file;
    int64_t customers, orders, monetary;
    int score[3][5]; /* customers by score 1 to 5 of r, f, m */
};

/* Scores by tests/reference.py, which uses exact fractions; what a file's source says of it is marked. */
static const struct facts known[] = {
    /* rfm 0.3.0: 995 customers, 4,906 orders, revenue 464,158, and its frequency scores (peers, 3); its R and M
     * differ by the day and the unit that it adds to cuts */
    { "rfm_orders.csv",
      995,
      4906,
      46415800,
      { { 197, 201, 198, 199, 200 }, { 268, 187, 176, 244, 120 }, { 199, 201, 197, 203, 195 } } },
    /* CDNOW: 6,919 rows, 8 of them of 0, 244,091.94 (peers, 5). 8 of 2,357 customers have nothing else */
    { "cdnow_sample.csv",
      2349,
      6911,
      24409194,
      { { 455, 475, 478, 470, 471 }, { 1197, 0, 406, 358, 388 }, { 473, 467, 469, 470, 470 } } },
    { "cdnow_master.csv",
      23502,
      69579,
      250031563,
      { { 4509, 4888, 4696, 4708, 4701 }, { 11843, 0, 4079, 3655, 3925 }, { 4749, 4656, 4697, 4699, 4701 } } },
};

static void test_known_data(void **state)
{
    (void)state;
    int found = 0;
    for (int i = 0; i < COUNT(known); i++) {
        const struct facts *k = &known[i];
        lapse_store *store = store_from(k->file);
        lapse_view *view;
        lapse_result *result;
        lapse_table *table;
        int64_t as_of, orders = 0, monetary = 0;
        int score[3][5] = { { 0 } };
        if (!store)
            continue;
        found++;
        assert_int_equal(lapse_store_default_instant(store, &as_of, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
        assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(table), k->customers);
        for (int64_t row = 0; row < k->customers; row++) {
            orders += number_at(table, "frequency", row);
            monetary += number_at(table, "monetary", row);
            score[0][number_at(table, "r", row) - 1]++;
            score[1][number_at(table, "f", row) - 1]++;
            score[2][number_at(table, "m", row) - 1]++;
        }
        assert_int_equal(orders, k->orders);
        assert_int_equal(monetary, k->monetary);
        assert_memory_equal(score, k->score, sizeof score);
        lapse_table_release(table);
        lapse_result_free(result);
        if (i == 0) { /* the customers that the package's vignette shows */
            char *rows = ask_view(view, lapse_view_rfm, NULL);
            assert_memory_equal(rows, "Abbey O'Reilly,2006-06-09T00:00:00Z,205,6,472.00,3,4,3,343,", 59);
            assert_non_null(strstr(rows, "\nAdd Senger,2006-08-13T00:00:00Z,140,3,340.00,4,1,2,412,"));
            assert_non_null(strstr(rows, "\nAden Murphy,2006-09-24T00:00:00Z,98,7,596.00,5,4,4,544,"));
            assert_non_null(strstr(rows, "\nAiyanna Bruen,2006-04-29T00:00:00Z,246,4,157.00,3,2,1,321,"));
            free(rows);
        }
        lapse_view_close(view);
        lapse_store_close(store);
    }
    if (found == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_exact),
        cmocka_unit_test(test_cuts_by_hand),
        cmocka_unit_test(test_default_table),
        cmocka_unit_test(test_custom_table),
        cmocka_unit_test(test_table_notes),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_known_data),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("rfm", tests, NULL, NULL);
}
