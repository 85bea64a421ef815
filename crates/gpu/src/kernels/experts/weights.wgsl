// A workgroup has a token, a thread some of its experts.
@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Workgroups past the last token work on the last one too, because all must reach every barrier.
    let number = linear_id(wid, groups);
    let token = min(number, p.tokens - 1u);
    let first = token * EXPERTS;
//#if SOFTMAX
    var all = row_reduce(of_some(first, lane), lane);
//#if QUOTIENTS
    // Quotients of softmaxes are those of the exponentials, whose sum may be too small beside the largest of all.
    all.y = 1.0;
//#endif
//#else
    let all = vec2(0.0);
//#endif
    var sum = 0.0;
//#if NORMALISE
    for (var i = 0u; i < USED; i++) {
        sum += score_of(logits[first + min(u32(ids[token * USED + i]), EXPERTS - 1u)], all);
    }
    // Not max, which may hide what is no number.
    let divisor = select(sum, p.least, sum < p.least);
//#else
    let divisor = 1.0;
//#endif
    if number < p.tokens {
        for (var i = lane; i < USED; i += WG_X) {
            let at = token * USED + i;
            y[at] = score_of(logits[first + min(u32(ids[at]), EXPERTS - 1u)], all) / divisor * p.scale;
        }
    }
}
