// SPDX-License-Identifier: Apache-2.0
// JSON values as block-style YAML that a person reads and kubectl applies: keys in the order of the object,
// texts of several lines as literal blocks. Pure.
#ifndef KUBECANARY_OPERATOR_YAMLPRINT_H
#define KUBECANARY_OPERATOR_YAMLPRINT_H

#include <jansson.h>

#include "lib/buf.h"

// Appends one document without a leading `---`.
void yamlprint_document(const json_t *value, struct buf *out);

#endif
