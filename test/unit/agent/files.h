// SPDX-License-Identifier: Apache-2.0
// What a test's agent reads: a fleet's file and its peers, made by hand.
#ifndef KUBECANARY_TEST_FILES_H
#define KUBECANARY_TEST_FILES_H

#include <stdio.h>

#include "agent/engine.h"
#include "agent/plan.h"
#include "lib/peers.h"
#include "lib/spec_agent_file.h"

struct files {
    struct spec_agent_file file;
    struct spec_target targets[4];
    struct peers peers;
};

static inline void files_init(struct files *f)
{
    memset(f, 0, sizeof(*f));
    f->file.generation = 3;
    f->file.ports.tcp = 9962;
    f->file.ports.stamp = 9964;
    f->file.spec.mesh = (struct spec_mesh){
        .present = true,
        .networks = 1u << SPEC_NETWORK_POD,
        .families = FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6),
        .n_probes = 1,
        .probes = {{.name = "icmp", .type = SPEC_ICMP, .interval_ns = NS_PER_S, .timeout_ns = NS_PER_S},
                   {.name = "tcp", .type = SPEC_TCP, .interval_ns = 5 * NS_PER_S, .timeout_ns = NS_PER_S}},
    };
    f->file.spec.targets = f->targets;
    f->file.spec.metrics.n_buckets = 2;
    f->file.spec.metrics.rtt_buckets_us[0] = 100;
    f->file.spec.metrics.rtt_buckets_us[1] = 1000;
    f->file.spec.metrics.series_limit = 50000;
    f->file.spec.metrics.scrape_interval_ns = 15 * NS_PER_S;
}

static inline struct addr files_addr(const char *text)
{
    struct addr a = {0};
    if (addr_parse(text, &a) != 0)
        printf("    bad address %s\n", text);
    return a;
}

// v4, v6: NULL for none.
static inline void files_peer(struct files *f, const char *node, const char *zone, const char *v4,
                              const char *v6, enum peer_state state)
{
    struct peer p = {.node = strdup(node), .zone = strdup(zone), .state = state};
    struct err e;
    if (v4)
        p.pod[FAMILY_IPV4] = files_addr(v4);
    if (v6)
        p.pod[FAMILY_IPV6] = files_addr(v6);
    if (peers_add(&f->peers, &p, &e) != 0 || peers_sort(&f->peers, &e) != 0)
        printf("    %s\n", e.msg);
    free(p.node);
    free(p.zone);
}

// Of the agent that a node has in the network Node.
static inline void files_host(struct files *f, const char *node, const char *v4, const char *v6,
                              enum peer_state state)
{
    for (size_t i = 0; i < f->peers.n; i++) {
        struct peer *p = &f->peers.list[i];
        if (strcmp(p->node, node) != 0)
            continue;
        p->host[FAMILY_IPV4] = v4 ? files_addr(v4) : (struct addr){0};
        p->host[FAMILY_IPV6] = v6 ? files_addr(v6) : (struct addr){0};
        p->has_host_state = true;
        p->host_state = (uint8_t)state;
    }
}

static inline void files_target(struct files *f, const char *name, enum spec_probe_type type,
                                const char *address, uint16_t port)
{
    struct spec_target *t = &f->targets[f->file.spec.n_targets++];
    *t = (struct spec_target){.type = type,
                              .port = port,
                              .interval_ns = NS_PER_S,
                              .timeout_ns = NS_PER_S,
                              .address = files_addr(address)};
    snprintf(t->name, sizeof(t->name), "%s", name);
}

static inline void files_release(struct files *f)
{
    peers_release(&f->peers);
}

// n1 and n2 of zone a in both families, n3 of zone b in IPv4.
static inline void files_three_nodes(struct files *f)
{
    files_init(f);
    files_peer(f, "n3", "b", "192.0.2.3", NULL, PEER_READY);
    files_peer(f, "n1", "a", "192.0.2.1", "2001:db8::1", PEER_READY);
    files_peer(f, "n2", "a", "192.0.2.2", "2001:db8::2", PEER_READY);
}

// The files in force in an engine, for the agent of n1 in the network Pod; 0, or the error, which is printed.
static inline int files_apply(const struct files *f, struct engine *en, uint64_t now_ns)
{
    struct plan *p;
    struct err e = {0};
    int r = plan_build(&f->file, &f->peers, "n1", SPEC_NETWORK_POD, engine_plan(en), now_ns, &p, &e);
    if (r == 0)
        r = engine_apply(en, p, now_ns, &e);
    if (r != 0)
        printf("    %s\n", e.msg);
    return r;
}

// The same numbers in each run: an engine_random_fn.
static inline void files_random(uint64_t *to, size_t n, void *arg UNUSED)
{
    static uint64_t x = 1;
    for (size_t i = 0; i < n; i++)
        to[i] = x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

#endif
