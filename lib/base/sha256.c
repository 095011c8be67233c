/* SHA-256 (FIPS 180-4) and HMAC over it (RFC 2104): for addresses, which are kept as keyed hashes only. */
#include "base/base.h"

#define BLOCK 64

/* The fractions of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

struct sha {
    uint32_t state[8];
    uint64_t size; /* bytes taken so far */
    uint8_t block[BLOCK];
};

static uint32_t rotate(uint32_t v, int bits)
{
    return v >> bits | v << (32 - bits);
}

/* One round. What the standard does by moving eight words on, the caller does by turning the names. */
static inline void turn(const uint32_t w[64], int i, uint32_t a, uint32_t b, uint32_t c, uint32_t *d,
                        uint32_t e, uint32_t f, uint32_t g, uint32_t *h)
{
    uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), choice = (e & f) ^ (~e & g);
    uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
    uint32_t t = *h + s1 + choice + constants[i] + w[i];

    *d += t;
    *h = t + s0 + majority;
}

static void compress(uint32_t state[8], const uint8_t *p)
{
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;

        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    for (int i = 0; i < 64; i += 8) {
        turn(w, i, a, b, c, &d, e, f, g, &h);
        turn(w, i + 1, h, a, b, &c, d, e, f, &g);
        turn(w, i + 2, g, h, a, &b, c, d, e, &f);
        turn(w, i + 3, f, g, h, &a, b, c, d, &e);
        turn(w, i + 4, e, f, g, &h, a, b, c, &d);
        turn(w, i + 5, d, e, f, &g, h, a, b, &c);
        turn(w, i + 6, c, d, e, &f, g, h, a, &b);
        turn(w, i + 7, b, c, d, &e, f, g, h, &a);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

static void begin(struct sha *h)
{
    *h = (struct sha){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                  0x1f83d9ab, 0x5be0cd19 } };
}

static void add(struct sha *h, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t used = (size_t)(h->size % BLOCK);

    h->size += n;
    while (n > 0) {
        size_t take = n < BLOCK - used ? n : BLOCK - used;

        if (take == BLOCK) {
            compress(h->state, p);
        } else {
            memcpy(h->block + used, p, take);
            used += take;
            if (used == BLOCK) {
                compress(h->state, h->block);
                used = 0;
            }
        }
        p += take;
        n -= take;
    }
}

static void finish(struct sha *h, uint8_t out[32])
{
    static const uint8_t padding[BLOCK] = { 0x80 };
    uint64_t bits = h->size * 8;
    uint8_t size[8];

    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)(bits >> (56 - 8 * i));
    add(h, padding, 1 + (2 * BLOCK - 1 - 8 - (size_t)(h->size % BLOCK)) % BLOCK);
    add(h, size, sizeof size);
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void lapse_sha256(const void *data, size_t n, uint8_t out[32])
{
    struct sha h;

    begin(&h);
    add(&h, data, n);
    finish(&h, out);
}

void lapse_hmac_sha256(const void *key, size_t key_size, const void *data, size_t n, uint8_t out[32])
{
    uint8_t pad[BLOCK] = { 0 };
    struct sha h;

    if (key_size > BLOCK)
        lapse_sha256(key, key_size, pad);
    else if (key_size > 0)
        memcpy(pad, key, key_size);
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36;
    begin(&h);
    add(&h, pad, BLOCK);
    add(&h, data, n);
    finish(&h, out);
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    begin(&h);
    add(&h, pad, BLOCK);
    add(&h, out, 32);
    finish(&h, out);
}
