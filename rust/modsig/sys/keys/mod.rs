// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What it takes to go by keys: nothing of it is in a kernel without them.

mod keyring;
#[cfg(CONFIG_MODULE_SIG_RUST_RELEASE)]
mod memo;
mod signature;

use super::Kernel;
use crate::verify::{
    KeyId, Keyring, Lookup, Platform, PlatformError, PublicKey, Signature, Verification,
};

impl Platform for Kernel {
    type Key = keyring::Key;

    fn releases(&self) -> bool {
        cfg!(CONFIG_MODULE_SIG_RUST_RELEASE)
    }

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        let keyring = match keyring {
            Keyring::Trusted => keyring::trusted(),
            Keyring::Platform => keyring::platform(),
            Keyring::Revoked => keyring::revoked(),
        };
        match keyring {
            Some(keyring) => keyring.find(first, second),
            None => Ok(Lookup::Unknown),
        }
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        signature::verify(key, signature)
    }

    #[cfg(CONFIG_MODULE_SIG_RUST_RELEASE)]
    fn verify_release(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        crate::verify::memo::verify(self, &memo::MEMO, key, signature)
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        signature::verify_with(key, signature)
    }
}
