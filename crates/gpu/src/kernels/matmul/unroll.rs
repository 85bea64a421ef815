//! Repeats lines of a kernel by hand: not every driver's compiler unrolls loops, and arrays stay out of registers where it doesn't.
//!
//! Lines between `//#each r ROWS` and `//#end` are repeated for each `r` below the count called `ROWS`, `#r` standing for the
//! number. Blocks nest.

/// Expands the `//#each` blocks; a count that is not given is 1.
pub(super) fn unroll(text: &str, counts: &[(&str, usize)]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::with_capacity(2 * text.len());
    expand(&lines, counts, &mut Vec::new(), &mut out);
    out
}

fn expand<'t>(
    lines: &[&'t str],
    counts: &[(&str, usize)],
    indices: &mut Vec<(&'t str, usize)>,
    out: &mut String,
) {
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        at += 1;
        let Some(header) = line.trim_start().strip_prefix("//#each ") else {
            out.push_str(&numbered(line, indices));
            out.push('\n');
            continue;
        };
        let body = &lines[at..at + length(&lines[at..])];
        at += body.len() + 1;
        let (index, name) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        let count = counts.iter().find(|(n, _)| *n == name).map_or(1, |(_, count)| *count);
        for i in 0..count {
            indices.push((index, i));
            expand(body, counts, indices, out);
            indices.pop();
        }
    }
}

/// Lines up to the `//#end` of a block whose first line is given.
fn length(lines: &[&str]) -> usize {
    let mut depth = 1;
    let end = lines.iter().position(|line| {
        match line.trim() {
            "//#end" => depth -= 1,
            other if other.starts_with("//#each ") => depth += 1,
            _ => {}
        }
        depth == 0
    });
    end.unwrap_or(lines.len())
}

fn numbered(line: &str, indices: &[(&str, usize)]) -> String {
    let mut line = line.to_owned();
    // The `#i` of `//#if` is no index.
    if line.trim_start().starts_with("//#") {
        return line;
    }
    for (index, i) in indices {
        line = line.replace(&format!("#{index}"), &i.to_string());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::unroll;

    #[test]
    fn blocks_are_repeated_and_numbered() {
        let text = "a\n//#each r ROWS\nv#r = #ru;\n//#each i X\n//#if F\ns#r_#i\n//#endif\n//#end\n//#end\nb";
        let wanted = "a\nv0 = 0u;\n//#if F\ns0_0\n//#endif\n//#if F\ns0_1\n//#endif\n\
                      v1 = 1u;\n//#if F\ns1_0\n//#endif\n//#if F\ns1_1\n//#endif\nb\n";
        assert_eq!(unroll(text, &[("ROWS", 2), ("X", 2)]), wanted);
    }

    #[test]
    fn a_count_of_none_drops_the_block() {
        assert_eq!(unroll("a\n//#each r R\nb\n//#each s S\nc\n//#end\n//#end\nd", &[("R", 0)]), "a\nd\n");
    }
}
