//#if WHOLE
fn place(at: u32, c: u32, lane: u32) -> u32 {
    return at / 4u + c * 4u + lane;
}

fn load_q(at: u32, c: u32, lane: u32) -> vec4<f32> {
    return q[place(at, c, lane)];
}

fn load_k(at: u32, c: u32, lane: u32) -> vec4<f32> {
    return k[place(at, c, lane)];
}

fn load_state(at: u32, c: u32, lane: u32) -> vec4<f32> {
    return state[place(at, c, lane)];
}

fn store_state(at: u32, c: u32, lane: u32, m: vec4<f32>) {
    state[place(at, c, lane)] = m;
}
//#if PER_CHANNEL

fn load_g(at: u32, c: u32, lane: u32) -> vec4<f32> {
    return g[place(at, c, lane)];
}
//#endif
//#else
// Lanes past the end of a row hold zeros, which add nothing to the sums.
fn first(c: u32, lane: u32) -> u32 {
    return (c * 4u + lane) * 4u;
}

fn load_q(at: u32, c: u32, lane: u32) -> vec4<f32> {
    let i = first(c, lane);
    var x = vec4<f32>(0.0);
    if i < SIZE { x.x = q[at + i]; }
    if i + 1u < SIZE { x.y = q[at + i + 1u]; }
    if i + 2u < SIZE { x.z = q[at + i + 2u]; }
    if i + 3u < SIZE { x.w = q[at + i + 3u]; }
    return x;
}

fn load_k(at: u32, c: u32, lane: u32) -> vec4<f32> {
    let i = first(c, lane);
    var x = vec4<f32>(0.0);
    if i < SIZE { x.x = k[at + i]; }
    if i + 1u < SIZE { x.y = k[at + i + 1u]; }
    if i + 2u < SIZE { x.z = k[at + i + 2u]; }
    if i + 3u < SIZE { x.w = k[at + i + 3u]; }
    return x;
}

fn load_state(at: u32, c: u32, lane: u32) -> vec4<f32> {
    let i = first(c, lane);
    var x = vec4<f32>(0.0);
    if i < SIZE { x.x = state[at + i]; }
    if i + 1u < SIZE { x.y = state[at + i + 1u]; }
    if i + 2u < SIZE { x.z = state[at + i + 2u]; }
    if i + 3u < SIZE { x.w = state[at + i + 3u]; }
    return x;
}

fn store_state(at: u32, c: u32, lane: u32, m: vec4<f32>) {
    let i = first(c, lane);
    if i < SIZE { state[at + i] = m.x; }
    if i + 1u < SIZE { state[at + i + 1u] = m.y; }
    if i + 2u < SIZE { state[at + i + 2u] = m.z; }
    if i + 3u < SIZE { state[at + i + 3u] = m.w; }
}
//#if PER_CHANNEL

fn load_g(at: u32, c: u32, lane: u32) -> vec4<f32> {
    let i = first(c, lane);
    var x = vec4<f32>(0.0);
    if i < SIZE { x.x = g[at + i]; }
    if i + 1u < SIZE { x.y = g[at + i + 1u]; }
    if i + 2u < SIZE { x.z = g[at + i + 2u]; }
    if i + 3u < SIZE { x.w = g[at + i + 3u]; }
    return x;
}
//#endif
//#endif
//#if SUBGROUPS

fn sum_of_lanes(x: f32, thread: u32) -> f32 {
    let pair = x + subgroupShuffleXor(x, 1u);
    return pair + subgroupShuffleXor(pair, 2u);
}
//#else

var<workgroup> parts: array<f32, WG_X>;

fn sum_of_lanes(x: f32, thread: u32) -> f32 {
    parts[thread] = x;
    workgroupBarrier();
    let first = thread & ~3u;
    let sum = (parts[first] + parts[first + 1u]) + (parts[first + 2u] + parts[first + 3u]);
    workgroupBarrier();
    return sum;
}
//#endif

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread & 3u;
    let wanted = wid.x * (WG_X / 4u) + thread / 4u;
    let row = min(wanted, SIZE - 1u);
    let head = wid.y;
    let batch = wid.z;
    let state_row = min(u32(max(sequences[3u * batch], 0)), p.rows - 1u);
    let length = min(u32(max(sequences[3u * batch + 1u], 0)), p.time);
    let snapshot = min(u32(max(sequences[3u * batch + 2u], 0)), SNAPSHOTS - 1u);
    let first_at = state_row * SNAPSHOTS * p.heads * SIZE * SIZE + (head * SIZE + row) * SIZE;
    let stride = p.heads * SIZE * SIZE;
    let from_at = first_at + snapshot * stride;
$LOAD
//#if AHEAD
    // A token's operands are on their way while the one before is computed.
    let first_key = (batch * p.time * p.key_heads + head % p.key_heads) * SIZE;
    let first_gate = batch * p.time * p.heads + head;
$FIRST
    var next_v = v[first_gate * SIZE + row];
    var next_beta = beta[first_gate];
//#if !PER_CHANNEL
    var next_g = g[first_gate];
//#endif
//#endif
    for (var t = 0u; t < length; t++) {
        let token = batch * p.time + t;
        let key_at = (token * p.key_heads + head % p.key_heads) * SIZE;
        let gate_at = token * p.heads + head;
        let value_at = gate_at * SIZE;
//#if AHEAD
$TAKE
        let own_v = next_v;
        let own_beta = next_beta;
//#if !PER_CHANNEL
        let decay = exp(next_g);
//#endif
        let later = select(0u, 1u, t + 1u < length);
        let next_key = key_at + later * p.key_heads * SIZE;
        let next_gate = gate_at + later * p.heads;
$NEXT
        next_v = v[next_gate * SIZE + row];
        next_beta = beta[next_gate];
//#if !PER_CHANNEL
        next_g = g[next_gate];
//#endif
//#else
$TAKE
        let own_v = v[value_at + row];
        let own_beta = beta[gate_at];
//#if !PER_CHANNEL
        let decay = exp(g[gate_at]);
//#endif
//#endif
        var read = 0.0;
$READ
        read = sum_of_lanes(read, thread);
        let delta = (own_v - read) * own_beta;
        var sum = 0.0;
$UPDATE
        sum = sum_of_lanes(sum, thread);
        if lane == 0u && wanted < SIZE {
            out[value_at + row] = sum * p.scale;
        }
        let earlier = length - 1u - t;
        if earlier < SNAPSHOTS && wanted < SIZE {
            let to_at = first_at + earlier * stride;
$STORE
        }
    }
    for (var t = length; t < p.time; t++) {
        if lane == 0u && wanted < SIZE {
            out[((batch * p.time + t) * p.heads + head) * SIZE + row] = 0.0;
        }
    }
}
