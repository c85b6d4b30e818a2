//! What the tests share: an IDaaS with its DeveloperAPI, a handle for both, and a clock to turn.

use std::time::Duration;

use tower_idaas::aliyun::{CloudCredentials, CloudRole};
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxError, Idaas, IdaasBuilder};
use tower_idaas_testing::{Behaviour, CloudVendor, DeveloperApi, TestIdaas};

pub(crate) type Outcome = Result<(), BoxError>;

pub(crate) const ROLE: &str = "acs:ram::1234567890123456:role/reader";
pub(crate) const PAM: &str = "urn:cloud:idaas:pam|.all";

pub(crate) const SESSION: Duration = Duration::from_secs(3600);
/// Ages of credentials of that life, jitter considered.
pub(crate) const FRESH: Duration = Duration::from_secs(41 * 60);
pub(crate) const ADVISORY: Duration = Duration::from_secs(46 * 60);
pub(crate) const MANDATORY: Duration = Duration::from_secs(3600 - 30);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The two servers and a client, on one clock.
pub(crate) struct World {
    pub(crate) issuer: TestIdaas,
    pub(crate) api: DeveloperApi,
    pub(crate) idaas: Idaas,
    pub(crate) clock: ManualClock,
}

impl World {
    pub(crate) async fn new() -> Result<Self, BoxError> {
        Self::with(|builder| builder).await
    }

    /// With other choices for the client.
    pub(crate) async fn with(choose: impl FnOnce(IdaasBuilder) -> IdaasBuilder) -> Result<Self, BoxError> {
        let clock = ManualClock::new();
        let issuer = TestIdaas::builder().clock(clock.clone()).start().await?;
        let api = issuer.start_developer_api().await?;
        api.add_role(ROLE, CloudVendor::AlibabaCloud);
        let builder = client_of(&issuer).developer_api_endpoint(api.endpoint()).clock(clock.clone());
        let idaas = choose(builder).build()?;
        Ok(Self { issuer, api, idaas, clock })
    }

    pub(crate) fn role(&self) -> Result<CloudRole, BoxError> {
        Ok(self.idaas.cloud_role(ROLE)?)
    }

    pub(crate) fn calls(&self) -> usize {
        self.api.requests().len()
    }

    /// Returns when that many calls have reached the DeveloperAPI.
    pub(crate) async fn wait_for_calls(&self, count: usize) {
        until(|| self.calls() >= count).await;
    }
}

/// A handle's builder with everything it needs to get tokens from the issuer.
pub(crate) fn client_of(issuer: &TestIdaas) -> IdaasBuilder {
    issuer.handle()
}

/// What tells credentials apart.
pub(crate) fn key_id(credentials: &CloudCredentials) -> String {
    credentials.alibaba_cloud().unwrap().access_key_id().to_owned()
}

/// A member of the STS token in the answer becomes this, or goes.
pub(crate) fn with_member(name: &'static str, value: Option<serde_json::Value>) -> Behaviour {
    Behaviour::change(move |answer| {
        let sts = answer
            .get_mut("cloudAccountRoleAccessCredential")
            .and_then(|credential| credential.get_mut("alibabaCloudStsToken")?.as_object_mut())
            .unwrap();
        match &value {
            Some(value) => sts.insert(name.to_owned(), value.clone()),
            None => sts.remove(name),
        };
    })
}

/// The two members that tell the end become these, or go.
pub(crate) fn with_ends(
    expiration: Option<serde_json::Value>,
    expires_at: Option<serde_json::Value>,
) -> Behaviour {
    Behaviour::change(move |answer| {
        let credential = answer.get_mut("cloudAccountRoleAccessCredential").unwrap().as_object_mut().unwrap();
        let sts = credential.get_mut("alibabaCloudStsToken").unwrap().as_object_mut().unwrap();
        match &expiration {
            Some(value) => sts.insert("expiration".to_owned(), value.clone()),
            None => sts.remove("expiration"),
        };
        match &expires_at {
            Some(value) => credential.insert("accessCredentialExpiresAt".to_owned(), value.clone()),
            None => credential.remove("accessCredentialExpiresAt"),
        };
    })
}

/// Returns once the condition holds: for what ends behind the scenes, with no event of its own.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("in vain");
}
