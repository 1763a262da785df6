// SPDX-License-Identifier: Apache-2.0
// What a handler answers (struct serve_response) as libmicrohttpd sends it: with a body, or piece by piece
// from a stream. A stream leaves its response to the next one of its place, where the library can send one
// twice.
#ifndef KUBECANARY_LIB_SERVE_ANSWER_H
#define KUBECANARY_LIB_SERVE_ANSWER_H

#include <microhttpd.h>

#include "lib/serve.h"

struct serve_answer {        // the answers of one place that are read piece by piece; zero: none yet
    struct serve_response r; // the last that began here
    bool under_way;          // r.done is due
    int fd;                  // of its connection
    bool corked;
    struct MHD_Response *kept; // with r's head, for the next answer like it; NULL: none
};

// With the body, which it takes over in any case. last: the connection ends with it.
enum MHD_Result serve_answer_body(struct MHD_Connection *c, const struct serve_response *r, bool last);
// With r's status and headers, and without a length, as the answer to HEAD; the connection ends with it.
enum MHD_Result serve_answer_head(struct MHD_Connection *c, const struct serve_response *r);
// With r's stream, of which serve_answer_end is due in any case. chunked: the request is of HTTP/1.1; the
// answer to any other ends with the connection, whose descriptor fd is.
enum MHD_Result serve_answer_stream(struct serve_answer *a, struct MHD_Connection *c, int fd,
                                    const struct serve_response *r, bool chunked);
// The answer is over, for whatever reason; takes one that has no stream under way, and NULL.
void serve_answer_end(struct serve_answer *a);
// When no connection is left.
void serve_answer_release(struct serve_answer *a);

#endif
