//! What `build` does, in order: configuration, transport, source, cache.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::authn::{CheckContext, Client};
use crate::cache::admission::{Admission, Party};
use crate::cache::backoff::BEYOND_TIMEOUTS;
use crate::cache::slot::Settings;
use crate::client::builder::IdaasBuilder;
use crate::client::idaas::{Idaas, Label};
use crate::config::{Config, Method, Plugin};
use crate::error::{ConfigError, ConfigFault};
use crate::telemetry::Telemetry;
use crate::token::{Skew, SourceContext, TokenCache, TokenEndpoint, TokenSource};
use crate::transport::Transport;

/// The source of tokens, and what was made for it.
struct Origin {
    source: Arc<dyn TokenSource>,
    /// For other calls over HTTP; `None` when tokens need no transport.
    transport: Option<Transport>,
    settings: Settings,
}

/// # Building
impl IdaasBuilder {
    /// Reads the configuration file, if there is one, checks everything, and builds the handle. Sends nothing.
    ///
    /// # Errors
    ///
    /// Every fault at once: of the file and its keys, of a method and its secret, of a proxy variable, of the
    /// certificate authorities.
    pub fn build(mut self) -> Result<Idaas, ConfigError> {
        let config = self.configuration()?;
        let Origin { source, transport, settings } = self.origin(&config)?;
        let (source, settings) = self.wrapped(source, &config, settings)?;
        let roles = self.roles(&config, transport, &settings)?;
        let label = Label { client_id: config.client_id, method: config.method.name().to_owned() };
        Ok(roles.handle(TokenCache::new(source, config.scope, settings, self.cache_limits), label))
    }

    fn configuration(&mut self) -> Result<Config, ConfigError> {
        self.overrides.plugin_names = self.plugins.keys().cloned().collect();
        let now = self.clock.now().system_time();
        let context = CheckContext::new(&self.environment, now);
        let config = Config::load(&self.file, self.overrides.clone(), &context);
        config.map_err(|error| {
            // The transport's faults belong in the same report.
            let (connect, read) = self.overrides.timeouts();
            let more = self.make_transport(connect, read, None).err().unwrap_or_default();
            error.and(more)
        })
    }

    /// The source of tokens, with the transport that it needs.
    fn origin(&mut self, config: &Config) -> Result<Origin, ConfigError> {
        let telemetry = Telemetry::new(&config.client_id, config.method.name());
        let settings = self.settings(config.connect_timeout, config.read_timeout, telemetry);
        match &config.method {
            Method::Source => {
                let source = self.source.take().ok_or_else(|| missing("token_source"))?;
                Ok(Origin { source, transport: None, settings })
            }
            Method::Plugin(Plugin::Registered { name }) => {
                let source = self.plugins.remove(name).ok_or_else(|| missing("plugin"))?;
                Ok(Origin { source, transport: None, settings })
            }
            #[cfg(feature = "aliyun")]
            Method::Plugin(Plugin::OpenApi { endpoint }) => {
                let transport = self.transport_for(config, endpoint)?;
                let source = self.open_api(endpoint, config, &transport, &settings)?;
                let settings = self.open_api_settings(settings);
                Ok(Origin { source, transport: Some(transport), settings })
            }
            Method::Endpoint { authenticator, token_endpoint } => {
                let transport = self.transport_for(config, token_endpoint)?;
                let client = Client {
                    instance_id: config.instance_id.clone(),
                    client_id: config.client_id.clone(),
                    token_endpoint: token_endpoint.clone(),
                };
                let source = Arc::new(TokenEndpoint {
                    client,
                    authenticator: Arc::clone(authenticator),
                    transport: transport.clone(),
                    environment: self.environment.clone(),
                    clock: self.clock.clone(),
                    hasher: RandomState::new(),
                    skew: Skew::default(),
                });
                Ok(Origin { source, transport: Some(transport), settings })
            }
        }
    }

    /// The source with its wrappers in front of it, and the settings with the time limit of the outermost.
    fn wrapped(
        &mut self,
        mut source: Arc<dyn TokenSource>,
        config: &Config,
        settings: Settings,
    ) -> Result<(Arc<dyn TokenSource>, Settings), ConfigError> {
        let context = SourceContext {
            issuer: config.server(),
            instance_id: config.instance_id.clone(),
            client_id: config.client_id.clone(),
            method: config.method.full_name(),
            custom_method: config.method.is_custom(),
            wait_timeout: self.wait_timeout,
            clock: self.clock.clone(),
            environment: self.environment.clone(),
        };
        for wrap in std::mem::take(&mut self.wrappers) {
            source = wrap(source, &context)?;
        }
        let attempt_timeout = source.time_limit(settings.attempt_timeout);
        let wait = self.wait_timeout.unwrap_or(attempt_timeout);
        Ok((source, Settings { attempt_timeout, wait, ..settings }))
    }

    pub(super) fn settings(&self, connect: Duration, read: Duration, telemetry: Telemetry) -> Settings {
        let attempt_timeout = connect.saturating_add(read).saturating_add(BEYOND_TIMEOUTS);
        Settings {
            clock: self.clock.clone(),
            wait: self.wait_timeout.unwrap_or(attempt_timeout),
            attempt_timeout,
            admission: Arc::new(Admission::new(self.max_token_requests_in_flight)),
            party: Party::Own,
            runtimes: Arc::default(),
            telemetry,
        }
    }

    /// A transport whose first destination is known.
    pub(super) fn transport_for(
        &mut self,
        config: &Config,
        destination: &Uri,
    ) -> Result<Transport, ConfigError> {
        let transport = self.make_transport(config.connect_timeout, config.read_timeout, Some(destination));
        transport.map_err(|faults| ConfigError::all(None, faults))
    }

    fn make_transport(
        &mut self,
        connect: Duration,
        read: Duration,
        destination: Option<&Uri>,
    ) -> Result<Transport, Vec<ConfigFault>> {
        if let Some(make) = self.transport.take() {
            if !self.root_certificates.is_empty() {
                tracing::warn!(
                    "configuration: `root_certificate` is not used by a transport of the program's own"
                );
            }
            return Ok(make(connect, read));
        }
        #[cfg(feature = "transport")]
        {
            let built_in = crate::transport::BuiltIn {
                environment: &self.environment,
                root_certificates: &self.root_certificates,
                connect_timeout: connect,
                read_timeout: read,
                destination,
            };
            built_in.transport()
        }
        #[cfg(not(feature = "transport"))]
        {
            let _ = destination;
            let expected = if cfg!(feature = "reqwest") {
                "is missing; give `transport_reqwest` a client, or turn on the feature `transport` of tower-idaas"
            } else {
                "is missing; expected an HTTP service, because the feature `transport` is off"
            };
            Err(vec![ConfigFault::new("transport", expected)])
        }
    }
}

/// Unreachable in practice: the configuration was checked against this builder.
fn missing(what: &str) -> ConfigError {
    ConfigError::one(ConfigFault::new(what, "is missing; give one"))
}
