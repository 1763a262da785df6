// SPDX-License-Identifier: Apache-2.0
// Names, labels and metadata of rendered objects.
#include "operator/render_part.h"

#include <stdio.h>
#include <string.h>

const char *render_part_name(const struct render_input *in, const char *suffix,
                             char out[static LIMIT_NAME + 1])
{
    snprintf(out, LIMIT_NAME + 1, "%s%s", in->fleet, suffix);
    return out;
}

void render_part_slice(unsigned slice, char suffix[static 24], char key[static 24])
{
    snprintf(suffix, 24, "-peers-%02u", slice);
    snprintf(key, 24, "peers-%02u.yaml", slice);
}

static const char *network_of(const struct agent_set *set)
{
    return set ? spec_network_name(set->network) : NULL;
}

static const char *override_of(const struct agent_set *set)
{
    return set && set->override[0] ? set->override : NULL;
}

json_t *render_part_labels(const struct render_input *in, const struct agent_set *set, bool version)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s, s:s?, s:s?}", "app.kubernetes.io/name",
                     "kubecanary-agent", "app.kubernetes.io/instance", in->fleet,
                     "app.kubernetes.io/component", "agent", "app.kubernetes.io/part-of", "kubecanary",
                     "app.kubernetes.io/managed-by", "kubecanary-operator", "app.kubernetes.io/version",
                     version ? in->config->version : NULL, RENDER_LABEL_FLEET, in->fleet,
                     RENDER_LABEL_NETWORK, network_of(set), RENDER_LABEL_OVERRIDE, override_of(set));
}

static json_t *owner_references(const struct render_input *in)
{
    return json_pack("[{s:s, s:s, s:s, s:s, s:b, s:b}]", "apiVersion", store_kinds[STORE_FLEET].api_version,
                     "kind", store_kinds[STORE_FLEET].kind, "name", in->fleet, "uid", in->uid, "controller",
                     1, "blockOwnerDeletion", 1);
}

json_t *render_part_metadata(const struct render_input *in, const char *name, const struct agent_set *set)
{
    json_t *meta = json_pack("{s:s, s:s, s:o}", "name", name, "namespace", in->namespace, "labels",
                             render_part_labels(in, set, true));
    if (meta && in->uid[0] && json_object_set_new(meta, "ownerReferences", owner_references(in)) < 0) {
        json_decref(meta);
        return NULL;
    }
    return meta;
}

json_t *render_part_selector(const struct render_input *in, const struct agent_set *set)
{
    return json_pack("{s:{s:s, s:s?, s:s?}}", "matchLabels", RENDER_LABEL_FLEET, in->fleet,
                     RENDER_LABEL_NETWORK, network_of(set), RENDER_LABEL_OVERRIDE, override_of(set));
}
