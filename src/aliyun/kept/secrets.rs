//! The kept secrets of one handle: a slot per secret.

use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::bearer::{Bearer, default_scope};
use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::kept::client_credentials::{ClientKey, ClientSlot};
use crate::aliyun::kept::credential;
use crate::aliyun::kept::third_party::Request;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::lru_map::LruMap;
use crate::cache::recheck::Recheck;
use crate::cache::slot::{Settings, Slot};
use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE, Renewal};
use crate::clock::Timestamp;
use crate::error::{BoxFuture, ConfigError, ConfigFault, Error};
use crate::scope::Scope;
use crate::token::{Token, TokenCache, TokenResponse};
use crate::wire::call::ApiResponse;

/// How many secrets of each sort are kept. The least recently used one beyond it goes.
const SECRETS: usize = 1_000;

/// No identifier of IDaaS is longer.
const LONGEST_NAME: usize = 256;

/// The kept secrets of one handle.
#[derive(Debug)]
pub(crate) struct KeptSecrets {
    tokens: Arc<TokenCache>,
    /// Or what is missing for it.
    api: Result<Arc<DeveloperApi>, ConfigFault>,
    settings: Settings,
    slots: LruMap<SecretKey, Arc<Slot<Token>>>,
    clients: LruMap<ClientKey, ClientSlot>,
}

/// What a secret that goes onto requests is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SecretKey {
    pub(super) wanted: Wanted,
    /// Of the token that IDaaS is asked with.
    pub(super) scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    ApiKey { name: Arc<str>, life: Duration },
    OauthToken(Arc<Request>),
}

impl KeptSecrets {
    pub(crate) fn new(
        tokens: Arc<TokenCache>,
        api: Result<Arc<DeveloperApi>, ConfigFault>,
        settings: Settings,
    ) -> Self {
        Self { tokens, api, settings, slots: LruMap::new(SECRETS), clients: LruMap::new(SECRETS) }
    }

    /// What is asked, and the scope with which it is asked by default.
    ///
    /// # Errors
    ///
    /// What is missing for the DeveloperAPI.
    pub(super) fn asked(&self) -> Result<(Arc<DeveloperApi>, Scope), ConfigError> {
        let api = self.api.as_ref().map_err(|fault| ConfigError::one(fault.clone()))?;
        Ok((Arc::clone(api), default_scope(self.tokens.default_scope())?))
    }

    /// The slot of a secret; made on first use.
    pub(super) fn slot(&self, api: &Arc<DeveloperApi>, key: &SecretKey) -> Arc<Slot<Token>> {
        self.slots.get_or_insert_with(key, || {
            let label = match &key.wanted {
                Wanted::ApiKey { name, .. } => format!("API key {name}"),
                Wanted::OauthToken(request) => format!("OAuth token of {}", request.provider),
            };
            let bearer = self.bearer(api, &key.scope);
            let fetch = FetchSecret { label, bearer, wanted: key.wanted.clone() };
            Arc::new(Slot::new(Arc::new(fetch), self.settings.clone()))
        })
    }

    /// The slot of an OAuth client; made on first use.
    pub(super) fn client_slot(&self, api: &Arc<DeveloperApi>, key: &ClientKey) -> ClientSlot {
        self.clients.get_or_insert_with(key, || {
            let loader = key.loader(|scope| self.bearer(api, scope));
            Arc::new(Slot::new(loader, self.settings.clone()))
        })
    }

    fn bearer(&self, api: &Arc<DeveloperApi>, scope: &Scope) -> Bearer {
        let (tokens, api) = (Arc::clone(&self.tokens), Arc::clone(api));
        Bearer { tokens, api, scope: scope.clone(), subject: None }
    }
}

/// The name of something in IDaaS, without surrounding white space.
pub(super) fn checked_name(what: &str, name: &str) -> Result<Arc<str>, ConfigError> {
    let name = name.trim();
    let problem = match name {
        "" => "is blank; expected the identifier as the IDaaS console shows it",
        _ if name.len() > LONGEST_NAME => "is longer than 256 bytes; expected the identifier, not the secret",
        _ if name.contains(char::is_control) => "has a control character; expected the identifier",
        _ => return Ok(name.into()),
    };
    Err(ConfigError::one(ConfigFault::new(what, problem)))
}

/// How long a secret may stay in the cache whose end IDaaS does not tell.
pub(super) fn checked_life(life: Duration) -> Result<Duration, ConfigError> {
    if (Duration::from_secs(1)..=LONGEST_LIFE).contains(&life) {
        return Ok(life);
    }
    let problem = format!("is {life:?}; expected one second to 24 hours");
    Err(ConfigError::one(ConfigFault::new("life", problem)))
}

/// The secret of one slot.
#[derive(Debug)]
struct FetchSecret {
    label: String,
    bearer: Bearer,
    wanted: Wanted,
}

impl FetchSecret {
    /// When it was asked for, and what came.
    async fn fetch(&self) -> Result<(Timestamp, TokenResponse), Error> {
        match &self.wanted {
            Wanted::ApiKey { name, life } => {
                let read = |response: &ApiResponse<'_>| {
                    Ok((response.sent(), credential::read_api_key(response, name)?.with_expires_in(*life)))
                };
                self.bearer.send(&credential::operation(name), read).await
            }
            Wanted::OauthToken(request) => {
                let read = |response: &ApiResponse<'_>| Ok((response.sent(), request.read(response)?));
                self.bearer.send(&request.operation(), read).await
            }
        }
    }
}

impl Loader<Token> for FetchSecret {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Token>, Error>> {
        Box::pin(async move {
            let (sent, mut response) = self.fetch().await?;
            let (life, request_id) =
                (response.expires_in().unwrap_or(DEFAULT_LIFE), response.request_id.take());
            let recheck = Arc::new(Recheck::new());
            let expires_at = sent.after(life).system_time();
            let value = Token::kept(response, self.bearer.scope.clone(), expires_at, Arc::clone(&recheck));
            let renewal = Renewal::TwoThirds;
            Ok(Loaded { value, recheck, sent, life, renewal, from_issuer: true, request_id })
        })
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn what(&self) -> &'static str {
        "secret"
    }
}
