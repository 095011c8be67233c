/* Blocks and run directories are safe to read whatever they hold, also where their checksums are right. Input: a byte
 * that chooses, then
 *   a block: decoded, encoded, decoded again: the same, and the same bytes from then on;
 *   a directory, to which its checksum is put: loaded and saved again: the same;
 *   directory entries and blocks with checksums, published as a store: read, asked, imported to. */
#include "fuzz.h"

#include "store/store.h"

static lapse_allocator mem;

static void put_bytes(struct lapse_block *b, const void *data, size_t n)
{
    /* Of its exact size, so that a byte too many is seen: no lapse_buffer_put(). */
    lapse_mem_free(&mem, b->bytes.data);
    b->bytes.data = lapse_mem_alloc(&mem, n ? n : 1);
    CHECK(b->bytes.data);
    if (n)
        memcpy(b->bytes.data, data, n);
    b->bytes.size = b->bytes.capacity = n;
}

static void open_block(struct lapse_block *b)
{
    memset(b, 0, sizeof *b);
    b->mem = &mem;
    lapse_buffer_init(&b->bytes, &mem);
}

static bool same_text(struct lapse_text a, struct lapse_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void same_blocks(const struct lapse_block *a, const struct lapse_block *b)
{
    CHECK(a->rows == b->rows && a->keys.count == b->keys.count);
    for (uint32_t k = 0; k < a->keys.count; k++)
        CHECK(same_text(lapse_keys_text(&a->keys, k), lapse_keys_text(&b->keys, k)) &&
              a->keys.start[k] == b->keys.start[k]);
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        for (uint32_t i = 0; i < a->rows; i++)
            if (lapse_column_class(f) == LAPSE_CLASS_NUMBER)
                CHECK(lapse_columns_number(&a->columns, f, i) == lapse_columns_number(&b->columns, f, i));
            else if (lapse_column_class(f) == LAPSE_CLASS_NAME)
                CHECK(lapse_columns_name(&a->columns, f, i) == lapse_columns_name(&b->columns, f, i));
            else
                CHECK(same_text(lapse_columns_text(&a->columns, f, i), lapse_columns_text(&b->columns, f, i)));
}

static void encode(struct lapse_buffer *out, const struct lapse_block *b)
{
    static int64_t scratch[LAPSE_ENCODE_SCRATCH];
    struct lapse_rows rows;
    lapse_rows_init(&rows, &mem);
    CHECK(lapse_rows_gather(&rows, &b->columns, UINT32_MAX, NULL, 0, b->rows));
    lapse_rows_trim(&rows);
    lapse_buffer_init(out, &mem);
    CHECK(lapse_block_encode(out, &b->keys, &rows, scratch));
    lapse_rows_free(&rows);
}

static void check_block(const uint8_t *data, size_t n, uint32_t fields)
{
    struct lapse_block a, b;
    struct lapse_buffer first, second;
    open_block(&a);
    open_block(&b);
    put_bytes(&a, data, n);
    if (lapse_block_decode(&a, fields)) {
        put_bytes(&a, data, n);
        bool all = lapse_block_decode(&a, UINT32_MAX); /* columns not asked for were not looked at */
        if (all) {
            encode(&first, &a);
            put_bytes(&b, first.data, first.size);
            CHECK(lapse_block_decode(&b, UINT32_MAX));
            same_blocks(&a, &b);
            encode(&second, &b);
            CHECK(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
            lapse_buffer_free(&first);
            lapse_buffer_free(&second);
        }
    }
    CHECK(!a.bytes.failed);
    lapse_block_free(&a);
    lapse_block_free(&b);
}

/* ---- directories -------------------------------------------------------------------------------------------------- */

static void put_int(struct text *t, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        char c = (char)(v >> 8 * i);
        text_put(t, &c, 1);
    }
}

static void seal(struct text *directory, int family)
{
    put_int(directory, lapse_hash(directory->data, directory->size, (uint64_t)family), 8);
}

struct caught {
    int64_t id;
    struct text bytes;
};

static bool is_none(void *user, int64_t id)
{
    (void)user;
    (void)id;
    return false;
}

static lapse_status catch_run(void *user, int64_t id, int family, const void *data, size_t n, lapse_error *error)
{
    struct caught *c = user;
    (void)family;
    (void)error;
    if (id == c->id)
        text_put(&c->bytes, data, n);
    return LAPSE_OK;
}

static void check_directory(const uint8_t *data, size_t n, int family)
{
    static lapse_store *store;
    lapse_error error = { .size = sizeof error };
    struct text directory = { 0 };
    if (!store)
        store = store_new(NULL);
    text_put(&directory, (const char *)data, n);
    seal(&directory, family);
    struct lapse_run *run = lapse_run_new(store, family);
    CHECK(run);
    lapse_status status = lapse_run_load(run, directory.data, directory.size, &error);
    CHECK(status == LAPSE_OK || status == LAPSE_DAMAGED);
    error_check(status, &error);
    if (status == LAPSE_OK && n >= 16 &&
        run->source_count == fuzz_int(&(struct fuzz){ data + 12, 4 }, 4)) { /* no source twice */
        struct caught c = { 0, { 0 } };
        CHECK(lapse_run_save(run, NULL) == LAPSE_OK);
        c.id = run->id;
        uint64_t digest;
        CHECK(lapse_file_runs(store->file, is_none, catch_run, &c, &digest, NULL) == LAPSE_OK);
        CHECK(lapse_file_drop_run(store->file, run->id, NULL) == LAPSE_OK);
        /* Flags of no meaning are not kept; all else is. */
        CHECK(c.bytes.size == directory.size && memcmp(c.bytes.data, directory.data, 4) == 0);
        CHECK(memcmp(c.bytes.data + 8, directory.data + 8, directory.size - 16) == 0);
        text_free(&c.bytes);
    }
    /* Without its checksum, or cut short, it is refused. */
    lapse_run_release(run);
    run = lapse_run_new(store, family);
    CHECK(run && lapse_run_load(run, directory.data, fuzz_below(&(struct fuzz){ data, n }, 8), NULL) == LAPSE_DAMAGED);
    lapse_run_release(run);
    directory.data[directory.size - 1] ^= 1;
    run = lapse_run_new(store, family);
    CHECK(run && lapse_run_load(run, directory.data, directory.size, NULL) == LAPSE_DAMAGED);
    lapse_run_release(run);
    text_free(&directory);
}

/* ---- a store made by hand ----------------------------------------------------------------------------------------- */

/* Blocks in the order of the input, a byte of family and two of size before each; the directory says of each what
 * the block says of itself, or what the input says. */
static void publish(lapse_store *store, struct fuzz *in, uint64_t *digest)
{
    uint8_t how = fuzz_byte(in), count = (uint8_t)fuzz_below(in, 4);
    int family = how & 1 ? LAPSE_RUN_FINGERPRINTS : LAPSE_RUN_EVENTS;
    struct text directory = { 0 };
    put_int(&directory, how & 2 ? fuzz_int(in, 4) : LAPSE_ALL_FIELDS, 4);
    put_int(&directory, how >> 2 & 3, 4);
    put_int(&directory, count, 4);
    put_int(&directory, 0, 4);
    for (int i = 0; i < count; i++) {
        struct lapse_block b;
        size_t n = fuzz_int(in, 2);
        n = n < in->left ? n : in->left;
        open_block(&b);
        put_bytes(&b, in->at, n);
        in->at += n;
        in->left -= n;
        bool sound = lapse_block_decode(&b, UINT32_MAX);
        int64_t id = 0, first = INT64_MIN, last = INT64_MAX;
        CHECK(lapse_file_put_block(store->file, b.bytes.data, n, &id, NULL) == LAPSE_OK);
        put_int(&directory, (uint64_t)id, 8);
        put_int(&directory, lapse_hash(b.bytes.data, n, (uint64_t)id), 8);
        put_int(&directory, b.rows, 4);
        put_int(&directory, b.keys.count, 4);
        if (how & 16) {
            first = fuzz_number(in);
            last = fuzz_number(in);
        }
        put_int(&directory, (uint64_t)first, 8);
        put_int(&directory, (uint64_t)last, 8);
        for (int side = 0; side < 2; side++) {
            struct lapse_text key = { "k", 1 };
            if (sound && !(how & 32))
                key = lapse_keys_text(&b.keys, side ? b.keys.count - 1 : 0);
            put_int(&directory, key.size, 1);
            text_put(&directory, key.data, key.size);
        }
        lapse_block_free(&b);
    }
    seal(&directory, family);
    /* The list of runs is sealed too, as lapse_manifest_digest() does it. */
    struct text entry = { 0 };
    int64_t id;
    CHECK(lapse_file_put_run(store->file, family, directory.data, directory.size, &id, NULL) == LAPSE_OK);
    put_int(&entry, (uint64_t)id, 8);
    text_put(&entry, directory.data + directory.size - 8, 8);
    *digest = lapse_hash(entry.data, entry.size, *digest);
    CHECK(lapse_file_set_digest(store->file, *digest, NULL) == LAPSE_OK);
    text_free(&entry);
    text_free(&directory);
}

/* Everything answers or says that it is damaged. */
static void check_clear(lapse_status status, const lapse_error *error)
{
    error_check(status, error);
    CHECK(status == LAPSE_OK || status == LAPSE_DONE || status == LAPSE_DAMAGED || status == LAPSE_OVERFLOW ||
          status == LAPSE_NOT_FOUND);
}

static void ask(lapse_store *store, lapse_view *view, int what)
{
    static const char *const names[] = { "a", "k", "c1", "\xff" };
    lapse_result *result = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_rfm_options o;
    lapse_status status;
    CHECK(lapse_rfm_options_init(&o, sizeof o) == LAPSE_OK);
    o.threads = what & 1 ? 2 : 1;
    o.flags = what & 1 ? LAPSE_RFM_FREQUENCY_DAYS | LAPSE_RFM_NESTED : 0;
    if (what < 4)
        status = lapse_view_history(view, names[what], &result, &error);
    else if (what < 6)
        status = lapse_view_rfm(view, &o, &result, &error);
    else if (what < 8)
        status = lapse_view_segments(view, &o, &result, &error);
    else if (what == 8)
        status = lapse_store_info(store, &result, &error);
    else
        status = lapse_view_events(view, &result, &error);
    check_clear(status, &error);
    if (status == LAPSE_OK) {
        struct text out = { 0 };
        status = lapse_result_write_csv(result, text_write, &out, &error);
        check_clear(status, &error);
        text_free(&out);
    }
    lapse_result_free(result);
}

static void check_store(struct fuzz *in)
{
    lapse_store_options options;
    CHECK(lapse_store_options_init(&options, sizeof options) == LAPSE_OK);
    options.memory_limit = 16 << 20;
    lapse_store *store = store_new(&options);
    int64_t as_of = in->left && in->at[0] & 1 ? INT64_MAX : INT64_C(1700500000000000), instant;
    uint64_t digest = 0;
    fuzz_byte(in);
    for (int runs = 0; runs < 3 && in->left; runs++)
        publish(store, in, &digest);
    /* As if it had just been opened. */
    lapse_manifest_release(store->manifest);
    store->manifest = NULL;
    lapse_view *view = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_view_open(store, as_of, &view, &error);
    check_clear(status, &error);
    for (int what = 0; status == LAPSE_OK && what < 10; what++)
        ask(store, view, what);
    lapse_view_close(view);
    error = (lapse_error){ .size = sizeof error };
    check_clear(lapse_store_default_instant(store, &instant, &error), &error);

    static const char file[] = "customer,time,event_id,source\na,2024-01-01,1,\nk,2024-01-02,,\nk,2024-01-02,,s\n";
    lapse_import_options import;
    struct stream stream = { file, sizeof file - 1, sizeof file };
    CHECK(lapse_import_options_init(&import, sizeof import) == LAPSE_OK);
    error = (lapse_error){ .size = sizeof error };
    check_clear(lapse_store_import_stream(store, stream_read, &stream, &import, NULL, &error), &error);
    lapse_store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size };
    if (!mem.alloc)
        CHECK(lapse_mem_init(&mem, NULL, NULL) == LAPSE_OK);
    uint8_t what = fuzz_byte(&in);
    if (what % 4 == 0) {
        uint32_t fields = what & 4 ? (uint32_t)fuzz_int(&in, 3) : UINT32_MAX;
        check_block(in.at, in.left, fields);
    } else if (what % 4 == 1) {
        check_directory(in.at, in.left, what & 4 ? LAPSE_RUN_FINGERPRINTS : LAPSE_RUN_EVENTS);
    } else {
        check_store(&in);
    }
    return 0;
}
