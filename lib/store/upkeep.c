/* What the functions that keep a store in order share: options, progress, cancelling. */
#include "store/upkeep.h"

enum { TOLD_EVERY = LAPSE_BLOCK_ROWS }; /* rows */

static const lapse_upkeep_options defaults = { .size = sizeof defaults, .threads = 1 };
static const size_t oldest = offsetof(lapse_upkeep_options, progress_user) + sizeof(void *);

lapse_status lapse_upkeep_options_init(lapse_upkeep_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, oldest);
}

lapse_status lapse_upkeep_begin(struct lapse_upkeep *u, const lapse_upkeep_options *options, uint32_t known,
                                lapse_error *error)
{
    *u = (struct lapse_upkeep){ .options = defaults };
    lapse_status status = LAPSE_OK;
    if (options)
        status = lapse_options_read(&u->options, sizeof u->options, options, oldest, "lapse_upkeep_options", error);
    if (status == LAPSE_OK && u->options.flags & ~known)
        return lapse_fail(error, LAPSE_INVALID, "lapse_upkeep_options has flags that this function does not know");
    const struct lapse_option_range ranges[] = { { "threads", u->options.threads, 0, LAPSE_THREADS_MOST },
                                                 { "reserved", u->options.reserved, 0, 0 } };
    if (status == LAPSE_OK)
        status = lapse_options_check("lapse_upkeep_options", ranges, sizeof ranges / sizeof *ranges, error);
    u->options.threads += u->options.threads == 0; /* options that were made before there were threads */
    return status;
}

lapse_status lapse_upkeep_go_on(struct lapse_upkeep *u, int64_t rows, lapse_error *error)
{
    u->done += rows;
    if (u->done > u->total)
        u->total = u->done;
    if (u->options.on_progress && (rows == 0 || u->done - u->told >= TOLD_EVERY)) {
        u->told = u->done;
        u->stopped |= u->options.on_progress(u->options.progress_user, u->done, u->total) != 0;
    }
    return u->stopped ? lapse_fail(error, LAPSE_CANCELLED, "cancelled") : LAPSE_OK;
}
