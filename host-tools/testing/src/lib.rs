// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the host tool's tests and the harness have in common. It knows neither of them.

#![forbid(unsafe_code)]

pub mod archive;

pub mod ml_dsa;
pub mod results;
pub mod script;
pub mod vm;
