// Only the first fault is kept: later ones are often its consequences.
fn report(found: i32) {
    if atomicMax(&faults[0], 0u) == 0u {
        atomicStore(&faults[0], p.step);
        atomicStore(&faults[1], bitcast<u32>(found));
    }
}

// Whether a number that should be whole is, and within 0 and `most`.
fn is_whole(number: f32, most: u32) -> bool {
    return number >= 0.0 && number <= f32(most) && trunc(number) == number;
}

fn report_number(number: f32) {
    report(i32(clamp(number, -2147483520.0, 2147483520.0)));
}
