/* Arrow streams: any schema and arrays are imported or refused, whole, on one thread as on three; all that the stream gave is
 * released, once; what was taken in comes out as a stream that makes an equal store. Buffers have the sizes that a format
 * promises, and the offsets of strings stay within their bytes, since nothing else can be seen; all others say anything.
 * Input: four bytes of options, then for each column its name, type, dictionary and damage; then its bytes. */
#include "fuzz.h"

enum { COLUMNS = 6, ROWS = 70, ARRAYS = 3 };

static const char *const names[] = { "customer", "time", "amount", "kind", "ref", "value", "quantity", "endpoint", "channel",
                                     "event_id", "source", "unknown", "", "customer" };
static const struct {
    const char *format;
    size_t width; /* bytes of a value or offset; 0: bits */
    int buffers;
} formats[] = {
    { "n", 0, 0 },      { "b", 0, 2 },         { "c", 1, 2 },          { "C", 1, 2 },       { "s", 2, 2 },    { "S", 2, 2 },
    { "i", 4, 2 },      { "I", 4, 2 },         { "l", 8, 2 },          { "L", 8, 2 },       { "f", 4, 2 },    { "g", 8, 2 },
    { "u", 4, 3 },      { "U", 8, 3 },         { "vu", 16, 4 },        { "tdD", 4, 2 },     { "tdm", 8, 2 },  { "tss:", 8, 2 },
    { "tsu:UTC", 8, 2 }, { "tsn:UTC", 8, 2 },  { "tsm:", 8, 2 },       { "d:19,2", 16, 2 }, { "d:38,-38", 16, 2 },
    { "d:9,3,32", 4, 2 }, { "d:18,2,64", 8, 2 }, { "d:1,99", 16, 2 },  { "+l", 8, 2 },      { "z", 4, 3 },    { "??", 8, 2 },
};

struct column {
    uint8_t name, format, dictionary, damage; /* dictionary: 0, or the format of indices */
    struct fuzz bytes;
};

struct source {
    struct column column[COLUMNS];
    int columns, arrays, at, schemas, live, released;
    int64_t rows;
    uint8_t damage;
};

/* What a schema or an array holds, freed with it. */
struct owned {
    struct source *source;
    int *count;
    void *memory[16 * COLUMNS];
    int used;
};

static void *room(struct owned *own, size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    CHECK(p && own->used < 16 * COLUMNS);
    own->memory[own->used++] = p;
    return p;
}

static struct owned *owned_new(struct source *s, int *count)
{
    struct owned *own = calloc(1, sizeof *own);
    CHECK(own);
    own->source = s;
    own->count = count;
    ++*count;
    return own;
}

static void owned_free(struct owned *own)
{
    if (!own)
        return;
    --*own->count;
    for (int i = 0; i < own->used; i++)
        free(own->memory[i]);
    free(own);
}

static void schema_release(struct ArrowSchema *schema)
{
    CHECK(schema->release);
    schema->release = NULL;
    owned_free(schema->private_data);
}

static void array_release(struct ArrowArray *array)
{
    CHECK(array->release);
    array->release = NULL;
    owned_free(array->private_data);
}

static int32_t get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct source *s = stream->private_data;
    struct owned *own = owned_new(s, &s->schemas);
    *out = (struct ArrowSchema){ .format = "+s", .name = "", .n_children = s->columns, .release = schema_release,
                                 .children = room(own, COLUMNS * sizeof(void *)), .private_data = own };
    for (int i = 0; i < s->columns; i++) {
        const struct column *c = &s->column[i];
        struct ArrowSchema *child = out->children[i] = room(own, sizeof *child);
        *child = (struct ArrowSchema){ .format = formats[c->format].format, .name = names[c->name],
                                       .release = schema_release };
        if (c->dictionary) {
            child->dictionary = room(own, sizeof *child);
            *child->dictionary = *child;
            child->dictionary->dictionary = NULL;
            child->format = formats[c->dictionary].format;
        }
    }
    return 0;
}

/* Values of one array: bytes of the input, the rest zeros; offsets of strings brought within `text`. */
static void fill(struct owned *own, struct ArrowArray *array, int format, int64_t length, struct fuzz *in)
{
    const size_t width = formats[format].width, count = (size_t)length + 2, text = 40; /* an offset of 1 may come */
    const void **buffers = room(own, 4 * sizeof *buffers);
    uint8_t *values = room(own, width ? count * width : count / 8 + 1);
    for (size_t i = 0; i < (width ? count * width : count / 8); i++)
        values[i] = fuzz_byte(in);
    *array = (struct ArrowArray){ .length = length, .n_buffers = formats[format].buffers, .buffers = buffers,
                                  .release = array_release };
    buffers[1] = values;
    if (formats[format].buffers > 2) {
        char *bytes = room(own, text);
        for (size_t i = 0; i < text; i++)
            bytes[i] = (char)fuzz_byte(in);
        buffers[2] = bytes;
    }
    if (formats[format].buffers == 3)
        for (size_t i = 0; i < count; i++) {
            int64_t offset = (int8_t)values[i * width] % (int64_t)(text + 1);
            memcpy(values + i * width, &offset, width); /* little-endian machines run this */
        }
    if (formats[format].buffers == 4) {
        int64_t *size = room(own, sizeof *size);
        *size = (int64_t)text;
        buffers[3] = size;
    }
    uint8_t nulls = fuzz_byte(in);
    if (nulls & 1) {
        uint8_t *bits = room(own, count / 8 + 1);
        for (size_t i = 0; i < count / 8 + 1; i++)
            bits[i] = fuzz_byte(in);
        buffers[0] = bits;
        array->null_count = nulls & 2 ? -1 : nulls >> 2;
    }
}

static void damage(struct ArrowArray *array, uint8_t how)
{
    switch (how) {
    case 1: array->length = -1; break;
    case 2: array->length = INT64_MAX; break;
    case 3: array->offset = -1; break;
    case 4: array->offset = INT64_MAX; break;
    case 5: array->n_buffers--; break;
    case 6: array->null_count = 5; array->buffers[0] = NULL; break;
    case 7: array->n_buffers > 1 ? array->buffers[1] = NULL : NULL; break;
    case 8: array->n_buffers > 2 ? array->buffers[2] = NULL : NULL; break;
    case 9: array->release = NULL; break;
    case 10: array->length /= 2; break;
    case 11: array->offset = 1; break;
    default: break;
    }
}

static int32_t get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct source *s = stream->private_data;
    memset(out, 0, sizeof *out);
    if (s->at == s->arrays)
        return s->damage == 20 ? 5 : 0;
    struct owned *own = owned_new(s, &s->live);
    const void **nothing = room(own, sizeof *nothing);
    *out = (struct ArrowArray){ .length = s->rows, .n_buffers = 1, .buffers = nothing, .n_children = s->columns,
                                .children = room(own, COLUMNS * sizeof(void *)), .release = array_release,
                                .private_data = own };
    for (int i = 0; i < s->columns; i++) {
        struct column c = s->column[i];
        struct ArrowArray *child = out->children[i] = room(own, sizeof *child);
        fill(own, child, c.dictionary ? c.dictionary : c.format, s->rows, &c.bytes);
        if (c.dictionary) {
            child->dictionary = room(own, sizeof *child);
            fill(own, child->dictionary, c.format, 5, &c.bytes);
        }
        damage(c.damage & 64 && child->dictionary ? child->dictionary : child, c.damage & 31);
    }
    if (++s->at == s->arrays && s->damage < 5)
        damage(out, s->damage);
    return 0;
}

static const char *last_error(struct ArrowArrayStream *stream)
{
    return ((struct source *)stream->private_data)->at & 1 ? "said" : NULL;
}

static void stream_release(struct ArrowArrayStream *stream)
{
    ((struct source *)stream->private_data)->released++;
    stream->release = NULL;
}

static void draw(struct source *s, struct fuzz in)
{
    memset(s, 0, sizeof *s);
    s->columns = (int)fuzz_below(&in, COLUMNS + 1);
    s->rows = fuzz_byte(&in) % ROWS;
    s->arrays = 1 + (int)fuzz_below(&in, ARRAYS);
    s->damage = fuzz_byte(&in);
    for (int i = 0; i < s->columns; i++) {
        struct column *c = &s->column[i];
        uint8_t name = fuzz_byte(&in), format = fuzz_byte(&in), dictionary = fuzz_byte(&in);
        c->name = i < 2 && name < 200 ? (uint8_t)i : name % (sizeof names / sizeof names[0]);
        c->format = format % (sizeof formats / sizeof formats[0]);
        c->dictionary = dictionary < 200 ? 0 : dictionary % 12;
        c->damage = fuzz_byte(&in);
        c->damage = c->damage < 200 ? 0 : c->damage;
    }
    for (int i = 0; i < s->columns; i++) {
        size_t part = in.left / (size_t)(s->columns - i);
        s->column[i].bytes = (struct fuzz){ in.at, part };
        in.at += part;
        in.left -= part;
    }
}

struct outcome {
    lapse_status status;
    lapse_error error;
    lapse_counts counts;
    int64_t rejected;
    struct text events;
};

static int32_t note(void *user, const lapse_reject *reject)
{
    struct outcome *o = user;
    CHECK(reject->column && reject->text && reject->rule[0] && reject->line >= 0);
    o->rejected++;
    return 0;
}

static void run(struct fuzz in, uint8_t flags, int threads, struct outcome *o)
{
    struct source source;
    lapse_store_options store_options;
    lapse_import_options options;
    lapse_store_options_init(&store_options, sizeof store_options);
    store_options.memory_limit = 16 << 20;
    lapse_store *store = store_new(&store_options);
    draw(&source, in);
    struct ArrowArrayStream stream = { get_schema, get_next, last_error, stream_release, &source };
    CHECK(lapse_import_options_init(&options, sizeof options) == LAPSE_OK);
    options.flags = flags & (LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_IGNORE_UNKNOWN | LAPSE_IMPORT_NEGATIVE_REFUND |
                             LAPSE_IMPORT_KEEP_ALL);
    options.threads = threads;
    options.on_reject = note;
    options.reject_user = o;
    memset(o, 0, sizeof *o);
    o->error.size = sizeof o->error;
    o->counts.size = sizeof o->counts;
    o->status = lapse_store_import_arrow(store, &stream, &options, &o->counts, &o->error);
    error_check(o->status, &o->error);
    CHECK(!stream.release && source.released == 1 && source.schemas == 0);
    CHECK(source.live == 0);
    CHECK(o->status == LAPSE_OK || o->counts.read == 0);
    CHECK(o->counts.read == o->counts.accepted + o->counts.duplicate + o->counts.conflict + o->counts.rejected);
    CHECK(text_of_store(&o->events, store) == LAPSE_OK);

    lapse_store *again = store_new(&store_options);
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    struct text events = { 0 };
    CHECK(lapse_view_open(store, INT64_MAX, &view, NULL) == LAPSE_OK && lapse_view_events(view, &result, NULL) == LAPSE_OK);
    CHECK(lapse_result_export(result, 0, &stream, NULL) == LAPSE_OK);
    options.on_reject = NULL;
    options.flags = LAPSE_IMPORT_KEEP_ALL;
    CHECK(lapse_store_import_arrow(again, &stream, &options, NULL, NULL) == LAPSE_OK);
    CHECK(text_of_store(&events, again) == LAPSE_OK && text_same(&o->events, &events));
    text_free(&events);
    lapse_view_close(view);
    lapse_store_close(again);
    lapse_store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size };
    struct outcome one, three;
    uint8_t flags = fuzz_byte(&in);
    run(in, flags, 1, &one);
    run(in, flags, 3, &three);
    CHECK(one.status == three.status && one.counts.accepted == three.counts.accepted);
    CHECK(text_same(&one.events, &three.events) && one.rejected == three.rejected);
    text_free(&one.events);
    text_free(&three.events);
    return 0;
}
