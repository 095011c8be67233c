/* The readers of a merge by their current key: a binary heap, in which most comparisons are of eight bytes of a key. */
#include "store/merge.h"

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
    struct merge_place x = { lapse_text_eight(m->readers[reader].entry.key, m->skip), reader };
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
    m->heap[0].prefix = lapse_text_eight(r->entry.key, m->skip);
    sift_down(m, 0);
}
