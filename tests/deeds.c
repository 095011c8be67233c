/* deeds.h. Memory that is not there ends the process. */
#include "deeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

int32_t text_add(void *text, const char *bytes, int64_t size)
{
    struct text *t = text;
    if (t->size + (size_t)size + 1 > t->capacity) {
        t->capacity = 2 * (t->size + (size_t)size + 1);
        t->data = realloc(t->data, t->capacity);
        if (!t->data)
            abort();
    }
    memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += (size_t)size;
    t->data[t->size] = 0;
    return 0;
}

int64_t text_read(void *text, char *buffer, int64_t capacity)
{
    struct text *t = text;
    size_t n = t->size < (size_t)capacity ? t->size : (size_t)capacity;
    memcpy(buffer, t->data, n);
    t->data += n;
    t->size -= n;
    return (int64_t)n;
}

/* The source tells files without ids apart. */
lapse_status deed_import(lapse_store *store, int number, int rows)
{
    char line[100], source[16];
    struct text file = { 0 };
    lapse_import_options o;
    int n = snprintf(line, sizeof line, "customer,time,amount%s\n", number % 2 ? ",event_id" : "");
    text_add(&file, line, n);
    for (int i = 0; i < rows; i++) {
        n = snprintf(line, sizeof line, "c%d,@%d,%d.50", (i * 7 + number) % 23, 1700000000 + i * 4321 + number, i);
        n += snprintf(line + n, sizeof line - (size_t)n, number % 2 ? ",e%d\n" : "\n", i);
        text_add(&file, line, n);
    }
    snprintf(source, sizeof source, "file%d", number);
    lapse_import_options_init(&o, sizeof o);
    o.source = source;
    struct text left = file;
    lapse_status status = lapse_store_import_stream(store, text_read, &left, &o, NULL, NULL);
    free(file.data);
    return status;
}

lapse_status deed_append(lapse_store *store, int number, int rows)
{
    enum { MOST = 40 };
    char customers[MOST * 4], ids[MOST * 16];
    int64_t customer_at[MOST + 1] = { 0 }, id_at[MOST + 1] = { 0 }, times[MOST], amounts[MOST];
    for (int i = 0; i < rows; i++) {
        customer_at[i + 1] = customer_at[i] + sprintf(customers + customer_at[i], "c%d", (number + i) % 30);
        id_at[i + 1] = id_at[i] + sprintf(ids + id_at[i], "a%d-%d", number, i);
        times[i] = INT64_C(1710000000000000) + number * INT64_C(1000000) + i;
        amounts[i] = 100 * (int64_t)number + i;
    }
    lapse_batch batch = { .size = sizeof batch, .rows = rows, .customer = customers, .customer_offsets = customer_at,
                          .event_id = ids, .event_id_offsets = id_at, .time = times, .amount = amounts };
    return lapse_store_append(store, &batch, NULL, NULL, NULL);
}

lapse_status deed_compact(lapse_store *store, uint32_t flags)
{
    lapse_upkeep_options o;
    lapse_upkeep_options_init(&o, sizeof o);
    o.flags = flags;
    return lapse_store_compact(store, &o, NULL);
}

/* Bytes that still lie somewhere are another test's; she is forgotten. */
lapse_status deed_forget(lapse_store *store, int number)
{
    char customer[8];
    const int64_t offsets[] = { 0, sprintf(customer, "c%d", number % 23) };
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = INT64_C(1700000000000000) + 40000 * INT64_C(1000000); /* later rows of files are stored again */
    lapse_status status = lapse_store_forget(store, customer, offsets, 1, &o, NULL, NULL);
    return status == LAPSE_NOT_FOUND || status == LAPSE_ERASE_PENDING ? LAPSE_OK : status;
}

lapse_status deed_backup(lapse_store *store, const char *path, uint32_t flags)
{
    lapse_upkeep_options o;
    lapse_upkeep_options_init(&o, sizeof o);
    o.flags = flags;
    return lapse_store_backup(store, path, &o, NULL);
}

lapse_status deeds_export(lapse_store *store, struct text *out)
{
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    out->size = 0;
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    if (status == LAPSE_OK)
        status = lapse_view_events(view, &result, NULL);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, text_add, out, NULL);
    lapse_result_free(result);
    lapse_view_close(view);
    return status;
}

lapse_status deeds_verify(lapse_store *store, lapse_error *error)
{
    lapse_result *report = NULL;
    lapse_status status = lapse_store_verify(store, NULL, &report, error);
    lapse_result_free(report);
    return status;
}

void deeds_hurry(lapse_store *store)
{
    store->limits = (struct lapse_merging_limits){ .small = 12, .tail_runs = 3, .tail_rows = 1000, .runs = 2,
                                                   .runs_behind = 4, .share = 1, .least_share = 25 };
}
