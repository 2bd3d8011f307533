// SPDX-License-Identifier: GPL-2.0

//! The test kernels' keys and ways on the host, so that the kernel's own code can be asked there.

use std::path::Path;

use anyhow::{anyhow, Result};
use modsig::verify::{cms::Dialect, der::Reader, x509, CertificateHash, DigestAlgorithm, Tree};
use modsig_tools::{image::Hashes, keys, platform::Host};

use crate::ml_dsa;

/// The same keys on the host as in the test kernels (`scripts/build/keys`), and what such a kernel
/// knows of modules' hashes.
pub fn host(directory: &Path, series: &str, hashes: Option<Hashes>) -> Result<Host> {
    let mut host = Host::new(tree(series));
    if let Some(Hashes { root, keys }) = hashes {
        host.accept_hashes(root);
        if !keys {
            host.accept_no_keys();
        }
    }
    host.verify_ml_dsa_by(ml_dsa::verify);
    if series == "6.12" {
        // qemu/series/7.3.config has it.
        host.leave_out(DigestAlgorithm::Sha1);
    }
    // As scripts/build/kernel.
    let own = directory.join(format!("trusted-{series}.pem"));
    let trusted = if own.exists() {
        own
    } else {
        directory.join("trusted.pem")
    };
    for certificate in keys::certificates(&trusted)? {
        host.trust(&certificate)?;
    }
    for certificate in keys::certificates(&directory.join("revoked.pem"))? {
        host.revoke(&certificate)?;
    }
    let blacklisted = std::fs::read(directory.join("blacklisted.ko"))?;
    host.blacklist(openssl::sha::sha256(&blacklisted));
    for name in ["blocked", "inter-blocked"] {
        let path = directory.join(format!("{name}.cert.pem"));
        let encoded = keys::certificate(&path)?.to_der()?;
        let whole = Reader::new(&encoded).any();
        let certificate = whole.and_then(|whole| x509::parse(&whole, false));
        let tbs = certificate
            .map_err(|error| anyhow!("{}: {error}", path.display()))?
            .tbs;
        host.blacklist_certificate(openssl::sha::sha256(tbs).to_vec());
    }
    Ok(host)
}

/// How the test kernels' own C verifier goes about things.
fn tree(series: &str) -> Tree {
    let is_6_12 = series == "6.12";
    Tree {
        dialect: Dialect {
            ml_dsa: !is_6_12,
            ml_dsa_attributes: !is_6_12,
        },
        certificate_hash: if is_6_12 {
            CertificateHash::OfSignature
        } else {
            CertificateHash::Sha256
        },
        file_hashes: is_6_12,
    }
}
