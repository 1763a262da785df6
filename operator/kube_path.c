// SPDX-License-Identifier: Apache-2.0
// Builds API paths.
#include "operator/kube_path.h"

#include <string.h>

void kube_path_escape(struct buf *b, const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~";
    bool dots = strspn(text, ".") == strlen(text); // "." and ".." would be resolved on the way
    for (const char *p = text; *p; p++) {
        if (strchr(unreserved, *p) || (*p == '.' && !dots))
            buf_char(b, *p);
        else
            buf_fmt(b, "%%%02X", (unsigned char)*p);
    }
}

void kube_path_collection(struct buf *b, enum store_kind kind, const char *namespace)
{
    const struct store_kind_info *info = &store_kinds[kind];
    buf_str(b, strchr(info->api_version, '/') ? "/apis/" : "/api/");
    buf_str(b, info->api_version);
    if (info->namespaced && namespace[0]) {
        buf_str(b, "/namespaces/");
        kube_path_escape(b, namespace);
    }
    buf_char(b, '/');
    buf_str(b, info->plural);
}

void kube_path_object(struct buf *b, enum store_kind kind, const char *namespace, const char *name)
{
    kube_path_collection(b, kind, namespace);
    buf_char(b, '/');
    kube_path_escape(b, name);
}

void kube_path_query(struct buf *b, bool *first, const char *key, const char *value)
{
    buf_char(b, *first ? '?' : '&');
    *first = false;
    buf_str(b, key);
    buf_char(b, '=');
    kube_path_escape(b, value);
}
