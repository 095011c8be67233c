/* Failing allocations: through the allocator of the store, each allocation of an operation fails once, and from it on
 * for good, until the operation meets no failure any more. Each failure must be told as LAPSE_NO_MEMORY, leave the
 * store as it was and usable, and nothing allocated in the end. SQLite's own memory: test_memory_sqlite.c. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <lapse.h>

#include "store/identity.h"

/* ---- the allocator ------------------------------------------------------------------------------------------ */

static struct {
    atomic_long count, live;
    long fail_at; /* 0: none fails */
    bool for_good;
    atomic_bool fired;
} hook;

static bool refuse(void)
{
    long n = atomic_fetch_add(&hook.count, 1) + 1;
    bool failing = hook.fail_at && (n == hook.fail_at || (hook.for_good && n > hook.fail_at));
    if (failing)
        atomic_store(&hook.fired, true);
    return failing;
}

static void *hook_alloc(void *user, size_t bytes)
{
    void *p = refuse() ? NULL : malloc(bytes);
    (void)user;
    if (p)
        atomic_fetch_add(&hook.live, 1);
    return p;
}

static void *hook_resize(void *user, void *memory, size_t bytes)
{
    (void)user;
    return refuse() ? NULL : realloc(memory, bytes);
}

static void hook_release(void *user, void *memory)
{
    (void)user;
    assert_non_null(memory);
    atomic_fetch_sub(&hook.live, 1);
    free(memory);
}

static const lapse_allocator hooks = { sizeof hooks, 0, NULL, hook_alloc, hook_resize, hook_release };

static void fail_from(long n, bool for_good)
{
    atomic_store(&hook.fired, false);
    hook.for_good = for_good;
    hook.fail_at = n ? atomic_load(&hook.count) + n : 0;
}

/* ---- what is done with a store -------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t size;
};

static int32_t add_bytes(void *user, const char *bytes, int64_t size)
{
    struct text *t = user;
    t->data = realloc(t->data, t->size + (size_t)size + 1);
    assert_non_null(t->data);
    memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += (size_t)size;
    t->data[t->size] = 0;
    return 0;
}

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char store_path[64], text_path[64];

static const int64_t zone_starts[] = { INT64_MIN, INT64_C(1711846800000000), INT64_C(1729990800000000) };
static const int32_t zone_offsets[] = { 3600, 7200, 3600 };

static lapse_status open_store(const char *path, uint32_t flags, lapse_store **out, lapse_error *error)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = flags;
    o.allocator = &hooks;
    o.memory_limit = 16 << 20;
    o.sync = LAPSE_SYNC_OFF;
    o.zone_count = 3;
    o.zone_starts = zone_starts;
    o.zone_offsets = zone_offsets;
    o.zone_name = "Europe/Berlin";
    o.currency = "EUR";
    return lapse_store_open(path, &o, out, error);
}

struct file {
    const char *text, *map, *source;
    uint32_t flags;
    int32_t threads;
    bool stream;
    size_t size, given; /* of a stream; 0: all of `text`, 100 bytes at a time */
    int rejects;
    struct text told;
};

static int64_t read_text(void *user, char *buffer, int64_t capacity)
{
    struct file *f = user;
    size_t n = (f->size ? f->size : strlen(f->text)) - f->given, most = f->size ? (size_t)capacity : 100;
    n = n < most ? n : most;
    memcpy(buffer, f->text + f->given, n);
    f->given += n;
    return (int64_t)n;
}

static int32_t note_reject(void *user, const lapse_reject *r)
{
    struct file *f = user;
    char line[600];
    f->rejects++;
    int n = snprintf(line, sizeof line, "%d %lld %s|%s|%s|%.*s\n", (int)r->outcome, (long long)r->line, r->column,
                     r->text, r->rule, (int)r->row_size, r->row);
    return add_bytes(&f->told, line, n);
}

static lapse_status import_file(lapse_store *store, void *user, lapse_error *error)
{
    struct file *f = user;
    lapse_import_options o;
    lapse_counts counts = { .size = sizeof counts };
    lapse_import_options_init(&o, sizeof o);
    o.flags = f->flags;
    o.threads = f->threads;
    o.map = f->map;
    o.source = f->source ? f->source : "shop";
    o.on_reject = note_reject;
    o.reject_user = f;
    free(f->told.data);
    f->told = (struct text){ NULL, 0 };
    f->given = 0;
    f->rejects = 0;
    if (f->stream)
        return lapse_store_import_stream(store, read_text, f, &o, &counts, error);
    FILE *out = fopen(text_path, "w");
    assert_non_null(out);
    fputs(f->text, out);
    assert_int_equal(fclose(out), 0);
    return lapse_store_import_file(store, text_path, &o, &counts, error);
}

/* What is asked of a view, told as CSV. */
struct question {
    int64_t as_of;
    lapse_status (*ask)(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error);
    int how; /* write, collect, or pull part by part */
    const char *expected; /* NULL: not known yet */
    struct text answer;
};
enum { WRITE, COLLECT, PULL };

static void add_number(struct text *t, int64_t n)
{
    char line[32];
    add_bytes(t, line, snprintf(line, sizeof line, "%lld\n", (long long)n));
}

/* Enough of a table to see that nothing of it is missing. */
static void add_table(struct text *t, const lapse_table *table)
{
    add_number(t, lapse_table_rows(table));
    for (int32_t i = 0; i < lapse_table_columns(table); i++) {
        lapse_column c = { .size = sizeof c };
        assert_int_equal(lapse_table_column(table, i, &c), LAPSE_OK);
        add_bytes(t, c.name, (int64_t)strlen(c.name));
        add_number(t, c.missing);
        if (c.type == LAPSE_TYPE_STRING)
            add_bytes(t, c.data, c.offsets[c.rows]);
        else
            for (int64_t r = 0; r < c.rows; r++)
                add_number(t, ((const int64_t *)c.data)[r]);
    }
}

static lapse_status take_answer(struct question *q, lapse_result *result, lapse_error *error)
{
    lapse_table *table;
    lapse_status status = LAPSE_OK;
    for (int32_t i = 0; i < lapse_result_notes(result); i++)
        add_bytes(&q->answer, lapse_result_note(result, i), (int64_t)strlen(lapse_result_note(result, i)));
    if (q->how == WRITE)
        return lapse_result_write_csv(result, add_bytes, &q->answer, error);
    while (status == LAPSE_OK) {
        status = q->how == COLLECT ? lapse_result_collect(result, &table, error)
                                   : lapse_result_next(result, &table, error);
        assert_true((status == LAPSE_OK) == (table != NULL));
        if (status != LAPSE_OK)
            break;
        add_table(&q->answer, table);
        lapse_table_release(table);
        if (q->how == COLLECT)
            return LAPSE_OK;
    }
    if (status == LAPSE_DONE)
        return LAPSE_OK;
    assert_int_equal(lapse_result_next(result, &table, NULL), status); /* what ended it is told again */
    return status;
}

static lapse_status answer(lapse_store *store, void *user, lapse_error *error)
{
    struct question *q = user;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    free(q->answer.data);
    q->answer = (struct text){ NULL, 0 };
    lapse_status status = lapse_view_open(store, q->as_of, &view, error);
    if (status != LAPSE_OK)
        assert_null(view);
    if (status == LAPSE_OK) {
        status = q->ask(store, view, &result, error);
        assert_true((status == LAPSE_OK) == (result != NULL));
    }
    lapse_view_close(view); /* before its result */
    if (status == LAPSE_OK)
        status = take_answer(q, result, error);
    if (status == LAPSE_OK && q->expected)
        assert_string_equal(q->answer.data, q->expected);
    lapse_result_free(result);
    return status;
}

static lapse_status ask_events(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_events(view, out, error);
}

static char *export_of(lapse_store *store)
{
    struct question q = { .as_of = INT64_MAX, .ask = ask_events };
    assert_int_equal(answer(store, &q, NULL), LAPSE_OK);
    return q.answer.data;
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

typedef lapse_status step_fn(lapse_store *store, void *user, lapse_error *error);

/* Lets each allocation of `step` fail, on one and the same store, until none is left and the step is done. A step may
 * also get over a failure, when nothing is lost by it: the memory was for merging after the commit, or for a part of an
 * answer that turned out to be empty. Then a step that commits is done; an answer is compared by the step itself. */
static void fail_each(lapse_store *store, step_fn *step, void *user, bool for_good, bool commits)
{
    char *before = export_of(store);
    for (long n = 1;; n++) {
        lapse_error error = { .size = sizeof error };
        fail_from(n, for_good);
        lapse_status status = step(store, user, &error);
        bool fired = atomic_load(&hook.fired);
        fail_from(0, false);
        if (fired && status == LAPSE_OK && !commits)
            continue;
        if (fired && status != LAPSE_OK) {
            if (status != LAPSE_NO_MEMORY)
                print_error("allocation %ld: %s, %s\n", n, lapse_status_name(status), error.message);
            assert_int_equal(status, LAPSE_NO_MEMORY);
            assert_int_equal(error.status, LAPSE_NO_MEMORY);
            char *after = export_of(store);
            assert_string_equal(after, before);
            free(after);
            continue;
        }
        if (status != LAPSE_OK)
            print_error("%s\n", error.message);
        assert_int_equal(status, LAPSE_OK);
        assert_true(n > 1); /* it does allocate */
        break;
    }
    free(before);
}

static lapse_store *memory_store(void)
{
    lapse_store *store;
    fail_from(0, false);
    assert_int_equal(open_store(NULL, 0, &store, NULL), LAPSE_OK);
    return store;
}

/* Closing needs no memory, and gives all back. */
static void close_store(lapse_store *store)
{
    fail_from(1, true);
    lapse_store_close(store);
    assert_false(atomic_load(&hook.fired));
    fail_from(0, false);
    assert_int_equal(atomic_load(&hook.live), 0);
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static const char first_file[] =
    "customer,time,kind,amount,channel,ref,reason,event_id,source\n"
    "ann,2024-01-01,order.placed,10.50,email,o1,,1,shop\n"
    "ann,2024-02-01,order.placed,,,o2,late,2,shop\n"
    "bob,2024-03-31T01:30:00Z,order.placed,7,,,,3,shop\n"
    "bob,2024-04-01,order.refunded,1.25,,o3,broken,,web\n"
    "cat,2024-05-01,session.started,,,,,,web\n"
    "dan,2024-01-15,order.placed,99,,,,4,shop\n"
    "dan,2024-01-16,event.retracted,,,4,,5,shop\n"
    "dan,2024-01-17,order.placed,5,,,,6,shop\n";

static void try_opening(const char *path, uint32_t flags, bool for_good)
{
    for (long n = 1;; n++) {
        lapse_store *store = (lapse_store *)&hook;
        lapse_error error = { .size = sizeof error };
        fail_from(n, for_good);
        lapse_status status = open_store(path, flags, &store, &error);
        bool fired = atomic_load(&hook.fired);
        fail_from(0, false);
        if (!fired) {
            assert_int_equal(status, LAPSE_OK);
            close_store(store);
            return;
        }
        assert_int_equal(status, LAPSE_NO_MEMORY);
        assert_int_equal(error.status, LAPSE_NO_MEMORY);
        assert_null(store);
        assert_int_equal(atomic_load(&hook.live), 0);
    }
}

static void opening(void **state)
{
    struct file first = { .text = first_file, .threads = 1 };
    struct file second = { .text = "customer,time\nzoe,2024-01-01\n", .threads = 1 };
    lapse_store *store;
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        try_opening(NULL, 0, for_good);
        try_opening("b.lapse", 0, for_good); /* beside where we stand */
        unlink("b.lapse");
        try_opening(store_path, 0, for_good); /* each try finds what the last one left */
        assert_int_equal(open_store(store_path, LAPSE_STORE_MUST_EXIST, &store, NULL), LAPSE_OK);
        assert_int_equal(import_file(store, &first, NULL), LAPSE_OK);
        assert_int_equal(import_file(store, &second, NULL), LAPSE_OK);
        char *before = export_of(store);
        close_store(store);
        try_opening(store_path, LAPSE_STORE_MUST_EXIST, for_good);
        try_opening(store_path, LAPSE_STORE_READ_ONLY, for_good);
        assert_int_equal(open_store(store_path, LAPSE_STORE_READ_ONLY, &store, NULL), LAPSE_OK);
        char *after = export_of(store);
        assert_string_equal(after, before);
        close_store(store);
        free(before);
        free(after);
        unlink(store_path);
    }
    free(first.told.data);
    free(second.told.data);
}

static char big[4 << 20];

/* ---- imports ------------------------------------------------------------------------------------------------------ */

static const char second_file[] =
    "customer,time,kind,amount,channel,ref,reason,value,item,quantity,category,price,endpoint,evidence,event_id,"
    "source\n"
    "ann,2024-01-01,order.placed,10.51,email,o1,,,,,,,,,1,shop\n" /* differs: conflict */
    "\"eve, \"\"the\"\" first\",2024-06-01,order.placed,3.99,,o9,\"a \"\"reason\"\"\",2.5,i1,0.5,c,1,,,20,shop\n"
    "bob,2024-06-02,order.placed,-1,,,,,,,,,,,21,shop\n" /* bad: negative */
    "bob,2024-06-02,order.placed,1,,\"two\nlines\",,,,,,,,,22,shop\n"
    "bob,2024-06-02,order.placed,x\"y,,,,,,,,,,,23,shop\n" /* bad: quote */
    "bob,2024-06-02,order.placed,2,,,,,,,,,,,22,shop\n" /* conflict in itself */
    "fay,2024-06-03,endpoint.added,,email,,,,,,,,fay@example.org,\"he said \"\"yes\"\"\",24,shop\n"
    "fay,2024-06-03,no.such,,email,,,,,,,,,,,shop\n" /* bad: kind */
    "gil,2024-06-04,order.placed,4,,,,,,,,,,,,shop\n";

static const char third_file[] =
    "customer,time,n,each,who\n"
    "a,2024-01-01,2,1.50,x\nb,2024-01-02,-1,2.00,x\nc,2024-01-03,3,1.00,y\na,2024-01-04,1,1.00,x\n";

static struct file imports[] = {
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS, .threads = 1 },
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS, .threads = 3 },
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS, .threads = 1, .stream = true },
    { .text = third_file, .map = "amount=n*each,source=who",
      .flags = LAPSE_IMPORT_IGNORE_UNKNOWN | LAPSE_IMPORT_NEGATIVE_REFUND, .threads = 1 },
    { .text = third_file, .map = "amount=n*each,source=who",
      .flags = LAPSE_IMPORT_NEGATIVE_REFUND | LAPSE_IMPORT_KEEP_ALL, .threads = 2, .stream = true },
    { .text = "customer,time,reason,event_id,source\nann,2024-01-01,\"a \"\"conflict\"\"\",1,shop\n", .threads = 1 },
    { .text = first_file, .threads = 1 },                               /* once more: identity by id and content */
    { .text = "customer,time\nnew,2024-01-01\n", .source = "elsewhere", .threads = 1 }, /* nothing to be looked up */
    { .text = second_file, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_DRY_RUN, .threads = 1 },
};

static void importing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++) {
        struct file *f = &imports[i], first = { .text = first_file, .threads = 1 };
        char *expected = NULL, *told = NULL;
        for (int way = 0; way < 3; way++) { /* without failures, once, for good */
            lapse_store *store = memory_store();
            assert_int_equal(import_file(store, &first, NULL), LAPSE_OK);
            if (way == 0)
                assert_int_equal(import_file(store, f, NULL), LAPSE_OK);
            else
                fail_each(store, import_file, f, way == 2, true);
            char *all = export_of(store);
            if (way == 0) {
                expected = all;
                told = strdup(f->told.data ? f->told.data : "");
            } else {
                assert_string_equal(all, expected);
                assert_string_equal(f->told.data ? f->told.data : "", told);
                free(all);
            }
            close_store(store);
        }
        bool conflict = strstr(f->text, "conflict") != NULL;
        assert_int_equal(f->rejects, f->text == second_file ? 3 + 2 : conflict); /* bad rows and conflicts */
        free(expected);
        free(told);
        free(f->told.data);
        free(first.told.data);
    }
}

/* More than a chunk of input: a record that one chunk ends in is carried over. */
static void importing_chunks(void **state)
{
    enum { ROWS = 100, EACH = 30000 };
    size_t n = (size_t)sprintf(big, "customer,time,more\n");
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        n += (size_t)sprintf(big + n, "c%02d,2024-01-01,", i);
        memset(big + n, 'x', EACH);
        n += EACH;
        big[n++] = '\n';
    }
    struct file f = { .text = big, .size = n, .stream = true, .threads = 1, .flags = LAPSE_IMPORT_IGNORE_UNKNOWN };
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        fail_each(store, import_file, &f, for_good, true);
        char *all = export_of(store);
        assert_non_null(strstr(all, "\nc00,"));
        assert_non_null(strstr(all, "\nc99,"));
        free(all);
        close_store(store);
    }
}

/* More than one block a run. */
static void importing_blocks(void **state)
{
    enum { ROWS = 9000 };
    char *text = big;
    size_t n = (size_t)sprintf(text, "customer,time,amount,ref,event_id\n");
    (void)state;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(text + n, "c%05d,2024-01-%02d,%d,r%d,%d\n", i * 7919 % 5000, 1 + i % 28, i % 100, i % 300, i);
    struct file f = { .text = text, .size = n, .stream = true, .threads = 1 }, other = { .text = first_file, .threads = 1 };
    lapse_store *store = memory_store();
    assert_int_equal(import_file(store, &other, NULL), LAPSE_OK);
    char *before = export_of(store);
    long step = 1;
    for (long k = 1;; k += step) { /* too many to try each */
        fail_from(k, k % 2);
        lapse_status status = import_file(store, &f, NULL);
        bool fired = atomic_load(&hook.fired);
        fail_from(0, false);
        if (status == LAPSE_OK)
            break;
        assert_true(fired);
        assert_int_equal(status, LAPSE_NO_MEMORY);
        char *after = export_of(store);
        assert_string_equal(after, before);
        free(after);
        step = k < 20 ? 1 : 7;
    }
    char *after = export_of(store);
    size_t lines = 0;
    for (const char *p = after; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, 1 + 8 + ROWS);
    free(after);
    free(before);
    free(f.told.data);
    free(other.told.data);
    close_store(store);
}

/* A stage of many parts: a sample of the allocations of putting rows into it, and of sorting and writing them. */
static void staging(void **state)
{
    enum { EACH = 4096, BATCHES = 12 };
    static const long moments[] = { 1, 2, 3, 5, 10, 50, 100, 200, 500, 700, 1000, 1300, 1500, 2000 };
    static uint32_t begin[EACH], ref_begin[EACH];
    static uint8_t length[EACH], ref_length[EACH], kind[EACH];
    static int64_t time[EACH];
    static char ids[EACH * 8], refs[EACH * 8];
    lapse_store *store = memory_store();
    (void)state;
    for (size_t i = 0; i < 2 * sizeof moments / sizeof moments[0]; i++) {
        const struct lapse_columns none = { 0 };
        struct lapse_columns rows = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) |
                                                LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER) };
        struct lapse_stage *stage;
        struct lapse_stage_hand hand;
        lapse_status status = LAPSE_OK;
        rows.number[LAPSE_F_TIME] = time;
        rows.name[LAPSE_F_KIND] = kind;
        rows.text[LAPSE_F_CUSTOMER] = (struct lapse_text_column){ ids, begin, length, NULL };
        rows.text[LAPSE_F_REF] = (struct lapse_text_column){ refs, ref_begin, ref_length, NULL };
        lapse_stage_hand_init(&hand, &store->mem);
        assert_int_equal(lapse_stage_new(store, &none, 1 << 28, 1 << 16, &stage, NULL), LAPSE_OK);
        for (int b = 0; b < BATCHES && status == LAPSE_OK; b++) {
            for (uint32_t r = 0; r < EACH; r++) {
                int n = b * EACH + (int)r;
                begin[r] = ref_begin[r] = r * 8;
                length[r] = (uint8_t)sprintf(ids + r * 8, "c%05d", n * 7919 % 30011);
                ref_length[r] = (uint8_t)sprintf(refs + r * 8, "r%d", n);
                time[r] = 1 + n;
                kind[r] = (uint8_t)(1 + n % 20);
            }
            if (b == (i % 2 ? 0 : BATCHES - 1))
                fail_from(moments[i / 2], i % 4 < 2);
            status = lapse_stage_put(stage, &hand, &rows, EACH, NULL);
        }
        if (status == LAPSE_OK)
            status = lapse_stage_flush(stage, 1, NULL);
        bool fired = atomic_load(&hook.fired);
        fail_from(0, false);
        assert_int_equal(status, fired ? LAPSE_NO_MEMORY : LAPSE_OK);
        lapse_stage_free(stage);
        lapse_stage_hand_free(&hand);
    }
    close_store(store);
}

/* ---- appends -------------------------------------------------------------------------------------------------------- */

struct rows {
    const char *ids; /* NULL: none */
    uint32_t flags;
    const char *customers;
    int32_t outcomes[4];
};

static lapse_status append_rows(lapse_store *store, void *user, lapse_error *error)
{
    struct rows *r = user;
    static const int64_t times[] = { 86400000000, 2 * INT64_C(86400000000), 86400000000, 86400000000 };
    static const int64_t amounts[] = { 100, 200, 100, -5 }, offsets[] = { 0, 1, 2, 3, 4 };
    static const int32_t kinds[] = { LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_ORDER_PLACED,
                                     LAPSE_KIND_ORDER_PLACED };
    lapse_append_options o;
    lapse_append_options_init(&o, sizeof o);
    lapse_batch b = { .size = sizeof b, .rows = 4, .customer = r->customers, .customer_offsets = offsets,
                      .time = times, .kind = kinds, .amount = amounts, .ref = "wxyz", .ref_offsets = offsets };
    if (r->ids) {
        b.event_id = r->ids;
        b.event_id_offsets = offsets;
    }
    o.flags = LAPSE_IMPORT_SKIP_BAD_ROWS | r->flags;
    o.outcomes = r->outcomes;
    lapse_counts counts = { .size = sizeof counts };
    lapse_status status = lapse_store_append(store, &b, &o, &counts, error);
    if (status == LAPSE_OK) {
        assert_int_equal(counts.read, 4);
        assert_int_equal(counts.rejected, 1);
        assert_int_equal(r->outcomes[3], LAPSE_ROW_REJECTED);
    }
    return status;
}

static void appending(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        struct rows plain = { .customers = "abcd" }, ids = { .customers = "abcd", .ids = "1234" };
        struct rows again = { .customers = "aaxd", .ids = "1134" }, kept = { .customers = "abcd", .flags = LAPSE_IMPORT_KEEP_ALL };
        fail_each(store, append_rows, &plain, for_good, true);
        assert_int_equal(plain.outcomes[1], LAPSE_ROW_ACCEPTED);
        fail_each(store, append_rows, &plain, for_good, true);
        assert_int_equal(plain.outcomes[1], LAPSE_ROW_DUPLICATE);
        fail_each(store, append_rows, &ids, for_good, true);
        assert_int_equal(ids.outcomes[0], LAPSE_ROW_ACCEPTED);
        fail_each(store, append_rows, &again, for_good, true);
        assert_int_equal(again.outcomes[0], LAPSE_ROW_DUPLICATE);
        assert_int_equal(again.outcomes[1], LAPSE_ROW_CONFLICT);
        assert_int_equal(again.outcomes[2], LAPSE_ROW_CONFLICT);
        fail_each(store, append_rows, &kept, for_good, true);
        assert_int_equal(kept.outcomes[1], LAPSE_ROW_ACCEPTED);
        close_store(store);
    }
}

/* Limits with which the ninth commit folds the tail, or merges runs. */
static const struct lapse_merging_limits ways_to_merge[] = {
    { .small = 100, .tail_runs = 8, .tail_rows = 1000, .runs = 8, .runs_behind = 20, .share = 1, .least_share = 1000 },
    { .small = 1, .tail_runs = 8, .tail_rows = 1000, .runs = 8, .runs_behind = 20, .share = 1, .least_share = 1000 },
    { .small = 1, .tail_runs = 8, .tail_rows = 1000, .runs = 6, .runs_behind = 20, .share = 1, .least_share = 1 },
};

/* When folding or merging fails the commit stands all the same, and the next one goes on. A view keeps the merged runs' blocks, so that dropping them later is met too. */
static void merging(void **state)
{
    (void)state;
    for (int way = 0; way < 6; way++)
        for (long n = 1;; n++) {
            bool for_good = way % 2;
            lapse_store *store = memory_store();
            lapse_view *view;
            struct rows rows = { .ids = "1234" };
            char customers[5] = "aqrs", ids[5] = "0123", *before = NULL, *after;
            store->limits = ways_to_merge[way / 2];
            rows.customers = customers;
            rows.ids = ids;
            for (int i = 0; i < 8; i++) {
                customers[0] = (char)('a' + i);
                for (int k = 0; k < 4; k++)
                    ids[k]++;
                ids[0] = (char)('A' + i);
                assert_int_equal(append_rows(store, &rows, NULL), LAPSE_OK);
            }
            assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
            before = export_of(store);
            customers[0] = 'z';
            memcpy(ids, "ZYXW", 4);
            fail_from(n, for_good);
            lapse_status status = append_rows(store, &rows, NULL);
            bool fired = atomic_load(&hook.fired);
            fail_from(0, false);
            after = export_of(store);
            assert_int_equal(status, status == LAPSE_OK ? LAPSE_OK : LAPSE_NO_MEMORY);
            if (status == LAPSE_OK)
                assert_non_null(strstr(after, "\nz,"));
            else
                assert_string_equal(after, before);
            free(after);
            /* Whatever happened, the store goes on, and merges now. */
            assert_int_equal(append_rows(store, &rows, NULL), LAPSE_OK);
            assert_int_equal(rows.outcomes[0], status == LAPSE_OK ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_ACCEPTED);
            memcpy(ids, "VUTS", 4);
            assert_int_equal(append_rows(store, &rows, NULL), LAPSE_OK);
            free(before);
            lapse_view_close(view);
            close_store(store);
            if (!fired)
                break;
        }
}

/* ---- identity --------------------------------------------------------------------------------------------------------- */

enum { KNOWN = 9000 }; /* events, in two blocks */

/* Events of three customers at one time each day; every other one has an id. `again` of them are known. */
static lapse_status append_known(lapse_store *store, int64_t first, int64_t n, int64_t again, lapse_error *error)
{
    static char customers[KNOWN], ids[KNOWN * 8];
    static int64_t customer_at[KNOWN + 1], id_at[KNOWN + 1], times[KNOWN], amounts[KNOWN];
    static int32_t outcomes[KNOWN];
    for (int64_t i = 0; i < n; i++) {
        int64_t event = first + i;
        customers[i] = (char)('a' + event % 3);
        customer_at[i + 1] = i + 1;
        id_at[i + 1] = id_at[i] + (event % 2 ? 0 : sprintf(ids + id_at[i], "%d", (int)event));
        times[i] = (1 + event / 10 % 800) * INT64_C(86400000000);
        amounts[i] = event;
    }
    lapse_append_options o;
    lapse_append_options_init(&o, sizeof o);
    lapse_batch b = { .size = sizeof b, .rows = n, .customer = customers, .customer_offsets = customer_at, .time = times,
                      .amount = amounts, .event_id = ids, .event_id_offsets = id_at };
    o.source = "shop";
    o.outcomes = outcomes;
    lapse_counts counts = { .size = sizeof counts };
    lapse_status status = lapse_store_append(store, &b, &o, &counts, error);
    if (status == LAPSE_OK) {
        assert_int_equal(counts.accepted, n - again);
        assert_int_equal(counts.duplicate, again);
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(outcomes[i], i < again ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_ACCEPTED);
    }
    return status;
}

struct overlap {
    int64_t first, again;
};

static lapse_status append_overlap(lapse_store *store, void *user, lapse_error *error)
{
    const struct overlap *o = user;
    struct lapse_manifest *m;
    lapse_status status = lapse_store_manifest(store, &m, error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < m->count; i++) { /* so that all filters are made anew */
        lapse_filter_free(m->runs[i]->filter);
        m->runs[i]->filter = NULL;
    }
    lapse_manifest_release(m);
    return append_known(store, o->first, 40, o->again, error);
}

static void knowing(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        struct overlap some = { KNOWN - 20, 20 }, none = { KNOWN + 20, 0 }, all = { 4000, 40 };
        assert_int_equal(append_known(store, 0, KNOWN, 0, NULL), LAPSE_OK);
        fail_each(store, append_overlap, &some, for_good, true);
        fail_each(store, append_overlap, &none, for_good, true);
        fail_each(store, append_overlap, &all, for_good, true);
        close_store(store);
    }
}

/* Fingerprints that are put aside and read back. */
static lapse_status put_aside(lapse_store *store, void *user, lapse_error *error)
{
    static const uint32_t begin[] = { 0, 1, 2, 3 }, start[] = { 0, 4 };
    static const uint8_t length[] = { 1, 1, 1, 1 };
    static const int64_t lines[] = { 1, 2, 3, 4 };
    struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID) | LAPSE_FIELD_BIT(LAPSE_F_LINE) };
    struct lapse_keys keys = { 1, "a", begin, start, length };
    struct lapse_print *v = NULL;
    size_t count = 0, capacity = 0;
    (void)user;
    c.number[LAPSE_F_LINE] = lines;
    c.text[LAPSE_F_EVENT_ID] = (struct lapse_text_column){ "1234", begin, length, NULL };
    struct lapse_prints *p = lapse_prints_new(store);
    if (!p)
        return lapse_fail_memory(error);
    p->limit = 6;
    lapse_status status = LAPSE_OK;
    for (int64_t row = 0; row < 12 && status == LAPSE_OK; row += 4)
        status = lapse_prints_take(p, &keys, &c, row, error);
    if (status == LAPSE_OK) {
        assert_int_equal(p->spill_count, 1);
        assert_int_equal(p->count, 4);
        status = lapse_prints_spill(p, error);
    }
    for (int slice = 0; slice < 256 && status == LAPSE_OK; slice++)
        status = lapse_prints_slice(p, slice, &v, &count, &capacity, error);
    if (status == LAPSE_OK) {
        int64_t rows = 0;
        assert_int_equal(count, 12);
        for (size_t i = 0; i < count; i++) {
            rows |= INT64_C(1) << v[i].row;
            assert_int_equal(v[i].line, v[i].row % 4 + 1);
            assert_true(i < 1 || v[i].high >> 56 >= v[i - 1].high >> 56);
        }
        assert_int_equal(rows, 4095);
    }
    lapse_mem_free(&store->mem, v);
    lapse_prints_free(p);
    return status;
}

static void putting_aside(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        fail_each(store, put_aside, NULL, for_good, false);
        close_store(store);
    }
}

/* ---- questions --------------------------------------------------------------------------------------------------------- */

static lapse_status ask_history(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_history(view, "dan", out, error);
}

static lapse_status ask_info(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)view;
    return lapse_store_info(store, out, error);
}

static lapse_status ask_rfm(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.flags = LAPSE_RFM_WEIGHTED;
    return lapse_view_rfm(view, &o, out, error);
}

static lapse_status ask_nested(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.flags = LAPSE_RFM_NESTED | LAPSE_RFM_FREQUENCY_DAYS | LAPSE_RFM_MONETARY_MEAN;
    o.threads = 3;
    o.window = 2;
    o.window_unit = LAPSE_UNIT_YEAR;
    return lapse_view_rfm(view, &o, out, error);
}

static const char segments[] = "segment,r_min,r_max,f_min,f_max,m_min,m_max\nbest,4,,4,,,\n\"the \"\"rest\"\"\",1,3,,,,\n"
                               "never,1,1,1,1,1,1\n";

static lapse_status ask_segments(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.segments = segments;
    o.segments_size = (int64_t)strlen(segments);
    return lapse_view_segments(view, &o, out, error);
}

static lapse_status ask_rfm_segments(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.segments = segments;
    o.segments_size = (int64_t)strlen(segments);
    o.threads = 2;
    return lapse_view_rfm(view, &o, out, error);
}

/* Several instants, NTILE, fixed cuts: what is worked out as rows are pulled fails then. */
static lapse_status ask_months(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.cuts = LAPSE_CUTS_NTILE;
    o.flags = LAPSE_RFM_NESTED | LAPSE_RFM_FREQUENCY_DAYS;
    o.from = INT64_C(1672531200000000);
    o.every = LAPSE_EVERY_QUARTER;
    o.threads = 2;
    return lapse_view_rfm(view, &o, out, error);
}

static lapse_status ask_segment_months(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    lapse_cuts cuts = { .size = sizeof cuts };
    (void)store;
    assert_int_equal(lapse_cuts_parse("30,60,90,200/1,2,3,4/10", 2, &cuts, NULL), LAPSE_OK);
    lapse_rfm_options_init(&o, sizeof o);
    o.cuts = LAPSE_CUTS_FIXED;
    o.fixed = &cuts;
    o.from = INT64_C(1672531200000000);
    o.every = LAPSE_EVERY_YEAR;
    return lapse_view_segments(view, &o, out, error);
}

static lapse_status ask_transitions(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options o;
    (void)store;
    lapse_rfm_options_init(&o, sizeof o);
    o.from = INT64_C(1672531200000000);
    o.threads = 2;
    return lapse_view_transitions(view, &o, out, error);
}

static lapse_status ask_churn(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.from = INT64_C(1672531200000000);
    o.every = LAPSE_EVERY_QUARTER;
    o.threads = 2;
    return lapse_view_churn(view, &o, out, error);
}

static lapse_status ask_cohorts(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.every = LAPSE_EVERY_WEEK;
    o.threads = 2;
    return lapse_view_cohorts(view, &o, out, error);
}

static lapse_status ask_survival(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.basis = LAPSE_CHURN_ACTIVITY;
    o.lost = LAPSE_CHURN_INACTIVE;
    o.flags = LAPSE_SURVIVAL_HAZARD;
    return lapse_view_survival(view, &o, out, error);
}

static lapse_status ask_summary(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_churn_options o;
    (void)store;
    lapse_churn_options_init(&o, sizeof o);
    o.flags = LAPSE_SURVIVAL_SUMMARY;
    return lapse_view_survival(view, &o, out, error);
}

static lapse_status ask_gaps(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_gaps(view, NULL, out, error);
}

static lapse_status ask_fit(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    static const double time[] = { 3, 5, 5, 8 }, entry[] = { 0, 1, 0, 4 };
    lapse_durations d = { .size = sizeof d, .count = 4, .time = time, .entry = entry };
    (void)store;
    (void)view;
    return lapse_survival_fit(&d, &hooks, out, error);
}

/* What the next four ask of is fifth_file below, which has everything that the regions grow arrays for. */
static lapse_status ask_states(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_state_options o;
    (void)store;
    lapse_state_options_init(&o, sizeof o);
    o.threads = 2;
    return lapse_view_states(view, &o, out, error);
}

static lapse_status ask_channels(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_channels(view, NULL, out, error);
}

static lapse_status ask_consent(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_state_options o;
    (void)store;
    lapse_state_options_init(&o, sizeof o);
    o.customer = "kim";
    return lapse_view_consent(view, &o, out, error);
}

static lapse_status ask_permit(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_permit_options o;
    (void)store;
    lapse_permit_options_init(&o, sizeof o);
    o.purpose = LAPSE_PURPOSE_MARKETING;
    o.topic = "news";
    return lapse_view_permit(view, &o, out, error);
}

static lapse_status ask_permit_one(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_decision d = { .size = sizeof d };
    lapse_status status = lapse_view_permit_one(view, NULL, "kim", LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_MARKETING, NULL, &d,
                                                error);
    return status == LAPSE_OK ? ask_permit(store, view, out, error) : status;
}

static lapse_status ask_policy(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    lapse_policy *policy = NULL;
    const char text[] = "cap.week = 5\nquiet.from = off\n";
    (void)store;
    (void)view;
    lapse_status status = lapse_policy_new(&hooks, &policy);
    if (status == LAPSE_OK)
        status = lapse_policy_parse(policy, text, (int64_t)strlen(text), error);
    if (status == LAPSE_OK)
        status = lapse_policy_set(policy, "cap.day", "2", error);
    if (status == LAPSE_OK)
        status = lapse_policy_list(policy, out, error);
    else if (error)
        error->status = status; /* lapse_policy_new() has no error to tell */
    lapse_policy_free(policy);
    return status;
}

static const char fifth_file[] =
    "customer,time,kind,channel,topic,value,ref,endpoint,reason\n"
    "kim,2024-03-01,endpoint.added,email,,,,k@example.org,\nkim,2024-03-01,endpoint.added,email,,,,l@example.org,\n"
    "kim,2024-03-02,message.bounced,email,,,,,soft\nkim,2024-03-02,message.sent,sms,,,,,\n"
    "kim,2024-03-02,preference.set,,news,0,,,\nkim,2024-03-02,preference.set,,other,1,,,\n"
    "kim,2024-03-02,consent.withdrawn,,,,,,\nkim,2024-03-03,consent.requested,email,,,u,,\n"
    "kim,2024-03-03,consent.requested,email,,,v,,\nkim,2024-03-03,order.placed,,,,p1,,\n"
    "kim,2024-03-04,order.cancelled,,,,p1,,\n";

static void asking(void **state)
{
    static const struct {
        lapse_status (*ask)(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error);
        int64_t as_of;
    } questions[] = {
        { ask_events, INT64_MAX },
        { ask_events, INT64_C(1709251200000000) }, /* 2024-03-01: some events are later */
        { ask_history, INT64_MAX },
        { ask_info, INT64_MAX },
        { ask_rfm, INT64_C(1717200000000000) },
        { ask_nested, INT64_C(1717200000000000) },
        { ask_segments, INT64_C(1717200000000000) },
        { ask_rfm_segments, INT64_C(1717200000000000) },
        { ask_months, INT64_C(1717200000000000) },
        { ask_segment_months, INT64_C(1717200000000000) },
        { ask_transitions, INT64_C(1717200000000000) },
        { ask_churn, INT64_C(1717200000000000) },
        { ask_cohorts, INT64_C(1717200000000000) },
        { ask_survival, INT64_C(1717200000000000) },
        { ask_summary, INT64_C(1717200000000000) },
        { ask_gaps, INT64_C(1717200000000000) },
        { ask_fit, 0 },
        { ask_states, INT64_C(1717200000000000) },
        { ask_channels, INT64_C(1717200000000000) },
        { ask_consent, INT64_C(1717200000000000) },
        { ask_permit, INT64_C(1717200000000000) },
        { ask_permit_one, INT64_C(1717200000000000) },
        { ask_policy, 0 },
    };
    (void)state;
    lapse_store *store = memory_store();
    struct file files[] = {
        { .text = first_file, .threads = 1 },
        { .text = second_file, .threads = 1, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS },
        { .text = third_file, .threads = 1, .flags = LAPSE_IMPORT_NEGATIVE_REFUND, .map = "amount=n*each,source=who" },
        { .text = "customer,time,amount,ref\nann,2024-01-20,8,o7\nbob,2023-01-01,6,\nkim,2024-02-02,2,\n", .threads = 1 },
        { .text = "customer,time,kind,channel,purpose,ref\nkim,2024-02-03,consent.objected,,profiling,\n"
                  "kim,2024-02-04,consent.requested,email,profiling,t\nlou,2024-02-03,consent.objected,,profiling,\n"
                  "lou,2024-02-03,order.placed,,,\nkim,2024-02-05,consent.confirmed,email,profiling,t\n", .threads = 1 },
        { .text = "customer,time,kind,amount,ref,source,event_id\nmia,2024-01-03,,5,m,s,m1\nmia,2024-01-20,,5,n,s,m2\n"
                  "mia,2024-02-01,order.refunded,,n,,\nmia,2024-02-03,event.retracted,,m1,s,\n", .threads = 1 },
        { .text = fifth_file, .threads = 1 },
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(import_file(store, &files[i], NULL), LAPSE_OK);
        free(files[i].told.data);
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        for (int how = WRITE; how <= PULL; how++) {
            struct question q = { .as_of = questions[i].as_of, .ask = questions[i].ask, .how = how };
            assert_int_equal(answer(store, &q, NULL), LAPSE_OK);
            char *expected = q.answer.data;
            assert_true(q.answer.size > 20);
            q.expected = expected;
            q.answer = (struct text){ NULL, 0 };
            for (int for_good = 0; for_good < 2; for_good++) {
                long live = atomic_load(&hook.live);
                fail_each(store, answer, &q, for_good, false);
                assert_int_equal(atomic_load(&hook.live), live);
            }
            free(expected);
            free(q.answer.data);
        }
    close_store(store);
}

/* ---- upkeep -------------------------------------------------------------------------------------------------------------- */

static lapse_status back_up(lapse_store *store, void *user, lapse_error *error)
{
    (void)user;
    lapse_status status = lapse_store_backup(store, "copy.lapse", NULL, error);
    assert_int_equal(unlink("copy.lapse") == 0, status == LAPSE_OK);
    return status;
}

static lapse_status verify(lapse_store *store, void *user, lapse_error *error)
{
    lapse_result *report;
    (void)user;
    lapse_status status = lapse_store_verify(store, NULL, &report, error);
    assert_int_equal(report != NULL, status == LAPSE_OK);
    lapse_result_free(report);
    return status;
}

static lapse_store *with_runs(const char *path)
{
    struct file files[] = {
        { .text = first_file, .threads = 1 },
        { .text = second_file, .threads = 1, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS },
        { .text = third_file, .threads = 1, .flags = LAPSE_IMPORT_NEGATIVE_REFUND, .map = "amount=n*each,source=who" },
    };
    lapse_store *store;
    assert_int_equal(open_store(path, 0, &store, NULL), LAPSE_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(import_file(store, &files[i], NULL), LAPSE_OK);
        free(files[i].told.data);
    }
    return store;
}

/* Copies and verifying change nothing; nothing of a copy that failed is left, and remove_folder() sees to that too. */
static void copying_and_verifying(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++)
        for (int in_file = 0; in_file < 2; in_file++) {
            lapse_store *store = with_runs(in_file ? store_path : NULL);
            fail_each(store, back_up, NULL, for_good, false);
            fail_each(store, verify, NULL, for_good, false);
            close_store(store);
            unlink(store_path);
        }
}

static void compacting(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++)
        for (int in_file = 0; in_file < 2; in_file++) {
            bool fired = true;
            for (long n = 1; fired; n++) {
                lapse_store *store = with_runs(in_file ? store_path : NULL);
                char *before = export_of(store), *after;
                lapse_error error = { .size = sizeof error };
                fail_from(n, for_good);
                lapse_status status = lapse_store_compact(store, NULL, &error);
                fired = atomic_load(&hook.fired);
                fail_from(0, false);
                assert_int_equal(status, fired ? LAPSE_NO_MEMORY : LAPSE_OK);
                assert_true(n > 1 || fired);
                after = export_of(store);
                assert_string_equal(after, before);
                free(after);
                assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
                assert_int_equal(verify(store, NULL, NULL), LAPSE_OK);
                after = export_of(store);
                assert_string_equal(after, before);
                free(after);
                free(before);
                close_store(store);
                unlink(store_path);
            }
        }
}

/* A store with a block lost, and a directory that is damaged but proves another. The same is saved each time there is memory. */
static void salvaging(void **state)
{
    (void)state;
    lapse_store *store = with_runs(store_path);
    struct lapse_buffer block;
    int64_t proof[8] = { 0 };
    lapse_buffer_init(&block, &store->mem);
    assert_int_equal(lapse_file_begin(store->file, NULL), LAPSE_OK);
    int64_t ids[] = { store->manifest->runs[0]->blocks[0].id };
    assert_int_equal(lapse_file_get_block(store->file, ids[0], &block, NULL), LAPSE_OK);
    assert_int_equal(lapse_file_put_block(store->file, block.data, block.size, &proof[2], NULL), LAPSE_OK);
    proof[3] = (int64_t)lapse_hash(block.data, block.size, (uint64_t)proof[2]);
    assert_int_equal(lapse_file_put_run(store->file, LAPSE_RUN_EVENTS, proof, sizeof proof, &proof[0], NULL), LAPSE_OK);
    assert_int_equal(lapse_file_drop_blocks(store->file, ids, 1, NULL), LAPSE_OK);
    assert_int_equal(lapse_file_commit(store->file, NULL), LAPSE_OK);
    lapse_buffer_free(&block);
    close_store(store);
    struct text saved = { NULL, 0 };
    for (int for_good = 0; for_good < 2; for_good++) {
        bool fired = true;
        for (long n = 0; fired || n == 1; n++) { /* 0: none fails */
            lapse_result *result = NULL;
            struct text now = { NULL, 0 };
            lapse_error error = { .size = sizeof error };
            fail_from(n, for_good);
            lapse_status status = open_store(store_path, LAPSE_STORE_VERIFY, &store, &error);
            if (status == LAPSE_OK)
                status = lapse_store_salvage(store, NULL, &result, &error);
            bool damaged = status == LAPSE_DAMAGED && result;
            if (damaged)
                status = lapse_result_write_csv(result, add_bytes, &now, &error);
            fired = atomic_load(&hook.fired);
            fail_from(0, false);
            assert_int_equal(status, damaged && now.data && status == LAPSE_OK ? LAPSE_OK : LAPSE_NO_MEMORY);
            assert_true(status == LAPSE_OK || fired);
            if (status == LAPSE_OK && !saved.data)
                saved = now;
            else if (status == LAPSE_OK)
                assert_string_equal(now.data, saved.data);
            if (now.data != saved.data)
                free(now.data);
            lapse_result_free(result);
            close_store(store);
            fired |= n == 0;
        }
    }
    assert_non_null(strstr(saved.data, "\n"));
    free(saved.data);
    unlink(store_path);
}

/* Whoever is forgotten is forgotten altogether or not at all. What fails after the commit, clearing the file, is pending. */
static void forgetting(void **state)
{
    static const int64_t offsets[] = { 0, 3, 6 };
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++)
        for (int in_file = 0; in_file < 2; in_file++) {
            bool fired = true;
            for (long n = 1; fired; n++) {
                lapse_store *store = with_runs(in_file ? store_path : NULL);
                char *before = export_of(store), *after;
                lapse_error error = { .size = sizeof error };
                lapse_forget_options o;
                lapse_forget_options_init(&o, sizeof o);
                o.at = 20000 * LAPSE_DAY;
                fail_from(n, for_good);
                lapse_status status = lapse_store_forget(store, "dancat", offsets, 2, &o, NULL, &error);
                fired = atomic_load(&hook.fired);
                fail_from(0, false);
                after = export_of(store);
                assert_true(status == LAPSE_OK || (fired && status == LAPSE_ERASE_PENDING) ||
                            (fired && status == LAPSE_NO_MEMORY));
                assert_true(n > 1 || fired);
                assert_int_equal(strcmp(before, after) == 0, status == LAPSE_NO_MEMORY);
                assert_int_equal(strstr(after, "dan,") != NULL, status == LAPSE_NO_MEMORY);
                assert_int_equal(lapse_store_forget(store, NULL, NULL, 0, NULL, NULL, NULL), LAPSE_OK);
                assert_int_equal(verify(store, NULL, NULL), LAPSE_OK);
                free(after);
                free(before);
                close_store(store);
                unlink(store_path);
            }
        }
}

/* A store in which somebody was forgotten takes rows, theirs and those of others. */
static lapse_status import_again(lapse_store *store, void *user, lapse_error *error)
{
    (void)user;
    struct file file = { .text = first_file, .threads = 1 };
    lapse_status status = import_file(store, &file, error);
    free(file.told.data);
    return status;
}

static void knowing_the_forgotten(void **state)
{
    static const int64_t offsets[] = { 0, 3 };
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_forget_options o;
        lapse_forget_options_init(&o, sizeof o);
        o.at = 20000 * LAPSE_DAY;
        lapse_store *store = with_runs(NULL);
        assert_int_equal(lapse_store_forget(store, "dan", offsets, 1, &o, NULL, NULL), LAPSE_OK);
        fail_each(store, import_again, NULL, for_good, true);
        close_store(store);
    }
}

/* Answers about customers who share an address with others, living and forgotten. */
static lapse_status ask_crossing(lapse_store *store, void *user, lapse_error *error)
{
    lapse_view *view;
    lapse_result *result = NULL;
    lapse_decision d = { .size = sizeof d };
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, error);
    if (status == LAPSE_OK)
        status = lapse_view_permit_one(view, NULL, "ann", LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_MARKETING, NULL, &d, error);
    assert_true(status != LAPSE_OK || d.reasons == (UINT64_C(1) << LAPSE_REASON_CONSENT_WITHDRAWN |
                                                    UINT64_C(1) << LAPSE_REASON_SPAM_REPORTED));
    if (status == LAPSE_OK)
        status = lapse_view_consent(view, user, &result, error);
    lapse_table *table = NULL;
    while (status == LAPSE_OK && (status = lapse_result_next(result, &table, error)) == LAPSE_OK)
        lapse_table_release(table);
    lapse_result_free(result);
    lapse_view_close(view);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static void crossing(void **state)
{
    static const int64_t offsets[] = { 0, 3 };
    struct file file = { .threads = 1, .text =
        "customer,time,kind,channel,endpoint\n"
        "ann,2024-01-01,endpoint.added,email,a@b.c\nann,2024-01-01,consent.granted,email,\n"
        "bob,2024-01-01,endpoint.added,email,a@b.c\nbob,2024-02-01,consent.withdrawn,email,\n"
        "cat,2024-01-01,endpoint.added,email,a@b.c\ncat,2024-02-01,message.spam_reported,email,a@b.c\n" };
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        lapse_forget_options o;
        lapse_forget_options_init(&o, sizeof o);
        o.at = 20000 * LAPSE_DAY;
        assert_int_equal(import_file(store, &file, NULL), LAPSE_OK);
        free(file.told.data);
        assert_int_equal(lapse_store_forget(store, "cat", offsets, 1, &o, NULL, NULL), LAPSE_OK);
        fail_each(store, ask_crossing, NULL, for_good, false);
        lapse_state_options one;
        lapse_state_options_init(&one, sizeof one);
        one.customer = "ann";
        fail_each(store, ask_crossing, &one, for_good, false);
        close_store(store);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------ */

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    snprintf(store_path, sizeof store_path, "%s/a.lapse", folder);
    snprintf(text_path, sizeof text_path, "%s/a.csv", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(store_path);
    unlink(text_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test(importing),
        cmocka_unit_test(importing_chunks),
        cmocka_unit_test(importing_blocks),
        cmocka_unit_test(staging),
        cmocka_unit_test(appending),
        cmocka_unit_test(knowing),
        cmocka_unit_test(putting_aside),
        cmocka_unit_test(merging),
        cmocka_unit_test(asking),
        cmocka_unit_test(copying_and_verifying),
        cmocka_unit_test(salvaging),
        cmocka_unit_test(compacting),
        cmocka_unit_test(forgetting),
        cmocka_unit_test(knowing_the_forgotten),
        cmocka_unit_test(crossing),
    };
    return cmocka_run_group_tests_name("memory", tests, make_folder, remove_folder);
}
