// SPDX-License-Identifier: GPL-2.0

use std::process::ExitCode;

use anyhow::{Context, Result};
use modsig_tools::{
    files::{Found, Links},
    module::Module,
};
use serde_json::json;

use super::{
    replace::{Batch, Replaced, Sync},
    report::{Done, Modules},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sync: Sync,
    #[command(flatten)]
    modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let modules = arguments.modules.find(Links::Leave)?;
    let mut batch = Batch::new(&arguments.sync, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| strip(&arguments.sync, buffer, found),
        |stripped| batch.take(stripped),
    )
}

fn strip(sync: &Sync, buffer: &mut Vec<u8>, found: &Found) -> Result<Replaced> {
    let path = &found.path;
    let original = found.read(buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, count) = opened.unsigned().with_context(named)?;
    let count = count + opened.misplaced;
    let json = json!({ "removed": count });
    if count == 0 {
        let done = Done::good("not signed", "was not signed", json);
        return Ok(Replaced { done, file: None });
    }
    let file = sync.put_end(&original, &opened, module, &[])?;
    let text = match count {
        1 => "stripped".to_owned(),
        several => format!("stripped of {several} signatures"),
    };
    Ok(Replaced {
        done: Done::good("stripped", text, json),
        file,
    })
}
