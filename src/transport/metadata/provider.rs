//! What the metadata services of the clouds have in common, and where they differ.

use http::HeaderName;

/// A metadata service that gives a token first (`PUT /latest/api/token`), so that a request forged from
/// outside, which cannot set a header, gets nothing.
#[derive(Debug)]
pub(crate) struct Provider {
    /// The service's name, for messages.
    pub(super) name: &'static str,
    /// Where the program has to run for the service to be there, for messages.
    pub(super) machine: &'static str,
    pub(super) address: &'static str,
    /// Says how long the token shall live.
    pub(super) life_header: HeaderName,
    /// Carries the token.
    pub(super) token_header: HeaderName,
}

pub(crate) static ALIBABA_CLOUD_ECS: Provider = Provider {
    name: "the ECS metadata service",
    machine: "an ECS instance",
    address: "http://100.100.100.200",
    life_header: HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds"),
    token_header: HeaderName::from_static("x-aliyun-ecs-metadata-token"),
};

pub(crate) static AWS_EC2: Provider = Provider {
    name: "the EC2 metadata service",
    machine: "an EC2 instance",
    address: "http://169.254.169.254",
    life_header: HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
    token_header: HeaderName::from_static("x-aws-ec2-metadata-token"),
};
