// SPDX-License-Identifier: MIT OR Apache-2.0

//! Modules that get another end in place (`--no-sync`): only where nothing can be left half done.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use modsig_tools::files::{Found, Pages, Stamp};
use tempfile::TempDir;

use crate::common::*;

const PAGE: usize = 4096;

const SIGN_IN_PLACE: [&str; 7] = [
    "sign",
    "--key",
    "k.pem",
    "--cert",
    "c.pem",
    "--no-sync",
    "m.ko",
];

/// A module of this many bytes.
fn module_of(size: usize) -> Vec<u8> {
    let mut bytes = MODULE.to_vec();
    bytes.resize(size, 0xa5);
    bytes
}

fn put(work: &TempDir, size: usize) -> PathBuf {
    let path = work.path().join("m.ko");
    let _ = fs::remove_file(&path);
    fs::write(&path, module_of(size)).unwrap();
    path
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn signed_in(work: &TempDir) {
    good(&modsig(work, &VERIFY));
}

#[test]
fn an_end_on_one_page_is_written_in_place_and_no_other() {
    // RSA signatures are all of one length.
    let work = set_up("rsa-4096");
    for (size, arguments, in_place) in [
        (2 * PAGE, &SIGN_IN_PLACE[..], true),
        (2 * PAGE + 3000, &SIGN_IN_PLACE, true),
        // On two.
        (2 * PAGE - 1, &SIGN_IN_PLACE, false),
        (2 * PAGE + 4000, &SIGN_IN_PLACE, false),
        (2 * PAGE, &SIGN, false),
    ] {
        let path = put(&work, size);
        // The second time a signature is there.
        for _ in 0..2 {
            let before = inode(&path);
            good(&modsig(&work, arguments));
            signed_in(&work);
            assert_eq!(inode(&path) == before, in_place, "{size} {arguments:?}");
        }
        let before = inode(&path);
        good(&modsig(&work, &["strip", "--no-sync", "m.ko"]));
        assert_eq!(module(&work), module_of(size));
        assert_eq!(inode(&path), before);
    }
    // It ends just where a page does, and one byte behind that.
    let path = put(&work, PAGE);
    good(&modsig(&work, &SIGN_IN_PLACE));
    let length = module(&work).len() - PAGE;
    for (size, in_place) in [(2 * PAGE - length, true), (2 * PAGE - length + 1, false)] {
        let before = inode(&put(&work, size));
        good(&modsig(&work, &SIGN_IN_PLACE));
        signed_in(&work);
        assert_eq!(inode(&path) == before, in_place, "{size}");
    }
}

#[test]
fn a_shorter_signature_than_the_old_one_is_not_written_in_place() {
    let work = set_up("rsa-4096");
    let path = put(&work, 2 * PAGE);
    good(&modsig(&work, &SIGN_IN_PLACE));
    let other = "keygen --algorithm p256 --key k2.pem --cert c2.pem";
    good(&modsig(&work, &other.split(' ').collect::<Vec<_>>()));
    let before = inode(&path);
    let sign = "sign --key k2.pem --cert c2.pem --no-sync m.ko";
    good(&modsig(&work, &sign.split(' ').collect::<Vec<_>>()));
    good(&modsig(&work, &["verify", "--cert", "c2.pem", "m.ko"]));
    assert_ne!(inode(&path), before);
}

#[test]
fn attach_and_strip_write_in_place_as_well() {
    let work = set_up("p256");
    let path = put(&work, 3 * PAGE);
    let before = inode(&path);
    good(&modsig(&work, &[&SIGN[..], &["--detached"]].concat()));
    let attach = ["attach", "--no-sync", "--cert", "c.pem", "m.ko"];
    good(&modsig(&work, &attach));
    signed_in(&work);
    assert_eq!(inode(&path), before);
    good(&modsig(&work, &["strip", "--no-sync", "m.ko"]));
    assert_eq!(module(&work), module_of(3 * PAGE));
    assert_eq!(inode(&path), before);
    good(&modsig(&work, &attach));
    good(&modsig(&work, &["strip", "m.ko"]));
    assert_eq!(module(&work), module_of(3 * PAGE));
    assert_ne!(inode(&path), before);
}

#[test]
#[ignore = "needs root"]
fn what_must_not_be_written_to_is_replaced() {
    assert!(is_root(), "run this test as root: it sets attributes");
    let work = set_up("p256");
    type Prepare = fn(&Path);
    let prepare: [(&str, Prepare); 4] = [
        ("another name", |path| {
            fs::hard_link(path, path.with_extension("backup")).unwrap();
        }),
        ("set-user-id", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).unwrap();
        }),
        ("a measurement", |path| {
            xattr::set(path, "security.ima", b"\x01of the old content").unwrap();
        }),
        ("capabilities", |path| {
            let value = b"\x01\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0";
            xattr::set(path, "security.capability", value).unwrap();
        }),
    ];
    for (what, prepare) in prepare {
        let path = put(&work, 2 * PAGE);
        prepare(&path);
        let before = fs::metadata(&path).unwrap();
        let capability = xattr::get(&path, "security.capability").unwrap();
        good(&modsig(&work, &SIGN_IN_PLACE));
        signed_in(&work);
        let after = fs::metadata(&path).unwrap();
        assert_ne!(after.ino(), before.ino(), "{what}");
        assert_eq!(after.mode(), before.mode(), "{what}");
        assert_eq!(xattr::get(&path, "security.ima").unwrap(), None);
        assert_eq!(
            xattr::get(&path, "security.capability").unwrap(),
            capability
        );
    }
    assert_eq!(read(&work, "m.backup"), module_of(2 * PAGE));

    let path = put(&work, 2 * PAGE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let refused = modsig(&work, &SIGN_IN_PLACE);
    fails(
        &refused,
        1,
        "m.ko: cannot write, nothing was changed: write-protected",
    );
    assert_eq!(module(&work), module_of(2 * PAGE));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    good(&run(&work, "xz", &["--check=crc32", "m.ko"]));
    let packed = work.path().join("m.ko.xz");
    let before = inode(&packed);
    let sign = [&SIGN_IN_PLACE[..6], &["m.ko.xz"]].concat();
    good(&modsig(&work, &sign));
    good(&modsig(&work, &["verify", "--cert", "c.pem", "m.ko.xz"]));
    assert_ne!(inode(&packed), before);
}

/// The kernel refuses to load what is open for writing.
#[test]
#[ignore = "needs root"]
fn where_kernels_load_modules_from_nothing_is_written_in_place() {
    assert!(is_root(), "run this test as root: it mounts a file system");
    let work = set_up("p256");
    put(&work, 2 * PAGE);
    // A file system in that place that nobody else sees, and the way to it that /lib may be.
    let script = r#"
        set -e
        modsig=$1
        mkdir -p /lib/modules
        mount -t tmpfs none /lib/modules
        mkdir -p /lib/modules/6.99.0/updates other
        for directory in /lib/modules/6.99.0/updates other; do
            cp m.ko "$directory"
            stat -c %i "$directory/m.ko"
            "$modsig" sign --key k.pem --cert c.pem --no-sync "$directory" > /dev/null
            stat -c %i "$directory/m.ko"
            "$modsig" verify --cert c.pem "$directory" > /dev/null
        done"#;
    let arguments = ["--mount", "bash", "-c", script, "bash", MODSIG];
    let output = run(&work, "unshare", &arguments);
    good(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    let inodes: Vec<&str> = text.lines().collect();
    assert_ne!(inodes[0], inodes[1]);
    assert_eq!(inodes[2], inodes[3]);
}

#[test]
fn what_somebody_else_writes_meanwhile_stays() {
    let work = set_up("p256");
    let path = put(&work, 2 * PAGE);
    let end = [b'e'; 100];
    let longer = [&module_of(2 * PAGE)[..], b" and more"].concat();
    let in_place = |path: &Path, bytes: &[u8]| fs::write(path, bytes).unwrap();
    let by_rename = |path: &Path, bytes: &[u8]| {
        let new = path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(&new, path).unwrap();
    };
    let by_link = |path: &Path, bytes: &[u8]| {
        let new = path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        let _ = fs::remove_file(path);
        std::os::unix::fs::symlink(&new, path).unwrap();
    };
    type Write = fn(&Path, &[u8]);
    let writes: [Write; 3] = [in_place, by_rename, by_link];
    for write in writes {
        put(&work, 2 * PAGE);
        let original = Found::file(&path).read(&mut vec![]).unwrap();
        thread::sleep(Duration::from_millis(20));
        write(&path, &longer);
        let error = original
            .replace_end(2 * PAGE as u64, &end, Pages::One)
            .unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("changed by another process"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), longer);
    }
    // Nobody has.
    put(&work, 2 * PAGE);
    let original = Found::file(&path).read(&mut vec![]).unwrap();
    assert!(original
        .replace_end(2 * PAGE as u64, &end, Pages::One)
        .unwrap());
    assert_eq!(module(&work), [&module_of(2 * PAGE)[..], &end].concat());
    // While another one writes to it, it is to be replaced.
    let original = Found::file(&path).read(&mut vec![]).unwrap();
    let other = fs::File::open(&path).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(!original
        .replace_end(2 * PAGE as u64, &end, Pages::One)
        .unwrap());
    assert_eq!(Stamp::of(&path).unwrap(), original.stamp());
}

/// As many modules, of sizes at which some ends are on two pages.
fn tree(count: usize) -> TempDir {
    let work = set_up("p256");
    fs::create_dir(work.path().join("tree")).unwrap();
    for n in 0..count {
        fs::write(module_in(&work, n), module_of(PAGE + 37 * n)).unwrap();
    }
    work
}

fn module_in(work: &TempDir, n: usize) -> PathBuf {
    work.path().join(format!("tree/{n:03}.ko"))
}

fn start(work: &TempDir, arguments: &[&str]) -> Child {
    Command::new(MODSIG)
        .args(arguments)
        .current_dir(work.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

const SIGN_TREE: [&str; 7] = [
    "sign",
    "--key",
    "k.pem",
    "--cert",
    "c.pem",
    "--no-sync",
    "tree",
];
const VERIFY_TREE: [&str; 4] = ["verify", "--cert", "c.pem", "tree"];

#[test]
fn a_kill_at_any_moment_leaves_each_module_as_it_was_or_signed() {
    const COUNT: usize = 300;
    const KILLS: u32 = 40;
    let work = tree(COUNT);
    let started = Instant::now();
    assert!(start(&work, &SIGN_TREE).wait().unwrap().success());
    let usual = started.elapsed();
    let strip = ["strip", "--no-sync", "tree"];
    let (mut partly, mut signed_then) = (0, 0);
    for kill in 0..KILLS {
        // Modules without a signature, and then with one.
        let arguments: &[&str] = match kill % 4 {
            3 => &strip,
            _ => &SIGN_TREE,
        };
        if kill % 4 == 0 {
            for n in 0..COUNT {
                let _ = fs::remove_file(module_in(&work, n));
                fs::write(module_in(&work, n), module_of(PAGE + 37 * n)).unwrap();
            }
        }
        let mut child = start(&work, arguments);
        thread::sleep(usual * (kill + 1) / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();
        let changed = (0..COUNT).map(|n| (n, module_in(&work, n)));
        let changed =
            changed.filter(|(n, path)| fs::read(path).unwrap() != module_of(PAGE + 37 * n));
        let changed: Vec<String> = changed
            .map(|(_, path)| path.display().to_string())
            .collect();
        let signed = changed.len();
        if signed > 0 {
            let verify = ["verify", "--cert", "c.pem"].into_iter();
            let verify: Vec<&str> = verify.chain(changed.iter().map(|path| &path[..])).collect();
            good(&modsig(&work, &verify));
        }
        partly += usize::from((1..COUNT).contains(&signed));
        signed_then += signed;
        let left = fs::read_dir(work.path().join("tree")).unwrap();
        for entry in left.flatten() {
            // Of those that are replaced; no command takes it for a module.
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(b".modsig-")
            {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    println!("{partly} times some of them; {signed_then} signed");
    assert!(partly > 0);
}

#[test]
fn two_at_once_leave_each_module_signed_once() {
    let work = tree(200);
    for round in 0..10 {
        if round == 5 {
            good(&modsig(&work, &["strip", "--no-sync", "tree"]));
        }
        let both = [0, 1].map(|_| start(&work, &SIGN_TREE));
        for mut child in both {
            // One of them may have found that the other was faster.
            let code = child.wait().unwrap().code();
            assert!(matches!(code, Some(0 | 1)), "{code:?}");
        }
        good(&modsig(&work, &VERIFY_TREE));
        for n in 0..200 {
            let file = fs::read(module_in(&work, n)).unwrap();
            let (module, signatures) = modsig_tools::signer::strip(&file);
            assert_eq!((module, signatures), (&module_of(PAGE + 37 * n)[..], 1));
        }
    }
}

#[test]
fn a_write_that_is_cut_short_is_taken_back() {
    let work = set_up("p256");
    let signed_before = {
        put(&work, 9 * 1024 - 250);
        let sign = "sign --key k.pem --cert c.pem --keyid m.ko";
        good(&modsig(&work, &sign.split(' ').collect::<Vec<_>>()));
        module(&work)
    };
    assert!(signed_before.len() < 9 * 1024, "{}", signed_before.len());
    // No file may grow beyond some KiB, and the signal for that is ignored: write(2) writes what is
    // below that only, and then fails.
    let limit = "trap '' XFSZ; ulimit -f $1; shift; exec \"$@\"";
    let sizes = [9 * 1024 - 600, 9 * 1024 - 100, 9 * 1024 - 1, 9 * 1024];
    let unsigned = sizes.map(|size| (9, size, module_of(size)));
    // The old signature is shorter, and written over up to the limit.
    let cases = [&unsigned[..], &[(9, 0, signed_before)]].concat();
    for (kib, size, before) in cases {
        let kib = kib.to_string();
        let path = put(&work, 1);
        fs::write(&path, &before).unwrap();
        let old = inode(&path);
        let arguments = [&["-c", limit, "bash", &kib, MODSIG][..], &SIGN_IN_PLACE].concat();
        let output = run(&work, "bash", &arguments);
        match size == 9 * 1024 - 600 {
            true => {
                good(&output);
                signed_in(&work);
            }
            false => {
                let message = "m.ko: cannot write, nothing was changed: it would be larger";
                fails(&output, 1, message);
                assert_eq!(module(&work), before, "{size}");
            }
        }
        assert_eq!(inode(&path), old, "{size}");
    }
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn new(work: &TempDir, name: &str, options: &[&str]) -> Self {
        let path = work.path().join(name);
        fs::create_dir(&path).unwrap();
        good(&run(
            work,
            "mount",
            &[options, &[path.to_str().unwrap()]].concat(),
        ));
        Disk(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Blocks smaller than a page are what lets one write do half of its work.
#[test]
#[ignore = "needs root"]
fn a_full_disk_leaves_each_module_as_it_was_or_signed() {
    assert!(is_root(), "run this test as root: it mounts file systems");
    let work = set_up("rsa-4096");
    good(&run(&work, "truncate", &["-s", "4M", "image"]));
    let make = "mkfs.ext4 -q -b 1024 -m 0 -O ^has_journal image";
    let make: Vec<&str> = make.split(' ').collect();
    good(&run(&work, make[0], &make[1..]));
    let image = work.path().join("image");
    for (name, options) in [
        ("tmpfs", &["-t", "tmpfs", "-o", "size=1M", "none"][..]),
        ("ext4", &["-o", "loop", image.to_str().unwrap()]),
    ] {
        let disk = Disk::new(&work, name, options);
        let path = disk.0.join("m.ko");
        let (mut signed, mut left) = (0, 0);
        // Each second one as a release.
        let release = ["--release"];
        for size in (2 * PAGE..3 * PAGE - 800).step_by(256) {
            for free in [0, 1, 2, 4, 8] {
                let spare = disk.0.join("spare");
                fs::write(&path, module_of(size)).unwrap();
                fs::write(&spare, vec![0; free * 1024]).unwrap();
                rustix::fs::syncfs(fs::File::open(&path).unwrap()).unwrap();
                let full = Command::new("dd")
                    .args(["if=/dev/zero", "bs=1k", "conv=fsync"])
                    .arg(format!("of={}", disk.0.join("full").display()))
                    .stderr(Stdio::null())
                    .status();
                assert!(!full.unwrap().success());
                fs::remove_file(&spare).unwrap();
                rustix::fs::syncfs(fs::File::open(&path).unwrap()).unwrap();
                let name = format!("{name}/m.ko");
                let options = &release[..(size / 256) % 2];
                let sign = [&SIGN_IN_PLACE[..6], options, &[&name]].concat();
                let output = modsig(&work, &sign);
                if output.status.success() {
                    good(&modsig(&work, &["verify", "--cert", "c.pem", &name]));
                    signed += 1;
                } else {
                    fails(&output, 1, "m.ko: cannot write, nothing was changed");
                    fails(&output, 1, "there is no room left");
                    assert_eq!(fs::read(&path).unwrap(), module_of(size), "{size} {free}");
                    left += 1;
                }
                no_left_overs(&disk.0);
                fs::remove_file(disk.0.join("full")).unwrap();
                fs::remove_file(&path).unwrap();
            }
        }
        println!("{name}: {signed} signed, {left} left");
        assert!(
            signed > 0 && left > 0,
            "{name}: {signed} signed, {left} left"
        );
    }
}
