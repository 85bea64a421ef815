var<workgroup> partial: array<f32, WG_X * WG_Y>;

@compute @workgroup_size(WG_X, WG_Y)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let number = linear_id(wid, groups);
    let row = number / p.blocks;
    let channel = number % p.blocks * WG_X + lane.x;
    let real = row < p.rows && channel < p.width;
    let first = row % p.segments * p.len;
    let end = min(first + p.len, p.time);
    let start = row / p.segments * p.time;
    var sum = 0.0;
    if real {
        for (var t = first + lane.y; t < end; t += WG_Y) {
            sum += x[(start + t) * p.width + channel];
        }
    }
    partial[lane.y * WG_X + lane.x] = sum;
    workgroupBarrier();
    if real && lane.y == 0u {
        for (var i = 1u; i < WG_Y; i++) {
            sum += partial[i * WG_X + lane.x];
        }
        y[row * p.width + channel] = sum / f32(end - first);
    }
}
