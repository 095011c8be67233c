/* Draws the orders of a shop that never was, as CSV on stdout: the same options give the same bytes.
 *
 * When people buy follows the BG/NBD model with the parameters that its authors found for a CD shop (Fader,
 * Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24 (2005) 275): each customer
 * orders at a rate of her own and may leave for good after any repeat order. What they spend follows the
 * Gamma-Gamma model (Fader and Hardie, The Gamma-Gamma Model of Monetary Value, 2013). Half of the customers
 * come in the first twelve weeks, the others during the rest. About one order in 30 is refunded, one in 100
 * cancelled.
 *
 * Gamma variates: Marsaglia and Tsang, ACM TOMS 26 (2000) 363. Random bits: splitmix64 (Steele, Lea and Flood,
 * OOPSLA 2014), a stream of its own for each customer. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACED, REFUNDED, CANCELLED };
enum { WEEK = 7 * 86400, FIRST_WEEKS = 12 };

struct order {
    int64_t second; /* since the start */
    int64_t number; /* of the order; refunds name it */
    int32_t customer;
    int32_t kind;
    int64_t cents;
};
struct shop {
    struct order *orders;
    size_t count, room;
    int64_t number; /* the last one given */
};

/* ---- random numbers --------------------------------------------------------------------------------- */

static uint64_t bits(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state) /* above 0, below 1 */
{
    return ((double)(bits(state) >> 12) + 0.5) * 0x1p-52;
}

static double exponential(uint64_t *state)
{
    return -log(uniform(state));
}

static double normal(uint64_t *state) /* polar method */
{
    double x, y, s;

    do {
        x = 2 * uniform(state) - 1;
        y = 2 * uniform(state) - 1;
        s = x * x + y * y;
    } while (s >= 1 || s == 0);
    return x * sqrt(-2 * log(s) / s);
}

static double gamma_variate(uint64_t *state, double shape)
{
    double boost = shape < 1 ? pow(uniform(state), 1 / shape) : 1;
    double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3;
    double c = 1 / sqrt(9 * d);

    for (;;) {
        double x = normal(state);
        double v = 1 + c * x;

        v = v * v * v;
        if (v > 0 && log(uniform(state)) < x * x / 2 + d - d * v + d * log(v))
            return boost * d * v;
    }
}

static double beta_variate(uint64_t *state, double a, double b)
{
    double x = gamma_variate(state, a);

    return x / (x + gamma_variate(state, b));
}

/* ---- the shop --------------------------------------------------------------------------------------- */

static bool add(struct shop *shop, const struct order *order)
{
    if (shop->count == shop->room) {
        size_t room = shop->room ? 2 * shop->room : 4096;
        struct order *more = realloc(shop->orders, room * sizeof *more);

        if (!more)
            return false;
        shop->orders = more;
        shop->room = room;
    }
    shop->orders[shop->count++] = *order;
    return true;
}

/* One order, and what may follow from it within the span. */
static bool buy(struct shop *shop, uint64_t *state, int32_t customer, double weeks, double end,
                double spend_rate)
{
    struct order order = { .second = (int64_t)(weeks * WEEK), .number = ++shop->number, .customer = customer };
    double fate = uniform(state);
    double later = weeks + 0.2 + exponential(state); /* in weeks */

    order.cents = (int64_t)ceil(100 * gamma_variate(state, 6.25) / spend_rate);
    if (!add(shop, &order))
        return false;
    if (fate >= 0.043 || later >= end)
        return true;
    order.second = (int64_t)(later * WEEK);
    order.kind = fate < 0.033 ? REFUNDED : CANCELLED;
    if (fate < 0.013) /* some take back a part only */
        order.cents = order.cents / 2 + 1;
    return add(shop, &order);
}

static bool draw_customer(struct shop *shop, uint64_t seed, int32_t customer, double weeks)
{
    uint64_t state = seed ^ ((uint64_t)customer << 32);
    double first = weeks < FIRST_WEEKS ? weeks : FIRST_WEEKS;
    double from = uniform(&state) < 0.5 ? 0 : first;
    double rate, leaves, spend_rate, now;

    now = from + uniform(&state) * ((from > 0 ? weeks : first) - from);
    rate = gamma_variate(&state, 0.243) / 4.414;
    leaves = beta_variate(&state, 0.793, 2.426);
    spend_rate = gamma_variate(&state, 3.74) / 15.44;
    if (!buy(shop, &state, customer, now, weeks, spend_rate))
        return false;
    while (rate > 0 && (now += exponential(&state) / rate) < weeks) {
        if (!buy(shop, &state, customer, now, weeks, spend_rate))
            return false;
        if (uniform(&state) < leaves)
            break;
    }
    return true;
}

/* ---- CSV -------------------------------------------------------------------------------------------- */

static int by_time(const void *left, const void *right)
{
    const struct order *a = left;
    const struct order *b = right;

    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->kind - b->kind;
}

/* Numbers orders in the order of time. What follows an order is later than it, so one pass is enough. */
static bool renumber(struct shop *shop)
{
    int64_t *numbers = calloc((size_t)shop->number + 1, sizeof *numbers);
    int64_t next = 0;

    for (size_t i = 0; numbers && i < shop->count; i++) {
        struct order *order = &shop->orders[i];

        if (order->kind == PLACED)
            numbers[order->number] = ++next;
        order->number = numbers[order->number];
    }
    free(numbers);
    return numbers != NULL;
}

/* The date of a day since 1970-01-01: Hinnant, chrono-compatible low-level date algorithms, 2013. */
static void print_date(int64_t day)
{
    int64_t z = day + 719468;
    int64_t era = z / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;

    printf("%04d-%02d-%02d", (int)(yoe + era * 400 + (month <= 2)), (int)month,
           (int)(doy - (153 * mp + 2) / 5 + 1));
}

static void print_order(const struct order *order)
{
    static const char *const kinds[] = { "order.placed", "order.refunded", "order.cancelled" };
    int64_t day = 18995 + order->second / 86400;               /* from 2022-01-03, a Monday */
    int64_t second = 7 * 3600 + order->second % 86400 * 2 / 3; /* the shop sleeps from 23 to 7 */

    printf("C%07d,", (int)order->customer);
    print_date(day);
    printf("T%02d:%02d:%02d,%s,A%08lld,", (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60),
           kinds[order->kind], (long long)order->number);
    if (order->kind != CANCELLED)
        printf("%lld.%02d", (long long)(order->cents / 100), (int)(order->cents % 100));
    putchar('\n');
}

static bool number(const char *text, long long least, long long most, long long *out)
{
    char *end;

    *out = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *out >= least && *out <= most;
}

int main(int argc, char **argv)
{
    static struct {
        const char *name;
        long long value, least, most;
    } options[] = { { "--customers", 20000, 1, 100000000 },
                    { "--weeks", 104, 1, 5200 },
                    { "--seed", 1, 0, INT64_MAX } };
    bool good = true;
    struct shop shop = { NULL, 0, 0, 0 };
    uint64_t seed;
    int i = 1;

    for (int o = 0; i + 1 < argc && o < 3; o++) {
        if (strcmp(argv[i], options[o].name) == 0 &&
            number(argv[i + 1], options[o].least, options[o].most, &options[o].value)) {
            i += 2;
            o = -1;
        }
    }
    if (i < argc) {
        fputs("usage: draw_shop [--customers N] [--weeks N] [--seed N]\n", stderr);
        return 2;
    }
    seed = (uint64_t)options[2].value;
    seed = bits(&seed);
    for (int32_t customer = 1; good && customer <= options[0].value; customer++)
        good = draw_customer(&shop, seed, customer, (double)options[1].value);
    if (good)
        qsort(shop.orders, shop.count, sizeof *shop.orders, by_time);
    if (!good || !renumber(&shop)) {
        fputs("draw_shop: no memory\n", stderr);
        free(shop.orders);
        return 1;
    }
    puts("customer,time,kind,ref,amount");
    for (size_t o = 0; o < shop.count; o++)
        print_order(&shop.orders[o]);
    free(shop.orders);
    return fflush(stdout) != 0 || ferror(stdout);
}
