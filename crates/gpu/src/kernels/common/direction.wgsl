// The upper 32 bits of a product.
fn upper(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let first = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let second = (a & 0xffffu) * (b >> 16u) + (first & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u);
}

// Cosine and sine of a fraction of a turn, in 2^-32: the nearest quarter is taken off, an eighth of a turn is left at most.
fn direction(turns: u32) -> vec2<f32> {
    let quarter = (turns + 0x20000000u) >> 30u;
    let a = f32(bitcast<i32>(turns - (quarter << 30u))) * 1.4629180792671596e-9;
    let b = a * a;
    let sine = a + a * b * (-0.16666667 + b * (0.008333333 + b * (-0.00019841270 + b * 2.7557319e-6)));
    let cosine = 1.0 + b * (-0.5 + b * (0.041666668 + b * (-0.0013888889 + b * (2.4801587e-5 - b * 2.7557319e-7))));
    let swapped = select(vec2<f32>(cosine, sine), vec2<f32>(sine, cosine), (quarter & 1u) == 1u);
    // Quarters: (c, s), (-s, c), (-c, -s), (s, -c).
    let signs = vec2<bool>(((quarter + 1u) & 2u) != 0u, (quarter & 2u) != 0u);
    return select(swapped, -swapped, signs);
}
