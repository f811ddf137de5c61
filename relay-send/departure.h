#ifndef DEPARTURE_H
#define DEPARTURE_H

#include "message.h"
#include "route.h"

struct lane;
struct worker;

/*
 * The address that mail leaves from: control/sources applied to lanes. Mail
 * whose source is not there, or has no address of a family that its hosts
 * have, waits for an operator; it never leaves from another address.
 */

/*
 * Can this recipient, which stands in the lane and has a route, leave on a new
 * connection? False: that is dealt with, and the recipient may be elsewhere.
 */
bool departure_possible(struct lane *lane, struct rcpt *r);

/* The first host of the route that can be reached from the lane's source; NULL: none. */
const struct route_host *departure_first(const struct lane *lane, const struct route *route);

/* The lane's source is none, or is in control/sources. */
bool departure_known(const struct lane *lane);

/* The helo name and addresses of a new connection, before its hosts are filled in. */
void departure_open(struct worker *w);

/* After HUP: connections from where a source no longer is are kept for nobody. */
void departure_settings_changed(const struct settings *old);

#endif
