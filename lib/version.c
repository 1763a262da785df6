// SPDX-License-Identifier: Apache-2.0
// The one object that knows the commit; the Makefile passes it in.
#include "lib/version.h"

const char version_text[] = KUBECANARY_VERSION;
const char version_revision[] = KUBECANARY_REVISION;
const char version_compiler[] = "gcc " __VERSION__;
