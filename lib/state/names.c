/* Pairs of a small key and a text, numbered in the order they come: cells by channel, purpose and topic,
 * tokens by cell, endpoints by channel. Open addressing, at most half full; the seed is that of the store's
 * key, so that no file can make it slow. To clear it costs what was put, and a customer with three cells
 * touches three slots. */
#include "state/state.h"

static uint64_t hash_of(const struct lapse_names *n, uint32_t key, struct lapse_text text)
{
    return lapse_hash(text.data, text.size, n->seed ^ key * UINT64_C(0x9E3779B97F4A7C15));
}

/* The slot of the pair, or the empty one where it belongs. */
static size_t seek(const struct lapse_names *n, uint64_t hash, uint32_t key, struct lapse_text text)
{
    size_t mask = n->slot_count - 1, at = (size_t)hash & mask;
    for (; n->slots[at]; at = (at + 1) & mask) {
        const struct lapse_name *item = &n->items[n->slots[at] - 1];
        if (item->hash == hash && item->key == key && item->text.size == text.size &&
            memcmp(item->text.data, text.data, text.size) == 0)
            break;
    }
    return at;
}

static bool grow(struct lapse_names *n)
{
    size_t count = n->slot_count ? 2 * n->slot_count : 16;
    if (count > UINT32_MAX / 2 ||
        !lapse_mem_reserve(n->mem, &n->slots, &n->slot_capacity, count, sizeof *n->slots))
        return false;
    memset(n->slots, 0, count * sizeof *n->slots);
    n->slot_count = count;
    for (size_t i = 0; i < n->count; i++) {
        struct lapse_name *item = &n->items[i];
        item->slot = (uint32_t)seek(n, item->hash, item->key, item->text);
        n->slots[item->slot] = (uint32_t)i + 1;
    }
    return true;
}

uint32_t lapse_names_find(const struct lapse_names *n, uint32_t key, struct lapse_text text)
{
    if (n->count == 0)
        return LAPSE_NO_NAME;
    return n->slots[seek(n, hash_of(n, key, text), key, text)] - 1;
}

uint32_t lapse_names_put(struct lapse_names *n, uint32_t key, struct lapse_text text, bool *fresh)
{
    *fresh = false;
    if (n->slot_count <= 2 * n->count && !grow(n))
        return LAPSE_NO_NAME;
    uint64_t hash = hash_of(n, key, text);
    size_t at = seek(n, hash, key, text);
    if (n->slots[at])
        return n->slots[at] - 1;
    if (n->count == n->capacity &&
        !lapse_mem_reserve(n->mem, &n->items, &n->capacity, n->count + 1, sizeof *n->items))
        return LAPSE_NO_NAME;
    n->items[n->count] = (struct lapse_name){ hash, key, (uint32_t)at, text };
    n->slots[at] = (uint32_t)++n->count;
    *fresh = true;
    return (uint32_t)n->count - 1;
}

void lapse_names_clear(struct lapse_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        n->slots[n->items[i].slot] = 0;
    n->count = 0;
}

void lapse_names_free(struct lapse_names *n)
{
    lapse_mem_free(n->mem, n->items);
    lapse_mem_free(n->mem, n->slots);
    *n = (struct lapse_names){ .mem = n->mem };
}
