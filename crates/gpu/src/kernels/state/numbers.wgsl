@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        // A negative number is a large one.
        let row = u32(rows[i]);
        var found = 0;
        if row < p.count {
            let number = state[row * p.row + p.column];
            if is_whole(abs(number), p.most) {
                found = i32(number);
            } else {
                report_number(number);
            }
        }
        y[i] = found;
    }
}
