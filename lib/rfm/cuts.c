/* From values to scores, on plain arrays. Thresholds are exact quantiles found by selection, never by sorting,
 * and kept as integers; a score is one plus the thresholds below the value. No double takes part. */
#include "rfm/rfm.h"

/* Each quantile lies between the values at two neighbouring ranks. All ranks are selected in one go: they
 * ascend, and those that fall together are asked for once. */
bool lapse_cuts_quantile(const lapse_allocator *mem, const int64_t *values, int64_t n, int32_t bins,
                         struct lapse_cuts *out)
{
    int64_t ranks[2 * LAPSE_BINS_MAX] = { 0 }, found[2 * LAPSE_BINS_MAX];
    int place[LAPSE_BINS_MAX];
    int count = 0;

    out->bins = bins;
    for (int i = 1; i < bins; i++) {
        int64_t k = lapse_quantile_rank(n, i, bins);
        for (int64_t rank = k; rank <= k + 1 && rank < n; rank++)
            if (count == 0 || rank > ranks[count - 1])
                ranks[count++] = rank;
        place[i - 1] = ranks[count - 1] > k ? count - 2 : count - 1;
    }
    if (!lapse_select(mem, values, n, ranks, count, found))
        return false;
    for (int i = 1; i < bins; i++) {
        int at = place[i - 1];
        out->above[i - 1] = lapse_quantile_floor(n, i, bins, found[at], found[at + 1 < count ? at + 1 : at]);
    }
    return true;
}

static void score_all(const struct lapse_cuts *cuts, const struct lapse_axis *axis, uint8_t *scores)
{
    for (int64_t i = 0; i < axis->count; i++)
        scores[i] = lapse_cuts_score(axis->group ? &cuts[axis->group[i]] : cuts, axis->values[i]);
}

/* Values gathered group by group, so that each group is a plain array; ends[g] is where group g ends. */
static void gather(const struct lapse_axis *axis, int64_t *out, int64_t ends[UINT8_MAX + 1])
{
    int64_t sum = 0;
    memset(ends, 0, sizeof *ends * (UINT8_MAX + 1));
    for (int64_t i = 0; i < axis->count; i++)
        ends[axis->group[i]]++;
    for (int32_t g = 0; g < axis->groups; g++) {
        int64_t size = ends[g];
        ends[g] = sum;
        sum += size;
    }
    for (int64_t i = 0; i < axis->count; i++)
        out[ends[axis->group[i]]++] = axis->values[i];
}

bool lapse_axis_score(const lapse_allocator *mem, const struct lapse_axis *axis, uint8_t *scores)
{
    struct lapse_cuts one = { .low_is_best = axis->low_is_best };
    if (axis->count == 0)
        return true;
    if (!axis->group) {
        if (!lapse_cuts_quantile(mem, axis->values, axis->count, axis->bins, &one))
            return false;
        score_all(&one, axis, scores);
        return true;
    }
    int64_t ends[UINT8_MAX + 1];
    int64_t *gathered = lapse_mem_alloc(mem, (size_t)axis->count * sizeof *gathered);
    struct lapse_cuts *cuts = lapse_mem_zero(mem, (size_t)axis->groups, sizeof *cuts);
    bool ok = gathered && cuts;
    if (ok) {
        gather(axis, gathered, ends);
        for (int32_t g = 0; ok && g < axis->groups; g++) {
            int64_t begin = g ? ends[g - 1] : 0;
            cuts[g] = one;
            if (ends[g] > begin)
                ok = lapse_cuts_quantile(mem, gathered + begin, ends[g] - begin, axis->bins, &cuts[g]);
        }
    }
    if (ok)
        score_all(cuts, axis, scores);
    lapse_mem_free(mem, cuts);
    lapse_mem_free(mem, gathered);
    return ok;
}
