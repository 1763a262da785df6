// SPDX-License-Identifier: Apache-2.0
// An IP address as a value, its textual form (RFC 5952 for IPv6) and its socket address. No names are
// resolved here.
#ifndef KUBECANARY_LIB_ADDR_H
#define KUBECANARY_LIB_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/base.h"

enum family { FAMILY_IPV4, FAMILY_IPV6 };
#define FAMILIES 2
#define FAMILY_BIT(f) (1u << (f))

struct addr {
    uint8_t family;    // enum family
    uint8_t set;       // 0: no address
    uint8_t bytes[16]; // network order; IPv4 uses the first 4
};

#define ADDR_TEXT_MAX 46 // INET6_ADDRSTRLEN

// Parses a literal address (no brackets, no zone, no port). -EINVAL otherwise. IPv4-mapped IPv6 is refused.
MUST_USE int addr_parse(const char *text, struct addr *ret);
// "" if no address is set.
const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX]);
// Why it cannot be the address of one host by itself, e.g. "is a multicast address" (static); NULL if it
// can be, or if there is none. Loopback can; IPv6 link-local cannot: it says nothing without an interface.
const char *addr_not_a_host(const struct addr *a);
bool addr_is_link_local(const struct addr *a); // 169.254.0.0/16 (RFC 3927), fe80::/10
bool addr_is_loopback(const struct addr *a);   // 127.0.0.0/8, ::1
bool addr_equal(const struct addr *a, const struct addr *b);
// Fills *ret, returns its length. Without an address (set = 0) it is the IPv6 wildcard, for a dual-stack
// socket.
socklen_t addr_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret);
// The address and port (host order) of an AF_INET or AF_INET6 socket address; -EAFNOSUPPORT otherwise.
MUST_USE int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret, uint16_t *ret_port);
const char *addr_family_name(enum family f); // "IPv4", "IPv6"
// "ADDR:PORT", "[V6]:PORT"; ":PORT" and "[::]:PORT" mean all addresses of both families (then ret->set = 0).
// Port 0 is accepted: the kernel chooses. -EINVAL otherwise.
MUST_USE int addr_parse_listen(const char *text, struct addr *ret, uint16_t *ret_port);

#endif
