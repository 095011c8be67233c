/* Private header of lib/state: regions of a customer's state, each a fold of its own events; the gate over them; and the
 * answers made of both.
 *
 * All regions have one form: a struct of state, a list of the kinds they read, a fold of one event, what is settled after
 * the last event, and the next deadline. A region sees its own struct and the event, never another region: what must be
 * put together (the stage from visits and orders, implied consent, a decision) is put together in `whole.c` and `gate.c`.
 * Events come in canonical order, cut at the instant, without retracted ones. A new region is one file, one row of the
 * table in regions.c, and one member of struct lapse_person. */
#ifndef LAPSE_LIB_STATE_H
#define LAPSE_LIB_STATE_H

#include <lapse/state.h>

#include "base/base.h"
#include "event/event.h"
#include "policy/policy.h"
#include "table/table.h"
#include "view/view.h"

#define LAPSE_NEVER INT64_MAX /* of a deadline: none */

/* ---- rules.c: what the policy says, read once ---------------------------------------------------------------- */

struct lapse_limits {                    /* of a clock */
    struct lapse_setting_value limit[3]; /* risk, inactive, lost */
    int64_t safe;                        /* microseconds in which no limit can pass, whatever the calendar */
};
struct lapse_rules {
    const struct lapse_zone *zone;       /* of the view */
    lapse_policy *policy;                /* a copy, for rights */
    int64_t as_of;
    struct lapse_limits engagement, purchase;
    struct lapse_setting_value token, bounce_span, implied_purchase, implied_inquiry;
    int64_t bounce_soft, implied_channels;
    double rating;                       /* NaN: off */
    bool opens, zero_is_valid, needs_evidence, inapp_implied, assume_endpoint;
};
