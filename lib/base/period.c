/* Periods of the calendar: days, weeks of ISO 8601, months, quarters and years, numbered without gaps. */
#include "base/base.h"

const struct lapse_period_unit lapse_period_units[] = {
    [LAPSE_EVERY_NONE] = { 0, 0 },  [LAPSE_EVERY_DAY] = { 1, 0 },     [LAPSE_EVERY_WEEK] = { 7, 0 },
    [LAPSE_EVERY_MONTH] = { 0, 1 }, [LAPSE_EVERY_QUARTER] = { 0, 3 }, [LAPSE_EVERY_YEAR] = { 0, 12 },
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Weeks begin on Monday, and 1970-01-01 was a Thursday. */
int64_t lapse_period_of_day(int64_t day, int32_t every)
{
    int64_t year;
    int month, of_month;
    if (!lapse_period_units[every].months)
        return every == LAPSE_EVERY_WEEK ? floor_div(day + 3, 7) : day;
    lapse_civil_from_days(day, &year, &month, &of_month);
    return floor_div(year * 12 + month - 1, lapse_period_units[every].months);
}

int64_t lapse_period_day(int64_t period, int32_t every)
{
    if (!lapse_period_units[every].months)
        return every == LAPSE_EVERY_WEEK ? period * 7 - 3 : period;
    int64_t months = period * lapse_period_units[every].months, year = floor_div(months, 12);
    return lapse_days_from_civil(year, (int)(months - year * 12) + 1, 1);
}

static size_t put_digits(int64_t value, int width, char *out)
{
    for (int i = width; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return (size_t)width;
}

/* A year has four digits: no event is before 1900 or after 2999 (T1). */
size_t lapse_period_label(int64_t period, int32_t every, char out[LAPSE_LABEL_ROOM])
{
    int64_t year, day = lapse_period_day(period, every), of_week = day + 3;
    int month, of_month;
    size_t n;
    lapse_civil_from_days(every == LAPSE_EVERY_WEEK ? of_week : day, &year, &month, &of_month);
    n = put_digits(year, 4, out);
    if (every == LAPSE_EVERY_YEAR)
        return n;
    out[n++] = '-';
    if (every == LAPSE_EVERY_WEEK) { /* ISO 8601: a week is of the year that has its Thursday */
        out[n++] = 'W';
        return n + put_digits((of_week - lapse_days_from_civil(year, 1, 1)) / 7 + 1, 2, out + n);
    }
    if (every == LAPSE_EVERY_QUARTER) {
        out[n++] = 'Q';
        return n + put_digits((month + 2) / 3, 1, out + n);
    }
    n += put_digits(month, 2, out + n);
    if (every == LAPSE_EVERY_MONTH)
        return n;
    out[n++] = '-';
    return n + put_digits(of_month, 2, out + n);
}
