//! Recognises a container by its first bytes: which reader opens it, whether that reader must seek, and what to tell a
//! user whose file is something else. Feeds [`crate::decode`] and its error messages.

/// How an input is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// RIFF/WAVE, RF64 or BW64.
    Wav,
    /// MP4 and QuickTime, whose index may lie at the end.
    Mp4,
    /// Another container whose reader may seek backwards; a pipe must be spooled.
    Seeking(&'static str),
    /// A container that needs no seeking, and whose reader does better without.
    Forward,
    /// A container that streams, and can look ahead where seeking is possible.
    Streaming,
    /// Not recognised by its first bytes; MPEG audio behind some junk, perhaps.
    Unknown,
    /// Recognised, and not something this crate reads.
    Foreign(&'static str),
}

/// Looks at the first bytes of an input.
pub(crate) fn sniff(head: &[u8]) -> Container {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let position = |mark: &[u8]| head.windows(mark.len()).position(|window| window == mark);
    if (at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64")) && at(8, b"WAVE") {
        return Container::Wav;
    }
    if at(4, b"ftyp") || at(4, b"moov") || at(4, b"mdat") {
        return Container::Mp4;
    }
    if at(0, b"caff") {
        return Container::Seeking("caf");
    }
    if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
        let described =
            position(b"COMM").is_some_and(|comm| position(b"SSND").is_none_or(|ssnd| comm < ssnd));
        return if described { Container::Forward } else { Container::Seeking("aiff") };
    }
    if at(0, b"\x1a\x45\xdf\xa3") {
        return Container::Forward;
    }
    let mpeg = matches!(head, [0xff, second, ..] if second & 0xe0 == 0xe0);
    if mpeg || at(0, b"OggS") || at(0, b"fLaC") {
        return Container::Streaming;
    }
    // Formats that would otherwise be scanned for a chance MPEG sync word, or that deserve a better message.
    const FOREIGN: [(usize, &[u8], &str); 18] = [
        (0, b"\xff\xd8\xff", "a JPEG picture"),
        (8, b"AVI ", "an AVI video"),
        (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
        (0, b"#!AMR", "AMR"),
        (0, b"wvpk", "WavPack"),
        (0, b"MAC ", "Monkey's Audio"),
        (0, b"MThd", "MIDI"),
        (0, b"DSD ", "DSD"),
        (0, b"FLV\x01", "Flash video"),
        (0, b".snd", "Sun au"),
        (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
        (0, b"GGUF", "a model file"),
        (0, b"PK\x03\x04", "a zip archive"),
        (0, b"%PDF", "a PDF document"),
        (0, b"\x89PNG", "a PNG picture"),
        (0, b"\x7fELF", "a program"),
        (0, b"\x1f\x8b", "gzip"),
        (0, b"{\"", "JSON text"),
    ];
    match FOREIGN.iter().find(|(offset, magic, _)| at(*offset, magic)) {
        Some((_, _, what)) => Container::Foreign(what),
        None if is_text(head) => Container::Foreign("text"),
        None => Container::Unknown,
    }
}

/// Whether the head is printable text. A long MPEG scan over prose finds nothing and only costs time.
fn is_text(head: &[u8]) -> bool {
    let start = &head[..head.len().min(512)];
    start.len() >= 4 && start.iter().all(|&b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_heads() {
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), Container::Wav);
        assert_eq!(sniff(b"RF64\xff\xff\xff\xffWAVEds64"), Container::Wav);
        assert_eq!(sniff(b"\0\0\0\x20ftypM4A "), Container::Mp4);
        assert_eq!(sniff(b"OggS\0\x02"), Container::Streaming);
        assert_eq!(sniff(b"\xff\xfb\x90\0"), Container::Streaming);
        assert_eq!(sniff(b"FORM\0\0\0\0AIFFCOMM"), Container::Forward);
        assert_eq!(sniff(b"FORM\0\0\0\0AIFFSSND....COMM"), Container::Seeking("aiff"));
        assert_eq!(sniff(b"RIFF\0\0\0\0AVI LIST"), Container::Foreign("an AVI video"));
        assert_eq!(sniff(b"hello, this is not audio"), Container::Foreign("text"));
        assert_eq!(sniff(b""), Container::Unknown);
    }
}
