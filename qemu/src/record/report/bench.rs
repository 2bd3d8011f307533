// SPDX-License-Identifier: GPL-2.0

//! What `make bench` has measured: ratios as bars, and the same as tables.

use std::collections::BTreeMap;

use maud::{html, Markup};
use modsig_testing::results::Stamp;
use serde::Deserialize;

use super::{grouped, inputs::Inputs, sources, time, ARCHS, SERIES};

/// `build/bench.json`
#[derive(Deserialize)]
pub(super) struct Bench {
    /// Of the host tool, by benchmark.
    #[serde(default)]
    host: BTreeMap<String, Host>,
    /// Of modsig and C in the guest, by series and architecture.
    #[serde(default)]
    guest: BTreeMap<String, Vec<Whole>>,
    /// Of hashes in the guest, likewise.
    #[serde(default, rename = "guest-hashes")]
    hashes: BTreeMap<String, Hashes>,
    /// When each of these was measured.
    #[serde(default)]
    measured: BTreeMap<String, BTreeMap<String, Stamp>>,
}

#[derive(Deserialize)]
struct Host {
    modules: usize,
    rounds: usize,
    processor: String,
    processors: usize,
    openssl: String,
    load: Vec<String>,
    ratios: Vec<HostRatio>,
}

#[derive(Deserialize)]
struct HostRatio {
    algorithm: String,
    what: String,
    median: f64,
    least: f64,
    cpu: f64,
    target: Option<String>,
    at: Option<f64>,
    met: Option<bool>,
}

#[derive(Deserialize)]
struct Whole {
    /// Figures of older versions have none.
    #[serde(default)]
    group: String,
    what: String,
    c: f64,
    rust: f64,
    ratio: Option<f64>,
    #[serde(flatten)]
    goal: GuestGoal,
}

#[derive(Deserialize)]
struct GuestGoal {
    goal: Option<String>,
    at: Option<f64>,
    reached: Option<bool>,
}

#[derive(Deserialize)]
struct Hashes {
    whole: Vec<ByHash>,
    stages: Vec<Stage>,
    appended: usize,
    code: Code,
}

#[derive(Deserialize)]
struct ByHash {
    size: usize,
    kernels: String,
    proof: f64,
    rsa4096: f64,
    p384: f64,
    ratio: f64,
    #[serde(flatten)]
    goal: GuestGoal,
}

#[derive(Deserialize)]
struct Stage {
    size: usize,
    kernel: String,
    sha256: f64,
    rest: f64,
    share: f64,
    #[serde(flatten)]
    goal: GuestGoal,
}

#[derive(Deserialize)]
struct Code {
    keys: usize,
    hashes: usize,
    both: usize,
}

/// Ratios of one kind.
struct Chart {
    title: String,
    /// What is divided by what.
    ratio: &'static str,
    /// What the numbers of each bar are.
    columns: &'static [&'static str],
    bars: Vec<Bar>,
}

struct Bar {
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

/// What was not measured, and what would.
pub(super) fn missing(inputs: &Inputs) -> Vec<(String, String)> {
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

/// All of it.
pub(super) fn charts(inputs: &Inputs) -> Markup {
    html! {
        section #bench {
            h2 { "Bench" }
            @if let Some(bench) = &inputs.bench {
                p.note {
                    "Bars begin at 1, where both are equal; each step of the scale multiplies. "
                    "A dashed mark is a goal. The tables have the same numbers."
                }
                @for (name, host) in &bench.host { (on_host(inputs, bench, name, host)) }
                @for (kernel, rows) in &bench.guest {
                    h3 { "In the guest: Linux " (kernel) ", modsig and C" }
                    (measured(inputs, bench, "guest", kernel))
                    @for chart in wholes(kernel, rows) { (draw(&chart)) }
                }
                @for (kernel, hashes) in &bench.hashes {
                    h3 { "In the guest: Linux " (kernel) ", module hashes" }
                    (measured(inputs, bench, "guest-hashes", kernel))
                    p.note {
                        "Behind each module stand " (hashes.appended) " octets. Octets of code: with keys "
                        (grouped(hashes.code.keys)) ", with hashes " (grouped(hashes.code.hashes))
                        ", with both " (grouped(hashes.code.both)) "."
                    }
                    @for chart in by_hashes(kernel, hashes) { (draw(&chart)) }
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
    let bar = |row: &HostRatio| Bar {
        label: format!("{} {}", row.algorithm, row.what).trim().to_owned(),
        numbers: [row.least, row.cpu].map(shown).to_vec(),
        ratio: Some(row.median),
        goal: row.target.clone().zip(row.met).map(|(words, met)| Goal {
            words,
            at: row.at,
            met,
        }),
    };
    let chart = Chart {
        title: format!("Host, {name}"),
        ratio: "medians",
        columns: &["least", "CPU"],
        bars: host.ratios.iter().map(bar).collect(),
    };
    html! {
        h3 { "On the host: " (name) }
        (measured(inputs, bench, "host", name))
        p.note {
            (grouped(host.modules)) " modules, " (host.rounds) " rounds, " (host.processors) " x "
            (host.processor) ", " (host.openssl) ", load before and after: "
            (host.load.join("; "))
        }
        (draw(&chart))
    }
}

/// A chart for each group of rows.
fn wholes(kernel: &str, rows: &[Whole]) -> Vec<Chart> {
    let chart = |rows: &[Whole]| Chart {
        title: format!("Linux {kernel}, {}", rows[0].group),
        ratio: "modsig : C",
        columns: &["C", "modsig"],
        bars: rows.iter().map(whole).collect(),
    };
    let groups = rows.chunk_by(|one, other| one.group == other.group);
    groups.map(chart).collect()
}

fn whole(row: &Whole) -> Bar {
    Bar {
        label: row.what.clone(),
        numbers: [row.c, row.rust].map(count).to_vec(),
        ratio: row.ratio,
        goal: row.goal.goal(),
    }
}

fn by_hashes(kernel: &str, hashes: &Hashes) -> [Chart; 2] {
    let whole = |row: &ByHash| Bar {
        label: format!("{}, {}", size(row.size), row.kernels),
        numbers: [row.proof, row.rsa4096, row.p384].map(count).to_vec(),
        ratio: Some(row.ratio),
        goal: row.goal.goal(),
    };
    let stage = |row: &Stage| Bar {
        label: format!("{}, {}", size(row.size), row.kernel),
        numbers: [row.sha256, row.rest].map(count).to_vec(),
        ratio: Some(1.0 + row.share),
        goal: row.goal.goal(),
    };
    [
        Chart {
            title: format!("Linux {kernel}, by hashes: whole finit_module(2), instructions"),
            ratio: "RSA-4096 : proof",
            columns: &["proof", "RSA-4096", "P-384"],
            bars: hashes.whole.iter().map(whole).collect(),
        },
        Chart {
            title: format!("Linux {kernel}, by hashes: stages of a proof, instructions"),
            ratio: "all : SHA-256",
            columns: &["SHA-256", "all else"],
            bars: hashes.stages.iter().map(stage).collect(),
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

/// A scale of ratios, on which 2 is as far from 1 as 1/2 is.
struct Scale {
    ticks: Vec<f64>,
}

impl Scale {
    /// The smallest that has these and 1.
    fn of(ratios: &[f64]) -> Self {
        const TICKS: [f64; 20] = [
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0,
            100.0, 200.0, 500.0, 1000.0, 2000.0,
        ];
        let least = ratios.iter().copied().fold(0.5, f64::min);
        let most = ratios.iter().copied().fold(2.0, f64::max);
        let first = TICKS.iter().rposition(|&tick| tick <= least).unwrap_or(0);
        let last = TICKS.iter().position(|&tick| tick >= most);
        let last = last.unwrap_or(TICKS.len() - 1);
        Scale {
            ticks: TICKS[first..=last].to_vec(),
        }
    }

    /// Where a ratio is, in percent of the width. What is beyond the scale is at its end.
    fn at(&self, ratio: f64) -> f64 {
        let (first, last) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        let part = (ratio.clamp(first, last) / first).ln() / (last / first).ln();
        3.0 + 94.0 * part
    }
}

/// Lines of a label that fit into a narrow window.
fn lines(label: &str) -> Vec<String> {
    const WIDTH: usize = 52;
    let mut lines = vec![String::new()];
    for word in label.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

const LINE: usize = 15;
const BAR: usize = 10;
const GAP: usize = 8;
const AXIS: usize = 20;

/// The chart, and the table beneath it. Places across are percentages, so that the letters keep
/// their size in a narrow window.
fn draw(chart: &Chart) -> Markup {
    let ratios = chart.bars.iter().filter_map(|bar| bar.ratio);
    let goals = chart.bars.iter().filter_map(|bar| bar.goal.as_ref()?.at);
    let all: Vec<f64> = ratios.chain(goals).filter(|&ratio| ratio > 0.0).collect();
    let scale = Scale::of(&all);
    let percent = |ratio: f64| format!("{:.2}%", scale.at(ratio));
    // Each bar, the lines above it, and where they begin.
    let mut bars = vec![];
    let mut height = AXIS;
    for bar in &chart.bars {
        let missed = bar.goal.as_ref().is_some_and(|goal| !goal.met);
        let value = bar.ratio.map_or("-".to_owned(), shown);
        let mark = if missed { " MISSED" } else { "" };
        let lines = lines(&format!("{value}{mark}  {}", bar.label));
        let below = height + lines.len() * LINE;
        bars.push((bar, missed, lines, height));
        height = below + BAR + GAP;
    }
    let id: String = chart
        .title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    html! {
        h4 { (chart.title) }
        div.chart {
            svg role="img" width="100%" height=(height) aria-labelledby={ "t-" (id) " d-" (id) } {
                title id={ "t-" (id) } { (chart.title) ": " (chart.ratio) }
                desc id={ "d-" (id) } {
                    @for (bar, missed, ..) in &bars {
                        (bar.label) ": " (bar.ratio.map_or("no ratio".to_owned(), shown))
                        @if let Some(goal) = &bar.goal {
                            ", goal " (goal.words) @if *missed { " missed" } @else { " met" }
                        }
                        ". "
                    }
                }
                @for tick in &scale.ticks {
                    @let x = percent(*tick);
                    line.tick.one[*tick == 1.0] x1=(x) x2=(x) y1=(AXIS - 4) y2=(height) {}
                    text.axis x=(x) y="11" text-anchor="middle" { (tick) }
                }
                @for (bar, missed, lines, top) in &bars {
                    @let below = top + lines.len() * LINE;
                    text.missed[*missed] {
                        @for (index, line) in lines.iter().enumerate() {
                            tspan x="3%" y=(top + 11 + index * LINE) { (line) }
                        }
                    }
                    @if let Some(ratio) = bar.ratio.filter(|&ratio| ratio > 0.0) {
                        @let ends = [scale.at(ratio), scale.at(1.0)];
                        @let left = ends[0].min(ends[1]);
                        rect.bar.missed[*missed] x=(format!("{left:.2}%")) y=(below) height=(BAR)
                            width=(format!("{:.2}%", ends[0].max(ends[1]) - left)) {}
                    }
                    @if let Some(at) = bar.goal.as_ref().and_then(|goal| goal.at) {
                        line.goal x1=(percent(at)) x2=(percent(at)) y1=(below - 2) y2=(below + BAR + 3) {}
                    }
                }
            }
            div.scroll tabindex="0" role="region" aria-label={ (chart.title) ", as a table" } {
                table {
                    thead { tr {
                        th scope="col" { "what" }
                        @for column in chart.columns { th.number scope="col" { (column) } }
                        th.number scope="col" { (chart.ratio) }
                        th scope="col" { "goal" }
                    } }
                    tbody { @for (bar, missed, ..) in &bars { tr {
                        th scope="row" { (bar.label) }
                        @for number in &bar.numbers { td.number { (number) } }
                        td.number { (bar.ratio.map_or("-".to_owned(), shown)) }
                        td {
                            @if let Some(goal) = &bar.goal {
                                (goal.words) ": "
                                @if *missed { span.mark.bad { "MISSED" } } @else { "met" }
                            }
                        }
                    } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_all_ratios_and_is_even() {
        let scale = Scale::of(&[0.3, 84.0]);
        assert_eq!((scale.ticks[0], scale.ticks.last()), (0.2, Some(&100.0)));
        assert!((scale.at(0.2) - 3.0).abs() < 1e-9);
        assert!((scale.at(100.0) - 97.0).abs() < 1e-9);
        let steps = [scale.at(2.0) - scale.at(1.0), scale.at(1.0) - scale.at(0.5)];
        assert!((steps[0] - steps[1]).abs() < 1e-9);
        // What no scale has is at its end; with nothing to show there still is one.
        assert!(Scale::of(&[1e-9, 1e9]).at(1e9) <= 97.0);
        assert_eq!(Scale::of(&[]).ticks, [0.5, 1.0, 2.0]);
    }

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        assert_eq!([0.4, 9.99949, 39.44].map(shown), ["0.400", "9.999", "39.4"]);
        assert_eq!(
            [1234567.4, -12.0, -0.4].map(count),
            ["1,234,567", "-12", "0"]
        );
        assert_eq!(lines("a b"), ["a b"]);
        let long = format!("{} {} c", "a".repeat(30), "b".repeat(30));
        assert_eq!(lines(&long).len(), 2);
    }
}
