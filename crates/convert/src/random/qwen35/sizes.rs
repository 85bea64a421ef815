//! The sizes of the released models, and tiny ones for tests.

use crate::qwen35::{Architecture, Config, Experts};

/// A size by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::random) struct Size {
    /// Name of the released model, or one that ends in `tiny`.
    pub(in crate::random) name: &'static str,
    architecture: Architecture,
    layers: usize,
    hidden: usize,
    /// Inner width of a dense feed-forward part.
    feed_forward: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    key_heads: usize,
    value_heads: usize,
    state: usize,
    experts: Option<Experts>,
    tied: bool,
    vocabulary: usize,
}

/// What the sizes have in common, from which each row departs.
const BASE: Size = Size {
    name: "",
    architecture: Architecture::Qwen35,
    layers: 24,
    hidden: 1024,
    feed_forward: 3584,
    heads: 8,
    kv_heads: 2,
    head_dim: 256,
    key_heads: 16,
    value_heads: 16,
    state: 128,
    experts: None,
    tied: true,
    vocabulary: 248_320,
};

const ROUTED: Size = Size {
    architecture: Architecture::Qwen35Moe,
    hidden: 2048,
    heads: 16,
    value_heads: 32,
    tied: false,
    ..BASE
};

const TINY: Size = Size {
    layers: 4,
    hidden: 256,
    feed_forward: 512,
    heads: 4,
    kv_heads: 2,
    head_dim: 64,
    key_heads: 2,
    value_heads: 4,
    state: 64,
    vocabulary: 2048,
    ..BASE
};

const TINY_EXPERTS: Option<Experts> = Some(Experts { count: 16, used: 4, feed_forward: 256, shared: 256 });

/// All sizes.
pub(in crate::random) const SIZES: [Size; 10] = [
    Size { name: "qwen3.5-0.8b", ..BASE },
    Size { name: "qwen3.5-2b", hidden: 2048, feed_forward: 6144, ..BASE },
    Size {
        name: "qwen3.5-4b",
        layers: 32,
        hidden: 2560,
        feed_forward: 9216,
        heads: 16,
        kv_heads: 4,
        value_heads: 32,
        ..BASE
    },
    Size {
        name: "qwen3.5-9b",
        layers: 32,
        hidden: 4096,
        feed_forward: 12288,
        heads: 16,
        kv_heads: 4,
        value_heads: 32,
        tied: false,
        ..BASE
    },
    Size {
        name: "qwen3.5-27b",
        layers: 64,
        hidden: 5120,
        feed_forward: 17408,
        heads: 24,
        kv_heads: 4,
        value_heads: 48,
        tied: false,
        ..BASE
    },
    Size {
        name: "qwen3.5-35b-a3b",
        layers: 40,
        experts: Some(Experts { count: 256, used: 8, feed_forward: 512, shared: 512 }),
        ..ROUTED
    },
    Size {
        name: "qwen3-next-80b-a3b",
        architecture: Architecture::Qwen3Next,
        layers: 48,
        feed_forward: 5120,
        experts: Some(Experts { count: 512, used: 10, feed_forward: 512, shared: 512 }),
        vocabulary: 151_936,
        ..ROUTED
    },
    Size { name: "qwen3.5-tiny", ..TINY },
    Size {
        name: "qwen3.5-moe-tiny",
        architecture: Architecture::Qwen35Moe,
        experts: TINY_EXPERTS,
        tied: false,
        ..TINY
    },
    Size {
        name: "qwen3-next-tiny",
        architecture: Architecture::Qwen3Next,
        experts: TINY_EXPERTS,
        tied: false,
        ..TINY
    },
];

/// Every fourth layer is one of full attention.
const INTERVAL: usize = 4;

impl Size {
    /// The configuration, with the predicting layer if asked for.
    pub(super) fn config(&self, predicting: bool) -> Config {
        let rotary = self.head_dim / 4;
        // A third of the pairs each for height and width, the rest for time; 11, 11 and 10 of 32.
        let third = i32::try_from((rotary / 2).div_ceil(3)).unwrap_or(0);
        let rest = i32::try_from(rotary / 2).unwrap_or(0) - 2 * third;
        let next = self.architecture == Architecture::Qwen3Next;
        let dense = self.architecture != Architecture::Qwen35Moe;
        Config {
            name: format!("random-{}", self.name),
            architecture: self.architecture,
            vocabulary: self.vocabulary,
            layers: self.layers,
            predicting: usize::from(predicting),
            context: 262_144,
            hidden: self.hidden,
            feed_forward: dense.then_some(self.feed_forward),
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            rotary,
            sections: (!next).then_some([third, third, rest, 0]),
            theta: 1e7,
            eps: 1e-6,
            experts: self.experts,
            kernel: 4,
            key_heads: self.key_heads,
            value_heads: self.value_heads,
            state: self.state,
            recurrent: Some((1..=self.layers).map(|layer| !layer.is_multiple_of(INTERVAL)).collect()),
            interval: INTERVAL,
            tied: self.tied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qwen35::tensors;

    /// Parameters of each size that llama.cpp reports for the released files, in hundredths of a million.
    #[test]
    fn parameters_are_those_of_the_released_models() {
        let millions = |name: &str| {
            let size = SIZES.iter().find(|size| size.name == name).unwrap();
            let count: usize = tensors(&size.config(false)).iter().map(|t| t.shape.numel()).sum();
            count as f64 / 1e6
        };
        assert_eq!(millions("qwen3.5-0.8b"), 752.393_024);
        for (name, published) in [
            ("qwen3.5-2b", 1880.0),
            ("qwen3.5-4b", 4210.0),
            ("qwen3.5-9b", 8950.0),
            ("qwen3.5-27b", 26_900.0),
            ("qwen3.5-35b-a3b", 34_660.0),
            ("qwen3-next-80b-a3b", 79_670.0),
        ] {
            let found = millions(name);
            assert!((found - published).abs() <= 5.0, "{name}: {found} M");
        }
    }

    #[test]
    fn tensors_of_the_smallest() {
        let small = SIZES[0].config(false);
        let list = tensors(&small);
        let flat = list.iter().filter(|t| t.shape.rank() == 1 || t.name.contains("conv1d"));
        assert_eq!((list.len(), flat.count()), (320, 133));
        // The predicting layer is one of full attention, with four tensors more.
        assert_eq!(tensors(&SIZES[0].config(true)).len(), 320 + 11 + 4);
        assert_eq!(small.sections, Some([11, 11, 10, 0]));
    }
}
