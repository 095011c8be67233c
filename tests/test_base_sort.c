/* lib/base: the three sorts beside one that looks for the least again and again; all are stable. */
#include "help.h"

#include "base/base.h"

enum { MOST = 300 };

struct cards {
    uint64_t major[MOST], minor[MOST];
};

static int by_minor(const void *user, uint32_t a, uint32_t b)
{
    const struct cards *c = user;
    return (c->minor[a] > c->minor[b]) - (c->minor[a] < c->minor[b]);
}

static bool less(const struct cards *c, bool major, bool minor, uint32_t a, uint32_t b)
{
    if (major && c->major[a] != c->major[b])
        return c->major[a] < c->major[b];
    if (minor && c->minor[a] != c->minor[b])
        return c->minor[a] < c->minor[b];
    return a < b;
}

/* out: 0 .. n - 1 in order. */
static void naive(const struct cards *c, size_t n, bool major, bool minor, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && less(c, major, minor, i, out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
}

/* Keys in which only some bytes differ, few or many of them equal. */
static void draw(struct cards *c, size_t n, uint64_t *seed)
{
    uint64_t few = 1 + dice(seed, 3) * 40, same = (uint64_t)dice(seed, 1 << 30) << 34;
    int shift = (int)dice(seed, 7) * 8;
    for (size_t i = 0; i < n; i++) {
        c->major[i] = same ^ (uint64_t)dice(seed, (uint32_t)few) << shift ^ (dice(seed, 5) ? 0 : UINT64_C(1) << 63);
        c->minor[i] = dice(seed, 2) ? dice(seed, 4) : UINT64_MAX - dice(seed, 1000);
    }
}

static void fill(struct lapse_sort_key *keys, const struct cards *c, size_t n)
{
    for (uint32_t i = 0; i < n; i++)
        keys[i] = (struct lapse_sort_key){ c->major[i], i };
}

static void sorts_are_those_of_a_naive_one(void **state)
{
    static struct cards c;
    static struct lapse_sort_key keys[2 * MOST];
    uint32_t v[MOST + 1], scratch[MOST], want[MOST];
    uint64_t seed = 21;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t n = round < 20 ? (size_t)round : dice(&seed, MOST);
        draw(&c, n, &seed);

        fill(keys, &c, n);
        naive(&c, n, true, false, want);
        struct lapse_sort_key *sorted = lapse_sort_keys(keys, keys + n, n);
        assert_true(sorted == keys || sorted == keys + n);
        assert_ptr_equal(lapse_sort_keys(sorted, sorted == keys ? keys + n : keys, n), sorted); /* where it lies */
        for (size_t i = 0; i < n; i++)
            assert_int_equal(sorted[i].index, want[i]);

        for (uint32_t i = 0; i < n; i++)
            v[i] = i;
        v[n] = 77;
        lapse_sort_indices(v, n, scratch, by_minor, &c);
        naive(&c, n, false, true, want);
        assert_memory_equal(v, want, n * sizeof *v);

        fill(keys, &c, n);
        lapse_sort_settled(keys, v, n, scratch, by_minor, &c);
        naive(&c, n, true, true, want);
        assert_memory_equal(v, want, n * sizeof *v);
        assert_int_equal(v[n], 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_are_those_of_a_naive_one),
    };
    return cmocka_run_group_tests_name("base_sort", tests, NULL, NULL);
}
