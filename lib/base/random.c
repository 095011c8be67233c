/* Random bytes from the operating system, for keys. */
#if defined(__linux__) || defined(__APPLE__)
#  define HAVE_GETENTROPY 1
#  define _DEFAULT_SOURCE
#  define _DARWIN_C_SOURCE
#endif
#include "base/base.h"

#include <stdio.h>
#ifdef HAVE_GETENTROPY
#  include <unistd.h>
#  include <sys/random.h>
#endif

bool lapse_random(void *out, size_t n)
{
    size_t got = 0;
    FILE *f;

#ifdef HAVE_GETENTROPY
    while (got < n) {
        size_t take = n - got < 256 ? n - got : 256; /* the most it gives at once */

        if (getentropy((char *)out + got, take) != 0)
            break;
        got += take;
    }
#endif
    if (got == n)
        return true;
    f = fopen("/dev/urandom", "rb");
    if (!f)
        return false;
    setbuf(f, NULL);
    got += fread((char *)out + got, 1, n - got, f);
    fclose(f);
    return got == n;
}
