// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `modsig why` says: about images, about a machine's recorded files, and in a booted guest,
//! where Debian's kernel says what is true.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use modsig_testing::{
    archive::Archive,
    vm::{self, Options},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{
    self,
    linked::{self, Linked, VERMAGIC},
    *,
};

/// As the kernel's Makefile names what these tests run on.
fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

/// A kernel of Debian's for this machine, with its modules.
fn debian() -> PathBuf {
    script("get/distro-kernel", &["trixie", host_arch()])
}

fn release(debian: &Path) -> String {
    let mut all = fs::read_dir(debian.join("lib/modules")).unwrap();
    let one = all.next().unwrap().unwrap();
    one.file_name().into_string().unwrap()
}

/// A module of it that needs no other.
fn dummy(debian: &Path) -> PathBuf {
    let modules = debian.join("lib/modules").join(release(debian));
    modules.join("kernel/drivers/net/dummy.ko.xz")
}

/// The module in all the states in which people come across one, and a key that nobody trusts.
/// The first is as it should be.
const STATES: [&str; 7] = [
    "good.ko",
    "unsigned.ko",
    "untrusted.ko",
    "altered.ko",
    "appended.ko",
    "twice.ko",
    "damaged.ko",
];

fn states() -> TempDir {
    let work = set_up("rsa-2048");
    let output = Command::new("xz").arg("-dc").arg(dummy(&debian())).output();
    let good = output.unwrap().stdout;
    let write = |name: &str, content: &[u8]| fs::write(work.path().join(name), content).unwrap();
    for name in ["good.ko", "unsigned.ko", "untrusted.ko"] {
        write(name, &good);
    }
    let run = |arguments: &[&str]| self::good(&modsig(&work, arguments));
    run(&["strip", "unsigned.ko"]);
    run(&["sign", "--key", "k.pem", "--cert", "c.pem", "untrusted.ko"]);

    let mut altered = good.clone();
    let at = altered
        .windows(8)
        .position(|text| text == b"license=")
        .unwrap();
    altered[at + 8] ^= 1;
    write("altered.ko", &altered);
    write("appended.ko", &[&good[..], b"more"].concat());
    // Today's signers put the second one behind the first.
    write("twice.ko", &good);
    let source = kernel_source("6.12").join("scripts");
    let include = ["-I", source.to_str().unwrap()];
    let sign_file = work.path().join("stock-sign-file");
    let output = Command::new("cc")
        .args(["-w", "-o", sign_file.to_str().unwrap()])
        .args(include)
        .arg(source.join("sign-file.c"))
        .arg("-lcrypto")
        .output()
        .unwrap();
    self::good(&output);
    let sign_file = sign_file.to_str().unwrap();
    let sign = ["sha256", "k.pem", "c.pem", "twice.ko"];
    self::good(&common::run(&work, sign_file, &sign));
    // The length of the signature.
    let mut damaged = good.clone();
    let at = damaged.len() - 28 - 4;
    damaged[at..at + 4].fill(0xff);
    write("damaged.ko", &damaged);
    work
}

fn why(work: &TempDir, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = modsig(work, &[&["why", "--json"], arguments].concat());
    let answer = serde_json::from_slice(&output.stdout);
    (
        output.status.code(),
        answer.unwrap_or_else(|_| panic!("{output:?}")),
    )
}

fn says(answer: &Value, field: &str, text: &str) {
    let all = answer[field].as_array().unwrap();
    let found = all.iter().any(|one| one.as_str().unwrap().contains(text));
    assert!(found, "no {text:?} in {answer}");
}

#[test]
fn an_image_tells_what_would_become_of_each() {
    let debian = debian();
    let image = debian.join("vmlinuz");
    let image = image.to_str().unwrap();
    let work = states();
    let ask = |name: &str| why(&work, &["--kernel", image, name]);

    let (code, answer) = ask("good.ko");
    let on = format!("on {image} (Linux {})", release(&debian));
    assert_eq!(
        (code, &answer["verdict"]),
        (Some(0), &format!("loads {on}").into())
    );
    assert_eq!(answer["loads"], true);
    says(&answer, "notes", &format!("trusted by {image}"));

    let (code, answer) = ask("unsigned.ko");
    let verdict = answer["verdict"].as_str().unwrap();
    let expected = format!("WILL NOT LOAD {on} with sig_enforce or lockdown: not signed");
    assert_eq!((code, verdict), (Some(1), &*expected));
    // It depends.
    assert_eq!(answer["loads"], Value::Null);
    assert_eq!(
        answer["modes"],
        serde_json::json!({"permissive": "loads, taints", "sig_enforce": "EKEYREJECTED", "lockdown": "EPERM"})
    );
    says(
        &answer,
        "findings",
        "strip or objcopy took the signature off",
    );
    says(
        &answer,
        "remedies",
        "modsig sign --key KEY --cert CERT unsigned.ko",
    );

    let (code, answer) = ask("untrusted.ko");
    assert_eq!(code, Some(1));
    says(&answer, "findings", "key is not in any keyring");
    says(
        &answer,
        "notes",
        "trusted are: \"Build time autogenerated kernel key\"",
    );

    let (code, answer) = ask("altered.ko");
    assert_eq!(code, Some(1));
    assert_eq!(answer["error"], "EKEYREJECTED");
    says(&answer, "findings", "changed after it was signed");

    let (_, answer) = ask("appended.ko");
    says(&answer, "findings", "4 bytes stand behind it");
    says(&answer, "findings", "without them the signature is good");
    says(&answer, "remedies", "truncate -s -4 appended.ko");
    // The remedy is one.
    let remedy = ["-s", "-4", "appended.ko"];
    good(&run(&work, "truncate", &remedy));
    assert_eq!(read(&work, "appended.ko"), read(&work, "good.ko"));

    let (_, answer) = ask("twice.ko");
    says(&answer, "findings", "it was signed 2 times");
    says(
        &answer,
        "findings",
        "the signature below the last one is good",
    );

    let (code, answer) = ask("damaged.ko");
    assert_eq!(code, Some(1));
    assert_eq!(answer["error"], "EBADMSG");

    fs::write(work.path().join("text.ko"), "text").unwrap();
    let (code, answer) = ask("text.ko");
    assert_eq!(code, Some(1));
    says(&answer, "findings", "it is no kernel module");
    assert!(answer["verdict"]
        .as_str()
        .unwrap()
        .contains("not an ELF file"));
}

#[test]
fn packing_is_told_from_signing() {
    let work = states();
    let image = debian().join("vmlinuz");
    let image = image.to_str().unwrap();
    let ask = |name: &str| why(&work, &["--kernel", image, name]);
    for (program, ending) in [("xz", "xz"), ("gzip", "gz"), ("zstd", "zst")] {
        good(&run(&work, program, &["-k", "-q", "good.ko"]));
        let name = format!("good.ko.{ending}");
        let (code, answer) = ask(&name);
        assert_eq!(code, Some(0), "{answer}");
        // That is as it should be, so there is nothing to say.
        assert!(!answer.to_string().contains("packed"), "{answer}");

        good(&run(&work, program, &["-k", "-q", "unsigned.ko"]));
        let name = format!("unsigned.ko.{ending}");
        let sign = ["sha256", "k.pem", "c.pem", &*name];
        good(&run(&work, "./stock-sign-file", &sign));
        let (code, answer) = ask(&name);
        assert_eq!(code, Some(1), "{answer}");
        says(&answer, "findings", "signed after it was packed with");
        // The remedy is one.
        good(&modsig(
            &work,
            &["sign", "--key", "k.pem", "--cert", "c.pem", &name],
        ));
        let (code, answer) = why(&work, &["--cert", "c.pem", &name]);
        assert_eq!(code, Some(0), "{answer}");
    }
}

#[test]
fn who_has_a_certificate_from_a_trusted_ca_is_told_where_it_belongs() {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("m.ko"), MODULE).unwrap();
    let keys = script("build/keys", &[]);
    let key = |name: &str| keys.join(name).display().to_string();
    let (leaf, cert) = (key("leaf.key.pem"), key("leaf.cert.pem"));
    good(&modsig(
        &work,
        &["sign", "--key", &leaf, "--cert", &cert, "m.ko"],
    ));
    let (code, answer) = why(&work, &["--cert", &key("ca.cert.pem"), "m.ko"]);
    assert_eq!(code, Some(1), "{answer}");
    says(
        &answer,
        "findings",
        "trusts a CA of the name that has issued the signer's certificate, \"modsig test ca\"",
    );
    says(&answer, "remedies", "%:.secondary_trusted_keys");
    assert!(!answer.to_string().contains("of another build"), "{answer}");

    // A certificate of another CA is no help, nor one of the same name that is no CA's.
    let (_, answer) = why(&work, &["--cert", &key("root.cert.pem"), "m.ko"]);
    assert!(!answer.to_string().contains("secondary"), "{answer}");
    for name in ["one", "other"] {
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        let keygen = [
            "keygen",
            "--algorithm",
            "p256",
            "--key",
            &key,
            "--cert",
            &cert,
        ];
        good(&modsig(&work, &keygen));
    }
    good(&modsig(
        &work,
        &["sign", "--key", "one.key", "--cert", "one.pem", "m.ko"],
    ));
    let (_, answer) = why(&work, &["--cert", "other.pem", "m.ko"]);
    says(&answer, "findings", "a certificate of the same name");
    assert!(!answer.to_string().contains("secondary"), "{answer}");
}

#[test]
fn a_module_of_another_build_is_told_by_its_signer_and_its_release() {
    let work = tempfile::tempdir().unwrap();
    let image = debian().join("vmlinuz");
    let other = script("get/distro-kernel", &["bookworm", host_arch()]);
    let root = other.to_str().unwrap();
    let module = format!(
        "{root}/lib/modules/{}/kernel/drivers/net/dummy.ko",
        release(&other)
    );
    let (code, answer) = why(&work, &["--kernel", image.to_str().unwrap(), &module]);
    assert_eq!(code, Some(1));
    says(&answer, "findings", "a certificate of the same name");
    says(
        &answer,
        "findings",
        &format!("built for Linux {}", release(&other)),
    );
    assert!(!answer.to_string().contains("DKMS has made"), "{answer}");

    // By name, among those of the image's release.
    let image = other.join("vmlinuz");
    let of_its_own = ["--kernel", image.to_str().unwrap(), "--root", root];
    let (code, answer) = why(&work, &[&of_its_own[..], &["dm-crypt"]].concat());
    assert_eq!(code, Some(0), "{answer}");
    let (_, underscored) = why(&work, &[&of_its_own[..], &["dm_crypt"]].concat());
    assert_eq!(answer, underscored);
    assert!(answer["path"].as_str().unwrap().ends_with("/dm-crypt.ko"));
    let output = modsig(&work, &[&["why"], &of_its_own[..], &["nothing"]].concat());
    fails(&output, 2, "nothing: no module of that name");
    let list = fs::read_to_string(format!(
        "{root}/lib/modules/{}/modules.builtin",
        release(&other)
    ));
    let list = list.unwrap();
    let builtin = list.lines().next().unwrap().rsplit('/').next().unwrap();
    let builtin = builtin.strip_suffix(".ko").unwrap();
    let (code, answer) = why(&work, &[&of_its_own[..], &[builtin]].concat());
    let verdict = answer["verdict"].as_str().unwrap();
    assert_eq!((code, &answer["loads"]), (Some(0), &true.into()));
    assert!(verdict.starts_with("is built into "), "{verdict}");
}

/// A machine's files, as they were recorded.
fn record(root: &Path, files: &[(&str, &[u8])]) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A list of one certificate, as the firmware has it (UEFI, "Signature Database").
fn signature_list(der: &[u8]) -> Vec<u8> {
    // a5c059a1-94e4-4aa7-87b5-ab155c2bf072
    let mut list = vec![
        0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0,
        0x72,
    ];
    let each = 16 + der.len() as u32;
    for field in [28 + each, 0, each] {
        list.extend(field.to_le_bytes());
    }
    list.extend([7; 16]);
    list.extend(der);
    list
}

/// A machine with this kernel of Debian's.
fn machine(work: &TempDir) -> PathBuf {
    let debian = debian();
    let root = work.path().join("root");
    let release = release(&debian);
    record(
        &root,
        &[
            (
                "proc/sys/kernel/osrelease",
                format!("{release}\n").as_bytes(),
            ),
            ("proc/sys/kernel/modules_disabled", b"0\n"),
            ("proc/sys/kernel/tainted", b"0\n"),
            ("proc/cmdline", b"root=/dev/sda1 quiet\n"),
            ("proc/keys", include_bytes!("machine/keys")),
            (
                "sys/kernel/security/lockdown",
                b"[none] integrity confidentiality\n",
            ),
            ("sys/module/module/parameters/sig_enforce", b"N\n"),
        ],
    );
    fs::create_dir_all(root.join("boot")).unwrap();
    let image = root.join(format!("boot/vmlinuz-{release}"));
    std::os::unix::fs::symlink(debian.join("vmlinuz"), image).unwrap();
    root
}

#[test]
fn the_machine_is_asked() {
    let work = states();
    let root = machine(&work);
    let ask = |name: &str| why(&work, &["--root", "root", name]);
    let (code, answer) = ask("untrusted.ko");
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(
        answer["verdict"],
        format!("loads on this kernel (Linux {}, signatures not enforced), and taints it: signer's key is in no trusted keyring", release(&debian()))
    );
    assert_eq!(answer["unknown"], serde_json::json!([]));
    says(&answer, "machine", "lockdown: none");

    record(
        &root,
        &[("sys/module/module/parameters/sig_enforce", b"Y\n")],
    );
    let (code, answer) = ask("untrusted.ko");
    assert_eq!(code, Some(1));
    let on = format!("WILL NOT LOAD on this kernel (Linux {}", release(&debian()));
    assert_eq!(
        answer["verdict"],
        format!("{on}, sig_enforce): signer's key is in no trusted keyring (EKEYREJECTED)")
    );
    record(
        &root,
        &[
            ("sys/module/module/parameters/sig_enforce", b"N\n"),
            (
                "sys/kernel/security/lockdown",
                b"none [integrity] confidentiality\n",
            ),
            ("proc/sys/kernel/tainted", b"12288\n"),
        ],
    );
    let (code, answer) = ask("untrusted.ko");
    assert_eq!(code, Some(1));
    assert_eq!(
        answer["verdict"],
        format!("{on}, locked down): signer's key is in no trusted keyring (EPERM)")
    );
    says(
        &answer,
        "machine",
        "tainted: a module without a good signature was loaded",
    );
    let (code, _) = ask("good.ko");
    assert_eq!(code, Some(0));

    record(&root, &[("proc/sys/kernel/modules_disabled", b"1\n")]);
    let (code, answer) = ask("good.ko");
    assert_eq!(code, Some(1));
    says(&answer, "findings", "kernel.modules_disabled is 1");
}

#[test]
fn what_cannot_be_found_out_is_said() {
    let work = states();
    let root = machine(&work);
    for path in ["sys", "boot", "proc/keys", "proc/sys/kernel/tainted"] {
        let path = root.join(path);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    let (code, answer) = why(&work, &["--root", "root", "good.ko"]);
    // Without the image nobody knows whether it is trusted.
    assert_eq!(code, Some(1));
    for text in [
        "which certificates the kernel has built in",
        "whether only signed modules load",
        "securityfs is not mounted",
        "the kernel's keys",
        "what it is tainted by",
    ] {
        says(&answer, "unknown", text);
    }
    fs::remove_dir_all(root.join("proc")).unwrap();
    let output = modsig(&work, &["why", "--root", "root", "good.ko"]);
    fails(&output, 2, "osrelease: not there: is /proc mounted?");
}

#[test]
fn the_machine_owners_keys_count_where_the_kernel_counts_them() {
    let work = states();
    let root = machine(&work);
    let enforce: (&str, &[u8]) = ("sys/module/module/parameters/sig_enforce", b"Y\n");
    let x509 = openssl::x509::X509::from_pem(&read(&work, "c.pem")).unwrap();
    let list = signature_list(&x509.to_der().unwrap());
    let variables = "sys/firmware/efi/mok-variables";
    record(
        &root,
        &[enforce, (&format!("{variables}/MokListRT"), &list)],
    );

    // In .platform, which Debian's kernel asks.
    let (code, answer) = why(&work, &["--root", "root", "untrusted.ko"]);
    assert_eq!(code, Some(0), "{answer}");
    says(&answer, "notes", "only distributions' kernels ask it");

    let keys = include_str!("machine/keys").to_owned()
        + "0f58d3ad I------     1 perm 1f0f0000     0     0 keyring   .machine: 1\n";
    let trusts = format!("{variables}/MokListTrustedRT");
    record(&root, &[("proc/keys", keys.as_bytes()), (&trusts, &[1])]);
    let (code, answer) = why(&work, &["--root", "root", "untrusted.ko"]);
    assert_eq!(code, Some(0), "{answer}");
    says(
        &answer,
        "notes",
        "trusted by the machine owner's list (MOK)",
    );

    // As efivarfs has it: attributes in front.
    fs::remove_dir_all(root.join(variables)).unwrap();
    let variable = |name: &str| {
        format!("sys/firmware/efi/efivars/{name}-605dab50-e046-4300-abb6-3dd810dd8b23")
    };
    let list = [&[6, 0, 0, 0][..], &list].concat();
    record(&root, &[(&variable("MokListRT"), &list)]);
    assert_eq!(why(&work, &["--root", "root", "untrusted.ko"]).0, Some(0));

    // Debian's kernels are built without CONFIG_SYSTEM_REVOCATION_LIST: seen to load a module by a key in
    // MokList and in MokListX.
    record(&root, &[(&variable("MokListXRT"), &list)]);
    let (code, answer) = why(&work, &["--root", "root", "untrusted.ko"]);
    assert_eq!(
        (code, &answer["unknown"]),
        (Some(0), &serde_json::json!([])),
        "{answer}"
    );
}

#[test]
fn a_hash_that_the_running_kernel_refuses_counts() {
    let work = states();
    let root = machine(&work);
    let digest = openssl::sha::sha256(&read(&work, "good.ko"));
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let keys = include_str!("machine/keys").to_owned()
        + "2ec3b1c0 I------     1 perm 082b0000     0     0 blacklist bin:"
        + &digits
        + "\n";
    record(&root, &[("proc/keys", keys.as_bytes())]);
    let (code, answer) = why(&work, &["--root", "root", "good.ko"]);
    assert_eq!(code, Some(1), "{answer}");
    says(&answer, "findings", "refuses this very file");
    says(&answer, "machine", "hashes refused");
}

/// The libraries of a program, and what loads them.
fn libraries(program: &str) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    good(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

/// What the guest does: it asks about each module, and then tries it; then once more locked down,
/// and where signatures are enforced.
const INIT: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc none /proc
$b mount -t sysfs none /sys
$b mount -t securityfs none /sys/kernel/security
echo 1 > /proc/sys/kernel/printk
round() {
	for module in $@; do
		echo \"module $module\"
		/bin/modsig why --json /states/$module.ko
		echo \"code $?\"
		$b insmod /states/$module.ko
		echo \"insmod $?\"
		$b rmmod dummy 2> /dev/null
	done
}
round good
/bin/modsig why -v dummy
round unsigned untrusted altered appended twice damaged
echo integrity > /sys/kernel/security/lockdown
round good unsigned untrusted altered
echo 1 > /sys/module/module/parameters/sig_enforce
round good unsigned untrusted altered
/bin/modsig why -v dummy
$b mkdir /etc
echo 'somebody:x:1000:1000::/:/bin/sh' > /etc/passwd
echo 'as somebody:'
$b start-stop-daemon -S -c 1000 -x /bin/modsig -- why -v dummy
$b cat /proc/keys
$b poweroff -f
";

/// Boots Debian's kernel; returns what the guest has printed.
fn guest(states: &TempDir) -> String {
    let debian = debian();
    let release = release(&debian);
    let work = tempfile::tempdir().unwrap();
    let small = work.path().join("modsig");
    let output = Command::new("/usr/lib/llvm-19/bin/llvm-strip")
        .args(["-o", small.to_str().unwrap(), MODSIG])
        .output()
        .unwrap();
    good(&output);
    let mut archive = Archive::default();
    let mut directories = vec![];
    let mut file = |path: &str, content: &Path| {
        let mut parents: Vec<_> = Path::new(path).ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents
            .into_iter()
            .filter(|parent| *parent != Path::new(""))
        {
            if !directories.contains(&parent.to_path_buf()) {
                archive.directory(parent.to_str().unwrap());
                directories.push(parent.to_path_buf());
            }
        }
        archive.file(path, &fs::read(content).unwrap());
    };
    let init = work.path().join("init");
    fs::write(&init, INIT).unwrap();
    file("init", &init);
    file("bin/busybox", Path::new("/bin/busybox"));
    file("bin/modsig", &small);
    for library in libraries(MODSIG) {
        file(library.to_str().unwrap().trim_start_matches('/'), &library);
    }
    file(&format!("boot/vmlinuz-{release}"), &debian.join("vmlinuz"));
    let dummy = dummy(&debian);
    file(
        dummy.strip_prefix(&debian).unwrap().to_str().unwrap(),
        &dummy,
    );
    for name in STATES {
        file(&format!("states/{name}"), &states.path().join(name));
    }
    for directory in ["proc", "sys", "dev"] {
        archive.directory(directory);
    }
    let console = work.path().join("console");
    let arch = vm::arch(host_arch()).unwrap();
    let options = Options {
        memory: 1024,
        limit: Duration::from_secs(400),
        ..Options::default()
    };
    let kernel = debian.join("vmlinuz");
    vm::run(
        arch,
        &kernel,
        &archive.finish(),
        "quiet",
        &console,
        &options,
    )
    .unwrap();
    String::from_utf8_lossy(&fs::read(&console).unwrap()).into_owned()
}

#[test]
#[ignore = "boots a kernel of Debian's; why-reduced boots others"]
fn debians_kernel_agrees() {
    let states = states();
    let console = guest(&states);
    println!("{console}");
    let mut lines = console.lines();
    let mut next = |start: &str| {
        let line = lines.find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no {start:?} in {console}"))
    };
    // Why not, where it is not as it should be; and what the kernel says then.
    let unsigned = "not signed";
    let untrusted = "signer's key is in no trusted keyring";
    let altered = "signature does not match: altered after signing?";
    let damaged = "trailer claims a signature of";
    for (name, reason, error) in [
        ("good", "", ""),
        ("unsigned", unsigned, ""),
        ("untrusted", untrusted, ""),
        ("altered", altered, "EKEYREJECTED"),
        ("appended", unsigned, ""),
        ("twice", untrusted, ""),
        ("damaged", damaged, "EBADMSG"),
        // Locked down.
        ("good", "", ""),
        ("unsigned", unsigned, "EPERM"),
        ("untrusted", untrusted, "EPERM"),
        ("altered", altered, "EKEYREJECTED"),
        // Enforced.
        ("good", "", ""),
        ("unsigned", unsigned, "EKEYREJECTED"),
        ("untrusted", untrusted, "EKEYREJECTED"),
        ("altered", altered, "EKEYREJECTED"),
    ] {
        assert_eq!(next("module "), name);
        let answer: Value = serde_json::from_str(&format!("{{{}", next("{"))).unwrap();
        assert_eq!(answer["unknown"], serde_json::json!([]), "{answer}");
        let said = answer["reason"].as_str().unwrap_or_default();
        assert!(said.starts_with(reason), "{name}: {answer}");
        assert_eq!(
            answer["error"].as_str().unwrap_or_default(),
            error,
            "{answer}"
        );
        assert_eq!(answer["loads"], error.is_empty(), "{answer}");
        let code = next("code ");
        assert_eq!(code == "0", error.is_empty(), "{name}: {console}");
        // The exit status is the error number.
        let errno = match next("insmod ") {
            "0" => "",
            "1" => "EPERM",
            "74" => "EBADMSG",
            "129" => "EKEYREJECTED",
            other => panic!("insmod says {other}: {console}"),
        };
        assert_eq!(error, errno, "{name}: {console}");
    }
    let (root, user) = console.split_once("as somebody:").unwrap();
    for text in [
        "dummy: loads on this kernel (Linux ",
        "kernel/drivers/net/dummy.ko.xz",
        "keyring .builtin_trusted_keys: \"Build time autogenerated kernel key\"",
        "tainted: a module without a good signature",
        "lockdown: integrity",
        "loads signed modules only",
    ] {
        assert!(root.contains(text), "no {text:?} in {root}");
    }
    // Who may not look into the keyrings learns the most of it, too.
    assert!(
        user.contains("dummy: loads on this kernel (Linux "),
        "{user}"
    );
    assert!(user.contains("lockdown: integrity"), "{user}");
}

/// A module of Debian's with other words in it, signed with our key.
fn edited(work: &TempDir, name: &str, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut module = read(work, "unsigned.ko");
    let at = module.windows(from.len()).position(|part| part == from);
    let at = at.unwrap_or_else(|| panic!("no {}", String::from_utf8_lossy(from)));
    module[at..at + to.len()].copy_from_slice(to);
    fs::write(work.path().join(name), module).unwrap();
    let sign = ["sign", "--key", "k.pem", "--cert", "c.pem", name];
    good(&modsig(work, &sign));
}

/// What Debian's kernel says to such modules when it is booted stands beside each.
#[test]
fn a_module_for_another_kernel_is_told_by_what_the_loader_compares() {
    let work = states();
    let image = debian().join("vmlinuz");
    let image = image.to_str().unwrap();
    let ask = |name: &str| why(&work, &["--kernel", image, "--cert", "c.pem", name]);
    // Both in step: it loads.
    edited(&work, "same.ko", b"license=GPL", b"license=GPL");
    let (code, answer) = ask("same.ko");
    assert_eq!(
        (code, &answer["loads"]),
        (Some(0), &true.into()),
        "{answer}"
    );
    // Of another release, with checksums of all symbols that it uses (CONFIG_MODVERSIONS): it loads, as these
    // are the kernel's own; nobody looks at them here.
    let release = release(&debian());
    let mut other = release.clone().into_bytes();
    let digit = other.iter().position(u8::is_ascii_digit).unwrap();
    other[digit] = b'9';
    edited(
        &work,
        "release.ko",
        format!("vermagic={release}").as_bytes(),
        &[b"vermagic=", &other[..]].concat(),
    );
    let (code, answer) = ask("release.ko");
    assert_eq!(
        (code, &answer["loads"]),
        (Some(1), &Value::Null),
        "{answer}"
    );
    let verdict = answer["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("MAY NOT LOAD on "), "{verdict}");
    // Of another configuration: "version magic ... should be ...", ENOEXEC.
    edited(
        &work,
        "flags.ko",
        b" mod_unload modversions ",
        b" modversions mod_unload ",
    );
    // For another machine: "Invalid architecture in ELF header", ENOEXEC.
    let mut machine = read(&work, "unsigned.ko")[..20].to_vec();
    let header = machine.clone();
    machine[18..20].copy_from_slice(&40u16.to_le_bytes());
    edited(&work, "machine.ko", &header, &machine);
    for (name, text) in [
        ("flags.ko", "it is built for Linux "),
        ("machine.ko", "it is for 32-bit ARM"),
    ] {
        let (code, answer) = ask(name);
        assert_eq!(code, Some(1), "{answer}");
        let verdict = answer["verdict"].as_str().unwrap();
        assert!(verdict.contains(text), "{verdict}");
        assert_eq!(answer["error"], "ENOEXEC");
        // There is one remedy, and it is none for its signature.
        says(&answer, "remedies", "build or install it for this kernel");
        assert_eq!(answer["remedies"].as_array().unwrap().len(), 1, "{answer}");
        let verify = ["verify", "--kernel", image, "--cert", "c.pem", name];
        let output = modsig(&work, &verify);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(
            out.contains(text) && out.contains("enforcing: ENOEXEC"),
            "{out}"
        );
        good(&modsig(
            &work,
            &[&verify[..5], &["--any-release", name]].concat(),
        ));
    }
    // A kernel without checksums takes only its own release.
    let own = kernel("6.12", "x86_64", "permissive");
    let image = own.join("kernel");
    let image = image.to_str().unwrap();
    let (code, answer) = why(&work, &["--kernel", image, "--cert", "c.pem", "release.ko"]);
    assert_eq!(code, Some(1), "{answer}");
    assert_eq!(answer["error"], "ENOEXEC");
    says(
        &answer,
        "findings",
        "the loader refuses it, whatever its signature",
    );
}

#[test]
fn what_no_loader_takes_is_never_good() {
    let work = states();
    let whole = read(&work, "unsigned.ko");
    for (name, content) in [
        ("empty.ko", &whole[..0]),
        ("cut.ko", &whole[..300]),
        ("half.ko", &whole[..whole.len() / 2]),
    ] {
        fs::write(work.path().join(name), content).unwrap();
        let sign = ["sign", "--key", "k.pem", "--cert", "c.pem", name];
        assert_eq!(modsig(&work, &sign).status.code(), Some(1), "{name}");
        let verify = ["verify", "--allow-unsigned", "--cert", "c.pem", name];
        let output = modsig(&work, &verify);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(out.contains("permissive: ENOEXEC"), "{out}");
        let (code, answer) = why(&work, &["--cert", "c.pem", name]);
        assert_eq!(code, Some(1), "{answer}");
        // Signed by others all the same.
        let sign = ["sha256", "k.pem", "c.pem", name];
        if !content.is_empty() {
            good(&run(&work, "./stock-sign-file", &sign));
            let verify = ["verify", "--cert", "c.pem", name];
            assert_eq!(modsig(&work, &verify).status.code(), Some(1), "{name}");
        }
    }
}

/// As DKMS makes its pair, by `openssl req -x509`; and again, when its key was lost.
#[test]
fn a_key_that_dkms_has_made_anew_is_told() {
    let work = set_up("p256");
    for name in ["old", "new"] {
        let (key, cert) = (format!("{name}.key"), format!("{name}.pub"));
        let pair = [
            "req",
            "-new",
            "-x509",
            "-nodes",
            "-days",
            "36500",
            "-subj",
            "/CN=DKMS module signing key",
            "-newkey",
            "rsa:2048",
            "-keyout",
            &key,
            "-outform",
            "DER",
            "-out",
            &cert,
        ];
        good(&run(&work, "openssl", &pair));
    }
    let sign = ["sha256", "new.key", "new.pub", "m.ko"];
    good(&run(&work, SIGN_FILE, &sign));
    let (code, answer) = why(&work, &["--cert", "old.pub", "m.ko"]);
    assert_eq!(code, Some(1));
    says(&answer, "findings", "DKMS has made itself a new key since");
    says(
        &answer,
        "remedies",
        "mokutil --import /var/lib/dkms/mok.pub",
    );
    let text = answer.to_string();
    assert!(!text.contains("secondary"), "{text}");
}

/// What a machine has below its root: files of /proc and /sys, the kernel and its modules.
fn installed(work: &TempDir, name: &str) -> PathBuf {
    let root = work.path().join(name);
    let (debian, release) = (debian(), release(&debian()));
    let write = |path: &str, content: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("proc/sys/kernel/osrelease", &release);
    write("proc/sys/kernel/modules_disabled", "0");
    write("proc/sys/kernel/tainted", "0");
    write("proc/keys", "");
    write("proc/cmdline", "quiet");
    write("proc/modules", "");
    write("sys/module/module/parameters/sig_enforce", "Y");
    write(
        "sys/kernel/security/lockdown",
        "none [integrity] confidentiality",
    );
    fs::create_dir_all(root.join("boot")).unwrap();
    fs::copy(
        debian.join("vmlinuz"),
        root.join(format!("boot/vmlinuz-{release}")),
    )
    .unwrap();
    root
}

#[test]
fn what_a_module_needs_has_to_load_as_well() {
    let work = states();
    let root = installed(&work, "root");
    let modules = root.join("lib/modules").join(release(&debian()));
    fs::create_dir_all(&modules).unwrap();
    for name in ["good.ko", "unsigned.ko"] {
        fs::copy(work.path().join(name), modules.join(name)).unwrap();
    }
    fs::copy(work.path().join("good.ko"), modules.join("third.ko")).unwrap();
    let dep = "good.ko: third.ko unsigned.ko\nunsigned.ko:\nthird.ko: unsigned.ko\n";
    fs::write(modules.join("modules.dep"), dep).unwrap();
    let root = root.to_str().unwrap();
    let ask = || why(&work, &["--root", root, "good"]);
    let (code, answer) = ask();
    assert_eq!(code, Some(1), "{answer}");
    let verdict = answer["verdict"].as_str().unwrap();
    assert!(
        verdict.ends_with(": it needs unsigned, and that does not load: not signed (EKEYREJECTED)"),
        "{verdict}"
    );
    says(&answer, "remedies", "see to unsigned first: modsig why ");
    // The file alone, as for insmod.
    let file = modules.join("good.ko");
    let (code, _) = why(&work, &["--root", root, file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    // If it is there already.
    let loaded = "unsigned 16384 0 - Live 0x0000000000000000\n";
    fs::write(Path::new(root).join("proc/modules"), loaded).unwrap();
    let (code, answer) = ask();
    assert_eq!(code, Some(0), "{answer}");
}

#[test]
fn another_build_than_the_one_that_runs_is_told() {
    let work = states();
    let root = installed(&work, "root");
    let path = root.to_str().unwrap();
    let ask = || why(&work, &["--root", path, "./good.ko"]);
    let (code, answer) = ask();
    assert_eq!(code, Some(0), "{answer}");
    // Installed over it since: it has keys that the running one does not have.
    let banner = "Linux version 6.12.0 (somebody@somewhere) (gcc) #1 SMP yesterday";
    fs::write(root.join("proc/version"), banner).unwrap();
    let (code, answer) = ask();
    assert_eq!(code, Some(1), "{answer}");
    says(&answer, "unknown", "is another build of it");
    // But those that both have count.
    let image = modsig_tools::image::read(&debian().join("vmlinuz")).unwrap();
    let mut keys = String::new();
    for certificate in &image.certificates {
        let id = certificate
            .x509()
            .unwrap()
            .subject_key_id()
            .map_or_else(String::new, |id| {
                id.as_slice()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect()
            });
        keys += &format!("0ee35b03 I------     1 perm 1f030000     0     0 asymmetri of the build: {id}: X509.rsa 0102 []\n");
    }
    fs::write(root.join("proc/keys"), keys).unwrap();
    let (code, answer) = ask();
    assert_eq!(code, Some(0), "{answer}");
    fs::write(
        root.join("proc/version"),
        format!("{}\n", image.banners.last().unwrap()),
    )
    .unwrap();
    fs::write(root.join("proc/keys"), "").unwrap();
    let (code, answer) = ask();
    assert_eq!(
        (code, &answer["unknown"]),
        (Some(0), &serde_json::json!([])),
        "{answer}"
    );
}

#[test]
fn the_firmwares_own_keys_are_known() {
    let work = states();
    let root = installed(&work, "root");
    let variables = root.join("sys/firmware/efi/efivars");
    fs::create_dir_all(&variables).unwrap();
    let der = modsig_tools::keys::certificate(&work.path().join("c.pem"));
    let list = [
        &[0; 4][..],
        &signature_list(&der.unwrap().to_der().unwrap()),
    ]
    .concat();
    let put = |name: &str| {
        let guid = match name {
            "db" | "dbx" => "d719b2cb-3d3a-4596-a3bc-dad00e67656f",
            _ => "605dab50-e046-4300-abb6-3dd810dd8b23",
        };
        fs::write(variables.join(format!("{name}-{guid}")), &list).unwrap();
    };
    let path = root.to_str().unwrap();
    let ask = || why(&work, &["--root", path, "./untrusted.ko"]);
    assert_eq!(ask().0, Some(1));
    put("db");
    let (code, answer) = ask();
    assert_eq!(code, Some(0), "{answer}");
    says(
        &answer,
        "notes",
        "the firmware's list (db), in .platform: only distributions' kernels ask it",
    );
    // Debian's kernels are built without CONFIG_SYSTEM_REVOCATION_LIST: seen to load a module by a key in db and
    // in dbx.
    put("dbx");
    let (code, answer) = ask();
    assert_eq!(
        (code, &answer["unknown"]),
        (Some(0), &serde_json::json!([])),
        "{answer}"
    );
    fs::remove_file(variables.join("dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f")).unwrap();
    put("MokIgnoreDB");
    assert_eq!(ask().0, Some(1));
}

const DB: &str = "sys/firmware/efi/efivars/db-d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const DBX: &str = "sys/firmware/efi/efivars/dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const MOKX: &str = "sys/firmware/efi/efivars/MokListXRT-605dab50-e046-4300-abb6-3dd810dd8b23";

/// A machine with this kernel, whose firmware trusts the key of `m.ko`; also gives its list of it.
fn with_kernel(work: &TempDir, kernel: &Linked) -> (PathBuf, Vec<u8>) {
    let module = linked::module(VERMAGIC, "text");
    fs::write(work.path().join("m.ko"), module).unwrap();
    good(&modsig(work, &SIGN));
    let x509 = modsig_tools::keys::certificate(&work.path().join("c.pem")).unwrap();
    let list = [&[0; 4][..], &signature_list(&x509.to_der().unwrap())].concat();
    let root = work.path().join("root");
    record(
        &root,
        &[
            ("proc/sys/kernel/osrelease", b"6.99.0-parts"),
            ("proc/sys/kernel/modules_disabled", b"0"),
            ("proc/sys/kernel/tainted", b"0"),
            ("proc/keys", b""),
            ("proc/cmdline", b"quiet"),
            ("proc/modules", b""),
            ("sys/module/module/parameters/sig_enforce", b"Y"),
            (
                "sys/kernel/security/lockdown",
                b"none [integrity] confidentiality",
            ),
            (DB, &list),
        ],
    );
    fs::create_dir_all(root.join("boot")).unwrap();
    kernel.write(&root.join("boot/vmlinuz-6.99.0-parts"));
    (root, list)
}

/// With the option, add_key_to_revocation_list() of certs/blacklist.c puts a certificate of dbx or MokListXRT into
/// .blacklist, and verify_pkcs7_message_sig() asks that first. Without, it is an empty function of
/// include/keys/system_keyring.h, and so is is_key_on_revocation_list().
#[test]
fn what_the_firmware_refuses_counts_where_the_kernel_has_a_list_for_it() {
    let loads = (Some(0), true.into());
    let refused = (Some(1), false.into());
    let depends = (Some(1), Value::Null);
    let work = set_up("p256");
    for (revocation, printk, stripped, expected) in [
        (true, true, false, &refused),
        (true, true, true, &refused),
        (true, false, false, &refused),
        (false, true, false, &loads),
        (false, true, true, &loads),
        (false, false, false, &loads),
        // Nothing in these tells one from the other.
        (true, false, true, &depends),
        (false, false, true, &depends),
    ] {
        let kernel = Linked {
            builtin: vec![],
            area: None,
            revocation,
            printk,
            stripped,
            ..Linked::default()
        };
        for refuses in [DBX, MOKX] {
            let (root, list) = with_kernel(&work, &kernel);
            let ask = |more: &[&str]| {
                let (code, answer) = why(&work, &[&["--root", "root", "./m.ko"], more].concat());
                ((code, answer["loads"].clone()), answer)
            };
            let verify = |of: &str| modsig(&work, &["verify", "--root", "root", of, "m.ko"]);
            assert_eq!(ask(&[]).0, loads);
            record(&root, &[(refuses, &list)]);
            for (of, more) in [("--running", &[][..]), ("--next", &["--next"])] {
                let (found, answer) = ask(more);
                let what = format!("{kernel:?} {refuses} {of}: {answer}");
                assert_eq!(&found, expected, "{what}");
                let unknown = answer["unknown"].as_array().unwrap();
                assert_eq!(unknown.len(), usize::from(expected == &depends), "{what}");
                if expected == &depends {
                    let verdict = answer["verdict"].as_str().unwrap();
                    assert!(verdict.starts_with("MAY NOT LOAD on "), "{what}");
                    assert_eq!(answer["error"], Value::Null, "{what}");
                    says(&answer, "unknown", "refuses the certificates in dbx");
                    says(&answer, "findings", "CONFIG_SYSTEM_REVOCATION_LIST");
                }
                if expected == &refused {
                    assert_eq!(answer["error"], "EKEYREJECTED", "{what}");
                    says(&answer, "findings", "the signer's key has been revoked");
                }
                // What may be refused is not good.
                let output = verify(of);
                assert_eq!(output.status.code(), expected.0, "{what} {output:?}");
            }
            // Cut short anywhere: no list, but no panic.
            let sizes = [
                0,
                1,
                4,
                5,
                20,
                31,
                32,
                33,
                47,
                48,
                49,
                50,
                200,
                list.len() - 1,
            ];
            for size in sizes
                .into_iter()
                .filter(|_| revocation && printk && stripped)
            {
                record(&root, &[(refuses, &list[..size])]);
                assert_eq!(ask(&[]).0, loads, "{size}");
            }
            fs::remove_file(root.join(refuses)).unwrap();
        }
    }
}

/// The kernel has read the firmware's lists as it was booted.
#[test]
fn what_is_not_in_the_keyring_of_refused_ones_is_not_refused() {
    let work = set_up("p256");
    let kernel = Linked {
        area: None,
        revocation: true,
        stripped: true,
        ..Linked::default()
    };
    let (root, list) = with_kernel(&work, &kernel);
    let keys = |members: &str| {
        format!(
            "17605c5c I------     1 perm 0f0b0000     0     0 keyring   .blacklist: {members}\n"
        )
    };
    let ask = |more: &[&str]| why(&work, &[&["--root", "root", "./m.ko"], more].concat());
    record(
        &root,
        &[(DBX, &list), ("proc/keys", keys("empty").as_bytes())],
    );
    let (code, answer) = ask(&[]);
    assert_eq!(code, Some(0), "{answer}");
    // The next kernel finds it there.
    let (code, answer) = ask(&["--next"]);
    assert_eq!(
        (code, &answer["loads"]),
        (Some(1), &false.into()),
        "{answer}"
    );
    // There is something in it, and nobody but the kernel can tell what: of this kernel, what is in dbx.
    record(&root, &[("proc/keys", keys("1").as_bytes())]);
    let (code, answer) = ask(&[]);
    assert_eq!(
        (code, &answer["loads"]),
        (Some(1), &false.into()),
        "{answer}"
    );

    // Another build of it runs, of which there is no image.
    let banner = "Linux version 6.99.0-parts (somebody@somewhere) #2";
    record(&root, &[("proc/version", banner.as_bytes())]);
    let (code, answer) = ask(&[]);
    assert_eq!(
        (code, &answer["loads"]),
        (Some(1), &Value::Null),
        "{answer}"
    );
    record(&root, &[("proc/keys", keys("empty").as_bytes())]);
    let (code, answer) = ask(&[]);
    assert_eq!(code, Some(0), "{answer}");
}

/// Whether a kernel takes a signature for a release is seen in its image, or in its configuration; else it is not
/// known.
#[test]
fn a_signature_for_a_release_counts_where_the_kernel_takes_them() {
    const CONFIG: &str = "boot/config-6.99.0-parts";
    const SHOWN: &str = "proc/config.gz";
    let yes = &b"CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_RUST_RELEASE=y\n"[..];
    let no = &b"CONFIG_MODULE_SIG=y\n# CONFIG_MODULE_SIG_RUST_RELEASE is not set\n"[..];
    let another = &b"Linux version 6.99.0-parts (somebody@somewhere) #2"[..];
    let work = set_up("p256");
    let packed = |text: &[u8]| {
        fs::write(work.path().join("config"), text).unwrap();
        good(&run(&work, "gzip", &["-kf", "config"]));
        read(&work, "config.gz")
    };
    // In the image; the running kernel's name for itself; in files: what is known.
    for (releases, banner, files, known) in [
        (true, None, &[][..], Some(true)),
        (false, None, &[], Some(false)),
        // The image of the kernel that runs says more than a file beside it.
        (true, None, &[(CONFIG, no)], Some(true)),
        (true, Some(another), &[], None),
        (false, Some(another), &[(CONFIG, yes)], Some(true)),
        (true, Some(another), &[(CONFIG, no)], Some(false)),
        (
            true,
            Some(another),
            &[(SHOWN, no), (CONFIG, yes)],
            Some(false),
        ),
        (
            false,
            Some(another),
            &[(SHOWN, yes), (CONFIG, no)],
            Some(true),
        ),
        (
            false,
            Some(another),
            &[("lib/modules/6.99.0-parts/config", yes)],
            Some(true),
        ),
    ] {
        let _ = fs::remove_dir_all(work.path().join("root"));
        let kernel = Linked {
            releases,
            ..Linked::default()
        };
        let (root, _) = with_kernel(&work, &kernel);
        good(&modsig(&work, &[&["strip"], &SIGN[5..]].concat()));
        good(&modsig(&work, &[&SIGN[..], &["--release"]].concat()));
        record(
            &root,
            &banner
                .map(|banner| ("proc/version", banner))
                .into_iter()
                .collect::<Vec<_>>(),
        );
        for (name, text) in files {
            let packed = packed(text);
            let content = if *name == SHOWN { &packed } else { *text };
            record(&root, &[(*name, content)]);
        }
        let (code, answer) = why(&work, &["--root", "root", "./m.ko"]);
        let what = format!("{releases} {banner:?} {files:?}: {answer}");
        let loads = known.map_or(Value::Null, Value::from);
        assert_eq!(answer["loads"], loads, "{what}");
        assert_eq!(code, Some(i32::from(known != Some(true))), "{what}");
        let verify = modsig(&work, &["verify", "--running", "--root", "root", "m.ko"]);
        let text = String::from_utf8_lossy(&verify.stdout);
        let (verdict, finding) = match known {
            Some(true) => ("m.ko: good, with its release; signer", None),
            Some(false) => (
                "signatures of type 77 are not supported",
                Some("CONFIG_MODULE_SIG_RUST_RELEASE take those, and this one does not"),
            ),
            None => (
                "good, with its release: for kernels with CONFIG_MODULE_SIG_RUST_RELEASE;",
                Some("take those, and it is not known whether this one does"),
            ),
        };
        assert!(text.contains(verdict), "{what} {text}");
        assert_eq!(
            verify.status.success(),
            known != Some(false),
            "{what} {text}"
        );
        if let Some(finding) = finding {
            says(&answer, "findings", finding);
        }
        // By somebody whom nobody knows, it does not matter.
        fs::remove_file(root.join(DB)).unwrap();
        let (code, answer) = why(&work, &["--root", "root", "./m.ko"]);
        assert_eq!(
            (code, &answer["loads"]),
            (Some(1), &false.into()),
            "{answer}"
        );
        let reason = match known {
            Some(false) => "type 77",
            _ => "signer's key is in no trusted keyring",
        };
        assert!(
            answer["reason"].as_str().unwrap().contains(reason),
            "{answer}"
        );
    }
}

/// What is refused for something else as well does not depend on it.
#[test]
fn what_is_refused_in_any_case_is_not_said_to_depend() {
    let work = set_up("p256");
    let kernel = Linked {
        area: None,
        printk: false,
        stripped: true,
        ..Linked::default()
    };
    let (root, list) = with_kernel(&work, &kernel);
    record(&root, &[(DBX, &list)]);
    fs::remove_file(root.join(DB)).unwrap();
    let ask = || why(&work, &["--root", "root", "./m.ko"]).1;
    // Revoked or unknown: EKEYREJECTED, for the kernel enforces signatures.
    let answer = ask();
    assert_eq!(answer["loads"], false, "{answer}");
    assert_eq!(answer["error"], "EKEYREJECTED", "{answer}");
    // Revoked, EKEYREJECTED; unknown, and locked down: EPERM.
    record(&root, &[("sys/module/module/parameters/sig_enforce", b"N")]);
    let answer = ask();
    assert_eq!(answer["loads"], false, "{answer}");
    assert_eq!(answer["error"], Value::Null, "{answer}");
    // One by a key that nobody refuses.
    let (key, cert) = ("other.key", "other.pem");
    let keygen = [
        "keygen",
        "--algorithm",
        "p256",
        "--key",
        key,
        "--cert",
        cert,
    ];
    good(&modsig(&work, &keygen));
    good(&modsig(
        &work,
        &["sign", "--key", key, "--cert", cert, "m.ko"],
    ));
    let answer = ask();
    assert_eq!(answer["error"], "EPERM", "{answer}");
}

#[test]
fn all_modules_of_a_machine_are_held_against_its_kernel() {
    let work = states();
    let root = installed(&work, "root");
    let release = release(&debian());
    let modules = root.join("lib/modules").join(&release);
    fs::create_dir_all(&modules).unwrap();
    for name in ["good.ko", "unsigned.ko", "altered.ko"] {
        fs::copy(work.path().join(name), modules.join(name)).unwrap();
    }
    let path = root.to_str().unwrap();
    let verify = |more: &[&str]| {
        let output = modsig(&work, &[&["verify", "--root", path], more].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            text.lines().last().unwrap_or_default().to_owned(),
        )
    };
    let counts = |text: &str| (Some(1), text.to_owned());
    // It insists on signatures.
    assert_eq!(verify(&["--running"]), counts("2 bad, 1 good"));
    assert_eq!(
        verify(&["--running", "--mode", "permissive"]),
        counts("1 bad, 1 good, 1 taints")
    );
    fs::write(root.join("sys/module/module/parameters/sig_enforce"), "N").unwrap();
    fs::write(
        root.join("sys/kernel/security/lockdown"),
        "[none] integrity",
    )
    .unwrap();
    assert_eq!(verify(&["--running"]), counts("1 bad, 1 good, 1 taints"));
    assert_eq!(
        verify(&["--running", "--mode", "lockdown"]),
        counts("2 bad, 1 good")
    );
    fs::remove_file(modules.join("altered.ko")).unwrap();
    assert_eq!(
        verify(&["--running"]),
        (Some(0), "1 good, 1 taints".to_owned())
    );
    // One that is named.
    let one = modules.join("unsigned.ko");
    assert_eq!(
        verify(&["--running", one.to_str().unwrap()]),
        (Some(0), "1 taints".to_owned())
    );

    // A newer one is installed, and DKMS has built for it: with a key that the machine has not enrolled.
    let next = format!("9{release}");
    let image = root.join(format!("boot/vmlinuz-{next}"));
    fs::copy(debian().join("vmlinuz"), image).unwrap();
    let modules = root.join("lib/modules").join(&next);
    fs::create_dir_all(modules.join("updates/dkms")).unwrap();
    fs::copy(
        work.path().join("untrusted.ko"),
        modules.join("updates/dkms/nvidia.ko"),
    )
    .unwrap();
    assert_eq!(verify(&["--next"]), (Some(0), "1 taints".to_owned()));
    fs::write(root.join("sys/module/module/parameters/sig_enforce"), "Y").unwrap();
    assert_eq!(verify(&["--next"]), counts("1 bad"));
    // The firmware lists it now.
    let variables = root.join("sys/firmware/efi/efivars");
    fs::create_dir_all(&variables).unwrap();
    let der = modsig_tools::keys::certificate(&work.path().join("c.pem")).unwrap();
    let list = [&[0; 4][..], &signature_list(&der.to_der().unwrap())].concat();
    fs::write(
        variables.join("db-d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
        list,
    )
    .unwrap();
    assert_eq!(verify(&["--next"]), (Some(0), "1 good".to_owned()));

    let nobody = modsig(&work, &["verify", "m.ko"]);
    fails(
        &nobody,
        2,
        "say who is trusted: --running or --next of this machine",
    );
}

/// A module with these fields in .modinfo in place of its description, signed with our key.
fn with_field(work: &TempDir, name: &str, field: &[u8]) {
    let module = read(work, "unsigned.ko");
    let at = module.windows(7).position(|part| part == b"descrip");
    let at = at.unwrap();
    let end = at + module[at..].iter().position(|byte| *byte == 0).unwrap();
    let mut new = field.to_vec();
    assert!(new.len() < end - at, "{}", end - at);
    new.resize(end - at, 0);
    edited(work, name, &module[at..end], &new);
}

#[test]
fn what_the_running_kernel_refuses_beside_signatures_is_known() {
    let work = states();
    let root = installed(&work, "root");
    let path = root.to_str().unwrap();
    let ask = |module: &str| why(&work, &["--root", path, module]);
    let write = |name: &str, text: &str| record(&root, &[(name, text.as_bytes())]);
    let refused = |module: &str, error: &str, reason: &str| {
        let (code, answer) = ask(module);
        assert_eq!(
            (code, &answer["loads"]),
            (Some(1), &false.into()),
            "{answer}"
        );
        assert_eq!(answer["error"], error, "{answer}");
        let verdict = answer["verdict"].as_str().unwrap();
        assert!(
            verdict.starts_with("WILL NOT LOAD on this kernel (") && verdict.contains(reason),
            "{verdict}"
        );
        assert!(
            !answer["remedies"].as_array().unwrap().is_empty(),
            "{answer}"
        );
    };
    assert_eq!(ask("good.ko").0, Some(0));

    // By the name that it has in itself, whatever the file is called.
    write("proc/cmdline", "quiet module_blacklist=other,dummy");
    refused("good.ko", "EPERM", "module_blacklist= forbids dummy");
    // Of several, the last one counts; what is behind -- is not for the kernel.
    write(
        "proc/cmdline",
        "module_blacklist=dummy module_blacklist=other -- module_blacklist=dummy",
    );
    assert_eq!(ask("good.ko").0, Some(0));

    write("proc/modules", "dummy 16384 0 - Live 0x0000000000000000\n");
    refused("good.ko", "EEXIST", "dummy is loaded already");
    write("proc/modules", "");
    record(&root, &[("sys/module/dummy/parameters/numdummies", b"1")]);
    refused("good.ko", "EINVAL", "dummy is built into the kernel");
    fs::remove_dir_all(root.join("sys/module/dummy")).unwrap();

    // Whoever made the file may have written anything into it: nothing of that is looked up or shown as a command.
    with_field(&work, "odd.ko", b"depends=$(reboot),../..");
    assert!(!ask("odd.ko").1.to_string().contains("reboot"));

    // What it needs has to be there, and insmod does not load it.
    with_field(&work, "needs.ko", b"depends=crc-ccitt");
    with_field(&work, "top.ko", b"depends=needs");
    let x509 = modsig_tools::keys::certificate(&work.path().join("c.pem")).unwrap();
    let list = signature_list(&x509.to_der().unwrap());
    record(
        &root,
        &[("sys/firmware/efi/mok-variables/MokListRT", &list)],
    );
    refused(
        "needs.ko",
        "ENOENT",
        "it needs crc_ccitt, which is not loaded",
    );
    write(
        "proc/modules",
        "crc_ccitt 16384 0 - Live 0x0000000000000000\n",
    );
    assert_eq!(ask("needs.ko").0, Some(0));
    write("proc/modules", "");
    let release = release(&debian());
    // By name, all of those are loaded in front of it, each after what it needs itself.
    let modules = format!("lib/modules/{release}");
    for (name, file) in [
        ("top.ko", "top.ko"),
        ("needs.ko", "needs.ko"),
        ("crc-ccitt.ko", "good.ko"),
    ] {
        record(&root, &[(&format!("{modules}/{name}"), &read(&work, file))]);
    }
    let dep = format!("{modules}/modules.dep");
    write(
        &dep,
        "top.ko: needs.ko crc-ccitt.ko\nneeds.ko: crc-ccitt.ko\ncrc-ccitt.ko:\n",
    );
    let (_, answer) = ask("top");
    assert_eq!(answer["loads"], true, "{answer}");
    write(&dep, "top.ko: needs.ko\nneeds.ko:\n");
    let (_, answer) = ask("top");
    assert_eq!(answer["error"], "ENOENT", "{answer}");
    says(&answer, "findings", "it needs needs, which WILL NOT LOAD");
    write(
        &format!("{modules}/modules.builtin"),
        "kernel/lib/crc-ccitt.ko\n",
    );
    assert_eq!(ask("needs.ko").0, Some(0));

    // modules_disabled, which counts whatever the module is like.
    write("proc/sys/kernel/modules_disabled", "1");
    refused("good.ko", "EPERM", "modules_disabled is set");
}

#[test]
fn what_nobody_can_foresee_is_said_to_depend() {
    let work = states();
    let root = installed(&work, "root");
    let path = root.to_str().unwrap();
    let release = release(&debian());
    let ask = |module: &str| why(&work, &["--root", path, module]);
    let write = |name: &str, text: &str| record(&root, &[(name, text.as_bytes())]);
    let depends = |module: &str, reason: &str| {
        let (code, answer) = ask(module);
        assert_eq!(
            (code, &answer["loads"]),
            (Some(1), &Value::Null),
            "{answer}"
        );
        let verdict = answer["verdict"].as_str().unwrap();
        assert!(
            verdict.starts_with("MAY NOT LOAD on this kernel (") && verdict.contains(reason),
            "{verdict}"
        );
    };
    assert_eq!(ask("good.ko").0, Some(0));
    write("proc/sys/kernel/loadpin/enforce", "1");
    depends("good.ko", "LoadPin is on");
    write("proc/sys/kernel/loadpin/enforce", "0");
    assert_eq!(ask("good.ko").0, Some(0));

    // modprobe runs something else; a later directory does not count where an earlier one has the file.
    let modules = format!("lib/modules/{release}");
    record(
        &root,
        &[(&format!("{modules}/dummy.ko"), &read(&work, "good.ko"))],
    );
    assert_eq!(ask("dummy").0, Some(0));
    write(
        "usr/lib/modprobe.d/net.conf",
        "options dummy numdummies=1\ninstall dummy /bin/true\n",
    );
    depends("dummy", "modprobe runs a command in place of loading it");
    write("etc/modprobe.d/net.conf", "# none\nblacklist dummy\n");
    assert_eq!(ask("dummy").0, Some(0));

    // A key that only the kernel has may be the signer's.
    assert_eq!(ask("untrusted.ko").1["loads"], false);
}

#[test]
fn ima_is_asked_for_its_policy() {
    let work = states();
    let root = installed(&work, "root");
    let path = root.to_str().unwrap();
    let ask = |module: &str| why(&work, &["--root", path, module]).1;
    let policy = "sys/kernel/security/ima/policy";
    let write = |name: &str, text: &str| record(&root, &[(name, text.as_bytes())]);
    write("proc/cmdline", "quiet");
    write(policy, "measure func=MODULE_CHECK \n");
    assert_eq!(ask("good.ko")["loads"], true);
    // Beside the file only: it has none there.
    write(policy, "appraise func=MODULE_CHECK appraise_type=imasig \n");
    let answer = ask("good.ko");
    assert_eq!(
        (&answer["loads"], &answer["error"]),
        (&false.into(), &"EACCES".into()),
        "{answer}"
    );
    says(&answer, "remedies", "evmctl ima_sign");
    // Or at its end, by a key that nobody can read.
    write(
        policy,
        "appraise func=MODULE_CHECK appraise_type=imasig|modsig \n",
    );
    assert_eq!(ask("good.ko")["loads"], Value::Null);
    let answer = ask("unsigned.ko");
    assert_eq!(answer["error"], "EACCES", "{answer}");
    // Told not to insist.
    write("proc/cmdline", "quiet ima_appraise=log");
    assert_eq!(ask("good.ko")["loads"], true);
    // It took a policy, and nobody can read that.
    write("proc/cmdline", "quiet");
    fs::remove_file(root.join(policy)).unwrap();
    assert_eq!(ask("good.ko")["loads"], Value::Null);
    // It cannot be read: said, and taken for a usual one.
    fs::create_dir_all(root.join(policy)).unwrap();
    let answer = ask("good.ko");
    assert_eq!(
        (&answer["loads"], &answer["unknown"]),
        (&true.into(), &serde_json::json!([])),
        "{answer}"
    );
    write("proc/cmdline", "ima_policy=appraise_tcb");
    says(&ask("good.ko"), "unknown", "IMA: its policy");
}

#[test]
fn a_name_is_a_name_though_there_is_a_file_of_it() {
    let work = states();
    let root = installed(&work, "root");
    let path = root.to_str().unwrap();
    let ask = |module: &str| why(&work, &["--root", path, module]);
    fs::write(work.path().join("dummy"), "no module").unwrap();
    let output = modsig(&work, &["why", "--root", path, "dummy"]);
    fails(
        &output,
        2,
        "to ask about the file of that name: modsig why ./dummy",
    );
    let installed = format!("lib/modules/{}/dummy.ko", release(&debian()));
    record(&root, &[(&installed, &read(&work, "good.ko"))]);
    let (code, answer) = ask("dummy");
    assert_eq!(code, Some(0), "{answer}");
    assert!(answer["path"].as_str().unwrap().ends_with(&installed));
    let (code, answer) = ask("./dummy");
    assert_eq!((code, &answer["path"]), (Some(1), &"./dummy".into()));
}

#[test]
fn the_verdict_comes_first_and_remedies_are_numbered() {
    let work = states();
    let root = installed(&work, "root");
    let path = root.to_str().unwrap();
    let text = |arguments: &[&str]| {
        let output = modsig(&work, &[&["why", "--root", path], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let release = release(&debian());
    record(&root, &[("var/lib/dpkg/status", b"")]);
    let module = format!("lib/modules/{release}/dummy.ko");
    record(&root, &[(&module, &read(&work, "unsigned.ko"))]);
    let file = format!("{path}/{module}");
    let expected = format!(
        "dummy: WILL NOT LOAD on this kernel (Linux {release}, sig_enforce, locked down): not signed (EKEYREJECTED)
Cause:  it has no signature: it was never signed, or strip or objcopy took the signature off
Fix:    1. install its package again: apt-get install --reinstall \"$(dpkg -S {file} | cut -d : -f 1)\"
        2. sign it with a key that the kernel trusts: modsig sign --key KEY --cert CERT {file}
"
    );
    assert_eq!(text(&["dummy"]), expected);
    // The machine only if it is asked for.
    let long = text(&["-v", "dummy"]);
    assert!(long.contains("\nMachine: Linux "), "{long}");
    fs::write(&file, read(&work, "good.ko")).unwrap();
    let on = format!("on this kernel (Linux {release}, sig_enforce, locked down)");
    assert_eq!(text(&["dummy"]), format!("dummy: loads {on}\n"));
    record(
        &root,
        &[("proc/modules", b"dummy 16384 0 - Live 0x0000000000000000\n")],
    );
    assert_eq!(text(&["dummy"]), format!("dummy: is loaded already {on}\n"));
}
