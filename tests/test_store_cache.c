/* Blocks that were looked for are kept (cache.c): which, how many, how long, and that nobody can tell. */
#define _POSIX_C_SOURCE 200809L
#include "upkeep.h"

#include <pthread.h>

/* ---- the cache by itself ---------------------------------------------------------------------------------- */

static struct lapse_buffer bytes_like(char c, size_t n)
{
    struct lapse_buffer b;
    lapse_buffer_init(&b, &mem);
    assert_true(lapse_buffer_room(&b, n)); /* and no more */
    memset(b.data, c, n);
    b.size = n;
    return b;
}

/* Looked for, and again. */
static bool keep(struct lapse_cache *c, int64_t id, size_t n)
{
    struct lapse_buffer b = bytes_like((char)id, n);
    struct lapse_cached *e = NULL;
    for (int i = 0; i < 2 && !e; i++)
        e = lapse_cache_keep(c, id, (uint64_t)id * 7, &b);
    assert_int_equal(b.size, e ? 0 : n); /* taken over, or still here */
    lapse_buffer_free(&b);
    if (e)
        lapse_cache_release(c, e);
    return e;
}

static bool has(struct lapse_cache *c, int64_t id)
{
    struct lapse_cached *e = lapse_cache_find(c, id, (uint64_t)id * 7);
    if (!e)
        return false;
    assert_int_equal(lapse_cached_bytes(e)->data[0], (char)id);
    lapse_cache_release(c, e);
    return true;
}

static void least_recently_used_goes_first(void **state)
{
    (void)state;
    struct lapse_cache *c = lapse_cache_new(&mem);
    assert_non_null(c);
    assert_false(keep(c, 1, 10)); /* no limit yet */
    assert_false(has(c, 1));
    lapse_cache_limit(c, 10000);
    struct lapse_buffer b = bytes_like('x', 3);
    assert_null(lapse_cache_keep(c, 9, 9, &b)); /* once is not enough */
    assert_int_equal(b.size, 3);
    for (int64_t id = 1; id <= 4; id++)
        assert_true(keep(c, id, 2000));
    assert_true(has(c, 1)); /* used again: 2 is the oldest now */
    assert_true(keep(c, 5, 2000));
    assert_false(has(c, 2));
    assert_true(has(c, 1) && has(c, 3) && has(c, 4) && has(c, 5));
    assert_false(keep(c, 6, 10000)); /* with what it takes to know it, it is larger than the limit */
    assert_true(has(c, 5));
    assert_null(lapse_cache_find(c, 5, 36)); /* another block of that id */
    lapse_cache_limit(c, 5000);
    assert_true(has(c, 5) && has(c, 4));
    assert_false(has(c, 1) || has(c, 3));
    lapse_cache_clear(c);
    assert_false(has(c, 4) || has(c, 5));
    assert_true(keep(c, 4, 2000));
    lapse_cache_free(c);
    lapse_cache_free(NULL);
    assert_null(lapse_cache_find(NULL, 1, 1));
    assert_null(lapse_cache_keep(NULL, 1, 1, &b));
    assert_int_equal(b.size, 3);
    lapse_buffer_free(&b);
}

/* What somebody uses stays readable when the cache lets it go. */
static void what_is_used_lives_on(void **state)
{
    (void)state;
    struct lapse_cache *c = lapse_cache_new(&mem);
    struct lapse_buffer b = bytes_like('a', 1000), again = bytes_like('b', 10);
    lapse_cache_limit(c, 5000);
    assert_true(keep(c, 1, 1000));
    struct lapse_cached *e = lapse_cache_keep(c, 1, 7, &b);
    assert_int_equal(b.size, 1000);
    lapse_buffer_free(&b);
    struct lapse_cached *other = lapse_cache_keep(c, 1, 7, &again); /* the same: what is there already */
    assert_ptr_equal(e, other);
    assert_int_equal(again.size, 10);
    lapse_buffer_free(&again);
    lapse_cache_clear(c);
    assert_false(has(c, 1));
    lapse_cache_release(c, other);
    assert_int_equal(lapse_cached_bytes(e)->size, 1000);
    assert_int_equal(lapse_cached_bytes(e)->data[999], 1);
    lapse_cache_release(c, e);
    lapse_cache_free(c);
}

/* Against a plain list, with more blocks than the first table has places for. */
static void many_blocks(void **state)
{
    enum { BLOCKS = 3000, STEPS = 20000, LIMIT = 300000 };
    (void)state;
    static int used[BLOCKS]; /* when last; 0: not there */
    struct lapse_cache *c = lapse_cache_new(&mem);
    int room = 0, count = 0;
    lapse_cache_limit(c, LIMIT);
    for (int id = 0; id < BLOCKS; id++)
        assert_true(keep(c, id, 100));
    for (int id = 0; id < BLOCKS; id++)
        room += has(c, id);
    assert_in_range(room, LIMIT / 1000, BLOCKS - 1);
    assert_true(has(c, BLOCKS - room) && !has(c, BLOCKS - room - 1));
    lapse_cache_clear(c);
    for (int step = 1; step <= STEPS; step++) {
        int id = (int)draw(BLOCKS);
        assert_int_equal(has(c, id), used[id] > 0);
        if (!used[id]) {
            assert_true(keep(c, id, 100));
            count++;
        }
        used[id] = step;
        for (int oldest = -1; count > room; count--) {
            for (int i = 0; i < BLOCKS; i++)
                if (used[i] && (oldest < 0 || used[i] < used[oldest]))
                    oldest = i;
            used[oldest] = 0;
        }
    }
    lapse_cache_free(c);
}

/* ---- in a store --------------------------------------------------------------------------------------------- */

static lapse_status ask(lapse_store *store, const char *customer)
{
    lapse_view *view;
    lapse_result *result = NULL;
    lapse_table *table;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    lapse_status status = lapse_view_history(view, customer, &result, NULL);
    if (status == LAPSE_OK && (status = lapse_result_next(result, &table, NULL)) == LAPSE_OK)
        lapse_table_release(table);
    lapse_result_free(result);
    lapse_view_close(view);
    return status;
}

static void damage(void)
{
    raw("UPDATE block SET data = zeroblob(length(data))");
}

/* The file is not read again for what was looked for twice; a pass keeps nothing; imports need the room; who is forgotten is
 * forgotten here too; and verify looks at the file. */
static void what_is_kept(void **state)
{
    (void)state;
    char rows[200];
    lapse_result *report;
    lapse_store *store = filled(path, 1, 1000);
    assert_int_equal(ask(store, "c000007"), LAPSE_OK);
    assert_int_equal(ask(store, "c000007"), LAPSE_OK);
    damage();
    assert_int_equal(ask(store, "c000007"), LAPSE_OK);
    assert_int_equal(ask(store, "c000700"), LAPSE_OK); /* of the same block */
    assert_int_equal(verify(store, rows, sizeof rows, &report, NULL), LAPSE_DAMAGED);
    lapse_result_free(report);
    lapse_store_close(store);

    store = filled(path, 1, 1000);
    free(export_of(store));
    free(export_of(store));
    damage();
    assert_int_equal(ask(store, "c000007"), LAPSE_DAMAGED);
    lapse_store_close(store);

    store = filled(path, 1, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(store, "c000007"), LAPSE_OK);
    static const char order[] = "customer,time\nz,2024-01-01\n";
    write_bytes(text_path, order, strlen(order));
    assert_int_equal(lapse_store_import_file(store, text_path, NULL, NULL, NULL), LAPSE_OK);
    damage();
    assert_int_equal(ask(store, "c000007"), LAPSE_DAMAGED);
    lapse_store_close(store);

    store = filled(path, 1, 1000);
    const int64_t offsets[] = { 0, 7 };
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = 1000 * LAPSE_DAY;
    struct lapse_manifest *m;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(store, "c000007"), LAPSE_OK);
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    const struct lapse_run_block *b = &m->runs[0]->blocks[0];
    struct lapse_cached *e = lapse_cache_find(store->cache, b->id, b->checksum);
    assert_non_null(e);
    lapse_cache_release(store->cache, e);
    assert_int_equal(lapse_store_forget(store, "c000014", offsets, 1, &o, NULL, NULL), LAPSE_OK);
    assert_null(lapse_cache_find(store->cache, b->id, b->checksum));
    lapse_manifest_release(m);
    assert_int_equal(ask(store, "c000007"), LAPSE_OK);
    lapse_store_close(store);
    unlink(path);
}

/* At most half of the memory limit, nothing while a file is imported. */
static int kept_of(lapse_store *store)
{
    int n = 0;
    for (int64_t id = 1; id <= 40; id++)
        keep(store->cache, id, 1 << 20);
    for (int64_t id = 1; id <= 40; id++)
        n += has(store->cache, id);
    return n;
}

static int kept_while_importing;
static int64_t look_and_give(void *user, char *buffer, int64_t capacity)
{
    static const char order[] = "customer,time\nz,2024-01-01\n";
    lapse_store **store = user;
    (void)capacity;
    if (!*store)
        return 0;
    kept_while_importing = kept_of(*store);
    *store = NULL;
    memcpy(buffer, order, strlen(order));
    return (int64_t)strlen(order);
}

static void half_of_the_limit(void **state)
{
    (void)state;
    lapse_store_options o;
    lapse_store *store;
    lapse_store_options_init(&o, sizeof o);
    o.memory_limit = 16 << 20;
    assert_int_equal(lapse_store_open(NULL, &o, &store, NULL), LAPSE_OK);
    assert_int_equal(kept_of(store), 7); /* of eight MiB, which have room for what it takes to know them too */
    lapse_store *once = store;
    kept_while_importing = -1;
    assert_int_equal(lapse_store_import_stream(store, look_and_give, &once, NULL, NULL, NULL), LAPSE_OK);
    assert_int_equal(kept_while_importing, 0);
    assert_int_equal(kept_of(store), 7);
    lapse_store_close(store);
}

static lapse_store *shared;
static void *ask_many(void *user)
{
    uint64_t own = (uint64_t)(uintptr_t)user;
    lapse_view *view;
    lapse_status status = lapse_view_open(shared, INT64_MAX, &view, NULL);
    for (int i = 0; i < 2000 && status == LAPSE_OK; i++) {
        char id[16];
        lapse_decision decision = { .size = sizeof decision };
        snprintf(id, sizeof id, "c%06d", (int)(random64(&own) % 3000));
        status = lapse_view_permit_one(view, NULL, id, LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_MARKETING, NULL, &decision, NULL);
    }
    lapse_view_close(view);
    return (void *)(uintptr_t)status;
}

/* Several threads ask, while there is room for some of the blocks only, and for none now and then. */
static void threads_share(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    (void)state;
    shared = filled(path, 8, 3000);
    lapse_cache_limit(shared->cache, 100000);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, (void *)(i + 1)), 0);
    for (int i = 0; i < 20; i++) {
        lapse_cache_limit(shared->cache, i % 2 ? 100000 : 0);
        append(shared, 100 + i, 100, true);
    }
    for (int i = 0; i < THREADS; i++) {
        void *status;
        assert_int_equal(pthread_join(threads[i], &status), 0);
        assert_int_equal((uintptr_t)status, LAPSE_OK);
    }
    lapse_store_close(shared);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_recently_used_goes_first), cmocka_unit_test(what_is_used_lives_on),
        cmocka_unit_test(many_blocks),                    cmocka_unit_test(what_is_kept),
        cmocka_unit_test(half_of_the_limit),              cmocka_unit_test(threads_share),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
