// Scale and minimum of a group, counted along the row.
fn group_scale(row: u32, group: u32) -> vec2<f32> {
    let start = row * p.scale_stride;
//#if PAIRED
    let both = unpack2x16float(scales[start + group / 2u]);
    return vec2<f32>(select(both.x, both.y, (group & 1u) == 1u), 0.0);
//#endif
//#if SCALE_AND_MIN
    return unpack2x16float(scales[start + group]);
//#endif
//#if SUB_MIN
    let record = start + group / 8u * 5u;
    let both = unpack2x16float(scales[record]);
    let word = record + 1u + (group & 7u) / 4u;
    return both * vec2<f32>(byte_of(scales[word], group & 3u), byte_of(scales[word + 2u], group & 3u));
//#endif
//#if SUB_SIGNED
    let record = start + group / 16u * 5u;
    let d = unpack2x16float(scales[record]).x;
    let sub = signed_byte_of(scales[record + 1u + (group & 15u) / 4u], group & 3u);
    return vec2<f32>(d * sub, 0.0);
//#endif
}
