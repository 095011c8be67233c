/* Batches of a program: which structure is taken, what is read out of each row, what is bad, and many rows at once. */
#include <math.h>

#include "help.h"

#include "event/event.h"

static const struct lapse_check plain = { INT64_MAX, "key", 3, 2 };

static const int64_t two_offsets[] = { 2, 3, 5 };
static const int64_t two_times[] = { 1700000000000000, 1700000001000000 };

static lapse_batch two_rows(void)
{
    lapse_batch batch;
    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    batch.rows = 2;
    batch.customer = "??abc";
    batch.customer_offsets = two_offsets;
    batch.time = two_times;
    return batch;
}

/* One row of a batch, out of a reading of all of them. */
struct wanted {
    const struct lapse_batch_reader *reader;
    int64_t row;
    struct lapse_row *out;
    struct lapse_fault *fault;
    char *found;
    bool good;
    int64_t seen;
    char texts[LAPSE_COLUMNS][256];
};

static int want_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct wanted *w = self;
    struct lapse_columns all = *rows;
    assert_int_equal(rows->constant, 0);
    lapse_constants_add(&w->reader->constants, &all);
    for (size_t i = 0; i < n; i++) {
        w->seen++;
        if (lapse_columns_number(rows, LAPSE_F_LINE, i) != w->row)
            continue;
        w->good = true;
        lapse_columns_row(&all, i, lapse_columns_text(&all, LAPSE_F_CUSTOMER, i), w->out);
        for (int f = 0; f <= LAPSE_FIELDS; f++) { /* they are borrowed */
            struct lapse_text *t = f < LAPSE_FIELDS ? &w->out->text[f] : &w->out->customer;
            if (f < LAPSE_FIELDS && lapse_fields[f].class != LAPSE_CLASS_TEXT)
                continue;
            memcpy(w->texts[f], t->data, t->size);
            t->data = w->texts[f];
        }
    }
    return 0;
}

static int want_bad(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text what)
{
    struct wanted *w = self;
    w->seen++;
    if (row == w->row) {
        *w->fault = *fault;
        memcpy(w->found, what.data, what.size);
        w->found[what.size] = '\0';
    }
    return 0;
}

static bool read_row(const lapse_batch *batch, int64_t i, const char *source, struct lapse_row *row,
                     struct lapse_fault *fault, char *found)
{
    static struct wanted w;
    lapse_batch ours;
    lapse_allocator mem;
    struct lapse_batch_reader reader = { .batch = &ours, .check = &plain, .source = source, .lines = true };
    struct lapse_batch_sink sink = { &w, want_rows, want_bad };
    w = (struct wanted){ .reader = &reader, .row = i, .out = row, .fault = fault, .found = found };
    assert_int_equal(lapse_mem_init(&mem, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_batch_check(batch, &ours, NULL), LAPSE_OK);
    lapse_batch_reader_init(&reader, &mem);
    assert_int_equal(lapse_batch_read(&reader, &sink), 0);
    assert_int_equal(w.seen, batch->rows);
    lapse_batch_reader_free(&reader);
    return w.good;
}

static void test_batch_rows(void **state)
{
    (void)state;
    lapse_batch batch = two_rows();
    struct lapse_row row;
    struct lapse_fault fault;
    char found[300];
    assert_true(read_row(&batch, 1, "shop", &row, &fault, found));
    assert_int_equal(row.customer.size, 2);
    assert_memory_equal(row.customer.data, "bc", 2);
    assert_int_equal(row.number[LAPSE_F_TIME], two_times[1]);
    assert_int_equal(row.name[LAPSE_F_KIND], LAPSE_KIND_ORDER_PLACED);
    assert_true(row.number[LAPSE_F_AMOUNT] == LAPSE_MISSING && row.number[LAPSE_F_VALUE] == LAPSE_MISSING);
    assert_memory_equal(row.text[LAPSE_F_SOURCE].data, "shop", 4);

    static const int64_t amounts[] = { 150, 7 };
    static const double values[] = { 5, -0.0 };
    static const uint8_t second[] = { 2 };
    static const int64_t id_offsets[] = { 0, 0, 2 };
    static const int64_t mail_offsets[] = { 0, 3, 6 };
    static const int32_t email[] = { 0, LAPSE_CHANNEL_EMAIL };
    batch.amount = amounts;
    batch.amount_validity = second;
    batch.value = values;
    batch.event_id = "id";
    batch.event_id_offsets = id_offsets;
    batch.endpoint = "A@BA@B";
    batch.endpoint_offsets = mail_offsets;
    batch.channel = email;
    assert_true(read_row(&batch, 0, "shop", &row, &fault, found));
    assert_true(row.number[LAPSE_F_AMOUNT] == LAPSE_MISSING);
    assert_true(row.number[LAPSE_F_VALUE] == lapse_value_to_bits(5));
    assert_memory_equal(row.text[LAPSE_F_SOURCE].data, "shop", 4);
    assert_true(read_row(&batch, 1, "shop", &row, &fault, found));
    assert_int_equal(row.number[LAPSE_F_AMOUNT], 7);
    assert_true(row.number[LAPSE_F_VALUE] == 0);        /* one zero */
    assert_int_equal(row.text[LAPSE_F_SOURCE].size, 0); /* an id alone has the empty source */
    uint8_t hash[32];
    lapse_hmac_sha256("key", 3, "a@b", 3, hash);
    assert_int_equal(row.text[LAPSE_F_ENDPOINT].size, 32);
    assert_memory_equal(row.text[LAPSE_F_ENDPOINT].data, hash, 32);

    static const int64_t source_offsets[] = { 0, 0, 3 };
    batch.source = "own";
    batch.source_offsets = source_offsets;
    assert_true(read_row(&batch, 0, "shop", &row, &fault, found));
    assert_int_equal(row.text[LAPSE_F_SOURCE].size, 0); /* there, and empty */
    assert_true(read_row(&batch, 1, "shop", &row, &fault, found));
    assert_memory_equal(row.text[LAPSE_F_SOURCE].data, "own", 3);
}

static void test_bad_batch_rows(void **state)
{
    (void)state;
    struct lapse_row row;
    struct lapse_fault fault;
    char found[300];
    static const int32_t out[] = { 70, -1 }, negative[] = { INT32_MIN, 11 };
    static const int64_t times[] = { 0, INT64_MIN }, amounts[] = { -5, INT64_MIN };
    static const int64_t empty[] = { 0, 0, 1 };
    static const double values[] = { 0, 0 };
    double odd[2] = { (double)NAN, 1.0 / 3 };
    lapse_batch batch;
#define BAD(member, data, i, where, text_found)                                                                \
    do {                                                                                                       \
        batch = two_rows();                                                                                    \
        batch.member = data;                                                                                   \
        assert_false(read_row(&batch, i, NULL, &row, &fault, found));                                          \
        assert_int_equal(fault.field, where);                                                                  \
        assert_true(strlen(fault.rule) > 0);                                                                   \
        const char *wanted = text_found;                                                                       \
        if (wanted)                                                                                            \
            assert_string_equal(found, wanted);                                                                \
    } while (0)
    BAD(kind, out, 0, LAPSE_F_KIND, "70");
    BAD(kind, out, 1, LAPSE_F_KIND, "-1");
    BAD(kind, negative, 0, LAPSE_F_KIND, "-2147483648");
    BAD(channel, negative, 1, LAPSE_F_CHANNEL, "11");
    BAD(purpose, out, 0, LAPSE_F_PURPOSE, "70");
    BAD(platform, out, 1, LAPSE_F_PLATFORM, "-1");
    BAD(time, times, 0, LAPSE_F_TIME, "0");
    BAD(time, times, 1, LAPSE_F_TIME, NULL);
    BAD(amount, amounts, 0, LAPSE_F_AMOUNT, "-5");
    BAD(amount, amounts, 1, LAPSE_F_AMOUNT, NULL);
    BAD(quantity, amounts, 0, LAPSE_F_QUANTITY, "-5");
    BAD(price, amounts, 1, LAPSE_F_PRICE, NULL);
    BAD(value, odd, 0, LAPSE_F_VALUE, NULL);
    BAD(value, odd, 1, LAPSE_F_VALUE, NULL);
    BAD(customer_offsets, empty, 0, -1, "");
    BAD(customer,
        "??\xFF"
        "bc",
        0, -1, "\xFF");
#undef BAD
    batch = two_rows();
    batch.value = values;
    assert_true(read_row(&batch, 0, NULL, &row, &fault, found));
    static const int64_t hash_offsets[] = { 0, 7, 7 };
    batch.endpoint = "hash:00";
    batch.endpoint_offsets = hash_offsets;
    assert_false(read_row(&batch, 0, NULL, &row, &fault, found));
    assert_int_equal(fault.field, LAPSE_F_ENDPOINT);
    assert_string_equal(found, "hash:00");
}

/* ---- batches of many rows ---- */

enum { MANY = 2 * LAPSE_CSV_BATCH + 700 };

struct many {
    int64_t next, bad, batches;
    const struct lapse_batch_reader *reader;
};

/* By number: every fifth is bad, in one way or another; their texts are not to be found again. */
static bool is_bad(int64_t i)
{
    return i % 5 == 0 || (i > 5000 && i < 5600);
}

static int many_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct many *m = self;
    m->batches++;
    assert_true(n <= LAPSE_CSV_BATCH);
    assert_false(rows->fields & (LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_KIND)));
    for (size_t i = 0; i < n; i++, m->next++) {
        char customer[16];
        while (is_bad(m->next))
            m->next++;
        snprintf(customer, sizeof customer, "g%lld", (long long)m->next);
        struct lapse_text who = lapse_columns_text(rows, LAPSE_F_CUSTOMER, i);
        assert_int_equal(who.size, strlen(customer));
        assert_memory_equal(who.data, customer, who.size);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_LINE, i), m->next);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_TIME, i), m->next * LAPSE_SECOND + 1);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_AMOUNT, i), m->next % 3 ? m->next : LAPSE_MISSING);
    }
    assert_true(m->reader->rows.bytes.size == 0 || !memchr(m->reader->rows.bytes.data, 'b', m->reader->rows.bytes.size));
    return 0;
}

static int many_bad(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text found)
{
    struct many *m = self;
    (void)found;
    assert_true(is_bad(row) && fault->rule);
    m->bad++;
    return 0;
}

static int stop_at_once(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text found)
{
    (void)self;
    (void)fault;
    (void)found;
    return row == 0 ? 99 : 98;
}

static void test_batches_of_many_rows(void **state)
{
    (void)state;
    lapse_batch batch, ours;
    lapse_allocator mem;
    int64_t *times = calloc(MANY, 8), *amounts = calloc(MANY, 8), *offsets = calloc(MANY + 1, 8);
    int64_t *empty = calloc(MANY + 1, 8);
    uint8_t *validity = calloc(MANY / 8 + 1, 1);
    char *texts = malloc(MANY * 16);
    assert_true(times && amounts && offsets && empty && validity && texts);
    assert_int_equal(lapse_mem_init(&mem, NULL, NULL), LAPSE_OK);
    int64_t expected = 0;
    for (int64_t i = 0; i < MANY; i++) {
        bool bad = is_bad(i);
        expected += bad;
        times[i] = bad && i % 3 == 0 ? 0 : i * LAPSE_SECOND + 1;
        amounts[i] = bad && i % 3 == 1 ? -1 : i;
        if (i % 3 || bad)
            validity[i / 8] |= (uint8_t)(1 << i % 8);
        offsets[i + 1] = offsets[i] + (bad && i % 3 == 2 ? snprintf(texts + offsets[i], 16, "b\xFF")
                                                         : snprintf(texts + offsets[i], 16, "%c%lld", bad ? 'b' : 'g', (long long)i));
    }
    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    batch.rows = MANY;
    batch.customer = texts;
    batch.customer_offsets = offsets;
    batch.time = times;
    batch.amount = amounts;
    batch.amount_validity = validity;
    batch.ref_offsets = empty; /* a column without values is not handed over */
    assert_int_equal(lapse_batch_check(&batch, &ours, NULL), LAPSE_OK);
    struct lapse_batch_reader reader = { .batch = &ours, .check = &plain, .source = "", .lines = true };
    struct many m = { .reader = &reader };
    struct lapse_batch_sink sink = { &m, many_rows, many_bad };
    lapse_batch_reader_init(&reader, &mem);
    assert_int_equal(lapse_batch_read(&reader, &sink), 0);
    assert_int_equal(m.bad, expected);
    assert_int_equal(m.next, MANY);
    assert_int_equal(m.batches, 3);
    sink.bad = stop_at_once;
    assert_int_equal(lapse_batch_read(&reader, &sink), 99);
    lapse_batch_reader_free(&reader);
    free(times);
    free(amounts);
    free(offsets);
    free(empty);
    free(validity);
    free(texts);
}

static void test_batch_structure(void **state)
{
    (void)state;
    static const int64_t descending[] = { 2, 4, 3 }, below[] = { -1, 3, 5 };
    lapse_batch ours, batch;
    lapse_error error;
    error.size = sizeof error;
    assert_int_equal(lapse_batch_check(NULL, &ours, &error), LAPSE_INVALID);
#define REFUSED(change)                                                                                        \
    do {                                                                                                       \
        batch = two_rows();                                                                                    \
        change;                                                                                                \
        assert_int_equal(lapse_batch_check(&batch, &ours, &error), LAPSE_INVALID);                             \
    } while (0)
    REFUSED(batch.size = 8);
    REFUSED(batch.flags = 1);
    REFUSED(batch.rows = -1);
    REFUSED(batch.rows = INT64_MAX);
    REFUSED(batch.customer_offsets = NULL);
    REFUSED(batch.customer = NULL);
    REFUSED(batch.time = NULL);
    REFUSED(batch.customer_offsets = descending);
    REFUSED(batch.customer_offsets = below);
    REFUSED(batch.ref = "x");
    REFUSED(batch.ref_offsets = two_offsets);
    REFUSED((batch.event_id = "abcde", batch.event_id_offsets = descending));
#undef REFUSED
    batch = two_rows();
    assert_int_equal(lapse_batch_check(&batch, &ours, &error), LAPSE_OK);
    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    assert_int_equal(lapse_batch_check(&batch, &ours, &error), LAPSE_OK); /* no rows need no columns */
}

static void test_option_defaults(void **state)
{
    (void)state;
    lapse_append_options append;
    lapse_import_options import;
    assert_int_equal(lapse_append_options_init(&append, sizeof append), LAPSE_OK);
    assert_int_equal(append.size, sizeof append);
    assert_true(append.received_at == INT64_MAX && append.flags == 0 && !append.source && !append.on_reject);
    assert_int_equal(lapse_import_options_init(&import, sizeof import), LAPSE_OK);
    assert_int_equal(import.size, sizeof import);
    assert_int_equal(import.delimiter, ',');
    assert_int_equal(import.threads, 1);
    assert_true(import.received_at == INT64_MAX && import.flags == 0 && !import.map && !import.kind);
    assert_int_equal(lapse_import_options_init(&import, 4), LAPSE_INVALID);
    assert_int_equal(lapse_append_options_init(NULL, sizeof append), LAPSE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_rows),
        cmocka_unit_test(test_bad_batch_rows),
        cmocka_unit_test(test_batches_of_many_rows),
        cmocka_unit_test(test_batch_structure),
        cmocka_unit_test(test_option_defaults),
    };
    return cmocka_run_group_tests_name("events: batches", tests, NULL, NULL);
}
