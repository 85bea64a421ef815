//! Metal's language to C++ that clang compiles against `shim/metal.h`.
//!
//! The two differ little, and naga's text is regular: attributes and address spaces go, literals become single precision,
//! swizzles become calls, arrays become types that check their index, and a function is added that hands a thread's
//! bindings and numbers to the kernel.

mod entry;
mod words;

use crate::translate::Translation;
use std::collections::HashSet;
use std::fmt::Write as _;
use words::{Word, words};

/// Name of the function that runs one thread.
pub(crate) const THREAD: &str = "metal_cpu_thread";

/// The kernel in C++. Lines keep their numbers, which is how meeting points are named.
///
/// # Errors
/// A sentence, when the text is not of the form that naga writes.
pub(crate) fn cpp(translation: &Translation) -> Result<String, String> {
    let mut out = String::from("namespace kernel {\nusing namespace metal;\n#line 1 \"kernel.metal\"\n");
    let mut seen = HashSet::new();
    for chunk in chunks(&translation.msl) {
        let text = rewrite(chunk);
        // Overloads that differ by address space alone become the same function twice.
        let lines = text.matches('\n').count();
        if text.trim().is_empty() || !seen.insert(text.trim().to_owned()) {
            out.extend(std::iter::repeat_n('\n', lines));
        } else {
            out.push_str(&text);
        }
    }
    let call = entry::call(&translation.msl, &translation.entry)?;
    // Writing to a String can't fail.
    let _ = writeln!(out, "#line 1 \"entry\"");
    let _ = writeln!(out, "extern \"C\" void {THREAD}(const metal_cpu::Thread& t) {{\n{call}}}\n}}");
    Ok(out)
}

/// The text in parts, each ending with a function.
fn chunks(msl: &str) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, _) in msl.match_indices("\n}\n") {
        parts.push(&msl[from..at + 3]);
        from = at + 3;
    }
    parts.push(&msl[from..]);
    parts
}

fn rewrite(msl: &str) -> String {
    let mut out = String::with_capacity(msl.len() + msl.len() / 8);
    for line in msl.split_inclusive('\n') {
        if line.starts_with("#include") {
            out.push('\n');
        } else if let Some(array) = array(line) {
            out.push_str(&array);
        } else {
            statement(line, &mut out);
        }
    }
    out
}

/// `typedef T name[1];`, which is how naga declares an array of a length known at run time only, and `T inner[N];`.
fn array(line: &str) -> Option<String> {
    let body = line.trim().strip_suffix("];")?;
    let (left, count) = body.split_once('[')?;
    let (ty, name) = left.rsplit_once(' ')?;
    if let Some(element) = ty.strip_prefix("typedef ") {
        return (count == "1").then(|| format!("typedef metal_cpu::runtime_array<{element}> {name};\n"));
    }
    (name == "inner").then(|| format!("    metal_cpu::array<{ty}, {count}> {name};\n"))
}

fn statement(line: &str, out: &mut String) {
    let mut after_dot = false;
    for word in words(line) {
        let dot = word == Word::Other(".");
        match word {
            Word::Name("device" | "threadgroup" | "thread" | "kernel") | Word::Attribute => {}
            Word::Name("constant") => out.push_str("const"),
            Word::Name(letters) if after_dot && is_swizzle(letters) => {
                let places: Vec<_> = letters.bytes().map(|b| ["0", "1", "2", "3"][place(b)]).collect();
                let _ = write!(out, "template swizzle<{}>()", places.join(", "));
            }
            Word::Name(name) => out.push_str(name),
            Word::Number(number) => out.push_str(&literal(number)),
            Word::Other(text) => out.push_str(text),
        }
        after_dot = dot;
    }
}

fn is_swizzle(name: &str) -> bool {
    (2..=4).contains(&name.len()) && name.bytes().all(|b| b"xyzw".contains(&b))
}

fn place(letter: u8) -> usize {
    b"xyzw".iter().position(|&b| b == letter).unwrap_or(0)
}

/// Metal has no double precision: `1.0` is single there.
fn literal(number: &str) -> String {
    if let Some(half) = number.strip_suffix('h') {
        return format!("half({half}f)");
    }
    let float = !number.starts_with("0x") && number.contains(['.', 'e', 'E']) && !number.ends_with('f');
    if float { format!("{number}f") } else { number.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_become_cxx() {
        let lines = [
            ("    v = (h.yx * 2.0) + q.x;\n", "    v = (h.template swizzle<1, 0>() * 2.0f) + q.x;\n"),
            ("tile[i] = a.x + 1.5h * 1e-7;\n", "tile[i] = a.x + half(1.5f) * 1e-7f;\n"),
            (", constant P& p [[buffer(0)]]\n", ", const P& p \n"),
            ("[[max_total(64)]] kernel void f(\n", "  void f(\n"),
            ("    float inner[64];\n", "    metal_cpu::array<float, 64> inner;\n"),
            (
                "typedef metal::float4 type_4[1];\n",
                "typedef metal_cpu::runtime_array<metal::float4> type_4;\n",
            ),
            ("x = a[b[i]] + 7u;\n", "x = a[b[i]] + 7u;\n"),
            ("char _pad2[3];\n", "char _pad2[3];\n"),
        ];
        for (msl, wanted) in lines {
            assert_eq!(rewrite(msl), wanted);
        }
    }

    #[test]
    fn a_function_is_kept_once_and_lines_keep_their_numbers() {
        let msl = "int f(const device half* p) {\n}\n\nint f(const threadgroup half* p) {\n}\n\
                   kernel void k(\n  uint i [[thread_index_in_threadgroup]]\n) {\n}\n";
        let translation = Translation { msl: msl.into(), entry: "k".into(), threadgroup_bytes: 0 };
        let text = cpp(&translation).unwrap();
        assert_eq!(text.matches("int f").count(), 1);
        let start = text.find("kernel.metal").unwrap();
        let line = text[start..].lines().skip(1).position(|l| l.contains("void k")).unwrap();
        assert_eq!(line + 1, 6);
        assert!(text.contains("k(\n    t.index\n"), "{text}");
    }
}
