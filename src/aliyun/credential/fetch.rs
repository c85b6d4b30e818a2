//! Fetches a temporary credential, each time one is due.

use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::credential::lookup::{FetchContext, Issuer, Temporary, TemporarySource};
use crate::aliyun::credential::{Credential, instance_role, sts, uri};
use crate::cache::loader::{Loaded, Loader};
use crate::cache::recheck::Recheck;
use crate::cache::window::Renewal;
use crate::error::BoxFuture;
use crate::error::Error;

/// As the vendor's SDKs do.
const RENEWAL: Renewal = Renewal::Before(Duration::from_secs(15 * 60));

#[derive(Debug)]
pub(super) struct FetchTemporary {
    pub(super) source: TemporarySource,
    pub(super) context: Arc<FetchContext>,
}

impl FetchTemporary {
    async fn temporary(&self) -> Result<Temporary, Error> {
        let Self { source: TemporarySource { from, provider }, context } = self;
        match from {
            Issuer::TokenFile { role, oidc_provider, token_file } => {
                sts::assume_role_with_oidc(role, oidc_provider, token_file, provider, context).await
            }
            Issuer::AccessKey { role, key } => sts::assume_role(role, key, provider, context).await,
            Issuer::Instance { role_name } => {
                instance_role::fetch(role_name.as_deref(), provider, context).await
            }
            Issuer::Uri(uri) => uri::fetch(uri, provider, context).await,
        }
    }
}

impl Loader<Arc<Credential>> for FetchTemporary {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Arc<Credential>>, Error>> {
        Box::pin(async move {
            let sent = self.context.channel.clock.now();
            let (credential, life) = self.temporary().await?;
            let recheck = Arc::new(Recheck::new());
            Ok(Loaded {
                value: Arc::new(credential),
                recheck,
                sent,
                life,
                renewal: RENEWAL,
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
