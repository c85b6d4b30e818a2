//! The search for the echoes of secrets in a text, in whatever encoding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::wire::redact::numbers::decoded;
use crate::wire::redact::prose::runs;
use crate::wire::redact::unescape::{Dialect, Seen, joined, unescaped};

/// This many characters of a secret in a row are an echo of it.
pub(super) const WINDOW: usize = 8;

/// A secret with fewer letters and digits is an echo only as a whole.
pub(super) const SHORTEST_WINDOW: usize = 4;

/// Half of a shorter secret is no echo: ordinary words would match.
const SHORTEST_HALF: usize = 5;

/// A text with more layers of escapes, or with more ways to read them, is not searched but redacted.
const MOST_VIEWS: usize = 48;

/// What is searched for, besides the secrets as they are.
pub(super) struct Needles(Vec<Needle>);

/// A secret in one encoding: its letters and digits only, in lower case.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    window: usize,
}

impl Needles {
    pub(super) fn of(secrets: &[&str]) -> Self {
        Self(secrets.iter().flat_map(|secret| encodings(without_labels(secret).as_bytes())).collect())
    }

    /// For each byte of the text, whether it belongs to an echo of these secrets.
    pub(super) fn echoes(&self, secrets: &[&str], text: &str) -> Vec<bool> {
        let mut marks = vec![false; text.len()];
        let mut views =
            vec![text.bytes().enumerate().map(|(at, byte)| Seen::one(byte, at)).collect::<Vec<_>>()];
        let mut searched = 0;
        // A proxy may have escaped text that the server had escaped already, each in its own way.
        while let Some(view) = views.get(searched) {
            if searched == MOST_VIEWS {
                marks.fill(true);
                return marks;
            }
            mark_whole(secrets.iter().copied(), view, &mut marks);
            self.mark_windows(view, &mut marks);
            for decoded in decoded(view) {
                let long = secrets.iter().copied().filter(|secret| secret.len() >= SHORTEST_WINDOW);
                mark_whole(long, &decoded, &mut marks);
                self.mark_windows(&decoded, &mut marks);
            }
            let others = Dialect::ALL.map(|dialect| unescaped(view, dialect));
            for view in [joined(view)].into_iter().chain(others) {
                let is_same = |other: &Vec<Seen>| {
                    view.len() == other.len()
                        && view.iter().zip(other).all(|(one, other)| one.byte == other.byte)
                };
                if !views.iter().any(is_same) {
                    views.push(view);
                }
            }
            searched += 1;
        }
        widen(text, &mut marks);
        marks
    }

    /// Marks each window of a secret, in any encoding.
    fn mark_windows(&self, view: &[Seen], marks: &mut [bool]) {
        let normal: Vec<Seen> = view.iter().filter_map(|seen| Some(seen.with(normal(seen.byte)?))).collect();
        for window in SHORTEST_WINDOW..=WINDOW {
            let mut needles = self.0.iter().filter(|needle| needle.window == window).peekable();
            if needles.peek().is_some() && normal.len() >= window {
                let mut places = Places::of(&normal, window);
                needles.for_each(|needle| places.mark(needle, marks));
            }
        }
    }
}

/// The places of a text where a window may stand. A text is short and a secret may be long, so the text is what is
/// sorted, and the secret passes by once.
struct Places<'a> {
    text: &'a [Seen],
    window: usize,
    /// What stands at each place, packed, and where that is, in order.
    sorted: Vec<(u64, usize)>,
    /// For the first of those with the same content, whether they are marked. A secret that repeats itself costs no more
    /// than one that does not.
    marked: Vec<bool>,
    /// A bit for each hash of what stands there: nearly all windows of a secret stand nowhere, and end here.
    filter: Vec<u64>,
    /// How far a hash is shifted, for its highest bits to be the number of a bit of the filter.
    shift: u32,
}

impl<'a> Places<'a> {
    fn of(text: &'a [Seen], window: usize) -> Self {
        let places = text.windows(window).enumerate();
        let mut sorted: Vec<(u64, usize)> = places.map(|(at, place)| (packed(place), at)).collect();
        sorted.sort_unstable();
        // Sixteen bits for each place, so that one in sixteen of the other windows goes on to the search.
        let bits = (sorted.len() * 16).next_power_of_two().max(64);
        let mut places = Self {
            text,
            window,
            marked: vec![false; sorted.len()],
            filter: vec![0; bits / 64],
            shift: 64 - bits.trailing_zeros(),
            sorted,
        };
        for (content, _) in &places.sorted {
            let (word, bit) = place_in_filter(*content, places.shift);
            places.filter.get_mut(word).into_iter().for_each(|word| *word |= bit);
        }
        places
    }

    /// Marks what stands in the text of this needle.
    fn mark(&mut self, needle: &Needle, marks: &mut [bool]) {
        let mask = if self.window == WINDOW { u64::MAX } else { (1 << (8 * self.window)) - 1 };
        let Some((first, rest)) = needle.bytes.split_at_checked(self.window - 1) else { return };
        let mut passing = first.iter().fold(0, |passing, byte| passing << 8 | u64::from(*byte));
        for byte in rest {
            passing = (passing << 8 | u64::from(*byte)) & mask;
            let (word, bit) = place_in_filter(passing, self.shift);
            if self.filter.get(word).is_some_and(|word| word & bit != 0) {
                self.mark_places(passing, marks);
            }
        }
    }

    fn mark_places(&mut self, content: u64, marks: &mut [bool]) {
        let first = self.sorted.partition_point(|(known, _)| *known < content);
        let is_there = self.sorted.get(first).is_some_and(|(known, _)| *known == content);
        let Some(marked) = self.marked.get_mut(first).filter(|marked| is_there && !**marked) else { return };
        *marked = true;
        for (_, at) in self.sorted.iter().skip(first).take_while(|(known, _)| *known == content) {
            mark_seen(self.text.get(*at..at + self.window).unwrap_or_default(), marks);
        }
    }
}

/// The word of a filter and the bit of it that stand for this content, by multiplicative hashing.
fn place_in_filter(content: u64, shift: u32) -> (usize, u64) {
    let bit = content.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift;
    (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
}

/// Marks each occurrence of a whole secret. A blank may have become a plus.
fn mark_whole<'s>(secrets: impl IntoIterator<Item = &'s str>, view: &[Seen], marks: &mut [bool]) {
    for secret in secrets.into_iter().filter(|secret| secret.len() <= view.len()) {
        let secret = secret.as_bytes();
        for place in view.windows(secret.len()) {
            let is_same =
                |(seen, byte): (&Seen, &u8)| seen.byte == *byte || (seen.byte == b'+' && *byte == b' ');
            if place.iter().zip(secret).all(is_same) {
                mark_seen(place, marks);
            }
        }
    }
}

/// The encodings of a secret that decoding the text does not undo, and the secret itself.
fn encodings(secret: &[u8]) -> Vec<Needle> {
    let hex: Zeroizing<Vec<u8>> =
        Zeroizing::new(secret.iter().flat_map(|byte| [byte >> 4, byte & 15].map(hex_digit)).collect());
    let base64 = [(&[][..], 0), (&[0], 2), (&[0, 0], 3)].map(|(before, first)| {
        let shifted = Zeroizing::new([before, secret].concat());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&*shifted));
        // The first characters depend on the bytes before the secret, the last on the bytes after it.
        let last = encoded.len().saturating_sub(usize::from(shifted.len() % 3 != 0));
        Zeroizing::new(encoded.as_bytes().get(first..last).unwrap_or_default().to_vec())
    });
    let plain = Zeroizing::new(secret.to_vec());
    let needle = |encoded: Zeroizing<Vec<u8>>| {
        let bytes = Zeroizing::new(encoded.iter().filter_map(|byte| normal(*byte)).collect::<Vec<u8>>());
        let window = match bytes.len() {
            length @ ..WINDOW => length,
            length => length.div_ceil(2).clamp(SHORTEST_HALF, WINDOW),
        };
        Needle { bytes, window }
    };
    [plain, hex]
        .into_iter()
        .chain(base64)
        .map(needle)
        .filter(|needle| needle.window >= SHORTEST_WINDOW)
        .collect()
}

/// PEM text without its lines of dashes: messages may show their labels.
pub(super) fn without_labels(secret: &str) -> Zeroizing<String> {
    match secret.contains("-----BEGIN ") {
        true => Zeroizing::new(secret.split("-----").step_by(2).collect()),
        false => Zeroizing::new(secret.to_owned()),
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or_default()
}

/// The part of a byte that is compared: letters and digits, in lower case. Any other byte may come from an encoding or
/// a line break.
pub(super) fn normal(byte: u8) -> Option<u8> {
    (byte.is_ascii_alphanumeric() || !byte.is_ascii()).then(|| byte.to_ascii_lowercase())
}

fn packed(place: &[Seen]) -> u64 {
    place.iter().fold(0, |packed, seen| packed << 8 | u64::from(seen.byte))
}

/// Marks these bytes.
pub(super) fn mark(marks: &mut [bool], from: usize, to: usize) {
    marks.get_mut(from..to).into_iter().flatten().for_each(|flag| *flag = true);
}

/// Marks everything from the first byte to the last.
fn mark_seen(place: &[Seen], marks: &mut [bool]) {
    if let (Some(first), Some(last)) = (place.first(), place.last()) {
        mark(marks, first.from, last.to);
    }
}

/// Marks each whole run that contains an echo.
fn widen(text: &str, marks: &mut [bool]) {
    for (from, to) in runs(text, |_, byte| byte.is_ascii_alphanumeric() || b"+/_-%".contains(&byte)) {
        if marks.get(from..to).is_some_and(|run| run.contains(&true)) {
            mark(marks, from, to);
        }
    }
}
