// SPDX-License-Identifier: MIT OR Apache-2.0

//! The figures: tables to print, and the same to be kept.

use std::cmp::Ordering;

use modsig_testing::results::{Goal, Row, Table};
use serde_json::{json, Value};

use super::measure::Cost;

/// What was measured, several times each, in the order in which it was measured first.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

struct Figure {
    /// Empty if it is the same with any.
    algorithm: &'static str,
    what: &'static str,
    costs: Vec<Cost>,
}

/// The smallest and the median.
#[derive(Clone, Copy, Default)]
struct Spread {
    least: f64,
    median: f64,
}

impl Spread {
    fn of(costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> Self {
        let mut all: Vec<f64> = costs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        let middle = [all[(all.len() - 1) / 2], all[all.len() / 2]];
        Spread {
            least: all[0],
            median: (middle[0] + middle[1]) / 2.0,
        }
    }

    fn plus(self, other: Self) -> Self {
        Spread {
            least: self.least + other.least,
            median: self.median + other.median,
        }
    }

    fn json(self) -> Value {
        json!({ "least": self.least, "median": self.median })
    }
}

/// What a ratio is to be: less or greater than this, or just this.
#[derive(Clone, Copy)]
pub(crate) struct Target(pub(crate) Ordering, pub(crate) f64);

impl Figures {
    pub(crate) fn add(&mut self, algorithm: &'static str, what: &'static str, cost: Cost) {
        let mut all = self.0.iter_mut();
        match all.find(|one| (one.algorithm, one.what) == (algorithm, what)) {
            Some(figure) => figure.costs.push(cost),
            None => self.0.push(Figure {
                algorithm,
                what,
                costs: vec![cost],
            }),
        }
    }

    /// Prints all of it, for so many modules that have so many bytes.
    pub(crate) fn table(&self, modules: usize, octets: u64) -> Value {
        println!(
            "\n{:44} {:>8} {:>8} {:>9} {:>8} {:>7} {:>6} {:>9}",
            "seconds", "least", "median", "CPU least", "median", "MB/s", "mod/s", "peak MiB"
        );
        let rows = self.0.iter().map(|figure| {
            let Figure {
                algorithm,
                what,
                costs,
            } = figure;
            let wall = Spread::of(costs, |cost| cost.wall);
            let cpu = Spread::of(costs, |cost| cost.cpu);
            let memory = costs.iter().filter_map(|cost| cost.memory).max();
            let peak = match memory {
                Some(memory) => format!("{:.1}", memory as f64 / 1024.0),
                None => "-".to_owned(),
            };
            println!(
                "{algorithm:17}{what:27} {:8.2} {:8.2} {:9.2} {:8.2} {:7.0} {:6.0} {peak:>9}",
                wall.least,
                wall.median,
                cpu.least,
                cpu.median,
                octets as f64 / 1e6 / wall.median,
                modules as f64 / wall.median,
            );
            json!({
                "algorithm": algorithm, "what": what, "wall": wall.json(), "cpu": cpu.json(), "peak_kib": memory,
                "rounds": costs.iter().map(|cost| json!([cost.wall, cost.cpu])).collect::<Vec<_>>(),
            })
        });
        rows.collect()
    }

    fn sum(&self, algorithm: &str, all: &[&str], figure: impl Fn(&Cost) -> f64 + Copy) -> Spread {
        let of_it = |one: &&Figure| ["", algorithm].contains(&one.algorithm);
        let wanted = self.0.iter().filter(of_it);
        let wanted = wanted.filter(|one| all.contains(&one.what));
        wanted.fold(Spread::default(), |sum, one| {
            sum.plus(Spread::of(&one.costs, figure))
        })
    }
}

/// Ratios of sums of figures.
pub(crate) struct Ratios<'a> {
    figures: &'a Figures,
    table: Table,
}

impl<'a> Ratios<'a> {
    pub(crate) fn of(figures: &'a Figures) -> Self {
        println!(
            "\n{:80} {:>7} {:>7} {:>7}",
            "ratio", "medians", "least", "CPU"
        );
        Ratios {
            figures,
            table: Table::new("seconds", &["least", "CPU"], "medians"),
        }
    }

    /// Prints one. Whether it is as it is to be, the medians say, by the clock and of processors.
    pub(crate) fn row(
        &mut self,
        algorithm: &str,
        above: &str,
        below: &[&str],
        target: Option<Target>,
    ) {
        let measured = |what: &&str| self.figures.sum(algorithm, &[what], |_| 1.0).least > 0.0;
        if !measured(&above) || !below.iter().all(measured) {
            return;
        }
        let ratio = |figure: fn(&Cost) -> f64| {
            let over = self.figures.sum(algorithm, &[above], figure);
            let under = self.figures.sum(algorithm, below, figure);
            Spread {
                least: over.least / under.least,
                median: over.median / under.median,
            }
        };
        let (wall, cpu) = (ratio(|cost| cost.wall), ratio(|cost| cost.cpu));
        let goal = target.map(|Target(order, at)| {
            let word = if order.is_lt() { "most" } else { "least" };
            Goal {
                words: format!("at {word} {at}"),
                at,
                reached: [wall, cpu]
                    .iter()
                    .all(|ratio| [order, Ordering::Equal].contains(&ratio.median.total_cmp(&at))),
            }
        });
        let name = format!("{above} : {}", below.join(" + "));
        let row = format!(
            "{algorithm:17}{name:63} {:7.2} {:7.2} {:7.2}  {}",
            wall.median,
            wall.least,
            cpu.median,
            Goal::verdict(goal.as_ref())
        );
        println!("{}", row.trim_end());
        self.table.rows.push(Row {
            what: format!("{algorithm} {name}").trim().to_owned(),
            numbers: vec![wall.least, cpu.median],
            ratio: Some(wall.median),
            goal,
        });
    }

    /// The same, to be kept.
    pub(crate) fn table(self) -> Table {
        self.table
    }
}
