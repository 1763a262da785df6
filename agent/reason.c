// SPDX-License-Identifier: Apache-2.0
// Tables.
#include "agent/reason.h"

#include <errno.h>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

const char *reason_name(enum reason r)
{
    static const char *const names[REASONS] = {
        "network", "host",    "protocol", "port",    "admin_prohibited", "time_exceeded", "parameter_problem",
        "too_big", "refused", "closed",   "connect", "lookup",           "other"};
    return names[r];
}

// Destination unreachable. Of source routes (5) nothing is known here.
static enum reason unreachable_v4(uint8_t code)
{
    static const uint8_t reasons[] = {[ICMP_NET_UNREACH] = REASON_NETWORK,
                                      [ICMP_HOST_UNREACH] = REASON_HOST,
                                      [ICMP_PROT_UNREACH] = REASON_PROTOCOL,
                                      [ICMP_PORT_UNREACH] = REASON_PORT,
                                      [ICMP_FRAG_NEEDED] = REASON_TOO_BIG,
                                      [ICMP_SR_FAILED] = REASON_OTHER,
                                      [ICMP_NET_UNKNOWN] = REASON_NETWORK,
                                      [ICMP_HOST_UNKNOWN] = REASON_HOST,
                                      [ICMP_HOST_ISOLATED] = REASON_NETWORK,
                                      [ICMP_NET_ANO] = REASON_ADMIN_PROHIBITED,
                                      [ICMP_HOST_ANO] = REASON_ADMIN_PROHIBITED,
                                      [ICMP_NET_UNR_TOS] = REASON_NETWORK,
                                      [ICMP_HOST_UNR_TOS] = REASON_HOST,
                                      [ICMP_PKT_FILTERED] = REASON_ADMIN_PROHIBITED,
                                      [ICMP_PREC_VIOLATION] = REASON_ADMIN_PROHIBITED,
                                      [ICMP_PREC_CUTOFF] = REASON_ADMIN_PROHIBITED};
    return code < ARRAY_LEN(reasons) ? (enum reason)reasons[code] : REASON_OTHER;
}

#define V6_POLICY_FAILED 5 // RFC 4443 3.1, newer than the header
#define V6_ROUTE_REJECTED 6
static enum reason unreachable_v6(uint8_t code)
{
    static const uint8_t reasons[] = {
        [ICMP6_DST_UNREACH_NOROUTE] = REASON_NETWORK,   [ICMP6_DST_UNREACH_ADMIN] = REASON_ADMIN_PROHIBITED,
        [ICMP6_DST_UNREACH_BEYONDSCOPE] = REASON_OTHER, [ICMP6_DST_UNREACH_ADDR] = REASON_HOST,
        [ICMP6_DST_UNREACH_NOPORT] = REASON_PORT,       [V6_POLICY_FAILED] = REASON_ADMIN_PROHIBITED,
        [V6_ROUTE_REJECTED] = REASON_ADMIN_PROHIBITED};
    return code < ARRAY_LEN(reasons) ? (enum reason)reasons[code] : REASON_OTHER;
}

static enum reason icmp_v4(uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP_DEST_UNREACH: return unreachable_v4(code);
    case ICMP_TIME_EXCEEDED: return REASON_TIME_EXCEEDED;
    case ICMP_PARAMETERPROB: return REASON_PARAMETER_PROBLEM;
    default: return REASON_OTHER;
    }
}

static enum reason icmp_v6(uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP6_DST_UNREACH: return unreachable_v6(code);
    case ICMP6_PACKET_TOO_BIG: return REASON_TOO_BIG;
    case ICMP6_TIME_EXCEEDED: return REASON_TIME_EXCEEDED;
    case ICMP6_PARAM_PROB:
        return code == ICMP6_PARAMPROB_NEXTHEADER ? REASON_PROTOCOL : REASON_PARAMETER_PROBLEM;
    default: return REASON_OTHER;
    }
}

enum reason reason_icmp(enum family f, uint8_t type, uint8_t code)
{
    return f == FAMILY_IPV4 ? icmp_v4(type, code) : icmp_v6(type, code);
}

bool reason_icmp_ends(enum family f, uint8_t type, uint8_t code, bool whole)
{
    if (f == FAMILY_IPV4)
        return (type == ICMP_DEST_UNREACH && (whole || code != ICMP_FRAG_NEEDED)) ||
               type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
    return type == ICMP6_DST_UNREACH || (whole && type == ICMP6_PACKET_TOO_BIG) ||
           type == ICMP6_TIME_EXCEEDED || type == ICMP6_PARAM_PROB;
}

enum reason reason_connection(int err)
{
    switch (err) {
    case ECONNREFUSED: return REASON_REFUSED;
    case EPIPE:
    case ECONNRESET: return REASON_CLOSED;
    case ENETUNREACH:
    case ENONET: return REASON_NETWORK;
    case EHOSTUNREACH:
    case EHOSTDOWN: return REASON_HOST;
    case ENOPROTOOPT: return REASON_PROTOCOL;
    case EACCES: return REASON_ADMIN_PROHIBITED;
    case EPROTO: return REASON_PARAMETER_PROBLEM;
    default: return REASON_OTHER;
    }
}

bool reason_possible(enum spec_probe_type t, enum reason r)
{
    bool http = t == SPEC_HTTP, stream = t == SPEC_TCP || t == SPEC_DNS;
    switch (r) { // of HTTP's there is no other: kubecanary_http_errors_total tells more
    case REASON_CONNECT:
    case REASON_LOOKUP: return http;
    case REASON_CLOSED: return http || stream;
    case REASON_REFUSED: return stream;
    case REASON_TOO_BIG: return t == SPEC_ICMP || t == SPEC_STAMP;
    case REASON_OTHER:
    case REASON_NETWORK:
    case REASON_HOST:
    case REASON_PROTOCOL:
    case REASON_PORT:
    case REASON_ADMIN_PROHIBITED:
    case REASON_TIME_EXCEEDED:
    case REASON_PARAMETER_PROBLEM: return !http;
    }
    return false;
}

static const struct {
    int err;
    const char *name;
} errors[REASON_ERRORS - 1] = {
    {ENETUNREACH, "ENETUNREACH"},
    {EHOSTUNREACH, "EHOSTUNREACH"},
    {ENETDOWN, "ENETDOWN"},
    {EPERM, "EPERM"},
    {EACCES, "EACCES"},
    {EINVAL, "EINVAL"},
    {EMSGSIZE, "EMSGSIZE"},
    {EADDRNOTAVAIL, "EADDRNOTAVAIL"},
    {EADDRINUSE, "EADDRINUSE"},
    {EAGAIN, "EAGAIN"},
    {ENOBUFS, "ENOBUFS"},
    {ENOMEM, "ENOMEM"},
    {EMFILE, "EMFILE"},
    {ENFILE, "ENFILE"},
    {EAFNOSUPPORT, "EAFNOSUPPORT"},
};

const char *reason_error_name(unsigned i)
{
    return i < ARRAY_LEN(errors) ? errors[i].name : "other";
}

unsigned reason_error(int err)
{
    unsigned i = 0;
    while (i < ARRAY_LEN(errors) && errors[i].err != err)
        i++;
    return i;
}
