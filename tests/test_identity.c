/* lib/store, identity: filters against what was put in; random commits against a naive reference, with filters that are
 * stored, lost, damaged or admit everything, and fingerprints that are nearly equal; two processes. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <lapse.h>

#include "store/identity.h"

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

/* In the place of the library's: with `similar` the first eight bytes take three values only. */
static bool similar;
void lapse_print_bytes(const uint8_t key[16], struct lapse_text source, struct lapse_text id,
                       uint8_t out[LAPSE_PRINT_SIZE])
{
    uint8_t text[1 + 255 + 255], whole[16];
    text[0] = (uint8_t)source.size;
    memcpy(text + 1, source.data, source.size);
    memcpy(text + 1 + source.size, id.data, id.size);
    lapse_siphash(key, text, 1 + source.size + id.size, whole);
    memcpy(out, whole, LAPSE_PRINT_SIZE);
    if (similar)
        memset(out, 0, 7);
    if (similar)
        out[7] %= 3;
}

/* ---- filter.c ---------------------------------------------------------------------------------------------- */

static int order_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t *random_keys(size_t n, uint64_t below)
{
    uint64_t *keys = malloc((n + 1) * sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = draw(below);
    qsort(keys, n, sizeof *keys, order_keys);
    return keys;
}

static void check_members(const struct lapse_filter *f, const uint64_t *keys, size_t n)
{
    uint32_t *admitted = malloc((n + 1) * sizeof *admitted);
    for (size_t i = 0; i < f->count; i++)
        assert_true(lapse_filter_open(&f->parts[i]));
    assert_int_equal(lapse_filter_admit(f, keys, n, admitted), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(admitted[i], i);
    free(admitted);
}

static size_t count_false(const struct lapse_filter *f, size_t asked)
{
    uint64_t *keys = random_keys(asked, UINT64_MAX);
    uint32_t *admitted = malloc(asked * sizeof *admitted);
    size_t n = lapse_filter_admit(f, keys, asked, admitted);
    for (size_t i = 1; i < n; i++)
        assert_true(admitted[i] > admitted[i - 1] && admitted[i] < asked);
    free(keys);
    free(admitted);
    return n;
}

static void filters_admit_what_is_there(void **state)
{
    (void)state;
    const size_t sizes[] = { 1, 2, 3, 63, 64, 65, 127, 129, 1000, 8192, 65535, LAPSE_FILTER_KEYS };
    const uint64_t ranges[] = { 1, 2, 100, 1000000, UINT64_C(1) << 32, UINT64_C(1) << 33, UINT64_MAX };
    const unsigned bits[] = { 1, 7, LAPSE_FILTER_BITS, LAPSE_FILTER_MORE_BITS };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
            for (size_t b = 0; b < sizeof bits / sizeof *bits; b++) {
                if (sizes[s] > 1000 && (r + b) % 4)
                    continue;
                uint64_t *keys = random_keys(sizes[s], ranges[r]);
                struct lapse_filter *f = lapse_filter_new(&mem);
                if (draw(2))
                    keys[sizes[s] - 1] = UINT64_MAX;
                assert_true(lapse_filter_add(f, keys, sizes[s], bits[b]));
                check_members(f, keys, sizes[s]);
                lapse_filter_free(f);
                free(keys);
            }
}

/* Two bytes a key, and what is not there is admitted as rarely as promised. */
static void filters_are_small_and_tell(void **state)
{
    (void)state;
    const size_t n = 150000, asked = 400000;
    uint64_t *keys = random_keys(n, UINT64_MAX), *waiting = NULL;
    size_t wait = 0, bytes = 0;
    struct lapse_filter *f = lapse_filter_new(&mem);
    for (size_t i = 0; i < n; i++) {
        uint8_t text[LAPSE_PRINT_SIZE] = { 0 };
        for (int b = 0; b < 8; b++)
            text[b] = (uint8_t)(keys[i] >> (56 - 8 * b));
        assert_true(lapse_filter_take(f, &waiting, &wait, (struct lapse_text){ (const char *)text, sizeof text }));
    }
    assert_true(lapse_filter_end(f, waiting, wait));
    check_members(f, keys, n);
    for (size_t i = 0; i < f->count; i++)
        bytes += f->parts[i].size + sizeof f->parts[i];
    assert_in_range(bytes, n, 2 * n);
    assert_in_range(count_false(f, asked), asked / 8192 / 2, asked / 8192 * 2);
    lapse_filter_free(f);

    f = lapse_filter_new(&mem);
    assert_true(lapse_filter_add(f, keys, 20000, LAPSE_FILTER_MORE_BITS));
    assert_in_range(count_false(f, asked), 0, 5);
    lapse_filter_free(f);

    f = lapse_filter_new(&mem); /* unsorted, with doubles, more than a part */
    struct lapse_sort_key *some = malloc(150000 * sizeof *some);
    for (uint32_t i = 0; i < 150000; i++)
        some[i] = (struct lapse_sort_key){ keys[draw(100000)], i };
    uint64_t *those = malloc(150000 * sizeof *those);
    for (size_t i = 0; i < 150000; i++)
        those[i] = some[i].key;
    qsort(those, 150000, sizeof *those, order_keys);
    assert_true(lapse_filter_add_all(f, some, 150000));
    check_members(f, those, 150000);
    assert_int_equal(f->count, 2);
    lapse_filter_free(f);
    mem.release(mem.user, waiting);
    free(some);
    free(those);
    free(keys);
}

static void damaged_filters_are_safe(void **state)
{
    (void)state;
    uint64_t *keys = random_keys(3000, UINT64_MAX), *asked = random_keys(3000, UINT64_MAX);
    uint32_t admitted[3000];
    int sound = 0;
    for (int round = 0; round < 300; round++) {
        struct lapse_filter *f = lapse_filter_new(&mem);
        assert_true(lapse_filter_add(f, keys, 3000, LAPSE_FILTER_BITS));
        struct lapse_filter_part *part = &f->parts[0];
        for (uint64_t n = 1 + draw(50); n > 0; n--)
            part->data[round % 2 ? 200 + draw(part->size - 200) : draw(part->size)] = (uint8_t)draw(256);
        if (round % 10 == 0)
            memset(part->data + 100, 255, part->size - 100);
        if (lapse_filter_open(part)) {
            sound++;
            assert_in_range(lapse_filter_admit(f, asked, 3000, admitted), 0, 3000);
        }
        lapse_filter_free(f);
    }
    assert_in_range(sound, 100, 299);
    free(keys);
    free(asked);
}

/* ---- recent.c -------------------------------------------------------------------------------------------------- */

static void recent_rows_are_the_latest(void **state)
{
    (void)state;
    enum { ROWS = 100000 };
    lapse_store *store;
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    const int64_t spans[] = { 1, 3, 1000, ROWS * INT64_C(10) };
    for (size_t s = 0; s < sizeof spans / sizeof *spans; s++) {
        struct lapse_recent recent;
        lapse_recent_init(&recent, store);
        int64_t *time = malloc(ROWS * sizeof *time), after = 0;
        uint64_t *all = malloc(ROWS * sizeof *all);
        struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) };
        c.number[LAPSE_F_TIME] = time;
        for (size_t i = 0; i < ROWS; i++)
            time[i] = (int64_t)draw((uint64_t)spans[s]);
        for (size_t i = 0; i < ROWS; i += 10)
            lapse_recent_take(&recent, (struct lapse_text){ "ann", 3 }, &c, i, 10);
        assert_false(recent.failed);
        struct lapse_filter *f = lapse_recent_filter(&recent);
        assert_non_null(f);
        for (size_t i = 0; i < ROWS; i++)
            if (time[i] >= f->since)
                all[after++] = lapse_content_key(recent.seed, (struct lapse_text){ "ann", 3 }, &c, i);
        qsort(all, (size_t)after, sizeof *all, order_keys);
        check_members(f, all, (size_t)after);
        assert_int_equal(after, recent.count);
        assert_in_range(recent.count, spans[s] > 1000 ? recent.least : 0, 2 * recent.least);
        lapse_filter_free(f);
        lapse_recent_free(&recent);
        free(time);
        free(all);
    }
    lapse_store_close(store);
}

/* Equal rows have equal keys, however their columns lie; others hardly ever. */
static void content_keys(void **state)
{
    (void)state;
    static const int64_t time[2] = { 5, 5 }, amount[2] = { LAPSE_MISSING, 7 };
    static const uint8_t kind[2] = { 1, 1 }, length[2] = { 0, 3 };
    static const uint32_t begin[2] = { 0, 0 };
    const struct lapse_text ann = { "ann", 3 };
    struct lapse_columns a = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) };
    a.number[LAPSE_F_TIME] = time;
    a.name[LAPSE_F_KIND] = kind;
    struct lapse_columns b = a;
    b.fields |= LAPSE_FIELD_BIT(LAPSE_F_AMOUNT) | LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_ITEM);
    b.number[LAPSE_F_AMOUNT] = amount;
    b.text[LAPSE_F_REF] = (struct lapse_text_column){ "xyz", begin, length, NULL };
    b.constant = LAPSE_FIELD_BIT(LAPSE_F_TIME);
    assert_true(lapse_content_key(1, ann, &a, 0) == lapse_content_key(1, ann, &b, 0));
    assert_true(lapse_content_key(1, ann, &a, 1) != lapse_content_key(1, ann, &b, 1));
    assert_true(lapse_content_key(1, ann, &a, 0) != lapse_content_key(2, ann, &a, 0));
    assert_true(lapse_content_key(1, ann, &a, 0) != lapse_content_key(1, (struct lapse_text){ "bob", 3 }, &a, 0));
    uint64_t with_ref = lapse_content_key(1, ann, &b, 1);
    b.text[LAPSE_F_ITEM] = b.text[LAPSE_F_REF];
    b.text[LAPSE_F_REF].begin = NULL;
    assert_true(lapse_content_key(1, ann, &b, 1) != with_ref); /* the same text in another column */
}

/* ---- commits against a naive reference ---------------------------------------------------------------------------- */

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (lapse_mem_init(&mem, NULL, NULL) != LAPSE_OK || !mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static lapse_store *open_store(const char *at, int64_t memory)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.memory_limit = memory;
    o.sync = LAPSE_SYNC_OFF;
    lapse_status status = lapse_store_open(at, &o, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

/* Events are drawn from small domains, so that they meet again. An event is told by one number. */
struct world {
    int64_t customers, times, amounts, ids; /* how many there are; ids 0: none */
    int64_t id_share;                       /* of 100 events those with an id */
};
struct event {
    uint8_t source;
    int64_t id;       /* -1: none */
    int64_t content;  /* customer, time and amount in one */
};

static struct event draw_event(const struct world *w, int64_t from, int64_t span)
{
    struct event e = { .id = -1 };
    int64_t time = from + (int64_t)draw((uint64_t)span);
    e.content = ((int64_t)draw((uint64_t)w->customers) * w->times + time) * w->amounts + (int64_t)draw((uint64_t)w->amounts);
    e.source = (uint8_t)draw(3);
    if (w->ids && (int64_t)draw(100) < w->id_share)
        e.id = (int64_t)draw((uint64_t)w->ids);
    return e;
}

/* What the store holds: of each (source, id) its content, of each (source, content) how many. */
struct model {
    const struct world *w;
    int64_t *by_id;   /* content + 1 */
    int32_t *by_content, *in_call;
    int64_t events;
};

static size_t contents(const struct world *w)
{
    return (size_t)(3 * w->customers * w->times * w->amounts);
}

static void open_model(struct model *m, const struct world *w)
{
    *m = (struct model){ .w = w };
    m->by_id = calloc(3 * (size_t)(w->ids + 1), sizeof *m->by_id);
    m->by_content = calloc(contents(w), sizeof *m->by_content);
    m->in_call = calloc(contents(w), sizeof *m->in_call);
}

static void close_model(struct model *m)
{
    free(m->by_id);
    free(m->by_content);
    free(m->in_call);
}

static size_t place(const struct world *w, const struct event *e)
{
    return (size_t)(e->source * (w->customers * w->times * w->amounts) + e->content);
}

/* Takes n events of one call; what each should come to. Of equal rows without id any may be the duplicate: those have
 * the number that should be new in *fresh of their content, which the caller counts down. */
static void expect(struct model *m, const struct event *events, int64_t n, bool keep_all, int32_t *outcomes,
                   int32_t *fresh)
{
    for (int64_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        outcomes[i] = LAPSE_ROW_ACCEPTED;
        if (e->id < 0) {
            m->in_call[place(m->w, e)]++;
            continue;
        }
        int64_t *known = &m->by_id[e->source * (m->w->ids + 1) + e->id];
        if (*known)
            outcomes[i] = *known == e->content + 1 ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_CONFLICT;
        else
            *known = e->content + 1, m->events++;
    }
    for (int64_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        size_t at = place(m->w, e);
        if (e->id >= 0 || m->in_call[at] == 0)
            continue;
        int32_t more = keep_all ? m->in_call[at] : m->in_call[at] - m->by_content[at];
        fresh[at] = more > 0 ? more : 0;
        m->by_content[at] += fresh[at];
        m->events += fresh[at];
        m->in_call[at] = 0;
    }
}

static const char *const sources[] = { "shop", "till", "" };

static lapse_counts append(lapse_store *store, const struct world *w, const struct event *events, int64_t n,
                           uint32_t flags, int32_t *outcomes)
{
    size_t rows = (size_t)n;
    char *customer = malloc(rows * 12 + 1), *id = malloc(rows * 12 + 1), *source = malloc(rows * 4 + 1);
    int64_t *at = calloc(3 * (rows + 1), sizeof *at), *id_at = at + rows + 1, *source_at = id_at + rows + 1;
    int64_t *time = malloc(rows * sizeof *time), *amount = malloc(rows * sizeof *amount);
    for (size_t i = 0; i < rows; i++) {
        const struct event *e = &events[i];
        at[i + 1] = at[i] + sprintf(customer + at[i], "C%d", (int)(e->content / w->amounts / w->times));
        id_at[i + 1] = id_at[i] + (e->id < 0 ? 0 : sprintf(id + id_at[i], "%d", (int)e->id));
        source_at[i + 1] = source_at[i] + sprintf(source + source_at[i], "%s", sources[e->source]);
        time[i] = (e->content / w->amounts % w->times + 1) * LAPSE_DAY;
        amount[i] = e->content % w->amounts;
    }
    lapse_batch batch = { .size = sizeof batch, .rows = n, .customer = customer, .customer_offsets = at, .time = time,
                          .amount = amount, .source = source, .source_offsets = source_at };
    if (w->ids) {
        batch.event_id = id;
        batch.event_id_offsets = id_at;
    }
    lapse_append_options options;
    lapse_append_options_init(&options, sizeof options);
    options.flags = flags;
    options.outcomes = outcomes;
    lapse_counts counts = { .size = sizeof counts };
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_append(store, &batch, &options, &counts, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    assert_int_equal(counts.read, n);
    assert_int_equal(counts.accepted + counts.duplicate + counts.conflict, n);
    free(customer);
    free(id);
    free(source);
    free(at);
    free(time);
    free(amount);
    return counts;
}

/* Appends and compares outcome by outcome. */
static void check_append(lapse_store *store, struct model *m, const struct event *events, int64_t n, uint32_t flags)
{
    int32_t *outcomes = malloc((size_t)n * sizeof *outcomes), *expected = malloc((size_t)n * sizeof *expected);
    int32_t *fresh = calloc(contents(m->w), sizeof *fresh);
    int64_t before = m->events;
    lapse_counts counts = append(store, m->w, events, n, flags, outcomes);
    expect(m, events, n, flags & LAPSE_IMPORT_KEEP_ALL, expected, fresh);
    for (int64_t i = 0; i < n; i++) {
        if (events[i].id >= 0)
            assert_int_equal(outcomes[i], expected[i]);
        else
            fresh[place(m->w, &events[i])] -= outcomes[i] == LAPSE_ROW_ACCEPTED;
    }
    for (size_t c = 0; c < contents(m->w); c++)
        assert_int_equal(fresh[c], 0);
    assert_int_equal(counts.accepted, m->events - before);
    free(outcomes);
    free(expected);
    free(fresh);
}

static int64_t rows_in(lapse_store *store, int family)
{
    struct lapse_manifest *m;
    int64_t rows = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++) {
        rows += m->runs[i]->family == family ? m->runs[i]->rows : 0;
        assert_int_not_equal(m->runs[i]->family, LAPSE_RUN_STAGED);
        assert_int_equal(m->runs[i]->fields & ~LAPSE_ALL_FIELDS, 0); /* no lines are left in it */
    }
    lapse_manifest_release(m);
    return rows;
}

/* Everything the store shows, read row by row. */
static int64_t events_in(lapse_store *store)
{
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    int64_t rows = 0;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    lapse_result_free(result);
    lapse_view_close(view);
    return rows;
}

static void check_store(lapse_store *store, const struct model *m)
{
    int64_t ids = 0;
    for (int64_t i = 0; i < 3 * (m->w->ids + 1); i++)
        ids += m->by_id[i] != 0;
    assert_int_equal(rows_in(store, LAPSE_RUN_EVENTS), m->events);
    assert_int_equal(rows_in(store, LAPSE_RUN_FINGERPRINTS), ids);
    assert_int_equal(events_in(store), m->events);
}

static void random_commits(const struct world *w, int commits, int64_t most, bool in_time)
{
    struct model m;
    remove(path);
    lapse_store *store = open_store(path, 16 << 20);
    struct event *events = malloc((size_t)most * sizeof *events);
    open_model(&m, w);
    for (int c = 0; c < commits; c++) {
        int64_t n = 1 + (int64_t)draw((uint64_t)most), span = in_time ? w->times / 8 : w->times;
        int64_t from = in_time && draw(8) ? (w->times - span) * c / commits : (int64_t)draw((uint64_t)(w->times - span + 1));
        for (int64_t i = 0; i < n; i++)
            events[i] = draw_event(w, from, span);
        check_append(store, &m, events, n, draw(10) == 0 ? LAPSE_IMPORT_KEEP_ALL : 0);
        if (draw(4) == 0)
            check_append(store, &m, events, n - (int64_t)draw((uint64_t)n), 0); /* an overlapping extract */
        if (draw(10) == 0) { /* a dry run changes nothing */
            for (int64_t i = 0; i < n; i++)
                events[i] = draw_event(w, from, span);
            append(store, w, events, n, LAPSE_IMPORT_DRY_RUN, NULL);
        }
        if (draw(6) == 0) {
            lapse_store_close(store);
            store = open_store(path, 16 << 20);
        }
    }
    check_store(store, &m);
    lapse_store_close(store);
    close_model(&m);
    free(events);
}

static void commits_against_a_reference(void **state)
{
    (void)state;
    const struct world small = { 5, 40, 3, 60, 50 }, contents_only = { 20, 64, 2, 0, 0 }, ids_only = { 10, 40, 2, 400, 100 };
    for (int round = 0; round < 6; round++) {
        random_commits(&small, 30, 40, round % 2);
        random_commits(&contents_only, 30, 100, round % 2);
        random_commits(&ids_only, 20, 100, round % 2);
    }
    const struct world wide = { 500, 80, 3, 20000, 40 };
    random_commits(&wide, 12, 6000, true);
    random_commits(&wide, 6, 12000, false);
}

/* The first eight bytes of fingerprints tell little then, the rest decides. */
static void similar_fingerprints(void **state)
{
    (void)state;
    const struct world w = { 5, 40, 3, 90, 80 };
    similar = true;
    random_commits(&w, 30, 60, false);
    similar = false;
}

/* More fingerprints than memory: they are put aside, in more than one staged run. */
static void fingerprints_put_aside(void **state)
{
    (void)state;
    const struct world w = { 1000, 40, 5, 120000, 90 };
    struct model m;
    const int64_t n = 200000;
    struct event *events = malloc((size_t)n * sizeof *events);
    remove(path);
    lapse_store *store = open_store(path, 16 << 20);
    open_model(&m, &w);
    for (int64_t i = 0; i < n; i++)
        events[i] = draw_event(&w, 0, w.times);
    check_append(store, &m, events, n, 0);
    check_append(store, &m, events, n, 0);
    check_store(store, &m);
    lapse_store_close(store);
    store = open_store(path, 16 << 20); /* what was put aside is not in the file any more */
    struct lapse_manifest *manifest;
    assert_int_equal(lapse_store_manifest(store, &manifest, NULL), LAPSE_OK);
    int64_t *others = NULL, *ids = malloc(1000000), *ordered = malloc(1000000);
    size_t count = 0, k = 0;
    for (size_t i = 0; i < manifest->count; i++)
        k += lapse_run_ids(manifest->runs[i], ids + k);
    qsort(ids, k, sizeof *ids, order_keys);
    assert_int_equal(lapse_file_other_blocks(store->file, ids, k, &others, &count, NULL), LAPSE_OK);
    assert_int_equal(count, 0);
    lapse_manifest_release(manifest);
    lapse_store_close(store);
    close_model(&m);
    free(ids);
    free(ordered);
    free(events);
}

/* ---- filters that are stored, lost, damaged, useless ---------------------------------------------------------------- */

enum { MANY = 90000 };

/* A store whose runs are large enough to have stored filters, of both families. */
static lapse_store *large_store(struct model *m, const struct world *w, struct event *events)
{
    remove(path);
    lapse_store *store = open_store(path, 64 << 20);
    open_model(m, w);
    for (int64_t i = 0; i < MANY; i++)
        events[i] = draw_event(w, i * w->times / MANY, 1);
    check_append(store, m, events, MANY, 0);
    return store;
}

/* Does something to each filter of the store; returns how many are stored. */
static int each_filter(lapse_store *store, void (*change)(struct lapse_filter *filter, sqlite3 *db))
{
    struct lapse_manifest *m;
    sqlite3 *db = NULL;
    int stored = 0;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++) {
        struct lapse_filter *f = m->runs[i]->filter;
        stored += f && f->count && f->parts[0].id;
        if (f && change)
            change(f, db);
    }
    lapse_manifest_release(m);
    sqlite3_close(db);
    return stored;
}

static void execute(sqlite3 *db, const char *sql, int64_t id)
{
    char text[200];
    snprintf(text, sizeof text, sql, (long long)id);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
}

static void lose(struct lapse_filter *f, sqlite3 *db)
{
    for (size_t i = 0; i < f->count; i++)
        execute(db, "DELETE FROM block WHERE id = %lld", f->parts[i].id);
}

static void damage(struct lapse_filter *f, sqlite3 *db)
{
    for (size_t i = 0; i < f->count; i++)
        execute(db, "UPDATE block SET data = zeroblob(length(data)) WHERE id = %lld", f->parts[i].id);
}

static void shorten(struct lapse_filter *f, sqlite3 *db)
{
    for (size_t i = 0; i < f->count; i++)
        execute(db, "UPDATE block SET data = substr(data, 1, 10) WHERE id = %lld", f->parts[i].id);
}

/* All bits 1: then it admits every key in its range. */
static void blur(struct lapse_filter *f, sqlite3 *db)
{
    (void)db;
    for (size_t i = 0; i < f->count; i++) {
        struct lapse_filter_part *p = &f->parts[i];
        uint32_t counts = 2 + (p->keys + 31) / 32 * 2;
        if (p->data)
            memset(p->data + counts, 255, p->size - counts - 8);
    }
}

static void nothing(struct lapse_filter *f, sqlite3 *db)
{
    (void)f;
    (void)db;
}

static void filters_are_only_a_help(void **state)
{
    (void)state;
    const struct world w = { 3000, 300, 2, 300000, 50 };
    void (*const changes[])(struct lapse_filter *, sqlite3 *) = { nothing, lose, damage, shorten, blur };
    struct event *events = malloc(MANY * sizeof *events), *more = malloc(2000 * sizeof *more);
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
        struct model m;
        lapse_store *store = large_store(&m, &w, events);
        if (changes[c] != blur) {
            lapse_store_close(store);
            store = open_store(path, 64 << 20);
        }
        assert_in_range(each_filter(store, changes[c]), 1, 10);
        for (int round = 0; round < 4; round++) { /* late ones, some known, some not */
            for (int64_t i = 0; i < 2000; i++)
                more[i] = draw(2) ? events[draw(MANY)] : draw_event(&w, round % 2 ? 0 : w.times - 2, round % 2 ? w.times : 2);
            check_append(store, &m, more, 2000, 0);
            if (changes[c] == blur)
                each_filter(store, blur);
        }
        check_store(store, &m);
        lapse_store_close(store);
        close_model(&m);
    }
    free(events);
    free(more);
}

/* ---- retractions, processes ------------------------------------------------------------------------------------------ */

static int64_t append_one(lapse_store *store, const char *customer, int64_t day, int32_t kind, const char *ref,
                          const char *id)
{
    const int64_t customer_at[] = { 0, (int64_t)strlen(customer) }, ref_at[] = { 0, (int64_t)strlen(ref) };
    const int64_t id_at[] = { 0, (int64_t)strlen(id) }, source_at[] = { 0, 4 }, time = day * LAPSE_DAY;
    lapse_batch batch = { .size = sizeof batch, .rows = 1, .customer = customer, .customer_offsets = customer_at,
                          .time = &time, .kind = &kind, .ref = ref, .ref_offsets = ref_at, .event_id = id,
                          .event_id_offsets = id_at, .source = "shop", .source_offsets = source_at };
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(lapse_store_append(store, &batch, NULL, &counts, NULL), LAPSE_OK);
    return counts.accepted;
}

static int64_t orders_of(lapse_store *store)
{
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    int64_t rows = 0;
    assert_int_equal(lapse_view_open(store, 100 * LAPSE_DAY, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    lapse_result_free(result);
    lapse_view_close(view);
    return rows;
}

/* An event taken back acts no more, whichever came first, and importing it again does not bring it back. */
static void retracted_events_stay_so(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        lapse_store *store = open_store(NULL, 16 << 20);
        for (int step = 0; step < 2; step++) {
            if ((step == 0) == (first == 0)) {
                assert_int_equal(append_one(store, "ann", 10, LAPSE_KIND_ORDER_PLACED, "o1", "e1"), 1);
                assert_int_equal(orders_of(store), step == 0);
            } else {
                assert_int_equal(append_one(store, "ann", 20, LAPSE_KIND_EVENT_RETRACTED, "e1", "r1"), 1);
            }
        }
        assert_int_equal(orders_of(store), 0);
        assert_int_equal(append_one(store, "ann", 10, LAPSE_KIND_ORDER_PLACED, "o1", "e1"), 0);
        assert_int_equal(append_one(store, "ann", 30, LAPSE_KIND_ORDER_PLACED, "o1", "e1"), 0); /* a conflict */
        assert_int_equal(orders_of(store), 0);
        assert_int_equal(append_one(store, "ann", 30, LAPSE_KIND_ORDER_PLACED, "o1", "e2"), 1);
        assert_int_equal(orders_of(store), 1);
        lapse_store_close(store);
    }
}

/* Two processes append the same events, batch by batch at once: each event is taken by one of them. */
static void two_processes(void **state)
{
    (void)state;
    const struct world w = { 200, 300, 100, 1000000, 50 };
    enum { BATCHES = 30, ROWS = 500 };
    static struct event events[BATCHES * ROWS];
    static bool seen[2][20000000];
    int ends[2];
    int64_t theirs = 0, ours = 0, different = 0;
    for (int64_t i = 0; i < BATCHES * ROWS; i++) {
        events[i] = draw_event(&w, i * w.times / (BATCHES * ROWS), 1);
        events[i].source = 0;
        bool *s = &seen[events[i].id >= 0][events[i].id >= 0 ? events[i].id : events[i].content];
        different += !*s;
        if (*s)
            i--; /* so that each is one event, whoever takes it */
        else
            *s = true;
    }
    remove(path);
    lapse_store_close(open_store(path, 16 << 20));
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    lapse_store *store = open_store(path, 16 << 20);
    for (int b = 0; b < BATCHES; b++)
        ours += append(store, &w, events + b * ROWS, ROWS, 0, NULL).accepted;
    lapse_store_close(store);
    if (child == 0) {
        ssize_t written = write(ends[1], &ours, sizeof ours);
        _exit(written == sizeof ours ? 0 : 1);
    }
    int status;
    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ours + theirs, different);
    store = open_store(path, 16 << 20);
    assert_int_equal(rows_in(store, LAPSE_RUN_EVENTS), different);
    lapse_store_close(store);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_admit_what_is_there),
        cmocka_unit_test(filters_are_small_and_tell),
        cmocka_unit_test(damaged_filters_are_safe),
        cmocka_unit_test(recent_rows_are_the_latest),
        cmocka_unit_test(content_keys),
        cmocka_unit_test(commits_against_a_reference),
        cmocka_unit_test(similar_fingerprints),
        cmocka_unit_test(fingerprints_put_aside),
        cmocka_unit_test(filters_are_only_a_help),
        cmocka_unit_test(retracted_events_stay_so),
        cmocka_unit_test(two_processes),
    };
    return cmocka_run_group_tests_name("identity", tests, make_folder, remove_folder);
}
