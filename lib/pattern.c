// SPDX-License-Identifier: Apache-2.0
// Follows the set of positions of the text that a piece of the pattern can end at, from the set that it can
// begin at.
#include "lib/pattern.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define WORDS ((PATTERN_TEXT_MAX + 1) / 64)

struct set { // of positions 0 .. PATTERN_TEXT_MAX
    uint64_t words[WORDS];
};

struct piece { // of a pattern: an atom and how often it stands
    const char *atom, *atom_end;
    unsigned min, max;
    const char *next; // where the pattern goes on
};

static bool set_has(const struct set *s, size_t i)
{
    return s->words[i / 64] >> (i % 64) & 1;
}

static void set_add(struct set *s, size_t i)
{
    s->words[i / 64] |= UINT64_C(1) << (i % 64);
}

// Adds b to a; whether a grew.
static bool set_join(struct set *a, const struct set *b)
{
    bool grew = false;
    for (size_t i = 0; i < WORDS; i++) {
        grew |= (b->words[i] & ~a->words[i]) != 0;
        a->words[i] |= b->words[i];
    }
    return grew;
}

static const char *atom_end(const char *p)
{
    if (*p == '[')
        return strchr(p + 2, ']') + 1; // a ']' in front would be a member
    if (*p != '(')
        return p + 1;
    for (p++; *p != ')';)
        p = atom_end(p);
    return p + 1;
}

static unsigned read_number(const char **p)
{
    unsigned n = 0;
    for (; **p >= '0' && **p <= '9'; ++*p)
        n = n * 10 + (unsigned)(**p - '0');
    return n;
}

static struct piece read_piece(const char *p)
{
    struct piece piece = {.atom = p, .atom_end = atom_end(p), .min = 1, .max = 1};
    p = piece.atom_end;
    if (*p == '?' || *p == '*')
        piece.min = 0;
    if (*p == '*' || *p == '+')
        piece.max = UINT_MAX;
    if (*p == '?' || *p == '*' || *p == '+')
        p++;
    if (*p == '{') {
        p++;
        piece.min = piece.max = read_number(&p);
        if (*p == ',') {
            p++;
            piece.max = read_number(&p);
        }
        p++;
    }
    piece.next = p;
    return piece;
}

static bool in_class(const char *p, const char *end, char c)
{
    for (p++, end--; p < end; p++) {
        if (p + 2 < end && p[1] == '-') {
            if (c >= p[0] && c <= p[2])
                return true;
            p += 2;
        } else if (c == *p) {
            return true;
        }
    }
    return false;
}

static struct set follow(const char *p, const char *end, const char *text, const struct set *from);

static struct set follow_atom(const struct piece *piece, const char *text, const struct set *from)
{
    if (*piece->atom == '(')
        return follow(piece->atom + 1, piece->atom_end - 1, text, from);
    struct set to = {0};
    for (size_t i = 0; text[i]; i++) {
        if (!set_has(from, i))
            continue;
        bool yes =
            *piece->atom == '[' ? in_class(piece->atom, piece->atom_end, text[i]) : *piece->atom == text[i];
        if (yes)
            set_add(&to, i + 1);
    }
    return to;
}

static struct set follow_piece(const struct piece *piece, const char *text, const struct set *from)
{
    struct set at = *from;
    for (unsigned i = 0; i < piece->min; i++)
        at = follow_atom(piece, text, &at);
    struct set all = at;
    for (unsigned i = piece->min; i < piece->max; i++) {
        at = follow_atom(piece, text, &at);
        if (!set_join(&all, &at))
            break;
    }
    return all;
}

// Alternatives, each a sequence of pieces.
static struct set follow(const char *p, const char *end, const char *text, const struct set *from)
{
    struct set all = {0}, at = *from;
    while (p < end) {
        if (*p == '|') {
            set_join(&all, &at);
            at = *from;
            p++;
            continue;
        }
        struct piece piece = read_piece(p);
        at = follow_piece(&piece, text, &at);
        p = piece.next;
    }
    set_join(&all, &at);
    return all;
}

bool pattern_match(const char *pattern, const char *text)
{
    size_t len = strlen(pattern), text_len = strlen(text);
    assert(len >= 2 && pattern[0] == '^' && pattern[len - 1] == '$');
    if (text_len > PATTERN_TEXT_MAX)
        return false;
    struct set from = {.words = {1}};
    struct set to = follow(pattern + 1, pattern + len - 1, text, &from);
    return set_has(&to, text_len);
}
