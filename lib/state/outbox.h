/* Shared by advance.c and outbox.c only. */
#ifndef LAPSE_LIB_STATE_OUTBOX_H
#define LAPSE_LIB_STATE_OUTBOX_H

#include <lapse/changes.h>

#include "state/present.h"

/* What was told of a customer last: rows first .. first + count of TOLD, by key; and her deadlines. */
struct lapse_told {
    const struct lapse_columns *columns;
    size_t first, count;
    int64_t wake, deadline; /* LAPSE_MISSING: none */
};
/* `group` is of TOLD; NULL: nothing was told. LAPSE_DAMAGED. */
lapse_status lapse_told_read(const struct lapse_group *group, struct lapse_told *out, lapse_error *error);
/* The records that are not confirmed, the first `limit` of them. */
lapse_status lapse_outbox_read(lapse_store *store, int64_t limit, lapse_result **out, lapse_error *error);

#endif
