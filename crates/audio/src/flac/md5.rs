//! MD5 (RFC 1321) of the samples, by which a FLAC file tells a decoder whether it got them right. It guards against damage and
//! against nobody.

/// `⌊2³² · |sin i|⌋` for i from 1.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
/// How far each of four steps in a row turns, by round.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// A digest of bytes that come in parts.
#[derive(Clone, Debug)]
pub(super) struct Md5 {
    state: [u32; 4],
    block: Vec<u8>,
    length: u64,
}

impl Default for Md5 {
    fn default() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Self { state, block: Vec::with_capacity(64), length: 0 }
    }
}

impl Md5 {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        for &byte in bytes {
            self.block.push(byte);
            if self.block.len() == 64 {
                self.mix();
            }
        }
    }

    /// The digest of everything so far.
    pub(super) fn digest(&self) -> [u8; 16] {
        let mut last = self.clone();
        let bits = self.length.wrapping_mul(8);
        last.update(&[0x80]);
        while last.block.len() != 56 {
            last.update(&[0]);
        }
        last.update(&bits.to_le_bytes());
        let mut digest = [0; 16];
        for (out, word) in digest.chunks_exact_mut(4).zip(last.state) {
            out.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }

    fn mix(&mut self) {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(self.block.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        self.block.clear();
        let [mut a, mut b, mut c, mut d] = self.state;
        for (i, sine) in SINES.iter().enumerate() {
            let (f, word) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), 5 * i + 1),
                2 => (b ^ c ^ d, 3 * i + 5),
                _ => (c ^ (b | !d), 7 * i),
            };
            let sum = a.wrapping_add(f).wrapping_add(*sine).wrapping_add(words[word % 16]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(TURNS[i / 16][i % 4]));
        }
        for (state, new) in self.state.iter_mut().zip([a, b, c, d]) {
            *state = state.wrapping_add(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Md5;

    fn digest(parts: &[&[u8]]) -> String {
        let mut md5 = Md5::default();
        parts.iter().for_each(|part| md5.update(part));
        md5.digest().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_are_those_of_the_rfc() {
        let digits = "1234567890".repeat(8);
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        for (text, wanted) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (letters, "d174ab98d277d9f5a5611c2c9f419d9f"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(digest(&[text.as_bytes()]), wanted, "{text}");
            let (head, tail) = text.as_bytes().split_at(text.len() / 3);
            assert_eq!(digest(&[head, tail]), wanted, "{text} in parts");
        }
    }
}
