//! Object storage, as far as it hands out objects for signatures with a role's credentials.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::aliyun::access_key::AccessKeys;
use crate::aliyun::acs3::percent_decoded;
use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::v4_signature::{Refusal, V4Verifier};
use crate::idaas::TestIdaas;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::listener::reserve;
use crate::server::response::{self, Refused};

/// Object storage on the loopback interface, for signatures of OSS and of S3 in version 4, with the STS credentials that a
/// [`DeveloperApi`] handed out; started by [`TestIdaas::start_object_storage`].
///
/// It verifies each signature anew from what it received, wants the security token of the access key, and refuses
/// credentials that have ended and dates that are more than 15 minutes off, by the clock of the IDaaS. An object is at
/// `/bucket/name`. It speaks plain HTTP, has [`Controls`], and stops when it is dropped.
pub struct ObjectStorage {
    controls: Controls,
    endpoint: Arc<StorageEndpoint>,
}

struct StorageEndpoint {
    verifier: V4Verifier,
    keys: Arc<AccessKeys>,
    /// By bucket and name.
    objects: Mutex<HashMap<(String, String), Bytes>>,
}

impl TestIdaas {
    /// Starts an object storage that takes the credentials of this DeveloperAPI, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start_object_storage(&self, developer_api: &DeveloperApi) -> io::Result<ObjectStorage> {
        let clock = self.service.endpoint.clock.clone();
        let keys = developer_api.access_keys();
        let verifier =
            V4Verifier { keys: Arc::clone(&keys), clock: clock.clone(), region: ObjectStorage::REGION };
        let endpoint = Arc::new(StorageEndpoint { verifier, keys, objects: Mutex::default() });
        let controls = Controls::start(reserve(0)?, Arc::clone(&endpoint), clock, None)?;
        Ok(ObjectStorage { controls, endpoint })
    }
}

impl ObjectStorage {
    /// The region that signatures have to be for.
    pub const REGION: &str = "cn-hangzhou";

    /// Where it is: `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.controls.port())
    }

    /// Keeps this object from now on, in the place of what was there.
    pub fn put(&self, bucket: impl Into<String>, name: impl Into<String>, content: impl Into<Bytes>) {
        self.endpoint.objects().insert((bucket.into(), name.into()), content.into());
    }

    /// Refuses signatures with the access key of this id from now on.
    pub fn revoke(&self, access_key_id: &str) {
        self.endpoint.keys.remove(access_key_id);
    }

    /// How many objects were handed out.
    pub fn objects_read(&self) -> usize {
        self.controls.granted()
    }
}

impl Deref for ObjectStorage {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl StorageEndpoint {
    fn objects(&self) -> MutexGuard<'_, HashMap<(String, String), Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, call: &Call) -> Result<Bytes, Refusal> {
        self.verifier.verify(&call.head, &call.body)?;
        if call.head.method != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "expected GET".into()));
        }
        let path = percent_decoded(call.head.uri.path()).and_then(|path| String::from_utf8(path).ok());
        let path = path.unwrap_or_default();
        let (bucket, name) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let object = self.objects().get(&(bucket.to_owned(), name.to_owned())).cloned();
        object.ok_or_else(|| (StatusCode::NOT_FOUND, "NoSuchKey", "there is no such object".into()))
    }
}

impl Endpoint for StorageEndpoint {
    fn respond(&self, call: &Call, _change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        let mut response = response::text(StatusCode::OK, self.object(call).map_err(xml)?);
        let binary = HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(CONTENT_TYPE, binary);
        Ok(response)
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        xml((StatusCode::BAD_REQUEST, "InvalidArgument", format!("cannot read {:?}", call.head.headers)))
    }
}

/// A refusal in the form of object storage.
fn xml((status, code, message): Refusal) -> Response<Bytes> {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = response::text(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
