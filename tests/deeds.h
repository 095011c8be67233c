/* What tests do to a store that may crash under them: deeds that a number decides, and that do nothing when they are done
 * again; and what the store then holds, as text. */
#ifndef LAPSE_TEST_DEEDS_H
#define LAPSE_TEST_DEEDS_H

#include <stdint.h>

#include <lapse.h>

struct text { /* ends in NUL where `data` is not NULL */
    char *data;
    size_t size, capacity;
};
int32_t text_add(void *text, const char *bytes, int64_t size); /* a lapse_write_fn */
int64_t text_read(void *text, char *buffer, int64_t capacity); /* a lapse_read_fn, of a copy: `data` and `size` move on */

lapse_status deed_import(lapse_store *store, int number, int rows);  /* odd numbers: with ids, even: without */
lapse_status deed_append(lapse_store *store, int number, int rows);  /* at most 40 */
lapse_status deed_compact(lapse_store *store, uint32_t flags);
lapse_status deed_forget(lapse_store *store, int number);            /* one of the customers, if there are events of hers */
lapse_status deed_backup(lapse_store *store, const char *path, uint32_t flags);

lapse_status deeds_export(lapse_store *store, struct text *out);     /* all events as CSV, from the beginning of `out` */
lapse_status deeds_verify(lapse_store *store, lapse_error *error);
void deeds_hurry(lapse_store *store);                                /* folds and merges come soon */

#endif
