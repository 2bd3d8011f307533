// SPDX-License-Identifier: MIT OR Apache-2.0

//! What must never happen to a file: to be half-written, or to lose what is not its content.

use std::{
    fs,
    os::unix::fs::{chown, MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use modsig_tools::files::Found;

use crate::common::*;

/// A module that takes a while to write.
fn large_module(size: usize) -> Vec<u8> {
    let mut octets = MODULE.to_vec();
    octets.resize(size, 0xa5);
    octets
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_module() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    let unsigned = large_module(16 << 20);
    let sign = || {
        Command::new(MODSIG)
            .args(SIGN)
            .current_dir(work.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    fs::write(&path, &unsigned).unwrap();
    let start = Instant::now();
    assert!(sign().wait().unwrap().success());
    let usual = start.elapsed();

    let (mut old, mut new) = (0, 0);
    const KILLS: u32 = 40;
    for kill in 0..KILLS {
        fs::write(&path, &unsigned).unwrap();
        let mut child = sign();
        thread::sleep(usual * kill / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();
        if module(&work) == unsigned {
            old += 1;
        } else {
            good(&modsig(&work, &VERIFY));
            new += 1;
        }
    }
    println!("{old} killed before, {new} after the module was replaced");
}

#[test]
fn a_write_that_fails_half_way_leaves_the_old_module() {
    let work = set_up("p256");
    let unsigned = large_module(1 << 20);
    fs::write(work.path().join("m.ko"), &unsigned).unwrap();
    // No file may grow beyond 64 KiB, and the signal for that is ignored: write(2) fails, as it
    // does on a full disk.
    let limit = "trap '' XFSZ; ulimit -f 128; exec \"$@\"";
    for (program, arguments) in [
        (MODSIG, &SIGN[..]),
        (SIGN_FILE, &["sha256", "k.pem", "c.pem", "m.ko"]),
    ] {
        let output = run(
            &work,
            "sh",
            &[&["-c", limit, "sh", program], arguments].concat(),
        );
        fails(&output, 1, "m.ko: cannot write, nothing was changed");
        assert_eq!(module(&work), unsigned);
        no_left_overs(work.path());
    }
}

#[test]
fn a_directory_that_cannot_be_written_to_is_an_error() {
    let work = set_up("p256");
    let directory = work.path().join("closed");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("m.ko"), MODULE).unwrap();
    for name in ["k.pem", "c.pem"] {
        fs::set_permissions(work.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let program = copy_of(MODSIG, &work);
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();

    let command = [
        &*program,
        "sign",
        "--key",
        "k.pem",
        "--cert",
        "c.pem",
        "closed/m.ko",
    ];
    // Permissions do not stop root.
    let output = if is_root() {
        let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
        run(&work, "setpriv", &[&nobody[..], &command].concat())
    } else {
        run(&work, command[0], &command[1..])
    };
    fails(&output, 1, "closed/m.ko: cannot write");
    assert_eq!(fs::read(directory.join("m.ko")).unwrap(), MODULE);
}

#[test]
fn owner_mode_and_attributes_are_kept() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    let owner = if is_root() {
        chown(&path, Some(4711), Some(4712)).unwrap();
        (4711, 4712)
    } else {
        let metadata = fs::metadata(&path).unwrap();
        (metadata.uid(), metadata.gid())
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let attribute = if is_root() {
        "trusted.modsig"
    } else {
        "user.modsig"
    };
    xattr::set(&path, attribute, b"kept").unwrap();

    let check = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), owner);
        assert_eq!(metadata.mode() & 0o7777, 0o604);
        assert_eq!(
            xattr::get(path, attribute).unwrap().as_deref(),
            Some(&b"kept"[..])
        );
    };
    good(&modsig(&work, &SIGN));
    check(&path);
    good(&modsig(&work, &["strip", "m.ko"]));
    check(&path);
    let sign_file = ["sha256", "k.pem", "c.pem", "m.ko"];
    good(&run(&work, SIGN_FILE, &sign_file));
    check(&path);
    good(&run(
        &work,
        SIGN_FILE,
        &[&sign_file[..], &["other.ko"]].concat(),
    ));
    // A copy has the mode only.
    let copy = fs::metadata(work.path().join("other.ko")).unwrap();
    let own = fs::metadata("/proc/self").unwrap();
    assert_eq!((copy.uid(), copy.gid()), (own.uid(), own.gid()));
    assert_eq!(copy.mode() & 0o7777, 0o604);
}

#[test]
fn other_names_of_a_module_keep_the_old_content() {
    let work = set_up("p256");
    fs::hard_link(work.path().join("m.ko"), work.path().join("backup")).unwrap();
    good(&modsig(&work, &SIGN));
    assert_eq!(read(&work, "backup"), MODULE);
    assert_ne!(module(&work), MODULE);
}

#[test]
fn a_slow_reader_never_sees_a_partial_module() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    let unsigned = large_module(4 << 20);
    fs::write(&path, &unsigned).unwrap();
    let mut child = Command::new(MODSIG)
        .args(SIGN)
        .current_dir(work.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        let size = fs::metadata(&path).unwrap().len();
        assert!(size >= unsigned.len() as u64, "{size} bytes of the module");
        thread::sleep(Duration::from_micros(100));
    }
    good(&modsig(&work, &VERIFY));
}

#[test]
fn what_somebody_else_writes_meanwhile_stays() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    let longer = [MODULE, b" and more"].concat();
    let mut other = MODULE.to_vec();
    other.reverse();
    let in_place = |path: &Path, octets: &[u8]| fs::write(path, octets).unwrap();
    let by_rename = |path: &Path, octets: &[u8]| {
        let new = path.with_extension("new");
        fs::write(&new, octets).unwrap();
        fs::rename(&new, path).unwrap();
    };
    type Write = fn(&Path, &[u8]);
    let writes: [(&[u8], Write); 3] =
        [(&longer, in_place), (&other, in_place), (MODULE, by_rename)];
    for (octets, write) in writes {
        fs::write(&path, MODULE).unwrap();
        let original = Found::file(&path).read(&mut vec![]).unwrap();
        let pending = original.replace(&[b"signed"]).unwrap();
        // Two writes within one tick of the clock are told apart by the size only.
        thread::sleep(Duration::from_millis(20));
        write(&path, octets);
        let error = pending.commit().unwrap_err();
        assert!(format!("{error:#}").contains("changed by another process"));
        assert_eq!(module(&work), octets);
        no_left_overs(work.path());
    }
    let original = Found::file(&path).read(&mut vec![]).unwrap();
    let pending = original.replace(&[b"signed"]).unwrap();
    pending.commit().unwrap();
    assert_eq!(module(&work), b"signed");
}

/// They are over the content, and would have the kernel's integrity measurement refuse the new one.
#[test]
#[ignore = "needs root"]
fn a_measurement_of_the_old_content_is_not_kept() {
    assert!(
        is_root(),
        "run this test as root: it sets security attributes"
    );
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    xattr::set(&path, "security.ima", b"\x01of the old content").unwrap();
    xattr::set(&path, "security.other", b"kept").unwrap();
    good(&modsig(&work, &SIGN));
    assert_eq!(xattr::get(&path, "security.ima").unwrap(), None);
    assert_eq!(
        xattr::get(&path, "security.other").unwrap().as_deref(),
        Some(&b"kept"[..])
    );
}
