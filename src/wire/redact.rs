//! Makes text from an issuer fit to be shown: without our secrets, on one line, of bounded length.

/// The longest piece of an issuer's text that is shown.
const LONGEST: usize = 300;

/// A longer text is not looked through at all: nobody means it to be read, and each place in it may be where a
/// secret begins.
const LONGEST_READ: usize = 8 * 1024;

/// What stands in a secret's place.
const MASK: &str = "[redacted]";

/// The text for a message: with every secret masked and control characters replaced, its end cut off when it is
/// long.
pub(crate) fn shown<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    match text.len() {
        0..=LONGEST_READ => masked(text, secrets, LONGEST),
        length => format!("[{length} bytes]"),
    }
}

/// The text for a value that is handed out and that `Debug` shows: whole, with every secret masked and control
/// characters replaced. `None` for a text that is too long to be one.
pub(crate) fn kept<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> Option<String> {
    (text.len() <= LONGEST_READ).then(|| masked(text, secrets, usize::MAX))
}

/// An issuer may echo the request it did not like: decoded, as it was encoded in the form, or encoded anew
/// in its own way.
fn masked<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>, longest: usize) -> String {
    let secrets: Vec<&str> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
    let mut clean = String::new();
    let mut pieces = 0;
    // Where one secret begins within another, what is hidden ends with the later one.
    let mut hidden_until = 0;
    for (at, next) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        let echo = secrets.iter().filter_map(|secret| echo_length(rest, secret)).max();
        let in_the_open = at >= hidden_until;
        hidden_until = hidden_until.max(at + echo.unwrap_or(0));
        if !in_the_open {
            continue;
        }
        if pieces == longest {
            clean.push('…');
            break;
        }
        pieces += 1;
        match echo {
            Some(_) => clean.push_str(MASK),
            None if next.is_control() => clean.push(' '),
            None => clean.push(next),
        }
    }
    clean
}

/// How much of the text's beginning is the secret, as it is or percent-encoded in whatever way.
fn echo_length(text: &str, secret: &str) -> Option<usize> {
    // In no encoding is it shorter than it is.
    if text.len() < secret.len() {
        return None;
    }
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut rest = text.as_bytes();
    for byte in secret.bytes() {
        rest = match rest {
            [b'%', high, low, rest @ ..] if escaped(*high, *low) == Some(byte) => rest,
            [b'+', rest @ ..] if byte == b' ' => rest,
            [first, rest @ ..] if *first == byte => rest,
            _ => return None,
        };
    }
    Some(text.len() - rest.len())
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(16 * digit(high)? + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_echoed_request_shows_no_secret_in_either_encoding() {
        let text = "bad request: client_secret=a%2Bb+c&x=1 (a+b c)";
        assert_eq!(shown(text, ["a+b c"]), "bad request: client_secret=[redacted]&x=1 ([redacted])");
    }

    #[test]
    fn an_echo_in_another_encoding_than_ours_is_masked_as_well() {
        for echo in ["a+b c~*%", "a%2bb%20c%7e%2a%25", "a%2Bb+c~%2A%25", "%61%2B%62%20%63%7E%2A%25"] {
            assert_eq!(shown(&format!("<{echo}>"), ["a+b c~*%"]), "<[redacted]>");
        }
        assert_eq!(shown("<%25x>", ["%25x"]), "<[redacted]>");
        assert_eq!(shown("<gr%C3%BCn grün>", ["grün"]), "<[redacted] [redacted]>");
        assert_eq!(shown("%2 %zz %", ["abc"]), "%2 %zz %");
    }

    #[test]
    fn a_secret_that_is_part_of_another_leaves_nothing_of_it() {
        assert_eq!(shown("head.middle.tail", ["middle", "head.middle.tail"]), "[redacted]");
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_either() {
        for secrets in [["ab.cd", "cd.ef"], ["cd.ef", "ab.cd"]] {
            assert_eq!(shown("<ab.cd.ef cd.ef>", secrets), "<[redacted] [redacted]>");
        }
        assert_eq!(shown("abab", ["ab"]), "[redacted][redacted]");
    }

    #[test]
    fn a_text_cannot_forge_a_log_line_or_flood_it() {
        assert_eq!(shown("one\r\ntwo\u{7}", []), "one  two ");
        assert_eq!(shown(&"\u{e4}".repeat(1_000), []).chars().count(), LONGEST + 1);
    }

    #[test]
    fn what_is_kept_stays_whole_but_for_its_secrets() {
        let long = "x".repeat(LONGEST);
        let expected = Some(format!("{long} [redacted] {long}"));
        assert_eq!(kept(&format!("{long}\nsecret {long}"), ["secret"]), expected);
    }

    #[test]
    fn a_text_too_long_to_be_looked_through_is_neither_shown_nor_kept() {
        let long = format!("{}secret", "x".repeat(LONGEST_READ));
        assert_eq!(shown(&long, ["secret"]), format!("[{} bytes]", LONGEST_READ + 6));
        assert_eq!(kept(&long, ["secret"]), None);
    }

    proptest! {
        #[test]
        fn no_secret_survives_wherever_it_stands(
            before in "[a-z ]{0,20}", secret in "[A-Z0-9+/=%&]{6,40}", after in "[a-z ]{0,20}",
        ) {
            let shown = shown(&format!("{before}{secret}{after}"), [secret.as_str()]);
            prop_assert!(!shown.contains(&secret), "{shown}");
        }
    }
}
