//! The few lines of text processing that WGSL lacks: conditional blocks and names filled in.

/// Keeps or drops `//#if` blocks and fills in `$NAME`s.
///
/// An undeclared flag counts as off; blocks nest.
pub(super) fn expand(text: &str, flags: &[(&str, bool)], defines: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    // For each open block: whether its lines are kept now, given that the block around it is.
    let mut open: Vec<bool> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(name) = trimmed.strip_prefix("//#if ") {
            let (name, wanted) = name.trim().strip_prefix('!').map_or((name.trim(), true), |n| (n, false));
            open.push(flags.iter().any(|(n, on)| *n == name && *on) == wanted);
        } else if trimmed.starts_with("//#else") {
            if let Some(kept) = open.last_mut() {
                *kept = !*kept;
            }
        } else if trimmed.starts_with("//#endif") {
            open.pop();
        } else if open.iter().all(|kept| *kept) && !trimmed.starts_with("//") {
            out.push_str(&fill(line, defines));
            out.push('\n');
        }
    }
    out
}

fn fill(line: &str, defines: &[(&str, String)]) -> String {
    let mut line = line.to_owned();
    if line.contains('$') {
        // Longer names first, so that `$AB` is not taken for `$A`.
        let mut sorted: Vec<_> = defines.iter().collect();
        sorted.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, value) in sorted {
            line = line.replace(&format!("${name}"), value);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn blocks_are_kept_by_their_flags() {
        let text = "a\n//#if X\nb\n//#if !Y\nc\n//#endif\n//#else\nd\n//#endif\n// gone\ne";
        assert_eq!(expand(text, &[("X", true)], &[]), "a\nb\nc\ne\n");
        assert_eq!(expand(text, &[("X", true), ("Y", true)], &[]), "a\nb\ne\n");
        assert_eq!(expand(text, &[("X", false)], &[]), "a\nd\ne\n");
    }

    #[test]
    fn the_longest_name_is_filled_in() {
        let defines = [("T", "f32".to_owned()), ("TYPE", "f16".to_owned())];
        assert_eq!(expand("$T $TYPE", &[], &defines), "f32 f16\n");
    }
}
