// SPDX-License-Identifier: MIT OR Apache-2.0

//! What programs read of it (Documentation/json.md), dry runs, levels of packing, and what is said of links.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
    process::Output,
};

use modsig_tools::compression::Compression;
use serde_json::{json, Value};

use crate::common::*;

fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let object =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    text.lines().map(object).collect()
}

fn object(output: &Output) -> Value {
    let mut all = objects(output);
    assert_eq!(all.len(), 1, "{output:?}");
    all.remove(0)
}

#[test]
fn each_object_tells_its_schema() {
    let work = set_up("p256");
    let sign = [
        "sign", "--json", "--key", "k.pem", "--cert", "c.pem", "m.ko",
    ];
    assert_eq!(
        object(&modsig(&work, &sign)),
        json!({
            "schema": 1, "counts": { "signed": 1 }, "left": 0, "warnings": [],
            "modules": [{
                "path": "m.ko", "signed": true, "replaced": 0, "file": { "path": "m.ko" },
            }],
        })
    );
    let again = object(&modsig(&work, &sign));
    assert_eq!(again["counts"], json!({ "signed_again": 1 }));
    let verify = ["verify", "--json", "--cert", "c.pem", "m.ko"];
    let verified = object(&modsig(&work, &verify));
    assert_eq!(verified["modules"][0]["good"], true);
    for arguments in [
        &["inspect", "--json", "m.ko"][..],
        &["why", "--json", "--cert", "c.pem", "m.ko"],
        &["strip", "--json", "m.ko"],
    ] {
        assert_eq!(object(&modsig(&work, arguments))["schema"], 1);
    }
}

#[test]
fn what_could_not_be_done_is_an_object_as_well() {
    let work = set_up("p256");
    for arguments in [
        &[
            "sign", "--json", "--key", "none.pem", "--cert", "c.pem", "m.ko",
        ][..],
        &["verify", "--json-lines", "--cert", "none.pem", "m.ko"],
        &["certs", "--json", "none"],
        &["why", "--json", "--cert", "none.pem", "m.ko"],
        &["hashes", "--json", "--modules", "none", "--vmlinux", "none"],
    ] {
        let output = modsig(&work, arguments);
        let error = object(&output);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(error["schema"], 1);
        let text = error["error"].as_str().unwrap();
        fails(&output, 2, text);
        assert!(text.contains("none"), "{text}");
    }
}

#[test]
fn with_json_lines_each_module_has_a_line() {
    let work = set_up("p256");
    fs::copy(work.path().join("m.ko"), work.path().join("n.ko")).unwrap();
    let arguments = [
        "verify",
        "--json-lines",
        "--cert",
        "c.pem",
        "m.ko",
        "none.ko",
        "n.ko",
    ];
    let output = modsig(&work, &arguments);
    assert_eq!(output.status.code(), Some(1));
    let lines = objects(&output);
    let paths: Vec<_> = lines.iter().map(|line| &line["path"]).collect();
    assert_eq!(
        paths,
        ["m.ko", "none.ko", "n.ko"]
            .map(Value::from)
            .iter()
            .chain([&Value::Null])
            .collect::<Vec<_>>()
    );
    assert!(lines.iter().all(|line| line["schema"] == 1), "{lines:?}");
    assert!(lines[1]["error"].is_string());
    assert_eq!(
        lines[3],
        json!({ "schema": 1, "counts": { "failed": 1, "unsigned": 2 }, "left": 0, "warnings": [] })
    );
}

#[test]
fn a_name_that_is_not_utf_8_is_not_lost() {
    let work = set_up("p256");
    let name = OsStr::from_bytes(b"\xff.ko");
    fs::rename(work.path().join("m.ko"), work.path().join(name)).unwrap();
    let report = object(&modsig(&work, &["inspect", "--json", "."]));
    assert_eq!(report["modules"][0]["path"], "./\u{fffd}.ko");
    assert_eq!(report["modules"][0]["path_hex"], "2e2fff2e6b6f");
}

#[test]
fn warnings_are_in_it() {
    let work = set_up("p256");
    good(&run(
        &work,
        "openssl",
        &[
            "req",
            "-new",
            "-x509",
            "-key",
            "k.pem",
            "-subj",
            "/CN=short",
            "-days",
            "1",
            "-addext",
            "keyUsage=keyEncipherment",
            "-out",
            "odd.pem",
        ],
    ));
    let sign = [
        "sign", "--json", "--key", "k.pem", "--cert", "odd.pem", "m.ko",
    ];
    let output = modsig(&work, &sign);
    let warnings = object(&output)["warnings"].clone();
    let warnings = warnings.as_array().unwrap();
    assert!(!warnings.is_empty(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for warning in warnings {
        assert!(said.contains(warning.as_str().unwrap()), "{said}");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let work = set_up("p256");
    fs::copy(work.path().join("m.ko"), work.path().join("signed.ko")).unwrap();
    let options = ["--key", "k.pem", "--cert", "c.pem"];
    let sign = |more: &[&str]| modsig(&work, &[&["sign"], &options[..], more].concat());
    good(&sign(&["signed.ko"]));
    good(&sign(&["--detached", "m.ko"]));
    let before = all_of(&work);

    let dry = sign(&["--dry-run", "m.ko", "signed.ko"]);
    says(&dry, "m.ko: would be signed\n");
    says(
        &dry,
        "signed.ko: would be signed, its old signature replaced\n2 to be signed\n",
    );
    let report = object(&sign(&["--dry-run", "--json", "m.ko"]));
    assert_eq!(report["modules"][0]["signed"], false);
    assert_eq!(report["counts"], json!({ "to_be_signed": 1 }));
    says(
        &sign(&["--dry-run", "--dest-dir", "copies", "m.ko"]),
        "1 to be signed",
    );
    says(
        &sign(&["--dry-run", "--only-missing", "."]),
        "1 signed before, 1 to be signed",
    );
    let strip = modsig(&work, &["strip", "--dry-run", "."]);
    says(&strip, "1 not signed, 1 to be stripped");
    let attach = ["attach", "--dry-run", "--cert", "c.pem", "m.ko"];
    says(
        &modsig(&work, &attach),
        "m.ko: its signature would be attached\n1 to be attached",
    );
    assert_eq!(all_of(&work), before);

    // What could not be done is said as if it had been tried.
    fs::write(work.path().join("no.ko"), "no module").unwrap();
    fails(&sign(&["--dry-run", "no.ko"]), 1, "not an ELF file");
    let attach = ["attach", "--dry-run", "--cert", "c.pem", "signed.ko"];
    fails(&modsig(&work, &attach), 1, "has no signature to attach");
}

#[test]
fn a_level_packs_as_tight_as_it_says() {
    // Machine code, as modules are.
    let content = fs::read(MODSIG).unwrap();
    let content = &content[..600_000];
    for (compression, low, high) in [
        (Compression::Gzip, "1", "9"),
        (Compression::Xz, "0", "9"),
        (Compression::Zstd, "1", "19"),
    ] {
        let work = set_up("p256");
        let mut module = read(&work, "m.ko");
        module.extend(content);
        let name = format!("m.ko.{}", compression.extension());
        fs::write(
            work.path().join(&name),
            compression.pack(&module, None).unwrap(),
        )
        .unwrap();
        let size = |level: &str| {
            let sign = [
                "sign", "--key", "k.pem", "--cert", "c.pem", "--level", level, &name,
            ];
            good(&modsig(&work, &sign));
            let unpacked = run(&work, compression.name(), &["-d", "-c", &name]);
            good(&unpacked);
            assert!(unpacked.stdout.starts_with(&module), "{compression:?}");
            read(&work, &name).len()
        };
        let (large, small) = (size(low), size(high));
        // Signatures are not all of one length.
        assert!(small + 1000 < large, "{compression:?}: {small} and {large}");
        let before = read(&work, &name);
        let strip = modsig(
            &work,
            &[
                "strip",
                "--level",
                if high == "9" { "10" } else { "0" },
                &name,
            ],
        );
        fails(&strip, 1, "give another --level");
        assert_eq!(read(&work, &name), before);
    }
}

#[test]
fn links_that_lead_out_of_the_tree_are_named() {
    let work = set_up("p256");
    let path = |name: &str| work.path().join(name);
    for directory in ["tree", "tree/weak-updates", "other"] {
        fs::create_dir(path(directory)).unwrap();
    }
    fs::copy(path("m.ko"), path("tree/a.ko")).unwrap();
    fs::copy(path("m.ko"), path("other/w.ko")).unwrap();
    symlink("../../other/w.ko", path("tree/weak-updates/w.ko")).unwrap();
    symlink("../a.ko", path("tree/weak-updates/a.ko")).unwrap();
    symlink("nowhere.ko", path("tree/dangling.ko")).unwrap();
    let sign = |paths: &[&str]| {
        let sign = ["sign", "--key", "k.pem", "--cert", "c.pem"];
        let output = modsig(&work, &[&sign[..], paths].concat());
        good(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    let said = sign(&["tree"]);
    let target = path("other/w.ko").canonicalize().unwrap();
    let warning = format!(
        "tree/weak-updates/w.ko: left, since it is a symbolic link to {}",
        target.display()
    );
    assert!(said.contains(&warning), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(read(&work, "other/w.ko"), MODULE);
    // Named as well, it is dealt with.
    assert_eq!(sign(&["tree", "other"]), "");
    assert!(Path::new(&target).metadata().unwrap().len() > MODULE.len() as u64);
}
