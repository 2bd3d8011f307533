// SPDX-License-Identifier: MIT OR Apache-2.0

//! `distro`: a distribution's kernel with modsig in it, and the distribution's own modules.

use std::path::Path;

use anyhow::Result;
use modsig_qemu::{
    runs::{distro::Kernels, outcome::Outcome},
    verdict::distro::LOADS,
};

/// Build Debian's kernel with modsig, and load Debian's own modules
#[derive(clap::Args)]
pub struct Arguments {
    /// Which of Debian's kernels: cloud-amd64, amd64 or arm64
    #[arg(long, default_value = "cloud-amd64")]
    flavour: String,
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
    /// Count as well what loading costs in both kernels, in instructions and in time
    #[arg(long)]
    cost: bool,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let kernels = Kernels::build(&arguments.flavour)?;
    let title = "Debian's kernel with modsig, and Debian's modules";
    let (release, arch) = (&kernels.release, kernels.arch());
    let mut outcome = Outcome::begin("distro", &arguments.flavour, title, release, arch);
    let result = check(arguments, &kernels, &mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}

fn check(arguments: &Arguments, kernels: &Kernels, outcome: &mut Outcome) -> Result<()> {
    println!("Linux {}, {}", kernels.release, kernels.arch());
    let seen = kernels.run()?;
    let mut good = 0;
    for one in &seen.observations {
        good += usize::from(one.ok);
        // One line for each module would be too many.
        if !one.ok || !arguments.quiet && one.call != "signature" {
            println!(
                "{:4}  {:20} {:24} {:16} {}",
                if one.ok { "ok" } else { "FAIL" },
                one.case,
                one.call,
                one.observed.trim_end(),
                one.log.trim_end()
            );
        }
        if !one.ok {
            outcome.details.push(format!(
                "{}, {}: {}, not {}",
                one.case, one.call, one.observed, one.expected
            ));
        }
    }
    let total = seen.observations.len();
    outcome.good = good == total;
    println!("\nDebian's modules, in both kernels:");
    for (what, count) in &seen.outcomes {
        println!("{count:6}  {what}");
    }
    let modules: usize = seen.outcomes.values().sum();
    outcome.said = format!(
        "{modules} modules of Debian's, {} load; {total} looked at, {} not as expected",
        seen.outcomes.get(LOADS).copied().unwrap_or_default(),
        total - good
    );
    if arguments.cost {
        let costs = kernels.cost(&seen)?;
        println!("\ninstructions of finit_module(2), up to the module's being there already:");
        println!("{:32} {:>12} {:>12} {:>6}", "", "C", "modsig", "ratio");
        let line = |name: &str, [own, with]: [u64; 2]| {
            let ratio = with as f64 / own as f64;
            println!("{name:32} {own:12} {with:12} {ratio:6.3}");
        };
        let mut sum = [0, 0];
        for (name, both) in costs {
            line(&name, both);
            sum = [sum[0] + both[0], sum[1] + both[1]];
        }
        line("all", sum);
        let (mut seconds, count) = kernels.time(&seen)?;
        println!("\nseconds of modprobe of {count} modules, one after the other, in each round:");
        for (name, rounds) in ["C", "modsig"].into_iter().zip(&mut seconds) {
            let shown: Vec<_> = rounds.iter().map(|one| format!("{one:.2}")).collect();
            println!("{name:8} {}", shown.join(" "));
            rounds.sort_by(f64::total_cmp);
        }
        let [own, with] = seconds.map(|rounds| rounds[rounds.len() / 2]);
        println!("ratio of the medians: {:.3}", with / own);
    }
    println!("distro: {}", outcome.said);
    Ok(())
}
