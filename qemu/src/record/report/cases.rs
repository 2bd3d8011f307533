// SPDX-License-Identifier: MIT OR Apache-2.0

//! The case tables: what came of each case in each boot.

use std::collections::BTreeMap;

use maud::{html, Markup};

use super::{
    inputs::Inputs,
    words::{scrolled, sources, verifier},
};
use crate::{
    record::Record,
    runs::seen::{Booted, Observation, HOST, TAINTS},
};

/// The boots that one table has columns for: of one series, verifier and file of cases.
struct Table<'a> {
    series: &'a str,
    c: bool,
    file: &'a str,
    /// A run for each architecture, and those of its boots that tried these cases.
    runs: Vec<(&'a Record, Vec<&'a Booted>)>,
    /// The names of all cases, in the order of the file; what only a later run has comes last.
    cases: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn of(inputs: &'a Inputs) -> Vec<Table<'a>> {
        let mut tables: Vec<Table<'a>> = vec![];
        for record in &inputs.records {
            let mut files: Vec<&str> = record.boots.iter().map(|boot| &*boot.table).collect();
            files.sort_unstable();
            files.dedup();
            for file in files {
                let boots = record.boots.iter().filter(|boot| boot.table == file);
                let boots: Vec<_> = boots.collect();
                let (series, c) = (&*record.series, record.c);
                let same = |one: &Table<'_>| (one.series, one.c, one.file) == (series, c, file);
                let at = tables.iter().position(same).unwrap_or_else(|| {
                    tables.push(Table {
                        series,
                        c,
                        file,
                        runs: vec![],
                        cases: vec![],
                    });
                    tables.len() - 1
                });
                let cases = &mut tables[at].cases;
                for attempt in boots.iter().flat_map(|boot| &boot.observations) {
                    if !cases.contains(&&*attempt.case) {
                        cases.push(&attempt.case);
                    }
                }
                tables[at].runs.push((record, boots));
            }
        }
        tables
    }

    fn boots(&self) -> impl Iterator<Item = (&'a Record, &'a Booted)> + '_ {
        let boots = |(record, boots): &'_ (&'a Record, Vec<&'a Booted>)| {
            let record = *record;
            boots.clone().into_iter().map(move |boot| (record, boot))
        };
        self.runs.iter().flat_map(boots)
    }

    /// What a row is called in links.
    fn id(&self, case: &str) -> String {
        let at = self.cases.iter().position(|one| *one == case);
        let verifier = if self.c { "c-" } else { "" };
        format!(
            "{verifier}{}-{}-{}",
            self.series,
            self.file,
            at.unwrap_or_default()
        )
    }
}

/// Everything that was not as expected, in detail.
pub(super) fn failures(inputs: &Inputs) -> Vec<Markup> {
    let mut failures = vec![];
    for table in Table::of(inputs) {
        for (record, boot) in table.boots() {
            for attempt in boot.observations.iter().filter(|attempt| !attempt.ok) {
                failures.push(failure(&table.id(&attempt.case), record, boot, attempt));
            }
        }
    }
    failures
}

fn failure(id: &str, record: &Record, boot: &Booted, attempt: &Observation) -> Markup {
    html! {
        div.failure {
            p {
                span.mark.bad { "FAIL" } " Linux " (record.series) ", " (record.arch) ", "
                (verifier(record.c)) ", " (boot.name) ": "
                a href={ "#" (id) } { (attempt.case) } ", " (attempt.call) ": expected "
                strong { (attempt.expected) } ", observed " strong { (attempt.observed) }
            }
            @if !attempt.log.is_empty() || !attempt.more.is_empty() {
                pre {
                    @if !attempt.log.is_empty() && !attempt.more.contains(&attempt.log) {
                        (attempt.log) "\n"
                    }
                    @for line in &attempt.more { (line) "\n" }
                }
            }
            p.note { "console: " code { (boot.console) } }
        }
    }
}

/// All of them.
pub(super) fn tables(inputs: &Inputs) -> Markup {
    let tables = Table::of(inputs);
    html! {
        section #cases {
            h2 { "Cases" }
            @if tables.is_empty() {
                p { "No cases have been run: " code { "make demo" } }
            } @else {
                p.legend {
                    span.key.loads { "loads" } " "
                    span.key.taints { "loads, taints" } " "
                    span.key.refused { "EPERM" } " refused, with that error number "
                    span.key.bad { span.mark.bad { "FAIL" } " not as expected" }
                }
                p.note {
                    "What each boot made of each case, by finit_module(2), init_module(2) or kmod. "
                    "Where the same came of all of them it stands once."
                }
                @for table in &tables { (one(inputs, table)) }
            }
        }
    }
}

fn one(inputs: &Inputs, table: &Table<'_>) -> Markup {
    let title = format!(
        "Linux {}, {}: {}",
        table.series,
        verifier(table.c),
        table.file
    );
    let columns = table.boots().count();
    html! {
        h3 { (title) }
        p.note { (table.cases.len()) " rows" }
        (scrolled(&title, html! {
            table.cases {
                thead {
                    tr {
                        th rowspan="2" scope="col" { "case" }
                        @for (record, boots) in &table.runs {
                            th.first scope="colgroup" colspan=(boots.len()) {
                                (record.arch)
                                div.note { (sources(Some(&record.stamp), &inputs.now)) }
                            }
                        }
                    }
                    tr {
                        @for (_, boots) in &table.runs {
                            @for (index, boot) in boots.iter().enumerate() {
                                th.first[index == 0] scope="col" {
                                    (breakable(&boot.name))
                                    @if !boot.name.ends_with(&boot.mode) {
                                        div.note { (boot.mode) }
                                    }
                                }
                            }
                        }
                    }
                }
                @for case in &table.cases {
                    @let logs = logs(table, case);
                    tbody id=(table.id(case)) {
                        tr {
                            th scope="rowgroup" rowspan=(1 + usize::from(!logs.is_empty())) { (case) }
                            @for (_, boots) in &table.runs {
                                @for (index, boot) in boots.iter().enumerate() {
                                    (cell(boot, case, index == 0))
                                }
                            }
                        }
                        @if !logs.is_empty() {
                            tr.log { td colspan=(columns) { details {
                                summary { "kernel log" }
                                dl {
                                    @for (line, boots) in &logs {
                                        dt { (boots) }
                                        dd { (line) }
                                    }
                                }
                            } } }
                        }
                    }
                }
            }
        }))
    }
}

/// What came of a case in a boot.
fn cell(boot: &Booted, case: &str, first: bool) -> Markup {
    let attempts = boot
        .observations
        .iter()
        .filter(|attempt| attempt.case == case);
    let attempts: Vec<_> = attempts.collect();
    let bad: Vec<_> = attempts.iter().filter(|attempt| !attempt.ok).collect();
    let mut observed: Vec<&str> = vec![];
    for attempt in attempts.iter().filter(|attempt| attempt.call != HOST) {
        if !observed.contains(&&*attempt.observed) {
            observed.push(&attempt.observed);
        }
    }
    let class = match observed[..] {
        _ if !bad.is_empty() => "bad",
        [] => "none",
        ["loads"] => "loads",
        [outcome] if outcome.starts_with(TAINTS) => "taints",
        // Not an outcome of inserting something.
        ["YY" | "NN"] => "state",
        _ => "refused",
    };
    html! {
        td.(class).first[first] {
            @if attempts.is_empty() { "not tried" }
            @if bad.is_empty() {
                @for (index, one) in observed.iter().enumerate() {
                    @if index > 0 { "; " }
                    (breakable(one))
                }
            }
            @for one in bad {
                div {
                    span.mark.bad { "FAIL" } " " (one.call) ": " (breakable(&one.observed)) ", not "
                    (breakable(&one.expected))
                }
            }
        }
    }
}

/// The kernel's log lines of a case, and in which boots it logged them.
fn logs<'a>(table: &Table<'a>, case: &str) -> Vec<(&'a str, String)> {
    let mut lines: Vec<(&str, BTreeMap<usize, Vec<&str>>)> = vec![];
    for (run, (_, boots)) in table.runs.iter().enumerate() {
        for boot in boots {
            let of_case = |attempt: &&Observation| attempt.case == case && !attempt.log.is_empty();
            for attempt in boot.observations.iter().filter(of_case) {
                let known = lines.iter().position(|(line, _)| *line == attempt.log);
                let at = known.unwrap_or_else(|| {
                    lines.push((&attempt.log, BTreeMap::new()));
                    lines.len() - 1
                });
                let boots = lines[at].1.entry(run).or_default();
                if !boots.contains(&&*boot.name) {
                    boots.push(&boot.name);
                }
            }
        }
    }
    let named = |boots: BTreeMap<usize, Vec<&str>>| {
        let run = |(run, boots): (usize, Vec<&str>)| {
            format!("{}: {}", table.runs[run].0.arch, boots.join(", "))
        };
        boots.into_iter().map(run).collect::<Vec<_>>().join("; ")
    };
    lines
        .into_iter()
        .map(|(line, boots)| (line, named(boots)))
        .collect()
}

/// A word that may be broken, in a narrow column, where a reader would.
fn breakable(word: &str) -> Markup {
    let parts = ["EKEY", "sig_"];
    let at = parts
        .iter()
        .find_map(|part| Some(word.find(part)? + part.len()));
    let (head, tail) = word.split_at(at.unwrap_or(word.len()));
    html! { (head) @if !tail.is_empty() { wbr; (tail) } }
}
