/* lib/base: hashes. Golden values: FIPS 180-4 examples, RFC 4231, the SipHash authors' vectors
 * (github.com/veorq/SipHash). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t seed = 1;

/* xorshift64* */
static uint64_t draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

static void expect_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    char text[129];

    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, hex);
}

static void sha256_gives_the_published_digests(void **state)
{
    static const char *const golden[][2] = {
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnop"
          "qrstnopqrstu",
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
    };
    char *million = malloc(1000000);
    uint8_t out[32];

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        lapse_sha256(golden[i][0], strlen(golden[i][0]), out);
        expect_hex(out, sizeof out, golden[i][1]);
    }
    assert_non_null(million);
    memset(million, 'a', 1000000);
    lapse_sha256(million, 1000000, out);
    expect_hex(out, sizeof out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void hmac_gives_the_published_codes(void **state)
{
    uint8_t key[131], data[152], out[32];

    (void)state; /* RFC 4231, cases 1, 2, 3, 4, 6 and 7 */
    memset(key, 0x0b, 20);
    lapse_hmac_sha256(key, 20, "Hi There", 8, out);
    expect_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    lapse_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    expect_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, 50);
    lapse_hmac_sha256(key, 20, data, 50, out);
    expect_hex(out, 32, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    for (uint8_t i = 0; i < 25; i++)
        key[i] = (uint8_t)(i + 1);
    memset(data, 0xcd, 50);
    lapse_hmac_sha256(key, 25, data, 50, out);
    expect_hex(out, 32, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    memset(key, 0xaa, sizeof key);
    lapse_hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
    expect_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    memcpy(data,
           "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
           "to be "
           "hashed before being used by the HMAC algorithm.",
           152);
    lapse_hmac_sha256(key, 131, data, 152, out);
    expect_hex(out, 32, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void siphash_gives_the_published_values(void **state)
{
    static const struct {
        size_t n;
        const char *hex;
    } golden[] = {
        { 0, "a3817f04ba25a8e66df67214c7550293" },  { 1, "da87c1d86b99af44347659119b22fc45" },
        { 7, "a1f1ebbed8dbc153c0b84aa61ff08239" },  { 8, "3b62a9ba6258f5610f83e264f31497b4" },
        { 15, "5493e99933b0a8117e08ec0f97cfc3d9" }, { 16, "6ee2a4ca67b054bbfd3315bf85230577" },
        { 31, "2939b0183223fafc1723de4f52c43d35" }, { 63, "5150d1772f50834a503e069a973fbd7c" },
    };
    uint8_t key[16], data[64], out[16];

    (void)state;
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    for (uint8_t i = 0; i < 64; i++)
        data[i] = i;
    for (size_t i = 0; i < COUNT(golden); i++) {
        lapse_siphash(key, data, golden[i].n, out);
        expect_hex(out, sizeof out, golden[i].hex);
    }
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* No two of many like keys, of all lengths, share a hash; each bit of key, length and seed turns about half of
 * the bits; reading starts at any address. */
static void hashes_spread(void **state)
{
    enum { N = 200000 };
    uint64_t *all = malloc(N * sizeof *all);
    unsigned char text[80], moved[81];

    (void)state;
    assert_non_null(all);
    for (int i = 0; i < N; i++)
        all[i] =
            lapse_hash(text, (size_t)snprintf((char *)text, sizeof text, i & 1 ? "%d" : "customer-%08d", i), 5);
    qsort(all, N, sizeof *all, by_value);
    for (int i = 1; i < N; i++)
        assert_true(all[i] != all[i - 1]);
    free(all);
    memset(text, 0, sizeof text); /* zeros of each length differ */
    for (size_t n = 0; n < sizeof text; n++)
        for (size_t k = 0; k < n; k++)
            assert_true(lapse_hash(text, n, 0) != lapse_hash(text, k, 0));
    for (size_t n = 1; n <= 72; n++) {
        for (size_t bit = 0; bit < 8 * n; bit++) {
            int turned = 0;

            for (int round = 0; round < 16; round++) {
                uint64_t difference;

                for (size_t i = 0; i < n; i++)
                    text[i] = (unsigned char)draw();
                difference = lapse_hash(text, n, 1);
                text[bit / 8] ^= (unsigned char)(1 << bit % 8);
                difference ^= lapse_hash(text, n, 1);
                assert_true(difference != 0);
                for (; difference; difference &= difference - 1)
                    turned++;
            }
            assert_true(turned > 16 * 32 - 150 && turned < 16 * 32 + 150); /* nine standard deviations */
        }
        memcpy(moved + 1, text, n);
        assert_true(lapse_hash(moved + 1, n, 9) == lapse_hash(text, n, 9));
        assert_true(lapse_hash(text, n, 9) != lapse_hash(text, n, 8));
    }
}

/* Hashes are kept in files: these may never change. Computed with Python from the definition in
 * lib/base/hash.c. */
static void hashes_stay(void **state)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog";
    static const struct {
        size_t n;
        uint64_t hash;
    } golden[] = {
        { 0, UINT64_C(0xd9614a4b5cbf4832) },  { 1, UINT64_C(0x153f743a4dcb75c3) },
        { 3, UINT64_C(0x386c9130b97b6b65) },  { 4, UINT64_C(0x410807204b297e91) },
        { 7, UINT64_C(0xca91f327d2b9bb83) },  { 8, UINT64_C(0xccb936c27a3acaae) },
        { 16, UINT64_C(0xd4bd33d5e515379a) }, { 17, UINT64_C(0x692e42988dbdf451) },
        { 32, UINT64_C(0xf0599dae6fda1361) }, { 33, UINT64_C(0x2b201c11e3a5e833) },
        { 43, UINT64_C(0x103ff9a521243c08) },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++)
        assert_true(lapse_hash(text, golden[i].n, 42) == golden[i].hash);
    assert_true(lapse_hash(NULL, 0, 42) == golden[0].hash);
}

static void random_bytes_differ(void **state)
{
    unsigned char a[1000] = { 0 }, b[1000] = { 0 };
    int zeros = 0;

    (void)state;
    assert_true(lapse_random(a, sizeof a) && lapse_random(b, sizeof b) && lapse_random(b, 0));
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof a; i++)
        zeros += a[i] == 0;
    assert_true(zeros < 50); /* 4 are expected */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(hmac_gives_the_published_codes),
        cmocka_unit_test(siphash_gives_the_published_values),
        cmocka_unit_test(hashes_spread),
        cmocka_unit_test(hashes_stay),
        cmocka_unit_test(random_bytes_differ),
    };

    return cmocka_run_group_tests_name("base: hashes", tests, NULL, NULL);
}
