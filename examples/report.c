/* What a retention manager wants to see of a store, on one page: what came in, the segments with their totals,
 * and the ten most valuable customers who are slipping away. Usage: report STORE */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <lapse.h>

enum { TOP = 10 };

struct slipping {
    char customer[256];
    char segment[32];
    int64_t last_order, days, orders, monetary;
};

/* The segments of those who used to buy often and have been silent for long. */
static int slips_away(const char *segment)
{
    return strcmp(segment, "at risk") == 0 || strcmp(segment, "can't lose") == 0;
}

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

/* With thousands separators, written from the end of `out`. */
static const char *money(int64_t minor, int digits, char *out, size_t room)
{
    uint64_t left = minor < 0 ? 0 - (uint64_t)minor : (uint64_t)minor;
    char *at = out + room;

    *--at = '\0';
    for (int i = 0; i <= digits || left > 0; i++) {
        if (i == digits && digits > 0)
            *--at = '.';
        if (i > digits && (i - digits) % 3 == 0)
            *--at = ',';
        *--at = (char)('0' + left % 10);
        left /= 10;
    }
    if (minor < 0)
        *--at = '-';
    return at;
}

static const char *count(int64_t n, char *out, size_t room)
{
    return money(n, 0, out, room);
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
            char name[64], value[128], more;
            int64_t n;

            text(column(table, "name"), row, name, sizeof name);
            text(column(table, "value"), row, value, sizeof value);
            if (strcmp(name, "bytes") == 0)
                break;
            if (sscanf(value, "%" SCNd64 "%c", &n, &more) == 1)
                printf("%-22s %20s\n", strncmp(name, "kind.", 5) == 0 ? name + 5 : name,
                       count(n, value, sizeof value));
            else
                printf("%-22s %20s\n", name, value);
        }
    }
    lapse_table_release(table);
    lapse_result_free(result);
    return status;
}

struct group {
    int64_t customers, orders, monetary;
    double days; /* since the last order, those of all customers added up */
};

static const char *percent(int64_t part, int64_t all, char *out, size_t room)
{
    out[0] = '\0';
    if (all > 0)
        snprintf(out, room, "%.0f %%", 100 * (double)part / (double)all);
    return out;
}

static int64_t mean_of(int64_t sum, int64_t n) /* to the nearest */
{
    int64_t rest = sum % n;

    return sum / n + (rest > 0 ? rest >= n - rest : -(-rest >= n + rest));
}

static void print_group(const char *name, const struct group *group, const struct group *all, int digits)
{
    char customers[32], sum[32], mean[32], people_share[32], money_share[32];
    double n = (double)group->customers;

    printf("%-20s %9s %6s %16s %6s", name, count(group->customers, customers, sizeof customers),
           percent(group->customers, all->customers, people_share, sizeof people_share),
           money(group->monetary, digits, sum, sizeof sum),
           percent(group->monetary, all->monetary, money_share, sizeof money_share));
    if (group->customers > 0)
        printf(" %6.0f %7.1f %11s", group->days / n, (double)group->orders / n,
               money(mean_of(group->monetary, group->customers), digits, mean, sizeof mean));
    putchar('\n');
}

static lapse_status print_segments(lapse_view *view, int digits, lapse_error *error)
{
    char day[40];
    struct group all = { 0 };
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_status status = lapse_view_segments(view, NULL, &result, error);

    if (status == LAPSE_OK)
        status = lapse_result_collect(result, &table, error);
    if (status == LAPSE_OK) {
        /* Whom the segments leave out: customers without a valid order, or who objected. */
        for (int32_t i = 0; i < lapse_result_notes(result); i++)
            printf("%s\n", lapse_result_note(result, i));
        printf("\nSegments on %s\n----------------------\n", date(lapse_view_as_of(view), day, sizeof day));
        printf("%-20s %9s %6s %16s %6s %26s\n", "", "", "", "", "", "mean of a customer");
        printf("%-20s %9s %6s %16s %6s %6s %7s %11s\n", "segment", "customers", "of all", "money", "of all",
               "silent", "orders", "money");
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t row = 0; row < lapse_table_rows(table); row++) {
                char name[64];
                struct group one = { whole(column(table, "customers"), row),
                                     whole(column(table, "orders"), row), whole(column(table, "monetary"), row),
                                     0 };

                if (has(column(table, "mean_recency_days"), row))
                    one.days = ratio(column(table, "mean_recency_days"), row) * (double)one.customers;
                if (pass == 0) {
                    all.customers += one.customers;
                    all.orders += one.orders;
                    all.monetary += one.monetary;
                    all.days += one.days;
                } else {
                    print_group(text(column(table, "segment"), row, name, sizeof name), &one, &all, digits);
                }
            }
        }
        print_group("all", &all, &all, digits);
        puts("\nsilent: days since the last order. money: orders less refunds and cancellations.");
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
    int shown = 0;
    int64_t customers = 0;
    lapse_result *result = NULL;
    lapse_table *part = NULL;
    lapse_status status = lapse_view_rfm(view, NULL, &result, error);

    while (status == LAPSE_OK && (status = lapse_result_next(result, &part, error)) == LAPSE_OK) {
        for (int64_t row = 0; row < lapse_table_rows(part); row++) {
            struct slipping one;

            text(column(part, "segment"), row, one.segment, sizeof one.segment);
            if (!slips_away(one.segment))
                continue;
            text(column(part, "customer"), row, one.customer, sizeof one.customer);
            one.last_order = whole(column(part, "last_order"), row);
            one.days = whole(column(part, "recency_days"), row);
            one.orders = whole(column(part, "frequency"), row);
            one.monetary = whole(column(part, "monetary"), row);
            keep(top, &shown, &one);
            customers++;
        }
        lapse_table_release(part);
    }
    if (status == LAPSE_DONE) {
        char number[40];

        status = LAPSE_OK;
        puts("\nSlipping away\n-------------");
        puts("Customers who used to buy often and have been silent for long: the segments \"at risk\" and\n"
             "\"can't lose\". They are among the three fifths with most orders, and among the two fifths\n"
             "whose last order is longest ago.");
        printf("Of these there are %s%s\n", count(customers, number, sizeof number),
               customers > TOP ? "; the ten most valuable:" : ".");
        if (shown > 0)
            printf("\n%-24s %-12s %-10s %7s %7s %16s\n", "customer", "segment", "last order", "silent",
                   "orders", "money");
        for (int i = 0; i < shown; i++) {
            char sum[40], day[40], days[40], orders[40];

            printf("%-24s %-12s %-10s %7s %7s %16s\n", top[i].customer, top[i].segment,
                   date(top[i].last_order, day, sizeof day), count(top[i].days, days, sizeof days),
                   count(top[i].orders, orders, sizeof orders),
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
