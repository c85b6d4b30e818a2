//! The stored secrets of one handle: a slot per secret.

use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::bearer::{Bearer, default_scope};
use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::keyed_slots::{KeyedSlot, KeyedSlots, MapKey};
use crate::aliyun::stored::client_credentials::{ClientKey, ClientSlot, FetchClient, OauthClientCredentials};
use crate::aliyun::stored::credential;
use crate::aliyun::stored::third_party::Request;
use crate::cache::admission::Party;
use crate::cache::entry::CacheEntry;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::recheck::Recheck;
use crate::cache::slot::{Settings, Slot};
use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE, RefreshAhead};
use crate::clock::Timestamp;
use crate::error::{BoxFuture, ConfigError, ConfigFault, Error};
use crate::scope::Scope;
use crate::token::{Token, TokenCache, TokenResponse};
use crate::wire::call::ApiResponse;

/// The longest identifier in IDaaS.
const LONGEST_NAME: usize = 256;

/// The stored secrets of one handle.
#[derive(Debug)]
pub(crate) struct StoredSecrets {
    tokens: Arc<TokenCache>,
    /// The DeveloperAPI, or what is missing in the configuration for it.
    api: Result<Arc<DeveloperApi>, ConfigError>,
    settings: Settings,
    slots: KeyedSlots<SecretKey, Token>,
    clients: KeyedSlots<ClientKey, OauthClientCredentials>,
}

/// The cache key of a secret that is put on requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SecretKey {
    pub(super) wanted: Wanted,
    /// The scope of the token for the call of IDaaS.
    pub(super) scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    ApiKey { name: Arc<str>, life: Duration },
    OauthToken(Arc<Request>),
}

impl StoredSecrets {
    pub(crate) fn new(
        tokens: Arc<TokenCache>,
        api: Result<Arc<DeveloperApi>, ConfigError>,
        settings: Settings,
    ) -> Self {
        Self { tokens, api, settings, slots: KeyedSlots::new(), clients: KeyedSlots::new() }
    }

    /// The API to call, and the default scope of the token for it.
    ///
    /// # Errors
    ///
    /// When the configuration of the DeveloperAPI is incomplete.
    pub(super) fn developer_api(&self) -> Result<(Arc<DeveloperApi>, Scope), ConfigError> {
        let api = self.api.as_ref().map_err(Clone::clone)?;
        Ok((Arc::clone(api), default_scope(self.tokens.default_scope())?))
    }

    /// The slot of a secret; made on first use.
    pub(super) fn slot(&self, api: &Arc<DeveloperApi>, key: &SecretKey) -> Arc<Slot<Token>> {
        let keyed = self.slots.slot(key, |key| {
            let SecretKey { wanted, scope } = &key.key;
            let label = match wanted {
                Wanted::ApiKey { name, .. } => format!("API key {name}"),
                Wanted::OauthToken(request) => format!("OAuth token of {}", request.provider),
            };
            // What fails at one third party is evidence about that one alone.
            let party = match wanted {
                Wanted::ApiKey { .. } => Party::Own,
                Wanted::OauthToken(_) => Party::Other,
            };
            let fetch = FetchSecret { label, bearer: self.bearer(api, scope), key };
            let slot = Arc::new(Slot::new(Arc::new(fetch), Settings { party, ..self.settings.clone() }));
            KeyedSlot { slot, subject: None }
        });
        keyed.slot
    }

    /// The live secret under a key, if the cache holds one.
    pub(super) fn peek(&self, key: &SecretKey) -> Option<Arc<CacheEntry<Token>>> {
        self.slots.peek(key)
    }

    /// The slot of an OAuth client; made on first use.
    pub(super) fn client_slot(&self, api: &Arc<DeveloperApi>, key: &ClientKey) -> ClientSlot {
        let keyed = self.clients.slot(key, |key| {
            let bearer = self.bearer(api, &key.key.scope);
            let slot = Arc::new(Slot::new(Arc::new(FetchClient::new(key, bearer)), self.settings.clone()));
            KeyedSlot { slot, subject: None }
        });
        keyed.slot
    }

    fn bearer(&self, api: &Arc<DeveloperApi>, scope: &Scope) -> Bearer {
        let (tokens, api) = (Arc::clone(&self.tokens), Arc::clone(api));
        Bearer { tokens, api, scope: scope.clone(), subject: None }
    }
}

/// An identifier in IDaaS, without surrounding white space.
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

/// The chosen life of a secret whose expiry IDaaS does not say.
pub(super) fn checked_life(life: Duration) -> Result<Duration, ConfigError> {
    if (Duration::from_secs(1)..=LONGEST_LIFE).contains(&life) {
        return Ok(life);
    }
    let problem = format!("is {life:?}; expected one second to 24 hours");
    Err(ConfigError::one(ConfigFault::new("life", problem)))
}

/// The loader of one slot.
#[derive(Debug)]
struct FetchSecret {
    label: String,
    bearer: Bearer,
    key: MapKey<SecretKey, Token>,
}

impl FetchSecret {
    /// The timestamp of the request, and the response.
    async fn fetch(&self) -> Result<(Timestamp, TokenResponse), Error> {
        match &self.key.key.wanted {
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
            self.key.loaded();
            let (life, request_id) =
                (response.expires_in().unwrap_or(DEFAULT_LIFE), response.request_id.take());
            let recheck = Arc::new(Recheck::new());
            let expires_at = sent.after(life).system_time();
            let value = Token::stored(response, self.bearer.scope.clone(), expires_at, Arc::clone(&recheck));
            let refresh_ahead = RefreshAhead::TwoThirds;
            Ok(Loaded { value, recheck, sent, life, refresh_ahead, from_issuer: true, request_id })
        })
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn what(&self) -> &'static str {
        "secret"
    }
}
