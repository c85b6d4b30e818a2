//! Makes text from an issuer fit to be shown: without our secrets, on one line, of bounded length.

/// The longest piece of an issuer's text that is shown.
const LONGEST: usize = 300;

/// What stands in a secret's place.
const MASK: &str = "[redacted]";

/// The text with every secret masked, control characters replaced, and its end cut off when it is long.
///
/// An issuer may echo the request it did not like: decoded, as it was encoded in the form, or encoded anew
/// in its own way.
pub(crate) fn shown<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut secrets: Vec<&str> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
    // The longest first: where one secret is part of another, the rest of the other must not stay.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut clean = String::new();
    let mut rest = text;
    for _ in 0..LONGEST {
        let Some(next) = rest.chars().next() else {
            return clean;
        };
        let echo = secrets.iter().find_map(|secret| echo_length(rest, secret));
        match echo {
            Some(_) => clean.push_str(MASK),
            None if next.is_control() => clean.push(' '),
            None => clean.push(next),
        }
        rest = rest.get(echo.unwrap_or(next.len_utf8())..).unwrap_or_default();
    }
    if !rest.is_empty() {
        clean.push('…');
    }
    clean
}

/// How much of the text's beginning is the secret, as it is or percent-encoded in whatever way.
fn echo_length(text: &str, secret: &str) -> Option<usize> {
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
    fn a_text_cannot_forge_a_log_line_or_flood_it() {
        assert_eq!(shown("one\r\ntwo\u{7}", []), "one  two ");
        assert_eq!(shown(&"\u{e4}".repeat(1_000), []).chars().count(), LONGEST + 1);
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
