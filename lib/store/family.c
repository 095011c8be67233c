/* What is kept as runs, as one table: families differ in what their keys are, in their columns and in what helps to find
 * rows again; one writer, one merger, one reader and one verifier serve them all. */
#include "store/identity.h"

const struct lapse_family lapse_families[LAPSE_FAMILIES] = {
    [LAPSE_RUN_EVENTS] = {
        .keys = "customers",
        .text = true,
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
        .text = true,
        .filter = LAPSE_FILTER_OF_LATEST,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND),
        .allowed = LAPSE_ALL_FIELDS,
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
        .block_rows = 1024,
        .published = true,
        .forget = LAPSE_FORGET_ADDRESSES,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_REF),
        .allowed = LAPSE_FIELD_BIT(LAPSE_F_REF),
    },
    [LAPSE_RUN_LEDGER] = {
        .keys = "addresses of the forgotten",
        .key_size = LAPSE_ENDPOINT_SIZE,
        .block_rows = 1024,
        .published = true,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND),
        .allowed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) |
                   LAPSE_FIELD_BIT(LAPSE_F_PURPOSE),
    },
};
