// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{ensure, Context, Result};
use modsig::verify::{der::Reader, merkle::HASH_SIZE};
use modsig_tools::{
    certificate::{extension, is_authority, key_algorithm, name, CertificateIds},
    files,
    hex::encode as hex,
    image::{self, Evidence, Hash, Hashes, Image, List},
};
use openssl::{
    asn1::Asn1Time,
    hash::{hash, MessageDigest},
    nid::Nid,
    pkey::Id,
    x509::X509Ref,
};
use serde::Serialize;

use crate::cli::{
    output::{self, Named},
    report,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kernel image of any machine: vmlinux, bzImage, zImage, Image, Image.gz, EFI zboot, unified kernel image (UKI)
    image: PathBuf,
    /// Also write each certificate (PEM) into this directory
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = &arguments.image;
    let image = image::read(path)?;
    if let Some(directory) = &arguments.output {
        std::fs::create_dir_all(directory).with_context(|| {
            format!(
                "{}: cannot make this directory; give one that can be written to",
                directory.display()
            )
        })?;
    }
    let mut text = headline(path, &image);
    let mut objects = vec![];
    let now = Asn1Time::days_from_now(0)?;
    for certificate in &image.certificates {
        let list = certificate.list;
        let sha256 = hex(&hash(MessageDigest::sha256(), &certificate.der)?);
        let x509 = match certificate.x509() {
            Ok(x509) => x509,
            Err(error) => {
                let _ = write!(text, "\n\n{}: {error:#}\n  SHA-256: {sha256}", list.name());
                objects.push(Listed {
                    list: list.name(),
                    sha256,
                    content: Content::Unreadable {
                        error: format!("{error:#}"),
                    },
                    file: None,
                });
                continue;
            }
        };
        let described = Description::new(&x509, &now)?;
        let _ = write!(text, "\n\n{}: {}", list.name(), described.subject);
        text += &described.text(&sha256);
        let mut written = None;
        if let Some(directory) = &arguments.output {
            let file = directory.join(file_name(list, &described.subject, &sha256));
            write_new(&file, &x509.to_pem()?)?;
            let _ = write!(text, "\n  written: {}", file.display());
            written = Some(Named::new(&file));
        }
        objects.push(Listed {
            list: list.name(),
            sha256,
            content: Content::Certificate(described),
            file: written,
        });
    }
    if !image.blacklist.is_empty() {
        text += "\n\nrefused hashes:";
    }
    let mut hashes = vec![];
    for refused in &image.blacklist {
        let (kind, digest) = match refused {
            Hash::Certificate(digest) => ("certificate", digest),
            Hash::File(digest) => ("file", digest),
        };
        let _ = write!(text, "\n  {kind} {}", hex(digest));
        hashes.push(Refused {
            kind,
            digest: hex(digest),
        });
    }
    if let Some(Hashes { root, keys }) = &image.hashes {
        let what = match (root.hash == [0; HASH_SIZE], keys) {
            (true, _) => "none yet, so that no module is let in by its hash",
            (false, true) => "modules of its build are let in by their hashes, others by keys",
            (false, false) => "only modules of its build are let in, whoever signed others",
        };
        let _ = write!(
            text,
            "\n\nroot of module hashes: {what}\n  levels: {}\n  root: {}",
            root.levels,
            hex(&root.hash)
        );
    }
    if image.takes_releases == Some(true) {
        text += "\n\none signature for all modules of a release is taken";
    }
    if arguments.json {
        output::print(&Found {
            image: Named::new(path),
            layers: &image.layers,
            machine: image.machine.name(),
            release: image.release.as_deref(),
            evidence: match image.evidence {
                Evidence::Symbols => "symbols",
                Evidence::Structure => "structure",
                Evidence::Nothing => "nothing",
            },
            certificates: objects,
            blacklist: hashes,
            hashes: image.hashes.map(|Hashes { root, keys }| Root {
                levels: root.levels,
                root: hex(&root.hash),
                keys,
            }),
            releases: image.takes_releases,
        })?;
    } else {
        report::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What JSON has of an image.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    image: Named,
    layers: &'a [&'static str],
    machine: String,
    release: Option<&'a str>,
    /// How the certificates were found.
    evidence: &'static str,
    certificates: Vec<Listed>,
    blacklist: Vec<Refused>,
    hashes: Option<Root>,
    /// Whether a signature for a release is taken, if that is known.
    releases: Option<bool>,
}

/// A certificate in a list.
#[derive(Serialize)]
struct Listed {
    list: &'static str,
    sha256: String,
    #[serde(flatten)]
    content: Content,
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Named>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Certificate(Description),
    Unreadable { error: String },
}

/// A hash that is refused.
#[derive(Serialize)]
struct Refused {
    kind: &'static str,
    digest: String,
}

/// Of the tree of module hashes.
#[derive(Serialize)]
struct Root {
    levels: u32,
    root: String,
    keys: bool,
}

/// What the image is and how much was found.
fn headline(path: &Path, image: &Image) -> String {
    let count = |list| {
        let all = image.certificates.iter();
        all.filter(|certificate| certificate.list == list).count()
    };
    let mut text = format!(
        "{}: Linux {} for {} ({}): {} built in",
        path.display(),
        image.release.as_deref().unwrap_or("of unknown release"),
        image.machine.name(),
        image.layers.join(", "),
        count(List::Builtin),
    );
    for (number, what) in [
        (count(List::Extra), "put in later"),
        (count(List::Revoked), "revoked"),
        (image.blacklist.len(), "hashes refused"),
    ] {
        if number != 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    text += match image.evidence {
        Evidence::Symbols => "; located by the symbol table",
        Evidence::Structure => "; no symbol table, located by structure",
        Evidence::Nothing => {
            "\nNothing in it looks like a list of certificates. Either it was built without \
             (CONFIG_SYSTEM_TRUSTED_KEYRING=n, or neither CONFIG_MODULE_SIG_KEY nor \
             CONFIG_SYSTEM_TRUSTED_KEYS give one), or a linker put them where they are not looked \
             for; its vmlinux with symbols tells which."
        }
    };
    text
}

/// Writes a file, or finds it written.
fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        ensure!(
            std::fs::read(path).is_ok_and(|old| old == content),
            "{}: is there already with another content, and was left as it is; give another directory",
            path.display()
        );
        return Ok(());
    }
    files::create(path, 0o644, content)
}

/// A name for a certificate's file that says what it is and is safe in every shell.
fn file_name(list: List, subject: &str, sha256: &str) -> String {
    let subject = subject.strip_prefix("CN=").unwrap_or(subject);
    let mut safe = String::new();
    for character in subject.chars().take(80) {
        if character.is_ascii_alphanumeric() {
            safe.push(character);
        } else if !safe.is_empty() && !safe.ends_with('-') {
            safe.push('-');
        }
    }
    let safe = safe.trim_end_matches('-');
    format!("{}-{safe}-{}.pem", list.name(), &sha256[..16])
}

/// Bits of a KeyUsage, from the first on (RFC 5280 section 4.2.1.3).
const USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

#[derive(Serialize)]
struct Description {
    subject: String,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    expired: bool,
    key: String,
    /// `None` if the certificate does not restrict it.
    usage: Option<Vec<&'static str>>,
    #[serde(rename = "ca")]
    is_ca: bool,
    subject_key_id: Option<String>,
    notes: Vec<&'static str>,
}

impl Description {
    fn new(x509: &X509Ref, now: &Asn1Time) -> Result<Self> {
        let ids = CertificateIds::new(x509)?;
        let der = x509.to_der()?;
        let usage = extension(&der, &[0x55, 0x1d, 0x0f]).map(|content| {
            let bits = Reader::new(content).element(0x03);
            let bits = bits.map_or(&[][..], |bits| bits.content.get(1..).unwrap_or_default());
            let is_set = |bit: &usize| {
                let octet = bits.get(bit / 8).copied().unwrap_or_default();
                octet & (0x80 >> (bit % 8)) != 0
            };
            let set = (0..USAGES.len()).filter(is_set);
            set.map(|bit| USAGES[bit]).collect::<Vec<_>>()
        });
        let is_ca = is_authority(x509);
        let expired = x509.not_after() < now;
        let signs = |what| usage.as_ref().is_none_or(|usage| usage.contains(&what));
        let notes = [
            (
                expired,
                "expired; the kernel does not mind, it does not look at dates",
            ),
            (
                !signs("digitalSignature"),
                "not meant for signatures (no digitalSignature); the kernel takes modules signed with it all the same",
            ),
            (
                is_ca,
                "a CA: whoever it certifies may sign modules as well, if they bring their certificates",
            ),
            (
                ids.subject_key_id.is_none(),
                "no SubjectKeyIdentifier: signatures that name their signer by it (sign-file -k) do not find it",
            ),
        ];
        Ok(Description {
            subject: name(x509.subject_name()),
            issuer: name(x509.issuer_name()),
            serial: hex(&ids.serial),
            not_before: x509.not_before().to_string(),
            not_after: x509.not_after().to_string(),
            expired,
            key: key(x509, &ids),
            usage,
            is_ca,
            subject_key_id: ids.subject_key_id.as_deref().map(hex),
            notes: notes
                .into_iter()
                .filter_map(|(applies, note)| applies.then_some(note))
                .collect(),
        })
    }

    fn text(&self, sha256: &str) -> String {
        let issuer = match &self.issuer {
            issuer if *issuer == self.subject => "itself",
            issuer => issuer,
        };
        let usage = match &self.usage {
            Some(usage) => usage.join(", "),
            None => "not restricted".to_owned(),
        };
        let key_id = self.subject_key_id.as_deref().unwrap_or("none");
        let mut text = format!(
            "\n  issuer: {issuer}\n  serial: {}\n  valid: {} to {}\n  key: {}\n  usage: {usage}{}\n  key id: {key_id}\n  SHA-256: {sha256}",
            self.serial,
            self.not_before,
            self.not_after,
            self.key,
            if self.is_ca { "; CA" } else { "" },
        );
        for note in &self.notes {
            let _ = write!(text, "\n  note: {note}");
        }
        text
    }
}

/// Kind and size of the key.
fn key(x509: &X509Ref, ids: &CertificateIds) -> String {
    let kind = key_algorithm(&ids.public_key_info);
    match (kind, x509.public_key()) {
        (Some(algorithm), _) if algorithm.is_ml_dsa() => algorithm.name().to_owned(),
        (_, Ok(key)) if key.id() == Id::RSA => format!("RSA, {} bits", key.bits()),
        (_, Ok(key)) if key.id() == Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            let curve = curve.map_or("an unnamed curve", |curve| match curve {
                Nid::X9_62_PRIME192V1 => "P-192",
                Nid::X9_62_PRIME256V1 => "P-256",
                Nid::SECP384R1 => "P-384",
                Nid::SECP521R1 => "P-521",
                other => other.short_name().unwrap_or("another curve"),
            });
            format!("EC, {curve}")
        }
        (_, Ok(key)) => format!(
            "{} (modules cannot be signed with it)",
            Nid::from_raw(key.id().as_raw())
                .long_name()
                .unwrap_or("unknown")
        ),
        (_, Err(_)) => "of a kind that OpenSSL does not know".to_owned(),
    }
}
