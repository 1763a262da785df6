// SPDX-License-Identifier: Apache-2.0
// Writes scalars that every YAML reader takes for the same text: plain where that is safe, otherwise as a
// JSON string.
#ifndef KUBECANARY_LIB_YAMLOUT_H
#define KUBECANARY_LIB_YAMLOUT_H

#include "lib/buf.h"

// Appends text as a string scalar, fit for block and flow style.
void yamlout_text(struct buf *out, const char *text);
// Whether YAML 1.1 (what Kubernetes' readers follow) takes plain text for something else than a string: null,
// a bool, a number.
bool yamlout_resolves(const char *text);

#endif
