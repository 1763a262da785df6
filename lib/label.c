// SPDX-License-Identifier: Apache-2.0
// Two patterns and their lengths.
#include "lib/label.h"

#include <string.h>

#include "lib/limits.h"
#include "lib/pattern.h"

#define RE_PREFIX "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
#define RE_WORD "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"

static bool is_word(const char *text)
{
    return strlen(text) <= LIMIT_LABEL && pattern_match(RE_WORD, text);
}

bool label_key_valid(const char *key)
{
    char prefix[LIMIT_NAME + 1];
    const char *slash = strchr(key, '/');
    size_t len = slash ? (size_t)(slash - key) : 0;
    if (!slash)
        return is_word(key);
    if (len > LIMIT_NAME)
        return false;
    memcpy(prefix, key, len);
    prefix[len] = '\0';
    return pattern_match(RE_PREFIX, prefix) && is_word(slash + 1);
}

bool label_value_valid(const char *value)
{
    return value[0] == '\0' || is_word(value);
}
