//! Bits into bytes, most significant first, and the two checksums of a frame.

/// Bytes with a last one that is not full yet.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// The bits behind the last whole byte, at the low end.
    pending: u64,
    /// How many of them, fewer than eight between two calls.
    count: u32,
}

impl Bits {
    /// The low `width` bits of a number, at most 56.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        self.pending = (self.pending << width) | (value & ((1 << width) - 1));
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
        self.pending &= (1 << self.count) - 1;
    }

    /// A number in two's complement.
    pub(super) fn signed(&mut self, value: i32, width: u32) {
        self.put(i64::from(value) as u64, width);
    }

    /// So many zeros and a one.
    pub(super) fn unary(&mut self, zeros: u32) {
        (0..zeros / 32).for_each(|_| self.put(0, 32));
        self.put(1, zeros % 32 + 1);
    }

    /// Zeros up to the next whole byte.
    pub(super) fn align(&mut self) {
        self.put(0, (8 - self.count) % 8);
    }

    /// The whole bytes so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// CRC-8 of a frame's header: x⁸ + x² + x + 1.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    crc::<8>(bytes, 0x07) as u8
}

/// CRC-16 of a frame: x¹⁶ + x¹⁵ + x² + 1.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    crc::<16>(bytes, 0x8005)
}

fn crc<const WIDTH: u32>(bytes: &[u8], polynomial: u16) -> u16 {
    let top = 1 << (WIDTH - 1);
    let mask = if WIDTH == 16 { u16::MAX } else { (1 << WIDTH) - 1 };
    bytes.iter().fold(0, |sum, &byte| {
        let start: u16 = sum ^ (u16::from(byte) << (WIDTH - 8));
        (0..8).fold(start, |sum, _| {
            let shifted = (sum << 1) & mask;
            if sum & top == 0 { shifted } else { shifted ^ polynomial }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_most_significant_first() {
        let mut bits = Bits::default();
        bits.put(0b101, 3);
        bits.signed(-1, 5);
        bits.unary(9);
        bits.put(0x1234_5678_9abc, 48);
        assert_eq!(bits.bytes()[..2], [0b1011_1111, 0]);
        bits.align();
        assert_eq!(bits.into_bytes(), [0xbf, 0x00, 0x44, 0x8d, 0x15, 0x9e, 0x26, 0xaf, 0x00]);
        let mut long = Bits::default();
        long.unary(100);
        long.align();
        assert_eq!((long.bytes().len(), long.bytes()[12]), (13, 0b0000_1000));
    }

    #[test]
    fn checksums_are_those_of_the_catalogue() {
        // The check values of CRC-8/SMBUS and CRC-16/UMTS.
        assert_eq!(crc8(b"123456789"), 0xf4);
        assert_eq!(crc16(b"123456789"), 0xfee8);
    }
}
