//! PEM (RFC 7468) of keys, certificates and authorities as it arrives through variables and files: with its line
//! breaks escaped, lost or turned into blanks, indented, in quotes, the whole of it once more in base64.

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
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// Whether it is encrypted in the manner of RFC 1421, which leaves the label as it is.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.body.contains("Proc-Type") && self.body.contains("ENCRYPTED")
    }

    /// The bytes, or what is wrong with them.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        decode(self.body).ok_or_else(|| "is damaged: its base64 cannot be decoded".to_owned())
    }
}

/// The text with `\n` and `\r`, written as two characters or more, turned into line breaks: no backslash belongs into
/// PEM. Of a PEM text that is in base64 as a whole, as some stores of variables want it, what it decodes to.
pub(crate) fn normalized(text: &str) -> Zeroizing<String> {
    if !text.contains(BEGIN)
        && let Some(inner) = decode(text.trim().trim_matches(['"', '\'']))
        && let Ok(inner) = std::str::from_utf8(&inner)
        && inner.contains(BEGIN)
    {
        return with_line_breaks(inner);
    }
    with_line_breaks(text)
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

/// All blocks of a normalized text. What stands outside of them is skipped, as RFC 7468 has it.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    scan(text).collect()
}

/// Whether the text is PEM and all of it is there.
pub(super) fn is_pem(text: &str) -> bool {
    let text = normalized(text);
    blocks(&text).is_ok_and(|blocks| !blocks.is_empty())
}

/// Block after block of a normalized text; a damaged one ends where the next one begins.
fn scan(mut text: &str) -> impl Iterator<Item = Result<Block<'_>, String>> {
    std::iter::from_fn(move || {
        let (_, rest) = text.split_once(BEGIN)?;
        let (own, next) = rest.split_at(rest.find(BEGIN).unwrap_or(rest.len()));
        text = next;
        Some(block(own))
    })
}

/// The block behind its `-----BEGIN `.
fn block(text: &str) -> Result<Block<'_>, String> {
    let (label, rest) =
        text.split_once(DASHES).ok_or("is cut short: its line `-----BEGIN …-----` has no end")?;
    let (body, rest) = rest.split_once(END).ok_or("is cut short: its line `-----END …-----` is missing")?;
    let (end, _) = rest.split_once(DASHES).ok_or("is cut short: its line `-----END …-----` has no end")?;
    match label == end && !body.contains(DASHES) {
        true => Ok(Block { label, body }),
        false => Err("is damaged: its lines `-----BEGIN …-----` and `-----END …-----` do not match".into()),
    }
}

/// The bytes of base64 with any white space in it.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut dense = Zeroizing::new(String::with_capacity(text.len()));
    dense.extend(text.split_whitespace());
    // As long as the base64 itself: never grows, so that no copy is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(dense.len()));
    LENIENT.decode_vec(dense.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

/// The block as every reader of PEM accepts it, without a line break at the end.
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
            ("-----BEGIN A-----AAAA-----BEGIN B-----AAAA-----END B-----", "is missing"),
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
