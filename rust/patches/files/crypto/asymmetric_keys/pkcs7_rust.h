/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the PKCS#7 parser in Rust tells C.  The same as kernel/module/modsig/pkcs7_fields.rs, which says what
 * each is.
 */
#ifndef _PKCS7_RUST_H
#define _PKCS7_RUST_H

#include "x509_rust.h"

struct pkcs7_rust_message {
	struct x509_rust_bytes content;
	struct x509_rust_bytes content_whole;
	struct x509_rust_bytes certificates;
	struct x509_rust_bytes signers;
	u8 version;
	bool authenticode;
};

struct pkcs7_rust_signer {
	struct x509_rust_bytes id[2];
	struct x509_rust_bytes signature;
	struct x509_rust_bytes attributes;
	struct x509_rust_bytes message_digest;
	const char *digest;
	const char *key_algorithm;
	const char *encoding;
	s64 signing_time;
	bool has_signing_time;
	bool takes_data;
};

u32 pkcs7_rust_parse(const void *data, size_t size, bool ml_dsa, struct pkcs7_rust_message *message);
bool pkcs7_rust_certificate(struct x509_rust_bytes *rest, struct x509_rust_bytes *certificate);
u32 pkcs7_rust_signer(struct x509_rust_bytes *rest, const struct pkcs7_rust_message *message,
		      bool ml_dsa, struct pkcs7_rust_signer *signer);

#endif
