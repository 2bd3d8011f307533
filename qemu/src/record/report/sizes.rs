// SPDX-License-Identifier: MIT OR Apache-2.0

//! How large the kernels are.

use maud::{html, Markup};

use super::{
    inputs::Inputs,
    words::{grouped, scrolled, sources},
};

/// How large the kernels are.
pub(super) fn sizes(inputs: &Inputs) -> Markup {
    let octets = |size: Option<u64>| match size {
        Some(size) => grouped(size as usize),
        None => "unknown".to_owned(),
    };
    let records: Vec<_> = inputs
        .records
        .iter()
        .filter(|record| !record.sizes.is_empty())
        .collect();
    html! {
        section #sizes {
            h2 { "Sizes of the kernels" }
            @if records.is_empty() {
                p { "No kernel has been booted: " code { "make demo" } }
            } @else {
                p.note {
                    "Bytes. Text is code and read-only data; data does not count what is zero at first. "
                    "The unmodified kernel has no " code { "modsig.o" } "."
                }
                (scrolled("Sizes of the kernels", html! {
                    table {
                        thead { tr {
                            th scope="col" { "kernel" } th scope="col" { "flavour" }
                            th.number scope="col" { "boot image" }
                            th.number scope="col" { "vmlinux, text" }
                            th.number scope="col" { "vmlinux, data" }
                            th.number scope="col" { "modsig.o, text" }
                            th scope="col" { "sources" }
                        } }
                        @for record in records { tbody {
                            @for (index, sizes) in record.sizes.iter().enumerate() { tr {
                                @if index == 0 {
                                    th scope="rowgroup" rowspan=(record.sizes.len()) {
                                        (record.series) " " (record.arch)
                                    }
                                }
                                th scope="row" { (sizes.flavour) }
                                td.number { (octets(sizes.image)) }
                                td.number { (octets(sizes.text)) }
                                td.number { (octets(sizes.data)) }
                                td.number {
                                    @if record.c { "none" } @else { (octets(sizes.modsig)) }
                                }
                                @if index == 0 {
                                    td rowspan=(record.sizes.len()) {
                                        (sources(Some(&record.stamp), &inputs.now))
                                    }
                                }
                            } }
                        } }
                    }
                }))
            }
        }
    }
}
