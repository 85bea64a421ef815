//! Adapters with matrix units are rare where tests run: at least every variant must be sound WGSL and become SPIR-V.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use crate::caps::{Capabilities, MatrixShape};
use crate::program::Bind;
use mynah_device::Policy;
use mynah_graph::Graph;

/// An adapter with units of a size and little else that matters here.
pub(super) fn adapter(size: u32, lanes: u32, workgroup_bytes: u32) -> Capabilities {
    let matrix = vec![MatrixShape { m: size, n: size, k: size }];
    Capabilities { subgroup: Some([lanes; 2]), matrix, workgroup_bytes, ..Capabilities::large() }
}

/// Compiles every dispatch of a graph's first node to SPIR-V; returns the kernels' names.
pub(super) fn translate(graph: &Graph, caps: &Capabilities) -> Vec<String> {
    let policy = Policy::default();
    let bind = Bind::trial(graph, &graph.nodes()[0], caps, &policy);
    let compiled = super::compile(&bind).unwrap();
    let each = compiled.dispatches.into_iter().map(|d| {
        let source = &d.shader.wgsl;
        let mut options = naga::front::wgsl::Options::new();
        options.capabilities = naga::valid::Capabilities::all();
        let module = naga::front::wgsl::Frontend::new_with_options(options)
            .parse(source)
            .unwrap_or_else(|e| panic!("{}: {}\n{source}", d.shader.name, e.emit_to_string(source)));
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::all(),
        );
        let info = validator
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}: {}", d.shader.name, e.emit_to_string(source)));
        let options = naga::back::spv::Options { lang_version: (1, 6), ..Default::default() };
        let spirv = naga::back::spv::write_vec(&module, &info, &options, None).unwrap();
        assert!(spirv.len() > 100, "{}", d.shader.name);
        d.shader.name
    });
    each.collect()
}
