/* What is kept as runs, as one table: families differ in what their keys are, in their columns and in what helps to find
 * rows again; one writer, one merger, one reader and one verifier serve them all. */
#include "store/store.h"

const struct lapse_family lapse_families[LAPSE_FAMILIES] = {
    [LAPSE_RUN_EVENTS] = {
        .keys = "customers",
        .text = true,
        .published = true,
        .filter = LAPSE_FILTER_OF_LATEST,
        .needed = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND),
        .allowed = LAPSE_ALL_FIELDS,
    },
    [LAPSE_RUN_FINGERPRINTS] = {
        .keys = "fingerprints",
        .published = true,
        .filter = LAPSE_FILTER_OF_KEYS,
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
};
