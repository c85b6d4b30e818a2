//! Which responses reject the token.

use std::fmt;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};

use crate::service::protocol::is_unauthenticated;
use crate::service::response::HttpResponse;
use crate::telemetry;
use crate::token::HeaderShard;

/// Whether a response with this status and these headers rejects the token that the request left with, as RFC 6750
/// section 3.1 has it: a 401, unless its `Bearer` challenges have error codes and none of them is `invalid_token`.
///
/// So `insufficient_scope` and `invalid_request`, which another token would not change, do not count, and neither does
/// a 403. The layer uses this rule; an API that rejects tokens in another way needs a
/// [classifier](super::IdaasLayer::rejection_classifier), which may call this function.
pub fn rejects_token(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED && challenges_mean_the_token(headers)
}

/// A rule of the program's, instead of [`rejects_token`].
#[derive(Clone)]
pub(super) struct Classifier(Arc<Rule>);

type Rule = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;

impl Classifier {
    pub(super) fn new(rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classifier")
    }
}

/// What a request left with: the token's header, and what its response is judged by.
pub(super) struct LeftWith {
    pub(super) header: Arc<HeaderShard>,
    /// Where the request went: another API may accept a token that this one rejects.
    pub(super) origin: u64,
    pub(super) classifier: Option<Classifier>,
}

impl LeftWith {
    /// Whether the response may be a rejection. For most it is not, and an accepted token is reported here.
    #[inline]
    pub(super) fn may_reject<A: HttpResponse>(&self, grpc: bool, response: &A) -> bool {
        let status = response.status();
        if grpc || self.classifier.is_some() || status == StatusCode::UNAUTHORIZED {
            return true;
        }
        if status.is_success() && response.is_from(self.origin) {
            self.header.accept(self.origin);
        }
        false
    }

    #[cold]
    #[inline(never)]
    pub(super) fn judge<A: HttpResponse>(&self, grpc: bool, response: &mut A) {
        // What another origin, to which a redirect led, says of the token does not count: it is no judge of it.
        if response.is_from(self.origin) && self.report(grpc, response.status(), response.headers()) {
            response.mark_rejection();
        }
    }

    /// True when the token is rejected and the next request gets another one.
    pub(super) fn report(&self, grpc: bool, status: StatusCode, headers: &HeaderMap) -> bool {
        let rejects = match &self.classifier {
            Some(Classifier(rule)) => rule(status, headers),
            None if grpc && is_unauthenticated(headers) => challenges_mean_the_token(headers),
            None => rejects_token(status, headers),
        };
        if rejects {
            return self.reject();
        }
        // Over gRPC the status is among the headers only when the call failed.
        if status.is_success() && !(grpc && headers.contains_key("grpc-status")) {
            self.header.accept(self.origin);
        }
        false
    }

    pub(super) fn reject(&self) -> bool {
        telemetry::unauthorized();
        self.header.reject(self.origin)
    }
}

/// Whether the `Bearer` challenges of all header lines reject the token: `invalid_token` does, no error code at all
/// does, and other error codes alone do not.
fn challenges_mean_the_token(headers: &HeaderMap) -> bool {
    let mut other_code = false;
    for line in headers.get_all(WWW_AUTHENTICATE) {
        for (scheme, name, value) in parameters(line.as_bytes()) {
            if scheme.eq_ignore_ascii_case(b"Bearer") && name.eq_ignore_ascii_case(b"error") {
                if value.eq_ignore_ascii_case(b"invalid_token") {
                    return true;
                }
                other_code = true;
            }
        }
    }
    !other_code
}

/// A parameter of a challenge: its scheme, its name, and its value without quotes and escapes.
type Parameter<'a> = (&'a [u8], &'a [u8], Vec<u8>);

/// The parameters of one `WWW-Authenticate` line (RFC 9110 section 11.6.1): challenges and their parameters are
/// separated by commas alike, and only the `=` behind a name separates a parameter from the next scheme. What cannot be
/// parsed is skipped, up to the next comma.
fn parameters(line: &[u8]) -> Vec<Parameter<'_>> {
    let mut parameters = Vec::new();
    let mut rest = Reader(line);
    let mut scheme: &[u8] = b"";
    loop {
        rest.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
        let name = rest.take(is_token);
        if name.is_empty() {
            if rest.0.is_empty() {
                return parameters;
            }
            rest.skip_to_comma();
            continue;
        }
        rest.skip_blanks();
        if rest.0.first() != Some(&b'=') {
            scheme = name;
            continue;
        }
        rest.0 = rest.0.get(1..).unwrap_or_default();
        rest.skip_blanks();
        let value = match rest.quoted() {
            Some(value) => value,
            None => rest.take(is_token).to_vec(),
        };
        parameters.push((scheme, name, value));
        rest.skip_to_comma();
    }
}

/// The unread rest of a line.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().position(|byte| !wanted(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }

    fn skip(&mut self, unwanted: impl Fn(u8) -> bool) {
        self.take(unwanted);
    }

    fn skip_blanks(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// A quoted string, without its quotes and escapes; without a closing quote it ends with the line.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.0.strip_prefix(b"\"")?.iter();
        let mut value = Vec::new();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => value.extend(bytes.next()),
                _ => value.push(*byte),
            }
        }
        self.0 = bytes.as_slice();
        Some(value)
    }

    /// Commas within quotes do not count.
    fn skip_to_comma(&mut self) {
        loop {
            self.skip(|byte| !matches!(byte, b',' | b'"'));
            if self.quoted().is_none() {
                return;
            }
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn rejects(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        rejects_token(StatusCode::UNAUTHORIZED, &headers)
    }

    #[test]
    fn only_what_says_that_the_token_is_bad_counts() {
        for (lines, expected) in [
            (&[][..], true),
            (&["Bearer"], true),
            (&["Bearer realm=\"api\""], true),
            (&["Bearer error=\"invalid_token\""], true),
            (&["Bearer error=invalid_token"], true),
            (&["bearer ERROR = \"invalid_token\""], true),
            (&["Bearer realm=\"a\", error=\"invalid_token\", error_description=\"expired\""], true),
            (&["Bearer error=\"insufficient_scope\""], false),
            (&["BEARER realm=\"a, b\" , Error=insufficient_scope,scope=\"x\""], false),
            (&["Bearer error=\"invalid_request\""], false),
            (&["Bearer error=\"in\\sufficient_scope\""], false),
            (&["Bearer error_description=\"error=insufficient_scope\""], true),
            (&["Bearer realm=\"x\\\", error=\\\"insufficient_scope\""], true),
            // Several challenges, on one line and on several.
            (&["Basic realm=\"x\""], true),
            (&["Basic realm=\"x\", Bearer error=\"insufficient_scope\""], false),
            (&["Basic realm=\"Bearer error=insufficient_scope\""], true),
            (&["Basic realm=\"x\"", "Bearer error=\"insufficient_scope\""], false),
            (&["Bearer error=\"insufficient_scope\"", "Bearer error=\"invalid_token\""], true),
            (&["Bearer realm=\"a\", Bearer realm=\"b\", error=\"invalid_request\""], false),
            (&["Negotiate a87421000492aa874209af8bc028==, Bearer error=\"insufficient_scope\""], false),
            (&["DPoP error=\"use_dpop_nonce\""], true),
            (&["Bearer, DPoP error=\"insufficient_scope\""], true),
            (
                &[
                    "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Bearer error=invalid_request",
                ],
                false,
            ),
            // Lines without a challenge.
            (&["", ",,", " , "], true),
            (&["Bearer error=\"insufficient_scope"], false),
            (&["Bearer error="], false),
            (&["@@@ , Bearer error=\"insufficient_scope\""], false),
            (&["error=\"insufficient_scope\""], true),
        ] {
            assert_eq!(rejects(lines), expected, "{lines:?}");
        }
        for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED] {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
            assert!(!rejects_token(status, &headers), "{status}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic_or_run_for_ever(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parameters(&line).len() <= line.len());
        }

        #[test]
        fn a_parameter_is_found_among_any_others(
            before in "([A-Za-z]{1,8}( [a-z]{1,5}=(\"[^\"\\\\\r\n]{0,9}\"|[a-z]{1,4}))?[ ]?,[ ]?){0,3}",
            value in "[ -~]{0,12}",
            after in "(, ?[a-z]{1,5}_=(\"[^\"\\\\\r\n]{0,9}\"|[a-z]{1,4})){0,3}",
        ) {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("{before}Bearer error=\"{quoted}\"{after}");
            let found = parameters(line.as_bytes());
            prop_assert!(found.contains(&(b"Bearer", b"error", value.into_bytes())), "{}", line);
        }
    }
}
