/* lib/store, packing and blocks: against plain arrays, of every width and of dates; damaged blocks are refused or
 * harmless. */
#define _POSIX_C_SOURCE 200809L

#include "stores.h"

/* A packed column as pack.c describes it, value by value and bit by bit. Returns its size. */
static size_t plain_pack(uint8_t *out, const int64_t *v, size_t n)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    size_t there = 0, bit = 0, width = 0;
    uint64_t step = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i] != LAPSE_MISSING) {
            least = v[i] < least ? v[i] : least;
            most = v[i] > most ? v[i] : most;
            there++;
        }
    if (there == 0)
        least = most = 0;
    for (size_t i = 0; i < n; i++)
        for (uint64_t x = v[i] == LAPSE_MISSING ? 0 : (uint64_t)v[i] - (uint64_t)least; x;) { /* Euclid's algorithm */
            uint64_t rest = step % x;
            step = x;
            x = rest;
        }
    step = step ? step : 1;
    while (width < 64 && ((uint64_t)most - (uint64_t)least) / step >> width)
        width++;
    memset(out, 0, 18 + n / 8 + 1 + n * 8);
    out[0] = there < n;
    out[1] = (uint8_t)width;
    lapse_store8(out + 2, (uint64_t)least);
    lapse_store8(out + 10, step);
    out += 18;
    for (size_t i = 0; i < n && there < n; i++)
        out[i / 8] |= (uint8_t)((v[i] != LAPSE_MISSING) << i % 8);
    out += there < n ? (n + 7) / 8 : 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = v[i] == LAPSE_MISSING ? 0 : ((uint64_t)v[i] - (uint64_t)least) / step;
        for (size_t k = 0; k < width; k++, bit++)
            out[bit / 8] |= (uint8_t)((x >> k & 1) << bit % 8);
    }
    return 18 + (there < n ? (n + 7) / 8 : 0) + (bit + 7) / 8;
}

static void check_pack(const int64_t *v, size_t n)
{
    struct lapse_buffer b;
    lapse_buffer_init(&b, &mem);
    lapse_buffer_byte(&b, 7); /* not at the beginning */
    lapse_pack(&b, v, n);
    size_t size = b.size;
    lapse_buffer_put(&b, "\0\0\0\0\0\0\0\0", LAPSE_PACK_SLACK);
    assert_false(b.failed);
    int64_t *out = malloc((n + 1) * sizeof *out);
    uint8_t *plain = malloc(32 + 9 * n);
    assert_int_equal(plain_pack(plain, v, n), size - 1);
    assert_memory_equal(b.data + 1, plain, size - 1);
    const uint8_t *at = (const uint8_t *)b.data + 1, *end = (const uint8_t *)b.data + size;
    assert_true(lapse_unpack(&at, end, n, 0, n, out));
    assert_ptr_equal(at, end);
    assert_memory_equal(out, v, n * sizeof *v);
    size_t first = draw(n), count = draw(n - first + 1);
    at = (const uint8_t *)b.data + 1;
    memset(out, 0, n * sizeof *out);
    assert_true(lapse_unpack(&at, end, n, first, count, out)); /* some of them, and no others */
    assert_memory_equal(out + first, v + first, count * sizeof *v);
    for (size_t i = 0; i < n; i++)
        assert_true((i >= first && i < first + count) || out[i] == 0);
    at = (const uint8_t *)b.data + 1;
    assert_false(n && lapse_unpack(&at, end - 1, n, 0, n, out)); /* cut short */
    free(out);
    free(plain);
    lapse_buffer_free(&b);
}

static void packs_every_width(void **state)
{
    (void)state;
    int64_t v[300];
    for (int width = 0; width <= 64; width++)
        for (int round = 0; round < 12; round++) {
            size_t n = round == 0 ? 1 : 1 + draw(299);
            const uint64_t unit = draw(2) ? 1 : UINT64_C(1) << draw(20) | UINT64_C(1) << draw(8);
            for (size_t i = 0; i < n; i++) {
                uint64_t x = width == 64 ? draw(UINT64_MAX) : draw(UINT64_C(1) << width);
                v[i] = (int64_t)(x * (round == 2 ? 3 : unit) + (round == 3 ? (uint64_t)INT64_MIN + 1 : 0));
                if (v[i] == LAPSE_MISSING)
                    v[i] = 0;
                if (round >= 4 && draw(3) == 0)
                    v[i] = LAPSE_MISSING;
            }
            check_pack(v, n);
        }
    const int64_t extremes[] = { INT64_MIN + 1, INT64_MAX, 0, -1, 1, LAPSE_MISSING };
    check_pack(extremes, 6);
    const int64_t nothing[] = { LAPSE_MISSING, LAPSE_MISSING };
    check_pack(nothing, 2);
}

static void packs_dates_as_days(void **state)
{
    (void)state;
    int64_t v[1000];
    struct lapse_buffer b;
    lapse_buffer_init(&b, &mem);
    for (size_t i = 0; i < 1000; i++)
        v[i] = INT64_C(19000) * LAPSE_DAY + (int64_t)draw(1000) * LAPSE_DAY;
    lapse_pack(&b, v, 1000);
    assert_in_range(b.size, 18 + 1000, 18 + 1250); /* ten bits each */
    lapse_buffer_free(&b);
}

/* Rows of n random events with ids k0, k1 ... of which each has some. */
static void random_block(struct lapse_rows *rows, struct lapse_buffer *ids, uint32_t *begin, uint32_t *start,
                         uint8_t *length, uint32_t *keys, size_t n)
{
    *keys = 0;
    lapse_rows_init(rows, &mem);
    lapse_buffer_init(ids, &mem);
    for (size_t i = 0; i < n; i++) {
        int64_t time = (int64_t)(1 + i) * LAPSE_SECOND, amount = draw(4) ? (int64_t)draw(100000) : LAPSE_MISSING;
        uint8_t kind = (uint8_t)(1 + draw(LAPSE_KINDS - 1));
        char text[300];
        uint32_t at[2] = { 0, 0 };
        uint8_t size = (uint8_t)snprintf(text, sizeof text, "%s%u", draw(5) ? "ref" : "", (unsigned)draw(n));
        struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_AMOUNT) |
                                             LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_REF) |
                                             LAPSE_FIELD_BIT(LAPSE_F_SOURCE) };
        c.number[LAPSE_F_TIME] = &time;
        c.number[LAPSE_F_AMOUNT] = &amount;
        c.name[LAPSE_F_KIND] = &kind;
        c.text[LAPSE_F_REF] = (struct lapse_text_column){ text, at, &size, NULL };
        c.text[LAPSE_F_SOURCE] = (struct lapse_text_column){ "shop", at, (const uint8_t *)"\4", NULL };
        assert_true(lapse_rows_gather(rows, &c, UINT32_MAX, NULL, 0, 1));
        if (i == 0 || draw(3) == 0) {
            begin[*keys] = (uint32_t)ids->size;
            start[*keys] = (uint32_t)i;
            length[*keys] = (uint8_t)snprintf(text, sizeof text, "customer%06u", (unsigned)i);
            lapse_buffer_put(ids, text, length[(*keys)++]);
        }
    }
    start[*keys] = (uint32_t)n;
}

static void blocks_read_back(void **state)
{
    (void)state;
    static uint32_t begin[LAPSE_BLOCK_ROWS + 1], start[LAPSE_BLOCK_ROWS + 1];
    static uint8_t length[LAPSE_BLOCK_ROWS];
    static int64_t scratch[LAPSE_ENCODE_SCRATCH];
    const size_t sizes[] = { 1, 2, 63, 1000, LAPSE_BLOCK_ROWS };
    struct lapse_block block = { .mem = &mem };
    lapse_buffer_init(&block.bytes, &mem);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct lapse_rows rows;
        struct lapse_buffer ids;
        struct lapse_columns c;
        uint32_t keys;
        random_block(&rows, &ids, begin, start, length, &keys, sizes[s]);
        struct lapse_keys k = { keys, ids.data, begin, start, length };
        block.bytes.size = 0;
        assert_true(lapse_block_encode(&block.bytes, &k, &rows, scratch));
        assert_true(lapse_block_decode(&block, UINT32_MAX));
        assert_int_equal(block.rows, sizes[s]);
        assert_int_equal(block.keys.count, keys);
        assert_int_equal(block.fields, rows.fields);
        lapse_rows_columns(&rows, &c);
        for (uint32_t i = 0; i < keys; i++) {
            struct lapse_text a = lapse_keys_text(&k, i), b = lapse_keys_text(&block.keys, i);
            assert_int_equal(a.size, b.size);
            assert_memory_equal(a.data, b.data, a.size);
            assert_int_equal(start[i], block.keys.start[i]);
        }
        for (size_t i = 0; i < sizes[s]; i++)
            assert_int_equal(lapse_columns_compare(&c, i, &block.columns, i, 2), 0);
        assert_true(lapse_block_decode(&block, LAPSE_FIELD_BIT(LAPSE_F_TIME))); /* only what is asked for */
        assert_null(block.columns.name[LAPSE_F_KIND]);
        lapse_rows_free(&rows);
        lapse_buffer_free(&ids);
    }
    lapse_block_free(&block);
}

static void ranges_are_found(void **state)
{
    (void)state;
    int64_t v[40], least, most;
    for (size_t n = 0; n <= 40; n++)
        for (size_t low = 0; low < n; low++) {
            size_t high = (low + n / 2) % n;
            for (size_t i = 0; i < n; i++)
                v[i] = (int64_t)draw(1000) - 500;
            v[low] = draw(2) ? LAPSE_MISSING : -501;
            v[high] = n == 1 ? v[low] : 500;
            lapse_range(v, n, &least, &most);
            assert_true(least == v[low] && most == v[high]);
        }
    lapse_range(v, 0, &least, &most);
    assert_true(least == INT64_MAX && most == INT64_MIN);
}

/* Where texts lie is not seen in a block: once for all rows, once for each, or both. */
static void places_of_texts_are_not_seen(void **state)
{
    (void)state;
    enum { ROWS = 300 };
    static int64_t time[ROWS], scratch[LAPSE_ENCODE_SCRATCH];
    static const uint32_t at[ROWS], start[] = { 0, ROWS };
    static uint8_t kind[ROWS], length[ROWS];
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) |
                                         LAPSE_FIELD_BIT(LAPSE_F_SOURCE),
                               .constant = LAPSE_FIELD_BIT(LAPSE_F_SOURCE) };
    c.number[LAPSE_F_TIME] = time;
    c.name[LAPSE_F_KIND] = kind;
    c.text[LAPSE_F_SOURCE] = (struct lapse_text_column){ "shop", at, length, NULL };
    for (size_t i = 0; i < ROWS; i++) {
        time[i] = (int64_t)i;
        kind[i] = LAPSE_KIND_ORDER_PLACED;
        length[i] = 4;
    }
    const struct lapse_keys keys = { 1, "ann", at, start, (const uint8_t *)"\3" };
    struct lapse_buffer first, other;
    lapse_buffer_init(&first, &mem);
    lapse_buffer_init(&other, &mem);
    for (size_t each = ROWS; each > 0; each /= 3) { /* rows that come together share a place */
        struct lapse_rows rows;
        lapse_rows_init(&rows, &mem);
        for (size_t i = 0; i < ROWS; i += each)
            assert_true(lapse_rows_gather(&rows, &c, UINT32_MAX, NULL, i, each < ROWS - i ? each : ROWS - i));
        assert_int_equal(lapse_texts_alike(&rows, LAPSE_F_SOURCE), each == ROWS);
        assert_true(lapse_texts_alike(&rows, LAPSE_F_REF)); /* which is not there */
        struct lapse_buffer *out = each == ROWS ? &first : &other;
        out->size = 0;
        assert_true(lapse_block_encode(out, &keys, &rows, scratch));
        assert_int_equal(out->size, first.size);
        assert_memory_equal(out->data, first.data, first.size);
        rows.text[LAPSE_F_SOURCE].length[ROWS - 1] = 3; /* the same place, but less of it */
        assert_false(lapse_texts_alike(&rows, LAPSE_F_SOURCE));
        lapse_rows_free(&rows);
    }
    lapse_buffer_free(&first);
    lapse_buffer_free(&other);
}

/* Without its checksum, to reach the decoder: any bytes must be refused or decoded, never more. */
static void damaged_blocks_are_safe(void **state)
{
    (void)state;
    static uint32_t begin[LAPSE_BLOCK_ROWS + 1], start[LAPSE_BLOCK_ROWS + 1];
    static uint8_t length[LAPSE_BLOCK_ROWS];
    static int64_t scratch[LAPSE_ENCODE_SCRATCH];
    struct lapse_rows rows;
    struct lapse_buffer ids, good;
    uint32_t keys;
    random_block(&rows, &ids, begin, start, length, &keys, 200);
    struct lapse_keys k = { keys, ids.data, begin, start, length };
    lapse_buffer_init(&good, &mem);
    assert_true(lapse_block_encode(&good, &k, &rows, scratch));
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        struct lapse_block block = { .mem = &mem };
        lapse_buffer_init(&block.bytes, &mem);
        lapse_buffer_put(&block.bytes, good.data, round % 4 ? good.size : draw(good.size + 1));
        for (uint64_t flips = 1 + draw(4); flips && block.bytes.size; flips--)
            block.bytes.data[draw(draw(2) ? block.bytes.size : (block.bytes.size < 100 ? block.bytes.size : 100))] ^=
                (char)(1 << draw(8));
        refused += !lapse_block_decode(&block, UINT32_MAX);
        lapse_block_free(&block);
    }
    assert_in_range(refused, 5000, 20000);
    lapse_rows_free(&rows);
    lapse_buffer_free(&ids);
    lapse_buffer_free(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_every_width),
        cmocka_unit_test(packs_dates_as_days),
        cmocka_unit_test(ranges_are_found),
        cmocka_unit_test(blocks_read_back),
        cmocka_unit_test(places_of_texts_are_not_seen),
        cmocka_unit_test(damaged_blocks_are_safe),
    };
    return cmocka_run_group_tests_name("store_blocks", tests, make_folder, remove_folder);
}
