//! Arrays of a GGUF file that the host reads as numbers, whatever they are stored as.

use super::error::VoiceError;
use crate::error::ModelError;
use mynah_gguf::GgufFile;
use mynah_tensor::DType;

/// A tensor as floats, its last extent checked if `width` is given; `None` if the file has none of that name.
pub(super) fn floats(
    file: &GgufFile,
    name: &str,
    part: &'static str,
    width: Option<usize>,
) -> Result<Option<Vec<f32>>, VoiceError> {
    let Some(info) = file.tensor(name) else { return Ok(None) };
    if let Some(width) = width
        && info.shape.last() != width
    {
        return Err(VoiceError::Part {
            part,
            reason: format!("has frames of {}, not {width}", info.shape.last()),
        });
    }
    if info.dtype()? == DType::I32 {
        return Err(VoiceError::Part { part, reason: "is made of integers".into() });
    }
    Ok(Some(file.host_tensor(info)?.to_f32()))
}

/// A tensor as whole numbers; `None` if the file has none of that name.
pub(super) fn integers(
    file: &GgufFile,
    name: &str,
    part: &'static str,
) -> Result<Option<Vec<i32>>, VoiceError> {
    let Some(info) = file.tensor(name) else { return Ok(None) };
    if info.dtype()? == DType::I32 {
        let numbers = file.data(info)?.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b));
        return Ok(Some(numbers.collect()));
    }
    // Tools that convert whole files leave them as floats.
    let values = file.host_tensor(info)?.to_f32();
    match values.iter().find(|v| v.fract() != 0.0 || v.abs() >= f32::from(i16::MAX)) {
        Some(value) => Err(VoiceError::Part { part, reason: format!("contains {value}") }),
        None => Ok(Some(values.iter().map(|&v| v as i32).collect())),
    }
}

/// A table that the host works with, such as a filter bank `[rows, columns]`; `None` if the file has none of that name.
pub(super) fn table(file: &GgufFile, name: &str, shape: [usize; 2]) -> Result<Option<Vec<f32>>, ModelError> {
    if file.tensor(name).is_none() {
        return Ok(None);
    }
    Ok(Some(file.host_tensor(file.require(name, shape)?)?.to_f32()))
}
