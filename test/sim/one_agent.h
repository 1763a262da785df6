// SPDX-License-Identifier: Apache-2.0
// One agent, n00, in a world: its files, how they are put in force, and how time goes by.
#ifndef KUBECANARY_TEST_SIM_ONE_AGENT_H
#define KUBECANARY_TEST_SIM_ONE_AGENT_H

#include "test/sim/world.h"
#include "test/unit/agent/files.h"

// A network on which everything that can go wrong does, now and then.
static const struct link rough_link = {
    .loss = 200,
    .unreachable = 20,
    .short_error = 20,
    .corrupt = 20,
    .duplicate = 30,
    .send_error = 10,
    .slow = 30,
    .too_slow = 10,
    .delay_ns = 100 * NS_PER_US,
    .jitter_ns = 30 * MS,
};

// Two probes and a target.
static void fleet_init(struct files *f)
{
    files_init(f);
    f->file.spec.mesh.n_probes = 2;
    files_target(f, "gateway", SPEC_ICMP, "192.0.2.1", 0);
    f->targets[0].interval_ns = 500 * MS;
    f->targets[0].timeout_ns = 2 * NS_PER_S;
    f->file.spec.metrics.n_buckets = 3;
    for (unsigned i = 0; i < 3; i++)
        f->file.spec.metrics.rtt_buckets_us[i] = 100u << (3 * i);
}

// In the second target's place: a server.
static void fleet_dns(struct files *f)
{
    f->targets[1] = (struct spec_target){.name = "resolver",
                                         .type = SPEC_DNS,
                                         .port = SPEC_DNS_PORT,
                                         .query = "www.example.com",
                                         .record_type = DNS_A,
                                         .interval_ns = 2 * NS_PER_S,
                                         .timeout_ns = 2 * NS_PER_S,
                                         .server = files_addr("2001:db8::53")};
    f->file.spec.n_targets = 2;
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
static void fleet_add(struct files *f, unsigned node, char *zone, unsigned version, enum peer_state state)
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

static bool fleet_apply(struct files *f, struct world *w)
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
static bool close_world(struct world *w, struct files *f)
{
    bool ok = w->failures == 0;
    world_free(w);
    peers_release(&f->peers);
    return ok;
}

#endif
