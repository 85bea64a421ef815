//! NumPy's `.npy` files, as far as voices need them: one array of little-endian numbers, read as f32 or i32. Voice folders
//! (`folder.rs`) are made of them.
//!
//! The format is that of NumPy's `lib/format.py`: magic, version, length, then a Python dictionary with `descr`, `fortran_order` and
//! `shape`, then the elements.

use super::error::VoiceError;

const MAGIC: &[u8] = b"\x93NUMPY";
/// A header with three keys is never as long.
const LONGEST_HEADER: usize = 1 << 16;
const MOST_AXES: usize = 4;

/// An array as it was read: row-major elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    /// Extents, the last one contiguous.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: NpyData,
}

/// Elements by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyData {
    /// From `f2`, `f4` or `f8`.
    F32(Vec<f32>),
    /// From signed and unsigned integers of any width whose values fit.
    I32(Vec<i32>),
}

impl Npy {
    /// Reads a file's bytes. `file` names it in errors.
    ///
    /// # Errors
    /// [`VoiceError::Npy`] for anything but a whole array of little-endian numbers.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, VoiceError> {
        let bad = |reason: String| VoiceError::Npy { file: file.to_owned(), reason };
        let (header, body) = split(bytes).map_err(bad)?;
        let Header { kind, width, fortran, shape } = Header::parse(header).map_err(bad)?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let wanted = count.and_then(|n| n.checked_mul(width));
        if wanted != Some(body.len()) {
            return Err(bad(format!("{} bytes of elements for the shape {shape:?}", body.len())));
        }
        let data = elements(kind, width, body).map_err(bad)?;
        let data = if fortran { data.into_rows(&shape).map_err(bad)? } else { data };
        Ok(Self { shape, data })
    }

    /// The file of this array (version 1.0).
    pub fn to_bytes(&self) -> Vec<u8> {
        let descr = match &self.data {
            NpyData::F32(_) => "<f4",
            NpyData::I32(_) => "<i4",
        };
        let extents: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let shape = match extents.as_slice() {
            [one] => format!("({one},)"),
            many => format!("({})", many.join(", ")),
        };
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        // Elements begin at a multiple of 64.
        let prefix = MAGIC.len() + 4;
        let padded = (prefix + header.len() + 1).next_multiple_of(64) - prefix;
        header.push_str(&" ".repeat(padded - header.len() - 1));
        header.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        match &self.data {
            NpyData::F32(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
            NpyData::I32(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        }
        bytes
    }
}

impl NpyData {
    /// The same elements in row-major order. Of three axes and more only those with one long axis beside one other occur; they are
    /// refused.
    fn into_rows(self, shape: &[usize]) -> Result<Self, String> {
        let long: Vec<usize> = shape.iter().copied().filter(|&d| d != 1).collect();
        let (rows, columns) = match long[..] {
            // The other extent of an empty array may be anything.
            _ if long.contains(&0) => return Ok(self),
            [] | [_] => return Ok(self),
            [rows, columns] => (rows, columns),
            _ => return Err(format!("column-major order of the shape {shape:?}")),
        };
        fn turned<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
            (0..rows).flat_map(|r| (0..columns).map(move |c| values[c * rows + r])).collect()
        }
        Ok(match self {
            Self::F32(values) => Self::F32(turned(&values, rows, columns)),
            Self::I32(values) => Self::I32(turned(&values, rows, columns)),
        })
    }
}

/// Header and elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin with NumPy's mark")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or("it ends in its version")?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
        other => return Err(format!("version {other} of the format")),
    }
    .ok_or("it ends in its header's length")?;
    if length > LONGEST_HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let (header, body) = rest.split_at_checked(length).ok_or("it ends in its header")?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
    Ok((header, body))
}

/// What a header says.
struct Header {
    /// `f`, `i` or `u`.
    kind: char,
    /// Bytes of an element.
    width: usize,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(header: &str) -> Result<Self, String> {
        let descr = value(header, "descr")?;
        let quoted = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')).map(|(d, _)| d);
        let descr = quoted.ok_or_else(|| "its elements have fields".to_owned())?;
        let unread = || format!("elements of type {descr:?}");
        let mut letters = descr.chars();
        let (order, kind) = letters.next().zip(letters.next()).ok_or_else(unread)?;
        let width: usize = letters.as_str().parse().map_err(|_| unread())?;
        let known = match kind {
            'f' => matches!(width, 2 | 4 | 8),
            'i' | 'u' => matches!(width, 1 | 2 | 4 | 8),
            _ => false,
        };
        if !known || !(order == '<' || order == '|' && width == 1) {
            return Err(unread());
        }
        let fortran = match value(header, "fortran_order")? {
            v if v.starts_with("False") => false,
            v if v.starts_with("True") => true,
            _ => return Err("fortran_order is neither True nor False".into()),
        };
        let shape = value(header, "shape")?;
        let inside = shape.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(s, _)| s);
        let extents = inside.ok_or("its shape is no tuple")?.split(',').map(str::trim);
        let shape: Vec<usize> = extents
            .filter(|e| !e.is_empty())
            .map(|e| e.trim_end_matches('L').parse().map_err(|_| format!("an extent of {e:?}")))
            .collect::<Result<_, _>>()?;
        if shape.len() > MOST_AXES {
            return Err(format!("{} axes", shape.len()));
        }
        Ok(Self { kind, width, fortran, shape })
    }
}

/// What stands behind a key of the dictionary.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let rest =
        header.split_once(&format!("'{key}'")).and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
    rest.map(str::trim_start).ok_or_else(|| format!("its header has no {key:?}"))
}

/// Elements of a kind and width that [`Header::parse`] lets through.
fn elements(kind: char, width: usize, body: &[u8]) -> Result<NpyData, String> {
    let wide = |element: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(element);
        u64::from_le_bytes(bytes)
    };
    if (kind, width) == ('f', 2) {
        let mut values = vec![0.0; body.len() / 2];
        mynah_tensor::formats::f16::decode(body, &mut values);
        return Ok(NpyData::F32(values));
    }
    let chunks = body.chunks_exact(width).map(wide);
    if kind == 'f' {
        let single =
            |bits: u64| if width == 4 { f32::from_bits(bits as u32) } else { f64::from_bits(bits) as f32 };
        return Ok(NpyData::F32(chunks.map(single).collect()));
    }
    let unused = 64 - 8 * width as u32;
    let values = chunks.map(|bits| {
        // Shifting up and down again extends the sign.
        let fits = if kind == 'i' {
            i32::try_from((bits << unused) as i64 >> unused).ok()
        } else {
            i32::try_from(bits).ok()
        };
        fits.ok_or_else(|| "a number beyond 32 bits".to_owned())
    });
    Ok(NpyData::I32(values.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[version, 0]].concat();
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        [bytes, header.as_bytes().to_vec(), body.to_vec()].concat()
    }

    fn reason(bytes: &[u8]) -> String {
        Npy::parse("x.npy", bytes).map_or_else(|e| e.to_string(), |found| panic!("{found:?}"))
    }

    #[test]
    fn what_is_written_is_read() {
        for npy in [
            Npy { shape: vec![2, 3], data: NpyData::F32(vec![0.5, -1.0, 2.0, 3.0, 4.0, f32::MIN]) },
            Npy { shape: vec![4], data: NpyData::I32(vec![1, -2, i32::MAX, i32::MIN]) },
            Npy { shape: vec![], data: NpyData::I32(vec![7]) },
        ] {
            let bytes = npy.to_bytes();
            assert_eq!(bytes.len() % 64, (4 * npy.shape.iter().product::<usize>()) % 64);
            assert_eq!(Npy::parse("x.npy", &bytes).ok(), Some(npy));
        }
    }

    #[test]
    fn every_version_width_and_order_is_read() {
        let header = |descr: &str, fortran: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (2, 3), }}\n")
        };
        let body: Vec<u8> = (0..6i64).flat_map(|n| (n - 2).to_le_bytes()).collect();
        for version in [1, 2, 3] {
            let found = Npy::parse("x.npy", &file(version, &header("<i8", "False"), &body)).map(|n| n.data);
            assert_eq!(found.ok(), Some(NpyData::I32(vec![-2, -1, 0, 1, 2, 3])), "{version}");
        }
        let found = Npy::parse("x.npy", &file(1, &header("<i8", "True"), &body)).map(|n| n.data);
        assert_eq!(found.ok(), Some(NpyData::I32(vec![-2, 0, 2, -1, 1, 3])), "columns first");
        let halves: Vec<u8> =
            [0x3c00u16, 0xc000, 0, 0x3800, 0x3c00, 0x3c00].iter().flat_map(|h| h.to_le_bytes()).collect();
        let found = Npy::parse("x.npy", &file(1, &header("<f2", "False"), &halves)).map(|n| n.data);
        assert_eq!(found.ok(), Some(NpyData::F32(vec![1.0, -2.0, 0.0, 0.5, 1.0, 1.0])));
        let found =
            Npy::parse("x.npy", &file(1, &header("|u1", "False"), &[0, 1, 2, 3, 4, 255])).map(|n| n.data);
        assert_eq!(found.ok(), Some(NpyData::I32(vec![0, 1, 2, 3, 4, 255])));
    }

    #[test]
    fn empty_arrays_take_no_time() {
        let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (1152921504606846976, 0), }";
        let found = Npy::parse("x.npy", &file(1, header, &[])).map(|n| n.data);
        assert_eq!(found.ok(), Some(NpyData::F32(vec![])));
    }

    #[test]
    fn faulty_files_are_named_with_their_fault() {
        let whole = |descr: &str, shape: &str| {
            file(1, &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"), &[0; 8])
        };
        for (bytes, fault) in [
            (b"PK\x03\x04".to_vec(), "mark"),
            (MAGIC.to_vec(), "version"),
            ([MAGIC, &[1, 0, 200, 0]].concat(), "header"),
            ([MAGIC, &[9, 0, 0, 0]].concat(), "version 9"),
            ([MAGIC, &[2, 0, 255, 255, 255, 255]].concat(), "4294967295"),
            (whole("<f4", "(3,)"), "8 bytes"),
            (whole("<f4", "(1,)"), "8 bytes"),
            (whole(">f4", "(2,)"), ">f4"),
            (whole("|O", "(1,)"), "|O"),
            (whole("<c8", "(1,)"), "<c8"),
            (whole("<f4", "2"), "tuple"),
            (whole("<f4", "(-2,)"), "extent"),
            (whole("<f4", "(1,1,1,1,2)"), "axes"),
            (whole("<f4", "(4294967296,4294967296,4294967296)"), "8 bytes"),
            (file(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", &[0; 8]), "fields"),
            (file(1, "{'descr': '<f4', 'shape': (2,)}", &[0; 8]), "fortran_order"),
            (file(1, "{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", &[255; 8]), "32 bits"),
        ] {
            let found = reason(&bytes);
            assert!(found.contains(fault) && found.contains("x.npy"), "{found:?} does not say {fault:?}");
        }
    }
}
