// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, Context, Result};
use modsig::verify::{cms, trailer, Checked, Error, Flags, SignerId, Tree};
use modsig_tools::{
    certificate::{is_authority, shown},
    files,
    loader::Loadable,
    machine::{module_name, Machine},
    message,
    module::Module,
    platform::{no_verdict, outcome, Mode},
    scene::{hex, Scene},
    signer::strip,
};
use openssl::{
    nid::Nid,
    x509::{X509KeyUsage, X509Name, X509NameRef, X509},
};
use serde_json::json;

use super::{output, report};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The module: a file, or a name as for modprobe
    module: String,
    /// Ask about a kernel with what this image has built in, not about this machine
    #[arg(long, value_name = "IMAGE")]
    kernel: Option<PathBuf>,
    /// Ask about a kernel that trusts these certificates; may be repeated
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// Ask about a kernel that is installed, the newest one if none is named, as it would be after a reboot
    #[arg(long, value_name = "RELEASE", num_args = 0..=1, require_equals = true, conflicts_with_all = ["kernel", "cert"])]
    next: Option<Option<String>>,
    /// Where the machine's files are: /proc, /sys, /boot, /lib/modules
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let machine = Machine::new(&arguments.root);
    let scene = if let Some(release) = &arguments.next {
        Scene::next(&machine, release.as_deref())?
    } else if arguments.kernel.is_none() && arguments.cert.is_empty() {
        Scene::here(&machine)?
    } else {
        Scene::elsewhere(arguments.kernel.as_deref(), &arguments.cert)?
    };
    let (path, needed) = find(&arguments.module, &machine, &scene)?;
    let mut answer = about(&path, &scene)?;
    for needed in needed {
        answer.needs(&needed, about(&needed, &scene)?);
    }
    let text = if arguments.json {
        output::document(&json!({
            "path": path.to_string_lossy(), "loads": answer.loads, "verdict": answer.verdict,
            "reason": answer.reason, "signer": answer.signer, "findings": answer.findings,
            "remedies": answer.remedies, "machine": scene.machine, "unknown": scene.unknown,
        }))
    } else {
        let mut text = format!("{}: {}", path.display(), answer.verdict);
        for (title, all) in [
            ("signer", answer.signer.as_slice()),
            ("why", &answer.findings),
            ("machine", &scene.machine),
            ("not known", &scene.unknown),
            ("what to do", &answer.remedies),
        ] {
            for one in all {
                text += &format!("\n  {title}: {one}");
            }
        }
        text
    };
    report::print(&text)?;
    Ok(ExitCode::from(u8::from(!answer.loads)))
}

/// The file of the module, and those that have to be loaded in front of it if it is asked for by name.
fn find(module: &str, machine: &Machine, scene: &Scene) -> Result<(PathBuf, Vec<PathBuf>)> {
    let path = Path::new(module);
    if module.contains('/') || module.ends_with(".ko") || module.contains(".ko.") {
        return Ok((path.into(), vec![]));
    }
    let release = match &scene.loader.release {
        Some(release) => release.clone(),
        None => machine.release()?,
    };
    let path = machine.module(&release, module)?;
    let mut needed = machine.needed_by(&release, &path);
    needed.retain(|path| !scene.loaded.contains(&module_name(&path.to_string_lossy())));
    Ok((path, needed))
}

/// Reads a module, and says what becomes of it.
fn about(path: &Path, scene: &Scene) -> Result<Answer> {
    let file = files::read(path)?;
    let named = || path.display().to_string();
    let opened = Module::open(&file).with_context(named)?;
    explain(path, &opened, scene).with_context(named)
}

/// What is to be said about a module.
#[derive(Default)]
struct Answer {
    loads: bool,
    /// Why the loader refuses it, whatever its signature.
    unloadable: Option<String>,
    verdict: String,
    reason: Option<String>,
    signer: Option<String>,
    findings: Vec<String>,
    remedies: Vec<String>,
}

impl Answer {
    fn say(&mut self, finding: impl Into<String>) {
        self.findings.push(finding.into());
    }

    /// Takes in what becomes of a module that is loaded in front of it.
    fn needs(&mut self, path: &Path, other: Answer) {
        if other.loads {
            return;
        }
        let (path, verdict) = (path.display(), &other.verdict);
        self.say(format!("it needs {path}, which is loaded first: {verdict}"));
        self.advise(format!("see to that one first: modsig why {path}"));
        if self.loads {
            self.loads = false;
            self.verdict = format!("does not load: it needs {path}, which {verdict}");
        }
    }

    fn advise(&mut self, remedy: impl Into<String>) {
        self.remedies.push(remedy.into());
    }
}

/// A command that signs; what stands for the key and the certificate is for the reader to put in.
fn sign_with_own(path: &Path) -> String {
    format!(
        "sign it with a key that is trusted: modsig sign --key KEY --cert CERT {}",
        shell(&path.display())
    )
}

/// A word of a command, quoted if it has to be.
fn shell(word: &dyn Display) -> String {
    let word = word.to_string();
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+:".contains(character);
    match word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn explain(path: &Path, opened: &Module<'_>, scene: &Scene) -> Result<Answer> {
    let file = &opened.file[..];
    let checked = scene.host.check(file, Flags::default());
    if let Some(reason) = no_verdict(&checked.result) {
        bail!(reason);
    }
    let mut answer = Answer {
        signer: checked.signer.as_ref().map(shown),
        reason: checked.result.err().map(|error| error.to_string()),
        ..Answer::default()
    };
    match Loadable::read(strip(file).0) {
        Err(error) => {
            answer.unloadable = Some(format!("{error:#}"));
            answer.say(format!("{error:#}"));
        }
        Ok(module) => {
            if let Some(reason) = scene.loader.refuses(&module) {
                answer.say(format!(
                    "{reason}: the loader refuses it (ENOEXEC), whatever its signature"
                ));
                answer.unloadable = Some(reason);
                let release = scene.loader.release.as_deref();
                answer.advise(format!(
                    "install or build it for {}; that one will be signed for it",
                    release.unwrap_or("this kernel")
                ));
            } else if let Some(doubt) = scene.loader.doubts(&module) {
                answer.say(doubt);
            }
        }
    }
    if let Some(compression) = opened.compression {
        let name = compression.name();
        if opened.misplaced > 0 {
            answer.say(format!(
                "a signature stands behind the data that {name} packed: it was signed after it was packed. Nobody looks for it there, and some unpackers refuse the file for it"
            ));
            answer.advise(sign_with_own(path));
        } else if checked.result != Err(Error::Unsigned) {
            answer.say(format!(
                "it was packed with {name} after it was signed, which is right"
            ));
        }
    }
    match checked.result {
        Ok(()) if checked.signer.is_none() => {
            answer.say("its proof is right: it is a module of this kernel's own build");
        }
        Ok(()) => {
            answer.say("the signature is good, and its key is trusted");
            if let Some(by) = checked
                .signer
                .and_then(|signer| trusted_by(&signer.id, scene))
            {
                answer.say(format!("trusted by {by}"));
            }
        }
        Err(Error::Unsigned) => unsigned(path, opened, scene, &mut answer),
        Err(error) => bad_signature(path, file, &checked, error, scene, &mut answer),
    }
    let signatures = strip(file).1;
    if signatures > 1 {
        answer.say(format!(
            "it was signed {signatures} times. Only the last signature counts, and for it the others are a part of the module"
        ));
    }
    verdict(&checked, scene, &mut answer);
    Ok(answer)
}

/// What the kernel makes of it.
fn verdict(checked: &Checked<'_>, scene: &Scene, answer: &mut Answer) {
    let outcomes: Vec<_> = scene
        .modes
        .iter()
        .map(|&mode| match (outcome(checked, mode), &answer.unloadable) {
            (loads, Some(_)) if loads.starts_with("loads") => (mode, "ENOEXEC"),
            (outcome, _) => (mode, outcome),
        })
        .collect();
    let all_load = outcomes
        .iter()
        .all(|(_, outcome)| outcome.starts_with("loads"));
    answer.loads = all_load && scene.closed.is_none() && answer.unloadable.is_none();
    if let Some(closed) = scene.closed {
        answer.say(closed);
    }
    let said = match &outcomes[..] {
        [(_, first), rest @ ..] if rest.iter().all(|(_, other)| other == first) => {
            (*first).to_owned()
        }
        several => {
            let each = several.iter().map(|(mode, outcome)| {
                let mode = match mode {
                    Mode::Permissive => "if signatures are not enforced",
                    Mode::Enforcing => "if they are (sig_enforce)",
                    Mode::Lockdown => "if the kernel is locked down",
                };
                format!("{outcome} {mode}")
            });
            each.collect::<Vec<_>>().join("; ")
        }
    };
    let refused = |outcome: &str| match outcome.starts_with('E') {
        true => format!("does not load: {outcome}"),
        false => outcome.to_owned(),
    };
    answer.verdict = match scene.closed {
        Some(_) => "does not load".to_owned(),
        None => refused(&said),
    };
    let reason = answer
        .unloadable
        .as_ref()
        .filter(|_| said.contains("ENOEXEC"));
    if let Some(reason) = reason.or(answer.reason.as_ref()) {
        answer.verdict += &format!(" ({reason})");
    }
    if answer.loads && checked.result.is_err() && !scene.modes.is_empty() {
        answer.say("it loads all the same, because nothing insists on a good signature; the kernel notes that it is tainted");
    }
}

/// Nothing of a signature is at its end.
fn unsigned(path: &Path, opened: &Module<'_>, scene: &Scene, answer: &mut Answer) {
    let file = &opened.file[..];
    let marker = file
        .windows(trailer::MARKER.len())
        .rposition(|window| window == trailer::MARKER);
    let end = marker.map(|at| at + trailer::MARKER.len());
    let signed = end.filter(|&end| trailer::split(&file[..end]).is_ok());
    let Some(end) = signed else {
        if opened.misplaced == 0 {
            answer.say("it has no signature. It never had one, or something took it off: strip and objcopy do");
            answer.advise(sign_with_own(path));
            answer.advise("or, if it is a distribution's, install its package again");
        }
        return;
    };
    let behind = file.len() - end;
    answer.say(format!(
        "it has a signature, but {behind} bytes stand behind it: something was appended after it was signed, so the kernel does not see it"
    ));
    let cut = scene.host.check(&file[..end], Flags::default());
    match cut.result {
        Ok(()) if opened.compression.is_none() => {
            answer.say("without them the signature is good");
            answer.advise(format!(
                "take them off: truncate -s -{behind} {}",
                shell(&path.display())
            ));
        }
        _ => answer.advise(sign_with_own(path)),
    }
}

/// There is a signature, and it does not count.
fn bad_signature(
    path: &Path,
    file: &[u8],
    checked: &Checked<'_>,
    error: Error,
    scene: &Scene,
    answer: &mut Answer,
) {
    match error {
        Error::NoKey => {
            answer.say("whoever signed it is not trusted: the key is in no keyring that is asked for modules");
            no_key(path, file, scene, answer);
        }
        Error::BadSignature | Error::EmbeddedSignature(_) => {
            answer.say("the key is known, but the signature is of another content: the module was altered after it was signed, as by strip or objcopy with the signature put back, or the file is damaged");
            answer.advise("install its package again, or sign it again with that key");
        }
        Error::AttributeDigest | Error::AttributeDigestLength => {
            answer.say("the signature is of another content: the module was altered after it was signed, or the file is damaged");
            answer.advise("install its package again, or sign it again with that key");
        }
        Error::Revoked => {
            answer.say("the key that signed it has been revoked; that counts for more than that it is trusted");
            answer.advise("get the module of a newer build, signed with another key");
            answer.advise(sign_with_own(path));
        }
        Error::Blacklisted => {
            answer.say("this very file is refused, by its hash: it is known to be dangerous");
            answer.advise("get a newer version of the module");
        }
        Error::UnknownIdType(trailer::ID_MERKLE) => {
            answer.say("it has a proof that it is of some kernel's build, in place of a signature. That counts with kernels that know their modules by their hashes (CONFIG_MODULE_SIG_RUST_HASHES), and nothing says that this is one");
            answer.advise("ask about its kernel: modsig why --kernel IMAGE");
            answer.advise(sign_with_own(path));
        }
        Error::UnknownIdType(trailer::ID_PKCS7) => {
            answer.say("it is signed with a key, and this kernel goes by no keys: it takes the modules of its own build only (CONFIG_MODULE_SIG_RUST_KEYS is not set)");
            answer.advise("install the module that was built with this kernel, or build it in the kernel's tree");
            answer
                .advise("or build the kernel with CONFIG_MODULE_SIG_RUST_KEYS=y and a trusted key");
        }
        Error::NoRoot => {
            answer.say("the kernel is to know its modules by their hashes, but none were put into it: its boot image was made without modsig hashes");
            answer.advise(
                "build it again with make, which runs modsig hashes before it makes the boot image",
            );
        }
        Error::ProofSize { .. } | Error::ProofPosition(_) | Error::BadProof => {
            answer.say("it has a proof that it is of a kernel's build, but not of this kernel's: it was altered after the build, as by strip, or kernel and modules are of two builds");
            answer.advise("install kernel and modules of one build, both; modsig hashes --check says which belong together");
        }
        Error::UnknownDigest(_)
        | Error::UnknownKeyAlgorithm(_)
        | Error::DigestNotBuiltIn
        | Error::AlgorithmNotBuiltIn
        | Error::UnknownIdType(_)
        | Error::CertificateDigest => {
            answer.say("the signature takes something that the kernel does not have");
            answer.advise(format!(
                "{}, with --hash sha256 or sha512",
                sign_with_own(path)
            ));
        }
        other => {
            answer.say(format!("the signature cannot be used: {other}"));
            answer.advise("install its package again, or sign it again");
        }
    }
    // Below a second signature the first may be good.
    let below = &file[..checked.module_len];
    if trailer::split(below).is_ok() && scene.host.check(below, Flags::default()).result.is_ok() {
        answer.say("the signature below the last one is good");
        answer.advise("install its package again: what it came with was right");
    }
}

/// The kernel knows keys by names that people have given them.
fn is_named(described: &str, name: &str) -> bool {
    described == name
        || described
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with(": "))
}

fn common_name(name: &X509NameRef) -> Option<String> {
    let entry = name.entries_by_nid(Nid::COMMONNAME).last()?;
    entry.data().to_string().ok()
}

/// What trusts the certificate that a signer names.
fn trusted_by<'s>(id: &SignerId<'_>, scene: &'s Scene) -> Option<&'s str> {
    let is_it = |x509: &X509| match id {
        SignerId::SubjectKeyId(id) => x509
            .subject_key_id()
            .is_some_and(|own| own.as_slice() == *id),
        SignerId::IssuerAndSerial { issuer, serial } => {
            let serial_is = x509.serial_number().to_bn().is_ok_and(|own| {
                own.to_vec()
                    .iter()
                    .eq(serial.iter().skip_while(|&&octet| octet == 0))
            });
            let name = x509.issuer_name().to_der();
            serial_is && name.is_ok_and(|name| name == message::tlv(0x30, issuer))
        }
    };
    let found = scene.trusted.iter().find(|(_, x509)| is_it(x509));
    found.map(|(by, _)| &**by)
}

/// Whether this is the certificate of a CA, and the signer's is by it. One that signs itself and does not
/// say what its key is for, as `openssl req -x509` makes them, is a signer's like others, though it says
/// that it is a CA's.
fn has_issued(ca: &X509, id: &SignerId<'_>) -> bool {
    let SignerId::IssuerAndSerial { issuer, .. } = id else {
        return false;
    };
    let name = ca.subject_name().to_der();
    let usage = ca.key_usage();
    let is_by_itself = ca.subject_name().to_der().ok() == ca.issuer_name().to_der().ok();
    let is_ca = match usage {
        Some(usage) => usage.contains(X509KeyUsage::KEY_CERT_SIGN),
        None => !is_by_itself,
    };
    is_ca && is_authority(ca) && name.is_ok_and(|name| name == message::tlv(0x30, issuer))
}

/// Where the signer's key was looked for, and what can be done so that it is found.
fn no_key(path: &Path, file: &[u8], scene: &Scene, answer: &mut Answer) {
    let signers: Vec<SignerId<'_>> = trailer::split(file)
        .ok()
        .and_then(|split| cms::parse(split.message, Tree::NEWEST).ok())
        .and_then(|message| message.signed_data().copied().ok())
        .map(|data| data.signers().map(|signer| signer.id).collect())
        .unwrap_or_default();
    let (mut is_vouched_for, mut is_of_dkms) = (false, false);
    for id in &signers {
        let name = match id {
            SignerId::IssuerAndSerial { issuer, .. } => {
                let name = X509Name::from_der(&message::tlv(0x30, issuer)).ok();
                name.and_then(|name| common_name(&name))
            }
            SignerId::SubjectKeyId(_) => None,
        };
        let mut is_namesake = false;
        for (by, x509) in &scene.trusted {
            let own = common_name(x509.subject_name());
            if has_issued(x509, id) {
                is_namesake = true;
                is_vouched_for = true;
                answer.say(format!(
                    "{by} trusts a CA of the name that has issued the signer's certificate, {:?}; that is not enough, the signer's own certificate has to be in a keyring",
                    own.unwrap_or_default(),
                ));
            } else if own.is_some() && own == name {
                is_namesake = true;
                let serial = x509.serial_number().to_bn();
                let serial = serial.map_or_else(|_| String::new(), |serial| hex(&serial.to_vec()));
                let own = own.unwrap_or_default();
                let is_dkms = own.contains("DKMS");
                is_of_dkms |= is_dkms;
                let why = match is_dkms {
                    true => "DKMS has made itself a new key since, and signs with that",
                    false => "the key was made anew, as each build of a kernel does, and this module is of another build",
                };
                answer.say(format!(
                    "{by} has a certificate of the same name, {own:?}, but another one (serial {serial}): {why}"
                ));
            }
        }
        for key in scene.keys.iter().flat_map(|keys| &keys.loaded) {
            let is_it = match id {
                SignerId::SubjectKeyId(id) => key.id == hex(id),
                SignerId::IssuerAndSerial { .. } => {
                    !is_namesake && name.as_ref().is_some_and(|name| is_named(&key.name, name))
                }
            };
            if is_it {
                let rings: Vec<_> = scene
                    .keys
                    .iter()
                    .flat_map(|keys| keys.keyrings_of(key))
                    .collect();
                let rings = match &rings[..] {
                    [] => "a keyring that cannot be told (only root may)".to_owned(),
                    some => some.join(", "),
                };
                answer.say(format!(
                    "the kernel has a key of that name, {:?} with id {}, in {rings}; whether it is this one is told by its certificate: modsig why --cert CERT {}",
                    key.name,
                    key.id,
                    shell(&path.display())
                ));
            }
        }
    }
    let mut names: Vec<_> = scene
        .trusted
        .iter()
        .map(|(by, x509)| {
            let name = common_name(x509.subject_name());
            format!("{:?} ({by})", name.unwrap_or_default())
        })
        .collect();
    names.dedup();
    answer.say(match &names[..] {
        [] => "no certificate is known that is trusted".to_owned(),
        some => format!("trusted are: {}", some.join(", ")),
    });
    if is_vouched_for {
        answer.advise(
            "add the signer's certificate to the secondary keyring (CONFIG_SECONDARY_TRUSTED_KEYRING), after each boot and before modules are loaded: keyctl padd asymmetric '' %:.secondary_trusted_keys < CERT.der",
        );
    }
    if is_of_dkms {
        answer.advise(
            "enroll DKMS's new certificate: mokutil --import /var/lib/dkms/mok.pub, then boot and confirm it",
        );
    }
    let or = if is_vouched_for || is_of_dkms {
        "or "
    } else {
        ""
    };
    answer.advise(format!("{or}{}", sign_with_own(path)));
    if scene.has_owner_keys {
        answer.advise(
            "or have the machine trust the signer: mokutil --import CERT.der, then boot and confirm it; DKMS has its own in /var/lib/dkms/mok.pub",
        );
    }
    answer
        .advise("or build the kernel with the signer's certificate in CONFIG_SYSTEM_TRUSTED_KEYS");
}
