@compute @workgroup_size(WG_X)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < p.count; i += WG_X) {
        let id = ids[i];
        if id < 0 || u32(id) >= p.limit {
            // Only the first fault is kept: later ones are often its consequences.
            if atomicMax(&faults[0], 0u) == 0u {
                atomicStore(&faults[0], p.step);
                atomicStore(&faults[1], bitcast<u32>(id));
            }
        }
    }
}
