// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is booted, as the programs here are told on their command lines.

/// An architecture and a kernel series.
#[derive(clap::Args)]
pub struct Target {
    /// x86_64 or arm64
    #[arg(long, default_value = "x86_64")]
    pub arch: String,
    /// Kernel series: 6.12, 7.2, 7.3 or newest
    #[arg(long, default_value = "6.12")]
    pub kernel: String,
}
