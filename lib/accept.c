// SPDX-License-Identifier: Apache-2.0
// Cutting at commas, semicolons and equals signs. A comma in a quoted string, which nothing here asks for,
// cuts too.
#include "lib/accept.h"

#include <ctype.h>

static struct accept_span trim(struct accept_span s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

// Takes what stands before the next `sep` off *rest. False when *rest is used up.
static bool next_part(struct accept_span *rest, char sep, struct accept_span *ret)
{
    if (!rest->at)
        return false;
    const char *end = memchr(rest->at, sep, rest->len);
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    *ret = trim((struct accept_span){rest->at, len});
    if (end)
        *rest = (struct accept_span){end + 1, rest->len - len - 1};
    else
        rest->at = NULL;
    return true;
}

// A qvalue in thousandths; what is no qvalue counts as 1000, as if it were absent.
static int parse_q(struct accept_span s)
{
    if (s.len == 0 || (s.at[0] != '0' && s.at[0] != '1'))
        return 1000;
    int q = (s.at[0] - '0') * 1000;
    if (s.len == 1)
        return q;
    if (s.at[1] != '.')
        return 1000;
    int weight = 100;
    for (size_t i = 2; i < s.len; i++, weight /= 10) {
        if (!isdigit((unsigned char)s.at[i]))
            return 1000;
        q += (s.at[i] - '0') * weight;
    }
    return MIN(q, 1000);
}

struct accept accept_begin(const char *header)
{
    return (struct accept){{header, header ? strlen(header) : 0}};
}

bool accept_is(struct accept_span s, const char *text)
{
    return strlen(text) == s.len && strncasecmp(s.at, text, s.len) == 0;
}

bool accept_next(struct accept *a, struct accept_item *ret)
{
    struct accept_span item, part;
    if (!next_part(&a->rest, ',', &item))
        return false;
    *ret = (struct accept_item){.q = 1000};
    next_part(&item, ';', &ret->value);
    while (next_part(&item, ';', &part)) {
        struct accept_span key, value = part;
        if (!next_part(&value, '=', &key) || !value.at)
            continue;
        value = trim(value);
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = (struct accept_span){value.at + 1, value.len - 2};
        if (accept_is(key, "q"))
            ret->q = parse_q(value);
        else if (accept_is(key, "version"))
            ret->version = value;
    }
    return true;
}

bool accept_gzip(const char *header)
{
    struct accept rest = accept_begin(header);
    struct accept_item w;
    int gzip = -1, identity = -1, any = -1;
    while (accept_next(&rest, &w)) {
        if (accept_is(w.value, "gzip") || accept_is(w.value, "x-gzip"))
            gzip = MAX(gzip, w.q);
        else if (accept_is(w.value, "identity"))
            identity = MAX(identity, w.q);
        else if (accept_is(w.value, "*"))
            any = MAX(any, w.q);
    }
    gzip = gzip >= 0 ? gzip : any;
    return gzip > 0 && gzip >= identity;
}
