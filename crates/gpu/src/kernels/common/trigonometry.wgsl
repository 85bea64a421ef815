// Sines and cosines. WGSL lets a device be off by 2^-11 within half a turn and by anything beyond it, so the angle is reduced here.
// Up to 2^13 half turns π is taken off in three parts, of which so many multiples of the first two are exact; for the others
// integers twice and four times as large go with halves and quarters of the parts, since compilers that may reorder would else add
// the parts up again. Beyond, the angle is multiplied by as many digits of 1 / 2π as matter, in integers (Payne and Hanek 1983).
const FAR_ANGLE = 25735.0;
// 1 / 2π in binary, 32 digits each, after a word of zeros.
const TURN_DIGITS = array<u32, 8>(
    0u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau,
);

// Cosine and sine of the magnitude of a finite number of 1 or more.
fn far_direction(x: f32) -> vec2<f32> {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let digits = (bits & 0x7fffffu) | 0x800000u;
    // Digits up to the place of the angle's last make whole turns; this many are left out, those of the word of zeros among them.
    let skipped = (bits >> 23u) - 118u;
    let word = min(skipped / 32u, 5u);
    let shift = skipped % 32u;
    let first = TURN_DIGITS[word];
    let second = TURN_DIGITS[word + 1u];
    let third = TURN_DIGITS[word + 2u];
    // In two steps: by 32 a word can't be shifted.
    let high = (first << shift) | ((second >> 1u) >> (31u - shift));
    let low = (second << shift) | ((third >> 1u) >> (31u - shift));
    return direction(digits * high + upper(digits, low));
}

// The sine of what is left of an angle after `halves` halves of π are taken off, the sign turned for each second of them.
fn near_sine(x: f32, halves: i32) -> f32 {
    var r = fma(f32(halves), -1.5703125, x);
    r = fma(f32(halves << 1u), -0x1.fb4p-13f, r);
    r = fma(f32(halves << 2u), -0x1.4442d2p-26f, r);
    let u = r * r;
    var sum = fma(2.6347327e-6, u, -1.9822732e-4);
    sum = fma(sum, u, 8.3332425e-3);
    sum = fma(sum, u, -0.16666666);
    return fma(sum * u, r, r);
}

// What is no number, and infinity, give no number.
fn no_angle(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u;
}

fn sine(x: f32) -> f32 {
    if no_angle(x) {
        return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
    }
    if abs(x) > FAR_ANGLE {
        let s = far_direction(x).y;
        return select(s, -s, x < 0.0);
    }
    let n = i32(round(x * 0.318309886));
    let s = near_sine(x, n << 1u);
    return select(s, -s, (n & 1) == 1);
}

fn cosine(x: f32) -> f32 {
    if no_angle(x) {
        return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
    }
    if abs(x) > FAR_ANGLE {
        return far_direction(x).x;
    }
    // The sine of a quarter of a turn more.
    let n = i32(round(fma(x, 0.318309886, 0.5)));
    let s = near_sine(x, (n << 1u) - 1);
    return select(s, -s, (n & 1) == 1);
}

fn sine_squared(x: f32) -> f32 {
    let s = sine(x);
    return s * s;
}
