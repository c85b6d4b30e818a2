//! The vendor's chain of credential providers: the first credential found is used.
//!
//! A provider that is configured and fails transiently ends the search: signing with another identity meanwhile would
//! fail in ways that are hard to diagnose, or worse, succeed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::aliyun::credential::failed_lookups::FailedLookups;
use crate::aliyun::credential::lookup::FetchContext;
use crate::aliyun::credential::provider::{CachedProvider, PROVIDERS};
use crate::aliyun::credential::{Credential, CredentialProvider, instance_role};
use crate::aliyun::signed_call::Channel;
use crate::cache::slot::Settings;
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::{ConfigFault, Error};
use crate::host::has_usable_port;
use crate::token::Skew;
use crate::transport::metadata::{ALIBABA_CLOUD_ECS, MetadataService};
use crate::transport::{self, Transport};

/// No provider has returned a credential yet.
const NONE: usize = usize::MAX;

/// The chain's configuration.
#[derive(Debug)]
pub(crate) struct Injected {
    pub(crate) environment: Environment,
    /// Used for STS, and for a credentials URI with https.
    pub(crate) transport: Transport,
    /// The settings of the caches of temporary credentials. One search of the chain is bounded by the time limit of one
    /// attempt.
    pub(crate) settings: Settings,
    /// The host of STS, `host[:port]`, in place of the one from the environment.
    pub(crate) sts_endpoint: Option<String>,
    /// The address of the metadata service of ECS, `http://host:port`, in place of the fixed one.
    pub(crate) metadata_address: Option<String>,
}

/// The default chain of Alibaba Cloud's SDKs.
#[derive(Debug)]
pub(crate) struct DefaultChain {
    context: Arc<FetchContext>,
    settings: Settings,
    providers: [CachedProvider; PROVIDERS.len()],
    /// The index of the provider that is tried first: it had a credential, and none before it was configured.
    first: AtomicUsize,
    /// The index of the provider whose credential was used last, for the log.
    last: AtomicUsize,
}

impl DefaultChain {
    /// Neither sends nor reads anything.
    ///
    /// # Errors
    ///
    /// When an address is malformed.
    pub(crate) fn new(injected: Injected) -> Result<Self, ConfigFault> {
        let Injected { environment, transport, settings, sts_endpoint, metadata_address } = injected;
        let (connect, read) = transport.timeouts();
        let context = FetchContext {
            environment,
            channel: Channel { transport, clock: settings.clock.clone(), skew: Skew::default() },
            direct: transport::direct(connect, read),
            metadata: MetadataService::new(
                &ALIBABA_CLOUD_ECS,
                metadata_address.as_deref(),
                instance_role::PURPOSE,
            )?,
            sts_endpoint: sts_endpoint.as_deref().map(checked).transpose()?,
        };
        Ok(Self {
            context: Arc::new(context),
            // A caller of the chain is itself a refresh, so a waiter of the chain may wait as long as one attempt may
            // take.
            settings: Settings { wait: settings.attempt_timeout, ..settings },
            providers: PROVIDERS.map(CachedProvider::new),
            first: AtomicUsize::new(NONE),
            last: AtomicUsize::new(NONE),
        })
    }

    async fn find(&self) -> Result<Arc<Credential>, Error> {
        let mut failed = FailedLookups::default();
        let found = tokio::time::timeout(self.settings.attempt_timeout, self.search(&mut failed)).await;
        found.ok().flatten().ok_or_else(|| failed.into_error())
    }

    async fn search(&self, failed: &mut FailedLookups) -> Option<Arc<Credential>> {
        if let Some(first) = self.providers.get(self.first.load(Ordering::Relaxed)) {
            failed.waiting_for = Some(first.provider.name);
            if let Ok(credential) = first.credential(&self.context, &self.settings).await {
                return Some(credential);
            }
        }
        for (place, cached) in self.providers.iter().enumerate() {
            failed.waiting_for = Some(cached.provider.name);
            match cached.credential(&self.context, &self.settings).await {
                Ok(credential) => {
                    // A provider used because an earlier one failed is not tried first: the earlier one may work again.
                    let stands_in = failed.failed().next().is_some();
                    self.first.store(if stands_in { NONE } else { place }, Ordering::Relaxed);
                    if self.last.swap(place, Ordering::Relaxed) != place {
                        report(&credential, failed);
                    }
                    return Some(credential);
                }
                Err(failure) => failed.add(cached.provider.name, failure),
            }
            if failed.awaited().is_some() {
                break;
            }
        }
        None
    }
}

impl CredentialProvider for DefaultChain {
    fn credential(&self) -> BoxFuture<'_, Result<Arc<Credential>, Error>> {
        Box::pin(self.find())
    }

    fn forget(&self, credential: &Credential) {
        for cached in &self.providers {
            cached.forget(credential);
        }
        self.reconsider();
    }

    fn reconsider(&self) {
        self.first.store(NONE, Ordering::Relaxed);
    }
}

/// Logs each change of provider; one that is configured and failed is worth a warning.
fn report(credential: &Credential, failed: &FailedLookups) {
    for (source, error) in failed.failed() {
        tracing::warn!(target: "tower_idaas::credential", source, %error, "source passed over");
    }
    let provider = credential.provider;
    tracing::debug!(target: "tower_idaas::credential", provider, "Alibaba Cloud credential found");
}

/// Checks for `host` or `host:port`.
fn checked(host: &str) -> Result<String, ConfigFault> {
    let host = host.trim();
    match host.parse::<http::uri::Authority>() {
        Ok(authority) if !authority.as_str().contains('@') && has_usable_port(&authority) => {
            Ok(host.to_owned())
        }
        _ => Err(ConfigFault::new("sts_endpoint", "is not a host; expected `sts.cn-hangzhou.aliyuncs.com`")),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::time::Duration;

    use http::Response;
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;
    use crate::clock::Clock;
    use crate::clock::ManualClock;
    use crate::environment::ManualEnvironment;
    use crate::error::ErrorKind;
    use crate::telemetry::Telemetry;

    /// A chain whose servers never respond, with this time limit for an attempt.
    fn mute(environment: ManualEnvironment, attempt: u64) -> DefaultChain {
        let service = service_fn(|_| pending::<Result<Response<Full<bytes::Bytes>>, Infallible>>());
        let settings = Settings {
            clock: Clock::Manual(ManualClock::new()),
            wait: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(attempt),
            admission: Arc::default(),
            party: crate::cache::admission::Party::Own,
            runtimes: Arc::default(),
            telemetry: Telemetry::new("app", "test"),
        };
        let transport = Transport::new(service, Duration::from_secs(5), Duration::from_secs(10));
        let environment = Environment::Manual(environment);
        let (sts_endpoint, metadata_address) = (None, None);
        DefaultChain::new(Injected { environment, transport, settings, sts_endpoint, metadata_address })
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_chain_ends_in_time_whatever_hangs_and_takes_no_other_identity() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "t0ken").unwrap();
        let environment = ManualEnvironment::from_iter([
            ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/p"),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
            ("ALIBABA_CLOUD_CREDENTIALS_URI", "https://credentials.example/"),
        ]);
        environment.set("ALIBABA_CLOUD_OIDC_TOKEN_FILE", &token_file);
        for (attempt, part) in [
            (
                20,
                "OIDC role (RRSA): no complete response from https://sts.aliyuncs.com/ (AssumeRoleWithOIDC) within",
            ),
            (10, "OIDC role (RRSA): no response for oidc_role_arn within 10s"),
        ] {
            let chain = mute(environment.clone(), attempt);
            let within = tokio::time::timeout(Duration::from_secs(attempt + 1), chain.credential());
            let error = within.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
            assert!(error.to_string().contains(part), "{part} is missing in: {error}");
            assert!(!error.to_string().contains("credentials URI"), "{error}");
            assert!(!format!("{error:?} {chain:?}").contains("t0ken"));
        }
    }

    #[tokio::test]
    async fn making_a_chain_reads_and_sends_nothing() {
        let environment = ManualEnvironment::new();
        let chain = mute(environment.clone(), 20);
        environment.set("ALIBABA_CLOUD_ACCESS_KEY_ID", "id");
        environment.set("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s3cret");
        assert_eq!(chain.credential().await.unwrap().access_key_id, "id");
    }
}
