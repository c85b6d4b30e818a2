//! Fetches a temporary credential, each time a refresh is due.

use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::credential::lookup::{FetchContext, Issuer, Temporary, TemporarySource};
use crate::aliyun::credential::{Credential, external_process, instance_role, sts, uri};
use crate::cache::loader::{Loaded, Loader};
use crate::cache::recheck::Recheck;
use crate::cache::window::RefreshAhead;
use crate::error::{BoxFuture, Error, ErrorKind};
use crate::secret::{Expected, FileKind, ReloadedFile, Secret};

/// As early as the vendor's SDKs refresh credentials.
const REFRESH_AHEAD: RefreshAhead = RefreshAhead::Before(Duration::from_secs(15 * 60));

#[derive(Debug)]
pub(super) struct FetchTemporary {
    source: TemporarySource,
    /// The token file, where the source has one: its last good content stands in while it cannot be read.
    token_file: Option<ReloadedFile>,
    context: Arc<FetchContext>,
}

impl FetchTemporary {
    pub(super) fn new(source: TemporarySource, context: Arc<FetchContext>) -> Self {
        let token_file = source.token_file().map(|path| ReloadedFile::new(path, FileKind::Token));
        Self { source, token_file, context }
    }

    fn temporary<'a>(&'a self, source: &'a TemporarySource) -> BoxFuture<'a, Result<Temporary, Error>> {
        let TemporarySource { from, provider } = source;
        let context = &self.context;
        Box::pin(async move {
            match from {
                Issuer::TokenFile { role, oidc_provider, token_file: _ } => {
                    let token = self.token().await?;
                    sts::assume_role_with_oidc(role, oidc_provider, &token, provider, context).await
                }
                Issuer::AccessKey { role, key } => sts::assume_role(role, key, provider, context).await,
                Issuer::Chained { role, source } => {
                    let (key, _) = self.temporary(source).await?;
                    sts::assume_role(role, &key, provider, context).await
                }
                Issuer::Process(process) => {
                    let (_, limit) = context.channel.transport.timeouts();
                    let now = || context.channel.clock.now().system_time();
                    external_process::fetch(process, provider, limit, now).await
                }
                Issuer::Instance { role_name } => {
                    instance_role::fetch(role_name.as_deref(), provider, context).await
                }
                Issuer::Uri(uri) => uri::fetch(uri, provider, context).await,
            }
        })
    }

    async fn token(&self) -> Result<Secret, Error> {
        let missing = || Error::new(ErrorKind::Credential, "there is no token file");
        let file = self.token_file.as_ref().ok_or_else(missing)?;
        let now = self.context.channel.clock.now();
        file.read(&self.context.environment, now, Expected::secret()).await
    }
}

impl Loader<Arc<Credential>> for FetchTemporary {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Arc<Credential>>, Error>> {
        Box::pin(async move {
            let sent = self.context.channel.clock.now();
            let (credential, life) = self.temporary(&self.source).await?;
            let recheck = Arc::new(Recheck::new());
            Ok(Loaded {
                value: Arc::new(credential),
                recheck,
                sent,
                life,
                refresh_ahead: REFRESH_AHEAD,
                from_issuer: true,
                request_id: None,
            })
        })
    }

    fn label(&self) -> &str {
        self.source.provider
    }

    fn what(&self) -> &'static str {
        "credential"
    }
}
