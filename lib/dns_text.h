// SPDX-License-Identifier: Apache-2.0
// DNS names and records as people write them (RFC 1035 5.1; escapes are not known) and in the form that
// records are compared in: as in a message, but with names whole and in lower case. Pure.
#ifndef KUBECANARY_LIB_DNS_TEXT_H
#define KUBECANARY_LIB_DNS_TEXT_H

#include "lib/base.h"

// The types that are asked for, in the order of the spec's names. 0: none.
enum dns_type {
    DNS_TYPE_UNSET,
    DNS_A,
    DNS_AAAA,
    DNS_CNAME,
    DNS_MX,
    DNS_NS,
    DNS_PTR,
    DNS_SOA,
    DNS_SRV,
    DNS_TXT,
};
const char *dns_text_type(enum dns_type t);    // "AAAA"
uint16_t dns_text_number(enum dns_type t);     // of the registry: 28
enum dns_type dns_text_by_number(uint16_t nr); // DNS_TYPE_UNSET: none of these

// Response codes that have names here; the numbers are the registry's (RFC 1035 4.1.1).
enum dns_rcode { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED };
#define DNS_RCODES 6
const char *dns_text_rcode(unsigned rcode); // "NXDomain"; "other" from DNS_RCODES on

#define DNS_NAME_MAX 255 // bytes of a name in a message, the root's label included (RFC 1035 2.3.4)
#define DNS_LABEL_MAX 63 // bytes of a label
#define DNS_RECORD_MAX \
    320 // bytes of a record to compare: three numbers and a name, or a text of LIMIT_DNS_ANSWER

// "A.example" or "a.example." as the name's labels in lower case; "." is the root. Returns its length, or
// -EINVAL: an empty or too long label, too long in all, or a backslash.
MUST_USE int dns_text_name(const char *text, uint8_t out[static DNS_NAME_MAX]);

// A record's data to compare with. A, AAAA: the address. CNAME, NS, PTR: the name. MX "10 mail.example.",
// SRV "0 100 443 host.example.": the numbers, big-endian, and the name. TXT: its strings put together. SOA:
// the name of the primary server alone. Returns the length; -EINVAL: it is no data of that type.
MUST_USE int dns_text_record(enum dns_type t, const char *text, uint8_t out[static DNS_RECORD_MAX]);

#endif
