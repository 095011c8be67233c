/* Answers as Arrow streams, and failing allocations of both directions. */
#include "frames.h"

/* ---- answers out ---------------------------------------------------------------------------------------------- */

/* Three columns and one of each other type, with a missing value; the first `fail` allocations work, then none; -1:
 * all. */
struct heap {
    int64_t left, live;
};

static void *heap_alloc(void *user, size_t bytes)
{
    struct heap *h = user;
    if (h->left == 0)
        return NULL;
    h->left -= h->left > 0;
    h->live++;
    return malloc(bytes);
}

static void *heap_resize(void *user, void *memory, size_t bytes)
{
    struct heap *h = user;
    if (h->left == 0)
        return NULL;
    h->left -= h->left > 0;
    return realloc(memory, bytes);
}

static void heap_release(void *user, void *memory)
{
    ((struct heap *)user)->live--;
    free(memory);
}

enum { ALL = 6 };
static const struct lapse_column_spec specs[ALL] = {
    { "int", LAPSE_TYPE_INT64, 0 },  { "double", LAPSE_TYPE_DOUBLE, 0 }, { "string", LAPSE_TYPE_STRING, 0 },
    { "time", LAPSE_TYPE_TIME, 0 }, { "money", LAPSE_TYPE_MONEY, 2 },    { "decimal", LAPSE_TYPE_DECIMAL, 6 },
};

static lapse_table *table_of(const lapse_allocator *mem, int64_t rows)
{
    struct lapse_builder *b = lapse_builder_new(mem, specs, ALL, rows);
    lapse_table *table = NULL;
    for (int64_t i = 0; i < rows; i++)
        for (int32_t c = 0; c < ALL; c++)
            if (i % 3 == 1 && c != 0)
                lapse_builder_missing(b, c);
            else if (c == 1)
                lapse_builder_double(b, c, (double)i / 2);
            else if (c == 2)
                lapse_builder_text(b, c, "\xc3\xa9t", (size_t)(i % 2 ? 3 : 2));
            else
                lapse_builder_int(b, c, c == 4 ? -i : i);
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    return table;
}

static lapse_column column_of(const lapse_table *table, int32_t index)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(table, index, &c), LAPSE_OK);
    return c;
}

static void check_array(const lapse_table *table, const struct ArrowArray *array, uint32_t flags)
{
    assert_int_equal(array->length, lapse_table_rows(table));
    assert_int_equal(array->n_children, ALL);
    assert_int_equal(array->n_buffers, 1);
    assert_null(array->buffers[0]);
    for (int32_t i = 0; i < ALL; i++) {
        const struct ArrowArray *child = array->children[i];
        lapse_column c = column_of(table, i);
        bool decimal = i >= 4 && !(flags & LAPSE_ARROW_MONEY_INT64);
        assert_int_equal(child->length, c.rows);
        assert_int_equal(child->null_count, c.missing);
        assert_int_equal(child->offset, 0);
        assert_int_equal(child->n_buffers, i == 2 ? 3 : 2);
        assert_ptr_equal(child->buffers[0], c.validity); /* nothing is copied */
        if (i == 2)
            assert_ptr_equal(child->buffers[2], c.data);
        if (!decimal) {
            assert_ptr_equal(child->buffers[1], i == 2 ? (const void *)c.offsets : c.data);
            continue;
        }
        assert_int_equal((uintptr_t)child->buffers[1] % 64, 0);
        for (int64_t row = 0; row < c.rows; row++) /* but money, which gets wider */
            assert_true(((const lapse_int128 *)child->buffers[1])[row] == ((const int64_t *)c.data)[row]);
    }
}

static void check_schema(const struct ArrowSchema *schema, uint32_t flags)
{
    static const char *const formats[ALL] = { "l", "g", "U", "tsu:UTC", "d:19,2", "d:19,6" };
    assert_string_equal(schema->format, "+s");
    assert_int_equal(schema->n_children, ALL);
    for (int i = 0; i < ALL; i++) {
        assert_string_equal(schema->children[i]->name, specs[i].name);
        assert_string_equal(schema->children[i]->format, i >= 4 && flags & LAPSE_ARROW_MONEY_INT64 ? "l" : formats[i]);
        assert_int_equal(schema->children[i]->flags, ARROW_FLAG_NULLABLE);
    }
}

/* A column that was taken out lives on when the rest is gone; releasing twice does no harm. */
static void arrays_keep_what_they_show(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags < 2; flags++)
        for (int64_t rows = 0; rows < 300; rows += 149) {
            struct heap heap = { -1, 0 };
            const lapse_allocator mem = { sizeof mem, 0, &heap, heap_alloc, heap_resize, heap_release };
            lapse_table *table = table_of(&mem, rows);
            struct ArrowSchema schema, child_schema;
            struct ArrowArray array, child;
            assert_int_equal(lapse_table_export(table, flags, &schema, &array, NULL), LAPSE_OK);
            check_schema(&schema, flags);
            check_array(table, &array, flags);
            lapse_table_release(table);
            child = *array.children[2];
            array.children[2]->release = NULL;
            child_schema = *schema.children[4];
            schema.children[4]->release = NULL;
            void (*release)(struct ArrowArray *) = array.release;
            release(&array);
            release(&array);
            schema.release(&schema);
            assert_null(array.release);
            assert_null(schema.release);
            assert_string_equal(child_schema.name, "money");
            if (rows > 0)
                assert_memory_equal((const char *)child.buffers[2], "\xc3\xa9", 2);
            child.release(&child);
            child_schema.release(&child_schema);
            assert_int_equal(heap.live, 0);
        }
}

static void a_result_becomes_a_stream(void **state)
{
    (void)state;
    struct heap heap = { -1, 0 };
    const lapse_allocator mem = { sizeof mem, 0, &heap, heap_alloc, heap_resize, heap_release };
    enum { ROWS = 2 * LAPSE_TABLE_ROWS + 5 };
    lapse_table *table = table_of(&mem, ROWS);
    for (int whole = 0; whole < 2; whole++) {
        struct ArrowArrayStream stream;
        struct ArrowSchema schema;
        struct ArrowArray array, kept = { .release = NULL };
        lapse_result *result = NULL;
        int64_t rows = 0, parts = 0;
        lapse_table_retain(table);
        assert_int_equal(lapse_result_of_table(&mem, table, &result, NULL), LAPSE_OK);
        if (whole) {
            lapse_result_free(result);
            assert_int_equal(lapse_table_stream(table, 0, &stream, NULL), LAPSE_OK);
        } else {
            assert_int_equal(lapse_result_schema(result, 0, &schema, NULL), LAPSE_OK);
            check_schema(&schema, 0);
            schema.release(&schema);
            assert_int_equal(lapse_result_export(result, 0, &stream, NULL), LAPSE_OK);
        }
        assert_int_equal(stream.get_schema(&stream, &schema), 0);
        check_schema(&schema, 0);
        schema.release(&schema);
        assert_int_equal(stream.get_next(&stream, &array), 0);
        while (array.release) {
            rows += array.length;
            if (kept.release)
                kept.release(&kept);
            kept = array;
            if (++parts == 1 && whole)
                check_array(table, &kept, 0);
            assert_int_equal(stream.get_next(&stream, &array), 0);
        }
        assert_int_equal(stream.get_next(&stream, &array), 0); /* the end comes again */
        assert_null(array.release);
        assert_null(stream.get_last_error(&stream));
        assert_int_equal(rows, ROWS);
        assert_int_equal(parts, whole ? 1 : 3);
        void (*release)(struct ArrowArrayStream *) = stream.release;
        release(&stream);
        release(&stream);
        assert_int_equal(((const int64_t *)kept.children[0]->buffers[1])[0], whole ? 0 : 2 * LAPSE_TABLE_ROWS);
        kept.release(&kept);
    }
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* An answer whose pulling fails tells so; what is exported comes in again. */
static int32_t stop(void *user, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    return *(int *)user;
}

static void failures_and_round_trips(void **state)
{
    (void)state;
    lapse_store *store = store_new(), *again = store_new();
    struct maker m = with((struct column){ .name = "amount", .format = "g", .values = (double[]){ 1.25, 0.1, NAN } });
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    lapse_state_options options;
    lapse_error error = { .size = sizeof error };
    int stopped = 1;
    assert_int_equal(import(store, &m, 0, NULL, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, INT64_C(1700000000000000), &view, NULL), LAPSE_OK);
    lapse_state_options_init(&options, sizeof options);
    options.on_progress = stop;
    options.progress_user = &stopped;
    assert_int_equal(lapse_view_states(view, &options, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_export(result, 0, &stream, NULL), LAPSE_OK);
    assert_int_equal(stream.get_next(&stream, &array), EINTR);
    assert_null(array.release);
    assert_non_null(strstr(stream.get_last_error(&stream), "cancelled"));
    stream.release(&stream);

    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_export(result, 2, &stream, &error), LAPSE_INVALID);
    assert_null(stream.release);
    assert_int_equal(lapse_result_export(result, 0, NULL, &error), LAPSE_INVALID);
    assert_int_equal(lapse_result_export(result, 0, &stream, NULL), LAPSE_OK);
    assert_int_equal(lapse_store_import_arrow(again, &stream, NULL, NULL, NULL), LAPSE_OK);
    struct text before = { .size = 0 };
    const char *text = events(store);
    add(&before, text, (int64_t)strlen(text));
    assert_string_equal(before.data, events(again));
    lapse_view_close(view);
    lapse_store_close(store);
    lapse_store_close(again);
}

/* ---- failing allocations ---------------------------------------------------------------------------------------- */

static void exports_survive_failing_allocations(void **state)
{
    (void)state;
    struct heap heap = { -1, 0 };
    const lapse_allocator mem = { sizeof mem, 0, &heap, heap_alloc, heap_resize, heap_release };
    lapse_table *table = table_of(&mem, 100);
    int64_t live = heap.live;
    bool good = false;
    for (int64_t n = 0; !good; n++) {
        struct ArrowSchema schema;
        struct ArrowArray array;
        struct ArrowArrayStream stream;
        assert_true(n < 200);
        heap.left = n;
        lapse_status status = lapse_table_export(table, 0, &schema, &array, NULL);
        assert_true(status == LAPSE_OK || (status == LAPSE_NO_MEMORY && !schema.release && !array.release));
        if (status == LAPSE_OK) {
            schema.release(&schema);
            array.release(&array);
        }
        assert_int_equal(heap.live, live);
        heap.left = n;
        good = lapse_table_stream(table, 0, &stream, NULL) == LAPSE_OK;
        int32_t number = good ? stream.get_schema(&stream, &schema) : ENOMEM;
        if (number == 0)
            schema.release(&schema);
        good = number == 0 && (number = stream.get_next(&stream, &array)) == 0;
        if (good)
            array.release(&array);
        assert_true(good || number == ENOMEM);
        if (stream.release)
            stream.release(&stream);
        assert_int_equal(heap.live, live);
    }
    heap.left = -1;
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

static void imports_survive_failing_allocations(void **state)
{
    (void)state;
    static const int32_t kinds[] = { 0, 0, 0, 3 };
    struct heap heap = { -1, 0 };
    const lapse_allocator mem = { sizeof mem, 0, &heap, heap_alloc, heap_resize, heap_release };
    lapse_store_options options;
    lapse_store *store = NULL;
    lapse_status status = LAPSE_NO_MEMORY;
    lapse_store_options_init(&options, sizeof options);
    options.allocator = &mem;
    assert_int_equal(lapse_store_open(NULL, &options, &store, NULL), LAPSE_OK);
    for (int64_t n = 0; status != LAPSE_OK; n++) {
        struct maker m = with((struct column){ .name = "kind", .format = "u", .values = kinds, .more = "odd" });
        assert_true(n < 5000);
        assert_true(status == LAPSE_NO_MEMORY);
        heap.left = n;
        status = import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, NULL, NULL, NULL);
        heap.left = -1;
        assert_string_equal(events(store), status == LAPSE_OK
                                               ? "customer,time,kind\na,1970-01-02T00:00:00Z,order.placed\n"
                                                 "b,1970-01-03T00:00:00Z,order.placed\n"
                                               : "customer,time,kind\n");
    }
    lapse_store_close(store);
    assert_int_equal(heap.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_keep_what_they_show),
        cmocka_unit_test(a_result_becomes_a_stream),
        cmocka_unit_test(failures_and_round_trips),
        cmocka_unit_test(exports_survive_failing_allocations),
        cmocka_unit_test(imports_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
