// SPDX-License-Identifier: GPL-2.0

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use modsig_tools::{files, signer};

use super::{each, Done};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Modules, or directories with modules (*.ko)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    Ok(each(
        &arguments.paths,
        arguments.json,
        "without signature",
        |found| {
            let path = &found.path;
            let file = files::read_module(path)?;
            let (module, count) = signer::strip(&file);
            if count != 0 {
                files::replace(path, path, module)?;
            }
            let what = match count {
                0 => "was not signed".to_owned(),
                1 => "stripped".to_owned(),
                several => format!("stripped of {several} signatures"),
            };
            Ok(Done {
                text: format!("{}: {what}", path.display()),
                json: serde_json::json!({ "path": path, "removed": count }),
                good: true,
            })
        },
    ))
}
