//! Cuts long speech into tiles that a vocoder's run takes, all of one length, so that one plan serves them.

use std::ops::Range;

/// Mel frames of a tile, ten seconds. The overlap of two tiles costs a fifteenth of it.
pub const TILE: usize = 512;

/// A run of the vocoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Frames that go in.
    pub(crate) frames: Range<usize>,
    /// Frames whose samples are kept.
    pub(crate) kept: Range<usize>,
}

/// Tiles of at most `tile` frames over `frames`. Where two meet, each has `reach` frames beyond what is kept of it, so the samples
/// are those of one long run; the first and the last end where the speech does.
pub(crate) fn tiles(frames: usize, tile: usize, reach: usize) -> Vec<Tile> {
    if frames <= tile || tile <= 2 * reach {
        return vec![Tile { frames: 0..frames, kept: 0..frames }];
    }
    let mut tiles = Vec::new();
    let mut kept = 0;
    while kept < frames {
        let start = kept.saturating_sub(reach).min(frames - tile);
        let end = start + tile;
        let until = if end == frames { frames } else { end - reach };
        tiles.push(Tile { frames: start..end, kept: kept..until });
        kept = until;
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::tiles;

    #[test]
    fn tiles_cover_all_frames_once_with_their_surroundings() {
        for (tile, reach) in [(8, 3), (10, 2), (64, 17)] {
            for frames in 1..300 {
                let tiles = tiles(frames, tile, reach);
                let mut next = 0;
                for t in &tiles {
                    assert!(t.kept.start == next && t.kept.end > next);
                    assert_eq!(t.frames.len(), tile.min(frames));
                    assert!(t.frames.start == 0 || t.frames.start + reach <= t.kept.start);
                    assert!(t.frames.end == frames || t.kept.end + reach <= t.frames.end);
                    next = t.kept.end;
                }
                assert_eq!(next, frames);
            }
        }
    }

    #[test]
    fn a_reach_as_large_as_a_tile_is_no_reason_to_hang() {
        assert_eq!(tiles(100, 8, 4).len(), 1);
    }
}
