//! The characters that a client secret, or an id, may hold.

use crate::secret::Secret;

/// The problem of a client secret, as it follows the name of its place. It shows the invalid character alone, never the
/// secret.
///
/// RFC 6749 appendix A.2 allows printable ASCII. Letters beyond it are accepted, because the vendor's own clients send
/// them and IDaaS may issue such a secret; characters that only come from copying are refused: control characters,
/// white space other than the blank, and invisible characters.
pub(crate) fn check_client_secret(secret: &str) -> Result<(), String> {
    odd_character(secret).map_or(Ok(()), |odd| {
        Err(format!("has {odd}, which no client secret has (RFC 6749 appendix A.2); copy the secret anew"))
    })
}

/// The first character that only comes from copying, by its code point and position.
///
/// It would break or forge lines of a log that shows the text.
pub(crate) fn odd_character(text: &str) -> Option<String> {
    let (index, letter) = text.chars().enumerate().find(|(_, letter)| is_odd(*letter))?;
    Some(named(index, letter))
}

/// The first character that is none of visible ASCII, by its code point and position.
#[cfg(feature = "aliyun")]
pub(crate) fn character_beyond_visible_ascii(text: &str) -> Option<String> {
    let (index, letter) = text.chars().enumerate().find(|(_, letter)| !letter.is_ascii_graphic())?;
    Some(named(index, letter))
}

fn named(index: usize, letter: char) -> String {
    format!("the character U+{:04X} at position {}", u32::from(letter), index + 1)
}

fn is_odd(letter: char) -> bool {
    is_unfit_for_a_line(letter) || letter == char::REPLACEMENT_CHARACTER
}

/// Whether the character ends a line, cannot be seen, or changes the direction or the look of what is beside it.
pub(crate) fn is_unfit_for_a_line(letter: char) -> bool {
    letter.is_control() || letter.is_whitespace() && letter != ' ' || is_invisible(letter)
}

/// The code points that Unicode calls default ignorable or format characters (`Cf`), the empty pattern of Braille, the
/// code points that are no characters, and those of the block "Specials" that have no look of their own.
fn is_invisible(letter: char) -> bool {
    let is_noncharacter = u32::from(letter) & 0xfffe == 0xfffe;
    is_noncharacter
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A hint when the issuer refuses this client secret: characters at its ends that are rarely intended.
pub(crate) fn suspicious_ends(secret: &Secret) -> Option<&'static str> {
    const QUOTES: &[char] = &['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];
    let text = secret.expose_secret();
    if text.starts_with(' ') || text.ends_with(' ') {
        return Some("the client secret begins or ends with a blank; check how it was copied");
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Some("the client secret begins or ends with a quotation mark; check how it was set");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_only_comes_from_copying_is_named_by_code_point_and_position() {
        for (letter, code) in [
            ('\t', "U+0009"),
            ('\n', "U+000A"),
            ('\0', "U+0000"),
            ('\u{7f}', "U+007F"),
            ('\u{85}', "U+0085"),
            ('\u{a0}', "U+00A0"),
            ('\u{200b}', "U+200B"),
            ('\u{200d}', "U+200D"),
            ('\u{202e}', "U+202E"),
            ('\u{2028}', "U+2028"),
            ('\u{2060}', "U+2060"),
            ('\u{3000}', "U+3000"),
            ('\u{feff}', "U+FEFF"),
            ('\u{fffd}', "U+FFFD"),
            ('\u{e0041}', "U+E0041"),
        ] {
            for (secret, position) in [(format!("hun{letter}ter2"), 4), (format!("hunter2{letter}"), 8)] {
                let problem = check_client_secret(&secret).unwrap_err();
                let start =
                    format!("has the character {code} at position {position}, which no client secret has");
                assert!(problem.starts_with(&start), "{problem}");
                assert!(!problem.contains("hun") && !problem.contains("ter2"), "{problem}");
            }
        }
    }

    #[test]
    fn printable_characters_and_letters_of_any_script_pass() {
        let printable: String = (' '..='~').collect();
        for secret in [&printable, " s3cret ", "fake-\u{fc}n\u{ef}-\u{5bc6}\u{94a5}"] {
            check_client_secret(secret).unwrap();
        }
    }

    #[test]
    fn blanks_and_quotation_marks_at_the_ends_are_mentioned() {
        let hint = |text: &str| suspicious_ends(&Secret::new(text)).unwrap_or_default();
        for text in [" s", "s ", " s "] {
            assert!(hint(text).contains("a blank"), "{text}");
        }
        for text in ["\"s\"", "'s", "s\u{201d}"] {
            assert!(hint(text).contains("a quotation mark"), "{text}");
        }
        assert_eq!(hint("s \" s"), "");
    }
}
