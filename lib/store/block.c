/* A block: the keys and rows of one piece of a run, column by column.
 *
 * Little-endian: rows, keys, sections (4 bytes each); for each section its field (KEYS for the keys), its encoding,
 * two zero bytes and its size (4); then the sections; then LAPSE_PACK_SLACK zero bytes. Keys are front-coded
 * (bytes shared with the key before, bytes of its own) with packed numbers of rows. Numbers and names are packed
 * (pack.c). Texts are packed lengths and bytes, either of each row or of the distinct texts with a packed code for
 * each row. Columns without values are not there. Decoding leaves text bytes where they are. */
#include "store/store.h"

enum { KEYS = 255, PREFIX = 12, SECTION = 8 };
enum { PACKED = 1, PLAIN_TEXT = 2, CODED_TEXT = 3, FRONT_CODED = 4 };

/* ---- encoding ------------------------------------------------------------------------------------------ */

static uint32_t shared_bytes(struct lapse_text a, struct lapse_text b)
{
    uint32_t n = 0, most = a.size < b.size ? a.size : b.size;
    for (; n + 8 <= most; n += 8) {
        uint64_t other = lapse_load8(a.data + n) ^ lapse_load8(b.data + n);
        if (other)
            return n + lapse_lowest_bit(other) / 8;
    }
    while (n < most && a.data[n] == b.data[n])
        n++;
    return n;
}

static void put_keys(struct lapse_buffer *out, const struct lapse_keys *keys, int64_t *scratch)
{
    struct lapse_text last = lapse_keys_text(keys, keys->count - 1), before = { "", 0 };
    uint32_t n = keys->count, bytes = (uint32_t)(last.data + last.size - keys->data), total = 0;
    if (!lapse_buffer_room(out, 4 + 2 * (size_t)n + bytes))
        return;
    uint8_t *shared = (uint8_t *)out->data + out->size + 4, *own = shared + n, *at = own + n;
    for (uint32_t k = 0; k < n; k++) {
        struct lapse_text key = lapse_keys_text(keys, k);
        uint32_t common = shared_bytes(key, before);
        shared[k] = (uint8_t)common;
        own[k] = (uint8_t)(key.size - common);
        memcpy(at, key.data + common, key.size - common);
        at += key.size - common;
        scratch[k] = keys->start[k + 1] - keys->start[k];
        total += key.size;
        before = key;
    }
    lapse_store4(out->data + out->size, total);
    out->size = (size_t)((char *)at - out->data);
    lapse_pack(out, scratch, n);
}

bool lapse_texts_alike(const struct lapse_rows *rows, int f)
{
    const uint32_t *begin = rows->text[f].begin;
    const uint8_t *length = rows->text[f].length;
    return !(rows->fields & LAPSE_FIELD_BIT(f)) || rows->count < 2 ||
           (memcmp(begin, begin + 1, (rows->count - 1) * sizeof *begin) == 0 &&
            memcmp(length, length + 1, rows->count - 1) == 0);
}

/* Codes of the distinct texts of a column, or 0 when they are too many to be worth it. */
enum { CODES = 1024, SLOTS = 4 * CODES };
static uint32_t find_codes(const struct lapse_columns *c, int f, size_t n, int64_t *code, uint32_t *first_row)
{
    uint16_t slots[SLOTS] = { 0 };
    uint32_t count = 0;
    struct lapse_text last = { NULL, 0 };
    for (size_t i = 0; i < n; i++) {
        struct lapse_text t = lapse_columns_text(c, f, i);
        if (last.data && t.data == last.data && t.size == last.size) {
            code[i] = code[i - 1];
            continue;
        }
        last = t;
        size_t s = lapse_hash(t.data, t.size, 0) % SLOTS;
        for (; slots[s]; s = (s + 1) % SLOTS) {
            struct lapse_text u = lapse_columns_text(c, f, first_row[slots[s] - 1]);
            if (u.size == t.size && memcmp(u.data, t.data, t.size) == 0)
                break;
        }
        if (!slots[s]) {
            if (count == CODES || (i < 256 && count > 128) || (i >= 256 && count > i / 2))
                return 0;
            first_row[count++] = (uint32_t)i;
            slots[s] = (uint16_t)count;
        }
        code[i] = slots[s] - 1;
    }
    return count;
}

static uint8_t put_texts(struct lapse_buffer *out, const struct lapse_rows *rows, const struct lapse_columns *c, int f,
                         int64_t *scratch)
{
    const size_t n = rows->count, different = lapse_texts_alike(rows, f) ? 1 : n;
    int64_t *code = scratch, *length = scratch + LAPSE_BLOCK_ROWS;
    uint32_t first_row[CODES];
    uint32_t codes = find_codes(c, f, different, code, first_row);
    size_t texts = codes ? codes : n;
    if (codes) {
        uint8_t count[4];
        lapse_store4(count, codes);
        lapse_buffer_put(out, count, 4);
    }
    for (size_t i = 0; i < texts; i++)
        length[i] = lapse_columns_text(c, f, codes ? first_row[i] : i).size;
    lapse_pack(out, length, texts);
    for (size_t i = 0; i < texts; i++) {
        struct lapse_text t = lapse_columns_text(c, f, codes ? first_row[i] : i);
        lapse_buffer_put(out, t.data, t.size);
    }
    if (codes)
        lapse_pack(out, code, different); /* 1 is of width 0, which is the same bytes for any number of values */
    return codes ? CODED_TEXT : PLAIN_TEXT;
}

bool lapse_block_encode(struct lapse_buffer *out, const struct lapse_keys *keys, const struct lapse_rows *rows,
                        int64_t *scratch)
{
    static const uint8_t slack[LAPSE_PACK_SLACK] = { 0 };
    struct lapse_columns c;
    uint8_t head[PREFIX + SECTION * (LAPSE_COLUMNS + 1)] = { 0 };
    uint32_t sections = 1;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        sections += rows->fields >> f & 1;
    lapse_store4(head, (uint32_t)rows->count);
    lapse_store4(head + 4, keys->count);
    lapse_store4(head + 8, sections);
    size_t begin = out->size;
    lapse_buffer_put(out, head, PREFIX + SECTION * sections);

    uint8_t *entry = head + PREFIX;
    size_t before = out->size;
    put_keys(out, keys, scratch);
    entry[0] = KEYS;
    entry[1] = FRONT_CODED;
    lapse_store4(entry + 4, (uint32_t)(out->size - before));

    lapse_rows_columns(rows, &c);
    for (int f = 0; f < LAPSE_COLUMNS && !out->failed; f++) {
        if (!(rows->fields & LAPSE_FIELD_BIT(f)))
            continue;
        entry += SECTION;
        before = out->size;
        entry[0] = (uint8_t)f;
        entry[1] = PACKED;
        if (lapse_column_class(f) == LAPSE_CLASS_NUMBER)
            lapse_pack(out, rows->number[f], rows->count);
        else if (lapse_column_class(f) == LAPSE_CLASS_NAME)
            lapse_pack_names(out, rows->name[f], rows->count, scratch);
        else
            entry[1] = put_texts(out, rows, &c, f, scratch);
        lapse_store4(entry + 4, (uint32_t)(out->size - before));
    }
    lapse_buffer_put(out, slack, sizeof slack);
    if (!out->failed)
        memcpy(out->data + begin, head, PREFIX + SECTION * sections);
    return !out->failed;
}

/* ---- decoding: trusts nothing, for the file may have been damaged or made by hand ------------------------- */

void lapse_block_free(struct lapse_block *block)
{
    lapse_buffer_free(&block->bytes);
    for (int i = 0; i <= LAPSE_COLUMNS; i++)
        lapse_buffer_free(&block->arrays[i]);
}

/* Room for one column's arrays, reused from block to block. Of rows no more than up to the last one wanted, since whoever asks
 * about one customer opens many blocks at once. */
static void *array_room(struct lapse_block *b, int i, size_t bytes)
{
    struct lapse_buffer *a = &b->arrays[i];
    if (!a->mem)
        lapse_buffer_init(a, b->mem);
    a->size = 0;
    if (lapse_buffer_room(a, bytes))
        return a->data;
    b->bytes.failed = true;
    return NULL;
}

/* What is read of the keys before anything else: the bytes shared and own of each, and where the own ones begin. */
struct key_section {
    const uint8_t *shared, *own, *bytes, *end;
    uint32_t total; /* bytes of all keys, whole */
};

static bool open_keys(const struct lapse_block *b, struct key_section *s)
{
    const uint8_t *at = (const uint8_t *)b->bytes.data + b->sections[LAPSE_COLUMNS].at;
    uint32_t n = b->keys.count, own = 0;
    s->end = at + b->sections[LAPSE_COLUMNS].size;
    if ((size_t)(s->end - at) < 4 + 2 * (size_t)n)
        return false;
    s->total = lapse_load4(at);
    s->shared = at + 4;
    s->own = s->shared + n;
    s->bytes = s->own + n;
    for (uint32_t k = 0; k < n; k++)
        own += s->own[k];
    return s->total <= 255 * (uint64_t)n && own <= (size_t)(s->end - s->bytes);
}

bool lapse_block_keys(struct lapse_block *b)
{
    struct key_section s;
    uint32_t n = b->keys.count;
    if (!open_keys(b, &s))
        return false;
    /* starts and begins (n + 1 each), lengths, then the keys themselves */
    uint32_t *start = array_room(b, LAPSE_COLUMNS, (size_t)(n + 1) * 8 + n + s.total);
    if (!start)
        return false;
    uint32_t *begin = start + n + 1;
    uint8_t *length = (uint8_t *)(begin + n + 1);
    char *data = (char *)length + n;
    uint32_t used = 0, last = 0, last_size = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t shared = s.shared[k], own = s.own[k], size = shared + own;
        if (size > 255 || shared > last_size || size > s.total - used)
            return false;
        /* Above the key before: longer than what they share, and there it is longer or its byte is greater. */
        if (own == 0 || (shared < last_size && *s.bytes <= (uint8_t)data[last + shared]))
            return false;
        begin[k] = used;
        length[k] = (uint8_t)size;
        memcpy(data + used, data + last, shared);
        memcpy(data + used + shared, s.bytes, own);
        s.bytes += own;
        last = used;
        last_size = size;
        used += size;
    }
    begin[n] = used;
    if (used != s.total || !lapse_unpack_u32(&s.bytes, s.end, n, 0, n, start + 1))
        return false;
    start[0] = 0;
    for (uint32_t k = 1; k <= n; k++) {
        if (start[k] > b->rows - start[k - 1])
            return false;
        start[k] += start[k - 1];
    }
    if (start[n] != b->rows)
        return false;
    b->keys = (struct lapse_keys){ n, data, begin, start, length };
    return true;
}

/* A key that shares more with the key before than that shares with the one looked for is below it too, and one that
 * shares less is above: so most keys cost one comparison of two small numbers. */
bool lapse_block_find(const struct lapse_block *b, struct lapse_text key, uint32_t *out, bool *equal)
{
    struct key_section s;
    uint32_t common = 0, k = 0; /* bytes that `key` and the key before have in common */
    if (!open_keys(b, &s))
        return false;
    for (; k < b->keys.count; s.bytes += s.own[k], k++) {
        uint32_t own = s.own[k], i = 0;
        if (s.shared[k] > common)
            continue;
        if (s.shared[k] < common)
            break;
        while (i < own && common < key.size && s.bytes[i] == (uint8_t)key.data[common])
            i++, common++;
        if (common == key.size || (i < own && s.bytes[i] > (uint8_t)key.data[common]))
            break;
    }
    *out = k;
    *equal = k < b->keys.count && common == key.size && (uint32_t)s.shared[k] + s.own[k] == key.size;
    return true;
}

bool lapse_block_key(const struct lapse_block *b, uint32_t k, char key[LAPSE_TEXT_MAX], struct lapse_entry *out)
{
    struct key_section s;
    if (k >= b->keys.count || !open_keys(b, &s))
        return false;
    const uint8_t *at = s.bytes, *rows = s.bytes;
    for (uint32_t i = 0; i < k; i++)
        at += s.own[i];
    for (uint32_t i = 0; i < b->keys.count; i++)
        rows += s.own[i];
    uint32_t need = (uint32_t)s.shared[k] + s.own[k];
    if (need > LAPSE_TEXT_MAX)
        return false;
    out->key = (struct lapse_text){ key, need };
    for (uint32_t i = k;; at -= s.own[--i]) { /* what is shared stands with the nearest key that has it of its own */
        uint32_t shared = s.shared[i], end = shared + s.own[i];
        if (shared < need) {
            if (end < need)
                return false;
            memcpy(key + shared, at, need - shared);
            need = shared;
        }
        if (need == 0 || i == 0)
            break;
    }
    return need == 0 && lapse_unpack_before(rows, s.end, b->keys.count, k, &out->first, &out->rows) &&
           out->first <= b->rows && out->rows <= b->rows - out->first;
}

/* The texts of the rows, or all that codes may name. */
static bool get_texts(struct lapse_block *b, int f, uint8_t encoding, const uint8_t *at, const uint8_t *end,
                      uint32_t first, uint32_t count)
{
    const bool coded = encoding == CODED_TEXT;
    uint32_t n = b->rows, texts = n, from = first, to = first + count, used, size;
    if (coded) {
        if (end - at < 4 || (texts = lapse_load4(at)) == 0 || texts > n)
            return false;
        at += 4;
        from = 0;
        to = texts;
    }
    uint32_t *begin = array_room(b, f, (size_t)texts * 4 + (size_t)n * 4 + texts);
    if (!begin)
        return false;
    uint32_t *code = begin + texts;
    uint8_t *length = (uint8_t *)(code + n);
    if (!lapse_unpack_before(at, end, texts, from, &used, &size) ||
        !lapse_unpack_names(&at, end, texts, from, to - from, length) || used > (size_t)(end - at))
        return false;
    const char *data = (const char *)at;
    for (uint32_t i = from; i < to; i++) {
        begin[i] = used;
        used += length[i];
    }
    if (used > (size_t)(end - at))
        return false;
    if (coded) {
        uint32_t most = 0;
        at += used;
        if (!lapse_unpack_u32(&at, end, n, first, count, code))
            return false;
        for (uint32_t i = first; i < first + count; i++)
            most = code[i] > most ? code[i] : most;
        if (most >= texts)
            return false;
    }
    b->columns.text[f] = (struct lapse_text_column){ data, begin, length, coded ? code : NULL };
    return true;
}

static bool get_names(struct lapse_block *b, int f, const uint8_t *at, const uint8_t *end, uint32_t first,
                      uint32_t count)
{
    uint8_t *v = array_room(b, f, (size_t)first + count);
    if (!v || !lapse_unpack_names(&at, end, b->rows, first, count, v))
        return false;
    uint8_t seen[256] = { 0 };
    uint64_t some;
    bool known = true;
    const bool one = count && memcmp(v + first, v + first + 1, count - 1) == 0; /* most often there is one name */
    for (uint32_t i = first; i < first + (one ? 1 : count); i++)
        seen[v[i]] = 1;
    for (int x = 0; x < 256; x += 8) { /* most are of a few values */
        memcpy(&some, seen + x, 8);
        for (int y = x; some && y < x + 8; y++)
            known &= !seen[y] || (y ? lapse_fields[f].name_of(y) != NULL : f != LAPSE_F_KIND);
    }
    b->columns.name[f] = v;
    return known;
}

static bool get_column(struct lapse_block *b, int f, uint32_t first, uint32_t count)
{
    const uint8_t *at = (const uint8_t *)b->bytes.data + b->sections[f].at, *end = at + b->sections[f].size;
    uint8_t encoding = b->sections[f].encoding;
    if (lapse_column_class(f) == LAPSE_CLASS_TEXT)
        return (encoding == PLAIN_TEXT || encoding == CODED_TEXT) && get_texts(b, f, encoding, at, end, first, count);
    if (encoding != PACKED)
        return false;
    if (lapse_column_class(f) == LAPSE_CLASS_NAME)
        return get_names(b, f, at, end, first, count);
    int64_t *v = array_room(b, f, (size_t)(first + count) * 8);
    b->columns.number[f] = v;
    return v && lapse_unpack(&at, end, b->rows, first, count, v);
}

bool lapse_block_rows(struct lapse_block *b, uint32_t fields, uint32_t first, uint32_t count)
{
    memset(&b->columns, 0, sizeof b->columns);
    b->columns.fields = b->fields & fields;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if ((b->columns.fields & LAPSE_FIELD_BIT(f)) && !get_column(b, f, first, count))
            return false;
    return true;
}

bool lapse_block_open(struct lapse_block *b)
{
    const uint8_t *p = (const uint8_t *)b->bytes.data;
    size_t size = b->bytes.size;
    b->fields = 0;
    memset(&b->columns, 0, sizeof b->columns);
    memset(&b->keys, 0, sizeof b->keys);
    if (size < PREFIX + LAPSE_PACK_SLACK || size > UINT32_MAX)
        return false;
    size -= LAPSE_PACK_SLACK;
    b->rows = lapse_load4(p);
    b->keys.count = lapse_load4(p + 4);
    uint32_t sections = lapse_load4(p + 8);
    if (b->rows == 0 || b->rows > LAPSE_BLOCK_ROWS || b->keys.count == 0 || b->keys.count > b->rows ||
        sections > LAPSE_COLUMNS + 1 || size < PREFIX + SECTION * (size_t)sections)
        return false;
    uint32_t at = PREFIX + SECTION * sections;
    bool has_keys = false;
    for (uint32_t s = 0; s < sections; s++) {
        const uint8_t *entry = p + PREFIX + SECTION * s;
        uint32_t bytes = lapse_load4(entry + 4), f = entry[0] == KEYS ? LAPSE_COLUMNS : entry[0];
        bool again = f == LAPSE_COLUMNS ? has_keys || entry[1] != FRONT_CODED
                                        : f > LAPSE_F_LINE || (b->fields & LAPSE_FIELD_BIT(f));
        if (bytes > size - at || again)
            return false;
        if (f == LAPSE_COLUMNS)
            has_keys = true;
        else
            b->fields |= LAPSE_FIELD_BIT(f);
        b->sections[f] = (struct lapse_section){ at, bytes, entry[1] };
        at += bytes;
    }
    return has_keys;
}

bool lapse_block_decode(struct lapse_block *b, uint32_t fields)
{
    return lapse_block_open(b) && lapse_block_keys(b) && lapse_block_rows(b, fields, 0, b->rows);
}
