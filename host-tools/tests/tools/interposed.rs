// SPDX-License-Identifier: MIT OR Apache-2.0

//! Under fakeroot and pseudo, which make a package's build believe that it is root's: libraries that
//! take system calls for themselves, and have to know of every file.

use std::{fs, os::unix::fs::PermissionsExt, process::Output};

use tempfile::TempDir;

use crate::common::*;

/// A tree of somebody who is not root, with the programs in it.
fn package() -> TempDir {
    let work = set_up("p256");
    for program in [MODSIG, SIGN_FILE] {
        copy_of(program, &work);
    }
    fs::create_dir(work.path().join("state")).unwrap();
    fs::write(work.path().join("script"), "#!/bin/sh\necho hi\n").unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(work.path().join("script"), executable).unwrap();
    if is_root() {
        good(&run(&work, "chown", &["-R", "54322:54322", "."]));
    }
    work
}

/// Runs a script as that somebody, behind the words of `wrapper`.
fn build(work: &TempDir, wrapper: &[&str], script: &str) -> Output {
    let who = [
        "setpriv",
        "--reuid",
        "54322",
        "--regid",
        "54322",
        "--clear-groups",
    ];
    let who = if is_root() { &who[..] } else { &[] };
    let home = format!("HOME={}", work.path().display());
    let state = format!("PSEUDO_LOCALSTATEDIR={}/state", work.path().display());
    let environment = [
        "env",
        &home,
        &state,
        "PSEUDO_PREFIX=/usr",
        "PSEUDO_PASSWD=/",
    ];
    let command = [who, &environment, wrapper, &["bash", "-ec", script]].concat();
    run(work, command[0], &command[1..])
}

/// What a package's build does: owners and modes, signing, and then more files.
fn scripts() -> Vec<(&'static str, String)> {
    let sign = "../modsig sign --key ../k.pem --cert ../c.pem m*.ko";
    let sign_file = "for m in m*.ko; do ../sign-file sha512 ../k.pem ../c.pem $m; done";
    let copies =
        "../modsig sign --key ../k.pem --cert ../c.pem --dest-dir copies m*.ko; mv copies/m*.ko .";
    let strip = format!("{sign}; ../modsig strip m*.ko; {sign}");
    // In place, which is not done where a write would take a set-user-id bit off.
    let in_place = strip.replace(" m*.ko", " --no-sync m*.ko") + "; chmod 4711 m*.ko";
    [
        ("in place", format!("chmod 711 m*.ko; {in_place}")),
        ("modsig sign", sign.to_owned()),
        ("sign-file", sign_file.to_owned()),
        ("strip", strip),
        ("copies", copies.to_owned()),
    ]
    .map(|(what, sign)| {
        let script = format!(
            "rm -rf image; mkdir image; cd image
            for m in 1 2 3 4 5 6; do cp ../m.ko m$m.ko; done
            chown 36:37 m*.ko; chmod 4711 m*.ko
            {sign}
            for f in 1 2 3 4 5 6 7 8; do cp ../script prog$f; : > fresh$f; done
            mkdir d; mv m1.ko d/; mv d/m1.ko .
            stat -c '%n %u:%g %a' * | sort > ../seen
            tar cf - m*.ko prog* fresh* | tar tvnf - --numeric-owner > ../packed"
        );
        (what, script)
    })
    .to_vec()
}

fn is_right(work: &TempDir, what: &str) {
    let seen = String::from_utf8(read(work, "seen")).unwrap();
    for number in 1..=8 {
        for (name, mode) in [("prog", 755), ("fresh", 644)] {
            let line = format!("{name}{number} 0:0 {mode}");
            assert!(
                seen.lines().any(|seen| seen == line),
                "{what}: no {line} in {seen}"
            );
        }
    }
    // A copy is its maker's, and has no set-user-id bit.
    let module = match what {
        "copies" => "0:0 711",
        _ => "36:37 4711",
    };
    for number in 1..=6 {
        let line = format!("m{number}.ko {module}");
        assert!(
            seen.lines().any(|seen| seen == line),
            "{what}: no {line} in {seen}"
        );
    }
    let packed = String::from_utf8(read(work, "packed")).unwrap();
    let is_program = |line: &&str| line.contains("prog");
    assert!(packed
        .lines()
        .filter(is_program)
        .all(|line| line.starts_with("-rwxr-xr-x 0/0")));
    let image = work.path().join("image");
    no_left_overs(&image);
    let verify = ["verify", "--cert", "c.pem", "image"];
    good(&run(work, MODSIG, &verify));
}

#[test]
fn under_fakeroot_files_keep_their_owners_and_others_get_none_of_them() {
    for (what, script) in scripts() {
        let work = package();
        good(&build(&work, &["fakeroot"], &script));
        is_right(&work, what);
    }
}

#[test]
fn under_pseudo_a_build_goes_on() {
    for (what, script) in scripts() {
        let work = package();
        let output = build(&work, &["pseudo"], &script);
        good(&output);
        is_right(&work, what);
        let log = fs::read_to_string(work.path().join("state/pseudo.log")).unwrap_or_default();
        for word in ["mismatch", "abort"] {
            assert!(!log.contains(word), "{what}: {log}");
        }
    }
}

/// The kernel's own, in the same place: what is compared with.
#[test]
fn the_kernels_sign_file_leaves_the_same() {
    let tree = kernel_source("6.12");
    let path = |name: &str| tree.join(name).display().to_string();
    let work = package();
    let include = format!("-I{}", path("tools/include/uapi"));
    let source = path("scripts/sign-file.c");
    let theirs = ["-O2", &include, "-o", "theirs", &source, "-lcrypto"];
    good(&run(&work, "cc", &theirs));
    let ours = scripts();
    let (_, ours) = ours.iter().find(|(what, _)| *what == "sign-file").unwrap();
    // With the owner and mode that modules have: theirs makes them so, whatever they were.
    let ours = &ours.replace("36:37", "0:0").replace("4711", "644");
    for wrapper in ["fakeroot", "pseudo"] {
        let seen = |script: &str| {
            good(&build(&work, &[wrapper], script));
            read(&work, "seen")
        };
        let with_theirs = seen(&ours.replace("../sign-file", "../theirs"));
        let text = |seen: Vec<u8>| String::from_utf8(seen).unwrap();
        assert_eq!(text(seen(ours)), text(with_theirs), "{wrapper}");
    }
}
