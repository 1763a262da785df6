// SPDX-License-Identifier: Apache-2.0
// Paths of the Kubernetes API (Kubernetes documentation, "API Concepts", "Resource URIs"). Every part that is
// not ours is %-encoded: no name can leave its segment. Pure.
#ifndef KUBECANARY_OPERATOR_KUBE_PATH_H
#define KUBECANARY_OPERATOR_KUBE_PATH_H

#include "lib/buf.h"
#include "operator/store.h"

// "/api/v1/namespaces/NS/pods", "/apis/apps/v1/daemonsets" (namespace "": all, or a kind without namespaces).
void kube_path_collection(struct buf *b, enum store_kind kind, const char *namespace);
void kube_path_object(struct buf *b, enum store_kind kind, const char *namespace, const char *name);
// Text as one segment or query value: all but unreserved characters (RFC 3986 2.3) as %XX; the segments "."
// and ".." too.
void kube_path_escape(struct buf *b, const char *text);
// Appends "?key=value" or "&key=value", the value escaped. first is set to false.
void kube_path_query(struct buf *b, bool *first, const char *key, const char *value);

#endif
