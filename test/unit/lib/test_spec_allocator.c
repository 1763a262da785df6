// SPDX-License-Identifier: Apache-2.0
// What of spec.agent.allocator is refused, and where: whether it is said by a field or in conf or tunables.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/spec.h"
#include "test/unit/check.h"

#define JEMALLOC "type: Jemalloc, "
#define OUR_IMAGE "}" // each ends the allocator's map; the frame ends agent's
#define OWN "}, image: 'x/y:1'"

static int parse(const char *allocator, struct spec *ret, struct err *e)
{
    char text[1024];
    CLEANUP_DOC struct doc *doc = NULL;
    snprintf(text, sizeof(text), "{mesh: {probes: [{name: a, type: ICMP}]}, agent: {allocator: {%s}}",
             allocator);
    int r = doc_parse(text, strlen(text), &doc, e);
    return r < 0 ? r : spec_parse(doc_root(doc), ret, e);
}

static const struct {
    const char *allocator, *path, *msg;
} refused[] = {
    // Can never be in effect.
    {JEMALLOC "oversizeThresholdBytes: 1" OUR_IMAGE, "oversizeThresholdBytes", "0 or at least 16384"},
    {JEMALLOC "oversizeThresholdBytes: 16383" OWN, "oversizeThresholdBytes", "0 or at least 16384"},
    {JEMALLOC "conf: 'oversize_threshold:4096'" OUR_IMAGE, "conf",
     "oversize_threshold must be 0 or at least 16384"},
    // The same, by fields and in conf, both ways and mixed.
    {JEMALLOC "lgTcacheMax: 15, tcache: false" OUR_IMAGE, "lgTcacheMax",
     "does nothing where tcache is false"},
    {JEMALLOC "lgTcacheMax: 15, conf: 'tcache:false'" OUR_IMAGE, "lgTcacheMax",
     "does nothing where tcache is false"},
    {JEMALLOC "tcache: false, conf: 'lg_tcache_max:15'" OUR_IMAGE, "conf",
     "lg_tcache_max does nothing where tcache is false"},
    {JEMALLOC "conf: 'tcache_max:15000,tcache:false'" OWN, "conf",
     "tcache_max does nothing where tcache is false"},
    {JEMALLOC "dirtyDecayMilliseconds: -1, muzzyDecayMilliseconds: 1000" OUR_IMAGE, "muzzyDecayMilliseconds",
     "does nothing where dirtyDecayMilliseconds is -1"},
    {JEMALLOC "muzzyDecayMilliseconds: -1, conf: 'dirty_decay_ms:-1'" OWN, "muzzyDecayMilliseconds",
     "does nothing where dirty_decay_ms is -1"},
    {JEMALLOC "conf: 'muzzy_decay_ms:5,dirty_decay_ms:-1'" OUR_IMAGE, "conf",
     "muzzy_decay_ms does nothing where dirty_decay_ms is -1"},
    {JEMALLOC "narenas: 1, percpuArena: PerCPU" OUR_IMAGE, "narenas",
     "does nothing where percpuArena is PerCPU"},
    {JEMALLOC "narenas: 1, conf: 'percpu_arena:phycpu'" OUR_IMAGE, "narenas",
     "does nothing where percpu_arena is phycpu"},
    {JEMALLOC "percpuArena: PhyCPU, conf: 'narenas:1'" OWN, "conf",
     "narenas does nothing where percpuArena is PhyCPU"},
    {"glibc: {arenaMax: 1, arenaTest: 2}" OWN, "glibc.arenaTest", "does nothing where glibc.arenaMax is set"},
    {"glibc: {arenaMax: 1, tunables: glibc.malloc.arena_test=2}" OWN, "glibc.tunables",
     "glibc.malloc.arena_test does nothing where glibc.arenaMax is set"},
    {"glibc: {arenaTest: 1, tunables: glibc.malloc.arena_max=2}" OWN, "glibc.arenaTest",
     "does nothing where glibc.malloc.arena_max is set"},
    {"glibc: {tunables: 'glibc.malloc.mmap_max=0:a.b=1:glibc.malloc.mmap_threshold=4096'}" OWN,
     "glibc.tunables", "glibc.malloc.mmap_threshold does nothing where glibc.malloc.mmap_max is 0"},
    {"glibc: {tcacheCount: 0, tunables: glibc.malloc.tcache_max=64}" OWN, "glibc.tunables",
     "glibc.malloc.tcache_max does nothing where glibc.tcacheCount is 0"},
    // A name twice.
    {JEMALLOC "narenas: 1, conf: 'narenas:2'" OUR_IMAGE, "conf",
     "sets narenas, which the field narenas sets too"},
    {JEMALLOC "lgTcacheMax: 3, conf: 'tcache_max:64'" OWN, "conf",
     "sets tcache_max, which the field lgTcacheMax sets too"},
    {JEMALLOC "conf: 'narenas:1,narenas:2'" OUR_IMAGE, "conf", "sets narenas twice"},
    {JEMALLOC "conf: 'tcache_max:64,zero:true,lg_tcache_max:4'" OWN, "conf", "sets lg_tcache_max twice"},
    {JEMALLOC "conf: 'zero:true,junk:false,zero:false'" OUR_IMAGE, "conf", "sets zero twice"},
    {JEMALLOC "conf: 'own:1,own:2'" OWN, "conf", "sets own twice"},
    {"glibc: {tunables: 'a.b=1:a.b=1'}" OWN, "glibc.tunables", "sets a.b twice"},
    // A value that the field could not have.
    {JEMALLOC "conf: 'narenas:abc'" OUR_IMAGE, "conf", "narenas must be a number from 1 to 256, is \"abc\""},
    {JEMALLOC "conf: 'narenas:0'" OWN, "conf", "narenas must be a number from 1 to 256, is \"0\""},
    {JEMALLOC "conf: 'narenas:0x10'" OWN, "conf", "narenas must be a number from 1 to 256"},
    {JEMALLOC "conf: 'narenas:99999999999999999999'" OWN, "conf", "narenas must be a number from 1"},
    {JEMALLOC "conf: 'dirty_decay_ms:-2'" OUR_IMAGE, "conf", "dirty_decay_ms must be a number from -1 to"},
    {JEMALLOC "conf: 'dirty_decay_ms:--1'" OUR_IMAGE, "conf", "dirty_decay_ms must be a number from -1 to"},
    {JEMALLOC "conf: 'lg_tcache_max:24'" OUR_IMAGE, "conf", "lg_tcache_max must be a number from 3 to 23"},
    {JEMALLOC "conf: 'tcache_max:7'" OUR_IMAGE, "conf", "tcache_max must be a number from 8 to 8388608"},
    {JEMALLOC "conf: 'tcache:no'" OUR_IMAGE, "conf", "tcache must be true or false, is \"no\""},
    {JEMALLOC "conf: 'percpu_arena:PerCPU'" OUR_IMAGE, "conf",
     "percpu_arena must be one of disabled, percpu, phycpu, is \"PerCPU\""},
    {JEMALLOC "conf: 'thp:'" OWN, "conf", "must be name:value pairs"},
    {"glibc: {tunables: glibc.malloc.arena_max=many}" OWN, "glibc.tunables",
     "glibc.malloc.arena_max must be a number from 1 to 4096"},
    // What the operator's jemalloc does not have, or does nothing with.
    {JEMALLOC "conf: 'xmalloc:true'" OUR_IMAGE, "conf", "xmalloc is refused"},
    {JEMALLOC "conf: 'cache_oblivious:true'" OUR_IMAGE, "conf", "cache_oblivious is refused"},
    {JEMALLOC "conf: 'dss:disabled'" OUR_IMAGE, "conf", "dss is refused"},
    {JEMALLOC "conf: 'lg_prof_sample:19'" OUR_IMAGE, "conf", "lg_prof_sample is refused"},
    {JEMALLOC "conf: 'narena:1'" OUR_IMAGE, "conf", "narena is refused"},
    {JEMALLOC "conf: 'background_threads:true'" OUR_IMAGE, "conf", "background_threads is refused"},
    {JEMALLOC "conf: 'thp_:never'" OUR_IMAGE, "conf", "thp_ is refused"},
    {JEMALLOC "conf: 'max_background_threads:1'" OUR_IMAGE, "conf",
     "max_background_threads does nothing where background_thread is not true"},
    {JEMALLOC "backgroundThread: false, conf: 'max_background_threads:1'" OUR_IMAGE, "conf",
     "max_background_threads does nothing"},
    {JEMALLOC "tcache: false, conf: 'tcache_nslots_large:9'" OUR_IMAGE, "conf",
     "tcache_nslots_large does nothing where tcache is not true"},
    {JEMALLOC "conf: 'lg_tcache_nslots_mul:2,tcache:false'" OUR_IMAGE, "conf",
     "lg_tcache_nslots_mul does nothing where tcache is not true"},
    {JEMALLOC "conf: 'hpa_dirty_mult:1'" OUR_IMAGE, "conf",
     "hpa_dirty_mult does nothing where hpa is not true"},
    {JEMALLOC "narenas: 2, conf: 'narenas_ratio:1'" OUR_IMAGE, "conf",
     "narenas_ratio does nothing where narenas is set"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        CLEANUP_SPEC struct spec s = {0};
        struct err e = {0};
        char path[100];
        snprintf(path, sizeof(path), "spec.agent.allocator.%s", refused[i].path);
        int r = parse(refused[i].allocator, &s, &e);
        if (r == -EINVAL && strcmp(e.path, path) == 0 && strstr(e.msg, refused[i].msg))
            continue;
        printf("    %s: %d, %s: %s\n", refused[i].allocator, r, e.path, e.msg);
        check_failed = true;
    }
}

// What does something somewhere, or nobody here knows.
static void test_accepted(void)
{
    static const char *const cases[] = {
        "rollout: {maxResidentBytes: 16777216}" OUR_IMAGE, // the memory limit
        "rollout: {maxResidentBytes: 65536}" OUR_IMAGE,
        "rollout: {maxResidentBytes: 1099511627776}}, resources: {limits: {memory: ''}}",
        "rollout: {maxResidentBytes: 33554432}}, resources: {limits: {memory: 32Mi}}",
        // What is above the limit of some nodes is not above that of the others.
        "rollout: {maxResidentBytes: 16000000}}}, placement: {overrides: [{name: a, nodeSelector: {a: b}, "
        "resources: {limits: {memory: 8Mi}}}]",
        JEMALLOC "oversizeThresholdBytes: 0" OUR_IMAGE,
        JEMALLOC "oversizeThresholdBytes: 16384" OUR_IMAGE,
        JEMALLOC "conf: 'oversize_threshold:16384,tcache:true,tcache_max:8388608'" OUR_IMAGE,
        JEMALLOC "dirtyDecayMilliseconds: -1, muzzyDecayMilliseconds: 0" OUR_IMAGE,
        JEMALLOC "muzzyDecayMilliseconds: 1000" OUR_IMAGE,
        JEMALLOC "narenas: 2, percpuArena: PerCPU" OUR_IMAGE,
        JEMALLOC "narenas: 1, percpuArena: Disabled" OUR_IMAGE,
        JEMALLOC "tcache: true, lgTcacheMax: 15" OUR_IMAGE,
        JEMALLOC "backgroundThread: true, conf: 'max_background_threads:1'" OUR_IMAGE,
        JEMALLOC "conf: 'max_background_threads:1,background_thread:true'" OUR_IMAGE,
        JEMALLOC "conf: 'hpa_dirty_mult:1,hpa:true'" OUR_IMAGE,
        JEMALLOC "conf: 'narenas_ratio:1,tcache_nslots_large:9,zero_realloc:free'" OUR_IMAGE,
        JEMALLOC "conf: 'max_background_threads:1'" OWN,
        JEMALLOC "conf: 'cache_oblivious:true,prof:true,bin_shards:1-160:16'" OWN,
        "glibc: {arenaTest: 2, tunables: 'glibc.malloc.perturb=1:glibc.rtld.nns=4'}" OWN,
        "glibc: {mmapMax: 1, tunables: 'glibc.malloc.mmap_threshold=4096'}" OWN,
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SPEC struct spec s = {0};
        struct err e = {0};
        if (parse(cases[i], &s, &e) == 0)
            continue;
        printf("    %s: %s: %s\n", cases[i], e.path, e.msg);
        check_failed = true;
    }
}

static const struct check_case cases[] = {
    {"refused", test_refused},
    {"accepted", test_accepted},
};
CHECK_MAIN(cases)
