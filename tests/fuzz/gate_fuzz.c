/* The gate must judge the same bytes the same way however they are cut into reads. The first byte of the input chooses
 * the cuts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/net/http_gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct verdict {
    struct gate gate;
    size_t passed;
};

static struct verdict feed(const char *bytes, size_t len, size_t piece)
{
    struct verdict v = {.passed = 0};
    size_t have = 0;

    gate_init(&v.gate, 5000);
    while (have < len && v.gate.phase != GATE_REFUSED) {
        size_t n;

        have = len - have > piece ? have + piece : len;
        do {
            size_t room = have - v.passed;

            n = gate_pass(&v.gate, bytes + v.passed, room);
            if (n > room)
                abort();
            v.passed += n;
        } while (n > 0 && v.gate.phase != GATE_REFUSED);
    }
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verdict whole, cut;
    char *bytes;

    if (size < 2)
        return 0;
    bytes = malloc(size - 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    whole = feed(bytes, size - 1, size - 1);
    cut = feed(bytes, size - 1, (size_t)(data[0] % 64) + 1);
    if (whole.passed != cut.passed || whole.gate.phase != cut.gate.phase || whole.gate.status != cut.gate.status
        || whole.gate.requests != cut.gate.requests || whole.gate.body_left != cut.gate.body_left
        || whole.gate.body_seen != cut.gate.body_seen)
        abort();
    if (whole.gate.phase == GATE_REFUSED && (!whole.gate.why || whole.gate.status < 400))
        abort();
    free(bytes);
    return 0;
}
