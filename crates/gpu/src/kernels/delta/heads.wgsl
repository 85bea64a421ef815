// Threads that add up the squares of a token's results, an equal part each.
const ADDERS = 16u;

var<workgroup> results: array<f32, SIZE>;
var<workgroup> squares: array<f32, ADDERS>;
var<workgroup> own_tokens: u32;
//#if CONV
// A token's queries, keys and values of the head, after the convolution.
var<workgroup> channels: array<f32, 3u * SIZE>;
//#endif

fn sum_of_lanes(x: f32) -> f32 {
    let pair = x + subgroupShuffleXor(x, 1u);
    return pair + subgroupShuffleXor(pair, 2u);
}

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread & 3u;
    let row = thread / 4u;
    let head = wid.x;
    let batch = wid.y;
    if thread == 0u {
        own_tokens = min(u32(max(sequences[3u * batch + 1u], 0)), p.time);
    }
    let length = workgroupUniformLoad(&own_tokens);
    let state_row = min(u32(max(sequences[3u * batch], 0)), p.rows - 1u);
    let snapshot = min(u32(max(sequences[3u * batch + 2u], 0)), SNAPSHOTS - 1u);
    // In vectors, as everything below that begins with a lane's own.
    let stride = p.heads * SIZE * SIZE / 4u;
    let first_at = state_row * SNAPSHOTS * stride + (head * SIZE + row) * SIZE / 4u + lane;
    let from_at = first_at + snapshot * stride;
//#each C
    var m#C = state[from_at + 4u * #Cu];
//#done
    let key_channels = p.key_heads * SIZE;
//#if CONV
    // Thread n has channel n of the head's queries, keys and values one after the other, with the inputs that its taps look at.
    let all_channels = 3u * key_channels;
    let convolves = thread < 3u * SIZE;
    let channel = min(thread / SIZE, 2u) * key_channels + head * SIZE + thread % SIZE;
    let inputs_at = min(u32(max(sequences[3u * batch], 0)), p.input_rows - 1u) * KEPT * all_channels + channel;
    let past = KEPT - snapshot;
    let given_at = batch * p.time * all_channels + channel;
//#each P
    var x#P = inputs[inputs_at + (past + #Pu + 1u - TAPS) * all_channels];
//#done
//#each S
    // The inputs to be kept; what was left out and not replaced is gone.
    var s#S = 0.0;
    let n#S = i32(#Su + length) - i32(snapshot);
    if n#S >= i32(past) && length > 0u {
        s#S = mixed[given_at + (u32(n#S) - past) * all_channels];
    } else if n#S >= 0 {
        s#S = inputs[inputs_at + u32(n#S) * all_channels];
    }
//#done
    if convolves && length > 0u {
//#each S
        inputs[inputs_at + #Su * all_channels] = s#S;
//#done
    }
//#endif
    for (var t = 0u; t < length; t++) {
        let token = batch * p.time + t;
        let at = token * (2u * key_channels + p.heads * SIZE);
//#if CONV
//#each LAST
        let x#LAST = mixed[given_at + t * all_channels];
//#done
        var v = 0.0;
//#each K
        v = fma(kernel[channel * TAPS + #Ku], x#K, v);
//#done
//#each P
        x#P = x#(P+1);
//#done
        if convolves {
            channels[thread] = $MIXED;
        }
        workgroupBarrier();
//#else
        let q_at = (at + head % p.key_heads * SIZE) / 4u + lane;
        let k_at = q_at + key_channels / 4u;
//#endif
        var q_square = 0.0;
        var k_square = 0.0;
//#each C
//#if CONV
        let c#C = 4u * (lane + 4u * #Cu);
        let q#C = vec4(channels[c#C], channels[c#C + 1u], channels[c#C + 2u], channels[c#C + 3u]);
        let d#C = c#C + SIZE;
        let k#C = vec4(channels[d#C], channels[d#C + 1u], channels[d#C + 2u], channels[d#C + 3u]);
//#else
        let q#C = mixed[q_at + 4u * #Cu];
        let k#C = mixed[k_at + 4u * #Cu];
//#endif
        q_square += dot(q#C, q#C);
        k_square += dot(k#C, k#C);
//#done
        let q_unit = inverseSqrt(sum_of_lanes(q_square) + p.length_eps);
        let k_unit = inverseSqrt(sum_of_lanes(k_square) + p.length_eps);
        let gate_at = token * p.heads + head;
        let decay = exp(steps[gate_at] * rates[head]);
        var read = 0.0;
//#each C
        m#C *= decay;
        read += dot(m#C, k#C);
//#done
        read = sum_of_lanes(read) * k_unit;
//#if CONV
        let value = channels[2u * SIZE + row];
//#else
        let value_at = at + 2u * key_channels + head * SIZE + row;
        let value = mixed[value_at / 4u][value_at % 4u];
//#endif
        let delta = (value - read) * beta[gate_at];
        let k_step = delta * k_unit;
        var sum = 0.0;
//#each C
        m#C += k#C * k_step;
        sum += dot(m#C, q#C);
//#done
        sum = sum_of_lanes(sum) * (q_unit * p.scale);
        if lane == 0u {
            results[row] = sum;
        }
        workgroupBarrier();
        if thread < ADDERS {
            var square = 0.0;
            for (var n = thread; n < SIZE; n += ADDERS) {
                square += results[n] * results[n];
            }
            squares[thread] = square;
        }
        workgroupBarrier();
        if thread < SIZE {
            var square = 0.0;
            for (var n = 0u; n < ADDERS; n++) {
                square += squares[n];
            }
            let inverse = inverseSqrt(square / f32(SIZE) + p.norm_eps);
            let into = gate_at * SIZE + thread;
            y[into] = results[thread] * inverse * gain[thread] * $GATE(z[into]);
        }
        let earlier = length - 1u - t;
        if earlier < SNAPSHOTS {
            let to_at = first_at + earlier * stride;
//#each C
            state[to_at + 4u * #Cu] = m#C;
//#done
        }
        workgroupBarrier();
    }
    for (var t = length; t < p.time; t++) {
        if thread < SIZE {
            y[((batch * p.time + t) * p.heads + head) * SIZE + thread] = 0.0;
        }
    }
}
