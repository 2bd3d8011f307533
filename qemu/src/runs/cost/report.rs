// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tables that `make bench` prints of what the guests have counted, and the same for the report.

use anyhow::Result;
use modsig_testing::results::{Goal, Measured, Row, Table};
use serde_json::json;

use crate::machine::kernels::Series;

use super::{
    proofs::{self, PROOF},
    releases::Release,
    Costs, Key, Sizes, Stages, Stop, SIGNERS, SIZES,
};

/// Whole calls repeat to about 5 digits; what is within that is not more.
const REPEATS_TO: f64 = 1e-4;

fn size_name(size: usize) -> String {
    match size >> 20 {
        0 => format!("{} KiB", size >> 10),
        mebi => format!("{mebi} MiB"),
    }
}

fn goal(reached: bool, at: f64, words: &str) -> Option<Goal> {
    Some(Goal {
        words: words.to_owned(),
        at,
        reached,
    })
}

/// The tables that are printed, of C and Rust.
#[derive(Default)]
struct Printed(Vec<Table>);

impl Printed {
    fn heading(&mut self, name: &str) {
        println!("\n{name:44} {:>12} {:>12} {:>7}", "C", "Rust", "Rust/C");
        self.0
            .push(Table::new(name, &["C", "modsig"], "modsig : C"));
    }

    /// A row: what C and Rust take, and what the goal says of that, if there is one.
    fn row(&mut self, name: &str, [c, rust]: [f64; 2], goal: Option<Goal>) {
        let ratio = (c.round() > 0.0).then(|| rust / c);
        let shown = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        let verdict = Goal::verdict(goal.as_ref());
        let line = format!("{name:44} {c:12.0} {rust:12.0} {shown:>7}  {verdict}");
        println!("{}", line.trim_end());
        if let Some(table) = self.0.last_mut() {
            table.rows.push(Row {
                what: name.to_owned(),
                numbers: vec![c.round(), rust.round()],
                ratio,
                goal,
            });
        }
    }
}

pub(super) fn report(costs: &[Costs; 2], sizes: &Sizes) -> Result<Measured> {
    let mut table = Printed::default();
    totals(&mut table, costs)?;
    stages(&mut table, costs)?;

    table.heading("text and read-only data, bytes");
    let rust = sizes.rust as f64;
    let mut c = 0.0;
    for (name, more) in [
        ("modules' own part", sizes.c_module),
        ("and the CMS reader (stays for others)", sizes.c_cms),
        ("and X.509 (stays for the keyrings)", sizes.c_x509),
    ] {
        c += more as f64;
        table.row(name, [c, rust], None);
    }
    let measured = Measured {
        tables: table.0,
        ..Measured::default()
    };
    println!("\nbench: {} goals missed", measured.missed());
    Ok(measured)
}

/// Whole calls.
fn totals(table: &mut Printed, costs: &[Costs; 2]) -> Result<()> {
    table.heading("whole finit_module(2), instructions");
    for size in SIZES {
        let mut files = vec![(0, Stop::Unsigned, "unsigned".to_owned())];
        for (signer, (key, digest)) in SIGNERS.into_iter().enumerate() {
            files.push((signer, Stop::Good, format!("{key}/{digest}")));
            files.push((signer, Stop::Unknown, format!("{key}/{digest} untrusted")));
        }
        for (signer, stop, name) in files {
            for logged in [false, true] {
                let key = Key {
                    size,
                    signer,
                    stop,
                    logged,
                };
                if logged && !key.is_logged_too() {
                    continue;
                }
                let both = [costs[0].total(&key)? as f64, costs[1].total(&key)? as f64];
                let log = if logged { ", logged" } else { "" };
                let name = format!("{}, {name}{log}", size_name(size));
                let at_most_c = both[1] <= both[0] * (1.0 + REPEATS_TO);
                let (reached, words) = if stop == Stop::Unknown && size == 4 << 20 {
                    let reached = at_most_c && both[1] <= 3e6;
                    (reached, "at most C, and 3 million")
                } else {
                    (at_most_c, "at most C")
                };
                table.row(&name, both, goal(reached, 1.0, words));
            }
        }
    }
    Ok(())
}

/// Stages. All but the digests cost the same for any size; so they are taken from the smallest,
/// where the least else is counted with them.
fn stages(table: &mut Printed, costs: &[Costs; 2]) -> Result<()> {
    for (signer, (key, digest)) in SIGNERS.into_iter().enumerate() {
        table.heading(&format!("stages of {key}/{digest}, instructions"));
        let at = |size| -> Result<[Stages; 2]> {
            Ok([
                costs[0].stages(size, signer)?,
                costs[1].stages(size, signer)?,
            ])
        };
        let small = at(SIZES[0])?;
        table.row("trailer", small.map(|stages| stages.trailer), None);
        let parse = small.map(|stages| stages.parse);
        let half = goal(parse[1] <= 0.5 * parse[0], 0.5, "at most half of C");
        table.row("parse", parse, half);
        table.row("key lookup", small.map(|stages| stages.lookup), None);
        for size in SIZES {
            let name = format!("digest, {}", size_name(size));
            table.row(&name, at(size)?.map(|stages| stages.digest), None);
        }
        table.row("signature", small.map(|stages| stages.signature), None);
        for size in SIZES {
            let name = format!("digest for the blacklist, {}", size_name(size));
            let both = at(size)?.map(|stages| stages.blacklist);
            // In trees that do not ask it, this is noise around 0.
            if both.iter().any(|&count| count > small[0].digest / 100.0) {
                table.row(&name, both, None);
            }
        }
    }
    Ok(())
}

/// What proofs take, where they are all that is known and beside signatures, and what signatures
/// take: without proofs, and beside them.
pub(super) fn report_proofs(
    signatures: &Costs,
    [keyless, both]: &[Costs; 2],
    objects: [Result<u64>; 3],
) -> Result<Measured> {
    let good = |costs: &Costs, size, signer| -> Result<f64> {
        let key = Key {
            size,
            signer,
            stop: Stop::Good,
            logged: false,
        };
        Ok(costs.total(&key)? as f64)
    };

    let title = "whole finit_module(2), instructions";
    println!(
        "\n{title:36} {:>12} {:>12} {:>12} {:>8}",
        "proof", "RSA-4096", "P-384", "RSA"
    );
    let mut wholes = Table::new(title, &["proof", "RSA-4096", "P-384"], "RSA-4096 : proof");
    let kernels = [
        ("no keys; RSA: no hashes", keyless, signatures),
        ("hashes and keys", both, both),
    ];
    for (name, by_hashes, by_keys) in kernels {
        for size in SIZES {
            let proof = good(by_hashes, size, PROOF)?;
            let [rsa, p384] = [0, 1].map(|signer| good(by_keys, size, signer));
            let (rsa, p384) = (rsa?, p384?);
            let ratio = rsa / proof;
            let goal = match size == SIZES[0] && std::ptr::eq(by_hashes, keyless) {
                true => goal(ratio >= 6.0, 6.0, "RSA at least 6 times that"),
                false => None,
            };
            let what = format!("{}, {name}", size_name(size));
            let row = format!(
                "{what:36} {proof:12.0} {rsa:12.0} {p384:12.0} {ratio:8.2}  {}",
                Goal::verdict(goal.as_ref())
            );
            println!("{}", row.trim_end());
            wholes.rows.push(Row {
                what,
                numbers: vec![proof, rsa, p384],
                ratio: Some(ratio),
                goal,
            });
        }
    }

    let title = "stages of a proof, instructions";
    println!(
        "\n{title:36} {:>12} {:>12} {:>12} {:>8}",
        "SHA-256", "all else", "blacklist", "else"
    );
    let columns = ["SHA-256", "all else", "blacklist"];
    let mut stages = Table::new(title, &columns, "all but the blacklist : SHA-256");
    for (name, costs) in [("no keys", keyless), ("hashes and keys", both)] {
        for size in SIZES {
            let of = costs.proof(size)?;
            let share = of.rest / of.digest;
            let goal = match size == SIZES[1] && std::ptr::eq(costs, keyless) {
                true => goal(share <= 0.05, 1.05, "at most 5 % over SHA-256"),
                false => None,
            };
            let what = format!("{}, {name}", size_name(size));
            let numbers = [of.digest, of.rest, of.blacklist];
            let row = format!(
                "{what:36} {:12.0} {:12.0} {:12.0} {:7.2}%  {}",
                numbers[0],
                numbers[1],
                numbers[2],
                100.0 * share,
                Goal::verdict(goal.as_ref())
            );
            println!("{}", row.trim_end());
            stages.rows.push(Row {
                what,
                numbers: numbers.map(f64::round).to_vec(),
                ratio: Some(1.0 + share),
                goal,
            });
        }
    }

    let [keys_only, hashes_only, all] = objects;
    let (keys_only, hashes_only, all) = (keys_only?, hashes_only?, all?);
    let appended = proofs::appended()?;
    println!(
        "\nbytes behind each of {} modules: {appended}",
        proofs::LEAVES / 2
    );
    println!("bytes of code: keys {keys_only}, hashes {hashes_only}, both {all}");
    let measured = Measured {
        note: format!(
            "Behind each module stand {appended} bytes. Bytes of code: with keys {keys_only}, with hashes {hashes_only}, with both {all}."
        ),
        tables: vec![wholes, stages],
        more: json!({
            "appended": appended,
            "code": { "keys": keys_only, "hashes": hashes_only, "both": all },
        }),
    };
    println!("\nbench: {} goals missed", measured.missed());
    Ok(measured)
}

/// What modules of a release take, beside those that are signed by themselves and those that have proofs, in one
/// kernel that takes all of them.
pub(super) fn report_releases(costs: &Costs, series: &Series) -> Result<Measured> {
    let title = "a release, whole finit_module(2), instructions";
    println!(
        "\n{title:46} {:>10} {:>10} {:>10} {:>10} {:>6}",
        "signed", "first", "later", "proof", "later"
    );
    let columns = ["signed by itself", "first", "later", "proof"];
    let mut table = Table::new(title, &columns, "later : proof");
    for size in SIZES {
        for release in costs.releases(series, size)? {
            let Release {
                algorithm: (key, digest),
                by_itself,
                first,
                later,
                proof,
            } = release;
            let ratio = later / proof;
            let goal = match size == SIZES[0] {
                true => goal(ratio <= 1.15, 1.15, "at most 1.15 times a proof"),
                false => None,
            };
            let what = format!("{}, {key}/{digest}", size_name(size));
            let row = format!(
                "{what:46} {by_itself:10.0} {first:10.0} {later:10.0} {proof:10.0} {ratio:6.3}  {}",
                Goal::verdict(goal.as_ref())
            );
            println!("{}", row.trim_end());
            table.rows.push(Row {
                what,
                numbers: vec![by_itself, first, later, proof],
                ratio: Some(ratio),
                goal,
            });
        }
    }
    let measured = Measured {
        tables: vec![table],
        ..Measured::default()
    };
    println!("\nbench: {} goals missed", measured.missed());
    Ok(measured)
}
