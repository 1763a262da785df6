// SPDX-License-Identifier: Apache-2.0
// What one agent says of itself, as a small value of fixed size, and the parser of its /report
// (agent/report.h lists the members). Pure. The text comes from a Pod, so nothing in it is believed that
// cannot be true: who it is of, its types and its bounds are checked; members that are not known here are
// left alone, so that newer agents can be read.
#ifndef KUBECANARY_OPERATOR_REPORT_H
#define KUBECANARY_OPERATOR_REPORT_H

#include "lib/err.h"
#include "lib/limits.h"

// Bounds of what is believed. Series: what a Prometheus can hold. Bytes: 1 TiB. Cores: Linux' NR_CPUS.
#define REPORT_MAX_COUNT UINT64_C(1000000000)
#define REPORT_MAX_BYTES (UINT64_C(1) << 40)
#define REPORT_MAX_CPUS 8192
#define REPORT_TEXT 48

// How a probe can end, as /report names it.
enum report_result {
    REPORT_RECEIVED,
    REPORT_LATE,
    REPORT_LOST,
    REPORT_CORRUPT,
    REPORT_UNREACHABLE,
    REPORT_SEND_ERROR,
    REPORT_UNEXPECTED,
    REPORT_UNRESOLVED,
    REPORT_RESULTS
};

enum report_verdict {
    REPORT_UNKNOWN, // nothing tells
    REPORT_EFFECTIVE,
    REPORT_NOT_EFFECTIVE,
};

struct report_allocator {
    char name[16]; // "jemalloc", "glibc", "musl", "go"; "" if nothing tells
    char version[32];
    enum report_verdict verdict; // of all settings together
    unsigned settings;           // how many were asked for
    // If not effective the first setting that is not; if unknown the first of which nothing is known ("" if
    // the allocator as a whole is not told of).
    char setting[REPORT_TEXT];
    char wanted[REPORT_TEXT]; // "" if it has none
    char actual[REPORT_TEXT]; // "" if the allocator does not know it
};

struct report {
    // Of an image that has no /report, read from its /metrics: of the rest only allocator, resident_bytes and
    // threads are known.
    bool foreign;
    bool ready, paused, reload_ok;
    uint64_t generation; // of the fleet, as in force; 0: none
    uint64_t pairs, series, packets_per_ks;
    uint64_t results[REPORT_RESULTS]; // since the agent's start, of the pairs that there are now
    uint64_t resident_bytes;          // 0: not known, as the next two
    uint64_t threads, cpus;
    struct report_allocator allocator;
};

struct report_who { // whose report is wanted; borrowed
    const char *fleet;
    const char *node;
    const char *network; // "" : any
};

// EPROTO: it is no JSON object. EINVAL, with the member's name as path: not of these three, or a member that
// is missing, of the wrong type or out of bounds. ENOMEM.
MUST_USE int report_parse(const char *text, size_t len, const struct report_who *who, struct report *ret,
                          struct err *e);

// Copies text for people: cut to fit, whatever is not printable ASCII as '?'. text NULL: "".
void report_text(char *out, size_t size, const char *text);

// Probes that ended and say something of the network, and those of them that are loss.
struct report_loss {
    uint64_t ended, lost;
};
// What ended between two reports of one process. False: they cannot be compared (it began anew, or probes
// other pairs now).
bool report_since(const struct report *before, const struct report *now, struct report_loss *ret);

#endif
