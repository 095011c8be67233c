/* Scores of all customers. Axes are cut, then parts are scored, on as many threads as the answer was asked with.
 * When nested, an axis is cut within each combination of the scores before it, so one axis comes after another. */
#include "rfm/rfm.h"

#include <stdatomic.h>

enum { GROUPS = LAPSE_BINS_MAX * LAPSE_BINS_MAX };

struct scoring {
    struct lapse_rfm *rfm;
    struct lapse_axis axes[3];
    struct lapse_axis_part parts[3][LAPSE_FOLD_PARTS];
    struct lapse_cuts cuts[3][GROUPS];
    uint8_t *group[LAPSE_FOLD_PARTS]; /* when nested: of each customer, the scores so far as one number */
    int first, end;                   /* axes under work */
    atomic_bool failed;
};

static int cut_axis(void *user, int64_t task)
{
    struct scoring *s = user;
    int a = s->end - 1 - (int)task; /* money takes longest */
    if (!lapse_axis_cut(&s->rfm->mem, &s->axes[a], s->cuts[a]))
        atomic_store(&s->failed, true);
    return atomic_load(&s->failed);
}

static int score_part(void *user, int64_t task)
{
    struct scoring *s = user;
    for (int a = s->first; a < s->end; a++) {
        const struct lapse_axis_part *p = &s->parts[a][task];
        lapse_axis_score(&s->axes[a], s->cuts[a], (int32_t)task);
        for (int64_t i = 0; s->group[task] && a < 2 && i < p->values.n; i++)
            s->group[task][i] = (uint8_t)(s->group[task][i] * s->axes[a].bins + p->scores[i] - 1);
    }
    return 0;
}

static bool score_axes(struct scoring *s, int first, int end)
{
    s->first = first;
    s->end = end;
    lapse_parallel(s->rfm->options.threads, end - first, cut_axis, s);
    if (!atomic_load(&s->failed))
        lapse_parallel(s->rfm->options.threads, s->rfm->part_count, score_part, s);
    return !atomic_load(&s->failed);
}

static bool prepare(struct scoring *s, bool nested)
{
    static const enum lapse_rfm_value values[3] = { LAPSE_RFM_RECENCY, LAPSE_RFM_FREQUENCY, LAPSE_RFM_MONETARY };
    struct lapse_rfm *rfm = s->rfm;
    const int32_t bins[3] = { rfm->options.bins_r, rfm->options.bins_f, rfm->options.bins_m };
    bool ok = true;
    for (int32_t p = 0; ok && p < rfm->part_count; p++) {
        struct lapse_rfm_part *part = &rfm->part[p];
        ok = !nested || (s->group[p] = lapse_mem_zero(&rfm->mem, (size_t)part->count, 1));
        for (int a = 0; ok && a < 3; a++) {
            ok = (part->scores[a] = lapse_mem_alloc(&rfm->mem, (size_t)part->count));
            s->parts[a][p] = (struct lapse_axis_part){ .values = { part->value[values[a]], part->count },
                                                       .group = a ? s->group[p] : NULL,
                                                       .scores = part->scores[a] };
        }
    }
    for (int a = 0, groups = 1; a < 3; groups *= bins[a++])
        s->axes[a] = (struct lapse_axis){ .parts = s->parts[a],
                                          .part_count = rfm->part_count,
                                          .groups = nested ? groups : 1,
                                          .bins = bins[a],
                                          .low_is_best = a == 0 };
    return ok;
}

bool lapse_rfm_score(struct lapse_rfm *rfm)
{
    bool nested = rfm->options.flags & LAPSE_RFM_NESTED;
    struct scoring *s = lapse_mem_zero(&rfm->mem, 1, sizeof *s);
    if (!s)
        return false;
    s->rfm = rfm;
    atomic_init(&s->failed, false);
    bool ok = prepare(s, nested);
    for (int a = 0, step = nested ? 1 : 3; ok && a < 3; a += step)
        ok = score_axes(s, a, a + step);
    for (int32_t p = 0; p < rfm->part_count; p++)
        lapse_mem_free(&rfm->mem, s->group[p]);
    lapse_mem_free(&rfm->mem, s);
    return ok;
}
