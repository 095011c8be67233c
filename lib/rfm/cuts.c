/* From values to scores, on plain arrays. Thresholds are exact quantiles found by selection, never by sorting,
 * and kept as integers; a score is one plus the thresholds below the value. No double takes part. */
#include "rfm/rfm.h"

/* Each quantile lies between the values at two neighbouring ranks. All ranks are selected in one go: they
 * ascend, and those that fall together are asked for once. */
bool lapse_cuts_quantile(const lapse_allocator *mem, const struct lapse_span *spans, int32_t span_count, int32_t bins,
                         struct lapse_cuts *out)
{
    int64_t n = 0;
    int64_t ranks[2 * LAPSE_BINS_MAX] = { 0 }, found[2 * LAPSE_BINS_MAX];
    int place[LAPSE_BINS_MAX];
    int count = 0;

    out->bins = bins;
    for (int32_t s = 0; s < span_count; s++)
        n += spans[s].n;
    for (int i = 1; i < bins; i++) {
        int64_t k = lapse_quantile_rank(n, i, bins);
        for (int64_t rank = k; rank <= k + 1 && rank < n; rank++)
            if (count == 0 || rank > ranks[count - 1])
                ranks[count++] = rank;
        place[i - 1] = ranks[count - 1] > k ? count - 2 : count - 1;
    }
    if (!lapse_select(mem, spans, span_count, ranks, count, found))
        return false;
    for (int i = 1; i < bins; i++) {
        int at = place[i - 1];
        out->above[i - 1] = lapse_quantile_floor(n, i, bins, found[at], found[at + 1 < count ? at + 1 : at]);
    }
    return true;
}

void lapse_axis_score(const struct lapse_axis *axis, const struct lapse_cuts *cuts, int32_t part)
{
    const struct lapse_axis_part *p = &axis->parts[part];
    for (int64_t i = 0; i < p->values.n; i++)
        p->scores[i] = lapse_cuts_score(p->group ? &cuts[p->group[i]] : cuts, p->values.v[i]);
}

/* Values gathered group by group, so that each group is a plain array; ends[g] is where group g ends. */
static void gather(const struct lapse_axis *axis, int64_t *out, int64_t ends[UINT8_MAX + 1])
{
    int64_t sum = 0;
    memset(ends, 0, sizeof *ends * (UINT8_MAX + 1));
    for (int32_t p = 0; p < axis->part_count; p++)
        for (int64_t i = 0; i < axis->parts[p].values.n; i++)
            ends[axis->parts[p].group[i]]++;
    for (int32_t g = 0; g < axis->groups; g++) {
        int64_t size = ends[g];
        ends[g] = sum;
        sum += size;
    }
    for (int32_t p = 0; p < axis->part_count; p++)
        for (int64_t i = 0; i < axis->parts[p].values.n; i++)
            out[ends[axis->parts[p].group[i]]++] = axis->parts[p].values.v[i];
}

bool lapse_axis_cut(const lapse_allocator *mem, const struct lapse_axis *axis, struct lapse_cuts *cuts)
{
    struct lapse_span spans[LAPSE_FOLD_PARTS];
    int64_t count = 0;
    for (int32_t p = 0; p < axis->part_count; p++) {
        spans[p] = axis->parts[p].values;
        count += spans[p].n;
    }
    for (int32_t g = 0; g < axis->groups; g++)
        cuts[g] = (struct lapse_cuts){ .low_is_best = axis->low_is_best };
    if (count == 0)
        return true;
    if (axis->groups == 1)
        return lapse_cuts_quantile(mem, spans, axis->part_count, axis->bins, cuts);

    int64_t ends[UINT8_MAX + 1];
    int64_t *gathered = lapse_mem_alloc(mem, (size_t)count * sizeof *gathered);
    bool ok = gathered;
    if (ok)
        gather(axis, gathered, ends);
    for (int32_t g = 0; ok && g < axis->groups; g++) {
        int64_t begin = g ? ends[g - 1] : 0;
        struct lapse_span values = { gathered + begin, ends[g] - begin };
        ok = values.n == 0 || lapse_cuts_quantile(mem, &values, 1, axis->bins, &cuts[g]);
    }
    lapse_mem_free(mem, gathered);
    return ok;
}
