// SPDX-License-Identifier: Apache-2.0
// DNS messages (RFC 1035 4, with 2181 and 3596; SRV: 2782): a query out, a reply in. Pure; reads no byte that
// is not there, follows compression pointers backwards only and a bounded number of them, allocates nothing.
#ifndef KUBECANARY_AGENT_DNS_WIRE_H
#define KUBECANARY_AGENT_DNS_WIRE_H

#include "lib/dns_text.h"

struct dns_wire_question {
    uint16_t id;
    enum dns_type type;
    uint8_t name[DNS_NAME_MAX]; // as dns_text_name makes it
};

#define DNS_WIRE_HEADER 12
#define DNS_WIRE_QUERY_MAX (DNS_WIRE_HEADER + DNS_NAME_MAX + 4)
#define DNS_WIRE_MESSAGE_MAX 65535 // over TCP; its length goes before it in two bytes

// Writes a query with recursion desired, without EDNS. Returns its length.
size_t dns_wire_query(uint8_t out[static DNS_WIRE_QUERY_MAX], const struct dns_wire_question *q);

enum dns_wire_kind {
    DNS_WIRE_FOREIGN, // no reply, or to another id: somebody else's
    DNS_WIRE_BROKEN,  // the id is ours, but it cannot be read, or answers another question
    DNS_WIRE_REPLY,
};

struct dns_wire_reply {
    unsigned rcode; // 0..15
    bool truncated; // TC: only the header and the question were read
    unsigned n;     // answers: records of the type asked for, of the name or of what its CNAMEs lead to
    // dns_wire's own
    const uint8_t *data;
    size_t len, answers;
    unsigned n_records;
    uint8_t owner[DNS_NAME_MAX];
};

// Reads what came back for q. The question is compared without regard to case; a reply with an error may be
// without it. Every section must be whole; bytes behind the last one are ignored. data must live as long as
// *ret is used.
enum dns_wire_kind dns_wire_read(const uint8_t *data, size_t len, const struct dns_wire_question *q,
                                 struct dns_wire_reply *ret);
// Whether one of the answers is this record (as dns_text_record makes it).
bool dns_wire_has(const struct dns_wire_reply *r, const struct dns_wire_question *q, const uint8_t *record,
                  size_t len);

#endif
