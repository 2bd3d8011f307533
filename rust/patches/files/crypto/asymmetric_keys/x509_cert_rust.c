// SPDX-License-Identifier: GPL-2.0
/*
 * X.509 certificates that are read in Rust: in place of x509_cert_parser.c, with its interface.
 * EXPERIMENTAL.
 *
 * What is left here is to put what was read into a struct x509_certificate.  Its pointers go into the
 * certificate, as those of the parser in C do.
 */

#define pr_fmt(fmt) "X.509: "fmt
#include <linux/kernel.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/err.h>
#include <linux/keyctl.h>
#include <linux/oid_registry.h>
#include <linux/string.h>
#include <crypto/public_key.h>
#include "x509_parser.h"
#include "x509_rust.h"

void x509_free_certificate(struct x509_certificate *cert)
{
	if (cert) {
		public_key_free(cert->pub);
		public_key_signature_free(cert->sig);
		kfree(cert->issuer);
		kfree(cert->subject);
		kfree(cert->id);
		kfree(cert->skid);
		kfree(cert);
	}
}
EXPORT_SYMBOL_GPL(x509_free_certificate);

int x509_rust_errno(u32 result)
{
	switch (result) {
	case X509_RUST_GOOD:
		return 0;
	case X509_RUST_UNSUPPORTED:
		return -ENOPKG;
	case X509_RUST_INVALID:
		return -EINVAL;
	case X509_RUST_TOO_LONG:
		return -EMSGSIZE;
	case X509_RUST_REJECTED:
		return -EKEYREJECTED;
	default:
		return -EBADMSG;
	}
}

/* An identifier of a key, of one or two parts, if there is one. */
int x509_make_id(struct asymmetric_key_id **id, const struct x509_rust_bytes *first,
			const struct x509_rust_bytes *second)
{
	struct asymmetric_key_id *made;

	if (!first->data)
		return 0;
	if (second)
		made = asymmetric_key_generate_id(first->data, first->size, second->data, second->size);
	else
		made = asymmetric_key_generate_id(first->data, first->size, "", 0);
	if (IS_ERR(made))
		return PTR_ERR(made);
	*id = made;
	return 0;
}

/* What an issuer or subject is called by: one part, or two with a colon between them. */
static char *x509_make_name(const struct x509_rust_bytes part[2])
{
	char *name = kzalloc(part[0].size + 2 + part[1].size + 1, GFP_KERNEL), *p = name;

	if (!name)
		return NULL;
	if (part[0].size) {
		memcpy(p, part[0].data, part[0].size);
		p += part[0].size;
		*p++ = ':';
		*p++ = ' ';
	}
	memcpy(p, part[1].data, part[1].size);
	return name;
}

static int x509_fill_key(struct public_key *pub, const struct x509_rust_fields *f)
{
	pub->key = kmemdup(f->key.data, f->key.size, GFP_KERNEL);
	pub->keylen = f->key.size;
	pub->params = kmemdup(f->key_parameters.data, f->key_parameters.size, GFP_KERNEL);
	pub->paramlen = f->key_parameters.size;
	if (!pub->key || !pub->params)
		return -ENOMEM;
	pub->algo = look_up_OID(f->key_oid.data, f->key_oid.size);
	pub->pkey_algo = f->key_algorithm;
	if (f->digital_signature)
		pub->key_eflags |= 1 << KEY_EFLAG_DIGITALSIG;
	if (f->certificate_signature)
		pub->key_eflags |= 1 << KEY_EFLAG_KEYCERTSIGN;
	if (f->authority)
		pub->key_eflags |= 1 << KEY_EFLAG_CA;
	return 0;
}

static int x509_fill_signature(struct public_key_signature *sig, const struct x509_rust_fields *f)
{
	int ret;

	sig->pkey_algo = f->signature_algorithm;
	sig->encoding = f->signature_encoding;
	sig->hash_algo = f->digest ?: "none";
#ifdef CONFIG_X509_RUST_MLDSA
	sig->algo_takes_data = !f->digest;
#endif
	ret = x509_make_id(&sig->auth_ids[0], &f->authority_serial, &f->authority_issuer);
	if (ret == 0)
		ret = x509_make_id(&sig->auth_ids[1], &f->authority_key_id, NULL);
	if (ret == 0)
		ret = x509_make_id(&sig->auth_ids[2], &f->issuer, NULL);
	return ret;
}

struct x509_certificate *x509_cert_parse(const void *data, size_t datalen)
{
	struct x509_certificate *cert __free(x509_free_certificate) = NULL;
	struct x509_rust_fields *f __free(kfree) = NULL;
	int ret;

	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return ERR_PTR(-ENOMEM);
	ret = x509_rust_errno(x509_rust_parse(data, datalen, IS_ENABLED(CONFIG_X509_RUST_MLDSA), f));
	if (ret < 0)
		return ERR_PTR(ret);

	cert = kzalloc(sizeof(*cert), GFP_KERNEL);
	if (!cert)
		return ERR_PTR(-ENOMEM);
	cert->pub = kzalloc(sizeof(*cert->pub), GFP_KERNEL);
	cert->sig = kzalloc(sizeof(*cert->sig), GFP_KERNEL);
	cert->issuer = x509_make_name(f->issuer_shown);
	cert->subject = x509_make_name(f->subject_shown);
	if (!cert->pub || !cert->sig || !cert->issuer || !cert->subject)
		return ERR_PTR(-ENOMEM);

	cert->valid_from = f->not_before;
	cert->valid_to = f->not_after;
	cert->tbs = f->tbs.data;
	cert->tbs_size = f->tbs.size;
	cert->raw_sig = f->signature.data;
	cert->raw_sig_size = f->signature.size;
	cert->raw_serial = f->serial.data;
	cert->raw_serial_size = f->serial.size;
	cert->raw_issuer = f->issuer.data;
	cert->raw_issuer_size = f->issuer.size;
	cert->raw_subject = f->subject.data;
	cert->raw_subject_size = f->subject.size;
	cert->raw_skid = f->subject_key_id.data;
	cert->raw_skid_size = f->subject_key_id.size;

	ret = x509_fill_key(cert->pub, f);
	if (ret == 0)
		ret = x509_fill_signature(cert->sig, f);
	if (ret == 0)
		ret = x509_make_id(&cert->id, &f->serial, &f->issuer);
	if (ret == 0)
		ret = x509_make_id(&cert->skid, &f->subject_key_id, NULL);
	/* From here on as x509_cert_parser.c: digest and signature. */
	if (ret == 0)
		ret = x509_get_sig_params(cert);
	if (ret == 0)
		ret = x509_check_for_self_signed(cert);
	if (ret < 0)
		return ERR_PTR(ret);
	return_ptr(cert);
}
EXPORT_SYMBOL_GPL(x509_cert_parse);

/* Also for signing times in PKCS#7 messages. */
int x509_decode_time(time64_t *_t, size_t hdrlen, unsigned char tag,
		     const unsigned char *value, size_t vlen)
{
	return x509_rust_errno(x509_rust_decode_time(tag, value, vlen, _t));
}
EXPORT_SYMBOL_GPL(x509_decode_time);
