// SPDX-License-Identifier: MIT OR Apache-2.0

//! `page`: follows pages of `Documentation/scenarios`.

use anyhow::{ensure, Result};
use modsig_qemu::runs::page::{Page, Runner};

use super::target::Target;

/// Follow pages of Documentation/scenarios
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print only what is not as the pages say
    #[arg(long)]
    quiet: bool,
    /// Put into the pages what was printed, in place of what they show
    #[arg(long)]
    record: bool,
    /// Their names, or "all"; without one, say which there are
    names: Vec<String>,
}

/// What `make demo` has beside the pages that are followed here.
const OTHERS: [(&str, &str); 2] = [
    ("secure-boot", "Modules under Secure Boot (not among all)"),
    (
        "debian",
        "A distribution's kernel: Debian (as root; not among all)",
    ),
];

pub fn run(arguments: &Arguments) -> Result<bool> {
    let all = Page::all()?;
    if arguments.names.is_empty() {
        println!(
            "\nScenarios, each from a configuration to a boot: make demo SCENARIO=NAME, or all"
        );
        for page in all {
            println!("    {:15} {}", page.name, page.title);
        }
        for (name, title) in OTHERS {
            println!("    {name:15} {title}");
        }
        return Ok(true);
    }
    for name in &arguments.names {
        let known = name == "all" || all.iter().any(|page| page.name == *name);
        let names: Vec<_> = all.iter().map(|page| &page.name[..]).collect();
        ensure!(
            known,
            "no scenario {name:?}; there are {}",
            names.join(", ")
        );
    }
    let mut runner = Runner::new(&arguments.target.arch, &arguments.target.kernel)?;
    runner.quiet = arguments.quiet;
    runner.record = arguments.record;
    let (mut total, mut good) = (0, 0);
    for page in &all {
        if arguments
            .names
            .iter()
            .any(|name| name == "all" || *name == page.name)
        {
            total += 1;
            good += usize::from(runner.follow(page)?);
        }
    }
    println!(
        "\nscenarios: {total} followed, {good} as their pages say, {} not",
        total - good
    );
    Ok(good == total)
}
