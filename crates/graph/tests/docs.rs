//! `docs/ops.md` is the page people read before they write a model or a device, so it must name every op there is.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/ops.md");
const SOURCE: &str = include_str!("../src/op.rs");

/// Names that `Op::name` and `Activation::name` can give: the string literals their match arms end in. The matches are
/// exhaustive, so an op can't be added without one.
fn names_in_code() -> BTreeSet<&'static str> {
    let arms = SOURCE.lines().filter_map(|line| line.split_once("=> \""));
    arms.filter_map(|(_, rest)| rest.split_once('"')).map(|(name, _)| name).collect()
}

/// What stands in backquotes in the first column of the page's tables.
fn names_on_page() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once("` |")).map(|(name, _)| name).collect()
}

#[test]
fn the_ops_page_has_exactly_the_ops_of_the_code() {
    let (code, page) = (names_in_code(), names_on_page());
    assert!(code.contains("matmul") && code.contains("silu"), "op.rs no longer reads as this test expects");
    let missing: Vec<_> = code.difference(&page).collect();
    assert!(missing.is_empty(), "docs/ops.md has no row for {missing:?}");
    let stale: Vec<_> = page.difference(&code).collect();
    assert!(stale.is_empty(), "docs/ops.md describes {stale:?}, which no op is called");
}
