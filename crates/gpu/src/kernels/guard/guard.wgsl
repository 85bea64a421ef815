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
        // Only the first fault is kept: later ones are often its consequences.
        if bad && atomicMax(&faults[0], 0u) == 0u {
            atomicStore(&faults[0], p.step);
            atomicStore(&faults[1], bitcast<u32>(id));
        }
    }
}
