//! The RIFF/WAVE header: walks chunks up to `data` and says how the samples lie. Written here rather than taken from a
//! codec library because pipes and crashed recorders leave lengths that are wrong (zero, all ones, too large), and a
//! reader that believes them drops the end of the audio or refuses it. The samples go through [`super::pcm`].

use std::io::{self, Read};

use super::pcm::Encoding;

/// Format tag of Microsoft ADPCM.
pub(super) const TAG_MS_ADPCM: u16 = 2;
/// Format tag of IMA ADPCM.
pub(super) const TAG_IMA_ADPCM: u16 = 0x11;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// Bytes 2..16 of the sub-format GUIDs that merely wrap a format tag.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Longest `fmt ` chunk read; the defined ones take 16 to 50 bytes.
const MAX_FMT: u64 = 4096;

/// More chunks than any real file has in front of its samples; ends a walk over hostile bytes.
const MAX_CHUNKS: usize = 100_000;

/// Lengths at or above this are what writers to a pipe put when they do not know (0x7fff_xxxx, 0x8000_0000 minus a
/// header, 0xffff_ffff): read to the end instead of believing them.
const UNKNOWN_FROM: u64 = 0x7fff_0000;

/// Why a header cannot be used.
#[derive(Debug)]
pub(super) enum HeaderError {
    /// The input failed.
    Io(io::Error),
    /// The header is wrong.
    Bad(String),
    /// The codec, named, has no decoder here.
    Codec(String),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Bad("the file ends inside its header".into())
        } else {
            Self::Io(error)
        }
    }
}

/// How the samples of a WAV file lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WavHeader {
    pub(super) encoding: Encoding,
    pub(super) rate: u32,
    pub(super) channels: u16,
    /// Meaningful bits of a sample, for display.
    pub(super) bits: u16,
    /// Bytes of samples, `None` if the header does not know.
    pub(super) data_bytes: Option<u64>,
    /// Bytes in front of the samples.
    pub(super) data_offset: u64,
}

/// The format tag of a WAV header, if its `fmt ` chunk lies within `head`.
pub(super) fn peek_tag(head: &[u8]) -> Option<u16> {
    let mut reader = head.get(12..)?;
    for _ in 0..MAX_CHUNKS {
        let (id, size) = chunk_header(&mut reader).ok()?;
        if &id == b"fmt " {
            return Some(u16::from_le_bytes([*reader.first()?, *reader.get(1)?]));
        }
        let skip = usize::try_from(size + (size & 1)).ok()?;
        reader = reader.get(skip..)?;
    }
    None
}

/// Reads up to the first sample.
pub(super) fn read(reader: &mut dyn Read) -> Result<WavHeader, HeaderError> {
    let mut start = [0u8; 12];
    reader.read_exact(&mut start)?;
    let mut offset = 12u64;
    let mut riff_bytes = u64::from(u32_at(&start, 4));
    let mut data64 = None;
    let mut format = None;
    for _ in 0..MAX_CHUNKS {
        let (id, size) = match chunk_header(reader) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        };
        offset += 8;
        match &id {
            b"ds64" => {
                let body = read_body(reader, size)?;
                if let (Some(riff), Some(data)) = (u64_at(&body, 0), u64_at(&body, 8)) {
                    riff_bytes = riff;
                    data64 = Some(data);
                }
            }
            b"fmt " => format = Some(parse_format(&read_body(reader, size)?)?),
            b"data" => {
                let Some(format) = format else {
                    return Err(HeaderError::Bad("no fmt chunk in front of the data".into()));
                };
                let claimed = if size == u64::from(u32::MAX) { data64.unwrap_or(size) } else { size };
                let data_bytes = believable(claimed, data64.is_some(), riff_bytes, offset);
                return Ok(WavHeader { data_bytes, data_offset: offset, ..format });
            }
            _ => skip(reader, size)?,
        }
        offset = offset.saturating_add(size);
        if size & 1 == 1 {
            skip(reader, 1)?;
            offset = offset.saturating_add(1);
        }
    }
    Err(HeaderError::Bad("no data chunk".into()))
}

/// The data length if it can be believed. A zero is a placeholder unless the outer length says that other chunks
/// follow the empty one.
fn believable(claimed: u64, is_64: bool, riff_bytes: u64, data_offset: u64) -> Option<u64> {
    let riff_end = riff_bytes.saturating_add(8);
    let chunks_follow = riff_end > data_offset && riff_bytes < UNKNOWN_FROM;
    match claimed {
        0 if !chunks_follow => None,
        u64::MAX => None,
        large if large >= UNKNOWN_FROM && !is_64 => plausible_large(large, riff_bytes, data_offset),
        known => Some(known),
    }
}

/// A 2 to 4 GiB file is possible: believe the length when the outer one agrees with it to the byte.
fn plausible_large(claimed: u64, riff_bytes: u64, data_offset: u64) -> Option<u64> {
    let placeholder = claimed >= u64::from(u32::MAX) - 4096 || claimed <= 0x8000_0000;
    (!placeholder && riff_bytes + 8 >= data_offset + claimed).then_some(claimed)
}

fn parse_format(body: &[u8]) -> Result<WavHeader, HeaderError> {
    if body.len() < 16 {
        return Err(HeaderError::Bad(format!("fmt chunk of {} bytes, needs 16", body.len())));
    }
    let channels = u16_at(body, 2);
    let rate = u32_at(body, 4);
    let block = u16_at(body, 12);
    let bits = u16_at(body, 14);
    let mut tag = u16_at(body, 0);
    let mut valid_bits = bits;
    if tag == TAG_EXTENSIBLE {
        if body.len() < 40 {
            return Err(HeaderError::Bad(format!("extensible fmt chunk of {} bytes, needs 40", body.len())));
        }
        if body[26..40] != GUID_TAIL {
            return Err(HeaderError::Codec("an unknown extensible WAV sub-format of".into()));
        }
        tag = u16_at(body, 24);
        valid_bits = match u16_at(body, 18) {
            0 => bits,
            valid => valid.min(bits),
        };
    }
    if channels == 0 || channels > 256 {
        return Err(HeaderError::Bad(format!("{channels} channels")));
    }
    // The container size follows from the block when it divides evenly: 24 bits may lie in 3 or in 4 bytes.
    let container = if block > 0 && block.is_multiple_of(channels) {
        u32::from(block / channels)
    } else {
        u32::from(bits).div_ceil(8)
    };
    let encoding = Encoding::of(tag, bits, container)
        .map_err(|codec| HeaderError::Codec(codec.unwrap_or_else(|| format!("WAV format {tag:#06x}"))))?
        .ok_or_else(|| HeaderError::Bad(format!("{bits}-bit samples in {container} bytes")))?;
    Ok(WavHeader { encoding, rate, channels, bits: valid_bits, data_bytes: None, data_offset: 0 })
}

fn chunk_header(reader: &mut dyn Read) -> io::Result<([u8; 4], u64)> {
    let mut header = [0u8; 8];
    reader.read_exact(&mut header)?;
    Ok(([header[0], header[1], header[2], header[3]], u64::from(u32_at(&header, 4))))
}

/// Reads a small chunk whole; whatever it has beyond [`MAX_FMT`] is skipped.
fn read_body(reader: &mut dyn Read, size: u64) -> Result<Vec<u8>, HeaderError> {
    let kept = size.min(MAX_FMT);
    let mut body = Vec::new();
    reader.take(kept).read_to_end(&mut body)?;
    if (body.len() as u64) < kept {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    skip(reader, size - kept)?;
    Ok(body)
}

fn skip(reader: &mut dyn Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut reader.take(bytes), &mut io::sink()).map(drop)
}

/// Callers check the length; a short slice reads as zero.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [id.as_slice(), &(body.len() as u32).to_le_bytes(), body].concat()
    }

    fn format(tag: u16, channels: u16, block: u16, bits: u16, extra: &[u8]) -> Vec<u8> {
        let head = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        let rate = [16_000u32.to_le_bytes(), 0u32.to_le_bytes()].concat();
        chunk(
            b"fmt ",
            &[&head, &rate, [block.to_le_bytes(), bits.to_le_bytes()].concat().as_slice(), extra].concat(),
        )
    }

    fn read_file(chunks: &[Vec<u8>]) -> Result<WavHeader, HeaderError> {
        let body = chunks.concat();
        read(
            &mut [b"RIFF".as_slice(), &(body.len() as u32 + 4).to_le_bytes(), b"WAVE", &body]
                .concat()
                .as_slice(),
        )
    }

    fn extensible(tag: u16, valid: u16) -> Vec<u8> {
        [&22u16.to_le_bytes(), valid.to_le_bytes().as_slice(), &[0; 4], &tag.to_le_bytes(), &GUID_TAIL]
            .concat()
    }

    #[test]
    fn the_block_size_decides_where_bits_lie() {
        for (block, bits, encoding) in
            [(4, 16, Encoding::S16), (6, 24, Encoding::S24), (8, 24, Encoding::S32), (6, 20, Encoding::S24)]
        {
            let header = read_file(&[format(1, 2, block, bits, &[]), chunk(b"data", &[0; 24])]).unwrap();
            assert_eq!((header.encoding, header.bits), (encoding, bits));
            assert_eq!((header.data_bytes, header.data_offset), (Some(24), 44));
        }
    }

    #[test]
    fn extensible_names_its_format_inside() {
        let file =
            |extra: &[u8]| read_file(&[format(TAG_EXTENSIBLE, 1, 4, 32, extra), chunk(b"data", &[0; 8])]);
        let header = file(&extensible(1, 24)).unwrap();
        assert_eq!((header.encoding, header.bits), (Encoding::S32, 24));
        assert_eq!(file(&extensible(3, 0)).unwrap().encoding, Encoding::F32);
        assert!(matches!(file(&[]), Err(HeaderError::Bad(_))));
        let mut other = extensible(1, 24);
        other[20] ^= 1;
        assert!(matches!(file(&other), Err(HeaderError::Codec(_))));
    }

    #[test]
    fn codecs_and_sizes_without_decoder_are_told_apart() {
        let file = |tag, bits| read_file(&[format(tag, 1, bits / 8, bits, &[]), chunk(b"data", &[0; 8])]);
        assert!(matches!(file(0x55, 8), Err(HeaderError::Codec(name)) if name == "MP3-in-WAV"));
        assert!(matches!(file(0x1234, 8), Err(HeaderError::Codec(name)) if name.contains("0x1234")));
        assert!(matches!(file(3, 16), Err(HeaderError::Bad(_))), "half-precision floats");
        assert!(matches!(file(1, 64), Err(HeaderError::Bad(_))));
    }

    #[test]
    fn broken_headers_are_named() {
        let reason = |chunks: &[Vec<u8>]| match read_file(chunks) {
            Err(HeaderError::Bad(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(&[chunk(b"data", &[0; 8])]).contains("no fmt chunk"));
        assert!(reason(&[format(1, 1, 2, 16, &[])]).contains("no data chunk"));
        assert!(reason(&[format(1, 0, 0, 16, &[]), chunk(b"data", &[])]).contains("0 channels"));
        assert!(reason(&[chunk(b"fmt ", &[0; 10])]).contains("10 bytes"));
    }

    #[test]
    fn a_length_of_three_gigabytes_can_be_true() {
        let body =
            [format(1, 1, 2, 16, &[]), b"data".to_vec(), 3_000_000_000u32.to_le_bytes().to_vec()].concat();
        let file = |riff: u32| [b"RIFF".as_slice(), &riff.to_le_bytes(), b"WAVE", &body].concat();
        assert_eq!(read(&mut file(3_000_000_036).as_slice()).unwrap().data_bytes, Some(3_000_000_000));
        assert_eq!(read(&mut file(36).as_slice()).unwrap().data_bytes, None);
    }

    #[test]
    fn the_tag_is_found_behind_other_chunks() {
        let file =
            [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(b"JUNK", &[0; 30]), format(0x11, 1, 2, 4, &[])].concat();
        assert_eq!(peek_tag(&file), Some(TAG_IMA_ADPCM));
        assert_eq!(peek_tag(&file[..59]), None);
    }
}
