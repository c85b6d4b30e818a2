//! Characters that are written as numbers: what they stand for, and whether a text is a list of them.
//!
//! Languages print bytes in many ways: `[115 101 99]`, `<73 65 63>`, `\163\145\143`, `{"0":115,"1":101}`. All are
//! numbers with something in between, and there is no need to know what.

use std::net::{IpAddr, SocketAddr};

use crate::wire::redact::unescape::Seen;

/// The bases in which characters are written.
const BASES: [u32; 4] = [2, 8, 10, 16];

/// The longest number that stands for a character: `00000073`, or eight bits.
const LONGEST_CODE: usize = 8;

/// As many characters as are an echo, each as a number and one after the other, are no prose.
const LONGEST_ROW: usize = 7;

/// What the numbers of a text stand for, in each base. What stands between them is left out, and so are NULs, which
/// UTF-16 puts between them.
pub(super) fn decoded(view: &[Seen]) -> impl Iterator<Item = Vec<Seen>> {
    let bytes = BASES.into_iter().map(|base| decoded_from(view, base, 0xff));
    // A number from 128 to 255 may be a byte of UTF-8, or a character.
    let chars = BASES.into_iter().map(|base| decoded_from(view, base, 0x7f));
    bytes.zip(chars).flat_map(|(bytes, chars)| {
        let chars = (chars.len() != bytes.len()).then_some(chars);
        [bytes].into_iter().chain(chars)
    })
}

/// The same in one base, where a number up to `last_byte` is a byte.
fn decoded_from(view: &[Seen], base: u32, last_byte: u8) -> Vec<Seen> {
    let mut decoded = Vec::new();
    for run in view.split(|seen| !seen.byte.is_ascii_alphanumeric()) {
        let (Some(first), Some(last), 1..=LONGEST_CODE) = (run.first(), run.last(), run.len()) else {
            continue;
        };
        let run: Vec<u8> = run.iter().map(|seen| seen.byte).collect();
        let Some(code) = std::str::from_utf8(&run).ok().and_then(|run| code(run, base)) else { continue };
        let mut utf8 = [0; 4];
        let bytes = match u8::try_from(code) {
            Ok(0) => continue,
            Ok(byte) if byte <= last_byte => {
                utf8[0] = byte;
                utf8.get(..1)
            }
            _ => char::from_u32(code).map(|letter| letter.encode_utf8(&mut utf8).as_bytes()),
        };
        let seen = |byte: &u8| Seen { byte: *byte, from: first.from, to: last.to };
        decoded.extend(bytes.unwrap_or_default().iter().map(seen));
    }
    decoded
}

/// The number that letters and digits stand for, with or without the prefix of the base.
fn code(run: &str, base: u32) -> Option<u32> {
    let prefixes: &[&str] = match base {
        2 => &["0b", "0B"],
        8 => &["0o", "0O"],
        16 => &["0x", "0X", "x", "X", "u", "U"],
        _ => &[],
    };
    let digits = prefixes.iter().find_map(|prefix| run.strip_prefix(prefix)).unwrap_or(run);
    u32::from_str_radix(digits, base).ok()
}

/// Whether a text lists characters one by one, as numbers or letters, instead of saying something: many in a row, or so
/// many that the words between them are few. Only the bytes for which `is_open` holds are judged.
pub(super) fn is_list(text: &str, is_open: impl Fn(usize) -> bool) -> bool {
    let (mut row, mut codes, mut others) = (0, 0, 0);
    let mut from = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_inside = letter.is_ascii_alphanumeric() || ".:-/".contains(letter);
        if is_inside && is_open(at) {
            from.get_or_insert(at);
            continue;
        }
        let cluster = from.take().and_then(|from| text.get(from..at)).unwrap_or_default();
        for weight in weights(cluster) {
            codes += weight;
            others += usize::from(weight == 0);
            row = if weight == 0 { 0 } else { row + weight };
            if row > LONGEST_ROW {
                return true;
            }
        }
        if letter.is_ascii() || !is_open(at) {
            continue;
        }
        if is_styled(letter) {
            (row, codes) = (row + 1, codes + 1);
        } else if letter.is_alphanumeric() {
            (row, others) = (0, others + 1);
        }
        if row > LONGEST_ROW {
            return true;
        }
    }
    codes > LONGEST_ROW && codes >= others
}

/// How many characters each piece of a text without blanks may stand for: none for a word.
fn weights(cluster: &str) -> Vec<usize> {
    let cluster = cluster.trim_matches(['.', ':', '-', '/']);
    if is_time(cluster) {
        return vec![1];
    }
    let host = cluster.split_once('/').map_or(cluster, |(host, _)| host);
    let address = host.parse().ok().or_else(|| Some(host.parse::<SocketAddr>().ok()?.ip()));
    match address {
        Some(IpAddr::V4(_)) => return Vec::new(),
        // Pieces of two digits would be bytes.
        Some(IpAddr::V6(_)) if host.split(':').any(|piece| piece.len() > 2) => return vec![4],
        _ => {}
    }
    if is_version(cluster) {
        return vec![1];
    }
    let pieces = cluster.split(['.', ':', '-', '/']).filter(|piece| !piece.is_empty());
    pieces.map(|piece| usize::from(is_code(piece))).collect()
}

/// Whether it is two or three short decimal numbers with dots between them.
fn is_version(cluster: &str) -> bool {
    let is_number =
        |piece: &str| matches!(piece.len(), 1 | 2) && piece.bytes().all(|byte| byte.is_ascii_digit());
    matches!(cluster.matches('.').count(), 1 | 2) && cluster.split('.').all(is_number)
}

/// Whether a piece may stand for a character: itself, or a number in some base.
fn is_code(piece: &str) -> bool {
    let is_number = || {
        let digits =
            ["0x", "0X", "0o", "x", "X", "u", "U"].iter().find_map(|prefix| piece.strip_prefix(prefix));
        let digits = digits.unwrap_or(piece);
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex && (digits.len() == 2 || digits.bytes().any(|byte| byte.is_ascii_digit()))
    };
    piece.len() == 1 || piece.len() <= LONGEST_CODE && is_number()
}

/// Whether it is a date, a time of the day, or both.
fn is_time(cluster: &str) -> bool {
    let has_form = |text: &str, form: &str| {
        text.len() >= form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'/' => b"-/".contains(&byte),
                form => byte == form,
            })
    };
    let is_rest = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b"T:.Z-".contains(&byte));
    match has_form(cluster, "0000/00/00") {
        true => {
            cluster.len() <= "2026-11-24T13:00:00.123456789Z".len()
                && is_rest(cluster.get(10..).unwrap_or_default())
        }
        false => {
            has_form(cluster, "00:00:00") && matches!(cluster.as_bytes().get(8), None | Some(b'.' | b'Z'))
        }
    }
}

/// Letters and digits that Unicode has once more, in another width or style: each is a character by itself.
fn is_styled(letter: char) -> bool {
    matches!(letter,
        '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{2460}'..='\u{24ff}'
        | '\u{1d400}'..='\u{1d7ff}' | '\u{1f100}'..='\u{1f1ff}'
    )
}
