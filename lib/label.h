// SPDX-License-Identifier: Apache-2.0
// The syntax of Kubernetes' label keys and values ("Labels and Selectors" in its documentation; the API
// server's validation is apimachinery's IsQualifiedName and IsValidLabelValue). Pure; knows no meaning of any
// key.
#ifndef KUBECANARY_LIB_LABEL_H
#define KUBECANARY_LIB_LABEL_H

#include "lib/base.h"

// "name" or "prefix/name": the prefix a DNS subdomain of at most 253 bytes in lower case, the name at most 63
// of letters, digits, '-', '_' and '.', with a letter or digit at both ends.
bool label_key_valid(const char *key);
// Empty, or what a key's name may be.
bool label_value_valid(const char *value);

#endif
