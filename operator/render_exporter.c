// SPDX-License-Identifier: Apache-2.0
// Replaces members.
#include "operator/render_exporter.h"

// null without any: the image's own command stands.
static json_t *arguments(const struct spec_agent *a)
{
    json_t *list = a->n_args ? json_array() : json_null();
    for (size_t i = 0; list && i < a->n_args; i++) {
        if (json_array_append_new(list, json_string(a->args[i])) == 0)
            continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

// In the host's network the port is the host's.
static json_t *ports(const struct spec_agent *a, enum spec_network network)
{
    return json_pack("[{s:s, s:i, s:o, s:s}]", "name", "http", "containerPort", (int)a->metrics_port,
                     "hostPort", network == SPEC_NETWORK_NODE ? json_integer(a->metrics_port) : json_null(),
                     "protocol", "TCP");
}

// That the port can be connected to is all that every program's metrics need.
static json_t *readiness(const struct spec_agent *a)
{
    if (!a->readiness_path[0])
        return json_pack("{s:{s:s}, s:i, s:i, s:i}", "tcpSocket", "port", "http", "periodSeconds", 2,
                         "timeoutSeconds", 2, "failureThreshold", 3);
    return json_pack("{s:{s:s, s:s, s:s}, s:i, s:i, s:i}", "httpGet", "path", a->readiness_path, "port",
                     "http", "scheme", "HTTP", "periodSeconds", 2, "timeoutSeconds", 2, "failureThreshold",
                     3);
}

json_t *render_exporter(const struct spec_agent *a, enum spec_network network, json_t *container)
{
    if (!container || a->program != SPEC_PROGRAM_EXPORTER)
        return container;
    if (json_object_set_new(container, "args", arguments(a)) == 0 &&
        json_object_set_new(container, "ports", ports(a, network)) == 0 &&
        json_object_set_new(container, "livenessProbe", json_null()) == 0 &&
        json_object_set_new(container, "readinessProbe", readiness(a)) == 0)
        return container;
    json_decref(container);
    return NULL;
}
