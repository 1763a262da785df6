// SPDX-License-Identifier: Apache-2.0
// The rules by which a plain scalar is a string. Narrow on purpose: in doubt it is quoted.
#include "lib/yamlout.h"

#include <string.h>
#include <strings.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_word(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ""};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

// Decimal integers and floats with sign and exponent, 0x and 0o forms, .inf and .nan.
static bool is_number(const char *text)
{
    const char *p = text + (*text == '+' || *text == '-');
    if (strcasecmp(p, ".inf") == 0 || strcasecmp(p, ".nan") == 0)
        return true;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'o') && p[2])
        return p[2 + strspn(p + 2, DIGITS "abcdefABCDEF")] == '\0';
    size_t whole = strspn(p, DIGITS "_");
    p += whole;
    size_t fraction = 0;
    if (*p == '.') {
        fraction = strspn(p + 1, DIGITS "_");
        p += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        size_t exponent = strspn(p, DIGITS);
        if (exponent == 0)
            return false;
        p += exponent;
    }
    return *p == '\0';
}

bool yamlout_resolves(const char *text)
{
    return is_word(text) || is_number(text);
}

void yamlout_text(struct buf *out, const char *text)
{
    bool starts_well = strchr(LETTERS DIGITS "/", text[0]) != NULL && text[0] != '\0';
    bool safe = starts_well && text[strspn(text, LETTERS DIGITS "/._-+%=")] == '\0' && text[0] != '=';
    if (safe && !yamlout_resolves(text))
        buf_str(out, text);
    else
        buf_json(out, text);
}
