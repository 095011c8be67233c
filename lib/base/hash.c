/* Hashes for the library alone: a multiply-mix hash for tables in memory and checksums, SipHash
 * for fingerprints of ids that an enemy may choose. Bytes are read as little-endian, so that the results are
 * the same on every machine. */
#include "base/base.h"

__extension__ typedef unsigned __int128 uint128;

/* Both halves of the product, and the factors too: a factor of 0 must not swallow the other. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint128 product = (uint128)a * b;

    return ((uint64_t)product ^ a) + ((uint64_t)(product >> 64) ^ b);
}

/* The fractions of the square roots of 2, 3, 5 and 7. */
#define ROOT2 UINT64_C(0x6a09e667f3bcc908)
#define ROOT3 UINT64_C(0xbb67ae8584caa73b)
#define ROOT5 UINT64_C(0x3c6ef372fe94f82b)
#define ROOT7 UINT64_C(0xa54ff53a5f1d36f1)

uint64_t lapse_hash(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = mix(seed ^ ROOT2, ROOT3), a = 0, b = 0;

    if (n > 16) {
        const uint8_t *last = p + n - 16;

        for (; p < last; p += 16)
            h = mix(lapse_load8(p) ^ h, lapse_load8(p + 8) ^ ROOT5 ^ seed);
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
    return mix(mix(a ^ h, b ^ ROOT5 ^ seed) ^ n, ROOT7 ^ h);
}

/* ---- SipHash-2-4, 128 bits ---- */

static inline uint64_t rotate(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void sip_rounds(uint64_t v[4], int rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static inline void sip_block(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_rounds(v, 2);
    v[0] ^= m;
}

void lapse_siphash(const uint8_t key[16], const void *data, size_t n, uint8_t out[16])
{
    const uint8_t *p = data;
    uint64_t k0 = lapse_load8(key), k1 = lapse_load8(key + 8), last = (uint64_t)n << 56;
    /* The constants are "somepseudorandomlygeneratedbytes"; 0xee marks the long output. */
    uint64_t v[4] = { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
                      k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) };
    size_t left = n;

    for (; left >= 8; left -= 8, p += 8)
        sip_block(v, lapse_load8(p));
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << (8 * i);
    sip_block(v, last);
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    lapse_store8(out, v[0] ^ v[1] ^ v[2] ^ v[3]);
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    lapse_store8(out + 8, v[0] ^ v[1] ^ v[2] ^ v[3]);
}
