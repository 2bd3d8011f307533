// SPDX-License-Identifier: MIT OR Apache-2.0

//! The steps of `make test`, as `scripts/step` notes them: of each the last time.

use maud::{html, Markup};
use modsig_testing::results::Stamp;
use serde::Deserialize;

use super::words::{scrolled, sources, time};

/// A line of `build/steps.jsonl`.
#[derive(Clone, Deserialize)]
pub(super) struct Step {
    step: String,
    /// `passed`, `failed`, `unchanged` or `left`.
    outcome: String,
    seconds: f64,
    #[serde(flatten)]
    stamp: Stamp,
}

impl Step {
    fn failed(&self) -> bool {
        !["passed", "unchanged", "left"].contains(&&*self.outcome)
    }
}

/// Of each step the last line; those that failed first, and then in the order in which they ended. A
/// line that cannot be read is told by its number.
pub(super) fn read(text: &str) -> (Vec<Step>, Vec<String>) {
    let (mut steps, mut unreadable) = (Vec::<Step>::new(), vec![]);
    for (index, line) in text.lines().enumerate() {
        match serde_json::from_str::<Step>(line) {
            Ok(step) => {
                steps.retain(|one| one.step != step.step);
                steps.push(step);
            }
            Err(error) => unreadable.push(format!("line {}: {error}", index + 1)),
        }
    }
    steps.sort_by_key(|step| !step.failed());
    (steps, unreadable)
}

/// Those that have failed.
pub(super) fn failures(steps: &[Step]) -> Vec<Markup> {
    let failed = steps.iter().filter(|step| step.failed());
    let failure = |step: &Step| {
        html! {
            div.failure { p {
                span.mark.bad { "FAIL" } " step " strong { (step.step) } ": "
                code { "build/steps/" (step.step) ".log" }
            } }
        }
    };
    failed.map(failure).collect()
}

/// What they came to.
pub(super) fn total(steps: &[Step]) -> String {
    let count = |outcome: &str| steps.iter().filter(|one| one.outcome == outcome).count();
    format!(
        "{} steps: {} passed, {} unchanged since they passed, {} left, {} failed",
        steps.len(),
        count("passed"),
        count("unchanged"),
        count("left"),
        steps.iter().filter(|step| step.failed()).count()
    )
}

/// All of them.
pub(super) fn table(steps: &[Step], now: &Stamp) -> Markup {
    let seconds: f64 = steps.iter().map(|step| step.seconds).sum();
    html! {
        section #steps {
            h2 { "Steps" }
            @if steps.is_empty() {
                p { "No steps have been run: " code { "make test" } }
            } @else {
                p { (total(steps)) "; " (format!("{:.0}", seconds / 60.0)) " minutes, one after the other." }
                (scrolled("Steps", html! {
                    table {
                        thead { tr {
                            th scope="col" { "step" } th scope="col" { "outcome" }
                            th.number scope="col" { "seconds" } th scope="col" { "ended" }
                            th scope="col" { "sources" }
                        } }
                        tbody { @for step in steps { tr {
                            th scope="row" { (step.step) }
                            td.bad[step.failed()] {
                                @if step.failed() { span.mark.bad { (step.outcome) } } @else { (step.outcome) }
                            }
                            td.number { (format!("{:.1}", step.seconds)) }
                            td { (time(&step.stamp.when)) }
                            td { (sources(Some(&step.stamp), now)) }
                        } } }
                    }
                }))
            }
        }
    }
}
