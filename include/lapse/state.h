/* States of customers at an instant: regions that do not move each other, and the one gate that says whether a person may
 * be contacted. */
#ifndef LAPSE_STATE_H
#define LAPSE_STATE_H

#include <lapse/base.h>
#include <lapse/event.h>
#include <lapse/policy.h>
#include <lapse/table.h>
#include <lapse/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How far a customer has come. Neither silence nor an unsubscription moves it. @since 0.9 */
enum {
    LAPSE_STAGE_REACH = 1,       /**< no visit, no registration, no order */
    LAPSE_STAGE_ACQUISITION = 2, /**< has visited */
    LAPSE_STAGE_CONVERSION = 3,  /**< has registered, has no valid order */
    LAPSE_STAGE_RETENTION = 4,   /**< has a valid order */
    LAPSE_STAGE_LOYALTY = 5      /**< has one, and recommends: a converted referral, or as `loyalty.rating` says */
};

/** A cell of consent. The first four are what the person did; implied and expired are worked out where the policy
 *  allows implied consent and the person did nothing. @since 0.9 */
enum {
    LAPSE_CONSENT_NONE = 1,
    LAPSE_CONSENT_DECLINED = 2,
    LAPSE_CONSENT_GRANTED = 3,
    LAPSE_CONSENT_WITHDRAWN = 4,
    LAPSE_CONSENT_IMPLIED = 5,
    LAPSE_CONSENT_EXPIRED = 6
};

/** How a granted cell came to be granted, the strongest since it has been. @since 0.9 */
enum {
    LAPSE_STRENGTH_UNKNOWN = 1, /**< imported */
    LAPSE_STRENGTH_SINGLE = 2,  /**< granted by the person */
    LAPSE_STRENGTH_DOUBLE = 3   /**< confirmed by the person */
};

/** Whether an endpoint can be reached: the first of these facts that holds, from MANUAL_BLOCK up to OK. @since 0.9 */
enum {
    LAPSE_DELIVERABILITY_OK = 1,
    LAPSE_DELIVERABILITY_SOFT_BOUNCING = 2,
    LAPSE_DELIVERABILITY_SPAM_REPORTED = 3, /**< denies marketing only */
    LAPSE_DELIVERABILITY_NO_ENDPOINT = 4,   /**< removed, replaced, uninstalled or invalidated */
    LAPSE_DELIVERABILITY_HARD_BOUNCED = 5,
    LAPSE_DELIVERABILITY_MANUAL_BLOCK = 6
};

/** @since 0.9 */
enum {
    LAPSE_ACCOUNT_OPEN = 1,
    LAPSE_ACCOUNT_CLOSED = 2,
    LAPSE_ACCOUNT_ERASED = 3
};

/** What the gate says. @since 0.9 */
enum {
    LAPSE_DECISION_ALLOW = 1,
    LAPSE_DECISION_DENY = 2,
    LAPSE_DECISION_DEFER = 3 /**< not now, but later; not given by this release */
};

/** Why the gate does not allow. The number of a reason is its bit in lapse_decision.reasons. @since 0.9 */
enum {
    LAPSE_REASON_NONE = 0,
    LAPSE_REASON_ERASED = 1,
    LAPSE_REASON_NO_ENDPOINT = 2,
    LAPSE_REASON_HARD_BOUNCED = 3,
    LAPSE_REASON_MANUAL_BLOCK = 4,
    LAPSE_REASON_ACCOUNT_CLOSED = 5,
    LAPSE_REASON_OBJECTED = 6,
    LAPSE_REASON_SPAM_REPORTED = 7,
    LAPSE_REASON_CONSENT_NONE = 8,
    LAPSE_REASON_CONSENT_DECLINED = 9,
    LAPSE_REASON_CONSENT_PENDING = 10,
    LAPSE_REASON_CONSENT_EXPIRED = 11,
    LAPSE_REASON_CONSENT_WITHDRAWN = 12,
    LAPSE_REASON_TOPIC_OFF = 13
};

/** The name as answers spell it, static; NULL for a value that is none. Threads: any. @since 0.9 */
LAPSE_API const char *lapse_stage_name(int32_t stage);
/** @since 0.9 */
LAPSE_API const char *lapse_consent_name(int32_t state);
/** @since 0.9 */
LAPSE_API const char *lapse_strength_name(int32_t strength);
/** @since 0.9 */
LAPSE_API const char *lapse_deliverability_name(int32_t deliverability);
/** @since 0.9 */
LAPSE_API const char *lapse_account_name(int32_t account);
/** @since 0.9 */
LAPSE_API const char *lapse_decision_name(int32_t decision);
/** @since 0.9 */
LAPSE_API const char *lapse_reason_name(int32_t reason);

/** Options of lapse_view_states(), _channels() and _consent(); fill with lapse_state_options_init(). `policy` and
 *  `customer` are used during the call only; on_progress is called by the calls that pull tables. @since 0.9 */
typedef struct lapse_state_options {
    uint32_t size;
    uint32_t flags;             /**< 0 */
    const lapse_policy *policy; /**< NULL: defaults */
    const char *customer;       /**< the rows of this one only; NULL: of all */
    int32_t threads;            /**< 1 (default): none beside the caller's; never changes a value; at most 64 */
    int32_t reserved;           /**< 0 */
    lapse_progress_fn on_progress; /**< events read; NULL: nobody is told */
    void *progress_user;
} lapse_state_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_state_options_init(lapse_state_options *options, uint32_t size);

/** One row for each customer with an event at the instant, ordered by id (bytewise): customer, stage, stage_max (the
 *  highest at any instant so far), engagement, engagement_since (time), next_deadline (time: when engagement,
 *  engagement_since or purchase_clock changes if nothing else happens), purchase_clock, last_purchase, last_activity,
 *  last_contact (times), membership, case, identity, tier, cart (missing in this release), account, rights. All others
 *  string. Tables are worked out as they are pulled; memory is that of a few tables for each thread. `options` may be
 *  NULL. LAPSE_OVERFLOW, when a table is pulled: the amount of an order leaves int64_t, naming the customer.
 *  Threads: as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_states(lapse_view *view, const lapse_state_options *options, lapse_result **out,
                                         lapse_error *error);

/** One row for each customer, channel and endpoint: customer, channel, endpoint (the first 16 hexadecimal digits of its
 *  hash), deliverability, responsiveness (string), last_engaged (time), sends_since (int64; these three missing in
 *  this release). A channel with messages and no endpoint has one row without endpoint. Ordered by customer, channel,
 *  hash. Everything else as lapse_view_states(). @since 0.9 */
LAPSE_API lapse_status lapse_view_channels(lapse_view *view, const lapse_state_options *options, lapse_result **out,
                                           lapse_error *error);

/** One row for each cell that is not none, or is pending: customer, channel, purpose, topic, state (strings), pending
 *  (int64, 1 or 0), strength (string), since (time), reason, source (strings: of the event that began the state).
 *  Ordered by customer, channel, purpose, topic (bytewise). Everything else as lapse_view_states(). @since 0.9 */
LAPSE_API lapse_status lapse_view_consent(lapse_view *view, const lapse_state_options *options, lapse_result **out,
                                          lapse_error *error);

/** Options of lapse_view_permit(); fill with lapse_permit_options_init(). As lapse_state_options; `topic` too is used
 *  during the call only. @since 0.9 */
typedef struct lapse_permit_options {
    uint32_t size;
    uint32_t flags;             /**< 0 */
    const lapse_policy *policy; /**< NULL: defaults */
    const char *customer;       /**< this one only, known or not; NULL: all with an event at the instant */
    const char *topic;          /**< NULL: topics are not asked */
    int32_t channel;            /**< LAPSE_CHANNEL_..., or 0 (default): all ten; for the purposes profiling,
                                     tracking and ad_audience: ads */
    int32_t purpose;            /**< LAPSE_PURPOSE_...; required */
    int32_t threads;            /**< as in lapse_state_options */
    int32_t reserved;           /**< 0 */
    lapse_progress_fn on_progress;
    void *progress_user;
} lapse_permit_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_permit_options_init(lapse_permit_options *options, uint32_t size);

/** One row for each customer and channel: customer, channel, purpose, decision, reason (the first that holds), reasons
 *  (all, in the order of the gate, `|` between), until (time). An allowed one has no reason and no until. A `customer`
 *  that nothing is known of gets the decision that missing facts give. Everything else as lapse_view_states().
 *  @since 0.9 */
LAPSE_API lapse_status lapse_view_permit(lapse_view *view, const lapse_permit_options *options, lapse_result **out,
                                         lapse_error *error);

/** What the gate says of one customer, channel and purpose. @since 0.9 */
typedef struct lapse_decision {
    uint32_t size;     /**< sizeof(lapse_decision), set by the caller */
    int32_t decision;  /**< LAPSE_DECISION_... */
    int32_t reason;    /**< the first that holds, LAPSE_REASON_NONE when allowed */
    int32_t reserved;  /**< 0 */
    uint64_t reasons;  /**< all: bit 1 << LAPSE_REASON_... */
    int64_t until;     /**< when it will be allowed if nothing else happens; INT64_MIN: not known, or allowed */
} lapse_decision;

/** May this customer be contacted by this channel, for this purpose? The same decision as the row of
 *  lapse_view_permit(), without a table. `policy` and `topic` may be NULL. Cost: that of reading the customer.
 *  Threads: as the view. @since 0.9 */
LAPSE_API lapse_status lapse_view_permit_one(lapse_view *view, const lapse_policy *policy, const char *customer,
                                             int32_t channel, int32_t purpose, const char *topic, lapse_decision *out,
                                             lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
