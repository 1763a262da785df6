// SPDX-License-Identifier: Apache-2.0
// The fleets' Ready agents, what each last said, and when each is to be asked again. Follows the store, is
// told of answers, knows no network. All of it can be lost without harm: it is asked for again.
#ifndef KUBECANARY_OPERATOR_REPORT_TABLE_H
#define KUBECANARY_OPERATOR_REPORT_TABLE_H

#include <sys/queue.h>

#include "lib/spec.h"
#include "operator/agent_sets.h"
#include "operator/report_metrics.h"
#include "operator/report_sum.h"
#include "operator/store.h"

// An agent is asked a moment after it became Ready or its fleet changed; soon again when it did not answer
// (REPORT_TABLE_EAGER times in a row) or works by an earlier generation; otherwise once a minute.
#define REPORT_TABLE_FRESH_NS (500 * NS_PER_MS)
#define REPORT_TABLE_SOON_NS (5 * NS_PER_S)
#define REPORT_TABLE_PERIOD_NS (60 * NS_PER_S)
#define REPORT_TABLE_EAGER 24
// One that answered before counts as reporting until it has missed so many in a row.
#define REPORT_TABLE_MISSES 2
// Loss is summed over so many minutes, the present one included.
#define REPORT_TABLE_MINUTES 5

enum report_table_queue { REPORT_TABLE_FRESH, REPORT_TABLE_SOON, REPORT_TABLE_LATER, REPORT_TABLE_QUEUES };

struct report_agent { // read by the owner of the table; changed by the functions below only
    TAILQ_ENTRY(report_agent) queued;
    LIST_ENTRY(report_agent) of_fleet;
    struct report_fleet *fleet;
    char uid[LIMIT_UID + 1]; // of its Pod
    char *node;
    struct agent_set set;
    char allocator[17]; // as its Pod says what it was told (store_pod)
    struct addr ip[FAMILIES];
    enum family family;            // to ask it by, where it has both
    enum report_table_queue queue; // REPORT_TABLE_QUEUES: being asked
    uint64_t due_ns;
    unsigned misses, eager; // in a row
    bool seen;
    bool known;        // report is one, not older than REPORT_TABLE_MISSES misses
    char trouble[160]; // why it last did not answer as it should; "" if it did, or was not asked
    struct report report;
    void *asking; // the owner's, while it is being asked
};

struct report_fleet {
    LIST_ENTRY(report_fleet) link;
    LIST_HEAD(, report_agent) agents;
    char namespace[LIMIT_NAMESPACE + 1];
    char name[LIMIT_NAME + 1];
    int64_t generation;
    // By its spec (report_table_configure):
    bool own_image; // agent.image is set: there need be no /report
    bool exporter;  // it is another program: there is none
    uint16_t port;
    char metrics_path[LIMIT_HTTP_PATH + 1];
    size_t n_sets;
    struct {
        char override[LIMIT_OVERRIDE_NAME + 1]; // "": the agents of all other nodes
        struct report_told told;
    } sets[LIMIT_OVERRIDES + 1];
    uint64_t told_ns; // since when its numbers have not been told
    struct {
        uint64_t minute;
        struct report_loss loss;
    } minutes[REPORT_TABLE_MINUTES];
};

struct report_split { // of the agents that told
    struct report_sum_sides all;
    struct report_sum_sides of[AGENT_NETWORKS]; // of one network's agents
    size_t told;                                // in all.now
    uint64_t max;                  // the most resident memory of one of them, bytes; 0: nobody told
    char max_node[LIMIT_NAME + 1]; // and where that is
    enum spec_network max_network;
};

struct report_table;
// gone: an agent that is being asked (asking is set) is about to be freed.
struct report_table *report_table_new(void (*gone)(struct report_agent *a, void *arg), void *arg); // or NULL
void report_table_free(struct report_table *t); // takes NULL
size_t report_table_count(const struct report_table *t, size_t *ret_known);

// Takes in who came, went, or changed. -ENOMEM: as far as it got; to be done again.
MUST_USE int report_table_sync(struct report_table *t, const struct store *s, uint64_t now_ns);
void report_table_clear(struct report_table *t);
// What is to be known of a fleet to read its agents. -ENOMEM.
MUST_USE int report_table_configure(struct report_table *t, const char *namespace, const char *name,
                                    const struct spec *spec);

// What its set was told; NULL: it is not known (yet).
const struct report_told *report_table_told(const struct report_agent *a);

// The one that is due first; NULL: there is none.
struct report_agent *report_table_next(const struct report_table *t);
// Where it is to be asked: of two addresses where it last answered, and after each failure at the other one.
const struct addr *report_table_address(const struct report_agent *a);
// It is being asked now, and not due before one of the next two.
void report_table_ask(struct report_table *t, struct report_agent *a, void *asking);
// It said that. True: the fleet's status is worth to be looked at.
bool report_table_answer(struct report_table *t, struct report_agent *a, const struct report *report,
                         uint64_t now_ns);
// It did not answer, or not as it should. True: likewise.
bool report_table_failure(struct report_table *t, struct report_agent *a, const char *why, uint64_t now_ns);

// *ret is all zero for a fleet that is not known. ENOMEM.
MUST_USE int report_table_sum(const struct report_table *t, const char *namespace, const char *name,
                              uint64_t now_ns, struct report_sum *ret, struct err *e);
// The memory of an override's agents ("": those of none) that were told `settings` of their allocator, and of
// the others. All zero for a fleet that is not known. ENOMEM.
MUST_USE int report_table_split(const struct report_table *t, const char *namespace, const char *name,
                                const char *override, const char *settings, struct report_split *ret,
                                struct err *e);

#endif
