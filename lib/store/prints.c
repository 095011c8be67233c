/* The fingerprints of staged rows with ids, taken while a block of a staged run is in memory.
 *
 * 32 bytes a row up to a sixteenth of the memory limit. What comes beyond is dealt out by the first byte of the
 * fingerprint and put aside in blobs, 256 at a time, so that a 256th of any number can be judged at once in memory.
 * Cost: two SipHashes a row; a row put aside is written and read once. */
#include "store/identity.h"

struct lapse_prints *lapse_prints_new(const struct lapse_store *store)
{
    struct lapse_prints *p = lapse_mem_zero(&store->mem, 1, sizeof *p);
    if (!p)
        return NULL;
    p->mem = &store->mem;
    p->file = store->file;
    memcpy(p->key, store->key, sizeof p->key);
    p->limit = (size_t)store->memory_limit / 16 / sizeof *p->v;
    lapse_buffer_init(&p->scratch, p->mem);
    return p;
}

void lapse_prints_free(struct lapse_prints *p)
{
    if (!p)
        return;
    lapse_buffer_free(&p->scratch);
    lapse_mem_free(p->mem, p->v);
    lapse_mem_free(p->mem, p->spills);
    lapse_mem_free(p->mem, p);
}

/* Everything of a row but its source and event_id (rulings F12). 32 bits: they only tell a duplicate from a conflict. */
static uint32_t content_of(const uint8_t key[16], struct lapse_text customer, const struct lapse_columns *c, size_t i,
                           struct lapse_buffer *b)
{
    uint8_t hash[16];
    b->size = 0;
    lapse_buffer_byte(b, (uint8_t)customer.size);
    lapse_buffer_put(b, customer.data, customer.size);
    for (int f = 0; f < LAPSE_F_SOURCE; f++) {
        if (!(c->fields & LAPSE_FIELD_BIT(f)))
            continue;
        int64_t number = lapse_columns_number(c, f, i);
        uint8_t name = lapse_columns_name(c, f, i);
        struct lapse_text text = lapse_columns_text(c, f, i);
        if (number == LAPSE_MISSING && !name && !text.size)
            continue;
        uint8_t head[10] = { (uint8_t)f, c->name[f] ? name : (uint8_t)text.size };
        for (int k = 0; k < 8; k++)
            head[2 + k] = (uint8_t)((uint64_t)number >> 8 * k);
        lapse_buffer_put(b, head, c->number[f] ? 10 : 2);
        lapse_buffer_put(b, text.data, text.size);
    }
    lapse_siphash(key, b->data, b->size, hash);
    return (uint32_t)hash[0] | (uint32_t)hash[1] << 8 | (uint32_t)hash[2] << 16 | (uint32_t)hash[3] << 24;
}

bool lapse_identity_of(const uint8_t key[32], struct lapse_text customer, const struct lapse_columns *c, size_t i,
                       struct lapse_buffer *scratch, uint8_t print[LAPSE_PRINT_SIZE], uint32_t *content)
{
    lapse_print_bytes(key, lapse_columns_text(c, LAPSE_F_SOURCE, i), lapse_columns_text(c, LAPSE_F_EVENT_ID, i), print);
    *content = content_of(key + 16, customer, c, i, scratch);
    return !scratch->failed;
}

static bool take(struct lapse_prints *p, struct lapse_text customer, const struct lapse_columns *c, size_t i, int64_t row)
{
    uint8_t bytes[LAPSE_PRINT_SIZE];
    uint32_t content;
    if (!lapse_columns_text(c, LAPSE_F_EVENT_ID, i).size)
        return true;
    if (!lapse_mem_reserve(p->mem, &p->v, &p->capacity, p->count + 1, sizeof *p->v) ||
        !lapse_identity_of(p->key, customer, c, i, &p->scratch, bytes, &content))
        return false;
    struct lapse_print *print = &p->v[p->count++];
    *print = (struct lapse_print){ .row = (uint32_t)row, .content = content,
                                   .line = lapse_columns_number(c, LAPSE_F_LINE, i) };
    for (int k = 0; k < LAPSE_PRINT_SIZE; k++) {
        print->high = k < 8 ? print->high << 8 | bytes[k] : print->high;
        print->low = k < 8 ? 0 : print->low << 8 | bytes[k];
    }
    p->total++;
    return true;
}

lapse_status lapse_prints_take(struct lapse_prints *p, const struct lapse_keys *keys, const struct lapse_columns *c,
                               int64_t row, lapse_error *error)
{
    for (uint32_t k = 0; k < keys->count; k++)
        for (uint32_t i = keys->start[k]; i < keys->start[k + 1]; i++)
            if (!take(p, lapse_keys_text(keys, k), c, i, row + i))
                return lapse_fail_memory(error);
    return p->count >= p->limit ? lapse_prints_spill(p, error) : LAPSE_OK;
}

lapse_status lapse_prints_spill(struct lapse_prints *p, lapse_error *error)
{
    size_t end[256] = { 0 }, n = p->count;
    uint32_t *order = lapse_mem_alloc(p->mem, (n + 1) * sizeof *order);
    if (!order || !lapse_mem_reserve(p->mem, &p->spills, &p->spill_capacity, p->spill_count + 1, sizeof *p->spills)) {
        lapse_mem_free(p->mem, order);
        return lapse_fail_memory(error);
    }
    struct lapse_prints_spill *spill = &p->spills[p->spill_count];
    memset(spill, 0, sizeof *spill);
    for (size_t i = 0; i < n; i++)
        spill->count[p->v[i].high >> 56]++;
    for (int s = 1; s < 256; s++)
        end[s] = end[s - 1] + spill->count[s - 1];
    for (size_t i = 0; i < n; i++)
        order[end[p->v[i].high >> 56]++] = (uint32_t)i;
    lapse_status status = LAPSE_OK;
    for (size_t s = 0, i = 0; s < 256 && status == LAPSE_OK; s++) {
        p->scratch.size = 0;
        for (; i < end[s]; i++)
            lapse_buffer_put(&p->scratch, &p->v[order[i]], sizeof *p->v);
        if (p->scratch.failed)
            status = lapse_fail_memory(error);
        else if (spill->count[s])
            status = lapse_file_put_block(p->file, p->scratch.data, p->scratch.size, &spill->id[s], error);
    }
    lapse_mem_free(p->mem, order);
    if (status == LAPSE_OK) {
        p->spill_count++;
        p->count = 0;
    }
    return status;
}

lapse_status lapse_prints_slice(struct lapse_prints *p, int slice, struct lapse_print **out, size_t *count,
                                size_t *capacity, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < p->spill_count && status == LAPSE_OK; i++) {
        size_t n = p->spills[i].count[slice];
        if (n == 0)
            continue;
        status = lapse_file_get_block(p->file, p->spills[i].id[slice], &p->scratch, error);
        if (status == LAPSE_OK && p->scratch.size != n * sizeof **out)
            status = lapse_fail(error, LAPSE_DAMAGED, "fingerprints put aside are not as they were");
        if (status == LAPSE_OK && !lapse_mem_reserve(p->mem, out, capacity, *count + n, sizeof **out))
            status = lapse_fail_memory(error);
        if (status != LAPSE_OK)
            break;
        memcpy(*out + *count, p->scratch.data, p->scratch.size);
        *count += n;
        status = lapse_file_drop_blocks(p->file, &p->spills[i].id[slice], 1, error);
    }
    return status;
}

lapse_status lapse_prints_absorb(struct lapse_prints *to, struct lapse_prints *from, lapse_error *error)
{
    if (!lapse_mem_reserve(to->mem, &to->v, &to->capacity, to->count + from->count, sizeof *to->v) ||
        !lapse_mem_reserve(to->mem, &to->spills, &to->spill_capacity, to->spill_count + from->spill_count,
                           sizeof *to->spills))
        return lapse_fail_memory(error);
    if (from->count)
        memcpy(to->v + to->count, from->v, from->count * sizeof *to->v);
    if (from->spill_count)
        memcpy(to->spills + to->spill_count, from->spills, from->spill_count * sizeof *to->spills);
    to->count += from->count;
    to->spill_count += from->spill_count;
    to->total += from->total;
    from->count = from->spill_count = 0;
    from->total = 0;
    return to->count >= to->limit ? lapse_prints_spill(to, error) : LAPSE_OK;
}
