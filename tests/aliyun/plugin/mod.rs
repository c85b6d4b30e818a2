//! PLUGIN: tokens from an OpenAPI that verifies each signature by itself, and from plugins of one's own.

mod own;
mod refusals;
mod secrecy;
mod tokens;
mod verification;

use std::time::Duration;

use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{BoxError, Idaas, IdaasBuilder};
use tower_idaas_testing::{AccessKey, OpenApiService, TestIdaas};

type Outcome = Result<(), BoxError>;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// An IDaaS, its OpenAPI, and the clock that they and their clients have.
struct Fixture {
    idaas: TestIdaas,
    open_api: OpenApiService,
    clock: ManualClock,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::new();
        let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
        let open_api = idaas.start_open_api().await.unwrap();
        Self { idaas, open_api, clock, folder: tempfile::tempdir().unwrap() }
    }

    /// A client as its file has it, with these variables.
    fn client_with(&self, environment: ManualEnvironment) -> IdaasBuilder {
        Idaas::builder()
            .config_file(self.open_api.write_config(self.folder.path()).unwrap())
            .environment(environment)
            .clock(self.clock.clone())
            .root_certificate(self.idaas.root_certificate_pem())
    }

    fn client(&self) -> Idaas {
        self.client_with(self.open_api.access_key().environment()).build().unwrap()
    }

    /// An access key of STS that the OpenAPI knows, good for an hour.
    #[allow(clippy::disallowed_methods, reason = "the clock that is turned by hand starts from the real one")]
    fn temporary_key(&self) -> AccessKey {
        let end = std::time::SystemTime::now() + 60 * MINUTE;
        let key =
            AccessKey::new("STS.NTtest", "st5Secret+/=marker").with_security_token("CAIStoken/+==marker");
        let key = key.with_expiry(end);
        self.open_api.add_access_key(key.clone());
        key
    }

    /// Past the life of every token of the issuer, which is 20 minutes.
    fn outlive_the_token(&self) {
        self.clock.advance(21 * MINUTE);
    }

    /// A header of each request so far.
    fn sent(&self, header: &str) -> Vec<String> {
        let requests = self.open_api.requests();
        requests.iter().map(|request| request.headers[header].to_str().unwrap().to_owned()).collect()
    }
}
