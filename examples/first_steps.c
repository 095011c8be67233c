/* Orders from arrays, segments to stdout. Build: cc first_steps.c $(pkg-config --cflags --libs lapse) */
#include <stdio.h>
#include <lapse.h>

static int32_t print(void *user, const char *bytes, int64_t size)
{
    (void)user;
    return fwrite(bytes, 1, (size_t)size, stdout) != (size_t)size;
}

int main(void)
{
    /* Texts lie end to end: row i is offsets[i] to offsets[i + 1]. Times in microseconds, money in cents. */
    const int64_t day = INT64_C(86400000000), start = 19783 * day; /* 2024-03-01 */
    const char customers[] = "annannbobcleocleocleo";
    const int64_t offsets[] = { 0, 3, 6, 9, 13, 17, 21 };
    const int64_t times[] = {
        start, start + 40 * day, start + 5 * day, start + 50 * day, start + 60 * day, start + 61 * day
    };
    const int64_t amounts[] = { 1999, 2500, 1250, 9900, 12000, 4550 };
    lapse_batch batch = { .size = sizeof batch,
                          .rows = 6,
                          .customer = customers,
                          .customer_offsets = offsets,
                          .time = times,
                          .amount = amounts };
    lapse_error error = { .size = sizeof error };
    lapse_store *store = NULL;
    lapse_view *view = NULL;
    lapse_result *segments = NULL;
    lapse_status status;

    status = lapse_store_open(NULL, NULL, &store, &error); /* NULL: in memory; or the name of a file */
    if (status == LAPSE_OK)
        status = lapse_store_append(store, &batch, NULL, NULL, &error);
    if (status == LAPSE_OK)
        status = lapse_view_open(store, start + 90 * day, &view, &error);
    if (status == LAPSE_OK)
        status = lapse_view_segments(view, NULL, &segments, &error);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(segments, print, NULL, &error);
    if (status != LAPSE_OK)
        fprintf(stderr, "%s\n", error.message);
    lapse_result_free(segments);
    lapse_view_close(view);
    lapse_store_close(store);
    return status != LAPSE_OK;
}
