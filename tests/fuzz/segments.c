/* Segment tables and the other options of RFM over a store of 200 customers that is made once. Input: sixteen bytes of
 * options, then the table. A table that can be read without quotes is also read by a naive reader here, and every
 * customer's segment is looked up in that. */
#include "fuzz.h"

enum { CUSTOMERS = 200, ROWS = 2000, AS_OF_DAY = 19800 };

static lapse_store *store;

/* Orders of a fixed sequence: ties, refunds, customers without orders, amounts missing. */
static void make_store(void)
{
    struct text file = { 0 };
    uint32_t seed = 7;
    lapse_store_options options;
    lapse_import_options import;
    text_put(&file, "customer,time,kind,amount,ref\n", 30);
    for (int c = 0; c < CUSTOMERS; c++)
        for (int i = 0; i <= c % 7; i++) {
            char line[128];
            seed = seed * 1664525 + 1013904223;
            int n = snprintf(line, sizeof line, "c%03d,@%lld,%s,%u,%s%d\n", c,
                             (long long)(AS_OF_DAY - seed / 65536 % 700) * 86400,
                             i == 3 ? "order.refunded" : i == 5 ? "order.cancelled" : "order.placed",
                             seed % 50 * (seed >> 20 & 3), i == 3 && c % 2 ? "x" : "o", i == 5 ? 0 : i % 4);
            text_put(&file, line, (size_t)n);
        }
    CHECK(lapse_store_options_init(&options, sizeof options) == LAPSE_OK);
    store = store_new(&options);
    CHECK(lapse_import_options_init(&import, sizeof import) == LAPSE_OK);
    struct stream stream = { file.data, file.size, file.size };
    lapse_error error = { .size = sizeof error };
    if (lapse_store_import_stream(store, stream_read, &stream, &import, NULL, &error) != LAPSE_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    text_free(&file);
}

/* ---- the naive reader: lines and commas ------------------------------------------------------------------------- */

struct row {
    struct fuzz name;
    int64_t bound[6]; /* r_min, r_max, f_min ... */
};

static bool is(struct fuzz f, const char *text)
{
    return f.left == strlen(text) && memcmp(f.at, text, f.left) == 0;
}

static struct fuzz field(struct fuzz *line)
{
    const uint8_t *comma = line->left ? memchr(line->at, ',', line->left) : NULL;
    struct fuzz f = { line->at, comma ? (size_t)(comma - line->at) : line->left };
    size_t used = f.left + (comma != NULL);
    line->at += used;
    line->left -= used;
    return f;
}

/* -1: not to be read naively. Only called for tables that the library took. */
static int read_table(struct fuzz in, struct row *rows)
{
    static const char *const names[] = { "segment", "r_min", "r_max", "f_min", "f_max", "m_min", "m_max" };
    int place[7], count = -1;
    if (in.left && (memchr(in.at, '"', in.left) || memchr(in.at, '\r', in.left)))
        return -1;
    if (in.left >= 3 && memcmp(in.at, "\xef\xbb\xbf", 3) == 0) {
        in.at += 3;
        in.left -= 3;
    }
    while (in.left) {
        struct fuzz line = fuzz_line(&in);
        if (line.left == 0)
            continue;
        CHECK(count < ROWS);
        for (int i = 0; i < 7; i++) {
            struct fuzz f = field(&line);
            if (count < 0) {
                for (place[i] = 0; place[i] < 7 && !is(f, names[place[i]]); place[i]++)
                    ;
                CHECK(place[i] < 7);
            } else if (place[i] == 0) {
                rows[count].name = f;
            } else {
                char *text = fuzz_text(f);
                int64_t *bound = &rows[count].bound[place[i] - 1];
                *bound = f.left ? strtoll(text, NULL, 10) : place[i] % 2 ? INT64_MIN : INT64_MAX;
                free(text);
            }
        }
        count++;
    }
    CHECK(count >= 0);
    return count;
}

static struct fuzz look_up(const struct row *rows, int count, const int64_t score[3])
{
    for (int i = 0; i < count; i++) {
        const int64_t *b = rows[i].bound;
        if (score[0] >= b[0] && score[0] <= b[1] && score[1] >= b[2] && score[1] <= b[3] && score[2] >= b[4] &&
            score[2] <= b[5])
            return rows[i].name;
    }
    return (struct fuzz){ (const uint8_t *)"(none)", 6 };
}

/* ---- properties ------------------------------------------------------------------------------------------------- */

static lapse_column column(const lapse_table *table, const char *name)
{
    lapse_column c = { .size = sizeof c };
    CHECK(lapse_table_column(table, lapse_table_find(table, name), &c) == LAPSE_OK);
    return c;
}

static int64_t int_at(const lapse_column *c, int64_t i)
{
    return ((const int64_t *)c->data)[i];
}

static struct fuzz text_at(const lapse_column *c, int64_t i)
{
    return (struct fuzz){ (const uint8_t *)c->data + c->offsets[i], (size_t)(c->offsets[i + 1] - c->offsets[i]) };
}

static bool same(struct fuzz a, struct fuzz b)
{
    return a.left == b.left && (a.left == 0 || memcmp(a.at, b.at, a.left) == 0);
}

static void check_scores(const lapse_table *scores, const lapse_rfm_options *o, const struct row *rows, int count)
{
    lapse_column axis[3] = { column(scores, "r"), column(scores, "f"), column(scores, "m") };
    lapse_column score = column(scores, "score"), segment = column(scores, "segment");
    const int32_t bins[3] = { o->bins_r, o->bins_f, o->bins_m };
    bool dashes = bins[0] == 10 || bins[1] == 10 || bins[2] == 10;
    for (int64_t i = 0; i < lapse_table_rows(scores); i++) {
        int64_t v[3];
        for (int a = 0; a < 3; a++) {
            v[a] = int_at(&axis[a], i);
            CHECK(v[a] >= 1 && v[a] <= bins[a]);
        }
        char text[32];
        snprintf(text, sizeof text, dashes ? "%d-%d-%d" : "%d%d%d", (int)v[0], (int)v[1], (int)v[2]);
        CHECK(is(text_at(&score, i), text));
        if (count >= 0)
            CHECK(same(text_at(&segment, i), look_up(rows, count, v)));
        if (o->flags & LAPSE_RFM_WEIGHTED) {
            lapse_column weighted = column(scores, "weighted");
            CHECK(int_at(&weighted, i) == v[0] * o->weight_r + v[1] * o->weight_f + v[2] * o->weight_m);
        }
    }
}

/* Each segment once; as many customers as have its name; orders and money add up. */
static void check_sums(const lapse_table *scores, const lapse_table *segments, bool mean)
{
    lapse_column name = column(segments, "segment"), customers = column(segments, "customers");
    lapse_column sum = column(segments, "monetary"), of = column(scores, "segment"), money = column(scores, "monetary");
    int64_t all = 0;
    for (int64_t s = 0; s < lapse_table_rows(segments); s++) {
        int64_t n = 0, total = 0;
        for (int64_t t = 0; t < s; t++)
            CHECK(!same(text_at(&name, s), text_at(&name, t)));
        for (int64_t i = 0; i < lapse_table_rows(scores); i++)
            if (same(text_at(&name, s), text_at(&of, i))) {
                n++;
                total += int_at(&money, i);
            }
        CHECK(n == int_at(&customers, s));
        CHECK(mean || total == int_at(&sum, s)); /* the sum is of orders, not of means */
        all += n;
    }
    CHECK(all == lapse_table_rows(scores));
}

static lapse_table *ask(lapse_view *view, const lapse_rfm_options *o, bool segments, lapse_status *status)
{
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_error error = { .size = sizeof error };
    *status = segments ? lapse_view_segments(view, o, &result, &error) : lapse_view_rfm(view, o, &result, &error);
    error_check(*status, &error);
    if (*status != LAPSE_OK) {
        CHECK(*status == LAPSE_BAD_INPUT || *status == LAPSE_INVALID || *status == LAPSE_OVERFLOW);
        return NULL;
    }
    for (int32_t i = 0; i < lapse_result_notes(result); i++)
        CHECK(lapse_utf8_valid(lapse_result_note(result, i), strlen(lapse_result_note(result, i))));
    CHECK(!lapse_result_note(result, lapse_result_notes(result)));
    CHECK(lapse_result_collect(result, &table, NULL) == LAPSE_OK);
    lapse_result_free(result);
    return table;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct row rows[ROWS];
    struct fuzz in = { data, size < 8192 ? size : 8192 };
    lapse_rfm_options o;
    lapse_view *view = NULL;
    if (!store)
        make_store();
    CHECK(lapse_rfm_options_init(&o, sizeof o) == LAPSE_OK);
    o.flags = fuzz_byte(&in) & 15;
    uint8_t bins = fuzz_byte(&in);
    o.bins_r = 5 + bins % 12 - 4; /* 1 to 12: one too few and too many */
    o.bins_f = bins & 128 ? 5 : 5 + (int32_t)fuzz_below(&in, 12) - 4;
    o.bins_m = 1 + (int32_t)fuzz_below(&in, 12);
    uint8_t window = fuzz_byte(&in);
    if (window & 1) {
        o.window_unit = window >> 1 & 7;
        o.window = fuzz_number(&in);
    }
    if (window & 16) {
        o.weight_r = fuzz_number(&in);
        o.weight_f = fuzz_number(&in);
        o.weight_m = fuzz_number(&in);
    }
    o.threads = 1 + (window >> 5 & 1);
    int64_t as_of = (AS_OF_DAY - (int64_t)fuzz_int(&in, 2) % 800) * LAPSE_DAY;
    uint8_t *exact = NULL;
    if (window < 192) {
        exact = malloc(in.left ? in.left : 1);
        CHECK(exact);
        if (in.left)
            memcpy(exact, in.at, in.left);
        o.segments = (const char *)exact;
        o.segments_size = (int64_t)in.left;
    }
    CHECK(lapse_view_open(store, as_of, &view, NULL) == LAPSE_OK);
    lapse_status status[2];
    lapse_table *scores = ask(view, &o, false, &status[0]), *segments = ask(view, &o, true, &status[1]);
    CHECK(status[0] == status[1]);
    if (status[0] == LAPSE_OK) {
        int count = o.segments ? read_table(in, rows) : -1;
        check_scores(scores, &o, rows, count);
        check_sums(scores, segments, o.flags & LAPSE_RFM_MONETARY_MEAN);
    }
    lapse_table_release(scores);
    lapse_table_release(segments);
    lapse_view_close(view);
    free(exact);
    return 0;
}
