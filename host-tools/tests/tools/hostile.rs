// SPDX-License-Identifier: MIT OR Apache-2.0

//! Trees that belong to somebody else, who plants links and swaps names, and directories in which
//! something is other than it mostly is.

use std::{
    ffi::CString,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{chown, symlink, MetadataExt, PermissionsExt},
    },
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        Barrier,
    },
    thread,
    time::{Duration, Instant},
};

use modsig_tools::files::Found;
use rustix::fs::{renameat_with, RenameFlags, CWD};
use tempfile::TempDir;

use crate::common::*;

/// Whoever the tree belongs to: a user that no other test has.
const ALICE: u32 = 54321;

const SECRET: &str = "what only root may change\n";

/// A key, and a tree of Alice's, with a file of root's beside it.
fn tree_of_alice() -> TempDir {
    assert!(is_root(), "run this test as root: it gives files away");
    let work = set_up("p256");
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(work.path().join("secret"), SECRET).unwrap();
    fs::create_dir_all(work.path().join("tree/sub")).unwrap();
    fs::write(work.path().join("tree/m.ko"), MODULE).unwrap();
    fs::write(work.path().join("tree/sub/m.ko"), MODULE).unwrap();
    of_alice(&work, "tree");
    work
}

fn of_alice(work: &TempDir, path: &str) {
    let owner = format!("{ALICE}:{ALICE}");
    good(&run(work, "chown", &["-R", "-h", &owner, path]));
}

/// Runs something as Alice.
fn as_alice(work: &TempDir, command: &[&str]) -> Output {
    let alice = ALICE.to_string();
    let who = ["--reuid", &alice, "--regid", &alice, "--clear-groups"];
    run(work, "setpriv", &[&who[..], command].concat())
}

fn is_untouched(work: &TempDir) {
    let secret = work.path().join("secret");
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    let metadata = fs::metadata(&secret).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (0, 0o644));
}

const NOT_FOLLOWED: &str = "a symbolic link is there, and is not followed";

#[test]
#[ignore = "needs root"]
fn links_that_somebody_planted_lead_root_nowhere() {
    let work = tree_of_alice();
    let secret = work.path().join("secret");
    let key = ["--key", "k.pem", "--cert", "c.pem"];
    let plant = |path: &str| {
        let path = work.path().join(path);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&secret, path).unwrap();
    };
    let refuses = |output: &Output, link: &str, code: i32| {
        fails(output, code, &format!("{link}: {NOT_FOLLOWED}"));
        is_untouched(&work);
        assert!(work.path().join(link).is_symlink(), "{link}");
    };

    plant("tree/sub/m.ko.p7s");
    let detached = [&["sign", "--detached"], &key[..], &["tree"]].concat();
    refuses(&modsig(&work, &detached), "tree/sub/m.ko.p7s", 1);
    // The other one is there.
    assert!(work.path().join("tree/m.ko.p7s").is_file());
    let one = [&["sign", "--detached"], &key[..], &["tree/sub/m.ko"]].concat();
    refuses(&modsig(&work, &one), "tree/sub/m.ko.p7s", 1);

    plant("out/sub/m.ko");
    of_alice(&work, "out");
    let copy = [&["sign", "--dest-dir", "out"], &key[..], &["tree"]].concat();
    refuses(&modsig(&work, &copy), "out/sub/m.ko", 1);
    assert!(work.path().join("out/m.ko").is_file());

    for options in [&["-d"][..], &["-p"]] {
        let sign = ["sha256", "k.pem", "c.pem", "tree/sub/m.ko"];
        let output = run(&work, SIGN_FILE, &[options, &sign].concat());
        refuses(&output, "tree/sub/m.ko.p7s", 1);
    }
    let sign = ["sha256", "k.pem", "c.pem", "m.ko", "out/sub/m.ko"];
    refuses(&run(&work, SIGN_FILE, &sign), "out/sub/m.ko", 1);

    plant("out/list");
    let manifest = ["sign", "--manifest", "out/list", "tree"];
    refuses(&modsig(&work, &manifest), "out/list", 2);
    let manifest = ["sign", "--release", "--manifest", "out/list", "tree"];
    refuses(&modsig(&work, &manifest), "out/list", 2);
    plant("out/other.leaves");
    let manifest = ["sign", "--release", "--manifest", "out/other", "tree"];
    refuses(&modsig(&work, &manifest), "out/other.leaves", 2);
    assert!(!work.path().join("out/other").exists());
    plant("out/key");
    for [key, cert] in [["out/key", "out/cert"], ["out/cert", "out/key"]] {
        let keygen = ["keygen", "--force", "--algorithm", "p256", "--key", key];
        let output = modsig(&work, &[&keygen[..], &["--cert", cert]].concat());
        refuses(&output, "out/key", 2);
        assert!(!work.path().join("out/cert").exists());
    }
    assert_eq!(read(&work, "tree/m.ko"), MODULE);
}

#[test]
#[ignore = "needs root"]
fn directories_that_somebody_swapped_for_links_are_not_entered() {
    let work = tree_of_alice();
    fs::create_dir(work.path().join("theirs")).unwrap();
    fs::create_dir(work.path().join("out")).unwrap();
    symlink("../theirs", work.path().join("out/sub")).unwrap();
    let key = ["--key", "k.pem", "--cert", "c.pem"];
    let copy = [&["sign", "--dest-dir", "out"], &key[..], &["tree"]].concat();
    let output = modsig(&work, &copy);
    fails(
        &output,
        1,
        "out/sub/m.ko: sub is no directory below out, but a symbolic link or a file",
    );
    assert!(fs::read_dir(work.path().join("theirs")).unwrap().count() == 0);
    assert!(work.path().join("out/m.ko").is_file());
}

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let work = set_up("p256");
    good(&run(&work, "mkfifo", &["pipe"]));
    let manifest = ["sign", "--manifest", "pipe", "m.ko"];
    fails(
        &modsig(&work, &manifest),
        2,
        "pipe: what is there is not a file; give another name",
    );
    let copy = ["sha256", "k.pem", "c.pem", "m.ko", "pipe"];
    fails(&run(&work, SIGN_FILE, &copy), 1, "pipe: what is there");
    let kind = fs::symlink_metadata(work.path().join("pipe")).unwrap();
    assert!(!kind.is_file());
}

/// As Linux does with `fs.protected_symlinks`.
#[test]
#[ignore = "needs root"]
fn a_link_of_another_user_in_a_directory_of_everybodys_is_not_followed() {
    let work = tree_of_alice();
    let shared = work.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(work.path().join("roots.ko"), MODULE).unwrap();
    for link in ["hers.ko", "mine.ko"] {
        symlink("../roots.ko", shared.join(link)).unwrap();
    }
    of_alice(&work, "shared/hers.ko");
    let sign = |name| modsig(&work, &["sign", "--key", "k.pem", "--cert", "c.pem", name]);
    fails(
        &sign("shared/hers.ko"),
        1,
        "a symbolic link that another user has put into a directory of everybody's",
    );
    assert_eq!(read(&work, "roots.ko"), MODULE);
    good(&sign("shared/mine.ko"));
    assert_ne!(read(&work, "roots.ko"), MODULE);
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps two names, again and again, until told to stop.
fn swapping<T>(one: &Path, other: &Path, work: impl FnOnce() -> T) -> T {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
    let (one, other) = (path(one), path(other));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let swapped = renameat_with(CWD, &*one, CWD, &*other, RenameFlags::EXCHANGE);
                // One of them has another name for a moment.
                let _ = swapped;
            }
        });
        // Also if it panics.
        let _stop = Stop(&stop);
        work()
    })
}

#[test]
#[ignore = "needs root"]
fn names_that_are_swapped_meanwhile_lead_root_nowhere() {
    let work = tree_of_alice();
    // So that it would be signed if it were come by.
    let target = work.path().join("target.ko");
    fs::write(&target, MODULE).unwrap();
    let module = work.path().join("tree/sub/m.ko");
    let link = work.path().join("tree/sub/link");
    symlink(&target, &link).unwrap();
    of_alice(&work, "tree");
    let sign = [
        "sign",
        "--key",
        "k.pem",
        "--cert",
        "c.pem",
        "--no-sync",
        "tree",
    ];
    let before = fs::metadata(&target).unwrap();
    let start = Instant::now();
    let mut signed = 0;
    swapping(&module, &link, || {
        while start.elapsed() < Duration::from_secs(6) {
            for release in [None, Some("--release")] {
                let arguments: Vec<_> = sign.into_iter().chain(release).collect();
                let output = modsig(&work, &arguments);
                let text = String::from_utf8_lossy(&output.stdout);
                signed += usize::from(text.contains("2 signed"));
                assert_eq!(fs::read(&target).unwrap(), MODULE);
            }
        }
    });
    let now = fs::metadata(&target).unwrap();
    assert_eq!((before.ino(), now.uid()), (now.ino(), 0));
    println!("{signed} times both were signed");
    // What is Alice's is still hers, whatever it is called now.
    for path in [&module, &link] {
        assert_eq!(fs::symlink_metadata(path).unwrap().uid(), ALICE);
    }
}

#[test]
fn what_another_program_renames_to_the_same_name_is_never_lost() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    let new = work.path().join("m.ko.dpkg-new");
    let (mut first, mut second) = (0, 0);
    for trial in 0..1000u32 {
        fs::write(&path, MODULE).unwrap();
        let theirs = format!("of package {trial}");
        fs::write(&new, &theirs).unwrap();
        let original = Found::file(&path).read(&mut vec![]).unwrap();
        let pending = original.replace(&[b"signed"]).unwrap();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for _ in 0..trial % 400 {
                    std::hint::spin_loop();
                }
                fs::rename(&new, &path).unwrap();
            });
            start.wait();
            match pending.commit() {
                Ok(()) => first += 1,
                Err(error) => {
                    let text = format!("{error:#}");
                    assert!(text.contains("changed by another process"), "{text}");
                    second += 1;
                }
            }
        });
        let left = fs::read_to_string(&path).unwrap();
        assert_eq!(left, theirs, "after {first} and {second}");
        no_left_overs(work.path());
    }
    println!("{first} times signed before, {second} times not at all");
}

/// A file that is open for writing cannot be loaded (ETXTBSY).  Whoever asks for a lease to read is
/// told whether it is.
#[test]
fn a_module_is_never_open_for_writing_under_its_name() {
    let work = set_up("p256");
    let watch = "
import fcntl, os, sys
print('ready', flush=True)
seen = 0
while not os.path.exists('stop'):
    file = os.open('m.ko', os.O_RDONLY)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        seen += 1
    except BlockingIOError:
        sys.exit('m.ko is open for writing')
    finally:
        os.close(file)
print(seen)";
    let mut watcher = Command::new("python3")
        .args(["-c", watch])
        .current_dir(work.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        good(&modsig(&work, &SIGN));
        good(&modsig(&work, &["strip", "m.ko"]));
        if watcher.try_wait().unwrap().is_some() {
            break;
        }
    }
    fs::write(work.path().join("stop"), "").unwrap();
    let output = watcher.wait_with_output().unwrap();
    good(&output);
}

#[test]
#[ignore = "needs root"]
fn copies_belong_to_whoever_makes_them() {
    let work = tree_of_alice();
    for path in ["tree", "tree/sub", "tree/m.ko", "tree/sub/m.ko"] {
        chown(work.path().join(path), Some(0), Some(0)).unwrap();
    }
    let module = work.path().join("tree/m.ko");
    fs::set_permissions(&module, fs::Permissions::from_mode(0o4754)).unwrap();
    for name in ["k.pem", "c.pem"] {
        fs::set_permissions(work.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::create_dir(work.path().join("hers")).unwrap();
    of_alice(&work, "hers");
    let program = copy_of(MODSIG, &work);
    let key = ["--key", "k.pem", "--cert", "c.pem"];
    let to = |what: &[&str], from: &str| {
        let command = [&[&*program, "sign"], what, &key, &[from]].concat();
        good(&as_alice(&work, &command));
    };
    to(&["--dest-dir", "hers/signed"], "tree");
    to(&["--detached", "--dest-dir", "hers/detached"], "tree");
    let sign_file = copy_of(SIGN_FILE, &work);
    let sign_file = [&*sign_file, "sha256", "k.pem", "c.pem"];
    let copy = [&sign_file[..], &["tree/m.ko", "hers/copy.ko"]].concat();
    good(&as_alice(&work, &copy));
    for (path, mode) in [
        ("hers/signed/m.ko", 0o754),
        ("hers/signed/sub/m.ko", 0o644),
        ("hers/detached/m.ko.p7s", 0o754),
        ("hers/copy.ko", 0o754),
    ] {
        let made = fs::metadata(work.path().join(path)).unwrap();
        assert_eq!((made.uid(), made.gid()), (ALICE, ALICE), "{path}");
        assert_eq!(made.mode() & 0o7777, mode, "{path}");
    }
    // And in place she may change nothing of root's.
    good(&run(&work, "chown", &[&format!("{ALICE}"), "tree"]));
    let command = [&[&*program, "sign"], &key[..], &["tree/m.ko"]].concat();
    let output = as_alice(&work, &command);
    fails(
        &output,
        1,
        "tree/m.ko: cannot write, nothing was changed: cannot set its owner to 0:0",
    );
    assert_eq!(read(&work, "tree/m.ko"), MODULE);
    no_left_overs(&work.path().join("tree"));
}

#[test]
#[ignore = "needs root"]
fn nobody_gets_more_access_than_he_had() {
    let work = tree_of_alice();
    let module = work.path().join("m.ko");
    fs::set_permissions(&module, fs::Permissions::from_mode(0o664)).unwrap();
    let everybody = format!("user:{ALICE}:rwx");
    good(&run(&work, "setfacl", &["-d", "-m", &everybody, "."]));
    let list = |name: &str| {
        let output = run(&work, "getfacl", &["-n", "-c", name]);
        good(&output);
        String::from_utf8(output.stdout).unwrap()
    };
    let alice_may_write = |name: &str| {
        let write = format!("echo >> {name}");
        as_alice(&work, &["sh", "-c", &write]).status.success()
    };
    let before = list("m.ko");
    assert!(!alice_may_write("m.ko"));
    good(&modsig(&work, &SIGN));
    assert_eq!(list("m.ko"), before);
    assert!(!alice_may_write("m.ko"));
    let copy = [&SIGN[..5], &["--dest-dir", "out", "m.ko"]].concat();
    good(&modsig(&work, &copy));
    assert!(!alice_may_write("out/m.ko"));

    // A list that it has is kept.
    good(&run(&work, "setfacl", &["-m", "user:4711:r", "m.ko"]));
    let before = list("m.ko");
    assert!(before.contains("user:4711:r--"), "{before}");
    good(&modsig(&work, &["strip", "m.ko"]));
    assert_eq!(list("m.ko"), before);
}

/// As in a container without root: the module is root's, whom nobody there knows.
#[test]
#[ignore = "needs root"]
fn an_owner_whom_the_namespace_does_not_know_is_no_failure() {
    let work = tree_of_alice();
    let directory = work.path().join("hers");
    fs::create_dir(&directory).unwrap();
    of_alice(&work, "hers");
    fs::write(directory.join("m.ko"), MODULE).unwrap();
    fs::set_permissions(work.path().join("k.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let program = copy_of(MODSIG, &work);
    let sign = [&*program, "sign", "--key", "k.pem", "--cert", "c.pem"];
    let command = [&["unshare", "-U", "-r"], &sign[..], &["hers/m.ko"]].concat();
    good(&as_alice(&work, &command));
    good(&modsig(&work, &["verify", "--cert", "c.pem", "hers/m.ko"]));
}

#[test]
#[ignore = "needs root"]
fn what_stops_a_write_is_said() {
    let work = set_up("p256");
    let shell = |script: &str| run(&work, "unshare", &["-m", "sh", "-c", script]);
    let sign = format!("{MODSIG} sign --key k.pem --cert c.pem");
    let cannot = "m.ko: cannot write, nothing was changed: ";
    for (script, reason) in [
        (
            format!("chattr +i m.ko; {sign} m.ko; code=$?; chattr -i m.ko; exit $code"),
            "it or its directory may not be changed (lsattr shows i or a)",
        ),
        (
            format!(
                "mkdir a; cp m.ko a; chattr +a a; {sign} a/m.ko; code=$?; chattr -a a; exit $code"
            ),
            "it or its directory may not be changed (lsattr shows i or a)",
        ),
        (
            format!(
                "mkdir ro; mount -t tmpfs t ro; cp m.ko ro; mount -o remount,ro ro; {sign} ro/m.ko"
            ),
            "its file system is read-only",
        ),
        (
            format!("touch one.m.ko; mount --bind m.ko one.m.ko; {sign} one.m.ko"),
            "something is mounted on the file itself; give the file that was mounted there",
        ),
    ] {
        fails(&shell(&script), 1, &format!("{cannot}{reason}"));
        assert_eq!(module(&work), MODULE, "{script}");
        no_left_overs(work.path());
    }
    fails(
        &modsig(&work, &["sign", "--manifest", "no/list", "m.ko"]),
        2,
        "no/list: cannot write, nothing was changed: there is no directory no; make it",
    );
}

/// AppArmor and some file systems let a nameless file be made, and then give it no name.
#[test]
#[ignore = "needs root"]
fn a_file_that_may_not_get_a_name_is_written_with_one() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    chown(&path, Some(4711), Some(4712)).unwrap();
    let trace = ["-f", "-o", "trace", "-e", "trace=linkat"];
    let inject = ["-e", "inject=linkat:error=EACCES", MODSIG];
    let output = run(&work, "strace", &[&trace[..], &inject, &SIGN].concat());
    good(&output);
    let trace = String::from_utf8(read(&work, "trace")).unwrap();
    assert!(trace.contains("EACCES"), "{trace}");
    good(&modsig(&work, &VERIFY));
    let now = fs::metadata(&path).unwrap();
    assert_eq!((now.uid(), now.gid()), (4711, 4712));
    assert_eq!(now.mode() & 0o7777, 0o604);
    no_left_overs(work.path());
}

/// A library that makes any file system one whose disks are elsewhere, and which are full.
const FAR_AND_FULL: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/vfs.h>
static int far(int (*next)(int, void *), int fd, struct statfs64 *to)
{
	int result = next(fd, to);
	to->f_type = 0x6969;
	return result;
}
int fstatfs64(int fd, struct statfs64 *to) { return far(dlsym(RTLD_NEXT, "fstatfs64"), fd, to); }
int fstatfs(int fd, struct statfs *to) { return far(dlsym(RTLD_NEXT, "fstatfs"), fd, (void *)to); }
int fdatasync(int fd) { (void)fd; errno = EDQUOT; return -1; }
"#;

#[test]
fn an_error_that_comes_late_is_one() {
    let work = set_up("p256");
    fs::write(work.path().join("far.c"), FAR_AND_FULL).unwrap();
    let compile = ["-shared", "-fPIC", "-o", "far.so", "far.c"];
    good(&run(&work, "cc", &compile));
    let library = work.path().join("far.so");
    let sign = |options: &[&str]| {
        Command::new(MODSIG)
            .args(SIGN)
            .args(options)
            .env("LD_PRELOAD", &library)
            .current_dir(work.path())
            .output()
            .unwrap()
    };
    for options in [&[][..], &["--no-sync"]] {
        fails(
            &sign(options),
            1,
            "m.ko: cannot write, nothing was changed: there is no room left",
        );
        assert_eq!(module(&work), MODULE);
        no_left_overs(work.path());
    }
}
