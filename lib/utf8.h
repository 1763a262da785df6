// SPDX-License-Identifier: Apache-2.0
// UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) in texts that came from elsewhere:
// making one line of it for people and logs, and strings of JSON that YAML reads as the same text. All texts
// are NUL-terminated.
#ifndef KUBECANARY_LIB_UTF8_H
#define KUBECANARY_LIB_UTF8_H

#include "lib/base.h"

// The bytes (1 to 4) of the character that text begins with, and the character; 0: it begins with none (or is
// at its end).
unsigned utf8_decode(const char *text, uint32_t *ret);

// Makes one line of valid UTF-8 of a text, in place: control characters and what ends a line (Unicode 5.8)
// become a space, bytes that are no character become '?'. It never grows, and "" only if it was.
void utf8_line(char *text);
// Drops the begin of a character at the end of a text that was cut by bytes.
void utf8_cut(char *text);

// Writes the next character of *text as it stands in a JSON string, and moves *text behind it; returns how
// many bytes that took. Escaped are, beside what JSON demands, the characters that YAML does not take as they
// are (YAML 1.1 5.1 and 5.4, and libyaml): DEL, U+0080 to U+009F, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF. A
// byte that is no character becomes U+FFFD. *text is not at its end.
#define UTF8_JSON_MAX 7
size_t utf8_json(const char **text, char out[static UTF8_JSON_MAX]);

#endif
