/* What other customers who hold an address said by it (rulings C24), and what is kept of those who are forgotten.
 *
 * The index says who else names an address, under the first bytes of its hash; what they said, and whether they still say
 * it at the view's instant, is in their histories, which are read. Entries lie by address, then in canonical order. A
 * customer gets those of addresses that she holds at their time; entries of the ledger also of addresses that she came to
 * hold later, dated as they were.
 *
 * So it depends on the set of events alone. Nothing else crosses from one customer to another. Memory: the entries of
 * addresses that are shared. */
#include "view/private.h"

struct entry {
    uint8_t address[LAPSE_ENDPOINT_SIZE];
    uint32_t owner, owner_size;      /* in `ids`; no bytes: of the ledger */
    uint8_t channel;                 /* 0: any */
};
struct lapse_crossing {
    lapse_view *view;
    const lapse_allocator *mem;
    struct lapse_rows rows;          /* of entries, in the order they were found */
    struct lapse_columns columns;
    struct entry *entries;
    uint32_t *order;                 /* entries by address */
    size_t count, capacity, order_capacity;
    struct lapse_buffer ids;         /* of customers who name a shared address: size and bytes */
    uint32_t *who;                   /* places in `ids` */
    size_t who_count, who_capacity;
    uint8_t (*keys)[LAPSE_ADDRESS_KEY]; /* of shared addresses, ascending */
    size_t key_count, key_capacity;
};

void lapse_crossing_free(struct lapse_crossing *x)
{
    if (!x)
        return;
    lapse_rows_free(&x->rows);
    lapse_buffer_free(&x->ids);
    lapse_mem_free(x->mem, x->entries);
    lapse_mem_free(x->mem, x->order);
    lapse_mem_free(x->mem, x->who);
    lapse_mem_free(x->mem, x->keys);
    lapse_mem_free(x->mem, x);
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

static bool put_entry(struct lapse_crossing *x, struct lapse_text address, uint8_t channel, uint32_t owner,
                      uint32_t owner_size, const struct lapse_columns *from, size_t row)
{
    if (!lapse_mem_reserve(x->mem, &x->entries, &x->capacity, x->count + 1, sizeof *x->entries) ||
        !lapse_rows_gather(&x->rows, from, LAPSE_ALL_FIELDS, NULL, row, 1))
        return false;
    struct entry *e = &x->entries[x->count++];
    *e = (struct entry){ .owner = owner, .owner_size = owner_size, .channel = channel };
    memcpy(e->address, address.data, sizeof e->address);
    return true;
}

/* A row of the ledger as the events that it stands for: who objected, or closed the account, withdrew everything that
 * promotes, on the channel of the address. */
static bool put_kept(struct lapse_crossing *x, struct lapse_text address, const struct lapse_columns *from, size_t row)
{
    static const uint8_t promotion[] = { LAPSE_PURPOSE_MARKETING, LAPSE_PURPOSE_PROFILING, LAPSE_PURPOSE_AD_AUDIENCE,
                                         LAPSE_PURPOSE_SURVEY };
    int64_t time = lapse_columns_number(from, LAPSE_F_TIME, row);
    uint8_t kind = lapse_columns_name(from, LAPSE_F_KIND, row), channel = lapse_columns_name(from, LAPSE_F_CHANNEL, row);
    uint8_t purpose = lapse_columns_name(from, LAPSE_F_PURPOSE, row);
    bool all = kind == LAPSE_KIND_CONSENT_OBJECTED || kind == LAPSE_KIND_ACCOUNT_CLOSED, ok = true;
    const uint32_t begin = 0;
    const uint8_t size = LAPSE_ENDPOINT_SIZE, four = 4;
    if (all)
        kind = LAPSE_KIND_CONSENT_WITHDRAWN;
    for (size_t p = 0; p < (all ? sizeof promotion : 1) && ok; p++) {
        struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) |
                                             LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) | LAPSE_FIELD_BIT(LAPSE_F_PURPOSE) |
                                             LAPSE_FIELD_BIT(LAPSE_F_ENDPOINT) };
        c.number[LAPSE_F_TIME] = &time;
        c.name[LAPSE_F_KIND] = &kind;
        c.name[LAPSE_F_CHANNEL] = &channel;
        c.name[LAPSE_F_PURPOSE] = all ? &promotion[p] : &purpose;
        c.text[LAPSE_F_ENDPOINT] = (struct lapse_text_column){ address.data, &begin, &size, NULL };
        if (kind == LAPSE_KIND_MESSAGE_BOUNCED) {
            c.fields |= LAPSE_FIELD_BIT(LAPSE_F_REASON);
            c.text[LAPSE_F_REASON] = (struct lapse_text_column){ "hard", &begin, &four, NULL };
        }
        ok = put_entry(x, address, channel, 0, 0, &c, 0);
    }
    return ok;
}

static int order_entries(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_crossing *x = user;
    int order = memcmp(x->entries[a].address, x->entries[b].address, LAPSE_ENDPOINT_SIZE);
    return order ? order : lapse_columns_compare(&x->columns, a, &x->columns, b, x->view->store->digits);
}

static bool sort_entries(struct lapse_crossing *x)
{
    lapse_rows_columns(&x->rows, &x->columns);
    if (!lapse_mem_reserve(x->mem, &x->order, &x->order_capacity, 2 * x->count + 1, sizeof *x->order))
        return false;
    for (size_t i = 0; i < x->count; i++)
        x->order[i] = (uint32_t)i;
    lapse_sort_indices(x->order, x->count, x->order + x->count, order_entries, x);
    return true;
}

/* ---- from the index and the ledger ---------------------------------------------------------------------------------- */

static lapse_status open_family(const struct lapse_crossing *x, int family, uint32_t fields, struct lapse_merge **out,
                                lapse_error *error)
{
    struct lapse_run **runs = lapse_mem_zero(x->mem, x->view->manifest->count + 1, sizeof *runs);
    *out = NULL;
    lapse_status status = runs ? lapse_merge_open(x->view->store, runs, lapse_manifest_family(x->view->manifest, family, runs),
                                                  fields, NULL, NULL, out, error)
                               : lapse_fail_memory(error);
    lapse_mem_free(x->mem, runs);
    return status;
}

static struct lapse_text id_at(const struct lapse_crossing *x, uint32_t at)
{
    return (struct lapse_text){ x->ids.data + at + 1, (uint8_t)x->ids.data[at] };
}

/* Notes those who name an address, if they are several. */
static bool note_sharers(struct lapse_crossing *x, const struct lapse_group *g)
{
    struct lapse_text first = lapse_columns_text(g->columns, LAPSE_F_REF, g->first);
    bool shared = false, ok = true;
    for (size_t i = g->first; i < g->first + (size_t)g->count && !shared; i++) {
        struct lapse_text id = lapse_columns_text(g->columns, LAPSE_F_REF, i);
        shared = !lapse_text_equal(id, first);
    }
    if (!shared)
        return true;
    ok = lapse_mem_reserve(x->mem, &x->keys, &x->key_capacity, x->key_count + 1, sizeof *x->keys);
    if (ok)
        memcpy(x->keys[x->key_count++], g->key.data, LAPSE_ADDRESS_KEY);
    for (size_t i = g->first; i < g->first + (size_t)g->count && ok; i++) {
        struct lapse_text id = lapse_columns_text(g->columns, LAPSE_F_REF, i);
        ok = lapse_mem_reserve(x->mem, &x->who, &x->who_capacity, x->who_count + 1, sizeof *x->who);
        if (!ok)
            break;
        x->who[x->who_count++] = (uint32_t)x->ids.size;
        lapse_buffer_byte(&x->ids, (uint8_t)id.size);
        lapse_buffer_put(&x->ids, id.data, id.size);
    }
    return ok && !x->ids.failed;
}

static bool note_kept(struct lapse_crossing *x, const struct lapse_group *g)
{
    bool ok = true;
    for (size_t i = g->first; i < g->first + (size_t)g->count && ok; i++)
        ok = put_kept(x, g->key, g->columns, i);
    return ok;
}

/* Each group of a family, or only those of `count` ascending addresses, of which the key is the first `size` bytes. */
static lapse_status each_group(struct lapse_crossing *x, int family, const struct lapse_text *addresses, size_t count,
                               uint32_t size, bool (*note)(struct lapse_crossing *x, const struct lapse_group *g),
                               lapse_error *error)
{
    const struct lapse_group *g = NULL;
    struct lapse_merge *merge;
    lapse_status status = open_family(x, family, lapse_families[family].allowed, &merge, error);
    if (!addresses)
        while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK)
            status = note(x, g) ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; i < count && status == LAPSE_OK; i++) {
        struct lapse_text key = { addresses[i].data, size };
        if (i > 0 && memcmp(addresses[i - 1].data, key.data, size) == 0)
            continue;
        status = lapse_merge_find(merge, key, &g, error);
        if (status == LAPSE_OK && g && !note(x, g))
            status = lapse_fail_memory(error);
    }
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* ---- from the histories of those who share -------------------------------------------------------------------------- */

static int order_who(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_crossing *x = user;
    struct lapse_text p = id_at(x, x->who[a]), q = id_at(x, x->who[b]);
    return lapse_text_order(p, q);
}

static bool is_shared(const struct lapse_crossing *x, struct lapse_text address)
{
    size_t low = 0, high = x->key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(x->keys[middle], address.data, LAPSE_ADDRESS_KEY) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->key_count && memcmp(x->keys[low], address.data, LAPSE_ADDRESS_KEY) == 0;
}

static bool take_history(struct lapse_crossing *x, struct lapse_addresses *a, const struct lapse_history *h, uint32_t who)
{
    struct lapse_columns c;
    if (!lapse_addresses_read(a, h, LAPSE_CARRIES_TO_HOLDERS))
        return false;
    lapse_history_columns(h, LAPSE_ALL_FIELDS, &c);
    for (size_t i = 0; i < a->carried_count; i++) {
        const struct lapse_carried *e = &a->carried[i];
        if (is_shared(x, e->address) &&
            !put_entry(x, e->address, e->channel, who + 1, h->customer.size, &c, (size_t)e->row))
            return false;
    }
    return true;
}

static lapse_status read_sharers(struct lapse_crossing *x, lapse_error *error)
{
    struct lapse_addresses a = { .mem = x->mem };
    struct lapse_cursor *cursor;
    const struct lapse_history *h = NULL;
    size_t n = x->who_count;
    if (n == 0)
        return LAPSE_OK;
    uint32_t *order = lapse_mem_alloc(x->mem, 2 * n * sizeof *order);
    if (!order)
        return lapse_fail_memory(error);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    lapse_sort_indices(order, n, order + n, order_who, x);
    lapse_status status = lapse_cursor_open(x->view, LAPSE_ALL_FIELDS, NULL, NULL, &cursor, error);
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        struct lapse_text id = id_at(x, x->who[order[i]]);
        if (i > 0 && order_who(x, order[i - 1], order[i]) == 0)
            continue;
        status = lapse_cursor_find(cursor, id, &h, error);
        if (status == LAPSE_OK && h && !take_history(x, &a, h, x->who[order[i]]))
            status = lapse_fail_memory(error);
    }
    lapse_cursor_close(cursor);
    lapse_addresses_free(&a);
    lapse_mem_free(x->mem, order);
    return status;
}

/* ---- all of it, or that of one ---------------------------------------------------------------------------------------- */

static bool has_family(const lapse_view *view, int family)
{
    bool has = false;
    for (size_t i = 0; i < view->manifest->count && !has; i++)
        has = view->manifest->runs[i]->family == family;
    return has;
}

static lapse_status make(lapse_view *view, const struct lapse_text *addresses, size_t count, struct lapse_crossing **out,
                         lapse_error *error)
{
    const lapse_allocator *mem = lapse_view_memory(view);
    struct lapse_crossing *x = lapse_mem_zero(mem, 1, sizeof *x);
    if (!x)
        return lapse_fail_memory(error);
    x->view = view;
    x->mem = mem;
    lapse_rows_init(&x->rows, mem);
    lapse_buffer_init(&x->ids, mem);
    lapse_status status = LAPSE_OK;
    if (has_family(view, LAPSE_RUN_ADDRESSES))
        status = each_group(x, LAPSE_RUN_ADDRESSES, addresses, count, LAPSE_ADDRESS_KEY, note_sharers, error);
    if (status == LAPSE_OK && has_family(view, LAPSE_RUN_LEDGER))
        status = each_group(x, LAPSE_RUN_LEDGER, addresses, count, LAPSE_ENDPOINT_SIZE, note_kept, error);
    if (status == LAPSE_OK)
        status = read_sharers(x, error);
    if (status == LAPSE_OK && x->count && !sort_entries(x))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK && x->count)
        *out = x;
    else
        lapse_crossing_free(x);
    return status;
}

lapse_status lapse_crossing_of_all(lapse_view *view, struct lapse_crossing **out, lapse_error *error)
{
    *out = NULL;
    if (!has_family(view, LAPSE_RUN_ADDRESSES))
        return LAPSE_OK; /* nobody holds an address */
    return make(view, NULL, 0, out, error);
}

static int order_holds(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_hold *holds = user;
    return memcmp(holds[a].address.data, holds[b].address.data, LAPSE_ENDPOINT_SIZE);
}

lapse_status lapse_crossing_of_one(lapse_view *view, const struct lapse_history *h, struct lapse_crossing **out,
                                   lapse_error *error)
{
    *out = NULL;
    if (!has_family(view, LAPSE_RUN_ADDRESSES))
        return LAPSE_OK;
    struct lapse_addresses a = { .mem = lapse_view_memory(view) };
    lapse_status status = lapse_addresses_read(&a, h, LAPSE_CARRIES_NOTHING) ? LAPSE_OK : lapse_fail_memory(error);
    size_t n = a.hold_count;
    uint32_t *order = n ? lapse_mem_alloc(a.mem, 2 * n * sizeof *order) : NULL;
    struct lapse_text *addresses = n ? lapse_mem_alloc(a.mem, n * sizeof *addresses) : NULL;
    if (status == LAPSE_OK && n && (!order || !addresses))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK && n) {
        for (size_t i = 0; i < n; i++)
            order[i] = (uint32_t)i;
        lapse_sort_indices(order, n, order + n, order_holds, a.holds);
        for (size_t i = 0; i < n; i++)
            addresses[i] = a.holds[order[i]].address;
        status = make(view, addresses, n, out, error);
    }
    lapse_mem_free(a.mem, order);
    lapse_mem_free(a.mem, addresses);
    lapse_addresses_free(&a);
    return status;
}

/* ---- what one customer gets ---------------------------------------------------------------------------------------------- */

struct lapse_crossed_row {
    uint32_t entry;
    uint8_t channel;
};

/* How many rows of the history come before the instant and rank of an entry. */
static int64_t rows_before(const struct lapse_crossing *x, const struct lapse_columns *own, int64_t count, uint32_t entry)
{
    struct lapse_row a, b;
    lapse_columns_row(&x->columns, entry, (struct lapse_text){ "", 0 }, &b);
    int64_t time = lapse_columns_number(&x->columns, LAPSE_F_TIME, entry), low = 0, high = count;
    uint8_t rank = lapse_row_rank(&b);
    while (low < high) {
        int64_t middle = low + (high - low) / 2, at = own->number[LAPSE_F_TIME][middle];
        bool before = at < time;
        if (at == time) {
            lapse_columns_row(own, (size_t)middle, (struct lapse_text){ "", 0 }, &a);
            before = lapse_row_rank(&a) < rank;
        }
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool concerns(const struct lapse_crossing *x, const struct lapse_hold *hold, const struct lapse_history *h,
                     const struct lapse_columns *own, uint32_t entry)
{
    const struct entry *e = &x->entries[entry];
    struct lapse_text owner = { e->owner_size ? x->ids.data + e->owner : "", e->owner_size };
    if ((e->channel && e->channel != hold->channel) ||
        (owner.size && lapse_text_equal(owner, h->customer)))
        return false;
    int64_t before = rows_before(x, own, h->count, entry);
    uint8_t kind = lapse_columns_name(&x->columns, LAPSE_F_KIND, entry);
    bool later = !owner.size && hold->from >= before; /* taken up afterwards */
    bool then = hold->from < before && hold->to >= before;
    return later || (then && (owner.size || kind == LAPSE_KIND_CONSENT_WITHDRAWN || kind == LAPSE_KIND_MESSAGE_SPAM_REPORTED));
}

static bool collect(const struct lapse_crossing *x, struct lapse_crossed *s, const struct lapse_history *h,
                    const struct lapse_columns *own, size_t *count)
{
    for (size_t i = 0; i < s->addresses.hold_count; i++) {
        const struct lapse_hold *hold = &s->addresses.holds[i];
        size_t low = 0, high = x->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (memcmp(x->entries[x->order[middle]].address, hold->address.data, LAPSE_ENDPOINT_SIZE) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < x->count && memcmp(x->entries[x->order[low]].address, hold->address.data, LAPSE_ENDPOINT_SIZE) == 0; low++) {
            if (!concerns(x, hold, h, own, x->order[low]))
                continue;
            if (!lapse_mem_reserve(s->mem, &s->items, &s->capacity, *count + 1, sizeof *s->items))
                return false;
            s->items[(*count)++] = (struct lapse_crossed_row){ x->order[low], hold->channel };
        }
    }
    return true;
}

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_crossed *s = user;
    return lapse_columns_compare(&s->columns, a, &s->columns, b, 0);
}

/* The rows as a history with every column. */
static bool fill(struct lapse_crossed *s, size_t n)
{
    struct lapse_history *h = &s->history;
    *h = (struct lapse_history){ .count = (int64_t)n };
    s->missing.size = 0;
    if (!lapse_buffer_room(&s->missing, n * 9))
        return false;
    int64_t *numbers = (int64_t *)(void *)s->missing.data;
    for (size_t i = 0; i < n; i++)
        numbers[i] = LAPSE_MISSING;
    memset(numbers + n, 0, n);
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        h->number[f] = s->columns.number[f] ? s->columns.number[f] : numbers;
        h->name[f] = s->columns.name[f] ? s->columns.name[f] : (const uint8_t *)(numbers + n);
        h->text[f] = s->columns.text[f];
    }
    return true;
}

lapse_status lapse_crossing_for(const struct lapse_crossing *x, struct lapse_crossed *s, const struct lapse_history *h,
                                const struct lapse_history **out, lapse_error *error)
{
    struct lapse_columns own;
    size_t count = 0;
    *out = NULL;
    if (!s->mem) {
        s->mem = s->addresses.mem = x->mem;
        lapse_rows_init(&s->rows, x->mem);
        lapse_buffer_init(&s->missing, x->mem);
    }
    lapse_history_columns(h, LAPSE_ALL_FIELDS, &own);
    if (!lapse_addresses_read(&s->addresses, h, LAPSE_CARRIES_NOTHING) || !collect(x, s, h, &own, &count))
        return lapse_fail_memory(error);
    if (count == 0)
        return LAPSE_OK;
    lapse_rows_clear(&s->rows);
    bool ok = lapse_mem_reserve(s->mem, &s->order, &s->order_capacity, 2 * count, sizeof *s->order);
    for (size_t i = 0; i < count && ok; i++) {
        struct lapse_columns c = x->columns;
        size_t entry = s->items[i].entry;
        struct lapse_stretch one = { &c, entry, 1 };
        struct lapse_columns channel = { .fields = LAPSE_FIELD_BIT(LAPSE_F_CHANNEL),
                                         .constant = LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) };
        channel.name[LAPSE_F_CHANNEL] = &s->items[i].channel; /* it is about the channel of the address alone */
        c.name[LAPSE_F_CHANNEL] = NULL;
        c.fields &= ~LAPSE_FIELD_BIT(LAPSE_F_CHANNEL);
        ok = lapse_rows_gather_stretches(&s->rows, &one, 1, LAPSE_ALL_FIELDS, &channel);
        s->order[i] = (uint32_t)i;
    }
    if (ok) {
        lapse_rows_columns(&s->rows, &s->columns);
        lapse_sort_indices(s->order, count, s->order + count, order_rows, s);
        ok = lapse_rows_reorder(&s->rows, s->order, &s->missing);
    }
    if (ok) {
        lapse_rows_columns(&s->rows, &s->columns);
        ok = fill(s, count);
    }
    if (!ok)
        return lapse_fail_memory(error);
    *out = &s->history;
    return LAPSE_OK;
}

int lapse_crossed_compare(const struct lapse_crossing *x, const struct lapse_crossed *s, const struct lapse_history *h,
                          int64_t i, int64_t j)
{
    int64_t a = h->number[LAPSE_F_TIME][i], b = s->history.number[LAPSE_F_TIME][j];
    struct lapse_columns own;
    if (a != b)
        return a < b ? -1 : 1;
    lapse_history_columns(h, LAPSE_ALL_FIELDS, &own);
    return lapse_columns_compare(&own, (size_t)i, &s->columns, (size_t)j, x->view->store->digits);
}

void lapse_crossed_free(struct lapse_crossed *s)
{
    if (!s->mem)
        return;
    lapse_addresses_free(&s->addresses);
    lapse_rows_free(&s->rows);
    lapse_buffer_free(&s->missing);
    lapse_mem_free(s->mem, s->items);
    lapse_mem_free(s->mem, s->order);
    *s = (struct lapse_crossed){ 0 };
}
