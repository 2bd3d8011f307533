// SPDX-License-Identifier: MIT OR Apache-2.0

//! What was not run, and what would.

use maud::{html, Markup};

use super::inputs::Inputs;
use crate::runs::page::Page;

/// What `make demo` is asked for; a page says which of it has not been run.
const SERIES: [&str; 3] = ["6.12", "7.2", "7.3"];
const ARCHS: [&str; 2] = ["x86_64", "arm64"];
/// Kernels that `make test-all` boots with Secure Boot.
const SECURE_BOOT: [(&str, &str); 2] = [("6.12", "x86_64"), ("7.3", "x86_64")];

/// What was not run, and what would.
pub(super) fn missing(inputs: &Inputs) -> Markup {
    let mut lines: Vec<(String, String)> = vec![];
    if inputs.steps.is_empty() {
        lines.push(("No steps have been run".to_owned(), "make test".to_owned()));
    }
    for series in SERIES {
        for arch in ARCHS {
            let ran = |c| {
                let mut records = inputs.records.iter();
                records
                    .any(|record| (&*record.series, &*record.arch, record.c) == (series, arch, c))
            };
            let what = format!("Linux {series}, {arch}");
            if !ran(false) {
                let how = format!("make demo ARCH={arch} KERNEL={series}");
                lines.push((format!("{what}: the cases have not been run"), how));
            }
            if !ran(true) {
                let how = format!(
                    "cargo run -p modsig-qemu -- boots --c --arch {arch} --kernel {series}"
                );
                let text = format!("{what}: the cases have not been run with the C verifier");
                lines.push((text, how));
            }
            let others = others(inputs, series, arch).into_iter();
            lines.extend(others.map(|(text, how)| (format!("{what}: {text}"), how)));
        }
    }
    lines.extend(figures(inputs));
    html! {
        section #missing {
            h2 { "What is missing" }
            @if lines.is_empty() { p { "Nothing." } } @else {
                ul { @for (what, how) in &lines { li { (what) ": " code { (how) } } } }
            }
        }
    }
}

/// Scenarios and comparisons on a kernel.
fn others(inputs: &Inputs, series: &str, arch: &str) -> Vec<(String, String)> {
    let ran = |kind: &str, name: &str| {
        let mut all = inputs.outcomes.iter();
        all.any(|one| {
            (&*one.kind, &*one.name, &*one.series, &*one.arch) == (kind, name, series, arch)
        })
    };
    let mut missing = vec![];
    // Without the documentation there is none to be run.
    let all = Page::all().unwrap_or_default().into_iter();
    let names = all.map(|page| page.name);
    let names: Vec<_> = names.filter(|name| !ran("scenario", name)).collect();
    if !names.is_empty() {
        missing.push((
            format!("scenarios that have not been run: {}", names.join(", ")),
            format!("make demo SCENARIO=all ARCH={arch} KERNEL={series}"),
        ));
    }
    if SECURE_BOOT.contains(&(series, arch)) && !ran("secure-boot", "") {
        missing.push((
            "Secure Boot has not been tried".to_owned(),
            format!("make demo SCENARIO=secure-boot KERNEL={series}"),
        ));
    }
    if !ran("compare", "") {
        missing.push((
            "the verifiers have not been compared with all files".to_owned(),
            format!("make compare ARCH={arch} KERNEL={series}"),
        ));
    }
    missing
}

/// Figures of `make bench`.
fn figures(inputs: &Inputs) -> Vec<(String, String)> {
    let Some(bench) = &inputs.bench else {
        return vec![("No bench has run".to_owned(), "make bench".to_owned())];
    };
    let mut missing = vec![];
    for name in ["signing", "hashes"] {
        if !bench.host.contains_key(name) {
            let what = format!("The bench {name} has not run on the host");
            missing.push((what, "make bench".to_owned()));
        }
    }
    for series in SERIES {
        for arch in ARCHS {
            let kernel = format!("{series} {arch}");
            if !bench.guest.contains_key(&kernel) || !bench.hashes.contains_key(&kernel) {
                let what = format!(
                    "Linux {series}, {arch}: no bench has run in the guest, or not all of it"
                );
                missing.push((what, format!("make bench ARCH={arch} KERNEL={series}")));
            }
        }
    }
    missing
}
