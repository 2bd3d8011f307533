// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is booted: kernels that scripts have built, in a mode, and guests that say what they saw.

pub mod boot;
pub mod firmware;
pub mod guest;
pub mod kernels;
pub mod programs;
pub mod root;
pub mod secure_boot;
pub mod unified;
pub mod variables;
