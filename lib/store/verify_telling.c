/* Verification of what was told: keys and rows of these families, and that told states, deadlines, records and the last
 * call belong together. What states and regions mean is known to lib/state alone, which looks again when it reads them. */
#include "store/telling.h"
#include "store/verify.h"

static bool is_customer(struct lapse_text id)
{
    const char *rule;
    return id.size > 0 && lapse_text_check(id.data, id.size, &rule);
}

/* The first row of each version is its head, and numbers count up from it. */
static const char *check_told(struct lapse_verify *v, const struct lapse_block *block, uint32_t first, uint32_t end,
                              bool begins)
{
    const int64_t places = (INT64_C(1) << LAPSE_VERSION_SHIFT) - 1;
    int64_t before = -1;
    for (uint32_t i = first; i < end; i++) {
        int64_t time = lapse_columns_number(&block->columns, LAPSE_F_TIME, i);
        int64_t region = lapse_columns_number(&block->columns, LAPSE_T_REGION, i);
        bool head = (time & places) == 0, same = before >= 0 && time == before + 1;
        if (time < 0 || region < 0 || head != (region == 0) || (!head && !same && (begins || i > first)))
            return "a row is not of the version of the rows before it";
        before = time;
        v->last_version = time >> LAPSE_VERSION_SHIFT > v->last_version ? time >> LAPSE_VERSION_SHIFT : v->last_version;
    }
    return NULL;
}

static const char *check_numbered(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block,
                                  struct lapse_text key, uint32_t first, uint32_t end)
{
    char id[LAPSE_TEXT_MAX];
    int64_t number = lapse_number_of(key);
    if (key.size <= LAPSE_NUMBER_SIZE)
        return "a key is too short for a number and a customer";
    for (uint32_t i = first; i < end; i++) {
        struct lapse_text rest = lapse_columns_text(&block->columns, LAPSE_T_REST, i);
        if (rest.size > LAPSE_NUMBER_SIZE || (rest.size && key.size != LAPSE_TEXT_MAX) ||
            !is_customer(lapse_numbered_customer(key, &block->columns, i, id)))
            return "a key has no customer";
        if (run->family == LAPSE_RUN_DEADLINES && lapse_columns_number(&block->columns, LAPSE_F_TIME, i) != number)
            return "a deadline is at another time";
    }
    if (run->family != LAPSE_RUN_OUTBOX)
        return NULL;
    if (number < 1 || end - first != 1)
        return "a record has no number, or shares it";
    v->last_seq = number > v->last_seq ? number : v->last_seq;
    return NULL;
}

const char *lapse_verify_telling(struct lapse_verify *v, const struct lapse_run *run, const struct lapse_block *block)
{
    const struct lapse_family *family = &lapse_families[run->family];
    const struct lapse_keys *keys = &block->keys;
    const char *fault = NULL;
    for (uint32_t k = 0; k < keys->count && !fault; k++) {
        struct lapse_text key = lapse_keys_text(keys, k);
        uint32_t first = keys->start[k], end = keys->start[k + 1];
        bool goes_on = k == 0; /* perhaps from the block before */
        if (family->kind == LAPSE_KEYS_CUSTOMERS && !is_customer(key))
            fault = "a key is no customer";
        else if (family->kind == LAPSE_KEYS_NUMBERED)
            fault = check_numbered(v, run, block, key, first, end);
        else if (run->family == LAPSE_RUN_TOLD)
            fault = check_told(v, block, first, end, !goes_on);
    }
    v->told |= run->family != LAPSE_RUN_TOUCHED && run->family != LAPSE_RUN_CALLS;
    return fault;
}

/* ---- across runs ------------------------------------------------------------------------------------------------- */

static size_t runs_of(const struct lapse_verify *v, int family, struct lapse_run **out)
{
    size_t n = 0;
    for (size_t i = 0; i < v->run_count; i++)
        if (v->runs[i]->family == family)
            out[n++] = v->runs[i];
    return n;
}

/* No number is given to two records. */
static lapse_status check_records(struct lapse_verify *v, struct lapse_run **runs, lapse_error *error)
{
    struct lapse_merge *merge;
    const struct lapse_group *g;
    int64_t before = 0;
    lapse_status status = lapse_merge_open(&v->store, runs, runs_of(v, LAPSE_RUN_OUTBOX, runs), LAPSE_FIELD_BIT(LAPSE_F_TIME),
                                           NULL, NULL, &merge, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        int64_t seq = lapse_number_of(g->key);
        if (seq == before || g->count != 1)
            status = lapse_verify_note(v, error, "record %lld is there twice", (long long)seq);
        before = seq;
    }
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

lapse_status lapse_verify_tellings(struct lapse_verify *v, lapse_error *error)
{
    struct lapse_call call;
    bool before;
    lapse_error why = { .size = sizeof why };
    struct lapse_manifest *m = lapse_manifest_new(&v->store.mem, v->run_count);
    struct lapse_run **runs = lapse_mem_zero(&v->store.mem, v->run_count + 1, sizeof *runs);
    lapse_status status = m && runs ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; status == LAPSE_OK && i < v->run_count; i++) {
        lapse_run_retain(v->runs[i]);
        m->runs[i] = v->runs[i];
    }
    if (status == LAPSE_OK) {
        status = lapse_call_read(&v->store, m, &call, &before, &why);
        if (status == LAPSE_DAMAGED)
            status = lapse_verify_note(v, error, "%s", why.message);
        else if (status != LAPSE_OK)
            status = lapse_fail_again(error, &why);
        else if (v->told && !before)
            status = lapse_verify_note(v, error, "there are records, told states or deadlines, and no call that made them");
        else if (v->last_version > call.number || v->last_seq >= call.seq)
            status = lapse_verify_note(v, error, "told states or records are of a later call than the last one");
    }
    if (status == LAPSE_OK)
        status = check_records(v, runs, error);
    lapse_manifest_release(m);
    lapse_mem_free(&v->store.mem, runs);
    return status;
}
