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

use mynah_tensor::LevelFormat;

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
    /// The places within a record of a panel of `width` lanes.
    pub(crate) fn of(format: LevelFormat, width: usize) -> Self {
        Self::new(width, format.group / 4, format.bits, format.mins, format.groups)
    }

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
