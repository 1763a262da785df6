// SPDX-License-Identifier: Apache-2.0
// What a fleet shall do: the plain form of ProbeFleet.spec, and of the part of it that agent.yaml carries.
// spec_fields.def describes every field (name, type, default, range, doc): the parser, the defaults, the
// reference page and the test against the CRD read that table. No JSON or YAML past spec_parse. Field names
// in error paths are the resource's own ("spec.mesh.probes[0].interval").
#ifndef KUBECANARY_LIB_SPEC_H
#define KUBECANARY_LIB_SPEC_H

#include "lib/addr.h"
#include "lib/base.h"
#include "lib/dns_text.h"
#include "lib/doc.h"
#include "lib/err.h"
#include "lib/limits.h"
#include "lib/spec_allocator.h"

enum spec_probe_type { SPEC_ICMP, SPEC_TCP, SPEC_STAMP, SPEC_DNS, SPEC_HTTP }; // DNS, HTTP: of targets only
#define SPEC_PROBE_TYPES 5
enum spec_compression { SPEC_COMPRESSION_NONE, SPEC_COMPRESSION_GZIP };
enum spec_addresses { SPEC_ADDRESSES_UNSET, SPEC_ADDRESSES_FIRST, SPEC_ADDRESSES_ALL };
enum spec_transport { SPEC_TRANSPORT_UNSET, SPEC_TRANSPORT_UDP, SPEC_TRANSPORT_TCP };
enum spec_method { SPEC_METHOD_UNSET, SPEC_METHOD_GET, SPEC_METHOD_HEAD };
enum spec_ip_family { SPEC_IP_FAMILY_UNSET, SPEC_IP_FAMILY_IPV4, SPEC_IP_FAMILY_IPV6 };
enum spec_network { SPEC_NETWORK_POD, SPEC_NETWORK_NODE };
#define SPEC_NETWORKS 2
enum spec_topology_type { SPEC_FULL, SPEC_SAMPLED, SPEC_ZONAL };

struct spec_probe { // one kind of probe that every pair of the mesh runs
    char name[LIMIT_PROBE_NAME + 1];
    enum spec_probe_type type;
    uint64_t interval_ns;
    uint64_t timeout_ns; // may be longer than the interval
    uint16_t flows;      // STAMP; 0: not set, which means 1
    uint16_t dscp;       // STAMP
    uint16_t payload;    // ICMP, STAMP: bytes; 0: not set, which means the least that the type needs
    bool dont_fragment;  // ICMP, STAMP
};
// The least payload that holds what a probe needs; 0: the type has none.
unsigned spec_probe_payload_min(enum spec_probe_type t);

struct spec_expect { // of a target's answer
    bool present;    // otherwise the members have their defaults
    unsigned rcodes; // DNS: bits 1 << enum dns_rcode
    size_t n_answers;
    char **answers; // DNS: records that must be in the answer, as dns_text_record reads them; heap
    size_t n_statuses;
    uint32_t statuses[LIMIT_HTTP_STATUSES]; // HTTP: one of these, ascending; none: 200 to 299
};

struct spec_target { // one named destination that every agent probes
    char name[LIMIT_PROBE_NAME + 1];
    enum spec_probe_type type;
    struct addr address; // ICMP, TCP: this, or a name
    char host[LIMIT_DNS_NAME + 1];
    enum spec_addresses addresses; // of the name
    struct addr server;            // DNS
    uint16_t port;                 // TCP, DNS; 0 for ICMP
    char query[LIMIT_DNS_NAME + 1];
    enum dns_type record_type;
    enum spec_transport transport;
    char *url; // HTTP, as the following; heap
    enum spec_method method;
    enum spec_ip_family ip_family;
    bool follow;     // redirects
    bool insecure;   // whatever the certificate says
    char *ca_bundle; // PEM; NULL: the store of the system; heap
    struct spec_expect expect;
    uint64_t interval_ns;
    uint64_t timeout_ns;
};
// Where its probes go: address or server; of HTTP targets and of those with a name none is set.
const struct addr *spec_target_address(const struct spec_target *t);

struct spec_topology { // who probes whom
    enum spec_topology_type type;
    uint32_t degree; // Sampled: peers of a node; Zonal: those in other zones; 0 with Full
};
#define SPEC_DEGREE 20   // if not set
#define SPEC_DNS_PORT 53 // likewise

struct spec_mesh {
    bool present; // without a mesh only targets are probed; networks and families have their defaults then
    unsigned networks; // bits 1 << enum spec_network
    unsigned families; // FAMILY_BIT(); each that the cluster has is used
    struct spec_topology topology;
    size_t n_probes;
    struct spec_probe probes[LIMIT_PROBES];
};

struct spec_metrics {
    size_t n_buckets;
    uint32_t rtt_buckets_us[LIMIT_BUCKETS]; // strictly ascending upper bounds; +Inf is implied
    uint32_t series_limit;
    uint64_t scrape_interval_ns; // what PodMonitor asks for
    enum spec_compression compression;
};

struct spec_pair { // a key and a value: node selector, env
    char *key;
    char *value;
};

struct spec_toleration { // strings as core/v1 Toleration has them; NULL: not set
    char *key;
    char *op;
    char *value;
    char *effect;
};

struct spec_resources { // quantities, "" = none
    char memory_limit[32];
    char memory_request[32];
    char cpu_limit[32];
    char cpu_request[32];
};

struct spec_override { // of some nodes
    char name[LIMIT_OVERRIDE_NAME + 1];
    size_t n_selector;
    struct spec_pair *selector;
    bool has_allocator, has_resources; // otherwise as the fleet's
    struct spec_allocator allocator;
    struct spec_resources resources;
};

struct spec_placement {
    size_t n_selector;
    struct spec_pair *selector;
    size_t n_tolerations;
    struct spec_toleration *tolerations;
    char priority_class[LIMIT_NAME + 1];
    char max_unavailable[8]; // "10%" or "1"
    size_t n_overrides;
    struct spec_override *overrides; // heap
};

enum spec_program { SPEC_PROGRAM_KUBECANARY, SPEC_PROGRAM_EXPORTER };

struct spec_threads { // what an exporter is told of them
    bool present;
    uint32_t count;
    char variable[LIMIT_LABEL + 1];
};

struct spec_agent {
    struct spec_allocator allocator;
    char image[LIMIT_IMAGE + 1]; // "": the operator's own for the allocator's flavour
    enum spec_program program;
    size_t n_args; // this and the following with an exporter only
    char **args;   // heap
    uint16_t metrics_port;
    char metrics_path[LIMIT_HTTP_PATH + 1];   // "": SPEC_METRICS_PATH
    char readiness_path[LIMIT_HTTP_PATH + 1]; // "": it is ready when the port can be connected to
    struct spec_threads threads;
    struct spec_resources resources;
    size_t n_env;
    struct spec_pair *env;
};

#define SPEC_METRICS_PATH "/metrics" // if not set, and of our own agent

struct spec_alerting {
    bool enabled;
    uint32_t loss_percent; // 1..100
    uint64_t for_ns;
    uint64_t window_ns; // range over which the loss rate is taken
};

struct spec {
    bool paused;
    struct spec_placement placement;
    struct spec_mesh mesh;
    size_t n_targets;
    struct spec_target *targets; // heap
    struct spec_agent agent;
    struct spec_metrics metrics;
    struct spec_alerting alerting;
    uint32_t budget_packets_per_second; // of one agent; what it sends at most
};

// Parses and checks a ProbeFleet's `spec` node; absent fields get their defaults. Errors carry the field's
// path ("spec.targets[1].address") and EINVAL. *ret is to be released with spec_release.
MUST_USE int spec_parse(const struct doc_node *node, struct spec *ret, struct err *e);
void spec_release(struct spec *s); // takes a zeroed struct
// Defaults that hang on another field: what the table cannot say. For those who read by the table.
void spec_complete(struct spec *s);
#define CLEANUP_SPEC CLEANUP(spec_release)

const char *spec_probe_type_name(enum spec_probe_type t);  // "ICMP"
const char *spec_probe_type_label(enum spec_probe_type t); // "icmp"
// How long after its timeout an answer still counts as late: one more timeout, an interval at most, and
// LIMIT_GRACE_NS. Two intervals and the timeout after the last answer a silent peer is to be told of, and the
// first probe that it does not answer may be an interval younger.
uint64_t spec_grace_ns(uint64_t interval_ns, uint64_t timeout_ns);
// Packets that one probe makes this host send: ICMP 1; TCP 3 (SYN, ACK, RST); STAMP 2 (its own, and the
// answer of our reflector to a peer that asks as often); DNS 1 over UDP, 5 over TCP (SYN, ACK, query, ACK,
// RST).
unsigned spec_probe_packets(enum spec_probe_type t, enum spec_transport transport);
// Packets that one with that payload (0: not set) becomes: 1, or as many as hold it at the least MTU of IPv6
// (RFC 8200 5), where it may be fragmented.
unsigned spec_probe_fragments(unsigned payload, bool dont_fragment);
const char *spec_network_name(enum spec_network n); // "Pod"
// The label `network` of what an agent of one network measures to an address of another (or its own): "Pod",
// "Node", "PodToNode", "NodeToPod".
const char *spec_network_path(enum spec_network from, enum spec_network to);
const char *spec_topology_name(enum spec_topology_type t); // "Full"

#endif
