/* Events: what customers did. Kinds and names, and the columns of a batch. */
#ifndef LAPSE_EVENT_H
#define LAPSE_EVENT_H

#include <lapse/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of events; the name of LAPSE_KIND_ORDER_PLACED is `order.placed`, and so on. @since 0.9 */
enum {
    LAPSE_KIND_VISITOR_SEEN = 1,
    LAPSE_KIND_IDENTITY_LINKED = 2,
    LAPSE_KIND_CUSTOMER_REGISTERED = 3,
    LAPSE_KIND_CUSTOMER_MERGED = 4,
    LAPSE_KIND_ENDPOINT_ADDED = 5,
    LAPSE_KIND_ENDPOINT_CHANGED = 6,
    LAPSE_KIND_ENDPOINT_VERIFIED = 7,
    LAPSE_KIND_ENDPOINT_REMOVED = 8,
    LAPSE_KIND_APP_INSTALLED = 9,
    LAPSE_KIND_APP_UNINSTALLED = 10,
    LAPSE_KIND_PUSH_TOKEN_INVALIDATED = 11,
    LAPSE_KIND_AD_IMPRESSED = 12,
    LAPSE_KIND_AD_CLICKED = 13,
    LAPSE_KIND_CONTENT_VIEWED = 14,
    LAPSE_KIND_SESSION_STARTED = 15,
    LAPSE_KIND_PRODUCT_VIEWED = 16,
    LAPSE_KIND_CATALOG_DOWNLOADED = 17,
    LAPSE_KIND_INFO_REQUESTED = 18,
    LAPSE_KIND_EXIT_INTENT = 19,
    LAPSE_KIND_CART_UPDATED = 20,
    LAPSE_KIND_CHECKOUT_STARTED = 21,
    LAPSE_KIND_ORDER_PLACED = 22,
    LAPSE_KIND_ORDER_DELIVERED = 23,
    LAPSE_KIND_ORDER_CANCELLED = 24,
    LAPSE_KIND_ORDER_REFUNDED = 25,
    LAPSE_KIND_MESSAGE_SENT = 26,
    LAPSE_KIND_MESSAGE_DELIVERED = 27,
    LAPSE_KIND_MESSAGE_OPENED = 28,
    LAPSE_KIND_MESSAGE_CLICKED = 29,
    LAPSE_KIND_MESSAGE_CONVERTED = 30,
    LAPSE_KIND_MESSAGE_BOUNCED = 31,
    LAPSE_KIND_SENDER_BLOCKED = 32,
    LAPSE_KIND_CONSENT_IMPORTED = 33,
    LAPSE_KIND_CONSENT_REQUESTED = 34,
    LAPSE_KIND_CONSENT_GRANTED = 35,
    LAPSE_KIND_CONSENT_CONFIRMED = 36,
    LAPSE_KIND_PREFERENCE_SET = 37,
    LAPSE_KIND_SMS_KEYWORD = 38,
    LAPSE_KIND_CONSENT_DECLINED = 39,
    LAPSE_KIND_CONSENT_WITHDRAWN = 40,
    LAPSE_KIND_CONSENT_OBJECTED = 41,
    LAPSE_KIND_MESSAGE_SPAM_REPORTED = 42,
    LAPSE_KIND_ACCOUNT_CLOSED = 43,
    LAPSE_KIND_MEMBERSHIP_TRIALED = 44,
    LAPSE_KIND_MEMBERSHIP_STARTED = 45,
    LAPSE_KIND_MEMBERSHIP_RENEWED = 46,
    LAPSE_KIND_MEMBERSHIP_RESUMED = 47,
    LAPSE_KIND_MEMBERSHIP_PAYMENT_FAILED = 48,
    LAPSE_KIND_MEMBERSHIP_PAUSED = 49,
    LAPSE_KIND_MEMBERSHIP_CANCEL_REQUESTED = 50,
    LAPSE_KIND_MEMBERSHIP_ENDED = 51,
    LAPSE_KIND_LOYALTY_ENROLLED = 52,
    LAPSE_KIND_POINTS_ADJUSTED = 53,
    LAPSE_KIND_REFERRAL_SENT = 54,
    LAPSE_KIND_REFERRAL_CONVERTED = 55,
    LAPSE_KIND_REVIEW_POSTED = 56,
    LAPSE_KIND_MILESTONE_REACHED = 57,
    LAPSE_KIND_SURVEY_ANSWERED = 58,
    LAPSE_KIND_CASE_OPENED = 59,
    LAPSE_KIND_CASE_REOPENED = 60,
    LAPSE_KIND_CASE_ACKNOWLEDGED = 61,
    LAPSE_KIND_CASE_UPDATED = 62,
    LAPSE_KIND_CASE_RESOLVED = 63,
    LAPSE_KIND_CASE_CLOSED = 64,
    LAPSE_KIND_DEFECT_REPORTED = 65,
    LAPSE_KIND_SUPPRESSION_REMOVED = 66,
    LAPSE_KIND_SUPPRESSION_ADDED = 67,
    LAPSE_KIND_CUSTOMER_ERASED = 68,
    LAPSE_KIND_EVENT_RETRACTED = 69
};

/** Channels, purposes and platforms; 0 is a missing one. @since 0.9 */
enum {
    LAPSE_CHANNEL_EMAIL = 1,
    LAPSE_CHANNEL_SMS = 2,
    LAPSE_CHANNEL_PUSH = 3,
    LAPSE_CHANNEL_WEB_PUSH = 4,
    LAPSE_CHANNEL_IN_APP = 5,
    LAPSE_CHANNEL_ONSITE = 6,
    LAPSE_CHANNEL_POSTAL = 7,
    LAPSE_CHANNEL_PHONE = 8,
    LAPSE_CHANNEL_SOCIAL = 9,
    LAPSE_CHANNEL_ADS = 10
};
/** @since 0.9 */
enum {
    LAPSE_PURPOSE_TRANSACTIONAL = 1,
    LAPSE_PURPOSE_SERVICE = 2,
    LAPSE_PURPOSE_MARKETING = 3,
    LAPSE_PURPOSE_PROFILING = 4,
    LAPSE_PURPOSE_TRACKING = 5,
    LAPSE_PURPOSE_AD_AUDIENCE = 6,
    LAPSE_PURPOSE_SURVEY = 7
};
/** @since 0.9 */
enum {
    LAPSE_PLATFORM_APP = 1,
    LAPSE_PLATFORM_WEB = 2,
    LAPSE_PLATFORM_STORE = 3
};

/** The name as event files spell it, static; NULL for a value that is none. Threads: any. @since 0.9 */
LAPSE_API const char *lapse_kind_name(int32_t kind);
/** @since 0.9 */
LAPSE_API const char *lapse_channel_name(int32_t channel);
/** @since 0.9 */
LAPSE_API const char *lapse_purpose_name(int32_t purpose);
/** @since 0.9 */
LAPSE_API const char *lapse_platform_name(int32_t platform);
/** The value of a name, 0 when there is none; NULL is allowed. Threads: any. @since 0.9 */
LAPSE_API int32_t lapse_kind_find(const char *name);
/** @since 0.9 */
LAPSE_API int32_t lapse_channel_find(const char *name);
/** @since 0.9 */
LAPSE_API int32_t lapse_purpose_find(const char *name);
/** @since 0.9 */
LAPSE_API int32_t lapse_platform_find(const char *name);

/** Events as columns, one entry a row. Zero the struct, set `size` and `rows`, then the columns you have;
 *  NULL is a column without values. Texts of row i are the bytes from offsets[i] to offsets[i+1] (so `rows`
 *  + 1 ascending offsets, the first need not be 0); an empty text is a missing one. A `..._validity` bitmap
 *  has bit i (least significant first) set where row i has a value; NULL: all have. Everything stays the
 *  caller's and is read during the call only. Texts are UTF-8 of at most 255 bytes without NUL. @since 0.9 */
typedef struct lapse_batch {
    uint32_t size;                   /**< sizeof(lapse_batch) */
    uint32_t flags;                  /**< 0 */
    int64_t rows;
    const char *customer;            /**< required, 1 to 255 bytes */
    const int64_t *customer_offsets;
    const int64_t *time;             /**< required; microseconds since 1970-01-01 UTC, 1900 to 2999, not 0 */
    const int32_t *kind;             /**< LAPSE_KIND_...; NULL: every row is order.placed */
    const int64_t *amount;           /**< minor units of the store's currency, not negative */
    const uint8_t *amount_validity;
    const int32_t *channel;          /**< LAPSE_CHANNEL_... or 0 */
    const int32_t *purpose;          /**< LAPSE_PURPOSE_... or 0 */
    const char *topic;
    const int64_t *topic_offsets;
    const int32_t *platform;         /**< LAPSE_PLATFORM_... or 0 */
    const char *ref;                 /**< order, case, cart, membership, message, token or referral */
    const int64_t *ref_offsets;
    const double *value;             /**< a decimal of at most 15 significant digits */
    const uint8_t *value_validity;
    const char *reason;
    const int64_t *reason_offsets;
    const char *item;
    const int64_t *item_offsets;
    const int64_t *quantity;         /**< in millionths, not negative */
    const uint8_t *quantity_validity;
    const char *category;
    const int64_t *category_offsets;
    const int64_t *price;            /**< minor units, not negative */
    const uint8_t *price_validity;
    const char *endpoint;            /**< address or token, kept as a keyed hash only; or `hash:` and 64 hex digits */
    const int64_t *endpoint_offsets;
    const char *evidence;
    const int64_t *evidence_offsets;
    const char *source;              /**< with event_id the identity; NULL: the source of the call */
    const int64_t *source_offsets;
    const char *event_id;
    const int64_t *event_id_offsets;
} lapse_batch;

#ifdef __cplusplus
}
#endif

#endif
