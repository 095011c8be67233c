/* Filters: which of many keys a run may have, in two bytes a key.
 *
 * A part is of up to 65,535 ascending keys that are spread evenly. Its range is cut into as many buckets as it has
 * keys, 64 buckets are a cell. For each cell: bucket by bucket a 1 for every key and a 0 at the end, then of every key
 * its last `bits` bits. Before the cells stands how many keys lie before each. So a cell's place is computed: where it
 * is asked, a 16-bit count and two or three cache lines are read.
 *
 * A part's data, little-endian: bits (1), a zero, counts (2 for each cell), cells, 8 zeros.
 * Cost: bits + 2.25 bits a key, a false answer in 2^bits; about 20 ns a key to make or to ask. */
#include "store/identity.h"

enum { CELL = 64, HEADER = 2, SLACK = 8, AHEAD = 64 };

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static void store64(uint8_t *p, uint64_t v)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, 8);
}

/* Up to 57 bits from bit `at` on; the caller masks. */
static uint64_t bits_at(const uint8_t *p, uint64_t at)
{
    return load64(p + at / 8) >> at % 8;
}

static void put_bits(uint8_t *p, uint64_t at, uint64_t value)
{
    store64(p + at / 8, load64(p + at / 8) | value << at % 8);
}

/* ---- where things lie ------------------------------------------------------------------------------------------ */

struct shape {
    const struct lapse_filter_part *part;
    unsigned bits, shift;
    uint64_t factor;
    size_t cells;
    const uint8_t *counts, *body;
};

static struct shape shape_of(const struct lapse_filter_part *part, unsigned bits)
{
    struct shape s = { .part = part, .bits = bits, .cells = (part->keys + CELL - 1) / CELL };
    uint64_t span = part->last - part->first;
    while (span >> s.shift > UINT32_MAX)
        s.shift++;
    s.factor = ((uint64_t)part->keys << 32) / ((span >> s.shift) + 1);
    s.counts = part->data + HEADER;
    s.body = s.counts + 2 * s.cells;
    return s;
}

/* Of a key between first and last: 0 .. keys - 1, never descending. */
static size_t bucket_of(const struct shape *s, uint64_t key)
{
    return (size_t)(((key - s->part->first) >> s->shift) * s->factor >> 32);
}

static size_t count_at(const struct shape *s, size_t cell)
{
    return cell == s->cells ? s->part->keys : (size_t)s->counts[2 * cell] | (size_t)s->counts[2 * cell + 1] << 8;
}

static uint64_t place_of(const struct shape *s, size_t cell, size_t before)
{
    return (uint64_t)cell * CELL + before * (s->bits + 1);
}

static size_t size_of(size_t keys, unsigned bits)
{
    size_t cells = (keys + CELL - 1) / CELL;
    return HEADER + 2 * cells + (cells * CELL + keys * (bits + 1) + 7) / 8 + SLACK;
}

/* ---- making ---------------------------------------------------------------------------------------------------------- */

struct lapse_filter *lapse_filter_new(const lapse_allocator *mem)
{
    struct lapse_filter *f = lapse_mem_zero(mem, 1, sizeof *f);
    if (f) {
        f->mem = mem;
        f->since = INT64_MIN;
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
    struct shape s = shape_of(part, bits);
    uint8_t *counts = part->data + HEADER, *body = counts + 2 * s.cells;
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    part->data[0] = (uint8_t)bits;
    for (size_t cell = 0, i = 0; cell < s.cells; cell++) {
        size_t before = i;
        uint64_t at = place_of(&s, cell, before);
        counts[2 * cell] = (uint8_t)before;
        counts[2 * cell + 1] = (uint8_t)(before >> 8);
        for (size_t b; i < n && (b = bucket_of(&s, keys[i])) < (cell + 1) * CELL; i++)
            put_bits(body, at + (b - cell * CELL) + (i - before), 1);
        uint64_t remainders = at + CELL + (i - before);
        for (size_t k = before; k < i; k++)
            put_bits(body, remainders + (k - before) * bits, keys[k] & mask);
    }
    return true;
}

bool lapse_filter_add_all(struct lapse_filter *f, struct lapse_sort_key *keys, size_t n)
{
    struct lapse_sort_key *scratch = lapse_mem_alloc(f->mem, (n + 1) * sizeof *scratch);
    uint64_t *part = lapse_mem_alloc(f->mem, LAPSE_FILTER_KEYS * sizeof *part);
    bool ok = scratch && part;
    if (ok) {
        size_t ascending = 1;
        while (ascending < n && keys[ascending - 1].key <= keys[ascending].key)
            ascending++;
        const struct lapse_sort_key *sorted = ascending < n ? lapse_sort_keys(keys, scratch, n) : keys;
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
    uint64_t v = 0;
    if (!*keys && !(*keys = lapse_mem_alloc(f->mem, LAPSE_FILTER_KEYS * sizeof **keys)))
        return false;
    for (uint32_t b = 0; b < 8; b++)
        v = v << 8 | (b < key.size ? (uint8_t)key.data[b] : 0);
    (*keys)[(*n)++] = v;
    if (*n < LAPSE_FILTER_KEYS)
        return true;
    *n = 0;
    return lapse_filter_add(f, *keys, LAPSE_FILTER_KEYS, LAPSE_FILTER_BITS);
}

bool lapse_filter_end(struct lapse_filter *f, const uint64_t *keys, size_t n)
{
    return lapse_filter_add(f, keys, n, f->count ? LAPSE_FILTER_BITS : LAPSE_FILTER_MORE_BITS);
}

/* Counts that ascend keep every place inside the data, whatever its bits say: admit() stops at a cell's end. */
bool lapse_filter_sound(const struct lapse_filter_part *part)
{
    if (part->keys == 0 || part->keys > LAPSE_FILTER_KEYS || part->last < part->first || part->size < HEADER ||
        part->data[0] < 1 || part->data[0] > LAPSE_FILTER_MORE_BITS || part->size != size_of(part->keys, part->data[0]))
        return false;
    struct shape s = shape_of(part, part->data[0]);
    for (size_t c = 0; c < s.cells; c++)
        if (count_at(&s, c) > count_at(&s, c + 1))
            return false;
    return true;
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

/* The place of the k-th 1 of a word that has as many, k from 1. */
static unsigned select_bit(uint64_t w, unsigned k)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t s = w - ((w >> 1) & UINT64_C(0x5555555555555555));
    s = (s & UINT64_C(0x3333333333333333)) + ((s >> 2) & UINT64_C(0x3333333333333333));
    s = ((s + (s >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * ones; /* of each byte: 1s up to its end */
    unsigned at = 0;
    while ((s >> at & 255) < k)
        at += 8;
    k -= (unsigned)(s << 8 >> at & 255);
    for (uint64_t byte = w >> at;; byte >>= 1, at++)
        if (byte & 1 && --k == 0)
            return at;
}

static unsigned ones_in(uint64_t w)
{
    w -= (w >> 1) & UINT64_C(0x5555555555555555);
    w = (w & UINT64_C(0x3333333333333333)) + ((w >> 2) & UINT64_C(0x3333333333333333));
    return (unsigned)(((w + (w >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * UINT64_C(0x0101010101010101) >> 56);
}

static bool admits(const struct shape *s, uint64_t key)
{
    enum { STEP = 56 };
    size_t bucket = bucket_of(s, key), cell = bucket / CELL;
    size_t before = count_at(s, cell), keys = count_at(s, cell + 1) - before;
    uint64_t at = place_of(s, cell, before), end = at + CELL + keys, begin = at;
    for (unsigned zeros = (unsigned)(bucket % CELL); zeros;) { /* to the end of the bucket before */
        uint64_t w = ~bits_at(s->body, at) & ((UINT64_C(1) << STEP) - 1);
        unsigned there = ones_in(w);
        if (there >= zeros) {
            at += select_bit(w, zeros) + 1;
            break;
        }
        zeros -= there;
        at += STEP;
        if (at >= end)
            return true; /* breaks the format: then nothing is ruled out */
    }
    const uint64_t mask = (UINT64_C(1) << s->bits) - 1, wanted = key & mask;
    uint64_t rank = at - begin - bucket % CELL;
    for (; at < end && bits_at(s->body, at) & 1; at++, rank++)
        if (rank >= keys || (bits_at(s->body, end + rank * s->bits) & mask) == wanted)
            return true;
    return false;
}

static void fetch(const void *p)
{
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

/* Keys all between first and last of one part. First their counts are fetched, then their cells, then they are asked. */
static size_t admit_few(const struct shape *s, const uint64_t *keys, size_t n, size_t base, uint32_t *admitted)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        fetch(s->counts + 2 * (bucket_of(s, keys[i]) / CELL));
    for (size_t i = 0; i < n; i++) {
        size_t cell = bucket_of(s, keys[i]) / CELL;
        const uint8_t *p = s->body + place_of(s, cell, count_at(s, cell)) / 8;
        fetch(p);
        fetch(p + 64);
    }
    for (size_t i = 0; i < n; i++)
        if (admits(s, keys[i]))
            admitted[count++] = (uint32_t)(base + i);
    return count;
}

size_t lapse_filter_admit(const struct lapse_filter *f, const uint64_t *keys, size_t n, uint32_t *admitted)
{
    size_t count = 0;
    for (size_t p = 0, i = 0; p < f->count && i < n; p++) {
        const struct lapse_filter_part *part = &f->parts[p];
        while (i < n && keys[i] < part->first)
            i++;
        if (i == n || keys[i] > part->last)
            continue;
        struct shape s = shape_of(part, part->data[0]);
        while (i < n && keys[i] <= part->last) {
            size_t few = 1;
            while (few < AHEAD && i + few < n && keys[i + few] <= part->last)
                few++;
            count += admit_few(&s, keys + i, few, i, admitted + count);
            i += few;
        }
    }
    return count;
}
