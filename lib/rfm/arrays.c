/* Scores of values that a program holds in arrays of its own. */
#include "rfm/rfm.h"

enum { PARTS_A_THREAD = 8, DIGITS_MOST = 6 };

static const char *check(const lapse_rfm_values *v, const uint8_t *r, const uint8_t *f, const uint8_t *m)
{
    if (!v || v->size < sizeof *v)
        return "values are NULL or their size is not set";
    if (v->digits < 0 || v->digits > DIGITS_MOST)
        return "digits are 0 to 6";
    if (v->count < 0 || (uint64_t)v->count > SIZE_MAX / sizeof(int64_t))
        return "count is negative, or more than memory holds";
    if (v->count && (!v->recency || !v->frequency || !v->monetary || !r || !f || !m))
        return "an array is NULL";
    return NULL;
}

lapse_status lapse_rfm_score(const lapse_rfm_values *v, const lapse_rfm_options *options,
                             const lapse_allocator *allocator, uint8_t *r, uint8_t *f, uint8_t *m, lapse_error *error)
{
    lapse_rfm_options ours;
    lapse_allocator mem;
    const char *rule = check(v, r, f, m);
    if (rule)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rfm_score(): %s", rule);
    lapse_status status = lapse_mem_init(&mem, allocator, error);
    if (status == LAPSE_OK)
        status = lapse_rfm_options_read(&ours, options, v->digits, error);
    if (status != LAPSE_OK)
        return status;

    struct lapse_score_part parts[LAPSE_FOLD_PARTS];
    int64_t wanted = ours.threads > 1 ? (int64_t)ours.threads * PARTS_A_THREAD : 1, first = 0;
    int32_t count = (int32_t)(wanted < LAPSE_FOLD_PARTS ? wanted : LAPSE_FOLD_PARTS);
    for (int32_t p = 0; p < count; p++) {
        int64_t n = v->count / count + (p < v->count % count);
        parts[p] = (struct lapse_score_part){ .count = n };
        for (int a = 0; n && a < 3; a++) {
            parts[p].value[a] = (const int64_t *const[]){ v->recency, v->frequency, v->monetary }[a] + first;
            parts[p].scores[a] = (uint8_t *const[]){ r, f, m }[a] + first;
        }
        first += n;
    }
    return lapse_scores_make(&mem, &ours, v->digits, parts, count) ? LAPSE_OK : lapse_fail_memory(error);
}
