//! Writes the lines of a kernel out once per register of its micro-tile.
//!
//! WGSL has no unroll hint, and a compiler that does not unroll keeps an indexed array in memory instead of registers. Lines
//! between `//#each A B` and `//#done` are repeated for every choice of the named symbols, `#A` being replaced by its value
//! and `#(B-A+1)` by the value of the sum. Blocks nest.

/// A name and what it stands for in turn.
pub(in crate::kernels) type Symbol<'a> = (&'a str, Vec<String>);

/// A symbol that counts from 0.
pub(in crate::kernels) fn count(name: &str, n: usize) -> Symbol<'_> {
    (name, (0..n).map(|i| i.to_string()).collect())
}

/// The text with its blocks written out. Names of symbols must not begin one another.
pub(in crate::kernels) fn unroll(text: &str, symbols: &[Symbol<'_>]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    expand(&lines, symbols, &mut Vec::new(), &mut out);
    out
}

fn expand<'a>(
    lines: &[&str],
    symbols: &'a [Symbol<'a>],
    bound: &mut Vec<(&'a str, &'a str)>,
    out: &mut String,
) {
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some(names) = line.trim_start().strip_prefix("//#each ") else {
            out.push_str(&fill(line, bound));
            out.push('\n');
            at += 1;
            continue;
        };
        let len = block(&lines[at + 1..]);
        let names: Vec<&str> = names.split_whitespace().collect();
        each(&names, &lines[at + 1..at + 1 + len], symbols, bound, out);
        at += len + 2;
    }
}

/// Lines up to the `//#done` that closes the block they are in.
fn block(lines: &[&str]) -> usize {
    let mut depth = 0;
    let ends = |line: &&str| {
        let line = line.trim_start();
        depth += usize::from(line.starts_with("//#each "));
        let done = line.starts_with("//#done");
        let ends = done && depth == 0;
        depth -= usize::from(done && depth > 0);
        ends
    };
    lines.iter().position(ends).unwrap_or(lines.len())
}

fn each<'a>(
    names: &[&str],
    lines: &[&str],
    symbols: &'a [Symbol<'a>],
    bound: &mut Vec<(&'a str, &'a str)>,
    out: &mut String,
) {
    let Some((first, rest)) = names.split_first() else { return expand(lines, symbols, bound, out) };
    for (name, values) in symbols.iter().filter(|(name, _)| name == first) {
        for value in values {
            bound.push((name, value));
            each(rest, lines, symbols, bound, out);
            bound.pop();
        }
    }
}

fn fill(line: &str, bound: &[(&str, &str)]) -> String {
    let mut line = line.to_owned();
    for (name, value) in bound {
        line = line.replace(&format!("#{name}"), value);
    }
    while let Some(start) = line.find("#(") {
        let len = line[start..].find(')').map_or(line.len() - start, |n| n + 1);
        let value = sum(line[start + 2..start + len].trim_end_matches(')'), bound);
        line.replace_range(start..start + len, &value.to_string());
    }
    line
}

/// The value of names and numbers joined by `+` and `-`; a name that is not bound counts as 0.
fn sum(expression: &str, bound: &[(&str, &str)]) -> i64 {
    let number = |term: &str| {
        let value = bound.iter().find(|(name, _)| *name == term).map_or(term, |(_, value)| value);
        value.parse::<i64>().unwrap_or(0)
    };
    let plus = expression.split('+');
    plus.map(|part| {
        let mut terms = part.split('-').map(|term| number(term.trim()));
        terms.next().unwrap_or(0) - terms.sum::<i64>()
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_written_out_in_order() {
        let symbols = [count("A", 2), count("B", 2), ("X", vec!["q".to_owned()])];
        let text = "one\n//#each A B\ns#A#B = r#(B-A+1);\n//#done\n//#each X\n#X[0]\n//#done\ntwo";
        let wanted = "one\ns00 = r1;\ns01 = r2;\ns10 = r0;\ns11 = r1;\nq[0]\ntwo\n";
        assert_eq!(unroll(text, &symbols), wanted);
    }

    #[test]
    fn blocks_nest() {
        let symbols = [count("A", 2), count("B", 2)];
        let text = "//#each A\na#A\n//#each B\nb#A#B\n//#done\nend\n//#done";
        assert_eq!(unroll(text, &symbols), "a0\nb00\nb01\nend\na1\nb10\nb11\nend\n");
    }
}
