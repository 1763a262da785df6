// SPDX-License-Identifier: Apache-2.0
// One walk over the Pods.
#include "operator/trouble.h"

#include <string.h>

#include "operator/members.h"

struct search {
    const struct store *store;
    const char *namespace;
    const char *fleet;
    struct trouble *ret;
};

static bool one_of(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

static int trouble_of_pod(const void *object, void *arg)
{
    static const char *const image[] = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull",
                                        "InvalidImageName"};
    static const char *const config[] = {"CreateContainerConfigError", "CreateContainerError",
                                         "RunContainerError"};
    const struct search *c = arg;
    const struct store_pod *pod = object;
    struct trouble *t = c->ret;
    if (pod->meta.deleting || !members_is_member(c->store, c->namespace, c->fleet, pod))
        return 0;
    bool is_image = one_of(pod->waiting_reason, image, ARRAY_LEN(image));
    bool is_config = one_of(pod->waiting_reason, config, ARRAY_LEN(config));
    bool is_crash = strcmp(pod->waiting_reason, "CrashLoopBackOff") == 0;
    bool is_place = strcmp(pod->waiting_reason, "Unschedulable") == 0;
    if (!is_image && !is_config && !is_crash && !is_place)
        return 0;
    enum trouble_cause cause = is_image    ? TROUBLE_IMAGE
                               : is_config ? TROUBLE_CONFIG
                               : is_crash  ? TROUBLE_CRASH
                                           : TROUBLE_PLACE;
    t->pods++;
    if (t->pods > 1 && (cause > t->cause || (cause == t->cause && strcmp(t->node, pod->node) < 0)))
        return 0;
    t->cause = cause;
    memcpy(t->node, pod->node, sizeof(t->node));
    memcpy(t->network, pod->network, sizeof(t->network));
    memcpy(t->reason, pod->waiting_reason, sizeof(t->reason));
    memcpy(t->message, pod->waiting_message, sizeof(t->message));
    return 0;
}

void trouble_find(const struct store *s, const char *namespace, const char *fleet, struct trouble *ret)
{
    struct search c = {s, namespace, fleet, ret};
    *ret = (struct trouble){0};
    store_each(s, STORE_POD, trouble_of_pod, &c);
}
