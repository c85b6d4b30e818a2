//! PEM (RFC 7468) as it arrives through variables and files: with its line breaks escaped, lost or turned
//! into blanks, indented, in quotes.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Some stores of variables cut the `=` off.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One block: its label, and what stands between its two lines.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// Whether it is encrypted in the manner of RFC 1421, which leaves the label as it is.
    pub(super) fn is_encrypted(&self) -> bool {
        self.body.contains("Proc-Type") && self.body.contains("ENCRYPTED")
    }

    /// The bytes, or what is wrong with them.
    pub(super) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        decode(self.body).ok_or_else(|| "is damaged: its base64 cannot be decoded".to_owned())
    }
}

/// The text with `\n` and `\r`, written as two characters or more, turned into line breaks. No backslash
/// belongs into PEM.
pub(super) fn normalized(text: &str) -> Zeroizing<String> {
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

/// All blocks of a normalized text. What stands outside of them is skipped, as RFC 7468 has it.
pub(super) fn blocks(mut text: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    while let Some((_, rest)) = text.split_once(BEGIN) {
        let (label, rest) =
            rest.split_once(DASHES).ok_or("is cut short: its line `-----BEGIN …-----` has no end")?;
        let (body, rest) =
            rest.split_once(END).ok_or("is cut short: its line `-----END …-----` is missing")?;
        let (end, rest) =
            rest.split_once(DASHES).ok_or("is cut short: its line `-----END …-----` has no end")?;
        if label != end || body.contains(DASHES) {
            return Err("is damaged: its lines `-----BEGIN …-----` and `-----END …-----` do not match".into());
        }
        blocks.push(Block { label, body });
        text = rest;
    }
    Ok(blocks)
}

/// The bytes of base64 with any white space in it.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut dense = Zeroizing::new(String::with_capacity(text.len()));
    dense.extend(text.split_whitespace());
    // As long as the base64 itself: never grows, so that no copy is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(dense.len()));
    LENIENT.decode_vec(dense.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

/// The block as every reader of PEM accepts it, without a line break at the end.
pub(super) fn encode(label: &str, bytes: &[u8]) -> String {
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
            format!("\n\n  \"{text}\"\n"),
            format!("Bag Attributes\n    friendlyName: x\n{text}\n"),
        ] {
            assert_eq!(read(&text), [("SOME THING".to_owned(), bytes.clone())], "{text}");
        }
        assert_eq!(read(&format!("{text}{text}")).len(), 2);
    }

    #[test]
    fn what_is_no_block_is_told() {
        for (text, reason) in [
            ("-----BEGIN A", "has no end"),
            ("-----BEGIN A-----\nAAAA", "is missing"),
            ("-----BEGIN A-----\nAAAA\n-----END A", "has no end"),
            ("-----BEGIN A-----\nAAAA\n-----END B-----", "do not match"),
            ("-----BEGIN A-----AAAA-----BEGIN B-----AAAA-----END B-----", "do not match"),
        ] {
            let Err(problem) = blocks(text) else { panic!("{text} is read") };
            assert!(problem.contains(reason), "{problem}");
        }
        assert_eq!(read("no PEM at all").len(), 0);
        assert!(blocks("-----BEGIN A-----A*A-----END A-----").unwrap()[0].decode().is_err());
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
    }
}
