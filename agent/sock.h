// SPDX-License-Identifier: Apache-2.0
// The kernel's side of packets: unprivileged ping sockets (SOCK_DGRAM, IPPROTO_ICMP/ICMPV6;
// net.ipv4.ping_group_range must hold our group) and UDP sockets, with software timestamps of sending and
// receipt (Documentation/networking/timestamping.rst), batches, and the error queue. Knows bytes, addresses
// and times, no probes. Kernel stamps are of the real-time clock: they leave this file only converted to
// CLOCK_MONOTONIC, or as 0 where a step of the clock makes them doubtful.
#ifndef KUBECANARY_AGENT_SOCK_H
#define KUBECANARY_AGENT_SOCK_H

#include "lib/addr.h"
#include "lib/err.h"

uint64_t sock_now(void); // CLOCK_MONOTONIC, ns

// Real time minus monotonic time. sock_clock_sample is called once before the stamps of a tick are read.
struct sock_clock {
    int64_t offset_ns;
    bool valid;   // a sample was taken
    bool stepped; // the last sample found a step: stamps read now may be from before or after it
    uint64_t at_ns;
};
// Returns true if the clock was stepped since the last sample (more than slewing, 500 ppm, explains).
bool sock_clock_sample(struct sock_clock *c);
// The decision alone, for tests: takes one reading of both clocks that were read within doubt_ns.
bool sock_clock_update(struct sock_clock *c, uint64_t mono_ns, uint64_t real_ns, uint64_t doubt_ns);
// A kernel stamp (ns of real time; 0: none) on our clock; 0 if there is none or it is doubtful.
uint64_t sock_clock_convert(const struct sock_clock *c, uint64_t real_ns);

struct sock_opts {
    bool no_tx_stamps; // forces the fallback (tests)
    bool no_rx_stamps;
    size_t burst;       // packets of one tick, and
    size_t payload;     // the largest of them: both size the receive buffer
    bool dont_fragment; // sock_set_whole from the beginning
};

// Of an answer, or a frame of ours: 64 bytes of ICMP under IPv6, Ethernet and, below a tunnel, all that
// again.
#define SOCK_DATA 256

struct sock_packet {
    const uint8_t *data; // of a longer packet the first SOCK_DATA bytes
    size_t len;          // as it came; past LIMIT_PROBE_PAYLOAD more than that, by an unknown number
    struct addr from;
    uint16_t port;    // UDP: from there
    uint64_t real_ns; // kernel's stamp, real time; 0: none
};

// What the error queue holds: the stamp of a transmission (our whole frame, link header first), or an ICMP
// error.
struct sock_error {
    bool stamp;
    const uint8_t *data; // the first SOCK_DATA bytes of: stamp: the frame; error: our ICMP message from its
                         // header on, or our UDP packet's payload, as far as it was quoted
    size_t len;
    uint64_t real_ns;   // stamp
    uint8_t type, code; // error: of the ICMP message
    int err;            // error: errno as the kernel maps it; 0: informational
    struct addr to;     // error: where our packet went
    uint16_t port;      // error: of a UDP packet
};

typedef void sock_packet_fn(const struct sock_packet *p, void *arg);
typedef void sock_error_fn(const struct sock_error *p, void *arg);

// A non-blocking ping socket. *ret_tx_stamps: whether the kernel will stamp transmissions. Returns the
// descriptor or a negative errno (EACCES: ping_group_range; EAFNOSUPPORT: no such family here).
MUST_USE int sock_ping(enum family f, const struct sock_opts *o, bool *ret_tx_stamps, struct err *e);
// As sock_ping, a UDP socket with a port of its own, of the kernel's choice, on all addresses of the family.
MUST_USE int sock_udp(enum family f, const struct sock_opts *o, bool *ret_tx_stamps, struct err *e);
// Whether what is sent from now on may be no fragments. Whole: no router may fragment it, and neither does
// this host: what is larger than the link takes ends with EMSGSIZE, what is larger than the path takes is
// sent all the same, whatever the kernel has learnt of the path. Otherwise routers and this host may
// fragment; with IPv6 this host alone, once the kernel has learnt that the path takes less. Errors of whole
// packets are handed up all the same when the socket sends others meanwhile.
MUST_USE int sock_set_whole(int fd, enum family f, bool whole, struct err *e);
// Resizes the receive buffer for a new plan.
void sock_set_burst(int fd, size_t burst, size_t payload);

struct sock_out {
    struct addr to;
    uint16_t port; // UDP
    uint8_t dscp;  // 0..63
    const uint8_t *data;
    size_t len;
    const uint8_t *more; // follows data, in the same packet
    size_t more_len;     // 0: nothing does
    int err;             // set: 0, or the errno of the failure
    uint64_t sent_ns;
};
// Sends out[n] in batches; an error that the socket held for an earlier packet is not taken for this one's.
// Sets err and sent_ns of each. one_by_one: a clock reading each instead of one a batch.
void sock_send(int fd, struct sock_out *out, size_t n, bool one_by_one);

// Reads what has come: for each batch the error queue first, so that a packet's own transmission stamp is
// always known before its answer is handed up. Bounded by max packets; returns how many there were.
size_t sock_drain(int fd, size_t max, sock_packet_fn *packet, sock_error_fn *error, void *arg);

// One datagram, or what a stream holds, for sockets that expect a single answer. *ret_real_ns: the stamp of
// its receipt, real time; 0: none. Returns the bytes, of a datagram at most `size` of them; 0 at a stream's
// end; -EAGAIN: nothing is there; another errno.
ssize_t sock_recv(int fd, uint8_t *data, size_t size, int flags, uint64_t *ret_real_ns);
// The error queue alone, at most max messages: to be read before the datagram that was just received is
// handed on, as its query's stamp of sending may be there.
void sock_drain_errors(int fd, size_t max, sock_error_fn *error, void *arg);

#endif
