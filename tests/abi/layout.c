/* The promised layout of the public structs, as the compiler sees it. abi/layout.h holds the lines; the types are
 * those of a pointer to the field. Frozen for 64-bit pointers; elsewhere the same fields lie as the platform says. */
#include <lapse.h>

typedef struct ArrowSchema ArrowSchema;
typedef struct ArrowArray ArrowArray;
typedef struct ArrowArrayStream ArrowArrayStream;

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size");
#define FIELD(type, field, offset, size, ...)                                                    \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " moved");                \
    _Static_assert(sizeof(((type *)0)->field) == (size), #type "." #field " has another size");  \
    _Static_assert(_Generic(&((type *)0)->field, __VA_ARGS__: 1, default: 0), #type "." #field " has another type");

#if UINTPTR_MAX == UINT64_MAX
#include "layout.h"
#endif
