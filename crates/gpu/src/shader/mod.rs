//! Builds a kernel's WGSL: the host declares bindings, parameters and constants, the `.wgsl` file holds the code.
//!
//! Declarations are generated because their access mode depends on where an operand lives: activations share one buffer,
//! which a dispatch may only bind one way, weights are read-only. Lines between `//#if NAME` (or `//#if !NAME`),
//! `//#else` and `//#endif` are kept or dropped by [`Shader::flag`]; `$NAME` is replaced by [`Shader::define`].

mod text;

use crate::backend::Access;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// A kernel's source, ready for a backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    /// Kernel and variant, for reports and profiles.
    pub name: String,
    /// The WGSL text; its entry point is `main`.
    pub wgsl: Arc<str>,
    /// How each binding of group 0 is accessed, in order.
    pub bindings: Vec<Access>,
    /// Bytes of immediates.
    pub immediate_bytes: u32,
    /// Threads of a workgroup.
    pub workgroup: [u32; 3],
}

/// What is put before a kernel's code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    head: String,
    enables: String,
    bindings: Vec<Access>,
    params: Vec<(&'static str, &'static str)>,
    flags: Vec<(&'static str, bool)>,
    defines: Vec<(&'static str, String)>,
    includes: Vec<Cow<'static, str>>,
}

impl Source {
    /// Declares the next binding of group 0.
    pub(crate) fn binding(&mut self, name: &str, ty: &str, access: Access) {
        let mode = match access {
            Access::Read => "read",
            Access::ReadWrite => "read_write",
        };
        let index = self.bindings.len();
        // Writing to a String can't fail, here and below.
        let _ = writeln!(self.head, "@group(0) @binding({index}) var<storage, {mode}> {name}: {ty};");
        self.bindings.push(access);
    }

    /// Declares the next field of the immediates `p`.
    pub(crate) fn param(&mut self, name: &'static str, ty: &'static str) {
        self.params.push((name, ty));
    }

    /// Declares a constant of type `u32`.
    pub(crate) fn constant(&mut self, name: &str, value: u32) {
        let _ = writeln!(self.head, "const {name}: u32 = {value}u;");
    }

    /// Decides the `//#if` blocks of that name.
    pub(crate) fn flag(&mut self, name: &'static str, on: bool) {
        self.flags.push((name, on));
    }

    /// Whether a flag was declared on.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(n, on)| *n == name && *on)
    }

    /// Replaces `$NAME`.
    pub(crate) fn define(&mut self, name: &'static str, text: impl Into<String>) {
        self.defines.push((name, text.into()));
    }

    /// Puts shared code before the kernel's, once.
    pub(crate) fn include(&mut self, code: impl Into<Cow<'static, str>>) {
        let code = code.into();
        if !self.includes.contains(&code) {
            self.includes.push(code);
        }
    }

    /// Allows an extension of the language, for example `f16`.
    pub(crate) fn enable(&mut self, extension: &str) {
        let line = format!("enable {extension};\n");
        if !self.enables.contains(&line) {
            self.enables.push_str(&line);
        }
    }

    /// The whole text.
    pub(crate) fn finish(self, name: String, code: &str, workgroup: [u32; 3]) -> Shader {
        let mut text = format!("{}{}", self.enables, self.head);
        for (axis, size) in ["X", "Y", "Z"].into_iter().zip(workgroup) {
            let _ = writeln!(text, "const WG_{axis}: u32 = {size}u;");
        }
        if !self.params.is_empty() {
            text.push_str("struct Params {\n");
            for (name, ty) in &self.params {
                let _ = writeln!(text, "    {name}: {ty},");
            }
            text.push_str("}\nvar<immediate> p: Params;\n");
        }
        for include in &self.includes {
            text.push_str(include);
        }
        text.push_str(code);
        let wgsl = text::expand(&text, &self.flags, &self.defines);
        Shader {
            name,
            wgsl: wgsl.into(),
            bindings: self.bindings,
            immediate_bytes: 4 * self.params.len() as u32,
            workgroup,
        }
    }
}
