//! Reads a temporary credential from the JSON of STS, the metadata service or a credentials URI.

use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::aliyun::credential::Credential;
use crate::aliyun::credential::lookup::Temporary;
use crate::aliyun::life::life_of_new;
use crate::error::Error;
use crate::secret::Secret;
use crate::wire::call::{ApiResponse, text};
use crate::wire::time::{rfc3339, rfc3339_text};

/// Whose clock says how long a credential lives that has not expired by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clocks {
    /// The server's, because it comes through TLS.
    Server,
    /// The server's and this machine's: the earlier end counts.
    Both,
}

/// What was just issued is live, so a clock by which it has expired is wrong, and the other one counts.
///
/// # Errors
///
/// When a part is missing, and when the credential has expired already by both clocks.
pub(super) fn read(
    response: &ApiResponse<'_>,
    object: &Map<String, Value>,
    provider: &'static str,
    clocks: Clocks,
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
    if let Some(problem) = credential.problem() {
        return Err(response.unusable(&format!("its credential {problem}")));
    }
    let left = |now| expiration.duration_since(now).unwrap_or_default();
    let ours = left(response.received().system_time());
    let theirs = response.server_time().map(left);
    let life = match (theirs, clocks) {
        (Some(theirs), Clocks::Server) if !theirs.is_zero() => theirs,
        _ => life_of_new(ours, theirs),
    };
    if life.is_zero() {
        let earlier = if expiration < SystemTime::UNIX_EPOCH { " or earlier" } else { "" };
        let expiration = rfc3339_text(expiration);
        return Err(
            response.unusable(&format!("its credential has expired already, at {expiration}{earlier}"))
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
        read_by(body, date, Clocks::Server)
    }

    fn read_by(body: &Value, date: Option<&str>, clocks: Clocks) -> Result<Temporary, Error> {
        let now = rfc3339("2026-11-24T12:00:00Z").unwrap();
        let wall = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let sent = Timestamp { monotonic: 0, wall: u64::try_from(wall).unwrap() };
        let dated: Vec<_> = date.into_iter().map(|date| ("date", date)).collect();
        let body = body.to_string();
        let response = (StatusCode::OK, headers(&dated), body.as_bytes());
        read_as(&Sts, &[], response, (sent, sent), |response| read(response, &response.object, "p", clocks))
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
        let life = |end, date| read_by(&body(end), date, Clocks::Both).map(|(_, life)| life.as_secs());
        let (early, late) = ("Tue, 24 Nov 2026 11:00:00 GMT", "Tue, 24 Nov 2026 12:30:00 GMT");
        assert_eq!(life("2026-11-24T13:00:00Z", None).unwrap(), 3600);
        assert_eq!(life("2026-11-24T13:00:00Z", Some(early)).unwrap(), 3600);
        assert_eq!(life("2026-11-24T13:00:00Z", Some(late)).unwrap(), 1800);
    }

    #[test]
    fn a_credential_that_has_expired_by_one_clock_alone_lives_by_the_other() {
        let (early, late) = ("Tue, 24 Nov 2026 11:00:00 GMT", "Tue, 24 Nov 2026 13:30:00 GMT");
        for clocks in [Clocks::Server, Clocks::Both] {
            let life = |end, date| read_by(&body(end), date, clocks).map(|(_, life)| life.as_secs());
            assert_eq!(life("2026-11-24T11:30:00Z", Some(early)).unwrap(), 1800);
            assert_eq!(life("2026-11-24T12:30:00Z", Some(late)).unwrap(), 1800);
            for (end, date) in [("2026-11-24T10:59:00Z", early), ("2026-11-24T12:00:00Z", late)] {
                let error = life(end, Some(date)).unwrap_err().to_string();
                assert!(error.contains("its credential has expired already"), "{error}");
            }
        }
    }

    #[test]
    fn a_character_that_no_access_key_has_is_named_and_nothing_else_is_shown() {
        let mut body = body("2026-11-24T13:00:00Z");
        body["AccessKeySecret"] = "s3cret\u{200b}".into();
        let error = format!("{:?}", read_from(&body, None).unwrap_err());
        assert!(error.contains("U+200B at position 7") && !error.contains("s3cret"), "{error}");
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
