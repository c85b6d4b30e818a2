//! A text without its escapes: percent-encoding, and those of JSON and HTML.

/// A decoded byte of a text, and its position in the text.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) byte: u8,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Seen {
    pub(super) fn one(byte: u8, at: usize) -> Self {
        Self { byte, from: at, to: at + 1 }
    }

    pub(super) fn with(self, byte: u8) -> Self {
        Self { byte, ..self }
    }
}

/// The text with one layer of percent-encoding and of JSON's and HTML's escapes removed.
pub(super) fn unescaped(view: &[Seen]) -> Vec<Seen> {
    let mut unescaped = Vec::with_capacity(view.len());
    let mut rest = view;
    while let Some(first) = rest.first() {
        let (bytes, length) = escape(rest).unwrap_or((Escaped::byte(first.byte), 1));
        let to = rest.get(length - 1).map_or(first.to, |last| last.to);
        unescaped.extend(bytes.iter().map(|byte| Seen { byte, from: first.from, to }));
        rest = rest.get(length..).unwrap_or_default();
    }
    unescaped
}

/// The UTF-8 bytes of what an escape stands for, four at most.
struct Escaped([u8; 4], usize);

impl Escaped {
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
fn escape(text: &[Seen]) -> Option<(Escaped, usize)> {
    let byte = |at: usize| text.get(at).map(|seen| seen.byte);
    let hex = |from: usize, to: usize| {
        let digits: Option<Vec<u8>> = (from..to).map(byte).collect();
        let digits = digits?;
        let all_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        all_hex.then(|| u32::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok())?
    };
    let hex_byte = |from: usize| Some(Escaped::byte(u8::try_from(hex(from, from + 2)?).ok()?));
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
                    Some((Escaped::char(code)?, 12))
                }
                _ => Some((Escaped::char(unit)?, 6)),
            }
        }
        (b'\\', Some(b'n' | b'r' | b't' | b'b' | b'f')) => Some((Escaped::byte(b' '), 2)),
        (b'\\', Some(other)) => Some((Escaped::byte(other), 2)),
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
            Some((Escaped::char(code)?, end + 1))
        }
        _ => None,
    }
}
