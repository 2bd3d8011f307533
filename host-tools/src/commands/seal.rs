// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing all modules of a build with a key that is gone afterwards, and that build's kernel
//! trusting it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, bail, ensure, Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use modsig::verify::{
    cms,
    der::Reader,
    trailer::{self, Kind},
    DigestAlgorithm, Error, Flags, SignerId, Tree as Verifier,
};
use modsig_tools::{
    certificate::CertificateIds,
    digest::{digest_by_name, message_digest},
    files::{self, Found, Stamp},
    hex,
    image::{self, Area, List},
    library::Library,
    loader::Loadable,
    module::{self, Module},
    new_key::{name, Algorithm},
    one_time::{self, COMMON_NAME},
    parallel,
    platform::Host,
    release::{self, Tree},
};
use openssl::{hash::hash, x509::X509};
use serde::Serialize;

use crate::cli::{
    batch::Writing,
    build_tree::{is_kernel_of, list, put_all, End},
    output,
    report::{self, How},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The modules of the build: its modules.order, or directories with modules; may be repeated
    #[arg(long, required = true, value_name = "PATH")]
    modules: Vec<PathBuf>,
    /// The kernel of that build, into which the certificate is written
    #[arg(long, value_name = "FILE")]
    vmlinux: PathBuf,
    /// Kind of key [default: p256, or rsa-2048 if the kernel has no ECDSA]
    #[arg(long, value_parser = PossibleValuesParser::new(["p256", "p384", "p521", "rsa-2048", "rsa-4096"])
        .try_map(|name| Algorithm::by_name(&name).context("unknown")))]
    algorithm: Option<Algorithm>,
    /// Digest algorithm
    #[arg(long, default_value = "sha512", value_name = "NAME")]
    hash: String,
    /// One signature for all modules, for kernels with CONFIG_MODULE_SIG_RUST_RELEASE
    #[arg(long)]
    release: bool,
    /// Also replace proofs, and signatures that are not from an earlier seal
    #[arg(long)]
    replace: bool,
    /// What is to sign
    #[arg(long, value_name = "NAME", default_value = "auto")]
    library: Library,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    pub(super) how: How,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let digest = digest_by_name(&arguments.hash)?;
    let modules = list(&arguments.modules)?;
    ensure!(
        !modules.is_empty(),
        "no modules (*.ko, *.ko.gz, *.ko.xz, *.ko.zst) found; nothing was done"
    );
    let area = Area::open(&arguments.vmlinux)?;
    let image = image::read(&arguments.vmlinux)?;
    ensure!(
        image.accepts_keys(),
        "{}: takes modules by their hashes only, whoever signed them; build it with CONFIG_MODULE_SIG_RUST_KEYS=y",
        arguments.vmlinux.display()
    );
    ensure!(
        !arguments.release || image.takes_releases != Some(false),
        "{}: takes no signature for a release; build it with CONFIG_MODULE_SIG_RUST_RELEASE=y, or leave --release out",
        arguments.vmlinux.display()
    );
    let algorithm = algorithm(arguments, &area)?;
    ensure!(
        has_digest(&arguments.vmlinux, digest)?,
        "{}: has no {} built in, and could check no signature with it (CONFIG_CRYPTO_*=y, not m); take another --hash, as CONFIG_MODULE_SIG_HASH",
        arguments.vmlinux.display(),
        digest.name()
    );
    let looked = look_at_all(arguments, &modules, digest)?;

    let tree = match arguments.release {
        true => {
            let leaves = looked.iter().map(|module| module.leaf());
            Some(Tree::new(leaves.collect::<Result<_>>()?)?)
        }
        false => None,
    };
    let digests = match &tree {
        Some(tree) => vec![digest_of(digest, &tree.head())?],
        None => looked.iter().map(|module| module.hash.clone()).collect(),
    };
    let jobs = arguments.how.jobs().at_once;
    let signed = one_time::sign(algorithm, digest, arguments.library, jobs, &digests)?;
    if arguments.how.verbose {
        report::say(&signed.signed_by);
    }
    for remark in signed.remarks {
        report::say(&remark);
    }
    let der = signed.certificate.to_der()?;
    area.check(&der)?;

    let ends = match &tree {
        Some(tree) => {
            let message = signed.messages.first().context("nothing was signed")?;
            let ends = looked.iter().map(|module| {
                let position = tree.position(&module.leaf()?);
                let proof = tree.proof(position.context("is not in its own tree")?)?;
                release::end(&proof, message)
            });
            ends.collect::<Result<_>>()?
        }
        None => {
            let ends = signed.messages.iter();
            let ends = ends.map(|message| Ok([&message[..], &module::trailer(message)?].concat()));
            ends.collect::<Result<Vec<Vec<u8>>>>()?
        }
    };
    let all = modules.iter().zip(&looked).zip(&ends);
    let put: Vec<End<'_>> = all
        .map(|((found, module), end)| End {
            found,
            stamp: module.stamp,
            size: module.size,
            packed: module.packed,
            end,
        })
        .collect();
    let (_, wrong) = put_all(&arguments.writing, &arguments.how, &put);
    ensure!(
        wrong < modules.len(),
        "no module could be written; nothing was done"
    );
    Ok(report::begun((|| {
        ensure!(
        wrong == 0,
        "{wrong} modules could not be written, and {} is as it was, so it does not take the others; seal again",
        arguments.vmlinux.display()
    );
        area.write(&der, arguments.writing.waits())?;
        let (wrong, others) = verify_all(arguments, &modules, &der)?;
        if wrong > 0 {
            report::complain(&anyhow!("{wrong} modules are not taken; seal again"));
            return Ok(ExitCode::FAILURE);
        }
        if arguments.how.verbose && !arguments.how.is_json() {
            for found in &modules {
                report::print(&format!("{}: sealed", found.path.display()))?;
            }
        }
        let certificate = &signed.certificate;
        tell(arguments, modules.len(), algorithm, certificate, others)?;
        Ok(ExitCode::SUCCESS)
    })()))
}

/// Whether this kernel has a digest without a module, by the names of its drivers: that of
/// `crypto/*_generic.c`, or where the code is in `lib/crypto`.
fn has_digest(vmlinux: &Path, digest: DigestAlgorithm) -> Result<bool> {
    for driver in ["generic", "lib"] {
        if image::has_string(vmlinux, &format!("{}-{driver}", digest.name()))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The kind of key that this kernel can use.
fn algorithm(arguments: &Arguments, area: &Area) -> Result<Algorithm> {
    let vmlinux = arguments.vmlinux.display();
    let has = |algorithm: Algorithm| match algorithm {
        Algorithm::Rsa2048 | Algorithm::Rsa4096 => true,
        _ => area.ecdsa().contains(&&*algorithm.name()),
    };
    match arguments.algorithm {
        Some(algorithm) => {
            let name = algorithm.name();
            ensure!(
                has(algorithm),
                "{vmlinux}: has no ECDSA with {name} (CONFIG_CRYPTO_ECDSA=y, not m); take --algorithm rsa-2048"
            );
            Ok(algorithm)
        }
        None if has(Algorithm::P256) => Ok(Algorithm::P256),
        None => {
            report::say(&format!(
                "{vmlinux}: has no ECDSA (CONFIG_CRYPTO_ECDSA); the key is of RSA"
            ));
            Ok(Algorithm::Rsa2048)
        }
    }
}

/// A module that can be taken.
struct Looked {
    stamp: Stamp,
    /// Bytes of the module itself.
    size: u64,
    packed: bool,
    /// What is signed: its digest, or, of a release, its leaf.
    hash: Vec<u8>,
    vermagic: String,
}

impl Looked {
    fn leaf(&self) -> Result<release::Hash> {
        let leaf = self.hash[..].try_into();
        leaf.context("was not hashed as a leaf")
    }
}

/// Digests content as it is signed.
fn digest_of(digest: DigestAlgorithm, content: &[u8]) -> Result<Vec<u8>> {
    let algorithm = message_digest(digest)
        .with_context(|| format!("{} cannot be used to sign modules here", digest.name()))?;
    Ok(hash(algorithm, content)?.to_vec())
}

/// Looks at all modules, many at once.
///
/// # Errors
///
/// If one of them cannot be taken. Nothing has been written then.
fn look_at_all(
    arguments: &Arguments,
    modules: &[Found],
    digest: DigestAlgorithm,
) -> Result<Vec<Looked>> {
    let issuer = name(COMMON_NAME)?.to_der()?;
    let results = parallel::map(modules, arguments.how.jobs().at_once, |buffer, found| {
        let path = &found.path;
        let stamp = files::read_into(path, buffer)?;
        let look = || {
            let opened = Module::open(buffer)?;
            let (content, _) = opened.unsigned()?;
            match trailer::split(content) {
                Err(unsplit) if unsplit.error != Error::Unsigned => {
                    bail!("{}; build it again", unsplit.error)
                }
                _ => (),
            }
            if !arguments.replace {
                is_ours_to_replace(&opened, &issuer)?;
            }
            let vermagic = Loadable::read(content)?
                .vermagic()
                .context("it does not say which kernel it is for (no vermagic); build it again")?;
            Ok(Looked {
                stamp,
                size: content.len() as u64,
                packed: opened.compression.is_some(),
                hash: match arguments.release {
                    true => release::leaf(content).to_vec(),
                    false => digest_of(digest, content)?,
                },
                vermagic: vermagic.to_owned(),
            })
        };
        look().with_context(|| path.display().to_string())
    });
    let mut wrong = 0;
    let looked = results.into_iter().filter_map(|result: Result<Looked>| {
        let complain = |error| {
            report::complain(&error);
            wrong += 1;
        };
        result.map_err(complain).ok()
    });
    let looked: Vec<Looked> = looked.collect();
    ensure!(
        wrong == 0,
        "{wrong} modules cannot be taken; nothing was done"
    );
    let versions = looked.iter().map(|module| &*module.vermagic);
    let paths = modules.iter().map(|found| &*found.path);
    is_kernel_of(&arguments.vmlinux, versions.zip(paths))?;
    Ok(looked)
}

/// Fails if something is behind a module that is not from an earlier seal.
fn is_ours_to_replace(opened: &Module<'_>, issuer: &[u8]) -> Result<()> {
    ensure!(
        opened.misplaced == 0,
        "it was signed after it was packed; --replace takes that signature off"
    );
    let issuer = Reader::new(issuer).element(0x30);
    let mut rest = &opened.file[..];
    while let Ok(split) = trailer::split(rest) {
        ensure!(
            split.kind != Kind::Merkle,
            "it has a proof that it is of a build (modsig hashes); --replace takes that off"
        );
        // A seal that was killed between two pages has left zeros in front of its trailer.
        if split.message.iter().take(4).all(|&byte| byte == 0) {
            rest = split.content;
            continue;
        }
        let cms = match split.kind {
            Kind::Release => modsig::verify::release::parse(split.message).map(|one| one.message),
            _ => Ok(split.message),
        };
        let parsed = cms.and_then(|message| cms::parse(message, Verifier::NEWEST));
        let signers = parsed.and_then(|message| message.signed_data().copied());
        let message = signers.map_err(|error| {
            anyhow!("it has a signature that cannot be read ({error}); --replace takes that off")
        })?;
        for signer in message.signers() {
            let is_ours = match (signer.id, &issuer) {
                (SignerId::IssuerAndSerial { issuer, .. }, Ok(ours)) => issuer == ours.content,
                _ => false,
            };
            ensure!(
                is_ours,
                "it is signed by {}; --replace takes that signature off",
                signer.id
            );
        }
        rest = split.content;
    }
    Ok(())
}

/// Reads all back, and complains of each module that the kernel does not take for this
/// certificate's sake. Says how many these are, and how many other certificates it has.
fn verify_all(arguments: &Arguments, modules: &[Found], der: &[u8]) -> Result<(usize, usize)> {
    let vmlinux = arguments.vmlinux.display();
    let mut image = image::read(&arguments.vmlinux)?;
    let of = |list| {
        let all = image.certificates.iter();
        all.filter(move |certificate| certificate.list == list)
    };
    let others = of(List::Builtin).count();
    ensure!(
        of(List::Extra)
            .map(|certificate| &certificate.der[..])
            .eq([der]),
        "{vmlinux}: does not have the certificate that was written into it; seal again"
    );
    (image.certificates).retain(|certificate| certificate.list != List::Builtin);
    let mut host = Host::default();
    if arguments.release {
        host.accept_releases();
    }
    for error in image.equip(&mut host) {
        report::complain(&error.context(vmlinux.to_string()));
    }
    let results = parallel::map(modules, arguments.how.jobs().at_once, |buffer, found| {
        files::read_into(&found.path, buffer)?;
        let verify = || {
            let opened = Module::open(buffer)?;
            let checked = host.check(&opened.file, Flags::default());
            checked
                .result
                .map_err(|error| anyhow!("sealed, but {error}"))?;
            ensure!(checked.signer.is_some(), "sealed, but has no signature");
            Ok(())
        };
        verify().with_context(|| found.path.display().to_string())
    });
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    errors.iter().for_each(report::complain);
    Ok((errors.len(), others))
}

/// What JSON has of it.
#[derive(Serialize)]
struct Sealed {
    modules: usize,
    /// Whether they have one signature for all.
    release: bool,
    algorithm: String,
    /// Of the one-time key's certificate.
    serial: String,
    /// Certificates that the kernel trusts beside it.
    others: usize,
}

/// Says what has become of it.
fn tell(
    arguments: &Arguments,
    modules: usize,
    algorithm: Algorithm,
    certificate: &X509,
    others: usize,
) -> Result<()> {
    let serial = hex::encode(&CertificateIds::new(certificate)?.serial);
    let algorithm = algorithm.name();
    report::print(&if arguments.how.is_json() {
        output::document(&Sealed {
            modules,
            release: arguments.release,
            algorithm,
            serial,
            others,
        })
    } else {
        let also = match others {
            0 => String::new(),
            _ => format!(", which trusts {others} more (modsig certs)"),
        };
        let with = match arguments.release {
            true => " with one signature",
            false => "",
        };
        format!(
            "sealed: {modules} modules{with}, {algorithm} key destroyed; certificate {serial} in {}{also}",
            arguments.vmlinux.display()
        )
    })
}
