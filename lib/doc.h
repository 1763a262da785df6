// SPDX-License-Identifier: Apache-2.0
// A parsed document (YAML, and JSON as its subset) as a tree of text scalars, maps and sequences with the
// place of each node. Types are decided by whoever reads a field, never guessed here: `1.10` and `no` are
// text. Aliases, anchors, merges, tags, duplicate keys and several documents in one text are refused. Bounded
// by LIMIT_DOC_*. The tree owns copies of all text.
#ifndef KUBECANARY_LIB_DOC_H
#define KUBECANARY_LIB_DOC_H

#include "lib/base.h"
#include "lib/err.h"

enum doc_kind { DOC_SCALAR, DOC_MAP, DOC_SEQ };

struct doc_node {
    enum doc_kind kind;
    bool quoted;            // scalar: was quoted, or a JSON string: never null, bool or number
    unsigned line;          // 1-based; 0 if the source has no lines (JSON from the API)
    unsigned count;         // map: pairs, seq: items
    const char *key;        // this node's key in the map it is in; NULL in a seq and at the root
    const char *text;       // scalar: NUL-terminated text; "" otherwise
    struct doc_node *first; // map, seq: first child, in the order of the source
    struct doc_node *next;  // next sibling
    struct doc_node *last;  // doc's own, for appending
};

struct doc; // owns the nodes

// Parses text[len]. Errors: EINVAL with "line L: ..." as message; E2BIG over a limit; ENOMEM. *ret: free with
// doc_free.
MUST_USE int doc_parse(const char *text, size_t len, struct doc **ret, struct err *e);
void doc_free(struct doc *d); // takes NULL
void doc_cleanup(struct doc **d);
#define CLEANUP_DOC CLEANUP(doc_cleanup)
const struct doc_node *doc_root(const struct doc *d); // NULL for an empty document

// Building a tree by hand (the operator makes one from the API's JSON). Text is copied. NULL: out of memory
// or over a limit.
struct doc *doc_new(void);
struct doc_node *doc_add(struct doc *d, struct doc_node *parent, const char *key, enum doc_kind kind,
                         const char *text, bool quoted);

// The value of a key, NULL if absent or n is NULL or no map.
const struct doc_node *doc_get(const struct doc_node *n, const char *key);
// A plain `null`, `~` or empty scalar.
bool doc_is_null(const struct doc_node *n);

#endif
