#ifndef DNS_VALIDATION_H
#define DNS_VALIDATION_H

/*
 * Does the DNS server validate? One that does not never sets the AD bit, so
 * that every TLSA record looks like one of an unsigned zone, and the policy
 * dane would silently be no more than may. Any answer with the bit proves that
 * it does. Where there has been none, the root is asked for its NS records,
 * which are signed for whoever has its key.
 */
enum dns_validation {
  DNS_VALIDATION_UNKNOWN, /* not asked yet, or the root could not be */
  DNS_VALIDATES,
  DNS_VALIDATES_NOT
};

enum dns_validation dns_validation(void);

/*
 * Asks if it is neither known nor being asked. done is called after each
 * answer of the root, perhaps before this returns; it is the same each time.
 */
void dns_validation_ask(void (*done)(void));

#endif
