// SPDX-License-Identifier: GPL-2.0

//! What `make bench` has measured: ratios, and what they are of.

use maud::{html, Markup};

use super::{
    figures::{Bench, ByHash, GuestGoal, Hashes, Host, HostRatio, Stage, Whole},
    inputs::Inputs,
    words::{grouped, scrolled, sources, time},
};

/// Ratios of one kind.
struct Table {
    title: String,
    /// What is divided by what.
    ratio: &'static str,
    /// What the numbers of each row are.
    columns: &'static [&'static str],
    rows: Vec<Row>,
}

struct Row {
    label: String,
    numbers: Vec<String>,
    /// None if there is nothing to divide by.
    ratio: Option<f64>,
    goal: Option<Goal>,
}

struct Goal {
    words: String,
    /// The ratio that is just good enough; figures of older versions have none.
    at: Option<f64>,
    met: bool,
}

impl GuestGoal {
    fn goal(&self) -> Option<Goal> {
        Some(Goal {
            words: self.goal.clone()?,
            at: self.at,
            met: self.reached?,
        })
    }
}

/// All of it.
pub(super) fn tables(inputs: &Inputs) -> Markup {
    html! {
        section #bench {
            h2 { "Bench" }
            @if let Some(bench) = &inputs.bench {
                p.note {
                    "Bars begin in the middle, where both are equal; half as much and twice as much are equally long. "
                    "A dashed mark is a goal."
                }
                @for (name, host) in &bench.host { (on_host(inputs, bench, name, host)) }
                @for (kernel, rows) in &bench.guest {
                    h3 { "In the guest: Linux " (kernel) ", modsig and C" }
                    (measured(inputs, bench, "guest", kernel))
                    @for table in wholes(kernel, rows) { (draw(&table)) }
                }
                @for (kernel, hashes) in &bench.hashes {
                    h3 { "In the guest: Linux " (kernel) ", module hashes" }
                    (measured(inputs, bench, "guest-hashes", kernel))
                    p.note {
                        "Behind each module stand " (hashes.appended) " octets. Octets of code: with keys "
                        (grouped(hashes.code.keys)) ", with hashes " (grouped(hashes.code.hashes))
                        ", with both " (grouped(hashes.code.both)) "."
                    }
                    @for table in by_hashes(kernel, hashes) { (draw(&table)) }
                }
            } @else {
                p { "No bench has run: " code { "make bench" } }
            }
        }
    }
}

/// When it was measured, and of which sources.
fn measured(inputs: &Inputs, bench: &Bench, part: &str, name: &str) -> Markup {
    let stamp = bench.measured.get(part).and_then(|part| part.get(name));
    html! {
        p.note {
            @if let Some(stamp) = stamp { "Measured " (time(&stamp.when)) " " }
            (sources(stamp, &inputs.now))
        }
    }
}

fn on_host(inputs: &Inputs, bench: &Bench, name: &str, host: &Host) -> Markup {
    let row = |row: &HostRatio| Row {
        label: format!("{} {}", row.algorithm, row.what).trim().to_owned(),
        numbers: [row.least, row.cpu].map(shown).to_vec(),
        ratio: Some(row.median),
        goal: row.target.clone().zip(row.met).map(|(words, met)| Goal {
            words,
            at: row.at,
            met,
        }),
    };
    let table = Table {
        title: format!("Host, {name}"),
        ratio: "medians",
        columns: &["least", "CPU"],
        rows: host.ratios.iter().map(row).collect(),
    };
    html! {
        h3 { "On the host: " (name) }
        (measured(inputs, bench, "host", name))
        p.note {
            (grouped(host.modules)) " modules, " (host.rounds) " rounds, " (host.processors) " x "
            (host.processor) ", " (host.openssl) ", load before and after: "
            (host.load.join("; "))
        }
        (draw(&table))
    }
}

/// A table for each group of rows.
fn wholes(kernel: &str, rows: &[Whole]) -> Vec<Table> {
    let table = |rows: &[Whole]| Table {
        title: format!("Linux {kernel}, {}", rows[0].group),
        ratio: "modsig : C",
        columns: &["C", "modsig"],
        rows: rows.iter().map(whole).collect(),
    };
    let groups = rows.chunk_by(|one, other| one.group == other.group);
    groups.map(table).collect()
}

fn whole(row: &Whole) -> Row {
    Row {
        label: row.what.clone(),
        numbers: [row.c, row.rust].map(count).to_vec(),
        ratio: row.ratio,
        goal: row.goal.goal(),
    }
}

fn by_hashes(kernel: &str, hashes: &Hashes) -> [Table; 2] {
    let whole = |row: &ByHash| Row {
        label: format!("{}, {}", size(row.size), row.kernels),
        numbers: [row.proof, row.rsa4096, row.p384].map(count).to_vec(),
        ratio: Some(row.ratio),
        goal: row.goal.goal(),
    };
    let stage = |row: &Stage| Row {
        label: format!("{}, {}", size(row.size), row.kernel),
        numbers: [row.sha256, row.rest].map(count).to_vec(),
        ratio: Some(1.0 + row.share),
        goal: row.goal.goal(),
    };
    [
        Table {
            title: format!("Linux {kernel}, by hashes: whole finit_module(2), instructions"),
            ratio: "RSA-4096 : proof",
            columns: &["proof", "RSA-4096", "P-384"],
            rows: hashes.whole.iter().map(whole).collect(),
        },
        Table {
            title: format!("Linux {kernel}, by hashes: stages of a proof, instructions"),
            ratio: "all : SHA-256",
            columns: &["SHA-256", "all else"],
            rows: hashes.stages.iter().map(stage).collect(),
        },
    ]
}

fn size(octets: usize) -> String {
    match octets >> 20 {
        0 => format!("{} KiB", octets >> 10),
        mebi => format!("{mebi} MiB"),
    }
}

/// A number of instructions. Differences of some that should be equal may be less than none.
fn count(number: f64) -> String {
    let sign = if number <= -0.5 { "-" } else { "" };
    format!("{sign}{}", grouped(number.abs().round() as usize))
}

/// A ratio, as it stands in charts and in tables.
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
            let goal = row.goal.as_ref().and_then(|goal| goal.at);
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

fn draw(table: &Table) -> Markup {
    let scale = Scale::of(&table.rows);
    html! {
        h4 { (table.title) }
        (scrolled(&table.title, html! {
            table.ratios {
                thead { tr {
                    th scope="col" { "what" }
                    @for column in table.columns { th.number scope="col" { (column) } }
                    th.number scope="col" { (table.ratio) }
                    th scope="col" aria-label="as a bar" {}
                    th scope="col" { "goal" }
                } }
                tbody { @for row in &table.rows { tr {
                    @let missed = row.goal.as_ref().is_some_and(|goal| !goal.met);
                    th scope="row" { (row.label) }
                    @for number in &row.numbers { td.number { (number) } }
                    td.number { (row.ratio.map_or("-".to_owned(), shown)) }
                    td.bars.missed[missed] {
                        @if let Some(ratio) = row.ratio.filter(|&ratio| ratio > 0.0) { (scale.bar(ratio)) }
                        @if let Some(at) = row.goal.as_ref().and_then(|goal| goal.at) {
                            div.goal style=(format!("left:{:.1}%", scale.at(at))) {}
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
    use super::*;

    #[test]
    fn a_scale_has_all_ratios_and_is_even() {
        let row = |ratio, at| Row {
            label: String::new(),
            numbers: vec![],
            ratio,
            goal: Some(Goal {
                words: String::new(),
                at,
                met: true,
            }),
        };
        let scale = Scale::of(&[
            row(Some(0.5), Some(4.0)),
            row(None, None),
            row(Some(0.0), None),
        ]);
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
            [1234567.4, -12.0, -0.4].map(count),
            ["1,234,567", "-12", "0"]
        );
    }
}
