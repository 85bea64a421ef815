// The row of a thread. Threads past the last row work on the last one too, because all must reach every barrier, and keep
// their results to themselves.
struct Row {
    // The first load.
    at: u32,
    // This thread's first load is `at + member`, the next follow ROW_LANES apart.
    member: u32,
    index: u32,
    real: bool,
}

fn row_of(wid: vec3<u32>, groups: vec3<u32>, lane: u32) -> Row {
    let index = linear_id(wid, groups) * (WG_X / ROW_LANES) + lane / ROW_LANES;
    let row = min(index, p.rows - 1u);
    return Row(row * p.loads, lane % ROW_LANES, row, index < p.rows);
}

fn total(v: $T) -> f32 {
//#if VECTORS
    return (v.x + v.y) + (v.z + v.w);
//#else
    return v;
//#endif
}

fn largest(v: $T) -> f32 {
//#if VECTORS
    return max(max(v.x, v.y), max(v.z, v.w));
//#else
    return v;
//#endif
}
