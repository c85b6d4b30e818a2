//! Access keys that live for a while, made known to the verifiers of signatures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::aliyun::access_key::{AccessKey, AccessKeys};
use tower_idaas::clock::Clock;

/// Hands out access keys with a security token and an end.
#[derive(Debug)]
pub(crate) struct TemporaryKeys {
    keys: Arc<AccessKeys>,
    clock: Clock,
    issued: AtomicUsize,
}

impl TemporaryKeys {
    pub(crate) fn new(keys: Arc<AccessKeys>, clock: Clock) -> Self {
        Self { keys, clock, issued: AtomicUsize::new(0) }
    }

    /// A new key, as the vendor writes one in JSON.
    pub(crate) fn issue(&self, life: Duration) -> Map<String, Value> {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let id = format!("STS.test{number}{:08x}", fastrand::u32(..));
        let (secret, token) = (random(), format!("{}+/==", random()));
        let end = self.clock.now().after(life).system_time();
        let key = AccessKey::new(&id, &secret).with_security_token(&token).with_expiry(end);
        self.keys.add(key);
        let expiration = humantime::format_rfc3339_seconds(end).to_string();
        let parts = [
            ("AccessKeyId", id),
            ("AccessKeySecret", secret),
            ("SecurityToken", token),
            ("Expiration", expiration),
        ];
        parts.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    }
}

fn random() -> String {
    format!("{:032x}", fastrand::u128(..))
}
