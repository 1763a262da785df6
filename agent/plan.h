// SPDX-License-Identifier: Apache-2.0
// Who is probed and how: built from agent.yaml, the peers and the own node's name through lib/topo. Pure
// data, immutable once built: pairs sorted by a stable key, destinations, probes, and the names for labels.
// Holds no counters and no socket; what was probed lately is carried along as `gone` so that its series stay
// for the last scrapes.
#ifndef KUBECANARY_AGENT_PLAN_H
#define KUBECANARY_AGENT_PLAN_H

#include "agent/plan_resolve.h"
#include "lib/addr.h"
#include "lib/dns_text.h"
#include "lib/err.h"
#include "lib/peers.h"
#include "lib/spec_agent_file.h"

// How an HTTP target is asked, and what its answer must be.
struct plan_http {
    const char *url;
    const char *ca; // PEM; "": the system's store
    size_t ca_len;
    bool head, follow, insecure;
    bool any_family; // whichever the name leads to; the pair stands as IPv4, its label `family` is empty
    uint8_t n_statuses;
    uint16_t statuses[LIMIT_HTTP_STATUSES]; // one of these; none: 200 to 299
};

// A kind of probe: one of mesh.probes, or the one of a target.
struct plan_probe {
    const char *name; // mesh: the probe's name; target: its type in lower case ("icmp"). Label `probe`
    enum spec_probe_type type;
    uint16_t port;      // TCP, STAMP, DNS
    uint8_t flows;      // STAMP: source ports that a pair's probes take turns over
    uint8_t dscp;       // STAMP
    uint16_t payload;   // ICMP, STAMP: bytes, at least what the type needs
    bool dont_fragment; // ICMP, STAMP
    bool target;
    bool tcp;                     // DNS: by TCP from the start
    uint8_t rcodes;               // DNS: bits 1 << enum dns_rcode of the answers that are expected
    uint8_t n_answers;            // DNS
    bool named;                   // the target is a name's address: probes may be unresolved
    enum dns_type record;         // DNS
    const char *query;            // DNS: the name asked for
    const char *const *answers;   // DNS: records that an answer must have (dns_text_record)
    const struct plan_http *http; // HTTP; otherwise NULL
    uint16_t own_fixed; // bytes of each pair that are the type's own (engine_own), and for each slot
    uint16_t own_slot;
    uint64_t interval_ns;
    uint64_t timeout_ns; // answered within: received
    uint64_t grace_ns;   // then, answered within this: late; afterwards lost. One more timeout, an interval
                         // at most, and LIMIT_GRACE_NS
};

// An agent of a peer's node (it may have two, one in each network), or a named target.
struct plan_dest {
    const char *name;           // labels `destination_node`, or `target`
    const char *zone;           // label `destination_zone`, "" if unknown; "" for targets
    const char *address;        // label `address`, of a name of which all addresses are probed; "": none
    struct addr addr[FAMILIES]; // not set: the name has none, and probes end as unresolved
    bool target;
    uint8_t network; // enum spec_network: whose addresses these are; of targets the agent's own
};

// One row of what is measured: destination (and with it the network) x probe x family.
struct plan_pair {
    uint64_t
        gone_until_ns; // 0: live. Otherwise it is not probed any more, and only its series stay until then
    uint32_t dest;     // index in dests
    uint16_t probe;    // index in probes
    uint8_t family;    // enum family
    bool gone;         // gone_until_ns is set
};

// What histograms are kept by past the series limit: the mesh's pairs of one probe and family to one zone in
// one network.
struct plan_zone {
    const char *zone;  // of the destinations
    const char *probe; // its name
    uint8_t family;    // enum family
    uint8_t network;   // enum spec_network, of the destinations
};

struct plan_text;

// For how many of each there is room.
struct plan_room {
    size_t pairs, dests, probes, answers, https, hosts;
};

// A target that has a name instead of an address.
struct plan_host {
    const char *target; // its name as a target
    const char *host;
    uint16_t probe; // index in probes
    bool all;       // all addresses, not the first alone
};

struct plan {
    unsigned refs;
    uint64_t generation; // of agent.yaml
    bool paused;         // nothing is sent; pairs and counters stay
    const char *fleet;
    const char *node;          // own: label `source_node`
    const char *zone;          // own: label `source_zone`, "" if unknown
    enum spec_network network; // own
    unsigned networks; // bits 1 << enum spec_network: in which of them peers have agents; own included
    uint32_t series_limit;
    uint64_t gone_ns; // metrics.scrapeInterval, twice
    bool gzip;        // metrics.compression
    size_t n_bounds;
    uint64_t bounds_ns[LIMIT_BUCKETS]; // of the RTT histogram, ascending

    size_t n_pairs; // sorted: peers before targets; by name, network, probe, family
    struct plan_pair *pairs;
    size_t n_dests;
    struct plan_dest *dests;
    size_t n_probes;
    struct plan_probe *probes;
    size_t n_zones; // sorted
    struct plan_zone *zones;
    size_t n_hosts;
    struct plan_host *hosts;
    size_t n_answers; // of all probes
    const char **answers;
    size_t n_https; // likewise
    struct plan_http *https;

    size_t n_live;          // pairs that are not gone
    uint64_t gone_until_ns; // when to call plan_prune; UINT64_MAX: nothing is gone
    // Of the agents in each of `networks`: peers but ourselves, by state (kubecanary_peers), and Ready peers
    // that probe this agent (kubecanary_coverage_peers).
    size_t peers[SPEC_NETWORKS][PEER_STATES];
    size_t coverage[SPEC_NETWORKS];
    uint64_t packets_per_ks;  // that this agent sends in 1,000 s (spec_probe_packets)
    uint64_t min_interval_ns; // the shortest of the live pairs; 0 without any

    struct plan_text *text; // the memory of the names
    struct plan_room room;  // of the lists; of use while it is built
};

// Builds a plan. old (may be NULL): pairs in it that the new one has not stay as gone from now_ns until what
// is in flight has ended and two scrapes (gone_ns) have seen it; those gone before keep their time. Errors:
// ENOMEM, E2BIG (LIMIT_PAIRS). Peers sorted. Nothing given is kept by reference.
MUST_USE int plan_build(const struct spec_agent_file *file, const struct peers *peers, const char *node,
                        enum spec_network network, const struct plan *old, uint64_t now_ns, struct plan **ret,
                        struct err *e);
// The same plan without those pairs whose time has passed.
MUST_USE int plan_prune(const struct plan *old, uint64_t now_ns, struct plan **ret, struct err *e);

// A plan is freed with its last holder. A reader that outlives a reload (a scrape that streams) holds it:
// names and pairs stay valid, while the counters belong to the engine's plan of the moment (copy them first).
struct plan *plan_hold(struct plan *p);
void plan_free(struct plan *p); // takes NULL

// The order of pairs, over plans: < 0, 0, > 0. Equal: the same row, whatever its address, interval or zone.
int plan_compare(const struct plan *a, size_t i, const struct plan *b, size_t j);
// The label `network` of what leads to a destination in that network.
const char *plan_network(const struct plan *p, enum spec_network to);
// The heap that the plan itself holds (see engine_memory for the whole).
size_t plan_bytes(const struct plan *p);

#endif
