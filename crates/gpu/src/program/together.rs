//! Several dispatches as one: the kernels' texts side by side under other names, and an entry point that gives each its workgroups.
//!
//! What a dispatch costs that waits for the one before is on large GPUs more than many of a language model's products take; those
//! that need not wait for each other go out together. Which do is up to [`super::siblings`].

use super::{Dispatch, Joins, Place};
use crate::backend::Access;
use crate::shader::Shader;
use std::collections::HashMap;
use std::fmt::Write as _;

/// One dispatch that does what these do, on a grid of at most `most` workgroups a side. All must have workgroups of one size, and none
/// may read or write what another writes.
pub(super) fn together(parts: &[&Dispatch], most: u32) -> Option<Dispatch> {
    let first = parts.first()?;
    let mut all = Together::default();
    for (number, part) in parts.iter().enumerate() {
        let twin = parts[..number].iter().position(|other| other.shader.wgsl == part.shader.wgsl);
        all.add(number, part, twin)?;
    }
    let total = parts.iter().map(|part| part.groups.iter().product::<u32>()).sum::<u32>();
    let rows = total.div_ceil(most).max(1);
    let groups = [total.div_ceil(rows), rows, 1];
    let workgroup = first.shader.workgroup;
    let mut names: Vec<&str> = parts.iter().map(|part| part.shader.name.as_str()).collect();
    names.dedup();
    let shader = Shader {
        name: names.join(" + "),
        wgsl: all.text(parts, workgroup).into(),
        bindings: all.bindings.iter().map(|b| b.access).collect(),
        immediate_bytes: parts.iter().map(|part| part.shader.immediate_bytes).sum(),
        workgroup,
    };
    let operands = all.bindings.into_iter().map(|b| (b.place, b.bytes)).collect();
    let immediates = parts.iter().flat_map(|part| part.immediates.iter().copied()).collect();
    Some(Dispatch { shader, operands, immediates, groups, joins: Joins::Never })
}

/// A binding of the whole.
struct Binding {
    name: String,
    ty: String,
    access: Access,
    place: Place,
    bytes: u64,
}

#[derive(Default)]
struct Together {
    enables: Vec<String>,
    bindings: Vec<Binding>,
    code: String,
    /// Parts that have immediates.
    immediates: Vec<usize>,
    /// The builtins that each part's entry point takes.
    takes: Vec<Vec<String>>,
}

/// What a declaration at the top of a kernel begins with, behind which its name stands.
const DECLARES: [&str; 4] = ["fn", "const", "struct", "alias"];

impl Together {
    /// Takes a kernel's text apart and adds it under names of its own. Where a part before has the same text, workgroup memory has that
    /// one's names: a workgroup does the work of one part only.
    fn add(&mut self, number: usize, part: &Dispatch, twin: Option<usize>) -> Option<()> {
        let own = |name: &str| format!("{name}_{number}");
        let mut names: HashMap<&str, String> = HashMap::new();
        let mut code = String::new();
        let mut bound = 0;
        for line in part.shader.wgsl.lines() {
            if line.starts_with("enable ") {
                if !self.enables.iter().any(|e| e == line) {
                    self.enables.push(line.to_owned());
                }
            } else if let Some(rest) = line.strip_prefix("@group(0) @binding(") {
                let (name, ty) = rest.split_once("> ")?.1.strip_suffix(';')?.split_once(": ")?;
                let (place, bytes) = part.operands.get(bound)?;
                let access = *part.shader.bindings.get(bound)?;
                let same = |b: &&Binding| {
                    (&b.place, b.bytes, b.ty.as_str(), b.access) == (place, *bytes, ty, access)
                };
                let shared = match self.bindings.iter().find(same) {
                    Some(binding) => binding.name.clone(),
                    None => {
                        let (name, ty, place, bytes) = (own(name), ty.to_owned(), place.clone(), *bytes);
                        self.bindings.push(Binding { name: name.clone(), ty, access, place, bytes });
                        name
                    }
                };
                names.insert(name, shared);
                bound += 1;
            } else if line.starts_with("var<immediate> p: Params;") {
                names.insert("p", format!("p.part{number}"));
                self.immediates.push(number);
            } else if let (Some(twin), Some(rest)) = (twin, line.strip_prefix("var<workgroup> ")) {
                let (name, _) = rest.split_once(':')?;
                names.insert(name, format!("{name}_{twin}"));
            } else if !line.starts_with("@compute ") {
                code.push_str(line.split("//").next().unwrap_or(line));
                code.push('\n');
            }
        }
        for name in declared(&part.shader.wgsl) {
            names.entry(name).or_insert_with(|| own(name));
        }
        // The entry point becomes a function like others, which is given the builtins that it asks for.
        let head = code.find("fn main(")?;
        let end = head + code[head..].find(") {")?;
        let taken = code[head..end].split("@builtin(").skip(1).filter_map(|b| b.split(')').next());
        self.takes.push(taken.map(str::to_owned).collect());
        let mut plain = String::new();
        for (i, piece) in code[head..end].split("@builtin(").enumerate() {
            plain.push_str(if i == 0 { piece } else { piece.split_once(')')?.1 });
        }
        code.replace_range(head..end, &plain);
        self.code.push_str(&renamed(&code, &names));
        Some(())
    }

    fn text(&self, parts: &[&Dispatch], workgroup: [u32; 3]) -> String {
        let mut text = String::new();
        for line in &self.enables {
            text.push_str(line);
            text.push('\n');
        }
        // Writing to a String can't fail, here and below.
        for (index, Binding { name, ty, access, .. }) in self.bindings.iter().enumerate() {
            let mode = if *access == Access::Read { "read" } else { "read_write" };
            let _ = writeln!(text, "@group(0) @binding({index}) var<storage, {mode}> {name}: {ty};");
        }
        if !self.immediates.is_empty() {
            text.push_str("struct Params {\n");
            for number in &self.immediates {
                let _ = writeln!(text, "    part{number}: Params_{number},");
            }
            text.push_str("}\nvar<immediate> p: Params;\n");
        }
        text.push_str(&self.code);
        let mut builtins: Vec<&str> = vec!["workgroup_id", "num_workgroups"];
        for name in self.takes.iter().flatten() {
            if !builtins.contains(&name.as_str()) {
                builtins.push(name);
            }
        }
        let [x, y, z] = workgroup;
        let _ = writeln!(text, "@compute @workgroup_size({x}, {y}, {z})\nfn main(");
        for name in builtins {
            let ty = if name.ends_with("_id") && !name.starts_with("subgroup") || name == "num_workgroups" {
                "vec3<u32>"
            } else {
                "u32"
            };
            let _ = writeln!(text, "    @builtin({name}) {name}: {ty},");
        }
        text.push_str(") {\n    let at = workgroup_id.y * num_workgroups.x + workgroup_id.x;\n");
        let mut start = 0;
        for (number, (part, takes)) in parts.iter().zip(&self.takes).enumerate() {
            let [x, y, z] = part.groups;
            let end = start + x * y * z;
            let given: Vec<String> = takes
                .iter()
                .map(|name| match name.as_str() {
                    "workgroup_id" => format!("vec3<u32>(i % {x}u, i / {x}u % {y}u, i / {}u)", x * y),
                    "num_workgroups" => format!("vec3<u32>({x}u, {y}u, {z}u)"),
                    other => other.to_owned(),
                })
                .collect();
            let _ = writeln!(text, "    if at >= {start}u && at < {end}u {{\n        let i = at - {start}u;");
            let _ = writeln!(text, "        main_{number}({});\n    }}", given.join(", "));
            start = end;
        }
        text.push_str("}\n");
        text
    }
}

/// The names that a text declares outside of functions and structures, but for bindings and immediates.
fn declared(text: &str) -> Vec<&str> {
    let (mut names, mut depth) = (Vec::new(), 0);
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or(line);
        if depth == 0 {
            let mut words = code.split_whitespace();
            match words.next() {
                Some(word) if DECLARES.contains(&word) => {
                    names.extend(words.next().and_then(|w| w.split(['(', ':', '{', '=']).next()));
                }
                Some("var<workgroup>") => names.extend(words.next().and_then(|w| w.split(':').next())),
                _ => {}
            }
        }
        depth += code.matches('{').count();
        depth = depth.saturating_sub(code.matches('}').count());
    }
    names
}

/// The text with its names replaced, but for members (what follows a dot, and what a structure declares) and variables named `p`.
fn renamed(text: &str, names: &HashMap<&str, String>) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    let (mut rest, mut before, mut in_struct) = (text, ' ', false);
    while let Some(c) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !is_word(c) {
            out.push(c);
            if !c.is_whitespace() {
                before = c;
            }
            in_struct &= c != '}';
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (word, later) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        // The immediates are always read by member; another `p` is a local variable.
        let local = word == "p" && !later.starts_with('.');
        let member = local || before == '.' || in_struct && later.trim_start().starts_with(':');
        match names.get(word).filter(|_| !member) {
            Some(name) => out.push_str(name),
            None => out.push_str(word),
        }
        in_struct |= word == "struct";
        (before, rest) = ('a', later);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

    use super::*;
    use crate::program::dispatch::Word;

    const KERNEL: &str = "\
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
const WG_X: u32 = 64u;
struct Params {
    n: u32,
}
var<immediate> p: Params;
var<workgroup> shared_sum: array<f32, WG_X>;
struct Pair { x: f32, n: u32 } // x is a member here
fn twice(v: Pair) -> f32 {
    return v.x * 2.0;
}
@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    shared_sum[lane] = twice(Pair(x[min(wid.x * WG_X + lane, p.n - 1u)], 1u));
    workgroupBarrier();
    if wid.x * WG_X + lane < p.n {
        y[wid.x * WG_X + lane] = shared_sum[lane];
    }
}
";

    fn dispatch(to: u64, groups: [u32; 3]) -> Dispatch {
        Dispatch {
            shader: Shader {
                name: "twice".into(),
                wgsl: KERNEL.into(),
                bindings: vec![Access::ReadWrite; 2],
                immediate_bytes: 4,
                workgroup: [64, 1, 1],
            },
            operands: vec![(Place::Arena(0), 1024), (Place::Arena(to), 1024)],
            immediates: vec![Word::Fixed(groups[0] * 64)],
            groups,
            joins: Joins::Any,
        }
    }

    #[test]
    fn kernels_side_by_side_are_a_kernel() {
        let parts = [dispatch(1024, [3, 1, 1]), dispatch(2048, [2, 2, 1])];
        let whole = together(&[&parts[0], &parts[1]], 4).unwrap();
        assert_eq!(whole.groups, [4, 2, 1], "seven workgroups in rows of four");
        assert_eq!(whole.operands.len(), 3, "what both read is bound once");
        assert_eq!(whole.immediates, [Word::Fixed(192), Word::Fixed(128)]);
        assert_eq!(whole.shader.name, "twice");
        let mut options = naga::front::wgsl::Options::new();
        options.capabilities = naga::valid::Capabilities::all();
        let text = &whole.shader.wgsl;
        let module = naga::front::wgsl::Frontend::new_with_options(options)
            .parse(text)
            .unwrap_or_else(|e| panic!("{}\n{text}", e.emit_to_string(text)));
        let all = naga::valid::Capabilities::all();
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), all).validate(&module).unwrap();
        assert_eq!(module.global_variables.len(), 3 + 1 + 1, "bindings, immediates, memory of both");
        assert!(text.contains("twice_1(Pair_1(x_0[min("), "{text}");
    }
}
