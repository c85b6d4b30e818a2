//! The parts of a JWT that are readable without verifying it.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The claim `exp` in Unix seconds (RFC 7519 section 4.1.4), if the text is a JWT with a readable one. Nothing is
/// verified: that is the issuer's task.
pub(crate) fn expiry(token: &str) -> Option<u64> {
    let payload = LENIENT.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let expiry = claims.get("exp")?;
    // A JSON number may have a fraction; casting a float saturates at the integer's range.
    expiry.as_u64().or_else(|| expiry.as_f64().map(|seconds| seconds as u64))
}

/// Whether the text has all three parts of a JWT (RFC 7515 section 7.1).
pub(super) fn is_jwt(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && LENIENT.decode(part).is_ok();
    text.split('.').count() == 3 && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn the_expiry_is_read_from_whatever_resembles_a_jwt() {
        for (payload, seconds) in [
            (r#"{"exp":4102444800}"#, Some(4_102_444_800)),
            (r#"{"exp":1.5e9}"#, Some(1_500_000_000)),
            (r#"{"exp":1700000000.9}"#, Some(1_700_000_000)),
            (r#"{"exp":-1}"#, Some(0)),
            (r#"{"exp":1e300}"#, Some(u64::MAX)),
            (r#"{"exp":"4102444800"}"#, None),
            (r#"{"exp":null}"#, None),
            ("{}", None),
            ("[]", None),
            ("not json", None),
        ] {
            assert_eq!(expiry(&token(payload)), seconds, "{payload}");
        }
        let padded = format!("e30.{}.", URL_SAFE.encode(r#"{"exp":12}"#));
        assert!(padded.contains('='));
        assert_eq!(expiry(&padded), Some(12));
        assert_eq!(expiry("an opaque token"), None);
    }

    #[test]
    fn a_jwt_has_three_parts_of_base64() {
        assert!(is_jwt(&token("{}")));
        for text in
            ["", "a", "e30.e30", "e30.e30.", "e30..c2ln", "e30.e30.c2ln.c2ln", "e30.e3*.c2ln", "e30.e.c2ln"]
        {
            assert!(!is_jwt(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>(), payload in any::<Vec<u8>>()) {
            let _ = expiry(&text);
            let _ = expiry(&format!("{text}.{}.", URL_SAFE_NO_PAD.encode(payload)));
        }
    }
}
