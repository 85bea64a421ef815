// Eight numbers as halves, the first in the low bits.
fn halves(first: vec4<f32>, second: vec4<f32>) -> vec4<u32> {
    let a = in_range(first);
    let b = in_range(second);
    return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}
