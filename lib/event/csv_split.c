/* Text to records: where a record ends, and where its fields are. Both find ends in the same way: a quote opens
 * only as the first byte of a field, and after any fault the rest of that field counts as unquoted. */
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

int64_t lapse_csv_lines(const char *text, size_t n)
{
    int64_t lines = 0;
    size_t i = 0;
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n');
    while (n - i >= 16) { /* counts of up to 255 in each byte, then their sum */
        __m128i count = _mm_setzero_si128();
        for (int k = 0; k < 255 && n - i >= 16; k++, i += 16)
            count = _mm_sub_epi8(count,
                                 _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(text + i)), lf));
        count = _mm_sad_epu8(count, _mm_setzero_si128());
        lines += _mm_cvtsi128_si32(count) + _mm_extract_epi16(count, 4);
    }
#endif
    for (; n - i >= 8; i += 8)
        lines += (int64_t)(((equal8(lapse_load8(text + i), LAPSE_ONES * '\n') >> 7) * LAPSE_ONES) >> 56);
    for (; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

#ifdef __SSE2__
static inline uint64_t find_marks(const char *p, char delimiter, bool *dirty)
{
    const __m128i separator = _mm_set1_epi8(delimiter), quote = _mm_set1_epi8('"');
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
    __m128i odd = zero;
    uint64_t marks = 0;
    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i m = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, separator), _mm_cmpeq_epi8(x, quote)),
                                 _mm_or_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(x, cr)));
        marks |= (uint64_t)(unsigned)_mm_movemask_epi8(m) << (16 * i);
        odd = _mm_or_si128(odd, _mm_or_si128(x, _mm_cmpeq_epi8(x, zero)));
    }
    *dirty = _mm_movemask_epi8(odd) != 0;
    return marks;
}
#else
static inline uint64_t find_marks(const char *p, char delimiter, bool *dirty)
{
    uint64_t separator = LAPSE_ONES * (unsigned char)delimiter, odd = 0, marks = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t w = lapse_load8(p + 8 * i);
        uint64_t m =
            equal8(w, separator) | equal8(w, LAPSE_ONES * '"') | equal8(w, LAPSE_ONES * '\n') | equal8(w, LAPSE_ONES * '\r');
        marks |= ((m >> 7) * UINT64_C(0x0102040810204080)) >> 56 << (8 * i);
        odd |= w | equal8(w, 0);
    }
    *dirty = (odd & LAPSE_HIGHS) != 0;
    return marks;
}
#endif

/* Marks of the block at `block`, of which fewer bytes than BLOCK may be left before `end`. */
static inline uint64_t load_block(const char *block, const char *end, char delimiter, bool *dirty)
{
    size_t left = (size_t)(end - block);
    if (left >= BLOCK)
        return find_marks(block, delimiter, dirty);
    char last[BLOCK];
    memset(last, ' ', sizeof last);
    memcpy(last, block, left);
    return find_marks(last, delimiter, dirty) & ((UINT64_C(1) << left) - 1);
}

/* The next mark, NULL: there is none. */
static inline const char *next_mark(struct lapse_csv_scan *s)
{
    while (s->marks == 0) {
        if (s->end - s->block <= BLOCK)
            return NULL;
        s->block += BLOCK;
        s->marks = load_block(s->block, s->end, s->delimiter, &s->block_dirty);
        s->dirty |= s->block_dirty;
    }
    const char *p = s->block + lapse_lowest_bit(s->marks);
    s->marks &= s->marks - 1;
    return p;
}

void lapse_csv_scan_init(struct lapse_csv_scan *scan, char delimiter, const char *text, size_t n)
{
    *scan = (struct lapse_csv_scan){ .at = text, .block = text, .end = text + n, .delimiter = delimiter };
    if (n > 0)
        scan->marks = load_block(text, scan->end, delimiter, &scan->block_dirty);
    scan->dirty = scan->block_dirty;
}

static void set_fault(struct lapse_csv_record *record, enum lapse_csv_syntax fault)
{
    if (record->fault == LAPSE_CSV_GOOD) {
        record->fault = fault;
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
            record->lines++;
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
    *out = (struct lapse_csv_record){ .lines = 1 };
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
    out->dirty = s->dirty;
    s->dirty = s->block_dirty;
    return true;
}

size_t lapse_csv_scan_plain(struct lapse_csv_scan *s, struct lapse_csv_piece *pieces, size_t columns,
                            struct lapse_csv_record *records, size_t room)
{
    const char *begin = s->at, *block = s->block, *const end = s->end;
    const char delimiter = s->delimiter;
    uint64_t marks = s->marks;
    bool dirty = s->dirty, block_dirty = s->block_dirty;
    size_t count = 0;

    while (count < room && begin < end) {
        const char *field = begin, *p;
        struct lapse_csv_piece *piece = pieces + count * columns, *last = piece + columns - 1;
        for (;;) {
            while (marks == 0) {
                if (end - block <= BLOCK)
                    return count;
                block += BLOCK;
                marks = load_block(block, end, delimiter, &block_dirty);
                dirty |= block_dirty;
            }
            p = block + lapse_lowest_bit(marks);
            marks &= marks - 1;
            if (*p == delimiter && piece < last) {
                *piece++ = (struct lapse_csv_piece){ field, (uint32_t)(p - field), false };
                field = p + 1;
            } else if (*p == '\n' && piece == last && p > begin) {
                break;
            } else if (*p != '\r' || p + 1 == end || p[1] != '\n') {
                return count;
            }
        }
        const char *stop = p - (p > field && p[-1] == '\r');
        if (stop == begin)
            return count;
        *piece = (struct lapse_csv_piece){ field, (uint32_t)(stop - field), false };
        records[count++] = (struct lapse_csv_record){ .raw = { begin, (uint32_t)(stop - begin) },
                                                      .fields = (uint32_t)columns, .lines = 1, .dirty = dirty };
        dirty = block_dirty;
        s->at = begin = p + 1;
        s->block = block;
        s->marks = marks;
        s->dirty = dirty;
        s->block_dirty = block_dirty;
    }
    return count;
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

size_t lapse_csv_split(int delimiter, const char *text, size_t n, bool last, bool *unclosed)
{
    const char *end = text + n, *whole = text, *p = text;
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
