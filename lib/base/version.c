/* The version of the running library, for callers that were compiled against another one. */
#include "base/base.h"

uint32_t lapse_version_number(void)
{
    return LAPSE_VERSION_NUMBER;
}

const char *lapse_version_string(void)
{
    return LAPSE_VERSION_STRING;
}
