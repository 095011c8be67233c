/* What the suites of what stores refuse share: a store opened with options, or not, and why; imports of texts. A
 * suite defines _POSIX_C_SOURCE 200809L before this. */
#ifndef TESTS_REFUSALS_H
#define TESTS_REFUSALS_H

#include "stores.h"

/* The export of a store without events. */
static const char nothing[] = "customer,time,kind\n";

/* The file at `path`, which is closed again; an error must say why. */
static inline lapse_status open_as(const lapse_store_options *o, const char *says)
{
    lapse_store *store = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_open(path, o, &store, &error);
    assert_true((status == LAPSE_OK) == (store != NULL));
    if (status != LAPSE_OK && !strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    lapse_store_close(store);
    return status;
}

static inline lapse_status import_text(lapse_store *store, const char *text, const lapse_import_options *options,
                                       lapse_counts *counts, lapse_error *error)
{
    struct stream s = { text, strlen(text) };
    return lapse_store_import_stream(store, give, &s, options, counts, error);
}

static inline void import_good(lapse_store *store, const char *text)
{
    add_events(store, text, strlen(text));
}

/* A file with two events. */
static inline void made_store(void)
{
    unlink(path);
    lapse_store *store = opened(path, 0);
    import_good(store, "customer,time,amount\nann,2024-01-01,1\nbob,2024-01-02,2\n");
    lapse_store_close(store);
}

#endif
