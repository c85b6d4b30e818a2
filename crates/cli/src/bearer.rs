//! A bearer token or an API key, as `idaas token`, `api-key` and `oauth-token` print it.

use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::now;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum BearerFormat {
    /// The token alone, on one line
    #[default]
    Token,
    /// `Authorization: Bearer …`, for `curl -H @-`
    Header,
    /// One JSON object: access_token, token_type, expires_in (seconds), expires_at, scope
    Json,
}

/// A token, and what is known of it. It has no `Debug`, because its text is secret.
#[derive(Deserialize, Serialize)]
pub(crate) struct Bearer {
    pub(crate) text: String,
    pub(crate) expires_at: SystemTime,
    pub(crate) scope: Option<String>,
}

impl Bearer {
    pub(crate) fn formatted(&self, format: BearerFormat) -> String {
        let Self { text, expires_at, scope } = self;
        match format {
            BearerFormat::Token => format!("{text}\n"),
            BearerFormat::Header => format!("Authorization: Bearer {text}\n"),
            BearerFormat::Json => {
                let left = expires_at.duration_since(now()).unwrap_or_default();
                let mut token = json!({
                    "access_token": text,
                    "token_type": "Bearer",
                    "expires_in": left.as_secs(),
                    "expires_at": timestamp(*expires_at),
                });
                if let (Some(scope), Value::Object(token)) = (scope, &mut token) {
                    token.insert("scope".to_owned(), scope.as_str().into());
                }
                format!("{token:#}\n")
            }
        }
    }
}

/// The last second that RFC 3339 can write, with its years of four digits.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// RFC 3339, in whole seconds. A time before 1970 or after 9999 is written as the nearest one between: a token may
/// carry such a time, and `humantime` fails to write it.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since_epoch.min(LAST_SECOND)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_any_year_is_written_and_the_nearest_one_where_rfc_3339_has_none() {
        let (epoch, second) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
        for (time, text) in [
            (epoch - second, "1970-01-01T00:00:00Z"),
            (epoch - 2_000_000_000 * second, "1970-01-01T00:00:00Z"),
            (epoch + 1_800_000_000 * second, "2027-01-15T08:00:00Z"),
            (epoch + LAST_SECOND, "9999-12-31T23:59:59Z"),
            (epoch + LAST_SECOND + second, "9999-12-31T23:59:59Z"),
            // Milliseconds where seconds belong.
            (epoch + Duration::from_secs(1_764_426_505_000), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(time), text);
        }
    }
}
