// SPDX-License-Identifier: Apache-2.0
// Text to address and back by inet_pton/inet_ntop, socket addresses, and the --listen argument.
#include "lib/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const unsigned char mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

int addr_parse(const char *text, struct addr *ret)
{
    struct addr a = {.set = 1};
    a.family = strchr(text, ':') ? FAMILY_IPV6 : FAMILY_IPV4;
    if (inet_pton(a.family == FAMILY_IPV6 ? AF_INET6 : AF_INET, text, a.bytes) != 1)
        return -EINVAL;
    if (a.family == FAMILY_IPV6 && memcmp(a.bytes, mapped_prefix, sizeof(mapped_prefix)) == 0)
        return -EINVAL;
    *ret = a;
    return 0;
}

const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
    out[0] = '\0';
    if (a->set)
        inet_ntop(a->family == FAMILY_IPV6 ? AF_INET6 : AF_INET, a->bytes, out, ADDR_TEXT_MAX);
    return out;
}

static const char *not_a_host6(const struct in6_addr *a)
{
    if (IN6_IS_ADDR_UNSPECIFIED(a))
        return "is the unspecified address";
    if (IN6_IS_ADDR_MULTICAST(a))
        return "is a multicast address";
    return IN6_IS_ADDR_LINKLOCAL(a) ? "is a link-local address, which needs an interface" : NULL;
}

const char *addr_not_a_host(const struct addr *a)
{
    struct in6_addr in6;
    uint32_t in;
    if (!a->set)
        return NULL;
    memcpy(&in6, a->bytes, sizeof(in6));
    if (a->family == FAMILY_IPV6)
        return not_a_host6(&in6);
    memcpy(&in, a->bytes, sizeof(in));
    in = ntohl(in);
    if (in == INADDR_ANY)
        return "is the unspecified address";
    if (IN_MULTICAST(in))
        return "is a multicast address";
    if (in == INADDR_BROADCAST)
        return "is the broadcast address";
    return IN_BADCLASS(in) ? "is a reserved address (240.0.0.0/4)" : NULL;
}

bool addr_is_link_local(const struct addr *a)
{
    struct in6_addr in6;
    if (!a->set || a->family == FAMILY_IPV4)
        return a->set && a->bytes[0] == 169 && a->bytes[1] == 254;
    memcpy(&in6, a->bytes, sizeof(in6));
    return IN6_IS_ADDR_LINKLOCAL(&in6);
}

bool addr_is_loopback(const struct addr *a)
{
    struct in6_addr in6;
    if (!a->set || a->family == FAMILY_IPV4)
        return a->set && a->bytes[0] == IN_LOOPBACKNET;
    memcpy(&in6, a->bytes, sizeof(in6));
    return IN6_IS_ADDR_LOOPBACK(&in6);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (!a->set || !b->set)
        return a->set == b->set;
    return a->family == b->family && memcmp(a->bytes, b->bytes, a->family == FAMILY_IPV6 ? 16 : 4) == 0;
}

socklen_t addr_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){0};
    if (a->set && a->family == FAMILY_IPV4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, a->bytes, sizeof(in->sin_addr));
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    if (a->set)
        memcpy(&in6->sin6_addr, a->bytes, sizeof(in6->sin6_addr));
    return sizeof(*in6);
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret, uint16_t *ret_port)
{
    struct addr a = {.set = 1};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        a.family = FAMILY_IPV4;
        memcpy(a.bytes, &in.sin_addr, sizeof(in.sin_addr));
        *ret_port = ntohs(in.sin_port);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        a.family = FAMILY_IPV6;
        memcpy(a.bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
        *ret_port = ntohs(in6.sin6_port);
    } else {
        return -EAFNOSUPPORT;
    }
    *ret = a;
    return 0;
}

const char *addr_family_name(enum family f)
{
    return f == FAMILY_IPV6 ? "IPv6" : "IPv4";
}

// The host part of a listen address without its brackets (IPv6 must have them), and where the port begins.
static int split_listen(const char *text, char host[static ADDR_TEXT_MAX], const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return -EINVAL;
    const char *from = text, *to = colon;
    if (*from == '[') {
        if (to == from || to[-1] != ']')
            return -EINVAL;
        from++;
        to--;
        if (!memchr(from, ':', (size_t)(to - from)))
            return -EINVAL;
    } else if (memchr(from, ':', (size_t)(to - from))) {
        return -EINVAL;
    }
    if (to - from >= ADDR_TEXT_MAX)
        return -EINVAL;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    *ret_port = colon + 1;
    return 0;
}

int addr_parse_listen(const char *text, struct addr *ret, uint16_t *ret_port)
{
    char host[ADDR_TEXT_MAX];
    const char *port_text;
    struct addr a = {0};
    uint64_t port;
    if (split_listen(text, host, &port_text) < 0 || base_parse_u64(port_text, 0, UINT16_MAX, &port) < 0)
        return -EINVAL;
    if (host[0] != '\0' && strcmp(host, "::") != 0 && addr_parse(host, &a) < 0)
        return -EINVAL;
    *ret = a;
    *ret_port = (uint16_t)port;
    return 0;
}
