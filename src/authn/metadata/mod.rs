//! The attested document of the machine this program runs on, from its cloud's metadata service.

mod client;
mod provider;

use std::time::{Duration, SystemTime};

use http::Uri;
use tokio::sync::Mutex;

use self::provider::Provider;
use super::{AssertionSource, Cloud, TokenRequest, pkcs7};
use crate::BoxFuture;
use crate::clock::Moment;
use crate::error::{ConfigFault, Error, ErrorKind};
use crate::secret::Secret;
use crate::transport::Transport;

/// IDaaS accepts a document for 3600 s from its signing time. The last sixth is left for clocks that differ
/// and for requests that take their time.
const REUSE: Duration = Duration::from_secs(3_000);

/// Asks the metadata service for documents, and keeps one while it is good.
#[derive(Debug)]
pub(crate) struct MetadataDocument {
    provider: &'static Provider,
    /// `http://host`, without a path.
    address: String,
    transport: Transport,
    /// Locked while a document is fetched: whoever comes meanwhile gets the same one.
    kept: Mutex<Option<Document>>,
}

#[derive(Debug)]
struct Document {
    text: Secret,
    instance_id: String,
    signed: Moment,
}

impl Document {
    /// By the monotonic clock, and by the wall clock, which alone notices that the machine slept.
    fn is_good(&self, now: Moment) -> bool {
        let by_wall = Duration::from_nanos(now.wall.saturating_sub(self.signed.wall));
        now.since(self.signed).max(by_wall) < REUSE
    }
}

impl MetadataDocument {
    /// # Errors
    ///
    /// When the address, if one is given, is not that of a metadata service.
    pub(crate) fn new(cloud: Cloud, address: Option<&str>) -> Result<Self, ConfigFault> {
        let provider = Provider::of(cloud);
        let address = address.map_or_else(|| Ok(provider.address.to_owned()), checked)?;
        Ok(Self { provider, address, transport: client::transport(), kept: Mutex::new(None) })
    }

    async fn document(&self, request: &TokenRequest) -> Result<Secret, Error> {
        let (now, instance_id) = (request.moment(), request.instance_id());
        let mut kept = self.kept.lock().await;
        if let Some(document) = &*kept
            && document.is_good(now)
            && document.instance_id == instance_id
            && !request.was_refused(&document.text)
        {
            return Ok(document.text.clone());
        }
        let signing_time = request.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let asked = client::Asked { provider: self.provider, address: &self.address };
        let answer = asked.document(&self.transport, instance_id, signing_time).await?;
        let text = pkcs7::compact(answer.expose_secret()).ok_or_else(|| {
            let problem = format!("{} answered with something else than a document", asked.shown());
            Error::new(ErrorKind::InvalidAnswer, format!("{problem}; check that nothing is in front of it"))
        })?;
        // A document without a signing time does not tell how long it may be used, so it is used once.
        *kept = self.provider.signs_for_audience.then(|| Document {
            text: text.clone(),
            instance_id: instance_id.to_owned(),
            signed: now,
        });
        Ok(text)
    }
}

impl AssertionSource for MetadataDocument {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(self.document(request))
    }
}

/// `http://host[:port]`, without a slash at the end.
fn checked(address: &str) -> Result<String, ConfigFault> {
    let is_good = |uri: &Uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path() == "/"
            && uri.query().is_none()
    };
    let address = address.trim();
    match address.parse::<Uri>() {
        Ok(uri) if is_good(&uri) => Ok(address.trim_end_matches('/').to_owned()),
        _ => Err(ConfigFault::new("metadata_address", "is not an address; expected `http://host:port`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment { monotonic: seconds * 1_000_000_000, wall: (1_000 + seconds) * 1_000_000_000 }
    }

    fn document(signed: Moment) -> Document {
        Document { text: Secret::new("TUFSS0VS"), instance_id: "idaas_x".into(), signed }
    }

    #[test]
    fn a_document_is_good_until_ten_minutes_before_its_end_on_both_clocks() {
        let document = document(at(100));
        assert!(document.is_good(at(100)));
        assert!(document.is_good(at(3_099)));
        assert!(!document.is_good(at(3_100)));
        assert!(!document.is_good(Moment { wall: at(3_100).wall, ..at(100) }), "the machine slept");
        assert!(!document.is_good(Moment { wall: 0, ..at(3_100) }), "the wall clock was set back");
        assert!(document.is_good(at(99)), "another request fetched it since this one was begun");
        assert!(!document.is_good(Moment { monotonic: u64::MAX, wall: u64::MAX }));
    }

    #[test]
    fn an_address_is_a_plain_http_host() {
        assert_eq!(checked("http://127.0.0.1:80/").unwrap(), "http://127.0.0.1:80");
        assert_eq!(checked(" http://[fd00:ec2::254] ").unwrap(), "http://[fd00:ec2::254]");
        for address in ["", "127.0.0.1", "https://a", "http://", "http://a/b", "http://a?b", "http://u:p@a"] {
            assert!(checked(address).unwrap_err().to_string().contains("metadata_address"), "{address}");
        }
    }

    #[test]
    fn a_kept_document_is_not_shown() {
        let kept = Mutex::new(Some(document(at(0))));
        assert!(!format!("{kept:?}").contains("TUFSS0VS"));
    }
}
