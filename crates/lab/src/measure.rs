//! How far two lists of numbers are apart.

/// The distance between computed elements and their reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    /// Energy of the difference over energy of the reference; 0 where both are all zero, infinite where only the
    /// reference is, or where an element is not a number on one side.
    pub nmse: f64,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest absolute difference over the reference's root mean square.
    pub max_relative: f64,
    /// Where the largest difference is.
    pub worst: usize,
    /// The element found there.
    pub found: f64,
    /// The element the reference has there.
    pub wanted: f64,
}

impl Error {
    /// Whether the error stays within a bound on [`Error::nmse`]. A single wrong element hides in the mean of a large
    /// tensor, so none may be further off than 16 times what the bound allows on average.
    pub fn within(&self, bound: f64) -> bool {
        self.nmse <= bound && self.max_relative <= 16.0 * bound.sqrt()
    }
}

/// Compares computed elements with a reference. Infinities and NaN agree with themselves only.
pub fn compare(found: &[f64], wanted: &[f64]) -> Error {
    let mut e = Error { nmse: 0.0, max_abs: 0.0, max_relative: 0.0, worst: 0, found: 0.0, wanted: 0.0 };
    if found.len() != wanted.len() {
        return Error { nmse: f64::INFINITY, max_abs: f64::INFINITY, max_relative: f64::INFINITY, ..e };
    }
    let (mut difference, mut energy) = (0.0, 0.0);
    for (i, (&f, &w)) in found.iter().zip(wanted).enumerate() {
        let same = f == w || (f.is_nan() && w.is_nan());
        let d = if same { 0.0 } else { (f - w).abs() };
        let d = if d.is_nan() { f64::INFINITY } else { d };
        difference += d * d;
        energy += if w.is_finite() { w * w } else { 0.0 };
        if d > e.max_abs || i == 0 {
            (e.max_abs, e.worst, e.found, e.wanted) = (d, i, f, w);
        }
    }
    let over = |part: f64, whole: f64| if part == 0.0 { 0.0 } else { part / whole };
    e.nmse = over(difference, energy);
    e.max_relative = over(e.max_abs, (energy / found.len().max(1) as f64).sqrt());
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_by_hand() {
        // Differences 0 and 1, energy 9 + 16.
        let e = compare(&[3.0, 5.0], &[3.0, 4.0]);
        assert_eq!((e.nmse, e.max_abs, e.worst, e.found, e.wanted), (0.04, 1.0, 1, 5.0, 4.0));
        assert_eq!(e.max_relative, 1.0 / 12.5f64.sqrt());
    }

    #[test]
    fn zeros_and_what_is_no_number() {
        assert_eq!(compare(&[0.0], &[0.0]).nmse, 0.0);
        assert_eq!(compare(&[], &[]).nmse, 0.0);
        assert_eq!(compare(&[1e-30], &[0.0]).nmse, f64::INFINITY);
        assert_eq!(compare(&[f64::NAN, 1.0], &[1.0, 1.0]).nmse, f64::INFINITY);
        assert_eq!(compare(&[1.0], &[f64::NAN]).nmse, f64::INFINITY);
        assert_eq!(compare(&[f64::NEG_INFINITY, 1.0], &[f64::NEG_INFINITY, 1.0]).nmse, 0.0);
        assert_eq!(compare(&[1.0], &[1.0, 2.0]).nmse, f64::INFINITY);
        assert!(!compare(&[f64::NAN], &[1.0]).within(1e9));
    }

    #[test]
    fn one_wrong_element_does_not_hide() {
        let wanted = vec![1.0; 100_000];
        let mut found = wanted.clone();
        found[77] = 2.0;
        let e = compare(&found, &wanted);
        assert!(e.nmse <= 1e-4 && !e.within(1e-4), "{e:?}");
        assert_eq!(e.worst, 77);
        assert!(compare(&wanted, &wanted).within(0.0));
    }
}
