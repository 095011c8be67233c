/* Nothing of who was forgotten is found in any byte of a store: of many commits, in memory, beside readers of other
 * processes. The rest is as if they had never been there, and whoever read them is told to begin anew. */
#define _POSIX_C_SOURCE 200809L

#include "erasing.h"

#include <sys/wait.h>

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
        bool good = open_with(path, LAPSE_STORE_READ_ONLY, 5000, &mine, NULL) == LAPSE_OK &&
                    lapse_view_open(mine, INT64_MAX, &view, NULL) == LAPSE_OK &&
                    lapse_view_rfm(view, NULL, &result, NULL) == LAPSE_OK;
        good = good && write(up[1], &byte, 1) == 1 && read(down[0], &byte, 1) == 1;
        _exit(good && lapse_view_history(view, "bob", &result, NULL) == LAPSE_STALE ? 0 : 1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    store = keyed(path);
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
    assert_int_equal(open_with(path, 0, 0, &store, NULL), LAPSE_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(stores_in_memory_forget),
        cmocka_unit_test(older_views_are_stale),
        cmocka_unit_test(readers_of_other_processes_are_stale),
        cmocka_unit_test(a_running_reader_makes_it_pending),
    };
    return cmocka_run_group_tests_name("erase_bytes", tests, make_folder, remove_folder);
}
