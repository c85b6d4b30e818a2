//! A text without its escapes: percent-encoding, and those of JSON, HTML, mail and programming languages.

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

/// How escapes are read that mean different things in different languages: a backslash with digits after it, and an
/// equals sign with two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialect {
    /// URLs, JSON and HTML have no such escapes.
    Web,
    /// `\163`, as C prints it, and `=73` of quoted-printable.
    Octal,
    /// `\115`, as DNS prints it.
    Decimal,
    /// `\73`, as LDAP and CSS print it.
    Hex,
}

impl Dialect {
    pub(super) const ALL: [Self; 4] = [Self::Web, Self::Octal, Self::Decimal, Self::Hex];
}

/// The text with one layer of escapes removed. It is shorter if it had any.
pub(super) fn unescaped(view: &[Seen], dialect: Dialect) -> Vec<Seen> {
    let mut unescaped = Vec::with_capacity(view.len());
    let mut rest = view;
    while let Some(first) = rest.first() {
        let (bytes, length) = escape(rest, dialect).unwrap_or((Escaped::byte(first.byte), 1));
        let to = rest.get(length - 1).map_or(first.to, |last| last.to);
        unescaped.extend(bytes.iter().map(|byte| Seen { byte, from: first.from, to }));
        rest = rest.get(length..).unwrap_or_default();
    }
    unescaped
}

/// The text without line breaks, which may stand amid an escape or a number.
pub(super) fn joined(view: &[Seen]) -> Vec<Seen> {
    view.iter().filter(|seen| !b"\r\n".contains(&seen.byte)).copied().collect()
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
fn escape(text: &[Seen], dialect: Dialect) -> Option<(Escaped, usize)> {
    let byte = |at: usize| text.get(at).map(|seen| seen.byte);
    let number = |from: usize, to: usize, base: u32| {
        let digits: Option<Vec<u8>> = (from..to).map(byte).collect();
        let digits =
            digits.filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(&digits).ok()?, base).ok()
    };
    // How many digits of the base there are from here, of so many at most.
    let digits = |from: usize, most: usize, base: u32| {
        let is_digit = |at: &usize| byte(*at).is_some_and(|byte| char::from(byte).is_digit(base));
        (from..from + most).take_while(is_digit).count()
    };
    let byte_of = |from: usize, count: usize, base: u32| {
        let code = u8::try_from(number(from, from + count, base)?).ok()?;
        Some((Escaped::byte(code), from + count))
    };
    let char_of =
        |from: usize, count: usize| Some((Escaped::char(number(from, from + count, 16)?)?, from + count));
    // `\u{73}` and `\x{73}`.
    let braced = || {
        let count = digits(3, 8, 16);
        let (escaped, end) = char_of(3, count)?;
        (byte(2) == Some(b'{') && byte(end) == Some(b'}')).then_some((escaped, end + 1))
    };
    match (byte(0)?, byte(1)) {
        (b'%', Some(b'u' | b'U')) => char_of(2, 4),
        (b'%', _) => byte_of(1, 2, 16),
        (b'=', _) if !matches!(dialect, Dialect::Web) => byte_of(1, 2, 16),
        (b'0', Some(b'x' | b'X')) => byte_of(2, 2, 16),
        (b'\\', Some(b'x' | b'X')) => braced().or_else(|| byte_of(2, 2, 16)),
        (b'\\', Some(b'U')) => braced().or_else(|| char_of(2, 8)).or_else(|| char_of(2, 4)),
        (b'\\', Some(b'u')) => braced().or_else(|| {
            let unit = number(2, 6, 16)?;
            let low = (byte(6) == Some(b'\\') && byte(7) == Some(b'u')).then(|| number(8, 12, 16)).flatten();
            match low {
                Some(low @ 0xDC00..=0xDFFF) if (0xD800..0xDC00).contains(&unit) => {
                    let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    Some((Escaped::char(code)?, 12))
                }
                _ => Some((Escaped::char(unit)?, 6)),
            }
        }),
        (b'\\', _) if matches!(dialect, Dialect::Hex) && digits(1, 2, 16) == 2 => byte_of(1, 2, 16),
        (b'\\', Some(b'n' | b'r')) => Some((Escaped::byte(b'\n'), 2)),
        (b'\\', Some(b't' | b'b' | b'f')) => Some((Escaped::byte(b' '), 2)),
        (b'\\', Some(other)) => {
            let numbered = match dialect {
                Dialect::Web | Dialect::Hex => None,
                Dialect::Octal => byte_of(1, digits(1, 3, 8), 8),
                Dialect::Decimal => byte_of(1, digits(1, 3, 10), 10),
            };
            numbered.or(Some((Escaped::byte(other), 2)))
        }
        // A browser does without the semicolon.
        (b'&', Some(b'#')) => {
            let (from, base) = if matches!(byte(2), Some(b'x' | b'X')) { (3, 16) } else { (2, 10) };
            let end = from + digits(from, 8, base);
            let code = number(from, end, base)?;
            Some((Escaped::char(code)?, end + usize::from(byte(end) == Some(b';'))))
        }
        (b'&', _) => {
            let end = (2..=10).find(|at| byte(*at) == Some(b';'))?;
            let name: Option<Vec<u8>> = (1..end).map(byte).collect();
            let letter = match name?.as_slice() {
                b"amp" => '&',
                b"lt" => '<',
                b"gt" => '>',
                b"quot" => '"',
                b"apos" => '\'',
                b"plus" => '+',
                b"sol" => '/',
                b"equals" => '=',
                b"percnt" => '%',
                _ => return None,
            };
            Some((Escaped::char(letter.into())?, end + 1))
        }
        // The full-width form of a printable ASCII character, from U+FF01 to U+FF5E, in UTF-8.
        (0xEF, Some(middle @ (0xBC | 0xBD))) => {
            let offset = byte(2)?.checked_sub(0x80)? + if middle == 0xBC { 0 } else { 0x40 };
            (1..=0x5E).contains(&offset).then_some((Escaped::byte(offset + 0x20), 3))
        }
        _ => None,
    }
}
