/* The usual forms of numbers and times, read without a call and without loops whose length must be guessed: for readers
 * of many rows. What is accepted here has the same value in number.c and time.c, which know all forms and all rules;
 * what is not goes there. Also the digits that number.c, time.c and time_reader.c read alike. */
#ifndef LAPSE_LIB_BASE_QUICK_H
#define LAPSE_LIB_BASE_QUICK_H

#include "base/base.h"

/* The value of a digit, or something above 9. */
static inline unsigned lapse_digit(char c)
{
    return (unsigned)(unsigned char)c - '0';
}

/* Two digits, or something above 99. */
static inline int lapse_pair(const char *p)
{
    unsigned a = lapse_digit(p[0]), b = lapse_digit(p[1]);
    return ((a > 9) | (b > 9)) ? 1000 : (int)(a * 10 + b);
}

/* Up to six digits as millionths; moves *at past them. False: none, or a seventh. In time.c. */
bool lapse_fraction_read(const char *text, size_t n, size_t *at, int32_t *micro);

/* In range, and not the mark of a missing time (rulings T1). */
static inline bool lapse_time_fits(int64_t time)
{
    return time >= LAPSE_TIME_MIN && time <= LAPSE_TIME_MAX && time != 0;
}

/* Texts as words: where digits stand, and what stands between them. ROOM is what a byte lacks to have its high bit
 * set when it is no digit, or not what must stand between. */
#define LAPSE_FORM_DATE       UINT64_C(0x2D30302D30303030) /* 0000-00- */
#define LAPSE_FORM_DATE_ROOM  UINT64_C(0x7F76767F76767676)
#define LAPSE_FORM_CLOCK      UINT64_C(0x30303A30303A3030) /* 00:00:00 */
#define LAPSE_FORM_CLOCK_ROOM UINT64_C(0x76767F76767F7676)
#define LAPSE_CLOCK_ROOM      UINT64_C(0x0044000044000068) /* what 60, 60 and 24 lack, as bytes of `tens` below */

/* The digits of a text of this form; byte i of *tens is 10 times digit i plus the next one. A high bit of the result is
 * set if it is of another. */
static inline uint64_t lapse_form_read(uint64_t text, uint64_t form, uint64_t room, uint64_t *tens)
{
    uint64_t v = text ^ form;
    *tens = v * 10 + (v >> 8);
    return (v + room) | v;
}

/* hh:mm:ss as microseconds. */
static inline bool lapse_clock_read(uint64_t text, int64_t *out)
{
    uint64_t tens;
    uint64_t odd = lapse_form_read(text, LAPSE_FORM_CLOCK, LAPSE_FORM_CLOCK_ROOM, &tens);
    unsigned hour = tens & 0xFF, minute = tens >> 24 & 0xFF, second = tens >> 48 & 0xFF;
    *out = (int64_t)(hour * 3600 + minute * 60 + second) * LAPSE_SECOND;
    return ((odd | (tens + LAPSE_CLOCK_ROOM)) & LAPSE_HIGHS) == 0;
}

/* digits[.digits] of at most eight bytes. In a word the last byte is the text's, and below the first one are zeros. */
static inline bool lapse_decimal_quick(const char *text, size_t n, uint64_t *mantissa, unsigned *scale)
{
    const uint64_t zeros = LAPSE_ONES * '0', point = '.' ^ '0';
    const unsigned below = (unsigned)(8 - n) * 8;
    uint64_t v;
    if (n - 4 <= 4)
        v = (uint64_t)lapse_load4(text + n - 4) << 32 | (uint64_t)lapse_load4(text) << below;
    else if (n - 1 < 3)
        v = ((unsigned char)text[0] | (uint64_t)(unsigned char)text[n / 2] << n / 2 * 8 |
             (uint64_t)(unsigned char)text[n - 1] << (n - 1) * 8) << below;
    else
        return false;
    v ^= zeros << below;
    uint64_t odd = ((v + LAPSE_ONES * 118) | v) & LAPSE_HIGHS; /* bytes above 9 */
    *scale = 0;
    if (odd) {
        unsigned at = lapse_lowest_bit(odd) - 7;
        *scale = (56 - at) / 8;
        if ((v >> at & 0xFF) != point || (odd & (odd - 1)) || *scale - 1 >= (unsigned)n - 2)
            return false;
        v = (v & -(odd << 1)) | (v & ((odd >> 7) - 1)) << 8; /* what is before the point moves up to it */
    }
    v = (v * (10 << 8 | 1) >> 8) & UINT64_C(0x00FF00FF00FF00FF);
    v = (v * (UINT64_C(100) << 16 | 1) >> 16) & UINT64_C(0x0000FFFF0000FFFF);
    *mantissa = v * (UINT64_C(10000) << 32 | 1) >> 32;
    return true;
}

extern const uint64_t lapse_power10[20];

/* lapse_money_parse() for most texts that are in order. */
static inline bool lapse_money_quick(const char *text, size_t n, int digits, int64_t *out)
{
    uint64_t mantissa;
    unsigned scale;
    if (!lapse_decimal_quick(text, n, &mantissa, &scale) || (unsigned)digits - scale > 10)
        return false;
    *out = (int64_t)(mantissa * lapse_power10[(unsigned)digits - scale]); /* 10^8 * 10^10 at most */
    return true;
}

/* lapse_time_reader_parse() for the day of the time before, alone or with hh:mm:ss. */
static inline bool lapse_time_quick(const struct lapse_time_reader *r, const char *text, size_t n, int64_t *out)
{
    int64_t clock = 0;
    if (n == 19) {
        if ((text[10] != 'T' && text[10] != ' ') || !lapse_clock_read(lapse_load8(text + 11), &clock))
            return false;
    } else if (n != 10) {
        return false;
    }
    *out = r->start + clock;
    return lapse_load8(text) == r->month && lapse_load2(text + 8) == r->day && r->plain;
}

#endif
