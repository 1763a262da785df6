// SPDX-License-Identifier: Apache-2.0
// One agent, n00, in a world: its files, how they are put in force, and how time goes by.
#ifndef KUBECANARY_TEST_SIM_ONE_AGENT_H
#define KUBECANARY_TEST_SIM_ONE_AGENT_H

#include "test/sim/world.h"

struct fleet { // the files of one agent
    struct spec_agent_file file;
    struct spec_target targets[2];
    struct peers peers;
};

static void fleet_init(struct fleet *f)
{
    memset(f, 0, sizeof(*f));
    f->file.ports.tcp = 9962;
    f->file.ports.stamp = 9964;
    f->file.spec.mesh = (struct spec_mesh){
        .present = true,
        .networks = 1u << SPEC_NETWORK_POD,
        .families = FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6),
        .n_probes = 2,
        .probes = {{.name = "icmp", .type = SPEC_ICMP, .interval_ns = NS_PER_S, .timeout_ns = NS_PER_S},
                   {.name = "tcp", .type = SPEC_TCP, .interval_ns = 5 * NS_PER_S, .timeout_ns = NS_PER_S}},
    };
    f->file.spec.targets = f->targets;
    f->file.spec.n_targets = 1;
    f->targets[0] = (struct spec_target){
        .name = "gateway", .type = SPEC_ICMP, .interval_ns = 500 * MS, .timeout_ns = 2 * NS_PER_S};
    if (addr_parse("192.0.2.1", &f->targets[0].address) != 0)
        printf("    bad address\n");
    f->file.spec.metrics.n_buckets = 3;
    for (unsigned i = 0; i < 3; i++)
        f->file.spec.metrics.rtt_buckets_us[i] = 100u << (3 * i);
}

// In the second target's place: a server.
static void fleet_dns(struct fleet *f)
{
    f->targets[1] = (struct spec_target){.name = "resolver",
                                         .type = SPEC_DNS,
                                         .port = SPEC_DNS_PORT,
                                         .query = "www.example.com",
                                         .record_type = DNS_A,
                                         .interval_ns = 2 * NS_PER_S,
                                         .timeout_ns = 2 * NS_PER_S};
    f->file.spec.n_targets = 2;
    if (addr_parse("2001:db8::53", &f->targets[1].server) != 0)
        printf("    bad address\n");
}

static struct addr address(enum family f, unsigned node, unsigned version)
{
    struct addr a = {.family = (uint8_t)f, .set = 1};
    a.bytes[0] = f == FAMILY_IPV4 ? 198 : 0xfd;
    a.bytes[1] = (uint8_t)version;
    a.bytes[3] = (uint8_t)node;
    return a;
}

// node: below 256.
static void fleet_add(struct fleet *f, unsigned node, char *zone, unsigned version, enum peer_state state)
{
    char name[16];
    struct err e;
    snprintf(name, sizeof(name), "n%02u", node);
    struct peer p = {.node = name, .zone = zone, .state = state};
    for (unsigned k = 0; k < FAMILIES; k++)
        p.pod[k] = address((enum family)k, node, version);
    if (peers_add(&f->peers, &p, &e) != 0)
        printf("    %s\n", e.msg);
}

static bool fleet_apply(struct fleet *f, struct world *w)
{
    struct plan *p;
    struct err e;
    if (peers_sort(&f->peers, &e) == 0 &&
        plan_build(&f->file, &f->peers, "n00", SPEC_NETWORK_POD, engine_plan(w->en), w->now_ns, &p, &e) ==
            0 &&
        engine_apply(w->en, p, w->now_ns, &e) == 0) {
        world_planned(w);
        return true;
    }
    printf("    %s\n", e.msg);
    return false;
}

// The world goes on for so long.
static void run(struct world *w, uint64_t ns, bool thorough)
{
    unsigned n = 0;
    for (uint64_t end = w->now_ns + ns; w->now_ns < end;) {
        world_tick(w, w->now_ns + engine_tick_ns(w->en));
        if (thorough || ++n % 64 == 0)
            world_check(w);
        if (w->failures > 100)
            return;
    }
    world_check(w);
}

// Nothing new is sent; what is in flight ends.
static void wind_down(struct world *w)
{
    engine_stop(w->en);
    run(w, 20 * NS_PER_S, true);
    if (engine_in_flight(w->en) != 0)
        SIM_FAIL(w, "%" PRIu64 " probes never end", engine_in_flight(w->en));
}

// Ends a run. True if the engine never differed from the model.
static bool close_world(struct world *w, struct fleet *f)
{
    bool ok = w->failures == 0;
    world_free(w);
    peers_release(&f->peers);
    return ok;
}

#endif
