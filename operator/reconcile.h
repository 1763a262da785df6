// SPDX-License-Identifier: Apache-2.0
// From what a fleet shall consist of and what the store shows to the list of actions that close the gap.
// Reads, decides, writes nothing: the same input gives the same list. The marks are the operator's short
// memory of its own writes, so that it neither fights nor repeats itself.
#ifndef KUBECANARY_OPERATOR_RECONCILE_H
#define KUBECANARY_OPERATOR_RECONCILE_H

#include "operator/cluster.h"
#include "operator/members.h"
#include "operator/render.h"
#include "operator/store.h"

// After an apply the watch shows its effect within milliseconds; if it has not by then, the apply is
// repeated.
#define RECONCILE_PENDING_NS (30 * NS_PER_S)
// Somebody who changes a child back each time must not be fought without end: so many applies of one child a
// minute.
#define RECONCILE_APPLIES_PER_MINUTE 10
// Pods that are told to refresh their mounts in one round, and the pause between rounds: 20 patches a second
// at most. Not longer than for so long: by then each kubelet has looked by itself (measured: 47-80 s).
#define RECONCILE_POKES 20
#define RECONCILE_POKE_PAUSE_NS (1 * NS_PER_S)
#define RECONCILE_POKE_WORTH_NS (90 * NS_PER_S)

struct reconcile_mark { // of one child that was applied
    enum store_kind kind;
    char name[LIMIT_NAME + 1];
    uint64_t wanted;           // hash of the body that was applied
    uint64_t settled;          // digest of the object that the API returned
    int64_t generation;        // its metadata.generation
    uint64_t pending_until_ns; // the watch has not shown a change since the apply; 0: it has
    uint64_t minute_ns;        // when the current minute of counting began
    unsigned applies;          // in that minute
};

struct reconcile_marks {
    size_t n;
    struct reconcile_mark *list;
};

struct reconcile_input {
    const struct store *store;
    const struct store_fleet *fleet;
    const struct render_set *wanted;
    bool complete; // `wanted` is the whole fleet: children that are not in it may be deleted
    struct reconcile_marks *marks;
    uint64_t now_ns;
};

struct action_list {
    size_t n, cap;
    struct action *list;
};

// One more, all zero; NULL: no memory.
struct action *action_list_add(struct action_list *l);
// The same, with a verb that means this very object (DELETE, POKE): its names and uid.
struct action *action_list_add_of(struct action_list *l, enum action_verb verb, enum store_kind kind,
                                  const struct store_meta *object);
void action_list_release(struct action_list *l);
void reconcile_marks_release(struct reconcile_marks *m);

// Appends the applies and deletes that are needed. What stands in the way of a child is an error, and the
// list then holds everything that can do without it (no DaemonSet without its ServiceAccount and ConfigMaps,
// no deletes). EEXIST with the child's name: an object of that name belongs to somebody else; EAGAIN: to a
// fleet of the same name that was deleted, and the garbage collector has yet to come; ELOOP: it is changed
// back again and again. ENOMEM.
MUST_USE int reconcile_children(const struct reconcile_input *in, struct action_list *ret, struct err *e);
// The result of an apply: what is now settled, and what the watch has yet to show (nothing if `live`, what
// the store has now, is that object already). -ENOMEM.
MUST_USE int reconcile_applied(struct reconcile_marks *m, const struct action *a, const json_t *object,
                               const struct store_child *live, uint64_t now_ns);
// The watch has shown a change of this child.
void reconcile_seen(struct reconcile_marks *m, enum store_kind kind, const char *name);

// Whether the store shows this child as of its last apply or later; true if it never was applied.
bool reconcile_is_shown(const struct reconcile_marks *m, const struct store_child *live, enum store_kind kind,
                        const char *name);

// Hash of all the data that the agents read, as text for the annotation: what the Pods' `published` is
// compared with. *agent_file: hash of agent.yaml, set if it is in the set, otherwise as it was last.
void reconcile_published(const struct render_set *wanted, uint64_t *agent_file, char out[static 17]);
// Appends at most RECONCILE_POKES pokes for running Pods whose annotation differs and who are known
// (members_is_known; a poke makes a Pod known); `turn` counts the rounds,
// so that none is left out for ever where there are more. Returns how many Pods are left over, or -ENOMEM.
MUST_USE int reconcile_pokes(const struct store *s, const struct store_fleet *fleet,
                             const struct members_known *known, const char *published, size_t turn,
                             struct action_list *ret);

#endif
