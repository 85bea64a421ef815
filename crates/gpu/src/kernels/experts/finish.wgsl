//#if JOIN
// What a gate lets through.
fn joined(gate: f32, up: f32) -> f32 {
//#if LIMIT
    // Comparisons, so that what is no number stays none.
    let a = select(gate, p.limit, gate > p.limit);
    let b = select(up, sign(up) * p.limit, abs(up) > p.limit);
    return b * $ACTIVATE(a);
//#else
    return up * $ACTIVATE(gate);
//#endif
}
//#endif

// What is stored at place `at` of the result.
fn finish(sum: f32, at: u32) -> f32 {
//#if GATES
    return joined(gates[at], sum);
//#else
    return sum;
//#endif
}
