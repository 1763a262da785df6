// SPDX-License-Identifier: Apache-2.0
// What a spec may ask for and most who do so do not mean: nothing is refused, it is said to who looks before
// it is rolled out. Pure; reads the plain struct only.
#ifndef KUBECANARY_LIB_SPEC_NOTE_H
#define KUBECANARY_LIB_SPEC_NOTE_H

#include "lib/buf.h"
#include "lib/spec.h"

// Appends a line for each, "note: ...\n".
void spec_note_all(const struct spec *s, struct buf *out);

#endif
