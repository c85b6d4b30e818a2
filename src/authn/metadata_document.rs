//! The attested document of this machine, from its cloud's metadata service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::authn::assertion_source::compact;
use crate::authn::{AssertionSource, CheckContext, TokenRequest};
use crate::clock::Timestamp;
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::secret::Secret;
use crate::transport::metadata::{ALIBABA_CLOUD_ECS, AWS_EC2, AZURE, MetadataService};
use crate::wire::{json, percent};

/// How long IDaaS accepts a document from its signing time, unless its trust source says otherwise.
const LIFE: Duration = Duration::from_secs(3_600);

/// The values that a trust source accepts.
const LIVES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1_201)..=Duration::from_secs(1_314_000);

/// A cloud whose metadata service signs documents for its machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    AlibabaCloudEcs,
    AwsEc2,
    Azure,
}

/// Requests documents from the metadata service, and caches one while it is valid.
#[derive(Clone, Debug)]
pub(super) struct MetadataDocument {
    cloud: Cloud,
    /// The metadata service, or the fault of its configured address.
    service: Result<Arc<MetadataService>, ConfigFault>,
    /// Locked while a document is fetched, so that concurrent requests share it.
    cached: Arc<Mutex<Option<Document>>>,
    life: Duration,
}

#[derive(Debug)]
struct Document {
    text: Secret,
    instance_id: String,
    signed: Timestamp,
}

impl Document {
    /// Compares both clocks, because only the wall clock advances while the machine sleeps. The last sixth of the life
    /// is left for clock skew and slow requests.
    fn is_good(&self, now: Timestamp, life: Duration) -> bool {
        let by_wall = Duration::from_nanos(now.wall.saturating_sub(self.signed.wall));
        now.since(self.signed).max(by_wall) < life / 6 * 5
    }
}

impl MetadataDocument {
    pub(super) fn new(cloud: Cloud) -> Self {
        Self { cloud, service: service(cloud, None), cached: Arc::default(), life: LIFE }
    }

    /// The same, with the metadata service at this address.
    pub(super) fn at(self, address: &str) -> Self {
        Self { service: service(self.cloud, Some(address)), ..self }
    }

    /// The same, with documents that IDaaS accepts for this long.
    pub(super) fn with_life(self, life: Duration) -> Self {
        Self { life, ..self }
    }

    async fn document(&self, request: &TokenRequest) -> Result<Secret, Error> {
        let service = self.service.as_ref().map_err(|fault| {
            let problem = format!("cannot get an attested document: {fault}");
            Error::new(ErrorKind::Credential, problem)
        })?;
        let (now, instance_id) = (request.timestamp(), request.instance_id());
        let mut cached = self.cached.lock().await;
        if let Some(document) = &*cached
            && document.is_good(now, self.life)
            && document.instance_id == instance_id
            && !request.was_refused(&document.text)
        {
            return Ok(document.text.clone());
        }
        let signing_time =
            request.issued_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let text = self.fetch(service, request, signing_time).await?;
        // A document without a signing time has no known expiry, so it is used once.
        *cached = self.cloud.signs_for_audience().then(|| Document {
            text: text.clone(),
            instance_id: instance_id.to_owned(),
            signed: now,
        });
        Ok(text)
    }

    /// A document without the line breaks that metadata services put into their base64. Services that sign for an
    /// audience sign for the IDaaS instance, with this time as signing time.
    async fn fetch(
        &self,
        service: &MetadataService,
        request: &TokenRequest,
        signing_time: u64,
    ) -> Result<Secret, Error> {
        let query = match self.cloud.signs_for_audience() {
            true => format!("?audience={}", percent::encoded(&audience(request.instance_id(), signing_time))),
            false => String::new(),
        };
        let response = service
            .session(request.environment())
            .await?
            .get(&format!("{}{query}", self.cloud.path()))
            .await?;
        let text = service.text(response)?;
        let document = match self.cloud {
            Cloud::Azure => signature(&text).and_then(|text| compact(&text)),
            Cloud::AlibabaCloudEcs | Cloud::AwsEc2 => compact(text.expose_secret()),
        };
        document.ok_or_else(|| {
            let problem = format!("the response of {} is no document", service.display_address());
            Error::new(ErrorKind::InvalidResponse, format!("{problem}; check that nothing is in front of it"))
        })
    }
}

impl AssertionSource for MetadataDocument {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(self.document(request))
    }

    fn check(&self, _: &CheckContext<'_>) -> Vec<ConfigFault> {
        let mut faults: Vec<_> = self.service.as_ref().err().cloned().into_iter().collect();
        let problem = match self.life {
            LIFE => None,
            _ if !self.cloud.signs_for_audience() => {
                Some("is set for documents that are used once; remove it")
            }
            life if !LIVES.contains(&life) => Some("is out of range; expected 1201 to 1314000 seconds"),
            _ => None,
        };
        faults.extend(problem.map(|problem| ConfigFault::new("document_life", problem)));
        faults
    }
}

impl Cloud {
    fn path(self) -> &'static str {
        match self {
            Self::AlibabaCloudEcs => "/latest/dynamic/instance-identity/pkcs7",
            Self::AwsEc2 => "/latest/dynamic/instance-identity/rsa2048",
            Self::Azure => "/metadata/attested/document?api-version=2020-09-01",
        }
    }

    /// Whether a document is signed for one audience, and states its signing time.
    fn signs_for_audience(self) -> bool {
        self == Self::AlibabaCloudEcs
    }
}

fn service(cloud: Cloud, address: Option<&str>) -> Result<Arc<MetadataService>, ConfigFault> {
    let provider = match cloud {
        Cloud::AlibabaCloudEcs => &ALIBABA_CLOUD_ECS,
        Cloud::AwsEc2 => &AWS_EC2,
        Cloud::Azure => &AZURE,
    };
    MetadataService::new(provider, address, "PKCS7 works").map(Arc::new)
}

/// The signature in Azure's response, `{"encoding":"pkcs7","signature":"…"}`.
fn signature(response: &Secret) -> Option<String> {
    let response = json::parsed(json::without_marks(response.expose_secret())).ok()?;
    let is_pkcs7 = response.get("encoding").and_then(Value::as_str) == Some("pkcs7");
    response.get("signature").and_then(Value::as_str).filter(|_| is_pkcs7).map(str::to_owned)
}

/// Written as the vendor's own clients write it, blanks included: the signed text may be compared byte by byte.
fn audience(instance_id: &str, signing_time: u64) -> String {
    format!("{{\"aud\": {}, \"signingTime\": {signing_time}}}", Value::from(instance_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp { monotonic: seconds * 1_000_000_000, wall: (1_000 + seconds) * 1_000_000_000 }
    }

    fn document(signed: Timestamp) -> Document {
        Document { text: Secret::new("TUFSS0VS"), instance_id: "idaas_x".into(), signed }
    }

    #[test]
    fn a_document_is_good_until_ten_minutes_before_its_end_on_both_clocks() {
        let document = document(at(100));
        assert!(document.is_good(at(100), LIFE));
        assert!(document.is_good(at(3_099), LIFE));
        assert!(!document.is_good(at(3_100), LIFE));
        assert!(!document.is_good(Timestamp { wall: at(3_100).wall, ..at(100) }, LIFE), "the machine slept");
        assert!(!document.is_good(Timestamp { wall: 0, ..at(3_100) }, LIFE), "the wall clock was set back");
        assert!(document.is_good(at(99), LIFE), "another request fetched it since this one was begun");
        assert!(!document.is_good(Timestamp { monotonic: u64::MAX, wall: u64::MAX }, LIFE));
    }

    #[test]
    fn the_audience_is_encoded_as_the_vendors_clients_do() {
        assert_eq!(
            percent::encoded(&audience("idaas_fakeinstance0001", 1_795_448_962)).to_string(),
            "%7B%22aud%22%3A%20%22idaas_fakeinstance0001%22%2C%20%22signingTime%22%3A%201795448962%7D"
        );
    }

    #[test]
    fn no_instance_id_breaks_out_of_its_place() {
        assert_eq!(audience("a\"b\\", 1), r#"{"aud": "a\"b\\", "signingTime": 1}"#);
    }

    #[test]
    fn a_cached_document_is_not_shown() {
        let cached = Mutex::new(Some(document(at(0))));
        assert!(!format!("{cached:?}").contains("TUFSS0VS"));
    }
}
