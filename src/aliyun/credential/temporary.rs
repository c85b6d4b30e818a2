//! Reads a temporary credential from the JSON in which STS, the metadata service and credentials URIs give it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Credential;
use super::order::Temporary;
use crate::error::Error;
use crate::secret::Secret;
use crate::token::answer::{Answer, text};

/// # Errors
///
/// When a part is missing, and when the credential has expired already, by the clock of who gave it.
pub(super) fn read(
    answer: &Answer<'_>,
    object: &Map<String, Value>,
    provider: &'static str,
) -> Result<Temporary, Error> {
    let part = |name| {
        text(object, &[name]).ok_or_else(|| answer.unusable(&format!("carries no credential with `{name}`")))
    };
    let credential = Credential {
        access_key_id: part("AccessKeyId")?.to_owned(),
        access_key_secret: Secret::new(part("AccessKeySecret")?),
        security_token: Some(Secret::new(part("SecurityToken")?)),
        provider,
    };
    let expiration = humantime::parse_rfc3339_weak(part("Expiration")?)
        .map_err(|_| answer.unusable("the `Expiration` of its credential is not a point in time"))?;
    match expiration.duration_since(answer.server_time()) {
        Ok(life) if life > Duration::ZERO => Ok((credential, life)),
        _ => {
            let expiration = humantime::format_rfc3339_seconds(expiration);
            Err(answer.unusable(&format!("its credential has expired already, at {expiration}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;
    use crate::aliyun::credential::sts::Sts;
    use crate::token::answer::{self, Asked};

    fn read_from(body: &Value, date: Option<&str>) -> Result<Temporary, Error> {
        let mut headers = HeaderMap::new();
        if let Some(date) = date {
            headers.insert("date", date.parse().unwrap());
        }
        let asked = Asked {
            peer: &Sts,
            endpoint: "https://sts.example/",
            scope: "",
            secrets: Vec::new(),
            now: humantime::parse_rfc3339("2026-11-24T12:00:00Z").unwrap(),
        };
        let body = body.to_string();
        let answer = answer::object(StatusCode::OK, &headers, body.as_bytes(), &asked)?;
        read(&answer, &answer.object, "p")
    }

    fn body(expiration: &str) -> Value {
        json!({ "AccessKeyId": "STS.id", "AccessKeySecret": "s3cret", "SecurityToken": "t0ken", "Expiration": expiration })
    }

    #[test]
    fn a_life_counts_by_the_clock_of_who_gave_it() {
        let (credential, life) = read_from(&body("2026-11-24T13:00:00Z"), None).unwrap();
        assert_eq!((credential.access_key_id.as_str(), life.as_secs()), ("STS.id", 3600));
        let date = "Tue, 24 Nov 2026 10:00:00 GMT";
        assert_eq!(read_from(&body("2026-11-24T11:00:00Z"), Some(date)).unwrap().1.as_secs(), 3600);
    }

    #[test]
    fn one_that_has_expired_on_arrival_is_an_error() {
        for expiration in ["2026-11-24T12:00:00Z", "2026-11-24T11:59:59Z", "1970-01-01T00:00:00Z"] {
            let error = read_from(&body(expiration), None).unwrap_err();
            let text = format!("its credential has expired already, at {expiration}");
            assert!(error.to_string().contains(&text) && !error.is_transient(), "{error}");
        }
    }

    #[test]
    fn a_part_that_is_missing_or_makes_no_sense_is_named_and_nothing_is_shown() {
        for part in ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"] {
            for wrong in [json!(null), json!(""), json!(7), json!({})] {
                let mut body = body("2026-11-24T13:00:00Z");
                body[part] = wrong;
                let error = format!("{:?}", read_from(&body, None).unwrap_err());
                assert!(
                    error.contains(part) && !error.contains("s3cret") && !error.contains("t0ken"),
                    "{error}"
                );
            }
        }
        let error = read_from(&body("s3cret"), None).unwrap_err();
        assert!(error.to_string().contains("is not a point in time"), "{error}");
        let far = read_from(&body("9999-12-31T23:59:59Z"), None).unwrap().1;
        assert!(SystemTime::UNIX_EPOCH.checked_add(far).is_some());
    }
}
