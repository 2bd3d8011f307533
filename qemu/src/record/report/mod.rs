// SPDX-License-Identifier: MIT OR Apache-2.0

//! The page that `make report` makes of what the last runs left in `build`.
//!
//! It is one file without scripts and without anything from elsewhere, and says so to the browser
//! (Content-Security-Policy). Whatever is put into it is escaped by [`maud`]; only the style sheet
//! is not.

mod bench;
mod cases;
mod inputs;
mod missing;
mod outcomes;
mod sizes;
mod steps;
mod summary;
mod words;

use maud::{html, PreEscaped, DOCTYPE};

pub use self::inputs::Inputs;

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
                    p { "Written " (words::time(&inputs.now.when)) ", when the tree was at " code { (commit) } "." }
                    nav aria-label="Parts of this page" {
                        a href="#summary" { "Summary" } " "
                        a href="#missing" { "What is missing" } " "
                        a href="#steps" { "Steps" } " "
                        a href="#cases" { "Cases" } " "
                        a href="#outcomes" { "Scenarios, comparisons, instruments" } " "
                        a href="#bench" { "Bench" } " "
                        a href="#sizes" { "Sizes" }
                    }
                }
                main {
                    (summary::summary(inputs))
                    (missing::missing(inputs))
                    (steps::table(&inputs.steps, &inputs.now))
                    (cases::tables(inputs))
                    (outcomes::table(inputs))
                    (bench::tables(inputs.bench.as_ref(), &inputs.now))
                    (sizes::sizes(inputs))
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use modsig_testing::results::{Goal, Measured, Row, Table};
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
            "kind": text, "series": text, "arch": text, "name": text, "title": text,
            "good": false, "said": text, "details": [text], "seconds": 1.5, "when": text,
        });
        save(build, "scenario-a.json", &scenario);
        save(build, "bench.json", &bench(text));
        fs::write(build.join("cases-x.json"), "{").unwrap();
        let failed = json!({
            "step": text, "outcome": text, "seconds": 1.5, "when": text, "commit": text, "run": text,
        });
        fs::write(build.join("steps.jsonl"), format!("{failed}\n{{")).unwrap();
    }

    /// With each part that there is.
    fn bench(text: &str) -> serde_json::Value {
        let row = |numbers: &[f64], ratio: Option<f64>, goal: Option<(f64, bool)>| Row {
            what: text.to_owned(),
            numbers: numbers.to_vec(),
            ratio,
            goal: goal.map(|(at, reached)| Goal {
                words: text.to_owned(),
                at,
                reached,
            }),
        };
        let measured = |rows: Vec<Row>| Measured {
            note: text.to_owned(),
            tables: vec![Table {
                rows,
                ..Table::new(text, &[text, text], text)
            }],
            more: json!({ "seconds": [1] }),
        };
        json!({
            "host": { "signing": measured(vec![row(&[1.5, 1.25], Some(1.625), Some((1.15, false)))]) },
            "guest": { "6.12 x86_64": measured(vec![
                row(&[20000.0, 8000.0], Some(0.4), Some((0.5, true))),
                row(&[0.0, -12.0], None, None),
            ]) },
            "guest-hashes": { "6.12 x86_64": measured(vec![
                row(&[975366.0, 5110091.0], Some(5.239), None),
            ]) },
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
            "Nothing has been run.",
            "<li>No steps have been run: <code>make test</code></li>",
            "No cases have been run",
            "<li>No bench has run: <code>make bench</code></li>",
            "<p>No bench has run: <code>make bench</code></p>",
            "None have been run: <code>make demo SCENARIO=all</code>",
            "<code>make compare ARCH=arm64 KERNEL=7.3</code>",
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
            &json!({ "guest": { "6.12 arm64": { "tables": [] } } }),
        );
        let mixed = json!({
            "kind": "scenario", "series": "6.12", "arch": "x86_64", "name": "mixed", "title": "",
            "good": true, "said": "1 steps", "details": [], "seconds": 1.0, "when": "", "commit": null,
        });
        save(work.path(), "scenario-mixed.json", &mixed);
        let page = made_of(work.path());
        at(
            &page,
            "Linux 6.12, x86_64: scenarios that have not been run: administrator, developer, distribution, kbuild-key, one-time-key, release: ",
        );

        at(&page, "The bench signing has not run on the host");
        at(&page, "<code>make bench ARCH=arm64 KERNEL=6.12</code>");
        at(
            &page,
            "All as expected: 1 insertions, 0 host verdicts, 0 sysfs reads; 1 other runs.",
        );
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
        at(
            &page,
            "<strong>2 not as expected</strong>, of: 3 insertions, 1 host verdicts, 0 sysfs reads.",
        );
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
            "<strong>1 not as expected</strong>, of: 2 insertions",
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
    fn steps_and_other_runs_count() {
        let work = tempfile::tempdir().unwrap();
        let line = |step: &str, outcome: &str, seconds: f64| {
            let line = json!({
                "step": step, "outcome": outcome, "seconds": seconds, "when": "2026-11-26T12:00:00Z",
                "commit": "0123456", "run": "1",
            });
            format!("{line}\n")
        };
        let save_steps = |lines: &[String]| {
            fs::write(work.path().join("steps.jsonl"), lines.concat()).unwrap();
        };
        save_steps(&[
            line("clippy", "failed", 1.0),
            line("boots", "passed", 60.5),
            line("clippy", "unchanged", 0.0),
            line("deb", "left", 0.5),
        ]);
        let compare = json!({
            "kind": "compare", "series": "6.12", "arch": "arm64", "name": "", "title": "",
            "good": true, "said": "cases=1", "details": [], "seconds": 1.0, "when": "", "commit": null,
        });
        save(work.path(), "compare-6.12-arm64.json", &compare);
        // The last line of each counts.
        let total = "3 steps: 1 passed, 1 unchanged since they passed, 1 left, 0 failed";
        let page = made_of(work.path());
        at(&page, &format!("All as expected: {total}; 1 other runs."));
        at(&page, &format!("<p>{total}; 1 minutes"));
        at(&page, "ok: cases=1, 1 s");
        assert!(!page.contains("make compare ARCH=arm64 KERNEL=6.12"));

        let mut weaker = compare.clone();
        weaker["good"] = false.into();
        weaker["details"] = json!(["weaker: a case"]);
        save(work.path(), "compare-6.12-arm64.json", &weaker);
        // Whatever it is that came of one, unless it is known to be good.
        for outcome in ["failed", "killed"] {
            save_steps(&[
                line("clippy", "passed", 1.0),
                line("boots", outcome, 1.0),
                "{\"step\":\"bo".to_owned(),
            ]);
            let page = made_of(work.path());
            at(&page, "<strong>3 not as expected</strong>");
            let unreadable = at(&page, "steps.jsonl, line 3");
            let step = at(&page, "<code>build/steps/boots.log</code>");
            let details = at(&page, "<pre>weaker: a case\n</pre>");
            let missing = at(&page, "id=\"missing\"");
            assert!(unreadable < step && step < details && details < missing);
            // What failed first.
            let steps = &page[at(&page, "id=\"steps\"")..];
            assert!(at(steps, ">boots<") < at(steps, ">clippy<"));
        }
    }

    #[test]
    fn tables_of_ratios_have_words_and_bars() {
        let work = tempfile::tempdir().unwrap();
        save(work.path(), "bench.json", &bench("text"));
        let page = made_of(work.path());
        assert_eq!(page.matches("<table class=\"ratios\"").count(), 3);
        // One has no ratio.
        assert_eq!(page.matches("<div class=\"bar\"").count(), 3);
        for number in ["1.625", "0.400", "5.239", "1.500"] {
            at(&page, &format!("<td class=\"number\">{number}</td>"));
        }
        at(&page, "<td class=\"number\">20,000</td>");
        at(&page, "<td class=\"number\">-12</td>");
        at(&page, "text: <span class=\"mark bad\">MISSED</span>");
        at(&page, "text: met");
        assert_eq!(page.matches("<div class=\"goal\"").count(), 2);
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
        at(&page, "8,280 insertions");
        assert!(page.len() < 4_000_000, "{}", page.len());
    }
}
