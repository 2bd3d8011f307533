// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `guest/parsers.c` says of each certificate and image.

use anyhow::{ensure, Context, Result};

/// What a kernel made of what add_key(2) was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The error number.
    pub result: u32,
    /// That of putting the key into the secondary keyring.
    pub link: u32,
    /// What `/proc/keys` says of the key.
    pub description: String,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Said {
    /// By case: what root got.
    pub root: Vec<Added>,
    /// What another user got.
    pub user: Vec<Added>,
    /// Error numbers of kexec_file_load(2).
    pub images: Vec<u32>,
}

/// Reads what the guest said: on this many cases, and as many images.
///
/// # Errors
///
/// If it did not come to its end, or said something else.
pub fn parse(text: &str, cases: usize, images: usize) -> Result<Said> {
    let mut said = Said::default();
    let mut ended = false;
    for line in text.lines() {
        let what = || format!("the guest said {line:?}");
        ensure!(!ended, what());
        let parts: Vec<_> = line.splitn(5, ' ').collect();
        match parts[..] {
            ["done"] => ended = true,
            ["kexec", index, result] => {
                ensure!(index.parse() == Ok(said.images.len()), what());
                said.images.push(result.parse().with_context(what)?);
            }
            [who @ ("root" | "user"), index, result, link, description] => {
                let of = if who == "root" {
                    &mut said.root
                } else {
                    &mut said.user
                };
                ensure!(index.parse() == Ok(of.len()), what());
                of.push(Added {
                    result: result.parse().with_context(what)?,
                    link: link.parse().with_context(what)?,
                    description: description.to_owned(),
                });
            }
            _ => ensure!(false, what()),
        }
    }
    ensure!(ended, "the guest did not come to its end");
    let found = (said.root.len(), said.user.len(), said.images.len());
    ensure!(found == (cases, cases, images), "verdicts on {found:?}");
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_says_is_read() {
        let text = "root 0 0 126 asymmetri a: 01: X509.rsa 01 []\nroot 1 74 0 \nkexec 0 129\n\
            user 0 0 13 b\nuser 1 90 0 \ndone\n";
        let said = parse(text, 2, 1).unwrap();
        assert_eq!(said.root[0].link, 126);
        assert_eq!(said.root[0].description, "asymmetri a: 01: X509.rsa 01 []");
        assert_eq!((said.user[1].result, &said.images[..]), (90, &[129][..]));
        for wrong in [
            text.replace("done\n", ""),
            text.replace("user 1", "user 2"),
            text.replace("kexec 0 129\n", ""),
            text.replace("root 1 74", "root 1 x"),
            format!("{text}done\n"),
        ] {
            assert!(parse(&wrong, 2, 1).is_err(), "{wrong}");
        }
    }
}
