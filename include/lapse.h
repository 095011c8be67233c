/* lapse: customer retention in a library. This header includes all others; each stands alone too.
 *
 * Conventions, true for every declaration:
 *  - Time is int64_t microseconds since 1970-01-01 UTC. Money is int64_t minor units of the store's currency.
 *  - Text is UTF-8 ending in NUL unless a size stands beside it.
 *  - A call that can fail returns lapse_status; results come through out parameters, which are NULL or 0 after
 *    a failure. The optional `lapse_error *` last says what, where and which rule.
 *  - What comes through an out parameter is the caller's to free, with the function named at its type; what is
 *    returned belongs to its parent.
 *  - Option structs begin with their size and are filled by their _init function; bytes that the library does
 *    not know must be zero.
 *  - Handles may be closed or freed in any order, and NULL is allowed.
 *  - The library reads no clock, no locale, no environment, and keeps no global state. */
#ifndef LAPSE_H
#define LAPSE_H

#include <lapse/arrow.h>
#include <lapse/base.h>
#include <lapse/changes.h>
#include <lapse/churn.h>
#include <lapse/erase.h>
#include <lapse/event.h>
#include <lapse/policy.h>
#include <lapse/rfm.h>
#include <lapse/state.h>
#include <lapse/store.h>
#include <lapse/table.h>
#include <lapse/upkeep.h>
#include <lapse/version.h>
#include <lapse/view.h>

#endif
