// SPDX-License-Identifier: MIT OR Apache-2.0

//! Trees of module hashes, held against ones that are made slowly from the definition; and what
//! `modsig hashes` does to the files of a build.

#[path = "../../../rust/tests/common/merkle.rs"]
mod slow;

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use modsig::verify::trailer;
use modsig_tools::{
    hashes::{leaf, position, Tree},
    image::{self, Vmlinux},
    signer::strip,
};
use tempfile::TempDir;

use crate::common::*;

fn tree(modules: &[Vec<u8>]) -> Tree {
    let leaves = modules.iter().enumerate();
    Tree::new(leaves.map(|(at, module)| leaf(at as u32, module)).collect()).unwrap()
}

#[test]
fn trees_of_any_size_are_those_of_the_definition() {
    for count in (0..=130).chain([255, 256, 257, 1000, 4095, 4096, 4097, 5000]) {
        let modules = slow::modules(count);
        let tree = tree(&modules);
        assert_eq!(tree.root(), slow::root(&modules), "{count} modules");
        // The slow way is quadratic: all of the small ones, some of the large ones.
        let step = 1 + count / 20;
        let last = count.checked_sub(1);
        for position in (0..count).step_by(step).chain(last) {
            assert_eq!(
                tree.proof(position as u32).unwrap(),
                slow::proof(&modules, position),
                "{position} of {count} modules"
            );
        }
        assert!(tree.proof(count as u32).is_err());
    }
}

#[test]
fn there_are_no_more_positions_than_a_proof_can_count() {
    let last = u32::MAX as usize;
    assert_eq!(position(last, false).unwrap(), u32::MAX);
    assert!(position(last + 1, false).is_err());
    assert_eq!(position(last / 2, true).unwrap(), u32::MAX - 1);
    assert!(position(last / 2 + 1, true).is_err());
}

const HASHES: [&str; 5] = [
    "hashes",
    "--modules",
    "modules.order",
    "--vmlinux",
    "vmlinux",
];
const MODULES: usize = 7;

fn hashes(work: &TempDir, more: &[&str]) -> Output {
    modsig(work, &[&HASHES[..], more].concat())
}

/// Without a list of modules.
fn hashes_of_lib(work: &TempDir, more: &[&str]) -> Output {
    let all = ["hashes", "--modules", "lib", "--vmlinux", "vmlinux"];
    modsig(work, &[&all, more].concat())
}

fn path(number: usize) -> String {
    format!("lib/m{number}.ko")
}

/// A build whose modules have proofs, and whose kernel has the root.
fn finished(more: &[&str]) -> TempDir {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    says(
        &hashes(&work, more),
        "7 modules, 7 hashed, 7 proofs attached",
    );
    is_consistent(&work);
    work
}

/// Kernel and modules belong together, by what is told by their files alone.
fn is_consistent(work: &TempDir) {
    good(&hashes(work, &["--check"]));
    good(&modsig(work, &["verify", "--kernel", "vmlinux", "lib"]));
}

/// It fails, says this, and changes nothing at all.
fn refuses(work: &TempDir, more: &[&str], message: &str) {
    let before = all_of(work);
    fails(&hashes(work, more), 2, message);
    assert!(all_of(work) == before, "{message}: something was changed");
}

/// Builds a module again, with other content.
fn rebuild(work: &TempDir, number: usize, what: &str) {
    let file = read(work, &path(number));
    let content = [strip(&file).0, what.as_bytes()].concat();
    fs::remove_file(work.path().join(path(number))).unwrap();
    fs::write(work.path().join(path(number)), content).unwrap();
}

#[test]
fn the_kernel_gets_the_root_of_the_definition_and_each_module_its_proof() {
    for more in [&[][..], &["--no-sync"], &["--jobs", "1"]] {
        let work = finished(more);
        let files: Vec<_> = (0..MODULES).map(|n| read(&work, &path(n))).collect();
        let contents: Vec<_> = files.iter().map(|file| strip(file).0.to_vec()).collect();
        let root = slow::root(&contents);
        let vmlinux = work.path().join("vmlinux");
        assert_eq!(*Vmlinux::open(&vmlinux).unwrap().root(), root);
        assert_eq!(image::read(&vmlinux).unwrap().hashes.unwrap().root, root);
        for (number, file) in files.iter().enumerate() {
            let split = trailer::split(file).unwrap();
            assert_eq!(split.kind, trailer::Kind::Merkle);
            assert_eq!(split.message, slow::proof(&contents, number));
        }
    }
}

#[test]
fn nothing_but_the_root_is_changed_in_vmlinux() {
    let work = finished(&[]);
    let kernel = kernel("6.12", "x86_64", "hashes");
    let (before, after) = (
        fs::read(kernel.join("vmlinux")).unwrap(),
        read(&work, "vmlinux"),
    );
    assert_eq!(before.len(), after.len());
    let differ: Vec<_> = (0..after.len())
        .filter(|&at| before[at] != after[at])
        .collect();
    assert!(!differ.is_empty() && differ[differ.len() - 1] - differ[0] < 36);
}

#[test]
fn a_second_run_touches_nothing() {
    for more in [
        &[][..],
        &["--no-sync"],
        &["--stripped-by", "strip --strip-debug"],
    ] {
        let work = finished(more);
        let before = all_of(&work);
        says(&hashes(&work, more), "0 hashed, 0 proofs attached");
        assert!(all_of(&work) == before, "{more:?}");
    }
}

#[test]
fn only_what_was_built_again_is_hashed_again() {
    for more in [&[][..], &["--no-sync"]] {
        let work = finished(more);
        rebuild(&work, 3, "other");
        fails(&hashes(&work, &["--check"]), 1, "");
        says(&hashes(&work, more), "1 hashed, 7 proofs attached");
        is_consistent(&work);
        // With the same content, all is as it was but for one proof.
        rebuild(&work, 4, "");
        says(&hashes(&work, more), "1 hashed, 1 proofs attached");
        says(&hashes(&work, more), "as before");
        is_consistent(&work);
    }
}

/// As one does who has a newer modsig, and a tree that was built with an older one.
#[test]
fn what_an_older_modsig_remembered_is_of_use() {
    let work = finished(&[]);
    let path = work.path().join("modules.hashes");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state["version"] = 1.into();
    for module in state["modules"].as_array_mut().unwrap() {
        module["stamp"].as_array_mut().unwrap().remove(1);
    }
    fs::write(&path, state.to_string()).unwrap();
    let output = hashes(&work, &[]);
    says(&output, "7 hashed, 0 proofs attached");
    says(&output, "as before");
    assert!(output.stderr.is_empty(), "{output:?}");
    is_consistent(&work);
    says(&hashes(&work, &[]), "0 hashed, 0 proofs attached");
}

#[test]
fn modules_come_and_go_and_change_places() {
    let work = finished(&[]);
    let order = |numbers: &[usize]| {
        let lines: String = numbers.iter().map(|n| format!("lib/m{n}.o\n")).collect();
        fs::write(work.path().join("modules.order"), lines).unwrap();
    };
    for numbers in [
        &[6, 1, 2, 3, 4, 5, 0][..],
        &[1, 2, 3, 4, 5, 6],
        &[6, 5, 0, 4],
        &[4],
        &[0, 1, 2, 3, 4, 5, 6],
    ] {
        order(numbers);
        good(&hashes(&work, &[]));
        good(&hashes(&work, &["--check"]));
    }
    order(&[]);
    good(&hashes(&work, &[]));
    let root = *Vmlinux::open(&work.path().join("vmlinux")).unwrap().root();
    assert_eq!(root, Default::default());
}

#[test]
fn a_vmlinux_that_was_linked_again_gets_the_same_root() {
    let work = finished(&[]);
    let linked = read(&work, "vmlinux");
    let root = *Vmlinux::open(&work.path().join("vmlinux")).unwrap().root();
    let at = linked.windows(32).position(|window| window == root.hash);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(work.path().join("vmlinux"))
        .unwrap();
    file.seek(SeekFrom::Start(at.unwrap() as u64 - 4)).unwrap();
    file.write_all(&[0; 36]).unwrap();
    fails(&hashes(&work, &["--check"]), 1, "");
    says(&hashes(&work, &[]), "0 hashed, 0 proofs attached");
    assert!(read(&work, "vmlinux") == linked);
}

#[test]
fn two_builds_of_one_source_give_the_same_octets() {
    let (a, b) = (finished(&["--no-sync"]), finished(&["--jobs", "1"]));
    assert!(read(&a, "vmlinux") == read(&b, "vmlinux"));
    for number in 0..MODULES {
        assert!(read(&a, &path(number)) == read(&b, &path(number)));
    }
}

#[test]
fn a_directory_is_as_good_as_a_list() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    fs::remove_file(work.path().join("modules.order")).unwrap();
    good(&hashes_of_lib(&work, &[]));
    good(&hashes_of_lib(&work, &["--check"]));
    says(&hashes_of_lib(&work, &[]), "0 hashed, 0 proofs attached");
}

#[test]
fn modules_may_be_packed() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    good(&run(&work, "xz", &["--check=crc32", "lib/m1.ko"]));
    good(&run(&work, "gzip", &["lib/m2.ko"]));
    for more in [&[][..], &["--no-sync"]] {
        good(&hashes_of_lib(&work, more));
        good(&hashes_of_lib(&work, &["--check"]));
    }
    good(&run(&work, "xz", &["-t", "lib/m1.ko.xz"]));
    good(&modsig(&work, &["verify", "--kernel", "vmlinux", "lib"]));
}

#[test]
fn installed_modules_get_the_proof_of_what_they_are() {
    let work = finished(&["--stripped-by", "strip --strip-debug"]);
    let install = || {
        let _ = fs::remove_dir_all(work.path().join("installed"));
        fs::create_dir(work.path().join("installed")).unwrap();
        good(&run(&work, "cp", &["-r", "lib", "installed"]));
        for number in [0, 1, 2, 3] {
            let file = format!("installed/lib/m{number}.ko");
            good(&run(&work, "strip", &["--strip-debug", &file]));
        }
        for (program, number) in [("xz", 2), ("gzip", 3), ("zstd", 5)] {
            let file = format!("installed/lib/m{number}.ko");
            let arguments: &[&str] = match program {
                "xz" => &["--check=crc32", &file],
                "zstd" => &["-q", "--rm", &file],
                _ => &[&file],
            };
            good(&run(&work, program, arguments));
        }
    };
    let attach = ["--attach-to", "installed"];
    let verify = ["verify", "--kernel", "vmlinux", "installed"];
    install();
    fails(&modsig(&work, &verify), 1, "");
    says(&hashes(&work, &attach), "4 attached, 3 attached before");
    good(&modsig(&work, &verify));
    says(&hashes(&work, &attach), "7 attached before");

    // One is altered, one is missing: those two are told, the others are done.
    install();
    let altered = work.path().join("installed/lib/m1.ko");
    let mut octets = fs::read(&altered).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(&altered, &octets).unwrap();
    fs::remove_file(work.path().join("installed/lib/m6.ko")).unwrap();
    let output = hashes(&work, &attach);
    fails(
        &output,
        1,
        "m1.ko: is neither the module of the build nor its stripped form",
    );
    fails(&output, 1, "m6.ko: not installed");
    assert!(fs::read(&altered).unwrap() == octets);
    fails(
        &modsig(&work, &["verify", "--kernel", "vmlinux", "installed"]),
        1,
        "",
    );
    fs::remove_file(&altered).unwrap();
    good(&modsig(&work, &verify));

    // A build that went on without this kernel.
    install();
    rebuild(&work, 4, "other");
    let kernel = read(&work, "vmlinux");
    good(&hashes(&work, &["--stripped-by", "strip --strip-debug"]));
    fs::write(work.path().join("vmlinux"), kernel).unwrap();
    refuses(
        &work,
        &attach,
        "modules.hashes and vmlinux do not belong together",
    );
    fs::remove_file(work.path().join("modules.hashes")).unwrap();
    refuses(&work, &attach, "modules.hashes: cannot read");
}

#[test]
fn a_module_that_cannot_be_stripped_is_an_error() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    refuses(
        &work,
        &["--stripped-by", "false"],
        "m0.ko: cannot be stripped by \"false\"",
    );
    refuses(
        &work,
        &["--stripped-by", "rm"],
        "m6.ko: is gone, stripped by \"rm\"",
    );
}

#[test]
fn what_is_not_of_the_build_is_an_error_and_nothing_is_changed() {
    for done in [false, true] {
        let fresh = || {
            if done {
                return finished(&[]);
            }
            let work = tempfile::tempdir().unwrap();
            build(work.path(), MODULES);
            work
        };
        let work = fresh();
        let order = "modules.order";
        let lines = String::from_utf8(read(&work, order)).unwrap();
        let list = |text: String| fs::write(work.path().join(order), text).unwrap();
        list(format!("{lines}lib/absent.o\n"));
        refuses(
            &work,
            &[],
            "lib/absent.ko: is in modules.order, but not there",
        );
        list(format!("{lines}lib/m2.o\n"));
        refuses(&work, &[], "lib/m2.ko: is there twice");
        list(format!("{lines}lib/../lib/m3.ko\n"));
        refuses(&work, &[], "m3.ko: is there twice");
        fs::remove_file(work.path().join(order)).unwrap();
        refuses(&work, &[], "modules.order: cannot read the list of modules");
        list(lines);

        let set = |content: &[u8]| fs::write(work.path().join(path(5)), content).unwrap();
        let module = strip(&read(&work, &path(5))).0.to_vec();
        set(b"");
        refuses(&work, &[], "m5.ko: the file is empty");
        set(b"something");
        refuses(&work, &[], "m5.ko: not a kernel module");
        set(&MODULE[..300]);
        refuses(&work, &[], "m5.ko: not a kernel module, or damaged");
        set(MODULE);
        refuses(&work, &[], "vmlinux: is not the kernel of lib/m5.ko");
        set(&[&module[..], &[0xff; 12], trailer::MARKER].concat());
        refuses(
            &work,
            &[],
            "m5.ko: trailer claims a signature of 4294967295",
        );
        let work = fresh();
        good(&modsig(
            &work,
            &["keygen", "--algorithm", "p256", "--key", "k", "--cert", "c"],
        ));
        good(&modsig(
            &work,
            &["sign", "--key", "k", "--cert", "c", &path(5)],
        ));
        refuses(
            &work,
            &[],
            "m5.ko: it is signed with a key; take the signature off (modsig strip)",
        );
        good(&modsig(&work, &["strip", &path(5)]));
        good(&hashes(&work, &[]));
    }
}

#[test]
fn a_proof_of_another_build_is_an_error() {
    let (work, other) = (finished(&[]), finished(&[]));
    rebuild(&other, 5, "other");
    good(&hashes(&other, &[]));
    fs::copy(other.path().join(path(5)), work.path().join(path(5))).unwrap();
    refuses(&work, &[], "m5.ko: it has a proof of another build");
    // It does not help that nothing is known of the build.
    fs::remove_file(work.path().join("modules.hashes")).unwrap();
    refuses(&work, &[], "m5.ko: it has a proof of another build");
    good(&modsig(&work, &["strip", &path(5)]));
    says(&hashes(&work, &[]), "7 hashed, 7 proofs attached");
    is_consistent(&work);
    // But without that file all is known from the kernel.
    fs::remove_file(work.path().join("modules.hashes")).unwrap();
    says(&hashes(&work, &[]), "7 hashed, 0 proofs attached");
    fs::write(work.path().join("modules.hashes"), "{}").unwrap();
    fails_to_read_state(&hashes(&work, &[]));
    is_consistent(&work);
}

fn fails_to_read_state(output: &Output) {
    good(output);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("all modules are hashed again: modules.hashes: damaged"),
        "{text}"
    );
}

#[test]
fn another_kernel_is_an_error() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    let vmlinux = work.path().join("vmlinux");
    let copy = |series, flavour, name| {
        let kernel = kernel(series, "x86_64", flavour);
        fs::copy(kernel.join(name), &vmlinux).unwrap();
    };
    copy("6.12", "permissive", "vmlinux");
    refuses(&work, &[], "vmlinux: has no section .module_hashes");
    refuses(
        &work,
        &["--check"],
        "vmlinux: a kernel that does not know modules by their hashes",
    );
    copy("6.12", "hashes", "kernel");
    refuses(
        &work,
        &[],
        "vmlinux: not an ELF file: the root is written into vmlinux",
    );
    copy("7.3", "hashes", "vmlinux");
    refuses(
        &work,
        &[],
        "vmlinux: is not the kernel of lib/m0.ko, which is for \"6.12",
    );
    fs::write(&vmlinux, &MODULE[..60]).unwrap();
    refuses(&work, &[], "vmlinux: it is cut short");
    fs::remove_file(&vmlinux).unwrap();
    refuses(&work, &[], "vmlinux: cannot open");
}

#[test]
fn check_tells_of_each_module_whether_it_is_let_in() {
    let work = finished(&[]);
    rebuild(&work, 2, "");
    let mut altered = read(&work, &path(4));
    altered[100] ^= 1;
    fs::write(work.path().join(path(4)), altered).unwrap();
    let output = hashes(&work, &["--check"]);
    fails(&output, 1, "");
    let out = String::from_utf8_lossy(&output.stdout);
    for line in [
        "lib/m2.ko: rejected: not signed",
        "lib/m4.ko: rejected: proof does not match",
        "2 bad, 5 good",
    ] {
        assert!(out.contains(line), "no {line:?} in {out}");
    }
}

#[test]
fn other_names_of_a_file_keep_what_they_had() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    let other = work.path().join("other");
    fs::hard_link(work.path().join(path(0)), &other).unwrap();
    let before = fs::read(&other).unwrap();
    good(&hashes(&work, &["--no-sync"]));
    assert!(fs::read(&other).unwrap() == before);
    is_consistent(&work);
}

#[test]
fn a_module_that_may_not_be_written_is_named_and_the_kernel_is_as_it_was() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    let kernel = read(&work, "vmlinux");
    let locked = work.path().join(path(1));
    let mut permissions = fs::metadata(&locked).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&locked, permissions.clone()).unwrap();
    for more in [&[][..], &["--no-sync"]] {
        let output = hashes(&work, more);
        fails(
            &output,
            1,
            "lib/m1.ko: cannot write, nothing was changed: write-protected",
        );
        fails(
            &output,
            1,
            "1 modules have no proof, and vmlinux is as it was",
        );
        assert!(read(&work, "vmlinux") == kernel);
    }
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    fs::set_permissions(&locked, permissions).unwrap();
    good(&hashes(&work, &[]));
    is_consistent(&work);
}

/// Kills it at many moments: what is left is taken up by the next run.
#[test]
fn a_kill_leaves_what_the_next_run_can_go_on_with() {
    const COUNT: usize = 100;
    let work = tempfile::tempdir().unwrap();
    build(work.path(), COUNT);
    let run = |more: &[&str]| {
        Command::new(MODSIG)
            .args(HASHES)
            .args(more)
            .current_dir(work.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let start = Instant::now();
    assert!(run(&["--no-sync"]).wait().unwrap().success());
    let usual = start.elapsed().max(Duration::from_millis(20));
    const KILLS: u32 = 20;
    for kill in 0..KILLS {
        let more: &[&str] = match kill % 2 {
            0 => &["--no-sync"],
            _ => &["--stripped-by", "true", "--no-sync"],
        };
        rebuild(&work, kill as usize, "other");
        let mut child = run(more);
        thread::sleep(usual * kill / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();
        good(&hashes(&work, more));
        good(&hashes(&work, &["--check"]));
    }
}

/// Modules that end anywhere on a page, so that the proof is on one or on two, cut anywhere.
#[test]
fn proofs_on_two_pages_are_written_so_that_the_next_run_can_go_on_from_half_of_it() {
    const PAGE: usize = 4096;
    const TRAILER: usize = trailer::SIZE + trailer::MARKER.len();
    let work = tempfile::tempdir().unwrap();
    build(work.path(), MODULES);
    // With 3 levels.
    let end = 4 + 3 * 32 + TRAILER;
    let behind_page = [0, 1, TRAILER - 1, TRAILER, TRAILER + 1, end - 1, end];
    for (number, behind) in behind_page.into_iter().enumerate() {
        let mut module = read(&work, &path(number));
        let size = module.len().next_multiple_of(PAGE) + PAGE + behind - end;
        module.resize(size, 7);
        fs::write(work.path().join(path(number)), module).unwrap();
    }
    let inodes = || {
        (0..MODULES)
            .map(|number| fs::metadata(work.path().join(path(number))).unwrap().ino())
            .collect::<Vec<_>>()
    };
    let before = inodes();
    good(&hashes(&work, &["--no-sync"]));
    is_consistent(&work);
    let kept: Vec<bool> = before.iter().zip(inodes()).map(|(&b, n)| b == n).collect();
    // One page holds all of it; or the second has a whole trailer.
    assert_eq!(kept, [true, false, false, true, true, true, true]);

    // Killed between the two pages.
    for number in [3, 4, 5] {
        let whole = read(&work, &path(number));
        let mut half = whole.clone();
        half[whole.len() - end..whole.len() - behind_page[number]].fill(0);
        fs::write(work.path().join(path(number)), half).unwrap();
        good(&hashes(&work, &["--no-sync"]));
        assert!(read(&work, &path(number)) == whole, "{number}");
    }
    is_consistent(&work);
}

#[test]
fn the_proof_is_shown_and_explained() {
    let work = finished(&[]);
    let shown = modsig(&work, &["inspect", &path(5)]);
    says(
        &shown,
        "proof of 100 bytes: position 5 of a tree of 3 levels",
    );
    says(
        &modsig(&work, &["verify", "--kernel", "vmlinux", &path(5)]),
        "good, by its hash",
    );
    let why = |work: &TempDir| {
        let output = modsig(work, &["why", "-v", "--kernel", "vmlinux", &path(5)]);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = why(&work);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("a module of this kernel's own build"),
        "{text}"
    );
    says(
        &modsig(&work, &["certs", "vmlinux"]),
        "modules of its build are let in by their hashes, others by keys",
    );

    rebuild(&work, 0, "other");
    good(&hashes(&work, &["--no-sync"]));
    let other = finished(&[]);
    fs::copy(other.path().join("vmlinux"), work.path().join("vmlinux")).unwrap();
    let (code, text) = why(&work);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("kernel and modules are of two builds"),
        "{text}"
    );

    good(&modsig(&work, &["strip", &path(5)]));
    assert!(read(&work, &path(5)) == strip(&read(&other, &path(5))).0);
    fails(&modsig(&work, &["inspect", &path(5)]), 1, "");
}

#[test]
fn json_has_what_the_text_has() {
    let work = finished(&[]);
    let output = hashes(&work, &["--json"]);
    good(&output);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["modules"], &json["hashed"]), (&7.into(), &0.into()));
    assert_eq!(
        (&json["levels"], &json["written"]),
        (&3.into(), &false.into())
    );
    let root = json["root"].as_str().unwrap();
    says(&modsig(&work, &["certs", "vmlinux"]), root);
    let output = hashes(&work, &["--check", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["counts"]["good"], 7);
    assert!(Path::new(json["modules"][3]["path"].as_str().unwrap()).ends_with("lib/m3.ko"));
}

/// Writes other bytes over those that are found in vmlinux, once.
fn patch(work: &TempDir, old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let mut vmlinux = read(work, "vmlinux");
    let at = vmlinux
        .windows(old.len())
        .position(|window| window == old)
        .unwrap();
    vmlinux[at..at + new.len()].copy_from_slice(new);
    fs::write(work.path().join("vmlinux"), vmlinux).unwrap();
}

#[test]
fn check_goes_by_hashes_alone_and_by_what_is_refused() {
    let work = finished(&[]);
    let keys = script("build/keys", &[]);
    let [key, cert] = ["key", "cert"].map(|kind| keys.join(format!("rsa2048.{kind}.pem")));
    let [key, cert] = [&key, &cert].map(|path| path.to_str().unwrap());
    let sign = ["sign", "--key", key, "--cert", cert, &path(3)];
    good(&modsig(&work, &sign));
    good(&modsig(&work, &["verify", "--kernel", "vmlinux", &path(3)]));
    let output = hashes(&work, &["--check"]);
    fails(&output, 1, "");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("lib/m3.ko: rejected"), "{out}");

    let work = finished(&[]);
    let refused = image::read(&work.path().join("vmlinux")).unwrap().blacklist;
    let digest = refused.iter().find_map(|hash| match hash {
        image::Hash::File(digest) => Some(digest.clone()),
        image::Hash::Certificate(_) => None,
    });
    let hex = |octets: &[u8]| -> String { octets.iter().map(|o| format!("{o:02x}")).collect() };
    let other = openssl::sha::sha256(&read(&work, &path(2)));
    patch(
        &work,
        hex(&digest.unwrap()).as_bytes(),
        hex(&other).as_bytes(),
    );
    let output = hashes(&work, &["--check"]);
    fails(&output, 1, "");
    let out = String::from_utf8_lossy(&output.stdout);
    let line = "lib/m2.ko: rejected: the file's hash is blacklisted";
    assert!(out.contains(line) && out.contains("6 good"), "{out}");
}

#[test]
fn a_kernel_says_itself_whether_it_goes_by_keys_as_well() {
    let work = finished(&[]);
    let built = kernel("6.12", "x86_64", "hashes-only");
    let keyless = built.join("kernel");
    let keyless = keyless.to_str().unwrap();
    says(
        &modsig(&work, &["certs", keyless]),
        "only modules of its build are let in",
    );
    let [key, cert] = ["k.pem", "c.pem"];
    good(&modsig(
        &work,
        &[
            "keygen",
            "--algorithm",
            "p256",
            "--key",
            key,
            "--cert",
            cert,
        ],
    ));
    let module = built.join("modules/test_module.ko");
    fs::copy(module, work.path().join("own.ko")).unwrap();
    says(
        &modsig(&work, &["verify", "--kernel", keyless, "own.ko"]),
        "good, by its hash",
    );
    good(&modsig(
        &work,
        &["sign", "--key", key, "--cert", cert, "own.ko"],
    ));
    let output = modsig(
        &work,
        &["verify", "--kernel", keyless, "--cert", cert, "own.ko"],
    );
    fails(&output, 1, "");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        out.contains("signatures of type 2 are not supported"),
        "{out}"
    );
}

#[test]
fn a_section_of_another_kind_is_left_alone() {
    let work = tempfile::tempdir().unwrap();
    build(work.path(), 1);
    patch(&work, &modsig::verify::merkle::MARK, b"another: 16 byte");
    refuses(
        &work,
        &[],
        "vmlinux: its section .module_hashes is not one that this modsig knows",
    );
    refuses(
        &work,
        &["--check"],
        "vmlinux: a kernel that does not know modules by their hashes",
    );
}
