/* Every threshold and rule as a named setting with a default. */
#ifndef LAPSE_POLICY_H
#define LAPSE_POLICY_H

#include <lapse/base.h>
#include <lapse/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A set of settings. Any number of threads may read one; setting needs it alone. @since 0.9 */
typedef struct lapse_policy lapse_policy;

/** A policy of defaults. `allocator` may be NULL. Free with lapse_policy_free(). Wherever a policy is asked
 *  for, NULL stands for the defaults. @since 0.9 */
LAPSE_API lapse_status lapse_policy_new(const lapse_allocator *allocator, lapse_policy **out);
/** NULL is allowed. @since 0.9 */
LAPSE_API void lapse_policy_free(lapse_policy *policy);
/** Sets one setting from its text: a span (`90d`, `6m` calendar months, `1y`, `1h`, `30min`, `45s`), a whole
 *  number, `0`/`1`, or what lapse_policy_list() shows as unit; `off` where off is possible. LAPSE_NOT_FOUND:
 *  no such setting. LAPSE_BAD_INPUT: not a value of it, or limits out of order; the policy is unchanged.
 *  @since 0.9 */
LAPSE_API lapse_status lapse_policy_set(lapse_policy *policy, const char *name, const char *value,
                                        lapse_error *error);
/** The text of a setting, in its normal form, living until it is set again or the policy is freed.
 *  LAPSE_NOT_FOUND: no such setting. @since 0.9 */
LAPSE_API lapse_status lapse_policy_get(const lapse_policy *policy, const char *name, const char **out);
/** Reads `size` bytes of `name = value` lines; `#` begins a comment; a name twice or unknown is refused with
 *  its line. All or nothing: on failure the policy is unchanged. @since 0.9 */
LAPSE_API lapse_status lapse_policy_parse(lapse_policy *policy, const char *text, int64_t size,
                                          lapse_error *error);
/** All settings, ordered by name: `name,value,default,unit,origin`, all strings. The result does not need the
 *  policy afterwards. `policy` may be NULL. @since 0.9 */
LAPSE_API lapse_status lapse_policy_list(const lapse_policy *policy, lapse_result **out, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
