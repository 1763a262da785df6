// SPDX-License-Identifier: Apache-2.0
// The table's pattern has been matched: a scheme, a host of letters or an address in brackets, perhaps a
// port.
#include "lib/spec_http.h"

#include <errno.h>
#include <string.h>

#include "lib/pem.h"

#define STATUS_MIN 100

struct url {
    char host[LIMIT_NAME + 1]; // without brackets
    bool bracketed;
    char port[6]; // "": none
};

static int url_split(const char *text, struct url *ret)
{
    struct url u = {0};
    const char *host = strstr(text, "://");
    if (!host)
        return -EINVAL;
    host += 3;
    u.bracketed = *host == '[';
    host += u.bracketed;
    size_t len = strcspn(host, u.bracketed ? "]" : ":/?");
    if (len == 0 || len >= sizeof(u.host))
        return -EINVAL;
    memcpy(u.host, host, len);
    host += len + u.bracketed;
    if (*host == ':') {
        size_t digits = strcspn(host + 1, "/?");
        if (digits >= sizeof(u.port))
            return -EINVAL;
        memcpy(u.port, host + 1, digits);
    }
    *ret = u;
    return 0;
}

static int check_url(const struct spec_target *t, struct err *e)
{
    struct url u;
    struct addr a;
    uint64_t port;
    if (url_split(t->url, &u) < 0)
        err_set(e, EINVAL, "has no host that can be");
    else if (u.bracketed && (addr_parse(u.host, &a) < 0 || a.family != FAMILY_IPV6))
        err_set(e, EINVAL, "[%s] is no IPv6 address", u.host);
    else if (u.port[0] && base_parse_u64(u.port, 1, 65535, &port) < 0)
        err_set(e, EINVAL, "%s is no port", u.port);
    else
        return 0;
    return err_at(e, "url");
}

unsigned spec_http_families(const struct spec_target *t)
{
    struct url u;
    struct addr a;
    if (t->ip_family != SPEC_IP_FAMILY_UNSET)
        return FAMILY_BIT(t->ip_family == SPEC_IP_FAMILY_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4);
    if (url_split(t->url, &u) == 0 && addr_parse(u.host, &a) == 0)
        return FAMILY_BIT(a.family);
    return FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6);
}

static int check_family(const struct spec_target *t, struct err *e)
{
    struct spec_target of_url = *t;
    of_url.ip_family = SPEC_IP_FAMILY_UNSET;
    if (spec_http_families(&of_url) & spec_http_families(t))
        return 0;
    err_set(e, EINVAL, "is not the family of the address in url");
    return err_at(e, "ipFamily");
}

static int check_ca(const struct spec_target *t, struct err *e)
{
    if (!t->ca_bundle)
        return 0;
    int r = t->insecure ? err_set(e, EINVAL, "is of no use with insecureSkipVerify")
                        : pem_check_certificates(t->ca_bundle, e);
    return r < 0 ? err_at(e, "caBundle") : 0;
}

// Without TLS there is no certificate, unless a redirect leads to one.
static int check_plain(const struct spec_target *t, struct err *e)
{
    if (strncmp(t->url, "https:", strlen("https:")) == 0 || t->follow || (!t->insecure && !t->ca_bundle))
        return 0;
    err_set(e, EINVAL, "does nothing with an http URL, unless followRedirects is true");
    return err_at(e, "%s", t->insecure ? "insecureSkipVerify" : "caBundle");
}

int spec_http_check(const struct spec_target *t, struct err *e)
{
    if (check_url(t, e) < 0 || check_family(t, e) < 0 || check_ca(t, e) < 0 || check_plain(t, e) < 0)
        return -e->code;
    // They ascend: the first is the least.
    if (t->expect.n_statuses && t->expect.statuses[0] < STATUS_MIN) {
        err_set(e, EINVAL, "must be at least %d, is %u", STATUS_MIN, t->expect.statuses[0]);
        return err_at(e, "expect.status[0]");
    }
    return 0;
}

int spec_http_check_all(const struct spec *s, struct err *e)
{
    size_t all = 0;
    for (size_t i = 0; i < s->n_targets; i++) {
        all += s->targets[i].ca_bundle ? strlen(s->targets[i].ca_bundle) : 0;
        if (all <= LIMIT_HTTP_CA_ALL)
            continue;
        err_set(e, EINVAL, "the bundles of all targets have more than %zu bytes together", LIMIT_HTTP_CA_ALL);
        return err_at(e, "targets[%zu].caBundle", i);
    }
    return 0;
}

bool spec_http_same(const struct spec_target *a, const struct spec_target *b)
{
    return strcmp(a->url, b->url) == 0 && a->method == b->method && a->ip_family == b->ip_family &&
           a->follow == b->follow;
}

uint64_t spec_http_under_way(const struct spec *s, uint64_t *ret_mean)
{
    uint64_t most = 0, mean = 0; // mean: thousandths
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct spec_target *t = &s->targets[i];
        uint64_t lasts_ns = t->timeout_ns + spec_grace_ns(t->interval_ns, t->timeout_ns);
        if (t->type != SPEC_HTTP)
            continue;
        most += (lasts_ns + t->interval_ns - 1) / t->interval_ns;
        mean += lasts_ns * 1000 / t->interval_ns;
    }
    *ret_mean = (mean + 999) / 1000;
    return most;
}
