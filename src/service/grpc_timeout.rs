//! The header `grpc-timeout` of gRPC over HTTP/2: up to eight digits and a unit.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Nanoseconds of each unit, finest first.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// The largest number: the protocol allows eight digits.
const MOST: u128 = 99_999_999;

pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(&GRPC_TIMEOUT)?.as_bytes())
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (_, nanos) = UNITS.into_iter().find(|(name, _)| name == unit)?;
    let number = digits.iter().fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    let nanos = number * nanos;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// Writes the limit in the finest unit that can hold it, rounded down.
pub(super) fn write(headers: &mut HeaderMap, limit: Duration) {
    let nanos = limit.as_nanos();
    let fits = UNITS.into_iter().find(|(_, unit)| nanos / unit <= MOST);
    let text = match fits {
        Some((unit, in_nanos)) => format!("{}{}", nanos / in_nanos, char::from(unit)),
        None => format!("{MOST}H"),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(&GRPC_TIMEOUT, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_unit_is_read_and_nothing_else() {
        for (text, expected) in [
            ("200m", Some(Duration::from_millis(200))),
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("0n", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("123456789n", None),
            ("m", None),
            ("", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("1s", None),
            ("1 S", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_never_more(nanos in any::<u64>()) {
            let (limit, mut headers) = (Duration::from_nanos(nanos), HeaderMap::new());
            write(&mut headers, limit);
            let again = read(&headers).unwrap();
            prop_assert!(again <= limit && limit - again <= limit / 1_000, "{limit:?} {again:?}");
        }
    }
}
