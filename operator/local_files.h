// SPDX-License-Identifier: Apache-2.0
// Files of the local backend, written so that a reader never sees half of one: single files by rename,
// volumes by the swap of the symbolic link `..data`, as kubelet does it.
#ifndef KUBECANARY_OPERATOR_LOCAL_FILES_H
#define KUBECANARY_OPERATOR_LOCAL_FILES_H

#include <jansson.h>

#include "lib/err.h"

// Makes dir/name hold text, unless it does already. dir must exist.
MUST_USE int local_files_write(const char *dir, const char *name, const char *text, size_t len,
                               struct err *e);
// Makes the volume `dir` (made if absent) hold exactly `files`, an object {name: text}. Nothing is touched
// when it does already.
MUST_USE int local_files_volume(const char *dir, const json_t *files, struct err *e);
// Makes a directory and its parents, mode 0755.
MUST_USE int local_files_mkdir(const char *path, struct err *e);
// Removes the files "A.B<suffix>" of a directory for which `keep` has no key "A/B".
MUST_USE int local_files_keep(const char *dir, const char *suffix, const json_t *keep, struct err *e);
// Removes a file or a tree; what cannot be removed stays.
void local_files_remove(const char *path);

#endif
