/* Private header of lib/policy: settings by number for the rooms that use them. */
#ifndef LAPSE_LIB_POLICY_H
#define LAPSE_LIB_POLICY_H

#include <lapse/policy.h>

#include "base/base.h"

/* One for each row of the table in settings.c, in the same order (by name). */
enum lapse_setting {
    LAPSE_SET_ACTIVITY_OPENS,
    LAPSE_SET_BOUNCE_SOFT,
    LAPSE_SET_BOUNCE_SPAN,
    LAPSE_SET_CAP_DAY,
    LAPSE_SET_CAP_WEEK,
    LAPSE_SET_CART_ABANDON,
    LAPSE_SET_CONSENT_IMPORT_NEEDS_EVIDENCE,
    LAPSE_SET_CONSENT_INAPP_IMPLIED,
    LAPSE_SET_CONSENT_TOKEN,
    LAPSE_SET_ENGAGEMENT_INACTIVE,
    LAPSE_SET_ENGAGEMENT_LOST,
    LAPSE_SET_ENGAGEMENT_RISK,
    LAPSE_SET_IMPLIED_CHANNELS,
    LAPSE_SET_IMPLIED_INQUIRY,
    LAPSE_SET_IMPLIED_PURCHASE,
    LAPSE_SET_IMPORT_SKEW,
    LAPSE_SET_LOYALTY_RATING,
    LAPSE_SET_LOYALTY_TIER,
    LAPSE_SET_ORDER_ZERO_IS_VALID,
    LAPSE_SET_PERMIT_ASSUME_ENDPOINT,
    LAPSE_SET_PURCHASE_INACTIVE,
    LAPSE_SET_PURCHASE_LOST,
    LAPSE_SET_PURCHASE_RISK,
    LAPSE_SET_QUIET_FROM,
    LAPSE_SET_QUIET_TO,
    LAPSE_SET_RESPONSE_AFTER,
    LAPSE_SET_RESPONSE_SENDS,
    LAPSE_SET_SUNSET_AFTER,
    LAPSE_SET_SUNSET_LIFT,
    LAPSE_SET_SUNSET_TRIES,
    LAPSE_SETTINGS
};

/* What a setting's text means. */
struct lapse_setting_value {
    int64_t n;        /* of a span: how many `unit`; a flag, a count; bits of a set; seconds since midnight */
    int32_t unit;     /* of a span: LAPSE_UNIT_..., NONE: off */
    double number;    /* a rating */
    const char *text; /* a rating or a tier as written; NULL: off */
};
/* n when off: of a span or a set 0, of a time of day -1. Bits: of implied.channels 1 << LAPSE_CHANNEL_x, of
 * sunset.lift these. */
enum { LAPSE_LIFT_PURCHASE = 1 << 1, LAPSE_LIFT_VISIT = 1 << 2 };

/* policy may be NULL: the default. The value lives as long as the policy and is not set again. */
struct lapse_setting_value lapse_policy_value(const lapse_policy *policy, enum lapse_setting setting);

/* ---- settings.c: the table of settings, and the grammar of their values; for policy.c ------------------- */

enum lapse_setting_kind {
    LAPSE_SETTING_SPAN, LAPSE_SETTING_FLAG, LAPSE_SETTING_COUNT, LAPSE_SETTING_CHANNELS, LAPSE_SETTING_ACTS,
    LAPSE_SETTING_CLOCK, LAPSE_SETTING_RATING, LAPSE_SETTING_TIER
};
struct lapse_setting_info {
    const char *name;
    enum lapse_setting_kind kind;
    bool may_be_off;
    int64_t least;                     /* of a count, and of the number in a span */
    const char *text;                  /* the default in its normal form ... */
    struct lapse_setting_value value;  /* ... and what it means */
    const char *origin;                /* where the default comes from */
};
extern const struct lapse_setting_info lapse_settings[LAPSE_SETTINGS];

enum { LAPSE_SETTING_ROOM = 256 }; /* for a value and its NUL */

/* The setting of that name, -1: none. */
int lapse_setting_find(const char *name, size_t n);
const char *lapse_setting_unit(enum lapse_setting setting);
/* Reads a value: what it means (value->text is left NULL: that is `normal`), and its normal form with a NUL.
 * False: *rule is a static text, and nothing is known of the value. */
bool lapse_setting_parse(enum lapse_setting setting, const char *text, size_t n,
                         struct lapse_setting_value *value, char normal[LAPSE_SETTING_ROOM], const char **rule);
/* Length of a span: months when it is *calendar, else seconds. Those of one sort can be compared. */
int64_t lapse_setting_length(int64_t n, int32_t unit, bool *calendar);

#endif
