// SPDX-License-Identifier: Apache-2.0
// Decoding, and the classes of characters.
#include "lib/utf8.h"

#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

// How many bytes a character has that begins with this one; 0: none does.
static unsigned length_of(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

// Whether byte i (1 to 3) may stand there in a character that begins with `first`.
static bool may_follow(unsigned char first, unsigned i, unsigned char byte)
{
    unsigned low = i > 1 ? 0x80 : first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned high = i > 1 ? 0xbf : first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return byte >= low && byte <= high;
}

unsigned utf8_decode(const char *text, uint32_t *ret)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned n = length_of(p[0]);
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    if (n == 0 || p[0] == '\0')
        return 0;
    for (unsigned i = 1; i < n; i++) {
        if (!may_follow(p[0], i, p[i]))
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    *ret = c;
    return n;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

static bool ends_line(uint32_t c)
{
    return c == 0x2028 || c == 0x2029;
}

void utf8_line(char *text)
{
    char *to = text;
    for (const char *from = text; *from;) {
        uint32_t c;
        unsigned n = utf8_decode(from, &c);
        if (n == 0 || is_control(c) || ends_line(c)) {
            *to++ = n == 0 ? '?' : ' ';
        } else {
            memmove(to, from, n);
            to += n;
        }
        from += MAX(n, 1u);
    }
    *to = '\0';
}

void utf8_cut(char *text)
{
    size_t len = strlen(text), back = 0;
    while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back < len && length_of((unsigned char)text[len - 1 - back]) > back + 1)
        text[len - 1 - back] = '\0';
}

size_t utf8_json(const char **text, char out[static UTF8_JSON_MAX])
{
    uint32_t c;
    const char *from = *text;
    unsigned n = utf8_decode(from, &c);
    *text += MAX(n, 1u);
    if (n == 0) {
        memcpy(out, REPLACEMENT, sizeof(REPLACEMENT) - 1);
        return sizeof(REPLACEMENT) - 1;
    }
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (is_control(c) || ends_line(c) || c == 0xfeff || c == 0xfffe || c == 0xffff)
        return (size_t)snprintf(out, UTF8_JSON_MAX, "\\u%04x", (unsigned)c & 0xffff);
    memcpy(out, from, n);
    return n;
}
