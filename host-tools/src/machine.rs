// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a running machine says about the modules that it takes: files of /proc and /sys, its
//! keyrings, the firmware's variables.
//!
//! Each answer may be missing (not root, not mounted, not built in). Then the error says why, and
//! the others still count.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{anyhow, ensure, Context, Result};
use linux_keyutils::{Key, KeySerialId};

use crate::{
    compression::Compression,
    files::{self, Links},
};

/// A machine: this one, or what was recorded of one below a directory.
pub struct Machine {
    root: PathBuf,
}

/// The keyrings that matter for modules.
pub const KEYRINGS: [&str; 5] = [
    ".builtin_trusted_keys",
    ".secondary_trusted_keys",
    ".machine",
    ".platform",
    BLACKLIST,
];

/// The keyring of what is refused: hashes, and certificates if the kernel can have a list of revoked ones.
pub(crate) const BLACKLIST: &str = ".blacklist";

/// What `/proc/keys` has.
#[derive(Debug, Default)]
pub struct Keys {
    /// Of [`KEYRINGS`] those that there are.
    pub keyrings: Vec<Keyring>,
    /// The public keys.
    pub loaded: Vec<LoadedKey>,
    /// Public keys that somebody has revoked (keyctl(2)), and that are in a keyring still.
    pub revoked: Vec<LoadedKey>,
    /// The refused hashes, in the kernel's form (`bin:...`).
    pub refused: Vec<String>,
}

/// One of the kernel's keyrings.
#[derive(Debug)]
pub struct Keyring {
    /// Its name.
    pub name: String,
    /// How many keys and keyrings are in it.
    pub count: usize,
    /// The serial numbers of what is in it; only root may know.
    pub members: Result<Vec<i32>>,
}

/// A public key that the kernel has.
#[derive(Debug)]
pub struct LoadedKey {
    /// Its serial number among the keys.
    pub serial: i32,
    /// Organisation and common name.
    pub name: String,
    /// SubjectKeyIdentifier, or else serial number of the certificate, in hexadecimal.
    pub id: String,
}

impl Keys {
    /// The keyrings that this key is in, as far as may be known.
    pub fn keyrings_of(&self, key: &LoadedKey) -> impl Iterator<Item = &str> {
        let serial = key.serial;
        self.keyrings
            .iter()
            .filter(move |ring| ring.members.as_ref().is_ok_and(|all| all.contains(&serial)))
            .map(|ring| &*ring.name)
    }

    /// Whether there is this keyring and something in it.
    pub fn has(&self, name: &str) -> bool {
        let mut rings = self.keyrings.iter();
        rings.any(|ring| ring.name == name && ring.count != 0)
    }

    /// Whether the certificate with this id is on the list of revoked ones, if that may be known.
    pub fn revokes(&self, id: &str) -> Option<bool> {
        let mut rings = self.keyrings.iter();
        let ring = rings.find(|ring| ring.name == BLACKLIST)?;
        match &ring.members {
            _ if ring.count == 0 => Some(false),
            Ok(members) => {
                let mut keys = self.loaded.iter();
                Some(keys.any(|key| key.id == id && members.contains(&key.serial)))
            }
            Err(_) => None,
        }
    }

    fn parse(text: &str, members: impl Fn(i32) -> Result<Vec<i32>>) -> Self {
        let mut keys = Keys::default();
        for line in text.lines() {
            let mut rest = line;
            let columns: [&str; 8] = std::array::from_fn(|_| {
                let (column, behind) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
                rest = behind;
                column
            });
            let [serial, flags, _, _, _, _, _, kind] = columns;
            let rest = rest.trim();
            // Dead or invalidated keys are on their way out. A revoked one stays until somebody takes it out.
            let is_gone = flags.contains(['D', 'i']);
            let is_revoked = flags.contains('R');
            let Some(serial) = i32::from_str_radix(serial, 16).ok().filter(|_| !is_gone) else {
                continue;
            };
            match kind {
                "keyring" if !is_revoked => {
                    if let Some((name, count)) = rest.rsplit_once(": ") {
                        if KEYRINGS.contains(&name) {
                            keys.keyrings.push(Keyring {
                                name: name.to_owned(),
                                count: count.parse().unwrap_or(0),
                                members: members(serial),
                            });
                        }
                    }
                }
                // The kernel cuts names of types off.
                "asymmetri" => {
                    let described = rest.split_once(": X509.").map_or(rest, |(start, _)| start);
                    let (name, id) = described.rsplit_once(": ").unwrap_or((described, ""));
                    let list = match is_revoked {
                        true => &mut keys.revoked,
                        false => &mut keys.loaded,
                    };
                    list.push(LoadedKey {
                        serial,
                        name: name.to_owned(),
                        id: id.to_owned(),
                    });
                }
                "blacklist" if !is_revoked => keys.refused.push(rest.to_owned()),
                _ => {}
            }
        }
        keys.keyrings
            .sort_by_key(|ring| KEYRINGS.iter().position(|name| *name == ring.name));
        keys
    }
}

/// What a variable of the firmware lists (UEFI, section "Signature Database").
#[derive(Debug, Default)]
pub struct Signatures {
    /// Certificates.
    pub certificates: Vec<Vec<u8>>,
    /// SHA-256 of files.
    pub files: Vec<[u8; 32]>,
}

impl Signatures {
    /// Reads lists of signatures, one behind the other; what is damaged ends them.
    fn parse(mut lists: &[u8]) -> Self {
        const X509: [u8; 16] = [
            0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b,
            0xf0, 0x72,
        ];
        const SHA256: [u8; 16] = [
            0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93,
            0x43, 0x28,
        ];
        const HEADER: usize = 28;
        const OWNER: usize = 16;
        let mut found = Signatures::default();
        while let Some((header, _)) = lists.split_at_checked(HEADER) {
            let field = |at: usize| {
                let octets = header[at..at + 4].try_into().unwrap_or_default();
                usize::try_from(u32::from_le_bytes(octets)).unwrap_or(usize::MAX)
            };
            let (size, skip, each) = (field(16), field(20), field(24));
            let body = HEADER
                .checked_add(skip)
                .and_then(|from| lists.get(from..size));
            let (Some(body), true) = (body, each > OWNER) else {
                break;
            };
            for entry in body.chunks_exact(each) {
                let data = &entry[OWNER..];
                if header.starts_with(&X509) {
                    found.certificates.push(data.to_vec());
                } else if header.starts_with(&SHA256) {
                    found.files.extend(<[u8; 32]>::try_from(data));
                }
            }
            lists = &lists[size..];
        }
        found
    }
}

/// What IMA does with a module that is to be loaded (Documentation/ABI/testing/ima_policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ima {
    /// It has no rule for them, or none that it insists on.
    LetsPass,
    /// It asks for its own signature: beside the file, in `security.ima`, or a signature at the end of the
    /// file will do as well.
    Appraises {
        /// Whether one at the end will do (`appraise_type=imasig|modsig`).
        modsig: bool,
    },
    /// Its policy cannot be read any more, or looks at more of the file than is looked at here.
    Unclear,
}

impl Ima {
    /// By its policy: the first rule that fits counts. `dont_appraise` with conditions is for file systems
    /// that no modules are on.
    fn of(policy: &str) -> Self {
        for rule in policy.lines() {
            let mut words = rule.split_whitespace();
            let action = words.next();
            let (mut func, mut modsig, mut others) = (None, false, 0);
            for word in words {
                match word.split_once('=') {
                    Some(("func", name)) => func = Some(name),
                    Some(("appraise_type", kind)) => modsig = kind.contains("modsig"),
                    Some(("appraise_flag" | "appraise_algos" | "template", _)) => {}
                    _ => others += 1,
                }
            }
            match (action, func) {
                (_, Some(func)) if func != "MODULE_CHECK" => {}
                (Some("appraise"), Some(_)) if others == 0 => return Ima::Appraises { modsig },
                (Some("appraise"), _) => return Ima::Unclear,
                (Some("dont_appraise"), _) if others == 0 => return Ima::LetsPass,
                _ => {}
            }
        }
        Ima::LetsPass
    }
}

/// The programs that load modules, as they were built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kmod {
    version: u32,
    /// What it can unpack itself.
    unpacks: Vec<Compression>,
}

impl Kmod {
    /// By what `kmod --version` prints.
    fn of(text: &str) -> Option<Self> {
        let version = text
            .strip_prefix("kmod version ")?
            .split_whitespace()
            .next()?;
        let has = |compression: &Compression| {
            let name = match compression {
                Compression::Gzip => "+ZLIB",
                Compression::Xz => "+XZ",
                Compression::Zstd => "+ZSTD",
            };
            text.split_whitespace().any(|word| word == name)
        };
        Some(Kmod {
            version: version.split('.').next()?.parse().ok()?,
            unpacks: Compression::ALL.into_iter().filter(has).collect(),
        })
    }

    /// Who unpacks a module: newer ones leave to the kernel what that can unpack.
    pub fn unpacker(&self, packed: Compression, kernels: Option<&str>) -> Unpacker {
        if self.version >= 31 && kernels == Some(packed.name()) {
            return Unpacker::Kernel;
        }
        match self.unpacks.contains(&packed) {
            true => Unpacker::Kmod,
            false => Unpacker::Nobody,
        }
    }
}

/// Who unpacks a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacker {
    /// The program that loads it.
    Kmod,
    /// The kernel (`MODULE_INIT_COMPRESSED_FILE` of finit_module(2)).
    Kernel,
    /// Nobody: the kernel gets it as it is.
    Nobody,
}

/// A module of a release, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Its file.
    File(PathBuf),
    /// A part of the kernel itself.
    BuiltIn,
}

impl Machine {
    /// The machine whose files are below `root`.
    pub fn new(root: &Path) -> Self {
        Machine { root: root.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The content of a file of one line; `missing` says what it means that there is none.
    fn line(&self, path: &str, missing: &str) -> Result<String> {
        let path = self.path(path);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(anyhow!("{}: not there: {missing}", path.display()))
            }
            Err(error) => Err(error).with_context(|| format!("{}: cannot read", path.display())),
        }
    }

    /// The kernel's release.
    pub fn release(&self) -> Result<String> {
        self.line("/proc/sys/kernel/osrelease", "is /proc mounted?")
    }

    /// The newest release of those that are installed: what boot loaders start if they are not told
    /// otherwise.
    pub fn next_release(&self) -> Result<String> {
        let boot = self.path("/boot");
        let entries = fs::read_dir(&boot);
        let entries = entries.with_context(|| format!("{}: cannot read", boot.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let releases = names.filter_map(|name| {
            let release = IMAGES.iter().find_map(|start| name.strip_prefix(start))?;
            let is_spare = release.ends_with(".old") || release.contains("rescue");
            (!is_spare).then(|| release.to_owned())
        });
        let newest = releases.max_by(|one, other| by_version(one, other));
        newest.with_context(|| format!("{}: no kernel in it (vmlinuz-RELEASE)", boot.display()))
    }

    /// Where its modules are.
    pub fn modules(&self, release: &str) -> PathBuf {
        self.path(&format!("/lib/modules/{release}"))
    }

    /// What the kernel says of itself, to tell one build from another of the same release.
    pub fn banner(&self) -> Result<String> {
        self.line("/proc/version", "is /proc mounted?")
    }

    /// The modules that are loaded, by name.
    pub fn loaded(&self) -> Result<HashSet<String>> {
        let text = self.line(
            "/proc/modules",
            "the kernel takes no modules at all (CONFIG_MODULES), or /proc is not mounted",
        )?;
        let names = text.lines().filter_map(|line| line.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// How far it is locked down: `none`, `integrity` or `confidentiality`.
    pub fn lockdown(&self) -> Result<String> {
        let text = self.line(
            "/sys/kernel/security/lockdown",
            "securityfs is not mounted (mount -t securityfs none /sys/kernel/security), or the kernel has no lockdown",
        )?;
        let level = text
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        let (level, _) = level.with_context(|| format!("{text:?} is no lockdown state"))?;
        Ok(level.to_owned())
    }

    /// Whether it takes modules with good signatures only.
    pub fn enforces(&self) -> Result<bool> {
        let text = self.line(
            "/sys/module/module/parameters/sig_enforce",
            "/sys is not mounted, or the kernel does not look at signatures (CONFIG_MODULE_SIG)",
        )?;
        Ok(text == "Y")
    }

    /// Whether it takes no modules any more until it is booted again.
    pub fn modules_disabled(&self) -> Result<bool> {
        let text = self.line(
            "/proc/sys/kernel/modules_disabled",
            "the kernel takes no modules at all (CONFIG_MODULES), or /proc is not mounted",
        )?;
        Ok(text == "1")
    }

    /// What the kernel's command line has for a parameter; of several, the last one counts.
    fn parameter(&self, name: &str) -> Result<Option<String>> {
        let text = self.line("/proc/cmdline", "is /proc mounted?")?;
        // Behind "--" stands what is for the first program.
        let words = text.split_whitespace().take_while(|word| *word != "--");
        let values = words.filter_map(|word| {
            let (own, value) = word.split_once('=')?;
            (own == name).then(|| value.trim_matches('"').to_owned())
        });
        Ok(values.last())
    }

    /// The modules that its command line forbids (`module_blacklist=`), by name.
    pub fn forbidden(&self) -> Result<HashSet<String>> {
        let list = self.parameter("module_blacklist")?.unwrap_or_default();
        let names = list.split(',').filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    /// Whether modules are to be from one file system (`security/loadpin`).
    pub fn pins_modules(&self) -> Result<bool> {
        match self.line("/proc/sys/kernel/loadpin/enforce", "") {
            Ok(text) => Ok(text == "1"),
            Err(_) if !self.path("/proc/sys/kernel/loadpin/enforce").exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What IMA does with modules that are to be loaded.
    pub fn ima(&self) -> Result<Ima> {
        let directory = self.path("/sys/kernel/security/ima");
        if !directory.exists() {
            return Ok(Ima::LetsPass);
        }
        let mode = self.parameter("ima_appraise")?;
        if mode.is_some_and(|mode| ["off", "log", "fix"].contains(&&*mode)) {
            return Ok(Ima::LetsPass);
        }
        let is_usual =
            self.parameter("ima_policy")?.is_none() && !self.path("/etc/ima/ima-policy").exists();
        match fs::read_to_string(directory.join("policy")) {
            Ok(policy) => Ok(Ima::of(&policy)),
            // A kernel without CONFIG_IMA_READ_POLICY takes the file away once it was told a policy.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ima::Unclear),
            // It was given none, as far as is known: by the command line, or at boot out of a file.
            Err(_) if is_usual => Ok(Ima::LetsPass),
            Err(error) => Err(error).context(
                "its policy (/sys/kernel/security/ima/policy) cannot be read; only root may, and only with CONFIG_IMA_READ_POLICY",
            ),
        }
    }

    /// Those of these algorithms, as the kernel names them, that it can neither do now (`/proc/crypto`) nor
    /// after it has loaded a module of its release.
    pub fn lacks<'n>(&self, release: &str, names: &[&'n str]) -> Result<Vec<&'n str>> {
        let text = self.line(
            "/proc/crypto",
            "the kernel has no cryptography (CONFIG_CRYPTO), or /proc is not mounted",
        )?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        let known: HashSet<_> = fields
            .filter(|(field, _)| field.trim() == "name")
            .map(|(_, name)| name.trim())
            .collect();
        let aliases = self.modules(release).join("modules.alias");
        let aliases = fs::read_to_string(aliases).unwrap_or_default();
        let is_module = |name: &str| {
            let alias = format!("crypto-{name}");
            let mut words = aliases.lines().map(|line| line.split(' ').nth(1));
            words.any(|word| word == Some(&*alias))
        };
        let names = names.iter().copied();
        Ok(names
            .filter(|name| !known.contains(name) && !is_module(name))
            .collect())
    }

    /// The command that installs the package again which a FILE is from, if the machine has packages.
    pub fn packages(&self) -> Option<&'static str> {
        let kinds = [
            (
                "/var/lib/dpkg/status",
                "apt-get install --reinstall \"$(dpkg -S FILE | cut -d : -f 1)\"",
            ),
            ("/usr/lib/sysimage/rpm", "dnf reinstall \"$(rpm -qf FILE)\""),
            ("/var/lib/rpm", "dnf reinstall \"$(rpm -qf FILE)\""),
        ];
        let mut kinds = kinds.into_iter();
        kinds
            .find(|(path, _)| self.path(path).exists())
            .map(|(_, command)| command)
    }

    /// What kmod leaves to the kernel to unpack: `gzip`, `xz` or `zstd`.
    pub fn unpacks(&self) -> Option<String> {
        self.line("/sys/module/compression", "").ok()
    }

    /// The programs that load modules, if they are kmod's; only known on the machine itself.
    pub fn kmod(&self) -> Option<Kmod> {
        let program = Path::new("/bin/kmod");
        if self.root != Path::new("/") || !program.exists() {
            return None;
        }
        let output = Command::new(program).arg("--version").output().ok()?;
        Kmod::of(&String::from_utf8_lossy(&output.stdout))
    }

    /// Whether the kernel has a part of this name that can be a module as well, which is not loaded as one.
    pub fn has_built_in(&self, name: &str) -> bool {
        self.path(&format!("/sys/module/{name}")).exists()
    }

    /// The command that `modprobe` runs in place of loading a module (`install` in modprobe.d), and the
    /// file that says so.
    pub fn install_command(&self, name: &str) -> Option<(PathBuf, String)> {
        // The first directory that has a file of a name counts (modprobe.d(5)).
        const DIRECTORIES: [&str; 5] = [
            "/etc/modprobe.d",
            "/run/modprobe.d",
            "/usr/local/lib/modprobe.d",
            "/usr/lib/modprobe.d",
            "/lib/modprobe.d",
        ];
        let mut files = BTreeMap::new();
        for directory in DIRECTORIES {
            for entry in fs::read_dir(self.path(directory))
                .into_iter()
                .flatten()
                .flatten()
            {
                let path = entry.path();
                if path.extension().is_some_and(|ending| ending == "conf") {
                    files.entry(entry.file_name()).or_insert(path);
                }
            }
        }
        files.into_values().find_map(|path| {
            let text = fs::read_to_string(&path).ok()?.replace("\\\n", " ");
            text.lines().find_map(|line| {
                let mut words = line.split_whitespace();
                let is_it = words.next() == Some("install")
                    && words.next().is_some_and(|own| module_name(own) == name);
                let command = words.collect::<Vec<_>>().join(" ");
                is_it.then(|| (path.clone(), command))
            })
        })
    }

    /// What it is tainted by, of what has to do with modules.
    pub fn taints(&self) -> Result<Vec<&'static str>> {
        let text = self.line("/proc/sys/kernel/tainted", "is /proc mounted?")?;
        let taint: u64 = text
            .parse()
            .with_context(|| format!("{text:?} is no taint"))?;
        // Documentation/admin-guide/tainted-kernels.rst
        let bits = [
            (0, "a proprietary module was loaded"),
            (1, "a module was force-loaded"),
            (12, "a module from outside the kernel's tree was loaded"),
            (13, "a module without a good signature was loaded"),
        ];
        let set = bits.into_iter().filter(|(bit, _)| taint & (1 << bit) != 0);
        Ok(set.map(|(_, what)| what).collect())
    }

    /// The kernel's keys.
    pub fn keys(&self) -> Result<Keys> {
        let text = self.line(
            "/proc/keys",
            "the kernel has no keyrings, or /proc is not mounted",
        )?;
        Ok(Keys::parse(&text, |serial| {
            ensure!(
                self.root == Path::new("/"),
                "only known on the machine itself"
            );
            let content = Key::from_id(KeySerialId::new(serial))
                .read_to_vec()
                .map_err(|error| anyhow!("cannot read the keyring ({error}); only root may"))?;
            let serials = content
                .chunks_exact(4)
                .filter_map(|four| four.try_into().ok());
            Ok(serials.map(i32::from_ne_bytes).collect())
        }))
    }

    /// A variable of shim's (`MokListRT`); `None` where there is none.
    fn variable(&self, name: &str) -> Result<Option<Vec<u8>>> {
        const SHIM: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";
        // Large lists are only in the first.
        self.first_of([
            (format!("/sys/firmware/efi/mok-variables/{name}"), 0),
            (
                format!("/sys/firmware/efi/efivars/{name}-{SHIM}"),
                ATTRIBUTES,
            ),
        ])
    }

    /// A database of the firmware's: `db`, whom it trusts, or `dbx`, whom it does not.
    fn database(&self, name: &str) -> Result<Option<Vec<u8>>> {
        const DATABASES: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
        let path = format!("/sys/firmware/efi/efivars/{name}-{DATABASES}");
        self.first_of([(path, ATTRIBUTES)])
    }

    fn first_of<const N: usize>(&self, paths: [(String, usize); N]) -> Result<Option<Vec<u8>>> {
        for (path, skip) in paths {
            let path = self.path(&path);
            match fs::read(&path) {
                Ok(content) => return Ok(Some(content.get(skip..).unwrap_or_default().to_vec())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("{}: cannot read; only root may", path.display()))
                }
            }
        }
        Ok(None)
    }

    /// The machine owner's keys (MOK); `None` where there is no such list.
    pub fn owner_keys(&self) -> Result<Option<Signatures>> {
        let variable = self.variable("MokListRT")?;
        Ok(variable.as_deref().map(Signatures::parse))
    }

    /// What the machine's owner does not trust.
    pub fn owner_refuses(&self) -> Result<Option<Signatures>> {
        let variable = self.variable("MokListXRT")?;
        Ok(variable.as_deref().map(Signatures::parse))
    }

    /// Whether the owner lets the kernel trust these keys as its own: the variable is there, whatever it
    /// says (security/integrity/platform_certs/machine_keyring.c).
    pub fn owner_keys_are_trusted(&self) -> Result<bool> {
        Ok(self.variable("MokListTrustedRT")?.is_some())
    }

    /// The firmware's keys, if the owner lets the kernel have them.
    pub fn firmware_keys(&self) -> Result<Option<Signatures>> {
        let ignored = self.variable("MokIgnoreDB")?.is_some();
        let variable = self.database("db")?.filter(|_| !ignored);
        Ok(variable.as_deref().map(Signatures::parse))
    }

    /// What the firmware does not trust.
    pub fn firmware_refuses(&self) -> Result<Option<Signatures>> {
        let variable = self.database("dbx")?;
        Ok(variable.as_deref().map(Signatures::parse))
    }

    /// Whether the kernel of a release was built with an option that is y or not set, by its configuration: that
    /// which the running kernel shows, or where distributions put it. `None` if there is none.
    pub fn has_option(&self, release: &str, is_running: bool, option: &str) -> Option<bool> {
        let shown = || {
            let packed = fs::read(self.path("/proc/config.gz")).ok()?;
            let text = Compression::Gzip.unpack(&packed).ok()?;
            String::from_utf8(text).ok()
        };
        let places = [
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
        ];
        let read = || {
            let mut paths = places.iter().map(|path| self.path(path));
            paths.find_map(|path| fs::read_to_string(path).ok())
        };
        let text = is_running.then(shown).flatten().or_else(read)?;
        let wanted = format!("{option}=y");
        Some(text.lines().any(|line| line == wanted))
    }

    /// The image of a release, where distributions put it.
    pub fn image(&self, release: &str) -> Option<PathBuf> {
        let in_boot = IMAGES.map(|start| format!("/boot/{start}{release}"));
        let with_modules = format!("/lib/modules/{release}/vmlinuz");
        let paths = in_boot.into_iter().chain([with_modules]);
        let mut paths = paths.map(|path| self.path(&path));
        paths.find(|path| path.is_file())
    }

    /// The initramfs of a release, where distributions put it.
    pub fn initramfs(&self, release: &str) -> Option<PathBuf> {
        let paths = [
            format!("/boot/initrd.img-{release}"),
            format!("/boot/initramfs-{release}.img"),
            format!("/boot/initrd-{release}"),
        ];
        let mut paths = paths.iter().map(|path| self.path(path));
        paths.find(|path| path.is_file())
    }

    /// The files of the modules that `modprobe` loads in front of this one, the first one first.
    pub fn needed_by(&self, release: &str, module: &Path) -> Vec<PathBuf> {
        let directory = self.path(&format!("/lib/modules/{release}"));
        let listed = fs::read_to_string(directory.join("modules.dep")).unwrap_or_default();
        let mut lines = listed.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(path, _)| directory.join(path) == module);
        let needed = found.map_or("", |(_, needed)| needed).split_whitespace();
        needed.rev().map(|path| directory.join(path)).collect()
    }

    /// Whether the kernel of a release has this module built in, by its list.
    pub fn is_built_in(&self, release: &str, name: &str) -> bool {
        let list = self.path(&format!("/lib/modules/{release}/modules.builtin"));
        let list = fs::read_to_string(list).unwrap_or_default();
        list.lines().any(|path| module_name(path) == name)
    }

    /// The file of a module of a release, by its name, as `modprobe` finds it.
    pub fn module(&self, release: &str, name: &str) -> Result<Installed> {
        let directory = self.path(&format!("/lib/modules/{release}"));
        let wanted = module_name(name);
        let listed = fs::read_to_string(directory.join("modules.dep")).unwrap_or_default();
        for line in listed.lines() {
            let path = line.split(':').next().unwrap_or_default();
            if module_name(path) == wanted && directory.join(path).is_file() {
                return Ok(Installed::File(directory.join(path)));
            }
        }
        if self.is_built_in(release, &wanted) {
            return Ok(Installed::BuiltIn);
        }
        files::walk(std::slice::from_ref(&directory), Links::Follow)
            .into_iter()
            .flatten()
            .map(|found| found.path)
            .find(|path| module_name(&path.to_string_lossy()) == wanted)
            .map(Installed::File)
            .with_context(|| {
                format!(
                    "{name}: no module of that name below {}; give the path of its file, or see that the package with it is installed",
                    directory.display()
                )
            })
    }
}

/// What the names of images begin with.
const IMAGES: [&str; 4] = ["vmlinuz-", "vmlinux-", "Image-", "kernel-"];

/// Compares two releases as `sort -V` does: numbers as numbers, what is between them by letters.
fn by_version(one: &str, other: &str) -> std::cmp::Ordering {
    parts(one).cmp(&parts(other))
}

/// Words, each with the number behind it.
fn parts(release: &str) -> Vec<(&str, u64)> {
    let (mut parts, mut rest) = (vec![], release);
    while !rest.is_empty() {
        let is_digit = |character: char| character.is_ascii_digit();
        let (word, behind) = rest.split_at(rest.find(is_digit).unwrap_or(rest.len()));
        let end = behind.find(|character| !is_digit(character));
        let (number, behind) = behind.split_at(end.unwrap_or(behind.len()));
        parts.push((word, number.parse().unwrap_or(0)));
        rest = behind;
    }
    parts
}

/// Bytes in front of a variable's content in efivarfs.
const ATTRIBUTES: usize = 4;

/// The name under which the kernel knows the module of a file.
pub fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let name = file.split(".ko").next().unwrap_or_default();
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_unpacks_a_module_depends_on_kmod() {
        let old = Kmod::of("kmod version 30\n+ZSTD +XZ -ZLIB +LIBCRYPTO -EXPERIMENTAL\n").unwrap();
        let new = Kmod::of("kmod version 34.2\n+ZSTD +XZ -ZLIB +OPENSSL\n").unwrap();
        for (packed, kernels, by_old, by_new) in [
            (Compression::Gzip, None, Unpacker::Nobody, Unpacker::Nobody),
            (
                Compression::Gzip,
                Some("gzip"),
                Unpacker::Nobody,
                Unpacker::Kernel,
            ),
            (
                Compression::Gzip,
                Some("xz"),
                Unpacker::Nobody,
                Unpacker::Nobody,
            ),
            (Compression::Xz, None, Unpacker::Kmod, Unpacker::Kmod),
            (
                Compression::Xz,
                Some("xz"),
                Unpacker::Kmod,
                Unpacker::Kernel,
            ),
            (
                Compression::Zstd,
                Some("xz"),
                Unpacker::Kmod,
                Unpacker::Kmod,
            ),
        ] {
            assert_eq!(
                old.unpacker(packed, kernels),
                by_old,
                "{packed:?} {kernels:?}"
            );
            assert_eq!(
                new.unpacker(packed, kernels),
                by_new,
                "{packed:?} {kernels:?}"
            );
        }
        assert_eq!(Kmod::of("BusyBox v1.36"), None);
    }

    #[test]
    fn a_certificate_is_revoked_if_it_is_in_the_keyring() {
        // One is in .platform as well, as another key of the same id.
        let text = "
17605c5c I------     1 perm 0f0b0000     0     0 keyring   .blacklist: 2
19a13b90 I------     1 perm 1f0b0000     0     0 keyring   .platform: 2
00000001 I------     1 perm 1f030000     0     0 asymmetri withdrawn: aa01: X509.rsa aa01 []
00000002 I------     1 perm 1f030000     0     0 asymmetri firmware: aa02: X509.rsa aa02 []
00000003 I------     1 perm 0b010000     0     0 asymmetri withdrawn: aa01: X509.rsa aa01 []
00000004 I------     1 perm 082b0000     0     0 blacklist bin:aa02
";
        let members = |serial| match serial {
            0x1760_5c5c => Ok(vec![3, 4]),
            _ => Ok(vec![1, 2]),
        };
        let revokes = |text: &str, id| Keys::parse(text, members).revokes(id);
        assert_eq!(revokes(text, "aa01"), Some(true));
        assert_eq!(revokes(text, "aa02"), Some(false));
        assert_eq!(revokes(text, "aa03"), Some(false));
        assert_eq!(revokes("", "aa01"), None);
        let nobody = |_| Err(anyhow!("only root may"));
        assert_eq!(Keys::parse(text, nobody).revokes("aa01"), None);
        let empty = text.replace(".blacklist: 2", ".blacklist: empty");
        assert_eq!(Keys::parse(&empty, nobody).revokes("aa01"), Some(false));
    }

    #[test]
    fn a_key_that_was_revoked_is_told_from_those_that_count() {
        let text = "
17605c5c I------     1 perm 1f0b0000     0     0 keyring   .secondary_trusted_keys: 2
00000001 I------     1 perm 1f030000     0     0 asymmetri good: aa01: X509.rsa aa01 []
00000002 IR-----     1 perm 1f030000     0     0 asymmetri withdrawn: aa02: X509.rsa aa02 []
00000003 I-----i     1 perm 1f030000     0     0 asymmetri gone: aa03: X509.rsa aa03 []
";
        let keys = Keys::parse(text, |_| Ok(vec![1, 2, 3]));
        let names = |list: &[LoadedKey]| {
            let names = list.iter().map(|key| key.name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&keys.loaded), ["good"]);
        assert_eq!(names(&keys.revoked), ["withdrawn"]);
        let mut rings = keys.keyrings_of(&keys.revoked[0]);
        assert_eq!(rings.next(), Some(".secondary_trusted_keys"));
    }

    #[test]
    fn the_first_rule_of_ima_that_fits_counts() {
        let appraises = |modsig| Ima::Appraises { modsig };
        for (policy, ima) in [
            ("", Ima::LetsPass),
            ("measure func=MODULE_CHECK \n", Ima::LetsPass),
            ("appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig \n", Ima::LetsPass),
            ("appraise func=MODULE_CHECK appraise_type=imasig \n", appraises(false)),
            ("dont_appraise fsmagic=0x9fa0 \nappraise func=MODULE_CHECK appraise_type=imasig|modsig \n", appraises(true)),
            ("dont_appraise func=MODULE_CHECK \nappraise func=MODULE_CHECK \n", Ima::LetsPass),
            ("appraise fowner=0 \n", Ima::Unclear),
            ("appraise func=MODULE_CHECK fowner=0 \n", Ima::Unclear),
        ] {
            assert_eq!(Ima::of(policy), ima, "{policy}");
        }
    }

    #[test]
    fn releases_are_compared_as_people_do() {
        let mut releases = [
            "6.12.9-amd64",
            "6.1.0-50-amd64",
            "6.12.10-amd64",
            "6.12.10-rc3",
            "6.1.0-9-amd64",
            "7.3.4",
        ];
        releases.sort_by(|one, other| by_version(one, other));
        let expected = [
            "6.1.0-9-amd64",
            "6.1.0-50-amd64",
            "6.12.9-amd64",
            "6.12.10-amd64",
            "6.12.10-rc3",
            "7.3.4",
        ];
        assert_eq!(releases, expected);
    }
}
