#ifndef TROUBLE_H
#define TROUBLE_H

/*
 * What a site's answers can be about, beside the message: ourselves. Each kind
 * asks for another behaviour (learn.h).
 */
enum trouble {
  TROUBLE_NONE,       /* it is about the message, its sender or recipient, or about nothing */
  TROUBLE_CEILING,    /* too many connections from us */
  TROUBLE_RATE,       /* too many messages in too short a time */
  TROUBLE_REPUTATION, /* our address is thought ill of; a 5xx of it stays the MX's verdict */
  TROUBLE_BLOCKED,    /* the same, but a 5xx of it is a deferral: it says nothing of the message */
  TROUBLE_SLOW,       /* answers take many times what they used to */
  TROUBLE_BROKEN,     /* a connection ended in the middle */
  TROUBLE_DOWN,       /* no connection was had */
  TROUBLE_SOURCE,     /* our own: the source address cannot be used, the site was not asked */
  TROUBLE_KINDS
};

/* "ceiling": the word of control/replies, of the log and of relay-ctl. "" for none. */
const char *trouble_name(enum trouble kind);

#endif
