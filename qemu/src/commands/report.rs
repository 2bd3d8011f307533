// SPDX-License-Identifier: MIT OR Apache-2.0

//! `report`: a page of what the last runs saw (`make report`). It runs nothing.

use std::path::PathBuf;

use anyhow::Result;
use modsig_qemu::record::report::{page, Inputs};
use modsig_testing::results::write;

/// Write a page of what the last runs saw
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the runs left their files
    #[arg(long, default_value = "build")]
    build: PathBuf,
    /// The page
    #[arg(long, default_value = "build/report.html")]
    output: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let page = page(&Inputs::read(&arguments.build)?);
    write(&arguments.output, &page)?;
    println!("report: {}", arguments.output.display());
    Ok(true)
}
