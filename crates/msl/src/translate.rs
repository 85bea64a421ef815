//! WGSL to the Metal Shading Language, with what wgpu 30's Metal backend tells naga.
//!
//! Buffers get slots in one sequence: the immediates first, then the bindings of group 0 in order, then the lengths of
//! the bindings. A shader made without runtime checks, as all of ours are, has no clamps on indices, no counters in loops, no
//! guards around divisions; workgroup memory is not set to zero.

use mynah_gpu::{Access, Shader};
use naga::back::msl;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage};

/// The version of the language on macOS 26. Nothing that kernels use is written differently from 2.3 (macOS 11) on.
const LANGUAGE: (u8, u8) = (4, 0);

/// A kernel in Metal's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The text.
    pub msl: String,
    /// Name of the kernel function in it.
    pub entry: String,
    /// Bytes of threadgroup memory, each variable rounded up to 16 as wgpu does.
    pub threadgroup_bytes: u32,
}

impl Translation {
    /// Lines that aren't empty.
    pub fn lines(&self) -> usize {
        self.msl.lines().filter(|line| !line.trim().is_empty()).count()
    }
}

/// Translates a kernel.
///
/// # Errors
/// What naga objects to.
pub fn translate(shader: &Shader) -> Result<Translation, String> {
    translate_for(shader, LANGUAGE)
}

fn translate_for(shader: &Shader, language: (u8, u8)) -> Result<Translation, String> {
    let module = naga::front::wgsl::parse_str(&shader.wgsl).map_err(|e| e.emit_to_string(&shader.wgsl))?;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities());
    let info = validator.validate(&module).map_err(|e| e.emit_to_string(&shader.wgsl))?;
    let stage = (ShaderStage::Compute, "main");
    let (module, info) =
        naga::back::pipeline_constants::process_overrides(&module, &info, Some(stage), &Default::default())
            .map_err(|e| e.to_string())?;
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".into())),
        allow_and_force_point_size: false,
        vertex_pulling_transform: true,
        vertex_buffer_mappings: Vec::new(),
        binding_array_length_map: Default::default(),
    };
    let (msl, written) = msl::write_string(&module, &info, &options(shader, language), &pipeline)
        .map_err(|e| e.to_string())?;
    let entry = match written.entry_point_names.into_iter().next() {
        Some(Ok(entry)) => entry,
        Some(Err(e)) => return Err(e.to_string()),
        None => return Err("there is no entry point".into()),
    };
    let uses = info.get_entry_point(0);
    let shared = module
        .global_variables
        .iter()
        .filter(|(handle, var)| var.space == AddressSpace::WorkGroup && !uses[*handle].is_empty());
    let bytes = shared.map(|(_, var)| module.types[var.ty].inner.size(module.to_ctx()).next_multiple_of(16));
    Ok(Translation { msl, entry, threadgroup_bytes: bytes.sum() })
}

/// What wgpu's validator allows under the features that `mynah-gpu` asks an adapter for.
fn capabilities() -> Capabilities {
    Capabilities::IMMEDIATES
        | Capabilities::SUBGROUP
        | Capabilities::SUBGROUP_BARRIER
        | Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::COOPERATIVE_MATRIX
}

fn options(shader: &Shader, lang_version: (u8, u8)) -> msl::Options {
    let mut slots = 0..;
    let mut slot = || slots.next().unwrap_or(u8::MAX);
    let mut resources = msl::EntryPointResources {
        immediates_buffer: (shader.immediate_bytes > 0).then(&mut slot),
        ..Default::default()
    };
    for (binding, access) in (0..).zip(&shader.bindings) {
        let target = msl::BindTarget {
            buffer: Some(slot()),
            mutable: *access == Access::ReadWrite,
            ..Default::default()
        };
        resources.resources.insert(naga::ResourceBinding { group: 0, binding }, target);
    }
    resources.sizes_buffer = (!shader.bindings.is_empty()).then(slot);
    let unchecked = BoundsCheckPolicy::Unchecked;
    msl::Options {
        lang_version,
        per_entry_point_map: [("main".to_owned(), resources)].into(),
        inline_samplers: Vec::new(),
        spirv_cross_compatibility: false,
        fake_missing_bindings: false,
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        task_dispatch_limits: None,
        mesh_shader_primitive_indices_clamp: false,
        emit_int_div_checks: false,
        ray_query_initialization_tracking: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shader(body: &str) -> Shader {
        let head = "enable f16;\n@group(0) @binding(0) var<storage, read> w: array<u32>;\n\
                    @group(0) @binding(1) var<storage, read_write> y: array<f32>;\n\
                    struct Params { n: u32, }\nvar<immediate> p: Params;\nvar<workgroup> part: array<f32, 33>;\n\
                    @compute @workgroup_size(32)\nfn main(@builtin(local_invocation_index) i: u32) {\n";
        Shader {
            name: "test".into(),
            wgsl: format!("{head}{body}}}\n").into(),
            bindings: vec![Access::Read, Access::ReadWrite],
            immediate_bytes: 4,
            workgroup: [32, 1, 1],
        }
    }

    const BODY: &str = "part[i] = f32(unpack4xI8(w[i]).x) / f32(dot4I8Packed(w[0], w[1]));\nworkgroupBarrier();\n\
                        for (var k = 0u; k < p.n % 7u; k++) {\ny[i] = subgroupAdd(part[k]) + f32(f16(y[i]));\n}\n";

    #[test]
    fn slots_are_those_of_wgpu_and_nothing_is_checked() {
        let found = translate(&shader(BODY)).unwrap();
        for parameter in ["& p [[buffer(0)]]", "& w [[buffer(1)]]", "& y [[buffer(2)]]", "[[buffer(3)]]"] {
            assert!(found.msl.contains(parameter), "{}", found.msl);
        }
        // 33 floats, rounded up to 16 bytes.
        assert_eq!((found.entry.as_str(), found.threadgroup_bytes), ("main_", 144));
        for check in ["loop_bound", "naga_mod", "metal::min(unsigned", "metal::all"] {
            assert!(!found.msl.contains(check), "{}", found.msl);
        }
    }

    #[test]
    fn every_version_on_apple_silicon_gets_the_same_text() {
        let text = |version| {
            translate_for(&shader(BODY), version).unwrap().msl.split_once('\n').unwrap().1.to_owned()
        };
        for version in [(2, 3), (2, 4), (3, 0), (3, 1), (3, 2)] {
            assert_eq!(text(version), text(LANGUAGE));
        }
    }

    #[test]
    fn what_naga_objects_to_is_said() {
        assert!(translate(&shader("y[i] = nothing;\n")).unwrap_err().contains("nothing"));
    }
}
