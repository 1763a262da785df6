// SPDX-License-Identifier: Apache-2.0
// A prober that was never run, and its scrapes.
#ifndef KUBECANARY_TEST_SCRAPE_H
#define KUBECANARY_TEST_SCRAPE_H

#include "agent/export.h"
#include "test/unit/agent/files.h"

struct fixture {
    struct loop *loop;
    struct prober *prober;
    struct files files;
    struct inputs_state inputs;
};

static inline bool set_up(struct fixture *f)
{
    struct err e;
    *f = (struct fixture){0};
    files_init(&f->files);
    f->files.file.spec.metrics.series_limit = 50000;
    f->files.file.spec.metrics.n_buckets = 2;
    f->files.file.spec.metrics.rtt_buckets_us[0] = 50;
    f->files.file.spec.metrics.rtt_buckets_us[1] = 1000000;
    f->loop = loop_new(&e);
    f->prober = f->loop ? prober_new(f->loop, "n1", SPEC_NETWORK_POD, NULL, &e) : NULL;
    return f->prober;
}

static inline void tear_down(struct fixture *f)
{
    prober_free(f->prober);
    loop_free(f->loop);
    peers_release(&f->files.peers);
}

static inline bool add_peer(struct fixture *f, char *name, char *zone)
{
    struct err e;
    struct peer p = {.node = name, .zone = zone, .state = PEER_READY};
    return addr_parse("127.0.0.9", &p.pod[FAMILY_IPV4]) == 0 && peers_add(&f->files.peers, &p, &e) == 0;
}

static inline bool put_in_force(struct fixture *f)
{
    struct err e = {0};
    int r = peers_sort(&f->files.peers, &e);
    if (r == 0)
        r = prober_apply(f->prober, &f->files.file, &f->files.peers, &e);
    if (r < 0)
        printf("    %s: %s\n", e.path, e.msg);
    return r == 0;
}

// A whole scrape, read in pieces of at most `max` bytes.
static inline bool scrape(const struct fixture *f, enum metric_format format, size_t max, struct buf *ret)
{
    struct export_sources from = {.prober = f->prober, .inputs = &f->inputs};
    void *memory = calloc(1, export_bytes);
    struct export_scrape *x = memory ? export_new(memory, &from, format) : NULL;
    char *piece = malloc(max);
    ssize_t n = -1;
    buf_init(ret, 16u << 20);
    while (x && piece && (n = export_read(x, piece, max)) > 0)
        buf_add(ret, piece, (size_t)n);
    export_end(x);
    free(memory);
    free(piece);
    return n == 0 && !ret->failed;
}

static inline size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (; (text = strstr(text, word)); text++)
        n++;
    return n;
}

// Lines of pairs, and of why their probes fail.
static inline size_t count_pairs(const char *text)
{
    return count(text, "\nkubecanary_probe");
}

static inline const struct failures *failures_now(const struct fixture *f)
{
    return engine_failures(prober_engine(f->prober));
}

static inline uint64_t series_now(const struct fixture *f, bool detail)
{
    return export_series(prober_plan(f->prober), failures_now(f), detail);
}

#endif
