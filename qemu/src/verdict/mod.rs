// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the guests' programs say (`guest/`), and what that means.

pub mod compare;
pub mod distro;
pub mod errno;
pub mod init;
pub mod instruments;
pub mod page;
pub mod parsers;
