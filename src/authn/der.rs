//! As much of DER (ITU-T X.690) as is needed to identify a key or a certificate.

/// The tags in keys and certificates.
pub(super) mod tag {
    pub(in crate::authn) const INTEGER: u8 = 0x02;
    pub(in crate::authn) const BIT_STRING: u8 = 0x03;
    pub(in crate::authn) const OCTET_STRING: u8 = 0x04;
    pub(in crate::authn) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in crate::authn) const UTC_TIME: u8 = 0x17;
    pub(in crate::authn) const GENERALIZED_TIME: u8 = 0x18;
    pub(in crate::authn) const SEQUENCE: u8 = 0x30;
    pub(in crate::authn) const CONTEXT_0: u8 = 0xa0;
}

/// Reads one value after the other; `None` at the first byte that is not DER.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next value's tag and contents.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, length, rest) = header(self.0)?;
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// The next value's contents, if it has this tag.
    pub(super) fn expect(&mut self, expected: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (tag, contents) = ahead.next()?;
        if tag != expected {
            return None;
        }
        *self = ahead;
        Some(contents)
    }

    /// The values inside the next one, which must be a sequence.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.expect(tag::SEQUENCE).map(Self)
    }
}

/// Whether the bytes begin a sequence that is longer than they are.
pub(super) fn is_cut_short(bytes: &[u8]) -> bool {
    header(bytes).is_some_and(|(tag, length, rest)| tag == tag::SEQUENCE && length > rest.len())
}

/// The number of bits of an unsigned integer.
pub(super) fn bits(integer: &[u8]) -> usize {
    let first = integer.iter().position(|byte| *byte != 0).unwrap_or(integer.len());
    match integer.get(first..) {
        Some([top, rest @ ..]) => rest.len() * 8 + (8 - top.leading_zeros() as usize),
        _ => 0,
    }
}

/// Tag, length of the contents, and the bytes after the header. No key has a length of more than four bytes.
fn header(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let [tag, length, rest @ ..] = bytes else { return None };
    if *length < 0x80 {
        return Some((*tag, usize::from(*length), rest));
    }
    let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    if length.is_empty() || length.len() > 4 {
        return None;
    }
    let length = length.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    Some((*tag, usize::try_from(length).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_one_by_one() {
        let mut reader = Reader::new(&[0x30, 0x03, 0x02, 0x01, 0x05, 0x04, 0x81, 0x01, 0xff]);
        let mut inside = reader.sequence().unwrap();
        assert_eq!(inside.expect(tag::OCTET_STRING), None);
        assert_eq!(inside.expect(tag::INTEGER), Some(&[5][..]));
        assert!(inside.is_empty());
        assert_eq!(reader.next(), Some((tag::OCTET_STRING, &[0xff][..])));
        assert_eq!(reader.next(), None);
    }

    #[test]
    fn bits_are_counted_without_leading_zeros() {
        for (integer, count) in [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80], 8), (&[1, 0], 9)] {
            assert_eq!(bits(integer), count);
        }
    }

    #[test]
    fn a_sequence_longer_than_its_bytes_is_cut_short() {
        assert!(is_cut_short(&[0x30, 0x03, 0x02]));
        assert!(!is_cut_short(&[0x30, 0x01, 0x02]));
        assert!(!is_cut_short(&[0x04, 0x03, 0x02]));
        assert!(!is_cut_short(&[0x30]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let mut reader = Reader::new(&bytes);
            while reader.next().is_some() {}
            let _ = (is_cut_short(&bytes), bits(&bytes));
        }
    }
}
