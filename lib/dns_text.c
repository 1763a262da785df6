// SPDX-License-Identifier: Apache-2.0
// Text to labels, numbers and addresses.
#include "lib/dns_text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/limits.h"

static_assert(DNS_RECORD_MAX >= LIMIT_DNS_ANSWER && DNS_RECORD_MAX >= 6 + DNS_NAME_MAX, "any record fits");

static const struct {
    const char *name;
    uint16_t number;
} types[] = {
    [DNS_TYPE_UNSET] = {"", 0}, [DNS_A] = {"A", 1},     [DNS_AAAA] = {"AAAA", 28},
    [DNS_CNAME] = {"CNAME", 5}, [DNS_MX] = {"MX", 15},  [DNS_NS] = {"NS", 2},
    [DNS_PTR] = {"PTR", 12},    [DNS_SOA] = {"SOA", 6}, [DNS_SRV] = {"SRV", 33},
    [DNS_TXT] = {"TXT", 16},
};

const char *dns_text_type(enum dns_type t)
{
    return types[t].name;
}

uint16_t dns_text_number(enum dns_type t)
{
    return types[t].number;
}

enum dns_type dns_text_by_number(uint16_t nr)
{
    for (size_t i = 1; i < ARRAY_LEN(types); i++)
        if (types[i].number == nr)
            return (enum dns_type)i;
    return DNS_TYPE_UNSET;
}

const char *dns_text_rcode(unsigned rcode)
{
    static const char *const names[DNS_RCODES] = {"NoError",  "FormErr", "ServFail",
                                                  "NXDomain", "NotImp",  "Refused"};
    return rcode < DNS_RCODES ? names[rcode] : "other";
}

int dns_text_name(const char *text, uint8_t out[static DNS_NAME_MAX])
{
    size_t n = 0;
    if (strcmp(text, ".") == 0)
        text++;
    else if (!*text)
        return -EINVAL;
    while (*text) {
        size_t len = strcspn(text, ".");
        if (len == 0 || len > DNS_LABEL_MAX || n + 1 + len + 1 > DNS_NAME_MAX)
            return -EINVAL;
        out[n++] = (uint8_t)len;
        for (size_t i = 0; i < len; i++) {
            char c = text[i];
            if (c == '\\')
                return -EINVAL;
            out[n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        text += len;
        text += *text == '.';
    }
    out[n++] = 0;
    return (int)n;
}

// "N N N name": so many numbers of 16 bits before a name.
static int numbers_and_name(const char *text, unsigned numbers, uint8_t out[static DNS_RECORD_MAX])
{
    size_t n = 0;
    for (unsigned i = 0; i < numbers; i++) {
        char digits[6];
        uint64_t value;
        size_t len = strcspn(text, " ");
        if (len >= sizeof(digits) || text[len] != ' ')
            return -EINVAL;
        memcpy(digits, text, len);
        digits[len] = '\0';
        if (base_parse_u64(digits, 0, UINT16_MAX, &value) < 0)
            return -EINVAL;
        out[n++] = (uint8_t)(value >> 8);
        out[n++] = (uint8_t)value;
        text += len + 1;
    }
    if (strchr(text, ' '))
        return -EINVAL;
    int len = dns_text_name(text, out + n);
    return len < 0 ? len : (int)n + len;
}

static int address(const char *text, enum family f, uint8_t out[static DNS_RECORD_MAX])
{
    struct addr a;
    if (addr_parse(text, &a) < 0 || a.family != f)
        return -EINVAL;
    int len = f == FAMILY_IPV4 ? 4 : 16;
    memcpy(out, a.bytes, (size_t)len);
    return len;
}

int dns_text_record(enum dns_type t, const char *text, uint8_t out[static DNS_RECORD_MAX])
{
    size_t len = strlen(text);
    switch (t) {
    case DNS_A: return address(text, FAMILY_IPV4, out);
    case DNS_AAAA: return address(text, FAMILY_IPV6, out);
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR:
    case DNS_SOA: return numbers_and_name(text, 0, out);
    case DNS_MX: return numbers_and_name(text, 1, out);
    case DNS_SRV: return numbers_and_name(text, 3, out);
    case DNS_TXT:
        if (len > DNS_RECORD_MAX)
            return -EINVAL;
        memcpy(out, text, len);
        return (int)len;
    case DNS_TYPE_UNSET: break;
    }
    return -EINVAL;
}
