// SPDX-License-Identifier: GPL-2.0

//! X.509 certificates and PKCS#7 messages, read in Rust for all of the kernel. EXPERIMENTAL.
//!
//! The parser is that of the verifier of module signatures; a crate of its own, so that it does not
//! take that verifier to be built in.

#[cfg(CONFIG_PKCS7_RUST)]
#[path = "../../kernel/module/modsig/pkcs7_fields.rs"]
mod pkcs7_fields;
// Private, so that the compiler drops what is not used.
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../../kernel/module/modsig/verify/mod.rs"]
mod verify;
#[path = "../../kernel/module/modsig/x509_fields.rs"]
mod x509_fields;
