//! PEM (RFC 7468) of keys, certificates and authorities as variables and files hold it: with line breaks escaped, lost
//! or turned into blanks, indented, in quotes, or as a whole in base64 once more.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Some stores of variables remove the `=` padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One block: its label, and the text between its two lines.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// Whether the block is encrypted as in RFC 1421, which leaves the label unchanged.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.body.contains("Proc-Type") && self.body.contains("ENCRYPTED")
    }

    /// The decoded bytes, or the problem with them.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        decode(self.body).ok_or_else(|| "is damaged: its base64 cannot be decoded; copy it anew".to_owned())
    }
}

/// The text with `\n` and `\r`, written as two characters or more, turned into line breaks: PEM has no backslashes. A
/// PEM text that is in base64 as a whole, as some stores of variables require, is decoded.
pub(crate) fn normalized(text: &str) -> Zeroizing<String> {
    if !text.contains(BEGIN)
        && let Some(inner) = decode(undecorated(text))
        && let Ok(inner) = std::str::from_utf8(&inner)
        && inner.contains(BEGIN)
    {
        return with_line_breaks(inner);
    }
    with_line_breaks(text)
}

/// The text without what copying puts around it: a byte-order mark, blanks, quotation marks.
pub(crate) fn undecorated(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || ['\u{feff}', '"', '\''].contains(&letter))
}

fn with_line_breaks(text: &str) -> Zeroizing<String> {
    let mut normalized = Zeroizing::new(String::with_capacity(text.len()));
    let mut backslashes = 0;
    for letter in text.chars() {
        match letter {
            '\\' => backslashes += 1,
            'n' | 'r' if backslashes > 0 => {
                normalized.push('\n');
                backslashes = 0;
            }
            letter => {
                normalized.extend(std::iter::repeat_n('\\', backslashes));
                normalized.push(letter);
                backslashes = 0;
            }
        }
    }
    normalized
}

/// All blocks of a normalized text. Text outside of them is skipped, as RFC 7468 says.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    scan(text).map(|block| block.map_err(|damaged| damaged.problem.to_owned())).collect()
}

/// Whether the text is complete PEM.
pub(super) fn is_pem(text: &str) -> bool {
    let text = normalized(text);
    blocks(&text).is_ok_and(|blocks| !blocks.is_empty())
}

/// Whether the label is a certificate's. `TRUSTED` is OpenSSL's, with data of its own after the certificate.
pub(crate) fn is_certificate(label: &str) -> bool {
    ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(&label)
}

/// The contents of a bundle of certificates.
#[cfg(feature = "transport")]
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Certificates {
    /// The certificates in DER.
    pub(crate) decoded: Vec<Vec<u8>>,
    /// The number of blocks that are labelled as certificates but cannot be decoded.
    pub(crate) damaged: usize,
}

/// Every certificate in the bytes of a bundle, in PEM or DER. One that is damaged does not hide the others.
#[cfg(feature = "transport")]
pub(crate) fn certificates(bytes: &[u8]) -> Certificates {
    let one = |der: &[u8]| Certificates { decoded: vec![der.to_vec()], damaged: 0 };
    if let Some(certificate) = first_element(bytes) {
        return one(certificate);
    }
    // Comments in old bundles may be in Latin-1.
    let text = normalized(&String::from_utf8_lossy(bytes));
    if !text.contains(BEGIN) {
        let der = decode(undecorated(&text));
        return der.as_deref().and_then(|der| first_element(der)).map_or_else(Certificates::default, one);
    }
    let mut found = Certificates::default();
    for block in scan(&text) {
        let (label, der) = match block {
            Ok(block) => (block.label, block.decode().ok()),
            Err(damaged) => (damaged.label, None),
        };
        match der.as_deref().and_then(|der| first_element(der)) {
            _ if !is_certificate(label) => {}
            Some(certificate) => found.decoded.push(certificate.to_vec()),
            None => found.damaged += 1,
        }
    }
    found
}

/// The SEQUENCE at the beginning of the bytes (ITU-T X.690), without the bytes after it.
pub(crate) fn first_element(der: &[u8]) -> Option<&[u8]> {
    let (header, length) = match *der {
        [0x30, short @ ..=0x7f, ..] => (2, usize::from(short)),
        [0x30, 0x81, length, ..] => (3, usize::from(length)),
        [0x30, 0x82, high, low, ..] => (4, usize::from(high) << 8 | usize::from(low)),
        [0x30, 0x83, high, middle, low, ..] => {
            (5, usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
        }
        _ => return None,
    };
    der.get(..header + length)
}

/// A block that cannot be decoded.
struct Damaged<'a> {
    /// Empty if the block has no end.
    #[cfg_attr(not(feature = "transport"), allow(dead_code, reason = "used by the reader of authorities"))]
    label: &'a str,
    problem: &'static str,
}

/// All blocks of a normalized text; a damaged one ends where the next one begins.
fn scan(mut text: &str) -> impl Iterator<Item = Result<Block<'_>, Damaged<'_>>> {
    std::iter::from_fn(move || {
        let (_, rest) = text.split_once(BEGIN)?;
        let (own, next) = rest.split_at(rest.find(BEGIN).unwrap_or(rest.len()));
        text = next;
        Some(block(own))
    })
}

/// The block after its `-----BEGIN `.
fn block(text: &str) -> Result<Block<'_>, Damaged<'_>> {
    let no_label = "is cut short: its line `-----BEGIN …-----` has no end";
    let (label, rest) = text.split_once(DASHES).ok_or(Damaged { label: "", problem: no_label })?;
    let damaged = |problem| Damaged { label, problem };
    let missing = "is cut short: its line `-----END …-----` is missing";
    let (body, rest) = rest.split_once(END).ok_or_else(|| damaged(missing))?;
    let no_end = "is cut short: its line `-----END …-----` has no end";
    let (end, _) = rest.split_once(DASHES).ok_or_else(|| damaged(no_end))?;
    match label == end && !body.contains(DASHES) {
        true => Ok(Block { label, body }),
        false => Err(damaged("is damaged: its lines `-----BEGIN …-----` and `-----END …-----` do not match")),
    }
}

/// Decodes base64 that may hold white space.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut dense = Zeroizing::new(String::with_capacity(text.len()));
    dense.extend(text.split_whitespace());
    // As long as the base64 itself: reallocation would leave a copy in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(dense.len()));
    LENIENT.decode_vec(dense.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

/// The block as every PEM parser accepts it, without a line break at the end.
pub(crate) fn encode(label: &str, bytes: &[u8]) -> String {
    const LINE: usize = 64;
    let encoded = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for (place, letter) in encoded.chars().enumerate() {
        if place > 0 && place % LINE == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n{END}{label}{DASHES}"));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, Vec<u8>)> {
        let text = normalized(text);
        let blocks = blocks(&text).unwrap();
        blocks.iter().map(|block| (block.label.to_owned(), block.decode().unwrap().to_vec())).collect()
    }

    #[test]
    fn what_is_encoded_reads_the_same_however_its_line_breaks_fare() {
        let bytes: Vec<u8> = (0..=200).collect();
        let text = encode("SOME THING", &bytes);
        assert!(text.lines().all(|line| line.len() <= 64) && !text.ends_with('\n'));
        for text in [
            text.clone(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\\n"),
            text.replace('\n', "\\\\n"),
            text.replace('\n', "\\r\\n"),
            text.replace('\n', " "),
            text.replace('\n', ""),
            text.replace('\n', "\n    "),
            text.replace('=', ""),
            STANDARD.encode(&text),
            format!(" \"{}\"\n", STANDARD.encode(text.replace('\n', "\r\n"))),
            format!("\u{feff}{}", STANDARD.encode(&text)),
            format!("\n\n  \"{text}\"\n"),
            format!("Bag Attributes\n    friendlyName: x\n{text}\n"),
        ] {
            assert_eq!(read(&text), [("SOME THING".to_owned(), bytes.clone())], "{text}");
        }
        assert_eq!(read(&format!("{text}{text}")).len(), 2);
    }

    #[test]
    fn what_is_no_block_is_reported() {
        for (text, reason) in [
            ("-----BEGIN A", "has no end"),
            ("-----BEGIN A-----\nAAAA", "is missing"),
            ("-----BEGIN A-----\nAAAA\n-----END A", "has no end"),
            ("-----BEGIN A-----\nAAAA\n-----END B-----", "do not match"),
            ("-----BEGIN A-----AAAA-----BEGIN B-----AAAA-----END B-----", "is missing"),
        ] {
            let Err(problem) = blocks(text) else { panic!("{text} is read") };
            assert!(problem.contains(reason), "{problem}");
        }
        assert_eq!(read("no PEM at all").len(), 0);
        assert!(blocks("-----BEGIN A-----A*A-----END A-----").unwrap()[0].decode().is_err());
    }

    #[cfg(feature = "transport")]
    fn bundled(label: &str, bytes: &[u8]) -> String {
        encode(label, bytes) + "\n"
    }

    #[cfg(feature = "transport")]
    fn der() -> Vec<u8> {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend((0..=255).collect::<Vec<u8>>());
        der
    }

    #[cfg(feature = "transport")]
    #[test]
    fn a_certificate_is_read_however_it_is_written() {
        let text = bundled("CERTIFICATE", &der());
        let mut trusted = der();
        trusted.extend([0x30, 1, 2]);
        for written in [
            text.clone().into_bytes(),
            text.replace('\n', "\r\n").into(),
            text.replace('\n', "\r").into(),
            text.replace('\n', "\\n").into(),
            text.replace('\n', " ").into(),
            text.replace('\n', "\n    ").into(),
            text.replace('=', "").into(),
            format!("\u{feff}\"{text}\"").into(),
            [b"# Issuer: \xe4\n", text.as_bytes()].concat(),
            bundled("X509 CERTIFICATE", &der()).into(),
            bundled("TRUSTED CERTIFICATE", &trusted).into(),
            STANDARD.encode(&text).into(),
            STANDARD.encode(der()).into(),
            der(),
        ] {
            let found = certificates(&written);
            assert_eq!(
                found,
                Certificates { decoded: vec![der()], damaged: 0 },
                "{}",
                written.escape_ascii()
            );
        }
    }

    #[cfg(feature = "transport")]
    #[test]
    fn a_damaged_block_hides_no_other_and_is_counted() {
        let good = bundled("CERTIFICATE", &der());
        for bad in [
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END SOMETHING-----\n",
        ] {
            let found = certificates(format!("{good}{bad}{good}").as_bytes());
            assert_eq!((found.decoded.len(), found.damaged), (2, 1), "{bad}");
        }
        let key = bundled("PRIVATE KEY", &der());
        assert_eq!(certificates(format!("{key}{good}").as_bytes()).decoded.len(), 1);
        assert_eq!(certificates(b"no certificate in here"), Certificates::default());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), inside in any::<String>()) {
            for text in [text, format!("-----BEGIN A-----{inside}-----END A-----")] {
                let text = normalized(&text);
                for block in blocks(&text).unwrap_or_default() {
                    let _ = (block.decode(), block.is_encrypted());
                }
            }
        }

        #[cfg(feature = "transport")]
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), inside in ".{0,80}") {
            certificates(&bytes);
            certificates(&[&[0x30], &bytes[..]].concat());
            certificates(format!("-----BEGIN CERTIFICATE-----{inside}-----END CERTIFICATE-----").as_bytes());
        }
    }
}
