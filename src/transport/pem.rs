//! Certificates as they arrive through files and variables: in PEM (RFC 7468) with its line breaks escaped, lost or
//! indented, among other text, in Base64 as a whole, or in DER.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// `TRUSTED` is OpenSSL's: a certificate with data of its own behind it.
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a text holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Certificates {
    /// In DER.
    pub(super) decoded: Vec<Vec<u8>>,
    /// Blocks that are labelled as certificates and cannot be decoded.
    pub(super) damaged: usize,
}

/// Every certificate in the bytes. One that is damaged does not hide the others.
pub(super) fn certificates(bytes: &[u8]) -> Certificates {
    if let Some(certificate) = first_element(bytes) {
        return Certificates { decoded: vec![certificate.to_vec()], damaged: 0 };
    }
    // Comments of old bundles are in Latin-1.
    let text = unescaped(&String::from_utf8_lossy(bytes));
    if text.contains(BEGIN) {
        return blocks(&text);
    }
    match decode(&text) {
        Some(inner) if inner.starts_with(b"-----BEGIN ") || first_element(&inner).is_some() => {
            certificates(&inner)
        }
        _ => Certificates::default(),
    }
}

/// The text with `\n` and `\r`, written as two characters, turned into line breaks.
fn unescaped(text: &str) -> String {
    text.replace("\\r", "\n").replace("\\n", "\n").replace('\\', "")
}

fn blocks(mut text: &str) -> Certificates {
    let mut found = Certificates::default();
    while let Some((_, rest)) = text.split_once(BEGIN) {
        let Some((label, rest)) = rest.split_once(DASHES) else { break };
        // A block without its end stops where the next one begins.
        let end = rest.find(END).unwrap_or(rest.len()).min(rest.find(BEGIN).unwrap_or(rest.len()));
        let (body, rest) = rest.split_at(end);
        text = rest;
        if !LABELS.contains(&label) {
            continue;
        }
        let ends = rest.strip_prefix(END).is_some_and(|rest| rest.starts_with(label));
        let certificate = decode(body).filter(|_| ends);
        match certificate.as_deref().and_then(first_element) {
            Some(certificate) => found.decoded.push(certificate.to_vec()),
            None => found.damaged += 1,
        }
    }
    found
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.split_whitespace().collect();
    LENIENT.decode(dense.trim_matches(['"', '\''])).ok()
}

/// The SEQUENCE that the bytes begin with (ITU-T X.690), without what comes behind it.
fn first_element(der: &[u8]) -> Option<&[u8]> {
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

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn der() -> Vec<u8> {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend((0..=255).collect::<Vec<u8>>());
        der
    }

    fn block(label: &str, bytes: &[u8]) -> String {
        let body = STANDARD.encode(bytes);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn a_certificate_is_read_however_it_is_written() {
        let text = block("CERTIFICATE", &der());
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
            block("X509 CERTIFICATE", &der()).into(),
            block("TRUSTED CERTIFICATE", &trusted).into(),
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

    #[test]
    fn a_damaged_block_hides_no_other_and_is_counted() {
        let good = block("CERTIFICATE", &der());
        for bad in [
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END SOMETHING-----\n",
        ] {
            let found = certificates(format!("{good}{bad}{good}").as_bytes());
            assert_eq!((found.decoded.len(), found.damaged), (2, 1), "{bad}");
        }
        let key = block("PRIVATE KEY", &der());
        assert_eq!(certificates(format!("{key}{good}").as_bytes()).decoded.len(), 1);
        assert_eq!(certificates(b"no certificate in here"), Certificates::default());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), inside in ".{0,80}") {
            certificates(&bytes);
            certificates(&[&[0x30], &bytes[..]].concat());
            certificates(format!("-----BEGIN CERTIFICATE-----{inside}-----END CERTIFICATE-----").as_bytes());
        }
    }
}
