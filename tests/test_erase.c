/* Forgetting: nothing of a customer is found in any byte of the store, the rest is as if they had never been there, old
 * files do not bring them back, and whoever read them is told to begin anew. */
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

#include "store/store.h"

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], other_path[64];
static lapse_allocator mem;

static uint64_t seed;
static uint64_t draw(uint64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (seed >> 33) % below;
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || lapse_mem_init(&mem, NULL, NULL) != LAPSE_OK)
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(other_path, sizeof other_path, "%s/b.lapse", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(other_path);
    return rmdir(folder); /* and nothing else is left in it */
}

static const uint8_t key[LAPSE_KEY_SIZE] = "thirty-two bytes, the same twice";

static lapse_status open_with(const char *at, uint32_t flags, int32_t timeout, lapse_store **out)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.sync = LAPSE_SYNC_OFF;
    o.flags = flags;
    o.timeout_ms = timeout;
    o.key = flags & LAPSE_STORE_READ_ONLY ? NULL : key;
    return lapse_store_open(at, &o, out, NULL);
}

static lapse_store *opened(const char *at, uint32_t flags)
{
    lapse_store *store;
    assert_int_equal(open_with(at, flags, 5000, &store), LAPSE_OK);
    return store;
}

static lapse_store *fresh(const char *at)
{
    if (at)
        unlink(at);
    return opened(at, 0);
}

struct input {
    const char *at;
};

static int64_t hand_over(void *user, char *buffer, int64_t capacity)
{
    struct input *in = user;
    size_t n = strlen(in->at);
    n = n < (size_t)capacity ? n : (size_t)capacity;
    memcpy(buffer, in->at, n);
    in->at += n;
    return (int64_t)n;
}

static lapse_counts import(lapse_store *store, const char *text, const char *source)
{
    lapse_import_options o;
    lapse_error error = { .size = sizeof error };
    lapse_counts counts = { .size = sizeof counts };
    struct input in = { text };
    lapse_import_options_init(&o, sizeof o);
    o.source = source;
    if (lapse_store_import_stream(store, hand_over, &in, &o, &counts, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    return counts;
}

enum { AT = 1000 }; /* days: the instant of erasures here */

static lapse_status forget(lapse_store *store, const char *const *ids, int count, lapse_forgotten *out)
{
    char text[20000];
    int64_t offsets[500] = { 0 };
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = AT * LAPSE_DAY;
    for (int i = 0; i < count; i++) {
        memcpy(text + offsets[i], ids[i], strlen(ids[i]));
        offsets[i + 1] = offsets[i] + (int64_t)strlen(ids[i]);
    }
    if (out)
        out->size = sizeof *out;
    return lapse_store_forget(store, text, offsets, count, &o, out, NULL);
}

static lapse_status forget_one(lapse_store *store, const char *id)
{
    return forget(store, &id, 1, NULL);
}

static int32_t add_bytes(void *user, const char *bytes, int64_t size)
{
    lapse_buffer_put(user, bytes, (size_t)size);
    return 0;
}

typedef lapse_status ask_fn(lapse_view *view, lapse_result **out);

static lapse_status ask_events(lapse_view *view, lapse_result **out)
{
    return lapse_view_events(view, out, NULL);
}

static lapse_status ask_rfm(lapse_view *view, lapse_result **out)
{
    return lapse_view_rfm(view, NULL, out, NULL);
}

static lapse_status ask_states(lapse_view *view, lapse_result **out)
{
    return lapse_view_states(view, NULL, out, NULL);
}

static lapse_status ask_consent(lapse_view *view, lapse_result **out)
{
    return lapse_view_consent(view, NULL, out, NULL);
}

static char *answer(lapse_store *store, int64_t as_of, ask_fn *ask)
{
    struct lapse_buffer out;
    lapse_view *view;
    lapse_result *result;
    lapse_buffer_init(&out, &mem);
    assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
    assert_int_equal(ask(view, &result), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, add_bytes, &out, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_buffer_byte(&out, 0);
    return out.data;
}

static void check_same(lapse_store *a, lapse_store *b)
{
    static ask_fn *const asks[] = { ask_events, ask_rfm, ask_states, ask_consent };
    static const int64_t instants[] = { INT64_MAX, 60 * LAPSE_DAY };
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 2; k++) {
            char *x = answer(a, instants[k], asks[i]), *y = answer(b, instants[k], asks[i]);
            assert_string_equal(x, y);
            free(x);
            free(y);
        }
}

static void check_sound(lapse_store *store)
{
    lapse_result *report;
    lapse_error error = { .size = sizeof error };
    if (lapse_store_verify(store, NULL, &report, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_result_free(report);
}

/* ---- what a store holds, as bytes -------------------------------------------------------------------------------------- */

static void add_file(struct lapse_buffer *out, const char *name, const char *beside)
{
    char full[96], bytes[4096];
    snprintf(full, sizeof full, "%s%s", name, beside);
    FILE *f = fopen(full, "rb");
    for (size_t n; f && (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        lapse_buffer_put(out, bytes, n);
    if (f)
        fclose(f);
}

/* The files, and what their blocks hold once they are decoded: a key shares bytes with the one before it. */
static void all_bytes(lapse_store *store, struct lapse_buffer *out)
{
    struct lapse_manifest *m;
    struct lapse_reader r;
    lapse_buffer_init(out, &mem);
    add_file(out, path, "");
    add_file(out, path, "-wal");
    add_file(out, path, "-shm");
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++) {
        lapse_reader_open(&r, m->runs[i]);
        while (!lapse_reader_at_end(&r)) {
            assert_int_equal(lapse_reader_load(&r, NULL), LAPSE_OK);
            lapse_buffer_put(out, r.entry.key.data, r.entry.key.size);
            assert_int_equal(lapse_reader_rows(&r, LAPSE_ALL_FIELDS, NULL), LAPSE_OK);
            for (uint32_t k = r.entry.first; k < r.entry.first + r.entry.rows; k++)
                for (int f = 0; f < LAPSE_FIELDS; f++) {
                    struct lapse_text t = lapse_columns_text(&r.block.columns, f, k);
                    lapse_buffer_put(out, t.data, t.size);
                }
            assert_int_equal(lapse_reader_next(&r, NULL), LAPSE_OK);
        }
        lapse_reader_close(&r);
    }
    lapse_manifest_release(m);
    assert_false(out->failed);
}

static bool holds(const struct lapse_buffer *b, const char *text)
{
    size_t n = strlen(text);
    const char *at = b->data, *end = at + b->size;
    for (; (at = memchr(at, text[0], (size_t)(end - at))) != NULL && (size_t)(end - at) >= n; at++)
        if (memcmp(at, text, n) == 0)
            return true;
    return false;
}

static void check_gone(lapse_store *store, char *const *texts, size_t count)
{
    struct lapse_buffer b;
    all_bytes(store, &b);
    for (size_t i = 0; i < count; i++)
        if (holds(&b, texts[i]))
            fail_msg("%s is still there", texts[i]);
    lapse_buffer_free(&b);
}

/* 16 random bytes as hexadecimal digits. */
static void draw_text(char out[33])
{
    for (int i = 0; i < 32; i++)
        out[i] = "0123456789abcdef"[draw(16)];
    out[32] = 0;
}

/* ---- random stores -------------------------------------------------------------------------------------------------------- */

enum { PEOPLE = 30, SECRETS = 4000 };
struct shop {
    char id[PEOPLE][33];
    char secret[SECRETS][33];
    int owner[SECRETS];
    int secrets;
    char *texts[SECRETS];
};

static const char *new_secret(struct shop *s, int owner)
{
    draw_text(s->secret[s->secrets]);
    s->owner[s->secrets] = owner;
    return s->secret[s->secrets++];
}

/* One file of rows; those of people in `left_out` are not in `second`. */
static void draw_file(struct shop *s, int rows, uint32_t left_out, struct lapse_buffer *first, struct lapse_buffer *second)
{
    static const char *const kinds[] = { "order.placed", "order.placed", "session.started", "consent.granted",
                                         "consent.withdrawn", "endpoint.added", "order.refunded", "message.sent" };
    static const char header[] = "customer,time,kind,amount,channel,ref,evidence,endpoint,source,event_id,reason\n";
    char row[512];
    lapse_buffer_text(first, header);
    lapse_buffer_text(second, header);
    for (int i = 0; i < rows; i++) {
        int who = (int)draw(PEOPLE);
        const char *kind = kinds[draw(8)], *evidence = draw(3) ? "" : new_secret(s, who);
        const char *ref = draw(2) ? "" : new_secret(s, who), *source = draw(8) ? "web" : new_secret(s, who);
        const char *id = draw(2) ? "" : new_secret(s, who);
        snprintf(row, sizeof row, "%s,@%d,%s,%s,email,%s,%s,%s%d@example.com,%s,%s,%s\n", s->id[who],
                 (int)(1 + draw(100)) * 86400 + 1, kind, kind[0] == 'o' ? "5.00" : "", ref, evidence, "u", who, source, id,
                 left_out >> who & 1 ? "rare" : "");
        lapse_buffer_text(first, row);
        if (!(left_out >> who & 1))
            lapse_buffer_text(second, row);
    }
}

/* Forgets some of the people of a store that came to be in many commits, and compares with one that never knew them. */
static void forget_some(lapse_store *store, lapse_store *without, struct shop *s, int commits, int most, uint32_t out)
{
    const char *ids[PEOPLE];
    int count = 0;
    lapse_forgotten gone;
    s->secrets = 0;
    for (int i = 0; i < PEOPLE; i++)
        draw_text(s->id[i]);
    for (int c = 0; c < commits && s->secrets < SECRETS - 4 * most; c++) {
        struct lapse_buffer a, b;
        lapse_buffer_init(&a, &mem);
        lapse_buffer_init(&b, &mem);
        draw_file(s, 1 + (int)draw((uint64_t)(draw(4) ? 3 : most)), out, &a, &b);
        lapse_buffer_byte(&a, 0);
        lapse_buffer_byte(&b, 0);
        import(store, a.data, "web");
        import(without, b.data, "web");
        lapse_buffer_free(&a);
        lapse_buffer_free(&b);
    }
    char *before = answer(store, INT64_MAX, ask_events);
    for (int i = 0; i < PEOPLE; i++)
        if (out >> i & 1 && strstr(before, s->id[i]))
            ids[count++] = s->id[i];
    free(before);
    struct lapse_buffer bytes;
    all_bytes(store, &bytes);
    for (int i = 0; i < count; i++)
        assert_true(holds(&bytes, ids[i])); /* what is looked for can be found */
    lapse_buffer_free(&bytes);
    assert_int_equal(forget(store, ids, count, &gone), LAPSE_OK);
    assert_int_equal(gone.customers, count);
    size_t texts = 0;
    for (int i = 0; i < count; i++)
        s->texts[texts++] = (char *)(uintptr_t)ids[i];
    for (int i = 0; i < s->secrets; i++)
        if (out >> s->owner[i] & 1)
            s->texts[texts++] = s->secret[i];
    check_gone(store, s->texts, texts);
    check_same(store, without);
    check_sound(store);
}

static void nothing_is_left(void **state)
{
    static struct shop s;
    (void)state;
    for (int round = 0; round < 24; round++) {
        seed = (uint64_t)round + 1;
        lapse_store *store = fresh(path), *without = fresh(NULL);
        if (round % 2) { /* small runs are merged too, a few rows at a time */
            store->limits.small = 8;
            store->limits.tail_runs = 3;
            store->limits.runs = 2;
            store->limits.share = 1;
            store->limits.least_share = 1;
        }
        uint32_t all = (UINT32_C(1) << PEOPLE) - 1;
        uint32_t out = round == 0 ? all : UINT32_C(1) << draw(PEOPLE) | (round % 3 ? 0 : (uint32_t)draw(all));
        forget_some(store, without, &s, 30 + (int)draw(40), round % 4 ? 40 : 300, out);
        lapse_store_close(without);
        lapse_store_close(store);
        store = opened(path, LAPSE_STORE_READ_ONLY);
        check_sound(store);
        lapse_store_close(store);
    }
}

/* In memory it is the same, and many of a few blocks. */
static void stores_in_memory_forget(void **state)
{
    static struct shop s;
    (void)state;
    seed = 77;
    lapse_store *store = fresh(NULL), *without = fresh(NULL);
    forget_some(store, without, &s, 20, 100, 0xf0f0f);
    lapse_store_close(without);
    lapse_store_close(store);
}

/* ---- what is refused ---------------------------------------------------------------------------------------------------- */

static const char few[] = "customer,time,amount,event_id,source\n"
                          "ann,1971-01-01,5,e1,s\nann,1971-02-01,6,,s\nbob,1971-01-01,7,e2,s\ncat,1971-01-01,8,,s\n";

static void all_or_nothing(void **state)
{
    (void)state;
    lapse_store *store = fresh(path);
    import(store, few, "f");
    char *before = answer(store, INT64_MAX, ask_events);
    const char *some[] = { "ann", "zoe", "bob" }, *two[] = { "cat", "ann", "cat" };
    lapse_forgotten gone = { 0 };
    assert_int_equal(forget(store, some, 3, &gone), LAPSE_NOT_FOUND);
    assert_int_equal(gone.customers, 0);
    assert_int_equal(forget_one(store, ""), LAPSE_INVALID);
    assert_int_equal(forget_one(store, "a\xff"), LAPSE_INVALID);
    char *after = answer(store, INT64_MAX, ask_events);
    assert_string_equal(before, after);
    free(after);

    lapse_forget_options o;
    const int64_t offsets[] = { 0, 3 };
    lapse_forget_options_init(&o, sizeof o);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, NULL, NULL, NULL), LAPSE_INVALID); /* no instant */
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    o.at = LAPSE_DAY;
    assert_int_equal(lapse_store_forget(store, NULL, offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", NULL, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, -1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(NULL, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    o.flags = 1;
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &(lapse_forget_options){ .size = 3 }, NULL, NULL),
                     LAPSE_INVALID);

    assert_int_equal(forget(store, two, 3, &gone), LAPSE_OK);
    assert_int_equal(gone.customers, 2);
    assert_int_equal(gone.events, 3);
    assert_int_equal(forget_one(store, "ann"), LAPSE_NOT_FOUND); /* already */
    assert_int_equal(forget(store, NULL, 0, &gone), LAPSE_OK);
    assert_int_equal(gone.customers, 0);
    lapse_store_close(store);
    store = opened(path, LAPSE_STORE_READ_ONLY);
    assert_int_equal(forget_one(store, "bob"), LAPSE_READ_ONLY);
    lapse_store_close(store);
    free(before);
}

static int32_t stop_at(void *user, int64_t done, int64_t total)
{
    int *left = user;
    assert_true(done <= total);
    return --*left == 0;
}

static void cancelling_changes_nothing(void **state)
{
    (void)state;
    const int64_t offsets[] = { 0, 3, 6 };
    lapse_store *store = fresh(path);
    import(store, few, "f");
    char *before = answer(store, INT64_MAX, ask_events);
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = LAPSE_DAY;
    o.on_progress = stop_at;
    for (int n = 1;; n++) {
        int left = n;
        o.progress_user = &left;
        lapse_status status = lapse_store_forget(store, "anncat", offsets, 2, &o, NULL, NULL);
        if (left > 0) {
            assert_int_equal(status, LAPSE_OK);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, LAPSE_CANCELLED);
        char *after = answer(store, INT64_MAX, ask_events);
        assert_string_equal(before, after);
        free(after);
    }
    check_sound(store);
    free(before);
    lapse_store_close(store);
}

/* ---- coming back ---------------------------------------------------------------------------------------------------------- */

static int32_t permit(lapse_store *store, int64_t as_of, const char *id, int32_t purpose, uint64_t *reasons)
{
    lapse_view *view;
    lapse_decision d = { .size = sizeof d };
    assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_permit_one(view, NULL, id, LAPSE_CHANNEL_EMAIL, purpose, NULL, &d, NULL), LAPSE_OK);
    lapse_view_close(view);
    *reasons = d.reasons;
    return d.reason;
}

static void old_files_bring_nobody_back(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = fresh(in_file ? path : NULL), *without = fresh(NULL);
        uint64_t reasons;
        import(store, few, "f");
        import(without, "customer,time,amount,event_id,source\nbob,1971-01-01,7,e2,s\ncat,1971-01-01,8,,s\n", "f");
        assert_int_equal(permit(store, INT64_MAX, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_NONE);
        assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
        lapse_counts c = import(store, few, "f");
        assert_int_equal(c.erased, 2);
        assert_int_equal(c.duplicate, 2);
        assert_int_equal(c.read, c.accepted + c.duplicate + c.conflict + c.erased + c.rejected);
        check_same(store, without);

        int32_t outcomes[2] = { 9, 9 };
        const int64_t offsets[] = { 0, 3, 6 }, times[] = { AT * LAPSE_DAY, AT * LAPSE_DAY + 1 };
        lapse_batch batch = { .size = sizeof batch, .rows = 2, .customer = "annann", .customer_offsets = offsets,
                              .time = times };
        lapse_append_options o;
        lapse_append_options_init(&o, sizeof o);
        o.outcomes = outcomes;
        o.flags = LAPSE_IMPORT_DRY_RUN;
        assert_int_equal(permit(store, INT64_MAX, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_ERASED);
        assert_int_equal(permit(store, 0, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_ERASED);
        assert_int_equal(permit(store, 0, "zoe", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_NONE);
        for (int dry = 1; dry >= 0; dry--, o.flags = 0) { /* to the instant is erased, later is a new customer */
            assert_int_equal(lapse_store_append(store, &batch, &o, NULL, NULL), LAPSE_OK);
            assert_int_equal(outcomes[0], LAPSE_ROW_ERASED);
            assert_int_equal(outcomes[1], LAPSE_ROW_ACCEPTED);
        }
        assert_int_equal(permit(store, INT64_MAX, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_NONE);
        assert_int_equal(permit(store, AT * LAPSE_DAY, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_ERASED);
        assert_int_equal(forget_one(store, "ann"), LAPSE_OK); /* and once more */
        check_same(store, without);
        if (in_file) { /* compacting and copies keep who was forgotten */
            assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
            unlink(other_path);
            assert_int_equal(lapse_store_backup(store, other_path, NULL, NULL), LAPSE_OK);
            lapse_store *copy = opened(other_path, 0);
            assert_int_equal(import(copy, few, "f").erased, 2);
            check_sound(copy);
            lapse_store_close(copy);
        }
        assert_int_equal(import(store, few, "f").erased, 2);
        check_sound(store);
        lapse_store_close(store);
        lapse_store_close(without);
    }
}

/* An identity is free again: another customer may have it, and rows of the forgotten neither take nor contest it. */
static void identities_are_free_again(void **state)
{
    (void)state;
    lapse_store *store = fresh(path);
    static const char taken[] = "customer,time,amount,event_id,source\ncat,1971-01-01,8,e1,s\n";
    import(store, few, "f");
    assert_int_equal(import(store, taken, "g").conflict, 1);
    assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
    lapse_counts c = import(store, "customer,time,amount,event_id,source\nann,1971-01-01,5,e1,s\ncat,1971-01-01,8,e1,s\n", "g");
    assert_int_equal(c.erased, 1);
    assert_int_equal(c.accepted, 1);
    assert_int_equal(import(store, few, "f").erased, 2);
    check_sound(store);
    lapse_store_close(store);
}

static void many_are_forgotten_one_by_one(void **state)
{
    (void)state;
    char text[64], id[16];
    lapse_store *store = fresh(path);
    store->limits.tail_runs = 4;
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "customer,time\nc%d,1971-01-01\n", i);
        import(store, text, "f");
    }
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(forget_one(store, id), LAPSE_OK);
        assert_true(store->manifest->count < 60);
        assert_int_equal(store->manifest->erased, i + 1);
    }
    size_t tombs = 0;
    for (size_t i = 0; i < store->manifest->count; i++)
        tombs += store->manifest->runs[i]->family == LAPSE_RUN_TOMBSTONES;
    assert_in_range(tombs, 1, 5);
    assert_int_equal(import(store, "customer,time\nc7,1971-01-01\nnew,1971-01-01\n", "g").erased, 1);
    check_sound(store);
    lapse_store_close(store);
}

/* ---- readers ---------------------------------------------------------------------------------------------------------------- */

static void older_views_are_stale(void **state)
{
    (void)state;
    uint64_t reasons;
    lapse_store *store = fresh(NULL);
    lapse_view *view;
    lapse_result *result, *later;
    import(store, few, "f");
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK); /* nothing is pulled yet */
    assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
    lapse_table *table;
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_STALE);
    assert_int_equal(lapse_view_events(view, &later, NULL), LAPSE_STALE);
    assert_int_equal(lapse_view_rfm(view, NULL, &later, NULL), LAPSE_STALE);
    assert_int_equal(lapse_view_history(view, "bob", &later, NULL), LAPSE_STALE);
    lapse_decision d = { .size = sizeof d };
    assert_int_equal(lapse_view_permit_one(view, NULL, "bob", LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_SERVICE, NULL, &d, NULL),
                     LAPSE_STALE);
    lapse_result_free(result);
    lapse_view_close(view);
    permit(store, INT64_MAX, "bob", LAPSE_PURPOSE_SERVICE, &reasons); /* a new one answers */
    lapse_store_close(store);
}

/* Another process has a view, and has read, when somebody is forgotten: nothing of her is in the file all the same, and
 * the reader is told. */
static void readers_of_other_processes_are_stale(void **state)
{
    static struct shop s;
    (void)state;
    seed = 4711;
    int up[2], down[2];
    char byte = 0;
    lapse_store *store = fresh(path), *without = fresh(NULL);
    import(store, few, "f");
    import(without, few, "f");
    lapse_store_close(store);
    assert_int_equal(pipe(up) | pipe(down), 0);
    pid_t child = fork();
    if (child == 0) {
        lapse_view *view;
        lapse_result *result;
        lapse_store *mine;
        bool good = open_with(path, LAPSE_STORE_READ_ONLY, 5000, &mine) == LAPSE_OK &&
                    lapse_view_open(mine, INT64_MAX, &view, NULL) == LAPSE_OK &&
                    lapse_view_rfm(view, NULL, &result, NULL) == LAPSE_OK;
        good = good && write(up[1], &byte, 1) == 1 && read(down[0], &byte, 1) == 1;
        _exit(good && lapse_view_history(view, "bob", &result, NULL) == LAPSE_STALE ? 0 : 1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    store = opened(path, 0);
    forget_some(store, without, &s, 10, 50, 0x3f); /* looks at all bytes */
    assert_int_equal(write(down[1], &byte, 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        close(up[i]);
        close(down[i]);
    }
    lapse_store_close(store);
    lapse_store_close(without);
}

/* A call that reads old pages, of whatever process, holds the log; when it is over the next call empties it. */
static void a_running_reader_makes_it_pending(void **state)
{
    (void)state;
    lapse_store *store;
    lapse_forgotten gone;
    sqlite3 *db;
    char ann[] = "0123456789abcdef-ann", *texts[] = { ann };
    char text[128];
    unlink(path);
    assert_int_equal(open_with(path, 0, 0, &store), LAPSE_OK);
    snprintf(text, sizeof text, "customer,time\n%s,1971-01-01\nbob,1971-01-01\n", ann);
    import(store, text, "f");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM block", NULL, NULL, NULL), SQLITE_OK);
    const char *id = ann;
    assert_int_equal(forget(store, &id, 1, &gone), LAPSE_ERASE_PENDING);
    assert_int_equal(gone.customers, 1);
    assert_int_equal(gone.events, 1);
    assert_int_equal(forget_one(store, ann), LAPSE_NOT_FOUND);
    assert_int_equal(forget(store, NULL, 0, NULL), LAPSE_ERASE_PENDING);
    assert_int_equal(import(store, text, "f").erased, 1);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    assert_int_equal(forget(store, NULL, 0, NULL), LAPSE_OK);
    sqlite3_close(db);
    check_gone(store, texts, 1);
    lapse_store_close(store);
}

/* ---- addresses ----------------------------------------------------------------------------------------------------------- */

static uint64_t marketing(lapse_store *store, const char *id)
{
    uint64_t reasons;
    permit(store, INT64_MAX, id, LAPSE_PURPOSE_MARKETING, &reasons);
    return reasons;
}

#define BIT(reason) (UINT64_C(1) << LAPSE_REASON_##reason)

/* What was said by an address holds for whoever comes to hold it, until they say otherwise (I14). */
static void addresses_of_the_forgotten_stay_suppressed(void **state)
{
    static const struct {
        const char *said;
        uint64_t reasons;
    } cases[] = {
        { "consent.withdrawn,email,,,", BIT(CONSENT_WITHDRAWN) },
        { "consent.withdrawn,,,,", BIT(CONSENT_WITHDRAWN) },
        { "consent.withdrawn,email,a@b.c,,", BIT(CONSENT_WITHDRAWN) },
        { "consent.withdrawn,email,,,profiling", 0 },
        { "consent.withdrawn,email,,unverified,", 0 },
        { "consent.withdrawn,sms,,,", 0 },
        { "message.spam_reported,email,a@b.c,,", BIT(SPAM_REPORTED) | BIT(CONSENT_WITHDRAWN) },
        { "consent.objected,,,,", BIT(CONSENT_WITHDRAWN) },
        { "account.closed,,,,", BIT(CONSENT_WITHDRAWN) },
        { "message.bounced,email,a@b.c,hard,", BIT(HARD_BOUNCED) },
        { "message.bounced,email,,5.1.1,", BIT(HARD_BOUNCED) },
        { "message.bounced,email,,soft,", 0 },
        { "suppression.added,email,,,", BIT(MANUAL_BLOCK) },
    };
    static const char columns[] = "customer,time,kind,channel,endpoint,reason,purpose,evidence\n";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int compacted = 0; compacted < 2; compacted++) {
            char text[600];
            lapse_store *store = fresh(compacted ? path : NULL);
            snprintf(text, sizeof text, "%sann,1971-01-01,endpoint.added,email,a@b.c,,,\nann,1971-01-02,%s,\n"
                     "bob,1971-01-01,order.placed,,,,,\n", columns, cases[i].said);
            import(store, text, "f");
            assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
            if (compacted)
                assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
            /* ann again, who takes what she had, and a stranger: an import lifts nothing */
            snprintf(text, sizeof text, "%sann,1975-01-01,endpoint.added,email,A@b.c,,,\nann,1975-01-01,consent.imported,email,,,,x\n"
                     "cat,1971-01-05,endpoint.added,email,a@b.c,,,\ncat,1971-01-05,consent.imported,email,,,,x\n"
                     "dan,1971-01-05,endpoint.added,email,d@b.c,,,\ndan,1971-01-05,consent.imported,email,,,,x\n", columns);
            assert_int_equal(import(store, text, "g").erased, 0);
            assert_int_equal(marketing(store, "ann"), cases[i].reasons);
            assert_int_equal(marketing(store, "cat"), cases[i].reasons);
            assert_int_equal(marketing(store, "dan"), 0);
            char *all = answer(store, INT64_MAX, ask_consent); /* a pass says the same */
            assert_int_equal(strstr(all, "cat,email,marketing,,withdrawn") != NULL,
                             (cases[i].reasons & BIT(CONSENT_WITHDRAWN)) != 0);
            free(all);
            snprintf(text, sizeof text, "%scat,1975-02-01,consent.granted,email,,,,\ncat,1975-02-01,suppression.removed,email,,,,\n",
                     columns);
            import(store, text, "h");
            assert_int_equal(marketing(store, "cat"), 0); /* by her own word, or an operator's */
            check_sound(store);
            lapse_store_close(store);
        }
}

/* What somebody else took back, or what the forgotten lifted themselves, is not kept. */
static void what_was_lifted_is_not_kept(void **state)
{
    (void)state;
    lapse_store *store = fresh(NULL);
    import(store, "customer,time,kind,channel,endpoint,reason\nann,1971-01-01,endpoint.added,email,a@b.c,\n"
           "ann,1971-01-02,message.bounced,email,a@b.c,hard\nann,1971-01-03,endpoint.verified,email,a@b.c,\n"
           "ann,1971-01-02,suppression.added,email,,\nann,1971-01-03,suppression.removed,email,,\n", "f");
    assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
    import(store, "customer,time,kind,channel,endpoint\ncat,1971-01-05,endpoint.added,email,a@b.c\n"
           "cat,1971-01-05,consent.granted,email,\n", "g");
    assert_int_equal(marketing(store, "cat"), 0);
    lapse_store_close(store);
}

/* ---- the key ------------------------------------------------------------------------------------------------------------------ */

static void keys_are_those_of_the_host(void **state)
{
    (void)state;
    static const char addresses[] = "customer,time,kind,channel,endpoint\nann,1971-01-01,endpoint.added,email,Ann@Example.com\n";
    lapse_store_options o;
    lapse_store *a = fresh(path), *b, *c;
    unlink(other_path);
    b = opened(other_path, 0);
    import(a, addresses, "f");
    char *file = answer(a, INT64_MAX, ask_events);
    import(b, file, "other"); /* hash:..., and of the one key */
    assert_int_equal(import(b, addresses, "f").duplicate, 1);
    check_same(a, b);
    lapse_store_close(b);
    lapse_store_options_init(&o, sizeof o);
    o.key = (const uint8_t *)"another key of thirty-two bytes!";
    assert_int_equal(lapse_store_open(other_path, &o, &b, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_store_open(NULL, &o, &c, NULL), LAPSE_OK);
    import(c, addresses, "f");
    char *foreign = answer(c, INT64_MAX, ask_events);
    assert_string_not_equal(file, foreign);
    free(file);
    free(foreign);
    lapse_store_close(a);
    lapse_store_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(stores_in_memory_forget),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(cancelling_changes_nothing),
        cmocka_unit_test(old_files_bring_nobody_back),
        cmocka_unit_test(identities_are_free_again),
        cmocka_unit_test(many_are_forgotten_one_by_one),
        cmocka_unit_test(older_views_are_stale),
        cmocka_unit_test(readers_of_other_processes_are_stale),
        cmocka_unit_test(a_running_reader_makes_it_pending),
        cmocka_unit_test(addresses_of_the_forgotten_stay_suppressed),
        cmocka_unit_test(what_was_lifted_is_not_kept),
        cmocka_unit_test(keys_are_those_of_the_host),
    };
    return cmocka_run_group_tests_name("erase", tests, make_folder, remove_folder);
}
