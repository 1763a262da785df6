// SPDX-License-Identifier: Apache-2.0
// Who is let in to the HTTP server: accepts connections, hands them on, and knows those that are there. When
// all places are taken, one gives way to who comes next by the rule of lib/give_way: idle is one that waits
// for a whole request, but not in its first LIMIT_SERVE_FRESH_NS; over its time one that has been answered
// for LIMIT_SERVE_IDLE_S without a pause. Where nobody gives way, who comes waits if its address has no place
// yet, and is closed otherwise. An address that has LIMIT_SERVE_PER_IP places gets no more: one of its own
// gives way, and there one that has just come is idle, too, or who comes next is closed.
#ifndef KUBECANARY_LIB_SERVE_DOOR_H
#define KUBECANARY_LIB_SERVE_DOOR_H

#include <sys/socket.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

struct serve_door;
struct serve_place; // of one connection

struct serve_door_fns {
    // Takes the descriptor over, in any case; serve_door_enter says that the connection is there. The next
    // `move` is its first.
    void (*take)(int fd, const struct sockaddr *from, socklen_t len, void *arg);
    // Lets all connections move: one that was shut down leaves now.
    void (*move)(void *arg);
};

// listener: listening, not blocking; taken over on success. NULL on failure.
struct serve_door *serve_door_new(struct loop *l, int listener, const struct serve_door_fns *fns, void *arg,
                                  struct err *e);
// Takes NULL. No connection may be left.
void serve_door_free(struct serve_door *d);

// A connection is there, of a TCP peer. NULL: there is no place.
struct serve_place *serve_door_enter(struct serve_door *d, int fd, const struct sockaddr *from);
size_t serve_door_index(const struct serve_door *d, const struct serve_place *p); // < LIMIT_SERVE_CONNECTIONS
const struct addr *serve_door_from(const struct serve_place *p);                  // until it leaves
void serve_door_leave(struct serve_place *p);                                     // takes NULL
// Whether a request of its is being answered.
void serve_door_answering(struct serve_door *d, struct serve_place *p, bool answering); // takes p NULL
// After connections have moved, and outside of what moves them: who is not being answered now has nothing to
// do, and who waits at the door comes in, if that can be. move may call it, too.
void serve_door_moved(struct serve_door *d);

#endif
