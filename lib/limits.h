// SPDX-License-Identifier: Apache-2.0
// Every maximum of the program, each with its reason. Nothing that a user, a file or a network controls may
// exceed these.
#ifndef KUBECANARY_LIB_LIMITS_H
#define KUBECANARY_LIB_LIMITS_H

// Kubernetes names: a DNS subdomain has at most 253 bytes (node, pod, ConfigMap), a label value 63, a
// namespace 63.
#define LIMIT_NAME 253
#define LIMIT_LABEL 63
#define LIMIT_NAMESPACE 63
// metadata.uid is a UUID today; the API only promises an opaque string.
#define LIMIT_UID 63
// resourceVersion is an opaque string; etcd's revisions have at most 20 digits.
#define LIMIT_RESOURCE_VERSION 63

// A fleet's name: its longest child suffix (`-peers-NN`) must still fit a label value of 63 bytes.
#define LIMIT_FLEET_NAME 52
// Names of probes and targets become label values in Prometheus and keys of map lists.
#define LIMIT_PROBE_NAME 63

// The spec. The same numbers stand in the CRD (a test compares them).
#define LIMIT_PROBES 8
#define LIMIT_TARGETS 256
#define LIMIT_BUCKETS 40
#define LIMIT_ENV 32
#define LIMIT_TOLERATIONS 32
// Arguments of an image of one's own, and paths that it is asked for: a program that needs more has a file.
#define LIMIT_ARGS 32
#define LIMIT_ARG 1024
#define LIMIT_HTTP_PATH 253
// Threads: as many as the largest machines have processors.
#define LIMIT_THREADS 4096
#define LIMIT_SELECTOR 32
// Overrides of a fleet's agents, a DaemonSet each in each network: classes of nodes that a person tells
// apart. Their labels, and how many combinations "none of those before" may come to in a node affinity. The
// name is part of the names of DaemonSet and Pods.
#define LIMIT_OVERRIDES 8
#define LIMIT_OVERRIDE_SELECTOR 8
#define LIMIT_OVERRIDE_TERMS 32
#define LIMIT_OVERRIDE_NAME 20
#define LIMIT_IMAGE 512
#define LIMIT_ALLOCATOR_CONF 512
// A DNS name has at most 253 bytes as text, and a dot at its end. Records that must be in an answer: those of
// a service's backends, each as long as one string of a TXT record.
#define LIMIT_DNS_NAME 254
#define LIMIT_DNS_ANSWERS 16
#define LIMIT_DNS_ANSWER 255

// Peers of a node in a mesh that is not Full: the full mesh of a thousand nodes is as dear, and of a larger
// fleet a sample of a thousand says no more than one of a hundred.
#define LIMIT_DEGREE 1000
// Peers: the largest Kubernetes cluster that is supported has 5,000 nodes; twice that leaves room.
#define LIMIT_PEERS 10000
#define LIMIT_SLICES 128

// The agent. Pairs: 5,000 nodes with three probes in two families are 30,000; twice that, at half a kilobyte
// each, is the most memory that a probe is worth. Grace: how long after its timeout an answer still counts as
// late, at most, if timeout and interval are longer. TCP in flight: one descriptor each; a node's default is
// 1,024 at least for a container. Burst: packets of one tick, for sendmmsg and for the receive buffer that a
// default kernel grants.
#define LIMIT_PAIRS 65536
#define LIMIT_GRACE_NS (5 * NS_PER_S)
#define LIMIT_TCP_IN_FLIGHT 900
// DNS queries in flight, one descriptor each: every target of one that may be, once. Together with the TCP
// probes that is more than the 1,024 of a poor default; the agent raises it as far as it may.
#define LIMIT_DNS_IN_FLIGHT 256
#define LIMIT_DESCRIPTORS 2048
// Names of targets. Addresses of one name: as many as fit an ordinary answer over UDP. TTL: shorter ones are
// asked for again after 5 s all the same, longer ones after 10 min, so that a change is seen. Retry: after a
// failure it is 5 s, doubled each time, up to this.
#define LIMIT_HOST_ADDRESSES 16
#define LIMIT_HOST_TTL_MIN_NS (5 * NS_PER_S)
#define LIMIT_HOST_TTL_MAX_NS (600 * NS_PER_S)
#define LIMIT_HOST_RETRY_NS (60 * NS_PER_S)
#define LIMIT_BURST 2048
// Packets read from one socket in one tick: more is a flood, and may not keep us from sending.
#define LIMIT_DRAIN 16384

// One document (agent.yaml, a slice, a resource file): a ConfigMap holds at most 1 MiB.
#define LIMIT_DOC_BYTES (4u << 20)
#define LIMIT_DOC_NODES 500000
#define LIMIT_DOC_DEPTH 32
// Keys of one map: duplicates are looked for one by one, which must stay cheap.
#define LIMIT_DOC_KEYS 4096

// One log line; longer ones are cut (journald and container runtimes split at 16 KiB).
#define LIMIT_LOG_LINE 4096
// Lines of one level: at once, and one in so long after that. At once: more than a start says, or a change of
// many things at the same moment (LIMIT_TROUBLES pairs that begin or end). In the long run 10 a second, some
// 3 KB/s: a kubelet keeps 50 MiB of a container's log by default, so that of a flood of one level the last
// hours can be read.
#define LIMIT_LOG_BURST 256
#define LIMIT_LOG_EACH_NS (100 * NS_PER_MS)

// HTTP server. Connections: Prometheus (two replicas), kubelet (two probes), the operator, people; from one
// address a few of those, and the rest is left to others when one client opens all it may. Memory of one
// connection, as long as it is there: the request's headers, and what these leave for an answer's current
// piece; with less it costs more system calls. Block: what an answer to HTTP/1.0, which knows no chunks, has
// of its own beside that: a page, as whoever scrapes speaks HTTP/1.1. Idle: how long a client that says
// nothing may keep its place, before its first whole request or while it is answered, and how long an answer
// protects the place. Keep: how long it may between two requests; Prometheus's client keeps a connection that
// long, and scrapes each 15 to 60 s.
// Fresh: how long a connection is left alone after it has come, so that it can send a request.
#define LIMIT_SERVE_CONNECTIONS 32
#define LIMIT_SERVE_PER_IP 16
#define LIMIT_SERVE_MEMORY (48u << 10)
#define LIMIT_SERVE_BLOCK 4096
#define LIMIT_SERVE_IDLE_S 15
#define LIMIT_SERVE_KEEP_S 300
#define LIMIT_SERVE_FRESH_NS (100 * NS_PER_MS)

// How old what the agent knows of the node's processors and of its control groups may be (agent/runtime).
#define LIMIT_MACHINE_AGE_NS (60 * NS_PER_S)

// The listener of TCP probes: connections taken a wake-up (so that a flood does not hold up the tick), those
// that wait in the kernel (one tick's worth of a fleet of 5,000), and how long it looks away when there are
// no descriptors left.
#define LIMIT_REFLECT_BATCH 64
#define LIMIT_REFLECT_BACKLOG 512
#define LIMIT_REFLECT_PAUSE_NS (100 * NS_PER_MS)
// Payload of a probe's packet, UDP or ICMP: what the largest frames in use hold (an MTU of 9,000, with its IP
// header). The STAMP reflector answers no longer ones.
#define LIMIT_PROBE_PAYLOAD 9000
// The reflector of STAMP. Batch: packets
// read at one wake-up. Source rate, a second: the eight probes of a mesh at their shortest interval are 80,
// and three sources may fall on one place of the table. Rate of all: what takes a tenth of a processor.
// Sessions: those of 1,000 nodes with sixteen flows in two families, twice; 32 bytes each. Idle: twice the
// longest that a session of a probe with the default interval and sixteen flows is silent.
#define LIMIT_STAMP_BATCH 64
#define LIMIT_STAMP_SOURCE_RATE 256
#define LIMIT_STAMP_RATE 20000
#define LIMIT_STAMP_SESSIONS 65536
#define LIMIT_STAMP_SOURCES 65536
#define LIMIT_STAMP_IDLE_NS (32 * NS_PER_S)
// Source ports of a pair's STAMP probes: one socket each, in each family. The class of service has six bits.
#define LIMIT_STAMP_FLOWS 16
#define LIMIT_DSCP 63
// What agents tell each other. Patience: a peer that has not answered for so long is probed all the same, so
// that a closed port hides no path; an agent that starts late is asked ten times before. Silence: a peer that
// left, and has not answered since, is probed again, so that nothing stays out of sight for long; a mount
// that the operator did not hurry follows within 80 s (measured), a new leader is there within 30 s.
#define LIMIT_PEER_PATIENCE_NS (10 * NS_PER_S)
#define LIMIT_PEER_SILENCE_NS (120 * NS_PER_S)
// Questions that one agent asks in 100 ms, whatever it is told: a roll of a fleet of 5,000 at 10 % is asked
// after within half a second.
#define LIMIT_PEER_QUESTIONS 128
// Answers a second: to all (more would be a flood, and they ask again), and to one source, with as many saved
// up. Sources share counters by a hash of their address: enough that a fleet rarely shares, 8 KiB.
#define LIMIT_PEER_ANSWERS 2000
#define LIMIT_PEER_ANSWERS_EACH 16
#define LIMIT_PEER_SOURCES 1024
// Messages read in one wake-up; after so many the socket is left alone for a moment, and a flood overflows in
// the kernel.
#define LIMIT_PEER_BATCH 64
#define LIMIT_PEER_PAUSE_NS (10 * NS_PER_MS)
// Those who asked us and are not in our files, remembered to be told that we leave: newcomers of the minute
// or so that a mount may lag behind.
#define LIMIT_PEER_ASKERS 64
// Hints sent in one step, and the step: 3,200 a second.
#define LIMIT_PEER_HINTS 64
#define LIMIT_PEER_HINTS_STEP_NS (20 * NS_PER_MS)
// How long an agent may be asked to go on answering after SIGTERM.
#define LIMIT_STOP_GRACE_NS (600 * NS_PER_S)
// HTTP targets, probed by the helper kubecanary-http. URL: what fits pattern.h. CA bundle: a few
// certificates of 2 KiB; it stands in the resource, in each request to the helper, and, with all others, in a
// ConfigMap of at most 1 MiB. In flight: the helper
// has 1.5 MiB of its own and 150 KiB for each probe under way (measured; half of that is c-ares' tables);
// with these it stays below the 16 MiB that an agent may use by default. 100 targets that all hang, with 10 s
// and 2 s, are 40 on average, 55 now and then. Body: what is read of one before the transfer counts as done;
// headers: more is no answer but a flood. Redirects: more are a loop. Text: of an error.
#define LIMIT_HTTP_URL 512
#define LIMIT_HTTP_CA ((size_t)16 << 10)
#define LIMIT_HTTP_CA_ALL ((size_t)256 << 10)
#define LIMIT_HTTP_STATUSES 16
#define LIMIT_HTTP_IN_FLIGHT 64
#define LIMIT_HTTP_BODY ((size_t)64 << 10)
#define LIMIT_HTTP_HEADERS ((size_t)64 << 10)
#define LIMIT_HTTP_REDIRECTS 5
#define LIMIT_HTTP_TEXT 160
// The longest that a probe can take: the longest timeout and its grace, twice.
#define LIMIT_HTTP_NS (130 * NS_PER_S)
// Pairs whose failures are told of in the log at the same time: enough to see what they have in common; how
// many they are is in the metrics.
#define LIMIT_TROUBLES 64
// Scrapes that stream at the same time: each holds a copy of all counters.
#define LIMIT_SCRAPES 4
// A scrape that has lasted so long (ordinary ones take milliseconds) may be broken off for the sake of
// another; sooner only where its address has two more of them than the other's (lib/give_way).
#define LIMIT_SCRAPE_ALONE_NS (1 * NS_PER_S)
// The agent's look at its files when no event came (ConfigMap mounts on file systems without inotify), and
// the pause after one, for the rest of a change that comes in several steps.
#define LIMIT_INPUTS_POLL_NS (5 * NS_PER_S)
#define LIMIT_INPUTS_SETTLE_NS (50 * NS_PER_MS)
// What --check and `render` say to a person: some lines, of at most a few names each.
#define LIMIT_FORECAST ((size_t)64 << 10)
// How long code stays mapped that something rare has run (agent/footprint).
#define LIMIT_TRIM_NS (60 * NS_PER_S)

// What the operator asks its agents for. Report: what an agent writes at most, names that need escaping
// included. Metrics: of an image of somebody's own, 50,000 series of 170 bytes. In flight: together at most a
// few megabytes of libcurl's. Gap: 100 requests a second, so that 5,000 agents have their turn in a minute.
// Time: of one request; with all of 5,000 agents silent, a turn still ends within ten minutes.
#define LIMIT_REPORT ((size_t)64 << 10)
#define LIMIT_REPORT_METRICS ((size_t)8 << 20)
#define LIMIT_REPORT_IN_FLIGHT 32
#define LIMIT_REPORT_GAP_NS (10 * NS_PER_MS)
#define LIMIT_REPORT_TIMEOUT_NS (3 * NS_PER_S)

// The local backend: nodes of one machine. Each is a network namespace with an agent; their addresses are
// 198.18.0.11 and up.
#define LIMIT_LOCAL_NODES 50

// The API server. An object: etcd holds 1.5 MiB, and its JSON with the managed fields can be several times
// that. The head of a list is its kind and metadata. A page has 500 Pods of 8 KiB or 200 Nodes of 20 KiB; a
// list that cannot be had in pages is read as a stream, so its bound only ends what has no end. A request's
// body: what the API server takes. An error's: any Status, or the first words of a proxy's page.
#define LIMIT_API_OBJECT ((size_t)8 << 20)
#define LIMIT_API_LIST_HEAD ((size_t)256 << 10)
#define LIMIT_API_PAGE ((size_t)64 << 20)
#define LIMIT_API_LIST ((size_t)1 << 30)
#define LIMIT_API_BODY ((size_t)3 << 20)
#define LIMIT_API_ERROR ((size_t)64 << 10)
// Continue tokens have some hundred bytes; in a path each byte may become three.
#define LIMIT_API_CONTINUE 8192
#define LIMIT_API_PATH ((size_t)30 << 10)
#define LIMIT_URL ((size_t)32 << 10)

// Credentials: a kubeconfig with its certificates in it, a bundle of CAs, a token (some kilobytes).
#define LIMIT_KUBECONFIG_FILES 16
#define LIMIT_KUBECONFIG ((size_t)1 << 20)
#define LIMIT_PEM ((size_t)1 << 20)
#define LIMIT_TOKEN ((size_t)64 << 10)

#endif
