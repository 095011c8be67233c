/* Sorts that take their comparison's context, use memory of the caller only, and are stable. */
#include "base/base.h"

struct lapse_sort_key *lapse_sort_keys(struct lapse_sort_key *keys, struct lapse_sort_key *scratch, size_t n)
{
    uint64_t ones = 0, all = UINT64_MAX, last = 0;
    bool ascend = true;
    for (size_t i = 0; i < n; i++) {
        ones |= keys[i].key;
        all &= keys[i].key;
        ascend &= last <= keys[i].key;
        last = keys[i].key;
    }
    for (int shift = 0; shift < 64 && !ascend; shift += 8) {
        size_t place[257] = { 0 };
        if (((ones ^ all) >> shift & 255) == 0)
            continue; /* one and the same byte everywhere */
        for (size_t i = 0; i < n; i++)
            place[(keys[i].key >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            place[b + 1] += place[b];
        for (size_t i = 0; i < n; i++)
            scratch[place[keys[i].key >> shift & 255]++] = keys[i];
        struct lapse_sort_key *swap = keys;
        keys = scratch;
        scratch = swap;
    }
    return keys;
}

void lapse_sort_indices(uint32_t *v, size_t n, uint32_t *scratch, lapse_order_fn order, const void *user)
{
    if (n <= 12) {
        for (size_t i = 1; i < n; i++) {
            uint32_t x = v[i];
            size_t j = i;
            for (; j > 0 && order(user, v[j - 1], x) > 0; j--)
                v[j] = v[j - 1];
            v[j] = x;
        }
        return;
    }
    size_t half = n / 2;
    lapse_sort_indices(v, half, scratch, order, user);
    lapse_sort_indices(v + half, n - half, scratch, order, user);
    if (order(user, v[half - 1], v[half]) <= 0)
        return;
    memcpy(scratch, v, half * sizeof *v);
    for (size_t i = 0, j = half, k = 0; i < half; k++)
        v[k] = j < n && order(user, scratch[i], v[j]) > 0 ? v[j++] : scratch[i++];
}

void lapse_sort_settled(struct lapse_sort_key *keys, uint32_t *v, size_t n, uint32_t *scratch, lapse_order_fn order,
                        const void *user)
{
    const struct lapse_sort_key *sorted = lapse_sort_keys(keys, keys + n, n);
    for (size_t i = 0; i < n; i++)
        v[i] = sorted[i].index;
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && sorted[j].key == sorted[i].key; j++)
            ;
        if (j - i > 1)
            lapse_sort_indices(v + i, j - i, scratch, order, user);
    }
}
