//! The documents of a machine: what they say, and what makes the token endpoint believe it.

use std::fmt;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::issuer::signed_data::Signer;
use crate::names::INSTANCE_ID;

/// How long the token endpoint accepts a document after its signing time, in seconds.
const LIFE: u64 = 3600;
/// How far ahead the signing time may be, because clocks differ.
const SKEW: u64 = 300;

const ECS_INSTANCE: &str = "i-test0001";
const EC2_INSTANCE: &str = "i-0123456789abcdef0";
const AZURE_MACHINE: &str = "00000000-0000-4000-8000-000000000002";

/// The cloud's signer, and the machine that is registered with the federated credential.
pub(crate) struct Attestation(Signer);

impl Attestation {
    pub(crate) fn generate() -> io::Result<Self> {
        Signer::generate().map(Self)
    }

    /// The base64 of the document that Alibaba Cloud ECS signs for this audience, if the audience is JSON.
    pub(crate) fn ecs_document(&self, audience: &str) -> io::Result<Option<String>> {
        let Ok(audience) = serde_json::from_str::<Value>(audience) else {
            return Ok(None);
        };
        let document = json!({
            "account-id": "1234567890",
            "instance-id": ECS_INSTANCE,
            "region-id": "cn-test",
            "audience": audience,
        });
        self.sign(&document).map(Some)
    }

    /// The base64 of the document that AWS EC2 signs.
    pub(crate) fn ec2_document(&self) -> io::Result<String> {
        let document = json!({ "accountId": "123456789012", "instanceId": EC2_INSTANCE, "region": "test-1" });
        self.sign(&document)
    }

    /// The base64 of the document that Azure signs.
    pub(crate) fn azure_document(&self) -> io::Result<String> {
        self.sign(&json!({ "vmId": AZURE_MACHINE, "subscriptionId": "test" }))
    }

    fn sign(&self, document: &Value) -> io::Result<String> {
        Ok(BASE64.encode(self.0.sign(document.to_string().as_bytes())?))
    }

    /// Why the document does not prove who asks, if so. `now` is in Unix seconds.
    pub(crate) fn verify(&self, document: &str, now: u64) -> Result<(), &'static str> {
        let der = BASE64.decode(document).map_err(|_| "the document is not base64 in one piece")?;
        let content = self.0.verify(&der).ok_or("the document is not signed by the cloud")?;
        let content: Value = serde_json::from_slice(&content).map_err(|_| "the document is not JSON")?;
        let text = |name: &str| content.get(name).and_then(Value::as_str);
        if text("instanceId") == Some(EC2_INSTANCE) || text("vmId") == Some(AZURE_MACHINE) {
            return Ok(());
        }
        if text("instance-id") != Some(ECS_INSTANCE) {
            return Err("the document is of another machine");
        }
        let audience = content.get("audience");
        let signed = audience.and_then(|audience| audience.get("signingTime")).and_then(Value::as_u64);
        if audience.and_then(|audience| audience.get("aud")?.as_str()) != Some(INSTANCE_ID) {
            return Err("the document is for another IDaaS instance");
        }
        match signed {
            Some(signed) if signed > now.saturating_add(SKEW) => Err("the document was signed in the future"),
            Some(signed) if signed.saturating_add(LIFE) > now => Ok(()),
            _ => Err("the document was signed too long ago"),
        }
    }
}

impl fmt::Debug for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attestation").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(audience: &Value, now: u64) -> Result<(), &'static str> {
        let attestation = Attestation::generate().unwrap();
        let document = attestation.ecs_document(&audience.to_string()).unwrap().unwrap();
        attestation.verify(&document, now)
    }

    #[test]
    fn a_document_is_good_for_an_hour_and_for_one_audience() {
        let audience = json!({ "aud": "idaas_test", "signingTime": 10_000 });
        for (now, good) in [(10_000, true), (9_700, true), (9_699, false), (13_599, true), (13_600, false)] {
            assert_eq!(verdict(&audience, now).is_ok(), good, "at {now}");
        }
        for audience in
            [json!({ "aud": "other", "signingTime": 10_000 }), json!({ "aud": "idaas_test" }), json!(1)]
        {
            verdict(&audience, 10_000).unwrap_err();
        }
    }

    #[test]
    fn only_the_clouds_own_signature_counts() {
        let (ours, other) = (Attestation::generate().unwrap(), Attestation::generate().unwrap());
        let document = ours.ec2_document().unwrap();
        ours.verify(&document, 0).unwrap();
        other.verify(&document, 0).unwrap_err();
        ours.verify(&format!("{document}\n"), 0).unwrap_err();
    }
}
