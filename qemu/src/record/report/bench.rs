// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `make bench` has measured: ratios, and what they are of.

use std::collections::BTreeMap;

use maud::{html, Markup};
use modsig_testing::results::{Measured, Row, Stamp, Table};
use serde::Deserialize;

use super::words::{grouped, scrolled, sources, time};

/// `build/bench.json`
#[derive(Deserialize)]
pub(super) struct Bench {
    /// Of the host tool, by benchmark.
    #[serde(default)]
    pub(super) host: BTreeMap<String, Measured>,
    /// Of modsig and C in the guest, by series and architecture.
    #[serde(default)]
    pub(super) guest: BTreeMap<String, Measured>,
    /// Of hashes in the guest, likewise.
    #[serde(default, rename = "guest-hashes")]
    pub(super) hashes: BTreeMap<String, Measured>,
    /// Of releases in the guest, likewise.
    #[serde(default, rename = "guest-releases")]
    pub(super) releases: BTreeMap<String, Measured>,
    /// When each of these was measured.
    #[serde(default)]
    measured: BTreeMap<String, BTreeMap<String, Stamp>>,
}

/// All of it.
pub(super) fn tables(bench: Option<&Bench>, now: &Stamp) -> Markup {
    html! {
        section #bench {
            h2 { "Bench" }
            @if let Some(bench) = bench {
                p.note {
                    "Bars begin in the middle, where both are equal; half as much and twice as much are equally long. "
                    "A dashed mark is a goal."
                }
                @for (part, title, all) in [
                    ("host", "On the host", &bench.host),
                    ("guest", "In the guest, modsig and C: Linux", &bench.guest),
                    ("guest-hashes", "In the guest, module hashes: Linux", &bench.hashes),
                    ("guest-releases", "In the guest, releases: Linux", &bench.releases),
                ] {
                    @for (name, measured) in all {
                        @let title = format!("{title} {name}");
                        @let stamp = bench.measured.get(part).and_then(|part| part.get(name));
                        h3 { (title) }
                        p.note {
                            @if let Some(stamp) = stamp { "Measured " (time(&stamp.when)) " " }
                            (sources(stamp, now))
                        }
                        @if !measured.note.is_empty() { p.note { (measured.note) } }
                        @for table in &measured.tables { (draw(&title, table)) }
                    }
                }
            } @else {
                p { "No bench has run: " code { "make bench" } }
            }
        }
    }
}

/// A number of something, or a ratio. Differences of some that should be equal may be less than
/// none.
fn number(number: f64) -> String {
    if number.fract() != 0.0 {
        return shown(number);
    }
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.abs() as usize))
}

/// A ratio.
fn shown(ratio: f64) -> String {
    match ratio {
        ratio if ratio.abs() < 10.0 => format!("{ratio:.3}"),
        ratio => format!("{ratio:.1}"),
    }
}

/// Ratios as lengths: as much as the longest of them takes half of a cell, on either side of its
/// middle, where they are 1.
struct Scale(f64);

impl Scale {
    fn of(rows: &[Row]) -> Self {
        let all = rows.iter().flat_map(|row| {
            let goal = row.goal.as_ref().map(|goal| goal.at);
            [row.ratio, goal].into_iter().flatten()
        });
        let lengths = all
            .filter(|&ratio| ratio > 0.0)
            .map(|ratio| ratio.ln().abs());
        Scale(lengths.fold(2_f64.ln(), f64::max))
    }

    /// Where a ratio is, in percent of the cell.
    fn at(&self, ratio: f64) -> f64 {
        50.0 + 50.0 * ratio.ln() / self.0
    }

    fn bar(&self, ratio: f64) -> Markup {
        let at = self.at(ratio);
        let (left, width) = (at.min(50.0), (at - 50.0).abs());
        html! { div.bar style=(format!("margin-left:{left:.1}%;width:{width:.1}%")) {} }
    }
}

fn draw(title: &str, table: &Table) -> Markup {
    let scale = Scale::of(&table.rows);
    html! {
        h4 { (table.title) }
        (scrolled(&format!("{title}: {}", table.title), html! {
            table.ratios {
                thead { tr {
                    th scope="col" { "what" }
                    @for column in &table.columns { th.number scope="col" { (column) } }
                    th.number scope="col" { (table.ratio) }
                    th scope="col" aria-label="as a bar" {}
                    th scope="col" { "goal" }
                } }
                tbody { @for row in &table.rows { tr {
                    @let missed = row.goal.as_ref().is_some_and(|goal| !goal.reached);
                    th scope="row" { (row.what) }
                    @for &one in &row.numbers { td.number { (number(one)) } }
                    td.number { (row.ratio.map_or("-".to_owned(), shown)) }
                    td.bars.missed[missed] {
                        @if let Some(ratio) = row.ratio.filter(|&ratio| ratio > 0.0) { (scale.bar(ratio)) }
                        @if let Some(goal) = &row.goal {
                            div.goal style=(format!("left:{:.1}%", scale.at(goal.at))) {}
                        }
                    }
                    td {
                        @if let Some(goal) = &row.goal {
                            (goal.words) ": "
                            @if missed { span.mark.bad { "MISSED" } } @else { "met" }
                        }
                    }
                } } }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use modsig_testing::results::Goal;

    use super::*;

    #[test]
    fn a_scale_has_all_ratios_and_is_even() {
        let row = |ratio, at| Row {
            what: String::new(),
            numbers: vec![],
            ratio,
            goal: Some(Goal {
                words: String::new(),
                at,
                reached: true,
            }),
        };
        let scale = Scale::of(&[row(Some(0.5), 4.0), row(None, 1.0), row(Some(0.0), 1.0)]);
        let near = |ratio, wanted: f64| assert!((scale.at(ratio) - wanted).abs() < 1e-9);
        near(1.0, 50.0);
        near(4.0, 100.0);
        near(0.25, 0.0);
        let style = |ratio| scale.bar(ratio).into_string();
        assert!(style(2.0).contains("margin-left:50.0%;width:25.0%"));
        assert!(style(0.5).contains("margin-left:25.0%;width:25.0%"));
        // With nothing to show there still is one.
        assert!(Scale::of(&[]).at(2.0) <= 100.0);
    }

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        assert_eq!([0.4, 9.99949, 39.44].map(shown), ["0.400", "9.999", "39.4"]);
        assert_eq!(
            [1234567.0, -12.0, -0.0, 1.25].map(number),
            ["1,234,567", "-12", "0", "1.250"]
        );
    }
}
