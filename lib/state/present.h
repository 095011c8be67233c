/* Shared by present.c, advance.c, outbox.c and their tests only: regions and keys as they are told to the host. */
#ifndef LAPSE_LIB_STATE_PRESENT_H
#define LAPSE_LIB_STATE_PRESENT_H

#include "state/state.h"
#include "store/telling.h"

/* In the order in which changes of one instant are told (rulings V2). Numbers are stored: never changed, never reused.
 * Regions of later releases have their places. */
enum {
    LAPSE_TOLD_STAGE = 1, LAPSE_TOLD_ENGAGEMENT, LAPSE_TOLD_PURCHASE, LAPSE_TOLD_MEMBERSHIP, LAPSE_TOLD_CASE,
    LAPSE_TOLD_IDENTITY, LAPSE_TOLD_TIER, LAPSE_TOLD_CART, LAPSE_TOLD_ACCOUNT, LAPSE_TOLD_RIGHTS, LAPSE_TOLD_CONSENT,
    LAPSE_TOLD_ENDPOINT, LAPSE_TOLD_SUNSET, LAPSE_TOLD_REGIONS
};
struct lapse_told_region {
    const char *name;                 /* NULL: not in this release */
    int32_t initial;                  /* of a key of which nothing was told (V1) */
    const char *(*name_of)(int32_t);  /* of its states */
};
extern const struct lapse_told_region lapse_told_regions[LAPSE_TOLD_REGIONS];
extern const uint32_t lapse_present_regions; /* the regions of a person that it is read from */

enum { LAPSE_TOLD_KEY_ROOM = 1024 };
int lapse_told_key_compare(const struct lapse_told_key *a, const struct lapse_told_key *b);
size_t lapse_told_key_format(const struct lapse_told_key *key, char *out); /* LAPSE_TOLD_KEY_ROOM bytes; no NUL */

struct lapse_present {
    struct lapse_told_key key; /* its texts are those of the history */
    int32_t state;
    int64_t since;
    uint8_t kind;              /* of the event that began it; 0: time did */
};
/* Scratch of one thread, for one customer after the other. */
struct lapse_presents {
    const lapse_allocator *mem;
    struct lapse_present *items;
    size_t count, capacity;
    uint32_t *order;           /* of items, by key */
    size_t order_capacity;
    int64_t first_time;        /* of the customer's first event */
    uint8_t first_kind;
    struct lapse_track track;
};
void lapse_presents_init(struct lapse_presents *presents, const lapse_allocator *mem);
void lapse_presents_free(struct lapse_presents *presents);
/* Of a person with lapse_present_regions, folded, who has events. */
lapse_status lapse_presents_read(struct lapse_presents *presents, const struct lapse_person *person, lapse_error *error);
/* The next instant at which time alone changes some of it; LAPSE_NEVER. */
int64_t lapse_present_deadline(const struct lapse_person *person);

#endif
