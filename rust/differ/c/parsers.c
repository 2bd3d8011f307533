// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Certificates and messages that are read by the parsers in C, or by those in Rust through
 * x509_cert_rust.c and pkcs7_message_rust.c; and all that came of it as text, so that a difference is one of
 * two texts.
 */
#include <crypto/public_key.h>
#include <keys/asymmetric-type.h>
#include "pkcs7_parser.h"
#include "pkcs7_rust.h"

/* As x509_cert_rust.c and pkcs7_message_rust.c are compiled, so that both can be there.  */
struct pkcs7_message *rust_parse_message(const void *data, size_t size);
void rust_free_message(struct pkcs7_message *msg);
struct x509_certificate *rust_cert_parse(const void *data, size_t size);
void rust_free_certificate(struct x509_certificate *cert);
int rust_decode_time(time64_t *time, size_t header, unsigned char tag,
		     const unsigned char *value, size_t size);

/* In the order of `Parser` in src/c.rs.  */
struct differ_parser {
	u32 (*parse)(const void *data, size_t size, bool ml_dsa, struct x509_rust_fields *fields);
	u32 (*decode_time)(u8 tag, const void *data, size_t size, s64 *time);
	u32 (*message)(const void *data, size_t size, bool ml_dsa, struct pkcs7_rust_message *message);
	bool (*certificate)(struct x509_rust_bytes *rest, struct x509_rust_bytes *certificate);
	u32 (*signer)(struct x509_rust_bytes *rest, const struct pkcs7_rust_message *message,
		      bool ml_dsa, struct pkcs7_rust_signer *signer);
};

static const struct differ_parser *parser;

u32 x509_rust_parse(const void *data, size_t size, bool ml_dsa, struct x509_rust_fields *fields)
{
	return parser->parse(data, size, ml_dsa, fields);
}

u32 x509_rust_decode_time(u8 tag, const void *data, size_t size, s64 *time)
{
	return parser->decode_time(tag, data, size, time);
}

u32 pkcs7_rust_parse(const void *data, size_t size, bool ml_dsa, struct pkcs7_rust_message *message)
{
	return parser->message(data, size, ml_dsa, message);
}

bool pkcs7_rust_certificate(struct x509_rust_bytes *rest, struct x509_rust_bytes *certificate)
{
	return parser->certificate(rest, certificate);
}

u32 pkcs7_rust_signer(struct x509_rust_bytes *rest, const struct pkcs7_rust_message *message,
		      bool ml_dsa, struct pkcs7_rust_signer *signer)
{
	return parser->signer(rest, message, ml_dsa, signer);
}

static void put_bytes(FILE *to, const char *name, const void *data, size_t size)
{
	const u8 *octets = data;

	fprintf(to, "%s %zu ", name, size);
	while (size--)
		fprintf(to, "%02x", *octets++);
	fprintf(to, "\n");
}

/* Where it is in the certificate, and how long it is.  */
static void put_part(FILE *to, const char *name, const void *of, const void *data, unsigned int size)
{
	if (data)
		fprintf(to, "%s at %zd, %u\n", name, (const u8 *)data - (const u8 *)of, size);
}

static void put_id(FILE *to, const char *name, const struct asymmetric_key_id *id)
{
	if (id)
		put_bytes(to, name, id->data, id->len);
}

static void put_signature(FILE *to, const struct public_key_signature *sig)
{
	put_bytes(to, "s", sig->s, sig->s_size);
	fprintf(to, "pkey_algo %s hash_algo %s encoding %s\n", sig->pkey_algo, sig->hash_algo, sig->encoding);
#ifdef DIFFER_SIGNATURE_M
	put_bytes(to, "m", sig->m, sig->m_size);
	fprintf(to, "m_free %d algo_takes_data %d\n", sig->m_free, sig->algo_takes_data);
#else
	put_bytes(to, "digest", sig->digest, sig->digest_size);
#endif
}

static void put(FILE *to, const void *of, const struct x509_certificate *cert)
{
	const struct public_key_signature *sig = cert->sig;
	const struct public_key *pub = cert->pub;

	fprintf(to, "issuer %s\nsubject %s\n", cert->issuer, cert->subject);
	fprintf(to, "valid %lld %lld\n", (long long)cert->valid_from, (long long)cert->valid_to);
	fprintf(to, "self_signed %d unsupported_sig %d blacklisted %d seen %d verified %d index %u\n",
		cert->self_signed, cert->unsupported_sig, cert->blacklisted, cert->seen,
		cert->verified, cert->index);
	put_id(to, "id", cert->id);
	put_id(to, "skid", cert->skid);
	put_part(to, "tbs", of, cert->tbs, cert->tbs_size);
	put_part(to, "raw_sig", of, cert->raw_sig, cert->raw_sig_size);
	put_part(to, "raw_serial", of, cert->raw_serial, cert->raw_serial_size);
	put_part(to, "raw_issuer", of, cert->raw_issuer, cert->raw_issuer_size);
	put_part(to, "raw_subject", of, cert->raw_subject, cert->raw_subject_size);
	put_part(to, "raw_skid", of, cert->raw_skid, cert->raw_skid_size);
	put_bytes(to, "key", pub->key, pub->keylen);
	put_bytes(to, "params", pub->params, pub->paramlen);
	fprintf(to, "algo %d pkey_algo %s key_eflags %lx private %d id_type %s\n", pub->algo,
		pub->pkey_algo, pub->key_eflags, pub->key_is_private, pub->id_type ?: "-");
	put_id(to, "auth_ids[0]", sig->auth_ids[0]);
	put_id(to, "auth_ids[1]", sig->auth_ids[1]);
	put_id(to, "auth_ids[2]", sig->auth_ids[2]);
	put_signature(to, sig);
}

/* Reads a certificate; with a parser, by that.  Returns 0 or C's error number; *text is for free().  */
int differ_certificate(const struct differ_parser *rust, const void *data, size_t size, char **text)
{
	struct x509_certificate *cert;
	size_t length;
	FILE *to;

	parser = rust;
	cert = rust ? rust_cert_parse(data, size) : x509_cert_parse(data, size);
	*text = NULL;
	if (IS_ERR(cert))
		return PTR_ERR(cert);
	to = open_memstream(text, &length);
	put(to, data, cert);
	fclose(to);
	if (rust)
		rust_free_certificate(cert);
	else
		x509_free_certificate(cert);
	return 0;
}

static void put_message(FILE *to, const void *of, const struct pkcs7_message *msg)
{
	const struct x509_certificate *cert;
	const struct pkcs7_signed_info *sinfo;

	fprintf(to, "version %d have_authattrs %d data_type %d data_hdrlen %zu crl %d\n", msg->version,
		msg->have_authattrs, msg->data_type, msg->data_hdrlen, !!msg->crl);
#ifdef CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA
	fprintf(to, "authattrs_rej_waivable %d\n", msg->authattrs_rej_waivable);
#endif
	put_part(to, "data", of, msg->data, msg->data_len);
	for (cert = msg->certs; cert; cert = cert->next)
		put(to, of, cert);
	for (sinfo = msg->signed_infos; sinfo; sinfo = sinfo->next) {
		const struct public_key_signature *sig = sinfo->sig;

		fprintf(to, "signer %u unsupported_crypto %d blacklisted %d signing_time %lld aa_set %lx\n",
			sinfo->index, sinfo->unsupported_crypto, sinfo->blacklisted,
			(long long)sinfo->signing_time,
			sinfo->aa_set & (1 << sinfo_has_content_type | 1 << sinfo_has_signing_time |
					 1 << sinfo_has_message_digest));
		put_part(to, "msgdigest", of, sinfo->msgdigest, sinfo->msgdigest_len);
		put_part(to, "authattrs", of, sinfo->authattrs, sinfo->authattrs_len);
		put_id(to, "auth_ids[0]", sig->auth_ids[0]);
		put_id(to, "auth_ids[1]", sig->auth_ids[1]);
		put_id(to, "auth_ids[2]", sig->auth_ids[2]);
		put_signature(to, sig);
	}
}

/* The same for a message.  */
int differ_message(const struct differ_parser *rust, const void *data, size_t size, char **text)
{
	struct pkcs7_message *msg;
	size_t length;
	FILE *to;

	parser = rust;
	*text = NULL;
#ifndef CONFIG_X509_RUST_MLDSA
	if (rust)
		return -EOPNOTSUPP;
#else
	if (rust)
		msg = rust_parse_message(data, size);
	else
#endif
		msg = pkcs7_parse_message(data, size);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	to = open_memstream(text, &length);
	put_message(to, data, msg);
	fclose(to);
#ifdef CONFIG_X509_RUST_MLDSA
	if (rust)
		rust_free_message(msg);
	else
#endif
		pkcs7_free_message(msg);
	return 0;
}

/* As differ_certificate(), for the content of a time.  */
int differ_time(const struct differ_parser *rust, u8 tag, const void *data, size_t size, s64 *time)
{
	parser = rust;
	return (rust ? rust_decode_time : x509_decode_time)(time, 2, tag, data, size);
}
