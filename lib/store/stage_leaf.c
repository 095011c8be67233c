/* The leaves of a stage: finding one, letting it grow, splitting it. */
#include "store/stage.h"

enum { SAMPLE = 8 * LEAF_SPLIT };

/* What a split needs beside the leaf; too much for the stack of a host's thread. */
struct splitting {
    uint32_t sample[SAMPLE], scratch[SAMPLE];
    struct stage_bound bounds[LEAF_SPLIT];
    struct stage_leaf *parts[LEAF_SPLIT];
};

static bool resize(struct lapse_stage *s, void *array, size_t before, size_t after, size_t each)
{
    void *p;
    memcpy(&p, array, sizeof p);
    p = lapse_mem_resize(s->mem, p, after * each);
    if (!p)
        return false;
    memcpy(array, &p, sizeof p);
    s->used += (after - before) * each;
    return true;
}

bool lapse_stage_column_room(struct lapse_stage *s, struct stage_leaf *leaf, int f, uint32_t before, uint32_t capacity)
{
    switch (lapse_column_class(f)) {
    case LAPSE_CLASS_NUMBER:
        return resize(s, &leaf->number[f], before, capacity, sizeof *leaf->number[f]);
    case LAPSE_CLASS_NAME:
        return resize(s, &leaf->name[f], before, capacity, 1);
    default:
        return resize(s, &leaf->begin[f], before, capacity, sizeof *leaf->begin[f]) &&
               resize(s, &leaf->length[f], before, capacity, 1);
    }
}

bool lapse_stage_room(struct lapse_stage *s, struct stage_leaf *leaf)
{
    if (leaf->rows < leaf->capacity)
        return true;
    uint32_t capacity = leaf->capacity < 16 ? 16 : leaf->capacity + leaf->capacity / 2;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if (s->columns[f].varies && !lapse_stage_column_room(s, leaf, f, leaf->capacity, capacity))
            return false;
    leaf->capacity = capacity;
    return true;
}

bool lapse_stage_put_bytes(struct lapse_stage *s, struct lapse_buffer *b, const char *text, size_t n)
{
    size_t before = b->capacity;
    if (b->size > UINT32_MAX - n)
        return false;
    lapse_buffer_put(b, text, n);
    s->used += b->capacity - before;
    return !b->failed;
}

bool lapse_stage_put_id(struct lapse_stage *s, struct stage_leaf *leaf, struct lapse_text id)
{
    struct lapse_buffer *b = &leaf->ids;
    if (b->capacity - b->size < 256) {
        size_t before = b->capacity;
        if (b->size > UINT32_MAX - 256 || !lapse_buffer_room(b, 256))
            return false;
        s->used += b->capacity - before;
    }
    b->data[b->size] = (char)(uint8_t)id.size;
    memcpy(b->data + b->size + 1, id.data, id.size);
    b->size += 1 + (size_t)id.size;
    return true;
}

static struct stage_leaf *new_leaf(struct lapse_stage *s)
{
    struct stage_leaf *leaf = lapse_mem_zero(s->mem, 1, sizeof *leaf);
    if (!leaf)
        return NULL;
    leaf->split_at = LEAF_ROWS;
    lapse_buffer_init(&leaf->ids, s->mem);
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        lapse_buffer_init(&leaf->bytes[f], s->mem);
    return leaf;
}

static void free_leaf(struct lapse_stage *s, struct stage_leaf *leaf)
{
    if (!leaf)
        return;
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        lapse_mem_free(s->mem, leaf->number[f]);
        lapse_mem_free(s->mem, leaf->name[f]);
        lapse_mem_free(s->mem, leaf->begin[f]);
        lapse_mem_free(s->mem, leaf->length[f]);
        s->used -= leaf->bytes[f].capacity;
        lapse_buffer_free(&leaf->bytes[f]);
        if (s->columns[f].varies)
            s->used -= leaf->capacity * (size_t)(lapse_column_class(f) == LAPSE_CLASS_NUMBER ? 8
                                                 : lapse_column_class(f) == LAPSE_CLASS_NAME ? 1 : 5);
    }
    s->used -= leaf->ids.capacity;
    lapse_buffer_free(&leaf->ids);
    lapse_mem_free(s->mem, leaf);
}

static bool reserve_leaves(struct lapse_stage *s, size_t count)
{
    size_t room = s->leaf_room;
    if (count <= room)
        return true;
    room = room ? room * 2 : LEAF_SPLIT;
    room = room < count ? count : room;
    void *leaves = lapse_mem_resize(s->mem, s->leaves, room * sizeof(struct stage_leaf *));
    s->leaves = leaves ? leaves : s->leaves;
    void *bounds = lapse_mem_resize(s->mem, s->bounds, room * sizeof *s->bounds);
    s->bounds = bounds ? bounds : s->bounds;
    void *keys = lapse_mem_resize(s->mem, s->keys, room * sizeof *s->keys);
    s->keys = keys ? keys : s->keys;
    if (!leaves || !bounds || !keys)
        return false;
    s->leaf_room = room;
    return true;
}

bool lapse_stage_leaves_open(struct lapse_stage *s)
{
    if (!reserve_leaves(s, 1) || !(s->leaves[0] = new_leaf(s)))
        return false;
    s->bounds[0].size = 0;
    s->keys[0] = 0;
    s->common = 0;
    s->leaf_count = 1;
    return true;
}

void lapse_stage_leaves_free(struct lapse_stage *s)
{
    for (size_t i = 0; i < s->leaf_count; i++)
        free_leaf(s, s->leaves[i]);
    lapse_mem_free(s->mem, s->leaves);
    lapse_mem_free(s->mem, s->bounds);
    lapse_mem_free(s->mem, s->keys);
    s->leaves = NULL;
    s->bounds = NULL;
    s->keys = NULL;
    s->leaf_count = s->leaf_room = 0;
}

/* ---- finding -------------------------------------------------------------------------------------------------- */

static int compare(const struct stage_bound *bound, struct lapse_text id)
{
    return lapse_text_compare(bound->text, bound->size, id.data, id.size);
}

static size_t find(const struct lapse_stage *s, struct lapse_text id)
{
    const struct stage_bound *last = &s->bounds[s->leaf_count - 1];
    size_t low = 0, n = s->leaf_count;
    if (n == 1)
        return 0;
    size_t same = 0; /* bytes it has in common with the bounds; few, so no call */
    while (same < s->common && same < id.size && id.data[same] == last->text[same])
        same++;
    if (same == s->common) {
        uint64_t key = stage_key(id, s->common);
        while (n > 1) { /* the last whose key is not above; no branch to be guessed */
            size_t half = n / 2;
            low += half & -(size_t)(s->keys[low + half] <= key);
            n -= half;
        }
        while (low > 0 && s->keys[low] == key && compare(&s->bounds[low], id) > 0)
            low--;
        return low;
    }
    while (n > 1) { /* an id unlike the others */
        size_t half = n / 2;
        low += compare(&s->bounds[low + half], id) <= 0 ? half : 0;
        n -= half;
    }
    return low;
}

struct stage_leaf *lapse_stage_leaf(const struct lapse_stage *s, struct lapse_text id)
{
    return s->leaves[find(s, id)];
}

/* What all bounds but the first begin with, and their keys behind it. */
static void set_keys(struct lapse_stage *s)
{
    const struct stage_bound *first = &s->bounds[1], *last = &s->bounds[s->leaf_count - 1];
    size_t n = 0; /* they ascend, so what the first and the last have in common all have */
    while (n < first->size && n < last->size && first->text[n] == last->text[n])
        n++;
    s->common = n;
    for (size_t i = 1; i < s->leaf_count; i++)
        s->keys[i] = stage_key((struct lapse_text){ s->bounds[i].text, s->bounds[i].size }, n);
}

/* ---- splitting -------------------------------------------------------------------------------------------------- */

static int order_sample(const void *user, uint32_t a, uint32_t b)
{
    const struct stage_leaf *leaf = user;
    struct lapse_text x = stage_id(leaf, a), y = stage_id(leaf, b);
    return lapse_text_compare(x.data, x.size, y.data, y.size);
}

/* Up to LEAF_SPLIT - 1 ascending ids that cut a leaf into about equal pieces, none of them its least. */
static size_t choose_bounds(const struct stage_leaf *leaf, struct splitting *x)
{
    uint32_t *sample = x->sample, at = 0, step = leaf->rows / SAMPLE, n = 0;
    struct stage_bound *out = x->bounds;
    for (uint32_t r = 0; r < leaf->rows; r++) {
        if (r % (step ? step : 1) == 0 && n < SAMPLE)
            sample[n++] = at;
        at += 1 + stage_id(leaf, at).size;
    }
    lapse_sort_indices(sample, n, x->scratch, order_sample, leaf);
    struct lapse_text before = stage_id(leaf, sample[0]);
    size_t count = 0;
    for (uint32_t i = 1; i < LEAF_SPLIT; i++) {
        struct lapse_text id = stage_id(leaf, sample[(size_t)i * n / LEAF_SPLIT]);
        if (lapse_text_compare(before.data, before.size, id.data, id.size) >= 0)
            continue;
        out[count].size = (uint8_t)id.size;
        memcpy(out[count++].text, id.data, id.size);
        before = id;
    }
    return count;
}

static bool move_row(struct lapse_stage *s, const struct stage_leaf *from, uint32_t row, struct lapse_text id,
                     struct stage_leaf *to)
{
    if (!lapse_stage_room(s, to))
        return false;
    for (int i = 0; i < s->varying_count; i++) {
        int f = s->fields[i];
        if (from->number[f] && s->columns[f].varies)
            to->number[f][to->rows] = from->number[f][row];
        if (from->name[f] && s->columns[f].varies)
            to->name[f][to->rows] = from->name[f][row];
        if (from->begin[f] && s->columns[f].varies) {
            to->begin[f][to->rows] = (uint32_t)to->bytes[f].size;
            to->length[f][to->rows] = from->length[f][row];
            if (!lapse_stage_put_bytes(s, &to->bytes[f], from->bytes[f].data + from->begin[f][row],
                                       from->length[f][row]))
                return false;
        }
    }
    to->rows++;
    return lapse_stage_put_id(s, to, id);
}

/* Deals the rows of a leaf out to count + 1 new ones. */
static bool deal(struct lapse_stage *s, const struct stage_leaf *leaf, struct splitting *x, size_t count)
{
    for (size_t i = 0; i <= count; i++)
        if (!(x->parts[i] = new_leaf(s)))
            return false;
    for (uint32_t r = 0, at = 0; r < leaf->rows; r++) {
        struct lapse_text id = stage_id(leaf, at);
        size_t low = 0, n = count + 1;
        while (n > 1) {
            size_t half = n / 2;
            low += compare(&x->bounds[low + half - 1], id) <= 0 ? half : 0;
            n -= half;
        }
        if (!move_row(s, leaf, r, id, x->parts[low]))
            return false;
        at += 1 + id.size;
    }
    return true;
}

static bool split(struct lapse_stage *s, size_t place, struct splitting *x)
{
    struct stage_leaf *leaf = s->leaves[place];
    size_t count = choose_bounds(leaf, x);
    if (count == 0) { /* nearly all rows are of one customer */
        leaf->split_at = leaf->split_at < UINT32_MAX / 2 ? leaf->split_at * 2 : UINT32_MAX;
        return true;
    }
    if (!reserve_leaves(s, s->leaf_count + count))
        return false;
    if (!deal(s, leaf, x, count)) {
        for (size_t i = 0; i <= count; i++)
            free_leaf(s, x->parts[i]);
        return false;
    }
    free_leaf(s, leaf);
    size_t behind = s->leaf_count - place - 1;
    memmove(s->leaves + place + 1 + count, s->leaves + place + 1, behind * sizeof s->leaves[0]);
    memmove(s->bounds + place + 1 + count, s->bounds + place + 1, behind * sizeof s->bounds[0]);
    memcpy(s->leaves + place, x->parts, (count + 1) * sizeof x->parts[0]);
    memcpy(s->bounds + place + 1, x->bounds, count * sizeof x->bounds[0]);
    s->leaf_count += count;
    set_keys(s);
    return true;
}

bool lapse_stage_split(struct lapse_stage *s, struct lapse_text any)
{
    struct splitting *x = lapse_mem_zero(s->mem, 1, sizeof *x);
    bool ok = x && split(s, find(s, any), x);
    lapse_mem_free(s->mem, x);
    return ok;
}
