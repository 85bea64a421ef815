//! The pieces of a SentencePiece model, read straight from its protobuf: `ModelProto` field 1 is a list of messages
//! whose field 1 is the piece's text. Scores, normalisation and everything else serve encoding only and are skipped.

/// A model has 128 to some 250 000 pieces.
const MAX_PIECES: usize = 1 << 20;

/// What is wrong with a SentencePiece model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SentencePieceError {
    /// A field that is cut short or of an impossible kind.
    #[error("tokenizer model is malformed at byte {offset}")]
    Malformed {
        /// Where.
        offset: usize,
    },
    /// A piece that is not UTF-8.
    #[error("piece {index} of the tokenizer model is not UTF-8")]
    NotUtf8 {
        /// Which piece.
        index: usize,
    },
    /// No pieces at all.
    #[error("tokenizer model has no pieces")]
    Empty,
    /// More pieces than any vocabulary.
    #[error("tokenizer model has more than {MAX_PIECES} pieces")]
    TooMany,
}

/// Reads the pieces in the order of their ids.
///
/// # Errors
/// [`SentencePieceError`].
pub(crate) fn pieces(model: &[u8]) -> Result<Vec<String>, SentencePieceError> {
    let mut found = Vec::new();
    let mut outer = Fields { bytes: model, at: 0 };
    while let Some((number, body)) = outer.next()? {
        let (1, Some(message)) = (number, body) else { continue };
        if found.len() >= MAX_PIECES {
            return Err(SentencePieceError::TooMany);
        }
        let mut text = None;
        let mut inner = Fields { bytes: message, at: 0 };
        while let Some((number, body)) = inner.next()? {
            if number == 1 {
                text = body;
            }
        }
        let text = std::str::from_utf8(text.unwrap_or_default())
            .map_err(|_| SentencePieceError::NotUtf8 { index: found.len() })?;
        found.push(text.to_owned());
    }
    if found.is_empty() {
        return Err(SentencePieceError::Empty);
    }
    Ok(found)
}

/// A field's number, and its bytes if it is of the kind that has a length.
type Field<'a> = (u64, Option<&'a [u8]>);

/// Walks the fields of one protobuf message.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<Field<'a>>, SentencePieceError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let body = match tag & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| self.malformed())?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_| None)?,
            _ => return Err(self.malformed()),
        };
        Ok(Some((tag >> 3, body)))
    }

    fn varint(&mut self) -> Result<u64, SentencePieceError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SentencePieceError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.malformed())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn malformed(&self) -> SentencePieceError {
        SentencePieceError::Malformed { offset: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(pieces: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in pieces {
            let mut message = vec![0x0a, piece.len() as u8];
            message.extend(piece.as_bytes());
            // A score (fixed32) and a type (varint), as real models have.
            message.extend([0x15, 0, 0, 0x80, 0xbf, 0x18, 3]);
            out.extend([0x0a, message.len() as u8]);
            out.extend(message);
        }
        // A trainer section and a field of 64 bits to skip.
        out.extend([0x12, 2, 0x08, 1, 0x39, 1, 2, 3, 4, 5, 6, 7, 8]);
        out
    }

    #[test]
    fn reads_pieces_in_order() {
        assert_eq!(pieces(&model(&["<unk>", "▁the", "s"])).unwrap(), ["<unk>", "▁the", "s"]);
    }

    #[test]
    fn refuses_what_is_none() {
        let good = model(&["<unk>", "▁the"]);
        assert!(matches!(pieces(&good[..9]), Err(SentencePieceError::Malformed { .. })));
        assert_eq!(pieces(&[]), Err(SentencePieceError::Empty));
        assert_eq!(pieces(&[0x0a, 4, 0x0a, 2, 0xff, 0xfe]), Err(SentencePieceError::NotUtf8 { index: 0 }));
        // A length that overflows, a varint without end, a group.
        assert!(pieces(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
        assert!(pieces(&[0xff; 16]).is_err());
        assert!(pieces(&[0x0b, 0]).is_err());
    }
}
