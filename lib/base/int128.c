/* The one place of 128-bit arithmetic: exact quotients, their rounding, and quantiles of integers. */
#include "base/base.h"

#include <math.h>

static int bit_length(lapse_uint128 v)
{
    uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
    int bits = high ? 64 : 0;

    for (low = high ? high : low; low; low >>= 1)
        bits++;
    return bits;
}

/* Long division to at least 55 bits, then one rounding, half to even; what is left of the remainder breaks
 * ties. The quotient of two 128-bit integers lies between 2^-127 and 2^127, so no subnormal arises. */
double lapse_int128_ratio(lapse_int128 numerator, lapse_int128 denominator)
{
    const lapse_int128 exact = (lapse_int128)1 << 53;
    bool negative = numerator < 0;
    lapse_uint128 a = negative ? 0 - (lapse_uint128)numerator : (lapse_uint128)numerator;
    lapse_uint128 b = (lapse_uint128)denominator;
    lapse_uint128 quotient, rest, tail, half;
    int power = 0, drop;
    double result;

    if (numerator >= -exact && numerator <= exact && denominator <= exact)
        return (double)numerator / (double)denominator;
    quotient = a / b;
    rest = a % b;
    while (rest && quotient < (lapse_uint128)1 << 54) {
        rest <<= 1; /* rest < b <= 2^127 */
        quotient <<= 1;
        if (rest >= b) {
            rest -= b;
            quotient |= 1;
        }
        power--;
    }
    drop = bit_length(quotient) - 53;
    if (drop > 0) {
        tail = quotient & (((lapse_uint128)1 << drop) - 1);
        half = (lapse_uint128)1 << (drop - 1);
        quotient >>= drop;
        power += drop;
        if (tail > half || (tail == half && (rest || (quotient & 1))))
            quotient++;
    }
    result = ldexp((double)(uint64_t)quotient, power);
    return negative ? -result : result;
}

lapse_int128 lapse_int128_divide_even(lapse_int128 n, lapse_int128 d)
{
    lapse_int128 quotient = n / d, rest = n % d;
    lapse_int128 size = rest < 0 ? -rest : rest;

    if (size > d - size || (size == d - size && (quotient & 1)))
        quotient += n < 0 ? -1 : 1;
    return quotient;
}

int64_t lapse_quantile_rank(int64_t n, int64_t i, int64_t bins)
{
    return (int64_t)((lapse_int128)(n - 1) * i / bins);
}

/* x_k <= x_k+1, so what is added is not negative, and truncation is floor. Sizes: a rest below bins times at most
 * 2^64. */
static lapse_int128 above_rank(int64_t n, int64_t i, int64_t bins, int64_t xk, int64_t xk1)
{
    return (lapse_int128)(n - 1) * i % bins * ((lapse_int128)xk1 - xk);
}

int64_t lapse_quantile_floor(int64_t n, int64_t i, int64_t bins, int64_t xk, int64_t xk1)
{
    return (int64_t)(xk + above_rank(n, i, bins, xk, xk1) / bins);
}

int64_t lapse_quantile_ceil(int64_t n, int64_t i, int64_t bins, int64_t xk, int64_t xk1)
{
    return (int64_t)(xk + (above_rank(n, i, bins, xk, xk1) + bins - 1) / bins);
}
