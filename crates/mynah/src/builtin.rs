//! The small English model that is compiled into the binary, so that the binary alone does the job.

/// What the built-in model calls itself.
pub const BUILTIN_NAME: &str = "mynah-ears-en";

#[cfg(feature = "builtin-model")]
static MODEL: &[u8] = include_bytes!("../../../assets/mynah-ears-en-q8_0.gguf");

/// Whether this build has a model inside.
pub fn has_builtin() -> bool {
    cfg!(feature = "builtin-model")
}

/// The model's bytes.
pub(crate) fn bytes() -> Option<&'static [u8]> {
    #[cfg(feature = "builtin-model")]
    {
        Some(MODEL)
    }
    #[cfg(not(feature = "builtin-model"))]
    {
        None
    }
}
