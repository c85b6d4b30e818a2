//! Errors from the way to a server, with nothing in them that it echoed of our secrets.

use std::error::Error as _;

use crate::error::Error;
use crate::wire::redact::{kept, shown};

/// The error; without its causes, and with its message masked, if they show one of the secrets. A program's own
/// transport may put a server's words into its errors, as the debug data of a GOAWAY in HTTP/2.
pub(crate) fn without_echo<'a>(error: Error, secrets: impl IntoIterator<Item = &'a str>) -> Error {
    let secrets: Vec<&str> = secrets.into_iter().collect();
    let mut told = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(cause) = next {
        told.push_str(&format!(" {cause} {cause:?}"));
        next = cause.source();
    }
    // `Debug` puts backslashes into what it quotes.
    let unquoted: Vec<String> = secrets.iter().map(|secret| secret.replace('\\', "")).collect();
    let unquoted = unquoted.iter().map(String::as_str);
    match shows(&told, secrets.iter().copied()) || shows(&told.replace('\\', ""), unquoted) {
        true => Error::new(error.kind(), shown(&error.to_string(), secrets)),
        false => error,
    }
}

/// A text that is too long to be looked through may show one.
fn shows<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> bool {
    kept(text, secrets).is_none_or(|clean| kept(text, []).is_none_or(|text| text != clean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const SECRET: &str = r#"hunter2+"\x"#;

    fn error(message: &str, cause: impl Into<crate::BoxError>) -> Error {
        without_echo(Error::new(ErrorKind::Transport, message).with_source(cause), [SECRET])
    }

    #[test]
    fn a_cause_that_shows_a_secret_in_whatever_form_is_left_out() {
        #[derive(Debug)]
        struct Quoted(#[allow(dead_code)] bytes::Bytes);
        impl std::fmt::Display for Quoted {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("refused")
            }
        }
        impl std::error::Error for Quoted {}

        let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        for cause in [
            format!("not {SECRET}").into(),
            format!("client_secret={encoded}&scope=x").into(),
            Box::new(std::io::Error::other(Quoted(SECRET.into()))) as crate::BoxError,
        ] {
            let error = error("it broke", cause);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Transport, "it broke"));
        }
    }

    #[test]
    fn a_cause_that_is_too_long_to_be_looked_through_is_left_out() {
        let error = error("it broke", format!("{} {SECRET}", "x".repeat(100_000)));
        assert!(error.source().is_none());
    }

    #[test]
    fn a_message_is_masked_and_any_other_cause_is_kept() {
        assert_eq!(error(&format!("no {SECRET}!"), "it").to_string(), "no [redacted]!");
        assert_eq!(error("it broke", "the cable is cut").source().unwrap().to_string(), "the cable is cut");
    }
}
