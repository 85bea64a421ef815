//! Samples on their way to the device: one thread puts them in, the device's takes them out, and neither waits for the other.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A bounded ring of samples for one writer and one reader.
pub(super) struct Ring {
    /// Bits of f32.
    samples: Box<[AtomicU32]>,
    /// Samples put in and taken out so far; their difference is what is there.
    written: AtomicUsize,
    taken: AtomicUsize,
    /// Whether nothing more will come.
    ended: AtomicBool,
    /// Samples that were wanted between the first and the last and were not there, and how often that began.
    missing: AtomicU64,
    gaps: AtomicU64,
    /// Whether the last reading found too little; of the reader alone.
    starving: AtomicBool,
}

impl Ring {
    pub(super) fn new(size: usize) -> Self {
        Self {
            samples: (0..size.max(1)).map(|_| AtomicU32::new(0)).collect(),
            written: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            missing: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            starving: AtomicBool::new(false),
        }
    }

    /// Puts in as many as there is room for, and tells how many.
    pub(super) fn put(&self, samples: &[f32]) -> usize {
        let written = self.written.load(Ordering::Relaxed);
        let there = written.wrapping_sub(self.taken.load(Ordering::Acquire));
        let count = samples.len().min(self.samples.len() - there);
        for (i, sample) in samples.iter().take(count).enumerate() {
            self.slot(written.wrapping_add(i)).store(sample.to_bits(), Ordering::Relaxed);
        }
        self.written.store(written.wrapping_add(count), Ordering::Release);
        count
    }

    /// Takes the next `frames` samples, one at a time, silence where there are none.
    pub(super) fn take(&self, frames: usize, mut each: impl FnMut(f32)) {
        let taken = self.taken.load(Ordering::Relaxed);
        // Asked before what is there, or the last samples could come in between and be called missing.
        let ended = self.ended.load(Ordering::Acquire);
        let there = self.written.load(Ordering::Acquire).wrapping_sub(taken);
        let count = frames.min(there);
        for i in 0..count {
            each(f32::from_bits(self.slot(taken.wrapping_add(i)).load(Ordering::Relaxed)));
        }
        (count..frames).for_each(|_| each(0.0));
        self.taken.store(taken.wrapping_add(count), Ordering::Release);
        let starving = count < frames && !ended && taken.wrapping_add(count) > 0;
        if starving {
            self.missing.fetch_add((frames - count) as u64, Ordering::Relaxed);
        }
        if starving && !self.starving.load(Ordering::Relaxed) {
            self.gaps.fetch_add(1, Ordering::Relaxed);
        }
        self.starving.store(starving, Ordering::Relaxed);
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Samples that wait to be taken.
    pub(super) fn waiting(&self) -> usize {
        let taken = self.taken.load(Ordering::Acquire);
        self.written.load(Ordering::Acquire).wrapping_sub(taken)
    }

    /// How often samples were missing, and how many.
    pub(super) fn gaps(&self) -> (u64, u64) {
        (self.gaps.load(Ordering::Relaxed), self.missing.load(Ordering::Relaxed))
    }

    fn slot(&self, at: usize) -> &AtomicU32 {
        &self.samples[at % self.samples.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    fn taken(ring: &Ring, frames: usize) -> Vec<f32> {
        let mut out = Vec::new();
        ring.take(frames, |x| out.push(x));
        out
    }

    #[test]
    fn samples_come_out_as_they_went_in_and_no_more_than_fit() {
        let ring = Ring::new(4);
        assert_eq!(ring.put(&[1.0, 2.0, 3.0]), 3);
        assert_eq!(ring.put(&[4.0, 5.0]), 1);
        assert_eq!((ring.waiting(), taken(&ring, 3)), (4, vec![1.0, 2.0, 3.0]));
        assert_eq!(ring.put(&[5.0, 6.0, 7.0, 8.0]), 3);
        assert_eq!(taken(&ring, 4), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(ring.gaps(), (0, 0));
    }

    #[test]
    fn what_is_missing_is_silence_and_counted_between_the_first_and_the_last_sample() {
        let ring = Ring::new(8);
        assert_eq!((taken(&ring, 5), ring.gaps()), (vec![0.0; 5], (0, 0)), "nothing has begun");
        ring.put(&[1.0; 3]);
        assert_eq!(taken(&ring, 5), [1.0, 1.0, 1.0, 0.0, 0.0]);
        taken(&ring, 4);
        assert_eq!(ring.gaps(), (1, 6));
        ring.put(&[1.0; 4]);
        taken(&ring, 4);
        taken(&ring, 1);
        assert_eq!(ring.gaps(), (2, 7));
        ring.end();
        taken(&ring, 100);
        assert_eq!(ring.gaps(), (2, 7), "after the end nothing is missing");
    }

    #[test]
    fn two_threads_lose_nothing() {
        let ring = Ring::new(64);
        let count = 100_000;
        let heard = std::thread::scope(|scope| {
            scope.spawn(|| {
                let all: Vec<f32> = (1..=count).map(|i| i as f32).collect();
                let mut rest = &all[..];
                while !rest.is_empty() {
                    let put = ring.put(&rest[..rest.len().min(37)]);
                    rest = &rest[put..];
                }
                ring.end();
            });
            let mut heard = Vec::new();
            while heard.len() < count {
                heard.extend(taken(&ring, 23).into_iter().filter(|&x| x != 0.0));
            }
            heard
        });
        assert!(heard.iter().zip(1..).all(|(&x, i)| x == i as f32) && heard.len() == count);
    }
}
