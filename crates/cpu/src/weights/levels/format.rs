//! How the levels of a block format are laid out for a panel.
//!
//! A panel is a run of records, one for each block of the file's format, so that a product reads one stream front to
//! back and no more bytes than the file has (K-quants: three percent more, since their packed six-bit scales become
//! bytes). A record of `W` lanes:
//!
//! ```text
//! d       [W]          f16   scale of the block
//! dmin    [W]          f16   minimum of the block, formats with minima
//! sub     [group][W]   i8    K-quants: the scale of a group is d · sub
//! submin  [group][W]   i8    K-quants with minima: the minimum of a group is dmin · submin
//! levels  of each group, one of:
//!   8 bits   [quad][W][4]   bytes: four consecutive k of one lane make a 32-bit word
//!   4 bits   [pair][W][4]   nibbles: the low ones are quad 2·pair, the high ones the next
//!   5 bits   nibbles, then [W][4] bytes that hold the fifth bits of quad j at bit (4 + j) mod 8
//!   6 bits   nibbles, then [W][4] bytes that hold the upper two bits of quad j from bit (4 + 2j) mod 8 on
//! ```
//!
//! The odd order of the upper bits puts those of the next quad where one shift and one mask lift them above a nibble.

use mynah_tensor::DType;

/// How a format's levels are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LevelFormat {
    /// Elements that share a scale: 16 or 32.
    pub(crate) group: usize,
    /// Bits of a level: 4, 5, 6 or 8.
    pub(crate) bits: usize,
    /// The level that means zero (less the minimum).
    pub(crate) zero: u8,
    /// Whether groups have a minimum.
    pub(crate) mins: bool,
    /// Groups of a record: one, or those of a K-quant's block.
    pub(crate) groups: usize,
}

impl LevelFormat {
    /// The layout of a type, `None` for those that keep their file's bytes.
    pub(crate) const fn of(dtype: DType) -> Option<Self> {
        let (group, bits, zero, mins, groups) = match dtype {
            DType::Q8_0 => (32, 8, 128, false, 1),
            DType::Q4_0 => (32, 4, 8, false, 1),
            DType::Q5_0 => (32, 5, 16, false, 1),
            DType::Q4_1 => (32, 4, 0, true, 1),
            DType::Q5_1 => (32, 5, 0, true, 1),
            DType::Q4K => (32, 4, 0, true, 8),
            DType::Q5K => (32, 5, 0, true, 8),
            DType::Q6K => (16, 6, 32, false, 16),
            _ => return None,
        };
        Some(Self { group, bits, zero, mins, groups })
    }

    /// Elements of a record's rows.
    pub(crate) fn block(self) -> usize {
        self.group * self.groups
    }

    /// The same with a byte for each level.
    pub(crate) const fn unpacked(self) -> Self {
        Self { bits: 8, ..self }
    }

    /// Whether scales are products of a block's and a group's.
    pub(crate) fn has_subscales(self) -> bool {
        self.groups > 1
    }

    /// The places within a record of a panel of `width` lanes.
    pub(crate) fn record(self, width: usize) -> Record {
        Record::new(width, self.group / 4, self.bits, self.mins, self.groups)
    }
}

/// Byte offsets within a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Minima of the block.
    pub(crate) dmin: usize,
    /// Scales of the groups.
    pub(crate) sub: usize,
    /// Minima of the groups.
    pub(crate) submin: usize,
    /// Levels of the first group.
    pub(crate) levels: usize,
    /// Bytes of a group's nibbles or bytes, after which its upper bits come.
    pub(crate) low: usize,
    /// Bytes of a group's levels.
    pub(crate) group: usize,
    /// Bytes of a record.
    pub(crate) bytes: usize,
}

impl Record {
    /// The places in a record of `groups` groups of `quads` words of four levels.
    pub(crate) const fn new(width: usize, quads: usize, bits: usize, mins: bool, groups: usize) -> Self {
        let kinds = if mins { 2 } else { 1 };
        let subs = if groups > 1 { groups * width } else { 0 };
        let sub = 2 * width * kinds;
        let levels = sub + subs * kinds;
        let group = quads * width * bits / 2;
        let low = if bits == 8 { group } else { quads * width * 2 };
        Self { dmin: 2 * width, sub, submin: sub + subs, levels, low, group, bytes: levels + groups * group }
    }
}
