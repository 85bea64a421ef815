// One column more than a tile has, so that a column's words lie in different banks.
const PITCH: u32 = TILE + 1u;
var<workgroup> tile: array<u32, TILE * PITCH>;

@compute @workgroup_size(WG_X, WG_Y)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let unit = linear_id(wid, groups);
    let alive = unit < p.count;
    let first_from = unit % p.tiles_from * TILE;
    let rest = unit / p.tiles_from;
    let first_to = rest % p.tiles_to * TILE;
    let batch = rest / p.tiles_to;
    let x_first = batch / p.inner * p.x_outer + batch % p.inner * p.x_inner;
    let y_first = batch / p.inner * p.y_outer + batch % p.inner * p.y_inner;

    let entry = first_from + lane.x;
    for (var i = lane.y; i < TILE; i += WG_Y) {
        let to = first_to + i;
        if alive && entry < p.from_extent && to < p.to_extent {
            tile[i * PITCH + lane.x] = x[x_first + to * p.x_pitch + entry];
        }
    }
    workgroupBarrier();
    let to = first_to + lane.x;
    for (var i = lane.y; i < TILE; i += WG_Y) {
        let entry = first_from + i;
        if alive && entry < p.from_extent && to < p.to_extent {
            y[y_first + entry * p.y_pitch + to] = tile[lane.x * PITCH + i];
        }
    }
}
