// SPDX-License-Identifier: MIT OR Apache-2.0

//! The case tables (`cases.toml`, `hashes.toml`, `releases.toml`, `platform.toml`, `ima.toml`).

use anyhow::{anyhow, ensure, Context, Result};
use modsig::verify::{der::Reader, x509};
use serde::Deserialize;

/// The kernel release that `modprobe` is told to take its modules from.
pub const RELEASE: &str = "0.0";

/// Tells finit_module(2) that the file is compressed (linux/module.h).
pub const MODULE_INIT_COMPRESSED_FILE: u8 = 4;

/// Tells it to take a module of whatever version.
const IGNORE_VERMAGIC: u8 = 2;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What a person calls it.
    pub name: String,
    /// How its file is made.
    pub recipe: Vec<String>,
    /// What must come of it.
    pub expect: Expect,
    /// What the C verifier makes of it, where that differs.
    pub c: Option<Expect>,
    /// What a kernel that goes by hashes only makes of it, where that differs.
    pub keyless: Option<Expect>,
    /// What a kernel that does not know signatures for releases makes of it. Without it: that nobody has
    /// vouched for the module.
    pub older: Option<Expect>,
    /// What is done with the file to the kernel's keyrings, in place of loading it.
    pub keys: Option<Change>,
    /// The major version of the kernels that it is for, if not for all.
    pub only: Option<String>,
    /// The kmod command that is to insert it, in place of the system calls.
    pub kmod: Option<String>,
    /// Flags for finit_module(2); of a command, those that it gives.
    #[serde(default)]
    pub flags: u8,
    /// init_module(2) does not come as far as the signature: the file is shorter than an ELF
    /// header.
    #[serde(default)]
    pub short: bool,
}

impl Case {
    /// The attempts that are made, by their calls: one, or two where init_module(2) is tried as
    /// well, which has no flags.
    pub fn attempts(&self) -> &'static [&'static str] {
        match (&self.keys, &self.kmod, self.flags, self.short) {
            (Some(_), ..) => &["keys"],
            (None, Some(_), ..) => &["kmod"],
            (None, None, 0, false) => &["finit", "init"],
            _ => &["finit"],
        }
    }

    /// The letters of taint that the module has in the kernel, if it is one that taints.
    pub fn taint(&self) -> &'static str {
        match self.flags & IGNORE_VERMAGIC {
            0 => "E",
            _ => "FE",
        }
    }

    /// Its line in the list that the guest works through (`guest/init.c`). `file` is what its recipe
    /// makes.
    ///
    /// # Errors
    ///
    /// If what is to be blacklisted is no certificate.
    pub fn list_line(&self, index: usize, file: &[u8]) -> Result<String> {
        let how = match (&self.keys, &self.kmod, self.attempts().len()) {
            (Some(change), ..) => change.command(file)?,
            (None, Some(command), _) if command.starts_with("modprobe") => {
                format!("k{command} -S {RELEASE} case{index:03}")
            }
            (None, Some(command), _) => format!("k{command} /cases/{index:03}"),
            (None, None, 1) => "f".to_owned(),
            (None, None, _) => "b".to_owned(),
        };
        Ok(format!("{index:03} {}{how}\n", self.flags))
    }
}

/// What is done to the kernel's keyrings between two loads.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The file, a certificate, goes into the secondary keyring.
    Trust,
    /// The certificate that was trusted last is taken out again.
    Distrust,
    /// Its key is revoked where it is (keyctl(2)).
    Revoke,
    /// The file is blacklisted by its hash.
    BlacklistFile,
    /// The file, a certificate, is blacklisted by that of its TBSCertificate.
    BlacklistCertificate,
}

impl Change {
    /// How it stands in the guest's list.
    fn command(self, file: &[u8]) -> Result<String> {
        Ok(match self {
            Change::Trust => "+".to_owned(),
            Change::Distrust => "-".to_owned(),
            Change::Revoke => "!".to_owned(),
            Change::BlacklistFile | Change::BlacklistCertificate => {
                format!("~{}", self.description(file)?)
            }
        })
    }

    /// What the blacklist calls the file.
    pub fn description(self, file: &[u8]) -> Result<String> {
        let (kind, octets) = match self {
            Change::BlacklistCertificate => ("tbs", tbs(file)?),
            _ => ("bin", file),
        };
        let hash = openssl::sha::sha256(octets);
        let hash: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(format!("{kind}:{hash}"))
    }
}

/// The TBSCertificate of an encoded certificate.
pub fn tbs(encoded: &[u8]) -> Result<&[u8]> {
    let whole = Reader::new(encoded).any();
    let certificate = whole.and_then(|whole| x509::parse(&whole, false));
    let certificate = certificate.map_err(|error| anyhow!("no certificate: {error}"))?;
    Ok(certificate.tbs)
}

/// What must come of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Expect {
    /// In every mode; `soft` stands for what is done with modules nobody has vouched for.
    Always(String),
    /// Permissive, enforcing, locked down.
    PerMode([String; 3]),
    /// Where init_module(2) says something else than finit_module(2).
    PerCall {
        /// Of finit_module(2), and of kmod, which calls that.
        finit: Box<Expect>,
        /// Of init_module(2).
        init: Box<Expect>,
    },
}

/// A table of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `cases.toml`
    Signatures,
    /// `hashes.toml`
    Hashes,
    /// `releases.toml`
    Releases,
    /// `platform.toml`
    Platform,
    /// `ima.toml`
    Ima,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

impl Table {
    /// The name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Table::Signatures => "cases.toml",
            Table::Hashes => "hashes.toml",
            Table::Releases => "releases.toml",
            Table::Platform => "platform.toml",
            Table::Ima => "ima.toml",
        }
    }

    /// The cases for a kernel series, in order.
    pub fn cases(self, series: &str) -> Result<Vec<Case>> {
        let name = self.file();
        let text = match self {
            Table::Signatures => include_str!("../../cases.toml"),
            Table::Hashes => include_str!("../../hashes.toml"),
            Table::Releases => include_str!("../../releases.toml"),
            Table::Platform => include_str!("../../platform.toml"),
            Table::Ima => include_str!("../../ima.toml"),
        };
        let file: File = toml::from_str(text).context(name)?;
        let mut names: Vec<_> = file.case.iter().map(|case| &case.name).collect();
        names.sort_unstable();
        names.dedup();
        ensure!(
            names.len() == file.case.len(),
            "{name}: two cases have one name"
        );
        let wanted = |case: &Case| {
            case.only
                .as_ref()
                .is_none_or(|only| series.split('.').next() == Some(only))
        };
        Ok(file.case.into_iter().filter(wanted).collect())
    }
}
