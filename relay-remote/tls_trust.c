/* Certificates in PEM to BearSSL's trust anchors. */
#include "tls_trust.h"

#include "buf.h"
#include "tls_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANCHORS_MAX 1000
#define CERTIFICATE_MAX 65536 /* bytes in DER */
#define FILE_MAX (16 << 20)   /* bytes */

static br_x509_trust_anchor *anchors;
static size_t anchor_count;

struct loading {
  struct buf der;
  unsigned number; /* of the certificate in the file */
  bool strict;     /* one that cannot be used is an error */
};

const br_x509_trust_anchor *tls_trust_anchors(size_t *count)
{
  *count = anchor_count;
  return anchors;
}

static void take_dn(void *arg, const void *data, size_t len)
{
  struct tls_anchor *a = arg;

  if (len <= sizeof(a->dn) - a->dn_len) {
    memcpy(a->dn + a->dn_len, data, len);
    a->dn_len += len;
  } else {
    a->dn_len = sizeof(a->dn) + 1; /* too long: nothing more fits, and it is refused below */
  }
}

unsigned tls_anchor_make(struct tls_anchor *a, const unsigned char *der, size_t len)
{
  const br_x509_pkey *key;

  a->dn_len = 0;
  br_x509_decoder_init(&a->decoder, take_dn, a);
  br_x509_decoder_push(&a->decoder, der, len);
  key = br_x509_decoder_get_pkey(&a->decoder);
  if (!key) {
    return (unsigned)br_x509_decoder_last_error(&a->decoder);
  }
  if (a->dn_len > sizeof(a->dn)) {
    return BR_ERR_X509_LIMIT_EXCEEDED;
  }
  a->anchor =
    (br_x509_trust_anchor){.dn = {a->dn, a->dn_len}, .flags = BR_X509_TA_CA, .pkey = *key};
  return 0;
}

/* Copies that live as long as the process. */
static unsigned char *keep(const unsigned char *data, size_t len)
{
  unsigned char *p = malloc(len ? len : 1);

  if (p) {
    memcpy(p, data, len);
  }
  return p;
}

static bool keep_anchor(const br_x509_trust_anchor *from)
{
  br_x509_trust_anchor a = *from;

  a.dn.data = keep(from->dn.data, from->dn.len);
  if (from->pkey.key_type == BR_KEYTYPE_RSA) {
    a.pkey.key.rsa.n = keep(from->pkey.key.rsa.n, from->pkey.key.rsa.nlen);
    a.pkey.key.rsa.e = keep(from->pkey.key.rsa.e, from->pkey.key.rsa.elen);
    if (!a.pkey.key.rsa.n || !a.pkey.key.rsa.e) {
      return false;
    }
  } else {
    a.pkey.key.ec.q = keep(from->pkey.key.ec.q, from->pkey.key.ec.qlen);
    if (!a.pkey.key.ec.q) {
      return false;
    }
  }
  anchors[anchor_count++] = a;
  return a.dn.data != NULL;
}

static enum control_result take_certificate(struct loading *l)
{
  static struct tls_anchor made;
  unsigned error = tls_anchor_make(&made, (const unsigned char *)l->der.data, l->der.len);
  char words[TLS_ERROR_SIZE];

  l->number++;
  if (error && !l->strict) {
    return CONTROL_OK; /* of the system's, one with a key of a kind that BearSSL has not */
  }
  if (error) {
    tls_error_text((int)error, words);
    return control_fail("tlsca", 0, "certificate %u cannot be used: %s", l->number, words);
  }
  if (anchor_count == ANCHORS_MAX) {
    return control_fail("tlsca", 0, "more than %d certificates", ANCHORS_MAX);
  }
  return keep_anchor(&made.anchor) ? CONTROL_OK : control_fail("tlsca", 0, "%s", strerror(ENOMEM));
}

static void collect(void *arg, const void *data, size_t len)
{
  struct loading *l = arg;

  if (buf_append(&l->der, data, len) == -1) {
    buf_reset(&l->der); /* what is left is no certificate */
  }
}

static enum control_result take_pem(struct loading *l, const char *text, size_t len)
{
  br_pem_decoder_context pem;
  enum control_result result = CONTROL_OK;
  bool wanted = false, open_object = false;
  size_t used;

  br_pem_decoder_init(&pem);
  while (result == CONTROL_OK && len > 0) {
    used = br_pem_decoder_push(&pem, text, len);
    text += used;
    len -= used;
    switch (br_pem_decoder_event(&pem)) {
    case BR_PEM_BEGIN_OBJ:
      wanted = strcmp(br_pem_decoder_name(&pem), "CERTIFICATE") == 0;
      open_object = true;
      buf_reset(&l->der);
      br_pem_decoder_setdest(&pem, wanted ? collect : NULL, l);
      break;
    case BR_PEM_END_OBJ:
      open_object = false;
      result = wanted ? take_certificate(l) : CONTROL_OK;
      break;
    case BR_PEM_ERROR:
      return control_fail("tlsca", 0, "malformed PEM after certificate %u", l->number);
    default:
      break;
    }
  }
  if (result == CONTROL_OK && open_object) {
    return control_fail("tlsca", 0, "it ends within certificate %u", l->number + 1);
  }
  return result;
}

/* The whole file, with a line end for the decoder, which wants one after the last line. */
static int read_file(const char *path, struct buf *b)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = -1;

  if (fd == -1) {
    return -1;
  }
  while (buf_reserve(b, 65536) == 0 && (n = read(fd, b->data + b->len, 65536)) > 0) {
    b->len += (size_t)n;
  }
  close(fd);
  return n == 0 && buf_append_char(b, '\n') == 0 ? 0 : -1;
}

enum control_result tls_trust_load(void)
{
  struct buf text = BUF_INIT(FILE_MAX);
  struct loading l = {.der = BUF_INIT(CERTIFICATE_MAX), .strict = true};
  enum control_result result;

  anchors = calloc(ANCHORS_MAX, sizeof(*anchors));
  if (read_file("control/tlsca", &text) == 0) {
    result =
      anchors ? take_pem(&l, text.data, text.len) : control_fail("tlsca", 0, "out of memory");
    if (result == CONTROL_OK && anchor_count == 0) {
      result = control_fail("tlsca", 0, "no certificate in it (PEM is wanted)");
    }
  } else if (errno != ENOENT) {
    result = control_fail("tlsca", 0, "unable to read it: %s", strerror(errno));
  } else {
    l.strict = false;
    result = read_file(TLS_TRUST_SYSTEM, &text) == 0 && anchors ? take_pem(&l, text.data, text.len)
                                                                : CONTROL_MISSING;
  }
  buf_free(&text);
  buf_free(&l.der);
  return result;
}
