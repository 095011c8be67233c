/* Private header of lib/base: memory, errors, text, numbers, time, hashes, selection, threads.
 * Nothing here knows an event, a table or a store. */
#ifndef LAPSE_LIB_BASE_H
#define LAPSE_LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <lapse/base.h>

/* ---- mem.c: all memory of the library comes through here ---------------------------------------- */

/* The hook to use: a checked copy of *given, or malloc and friends when given is NULL. */
lapse_status lapse_mem_init(lapse_allocator *mem, const lapse_allocator *given, lapse_error *error);
void *lapse_mem_alloc(const lapse_allocator *mem, size_t bytes);              /* NULL: none left */
void *lapse_mem_zero(const lapse_allocator *mem, size_t count, size_t each);  /* zeroed, product checked */
void *lapse_mem_resize(const lapse_allocator *mem, void *p, size_t bytes);    /* p may be NULL */
void lapse_mem_free(const lapse_allocator *mem, void *p);                     /* p may be NULL */
char *lapse_mem_text(const lapse_allocator *mem, const char *text, size_t n); /* a copy that ends in NUL */
/* Room for `need` items of `each` bytes in *array of *capacity items, growing by half; false: none left. */
bool lapse_mem_reserve(const lapse_allocator *mem, void *array, size_t *capacity, size_t need, size_t each);

/* A growing run of bytes. `failed` sticks, so that many puts need one check at the end. */
struct lapse_buffer {
    const lapse_allocator *mem;
    char *data;
    size_t size, capacity;
    bool failed;
};
void lapse_buffer_init(struct lapse_buffer *b, const lapse_allocator *mem);
void lapse_buffer_free(struct lapse_buffer *b);
bool lapse_buffer_grow(struct lapse_buffer *b, size_t more); /* lapse_buffer_room() where there is none */
/* data + size has room for `more` bytes. Inline, as putting is, for loops over short ids: most often there is. */
static inline bool lapse_buffer_room(struct lapse_buffer *b, size_t more)
{
    return (b->capacity - b->size >= more && !b->failed) || lapse_buffer_grow(b, more);
}
static inline void lapse_buffer_put(struct lapse_buffer *b, const void *bytes, size_t n)
{
    if (n == 0 || !lapse_buffer_room(b, n))
        return;
    memcpy(b->data + b->size, bytes, n);
    b->size += n;
}
void lapse_buffer_text(struct lapse_buffer *b, const char *text);
void lapse_buffer_byte(struct lapse_buffer *b, uint8_t byte);

/* ---- error.c ------------------------------------------------------------------------------------ */

/* Fills *error (may be NULL) with a message and nothing else; returns `status`, so: return lapse_fail(...). */
lapse_status lapse_fail(lapse_error *error, lapse_status status, const char *format, ...)
#if defined(__GNUC__) || defined(__clang__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* A place in some input. line 0 and row -1 are none; `input` names the file and may be NULL. */
struct lapse_place {
    const char *input;
    int64_t line, row;
    const char *column;
};
/* Fills all of *error for a value that breaks a rule; the message joins place, text and rule. */
lapse_status lapse_fail_at(lapse_error *error, lapse_status status, const struct lapse_place *place,
                           const char *text, size_t text_size, const char *rule);
lapse_status lapse_fail_memory(lapse_error *error);
/* Tells an error once more that was kept whole; returns its status. */
lapse_status lapse_fail_again(lapse_error *error, const lapse_error *kept);
/* Reads a size-first option struct of the caller: copies what it has over the defaults already in *ours and
 * refuses a size below `oldest`, and bytes beyond ours that are not zero. `what` names the struct. */
lapse_status lapse_options_read(void *ours, size_t ours_size, const void *theirs, size_t oldest,
                                const char *what, lapse_error *error);
/* Numbers of such a struct and what they may be. LAPSE_INVALID names the first that is something else. */
struct lapse_option_range {
    const char *name;
    int64_t value, least, most;
};
lapse_status lapse_options_check(const char *what, const struct lapse_option_range *ranges, size_t n, lapse_error *error);
/* The other way: writes the first min(size, defaults_size) bytes of defaults, zeros beyond, and the size. */
lapse_status lapse_options_write(void *theirs, uint32_t size, const void *defaults, size_t defaults_size,
                                 size_t oldest);

/* ---- words: bytes as a number, the first one lowest, on every machine (compilers make one move of each) --- */

#define LAPSE_ONES  UINT64_C(0x0101010101010101)
#define LAPSE_HIGHS UINT64_C(0x8080808080808080)

static inline uint32_t lapse_load2(const void *bytes)
{
    const uint8_t *p = bytes;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t lapse_load4(const void *bytes)
{
    const uint8_t *p = bytes;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t lapse_load8(const void *bytes)
{
    const uint8_t *p = bytes;
    return lapse_load4(p) | (uint64_t)lapse_load4(p + 4) << 32;
}
static inline void lapse_store4(void *bytes, uint32_t v)
{
    uint8_t *p = bytes;
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}
static inline void lapse_store8(void *bytes, uint64_t v)
{
    uint8_t *p = bytes;
    lapse_store4(p, (uint32_t)v);
    lapse_store4(p + 4, (uint32_t)(v >> 32));
}
/* Asks for memory that is read soon. */
static inline void lapse_prefetch(const void *p)
{
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}
/* Place of the lowest bit that is set; there is one. */
static inline unsigned lapse_lowest_bit(uint64_t bits)
{
#if defined(__GNUC__) || defined(__clang__)
    return (unsigned)__builtin_ctzll(bits);
#else
    unsigned i = 0;
    for (; !(bits & 1); bits >>= 1)
        i++;
    return i;
#endif
}

/* ---- text.c ------------------------------------------------------------------------------------- */

/* True for well-formed UTF-8 without NUL (no overlong forms, surrogates, or values above U+10FFFF). */
bool lapse_utf8_valid(const char *text, size_t n);
/* The bytes of the well-formed character that text begins with, 1 to 4; 0: there is none (or it is NUL). */
size_t lapse_utf8_char(const char *text, size_t n);
/* Bytewise order; a prefix comes first. */
int lapse_text_compare(const char *a, size_t na, const char *b, size_t nb);

/* ---- number.c: text to exact numbers and back, without locale ------------------------------------ */

/* A decimal as written: mantissa * 10^-scale, sign in the mantissa, at most 18 digits of mantissa. */
struct lapse_decimal {
    int64_t mantissa;
    int32_t scale;
};
/* Grammar `-?digits[.digits]` and nothing else (rulings M1). Leading zeros do not count as digits. On
 * failure returns false and points *rule to a static text. */
bool lapse_decimal_parse(const char *text, size_t n, struct lapse_decimal *out, const char **rule);
/* Money: the same grammar, brought to `digits` decimals exactly; more digits must be zeros (M2); |x| up to
 * INT64_MAX, so 19 digits can be needed. */
bool lapse_money_parse(const char *text, size_t n, int digits, int64_t *out, const char **rule);
/* a * b exactly, then as money (M3). */
bool lapse_money_product(struct lapse_decimal a, struct lapse_decimal b, int digits, int64_t *out,
                         const char **rule);
/* A decimal of at most 15 significant digits, 1e-25 <= |x| < 1e25 or 0, as the double nearest to it; -0 is 0. */
bool lapse_value_parse(const char *text, size_t n, double *out, const char **rule);
bool lapse_value_check(double value); /* could lapse_value_parse have given it? */
bool lapse_int_parse(const char *text, size_t n, int64_t *out); /* -?digits */
/* The writers put text without NUL and return its length; 400 bytes are enough for each. */
size_t lapse_int_format(int64_t value, char *out);
size_t lapse_decimal_format(int64_t value, int digits, bool all_digits, char *out); /* 1250,2 -> 12.50 or 12.5 */
/* Shortest text that reads back as the same double; without exponent for 1e-25 <= |x| < 1e25. */
size_t lapse_double_format(double value, char *out);

/* ---- int128.c: the one place of 128-bit arithmetic ------------------------------------------------ */

__extension__ typedef __int128 lapse_int128;
__extension__ typedef unsigned __int128 lapse_uint128;
static inline bool lapse_int128_fits(lapse_int128 v, int64_t *out)      /* false: outside int64_t */
{
    if (v < INT64_MIN || v > INT64_MAX)
        return false;
    *out = (int64_t)v;
    return true;
}
double lapse_int128_ratio(lapse_int128 numerator, lapse_int128 denominator); /* correctly rounded; den > 0 */
lapse_int128 lapse_int128_divide_even(lapse_int128 n, lapse_int128 d);  /* nearest, half to even; d > 0 */
/* floor of the type-7 quantile at i/N of sorted x with n values, given x_k and x_k+1 where k is
 * floor((n-1)i/N): an integer v is above the quantile iff v > result (rulings R5, R11). */
int64_t lapse_quantile_floor(int64_t n, int64_t i, int64_t bins, int64_t xk, int64_t xk1);
int64_t lapse_quantile_ceil(int64_t n, int64_t i, int64_t bins, int64_t xk, int64_t xk1);
int64_t lapse_quantile_rank(int64_t n, int64_t i, int64_t bins);        /* k = floor((n-1)i/N) */

/* ---- calendar.c: dates and zones ----------------------------------------------------------- */

#define LAPSE_SECOND INT64_C(1000000)
#define LAPSE_DAY (INT64_C(86400) * LAPSE_SECOND)
#define LAPSE_TIME_MIN INT64_C(-2208988800000000) /* 1900-01-01T00:00:00Z */
#define LAPSE_TIME_MAX INT64_C(32503679999999999) /* 2999-12-31T23:59:59.999999Z */

struct lapse_zone {
    int32_t count;          /* at least 1 */
    const int64_t *starts;  /* instants, ascending; offsets[0] also holds before starts[0] */
    const int32_t *offsets; /* seconds east of UTC */
};
extern const struct lapse_zone lapse_zone_utc;
#define LAPSE_OFFSET_MAX 50400 /* 14 h, either way */
/* What every other function here takes for granted: an entry or more, ascending starts, offsets within 14 h. */
bool lapse_zone_valid(const struct lapse_zone *zone);

int64_t lapse_days_from_civil(int64_t year, int month, int day); /* days since 1970-01-01, Gregorian */
void lapse_civil_from_days(int64_t days, int64_t *year, int *month, int *day);
int lapse_days_in_month(int64_t year, int month);
int32_t lapse_zone_offset(const struct lapse_zone *zone, int64_t time);
/* The calendar day of an instant in the zone, as days since 1970-01-01. Any int64_t is a valid time: INT64_MAX
 * and INT64_MIN do not overflow. */
int64_t lapse_zone_day(const struct lapse_zone *zone, int64_t time);
int64_t lapse_zone_day_start(const struct lapse_zone *zone, int64_t day); /* first instant of that day */
enum lapse_local { LAPSE_LOCAL_ONE, LAPSE_LOCAL_SKIPPED, LAPSE_LOCAL_TWICE };
/* `local` is microseconds since 1970-01-01 00:00 on the wall clock. TWICE: *out is the earlier. SKIPPED: *out is
 * as if the offset before the gap held on. */
enum lapse_local lapse_zone_from_local(const struct lapse_zone *zone, int64_t local, int64_t *out);
/* True if all of that day, and a day more on both sides, has one offset. */
bool lapse_zone_day_is_plain(const struct lapse_zone *zone, int64_t day, int32_t *offset);
/* time + n units (n may be negative), rulings T7: seconds to days are exact lengths; months and years move the
 * date in the zone, keep the time of day, clamp to the month's end; a skipped local time moves on by the gap,
 * one that is there twice is the earlier. Saturates at INT64_MIN and INT64_MAX. */
int64_t lapse_zone_add(const struct lapse_zone *zone, int64_t time, int64_t n, int32_t unit);

/* ---- period.c: periods of the calendar, LAPSE_EVERY_ ------------------------------------------------- */

/* What a period is long; months are 0 where it is days. */
struct lapse_period_unit {
    int32_t days, months;
};
extern const struct lapse_period_unit lapse_period_units[];
enum { LAPSE_LABEL_ROOM = 24 };
/* The number of the period that holds a day, and the first day of a period. Numbers have no gaps. */
int64_t lapse_period_of_day(int64_t day, int32_t every);
int64_t lapse_period_day(int64_t period, int32_t every);
size_t lapse_period_label(int64_t period, int32_t every, char out[LAPSE_LABEL_ROOM]);

/* ---- time.c, time_reader.c --------------------------------------------------------------------------------------------- */

/* Rulings T1, T2. A time without offset is in `zone`; a date alone is its first instant. False: *rule. */
bool lapse_instant_parse(const char *text, size_t n, const struct lapse_zone *zone, int64_t *out,
                         const char **rule);
/* The same for many times of one zone, which are most often near each other: keeps the last date and the offsets of
 * days. It accepts and refuses what lapse_instant_parse() does. */
enum { LAPSE_READER_DAYS = 1024 }; /* nearly three years */
struct lapse_time_reader {
    const struct lapse_zone *zone;
    uint64_t month;   /* the last date: its first eight bytes */
    uint32_t day;     /* and the two others */
    bool known;       /* does the zone have one offset all that day? */
    bool plain;       /* and is every time of it taken? */
    int64_t midnight; /* of that day, in UTC */
    int64_t start;    /* and in the zone, if that is known */
    struct {
        int32_t day;
        int32_t offset; /* INT32_MAX: more than one */
    } days[LAPSE_READER_DAYS];
};
void lapse_time_reader_init(struct lapse_time_reader *reader, const struct lapse_zone *zone);
bool lapse_time_reader_parse(struct lapse_time_reader *reader, const char *text, size_t n, int64_t *out,
                             const char **rule);
size_t lapse_instant_format(int64_t time, char *out); /* 32 bytes are enough; no NUL */
/* A compiled --time-format, rulings T3: as written, but after a % stands the number of what is read there. */
struct lapse_time_format {
    char text[128];
    bool has_zone;
};
bool lapse_time_format_compile(const char *format, struct lapse_time_format *out, const char **rule);
bool lapse_time_format_parse(const struct lapse_time_format *format, const char *text, size_t n,
                             const struct lapse_zone *zone, int64_t *out, const char **rule);
/* `90d`, `6m`, `1y`, `1h`, `30min`, `45s`; a whole number of at most 6 digits. */
bool lapse_span_parse(const char *text, size_t n, int64_t *out, int32_t *unit);
size_t lapse_span_format(int64_t n, int32_t unit, char *out);

/* ---- hash.c, sha256.c, random.c -------------------------------------------------------------------- */

/* Both halves of the product, and the factors too: a factor of 0 must not swallow the other. */
static inline uint64_t lapse_mix(uint64_t a, uint64_t b)
{
    lapse_uint128 product = (lapse_uint128)a * b;
    return ((uint64_t)product ^ a) + ((uint64_t)(product >> 64) ^ b);
}
/* The fractions of the square roots of 2, 3, 5 and 7. */
#define LAPSE_ROOT2 UINT64_C(0x6a09e667f3bcc908)
#define LAPSE_ROOT3 UINT64_C(0xbb67ae8584caa73b)
#define LAPSE_ROOT5 UINT64_C(0x3c6ef372fe94f82b)
#define LAPSE_ROOT7 UINT64_C(0xa54ff53a5f1d36f1)
/* Fast 64-bit hash for tables in memory and for checksums; the same on every machine. Inline, for loops over short ids. */
static inline uint64_t lapse_hash(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = lapse_mix(seed ^ LAPSE_ROOT2, LAPSE_ROOT3), a = 0, b = 0;
    if (n > 16) {
        const uint8_t *last = p + n - 16;
        for (; p < last; p += 16)
            h = lapse_mix(lapse_load8(p) ^ h, lapse_load8(p + 8) ^ LAPSE_ROOT5 ^ seed);
        a = lapse_load8(last);
        b = lapse_load8(last + 8);
    } else if (n >= 8) {
        a = lapse_load8(p);
        b = lapse_load8(p + n - 8);
    } else if (n >= 4) {
        a = lapse_load4(p);
        b = lapse_load4(p + n - 4);
    } else if (n > 0) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[n >> 1] << 8 | p[n - 1];
    }
    return lapse_mix(lapse_mix(a ^ h, b ^ LAPSE_ROOT5 ^ seed) ^ n, LAPSE_ROOT7 ^ h);
}
/* SipHash-2-4 with 128-bit output (Aumasson, Bernstein): keyed, for fingerprints of hostile ids. */
void lapse_siphash(const uint8_t key[16], const void *data, size_t n, uint8_t out[16]);
void lapse_sha256(const void *data, size_t n, uint8_t out[32]);                         /* FIPS 180-4 */
void lapse_hmac_sha256(const void *key, size_t key_size, const void *data, size_t n, uint8_t out[32]); /* RFC 2104 */
bool lapse_random(void *out, size_t n); /* from the operating system; false: it has none */

/* ---- select.c -------------------------------------------------------------------------------------- */

/* Values that lie in several places. */
struct lapse_span {
    const int64_t *v;
    int64_t n;
};
/* The values that would stand at positions ranks[0..m) if those of all spans were sorted; they are not changed. By
 * histograms, O(n) for each of at most six levels. Ranks are in [0, all values). False: no memory. */
bool lapse_select(const lapse_allocator *mem, const struct lapse_span *spans, int32_t count, const int64_t *ranks,
                  int m, int64_t *out);

/* ---- sort.c ---------------------------------------------------------------------------------------- */

struct lapse_sort_key {
    uint64_t key;
    uint32_t index;
};
/* By key, equal ones in the order they came (least significant byte first, bytes that are all equal left out; nothing is
 * moved where they ascend). `scratch` has room for n; the result lies in one of the two and is returned. */
struct lapse_sort_key *lapse_sort_keys(struct lapse_sort_key *keys, struct lapse_sort_key *scratch, size_t n);
/* Merge sort of indices by what they point to; `scratch` has room for n. */
typedef int (*lapse_order_fn)(const void *user, uint32_t a, uint32_t b);
void lapse_sort_indices(uint32_t *v, size_t n, uint32_t *scratch, lapse_order_fn order, const void *user);
/* v[0 .. n): the indices of n keys by key, equal keys settled by `order`. `keys` has room for 2n, `scratch` for n. */
void lapse_sort_settled(struct lapse_sort_key *keys, uint32_t *v, size_t n, uint32_t *scratch, lapse_order_fn order,
                        const void *user);

/* ---- thread.c -------------------------------------------------------------------------------------- */

/* The threads of one call of the library: the caller's and threads - 1 workers, which start with the first run that has
 * something for them, block all signals, and wait between runs. NULL: the caller's alone; a crew may be NULL wherever one is
 * taken. One thread at a time uses it, and no task of it does. */
enum { LAPSE_THREADS_MOST = 64 };
struct lapse_crew;
/* *out is NULL where threads are fewer than two, or when it fails: false, no memory. */
bool lapse_crew_new(const lapse_allocator *mem, int threads, struct lapse_crew **out);
void lapse_crew_free(struct lapse_crew *crew);
int lapse_crew_threads(const struct lapse_crew *crew);
/* Calls work(user, i) for i in [0, tasks), each once, on all its threads; the caller's does task 0. With one, all run in
 * order. A non-zero return keeps tasks that have not begun from beginning. */
void lapse_crew_run(struct lapse_crew *crew, int64_t tasks, int (*work)(void *user, int64_t task), void *user);
/* The same with a crew for this run alone, of up to `threads`. */
void lapse_parallel(int threads, int64_t tasks, int (*work)(void *user, int64_t task), void *user);
const void *lapse_thread_mark(void); /* differs from thread to thread */

/* All the library needs beside that: a mutex, and a condition to wait for under it. */
struct lapse_lock;
struct lapse_lock *lapse_lock_new(const lapse_allocator *mem);
void lapse_lock_free(const lapse_allocator *mem, struct lapse_lock *lock);
void lapse_lock_take(struct lapse_lock *lock);
bool lapse_lock_try(struct lapse_lock *lock); /* false: another thread has it */
void lapse_lock_give(struct lapse_lock *lock);
void lapse_lock_wait(struct lapse_lock *lock); /* with the lock taken: gives it until somebody wakes, perhaps without cause */
void lapse_lock_wake(struct lapse_lock *lock); /* all that wait */

#endif
