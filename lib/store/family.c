/* What is kept as runs, as one table: families differ in what their keys are, in their columns and in what helps to find
 * rows again; one writer, one merger, one reader and one verifier serve them all. */
#include "store/identity.h"
#include "store/telling.h"

#define BIT(f) LAPSE_FIELD_BIT(f)
#define KEY_OF_REGION (BIT(LAPSE_T_REGION) | BIT(LAPSE_F_CHANNEL) | BIT(LAPSE_F_PURPOSE) | BIT(LAPSE_F_TOPIC) | \
                       BIT(LAPSE_F_ENDPOINT) | BIT(LAPSE_F_REF))
#define OF_CHANGES    (BIT(LAPSE_F_TIME) | BIT(LAPSE_T_REGION) | BIT(LAPSE_T_FROM) | BIT(LAPSE_T_TO) | BIT(LAPSE_T_CAUSE))

/* Whoever asks about one customer reads a block: of a fourth of the rows that costs a third of the time, and a pass, which
 * reads four times as many, takes a twentieth longer. */
enum { EVENT_ROWS = 2048 };

const struct lapse_family lapse_families[LAPSE_FAMILIES] = {
    [LAPSE_RUN_EVENTS] = {
        .keys = "customers",
        .kind = LAPSE_KEYS_CUSTOMERS,
        .rows = EVENT_ROWS,
        .published = true,
        .filter = LAPSE_FILTER_OF_LATEST,
        .forget = LAPSE_FORGET_CUSTOMERS,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND),
        .allowed = LAPSE_ALL_FIELDS,
    },
    [LAPSE_RUN_FINGERPRINTS] = {
        .keys = "fingerprints",
        .key_size = LAPSE_PRINT_SIZE,
        .published = true,
        .filter = LAPSE_FILTER_OF_KEYS,
        .forget = LAPSE_FORGET_PRINTS,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_VALUE),
        .allowed = LAPSE_FIELD_BIT(LAPSE_F_VALUE),
    },
    [LAPSE_RUN_STAGED] = {
        .keys = "customers",
        .kind = LAPSE_KEYS_CUSTOMERS,
        .rows = EVENT_ROWS,
        .filter = LAPSE_FILTER_OF_LATEST,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND),
        .allowed = LAPSE_ALL_FIELDS,
    },
    [LAPSE_RUN_TOUCHED] = {
        .keys = "touched customers",
        .kind = LAPSE_KEYS_CUSTOMERS,
        .published = true,
        .forget = LAPSE_FORGET_CUSTOMERS,
        .needed = BIT(LAPSE_F_TIME),
        .allowed = BIT(LAPSE_F_TIME),
    },
    [LAPSE_RUN_TOLD] = { /* small blocks, for most calls look at few customers */
        .keys = "told customers",
        .kind = LAPSE_KEYS_CUSTOMERS,
        .published = true,
        .forget = LAPSE_FORGET_CUSTOMERS,
        .latest = true,
        .rows = 1024,
        .needed = BIT(LAPSE_F_TIME) | BIT(LAPSE_T_REGION),
        .allowed = BIT(LAPSE_F_TIME) | KEY_OF_REGION | BIT(LAPSE_T_STATE) | BIT(LAPSE_T_WAKE) | BIT(LAPSE_T_DEADLINE),
    },
    [LAPSE_RUN_DEADLINES] = {
        .keys = "deadlines",
        .kind = LAPSE_KEYS_NUMBERED,
        .published = true,
        .forget = LAPSE_FORGET_ALL,
        .needed = BIT(LAPSE_F_TIME),
        .allowed = BIT(LAPSE_F_TIME) | BIT(LAPSE_T_REST),
    },
    [LAPSE_RUN_CHANGES] = {
        .keys = "changes",
        .kind = LAPSE_KEYS_NUMBERED,
        .needed = OF_CHANGES,
        .allowed = OF_CHANGES | KEY_OF_REGION | BIT(LAPSE_T_REST),
    },
    [LAPSE_RUN_OUTBOX] = {
        .keys = "records",
        .kind = LAPSE_KEYS_NUMBERED,
        .published = true,
        .forget = LAPSE_FORGET_NUMBERED,
        .needed = OF_CHANGES,
        .allowed = OF_CHANGES | KEY_OF_REGION | BIT(LAPSE_T_REST),
    },
    [LAPSE_RUN_CALLS] = {
        .keys = "calls",
        .published = true,
        .needed = BIT(LAPSE_F_TIME) | BIT(LAPSE_F_AMOUNT) | BIT(LAPSE_F_QUANTITY) | BIT(LAPSE_F_PRICE) |
                  BIT(LAPSE_F_VALUE) | BIT(LAPSE_F_ENDPOINT),
        .allowed = BIT(LAPSE_F_TIME) | BIT(LAPSE_F_AMOUNT) | BIT(LAPSE_F_QUANTITY) | BIT(LAPSE_F_PRICE) |
                   BIT(LAPSE_F_VALUE) | BIT(LAPSE_F_ENDPOINT) | BIT(LAPSE_F_REASON),
    },
    [LAPSE_RUN_TOMBSTONES] = {
        .keys = "tombstones",
        .key_size = LAPSE_TOMB_SIZE,
        .published = true,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_VALUE),
        .allowed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_VALUE),
    },
    [LAPSE_RUN_ADDRESSES] = {
        .keys = "addresses",
        .key_size = LAPSE_ADDRESS_KEY,
        .rows = 1024,
        .published = true,
        .forget = LAPSE_FORGET_ADDRESSES,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_REF),
        .allowed = LAPSE_FIELD_BIT(LAPSE_F_REF),
    },
    [LAPSE_RUN_LEDGER] = {
        .keys = "addresses of the forgotten",
        .key_size = LAPSE_ENDPOINT_SIZE,
        .rows = 1024,
        .published = true,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND),
        .allowed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) |
                   LAPSE_FIELD_BIT(LAPSE_F_PURPOSE),
    },
};
