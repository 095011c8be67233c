/* SipHash, for fingerprints of ids that an enemy may choose. Bytes are read as little-endian, so that the results are
 * the same on every machine. */
#include "base/base.h"

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
