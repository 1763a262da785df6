// SPDX-License-Identifier: Apache-2.0
// GEP-2257 durations to nanoseconds and back.
#include "lib/duration.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_DIGITS 5

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"h", 3600 * NS_PER_S},
    {"m", 60 * NS_PER_S},
    {"s", NS_PER_S},
    {"ms", NS_PER_MS},
};

// Index of the unit whose name is the len bytes at text, ARRAY_LEN(units) if there is none.
static size_t find_unit(const char *text, size_t len)
{
    size_t i = 0;
    while (i < ARRAY_LEN(units) && (strlen(units[i].name) != len || memcmp(units[i].name, text, len) != 0))
        i++;
    return i;
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    size_t next = 0; // units before this one are used up
    if (text[0] == '\0')
        return -EINVAL;
    for (const char *p = text; *p;) {
        size_t digits = strspn(p, "0123456789");
        size_t letters = strspn(p + digits, "hms");
        size_t unit = find_unit(p + digits, letters);
        if (digits < 1 || digits > MAX_DIGITS || unit == ARRAY_LEN(units) || unit < next)
            return -EINVAL;
        uint64_t value = 0;
        for (size_t i = 0; i < digits; i++)
            value = value * 10 + (uint64_t)(p[i] - '0');
        ns += value * units[unit].ns;
        next = unit + 1;
        p += digits + letters;
    }
    *ret_ns = ns;
    return 0;
}

const char *duration_text(uint64_t ns, char out[static DURATION_TEXT_MAX])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t value = ns / units[i].ns;
        ns %= units[i].ns;
        if (value == 0)
            continue;
        int n =
            snprintf(out + len, DURATION_TEXT_MAX - len, "%llu%s", (unsigned long long)value, units[i].name);
        len = MIN(len + (size_t)n, (size_t)DURATION_TEXT_MAX - 1);
    }
    if (len == 0)
        snprintf(out, DURATION_TEXT_MAX, "0s");
    return out;
}
