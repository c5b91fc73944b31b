/*
 * Addresses of sockets, compared as a connection would find them: IPv4 is the same in both its forms, and "any" (0.0.0.0, ::) is the
 * loopback, to which it leads. Pure.
 */
#ifndef BELFRY_NET_ADDRESS_H
#define BELFRY_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* With their ports. False for what is no IP address. */
bool address_is_same(const struct sockaddr *a, const struct sockaddr *b);
/* 169.254.0.0/16 and fe80::/10: neighbours on the wire, and where clouds tell a machine its secrets. */
bool address_is_link_local(const struct sockaddr *address);

#endif
