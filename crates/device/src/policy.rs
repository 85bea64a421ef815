//! Precision as a policy with named routes.
//!
//! `exact` computes with float activations and the plain formulas: the reference drift is measured against. `fast`
//! may take the device's fast routes. Every route has a name and a switch, so that drift can be bisected.

use mynah_graph::StateElem;
use std::collections::BTreeMap;

/// Which family of formulas is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Float activations, plain formulas.
    Exact,
    /// Fast routes allowed.
    #[default]
    Fast,
}

/// A faster way to compute something, with other rounding than the exact way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What the switch is called.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
}

/// Caches of keys and values in halves. Models ask for it when they declare their states, so a device that lists it must take such
/// states in every op that may name one.
pub const F16_CACHE: Route = Route {
    name: "f16-cache",
    about: "keys and values of causal attention kept as 16-bit floats: half the memory, and half of it read for each token",
};

/// The precision and the switches thrown by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What holds for routes without a switch.
    pub precision: Precision,
    /// Routes switched on or off by name.
    pub switches: BTreeMap<String, bool>,
}

impl Policy {
    /// The reference policy.
    pub fn exact() -> Self {
        Self { precision: Precision::Exact, switches: BTreeMap::new() }
    }

    /// Whether a route may be taken.
    pub fn allows(&self, route: &Route) -> bool {
        self.switches.get(route.name).copied().unwrap_or(self.precision == Precision::Fast)
    }

    /// How caches of keys and values are stored on a device that has these routes.
    pub fn cache_elem(&self, routes: &[Route]) -> StateElem {
        if routes.contains(&F16_CACHE) && self.allows(&F16_CACHE) { StateElem::F16 } else { StateElem::F32 }
    }

    /// Reads switches such as `int8-dot=off,bf16-dot=on` into the policy.
    ///
    /// # Errors
    /// The part that is not `name=on` or `name=off`, or names no route of `known`.
    pub fn switch(&mut self, list: &str, known: &[Route]) -> Result<(), String> {
        for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, on) = match part.split_once('=') {
                Some((name, "on")) => (name, true),
                Some((name, "off")) => (name, false),
                _ => return Err(format!("'{part}' is not NAME=on or NAME=off")),
            };
            if !known.iter().any(|r| r.name == name) {
                let names: Vec<&str> = known.iter().map(|r| r.name).collect();
                return Err(format!("there is no route '{name}'; this device has: {}", names.join(", ")));
            }
            self.switches.insert(name.to_owned(), on);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT8: Route = Route { name: "int8-dot", about: "" };

    #[test]
    fn a_switch_beats_the_precision() {
        let mut policy = Policy::exact();
        assert!(!policy.allows(&INT8));
        policy.switch("int8-dot=on", &[INT8]).unwrap();
        assert!(policy.allows(&INT8));
    }

    #[test]
    fn caches_are_halves_where_route_and_device_allow_it() {
        let fast = Policy::default();
        assert_eq!(fast.cache_elem(&[INT8, F16_CACHE]), StateElem::F16);
        assert_eq!(fast.cache_elem(&[INT8]), StateElem::F32);
        assert_eq!(Policy::exact().cache_elem(&[F16_CACHE]), StateElem::F32);
        let mut off = Policy::default();
        off.switch("f16-cache=off", &[F16_CACHE]).unwrap();
        assert_eq!(off.cache_elem(&[F16_CACHE]), StateElem::F32);
    }

    #[test]
    fn unknown_routes_are_refused_by_name() {
        let error = Policy::default().switch("int9-dot=on", &[INT8]).unwrap_err();
        assert_eq!(error, "there is no route 'int9-dot'; this device has: int8-dot");
        assert!(Policy::default().switch("int8-dot=maybe", &[INT8]).is_err());
    }
}
