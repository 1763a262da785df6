// SPDX-License-Identifier: Apache-2.0
// Pieces that every rendered object has: names, labels, metadata. Pure; NULL means no memory. What an object
// does not have is null in its pieces until render.c drops it: json_pack's own way ("s*", "o*") would also
// leave out what memory ran out for.
#ifndef KUBECANARY_OPERATOR_RENDER_PART_H
#define KUBECANARY_OPERATOR_RENDER_PART_H

#include "operator/agent_sets.h"
#include "operator/render.h"

#define RENDER_LABEL_FLEET "kubecanary.io/fleet"
#define RENDER_LABEL_NETWORK "kubecanary.io/network"
#define RENDER_LABEL_OVERRIDE "kubecanary.io/override"
#define RENDER_ANNOTATION_ALLOCATOR "kubecanary.io/allocator" // render_allocator_settings

// A child's name: "<fleet><suffix>".
const char *render_part_name(const struct render_input *in, const char *suffix,
                             char out[static LIMIT_NAME + 1]);
// The only key of a ConfigMap, which is the name of its file in the agents' directory too.
#define RENDER_PART_AGENT_KEY "agent.yaml" // of "<fleet>-agent"
// Of the ConfigMap with the slice number `slice`: suffix "-peers-07", key "peers-07.yaml".
void render_part_slice(unsigned slice, char suffix[static 24], char key[static 24]);
// Labels of a child; with its set's network ("Pod") and override where it belongs to one, else NULL.
// `version`: with app.kubernetes.io/version, which pod templates do not have: a new operator alone restarts
// nobody.
json_t *render_part_labels(const struct render_input *in, const struct agent_set *set, bool version);
// metadata: name, namespace, labels, owner reference.
json_t *render_part_metadata(const struct render_input *in, const char *name, const struct agent_set *set);
// {matchLabels: {fleet, network, override}}; set NULL: of all sets. That of the other nodes' set names no
// override: it matches the other sets' Pods too, which the DaemonSet controller leaves alone, as they are
// another's; a selector cannot be changed where there is one already.
json_t *render_part_selector(const struct render_input *in, const struct agent_set *set);

#endif
