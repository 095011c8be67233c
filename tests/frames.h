/* Arrow streams made by hand, for the suites of Arrow: columns as a test writes them down, ownership counted. */
#ifndef LAPSE_TESTS_FRAMES_H
#define LAPSE_TESTS_FRAMES_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <lapse.h>

#include "table/table.h"

/* ---- a stream made by hand ---------------------------------------------------------------------------------- */

enum { COLUMNS = 20, ARRAYS = 3 };

/* A column as a test writes it down. */
struct column {
    const char *name, *format;
    const void *values;       /* of a text column: offsets */
    const void *more;         /* the bytes, or of views the one buffer */
    const uint8_t *validity;
    int64_t null_count;
    int64_t offset;
    const struct column *dictionary;
    int64_t length;           /* of a dictionary; else 0: that of the stream */
};

struct maker {
    struct column columns[COLUMNS];
    int count;
    int64_t rows[ARRAYS];
    int arrays;               /* how many are given, all of the same columns */
    int at;                   /* how many have been */
    int fail_schema, fail_at; /* errno; the array whose turn fails, from 1 */
    int schemas, live, stream_released;
    const char *said;
    void (*damage)(struct ArrowArray *array);
    void (*damage_schema)(struct ArrowSchema *schema);
};

struct owned {
    struct maker *maker;
    struct ArrowSchema schema[COLUMNS + 1], *schemas[COLUMNS], dictionary_schema[COLUMNS];
    struct ArrowArray array[COLUMNS + 1], *arrays[COLUMNS], dictionary[COLUMNS];
    const void *buffers[COLUMNS + 1][4], *dictionary_buffers[COLUMNS][4];
    int64_t sizes[COLUMNS];
};

static inline void schema_release(struct ArrowSchema *schema)
{
    struct owned *own = schema->private_data;
    assert_non_null(schema->release);
    schema->release = NULL;
    if (own) {
        own->maker->schemas--;
        free(own);
    }
}

static inline void array_release(struct ArrowArray *array)
{
    struct owned *own = array->private_data;
    assert_non_null(array->release);
    array->release = NULL;
    if (own) {
        own->maker->live--;
        free(own);
    }
}

static inline struct owned *owned_new(struct maker *m)
{
    struct owned *own = calloc(1, sizeof *own);
    assert_non_null(own);
    own->maker = m;
    return own;
}

static inline int32_t stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct maker *m = stream->private_data;
    if (m->fail_schema)
        return m->fail_schema;
    struct owned *own = owned_new(m);
    for (int i = 0; i < m->count; i++) {
        const struct column *c = &m->columns[i];
        own->schemas[i] = &own->schema[i + 1];
        own->schema[i + 1] = (struct ArrowSchema){ .format = c->format, .name = c->name, .release = schema_release };
        if (c->dictionary) {
            own->dictionary_schema[i] =
                (struct ArrowSchema){ .format = c->dictionary->format, .release = schema_release };
            own->schema[i + 1].dictionary = &own->dictionary_schema[i];
        }
    }
    *out = (struct ArrowSchema){ .format = "+s", .name = "", .n_children = m->count, .children = own->schemas,
                                 .release = schema_release, .private_data = own };
    m->schemas++;
    if (m->damage_schema)
        m->damage_schema(out);
    return 0;
}

static inline void fill_array(struct ArrowArray *array, const void **buffers, const struct column *c, int64_t length,
                              int64_t *size)
{
    int64_t n = strcmp(c->format, "n") == 0 ? 0 : c->format[0] == 'u' || c->format[0] == 'U' ? 3 : 2;
    *array = (struct ArrowArray){ .length = length, .null_count = c->null_count, .offset = c->offset, .n_buffers = n,
                                  .buffers = buffers, .release = array_release };
    buffers[0] = c->validity;
    buffers[1] = c->values;
    buffers[2] = c->more;
    if (strcmp(c->format, "vu") == 0) {
        array->n_buffers = c->more ? 4 : 3;
        *size = c->more ? (int64_t)strlen(c->more) : 0;
        buffers[c->more ? 3 : 2] = size;
    }
}

static inline int32_t stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct maker *m = stream->private_data;
    memset(out, 0, sizeof *out);
    if (m->fail_at && m->at + 1 == m->fail_at)
        return EIO;
    if (m->at == m->arrays)
        return 0;
    struct owned *own = owned_new(m);
    for (int i = 0; i < m->count; i++) {
        const struct column *c = &m->columns[i];
        own->arrays[i] = &own->array[i + 1];
        fill_array(&own->array[i + 1], own->buffers[i + 1], c, m->rows[m->at], &own->sizes[i]);
        if (c->dictionary) {
            fill_array(&own->dictionary[i], own->dictionary_buffers[i], c->dictionary, c->dictionary->length,
                       &own->sizes[i]);
            own->array[i + 1].dictionary = &own->dictionary[i];
        }
    }
    *out = (struct ArrowArray){ .length = m->rows[m->at], .n_buffers = 1, .buffers = own->buffers[0],
                                .n_children = m->count, .children = own->arrays, .release = array_release,
                                .private_data = own };
    m->at++;
    m->live++;
    if (m->damage)
        m->damage(out);
    return 0;
}

static inline const char *stream_error(struct ArrowArrayStream *stream)
{
    return ((struct maker *)stream->private_data)->said;
}

static inline void stream_release(struct ArrowArrayStream *stream)
{
    ((struct maker *)stream->private_data)->stream_released++;
    stream->release = NULL;
}

static inline struct ArrowArrayStream stream_of(struct maker *m)
{
    m->at = 0;
    return (struct ArrowArrayStream){ stream_schema, stream_next, stream_error, stream_release, m };
}

/* ---- stores -------------------------------------------------------------------------------------------------- */

static inline lapse_store *store_new(void)
{
    lapse_store *store = NULL;
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    return store;
}

struct told {
    int count;
    int64_t line[32];
    char column[32][64], text[32][64], rule[32][160];
};

static inline int32_t tell(void *user, const lapse_reject *r)
{
    struct told *t = user;
    assert_true(t->count < 32);
    t->line[t->count] = r->line;
    snprintf(t->column[t->count], 64, "%s", r->column);
    snprintf(t->text[t->count], 64, "%.40s", r->text);
    snprintf(t->rule[t->count], 160, "%s", r->rule);
    assert_string_equal(r->row, "");
    t->count++;
    return 0;
}

/* Imports with these flags; all that the stream gave must have been released, once. */
static inline lapse_status import(lapse_store *store, struct maker *m, uint32_t flags, struct told *told,
                                  lapse_counts *counts, lapse_error *error)
{
    struct ArrowArrayStream stream = stream_of(m);
    lapse_import_options options;
    lapse_import_options_init(&options, sizeof options);
    options.flags = flags;
    options.on_reject = told ? tell : NULL;
    options.reject_user = told;
    int released = m->stream_released;
    lapse_status status = lapse_store_import_arrow(store, &stream, &options, counts, error);
    assert_null(stream.release);
    assert_int_equal(m->stream_released, released + 1);
    assert_int_equal(m->live, 0);
    assert_int_equal(m->schemas, 0);
    return status;
}

struct text {
    char data[65536];
    size_t size;
};

static inline int32_t add(void *user, const char *bytes, int64_t size)
{
    struct text *t = user;
    assert_true(t->size + (size_t)size < sizeof t->data);
    memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += (size_t)size;
    t->data[t->size] = '\0';
    return 0;
}

static inline void cut(char *text, const char *before_line_end)
{
    for (char *at = text; (at = strstr(at, before_line_end)) != NULL; at++)
        memmove(at, at + strlen(before_line_end) - 1, strlen(at + strlen(before_line_end) - 1) + 1);
}

/* All events as CSV, without a source that is empty. */
static inline const char *events(lapse_store *store)
{
    static struct text text;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    text.size = 0;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, add, &text, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
    cut(text.data, ",source\n");
    cut(text.data, ",\n");
    return text.data;
}

#define DAY INT64_C(86400000000)
static const int32_t abc[] = { 0, 1, 2, 3 };
static const int64_t days[] = { DAY, 2 * DAY, 3 * DAY };

static inline struct maker three(void)
{
    return (struct maker){ .columns = { { .name = "customer", .format = "u", .values = abc, .more = "abc" },
                                        { .name = "time", .format = "tsu:UTC", .values = days } },
                           .count = 2, .rows = { 3 }, .arrays = 1 };
}

/* One more column on the three rows. */
static inline struct maker with(struct column column)
{
    struct maker m = three();
    m.columns[m.count++] = column;
    return m;
}

#endif
