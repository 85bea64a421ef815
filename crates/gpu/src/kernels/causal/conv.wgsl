// The taps of a thread's channels.
fn tap(channel: u32, k: u32) -> $TYPE {
//#if VECTORS
    let at = 4u * channel * TAPS + k;
    return vec4(weight[at], weight[at + TAPS], weight[at + 2u * TAPS], weight[at + 3u * TAPS]);
//#else
    return weight[channel * TAPS + k];
//#endif
}

// A thread has TOKENS tokens of one channel, or of four. The inputs it looks at are in registers and move on by one with each token.
@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let channel = wid.x * WG_X + lane;
    if channel >= p.channels {
        return;
    }
    let first = wid.y * TOKENS;
    let batch = wid.z;
    let row = min(u32(max(sequences[3u * batch], 0)), p.rows - 1u);
    let length = min(u32(max(sequences[3u * batch + 1u], 0)), p.time);
    let left_out = min(u32(max(sequences[3u * batch + 2u], 0)), SNAPSHOTS - 1u);
    let stored = row * KEPT * p.channels + channel;
    let given = batch * p.time * p.channels + channel;
    // Inputs of the state that count; they are as many as a window needs.
    let past = KEPT - left_out;

    if first < length {
//#each K
        let w#K = tap(channel, #Ku);
//#done
//#each P
        var x#P: $TYPE;
//#done
        if first == 0u {
//#each P
            x#P = state[stored + (past + #Pu + 1u - TAPS) * p.channels];
//#done
        } else {
//#each P
            x#P = x[given + (first + #Pu + 1u - TAPS) * p.channels];
//#done
        }
        for (var t = first; t < min(first + TOKENS, length); t++) {
//#each LAST
            let x#LAST = x[given + t * p.channels];
//#done
            var v = $TYPE(0.0);
//#each K
            v = fma(w#K, x#K, v);
//#done
            y[given + t * p.channels] = $RESULT;
//#each P
            x#P = x#(P+1);
//#done
        }
    }
    for (var t = max(first, length); t < min(first + TOKENS, p.time); t++) {
        y[given + t * p.channels] = $TYPE(0.0);
    }
    if first == 0u && length > 0u {
        // What was left out and not replaced is gone: zeros stand in its place.
//#each S
        var s#S = $TYPE(0.0);
        let n#S = i32(#Su + length) - i32(left_out);
        if n#S >= i32(past) {
            s#S = x[given + (u32(n#S) - past) * p.channels];
        } else if n#S >= 0 {
            s#S = state[stored + u32(n#S) * p.channels];
        }
//#done
//#each S
        state[stored + #Su * p.channels] = s#S;
//#done
    }
}
