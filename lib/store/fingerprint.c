/* The fingerprint of an identity. In a file of its own, so that a test can put another in its place. */
#include "store/identity.h"

void lapse_print_bytes(const uint8_t key[16], struct lapse_text source, struct lapse_text id,
                       uint8_t out[LAPSE_PRINT_SIZE])
{
    uint8_t text[1 + 255 + 255], whole[16];
    text[0] = (uint8_t)source.size;
    memcpy(text + 1, source.data, source.size);
    memcpy(text + 1 + source.size, id.data, id.size);
    lapse_siphash(key, text, 1 + source.size + id.size, whole);
    memcpy(out, whole, LAPSE_PRINT_SIZE);
}
