// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many modules at once, with bad ones among them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::*;

const SIGN_TREE: [&str; 6] = ["sign", "--key", "k.pem", "--cert", "c.pem", "tree"];
const VERIFY_TREE: [&str; 4] = ["verify", "--cert", "c.pem", "tree"];

/// A key and a tree with so many modules, a hundred in a directory.
fn tree(count: usize) -> TempDir {
    let work = set_up("p256");
    for n in 0..count {
        let directory = work.path().join(format!("tree/{:03}", n / 100));
        if n % 100 == 0 {
            fs::create_dir_all(&directory).unwrap();
        }
        let module = [MODULE, n.to_string().as_bytes()].concat();
        fs::write(directory.join(format!("m{n}.ko")), module).unwrap();
    }
    work
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn last_line(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_tree_is_signed_whatever_the_number_of_jobs() {
    for jobs in ["1", "2", "16", "1000"] {
        let work = tree(250);
        let signed = modsig(&work, &[&SIGN_TREE[..], &["--jobs", jobs]].concat());
        good(&signed);
        assert_eq!(String::from_utf8_lossy(&signed.stdout), "250 signed\n");
        let verified = modsig(&work, &[&VERIFY_TREE[..], &["-j", jobs]].concat());
        good(&verified);
        assert_eq!(last_line(&verified), "250 good");
        no_left_overs(&work.path().join("tree/000"));
    }
}

#[test]
fn what_is_said_is_in_the_order_of_the_names() {
    let work = tree(300);
    let inspected = modsig(&work, &["strip", "--verbose", "--jobs", "8", "tree"]);
    good(&inspected);
    let text = String::from_utf8_lossy(&inspected.stdout);
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(names.len(), 300);
    assert!(names.is_sorted());
    let json = json(&modsig(&work, &["strip", "--json", "--jobs", "8", "tree"]));
    let paths = json["modules"].as_array().unwrap().iter();
    let paths: Vec<_> = paths
        .map(|module| module["path"].as_str().unwrap())
        .collect();
    assert_eq!(names, paths);
}

#[test]
fn bad_ones_are_told_and_the_others_signed() {
    let work = tree(20);
    let path = |name: &str| work.path().join("tree").join(name);
    fs::write(path("empty.ko"), b"").unwrap();
    fs::write(path("text.ko"), b"text").unwrap();
    fs::write(path("torn.ko.xz"), b"\xfd7zXZ\0torn").unwrap();
    fs::File::create(path("huge.ko"))
        .unwrap()
        .set_len(1 << 31)
        .unwrap();
    symlink("loop", path("loop")).unwrap();
    symlink(".", path("self")).unwrap();
    symlink("a.ko", path("b.ko")).unwrap();
    symlink("b.ko", path("a.ko")).unwrap();
    let output = modsig(&work, &[&SIGN_TREE[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let json = json(&output);
    assert_eq!(json["counts"]["signed"], 20);
    assert_eq!(json["counts"]["failed"], 4);
    let modules = json["modules"].as_array().unwrap();
    let bad = modules.iter().filter(|module| module["error"].is_string());
    let bad: BTreeSet<_> = bad.map(|module| module["path"].as_str().unwrap()).collect();
    let expected =
        ["empty.ko", "huge.ko", "text.ko", "torn.ko.xz"].map(|name| format!("tree/{name}"));
    assert!(bad.into_iter().eq(&expected));
    for (name, message) in [
        ("empty.ko", "the file is empty; build it again"),
        ("huge.ko", "larger than 2 GiB"),
        ("text.ko", "not a kernel module"),
        ("torn.ko.xz", "cannot be unpacked"),
    ] {
        fails(&output, 1, &format!("modsig: tree/{name}: {message}"));
    }
    assert_eq!(fs::read(path("empty.ko")).unwrap(), b"");
    assert_eq!(fs::read(path("text.ko")).unwrap(), b"text");
    let verified = modsig(&work, &VERIFY_TREE);
    assert_eq!(last_line(&verified), "2 bad, 4 failed, 20 good");
    fails(
        &verified,
        1,
        "tree/a.ko: cannot open: Too many levels of symbolic links",
    );
}

#[test]
fn links_in_a_tree_are_left_and_their_targets_signed_once() {
    let work = tree(2);
    fs::create_dir(work.path().join("tree/weak-updates")).unwrap();
    symlink("../000/m0.ko", work.path().join("tree/weak-updates/m0.ko")).unwrap();
    fs::write(work.path().join("elsewhere.ko"), MODULE).unwrap();
    symlink("../elsewhere.ko", work.path().join("tree/elsewhere.ko")).unwrap();
    // The same tree and one of its modules under other names.
    let again = work.path().join("tree/../tree/000/m1.ko");
    let output = modsig(
        &work,
        &[&SIGN_TREE[..], &[again.to_str().unwrap()]].concat(),
    );
    good(&output);
    assert_eq!(last_line(&output), "2 signed");
    assert_eq!(read(&work, "elsewhere.ko"), MODULE);
    let link = work.path().join("tree/weak-updates/m0.ko");
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    // What loads is what the links point to.
    let verified = modsig(&work, &VERIFY_TREE);
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(last_line(&verified), "3 good, 1 unsigned");
}

#[test]
fn paths_come_from_a_list_as_well() {
    let work = tree(3);
    let list = "tree/000/m0.ko\ntree/000/m2.ko\n";
    fs::write(work.path().join("list"), list).unwrap();
    let sign = &SIGN_TREE[..5];
    let from_file = modsig(&work, &[sign, &["--files-from", "list"]].concat());
    good(&from_file);
    assert_eq!(String::from_utf8_lossy(&from_file.stdout), "2 signed\n");

    let mut child = Command::new(MODSIG)
        .args([sign, &["--files-from", "-"]].concat())
        .current_dir(work.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(list.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    good(&output);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 signed again\n");

    let missing = [sign, &["--files-from", "none"]].concat();
    fails(
        &modsig(&work, &missing),
        2,
        "none: cannot read the list of modules",
    );
    // A kernel without modules has an empty list.
    fs::write(work.path().join("list"), "").unwrap();
    good(&modsig(&work, &[sign, &["--files-from", "list"]].concat()));
}

#[test]
fn only_what_is_missing_is_signed() {
    let work = tree(4);
    let path = |name: &str| work.path().join("tree/000").join(name);
    good(&modsig(&work, &SIGN_TREE));
    // One by somebody else, one altered, one twice, one after it was packed; another is packed well.
    let other = [
        "keygen",
        "--algorithm",
        "p256",
        "--key",
        "k2.pem",
        "--cert",
        "c2.pem",
    ];
    good(&modsig(&work, &other));
    let by_other = [
        "sign",
        "--key",
        "k2.pem",
        "--cert",
        "c2.pem",
        "tree/000/m0.ko",
    ];
    good(&modsig(&work, &by_other));
    let mut altered = fs::read(path("m1.ko")).unwrap();
    altered[20] ^= 1;
    fs::write(path("m1.ko"), altered).unwrap();
    let once = fs::read(path("m2.ko")).unwrap();
    let signature = once.len() - [MODULE, b"2"].concat().len();
    let twice = [&once[..], &once[once.len() - signature..]].concat();
    fs::write(path("m2.ko"), twice).unwrap();
    let packed = ["--check=crc32", "--keep", "tree/000/m3.ko"];
    good(&run(&work, "xz", &packed));
    let misplaced = fs::read(path("m3.ko.xz")).unwrap();
    let misplaced = [&misplaced[..], &once[once.len() - signature..]].concat();
    fs::write(path("wrong.ko.xz"), misplaced).unwrap();

    let before = fs::metadata(path("m3.ko")).unwrap().modified().unwrap();
    let missing = [&SIGN_TREE[..], &["--only-missing"]].concat();
    let signed = modsig(&work, &missing);
    good(&signed);
    assert_eq!(last_line(&signed), "4 signed again, 2 signed before");
    let after = fs::metadata(path("m3.ko")).unwrap().modified().unwrap();
    assert_eq!(before, after);
    good(&modsig(&work, &VERIFY_TREE));
    assert_eq!(last_line(&modsig(&work, &missing)), "6 signed before");
    // The same key, but another way to name it.
    let by_id = modsig(&work, &[&missing[..], &["--keyid"]].concat());
    assert_eq!(last_line(&by_id), "6 signed again");
}

#[test]
#[ignore = "takes a minute: make test-tools-large"]
fn a_hundred_thousand_modules() {
    let work = tree(100_000);
    let signed = modsig(&work, &[&SIGN_TREE[..], &["--no-sync", "--json"]].concat());
    good(&signed);
    assert_eq!(
        json(&signed)["counts"],
        serde_json::json!({ "signed": 100_000 })
    );
    assert_eq!(json(&signed)["modules"].as_array().unwrap().len(), 100_000);
}

#[test]
fn two_modules_that_would_be_one_file_are_refused_before_anything_is_done() {
    let work = tree(101);
    fs::copy(
        work.path().join("tree/000/m1.ko"),
        work.path().join("tree/001/m1.ko"),
    )
    .unwrap();
    let sign = ["--dest-dir", "out", "tree/000/m1.ko", "tree/001/m1.ko"];
    let output = modsig(&work, &[&SIGN_TREE[..5], &sign].concat());
    fails(
        &output,
        2,
        "tree/000/m1.ko and tree/001/m1.ko would both be out/m1.ko",
    );
    assert!(!work.path().join("out/m1.ko").exists());
}

/// A small file system of its own, which only root may have.
struct Disk(std::path::PathBuf);

impl Disk {
    fn new(work: &TempDir, size: &str) -> Self {
        let path = work.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mount = ["-t", "tmpfs", "-o", size, "none", path.to_str().unwrap()];
        good(&run(work, "mount", &mount));
        Disk(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_in_the_middle_of_a_tree_loses_nothing() {
    // Somebody else than root may only do so as root of a name space of his own.
    assert!(is_root(), "run this test as root: it mounts a file system");
    full_in_the_middle(&["--json", "--jobs", "2"]);
    full_in_the_middle(&["--json", "--jobs", "2", "--release"]);
}

fn full_in_the_middle(options: &[&str]) {
    let work = set_up("p256");
    let disk = Disk::new(&work, "size=8M");
    let module = |n: usize| [MODULE, &vec![n as u8; 300_000]].concat();
    for n in 0..24 {
        fs::write(disk.0.join(format!("{n:02}.ko")), module(n)).unwrap();
    }
    // Room for a few copies, which then cannot be had back: the old files stay as backups.
    fs::create_dir(disk.0.join("backup")).unwrap();
    for n in 0..24 {
        let name = format!("{n:02}.ko");
        fs::hard_link(
            disk.0.join(&name),
            disk.0.join("backup").join(name + ".old"),
        )
        .unwrap();
    }
    let sign = [&SIGN_TREE[..5], options, &["disk"]].concat();
    let output = modsig(&work, &sign);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = json(&output);
    let (mut signed, mut left) = (0, 0);
    for (n, module_report) in report["modules"].as_array().unwrap().iter().enumerate() {
        let path = disk.0.join(format!("{n:02}.ko"));
        if module_report["signed"] == true {
            good(&modsig(
                &work,
                &["verify", "--cert", "c.pem", path.to_str().unwrap()],
            ));
            signed += 1;
        } else {
            let error = module_report["error"].as_str().unwrap();
            assert!(error.contains("there is no room left"), "{error}");
            assert!(fs::read(&path).unwrap() == module(n));
            left += 1;
        }
    }
    assert!(
        signed > 0 && left > 0,
        "{options:?}: {signed} signed, {left} left"
    );
    no_left_overs(&disk.0);
}

#[test]
fn an_interrupt_ends_it_between_two_modules() {
    const COUNT: usize = 5_000;
    let work = tree(COUNT);
    let child = Command::new(MODSIG)
        .args(SIGN_TREE)
        .current_dir(work.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it has begun.
    let first = work.path().join("tree/000/m0.ko");
    while fs::metadata(&first).unwrap().len() < MODULE.len() as u64 + 100 {
        thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    good(&run(&work, "kill", &["-INT", &id]));
    let output = child.wait_with_output().unwrap();
    // It ends by the signal, so that a shell's loop does not go on.
    assert_eq!(output.status.signal(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("modsig: interrupted; "), "{text}");
    assert!(text.contains(" modules are as they were"), "{text}");
    let signed: usize = last_line(&output)
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..COUNT).contains(&signed), "{signed}");
    let verified = modsig(&work, &VERIFY_TREE);
    let (good, unsigned) = (format!("{signed} good"), COUNT - signed);
    assert_eq!(last_line(&verified), format!("{good}, {unsigned} unsigned"));
    for directory in fs::read_dir(work.path().join("tree")).unwrap() {
        no_left_overs(&directory.unwrap().path());
    }
}

/// Runs a command in a shell, as a user that no other test has, whose processes can be counted.
fn as_somebody_else(work: &TempDir, script: &str) -> std::process::Output {
    const WHO: &str = "54323";
    if !work.path().join("modsig").exists() {
        copy_of(MODSIG, work);
    }
    if !is_root() {
        return run(work, "bash", &["-c", script]);
    }
    good(&run(work, "chown", &["-R", &format!("{WHO}:{WHO}"), "."]));
    let who = ["--reuid", WHO, "--regid", WHO, "--clear-groups", "bash"];
    run(work, "setpriv", &[&who[..], &["-c", script]].concat())
}

#[test]
fn few_descriptors_or_threads_make_it_slower_only() {
    let work = tree(100);
    for limit in ["-n 64", "-n 48", "-u 6", "-u 1"] {
        let with = |arguments: &str| {
            let script = format!("ulimit {limit}; exec ./modsig {arguments}");
            let output = as_somebody_else(&work, &script);
            good(&output);
            assert!(output.stderr.is_empty(), "{limit}: {output:?}");
            last_line(&output)
        };
        let key = "--jobs 32 --key k.pem --cert c.pem";
        assert_eq!(with(&format!("sign {key} tree")), "100 signed");
        let verified = with("verify --jobs 32 --cert c.pem tree");
        assert_eq!(verified, "100 good");
        let release = with(&format!("sign --release {key} tree"));
        assert_eq!(release, "100 signed again");
        let digested = with("sign --release --jobs 32 --manifest list tree");
        assert_eq!(digested, "100 digested");
        with(&format!("sign --from-manifest list {key} --dest-dir ."));
        let attached = with("attach --release list --cert c.pem --jobs 32 tree");
        assert_eq!(attached, "100 attached");
        assert_eq!(with("verify --jobs 32 --cert c.pem tree"), "100 good");
        assert_eq!(with("strip --jobs 32 tree"), "100 stripped");
        let copies = with(&format!("sign {key} --detached --dest-dir out tree"));
        assert_eq!(copies, "100 signed");
        fs::remove_dir_all(work.path().join("out")).unwrap();
    }
}

#[test]
fn a_standard_error_that_nobody_reads_ends_nothing() {
    for closed in ["2>&-", "2>/dev/full", "2> >(true)"] {
        let work = tree(300);
        for bad in ["tree/000/a.ko", "tree/001/a.ko"] {
            fs::write(work.path().join(bad), "no module").unwrap();
        }
        let sign = SIGN_TREE.join(" ");
        let script = format!("{MODSIG} {sign} {closed}");
        let output = run(&work, "bash", &["-c", &script]);
        assert_eq!(output.status.code(), Some(1), "{closed}: {output:?}");
        assert_eq!(last_line(&output), "2 failed, 300 signed", "{closed}");
    }
}

#[test]
fn a_module_that_is_asked_for_twice_is_signed_once() {
    let work = tree(8);
    let list = "tree/000/m1.ko\ntree/../tree/000/m2.ko\ntree/000\n";
    fs::write(work.path().join("list"), list).unwrap();
    symlink("tree", work.path().join("link")).unwrap();
    let more = ["--files-from", "list", "link/000", "tree/000/m3.ko"];
    let output = modsig(&work, &[&SIGN_TREE[..], &more].concat());
    good(&output);
    assert_eq!(last_line(&output), "8 signed");
    // What was typed is told.
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("m1.ko"), "{text}");
}

#[test]
fn lists_may_be_of_any_kind() {
    let work = tree(3);
    let key = ["sign", "--key", "k.pem", "--cert", "c.pem"];
    let of = |list: &str, options: &[&str]| {
        fs::write(work.path().join("list"), list).unwrap();
        let from = ["--files-from", "list"];
        let output = modsig(&work, &[&key[..], &from, options].concat());
        good(&output);
        last_line(&output)
    };
    assert_eq!(of("tree/000/m0.ko\r\ntree/000/m1.ko\r\n", &[]), "2 signed");
    let odd = "tree/000/a\nb.ko";
    fs::write(work.path().join(odd), MODULE).unwrap();
    assert_eq!(of(&format!("{odd}\0tree/000/m2.ko\0"), &["-0"]), "2 signed");
}

#[test]
fn a_name_does_nothing_to_a_terminal() {
    let work = set_up("p256");
    let name = "e\u{1b}[2J\u{7}.ko";
    fs::write(work.path().join(name), "no module").unwrap();
    fs::write(work.path().join("\u{1b}c.ko"), MODULE).unwrap();
    let verify = ["verify", "--cert", "c.pem", "."];
    let sign = ["sign", "--key", "k.pem", "--cert", "c.pem", name];
    for arguments in [&verify[..], &sign] {
        let output = modsig(&work, arguments);
        let all = [&output.stdout[..], &output.stderr].concat();
        let is_harmless = |byte: &u8| *byte == b'\n' || !byte.is_ascii_control();
        assert!(all.iter().all(is_harmless), "{output:?}");
    }
    fails(&modsig(&work, &sign), 1, "e\\u{1b}[2J\\u{7}.ko");
}

#[test]
fn output_that_nobody_reads_is_no_failure_but_a_full_disk_is() {
    let work = tree(2000);
    good(&modsig(&work, &SIGN_TREE));
    let piped = format!("set -o pipefail; {MODSIG} verify --verbose --cert c.pem tree | head -n 1");
    let output = run(&work, "bash", &["-c", &piped]);
    good(&output);
    assert!(output.stderr.is_empty(), "{output:?}");
    let full = format!("{MODSIG} verify --cert c.pem tree > /dev/full");
    fails(
        &run(&work, "bash", &["-c", &full]),
        1,
        "cannot write to standard output: No space left",
    );
}

#[test]
fn a_directory_without_permission_is_told_and_the_rest_signed() {
    use std::os::unix::fs::PermissionsExt;
    let work = tree(101);
    let closed = work.path().join("tree/001");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    let sign = [&SIGN_TREE[..5], &["--dest-dir", "out", "tree"]].concat();
    let output = as_somebody(&work, &sign);
    fails(&output, 1, "tree/001: cannot open: Permission denied");
    assert_eq!(last_line(&output), "1 failed, 100 signed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs modsig as somebody to whom permissions apply, who owns everything here.
fn as_somebody(work: &TempDir, arguments: &[&str]) -> std::process::Output {
    if !is_root() {
        return modsig(work, arguments);
    }
    let program = copy_of(MODSIG, work);
    good(&run(work, "chown", &["-R", "65534:65534", "."]));
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    run(
        work,
        "setpriv",
        &[&nobody[..], &[&program], arguments].concat(),
    )
}

#[test]
fn an_earlier_signers_temporary_file_is_no_module() {
    let work = tree(1);
    fs::write(work.path().join("tree/000/.modsig-abc"), MODULE).unwrap();
    let output = modsig(&work, &SIGN_TREE);
    assert_eq!(last_line(&output), "1 signed");
    assert!(Path::new(&work.path().join("tree/000/.modsig-abc")).exists());
}
