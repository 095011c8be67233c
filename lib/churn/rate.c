/* Rates as pure functions on numbers: a quotient that may be undefined, rates over other periods, the interval of a
 * rate. Nothing here knows a customer. */
#include <math.h>

#include "churn/churn.h"

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_rate, value) + sizeof(double))

lapse_status lapse_rate_of(int64_t numerator, int64_t denominator, lapse_rate *out, lapse_error *error)
{
    if (!out || out->size < OLDEST)
        return lapse_fail(error, LAPSE_INVALID, "lapse_rate: out is NULL or its size is not set");
    if (denominator < 0)
        return lapse_fail(error, LAPSE_INVALID, "the denominator of a rate is %lld, below 0",
                          (long long)denominator);
    out->defined = denominator > 0;
    out->numerator = numerator;
    out->denominator = denominator;
    out->value = denominator > 0 ? lapse_int128_ratio(numerator, denominator) : (double)NAN;
    return LAPSE_OK;
}

/* Comparisons are written so that a NaN fails them. */
static lapse_status check(double rate, double length, double other, const void *out, lapse_error *error)
{
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (!(rate >= 0 && rate <= 1))
        return lapse_fail(error, LAPSE_INVALID, "the rate is not a number from 0 to 1");
    if (!(length > 0 && other > 0) || isinf(length) || isinf(other))
        return lapse_fail(error, LAPSE_INVALID, "the length of a period is not a finite number above 0");
    return LAPSE_OK;
}

lapse_status lapse_rate_convert(double rate, double length, double other, double *out, lapse_error *error)
{
    lapse_status status = check(rate, length, other, out, error);
    if (status == LAPSE_OK) /* of rates near 0 no digit is lost */
        *out = rate == 0 || rate == 1 ? rate : -expm1(log1p(-rate) * (other / length));
    return status;
}

lapse_status lapse_rate_hazard(double rate, double length, double *out, lapse_error *error)
{
    lapse_status status = check(rate, length, length, out, error);
    if (status == LAPSE_OK)
        *out = rate < 1 ? -log1p(-rate) / length + 0.0
                        : (double)INFINITY; /* + 0.0: a rate of 0 has no hazard of -0 */
    return status;
}

lapse_status lapse_rate_life(double rate, double length, double *out, lapse_error *error)
{
    lapse_status status = check(rate, length, length, out, error);
    if (status == LAPSE_OK && rate == 0)
        status = lapse_fail(error, LAPSE_INVALID, "at a rate of 0 nobody is ever lost: there is no mean life");
    if (status == LAPSE_OK)
        *out = length / rate;
    return status;
}

lapse_status lapse_rate_interval(int64_t numerator, int64_t denominator, double z, double *lower, double *upper,
                                 lapse_error *error)
{
    if (!lower || !upper)
        return lapse_fail(error, LAPSE_INVALID, "lower or upper is NULL");
    if (denominator <= 0 || numerator < 0 || numerator > denominator)
        return lapse_fail(error, LAPSE_INVALID, "there is no interval of a rate of %lld in %lld",
                          (long long)numerator, (long long)denominator);
    if (!(z > 0 && z <= 1000))
        return lapse_fail(error, LAPSE_INVALID, "z is not a number above 0 and at most 1000");
    double n = (double)denominator, p = lapse_int128_ratio(numerator, denominator);
    double q = lapse_int128_ratio((lapse_int128)denominator - numerator, denominator);
    double middle = p + z * z / (2 * n), half = z * sqrt(p * q / n + z * z / (4 * n * n)),
           scale = 1 + z * z / n;
    *lower = numerator > 0 ? fmax((middle - half) / scale, 0) : 0;
    *upper = numerator < denominator ? fmin((middle + half) / scale, 1) : 1;
    return LAPSE_OK;
}
