//! A token request before it is sent.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::Error;
use crate::secret::{Expected, Secret, SecretSource, suspicious_ends};
use crate::transport::Transport;

/// The client of a token request, and its endpoint.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    pub(crate) token_endpoint: Uri,
}

impl Client {
    /// The token endpoint in errors: without its query, which may hold a secret.
    pub(crate) fn display_endpoint(&self) -> String {
        let endpoint = &self.token_endpoint;
        let scheme = endpoint.scheme_str().unwrap_or("https");
        let authority = endpoint.authority().map_or("", http::uri::Authority::as_str);
        format!("{scheme}://{authority}{}", endpoint.path())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance_id, client_id, token_endpoint: _ } = self;
        f.debug_struct("Client")
            .field("instance_id", instance_id)
            .field("client_id", client_id)
            .field("token_endpoint", &self.display_endpoint())
            .finish()
    }
}

/// A token request before it is sent: form fields and an `Authorization` header, to be filled in by an
/// [`Authenticator`](crate::authn::Authenticator).
///
/// `grant_type`, `client_id` and `scope` are set already. Field values are wiped from memory when the request is
/// dropped; `Debug` shows names only.
#[derive(Clone)]
pub struct TokenRequest {
    client: Client,
    fields: Vec<(Cow<'static, str>, Secret)>,
    authorization: Option<HeaderValue>,
    /// The secrets read so far.
    read: Vec<Secret>,
    environment: Environment,
    /// The HTTP client for assertion sources.
    #[cfg_attr(not(feature = "transport"), allow(dead_code, reason = "sources over HTTP need the feature"))]
    transport: Option<Transport>,
    now: Timestamp,
    issuer_time: SystemTime,
    /// Whether the added values are valid near that time only.
    time_bound: bool,
    /// A hash of the secrets read so far, under a key of this process: shows whether reading them again returns other
    /// ones.
    fingerprint: u64,
    /// The fingerprint of the previous, refused attempt.
    refused: Option<u64>,
    hasher: RandomState,
}

impl TokenRequest {
    pub(crate) fn new(
        client: &Client,
        environment: &Environment,
        now: Timestamp,
        hasher: &RandomState,
    ) -> Self {
        Self {
            client: client.clone(),
            fields: Vec::with_capacity(8),
            authorization: None,
            read: Vec::new(),
            environment: environment.clone(),
            transport: None,
            now,
            issuer_time: now.system_time(),
            time_bound: false,
            fingerprint: 0,
            refused: None,
            hasher: hasher.clone(),
        }
    }

    /// The application's id, `app_…`.
    pub fn client_id(&self) -> &str {
        &self.client.client_id
    }

    /// The IDaaS instance's id, `idaas_…`.
    pub fn instance_id(&self) -> &str {
        &self.client.instance_id
    }

    /// The address of the request: the audience of a client assertion (RFC 7523 section 3).
    pub fn token_endpoint(&self) -> &Uri {
        &self.client.token_endpoint
    }

    /// The time for the claims of a client assertion: the wall clock's, corrected by the clock skew observed in the
    /// issuer's earlier responses. An authenticator that uses it calls [`depends_on_time`](Self::depends_on_time) as
    /// well.
    pub fn issued_at(&self) -> SystemTime {
        self.issuer_time
    }

    /// Marks the request as valid only near the time [`issued_at`](Self::issued_at). When the issuer refuses such a
    /// request and its response shows clock skew, the request is made again with the corrected time and sent at once.
    pub fn depends_on_time(&mut self) {
        self.time_bound = true;
    }

    /// Reads a secret. Secrets read this way are compared after a response of `invalid_client`: if they have changed,
    /// the request is sent again at once.
    ///
    /// # Errors
    ///
    /// When the variable is not set or blank, or the file cannot be read; the message names it.
    pub async fn read_secret(&mut self, source: &SecretSource) -> Result<Secret, Error> {
        self.read_expected(source, Expected::secret()).await
    }

    /// Reads a client secret, and refuses characters that no client secret has.
    pub(crate) async fn read_client_secret(&mut self, source: &SecretSource) -> Result<Secret, Error> {
        let secret = self.read_expected(source, Expected::client_secret()).await?;
        // The second attempt, after `invalid_client`.
        if self.refused.is_some()
            && let Some(hint) = suspicious_ends(&secret)
        {
            tracing::warn!("the issuer refuses this client, and {hint}");
        }
        Ok(secret)
    }

    /// Reads a secret that must pass a check.
    pub(crate) async fn read_expected(
        &mut self,
        source: &SecretSource,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let secret = source.read_expected(&self.environment, self.now, expected).await?;
        self.note_secret(&secret);
        Ok(secret)
    }

    /// Whether the issuer has just responded with `invalid_client` to a request that was authenticated with this secret
    /// alone. An [`AssertionSource`](crate::authn::AssertionSource) with a cache calls it, and fetches another
    /// assertion; with another one, the request is sent again at once.
    pub fn was_refused(&self, secret: &Secret) -> bool {
        self.refused == Some(self.hasher.hash_one((0_u64, secret.expose_secret())))
    }

    /// Adds a form field. A name must be added once only.
    pub fn add_field(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Secret>) {
        self.fields.push((name.into(), value.into()));
    }

    /// Sets the `Authorization` header; it is marked sensitive.
    pub fn set_authorization(&mut self, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.authorization = Some(value);
    }

    /// Adds a secret that was read elsewhere to those that are compared after `invalid_client`.
    pub(crate) fn note_secret(&mut self, secret: &Secret) {
        self.fingerprint = self.hasher.hash_one((self.fingerprint, secret.expose_secret()));
        self.read.push(secret.clone());
    }

    /// Sets the fingerprint of the previous, refused attempt.
    pub(crate) fn after_refusal(mut self, fingerprint: Option<u64>) -> Self {
        self.refused = fingerprint;
        self
    }

    /// Sets the HTTP client that sends the request.
    pub(crate) fn over(mut self, transport: &Transport) -> Self {
        self.transport = Some(transport.clone());
        self
    }

    #[cfg(feature = "transport")]
    pub(crate) fn transport(&self) -> Option<&Transport> {
        self.transport.as_ref()
    }

    /// Sets the time by the issuer's clock.
    pub(crate) fn at_issuer_time(mut self, time: SystemTime) -> Self {
        self.issuer_time = time;
        self
    }

    /// The time put into an assertion, if one was made.
    pub(crate) fn time_in_assertion(&self) -> Option<SystemTime> {
        self.time_bound.then_some(self.issuer_time)
    }

    /// The timestamp of the request, by both clocks.
    pub(crate) fn timestamp(&self) -> Timestamp {
        self.now
    }

    /// The environment variables.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The secrets that a response may echo: every secret read, the header's credentials, and the values of all fields
    /// except those known to hold no secret or to repeat a part of the scope.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        const PUBLIC: &[&str] = &[
            "grant_type",
            "client_id",
            "scope",
            "client_assertion_type",
            "application_federated_credential_name",
            "client_x509",
            "client_x509_chain",
            "requested_token_type",
            "subject_token_type",
            "actor_token_type",
        ];
        let scope = self.fields.iter().find(|(name, _)| name == "scope");
        let scope = scope.map_or("", |(_, scope)| scope.expose_secret());
        let is_secret = |(name, value): &&(Cow<'static, str>, Secret)| {
            !PUBLIC.contains(&&**name) && !scope.contains(value.expose_secret())
        };
        let fields = self.fields.iter().filter(is_secret).map(|(_, value)| value.clone());
        let header = self.authorization.as_ref().and_then(|value| value.to_str().ok());
        let credentials = header.and_then(|value| value.split_once(' ')).map(|(_, credentials)| credentials);
        let sent = fields.chain(header.into_iter().chain(credentials).map(Secret::new));
        self.read.iter().cloned().chain(sent).collect()
    }

    /// The HTTP request. Its body is wiped from memory when its last owner drops it.
    pub(crate) fn into_http(self) -> Request<Full<Bytes>> {
        let longest =
            self.fields.iter().map(|(name, value)| name.len() + 3 * value.expose_secret().len() + 2).sum();
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(longest));
        for (name, value) in &self.fields {
            form.append_pair(name, value.expose_secret());
        }
        let body = Bytes::from_owner(Zeroizing::new(form.finish()));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.client.token_endpoint;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = self.authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        request
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            fields,
            authorization,
            read: _,
            environment: _,
            transport: _,
            now: _,
            issuer_time: _,
            time_bound: _,
            fingerprint: _,
            refused: _,
            hasher: _,
        } = self;
        let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("TokenRequest")
            .field("client", client)
            .field("fields", &names)
            .field("authorization", authorization)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secrets to redact in a response to a request with these fields.
    fn secrets(fields: &[(&'static str, &str)]) -> Vec<String> {
        let client = Client {
            instance_id: "idaas_1".into(),
            client_id: "app_1".into(),
            token_endpoint: Uri::from_static("https://idaas.example/token"),
        };
        let now = Timestamp { monotonic: 0, wall: 0 };
        let mut request = TokenRequest::new(&client, &Environment::default(), now, &RandomState::new());
        for (name, value) in fields {
            request.add_field(*name, (*value).to_owned());
        }
        request.set_authorization(HeaderValue::from_static("Basic credentials"));
        request.secrets().iter().map(|secret| secret.expose_secret().to_owned()).collect()
    }

    #[test]
    fn all_fields_are_secret_but_those_that_a_response_repeats_by_right() {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", "app_1"),
            ("scope", "api://orders|read"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("resource", "api://orders"),
            ("client_assertion", "assertion"),
            ("subject_token", "subject"),
            ("actor_token", "actor"),
            ("own", "value"),
        ];
        let expected = ["assertion", "subject", "actor", "value", "Basic credentials", "credentials"];
        assert_eq!(secrets(&fields), expected);
    }
}
