// SPDX-License-Identifier: GPL-2.0

//! The page that `make report` makes of what the last runs left in `build`.
//!
//! It is one file without scripts and without anything from elsewhere, and says so to the browser
//! (Content-Security-Policy). Whatever is put into it is escaped by [`maud`]; only the style sheet
//! is not.

mod bench;
mod cases;
mod inputs;
mod pages;

use maud::{html, Markup, PreEscaped, DOCTYPE};
use modsig_testing::results::Stamp;

pub use self::inputs::Inputs;
use crate::record::Record;

/// What `make demo` is asked for; a page says which of it has not been run.
const SERIES: [&str; 2] = ["6.12", "7.3"];
const ARCHS: [&str; 2] = ["x86_64", "arm64"];

/// Makes the page.
pub fn page(inputs: &Inputs) -> String {
    let commit = inputs.now.commit.as_deref().unwrap_or("unknown");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { "modsig: the last runs" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    h1 { "modsig: the last runs" }
                    p { "Written " (time(&inputs.now.when)) ", when the tree was at " code { (commit) } "." }
                    nav aria-label="Parts of this page" {
                        a href="#summary" { "Summary" } " "
                        a href="#missing" { "What is missing" } " "
                        a href="#cases" { "Cases" } " "
                        a href="#scenarios" { "Scenarios" } " "
                        a href="#bench" { "Bench" } " "
                        a href="#sizes" { "Sizes" }
                    }
                }
                main {
                    (summary(inputs))
                    (missing(inputs))
                    (cases::tables(inputs))
                    (pages::table(inputs))
                    (bench::charts(inputs))
                    (sizes(inputs))
                }
            }
        }
    };
    page.into_string()
}

/// What runs came to, and everything that is not as expected.
fn summary(inputs: &Inputs) -> Markup {
    let (mut total, mut good) = (0, 0);
    for tallies in inputs.records.iter().map(Record::tallies) {
        let all = tallies.total();
        total += all;
        good += all - tallies.bad();
    }
    let failures = cases::failures(inputs);
    let others = [inputs.troubles(), pages::failures(inputs)].concat();
    html! {
        section #summary {
            h2 { "Summary" }
            @if inputs.records.is_empty() {
                p.verdict { "No cases have been run." }
            } @else if good == total && others.is_empty() {
                p.verdict.good { (grouped(total)) " cases, all as expected." }
            } @else {
                p.verdict.bad {
                    (grouped(total)) " cases, " (grouped(good)) " as expected, "
                    strong { (grouped(total - good)) " not" }
                    @if !others.is_empty() { "; " strong { "and something else is wrong" } }
                    "."
                }
            }
            @if !inputs.records.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Runs" {
                    table {
                        thead { tr {
                            th scope="col" { "Linux" } th scope="col" { "architecture" }
                            th scope="col" { "verifier" } th.number scope="col" { "boots" }
                            th.number scope="col" { "cases" }
                            th.number scope="col" { "as expected" } th.number scope="col" { "not" }
                            th scope="col" { "run" } th scope="col" { "sources" }
                        } }
                        tbody { @for record in &inputs.records { (run(inputs, record)) } }
                    }
                }
                p.note {
                    "A case is counted for each system call or command, and once more where the "
                    "kernel's code was asked on the host, as in the last line of "
                    code { "make demo" } ". Stale: of other sources than are there now. Uncommitted: of changes that git has not, and that may be others by now."
                }
            }
            @if !failures.is_empty() || !others.is_empty() {
                h3 { "Not as expected" }
                @for one in others.iter().chain(&failures) { (one) }
            }
        }
    }
}

/// The row of a run.
fn run(inputs: &Inputs, record: &Record) -> Markup {
    let tallies = record.tallies();
    let (total, bad) = (tallies.total(), tallies.bad());
    html! {
        tr {
            th scope="row" { (record.release.as_ref().unwrap_or(&record.series)) }
            td { (record.arch) }
            td { (verifier(record.c)) }
            td.number {
                (record.boots.len())
                @if record.boots.len() != record.planned.len() {
                    " " span.mark.bad { "of " (record.planned.len()) }
                }
            }
            td.number { (grouped(total)) }
            td.number { (grouped(total - bad)) }
            td.number { @if bad == 0 { "0" } @else { span.mark.bad { "FAIL: " (grouped(bad)) } } }
            td { (time(&record.stamp.when)) }
            td { (sources(Some(&record.stamp), &inputs.now)) }
        }
    }
}

/// What was not run, and what would.
fn missing(inputs: &Inputs) -> Markup {
    let mut lines: Vec<(String, String)> = vec![];
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
            let names = pages::missing(inputs, series, arch);
            if !names.is_empty() {
                let how = format!("make demo SCENARIO=all ARCH={arch} KERNEL={series}");
                let text = format!(
                    "{what}: scenarios that have not been run: {}",
                    names.join(", ")
                );
                lines.push((text, how));
            }
        }
    }
    lines.extend(bench::missing(inputs));
    html! {
        section #missing {
            h2 { "What is missing" }
            @if lines.is_empty() { p { "Nothing." } } @else {
                ul { @for (what, how) in &lines { li { (what) ": " code { (how) } } } }
            }
        }
    }
}

/// How large the kernels are.
fn sizes(inputs: &Inputs) -> Markup {
    let octets = |size: Option<u64>| match size {
        Some(size) => grouped(size as usize),
        None => "unknown".to_owned(),
    };
    let records: Vec<_> = inputs
        .records
        .iter()
        .filter(|record| !record.sizes.is_empty())
        .collect();
    html! {
        section #sizes {
            h2 { "Sizes of the kernels" }
            @if records.is_empty() {
                p { "No kernel has been booted: " code { "make demo" } }
            } @else {
                p.note {
                    "Octets. Text is code and read-only data; data does not count what is zero at first. "
                    "The unmodified kernel has no " code { "modsig.o" } "."
                }
                div.scroll tabindex="0" role="region" aria-label="Sizes of the kernels" {
                    table {
                        thead { tr {
                            th scope="col" { "kernel" } th scope="col" { "flavour" }
                            th.number scope="col" { "boot image" }
                            th.number scope="col" { "vmlinux, text" }
                            th.number scope="col" { "vmlinux, data" }
                            th.number scope="col" { "modsig.o, text" }
                            th scope="col" { "sources" }
                        } }
                        @for record in records { tbody {
                            @for (index, sizes) in record.sizes.iter().enumerate() { tr {
                                @if index == 0 {
                                    th scope="rowgroup" rowspan=(record.sizes.len()) {
                                        (record.series) " " (record.arch)
                                    }
                                }
                                th scope="row" { (sizes.flavour) }
                                td.number { (octets(sizes.image)) }
                                td.number { (octets(sizes.text)) }
                                td.number { (octets(sizes.data)) }
                                td.number {
                                    @if record.c { "none" } @else { (octets(sizes.modsig)) }
                                }
                                @if index == 0 {
                                    td rowspan=(record.sizes.len()) {
                                        (sources(Some(&record.stamp), &inputs.now))
                                    }
                                }
                            } }
                        } }
                    }
                }
            }
        }
    }
}

/// What one calls a verifier.
fn verifier(c: bool) -> &'static str {
    if c {
        "C, unmodified"
    } else {
        "modsig"
    }
}

/// A time, for people as well.
fn time(when: &str) -> Markup {
    let shown = when.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(when) { (shown) } }
}

/// Of which sources something is, marked if these are not the ones that are there now.
fn sources(stamp: Option<&Stamp>, now: &Stamp) -> Markup {
    let commit = stamp.and_then(|stamp| stamp.commit.as_deref());
    let mark = match (commit, now.commit.as_deref()) {
        (None, _) => Some("unknown"),
        (commit, now) if commit != now => Some("stale"),
        (Some(commit), _) if commit.ends_with("-dirty") => Some("uncommitted"),
        _ => None,
    };
    html! {
        @if let Some(commit) = commit { code { (commit) } " " }
        @if let Some(mark) = mark { span.mark.stale { (mark) } }
    }
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::json;

    use super::*;
    use crate::{
        record::{tests::record, Sizes},
        runs::seen::Observation,
    };

    const HOSTILE: &str = "\"'><script>alert(1)</script>&<!--";
    const ESCAPED: &str = "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&lt;!--";

    /// Everything that a page can be made of, with this text wherever there is text.
    fn full(build: &Path, text: &str) {
        let mut bad = Observation::new(text, text, text, "loads");
        bad.log = text.to_owned();
        bad.more = vec![text.to_owned()];
        let mut good = Observation::new(text, text, text, text);
        good.log = format!("{text} more");
        let mut record = record("x86_64", vec![bad, good]);
        record.release = Some(text.to_owned());
        record.error = Some(text.to_owned());
        record.stamp.commit = Some(text.to_owned());
        record.stamp.when = text.to_owned();
        record.sizes = vec![Sizes {
            flavour: text.to_owned(),
            image: Some(1_234_567),
            text: Some(1),
            data: None,
            modsig: None,
        }];
        let boot = &mut record.boots[0];
        for field in [
            &mut boot.name,
            &mut boot.mode,
            &mut boot.table,
            &mut boot.console,
        ] {
            text.clone_into(field);
        }
        record.save(build).unwrap();
        let scenario = json!({
            "series": text, "arch": text, "name": text, "title": text, "steps": 3, "good": false,
            "seconds": 1.5, "when": text,
        });
        save(build, "scenario-a.json", &scenario);
        save(build, "bench.json", &bench(text));
        fs::write(build.join("cases-x.json"), "{").unwrap();
    }

    /// As `host-tools/benches` and `runs/cost/report.rs` write them.
    fn bench(text: &str) -> serde_json::Value {
        json!({
            "host": { "signing": {
                "modules": 4022, "octets": 1, "rounds": 5, "openssl": text, "processor": text,
                "processors": 2, "load": [text, text], "seconds": [], "more": null,
                "ratios": [{
                    "algorithm": text, "what": "a : b", "median": 1.625, "least": 1.5, "cpu": 1.25,
                    "target": "at most 1.15", "at": 1.15, "met": false,
                }],
            } },
            "guest": { "6.12 x86_64": [
                {
                    "group": text, "what": text, "c": 20000.0, "rust": 8000.0, "ratio": 0.4,
                    "goal": "at most half of C", "at": 0.5, "reached": true,
                },
                // From before there were groups and limits.
                { "what": text, "c": 0.0, "rust": -12.0, "ratio": null, "goal": null, "reached": null },
            ] },
            "guest-hashes": { "6.12 x86_64": {
                "whole": [{
                    "size": 16384, "kernels": text, "proof": 975366.0, "rsa4096": 5110091.0,
                    "p384": 28997961.0, "ratio": 5.239,
                    "goal": "RSA at least 6 times that", "at": 6.0, "reached": false,
                }],
                "stages": [{
                    "size": 4194304, "kernel": text, "sha256": 100.0, "rest": 14.0, "blacklist": 0.0,
                    "share": 0.14, "goal": null, "at": null, "reached": null,
                }],
                "appended": 460, "code": { "keys": 41020, "hashes": 21429, "both": 43401 },
            } },
            "measured": { "host": { "signing": { "when": text, "commit": "0123456" } } },
        })
    }

    fn save(build: &Path, name: &str, value: &serde_json::Value) {
        fs::create_dir_all(build).unwrap();
        fs::write(build.join(name), value.to_string()).unwrap();
    }

    fn made_of(build: &Path) -> String {
        let mut inputs = Inputs::read(build).unwrap();
        inputs.now.commit = Some("0123456".to_owned());
        page(&inputs)
    }

    fn at(page: &str, text: &str) -> usize {
        page.find(text)
            .unwrap_or_else(|| panic!("{text:?} is missing"))
    }

    #[test]
    fn whatever_was_logged_is_only_text() {
        let work = tempfile::tempdir().unwrap();
        full(work.path(), HOSTILE);
        let page = made_of(work.path());
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains(HOSTILE));
        assert!(page.matches(ESCAPED).count() > 30);
        // Nor out of an attribute.
        assert!(!page.contains("\"\"'"), "{page}");
        // In a <style> nothing is escaped.
        assert_eq!(page.matches("<style>").count(), 1);
        assert!(!include_str!("style.css").contains('<'));
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        let work = tempfile::tempdir().unwrap();
        full(work.path(), "text");
        let page = made_of(work.path());
        for outside in ["http:", "https:", "src=", "url(", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn what_has_not_been_run_is_said() {
        let work = tempfile::tempdir().unwrap();
        let page = made_of(&work.path().join("none"));
        for said in [
            "No cases have been run.",
            "<li>No bench has run: <code>make bench</code></li>",
            "<p>No bench has run: <code>make bench</code></p>",
            "No scenario has been run: make demo SCENARIO=all",
            "No kernel has been booted",
            "<code>make demo ARCH=arm64 KERNEL=7.3</code>",
            "scenarios that have not been run: administrator, developer, ",
            "<code>make demo SCENARIO=all ARCH=x86_64 KERNEL=6.12</code>",
            "<code>cargo run -p modsig-qemu -- boots --c --arch x86_64 --kernel 6.12</code>",
        ] {
            at(&page, said);
        }

        record(
            "arm64",
            vec![Observation::new("a", "finit", "loads", "loads")],
        )
        .save(work.path())
        .unwrap();
        save(
            work.path(),
            "bench.json",
            &json!({ "guest": { "6.12 arm64": [] } }),
        );
        let mixed = json!({
            "series": "6.12", "arch": "x86_64", "name": "mixed", "title": "", "steps": 1,
            "good": true, "seconds": 1.0, "when": "", "commit": null,
        });
        save(work.path(), "scenario-mixed.json", &mixed);
        let page = made_of(work.path());
        at(
            &page,
            "Linux 6.12, x86_64: scenarios that have not been run: administrator, developer, distribution, kbuild-key, one-time-key: ",
        );

        at(&page, "The bench signing has not run on the host");
        at(&page, "<code>make bench ARCH=arm64 KERNEL=6.12</code>");
        at(&page, "1 cases, all as expected");
        assert!(!page.contains("<code>make demo ARCH=arm64 KERNEL=6.12</code>"));
        assert!(!page.contains("No bench has run"));
    }

    #[test]
    fn what_is_not_as_expected_is_on_top() {
        let work = tempfile::tempdir().unwrap();
        let mut odd = Observation::new("odd", "init", "EPERM", "loads");
        odd.log = "modsig: let in".to_owned();
        odd.more = vec!["modsig: let in".to_owned(), "Hello".to_owned()];
        let on_host = Observation::new("elsewhere", "host", "loads", "EBADMSG");
        let good = Observation::new("odd", "finit", "EPERM", "EPERM");
        let mut record = record(
            "arm64",
            vec![
                Observation::new("a", "finit", "loads", "loads"),
                good,
                odd,
                on_host,
            ],
        );
        record.save(work.path()).unwrap();
        let page = made_of(work.path());
        at(&page, "4 cases, 2 as expected, <strong>2 not</strong>");
        for (case, row) in [("odd", 1), ("elsewhere", 2)] {
            let first = at(
                &page,
                &format!("<a href=\"#6.12-cases.toml-{row}\">{case}</a>"),
            );
            assert!(first < at(&page, "id=\"missing\""));
            // And marked in words where it stands in the table.
            let row = at(&page, &format!("<tbody id=\"6.12-cases.toml-{row}\">"));
            assert!(row > at(&page, "id=\"cases\""));
            let row = &page[row..][..at(&page[row..], "</tbody>")];
            assert!(
                row.contains("<td class=\"bad") && row.contains("FAIL"),
                "{row}"
            );
        }
        assert!(
            at(
                &page,
                "expected <strong>EPERM</strong>, observed <strong>loads</strong>"
            ) < at(&page, "id=\"missing\"")
        );
        at(&page, "<pre>modsig: let in\nHello\n</pre>");

        // A run that came to no end is not a good one, whatever it has seen.
        record.boots[0].observations.truncate(2);
        record.planned.push("lockdown".to_owned());
        record.error = Some("lockdown: a panic".to_owned());
        record.save(work.path()).unwrap();
        let page = made_of(work.path());
        at(
            &page,
            "<strong>0 not</strong>; <strong>and something else is wrong</strong>.",
        );
        assert!(at(&page, "<pre>lockdown: a panic</pre>") < at(&page, "id=\"missing\""));
        at(&page, "1 of 2 boots are missing");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_the_rest_is_shown() {
        let work = tempfile::tempdir().unwrap();
        record(
            "arm64",
            vec![Observation::new("a", "finit", "loads", "loads")],
        )
        .save(work.path())
        .unwrap();
        save(work.path(), "bench.json", &json!({ "guest": 3 }));
        save(work.path(), "scenario-x.json", &json!({ "name": "x" }));
        save(work.path(), "unrelated.json", &json!({}));
        let page = made_of(work.path());
        for name in ["bench.json", "scenario-x.json"] {
            let said = format!(
                "{}: not what a run of this version writes",
                work.path().join(name).display()
            );
            assert!(at(&page, &said) < at(&page, "id=\"missing\""));
        }
        at(&page, "<tbody id=\"6.12-cases.toml-0\">");
        assert!(!page.contains("unrelated"));
    }

    #[test]
    fn sources_that_are_others_now_are_marked() {
        let now = |commit: &str| Stamp {
            when: String::new(),
            commit: Some(commit.to_owned()),
        };
        let mark = |then: Option<&Stamp>, commit| sources(then, &now(commit)).into_string();
        assert_eq!(mark(Some(&now("1")), "1"), "<code>1</code> ");
        assert!(mark(Some(&now("1")), "2").contains("stale"));
        assert!(mark(Some(&now("1-dirty")), "1").contains("stale"));
        assert!(mark(Some(&now("1-dirty")), "1-dirty").contains("uncommitted"));
        assert!(mark(None, "1").contains("unknown"));
    }

    #[test]
    fn charts_have_words_and_tables_have_their_numbers() {
        let work = tempfile::tempdir().unwrap();
        let mut bench = bench("text");
        bench["guest"]["6.12 x86_64"][0]["group"] = "whole finit_module(2), instructions".into();
        save(work.path(), "bench.json", &bench);
        let page = made_of(work.path());
        assert_eq!(page.matches("<svg role=\"img\"").count(), 5);
        assert_eq!(page.matches("<desc ").count(), 5);
        for (number, table) in [
            ("1.625", "1.625"),
            ("0.400", "0.400"),
            ("5.239", "5.239"),
            ("1.140", "1.140"),
        ] {
            at(&page, &format!(">{number}"));
            at(&page, &format!("<td class=\"number\">{table}</td>"));
        }
        at(&page, "<td class=\"number\">20,000</td>");
        at(&page, "<td class=\"number\">-12</td>");
        at(
            &page,
            "at most 1.15: <span class=\"mark bad\">MISSED</span>",
        );
        at(&page, "at most half of C: met");
        assert_eq!(page.matches("<line class=\"goal\"").count(), 3);
        let mut ids: Vec<&str> = page
            .split(" id=\"")
            .skip(1)
            .map(|rest| &rest[..rest.find('"').unwrap()])
            .collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{ids:?}");
    }

    /// As many attempts as `make test` makes, and each with a log line of its own.
    #[test]
    fn a_page_of_all_runs_can_be_sent_around() {
        let work = tempfile::tempdir().unwrap();
        for arch in ["x86_64", "arm64", "riscv64"] {
            let mut all = vec![];
            for at in 0..230 {
                let mut one = Observation::new(
                    &format!("case {at}"),
                    "finit",
                    "EKEYREJECTED",
                    "EKEYREJECTED",
                );
                one.log = format!("modsig: {arch} {at} {}", "x".repeat(200));
                all.push(one);
            }
            let mut record = record(arch, all);
            let boot = record.boots[0].clone();
            for name in 1..12 {
                let mut boot = boot.clone();
                boot.name = format!("boot {name}");
                for attempt in &mut boot.observations {
                    attempt.log.push_str(&boot.name);
                }
                record.boots.push(boot);
            }
            record.save(work.path()).unwrap();
        }
        let page = made_of(work.path());
        at(&page, "8,280 cases");
        assert!(page.len() < 4_000_000, "{}", page.len());
    }
}
