// SPDX-License-Identifier: MIT OR Apache-2.0

//! The test kernels' keys and ways on the host, so that the kernel's own code can be asked there.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use modsig::verify::{CertificateHash, DigestAlgorithm, Error, Flags, Tree};
use modsig_testing::ml_dsa;
use modsig_tools::{
    compression::Compression,
    image::{self, Hashes},
    keys,
    platform::{outcome, Host, Mode},
};
use openssl::x509::X509;

use crate::{
    corpus::{
        cases::{tbs, Change, MODULE_INIT_COMPRESSED_FILE},
        recipe::Pantry,
    },
    machine::{
        boot::Boot,
        firmware::{DB, DBX, DBX_FILE},
        kernels::{Kernel, Series, HASHES, INTEGRITY, KEYLESS},
    },
};

/// The same keys on the host as in the test kernels (`scripts/build/keys`), and what such a kernel
/// knows of modules' hashes.
pub fn host(directory: &Path, series: &Series, hashes: Option<Hashes>) -> Result<Host> {
    let mut host = Host::new(tree(series));
    if let Some(Hashes { root, keys }) = hashes {
        host.accept_hashes(root);
        if !keys {
            host.accept_no_keys();
        }
    }
    host.verify_ml_dsa_by(ml_dsa::verify);
    if series.is_6() {
        // qemu/series/7.config has it.
        host.leave_out(DigestAlgorithm::Sha1);
    }
    // As scripts/build/kernel.
    let own = directory.join(format!("trusted-{}.pem", series.major()));
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
        let tbs = tbs(&encoded).with_context(|| path.display().to_string())?;
        host.blacklist_certificate(openssl::sha::sha256(tbs).to_vec());
    }
    Ok(host)
}

/// A kernel whose keyrings change between two loads.
pub struct Changing {
    /// As it is now.
    pub now: Host,
    /// Without the certificate that was trusted last.
    without: Host,
}

impl Changing {
    /// As it is at first.
    pub fn new(host: Host) -> Self {
        Changing {
            without: host.clone(),
            now: host,
        }
    }

    /// Does with a file to this kernel what is done to the real one.
    pub fn change(&mut self, change: Change, file: &[u8]) -> Result<()> {
        match change {
            Change::Trust => {
                self.without = self.now.clone();
                self.now.trust(&*X509::from_der(file)?)?;
            }
            Change::Distrust | Change::Revoke => self.now = self.without.clone(),
            Change::BlacklistFile => {
                let digest = openssl::sha::sha256(file);
                self.now.blacklist(digest);
                self.without.blacklist(digest);
            }
            Change::BlacklistCertificate => {
                let digest = openssl::sha::sha256(tbs(file)?).to_vec();
                self.now.blacklist_certificate(digest.clone());
                self.without.blacklist_certificate(digest);
            }
        }
        Ok(())
    }
}

/// Trusts and refuses what the firmware's variables have ([`crate::machine::firmware`]).
pub fn add_firmware(host: &mut Host, pantry: &Pantry) -> Result<()> {
    for name in DB {
        let certificate = pantry.certificate(name)?;
        host.trust_platform(&certificate)?;
    }
    for name in DBX {
        let certificate = pantry.certificate(name)?;
        host.revoke(&certificate)?;
    }
    host.blacklist(openssl::sha::sha256(
        &pantry.make(&DBX_FILE.map(str::to_owned))?,
    ));
    Ok(())
}

/// How the test kernels' own C verifier goes about things.
fn tree(series: &Series) -> Tree {
    let is_6 = series.is_6();
    Tree {
        ml_dsa: !is_6,
        ml_dsa_attributes: !is_6,
        certificate_hash: if is_6 {
            CertificateHash::OfSignature
        } else {
            CertificateHash::Sha256
        },
        file_hashes: is_6,
    }
}

impl Boot {
    /// How the image that is booted knows modules by their hashes.
    pub fn hashes(&self, kernel: &Kernel) -> Result<Option<Hashes>> {
        let path = kernel.path(self.image);
        let hashes = image::read(&path)?.hashes;
        let keys = match self.flavour {
            HASHES | INTEGRITY => Some(true),
            KEYLESS => Some(false),
            _ => None,
        };
        ensure!(
            hashes.map(|hashes| hashes.keys) == keys,
            "{}: built with other options than {} has",
            path.display(),
            self.flavour
        );
        Ok(hashes)
    }
}

/// What the kernel's code on the host makes of a file, and whether that is what is expected of a
/// kernel.
pub fn on_host(
    host: &Host,
    file: &[u8],
    flags: u8,
    mode: Mode,
    expected: &str,
) -> Result<(&'static str, bool)> {
    let unpacked;
    let file = if flags & MODULE_INIT_COMPRESSED_FILE == 0 {
        file
    } else {
        let compression = Compression::of(file).context("not compressed")?;
        unpacked = compression.unpack(file)?;
        &unpacked
    };
    let flags = Flags {
        ignore_modversions: flags & 1 != 0,
        ignore_vermagic: flags & 2 != 0,
    };
    let checked = host.check(file, flags);
    let observed = outcome(&checked, mode);
    // OpenSSL says only that a signature is wrong, the kernel also in what way.
    let wrong_in_some_way = matches!(
        checked.result,
        Err(Error::CertificateSignature(_) | Error::EmbeddedSignature(_))
    ) && ["EBADMSG", "EINVAL"].contains(&expected);
    // The loader finds something else wrong with a module that it was let have.
    let not_a_module = expected == "ENOEXEC" && observed.starts_with("loads");
    let as_expected = observed == expected || wrong_in_some_way || not_a_module;
    Ok((observed, as_expected))
}

#[cfg(test)]
mod tests {
    use modsig::verify::merkle::Root;

    use super::*;
    use crate::{
        corpus::{cases::Table, proofs::tests::build},
        machine::{
            boot::MODES,
            kernels::{self, IMAGE, IMAGE_NO_ROOT},
        },
    };

    #[test]
    fn the_host_says_what_the_table_of_hashes_says() {
        let keys = kernels::keys().unwrap();
        let work = tempfile::tempdir().unwrap();
        let root = build(work.path(), &["test_module", "test_hexdump"]);
        let pantry = Pantry {
            keys: keys.clone(),
            kernel: work.path().into(),
        };
        let files: Vec<_> = Table::Hashes
            .cases("6.12")
            .unwrap()
            .into_iter()
            .map(|case| (pantry.make(&case.recipe).unwrap(), case))
            .collect();
        let mut odd = vec![];
        for (flavour, image, root) in [
            (HASHES, IMAGE, root),
            (KEYLESS, IMAGE, root),
            (KEYLESS, IMAGE_NO_ROOT, Root::default()),
        ] {
            let hashes = Hashes {
                root,
                keys: flavour == HASHES,
            };
            let mut host = host(&keys, &Series::new("6.12"), Some(hashes)).unwrap();
            if hashes.keys {
                host.accept_releases();
            }
            for mode in MODES {
                let boot = Boot {
                    name: "",
                    flavour,
                    image,
                    table: Table::Hashes,
                    mode,
                };
                for (file, case) in &files {
                    let expected = boot.expected(case, "finit", mode);
                    let (observed, as_expected) =
                        on_host(&host, file, case.flags, mode, expected).unwrap();
                    if !as_expected {
                        let name = &case.name;
                        odd.push(format!("{name}: {flavour}, {image}, {mode:?}: {observed}"));
                    }
                }
            }
        }
        assert_eq!(odd, Vec::<String>::new());
    }
}
