/* lib/store: packing, blocks, runs and merges against plain arrays; identity; what a store refuses and survives. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <lapse.h>

#include "store/store.h"

static lapse_allocator mem;

static uint64_t seed = 1;
static uint64_t draw(uint64_t below)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static int set_up(void **state)
{
    (void)state;
    return lapse_mem_init(&mem, NULL, NULL) != LAPSE_OK;
}

/* ---- pack.c, block.c ------------------------------------------------------------------------------------- */

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
    const uint8_t *at = (const uint8_t *)b.data + 1, *end = (const uint8_t *)b.data + size;
    assert_true(lapse_unpack(&at, end, n, 0, n, out));
    assert_ptr_equal(at, end);
    assert_memory_equal(out, v, n * sizeof *v);
    at = (const uint8_t *)b.data + 1;
    assert_false(n && lapse_unpack(&at, end - 1, n, 0, n, out)); /* cut short */
    free(out);
    lapse_buffer_free(&b);
}

static void packs_every_width(void **state)
{
    (void)state;
    int64_t v[300];
    for (int width = 0; width <= 64; width++)
        for (int round = 0; round < 6; round++) {
            size_t n = round == 0 ? 1 : 1 + draw(299);
            for (size_t i = 0; i < n; i++) {
                uint64_t x = width == 64 ? draw(UINT64_MAX) : draw(UINT64_C(1) << width);
                v[i] = (int64_t)(x * (round == 2 ? 3 : 1) + (round == 3 ? (uint64_t)INT64_MIN + 1 : 0));
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

/* ---- stores ---------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], text_path[64];

static int make_folder(void **state)
{
    if (set_up(state) || !mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(text_path, sizeof text_path, "%s/a.csv", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static lapse_store *open_store(const char *at)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_open(at, NULL, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

static int32_t collect_bytes(void *user, const char *bytes, int64_t size)
{
    lapse_buffer_put(user, bytes, (size_t)size);
    return 0;
}

/* The export as text; the caller frees. */
static char *export_of(lapse_store *store)
{
    lapse_view *view;
    lapse_result *result;
    struct lapse_buffer out;
    lapse_buffer_init(&out, &mem);
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, collect_bytes, &out, NULL), LAPSE_OK);
    lapse_view_close(view); /* before its result */
    lapse_result_free(result);
    lapse_buffer_byte(&out, 0);
    return out.data;
}

static lapse_counts import_text(lapse_store *store, const char *text, const char *source, uint32_t flags, int threads)
{
    FILE *f = fopen(text_path, "w");
    lapse_import_options options;
    lapse_counts counts = { .size = sizeof counts };
    lapse_error error = { .size = sizeof error };
    fputs(text, f);
    fclose(f);
    lapse_import_options_init(&options, sizeof options);
    options.source = source;
    options.flags = flags;
    options.threads = threads;
    lapse_status status = lapse_store_import_file(store, text_path, &options, &counts, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    assert_int_equal(counts.read, counts.accepted + counts.duplicate + counts.conflict + counts.erased +
                                      counts.rejected);
    return counts;
}

static void check_counts(lapse_counts c, int64_t accepted, int64_t duplicate, int64_t conflict)
{
    assert_int_equal(c.accepted, accepted);
    assert_int_equal(c.duplicate, duplicate);
    assert_int_equal(c.conflict, conflict);
}

/* Many chunks, and threads that wait for each other: all rows come in, whoever reads and whoever parses. */
static void chunks_and_threads(void **state)
{
    enum { ROWS = 150000 };
    (void)state;
    struct lapse_buffer text;
    char line[64], *first = NULL;
    lapse_buffer_init(&text, &mem);
    lapse_buffer_text(&text, "customer,time,amount\n");
    for (int i = 0; i < ROWS; i++) {
        snprintf(line, sizeof line, "c%05d,@%d,%d.%02d\n", i * 7919 % 30011, 1700000000 + i / 3, i % 90, i % 100);
        lapse_buffer_text(&text, line);
    }
    lapse_buffer_byte(&text, 0);
    for (int threads = 1; threads <= 5; threads++)
        for (int again = 0; again < 3; again++) {
            lapse_store *store = open_store(NULL);
            check_counts(import_text(store, text.data, "x", 0, threads), ROWS, 0, 0);
            if (again == 0) {
                char *all = export_of(store);
                first = first ? first : all;
                assert_string_equal(all, first);
                if (all != first)
                    free(all);
            }
            lapse_store_close(store);
        }
    free(first);
    lapse_buffer_free(&text);
}

/* Rulings F11 to F14, X5, X6. */
static void identity_of_events(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    const char *rows = "customer,time,amount\na,2024-01-01,1\na,2024-01-01,1.00\na,2024-01-01T00:00:00Z,2\n";
    check_counts(import_text(store, rows, "x", 0, 1), 3, 0, 0);
    check_counts(import_text(store, rows, "x", 0, 1), 0, 3, 0);
    check_counts(import_text(store, rows, "y", 0, 1), 3, 0, 0);
    check_counts(import_text(store, "customer,time,amount\na,2024-01-01,1\n", "x", 0, 1), 0, 1, 0);
    check_counts(import_text(store, "customer,time,amount\na,2024-01-01,1\na,2024-01-01,1\na,2024-01-01,1\n", "x", 0,
                             1), 1, 2, 0);
    check_counts(import_text(store, "customer,time,amount\na,2024-01-01,1\n", "x", LAPSE_IMPORT_KEEP_ALL, 1), 1, 0, 0);
    /* With ids: one name space across customers, the first stays. */
    const char *ids = "customer,time,amount,event_id\na,2024-01-01,1,e1\na,2024-01-01,1,e1\nb,2024-01-01,1,e1\n"
                      "a,2024-01-01,1,e2\n";
    check_counts(import_text(store, ids, "x", 0, 1), 2, 1, 1);
    check_counts(import_text(store, ids, "z", 0, 1), 0, 3, 1);
    check_counts(import_text(store, "customer,time,amount,event_id,source\na,2024-01-01,1,e1,other\n", NULL, 0, 1), 1,
                 0, 0);
    lapse_store_close(store);
}

struct seen {
    int count;
    int64_t line;
    char row[100];
};

static int32_t see_reject(void *user, const lapse_reject *reject)
{
    struct seen *seen = user;
    seen->count++;
    seen->line = reject->line;
    snprintf(seen->row, sizeof seen->row, "%s", reject->row);
    return 0;
}

static void conflicts_are_told_with_their_rows(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    lapse_import_options options;
    struct seen seen = { 0 };
    lapse_counts counts = { .size = sizeof counts };
    FILE *f = fopen(text_path, "w");
    fputs("customer,time,reason,event_id\na,2024-01-01,x,1\nb,2024-01-01,\"two\nlines\",2\nc,2024-01-01,y,1\n", f);
    fclose(f);
    lapse_import_options_init(&options, sizeof options);
    options.on_reject = see_reject;
    options.reject_user = &seen;
    assert_int_equal(lapse_store_import_file(store, text_path, &options, &counts, NULL), LAPSE_OK);
    check_counts(counts, 2, 0, 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.line, 5);
    assert_string_equal(seen.row, "c,2024-01-01,y,1");
    lapse_store_close(store);
}

/* However events come in, the store that they make is the same (laws 1 and 2). */
static void order_and_batches_change_nothing(void **state)
{
    (void)state;
    enum { ROWS = 3000 };
    static char lines[ROWS][80], text[ROWS * 80 + 100];
    const char *header = "customer,time,kind,amount,ref,reason\n";
    for (int i = 0; i < ROWS; i++)
        snprintf(lines[i], sizeof lines[i], "c%u,2024-0%u-1%u,%s,%u,r%u,%u\n", (unsigned)draw(200),
                 (unsigned)(1 + draw(9)), (unsigned)draw(9), draw(4) ? "order.placed" : "order.refunded",
                 (unsigned)(1 + draw(50)), (unsigned)draw(20), (unsigned)(i % 7));
    char *expected = NULL;
    for (int way = 0; way < 4; way++) {
        lapse_store *store = open_store(way == 3 ? path : NULL);
        int step = way == 1 ? 100 : way == 2 ? 37 : ROWS;
        for (int i = 0; i < ROWS; i++) { /* shuffle */
            char swap[80];
            int j = i + (int)draw((uint64_t)(ROWS - i));
            memcpy(swap, lines[i], 80);
            memcpy(lines[i], lines[j], 80);
            memcpy(lines[j], swap, 80);
        }
        for (int first = 0; first < ROWS; first += step) {
            strcpy(text, header);
            for (int i = first; i < first + step && i < ROWS; i++)
                strcat(text + strlen(text), lines[i]);
            import_text(store, text, "shop", way == 0 || way == 3 ? 0 : LAPSE_IMPORT_KEEP_ALL, 1 + way);
        }
        if (way == 0 || way == 3)
            check_counts(import_text(store, text, "shop", 0, 2), 0, ROWS, 0);
        char *got = export_of(store);
        if (expected)
            assert_string_equal(got, expected);
        else
            expected = got;
        if (got != expected)
            free(got);
        lapse_store_close(store);
        if (way == 3) { /* and after it was closed and opened */
            store = open_store(path);
            got = export_of(store);
            assert_string_equal(got, expected);
            free(got);
            lapse_store_close(store);
            unlink(path);
        }
    }
    free(expected);
}

/* Rows of one customer that fill many blocks, and staged runs that a small limit cuts. */
static void long_histories_and_small_memory(void **state)
{
    (void)state;
    enum { ROWS = 120000 };
    lapse_store_options options;
    lapse_store *store;
    static int64_t time[ROWS], offsets[ROWS + 1], refs[ROWS + 1];
    static char ids[ROWS * 2], ref[ROWS * 8];
    lapse_store_options_init(&options, sizeof options);
    options.memory_limit = 16 << 20;
    assert_int_equal(lapse_store_open(NULL, &options, &store, NULL), LAPSE_OK);
    for (int i = 0; i < ROWS; i++) {
        time[i] = (1 + (int64_t)draw(1000000)) * LAPSE_SECOND;
        ids[2 * i] = 'a';
        ids[2 * i + 1] = draw(3) ? 'a' : 'b';
        offsets[i + 1] = 2 * (i + 1);
        snprintf(ref + 7 * i, 8, "%07u", (unsigned)i % 10000000u);
        refs[i + 1] = 7 * (i + 1);
    }
    lapse_batch batch = { .size = sizeof batch, .rows = ROWS, .customer = ids, .customer_offsets = offsets,
                          .time = time, .ref = ref, .ref_offsets = refs };
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(lapse_store_append(store, &batch, NULL, &counts, NULL), LAPSE_OK);
    check_counts(counts, ROWS, 0, 0);
    assert_int_equal(lapse_store_append(store, &batch, NULL, &counts, NULL), LAPSE_OK);
    check_counts(counts, 0, ROWS, 0);

    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    int64_t rows = 0, last = 0;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_history(view, "aa", &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        lapse_column column = { .size = sizeof column };
        assert_int_equal(lapse_table_column(table, 1, &column), LAPSE_OK);
        assert_in_range(column.rows, 1, 65536);
        for (int64_t i = 0; i < column.rows; i++) {
            assert_true(((const int64_t *)column.data)[i] >= last);
            last = ((const int64_t *)column.data)[i];
        }
        rows += column.rows;
        lapse_table_release(table);
    }
    int64_t expected = 0;
    for (int i = 0; i < ROWS; i++)
        expected += ids[2 * i + 1] == 'a';
    assert_int_equal(rows, expected);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void views_keep_their_moment(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = open_store(in_file ? path : NULL);
        lapse_view *views[40];
        char text[100];
        for (int i = 0; i < 40; i++) { /* enough commits for merges */
            snprintf(text, sizeof text, "customer,time\nc%02d,2024-01-01\n", i);
            import_text(store, text, NULL, 0, 1);
            assert_int_equal(lapse_view_open(store, INT64_MAX, &views[i], NULL), LAPSE_OK);
        }
        lapse_store_close(store); /* views stay usable */
        for (int i = 0; i < 40; i++) {
            lapse_result *result;
            lapse_table *table;
            assert_int_equal(lapse_view_events(views[i], &result, NULL), LAPSE_OK);
            assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
            assert_int_equal(lapse_table_rows(table), i + 1);
            lapse_table_release(table);
            lapse_result_free(result);
            lapse_view_close(views[i]);
        }
    }
    /* The last to leave takes nothing along, and leaves nothing beside the file. */
    lapse_store *store = open_store(path);
    char *all = export_of(store);
    assert_int_equal(strlen(all), strlen("customer,time,kind,source\n") +
                                      40 * strlen("c00,2024-01-01T00:00:00Z,order.placed,a.csv\n"));
    free(all);
    lapse_store_close(store);
    char beside[80];
    snprintf(beside, sizeof beside, "%s-wal", path);
    assert_int_not_equal(access(beside, F_OK), 0);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    unlink(path);
}

static void two_handles_see_each_other(void **state)
{
    (void)state;
    lapse_store *a = open_store(path), *b = open_store(path);
    import_text(a, "customer,time\na,2024-01-01\n", NULL, 0, 1);
    import_text(b, "customer,time\nb,2024-01-01\n", NULL, 0, 1);
    import_text(a, "customer,time\nc,2024-01-01\n", NULL, 0, 1);
    char *x = export_of(a), *y = export_of(b);
    assert_string_equal(x, y);
    assert_non_null(strstr(x, "\nc,"));
    free(x);
    free(y);
    lapse_store_close(a);
    lapse_store_close(b);
    unlink(path);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------ */

static lapse_status try_open(const char *at, uint32_t flags, int32_t digits, const char *currency, lapse_error *error)
{
    lapse_store_options options;
    lapse_store *store;
    *error = (lapse_error){ .size = sizeof *error };
    lapse_store_options_init(&options, sizeof options);
    options.flags = flags;
    options.digits = digits;
    options.currency = currency;
    lapse_status status = lapse_store_open(at, &options, &store, error);
    assert_true(status == LAPSE_OK ? store != NULL : store == NULL);
    assert_true(status == LAPSE_OK || strlen(error->message) > 0);
    lapse_store_close(store);
    return status;
}

static void write_file(const char *at, const char *bytes, size_t n)
{
    FILE *f = fopen(at, "w");
    fwrite(bytes, 1, n, f);
    fclose(f);
}

static void files_that_are_no_store(void **state)
{
    (void)state;
    lapse_error error;
    assert_int_equal(try_open(path, LAPSE_STORE_READ_ONLY, -1, NULL, &error), LAPSE_IO);
    assert_int_equal(try_open(path, LAPSE_STORE_MUST_EXIST, -1, NULL, &error), LAPSE_IO);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing was made */
    assert_int_equal(try_open(folder, 0, -1, NULL, &error), LAPSE_IO);
    write_file(path, "customer,time\n", 14);
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_DAMAGED);
    assert_int_equal(try_open(path, LAPSE_STORE_MUST_BE_NEW, -1, NULL, &error), LAPSE_BAD_INPUT);
    unlink(path);
    write_file(path, "c", 1); /* to SQLite an empty file; it must not be written over */
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_DAMAGED);
    assert_int_equal(try_open(path, LAPSE_STORE_READ_ONLY, -1, NULL, &error), LAPSE_DAMAGED);
    unlink(path);

    assert_int_equal(try_open(path, 0, 3, "KWD", &error), LAPSE_OK);
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_OK);
    assert_int_equal(try_open(path, 0, 3, "KWD", &error), LAPSE_OK);
    assert_int_equal(try_open(path, 0, 2, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(try_open(path, 0, -1, "EUR", &error), LAPSE_BAD_INPUT);
    assert_int_equal(try_open(path, 0, -1, "eur", &error), LAPSE_INVALID);
    assert_int_equal(try_open(path, 0, 7, NULL, &error), LAPSE_INVALID);
    assert_int_equal(try_open(path, 1u << 20, -1, NULL, &error), LAPSE_INVALID);

    /* user_version stands at byte 60 of the file, big-endian: a newer format */
    FILE *f = fopen(path, "r+");
    fseek(f, 63, SEEK_SET);
    fputc(LAPSE_FORMAT + 1, f);
    fclose(f);
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_UNSUPPORTED);
    unlink(path);
}

static void read_only_stores(void **state)
{
    (void)state;
    lapse_store *store = open_store(path);
    import_text(store, "customer,time\na,2024-01-01\n", NULL, 0, 1);
    char *before = export_of(store), beside[80];
    lapse_store_close(store);
    lapse_store_options options;
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY;
    assert_int_equal(lapse_store_open(path, &options, &store, NULL), LAPSE_OK);
    int64_t time = LAPSE_DAY, offsets[] = { 0, 1 };
    lapse_batch batch = { .size = sizeof batch, .rows = 1, .customer = "x", .customer_offsets = offsets,
                          .time = &time };
    assert_int_equal(lapse_store_append(store, &batch, NULL, NULL, NULL), LAPSE_READ_ONLY);
    char *after = export_of(store);
    assert_string_equal(before, after);
    free(before);
    free(after);
    lapse_store_close(store);
    snprintf(beside, sizeof beside, "%s-shm", path);
    assert_int_not_equal(access(beside, F_OK), 0);
    unlink(path);
}

/* Every byte of a block is covered: an answer refuses and names the block. */
static void damage_is_found(void **state)
{
    (void)state;
    lapse_store *store = open_store(path);
    char text[4000] = "customer,time,reason\n";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), 60, "c%03d,2024-01-01,some-reason-%d\n", i, i * 7919);
    import_text(store, text, NULL, 0, 1);
    lapse_store_close(store);
    FILE *f = fopen(path, "r+");
    char bytes[65536];
    size_t n = fread(bytes, 1, sizeof bytes, f), at = 0;
    while (at + 17 < n && memcmp(bytes + at, "some-reason-15838", 17) != 0)
        at++;
    assert_true(at + 17 < n);
    fseek(f, (long)at, SEEK_SET);
    fputc('S', f);
    fclose(f);
    store = open_store(path);
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    lapse_status status = lapse_view_events(view, &result, &error);
    if (status == LAPSE_OK) {
        status = lapse_result_collect(result, &table, &error);
        lapse_result_free(result);
    }
    assert_int_equal(status, LAPSE_DAMAGED);
    assert_non_null(strstr(error.message, "block"));
    lapse_view_close(view);
    lapse_store_close(store);
    unlink(path);
}

static lapse_status append_one(lapse_store *store, const char *customer, int64_t time, uint32_t flags, int32_t *outcome,
                               lapse_error *error)
{
    lapse_append_options options;
    int64_t offsets[] = { 0, (int64_t)strlen(customer) };
    lapse_append_options_init(&options, sizeof options);
    options.flags = flags;
    options.outcomes = outcome;
    options.received_at = 100 * LAPSE_DAY;
    lapse_batch batch = { .size = sizeof batch, .rows = 1, .customer = customer, .customer_offsets = offsets,
                          .time = &time };
    return lapse_store_append(store, &batch, &options, NULL, error);
}

static void appends_tell_their_outcome(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    lapse_error error = { .size = sizeof error };
    int32_t outcome = -1;
    assert_int_equal(append_one(store, "a", LAPSE_DAY, 0, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_ACCEPTED);
    assert_int_equal(append_one(store, "a", LAPSE_DAY, 0, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_DUPLICATE);
    assert_int_equal(append_one(store, "a", LAPSE_DAY, LAPSE_IMPORT_KEEP_ALL, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_ACCEPTED);
    /* Rulings T1 and T4: no time 0, none later than the host's clock and five minutes. */
    assert_int_equal(append_one(store, "a", 0, 0, &outcome, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.row, 0);
    assert_string_equal(error.column, "time");
    int64_t latest = 100 * LAPSE_DAY + 300 * LAPSE_SECOND;
    assert_int_equal(append_one(store, "a", latest, 0, &outcome, &error), LAPSE_OK);
    assert_int_equal(append_one(store, "a", latest + 1, 0, &outcome, &error), LAPSE_BAD_INPUT);
    assert_int_equal(append_one(store, "a", latest + 1, LAPSE_IMPORT_SKIP_BAD_ROWS, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_REJECTED);
    assert_int_equal(append_one(store, "b", LAPSE_DAY, LAPSE_IMPORT_DRY_RUN, &outcome, &error), LAPSE_OK);
    char *all = export_of(store);
    assert_null(strstr(all, "\nb,"));
    free(all);
    lapse_store_close(store);
}

static int32_t stop(void *user, int64_t done, int64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return 1;
}

static void cancelled_imports_leave_nothing(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    lapse_import_options options;
    lapse_import_options_init(&options, sizeof options);
    options.on_progress = stop;
    write_file(text_path, "customer,time\na,2024-01-01\n", 27);
    assert_int_equal(lapse_store_import_file(store, text_path, &options, NULL, NULL), LAPSE_CANCELLED);
    char *all = export_of(store);
    assert_string_equal(all, "customer,time,kind\n");
    free(all);
    lapse_store_close(store);
}

static void handles_do_not_survive_fork(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    pid_t child = fork();
    if (child == 0) {
        int64_t when;
        _exit(lapse_store_default_instant(store, &when, NULL) == LAPSE_FORKED ? 0 : 1);
    }
    int code = -1;
    waitpid(child, &code, 0);
    assert_int_equal(code, 0);
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_every_width),
        cmocka_unit_test(packs_dates_as_days),
        cmocka_unit_test(blocks_read_back),
        cmocka_unit_test(damaged_blocks_are_safe),
        cmocka_unit_test(identity_of_events),
        cmocka_unit_test(conflicts_are_told_with_their_rows),
        cmocka_unit_test(order_and_batches_change_nothing),
        cmocka_unit_test(long_histories_and_small_memory),
        cmocka_unit_test(views_keep_their_moment),
        cmocka_unit_test(two_handles_see_each_other),
        cmocka_unit_test(files_that_are_no_store),
        cmocka_unit_test(read_only_stores),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(appends_tell_their_outcome),
        cmocka_unit_test(cancelled_imports_leave_nothing),
        cmocka_unit_test(chunks_and_threads),
        cmocka_unit_test(handles_do_not_survive_fork),
    };
    return cmocka_run_group_tests_name("store", tests, make_folder, remove_folder);
}
