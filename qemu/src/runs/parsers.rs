// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gives certificates and PKCS#7 messages to two kernels by add_key(2), one with the parsers in C, one with
//! those in Rust (`CONFIG_X509_RUST`, `CONFIG_PKCS7_RUST`), and says where they differ.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::{cms, x509};
use modsig_testing::vm::{self, Arch};
use openssl::{
    cms::{CMSOptions, CmsContentInfo},
    pkey::{PKey, Private},
    stack::Stack,
    x509::X509,
};

use super::outcome::Outcome;
use crate::{
    corpus::compare::{
        der::Node,
        mutate::{mutate, Rng, OPERATIONS},
    },
    judge::compare::{reason, Documented},
    machine::{
        guest::Guest,
        kernels::{self, Kernel, IMAGE},
    },
    verdict::{
        compare::Verdict,
        parsers::{parse, Said},
    },
};

/// How many bytes the kernel's C decoder takes, and add_key(2).
const MOST: usize = 65535;
const MOST_OF_KEYS: usize = (1 << 20) - 1;

/// How long a guest may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// What is compared.
pub struct Comparison<'a> {
    /// The architecture.
    pub arch: Arch,
    /// The kernel with the parsers in C.
    pub c: Kernel,
    /// The one with the parsers in Rust.
    pub rust: Kernel,
    /// Chooses the mutants.
    pub seed: u64,
    /// Certificates in PEM, as many as there are in the file.
    pub real: &'a Path,
    /// Images for kexec_file_load(2).
    pub images: &'a [std::path::PathBuf],
}

/// Something for add_key(2), and what it is.
struct Case {
    name: String,
    is_message: bool,
    bytes: Vec<u8>,
}

/// The test keys whose messages are tried: two that are trusted, one through another one, one that is not.
const SIGNERS: [&str; 4] = ["rsa2048", "p256", "leaf", "stray"];

/// What such messages have: the certificate or not, attributes or not, content or not.
const FORMS: [(&str, CMSOptions); 5] = [
    (
        "attributes",
        CMSOptions::CMS_NOCERTS.union(CMSOptions::NOSMIMECAP),
    ),
    (
        "no attributes",
        CMSOptions::CMS_NOCERTS.union(CMSOptions::NOATTR),
    ),
    ("certificate", CMSOptions::NOATTR),
    ("S/MIME capabilities", CMSOptions::CMS_NOCERTS),
    (
        "detached",
        CMSOptions::CMS_NOCERTS
            .union(CMSOptions::NOATTR)
            .union(CMSOptions::DETACHED),
    ),
];

impl Comparison<'_> {
    /// Says whether Rust took nothing that C refuses, made the same key of the rest, and refuses only
    /// what it is said to.
    pub fn run(&self, outcome: &mut Outcome) -> Result<()> {
        self.c.series.name().clone_into(&mut outcome.series);
        let cases = self.cases(&kernels::keys()?)?;
        println!("Linux {}: {} cases", self.c.series, cases.len());
        let c = self.boot("c", &self.c, &cases)?;
        let rust = self.boot("rust", &self.rust, &cases)?;
        report(&cases, &c, &rust, outcome)
    }

    fn boot(&self, name: &str, kernel: &Kernel, cases: &[Case]) -> Result<Said> {
        let console = format!("parsers-{}-{}-{name}", kernel.series, self.arch.name);
        let mut guest = Guest::new(self.arch, &kernel.path(IMAGE), &console);
        guest.program("parsers")?;
        let mut corpus = vec![];
        for case in cases {
            corpus.extend(u32::from(case.is_message).to_le_bytes());
            corpus.extend(u32::try_from(case.bytes.len())?.to_le_bytes());
            corpus.extend(&case.bytes);
        }
        guest.files.file("corpus", &corpus);
        guest.files.directory("kexec");
        for (index, image) in self.images.iter().enumerate() {
            let image = fs::read(image).with_context(|| image.display().to_string())?;
            guest.files.file(&format!("kexec/{index}"), &image);
        }
        // Messages for anything.
        guest.append = "loglevel=4 pkcs7_test_key.usage=5".to_owned();
        guest.options = vm::Options {
            limit: LIMIT,
            memory: 2048,
            ..vm::Options::default()
        };
        parse(&guest.boot()?, cases.len(), self.images.len())
            .with_context(|| format!("{}, {name}", guest.console.display()))
    }

    fn cases(&self, keys: &Path) -> Result<Vec<Case>> {
        let mut cases = vec![];
        let mut rng = Rng::new(self.seed);
        let mut add = |name: String, is_message, bytes| {
            cases.push(Case {
                name,
                is_message,
                bytes,
            });
        };
        let real = fs::read(self.real).with_context(|| self.real.display().to_string())?;
        for (index, certificate) in X509::stack_from_pem(&real)?.iter().enumerate() {
            add(format!("real {index}"), false, certificate.to_der()?);
        }
        let mut names: Vec<_> = fs::read_dir(keys)?.collect::<Result<_, _>>()?;
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".key.pem") && !name.starts_with("mldsa") {
                let key = PKey::private_key_from_pem(&fs::read(entry.path())?)?;
                add(
                    format!("{name}, PKCS#8"),
                    false,
                    key.private_key_to_pkcs8()?,
                );
            }
            let Some(name) = name.strip_suffix(".cert.pem") else {
                continue;
            };
            let whole = X509::from_pem(&fs::read(entry.path())?)?.to_der()?;
            for (what, changed) in changes(&whole, &mut rng)? {
                add(format!("certificate {name}, {what}"), false, changed);
            }
            if !SIGNERS.contains(&name) {
                continue;
            }
            let key = fs::read(keys.join(format!("{name}.key.pem")))?;
            let key: PKey<Private> = PKey::private_key_from_pem(&key)?;
            let certificate = X509::from_der(&whole)?;
            for (form, options) in FORMS {
                let options = options | CMSOptions::BINARY;
                let none = Stack::new()?;
                let message = CmsContentInfo::sign(
                    Some(&certificate),
                    Some(&key),
                    Some(&none),
                    Some(b"content"),
                    options,
                )?;
                for (what, changed) in changes(&message.to_der()?, &mut rng)? {
                    add(format!("message of {name}, {form}, {what}"), true, changed);
                }
            }
        }
        for size in [1, 2, 3, 4, 100, 1000] {
            let noise: Vec<_> = (0..size).map(|_| rng.below(256) as u8).collect();
            add(format!("{size} bytes of noise"), false, noise.clone());
            add(format!("{size} bytes of noise"), true, noise);
        }
        Ok(cases)
    }
}

/// What can be made of a certificate or a message: itself, and what is cut, altered, BER, or more than that.
fn changes(whole: &[u8], rng: &mut Rng) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = vec![("whole".to_owned(), whole.to_vec())];
    for at in (1..whole.len()).step_by(whole.len() / 20) {
        all.push((format!("cut at {at}"), whole[..at].to_vec()));
    }
    for _ in 0..60 {
        let at = rng.below(whole.len());
        let mut altered = whole.to_vec();
        altered[at] ^= 1 << rng.below(8);
        all.push((format!("altered at {at}"), altered));
    }
    let root = Node::parse(whole).context("a certificate or message of ours")?;
    let paths = root.paths();
    for operation in OPERATIONS {
        for _ in 0..3 {
            let path = rng.pick(&paths);
            if let Some(mutant) = mutate(&root, path, operation, rng) {
                all.push((format!("{operation:?} at {path:?}"), mutant));
            }
        }
    }
    let body = whole.get(4..).context("a short certificate or message")?;
    let length = u32::try_from(body.len())?.to_be_bytes();
    let padded = [&[0x30, 0x84], &length[..], body].concat();
    all.push(("BER, padded length".to_owned(), padded));
    let indefinite = [&[0x30, 0x80], body, &[0, 0]].concat();
    all.push(("BER, indefinite length".to_owned(), indefinite));
    for (what, end) in [
        ("a zero", &b"\0"[..]),
        ("a newline", b"\n"),
        ("itself", whole),
    ] {
        all.push((format!("and {what}"), [whole, end].concat()));
    }
    for size in [MOST, MOST + 1] {
        let mut huge = whole.to_vec();
        huge.resize(size, 0);
        all.push((format!("{size} bytes"), huge));
    }
    // Few of these, which are large.
    if rng.below(8) == 0 {
        let mut huge = whole.to_vec();
        huge.resize(MOST_OF_KEYS, 0);
        all.push((format!("{MOST_OF_KEYS} bytes"), huge));
    }
    Ok(all)
}

/// Says what came of it.
fn report(cases: &[Case], c: &Said, rust: &Said, outcome: &mut Outcome) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Documentation/parsers.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let documented = Documented::parse(&text);
    let (mut taken, mut refused, mut faults) = (0, 0, vec![]);
    let mut stricter: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    let mut numbers: BTreeMap<(Verdict, Verdict), usize> = BTreeMap::new();
    let as_root = c.root.iter().zip(&rust.root);
    let as_user = c.user.iter().zip(&rust.user);
    for ((case, root), user) in cases.iter().zip(as_root).zip(as_user) {
        for (c, rust) in [root, user] {
            let name = &case.name;
            match (&c.result, &rust.result) {
                (0, 0) if c == rust => taken += 1,
                (0, 0) => faults.push(format!("{name}: C {c:?}, Rust {rust:?}")),
                (0, error) => {
                    // With all that this parser knows, as 7.3 has it.
                    let found = match case.is_message {
                        false => x509::read(&case.bytes, true).err(),
                        true => cms::read_general(&case.bytes, true).err(),
                    };
                    let found = found.map_or_else(|| format!("error {error}"), |e| reason(&e));
                    if !documented.names(&found) {
                        faults.push(format!("{name}: only C takes it: {found}"));
                    }
                    let count = stricter.entry(found).or_insert((0, name));
                    count.0 += 1;
                }
                (error, 0) => faults.push(format!("{name}: weaker: C {error}")),
                (one, other) => {
                    refused += 1;
                    if one != other {
                        let key = (Verdict::Refused(*one), Verdict::Refused(*other));
                        *numbers.entry(key).or_default() += 1;
                    }
                }
            }
        }
    }
    for ((c, rust), count) in &numbers {
        println!("  both refuse, C with {c}, Rust with {rust}: {count}");
    }
    for (reason, (count, name)) in &stricter {
        println!("  only C takes it, {reason}: {count}, such as {name}");
    }
    for (index, (c, rust)) in c.images.iter().zip(&rust.images).enumerate() {
        println!("  image {index}: C {}, Rust {}", said(*c), said(*rust));
        if c != rust {
            faults.push(format!("image {index}: C {c}, Rust {rust}"));
        }
    }
    let linked = |said: &Said| {
        said.root
            .iter()
            .filter(|one| one.result == 0 && one.link == 0)
            .count()
    };
    let strict: usize = stricter.values().map(|(count, _)| count).sum();
    outcome.said = format!(
        "calls={} taken={taken} linked={}/{} refused={refused} stricter={strict} faults={}",
        2 * cases.len(),
        linked(c),
        linked(rust),
        faults.len(),
    );
    println!("parsers: {}", outcome.said);
    // A kernel that takes nothing, or everything, shows nothing.
    ensure!(
        taken >= 100 && refused >= 1000,
        "too few were taken, or refused"
    );
    if linked(c) == 0 {
        bail!("no key was good for the secondary keyring");
    }
    outcome.good = faults.is_empty();
    for fault in &faults {
        println!("  {fault}");
    }
    outcome.details = faults;
    Ok(())
}

/// What came of a call.
fn said(errno: u32) -> String {
    match errno {
        0 => "takes it".to_owned(),
        errno => Verdict::Refused(errno).to_string(),
    }
}
