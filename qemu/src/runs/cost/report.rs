// SPDX-License-Identifier: GPL-2.0

//! The tables that `make bench` prints of what the guests have counted, and the same as JSON.

use anyhow::Result;
use serde_json::{json, Value};

use super::{
    proofs::{self, PROOF},
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

/// What a ratio is to be.
#[derive(Clone, Copy)]
struct Goal {
    reached: bool,
    /// The ratio that is just good enough.
    at: f64,
    words: &'static str,
}

impl Goal {
    /// What is printed behind a row that has a goal.
    fn verdict(goal: Option<Goal>) -> String {
        match goal {
            Some(goal) if goal.reached => format!("ok: {}", goal.words),
            Some(goal) => format!("MISSED: {}", goal.words),
            None => String::new(),
        }
    }

    /// How many goals were missed.
    fn missed(goal: Option<Goal>) -> usize {
        usize::from(goal.is_some_and(|goal| !goal.reached))
    }

    /// Adds it to a row of JSON.
    fn add(goal: Option<Goal>, mut row: Value) -> Value {
        row["goal"] = goal.map(|goal| goal.words).into();
        row["at"] = goal.map(|goal| goal.at).into();
        row["reached"] = goal.map(|goal| goal.reached).into();
        row
    }
}

/// The table that is printed, and the same as JSON.
#[derive(Default)]
struct Table {
    /// What the rows that follow are of.
    group: String,
    rows: Vec<Value>,
    missed: usize,
}

impl Table {
    fn heading(&mut self, name: &str) {
        name.clone_into(&mut self.group);
        println!("\n{name:44} {:>12} {:>12} {:>7}", "C", "Rust", "Rust/C");
    }

    /// A row: what C and Rust take, and what the goal says of that, if there is one.
    fn row(&mut self, name: &str, [c, rust]: [f64; 2], goal: Option<Goal>) {
        let ratio = (c.round() > 0.0).then(|| rust / c);
        let shown = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        let verdict = Goal::verdict(goal);
        let line = format!("{name:44} {c:12.0} {rust:12.0} {shown:>7}  {verdict}");
        println!("{}", line.trim_end());
        self.missed += Goal::missed(goal);
        let row = json!({
            "group": self.group, "what": name,
            "c": c.round(), "rust": rust.round(), "ratio": ratio,
        });
        self.rows.push(Goal::add(goal, row));
    }
}

pub(super) fn report(costs: &[Costs; 2], sizes: &Sizes) -> Result<Value> {
    let mut table = Table::default();
    totals(&mut table, costs)?;
    stages(&mut table, costs)?;

    table.heading("text and read-only data, octets");
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
    println!("\nbench: {} goals missed", table.missed);
    Ok(table.rows.into())
}

/// Whole calls.
fn totals(table: &mut Table, costs: &[Costs; 2]) -> Result<()> {
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
                let at = 1.0;
                table.row(&name, both, Some(Goal { reached, at, words }));
            }
        }
    }
    Ok(())
}

/// Stages. All but the digests cost the same for any size; so they are taken from the smallest,
/// where the least else is counted with them.
fn stages(table: &mut Table, costs: &[Costs; 2]) -> Result<()> {
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
        let goal = Goal {
            reached: parse[1] <= 0.5 * parse[0],
            at: 0.5,
            words: "at most half of C",
        };
        table.row("parse", parse, Some(goal));
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
) -> Result<Value> {
    let good = |costs: &Costs, size, signer| -> Result<f64> {
        let key = Key {
            size,
            signer,
            stop: Stop::Good,
            logged: false,
        };
        Ok(costs.total(&key)? as f64)
    };
    let mut missed = 0;

    let mut wholes = vec![];
    println!(
        "\n{:36} {:>12} {:>12} {:>12} {:>8}",
        "whole finit_module(2), instructions", "proof", "RSA-4096", "P-384", "RSA"
    );
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
            let wanted = size == SIZES[0] && std::ptr::eq(by_hashes, keyless);
            let goal = wanted.then_some(Goal {
                reached: ratio >= 6.0,
                at: 6.0,
                words: "RSA at least 6 times that",
            });
            missed += Goal::missed(goal);
            let row = format!(
                "{:36} {proof:12.0} {rsa:12.0} {p384:12.0} {ratio:8.2}  {}",
                format!("{}, {name}", size_name(size)),
                Goal::verdict(goal)
            );
            println!("{}", row.trim_end());
            let row = json!({
                "size": size, "kernels": name, "proof": proof, "rsa4096": rsa, "p384": p384,
                "ratio": ratio,
            });
            wholes.push(Goal::add(goal, row));
        }
    }

    let mut stages = vec![];
    println!(
        "\n{:36} {:>12} {:>12} {:>12} {:>8}",
        "stages of a proof, instructions", "SHA-256", "all else", "blacklist", "else"
    );
    for (name, costs) in [("no keys", keyless), ("hashes and keys", both)] {
        for size in SIZES {
            let of = costs.proof(size)?;
            let share = of.rest / of.digest;
            let wanted = size == SIZES[1] && std::ptr::eq(costs, keyless);
            let goal = wanted.then_some(Goal {
                reached: share <= 0.05,
                at: 1.05,
                words: "at most 5 % over SHA-256",
            });
            missed += Goal::missed(goal);
            let row = format!(
                "{:36} {:12.0} {:12.0} {:12.0} {:7.2}%  {}",
                format!("{}, {name}", size_name(size)),
                of.digest,
                of.rest,
                of.blacklist,
                100.0 * share,
                Goal::verdict(goal)
            );
            println!("{}", row.trim_end());
            let row = json!({
                "size": size, "kernel": name, "sha256": of.digest.round(), "rest": of.rest.round(),
                "blacklist": of.blacklist.round(), "share": share,
            });
            stages.push(Goal::add(goal, row));
        }
    }

    let [keys_only, hashes_only, all] = objects;
    let (keys_only, hashes_only, all) = (keys_only?, hashes_only?, all?);
    let appended = proofs::appended()?;
    println!(
        "\noctets behind each of {} modules: {appended}",
        proofs::LEAVES / 2
    );
    println!("octets of code: keys {keys_only}, hashes {hashes_only}, both {all}");
    println!("\nbench: {missed} goals missed");
    Ok(json!({
        "whole": wholes, "stages": stages, "appended": appended,
        "code": { "keys": keys_only, "hashes": hashes_only, "both": all },
    }))
}
