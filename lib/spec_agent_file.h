// SPDX-License-Identifier: Apache-2.0
// agent.yaml: the part of a spec that the agents need, as the operator writes it and an agent reads it. Pure:
// text in, values out, and back. Its fields are described in spec_fields.def (section FILE), under the
// resource's own names.
#ifndef KUBECANARY_LIB_SPEC_AGENT_FILE_H
#define KUBECANARY_LIB_SPEC_AGENT_FILE_H

#include "lib/buf.h"
#include "lib/spec.h"

struct spec_ports { // that all agents of a fleet listen on
    uint16_t http;
    uint16_t tcp;
    uint16_t peer;  // UDP
    uint16_t stamp; // UDP
};
#define SPEC_PORT_HTTP 9961
#define SPEC_PORT_TCP 9962
#define SPEC_PORT_PEER 9963
#define SPEC_PORT_STAMP 9964

struct spec_agent_file {
    uint64_t generation;              // metadata.generation of the fleet; 0 if a person wrote the file
    char fleet[LIMIT_FLEET_NAME + 1]; // "" if a person wrote the file
    bool paused;                      // an agent of a paused fleet keeps its counters and sends nothing
    struct spec_ports ports;
    struct spec spec; // only mesh, targets, metrics are filled
};

// *ret: release with spec_agent_file_release. Errors: EINVAL with a path such as "probes[0].interval";
// ENOMEM. mesh.present says whether there are probes; networks and families have their defaults either way.
MUST_USE int spec_agent_file_parse(const struct doc_node *root, struct spec_agent_file *ret, struct err *e);
void spec_agent_file_release(struct spec_agent_file *f); // takes a zeroed struct
#define CLEANUP_SPEC_AGENT_FILE CLEANUP(spec_agent_file_release)

// The inverse: appends the text of agent.yaml. Same input, same bytes; what is written parses to the same
// values.
void spec_agent_file_render(const struct spec_agent_file *f, struct buf *out);

#endif
