/* Cuts: each rule against a naive computation on tables rich in ties, constants, negative and huge values; values in
 * arrays; frozen cuts read, written and used for one customer at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rfm/rfm.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

enum { MOST = 70 };
static uint64_t seed;

static int draw(int below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((seed >> 33) % (uint64_t)below);
}

static int64_t draw_value(int kind)
{
    switch (kind) {
    case 0:
        return draw(4);
    case 1:
        return draw(2000) - 1000;
    case 2:
        return 7;
    case 3:
        return draw(2) ? INT64_MAX - draw(3) : INT64_MIN + draw(3);
    default:
        return (int64_t)(((uint64_t)draw(1 << 30) << 34) ^ (uint64_t)draw(1 << 30) << 8);
    }
}

/* ---- each rule, naively ---- */

static const int64_t *sorted_by;

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    if (sorted_by[x] != sorted_by[y])
        return sorted_by[x] < sorted_by[y] ? -1 : 1;
    return x - y;
}

/* Type 7 at i/bins as numerator over bins; `unit` is added. */
static lapse_int128 naive_cut(const int64_t *v, const int *order, int n, int i, int bins, int64_t unit)
{
    int k = (n - 1) * i / bins, rest = (n - 1) * i % bins;
    lapse_int128 xk = v[order[k]], next = v[order[k + 1 < n ? k + 1 : k]];
    return bins * (xk + unit) + rest * (next - xk);
}

static int naive_score(int rule, const int64_t *v, int n, int at, int bins, bool low_is_best, int64_t unit)
{
    int order[MOST], bin = 1;
    int64_t turned[MOST];
    for (int i = 0; i < n; i++) {
        order[i] = i;
        turned[i] = low_is_best && rule == LAPSE_CUTS_NTILE ? ~v[i] : v[i];
    }
    sorted_by = turned;
    qsort(order, (size_t)n, sizeof *order, by_value);
    if (rule == LAPSE_CUTS_NTILE) {
        int row = 0, begin = 0;
        while (order[row] != at)
            row++;
        for (; begin + n / bins + (bin <= n % bins) <= row; bin++)
            begin += n / bins + (bin <= n % bins);
        return bin;
    }
    for (int i = 1; i < bins; i++) {
        lapse_int128 cut = naive_cut(v, order, n, i, bins, rule == LAPSE_CUTS_RFM_R ? unit : 0);
        lapse_int128 value = (lapse_int128)bins * v[at];
        bin += rule == LAPSE_CUTS_RFM_R ? value >= cut : value > cut;
    }
    return low_is_best ? bins + 1 - bin : bin;
}

struct customers {
    int n;
    int64_t value[3][MOST];
    uint8_t score[3][MOST];
};

static void draw_customers(struct customers *c)
{
    c->n = 1 + draw(draw(4) ? MOST : 8);
    for (int a = 0; a < 3; a++)
        for (int i = 0, kind = draw(5); i < c->n; i++)
            c->value[a][i] = draw_value(kind);
}

static lapse_status ask(struct customers *c, const lapse_rfm_options *o, int digits)
{
    lapse_rfm_values v = { .size = sizeof v,
                           .digits = digits,
                           .count = c->n,
                           .recency = c->value[0],
                           .frequency = c->value[1],
                           .monetary = c->value[2] };
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_rfm_score(&v, o, NULL, c->score[0], c->score[1], c->score[2], &error);
    assert_int_equal(status != LAPSE_OK, error.message[0] != 0);
    return status;
}

static lapse_rfm_options options_of(int rule)
{
    lapse_rfm_options o;
    assert_int_equal(lapse_rfm_options_init(&o, sizeof o), LAPSE_OK);
    o.cuts = rule;
    return o;
}

static void test_rules(void **state)
{
    (void)state;
    seed = 11;
    for (int round = 0; round < 1500; round++) {
        int rule = round % 3, digits = draw(4);
        struct customers c;
        lapse_rfm_options o = options_of(rule);
        draw_customers(&c);
        o.bins_r = 2 + draw(9);
        o.bins_f = 2 + draw(9);
        o.bins_m = 2 + draw(9);
        o.threads = 1 + round % 5 / 4;
        assert_int_equal(ask(&c, &o, digits), LAPSE_OK);
        const int bins[3] = { o.bins_r, o.bins_f, o.bins_m };
        const int64_t major[] = { 1, 10, 100, 1000 };
        for (int a = 0; a < 3; a++)
            for (int i = 0; i < c.n; i++)
                assert_int_equal(c.score[a][i], naive_score(rule, c.value[a], c.n, i, bins[a], a == 0,
                                                            a == 2 ? major[digits] : 1));
    }
}

/* Within a group nested scores are those of the group alone. */
static void test_nested(void **state)
{
    (void)state;
    seed = 12;
    for (int round = 0; round < 150; round++) {
        struct customers c, group;
        lapse_rfm_options o = options_of(round % 3);
        draw_customers(&c);
        o.bins_r = 2 + draw(3);
        o.bins_f = 2 + draw(9);
        o.bins_m = 2 + draw(9);
        o.threads = 1 + draw(3);
        o.flags = LAPSE_RFM_NESTED;
        assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
        o.flags = 0;
        for (int a = 0; a < 3; a++)
            for (int r = 0; r <= (a ? 10 : 0); r++)
                for (int f = 0; f <= (a == 2 ? 10 : 0); f++) {
                    int members[MOST];
                    group.n = 0;
                    for (int i = 0; i < c.n; i++)
                        if ((a == 0 || c.score[0][i] == r) && (a < 2 || c.score[1][i] == f)) {
                            members[group.n] = i;
                            for (int axis = 0; axis < 3; axis++)
                                group.value[axis][group.n] = c.value[axis][i];
                            group.n++;
                        }
                    assert_int_equal(ask(&group, &o, 2), LAPSE_OK);
                    for (int i = 0; i < group.n; i++)
                        assert_int_equal(group.score[a][i], c.score[a][members[i]]);
                }
    }
}

static void test_ntile_by_hand(void **state)
{
    (void)state;
    /* SQL: 7 rows in 3 bins are 3, 2, 2; ties in the order of ids; recency from most days to fewest */
    struct customers c = { .n = 7,
                           .value = { { 5, 5, 5, 5, 9, 9, 1 }, { 2, 2, 2, 2, 2, 2, 2 }, { 40, 30, 20, 10, 10, 10, 10 } } };
    const uint8_t want[3][7] = { { 1, 2, 2, 3, 1, 1, 3 }, { 1, 1, 1, 2, 2, 3, 3 }, { 3, 3, 2, 1, 1, 1, 2 } };
    lapse_rfm_options o = options_of(LAPSE_CUTS_NTILE);
    o.bins_r = o.bins_f = o.bins_m = 3;
    assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
    for (int a = 0; a < 3; a++)
        assert_memory_equal(c.score[a], want[a], 7);
    /* fewer rows than bins: bins 1 to n, the freshest gets n */
    struct customers two = { .n = 2, .value = { { 30, 3 }, { 1, 9 }, { 5, 5 } } };
    assert_int_equal(ask(&two, &o, 2), LAPSE_OK);
    for (int a = 0; a < 3; a++)
        assert_memory_equal(two.score[a], ((const uint8_t[]){ 1, 2 }), 2);
}

/* What the R package makes of them (peers, section 3). */
static void test_rfm_r_by_hand(void **state)
{
    (void)state;
    struct customers c = { .n = 10,
                           .value = { { 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 },
                                      { 1, 1, 1, 1, 1, 1, 1, 2, 3, 9 },
                                      { 0, 50, 100, 150, 200, 250, 300, 350, 400, 450 } } }; /* 0, .5, ... 4.5 */
    lapse_rfm_options o = options_of(LAPSE_CUTS_RFM_R);
    assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
    assert_memory_equal(c.score[0], ((const uint8_t[]){ 5, 5, 5, 5, 5, 5, 5, 5, 5, 5 }), 10);
    assert_memory_equal(c.score[1], ((const uint8_t[]){ 1, 1, 1, 1, 1, 1, 1, 4, 4, 5 }), 10);
    assert_memory_equal(c.score[2], ((const uint8_t[]){ 1, 1, 1, 1, 2, 2, 3, 3, 4, 4 }), 10);
    /* amounts of .1 to .95 all score 1 */
    for (int i = 0; i < 10; i++)
        c.value[2][i] = 10 + 9 * i;
    assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
    assert_memory_equal(c.score[2], ((const uint8_t[]){ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }), 10);
}

/* ---- frozen ---- */

static int32_t put(void *user, const char *bytes, int64_t size)
{
    char *text = user;
    size_t used = strlen(text);
    memcpy(text + used, bytes, (size_t)size);
    text[used + (size_t)size] = 0;
    return 0;
}

static int32_t refuse(void *user, const char *bytes, int64_t size)
{
    (void)user, (void)bytes, (void)size;
    return 1;
}

/* Made, written, read again: the same struct, the same scores, and of one customer the same again. */
static void test_frozen(void **state)
{
    (void)state;
    seed = 13;
    for (int round = 0; round < 2000; round++) {
        struct customers c;
        lapse_cuts made = { .size = sizeof made }, back = { .size = sizeof back };
        lapse_rfm_options o = options_of(draw(2) ? LAPSE_CUTS_QUANTILE : LAPSE_CUTS_RFM_R);
        int digits = draw(7);
        char text[4096] = "";
        uint8_t before[3][MOST];
        draw_customers(&c);
        o.bins_r = 2 + draw(9);
        o.bins_m = 2 + draw(9);
        o.made = &made;
        assert_int_equal(ask(&c, &o, digits), LAPSE_OK);
        memcpy(before, c.score, sizeof before);
        assert_int_equal(made.bins[0], o.bins_r);
        assert_int_equal(lapse_cuts_write(&made, put, text, NULL), LAPSE_OK);
        assert_int_equal(lapse_cuts_read(text, (int64_t)strlen(text), digits, &back, NULL), LAPSE_OK);
        assert_memory_equal(&made, &back, sizeof made);

        lapse_rfm_options fixed = options_of(LAPSE_CUTS_FIXED);
        fixed.fixed = &back;
        assert_int_equal(ask(&c, &fixed, digits), LAPSE_OK);
        assert_memory_equal(before, c.score, sizeof before);
        for (int i = 0; i < c.n; i++) {
            int32_t scores[3];
            assert_int_equal(lapse_cuts_score(&back, c.value[0][i], c.value[1][i], c.value[2][i], scores), LAPSE_OK);
            for (int a = 0; a < 3; a++)
                assert_int_equal(scores[a], before[a][i]);
        }
    }
}

static void test_texts(void **state)
{
    (void)state;
    lapse_cuts cuts = { .size = sizeof cuts };
    char text[4096] = "";
    assert_int_equal(lapse_cuts_parse("-9223372036854775808,9223372036854775807.99/0.000000000000000000000000000009/"
                                      "-92233720368547758.08,-92233720368547758.0700000000000000000000001,"
                                      "92233720368547758.07",
                                      2, &cuts, NULL),
                     LAPSE_OK);
    assert_true(cuts.above[0] == INT64_MIN && cuts.above[1] == INT64_MAX && cuts.above[9] == 0);
    assert_true(cuts.above[18] == INT64_MIN && cuts.above[19] == INT64_MIN && cuts.above[20] == INT64_MAX);
    assert_int_equal(lapse_cuts_parse("30.5,90/-2,-1.5,3/-5,1.555,1.559,10", 2, &cuts, NULL), LAPSE_OK);
    assert_int_equal(lapse_cuts_write(&cuts, put, text, NULL), LAPSE_OK);
    assert_string_equal(text, "axis,bin,above\nr,1,30\nr,2,90\nf,1,-2\nf,2,-2\nf,3,3\n"
                              "m,1,-5.00\nm,2,1.55\nm,3,1.55\nm,4,10.00\n");
    /* columns and axes in another order, quotes, a byte order mark, money of more digits */
    const char *other = "\xEF\xBB\xBF" "above,\"axis\",bin\r\n1.009,m,1\r\n\r\n2,r,\"1\"\n3,f,1\n2.5,r,2";
    assert_int_equal(lapse_cuts_read(other, (int64_t)strlen(other), 2, &cuts, NULL), LAPSE_OK);
    text[0] = 0;
    assert_int_equal(lapse_cuts_write(&cuts, put, text, NULL), LAPSE_OK);
    assert_string_equal(text, "axis,bin,above\nr,1,2\nr,2,2\nf,1,3\nm,1,1.00\n");
    assert_int_equal(lapse_cuts_write(&cuts, refuse, text, NULL), LAPSE_CANCELLED);

    static const char *const bad[] = { "", "1", "1/2", "1/2/", "/1/2", "1//2", "1/2/3/4", "1,/2/3", "2,1/1/1", "a/1/1",
                                       "1 /2/3", "1;2/3/4", "1,2,3,4,5,6,7,8,9,10/1/1", "1/1/922337203685477.5808", "1/1/-922337203685477.58081", "1/1/-92233720368547758.08",
                                       "1/1/1.", "1/1/.5", "1/1/-", "1/1/1.2.3",
                                       "1/1/99999999999999999999999999999999999999999999999",
                                       "1e3/1/1" };
    for (int i = 0; i < COUNT(bad); i++) {
        lapse_error error = { .size = sizeof error };
        lapse_cuts kept = cuts;
        assert_int_equal(lapse_cuts_parse(bad[i], 4, &cuts, &error), LAPSE_BAD_INPUT);
        assert_true(error.rule[0] != 0);
        assert_memory_equal(&kept, &cuts, sizeof kept);
    }
    static const struct {
        const char *text, *column, *found, *rule;
        int row;
    } places[] = {
        { "30,9o/1/1", "recency", "9o", "a threshold is -?digits[.digits], such as 30, 2.5 or -10", 1 },
        { "2,1/1/1", "recency", "1", "thresholds of recency ascend, equal ones allowed", 1 },
        { "1/1,3,3,2/1", "frequency", "2", "thresholds of frequency ascend, equal ones allowed", 3 },
        { "1/1/5,4.99", "monetary", "4.99", "thresholds of monetary ascend, equal ones allowed", 1 },
        { "1/1/1,2,3,4,5,6,7,8,9,10", "monetary", "10", "an axis has one to nine thresholds", 9 },
        { "1/2", "", "1/2", "thresholds are those of three axes, days/orders/money, as in "
                            "30,90,180,365/2,3,5,8/10,50,100,500", -1 },
    };
    for (int i = 0; i < COUNT(places); i++) {
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_cuts_parse(places[i].text, 2, &cuts, &error), LAPSE_BAD_INPUT);
        assert_string_equal(error.column, places[i].column);
        assert_string_equal(error.text, places[i].found);
        assert_string_equal(error.rule, places[i].rule);
        assert_int_equal(error.row, places[i].row);
    }
#define HEAD "axis,bin,above\n"
    static const struct {
        const char *text, *column;
        int line;
    } files[] = {
        { "", "", 0 },
        { "axis,bin\n", "", 1 },
        { "axis,bin,over\n", "over", 1 },
        { "axis,axis,bin\n", "axis", 1 },
        { HEAD, "", 0 },
        { HEAD "r,1,1\nf,1,1\n", "", 0 },
        { HEAD "x,1,1\n", "axis", 2 },
        { HEAD "rr,1,1\n", "axis", 2 },
        { HEAD "r,0,1\n", "bin", 2 },
        { HEAD "r,2,1\n", "bin", 2 },
        { HEAD "r,1,1\nr,1,1\n", "bin", 3 },
        { HEAD "r,1,\n", "above", 2 },
        { HEAD "r,1,5\nr,2,4\n", "above", 3 },
        { HEAD "m,1,5\nr,1,4\nm,2,4.99\n", "above", 4 },
        { HEAD "r,1,5,6\n", "", 2 },
        { HEAD "r,1,\"5\n", "above", 2 },
    };
    for (int i = 0; i < COUNT(files); i++) {
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_cuts_read(files[i].text, (int64_t)strlen(files[i].text), 2, &cuts, &error),
                         LAPSE_BAD_INPUT);
        assert_int_equal(error.line, files[i].line);
        assert_string_equal(error.column[0] && strcmp(error.column, "over") ? error.column : files[i].column,
                            files[i].column);
    }
    char *large = calloc(1, 4098);
    memset(large, '\n', 4097);
    assert_int_equal(lapse_cuts_read(large, 4097, 2, &cuts, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_cuts_read(large, -1, 2, &cuts, NULL), LAPSE_INVALID);
    free(large);
}

static void test_bad_calls(void **state)
{
    (void)state;
    struct customers c = { .n = 0 };
    lapse_cuts cuts = { .size = sizeof cuts }, made = { .size = sizeof made };
    lapse_rfm_values v = { .size = sizeof v };
    lapse_rfm_options o = options_of(LAPSE_CUTS_QUANTILE);
    int32_t scores[3];
    assert_int_equal(lapse_rfm_score(&v, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_OK); /* nobody */
    v.count = 1;
    assert_int_equal(lapse_rfm_score(&v, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    v.count = -1;
    assert_int_equal(lapse_rfm_score(&v, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    v = (lapse_rfm_values){ .size = sizeof v, .digits = 7 };
    assert_int_equal(lapse_rfm_score(&v, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    v.digits = -1;
    assert_int_equal(lapse_rfm_score(&v, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    v = (lapse_rfm_values){ .size = sizeof v - 1 };
    assert_int_equal(lapse_rfm_score(&v, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_rfm_score(NULL, NULL, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    const int64_t one = 1;
    for (int missing = 0; missing < 6; missing++) { /* any one of the arrays */
        uint8_t score[3];
        const int64_t *in[3];
        uint8_t *to[3];
        for (int i = 0; i < 3; i++) {
            in[i] = missing == i ? NULL : &one;
            to[i] = missing == i + 3 ? NULL : &score[i];
        }
        v = (lapse_rfm_values){ .size = sizeof v, .count = 1, .recency = in[0], .frequency = in[1], .monetary = in[2] };
        assert_int_equal(lapse_rfm_score(&v, NULL, NULL, to[0], to[1], to[2], NULL), LAPSE_INVALID);
    }

    /* of nobody there are no cuts, and such cuts score nobody */
    o.made = &made;
    assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
    assert_int_equal(made.bins[0], 0);
    assert_int_equal(lapse_cuts_score(&made, 1, 1, 1, scores), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_write(&made, put, NULL, NULL), LAPSE_INVALID);

    assert_int_equal(lapse_cuts_parse("1/2/3", 2, &cuts, NULL), LAPSE_OK);
    assert_int_equal(lapse_cuts_score(&cuts, 1, 3, 301, scores), LAPSE_OK);
    assert_int_equal(100 * scores[0] + 10 * scores[1] + scores[2], 222);
    assert_int_equal(lapse_cuts_score(&cuts, 2, 2, 300, scores), LAPSE_OK);
    assert_int_equal(100 * scores[0] + 10 * scores[1] + scores[2], 111);
    assert_int_equal(lapse_cuts_score(&cuts, 2, 2, 300, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_write(&cuts, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_score(NULL, 2, 2, 300, scores), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_parse("1/2/3", 7, &cuts, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_parse("1/2/3", -1, &cuts, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_parse("1/2/3", 2, &(lapse_cuts){ .size = 8 }, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_read(NULL, 0, 2, &cuts, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_parse(NULL, 2, &cuts, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_cuts_parse("1/2/3", 2, NULL, NULL), LAPSE_INVALID);

    o = options_of(LAPSE_CUTS_FIXED);
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID); /* none given */
    o.fixed = &cuts;
    assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
    assert_int_equal(ask(&c, &o, 3), LAPSE_INVALID); /* other digits */
    o.flags = LAPSE_RFM_NESTED;
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID);
    o.flags = 0;
    cuts.bins[1] = 11;
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID);
    cuts.bins[1] = 3;
    cuts.above[10] = 1; /* descends */
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID);
    o = options_of(LAPSE_CUTS_NTILE);
    o.made = &made;
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID);
    o = options_of(LAPSE_CUTS_QUANTILE);
    o.made = &made;
    o.flags = LAPSE_RFM_NESTED;
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID);
    o.flags = 0;
    made.size = 4;
    assert_int_equal(ask(&c, &o, 2), LAPSE_INVALID);

    /* which rule the cuts of a caller break */
    static const struct {
        lapse_cuts cuts;
        const char *rule;
    } faults[] = {
        { { .size = 4 }, "cuts have their size set" },
        { { .size = sizeof(lapse_cuts), .digits = 7, .bins = { 2, 2, 2 } }, "digits are 0 to 6" },
        { { .size = sizeof(lapse_cuts), .bins = { 2, 1, 2 } }, "an axis has 2 to 10 bins" },
        { { .size = sizeof(lapse_cuts), .bins = { 3, 3, 3 }, .above = { [18] = 2, [19] = 1 } },
          "thresholds of monetary ascend, equal ones allowed" },
    };
    for (int i = 0; i < COUNT(faults); i++) {
        lapse_error error = { .size = sizeof error };
        o = options_of(LAPSE_CUTS_FIXED);
        o.fixed = &faults[i].cuts;
        assert_int_equal(lapse_rfm_score(&(lapse_rfm_values){ .size = sizeof v }, &o, NULL, NULL, NULL, NULL, &error),
                         LAPSE_INVALID);
        assert_non_null(strstr(error.message, faults[i].rule));
    }
}

/* Recency is a number like another: one below 0 is fresher than 0. */
static void test_negative_recency(void **state)
{
    (void)state;
    struct customers c = { .n = 3, .value = { { 0, -5, 5 }, { 1, 1, 1 }, { 1, 1, 1 } } };
    lapse_rfm_options o = options_of(LAPSE_CUTS_QUANTILE);
    assert_int_equal(ask(&c, &o, 2), LAPSE_OK);
    assert_memory_equal(c.score[0], ((const uint8_t[]){ 3, 5, 1 }), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_ntile_by_hand),
        cmocka_unit_test(test_rfm_r_by_hand),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_negative_recency),
    };
    return cmocka_run_group_tests_name("cuts", tests, NULL, NULL);
}
