/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the X.509 parser in Rust tells C.  The same as kernel/module/modsig/x509_fields.rs, which says what
 * each is.
 */
#ifndef _X509_RUST_H
#define _X509_RUST_H

#include <linux/types.h>

/* A part of the certificate.  What is not in it has no data. */
struct x509_rust_bytes {
	const void *data;
	size_t size;
};

struct x509_rust_fields {
	struct x509_rust_bytes tbs;
	struct x509_rust_bytes serial;
	struct x509_rust_bytes issuer;
	struct x509_rust_bytes subject;
	struct x509_rust_bytes issuer_shown[2];
	struct x509_rust_bytes subject_shown[2];
	struct x509_rust_bytes key;
	struct x509_rust_bytes key_oid;
	struct x509_rust_bytes key_parameters;
	struct x509_rust_bytes subject_key_id;
	struct x509_rust_bytes authority_serial;
	struct x509_rust_bytes authority_issuer;
	struct x509_rust_bytes authority_key_id;
	struct x509_rust_bytes signature;
	const char *key_algorithm;
	const char *signature_algorithm;
	const char *signature_encoding;
	const char *digest;
	s64 not_before;
	s64 not_after;
	bool digital_signature;
	bool certificate_signature;
	bool authority;
};

enum x509_rust_result {
	X509_RUST_GOOD,
	X509_RUST_MALFORMED,
	X509_RUST_UNSUPPORTED,
	X509_RUST_INVALID,
	X509_RUST_TOO_LONG,
	X509_RUST_REJECTED,
};

/* x509_cert_rust.c */
struct asymmetric_key_id;
int x509_rust_errno(u32 result);
int x509_make_id(struct asymmetric_key_id **id, const struct x509_rust_bytes *first,
		 const struct x509_rust_bytes *second);

u32 x509_rust_parse(const void *data, size_t size, bool ml_dsa,
		    struct x509_rust_fields *fields);
u32 x509_rust_decode_time(u8 tag, const void *data, size_t size, s64 *time);

#endif
