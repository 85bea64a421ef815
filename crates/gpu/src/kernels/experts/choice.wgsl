// A workgroup has a token. How many experts come before one is its place among the chosen, so nobody waits for anybody's choice.
var<workgroup> keys: array<vec4<u32>, CHUNK>;

// Numbers in the order of the ranks. What is no number ranks with negative infinity, both zeros alike; no key is zero.
fn key_of(rank: f32) -> u32 {
    let bits = bitcast<u32>(rank);
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return 0x007fffffu;
    }
    if magnitude == 0u {
        return 0x80000000u;
    }
    return select(bits | 0x80000000u, ~bits, bits != magnitude);
}

fn rank_key(first: u32, expert: u32, all: vec2<f32>) -> u32 {
    if expert >= EXPERTS {
        return 0u;
    }
    let logit = logits[first + expert];
//#if BIAS
    return key_of(score_of(logit, all) + bias[expert]);
//#else
    return key_of(logit);
//#endif
}

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
    let all = row_reduce(of_some(first, lane), lane);
//#else
    let all = vec2(0.0);
//#endif
    for (var round = 0u; round < EXPERTS; round += WG_X) {
        let expert = round + lane;
        let own = rank_key(first, expert, all);
        var before = 0u;
        for (var start = 0u; start < EXPERTS; start += 4u * CHUNK) {
            workgroupBarrier();
            for (var i = lane; i < CHUNK; i += WG_X) {
                let e = start + 4u * i;
                keys[i] = vec4(
                    rank_key(first, e, all),
                    rank_key(first, e + 1u, all),
                    rank_key(first, e + 2u, all),
                    rank_key(first, e + 3u, all),
                );
            }
            workgroupBarrier();
            for (var i = 0u; i < CHUNK; i++) {
                let other = keys[i];
                let places = vec4(start + 4u * i) + vec4(0u, 1u, 2u, 3u);
                let precedes = (other > vec4(own)) | ((other == vec4(own)) & (places < vec4(expert)));
                let ones = select(vec4(0u), vec4(1u), precedes);
                before += (ones.x + ones.y) + (ones.z + ones.w);
            }
        }
        if number < p.tokens && expert < EXPERTS && before < USED {
            y[token * USED + before] = i32(expert);
        }
    }
}
