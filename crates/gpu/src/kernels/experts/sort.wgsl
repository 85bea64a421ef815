// A workgroup has an expert: it counts the slots of lower experts and its own, and lists its own in rising order.
var<workgroup> counts: array<vec2<u32>, WG_X>;

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let expert = linear_id(wid, groups);
    if expert >= EXPERTS {
        return;
    }
    let share = (p.slots + WG_X - 1u) / WG_X;
    let begin = min(lane * share, p.slots);
    let end = min(begin + share, p.slots);
    var lower = 0u;
    var own = 0u;
    for (var i = begin; i < end; i++) {
        let id = min(u32(ids[i]), EXPERTS - 1u);
        lower += select(0u, 1u, id < expert);
        own += select(0u, 1u, id == expert);
    }
    // What the threads up to each have found.
    var all = vec2(lower, own);
    counts[lane] = all;
    for (var step = 1u; step < WG_X; step *= 2u) {
        workgroupBarrier();
        var before = vec2(0u);
        if lane >= step {
            before = counts[lane - step];
        }
        workgroupBarrier();
        all += before;
        counts[lane] = all;
    }
    workgroupBarrier();
    let found = counts[WG_X - 1u];
    var at = found.x + all.y - own;
    for (var i = begin; i < end; i++) {
        if min(u32(ids[i]), EXPERTS - 1u) == expert {
            order[at] = i;
            at += 1u;
        }
    }
    let first = found.x / HEIGHT + expert;
    let next = (found.x + found.y) / HEIGHT + expert + 1u;
    for (var tile = lane; tile < next - first; tile += WG_X) {
        let done = min(tile * HEIGHT, found.y);
        tiles[first + tile] = vec4(expert, found.x + done, min(found.y - done, HEIGHT), 0u);
    }
}
