/* Draws a file of mixed events: make_events ROWS CUSTOMERS > events.csv
 *
 * Columns customer,time,kind,channel,purpose,ref,reason,amount,platform,endpoint; 1,000 days from 2022-01-01 on, in the
 * order of time. About half are visits, an eighth orders, a quarter messages; the rest are consents, endpoints,
 * registrations. Customers are drawn evenly. The same arguments give the same bytes on every machine. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define START   INT64_C(1640995200) /* 2022-01-01 */
#define SECONDS INT64_C(86400000)

static uint64_t state;

static uint64_t draw(void) /* splitmix64: Steele, Lea and Flood 2014 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t below(uint64_t n)
{
    return (uint32_t)((draw() >> 32) * n >> 32);
}

/* What comes after the customer and the time. A `%u` is a number below `spread`. */
static const struct {
    uint32_t share, spread;
    const char *rest;
} kinds[] = {
    { 18, 0, "session.started,,,,,,web," },
    { 17, 0, "session.started,,,,,,app," },
    { 15, 0, "product.viewed,,,,,,," },
    { 12, 200, "order.placed,,,,,%u.90,," },
    { 1, 1000000, "order.refunded,,,o%u,,5.00,," },
    { 15, 0, "message.sent,email,,,,,," },
    { 5, 0, "message.delivered,email,,,,,," },
    { 3, 0, "message.clicked,email,,,,,," },
    { 1, 0, "message.bounced,email,,,soft,,," },
    { 1, 0, "message.bounced,email,,,5.1.1,,," },
    { 3, 0, "consent.granted,email,marketing,,form,,," },
    { 1, 1000, "consent.requested,sms,marketing,t%u,,,," },
    { 1, 1000, "consent.confirmed,sms,marketing,t%u,,,," },
    { 1, 0, "consent.withdrawn,email,marketing,,,,," },
    { 3, 4000000, "endpoint.added,email,,,,,,a%u@example.org" },
    { 2, 0, "customer.registered,,,,,,," },
    { 1, 0, "consent.declined,push,marketing,,,,," },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

int main(int count, char **words)
{
    uint64_t rows = count == 3 ? strtoull(words[1], NULL, 10) : 0;
    uint64_t customers = count == 3 ? strtoull(words[2], NULL, 10) : 0;
    uint8_t of_hundred[100];
    uint32_t filled = 0;

    if (rows < 1 || rows > 1000000000 || customers < 1 || customers > 10000000) {
        fputs("usage: make_events ROWS CUSTOMERS (at most 1000000000 and 10000000)\n", stderr);
        return 2;
    }
    for (uint8_t k = 0; k < KINDS; k++)
        for (uint32_t i = 0; i < kinds[k].share; i++)
            of_hundred[filled++] = k;
    puts("customer,time,kind,channel,purpose,ref,reason,amount,platform,endpoint");
    for (uint64_t i = 0; i < rows; i++) {
        int64_t second = (int64_t)((i * SECONDS + below(SECONDS)) / rows);
        uint8_t k = of_hundred[below(filled)];

        printf("C%07" PRIu32 ",@%" PRId64 ",", below(customers), START + second);
        printf(kinds[k].rest, below(kinds[k].spread));
        putchar('\n');
    }
    return fflush(stdout) != 0 || ferror(stdout);
}
