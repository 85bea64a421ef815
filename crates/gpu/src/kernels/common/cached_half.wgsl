// Numbers on their way to and from a cache of halves. Devices may round up or down when they pack, so numbers are rounded to the
// nearest half, ties to even, before; packing then has nothing left to round but what is smaller than the normal halves.
fn to_halves(x: vec4<f32>) -> vec2<u32> {
    let bits = bitcast<vec4<u32>>(clamp(x, vec4(-65504.0), vec4(65504.0)));
    let odd = (bits >> vec4(13u)) & vec4(1u);
    let near = bitcast<vec4<f32>>((bits + vec4(0xfffu) + odd) & vec4(0xffffe000u));
    return vec2(pack2x16float(near.xy), pack2x16float(near.zw));
}

fn from_halves(h: vec2<u32>) -> vec4<f32> {
    return vec4(unpack2x16float(h.x), unpack2x16float(h.y));
}
