//! Signature V3 of Alibaba Cloud's OpenAPI: `ACS3-HMAC-SHA256`.
//!
//! A pure function from request to `Authorization` header: no I/O, no clock, no random numbers.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::aliyun::Credential;
use crate::error::{Error, ErrorKind};
use crate::wire::percent;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// The signed parts of a request.
#[derive(Clone, Copy)]
pub(crate) struct Signable<'a> {
    pub(crate) method: &'a str,
    /// The path as sent.
    pub(crate) path: &'a str,
    /// Names and values before encoding, in any order.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The headers to sign: names in lower case, in any order, each once.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body's [`sha256_hex`], also sent as `x-acs-content-sha256`.
    pub(crate) body_hash: &'a str,
}

impl Signable<'_> {
    /// The value of the `Authorization` header, marked sensitive.
    ///
    /// # Errors
    ///
    /// When the access key's id holds characters that are not allowed in a header.
    pub(crate) fn authorization(&self, credential: &Credential) -> Result<HeaderValue, Error> {
        let key = credential.access_key_secret.expose_secret();
        let signature = signature(key, &self.string_to_sign());
        let id = &credential.access_key_id;
        let text =
            format!("{ALGORITHM} Credential={id},SignedHeaders={},Signature={signature}", self.names());
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            let provider = credential.provider;
            let problem = format!("the access key id of credential source `{provider}` is malformed");
            Error::new(ErrorKind::Credential, format!("{problem}; check it for stray characters"))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(crate) fn string_to_sign(&self) -> String {
        format!("{ALGORITHM}\n{}", sha256_hex(self.canonical_request().as_bytes()))
    }

    /// The canonical request, which both sides hash. It holds the security token, so its buffer must not grow:
    /// reallocation would leave copies in memory.
    pub(crate) fn canonical_request(&self) -> Zeroizing<String> {
        let Self { method, path, query, headers: _, body_hash } = self;
        let (query, headers, names) = (canonical_query(query), self.sorted_headers(), self.names());
        let lines: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let others = [method, path, query.as_str(), names.as_str(), body_hash];
        let length = lines + others.map(|part| part.len() + 1).iter().sum::<usize>() + 1;
        let mut canonical = Zeroizing::new(String::with_capacity(length));
        let mut add = |parts: &[&str]| parts.iter().for_each(|part| canonical.push_str(part));
        add(&[method, "\n", path, "\n", &query, "\n"]);
        for (name, value) in &headers {
            add(&[name, ":", value.trim(), "\n"]);
        }
        add(&["\n", &names, "\n", body_hash]);
        canonical
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.sorted_headers().iter().map(|(name, _)| *name).collect();
        names.join(";")
    }

    fn sorted_headers(&self) -> Vec<(&str, &str)> {
        let mut sorted = self.headers.to_vec();
        sorted.sort_unstable();
        sorted
    }
}

impl fmt::Debug for Signable<'_> {
    /// Header values are left out: one may be a security token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signable")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &self.names())
            .finish_non_exhaustive()
    }
}

/// The query sorted by name, encoded as sent.
pub(crate) fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut sorted = query.to_vec();
    sorted.sort_unstable();
    let pair =
        |(name, value): (&str, &str)| format!("{}={}", percent::encoded(name), percent::encoded(value));
    sorted.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The HMAC key is wiped by its library when it is dropped.
fn signature(key: &str, string_to_sign: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hex(hmac::sign(&key, string_to_sign.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::secret::Secret;

    fn captures() -> Vec<(String, Value)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let names = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let captures = names.filter_map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let is_ours = name.starts_with("plugin_") || name == "token_exchange_plugin";
            is_ours.then(|| (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()))
        });
        captures.collect()
    }

    fn pairs(value: &Value) -> Vec<(&str, &str)> {
        let pairs = value.as_array().unwrap().iter();
        pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
    }

    /// The access key that signed a request of the capture. Secrets of STS keys are not in the captures; they were
    /// derived from the key ids.
    fn credential(capture: &Value, id: &str) -> Credential {
        let secret = match capture["env"]["ALIBABA_CLOUD_ACCESS_KEY_SECRET"].as_str() {
            Some(secret) => secret.to_owned(),
            None => id.strip_prefix("STS.").unwrap().replace("AccessKeyId", "Secret"),
        };
        Credential {
            access_key_id: id.to_owned(),
            access_key_secret: Secret::new(secret),
            security_token: None,
            provider: "env",
        }
    }

    #[test]
    fn order_and_white_space_make_no_other_signature() {
        let signable = |query, headers| Signable { method: "GET", path: "/", query, headers, body_hash: "" };
        let one = signable(&[("b", ""), ("a.10", "~ "), ("a.2", "*")], &[("x-b", " 2 "), ("host", "h")]);
        let other = signable(&[("a.2", "*"), ("b", ""), ("a.10", "~ ")], &[("host", "h"), ("x-b", "2")]);
        let canonical = "GET\n/\na.10=~%20&a.2=%2A&b=\nhost:h\nx-b:2\n\nhost;x-b\n";
        assert_eq!(one.canonical_request().as_str(), canonical);
        assert_eq!(other.canonical_request().as_str(), canonical);
    }

    #[test]
    fn nothing_secret_is_shown_and_an_odd_id_is_an_error() {
        let headers = [("x-acs-security-token", "T0KENmarker")];
        let signable = Signable { method: "POST", path: "/", query: &[], headers: &headers, body_hash: "" };
        assert!(!format!("{signable:?}").contains("T0KENmarker"));
        let credential = Credential {
            access_key_id: "LTAI\r\nx".into(),
            access_key_secret: Secret::new("S3CRETmarker"),
            security_token: None,
            provider: "env",
        };
        let error = signable.authorization(&credential).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credential);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("`env`") && !shown.contains("LTAI") && !shown.contains("S3CRET"), "{shown}");
    }

    #[test]
    fn every_captured_signature_is_reproduced() {
        let mut reproduced = 0;
        for (name, capture) in captures() {
            for request in capture["requests"].as_array().unwrap() {
                let acs3 = &request["acs3"];
                if acs3.is_null() {
                    continue; // one to a metadata service or to STS
                }
                let (query, sent) = (pairs(&request["query_pairs"]), pairs(&request["headers"]));
                let signed: Vec<&str> = acs3["signed_headers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|name| name.as_str().unwrap())
                    .collect();
                let header =
                    |name: &str| sent.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap().1;
                let headers: Vec<_> = signed.iter().rev().map(|name| (*name, header(name))).collect();
                let signable = Signable {
                    method: request["method"].as_str().unwrap(),
                    path: request["url_path"].as_str().unwrap(),
                    query: &query,
                    headers: &headers,
                    body_hash: &sha256_hex(request["body_raw"].as_str().unwrap().as_bytes()),
                };
                assert_eq!(canonical_query(&query), request["query"].as_str().unwrap(), "{name}");
                assert_eq!(signable.canonical_request().as_str(), acs3["canonical_request"], "{name}");
                assert_eq!(signable.string_to_sign(), acs3["string_to_sign"], "{name}");
                let credential = credential(&capture, acs3["credential"].as_str().unwrap());
                let authorization = signable.authorization(&credential).unwrap();
                assert_eq!(authorization, header("authorization"), "{name}");
                assert!(authorization.is_sensitive());
                reproduced += 1;
            }
        }
        assert_eq!(reproduced, 9);
    }
}
