//! Alibaba Cloud identities from each source, used for tokens of the OpenAPI, which verifies every signature.

#[cfg(unix)] // its programs
mod command_line;
mod conformance;
mod faults;
#[allow(unreachable_pub)] // shared with tests that see it from further away
use crate::support::log;
mod order;
mod renewal;
mod secrecy;
mod sources;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Error, ErrorKind, Idaas, IdaasBuilder};
use tower_idaas_testing::{
    AccessKey, Behaviour, CredentialsUriService, MetadataService, OpenApiService, StsService, TestIdaas,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Everything that can give a credential, and an OpenAPI that accepts it, all by one clock.
struct Fixture {
    clock: ManualClock,
    idaas: TestIdaas,
    open_api: OpenApiService,
    sts: StsService,
    metadata: MetadataService,
    uri: CredentialsUriService,
    /// The home directory.
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::new();
        let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
        let open_api = idaas.start_open_api().await.unwrap();
        let sts = idaas.start_sts(&open_api).await.unwrap();
        let metadata = idaas.start_metadata_service().await.unwrap();
        let uri = idaas.start_credentials_uri(&open_api).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { clock, idaas, open_api, sts, metadata, uri, folder }
    }

    fn builder(&self, environment: &ManualEnvironment) -> IdaasBuilder {
        environment.set("HOME", self.folder.path());
        Idaas::builder()
            .config_file(self.open_api.write_config(self.folder.path()).unwrap())
            .environment(environment.clone())
            .clock(self.clock.clone())
            .root_certificate(self.idaas.root_certificate_pem())
            .sts_endpoint(self.sts.endpoint())
            .metadata_address(self.metadata.address())
    }

    /// A client that knows nothing but these variables and the home directory.
    fn client(&self, environment: &ManualEnvironment) -> Idaas {
        self.builder(environment).build().unwrap()
    }

    fn token_file(&self) -> PathBuf {
        let path = self.folder.path().join("rrsa-token");
        self.idaas.service_account_token().audience(StsService::TOKEN_AUDIENCE).write_to(&path).unwrap();
        path
    }

    fn rrsa(&self) -> ManualEnvironment {
        self.sts.environment(self.token_file())
    }

    /// Writes `~/.aliyun/config.json` with one profile, the current one.
    fn write_cli_profile(&self, mut profile: Value) -> PathBuf {
        profile["name"] = "default".into();
        let document = json!({ "current": "default", "profiles": [profile], "meta_path": "" });
        self.write(".aliyun/config.json", &document.to_string())
    }

    /// Writes `~/.alibabacloud/credentials`.
    fn write_profile(&self, text: &str) -> PathBuf {
        self.write(".alibabacloud/credentials", text)
    }

    fn write(&self, path: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The access key id that the OpenAPI saw last.
    fn signer(&self) -> String {
        let requests = self.open_api.requests();
        let authorization = requests.last().unwrap().headers["authorization"].to_str().unwrap().to_owned();
        authorization.split_once("Credential=").unwrap().1.split_once(',').unwrap().0.to_owned()
    }

    /// Past the life of a token, which is 20 minutes.
    fn outlive_the_token(&self) {
        self.clock.advance(21 * MINUTE);
    }
}

/// Variables of nothing at all.
fn nothing() -> ManualEnvironment {
    ManualEnvironment::new()
}

fn with(environment: ManualEnvironment, name: &str, value: &str) -> ManualEnvironment {
    environment.set(name, value);
    environment
}

async fn failure(idaas: &Idaas) -> Error {
    // Far more than any sum of time-outs in these tests.
    let result = tokio::time::timeout(Duration::from_secs(25), idaas.token()).await;
    result.unwrap().unwrap_err()
}

/// What a reader may see of an error, in full.
fn everything(error: &Error) -> String {
    format!("{error} {error:?} {error:#?}")
}
