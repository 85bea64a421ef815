//! Which of several differences between two settings is responsible for how much of the distance between their results.
//!
//! Every switch is thrown by itself, and taken back by itself from all of them. By itself it shows what it does; taken
//! back it shows whether something else does the same damage anyway.

/// One difference between the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// What it is called.
    pub name: String,
    /// Switches that must be thrown before this one means anything: a route of a device needs the device.
    pub needs: Vec<usize>,
}

/// What one switch does.
#[derive(Clone, Debug, PartialEq)]
pub struct Blame {
    /// The switch.
    pub name: String,
    /// The distance that it makes by itself, from a run with nothing but what it needs.
    pub alone: f64,
    /// The distance that is left when everything but it is thrown.
    pub without: f64,
    /// Its part of all distances that switches make by themselves.
    pub share: f64,
}

/// What all switches do.
#[derive(Clone, Debug, PartialEq)]
pub struct Bisection {
    /// The distance with all switches thrown.
    pub total: f64,
    /// From the largest share to the smallest.
    pub switches: Vec<Blame>,
}

/// A switch with no less than this share is responsible.
const RESPONSIBLE: f64 = 0.1;

impl Bisection {
    /// The switches that are responsible, the worst first.
    pub fn responsible(&self) -> impl Iterator<Item = &Blame> {
        self.switches.iter().filter(|b| b.share >= RESPONSIBLE)
    }
}

/// Throws every switch. `distance` measures how far a run with the second set of switches is from one with the first;
/// a set says for each switch whether it is thrown.
///
/// # Errors
/// The first of `distance`.
pub fn bisect<E>(
    switches: &[Switch],
    mut distance: impl FnMut(&[bool], &[bool]) -> Result<f64, E>,
) -> Result<Bisection, E> {
    let none = vec![false; switches.len()];
    let all = vec![true; switches.len()];
    let total = distance(&none, &all)?;
    let mut blames = Vec::with_capacity(switches.len());
    for (i, switch) in switches.iter().enumerate() {
        let mut base = none.clone();
        switch.needs.iter().for_each(|&n| base[n] = true);
        let mut thrown = base.clone();
        thrown[i] = true;
        let mut rest = all.clone();
        rest[i] = false;
        for (j, other) in switches.iter().enumerate() {
            rest[j] &= !other.needs.contains(&i);
        }
        let (alone, without) = (distance(&base, &thrown)?, distance(&none, &rest)?);
        blames.push(Blame { name: switch.name.clone(), alone, without, share: 0.0 });
    }
    let sum: f64 = blames.iter().map(|b| b.alone).sum();
    for blame in &mut blames {
        // Beside a distance without bounds all others are nothing.
        blame.share = match (blame.alone.is_infinite(), sum.is_infinite()) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => {
                if sum > 0.0 {
                    blame.alone / sum
                } else {
                    0.0
                }
            }
        };
    }
    blames.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(Bisection { total, switches: blames })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(name: &str, needs: &[usize]) -> Switch {
        Switch { name: name.into(), needs: needs.to_vec() }
    }

    /// Distances that add up: each thrown switch adds its own.
    fn additive(weights: &[f64]) -> impl Fn(&[bool], &[bool]) -> Result<f64, ()> + '_ {
        move |from, to| {
            let sum =
                |set: &[bool]| set.iter().zip(weights).map(|(on, w)| if *on { *w } else { 0.0 }).sum::<f64>();
            Ok((sum(to) - sum(from)).abs())
        }
    }

    #[test]
    fn the_worst_switch_comes_first_and_small_ones_are_not_blamed() {
        let switches = [switch("device", &[]), switch("int8", &[0]), switch("f16", &[0])];
        let b = bisect(&switches, additive(&[1.0, 90.0, 9.0])).unwrap();
        assert_eq!(b.total, 100.0);
        let names: Vec<&str> = b.switches.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["int8", "f16", "device"]);
        assert_eq!(b.switches[0], Blame { name: "int8".into(), alone: 90.0, without: 10.0, share: 0.9 });
        // Without the device its routes mean nothing.
        assert_eq!(b.switches[2].without, 0.0);
        assert_eq!(b.responsible().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["int8"]);
    }

    #[test]
    fn settings_without_a_difference_have_nobody_to_blame() {
        let b = bisect(&[switch("int8", &[])], additive(&[0.0])).unwrap();
        assert_eq!((b.total, b.switches[0].share), (0.0, 0.0));
        assert_eq!(b.responsible().count(), 0);
    }

    #[test]
    fn a_distance_without_bounds_takes_all_the_blame() {
        let b = bisect(&[switch("a", &[]), switch("b", &[])], additive(&[1.0, f64::INFINITY])).unwrap();
        assert_eq!((b.switches[0].name.as_str(), b.switches[0].share, b.switches[1].share), ("b", 1.0, 0.0));
    }
}
