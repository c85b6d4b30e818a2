//! Reads a temporary credential from the JSON of STS, the metadata service or a credentials URI.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::aliyun::credential::Credential;
use crate::aliyun::credential::lookup::Temporary;
use crate::error::Error;
use crate::secret::Secret;
use crate::wire::call::{ApiResponse, text};
use crate::wire::time::{rfc3339, rfc3339_text};

/// The expiry is compared with the server's clock, and with `ours` also with this machine's; the earlier end counts.
/// For STS the server's clock alone counts, because it comes through TLS.
///
/// # Errors
///
/// When a part is missing, and when the credential has expired already.
pub(super) fn read(
    response: &ApiResponse<'_>,
    object: &Map<String, Value>,
    provider: &'static str,
    ours: Option<SystemTime>,
) -> Result<Temporary, Error> {
    // Surrounding white space is removed: no part of an access key has any.
    let part = |name| match text(object, &[name]).map(str::trim) {
        Some(part) if !part.is_empty() => Ok(part),
        _ => Err(response.unusable(&format!("carries no credential with `{name}`"))),
    };
    let credential = Credential {
        access_key_id: part("AccessKeyId")?.to_owned(),
        access_key_secret: Secret::new(part("AccessKeySecret")?),
        security_token: Some(Secret::new(part("SecurityToken")?)),
        provider,
    };
    let expiration = rfc3339(part("Expiration")?).ok_or_else(|| {
        response.unusable("the `Expiration` of its credential is not a point in time in RFC 3339")
    })?;
    let left = |now| expiration.duration_since(now).unwrap_or_default();
    let theirs = left(response.server_time().unwrap_or_else(|| response.sent().system_time()));
    let life = ours.map_or(theirs, |now| theirs.min(left(now)));
    if life == Duration::ZERO {
        let earlier = if expiration < SystemTime::UNIX_EPOCH { " or earlier" } else { "" };
        let expiration = rfc3339_text(expiration);
        let hint = if theirs == life { "" } else { " by this machine's clock (check it)" };
        return Err(
            response.unusable(&format!("its credential has expired already, at {expiration}{earlier}{hint}"))
        );
    }
    Ok((credential, life))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::aliyun::credential::sts::Sts;
    use crate::clock::Timestamp;
    use crate::wire::call::tests::{headers, read_as};

    fn read_from(body: &Value, date: Option<&str>) -> Result<Temporary, Error> {
        read_by(body, date, false)
    }

    fn read_by(body: &Value, date: Option<&str>, both_clocks: bool) -> Result<Temporary, Error> {
        let now = rfc3339("2026-11-24T12:00:00Z").unwrap();
        let wall = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let sent = Timestamp { monotonic: 0, wall: u64::try_from(wall).unwrap() };
        let dated: Vec<_> = date.into_iter().map(|date| ("date", date)).collect();
        let body = body.to_string();
        let response = (StatusCode::OK, headers(&dated), body.as_bytes());
        read_as(&Sts, &[], response, (sent, sent), |response| {
            read(response, &response.object, "p", both_clocks.then_some(now))
        })
    }

    fn body(expiration: &str) -> Value {
        json!({ "AccessKeyId": "STS.id", "AccessKeySecret": "s3cret", "SecurityToken": "t0ken", "Expiration": expiration })
    }

    #[test]
    fn a_life_counts_by_the_servers_clock() {
        let (credential, life) = read_from(&body("2026-11-24T13:00:00Z"), None).unwrap();
        assert_eq!((credential.access_key_id.as_str(), life.as_secs()), ("STS.id", 3600));
        // The zone makes no difference.
        assert_eq!(read_from(&body("2026-11-24T21:00:00.000+08:00"), None).unwrap().1.as_secs(), 3600);
        let date = "Tue, 24 Nov 2026 10:00:00 GMT";
        assert_eq!(read_from(&body("2026-11-24T11:00:00Z"), Some(date)).unwrap().1.as_secs(), 3600);
    }

    #[test]
    fn a_life_counts_by_the_earlier_end_where_both_clocks_count() {
        let life = |end, date| read_by(&body(end), date, true).map(|(_, life)| life.as_secs());
        let (early, late) = ("Tue, 24 Nov 2026 11:00:00 GMT", "Tue, 24 Nov 2026 12:30:00 GMT");
        assert_eq!(life("2026-11-24T13:00:00Z", None).unwrap(), 3600);
        assert_eq!(life("2026-11-24T13:00:00Z", Some(early)).unwrap(), 3600);
        assert_eq!(life("2026-11-24T13:00:00Z", Some(late)).unwrap(), 1800);
        let error = life("2026-11-24T11:30:00Z", Some(early)).unwrap_err().to_string();
        let text = "expired already, at 2026-11-24T11:30:00Z by this machine's clock (check it)";
        assert!(error.contains(text), "{error}");
    }

    #[test]
    fn white_space_around_a_part_is_none_of_it() {
        let mut body = body(" 2026-11-24T13:00:00Z\n");
        for part in ["AccessKeyId", "AccessKeySecret", "SecurityToken"] {
            body[part] = format!(" {}\n", body[part].as_str().unwrap()).into();
        }
        let (credential, _) = read_from(&body, None).unwrap();
        let secret = credential.access_key_secret.expose_secret();
        let token = credential.security_token.as_ref().unwrap().expose_secret();
        assert_eq!((credential.access_key_id.as_str(), secret, token), ("STS.id", "s3cret", "t0ken"));
    }

    #[test]
    fn one_that_has_expired_on_arrival_is_an_error() {
        for expiration in ["2026-11-24T12:00:00Z", "2026-11-24T11:59:59Z", "1970-01-01T00:00:00Z"] {
            let error = read_from(&body(expiration), None).unwrap_err();
            let text = format!("its credential has expired already, at {expiration}");
            assert!(error.to_string().contains(&text) && !error.is_transient(), "{error}");
        }
        // The zero time of Go, and the last second before the epoch.
        for expiration in ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0000-01-01T00:00:00+23:59"] {
            let error = read_from(&body(expiration), None).unwrap_err().to_string();
            let text = "its credential has expired already, at 1970-01-01T00:00:00Z or earlier";
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_part_that_is_missing_or_makes_no_sense_is_named_and_nothing_is_shown() {
        for part in ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"] {
            for wrong in [json!(null), json!(""), json!(" \n"), json!(7), json!({})] {
                let mut body = body("2026-11-24T13:00:00Z");
                body[part] = wrong;
                let error = format!("{:?}", read_from(&body, None).unwrap_err());
                assert!(
                    error.contains(part) && !error.contains("s3cret") && !error.contains("t0ken"),
                    "{error}"
                );
            }
        }
        for end in ["s3cret", "2026-11-24T13:00:00", "2026-11-24"] {
            let error = read_from(&body(end), None).unwrap_err();
            assert!(error.to_string().contains("is not a point in time in RFC 3339"), "{error}");
        }
        let far = read_from(&body("9999-12-31T23:59:59Z"), None).unwrap().1;
        assert!(SystemTime::UNIX_EPOCH.checked_add(far).is_some());
    }
}
