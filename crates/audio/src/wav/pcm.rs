//! Sample encodings of a WAV file, decoded to f32 in [-1, 1). Integers are divided by their full scale, a power of two,
//! so 8, 16 and 24-bit samples convert without rounding.

/// How one sample is stored, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    U8,
    S16,
    S24,
    S32,
    F32,
    F64,
    ALaw,
    MuLaw,
}

impl Encoding {
    /// Encoding for a format tag. `Err` is a codec without decoder (its name if known), `Ok(None)` a sample size that the
    /// tag cannot have.
    pub(super) fn of(tag: u16, bits: u16, container: u32) -> Result<Option<Self>, Option<String>> {
        let encoding = match (tag, container) {
            (1, 1) if bits <= 8 => Some(Self::U8),
            (1, 2) if bits <= 16 => Some(Self::S16),
            (1, 3) if bits <= 24 => Some(Self::S24),
            (1, 4) if bits <= 32 => Some(Self::S32),
            (3, 4) if bits == 32 => Some(Self::F32),
            (3, 8) if bits == 64 => Some(Self::F64),
            (6, 1) => Some(Self::ALaw),
            (7, 1) => Some(Self::MuLaw),
            (1 | 3 | 6 | 7, _) => None,
            (0x02 | 0x11, _) => return Err(Some("ADPCM behind an overlong header, ".into())),
            (0x31, _) => return Err(Some("GSM 6.10".into())),
            (0x50, _) => return Err(Some("MPEG-in-WAV".into())),
            (0x55, _) => return Err(Some("MP3-in-WAV".into())),
            (0x160..=0x162, _) => return Err(Some("Windows Media".into())),
            (0x704f, _) => return Err(Some("Opus".into())),
            _ => return Err(None),
        };
        Ok(encoding)
    }

    /// Bytes of one sample.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::ALaw | Self::MuLaw => 1,
            Self::S16 => 2,
            Self::S24 => 3,
            Self::S32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Name as shown to users.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::U8 => "pcm u8",
            Self::S16 => "pcm s16",
            Self::S24 => "pcm s24",
            Self::S32 => "pcm s32",
            Self::F32 => "pcm f32",
            Self::F64 => "pcm f64",
            Self::ALaw => "A-law",
            Self::MuLaw => "µ-law",
        }
    }

    /// Decodes whole samples and appends them to `out`; a partial last one is ignored.
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::U8 => out.extend(bytes.iter().map(|&b| (f32::from(b) - 128.0) / 128.0)),
            Self::ALaw => out.extend(bytes.iter().map(|&b| f32::from(alaw(b)) / 32768.0)),
            Self::MuLaw => out.extend(bytes.iter().map(|&b| f32::from(mulaw(b)) / 32768.0)),
            Self::S16 => extend(bytes, out, |b: [u8; 2]| f32::from(i16::from_le_bytes(b)) / 32768.0),
            Self::S24 => {
                // In the upper three bytes of an i32 the sign comes for free.
                extend(bytes, out, |b: [u8; 3]| {
                    (i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8) as f32 / 8_388_608.0
                });
            }
            Self::S32 => extend(bytes, out, |b: [u8; 4]| i32::from_le_bytes(b) as f32 / 2_147_483_648.0),
            Self::F32 => extend(bytes, out, f32::from_le_bytes),
            Self::F64 => extend(bytes, out, |b: [u8; 8]| f64::from_le_bytes(b) as f32),
        }
    }
}

fn extend<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, convert: impl Fn([u8; N]) -> f32) {
    let (samples, _) = bytes.as_chunks::<N>();
    out.extend(samples.iter().map(|&sample| convert(sample)));
}

/// ITU-T G.711 A-law, 13-bit value scaled to 16 bits.
fn alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = i16::from(code & 0x0f) << 4;
    let magnitude = match exponent {
        0 => mantissa + 8,
        e => (mantissa + 0x108) << (e - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

/// ITU-T G.711 µ-law, 14-bit value scaled to 16 bits.
fn mulaw(code: u8) -> i16 {
    let code = !code;
    let exponent = (code >> 4) & 7;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << exponent) - 0x84;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(encoding: Encoding, bytes: &[u8]) -> f32 {
        let mut out = Vec::new();
        encoding.decode(bytes, &mut out);
        assert_eq!(out.len(), 1);
        out[0]
    }

    #[test]
    fn full_scale_and_zero() {
        assert_eq!(one(Encoding::U8, &[0]), -1.0);
        assert_eq!(one(Encoding::U8, &[128]), 0.0);
        assert_eq!(one(Encoding::S16, &i16::MIN.to_le_bytes()), -1.0);
        assert_eq!(one(Encoding::S16, &12345i16.to_le_bytes()), 12345.0 / 32768.0);
        assert_eq!(one(Encoding::S24, &[0, 0, 0x80]), -1.0);
        assert_eq!(one(Encoding::S24, &[0xff, 0xff, 0xff]), -1.0 / 8_388_608.0);
        assert_eq!(one(Encoding::S32, &i32::MIN.to_le_bytes()), -1.0);
        assert_eq!(one(Encoding::F64, &0.25f64.to_le_bytes()), 0.25);
    }

    /// Values of the G.711 tables: the extremes, and the codes around zero.
    #[test]
    fn companded_codes() {
        assert_eq!([alaw(0xd5), alaw(0x55), alaw(0xaa), alaw(0x2a)], [8, -8, 32256, -32256]);
        assert_eq!([mulaw(0xff), mulaw(0x7f), mulaw(0x80), mulaw(0x00)], [0, 0, 32124, -32124]);
        assert_eq!(mulaw(0xfe), 8);
        for code in 0..=255u8 {
            assert_eq!(alaw(code), -alaw(code ^ 0x80));
            assert_eq!(mulaw(code), -mulaw(code ^ 0x80));
        }
    }

    #[test]
    fn a_partial_sample_is_ignored() {
        let mut out = Vec::new();
        Encoding::S24.decode(&[1, 2, 3, 4, 5], &mut out);
        assert_eq!(out.len(), 1);
    }
}
