// SPDX-License-Identifier: MIT OR Apache-2.0

//! A token in software (SoftHSM2): it costs what its library does, and no time of a card or of a network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use modsig_testing::script::script;

use crate::common::Trees;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "bench";
const PIN: &str = "123456";

/// A token with one key.
pub(crate) struct Token {
    configuration: PathBuf,
    provider: PathBuf,
}

impl Token {
    /// Makes one, with a key that is in a file (PEM) and gets this name.
    pub(crate) fn new(trees: &Trees, key: &Path, name: &str) -> Result<Self> {
        let (tokens, configuration) = (trees.cached("tokens"), trees.cached("softhsm2.conf"));
        fs::create_dir(&tokens)?;
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(&configuration, text)?;
        let token = Token {
            configuration,
            provider: script("get/pkcs11-provider", &[])?,
        };
        let mut make = Command::new("softhsm2-util");
        make.args(["--init-token", "--free", "--label", LABEL]);
        make.args(["--pin", PIN, "--so-pin", PIN]);
        trees.quietly(token.with(&mut make))?;
        let mut import = Command::new("softhsm2-util");
        import.args([
            "--token", LABEL, "--pin", PIN, "--label", name, "--id", "01",
        ]);
        trees.quietly(token.with(import.arg("--import").arg(key)))?;
        Ok(token)
    }

    /// The key, for `modsig sign --key`.
    pub(crate) fn uri(name: &str) -> String {
        format!("pkcs11:token={LABEL};object={name}")
    }

    /// Lets a program find the token.
    pub(crate) fn with<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("SOFTHSM2_CONF", &self.configuration)
            .env("OPENSSL_MODULES", &self.provider)
            .env("PKCS11_PROVIDER_MODULE", MODULE)
            .env("KBUILD_SIGN_PIN", PIN)
    }
}
