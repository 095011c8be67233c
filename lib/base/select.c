/* Order statistics by histograms: count the values in equal buckets of their range, keep only those of buckets
 * in which a rank falls, and do the same there. Each level takes at least 11 bits off the range, so there are
 * at most six; sorting is left to a few values. Memory: a histogram, and the values kept at each level. */
#include "base/base.h"

#define BITS_LEAST 11
#define BITS_MOST  14
#define FEW        48

/* A rank asked for. In the first rank of a group, those that fall in one bucket, stands what it holds. */
struct wanted {
    int64_t rank, answer;
    int64_t below; /* values less than all of the bucket's, at all levels */
    int64_t count; /* values in the bucket */
    int end;       /* the rank after the last of the group */
};

static void sift(int64_t *v, int64_t root, int64_t n)
{
    int64_t child, moved = v[root];

    for (; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && v[child + 1] > v[child])
            child++;
        if (v[child] <= moved)
            break;
        v[root] = v[child];
    }
    v[root] = moved;
}

/* In place, without recursion, n log n for any input. */
static void heap_sort(int64_t *v, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    while (--n > 0) {
        int64_t top = v[0];

        v[0] = v[n];
        v[n] = top;
        sift(v, 0, n);
    }
}

/* Bits of a bucket's number: some 64 values a bucket, as long as the histogram stays in the nearer caches. */
static int bucket_bits(int64_t n)
{
    int bits = BITS_LEAST;

    while (bits < BITS_MOST && n >> bits > 64)
        bits++;
    return bits;
}

/* Puts the ranks w[first..end) into groups by bucket; a bucket's entry becomes 0, or 1 + where in scratch its
 * first value goes. Returns how many values the groups hold. */
static int64_t group(struct wanted *w, int first, int end, int64_t below, int64_t *histogram, size_t buckets)
{
    int64_t kept = 0;

    for (size_t b = 0; b < buckets; b++) {
        int64_t count = histogram[b];
        int next = first;

        while (next < end && w[next].rank < below + count)
            next++;
        histogram[b] = 0;
        if (next > first) {
            w[first].below = below;
            w[first].count = count;
            w[first].end = next;
            histogram[b] = 1 + kept;
            kept += count;
            first = next;
        }
        below += count;
    }
    return kept;
}

/* Answers w[first..end), whose values are all in the spans; `below` values of the whole are less than these. */
static bool descend(const lapse_allocator *mem, struct wanted *w, int first, int end, const struct lapse_span *spans,
                    int32_t count, int64_t below)
{
    int64_t few[FEW], least = INT64_MAX, most = INT64_MIN, n = 0, *histogram, *scratch, *next;
    int bits, shift = 0;
    uint64_t low, span;
    size_t buckets;
    bool ok = true;

    for (int32_t s = 0; s < count; s++)
        n += spans[s].n;
    bits = bucket_bits(n);
    if (n <= FEW) {
        n = 0;
        for (int32_t s = 0; s < count; s++)
            for (int64_t i = 0; i < spans[s].n; i++)
                few[n++] = spans[s].v[i];
        heap_sort(few, n);
        for (int r = first; r < end; r++)
            w[r].answer = few[w[r].rank - below];
        return true;
    }
    for (int32_t s = 0; s < count; s++)
        for (int64_t i = 0; i < spans[s].n; i++) {
            int64_t v = spans[s].v[i];
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
    low = (uint64_t)least;
    span = (uint64_t)most - low; /* unsigned, so that the widest range fits */
    while (span >> shift >> bits)
        shift++;
    buckets = (size_t)(span >> shift) + 1;
    histogram = lapse_mem_zero(mem, buckets, sizeof *histogram);
    if (!histogram)
        return false;
    for (int32_t s = 0; s < count; s++)
        for (int64_t i = 0; i < spans[s].n; i++)
            histogram[((uint64_t)spans[s].v[i] - low) >> shift]++;

    if (shift == 0) { /* a bucket is one value: nothing is left to look into */
        for (size_t b = 0; first < end; below += histogram[b++])
            for (; first < end && w[first].rank < below + histogram[b]; first++)
                w[first].answer = (int64_t)(low + b);
        lapse_mem_free(mem, histogram);
        return true;
    }
    scratch = lapse_mem_zero(mem, (size_t)group(w, first, end, below, histogram, buckets), sizeof *scratch);
    if (scratch) {
        for (int32_t s = 0; s < count; s++)
            for (int64_t i = 0; i < spans[s].n; i++) {
                int64_t v = spans[s].v[i], *at = &histogram[((uint64_t)v - low) >> shift];

                if (*at)
                    scratch[(*at)++ - 1] = v;
            }
    }
    lapse_mem_free(mem, histogram);
    next = scratch;
    for (int r = first, after; ok && r < end; r = after) {
        struct lapse_span kept = { next, w[r].count };

        after = w[r].end;
        ok = scratch && descend(mem, w, r, after, &kept, 1, w[r].below);
        next = ok ? next + kept.n : next;
    }
    lapse_mem_free(mem, scratch);
    return ok;
}

bool lapse_select(const lapse_allocator *mem, const struct lapse_span *spans, int32_t count, const int64_t *ranks,
                  int m, int64_t *out)
{
    int64_t *sorted;
    struct wanted *w;
    bool ok;

    if (count <= 0 || m <= 0)
        return true;
    sorted = lapse_mem_zero(mem, (size_t)m, sizeof *sorted);
    w = lapse_mem_zero(mem, (size_t)m, sizeof *w);
    ok = sorted && w;
    if (ok) {
        memcpy(sorted, ranks, (size_t)m * sizeof *ranks);
        heap_sort(sorted, m);
        for (int i = 0; i < m; i++)
            w[i].rank = sorted[i];
        ok = descend(mem, w, 0, m, spans, count, 0);
    }
    for (int i = 0; ok && i < m; i++) { /* each rank's answer, by bisection */
        int low = 0, high = m;

        while (high - low > 1) {
            int middle = low + (high - low) / 2;

            if (w[middle].rank <= ranks[i])
                low = middle;
            else
                high = middle;
        }
        out[i] = w[low].answer;
    }
    lapse_mem_free(mem, sorted);
    lapse_mem_free(mem, w);
    return ok;
}
