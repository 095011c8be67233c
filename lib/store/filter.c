/* Filters: which of many keys a run may have, in two bytes a key.
 *
 * A part is of up to 65,535 ascending keys that are spread evenly. Its range is cut into as many buckets as it has
 * keys, 32 buckets are a cell. For each cell: bucket by bucket a 1 for every key and a 0 at the end, then of every key
 * its last `bits` bits. Before the cells stands how many keys lie before each. So a cell's place is computed: where it
 * is asked, a 16-bit count and one or two cache lines are read.
 *
 * A part's data, little-endian: bits (1), a zero, counts (2 for each cell), cells, 8 zeros.
 * Cost: bits + 2.5 bits a key, a false answer in 2^bits; about 10 ns a key to make or to ask. */
#include "store/identity.h"

enum { CELL = 32, HEADER = 2, SLACK = 8, AHEAD = 64, CACHED = 4 };

/* Up to 57 bits from bit `at` on; the caller masks. */
static uint64_t bits_at(const uint8_t *p, uint64_t at)
{
    return lapse_load8(p + at / 8) >> at % 8;
}

static void put_bits(uint8_t *p, uint64_t at, uint64_t value)
{
    lapse_store8(p + at / 8, lapse_load8(p + at / 8) | value << at % 8);
}

/* ---- where things lie ------------------------------------------------------------------------------------------ */

static size_t cells_of(const struct lapse_filter_part *part)
{
    return (part->keys + CELL - 1) / CELL;
}

/* What follows from first, last and keys. */
static void set_scale(struct lapse_filter_part *part, unsigned bits)
{
    uint64_t span = part->last - part->first;
    part->bits = (uint8_t)bits;
    part->shift = 0;
    for (uint64_t s = span; s > UINT32_MAX; s >>= 1)
        part->shift++;
    part->factor = ((uint64_t)part->keys << 32) / ((span >> part->shift) + 1);
}

/* Of a key between first and last: 0 .. keys - 1, never descending. */
static size_t bucket_of(const struct lapse_filter_part *part, uint64_t key)
{
    return (size_t)(((key - part->first) >> part->shift) * part->factor >> 32);
}

static const uint8_t *counts_of(const struct lapse_filter_part *part)
{
    return part->data + HEADER;
}

static size_t count_at(const struct lapse_filter_part *part, size_t cell)
{
    const uint8_t *p = counts_of(part) + 2 * cell;
    return cell == cells_of(part) ? part->keys : (size_t)p[0] | (size_t)p[1] << 8;
}

static const uint8_t *body_of(const struct lapse_filter_part *part)
{
    return counts_of(part) + 2 * cells_of(part);
}

static uint64_t place_of(const struct lapse_filter_part *part, size_t cell, size_t before)
{
    return (uint64_t)cell * CELL + before * (part->bits + 1u);
}

static size_t size_of(size_t keys, unsigned bits)
{
    size_t cells = (keys + CELL - 1) / CELL;
    return HEADER + 2 * cells + (cells * CELL + keys * (bits + 1) + 7) / 8 + SLACK;
}

/* ---- making ---------------------------------------------------------------------------------------------------------- */

struct lapse_filter *lapse_filter_new(const lapse_allocator *mem, struct lapse_bloom *bloom)
{
    struct lapse_filter *f = lapse_mem_zero(mem, 1, sizeof *f);
    if (f) {
        f->mem = mem;
        f->since = INT64_MIN;
        f->bloom = bloom;
    }
    return f;
}

void lapse_filter_free(struct lapse_filter *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++)
        lapse_mem_free(f->mem, f->parts[i].data);
    lapse_mem_free(f->mem, f->parts);
    lapse_mem_free(f->mem, f);
}

bool lapse_filter_add(struct lapse_filter *f, const uint64_t *keys, size_t n, unsigned bits)
{
    if (n == 0)
        return true;
    if (!lapse_mem_reserve(f->mem, &f->parts, &f->capacity, f->count + 1, sizeof *f->parts))
        return false;
    struct lapse_filter_part *part = &f->parts[f->count];
    *part = (struct lapse_filter_part){ .keys = (uint32_t)n, .size = (uint32_t)size_of(n, bits),
                                        .first = keys[0], .last = keys[n - 1] };
    part->data = lapse_mem_zero(f->mem, part->size, 1);
    if (!part->data)
        return false;
    f->count++;
    if (f->bloom)
        lapse_bloom_add(f->bloom, keys, n);
    set_scale(part, bits);
    size_t cells = cells_of(part);
    uint8_t *counts = part->data + HEADER, *body = counts + 2 * cells;
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    part->data[0] = (uint8_t)bits;
    for (size_t cell = 0, i = 0; cell < cells; cell++) {
        size_t before = i;
        uint64_t at = place_of(part, cell, before);
        counts[2 * cell] = (uint8_t)before;
        counts[2 * cell + 1] = (uint8_t)(before >> 8);
        for (size_t b; i < n && (b = bucket_of(part, keys[i])) < (cell + 1) * CELL; i++)
            put_bits(body, at + (b - cell * CELL) + (i - before), 1);
        at += CELL + (i - before);
        for (size_t k = before; k < i; k++, at += bits)
            put_bits(body, at, keys[k] & mask);
    }
    return true;
}

bool lapse_filter_add_all(struct lapse_filter *f, struct lapse_sort_key *keys, size_t n)
{
    struct lapse_sort_key *scratch = lapse_mem_alloc(f->mem, (n + 1) * sizeof *scratch);
    uint64_t *part = lapse_mem_alloc(f->mem, LAPSE_FILTER_KEYS * sizeof *part);
    bool ok = scratch && part;
    if (ok) {
        const struct lapse_sort_key *sorted = lapse_sort_keys(keys, scratch, n);
        for (size_t i = 0, k = 0; ok && i < n; i++) {
            if (k == 0 || part[k - 1] != sorted[i].key)
                part[k++] = sorted[i].key;
            if (k == LAPSE_FILTER_KEYS || i + 1 == n) {
                ok = lapse_filter_add(f, part, k, LAPSE_FILTER_MORE_BITS);
                k = 0;
            }
        }
    }
    lapse_mem_free(f->mem, scratch);
    lapse_mem_free(f->mem, part);
    return ok;
}

bool lapse_filter_take(struct lapse_filter *f, uint64_t **keys, size_t *n, struct lapse_text key)
{
    if (!*keys && !(*keys = lapse_mem_alloc(f->mem, LAPSE_FILTER_KEYS * sizeof **keys)))
        return false;
    (*keys)[(*n)++] = lapse_text_eight(key, 0);
    if (*n < LAPSE_FILTER_KEYS)
        return true;
    *n = 0;
    return lapse_filter_add(f, *keys, LAPSE_FILTER_KEYS, LAPSE_FILTER_BITS);
}

bool lapse_filter_end(struct lapse_filter *f, const uint64_t *keys, size_t n)
{
    return lapse_filter_add(f, keys, n, f->count ? LAPSE_FILTER_BITS : LAPSE_FILTER_MORE_BITS);
}

/* Counts that ascend keep every place inside the data, whatever its bits say: admits() stops at a cell's end. */
bool lapse_filter_open(struct lapse_filter_part *part)
{
    if (part->keys == 0 || part->keys > LAPSE_FILTER_KEYS || part->last < part->first || part->size < HEADER ||
        part->data[0] < 1 || part->data[0] > LAPSE_FILTER_MORE_BITS || part->size != size_of(part->keys, part->data[0]))
        return false;
    set_scale(part, part->data[0]);
    for (size_t c = 0; c < cells_of(part); c++)
        if (count_at(part, c) > count_at(part, c + 1))
            return false;
    return true;
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static uint64_t byte_sums(uint64_t w) /* of each byte: the 1s up to its end */
{
    w -= (w >> 1) & UINT64_C(0x5555555555555555);
    w = (w & UINT64_C(0x3333333333333333)) + ((w >> 2) & UINT64_C(0x3333333333333333));
    return ((w + (w >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * ONES;
}

/* How many bytes are less than k; all are less than 128. */
static unsigned bytes_below(uint64_t bytes, unsigned k)
{
    return (unsigned)(((~((bytes | HIGHS) - k * ONES) & HIGHS) >> 7) * ONES >> 56);
}

/* The place of the k-th 1 of a word that has as many, k from 1. No branch, for none could be guessed. */
static unsigned select_bit(uint64_t w, uint64_t sums, unsigned k)
{
    unsigned at = 8 * bytes_below(sums, k);
    k -= (unsigned)(sums << 8 >> at & 255);
    uint64_t bits = (((w >> at & 255) * ONES) & UINT64_C(0x8040201008040201)) + UINT64_C(0x7f7f7f7f7f7f7f7f);
    return at + bytes_below(((bits & HIGHS) >> 7) * ONES, k);
}

static bool admits(const struct lapse_filter_part *part, uint64_t key, size_t bucket)
{
    enum { STEP = 56 };
    size_t cell = bucket / CELL, before = count_at(part, cell), keys = count_at(part, cell + 1) - before;
    const uint8_t *body = body_of(part);
    uint64_t at = place_of(part, cell, before), end = at + CELL + keys, begin = at;
    for (unsigned zeros = (unsigned)(bucket % CELL); zeros;) { /* to the end of the bucket before */
        uint64_t w = ~bits_at(body, at) & ((UINT64_C(1) << STEP) - 1);
        uint64_t sums = byte_sums(w);
        if (sums >> 56 >= zeros) {
            at += select_bit(w, sums, zeros) + 1;
            break;
        }
        zeros -= (unsigned)(sums >> 56);
        at += STEP;
        if (at >= end)
            return true; /* breaks the format: then nothing is ruled out */
    }
    const uint64_t mask = (UINT64_C(1) << part->bits) - 1, wanted = key & mask;
    uint64_t rank = at - begin - bucket % CELL, w = bits_at(body, at);
    bool hit = false;
    for (int n = 0; w & 1; w >>= 1, rank++, n++) { /* a bucket has one key, most often */
        if (rank >= keys || n == STEP - 1)
            return true; /* breaks the format, or more keys than this looks at */
        hit |= (bits_at(body, end + rank * part->bits) & mask) == wanted;
    }
    return hit;
}

/* What is asked next: keys with their parts and buckets. */
struct questions {
    size_t count;
    const struct lapse_filter_part *part[AHEAD];
    uint64_t key[AHEAD];
    uint32_t index[AHEAD];
    size_t bucket[AHEAD];
};

/* Unless all of the filter fits the cache, the counts are fetched first, then the cells. */
static size_t ask(struct questions *q, bool cached, uint32_t *admitted)
{
    size_t count = 0;
    for (size_t i = 0; i < q->count && !cached; i++)
        lapse_prefetch(counts_of(q->part[i]) + 2 * (q->bucket[i] / CELL));
    for (size_t i = 0; i < q->count && !cached; i++) {
        size_t cell = q->bucket[i] / CELL;
        const uint8_t *p = body_of(q->part[i]) + place_of(q->part[i], cell, count_at(q->part[i], cell)) / 8;
        lapse_prefetch(p);
        lapse_prefetch(p + 64);
    }
    for (size_t i = 0; i < q->count; i++)
        if (admits(q->part[i], q->key[i], q->bucket[i]))
            admitted[count++] = q->index[i];
    q->count = 0;
    return count;
}

size_t lapse_filter_admit(const struct lapse_filter *f, const uint64_t *keys, size_t n, uint32_t *admitted)
{
    struct questions q;
    size_t count = 0;
    q.count = 0;
    for (size_t p = 0, i = 0; p < f->count && i < n; p++) {
        const struct lapse_filter_part *part = &f->parts[p];
        while (i < n && keys[i] < part->first)
            i++;
        for (; i < n && keys[i] <= part->last; i++) {
            if (q.count == AHEAD)
                count += ask(&q, f->count <= CACHED, admitted + count);
            q.part[q.count] = part;
            q.key[q.count] = keys[i];
            q.index[q.count] = (uint32_t)i;
            q.bucket[q.count++] = bucket_of(part, keys[i]);
        }
    }
    return count + ask(&q, f->count <= CACHED, admitted + count);
}
