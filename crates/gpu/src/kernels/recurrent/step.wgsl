@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = linear_id(wid, groups) * WG_X + lane;
    if n < p.len {
        let h = p.width;
        let unit = n % h;
        // A negative number is a large one.
        let row = u32(rows[n / h]);
        var next = 0.0;
        if row < min(p.hidden_rows, p.cell_rows) {
            let to = row * h + unit;
            if live[n / h] != 0 {
                let at = n / h * (4u * h) + unit;
                let kept = sigmoid(gates[at + h]) * cell[to];
                let new_cell = kept + sigmoid(gates[at]) * tanh_safe(gates[at + 2u * h]);
                next = sigmoid(gates[at + 3u * h]) * tanh_safe(new_cell);
                cell[to] = new_cell;
                hidden[to] = next;
            } else {
                next = hidden[to];
            }
        }
        y[n] = next;
    }
}
