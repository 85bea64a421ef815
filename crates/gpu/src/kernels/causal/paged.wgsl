// Stands for the score of a key that is not seen. Finite, so that differences of two of it are zero.
const LOWEST = -3e38;
// Set in the place of a key or value that is not in the cache yet.
const FRESH = 0x80000000u;

//#each X
//#if VECTORS
fn load_#X(at: u32, c: u32) -> vec4<f32> {
    return #X[at + c];
}
//#else
fn load_#X(at: u32, c: u32) -> vec4<f32> {
    let n = vec4(4u * c) + vec4(0u, 1u, 2u, 3u);
    let i = min(n, vec4(HEAD - 1u)) + at;
    return select(vec4(0.0), vec4(#X[i.x], #X[i.y], #X[i.z], #X[i.w]), n < vec4(HEAD));
}
//#endif
//#done
//#each S
//#if HALVES
fn load_#S(at: u32, c: u32) -> vec4<f32> {
    return from_halves(#S[at + c]);
}

fn store_#S(at: u32, c: u32, x: vec4<f32>) {
    #S[at + c] = to_halves(x);
}
//#endif
//#done
// A new key or value as it will be read once it is in the cache.
//#if HALVES
fn as_stored(x: vec4<f32>) -> vec4<f32> {
    return from_halves(to_halves(x));
}
//#else
fn as_stored(x: vec4<f32>) -> vec4<f32> {
    return x;
}
//#endif
//#each W
//#if VECTORS
fn store_#W(at: u32, c: u32, x: vec4<f32>) {
    #W[at + c] = x;
}
//#else
fn store_#W(at: u32, c: u32, x: vec4<f32>) {
    for (var n = 0u; n < 4u; n++) {
        if 4u * c + n < HEAD {
            #W[at + 4u * c + n] = x[n];
        }
    }
}
//#endif
//#done

// Tokens that a sequence had before, and how many are new.
fn extent(batch: u32) -> vec2<u32> {
    let capacity = PLACES * LISTED;
    let past = min(u32(max(sequences[2u * batch], 0)), capacity);
    let length = min(u32(max(sequences[2u * batch + 1u], 0)), min(p.time, capacity - past));
    return vec2(past, length);
}

// Where the cache has token n of a sequence.
fn stored_at(batch: u32, head: u32, n: u32) -> u32 {
    let rows = min(p.key_rows, p.value_rows);
    let page = min(u32(max(pages[batch * LISTED + n / PLACES], 0)), rows - 1u);
    return ((page * KEY_HEADS + head) * PLACES + n % PLACES) * HEAD;
}

// Where new token t of a sequence lies in k and v.
fn given_at(batch: u32, head: u32, t: u32) -> u32 {
    return ((batch * p.time + t) * KEY_HEADS + head) * HEAD;
}
