/* lib/store, identity: the Bloom filter in front of the filters of runs. It admits all keys that it was given and few
 * others; and a store that has one takes the same events as one that has none, full or not, with runs behind it, runs of
 * another handle and runs from before it was opened. */
#define _POSIX_C_SOURCE 200809L

#include "identities.h"

static uint64_t any_key(void)
{
    return draw(UINT64_MAX);
}

static void it_admits_what_it_was_given(void **state)
{
    (void)state;
    enum { KEYS = 20000 };
    const size_t bytes[] = { 8, 16, 1000, 65536, 1 << 20 };
    uint64_t *keys = malloc(KEYS * sizeof *keys), *admitted = malloc((KEYS + 1) * sizeof *admitted);
    uint32_t *which = malloc((KEYS + 1) * sizeof *which);
    for (size_t b = 0; b < sizeof bytes / sizeof *bytes; b++) {
        struct lapse_bloom *bloom = lapse_bloom_new(&mem, bytes[b]);
        assert_non_null(bloom);
        for (size_t i = 0; i < KEYS; i++)
            keys[i] = i % 100 ? any_key() : i % 200 ? 0 : UINT64_MAX;
        assert_int_equal(lapse_bloom_admit(bloom, keys, KEYS, admitted, which), 0);
        lapse_bloom_add(bloom, keys, KEYS / 2);
        lapse_bloom_add(bloom, keys + KEYS / 2, KEYS / 2);
        assert_int_equal(lapse_bloom_admit(bloom, keys, KEYS, admitted, which), KEYS);
        for (size_t i = 0; i < KEYS; i++)
            assert_true(admitted[i] == keys[i] && which[i] == i);
        lapse_bloom_free(&mem, bloom);
    }
    lapse_bloom_free(&mem, NULL);
    free(keys);
    free(admitted);
    free(which);
}

static size_t count_false(size_t bits)
{
    enum { ADDED = 1 << 17, ASKED = 1 << 16 };
    struct lapse_bloom *bloom = lapse_bloom_new(&mem, ADDED * bits / 8);
    uint64_t *asked = malloc(ASKED * sizeof *asked), *admitted = malloc((ASKED + 1) * sizeof *admitted);
    uint32_t *which = malloc((ASKED + 1) * sizeof *which);
    for (size_t i = 0; i < ADDED; i++) {
        uint64_t key = any_key();
        lapse_bloom_add(bloom, &key, 1);
    }
    for (size_t i = 0; i < ASKED; i++)
        asked[i] = any_key();
    size_t n = lapse_bloom_admit(bloom, asked, ASKED, admitted, which);
    for (size_t i = 0; i < n; i++)
        assert_true(admitted[i] == asked[which[i]] && (i == 0 || which[i] > which[i - 1]));
    lapse_bloom_free(&mem, bloom);
    free(asked);
    free(admitted);
    free(which);
    return ASKED / (n ? n : 1);
}

static void it_rules_out_most_others(void **state)
{
    (void)state;
    assert_in_range(count_false(3), 2, 4);
    assert_in_range(count_false(8), 20, 40);
    assert_in_range(count_false(25), 250, 400);
}

/* ---- in a store ------------------------------------------------------------------------------------------ */

enum { MANY = 90000, SOME = 3000 };

static const struct world world = { 3000, 300, 2, 300000, 95 };

/* Of n events three in ten are known already, if any are. */
static void append_mixed(lapse_store *store, struct model *m, struct event *events, const struct event *known, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        events[i] = known && draw(100) < 30 ? known[draw(MANY)] : draw_event(&world, 0, world.times);
    check_append(store, m, events, n, 0);
}

/* How many published runs of fingerprints the store's Bloom filter has, and has not. */
static void count_runs(lapse_store *store, int *behind, int *others)
{
    struct lapse_manifest *m;
    *behind = *others = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++) {
        const struct lapse_filter *f = m->runs[i]->filter;
        if (m->runs[i]->family == LAPSE_RUN_FINGERPRINTS)
            ++*(store->bloom && f && f->bloom == store->bloom ? behind : others);
    }
    lapse_manifest_release(m);
}

static void stores_take_the_same_with_it(void **state)
{
    (void)state;
    struct model m;
    struct event *first = malloc(MANY * sizeof *first), *more = malloc(MANY * sizeof *more);
    int behind, others;
    remove(path);
    open_model(&m, &world);
    lapse_store *store = open_store(path, 64 << 20), *other;
    append_mixed(store, &m, more, NULL, SOME);
    assert_null(store->bloom); /* few fingerprints do without */
    append_mixed(store, &m, first, NULL, MANY);
    assert_non_null(store->bloom);
    assert_int_equal(store->bloom->words, (64 << 20) / 4 / 8);
    for (int round = 0; round < 5; round++)
        append_mixed(store, &m, more, first, SOME);
    count_runs(store, &behind, &others);
    assert_true(behind >= 1 && others <= 1);

    other = open_store(path, 64 << 20); /* what it writes is in no filter of the first */
    append_mixed(other, &m, more, first, SOME);
    assert_null(other->bloom);
    check_append(store, &m, more, SOME, 0); /* all known */
    append_mixed(other, &m, first, NULL, MANY);
    check_append(store, &m, first, MANY, 0);
    count_runs(store, &behind, &others);
    assert_true(behind >= 1 && others >= 1);
    lapse_store_close(other);

    memset(store->bloom->word, 255, store->bloom->words * sizeof *store->bloom->word); /* it rules out nothing any more */
    append_mixed(store, &m, more, first, SOME);
    lapse_store_close(store);

    store = open_store(path, 64 << 20);
    append_mixed(store, &m, more, first, SOME);
    assert_null(store->bloom);
    append_mixed(store, &m, more, first, MANY);
    assert_non_null(store->bloom);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK); /* a pass over all keys */
    append_mixed(store, &m, more, first, SOME);
    count_runs(store, &behind, &others);
    assert_int_equal(others, 0);
    check_store(store, &m);
    lapse_store_close(store);
    close_model(&m);
    free(first);
    free(more);
}

static void *all_but_it(void *user, size_t n)
{
    return n == (64 << 20) / 4 ? NULL : heap_alloc(user, n);
}

static void stores_do_without_it(void **state)
{
    (void)state;
    static struct heap heap;
    lapse_allocator hooks = heap_hooks(&heap);
    hooks.alloc = all_but_it;
    struct model m;
    struct event *events = malloc(MANY * sizeof *events);
    lapse_store *store;
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.memory_limit = 64 << 20;
    o.allocator = &hooks;
    open_model(&m, &world);
    assert_int_equal(lapse_store_open(NULL, &o, &store, NULL), LAPSE_OK);
    append_mixed(store, &m, events, NULL, MANY);
    assert_null(store->bloom);
    check_append(store, &m, events, MANY, 0);
    check_store(store, &m);
    lapse_store_close(store);
    assert_int_equal(heap.live, 0);
    close_model(&m);
    free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_admits_what_it_was_given),
        cmocka_unit_test(it_rules_out_most_others),
        cmocka_unit_test(stores_take_the_same_with_it),
        cmocka_unit_test(stores_do_without_it),
    };
    return cmocka_run_group_tests_name("identity_bloom", tests, make_folder, remove_folder);
}
