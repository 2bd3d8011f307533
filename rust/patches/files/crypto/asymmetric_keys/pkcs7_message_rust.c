// SPDX-License-Identifier: GPL-2.0
/*
 * PKCS#7 messages that are read in Rust: in place of pkcs7_parser.c, with its interface.
 * EXPERIMENTAL.
 *
 * What is left here is to put what was read into a struct pkcs7_message.  Its pointers go into the message,
 * as those of the parser in C do.
 */

#define pr_fmt(fmt) "PKCS7: "fmt
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/err.h>
#include <linux/oid_registry.h>
#include <crypto/public_key.h>
#include "pkcs7_parser.h"
#include "pkcs7_rust.h"

MODULE_DESCRIPTION("PKCS#7 parser in Rust");
MODULE_LICENSE("GPL");

static void pkcs7_free_signed_info(struct pkcs7_signed_info *sinfo)
{
	if (sinfo) {
		public_key_signature_free(sinfo->sig);
		kfree(sinfo);
	}
}

void pkcs7_free_message(struct pkcs7_message *pkcs7)
{
	if (!pkcs7)
		return;
	while (pkcs7->certs) {
		struct x509_certificate *cert = pkcs7->certs;

		pkcs7->certs = cert->next;
		x509_free_certificate(cert);
	}
	while (pkcs7->signed_infos) {
		struct pkcs7_signed_info *sinfo = pkcs7->signed_infos;

		pkcs7->signed_infos = sinfo->next;
		pkcs7_free_signed_info(sinfo);
	}
	kfree(pkcs7);
}
EXPORT_SYMBOL_GPL(pkcs7_free_message);

int pkcs7_get_content_data(const struct pkcs7_message *pkcs7, const void **_data,
			   size_t *_data_len, size_t *_headerlen)
{
	if (!pkcs7->data)
		return -ENODATA;
	*_data = pkcs7->data;
	*_data_len = pkcs7->data_len;
	if (_headerlen)
		*_headerlen = pkcs7->data_hdrlen;
	return 0;
}
EXPORT_SYMBOL_GPL(pkcs7_get_content_data);

static int pkcs7_add_certificates(struct pkcs7_message *msg, struct x509_rust_bytes rest)
{
	struct x509_certificate **last = &msg->certs;
	struct x509_rust_bytes one;
	unsigned int index = 0;

	while (pkcs7_rust_certificate(&rest, &one)) {
		struct x509_certificate *cert = x509_cert_parse(one.data, one.size);

		if (IS_ERR(cert))
			return PTR_ERR(cert);
		cert->index = ++index;
		*last = cert;
		last = &cert->next;
	}
	return 0;
}

static int pkcs7_fill_signed_info(struct pkcs7_signed_info *sinfo, const struct pkcs7_rust_signer *f)
{
	struct public_key_signature *sig = sinfo->sig;

	sig->s = kmemdup(f->signature.data, f->signature.size, GFP_KERNEL);
	if (!sig->s)
		return -ENOMEM;
	sig->s_size = f->signature.size;
	sig->pkey_algo = f->key_algorithm;
	sig->hash_algo = f->digest ?: "none";
	sig->encoding = f->encoding;
	sig->algo_takes_data = f->takes_data;
	if (f->attributes.data) {
		/* With the tag, which is one byte in front. */
		sinfo->authattrs = f->attributes.data - 1;
		sinfo->authattrs_len = f->attributes.size + 1;
		sinfo->msgdigest = f->message_digest.data;
		sinfo->msgdigest_len = f->message_digest.size;
		sinfo->signing_time = f->signing_time;
		sinfo->aa_set = 1UL << sinfo_has_content_type | 1UL << sinfo_has_message_digest;
		if (f->has_signing_time)
			sinfo->aa_set |= 1UL << sinfo_has_signing_time;
	}
	return x509_make_id(&sig->auth_ids[0], &f->id[0], &f->id[1]);
}

static int pkcs7_add_signers(struct pkcs7_message *msg, const struct pkcs7_rust_message *f)
{
	struct pkcs7_signed_info **last = &msg->signed_infos;
	struct x509_rust_bytes rest = f->signers;
	unsigned int index = 0;
	int ret;

	while (rest.size) {
		struct pkcs7_rust_signer signer = {};
		struct pkcs7_signed_info *sinfo;

		ret = x509_rust_errno(pkcs7_rust_signer(&rest, f, true, &signer));
		if (ret < 0)
			return ret;
		sinfo = kzalloc(sizeof(*sinfo), GFP_KERNEL);
		if (!sinfo)
			return -ENOMEM;
		*last = sinfo;
		last = &sinfo->next;
		sinfo->index = ++index;
		sinfo->sig = kzalloc(sizeof(*sinfo->sig), GFP_KERNEL);
		if (!sinfo->sig)
			return -ENOMEM;
		ret = pkcs7_fill_signed_info(sinfo, &signer);
		if (ret < 0)
			return ret;
	}
	/* All signers have attributes, or none has. */
	msg->have_authattrs = msg->signed_infos->authattrs;
#ifdef CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA
	msg->authattrs_rej_waivable = !msg->have_authattrs || msg->signed_infos->sig->algo_takes_data;
#endif
	return 0;
}

struct pkcs7_message *pkcs7_parse_message(const void *data, size_t datalen)
{
	struct pkcs7_rust_message f = {};
	struct pkcs7_message *msg;
	int ret;

	ret = x509_rust_errno(pkcs7_rust_parse(data, datalen, true, &f));
	if (ret < 0)
		return ERR_PTR(ret);
	msg = kzalloc(sizeof(*msg), GFP_KERNEL);
	if (!msg)
		return ERR_PTR(-ENOMEM);
	msg->version = f.version;
	msg->data_type = f.authenticode ? OID_msIndirectData : OID_data;
	msg->data = f.content.data;
	msg->data_len = f.content.size;
	msg->data_hdrlen = f.content_whole.size - f.content.size;
	ret = pkcs7_add_certificates(msg, f.certificates);
	if (ret == 0)
		ret = pkcs7_add_signers(msg, &f);
	if (ret < 0) {
		pkcs7_free_message(msg);
		return ERR_PTR(ret);
	}
	return msg;
}
EXPORT_SYMBOL_GPL(pkcs7_parse_message);
