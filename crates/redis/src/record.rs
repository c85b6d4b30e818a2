//! The content of a sealed value: a token, and when it was requested.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use tower_idaas::TokenResponse;
use tower_idaas::clock::Timestamp;
use zeroize::Zeroizing;

use crate::token_store::StoredValue;

/// Tells tokens apart without keeping them.
pub(crate) type Digest = [u8; 32];

/// A token from the store.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) response: TokenResponse,
    life: Duration,
    age: Duration,
}

/// The text of a record. `sent` is when the source was called; a token that it had already is older by its age.
pub(crate) fn write(response: &TokenResponse, sent: Timestamp) -> Zeroizing<Vec<u8>> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let age = millis(response.age().unwrap_or_default());
    let record = json!({
        "token": response.expose_token(),
        "requested_at": (sent.wall / 1_000_000).saturating_sub(age),
        "life": millis(response.life()),
        "granted_scope": response.granted_scope(),
        "issued_token_type": response.issued_token_type(),
    });
    Zeroizing::new(record.to_string().into_bytes())
}

impl Record {
    /// `None` when the text is no record, or the token's life is over.
    ///
    /// The age is the higher one of two: by this machine's wall clock, and by how long the store still keeps the
    /// token. Clocks of machines differ, and the store's is the same for all.
    pub(crate) fn read(text: &[u8], stored: &StoredValue, now: Timestamp) -> Option<Self> {
        let record: Value = serde_json::from_slice(text).ok()?;
        let number = |name| record.get(name).and_then(Value::as_u64);
        let text = |name| record.get(name).and_then(Value::as_str);
        let response = TokenResponse::bearer(text("token")?).ok()?;
        let response = response.with_expires_in(Duration::from_millis(number("life")?));
        let life = response.life();
        let by_clock =
            Duration::from_nanos(now.wall).saturating_sub(Duration::from_millis(number("requested_at")?));
        let by_store = stored.remaining().map_or(Duration::ZERO, |remaining| life.saturating_sub(remaining));
        let age = by_clock.max(by_store);
        if age >= life {
            return None;
        }
        let mut response = response.with_age(age);
        if let Some(scope) = text("granted_scope") {
            response = response.with_granted_scope(scope);
        }
        if let Some(token_type) = text("issued_token_type") {
            response = response.with_issued_token_type(token_type);
        }
        Some(Self { response, life, age })
    }

    /// Whether it is young enough to be used instead of a new one. A process refreshes a token at 8/15 of its life at
    /// the earliest, so a refresh never gets the token that it is to replace.
    pub(crate) fn is_fresh(&self) -> bool {
        self.age < self.life / 2
    }

    /// Whether it is stale and still good for the next requests.
    pub(crate) fn is_usable(&self) -> bool {
        self.life.saturating_sub(self.age) > self.life / 10
    }

    pub(crate) fn digest(&self) -> Digest {
        digest_of(self.response.expose_token())
    }
}

pub(crate) fn digest_of(token: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: Timestamp = Timestamp { monotonic: 5_000_000_000, wall: 1_700_000_000_000_000_000 };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A token of 1000 seconds, read so long after it was requested.
    fn read_at(age: u64, remaining: Option<u64>) -> Option<Record> {
        let response = TokenResponse::bearer("marker-token").unwrap().with_expires_in(seconds(1000));
        let stored = StoredValue::new([]);
        let stored = remaining.map(seconds).map_or(stored.clone(), |left| stored.with_remaining(left));
        Record::read(&write(&response, SENT), &stored, SENT.after(seconds(age)))
    }

    #[test]
    fn a_token_is_read_with_all_that_the_issuer_said() {
        let response = TokenResponse::bearer("marker-token")
            .unwrap()
            .with_expires_in(seconds(1000))
            .with_granted_scope("api://a|read")
            .with_issued_token_type("urn:x");
        let text = write(&response, SENT);
        let record = Record::read(&text, &StoredValue::new([]), SENT.after(seconds(10))).unwrap();
        assert_eq!(record.response.expose_token(), "marker-token");
        assert_eq!(record.response.granted_scope(), Some("api://a|read"));
        assert_eq!(record.response.issued_token_type(), Some("urn:x"));
        assert_eq!((record.response.life(), record.response.age()), (seconds(1000), Some(seconds(10))));
        assert!(!format!("{record:?}").contains("marker-token"));
    }

    #[test]
    fn it_is_fresh_for_half_of_its_life_and_gone_at_its_end() {
        assert!(read_at(499, None).unwrap().is_fresh());
        assert!(!read_at(500, None).unwrap().is_fresh());
        assert!(read_at(899, None).unwrap().is_usable());
        assert!(!read_at(900, None).unwrap().is_usable());
        assert!(read_at(999, None).is_some());
        assert!(read_at(1000, None).is_none());
    }

    #[test]
    fn the_higher_one_of_two_ages_counts() {
        // This machine's clock is behind.
        assert_eq!(read_at(0, Some(300)).unwrap().age, seconds(700));
        // The store keeps it longer than it lives.
        assert_eq!(read_at(600, Some(9_000)).unwrap().age, seconds(600));
        assert!(read_at(0, Some(0)).is_none());
        assert!(read_at(1000, Some(900)).is_none());
    }

    #[test]
    fn a_token_from_the_future_is_no_older_than_new() {
        let response = TokenResponse::bearer("t").unwrap().with_expires_in(seconds(1000));
        let text = write(&response, SENT.after(seconds(50)));
        assert_eq!(Record::read(&text, &StoredValue::new([]), SENT).unwrap().age, Duration::ZERO);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "\u{0}",
            r#"{"token":"t","requested_at":1700000000000}"#,
            r#"{"token":"t","life":1000000}"#,
            r#"{"token":"two words","requested_at":1700000000000,"life":1000000}"#,
            r#"{"token":7,"requested_at":1700000000000,"life":1000000}"#,
            r#"{"token":"t","requested_at":-1,"life":1000000}"#,
        ] {
            assert!(Record::read(text.as_bytes(), &StoredValue::new([]), SENT).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(
            text in prop::collection::vec(any::<u8>(), 0..60), at: u64, life: u64, wall: u64, left: u64,
        ) {
            let now = Timestamp { monotonic: 0, wall };
            let stored = StoredValue::new([]).with_remaining(Duration::from_secs(left));
            Record::read(&text, &stored, now);
            let text = json!({ "token": "t", "requested_at": at, "life": life }).to_string();
            if let Some(record) = Record::read(text.as_bytes(), &stored, now) {
                prop_assert!(record.age < record.life && record.life <= Duration::from_secs(86_400));
            }
        }
    }
}
