/* What a retention manager wants to see of a store, on one page: what came in, the segments, and the ten most
 * valuable customers who are slipping away. Usage: report STORE */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <lapse.h>

enum { TOP = 10 };

struct slipping {
    char customer[256];
    char segment[32];
    int64_t last_order, orders, monetary;
};

/* ---- reading a table -------------------------------------------------------------------------------- */

static lapse_column column(const lapse_table *table, const char *name)
{
    lapse_column found = { .size = sizeof found };

    lapse_table_column(table, lapse_table_find(table, name), &found);
    return found;
}

static int64_t whole(lapse_column from, int64_t row)
{
    return ((const int64_t *)from.data)[row];
}

static double ratio(lapse_column from, int64_t row)
{
    return ((const double *)from.data)[row];
}

static int has(lapse_column from, int64_t row)
{
    return !from.validity || (from.validity[row / 8] >> (row % 8) & 1);
}

/* A text that ends in NUL; bytes that steer a terminal become `?`. */
static const char *text(lapse_column from, int64_t row, char *out, size_t room)
{
    const char *bytes = (const char *)from.data + from.offsets[row];
    size_t size = (size_t)(from.offsets[row + 1] - from.offsets[row]);

    size = size < room ? size : room - 1;
    for (size_t i = 0; i < size; i++)
        out[i] = (char)((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f ? '?' : bytes[i]);
    out[size] = '\0';
    return out;
}

/* Written from the end of `out`. */
static const char *money(int64_t minor, int digits, char *out, size_t room)
{
    uint64_t left = minor < 0 ? 0 - (uint64_t)minor : (uint64_t)minor;
    char *at = out + room;

    *--at = '\0';
    for (int i = 0; i <= digits || left > 0; i++) {
        if (i == digits && digits > 0)
            *--at = '.';
        *--at = (char)('0' + left % 10);
        left /= 10;
    }
    if (minor < 0)
        *--at = '-';
    return at;
}

static const char *date(int64_t time, char *out, int32_t room)
{
    if (lapse_time_format(time, out, room) != LAPSE_OK)
        return "";
    out[strcspn(out, "T")] = '\0';
    return out;
}

/* ---- the page --------------------------------------------------------------------------------------- */

static lapse_status print_info(lapse_store *store, lapse_error *error)
{
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_status status = lapse_store_info(store, &result, error);

    if (status == LAPSE_OK)
        status = lapse_result_collect(result, &table, error);
    if (status == LAPSE_OK) {
        puts("What came in\n------------");
        for (int64_t row = 0; row < lapse_table_rows(table); row++) {
            char name[64], value[128];

            text(column(table, "name"), row, name, sizeof name);
            text(column(table, "value"), row, value, sizeof value);
            if (strcmp(name, "bytes") == 0)
                break;
            printf("%-22s %s\n", strncmp(name, "kind.", 5) == 0 ? name + 5 : name, value);
        }
    }
    lapse_table_release(table);
    lapse_result_free(result);
    return status;
}

static lapse_status print_segments(lapse_view *view, int digits, lapse_error *error)
{
    char day[40];
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_status status = lapse_view_segments(view, NULL, &result, error);

    if (status == LAPSE_OK)
        status = lapse_result_collect(result, &table, error);
    if (status == LAPSE_OK) {
        printf("\nSegments on %s\n----------------------\n", date(lapse_view_as_of(view), day, sizeof day));
        printf("%-20s %10s %6s %16s %6s %10s %8s %12s\n", "segment", "customers", "", "money", "", "days since",
               "orders", "money");
        printf("%-20s %10s %6s %16s %6s %10s %8s %12s\n", "", "", "share", "", "share", "last order", "each",
               "each");
        for (int64_t row = 0; row < lapse_table_rows(table); row++) {
            char name[64], sum[40], mean[40];

            printf("%-20s %10" PRId64, text(column(table, "segment"), row, name, sizeof name),
                   whole(column(table, "customers"), row));
            if (has(column(table, "customer_share"), row))
                printf(" %4.0f %%", 100 * ratio(column(table, "customer_share"), row));
            else
                printf(" %6s", "");
            printf(" %16s", money(whole(column(table, "monetary"), row), digits, sum, sizeof sum));
            if (has(column(table, "monetary_share"), row))
                printf(" %4.0f %%", 100 * ratio(column(table, "monetary_share"), row));
            else
                printf(" %6s", "");
            if (has(column(table, "mean_recency_days"), row))
                printf(" %10.0f %8.1f %12s", ratio(column(table, "mean_recency_days"), row),
                       ratio(column(table, "mean_frequency"), row),
                       money(whole(column(table, "mean_monetary"), row), digits, mean, sizeof mean));
            putchar('\n');
        }
    }
    lapse_table_release(table);
    lapse_result_free(result);
    return status;
}

/* Puts a row among the best so far; equal ones stay in the order of their ids. */
static void keep(struct slipping *top, int *count, const struct slipping *row)
{
    int at = *count;

    while (at > 0 && top[at - 1].monetary < row->monetary)
        at--;
    if (at == TOP)
        return;
    *count += *count < TOP;
    memmove(top + at + 1, top + at, (size_t)(*count - 1 - at) * sizeof *top);
    top[at] = *row;
}

static lapse_status print_slipping(lapse_view *view, int digits, lapse_error *error)
{
    struct slipping top[TOP];
    int count = 0;
    lapse_result *result = NULL;
    lapse_table *part = NULL;
    lapse_status status = lapse_view_rfm(view, NULL, &result, error);

    while (status == LAPSE_OK && (status = lapse_result_next(result, &part, error)) == LAPSE_OK) {
        for (int64_t row = 0; row < lapse_table_rows(part); row++) {
            struct slipping one;

            text(column(part, "segment"), row, one.segment, sizeof one.segment);
            if (strcmp(one.segment, "at risk") != 0 && strcmp(one.segment, "can't lose") != 0)
                continue;
            text(column(part, "customer"), row, one.customer, sizeof one.customer);
            one.last_order = whole(column(part, "last_order"), row);
            one.orders = whole(column(part, "frequency"), row);
            one.monetary = whole(column(part, "monetary"), row);
            keep(top, &count, &one);
        }
        lapse_table_release(part);
    }
    if (status == LAPSE_DONE) {
        status = LAPSE_OK;
        puts("\nMost valuable customers who are slipping away\n---------------------------------------------");
        if (count > 0)
            printf("%-24s %-12s %-10s %8s %14s\n", "customer", "segment", "last order", "orders", "money");
        else
            puts("nobody");
        for (int i = 0; i < count; i++) {
            char sum[40], day[40];

            printf("%-24s %-12s %-10s %8" PRId64 " %14s\n", top[i].customer, top[i].segment,
                   date(top[i].last_order, day, sizeof day), top[i].orders,
                   money(top[i].monetary, digits, sum, sizeof sum));
        }
    }
    lapse_result_free(result);
    return status;
}

int main(int argc, char **argv)
{
    lapse_store_options options;
    lapse_error error = { .size = sizeof error };
    lapse_store *store = NULL;
    lapse_view *view = NULL;
    lapse_status status;
    int64_t as_of = 0;

    if (argc != 2) {
        fputs("usage: report STORE\n", stderr);
        return 2;
    }
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST;
    status = lapse_store_open(argv[1], &options, &store, &error);
    if (status == LAPSE_OK)
        status = print_info(store, &error);
    if (status == LAPSE_OK)
        status = lapse_store_default_instant(store, &as_of, &error);
    if (status == LAPSE_OK)
        status = lapse_view_open(store, as_of, &view, &error);
    if (status == LAPSE_OK)
        status = print_segments(view, lapse_store_digits(store), &error);
    if (status == LAPSE_OK)
        status = print_slipping(view, lapse_store_digits(store), &error);
    if (status != LAPSE_OK)
        fprintf(stderr, "report: %s\n", error.message[0] ? error.message : lapse_status_name(status));
    lapse_view_close(view);
    lapse_store_close(store);
    return status != LAPSE_OK;
}
