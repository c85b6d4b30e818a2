//! What the metadata services of the clouds have in common, and where they differ.

use http::HeaderName;

use crate::authn::Cloud;

/// A metadata service that signs documents. All of them give a token first (`PUT /latest/api/token`), so
/// that a request forged from outside, which cannot set a header, gets nothing.
#[derive(Debug)]
pub(super) struct Provider {
    /// The service's name, for messages.
    pub(super) name: &'static str,
    /// Where the program has to run for the service to be there, for messages.
    pub(super) machine: &'static str,
    pub(super) address: &'static str,
    /// Says how long the token shall live.
    pub(super) life_header: HeaderName,
    /// Carries the token.
    pub(super) token_header: HeaderName,
    pub(super) document_path: &'static str,
    /// Whether a document is signed for one audience, at a time that is named in it.
    pub(super) signs_for_audience: bool,
}

static ALIBABA_CLOUD_ECS: Provider = Provider {
    name: "the ECS metadata service",
    machine: "an ECS instance",
    address: "http://100.100.100.200",
    life_header: HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds"),
    token_header: HeaderName::from_static("x-aliyun-ecs-metadata-token"),
    document_path: "/latest/dynamic/instance-identity/pkcs7",
    signs_for_audience: true,
};

static AWS_EC2: Provider = Provider {
    name: "the EC2 metadata service",
    machine: "an EC2 instance",
    address: "http://169.254.169.254",
    life_header: HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
    token_header: HeaderName::from_static("x-aws-ec2-metadata-token"),
    document_path: "/latest/dynamic/instance-identity/rsa2048",
    signs_for_audience: false,
};

impl Provider {
    pub(super) fn of(cloud: Cloud) -> &'static Self {
        match cloud {
            Cloud::AlibabaCloudEcs => &ALIBABA_CLOUD_ECS,
            Cloud::AwsEc2 => &AWS_EC2,
        }
    }
}
