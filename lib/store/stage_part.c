/* One part of a stage: its customers and their rows, and how they are sorted. */
#include "store/stage.h"

/* Ids are worth being looked up at once when they are as much as the table that comes into the cache for them, within
 * these bounds. The numbers found for them are then a piece of less than 128 KiB: such pieces malloc takes out of a heap,
 * and once they are freed others, as pages of SQLite, use them again; larger ones come from the system and go back to it. */
enum {
    LEAST_SLOTS = 16,
    GROUP = 64,                /* rows whose slots are fetched before any is looked at */
    LEAST_PENDING = 48 << 10,  /* bytes */
    MOST_PENDING = 208 << 10,
    PENDING_ROOM = 64 << 10    /* at first: it grows where the table does */
};

void lapse_stage_part_init(struct stage_part *part, const lapse_allocator *mem, bool compact)
{
    memset(part, 0, sizeof *part);
    part->mem = mem;
    lapse_rows_init(&part->rows, mem);
    part->rows.compact = compact;
    lapse_buffer_init(&part->ids, mem);
    lapse_buffer_init(&part->pending, mem);
}

static void free_found(struct stage_part *part)
{
    for (size_t i = 0; i < part->found_count; i++)
        lapse_mem_free(part->mem, part->found[i].customer);
    lapse_mem_free(part->mem, part->found);
    part->found = NULL;
    part->found_count = part->found_room = 0;
}

void lapse_stage_part_free(struct stage_part *part)
{
    lapse_rows_free(&part->rows);
    lapse_buffer_free(&part->ids);
    lapse_buffer_free(&part->pending);
    free_found(part);
    void *arrays[] = { part->slots, part->id_at, part->start };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(part->mem, arrays[i]);
}

void lapse_stage_part_clear(struct stage_part *part)
{
    struct lapse_lock *lock = part->lock;
    const bool compact = part->rows.compact;
    lapse_stage_part_free(part);
    lapse_stage_part_init(part, part->mem, compact);
    part->lock = lock;
}

size_t lapse_stage_part_bytes(const struct stage_part *part)
{
    return lapse_rows_bytes(&part->rows) + part->pending.size;
}

static size_t table_bytes(const struct stage_part *part)
{
    return part->slot_count * sizeof *part->slots + part->ids.size;
}

static size_t customer_bytes(const struct stage_part *part)
{
    return part->customers * sizeof *part->id_at + table_bytes(part);
}

/* ---- customers ------------------------------------------------------------------------------------------ */

/* Room for `more` customers, so that finding them needs no check. Slots may move. */
static bool customer_room(struct stage_part *part, size_t more)
{
    size_t need = part->customers + more, slots = part->slot_count ? part->slot_count : LEAST_SLOTS;
    if (!lapse_mem_reserve(part->mem, &part->id_at, &part->id_room, need, sizeof *part->id_at))
        return false;
    while (slots < 2 * need)
        slots *= 2;
    if (slots == part->slot_count)
        return true;
    uint64_t *wider = lapse_mem_zero(part->mem, slots, sizeof *wider);
    if (!wider)
        return false;
    for (size_t i = 0; i < part->slot_count; i++) {
        if (!part->slots[i])
            continue;
        size_t k = (size_t)(part->slots[i] >> 32) & (slots - 1);
        while (wider[k])
            k = (k + 1) & (slots - 1);
        wider[k] = part->slots[i];
    }
    lapse_mem_free(part->mem, part->slots);
    part->slots = wider;
    part->slot_count = slots;
    return true;
}

bool lapse_stage_part_reserve(struct stage_part *part, size_t rows, size_t customers)
{
    enum { ID = STAGE_ID + 12 }; /* bytes of an id, or more */
    return lapse_rows_reserve(&part->rows, rows) &&
           lapse_buffer_room(&part->pending, rows < PENDING_ROOM / ID ? rows * ID : PENDING_ROOM) &&
           customer_room(part, customers);
}

static bool same(const char *a, const char *b, size_t n)
{
    if (n >= 8 && n <= 16) { /* most ids; two words that overlap */
        uint64_t x[2], y[2];
        memcpy(x, a, 8);
        memcpy(x + 1, a + n - 8, 8);
        memcpy(y, b, 8);
        memcpy(y + 1, b + n - 8, 8);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    return memcmp(a, b, n) == 0;
}

/* The first slot from i on that is free or may be of a customer with this hash. */
static size_t probe(const struct stage_part *part, uint32_t hash, size_t i)
{
    size_t mask = part->slot_count - 1;
    for (i &= mask; part->slots[i] && part->slots[i] >> 32 != hash; i = (i + 1) & mask)
        ;
    return i;
}

/* Of the customer of a slot that is not free: is it `id`, and what is her number? */
static bool is_customer(const struct stage_part *part, uint64_t slot, struct lapse_text id, uint32_t *customer)
{
    const char *at = part->ids.data + ((uint32_t)slot - 1);
    memcpy(customer, at, sizeof *customer);
    return (uint8_t)at[STAGE_ID - 1] == id.size && same(at + STAGE_ID, id.data, id.size);
}

/* The number of a customer, a new one if need be; there is room, and `i` is a slot that probe() found. */
static uint32_t find(struct stage_part *part, struct lapse_text id, uint32_t hash, size_t i)
{
    uint32_t customer;
    for (i = probe(part, hash, i); part->slots[i]; i = probe(part, hash, i + 1))
        if (is_customer(part, part->slots[i], id, &customer))
            return customer;
    size_t place = part->ids.size;
    char *to = part->ids.data + place;
    customer = part->customers++;
    memcpy(to, &customer, sizeof customer);
    to[STAGE_ID - 1] = (char)(uint8_t)id.size;
    lapse_text_copy(to + STAGE_ID, id);
    part->ids.size += STAGE_ID + id.size;
    part->slots[i] = (uint64_t)hash << 32 | (place + 1);
    part->id_at[customer] = (uint32_t)place;
    return customer;
}

/* Numbers of the customers of n pending rows, from *at on. */
static bool find_group(struct stage_part *part, const char **at, uint32_t *out, size_t n)
{
    struct lapse_text id[GROUP];
    uint32_t hash[GROUP];
    size_t place[GROUP];
    uint64_t slot[GROUP]; /* as it was before this group */
    if (!customer_room(part, n) || !lapse_buffer_room(&part->ids, n * (STAGE_ID + LAPSE_TEXT_MAX)) ||
        part->ids.size > UINT32_MAX - n * (STAGE_ID + LAPSE_TEXT_MAX))
        return false;
    for (size_t i = 0; i < n; i++) {
        memcpy(&hash[i], *at, sizeof hash[i]);
        id[i] = (struct lapse_text){ *at + STAGE_ID, (uint8_t)(*at)[STAGE_ID - 1] };
        *at += STAGE_ID + id[i].size;
        lapse_prefetch(&part->slots[hash[i] & (part->slot_count - 1)]);
    }
    for (size_t i = 0; i < n; i++) {
        place[i] = probe(part, hash[i], hash[i]);
        slot[i] = part->slots[place[i]];
        lapse_prefetch(part->ids.data + (uint32_t)slot[i]); /* one byte too far, which does not matter */
    }
    for (size_t i = 0; i < n; i++)
        if (!slot[i] || !is_customer(part, slot[i], id[i], &out[i]))
            out[i] = find(part, id[i], hash[i], place[i]);
    return true;
}

/* Of the next n rows. */
static bool find_all(struct stage_part *part, const struct lapse_buffer *pending, size_t n)
{
    const char *at = pending->data;
    if (!lapse_mem_reserve(part->mem, &part->found, &part->found_room, part->found_count + 1, sizeof *part->found))
        return false;
    uint32_t *customer = lapse_mem_alloc(part->mem, n * sizeof *customer);
    if (!customer)
        return false;
    part->found[part->found_count++] = (struct stage_found){ customer, n };
    bool ok = true;
    for (size_t group; ok && n > 0; n -= group, customer += group) {
        group = n < GROUP ? n : GROUP;
        ok = find_group(part, &at, customer, group);
    }
    return ok;
}

size_t lapse_stage_part_take(struct stage_part *part, struct lapse_buffer *spare)
{
    const size_t n = part->rows.count - part->taken;
    if (part->finding) /* then its table is not to be looked at */
        return 0;
    size_t worth = table_bytes(part);
    worth = worth < LEAST_PENDING ? LEAST_PENDING : worth > MOST_PENDING ? MOST_PENDING : worth;
    if (part->pending.size < worth)
        return 0;
    struct lapse_buffer pending = part->pending;
    part->pending = *spare;
    *spare = pending;
    part->taken += n;
    part->finding = true;
    return n;
}

bool lapse_stage_part_find(struct stage_part *part, const struct lapse_buffer *taken, size_t n, size_t *more)
{
    const size_t before = customer_bytes(part);
    bool ok = find_all(part, taken, n);
    *more = customer_bytes(part) - before + n * sizeof *part->found->customer;
    lapse_lock_take(part->lock);
    part->finding = false;
    lapse_lock_give(part->lock);
    return ok;
}

bool lapse_stage_part_put(struct stage_part *part, const struct lapse_columns *from, const uint32_t *order, size_t n,
                          const uint64_t *hash, size_t bytes)
{
    bytes += n * STAGE_ID;
    if (part->rows.count + n > UINT32_MAX || !lapse_buffer_room(&part->pending, bytes) ||
        !lapse_rows_gather(&part->rows, from, UINT32_MAX & ~LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER), order, 0, n))
        return false;
    char *to = part->pending.data + part->pending.size;
    part->pending.size += bytes;
    const bool plain = lapse_columns_plain(from, LAPSE_F_CUSTOMER);
    for (size_t i = 0; i < n; i++) {
        struct lapse_text id = lapse_columns_text_of(from, LAPSE_F_CUSTOMER, order[i], plain);
        uint32_t high = (uint32_t)(hash[order[i]] >> 32);
        memcpy(to, &high, sizeof high);
        to[STAGE_ID - 1] = (char)(uint8_t)id.size;
        lapse_text_copy(to + STAGE_ID, id);
        to += STAGE_ID + id.size;
    }
    return true;
}

/* ---- sorting -------------------------------------------------------------------------------------------- */

static size_t common_prefix(const struct stage_part *part)
{
    struct lapse_text first = stage_id(part, 0);
    size_t n = first.size;
    for (uint32_t c = 1; c < part->customers && n; c++) {
        struct lapse_text id = stage_id(part, c);
        while (n && (id.size < n || memcmp(id.data, first.data, n) != 0))
            n--;
    }
    return n;
}

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const struct stage_part *part = user;
    struct lapse_text x = stage_id(part, a), y = stage_id(part, b);
    return lapse_text_order(x, y);
}

/* Lays the ids out in the order of `sorted`, so that they are read one after the other, and tells each customer's place
 * in it. */
static bool renumber(struct stage_part *part, const uint32_t *sorted, uint32_t *rank)
{
    struct lapse_buffer ids;
    lapse_buffer_init(&ids, part->mem);
    uint32_t *id_at = lapse_mem_alloc(part->mem, part->customers * sizeof *id_at);
    bool ok = id_at && lapse_buffer_room(&ids, part->ids.size);
    for (uint32_t k = 0; ok && k < part->customers; k++) {
        struct lapse_text id = stage_id(part, sorted[k]);
        rank[sorted[k]] = k;
        id_at[k] = (uint32_t)ids.size;
        memcpy(ids.data + ids.size, id.data - STAGE_ID, STAGE_ID + id.size);
        ids.size += STAGE_ID + id.size;
    }
    lapse_mem_free(part->mem, ok ? part->id_at : id_at);
    lapse_buffer_free(ok ? &part->ids : &ids);
    if (ok) {
        part->id_at = id_at;
        part->id_room = part->customers;
        part->ids = ids;
    }
    return ok;
}

static void *room(struct lapse_buffer *scratch, size_t count, size_t each)
{
    scratch->size = 0;
    return lapse_buffer_room(scratch, count * each) ? (void *)scratch->data : NULL;
}

/* rank: the new number of each customer. */
static bool sort_customers(struct stage_part *part, uint32_t *rank, struct stage_scratch *scratch)
{
    size_t n = part->customers, skip = common_prefix(part);
    struct lapse_sort_key *keys = room(&scratch->keys, 2 * n, sizeof *keys);
    uint32_t *sorted = room(&scratch->order, 2 * n, sizeof *sorted);
    if (!keys || !sorted)
        return false;
    for (uint32_t c = 0; c < n; c++)
        keys[c] = (struct lapse_sort_key){ lapse_text_eight(stage_id(part, c), skip), c };
    lapse_sort_settled(keys, sorted, n, sorted + n, order_ids, part);
    return renumber(part, sorted, rank);
}

struct row_order {
    const struct lapse_columns *columns;
    const int64_t *time;
    const uint32_t *narrow; /* or these, in seconds */
    int digits;
};

static int64_t time_of(const struct row_order *o, size_t row)
{
    return o->narrow ? o->narrow[row] : o->time[row];
}

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct row_order *o = user;
    int64_t x = time_of(o, a), y = time_of(o, b);
    if (x != y)
        return x < y ? -1 : 1;
    return lapse_columns_compare(o->columns, a, o->columns, b, o->digits);
}

/* Rows by the rank of their customer, each one's canonically; part->start of each rank. */
static bool sort_rows(struct stage_part *part, const uint32_t *rank, const struct lapse_columns *constants, int digits,
                      struct stage_scratch *scratch)
{
    uint32_t n = part->customers, *start = lapse_mem_zero(part->mem, (size_t)n + 2, sizeof *start);
    size_t rows = part->rows.count;
    uint32_t *order = room(&scratch->order, 2 * rows, sizeof *order);
    int64_t *last = room(&scratch->keys, n, sizeof *last); /* time of each rank; INT64_MAX: not all ascended */
    struct lapse_columns columns;
    part->start = start;
    if (!start || !order || !last)
        return false;
    lapse_rows_columns(&part->rows, &columns);
    lapse_columns_add(&columns, constants);
    /* start[k + 2] counts the rows of rank k; summed up, start[k + 1] is where its next row goes, so that in the end
     * start[k] is where they begin */
    for (size_t f = 0; f < part->found_count; f++)
        for (size_t i = 0; i < part->found[f].rows; i++)
            start[rank[part->found[f].customer[i]] + 2]++;
    for (uint32_t k = 0; k < n; k++)
        start[k + 2] += start[k + 1];
    const bool narrow = columns.narrow & LAPSE_FIELD_BIT(LAPSE_F_TIME);
    const int64_t *time = columns.number[LAPSE_F_TIME];
    const struct row_order row_order = { &columns, time, narrow ? (const uint32_t *)(const void *)time : NULL, digits };
    for (uint32_t k = 0; k < n; k++)
        last[k] = INT64_MIN;
    for (size_t f = 0, r = 0; f < part->found_count; f++)
        for (size_t i = 0; i < part->found[f].rows; i++, r++) {
            uint32_t k = rank[part->found[f].customer[i]];
            order[start[k + 1]++] = (uint32_t)r;
            int64_t t = time_of(&row_order, r);
            last[k] = t > last[k] ? t : INT64_MAX;
        }
    for (uint32_t k = 0; k < n; k++)
        if (last[k] == INT64_MAX) /* those that come in the order of time and never two at once need no sorting */
            lapse_sort_indices(order + start[k], start[k + 1] - start[k], order + rows, order_rows, &row_order);
    return lapse_rows_reorder(&part->rows, order, &scratch->column);
}

bool lapse_stage_part_sort(struct stage_part *part, const struct lapse_columns *constants, int digits,
                           struct stage_scratch *scratch)
{
    if (part->rows.count == 0)
        return true;
    if (!find_all(part, &part->pending, part->rows.count - part->taken))
        return false;
    uint32_t *rank = room(&scratch->rank, part->customers, sizeof *rank);
    bool ok = rank && sort_customers(part, rank, scratch) && sort_rows(part, rank, constants, digits, scratch);
    /* Not asked for any more. */
    lapse_mem_free(part->mem, part->slots);
    lapse_buffer_free(&part->pending);
    free_found(part);
    part->slots = NULL;
    part->slot_count = 0;
    return ok;
}

void lapse_stage_scratch_init(struct stage_scratch *scratch, const lapse_allocator *mem)
{
    lapse_buffer_init(&scratch->keys, mem);
    lapse_buffer_init(&scratch->order, mem);
    lapse_buffer_init(&scratch->rank, mem);
    lapse_buffer_init(&scratch->column, mem);
}

void lapse_stage_scratch_free(struct stage_scratch *scratch)
{
    lapse_buffer_free(&scratch->keys);
    lapse_buffer_free(&scratch->order);
    lapse_buffer_free(&scratch->rank);
    lapse_buffer_free(&scratch->column);
}
