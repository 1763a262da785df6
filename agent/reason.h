// SPDX-License-Identifier: Apache-2.0
// Why a probe was unreachable, or could not be sent: short lists of names for what ICMP's types and codes and
// errno say, so that they can be labels. Pure.
#ifndef KUBECANARY_AGENT_REASON_H
#define KUBECANARY_AGENT_REASON_H

#include "lib/addr.h"
#include "lib/spec.h"

// Label `reason` of kubecanary_probe_unreachable_total. Codes of both families that mean the same have one
// name (RFC 792 and 1122 3.2.2.1, RFC 1812 5.2.7.1; RFC 4443 3).
enum reason {
    REASON_NETWORK,           // "network": no route to it (v4 codes 0, 6, 8, 11; v6 code 0)
    REASON_HOST,              // "host": the last router does not find it (v4 1, 7, 12; v6 3)
    REASON_PROTOCOL,          // "protocol" (v4 2; v6: parameter problem, next header)
    REASON_PORT,              // "port": an ICMP error, nobody listens (v4 3; v6 4)
    REASON_ADMIN_PROHIBITED,  // "admin_prohibited": a filter says so (v4 9, 10, 13 to 15; v6 1, 5, 6)
    REASON_TIME_EXCEEDED,     // "time_exceeded": hops or reassembly (v4 type 11; v6 type 3)
    REASON_PARAMETER_PROBLEM, // "parameter_problem" (v4 type 12; v6 type 4)
    REASON_TOO_BIG,           // "too_big": and it may not be fragmented (v4 4; v6 type 2)
    REASON_REFUSED,           // "refused": TCP, the connect was answered by a reset
    REASON_CLOSED,            // "closed": the connection ended before the answer
    REASON_CONNECT,           // "connect": HTTP, no connection
    REASON_LOOKUP,            // "lookup": HTTP, the name has no address
    REASON_OTHER,             // "other": what is none of these
};
#define REASONS 13
const char *reason_name(enum reason r);
// Of an ICMP error by type and code.
enum reason reason_icmp(enum family f, uint8_t type, uint8_t code);
// Whether such an error says that our packet was dropped at all: a redirect tells of a better way and source
// quench of a crowd, while the packet goes on. A router's wish for smaller packets drops one that may not be
// fragmented (whole); of others the next one will be.
bool reason_icmp_ends(enum family f, uint8_t type, uint8_t code, bool whole);
// Of a connection, by errno: without the ICMP error that may have been behind it.
enum reason reason_connection(int err);
// Whether a probe of this type can be unreachable for it at all.
bool reason_possible(enum spec_probe_type t, enum reason r);

// Label `errno` of kubecanary_probe_send_errors_total: those that sending, binding or connecting is known
// for.
#define REASON_ERRORS 16
const char *reason_error_name(unsigned i); // "ENETUNREACH" ...; the last: "other"
unsigned reason_error(int err);            // 0 .. REASON_ERRORS - 1

#endif
