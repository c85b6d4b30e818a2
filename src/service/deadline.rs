//! How long the caller waits, and how much of that may go into the wait for a token.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::entry::CacheEntry;
use crate::cache::slot::Slot;
use crate::cache::sync::timeout;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::service::request::HttpRequest;
use crate::token::Token;

/// When the caller of a request gives up, as far as the request says.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    started: Timestamp,
    limit: Option<Duration>,
}

impl Deadline {
    /// Counted from now.
    pub(super) fn of<R: HttpRequest>(request: &mut R, clock: &Clock) -> Self {
        Self { clock: clock.clone(), started: clock.now(), limit: request.time_limit() }
    }

    /// What comes of a wait for a token, in time for the request to be sent. While an overdue token still lives, half
    /// of the time goes into the wait for the next one at most.
    ///
    /// # Errors
    ///
    /// Those of the wait, and that the time is up.
    pub(super) async fn bound(
        self,
        slot: Arc<Slot<Token>>,
        acquiring: impl Future<Output = Result<Arc<CacheEntry<Token>>, Error>>,
    ) -> Result<Arc<CacheEntry<Token>>, Error> {
        let Some(limit) = self.limit else { return acquiring.await };
        let patience = if slot.peek().is_some() { limit / 2 } else { limit };
        match timeout(patience, acquiring).await {
            Ok(result) => result,
            Err(_elapsed) => slot.peek().ok_or_else(|| self.error()),
        }
    }

    /// Leaves the request what is left of its time.
    ///
    /// # Errors
    ///
    /// When nothing is left.
    pub(super) fn pass_on<R: HttpRequest>(&self, request: &mut R) -> Result<(), Error> {
        let Some(limit) = self.limit else { return Ok(()) };
        let left = limit.saturating_sub(self.clock.now().since(self.started));
        if left.is_zero() {
            return Err(self.error());
        }
        request.set_time_limit(left);
        Ok(())
    }

    fn error(&self) -> Error {
        let limit = self.limit.unwrap_or_default();
        let message = format!(
            "no token came within the request's own time limit of {limit:?}, and the request was not sent; the \
             refresh goes on, try again"
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

/// The header `grpc-timeout` of gRPC over HTTP/2: up to eight digits and a unit.
pub(super) mod grpc_timeout {
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

    /// As many digits as the protocol allows.
    const MOST: u128 = 99_999_999;

    pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
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

    /// In the finest unit that holds it, rounded down.
    pub(crate) fn write(headers: &mut HeaderMap, limit: Duration) {
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
}
