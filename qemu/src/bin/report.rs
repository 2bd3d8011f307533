// SPDX-License-Identifier: GPL-2.0

//! `report`: a page of what the last runs saw (`make report`). It runs nothing.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use modsig_qemu::{
    page::{page, Inputs},
    record::write,
};

/// Writes a page of what the last runs saw
#[derive(Parser)]
struct Arguments {
    /// Where the runs left their files
    #[arg(long, default_value = "build")]
    build: PathBuf,
    /// The page
    #[arg(long, default_value = "build/report.html")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let page = page(&Inputs::read(&arguments.build)?);
    write(&arguments.output, &page)?;
    println!("report: {}", arguments.output.display());
    Ok(())
}
