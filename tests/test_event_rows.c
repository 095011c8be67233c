/* lib/event, rows: columns of numbers that begin narrow hold the same as wide ones, whatever comes: times with parts of a
 * second or before 1970, numbers beyond 32 bits, columns that are not there at first or not any more. */
#include "help.h"

#include "event/event.h"

static lapse_allocator mem;
static uint64_t seed = 1;

static uint64_t draw(uint64_t below)
{
    return random64(&seed) % below;
}

static int open_memory(void **state)
{
    (void)state;
    return lapse_mem_init(&mem, NULL, NULL) != LAPSE_OK;
}

enum { MOST = 400 };

static const int fields[] = { LAPSE_F_TIME, LAPSE_F_AMOUNT, LAPSE_F_QUANTITY, LAPSE_F_LINE };
enum { FIELDS = sizeof fields / sizeof *fields };

static void check_same(const struct lapse_rows *compact, const struct lapse_rows *wide)
{
    struct lapse_columns a, b;
    lapse_rows_columns(compact, &a);
    lapse_rows_columns(wide, &b);
    assert_int_equal(compact->count, wide->count);
    assert_int_equal(a.fields, b.fields);
    assert_int_equal(b.narrow, 0);
    for (size_t i = 0; i < wide->count; i++) {
        struct lapse_row x, y;
        for (int k = 0; k < FIELDS; k++)
            assert_int_equal(lapse_columns_number(&a, fields[k], i), lapse_columns_number(&b, fields[k], i));
        lapse_columns_row(&a, i, (struct lapse_text){ "", 0 }, &x);
        lapse_columns_row(&b, i, (struct lapse_text){ "", 0 }, &y);
        assert_int_equal(lapse_row_compare(&x, &y, 2), 0);
    }
}

/* ---- one value ------------------------------------------------------------------------------------------- */

static bool fits(int field, int64_t value)
{
    struct lapse_rows rows;
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(field) }, out;
    c.number[field] = &value;
    lapse_rows_init(&rows, &mem);
    rows.compact = true;
    assert_true(lapse_rows_gather(&rows, &c, UINT32_MAX, NULL, 0, 1));
    lapse_rows_columns(&rows, &out);
    assert_int_equal(lapse_columns_number(&out, field, 0), value);
    bool narrow = rows.narrow >> field & 1;
    lapse_rows_free(&rows);
    return narrow;
}

static void whole_seconds_fit_and_nothing_else(void **state)
{
    (void)state;
    const int64_t most = (int64_t)UINT32_MAX * LAPSE_SECOND;
    assert_true(fits(LAPSE_F_TIME, 0));
    assert_true(fits(LAPSE_F_TIME, most));
    assert_false(fits(LAPSE_F_TIME, most + LAPSE_SECOND));
    assert_false(fits(LAPSE_F_TIME, -LAPSE_SECOND));
    assert_false(fits(LAPSE_F_TIME, LAPSE_MISSING));
    assert_false(fits(LAPSE_F_TIME, INT64_MAX));
    for (int round = 0; round < 20000; round++) {
        int64_t seconds = (int64_t)draw((uint64_t)UINT32_MAX + 1), part = (int64_t)draw(LAPSE_SECOND);
        assert_true(fits(LAPSE_F_TIME, seconds * LAPSE_SECOND));
        assert_int_equal(fits(LAPSE_F_TIME, seconds * LAPSE_SECOND + part), part == 0);
        assert_int_equal(fits(LAPSE_F_TIME, -seconds * LAPSE_SECOND), seconds == 0);
    }
    assert_true(fits(LAPSE_F_AMOUNT, UINT32_MAX));
    assert_false(fits(LAPSE_F_AMOUNT, (int64_t)UINT32_MAX + 1));
    assert_false(fits(LAPSE_F_AMOUNT, -1));
    assert_false(fits(LAPSE_F_AMOUNT, LAPSE_MISSING));
}

/* ---- many ------------------------------------------------------------------------------------------------- */

static int64_t any_number(int field, int oddness)
{
    int64_t unit = lapse_narrow_unit(field), v = (int64_t)draw((uint64_t)UINT32_MAX + 1) * unit;
    if (oddness == 0 || draw((uint64_t)oddness * 100) != 0)
        return v;
    const int64_t odd[] = { v + 1, -v, v << 8, LAPSE_MISSING, INT64_MAX };
    return odd[draw(sizeof odd / sizeof *odd)];
}

struct source {
    int64_t number[FIELDS][MOST];
    uint8_t kind[MOST];
    uint32_t order[MOST];
    struct lapse_columns columns;
};

/* n rows with some of the fields, of which some are constant. */
static void make(struct source *s, size_t n, int oddness, uint32_t wanted)
{
    memset(&s->columns, 0, sizeof s->columns);
    s->columns.fields = LAPSE_FIELD_BIT(LAPSE_F_KIND);
    s->columns.name[LAPSE_F_KIND] = s->kind;
    for (size_t i = 0; i < n; i++) {
        s->kind[i] = (uint8_t)(1 + draw(3));
        s->order[i] = (uint32_t)draw(n);
    }
    for (int k = 0; k < FIELDS; k++) {
        if (!(wanted >> k & 1))
            continue;
        s->columns.fields |= LAPSE_FIELD_BIT(fields[k]);
        s->columns.number[fields[k]] = s->number[k];
        if (draw(8) == 0)
            s->columns.constant |= LAPSE_FIELD_BIT(fields[k]);
        for (size_t i = 0; i < n; i++)
            s->number[k][i] = any_number(fields[k], oddness);
    }
}

static void shuffle(uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)draw(i);
        uint32_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

/* From columns, some narrow, back to wide ones, in stretches. */
static void check_stretches(const struct lapse_rows *compact, const struct lapse_rows *wide)
{
    struct lapse_rows a, b;
    struct lapse_columns from_a, from_b;
    struct lapse_stretch some_a[5], some_b[5];
    lapse_rows_init(&a, &mem);
    lapse_rows_init(&b, &mem);
    lapse_rows_columns(compact, &from_a);
    lapse_rows_columns(wide, &from_b);
    for (int i = 0; i < 5; i++) {
        size_t first = (size_t)draw(wide->count), n = (size_t)draw(wide->count - first + 1);
        some_a[i] = (struct lapse_stretch){ &from_a, first, n };
        some_b[i] = (struct lapse_stretch){ &from_b, first, n };
    }
    for (int twice = 0; twice < 2; twice++) {
        assert_true(lapse_rows_gather_stretches(&a, some_a, 5, UINT32_MAX, NULL));
        assert_true(lapse_rows_gather_stretches(&b, some_b, 5, UINT32_MAX, NULL));
    }
    assert_int_equal(a.narrow, 0);
    check_same(&a, &b);
    lapse_rows_free(&a);
    lapse_rows_free(&b);
}

/* The same rows in another order, to wide columns and to such as are narrow themselves. */
static void check_order(const struct lapse_rows *compact, const struct lapse_rows *wide, const uint32_t *order)
{
    struct lapse_columns from_a, from_b;
    lapse_rows_columns(compact, &from_a);
    lapse_rows_columns(wide, &from_b);
    for (int narrow = 0; narrow < 2; narrow++) {
        struct lapse_rows a, b;
        lapse_rows_init(&a, &mem);
        lapse_rows_init(&b, &mem);
        a.compact = narrow;
        assert_true(lapse_rows_gather(&a, &from_b, UINT32_MAX, order, 0, 1));
        assert_true(lapse_rows_gather(&a, &from_a, UINT32_MAX, order, 0, wide->count));
        assert_true(lapse_rows_gather(&b, &from_b, UINT32_MAX, order, 0, 1));
        assert_true(lapse_rows_gather(&b, &from_b, UINT32_MAX, order, 0, wide->count));
        check_same(&a, &b);
        lapse_rows_free(&a);
        lapse_rows_free(&b);
    }
}

static void compact_rows_hold_the_same(void **state)
{
    (void)state;
    static struct source s;
    static uint32_t order[20 * MOST];
    int stayed = 0, widened = 0;
    for (int round = 0; round < 400; round++) {
        struct lapse_rows compact, wide;
        struct lapse_buffer scratch;
        const int oddness = round % 4;
        const uint32_t usual = 1 + (uint32_t)draw((1 << FIELDS) - 1);
        lapse_rows_init(&compact, &mem);
        lapse_rows_init(&wide, &mem);
        lapse_buffer_init(&scratch, &mem);
        compact.compact = true;
        for (int again = 0; again < 2; again++) { /* what is cleared is used once more */
            if (draw(2))
                assert_true(lapse_rows_reserve(&compact, (size_t)draw(2 * MOST)));
            for (uint64_t batches = 1 + draw(12); batches > 0; batches--) {
                size_t n = 1 + (size_t)draw(MOST - 1);
                make(&s, n, oddness, draw(20) ? usual : (uint32_t)draw(1 << FIELDS));
                const uint32_t *in = draw(2) ? s.order : NULL;
                assert_true(lapse_rows_gather(&compact, &s.columns, UINT32_MAX, in, 0, n));
                assert_true(lapse_rows_gather(&wide, &s.columns, UINT32_MAX, in, 0, n));
                if (compact.narrow)
                    stayed++;
                else
                    widened++;
            }
            check_same(&compact, &wide);
            assert_in_range(lapse_rows_bytes(&compact), wide.count, lapse_rows_bytes(&wide));
            shuffle(order, wide.count);
            assert_true(lapse_rows_reorder(&compact, order, &scratch));
            assert_true(lapse_rows_reorder(&wide, order, &scratch));
            check_same(&compact, &wide);
            check_stretches(&compact, &wide);
            check_order(&compact, &wide, order);
            lapse_rows_clear(&compact);
            lapse_rows_clear(&wide);
        }
        lapse_buffer_free(&scratch);
        lapse_rows_free(&compact);
        lapse_rows_free(&wide);
    }
    assert_true(stayed > 500 && widened > 500);
}

/* Each allocation fails once, also those of a column that becomes wide because of what comes, or of what does not. */
static void failures_are_told(void **state)
{
    (void)state;
    static struct heap heap;
    const lapse_allocator failing = heap_hooks(&heap);
    static const int64_t times[] = { LAPSE_SECOND, 2 * LAPSE_SECOND }, odd[] = { 1, 2 };
    const uint32_t time = LAPSE_FIELD_BIT(LAPSE_F_TIME), amount = LAPSE_FIELD_BIT(LAPSE_F_AMOUNT);
    struct lapse_columns whole = { .fields = time | amount }, parts = whole, without = { .fields = amount };
    whole.number[LAPSE_F_TIME] = whole.number[LAPSE_F_AMOUNT] = times;
    parts.number[LAPSE_F_TIME] = parts.number[LAPSE_F_AMOUNT] = odd;
    without.number[LAPSE_F_AMOUNT] = times;
    const struct lapse_columns *second[] = { &parts, &without, &whole };
    for (int k = 0; k < 3; k++) {
        bool done = false;
        for (long n = 1; !done; n++) {
            struct lapse_rows rows;
            lapse_rows_init(&rows, &failing);
            rows.compact = true;
            heap_fail(&heap, n, false);
            done = lapse_rows_gather(&rows, &whole, UINT32_MAX, NULL, 0, 2) &&
                   lapse_rows_gather(&rows, second[k], UINT32_MAX, NULL, 0, 2);
            assert_int_equal(heap_stop_failing(&heap), !done);
            if (done)
                assert_int_equal(rows.narrow, k == 2 ? time | amount : amount);
            assert_in_range(n, 1, 10);
            lapse_rows_free(&rows);
            assert_int_equal(heap.live, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_seconds_fit_and_nothing_else),
        cmocka_unit_test(compact_rows_hold_the_same),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests_name("event_rows", tests, open_memory, NULL);
}
