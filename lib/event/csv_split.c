/* Text to records: where a record ends, and where its fields are. All find ends in the same way: a quote opens
 * only as the first byte of a field, and after any fault the rest of that field counts as unquoted. What is usual has a
 * short way (plain records, regular quotes), which gives up where the long one has more to say. */
#include "event/csv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK  64
#define SEVENS UINT64_C(0x7F7F7F7F7F7F7F7F)

/* The high bit of each byte of `w` that equals the byte repeated in `pattern`. */
static uint64_t equal8(uint64_t w, uint64_t pattern)
{
    w ^= pattern;
    return ~(((w & SEVENS) + SEVENS) | w | SEVENS);
}

#ifdef __SSE2__
static inline unsigned sum_bytes(__m128i v)
{
    v = _mm_sad_epu8(v, _mm_setzero_si128());
    return (unsigned)_mm_cvtsi128_si32(v) + (unsigned)_mm_extract_epi16(v, 4);
}
#endif

int64_t lapse_csv_lines(const char *text, size_t n)
{
    int64_t lines = 0;
    size_t i = 0;
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n');
    while (n - i >= BLOCK) { /* counts of up to 252 in each byte, then their sum */
        const size_t blocks = (n - i) / BLOCK;
        const char *const end = text + i + BLOCK * (blocks < 63 ? blocks : 63);
        __m128i count = _mm_setzero_si128();
        for (const char *p = text + i; p < end; p += BLOCK)
            for (int k = 0; k < BLOCK; k += 16)
                count = _mm_sub_epi8(count,
                                 _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + k)), lf));
        lines += sum_bytes(count);
        i = (size_t)(end - text);
    }
#endif
    for (; n - i >= 8; i += 8)
        lines += (int64_t)(((equal8(lapse_load8(text + i), LAPSE_ONES * '\n') >> 7) * LAPSE_ONES) >> 56);
    for (; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* The bytes of a block that equal `c`, as bits. */
static inline uint64_t find_byte(const char *p, char c)
{
    uint64_t found = 0;
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi8(c);
    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        found |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, wanted)) << (16 * i);
    }
#else
    for (int i = 0; i < 8; i++) {
        uint64_t m = equal8(lapse_load8(p + 8 * i), LAPSE_ONES * (unsigned char)c);
        found |= ((m >> 7) * UINT64_C(0x0102040810204080)) >> 56 << (8 * i);
    }
#endif
    return found;
}

#ifdef __SSE2__
static inline uint64_t find_marks(const char *p, char delimiter, unsigned *count, bool *dirty)
{
    const __m128i separator = _mm_set1_epi8(delimiter), quote = _mm_set1_epi8('"');
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
    __m128i least = _mm_set1_epi8(-1), most = zero; /* of unsigned bytes; `most` has at least the high bit right */
    __m128i sum = zero;
    uint64_t marks = 0;
    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i m = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, separator), _mm_cmpeq_epi8(x, quote)),
                                 _mm_or_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(x, cr)));
        marks |= (uint64_t)(unsigned)_mm_movemask_epi8(m) << (16 * i);
        sum = _mm_sub_epi8(sum, m);
        least = _mm_min_epu8(least, x);
        most = _mm_or_si128(most, x);
    }
    *count = sum_bytes(sum);
    *dirty = _mm_movemask_epi8(_mm_or_si128(most, _mm_cmpeq_epi8(least, zero))) != 0;
    return marks;
}
#else
static inline uint64_t find_marks(const char *p, char delimiter, unsigned *count, bool *dirty)
{
    uint64_t separator = LAPSE_ONES * (unsigned char)delimiter, odd = 0, marks = 0, sum = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t w = lapse_load8(p + 8 * i);
        uint64_t m =
            equal8(w, separator) | equal8(w, LAPSE_ONES * '"') | equal8(w, LAPSE_ONES * '\n') | equal8(w, LAPSE_ONES * '\r');
        marks |= ((m >> 7) * UINT64_C(0x0102040810204080)) >> 56 << (8 * i);
        sum += m >> 7;
        odd |= w | equal8(w, 0);
    }
    *count = (unsigned)(sum * LAPSE_ONES >> 56);
    *dirty = (odd & LAPSE_HIGHS) != 0;
    return marks;
}
#endif

/* The places of `count` bits that are set among `size`; returns behind the last. Four at a time: how many there are is
 * guessed less often. */
static inline const char **put_marks(const char **out, uint64_t bits, unsigned count, const char *text, size_t size)
{
    const uint64_t some = UINT64_C(1) << (size - 1); /* where there are no more */
    for (const char **p = out, **const end = out + count; p < end; p += 4)
        for (int k = 0; k < 4; k++) {
            bits |= some;
            p[k] = text + lapse_lowest_bit(bits);
            bits &= bits - 1;
        }
    return out + count;
}

/* Looks ahead, until marks are many or the text ends. Those left are kept. */
static void find_more(struct lapse_csv_scan *s)
{
    const size_t left = s->count - s->next;
    const char **out = s->marks + left, **const most = s->marks + LAPSE_CSV_MARKS;
    const char *const end = s->end, *done = s->done, *dirty_end = s->dirty;
    const char delimiter = s->delimiter;
    unsigned count;
    bool dirty;
    memmove(s->marks, s->marks + s->next, left * sizeof *s->marks);
    while (out < most && end - done >= BLOCK) {
        uint64_t bits = find_marks(done, delimiter, &count, &dirty);
        out = put_marks(out, bits, count, done, BLOCK);
        done += BLOCK;
        dirty_end = dirty ? done : dirty_end;
    }
    if (out < most && end - done < BLOCK && done < end) {
        char last[BLOCK];
        memset(last, delimiter == ' ' ? '_' : ' ', sizeof last); /* no marks */
        memcpy(last, done, (size_t)(end - done));
        uint64_t bits = find_marks(last, delimiter, &count, &dirty);
        out = put_marks(out, bits, count, done, (size_t)(end - done));
        done = end;
        dirty_end = dirty ? done : dirty_end;
    }
    s->done = done;
    s->dirty = dirty_end;
    s->next = 0;
    s->count = (size_t)(out - s->marks);
}

/* The next mark, NULL: there is none. */
static inline const char *next_mark(struct lapse_csv_scan *s)
{
    while (s->next == s->count) {
        if (s->done == s->end)
            return NULL;
        find_more(s);
    }
    return s->marks[s->next++];
}

void lapse_csv_scan_init(struct lapse_csv_scan *s, char delimiter, const char *text, size_t n, int64_t line)
{
    s->at = s->done = s->dirty = text;
    s->end = text + n;
    s->next = s->count = 0;
    s->line = line;
    s->delimiter = delimiter;
}

static void set_fault(struct lapse_csv_record *record, enum lapse_csv_syntax fault)
{
    if (record->fault == LAPSE_CSV_GOOD) {
        record->fault = (uint8_t)fault;
        record->fault_field = record->fields;
    }
}

/* A field that is being read: its begin, and its closing quote once that was seen. */
struct field {
    const char *begin, *close;
    bool escaped;
};

/* What stands in quotes, from the mark after the opening one on. False: they are never closed. */
static bool read_quoted(struct lapse_csv_scan *s, struct lapse_csv_record *record, struct field *field)
{
    const char *p;
    while ((p = next_mark(s)) != NULL) {
        if (*p == '\n') {
            s->line++;
        } else if (*p == '"') {
            if (p + 1 == s->end || p[1] != '"') {
                field->close = p;
                return true;
            }
            next_mark(s);
            field->escaped = true;
        }
    }
    record->fault = LAPSE_CSV_UNCLOSED; /* before any other: it cannot be skipped */
    record->fault_field = record->fields;
    return false;
}

/* A mark that does not end a field. False: the text ends in quotes. */
static bool read_odd(struct lapse_csv_scan *s, const char *p, struct lapse_csv_record *record,
                     struct field *field)
{
    if (*p == '\r') {
        if (p + 1 == s->end || p[1] != '\n')
            set_fault(record, LAPSE_CSV_CR);
    } else if (p == field->begin) {
        return read_quoted(s, record, field);
    } else {
        set_fault(record, field->close ? LAPSE_CSV_AFTER : LAPSE_CSV_QUOTE);
    }
    return true;
}

/* A field that began with a quote and ends at `end`. */
static struct lapse_csv_piece quoted_piece(const struct field *field, const char *end,
                                           struct lapse_csv_record *record)
{
    if (field->close + 1 != end)
        set_fault(record, LAPSE_CSV_AFTER);
    if (record->fault != LAPSE_CSV_GOOD && record->fault_field == record->fields)
        return (struct lapse_csv_piece){ field->begin, (uint32_t)(end - field->begin), false };
    record->escaped |= field->escaped;
    return (struct lapse_csv_piece){ field->begin + 1, (uint32_t)(field->close - field->begin - 1),
                                     field->escaped };
}

bool lapse_csv_scan_record(struct lapse_csv_scan *s, struct lapse_csv_piece *pieces, size_t room,
                           struct lapse_csv_record *out)
{
    struct field field = { s->at, NULL, false };
    const char *end = NULL, *next = NULL;

    if (s->at == s->end)
        return false;
    *out = (struct lapse_csv_record){ .line = s->line++ };
    for (bool last = false; !last;) {
        const char *p = next_mark(s);
        end = p;
        if (!p) {
            p = end = s->end;
            last = true;
        } else if (*p == '\n') {
            last = true;
            if (end > field.begin && end[-1] == '\r')
                end--;
        } else if (*p != s->delimiter) {
            if (read_odd(s, p, out, &field))
                continue;
            p = end = s->end;
            last = true;
        }
        struct lapse_csv_piece piece = { field.begin, (uint32_t)(end - field.begin), false };
        if (field.close)
            piece = quoted_piece(&field, end, out);
        if (out->fields < room)
            pieces[out->fields] = piece;
        out->fields++;
        next = p + (p < s->end);
        field = (struct field){ next, NULL, false };
    }
    out->raw = (struct lapse_text){ s->at, (uint32_t)(end - s->at) };
    s->at = next;
    return true;
}

static inline void set_piece(struct lapse_csv_piece *piece, const char *begin, const char *end)
{
    piece->data = begin;
    piece->size = (uint32_t)(end - begin);
}

/* Plain records as far as there are marks. Most have no quotes: their fields but the last one end in delimiters. */
static size_t scan_marked(struct lapse_csv_scan *s, struct lapse_csv_piece *piece, size_t columns,
                          struct lapse_csv_place *places, size_t room)
{
    const char delimiter = s->delimiter, *at = s->at;
    const char *const *mark = s->marks + s->next, *const *const end = s->marks + s->count;
    struct lapse_csv_place *place = places, *const full = places + room;
    int64_t line = s->line;
    while (place < full && (size_t)(end - mark) >= columns) {
        const struct lapse_csv_piece *const last = piece + columns - 1;
        const char *const *next = mark, *field = at, *p = *next++;
        for (; piece < last && *p == delimiter; field = p + 1, p = *next++)
            set_piece(piece++, field, p);
        for (;; field = p + 1, p = *next++) {
            set_piece(piece, field, p);
            if (*p == '"' && p == field) {
                if (end - next < 2 + (last - piece) || **next != '"' || next[1] != next[0] + 1)
                    goto done;
                p = next[1];
                set_piece(piece, field + 1, p - 1);
                next += 2;
            }
            if (piece++ == last)
                break;
            if (*p != delimiter)
                goto done;
        }
        if (*p == '\r' && p > at && next < end && p[1] == '\n') {
            p++;
            next++;
        }
        if (*p != '\n' || p == at)
            break;
        *place++ = (struct lapse_csv_place){ at, line++ };
        at = p + 1;
        mark = next;
    }
done:
    s->next = (size_t)(mark - s->marks);
    s->at = at;
    s->line = line;
    return (size_t)(place - places);
}

size_t lapse_csv_scan_plain(struct lapse_csv_scan *s, struct lapse_csv_piece *pieces, size_t columns,
                            struct lapse_csv_place *places, size_t room)
{
    const size_t most = 3 * columns + 1; /* marks of a record: two quotes a field, and a CR */
    size_t n = 0, some;
    do {
        if (s->count - s->next < most && s->done < s->end)
            find_more(s);
        some = scan_marked(s, pieces + n * columns, columns, places + n, room - n);
        n += some;
    } while (some > 0 && n < room && s->count - s->next < most && s->done < s->end);
    return n;
}

const char *lapse_csv_syntax_rule(enum lapse_csv_syntax fault)
{
    static const char *const rules[] = {
        [LAPSE_CSV_GOOD] = "",
        [LAPSE_CSV_QUOTE] = "a quote stands inside a field that does not begin with one",
        [LAPSE_CSV_AFTER] = "text stands after a closing quote",
        [LAPSE_CSV_CR] = "a carriage return stands outside quotes and not before a line feed",
        [LAPSE_CSV_UNCLOSED] = "a quote is never closed",
    };
    return rules[fault];
}

char *lapse_csv_unescape(struct lapse_csv_piece *piece, char *out)
{
    const char *p = piece->data, *end = p + piece->size;
    char *begin = out;
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        size_t n = quote ? (size_t)(quote - p) + 1 : (size_t)(end - p);
        memcpy(out, p, n);
        out += n;
        p += n + (quote != NULL);
    }
    *piece = (struct lapse_csv_piece){ begin, (uint32_t)(out - begin), false };
    return out;
}

/* The end of the last LF in [begin, end), NULL: none. */
static const char *after_last_lf(const char *begin, const char *end)
{
    while (end > begin && end[-1] != '\n')
        end--;
    return end > begin ? end : NULL;
}

/* Bit i is the parity of bits 0 to i. */
static uint64_t parity_up_to(uint64_t v)
{
    for (int i = 1; i < 64; i *= 2)
        v ^= v << i;
    return v;
}

/* Ends of records where each quote opens a field, is one of two, or closes one: then a byte is in quotes if the quotes
 * before it are odd. False: some quote is none of these, and must be looked at in its order. */
static bool split_regular(char delimiter, const char *text, size_t n, size_t *whole, bool *unclosed)
{
    uint64_t quoted = 0, may_open = 1, ends = 0; /* all ones in quotes; bit 0: a quote may stand next */
    size_t at = 0, ends_at = 0;
    for (; at < n; at += BLOCK) {
        char last[BLOCK];
        const char *block = text + at;
        if (n - at < BLOCK) {
            memset(last, ' ', sizeof last);
            block = memcpy(last, block, n - at);
        }
        uint64_t quotes = find_byte(block, '"'), lf = find_byte(block, '\n');
        uint64_t in = parity_up_to(quotes) ^ quoted; /* a quote that opens is in, one that closes is not */
        uint64_t out = (find_byte(block, delimiter) | lf | quotes) & ~in;
        if (quotes & in & ~(out << 1 | may_open))
            return false;
        if (lf & ~in) {
            ends = lf & ~in;
            ends_at = at;
        }
        may_open = out >> 63;
        quoted = in >> 63 ? UINT64_MAX : 0;
    }
    for (*whole = ends_at; ends; ends >>= 1)
        ++*whole;
    *unclosed = quoted != 0;
    return true;
}

size_t lapse_csv_split(int delimiter, const char *text, size_t n, bool last, bool *unclosed)
{
    const char *end = text + n, *whole = text, *p = text;
    size_t regular;
    if (n > 0 && memchr(text, '"', n) && split_regular((char)delimiter, text, n, &regular, unclosed))
        return last && !*unclosed ? n : regular;
    *unclosed = false;
    while (p < end) {
        /* p is outside quotes: at the begin of the text or just after a quote */
        const char *quote = memchr(p, '"', (size_t)(end - p));
        const char *lf = after_last_lf(p, quote ? quote : end);
        if (lf)
            whole = lf;
        if (!quote)
            break;
        p = quote + 1;
        if (quote != text && quote[-1] != '\n' && (unsigned char)quote[-1] != (unsigned char)delimiter)
            continue;
        for (;;) { /* to the quote that closes it */
            quote = memchr(p, '"', (size_t)(end - p));
            if (!quote) {
                *unclosed = true;
                return (size_t)(whole - text);
            }
            p = quote + 1;
            if (p == end || *p != '"')
                break;
            p++;
        }
    }
    return last ? n : (size_t)(whole - text);
}
