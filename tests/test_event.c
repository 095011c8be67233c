/* One event: its printed form, its place among others, and the rules that it must keep. */
#include "help.h"

#include "event/event.h"

/* ---- rows ---------------------------------------------------------------------------------------------- */

static struct lapse_text text(const char *s)
{
    return (struct lapse_text){ s, (uint32_t)strlen(s) };
}

static struct lapse_row row_of(int kind)
{
    struct lapse_row row;
    memset(&row, 0, sizeof row);
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        row.number[f] = LAPSE_MISSING;
        row.text[f] = text("");
    }
    row.customer = text("c");
    row.number[LAPSE_F_TIME] = 1700000000 * LAPSE_SECOND;
    row.name[LAPSE_F_KIND] = (uint8_t)kind;
    return row;
}

static void test_ranks_of_rows(void **state)
{
    (void)state;
    uint8_t withdrawn = lapse_kinds[LAPSE_KIND_CONSENT_WITHDRAWN].rank;
    struct lapse_row row = row_of(LAPSE_KIND_SMS_KEYWORD);
    assert_int_equal(lapse_row_rank(&row), withdrawn);
    row.text[LAPSE_F_REASON] = text("Start");
    assert_int_equal(lapse_row_rank(&row), lapse_kinds[LAPSE_KIND_SMS_KEYWORD].rank);
    row.text[LAPSE_F_REASON] = text("stop");
    assert_int_equal(lapse_row_rank(&row), withdrawn);
    row = row_of(LAPSE_KIND_PREFERENCE_SET);
    row.number[LAPSE_F_VALUE] = lapse_value_to_bits(1);
    assert_int_equal(lapse_row_rank(&row), lapse_kinds[LAPSE_KIND_PREFERENCE_SET].rank);
    row.number[LAPSE_F_VALUE] = lapse_value_to_bits(0);
    assert_int_equal(lapse_row_rank(&row), withdrawn);
    assert_true(lapse_kinds[LAPSE_KIND_SMS_KEYWORD].rank < lapse_kinds[LAPSE_KIND_CONSENT_DECLINED].rank);
}

static void check_printed(const struct lapse_row *row, enum lapse_field field, int digits, const char *expected)
{
    char out[401];
    out[lapse_field_format(field, row, digits, out)] = '\0';
    assert_string_equal(out, expected);
}

static void test_printed_forms(void **state)
{
    (void)state;
    struct lapse_row row = row_of(LAPSE_KIND_ORDER_PLACED);
    for (int f = LAPSE_F_AMOUNT; f < LAPSE_FIELDS; f++)
        check_printed(&row, (enum lapse_field)f, 2, "");
    check_printed(&row, LAPSE_F_TIME, 2, "2023-11-14T22:13:20Z");
    check_printed(&row, LAPSE_F_KIND, 2, "order.placed");
    row.number[LAPSE_F_AMOUNT] = 1250;
    check_printed(&row, LAPSE_F_AMOUNT, 2, "12.50");
    check_printed(&row, LAPSE_F_AMOUNT, 0, "1250");
    row.number[LAPSE_F_QUANTITY] = 1500000;
    check_printed(&row, LAPSE_F_QUANTITY, 0, "1.5");
    row.number[LAPSE_F_PRICE] = 5;
    check_printed(&row, LAPSE_F_PRICE, 3, "0.005");
    row.number[LAPSE_F_VALUE] = lapse_value_to_bits(-0.1);
    check_printed(&row, LAPSE_F_VALUE, 2, "-0.1");
    row.name[LAPSE_F_CHANNEL] = LAPSE_CHANNEL_WEB_PUSH;
    check_printed(&row, LAPSE_F_CHANNEL, 2, "web_push");
    row.text[LAPSE_F_TOPIC] = text("a,b");
    check_printed(&row, LAPSE_F_TOPIC, 2, "a,b");
    char hash[32];
    for (int i = 0; i < 32; i++)
        hash[i] = (char)(i * 8 + 7);
    row.text[LAPSE_F_ENDPOINT] = (struct lapse_text){ hash, 32 };
    check_printed(&row, LAPSE_F_ENDPOINT, 2,
                  "hash:070f171f272f373f474f575f676f777f878f979fa7afb7bfc7cfd7dfe7eff7ff");
}

/* Rulings 9 word by word, slowly. */
static int naive_order(const struct lapse_row *a, const struct lapse_row *b, int digits)
{
    if (a->number[LAPSE_F_TIME] != b->number[LAPSE_F_TIME])
        return a->number[LAPSE_F_TIME] < b->number[LAPSE_F_TIME] ? -1 : 1;
    if (lapse_row_rank(a) != lapse_row_rank(b))
        return lapse_row_rank(a) < lapse_row_rank(b) ? -1 : 1;
    static const int before[] = { LAPSE_F_SOURCE, LAPSE_F_EVENT_ID };
    for (int i = 0; i < LAPSE_FIELDS + 2; i++) {
        enum lapse_field f = (enum lapse_field)(i < 2 ? before[i] : i - 2);
        char x[400], y[400];
        size_t n = lapse_field_format(f, a, digits, x), m = lapse_field_format(f, b, digits, y);
        int c = memcmp(x, y, n < m ? n : m);
        if (c != 0 || n != m)
            return c != 0 ? c : n < m ? -1 : 1;
    }
    return 0;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void test_order_of_rows(void **state)
{
    (void)state;
    static const int kinds[] = { LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_CONSENT_WITHDRAWN,
                                 LAPSE_KIND_ACCOUNT_CLOSED, LAPSE_KIND_SMS_KEYWORD, LAPSE_KIND_PREFERENCE_SET };
    static const char *const texts[] = { "", "a", "ab", "\xC3\xA9", "start", "B" };
    static const int64_t amounts[] = { LAPSE_MISSING, 0, 5, 105, 1000, 99, 20000 };
    static const double values[] = { 0, 1, 10, 9, 1e-7, 1.5, -2 };
    enum { ROWS = 60 };
    struct lapse_row rows[ROWS];
    char hashes[3][32];
    memset(hashes[0], 0x10, 32);
    memset(hashes[1], 0x9F, 32);
    memset(hashes[2], 0xFA, 32);
    uint64_t seed = 7;
    for (int i = 0; i < ROWS; i++) {
        struct lapse_row *r = &rows[i];
        *r = row_of(kinds[dice(&seed, 5)]);
        r->number[LAPSE_F_TIME] += dice(&seed, 2);
        r->number[LAPSE_F_AMOUNT] = amounts[dice(&seed, 7)];
        r->number[LAPSE_F_QUANTITY] = amounts[dice(&seed, 7)];
        r->number[LAPSE_F_VALUE] = lapse_value_to_bits(values[dice(&seed, 7)]);
        r->name[LAPSE_F_CHANNEL] = (uint8_t)dice(&seed, 4);
        r->text[LAPSE_F_REASON] = text(texts[dice(&seed, 6)]);
        if (dice(&seed, 4) == 0)
            r->text[LAPSE_F_SOURCE] = text(texts[dice(&seed, 6)]);
        if (dice(&seed, 4) == 0)
            r->text[LAPSE_F_EVENT_ID] = text(texts[dice(&seed, 6)]);
        if (dice(&seed, 4) == 0)
            r->text[LAPSE_F_ENDPOINT] = (struct lapse_text){ hashes[dice(&seed, 3)], 32 };
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < ROWS; j++) {
            for (int digits = 0; digits <= 6; digits += 2)
                assert_int_equal(sign(lapse_row_compare(&rows[i], &rows[j], digits)),
                                 sign(naive_order(&rows[i], &rows[j], digits)));
            for (int k = 0; k < ROWS; k++) /* transitive */
                if (lapse_row_compare(&rows[i], &rows[j], 2) <= 0 && lapse_row_compare(&rows[j], &rows[k], 2) <= 0)
                    assert_true(lapse_row_compare(&rows[i], &rows[k], 2) <= 0);
        }
        struct lapse_row other = rows[i]; /* 0 only for equal content */
        assert_int_equal(lapse_row_compare(&rows[i], &other, 2), 0);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            other = rows[i];
            if (lapse_fields[f].class == LAPSE_CLASS_NUMBER)
                other.number[f] = f == LAPSE_F_VALUE ? lapse_value_to_bits(7) : 777777;
            else if (lapse_fields[f].class == LAPSE_CLASS_NAME)
                other.name[f] = other.name[f] == 1 ? 2 : 1;
            else
                other.text[f] = text("another");
            assert_int_not_equal(lapse_row_compare(&rows[i], &other, 2), 0);
        }
    }
}

/* ---- check --------------------------------------------------------------------------------------------- */

static const struct lapse_check plain = { INT64_MAX, "key", 3, 2 };

/* The first fault of a row that is put into columns as it is; rule NULL: none. */
static struct lapse_fault fault_of(const struct lapse_row *row, const struct lapse_check *check)
{
    static struct lapse_flaws flaws;
    struct lapse_columns c;
    uint32_t begin = 0;
    uint8_t length[LAPSE_COLUMNS];
    memset(&c, 0, sizeof c);
    memset(&flaws, 0, sizeof flaws);
    c.fields = c.constant = LAPSE_ALL_FIELDS | LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER);
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        if (f == LAPSE_F_LINE)
            continue;
        struct lapse_text t = f == LAPSE_F_CUSTOMER ? row->customer : row->text[f];
        length[f] = (uint8_t)t.size;
        c.text[f] = (struct lapse_text_column){ t.data, &begin, &length[f], NULL };
        if (f < LAPSE_FIELDS) {
            c.number[f] = &row->number[f];
            c.name[f] = &row->name[f];
        }
    }
    lapse_columns_check(&c, 7, 1, check, &flaws);
    assert_int_equal(flaws.count, flaws.row[0].rule != NULL);
    return flaws.row[0];
}

static void expect_fault(const struct lapse_row *row, int field, const char *fragment)
{
    struct lapse_fault fault = fault_of(row, &plain);
    assert_non_null(fault.rule);
    assert_int_equal(fault.field, field);
    if (!strstr(fault.rule, fragment))
        fail_msg("\"%s\" is not in \"%s\"", fragment, fault.rule);
}

static void expect_good(const struct lapse_row *row)
{
    struct lapse_fault fault = fault_of(row, &plain);
    if (fault.rule)
        fail_msg("field %d: %s", fault.field, fault.rule);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t time, latest;
        const char *rule;
    } cases[] = { { LAPSE_TIME_MIN, INT64_MAX, NULL },
                  { LAPSE_TIME_MIN - 1, INT64_MAX, "1900" },
                  { LAPSE_TIME_MAX, INT64_MAX, NULL },
                  { LAPSE_TIME_MAX + 1, INT64_MAX, "2999" },
                  { 0, INT64_MAX, "missing time" },
                  { 1, INT64_MAX, NULL },
                  { -1, INT64_MAX, NULL },
                  { INT64_MIN, INT64_MAX, "required" },
                  { INT64_MAX, INT64_MAX, "2999" },
                  { 1000, 1000, NULL },
                  { 1001, 1000, "import.skew" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lapse_row row = row_of(LAPSE_KIND_ORDER_PLACED);
        struct lapse_check check = plain;
        row.number[LAPSE_F_TIME] = cases[i].time;
        check.latest = cases[i].latest;
        struct lapse_fault fault = fault_of(&row, &check);
        assert_int_equal(fault.rule == NULL, cases[i].rule == NULL);
        if (cases[i].rule) {
            assert_int_equal(fault.field, LAPSE_F_TIME);
            assert_non_null(strstr(fault.rule, cases[i].rule));
        }
    }
}

static void test_texts_and_numbers(void **state)
{
    (void)state;
    char big[256];
    const char *rule = NULL;
    memset(big, 'x', sizeof big);
    assert_true(lapse_text_check(big, 255, &rule));
    assert_true(lapse_text_check(NULL, 0, &rule));
    assert_false(lapse_text_check(big, 256, &rule));
    assert_non_null(strstr(rule, "255"));
    assert_false(lapse_text_check("\xC0\xAF", 2, &rule));
    assert_non_null(strstr(rule, "UTF-8"));
    assert_false(lapse_text_check("a\0b", 3, &rule));
    assert_non_null(strstr(rule, "NUL"));
    struct lapse_row row = row_of(LAPSE_KIND_ORDER_PLACED);
    row.customer.size = 0;
    expect_fault(&row, -1, "required");
    row.customer = text(" ");
    expect_good(&row);
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        row = row_of(LAPSE_KIND_ORDER_PLACED);
        if (f == LAPSE_F_AMOUNT || f == LAPSE_F_PRICE || f == LAPSE_F_QUANTITY) {
            row.number[f] = -1;
            expect_fault(&row, f, "not negative");
            row.number[f] = 0;
            expect_good(&row);
        }
    }
    row = row_of(LAPSE_KIND_MESSAGE_SENT); /* the first of many faults */
    row.number[LAPSE_F_AMOUNT] = row.number[LAPSE_F_PRICE] = -1;
    expect_fault(&row, LAPSE_F_AMOUNT, "not negative");
    row.number[LAPSE_F_TIME] = 0;
    expect_fault(&row, LAPSE_F_TIME, "missing");
    row.customer.size = 0;
    expect_fault(&row, -1, "required");
}

static void test_flaws(void **state)
{
    (void)state;
    static struct lapse_flaws flaws;
    size_t first = 0, n = 0;
    assert_true(lapse_flaws_next_good(&flaws, LAPSE_BLOCK, &first, &n));
    assert_true(first == 0 && n == LAPSE_BLOCK);
    assert_false(lapse_flaws_next_good(&flaws, LAPSE_BLOCK, &first, &n));
    lapse_flaws_add(&flaws, 0, 3, "one");
    lapse_flaws_add(&flaws, 0, 4, "two"); /* the first is kept */
    lapse_flaws_add(&flaws, 3, 5, "three");
    lapse_flaws_add(&flaws, 4, 5, "three");
    assert_int_equal(flaws.count, 3);
    assert_string_equal(flaws.row[0].rule, "one");
    first = n = 0;
    assert_true(lapse_flaws_next_good(&flaws, 6, &first, &n));
    assert_true(first == 1 && n == 2);
    assert_true(lapse_flaws_next_good(&flaws, 6, &first, &n));
    assert_true(first == 5 && n == 1);
    assert_false(lapse_flaws_next_good(&flaws, 6, &first, &n));
    lapse_flaws_clear(&flaws);
    assert_true(flaws.count == 0 && !flaws.row[0].rule && !flaws.row[4].rule);
}

static void test_needed_columns(void **state)
{
    (void)state;
    static const char *const channel[] = { "consent.imported",  "consent.requested", "consent.granted",
                                           "consent.confirmed", "consent.declined",  "message.",
                                           "endpoint.",         "suppression." };
    for (int kind = 1; kind < LAPSE_KINDS; kind++) { /* their names: test_event_kind.c */
        bool needs = false;
        for (size_t k = 0; k < sizeof channel / sizeof channel[0]; k++)
            needs |= strncmp(lapse_kind_name(kind), channel[k], strlen(channel[k])) == 0;
        struct lapse_row row = row_of(kind);
        if (needs)
            expect_fault(&row, LAPSE_F_CHANNEL, "channel");
        row.name[LAPSE_F_CHANNEL] = LAPSE_CHANNEL_SMS;
        if (kind == LAPSE_KIND_CONSENT_REQUESTED || kind == LAPSE_KIND_CONSENT_CONFIRMED)
            expect_fault(&row, LAPSE_F_REF, "ref");
        row.text[LAPSE_F_REF] = text("t");
        if (kind == LAPSE_KIND_PREFERENCE_SET) {
            expect_fault(&row, LAPSE_F_TOPIC, "topic");
            row.text[LAPSE_F_TOPIC] = text("news");
            expect_fault(&row, LAPSE_F_VALUE, "value");
            row.number[LAPSE_F_VALUE] = lapse_value_to_bits(0.5);
            expect_fault(&row, LAPSE_F_VALUE, "1 (on) or 0 (off)");
            row.number[LAPSE_F_VALUE] = 0;
        }
        expect_good(&row);
    }
}

static void hash_of(int32_t channel, const char *address, uint8_t out[32])
{
    const char *rule;
    assert_true(lapse_endpoint_hash(&plain, channel, address, strlen(address), out, &rule));
}

static void test_endpoints(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    const char *rule;
    hash_of(LAPSE_CHANNEL_EMAIL, " Ann@Example.ORG\t", a);
    lapse_hmac_sha256("key", 3, "ann@example.org", 15, b);
    assert_memory_equal(a, b, 32);
    hash_of(LAPSE_CHANNEL_PUSH, " Token ", a); /* only email loses its case */
    lapse_hmac_sha256("key", 3, "Token", 5, b);
    assert_memory_equal(a, b, 32);
    hash_of(0, " Token", a);
    assert_memory_equal(a, b, 32);
    hash_of(LAPSE_CHANNEL_EMAIL, "\xC3\x89@x", a); /* nothing but ASCII does */
    lapse_hmac_sha256("key", 3, "\xC3\x89@x", 4, b);
    assert_memory_equal(a, b, 32);
    hash_of(LAPSE_CHANNEL_EMAIL, "hash:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", a);
    for (int i = 0; i < 32; i++)
        assert_int_equal(a[i], i);
    static const char *const bad[] = { "hash:",
                                       "hash:00",
                                       "  ",
                                       "\t",
                                       "hash:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1g",
                                       "hash:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F0",
                                       "\xFF" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(lapse_endpoint_hash(&plain, LAPSE_CHANNEL_EMAIL, bad[i], strlen(bad[i]), a, &rule));
    char big[256];
    memset(big, 'x', sizeof big);
    assert_true(lapse_endpoint_hash(&plain, LAPSE_CHANNEL_EMAIL, big, 255, a, &rule));
    assert_false(lapse_endpoint_hash(&plain, LAPSE_CHANNEL_EMAIL, big, 256, a, &rule));
    assert_non_null(strstr(rule, "255"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_of_rows),
        cmocka_unit_test(test_printed_forms),
        cmocka_unit_test(test_order_of_rows),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_texts_and_numbers),
        cmocka_unit_test(test_needed_columns),
        cmocka_unit_test(test_flaws),
        cmocka_unit_test(test_endpoints),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
