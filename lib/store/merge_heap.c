/* The readers of a merge by their current key: a binary heap, in which most comparisons are of eight bytes of a key. */
#include "store/merge.h"

static uint64_t prefix_of(const struct lapse_merge *m, struct lapse_text key)
{
    uint8_t b[8] = { 0 };
    uint64_t v = 0;
    size_t n = key.size > m->skip ? key.size - m->skip : 0;
    if (n >= 8)
        memcpy(b, key.data + m->skip, 8);
    else
        for (size_t i = 0; i < n; i++)
            b[i] = (uint8_t)key.data[m->skip + i];
    for (int i = 0; i < 8; i++)
        v = v << 8 | b[i];
    return v;
}

/* Equal keys in the order of their runs. */
static bool before(const struct lapse_merge *m, const struct merge_place *a, const struct merge_place *b)
{
    int order = merge_compare(m, a, b);
    return order ? order < 0 : a->reader < b->reader;
}

static void sift_down(struct lapse_merge *m, uint32_t i)
{
    struct merge_place x = m->heap[i];
    for (uint32_t child; (child = 2 * i + 1) < m->heap_count; i = child) {
        if (child + 1 < m->heap_count && before(m, &m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(m, &m->heap[child], &x))
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = x;
}

void lapse_merge_push(struct lapse_merge *m, uint32_t reader)
{
    struct merge_place x = { prefix_of(m, m->readers[reader].entry.key), reader };
    uint32_t i = m->heap_count;
    if (lapse_reader_at_end(&m->readers[reader]))
        return;
    for (m->heap_count++; i > 0 && before(m, &x, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = x;
}

void lapse_merge_pop(struct lapse_merge *m)
{
    m->heap[0] = m->heap[--m->heap_count];
    if (m->heap_count)
        sift_down(m, 0);
}

void lapse_merge_replace(struct lapse_merge *m)
{
    struct lapse_reader *r = &m->readers[m->heap[0].reader];
    if (lapse_reader_at_end(r)) {
        lapse_merge_pop(m);
        return;
    }
    m->heap[0].prefix = prefix_of(m, r->entry.key);
    sift_down(m, 0);
}
