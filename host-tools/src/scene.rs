// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a module meets: whom a kernel trusts and whom not, how it is set up, and what its loader compares;
//! of this machine, of a kernel's image, or of some certificates.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, Result};
use modsig::verify::{DigestAlgorithm, Keyring};
use openssl::x509::X509;

use crate::{
    certificate::CertificateIds,
    compression::Compression,
    hex,
    image::{self, Image, List},
    keys,
    loader::Loader,
    machine::{Ima, Keys, Kmod, Machine, Signatures, Unpacker, BLACKLIST},
    platform::{Host, Mode},
};

/// What the module meets.
#[derive(Default)]
pub struct Scene {
    /// Whom the kernel trusts.
    pub host: Host,
    /// The same kernel if it passed over certificates that the firmware or the machine's owner refuses, and over
    /// their hashes of files, and took signatures for a release, where nothing tells whether it does; `host` does
    /// not.
    pub lenient: Option<Host>,
    /// Whether it takes a signature for all modules of a release, if that is known.
    pub takes_releases: Option<bool>,
    /// Whether it has a list of revoked certificates, by its image.
    has_revocation_list: Option<bool>,
    /// Whether it looks for a module file among the refused hashes, if that is known.
    refuses_files: Option<bool>,
    /// What its loader compares.
    pub loader: Loader,
    /// Below which name its modules are installed, of a machine's kernel.
    pub installed: String,
    /// What the answer is about, in words: `this kernel`, or the path of an image.
    pub kernel: String,
    /// The command that installs the package of a FILE again, where there are packages.
    pub packages: Option<&'static str>,
    /// The running kernel, if that is asked about.
    pub running: Option<Running>,
    /// How the kernel is set up; several if that is not known.
    pub modes: Vec<Mode>,
    /// The same in words, as far as it is strict.
    pub settings: Vec<String>,
    /// Certificates that are trusted, and by what.
    pub trusted: Vec<(String, X509)>,
    /// The keys that it has now, if they may be known.
    pub keys: Option<Keys>,
    /// Those that count for modules, and whose certificates are not known: what they are called, and where
    /// they are. Nobody can read a key out of a keyring.
    pub strangers: Vec<String>,
    /// Keys that were revoked where they are: each one's serial number, and its keyring.
    pub dead_keys: Vec<(i32, String)>,
    /// What is known of the machine, in words.
    pub machine: Vec<String>,
    /// What could not be found out.
    pub unknown: Vec<String>,
    /// Whether the machine's owner can enroll keys (MOK).
    pub has_owner_keys: bool,
}

/// What a kernel that runs makes of modules beside their signatures.
#[derive(Debug)]
pub struct Running {
    /// The modules that are loaded.
    pub loaded: HashSet<String>,
    /// Whether it takes none any more (`kernel.modules_disabled`).
    pub is_closed: bool,
    /// The modules that its command line forbids.
    pub forbidden: HashSet<String>,
    /// Whether it takes them from one file system only (LoadPin).
    pub pins: bool,
    /// What IMA does with them.
    pub ima: Ima,
    /// What it can unpack.
    pub unpacks: Option<String>,
    /// The programs that load modules.
    pub kmod: Option<Kmod>,
}

impl Running {
    /// Who unpacks a module, as far as is known.
    pub fn unpacker(&self, packed: Compression) -> Option<Unpacker> {
        let kmod = self.kmod.as_ref()?;
        Some(kmod.unpacker(packed, self.unpacks.as_deref()))
    }
}

impl Scene {
    /// Whether a module is loaded.
    pub fn has_loaded(&self, name: &str) -> bool {
        let mut running = self.running.iter();
        running.any(|running| running.loaded.contains(name))
    }

    /// A remedy: to install the package again that a file is from, with the command for it. Only files below
    /// `/lib/modules` are from packages.
    pub fn packaged(&self, path: &Path) -> Option<String> {
        let path = path.to_string_lossy();
        let command = self.packages.filter(|_| path.contains("/lib/modules/"))?;
        let command = command.replace("FILE", &path);
        Some(format!("install its package again: {command}"))
    }

    /// A remedy: to have a file as it once was.
    pub fn reinstall(&self, path: &Path) -> String {
        let packaged = self.packaged(path);
        packaged.unwrap_or_else(|| "copy or build the file again".to_owned())
    }

    /// What the answer is about, with what is known of it.
    pub fn about(&self) -> String {
        let mut known: Vec<_> = self
            .loader
            .release
            .iter()
            .map(|r| format!("Linux {r}"))
            .collect();
        if !self.installed.is_empty() {
            known.extend(match &self.modes[..] {
                [Mode::Permissive] => Some("signatures not enforced".to_owned()),
                _ => None,
            });
            known.extend(self.settings.iter().cloned());
        }
        match &known[..] {
            [] => self.kernel.clone(),
            some => format!("{} ({})", self.kernel, some.join(", ")),
        }
    }
}

const ALL_MODES: [Mode; 3] = [Mode::Permissive, Mode::Enforcing, Mode::Lockdown];

impl Scene {
    /// What an image or some certificates say: not how the kernel will be set up.
    pub fn elsewhere(image: Option<&Path>, certificates: &[PathBuf]) -> Result<Self> {
        let files = image
            .into_iter()
            .chain(certificates.iter().map(|path| &**path));
        let files: Vec<_> = files.map(|path| path.display().to_string()).collect();
        let mut scene = Scene {
            modes: ALL_MODES.into(),
            kernel: match image {
                Some(_) => files.join(" with "),
                None => format!("a kernel that trusts {}", files.join(", ")),
            },
            ..Scene::default()
        };
        if let Some(path) = image {
            scene.image(path)?;
        }
        for path in certificates {
            for certificate in keys::certificates(path)? {
                scene.host.trust(&certificate)?;
                let by = path.display().to_string();
                scene.trusted.push((by, certificate));
            }
        }
        scene.releases();
        Ok(scene)
    }

    /// What this machine's running kernel says.
    pub fn here(machine: &Machine) -> Result<Self> {
        Self::of(machine, machine.release()?, true)
    }

    /// What is to be expected of the kernel that this machine boots next, the newest that is installed if none
    /// is named: with the keys that the machine has now, and as strict as the running one.
    pub fn next(machine: &Machine, release: Option<&str>) -> Result<Self> {
        let release = match release {
            Some(release) => release.to_owned(),
            None => machine.next_release()?,
        };
        Self::of(machine, release, false)
    }

    fn of(machine: &Machine, release: String, is_running: bool) -> Result<Self> {
        let mut scene = Scene::default();
        scene.loader.release = Some(release.clone());
        scene.installed.clone_from(&release);
        scene.packages = machine.packages();
        scene.keys = scene.known("the kernel's keys", machine.keys());
        let banner = match is_running {
            true => machine.banner().ok(),
            false => None,
        };
        let taken = match machine.image(&release) {
            Some(path) => scene.running(&path, banner),
            None => Err(anyhow!(
                "there is no image of {release} in /boot or /lib/modules; give it with --kernel"
            )),
        };
        scene.known("which certificates the kernel has built in", taken);
        let enforces = scene.known("whether only signed modules load", machine.enforces());
        let lockdown = scene.known("whether the kernel is locked down", machine.lockdown());
        let mut taints = None;
        scene.kernel = "the next kernel".to_owned();
        if is_running {
            scene.kernel = "this kernel".to_owned();
            taints = scene.known("what it is tainted by", machine.taints());
            let running = scene.look(machine);
            scene.running = Some(running);
        }

        scene.machine.push(format!("Linux {release}"));
        match enforces {
            Some(true) => scene
                .machine
                .push("loads signed modules only (sig_enforce)".into()),
            Some(false) => scene
                .machine
                .push("does not insist on signatures (sig_enforce)".into()),
            None => {}
        }
        let is_locked = lockdown.as_deref().map(|level| level != "none");
        scene
            .machine
            .extend(lockdown.map(|level| format!("lockdown: {level}")));
        for taint in taints.unwrap_or_default() {
            scene.machine.push(format!("tainted: {taint}"));
        }
        if enforces == Some(true) {
            scene.settings.push("sig_enforce".to_owned());
        }
        if is_locked == Some(true) {
            scene.settings.push("locked down".to_owned());
        }
        scene.modes = ALL_MODES
            .into_iter()
            .filter(|mode| match mode {
                Mode::Permissive => enforces != Some(true) && is_locked != Some(true),
                Mode::Enforcing => enforces != Some(false),
                Mode::Lockdown => enforces != Some(true) && is_locked != Some(false),
            })
            .collect();
        scene.keyrings();
        let mut refused = scene.owner(machine);
        refused.extend(scene.firmware(machine));
        scene.revoke(refused);
        if scene.takes_releases.is_none() {
            scene.takes_releases = machine.has_option(&release, is_running, RELEASES);
        }
        scene.releases();
        let has = |option| machine.has_option(&release, is_running, option);
        // Without modsig, nothing is said by an option.
        if scene.refuses_files.is_none() && has(RUST) == Some(true) {
            scene.refuses_files = has(FILE_HASHES);
        }
        scene.files();
        scene.strangers();
        Ok(scene)
    }

    /// Takes signatures for a release if the kernel does, and perhaps if that is not known.
    fn releases(&mut self) {
        match self.takes_releases {
            Some(true) => {
                let hosts = [Some(&mut self.host), self.lenient.as_mut()];
                hosts.into_iter().flatten().for_each(Host::accept_releases);
            }
            Some(false) => {}
            None => {
                let lenient = self.lenient.get_or_insert_with(|| self.host.clone());
                lenient.accept_releases();
            }
        }
    }

    /// Passes over refused hashes of files if the kernel does, and perhaps if that is not known.
    fn files(&mut self) {
        match self.refuses_files {
            Some(true) => {}
            Some(false) => {
                let hosts = [Some(&mut self.host), self.lenient.as_mut()];
                hosts.into_iter().flatten().for_each(Host::pass_over_files);
            }
            None if self.host.refuses_files() => {
                self.unknown.push("whether the kernel looks at the hashes of files in dbx and MokListXRT: neither its image nor a configuration of it tells".to_owned());
                let lenient = self.lenient.get_or_insert_with(|| self.host.clone());
                lenient.pass_over_files();
            }
            None => {}
        }
    }

    /// Notes the keys that only the kernel knows.
    fn strangers(&mut self) {
        let known: HashSet<String> = self
            .trusted
            .iter()
            .filter_map(|(_, x509)| id(x509).ok())
            .collect();
        if let Some(keys) = &self.keys {
            let loaded = keys.loaded.iter().filter(|key| !known.contains(&key.id));
            for key in loaded {
                let mut rings = keys.keyrings_of(key).filter(|ring| *ring != BLACKLIST);
                if let Some(ring) = rings.next() {
                    self.strangers.push(format!("{:?} in {ring}", key.name));
                }
            }
        }
    }

    /// What the running kernel makes of modules beside their signatures.
    fn look(&mut self, machine: &Machine) -> Running {
        let closed = self.known("modules_disabled", machine.modules_disabled());
        let forbidden = self.known("module_blacklist", machine.forbidden());
        let pins = self.known("LoadPin", machine.pins_modules());
        let ima = self.known("IMA", machine.ima());
        self.algorithms(machine);
        Running {
            loaded: machine.loaded().unwrap_or_default(),
            is_closed: closed == Some(true),
            forbidden: forbidden.unwrap_or_default(),
            pins: pins == Some(true),
            ima: ima.unwrap_or(Ima::LetsPass),
            unpacks: machine.unpacks(),
            kmod: machine.kmod(),
        }
    }

    /// Does without the algorithms that the running kernel does not have. One without any has no keys.
    fn algorithms(&mut self, machine: &Machine) {
        const ML_DSA: [&str; 3] = ["mldsa44", "mldsa65", "mldsa87"];
        use DigestAlgorithm::{
            Sha1, Sha224, Sha256, Sha384, Sha3_256, Sha3_384, Sha3_512, Sha512, Sm3, Streebog256,
            Streebog512,
        };
        let digests = [
            Sha1,
            Sha224,
            Sha256,
            Sha384,
            Sha512,
            Sm3,
            Streebog256,
            Streebog512,
            Sha3_256,
            Sha3_384,
            Sha3_512,
        ];
        let names: Vec<_> = digests
            .iter()
            .map(|digest| digest.name())
            .chain(ML_DSA)
            .collect();
        let Ok(lacks) = machine.lacks(&self.installed, &names) else {
            return;
        };
        for digest in digests {
            if lacks.contains(&digest.name()) {
                self.host.leave_out(digest);
            }
        }
        if ML_DSA.iter().all(|name| lacks.contains(name)) {
            self.host.leave_out_ml_dsa();
        }
    }

    /// Takes an answer, or notes why there is none.
    fn known<T>(&mut self, what: &str, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.unknown.push(format!("{what}: {error:#}"));
                None
            }
        }
    }

    /// Trusts and refuses what an image has built in.
    fn image(&mut self, path: &Path) -> Result<()> {
        self.take(path, image::read(path)?)
    }

    /// The same of the image that is said to be the running kernel's. After it was built again, that is
    /// another one until the machine is booted: then only those of its certificates count that the
    /// kernel has loaded.
    fn running(&mut self, path: &Path, banner: Option<String>) -> Result<()> {
        let mut image = image::read(path)?;
        if let Some(running) = banner.filter(|running| !image.banners.contains(running)) {
            self.unknown.push(format!(
                "all that the running kernel has built in: {} is another build of it ({}; running is {running}), which counts after the next boot: modsig why --kernel {0} ...",
                path.display(),
                image.banners.last().map_or("", |banner| banner),
            ));
            let keys = self.keys.take().unwrap_or_default();
            image.certificates.retain(|certificate| {
                let id = certificate.x509().and_then(|x509| id(&x509));
                id.is_ok_and(|id| keys.loaded.iter().any(|key| key.id == id))
            });
            image.has_revocation_list = None;
            image.blacklist.clear();
            image.refuses_files = None;
            image.hashes = None;
            image.takes_releases = None;
            image.vermagic = None;
            self.keys = Some(keys);
        }
        self.take(path, image)
    }

    fn take(&mut self, path: &Path, image: Image) -> Result<()> {
        for error in image.equip(&mut self.host) {
            self.unknown.push(format!("{}: {error:#}", path.display()));
        }
        for certificate in &image.certificates {
            let is_trusted = certificate.list != List::Revoked;
            if let (true, Ok(x509)) = (is_trusted, certificate.x509()) {
                self.trusted.push((path.display().to_string(), x509));
            }
        }
        self.has_revocation_list = image.has_revocation_list;
        self.takes_releases = image.takes_releases;
        self.refuses_files = image.refuses_files;
        let loader = image.loader();
        self.loader = Loader {
            release: loader.release.clone().or(self.loader.release.take()),
            ..loader
        };
        Ok(())
    }

    /// Notes what is in the keyrings; refuses the hashes that the kernel refuses.
    fn keyrings(&mut self) {
        let Some(keys) = &self.keys else {
            return;
        };
        for ring in &keys.keyrings {
            let members = keys.loaded.iter().filter(|key| {
                let mut rings = keys.keyrings_of(key);
                rings.any(|name| name == ring.name)
            });
            let names: Vec<_> = members.map(|key| format!("{:?}", key.name)).collect();
            let what = match &ring.members {
                Ok(_) if !names.is_empty() => names.join(", "),
                Ok(_) => "no keys".to_owned(),
                Err(_) if ring.count == 0 => "no keys".to_owned(),
                Err(error) => format!("{} entries; {error}", ring.count),
            };
            self.machine.push(format!("keyring {}: {what}", ring.name));
        }
        for key in &keys.revoked {
            for ring in keys.keyrings_of(key).filter(|ring| *ring != BLACKLIST) {
                self.host.keep_dead_key(match ring {
                    PLATFORM => Keyring::Platform,
                    _ => Keyring::Trusted,
                });
                self.machine
                    .push(format!("revoked, and still in {ring}: {:?}", key.name));
                self.dead_keys.push((key.serial, ring.to_owned()));
            }
        }
        for hash in &keys.refused {
            match hash.split_once(':') {
                Some(("tbs", digits)) => {
                    self.host
                        .blacklist_certificate(hex::decode(digits.as_bytes()).unwrap_or_default());
                }
                Some(("bin", digits)) => {
                    if let Ok(sha256) = hex::decode(digits.as_bytes())
                        .unwrap_or_default()
                        .try_into()
                    {
                        self.host.blacklist(sha256);
                    }
                }
                _ => {}
            }
        }
        if !keys.refused.is_empty() {
            self.machine
                .push(format!("{} hashes refused", keys.refused.len()));
        }
    }

    /// Trusts the keys of the machine's owner as the kernel does; returns the certificates that the owner
    /// refuses.
    fn owner(&mut self, machine: &Machine) -> Vec<Refused> {
        let keys = self.known("the machine owner's keys", machine.owner_keys());
        let refused = self.known("what the machine's owner refuses", machine.owner_refuses());
        let trusts = self.known(
            "whether the owner's keys are trusted",
            machine.owner_keys_are_trusted(),
        );
        let refused = self.listed("MokListXRT", refused.flatten());
        let Some(Signatures { certificates, .. }) = keys.flatten() else {
            return refused;
        };
        self.has_owner_keys = true;
        // With the machine keyring they count as the kernel's own.
        let has_machine_keyring = self.keys.as_ref().is_some_and(|keys| keys.has(".machine"));
        let usual = match trusts == Some(true) && has_machine_keyring {
            true => ".machine",
            false => PLATFORM,
        };
        for der in certificates {
            let filed = self.file("the machine owner's list (MOK)", &der, usual);
            self.known("a certificate in MokListRT", filed);
        }
        refused
    }

    /// Trusts the firmware's keys as the kernel does; returns the certificates that the firmware refuses.
    fn firmware(&mut self, machine: &Machine) -> Vec<Refused> {
        let keys = self.known("the firmware's keys (db)", machine.firmware_keys());
        let refused = self.known(
            "what the firmware refuses (dbx)",
            machine.firmware_refuses(),
        );
        let refused = self.listed("dbx", refused.flatten());
        for der in keys.flatten().unwrap_or_default().certificates {
            let filed = self.file("the firmware's list (db)", &der, PLATFORM);
            self.known("a certificate in db", filed);
        }
        refused
    }

    /// The certificates in a list of what is refused.
    fn listed(&mut self, list: &'static str, signatures: Option<Signatures>) -> Vec<Refused> {
        let ders = signatures.unwrap_or_default().certificates;
        let all = ders.into_iter().filter_map(|der| {
            let x509 = X509::from_der(&der).map_err(anyhow::Error::from);
            let x509 = self.known(&format!("a certificate in {list}"), x509)?;
            Some(Refused { list, x509 })
        });
        all.collect()
    }

    /// Refuses certificates as the kernel does. With `CONFIG_SYSTEM_REVOCATION_LIST` it puts those in the lists
    /// into .blacklist; without, it reads them and does nothing (`add_key_to_revocation_list()` of
    /// include/keys/system_keyring.h).
    fn revoke(&mut self, refused: Vec<Refused>) {
        // The next kernel will make its keyrings anew.
        let keys = self.keys.as_ref().filter(|_| self.running.is_some());
        let is_in_keyring = |x509: &X509| keys?.revokes(&id(x509).ok()?);
        let mut revoked: Vec<_> = self
            .trusted
            .iter()
            .filter(|(_, x509)| is_in_keyring(x509) == Some(true))
            .map(|(by, x509)| (by.clone(), x509.clone()))
            .collect();
        let mut doubtful = vec![];
        for Refused { list, x509 } in refused {
            match is_in_keyring(&x509).or(self.has_revocation_list) {
                Some(true) => revoked.push((list.to_owned(), x509)),
                Some(false) => {}
                None => doubtful.push((list.to_owned(), x509)),
            }
        }
        for (list, x509) in revoked {
            let filed = self.host.revoke(&x509);
            self.known(&format!("a certificate in {list}"), filed);
        }
        if doubtful.is_empty() {
            return;
        }
        let keyring = match self.running {
            Some(_) => ", and .blacklist cannot be read; only root may",
            None => "",
        };
        self.unknown.push(format!(
            "whether the kernel refuses the certificates in dbx and MokListXRT (CONFIG_SYSTEM_REVOCATION_LIST): no image of it tells{keyring}"
        ));
        self.lenient = Some(self.host.clone());
        for (list, x509) in doubtful {
            let filed = self.host.revoke(&x509);
            self.known(&format!("a certificate in {list}"), filed);
        }
    }

    /// Files a certificate as the kernel has: in the keyring that it is in, if that may be known, else in
    /// the usual one.
    fn file(&mut self, list: &str, der: &[u8], usual: &'static str) -> Result<()> {
        let x509 = X509::from_der(der)?;
        let id = id(&x509)?;
        let keys = self.keys.iter();
        let of_it = keys.flat_map(|keys| {
            let loaded = keys.loaded.iter().filter(|key| key.id == id);
            loaded.flat_map(|key| keys.keyrings_of(key))
        });
        let rings: Vec<&str> = of_it.collect();
        let ring = rings
            .iter()
            .find(|ring| **ring != PLATFORM)
            .or(rings.first());
        let by = match *ring.unwrap_or(&usual) {
            PLATFORM => {
                self.host.trust_platform(&x509)?;
                format!("{list}, in .platform: only distributions' kernels ask it")
            }
            _ => {
                self.host.trust(&x509)?;
                list.to_owned()
            }
        };
        self.trusted.push((by, x509));
        Ok(())
    }
}

/// The option of kernels that take a signature for all modules of a release.
const RELEASES: &str = "CONFIG_MODULE_SIG_RUST_RELEASE";
const RUST: &str = "CONFIG_MODULE_SIG_RUST";
const FILE_HASHES: &str = "CONFIG_MODULE_SIG_RUST_BLACKLIST_HASH";

/// A certificate that the firmware or the machine's owner refuses, and the list that has it.
struct Refused {
    list: &'static str,
    x509: X509,
}

/// What the kernel shows of a certificate as a key's id.
fn id(x509: &X509) -> Result<String> {
    let ids = CertificateIds::new(x509)?;
    Ok(hex::encode(&ids.subject_key_id.unwrap_or(ids.serial)))
}

/// The keyring of the firmware's keys, which distributions' kernels ask for modules and others do not.
const PLATFORM: &str = ".platform";

#[cfg(test)]
mod tests {
    use modsig::verify::{KeyId, Keyring as Asked, Lookup, Platform};

    use super::*;
    use crate::{
        machine::{Keyring, LoadedKey},
        new_key::{certificate, Algorithm},
    };

    fn is_revoked(scene: &Scene, x509: &X509) -> bool {
        let ids = CertificateIds::new(x509).unwrap();
        let id = KeyId(&ids.serial, &ids.issuer);
        let found = scene.host.find_key(Asked::Revoked, Some(id), None);
        matches!(found, Ok(Lookup::Found(_)))
    }

    #[test]
    fn where_nothing_tells_whether_refused_files_count_both_answers_are_kept() {
        let scene = |refuses_files, listed: bool| {
            let mut scene = Scene {
                refuses_files,
                ..Scene::default()
            };
            if listed {
                scene.host.blacklist([1; 32]);
            }
            scene.files();
            scene
        };
        for (known, refuses) in [(Some(true), true), (Some(false), false)] {
            let scene = scene(known, true);
            assert_eq!(scene.host.refuses_files(), refuses);
            assert!(scene.lenient.is_none() && scene.unknown.is_empty());
        }
        let unknown = scene(None, true);
        assert!(unknown.host.refuses_files());
        assert!(!unknown.lenient.unwrap().refuses_files());
        assert_eq!(unknown.unknown.len(), 1);
        // Nothing is refused, so nothing is to be known.
        let none = scene(None, false);
        assert!(none.lenient.is_none() && none.unknown.is_empty());
    }

    #[test]
    fn of_a_running_kernel_the_keyring_says_what_is_revoked() {
        let x509 = |name| {
            let key = Algorithm::P256.key().unwrap();
            certificate(Algorithm::P256, &key, name, 1, false).unwrap()
        };
        let (withdrawn, later) = (x509("withdrawn"), x509("later"));
        let listed = |x509: &X509| Refused {
            list: "dbx",
            x509: x509.clone(),
        };
        let scene = |has_revocation_list| {
            let keys = Keys {
                keyrings: vec![Keyring {
                    name: BLACKLIST.to_owned(),
                    count: 1,
                    members: Ok(vec![1]),
                }],
                loaded: vec![LoadedKey {
                    serial: 1,
                    name: "withdrawn".to_owned(),
                    id: id(&withdrawn).unwrap(),
                }],
                revoked: vec![],
                refused: vec![],
            };
            let running = Running {
                loaded: HashSet::new(),
                is_closed: false,
                forbidden: HashSet::new(),
                pins: false,
                ima: Ima::LetsPass,
                unpacks: None,
                kmod: None,
            };
            Scene {
                has_revocation_list,
                keys: Some(keys),
                running: Some(running),
                ..Scene::default()
            }
        };
        // As recorded in the image or not.
        for has_revocation_list in [None, Some(false), Some(true)] {
            let mut scene = scene(has_revocation_list);
            scene.revoke(vec![listed(&withdrawn), listed(&later)]);
            assert!(is_revoked(&scene, &withdrawn) && !is_revoked(&scene, &later));
            assert!(scene.lenient.is_none() && scene.unknown.is_empty());
        }
        // Nobody could read the firmware's list.
        let mut one = scene(None);
        one.trusted = vec![("MOK".to_owned(), withdrawn.clone())];
        one.revoke(vec![]);
        assert!(is_revoked(&one, &withdrawn));
        // The next kernel's keyrings are not those.
        for (has_revocation_list, is_certain) in [(Some(false), false), (Some(true), true)] {
            let mut scene = Scene {
                running: None,
                ..scene(has_revocation_list)
            };
            scene.revoke(vec![listed(&withdrawn), listed(&later)]);
            assert_eq!(is_revoked(&scene, &withdrawn), is_certain);
            assert_eq!(is_revoked(&scene, &later), is_certain);
        }
    }
}
