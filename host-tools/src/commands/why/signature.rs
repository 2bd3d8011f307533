// SPDX-License-Identifier: MIT OR Apache-2.0

//! Why a signature does not count.

use std::path::Path;

use modsig::verify::{cms, trailer, Checked, Error, Flags, PlatformError, SignerId, Tree};
use modsig_tools::{
    certificate::is_authority, hex, message, module::Module, platform::KEY_REVOKED, scene::Scene,
};
use openssl::{
    nid::Nid,
    x509::{X509KeyUsage, X509Name, X509NameRef, X509},
};

use super::{shell, sign_with_own, Answer};

/// Nothing of a signature is at its end.
pub(super) fn unsigned(path: &Path, opened: &Module<'_>, scene: &Scene, answer: &mut Answer) {
    let file = &opened.file[..];
    let marker = file
        .windows(trailer::MARKER.len())
        .rposition(|window| window == trailer::MARKER);
    let end = marker.map(|at| at + trailer::MARKER.len());
    let signed = end.filter(|&end| trailer::split(&file[..end]).is_ok());
    let Some(end) = signed else {
        if opened.misplaced == 0 && !file.is_empty() {
            answer.say("it has no signature: it was never signed, or strip or objcopy took the signature off");
            answer.remedies.extend(scene.packaged(path));
            answer.advise(sign_with_own(path));
        }
        return;
    };
    let behind = file.len() - end;
    answer.say(format!(
        "{behind} bytes stand behind its signature, so the kernel does not see it: something was appended after it was signed"
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
pub(super) fn bad_signature(
    path: &Path,
    file: &[u8],
    checked: &Checked<'_>,
    error: Error,
    scene: &Scene,
    answer: &mut Answer,
) {
    match error {
        Error::NoKey => {
            answer.say("the signer's key is not in any keyring that the kernel uses for modules");
            no_key(path, file, scene, answer);
        }
        Error::Platform(code) if PlatformError(code) == KEY_REVOKED => {
            answer.say("the signer's key is not in any keyring that the kernel uses for modules, or was revoked there: a key was, and is still in its keyring, so the kernel takes any that it does not find for one that was revoked");
            for (serial, ring) in &scene.dead_keys {
                answer.advise(format!("take it out: keyctl unlink {serial} %:{ring}"));
            }
            no_key(path, file, scene, answer);
        }
        Error::BadSignature | Error::EmbeddedSignature(_) => {
            answer.say("its key is known, but the signature does not match the content: the module was changed after it was signed, as by strip or objcopy, or the file is damaged");
            answer.advise(scene.reinstall(path));
            answer.advise(sign_with_own(path));
        }
        Error::AttributeDigest | Error::AttributeDigestLength => {
            answer.say("the signature does not match the content: the module was changed after it was signed, or the file is damaged");
            answer.advise(scene.reinstall(path));
            answer.advise(sign_with_own(path));
        }
        Error::Revoked => {
            answer.say(
                "the signer's key has been revoked, which counts for more than that it is trusted",
            );
            revoked(path, scene, answer);
        }
        Error::Blacklisted => {
            answer
                .say("the kernel refuses this very file by its hash: it is known to be dangerous");
            newer(scene, answer);
        }
        Error::UnknownIdType(trailer::ID_MERKLE) => {
            answer.say("it has a proof that it is of some kernel's build, in place of a signature. That counts with kernels that know their modules by their hashes (CONFIG_MODULE_SIG_RUST_HASHES), and this one is not known to be one");
            answer.advise(format!(
                "ask about its own kernel: modsig why --kernel IMAGE {}",
                shell(&path.display())
            ));
            answer.advise(sign_with_own(path));
        }
        Error::UnknownIdType(trailer::ID_RELEASE) => {
            let known = match scene.takes_releases {
                Some(_) => "and this one does not",
                None => "and it is not known whether this one does",
            };
            answer.say(format!(
                "it has one signature for all modules of a release. Only kernels with CONFIG_MODULE_SIG_RUST_RELEASE take those, {known}"
            ));
            answer.advise(sign_with_own(path));
            answer.advise(
                "build the kernel with the option: scripts/config -e MODULE_SIG_RUST_RELEASE, then make",
            );
        }
        Error::UnknownIdType(trailer::ID_PKCS7) => {
            answer.say("it is signed with a key, and this kernel goes by no keys: it takes the modules of its own build only (CONFIG_MODULE_SIG_RUST_KEYS is not set)");
            answer.advise("install the module that was built with this kernel: make modules_install, in the kernel's tree");
            answer.advise("build the kernel with a trusted key: scripts/config -e MODULE_SIG_RUST_KEYS, then make");
        }
        Error::NoRoot => {
            answer.say("the kernel is to know its modules by their hashes, but none were put into it: its boot image was made without modsig hashes");
            answer.advise(
                "build it again, which runs modsig hashes before it makes the boot image: make",
            );
        }
        Error::ProofSize { .. } | Error::ProofPosition(_) | Error::BadProof => {
            answer.say("it has a proof that it is of a kernel's build, but not of this kernel's: it was changed after the build, as by strip, or kernel and modules are of two builds");
            answer.advise(
                "install kernel and modules of one build, both: make modules_install install",
            );
            answer.advise(format!(
                "see which belong together: modsig hashes --check --modules /lib/modules/{0} --vmlinux /boot/vmlinuz-{0}",
                scene.loader.release.as_deref().unwrap_or("RELEASE")
            ));
        }
        Error::UnknownDigest(_)
        | Error::UnknownKeyAlgorithm(_)
        | Error::DigestNotBuiltIn
        | Error::AlgorithmNotBuiltIn
        | Error::UnknownIdType(_)
        | Error::CertificateDigest => {
            answer.say("the signature takes an algorithm that the kernel does not have");
            answer.advise(format!("{} --hash sha256", sign_with_own(path)));
        }
        _ => {
            answer.say("the signature is damaged, or of a form that no kernel takes");
            answer.advise(scene.reinstall(path));
            answer.advise(sign_with_own(path));
        }
    }
    // Below a second signature the first may be good.
    let below = &file[..checked.module_len];
    if trailer::split(below).is_ok() && scene.host.check(below, Flags::default()).result.is_ok() {
        answer.say("the signature below the last one is good");
        answer.remedies.insert(0, scene.reinstall(path));
    }
}

/// The signer is refused by the firmware or the machine's owner, and it is not known whether the kernel minds.
pub(super) fn perhaps_revoked(path: &Path, scene: &Scene, answer: &mut Answer) {
    answer.say("the firmware or the machine's owner refuses the signer's key (dbx, MokListX), and it is not known whether the kernel goes by that: only one with CONFIG_SYSTEM_REVOCATION_LIST does");
    revoked(path, scene, answer);
}

/// The same of the file's hash.
pub(super) fn perhaps_blacklisted(scene: &Scene, answer: &mut Answer) {
    answer.say("the firmware or the machine's owner refuses this very file by its hash (dbx, MokListX), and it is not known whether the kernel goes by that: some of Debian's do");
    newer(scene, answer);
}

/// What helps where a file is refused.
fn newer(scene: &Scene, answer: &mut Answer) {
    answer.advise(format!("get a newer version of it: {}", update(scene)));
}

/// What helps where a key is refused.
fn revoked(path: &Path, scene: &Scene, answer: &mut Answer) {
    answer.advise(format!(
        "get the module of a newer build, signed with another key: {}",
        update(scene)
    ));
    answer.advise(sign_with_own(path));
}

/// A command that brings newer modules.
fn update(scene: &Scene) -> &'static str {
    match scene.installed.is_empty() {
        true => "from whoever built it",
        false => "apt-get update && apt-get upgrade, or dnf upgrade",
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
pub(super) fn trusted_by<'s>(id: &SignerId<'_>, scene: &'s Scene) -> Option<&'s str> {
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
                let serial =
                    serial.map_or_else(|_| String::new(), |serial| hex::encode(&serial.to_vec()));
                let own = own.unwrap_or_default();
                let is_dkms = own.contains("DKMS");
                is_of_dkms |= is_dkms;
                let why = match is_dkms {
                    true => "DKMS has made itself a new key since, and signs with that",
                    false => "the kernel and the module come from two builds, and each build makes its own key",
                };
                answer.say(format!(
                    "{by} has a certificate of the same name, {own:?}, but another one (serial {serial}): {why}"
                ));
            }
        }
        for key in scene.keys.iter().flat_map(|keys| &keys.loaded) {
            let is_it = match id {
                SignerId::SubjectKeyId(id) => key.id == hex::encode(id),
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
    if !scene.strangers.is_empty() {
        answer.say(format!(
            "the kernel has keys whose certificates are not known here, of which one may be the signer's: {}",
            scene.strangers.join(", ")
        ));
        answer.advise(format!(
            "find out with the certificate that you take it for: modsig why --cert CERT {}",
            shell(&path.display())
        ));
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
    answer.note(match &names[..] {
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
    if scene.has_owner_keys && !is_of_dkms {
        answer.advise(
            "have the machine trust the signer: mokutil --import CERT.der, then boot and confirm it; DKMS has its certificate in /var/lib/dkms/mok.pub",
        );
    }
    answer.advise(sign_with_own(path));
    answer.advise(
        "build the kernel with the signer's certificate: scripts/config --set-str SYSTEM_TRUSTED_KEYS CERT.pem, then make",
    );
}
