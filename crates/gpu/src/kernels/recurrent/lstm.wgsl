@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = linear_id(wid, groups) * WG_X + lane;
    if n < p.len {
        let h = p.hidden;
        let unit = n % h;
        let at = n / h * (4u * h) + unit;
        let kept = sigmoid(gates[at + h]) * cell[n];
        let new_cell = kept + sigmoid(gates[at]) * tanh_safe(gates[at + 2u * h]);
        let to = n / h * (2u * h) + unit;
        y[to] = sigmoid(gates[at + 3u * h]) * tanh_safe(new_cell);
        y[to + h] = new_cell;
    }
}
