/* Where the keys of some runs are cut into parts of about equally many rows, for threads to work on. */
#include "store/store.h"

static int order_blocks(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_run_block *const *blocks = user;
    return lapse_text_order(blocks[a]->first_key, blocks[b]->first_key);
}

lapse_status lapse_runs_cut(const lapse_allocator *mem, struct lapse_run *const *runs, size_t run_count, int64_t parts,
                            struct lapse_text **keys, int64_t *count, lapse_error *error)
{
    int64_t rows = 0;
    size_t n = 0, k = 0;
    for (size_t i = 0; i < run_count; i++) {
        rows += runs[i]->rows;
        n += runs[i]->block_count;
    }
    if (parts > (int64_t)n)
        parts = n ? (int64_t)n : 1;
    struct lapse_text *cuts = *keys = lapse_mem_zero(mem, (size_t)parts, sizeof *cuts);
    *count = 1;
    if (!cuts)
        return lapse_fail_memory(error);
    if (parts == 1)
        return LAPSE_OK;
    const struct lapse_run_block **blocks = lapse_mem_alloc(mem, n * sizeof *blocks);
    uint32_t *order = lapse_mem_alloc(mem, 2 * n * sizeof *order);
    lapse_status status = blocks && order ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; status == LAPSE_OK && i < run_count; i++)
        for (size_t b = 0; b < runs[i]->block_count; b++, k++) {
            blocks[k] = &runs[i]->blocks[b];
            order[k] = (uint32_t)k;
        }
    if (status == LAPSE_OK) {
        lapse_sort_indices(order, n, order + n, order_blocks, blocks);
        /* Rows below a key: those of the blocks before, but of one block a run, which goes on there, only half. */
        int64_t below = -rows / (int64_t)n * (int64_t)run_count / 2;
        for (size_t i = 0; i < n; below += blocks[order[i++]]->rows) {
            struct lapse_text key = blocks[order[i]]->first_key;
            struct lapse_text last = *count == 1 ? blocks[order[0]]->first_key : cuts[*count - 1];
            if (*count < parts && below >= rows / parts * *count && lapse_text_order(key, last) > 0)
                cuts[(*count)++] = key;
        }
    } else {
        lapse_mem_free(mem, cuts);
        *keys = NULL;
    }
    lapse_mem_free(mem, blocks);
    lapse_mem_free(mem, order);
    return status;
}
