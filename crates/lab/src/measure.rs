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

/// The distance between two lists as a whole, for reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Root mean square of the difference.
    pub rms: f64,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Cosine of the angle between them; 1 for two lists of zeros, 0 where only one is, or where an element is no number.
    pub cosine: f64,
    /// As [`Error::nmse`].
    pub nmse: f64,
}

/// Measures how far `found` is from `wanted`. Lists of different lengths are infinitely far apart.
pub fn difference(found: &[f64], wanted: &[f64]) -> Difference {
    let error = compare(found, wanted);
    let unlike = Difference { rms: f64::INFINITY, max_abs: f64::INFINITY, cosine: 0.0, nmse: f64::INFINITY };
    if found.len() != wanted.len() {
        return unlike;
    }
    let sum = |f: &dyn Fn(f64, f64) -> f64| found.iter().zip(wanted).map(|(&a, &b)| f(a, b)).sum::<f64>();
    let squares = sum(&|a, b| if a == b { 0.0 } else { (a - b) * (a - b) });
    let (dot, left, right) = (sum(&|a, b| a * b), sum(&|a, _| a * a), sum(&|_, b| b * b));
    let cosine = match (left == 0.0, right == 0.0) {
        // Rounding must not part what is the same, nor make more of it than the same.
        _ if squares == 0.0 && left.is_finite() => 1.0,
        (false, false) => (dot / (left.sqrt() * right.sqrt())).clamp(-1.0, 1.0),
        _ => 0.0,
    };
    let number = |x: f64, otherwise: f64| if x.is_nan() { otherwise } else { x };
    Difference {
        rms: number((squares / found.len().max(1) as f64).sqrt(), f64::INFINITY),
        max_abs: error.max_abs,
        cosine: number(cosine, 0.0),
        nmse: error.nmse,
    }
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
    fn differences_by_hand() {
        // Differences 0 and 1; 9 + 20 over 5 and the root of 34.
        let d = difference(&[3.0, 5.0], &[3.0, 4.0]);
        assert_eq!((d.rms, d.max_abs, d.nmse), (0.5f64.sqrt(), 1.0, 0.04));
        assert!((d.cosine - 29.0 / (34.0f64.sqrt() * 5.0)).abs() < 1e-15);
        assert_eq!(difference(&[0.0], &[0.0]).cosine, 1.0);
        assert_eq!(difference(&[0.1, 0.3, 0.7], &[0.1, 0.3, 0.7]).cosine, 1.0);
        assert_eq!(difference(&[], &[]), Difference { rms: 0.0, max_abs: 0.0, cosine: 1.0, nmse: 0.0 });
        assert_eq!(difference(&[1.0], &[0.0]).cosine, 0.0);
        let nan = difference(&[f64::NAN, 1.0], &[1.0, 1.0]);
        assert_eq!((nan.rms, nan.max_abs, nan.cosine), (f64::INFINITY, f64::INFINITY, 0.0));
        assert_eq!(difference(&[1.0], &[1.0, 2.0]).rms, f64::INFINITY);
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
