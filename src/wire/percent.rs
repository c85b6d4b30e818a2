//! Percent-encoding (RFC 3986 section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Everything but the unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text with everything encoded that is not allowed in every part of a query.
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// The decoded text; a `+` is a blank, as in a query.
#[cfg(feature = "aliyun")]
pub(crate) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_unreserved_characters_are_encoded_in_upper_case() {
        assert_eq!(encoded("a&b=ü~ *+/-._").to_string(), "a%26b%3D%C3%BC~%20%2A%2B%2F-._");
    }
}
