/* UTF-8 and order of texts. A text here is bytes with a length; nothing reads past it, and NULL is allowed
 * where the length is 0. */
#include "base/base.h"

/* True when all eight bytes are from 0x01 to 0x7F. */
static bool plain(uint64_t w)
{
    return ((w | (w - LAPSE_ONES)) & LAPSE_HIGHS) == 0;
}

size_t lapse_utf8_char(const char *text, size_t n)
{
    /* Least value of a second byte after the lead bytes E0 and F0, greatest after ED and F4: these exclude
     * overlong forms, surrogates, and what is above U+10FFFF. */
    const unsigned char *p = (const unsigned char *)text;
    unsigned lead, low = 0x80, high = 0xBF;
    size_t size;

    if (n == 0 || p[0] == 0)
        return 0;
    lead = p[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n < size)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool lapse_utf8_valid(const char *text, size_t n)
{
    size_t i = 0;

    /* Plain ASCII, eight bytes at a time, the last ones overlapping. */
    if (n >= 8) {
        while (n - i >= 8 && plain(lapse_load8(text + i)))
            i += 8;
        if (n - i < 8 && plain(lapse_load8(text + n - 8)))
            return true;
    } else if (n >= 4) {
        if (plain((uint64_t)lapse_load4(text) << 32 | lapse_load4(text + n - 4)))
            return true;
    }
    while (i < n) {
        size_t step;

        if (n - i >= 8 && plain(lapse_load8(text + i))) {
            i += 8;
            continue;
        }
        step = lapse_utf8_char(text + i, n - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

int lapse_text_compare(const char *a, size_t na, const char *b, size_t nb)
{
    size_t n = na < nb ? na : nb;
    int c = n ? memcmp(a, b, n) : 0;

    return c ? c : (na > nb) - (na < nb);
}
