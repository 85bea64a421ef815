@compute @workgroup_size(WG_X)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < p.count; i += WG_X) {
        let id = ids[i];
        var bad = id < 0 || u32(id) >= p.limit;
//#if DISTINCT
        for (var before = 0u; before < i; before++) {
            bad = bad || ids[before] == id;
        }
//#endif
        if bad {
            report(id);
        }
    }
}
