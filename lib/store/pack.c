/* Integers in as few bits as they need.
 *
 * A packed column is: flags, bit width, least value (8 bytes), step (8 bytes), then a bitmap of the values that
 * are there when flag 1 is set, then the bits of (value - least) / step, least significant first. The step is the
 * greatest common divisor, so that dates cost the bits of a day and whole prices those of a price. Every value
 * has the same width, so value i can be read without those before it. Cost: less than 1 ns a value to read, 1 to 3
 * to write. */
#include "store/store.h"

enum { HAS_MISSING = 1, HEADER = 18 };

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Exact division by one number again and again: x is a multiple of `by` when x times the inverse of its odd part,
 * turned by its power of two, is no larger than the largest multiple; then that is the quotient (Granlund and
 * Montgomery, 1994). */
struct divisor {
    uint64_t by, inverse, most;
    unsigned shift;
};

static struct divisor divisor_of(uint64_t by)
{
    struct divisor d = { by, 0, UINT64_MAX / by, 0 };
    while (!(by & 1)) {
        by >>= 1;
        d.shift++;
    }
    d.inverse = by; /* right in the lowest three bits, and in twice as many with each step */
    for (int i = 0; i < 5; i++)
        d.inverse *= 2 - by * d.inverse;
    return d;
}

static inline uint64_t turned(const struct divisor *d, uint64_t x)
{
    return x >> d->shift | x << (-d->shift & 63);
}

static inline uint64_t quotient(const struct divisor *d, uint64_t x)
{
    return turned(d, x * d->inverse);
}

static int bit_width(uint64_t v)
{
    int w = 0;
    while (w < 64 && v >> w)
        w++;
    return w;
}

static size_t packed_bytes(size_t n, unsigned width)
{
    return (n * width + 7) / 8;
}

static inline void widen(int64_t *least, int64_t *most, int64_t v)
{
    *least = v < *least ? v : *least;
    *most = v > *most ? v : *most;
}

void lapse_range(const int64_t *v, size_t n, int64_t *least, int64_t *most)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    size_t i = 0;
    for (; n - i >= 8; i += 8)
        for (size_t k = i; k < i + 8; k++)
            widen(&low, &high, v[k]);
    for (; i < n; i++)
        widen(&low, &high, v[i]);
    *least = low;
    *most = high;
}

/* What all values of a column that is written have in common. */
struct scale {
    struct divisor step;
    int64_t least;
    unsigned width;
    bool missing; /* some are */
};

/* Are eight values multiples of the step? What is too large in one quotient is so in all of them together. */
static inline bool multiples(const struct scale *s, const int64_t v[8])
{
    uint64_t all = 0;
    for (int i = 0; i < 8; i++)
        all |= ((uint64_t)v[i] - (uint64_t)s->least) * s->step.inverse;
    return turned(&s->step, all) <= s->step.most;
}

/* From a step that divides the range to the one that divides all. */
static void find_step(struct scale *s, const int64_t *v, size_t n)
{
    for (size_t i = 0, end; i < n && s->step.by != 1; i = end) {
        end = n - i < 8 ? n : i + 8;
        if (end == i + 8 && multiples(s, v + i))
            continue;
        for (size_t k = i; k < end; k++) {
            uint64_t x = (uint64_t)v[k] - (uint64_t)s->least;
            if (v[k] != LAPSE_MISSING && quotient(&s->step, x) > s->step.most)
                s->step = divisor_of(common_divisor(x, s->step.by));
        }
    }
}

struct bits {
    uint8_t *p;
    uint64_t word;
    unsigned used; /* bits of the word */
};

static inline void put_bits(struct bits *to, uint64_t x, unsigned bits)
{
    to->word |= x << to->used;
    to->used += bits;
    if (to->used >= 64) {
        lapse_store8(to->p, to->word);
        to->p += 8;
        to->used -= 64;
        to->word = x >> 1 >> (bits - 1 - to->used);
    }
}

/* The bits of k values, which are divided like one number: so they must fit a word before that. */
static inline uint64_t together(const struct scale *s, const int64_t *v, unsigned k)
{
    uint64_t least = (uint64_t)s->least, x = 0, base = 0;
    for (unsigned j = k; j-- > 0;) {
        x = (k > 1 ? x << s->width : 0) + (s->missing && v[j] == LAPSE_MISSING ? least : (uint64_t)v[j]);
        base = (k > 1 ? base << s->width : 0) + least;
    }
    return quotient(&s->step, x - base);
}

static void put_values(uint8_t *p, const struct scale s, const int64_t *v, size_t n)
{
    struct bits to = { p, 0, 0 };
    size_t i = 0;
    for (; 4 * s.width + s.step.shift <= 64 && n - i >= 4; i += 4)
        put_bits(&to, together(&s, v + i, 4), 4 * s.width);
    for (; 2 * s.width + s.step.shift <= 64 && n - i >= 2; i += 2)
        put_bits(&to, together(&s, v + i, 2), 2 * s.width);
    for (; i < n; i++)
        put_bits(&to, together(&s, v + i, 1), s.width);
    lapse_store8(to.p, to.word); /* into the slack that was asked for, if the last word is full */
}

void lapse_pack(struct lapse_buffer *out, const int64_t *v, size_t n)
{
    int64_t least, most;
    lapse_range(v, n, &least, &most);
    const bool missing = n && least == LAPSE_MISSING;
    if (n == 0 || most == LAPSE_MISSING)
        least = most = 0;
    else if (missing)
        least = most;
    for (size_t i = 0; i < n && missing; i++)
        least = v[i] != LAPSE_MISSING && v[i] < least ? v[i] : least;
    const uint64_t range = (uint64_t)most - (uint64_t)least;
    struct scale s = { divisor_of(range ? range : 1), least, 0, missing };
    find_step(&s, v, n);
    s.width = (unsigned)bit_width(range / s.step.by);
    size_t bitmap = missing ? (n + 7) / 8 : 0, size = packed_bytes(n, s.width);
    if (!lapse_buffer_room(out, HEADER + bitmap + size + LAPSE_PACK_SLACK))
        return;

    uint8_t *p = (uint8_t *)out->data + out->size;
    p[0] = missing ? HAS_MISSING : 0;
    p[1] = (uint8_t)s.width;
    lapse_store8(p + 2, (uint64_t)least);
    lapse_store8(p + 10, s.step.by);
    p += HEADER;
    if (missing) {
        memset(p, 0, bitmap);
        for (size_t i = 0; i < n; i++)
            if (v[i] != LAPSE_MISSING)
                p[i / 8] |= (uint8_t)(1u << i % 8);
        p += bitmap;
    }
    if (s.width)
        put_values(p, s, v, n);
    out->size += HEADER + bitmap + size;
}

void lapse_pack_names(struct lapse_buffer *out, const uint8_t *v, size_t n, int64_t *scratch)
{
    size_t same = n && memcmp(v, v + 1, n - 1) == 0 ? 1 : n; /* most often there is one name */
    for (size_t i = 0; i < same; i++)
        scratch[i] = v[i];
    lapse_pack(out, scratch, same); /* of width 0, which is the same bytes for any number of values */
}

struct packed {
    const uint8_t *bitmap, *bits; /* bitmap NULL: nothing is missing */
    uint64_t least, step, mask;
    unsigned width;
};

static bool open_packed(const uint8_t **at, const uint8_t *end, size_t n, struct packed *p)
{
    if (end - *at < HEADER)
        return false;
    const uint8_t *h = *at;
    p->width = h[1];
    p->least = lapse_load8(h + 2);
    p->step = lapse_load8(h + 10);
    size_t bitmap = h[0] & HAS_MISSING ? (n + 7) / 8 : 0;
    if (h[0] > HAS_MISSING || p->width > 64 || (size_t)(end - h) - HEADER < bitmap + packed_bytes(n, p->width))
        return false;
    p->bitmap = bitmap ? h + HEADER : NULL;
    p->bits = h + HEADER + bitmap;
    p->mask = p->width == 64 ? UINT64_MAX : (UINT64_C(1) << p->width) - 1;
    *at = p->bits + packed_bytes(n, p->width);
    return true;
}

/* Value i as it was before least and step. Up to 57 bits lie in the eight bytes that begin with theirs. */
static inline uint64_t bits_at(struct packed p, size_t i)
{
    size_t bit = i * p.width;
    uint64_t x = lapse_load8(p.bits + bit / 8) >> bit % 8;
    if (p.width > 57 && bit % 8)
        x |= (uint64_t)p.bits[bit / 8 + 8] << (64 - bit % 8);
    return x & p.mask;
}

/* Groups of k values from value i on: while there are so many, and what one load brings has them all. */
static inline size_t get_groups(const struct packed p, int64_t *v, size_t i, size_t end, unsigned k)
{
    for (; k * p.width <= 57 && end - i >= k; i += k) {
        size_t bit = i * p.width;
        uint64_t x = lapse_load8(p.bits + bit / 8) >> bit % 8;
        for (unsigned j = 0; j < k; j++, x >>= p.width)
            v[i + j] = (int64_t)(p.least + (x & p.mask) * p.step);
    }
    return i;
}

bool lapse_unpack(const uint8_t **at, const uint8_t *end, size_t n, size_t first, size_t count, int64_t *v)
{
    struct packed opened;
    if (!open_packed(at, end, n, &opened))
        return false;
    const struct packed p = opened; /* whose address nobody has: kept in registers, whatever is written to v */
    size_t i = get_groups(p, v, first, first + count, 4);
    for (i = get_groups(p, v, i, first + count, 2); i < first + count; i++)
        v[i] = (int64_t)(p.least + bits_at(p, i) * p.step);
    for (i = first; p.bitmap && i < first + count; i++)
        if (!(p.bitmap[i / 8] >> i % 8 & 1))
            v[i] = LAPSE_MISSING;
    return true;
}

bool lapse_unpack_u32(const uint8_t **at, const uint8_t *end, size_t n, size_t first, size_t count, uint32_t *v)
{
    struct packed opened;
    if (!open_packed(at, end, n, &opened) || opened.bitmap)
        return false;
    const struct packed p = opened;
    if (p.width == 0)
        for (size_t i = first; i < first + count; i++)
            v[i] = (uint32_t)p.least;
    else
        for (size_t i = first; i < first + count; i++)
            v[i] = (uint32_t)(p.least + bits_at(p, i) * p.step);
    return true;
}

bool lapse_unpack_names(const uint8_t **at, const uint8_t *end, size_t n, size_t first, size_t count, uint8_t *v)
{
    struct packed opened;
    if (!open_packed(at, end, n, &opened) || opened.bitmap)
        return false;
    const struct packed p = opened;
    if (p.width == 0)
        memset(v + first, (int)(p.least & 255), count);
    else
        for (size_t i = first; i < first + count; i++)
            v[i] = (uint8_t)(p.least + bits_at(p, i) * p.step);
    return true;
}

bool lapse_unpack_before(const uint8_t *at, const uint8_t *end, size_t n, size_t k, uint32_t *before, uint32_t *value)
{
    struct packed p;
    uint64_t sum = 0;
    if (!open_packed(&at, end, n, &p) || p.bitmap || p.width > 32)
        return false;
    for (size_t i = 0; p.width && i < k; i++)
        sum += bits_at(p, i);
    sum = p.least * k + sum * p.step;
    *value = (uint32_t)(p.least + (p.width ? bits_at(p, k) * p.step : 0));
    *before = (uint32_t)sum;
    return sum <= UINT32_MAX;
}
