//! Decides which text of a server may be shown: without the request's secrets in any encoding, without anything that
//! has the form of a secret, on one line, of bounded length.
//!
//! There are two rules, and each redacts independently of the other:
//!
//! - **Echoes.** The search for a request's secrets covers them as they are, percent-encoded, JSON- or HTML-escaped, in
//!   Base64 of either alphabet and in hex, in any letter case, with any other characters in between, and in parts:
//!   eight characters in a row, or half of a shorter secret, are an echo.
//! - **Form.** Other text is shown only where it reads like prose: words, numbers, short names. A longer run of mixed
//!   letters and digits, as in tokens and keys, is redacted even if it is not in the request.

use std::error::Error as _;
use std::fmt;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::error::Error;

/// The longest piece of a server's text that is shown, in characters.
const LONGEST: usize = 300;

/// A longer text is not searched but redacted: it is not for readers, and each position in it may begin a secret.
const LONGEST_TEXT: usize = 8 * 1024;

/// With a longer secret no text is searched: it is redacted.
const LONGEST_SECRET: usize = 64 * 1024;

/// The placeholder for redacted text.
const REDACTED: &str = "[redacted]";

/// This many characters of a secret in a row are an echo of it.
const WINDOW: usize = 8;

/// A secret with fewer letters and digits is an echo only as a whole.
const SHORTEST_WINDOW: usize = 4;

/// Half of a shorter secret is no echo: ordinary words would match.
const SHORTEST_HALF: usize = 5;

/// A longer run of mixed letters and digits may be part of a token.
const LONGEST_ODD_PIECE: usize = 7;

/// A text with more such pieces is not prose.
const MOST_ODD_PIECES: usize = 6;

/// The longest word that is shown, and the longest number.
const LONGEST_WORD: usize = 24;
const LONGEST_NUMBER: usize = 13;

/// The longest error code that is shown as it is.
const LONGEST_CODE: usize = 80;

/// The longest id that is shown.
const LONGEST_ID: usize = 128;

/// Redacts texts of one server, given the secrets that were sent to it.
pub(crate) struct Redactor<'a> {
    secrets: Vec<&'a str>,
    /// Ids and addresses of the request that are shown whatever their form.
    public: Vec<&'a str>,
    needles: OnceLock<Vec<Needle>>,
}

/// A secret in one encoding: its letters and digits only, in lower case.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    window: usize,
}

impl<'a> Redactor<'a> {
    pub(crate) fn new(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        Self { secrets, public: Vec::new(), needles: OnceLock::new() }
    }

    /// Marks parts of the request as public, whatever their form.
    pub(crate) fn with_public(mut self, public: impl IntoIterator<Item = &'a str>) -> Self {
        self.public.extend(public.into_iter().filter(|text| text.len() >= SHORTEST_WINDOW));
        self
    }

    /// Redacts free text and codes for a message, by both rules; a long text is cut off.
    pub(crate) fn text(&self, text: &str) -> String {
        if text.len() > LONGEST_TEXT || self.is_unsearchable() {
            return format!("[{} bytes]", text.len());
        }
        let mut hidden = self.echoes(text);
        self.hide_odd_forms(text, &mut hidden);
        rendered(text, &hidden, LONGEST)
    }

    /// An error code. One made of words is shown unless it holds half of a secret: `InvalidAccessKeyId` may share words
    /// with a passphrase, and the hint for a refusal depends on its code.
    pub(crate) fn code(&self, code: &str) -> String {
        let is_code = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_wordy = code.len() <= LONGEST_CODE && code.bytes().all(is_code) && oddity(code) == (false, 0);
        if !is_wordy || self.is_unsearchable() {
            return self.text(code);
        }
        let letters = |text: &[u8]| -> Vec<u8> { text.iter().filter_map(|byte| normal(*byte)).collect() };
        let shown = letters(code.as_bytes());
        let holds_half = |secret: &&str| {
            let secret = Zeroizing::new(letters(without_labels(secret).as_bytes()));
            let half = secret.len().div_ceil(2).max(WINDOW).min(secret.len().max(1));
            shown.windows(half).any(|place| secret.windows(half).any(|other| other == place))
        };
        match self.secrets.iter().any(holds_half) {
            true => REDACTED.to_owned(),
            false => code.to_owned(),
        }
    }

    /// A server's identifier, such as a request id: shown whole if it has the form of an id and holds no echo, or else
    /// not at all.
    pub(crate) fn id(&self, id: &str) -> String {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@/|+=".contains(&byte);
        let is_good = id.len() <= LONGEST_ID
            && id.bytes().all(is_id)
            && !is_jwt_like(id)
            && !self.is_unsearchable()
            && !self.echoes(id).contains(&true);
        if is_good { id.to_owned() } else { REDACTED.to_owned() }
    }

    /// A returned value that `Debug` shows, such as a granted scope: whole except for echoes and tokens. `None` for a
    /// text that is too long.
    pub(crate) fn value(&self, value: &str) -> Option<String> {
        if value.len() > LONGEST_TEXT || self.is_unsearchable() {
            return None;
        }
        let mut hidden = self.echoes(value);
        for (from, to) in pieces(value, |_, byte| is_of_token(byte)) {
            if value.get(from..to).is_some_and(is_jwt_like) {
                hide(&mut hidden, from, to);
            }
        }
        Some(rendered(value, &hidden, usize::MAX))
    }

    /// An error of the transport; with an echo in it, its causes are dropped and its message is redacted. A user's own
    /// transport may put a server's text into its errors, such as the debug data of a GOAWAY in HTTP/2.
    pub(crate) fn error(&self, error: Error) -> Error {
        let mut told = format!("{error:?}");
        let mut next = error.source();
        while let Some(cause) = next {
            told.push_str(&format!(" {cause} {cause:?}"));
            next = cause.source();
        }
        let message = error.to_string();
        if !self.shows(&told) && !self.shows(&message) {
            return error;
        }
        let message = match message.len() {
            0..=LONGEST_TEXT if !self.is_unsearchable() => {
                rendered(&message, &self.echoes(&message), usize::MAX)
            }
            length => format!("the way to the server failed ([{length} bytes])"),
        };
        error.redacted(message)
    }

    /// Whether the text may hold an echo; one that is too long to be searched may.
    fn shows(&self, text: &str) -> bool {
        !self.secrets.is_empty()
            && (text.len() > LONGEST_TEXT || self.is_unsearchable() || self.echoes(text).contains(&true))
    }

    fn is_unsearchable(&self) -> bool {
        self.secrets.iter().any(|secret| secret.len() > LONGEST_SECRET)
    }

    /// For each byte of the text, whether it belongs to an echo.
    fn echoes(&self, text: &str) -> Vec<bool> {
        let mut hidden = vec![false; text.len()];
        if self.secrets.is_empty() {
            return hidden;
        }
        let mut view: Vec<Seen> = text.bytes().enumerate().map(|(at, byte)| Seen::one(byte, at)).collect();
        // A proxy may have escaped text that the server had escaped already.
        for _ in 0..4 {
            self.hide_whole(&view, &mut hidden);
            self.hide_windows(&view, &mut hidden);
            let decoded = decoded(&view);
            if decoded.len() == view.len() {
                break;
            }
            view = decoded;
        }
        widen(text, &mut hidden);
        hidden
    }

    /// Redacts each occurrence of a whole secret. A blank may have become a plus.
    fn hide_whole(&self, view: &[Seen], hidden: &mut [bool]) {
        for secret in self.secrets.iter().filter(|secret| secret.len() <= view.len()) {
            let secret = secret.as_bytes();
            for place in view.windows(secret.len()) {
                let is_same =
                    |(seen, byte): (&Seen, &u8)| seen.byte == *byte || (seen.byte == b'+' && *byte == b' ');
                if place.iter().zip(secret).all(is_same) {
                    hide_seen(place, hidden);
                }
            }
        }
    }

    /// Redacts each window of a secret, in any encoding.
    fn hide_windows(&self, view: &[Seen], hidden: &mut [bool]) {
        let normal: Vec<Seen> = view.iter().filter_map(|seen| Some(seen.with(normal(seen.byte)?))).collect();
        for window in SHORTEST_WINDOW..=WINDOW {
            let mut places: Vec<(u64, usize)> =
                normal.windows(window).enumerate().map(|(at, place)| (packed(place), at)).collect();
            places.sort_unstable();
            for needle in self.needles().iter().filter(|needle| needle.window == window) {
                let mask = if window == WINDOW { u64::MAX } else { (1 << (8 * window)) - 1 };
                let mut passing = 0_u64;
                let mut windows = Vec::with_capacity(needle.bytes.len());
                for (count, byte) in needle.bytes.iter().enumerate() {
                    passing = (passing << 8 | u64::from(*byte)) & mask;
                    if count + 1 >= window {
                        windows.push(passing);
                    }
                }
                // Each window once, so that a long secret that repeats itself costs no more than one that does not.
                windows.sort_unstable();
                windows.dedup();
                for passing in windows {
                    let first = places.partition_point(|(known, _)| *known < passing);
                    for (_, at) in places.iter().skip(first).take_while(|(known, _)| *known == passing) {
                        hide_seen(normal.get(*at..at + window).unwrap_or_default(), hidden);
                    }
                }
            }
        }
    }

    fn needles(&self) -> &[Needle] {
        self.needles.get_or_init(|| {
            self.secrets.iter().flat_map(|secret| needles(without_labels(secret).as_bytes())).collect()
        })
    }

    /// Redacts text that is not prose.
    fn hide_odd_forms(&self, text: &str, hidden: &mut [bool]) {
        let mut judged = hidden.to_vec();
        for public in &self.public {
            for (at, found) in text.match_indices(public) {
                hide(&mut judged, at, at + found.len());
            }
        }
        let mut odd = Vec::new();
        let mut odd_pieces = 0;
        let is_open = |at: usize| !judged.get(at).copied().unwrap_or_default();
        for (from, to) in pieces(text, |at, byte| is_open(at) && is_of_token(byte)) {
            let (is_odd, pieces) = oddity(text.get(from..to).unwrap_or_default());
            odd_pieces += pieces;
            if is_odd {
                odd.push((from, to));
            }
        }
        match odd_pieces > MOST_ODD_PIECES {
            true => hidden.fill(true),
            false => odd.into_iter().for_each(|(from, to)| hide(hidden, from, to)),
        }
    }
}

impl fmt::Debug for Redactor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

/// A text of this crate for a message: on one line; a long text is cut off.
#[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
pub(crate) fn bounded(text: &str) -> String {
    rendered(text, &[], LONGEST)
}

/// A decoded byte of a text, and its position in the text.
#[derive(Clone, Copy)]
struct Seen {
    byte: u8,
    from: usize,
    to: usize,
}

impl Seen {
    fn one(byte: u8, at: usize) -> Self {
        Self { byte, from: at, to: at + 1 }
    }

    fn with(self, byte: u8) -> Self {
        Self { byte, ..self }
    }
}

/// The encodings of a secret that decoding the text does not undo, and the secret itself.
fn needles(secret: &[u8]) -> Vec<Needle> {
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
fn without_labels(secret: &str) -> Zeroizing<String> {
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
fn normal(byte: u8) -> Option<u8> {
    (byte.is_ascii_alphanumeric() || !byte.is_ascii()).then(|| byte.to_ascii_lowercase())
}

fn packed(place: &[Seen]) -> u64 {
    place.iter().fold(0, |packed, seen| packed << 8 | u64::from(seen.byte))
}

/// The text with one layer of percent-encoding and of JSON's and HTML's escapes removed.
fn decoded(view: &[Seen]) -> Vec<Seen> {
    let mut decoded = Vec::with_capacity(view.len());
    let mut rest = view;
    while let Some(first) = rest.first() {
        let (bytes, length) = escape(rest).unwrap_or((Unescaped::byte(first.byte), 1));
        let to = rest.get(length - 1).map_or(first.to, |last| last.to);
        decoded.extend(bytes.iter().map(|byte| Seen { byte, from: first.from, to }));
        rest = rest.get(length..).unwrap_or_default();
    }
    decoded
}

/// The bytes that an escape stands for, four at most.
struct Unescaped([u8; 4], usize);

impl Unescaped {
    fn byte(byte: u8) -> Self {
        Self([byte, 0, 0, 0], 1)
    }

    fn char(code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Self(bytes, length))
    }

    fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.into_iter().take(self.1)
    }
}

/// The escape at the beginning of the text, and its length.
fn escape(text: &[Seen]) -> Option<(Unescaped, usize)> {
    let byte = |at: usize| text.get(at).map(|seen| seen.byte);
    let hex = |from: usize, to: usize| {
        let digits: Option<Vec<u8>> = (from..to).map(byte).collect();
        let digits = digits?;
        let all_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        all_hex.then(|| u32::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok())?
    };
    let hex_byte = |from: usize| Some(Unescaped::byte(u8::try_from(hex(from, from + 2)?).ok()?));
    match (byte(0)?, byte(1)) {
        (b'%', _) => Some((hex_byte(1)?, 3)),
        (b'0', Some(b'x' | b'X')) => Some((hex_byte(2)?, 4)),
        (b'\\', Some(b'x')) => Some((hex_byte(2)?, 4)),
        (b'\\', Some(b'u')) => {
            let unit = hex(2, 6)?;
            let low = (byte(6) == Some(b'\\') && byte(7) == Some(b'u')).then(|| hex(8, 12)).flatten();
            match low {
                Some(low @ 0xDC00..=0xDFFF) if (0xD800..0xDC00).contains(&unit) => {
                    let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    Some((Unescaped::char(code)?, 12))
                }
                _ => Some((Unescaped::char(unit)?, 6)),
            }
        }
        (b'\\', Some(b'n' | b'r' | b't' | b'b' | b'f')) => Some((Unescaped::byte(b' '), 2)),
        (b'\\', Some(other)) => Some((Unescaped::byte(other), 2)),
        (b'&', _) => {
            let end = (2..=10).find(|at| byte(*at) == Some(b';'))?;
            let name: Option<Vec<u8>> = (1..end).map(byte).collect();
            let name = String::from_utf8(name?).ok()?;
            let code = match name.strip_prefix('#') {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                    None => number.parse().ok()?,
                },
                None => u32::from(match name.as_str() {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    "plus" => '+',
                    "sol" => '/',
                    "equals" => '=',
                    "percnt" => '%',
                    _ => return None,
                }),
            };
            Some((Unescaped::char(code)?, end + 1))
        }
        _ => None,
    }
}

fn hide(hidden: &mut [bool], from: usize, to: usize) {
    hidden.get_mut(from..to).into_iter().flatten().for_each(|flag| *flag = true);
}

/// Redacts everything from the first byte to the last.
fn hide_seen(place: &[Seen], hidden: &mut [bool]) {
    if let (Some(first), Some(last)) = (place.first(), place.last()) {
        hide(hidden, first.from, last.to);
    }
}

/// Redacts each whole run that contains an echo.
fn widen(text: &str, hidden: &mut [bool]) {
    for (from, to) in pieces(text, |_, byte| byte.is_ascii_alphanumeric() || b"+/_-%".contains(&byte)) {
        if hidden.get(from..to).is_some_and(|run| run.contains(&true)) {
            hide(hidden, from, to);
        }
    }
}

/// Whether tokens, keys and ids may hold the byte.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_-%=~.".contains(&byte)
}

/// The positions of the runs of bytes for which `belongs` holds.
fn pieces(text: &str, belongs: impl Fn(usize, u8) -> bool) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let place = |from: usize, wanted: bool| {
            let mut rest = bytes.iter().enumerate().skip(from);
            rest.find(|(at, byte)| belongs(*at, **byte) == wanted).map(|(at, _)| at)
        };
        let from = place(at, true)?;
        at = place(from, false).unwrap_or(bytes.len());
        Some((from, at))
    })
}

/// Whether a run may be a token or a part of one, and how many of its pieces slightly resemble one.
fn oddity(run: &str) -> (bool, usize) {
    let mut short = 0;
    for piece in run.split(['+', '/', '_', '-', '%', '=', '~', '.']).filter(|piece| !piece.is_empty()) {
        match piece {
            _ if piece.bytes().all(|byte| byte.is_ascii_digit()) => {
                if piece.len() > LONGEST_NUMBER {
                    return (true, 1);
                }
            }
            _ if reads_like_words(piece) || reads_like_words_and_a_number(piece) => {}
            _ if piece.len() <= LONGEST_ODD_PIECE => short += 1,
            _ => return (true, 1),
        }
    }
    (short > 2, short)
}

/// Whether a piece is a word, or several in camel case.
fn reads_like_words(piece: &str) -> bool {
    if !piece.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = piece.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let after_small =
            at.checked_sub(1).and_then(|before| letters.get(before)).is_some_and(char::is_ascii_lowercase);
        let before_small = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && (after_small || before_small) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(*letter);
    }
    words.push(word);
    let average = piece.len() / words.len().max(1);
    words.iter().all(|word| is_word(word)) && (words.len() == 1 || (words.len() <= 8 && average >= 3))
}

/// The same with one short number inside: `Sha256`, `x509Certificate`.
fn reads_like_words_and_a_number(piece: &str) -> bool {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let (Some(from), Some(to)) = (piece.find(is_digit), piece.rfind(is_digit)) else { return false };
    let parts = [piece.get(..from), piece.get(to + 1..)].map(Option::unwrap_or_default);
    let number = piece.get(from..=to).unwrap_or_default();
    number.len() <= 4
        && number.chars().all(is_digit)
        && parts.iter().all(|part| part.is_empty() || (part.len() >= 3 && reads_like_words(part)))
}

/// Whether letters may be a word: not too long, and with vowels.
fn is_word(letters: &str) -> bool {
    let is_vowel = |letter: char| "aeiouyAEIOUY".contains(letter);
    let consonants = letters.split(is_vowel).map(str::len).max().unwrap_or_default();
    letters.len() <= LONGEST_WORD && (consonants <= 5 || letters.len() <= 6)
}

/// Whether a run has the form of a JSON Web Token or of a long random text.
fn is_jwt_like(run: &str) -> bool {
    let long = |part: &str| part.len() >= 16;
    run.contains("eyJ") && run.len() >= 20 || run.split('.').filter(|part| long(part)).count() >= 3
}

/// The text on one line, with the hidden parts replaced, and cut off after `longest` characters.
fn rendered(text: &str, hidden: &[bool], longest: usize) -> String {
    let mut clean = String::new();
    let mut in_hidden = false;
    let mut count = 0;
    for (at, next) in text.char_indices() {
        let is_hidden = hidden.get(at).copied().unwrap_or_default();
        if is_hidden && in_hidden {
            continue;
        }
        if count == longest {
            clean.push('…');
            break;
        }
        count += 1;
        in_hidden = is_hidden;
        match is_hidden {
            true => clean.push_str(REDACTED),
            false if next.is_control() || forges(next) => clean.push(' '),
            false => clean.push(next),
        }
    }
    clean
}

/// Whether the character breaks a line, is invisible, or changes the direction of the text after it.
fn forges(character: char) -> bool {
    matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests;
