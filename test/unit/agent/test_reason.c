// SPDX-License-Identifier: Apache-2.0
// Names of reasons against the RFCs' numbers, and the counters by probe and family against the pairs' own.
#include "test/unit/check.h"

#include <errno.h>

#include "agent/engine.h"
#include "lib/series.h"
#include "test/unit/agent/files.h"

static struct files f;
static struct engine *en;
static uint64_t now;

// RFC 792, 1122 3.2.2.1 and 1812 5.2.7.1: all codes of destination unreachable, and one that is not assigned.
static void test_icmp_v4(void)
{
    static const char *const names[] = {"network",
                                        "host",
                                        "protocol",
                                        "port",
                                        "too_big",
                                        "other",
                                        "network",
                                        "host",
                                        "network",
                                        "admin_prohibited",
                                        "admin_prohibited",
                                        "network",
                                        "host",
                                        "admin_prohibited",
                                        "admin_prohibited",
                                        "admin_prohibited",
                                        "other"};
    for (unsigned code = 0; code < ARRAY_LEN(names); code++)
        CHECK_STR(reason_name(reason_icmp(FAMILY_IPV4, 3, (uint8_t)code)), names[code]);
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV4, 11, 0)), "time_exceeded");
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV4, 11, 1)), "time_exceeded");
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV4, 12, 0)), "parameter_problem");
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV4, 4, 0)), "other"); // source quench
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV4, 3, 255)), "other");
}

// RFC 4443 3.
static void test_icmp_v6(void)
{
    static const char *const names[] = {"network",          "admin_prohibited", "other", "host", "port",
                                        "admin_prohibited", "admin_prohibited", "other"};
    for (unsigned code = 0; code < ARRAY_LEN(names); code++)
        CHECK_STR(reason_name(reason_icmp(FAMILY_IPV6, 1, (uint8_t)code)), names[code]);
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV6, 3, 0)), "time_exceeded");
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV6, 4, 0)), "parameter_problem");
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV6, 4, 1)), "protocol"); // next header not known
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV6, 2, 0)), "too_big");
    CHECK_STR(reason_name(reason_icmp(FAMILY_IPV6, 1, 255)), "other");
}

// What the kernel hands to ping sockets as an error while the packet goes on, or another would.
static void test_no_end(void)
{
    CHECK(reason_icmp_ends(FAMILY_IPV4, 3, 1, false));
    CHECK(reason_icmp_ends(FAMILY_IPV4, 11, 0, false));
    CHECK(reason_icmp_ends(FAMILY_IPV4, 12, 0, false));
    CHECK(!reason_icmp_ends(FAMILY_IPV4, 3, 4, false)); // fragmentation needed
    CHECK(!reason_icmp_ends(FAMILY_IPV4, 4, 0, false)); // source quench
    CHECK(!reason_icmp_ends(FAMILY_IPV4, 5, 1, false)); // redirect
    CHECK(reason_icmp_ends(FAMILY_IPV6, 1, 4, false));
    CHECK(reason_icmp_ends(FAMILY_IPV6, 3, 0, false));
    CHECK(reason_icmp_ends(FAMILY_IPV6, 4, 1, false));
    CHECK(!reason_icmp_ends(FAMILY_IPV6, 2, 0, false));   // packet too big
    CHECK(!reason_icmp_ends(FAMILY_IPV6, 137, 0, false)); // redirect
    CHECK(reason_icmp_ends(FAMILY_IPV4, 3, 4, true));
    CHECK(reason_icmp_ends(FAMILY_IPV6, 2, 0, true));
    CHECK(!reason_icmp_ends(FAMILY_IPV4, 5, 1, true));
}

static void test_errno(void)
{
    CHECK_STR(reason_name(reason_connection(ECONNREFUSED)), "refused");
    CHECK_STR(reason_name(reason_connection(ECONNRESET)), "closed");
    CHECK_STR(reason_name(reason_connection(EHOSTUNREACH)), "host");
    CHECK_STR(reason_name(reason_connection(ENETUNREACH)), "network");
    CHECK_STR(reason_name(reason_connection(EACCES)), "admin_prohibited");
    CHECK_STR(reason_name(reason_connection(EIO)), "other");
    CHECK_STR(reason_error_name(reason_error(EPERM)), "EPERM");
    CHECK_STR(reason_error_name(reason_error(ENOBUFS)), "ENOBUFS");
    CHECK_STR(reason_error_name(reason_error(EMFILE)), "EMFILE");
    CHECK_STR(reason_error_name(reason_error(EIO)), "other");
    CHECK_STR(reason_error_name(reason_error(0)), "other");
    for (unsigned i = 0; i < REASON_ERRORS; i++)
        for (unsigned k = 0; k < i; k++)
            CHECK(strcmp(reason_error_name(i), reason_error_name(k)) != 0);
    for (enum reason r = 0; r < REASONS; r++)
        CHECK(reason_possible(SPEC_ICMP, r) || reason_possible(SPEC_DNS, r) || reason_possible(SPEC_HTTP, r));
}

// --- the counters --------------------------------------------------------------------------------

static int apply(void)
{
    return files_apply(&f, en, now);
}

static size_t told;
static const char *told_why;

static void on_failure(size_t i UNUSED, enum stats_result r UNUSED, const char *why, void *arg UNUSED)
{
    told++;
    told_why = why;
}

static void start(void)
{
    struct err e;
    now = 100 * NS_PER_S;
    files_init(&f);
    f.file.spec.mesh.n_probes = 2;
    files_peer(&f, "n1", "", "192.0.2.1", "2001:db8::1", PEER_READY);
    files_peer(&f, "n2", "", "192.0.2.2", "2001:db8::2", PEER_READY);
    files_peer(&f, "n3", "", "192.0.2.3", NULL, PEER_READY);
    files_target(&f, "gateway", SPEC_ICMP, "192.0.2.9", 0); // its label `probe` is that of the mesh's probe
    en = engine_new(files_random, NULL, &e);
    engine_on_failure(en, on_failure, NULL);
    told = 0;
}

static void stop(void)
{
    engine_free(en);
    en = NULL;
    files_release(&f);
}

// Ends every probe of the next `seconds` in turn by each reason and each errno.
static void run(unsigned seconds)
{
    static const int errnos[] = {ENETUNREACH, EPERM, EIO};
    static struct engine_send out[64];
    static unsigned turn;
    for (uint64_t end = now + seconds * NS_PER_S; now < end; now += 100 * NS_PER_MS) {
        size_t n = engine_due(en, now, out, ARRAY_LEN(out));
        for (size_t i = 0; i < n; i++, turn++) {
            if (turn % 3 == 0)
                engine_send_failed(en, &out[i].token, errnos[turn / 3 % ARRAY_LEN(errnos)]);
            else
                engine_unreachable(en, &out[i].token, (enum reason)(turn % REASONS));
            engine_unreachable(en, &out[i].token, REASON_HOST); // it has ended: counts nowhere
        }
    }
}

static const struct failures_row *row_of(const char *probe, unsigned family)
{
    const struct failures *all = engine_failures(en);
    for (size_t i = 0; i < all->n; i++)
        if (all->rows[i].family == family && strcmp(all->rows[i].probe, probe) == 0)
            return &all->rows[i];
    printf("    no row %s/%u\n", probe, family);
    return NULL;
}

static uint64_t sum(const uint64_t *n, size_t len)
{
    uint64_t all = 0;
    for (size_t i = 0; i < len; i++)
        all += n[i];
    return all;
}

// Adds what the plan's pairs have counted, by row.
static void check_sums(const uint64_t before[][2])
{
    static const char *const probes[] = {"icmp", "tcp"};
    const struct plan *p = engine_plan(en);
    uint64_t rows = 0;
    for (unsigned k = 0; k < 4; k++) {
        uint64_t unreachable = before ? before[k][0] : 0, errors = before ? before[k][1] : 0;
        for (size_t i = 0; i < p->n_pairs; i++) {
            if (strcmp(p->probes[p->pairs[i].probe].name, probes[k / 2]) != 0 || p->pairs[i].family != k % 2)
                continue;
            unreachable += engine_stats(en, i)->results[STATS_UNREACHABLE];
            errors += engine_stats(en, i)->results[STATS_SEND_ERROR];
        }
        const struct failures_row *row = row_of(probes[k / 2], k % 2);
        CHECK(row);
        CHECK(unreachable > 0 && errors > 0);
        CHECK_INT(sum(row->unreachable, REASONS), unreachable);
        CHECK_INT(sum(row->errors, REASON_ERRORS), errors);
        rows += unreachable + errors;
    }
    CHECK_INT(rows, told);
}

static void test_sums(void)
{
    start();
    CHECK_INT(apply(), 0);
    CHECK_INT(engine_failures(en)->n, 4);
    CHECK_INT(sum(row_of("tcp", FAMILY_IPV6)->unreachable, REASONS), 0);
    run(60);
    check_sums(NULL);
    CHECK(told_why);
    CHECK(apply() == 0); // a reload
    check_sums(NULL);
    run(60);
    check_sums(NULL);
    stop();
}

// Pairs that go take their counters along; the agent's own stay.
static void test_gone(void)
{
    uint64_t before[4][2] = {{0}};
    start();
    CHECK_INT(apply(), 0);
    run(60);
    peers_release(&f.peers);
    f.peers = (struct peers){0};
    files_peer(&f, "n1", "", "192.0.2.1", "2001:db8::1", PEER_READY);
    files_peer(&f, "n3", "", "192.0.2.3", "2001:db8::3", PEER_READY);
    CHECK_INT(apply(), 0);
    check_sums(NULL); // gone, and still there
    const struct plan *old = engine_plan(en);
    for (size_t i = 0; i < old->n_pairs; i++) {
        unsigned k = 2 * (strcmp(old->probes[old->pairs[i].probe].name, "tcp") == 0) + old->pairs[i].family;
        if (!old->pairs[i].gone)
            continue;
        before[k][0] += engine_stats(en, i)->results[STATS_UNREACHABLE];
        before[k][1] += engine_stats(en, i)->results[STATS_SEND_ERROR];
    }
    CHECK(before[0][0] > 0);
    now += 100 * NS_PER_S;
    struct plan *p;
    struct err e;
    CHECK_INT(plan_prune(old, now, &p, &e), 0);
    CHECK(p->n_pairs < old->n_pairs);
    CHECK_INT(engine_apply(en, p, now, &e), 0);
    run(60);
    check_sums((const uint64_t(*)[2])before);
    stop();
}

// A probe without a pair keeps its numbers; one that the fleet no longer has goes.
static void test_rows(void)
{
    start();
    CHECK_INT(apply(), 0);
    run(60);
    uint64_t seen = sum(row_of("tcp", FAMILY_IPV4)->errors, REASON_ERRORS);
    CHECK(seen > 0);
    peers_release(&f.peers);
    f.peers = (struct peers){0};
    files_peer(&f, "n1", "", "192.0.2.1", "2001:db8::1", PEER_READY);
    for (unsigned i = 0; i < 2; i++) { // the second time nothing is gone any more
        CHECK_INT(apply(), 0);
        now += 100 * NS_PER_S;
        CHECK_INT(sum(row_of("tcp", FAMILY_IPV4)->errors, REASON_ERRORS), seen);
    }
    f.file.spec.mesh.n_probes = 1;
    CHECK_INT(apply(), 0);
    for (size_t i = 0; i < engine_failures(en)->n; i++)
        CHECK_STR(engine_failures(en)->rows[i].probe, "icmp");
    stop();
}

// Which reasons have a series at all.
static void test_possible(void)
{
    start();
    CHECK_INT(apply(), 0);
    CHECK(!(row_of("icmp", FAMILY_IPV4)->reasons & 1u << REASON_REFUSED));
    CHECK(row_of("icmp", FAMILY_IPV4)->reasons & 1u << REASON_PORT);
    CHECK(row_of("tcp", FAMILY_IPV4)->reasons & 1u << REASON_REFUSED);
    CHECK(!(row_of("tcp", FAMILY_IPV4)->reasons & 1u << REASON_LOOKUP));
    stop();
    for (unsigned t = 0; t < SPEC_PROBE_TYPES; t++) { // as many as are forecast
        unsigned n = 0;
        for (enum reason r = 0; r < REASONS; r++)
            n += reason_possible((enum spec_probe_type)t, r);
        CHECK_INT(n, series_reasons((enum spec_probe_type)t));
    }
}

// A peer's two agents: what fails on the way to the one is not told of the other.
static void test_networks(void)
{
    start();
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    f.file.spec.mesh.n_probes = 1;
    f.file.spec.n_targets = 0;
    for (size_t i = 0; i < f.peers.n; i++)
        f.peers.list[i].host[FAMILY_IPV4] = files_addr("198.18.0.1");
    CHECK_INT(apply(), 0);
    CHECK_INT(engine_failures(en)->n, 3); // IPv4 and IPv6 of the pods, IPv4 of the hosts
    struct engine_send out[64];
    size_t n = engine_due(en, now + NS_PER_S, out, ARRAY_LEN(out)), want = 0, got = 0;
    const struct plan *p = engine_plan(en);
    for (size_t i = 0; i < n; i++) {
        want += p->dests[p->pairs[out[i].pair].dest].network == SPEC_NETWORK_NODE;
        engine_unreachable(en, &out[i].token, REASON_HOST);
    }
    for (size_t i = 0; i < 3; i++)
        if (engine_failures(en)->rows[i].network == SPEC_NETWORK_NODE)
            got += engine_failures(en)->rows[i].unreachable[REASON_HOST];
    CHECK(want > 0 && want < n);
    CHECK_INT(got, want);
    stop();
}

// An agent whose fleet probes nothing.
static void test_none(void)
{
    start();
    f.file.spec.mesh.present = false;
    f.file.spec.n_targets = 0;
    CHECK_INT(apply(), 0);
    CHECK_INT(engine_failures(en)->n, 0);
    stop();
}

static const struct check_case cases[] = {
    {"ICMP's codes", test_icmp_v4},
    {"ICMPv6's codes", test_icmp_v6},
    {"what is no end of a probe", test_no_end},
    {"errno", test_errno},
    {"sums are the pairs' own, over a reload", test_sums},
    {"and of pairs that went", test_gone},
    {"rows come and go with probes", test_rows},
    {"only reasons that can be", test_possible},
    {"of each network", test_networks},
    {"nothing is probed", test_none},
};

CHECK_MAIN(cases)
