//! Errors of a Redis. The text of the server is not shown: it may quote a password.

use redis::RedisError;
use tower_idaas::{BoxError, Error, ErrorKind};

use crate::redis::address::Place;

pub(super) fn unreachable(place: &Place, cause: impl Into<BoxError>) -> Error {
    let message = format!("no connection to Redis at {place}; check address, network and TLS");
    Error::new(ErrorKind::Connect, message).with_source(cause)
}

/// The address has changed to one with TLS. What TLS needs is loaded when the store is built.
pub(super) fn no_tls(place: &Place) -> Error {
    let message = format!(
        "the address of Redis at {place} is now one with TLS, and was one without; restart the program"
    );
    Error::new(ErrorKind::Connect, message)
}

/// The name is configuration, and no secret.
pub(super) fn no_master(sentinel: &Place, name: &str) -> Error {
    let name = name.escape_debug();
    let message =
        format!("the sentinel at {sentinel} knows no master `{name}`; check the name of the master");
    Error::new(ErrorKind::Unavailable, message)
}

pub(super) fn failed(place: &Place, error: &RedisError) -> Error {
    if error.kind() == redis::ErrorKind::AuthenticationFailed {
        let message = format!("Redis at {place} refused user or password; check them in its address");
        return Error::new(ErrorKind::Unavailable, message);
    }
    match error.code().filter(|code| is_code(code)) {
        Some(code) => {
            let advice = advice(code);
            Error::new(ErrorKind::Unavailable, format!("Redis at {place} refused with {code}; {advice}"))
        }
        None if error.is_io_error() || error.is_connection_dropped() => {
            Error::new(ErrorKind::Transport, format!("the connection to Redis at {place} broke"))
        }
        None => Error::new(
            ErrorKind::InvalidResponse,
            format!(
                "{place} sent a response that is not one of Redis; check that a Redis server listens there"
            ),
        ),
    }
}

/// The first word of a refusal, as Redis writes it.
fn is_code(code: &str) -> bool {
    code.len() <= 24 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn advice(code: &str) -> &'static str {
    match code {
        "NOAUTH" => "check user and password in its address",
        "NOPERM" => {
            "let the user EVAL, and GETRANGE, PTTL, GET, SET and DEL keys that start with `idaas:`; in a database of \
             its own SELECT, in a cluster ASKING"
        }
        "OOM" => "its memory is full and it evicts nothing",
        "READONLY" => "it is a replica; name the master, or the sentinels",
        _ => "see its log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_refusal_is_shown_and_its_text_is_not() {
        let place = Place::Host("cache".to_owned(), 6379);
        let server = |text: &str| {
            let (code, detail) = text.split_once(' ').unwrap();
            redis::make_extension_error(code.to_owned(), Some(detail.to_owned()))
        };
        let error = failed(&place, &server("NOAUTH marker"));
        assert_eq!(
            error.to_string(),
            "Redis at cache:6379 refused with NOAUTH; check user and password in its address"
        );
        let error = failed(&place, &server("<marker> x"));
        assert!(!format!("{error:?}").contains("marker"), "{error:?}");
    }
}
