/* One run under verification: each of its blocks against its checksum, its encoding, the directory and the rules that every
 * row keeps, and against the block before. Of a block the first fault is told, and the next block is looked at all the
 * same. */
#include <stdio.h>

#include "store/identity.h"
#include "store/verify.h"

/* What is known about the run from its good blocks. */
struct seen {
    bool nameless;
    bool all;     /* no block has a fault */
    bool before;  /* the block looked at last was good, and is decoded */
};

/* A key for a person: a customer as it is, a fingerprint as its digits. */
static void put_key(struct lapse_buffer *out, const struct lapse_run *run, struct lapse_text key)
{
    static const char hex[] = "0123456789abcdef";
    bool text = lapse_families[run->family].kind == LAPSE_KEYS_CUSTOMERS && lapse_utf8_valid(key.data, key.size);
    if (text)
        lapse_buffer_byte(out, '"');
    for (uint32_t i = 0; i < key.size && !text; i++) {
        lapse_buffer_byte(out, (uint8_t)hex[(uint8_t)key.data[i] >> 4]);
        lapse_buffer_byte(out, (uint8_t)hex[key.data[i] & 15]);
    }
    if (text) {
        lapse_buffer_put(out, key.data, key.size);
        lapse_buffer_byte(out, '"');
    }
}

static lapse_status tell(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_run_block *b,
                         const char *what, lapse_error *error)
{
    v->scratch.size = 0;
    put_key(&v->scratch, run, b->first_key);
    lapse_buffer_text(&v->scratch, " to ");
    put_key(&v->scratch, run, b->last_key);
    lapse_buffer_byte(&v->scratch, 0);
    if (v->scratch.failed)
        return lapse_fail_memory(error);
    return lapse_verify_note(v, error, "run %lld, block %lld, %s %s: %s", (long long)run->id, (long long)b->id,
                             lapse_families[run->family].keys, v->scratch.data, what);
}

/* ---- what can be wrong with a block; NULL: nothing -------------------------------------------------------------- */

static const char *check_shape(const struct lapse_run *run, const struct lapse_run_block *b,
                               const struct lapse_block *block)
{
    const struct lapse_family *family = &lapse_families[run->family];
    if (block->rows != b->rows || block->keys.count != b->keys)
        return "its directory counts other rows or keys";
    if (!lapse_text_equal(lapse_keys_text(&block->keys, 0), b->first_key) ||
        !lapse_text_equal(lapse_keys_text(&block->keys, block->keys.count - 1), b->last_key))
        return "its directory names other keys";
    if ((block->fields & family->needed) != family->needed || block->fields & ~family->allowed)
        return "it has not the columns of its family";
    if (block->fields & ~run->fields)
        return "it has columns that its directory does not know";
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (uint32_t i = 0; block->fields & LAPSE_FIELD_BIT(LAPSE_F_TIME) && i < block->rows; i++) {
        int64_t time = lapse_columns_number(&block->columns, LAPSE_F_TIME, i);
        first = time < first ? time : first;
        last = time > last ? time : last;
    }
    return first != b->first_time || last != b->last_time ? "its directory names other times" : NULL;
}

static const char *check_source(const struct lapse_run *run, const struct lapse_columns *c, uint32_t i, struct seen *seen)
{
    struct lapse_text source = lapse_columns_text(c, LAPSE_F_SOURCE, i);
    if (lapse_columns_text(c, LAPSE_F_EVENT_ID, i).size)
        return NULL;
    seen->nameless |= source.size == 0;
    if (i > 0 && lapse_text_equal(source, lapse_columns_text(c, LAPSE_F_SOURCE, i - 1)) &&
        !lapse_columns_text(c, LAPSE_F_EVENT_ID, i - 1).size)
        return NULL; /* as the row before */
    return lapse_run_has_source(run, source) ? NULL : "its directory does not list the source of one of its rows";
}

/* What readers of events see to before the rules for all events: texts and values that are well-formed. */
static const char *check_forms(const struct lapse_columns *c, uint32_t i)
{
    const char *rule = NULL;
    for (int f = 0; f < LAPSE_FIELDS && !rule; f++) {
        struct lapse_text text = lapse_columns_text(c, f, i);
        if (f == LAPSE_F_ENDPOINT)
            rule = text.size != 0 && text.size != LAPSE_ENDPOINT_SIZE ? "an endpoint is no hash" : NULL;
        else
            lapse_text_check(text.data, text.size, &rule);
    }
    int64_t value = lapse_columns_number(c, LAPSE_F_VALUE, i);
    if (!rule && value != LAPSE_MISSING && !lapse_value_check(lapse_value_of_bits(value)))
        rule = "a value is a decimal of at most 15 significant digits";
    return rule;
}

/* The rows of one customer: c has her as a constant. */
static const char *check_rules(const struct lapse_verify *v, const struct lapse_columns *c, uint32_t first, uint32_t n)
{
    const struct lapse_check check = { .latest = INT64_MAX, .digits = v->store.digits };
    struct lapse_flaws flaws = { 0 };
    for (uint32_t at = 0; at < n; at += LAPSE_BLOCK) {
        uint32_t some = n - at < LAPSE_BLOCK ? n - at : LAPSE_BLOCK;
        lapse_columns_check(c, first + at, some, &check, &flaws);
        for (uint32_t i = 0; flaws.count && i < some; i++)
            if (flaws.row[i].rule)
                return flaws.row[i].rule;
    }
    return NULL;
}

static const char *check_events(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block,
                                struct seen *seen)
{
    const struct lapse_keys *keys = &block->keys;
    struct lapse_columns c = block->columns;
    const char *fault = NULL;
    c.fields |= LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER);
    c.constant |= LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER);
    for (uint32_t k = 0; k < keys->count && !fault; k++) {
        struct lapse_text customer = lapse_keys_text(keys, k);
        uint32_t first = keys->start[k], end = keys->start[k + 1];
        c.text[LAPSE_F_CUSTOMER] = (struct lapse_text_column){ keys->data, &keys->begin[k], &keys->length[k], NULL };
        if (lapse_text_check(customer.data, customer.size, &fault))
            fault = check_rules(v, &c, first, end - first);
        for (uint32_t i = first; i < end && !fault; i++) {
            fault = check_forms(&c, i);
            if (!fault && i > first && lapse_columns_compare(&c, i - 1, &c, i, v->store.digits) > 0)
                fault = "its rows are not in order";
            if (!fault)
                fault = check_source(run, &c, i, seen);
        }
    }
    return fault;
}

/* Rows that are no events. */
static const char *check_hashes(const struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block)
{
    const struct lapse_keys *keys = &block->keys;
    for (uint32_t k = 0; k < keys->count; k++) {
        if (keys->length[k] != lapse_families[run->family].key_size)
            return "one of its keys has not the length of one";
        for (uint32_t i = keys->start[k] + 1; i < keys->start[k + 1]; i++)
            if (lapse_columns_compare(&block->columns, i - 1, &block->columns, i, v->store.digits) > 0)
                return "its rows are not in order";
    }
    return run->family == LAPSE_RUN_FINGERPRINTS && keys->count != block->rows ? "an identity is there twice" : NULL;
}

/* The last key of a block may go on in the next. */
static const char *check_border(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *before,
                                const struct lapse_block *block)
{
    if (!lapse_text_equal(lapse_keys_text(&before->keys, before->keys.count - 1), lapse_keys_text(&block->keys, 0)))
        return NULL; /* the directory has them in order, or it could not have been read */
    if (run->family == LAPSE_RUN_FINGERPRINTS)
        return "an identity is there twice";
    return lapse_columns_compare(&before->columns, before->rows - 1, &block->columns, 0, v->store.digits) > 0
               ? "its rows are not in order after those of the block before" : NULL;
}

/* ---- identities -------------------------------------------------------------------------------------------------- */

static void add_identity(struct lapse_verify *v, const uint8_t key[LAPSE_PRINT_SIZE], uint64_t content, int which)
{
    struct lapse_identities *s = &v->identities[key[0]][which];
    s->count++;
    s->sum += lapse_hash(key, LAPSE_PRINT_SIZE, lapse_hash(&content, sizeof content, 1));
}

/* Of an event its address and customer, of the index the same. */
static void add_addresses(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block)
{
    const struct lapse_columns *c = &block->columns;
    bool index = run->family == LAPSE_RUN_ADDRESSES;
    for (uint32_t k = 0; k < block->keys.count; k++)
        for (uint32_t i = block->keys.start[k]; i < block->keys.start[k + 1]; i++) {
            struct lapse_text address = lapse_keys_text(&block->keys, k), customer = lapse_columns_text(c, LAPSE_F_REF, i);
            if (!index && !lapse_address_named(c, i))
                continue;
            if (!index) {
                customer = address;
                address = lapse_columns_text(c, LAPSE_F_ENDPOINT, i);
            }
            v->addresses[index].count++;
            v->addresses[index].sum += lapse_hash(customer.data, customer.size, lapse_hash(address.data, LAPSE_ADDRESS_KEY, 2));
        }
}

static bool add_identities(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block)
{
    const struct lapse_columns *c = &block->columns;
    bool ok = true;
    if (run->family == LAPSE_RUN_EVENTS || run->family == LAPSE_RUN_ADDRESSES)
        add_addresses(v, run, block);
    if (run->family != LAPSE_RUN_EVENTS && run->family != LAPSE_RUN_FINGERPRINTS)
        return true;
    for (uint32_t k = 0; k < block->keys.count && ok; k++) {
        struct lapse_text key = lapse_keys_text(&block->keys, k);
        if (run->family == LAPSE_RUN_FINGERPRINTS) {
            add_identity(v, (const uint8_t *)key.data, (uint64_t)lapse_columns_number(c, LAPSE_F_VALUE, k), 1);
            continue;
        }
        for (uint32_t i = block->keys.start[k]; i < block->keys.start[k + 1] && ok; i++) {
            uint8_t print[LAPSE_PRINT_SIZE];
            uint32_t content;
            if (!lapse_columns_text(c, LAPSE_F_EVENT_ID, i).size)
                continue;
            ok = lapse_identity_of(v->store.key, key, c, i, &v->scratch, print, &content);
            if (ok)
                add_identity(v, print, content, 0);
        }
    }
    return ok;
}

/* ---- the run -------------------------------------------------------------------------------------------------------- */

static lapse_status check_block(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_run_block *b,
                                struct seen *seen, lapse_error *error)
{
    struct lapse_block before = v->block[0], *block = &v->block[0];
    const char *fault = NULL;
    lapse_error why = { .size = sizeof why };
    v->block[0] = v->block[1];
    v->block[1] = before;
    block->bytes.size = 0;
    lapse_status status = lapse_file_get_block(run->file, b->id, &block->bytes, &why);
    if (status == LAPSE_STALE)
        fault = "it is missing";
    else if (status == LAPSE_DAMAGED)
        fault = why.message;
    else if (status != LAPSE_OK)
        return lapse_fail_again(error, &why);
    else if (lapse_hash(block->bytes.data, block->bytes.size, (uint64_t)b->id) != b->checksum)
        fault = "its checksum is another";
    else if (!lapse_block_decode(block, LAPSE_ALL_FIELDS) && !block->bytes.failed)
        fault = "it cannot be decoded";
    if (block->bytes.failed)
        return lapse_fail_memory(error);
    if (!fault)
        fault = check_shape(run, b, block);
    if (!fault)
        fault = run->family == LAPSE_RUN_EVENTS              ? check_events(v, run, block, seen)
                : lapse_families[run->family].key_size != 0  ? check_hashes(v, run, block)
                                                             : lapse_verify_telling(v, run, block);
    if (!fault && seen->before)
        fault = check_border(v, run, &v->block[1], block);
    seen->before = !fault;
    if (fault) {
        seen->all = false;
        return tell(v, run, b, fault, error);
    }
    v->blocks++;
    v->events += run->family == LAPSE_RUN_EVENTS ? b->rows : 0;
    return add_identities(v, run, block) ? LAPSE_OK : lapse_fail_memory(error);
}

/* The blobs of its filter. */
static lapse_status check_filter(struct lapse_verify *v, const struct lapse_run *run, lapse_error *error)
{
    struct lapse_buffer *bytes = &v->block[0].bytes;
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; run->filter && i < run->filter->count && status == LAPSE_OK; i++) {
        const struct lapse_filter_part *part = &run->filter->parts[i];
        lapse_error why = { .size = sizeof why };
        status = lapse_file_get_block(run->file, part->id, bytes, &why);
        bool sound = status == LAPSE_OK && bytes->size == part->size &&
                     lapse_hash(bytes->data, bytes->size, (uint64_t)part->id) == part->checksum;
        if (status != LAPSE_OK && status != LAPSE_STALE && status != LAPSE_DAMAGED)
            return lapse_fail_again(error, &why);
        status = sound ? LAPSE_OK : lapse_verify_note(v, error, "run %lld: part %lld of its filter is damaged",
                                                      (long long)run->id, (long long)part->id);
    }
    return status;
}

lapse_status lapse_verify_run(struct lapse_verify *v, struct lapse_run *run, lapse_error *error)
{
    struct seen seen = { .all = true };
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < run->block_count && status == LAPSE_OK;) {
        uint32_t rows = run->blocks[i].rows;
        status = check_block(v, run, &run->blocks[i], &seen, error);
        if (v->salvage && !seen.before)
            lapse_run_lose_block(run, i);
        else
            i++;
        if (status == LAPSE_OK)
            status = lapse_upkeep_go_on(&v->upkeep, rows, error);
    }
    if (v->salvage)
        return status;
    if (status == LAPSE_OK)
        status = check_filter(v, run, error);
    if (status != LAPSE_OK || !seen.all)
        return status;
    /* That no row has what the directory lists is no fault: rows may have fallen out since. */
    if (run->family == LAPSE_RUN_EVENTS && seen.nameless && !run->nameless_source)
        status = lapse_verify_note(v, error, "run %lld: its directory is wrong about events without a source",
                                   (long long)run->id);
    return status;
}
