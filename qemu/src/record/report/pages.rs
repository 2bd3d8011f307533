// SPDX-License-Identifier: GPL-2.0

//! Scenarios: what comes of several steps, one after the other.

use maud::{html, Markup};
use modsig_testing::results::Stamp;

use super::{
    inputs::{order, Inputs},
    sources, time,
};
use crate::runs::page::{Outcome, Page};

/// What is said if there are none.
const NONE: &str = "No scenario has been run: make demo SCENARIO=all";

/// Those that are not as expected.
pub(super) fn failures(inputs: &Inputs) -> Vec<Markup> {
    let bad = inputs.scenarios.iter().filter(|outcome| !outcome.good);
    let failure = |outcome: &Outcome| {
        html! {
            div.failure {
                p {
                    span.mark.bad { "FAIL" } " scenario " strong { (outcome.name) } ", Linux "
                    (outcome.series) ", " (outcome.arch) ": " (outcome.title)
                }
            }
        }
    };
    bad.map(failure).collect()
}

/// The names of those that have not been run on a kernel.
pub(super) fn missing(inputs: &Inputs, series: &str, arch: &str) -> Vec<String> {
    let ran = |name: &str| {
        let mut all = inputs.scenarios.iter();
        all.any(|one| (&*one.name, &*one.series, &*one.arch) == (name, series, arch))
    };
    // Without the documentation there is none to be run.
    let all = Page::all().unwrap_or_default().into_iter();
    let names = all.map(|page| page.name);
    names.filter(|name| !ran(name)).collect()
}

/// All of them: a row each, and a column for each kernel.
pub(super) fn table(inputs: &Inputs) -> Markup {
    let all = &inputs.scenarios;
    let mut kernels: Vec<_> = all.iter().map(|one| (&*one.series, &*one.arch)).collect();
    kernels.sort_by_cached_key(|(series, arch)| order(series, arch));
    kernels.dedup();
    let mut names: Vec<_> = all.iter().map(|one| (&*one.name, &*one.title)).collect();
    names.dedup_by_key(|(name, _)| *name);
    let of = |name: &str, kernel: &(&str, &str)| {
        let mut found = all.iter();
        found.find(|one| one.name == name && (&*one.series, &*one.arch) == *kernel)
    };
    html! {
        section #scenarios {
            h2 { "Scenarios" }
            @if all.is_empty() { p { (NONE) } } @else {
                div.scroll tabindex="0" role="region" aria-label="Scenarios" {
                    table {
                        thead { tr {
                            th scope="col" { "scenario" }
                            @for (series, arch) in &kernels { th scope="col" { (series) " " (arch) } }
                        } }
                        tbody { @for (name, title) in &names { tr {
                            th scope="row" { (name) div.note { (title) } }
                            @for kernel in &kernels { (cell(of(name, kernel), &inputs.now)) }
                        } } }
                    }
                }
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
            ", " (outcome.steps) " steps, " (format!("{:.0}", outcome.seconds)) " s"
            div.note { (time(&outcome.stamp.when)) " " (sources(Some(&outcome.stamp), now)) }
        }
    }
}
