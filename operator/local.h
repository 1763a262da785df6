// SPDX-License-Identifier: Apache-2.0
// The cluster backend of this machine: nodes are network namespaces on a bridge, Pods are agent processes in
// them, the API is a table in memory, and ProbeFleets are files. Carries out what is rendered, as kubelet and
// the DaemonSet controller would; decides nothing about fleets itself.
//
// Addresses: node nK is 198.18.0.(10+K) and fd00:18::(10+K); this machine is 198.18.0.1 and fd00:18::1 on the
// link "kubecanary0". Namespaces have no names: they are held open by this process and go, with every link,
// when it ends, however it ends. Agents are killed by the kernel when it dies.
//
// In the state directory:
//   prometheus.yml            a configuration that scrapes the agents and evaluates the fleets' rules (paths
//   relative to it) targets.json              the scrape targets (file_sd), with the labels namespace, pod,
//   fleet, node rules/NAMESPACE.NAME.yaml the groups of each PrometheusRule nodes.json                for
//   each node its namespace ("/proc/PID/fd/N", for nsenter --net=), addresses and Pods with their pids
//   status/NAMESPACE.NAME.yaml  the status of each ProbeFleet
//   nodes/NODE/POD/           the volume that the agent reads, swapped as kubelet does it;
//   nodes/NODE/POD.log: its stderr
#ifndef KUBECANARY_OPERATOR_LOCAL_H
#define KUBECANARY_OPERATOR_LOCAL_H

#include "operator/cluster.h"

struct local_opts {             // strings are copied
    const char *fleets;         // a file, or a directory whose *.yaml are read; read again when they change
    unsigned nodes;             // 1..LIMIT_LOCAL_NODES
    const char *agent;          // program for the image kubecanary-agent; NULL: the one beside this program
    const char *agent_jemalloc; // program for the image kubecanary-agent-jemalloc; NULL: likewise
    const char *state_dir; // empty, or of an earlier run; made if absent; NULL: one of its own below TMPDIR,
                           // removed at the end
};

// NULL on failure. Free with ops->free. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN: root, or a user namespace with
// a network namespace of its own.
struct cluster *local_new(struct loop *l, const struct local_opts *o, struct err *e);
// Where the state directory is; borrowed.
const char *local_state_dir(struct cluster *c);

#endif
