#include "belfry/net/address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct place {
    uint8_t address[16];   /* IPv4 as ::ffff:a.b.c.d */
    in_port_t port;
};

static const uint8_t v4_any[16] = {[10] = 0xff, [11] = 0xff}, v4_loopback[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
static const uint8_t v6_any[16] = {0}, v6_loopback[16] = {[15] = 1};

static bool place_of(const struct sockaddr *address, struct place *place)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;

        memcpy(place->address, v4_any, 12);
        memcpy(place->address + 12, &in->sin_addr, 4);
        place->port = in->sin_port;
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;

        memcpy(place->address, &in->sin6_addr, 16);
        place->port = in->sin6_port;
    } else {
        return false;
    }
    if (memcmp(place->address, v4_any, 16) == 0)
        memcpy(place->address, v4_loopback, 16);
    else if (memcmp(place->address, v6_any, 16) == 0)
        memcpy(place->address, v6_loopback, 16);
    return true;
}

bool address_is_same(const struct sockaddr *a, const struct sockaddr *b)
{
    struct place one, other;

    return place_of(a, &one) && place_of(b, &other) && one.port == other.port && memcmp(one.address, other.address, 16) == 0;
}

bool address_is_link_local(const struct sockaddr *address)
{
    struct place place;

    if (!place_of(address, &place))
        return false;
    if (memcmp(place.address, v4_any, 12) == 0)
        return place.address[12] == 169 && place.address[13] == 254;
    return place.address[0] == 0xfe && (place.address[1] & 0xc0) == 0x80;
}
