@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let line = i / p.width;
        let column = i % p.width;
        let clip = line / p.ahead;
        // A negative number is a large one.
        let row = u32(rows[clip]);
        var sum = predicted[clip * p.width + column];
        if row < p.cursor_rows {
            let at = cursors[row * p.row + AT];
            let end = cursors[row * p.row + END];
            if !is_whole(at, MOST) {
                report_number(at);
            } else if !is_whole(end, min(p.frame_rows, MOST)) {
                report_number(end);
            } else {
                let frame = u32(at) + line % p.ahead;
                if frame < u32(end) {
                    sum += frames[frame * p.width + column];
                }
            }
        }
        // A comparison, since max may drop what is no number.
        y[i] = select(sum, $TYPE(), sum < $TYPE());
    }
}
