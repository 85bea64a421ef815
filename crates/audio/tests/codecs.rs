//! Every container and codec against the clip they were made from (`fixtures/audio/make.py`).
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Cursor, Read};

use common::{best_delay, bytes, floats, original, path, snr};
use mynah_audio::{AudioError, AudioStream};

fn decode(name: &str) -> Vec<f32> {
    AudioStream::open(path(name)).unwrap().read_all().unwrap()
}

/// A reader that gives a few bytes at a time and cannot seek.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let most = buf.len().min(777);
        self.0.read(&mut buf[..most])
    }
}

fn pipe(bytes: Vec<u8>) -> Result<AudioStream, AudioError> {
    AudioStream::from_reader(Box::new(Trickle(Cursor::new(bytes))), None)
}

#[test]
fn lossless_16_khz_mono_is_bit_exact() {
    let original = original();
    for name in [
        "s16.wav",
        "s24.wav",
        "s32.wav",
        "f32.wav",
        "f64.wav",
        "s16.rf64.wav",
        "s16.aiff",
        "f32.aifc",
        "s16.caf",
        "mono16.flac",
        "mono16.ogg.flac",
        "alac16.m4a",
    ] {
        assert!(decode(name) == original, "{name} differs");
    }
}

#[test]
fn coarse_wav_encodings_are_close() {
    let original = original();
    for (name, least) in [("u8.wav", 22.0), ("alaw.wav", 35.0), ("mulaw.wav", 35.0)] {
        let samples = decode(name);
        assert_eq!(samples.len(), original.len(), "{name}");
        assert!(snr(&original, &samples) > least, "{name}: {:.1} dB", snr(&original, &samples));
    }
    for (name, least) in [("adpcm_ima.wav", 18.0), ("adpcm_ms.wav", 18.0)] {
        let samples = decode(name);
        assert!(samples.len().abs_diff(original.len()) < 1100, "{name}: a block of padding at most");
        assert!(snr(&original, &samples) > least, "{name}: {:.1} dB", snr(&original, &samples));
    }
}

/// Channels of a WAV file are averaged exactly.
#[test]
fn channels_of_a_wav_are_averaged() {
    let spec = hound::WavSpec {
        channels: 3,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    let frames = (0..20_000i16).map(|n| [n, 3 - n, n.wrapping_mul(7) >> 3]);
    for sample in frames.clone().flatten() {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    let samples = AudioStream::from_bytes(file.into_inner()).unwrap().read_all().unwrap();
    let means = frames.map(|f| f.iter().map(|&s| f32::from(s) / 32768.0).sum::<f32>() / 3.0);
    assert!(samples.into_iter().eq(means));
}

/// Other rates and channel counts: averaged to mono, resampled, in time to the sample.
#[test]
fn other_rates_come_back_in_time() {
    let clip = floats("clip.f32");
    let samples = decode("stereo44.flac");
    assert_eq!(samples.len(), 20_000);
    assert!(snr(&clip, &samples) > 70.0, "{:.1} dB", snr(&clip, &samples));
    // 11.025 kHz loses everything above 5.5 kHz, but must not shift what is left.
    let (delay, ratio) = best_delay(&clip, &decode("mono11.wav"), 20);
    assert_eq!(delay, 0);
    assert!(ratio > 10.0, "{ratio:.1} dB");
}

/// Lossy codecs: allowed delay in samples of 16 kHz, least signal to noise ratio after it.
#[test]
fn lossy_codecs_resemble_the_clip() {
    let clip = floats("clip.f32");
    for (name, allowed, least) in [
        ("mono44.mp3", 1, 12.0),
        ("stereo44.mp3", 1, 12.0),
        ("mono16.mp2", 490, 10.0),
        ("stereo48.ogg", 1, 12.0),
        ("vorbis48.webm", 1, 12.0),
        ("stereo48.m4a", 1, 15.0),
        ("faststart48.m4a", 1, 15.0),
        ("mono22.aac", 1500, 12.0),
    ] {
        let samples = decode(name);
        let (delay, ratio) = best_delay(&clip, &samples, 1600);
        println!("{name}: {} samples, delay {delay}, {ratio:.1} dB", samples.len());
        assert!(delay.unsigned_abs() <= allowed, "{name}: delay {delay}");
        assert!(ratio > least, "{name}: {ratio:.1} dB");
        assert!(samples.len().abs_diff(20_000) < 2000, "{name}: {} samples", samples.len());
    }
}

#[test]
fn a_pipe_gives_what_a_file_gives() {
    for name in [
        "u8.wav",
        "s24.wav",
        "s16.rf64.wav",
        "adpcm_ima.wav",
        "mono16.flac",
        "mono16.ogg.flac",
        "mono44.mp3",
        "stereo44.mp3",
        "stereo48.ogg",
        "mono22.aac",
        "stereo48.m4a",
        "faststart48.m4a",
        "alac16.m4a",
        "s16.aiff",
        "f32.aifc",
        "s16.caf",
        "vorbis48.webm",
    ] {
        let piped = pipe(bytes(name)).unwrap().read_all().unwrap();
        assert!(piped == decode(name), "{name} differs through a pipe");
        let in_memory = AudioStream::from_bytes(bytes(name)).unwrap().read_all().unwrap();
        assert!(in_memory == piped, "{name} differs from memory");
    }
}

#[test]
fn blocks_are_bounded_and_iterate() {
    for block in AudioStream::open(path("stereo44.mp3")).unwrap() {
        assert!(block.unwrap().len() < 20_000);
    }
}

#[test]
fn the_source_is_described() {
    for (name, container, codec, rate, channels) in
        [("s24.wav", "wav", "pcm s24", 16_000, 1), ("stereo44.flac", "flac", "flac", 44_100, 2)]
    {
        let stream = AudioStream::open(path(name)).unwrap();
        let info = stream.source_info();
        assert_eq!((info.container.as_str(), info.codec.as_str()), (container, codec));
        assert_eq!((info.rate, info.channels), (rate, channels));
        assert_eq!(info.bits, Some(if rate == 16_000 { 24 } else { 16 }));
    }
    for name in
        ["s16.wav", "mono44.mp3", "mono16.flac", "stereo48.ogg", "stereo48.m4a", "s16.aiff", "s16.caf"]
    {
        let hint = AudioStream::open(path(name)).unwrap().duration_hint();
        assert!(hint.is_some_and(|s| (s - 1.25).abs() < 0.06), "{name}: {hint:?}");
    }
}

/// Headers as programs write them to a pipe or leave them in a crash.
#[test]
fn wav_lengths_that_are_placeholders() {
    let original = original();
    for (riff, data) in [
        (0xffff_ffffu32, 0xffff_ffffu32), // ffmpeg
        (0x7fff_f024, 0x7fff_f000),       // sox
        (0x8000_0024, 0x8000_0000),       // arecord
        (0, 0),                           // a recorder that crashed
        (36, 0),                          // gstreamer
        (0xffff_ffff, 40_000),
    ] {
        let mut wav = bytes("s16.wav");
        assert_eq!(&wav[36..40], b"data");
        wav[4..8].copy_from_slice(&riff.to_le_bytes());
        wav[40..44].copy_from_slice(&data.to_le_bytes());
        for mut stream in [pipe(wav.clone()).unwrap(), AudioStream::from_bytes(wav.clone()).unwrap()] {
            assert!(stream.read_all().unwrap() == original, "riff {riff:#x} data {data:#x}");
            assert!(!stream.stats().truncated);
        }
    }
}

#[test]
fn a_wav_cut_short_gives_what_is_there() {
    let mut wav = bytes("s16.wav");
    wav.truncate(44 + 10_001);
    for mut stream in [pipe(wav.clone()).unwrap(), AudioStream::from_bytes(wav.clone()).unwrap()] {
        assert!(stream.read_all().unwrap() == original()[..5000]);
        assert!(stream.stats().truncated);
    }
    let in_file = AudioStream::from_bytes(wav).unwrap();
    assert_eq!(in_file.duration_hint(), Some(5000.0 / 16_000.0), "the header claims more than there is");
}

/// Files that were cut short give what is there, and say that something is missing.
#[test]
fn other_files_cut_short_give_what_is_there() {
    let original = original();
    for (name, least) in [
        ("mono16.flac", 9_000),
        ("s16.aiff", 12_000),
        ("adpcm_ima.wav", 12_000),
        ("faststart48.m4a", 11_000),
        ("vorbis48.webm", 6_000),
        ("mono22.aac", 11_000),
    ] {
        let whole = bytes(name);
        let part = whole[..whole.len() * 2 / 3].to_vec();
        for stream in [AudioStream::from_bytes(part.clone()), pipe(part)] {
            let mut stream = stream.unwrap();
            let samples = stream.read_all().unwrap();
            assert!((least..16_000).contains(&samples.len()), "{name}: {} samples", samples.len());
            assert!(stream.stats().truncated, "{name}");
            if name.contains("16") && !name.contains("adpcm") {
                assert!(samples[..] == original[..samples.len()], "{name}");
            }
        }
    }
}

/// An index that is cut off cannot be made up, and the error says so.
#[test]
fn a_file_without_its_index_is_damaged_not_foreign() {
    for (name, length) in
        [("alac16.m4a", 10_000), ("stereo48.ogg", 100), ("s16.aiff", 20), ("mono16.flac", 30)]
    {
        let error = AudioStream::from_bytes(bytes(name)[..length].to_vec()).unwrap_err();
        assert!(matches!(error, AudioError::BadHeader { .. }), "{name}: {error}");
    }
}

#[test]
fn chunks_around_the_samples_are_not_audio() {
    let wav = bytes("s16.wav");
    let extra = |id: &[u8; 4], body: &[u8]| {
        let padded = [body, if body.len() % 2 == 1 { &[0] } else { &[] }].concat();
        [id.as_slice(), &(body.len() as u32).to_le_bytes(), &padded].concat()
    };
    let body = [&wav[..12], &extra(b"JUNK", &[9; 33]), &wav[12..], &extra(b"LIST", &[9; 100])].concat();
    assert!(pipe(body).unwrap().read_all().unwrap() == original());
    // An empty data chunk with another chunk behind it is empty audio.
    let mut empty = [&wav[..44], &extra(b"LIST", &[9; 100])].concat();
    let riff = (empty.len() - 8) as u32;
    empty[4..8].copy_from_slice(&riff.to_le_bytes());
    empty[40..44].fill(0);
    assert!(pipe(empty).unwrap().read_all().unwrap().is_empty());
}

#[test]
fn empty_audio_is_no_samples() {
    let header = bytes("s16.wav")[..44].to_vec();
    let mut stream = AudioStream::from_bytes(header).unwrap();
    assert!(stream.next_block().unwrap().is_none());
    assert!(stream.next_block().unwrap().is_none());
}

#[test]
fn floats_that_are_not_numbers_are_replaced_and_counted() {
    let mut wav = bytes("f32.wav");
    let data = wav.windows(4).position(|w| w == b"data").unwrap() + 8;
    wav[data..data + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    wav[data + 8..data + 12].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    let mut stream = AudioStream::from_bytes(wav).unwrap();
    let samples = stream.read_all().unwrap();
    assert_eq!((samples[0], samples[2]), (0.0, 0.0));
    assert_eq!(samples[3..], original()[3..]);
    assert_eq!(stream.stats().non_finite, 2);
}

#[test]
fn corrupt_packets_become_silence_of_the_same_length() {
    let mut flac = bytes("mono16.flac");
    let middle = flac.len() / 2;
    for byte in &mut flac[middle..middle + 2000] {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    let mut stream = AudioStream::from_bytes(flac).unwrap();
    let (samples, original) = (stream.read_all().unwrap(), original());
    assert_eq!(samples.len(), original.len());
    let damaged: Vec<usize> = (0..samples.len()).filter(|&n| samples[n] != original[n]).collect();
    let (first, last) = (damaged[0], damaged[damaged.len() - 1]);
    assert!(first > 4000 && last < 19_000, "only the middle suffers: {first} to {last}");
    let silent = samples[first..=last].iter().filter(|&&s| s == 0.0).count();
    assert!(silent > 2000, "{silent} of {} samples are silent", last - first);
    assert!(stream.stats().bad_packets > 0);
    assert!(!stream.stats().truncated);
}

#[test]
fn a_truncated_mp3_gives_its_beginning() {
    let samples = decode("truncated.mp3");
    let clip = floats("clip.f32");
    assert!((10_000..14_000).contains(&samples.len()), "{}", samples.len());
    let (delay, ratio) = best_delay(&clip[..9000], &samples[..9000], 20);
    assert!(delay.abs() <= 1 && ratio > 12.0, "delay {delay}, {ratio:.1} dB");
}

/// A header counts the frames of its own file only.
#[test]
fn joined_mp3_files_are_heard_to_the_end() {
    let one = bytes("mono44.mp3");
    let joined = one.repeat(3);
    let samples = AudioStream::from_bytes(joined.clone()).unwrap().read_all().unwrap();
    assert!(samples.len() > 59_000, "{}", samples.len());
    assert!(pipe(joined).unwrap().read_all().unwrap() == samples);
}

/// Without a header the length is a guess from the bit rate of the first frame.
#[test]
fn a_wrong_guess_of_the_length_drops_nothing() {
    let mp3 = bytes("mono44.mp3");
    // The first frame is the header.
    let mut frames = (0..mp3.len() - 1).filter(|&at| mp3[at..at + 2] == [0xff, 0xfb]);
    let second = frames.nth(1).unwrap();
    let headless = [&mp3[second..], &[0; 5000]].concat();
    let from_file = AudioStream::from_bytes(headless.clone()).unwrap();
    assert!(from_file.duration_hint().is_some(), "a guess for progress");
    let samples = from_file.into_iter().flat_map(Result::unwrap).collect::<Vec<f32>>();
    assert!(samples.len() > 20_000, "{}", samples.len());
    assert!(pipe(headless).unwrap().read_all().unwrap() == samples);
}

#[test]
fn codecs_without_decoder_are_named() {
    for name in ["opus48.ogg", "opus48.webm"] {
        let error = AudioStream::open(path(name)).unwrap_err();
        assert!(
            matches!(&error, AudioError::UnsupportedCodec { codec, .. } if codec == "Opus"),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("ffmpeg"), "the error has a hint");
    }
}

#[test]
fn what_is_not_audio_says_so() {
    let text = b"Once upon a time there was a file that was not audio at all.\n".repeat(50);
    let zip = [b"PK\x03\x04".as_slice(), &[0; 100]].concat();
    for (what, bytes) in
        [("garbage", bytes("garbage.bin")), ("text", text), ("zip", zip), ("nothing", Vec::new())]
    {
        for stream in [AudioStream::from_bytes(bytes.clone()), pipe(bytes)] {
            let error = match stream {
                Ok(mut stream) => stream.read_all().unwrap_err(),
                Err(error) => error,
            };
            assert!(matches!(error, AudioError::NotAudio { .. }), "{what}: {error}");
        }
    }
    let error = AudioStream::open("no/such/file.wav").unwrap_err();
    assert!(matches!(error, AudioError::Open { .. }) && error.to_string().contains("no/such/file.wav"));
    assert!(matches!(AudioStream::open(path("")), Err(AudioError::Open { .. })), "a folder");
}

#[test]
fn a_stream_comes_at_any_rate() {
    let stream = AudioStream::open(path("s16.wav")).unwrap().at_rate(24_000);
    let found = stream.unwrap().read_all().unwrap();
    assert!(found == mynah_audio::resample(&original(), 16_000, 24_000).unwrap());
    let own = AudioStream::open(path("stereo44.flac")).unwrap().at_rate(44_100).unwrap().read_all().unwrap();
    assert_eq!(own.len(), 44_100 * 5 / 4);
    assert!(AudioStream::open(path("s16.wav")).unwrap().at_rate(1).is_err());
}
