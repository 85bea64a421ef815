//! Numbered places in the device's memory, counted by who holds them: rows of recurrent states, pages of keys and values.
//!
//! A page of a beginning that several sequences share has several holders and is free when the last one lets go. Places are made as
//! they are needed, up to a limit.

/// Places of one kind.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Holders of each place that was made.
    holders: Vec<u32>,
    free: Vec<u32>,
    limit: usize,
}

impl Slots {
    /// None made yet, `limit` at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self { holders: Vec::new(), free: Vec::new(), limit: limit.min(u32::MAX as usize) }
    }

    /// Places that were made.
    pub(crate) fn made(&self) -> usize {
        self.holders.len()
    }

    /// Places there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Places that somebody holds.
    pub(crate) fn used(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    /// Places that can be had without taking one from a holder.
    pub(crate) fn spare(&self) -> usize {
        self.limit - self.used()
    }

    /// Who holds it, in number.
    pub(crate) fn holders(&self, slot: u32) -> u32 {
        self.holders.get(slot as usize).copied().unwrap_or(0)
    }

    /// Takes note that `made` places are there now.
    pub(crate) fn grow(&mut self, made: usize) {
        for slot in self.holders.len()..made.min(self.limit) {
            self.holders.push(0);
            self.free.push(slot as u32);
        }
    }

    /// Gives up on making more than there are.
    pub(crate) fn stop_growing(&mut self) {
        self.limit = self.holders.len();
    }

    /// A place with one holder, if one of those made is free.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let slot = self.free.pop()?;
        self.holders[slot as usize] = 1;
        Some(slot)
    }

    /// One more holder of a place that has some.
    pub(crate) fn share(&mut self, slot: u32) {
        debug_assert!(self.holders(slot) > 0, "place {slot} is nobody's");
        if let Some(holders) = self.holders.get_mut(slot as usize) {
            *holders += 1;
        }
    }

    /// One holder less.
    pub(crate) fn release(&mut self, slot: u32) {
        debug_assert!(self.holders(slot) > 0, "place {slot} is nobody's");
        if let Some(holders) = self.holders.get_mut(slot as usize)
            && *holders > 0
        {
            *holders -= 1;
            if *holders == 0 {
                self.free.push(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Act {
        Take,
        Share(usize),
        Release(usize),
        Grow(usize),
        Stop,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => Just(Act::Take),
            3 => (0usize..40).prop_map(Act::Share),
            6 => (0usize..40).prop_map(Act::Release),
            3 => (0usize..24).prop_map(Act::Grow),
            1 => Just(Act::Stop),
        ];
        prop::collection::vec(act, 0..200)
    }

    proptest! {
        /// Against a map from place to holders: nothing is given out twice, nothing is lost, nothing goes past the limit.
        #[test]
        fn counts_are_those_of_a_map(limit in 0usize..20, acts in acts()) {
            let mut slots = Slots::new(limit);
            let (mut held, mut made, mut limit) = (BTreeMap::<u32, u32>::new(), 0usize, limit);
            for act in acts {
                let pick = |n: usize| held.keys().nth(n % held.len().max(1)).copied();
                match act {
                    Act::Take => match slots.take() {
                        Some(slot) => {
                            prop_assert!((slot as usize) < made);
                            prop_assert!(held.insert(slot, 1).is_none());
                        }
                        None => prop_assert_eq!(held.len(), made),
                    },
                    Act::Share(n) => if let Some(slot) = pick(n) {
                        slots.share(slot);
                        *held.entry(slot).or_default() += 1;
                    },
                    Act::Release(n) => if let Some(slot) = pick(n) {
                        slots.release(slot);
                        let left = held[&slot] - 1;
                        if left == 0 { held.remove(&slot); } else { held.insert(slot, left); }
                    },
                    Act::Grow(n) => {
                        slots.grow(n);
                        made = made.max(n.min(limit));
                    }
                    Act::Stop => {
                        slots.stop_growing();
                        limit = made;
                    }
                }
                prop_assert_eq!((slots.made(), slots.used()), (made, held.len()));
                prop_assert_eq!((slots.limit(), slots.spare()), (limit, limit - held.len()));
                for slot in 0..made as u32 {
                    prop_assert_eq!(slots.holders(slot), held.get(&slot).copied().unwrap_or(0));
                }
            }
        }
    }
}
