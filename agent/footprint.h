// SPDX-License-Identifier: Apache-2.0
// What of the program's own file is mapped into its memory. A page of code or constants is there from its
// first use on, with its neighbours, 64 KiB or more at a time, though most of them ran once at the start. The
// linker has put those together (tools/order/script); this lets go of them. Nothing is lost: whoever needs
// one again finds it in the page cache, a minor fault later.
#ifndef KUBECANARY_AGENT_FOOTPRINT_H
#define KUBECANARY_AGENT_FOOTPRINT_H

#include "lib/base.h"

// False where the program was not linked so: there is nothing to trim, and there will not be.
bool footprint_known(void);
// Unmaps what does not run all the time: to be called when the start is over, and again when something rare
// has run. One or two system calls; what runs all the time stays mapped.
void footprint_trim(void);

#endif
