//! Client assertions: JWTs that say who the client is (RFC 7523 section 3).

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::{Credentials, Occasion, RegisteredClient};
use crate::issuer::refusal::Refusal;

/// The longest life that IDaaS allows, in seconds.
const LONGEST_LIFE: u64 = 600;

/// An assertion, not yet believed.
pub(super) struct Assertion<'a> {
    header: Value,
    claims: Value,
    message: &'a str,
    signature: Vec<u8>,
}

impl<'a> Assertion<'a> {
    pub(super) fn parse(credentials: &Credentials<'a>) -> Result<Self, Refusal> {
        let text = credentials.form.required("client_assertion")?;
        Self::read(text).ok_or_else(|| Refusal::invalid_request("the client_assertion is not a JWT"))
    }

    fn read(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&BASE64.decode(part).ok()?).ok();
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            message,
            signature: BASE64.decode(signature).ok()?,
        })
    }

    pub(super) fn algorithm(&self) -> &str {
        self.header.get("alg").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the HMAC is under the secret.
    pub(super) fn is_under_secret(&self, secret: &[u8]) -> bool {
        let key = hmac::Key::new(HMAC_SHA256, secret);
        self.algorithm() == "HS256" && hmac::verify(&key, self.message.as_bytes(), &self.signature).is_ok()
    }

    /// Whether it is signed with the private half of the key, a `SubjectPublicKeyInfo` in DER.
    pub(super) fn is_signed_with(&self, public_key: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm() {
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &RSA_PKCS1_2048_8192_SHA512,
            "ES256" => &ECDSA_P256_SHA256_FIXED,
            "ES384" => &ECDSA_P384_SHA384_FIXED,
            "ES512" => &ECDSA_P521_SHA512_FIXED,
            _ => return false,
        };
        let public_key = UnparsedPublicKey::new(algorithm, public_key);
        public_key.verify(self.message.as_bytes(), &self.signature).is_ok()
    }

    /// Refuses an assertion, its signature being right, that says the wrong things or says them again.
    pub(super) fn check(self, client: &RegisteredClient, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let refuse = |problem: &str| Err(Refusal::invalid_client(format!("the client_assertion {problem}")));
        // `kid` names one of several registered keys; the vendor's command line sends it, its SDKs do not.
        let header = self.header.as_object();
        let is_known = |(name, value): (&String, &Value)| match name.as_str() {
            "alg" => true,
            "typ" => value == "JWT",
            "kid" => value.as_str().is_some_and(|id| !id.is_empty()),
            _ => false,
        };
        if !header.is_some_and(|header| header.contains_key("typ") && header.iter().all(is_known)) {
            return refuse("has another header than alg, typ and kid");
        }
        let claim = |name: &str| self.claims.get(name);
        let text = |name: &str| claim(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| claim(name).and_then(Value::as_u64);
        if text("iss") != client.id() || text("sub") != client.id() {
            return refuse("does not name the client as iss and sub");
        }
        if claim("aud") != Some(&json!(occasion.audience)) {
            return refuse("is for another audience than the token endpoint");
        }
        let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
            return refuse("lacks iat or exp");
        };
        let now = occasion.now.unix_seconds();
        if issued > now {
            return refuse("is from the future");
        }
        if expires <= now {
            return refuse("has expired");
        }
        if expires.saturating_sub(issued) > LONGEST_LIFE {
            return refuse("lives longer than 600 seconds");
        }
        if text("jti").is_empty() {
            return refuse("lacks jti");
        }
        match client.keys().spend(text("jti"), expires, occasion.now) {
            true => Ok(()),
            false => refuse("was used before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;

    use super::*;
    use crate::issuer::client_authentication::ClientAuthentication;
    use crate::issuer::client_authentication::Federation;
    use crate::issuer::client_keys::ClientKeys;
    use crate::issuer::form::Form;
    use tower_idaas::Secret;
    use tower_idaas::clock::ManualClock;

    const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    const AUDIENCE: &str = "https://idaas.test/token";

    struct Fixture {
        client: RegisteredClient,
        clock: ManualClock,
    }

    impl Fixture {
        fn new() -> Self {
            let methods = ClientAuthentication::ALL.to_vec();
            let keys = Arc::new(ClientKeys::generate(&[]).unwrap());
            let federation = Federation::generate("", &tower_idaas::clock::Clock::System).unwrap();
            let federation = Arc::new(federation);
            let client =
                RegisteredClient::new("app".into(), Secret::new("s3cret"), methods, keys, federation);
            Self { client, clock: ManualClock::new() }
        }

        fn claims(&self) -> Value {
            let now = self.clock.now().unix_seconds();
            json!({ "iss": "app", "sub": "app", "aud": AUDIENCE, "jti": "1", "iat": now, "exp": now + 600 })
        }

        fn verify(&self, header: &Value, claims: &Value) -> Result<(), String> {
            let message =
                format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
            let key = hmac::Key::new(HMAC_SHA256, b"s3cret");
            let signature = BASE64.encode(hmac::sign(&key, message.as_bytes()));
            self.authenticate(JWT_BEARER, &format!("{message}.{signature}"))
        }

        fn authenticate(&self, kind: &str, assertion: &str) -> Result<(), String> {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("client_id", "app")
                .append_pair("client_assertion_type", kind)
                .append_pair("client_assertion", assertion)
                .append_pair("application_federated_credential_name", crate::names::FEDERATED_CREDENTIAL)
                .append_pair("client_x509", "garbage")
                .finish();
            let form = Form::parse(form.as_bytes()).unwrap();
            let occasion = Occasion { audience: AUDIENCE, now: self.clock.now() };
            let credentials = Credentials { headers: &HeaderMap::new(), form: &form };
            self.client.authenticate(&credentials, &occasion).map_err(|refusal| refusal.description)
        }
    }

    fn header() -> Value {
        json!({ "alg": "HS256", "typ": "JWT" })
    }

    #[test]
    fn an_assertion_is_good_once() {
        let fixture = Fixture::new();
        let claims = fixture.claims();
        fixture.verify(&header(), &claims).unwrap();
        assert!(fixture.verify(&header(), &claims).unwrap_err().contains("was used before"));
        let mut again = claims;
        again["jti"] = json!("2");
        fixture.verify(&header(), &again).unwrap();
    }

    #[test]
    fn every_claim_counts() {
        let fixture = Fixture::new();
        let now = fixture.clock.now().unix_seconds();
        for (name, value, reason) in [
            ("iss", json!("other"), "as iss and sub"),
            ("sub", Value::Null, "as iss and sub"),
            ("aud", json!("https://idaas.test"), "another audience"),
            ("iat", json!(now + 1), "from the future"),
            ("iat", json!("now"), "lacks iat or exp"),
            ("exp", json!(now), "has expired"),
            ("exp", json!(now + 601), "longer than 600 seconds"),
            ("exp", Value::Null, "lacks iat or exp"),
            ("jti", json!(""), "lacks jti"),
        ] {
            let mut claims = fixture.claims();
            claims[name] = value;
            let refusal = fixture.verify(&header(), &claims).unwrap_err();
            assert!(refusal.contains(reason), "{name}: {refusal}");
        }
        let with_key_id = json!({ "alg": "HS256", "typ": "JWT", "kid": "1" });
        fixture.verify(&with_key_id, &fixture.claims()).unwrap();
        for other in [
            json!({ "alg": "HS256" }),
            json!({ "alg": "HS256", "typ": "JWT", "kid": "" }),
            json!({ "alg": "HS256", "typ": "at+jwt" }),
            json!({ "alg": "HS256", "typ": "JWT", "jku": "https://elsewhere.invalid" }),
        ] {
            assert!(fixture.verify(&other, &fixture.claims()).unwrap_err().contains("another header"));
        }
    }

    #[test]
    fn an_unsigned_or_garbled_assertion_is_refused() {
        let fixture = Fixture::new();
        let none = json!({ "alg": "none", "typ": "JWT" });
        assert!(fixture.verify(&none, &fixture.claims()).unwrap_err().contains("not signed"));
        let hs512 = json!({ "alg": "HS512", "typ": "JWT" });
        assert!(fixture.verify(&hs512, &fixture.claims()).unwrap_err().contains("not HS256"));
        for garbled in ["", "a", "a.b.c", "e30.e30", "e30.e30."] {
            fixture.authenticate(JWT_BEARER, garbled).unwrap_err();
        }
        let x509 = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer";
        assert!(fixture.authenticate(x509, "e30.e30.").unwrap_err().contains("one client certificate"));
        fixture.authenticate("urn:unknown", "e30.e30.").unwrap_err();
    }
}
