// A place for each subgroup's sum of squares, twice: those of a token are read while others write the next one's.
var<workgroup> squares: array<f32, 2u * SHARES>;
var<workgroup> own_tokens: u32;
//#if CONV
// A token's queries, keys and values of the head, after the convolution.
var<workgroup> channels: array<vec4<f32>, 3u * SIZE / 4u>;
//#endif

fn sum_of_lanes(x: f32) -> f32 {
    let pair = x + subgroupShuffleXor(x, 1u);
    return pair + subgroupShuffleXor(pair, 2u);
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let lane = thread & 3u;
    let row = thread / 4u;
    let head = wid.x;
    let batch = wid.y;
    let own_length = min(u32(max(sequences[3u * batch + 1u], 0)), p.time);
    let state_row = min(u32(max(sequences[3u * batch], 0)), p.rows - 1u);
    let snapshot = min(u32(max(sequences[3u * batch + 2u], 0)), SNAPSHOTS - 1u);
    // In vectors, as everything below that begins with a lane's own.
    let stride = p.heads * SIZE * SIZE / 4u;
    let first_at = state_row * SNAPSHOTS * stride + (head * SIZE + row) * SIZE / 4u + lane;
    let from_at = first_at + snapshot * stride;
    // Whatever memory has is asked for here, before anything waits for anything.
//#each C
    var m#C = state[from_at + 4u * #Cu];
//#done
    let key_channels = p.key_heads * SIZE;
    let all_channels = (2u * key_channels + p.heads * SIZE) / 4u;
    let mixed_at = batch * p.time * all_channels;
//#if CONV
    // Thread n has vector n of the head's queries, keys and values one after the other, with the inputs that its taps look at.
    let convolves = thread < 3u * SIZE / 4u;
    let vectors = SIZE / 4u;
    let channel = min(thread / vectors, 2u) * key_channels / 4u + head * vectors + thread % vectors;
    let inputs_at = min(u32(max(sequences[3u * batch], 0)), p.input_rows - 1u) * KEPT * all_channels + channel;
    let past = KEPT - snapshot;
    let given_at = mixed_at + channel;
//#each P
    var x#P = inputs[inputs_at + (past + #Pu + 1u - TAPS) * all_channels];
//#done
    var given = mixed[given_at];
//#each K
    let kernel#K = vec4(
        kernel[4u * channel * TAPS + #Ku],
        kernel[(4u * channel + 1u) * TAPS + #Ku],
        kernel[(4u * channel + 2u) * TAPS + #Ku],
        kernel[(4u * channel + 3u) * TAPS + #Ku],
    );
//#done
//#each S
    // The inputs to be kept; what was left out and not replaced is gone.
    var s#S = vec4<f32>();
    let n#S = i32(#Su + own_length) - i32(snapshot);
    if n#S >= i32(past) && own_length > 0u {
        s#S = mixed[given_at + (u32(n#S) - past) * all_channels];
    } else if n#S >= 0 {
        s#S = inputs[inputs_at + u32(n#S) * all_channels];
    }
//#done
//#endif
    let own_gain = gain[row];
    let rate = rates[head];
    let first_gate = batch * p.time * p.heads + head;
    var next_step = steps[first_gate];
    var next_beta = beta[first_gate];
    var next_z = z[first_gate * SIZE + row];
    if thread == 0u {
        own_tokens = own_length;
    }
    let length = workgroupUniformLoad(&own_tokens);
    for (var t = 0u; t < length; t++) {
        let gate_at = first_gate + t * p.heads;
        let decay = exp(next_step * rate);
        let own_beta = next_beta;
        let own_z = next_z;
        // The next token's, or this one's again.
        let later = select(0u, 1u, t + 1u < length);
        next_step = steps[gate_at + later * p.heads];
        next_beta = beta[gate_at + later * p.heads];
        next_z = z[(gate_at + later * p.heads) * SIZE + row];
//#if CONV
//#each LAST
        let x#LAST = given;
//#done
        given = mixed[given_at + (t + later) * all_channels];
        var v = vec4<f32>();
//#each K
        v = fma(kernel#K, x#K, v);
//#done
//#each P
        x#P = x#(P+1);
//#done
        if convolves {
            channels[thread] = $MIXED;
        }
        workgroupBarrier();
//#else
        let at = mixed_at + t * all_channels;
        let q_at = at + head % p.key_heads * SIZE / 4u + lane;
        let k_at = q_at + key_channels / 4u;
//#endif
        var q_square = 0.0;
        var k_square = 0.0;
//#each C
//#if CONV
        let q#C = channels[lane + 4u * #Cu];
        let k#C = channels[SIZE / 4u + lane + 4u * #Cu];
//#else
        let q#C = mixed[q_at + 4u * #Cu];
        let k#C = mixed[k_at + 4u * #Cu];
//#endif
        q_square += dot(q#C, q#C);
        k_square += dot(k#C, k#C);
//#done
//#if CONV
        let value = channels[SIZE / 2u + row / 4u][row % 4u];
//#else
        let value = mixed[at + (2u * key_channels + head * SIZE + row) / 4u][row % 4u];
//#endif
        let q_unit = inverseSqrt(sum_of_lanes(q_square) + p.length_eps);
        let k_unit = inverseSqrt(sum_of_lanes(k_square) + p.length_eps);
        var read = 0.0;
//#each C
        m#C *= decay;
        read += dot(m#C, k#C);
//#done
        read = sum_of_lanes(read) * k_unit;
        let delta = (value - read) * own_beta;
        let k_step = delta * k_unit;
        var sum = 0.0;
//#each C
        m#C += k#C * k_step;
        sum += dot(m#C, q#C);
//#done
        sum = sum_of_lanes(sum) * (q_unit * p.scale);
        // The norm goes over all rows, which one lane of each has.
        let some = subgroupAdd(select(0.0, sum * sum, lane == 0u));
        let squares_at = (t & 1u) * SHARES;
        if place == 0u {
            squares[squares_at + subgroup] = some;
        }
        let earlier = length - 1u - t;
        if earlier < SNAPSHOTS {
            let to_at = first_at + earlier * stride;
//#each C
            state[to_at + 4u * #Cu] = m#C;
//#done
        }
        workgroupBarrier();
        var square = 0.0;
        for (var n = 0u; n < subgroups; n++) {
            square += squares[squares_at + n];
        }
        let inverse = inverseSqrt(square / f32(SIZE) + p.norm_eps);
        if lane == 0u {
            y[gate_at * SIZE + row] = sum * inverse * own_gain * $GATE(own_z);
        }
    }
//#if CONV
    if convolves && length > 0u {
//#each S
        inputs[inputs_at + #Su * all_channels] = s#S;
//#done
    }
//#endif
    for (var t = length; t < p.time; t++) {
        if lane == 0u {
            y[(first_gate + t * p.heads) * SIZE + row] = 0.0;
        }
    }
}
