/* lapse_store_salvage(): the events of what lapse_store_sound() finds, with what is lost as notes. */
#include <lapse/upkeep.h>

#include "view/private.h"

static lapse_status add_notes(lapse_result *result, const struct lapse_buffer *notes, lapse_error *error)
{
    const char *at = notes->data, *end = at ? at + notes->size : at;
    lapse_status status = LAPSE_OK;
    for (; status == LAPSE_OK && at < end; at += strlen(at) + 1)
        status = lapse_result_add_note(result, at, strlen(at));
    return status == LAPSE_OK ? status : lapse_fail_memory(error);
}

lapse_status lapse_store_salvage(lapse_store *store, const lapse_upkeep_options *options, lapse_result **out,
                                 lapse_error *error)
{
    struct lapse_store *sound = NULL;
    struct lapse_buffer notes;
    lapse_view *view = NULL;
    lapse_status status = lapse_store_check_handle(store, error);
    if (status == LAPSE_OK && !out)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (status != LAPSE_OK)
        return status;
    *out = NULL;
    lapse_buffer_init(&notes, &store->mem);
    status = lapse_store_sound(store, options, &sound, &notes, error);
    if (status == LAPSE_OK)
        status = lapse_view_open(sound, INT64_MAX, &view, error);
    if (status == LAPSE_OK)
        status = lapse_view_events(view, out, error);
    if (status == LAPSE_OK)
        status = add_notes(*out, &notes, error);
    if (status != LAPSE_OK) {
        lapse_result_free(*out);
        *out = NULL;
    } else if (notes.size) {
        status = lapse_fail(error, LAPSE_DAMAGED, "%s", notes.data);
    }
    lapse_view_close(view); /* what is left keeps what it needs */
    lapse_store_close(sound);
    lapse_buffer_free(&notes);
    return status;
}
