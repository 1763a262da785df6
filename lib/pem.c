// SPDX-License-Identifier: Apache-2.0
// Line by line: outside of a block, and inside of one, whose base64 is decoded into a buffer.
#include "lib/pem.h"

#include <errno.h>
#include <string.h>

#define BEGIN "-----BEGIN "
#define END "-----END "
#define LABEL "CERTIFICATE-----"

#define DER_SEQUENCE 0x30
#define DER_BIT_STRING 0x03

struct block {     // the base64 so far
    unsigned line; // where it begins
    uint8_t *der;  // as long as the whole text
    size_t len;
    uint32_t bits;
    unsigned n_bits, padding;
};

// --- DER -----------------------------------------------------------------------------------------

struct span {
    const uint8_t *at, *end;
};

// Takes the element off the front of *s whose tag this must be; *ret: its content.
static bool der_take(struct span *s, uint8_t tag, struct span *ret)
{
    if (s->end - s->at < 2 || s->at[0] != tag)
        return false;
    size_t len = s->at[1];
    const uint8_t *at = s->at + 2;
    if (len > 0x80) { // the number of bytes that follow with the length
        size_t n = len & 0x7f;
        if (n > 4 || (size_t)(s->end - at) < n)
            return false;
        for (len = 0; n > 0; n--)
            len = len << 8 | *at++;
    } else if (len == 0x80) { // no DER
        return false;
    }
    if ((size_t)(s->end - at) < len)
        return false;
    *ret = (struct span){at, at + len};
    s->at = at + len;
    return true;
}

static bool is_certificate(const uint8_t *der, size_t len)
{
    struct span all = {der, der + len}, certificate, part;
    return der_take(&all, DER_SEQUENCE, &certificate) && all.at == all.end &&
           der_take(&certificate, DER_SEQUENCE, &part) &&   // what is signed
           der_take(&certificate, DER_SEQUENCE, &part) &&   // the algorithm
           der_take(&certificate, DER_BIT_STRING, &part) && // the signature
           certificate.at == certificate.end;
}

// --- base64 --------------------------------------------------------------------------------------

static int value_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);
    return at ? (int)(at - digits) : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int decode_line(struct block *b, const char *text, size_t len, unsigned line, struct err *e)
{
    for (size_t i = 0; i < len; i++) {
        int v = value_of(text[i]);
        if (is_blank(text[i]))
            continue;
        if (text[i] == '=') {
            b->padding++;
            continue;
        }
        if (v < 0 || b->padding)
            return err_set(e, EINVAL, "line %u: no base64 in the certificate that begins in line %u", line,
                           b->line);
        b->bits = b->bits << 6 | (uint32_t)v;
        b->n_bits += 6;
        if (b->n_bits >= 8) {
            b->n_bits -= 8;
            b->der[b->len++] = (uint8_t)(b->bits >> b->n_bits);
        }
    }
    return 0;
}

// Bits are left over, and padding says so: 4 bits and two signs, 2 and one, or none of either.
static bool is_complete(const struct block *b)
{
    return b->padding <= 2 && b->n_bits == 2 * b->padding && (b->bits & ((1u << b->n_bits) - 1)) == 0;
}

// --- lines ---------------------------------------------------------------------------------------

static bool begins(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

// A line that begins a block outside of one, or ends the one that is open.
static int read_edge(const char *text, size_t len, const char *word, unsigned line, struct err *e)
{
    size_t head = strlen(word);
    if (!begins(text + head, len - head, LABEL))
        return err_set(e, EINVAL, "line %u: no certificate begins or ends here, but something else", line);
    if (len != head + strlen(LABEL))
        return err_set(e, EINVAL, "line %u: %s%s must have its line to itself", line, word, LABEL);
    return 0;
}

static int end_block(struct block *b, struct err *e)
{
    if (!is_complete(b))
        return err_set(e, EINVAL, "line %u: the certificate that begins here is cut", b->line);
    if (!is_certificate(b->der, b->len))
        return err_set(e, EINVAL, "line %u: what begins here is no certificate (X.509)", b->line);
    *b = (struct block){.der = b->der};
    return 0;
}

// *n: certificates that have ended.
static int read_line(struct block *b, const char *text, size_t len, unsigned line, size_t *n, struct err *e)
{
    int r = 0;
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    if (!b->line && begins(text, len, BEGIN)) {
        r = read_edge(text, len, BEGIN, line, e);
        b->line = line;
    } else if (b->line && begins(text, len, END)) {
        r = read_edge(text, len, END, line, e);
        if (r == 0)
            r = end_block(b, e);
        *n += r == 0;
    } else if (b->line && len == 0) { // OpenSSL takes it for the end of headers, and lines of 64 for granted
        r = err_set(e, EINVAL, "line %u: an empty line in the certificate that begins in line %u", line,
                    b->line);
    } else if (b->line) {
        r = decode_line(b, text, len, line, e);
    }
    return r;
}

int pem_check_certificates(const char *text, struct err *e)
{
    CLEANUP_FREE uint8_t *der = malloc(strlen(text) + 1);
    struct block b = {.der = der};
    size_t n = 0;
    int r = der ? 0 : err_set(e, ENOMEM, "no memory for certificates");
    for (unsigned line = 1; r == 0 && *text; line++) {
        size_t len = strcspn(text, "\n");
        r = read_line(&b, text, len, line, &n, e);
        text += len + (text[len] == '\n');
    }
    if (r == 0 && b.line)
        r = err_set(e, EINVAL, "line %u: the certificate that begins here has no end", b.line);
    if (r == 0 && n == 0)
        r = err_set(e, EINVAL, "has no certificate in PEM");
    return r;
}
