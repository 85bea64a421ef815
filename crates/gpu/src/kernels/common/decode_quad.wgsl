// Elements 4 quad .. 4 quad + 4 of a row; those past the row's end are zero.
fn decode_quad(row: u32, quad: u32) -> vec4<f32> {
//#if UNPADDED
    let at = row * p.low_stride + 4u * quad;
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
        if 4u * quad + i < p.low_stride {
            v[i] = low[at + i];
        }
    }
    return v;
//#endif
//#if F32
    return low[row * p.low_stride + quad];
//#endif
//#if F16
    return from_f16(low[row * p.low_stride + quad]);
//#endif
//#if BF16
    return from_bf16(low[row * p.low_stride + quad]);
//#endif
//#if BLOCKS
//#if BITS8
    let word = low[row * p.low_stride + quad];
//#else
    var word = (low[row * p.low_stride + quad / 2u] >> (4u * (quad & 1u))) & 0x0f0f0f0fu;
//#endif
//#if BITS5
    word |= ((high[row * p.high_stride + quad / 8u] >> (quad & 7u)) & 0x01010101u) << 4u;
//#endif
//#if BITS6
    word |= ((high[row * p.high_stride + quad / 4u] >> (2u * (quad & 3u))) & 0x03030303u) << 4u;
//#endif
    let group = quad / $GROUP_QUADSu;
    let s = scale_of(scale_words(row, group), group);
//#if MINS
    return s.x * levels(word) - vec4<f32>(s.y);
//#else
    return s.x * levels(word);
//#endif
//#endif
}
