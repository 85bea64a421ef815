//! Back from the units of the chosen experts to the width of the tokens, weighted and summed.
//!
//! The rows come out of their experts in the order of the experts and are summed in that of the ids, so sums depend on nothing but
//! the token.

use super::assign::Assignments;
use crate::elementwise::rows_per_task;
use crate::matmul::{Group, GroupedProduct};
use crate::memory::ScratchNeed;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct Down {
    h: Operand,
    ids: Operand,
    weights: Operand,
    down: GroupedProduct,
    out: Target,
    isa: Isa,
    /// Rows of `h`, and how many of them are a token's.
    rows: usize,
    used: usize,
    k: usize,
    n: usize,
    /// Rows of a task.
    most: usize,
    threads: usize,
}

/// Compiles the products and their sum.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let (k, n, rows) = (bind.shape(0).last(), bind.out_shape().last(), bind.shape(1).numel());
    let down = GroupedProduct::new(bind, 3, 0, [n, k])?;
    Ok(Box::new(Down {
        h: bind.operand(0)?,
        ids: bind.operand(1)?,
        weights: bind.operand(2)?,
        out: bind.target()?,
        isa: bind.isa(),
        used: bind.shape(1).last(),
        most: down.most_rows().min(rows),
        down,
        rows,
        k,
        n,
        threads: bind.threads(),
    }))
}

impl Kernel for Down {
    fn name(&self) -> String {
        format!("expert_down/{}", self.down.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let private = self.down.packed(self.most) + self.down.scratch(self.most);
        ScratchNeed { shared: 4 * self.rows * self.n, private: 4 * private }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (h, ids) = (launch.read(&self.h), launch.read_i32(&self.ids));
        let assigned = Assignments::new(ids, self.down.experts())?;
        let order = &assigned.order;
        let shares = assigned.shares(self.most, self.down.panels(), self.threads);
        let products = launch.scratch().shared(0, self.rows * self.n);
        launch.pool().run(shares.len(), &|task| {
            let (share, private) = (&shares[task.index], launch.scratch().private(task.thread));
            // SAFETY: the private part belongs to this thread.
            let private = unsafe { private.slice(0..private.len()) };
            let (packed, scratch) = private.split_at_mut(self.down.packed(self.most));
            let rows = &order[share.rows.clone()];
            let group = Group { expert: share.expert, rows: rows.len(), panels: share.panels.clone() };
            let row = |i: usize| &h[rows[i] as usize * self.k..(rows[i] as usize + 1) * self.k];
            self.down.pack(group.rows, row, packed);
            // SAFETY: each task has rows or panels of its own.
            unsafe {
                let out = products.part(share.rows.start * self.n, rows.len() * self.n);
                self.down.multiply(&group, packed, scratch, out);
            }
        })?;
        self.sum(launch, order)
    }
}

impl Down {
    /// Sums each token's products, which lie in the shared scratch in the order `order`.
    fn sum(&self, launch: &Launch<'_>, order: &[u32]) -> Result<(), Fault> {
        let (weights, out) = (launch.read(&self.weights), launch.output(&self.out));
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(sorted, &place)| places[place as usize] = sorted);
        let products = launch.scratch().shared(0, self.rows * self.n);
        // SAFETY: the products are there and only read from here on.
        let products = unsafe { products.slice(0..products.len()) };
        let (used, n) = (self.used, self.n);
        launch.pool().run_chunks(self.rows / used, rows_per_task(used * n), &|tokens| {
            for token in tokens {
                // SAFETY: rows are disjoint; the isa was checked by the device.
                unsafe {
                    let out = out.slice(token * n..(token + 1) * n);
                    let of_token = token * used..(token + 1) * used;
                    add_up(self.isa, &places[of_token.clone()], &weights[of_token], products, out);
                }
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// The sum of the rows `places` of `products`, each times its weight.
    fn add_up(places: &[usize], weights: &[f32], products: &[f32], out: &mut [f32]) = add_up_body;
}

#[inline(always)]
unsafe fn add_up_body<S: Simd>(s: S, places: &[usize], weights: &[f32], products: &[f32], out: &mut [f32]) {
    let n = out.len();
    assert!(places.iter().all(|&place| (place + 1) * n <= products.len()) && weights.len() == places.len());
    let (products, out) = (products.as_ptr(), out.as_mut_ptr());
    let mut i = 0;
    while i < n {
        let rest = n - i;
        let mut sum = s.zero();
        let mut j = 0;
        while j < places.len() {
            // SAFETY: the place's row is among the products, and no more than its rest is read.
            let y = unsafe {
                let row = products.add(places[j] * n + i);
                if rest >= S::LANES { s.load(row) } else { s.load_some(row, rest) }
            };
            sum = s.fma(s.splat(weights[j]), y, sum);
            j += 1;
        }
        // SAFETY: no more than the rest is written.
        unsafe {
            if rest >= S::LANES {
                s.store(out.add(i), sum);
            } else {
                s.store_some(out.add(i), sum, rest);
            }
        }
        i += S::LANES;
    }
}
