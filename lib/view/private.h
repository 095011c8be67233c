/* Shared by the files of lib/view only. */
#ifndef LAPSE_LIB_VIEW_PRIVATE_H
#define LAPSE_LIB_VIEW_PRIVATE_H

#include "view/view.h"

struct lapse_view {
    struct lapse_store *store;        /* owned, as the manifest is */
    struct lapse_manifest *manifest;
    struct lapse_run **runs;          /* of events; the manifest's */
    size_t run_count;
    int64_t as_of;
    atomic_int owners;
};

#endif
