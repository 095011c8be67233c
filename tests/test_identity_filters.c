/* lib/store, identity: filters of keys against what was put in, small, and safe when they are damaged; the latest
 * rows, and keys of contents; and that filters are only a help, whether they are stored, lost, damaged or admit
 * everything. */
#define _POSIX_C_SOURCE 200809L

#include "identities.h"

/* ---- filter.c -------------------------------------------------------------------------------------------- */

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
                struct lapse_filter *f = lapse_filter_new(&mem, NULL);
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
    struct lapse_filter *f = lapse_filter_new(&mem, NULL);
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

    f = lapse_filter_new(&mem, NULL);
    assert_true(lapse_filter_add(f, keys, 20000, LAPSE_FILTER_MORE_BITS));
    assert_in_range(count_false(f, asked), 0, 5);
    lapse_filter_free(f);

    f = lapse_filter_new(&mem, NULL); /* unsorted, with doubles, more than a part */
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
        struct lapse_filter *f = lapse_filter_new(&mem, NULL);
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

/* ---- recent.c -------------------------------------------------------------------------------------------- */

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

/* ---- filters that are stored, lost, damaged, useless ----------------------------------------------------- */

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

/* What is damaged of them is no damage of the store's answers, and verify names it all the same. */
static void damaged_filters_are_named(void **state)
{
    (void)state;
    const struct world w = { 3000, 300, 2, 300000, 50 };
    void (*const changes[])(struct lapse_filter *, sqlite3 *) = { nothing, lose, damage, shorten };
    struct event *events = malloc(MANY * sizeof *events);
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
        struct model m;
        char rows[200];
        lapse_result *report = NULL;
        lapse_error error = { .size = sizeof error };
        lapse_store *store = large_store(&m, &w, events);
        int stored = each_filter(store, changes[c]);
        assert_in_range(stored, 1, 10);
        assert_int_equal(verify(store, rows, sizeof rows, &report, &error), c ? LAPSE_DAMAGED : LAPSE_OK);
        assert_int_equal(lapse_result_notes(report) >= stored, c > 0);
        for (int i = 0; i < lapse_result_notes(report); i++)
            assert_non_null(strstr(lapse_result_note(report, i), "of its filter is damaged"));
        lapse_result_free(report);
        check_store(store, &m);
        lapse_store_close(store);
        close_model(&m);
    }
    free(events);
}

/* A run that somebody was taken out of keeps its filters: what it had is known, what is new is taken, and verify agrees. */
static void filters_outlive_an_erasure(void **state)
{
    (void)state;
    const struct world w = { 3000, 300, 2, 300000, 50 };
    const int64_t offsets[] = { 0, 2 };
    struct event *events = malloc(MANY * sizeof *events);
    int32_t *outcomes = malloc(MANY * sizeof *outcomes);
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = (w.times + 1) * LAPSE_DAY;
    for (int reopened = 0; reopened < 2; reopened++) {
        struct model m;
        lapse_forgotten gone = { .size = sizeof gone };
        lapse_result *report = NULL;
        char rows[200];
        int64_t of_c7 = 0;
        lapse_store *store = large_store(&m, &w, events);
        int64_t before = events_in(store);
        assert_int_equal(lapse_store_forget(store, "C7", offsets, 1, &o, &gone, NULL), LAPSE_OK);
        assert_true(gone.events > 0);
        assert_int_equal(events_in(store), before - gone.events);
        assert_in_range(each_filter(store, NULL), 1, 10);
        if (reopened) {
            lapse_store_close(store);
            store = open_store(path, 64 << 20);
        }
        lapse_counts counts = append(store, &w, events, MANY, 0, outcomes);
        for (int64_t i = 0; i < MANY; i++) {
            bool hers = events[i].content / w.amounts / w.times == 7;
            of_c7 += hers;
            if ((outcomes[i] == LAPSE_ROW_ERASED) != hers)
                fail_msg("row %lld: outcome %d", (long long)i, (int)outcomes[i]);
        }
        assert_int_equal(counts.erased, of_c7);
        assert_int_equal(counts.accepted, 0);
        assert_int_equal(events_in(store), before - gone.events);
        assert_int_equal(verify(store, rows, sizeof rows, &report, NULL), LAPSE_OK);
        lapse_result_free(report);
        lapse_store_close(store);
        close_model(&m);
    }
    free(events);
    free(outcomes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_admit_what_is_there),
        cmocka_unit_test(filters_are_small_and_tell),
        cmocka_unit_test(damaged_filters_are_safe),
        cmocka_unit_test(recent_rows_are_the_latest),
        cmocka_unit_test(content_keys),
        cmocka_unit_test(filters_are_only_a_help),
        cmocka_unit_test(damaged_filters_are_named),
        cmocka_unit_test(filters_outlive_an_erasure),
    };
    return cmocka_run_group_tests_name("identity_filters", tests, make_folder, remove_folder);
}
