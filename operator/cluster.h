// SPDX-License-Identifier: Apache-2.0
// The cluster behind one small interface: Kubernetes over libcurl (kube.h), or this machine (local.h). The
// backend is the store's one writer; the action list is the API's one writer. Everything is asynchronous in
// the loop.
#ifndef KUBECANARY_OPERATOR_CLUSTER_H
#define KUBECANARY_OPERATOR_CLUSTER_H

#include <jansson.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "operator/store.h"

enum action_verb {
    ACTION_APPLY,  // server-side apply of `body` (complete intent), field manager `kubecanary`, force
    ACTION_STATUS, // server-side apply of the fleet's status, field manager `kubecanary-status`
    ACTION_DELETE, // with a uid precondition
    ACTION_POKE,   // merge patch of a Pod's annotation kubecanary.io/published = `value`: makes the kubelet
                   // refresh its mounts
    ACTION_EVENT,  // create an events.k8s.io/v1 Event (`body`)
};

struct action {
    enum action_verb verb;
    enum store_kind kind; // of the object; STORE_FLEET for STATUS and EVENT
    char namespace[LIMIT_NAMESPACE + 1];
    char name[LIMIT_NAME + 1];
    char uid[LIMIT_UID + 1]; // DELETE, POKE: of the object meant; "" otherwise
    char value[32];          // POKE
    bool fresh;              // APPLY: as far as we know there is no such object. If there is one that is not
                             // ours, it is left alone: EEXIST
    json_t *body;            // APPLY, STATUS, EVENT; owned
};

void action_release(struct action *a);

struct action_result {
    int status;      // HTTP status; 0: no answer; the local backend says 200, 404, 409, 500
    char reason[64]; // Status.reason of a failure: "Invalid", "Forbidden" ...
    struct err
        err; // err.code != 0 on failure; msg is the server's, err.path the field of the first cause, if told
    int retry_after_s;    // -1: none
    const json_t *object; // the object after an APPLY that succeeded; borrowed
};
typedef void action_done_fn(const struct action_result *r, void *arg);

struct cluster;

struct cluster_ops {  // contracts above each
    const char *name; // "kubernetes", "local"
    // Starts to fill the store and keeps it current until stop. Errors that may pass are retried inside, for
    // ever.
    int (*start)(struct cluster *c, struct store *s, struct err *e);
    // Carries out one action. Takes a copy of what it needs; done is called exactly once, never from inside
    // act.
    int (*act)(struct cluster *c, const struct action *a, action_done_fn *done, void *arg, struct err *e);
    // Stops watches and cancels what is under way (no done calls after it). The local backend ends its
    // agents.
    void (*stop)(struct cluster *c);
    void (*free)(struct cluster *c);
};

struct cluster { // the first member of each implementation's struct
    const struct cluster_ops *ops;
};

#endif
