// SPDX-License-Identifier: Apache-2.0
// The version that was built, and from which commit.
#ifndef KUBECANARY_LIB_VERSION_H
#define KUBECANARY_LIB_VERSION_H

extern const char version_text[];     // "0.1.0"
extern const char version_revision[]; // the commit's first twelve digits, or "unknown"
extern const char version_compiler[]; // "gcc 12.2.0"

#endif
