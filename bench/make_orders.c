/* Draws an orders file: make_orders ROWS CUSTOMERS > orders.csv
 *
 * Columns customer,time,amount; rows in the order of time, as a shop writes them, over the two years 2023 and
 * 2024. Few customers order much: customer floor(N u^1.5) of a shuffled list, u uniform. Amounts are products
 * of two uniform numbers, with two digits. The same arguments give the same bytes on every machine. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 1 << 20, LONGEST = 64, DAYS = 731, FIRST_YEAR = 2023, AMOUNT_MIN = 100, AMOUNT_SPAN = 30000 };

static uint64_t state;

static uint64_t draw(void) /* splitmix64: Steele, Lea and Flood 2014 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to n - 1, n below 2^32. */
static uint64_t below(uint64_t n)
{
    return (draw() >> 32) * n >> 32;
}

static char *digits(char *at, uint64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

static int width_of(uint64_t value)
{
    int width = 1;

    while (value >= 10) {
        value /= 10;
        width++;
    }
    return width;
}

/* The whole square root, by halving; integers only, so that no machine rounds otherwise. */
static uint64_t root(uint64_t value)
{
    uint64_t low = 0, high = UINT64_C(1) << 32;

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (middle * middle <= value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* N u^1.5 for u = k / 2^16, in a table: a row looks up its step and is placed at random within it. */
static uint64_t steps[(1 << 16) + 1];

static void make_steps(uint64_t customers)
{
    for (uint64_t k = 0; k <= 1 << 16; k++)
        steps[k] = k * root(k << 32) / (1 << 16) * customers >> 24;
}

static uint64_t draw_rank(void)
{
    uint64_t k = draw() >> 48, span = steps[k + 1] - steps[k];

    return steps[k] + (span > 1 ? below(span) : 0);
}

static void make_days(char (*days)[11])
{
    static const uint64_t lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    uint64_t year = FIRST_YEAR, month = 0, day = 0;

    for (int i = 0; i < DAYS; i++) {
        char *at = digits(days[i], year, 4);

        *at++ = '-';
        at = digits(at, month + 1, 2);
        *at++ = '-';
        digits(at, day + 1, 2);
        if (++day == lengths[month] + (month == 1 && year % 4 == 0)) {
            day = 0;
            if (++month == 12) {
                month = 0;
                year++;
            }
        }
    }
}

static uint32_t *make_names(uint64_t customers)
{
    uint32_t *names = malloc((size_t)customers * sizeof *names);

    for (uint64_t i = 0; names && i < customers; i++) {
        uint64_t j = below(i + 1);

        names[i] = names[j];
        names[j] = (uint32_t)i;
    }
    return names;
}

static char *put_row(char *at, uint64_t name, const char *day, uint64_t second, uint64_t cents)
{
    *at++ = 'C';
    at = digits(at, name, 7);
    *at++ = ',';
    memcpy(at, day, 10);
    at += 10;
    *at++ = 'T';
    at = digits(at, second / 3600, 2);
    *at++ = ':';
    at = digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = digits(at, second % 60, 2);
    *at++ = ',';
    at = digits(at, cents / 100, width_of(cents / 100));
    *at++ = '.';
    at = digits(at, cents % 100, 2);
    *at++ = '\n';
    return at;
}

int main(int count, char **words)
{
    static char buffer[BUFFER];
    static char days[DAYS][11];
    uint64_t rows = count == 3 ? strtoull(words[1], NULL, 10) : 0;
    uint64_t customers = count == 3 ? strtoull(words[2], NULL, 10) : 0;
    uint32_t *names;
    char *at = buffer;

    if (rows < 1 || rows > 1000000000 || customers < 1 || customers > 10000000) {
        fputs("usage: make_orders ROWS CUSTOMERS (at most 1000000000 and 10000000)\n", stderr);
        return 2;
    }
    names = make_names(customers);
    if (!names)
        return 1;
    make_steps(customers);
    make_days(days);
    at += sprintf(at, "customer,time,amount\n");
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t name = names[draw_rank()];
        uint64_t second = (i * (DAYS * UINT64_C(86400)) + below(DAYS * UINT64_C(86400))) / rows;
        uint64_t cents = AMOUNT_MIN + (below(AMOUNT_SPAN) * below(AMOUNT_SPAN)) / AMOUNT_SPAN;

        at = put_row(at, name, days[second / 86400], second % 86400, cents);
        if (at > buffer + BUFFER - LONGEST) {
            if (fwrite(buffer, 1, (size_t)(at - buffer), stdout) != (size_t)(at - buffer))
                return 1;
            at = buffer;
        }
    }
    fwrite(buffer, 1, (size_t)(at - buffer), stdout);
    free(names);
    return fflush(stdout) != 0 || ferror(stdout);
}
