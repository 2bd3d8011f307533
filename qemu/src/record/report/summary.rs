// SPDX-License-Identifier: MIT OR Apache-2.0

//! What all runs came to, and everything that is not as expected.

use maud::{html, Markup};

use super::{
    cases,
    inputs::Inputs,
    outcomes, steps,
    words::{grouped, scrolled, sources, time, verifier},
};
use crate::{record::Record, runs::seen::Tallies};

/// All of it.
pub(super) fn summary(inputs: &Inputs) -> Markup {
    let observations = inputs.records.iter().flat_map(Record::observations);
    let tallies = Tallies::of(observations);
    let failures = [
        inputs.troubles(),
        steps::failures(&inputs.steps),
        outcomes::failures(inputs),
        cases::failures(inputs),
    ]
    .concat();
    let mut seen = vec![];
    if !inputs.steps.is_empty() {
        seen.push(steps::total(&inputs.steps));
    }
    if !inputs.records.is_empty() {
        seen.push(format!(
            "{} insertions, {} host verdicts, {} sysfs reads",
            grouped(tallies.insertions.total),
            grouped(tallies.host.total),
            grouped(tallies.reads.total)
        ));
    }
    if !inputs.outcomes.is_empty() {
        seen.push(format!("{} other runs", inputs.outcomes.len()));
    }
    let seen = seen.join("; ");
    html! {
        section #summary {
            h2 { "Summary" }
            @if !failures.is_empty() {
                p.verdict.bad {
                    strong { (grouped(failures.len())) " not as expected" }
                    @if !seen.is_empty() { ", of: " (seen) } "."
                }
            } @else if seen.is_empty() {
                p.verdict { "Nothing has been run." }
            } @else {
                p.verdict.good { "All as expected: " (seen) "." }
            }
            @if !inputs.records.is_empty() {
                (scrolled("Runs", html! {
                    table {
                        thead { tr {
                            th scope="col" { "Linux" } th scope="col" { "architecture" }
                            th scope="col" { "verifier" } th.number scope="col" { "boots" }
                            th.number scope="col" { "insertions" }
                            th.number scope="col" { "host verdicts" }
                            th.number scope="col" { "sysfs reads" }
                            th.number scope="col" { "not as expected" }
                            th scope="col" { "run" } th scope="col" { "sources" }
                        } }
                        tbody { @for record in &inputs.records { (run(inputs, record)) } }
                    }
                }))
                p.note {
                    "An insertion is a system call or a command that gives a kernel a module, as in the last line of "
                    code { "make demo" } "; a host verdict is what the kernel's code made of the file on the host. "
                    "Stale: of other sources than are there now. Uncommitted: of changes that git has not, and that may be others by now."
                }
            }
            @if !failures.is_empty() {
                h3 { "Not as expected" }
                @for one in &failures { (one) }
            }
        }
    }
}

/// The row of a run.
fn run(inputs: &Inputs, record: &Record) -> Markup {
    let tallies = record.tallies();
    let bad = tallies.bad();
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
            @for tally in [tallies.insertions, tallies.host, tallies.reads] {
                td.number { (grouped(tally.total)) }
            }
            td.number { @if bad == 0 { "0" } @else { span.mark.bad { "FAIL: " (grouped(bad)) } } }
            td { (time(&record.stamp.when)) }
            td { (sources(Some(&record.stamp), &inputs.now)) }
        }
    }
}
