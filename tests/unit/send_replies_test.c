/* control/replies: which real replies are about us, and what a line may say. */
#include "replies.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IP "[192.0.2.25]"

/* Seen in logs or documented by those who send them; lines joined as mxreply.c joins them. */
static const struct {
  enum trouble kind;
  enum stage stage;
  const char *site, *reply;
} real[] = {
  /* Microsoft */
  {TROUBLE_CEILING, STAGE_RCPT, "outlook.com", "451 4.7.652 The mail server " IP " has exceeded the maximum number of connections. (S3115) [AM4.eop-EUR02.prod.protection.outlook.com]"},
  {TROUBLE_CEILING, STAGE_BANNER, "microsoft365", "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel"},
  {TROUBLE_CEILING, STAGE_BANNER, "microsoft365", "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, closing transmission channel. PRX8"},
  {TROUBLE_REPUTATION, STAGE_RCPT, "outlook.com", "451 4.7.650 The mail server " IP " has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775)"},
  {TROUBLE_RATE, STAGE_RCPT, "outlook.com", "451 4.7.651 The mail server " IP " has been temporarily rate limited. (S3114)"},
  {TROUBLE_RATE, STAGE_MAIL, "microsoft365", "451 4.7.500 Server busy. Please try again later from " IP ". (S77719) [AM3]"},
  {TROUBLE_RATE, STAGE_RCPT, "microsoft365", "451 4.7.500 Server busy. Please try again later from " IP ". (AS77712344) [VI1]"},
  {TROUBLE_RATE, STAGE_BANNER, "outlook.com", "421 RP-001 (BAY004-MC1F12) Unfortunately, some messages from 192.0.2.25 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day."},
  {TROUBLE_RATE, STAGE_MAIL, "outlook.com", "421 RP-002 (BAY0-MC4-F4) The mail server IP connecting to Outlook.com server has exceeded the rate limit allowed on this connection"},
  {TROUBLE_RATE, STAGE_BANNER, "outlook.com", "421 RP-003 (COL004) The mail server IP connecting to Outlook.com has exceeded the connection limit allowed"},
  {TROUBLE_BLOCKED, STAGE_MAIL, "outlook.com", "550 5.7.1 Unfortunately, messages from " IP " weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors."},
  {TROUBLE_BLOCKED, STAGE_MAIL, "outlook.com", "550 5.7.1 Unfortunately, messages from " IP " weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150)."},
  {TROUBLE_BLOCKED, STAGE_RCPT, "microsoft365", "550 5.7.511 Access denied, banned sender" IP ". To request removal from this list please forward this message to delist@messaging.microsoft.com. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653. AS(1410)"},
  {TROUBLE_BLOCKED, STAGE_RCPT, "microsoft365", "550 5.7.606 Access denied, banned sending IP " IP ". To request removal from this list please visit https://sender.office.com/ and follow the directions. (AS16012609)"},
  {TROUBLE_BLOCKED, STAGE_MAIL, "microsoft365", "550 5.7.1 Service unavailable, Client host " IP " blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.25 (AS16012611)"},
  {TROUBLE_BLOCKED, STAGE_MAIL, "outlook.com", "550 SC-001 (COL004-MC4F33) Unfortunately, messages from 192.0.2.25 weren't sent. Please contact your Internet service provider since part of their network is on our block list."},
  {TROUBLE_BLOCKED, STAGE_MAIL, "outlook.com", "550 DY-001 (BAY004-MC1F8) Unfortunately, messages from 192.0.2.25 weren't sent."},
  {TROUBLE_NONE, STAGE_RCPT, "microsoft365", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"},
  {TROUBLE_NONE, STAGE_RCPT, "outlook.com", "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)."},
  {TROUBLE_NONE, STAGE_DOT, "outlook.com", "554 5.7.0 < #5.7.0 smtp; 550 5.7.0 message content rejected>"},
  {TROUBLE_NONE, STAGE_DOT, "microsoft365", "550 5.7.509 Access denied, sending domain EXAMPLE.COM does not pass DMARC verification and has a DMARC policy of reject."},
  {TROUBLE_NONE, STAGE_RCPT, "microsoft365", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"},
  {TROUBLE_NONE, STAGE_RCPT, "microsoft365", "452 4.5.3 Too many recipients (AS780090) [VI1]"},
  {TROUBLE_NONE, STAGE_DOT, "microsoft365", "452 4.3.1 Insufficient system resources"},
  {TROUBLE_NONE, STAGE_RCPT, "microsoft365", "550 5.2.2 user over quota"},

  /* Google */
  {TROUBLE_RATE, STAGE_DOT, "google", "421 4.7.28 " IP " Our system has detected an unusual rate of 4.7.28 unsolicited mail originating from your IP address. To protect our 4.7.28 users from spam, mail sent from your IP address has been temporarily 4.7.28 rate limited. - gsmtp"},
  {TROUBLE_RATE, STAGE_DOT, "google", "421 4.7.0 " IP "      15] Our system has detected an unusual rate of 4.7.0 unsolicited mail originating from your IP address. To protect our 4.7.0 users from spam, mail sent from your IP address has been temporarily 4.7.0 rate limited."},
  {TROUBLE_RATE, STAGE_BANNER, "google", "421 4.7.0 Try again later, closing connection. (EHLO) ffacd0b85a97d-3a1 - gsmtp"},
  {TROUBLE_REPUTATION, STAGE_DOT, "google", "550 5.7.1 " IP " Our system has detected that this message is likely 5.7.1 suspicious due to the very low reputation of the sending IP 5.7.1 address. To best protect our users from spam, the message has been 5.7.1 blocked. - gsmtp"},
  {TROUBLE_REPUTATION, STAGE_DOT, "google", "421 4.7.0 " IP " Our system has detected that this message is suspicious due to the very low reputation of the sending IP address."},
  {TROUBLE_REPUTATION, STAGE_DOT, "google", "550 5.7.1 likely suspicious due to the very low reputation"},
  {TROUBLE_NONE, STAGE_DOT, "google", "550 5.7.1 " IP " Our system has detected that this message is likely 5.7.1 suspicious due to the very low reputation of the sending 5.7.1 domain. - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your SPF domain. To protect our users from spam, mail sent from your domain has been temporarily rate limited. - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your DKIM domain. To protect our users from spam, mail sent from your domain has been temporarily rate limited. - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail containing one of your URL domains. To protect our users from spam, mail with the URL has been temporarily limited. - gsmtp"},
  {TROUBLE_NONE, STAGE_RCPT, "google", "450 4.2.1 The user you are trying to contact is receiving mail at a rate that 4.2.1 prevents additional messages from being delivered. Please resend your 4.2.1 message at a later time. - gsmtp"},
  {TROUBLE_NONE, STAGE_RCPT, "google", "450 4.2.1 The user you are trying to contact is receiving mail too quickly. - gsmtp"},
  {TROUBLE_NONE, STAGE_RCPT, "google", "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered."},
  {TROUBLE_NONE, STAGE_RCPT, "google", "550 5.1.1 The email account that you tried to reach does not exist. Please try 5.1.1 double-checking the recipient's email address for typos - gsmtp"},
  {TROUBLE_NONE, STAGE_RCPT, "google", "452 4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "550 5.7.1 " IP " Our system has detected that this message is 5.7.1 likely unsolicited mail. To reduce the amount of spam sent to Gmail, 5.7.1 this message has been blocked. - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "552 5.7.0 This message was blocked because its content presents a potential 5.7.0 security issue. - gsmtp"},
  {TROUBLE_NONE, STAGE_DOT, "google", "552 5.3.4 Your message exceeded Google's message size limits. - gsmtp"},

  /* Yahoo */
  {TROUBLE_REPUTATION, STAGE_MAIL, "yahoo", "421 4.7.0 [TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"},
  {TROUBLE_REPUTATION, STAGE_BANNER, "yahoo", "421 4.7.0 [TS01] Messages from 192.0.2.25 temporarily deferred due to user complaints - 4.16.55.1; see https://help.yahoo.com/kb/postmaster/SLN3434.html"},
  {TROUBLE_REPUTATION, STAGE_MAIL, "yahoo", "421 4.7.0 [TS02] Messages from 192.0.2.25 temporarily deferred"},
  {TROUBLE_REPUTATION, STAGE_MAIL, "yahoo", "421 4.7.1 [TS03] All messages from 192.0.2.25 will be permanently deferred; Retrying will NOT succeed. See https://help.yahoo.com/kb/postmaster/SLN3436.html"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "yahoo", "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.25, because the ip is in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html"},
  {TROUBLE_NONE, STAGE_RCPT, "yahoo", "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes"},
  {TROUBLE_NONE, STAGE_DOT, "yahoo", "554 5.0.0 Message not allowed - [PH01] Email not accepted for policy reasons."},
  {TROUBLE_NONE, STAGE_RCPT, "yahoo", "554 30 Sorry, your message to a@yahoo.example cannot be delivered. This mailbox is disabled (554.30)."},
  {TROUBLE_NONE, STAGE_RCPT, "yahoo", "552 1 Requested mail action aborted, mailbox not found"},

  /* Apple, Comcast, GMX, T-Online, Orange */
  {TROUBLE_RATE, STAGE_DOT, "apple", "450 4.7.0 [HM08] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137"},
  {TROUBLE_REPUTATION, STAGE_DOT, "apple", "450 4.1.8 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137"},
  {TROUBLE_NONE, STAGE_DOT, "apple", "554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137"},
  {TROUBLE_CEILING, STAGE_BANNER, "comcast", "421 resimta-po-07v.sys.comcast.net comcast Too many sessions opened"},
  {TROUBLE_RATE, STAGE_MAIL, "comcast", "421 4.1.0 192.0.2.25 Throttled - try again later. Please see http://postmaster.comcast.net/smtp-error-codes.php#RL000001"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "comcast", "554 resimta-po-07v.sys.comcast.net comcast 192.0.2.25 Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000"},
  {TROUBLE_RATE, STAGE_BANNER, "gmx", "421 gmx.net (mxgmx015) Nemesis ESMTP Service not available. Service temporarily unavailable. Please try again later"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "gmx", "554 gmx.net (mxgmx110) Nemesis ESMTP Service not available No SMTP service IP address is black listed. For explanation visit https://postmaster.gmx.net/en/error-messages?ip=192.0.2.25&c=bl"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "t-online", "554 IP=192.0.2.25 - A problem occurred. Ask your postmaster for help or to contact tobr@rx.t-online.de to clarify."},
  {TROUBLE_CEILING, STAGE_BANNER, "orange", "421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104 [104]"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "orange", "550 5.7.1 Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_506 [506]"},

  /* Japan */
  {TROUBLE_CEILING, STAGE_BANNER, "docomo", "421 mfsmax.docomo.ne.jp Service not available, too many connections, closing transmission channel"},
  {TROUBLE_RATE, STAGE_MAIL, "docomo", "451 4.3.0 Server busy, try later"},
  {TROUBLE_CEILING, STAGE_BANNER, "au", "421 lsean.ezweb.ne.jp Service not available"},
  {TROUBLE_RATE, STAGE_RCPT, "au", "452 4.3.0 too many mails, try later"},
  {TROUBLE_CEILING, STAGE_BANNER, "softbank", "421 4.3.2 Too many sessions"},
  {TROUBLE_NONE, STAGE_RCPT, "docomo", "550 Unknown user a@docomo.ne.jp"},
  {TROUBLE_NONE, STAGE_RCPT, "au", "550 5.1.1 <a@ezweb.ne.jp>: User unknown"},
  {TROUBLE_NONE, STAGE_RCPT, "softbank", "550 5.2.0 Message rejected due to mailbox settings of the recipient"},

  /* Postfix */
  {TROUBLE_CEILING, STAGE_BANNER, "mx.example.com", "421 4.7.0 mx.example.com Error: too many connections from 192.0.2.25"},
  {TROUBLE_RATE, STAGE_BANNER, "mx.example.com", "421 4.7.0 mx.example.com Error: too many new TLS sessions from 192.0.2.25"},
  {TROUBLE_RATE, STAGE_MAIL, "mx.example.com", "450 4.7.1 Error: too much mail from 192.0.2.25"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "450 4.7.1 Error: too many recipients from 192.0.2.25"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "421 4.7.0 mx.example.com Error: too many errors"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "450 4.2.0 <a@example.com>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.com.html"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "451 4.7.1 Greylisting in action, please come back later"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "451 Resources temporarily unavailable. Please try again later. Graylisted for 5 minutes"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "450 4.7.1 <a@example.com>: Recipient address rejected: Policy restrictions; try later"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "450 4.7.25 Client host rejected: cannot find your hostname, " IP},
  {TROUBLE_BLOCKED, STAGE_RCPT, "mx.example.com", "554 5.7.1 Service unavailable; Client host " IP " blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.25"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "554 5.7.1 Service unavailable; Sender address [a@bad.example] blocked using dbl.spamhaus.org; https://www.spamhaus.org/query/domain/bad.example"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "550 5.1.1 <a@example.com>: Recipient address rejected: User unknown in virtual mailbox table"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "554 5.7.1 <a@example.com>: Relay access denied"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "554 5.7.1 <a@example.com>: Recipient address rejected: Access denied"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "450 4.1.8 <a@x.example>: Sender address rejected: Domain not found"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "550 5.7.23 <a@example.com>: Recipient address rejected: Message rejected due to: SPF fail - not authorized"},

  /* Exim, sendmail, qmail and others */
  {TROUBLE_CEILING, STAGE_BANNER, "mx.example.com", "421 Too many concurrent SMTP connections from this IP address; please try again later"},
  {TROUBLE_CEILING, STAGE_BANNER, "mx.example.com", "421 mx.example.com: Too many concurrent SMTP connections; please try again later"},
  {TROUBLE_NONE, STAGE_MAIL, "mx.example.com", "550 5.7.1 <a@b.example>: Sender address rejected: blocked"},
  {TROUBLE_NONE, STAGE_MAIL, "mx.example.com", "554 5.7.1 <a@b.example>: sender is on our blacklist"},
  {TROUBLE_CEILING, STAGE_BANNER, "mx.example.com", "421 4.3.2 Too many open connections."},
  {TROUBLE_RATE, STAGE_BANNER, "mx.example.com", "421 4.3.2 Connection rate limit exceeded."},
  {TROUBLE_RATE, STAGE_RCPT, "mx.example.com", "451 Your ratelimit is too high: 120 / 1h, max 100"},
  {TROUBLE_RATE, STAGE_MAIL, "mx.example.com", "450 4.7.1 Sender rate limit exceeded"},
  {TROUBLE_RATE, STAGE_MAIL, "mx.example.com", "451 4.7.1 Received too many messages from a new or untrusted IP (G28)"},
  {TROUBLE_RATE, STAGE_DOT, "mx.example.com", "421 Service not available: sending too fast, slow down"},
  {TROUBLE_CEILING, STAGE_BANNER, "mx.example.com", "421 Too many concurrent connections from this client (G2)"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "450 4.2.1 <a@example.com>: Mailbox received too much email in a short period of time (G30)"},
  {TROUBLE_NONE, STAGE_DOT, "mx.example.com", "451 Temporary local problem - please try later"},
  {TROUBLE_NONE, STAGE_DOT, "mx.example.com", "451 qq temporary problem (#4.3.0)"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "550 sorry, no mailbox here by that name. (#5.1.1)"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "552 5.2.2 <a@example.com>: Mailbox is full / Quota exceeded"},
  {TROUBLE_NONE, STAGE_RCPT, "mx.example.com", "452 4.2.2 <a@example.com>: Quota exceeded (mailbox for user is full)"},
  {TROUBLE_NONE, STAGE_DOT, "mx.example.com", "550 This message was classified as SPAM and may not be delivered"},
  {TROUBLE_NONE, STAGE_DOT, "mx.example.com", "554 5.7.1 Blocked by SpamAssassin"},
  {TROUBLE_NONE, STAGE_DOT, "mx.example.com", "554 5.7.1 Message rejected: the URL in it is blacklisted by SURBL"},
  {TROUBLE_NONE, STAGE_DOT, "mx.example.com", "550 5.7.1 Content rejected: virus found"},

  /* Filtering services */
  {TROUBLE_REPUTATION, STAGE_RCPT, "eu-smtp-inbound-1.mimecast.com", "451 4.7.1 IP temporarily blacklisted - https://community.mimecast.com/docs/DOC-1369#451"},
  {TROUBLE_NONE, STAGE_RCPT, "eu-smtp-inbound-1.mimecast.com", "451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451"},
  {TROUBLE_NONE, STAGE_RCPT, "eu-smtp-inbound-1.mimecast.com", "550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "mx1.pphosted.com", "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.25"},
  {TROUBLE_BLOCKED, STAGE_MAIL, "mx1.pphosted.com", "550 5.7.0 Local Policy Violation: blocked, see https://ipcheck.proofpoint.com/?ip=192.0.2.25"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "mx.example.com", "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means."},
  {TROUBLE_RATE, STAGE_BANNER, "barracuda.example.com", "450 4.7.1 Rate control: your IP address has exceeded the rate"},
  {TROUBLE_BLOCKED, STAGE_RCPT, "mx.example.com", "550 Your IP address 192.0.2.25 is blacklisted"},
  {TROUBLE_BLOCKED, STAGE_BANNER, "mx.example.com", "521 5.7.1 Blocked by bl.spamcop.net"},
  {TROUBLE_NONE, STAGE_HELO, "mx.example.com", "550 5.7.1 Helo command rejected: need fully-qualified hostname"},
};

static void test_real(void)
{
  struct replies replies;
  unsigned count = sizeof real / sizeof *real;

  replies_init(&replies);
  for (const char *const *line = replies_built_in; *line; line++) {
    const char *wrong = replies_add(&replies, *line);
    if (wrong) {
      fprintf(stderr, "%s: %s\n", wrong, *line);
    }
    CHECK(!wrong);
  }
  for (unsigned i = 0; i < count; i++) {
    struct outcome o = {.stage = real[i].stage, .verdict = VERDICT_DEFERRED};
    o.code = atoi(real[i].reply);
    snprintf(o.reply, sizeof o.reply, "%s", real[i].reply);
    enum trouble kind = replies_find(&replies, real[i].site, &o);
    if (kind != real[i].kind) {
      fprintf(stderr, "found '%s': %s\n", trouble_name(kind), real[i].reply);
    }
    CHECK_STR(trouble_name(kind), trouble_name(real[i].kind));
  }
  CHECK(count >= 100);
  replies_free(&replies);
}

static void test_match(void)
{
  static const struct {
    const char *pattern, *text;
    bool fits;
  } t[] = {
    {"*", "", true},           {"", "", true},           {"", "a", false},
    {"a", "a", true},          {"a", "ab", false},       {"*b", "ab", true},
    {"*b", "ba", false},       {"a*", "abc", true},      {"*b*", "abc", true},
    {"a?c", "abc", true},      {"a?c", "ac", false},     {"*ab*cd*", "xxabyycdzz", true},
    {"*ab*cd", "abcdcd", true}, {"*aab", "aaaab", true}, {"**a", "ba", true},
    {"*??", "a", false},       {"*?", "a", true},        {"4?? *too many*", "421 way too many", true},
    {"4?? *too many*", "521 way too many", false},       {"*a*", "", false},
    {"a**", "a", true},        {"*a?b", "aaxb", true},
  };
  char text[4001], pattern[201];

  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    CHECK_INT(replies_match(t[i].pattern, t[i].text), t[i].fits);
  }
  /* what makes naive matchers take for ever */
  memset(text, 'a', 4000);
  text[4000] = 0;
  for (int i = 0; i < 100; i++) {
    memcpy(pattern + 2 * i, "*a", 2);
  }
  pattern[199] = 'b';
  pattern[200] = 0;
  CHECK(!replies_match(pattern, text));
}

static enum trouble ask(const struct replies *replies, enum stage stage, const char *site,
                        const char *reply)
{
  struct outcome o = {.stage = stage, .code = atoi(reply)};

  snprintf(o.reply, sizeof o.reply, "%s", reply);
  return replies_find(replies, site, &o);
}

static void test_lines(void)
{
  static const char *const wrong[] = {
    "", "rate", "rate *", "rate * *", "rate * *  ", "slow * * *", "down * * x", "rate nowhere * *",
    "rate mail,nowhere * *", "rate mail, * *", "rate ,mail * *", "rates * * x",
  };
  char line[1000];
  struct replies r;

  replies_init(&r);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK(replies_add(&r, wrong[i]) != NULL);
  }
  snprintf(line, sizeof line, "rate * * %0*d", REPLIES_PATTERN_MAX + 1, 0);
  CHECK(replies_add(&r, line) != NULL);
  CHECK(r.first == NULL);

  CHECK(replies_add(&r, "none Mail,RCPT * 4?? *Slow*") == NULL);
  CHECK(replies_add(&r, "RATE\t*   *.example.net\t4?? *slow*") == NULL);
  CHECK(replies_add(&r, "blocked dot * *go  away*") == NULL);
  CHECK_INT(ask(&r, STAGE_MAIL, "mx.example.net", "450 Slow down"), TROUBLE_NONE); /* the first wins */
  CHECK_INT(ask(&r, STAGE_DATA, "MX.example.net", "450 SLOW down"), TROUBLE_RATE);
  CHECK_INT(ask(&r, STAGE_DATA, "mx.example.org", "450 slow down"), TROUBLE_NONE);
  CHECK_INT(ask(&r, STAGE_DATA, "mx.example.net", "550 slow down"), TROUBLE_NONE);
  CHECK_INT(ask(&r, STAGE_DATA, "mx.example.net", "250 slow down"), TROUBLE_NONE);
  CHECK_INT(ask(&r, STAGE_NONE, "mx.example.net", "450 slow down"), TROUBLE_NONE);
  CHECK_INT(ask(&r, STAGE_DOT, "x", "550 go away"), TROUBLE_NONE); /* blanks are single in what is matched */
  CHECK_INT(ask(&r, STAGE_DATA, "mx.example.net", ""), TROUBLE_NONE);
  replies_free(&r);
}

int main(void)
{
  test_match();
  test_lines();
  test_real();
  return check_done("send_replies");
}
