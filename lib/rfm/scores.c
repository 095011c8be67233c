/* Scores of all customers. Axes are cut, then parts are scored, on as many threads as the answer was asked with.
 * When nested, an axis is cut within each combination of the scores before it, so one axis comes after another. Where
 * ties are split the parts of an axis come one after another, as what is left of a tie is carried along. */
#include "rfm/rfm.h"

#include <stdatomic.h>

enum { GROUPS = LAPSE_BINS_MAX * LAPSE_BINS_MAX };

struct scoring {
    const lapse_allocator *mem;
    const lapse_rfm_options *options;
    struct lapse_axis axes[3];
    struct lapse_axis_part parts[3][LAPSE_FOLD_PARTS];
    struct lapse_axis_cuts cuts[3][GROUPS];
    uint8_t *group[LAPSE_FOLD_PARTS]; /* when nested: of each customer, the scores so far as one number */
    int first, end;                   /* axes under work */
    atomic_bool failed;
};

static int cut_axis(void *user, int64_t task)
{
    struct scoring *s = user;
    int a = s->end - 1 - (int)task; /* money takes longest */
    if (!lapse_axis_cut(s->mem, &s->axes[a], s->cuts[a]))
        atomic_store(&s->failed, true);
    return atomic_load(&s->failed);
}

static void score(struct scoring *s, int a, int32_t part)
{
    const struct lapse_axis_part *p = &s->parts[a][part];
    lapse_axis_score(&s->axes[a], s->cuts[a], part);
    for (int64_t i = 0; s->group[part] && a < 2 && i < p->n; i++)
        s->group[part][i] = (uint8_t)(s->group[part][i] * s->axes[a].bins + p->scores[i] - 1);
}

static int score_part(void *user, int64_t task)
{
    struct scoring *s = user;
    for (int a = s->first; a < s->end; a++)
        score(s, a, (int32_t)task);
    return 0;
}

static int score_axis(void *user, int64_t task)
{
    struct scoring *s = user;
    for (int32_t p = 0; p < s->axes[0].part_count; p++)
        score(s, s->end - 1 - (int)task, p);
    return 0;
}

static bool score_axes(struct scoring *s, int first, int end)
{
    bool by_axis = s->options->cuts == LAPSE_CUTS_NTILE;
    s->first = first;
    s->end = end;
    lapse_parallel(s->options->threads, end - first, cut_axis, s);
    if (!atomic_load(&s->failed))
        lapse_parallel(s->options->threads, by_axis ? end - first : s->axes[0].part_count,
                       by_axis ? score_axis : score_part, s);
    return !atomic_load(&s->failed);
}

static bool prepare(struct scoring *s, int digits, const struct lapse_score_part *parts, int32_t part_count)
{
    const lapse_rfm_options *o = s->options;
    const int32_t bins[3] = { o->bins_r, o->bins_f, o->bins_m };
    bool nested = o->flags & LAPSE_RFM_NESTED, ok = true;
    int64_t major = 1;
    for (int i = 0; i < digits; i++)
        major *= 10;
    for (int32_t p = 0; ok && p < part_count; p++) {
        ok = !nested || (s->group[p] = lapse_mem_zero(s->mem, (size_t)parts[p].count, 1));
        for (int a = 0; ok && a < 3; a++)
            s->parts[a][p] = (struct lapse_axis_part){ .values = parts[p].value[a],
                                                       .n = parts[p].count,
                                                       .group = a ? s->group[p] : NULL,
                                                       .scores = parts[p].scores[a] };
    }
    for (int a = 0, groups = 1; a < 3; groups *= bins[a++])
        s->axes[a] = (struct lapse_axis){ .parts = s->parts[a],
                                          .part_count = part_count,
                                          .groups = nested ? groups : 1,
                                          .bins = bins[a],
                                          .rule = o->cuts,
                                          .unit = o->cuts != LAPSE_CUTS_RFM_R ? 0 : a == 2 ? major : 1,
                                          .fixed = o->fixed ? &o->fixed->above[lapse_cuts_place(a)] : NULL,
                                          .low_is_best = a == 0 };
    return ok;
}

static void keep_cuts(const struct scoring *s, int digits)
{
    lapse_cuts made = { .digits = digits };
    bool any = s->options->cuts == LAPSE_CUTS_FIXED;
    for (int32_t p = 0; p < s->axes[0].part_count; p++)
        any |= s->parts[0][p].n > 0;
    for (int a = 0; any && a < 3; a++) {
        made.bins[a] = s->axes[a].bins;
        memcpy(&made.above[lapse_cuts_place(a)], s->cuts[a]->above, sizeof s->cuts[a]->above);
    }
    lapse_options_write(s->options->made, s->options->made->size, &made, sizeof made, sizeof made);
}

bool lapse_scores_make(const lapse_allocator *mem, const lapse_rfm_options *options, int digits,
                       const struct lapse_score_part *parts, int32_t part_count)
{
    bool nested = options->flags & LAPSE_RFM_NESTED;
    struct scoring *s = lapse_mem_zero(mem, 1, sizeof *s);
    if (!s)
        return false;
    s->mem = mem;
    s->options = options;
    atomic_init(&s->failed, false);
    bool ok = prepare(s, digits, parts, part_count);
    for (int a = 0, step = nested ? 1 : 3; ok && a < 3; a += step)
        ok = score_axes(s, a, a + step);
    if (ok && options->made)
        keep_cuts(s, digits);
    for (int32_t p = 0; p < part_count; p++)
        lapse_mem_free(mem, s->group[p]);
    lapse_mem_free(mem, s);
    return ok;
}
