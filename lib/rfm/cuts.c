/* From values to scores, on plain arrays. Thresholds are integers that decide as the exact rationals do, found by
 * selection, never by sorting; a score is one plus the thresholds below the value. No double takes part. SQL's NTILE
 * splits ties, so its thresholds also say how many of the values that equal them stay below, in the order of the
 * values. */
#include "rfm/rfm.h"

/* Each quantile lies between the values at two neighbouring ranks. All ranks are selected in one go: they
 * ascend, and those that fall together are asked for once. `unit` 0: the floor of each quantile. Otherwise a value
 * reaches a bin from the quantile and a unit on, inclusive (rulings R6, R11). */
static bool cut_quantile(const lapse_allocator *mem, const struct lapse_span *spans, int32_t span_count, int64_t n,
                         int64_t unit, struct lapse_axis_cuts *out)
{
    int64_t ranks[2 * LAPSE_BINS_MAX] = { 0 }, found[2 * LAPSE_BINS_MAX];
    int place[LAPSE_BINS_MAX];
    int count = 0, bins = out->bins;

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
        int64_t xk = found[at], xk1 = found[at + 1 < count ? at + 1 : at];
        if (unit == 0)
            out->above[i - 1] = lapse_quantile_floor(n, i, bins, xk, xk1);
        else if (!lapse_int128_fits((lapse_int128)lapse_quantile_ceil(n, i, bins, xk, xk1) + unit - 1,
                                    &out->above[i - 1]))
            out->above[i - 1] = INT64_MAX; /* no value is beyond */
    }
    return true;
}

/* Of n rows in order, the first n % bins bins have one row more than the others (SQL:2003); with fewer rows than
 * bins the last ones have none. A boundary is where the rows of bin i end. */
static bool cut_ntile(const lapse_allocator *mem, const struct lapse_span *spans, int32_t span_count, int64_t n,
                      struct lapse_axis_cuts *out)
{
    int64_t ends[LAPSE_BINS_MAX - 1], ranks[LAPSE_BINS_MAX - 1] = { 0 }, below[LAPSE_BINS_MAX - 1] = { 0 };
    int64_t each = n / out->bins, longer = n % out->bins;
    int count = 0;

    for (int i = 1; i < out->bins; i++) {
        ends[i - 1] = i * each + (i < longer ? i : longer);
        out->above[i - 1] = out->left[i - 1] = INT64_MAX;
        if (ends[i - 1] < n) {
            ranks[count] = out->low_is_best ? n - 1 - ends[i - 1] : ends[i - 1];
            count++; /* ends ascend, so those beyond the rows come last */
        }
    }
    if (!lapse_select(mem, spans, span_count, ranks, count, out->above))
        return false;
    for (int i = 0; i < count; i++)
        out->above[i] = lapse_cuts_key(out, out->above[i]);
    for (int32_t s = 0; s < span_count; s++)
        for (int64_t v = 0; v < spans[s].n; v++)
            for (int i = 0; i < count; i++)
                below[i] += lapse_cuts_key(out, spans[s].v[v]) < out->above[i];
    for (int i = 0; i < count; i++)
        out->left[i] = ends[i] - below[i];
    return true;
}

static int64_t count_values(const struct lapse_span *spans, int32_t count)
{
    int64_t n = 0;
    for (int32_t s = 0; s < count; s++)
        n += spans[s].n;
    return n;
}

static bool cut(const lapse_allocator *mem, const struct lapse_axis *axis, const struct lapse_span *spans,
                int32_t span_count, struct lapse_axis_cuts *out)
{
    int64_t n = count_values(spans, span_count);
    if (n == 0)
        return true;
    if (out->splits_ties)
        return cut_ntile(mem, spans, span_count, n, out);
    return cut_quantile(mem, spans, span_count, n, axis->unit, out);
}

/* Where values equal a threshold, as many as are `left` stay below it, then all others are above. */
static void score_ties(const struct lapse_axis_part *p, struct lapse_axis_cuts *cuts)
{
    for (int64_t i = 0; i < p->n; i++) {
        struct lapse_axis_cuts *c = &cuts[p->group ? p->group[i] : 0];
        int64_t key = lapse_cuts_key(c, p->values[i]);
        int32_t above = 0;
        for (int32_t b = 0; b < c->bins - 1; b++) {
            int64_t stays = key == c->above[b] && c->left[b] > 0;
            c->left[b] -= stays;
            above += key >= c->above[b] && !stays;
        }
        p->scores[i] = (uint8_t)(1 + above);
    }
}

void lapse_axis_score(const struct lapse_axis *axis, struct lapse_axis_cuts *cuts, int32_t part)
{
    const struct lapse_axis_part *p = &axis->parts[part];
    if (cuts->splits_ties) {
        score_ties(p, cuts);
        return;
    }
    for (int64_t i = 0; i < p->n; i++)
        p->scores[i] = lapse_axis_score_one(&cuts[p->group ? p->group[i] : 0], p->values[i]);
}

/* Values gathered group by group, so that each group is a plain array; ends[g] is where group g ends. */
static void gather(const struct lapse_axis *axis, int64_t *out, int64_t ends[UINT8_MAX + 1])
{
    int64_t sum = 0;
    memset(ends, 0, sizeof *ends * (UINT8_MAX + 1));
    for (int32_t p = 0; p < axis->part_count; p++)
        for (int64_t i = 0; i < axis->parts[p].n; i++)
            ends[axis->parts[p].group[i]]++;
    for (int32_t g = 0; g < axis->groups; g++) {
        int64_t size = ends[g];
        ends[g] = sum;
        sum += size;
    }
    for (int32_t p = 0; p < axis->part_count; p++)
        for (int64_t i = 0; i < axis->parts[p].n; i++)
            out[ends[axis->parts[p].group[i]]++] = axis->parts[p].values[i];
}

bool lapse_axis_cut(const lapse_allocator *mem, const struct lapse_axis *axis, struct lapse_axis_cuts *cuts)
{
    struct lapse_span spans[LAPSE_FOLD_PARTS];
    for (int32_t p = 0; p < axis->part_count; p++)
        spans[p] = (struct lapse_span){ axis->parts[p].values, axis->parts[p].n };
    for (int32_t g = 0; g < axis->groups; g++)
        cuts[g] = (struct lapse_axis_cuts){ .bins = axis->bins,
                                            .low_is_best = axis->low_is_best,
                                            .splits_ties = axis->rule == LAPSE_CUTS_NTILE };
    if (axis->rule == LAPSE_CUTS_FIXED) {
        memcpy(cuts->above, axis->fixed, sizeof cuts->above);
        return true;
    }
    if (axis->groups == 1)
        return cut(mem, axis, spans, axis->part_count, cuts);

    int64_t ends[UINT8_MAX + 1], count = count_values(spans, axis->part_count);
    int64_t *gathered = lapse_mem_alloc(mem, (size_t)count * sizeof *gathered);
    bool ok = gathered;
    if (ok)
        gather(axis, gathered, ends);
    for (int32_t g = 0; ok && g < axis->groups; g++) {
        int64_t begin = g ? ends[g - 1] : 0;
        struct lapse_span values = { gathered + begin, ends[g] - begin };
        ok = cut(mem, axis, &values, 1, &cuts[g]);
    }
    lapse_mem_free(mem, gathered);
    return ok;
}
