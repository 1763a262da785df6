// SPDX-License-Identifier: Apache-2.0
// Losses told apart by the reflector's numbers: case by case, then at random against the truth.
#include "test/unit/check.h"

#include "agent/stamp_path.h"

#define SLOTS 8
#define FLOWS_MAX 16
#define ROOM 4096

static _Alignas(uint64_t) uint8_t bytes[ROOM];
static struct stamp_path *const p = (struct stamp_path *)(void *)bytes;
static unsigned flows;
static uint32_t seq;
static uint32_t reflector[FLOWS_MAX]; // its next number

static void start(unsigned n)
{
    memset(bytes, 0, sizeof(bytes));
    memset(reflector, 0, sizeof(reflector));
    flows = n;
    seq = UINT32_MAX - 20; // over the end of the engine's numbers
}

// The answers to a probe that was doubled, each of them doubled in its turn.
static void doubled_twice(uint32_t first, uint32_t second)
{
    for (unsigned i = 0; i < 2; i++) {
        stamp_path_answered(p, seq - 1, first);
        stamp_path_answered(p, seq - 1, second);
    }
}

static unsigned begin(uint32_t *ret_number)
{
    return stamp_path_begin(p, flows, SLOTS, seq++, ret_number);
}

// Probes by a letter each: r received, f lost forward, b lost backward, d doubled forward, D and both of its
// answers backward, e the same with the second one first, h doubled and one of
// the answers lost, s not sent, u refused, c corrupt, R the reflector
// begins again. "(xy" is x overtaken by y on the way there, with y's letter after it.
static void run(const char *letters)
{
    for (const char *c = letters; *c; c++) {
        uint32_t number;
        if (*c == 'R') {
            memset(reflector, 0, sizeof(reflector));
            continue;
        }
        if (*c == '(') { // both received
            unsigned f = begin(&number);
            uint32_t first = seq - 1;
            while (begin(&number) != f)
                stamp_path_failed(p, seq - 1);
            stamp_path_answered(p, seq - 1, reflector[f]++);
            stamp_path_answered(p, first, reflector[f]++);
            continue;
        }
        unsigned f = begin(&number);
        switch (*c) {
        case 'r': stamp_path_answered(p, seq - 1, reflector[f]++); break;
        case 'b': reflector[f]++; break;
        case 'd':
            stamp_path_answered(p, seq - 1, reflector[f]++);
            stamp_path_answered(p, seq - 1, reflector[f]++);
            break;
        case 'h':
            stamp_path_answered(p, seq - 1, reflector[f]);
            reflector[f] += 2;
            break;
        case 'D': doubled_twice(reflector[f], reflector[f] + 1); break;
        case 'e': doubled_twice(reflector[f] + 1, reflector[f]); break;
        case 's': stamp_path_failed(p, seq - 1); break;
        case 'u': stamp_path_refused(p, seq - 1); break;
        case 'c': stamp_path_corrupt(p, seq - 1, reflector[f]++); break;
        case '=': stamp_path_answered(p, seq - 1, number); break; // stateless
        default: break;
        }
        reflector[f] += *c == 'D' || *c == 'e' ? 2 : 0;
    }
}

static void settle(void)
{
    for (unsigned i = 0; i < 3 * SLOTS + 4 * flows; i++)
        run("r");
}

static void test_cases(void)
{
    static const struct {
        const char *letters;
        unsigned forward, backward;
    } at[] = {
        {"rrrrrr", 0, 0},
        {"rfr", 1, 0},
        {"rbr", 0, 1},
        {"rfbfbbr", 2, 3},
        {"rfffffffffffffffffffffffffffffr", 29, 0},
        {"rbbbbbbbbbbbbbbbbbbbbbbbbbbbbbr", 0, 29},
        {"rfrbrfrbrbr", 2, 3},
        {"fffr", 0, 0}, // before the first answer nobody can tell
        {"bbbr", 0, 0},
        {"rsrur", 0, 0},
        {"rsfurbr", 1, 1},
        {"rcr", 0, 0},
        {"rcfrcbr", 1, 1},
        {"r((r", 0, 0},
        {"(r(r", 0, 0}, // the very first is overtaken
        {"rf(r", 1, 0},
        {"rb(r", 0, 1},
        {"rf(b(fr", 2, 1},
        {"rdrdr", 0, 0},
        {"rdfdbdr", 1, 1},
        {"rDfebDr", 1, 1},
        {"drbrrfr", 1, 1}, // doubled so that the reflector's numbers are ours
        {"rDbbDber", 0, 3},
        {"rhrhr", 0, 0},
        {"rhffr", 1, 1}, // the sum is right
        {"rrrrrrrrrrrrRrrrr", 0, 0},
        {"rrrrrrrrrrrrfffRfrrrr", 0, 0}, // around a restart nobody can tell
        {"rrrrrrrrrrrrRrrrfrbr", 1, 1},
        {"=====.====...==", 0, 0}, // stateless: our own number comes back
    };
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        start(1);
        run(at[i].letters);
        if (at[i].letters[0] == '=')
            run("================");
        else
            settle();
        printf("# %s\n", at[i].letters);
        CHECK_INT(p->lost[STAMP_PATH_FORWARD], at[i].forward);
        CHECK_INT(p->lost[STAMP_PATH_BACKWARD], at[i].backward);
    }
}

// Nothing is said of losses until an answer comes after them and they have left the ring.
static void test_tail(void)
{
    start(1);
    run("rrrrrrrrrrffffffffffffffffffffffff");
    CHECK_INT(p->lost[STAMP_PATH_FORWARD] + p->lost[STAMP_PATH_BACKWARD], 0);
    CHECK_INT(stamp_path_flow_lost(p, 0), 24 - SLOTS);
    run("r");
    CHECK_INT(p->lost[STAMP_PATH_FORWARD], 0);
    settle();
    CHECK_INT(p->lost[STAMP_PATH_FORWARD], 24);
    CHECK_INT(stamp_path_flow_lost(p, 0), 24);
}

// The reflector's numbers go over 2^32.
static void test_wrap(void)
{
    start(1);
    reflector[0] = UINT32_MAX - 3;
    run("rrrfrbrrbfrbr");
    settle();
    CHECK_INT(p->lost[STAMP_PATH_FORWARD], 2);
    CHECK_INT(p->lost[STAMP_PATH_BACKWARD], 3);
}

// One flow of four is bad; each is a session of its own.
static void test_flows(void)
{
    start(4);
    for (unsigned i = 0; i < 10; i++) {
        run("rrr");
        run(i % 2 ? "r" : "f");
    }
    settle();
    static const unsigned want[] = {0, 0, 0, 5};
    for (unsigned f = 0; f < 4; f++)
        CHECK_INT(stamp_path_flow_lost(p, f), want[f]);
    CHECK_INT(stamp_path_flow_lost(p, 4), 0);
    CHECK_INT(p->lost[STAMP_PATH_FORWARD], 4); // the first was before that flow's first answer
    CHECK_INT(p->lost[STAMP_PATH_BACKWARD], 0);
}

// A reflector that is another one all of a sudden, far off: given up, then told again.
static void test_jump(void)
{
    start(1);
    run("rrrrr");
    reflector[0] = 1000000;
    run("rrrrfrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr");
    CHECK_INT(p->lost[STAMP_PATH_FORWARD] + p->lost[STAMP_PATH_BACKWARD], 0);
    run("rbrfrfr");
    settle();
    CHECK_INT(p->lost[STAMP_PATH_FORWARD], 2);
    CHECK_INT(p->lost[STAMP_PATH_BACKWARD], 1);
}

// Numbers of sessions are named back to the engine's, also of the shape before.
static void test_numbers(void)
{
    start(3);
    uint32_t number, old[5], found[2];
    for (unsigned i = 0; i < 5; i++) {
        CHECK_INT(begin(&number), i % 3);
        CHECK_INT(number, i / 3 + 1);
        old[i] = seq - 1;
        CHECK_INT(stamp_path_seq(p, i % 3, number, found), 1);
        CHECK_INT(found[0], old[i]);
        stamp_path_answered(p, seq - 1, number - 1);
    }
    CHECK_INT(stamp_path_seq(p, 3, 1, found), 0);
    CHECK_INT(stamp_path_seq(p, 0, 0, found), 0);
    CHECK_INT(stamp_path_seq(p, 2, 2, found), 0);                      // not begun yet
    CHECK_INT(stamp_path_seq(p, 0, 1 + UINT32_MAX / 3 + 1, found), 0); // modulo 2^32 it would be one
    p->lost[STAMP_PATH_BACKWARD] = 7;
    run("fff");
    settle();
    uint64_t lost = stamp_path_flow_lost(p, 0);
    CHECK_INT(lost, 1);
    flows = 5;
    stamp_path_fit(p, 5, SLOTS); // grown
    CHECK_INT(stamp_path_flow_lost(p, 0), lost);
    CHECK_INT(stamp_path_flow_lost(p, 4), 0);
    CHECK_INT(begin(&number), 0);
    CHECK_INT(number, 1);
    CHECK_INT(stamp_path_seq(p, 0, 1, found), 2);
    CHECK_INT(found[0], seq - 1);
    CHECK_INT(found[1], old[0]);
    CHECK_INT(stamp_path_seq(p, 0, 2, found), 1);
    CHECK_INT(found[0], old[3]);
    CHECK_INT(p->lost[STAMP_PATH_BACKWARD], 7);
    flows = 2;
    stamp_path_fit(p, 2, 2 * SLOTS); // cut
    CHECK_INT(stamp_path_flow_lost(p, 0), lost);
    CHECK_INT(stamp_path_flow_lost(p, 2), 0);
}

// Numbers begin anew long before they could mean two probes.
static void test_long_run(void)
{
    start(2);
    uint32_t number, found[2];
    run("rrrr");
    p->base = seq - (UINT32_C(1) << 31);
    CHECK_INT(begin(&number), 0);
    CHECK_INT(number, 1);
    CHECK_INT(stamp_path_seq(p, 1, UINT32_C(1) << 30, found), 1); // what is under way is still known
    CHECK_INT(found[0], seq - 2);
}

static void test_error(void)
{
    start(1);
    run("r");
    stamp_path_set_error(p, seq - 1, 0x9001);
    CHECK(stamp_path_error_is(p, seq - 1, 0x9001));
    CHECK(!stamp_path_error_is(p, seq - 1, 0x9002));
    CHECK(stamp_path_error_is(p, seq, 0x9002)); // not known
    CHECK(stamp_path_error_is(p, seq - 2, 0x9002));
    stamp_path_answered(p, seq + 5, 1);
    stamp_path_answered(p, seq - 1 - SLOTS, 1);
}

static uint64_t random_state = 1;
static unsigned chance(unsigned of)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % of;
}

// Whatever the flows and however bad both ways are, each loss is on its way, exactly, once the link is well.
static void test_random(void)
{
    for (unsigned round = 0; round < 400; round++) {
        unsigned ahead = chance(100), back = chance(100), double_of = chance(4) == 0 ? 3 + chance(100) : 0;
        start(1 + chance(FLOWS_MAX));
        uint64_t lost[STAMP_PATH_WAYS] = {0}, by_flow[FLOWS_MAX] = {0};
        settle(); // each session has its first answer
        for (unsigned i = 0; i < 500; i++) {
            unsigned f = (unsigned)((seq - p->base) % flows);
            bool forward = chance(100) < ahead, backward = chance(100) < back;
            lost[STAMP_PATH_FORWARD] += forward;
            lost[STAMP_PATH_BACKWARD] += !forward && backward;
            by_flow[f] += forward || backward;
            run(forward ? "f" : backward ? "b" : double_of && chance(double_of) == 0 ? "d" : "r");
        }
        settle();
        settle();
        for (unsigned f = 0; f < flows; f++)
            CHECK_INT(stamp_path_flow_lost(p, f), by_flow[f]);
        CHECK_INT(p->lost[STAMP_PATH_FORWARD], lost[STAMP_PATH_FORWARD]);
        CHECK_INT(p->lost[STAMP_PATH_BACKWARD], lost[STAMP_PATH_BACKWARD]);
    }
}

// On both ways packets are lost and overtake each other, by up to half of the ring: each way is exact.
static void test_random_overtaken(void)
{
    uint64_t all = 0;
    for (unsigned round = 0; round < 200; round++) {
        unsigned ahead = chance(30), back = chance(30), places = 1 + chance(2);
        start(1);
        uint64_t forward = 0, backward = 0;
        settle();
        struct {
            uint32_t seq;
            bool lost;
        } road[4] = {0}; // on the way there; those that are late leave it later
        unsigned n = 0;
        for (unsigned i = 0; i < 600; i++) {
            uint32_t number;
            begin(&number);
            if (chance(100) < ahead) {
                forward++;
            } else {
                road[n].seq = seq - 1;
                road[n++].lost = chance(100) < back;
            }
            while (n > places || (n > 0 && (i == 599 || chance(3) > 0))) {
                unsigned k = chance(n);
                for (unsigned j = 0; j < n; j++) // never later than the ring is long: that would be a loss
                    k = seq - road[j].seq > SLOTS / 2 ? j : k;
                uint32_t at = reflector[0]++;
                if (road[k].lost)
                    backward++;
                else
                    stamp_path_answered(p, road[k].seq, at);
                road[k] = road[--n];
            }
        }
        settle();
        CHECK_INT(p->lost[STAMP_PATH_FORWARD], forward);
        CHECK_INT(p->lost[STAMP_PATH_BACKWARD], backward);
        all += forward + backward;
    }
    CHECK(all > 10000);
}

// Numbers that mean nothing, from a reflector that lies: the sum is never more than what was lost.
static void test_lies(void)
{
    for (unsigned round = 0; round < 200; round++) {
        start(1 + chance(4));
        uint32_t number;
        for (unsigned i = 0; i < 500; i++) {
            begin(&number);
            unsigned kind = chance(4);
            if (kind > 0)
                stamp_path_answered(p, seq - 1, kind == 1 ? chance(8) : chance(UINT32_MAX));
            if (kind == 2)
                stamp_path_answered(p, seq - 1 - chance(12), chance(UINT32_MAX));
        }
        uint64_t all = 0;
        for (unsigned f = 0; f < flows; f++)
            all += stamp_path_flow_lost(p, f);
        CHECK(p->lost[STAMP_PATH_FORWARD] + p->lost[STAMP_PATH_BACKWARD] <= all);
    }
}

static void test_size(void)
{
    CHECK_INT(stamp_path_fixed(1), 60);
    CHECK_INT(stamp_path_fixed(8), 256);
    CHECK_STR(stamp_path_way_name(STAMP_PATH_FORWARD), "forward");
    CHECK_STR(stamp_path_way_name(STAMP_PATH_BACKWARD), "backward");
}

static const struct check_case cases[] = {
    {"case by case", test_cases},
    {"the tail", test_tail},
    {"past 2^32", test_wrap},
    {"flows", test_flows},
    {"another reflector", test_jump},
    {"numbers of sessions", test_numbers},
    {"a long run", test_long_run},
    {"error estimates", test_error},
    {"at random", test_random},
    {"at random, overtaken", test_random_overtaken},
    {"lies", test_lies},
    {"sizes", test_size},
};
CHECK_MAIN(cases)
