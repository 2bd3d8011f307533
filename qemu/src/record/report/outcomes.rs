// SPDX-License-Identifier: MIT OR Apache-2.0

//! What came of runs that are one thing each: scenarios, comparisons, instruments.

use maud::{html, Markup};
use modsig_testing::results::Stamp;

use super::{
    inputs::{order, Inputs},
    words::{scrolled, sources, time},
};
use crate::runs::outcome::Outcome;

/// What a run of any kind is called.
fn named(outcome: &Outcome) -> String {
    format!("{} {}", outcome.kind, outcome.name)
        .trim_end()
        .to_owned()
}

/// Those that are not as expected.
pub(super) fn failures(inputs: &Inputs) -> Vec<Markup> {
    let bad = inputs.outcomes.iter().filter(|outcome| !outcome.good);
    let failure = |outcome: &Outcome| {
        html! {
            div.failure {
                p {
                    span.mark.bad { "FAIL" } " " strong { (named(outcome)) } ", Linux "
                    (outcome.series) ", " (outcome.arch) ": " (outcome.title)
                }
                @if !outcome.details.is_empty() {
                    pre { @for line in &outcome.details { (line) "\n" } }
                }
            }
        }
    };
    bad.map(failure).collect()
}

/// All of them: a row each, and a column for each kernel.
pub(super) fn table(inputs: &Inputs) -> Markup {
    let all = &inputs.outcomes;
    let mut kernels: Vec<_> = all.iter().map(|one| (&*one.series, &*one.arch)).collect();
    kernels.sort_by_cached_key(|(series, arch)| order(series, arch));
    kernels.dedup();
    let mut rows: Vec<&Outcome> = all.iter().collect();
    rows.dedup_by_key(|one| (&one.kind, &one.name));
    let of = |row: &Outcome, kernel: &(&str, &str)| {
        let mut found = all.iter();
        found.find(|one| {
            (&one.kind, &one.name) == (&row.kind, &row.name)
                && (&*one.series, &*one.arch) == *kernel
        })
    };
    html! {
        section #outcomes {
            h2 { "Scenarios, comparisons, instruments" }
            @if all.is_empty() {
                p {
                    "None have been run: " code { "make demo SCENARIO=all" } ", " code { "make compare" }
                    ", " code { "make instruments" }
                }
            } @else {
                (scrolled("Scenarios, comparisons, instruments", html! {
                    table {
                        thead { tr {
                            th scope="col" { "what" }
                            @for (series, arch) in &kernels { th scope="col" { (series) " " (arch) } }
                        } }
                        tbody { @for row in &rows { tr {
                            th scope="row" { (named(row)) div.note { (row.title) } }
                            @for kernel in &kernels { (cell(of(row, kernel), &inputs.now)) }
                        } } }
                    }
                }))
            }
        }
    }
}

fn cell(outcome: Option<&Outcome>, now: &Stamp) -> Markup {
    let Some(outcome) = outcome else {
        return html! { td.none { "not run" } };
    };
    html! {
        td.bad[!outcome.good] {
            @if outcome.good { "ok" } @else { span.mark.bad { "FAIL" } }
            ": " (outcome.said) ", " (format!("{:.0}", outcome.seconds)) " s"
            div.note { (time(&outcome.stamp.when)) " " (sources(Some(&outcome.stamp), now)) }
        }
    }
}
