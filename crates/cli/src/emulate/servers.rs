//! The servers of the emulator: the IDaaS, and what is there beside it for a method or on request.

use std::io;
use std::net::IpAddr;

use tower_idaas::{BoxError, Scope};
use tower_idaas_testing::{
    DeveloperApi, MetadataService, OpenApiService, ProtectedApi, TestIdaas, TestIdaasBuilder,
};

use super::fault::Fault;
use super::method::Method;
use super::stored::Stored;

/// Where the servers listen; 0 is a free port.
pub(super) struct Ports {
    pub(super) at: IpAddr,
    pub(super) token: u16,
    /// `None` without an API.
    pub(super) api: Option<u16>,
    pub(super) method: Option<u16>,
    pub(super) developer_api: Option<u16>,
}

pub(super) struct Servers {
    pub(super) idaas: TestIdaas,
    pub(super) api: Option<ProtectedApi>,
    pub(super) developer_api: Option<DeveloperApi>,
    /// For `PLUGIN`.
    pub(super) open_api: Option<OpenApiService>,
    /// For `PKCS7`.
    pub(super) metadata_service: Option<MetadataService>,
}

impl Servers {
    pub(super) fn builder(ports: &Ports, fault: Option<Fault>) -> TestIdaasBuilder {
        let builder = TestIdaas::builder().port(ports.token);
        match fault.and_then(Fault::certificate) {
            Some(certificate) => builder.certificate(certificate),
            None => builder,
        }
    }

    /// # Errors
    ///
    /// When a port cannot be used, or what the clients are known by is malformed.
    pub(super) async fn start(
        builder: TestIdaasBuilder,
        ports: &Ports,
        scope: &Scope,
        method: Method,
        stored: Option<Stored>,
    ) -> Result<Self, BoxError> {
        let idaas = builder.start().await.map_err(|error| ports.problem(ports.token, &error))?;
        let api = match ports.api {
            Some(port) => {
                let api = idaas.api(scope.audience());
                let api = match scope.permissions().next() {
                    Some(permission) => api.permission(permission),
                    None => api,
                };
                Some(api.port(port).start().await.map_err(|error| ports.problem(port, &error))?)
            }
            None => None,
        };
        let developer_api = match stored {
            Some(stored) => {
                let port = ports.developer_api.unwrap_or_default();
                let api = idaas.start_developer_api_on(port).await;
                let api = api.map_err(|error| ports.problem(port, &error))?;
                stored.put_into(&api);
                Some(api)
            }
            None => None,
        };
        let port = ports.method.unwrap_or_default();
        let open_api = match method {
            Method::Plugin => Some(idaas.start_open_api_on(port).await),
            _ => None,
        };
        let metadata_service = match method {
            Method::Pkcs7 => Some(idaas.start_metadata_service_on(port).await),
            _ => None,
        };
        Ok(Self {
            open_api: open_api.transpose().map_err(|error| ports.problem(port, &error))?,
            metadata_service: metadata_service.transpose().map_err(|error| ports.problem(port, &error))?,
            idaas,
            api,
            developer_api,
        })
    }

    /// Has the fault where tokens are requested.
    pub(super) fn behave(&self, fault: Fault) {
        match &self.open_api {
            Some(open_api) => fault.of_open_api().into_iter().for_each(|it| open_api.set_behaviour(it)),
            None => fault.of_token_endpoint().into_iter().for_each(|it| self.idaas.set_behaviour(it)),
        }
    }
}

impl Ports {
    /// What is wrong with the clients, for example, is no fault of the port.
    fn problem(&self, port: u16, error: &io::Error) -> BoxError {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
        match (port, error.kind()) {
            (1.., AddrInUse | AddrNotAvailable | PermissionDenied) => {
                format!("port {port} of {} cannot be used: {error}; choose another one", self.at).into()
            }
            _ => format!("the emulator cannot be started on {}: {error}", self.at).into(),
        }
    }
}
