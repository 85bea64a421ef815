//! The small English model that is compiled into the binary, so that the binary alone does the job.

use crate::error::Error;
use mynah_gguf::GgufFile;

/// What the built-in model calls itself.
pub const BUILTIN_NAME: &str = "mynah-ears-en";

#[cfg(feature = "builtin-model")]
static MODEL: &[u8] = include_bytes!("../../../assets/mynah-ears-en-q8_0.gguf");

/// Whether this build has a model inside.
pub fn has_builtin() -> bool {
    cfg!(feature = "builtin-model")
}

/// The model inside the binary as a file, for tools that look inside.
///
/// # Errors
/// [`Error::NoModel`] when the binary was built without one.
pub fn builtin_file() -> Result<GgufFile, Error> {
    Ok(GgufFile::from_bytes(builtin_bytes().ok_or(Error::NoModel)?)?)
}

/// The bytes of the model inside the binary, if there is one: a whole GGUF file.
pub fn builtin_bytes() -> Option<&'static [u8]> {
    #[cfg(feature = "builtin-model")]
    {
        Some(MODEL)
    }
    #[cfg(not(feature = "builtin-model"))]
    {
        None
    }
}
