/* Ids and their numbers: a hash table over an arena. The order of ids decides no answer; the seed is drawn at random
 * only so that nobody can prepare ids that meet in one slot. About 20 ns an id to put, 60 to sort. */
#include "store/store.h"

enum { AHEAD = 16 }; /* texts fetched before they are asked for */

struct lapse_ids_slot {
    uint32_t tag, place; /* place 0: free */
};

static inline void fetch(const void *p)
{
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

static struct lapse_text text_at(const struct lapse_ids *ids, uint32_t place)
{
    const char *p = ids->arena.data + (size_t)place * 4;
    return (struct lapse_text){ p + 5, (uint8_t)p[4] };
}

struct lapse_text lapse_ids_text(const struct lapse_ids *ids, uint32_t number)
{
    return text_at(ids, ids->places[number]);
}

void lapse_ids_places(const struct lapse_ids *ids, const uint32_t *numbers, size_t n, uint32_t *places)
{
    for (size_t i = 0; i < n; i++)
        places[i] = ids->places[numbers[i]];
}

struct lapse_text lapse_ids_text_ahead(const struct lapse_ids *ids, const uint32_t *places, size_t i, size_t n)
{
    if (i + AHEAD < n)
        fetch(ids->arena.data + (size_t)places[i + AHEAD] * 4);
    return text_at(ids, places[i]);
}

size_t lapse_ids_memory(const struct lapse_ids *ids)
{
    /* and what sorting takes */
    return ids->arena.size + ids->slot_count * sizeof *ids->slots + ids->count * (sizeof(uint32_t) * 4 + 32);
}

static bool grow_slots(struct lapse_ids *ids)
{
    size_t count = ids->slot_count ? ids->slot_count * 2 : 1024;
    struct lapse_ids_slot *slots = lapse_mem_zero(ids->mem, count, sizeof *slots);
    if (!slots)
        return false;
    for (size_t c = 0; c < ids->count; c++) {
        struct lapse_text id = text_at(ids, ids->places[c]);
        uint64_t hash = lapse_hash(id.data, id.size, ids->seed);
        size_t i = hash & (count - 1);
        while (slots[i].place)
            i = (i + 1) & (count - 1);
        slots[i] = (struct lapse_ids_slot){ (uint32_t)(hash >> 32), ids->places[c] };
    }
    lapse_mem_free(ids->mem, ids->slots);
    ids->slots = slots;
    ids->slot_count = count;
    return true;
}

bool lapse_ids_init(struct lapse_ids *ids, const lapse_allocator *mem)
{
    memset(ids, 0, sizeof *ids);
    ids->mem = mem;
    if (!lapse_random(&ids->seed, sizeof ids->seed))
        ids->seed = (uint64_t)(uintptr_t)ids;
    lapse_buffer_init(&ids->arena, mem);
    lapse_buffer_init(&ids->waiting_bytes, mem);
    bool ok = grow_slots(ids) && lapse_buffer_room(&ids->arena, 4);
    ids->arena.size = ok ? 4 : 0; /* place 0 is no place */
    return ok;
}

void lapse_ids_free(struct lapse_ids *ids)
{
    if (!ids->mem)
        return;
    lapse_buffer_free(&ids->arena);
    lapse_buffer_free(&ids->waiting_bytes);
    lapse_mem_free(ids->mem, ids->slots);
    lapse_mem_free(ids->mem, ids->places);
}

void lapse_ids_clear(struct lapse_ids *ids)
{
    ids->count = ids->waiting = 0;
    ids->arena.size = 4;
    ids->waiting_bytes.size = 0;
    memset(ids->slots, 0, ids->slot_count * sizeof *ids->slots);
}

bool lapse_ids_put(struct lapse_ids *ids, struct lapse_text id)
{
    uint64_t hash = lapse_hash(id.data, id.size, ids->seed);
    fetch(&ids->slots[hash & (ids->slot_count - 1)]);
    ids->queue[ids->waiting].hash = hash;
    ids->queue[ids->waiting].begin = (uint32_t)ids->waiting_bytes.size;
    ids->queue[ids->waiting++].length = (uint8_t)id.size;
    lapse_buffer_put(&ids->waiting_bytes, id.data, id.size);
    return !ids->waiting_bytes.failed;
}

static bool add(struct lapse_ids *ids, struct lapse_text id, uint32_t *place)
{
    uint32_t number = (uint32_t)ids->count;
    uint8_t length = (uint8_t)id.size;
    if (!lapse_mem_reserve(ids->mem, &ids->places, &ids->capacity, ids->count + 1, sizeof *ids->places) ||
        !lapse_buffer_room(&ids->arena, 5 + 255 + 4))
        return false;
    *place = (uint32_t)(ids->arena.size / 4);
    char *p = ids->arena.data + ids->arena.size;
    memcpy(p, &number, 4);
    memcpy(p + 4, &length, 1);
    memcpy(p + 5, id.data, id.size);
    ids->arena.size += (5 + (size_t)id.size + 3) / 4 * 4;
    ids->places[ids->count++] = *place;
    return true;
}

static bool find_or_add(struct lapse_ids *ids, uint64_t hash, struct lapse_text id, uint32_t *number)
{
    uint32_t tag = (uint32_t)(hash >> 32), place;
    size_t i = hash & (ids->slot_count - 1);
    for (; ids->slots[i].place; i = (i + 1) & (ids->slot_count - 1)) {
        if (ids->slots[i].tag != tag)
            continue;
        struct lapse_text known = text_at(ids, ids->slots[i].place);
        if (known.size == id.size && memcmp(known.data, id.data, id.size) == 0) {
            memcpy(number, ids->arena.data + (size_t)ids->slots[i].place * 4, 4);
            return true;
        }
    }
    if (!add(ids, id, &place))
        return false;
    ids->slots[i] = (struct lapse_ids_slot){ tag, place };
    *number = (uint32_t)ids->count - 1;
    return true;
}

bool lapse_ids_take(struct lapse_ids *ids, uint32_t *numbers)
{
    size_t n = ids->waiting;
    while ((ids->count + n) * 2 > ids->slot_count)
        if (!grow_slots(ids))
            return false;
    for (size_t i = 0; i < n; i++) /* the slots are on their way since the ids were put */
        fetch(ids->arena.data + (size_t)ids->slots[ids->queue[i].hash & (ids->slot_count - 1)].place * 4);
    for (size_t i = 0; i < n; i++) {
        struct lapse_text id = { ids->waiting_bytes.data + ids->queue[i].begin, ids->queue[i].length };
        if (!find_or_add(ids, ids->queue[i].hash, id, &numbers[i]))
            return false;
    }
    ids->waiting = 0;
    ids->waiting_bytes.size = 0;
    return true;
}

/* ---- order -------------------------------------------------------------------------------------------------- */

/* Eight bytes of an id from the first that is not common to all, so that they sort as integers. */
static uint64_t prefix_of(struct lapse_text id, size_t skip)
{
    uint8_t b[8] = { 0 };
    if (id.size > skip)
        memcpy(b, id.data + skip, id.size - skip < 8 ? id.size - skip : 8);
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | b[i];
    return v;
}

static size_t common_prefix(const struct lapse_ids *ids)
{
    struct lapse_text first = lapse_ids_text(ids, 0);
    size_t n = first.size;
    for (uint32_t c = 1; c < ids->count && n; c++) {
        struct lapse_text id = lapse_ids_text(ids, c);
        size_t k = 0;
        n = id.size < n ? id.size : n;
        while (k < n && id.data[k] == first.data[k])
            k++;
        n = k;
    }
    return n;
}

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_ids *ids = user;
    struct lapse_text x = lapse_ids_text(ids, a), y = lapse_ids_text(ids, b);
    return lapse_text_compare(x.data, x.size, y.data, y.size);
}

bool lapse_ids_sort(const struct lapse_ids *ids, uint32_t *sorted)
{
    size_t n = ids->count, skip = n ? common_prefix(ids) : 0;
    struct lapse_sort_key *keys = lapse_mem_alloc(ids->mem, 2 * n * sizeof *keys);
    uint32_t *scratch = lapse_mem_alloc(ids->mem, n * sizeof *scratch);
    if (keys && scratch) {
        for (uint32_t c = 0; c < n; c++)
            keys[c] = (struct lapse_sort_key){ prefix_of(lapse_ids_text(ids, c), skip), c };
        const struct lapse_sort_key *by_prefix = lapse_sort_keys(keys, keys + n, n);
        for (size_t i = 0; i < n; i++)
            sorted[i] = by_prefix[i].index;
        for (size_t i = 0, j; i < n; i = j) { /* ties are settled by whole ids */
            for (j = i + 1; j < n && by_prefix[j].key == by_prefix[i].key; j++)
                ;
            if (j - i > 1)
                lapse_sort_indices(sorted + i, j - i, scratch, order_ids, ids);
        }
    }
    lapse_mem_free(ids->mem, keys);
    lapse_mem_free(ids->mem, scratch);
    return keys && scratch;
}
