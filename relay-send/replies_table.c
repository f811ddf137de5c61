/*
 * The table behind control/replies (replies.h): texts that providers and
 * programs document or are seen to send. Only what speaks of us is here, of our
 * address, our connections, our speed. What speaks of a message, its sender or
 * its recipient is "none": one tenant's bad mail must not slow the others down.
 */
#include "replies.h"

const char *const replies_built_in[] = {
  /* About the recipient or the sender, though the words sound like ours: first, so they win. */
  "none       *  *  4?? 4.2.1 *",                          /* Gmail: this user receives too quickly */
  "none       *  *  ??? ?.2.*",                            /* RFC 3463 x.2.x: the mailbox */
  "none       *  *  ??? ?.1.1 *",                          /* x.1.1 to x.1.3: the address */
  "none       *  *  ??? ?.1.2 *",
  "none       *  *  ??? ?.1.3 *",
  "none       *  *  ??? ?.1.10 *",
  "none       *  *  *greylist*",
  "none       *  *  *graylist*",
  "none       *  *  *grey-list*",
  "none       *  *  *grey list*",
  "none       *  *  *mailbox*receiv*too m*",               /* "mailbox received too much email" */
  "none       *  *  *recipient*exceeded*",
  "none       *  *  *user*receiving mail*",
  "none       *  *  *too many recipients*",
  "none       *  *  *reputation of the sending domain*",   /* Gmail: the tenant's own name */
  "none       *  *  *unsolicited mail*from your ??? domain*",  /* SPF */
  "none       *  *  *unsolicited mail*from your ???? domain*", /* DKIM */
  "none       *  *  *unsolicited mail*your url*",
  "none       *  *  *sender*domain*block*list*",           /* DBL, SURBL, URIBL */
  "none       *  *  *blocked using*dbl.spamhaus.org*",
  "none       *  *  *surbl*",
  "none       *  *  *uribl*",
  "none       *  *  *helo command rejected*",
  "none       data,dot  *  *spam*content*",

  /* Microsoft 365 and Outlook.com */
  "ceiling    *  *  4?? 4.7.652 *",
  "ceiling    *  *  4?? 4.3.2 *concurrent connections*",
  "reputation *  *  4?? 4.7.650 *",                        /* rate limited due to IP reputation */
  "rate       *  *  4?? 4.7.65? *",
  "rate       *  *  4?? 4.7.5?? *",                        /* server busy: S77714, AS(77719), ... */
  "rate       *  *  421 rp-00? *",                         /* RP-001 to RP-003: rate */
  "rate       *  *  4?? *exceeded*number of messages per *connection*",
  "rate       *  *  4?? *exceed*rate limit*",
  "blocked    *  *  5?? 5.7.511 *banned send*",
  "blocked    *  *  5?? 5.7.606 *banned*",
  "blocked    *  *  5?? 5.7.60[*",
  "blocked    *  *  5?? *banned sending ip*",
  "blocked    *  *  5?? *part of their network is on our block list*", /* S3140, S3150 */
  "blocked    *  *  550 sc-00? *",
  "blocked    *  *  550 dy-00? *",
  "blocked    *  *  550 ou-00? *",

  /* Google */
  "rate       *  *  4?? 4.7.28 *",
  "rate       *  *  4?? *unusual rate of unsolicited mail originating from your ip*",
  "rate       *  *  4?? *mail sent from your ip address has been temporarily rate limited*",
  "blocked    *  *  5?? *unusual rate of unsolicited mail originating from your ip*",
  "rate       *  *  4?? *try again later, closing connection*gsmtp*",
  "reputation *  *  ??? *very low reputation*",
  "blocked    *  *  5?? *low reputation of the sending ip*",
  "reputation *  *  ??? *low reputation of the sending ip*",
  "reputation *  *  ??? *the ip you're using to send mail is not authorized*",

  /* Yahoo, AOL */
  "reputation *  *  4?? *[ts??]*deferred*",                 /* TS01 to TS04 */
  "reputation *  *  4?? *[tss??]*deferred*",
  "reputation *  *  4?? *temporarily deferred due to*user complaints*",
  "reputation *  *  4?? *messages from*temporarily deferred*",
  "reputation *  *  4?? *permanently deferred*",
  "ceiling    *  *  4?? *too many concurrent*",
  "blocked    *  *  553 *[bl??]*",

  /* Apple */
  "rate       *  *  4?? *[hm08]*",
  "reputation *  apple  4?? *[cs01]*",
  "blocked    *  *  5?? *blocked due to*ip*reputation*",
  "blocked    *  apple  5?? *proofpoint*",

  /* Whoever says it: too many connections, before all that only says "too many" */
  "ceiling    *  *  4?? *too many*connections*",
  "ceiling    *  *  5?? *too many*connections*",
  "rate       *  *  4?? *too many new tls sessions*",
  "ceiling    *  *  4?? *too many*sessions*",
  "ceiling    *  *  4?? *too many concurrent*",
  "ceiling    *  *  4?? *too many simultaneous*",
  "ceiling    *  *  4?? *concurrent connection*",
  "ceiling    *  *  4?? *connection limit*",
  "ceiling    *  *  4?? *concurrency limit*",
  "ceiling    *  *  4?? *exceeded*maximum*connections*",
  "ceiling    *  *  4?? *maximum*connections*",

  /* docomo, au, SoftBank and others of Japan */
  "ceiling    *  docomo  421 *connection*",
  "rate       *  docomo  4?? *busy*",
  "rate       *  docomo  450 *too m*",
  "rate       *  au      4?? *too m*",
  "ceiling    banner,connect  au  421 *",
  "rate       *  softbank  4?? *too m*",
  "rate       *  softbank  4?? *(#4.4.5)*",
  "ceiling    banner  softbank  421 *",
  "rate       *  yahoo-japan  4?? *resources temporarily unavailable*",
  "rate       *  yahoo-japan  4?? *try again*",

  /* Comcast */
  "rate       *  *  421 *rl00000?*",
  "blocked    *  *  55? *bl00000?*",
  "blocked    *  *  55? *bl0000?0*",

  /* GMX, WEB.DE, T-Online, Orange, mail.ru, Yandex, QQ, NetEase */
  "rate       *  gmx  4?? *try again later*",
  "blocked    banner,helo  gmx  554 *",
  "blocked    banner,helo,mail  t-online  554 *ip=*",
  "ceiling    *  orange  421 *ofr_10?*",
  "rate       *  orange  4?? *ofr*004*",
  "blocked    *  orange  5?? *ofr_506*",
  "rate       *  mail.ru  4?? *too many messages*",
  "rate       *  mail.ru  4?? *limit*exceed*",
  "rate       *  yandex  4?? *too many*",
  "ceiling    *  qq  4?? *connection*frequency*limit*",
  "rate       *  qq  4?? *frequency*limit*",
  "rate       *  netease  4?? *too many*",
  "rate       *  netease  4?? *mi:cel*",
  "rate       *  netease  4?? *mi:dmc*",

  /* Filtering services and appliances */
  "rate       *  *  4?? *rate control*",                   /* Barracuda */
  "rate       *  *  4?? *throttl*",
  "reputation *  *  4?? *ip temporarily blocked*",
  "reputation *  *  4?? *temporarily blocked*ip*",
  "reputation *  *  4?? *ip*temporarily blacklisted*",     /* Mimecast: 451 IP temporarily blacklisted */
  "reputation *  *  4?? *sender ip*reputation*",
  "reputation *  *  4?? *poor reputation*",
  "blocked    *  *  5?? *ipcheck.proofpoint.com*",
  "blocked    *  *  5?? *poor ip reputation*",
  "blocked    connect,banner,helo,mail,rcpt  *  5?? *poor reputation*",
  "blocked    banner,helo  *  5?? *reputation*",           /* SenderBase, IronPort */

  /* Postfix: anvil and its kin */
  "rate       *  *  4?? *connection rate*",
  "rate       *  *  4?? *too much mail from *",
  "rate       *  *  4?? *too many messages*",
  "rate       *  *  4?? *too many mails*",
  "rate       *  *  4?? *too many emails*",
  "rate       *  *  4?? *too many requests*",
  "none       *  *  4?? *too many errors*",

  /* Exim, sendmail, and whoever writes alike */
  "rate       *  *  4?? *ratelimit*",
  "rate       *  *  4?? *rate limit*",
  "rate       *  *  4?? *rate-limit*",
  "rate       *  *  4?? *sending rate*",
  "rate       *  *  4?? *mail rate*",
  "rate       *  *  4?? *too fast*",
  "rate       *  *  4?? *too quickly*",
  "rate       *  *  4?? *slow down*",
  "rate       *  *  4?? *excessive*rate*",
  "rate       *  *  4?? *rate*exceed*",
  "rate       *  *  4?? *exceed*rate*",
  "rate       *  *  5?? *rate limit exceeded*",

  /* Block lists: the verdict is about our address */
  "blocked    *  *  5?? *blocked using *",
  "blocked    *  *  5?? *client host*blocked*",
  "blocked    *  *  5?? *listed *spamhaus*",
  "blocked    *  *  5?? *spamhaus.org*",
  "blocked    *  *  5?? *spamcop*",
  "blocked    *  *  5?? *barracudacentral*",
  "blocked    *  *  5?? *your ip*block*list*",
  "blocked    *  *  5?? *your ip*blacklist*",
  "blocked    *  *  5?? *your ip*blocked*",
  "blocked    *  *  5?? *ip address*blacklist*",
  "blocked    *  *  5?? *ip address*blocklist*",
  "blocked    *  *  5?? *ip address*block list*",
  "blocked    *  *  5?? *ip address*is blocked*",
  "blocked    *  *  5?? *ip*is blacklisted*",
  /* at MAIL these words may be about the sender */
  "blocked    connect,banner,helo  *  5?? *blacklist*",
  "blocked    connect,banner,helo  *  5?? *blocklist*",
  "blocked    connect,banner,helo  *  5?? *block list*",
  "blocked    connect,banner,helo  *  5?? *blocked*",
  "reputation *  *  4?? *your ip*block*",
  "reputation *  *  4?? *blacklisted*",
  "reputation *  *  4?? *blocked using *",
  "reputation connect,banner,helo  *  4?? *blocked*",
  NULL,
};
