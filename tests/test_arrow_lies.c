/* Arrow streams that lie: schemas and arrays that are damaged, incomplete or released, and streams that fail. Each is
 * refused with what is wrong, nothing of it is stored, and all that it gave is released. */
#include "frames.h"

static void no_release(struct ArrowSchema *s) { s->children[0]->release = NULL; }
static void no_format(struct ArrowSchema *s) { s->children[1]->format = NULL; }
static void no_children(struct ArrowSchema *s) { s->children = NULL; }
static void many_children(struct ArrowSchema *s) { s->n_children = INT64_MAX; }
static void fewer_than_none(struct ArrowSchema *s) { s->n_children = -1; }
static void one_child_gone(struct ArrowSchema *s) { s->children[1] = NULL; }
static void no_struct(struct ArrowSchema *s) { s->format = "i"; }
static void bad_name(struct ArrowSchema *s) { s->children[1]->name = "\xff"; }
static void same_name(struct ArrowSchema *s) { s->children[1]->name = "customer"; }
static void no_name(struct ArrowSchema *s) { s->children[1]->name = NULL; }
static void a_float(struct ArrowSchema *s) { s->children[1]->format = "g"; }
static void odd_decimal(struct ArrowSchema *s) { s->children[0]->format = "d:3,4000"; }
static void long_decimal(struct ArrowSchema *s) { s->children[0]->format = "d:999999999999999999999,1"; }
static void nested(struct ArrowSchema *s) { s->children[0]->format = "+l"; }
static void no_table_format(struct ArrowSchema *s) { s->format = NULL; }
static void a_dictionary_of_tables(struct ArrowSchema *s) { s->dictionary = s->children[0]; }
static void no_columns_at_all(struct ArrowSchema *s) { s->n_children = 0; }
static void long_scale(struct ArrowSchema *s) { s->children[0]->format = "d:3,1000000"; }
static void odd_scale(struct ArrowSchema *s) { s->children[0]->format = "d:3,-39"; }
static void odd_width(struct ArrowSchema *s) { s->children[0]->format = "d:3,1,16"; }
static void four_numbers(struct ArrowSchema *s) { s->children[0]->format = "d:3,1,64,2"; }
static void no_unit(struct ArrowSchema *s) { s->children[1]->format = "tsx:"; }
static void no_colon(struct ArrowSchema *s) { s->children[1]->format = "tss"; }

static void negative_length(struct ArrowArray *a) { a->length = -1; }
static void huge_length(struct ArrowArray *a) { a->length = INT64_MAX; }
static void negative_offset(struct ArrowArray *a) { a->offset = -1; }
static void huge_offset(struct ArrowArray *a) { a->offset = INT64_MAX; }
static void longer_than_columns(struct ArrowArray *a) { a->length = 4; }
static void offset_beyond(struct ArrowArray *a) { a->offset = 1; }
static void few_columns(struct ArrowArray *a) { a->n_children = 1; }
static void no_columns(struct ArrowArray *a) { a->children = NULL; }
static void a_column_gone(struct ArrowArray *a) { a->children[1] = NULL; }
static void a_column_released(struct ArrowArray *a) { a->children[1]->release = NULL; }
static void few_buffers(struct ArrowArray *a) { a->children[0]->n_buffers = 2; }
static void negative_buffers(struct ArrowArray *a) { a->children[1]->n_buffers = -1; }
static void no_buffers(struct ArrowArray *a) { a->children[1]->buffers = NULL; }
static void no_values(struct ArrowArray *a) { a->children[1]->buffers[1] = NULL; }
static void no_bytes(struct ArrowArray *a) { a->children[0]->buffers[2] = NULL; }
static void nulls_unsaid(struct ArrowArray *a) { a->children[1]->null_count = 2; }
static void more_nulls_than_rows(struct ArrowArray *a) { a->children[1]->null_count = 4; }
static void odd_nulls(struct ArrowArray *a) { a->children[1]->null_count = -2; }
static void column_offset(struct ArrowArray *a) { a->children[1]->offset = -1; }
static void column_far(struct ArrowArray *a) { a->children[1]->offset = INT64_MAX - 1; }
static const int32_t descending[] = { 0, 2, 1, 3 }, negative[] = { -1, 1, 2, 3 };
static void offsets_descend(struct ArrowArray *a) { a->children[0]->buffers[1] = descending; }
static void offsets_negative(struct ArrowArray *a) { a->children[0]->buffers[1] = negative; }
static void rows_missing(struct ArrowArray *a) { static const uint8_t b = 1; a->buffers[0] = &b; a->null_count = 2; }

static void damaged_streams_are_refused(void **state)
{
    (void)state;
    static void (*const schemas[])(struct ArrowSchema *) = {
        no_release, no_format, no_children, many_children, fewer_than_none, one_child_gone, no_struct, bad_name,
        same_name, no_name, a_float, odd_decimal, long_decimal, nested, no_table_format, a_dictionary_of_tables,
        no_columns_at_all, long_scale, odd_scale, odd_width, four_numbers, no_unit, no_colon,
    };
    static void (*const arrays[])(struct ArrowArray *) = {
        negative_length, huge_length, negative_offset, huge_offset, longer_than_columns, offset_beyond, few_columns,
        no_columns, a_column_gone, a_column_released, few_buffers, negative_buffers, no_buffers, no_values, no_bytes,
        nulls_unsaid, more_nulls_than_rows, odd_nulls, column_offset, column_far, offsets_descend, offsets_negative,
        rows_missing,
    };
    lapse_store *store = store_new();
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0] + sizeof arrays / sizeof arrays[0]; i++) {
        size_t schema_count = sizeof schemas / sizeof schemas[0];
        struct maker m = three();
        lapse_error error = { .size = sizeof error };
        lapse_counts counts = { .size = sizeof counts, .read = 1 };
        if (i < schema_count)
            m.damage_schema = schemas[i];
        else
            m.damage = arrays[i - schema_count];
        assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, NULL, &counts, &error), LAPSE_BAD_INPUT);
        assert_true(error.message[0] != '\0');
        assert_int_equal(counts.read, 0);
    }
    assert_string_equal(events(store), "customer,time,kind\n");
    lapse_store_close(store);
}

static void damaged_dictionaries_and_views(void **state)
{
    (void)state;
    static const int8_t below[] = { 0, -1, 0 }, above[] = { 0, 3, 0 };
    static const int32_t words[] = { 0, 3, 6, 9 };
    static const struct column dictionary = { .format = "u", .values = words, .more = "oneTwoxyz", .length = 3 };
    static const int32_t outside[][4] = { { 20, 0, 0, 0 },  { 20, 0, 1, 0 },  { 20, 0, -1, 0 }, { 14, 0, 0, 1 },
                                          { 14, 0, 0, -1 }, { -1, 0, 0, 0 } };
    lapse_store *store = store_new();
    for (size_t i = 0; i < 8; i++) {
        int32_t views[3][4] = { { 0 } };
        struct column column = { .name = "ref", .format = "c", .values = i == 0 ? below : above,
                                 .dictionary = &dictionary };
        if (i > 1) {
            memcpy(views[1], outside[i - 2], sizeof views[1]);
            column = (struct column){ .name = "ref", .format = "vu", .values = views, .more = "fourteen chars" };
        }
        struct maker m = with(column);
        lapse_error error = { .size = sizeof error };
        assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, NULL, NULL, &error), LAPSE_BAD_INPUT);
        assert_string_equal(error.column, "ref");
        assert_non_null(strstr(error.message, "damaged"));
    }
    assert_string_equal(events(store), "customer,time,kind\n");
    lapse_store_close(store);
}

static void indices_of_floats(struct ArrowSchema *s) { s->children[2]->format = "f"; }
static void indices_of_nothing(struct ArrowSchema *s) { s->children[2]->format = NULL; }
static void indices_unknown(struct ArrowSchema *s) { s->children[2]->format = "+s"; }
static void twice_encoded(struct ArrowSchema *s) { s->children[2]->dictionary->dictionary = s->children[0]; }
static void no_dictionary(struct ArrowArray *a) { a->children[2]->dictionary = NULL; }
static void a_dictionary_released(struct ArrowArray *a) { a->children[2]->dictionary->release = NULL; }
static void no_sizes(struct ArrowArray *a) { a->children[2]->buffers[3] = NULL; }
static void no_bytes_of_views(struct ArrowArray *a) { a->children[2]->buffers[2] = NULL; }

/* Structure: of dictionaries, of views, and offsets of texts that are to be numbers. */
static void dictionaries_and_views_that_are_not_there(void **state)
{
    (void)state;
    static const int8_t indices[] = { 0, 1, 2 };
    static const int32_t words[] = { 0, 3, 6, 9 }, views[3][4] = { { 14, 0, 0, 0 } };
    static const struct column dictionary = { .format = "u", .values = words, .more = "oneTwoxyz", .length = 3 };
    const struct column encoded = { .name = "ref", .format = "c", .values = indices, .dictionary = &dictionary };
    const struct column viewed = { .name = "ref", .format = "vu", .values = views, .more = "fourteen chars" };
    const struct {
        struct column column;
        void (*schema)(struct ArrowSchema *);
        void (*array)(struct ArrowArray *);
        const char *says;
    } cases[] = {
        { encoded, indices_of_floats, NULL, "are integers" },
        { encoded, indices_of_nothing, NULL, "are integers" },
        { encoded, indices_unknown, NULL, "are integers" },
        { encoded, twice_encoded, NULL, "no dictionary of its own" },
        { encoded, NULL, no_dictionary, "its dictionary is not there" },
        { encoded, NULL, a_dictionary_released, "released before" },
        { viewed, NULL, no_sizes, "sizes of its buffers are not there" },
        { viewed, NULL, no_bytes_of_views, "damaged" },
        { { .name = "amount", .format = "u", .values = descending, .more = "1" }, NULL, NULL, "damaged" },
        { { .name = "value", .format = "u", .values = negative, .more = "1" }, NULL, NULL, "damaged" },
        { { .name = "channel", .format = "u", .values = descending, .more = "1" }, NULL, NULL, "damaged" },
    };
    lapse_store *store = store_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct maker m = with(cases[i].column);
        lapse_error error = { .size = sizeof error };
        m.damage_schema = cases[i].schema;
        m.damage = cases[i].array;
        assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, NULL, NULL, &error), LAPSE_BAD_INPUT);
        assert_string_equal(error.column, cases[i].column.name);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].says);
    }
    assert_string_equal(events(store), "customer,time,kind\n");

    struct maker m = with(encoded); /* an index that is missing is a value that is missing, and no damage */
    m.columns[2].validity = (const uint8_t *)"\5";
    m.columns[2].null_count = 1;
    assert_int_equal(import(store, &m, 0, NULL, NULL, NULL), LAPSE_OK);
    assert_non_null(strstr(events(store), "order.placed,one\nb,1970-01-03T00:00:00Z,order.placed,\nc,"));
    lapse_store_close(store);
}

static void released(struct ArrowSchema *s) { s->release(s); }

static void failing_streams_store_nothing(void **state)
{
    (void)state;
    lapse_store *store = store_new();
    struct ArrowArrayStream stream;
    lapse_error error = { .size = sizeof error };
    struct maker m = three();
    m.arrays = 2;
    m.rows[1] = 3;
    for (int at = 0; at < 4; at++) {
        m.fail_schema = at == 0 ? EINVAL : 0;
        m.fail_at = at;
        m.said = at == 2 ? NULL : at == 3 ? "\xff" : "the wire broke";
        assert_int_equal(import(store, &m, 0, NULL, NULL, &error), LAPSE_IO);
        assert_non_null(strstr(error.message, at < 2 ? "the wire broke" : "it does not say why"));
    }
    m.fail_at = 0;
    m.damage_schema = released;
    assert_int_equal(import(store, &m, 0, NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "schema was released before"));
    m.damage_schema = NULL;
    stream = stream_of(&m);
    stream.get_last_error = NULL;
    m.fail_schema = EINVAL;
    assert_int_equal(lapse_store_import_arrow(store, &stream, NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "it does not say why"));
    m.fail_schema = 0;
    stream = stream_of(&m);
    stream.get_schema = NULL;
    assert_int_equal(lapse_store_import_arrow(store, &stream, NULL, NULL, &error), LAPSE_INVALID);
    stream = stream_of(&m);
    stream.get_next = NULL;
    assert_int_equal(lapse_store_import_arrow(store, &stream, NULL, NULL, &error), LAPSE_INVALID);
    stream = stream_of(&m);
    stream.release = NULL; /* released before */
    assert_int_equal(lapse_store_import_arrow(store, &stream, NULL, NULL, &error), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_arrow(store, NULL, NULL, NULL, &error), LAPSE_INVALID);
    stream = stream_of(&m);
    assert_int_equal(lapse_store_import_arrow(NULL, &stream, NULL, NULL, &error), LAPSE_INVALID);
    assert_null(stream.release);
    assert_string_equal(events(store), "customer,time,kind\n");
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_streams_are_refused),
        cmocka_unit_test(damaged_dictionaries_and_views),
        cmocka_unit_test(dictionaries_and_views_that_are_not_there),
        cmocka_unit_test(failing_streams_store_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
