// SPDX-License-Identifier: Apache-2.0
// A ProbeFleet from a file: for the render command and for the local backend. The render command itself: file
// in, objects or an error out.
#ifndef KUBECANARY_OPERATOR_OFFLINE_H
#define KUBECANARY_OPERATOR_OFFLINE_H

#include "lib/doc.h"
#include "lib/err.h"
#include "operator/cli.h"

struct offline_fleet {
    char namespace[LIMIT_NAMESPACE + 1]; // "kubecanary" when the file does not say
    char name[LIMIT_FLEET_NAME + 1];
    struct doc *doc;               // owns spec
    const struct doc_node *object; // the whole ProbeFleet
    const struct doc_node *spec;
};

// Reads and checks apiVersion, kind, metadata and that there is a spec; the spec itself is not parsed. Errors
// name the file and the field.
MUST_USE int offline_read(const char *path, struct offline_fleet *ret, struct err *e);
void offline_release(struct offline_fleet *f); // takes a zeroed struct

// `render -f FILE [--nodes FILE]`: prints YAML to stdout. On failure *e has the path of the bad field.
MUST_USE int offline_render(const struct cli *c, struct err *e);

#endif
