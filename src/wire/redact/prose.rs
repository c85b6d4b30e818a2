//! Whether a text reads like prose: words, numbers, short names. Tokens and keys do not.

/// A longer piece of mixed letters and digits may be part of a token.
const LONGEST_MIXED_PIECE: usize = 7;

/// The longest word that is shown, and the longest number.
const LONGEST_WORD: usize = 24;
const LONGEST_NUMBER: usize = 13;

/// Whether tokens, keys and ids may hold the byte.
pub(super) fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_-%=~.".contains(&byte)
}

/// The positions of the runs of bytes for which `belongs` holds.
pub(super) fn runs(text: &str, belongs: impl Fn(usize, u8) -> bool) -> impl Iterator<Item = (usize, usize)> {
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
pub(super) fn token_likeness(run: &str) -> (bool, usize) {
    let mut short = 0;
    for piece in run.split(['+', '/', '_', '-', '%', '=', '~', '.']).filter(|piece| !piece.is_empty()) {
        match piece {
            _ if piece.bytes().all(|byte| byte.is_ascii_digit()) => {
                if piece.len() > LONGEST_NUMBER {
                    return (true, 1);
                }
            }
            _ if reads_like_words(piece) || reads_like_words_and_a_number(piece) || is_numbered(piece) => {}
            _ if piece.len() <= LONGEST_MIXED_PIECE || is_status(piece) => short += 1,
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

/// Whether a piece is a name in capitals with a number behind it, as algorithms and faults have: `RS256`,
/// `AADSTS7000215`. Two hex digits are none.
fn is_numbered(piece: &str) -> bool {
    let letters = piece.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = piece.get(letters..).unwrap_or_default();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = piece.bytes().all(|byte| byte.is_ascii_hexdigit());
    let most = if letters < 3 { 3 } else { 7 };
    is_number && !is_hex && (1..=8).contains(&letters) && (2..=most).contains(&digits.len())
}

/// Whether a piece is a number of 32 bits in hex: `0x80070005`.
fn is_status(piece: &str) -> bool {
    let digits = piece.strip_prefix("0x").unwrap_or_default();
    (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether letters may be a word: not too long, and with vowels.
fn is_word(letters: &str) -> bool {
    let is_vowel = |letter: char| "aeiouyAEIOUY".contains(letter);
    let consonants = letters.split(is_vowel).map(str::len).max().unwrap_or_default();
    letters.len() <= LONGEST_WORD && (consonants <= 5 || letters.len() <= 6)
}

/// Whether a run has the form of a JSON Web Token or of a long random text.
pub(super) fn is_jwt_like(run: &str) -> bool {
    let long = |part: &str| part.len() >= 16;
    run.contains("eyJ") && run.len() >= 20 || run.split('.').filter(|part| long(part)).count() >= 3
}
