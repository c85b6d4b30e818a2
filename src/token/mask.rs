//! Makes text from an issuer fit to be shown: without our secrets, on one line, of bounded length.

/// The longest piece of an issuer's text that is shown.
const LONGEST: usize = 300;

/// What stands in a secret's place.
const MASK: &str = "[redacted]";

/// The text with every secret masked, control characters replaced, and its end cut off when it is long.
///
/// An issuer may echo the request it did not like, decoded or as it was encoded in the form.
pub(crate) fn shown<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut masked = text.to_owned();
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        // The encoded form first: a secret without special characters is its own encoding.
        masked = masked.replace(&encoded, MASK).replace(secret, MASK);
    }
    let clean: String = masked.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
        None => clean,
    }
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
