// SPDX-License-Identifier: Apache-2.0
// What the agent and its helper kubecanary-http say to each other over a SOCK_SEQPACKET pair: one message a
// probe, one a result, and a question whether the helper is there, so that neither keeps state of the other's
// and a helper that was restarted needs to be told nothing. Pure: bytes in, values out. The helper reads what
// strangers send; so whoever reads a result believes no number in it that is not checked here.
//
// Probe:                                       Result:
//  0  4  "kch2": what it is, and its version    0  4  "kch2"
//  4  1  1                                      4  1  2
//  5  1  0: GET, 1: HEAD                        5  1  outcome (enum http_wire_outcome)
//  6  1  1: follow redirects, 2: trust anyone   6  2  status of the answer; 0: none
//  7  1  family: 0 any, 4, 6                    8  8  id, as in the probe
//  8  8  id                                    16  2  libcurl's code
// 16  8  how long it may take, ns              18  1  length of the text
// 24  4  length of the URL                     19  1  0
// 28  4  length of the CA bundle               20  2  errno, of HTTP_WIRE_LOCAL only; 0: unknown
// 32     URL, CA bundle (PEM)                  22  2  0
//                                              24 40  phases, ns: HTTP_WIRE_PHASES numbers
// Question and answer:                         64  8  end of the leaf certificate, unix seconds; 0: unknown
//  0  4  "kch2"                                72  8  the earliest end in the chain; 0: unknown
//  4  1  3: are you there, 4: here             80     text
//  5  3  0
// Numbers are big-endian.
#ifndef KUBECANARY_AGENT_HTTP_WIRE_H
#define KUBECANARY_AGENT_HTTP_WIRE_H

#include "lib/base.h"
#include "lib/limits.h"

#define HTTP_WIRE_FD 3 // where the helper finds its end

#define HTTP_WIRE_PROBE_HEAD 32
#define HTTP_WIRE_PROBE_MAX (HTTP_WIRE_PROBE_HEAD + LIMIT_HTTP_URL + LIMIT_HTTP_CA)
#define HTTP_WIRE_RESULT_HEAD 80
#define HTTP_WIRE_RESULT_MAX (HTTP_WIRE_RESULT_HEAD + LIMIT_HTTP_TEXT)
#define HTTP_WIRE_HELLO 8
#define HTTP_WIRE_ERRNO_MAX 4095 // Linux' own bound (MAX_ERRNO)

enum http_wire_family { HTTP_WIRE_ANY = 0, HTTP_WIRE_IPV4 = 4, HTTP_WIRE_IPV6 = 6 };

struct http_wire_probe {
    uint64_t id; // the agent's; comes back as it is
    uint64_t timeout_ns;
    enum http_wire_family family;
    bool head;     // HEAD instead of GET
    bool follow;   // redirects
    bool insecure; // any certificate will do
    const char *url;
    size_t url_len;
    const char *ca; // PEM; the system's store if empty
    size_t ca_len;
};

// How a probe ended; the label `class` of kubecanary_http_errors_total for those that are errors.
enum http_wire_outcome {
    HTTP_WIRE_ANSWERED,    // with a status
    HTTP_WIRE_LOOKUP,      // the name has no address
    HTTP_WIRE_CONNECT,     // refused, or no way there
    HTTP_WIRE_TLS,         // the handshake failed
    HTTP_WIRE_CERTIFICATE, // the certificate is not to be trusted
    HTTP_WIRE_TIMEOUT,     // not done in time, whatever the phase
    HTTP_WIRE_CLOSED,      // the connection ended before the answer did, or the body's frames broke
    HTTP_WIRE_PROTOCOL,    // the answer is no HTTP, or too long
    HTTP_WIRE_REDIRECT,    // round in circles, or to where we do not go
    HTTP_WIRE_LOCAL,       // of our own making: no memory, no descriptor, no route
};
#define HTTP_WIRE_OUTCOMES 10
const char *http_wire_outcome_name(enum http_wire_outcome o); // "answered", "lookup" ...

// Durations, each from the end of the one before; of all hops together if redirects were followed. 0: did not
// happen (no TLS), or was not finished.
enum http_wire_phase {
    HTTP_WIRE_PHASE_LOOKUP,
    HTTP_WIRE_PHASE_CONNECT,
    HTTP_WIRE_PHASE_TLS,
    HTTP_WIRE_PHASE_FIRST_BYTE, // from the request to the first byte of the answer
    HTTP_WIRE_PHASE_TOTAL,      // of everything, the rest of the answer included
};
#define HTTP_WIRE_PHASES 5
const char *http_wire_phase_name(enum http_wire_phase p); // "dns", "connect", "tls", "first_byte", "total"

struct http_wire_result {
    uint64_t id;
    enum http_wire_outcome outcome;
    uint16_t status; // 0: none; 100..999
    uint16_t code;   // libcurl's, for people
    uint16_t err;    // HTTP_WIRE_LOCAL: errno; 0: unknown
    uint64_t phase_ns[HTTP_WIRE_PHASES];
    int64_t leaf_end_s; // 0: unknown
    int64_t chain_end_s;
    char text[LIMIT_HTTP_TEXT + 1]; // what went wrong; printable ASCII
};

// The head alone, so that it can be sent with URL and CA from where they are (in this order).
void http_wire_probe_head(uint8_t out[static HTTP_WIRE_PROBE_HEAD], const struct http_wire_probe *p);
// url and ca point into data, and are not terminated. False: no probe.
bool http_wire_probe_read(const uint8_t *data, size_t len, struct http_wire_probe *ret);
size_t http_wire_result_write(uint8_t out[static HTTP_WIRE_RESULT_MAX], const struct http_wire_result *r);
enum http_wire_hello { HTTP_WIRE_ARE_YOU_THERE = 3, HTTP_WIRE_HERE = 4 };
void http_wire_hello_write(uint8_t out[static HTTP_WIRE_HELLO], enum http_wire_hello h);
bool http_wire_hello_is(const uint8_t *data, size_t len, enum http_wire_hello h);
// False: no result, or one that cannot be: no part is longer than the whole, the whole is at most
// LIMIT_HTTP_NS, dates are of four-digit years.
bool http_wire_result_read(const uint8_t *data, size_t len, struct http_wire_result *ret);

#endif
