//! What `build` does: from the builder's parts to a handle.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::authn::{CheckContext, Client};
use crate::cache::backoff::LONGEST_FLIGHT_BEYOND_TIMEOUTS;
use crate::cache::slot::Settings;
use crate::client::builder::IdaasBuilder;
use crate::client::builder::cloud_role::Named;
use crate::client::idaas::Idaas;
use crate::config::{Config, Method, Plugin};
use crate::error::{ConfigError, ConfigFault};
use crate::scope::Scope;
use crate::telemetry::Telemetry;
use crate::token::{Skew, SourceContext, TokenCache, TokenEndpoint, TokenSource};
use crate::transport::Transport;

impl IdaasBuilder {
    pub(super) fn build_with_source(mut self, source: Arc<dyn TokenSource>) -> Result<Idaas, ConfigError> {
        let scope =
            self.scope.as_deref().ok_or("is missing; expected items `audience|permission`".to_owned());
        let scope = scope
            .and_then(Scope::parse)
            .map_err(|problem| ConfigError::one(ConfigFault::new("scope", problem)))?;
        let (connect, read) = self.overrides.timeouts();
        let settings = self.settings(connect, read, Telemetry::new("", "token source"));
        let context = SourceContext { custom_method: true, ..self.context("token source") };
        let (source, settings) = self.wrapped(source, &context, settings)?;
        let named = self.named_in_code()?;
        let roles = self.roles(named, None, &settings)?;
        Ok(roles.handle(TokenCache::new(source, scope, settings, self.exchange_capacity)))
    }

    pub(super) fn build_with_endpoint(mut self) -> Result<Idaas, ConfigError> {
        self.overrides.plugin_names = self.plugins.keys().cloned().collect();
        let config = {
            let now = self.clock.now().system_time();
            Config::load(&self.file, self.overrides.clone(), &CheckContext::new(&self.environment, now))
        };
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                // The transport's faults belong in the same report.
                let (connect, read) = self.overrides.timeouts();
                let more = self.make_transport(connect, read, None).err().unwrap_or_default();
                return Err(error.and(more));
            }
        };
        let settings = {
            let telemetry = Telemetry::new(&config.client_id, config.method.name());
            self.settings(config.connect_timeout, config.read_timeout, telemetry)
        };
        let text = |uri: Option<&Uri>| uri.map(ToString::to_string).unwrap_or_default();
        let mut context = SourceContext {
            // Two issuers may share an endpoint's host, and one issuer have two.
            issuer: [text(config.issuer.as_ref()), text(config.token_endpoint.as_ref())].join(" "),
            instance_id: config.instance_id.clone(),
            client_id: config.client_id.clone(),
            custom_method: config.method.is_own(),
            ..self.context(config.method.name())
        };
        let authenticator = match &config.method {
            Method::Authenticator(authenticator) => Arc::clone(authenticator),
            Method::Plugin(plugin) => {
                let (source, transport, settings) = match plugin {
                    Plugin::Registered { name } => {
                        context.method.extend([" ", name]);
                        context.custom_method = true;
                        (self.registered_plugin(name)?, None, settings)
                    }
                    #[cfg(feature = "aliyun")]
                    Plugin::OpenApi { endpoint } => {
                        context.issuer = endpoint.to_string();
                        let (source, transport) = self.open_api(endpoint, &config, &settings)?;
                        (source, Some(transport), self.open_api_settings(settings))
                    }
                };
                let (source, settings) = self.wrapped(source, &context, settings)?;
                let roles = self.roles(Named::in_config(&config), transport.as_ref(), &settings)?;
                return Ok(roles.handle(TokenCache::new(
                    source,
                    config.scope,
                    settings,
                    self.exchange_capacity,
                )));
            }
        };
        let destination = config.token_endpoint.as_ref();
        let transport = self.make_transport(config.connect_timeout, config.read_timeout, destination);
        let transport = transport.map_err(|faults| ConfigError::all(None, faults))?;
        let named = Named::in_config(&config);
        let Some(token_endpoint) = config.token_endpoint else {
            return Err(ConfigError::one(ConfigFault::new("tokenEndpoint", "is missing; expected its URL")));
        };
        let roles = self.roles(named, Some(&transport), &settings)?;
        let endpoint = TokenEndpoint {
            client: Client { instance_id: config.instance_id, client_id: config.client_id, token_endpoint },
            authenticator,
            transport,
            environment: self.environment.clone(),
            clock: self.clock.clone(),
            hasher: RandomState::new(),
            skew: Skew::default(),
        };
        let (source, settings) = self.wrapped(Arc::new(endpoint), &context, settings)?;
        Ok(roles.handle(TokenCache::new(source, config.scope, settings, self.exchange_capacity)))
    }

    /// What a wrapper of the source is told, without what only a configuration has.
    fn context(&self, method: &str) -> SourceContext {
        SourceContext {
            issuer: String::new(),
            instance_id: String::new(),
            client_id: String::new(),
            method: method.to_owned(),
            custom_method: false,
            wait_timeout: self.wait_timeout,
            clock: self.clock.clone(),
            environment: self.environment.clone(),
        }
    }

    /// The source with its wrappers in front of it, and the settings with the time that they may take.
    fn wrapped(
        &mut self,
        mut source: Arc<dyn TokenSource>,
        context: &SourceContext,
        settings: Settings,
    ) -> Result<(Arc<dyn TokenSource>, Settings), ConfigError> {
        for wrap in std::mem::take(&mut self.wrappers) {
            source = wrap(source, context)?;
        }
        let flight = source.time_limit(settings.flight);
        Ok((source, Settings { flight, wait: self.wait_timeout.unwrap_or(flight), ..settings }))
    }

    pub(super) fn settings(&self, connect: Duration, read: Duration, telemetry: Telemetry) -> Settings {
        let flight = connect.saturating_add(read).saturating_add(LONGEST_FLIGHT_BEYOND_TIMEOUTS);
        let wait = self.wait_timeout.unwrap_or(flight);
        Settings { clock: self.clock.clone(), wait, flight, gate: Arc::default(), telemetry }
    }

    pub(super) fn make_transport(
        &mut self,
        connect: Duration,
        read: Duration,
        destination: Option<&http::Uri>,
    ) -> Result<Transport, Vec<ConfigFault>> {
        if let Some(make) = self.transport.take() {
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
